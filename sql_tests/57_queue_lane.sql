-- queue: lanes: max_concurrent_runs of a job, with a queue or without; places go on in the transaction that frees them.
begin;
\ir fixtures.psql
select no_plan();

create function tests.job_of(p_name text, p jsonb, p_tasks jsonb default '[{}]')
returns bigint language sql as $$
    select (tests.as('north.operator', format('public.create_job(%L::jsonb)', jsonb_build_object('name', p_name, 'tasks', (
        select jsonb_agg(tests.submission('{"max_retries": 0}'::jsonb || t)) from jsonb_array_elements(p_tasks) t)) || p)) ->> 'job_id')::bigint
$$;
create function tests.run_of(p_job bigint, p jsonb default '{}')
returns bigint language sql as $$
    select (tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', p_job) || p)) ->> 'run_id')::bigint
$$;
create function tests.cancel(p_run bigint)
returns jsonb language sql as $$ select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) $$;
create function tests.state(p_run bigint)
returns text language sql stable as $$ select r.state from queue.runs r where r.id = p_run $$;

-- ------------------------------------------------------------------------------------- with a queue

select tests.job_of('one at a time', '{"max_concurrent_runs": 1}') as job \gset
select tests.run_of(:job) as a \gset
select tests.run_of(:job) as b \gset
select tests.run_of(:job) as c \gset
select is(tests.state(:a), 'QUEUED', 'the first run may begin');
select is(tests.state(:b), 'BLOCKED', 'the second waits for its place');
select is(tests.states(:b), 'execute BLOCKED', 'with all its tasks');
select is((select count(*) from tests.claim(10)), 1::bigint, 'no runner gets it');
select is(tests.tick() ->> 'runs_admitted', '0', 'a tick lets nobody in where there is no place');
select tests.settle(jsonb_build_object('attempt_id', x.id, 'lease', x.lease)) from queue.live_attempts x where x.run_id = :a;
select is(tests.state(:b) || ' ' || tests.state(:c), 'QUEUED BLOCKED', 'when the first ends, the second may begin, in the same transaction');
select is(tests.tick() ->> 'runs_admitted', '0', 'nothing was left to the tick');
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb ->> 'run_id', :'b', 'and is claimed');
select tests.fail(:'claim');
select is(tests.state(:c), 'QUEUED', 'a run that fails frees its place too');
select tests.run_of(:job) as d \gset
select tests.run_of(:job, '{"priority": 5}') as e \gset
select tests.run_of(:job) as f \gset
select tests.cancel(:d);
select is(tests.state(:d), 'CANCELED', 'a run that waits is canceled');
select is((tests.run(:d)).waits_since, null, 'and waits no more');
select is((select array_agg(type) from callback.events where run_id = :d), '{run.failed}', 'and says so once');
select tests.cancel(:c);
select is(tests.state(:e) || ' ' || tests.state(:f), 'QUEUED BLOCKED', 'a canceled run frees its place; among those that wait, priority goes first');
select c as claim from tests.claim() c \gset
select is(tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'idempotency_key', 'k'))) ->> 'state', 'BLOCKED', 'a submission says that it waits');
select is(tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'idempotency_key', 'k'))) ->> 'state', 'BLOCKED', 'and again under the same key');

-- the limit changes
select tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'max_concurrent_runs', 2)));
select is(tests.state(:f), 'QUEUED', 'more places: the next may begin at once');
select tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'max_concurrent_runs', null)));
select is((select count(*) from queue.runs where waits_since is not null), 0::bigint, 'no limit any more: all begin');
select tests.run_of(:job) as g \gset
select is(tests.state(:g), 'QUEUED', 'and nobody waits');
select tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'max_concurrent_runs', 1)));
select tests.run_of(:job) as g \gset
select is(tests.state(:g), 'BLOCKED', 'a limit counts what was under way before it');
select tests.settle(:'claim');
select is((select count(*) from queue.runs where waits_since is not null), 1::bigint, 'too many are under way: an end frees no place');
select tests.drain();
select is((select count(*) from queue.runs where finished_at is null), 0::bigint, 'all of them end');

-- a lost wake-up: the tick finds it
select tests.run_of(:job) as a \gset
select tests.run_of(:job) as b \gset
update queue.runs set state = 'FAILED', finished_at = clock_timestamp(), termination_code = 'INTERNAL_ERROR' where id = :a;
select is(tests.tick() ->> 'runs_admitted', '1', 'a place that nobody passed on is found by the tick');
select tests.drain();

-- a graph that waits, begins at its roots
select tests.job_of('graph', '{"max_concurrent_runs": 1, "run_timeout_seconds": 60}', '[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"]}, {"task_key": "c", "run_if": "AT_LEAST_ONE_SUCCESS"}]') as job \gset
select tests.run_of(:job) as a \gset
select tests.run_of(:job) as b \gset
select is(tests.states(:b), 'a BLOCKED, b BLOCKED, c BLOCKED', 'a graph that waits is blocked whole');
select tests.settle(c) from tests.claim(2) c;
select tests.settle(c) from tests.claim(1) c;
select is(tests.state(:a), 'SUCCEEDED', 'the first ended');
select is(tests.states(:b), 'a QUEUED, b BLOCKED, c QUEUED', 'the next begins at its roots');
select tests.settle(c) from tests.claim(2) c;
select is(tests.states(:b), 'a SUCCEEDED, b QUEUED, c SUCCEEDED', 'and goes on as ever');
-- the end by a deadline frees the place in the tick
select tests.run_of(:job) as c \gset
update queue.runs set deadline_at = clock_timestamp() - interval '1 second' where id = :b;
select is(tests.tick() ->> 'runs_admitted', '1', 'a run that the tick ends frees its place');
select tests.cancel(:c);

-- ----------------------------------------------------------------------------------- without a queue

select tests.job_of('no queue', '{"max_concurrent_runs": 1, "queue": {"enabled": false}}') as job \gset
select tests.run_of(:job) as a \gset
select tests.run_of(:job) as b \gset
select is(tests.state(:b) || ' ' || (tests.run(:b)).termination_code, 'SKIPPED MAX_CONCURRENT_RUNS', 'without a queue a run too many is skipped');
select is(tests.states(:b), 'execute SKIPPED', 'with its tasks');
select is((select array_agg(type || ' ' || (data ->> 'state')) from callback.events where run_id = :b), '{"run.failed SKIPPED"}', 'and announced');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :b))) -> 'databricks_state',
    '{"life_cycle_state": "SKIPPED", "result_state": "MAXIMUM_CONCURRENT_RUNS_REACHED"}', 'in Databricks'' words');
select tests.run_of(:job, '{"queue": {"enabled": true}}') as c \gset
select is(tests.state(:c), 'BLOCKED', 'a run may ask to wait');
select tests.drain();
select is((select count(*) from queue.runs where job_id = :job and state = 'SUCCEEDED'), 2::bigint, 'and is carried out');
select tests.refused('north.operator', format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'x', 'tasks', jsonb_build_array(tests.submission())) || f.body::jsonb), f.code, 'refused: ' || f.body, f.path)
from (values ('{"max_concurrent_runs": 0}', 'FIELD_INVALID', '$.max_concurrent_runs'), ('{"max_concurrent_runs": 1001}', 'FIELD_INVALID', '$.max_concurrent_runs'),
             ('{"queue": {"enabled": 1}}', 'FIELD_INVALID', '$.queue.enabled'), ('{"queue": {"on": true}}', 'FIELD_UNKNOWN', '$.queue.on'), ('{"queue": true}', 'BODY_INVALID', '$.queue')) f (body, code, path);

select * from finish();
rollback;
