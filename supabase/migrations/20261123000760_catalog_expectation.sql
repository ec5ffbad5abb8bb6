-- catalog, further part: expectations. What rows of a layer's table have to be; looked at in the settle that would publish them, before it does.
-- Law: what was loaded is what is kept, what was dropped and what was set aside.

grant app_owner, app_system to postgres;
set role app_owner;

create type catalog.expectation_kind as enum ('expression', 'not_null', 'accepted_values', 'unique', 'row_count');
create type catalog.expectation_action as enum (
    'warn',        -- rows are kept; it is said
    'drop',        -- rows that fail are left out
    'quarantine',  -- rows that fail are set aside, with the reason
    'fail'         -- nothing is published
);

create table catalog.expectations (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    layer catalog.layer not null,
    table_name text not null check (table_name ~ '^[a-z_][a-z0-9_]{0,62}$'),
    name ground.label not null,
    kind catalog.expectation_kind not null,
    action catalog.expectation_action not null,
    definition jsonb not null,
    condition text,  -- of a row, safe to execute; null where it is of all of them
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    constraint rows_have_conditions check ((condition is null) = (kind in ('unique', 'row_count'))),
    constraint of_all_rows_none_is_taken_out check (kind not in ('unique', 'row_count') or action in ('warn', 'fail'))
);
create unique index expectations_have_one_name on catalog.expectations (table_name, layer, name, tenant_id);

create table catalog.verdicts (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    run_id bigint not null,
    layer catalog.layer not null,
    table_name text not null,
    name text not null,
    kind catalog.expectation_kind not null,
    action catalog.expectation_action not null,
    success boolean not null,
    loaded bigint not null,
    failed bigint,  -- null: it could not be looked at
    message text,
    judged_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
create index verdicts_of_run on catalog.verdicts (run_id, tenant_id);
create index verdicts_of_table on catalog.verdicts (table_name, layer, tenant_id, id);
comment on table catalog.verdicts is 'What each publication was found to be; as old as the history of its run.';

create table catalog.quarantine (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    run_id bigint not null,
    layer catalog.layer not null,
    table_name text not null,
    expectations text[] not null,
    content jsonb not null,
    set_aside_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
create index quarantine_of_run on catalog.quarantine (run_id, tenant_id);
create index quarantine_of_table on catalog.quarantine (table_name, layer, tenant_id, id);
comment on table catalog.quarantine is 'Confidential: rows that an expectation has set aside; as old as the history of their run.';

do $rls$
declare
    t text;
begin
    foreach t in array array['expectations', 'verdicts', 'quarantine'] loop
        execute format('alter table catalog.%I enable row level security', t);
        execute format('alter table catalog.%I force row level security', t);
        execute format('create policy "doors see the caller''s %s" on catalog.%I for select to app_owner using (tenant_id = (select ground.claimed_tenant_id()))', t, t);
        execute format('create policy "the worker keeps %s" on catalog.%I for all to app_system using (true) with check (true)', t, t);
        execute format('grant select on catalog.%I to authenticated', t);
        execute format('grant select, insert, delete on catalog.%I to app_system', t);
    end loop;
end
$rls$;
create policy "operators see expectations" on catalog.expectations for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');
create policy "members see verdicts" on catalog.verdicts for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "operators see what was set aside" on catalog.quarantine for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');

set role postgres;
grant create on schema catalog to app_system;
set role app_system;

-- What a definition says of a row, as a condition; null where it is of all of them. Or the first fault with its path.
create function catalog.expectation_condition(p_kind catalog.expectation_kind, p jsonb)
returns text language plpgsql immutable set search_path = '' as $$
begin
    perform ground.refuse_unknown(p, case p_kind when 'expression' then array['expression'] when 'not_null' then array['column'] when 'accepted_values' then array['column', 'values']
                                                 when 'unique' then array['columns'] else array['min', 'max'] end, '$.definition');
    if p_kind in ('not_null', 'accepted_values') and (jsonb_typeof(p -> 'column') is distinct from 'string' or length(p ->> 'column') not between 1 and 63) then
        perform ground.fail('EXPECTATION_INVALID', '$.definition.column', 'column is the name of a column.');
    end if;
    case p_kind
        when 'expression' then
            if jsonb_typeof(p -> 'expression') is distinct from 'string' then
                perform ground.fail('EXPECTATION_INVALID', '$.definition.expression', 'expression is a condition in SQL.');
            end if;
            return catalog.condition(p ->> 'expression', '$.definition.expression');
        when 'not_null' then
            return format('%I is not null', p ->> 'column');
        when 'accepted_values' then
            if jsonb_typeof(p -> 'values') is distinct from 'array' or jsonb_array_length(p -> 'values') not between 1 and 1000
               or exists (select from jsonb_array_elements(case jsonb_typeof(p -> 'values') when 'array' then p -> 'values' else '[]' end) v where jsonb_typeof(v) not in ('string', 'number', 'boolean')) then
                perform ground.fail('EXPECTATION_INVALID', '$.definition.values', 'values are 1 to 1000 strings, numbers or booleans.');
            end if;
            return format('%I::text in (%s)', p ->> 'column', (select string_agg(quote_literal(v), ', ') from jsonb_array_elements_text(p -> 'values') v));
        when 'unique' then
            if jsonb_typeof(p -> 'columns') is distinct from 'array' or jsonb_array_length(p -> 'columns') not between 1 and 32
               or exists (select from jsonb_array_elements(case jsonb_typeof(p -> 'columns') when 'array' then p -> 'columns' else '[]' end) v where jsonb_typeof(v) <> 'string' or length(v #>> '{}') not between 1 and 63) then
                perform ground.fail('EXPECTATION_INVALID', '$.definition.columns', 'columns are the names of 1 to 32 columns.');
            end if;
        when 'row_count' then
            if not p ?| array['min', 'max'] or coalesce(p ->> 'min', '0') !~ '^[0-9]{1,15}$' or coalesce(p ->> 'max', '0') !~ '^[0-9]{1,15}$' then
                perform ground.fail('EXPECTATION_INVALID', '$.definition', 'A row_count has min, max or both: whole numbers.');
            end if;
    end case;
    return null;
end
$$;
revoke all on function catalog.expectation_condition(catalog.expectation_kind, jsonb) from public;

-- Whether a condition can be asked of a table that is there: its columns and types are known then. (`false and`: no row is looked at.)
create function catalog.try_expectation(p_tenant uuid, p_layer text, p_table text, p_condition text)
returns void language plpgsql set search_path = '' as $$
declare
    v_schema text := catalog.schema_of((select t.slug from tenancy.tenants t where t.id = p_tenant), p_layer);
    n bigint;
begin
    if p_condition is not null and to_regclass(format('%I.%I', v_schema, p_table)) is not null then
        execute format('select count(*) from %I.%I where false and (%s) is not true', v_schema, p_table, p_condition) into n;
    end if;
exception when data_exception or syntax_error_or_access_rule_violation or program_limit_exceeded then
    perform ground.fail('EXPECTATION_INVALID', '$.definition', left(sqlerrm, 300));
end
$$;
revoke all on function catalog.try_expectation(uuid, text, text, text) from public;

-- One verdict on one table: how many rows are not as expected. Null where it cannot be looked at (a column that is not there, a division by zero): `why` says so.
create function catalog.count_failed(p_staging text, p_condition text, out failed bigint, out why text)
language plpgsql set search_path = '' as $$
begin
    execute format('select count(*) filter (where (%s) is not true) from staging.%I', p_condition, p_staging) into failed;
exception when data_exception or syntax_error_or_access_rule_violation or program_limit_exceeded then
    why := left(sqlerrm, 300);
end
$$;
revoke all on function catalog.count_failed(text, text) from public;

-- Looks at what was loaded for a table, and takes out of it what is to be left out or set aside. Raises CREXP where nothing may be published,
-- with all verdicts as its detail. One scan for all conditions; one more where rows are to go.
create function catalog.judge(p_tenant uuid, p_run bigint, p_layer text, p_table text, p_staging text, p_mode text, p_rows bigint, p_key text[])
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_all catalog.expectations[] := array(select e from catalog.expectations e where e.table_name = p_table and e.layer = p_layer::catalog.layer and e.tenant_id = p_tenant order by e.name);
    v_rows text;
    v_loaded bigint;
    v_failed bigint[];
    v_taken bigint := 0;
    v_count bigint;
    v_verdicts jsonb := '[]';
    v_why text;
    v_stop text[] := '{}';
    e catalog.expectations;
    i integer := 0;
begin
    if v_all = '{}' then
        return null;
    end if;
    select string_agg(format('count(*) filter (where (%s) is not true)', x.condition), ', ' order by x.name) into v_rows from unnest(v_all) x where x.condition is not null;
    begin
        execute format('select count(*), array[%s]::bigint[] from staging.%I', coalesce(v_rows, ''), p_staging) into v_loaded, v_failed;
    exception when data_exception or syntax_error_or_access_rule_violation or program_limit_exceeded then
        execute format('select count(*) from staging.%I', p_staging) into v_loaded;  -- one of them cannot be looked at: each by itself then
        v_failed := null;
    end;
    if v_loaded <> p_rows then  -- as in publish: a crash has emptied it
        raise exception using errcode = 'CRSTG', message = format('%s.%s had %s rows when it was loaded and has %s now', p_layer, p_table, p_rows, v_loaded);
    end if;
    foreach e in array v_all loop
        continue when e.condition is null;
        i := i + 1;
        v_why := null;
        if v_failed is null then
            select c.failed, c.why into v_count, v_why from catalog.count_failed(p_staging, e.condition) c;
        else
            v_count := v_failed[i];
        end if;
        v_verdicts := v_verdicts || jsonb_build_object('name', e.name, 'kind', e.kind, 'action', e.action, 'definition', e.definition, 'loaded', v_loaded, 'failed', v_count,
            'success', coalesce(v_count = 0, false), 'message', v_why);
        if (e.action = 'fail' and v_count > 0) or (e.action <> 'warn' and v_why is not null) then
            v_stop := v_stop || format('%s (%s)', e.name, coalesce(v_why, v_count || ' of ' || v_loaded || ' rows'));
        end if;
    end loop;
    if v_stop = '{}' then
        select string_agg(format('case when (%s) is not true then %L end', x.condition, x.name), ', ' order by x.name),
               string_agg(format('(%s) is not true', x.condition), ' or ') into v_rows, v_why from unnest(v_all) x where x.action = 'quarantine';
        if v_why is not null then
            execute format($sql$
                with taken as (delete from staging.%1$I x where %2$s returning x.*)
                insert into catalog.quarantine (tenant_id, run_id, layer, table_name, expectations, content)
                select $1, $2, $3::catalog.layer, $4, array_remove(array[%3$s], null), to_jsonb(taken) from taken
            $sql$, p_staging, v_why, v_rows) using p_tenant, p_run, p_layer, p_table;
            get diagnostics v_taken = row_count;
        end if;
        select string_agg(format('(%s) is not true', x.condition), ' or ') into v_why from unnest(v_all) x where x.action = 'drop';
        if v_why is not null then
            execute format('delete from staging.%I where %s', p_staging, v_why);
            get diagnostics v_count = row_count;
            v_taken := v_taken + v_count;
        end if;
        -- of all rows: of those that will be there, so that "unique" of a batch is not taken for "unique" of the table
        foreach e in array v_all loop
            continue when e.condition is not null;
            v_why := null;
            begin
                v_count := catalog.count_surplus(p_tenant, e, p_staging, p_mode, p_key);
            exception when data_exception or syntax_error_or_access_rule_violation then
                v_count := null;
                v_why := left(sqlerrm, 300);
            end;
            v_verdicts := v_verdicts || jsonb_build_object('name', e.name, 'kind', e.kind, 'action', e.action, 'definition', e.definition, 'loaded', v_loaded, 'failed', v_count,
                'success', coalesce(v_count = 0, false), 'message', v_why);
            if e.action = 'fail' and v_count is distinct from 0 then
                v_stop := v_stop || format('%s (%s)', e.name, coalesce(v_why, v_count::text));
            end if;
        end loop;
    end if;
    v_verdicts := jsonb_build_object('layer', p_layer, 'table', p_table, 'kept', v_loaded - v_taken, 'verdicts', v_verdicts);
    if v_stop <> '{}' then
        raise exception using errcode = 'CREXP', message = format('%s.%s is not as expected: %s', p_layer, p_table, left(array_to_string(v_stop, '; '), 400)), detail = v_verdicts::text;
    end if;
    return v_verdicts;
end
$$;
revoke all on function catalog.judge(uuid, bigint, text, text, text, text, bigint, text[]) from public;

-- How far off all of the rows are: rows too many of one key, or too many or too few at all.
create function catalog.count_surplus(p_tenant uuid, e catalog.expectations, p_staging text, p_mode text, p_key text[])
returns bigint language plpgsql set search_path = '' as $$
declare
    v_schema text := catalog.schema_of((select t.slug from tenancy.tenants t where t.id = p_tenant), e.layer::text);
    v_columns text := (select string_agg(format('%I', c), ', ' order by o) from jsonb_array_elements_text(case e.kind when 'unique' then e.definition -> 'columns' else '[]' end) with ordinality x (c, o));
    n bigint;
begin
    if e.kind = 'row_count' then
        execute format('select count(*) from staging.%I', p_staging) into n;
        return greatest(0, (e.definition ->> 'min')::bigint - n, n - (e.definition ->> 'max')::bigint);
    end if;
    execute format('select coalesce(sum(y.n - 1), 0) from (select count(*) as n from (select %1$s from staging.%2$I%3$s) x where (%1$s) is not null group by %1$s having count(*) > 1) y',
        v_columns, p_staging,
        case when p_mode <> 'overwrite' and to_regclass(format('%I.%I', v_schema, e.table_name)) is not null then format(' union all select %s from %I.%I', v_columns, v_schema, e.table_name)
             || case p_mode when 'merge' then (select format(' where (%1$s) not in (select %1$s from staging.%2$I where (%1$s) is not null)', string_agg(format('%I', k), ', ' order by o), p_staging) from unnest(p_key) with ordinality z (k, o)) else '' end
             else '' end) into n;
    return n;
end
$$;
revoke all on function catalog.count_surplus(uuid, catalog.expectations, text, text, text[]) from public;

-- The same for every table of an outcome: each is looked at before any is published. -> {tables, expectations}; null where nothing is expected.
create function catalog.judge_all(p_tenant uuid, p_run bigint, p_prefix text, p_outputs jsonb, p_tables jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
    x jsonb;
    d jsonb;
    v jsonb;
    v_detail text;
    v_said text;
    v_faults text[] := '{}';
    v_tables jsonb := '[]';
    v_verdicts jsonb := '[]';
begin
    if not exists (select from jsonb_array_elements(p_outputs) o join catalog.expectations e on e.table_name = o ->> 'table' and e.layer::text = o ->> 'layer' and e.tenant_id = p_tenant) then
        return null;
    end if;
    for x in select * from jsonb_array_elements(p_tables) loop
        select o into d from jsonb_array_elements(p_outputs) o where o ->> 'name' = x ->> 'name' and o ? 'table';
        if found and starts_with(replace(x ->> 'staging', 'staging.', ''), p_prefix) then
            begin
                v := catalog.judge(p_tenant, p_run, d ->> 'layer', d ->> 'table', replace(x ->> 'staging', 'staging.', ''), coalesce(d ->> 'mode', 'overwrite'), (x ->> 'rows')::bigint,
                                   array(select jsonb_array_elements_text(d -> 'key')));
            exception when sqlstate 'CREXP' then
                get stacked diagnostics v_detail = pg_exception_detail, v_said = message_text;
                v := v_detail::jsonb;
                v_faults := v_faults || v_said;
            end;
            if v is not null then
                v_verdicts := v_verdicts || v;
                x := x || case when x ? 'rows' then jsonb_build_object('rows', v -> 'kept') else '{}' end;
            end if;
        end if;
        v_tables := v_tables || x;
    end loop;
    if v_faults <> '{}' then
        raise exception using errcode = 'CREXP', message = array_to_string(v_faults, '; '), detail = v_verdicts::text;
    end if;
    return jsonb_build_object('tables', v_tables, 'expectations', v_verdicts);
end
$$;
revoke all on function catalog.judge_all(uuid, bigint, text, jsonb, jsonb) from public;

-- Verdicts are history of their run, and are told in OpenLineage's words: an event of the look at the dataset.
create function catalog.keep_verdicts(p_tenant uuid, p_run bigint, p_tables jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    t jsonb;
begin
    insert into catalog.verdicts (tenant_id, run_id, layer, table_name, name, kind, action, success, loaded, failed, message)
    select p_tenant, p_run, (x ->> 'layer')::catalog.layer, x ->> 'table', v ->> 'name', (v ->> 'kind')::catalog.expectation_kind, (v ->> 'action')::catalog.expectation_action,
           (v ->> 'success')::boolean, (v ->> 'loaded')::bigint, (v ->> 'failed')::bigint, v ->> 'message'
    from jsonb_array_elements(p_tables) with ordinality y (x, n) cross join jsonb_array_elements(x -> 'verdicts') with ordinality z (v, m) order by n, m;
    for t in select x from jsonb_array_elements(p_tables) x loop
        perform lineage.record_all(p_tenant, array[jsonb_build_object(
            'eventTime', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventType', 'COMPLETE', 'producer', 'urn:control-room:catalog',
            'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent', 'run', jsonb_build_object('runId', gen_random_uuid()),
            'job', jsonb_build_object('namespace', tenancy.namespace_of(p_tenant), 'name', format('expectations/%s.%s', t ->> 'layer', t ->> 'table')), 'outputs', '[]'::jsonb,
            'inputs', jsonb_build_array(jsonb_build_object('namespace', tenancy.namespace_of(p_tenant), 'name', (t ->> 'layer') || '.' || (t ->> 'table'), 'inputFacets',
                jsonb_build_object('dataQualityAssertions', jsonb_build_object('_producer', 'urn:control-room:catalog',
                    '_schemaURL', 'https://openlineage.io/spec/facets/1-1-0/DataQualityAssertionsDatasetFacet.json#/$defs/DataQualityAssertionsDatasetFacet',
                    'assertions', (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                        'assertion', case v ->> 'kind' when 'expression' then 'custom_sql' else v ->> 'kind' end, 'name', v -> 'name', 'success', v -> 'success',
                        'severity', case v ->> 'action' when 'warn' then 'warn' else 'error' end,
                        'column', coalesce(v #> '{definition,column}', case when jsonb_array_length(v #> '{definition,columns}') = 1 then v #> '{definition,columns,0}' end),
                        'expected', case when v ->> 'kind' = 'row_count' then concat_ws(' to ', coalesce(v #>> '{definition,min}', '0'), v #>> '{definition,max}') else '0' end,
                        'actual', coalesce(v ->> 'failed', v ->> 'message'), 'content', v #>> '{definition,expression}', 'contentType', case when v ->> 'kind' = 'expression' then 'expression' end,
                        'params', jsonb_build_object('action', v -> 'action', 'loaded', v -> 'loaded'))))
                        from jsonb_array_elements(t -> 'verdicts') v))))))], p_run, 'event');
    end loop;
end
$$;
revoke all on function catalog.keep_verdicts(uuid, bigint, jsonb) from public;

-- What belongs to runs whose history has expired.
create function catalog.forget(p_tenant uuid, p_runs bigint[])
returns void language plpgsql set search_path = '' as $$
begin
    delete from catalog.verdicts v where v.run_id = any (p_runs) and v.tenant_id = p_tenant;
    delete from catalog.quarantine q where q.run_id = any (p_runs) and q.tenant_id = p_tenant;
end
$$;
revoke all on function catalog.forget(uuid, bigint[]) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
