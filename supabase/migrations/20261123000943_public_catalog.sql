-- public: the catalog. What is where, found by words or by its place; what people say of it; what it is brought up to date with.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_system;

-- How an object is told of.
create function door.object(o catalog.objects)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('object_id', o.id, 'kind', o.kind, 'name', catalog.full_name(o.path), 'path', o.path, 'type', o.type, 'layer', o.layer, 'owner', o.owner,
        'comment', coalesce(o.comment, o.source_comment), 'tags', o.tags, 'classification', case when o.is_confidential then 'confidential' else 'internal' end)
        || case o.kind when 'column' then jsonb_build_object('position', o.position, 'nullable', o.nullable) else '{}' end
        || case when o.gone_at is not null then jsonb_build_object('gone_at', o.gone_at) else '{}' end
$$;
revoke all on function door.object(catalog.objects) from public;
grant execute on function door.object(catalog.objects) to authenticated;

-- As the worker's role, with the tenant said here, for the same reason as list_entries: under a policy Postgres does not use an index for @@.
-- The last word may be unfinished. Tables come before columns that are called alike, and what is called so before what mentions it.
create function door.list_objects(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = ''
set plan_cache_mode = force_custom_plan as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_limit integer := ground.page_limit(p);
    v_words text := nullif(btrim(coalesce(p ->> 'q', '')), '');
    v_last text := substring(v_words from '([[:alnum:]]+)$');
    v_query tsquery;
    v_ours tsquery;
    v_in text[];
    v_parent bigint;
    v_kind catalog.object_kind;
    v_after catalog.objects;
    v_rank numeric;
    v_items jsonb;
    v_next text;
begin
    perform ground.refuse_unknown(p, array['q', 'kind', 'in', 'layer', 'type', 'owner', 'tag', 'classification', 'gone', 'limit', 'cursor']);
    if coalesce(jsonb_typeof(p -> 'q'), 'null') not in ('string', 'null') or length(v_words) > 500 then
        perform ground.fail('FIELD_INVALID', '$.q', 'q is what to look for, at most 500 characters.');
    elsif p ->> 'kind' <> all (enum_range(null::catalog.object_kind)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind is one of ' || array_to_string(enum_range(null::catalog.object_kind), ', ') || '.');
    elsif p ->> 'layer' <> all (enum_range(null::catalog.layer)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.layer', 'layer is bronze, silver or gold.');
    elsif p ->> 'classification' <> all (array['internal', 'confidential']) then
        perform ground.fail('FIELD_INVALID', '$.classification', 'classification is internal or confidential.');
    elsif coalesce(jsonb_typeof(p -> 'gone'), 'null') not in ('boolean', 'null') then
        perform ground.fail('FIELD_INVALID', '$.gone', 'gone is true or false.');
    elsif coalesce(p ->> 'cursor', '1') !~ (case when v_words is null then '^[0-9]{1,18}$' else '^[0-9]{1,4}(\.[0-9]{1,8})?:[0-9]{1,18}$|^1$' end) then
        perform ground.fail('FIELD_INVALID', '$.cursor', 'cursor is what next gave.');
    end if;
    v_kind := p ->> 'kind';
    if p ->> 'in' is not null then
        v_in := catalog.parts_of(p ->> 'in', '$.in');
        v_parent := catalog.find_object(v_tenant, v_in);
        if v_parent is null then
            perform ground.fail('OBJECT_NOT_FOUND', left(p ->> 'in', 200));
        end if;
        if cardinality(v_in) is distinct from (case v_kind when 'schema' then 1 when 'table' then 2 when 'volume' then 2 when 'column' then 3 end) then
            v_parent := null;  -- not its children, but what is below them
        end if;
    end if;
    if p ->> 'cursor' is not null then
        select o.* into v_after from catalog.objects o where o.tenant_id = v_tenant and o.id = split_part(p ->> 'cursor', ':', -1)::bigint;
        v_rank := case when v_words is not null then split_part(p ->> 'cursor', ':', 1)::numeric end;
        if v_after.id is null then
            perform ground.fail('FIELD_INVALID', '$.cursor', 'cursor is what next gave.');
        end if;
    end if;
    if v_words is not null then
        v_query := websearch_to_tsquery('pg_catalog.simple', v_words) || websearch_to_tsquery('pg_catalog.english', v_words);
        if v_last is not null and strpos(v_words, '"') = 0 and v_words !~ '(^|\s)-\S*$' then
            v_query := v_query || (websearch_to_tsquery('pg_catalog.simple', left(v_words, length(v_words) - length(v_last))) && (quote_literal(v_last) || ':*')::tsquery);
        end if;
        v_ours := format('%L', catalog.tenant_word(v_tenant))::tsquery && v_query;
    end if;
    with found as (
        select o as object, o.id, o.path[: 3] as place, coalesce(o.position, 0) as position, o.path,
               case when v_words is not null then round((ts_rank_cd(o.search, v_query, 32) * case o.kind when 'column' then 0.7 else 1 end
                   * case when lower(o.path[cardinality(o.path)]) = lower(v_words) then 2 else 1 end)::numeric, 6) end as rank
        from catalog.objects o
        where o.tenant_id = v_tenant and (o.gone_at is null or coalesce((p ->> 'gone')::boolean, false))
          and (v_words is null or o.search @@ v_ours)
          and (v_kind is null or o.kind = v_kind) and (v_parent is null or o.parent_id = v_parent)
          and (v_in is null or o.path[: cardinality(v_in)] = v_in and cardinality(o.path) > cardinality(v_in))
          and (p ->> 'layer' is null or o.layer::text = p ->> 'layer' or (o.path[1] = 'main' and o.path[2] = p ->> 'layer')
               or exists (select from catalog.objects s where s.tenant_id = v_tenant and s.key = catalog.key_of('schema', o.path[: 2]) and s.layer::text = p ->> 'layer'))
          and (p ->> 'type' is null or o.type = p ->> 'type') and (p ->> 'owner' is null or o.owner = p ->> 'owner')
          and (p ->> 'tag' is null or o.tags ? split_part(p ->> 'tag', '=', 1) and (strpos(p ->> 'tag', '=') = 0 or o.tags ->> split_part(p ->> 'tag', '=', 1) = substr(p ->> 'tag', strpos(p ->> 'tag', '=') + 1)))
          and (p ->> 'classification' is null or o.is_confidential = (p ->> 'classification' = 'confidential'))
    ), page as (
        select f.*, row_number() over (order by f.rank desc, case when v_words is null then f.place end, case when v_words is null then f.position end, case when v_words is null then f.path end, f.id) as nth
        from found f
        where v_after.id is null
           or case when v_words is null then (f.place, f.position, f.path, f.id) > (v_after.path[: 3], coalesce(v_after.position, 0), v_after.path, v_after.id)
                   else f.rank < v_rank or (f.rank = v_rank and f.id > v_after.id) end
        order by nth limit v_limit + 1
    )
    select coalesce(jsonb_agg(door.object(g.object) || case when v_words is null then '{}' else jsonb_build_object('rank', g.rank) end order by g.nth) filter (where g.nth <= v_limit), '[]'),
           max(case when v_words is null then '' else g.rank || ':' end || g.id) filter (where g.nth = v_limit and g.n > v_limit)
    into v_items, v_next
    from (select x.*, count(*) over () as n from page x) g;
    return jsonb_build_object('items', v_items, 'next', v_next);
end
$$;
revoke all on function door.list_objects(jsonb) from public;
grant execute on function door.list_objects(jsonb) to authenticated;

-- What people say of an object: operators describe it; who owns it and who may read its rows is an admin's to say.
create function door.describe_object(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require(case when jsonb_typeof(p) = 'object' and p ?| array['owner', 'classification'] then 'admin'::ground.member_role else 'operator' end);
    v_id bigint;
    v_fault text;
    o catalog.objects;
begin
    perform ground.refuse_unknown(p, array['name', 'kind', 'comment', 'tags', 'owner', 'classification']);
    if coalesce(p ->> 'kind', 'table') <> all (enum_range(null::catalog.object_kind)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind is one of ' || array_to_string(enum_range(null::catalog.object_kind), ', ') || '.');
    elsif coalesce(jsonb_typeof(p -> 'comment'), 'null') not in ('string', 'null') or length(p ->> 'comment') > 4000 then
        perform ground.fail('FIELD_INVALID', '$.comment', 'comment is at most 4000 characters.');
    elsif coalesce(jsonb_typeof(p -> 'owner'), 'null') not in ('string', 'null') or length(p ->> 'owner') not between 1 and 128 then
        perform ground.fail('FIELD_INVALID', '$.owner', 'owner is 1 to 128 characters.');
    elsif p ->> 'classification' <> all (array['internal', 'confidential']) then
        perform ground.fail('FIELD_INVALID', '$.classification', 'classification is internal or confidential.');
    elsif p ? 'tags' then
        if jsonb_typeof(p -> 'tags') <> 'object' or (select count(*) from jsonb_object_keys(p -> 'tags')) > 50 then
            perform ground.fail('FIELD_INVALID', '$.tags', 'tags are an object of at most 50 names, each with a text.');
        end if;
        select t.key into v_fault from jsonb_each(p -> 'tags') t where t.key !~ '^[^[:cntrl:]=]{1,128}$' or jsonb_typeof(t.value) <> 'string' or length(t.value #>> '{}') > 1000 order by 1 limit 1;
        if found then
            perform ground.fail('FIELD_INVALID', '$.tags.' || left(v_fault, 64), 'A tag has a name of 1 to 128 characters without = and a text of at most 1000.');
        end if;
    end if;
    v_id := catalog.find_object(v_member.tenant_id, catalog.parts_of(p ->> 'name'), (p ->> 'kind')::catalog.object_kind);
    if v_id is null then
        perform ground.fail('OBJECT_NOT_FOUND', left(p ->> 'name', 200));
    end if;
    update catalog.objects x
    set comment = case when p ? 'comment' then nullif(p ->> 'comment', '') else x.comment end, tags = coalesce(p -> 'tags', x.tags),
        owner = case when p ? 'owner' then p ->> 'owner' else x.owner end, classification = case when p ? 'classification' then p ->> 'classification' else x.classification end,
        described_by = v_member.user_id, described_at = clock_timestamp(),
        search = catalog.words_of(x.tenant_id, x.path, x.type, concat_ws(' ', case when p ? 'comment' then p ->> 'comment' else x.comment end, x.source_comment), coalesce(p -> 'tags', x.tags))
    where x.tenant_id = v_member.tenant_id and x.id = v_id returning x.* into o;
    if p ? 'classification' then
        perform pg_advisory_xact_lock(hashtextextended('catalog ' || v_member.tenant_id || ' ' || o.path[1], 0));
        perform catalog.classify(v_member.tenant_id, o.path[: 1]);
        select x.* into o from catalog.objects x where x.tenant_id = v_member.tenant_id and x.id = v_id;
    end if;
    perform audit.append(v_member.tenant_id, 'catalog.describe', o.kind::text, catalog.full_name(o.path), p - 'name');
    return door.object(o);
end
$$;
revoke all on function door.describe_object(jsonb) from public;
grant execute on function door.describe_object(jsonb) to authenticated;

create function door.catalog_sync(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_answer jsonb;
begin
    perform ground.refuse_unknown(p, array[]::text[]);
    v_answer := catalog.sync(v_member.tenant_id);
    perform audit.append(v_member.tenant_id, 'catalog.sync', 'tenant', v_member.tenant_id::text, v_answer);
    return jsonb_build_object('catalogs', v_answer);
end
$$;
revoke all on function door.catalog_sync(jsonb) from public;
grant execute on function door.catalog_sync(jsonb) to authenticated;

create function door.catalog_ingest(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_answer jsonb := catalog.ingest(v_member.tenant_id, p);
begin
    perform audit.append(v_member.tenant_id, 'catalog.ingest', 'catalog', p ->> 'catalog', v_answer);
    return v_answer || jsonb_build_object('catalog', p -> 'catalog');
end
$$;
revoke all on function door.catalog_ingest(jsonb) from public;
grant execute on function door.catalog_ingest(jsonb) to authenticated;

set role app_owner;

create function public.list_objects(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_objects($1); end $$;
comment on function public.list_objects(jsonb) is '{q?, kind?, in?, layer?, type?, owner?, tag?, classification?, gone?, limit?, cursor?} -> objects of the catalog: with q best first, else by their place.';
revoke all on function public.list_objects(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_objects(jsonb) to authenticated;

-- Read as the caller: row security decides.
create function public.get_object(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_id bigint;
    o catalog.objects;
begin
    perform ground.refuse_unknown($1, array['name', 'kind']);
    if coalesce($1 ->> 'kind', 'table') <> all (enum_range(null::catalog.object_kind)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind is one of ' || array_to_string(enum_range(null::catalog.object_kind), ', ') || '.');
    end if;
    v_id := catalog.find_object(v_tenant, catalog.parts_of($1 ->> 'name'), ($1 ->> 'kind')::catalog.object_kind);
    select x.* into o from catalog.objects x where x.tenant_id = v_tenant and x.id = v_id;
    if not found then
        perform ground.fail('OBJECT_NOT_FOUND', left($1 ->> 'name', 200));
    end if;
    return door.object(o) || jsonb_build_object('said_classification', o.classification, 'source_comment', o.source_comment, 'location', o.location, 'described_by', o.described_by,
            'described_at', o.described_at, 'seen_at', o.seen_at,
            'node', (select 'dataset:' || d.namespace || ':' || d.name from lineage.datasets d where d.tenant_id = v_tenant and d.id = o.dataset_id),
            'children', (select coalesce(jsonb_object_agg(x.kind, x.n), '{}') from (select c.kind, count(*) as n from catalog.objects c where c.tenant_id = v_tenant and c.parent_id = o.id and c.gone_at is null group by c.kind) x))
        || case o.kind when 'table' then jsonb_build_object(
            'columns', (select coalesce(jsonb_agg(door.object(x.c) - array['path', 'type', 'kind', 'layer', 'name'] || jsonb_build_object('name', (x.c).path[4], 'type', (x.c).type) order by (x.c).position), '[]')
                        from (select c from catalog.objects c where c.tenant_id = v_tenant and c.parent_id = o.id and c.gone_at is null order by c.position limit 1000) x))
            || coalesce((select jsonb_build_object('row_count', a.row_count, 'published_by_run', a.published_by_run, 'published_at', a.published_at)
                         from catalog.assets a where a.tenant_id = v_tenant and o.path[1] = 'main' and a.layer::text = o.path[2] and a.name = o.path[3]), jsonb_build_object('row_count', o.row_estimate))
            else '{}' end;
end
$$;
comment on function public.get_object(jsonb) is '{name, kind?} -> an object of the catalog with all that is known of it; of a table the first 1000 columns.';
revoke all on function public.get_object(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_object(jsonb) to authenticated;

create function public.describe_object(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.describe_object($1); end $$;
comment on function public.describe_object(jsonb) is '{name, kind?, comment?, tags?, owner?, classification?}: what people say of an object; owner and classification are an admin''s. null takes a word back.';
revoke all on function public.describe_object(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.describe_object(jsonb) to authenticated;

create function public.catalog_sync(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.catalog_sync($1); end $$;
comment on function public.catalog_sync(jsonb) is '{} -> {catalogs: {name: {seen, changed, gone}}}: the catalog follows the layers, the artifacts and what migrations have seen elsewhere.';
revoke all on function public.catalog_sync(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.catalog_sync(jsonb) to authenticated;

create function public.catalog_ingest(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.catalog_ingest($1); end $$;
comment on function public.catalog_ingest(jsonb) is '{catalog, type?, namespace?, comment?, schemas: […]} or {catalog, namespace?, models: […]} as Odoo tells of itself -> {seen, changed, gone}: one whole catalog.';
revoke all on function public.catalog_ingest(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.catalog_ingest(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
