-- job: how many executors a task asks for: those of Spark, as many as its tenant may have, by a runner that has them.
begin;
\ir fixtures.psql
select no_plan();

create function tests.with_executors(p_executors jsonb, p_more jsonb default '{}')
returns text language sql as $$ select format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('engine', 'spark', 'executors', p_executors) || p_more)) $$;

select tests.refused('north.operator', tests.with_executors(f.n::jsonb), 'EXECUTORS_OUT_OF_RANGE', 'as many as one may have, and at least one: ' || f.n, '$.executors')
from unnest(array['0', '-1', '9', '100000', '1.5', '"2"', '[]', 'true']) f (n);
select tests.refused('north.operator', tests.with_executors('2', '{"engine": "duckdb"}'), 'FIELD_INVALID', 'another engine has none', '$.executors');
select tests.refused('north.operator', tests.with_executors('2', '{"engine": null}'), 'FIELD_INVALID', 'the default is another engine', '$.executors');
select tests.refused('north.operator', tests.with_executors('2', '{"engine": null, "job_type": "code_validation"}'), 'FIELD_INVALID', 'another job type has none', '$.executors');

select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_executors": 2}') $$);
select tests.refused('north.operator', tests.with_executors('3'), 'EXECUTORS_OUT_OF_RANGE', 'the limit is the tenant''s', '$.executors');
select tests.refused('platform', $$ public.platform_set_limits('{"tenant": "north", "max_executors": 101}') $$, 'FIELD_INVALID', 'and has one itself', '$.max_executors');

create function tests.hands(p_run bigint)
returns text language sql as $$
    select string_agg(t.task_key || ' ' || coalesce(t.executors::text, '-') || ' ' || coalesce(a.requires, '-'), ', ' order by t.task_key)
    from queue.task_runs t left join queue.live_attempts a on a.task_run_id = t.id and a.tenant_id = t.tenant_id where t.run_id = p_run
$$;
select (tests.as('north.operator', tests.with_executors('null'))) ->> 'run_id' as run \gset
select is(tests.hands(:run), 'execute - spark_etl/spark', 'who asks for none works in one place');
select queue.cancel(tests.tenant('north'), :run, 'USER_CANCELED');
select (tests.as('north.operator', tests.with_executors('2'))) ->> 'run_id' as run \gset
select is(tests.hands(:run), 'execute 2 spark_etl/spark+executors', 'who asks for some waits for a runner that has them');
select is((select reason from queue.reason(tests.tenant('north'), :run)), 'no runner offers spark_etl/spark+executors (executors need one with CONTROL_ROOM_KUBE_SHARED_STORAGE)',
    'where there is none, the run says so, and what is missing');
select is((select count(*) from tests.claim(10, '{spark_etl/spark}')), 0::bigint, 'who has none does not get it');
select tests.claim(1, '{spark_etl/spark+executors}') as claim \gset
select is(:'claim'::jsonb -> 'executors', '2'::jsonb, 'the claim says how many');
select is((tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run)))) #> '{tasks,0,executors}', '2'::jsonb, 'and the run');

-- ---------------------------------------------------------------------------------- wherever it is said

select tests.settle(:'claim'::jsonb);
select tests.submission('{"engine": "spark", "executors": 2}') as work \gset
select (tests.as('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(:'work'::jsonb, tests.submission())))) #>> '{0,run_id}' as run \gset
select is(tests.hands(:run), 'execute 2 spark_etl/spark+executors', 'in a batch');
select queue.cancel(tests.tenant('north'), :run, 'USER_CANCELED');
select tests.make_job('north.operator', 'many', jsonb_build_array(:'work'::jsonb || '{"task_key": "a"}', :'work'::jsonb || '{"task_key": "b", "depends_on": ["a"], "params": {"r": "{{run.id}}"}}')) as job \gset
select tests.start_job('north.operator', :job) as run \gset
select is(tests.hands(:run), 'a 2 spark_etl/spark+executors, b 2 -', 'of a job');
select tests.settle(c) from tests.claim(10, '{spark_etl/spark+executors}') c;
select is(tests.hands(:run), 'a 2 -, b 2 spark_etl/spark+executors', 'where it becomes ready later');
select tests.settle(c) from tests.claim(10, '{spark_etl/spark+executors}') c;
select (tests.as('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', :run)))) ->> 'run_id' as again \gset
select is(tests.hands(:again), 'a 2 spark_etl/spark+executors, b 2 -', 'done again');
select queue.cancel(tests.tenant('north'), :again, 'USER_CANCELED');
select tests.run_tasks('north.operator', jsonb_build_array(jsonb_build_object('task_key', 'each', 'for_each', '{"inputs": [1, 2]}'::jsonb, 'task', :'work'::jsonb || '{"params": {"n": "{{input}}"}}'))) as run \gset
select is(tests.hands(:run), 'each 2 -, each[0] 2 spark_etl/spark+executors, each[1] 2 -', 'in a loop');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "image", "name": "ghcr.io/acme/etl"}') $$);
select (tests.as('north.operator', tests.with_executors('2', jsonb_build_object('image', 'ghcr.io/acme/etl@sha256:' || repeat('a', 64))))) ->> 'run_id' as run \gset
select is(tests.hands(:run), 'execute 2 spark_etl/spark+executors+image', 'and in an image of its own');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_executors": 1}') $$);
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job)), 'EXECUTORS_OUT_OF_RANGE', 'a job does not outlive the limit', '$.tasks[0].executors');

select finish();
rollback;
