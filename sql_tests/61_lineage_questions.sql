-- lineage: questions beyond a walk, and how an edge is retired. Retired edges do not conduct.
begin;
\ir fixtures.psql
select no_plan();

create function tests.flow(p_flow text, p_columns jsonb default '{}', p_job text default 'etl', p_who text default 'north.operator', p_namespace text default 'db')
returns jsonb language sql as $$
    select tests.as(p_who, format('public.lineage_ingest(%L::jsonb)', jsonb_build_object('eventTime', clock_timestamp(), 'producer', 'p', 'schemaURL', 's',
        'job', jsonb_build_object('namespace', 'ns', 'name', p_job),
        'inputs', (select coalesce(jsonb_agg(jsonb_build_object('namespace', p_namespace, 'name', x)), '[]') from regexp_split_to_table(btrim(split_part(p_flow, '->', 1)), '\s*,\s*') x where x <> ''),
        'outputs', (select coalesce(jsonb_agg(jsonb_build_object('namespace', p_namespace, 'name', x, 'facets', jsonb_build_object('columnLineage', jsonb_build_object('fields', p_columns)))), '[]')
                    from regexp_split_to_table(btrim(split_part(p_flow, '->', 2)), '\s*,\s*') x where x <> ''))))
$$;
create function tests.of(p_dataset text, p_field text) returns jsonb language sql as $$
    select jsonb_build_object('inputFields', jsonb_build_array(jsonb_build_object('namespace', 'db', 'name', p_dataset, 'field', p_field))) $$;
create function tests.ask(p_function text, p jsonb, p_who text default 'north.viewer') returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p)) $$;
create function tests.way(p_source text, p_target text, p_more jsonb default '{}') returns text language sql as $$
    select string_agg(split_part(x, ':', 3), '>' order by n)
    from jsonb_array_elements_text(tests.ask('lineage_path', jsonb_build_object('source', 'dataset:db:' || p_source, 'target', 'dataset:db:' || p_target) || p_more) -> 'path') with ordinality y (x, n) $$;
create function tests.fields(p_node text, p_more text default '') returns text language sql as $$
    select string_agg(replace(g ->> 'id', 'datasetField:db:', ''), ' ' order by g ->> 'id') from jsonb_array_elements(tests.as('north.viewer', format('public.column_lineage(%L%s)', p_node, p_more)) -> 'graph') g $$;

-- a -> b -> c -> d -> e, a short cut b -> d, and something apart
select tests.flow('a -> b', jsonb_build_object('x', tests.of('a', 'x'), 'y', tests.of('a', 'y')));
select tests.flow('b -> c', jsonb_build_object('x', tests.of('b', 'x')));
select tests.flow('c -> d', jsonb_build_object('x', tests.of('c', 'x'), 'sum', tests.of('c', 'x')));
select tests.flow('d -> e', jsonb_build_object('total', tests.of('d', 'sum')), 'report');
select clock_timestamp() as before_the_short_cut \gset
select tests.flow('b -> d', '{}', 'short cut');
select tests.flow('apart -> alone', '{}', 'other');

-- ------------------------------------------------------------------------------------------------ ways

select is(tests.way('a', 'e'), 'a>b>d>e', 'a way is the shortest');
select is(tests.way('a', 'e', jsonb_build_object('as_of', :'before_the_short_cut')), 'a>b>c>d>e', 'as it was before the short cut, it was longer');
select is(tests.ask('lineage_path', '{"source": "dataset:db:a", "target": "dataset:db:e"}') - 'graph' - 'path', '{"found": true, "hops": 3}', 'it says how long it is');
select is(tests.way('a', 'a'), 'a', 'from a dataset to itself there is no hop');
select is(tests.way('e', 'a'), null, 'there is none against the flow');
select is(tests.ask('lineage_path', '{"source": "dataset:db:a", "target": "dataset:db:alone"}'), '{"found": false, "hops": null, "path": [], "graph": []}', 'none to what hangs elsewhere');
select is(tests.way('a', 'e', '{"depth": 2}'), null, 'none that is longer than was asked for');
select is(tests.way('a', 'e', '{"depth": 3}'), 'a>b>d>e', 'but one that is just as long');
select tests.flow('e -> a', '{}', 'round');
select is(tests.way('c', 'b'), 'c>d>e>a>b', 'a circle is a way like any other');
select is((select array_agg(g ->> 'id' order by g ->> 'id') from jsonb_array_elements(tests.ask('lineage_path', '{"source": "dataset:db:b", "target": "dataset:db:e"}') -> 'graph') g where g ->> 'type' = 'JOB'),
    '{"job:ns:report","job:ns:short cut"}', 'with the jobs on the way');
select tests.refused('north.viewer', format('public.%s(%L::jsonb)', p.f, p.body), p.code, p.f || ' refuses ' || p.body)
from (values ('lineage_path', '{"source": "dataset:db:a"}', 'NODE_ID_INVALID'), ('lineage_path', '{"source": "dataset:db:a", "target": "dataset:db:nowhere"}', 'NODE_NOT_FOUND'),
    ('lineage_path', '{"source": "dataset:db:a", "target": "dataset:db:e", "depth": 0}', 'FIELD_INVALID'), ('lineage_path', '{"source": "dataset:db:a", "target": "dataset:db:e", "as_of": "then"}', 'FIELD_INVALID'),
    ('lineage_diff', '{"node": "dataset:db:a"}', 'FIELD_INVALID'), ('lineage_diff', '{"node": "dataset:db:a", "from": "2026-01-02", "to": "2026-01-01"}', 'FIELD_INVALID'),
    ('lineage_diff', '{"node": "dataset:db:a", "from": "2026-01-01", "direction": "sideways"}', 'FIELD_INVALID'), ('lineage_impact', '{}', 'NODE_ID_INVALID'),
    ('lineage_impact', '{"node": "datasetField:db:nowhere:x"}', 'NODE_NOT_FOUND'), ('lineage_orphans', '{"limit": 0}', 'FIELD_INVALID'), ('lineage_violations', '{"cursor": "x"}', 'FIELD_INVALID')) p (f, body, code);

-- --------------------------------------------------------------------------------------------- columns

select is(tests.fields('dataset:db:e'), 'a:x b:x c:x d:sum e:total', 'columns come from columns, hop by hop');
select is(tests.fields('dataset:db:e', ', 2'), 'c:x d:sum e:total', 'as many hops as are asked for');
select is(tests.fields('datasetField:db:d:sum'), 'a:x b:x c:x d:sum', 'one column has a lineage of its own');
select is(tests.fields('datasetField:db:a:x', ', 9, ''downstream'''), 'a:x b:x c:x d:sum d:x e:total', 'and what comes from it');
select is(tests.fields('datasetField:db:a:y', ', 9, ''downstream'''), 'a:y b:y', 'another column has another');
select is(tests.fields('datasetField:db:c:x', ', 9, ''both'''), 'a:x b:x c:x d:sum d:x e:total', 'or both ways');
select is(tests.ask('lineage_impact', '{"node": "datasetField:db:c:x"}'),
    '{"node": "datasetField:db:c:x", "truncated": false, "datasets": ["dataset:db:d", "dataset:db:e"], "jobs": ["job:ns:etl", "job:ns:report"],
      "columns": [{"dataset": "dataset:db:d", "field": "sum", "hops": 1}, {"dataset": "dataset:db:d", "field": "x", "hops": 1}, {"dataset": "dataset:db:e", "field": "total", "hops": 2}]}',
    'a change of a column reaches these columns, datasets and jobs');
select is(tests.ask('lineage_impact', '{"node": "dataset:db:d", "depth": 1}') - 'columns', '{"node": "dataset:db:d", "truncated": false, "datasets": ["dataset:db:e"], "jobs": ["job:ns:report"]}', 'so of a dataset, as far as is asked for');

-- ---------------------------------------------------------------------------------- retiring, changes

select clock_timestamp() as before_retiring \gset
select tests.refused('north.operator', $$ public.retire_lineage('{"job": "job:ns:report", "reason": "wrong"}') $$, 'ROLE_INSUFFICIENT', 'an operator retires nothing');
select tests.refused('north.admin', format('public.retire_lineage(%L::jsonb)', p.body), p.code, 'retire_lineage refuses ' || p.body)
from (values ('{"job": "job:ns:report"}', 'FIELD_INVALID'), ('{"reason": "wrong"}', 'BODY_INVALID'), ('{"source": "dataset:db:a", "reason": "wrong"}', 'BODY_INVALID'), ('{"job": "job:ns:nowhere", "reason": "wrong"}', 'NODE_NOT_FOUND'),
    ('{"source": "dataset:db:a", "target": "dataset:db:e", "reason": "wrong"}', 'EDGE_NOT_FOUND'), ('{"job": "job:ns:report", "reason": "wrong", "all": true}', 'FIELD_UNKNOWN')) p (body, code);
select is(tests.ask('retire_lineage', '{"job": "job:ns:report", "reason": "it read the wrong table"}', 'north.admin') - 'at', '{"retired": 1, "columns": 1}', 'an admin retires the edges of a job');
select is(tests.ask('retire_lineage', '{"source": "dataset:db:b", "target": "dataset:db:d", "reason": "no short cuts"}', 'north.admin') - 'at', '{"retired": 1, "columns": 0}', 'or those between two datasets');
select is((select array_agg((e.deleted_by, e.deleted_reason)::text order by e.id) from lineage.edges e where e.deleted_at is not null),
    '{"(north.admin,\"it read the wrong table\")","(north.admin,\"no short cuts\")"}', 'it says who, and why');
select is((select count(*) from audit.entries e where e.action = 'lineage.retire'), 2::bigint, 'and is in the audit');
select tests.refused('north.admin', $$ public.retire_lineage('{"job": "job:ns:report", "reason": "again"}') $$, 'EDGE_NOT_FOUND', 'what is retired is not retired again');
select is(tests.way('a', 'e'), null, 'a retired edge does not conduct');
select is(tests.way('a', 'e', jsonb_build_object('as_of', :'before_retiring')), 'a>b>d>e', 'as of before it does');
select is(tests.fields('dataset:db:e'), null, 'nor does a column''s');
select is(tests.fields('dataset:db:e', format(', 1, ''upstream'', %L', :'before_retiring')), 'd:sum e:total', 'as of before it does');
select is(tests.ask('lineage_impact', jsonb_build_object('node', 'dataset:db:d', 'as_of', :'before_retiring')) -> 'jobs' ? 'job:ns:report', true, 'so with the impact');
select tests.flow('d -> e', '{}', 'report 2');
create function tests.change(p_kind text, p jsonb) returns text language sql as $$
    select string_agg(replace(concat_ws('>', c ->> 'source', c ->> 'target'), 'dataset:db:', '') || ' ' || (c ->> 'job') || coalesce(' ' || (c ->> 'reason'), ''), ', ' order by c ->> 'source', c ->> 'job')
    from jsonb_array_elements(tests.ask('lineage_diff', p) -> p_kind) c $$;
select jsonb_build_object('node', 'dataset:db:d', 'from', :'before_retiring') as since \gset
select is(tests.change('removed', :'since'), 'b>d job:ns:short cut no short cuts, d>e job:ns:report it read the wrong table', 'what went since then, and why');
select is(tests.change('added', :'since'), 'd>e job:ns:report 2', 'what came');
select is(tests.change('added', jsonb_build_object('node', 'dataset:db:d', 'from', :'before_the_short_cut', 'to', :'before_retiring')), 'b>d job:ns:short cut, e>a job:ns:round', 'between two times that are past');
select is(tests.change('removed', jsonb_build_object('node', 'dataset:db:d', 'from', :'before_the_short_cut', 'to', :'before_retiring')), null, 'nothing had gone by then');
select tests.flow('d -> e', '{}', 'report');
select is(tests.change('removed', :'since'), 'b>d job:ns:short cut no short cuts', 'what was seen again has not gone');
select is(tests.ask('lineage_diff', :'since'::jsonb || '{"depth": 0}') -> 'removed', '[]', 'no further than was asked for');

-- ------------------------------------------------------------------------------------- orphans, layers

select tests.flow(' -> written', '{}', 'only writes');
select tests.ask('retire_lineage', '{"job": "job:ns:other", "reason": "gone"}', 'north.admin');
select is((select array_agg(i::jsonb - 'created_at' order by i ->> 'node') from jsonb_array_elements(tests.ask('lineage_orphans', '{}') -> 'items') i)::text,
    array['{"node": "dataset:db:alone", "read": false, "written": true, "was_connected": true}', '{"node": "dataset:db:apart", "read": true, "written": false, "was_connected": true}',
          '{"node": "dataset:db:written", "read": false, "written": true, "was_connected": false}']::jsonb[]::text, 'orphans are what no live edge touches, and how they came to that');
select tests.ask('lineage_orphans', '{"limit": 2}') as page \gset
select is((jsonb_array_length(:'page'::jsonb -> 'items'), jsonb_array_length(tests.ask('lineage_orphans', jsonb_build_object('cursor', :'page'::jsonb -> 'next')) -> 'items'))::text, '(2,1)', 'in pages');

select tests.flow('bronze.raw -> silver.clean', '{}', 'clean', 'north.operator', 'control-room://north');
select tests.flow('silver.clean -> gold.good', '{}', 'good', 'north.operator', 'control-room://north');
select is(tests.ask('lineage_violations', '{}'), '{"items": [], "next": null}', 'layer by layer is as it should be');
select tests.flow('bronze.raw -> gold.bad', '{}', 'bad', 'north.operator', 'control-room://north');
select is((tests.ask('lineage_violations', '{}') #> '{items,0}') - 'since'::text,
    '{"rule": "gold never reads bronze", "reader": "gold", "source": "bronze", "from": "control-room://north:bronze.raw", "to": "control-room://north:gold.bad", "job": "job:ns:bad", "run_id": null}', 'gold never reads bronze');
select is(tests.ask('list_layer_rules', '{}') -> 'items', '[{"reader": "gold", "source": "bronze"}]', 'unless something else is set, that is the rule');
select tests.refused('north.operator', $$ public.set_layer_rules('{"rules": []}') $$, 'ROLE_INSUFFICIENT', 'an operator makes no rules');
select tests.refused('north.admin', format('public.set_layer_rules(%L::jsonb)', p), 'FIELD_INVALID', 'no rule: ' || p)
from unnest(array['{"rules": [7]}', '{"rules": [{"reader": "gold"}]}', '{"rules": [{"reader": "gold", "source": "gold"}]}', '{"rules": [{"reader": "gold", "source": "lead"}]}']) p;
select is(tests.ask('set_layer_rules', '{"rules": [{"reader": "gold", "source": "silver"}]}', 'north.admin') -> 'items', '[{"reader": "gold", "source": "silver"}]', 'an admin sets others');
select is((select array_agg(i ->> 'job') from jsonb_array_elements(tests.ask('lineage_violations', '{}') -> 'items') i), '{job:ns:good}', 'which hold from then on');
select is(tests.ask('list_layer_rules', '{}', 'south.viewer') -> 'items', '[{"reader": "gold", "source": "bronze"}]', 'for that tenant alone');

-- ---------------------------------------------------------------------------------------- other tenants

select tests.refused('south.admin', format('public.%s(%L::jsonb)', p.f, p.body), 'NODE_NOT_FOUND', p.f || ': another tenant''s is not there')
from (values ('lineage_path', '{"source": "dataset:db:a", "target": "dataset:db:b"}'), ('lineage_diff', '{"node": "dataset:db:a", "from": "2026-01-01"}'), ('lineage_impact', '{"node": "datasetField:db:a:x"}'),
    ('retire_lineage', '{"job": "job:ns:etl", "reason": "theirs"}'), ('retire_lineage', '{"source": "dataset:db:a", "target": "dataset:db:b", "reason": "theirs"}')) p (f, body);
select is(tests.ask(f, '{}', 'south.admin') -> 'items', '[]', f || ' of another tenant is empty') from unnest(array['lineage_orphans', 'lineage_violations']) f;
select tests.flow('a -> b', '{}', 'etl', 'south.operator');
select is(tests.ask('retire_lineage', '{"job": "job:ns:etl", "reason": "mine"}', 'south.admin') ->> 'retired', '1', 'the same names in another tenant are other edges');
select is(tests.way('a', 'b'), 'a>b', 'which are retired alone');

select * from finish();
rollback;
