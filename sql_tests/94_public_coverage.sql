-- public: coverage. What is declared or was seen to flow, minus what the graph knows, is empty; without any one of those who tell, it is not.
begin;
\ir fixtures.psql
select no_plan();

create function tests.coverage(p_who text default 'north.viewer') returns jsonb language sql as $$ select tests.as(p_who, 'public.lineage_coverage(''{}'')') $$;
create function tests.missing()
returns text language sql as $$
    select coalesce(string_agg(distinct concat_ws(' ', m ->> 'witness', replace(replace(m ->> 'source', 'dataset:', ''), 'control-room://', ''), '->', replace(replace(m ->> 'target', 'dataset:', ''), 'control-room://', '')), ', '), '')
    from jsonb_array_elements(tests.coverage() -> 'missing') m
$$;
create function tests.dataset(p_name text)
returns jsonb language sql immutable as $$
    select jsonb_build_object('namespace', case when p_name ~ '^(bronze|silver|gold|catalog)\.' then 'control-room://north' when p_name ~ '^shop\.' then 'postgres://db:5432' when p_name ~ '^odoo' then 'odoo://erp.example/prod' else 'control-room://north/artifacts' end, 'name', replace(p_name, 'odoo ', ''))
$$;
-- What a job type tells of its work: 'a, b -> c'.
create function tests.told(p_job text, p_flow text, p_namespace text default 'control-room://north')
returns jsonb language sql as $$
    select jsonb_build_object('eventTime', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'producer', 'p', 'schemaURL', 's', 'run', jsonb_build_object('runId', gen_random_uuid()), 'job', jsonb_build_object('namespace', p_namespace, 'name', p_job),
        'inputs', (select coalesce(jsonb_agg(tests.dataset(trim(x))), '[]') from regexp_split_to_table(split_part(p_flow, '->', 1), ',') x where trim(x) <> ''),
        'outputs', (select coalesce(jsonb_agg(tests.dataset(trim(x))), '[]') from regexp_split_to_table(split_part(p_flow, '->', 2), ',') x where trim(x) <> ''))
$$;
-- An artifact that a held attempt leaves, as its outcome names it.
create function tests.left_behind(p_claim jsonb, p_name text, p_kind text)
returns jsonb language plpgsql as $$
declare
    v jsonb := tests.as('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', p_claim ->> 'token', 'name', p_name, 'kind', p_kind, 'size', 3)));
begin
    return jsonb_build_object('artifact_id', v -> 'artifact_id', 'version', v -> 'version', 'size', 3, 'sha256', repeat('b', 64), 'verdict', 'READY');
end
$$;
create function tests.staged(p_claim jsonb, p_name text, p_columns jsonb default '[{"name": "a", "type": "bigint"}]')
returns jsonb language sql as $$
    select jsonb_build_object('name', p_name, 'rows', 0, 'staging', tests.as('runner', format('worker.open_output(%s, %s, %L, %L)', p_claim ->> 'attempt_id', p_claim ->> 'lease', p_name, p_columns)) #>> '{}')
$$;
-- A run of one task that writes a table of a layer and tells p_flow of itself (nothing, where null).
create function tests.load(p_table text, p_flow text, p_inputs jsonb default '[]', p_code jsonb default '{"files": {"job.py": "1"}}', p_artifact text default null)
returns jsonb language plpgsql as $$
declare
    c jsonb;
begin
    perform tests.submit('north.operator', jsonb_build_object('name', 'load ' || p_table, 'max_retries', 0, 'inputs', p_inputs, 'code', p_code,
        'outputs', jsonb_build_array(jsonb_build_object('name', 't', 'layer', split_part(p_table, '.', 1), 'table', split_part(p_table, '.', 2)))));
    c := (select x from tests.claim() x);
    return tests.settle(c, jsonb_build_object('tables', jsonb_build_array(tests.staged(c, 't')),
        'artifacts', case when p_artifact is null then '[]' else jsonb_build_array(tests.left_behind(c, p_artifact, 'data')) end,
        'lineage', case when p_flow is null then '[]' else jsonb_build_array(tests.told('load ' || p_table, p_flow || case when p_artifact is null then '' else ', runs/' || (c ->> 'run_id') || '/' || p_artifact end)) end));
end
$$;

select is(tests.coverage() - 'witnesses', '{"flows": 0, "covered": 0, "missing": [], "coverage": null, "window_hours": 24}', 'where nothing flows, nothing is owed');

-- --------------------------------------------------------------------------------------- spark_etl

select tests.load('bronze.orders', '-> bronze.orders');
select is(tests.missing(), '', 'a table that was told of is no gap');
select is(tests.load('silver.orders', 'bronze.orders -> silver.orders', '[{"name": "i", "table": "bronze.orders"}]', p_artifact => 'rows.csv') ->> 'run_state', 'SUCCEEDED', 'nor are an input, an output and a file');
select is(tests.missing(), '', 'when the work told of them');
select is(tests.coverage() #- '{missing}' #- '{witnesses,view}', '{"flows": 4, "covered": 4, "coverage": 1.000000, "window_hours": 24, "witnesses": {"input": {"flows": 1, "covered": 1}, "output": {"flows": 2, "covered": 2}, "artifact": {"flows": 1, "covered": 1}}}', 'who says that it flows is said');
savepoint silent;
select tests.load('silver.other', null, '[{"name": "i", "table": "bronze.orders"}]', p_artifact => 'rows.csv');
select matches(tests.missing(), '^artifact -> north/artifacts:runs/\d+/rows.csv, input north:bronze.orders ->, output -> north:silver.other$', 'a spark_etl that tells nothing leaves three gaps: what it read, what it wrote, and its file');
select isnt(tests.as('north.viewer', 'public.slo(''{}'')') ->> 'lineage_coverage', '1.000000', 'and the figure says so');
rollback to savepoint silent;
select tests.load('silver.other', '-> silver.other', '[{"name": "i", "table": "bronze.orders"}]');
select is(tests.missing(), 'input north:bronze.orders ->', 'an input of which nothing is told is one');
rollback to savepoint silent;
select tests.load('silver.other', 'bronze.orders -> silver.another', '[{"name": "i", "table": "bronze.orders"}]');
select is(tests.missing(), 'output -> north:silver.other', 'told of another table, this one is one');
rollback to savepoint silent;
select is((tests.as('north.viewer', 'public.slo(''{}'')') ->> 'lineage_coverage')::numeric, 1::numeric, 'the success figures carry it');

-- a hand that retires what was told says why; what flows again is told again
savepoint retired;
select tests.as('north.admin', 'public.retire_lineage(''{"job": "job:control-room://north:load silver.orders", "reason": "wrong"}'')');
select is(tests.missing(), '', 'an edge that somebody has looked at and retired is no gap of the machine');
rollback to savepoint retired;

-- -------------------------------------------------------------------- views of the layers, from pg_depend

set role app_system;
create view gold_north.big with (security_invoker = on) as select a from silver_north.orders where a > 1;
create materialized view gold_north.bigger as select b.a, o.a as other from gold_north.big b join bronze_north.orders o on o.a = b.a;
reset role;
select is(tests.missing(), 'view north:bronze.orders -> north:gold.bigger, view north:gold.big -> north:gold.bigger, view north:silver.orders -> north:gold.big', 'a view is owed from the moment on that Postgres knows it');
savepoint blind;
create or replace function lineage.views_over(p_tables oid[]) returns table (view oid, source oid) language sql as $$ select null::oid, null::oid where false $$;
select tests.load('silver.orders', 'bronze.orders -> silver.orders', '[{"name": "i", "table": "bronze.orders"}]');
rollback to savepoint blind;
create or replace function worker.capture_views(p_tenant uuid, p_tables oid[], p_attempt bigint, p_run bigint) returns integer language sql as $$ select 0 $$;
select tests.load('silver.orders', 'bronze.orders -> silver.orders', '[{"name": "i", "table": "bronze.orders"}]');
select is(tests.missing(), 'view north:bronze.orders -> north:gold.bigger, view north:gold.big -> north:gold.bigger, view north:silver.orders -> north:gold.big', 'without who looks at pg_depend it stays so');
rollback to savepoint blind;
select tests.load('silver.orders', 'bronze.orders -> silver.orders', '[{"name": "i", "table": "bronze.orders"}]');
select is(tests.missing(), '', 'the settlement of a load captures the views over it, and the views over those');
select set_eq($$ select s.name || ' -> ' || d.name || ' ' || e.method from lineage.edges e join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst where d.name like 'gold.big%' $$,
    array['silver.orders -> gold.big catalog', 'gold.big -> gold.bigger catalog', 'bronze.orders -> gold.bigger catalog'], 'as edges');
select is((select d.fields from lineage.datasets d where d.name = 'gold.bigger'), '[{"name": "a", "type": "bigint"}, {"name": "other", "type": "bigint"}]', 'with their columns');
set role app_system;
drop materialized view gold_north.bigger;
create or replace view gold_north.big with (security_invoker = on) as select a from bronze_north.orders where a > 1;
reset role;
select is(tests.missing(), 'view north:bronze.orders -> north:gold.big', 'a view that is another one owes anew');
select tests.load('bronze.orders', '-> bronze.orders');
select is(tests.missing(), '', 'until the next load');
select set_eq($$ select s.name || ' -> ' || d.name from lineage.edges e join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst where d.name like 'gold.big%' and e.deleted_at is null $$,
    array['bronze.orders -> gold.big'], 'and what no view reads any more is retired');
set role app_system;
drop view gold_north.big;
reset role;
-- another tenant's view over this tenant's table is neither's business
savepoint crossing;
set role app_system;
create view gold_south.spy as select a from bronze_north.orders;
reset role;
select tests.load('bronze.orders', '-> bronze.orders');
select is((select count(*) from lineage.datasets where name like '%spy%'), 0::bigint, 'no view of another tenant comes into the graph');
select is(tests.missing(), '', 'nor into what is owed');
rollback to savepoint crossing;

-- ------------------------------------------------------------------------------ gold kept by its source

savepoint rolled;
select tests.as('north.operator', format('public.set_rollup(%L::jsonb)', '{"table": "order_sums", "source": "silver.orders", "by": ["a"], "measures": [{"name": "n", "fn": "count"}]}'::jsonb));
select tests.load('silver.orders', 'bronze.orders -> silver.orders', '[{"name": "i", "table": "bronze.orders"}]');
select is(tests.missing(), '', 'what is kept by its source is told of by who keeps it');
select is(tests.coverage() #> '{witnesses,rollup,flows}', '1', 'and owed');
select tests.as('north.admin', 'public.retire_lineage(''{"job": "job:control-room://north:rollups/gold.order_sums", "reason": "as if it had never been told"}'')');
update catalog.assets set published_at = clock_timestamp() where name = 'order_sums';
select is(tests.missing(), 'rollup north:silver.orders -> north:gold.order_sums', 'so that it is missed');
rollback to savepoint rolled;

-- --------------------------------------------------------------------------------------- schema_migration

select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "target", "name": "shop"}') $$);
create function tests.migrate(p_told jsonb, p_reads jsonb default '["shop.public.orders"]')
returns jsonb language plpgsql as $$
declare
    c jsonb;
begin
    perform tests.submit('north.operator', '{"name": "migrate", "job_type": "schema_migration", "max_retries": 0, "code": {"files": {"1.sql": "select 1"}}, "params": {"target": "shop"}}');
    c := (select x from tests.claim(1, '{schema_migration/default}') x);
    return tests.settle(c, jsonb_build_object('lineage', p_told, 'artifacts', jsonb_build_array(tests.left_behind(c, 'migration.sarif', 'report')), 'catalog', jsonb_set('[{"target": "shop", "namespace": "postgresql://db:5432", "database": "shop",
        "changed": ["shop.public.orders"], "tables": [{"schema": "public", "name": "orders", "kind": "table", "dataset": "shop.public.orders"},
        {"schema": "public", "name": "big", "kind": "view", "dataset": "shop.public.big", "definition_hash": "one"}]}]', '{0,tables,1,reads}', p_reads)));
end
$$;
savepoint migrated;
select tests.migrate('[]');
select is(tests.missing(), 'migration -> postgres://db:5432:shop.public.orders, pg_depend postgres://db:5432:shop.public.orders -> postgres://db:5432:shop.public.big', 'a schema_migration that tells nothing leaves the tables it changed and the views it found');
rollback to savepoint migrated;
select tests.migrate(jsonb_build_array(tests.told('migrate', '-> shop.public.orders')));
select is(tests.missing(), 'pg_depend postgres://db:5432:shop.public.orders -> postgres://db:5432:shop.public.big', 'without its views they are the gap');
rollback to savepoint migrated;
select tests.migrate(jsonb_build_array(tests.told('migrate', '-> shop.public.orders'), tests.told('catalog/shop', 'shop.public.orders -> shop.public.big')));
select is(tests.missing(), '', 'told of, it is none');
select is(tests.coverage() #> '{witnesses,pg_depend,flows}', '1', 'its view is owed');
savepoint no_view;
select tests.migrate(jsonb_build_array(tests.told('migrate', '-> shop.public.orders')), '[]');
select is(tests.coverage() #> '{witnesses,pg_depend,flows}', null, 'as long as it reads so');
rollback to savepoint no_view;

-- --------------------------------------------------------------------- diagram_export, artifacts, generated code

create function tests.upload(p_name text, p_kind text)
returns text language plpgsql as $$
declare
    v jsonb := tests.as('north.operator', format('public.create_artifact(%L::jsonb)', jsonb_build_object('name', p_name, 'kind', p_kind, 'size', 1)));
begin
    perform artifact.judge(tests.tenant('north'), (v ->> 'artifact_id')::uuid, 1, 'READY', 1, encode(sha256(convert_to(p_name, 'UTF8')), 'hex'), null);
    return v ->> 'artifact_id';
end
$$;
select tests.upload('plan.vsdx', 'diagram') as plan \gset
create function tests.draw(p_plan text, p_tells boolean)
returns jsonb language plpgsql as $$
declare
    c jsonb;
begin
    perform tests.submit('north.operator', jsonb_build_object('name', 'draw', 'job_type', 'diagram_export', 'code', null, 'max_retries', 0, 'inputs', jsonb_build_array(jsonb_build_object('name', 'plan.vsdx', 'artifact_id', p_plan))));
    c := (select x from tests.claim(1, '{diagram_export/default}') x);
    return tests.settle(c, jsonb_build_object('artifacts', jsonb_build_array(tests.left_behind(c, 'plan.svg', 'diagram')),
        'lineage', case when p_tells then jsonb_build_array(tests.told('draw', 'plan.vsdx -> runs/' || (c ->> 'run_id') || '/plan.svg')) else '[]' end));
end
$$;
savepoint drawn;
select tests.draw(:'plan', false);
select matches(tests.missing(), '^artifact -> north/artifacts:runs/\d+/plan.svg, input north/artifacts:plan.vsdx ->$', 'a diagram_export that tells nothing leaves the drawing and what it was made of');
rollback to savepoint drawn;
select tests.draw(:'plan', true);
select is(tests.missing(), '', 'told of, it is none');

-- an author writes code, a judge looks at it, the work runs it
select tests.upload('etl.tar', 'code') as code \gset
create function tests.judge(p_code text)
returns jsonb language plpgsql as $$
declare
    c jsonb;
begin
    perform tests.submit('north.operator', jsonb_build_object('name', 'judge', 'job_type', 'code_validation', 'max_retries', 0, 'code', jsonb_build_object('artifact_id', p_code)));
    c := (select x from tests.claim(1, '{code_validation/default}') x);
    return tests.settle(c, jsonb_build_object('artifacts', jsonb_build_array(tests.left_behind(c, 'validation.sarif', 'report'))));
end
$$;
create function tests.arrows(p_job text)
returns setof text language sql volatile as $$
    select regexp_replace(s.name, 'runs/\d+/', '') || ' -> ' || regexp_replace(d.name, 'runs/\d+/', '') from lineage.edges e
    join lineage.jobs j on j.id = e.job_id and j.name = p_job join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst where e.deleted_at is null
$$;
savepoint judged;
create or replace function worker.tell_reports(a queue.live_attempts, o jsonb) returns void language sql as $$ select $$;
select tests.judge(:'code');
select matches(tests.missing(), '^artifact -> north/artifacts:runs/\d+/validation.sarif, code north/artifacts:etl.tar ->$', 'without who tells of reports a report comes from nowhere and its code goes nowhere');
rollback to savepoint judged;
select tests.judge(:'code');
select is(tests.missing(), '', 'a report comes from the code that it judges');
select set_eq($$ select * from tests.arrows('judge') $$, array['etl.tar -> validation.sarif'], 'artifact -> job -> artifact');
create function tests.generate(p_tells boolean)
returns jsonb language plpgsql as $$
declare
    c jsonb;
begin
    perform tests.submit('north.operator', '{"name": "author", "max_retries": 0}');
    c := (select x from tests.claim() x);
    return tests.settle(c, jsonb_build_object('artifacts', jsonb_build_array(tests.left_behind(c, 'code.tar', 'code')),
        'lineage', case when p_tells then jsonb_build_array(tests.told('author.generate', '-> runs/' || (c ->> 'run_id') || '/code.tar')) else '[]' end));
end
$$;
savepoint generated;
select tests.generate(false);
select tests.load('gold.made', '-> gold.made', p_code => jsonb_build_object('artifact_id', :'code'));
select matches(tests.missing(), '^artifact -> north/artifacts:runs/\d+/code.tar, code north/artifacts:etl.tar ->$', 'generated code is owed, and what runs it');
rollback to savepoint generated;
select tests.generate(true);
select tests.load('gold.made', 'etl.tar -> gold.made', p_code => jsonb_build_object('artifact_id', :'code'));
select is(tests.missing(), '', 'told of, both are known');

-- -------------------------------------------------------------------------- kb_catalog, Odoo, n8n

select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "n8n_workflow", "name": "kb_catalog"}') $$);
create function tests.catalogue(p_told jsonb, p_outside boolean default false)
returns jsonb language plpgsql as $$
declare
    c jsonb;
    v_staging text;
begin
    perform tests.submit('north.operator', '{"name": "read", "job_type": "kb_catalog", "code": null, "max_retries": 0, "params": {"collection": "help", "odoo": [{"url": "https://user:x@erp.example/", "database": "prod", "model": "product.template", "secret": "ODOO"}]}, "secrets": ["ODOO"]}');
    c := (select x from tests.claim(1, '{kb_catalog/default}') x);
    if p_outside then
        perform tests.as('runner', format('worker.open_outside(%s, %s, ''kb_catalog'')', c ->> 'attempt_id', c ->> 'lease'));
    end if;
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''entries'', %L)', c ->> 'attempt_id', c ->> 'lease', catalog.entry_columns())) #>> '{}';
    return tests.settle(c, jsonb_build_object('lineage', p_told, 'entries', jsonb_build_object('staging', v_staging, 'rows', 0)));
end
$$;
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "ODOO"}') $$);
savepoint catalogued;
select tests.catalogue('[]');
select is(tests.missing(), 'entries -> north:catalog.help, odoo odoo://erp.example/prod:product.template -> north:catalog.help', 'a kb_catalog that tells nothing leaves its collection and the models of Odoo');
rollback to savepoint catalogued;
select tests.catalogue(jsonb_build_array(tests.told('read', '-> catalog.help')));
select is(tests.missing(), 'odoo odoo://erp.example/prod:product.template -> north:catalog.help', 'without the models they are the gap');
rollback to savepoint catalogued;
select tests.catalogue(jsonb_build_array(tests.told('read', 'odoo product.template -> catalog.help')));
select is(tests.missing(), '', 'told of, there is none');
savepoint outside;
select tests.catalogue(jsonb_build_array(tests.told('read', 'odoo product.template -> catalog.help')), true);
select is(tests.missing(), 'n8n -> north:catalog.help', 'what n8n carried is owed a job of n8n''s');
rollback to savepoint outside;
select tests.catalogue(jsonb_build_array(tests.told('read', 'odoo product.template -> catalog.help'), tests.told('kb_catalog', 'odoo product.template -> catalog.help', 'n8n://flows.example') - 'run'), true);
select is(tests.missing(), '', 'which its job event is');
select is((select count(distinct e.method) from lineage.edges e join lineage.jobs j on j.id = e.job_id and j.namespace like 'n8n://%' and e.method = 'event'), 1::bigint, 'a job event without a run is an event');

-- --------------------------------------------------------------------------------------------- who asks

select is(tests.coverage('south.viewer') -> 'flows', '0', 'another tenant owes nothing of this');
select is(tests.coverage() -> 'covered', tests.coverage() -> 'flows', 'in the end all of it is covered');
select ok((tests.coverage() ->> 'flows')::integer >= 15, 'and it is not a little');
select tests.refused('north.viewer', 'public.lineage_coverage(''{"window_hours": 0}'')', 'FIELD_INVALID', 'a window is at least an hour');

select * from finish();
rollback;
