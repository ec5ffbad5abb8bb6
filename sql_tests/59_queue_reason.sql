-- queue: every run and every task that waits says why, in a word and in a sentence.
begin;
\ir fixtures.psql
select no_plan();

create function tests.get(p_run bigint)
returns jsonb language sql as $$ select tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) $$;
create function tests.why(p_run bigint)
returns text language sql as $$ select concat_ws(': ', g ->> 'queue_reason_code', g ->> 'queue_reason') from tests.get(p_run) g $$;
create function tests.why_tasks(p_run bigint)
returns text language sql as $$
    select string_agg(concat_ws(' ', t ->> 'task_key', t ->> 'queue_reason_code', t ->> 'queue_reason'), '; ') from jsonb_array_elements(tests.get(p_run) -> 'tasks') t
$$;

select tests.submit_graph('north.operator', '[{"key": "a"}, {"key": "b"}, {"key": "c", "after": ["a", "b"]}]') as run \gset
select is(tests.why(:run), 'NO_RUNNER: no runner offers spark_etl/duckdb', 'a run that nobody offers to carry says so');
select tests.as('runner', format('worker.register(%L::jsonb)', jsonb_build_object('name', 'r1', 'instance', tests.runner(), 'offers', array['spark_etl/duckdb'], 'capacity', 4, 'version', '1')));
select is(tests.why(:run), 'FREE_RUNNER: waits for a free runner', 'a run that waits its turn says so');
select is(tests.why_tasks(:run), 'a FREE_RUNNER waits for a free runner; b FREE_RUNNER waits for a free runner; c UPSTREAM waits for a, b', 'and each of its tasks');
select c as claim from tests.claim() c \gset
select is(tests.why_tasks(:run), 'a; b FREE_RUNNER waits for a free runner; c UPSTREAM waits for a, b', 'what runs waits for nothing');
select tests.settle(:'claim');
select is(tests.why_tasks(:run), 'a; b FREE_RUNNER waits for a free runner; c UPSTREAM waits for b', 'what has ended is not waited for');
select c as claim from tests.claim() c \gset
select is(tests.why(:run), '', 'a run that runs, and whose tasks wait for those that run, waits for nothing');
select tests.settle(:'claim');
select tests.settle(c) from tests.claim() c;
select is(tests.why(:run), '', 'nor does one that has ended');

select tests.submit('north.operator') as run \gset
select tests.fail(c, '{"retryable": true}') from tests.claim() c;
update queue.live_attempts set ready_at = '2030-01-01 12:34:56Z' where run_id = :run;
select is(tests.why(:run), 'RETRY: retry 1 waits until 12:34:56Z', 'a retry says until when it waits');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 1}') $$);
select tests.submit('north.operator') as first \gset
select tests.submit('north.operator') as run \gset
select c as claim from tests.claim() c \gset
select is(tests.why(:run), 'TENANT_LIMIT: tenant limit reached: 1 of 1 attempts are running', 'the tenant''s limit is said');
select tests.settle(:'claim');

select (tests.as('north.operator', format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'lane', 'max_concurrent_runs', 1, 'tasks', jsonb_build_array(
    tests.submission('{"task_key": "a"}'), tests.submission('{"task_key": "b", "depends_on": ["a"]}'))))) ->> 'job_id') as job \gset
select tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job)));
select (tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job))) ->> 'run_id') as run \gset
select is(tests.why(:run), 'MAX_CONCURRENT_RUNS: waits: 1 of 1 runs of this job are under way', 'so is the job''s');
select is(tests.why_tasks(:run), 'a MAX_CONCURRENT_RUNS waits: 1 of 1 runs of this job are under way; b UPSTREAM waits for a', 'and by each task');

select * from finish();
rollback;
