-- public: jobs as code. What a file says is so afterwards, nothing else is touched, and a dry run tells all of it and does none.
begin;
\ir fixtures.psql
select no_plan();

create function tests.job(p_name text, p_more jsonb default '{}')
returns jsonb language sql as $$
    select jsonb_build_object('name', p_name, 'tasks', jsonb_build_array(tests.submission() - array['idempotency_key', 'callbacks'] || '{"task_key": "t"}')) || p_more
$$;
create function tests.starter(p_name text, p_of text)
returns jsonb language sql as $$
    select jsonb_build_object('name', p_name, 'tasks', jsonb_build_array(jsonb_build_object('task_key', 't', 'run_job', jsonb_build_object('job', p_of))))
$$;
create function tests.apply(p_jobs jsonb, p_more jsonb default '{}', p_who text default 'north.operator')
returns jsonb language sql as $$
    select tests.as(p_who, format('public.apply_jobs(%L::jsonb)', jsonb_build_object('jobs', p_jobs) || p_more))
$$;
create function tests.plan(p_jobs jsonb, p_more jsonb default '{}')
returns text language sql as $$
    select string_agg(format('%s %s %s', x ->> 'action', x ->> 'name', x ->> 'version'), ', ' order by ord)
    from jsonb_array_elements(tests.apply(p_jobs, p_more) -> 'jobs') with ordinality e (x, ord)
$$;
create function tests.refusal(p_jobs jsonb, p_code text, p_details text, p_law text, p_more jsonb default '{}')
returns text language sql as $$
    select tests.refused('north.operator', format('public.apply_jobs(%L::jsonb)', jsonb_build_object('jobs', p_jobs) || p_more), p_code, p_law, p_details)
$$;

-- --------------------------------------------------------------------------------- made so, and then it is so
select is(tests.plan(jsonb_build_array(tests.job('a'), tests.job('b')), '{"dry_run": true}'), 'create a 1, create b 1', 'a dry run tells what would be made');
select is((select count(*) from job.jobs), 0::bigint, 'and makes none of it');
select is((select count(*) from audit.entries e where e.action like 'job.%'), 0::bigint, 'nor is any on record');
select is(tests.plan(jsonb_build_array(tests.job('a'), tests.job('b'))), 'create a 1, create b 1', 'what is not there is made');
select is(tests.plan(jsonb_build_array(tests.job('a'), tests.job('b'))), 'none a 1, none b 1', 'what is so already stays as it is');
select is(tests.plan(jsonb_build_array(tests.job('a', '{"priority": 5}'), tests.job('b'))), 'update a 2, none b 1', 'what is different becomes the next version');
select is(tests.plan(jsonb_build_array(tests.job('a'))), 'update a 3', 'what a file says no more is as if it had never been said');
select is((select w.definition - 'tasks' from job.versions w join job.jobs j on j.id = w.job_id and j.current_version = w.version where j.name = 'b')
    = (tests.apply(jsonb_build_array(tests.job('c')), '{"dry_run": true}') #> '{jobs,0,after}' || '{"name": "b"}') - 'tasks', true, 'what a dry run shows is what is written');

-- ----------------------------------------------------------------------------------------------- by name
select is(tests.plan(jsonb_build_array(tests.starter('first', 'second'), tests.starter('second', 'third'), tests.job('third'))), 'create first 1, create second 1, create third 1', 'jobs of one file start each other by name, in whatever order they stand');
select is(tests.plan(jsonb_build_array(tests.starter('first', 'second'))), 'none first 1', 'and those that were there before');
select is(tests.apply(jsonb_build_array(tests.starter('first', 'b'))) -> 'names', (select jsonb_object_agg(j.id, j.name) from job.jobs j where j.name in ('second', 'b')), 'what is told by id is told by name as well');
select tests.refusal(jsonb_build_array(tests.starter('x', 'nowhere')), 'JOB_NOT_FOUND', '$.jobs[0].tasks[0].run_job.job', 'a job that is not there');
select tests.refusal(jsonb_build_array(tests.starter('x', 'y'), tests.starter('y', 'x')), 'JOB_GRAPH_INVALID', '$.jobs[0]', 'a circle');
select tests.refusal(jsonb_build_array(tests.starter('third', 'second')), 'JOB_GRAPH_INVALID', '$.jobs[0].tasks[0].run_job.job_id', 'nor does one start itself by way of those that are there');

-- ---------------------------------------------------------------------------------------- all or nothing
select tests.refusal(jsonb_build_array(tests.job('new'), tests.job('bad', '{"priority": 1000}')), 'FIELD_INVALID', '$.jobs[1].priority', 'a fault says in which job it is');
select is((select count(*) from job.jobs j where j.name = 'new'), 0::bigint, 'and nothing was made');
select tests.refusal(jsonb_build_array(tests.job('a'), tests.job('a')), 'FIELD_INVALID', '$.jobs[1].name', 'a name stands once');
select tests.refusal('[]', 'FIELD_INVALID', '$.jobs', 'nothing is no file');
select tests.refusal('["a"]', 'BODY_INVALID', '$.jobs[0]', 'a job is an object');
select tests.refusal('[{"name": "a", "tasks": [{"task_key": "t", "run_job": "job"}]}]', 'BODY_INVALID', '$.jobs[0].tasks[0].run_job', 'and what it starts too');

-- ------------------------------------------------------------------------------------------------- whose
select is(tests.plan(jsonb_build_array(tests.job('etl'), tests.job('etl too')), '{"source": "etl"}'), 'create etl 1, create etl too 1', 'applied from a source');
select is(tests.plan(jsonb_build_array(tests.job('etl'), tests.job('etl too')), '{"source": "etl"}'), 'none etl 1, none etl too 1', 'and again');
select tests.refusal(jsonb_build_array(tests.job('etl')), 'JOB_OWNED', '$.jobs[0].name: etl', 'without its source it is not changed');
select tests.refusal(jsonb_build_array(tests.job('etl')), 'JOB_OWNED', '$.jobs[0].name: etl', 'nor from another', '{"source": "ops"}');
select is(tests.plan(jsonb_build_array(tests.job('etl')), '{"source": "ops", "adopt": true}'), 'update etl 2', 'unless it is taken over');
select tests.refusal(jsonb_build_array(tests.job('etl', '{"tags": {"control-room/source": "etl"}}')), 'FIELD_INVALID', '$.jobs[0].tags', 'a file cannot say whose it is');
select is(tests.plan(jsonb_build_array(tests.job('etl too', '{"tags": {"team": "risk"}}')), '{"source": "etl"}'), 'update etl too 2', 'tags of its own stay beside it');

-- ----------------------------------------------------------------------------------------------- pruning
select is(tests.plan(jsonb_build_array(tests.job('etl three')), '{"source": "etl", "prune": true, "dry_run": true}'), 'create etl three 1, delete etl too 2', 'what the source has no more is told');
select is(tests.plan(jsonb_build_array(tests.job('etl three')), '{"source": "etl", "prune": true}'), 'create etl three 1, delete etl too 2', 'and deleted, its own alone');
select is((select string_agg(j.name, ' ' order by j.name) from job.jobs j where j.deleted_at is null), 'a b etl etl three first second third', 'nobody else''s');
select tests.refusal(jsonb_build_array(tests.job('x')), 'FIELD_INVALID', '$.prune', 'what has no source is not pruned', '{"prune": true}');
select tests.apply(jsonb_build_array(tests.starter('a', 'etl three')));
select tests.refusal('[]', 'JOB_IN_USE', 'etl three is started by a', 'what another job starts is not pruned', '{"source": "etl", "prune": true}');
select tests.apply(jsonb_build_array(tests.job('a')));
select is(tests.plan('[]', '{"source": "etl", "prune": true}'), 'delete etl three 1', 'an empty list and a source: all of it');
select is(tests.plan(jsonb_build_array(tests.job('etl three')), '{"source": "etl"}'), 'create etl three 1', 'a name is free again');

-- ------------------------------------------------------------------------------------------------ paused
select tests.apply(jsonb_build_array(tests.job('a', '{"schedule": {"cron": "0 5 * * *"}}')));
select tests.as('north.operator', format('public.pause_job(%L::jsonb)', jsonb_build_object('job_id', (select id from job.jobs where name = 'a'))));
select is(tests.plan(jsonb_build_array(tests.job('a', '{"schedule": {"cron": "0 5 * * *"}}'))) ~ '^none', true, 'who has paused a job is not overruled by a file that says nothing of it');
select is(tests.apply(jsonb_build_array(tests.job('a', '{"schedule": {"cron": "0 6 * * *"}}'))) #>> '{jobs,0,after,schedule,paused}', 'true', 'nor where the time changes');
select is(tests.apply(jsonb_build_array(tests.job('a', '{"schedule": {"cron": "0 6 * * *", "paused": false}}'))) #>> '{jobs,0,after,schedule,paused}', 'false', 'a file that says so starts it again');

-- ------------------------------------------------------------------------------------------------- tenants
select is(tests.apply(jsonb_build_array(tests.job('a')), '{"prune": true, "source": "etl"}', 'south.operator') #>> '{jobs,0,action}', 'create', 'another tenant''s a is its own');
select is((select count(*) from job.jobs j where j.tenant_id = tests.tenant('north') and j.name = 'etl three' and j.deleted_at is null), 1::bigint, 'and its source is not ours');

select * from finish();
rollback;
