-- lineage: batches of events. Who tells of lineage explicitly is believed; a bad event does not sink the others; a replay is nothing.
begin;
\ir fixtures.psql
select no_plan();

create function tests.told(p jsonb) returns jsonb language sql as $$
    select jsonb_build_object('eventTime', clock_timestamp(), 'producer', 'p', 'schemaURL', 's', 'eventType', 'COMPLETE', 'job', '{"namespace": "ns", "name": "j"}'::jsonb) || p $$;
create function tests.set(p_name text, p_facets jsonb default '{}', p_namespace text default 'db') returns jsonb language sql as $$
    select jsonb_build_object('namespace', p_namespace, 'name', p_name, 'facets', p_facets) $$;
create function tests.take(p jsonb, p_who text default 'north.operator') returns jsonb language sql as $$ select tests.as(p_who, format('public.lineage_ingest(%L::jsonb)', p)) $$;
create function tests.flows(p_job text) returns text language sql stable as $$
    select string_agg(s.name || '>' || d.name, ' ' order by s.name, d.name) from lineage.edges e join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id
    join lineage.datasets s on s.tenant_id = e.tenant_id and s.id = e.src join lineage.datasets d on d.tenant_id = e.tenant_id and d.id = e.dst
    where j.name = p_job and e.deleted_at is null and e.tenant_id = tests.tenant('north') $$;
create function tests.columns(p_job text) returns text language sql stable as $$
    select string_agg(s.name || '.' || e.src_field || '>' || d.name || '.' || e.dst_field || ' ' || e.type || coalesce(' ' || e.subtype, ''), ', ' order by s.name, e.src_field, d.name, e.dst_field)
    from lineage.column_edges e join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id
    join lineage.datasets s on s.tenant_id = e.tenant_id and s.id = e.src join lineage.datasets d on d.tenant_id = e.tenant_id and d.id = e.dst
    where j.name = p_job and e.tenant_id = tests.tenant('north') $$;
create function tests.job(p_name text, p_facets jsonb default '{}') returns jsonb language sql as $$
    select jsonb_build_object('job', jsonb_build_object('namespace', 'ns', 'name', p_name, 'facets', p_facets)) $$;

-- ------------------------------------------------------------------------------- explicit lineage

select tests.take(tests.told(tests.job('all') || jsonb_build_object('inputs', jsonb_build_array(tests.set('a'), tests.set('b')), 'outputs', jsonb_build_array(tests.set('x'), tests.set('y')))));
select is(tests.flows('all'), 'a>x a>y b>x b>y', 'without more, every input feeds every output');
select tests.take(tests.told(tests.job('told', jsonb_build_object('lineage', jsonb_build_object('entries', jsonb_build_array(
        '{"namespace": "db", "name": "x", "type": "DATASET", "inputs": [{"namespace": "db", "name": "a", "type": "DATASET"}]}'::jsonb,
        '{"namespace": "db", "name": "y", "type": "DATASET", "fields": {"total": {"inputs": [{"namespace": "db", "name": "b", "type": "DATASET", "field": "price", "transformations": [{"type": "DIRECT", "subtype": "AGGREGATION"}]},
             {"namespace": "db", "name": "c", "type": "DATASET", "field": "day", "transformations": [{"type": "INDIRECT", "subtype": "FILTER"}]}]}}}'::jsonb,
        '{"type": "JOB", "inputs": [{"type": "JOB", "namespace": "ns", "name": "before"}]}'::jsonb, '"nonsense"'::jsonb, '{"type": "DATASET", "name": "half"}'::jsonb))))
    || jsonb_build_object('inputs', jsonb_build_array(tests.set('a'), tests.set('b')),
        'outputs', jsonb_build_array(tests.set('x', '{"columnLineage": {"fields": {"n": {"inputFields": [{"namespace": "db", "name": "a", "field": "n"}]}}}}'), tests.set('y')))));
select is(tests.flows('told'), 'a>x b>y c>y', 'a job''s explicit lineage is all there is of it: no product of inputs and outputs');
select is(tests.columns('told'), 'b.price>y.total DIRECT AGGREGATION, c.day>y.total INDIRECT FILTER', 'nor is columnLineage believed beside it');
select tests.take(tests.told(tests.job('one output') || jsonb_build_object('inputs', jsonb_build_array(tests.set('a'), tests.set('b')), 'outputs', jsonb_build_array(
    tests.set('x', '{"lineage": {"inputs": [{"namespace": "db", "name": "a", "type": "DATASET"}], "fields": {"n": {"inputs": [{"namespace": "db", "name": "a", "type": "DATASET", "field": "n"}]}}}}'), tests.set('y')))));
select is(tests.flows('one output'), 'a>x a>y b>y', 'an output may tell of itself; the others are as always');
select is(tests.columns('one output'), 'a.n>x.n DIRECT', 'of its columns too');
select tests.take(tests.told(tests.job('nothing', '{"lineage": {"entries": [{"namespace": "db", "name": "x", "type": "DATASET", "inputs": []}]}}')
    || jsonb_build_object('inputs', jsonb_build_array(tests.set('a')), 'outputs', jsonb_build_array(tests.set('x')))));
select is(tests.flows('nothing'), null, 'no inputs, said explicitly, are none');
select tests.take(tests.told(tests.job('malformed', '{"lineage": {"entries": 7}}') || jsonb_build_object('inputs', jsonb_build_array(tests.set('a')), 'outputs', jsonb_build_array(tests.set('x', '{"lineage": 7}')))));
select is(tests.flows('malformed'), 'a>x', 'what is no lineage facet outranks nothing');

-- ------------------------------------------------------------------------------------------ symlinks

select tests.take(tests.told(tests.job('links') || jsonb_build_object('inputs', jsonb_build_array(tests.set('h.public.t', '{"symlinks": {"identifiers": [{"namespace": "odoo://h/db", "name": "account.move", "type": "model"}, {"namespace": "db", "name": "a", "type": "table"}]}}', 'postgresql://h:5432')),
    'outputs', jsonb_build_array(tests.set('linked')))));
select is(tests.as('north.viewer', $$ public.lineage_graph('dataset:odoo://h/db:account.move', 'downstream', 1, null, '{dataset}') $$) #> '{graph}' @> '[{"id": "dataset:postgres://h:5432:h.public.t"}]', true, 'a dataset is found by its other name');
select tests.take(tests.told(tests.job('by its other name') || jsonb_build_object('inputs', jsonb_build_array(tests.set('account.move', '{}', 'odoo://h/db')), 'outputs', jsonb_build_array(tests.set('report')))));
select is(tests.flows('by its other name'), 'h.public.t>report', 'and told of by it');
select is((select count(*) from lineage.datasets d where d.name = 'account.move'), 0::bigint, 'so it is no dataset of its own');
select is((select array_agg(y.name) from lineage.symlinks y), '{account.move}', 'what is a dataset of its own already is nobody''s other name');
select is((select count(*) from lineage.symlinks y where y.tenant_id = tests.tenant('south')), 0::bigint, 'in this tenant alone');

-- ------------------------------------------------------------------------------------------- batches

create temporary table batch as
select tests.told(tests.job('many ' || n) || jsonb_build_object('inputs', jsonb_build_array(tests.set('in ' || n % 7)), 'outputs', jsonb_build_array(tests.set('out ' || n)))) as e from generate_series(1, 50) n;
select is(tests.take((select jsonb_agg(e) || jsonb_agg(e) from batch)) -> 'summary', '{"received": 100, "successful": 100, "failed": 0, "retriable": 0, "non_retriable": 0}', 'a batch is taken, what stands twice in it too');
select is((select count(*) from lineage.edges e join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id where j.name like 'many %'), 50::bigint, 'once');
select is((select count(*) from lineage.observations o join lineage.edges e on e.tenant_id = o.tenant_id and e.id = o.edge_id join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id where j.name like 'many %'), 50::bigint, 'and seen once');
select tests.take((select jsonb_agg(e || jsonb_build_object('eventTime', clock_timestamp())) from batch));
select is((select (count(distinct e.id), count(*))::text from lineage.observations o join lineage.edges e on e.tenant_id = o.tenant_id and e.id = o.edge_id join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id where j.name like 'many %'), '(50,100)', 'again later it is a second sighting');
select tests.take(jsonb_build_array(tests.told(tests.job('twice') || jsonb_build_object('inputs', jsonb_build_array(tests.set('p'), tests.set('p')), 'outputs', jsonb_build_array(tests.set('q'), tests.set('q')))),
    tests.told(tests.job('twice') || jsonb_build_object('inputs', jsonb_build_array(tests.set('p')), 'outputs', jsonb_build_array(tests.set('q'))))));
select is(tests.flows('twice'), 'p>q', 'two events of a batch, and two mentions in one, make one edge');
select is(tests.take(jsonb_build_array(tests.told(tests.job('good')), '{"eventTime": 7}'::jsonb, tests.told(tests.job('good too') || '{"outputs": [{"namespace": "db", "name": "ok"}]}'))) #> '{failed_events}' #>> '{0,index}', '1', 'a bad event is told by its place');
select is(tests.take(jsonb_build_array(tests.told(tests.job('self') || jsonb_build_object('inputs', jsonb_build_array(tests.set('s')), 'outputs', jsonb_build_array(tests.set('s')))))) ->> 'status', 'success', 'a dataset may feed itself');
select is(tests.flows('self'), 's>s', 'which is an edge like any other');
select is(tests.take('[]') ->> 'status', 'success', 'an empty batch is a success');
select tests.take(tests.told(tests.job('wide') || jsonb_build_object('outputs', jsonb_build_array(tests.set('wide', jsonb_build_object('schema', jsonb_build_object('fields', (select jsonb_agg(jsonb_build_object('name', 'c' || n, 'type', 'int')) from generate_series(1, 10000) n)),
    'columnLineage', jsonb_build_object('fields', (select jsonb_object_agg('c' || n, jsonb_build_object('inputFields', jsonb_build_array(jsonb_build_object('namespace', 'db', 'name', 'a', 'field', 'c' || n)))) from generate_series(1, 10000) n))))))));
select is((select jsonb_array_length(d.fields) from lineage.datasets d where d.name = 'wide'), 10000, 'a table of 10,000 columns is taken');
select is((select count(*) from lineage.column_edges e join lineage.datasets d on d.tenant_id = e.tenant_id and d.id = e.dst where d.name = 'wide'), 10000::bigint, 'with all of them');
select tests.take(tests.told(tests.job('names') || jsonb_build_object('inputs', jsonb_build_array(tests.set(n)), 'outputs', jsonb_build_array(tests.set(n || '!', jsonb_build_object('columnLineage', jsonb_build_object('fields', jsonb_build_object(left(n, 900), jsonb_build_object('inputFields', jsonb_build_array(jsonb_build_object('namespace', 'db', 'name', n, 'field', left(n, 900))))))))))))
from unnest(array['quo"te''s', 'ünïcödé 数据', repeat('k', 4000), 'a:b:c', '%s \ {}']) n;
select is((select count(*) from lineage.edges e join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id where j.name = 'names'), 5::bigint, 'names may be anything');

-- a table's own name stands before another's word of it
select tests.take(tests.told(tests.job('south''s') || jsonb_build_object('outputs', jsonb_build_array(tests.set('account.move', '{}', 'odoo://h/db')))), 'south.operator');
select is((select count(*) from lineage.datasets d where d.name = 'account.move' and d.tenant_id = tests.tenant('south')), 1::bigint, 'another tenant''s symlinks say nothing here');

-- ---------------------------------------------------------------------------------- what may come

-- each part of a good event in turn is something else: it is taken or told by its index, never an error, and the good one beside it is in
create function tests.paths(p jsonb, p_at text[] default '{}')
returns setof text[] language sql as $$
    select p_at where p_at <> '{}'
    union all
    select x from jsonb_each(case jsonb_typeof(p) when 'object' then p else '{}' end) e cross join lateral tests.paths(e.value, p_at || e.key) x
    union all
    select x from jsonb_array_elements(case jsonb_typeof(p) when 'array' then p else '[]' end) with ordinality e (value, n) cross join lateral tests.paths(e.value, p_at || (e.n - 1)::text) x
$$;
create temporary table whole as select tests.told('{"run": {"runId": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "facets": {"parent": {"run": {"runId": "x"}}}}, "job": {"namespace": "ns", "name": "mutant", "facets": {"lineage": {"entries": [{"namespace": "db", "name": "m", "type": "DATASET", "inputs": [{"namespace": "db", "name": "l", "type": "DATASET", "field": "f"}], "fields": {"f": {"inputs": [{"namespace": "db", "name": "l", "type": "DATASET", "field": "f", "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}]}]}}}]}}},
    "inputs": [{"namespace": "db", "name": "l", "facets": {"schema": {"fields": [{"name": "f"}]}, "symlinks": {"identifiers": [{"namespace": "x", "name": "y"}]}}}], "outputs": [{"namespace": "db", "name": "m", "facets": {"columnLineage": {"fields": {"f": {"inputFields": [{"namespace": "db", "name": "l", "field": "f", "transformations": [{"type": "DIRECT"}]}]}}}, "lineage": {"inputs": []}}}]}') as event;
create temporary table mutant as
select x.path, tests.take((select jsonb_agg(jsonb_set(w.event, x.path, v)) from unnest(array['null', '7', '"x"', '""', '[]', '{}', '[[]]', '[null]', '{"fields": 7}', 'true', '-1e400']::jsonb[] || to_jsonb(repeat('ü', 5000))) v)
                          || tests.told(jsonb_build_object('job', jsonb_build_object('namespace', 'ns', 'name', 'beside ' || x.path::text)))) as said
from whole w cross join lateral tests.paths(w.event) x (path);
select ok((select count(*) from mutant) > 60, 'there is a lot that may be wrong with an event');
select is((select jsonb_agg(path) from mutant where said ->> 'status' not in ('success', 'partial_success') or (said #>> '{summary,received}')::integer <> 13
           or jsonb_path_exists(said, '$.failed_events[*] ? (@.index > 11)')), null, 'whatever it is, it is told of by its index');
select is((select count(*) from lineage.jobs j where j.name like 'beside %'), (select count(*) from mutant), 'and the good one beside it is in, every single time');

-- times: the event's word is kept, the database's clock is what counts
select tests.take(jsonb_agg(tests.told(tests.job('skewed') || jsonb_build_object('eventTime', t, 'inputs', jsonb_build_array(tests.set('then')), 'outputs', jsonb_build_array(tests.set('now'))))))
from unnest(array['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999Z', '2026-11-26T10:00:00+14:00', '2026-11-26T10:00:00.123456789123Z', '2026-02-30T25:61:61Z']) t;
select ok((select bool_and(e.created_at between clock_timestamp() - interval '1 minute' and clock_timestamp()) from lineage.edges e join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id where j.name = 'skewed'), 'an edge is as old as the database has known it, whatever the sender''s clock says');
select is((select count(*) from lineage.events e where e.event #>> '{job,name}' = 'skewed'), 5::bigint, 'and the events are kept as they came');

-- names are asked for as they were told
create temporary table named as select n from unnest(array['with ''quotes'' "and" more', 'a:b:c', '日本語 🚀', repeat('n', 4096), '%_\', ' ', E'tab\there', 'dataset:db:a', '../../etc', '{"json": 1}', 'ﬀ', 'e' || U&'\0301']) n;
select tests.take(jsonb_agg(tests.told(tests.job('anything') || jsonb_build_object('inputs', jsonb_build_array(tests.set(n, '{}', 'ns:with:colons')), 'outputs', jsonb_build_array(tests.set('named'))))))
from named;
select is((select count(*) from named where (select count(*) from jsonb_array_elements(tests.as('north.viewer', format('public.lineage_graph(%L, ''downstream'', 1)', 'dataset:ns:with:colons:' || n)) -> 'graph') g where g ->> 'id' = 'dataset:ns:with:colons:' || n) = 1), (select count(*) from named), 'and found by any name at all');

select * from finish();
rollback;
