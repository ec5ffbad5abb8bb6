-- catalog: expectations. Looked at before anything is published; what was loaded is what is kept, dropped and set aside.
begin;
\ir fixtures.psql
select no_plan();

create function tests.door(p_who text, p_function text, p_body jsonb default '{}') returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p_body)) $$;
create function tests.expect(p_name text, p_kind text, p_action text, p_definition jsonb, p_table text default 'orders') returns jsonb language sql as $$
    select tests.door('north.operator', 'set_expectation', jsonb_build_object('layer', 'silver', 'table', p_table, 'name', p_name, 'kind', p_kind, 'action', p_action, 'definition', p_definition))
$$;
create function tests.forget() returns void language sql as $$ delete from catalog.expectations $$;
create function tests.publish(p_rows text, p_mode text default 'overwrite', p_table text default 'orders', p_said bigint default null)
returns text language plpgsql as $$
declare
    c jsonb;
    v_staging text;
    n bigint;
begin
    perform tests.submit('north.operator', jsonb_build_object('max_retries', 0, 'outputs', jsonb_build_array(jsonb_build_object('name', 't', 'layer', 'silver', 'table', p_table, 'mode', p_mode))));
    c := (select x from tests.claim() x);
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''t'', ''[{"name": "id", "type": "bigint"}, {"name": "qty", "type": "integer"}, {"name": "Sku", "type": "text"}]'')', c ->> 'attempt_id', c ->> 'lease')) #>> '{}';
    perform tests.become('loader');
    execute format('insert into %s select * from (values %s) x', v_staging, p_rows);
    get diagnostics n = row_count;
    perform tests.rest();
    perform tests.settle(c, jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', v_staging, 'rows', coalesce(p_said, n))),
        'lineage', jsonb_build_array(jsonb_build_object('eventTime', '2026-01-01T00:00:00Z', 'producer', 'p', 'schemaURL', 's', 'job', jsonb_build_object('namespace', 'n', 'name', 'job of ' || (c ->> 'run_id'))))));
    perform tests.tick();
    return (select r.termination_code || coalesce(': ' || nullif(r.termination_message, ''), '') from queue.runs r where r.id = (c ->> 'run_id')::bigint);
end
$$;
create function tests.there() returns text language plpgsql as $$ begin return (select string_agg(id::text, ' ' order by id) from silver_north.orders); end $$;
create function tests.verdicts() returns text language sql as $$
    select string_agg(concat_ws(' ', v.name, v.action, case when v.success then 'ok' else 'not' end, v.failed || '/' || v.loaded), ', ' order by v.name) from catalog.verdicts v where v.run_id = (select max(run_id) from catalog.verdicts)
$$;

-- ---------------------------------------------------------------------------------------- conditions

create temporary table good as select * from (values
    ('qty > 0', '"qty" > 0'), ('QTY>=0 AND sku IS NOT NULL', '"qty" >= 0 and "sku" is not null'), ('"Sku" like ''A%''', '"Sku" like ''A%'''), ('length(trim("Sku")) between 1 and 9', 'length ( trim ( "Sku" ) ) between 1 and 9'),
    ('a in (''it''''s'', ''x'')', '"a" in ( ''it''''s'' , ''x'' )'), ('date > date ''2020-01-01''', '"date" > date ''2020-01-01'''), ('a::numeric/2 <> 1e3', '"a" :: numeric / 2 <> 1e3'), ('- - 1 < a', '- - 1 < "a"'), ('1--1 = 2', '1 - - 1 = 2'),
    ('case when a then b else c end', 'case when "a" then "b" else "c" end'), ('extract(year from at) > 2000', 'extract ( "year" from "at" ) > 2000'), ('größe > 0', '"größe" > 0'), ('a = ''\''', '"a" = E''\\'''), ('user = ''x''', '"user" = ''x''')) x (said, meant);
select is(catalog.condition(said), meant, 'read: ' || said) from good;
select throws_ok(format('select catalog.condition(%L)', w), 'PGRST', null, 'not read: ' || left(w, 60)) from unnest(array['', ' ', 'a; drop table x', 'a = (select 1)x"', 'pg_sleep(9)', 'a = $1', 'a $$ b', 'a = E''\n''; x', 'a) or (b', '(a', 'a, b', 'set_config(''role'', ''x'', true)', 'pg_catalog.now()', 'a::regclass', 'a::public.x',
    'a /* x', 'exists(select 1)', 'repeat(''x'', 1000000000)', 'a @@ b', 'a ~ b', 'a[1]', 'a.b', 'a = ''open', '"open', 'a # b', repeat('x', 2001), 'now ()() ; 1', 'query_to_xml(''select 1'', true, true, '''')', 'current_setting(''x'')', 'lo_import(''x'')', 'nextval(''x'')']) w where w <> 'a /* x';
-- whatever passes is an expression and nothing else: a query inside of it is a syntax error, for `select` is a column
select tests.publish($$ (1, 1, 'a') $$);
select tests.refused('north.operator', format('public.set_expectation(%L)', jsonb_build_object('layer', 'silver', 'table', 'orders', 'name', 'x', 'kind', 'expression', 'action', 'warn', 'definition', jsonb_build_object('expression', w))), 'EXPECTATION_INVALID', 'refused by the database: ' || w)
from unnest(array['select 1', 'id = (select id from orders)', 'union', 'id = 1 union select 1', 'a /* x', 'id like', 'id > ''x''', 'nothere > 1', 'sum > 1', 'length(id, id, id) = 1']) w;

-- ------------------------------------------------------------------------------------ what is done

select tests.forget();
select is(tests.publish($$ (1, 5, 'a'), (2, -1, 'b'), (3, null, 'c'), (4, 0, null) $$), 'SUCCESS', 'without expectations everything is published');
select is((select count(*) from catalog.verdicts), 0::bigint, 'and nothing said');

select tests.expect('positive', 'expression', 'warn', '{"expression": "qty > 0"}');
select tests.publish($$ (1, 5, 'a'), (2, -1, 'b'), (3, null, 'c'), (4, 0, null) $$);
select is(tests.there(), '1 2 3 4', 'a warning keeps the rows');
select is(tests.verdicts(), 'positive warn not 3/4', 'and counts them: what is neither true nor false is not true');

select tests.expect('positive', 'expression', 'drop', '{"expression": "qty > 0"}');
select tests.publish($$ (1, 5, 'a'), (2, -1, 'b'), (3, null, 'c'), (4, 0, null) $$);
select is(tests.there(), '1', 'drop leaves them out');
select is((select row_count from catalog.assets), 1::bigint, 'and they are not counted as published');

select tests.expect('has a sku', 'not_null', 'quarantine', '{"column": "Sku"}');
select tests.expect('sku is known', 'accepted_values', 'quarantine', '{"column": "Sku", "values": ["a", "it''s"]}');
select tests.publish($$ (1, 5, 'a'), (2, -1, 'a'), (3, 1, 'c'), (4, 0, null), (5, 9, 'it''s') $$);
select is(tests.there(), '1 5', 'quarantine sets them aside');
select is((select string_agg(q.content ->> 'id' || ':' || array_to_string(q.expectations, '+'), ' ' order by q.id) from catalog.quarantine q), '3:sku is known 4:has a sku+sku is known', 'whole, with the reasons; before others are dropped');
select is((select (loaded, (select row_count from catalog.assets), (select count(*) from catalog.quarantine))::text from catalog.verdicts order by id desc limit 1), '(5,2,2)', 'loaded is kept, and set aside, and the one that was dropped');
select is(jsonb_array_length(tests.door('north.operator', 'list_quarantine', '{"table": "orders"}') -> 'items'), 2, 'operators look at them');
select tests.refused('north.viewer', 'public.list_quarantine(''{}'')', 'ROLE_INSUFFICIENT', 'viewers do not');
select is(tests.count('north.viewer', 'select from catalog.quarantine'), 0::bigint, 'by no door');
select is(tests.count('south.admin', 'select from catalog.quarantine'), 0::bigint, 'nor another tenant');

-- fail: nothing of it, but that it was so
select tests.expect('no more than nine', 'expression', 'fail', '{"expression": "qty < 10"}');
select is(tests.publish($$ (8, 10, 'a'), (9, 1, null) $$), 'EXPECTATION_FAILED: silver.orders is not as expected: no more than nine (1 of 2 rows)', 'fail publishes nothing, and says why');
select is(tests.there(), '1 5', 'what was there stays');
select is((select count(*) from catalog.quarantine), 2::bigint, 'nothing is set aside of what was not published');
select is(tests.verdicts(), 'has a sku quarantine not 1/2, no more than nine fail not 1/2, positive drop ok 0/2, sku is known quarantine not 1/2', 'all verdicts are kept');
select is((select count(*) from lineage.jobs where name = 'job of ' || (select max(run_id) from catalog.verdicts)), 0::bigint, 'and no lineage of what did not happen');
select is((select fault from queue.termination_codes where code = 'EXPECTATION_FAILED'), 'user', 'it is the data''s fault, not the platform''s');
select is(tests.publish($$ (8, 9, 'a') $$, 'append'), 'SUCCESS', 'what is as expected is published');
select is(tests.there(), '1 5 8', 'beside what was there');

-- of all rows
select tests.forget();
select tests.expect('one of each', 'unique', 'fail', '{"columns": ["id"]}');
select is(tests.publish($$ (8, 9, 'a') $$, 'append'), 'EXPECTATION_FAILED: silver.orders is not as expected: one of each (1)', 'unique of a batch is not unique of the table');
select is(tests.publish($$ (8, 9, 'a') $$), 'SUCCESS', 'where the batch is the table it is');
select is(tests.publish($$ (8, 9, 'a'), (8, 9, 'a'), (8, 9, 'a') $$), 'EXPECTATION_FAILED: silver.orders is not as expected: one of each (2)', 'rows too many are counted');
select tests.expect('some', 'row_count', 'fail', '{"min": 2, "max": 3}');
select tests.expect('positive', 'expression', 'drop', '{"expression": "qty > 0"}');
select is(left(tests.publish($$ (1, 1, 'a'), (2, 0, 'a') $$), 18), 'EXPECTATION_FAILED', 'counted is what would be there');
select is(tests.publish($$ (1, 1, 'a'), (2, 1, 'a'), (3, 0, 'a') $$), 'SUCCESS', 'not what was loaded');

-- what cannot be looked at
select tests.forget();
select tests.expect('ratio', 'expression', 'warn', '{"expression": "100 / qty > 1"}');
select tests.expect('fine', 'expression', 'warn', '{"expression": "qty >= 0"}');
select is(tests.publish($$ (1, 0, 'a'), (2, 1, 'a') $$), 'SUCCESS', 'a condition that cannot be computed is a warning where it warns');
select is((select (success, failed, message)::text from catalog.verdicts where name = 'ratio' order by id desc limit 1), '(f,,"division by zero")', 'with what the database said');
select is((select success from catalog.verdicts where name = 'fine' order by id desc limit 1), true, 'and the others are looked at all the same');
select tests.expect('ratio', 'expression', 'drop', '{"expression": "100 / qty > 1"}');
select is(tests.publish($$ (1, 0, 'a'), (2, 1, 'a') $$), 'EXPECTATION_FAILED: silver.orders is not as expected: ratio (division by zero)', 'elsewhere nothing is published that nobody has looked at');
select tests.forget();
select tests.expect('later', 'not_null', 'quarantine', '{"column": "nothere"}', 'other');
select matches(tests.publish($$ (1, 0, 'a') $$, 'overwrite', 'other'), 'EXPECTATION_FAILED.*column "nothere" does not exist', 'a column that is not there');
-- staging is unlogged: what a crash has emptied is loaded again, and not found to be too few
select tests.expect('some', 'row_count', 'fail', '{"min": 1}', 'orders');
select is(tests.publish($$ (1, 0, 'a') $$, 'overwrite', 'orders', 2), 'PUBLISH_FAILED: the outcome could not be recorded: silver.orders had 2 rows when it was loaded and has 1 now', 'rows that got lost are no fault of the data');
select tests.publish($$ (1, 1, 'a') $$);
select is(tests.there(), '1', 'the next is judged for itself');

-- --------------------------------------------------------------------------------- told to others

select is((select jsonb_agg(a - 'params' order by a ->> 'name') from (select event from lineage.events where event #>> '{job,name}' = 'expectations/silver.orders' order by id desc limit 1) x, jsonb_path_query(x.event, '$.inputs[0].inputFacets.dataQualityAssertions.assertions[*]') a),
    '[{"name": "some", "actual": "0", "success": true, "expected": "1", "severity": "error", "assertion": "row_count"}]', 'in OpenLineage''s words, on the dataset');
select is((select count(*) from lineage.events where event #>> '{job,name}' = 'expectations/silver.orders' and run_id is null), 0::bigint, 'as events of their runs');
select is((select lineage.fault(event) from lineage.events where event #>> '{job,name}' = 'expectations/silver.orders' limit 1), null, 'well-formed');

-- ------------------------------------------------------------------------------------------ the doors

select tests.refused('north.operator', format('public.set_expectation(%L)', '{"layer": "silver", "table": "fresh", "name": "n", "kind": "not_null", "action": "warn", "definition": {"column": "a"}}'::jsonb || b::jsonb), c, 'not expected: ' || b, p) from (values
    ('{"layer": "platinum"}', 'FIELD_INVALID', '$.layer'), ('{"table": "A b"}', 'FIELD_INVALID', '$.table'), ('{"name": ""}', 'FIELD_INVALID', '$.name'), ('{"kind": "hope"}', 'FIELD_INVALID', '$.kind'), ('{"action": "pray"}', 'FIELD_INVALID', '$.action'),
    ('{"kind": "unique", "action": "drop", "definition": {"columns": ["a"]}}', 'FIELD_INVALID', '$.action'), ('{"definition": {}}', 'EXPECTATION_INVALID', '$.definition.column'), ('{"definition": []}', 'BODY_INVALID', '$.definition'), ('{"definition": {"column": "a", "values": []}}', 'FIELD_UNKNOWN', '$.definition.values'),
    ('{"kind": "accepted_values", "definition": {"column": "a", "values": []}}', 'EXPECTATION_INVALID', '$.definition.values'), ('{"kind": "unique", "definition": {"columns": [1]}}', 'EXPECTATION_INVALID', '$.definition.columns'),
    ('{"kind": "row_count", "definition": {}}', 'EXPECTATION_INVALID', '$.definition'), ('{"kind": "expression", "definition": {"expression": "pg_sleep(1)"}}', 'EXPECTATION_INVALID', '$.definition.expression')) x (b, c, p);
select tests.refused('north.viewer', $$ public.set_expectation('{}') $$, 'ROLE_INSUFFICIENT', 'viewers expect nothing');
select tests.expect('quoted', 'not_null', 'warn', '{"column": "it''s \"odd\"; --"}', 'fresh');
select is((select condition from catalog.expectations where name = 'quoted'), '"it''s ""odd""; --" is not null', 'odd names are only names');
select is(jsonb_array_length(tests.door('north.operator', 'list_expectations', '{"table": "fresh"}') -> 'items'), 1, 'what is expected of a table');
select tests.refused('north.viewer', 'public.list_expectations(''{}'')', 'ROLE_INSUFFICIENT', 'is source, and the operators''');
select is(tests.door('north.viewer', 'list_verdicts', '{"table": "orders", "limit": 1}') #> '{items,0,success}', 'true', 'how it turned out is everybody''s');
select is(tests.door('south.admin', 'list_verdicts') -> 'items', '[]', 'of the tenant');
select tests.refused('south.admin', format('public.delete_expectation(%L)', jsonb_build_object('expectation_id', (select id from catalog.expectations where name = 'quoted'))), 'EXPECTATION_NOT_FOUND', 'another tenant takes nothing back');
select is(tests.door('north.operator', 'delete_expectation', jsonb_build_object('expectation_id', (select id from catalog.expectations where name = 'quoted'))) -> 'deleted', 'true', 'one''s own is');
select catalog.forget(tests.tenant('north'), array(select run_id from catalog.verdicts));
select is((select (count(*), (select count(*) from catalog.quarantine))::text from catalog.verdicts), '(0,0)', 'verdicts and what was set aside go with the history of their runs');

select * from finish();
rollback;
