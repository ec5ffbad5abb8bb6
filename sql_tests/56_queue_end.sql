-- queue: how runs end: deadlines of runs and attempts, the reasons, who is at fault, Databricks' words.
begin;
\ir fixtures.psql
select no_plan();

create function tests.get(p_run bigint, p_path text)
returns jsonb language sql as $$ select tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) #> p_path::text[] $$;
-- a run's deadline is past now, and a tick finds it
create function tests.overrun(p_run bigint)
returns jsonb language plpgsql as $$
begin
    update queue.runs set deadline_at = clock_timestamp() - interval '1 second' where id = p_run;
    return tests.tick();
end
$$;

-- --------------------------------------------------------------------------- a run's own deadline

select tests.submit('north.operator', '{"run_timeout_seconds": 60}') as run \gset
select is((tests.run(:run)).deadline_at, null, 'a run that waits has no deadline yet');
select c as claim from tests.claim() c \gset
select is((tests.run(:run)).deadline_at - (tests.run(:run)).started_at, interval '60 seconds', 'it runs from the first claim');
select tests.fail(:'claim', '{"retryable": true}');
select tests.hurry();
select (tests.run(:run)).deadline_at as deadline \gset
select c as claim from tests.claim() c \gset
select is((tests.run(:run)).deadline_at, :'deadline'::timestamptz, 'and no retry moves it');
select is(tests.tick() ->> 'runs_stopped', '0', 'a run in time is left alone');
select cmp_ok((tests.tick() ->> 'due_in_ms')::numeric, '<=', 60000::numeric, 'a tick knows when the next deadline is');
select is(tests.overrun(:run) ->> 'runs_stopped', '1', 'a tick stops a run past its deadline');
select is(tests.tick() ->> 'runs_stopped', '0', 'once');
select is(tests.renew(:'claim') ->> 'cancel', 'true', 'what runs is told to stop');
select is(tests.get(:run, '{databricks_state,life_cycle_state}'), '"TERMINATING"', 'the run is ending');
select is((select count(*) from callback.events where run_id = :run), 0::bigint, 'but has not ended');
select is(tests.settle(:'claim', '{"state": "CANCELED", "termination_code": "USER_CANCELED"}') ->> 'run_state', 'TIMED_OUT', 'when it has stopped, the run is TIMED_OUT');
select is((tests.run(:run)).termination_code::text, 'RUN_TIMED_OUT', 'for the reason that it took too long');
select is((select concat_ws(' ', state, termination_code) from queue.past_attempts where run_id = :run order by number desc limit 1), 'TIMED_OUT RUN_TIMED_OUT', 'so says the attempt');
select is((select array_agg(type) from callback.events where run_id = :run), '{run.failed}', 'and one event tells of it');
select is((select count(*) from queue.live_attempts where run_id = :run), 0::bigint, 'nothing is tried again');
select is(tests.get(:run, '{databricks_state}'), '{"life_cycle_state": "TERMINATED", "result_state": "TIMEDOUT"}', 'in Databricks'' words');

select tests.submit('north.operator', '{"run_timeout_seconds": 60}') as run \gset
select tests.fail(c, '{"retryable": true}') from tests.claim() c;
select tests.overrun(:run);
select is((tests.run(:run)).state::text || ' ' || (tests.run(:run)).termination_code, 'TIMED_OUT RUN_TIMED_OUT', 'a run whose retry waits past its deadline ends at once');
select is((select array_agg(type) from callback.events where run_id = :run), '{run.failed}', 'and says so');

select tests.submit('north.operator', '{"run_timeout_seconds": 60}') as run \gset
select c as claim from tests.claim() c \gset
select tests.overrun(:run);
select is(tests.settle(:'claim') ->> 'run_state', 'SUCCEEDED', 'what was done before it heard of it is done');

select (tests.as('north.operator', format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'timed', 'run_timeout_seconds', 30, 'tasks', jsonb_build_array(
    tests.submission('{"task_key": "a"}'), tests.submission('{"task_key": "b"}'), tests.submission('{"task_key": "c", "depends_on": ["a", "b"]}'))))) ->> 'job_id') as job \gset
select (tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job))) ->> 'run_id') as run \gset
select is((tests.run(:run)).timeout_seconds::integer, 30, 'a job says how long its runs may take');
select c as claim from tests.claim() c \gset
select tests.settle(c) from tests.claim() c;
select tests.overrun(:run);
select is(tests.states(:run), 'a RUNNING, b SUCCEEDED, c TIMED_OUT', 'what waits ends, what ran stays');
select tests.settle(:'claim', '{"state": "CANCELED"}');
select is((tests.run(:run)).state::text || ' ' || (tests.run(:run)).termination_code, 'TIMED_OUT RUN_TIMED_OUT', 'a run of several tasks is TIMED_OUT too');
select (tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'run_timeout_seconds', 90))) ->> 'run_id') as run \gset
select is((tests.run(:run)).timeout_seconds::integer, 90, 'a run may ask for more');
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)));
select is((tests.run(:run)).termination_code::text, 'USER_CANCELED', 'who cancels first is the reason');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('run_timeout_seconds', n))), 'TIMEOUT_OUT_OF_RANGE', 'no run takes ' || n || ' s', '$.run_timeout_seconds') from unnest(array[0, -1, 2592001]) n;

-- a lost runner of a run that was told to stop: the reason is the deadline's
select tests.submit('north.operator', '{"run_timeout_seconds": 60}') as run \gset
select c as claim from tests.claim() c \gset
select tests.overrun(:run);
select tests.lose(:'claim');
select is((tests.run(:run)).termination_code::text, 'RUN_TIMED_OUT', 'a run past its deadline whose runner was lost is RUN_TIMED_OUT');

-- ------------------------------------------------------------------------------- retries and their waits

select tests.submit('north.operator', '{"max_retries": 2}') as run \gset
select tests.settle(c, '{"state": "TIMED_OUT", "termination_code": "DEADLINE_EXCEEDED"}') from tests.claim() c;
select is((tests.run(:run)).state::text, 'TIMED_OUT', 'what took too long is not tried again');
select tests.submit('north.operator', '{"max_retries": 1, "retry_on_timeout": true}') as run \gset
select tests.settle(c, '{"state": "TIMED_OUT", "termination_code": "DEADLINE_EXCEEDED"}') from tests.claim() c;
select is((tests.run(:run)).state::text, 'RUNNING', 'unless it asks for it');
select tests.hurry();
select tests.settle(c, '{"state": "TIMED_OUT", "termination_code": "DEADLINE_EXCEEDED"}') from tests.claim() c;
select is((tests.run(:run)).state::text || ' ' || (tests.run(:run)).termination_code, 'TIMED_OUT DEADLINE_EXCEEDED', 'as often as it may be tried');
select tests.submit('north.operator', '{"min_retry_interval_ms": 90000}') as run \gset
select tests.fail(c, '{"retryable": true}') from tests.claim() c;
select ok(ready_at - clock_timestamp() between interval '85 seconds' and interval '90 seconds', 'a retry waits at least as long as was asked') from queue.live_attempts where run_id = :run;
select tests.submit('north.operator') as run \gset
select tests.fail(c, '{"retryable": true}') from tests.claim() c where c ->> 'run_id' = :'run';
select ok(ready_at - clock_timestamp() between interval '0.8 seconds' and interval '1.25 seconds', 'else one second and a little') from queue.live_attempts where run_id = :run;
select is(tests.get(:run, '{tasks,0,max_retries}'), '3', 'three retries unless said otherwise');
select ok(extract(epoch from queue.backoff(n)) between power(2, n - 1) and power(2, n - 1) * 1.25, format('the wait before retry %s is %s s and up to a quarter more', n, power(2, n - 1))) from generate_series(1, 4) n;
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission(f.body::jsonb)), 'FIELD_INVALID', 'refused: ' || f.body, f.path)
from (values ('{"retry_on_timeout": "yes"}', '$.retry_on_timeout'), ('{"min_retry_interval_ms": -1}', '$.min_retry_interval_ms'), ('{"min_retry_interval_ms": 3600001}', '$.min_retry_interval_ms')) f (body, path);

-- ---------------------------------------------------------------------------------------- the reasons

select is(array(select c.code::text from queue.termination_codes c order by 1),
          array(select m[1] from pg_constraint k, regexp_matches(pg_get_constraintdef(k.oid), '''([A-Z_]+)''', 'g') m where k.contypid = 'queue.termination_code'::regtype order by 1),
          'every reason has its meaning');
select throws_ok($$ update queue.runs set termination_code = 'WHIM' where finished_at is not null $$, '23514', null, 'there are no others');
select tests.submit('north.operator') as run \gset
select is(tests.fail(c, '{"termination_code": "WHIM"}') ->> 'reason', 'publish_failed', 'an outcome with a reason of its own does not pass') from tests.claim() c where c ->> 'run_id' = :'run';
select tests.drain();

-- every ending that this file has seen, and every reason there is, has words of Databricks'
select is(queue.databricks_state(s::queue.state, k, false) ->> 'result_state', w, format('%s %s is %s', s, k, w)) from (values
    ('SUCCEEDED', 'SUCCESS', 'SUCCESS'), ('FAILED', 'USER_CODE_FAILED', 'FAILED'), ('TIMED_OUT', 'DEADLINE_EXCEEDED', 'TIMEDOUT'), ('CANCELED', 'USER_CANCELED', 'CANCELED'),
    ('SKIPPED', 'MAX_CONCURRENT_RUNS', 'MAXIMUM_CONCURRENT_RUNS_REACHED'), ('SKIPPED', 'UPSTREAM_FAILED', 'UPSTREAM_FAILED'), ('SKIPPED', 'EXCLUDED', 'EXCLUDED'), ('RUNNING', null, null)) x (s, k, w);
select is(queue.databricks_state(s::queue.state, k, c) ->> 'life_cycle_state', w, format('%s %s is %s', s, k, w)) from (values
    ('QUEUED', null, false, 'PENDING'), ('BLOCKED', null, false, 'BLOCKED'), ('RUNNING', null, false, 'RUNNING'), ('RUNNING', null, true, 'TERMINATING'),
    ('SUCCEEDED', 'SUCCESS', false, 'TERMINATED'), ('FAILED', 'RUNNER_LOST', false, 'INTERNAL_ERROR'), ('SKIPPED', 'MAX_CONCURRENT_RUNS', false, 'SKIPPED')) x (s, k, c, w);

-- the platform's failures alone lower its success rate
select tests.as('south.viewer', 'public.slo()') #> '{runs,failed_by_platform}' as before \gset
select tests.submit('south.operator', '{"max_retries": 0}') from generate_series(1, 2);
select tests.fail(c, jsonb_build_object('termination_code', (array['USER_CODE_FAILED', 'RUNNER_LOST'])[n])) from (select c, row_number() over () as n from tests.claim(2) c) x;
select is(tests.as('south.viewer', 'public.slo()') #> '{runs,failed_by_platform}', '1', 'one of two failures was the platform''s');

select * from finish();
rollback;
