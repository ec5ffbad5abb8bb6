-- catalog: freshness. Data are as old as the last load that brought rows; a rule says how old they may be.
begin;
\ir fixtures.psql
select no_plan();

create function tests.door(p_who text, p_function text, p_body jsonb default '{}') returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p_body)) $$;
create function tests.publish(p_rows text, p_mode text default 'overwrite')
returns void language plpgsql as $$
declare
    c jsonb;
    v_staging text;
begin
    perform tests.submit('north.operator', jsonb_build_object('max_retries', 0, 'outputs', jsonb_build_array(jsonb_build_object('name', 't', 'layer', 'gold', 'table', 'orders', 'mode', p_mode))));
    c := (select x from tests.claim() x);
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''t'', ''[{"name": "a", "type": "bigint"}]'')', c ->> 'attempt_id', c ->> 'lease')) #>> '{}';
    perform tests.become('loader');
    execute format('insert into %s select %s', v_staging, p_rows);
    perform tests.rest();
    perform tests.settle(c, jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', v_staging))));
end
$$;
create function tests.status(p_name text) returns text language sql as $$
    select i ->> 'status' from jsonb_array_elements(tests.door('north.viewer', 'list_freshness') -> 'items') i where i ->> 'name' = p_name
$$;
create function tests.aged(p_by interval) returns void language sql as $$ update catalog.assets set loaded_at = clock_timestamp() - p_by, published_at = clock_timestamp() - p_by $$;

select tests.publish('1');
select is(tests.status('main.gold.orders'), null, 'without a rule nothing is too old');
select is(tests.door('north.operator', 'set_freshness', '{"name": "main.gold", "warn_after": {"count": 1, "period": "hour"}, "error_after": {"count": 1, "period": "day"}}'),
    '{"name": "main.gold", "warn_after": {"count": 1, "period": "hour"}, "error_after": {"count": 1, "period": "day"}}', 'a rule of a schema');
select is(tests.status('main.gold.orders'), 'pass', 'is one of its tables: what was loaded just now is fresh');
select tests.aged(interval '59 minutes');
select is(tests.status('main.gold.orders'), 'pass', 'up to the time that is said');
select tests.aged(interval '61 minutes');
select is(tests.status('main.gold.orders'), 'warn', 'after it, a warning');
select tests.aged(interval '25 hours');
select is(tests.status('main.gold.orders'), 'error', 'and later an error');
select tests.door('north.operator', 'set_freshness', '{"name": "main.gold.orders", "error_after": {"count": 2, "period": "day"}}');
select is(tests.status('main.gold.orders'), 'pass', 'a table''s own rule comes before its schema''s');
select is((tests.door('north.viewer', 'list_freshness', '{"in": "main.gold"}') #> '{items,0}') - array['loaded_at', 'checked_at'], '{"name": "main.gold.orders", "status": "pass", "inherited": false, "warn_after": null, "error_after": {"count": 2, "period": "day"}, "age_seconds": 90000}', 'all of it is told');
select tests.aged(interval '3 days');
select tests.publish('1 where false', 'append');
select is(tests.status('main.gold.orders'), 'error', 'a load of nothing makes nothing younger');
select is((select published_at > now() - interval '1 minute' from catalog.assets), true, 'though one has looked');
select tests.publish('1', 'append');
select is(tests.status('main.gold.orders'), 'pass', 'a load of rows does');
select is(tests.door('north.viewer', 'list_freshness', '{"status": "error"}') -> 'items', '[]', 'by its verdict');
select is((tests.door('north.viewer', 'list_layers') #> '{items,2}'), '{"layer": "gold", "name": "main.gold", "tables": 1, "rows": 2, "confidential": 0, "freshness": {"pass": 1, "warn": 0, "error": 0}, "never_reads": ["bronze"]}', 'a layer says how it stands');
select tests.door('north.operator', 'set_freshness', '{"name": "main.gold.orders"}');
select is(tests.door('north.viewer', 'list_freshness') #>> '{items,0,inherited}', 'true', 'a rule is taken back by none');

-- elsewhere: what the source says, or the flows that were seen
select tests.door('north.operator', 'catalog_ingest', '{"catalog": "erp", "type": "ODOO", "namespace": "odoo://x/p", "schemas": [{"name": "models", "tables": [{"name": "a", "dataset": "a"}, {"name": "b", "dataset": "b"}, {"name": "c", "loaded_at": "2020-01-01T00:00:00Z"}]}]}');
select tests.door('north.operator', 'set_freshness', '{"name": "erp.models", "warn_after": {"count": 5, "period": "minute"}}');
select is(tests.status('erp.models.a'), 'error', 'what was never loaded is no younger than what is too old');
select tests.as('north.operator', $$ public.lineage_ingest('{"eventTime": "2026-01-01T00:00:00Z", "producer": "p", "schemaURL": "s", "job": {"namespace": "n", "name": "j"}, "inputs": [{"namespace": "n", "name": "i"}], "outputs": [{"namespace": "odoo://x/p", "name": "a"}]}') $$);
select is(tests.status('erp.models.a'), 'pass', 'a flow into it, seen in the lineage, is a load');
select is(tests.status('erp.models.b'), 'error', 'of that one alone');
select is(tests.status('erp.models.c'), 'warn', 'a source may say when its data came');

select tests.refused('north.operator', format('public.set_freshness(%L)', '{"name": "main.gold"}'::jsonb || b::jsonb), 'FIELD_INVALID', 'no rule: ' || b, p) from (values ('{"warn_after": 5}', '$.warn_after'), ('{"warn_after": {"count": 0, "period": "day"}}', '$.warn_after'),
    ('{"error_after": {"count": 1, "period": "week"}}', '$.error_after'), ('{"error_after": {"count": 1}}', '$.error_after'), ('{"warn_after": {"count": 1, "period": "day"}, "error_after": {"count": 24, "period": "hour"}}', '$.warn_after'), ('{"warn_after": {"count": 1.5, "period": "day"}}', '$.warn_after')) x (b, p);
select tests.refused('north.operator', $$ public.set_freshness('{"name": "main.gold.orders.a", "warn_after": {"count": 1, "period": "day"}}') $$, 'OBJECT_NOT_FOUND', 'a column is as fresh as its table');
select tests.refused('north.viewer', $$ public.set_freshness('{"name": "main.gold"}') $$, 'ROLE_INSUFFICIENT', 'viewers do not set it');
select is(tests.door('south.admin', 'list_freshness') -> 'items', '[]', 'another tenant sees nothing of it');

select * from finish();
rollback;
