-- public: entries of knowledge bases, found by their words.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_system;

-- As the worker's role, with the tenant and the class said here: under a policy Postgres does not use an index for @@, which it
-- does not trust to keep secrets (50,000 entries of a tenant: a second instead of 40 ms). Words are looked for as written and as the language bends them.
create function door.list_entries(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_offset integer := 0;
    v_language text := coalesce(p ->> 'language', 'english');
    v_words text := nullif(btrim(coalesce(p ->> 'q', '')), '');
    v_query tsquery;
    v_ours tsquery;
    v_items jsonb;
begin
    perform ground.refuse_unknown(p, array['q', 'collection', 'language', 'limit', 'cursor']);
    if v_language <> all (enum_range(null::catalog.language)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.language', 'language is one of ' || array_to_string(enum_range(null::catalog.language), ', ') || '.');
    elsif jsonb_typeof(p -> 'q') not in ('string', 'null') or length(v_words) > 500 then
        perform ground.fail('FIELD_INVALID', '$.q', 'q is what to look for, at most 500 characters.');
    elsif jsonb_typeof(p -> 'collection') not in ('string', 'null') then
        perform ground.fail('FIELD_INVALID', '$.collection', 'collection is a name.');
    elsif coalesce(p ->> 'cursor', '0') !~ '^([0-9]{1,4}|10000)$' then
        perform ground.fail('FIELD_INVALID', '$.cursor', 'cursor is what next gave.');
    end if;
    v_offset := coalesce(p ->> 'cursor', '0');
    v_query := websearch_to_tsquery('pg_catalog.simple', v_words) || websearch_to_tsquery(('pg_catalog.' || v_language)::regconfig, v_words);
    v_ours := format('%L', catalog.tenant_word(v_member.tenant_id))::tsquery && v_query;
    select coalesce(jsonb_agg(to_jsonb(x) - 'place' order by x.place), '[]') into v_items from (
        select e.id as entry_id, e.collection, e.key, e.title, e.tags, e.media_type, e.language, e.url, e.words, e.classification, e.changed_at,
               f.rank, f.place, case when v_words is null then left(e.body, 200)
                    else ts_headline(('pg_catalog.' || e.language)::regconfig, e.body, v_query, 'MaxFragments=2, MaxWords=18, MinWords=6, StartSel=**, StopSel=**') end as snippet
        from (
            select w.id, w.rank, row_number() over (order by w.rank desc, w.id desc) as place from (
                select y.id, round(ts_rank_cd(y.search, v_query, 32)::numeric, 4) as rank from catalog.entries y
                where v_words is not null and y.search @@ v_ours and y.tenant_id = v_member.tenant_id
                  and (y.classification = 'internal' or v_member.role >= 'operator') and (p ->> 'collection' is null or y.collection = p ->> 'collection')
                union all
                (select y.id, null from catalog.entries y
                 where v_words is null and y.tenant_id = v_member.tenant_id
                   and (y.classification = 'internal' or v_member.role >= 'operator') and (p ->> 'collection' is null or y.collection = p ->> 'collection')
                 order by y.id desc limit v_limit + v_offset)
            ) w
            order by w.rank desc, w.id desc limit v_limit offset v_offset
        ) f
        join catalog.entries e on e.tenant_id = v_member.tenant_id and e.id = f.id
    ) x;
    return jsonb_build_object('items', v_items,
        'next', case when jsonb_array_length(v_items) = v_limit and v_offset + v_limit <= 10000 then (v_offset + v_limit)::text end);
end
$$;
revoke all on function door.list_entries(jsonb) from public;
grant execute on function door.list_entries(jsonb) to authenticated;

set role app_owner;

create function public.list_entries(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_entries($1); end $$;
comment on function public.list_entries(jsonb) is '{q?, collection?, language?, limit?, cursor?} -> entries of knowledge bases, best first, each with a snippet; viewers find internal ones.';
revoke all on function public.list_entries(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_entries(jsonb) to authenticated;

-- Read as the caller: row security decides.
create function public.get_entry(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_id bigint := ground.want_id($1, 'entry_id');
    v_entry jsonb;
begin
    select jsonb_build_object('entry_id', e.id, 'collection', e.collection, 'key', e.key, 'title', e.title, 'body', e.body, 'headings', e.headings,
        'tags', e.tags, 'media_type', e.media_type, 'language', e.language, 'url', e.url, 'source', e.source, 'words', e.words, 'sha256', e.sha256,
        'classification', e.classification, 'published_by_run', e.published_by_run, 'published_at', e.published_at, 'changed_at', e.changed_at)
    into v_entry from catalog.entries e where e.tenant_id = v_tenant and e.id = v_id;
    if v_entry is null then
        perform ground.fail('ENTRY_NOT_FOUND');
    end if;
    return v_entry;
end
$$;
comment on function public.get_entry(jsonb) is '{entry_id} -> the whole entry with its text and where it comes from.';
revoke all on function public.get_entry(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_entry(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
