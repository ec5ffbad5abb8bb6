-- job: the container image that a task names. What was not granted is asked for in vain, at the submission and at the claim.
begin;
\ir fixtures.psql
select no_plan();

create function tests.run_in(p_image text)
returns text language sql as $$ select format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('image', p_image))) $$;
create function tests.allow(p_kind text, p_name text, p_verb text default 'grant')
returns jsonb language sql as $$ select tests.as('platform', format('public.platform_%s(%L::jsonb)', p_verb, jsonb_build_object('tenant', 'north', 'kind', p_kind, 'name', p_name))) $$;

select '@sha256:' || repeat('a', 64) as digest, '@sha256:' || repeat('b', 64) as other \gset

-- ------------------------------------------------------------------------------------ how it is named

select tests.refused('north.operator', tests.run_in(f.name), 'FIELD_INVALID', 'no image: ' || left(f.name, 60), '$.image')
from unnest(array['', 'python', 'library/python', 'python@sha256:' || repeat('a', 64), 'ghcr.io', 'ghcr.io/', 'ghcr.io/Acme/etl', 'ghcr.io/acme/etl@sha256:abc', 'ghcr.io/acme/etl:', 'ghcr.io//etl',
    'https://ghcr.io/acme/etl', 'ghcr.io/../etl', 'ghcr.io/acme/etl ', E'ghcr.io/acme/etl\n', 'ghcr.io/acme/etl@sha256:' || repeat('a', 64) || '@sha256:' || repeat('a', 64), '-x.io/etl', 'ghcr.io/' || repeat('a', 600)]) f (name);
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"image": {"name": "ghcr.io/acme/etl"}}')), 'FIELD_INVALID', 'an image is a name', '$.image');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"job_type": "schema_migration", "params": {"target": "t"}, "image": "ghcr.io/acme/etl"}')), 'FIELD_INVALID',
    'what runs in no container has no image', '$.image');
select lives_ok($$ select tests.submit('north.operator', '{"image": null}') $$, 'no image: what the runner has');

-- ----------------------------------------------------------------------------------------- the grant

select tests.refused('north.operator', tests.run_in('ghcr.io/acme/etl' || :'digest'), 'IMAGE_NOT_GRANTED', 'an image is refused where none was granted', '$.image: ghcr.io/acme/etl' || :'digest');
select tests.allow('image', 'ghcr.io/acme/etl' || :'digest');
select lives_ok(format('select tests.as(%L, %L)', 'north.operator', tests.run_in('ghcr.io/acme/etl' || :'digest')), 'an image that was granted is named');
select tests.refused('north.operator', tests.run_in(n), 'IMAGE_NOT_GRANTED', 'and no other: ' || left(n, 30))
from unnest(array['ghcr.io/acme/etl' || :'other', 'ghcr.io/acme/etl:1' || :'digest', 'ghcr.io/acme/etl2' || :'digest', 'ghcr.io/acme' || :'digest', 'docker.io/acme/etl' || :'digest', 'ghcr.io/acme/etl']) n;
select tests.refused('south.operator', tests.run_in('ghcr.io/acme/etl' || :'digest'), 'IMAGE_NOT_GRANTED', 'by the tenant that it was granted to');
select tests.allow('image', 'localhost:5000/own/etl');
select lives_ok(format('select tests.as(%L, %L)', 'north.operator', tests.run_in(n)), 'a repository that was granted has every digest: ' || left(n, 40))
from unnest(array['localhost:5000/own/etl' || :'digest', 'localhost:5000/own/etl' || :'other', 'localhost:5000/own/etl:v1' || :'other']) n;
select tests.refused('north.operator', tests.run_in('localhost:5000/own/etl/more' || :'digest'), 'IMAGE_NOT_GRANTED', 'and not what lies below it');

-- ------------------------------------------------------------------------------------- the allowance

select tests.refused('north.operator', tests.run_in(n), 'IMAGE_UNPINNED', 'a grant alone does not do without a digest: ' || n, '$.image: ' || n)
from unnest(array['localhost:5000/own/etl', 'localhost:5000/own/etl:v1']) n;
select tests.allow('image', 'localhost:5000/own/other:v1');
select tests.refused('north.operator', tests.run_in('localhost:5000/own/other:v1'), 'IMAGE_UNPINNED', 'not even of that very tag');
select tests.allow('unpinned_image', 'localhost:5000/own/etl');
select lives_ok(format('select tests.as(%L, %L)', 'north.operator', tests.run_in('localhost:5000/own/etl:v1')), 'with the allowance a tag is named');
select tests.refused('north.operator', tests.run_in('localhost:5000/own/other:v1'), 'IMAGE_UNPINNED', 'of the repository that it is for');
select tests.allow('unpinned_image', 'ghcr.io/acme/alone');
select tests.refused('north.operator', tests.run_in('ghcr.io/acme/alone:v1'), 'IMAGE_NOT_GRANTED', 'an allowance is no grant');

-- ---------------------------------------------------------------------------------- and at the claim

create function tests.claimed(p_claim jsonb) returns text language sql as $$ select p_claim #>> '{image,granted}' $$;
select queue.cancel(tests.tenant('north'), id, 'USER_CANCELED') from queue.runs where tenant_id = tests.tenant('north');
select tests.run_in('localhost:5000/own/etl:v1') as submission \gset
select (tests.as('north.operator', :'submission')) ->> 'run_id' as run \gset
select is((select (t.image, a.requires)::text from queue.task_runs t join queue.live_attempts a on a.task_run_id = t.id where t.run_id = :run), '(localhost:5000/own/etl:v1,spark_etl/duckdb+image)',
    'it waits for a runner that has containers');
select is((select count(*) from tests.claim(10)), 0::bigint, 'who has none does not get it');
select tests.claim(1, '{spark_etl/duckdb+image}') as claim \gset
select is(:'claim'::jsonb -> 'image', '{"name": "localhost:5000/own/etl:v1", "granted": true}'::jsonb, 'the claim says which image, and that it is granted still');
select tests.lose(:'claim');
select tests.allow('unpinned_image', 'localhost:5000/own/etl', 'revoke');
select is(tests.claimed(tests.claim(1, '{spark_etl/duckdb+image}')), 'false', 'an allowance that was taken back since is not there at the claim');
select is((tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run)))) #>> '{tasks,0,image}', 'localhost:5000/own/etl:v1', 'a run says which image its task asked for');
select is(tests.count('north.viewer', format('select from public.task_runs where run_id = %s and image = %L', :run, 'localhost:5000/own/etl:v1')), 1::bigint, 'so does the view');

-- --------------------------------------------------------------- wherever a task comes from it keeps it

select tests.allow('unpinned_image', 'localhost:5000/own/etl');
create function tests.images(p_run bigint)
returns text language sql as $$
    select string_agg(t.task_key || ' ' || coalesce(t.image, '-') || ' ' || coalesce(a.requires, '-'), ', ' order by t.task_key)
    from queue.task_runs t left join queue.live_attempts a on a.task_run_id = t.id and a.tenant_id = t.tenant_id where t.run_id = p_run
$$;
select tests.submission('{"image": "localhost:5000/own/etl:v1"}') as work \gset
select (tests.as('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(:'work'::jsonb, tests.submission())))) #>> '{0,run_id}' as run \gset
select is(tests.images(:run), 'execute localhost:5000/own/etl:v1 spark_etl/duckdb+image', 'in a batch');
select tests.make_job('north.operator', 'imaged', jsonb_build_array(:'work'::jsonb || '{"task_key": "a"}', :'work'::jsonb || '{"task_key": "b", "depends_on": ["a"], "params": {"r": "{{run.id}}"}}')) as job \gset
select tests.start_job('north.operator', :job) as run \gset
select is(tests.images(:run), 'a localhost:5000/own/etl:v1 spark_etl/duckdb+image, b localhost:5000/own/etl:v1 -', 'of a job');
select tests.settle(c) from tests.claim(10, '{spark_etl/duckdb+image}') c;
select is(tests.images(:run), 'a localhost:5000/own/etl:v1 -, b localhost:5000/own/etl:v1 spark_etl/duckdb+image', 'where it becomes ready later');
select tests.settle(c) from tests.claim(10, '{spark_etl/duckdb+image}') c;
select (tests.as('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', :run)))) ->> 'run_id' as again \gset
select is(tests.images(:again), 'a localhost:5000/own/etl:v1 spark_etl/duckdb+image, b localhost:5000/own/etl:v1 -', 'done again');
select queue.cancel(tests.tenant('north'), :again, 'USER_CANCELED');
select tests.run_tasks('north.operator', jsonb_build_array(jsonb_build_object('task_key', 'each', 'for_each', '{"inputs": [1, 2]}'::jsonb, 'task', :'work'::jsonb || '{"params": {"n": "{{input}}"}}'))) as run \gset
select is(tests.images(:run), 'each localhost:5000/own/etl:v1 -, each[0] localhost:5000/own/etl:v1 spark_etl/duckdb+image, each[1] localhost:5000/own/etl:v1 -', 'in a loop');
select tests.allow('image', 'localhost:5000/own/etl', 'revoke');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :job)), 'IMAGE_NOT_GRANTED', 'a job does not outlive its grants', '$.tasks[0].image: localhost:5000/own/etl:v1');

select finish();
rollback;
