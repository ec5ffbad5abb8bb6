-- queue: history in weeks, kept as long as each tenant wants, and what stays when it goes.
begin;
\ir fixtures.psql
select no_plan();

create function tests.tidy()
returns jsonb language sql as $$ select tests.as('runner', 'worker.tidy()') $$;
-- A run that ended so many days ago, with all that a run leaves behind.
create function tests.old_run(p_tenant text, p_days numeric)
returns bigint language plpgsql as $$
declare
    v_run bigint := tests.submit(p_tenant || '.operator', '{"callbacks": {"on_complete": "https://history.example/"}}');
    v_claim jsonb := (select c from tests.claim() c);
begin
    perform tests.report(v_claim, '{"logs": [{"line": "said"}]}');
    perform tests.settle(v_claim, format('{"values": {"rows": 1}, "lineage": [{"eventTime": "2026-01-01T00:00:00Z", "producer": "p", "schemaURL": "s", "job": {"namespace": "n", "name": "j"},
        "inputs": [{"namespace": "n", "name": "in"}], "outputs": [{"namespace": "n", "name": "out"}], "run": {"runId": "%s"}}]}', md5(v_run::text)::uuid)::jsonb);
    update queue.runs set created_at = clock_timestamp() - make_interval(secs => p_days * 86400 + 60), started_at = null, finished_at = clock_timestamp() - make_interval(secs => p_days * 86400) where id = v_run;
    update queue.logs set at = clock_timestamp() - make_interval(secs => p_days * 86400 + 30) where run_id = v_run;
    update queue.past_attempts set finished_at = clock_timestamp() - make_interval(secs => p_days * 86400) where run_id = v_run;
    return v_run;
end
$$;
create function tests.left_of(p_run bigint)
returns text language sql as $$
    select concat_ws(' ', (select count(*) from queue.runs where id = p_run), (select count(*) from queue.task_runs where run_id = p_run),
        (select count(*) from queue.payloads p join queue.task_runs t on t.id = p.task_run_id where t.run_id = p_run), (select count(*) from queue.logs where run_id = p_run),
        (select count(*) from queue.past_attempts where run_id = p_run), (select count(*) from lineage.observations where run_id = p_run),
        (select count(*) from callback.events where run_id = p_run), (select count(*) from callback.deliveries d join callback.events e on e.id = d.event_id where e.run_id = p_run))
$$;

-- --------------------------------------------------------------------------------------- the calendar

create view tests.weeks as
select h.inhparent::regclass::text as parent, c.oid, c.relname::text as name, pg_get_expr(c.relpartbound, c.oid) as bound
from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('queue', 'lineage') and c.relkind = 'r';
select tests.tidy() from generate_series(1, 20);
select is((select count(*) from tests.weeks w where w.parent = p and w.name !~ 'rest' and right(w.name, 7) >= to_char(now() at time zone 'UTC', 'IYYY"w"IW')), 4::bigint, p || ': this week and the next three are there')
from unnest(array['queue.past_attempts', 'queue.logs', 'lineage.observations']) p;
select is(tests.tidy(), '{"more": false, "turned": null, "expired": 0}', 'a tidy house has nothing to do');
select is_empty($$ select name from tests.weeks w where (select count(*) from pg_index i where i.indrelid = w.oid) <> (select count(*) from pg_index i where i.indrelid = w.parent::regclass) $$, 'a week has every index of its table');
select is_empty($$ select name from tests.weeks w join pg_class c on c.oid = w.oid where not (c.relrowsecurity and c.relforcerowsecurity) or c.relacl is not null $$, 'and is closed to everybody but through it');
select tests.old_run('north', 0) as fresh \gset
select is((select tableoid::regclass::text from queue.past_attempts where run_id = :fresh), to_char(now() at time zone 'UTC', '"queue.past_attempts_"IYYY"w"IW'), 'what ends now lies in this week');

drop table queue.past_attempts_rest;
create table queue.past_attempts_rest partition of queue.past_attempts default;
do $$
declare
    v_monday date := date_trunc('week', now() at time zone 'UTC')::date;
    i integer;
begin
    foreach i in array array[8, 10, 11] loop
        execute format('create table queue.past_attempts_%s partition of queue.past_attempts for values from (%L) to (%L)', to_char(v_monday - 7 * i, 'IYYY"w"IW'),
                       (v_monday - 7 * i)::timestamp at time zone 'UTC', (v_monday - 7 * i + 7)::timestamp at time zone 'UTC');
    end loop;
end
$$;
create function tests.past_weeks()
returns bigint language sql as $$ select count(*) from tests.weeks where parent = 'queue.past_attempts' and right(name, 7) < to_char(now() at time zone 'UTC', 'IYYY"w"IW') and name !~ 'rest' $$;
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "south", "retention_days": 80}') $$);
select tests.tidy();
select is(tests.past_weeks(), 3::bigint, 'a week stays while the tenant that keeps longest wants it');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "south", "retention_days": 60}') $$);
select is(tests.tidy() ->> 'turned', to_char((date_trunc('week', now() at time zone 'UTC') - interval '77 days'), '"dropped past_attempts_"IYYY"w"IW'), 'then the oldest goes first');
select tests.tidy();
select is(tests.past_weeks(), 1::bigint, 'and the others that are over');
-- a week whose rows came before it stays with the default partition
delete from queue.past_attempts;
select format('drop table queue.past_attempts_%s', to_char(now() at time zone 'UTC' + interval '21 days', 'IYYY"w"IW')) \gexec
insert into queue.past_attempts (tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at, ready_at, lease, lost, finished_at, termination_code)
select tests.tenant('north'), 1, 1, 1, 1, 'x', 0, 'FAILED', now(), now(), 1, 0, date_trunc('week', now()) + interval '24 days', 'USER_CODE_FAILED';
select is(tests.tidy() ->> 'turned', null, 'a week whose rows came before it is left to the default partition');
select is((select count(*) from queue.past_attempts), 1::bigint, 'and no row is lost');
delete from queue.past_attempts;

-- --------------------------------------------------------------------------------------- retention

-- the week that is left from above may reach into these days: that depends on the day this runs
select format('drop table queue.%I', name) from tests.weeks where parent = 'queue.past_attempts' and right(name, 7) < to_char(now() at time zone 'UTC', 'IYYY"w"IW') and name !~ 'rest' \gexec
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "retention_days": 7}') $$);
select tests.old_run('north', 6.9) as young \gset
select tests.old_run('north', 7.1) as old \gset
update queue.runs set parameters = '{"day": "monday"}' where id = :old;
select tests.old_run('south', 59) as south_young \gset
select format('create table queue.%s_old partition of queue.%1$s for values from (%L) to (%L)', t, now() - interval '62 days', now() - interval '59 days 12 hours') from unnest(array['logs', 'past_attempts']) t \gexec
select tests.old_run('south', 61) as south_old \gset
select tests.submit('north.operator') as waiting \gset
update queue.live_attempts set ready_at = now() + interval '1 day' where run_id = :waiting;
update queue.runs set created_at = now() - interval '100 days' where id = :waiting;
select is(tests.left_of(:old), '1 1 1 1 1 1 1 1', 'before: run, task, code, log, attempt, sighting, event, delivery');
update callback.deliveries set state = 'DELIVERED', finished_at = now();
select is(tests.tidy(), '{"more": true, "turned": null, "expired": 2}', 'what is past its keeping goes, a bounded part at a time');
select is(tests.left_of(:old), '1 1 0 0 0 0 0 0', 'of an old run stay the run and its tasks');
select is(tests.left_of(:young), '1 1 1 1 1 1 1 1', 'a day before its time nothing goes');
select is(tests.left_of(:south_old), '1 1 0 1 1 0 0 0', 'the log and the attempts of him who keeps longest go with their week');
select is(tests.left_of(:south_young), '1 1 1 1 1 1 1 1', 'each tenant keeps its own time');
select is(tests.left_of(:waiting), '1 1 1 0 0 0 0 0', 'what has not ended is not history');
select is((select output_values from queue.task_runs where run_id = :old), '{}', 'values of tasks go too');
select is((select parameters from queue.runs where id = :old), '{}', 'so do the parameters of the run');
select is(tests.tidy() ->> 'expired', '0', 'done once, it is done');

-- runs that end at one moment expire together, however small the part
do $$ begin perform tests.old_run('north', 8) from generate_series(1, 5); end $$;
update queue.runs set finished_at = now() - interval '6 days' where state = 'SUCCEEDED' and finished_at < now() - interval '7 days 12 hours' and tenant_id = tests.tenant('north') and id <> :old;
delete from queue.histories;
update queue.runs set finished_at = now() - interval '30 days' where state = 'SUCCEEDED' and tenant_id = tests.tenant('north');
set local role app_system;
select is((select sum(cardinality(run_ids)) from queue.expire(2)), 9::bigint, 'none of a batch is passed over');
reset role;

-- ------------------------------------------------------------------------------------- it says so

select is(tests.as('north.operator', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :old))) ->> 'history', 'expired', 'the run says that its history is gone');
select is(tests.as('south.operator', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :south_young))) ->> 'history', 'kept', 'or that it is there');
select is(tests.as('north.operator', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :old))) -> 'requests', 'null', 'there is no code to show');
select is(tests.error('north.operator', format('public.%I(%L::jsonb)', f, jsonb_build_object('run_id', :old))) - 'message' - 'hint' - 'headers', jsonb_build_object('code', 'HISTORY_EXPIRED', 'status', 410, 'details', 'run ' || :old), f || ' says that it is gone')
from unnest(array['run_logs', 'run_events']) f;
select is(tests.error('south.operator', format('public.run_logs(%L::jsonb)', jsonb_build_object('run_id', :south_old))) ->> 'code', 'HISTORY_EXPIRED', 'also while its week is still there');

-- an event is removed by nobody before its time, and changed by nobody ever
select tests.old_run('south', 1) as event_run \gset
set local role app_system;
select throws_like(format('delete from callback.events where run_id = %s', :event_run), 'events_are_kept%', 'no event goes before its time');
select throws_like(format('delete from callback.events where run_id = %s', :south_young), 'events_are_kept%', 'nor at the last day');
reset role;
-- what is under way keeps its event
select tests.old_run('south', 70) as replayed \gset
update callback.deliveries d set state = 'PENDING', finished_at = null from callback.events e where e.id = d.event_id and e.run_id = :replayed;
delete from queue.histories;
select tests.tidy();
select is(tests.left_of(:replayed), '1 1 0 0 0 0 1 1', 'a delivery that is being replayed keeps its event');

-- ------------------------------------------------------------------------------- storage parameters

-- what is written again and again leaves room on its pages and is vacuumed early
select is((select array_to_string(c.reloptions, ' ') ~ 'fillfactor=[57]0' from pg_class c where c.oid = t::regclass), true, t || ' leaves room on its pages')
from unnest(array['queue.live_attempts', 'queue.slots', 'queue.runs', 'queue.task_runs', 'queue.runners', 'callback.deliveries', 'audit.unsealed']) t;
select is((select array_to_string(c.reloptions, ' ') ~ 'autovacuum_vacuum_scale_factor=0.0[0-9]' from pg_class c where c.oid = t::regclass), true, t || ' is vacuumed early')
from unnest(array['queue.live_attempts', 'queue.slots', 'queue.runs', 'queue.task_runs', 'callback.deliveries', 'audit.unsealed']) t;

select * from finish();
rollback;
