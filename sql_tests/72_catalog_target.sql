-- catalog, second part: databases elsewhere. A target is granted by name, looked at again at the claim; a refresh tells what is there.
begin;
\ir fixtures.psql
select no_plan();

create function tests.migration(p_target jsonb)
returns jsonb language sql as $$
    select jsonb_build_object('job_type', 'schema_migration', 'max_retries', 0, 'code', '{"files": {"1.sql": "select 1"}}'::jsonb,
        'params', jsonb_strip_nulls(jsonb_build_object('target', p_target)))
$$;
create function tests.refused(p_target jsonb)
returns text language sql as $$
    select tests.error('north.operator', format('public.run_job(%L::jsonb)', tests.submission(tests.migration(p_target)))) ->> 'code'
$$;

-- ------------------------------------------------------------------------------------ who may change it

select is(tests.refused(null), 'TARGET_MISSING', 'a migration names its target');
select is(tests.refused('7'), 'TARGET_MISSING', 'by a name');
select is(tests.refused('"shop"'), 'TARGET_NOT_GRANTED', 'that was granted: nothing is unless somebody said so');
select tests.as('platform', $$ public.platform_grant('{"tenant": "south", "kind": "target", "name": "shop"}') $$);
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "shop"}') $$);
select is(tests.refused('"shop"'), 'TARGET_NOT_GRANTED', 'to this tenant, and as a target');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "target", "name": "shop"}') $$);
select tests.submit('north.operator', tests.migration('"shop"')) as run \gset
select c as claim from tests.claim(1, '{schema_migration/default}') c \gset
select is(:'claim'::jsonb -> 'targets', '["shop"]', 'the runner is told that it is granted');
select tests.submit('north.operator', tests.migration('"shop"')) as later \gset
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "target", "name": "shop"}') $$);
select c as revoked from tests.claim(1, '{schema_migration/default}') c \gset
select is(:'revoked'::jsonb -> 'targets', '[]', 'and that it is no more: what was granted at the submission counts for nothing at the claim');

-- --------------------------------------------------------------------------------------- what is there

create function tests.shop(p_tables jsonb)
returns jsonb language sql as $$
    select jsonb_build_object('catalog', jsonb_build_array(jsonb_build_object('target', 'shop', 'namespace', 'postgresql://db:5432', 'database', 'shop', 'tables', p_tables)))
$$;
create function tests.event(p_src text, p_dst text, p_field text default 'id')
returns jsonb language sql as $$
    select jsonb_build_object('eventTime', '2026-01-01T00:00:00Z', 'producer', 'p', 'schemaURL', 's', 'run', jsonb_build_object('runId', gen_random_uuid(), 'facets', '{"control_room": {"method": "catalog"}}'::jsonb),
        'job', '{"namespace": "control-room://north", "name": "catalog/shop"}'::jsonb,
        'inputs', jsonb_build_array(jsonb_build_object('namespace', 'postgres://db:5432', 'name', p_src)),
        'outputs', jsonb_build_array(jsonb_build_object('namespace', 'postgres://db:5432', 'name', p_dst,
            'facets', jsonb_build_object('columnLineage', jsonb_build_object('fields', jsonb_build_object('total', jsonb_build_object('inputFields',
                jsonb_build_array(jsonb_build_object('namespace', 'postgres://db:5432', 'name', p_src, 'field', p_field)))))))))
$$;
create function tests.live()
returns setof text language sql as $$
    select s.name || ' -> ' || d.name from lineage.edges e join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst where e.deleted_at is null
$$;
select tests.settle(:'claim', tests.shop('[{"schema": "public", "name": "orders", "kind": "table", "dataset": "shop.public.orders", "rows": 7, "columns": [{"name": "id", "type": "bigint"}]},
    {"schema": "public", "name": "old", "kind": "table", "dataset": "shop.public.old"},
    {"schema": "public", "name": "big", "kind": "view", "dataset": "shop.public.big", "reads": ["shop.public.orders", "shop.public.old"], "definition_hash": "one"}]')
    || jsonb_build_object('lineage', jsonb_build_array(tests.event('shop.public.orders', 'shop.public.big'), tests.event('shop.public.old', 'shop.public.big'))));
select set_eq($$ select name || ' ' || kind || ' ' || seen_by_run from catalog.target_tables where gone_at is null $$,
    array[format('orders table %s', :run), format('old table %s', :run), format('big view %s', :run)], 'a run tells what its target holds');
select set_eq('select * from tests.live()', array['shop.public.orders -> shop.public.big', 'shop.public.old -> shop.public.big'], 'views are edges');
select is((select d.fields from catalog.target_tables t join lineage.datasets d on d.id = t.dataset_id where t.name = 'orders'), '[{"name": "id", "type": "bigint"}]', 'a table is the dataset of lineage, with its columns');

select tests.settle(:'revoked', tests.shop('[{"schema": "public", "name": "orders", "kind": "table", "dataset": "shop.public.orders"},
    {"schema": "public", "name": "big", "kind": "view", "dataset": "shop.public.big", "reads": ["shop.public.orders"], "definition_hash": "two"}]')
    || jsonb_build_object('lineage', jsonb_build_array(tests.event('shop.public.orders', 'shop.public.big', 'amount'))));
select is((select gone_at is not null from catalog.target_tables where name = 'old'), true, 'a table that is not found any more is gone, and stays on record');
select set_eq('select * from tests.live()', array['shop.public.orders -> shop.public.big'], 'what a view does not read any more is retired');
select is((select deleted_by from lineage.edges where deleted_at is not null), 'catalog', 'and says by whom');
select set_eq($$ select d.name || '.' || e.dst_field || ' <- ' || s.name || '.' || e.src_field from lineage.column_edges e join lineage.datasets s on s.id = e.src
    join lineage.datasets d on d.id = e.dst where e.deleted_at is null $$, array['shop.public.big.total <- shop.public.orders.amount'],
    'a view that is another one now has the columns that it has now');
select is((select count(*) from catalog.target_tables), 3::bigint, 'a table that is seen again is the same row');

select is((select count(*) from tests.rows('north.viewer', 'select * from public.target_tables')), 3::bigint, 'viewers see their tenant''s');
select is((select count(*) from tests.rows('south.admin', 'select * from public.target_tables')), 0::bigint, 'and nobody another''s');

-- the model of an ERP has told that it is kept in that table
select tests.submit('north.operator') as told \gset
select c as teller from tests.claim(1) c \gset
select tests.settle(:'teller', jsonb_build_object('lineage', jsonb_build_array(tests.event('shop.public.orders', 'shop.public.big', 'amount') #- '{run,facets}'
    || '{"inputs": [{"namespace": "odoo://shop", "name": "res.partner", "facets": {"symlinks": {"identifiers": [{"namespace": "postgres://db:5432", "name": "shop.public.partner"}]}}}], "outputs": []}')));
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "target", "name": "shop"}') $$);
select tests.submit('north.operator', tests.migration('"shop"')) as last \gset
select c as last from tests.claim(1, '{schema_migration/default}') c \gset
select tests.settle(:'last', tests.shop('[{"schema": "public", "name": "partner", "kind": "table", "dataset": "shop.public.partner"}]'));
select is((select d.name from catalog.target_tables t join lineage.datasets d on d.id = t.dataset_id where t.name = 'partner'), 'res.partner',
    'a table that is another name of a dataset is that dataset');

select * from finish();
rollback;
