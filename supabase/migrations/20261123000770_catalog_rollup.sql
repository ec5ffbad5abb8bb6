-- catalog, further part: rollups. A table of gold that is the sums of another, kept with each publication of that: by what was added, or by the groups
-- that were touched. Law: it is what the whole query would give.

grant app_owner, app_system to postgres;
set role app_owner;

create table catalog.rollups (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    name text not null check (name ~ '^[a-z_][a-z0-9_]{0,62}$'),  -- of the table of gold
    source_layer catalog.layer not null,
    source_table text not null,
    keys text[] not null check (cardinality(keys) between 1 and 8),
    measures jsonb not null,  -- [{name, fn, column?}]
    condition text,  -- safe to execute: see catalog.condition
    said text,  -- as it was written
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
create unique index rollups_have_one_name on catalog.rollups (name, tenant_id);
create index rollups_of_source on catalog.rollups (source_table, source_layer, tenant_id);

alter table catalog.rollups enable row level security;
alter table catalog.rollups force row level security;
create policy "operators see rollups" on catalog.rollups for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');
create policy "doors see the caller's rollups" on catalog.rollups for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps rollups" on catalog.rollups for all to app_system using (true) with check (true);
grant select on catalog.rollups to authenticated;
grant select, insert, delete on catalog.rollups to app_system;

set role postgres;
grant create on schema catalog to app_system;
set role app_system;

-- The whole query over a relation that has the source's columns. Sums are numeric: floating ones would depend on the order of their parts.
create function catalog.rollup_query(r catalog.rollups, p_from text, p_groups boolean default false)
returns text language sql stable set search_path = '' as $$
    select format('select %s, %s from %s x where %s%s group by %s',
        k.list, (select string_agg(format('%s as %I', case m ->> 'fn' when 'count' then case when m ? 'column' then format('count(%I)', m ->> 'column') else 'count(*)' end when 'sum' then format('sum(%I::numeric)', m ->> 'column')
                                                  else format('%s(%I)', m ->> 'fn', m ->> 'column') end, m ->> 'name'), ', ' order by o)
                 from jsonb_array_elements(r.measures) with ordinality y (m, o)),
        p_from, coalesce('(' || r.condition || ') is true', 'true'), case when p_groups then format(' and jsonb_build_array(%s) = any ($1)', k.list) else '' end, k.list)
    from (select string_agg(format('%I', n), ', ' order by o) from unnest(r.keys) with ordinality z (n, o)) k (list)
$$;
revoke all on function catalog.rollup_query(catalog.rollups, text, boolean) from public;

-- The groups that a merge will touch, for each rollup of the table: those of rows that will go, and of rows that come. Null: there is no rollup.
create function catalog.touched(p_tenant uuid, p_schema text, p_layer text, p_table text, p_staging text, p_key text[])
returns jsonb language plpgsql set search_path = '' as $$
declare
    r catalog.rollups;
    v_answer jsonb;
    v_groups jsonb;
    v_keys text;
begin
    for r in select x.* from catalog.rollups x where x.source_table = p_table and x.source_layer = p_layer::catalog.layer and x.tenant_id = p_tenant loop
        select string_agg(format('%I', n), ', ' order by o) into v_keys from unnest(r.keys) with ordinality z (n, o);
        execute format('select coalesce(jsonb_agg(g), ''[]'') from (select jsonb_build_array(%1$s) as g from %2$I.%3$I where (%4$s) in (select %4$s from staging.%5$I) union select jsonb_build_array(%1$s) from staging.%5$I) y',
            v_keys, p_schema, p_table, (select string_agg(format('%I', k), ', ' order by o) from unnest(p_key) with ordinality z (k, o)), p_staging) into v_groups;
        v_answer := coalesce(v_answer, '{}') || jsonb_build_object(r.name, v_groups);
    end loop;
    return v_answer;
end
$$;
revoke all on function catalog.touched(uuid, text, text, text, text, text[]) from public;

-- One rollup after a publication. Rows that were added alone are added to its sums; of groups that were touched, or of all, the query is asked anew and what
-- differs is written. -> how many rows changed
create function catalog.roll_up(r catalog.rollups, p_slug text, p_staging text, p_groups jsonb)
returns bigint language plpgsql set search_path = '' as $$
declare
    v_source text := format('%I.%I', catalog.schema_of(p_slug, r.source_layer::text), r.source_table);
    v_gold text := format('%I.%I', catalog.schema_of(p_slug, 'gold'), r.name);
    v_keys text := (select string_agg(format('%I', n), ', ' order by o) from unnest(r.keys) with ordinality z (n, o));
    v_names text := (select string_agg(format('%I', m ->> 'name'), ', ' order by o) from jsonb_array_elements(r.measures) with ordinality y (m, o));
    v_set text := (select string_agg(format('%1$I = excluded.%1$I', m ->> 'name'), ', ') from jsonb_array_elements(r.measures) m);
    v_add text;
    v_groups jsonb[] := array(select g from jsonb_array_elements(p_groups) g);
    v_changed bigint;
    v_gone bigint := 0;
begin
    if p_staging is not null then
        select string_agg(format(case m ->> 'fn' when 'count' then '%1$I = g.%1$I + excluded.%1$I'
                                 when 'sum' then '%1$I = case when g.%1$I is null then excluded.%1$I when excluded.%1$I is null then g.%1$I else g.%1$I + excluded.%1$I end'
                                 when 'min' then '%1$I = least(g.%1$I, excluded.%1$I)' else '%1$I = greatest(g.%1$I, excluded.%1$I)' end, m ->> 'name'), ', ')
        into v_add from jsonb_array_elements(r.measures) m;
        execute format('insert into %1$s as g (%2$s, %3$s) %4$s on conflict (%2$s) do update set %5$s', v_gold, v_keys, v_names, catalog.rollup_query(r, format('staging.%I', p_staging)), v_add);
        get diagnostics v_changed = row_count;
        return v_changed;
    end if;
    -- (no row is in both: one that goes is none that the query gives)
    execute format('delete from %1$s g where %2$s and not exists (select from (%3$s) f where (%4$s))', v_gold,
        case when p_groups is null then 'true' else format('jsonb_build_array(%s) = any ($1)', v_keys) end, catalog.rollup_query(r, v_source, p_groups is not null),
        (select string_agg(format('f.%1$I is not distinct from g.%1$I', n), ' and ') from unnest(r.keys) n)) using v_groups;
    get diagnostics v_gone = row_count;
    execute format('insert into %1$s as g (%2$s, %3$s) %4$s on conflict (%2$s) do update set %5$s where (%6$s) is distinct from (%7$s)', v_gold, v_keys, v_names,
        catalog.rollup_query(r, v_source, p_groups is not null), v_set,
        (select string_agg(format('g.%I', m ->> 'name'), ', ') from jsonb_array_elements(r.measures) m), (select string_agg(format('excluded.%I', m ->> 'name'), ', ') from jsonb_array_elements(r.measures) m)) using v_groups;
    get diagnostics v_changed = row_count;
    return v_changed + v_gone;
end
$$;
revoke all on function catalog.roll_up(catalog.rollups, text, text, jsonb) from public;

-- The table of a rollup, made anew of the source as it is; or the database's word why it cannot be.
create function catalog.build_rollup(r catalog.rollups, p_slug text)
returns void language plpgsql set search_path = '' as $$
declare
    v_gold text := catalog.schema_of(p_slug, 'gold');
    v_columns jsonb;
begin
    execute format('create unlogged table staging.%I as %s with no data', 'u' || r.id, catalog.rollup_query(r, format('%I.%I', catalog.schema_of(p_slug, r.source_layer::text), r.source_table)));
    v_columns := catalog.columns_of(format('staging.%I', 'u' || r.id)::regclass);
    execute format('drop table staging.%I', 'u' || r.id);
    execute format('drop table if exists %I.%I', v_gold, r.name);
    perform catalog.make_table(r.tenant_id, v_gold, 'gold', r.name, v_columns);
    execute format('create unique index on %I.%I (%s) nulls not distinct', v_gold, r.name, (select string_agg(format('%I', n), ', ' order by o) from unnest(r.keys) with ordinality z (n, o)));
    perform catalog.roll_up(r, p_slug, null, null);
end
$$;
revoke all on function catalog.build_rollup(catalog.rollups, text) from public;

-- What a rollup gives is written down as every publication is: in the catalog, in the lineage, and for those who wait for the table.
create function catalog.note_rollup(r catalog.rollups, p_slug text, p_run bigint, p_changed bigint)
returns void language plpgsql set search_path = '' as $$
declare
    v_space text := tenancy.namespace_of(r.tenant_id);
    v_source text := r.source_layer || '.' || r.source_table;
    v_gold text := catalog.schema_of(p_slug, 'gold');
    v_rows bigint;
begin
    execute format('select count(*) from %I.%I', v_gold, r.name) into v_rows;
    insert into catalog.assets as a (tenant_id, layer, schema_name, name, columns, row_count, published_by_run, published_at, loaded_at, mark)
    values (r.tenant_id, 'gold', v_gold, r.name, catalog.columns_of(format('%I.%I', v_gold, r.name)::regclass), v_rows, p_run, clock_timestamp(), case when v_rows > 0 then clock_timestamp() end, 1)
    on conflict (tenant_id, layer, name) do update
    set columns = excluded.columns, row_count = excluded.row_count, published_by_run = excluded.published_by_run, published_at = excluded.published_at,
        loaded_at = coalesce(excluded.loaded_at, a.loaded_at), mark = a.mark + (p_changed > 0)::integer;
    perform lineage.record_all(r.tenant_id, array[jsonb_build_object(
        'eventTime', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventType', 'COMPLETE', 'producer', 'urn:control-room:catalog',
        'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent', 'run', jsonb_build_object('runId', gen_random_uuid()),
        'job', jsonb_build_object('namespace', v_space, 'name', 'rollups/gold.' || r.name), 'inputs', jsonb_build_array(jsonb_build_object('namespace', v_space, 'name', v_source)),
        'outputs', jsonb_build_array(jsonb_build_object('namespace', v_space, 'name', 'gold.' || r.name, 'facets', jsonb_build_object('columnLineage', jsonb_build_object(
            '_producer', 'urn:control-room:catalog', '_schemaURL', 'https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet',
            'fields', (select jsonb_object_agg(c.name, jsonb_build_object('inputFields', jsonb_build_array(jsonb_build_object('namespace', v_space, 'name', v_source, 'field', c.source,
                           'transformations', jsonb_build_array(jsonb_build_object('type', 'DIRECT', 'subtype', c.subtype))))))
                       from (select k, k, 'IDENTITY' from unnest(r.keys) k union all select m ->> 'name', m ->> 'column', 'AGGREGATION' from jsonb_array_elements(r.measures) m where m ? 'column') c (name, source, subtype)))))))],
        p_run, 'sql');
    if p_changed > 0 then
        perform schedule.mark(r.tenant_id, v_space, 'gold.' || r.name, p_run);
    end if;
end
$$;
revoke all on function catalog.note_rollup(catalog.rollups, text, bigint, bigint) from public;

-- All rollups of a table after its publication, under the lock of that table: p_groups as touched() gave it, p_staging where rows were only added.
create function catalog.roll(p_tenant uuid, p_slug text, p_layer text, p_table text, p_staging text, p_groups jsonb, p_is_new boolean, p_run bigint)
returns void language plpgsql set search_path = '' as $$
declare
    r catalog.rollups;
    v_changed bigint := 1;
begin
    for r in select x.* from catalog.rollups x where x.source_table = p_table and x.source_layer = p_layer::catalog.layer and x.tenant_id = p_tenant order by x.name loop
        begin
            if p_is_new then
                perform catalog.build_rollup(r, p_slug);
            else
                v_changed := catalog.roll_up(r, p_slug, p_staging, p_groups -> r.name);
            end if;
        exception when syntax_error_or_access_rule_violation or data_exception or dependent_objects_still_exist then
            raise exception using errcode = '55000', message = format('gold.%s, which is rolled up from %s.%s, cannot be made of it: %s', r.name, p_layer, p_table, sqlerrm);
        end;
        perform catalog.note_rollup(r, p_slug, p_run, v_changed);
        if p_is_new then
            perform catalog.sync_layers(p_tenant, p_slug, 'gold', r.name);
        end if;
    end loop;
end
$$;
revoke all on function catalog.roll(uuid, text, text, text, text, jsonb, boolean, bigint) from public;

-- {table, source, by, measures, where?}, checked: then the table is made, in place of what a rollup of that name was.
create function catalog.define_rollup(p_tenant uuid, p_user text, p jsonb)
returns catalog.rollups language plpgsql set search_path = '' as $$
declare
    v_slug text := (select t.slug from tenancy.tenants t where t.id = p_tenant);
    v_layer text := split_part(p ->> 'source', '.', 1);
    v_table text := split_part(p ->> 'source', '.', 2);
    v_known jsonb;
    v_fault text;
    r catalog.rollups;
begin
    perform ground.refuse_unknown(p, array['table', 'source', 'by', 'measures', 'where']);
    if coalesce(jsonb_typeof(p -> 'table'), '') <> 'string' or p ->> 'table' !~ '^[a-z_][a-z0-9_]{0,62}$' then
        perform ground.fail('FIELD_INVALID', '$.table', 'table is a plain lower-case name; it will be one of gold.');
    elsif coalesce(jsonb_typeof(p -> 'source'), '') <> 'string' or p ->> 'source' !~ '^(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}$' then
        perform ground.fail('FIELD_INVALID', '$.source', 'source is <layer>.<table>, e.g. silver.orders.');
    elsif coalesce(jsonb_typeof(p -> 'by'), '') <> 'array' or jsonb_array_length(p -> 'by') not between 1 and 8 then
        perform ground.fail('FIELD_INVALID', '$.by', 'by is an array of 1 to 8 columns.');
    elsif coalesce(jsonb_typeof(p -> 'measures'), '') <> 'array' or jsonb_array_length(p -> 'measures') not between 1 and 32 then
        perform ground.fail('FIELD_INVALID', '$.measures', 'measures is an array of 1 to 32 {name, fn, column?}.');
    elsif coalesce(jsonb_typeof(p -> 'where'), 'null') not in ('null', 'string') then
        perform ground.fail('FIELD_INVALID', '$.where', 'where is a condition in SQL.');
    end if;
    select a.columns into v_known from catalog.assets a where a.tenant_id = p_tenant and a.layer::text = v_layer and a.name = v_table;
    if not found then
        perform ground.fail('OBJECT_NOT_FOUND', p ->> 'source');
    elsif exists (select from catalog.rollups x where x.tenant_id = p_tenant and v_layer = 'gold' and x.name = v_table) then
        perform ground.fail('ROLLUP_INVALID', '$.source', 'A rollup is made of a table that a job makes, not of another rollup.');
    elsif exists (select from catalog.assets a where a.tenant_id = p_tenant and a.layer = 'gold' and a.name = p ->> 'table')
          and not exists (select from catalog.rollups x where x.tenant_id = p_tenant and x.name = p ->> 'table') then
        perform ground.fail('TABLE_NAME_TAKEN', '$.table');
    end if;
    select format('$.by[%s]', o - 1) into v_fault from jsonb_array_elements(p -> 'by') with ordinality y (k, o)
    where jsonb_typeof(k) <> 'string' or not v_known @> jsonb_build_array(jsonb_build_object('name', k)) or (select count(*) from jsonb_array_elements(p -> 'by') z where z = k) > 1 order by o limit 1;
    if not found then
        select format('$.measures[%s]', o - 1) into v_fault from jsonb_array_elements(p -> 'measures') with ordinality y (m, o)
        where jsonb_typeof(m) <> 'object' or not coalesce(m ->> 'name' ~ '^[a-z_][a-z0-9_]{0,62}$' and m ->> 'fn' in ('count', 'sum', 'min', 'max'), false)
           or m ->> 'name' in ('tenant_id', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax', 'ctid') or p -> 'by' ? (m ->> 'name')
           or (m - array['name', 'fn', 'column']) <> '{}' or (m ->> 'fn' <> 'count' and not m ? 'column') or (m ? 'column' and not v_known @> jsonb_build_array(jsonb_build_object('name', m -> 'column')))
           or (select count(*) from jsonb_array_elements(p -> 'measures') z where z -> 'name' = m -> 'name') > 1 order by o limit 1;
    end if;
    if v_fault is not null then
        perform ground.fail('ROLLUP_INVALID', v_fault, 'by names columns of the source, each once; a measure is {name, fn: count | sum | min | max, column}, its name a new one.');
    end if;
    -- as a publication locks: the catalog, the source; the table of gold is the source's to change
    perform pg_advisory_xact_lock_shared(hashtextextended('catalog ' || p_tenant || ' main', 0));
    perform pg_advisory_xact_lock(hashtextextended(catalog.schema_of(v_slug, v_layer) || '.' || v_table, 0));
    delete from catalog.rollups x where x.tenant_id = p_tenant and x.name = p ->> 'table';
    insert into catalog.rollups as x (tenant_id, name, source_layer, source_table, keys, measures, condition, said, created_by)
    values (p_tenant, p ->> 'table', v_layer::catalog.layer, v_table, array(select jsonb_array_elements_text(p -> 'by')), p -> 'measures',
            case when p ->> 'where' is not null then catalog.condition(p ->> 'where', '$.where') end, p ->> 'where', p_user)
    returning x.* into r;
    begin
        perform catalog.build_rollup(r, v_slug);
    exception when syntax_error_or_access_rule_violation or data_exception then
        perform ground.fail('ROLLUP_INVALID', '$', left(sqlerrm, 300));
    end;
    perform catalog.note_rollup(r, v_slug, null, 1);
    perform catalog.sync_layers(p_tenant, v_slug, 'gold', r.name);
    return r;
end
$$;
revoke all on function catalog.define_rollup(uuid, text, jsonb) from public;

create function catalog.drop_rollup(p_tenant uuid, p_name text)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_slug text := (select t.slug from tenancy.tenants t where t.id = p_tenant);
begin
    delete from catalog.rollups x where x.tenant_id = p_tenant and x.name = p_name;
    if not found then
        return false;
    end if;
    execute format('drop table if exists %I.%I', catalog.schema_of(v_slug, 'gold'), p_name);
    delete from catalog.assets a where a.tenant_id = p_tenant and a.layer = 'gold' and a.name = p_name;
    perform catalog.sync_layers(p_tenant, v_slug, 'gold', p_name);
    return true;
end
$$;
revoke all on function catalog.drop_rollup(uuid, text) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
