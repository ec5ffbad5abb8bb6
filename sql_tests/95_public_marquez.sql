-- public: Marquez's words. What its web UI reads (web/src/types/api.ts) is there, under its names; a run is what its events say.
begin;
\ir fixtures.psql
select no_plan();

create function tests.told(p jsonb) returns jsonb language sql as $$
    select jsonb_build_object('eventTime', clock_timestamp(), 'producer', 'p', 'schemaURL', 's', 'job', '{"namespace": "airflow://etl:8080", "name": "daily.orders"}'::jsonb) || p $$;
create function tests.take(p jsonb, p_who text default 'north.operator') returns jsonb language sql as $$ select tests.as(p_who, format('public.lineage_ingest(%L::jsonb)', p)) $$;
create function tests.ask(p_function text, p jsonb default '{}', p_who text default 'north.viewer') returns jsonb language sql as $$ select tests.as(p_who, format('public.marquez_%s(%L::jsonb)', p_function, p)) $$;
-- Which of these keys, separated by spaces, an object lacks.
create function tests.lacks(p jsonb, p_keys text) returns text language sql as $$ select coalesce(string_agg(k, ' '), '') from regexp_split_to_table(p_keys, ' ') k where not coalesce(p ? k, false) $$;

select tests.take(tests.told('{"eventType": "START", "eventTime": "2026-11-01T10:00:00Z", "run": {"runId": "11111111-1111-4111-8111-111111111111", "facets": {"nominalTime": {"nominalStartTime": "2026-11-01T00:00:00Z"}}},
    "job": {"namespace": "airflow://etl:8080", "name": "daily.orders", "facets": {"sql": {"query": "select 1"}}}}'));
select tests.take(tests.told('{"eventType": "COMPLETE", "eventTime": "2026-11-01T10:00:30Z", "run": {"runId": "11111111-1111-4111-8111-111111111111", "facets": {"processing_engine": {"name": "spark"}}},
    "inputs": [{"namespace": "postgres://db:5432", "name": "shop.public.orders", "facets": {"schema": {"fields": [{"name": "id", "type": "int8", "description": "the key"}, {"name": "total"}, 7]}}}],
    "outputs": [{"namespace": "postgres://db:5432", "name": "shop.public.\"Übersicht\"", "facets": {"schema": {"fields": [{"name": "sum", "type": "numeric"}]},
        "columnLineage": {"fields": {"sum": {"inputFields": [{"namespace": "postgres://db:5432", "name": "shop.public.orders", "field": "total", "transformations": [{"type": "DIRECT", "subtype": "AGGREGATION"}]}]}}}}}]}'));
select tests.take(tests.told('{"eventType": "FAIL", "eventTime": "2026-02-31T10:00:00Z", "run": {"runId": "22222222-2222-4222-8222-222222222222"}}'));
select tests.take(tests.told('{"eventType": "START", "run": {"runId": "33333333-3333-4333-8333-333333333333"}, "job": {"namespace": "airflow://etl:8080", "name": "still at it"}}'));

-- ----------------------------------------------------------------------------- names and their pages

select is(jsonb_path_query_array(tests.ask('namespaces'), '$.namespaces[*].name') @> '["airflow://etl:8080", "postgres://db:5432"]', true, 'namespaces are those of jobs and of datasets');
select is(tests.lacks(tests.ask('namespaces', '{"namespace": "postgres://db:5432"}'), 'name createdAt updatedAt ownerName description isHidden'), '', 'one is told of as Marquez does');
select is(jsonb_array_length(tests.ask('namespaces', '{"limit": 1, "offset": 1}') -> 'namespaces'), 1, 'page by page');
select is(tests.ask('datasets', '{"namespace": "postgres://db:5432"}') -> 'totalCount', '2', 'a namespace counts its datasets');
select is(tests.ask('datasets', '{"namespace": "postgresql://db:5432", "limit": 1, "offset": 1}') #>> '{datasets,0,name}', 'shop.public.orders', 'and lists them by name, whatever the scheme is called');
select is(tests.lacks(tests.ask('datasets', '{"namespace": "postgres://db:5432", "dataset": "shop.public.orders"}'),
    'id type name physicalName createdAt updatedAt namespace sourceName fields tags lastModifiedAt description facets deleted columnLineage'), '', 'a dataset has all that the UI reads');
select is(tests.ask('datasets', '{"namespace": "postgres://db:5432", "dataset": "shop.public.orders"}') -> 'fields',
    '[{"name": "id", "type": "int8", "description": "the key", "tags": []}, {"name": "total", "type": null, "description": "", "tags": []}]', 'its fields too, and what is no field is none');
select is(tests.ask('datasets', '{"namespace": "postgres://db:5432", "dataset": "shop.public.\"Übersicht\""}') -> 'columnLineage',
    '[{"name": "sum", "inputFields": [{"namespace": "postgres://db:5432", "dataset": "shop.public.orders", "field": "total", "transformationType": "DIRECT", "transformationDescription": "AGGREGATION"}]}]', 'where its columns come from');
select isnt(tests.ask('datasets', '{"namespace": "postgres://db:5432", "dataset": "shop.public.\"Übersicht\""}') -> 'lastModifiedAt', 'null', 'and when it was last written');
select tests.refused('north.viewer', $$ public.marquez_datasets('{"namespace": "postgres://db:5432", "dataset": "none"}') $$, 'NODE_NOT_FOUND', 'what is not there is not found');

-- ---------------------------------------------------------------------------------------- jobs, runs

select is(tests.lacks(tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}'), 'id type name simpleName createdAt updatedAt namespace inputs outputs location description latestRun latestRuns tags parentJobName parentJobUuid'), '', 'a job has all that the UI reads');
select is(tests.lacks(tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}') -> 'latestRun', 'id createdAt updatedAt nominalStartTime nominalEndTime state jobVersion startedAt endedAt durationMs args facets'), '', 'so has its latest run');
select is(tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}') #>> '{latestRun,state}', 'FAILED', 'the newest of them');
select is(jsonb_path_query_array(tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}'), '$.latestRuns[*].state'), '["FAILED", "COMPLETED"]', 'several, newest first');
select is((select jsonb_build_array(v.j #> '{latestRuns,1,facets}', o.j #> '{latestRuns,1,facets,processing_engine,name}') from (select tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}') j) v,
    (select tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}', 'north.operator') j) o), '[{}, "spark"]', 'whose facets an operator sees, and a viewer does not');
select is(tests.ask('jobs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}') -> 'inputs', '[{"namespace": "postgres://db:5432", "name": "shop.public.orders"}]', 'and what it reads');
select is(jsonb_path_query_array(tests.ask('jobs', '{"lastRunStates": "RUNNING", "limit": 5, "offset": 0}'), '$.jobs[*].name'), '["still at it"]', 'jobs are found by the state of their latest run');
select tests.refused('north.viewer', $$ public.marquez_jobs('{"lastRunStates": "GONE"}') $$, 'FIELD_INVALID', 'one of Marquez''s states');
select is((select jsonb_build_array(r -> 'state', r -> 'durationMs', (r ->> 'startedAt')::timestamptz, r -> 'nominalStartTime', r -> 'facets') from (select tests.ask('run', '{"run": "11111111-1111-4111-8111-111111111111"}') r) x),
    jsonb_build_array('COMPLETED', 30000, '2026-11-01T10:00:00Z'::timestamptz, '2026-11-01T00:00:00Z', '{}'::jsonb), 'the events of a run add up, and a viewer sees no facet');
select is(tests.ask('run', '{"run": "11111111-1111-4111-8111-111111111111"}', 'north.operator') -> 'facets', '{"nominalTime": {"nominalStartTime": "2026-11-01T00:00:00Z"}, "processing_engine": {"name": "spark"}}', 'an operator sees the facets of all its events');
select is(tests.ask('run', '{"run": "11111111-1111-4111-8111-111111111111", "type": "job"}', 'north.operator'), '{"runId": "11111111-1111-4111-8111-111111111111", "facets": {"sql": {"query": "select 1"}}}', 'and those of its job');
select tests.refused('north.viewer', $$ public.marquez_run('{"run": "11111111-1111-4111-8111-111111111111", "type": "job"}') $$, 'ROLE_INSUFFICIENT', 'source code is confidential');
select is(tests.ask('run', '{"run": "22222222-2222-4222-8222-222222222222"}') -> 'state', '"FAILED"', 'a time that is none sinks nothing');
select isnt(tests.ask('run', '{"run": "22222222-2222-4222-8222-222222222222"}') ->> 'endedAt', null, 'it ended when that was told');
select is(tests.ask('runs', '{"namespace": "airflow://etl:8080", "job": "daily.orders", "limit": 1, "offset": 1}') #> '{runs,0,id}', '"11111111-1111-4111-8111-111111111111"', 'runs of a job, page by page');
select is((select jsonb_build_array(v.j #> '{runs,1,facets}', o.j #> '{runs,1,facets,processing_engine,name}') from (select tests.ask('runs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}') j) v,
    (select tests.ask('runs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}', 'north.operator') j) o), '[{}, "spark"]', 'their facets are for operators too');
select is(tests.ask('runs', '{"namespace": "airflow://etl:8080", "job": "daily.orders"}') -> 'totalCount', '2', 'counted');

-- a run of ours: one run, however many outputs it tells of, and as long as the queue says
select tests.submit('north.operator', '{"name": "ours", "outputs": [{"name": "t", "layer": "silver", "table": "t"}]}');
create temporary table held as select x as c from tests.claim() x;
select tests.settle(c, jsonb_build_object('lineage', jsonb_build_array(
    tests.told('{"eventType": "COMPLETE", "run": {"runId": "44444444-4444-4444-8444-444444444444"}, "job": {"namespace": "control-room://north", "name": "ours"}, "outputs": [{"namespace": "control-room://north", "name": "silver.t"}]}'),
    tests.told('{"eventType": "COMPLETE", "run": {"runId": "55555555-5555-4555-8555-555555555555"}, "job": {"namespace": "control-room://north", "name": "ours"}, "outputs": [{"namespace": "control-room://north", "name": "silver.u"}]}')))) from held;
select is(tests.ask('runs', '{"namespace": "control-room://north", "job": "ours"}') -> 'totalCount', '1', 'what one run of ours told in two events is one run');
select is((tests.ask('runs', '{"namespace": "control-room://north", "job": "ours"}') #>> '{runs,0,startedAt}')::timestamptz, (select r.started_at from queue.runs r where r.name = 'ours'), 'which began when the queue says');

-- -------------------------------------------------------------------------- search, events, figures

select is(jsonb_path_query_array(tests.ask('search', '{"q": "ORDERS"}'), '$.results[*].nodeId'), '["job:airflow://etl:8080:daily.orders", "dataset:postgres://db:5432:shop.public.orders"]', 'search finds a part of a name, however written');
select is(tests.lacks(tests.ask('search', '{"q": "orders", "filter": "DATASET"}') #> '{results,0}', 'name namespace nodeId type updatedAt'), '', 'with all that the UI reads');
select is(tests.ask('search', '{"q": "orders", "filter": "DATASET"}') -> 'totalCount', '1', 'of one kind, where it is asked for');
select is(jsonb_path_query_array(tests.ask('search', '{"q": "orders", "filter": "JOB"}'), '$.results[*].type'), '["JOB"]', 'of the other kind likewise');
select is(tests.ask('search', '{"q": "%_"}') -> 'totalCount', '0', 'letter by letter: no pattern');
select is(tests.ask('events', '{"limit": 1, "offset": 0, "before": "", "after": "", "sortDirection": "asc"}', 'north.operator') #>> '{events,0,run,runId}', '11111111-1111-4111-8111-111111111111', 'events come as they came, from the first');
select is(tests.ask('events', '{"limit": 1}', 'north.operator') #>> '{events,0,run,runId}' in ('33333333-3333-4333-8333-333333333333', '55555555-5555-4555-8555-555555555555'), true, 'or from the last');
select is((select sum((x ->> 'start')::integer) from jsonb_array_elements(tests.ask('stats', '{"asset": "lineage-events", "period": "DAY", "timezone": "Europe/Berlin"}')) x), 2::bigint, 'the last day counts what was told');
select is(jsonb_array_length(tests.ask('stats', '{"asset": "jobs", "period": "WEEK", "timezone": "UTC"}')), 7, 'a week has seven days');
select is((tests.ask('stats', '{"asset": "sources", "period": "DAY"}') #>> '{23,count}')::integer >= 1, true, 'a day twenty-four hours, and the last of them all there is');
select tests.refused('north.viewer', $$ public.marquez_stats('{"asset": "jobs", "timezone": "Nowhere/None"}') $$, 'FIELD_INVALID', 'a zone that is none is refused');
select tests.as('north.operator', $$ public.catalog_sync('{}') $$);
select tests.as('north.operator', $$ public.describe_object('{"name": "main.gold", "kind": "schema", "tags": {"pii": "no"}}') $$);
select is(tests.ask('tags') -> 'tags', '[{"name": "pii=no", "description": ""}]', 'tags are those of the catalog');
update catalog.objects set gone_at = clock_timestamp() where path = '{main,gold}';
select is(tests.ask('tags') -> 'tags', '[]', 'not of what is gone');
select tests.as('north.admin', $$ public.retire_lineage('{"job": "job:airflow://etl:8080:daily.orders", "reason": "wrong"}') $$);
select is(tests.ask('datasets', '{"namespace": "postgres://db:5432", "dataset": "shop.public.\"Übersicht\""}') -> 'columnLineage', 'null', 'columns come from nowhere when their edges are retired');

-- ---------------------------------------------------------------------------------------- the plans

select tests.as('north.operator', format('public.lineage_ingest(%L::jsonb)', (select jsonb_agg(tests.told(jsonb_build_object('eventType', 'START', 'run', jsonb_build_object('runId', gen_random_uuid()), 'job', jsonb_build_object('namespace', 'n', 'name', 'j' || n)))) from generate_series(1, 300) n)));
analyze lineage.events;
create function tests.plan(p text) returns text language plpgsql as $$
declare
    line text;
    plan text := '';
begin
    for line in execute 'explain ' || p loop plan := plan || line; end loop;
    return plan;
end
$$;
select is(tests.plan($$ select e.id from lineage.events e where md5((e.event #>> '{job,namespace}') || chr(31) || (e.event #>> '{job,name}'))::uuid = md5('x')::uuid and e.tenant_id = tests.tenant('north') and e.event ? 'run' order by e.id desc limit 50 $$) ~ 'events_of_told_job', true, 'the runs of a job are found by its name');
select is(tests.plan($$ select e.id from lineage.events e where e.event #>> '{run,runId}' = 'x' and e.tenant_id = tests.tenant('north') and e.event ? 'run' $$) ~ 'events_of_told_run', true, 'a run by its id');

select * from finish();
rollback;
