-- catalog: its objects. What is where, found by words, described by people, open to whom its class says.
begin;
\ir fixtures.psql
select no_plan();

create function tests.publish(p_table text, p_columns text, p_rows text, p_mode text default 'overwrite', p_tenant text default 'north')
returns jsonb language plpgsql as $$
declare
    c jsonb;
    v_staging text;
begin
    perform tests.submit(p_tenant || '.operator', jsonb_build_object('max_retries', 0, 'outputs', jsonb_build_array(jsonb_build_object('name', 't', 'layer', split_part(p_table, '.', 1), 'table', split_part(p_table, '.', 2), 'mode', p_mode))));
    c := (select x from tests.claim() x);
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''t'', %L)', c ->> 'attempt_id', c ->> 'lease',
        (select jsonb_agg(jsonb_build_object('name', split_part(w, ' ', 1), 'type', split_part(w, ' ', 2)) order by o) from unnest(string_to_array(p_columns, ',')) with ordinality x (w, o)))) #>> '{}';
    perform tests.become('loader');
    execute format('insert into %s %s', v_staging, p_rows);
    perform tests.rest();
    return tests.settle(c, jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', v_staging))));
end
$$;
create function tests.door(p_who text, p_function text, p_body jsonb default '{}') returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p_body)) $$;
create function tests.names(p_who text, p_body jsonb) returns text language sql as $$ select string_agg(i ->> 'name', ' ' order by o) from jsonb_array_elements(tests.door(p_who, 'list_objects', p_body) -> 'items') with ordinality x (i, o) $$;

-- --------------------------------------------------------------------------------------------- names

create temporary table names as select * from (values (array['main'], 'main'), (array['main', 'gold', 'orders'], 'main.gold.orders'), (array['erp', 'models', 'account.move', 'name'], 'erp.models.`account.move`.name'),
             (array['a`b', '"q"', 'Größe 日本'], '`a``b`.`"q"`.`Größe 日本`')) x (n, w);
select is(catalog.full_name(n), w, w || ' is a full name') from names;
select is(catalog.parts_of(w), n, w || ' is read as it is written') from names;
select throws_ok(format('select catalog.parts_of(%L)', w), 'PGRST', null, 'no name: ' || left(coalesce(w, 'null'), 40)) from unnest(array['', '.', 'a.', 'a..b', 'a.b.c.d.e', '`a', 'a`b', '``', repeat('x', 5000), null]) w;

-- ----------------------------------------------------------------------------- it follows what is done

select is(tests.names('north.viewer', '{"in": "main"}'), 'main.bronze main.files main.gold main.silver', 'a tenant has its layers from the first day');
select tests.publish('gold.orders', 'order_id bigint,customerName text,total numeric', $$ values (1, 'Ada', 2.5) $$);
select is(tests.names('north.viewer', '{"in": "main.gold"}'), 'main.gold.orders main.gold.orders.order_id main.gold.orders.customerName main.gold.orders.total', 'a table is in the catalog when the run that made it has ended');
select is((tests.door('north.viewer', 'get_object', '{"name": "main.gold.orders"}') #> '{columns,1}')- 'object_id',
    '{"name": "customerName", "type": "text", "owner": null, "comment": null, "tags": {}, "classification": "internal", "position": 2, "nullable": true}', 'with its columns');
select is((select (tests.door('north.viewer', 'get_object', '{"name": "main.gold.orders"}') ->> k)) , e, k || ' of a table is known') from (values ('type', 'MANAGED'), ('row_count', '1'), ('location', 'gold_north.orders')) x (k, e);
select tests.door('north.operator', 'describe_object', '{"name": "main.gold.orders.total", "comment": "gross, in euro"}');
select id as total from catalog.objects where path[4] = 'total' \gset
select tests.publish('gold.orders', 'order_id bigint,amount numeric', $$ values (1, 2.5) $$);
select is(tests.names('north.viewer', '{"in": "main.gold.orders", "kind": "column"}'), 'main.gold.orders.order_id main.gold.orders.amount', 'columns that are no more are gone');
select is(tests.names('north.viewer', '{"in": "main.gold.orders", "kind": "column", "gone": true}'), 'main.gold.orders.order_id main.gold.orders.amount main.gold.orders.customerName main.gold.orders.total', 'and may be asked for');
select tests.publish('gold.orders', 'order_id bigint,total numeric', $$ values (1, 2.5) $$);
select is((select (id, comment, gone_at)::text from catalog.objects where path[4] = 'total'), format('(%s,"gross, in euro",)', :total), 'what comes back is what it was, with what was said of it');
select throws_ok($$ insert into catalog.objects (tenant_id, kind, path, key) values (tests.tenant('north'), 'table', '{a,b,c}', gen_random_uuid()) $$, '23514', null, 'a table without a schema is none');

-- by hand, behind the control room's back: found by a sync
create view gold_north.report as select total from gold_north.orders;
comment on view gold_north.report is 'What the board reads';
create materialized view silver_north.sums as select sum(total) from gold_north.orders;
insert into artifact.artifacts (tenant_id, name, kind, created_by) values (tests.tenant('north'), 'a.csv', 'data', 'x'), (tests.tenant('north'), 'b.csv', 'data', 'x'), (tests.tenant('north'), 'r.html', 'report', 'x');
select is(tests.door('north.operator', 'catalog_sync') #> '{catalogs,main,gone}', '0', 'a sync says what it has found');
select is(tests.names('north.viewer', jsonb_build_object('type', t)), n, t || ' is told apart') from (values ('VIEW', 'main.gold.report'), ('MATERIALIZED_VIEW', 'main.silver.sums'), ('MANAGED', 'main.files.data main.files.report main.gold.orders')) x (t, n);
select is(tests.door('north.viewer', 'get_object', '{"name": "main.gold.report"}') ->> 'comment', 'What the board reads', 'with the comment that the database has');
select is((select row_estimate from catalog.objects where kind = 'volume' and path[3] = 'data'), 2::bigint, 'files are in volumes, by their kind');
select is((tests.door('north.operator', 'catalog_sync') #> '{catalogs,main}') - 'seen', '{"gone": 0, "changed": 0}', 'a sync of what is known changes nothing');
drop view gold_north.report;
drop materialized view silver_north.sums;
select is((tests.door('north.operator', 'catalog_sync') #> '{catalogs,main}') - 'seen', '{"gone": 4, "changed": 0}', 'what is dropped is gone, with its columns');

-- databases elsewhere: by the settle of the run that has seen them
select tests.submit('north.operator') as run \gset
select tests.settle((select x from tests.claim() x), '{"catalog": [{"target": "shop", "namespace": "postgres://shop:5432", "tables": [
    {"schema": "public", "name": "accounts", "kind": "table", "dataset": "shop.public.accounts", "rows": 7, "comment": "who buys", "columns": [{"name": "id", "type": "bigint"}, {"name": "email", "type": "text"}]},
    {"schema": "public", "name": "active", "kind": "view", "dataset": "shop.public.active", "columns": [{"name": "id", "type": "bigint"}]}]}]}'::jsonb);
select is(tests.names('north.viewer', '{"in": "shop", "kind": "table"}'), 'shop.public.accounts shop.public.active', 'what a migration has seen is in the catalog when its run has ended');
select is((select jsonb_build_array(x -> 'type', x -> 'node', x -> 'row_count', x -> 'comment')), '["EXTERNAL", "dataset:postgres://shop:5432:shop.public.accounts", 7, "who buys"]', 'and is the same thing in the lineage')
from tests.door('north.viewer', 'get_object', '{"name": "shop.public.accounts"}') x;
select tests.submit('north.operator') as run \gset
select tests.settle((select x from tests.claim() x), '{"catalog": [{"target": "shop", "namespace": "postgres://shop:5432", "tables": [{"schema": "public", "name": "accounts", "kind": "table", "dataset": "shop.public.accounts"}]},
    {"target": "main", "namespace": "postgres://m:5432", "tables": [{"schema": "s", "name": "t", "kind": "table", "dataset": "m.s.t"}]}]}'::jsonb);
select is(tests.names('north.viewer', '{"in": "shop", "kind": "table"}'), 'shop.public.accounts', 'and what it has not seen any more is not');
select is(tests.names('north.viewer', '{"in": "target_main", "kind": "table"}'), 'target_main.s.t', 'a database that is called main does not take the tenant''s own name');

-- ------------------------------------------------------------------------------------ others tell it

select is(tests.door('north.operator', 'catalog_ingest', '{"catalog": "erp", "namespace": "odoo://erp.example/prod", "models": [
    {"model": "account.move", "name": "Journal Entry", "fields": [{"name": "partner_id", "ttype": "many2one", "relation": "res.partner", "field_description": "Partner", "required": false},
                                                                {"name": "amount_total", "ttype": "monetary", "string": "Total", "help": "with taxes", "required": true}]},
    {"model": "res.partner", "name": "Contact", "fields": {"email": {"type": "char", "string": "Email", "help": false}}}]}'), '{"catalog": "erp", "seen": 7, "changed": 7, "gone": 0}', 'Odoo tells of its models in its own words');
select is(tests.names('north.viewer', '{"in": "erp.models.`account.move`"}'), 'erp.models.`account.move`.partner_id erp.models.`account.move`.amount_total', 'fields are columns');
select is((select (type, nullable, source_comment)::text from catalog.objects where path[1] = 'erp' and path[4] = c), e, c || ' is known as Odoo has it')
from (values ('partner_id', '("many2one(res.partner)",t,Partner)'), ('amount_total', '(monetary,f,"Total: with taxes")'), ('email', '(char,,Email)')) x (c, e);
select is(tests.door('north.viewer', 'get_object', '{"name": "erp.models.`account.move`"}') ->> 'node', 'dataset:odoo://erp.example/prod:account.move', 'a model is a dataset of the lineage');
select is(tests.door('north.operator', 'catalog_ingest', '{"catalog": "erp", "models": [{"model": "res.partner", "name": "Contact"}]}') - 'seen', '{"catalog": "erp", "changed": 2, "gone": 4}', 'what is told is all of it');
select is(tests.door('north.operator', 'catalog_ingest', '{"catalog": "lake", "type": "FILES", "schemas": [{"name": "raw", "layer": "bronze", "volumes": [{"name": "drops", "location": "s3://lake/drops"}], "tables": [{"name": "drops", "columns": [{"name": "a"}]}]}]}') -> 'changed', '5', 'files come as volumes');
select is(tests.door('north.viewer', 'get_object', '{"name": "lake.raw.drops", "kind": "volume"}') ->> 'location', 's3://lake/drops', 'a volume and a table may be called alike');
select is(tests.names('north.viewer', '{"layer": "bronze", "in": "lake"}'), 'lake.raw lake.raw.drops lake.raw.drops lake.raw.drops.a', 'a layer is that of the schema');
-- within a settle
select tests.submit('north.operator') as run \gset
select tests.settle((select x from tests.claim() x), '{"catalog": [{"catalog": "odoo19", "models": [{"model": "crm.lead", "fields": []}]}]}'::jsonb);
select is(tests.names('north.viewer', '{"in": "odoo19", "kind": "table"}'), 'odoo19.models.`crm.lead`', 'a run tells of a whole system when it ends');

-- bad input: the place is told, nothing is half-written
select count(*) as objects from catalog.objects \gset
select tests.refused('north.operator', format('public.catalog_ingest(%L)', b), c, 'not taken: ' || left(b, 110), p) from (values
    ('null', 'BODY_INVALID', '$'), ('[]', 'BODY_INVALID', '$'), ('{}', 'FIELD_INVALID', '$.schemas'), ('{"catalog": "x", "schemas": 1}', 'FIELD_INVALID', '$.schemas'), ('{"catalog": 1, "schemas": []}', 'FIELD_INVALID', '$.catalog'),
    ('{"catalog": "x", "schemas": [], "color": 1}', 'FIELD_UNKNOWN', '$.color'), ('{"catalog": "main", "schemas": []}', 'CATALOG_NAME_TAKEN', '$.catalog'), ('{"catalog": "shop", "schemas": []}', 'CATALOG_NAME_TAKEN', '$.catalog'),
    ('{"catalog": "erp", "type": "FILES", "schemas": []}', 'CATALOG_NAME_TAKEN', '$.catalog'), ('{"catalog": "x", "type": "LAYERS", "schemas": []}', 'FIELD_INVALID', '$.type'),
    ('{"catalog": "", "schemas": []}', 'FIELD_INVALID', '$.catalog'), (jsonb_build_object('catalog', repeat('é', 256), 'schemas', '[]'::jsonb)::text, 'FIELD_INVALID', '$.catalog'),
    ('{"catalog": "x", "schemas": [null]}', 'FIELD_INVALID', '$.schemas[0]'), ('{"catalog": "x", "schemas": [{"name": "s", "layer": "platinum"}]}', 'FIELD_INVALID', '$.schemas[0].layer'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": {}}]}', 'FIELD_INVALID', '$.schemas[0].tables'), ('{"catalog": "x", "schemas": [{"name": "s"}, {"name": "t", "tables": [{"name": "a", "columns": 7}]}]}', 'FIELD_INVALID', '$.schemas[1].tables[0].columns'),
    (jsonb_build_object('catalog', 'x', 'schemas', jsonb_build_array(jsonb_build_object('name', 's', 'tables', jsonb_build_array(jsonb_build_object('name', repeat('n', 4096))))))::text, 'FIELD_INVALID', '$.schemas[0].tables[0].name'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a", "columns": [{"name": "c"}, {"name": "a\u0001b"}]}]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].columns[1].name'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a", "columns": [{"name": "c", "nullable": "no"}]}]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].columns[0].nullable'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a", "columns": [{"name": "c", "colour": "red"}]}]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].columns[0].colour'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a", "type": "CLOUD"}]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].type'), ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a", "loaded_at": "soon"}]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].loaded_at'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a", "dataset": "d"}]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].dataset'), ('{"catalog": "x", "schemas": [{"name": "s", "volumes": [{"name": "v"}]}]}', 'FIELD_INVALID', '$.schemas[0].volumes[0].location'),
    ('{"catalog": "x", "schemas": [{"name": "s", "tables": [{"name": "a"}, {"name": "a"}]}]}', 'FIELD_INVALID', 'x.s.a twice'), ('{"catalog": "x", "models": 7}', 'FIELD_INVALID', '$.models'), ('{"catalog": "x", "models": [{"fields": []}]}', 'FIELD_INVALID', '$.models[0].model'),
    ('{"catalog": "x", "models": [{"model": "m", "fields": 3}]}', 'FIELD_INVALID', '$.models[0].fields'), ('{"catalog": "x", "models": [{"model": "m", "fields": [7]}]}', 'FIELD_INVALID', '$.schemas[0].tables[0].columns[0]')
) x (b, c, p);
select is((select count(*) from catalog.objects), :objects::bigint, 'of none of that anything was kept');
-- large, and odd
select is(tests.door('north.operator', 'catalog_ingest', jsonb_build_object('catalog', 'wide "x"', 'schemas', jsonb_build_array(jsonb_build_object('name', 'Größe', 'tables', jsonb_build_array(jsonb_build_object('name', 'it''s `a`.b',
    'columns', (select jsonb_agg(jsonb_build_object('name', 'c' || n, 'type', 'text')) from generate_series(1, 10000) n))))))) -> 'changed', '10003', 'a table of 10,000 columns is taken');
select is(jsonb_array_length(tests.door('north.viewer', 'get_object', '{"name": "`wide \"x\"`.`Größe`.`it''s ``a``.b`"}') -> 'columns'), 1000, 'of which a thousand are shown at once');
create temporary table pages (n bigint, name text);
do $$
declare
    v_page jsonb;
    v_cursor jsonb := 'null';
begin
    loop
        v_page := tests.door('north.viewer', 'list_objects', jsonb_build_object('in', '`wide "x"`.`Größe`.`it''s ``a``.b`', 'kind', 'column', 'limit', 1000, 'cursor', v_cursor));
        insert into pages (n, name) select (i ->> 'position')::bigint, i ->> 'name' from jsonb_array_elements(v_page -> 'items') i;
        v_cursor := v_page -> 'next';
        exit when v_cursor = 'null';
    end loop;
end
$$;
grant select on pages to public;
select is((select (count(*), count(distinct name), max(n))::text from pages), '(10000,10000,10000)', 'and the others page by page, each once');

-- ------------------------------------------------------------------------------------------- searching

select tests.door('north.operator', 'describe_object', '{"name": "main.gold.orders", "comment": "What customers have ordered", "tags": {"domain": "sales", "pii": "no"}}');
select is(tests.names('north.viewer', jsonb_build_object('q', q, 'limit', 1)), n, q || ' finds ' || n) from (values ('orders', 'main.gold.orders'), ('customer', 'main.gold.orders'), ('sales', 'main.gold.orders'), ('ordering customers', 'main.gold.orders'),
    ('"customers have"', 'main.gold.orders'), ('journal', null), ('contact', 'erp.models.`res.partner`'), ('partner', 'erp.models.`res.partner`'), ('Größe', '`wide "x"`.`Größe`'), ('who buys', null), ('ord', 'main.gold.orders'), ('order i', 'main.gold.orders.order_id')) x (q, n);
select is(tests.names('north.viewer', jsonb_build_object('q', 'orders', 'kind', 'column') ), 'main.gold.orders.order_id main.gold.orders.total', 'a column is found by its table');
select is(tests.names('north.viewer', '{"q": "total -euro"}'), null, 'what has a word that is not wanted is left out');
select is(tests.names('north.viewer', '{"tag": "domain=sales"}'), 'main.gold.orders', 'by a tag and its text');
select is(tests.names('north.viewer', '{"tag": "pii"}'), 'main.gold.orders', 'by a tag alone');
select is(tests.names('south.admin', '{"q": "orders"}'), null, 'another tenant finds nothing of it');
create function tests.paged(p_q text, p_limit integer)
returns table (id bigint, rank numeric) language plpgsql as $$
declare
    v_page jsonb;
    v_cursor jsonb := 'null';
begin
    loop
        v_page := tests.door('north.viewer', 'list_objects', jsonb_build_object('q', p_q, 'limit', p_limit, 'cursor', v_cursor));
        return query select (i ->> 'object_id')::bigint, (i ->> 'rank')::numeric from jsonb_array_elements(v_page -> 'items') i;
        v_cursor := v_page -> 'next';
        exit when v_cursor = 'null';
    end loop;
end
$$;
select is((select (count(*), count(distinct id), bool_and(rank <= before))::text from (select *, lag(rank, 1, 9) over () as before from tests.paged(q, n)) x), e, q || ' pages through, best first, each once')
from (values ('c9', 500, '(1111,1111,t)'), ('orders', 1, '(3,3,t)')) x (q, n, e);
select tests.refused('north.viewer', format('public.list_objects(%L)', b), 'FIELD_INVALID', 'no question: ' || b, p) from (values ('{"q": 7}', '$.q'), ('{"kind": "desk"}', '$.kind'), ('{"layer": "platinum"}', '$.layer'), ('{"classification": "secret"}', '$.classification'),
    ('{"in": "a..b"}', '$.in'), ('{"cursor": "x"}', '$.cursor'), ('{"cursor": "999999999"}', '$.cursor'), ('{"q": "x", "cursor": "0.1:x"}', '$.cursor'), ('{"gone": "yes"}', '$.gone')) x (b, p);
select tests.refused('north.viewer', format('public.%I(''{"name": "main.gold.nothing", "in": "main.gold.nothing"}''::jsonb %s)', f, a), 'OBJECT_NOT_FOUND', f || ' of what is not there') from (values ('list_objects', '- ''name'''), ('get_object', '- ''in''')) x (f, a);

-- ---------------------------------------------------------------------------------- words, and who may

select tests.refused(w, format('public.describe_object(''{"name": "main.gold.orders", %s}'')', b), 'ROLE_INSUFFICIENT', format('%s does not set %s', w, b)) from (values ('north.viewer', '"comment": "x"'), ('north.operator', '"owner": "me"'), ('north.operator', '"classification": "internal"'), ('north.viewer', '"tags": {}')) x (w, b);
select is(tests.door('north.admin', 'describe_object', '{"name": "main.gold.orders", "owner": "team sales"}') ->> 'owner', 'team sales', 'an admin says whose it is');
select is((select (user_id, action, object_type, object_id, details)::text from audit.entries where action = 'catalog.describe' order by id desc limit 1), '(north.admin,catalog.describe,table,main.gold.orders,"{""owner"": ""team sales""}")', 'and it is on record');
select is(tests.door('north.operator', 'describe_object', '{"name": "main.gold.orders", "comment": null}') - array['object_id', 'path'], '{"kind": "table", "name": "main.gold.orders", "type": "MANAGED", "layer": null, "owner": "team sales", "comment": null, "tags": {"pii": "no", "domain": "sales"}, "classification": "internal"}', 'null takes a word back, and leaves the others');
select tests.refused('north.admin', format('public.describe_object(%L)', '{"name": "main.gold.orders"}'::jsonb || b::jsonb), 'FIELD_INVALID', 'not said: ' || left(b, 60)) from unnest(array['{"comment": 7}', '{"owner": ""}', '{"classification": "secret"}', '{"tags": []}', '{"tags": {"a=b": "c"}}', '{"tags": {"a": 1}}', '{"name": 7, "comment": ["x"]}', jsonb_build_object('comment', repeat('x', 4001))::text, jsonb_build_object('owner', repeat('x', 129))::text, jsonb_build_object('tags', (select jsonb_object_agg('t' || n, '') from generate_series(1, 51) n))::text]) b;

create function tests.reads(p_who text, p_table text) returns bigint language sql as $$ select tests.count(p_who, 'select from ' || p_table) $$;
select is(tests.reads('north.viewer', 'gold_north.orders'), 1::bigint, 'a viewer reads gold');
select tests.door('north.admin', 'describe_object', '{"name": "main.gold.orders.total", "classification": "confidential"}');
select is(tests.reads('north.viewer', 'gold_north.orders'), 0::bigint, 'but no row of a table with a confidential column');
select is(tests.reads(w, 'gold_north.orders'), 1::bigint, w || ' does') from unnest(array['north.operator', 'north.admin@hook']) w;
select is(tests.as('north.viewer', $$ public.read_table('{"layer": "gold", "table": "orders"}') $$) -> 'rows', '[]', 'nor by the people''s door');
select is(tests.door('north.viewer', 'get_object', '{"name": "main.gold.orders"}') ->> 'classification', 'confidential', 'that it is there, and why it is closed, he sees');
select tests.publish('gold.orders', 'order_id bigint,total numeric,extra text', $$ values (1, 2.5, 'x') $$);
select is(tests.reads('north.viewer', 'gold_north.orders'), 0::bigint, 'made anew with other columns it is as closed as it was');
select tests.door('north.admin', 'describe_object', '{"name": "main.gold.orders.total", "classification": "internal"}');
select is(tests.reads('north.viewer', 'gold_north.orders'), 1::bigint, 'until an admin says otherwise');
select tests.door('north.admin', 'describe_object', '{"name": "main.gold", "classification": "confidential"}');
select is(tests.reads('north.viewer', 'gold_north.orders'), 0::bigint, 'a word on a schema counts for its tables');
select tests.publish('gold.fresh', 'a bigint', $$ values (1) $$);
select is(tests.reads('north.viewer', 'gold_north.fresh'), 0::bigint, 'for those that come later too');
select is(tests.names('north.viewer', '{"classification": "confidential", "kind": "table"}'), 'main.gold.fresh main.gold.orders', 'what is confidential can be listed');
select tests.door('north.admin', 'describe_object', '{"name": "main.gold", "classification": null}');
select is((tests.reads('north.viewer', 'gold_north.fresh'), tests.reads('north.viewer', 'gold_north.orders'))::text, '(1,1)', 'taken back, they are open again');
select is(tests.reads('south.admin', 'gold_north.orders'), 0::bigint, 'to one''s own');

select * from finish();
rollback;
