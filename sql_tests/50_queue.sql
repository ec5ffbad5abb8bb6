-- queue: claim, lease, renew, report, settle, retry, reap, cancel, graphs of tasks. Law 1: a stale lease changes nothing.
begin;
\ir fixtures.psql
select no_plan();

-- ----------------------------------------------------------------------------------------------- claim

select tests.submit('north.operator') as run \gset
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) ->> 'queue_reason', 'no runner offers spark_etl/duckdb', 'a run that nobody offers to carry says so');
select tests.as('runner', format('worker.register(%L::jsonb)', jsonb_build_object('name', 'r1', 'instance', tests.runner(), 'offers', array['spark_etl/duckdb'], 'capacity', 4, 'version', '1')));
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) ->> 'queue_reason', 'waits for a free runner', 'a run that waits its turn says so');

select is((select count(*) from tests.claim(10, '{}')), 0::bigint, 'who offers nothing gets nothing');
select is((select count(*) from tests.claim(10, '{spark_etl/spark,code_validation/default}')), 0::bigint, 'who offers something else gets nothing');
select tests.submit('north.operator', '{"job_type": "diagram_export", "code": null}') as other_type \gset
select is((select jsonb_agg(c -> 'requires') from tests.claim(10, '{diagram_export/default}') c), '["diagram_export/default"]', 'who offers one of two things gets that one');
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease)) from queue.live_attempts where run_id = :other_type;
select tests.claim() as claim \gset
select is(:'claim'::jsonb - array['attempt_id', 'task_run_id', 'deadline_at', 'lease_expires_at', 'token', 'remaining_ms', 'waited_ms'],
    jsonb_build_object('lease', 1, 'number', 1, 'run_id', :run, 'task_key', 'execute', 'tenant_id', tests.tenant('north'), 'tenant_slug', 'north', 'job_type', 'spark_etl',
        'engine', 'duckdb', 'requires', 'spark_etl/duckdb', 'job_id', null, 'name', 'spark_etl', 'spec', 'Count the rows of an example.', 'code', '{"files": {"job.py": "print(1)"}}'::jsonb,
        'params', '{}'::jsonb, 'inputs', '[]'::jsonb, 'outputs', '[]'::jsonb, 'secrets', '[]'::jsonb, 'network', false, 'timeout_seconds', 600, 'max_artifact_bytes', 52428800,
        'targets', '[]'::jsonb, 'adopted', false, 'external_id', null, 'executors', 0, 'traceparent', null, 'validation_fail_on', 'error', 'validation_policy', 'warn', 'model_granted', true, 'image', null),
    'a claim holds all that a runner needs');
select matches(:'claim'::jsonb ->> 'token', '^crat_[0-9]+_1_[0-9a-f]{64}$', 'a claim comes with a token for this attempt and lease');
select is((select count(*) from queue.live_attempts a where a.token_hash = sha256(convert_to(:'claim'::jsonb ->> 'token', 'UTF8'))), 1::bigint, 'of which only the hash is kept');
select cmp_ok((:'claim'::jsonb ->> 'remaining_ms')::numeric, '>', 599000::numeric, 'the deadline counts from the claim');
select is((select count(*) from tests.claim(10)), 0::bigint, 'what is claimed is claimed once');
select is((tests.run(:run)).state::text, 'RUNNING', 'the run runs');
select is(tests.states(:run), 'execute RUNNING', 'its task runs');
select is((select running from queue.slots where tenant_id = tests.tenant('north')), 1, 'a slot of the tenant is taken');

-- ----------------------------------------------------------------------------- the lease is the fence

create function tests.with_lease(p_claim jsonb, p_lease integer) returns jsonb language sql immutable as $$ select p_claim || jsonb_build_object('lease', p_lease) $$;

select is(tests.renew(:'claim') - 'lease_expires_at' - 'attempt_id', '{"lease": 1, "held": true, "advanced": false, "cancel": false, "overdue": false}'::jsonb, 'a heartbeat renews what is held');
select is((tests.renew(tests.with_lease(:'claim', l))) ->> 'held', 'false', 'a heartbeat with lease ' || l || ' holds nothing') from unnest(array[0, 2, -1]) l;
select is((tests.renew(:'claim', 'r2')) ->> 'held', 'false', 'a heartbeat of another runner holds nothing');
select lease_expires_at as until from queue.live_attempts where run_id = :run \gset
select tests.renew(tests.with_lease(:'claim', 2), 'r1', '{"percent": 77}'), tests.renew(:'claim', 'r2', '{"percent": 77}');
select is((select lease_expires_at from queue.live_attempts where run_id = :run), :'until'::timestamptz, 'and lengthens no lease');
select is((select percent::int from queue.task_runs where run_id = :run), 0, 'and brings no progress');
select is((tests.report(:'claim', '{"percent": 10}')) ->> 'held', 'true', 'a report of what is held is taken');
select is((tests.report(tests.with_lease(:'claim', 2), '{"percent": 90, "message": "stale", "external_id": "stale", "logs": [{"line": "stale"}]}')) ->> 'held', 'false', 'a stale report is refused');
select is((select (percent, progress_message)::text from queue.task_runs where run_id = :run), '(10,)', 'and changes nothing');
select is((select count(*) from queue.logs where run_id = :run), 0::bigint, 'and writes no log');
select is(tests.settle(tests.with_lease(:'claim', 2)) - 'attempt_id', '{"settled": false, "reason": "stale"}'::jsonb, 'a stale settlement is refused');
select is((tests.run(:run)).state::text, 'RUNNING', 'and changes nothing');
select tests.refused('runner', format('worker.open_output(%s, 2, ''t'', ''[{"name": "a", "type": "text"}]'')', :'claim'::jsonb ->> 'attempt_id'), 'STALE_LEASE', 'a stale lease opens no output');
select tests.refused('runner', format('worker.open_input(%s, 2, ''t'')', :'claim'::jsonb ->> 'attempt_id'), 'STALE_LEASE', 'a stale lease opens no input');
select is(tests.as('runner', format('worker.release_attempts(%L, %L)', tests.runner(), jsonb_build_array(tests.with_lease(:'claim', 2)))) #>> '{0,released}', 'false', 'a stale lease gives nothing back');

select is(tests.settle(:'claim') - 'attempt_id', '{"settled": true, "run_state": "SUCCEEDED"}'::jsonb, 'the lease that holds settles');
select is(tests.settle(:'claim') - 'attempt_id', '{"settled": false, "reason": "stale"}'::jsonb, 'once');
select is(tests.fail(:'claim') ->> 'settled', 'false', 'a settled attempt cannot fail any more');
select is((tests.renew(:'claim')) ->> 'held', 'false', 'nor be renewed');
select is((tests.report(:'claim', '{"percent": 99}')) ->> 'held', 'false', 'nor report');
select is((select (state, termination_code, task_count)::text from queue.runs where id = :run), '(SUCCEEDED,SUCCESS,1)', 'the run has succeeded');
select is((select (state, percent, termination_code)::text from queue.task_runs where run_id = :run), '(SUCCEEDED,100,SUCCESS)', 'so has its task, to 100 percent');
select is((select (state, number, lease, termination_code)::text from queue.past_attempts where run_id = :run), '(SUCCEEDED,1,1,SUCCESS)', 'the attempt is history');
select is((select count(*) from queue.live_attempts where run_id = :run), 0::bigint, 'the hot table holds it no more');
select is((select running from queue.slots where tenant_id = tests.tenant('north')), 0, 'its slot is free');

-- one batch that holds a stale outcome beside the good one, and the same outcome twice
select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.as('runner', format('worker.settle_attempts(%L, %L)', tests.runner(), jsonb_build_array(
    jsonb_build_object('attempt_id', :'claim'::jsonb -> 'attempt_id', 'lease', 0, 'outcome', '{"state": "FAILED", "termination_code": "USER_CODE_FAILED"}'::jsonb),
    jsonb_build_object('attempt_id', :'claim'::jsonb -> 'attempt_id', 'lease', 1, 'outcome', '{"state": "SUCCEEDED"}'::jsonb),
    jsonb_build_object('attempt_id', :'claim'::jsonb -> 'attempt_id', 'lease', 1, 'outcome', '{"state": "SUCCEEDED"}'::jsonb))));
select results_eq(format('select state::text, lease from queue.past_attempts where run_id = %s', :run), $$ values ('SUCCEEDED', 1) $$, 'a batch with a stale and a double outcome ends the attempt once, by the good one');
select is((select running from queue.slots where tenant_id = tests.tenant('north')), 0, 'and frees one slot');
select is((select count(*) from callback.events where run_id = :run), 1::bigint, 'and announces once');

-- a batch with one outcome that cannot be recorded
select tests.submit('north.operator') as good \gset
select tests.submit('north.operator') as bad \gset
select jsonb_agg(c) as claims from tests.claim(2) c \gset
select tests.as('runner', format('worker.settle_attempts(%L, %L)', tests.runner(), (select jsonb_agg(jsonb_build_object('attempt_id', c -> 'attempt_id', 'lease', c -> 'lease', 'outcome',
    jsonb_build_object('state', case when (c ->> 'run_id')::bigint = :bad then 'NONSENSE' else 'SUCCEEDED' end))) from jsonb_array_elements(:'claims') c))) as answer \gset
select is((select array_agg(state::text order by id) from queue.runs where id in (:good, :bad)), '{SUCCEEDED,FAILED}', 'one bad outcome does not sink the batch');
select is((tests.run(:bad)).termination_code, 'PUBLISH_FAILED', 'it fails by itself, and says why');
select is((select jsonb_agg(x -> 'settled') from jsonb_array_elements(:'answer') x), '[true, true]', 'both are settled');

-- ------------------------------------------------------------------------------------ a lease that is lost

select tests.submit('north.operator') as run \gset
select tests.claim() as claim1 \gset
select tests.report(:'claim1', '{"external_id": "k8s/job-1"}');
select is(tests.lose(:'claim1') -> 'reaped', '1', 'a lease that ran out is reaped');
select is(tests.states(:run), 'execute QUEUED', 'the task waits again');
select is((select running from queue.slots where tenant_id = tests.tenant('north')), 0, 'its slot is free');
select tests.claim(1, '{spark_etl/duckdb}', 'r2') as claim2 \gset
select is(:'claim2'::jsonb ->> 'attempt_id', :'claim1'::jsonb ->> 'attempt_id', 'the same attempt is claimed again');
select is((:'claim2'::jsonb ->> 'lease', :'claim2'::jsonb ->> 'number')::text, '(2,1)', 'under a higher lease, not as a retry');
select is((:'claim2'::jsonb ->> 'adopted', :'claim2'::jsonb ->> 'external_id')::text, '(true,k8s/job-1)', 'with the work that may still live outside');
select is(:'claim2'::jsonb ->> 'deadline_at', :'claim1'::jsonb ->> 'deadline_at', 'which keeps its deadline');
select is(tests.settle(:'claim1') ->> 'settled', 'false', 'the runner that was lost comes too late');
select is((tests.renew(:'claim1')) ->> 'held', 'false', 'and holds nothing');
select tests.refused('anon', format('public.attempt_report(%L::jsonb)', jsonb_build_object('token', :'claim1'::jsonb ->> 'token', 'event', 'complete')), 'ATTEMPT_TOKEN_INVALID', 'its token is void');
select is(tests.settle(:'claim2') ->> 'settled', 'true', 'the one that took over settles');
select is((select count(*) from queue.past_attempts where run_id = :run), 1::bigint, 'one attempt in history');

select tests.settings(15, 1);
select tests.submit('north.operator', '{"max_retries": 3}') as run \gset
select tests.lose(c) from tests.claim() c;
select is(tests.states(:run), 'execute QUEUED', 'a first loss is forgiven');
select tests.lose(c) from tests.claim() c;
select is((select (state, termination_code)::text from queue.past_attempts where run_id = :run), '(LOST,RUNNER_LOST)', 'losses have their own budget, not the retries''');
select is((select (state, termination_code)::text from queue.runs where id = :run), '(FAILED,RUNNER_LOST)', 'beyond it the run fails by the platform''s fault');
select tests.settings();

-- in the place it had: what came after it waits on
select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.submit('north.operator') as later \gset
select tests.lose(:'claim');
select is((select c -> 'run_id' from tests.claim() c), to_jsonb(:run::bigint), 'what lost its runner goes before what came later');
select tests.as('north.operator', format('public.cancel_run(''{"run_id": %s}'')', :later));
select tests.settle((select jsonb_build_object('attempt_id', id, 'lease', lease) from queue.live_attempts where run_id = :run));

-- given back on purpose: neither a retry nor a loss
select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select is(tests.as('runner', format('worker.release_attempts(%L, %L)', tests.runner(), jsonb_build_array(:'claim'::jsonb))) #>> '{0,released}', 'true', 'a runner that drains gives back');
select is((select (state, number, lost, lease)::text from queue.live_attempts where run_id = :run), '(QUEUED,1,0,1)', 'without spending a retry or a loss');
select is((tests.renew(:'claim')) ->> 'held', 'false', 'and holds it no more');
select is(tests.settle(:'claim') ->> 'settled', 'false', 'nor ends what it gave back');
select is((select c ->> 'adopted' from tests.claim() c), 'false', 'the next runner starts afresh');
select tests.settle((select jsonb_build_object('attempt_id', id, 'lease', lease) from queue.live_attempts where run_id = :run));

-- --------------------------------------------------------------------------------------------- retries

select tests.submit('north.operator', '{"max_retries": 2}') as run \gset
select is(tests.fail((select c from tests.claim() c), '{"retryable": true}') ->> 'run_state', 'RUNNING', 'a failure that may be tried again does not end the run');
select is((select (state, number, lease)::text from queue.live_attempts where run_id = :run), '(QUEUED,2,0)', 'a new attempt waits');
-- how long a retry waits after the failure before it
create function tests.wait(p_run bigint)
returns numeric language sql volatile as $$
    select extract(epoch from a.ready_at - (select max(p.finished_at) from queue.past_attempts p where p.run_id = p_run)) from queue.live_attempts a where a.run_id = p_run
$$;
select ok(tests.wait(:run) between 1 and 1.25, 'for about a second');
update queue.live_attempts set ready_at = ready_at + interval '1 hour' where run_id = :run;
select is((select count(*) from tests.claim()), 0::bigint, 'it is not claimed before its time');
select matches(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) ->> 'queue_reason', '^retry 1 waits until', 'and says so');
select tests.hurry();
select tests.fail((select c from tests.claim() c), '{"retryable": true}');
select ok(tests.wait(:run) between 2 and 2.5, 'the next waits twice as long');
select tests.hurry();
select is(tests.fail((select c from tests.claim() c), '{"retryable": true}') ->> 'run_state', 'FAILED', 'two retries are three attempts, then it has failed');
select is((select array_agg(number::int order by id) from queue.past_attempts where run_id = :run), '{1,2,3}', 'all of them are on record');
select is((select (state, termination_code, termination_message)::text from queue.runs where id = :run), '(FAILED,USER_CODE_FAILED,"exit code 1")', 'with what was wrong');
select is((select bool_and(x.delay between make_interval(secs => power(2, n - 1)) and make_interval(secs => power(2, n - 1) * 1.25)) from (select queue.backoff(n) as delay from generate_series(1, 50)) x), true,
    format('retry %s waits %s s and up to a quarter more', n, power(2, n - 1))) from unnest(array[1, 2, 3, 4]) n;
select cmp_ok((select max(queue.backoff(30)) from generate_series(1, 20)), '<=', interval '375 seconds', 'no retry waits longer than 5 minutes and a quarter');

select tests.submit('north.operator', '{"max_retries": 3}') as run \gset
select is(tests.fail((select c from tests.claim() c), '{"retryable": false, "termination_code": "INVALID_CODE"}') ->> 'run_state', 'FAILED', 'a permanent failure is not tried again');
select tests.submit('north.operator', '{"max_retries": 3}') as run \gset
select tests.fail((select c from tests.claim() c), '{"retryable": true, "retry_after_ms": 60000}');
select is(tests.wait(:run), 60::numeric, 'an executor may say when to come again');
select tests.hurry();
select tests.fail((select c from tests.claim() c), '{"retryable": true, "retry_after_ms": 86400000}');
select is(tests.wait(:run), 3600::numeric, 'but within the hour');
select tests.hurry();
select tests.settle((select c from tests.claim() c), '{"message": "exit code 0"}');
select is((select (state, termination_code, termination_message)::text from queue.runs where id = :run), '(SUCCEEDED,SUCCESS,)', 'a retry that succeeds is a success without a stain');
select tests.submit('north.operator', '{"max_retries": 3}') as run \gset
select is(tests.settle((select c from tests.claim() c), '{"state": "TIMED_OUT", "termination_code": "DEADLINE_EXCEEDED", "retryable": true}') ->> 'run_state', 'TIMED_OUT', 'a time-out is not tried again');

-- -------------------------------------------------------------------------------------------- deadline

select tests.submit('north.operator', '{"timeout_seconds": 1}') as run \gset
select tests.claim() as claim \gset
update queue.live_attempts set deadline_at = clock_timestamp() - interval '1 second' where run_id = :run;
select is((tests.renew(:'claim'))  ->> 'overdue', 'true', 'past its deadline a heartbeat says so');
update queue.live_attempts set deadline_at = clock_timestamp() - interval '1 minute' where run_id = :run;
select is((tests.renew(:'claim')) ->> 'held', 'false', 'past deadline and grace nothing renews');
select is(tests.tick() -> 'reaped', '0', 'while the lease lasts it is not reaped');
select tests.lose(:'claim');
select is((select (state, termination_code)::text from queue.runs where id = :run), '(TIMED_OUT,DEADLINE_EXCEEDED)', 'then it has timed out');
select is(tests.settle(:'claim') ->> 'settled', 'false', 'what comes later is stale');

-- --------------------------------------------------------------------------------------- progress, logs

select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.report(:'claim', '{"percent": 40, "message": "half", "logs": [{"stream": "stdout", "line": "a"}, {"stream": "stderr", "line": "b"}]}');
select tests.report(:'claim', '{"percent": 30, "logs": [{"line": "c"}]}');
select is((select (percent, progress_message)::text from queue.task_runs where run_id = :run), '(40,half)', 'progress never goes back');
select tests.renew(:'claim', 'r1', '{"percent": 60, "message": "more"}') ->> 'advanced' as advanced \gset
select is(:'advanced'::text, 'true', 'progress may ride on a heartbeat');
select is(tests.renew(:'claim', 'r1', '{"percent": 60, "message": "more"}') ->> 'advanced', 'false', 'the same progress is no news');
select tests.report(:'claim', '{"percent": 1000}');
select is((select (percent, progress_message)::text from queue.task_runs where run_id = :run), '(100,more)', 'progress ends at 100');
select results_eq(format('select seq, stream, line from queue.logs where run_id = %s order by seq', :run),
    $$ values (1::bigint, 'stdout', 'a'), (2::bigint, 'stderr', 'b'), (3::bigint, 'stdout', 'c') $$, 'log lines are numbered without holes');
update queue.settings set max_log_lines = 5;
select tests.report(:'claim', jsonb_build_object('logs', (select jsonb_agg(jsonb_build_object('line', 'l' || n)) from generate_series(1, 100) n)));
select tests.report(:'claim', '{"logs": [{"line": "too much"}]}');
select is((select array_agg(line order by seq) from queue.logs where run_id = :run), array['a', 'b', 'c', 'l1', '[log truncated here; the whole log is an artifact of the run]'], 'a flood of log lines is cut, and says so');
update queue.settings set max_log_lines = default;
select is(length((select line from queue.logs where run_id = :run and seq = 1)), 1, 'a short line is kept');
select tests.report(:'claim', '{"logs": []}');
select tests.settle(:'claim');

select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.report(:'claim', jsonb_build_object('logs', jsonb_build_array(jsonb_build_object('line', repeat('x', 20000)))));
select is((select length(line) from queue.logs where run_id = :run), 16384, 'a line has up to 16384 characters');
select tests.settle(:'claim', '{"values": {"rows": 7}}');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) #> '{tasks,0,values}', '{"rows": 7}', 'values of a task are kept with it');

-- ---------------------------------------------------------------------------------------------- cancel

create function tests.cancel(p_run bigint, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) $$;

select tests.submit('north.operator') as run \gset
select is(tests.cancel(:run) ->> 'state', 'CANCELED', 'what waits ends at once');
select is(tests.states(:run), 'execute CANCELED', 'with its task');
select is((select (state, termination_code, message)::text from queue.past_attempts where run_id = :run), '(CANCELED,USER_CANCELED,"canceled by north.operator")', 'and its attempt, and who did it');
select is((select count(*) from tests.claim()), 0::bigint, 'nobody claims it');
select tests.refused('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)), 'RUN_FINISHED', 'what has ended cannot be canceled', 'state CANCELED');

select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select is(tests.cancel(:run) ->> 'state', 'RUNNING', 'what runs is told to stop');
select is((tests.renew(:'claim')) ->> 'cancel', 'true', 'its heartbeat learns of it');
select is((tests.report(:'claim', '{"percent": 1}')) ->> 'cancel', 'true', 'so does its report');
select is(tests.settle(:'claim', '{"state": "CANCELED", "termination_code": "USER_CANCELED"}') ->> 'run_state', 'CANCELED', 'and settles itself');
select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.cancel(:run);
select tests.lose(:'claim');
select is((select (state, termination_code)::text from queue.runs where id = :run), '(CANCELED,USER_CANCELED)', 'a canceled run whose runner is lost is canceled, not tried again');
select tests.submit('north.operator', '{"max_retries": 3}') as run \gset
select tests.claim() as claim \gset
select tests.cancel(:run);
select is(tests.fail(:'claim', '{"retryable": true}') ->> 'run_state', 'FAILED', 'what fails after a cancel is not tried again');
select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.cancel(:run);
select tests.as('runner', format('worker.release_attempts(%L, %L)', tests.runner(), jsonb_build_array(:'claim'::jsonb)));
select is((tests.run(:run)).state::text, 'CANCELED', 'a canceled run that is given back ends, it does not wait again');
select tests.submit('north.operator', '{"max_retries": 3}') as run \gset
select tests.fail((select c from tests.claim() c), '{"retryable": true}');
select is(tests.cancel(:run) ->> 'state', 'CANCELED', 'what waits for its retry ends at once');
select tests.refused('north.viewer', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)), 'ROLE_INSUFFICIENT', 'a viewer cancels nothing');

-- ------------------------------------------------------------------------------- the tenant's limit, fairness

select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 3}') $$);
select tests.submit('north.operator') from generate_series(1, 8);
select is((select count(*) from tests.claim(2)), 2::bigint, 'a runner gets what it asks for');
select is((select count(*) from tests.claim(100)), 1::bigint, 'up to the tenant''s limit');
select is((select count(*) from tests.claim(100)), 0::bigint, 'and not one more');
select is((select running from queue.slots where tenant_id = tests.tenant('north')), 3, 'the counter says so');
select is((select count(*) from queue.live_attempts where tenant_id = tests.tenant('north') and state = 'RUNNING'), 3::bigint, 'and counts right');
select matches(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', (select max(run_id) from queue.live_attempts where state = 'QUEUED')))) ->> 'queue_reason',
    '^tenant limit reached: 3 of 3', 'what waits for a slot says so');
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease)) from queue.live_attempts where state = 'RUNNING' order by id limit 1;
select is((select count(*) from tests.claim(100)), 1::bigint, 'one that ends makes room for one');
select tests.submit('south.operator');
select is((select jsonb_agg(c -> 'tenant_slug') from tests.claim(100) c), '["south"]', 'a tenant at its limit does not hold up another');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 0}') $$);
select is((select count(*) from tests.claim(100)), 0::bigint, 'a limit of none stops a tenant');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 100}') $$);
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease)) from queue.live_attempts where state = 'RUNNING';
select tests.drain();
select is((select sum(running) from queue.slots), 0::bigint, 'when all is done no slot is taken');

select tests.submit('north.operator', jsonb_build_object('priority', p, 'name', 'p' || p)) from unnest(array[0, 50, -50, 100, 50]) p;
create function tests.claim_in_turn(p_times integer, p_field text)
returns text language plpgsql as $$
declare
    v text[] := '{}';
begin
    for i in 1 .. p_times loop
        v := v || (select c ->> p_field from tests.claim() c);
    end loop;
    return array_to_string(v, ' ');
end
$$;
select is(tests.claim_in_turn(5, 'name'), 'p100 p50 p50 p0 p-50', 'higher priority first, then first come');
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease)) from queue.live_attempts where state = 'RUNNING';

select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 1}') $$);
select tests.submit('north.operator', jsonb_build_object('priority', p, 'name', 'p' || p)) from unnest(array[0, 50]) p;
select is(tests.claim_in_turn(1, 'name'), 'p50', 'also when there is room for one only');
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease)) from queue.live_attempts where state = 'RUNNING';
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 100}') $$);
select tests.drain();

select tests.submit('north.operator') from generate_series(1, 20);
select tests.submit('south.operator') from generate_series(1, 3);
select is((select jsonb_object_agg(slug, n) from (select c ->> 'tenant_slug' as slug, count(*) as n from tests.claim(6) c group by 1) x), '{"north": 3, "south": 3}', 'a batch starts with the tenant that was served longest ago, however much another has');
select tests.drain();
select tests.submit('south.operator') from generate_series(1, 4);
select tests.submit('north.operator') from generate_series(1, 4);
select is(tests.claim_in_turn(8, 'tenant_slug') in ('north south north south north south north south', 'south north south north south north south north'),
    true, 'one by one, tenants take turns');
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease)) from queue.live_attempts where state = 'RUNNING';

-- ---------------------------------------------------------------------- who sees, and what never happens

select is(tests.count('north.viewer', 'select * from queue.payloads'), 0::bigint, 'a viewer reads no code and no parameters');
select is(tests.count('north.viewer', 'select * from queue.logs'), 0::bigint, 'a viewer reads no logs');
select tests.refused('north.viewer', format('public.run_logs(%L::jsonb)', jsonb_build_object('run_id', :run)), 'ROLE_INSUFFICIENT', 'by no door');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) ?| array['spec', 'requests', 'params', 'code'], false, 'a viewer''s run holds no spec, code or parameters');
select is(tests.as('north.operator', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) ->> 'spec', 'Count the rows of an example.', 'an operator''s does');
select cmp_ok(tests.count('north.operator', 'select * from queue.logs'), '>', 0::bigint, 'an operator reads the logs');
select is(tests.error('north.operator', '(select token_hash from queue.live_attempts limit 1)') ->> 'code', '42501', 'nobody reads an attempt''s token');
select is(tests.error('north.admin', '(select idempotency_key from queue.runs limit 1)') ->> 'code', '42501', 'nobody reads others'' idempotency keys');
select is(tests.count('anon', 'select 1 from ground.error_codes where false'), 0::bigint, 'anon reads the error list and');
select is(tests.error('anon', '(select count(*) from queue.runs)') ->> 'code', '42501', 'no runs');

select id as ended from queue.runs where finished_at is not null order by id desc limit 1 \gset
select throws_ok(format('update queue.runs set finished_at = null where id = %s', :ended), '23514', null, 'finished if and only if finished_at');
select throws_ok(format('update queue.runs set termination_code = null where id = %s', :ended), '23514', null, 'what has ended says why');
select throws_ok(format('update queue.task_runs set state = ''RUNNING'' where run_id = %s', :ended), '23514', null, 'so with tasks');
select tests.submit('north.operator') as run \gset
select throws_ok(format('insert into queue.live_attempts (tenant_id, run_id, task_run_id, requires) select tenant_id, run_id, task_run_id, requires from queue.live_attempts where run_id = %s', :run), '23505', null, 'a task has one live attempt');
select throws_ok(format('update queue.live_attempts set state = ''RUNNING'' where run_id = %s', :run), '23514', null, 'running means leased');
select throws_ok($$ update queue.slots set running = -1 $$, '23514', null, 'no tenant has a negative number of running attempts');
select throws_ok(format('insert into queue.payloads (tenant_id, task_run_id, spec, params, inputs, outputs, secrets) select %L, task_run_id, ''x'', ''{}'', ''[]'', ''[]'', ''[]'' from queue.live_attempts where run_id = %s', tests.tenant('south'), :run), '23503', null, 'a foreign key does not cross tenants');
select throws_ok($$ update queue.settings set heartbeat_seconds = lease_seconds $$, '23514', null, 'a heartbeat is quicker than a lease');

-- ------------------------------------------------------------------------------- what a crash forgets

select tests.submit('north.operator') as one, tests.submit('north.operator') as two \gset
select is((tests.claim()) ->> 'lease', '1', 'leases count from one');
select is(current_setting('synchronous_commit'), 'off', 'a claim is not waited for on the disk');
set local synchronous_commit = on;
delete from queue.unbroken;  -- as a crash, a failover or a restore does it
select is((tests.claim()) ->> 'lease', '4097', 'after a crash no lease is given out that may have been before');
select is(current_setting('synchronous_commit'), 'on', 'the claim that begins the epoch is waited for');
select results_eq('select epoch from queue.unbroken', 'select lease_epoch from queue.settings', 'the epoch is known from then on');
select is((select relpersistence from pg_class where oid = 'queue.unbroken'::regclass), 'u', 'what stands for an unbroken life goes with a crash');

select * from finish();
rollback;
