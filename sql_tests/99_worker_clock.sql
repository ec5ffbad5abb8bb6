-- worker: the clock. What is due is started once, as the tenant would have started it; one that cannot be started says so and
-- stops nobody else; a job does not start itself.
begin;
\ir fixtures.psql
select no_plan();
set local timezone = 'UTC';

create function tests.make(p_who text, p_name text, p jsonb)
returns bigint language sql as $$
    select (tests.as(p_who, format('public.create_job(%L::jsonb)', jsonb_build_object('name', p_name, 'tasks', jsonb_build_array(tests.submission('{"task_key": "t"}'))) || p)) ->> 'job_id')::bigint
$$;
create function tests.clock(p_job bigint)
returns schedule.triggers language sql as $$ select t from schedule.triggers t where t.job_id = p_job $$;
create function tests.due(p_job bigint, p_at timestamptz default clock_timestamp())
returns void language sql as $$ update schedule.triggers t set next_fire_at = p_at where t.job_id = p_job $$;
create function tests.fire()
returns jsonb language sql as $$ select tests.as('runner', 'worker.fire()') $$;
create function tests.runs(p_job bigint)
returns integer language sql as $$ select count(*)::integer from queue.runs r where r.job_id = p_job $$;
create function tests.seen(p_run bigint, p_who text default 'north.viewer')
returns jsonb language sql as $$ select tests.as(p_who, format('public.get_run(''{"run_id": %s}'')', p_run)) $$;
create function tests.acts(p_job bigint)
returns text[] language sql as $$ select array(select e.action || ' by ' || e.user_id from audit.entries e where e.object_type = 'job' and e.object_id = p_job::text and e.action <> 'job.create' order by e.id) $$;

select is(tests.fire(), '0', 'nothing is due');
select tests.make('north.operator', 'daily', '{"schedule": {"cron": "0 5 * * *"}, "parameters": {"a": 1}}') as daily \gset
select ok((tests.tick() ->> 'due_in_ms')::bigint between 0 and 86400000, 'the tick knows when the next one is due');
select tests.due(:daily, date_trunc('day', now()) + interval '1 minute');
select is(tests.tick() -> 'jobs_due', 'true', 'the tick says that a job is due');
select is(tests.fire(), '1', 'what is due is started');
select is(tests.tick() -> 'jobs_due', 'false', 'and that none is');
select is(tests.fire(), '0', 'once');
select (tests.clock(:daily)).last_run_id as run \gset
select is((tests.runs(:daily), (select r.created_by from queue.runs r where r.id = :run)), (1, 'schedule'::text), 'as one run, by the user schedule');
select is((tests.clock(:daily)).next_fire_at, schedule.next_fire('0 5 * * *', 'UTC', now()), 'on to the next time');
select is(tests.seen(:run) #>> '{trigger,type}', 'schedule', 'get_run says who started it');
select is((tests.seen(:run) #>> '{trigger,scheduled_at}')::timestamptz, (select f.scheduled_at from schedule.fires f where f.run_id = :run), 'and for what time');
select is(tests.seen(:run, 'north.operator') #> '{requests,t,params}' ->> 'a', '1', 'its parameters are the job''s');
select ok(tests.seen(:run, 'north.operator') #>> '{requests,t,params,scheduled_at}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$', 'and the time it was due');
select is((select e.user_id from audit.entries e where e.action = 'run.submit' and e.object_id = :run::text), 'schedule', 'audited as every submission');
select is(tests.seen((tests.as('north.operator', format('public.run_job(''{"job_id": %s}'')', :daily)) ->> 'run_id')::bigint) #>> '{trigger,type}', 'manual', 'what a person runs is manual');

-- the same time twice: the row was set back
select f.scheduled_at as at from schedule.fires f where f.run_id = :run \gset
select tests.due(:daily, :'at');
select tests.fire();
select is(tests.runs(:daily), 2, 'a time that was paid is not paid again');

-- periods
select tests.make('north.operator', 'often', '{"periodic": {"every_seconds": 60}}') as often \gset
select tests.due(:often, date_trunc('second', now()) - interval '150 seconds');
select tests.fire();
select is(tests.runs(:often), 1, 'periods that are over have nothing to catch up');
select is((tests.clock(:often)).next_fire_at, date_trunc('second', now()) + interval '30 seconds', 'and keep their beat');

-- outage
select tests.make('north.operator', 'all', '{"schedule": {"cron": "0 0 * * *", "missed": "all"}}') as every \gset
select tests.make('north.operator', 'skip', '{"schedule": {"cron": "0 0 * * *", "missed": "skip"}}') as skip \gset
select tests.make('north.operator', 'once', '{"schedule": {"cron": "0 0 * * *"}}') as once \gset
select tests.due(j, date_trunc('day', now()) - interval '3 days') from unnest(array[:every, :skip, :once]) j;
select tests.fire();
select is(array(select (f.scheduled_at - date_trunc('day', now()))::text from schedule.fires f where f.job_id = :every order by f.run_id), '{-3 days,-2 days,-1 days,00:00:00}'::text[], 'all: each missed time, oldest first');
select ok(tests.runs(:skip) = case when now() - date_trunc('day', now()) < interval '1 minute' then 1 else 0 end, 'skip: none');
select is(tests.runs(:once), 1, 'once: one');
select is(tests.acts(:skip), '{schedule.miss by schedule}'::text[], 'what was missed is in the audit');

-- what cannot be started
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "KEY"}') $$);
select tests.make('north.operator', 'secretive', jsonb_build_object('tasks', jsonb_build_array(tests.submission('{"task_key": "t", "secrets": ["KEY"]}')), 'periodic', '{"every_seconds": 60}'::jsonb)) as secretive \gset
select tests.make('south.operator', 'south', '{"periodic": {"every_seconds": 60}}') as south \gset
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "secret", "name": "KEY"}') $$);
select tests.due(j) from unnest(array[:secretive, :south]) j;
select is(tests.fire(), '2', 'one that cannot be started does not stop the others');
select is(((tests.clock(:secretive)).last_error ->> 'code', (tests.clock(:secretive)).last_error ->> 'details'), ('SECRET_NOT_GRANTED'::text, '$.tasks[0].secrets: KEY'::text), 'it says why');
select ok((tests.clock(:secretive)).next_fire_at > clock_timestamp(), 'and goes on to its next time');
select tests.due(:secretive);
select tests.fire();
select is(tests.acts(:secretive), '{schedule.fail by schedule}'::text[], 'the audit has it once');
select is(tests.as('north.viewer', format('public.get_job(''{"job_id": %s}'')', :secretive)) #>> '{last_error,code}', 'SECRET_NOT_GRANTED', 'get_job shows it');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "KEY"}') $$);
select tests.due(:secretive);
select tests.fire();
select is(((tests.clock(:secretive)).last_error is null, tests.runs(:secretive)), (true, 1), 'granted again, it starts again');
select is((select array_agg(distinct r.tenant_id) from queue.runs r where r.job_id = :south), array[tests.tenant('south')], 'each run is its job''s tenant''s');
update tenancy.tenants set suspended_at = now() where slug = 'south';
select tests.due(:south);
select tests.fire();
select is(((tests.clock(:south)).last_error ->> 'code', tests.runs(:south)), ('TENANT_SUSPENDED'::text, 1), 'a suspended tenant''s jobs do not start');

-- datasets
select tests.make('north.operator', 'a', '{"trigger": {"datasets": ["silver.b_out"], "debounce_seconds": 0}}') as a \gset
select tests.make('north.operator', 'b', '{"trigger": {"datasets": ["silver.a_out"], "debounce_seconds": 0}}') as b \gset
select (tests.as('north.operator', format('public.run_job(''{"job_id": %s}'')', :a)) ->> 'run_id')::bigint as run_a \gset
select schedule.mark(tests.tenant('north'), 'control-room://north', 'silver.a_out', :run_a);
select is(tests.fire(), '1', 'an update starts the job that waits for it');
select (tests.clock(:b)).last_run_id as run_b \gset
select is((tests.seen(:run_b) -> 'trigger') - '{scheduled_at,fired_at}'::text[], jsonb_build_object('type', 'dataset', 'datasets', '["silver.a_out"]'::jsonb, 'runs', jsonb_build_array(:run_a)), 'with what was updated, and by which run');
select is(((tests.clock(:b)).next_fire_at, (tests.clock(:b)).marked_at, (tests.clock(:b)).causes), (null::timestamptz, null::timestamptz, '{}'::bigint[]), 'then it waits for the next one');
select schedule.mark(tests.tenant('north'), 'control-room://north', 'silver.b_out', :run_b);
select is((select count(*) from schedule.marks), 0::bigint, 'a job that its own work would start again, through another, is not started');
select schedule.mark(tests.tenant('north'), 'control-room://north', 'silver.b_out', :run_a);
select is((select count(*) from schedule.marks), 0::bigint, 'nor by its own run');
select schedule.mark(tests.tenant('north'), 'control-room://north', 'silver.b_out', null);
select is((select count(*) from schedule.marks), 1::bigint, 'by anybody else it is');

select tests.make('north.operator', 'child', '{}') as child \gset
select tests.make('north.operator', 'above', jsonb_build_object('tasks', jsonb_build_array(jsonb_build_object('task_key', 'c', 'run_job', jsonb_build_object('job_id', :child))), 'trigger', '{"datasets": ["silver.c_out"]}'::jsonb)) as above \gset
select (tests.as('north.operator', format('public.run_job(''{"job_id": %s}'')', :above)) ->> 'run_id')::bigint as run_above \gset
select r.id as run_child from queue.runs r where r.parent_run_id = :run_above \gset
delete from schedule.marks;
select schedule.mark(tests.tenant('north'), 'control-room://north', 'silver.c_out', :run_child);
select is((select count(*) from schedule.marks), 0::bigint, 'nor by a run that it started with run_job');

-- references
select tests.make('north.operator', 'refers', jsonb_build_object('parameters', '{"scheduled_at": "by hand"}'::jsonb, 'schedule', '{"cron": "0 5 * * *"}'::jsonb,
    'tasks', jsonb_build_array(tests.submission('{"task_key": "t", "params": {"day": "of {{job.parameters.scheduled_at}}"}}')))) as refers \gset
select tests.due(:refers, date_trunc('day', now()) + interval '1 minute');
select tests.fire();
select is(tests.seen((tests.clock(:refers)).last_run_id, 'north.operator') #>> '{requests,t,params,day}',
    (select 'of ' || to_char(f.scheduled_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') from schedule.fires f where f.job_id = :refers), 'the time it was due can be referred to');

-- claims, rights
select tests.due(:refers, date_trunc('day', now()) + interval '2 minutes');
select is(tests.as('runner', $$ worker.fire() > 0 and current_setting('request.jwt.claims', true)::jsonb = '{"role": "runner"}' $$)::boolean, true, 'a clock that has started something leaves no claims behind');
select * from finish();
rollback;
