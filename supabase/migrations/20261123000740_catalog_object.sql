-- catalog, further part: its objects. A catalog holds schemas, a schema tables and volumes, a table columns: what is where, and what
-- people have said of it. Names come from where the things are (the layers, databases elsewhere, Odoo, files); words stay.

grant app_owner, app_system to postgres;
set role app_owner;

create type catalog.object_kind as enum ('catalog', 'schema', 'table', 'volume', 'column');  -- from the outside in

create table catalog.objects (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    kind catalog.object_kind not null,
    parent_id bigint,
    path text[] not null check (cardinality(path) between 1 and 4),  -- the names from the catalog down
    key uuid not null,  -- of kind and path: names may outgrow an index row
    type text,  -- of a table MANAGED, EXTERNAL, FOREIGN, VIEW, MATERIALIZED_VIEW; of a column the database's; of a catalog where it is from
    position integer,
    nullable boolean,
    layer catalog.layer,
    row_estimate bigint,
    location text,
    source_comment text,
    dataset_id bigint,  -- the same thing in the lineage
    loaded_at timestamptz,  -- where a source says when its data came
    -- what people say; a source never changes it
    owner text check (length(owner) between 1 and 128),
    comment text check (length(comment) <= 4000),
    tags jsonb not null default '{}' check (jsonb_typeof(tags) = 'object'),
    classification text check (classification in ('internal', 'confidential')),
    is_confidential boolean not null default false,  -- by its own word, by one above it, or (a table) by that of a column
    described_by text,
    described_at timestamptz,
    seen_at timestamptz not null default clock_timestamp(),
    gone_at timestamptz,
    search tsvector not null default '',
    primary key (tenant_id, id),
    foreign key (tenant_id, parent_id) references catalog.objects (tenant_id, id),
    foreign key (tenant_id, dataset_id) references lineage.datasets (tenant_id, id),
    constraint a_catalog_alone_has_no_parent check ((kind = 'catalog') = (parent_id is null)),
    constraint the_path_is_as_long_as_its_kind_says check (cardinality(path) = case kind when 'catalog' then 1 when 'schema' then 2 when 'column' then 4 else 3 end)
);
create unique index objects_have_one_name on catalog.objects (key, tenant_id);
create index objects_of_parent on catalog.objects (parent_id, tenant_id);
create index objects_of_dataset on catalog.objects (dataset_id, tenant_id) where dataset_id is not null;
create index objects_by_word on catalog.objects using gin (search) with (fastupdate = off);
create index objects_in_order on catalog.objects (kind, tenant_id, id) where gone_at is null;
create index objects_confidential on catalog.objects (kind, tenant_id) where classification = 'confidential' or is_confidential;
comment on table catalog.objects is 'Catalogs, schemas, tables, volumes and columns of a tenant; metadata, so internal, whatever its classification says of the data.';

alter table catalog.objects enable row level security;
alter table catalog.objects force row level security;
create policy "members see their catalog" on catalog.objects for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors see the caller's catalog" on catalog.objects for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps the catalog" on catalog.objects for all to app_system using (true) with check (true);
grant select on catalog.objects to authenticated;
grant select, insert, update on catalog.objects to app_system;

-- What a source tells of one object.
create type catalog.seen as (kind catalog.object_kind, path text array, type text, position integer, nullable boolean, layer catalog.layer, row_estimate bigint,
                             location text, comment text, dataset_id bigint, loaded_at timestamptz);

-- ---------------------------------------------------------------------------------------------- names

create function catalog.key_of(p_kind catalog.object_kind, p_path text[])
returns uuid language sql immutable parallel safe set search_path = '' as $$
    select md5(case p_kind when 'volume' then 'volume ' else '' end || p_path::text)::uuid
$$;
revoke all on function catalog.key_of(catalog.object_kind, text[]) from public;
grant execute on function catalog.key_of(catalog.object_kind, text[]) to authenticated, app_system;

-- main.gold.orders; a part that is no plain word stands in backquotes, its own ones doubled: erp.models.`account.move`
create function catalog.full_name(p_path text[])
returns text language sql immutable parallel safe set search_path = '' as $$
    select string_agg(case when n ~ '^[A-Za-z0-9_-]+$' then n else '`' || replace(n, '`', '``') || '`' end, '.' order by ord) from unnest(p_path) with ordinality x (n, ord)
$$;
revoke all on function catalog.full_name(text[]) from public;
grant execute on function catalog.full_name(text[]) to authenticated, app_system;

-- The parts of a full name, or the listed error.
create function catalog.parts_of(p_name text, p_path text default '$.name')
returns text[] language plpgsql immutable set search_path = '' as $$
declare
    v_part constant text := '(?:`(?:[^`]|``)+`|[^.`]+)';
begin
    if p_name is null or length(p_name) > 4096 or p_name !~ ('^' || v_part || '(?:\.' || v_part || '){0,3}$') then
        perform ground.fail('FIELD_INVALID', p_path, 'A name has one to four parts with dots between them: catalog.schema.table.column; a part with a dot in it stands in backquotes.');
    end if;
    return array(select case when m[1] like '`%' then replace(substr(m[1], 2, length(m[1]) - 2), '``', '`') else m[1] end
                 from regexp_matches(p_name, v_part, 'g') with ordinality x (m, ord) order by ord);
end
$$;
revoke all on function catalog.parts_of(text, text) from public;
grant execute on function catalog.parts_of(text, text) to authenticated, app_system;

-- An object by its name, gone ones too; null: there is none. A table comes before a volume of the same name.
create function catalog.find_object(p_tenant uuid, p_path text[], p_kind catalog.object_kind default null)
returns bigint language plpgsql stable set search_path = '' as $$
begin
    return (select o.id from catalog.objects o
            where o.tenant_id = p_tenant and o.key in (catalog.key_of('table', p_path), catalog.key_of('volume', p_path)) and (p_kind is null or o.kind = p_kind)
            order by o.gone_at is not null, o.kind = 'volume' limit 1);
end
$$;
revoke all on function catalog.find_object(uuid, text[], catalog.object_kind) from public;
grant execute on function catalog.find_object(uuid, text[], catalog.object_kind) to authenticated, app_system;

-- What an object is found by: names whole and in their pieces (account_move, accountMove), comments, tags. The tenant is a word of it, as of entries.
create function catalog.words_of(p_tenant uuid, p_path text[], p_type text, p_comment text, p_tags jsonb)
returns tsvector language sql stable set search_path = '' as $$
    select array_to_tsvector(array[catalog.tenant_word(p_tenant)])
        || setweight(to_tsvector('pg_catalog.simple', left(x.name, 1024) || ' ' || y.pieces), 'A')
        || setweight(to_tsvector('pg_catalog.simple', left(regexp_replace(array_to_string(p_path[: cardinality(p_path) - 1], ' '), '[^[:alnum:] ]+', ' ', 'g'), 2048)), 'C')
        || setweight(to_tsvector('pg_catalog.english', coalesce(p_comment, '')) || to_tsvector('pg_catalog.simple', coalesce(p_comment, '')), 'B')
        || setweight(to_tsvector('pg_catalog.simple', (select coalesce(string_agg(t.key || ' ' || t.value, ' '), '') from jsonb_each_text(p_tags) t)), 'B')
        || setweight(to_tsvector('pg_catalog.simple', left(coalesce(p_type, ''), 200)), 'D')
    from (select p_path[cardinality(p_path)]) x (name)
    cross join lateral (select left(regexp_replace(regexp_replace(x.name, '([[:lower:]])([[:upper:]])', '\1 \2', 'g'), '[^[:alnum:]]+', ' ', 'g'), 1024)) y (pieces)
$$;
revoke all on function catalog.words_of(uuid, text[], text, text, jsonb) from public;
grant execute on function catalog.words_of(uuid, text[], text, text, jsonb) to app_system;

set role postgres;
grant create on schema catalog to app_system;
set role app_system;

-- --------------------------------------------------------------------------------------- what is there

-- What a source tells of all that lies below p_scope (the scope with it), in one statement for each kind: new objects are made, changed ones
-- follow, those it does not tell of any more are marked as gone. Nothing that people have said is touched.
create function catalog.take_in(p_tenant uuid, p_scope text[], p_seen catalog.seen[])
returns jsonb language plpgsql set search_path = ''
set plan_cache_mode = force_custom_plan as $$
declare
    v_now timestamptz := clock_timestamp();
    v_kind catalog.object_kind;
    v_count integer;
    v_changed integer := 0;
    v_gone integer;
begin
    if cardinality(p_scope) = 1 then
        perform pg_advisory_xact_lock(hashtextextended('catalog ' || p_tenant || ' ' || p_scope[1], 0));
    else  -- settles that publish do not wait for each other, only for who looks at all of it
        perform pg_advisory_xact_lock_shared(hashtextextended('catalog ' || p_tenant || ' ' || p_scope[1], 0));
    end if;
    foreach v_kind in array enum_range(null::catalog.object_kind) loop  -- parents first
        insert into catalog.objects as o (tenant_id, kind, parent_id, path, key, type, position, nullable, layer, row_estimate, location, source_comment, dataset_id,
                                          loaded_at, seen_at, search)
        select p_tenant, s.kind, u.id, s.path, catalog.key_of(s.kind, s.path), s.type, s.position, s.nullable, s.layer, s.row_estimate, s.location, s.comment, s.dataset_id,
               s.loaded_at, v_now, catalog.words_of(p_tenant, s.path, s.type, s.comment, '{}')
        from unnest(p_seen) s
        left join catalog.objects u on u.tenant_id = p_tenant and u.key = catalog.key_of('table', s.path[: cardinality(s.path) - 1])
        left join catalog.objects w on w.tenant_id = p_tenant and w.key = catalog.key_of(s.kind, s.path)
        where s.kind = v_kind
          and (w.id is null or w.gone_at is not null or w.kind <> s.kind
               or (w.type, w.position, w.nullable, w.layer, w.row_estimate, w.location, w.source_comment, w.dataset_id, w.loaded_at)
                  is distinct from (s.type, s.position, s.nullable, s.layer, s.row_estimate, s.location, s.comment, s.dataset_id, coalesce(s.loaded_at, w.loaded_at)))
        order by s.path
        on conflict (key, tenant_id) do update
        set kind = excluded.kind, parent_id = excluded.parent_id, type = excluded.type, position = excluded.position, nullable = excluded.nullable, layer = excluded.layer,
            row_estimate = excluded.row_estimate, location = excluded.location, source_comment = excluded.source_comment, dataset_id = excluded.dataset_id,
            loaded_at = coalesce(excluded.loaded_at, o.loaded_at), seen_at = excluded.seen_at, gone_at = null,
            search = catalog.words_of(p_tenant, o.path, excluded.type, concat_ws(' ', o.comment, excluded.source_comment), o.tags);
        get diagnostics v_count = row_count;
        v_changed := v_changed + v_count;
    end loop;
    with recursive below as (
        select o.id, o.kind, o.key from catalog.objects o where o.tenant_id = p_tenant and o.key = catalog.key_of('table', p_scope)
        union all
        select o.id, o.kind, o.key from below b join catalog.objects o on o.tenant_id = p_tenant and o.parent_id = b.id
    )
    update catalog.objects o set gone_at = v_now
    from below b
    where o.tenant_id = p_tenant and o.id = b.id and o.gone_at is null
      and not exists (select from (select catalog.key_of(s.kind, s.path) as key from unnest(p_seen) s) y where y.key = b.key);
    get diagnostics v_gone = row_count;
    perform catalog.classify(p_tenant, p_scope[: 1]);
    return jsonb_build_object('seen', cardinality(p_seen), 'changed', v_changed, 'gone', v_gone);
end
$$;
revoke all on function catalog.take_in(uuid, text[], catalog.seen[]) from public;

-- The class of everything below, from what was said: a word counts for all below it, and that of a column for its table. Where nobody has
-- said anything there is nothing to do. The rows of a layer follow at once.
create function catalog.classify(p_tenant uuid, p_scope text[])
returns void language plpgsql set search_path = '' as $$
begin
    if not exists (select from catalog.objects o where o.tenant_id = p_tenant and o.path[1] = p_scope[1] and (o.classification = 'confidential' or o.is_confidential)) then
        return;
    end if;
    with recursive below as (
        select o.id, o.kind, coalesce(o.classification = 'confidential', false) as said
        from catalog.objects o where o.tenant_id = p_tenant and o.key = catalog.key_of('catalog', p_scope)
        union all
        select o.id, o.kind, b.said or coalesce(o.classification = 'confidential', false)
        from below b join catalog.objects o on o.tenant_id = p_tenant and o.parent_id = b.id
    ), class as (
        select b.id, b.said or (b.kind = 'table' and exists (
                   select from catalog.objects c where c.tenant_id = p_tenant and c.parent_id = b.id and c.classification = 'confidential' and c.gone_at is null)) as now
        from below b
    )
    update catalog.objects o set is_confidential = c.now
    from class c where o.tenant_id = p_tenant and o.id = c.id and o.is_confidential <> c.now;
    if p_scope[1] = 'main' then
        perform catalog.guard_layers(p_tenant);
    end if;
end
$$;
revoke all on function catalog.classify(uuid, text[]) from public;

-- Rows of gold are the members'; of what is confidential, the operators', as those of bronze and silver are anyhow.
create function catalog.guard_layers(p_tenant uuid)
returns void language plpgsql set search_path = '' as $$
declare
    v record;
begin
    for v in
        update catalog.assets a set classification = case when o.is_confidential then 'confidential' else 'internal' end
        from catalog.objects o
        where a.tenant_id = p_tenant and o.tenant_id = p_tenant and o.key = catalog.key_of('table', array['main', a.layer::text, a.name])
          and o.is_confidential <> (a.classification = 'confidential')
        returning a.layer, a.schema_name, a.name, a.classification
    loop
        if v.layer = 'gold' then
            execute format('alter policy "members read gold" on %I.%I using (%s)', v.schema_name, v.name, catalog.readers('gold', v.classification));
        end if;
    end loop;
end
$$;
revoke all on function catalog.guard_layers(uuid) from public;

-- ------------------------------------------------------------------------------------- where it is from

create function catalog.table_type(p_kind text)
returns text language sql immutable set search_path = '' as $$
    select case p_kind when 'r' then 'MANAGED' when 'p' then 'MANAGED' when 'v' then 'VIEW' when 'm' then 'MATERIALIZED_VIEW' when 'f' then 'FOREIGN'
                       when 'table' then 'EXTERNAL' when 'view' then 'VIEW' when 'materialized view' then 'MATERIALIZED_VIEW' when 'foreign table' then 'FOREIGN' end
$$;
revoke all on function catalog.table_type(text) from public;

-- The catalog `main`: the tenant's layers as the database has them, and its artifacts, a volume for each kind. With p_table: that table alone.
create function catalog.sync_layers(p_tenant uuid, p_slug text, p_layer text default null, p_table text default null)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_namespace text := tenancy.namespace_of(p_tenant);
    v_above catalog.seen[];
    v_seen catalog.seen[];
begin
    v_above := array[('catalog', array['main'], 'LAYERS', null, null, null, null, null, 'The tables and files of this tenant', null, null)::catalog.seen]
        || array(select ('schema', array['main', l], null, null, null, l, null, catalog.schema_of(p_slug, l), null, null, null)::catalog.seen
                 from unnest(array['bronze', 'silver', 'gold']) l where p_layer is null or l = p_layer);
    select array_agg((t.kind, t.path, t.type, t.position, t.nullable, null, t.rows, t.location, t.comment, t.dataset_id, null)::catalog.seen) into v_seen
    from (
        with relation as materialized (
            select c.oid, c.relname, c.relkind, c.reltuples, n.nspname, l.layer from unnest(array['bronze', 'silver', 'gold']) l (layer)
            join pg_catalog.pg_namespace n on n.nspname = catalog.schema_of(p_slug, l.layer)
            join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
            where (p_layer is null or l.layer = p_layer) and (p_table is null or c.relname = p_table)
        )
        select 'table'::catalog.object_kind as kind, array['main', r.layer, r.relname] as path, catalog.table_type(r.relkind::text) as type, null::integer as position, null::boolean as nullable,
               null::bigint as rows, r.nspname || '.' || r.relname as location, obj_description(r.oid, 'pg_class') as comment,
               (select d.id from lineage.datasets d where d.tenant_id = p_tenant and d.key = md5(v_namespace || chr(31) || r.layer || '.' || r.relname)::uuid) as dataset_id
        from relation r
        union all
        select 'column', array['main', r.layer, r.relname, a.attname], format_type(a.atttypid, a.atttypmod), row_number() over (partition by r.oid order by a.attnum), not a.attnotnull,
               null, null, col_description(r.oid, a.attnum), null
        from relation r join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped and a.attname <> 'tenant_id'
    ) t;
    if p_table is not null then
        -- what lies above is only made known: the rest of it was not looked at
        insert into catalog.objects (tenant_id, kind, path, key, type, source_comment, search)
        select p_tenant, s.kind, s.path, catalog.key_of(s.kind, s.path), s.type, s.comment, catalog.words_of(p_tenant, s.path, s.type, s.comment, '{}')
        from unnest(v_above) s where s.kind = 'catalog'
        on conflict (key, tenant_id) do nothing;
        insert into catalog.objects (tenant_id, kind, parent_id, path, key, layer, location, search)
        select p_tenant, s.kind, c.id, s.path, catalog.key_of(s.kind, s.path), s.layer, s.location, catalog.words_of(p_tenant, s.path, s.type, s.comment, '{}')
        from unnest(v_above) s join catalog.objects c on c.tenant_id = p_tenant and c.key = catalog.key_of('catalog', array['main']) where s.kind = 'schema'
        on conflict (key, tenant_id) do nothing;
        return catalog.take_in(p_tenant, array['main', p_layer, p_table], coalesce(v_seen, '{}'));
    end if;
    return catalog.take_in(p_tenant, array['main'], v_above || coalesce(v_seen, '{}')
        || ('schema', array['main', 'files'], null, null, null, null, null, null, 'Artifacts, by their kind', null, null)::catalog.seen
        || array(select ('volume', array['main', 'files', a.kind::text], 'MANAGED', null, null, null, count(*), 'supabase-storage://artifacts/' || p_tenant, null, null, null)::catalog.seen
                 from artifact.artifacts a where a.tenant_id = p_tenant and a.deleted_at is null group by a.kind));
end
$$;
revoke all on function catalog.sync_layers(uuid, text, text, text) from public;

-- The catalog of a source of that type and name: its own name, or the type before it where another has taken that.
create function catalog.name_of(p_tenant uuid, p_type text, p_name text)
returns text language plpgsql stable set search_path = '' as $$
begin
    return case when p_name = 'main' or exists (select from catalog.objects o where o.tenant_id = p_tenant and o.key = catalog.key_of('catalog', array[p_name]) and o.type <> p_type)
           then lower(p_type) || '_' || p_name else p_name end;
end
$$;
revoke all on function catalog.name_of(uuid, text, text) from public;

-- A database elsewhere, as the last run that touched it has seen it.
create function catalog.sync_target(p_tenant uuid, p_target text)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_name text := catalog.name_of(p_tenant, 'TARGET', p_target);
    v_seen catalog.seen[];
begin
    with relation as materialized (
        select t.* from catalog.target_tables t where t.tenant_id = p_tenant and t.target = p_target and t.gone_at is null
    )
    select array_agg((x.kind, x.path, x.type, x.position, x.nullable, null, x.rows, null, x.comment, x.dataset_id, null)::catalog.seen) into v_seen
    from (
        select distinct 'schema'::catalog.object_kind as kind, array[v_name, t.schema_name] as path, null as type, null::integer as position, null::boolean as nullable, null::bigint as rows,
               null as comment, null::bigint as dataset_id from relation t
        union all
        select 'table', array[v_name, t.schema_name, t.name], catalog.table_type(t.kind), null, null, t.row_estimate, t.comment, t.dataset_id from relation t
        union all
        select distinct on (t.id, c ->> 'name') 'column', array[v_name, t.schema_name, t.name, c ->> 'name'], c ->> 'type', ord::integer,
               case jsonb_typeof(c -> 'nullable') when 'boolean' then (c ->> 'nullable')::boolean end, null, coalesce(c ->> 'comment', c ->> 'description'), null
        from relation t cross join jsonb_array_elements(t.columns) with ordinality y (c, ord) where c ->> 'name' is not null
    ) x;
    return catalog.take_in(p_tenant, array[v_name],
        ('catalog', array[v_name], 'TARGET', null, null, null, null, p_target, null, null, null)::catalog.seen || coalesce(v_seen, '{}'));
end
$$;
revoke all on function catalog.sync_target(uuid, text) from public;

-- All that the database itself knows, in one transaction.
create function catalog.sync(p_tenant uuid)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_answer jsonb := jsonb_build_object('main', catalog.sync_layers(p_tenant, (select t.slug from tenancy.tenants t where t.id = p_tenant)));
    v_target text;
begin
    for v_target in select distinct t.target from catalog.target_tables t where t.tenant_id = p_tenant order by t.target loop
        v_answer := v_answer || jsonb_build_object(catalog.name_of(p_tenant, 'TARGET', v_target), catalog.sync_target(p_tenant, v_target));
    end loop;
    return v_answer;
end
$$;
revoke all on function catalog.sync(uuid) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
