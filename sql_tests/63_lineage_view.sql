-- lineage: what views of the layers say. The database keeps their text and asks a runner to read it; what it found is believed for as
-- long as the view says so.
begin;
\ir fixtures.psql
select no_plan();

create table silver_north.orders (id bigint, customer text, amount numeric, tenant_id uuid);
create view gold_north.totals with (security_invoker = on) as select o.customer, sum(o.amount) as total from silver_north.orders o group by o.customer;
create view gold_north.big with (security_invoker = on) as select t.customer from gold_north.totals t where t.total > 10;

create function tests.capture() returns integer language sql as $$ select worker.capture_views(tests.tenant('north'), array['silver_north.orders'::regclass::oid], 1, null) $$;
create function tests.claim_events() returns setof jsonb language sql as $$ select x -> 'claim_events' from tests.rows('runner', 'select worker.claim_events(10)') x $$;
-- What a runner says of a batch: of each view that is told of, these columns: 'total<-silver.orders.amount …'.
create function tests.says(p_batch jsonb, p_said jsonb) returns jsonb language sql as $$
    select tests.as('runner', format('worker.report_findings(%L)', jsonb_build_array(p_batch - 'events' || jsonb_build_object('findings', '[]'::jsonb, 'views', (
        select jsonb_agg(jsonb_build_object('event_id', e -> 'event_id', 'doubts', '[]'::jsonb, 'columns', (
            select coalesce(jsonb_agg(jsonb_build_object('field', split_part(c, '<-', 1), 'source', substring(c from '<-(.*)\.'), 'source_field', substring(c from '[^.]*$'), 'type', 'DIRECT', 'subtype', 'IDENTITY')), '[]')
            from regexp_split_to_table(p_said ->> (e #>> '{event,dataset,name}'), ' ') c where c <> '')))
        from jsonb_array_elements(p_batch -> 'events') e where jsonb_typeof(e -> 'view') = 'object'))))) #> '{0,settled}' $$;
create function tests.columns_of(p_view text) returns text language sql as $$
    select string_agg(e.dst_field || '<-' || s.name || '.' || e.src_field, ' ' order by e.dst_field, s.name, e.src_field) from lineage.column_edges e
    join lineage.datasets d on d.tenant_id = e.tenant_id and d.id = e.dst join lineage.datasets s on s.tenant_id = e.tenant_id and s.id = e.src
    where e.tenant_id = tests.tenant('north') and d.name = p_view and e.deleted_at is null $$;

select is(tests.capture(), 2, 'a load captures the views above it');
select c as batch into temporary told from tests.claim_events() c;
select is((select count(*) from lineage.views), 2::bigint, 'their text is kept');
select is((select jsonb_agg(v.tables order by d.name) from lineage.views v join lineage.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id),
    '[{"gold_north.totals": {"name": "gold.totals", "columns": ["customer", "total"]}}, {"silver_north.orders": {"name": "silver.orders", "columns": ["id", "customer", "amount"]}}]', 'with the names of what they read');
select is((select jsonb_agg(e #>> '{event,dataset,name}' order by e #>> '{event,dataset,name}') from told, jsonb_array_elements(batch -> 'events') e where e #>> '{view,definition}' ~ 'FROM \w+_north\.'), '["gold.big", "gold.totals"]', 'and a runner is given both');
select is((select bool_and(tests.says(batch, '{"gold.totals": "customer<-silver.orders.customer total<-silver.orders.amount", "gold.big": "customer<-gold.totals.customer"}') = 'true') from told), true, 'what it says is taken');
select is(tests.columns_of('gold.totals'), 'customer<-silver.orders.customer total<-silver.orders.amount', 'column by column');
select is(jsonb_path_query_array(tests.as('north.viewer', $$ public.lineage_impact('{"node": "datasetField:control-room://north:silver.orders:customer"}') $$), '$.columns[*].dataset'),
    '["dataset:control-room://north:gold.totals", "dataset:control-room://north:gold.big"]', 'so a column is followed through views');
select is((select count(*) from lineage.jobs j where j.name = 'catalog/layers' and j.tenant_id = tests.tenant('north')), 1::bigint, 'by the job that the views have already');

select is(tests.capture(), 2, 'captured again');
select is((select count(*) from tests.claim_events()), 0::bigint, 'what has not changed is not read again');
create or replace view gold_north.totals with (security_invoker = on) as select o.customer, sum(o.id)::numeric as total from silver_north.orders o group by o.customer;
select tests.capture();
drop table told;
select c as batch into temporary told from tests.claim_events() c;
select is((select jsonb_agg(e #>> '{event,dataset,name}') from told, jsonb_array_elements(batch -> 'events') e), '["gold.totals"]', 'what has is');
create or replace view gold_north.totals with (security_invoker = on) as select o.customer, max(o.id)::numeric as total from silver_north.orders o group by o.customer;
select tests.capture();
select is((select tests.says(batch, '{"gold.totals": "total<-silver.orders.id"}') from told), 'true', 'a report');
select is(tests.columns_of('gold.totals'), 'customer<-silver.orders.customer total<-silver.orders.amount', 'of an older text is not believed');
select is((select tests.says(c, '{"gold.totals": "customer<-silver.orders.customer total<-silver.orders.id"}') from tests.claim_events() c), 'true', 'that of the newest');
select is(tests.columns_of('gold.totals'), 'customer<-silver.orders.customer total<-silver.orders.id', 'is, and what the view does not say any more is retired');

-- anybody may send an event that looks like ours
select tests.as('north.operator', format('public.lineage_ingest(%L::jsonb)', jsonb_build_object('eventTime', now(), 'producer', 'urn:control-room:worker', 'schemaURL', 's', 'dataset', jsonb_build_object('namespace', 'control-room://north', 'name', 'gold.totals',
    'facets', jsonb_build_object('control_room_view', jsonb_build_object('version', gen_random_uuid(), 'definition', 'select 1', 'tables', '{}'::jsonb))))));
select is((select jsonb_agg(e -> 'view') from tests.claim_events() c, jsonb_array_elements(c -> 'events') e), '[null]', 'what an event says of itself is never read as a view');

drop view gold_north.big;
drop view gold_north.totals;
select is(tests.capture(), 0, 'views that are gone');
select is(tests.columns_of('gold.totals'), null, 'conduct no more, column by column');
select is((select count(*) from lineage.views), 0::bigint, 'and their text goes with them');

select * from finish();
rollback;
