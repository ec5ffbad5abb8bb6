-- catalog: the tenants' layers; an output is published whole by the lease that made it, or not at all.
begin;
\ir fixtures.psql
select no_plan();

-- Runs a job whose output is the table <layer>.<table>; answers with the settlement.
create function tests.publish(p_layer text, p_table text, p_columns jsonb, p_rows text, p_mode text default 'overwrite', p_tenant text default 'north', p_outcome jsonb default '{}')
returns jsonb language plpgsql as $$
declare
    c jsonb;
    v_staging text;
begin
    perform tests.submit(p_tenant || '.operator', jsonb_build_object('max_retries', 0, 'outputs', jsonb_build_array(jsonb_build_object('name', 't', 'layer', p_layer, 'table', p_table, 'mode', p_mode))));
    c := (select x from tests.claim() x);
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''t'', %L)', c ->> 'attempt_id', c ->> 'lease', p_columns)) #>> '{}';
    perform tests.load(v_staging, p_rows);
    return tests.settle(c, jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', v_staging))) || p_outcome) || jsonb_build_object('run_id', c -> 'run_id');
end
$$;
create function tests.load(p_staging text, p_rows text)
returns void language plpgsql as $$
begin
    perform tests.become('loader');
    execute format('insert into %s %s', p_staging, p_rows);
    perform tests.rest();
end
$$;
create function tests.code(p_settlement jsonb) returns text language sql volatile as $$ select termination_code from queue.runs where id = (p_settlement ->> 'run_id')::bigint $$;
create function tests.reads(p_who text, p_table text)
returns text language plpgsql as $$
declare
    n bigint;
begin
    perform tests.become(p_who);
    execute 'select count(*) from ' || p_table into n;
    perform tests.rest();
    return n;
exception when insufficient_privilege then
    return 'refused';
end
$$;

-- ---------------------------------------------------------------------------------------- the layers

select has_schema(l || '_' || t, format('%s has a %s layer', t, l)) from unnest(array['north', 'south']) t, unnest(array['bronze', 'silver', 'gold']) l;
select schema_owner_is(l || '_north', 'app_system', l || ' belongs to the worker''s role') from unnest(array['bronze', 'silver', 'gold']) l;
select is(tests.error(w, format('(select count(*) from %s)', 'staging.x')) ->> 'code', '42501', w || ' does not reach staging') from unnest(array['anon', 'north.viewer', 'north.admin', 'platform', 'runner']) w;

-- --------------------------------------------------------------------------------------- publishing

select is(tests.publish('gold', 'sales', '[{"name": "day", "type": "date"}, {"name": "total", "type": "numeric(10,2)"}]', $$ values ('2026-01-01', 1.10), ('2026-01-02', 2.20) $$) ->> 'run_state', 'SUCCEEDED', 'an output table is published by the settlement');
select results_eq('select day, total, tenant_id from gold_north.sales order by day', format($$ values ('2026-01-01'::date, 1.10::numeric(10,2), %L::uuid), ('2026-01-02', 2.20, %1$L) $$, tests.tenant('north')), 'every row of it carries the tenant');
select is((select (schema_name, columns, row_count)::text from catalog.assets where name = 'sales'), '(gold_north,"[{""name"": ""day"", ""type"": ""date""}, {""name"": ""total"", ""type"": ""numeric(10,2)""}]",2)', 'the catalogue knows its columns and rows');
select is((select count(*) from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'), 0::bigint, 'nothing is left in staging');
select is(tests.as('north.viewer', $$ public.read_table('{"layer": "gold", "table": "sales", "limit": 1}') $$) -> 'rows', '[{"day": "2026-01-01", "total": 1.10}]', 'its rows are read by the people''s door, without the tenant''s id');

select tests.publish('gold', 'sales', '[{"name": "day", "type": "date"}, {"name": "total", "type": "numeric(10,2)"}]', $$ values ('2026-02-01', 3) $$);
select is((select string_agg(total::text, ' ') from gold_north.sales), '3.00', 'overwrite replaces the rows');
select tests.publish('gold', 'sales', '[{"name": "day", "type": "date"}, {"name": "total", "type": "numeric(10,2)"}]', $$ values ('2026-02-02', 4) $$, 'append');
select is((select string_agg(total::text, ' ' order by day) from gold_north.sales), '3.00 4.00', 'append adds to them');
select is((select row_count from catalog.assets where name = 'sales'), 2::bigint, 'and the catalogue counts them');
select is((select (x).reason from (select tests.publish('gold', 'sales', '[{"name": "day", "type": "text"}]', $$ values ('x') $$, 'append') ->> 'reason' as reason) x), 'publish_failed', 'append with other columns fails');
select is((select (state, termination_code)::text from queue.runs order by id desc limit 1), '(FAILED,PUBLISH_FAILED)', 'and the run with it');
select is((select string_agg(total::text, ' ' order by day) from gold_north.sales), '3.00 4.00', 'nothing is half-published');
select is((select run_id is not null and type = 'run.failed' from callback.events order by at desc, seq desc limit 1), true, 'it is announced as failed');
select is(tests.code(tests.publish('gold', 'sales', '[{"name": "other", "type": "text"}]', $$ values ('x') $$)), 'SUCCESS', 'overwrite may change the columns');
select columns_are('gold_north', 'sales', array['other', 'tenant_id'], 'then it has the new ones');
select is((select (relrowsecurity, relforcerowsecurity)::text from pg_class where oid = 'gold_north.sales'::regclass), '(t,t)', 'and is as closed as the old one was');
create view gold_north.report as select other from gold_north.sales;
select is(tests.code(tests.publish('gold', 'sales', '[{"name": "third", "type": "text"}]', $$ values ('x') $$)), 'PUBLISH_FAILED', 'columns that a view stands on are not pulled away');
select is((select string_agg(other, ' ') from gold_north.report), 'x', 'the view still shows what was there');
drop view gold_north.report;

-- two outputs of one run: both or none
select tests.submit('north.operator', '{"max_retries": 0, "outputs": [{"name": "one", "layer": "silver", "table": "one"}, {"name": "two", "layer": "gold", "table": "sales", "mode": "append"}, {"name": "file"}]}') as run \gset
select tests.claim() as claim \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''one'', ''[{"name": "a", "type": "bigint"}]'')', :'claim'::jsonb ->> 'attempt_id')) #>> '{}' as one \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''two'', ''[{"name": "b", "type": "bigint"}]'')', :'claim'::jsonb ->> 'attempt_id')) #>> '{}' as two \gset
select is(tests.settle(:'claim', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 'one', 'staging', :'one'::text), jsonb_build_object('name', 'two', 'staging', :'two'::text)),
    'lineage', '[{"eventTime": "2026-01-01T00:00:00Z", "producer": "p", "schemaURL": "s", "job": {"namespace": "n", "name": "half"}, "outputs": [{"namespace": "n", "name": "half"}]}]'::jsonb)) ->> 'reason', 'publish_failed', 'one output that cannot be published fails them all');
select hasnt_table('silver_north', 'one', 'the other is not published either');
select is((select count(*) from lineage.datasets where name = 'half'), 0::bigint, 'nor its lineage recorded');
select tests.tick();
select is((select count(*) from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'), 0::bigint, 'what lay in staging is swept');

-- only what was asked for, only by the lease that made it
select tests.submit('north.operator', '{"outputs": [{"name": "t", "layer": "silver", "table": "fenced"}]}') as run \gset
select tests.claim() as claim1 \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''t'', ''[{"name": "a", "type": "text"}]'')', :'claim1'::jsonb ->> 'attempt_id')) #>> '{}' as staging1 \gset
select tests.load(:'staging1', $$ values ('from a lost lease') $$);
select is(tests.count('loader', format('select * from %s', :'staging1'::text)), 1::bigint, 'a runner loads rows as loader');
select tests.lose(:'claim1');
select hasnt_table('staging', split_part(:'staging1', '.', 2)::name, 'what a lost lease loaded is dropped');
select tests.claim() as claim2 \gset
select tests.as('runner', format('worker.open_output(%s, 2, ''t'', ''[{"name": "a", "type": "text"}]'')', :'claim2'::jsonb ->> 'attempt_id')) #>> '{}' as staging2 \gset
select isnt(:'staging1'::text, :'staging2'::text, 'each lease loads into tables of its own');
select tests.load(:'staging2', $$ values ('from the lease that holds') $$);
select is(tests.settle(:'claim1', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', :'staging2'::text)))) ->> 'reason', 'stale', 'the lost lease publishes nothing');
select tests.settle(:'claim2', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', :'staging2'::text))));
select is((select string_agg(a, ' ') from silver_north.fenced), 'from the lease that holds', 'the one that holds does');

-- staging is unlogged: a crash of the database empties it, and nobody must take that for the output
select tests.submit('north.operator', '{"outputs": [{"name": "t", "layer": "silver", "table": "emptied"}]}') as run \gset
select tests.claim() as claim \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''t'', ''[{"name": "a", "type": "text"}]'')', :'claim'::jsonb ->> 'attempt_id')) #>> '{}' as staging \gset
select is(tests.settle(:'claim', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 't', 'staging', :'staging'::text, 'rows', 2)))) ->> 'reason', 'publish_failed', 'what was loaded and is not there is not published');
select hasnt_table('silver_north', 'emptied', 'nor is an empty table');
select is((select (number, state)::text from queue.live_attempts where run_id = :run), '(2,QUEUED)', 'the work is done again');
select tests.as('north.operator', format('public.cancel_run(''{"run_id": %s}'')', :run));

create function tests.misuse(p_tables jsonb)
returns text language plpgsql as $$
declare
    c jsonb;
begin
    perform tests.submit('north.operator', '{"max_retries": 0, "outputs": [{"name": "t", "layer": "silver", "table": "misused"}, {"name": "file"}]}');
    c := (select x from tests.claim() x);
    perform tests.as('runner', format('worker.open_output(%s, 1, ''t'', ''[{"name": "a", "type": "text"}]'')', c ->> 'attempt_id'));
    perform tests.settle(c, jsonb_build_object('tables', p_tables));
    return (select termination_code from queue.runs where id = (c ->> 'run_id')::bigint);
end
$$;
select is(tests.misuse(p::jsonb), 'PUBLISH_FAILED', 'no output: ' || p)
from unnest(array['[{"name": "t", "staging": "staging.o1_1_x"}]', '[{"name": "undeclared", "staging": "staging.o1_1_x"}]', '[{"name": "file", "staging": "staging.o1_1_x"}]',
                  '[{"name": "t", "staging": "gold_south.sales"}]', '[{"name": "t", "staging": "queue.runs"}]', '[{"name": "t"}]', '[{}]']) p;
-- a table that is there, loaded by another attempt
select tests.submit('south.operator', '{"outputs": [{"name": "t", "layer": "silver", "table": "theirs"}]}') as run \gset
select c as theirs from tests.claim() c \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''t'', ''[{"name": "a", "type": "text"}]'')', :'theirs'::jsonb ->> 'attempt_id')) #>> '{}' as their_staging \gset
select is(tests.misuse(jsonb_build_array(jsonb_build_object('name', 't', 'staging', :'their_staging'::text))), 'PUBLISH_FAILED', 'what another attempt has loaded is not published');
select has_table('staging', split_part(:'their_staging', '.', 2)::name, 'and stays where it is');
select tests.settle(:'theirs');
select hasnt_table('silver_north', 'misused', 'none of that published anything');

select tests.submit('north.operator') as run \gset
select tests.claim() as claim \gset
select tests.refused('runner', format('worker.open_output(%s, 1, ''t'', %L)', :'claim'::jsonb ->> 'attempt_id', p), 'OUTPUT_INVALID', 'no columns: ' || left(p, 80))
from unnest(array['[]', '{}', 'null', '[{"name": "a"}]', '[{"name": "", "type": "text"}]', '[{"name": "a", "type": "regclass"}]', '[{"name": "a", "type": "text; drop table x"}]', '[{"name": "a", "type": "text default now()"}]',
                  '[{"name": "a", "type": "text"}, {"name": "a", "type": "text"}]', '[{"name": "tenant_id", "type": "uuid"}]', '[{"name": "xmin", "type": "text"}]', '[{"name": "a\nb", "type": "text"}]',
                  '[{"name": "' || repeat('c', 64) || '", "type": "text"}]', '[{"name": "a", "type": "numeric(1000,0,1)"}]', '[{"name": "a", "type": "oid"}]', '[{"name": "a", "type": "public.x"}]']) p;
select matches(tests.as('runner', format('worker.open_output(%s, 1, ''t'', %L)', :'claim'::jsonb ->> 'attempt_id', (select jsonb_agg(jsonb_build_object('name', t, 'type', t)) from unnest(array['boolean', 'bigint', 'integer', 'smallint', 'double precision',
    'real', 'numeric', 'numeric(10,2)', 'text', 'date', 'timestamp', 'timestamptz', 'time', 'uuid', 'jsonb', 'bytea']) t))) #>> '{}', '^staging\.o[0-9]+_1_[0-9a-f]+$', 'every type that is promised is taken');
select is(tests.code(tests.publish('silver', 'odd', '[{"name": "Quote\"d; drop table x--", "type": "text"}, {"name": "select", "type": "text"}]', $$ values ('a', 'b') $$)), 'SUCCESS', 'odd names are only names');
select has_column('silver_north', 'odd', 'Quote"d; drop table x--', 'kept as they are');
select tests.settle(:'claim');

-- ------------------------------------------------------------------------------------- tables as inputs

select tests.submit('north.operator', '{"inputs": [{"name": "i", "table": "silver.fenced"}, {"name": "gone", "table": "silver.gone"}]}') as run \gset
select tests.claim() as claim \gset
select tests.as('runner', format('worker.open_input(%s, 1, ''i'')', :'claim'::jsonb ->> 'attempt_id')) as input \gset
select is(:'input'::jsonb - 'table', '{"columns": [{"name": "a", "type": "text"}], "rows": 1}'::jsonb, 'an input is a copy of a table, without the tenant''s id');
select is(tests.rows('loader', format('select * from %s', :'input'::jsonb ->> 'table')), '{"a": "from the lease that holds"}', 'which the runner reads as loader');
select tests.refused('runner', format('worker.open_input(%s, 1, ''gone'')', :'claim'::jsonb ->> 'attempt_id'), 'INPUT_NOT_FOUND', 'a table that is not there is said to be', 'silver.gone');
select tests.refused('runner', format('worker.open_input(%s, 1, ''other'')', :'claim'::jsonb ->> 'attempt_id'), 'INPUT_UNKNOWN', 'only inputs that were asked for are opened', 'other');
select tests.settle(:'claim');
select tests.publish('gold', 'mine', '[{"name": "a", "type": "text"}]', $$ values ('south''s') $$, 'overwrite', 'south');
select tests.submit('north.operator', '{"inputs": [{"name": "i", "table": "gold.mine"}]}') as run \gset
select tests.claim() as claim \gset
select tests.refused('runner', format('worker.open_input(%s, 1, ''i'')', :'claim'::jsonb ->> 'attempt_id'), 'INPUT_NOT_FOUND', 'another tenant''s table of that name is not it');
select tests.settle(:'claim');

-- ------------------------------------------------------------------------- what is read from elsewhere

create function tests.reading(p_more jsonb default '{}')
returns jsonb language sql as $$
    select jsonb_build_object('inputs', jsonb_build_array('{"name": "i", "uri": "odoo://erp/res.partner", "read": {"after": "bronze.partners"}}'::jsonb || p_more))
$$;
create function tests.high_water(p_claim text, p_lease integer default 1)
returns text language sql as $$ select format('worker.high_water(%s, %s, ''i'')', p_claim::jsonb ->> 'attempt_id', p_lease) $$;
select tests.as('platform', $$ public.platform_grant('{"tenant": "south", "kind": "target", "name": "erp"}') $$);
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission(tests.reading())), 'TARGET_NOT_GRANTED', 'what another tenant may read is not read', '$.inputs[0].uri: erp');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "target", "name": "erp"}') $$);
select tests.submit('north.operator', tests.reading()) as run \gset
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb -> 'targets', '["erp"]', 'the runner is told from where it may read');
select is(tests.as('runner', tests.high_water(:'claim')), null, 'where there is no table yet, reading begins at the beginning');
select tests.publish('bronze', 'partners', '[{"name": "write_date", "type": "timestamptz"}]', $$ values ('2026-05-01 12:00:00.000001+02'::timestamptz), (null), ('2026-04-30 00:00:00+00') $$);
select is(tests.as('runner', tests.high_water(:'claim')) #>> '{}', '2026-05-01 10:00:00.000001', 'else where the table has got to, in UTC and to the microsecond');
select tests.publish('bronze', 'partners', '[{"name": "write_date", "type": "text"}]', $$ values ('2026-05-01') $$);
select tests.refused('runner', tests.high_water(:'claim'), 'WATERMARK_UNFIT', 'a column that has no times cannot say it', 'bronze.partners.write_date');
select tests.refused('runner', tests.high_water(:'claim', 2), 'STALE_LEASE', 'and a stale lease is not told');
select tests.settle(:'claim');
select tests.submit('north.operator', tests.reading('{"read": {"after": "gold.mine"}}')) as run \gset
select c as claim from tests.claim() c \gset
select is(tests.as('runner', tests.high_water(:'claim')), null, 'another tenant''s table of that name says nothing');
select tests.settle(:'claim');
select tests.submit('north.operator', tests.reading('{"read": {}}')) as run \gset
select c as claim from tests.claim() c \gset
select tests.refused('runner', tests.high_water(:'claim'), 'INPUT_UNKNOWN', 'only what was submitted says after which table', 'i');
select tests.settle(:'claim');
select tests.submit('north.operator', tests.reading()) as run \gset
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "target", "name": "erp"}') $$);
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb -> 'targets', '[]', 'what was taken back since the submission is not read');
select tests.settle(:'claim');

-- -------------------------------------------------------------------------------------------- who reads

select tests.publish(l, 'access', '[{"name": "a", "type": "text"}]', $$ values ('x') $$) from unnest(array['bronze', 'silver', 'gold']) l;
select is(tests.reads(w.who, w.layer || '_north.access'), w.expected, format('%s of %s: %s', w.who, w.layer, w.expected))
from (values
    ('north.viewer', 'gold', '1'), ('north.viewer', 'silver', '0'), ('north.viewer', 'bronze', '0'),
    ('north.operator', 'gold', '1'), ('north.operator', 'silver', '1'), ('north.operator', 'bronze', '1'), ('north.admin@hook', 'bronze', '1'),
    ('south.admin', 'gold', '0'), ('south.admin', 'silver', '0'), ('south.admin', 'bronze', '0'), ('north.stranger', 'gold', '0'), ('north.stranger', 'bronze', '0'),
    ('anon', 'gold', 'refused'), ('platform', 'gold', 'refused'), ('runner', 'gold', 'refused'), ('loader', 'gold', 'refused'), ('app_owner', 'gold', 'refused')
) w (who, layer, expected);
create function tests.put(p_who text, p_statement text)
returns text language plpgsql as $$
begin
    perform tests.become(p_who);
    execute p_statement;
    perform tests.rest();
    return 'done';
exception when insufficient_privilege then
    return 'refused';
end
$$;
select is(tests.put(w, s), 'refused', format('%s may not: %s', w, s))
from unnest(array['north.admin', 'north.operator', 'runner', 'platform', 'loader', 'app_owner']) w, unnest(array['insert into gold_north.access (a) values (1)', 'update gold_north.access set a = 1', 'delete from gold_north.access', 'truncate gold_north.access', 'drop table gold_north.access', 'create table gold_north.mine (a text)']) s;
select throws_ok(format('update gold_north.access set tenant_id = %L', tests.tenant('south')), '23514', null, 'a row of a layer stays its tenant''s, whoever updates it');
select tests.refused('north.viewer', $$ public.read_table('{"layer": "gold", "table": "gone"}') $$, 'INPUT_NOT_FOUND', 'a table that is not there is not read', 'gold.gone');
select tests.refused('south.admin', $$ public.read_table('{"layer": "gold", "table": "access"}') $$, 'INPUT_NOT_FOUND', 'nor another tenant''s', 'gold.access');
select is(tests.as('north.viewer', $$ public.read_table('{"layer": "bronze", "table": "access"}') $$) -> 'rows', '[]', 'a viewer reads no rows of bronze by the door either');
select set_eq($$ select x ->> 'schema_name' from tests.rows('south.viewer', 'select schema_name from public.assets') x $$, array['gold_south'], 'the catalogue shows one''s own tables');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', (select published_by_run from catalog.assets where name = 'fenced')))) -> 'tables',
    '[{"layer": "silver", "schema": "silver_north", "table": "fenced", "rows": 1}]', 'a run knows what it published');

select * from finish();
rollback;
