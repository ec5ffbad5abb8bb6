-- lineage: append-only. Observing again inserts, retiring sets deleted_at, and nothing else ever happens to an edge.
begin;
\ir fixtures.psql
select no_plan();

-- An OpenLineage event: `a -> b, c` means a job reads a and writes b and c.
create function tests.event(p_flow text, p_job text default 'etl', p_more jsonb default '{}')
returns jsonb language sql stable as $$
    select jsonb_build_object('eventTime', '2026-11-23T10:00:00Z', 'producer', 'https://example/test', 'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
        'eventType', 'COMPLETE', 'run', jsonb_build_object('runId', md5(p_flow || p_job || p_more::text)::uuid), 'job', jsonb_build_object('namespace', 'ns', 'name', p_job),
        'inputs', (select coalesce(jsonb_agg(jsonb_build_object('namespace', 'db', 'name', x)), '[]') from regexp_split_to_table(btrim(split_part(p_flow, '->', 1)), '\s*,\s*') x where x <> ''),
        'outputs', (select coalesce(jsonb_agg(jsonb_build_object('namespace', 'db', 'name', x)), '[]') from regexp_split_to_table(btrim(split_part(p_flow, '->', 2)), '\s*,\s*') x where x <> '')) || p_more
$$;
create function tests.ingest(p jsonb, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.lineage_ingest(%L::jsonb)', p)) $$;
create function tests.edges(p_tenant text default 'north')
returns text[] language sql stable as $$
    select coalesce(array_agg(s.name || '>' || d.name order by s.name, d.name), '{}') from lineage.edges e
    join lineage.datasets s on s.tenant_id = e.tenant_id and s.id = e.src join lineage.datasets d on d.tenant_id = e.tenant_id and d.id = e.dst
    where e.tenant_id = tests.tenant(p_tenant) and e.deleted_at is null
$$;
-- The datasets in the graph around a node, as somebody sees it.
create function tests.graph(p_node text, p_arguments text default '', p_who text default 'north.viewer')
returns text[] language sql as $$
    select array_agg(g ->> 'id' order by g ->> 'id') from jsonb_array_elements(tests.as(p_who, format('public.lineage_graph(%L%s)', p_node, p_arguments)) -> 'graph') g
    where g ->> 'type' = 'DATASET'
$$;

-- --------------------------------------------------------------------------------------------- ingest

select is(tests.ingest(tests.event('a -> b')), '{"status": "success", "summary": {"received": 1, "successful": 1, "failed": 0, "retriable": 0, "non_retriable": 0}, "failed_events": []}', 'one event is taken');
select is(tests.edges(), '{a>b}', 'it makes an edge');
select is(tests.ingest(tests.event('a -> b')) ->> 'status', 'success', 'a replay is taken');
select is((select count(*) from lineage.events), 1::bigint, 'and changes nothing');
select is((select count(*) from lineage.observations), 1::bigint, 'nor is it a sighting');
select tests.ingest(tests.event('a -> b', 'etl', '{"eventTime": "2026-11-23T11:00:00Z"}'));
select is(tests.edges(), '{a>b}', 'one live edge per source, target and job');
select is((select count(*) from lineage.observations), 2::bigint, 'each further sighting is kept');
select tests.ingest(tests.event('a -> b', 'other etl'));
select is(tests.edges(), '{a>b,a>b}', 'another job''s edge is another edge');
select tests.ingest(jsonb_build_array(tests.event('b -> c, d'), tests.event('c, d -> e'), tests.event('e -> f')));
select is(tests.edges(), '{a>b,a>b,b>c,b>d,c>e,d>e,e>f}', 'many to many is every pair');
select tests.ingest(tests.event(' -> raw', 'loader'));
select is((select count(*) from lineage.job_io o join lineage.jobs j on j.tenant_id = o.tenant_id and j.id = o.job_id where j.name = 'loader'), 1::bigint, 'a job that only writes is known');
select tests.ingest('{"eventTime": "2026-11-23T10:00:00Z", "producer": "p", "schemaURL": "s", "dataset": {"namespace": "postgresql://h:5432", "name": "x.public.t", "facets": {"schema": {"fields": [{"name": "id", "type": "int"}]}}}}');
select is((select (namespace, fields)::text from lineage.datasets where name = 'x.public.t'), '(postgres://h:5432,"[{""name"": ""id"", ""type"": ""int""}]")', 'a dataset event tells of fields; two spellings of a namespace are one');
select is((select event -> 'custom' from lineage.events e where e.event ? 'custom'), null, 'nothing unknown was sent yet');
select tests.ingest(tests.event('a -> b', 'etl', '{"custom": {"facet": [1, 2]}}'));
select is((select event -> 'custom' from lineage.events e where e.event ? 'custom'), '{"facet": [1, 2]}', 'unknown facets are kept as they came');

select is(tests.ingest(tests.event('a -> b', 'etl') || p.event::jsonb) #>> '{failed_events,0,reason}', p.reason, 'no event: ' || p.event)
from (values
    ('{"eventTime": null}', '$.eventTime: is required'), ('{"eventTime": "yesterday"}', '$.eventTime: is no ISO 8601 time'), ('{"producer": 7}', '$.producer: is required'), ('{"schemaURL": null}', '$.schemaURL: is required'),
    ('{"run": {"runId": "r1"}}', '$.run.runId: is no UUID'), ('{"run": {}}', '$.run.runId: is no UUID'), ('{"job": {"name": "x"}}', '$.job: needs namespace and name of 1 to 4096 characters'),
    ('{"job": {"namespace": "", "name": "x"}}', '$.job: needs namespace and name of 1 to 4096 characters'), ('{"inputs": {}}', '$.inputs: is no array'), ('{"inputs": [1]}', '$.inputs[0]: needs namespace and name of 1 to 4096 characters'),
    ('{"outputs": [{"namespace": "db", "name": "ok"}, {"name": "x"}]}', '$.outputs[1]: needs namespace and name of 1 to 4096 characters'),
    ('{"inputs": [{"namespace": "db", "name": "' || repeat('n', 4097) || '"}]}', '$.inputs[0]: needs namespace and name of 1 to 4096 characters')
) p (event, reason);
select is(tests.ingest(p::jsonb) #>> '{failed_events,0,reason}', '$: an event is an object', 'no event: ' || p) from unnest(array['7', '"x"', '[7]', '[null]', '[[]]']) p;
select is((tests.ingest(jsonb_build_array(tests.event('p -> q'), '{"bad": true}'::jsonb, tests.event('q -> r'))) - 'failed_events')::text,
    '{"status": "partial_success", "summary": {"failed": 1, "received": 3, "retriable": 0, "successful": 2, "non_retriable": 1}}', 'a bad event does not sink the batch');
select ok(tests.edges() @> '{p>q,q>r}', 'the good ones are in');
select tests.refused('north.operator', $$ public.lineage_ingest(null) $$, 'BODY_INVALID', 'nothing is no event');
select tests.refused('north.viewer', format('public.lineage_ingest(%L::jsonb)', tests.event('a -> b')), 'ROLE_INSUFFICIENT', 'a viewer ingests nothing');
select lives_ok($$ select tests.ingest(tests.event(repeat('long', 1000) || ' -> long')) $$, 'a name may outgrow an index row');

-- columns
select tests.ingest(jsonb_set(tests.event('orders -> totals', 'sum'), '{outputs,0,facets}', '{"columnLineage": {"fields": {
    "total": {"inputFields": [{"namespace": "db", "name": "orders", "field": "price", "transformations": [{"type": "DIRECT", "subtype": "AGGREGATION"}]},
                              {"namespace": "db", "name": "orders", "field": "country", "transformations": [{"type": "INDIRECT", "subtype": "GROUP_BY"}]}]},
    "broken": {"inputFields": "x"}, "half": {"inputFields": [{"name": "orders"}]}}}}'));
select results_eq($$ select src_field, dst_field, type, subtype from lineage.column_edges order by 1 $$,
    $$ values ('country', 'total', 'INDIRECT', 'GROUP_BY'), ('price', 'total', 'DIRECT', 'AGGREGATION') $$, 'columns are followed, what is malformed is passed over');
select is((select array_agg(g ->> 'id' order by g ->> 'id') from jsonb_array_elements(tests.as('north.viewer', $$ public.column_lineage('dataset:db:totals') $$) -> 'graph') g),
    '{datasetField:db:orders:country,datasetField:db:orders:price,datasetField:db:totals:total}', 'a column knows where it comes from');

-- ------------------------------------------------------------------------------------------- questions

select is(tests.graph('dataset:db:c'), '{dataset:db:a,dataset:db:b,dataset:db:c,dataset:db:e,dataset:db:f}', 'the graph of a node is what is above and below');
select is(tests.graph('dataset:db:c', ', ''upstream'''), '{dataset:db:a,dataset:db:b,dataset:db:c}', 'or only above');
select is(tests.graph('dataset:db:c', ', ''downstream'''), '{dataset:db:c,dataset:db:e,dataset:db:f}', 'or only below');
select is(tests.graph('dataset:db:a', ', ''downstream'', 2'), '{dataset:db:a,dataset:db:b,dataset:db:c,dataset:db:d}', 'depth counts hops from dataset to dataset');
select is(tests.graph('dataset:db:a', ', ''both'', 0'), '{dataset:db:a}', 'of depth 0 it is the node itself');
select is((select g -> 'inEdges' from jsonb_array_elements(tests.as('north.viewer', $$ public.lineage_graph('dataset:db:f', 'upstream', 1) $$) -> 'graph') g where g ->> 'id' = 'dataset:db:f'),
    '[{"origin": "job:ns:etl", "destination": "dataset:db:f"}]', 'between datasets stand the jobs, in Marquez''s shape');
select is((select (g -> 'data') - array['createdAt', 'updatedAt'] from jsonb_array_elements(tests.as('north.viewer', $$ public.lineage_graph('dataset:postgres://h:5432:x.public.t') $$) -> 'graph') g),
    '{"id": {"name": "x.public.t", "namespace": "postgres://h:5432"}, "name": "x.public.t", "tags": [], "type": "DB_TABLE", "facets": {}, "fields": [{"name": "id", "type": "int"}], "namespace": "postgres://h:5432", "sourceName": "postgres://h:5432", "description": null, "physicalName": "x.public.t", "lastModifiedAt": null}', 'a dataset has what Marquez''s web UI reads of it');
select is((select (g -> 'data') - array['createdAt', 'updatedAt'] from jsonb_array_elements(tests.as('north.viewer', $$ public.lineage_graph('dataset:db:f', 'upstream', 1) $$) -> 'graph') g where g ->> 'type' = 'JOB'),
    '{"id": {"name": "etl", "namespace": "ns"}, "name": "etl", "type": "BATCH", "inputs": [{"name": "e", "namespace": "db"}], "outputs": [{"name": "f", "namespace": "db"}], "location": null, "latestRun": null, "namespace": "ns", "simpleName": "etl", "description": null, "parentJobName": null, "parentJobUuid": null}', 'and so has a job');
select is(tests.graph('dataset:postgresql://h:5432:x.public.t'), '{dataset:postgres://h:5432:x.public.t}', 'names and namespaces may hold colons');
select ok(tests.graph('job:ns:sum') = '{dataset:db:orders,dataset:db:totals}', 'a job is a node too');
select tests.as('north.viewer', $$ public.lineage_graph('dataset:db:a', 'downstream', 10, null, null, 3) $$) as page1 \gset
select is((jsonb_path_query_array(:'page1', '$.graph[*] ? (@.type == "DATASET").id'), :'page1'::jsonb ->> 'truncated', :'page1'::jsonb ->> 'next')::text,
    '("[""dataset:db:a"", ""dataset:db:b"", ""dataset:db:c""]",true,3)', 'a large graph comes in pages');
select is(tests.graph('dataset:db:a', ', ''downstream'', 10, null, null, 3, ''3'''), '{dataset:db:d,dataset:db:e,dataset:db:f}', 'which follow each other');
select is((select array_agg(distinct g ->> 'type') from jsonb_array_elements(tests.as('north.viewer', $$ public.lineage_graph('dataset:db:a', kinds => '{job}') $$) -> 'graph') g), '{JOB}', 'kinds narrow it');
select tests.refused('north.viewer', format('public.lineage_graph(%s)', p.arguments), p.code, 'no graph: ' || p.arguments)
from (values ('''dataset:db:nowhere''', 'NODE_NOT_FOUND'), ('''dataset:db''', 'NODE_ID_INVALID'), ('''a''', 'NODE_ID_INVALID'), ('null', 'NODE_ID_INVALID'), ('''job:ns:nowhere''', 'NODE_NOT_FOUND'), ('''datasetField:db:a:x''', 'NODE_ID_INVALID'),
             ('''dataset:db:a'', ''sideways''', 'FIELD_INVALID'), ('''dataset:db:a'', null', 'FIELD_INVALID'), ('''dataset:db:a'', ''both'', 101', 'FIELD_INVALID'), ('''dataset:db:a'', ''both'', -1', 'FIELD_INVALID'), ('''dataset:db:a'', ''both'', null', 'FIELD_INVALID'),
             ('''dataset:db:a'', max_nodes => 0', 'FIELD_INVALID'), ('''dataset:db:a'', max_nodes => 20001', 'FIELD_INVALID'), ('''dataset:db:a'', cursor => ''x''', 'FIELD_INVALID'), ('repeat(''dataset:x:'', 900)', 'NODE_ID_INVALID')
) p (arguments, code);
select tests.ingest(jsonb_build_array(tests.event('loop1 -> loop2'), tests.event('loop2 -> loop1')));
select is(tests.graph('dataset:db:loop1', ', ''both'', 100'), '{dataset:db:loop1,dataset:db:loop2}', 'a circle has an end');
select tests.ingest(jsonb_build_array(tests.event('ring1 -> ring2'), tests.event('ring2 -> ring3'), tests.event('ring3 -> ring1'), tests.event('ring2 -> off ring')));
select ok(tests.graph('dataset:db:ring1', ', ''both'', 2') @> '{"dataset:db:off ring"}', 'what is above and below at once leads on both ways');

-- other tenants
select tests.refused('south.admin', $$ public.lineage_graph('dataset:db:a') $$, 'NODE_NOT_FOUND', 'another tenant''s graph is not there');
select tests.refused('south.admin', $$ public.lineage_graph('job:ns:etl') $$, 'NODE_NOT_FOUND', 'nor its jobs');
select tests.refused('south.admin', $$ public.column_lineage('dataset:db:totals') $$, 'NODE_NOT_FOUND', 'nor its columns');
select tests.ingest(tests.event('a -> south only'), 'south.operator');
select is(tests.graph('dataset:db:a', '', 'south.viewer'), '{"dataset:db:a","dataset:db:south only"}', 'the same names in another tenant are another graph');
select is(tests.graph('dataset:db:a', ', ''downstream'', 1'), '{dataset:db:a,dataset:db:b}', 'which does not show in this one');

-- as it was
select clock_timestamp() as before_retiring \gset
update lineage.edges e set deleted_at = clock_timestamp(), deleted_by = 'north.admin', deleted_reason = 'wrong'
from lineage.datasets s where s.tenant_id = e.tenant_id and s.id = e.src and s.name = 'e' and e.tenant_id = tests.tenant('north');
select is(tests.graph('dataset:db:c', ', ''downstream'''), '{dataset:db:c,dataset:db:e}', 'a retired edge is gone from the graph');
select is(tests.graph('dataset:db:c', format(', ''downstream'', 5, %L', :'before_retiring')), '{dataset:db:c,dataset:db:e,dataset:db:f}', 'and there as of before');
select is(tests.graph('dataset:db:c', ', ''downstream'', 5, ''2001-01-01'''), '{dataset:db:c}', 'before anything was seen there was nothing');
select tests.ingest(tests.event('e -> f', 'etl', '{"eventTime": "2026-11-24T00:00:00Z"}'));
select is((select count(*) from lineage.edges e join lineage.datasets s on s.tenant_id = e.tenant_id and s.id = e.src where s.name = 'e'), 2::bigint, 'seen again, a retired edge is a new edge');

-- ------------------------------------------------------------------------------------------ append-only

select id as edge from lineage.edges where deleted_at is null order by id limit 1 \gset
select id as retired from lineage.edges where deleted_at is not null order by id limit 1 \gset

create function tests.try(p_role text, p_statement text)
returns text language plpgsql as $$
begin
    if p_role in ('app_owner', 'north.admin') then
        perform tests.become('north.admin');
    end if;
    perform set_config('role', case p_role when 'north.admin' then 'admin' when 'supabase_admin' then 'none' else p_role end, true);
    execute p_statement;
    perform tests.rest();
    return 'done';
exception when insufficient_privilege then
    return 'refused';
end
$$;

-- as every role that could mean it, with the triggers asked to sleep where the role may ask for it
create function tests.guard(p_statement text, p_law text)
returns setof text language plpgsql as $$
declare
    r text;
begin
    foreach r in array array['anon', 'north.admin', 'service_role', 'runner', 'loader', 'app_system', 'app_owner', 'postgres', 'supabase_admin'] loop
        return next is(tests.try(r, p_statement), 'refused', p_law || ', not by ' || r);
    end loop;
    perform set_config('session_replication_role', 'replica', true);
    return next is(tests.try('supabase_admin', p_statement), 'refused', p_law || ', not by a superuser who puts triggers to sleep');
    return next is(tests.try('app_owner', p_statement), 'refused', p_law || ', not by the owner with triggers asleep');
    perform set_config('session_replication_role', 'origin', true);
end
$$;

select tests.guard(format('delete from lineage.edges where id = %s', :edge), 'no edge is deleted');
select tests.guard('truncate lineage.edges', 'edges are not truncated');
select tests.guard(format('update lineage.edges set dst = src where id = %s', :edge), 'no edge is turned');
select tests.guard(format('update lineage.edges set tenant_id = %L where id = %s', tests.tenant('south'), :edge), 'no edge moves to another tenant');
select tests.guard(format('update lineage.edges set created_at = now() - interval ''1 year'' where id = %s', :edge), 'no edge is dated back');
select tests.guard(format('update lineage.edges set deleted_at = null, deleted_by = null where id = %s', :retired), 'no retired edge comes back');
select tests.guard(format('update lineage.edges set deleted_reason = ''changed'' where id = %s', :retired), 'no retirement is rewritten');
select tests.guard(format('update lineage.edges set method = ''manual'', deleted_at = now(), deleted_by = ''x'' where id = %s', :edge), 'retiring changes nothing else');
select tests.guard('delete from lineage.column_edges', 'no column edge is deleted');
select tests.guard('update lineage.column_edges set src_field = ''x''', 'no column edge is rewritten');
select tests.guard('truncate lineage.column_edges', 'column edges are not truncated');
select tests.guard('delete from lineage.events', 'no event is deleted');
select tests.guard('update lineage.events set event = ''{}''', 'no event is rewritten');
select tests.guard('truncate lineage.events cascade', 'events are not truncated');
select tests.guard('truncate lineage.datasets cascade', 'nodes are not truncated from under their edges');

select is(tests.try(r, 'alter table lineage.edges disable trigger all'), 'refused', r || ' does not disable the guards') from unnest(array['service_role', 'runner', 'app_system', 'postgres']) r;
select is(tests.try(r, 'drop table lineage.edges cascade'), 'refused', r || ' does not drop the edges') from unnest(array['service_role', 'runner', 'app_system', 'postgres']) r;
select is(tests.try('postgres', 'drop schema lineage cascade'), 'refused', 'postgres does not drop the room');
select is(tests.try('app_system', format('update lineage.edges set deleted_at = now(), deleted_by = ''sweeper'' where id = %s', :edge)), 'done', 'retiring is open to the worker');
select throws_ok(format('update lineage.edges set deleted_at = now() where id = (select max(id) from lineage.edges where deleted_at is null)'), '23514', null, 'who retires says who');
select throws_ok(format('insert into lineage.edges (tenant_id, src, dst, job_id, method) select %L, src, dst, job_id, ''manual'' from lineage.edges where id = %s', tests.tenant('south'), :edge), '23503', null, 'no edge crosses tenants');
select throws_ok('insert into lineage.edges (tenant_id, src, dst, job_id, method) select tenant_id, src, dst, job_id, ''manual'' from lineage.edges where deleted_at is null limit 1', '23505', null, 'one live edge each');

select * from finish();
rollback;
