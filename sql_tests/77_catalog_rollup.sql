-- catalog: rollups. A table of gold that is the sums of another, in the transaction that publishes that.
-- (That it is what the whole query gives, after any history, plays tests/integration/catalog.)
begin;
\ir fixtures.psql
select no_plan();

create function tests.door(p_who text, p_function text, p_body jsonb default '{}') returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p_body)) $$;
create function tests.publish(p_rows text, p_mode text default 'overwrite', p_table text default 'silver.orders', p_columns jsonb default '[{"name": "id", "type": "bigint"}, {"name": "region", "type": "text"}, {"name": "total", "type": "numeric"}]')
returns text language plpgsql as $$
declare
    c jsonb;
    v_staging text;
begin
    perform tests.submit('north.operator', jsonb_build_object('max_retries', 0, 'outputs', jsonb_build_array(jsonb_build_object('name', 't', 'layer', split_part(p_table, '.', 1), 'table', split_part(p_table, '.', 2), 'mode', p_mode)
        || case p_mode when 'merge' then '{"key": ["id"]}' else '{}' end::jsonb)));
    c := (select x from tests.claim() x);
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''t'', %L)', c ->> 'attempt_id', c ->> 'lease', p_columns)) #>> '{}';
    perform tests.become('loader');
    execute format('insert into %s %s', v_staging, p_rows);
    perform tests.rest();
    perform tests.settle(c, jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', v_staging))));
    perform tests.tick();
    return (select r.termination_code || coalesce(': ' || nullif(r.termination_message, ''), '') from queue.runs r where r.id = (c ->> 'run_id')::bigint);
end
$$;
create function tests.there() returns text language plpgsql as $$ begin return (select string_agg(concat_ws(':', coalesce(region, '-'), orders, total, smallest), ' ' order by region nulls first) from gold_north.by_region); end $$;

-- merging, without rollups
select matches(tests.publish($$ values (1, 'n', 5), (1, 's', 7) $$, 'merge'), 'PUBLISH_FAILED.*1 rows have the id of another', 'the first merge looks at keys as the others do');
select is(tests.publish($$ values (1, 'n', 5), (2, 's', 7) $$, 'merge'), 'SUCCESS', 'a merge makes the table');
select is(tests.publish($$ values (2, 'n', 8), (3, 'n', 1) $$, 'merge'), 'SUCCESS', 'and changes rows by their key');
select is((select string_agg(id || region || total, ' ' order by id) from silver_north.orders), '1n5 2n8 3n1', 'others stay');
select is((select row_count from catalog.assets where name = 'orders'), 3::bigint, 'they are counted once');
select is(tests.publish($$ values (2, 'n', 8), (2, 'n', 9) $$, 'merge'), 'PUBLISH_FAILED: the outcome could not be recorded: merge: 1 rows have the id of another', 'each key has one row');
select is(tests.publish($$ values (null::bigint, 'n', 8) $$, 'merge'), 'PUBLISH_FAILED: the outcome could not be recorded: merge: 1 rows have no id', 'each row a key');

-- --------------------------------------------------------------------------------------- rolling up

select is(tests.door('north.operator', 'set_rollup', '{"table": "by_region", "source": "silver.orders", "by": ["region"], "where": "total < 100",
    "measures": [{"name": "orders", "fn": "count"}, {"name": "total", "fn": "sum", "column": "total"}, {"name": "smallest", "fn": "min", "column": "total"}]}') -> 'rows', '1', 'a rollup is made of what is there');
select is(tests.there(), 'n:3:14:1', 'its sums');
select tests.publish($$ values (4, 's', 2), (5, null, 3), (6, 'n', 100) $$, 'append');
select is(tests.there(), '-:1:3:3 n:3:14:1 s:1:2:2', 'what is added is added to them, where the condition is true');
select tests.publish($$ values (3, 's', 9) $$, 'merge');
select is(tests.there(), '-:1:3:3 n:2:13:5 s:2:11:2', 'a row that moves is taken out of one group and put into another');
select tests.publish($$ values (1, 'e', 1) $$);
select is(tests.there(), 'e:1:1:1', 'groups of nothing are gone');
select tests.publish($$ values (7, 'w', 2) $$, 'overwrite', 'silver.orders', '[{"name": "id", "type": "bigint"}, {"name": "region", "type": "text"}, {"name": "total", "type": "integer"}, {"name": "extra", "type": "text"}]') where false;
select is(tests.publish($$ select 7, 'w', 2, 'x' $$, 'overwrite', 'silver.orders', '[{"name": "id", "type": "bigint"}, {"name": "region", "type": "text"}, {"name": "total", "type": "integer"}, {"name": "extra", "type": "text"}]'), 'SUCCESS', 'the source may change its form');
select is(tests.there(), 'w:1:2:2', 'and the rollup is made anew of it');
select matches(tests.publish($$ select 7, 'w' $$, 'overwrite', 'silver.orders', '[{"name": "id", "type": "bigint"}, {"name": "region", "type": "text"}]'), 'PUBLISH_FAILED.*gold.by_region, which is rolled up from silver.orders, cannot be made of it: column "total" does not exist', 'but columns that it stands on are not pulled away');
select is(tests.there(), 'w:1:2:2', 'and nothing has changed');
select is(tests.publish($$ values ('x') $$, 'overwrite', 'gold.by_region', '[{"name": "a", "type": "text"}]'), 'PUBLISH_FAILED: the outcome could not be recorded: gold.by_region is a rollup, which is made of its source alone', 'no job writes into it');

-- as every table of gold: closed, known, told
select is((select (relrowsecurity, relforcerowsecurity)::text from pg_class where oid = 'gold_north.by_region'::regclass), '(t,t)', 'it is as closed as every table');
select is(tests.count('north.viewer', 'select from gold_north.by_region'), 1::bigint, 'viewers of the tenant read it');
select is(tests.count('south.admin', 'select from gold_north.by_region'), 0::bigint, 'nobody else');
select is((select jsonb_agg(c ->> 'name') from jsonb_array_elements(tests.door('north.viewer', 'get_object', '{"name": "main.gold.by_region"}') -> 'columns') c), '["region", "orders", "total", "smallest"]', 'it is in the catalog');
select is((select string_agg(distinct s.name || '>' || d.name, ' ') from lineage.edges e join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst join lineage.jobs j on j.id = e.job_id where j.name = 'rollups/gold.by_region'), 'silver.orders>gold.by_region', 'and in the lineage');
select is((select string_agg(src_field || '>' || dst_field || ':' || subtype, ' ' order by dst_field) from lineage.column_edges c join lineage.jobs j on j.id = c.job_id where j.name = 'rollups/gold.by_region' and c.deleted_at is null), 'region>region:IDENTITY total>smallest:AGGREGATION total>total:AGGREGATION', 'column by column');
select is((select a.published_by_run = b.published_by_run from catalog.assets a, catalog.assets b where a.name = 'by_region' and b.name = 'orders'), true, 'by the run that published its source');
select tests.door('north.admin', 'describe_object', '{"name": "main.gold.by_region", "classification": "confidential"}');
select tests.publish($$ select 8, 'w', 2 $$, 'overwrite');
select is(tests.count('north.viewer', 'select from gold_north.by_region'), 0::bigint, 'made anew it is as closed as it was');

-- ------------------------------------------------------------------------------------------ the door

create temporary table good as select '{"table": "other", "source": "silver.orders", "by": ["region"], "measures": [{"name": "n", "fn": "count"}]}'::jsonb as b;
select tests.publish($$ values ('x') $$, 'overwrite', 'gold.taken', '[{"name": "a", "type": "text"}]');
select count(*) as tables from pg_class where relnamespace = 'gold_north'::regnamespace \gset
select tests.refused('north.operator', format('public.set_rollup(%L)', good.b || x.b::jsonb), c, 'no rollup: ' || left(x.b, 80), p) from good, (values
    ('{"table": "A b"}', 'FIELD_INVALID', '$.table'), ('{"table": "taken"}', 'TABLE_NAME_TAKEN', '$.table'), ('{"source": "orders"}', 'FIELD_INVALID', '$.source'), ('{"source": "silver.nothing"}', 'OBJECT_NOT_FOUND', 'silver.nothing'),
    ('{"source": "gold.by_region"}', 'ROLLUP_INVALID', '$.source'), ('{"by": []}', 'FIELD_INVALID', '$.by'), ('{"by": ["nothing"]}', 'ROLLUP_INVALID', '$.by[0]'), ('{"by": ["region", "region"]}', 'ROLLUP_INVALID', '$.by[0]'), ('{"by": [7]}', 'ROLLUP_INVALID', '$.by[0]'),
    ('{"measures": []}', 'FIELD_INVALID', '$.measures'), ('{"measures": [{"name": "n", "fn": "avg", "column": "total"}]}', 'ROLLUP_INVALID', '$.measures[0]'), ('{"measures": [{"name": "n", "fn": "sum"}]}', 'ROLLUP_INVALID', '$.measures[0]'),
    ('{"measures": [{"name": "region", "fn": "count"}]}', 'ROLLUP_INVALID', '$.measures[0]'), ('{"measures": [{"name": "tenant_id", "fn": "count"}]}', 'ROLLUP_INVALID', '$.measures[0]'), ('{"measures": [{"name": "n", "fn": "count"}, {"name": "n", "fn": "count"}]}', 'ROLLUP_INVALID', '$.measures[0]'),
    ('{"measures": [{"name": "n\"; drop table x", "fn": "count"}]}', 'ROLLUP_INVALID', '$.measures[0]'), ('{"measures": [{"name": "n", "fn": "sum", "column": "region"}]}', null, null), ('{"where": "pg_sleep(1) is null"}', 'EXPECTATION_INVALID', '$.where'), ('{"where": "nothing > 1"}', 'ROLLUP_INVALID', '$'), ('{"color": 1}', 'FIELD_UNKNOWN', '$.color')) x (b, c, p) where c is not null;
select is((select count(*) from pg_class where relnamespace = 'gold_north'::regnamespace), :tables::bigint, 'of none of that anything was made');
select tests.refused('north.operator', format('public.set_rollup(%L)', good.b || '{"measures": [{"name": "n", "fn": "sum", "column": "region"}]}'), 'ROLLUP_INVALID', 'what cannot be summed is refused in the database''s words', '$') from good;
select tests.refused('north.viewer', 'public.set_rollup(''{}'')', 'ROLE_INSUFFICIENT', 'viewers roll nothing up');
select is(tests.door('north.operator', 'list_rollups') #> '{items,0,source}', '"silver.orders"', 'they are listed');
select tests.refused('south.admin', $$ public.delete_rollup('{"table": "by_region"}') $$, 'ROLLUP_NOT_FOUND', 'another tenant takes none away', 'by_region');
select is(tests.door('north.operator', 'delete_rollup', '{"table": "by_region"}') -> 'deleted', 'true', 'one''s own goes');
select hasnt_table('gold_north', 'by_region', 'with its table');
select isnt((select gone_at from catalog.objects where path = '{main,gold,by_region}'), null, 'and the catalog knows');

select * from finish();
rollback;
