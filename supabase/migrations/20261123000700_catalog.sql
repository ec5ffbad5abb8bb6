-- catalog: the tenants' layers (bronze, silver, gold) and the tables in them; how an output is published.
-- Layers belong to app_system, who alone writes; every table carries tenant_id and row security, so exposing one is safe.

grant app_owner, app_system to postgres;
create schema catalog authorization app_owner;
create schema staging authorization app_system;
set role app_owner;
grant usage on schema catalog to authenticated, service_role, app_system;

create type catalog.layer as enum ('bronze', 'silver', 'gold');

create table catalog.assets (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    layer catalog.layer not null,
    schema_name text not null,
    name text not null,
    columns jsonb not null default '[]',
    row_count bigint,
    classification text not null default 'internal' check (classification in ('internal', 'confidential')),  -- who reads the rows: see catalog.classify
    published_by_run bigint,
    published_at timestamptz,
    loaded_at timestamptz,  -- the last publication that brought rows
    mark bigint not null default 0,  -- moves with what is in it
    made_from jsonb,  -- the marks of what its maker had read: see catalog.is_current
    made_by_job bigint,
    made_by_version integer,
    read_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, layer, name)
);
alter table catalog.assets enable row level security;
alter table catalog.assets force row level security;
create policy "members see their assets" on catalog.assets for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors see the caller's assets" on catalog.assets for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps assets" on catalog.assets for all to app_system using (true) with check (true);
grant select on catalog.assets to authenticated;
grant select, insert, update, delete on catalog.assets to app_system;

set role postgres;
grant create on schema catalog to app_system;
set role app_system;
grant usage on schema staging to loader;

create function catalog.schema_of(p_slug text, p_layer text)
returns text language sql immutable set search_path = '' as $$
    select p_layer || '_' || p_slug
$$;
revoke all on function catalog.schema_of(text, text) from public;
grant execute on function catalog.schema_of(text, text) to authenticated;

-- The three schemas of a tenant. Viewers may reach gold; the row policies of the others ask for operator.
create function catalog.open_layers(p_slug text)
returns void language plpgsql set search_path = '' as $$
declare
    v_layer text;
begin
    foreach v_layer in array array['bronze', 'silver', 'gold'] loop
        execute format('create schema if not exists %I', catalog.schema_of(p_slug, v_layer));
        execute format('grant usage on schema %I to authenticated', catalog.schema_of(p_slug, v_layer));
    end loop;
end
$$;
revoke all on function catalog.open_layers(text) from public;

create function catalog.columns_of(p_table regclass)
returns jsonb language sql stable set search_path = '' as $$
    select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) order by a.attnum), '[]')
    from pg_catalog.pg_attribute a
    where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and a.attname <> 'tenant_id'
$$;
revoke all on function catalog.columns_of(regclass) from public;

create function catalog.column_type(p text)
returns text language plpgsql immutable set search_path = '' as $$
begin
    if lower(p) ~ '^(boolean|bigint|integer|smallint|double precision|real|numeric|numeric\([0-9]{1,3}, ?[0-9]{1,3}\)|text|date|timestamp|timestamptz|time|uuid|jsonb|bytea)$' then
        return lower(p);
    end if;
    return null;
end
$$;
revoke all on function catalog.column_type(text) from public;

-- An empty table for COPY, keyed by (attempt, lease): what a lost lease loaded is never published.
create function catalog.open_staging(p_name text, p_columns jsonb)
returns text language plpgsql set search_path = '' as $$
declare
    c jsonb;
    i integer := 0;
    v_list text[] := '{}';
    v_names text[] := '{}';
begin
    if jsonb_typeof(p_columns) is distinct from 'array' or jsonb_array_length(p_columns) not between 1 and 1500 then
        perform ground.fail('OUTPUT_INVALID', '$.columns', '1 to 1500 columns are needed.');
    end if;
    for c in select * from jsonb_array_elements(p_columns) loop
        if coalesce(c ->> 'name', '') !~ '^[^[:cntrl:]]{1,63}$' or octet_length(c ->> 'name') > 63
           or c ->> 'name' = any (v_names || array['tenant_id', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax', 'ctid'])
           or catalog.column_type(c ->> 'type') is null then
            perform ground.fail('OUTPUT_INVALID', format('$.columns[%s]: %s %s', i, left(c ->> 'name', 80), left(c ->> 'type', 80)));
        end if;
        v_names := v_names || (c ->> 'name');
        v_list := v_list || format('%I %s', c ->> 'name', catalog.column_type(c ->> 'type'));
        i := i + 1;
    end loop;
    execute format('drop table if exists staging.%I', p_name);
    execute format('create unlogged table staging.%I (%s)', p_name, array_to_string(v_list, ', '));
    -- no row security: COPY FROM refuses it. Nobody but loader may use the schema, and the table is gone at settlement
    execute format('grant select, insert on staging.%I to loader', p_name);
    return 'staging.' || quote_ident(p_name);
end
$$;
revoke all on function catalog.open_staging(text, jsonb) from public;

-- A stale runner may still be loading (or have been stopped in the middle of it): what is locked is left for a later tick.
create function catalog.drop_staging(p_pattern text)
returns integer language plpgsql set search_path = '' as $$
declare
    v record;
    n integer := 0;
begin
    for v in select c.relname from pg_catalog.pg_class c
             where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' and c.relname ~ p_pattern loop
        begin
            execute format('lock table staging.%I in access exclusive mode nowait', v.relname);
            execute format('drop table staging.%I', v.relname);
            n := n + 1;
        exception when lock_not_available or undefined_table then
            null;
        end;
    end loop;
    return n;
end
$$;
revoke all on function catalog.drop_staging(text) from public;

-- Who reads the rows of a layer's table, as a policy says it.
create function catalog.readers(p_layer text, p_classification text)
returns text language sql immutable set search_path = '' as $$
    select 'tenant_id = (select tenancy.tenant_id())' || case when p_layer = 'gold' and p_classification = 'internal' then '' else ' and (select tenancy.role()) >= ''operator''' end
$$;
revoke all on function catalog.readers(text, text) from public;

-- A table of a layer, as closed as its class says.
create function catalog.make_table(p_tenant uuid, p_schema text, p_layer text, p_table text, p_columns jsonb)
returns void language plpgsql set search_path = '' as $$
begin
    execute format('create table %I.%I (%s, tenant_id uuid not null default %L check (tenant_id = %L))', p_schema, p_table,
        (select string_agg(format('%I %s', c ->> 'name', c ->> 'type'), ', ' order by ord) from jsonb_array_elements(p_columns) with ordinality x(c, ord)),
        p_tenant, p_tenant);
    execute format('alter table %I.%I enable row level security', p_schema, p_table);
    execute format('alter table %I.%I force row level security', p_schema, p_table);
    execute format('create policy "the worker publishes" on %I.%I for all to app_system using (true) with check (true)', p_schema, p_table);
    execute format('create policy %I on %I.%I for select to authenticated using (%s)',
        case p_layer when 'gold' then 'members read gold' else 'operators read ' || p_layer end, p_schema, p_table, catalog.readers(p_layer, coalesce(
            (select a.classification from catalog.assets a where a.tenant_id = p_tenant and a.layer = p_layer::catalog.layer and a.name = p_table), 'internal')));
    execute format('grant select on %I.%I to authenticated', p_schema, p_table);
end
$$;
revoke all on function catalog.make_table(uuid, text, text, text, jsonb) from public;

-- Takes rows out that a merge brings anew. Each row has a key, and each key one row.
create function catalog.merge_out(p_to text, p_staging text, p_key text[])
returns bigint language plpgsql set search_path = '' as $$
declare
    v_key text := (select string_agg(format('%I', k), ', ' order by o) from unnest(p_key) with ordinality x (k, o));
    v_rows bigint;
begin
    execute format('select count(*) from staging.%I where not ((%s) is not null)', p_staging, v_key) into v_rows;
    if v_rows > 0 then
        raise exception using errcode = '23502', message = format('merge: %s rows have no %s', v_rows, v_key);
    end if;
    execute format('select count(*) - count(distinct (%s)) from staging.%I', v_key, p_staging) into v_rows;
    if v_rows > 0 then
        raise exception using errcode = '23505', message = format('merge: %s rows have the %s of another', v_rows, v_key);
    end if;
    execute format('delete from %s where (%s) in (select %2$s from staging.%3$I)', p_to, v_key, p_staging);
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;
revoke all on function catalog.merge_out(text, text, text[]) from public;

-- Staging -> layer table, inside the settling transaction. Overwrite may change the columns; append and merge may not.
create function catalog.publish(p_tenant uuid, p_slug text, p_staging text, p_layer text, p_table text, p_mode text, p_run bigint, p_key text[] default null)
returns bigint language plpgsql set search_path = '' as $$
declare
    v_schema text := catalog.schema_of(p_slug, p_layer);
    v_from regclass := ('staging.' || quote_ident(p_staging))::regclass;
    v_to regclass := to_regclass(format('%I.%I', v_schema, p_table));
    v_columns jsonb := catalog.columns_of(v_from);
    v_names text := (select string_agg(quote_ident(c ->> 'name'), ', ' order by ord) from jsonb_array_elements(v_columns) with ordinality x(c, ord));
    v_rows bigint;
    v_gone bigint := 0;
    v_groups jsonb;
    v_is_new boolean := false;
begin
    if p_layer = 'gold' and exists (select from catalog.rollups r where r.tenant_id = p_tenant and r.name = p_table) then
        raise exception using errcode = '55000', message = format('gold.%s is a rollup, which is made of its source alone', p_table);
    end if;
    perform pg_advisory_xact_lock_shared(hashtextextended('catalog ' || p_tenant || ' main', 0));  -- before the table's: who holds it alone waits for no table
    perform pg_advisory_xact_lock(hashtextextended(v_schema || '.' || p_table, 0));
    if v_to is not null and catalog.columns_of(v_to) <> v_columns then
        if p_mode <> 'overwrite' then
            raise exception using errcode = '42804', message = format('%s.%s has other columns than the output; %s needs the same', p_layer, p_table, p_mode);
        end if;
        execute format('drop table %s', v_to);  -- refused by Postgres while views depend on it, and said so
        v_to := null;
    end if;
    if v_to is null then
        v_is_new := true;
        perform catalog.make_table(p_tenant, v_schema, p_layer, p_table, v_columns);
    elsif p_mode = 'overwrite' then
        execute format('delete from %I.%I where true', v_schema, p_table);
    end if;
    if p_mode = 'merge' then
        v_groups := catalog.touched(p_tenant, v_schema, p_layer, p_table, p_staging, p_key);
        v_gone := catalog.merge_out(format('%I.%I', v_schema, p_table), p_staging, p_key);
    end if;
    execute format('insert into %I.%I (%s) select %s from %s', v_schema, p_table, v_names, v_names, v_from);
    get diagnostics v_rows = row_count;
    perform catalog.roll(p_tenant, p_slug, p_layer, p_table, case p_mode when 'append' then p_staging end, v_groups, v_is_new, p_run);
    execute format('drop table %s', v_from);
    insert into catalog.assets as a (tenant_id, layer, schema_name, name, columns, row_count, published_by_run, published_at, loaded_at, mark)
    values (p_tenant, p_layer::catalog.layer, v_schema, p_table, v_columns, v_rows, p_run, clock_timestamp(), case when v_rows > 0 then clock_timestamp() end, 1)
    on conflict (tenant_id, layer, name) do update
    set columns = excluded.columns, published_by_run = excluded.published_by_run, published_at = excluded.published_at,
        loaded_at = coalesce(excluded.loaded_at, a.loaded_at),
        mark = a.mark + (v_rows > 0 or p_mode = 'overwrite')::integer,
        row_count = case p_mode when 'overwrite' then v_rows else coalesce(a.row_count, 0) + v_rows - v_gone end;
    if v_is_new then
        perform catalog.sync_layers(p_tenant, p_slug, p_layer, p_table);
    end if;
    return v_rows;
end
$$;
revoke all on function catalog.publish(uuid, text, text, text, text, text, bigint, text[]) from public;

-- A copy of a layer table for a job's input: what the attempt reads is one snapshot, without tenant_id.
create function catalog.stage_input(p_slug text, p_layer text, p_table text, p_name text)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_from regclass := to_regclass(format('%I.%I', catalog.schema_of(p_slug, p_layer), p_table));
    v_columns jsonb;
    v_rows bigint;
    v_mark bigint;
begin
    if v_from is null then
        perform ground.fail('INPUT_NOT_FOUND', p_layer || '.' || p_table);
    end if;
    v_columns := catalog.columns_of(v_from);
    -- read before the rows are: what was published between is read again, never passed over
    v_mark := (select a.mark from catalog.assets a where a.schema_name = catalog.schema_of(p_slug, p_layer) and a.name = p_table);
    execute format('drop table if exists staging.%I', p_name);
    execute format('create unlogged table staging.%I as select %s from %s', p_name,
        (select string_agg(quote_ident(c ->> 'name'), ', ' order by ord) from jsonb_array_elements(v_columns) with ordinality x(c, ord)), v_from);
    get diagnostics v_rows = row_count;
    execute format('grant select on staging.%I to loader', p_name);
    execute format('comment on table staging.%I is %L', p_name, jsonb_build_object('table', p_layer || '.' || p_table, 'mark', v_mark));
    return jsonb_build_object('table', 'staging.' || quote_ident(p_name), 'columns', v_columns, 'rows', v_rows);
end
$$;
revoke all on function catalog.stage_input(text, text, text, text) from public;

-- How far a layer table has got by a column of times, in UTC; null where there is no table yet, or nothing in it. What was read is published
-- with its watermark or not at all, since they are the same rows.
create function catalog.high_water(p_slug text, p_layer text, p_table text, p_column text)
returns text language plpgsql stable set search_path = '' as $$
declare
    v_from regclass := to_regclass(format('%I.%I', catalog.schema_of(p_slug, p_layer), p_table));
    v_type text;
    v_high text;
begin
    if v_from is null then
        return null;
    end if;
    select format_type(a.atttypid, null) into v_type
    from pg_catalog.pg_attribute a where a.attrelid = v_from and a.attname = p_column and a.attnum > 0 and not a.attisdropped;
    if v_type is null or v_type !~ '^timestamp with(out)? time zone$' then
        perform ground.fail('WATERMARK_UNFIT', format('%s.%s.%s', p_layer, p_table, left(p_column, 63)));
    end if;
    if v_type = 'timestamp with time zone' then
        execute format('select (max(%I) at time zone ''UTC'')::text from %s', p_column, v_from) into v_high;
    else
        execute format('select max(%I)::text from %s', p_column, v_from) into v_high;
    end if;
    return v_high;
end
$$;
revoke all on function catalog.high_water(text, text, text, text) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
