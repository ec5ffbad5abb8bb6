-- public: the audit: what happened, whether it is still what was written, and the head to keep outside.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;
grant create on schema door to app_system;

-- Two orders: newest first, by cursor, to look; and after=, in the order of the seals, to copy without a gap. What waits for
-- its seal comes into the second a moment later.
create function public.list_audit(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('admin')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_after text := $1 ->> 'after';
    v_below bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 9223372036854775807 end;
    v_items jsonb;
begin
    perform ground.refuse_unknown($1, array['after', 'cursor', 'limit', 'action', 'user_id', 'object_type', 'object_id']);
    if $1 ? 'after' and coalesce(v_after, '') !~ '^[0-9]{1,15}(\.[0-9]{1,9})?$' then
        perform ground.fail('FIELD_INVALID', '$.after', 'after is what next gave, or 0.');
    end if;
    with found as materialized (
        select * from (
            select e.*, null::text as position, -e.id as place from audit.entries e
            where v_after is null and e.tenant_id = v_tenant and e.id < v_below
            union all
            select e.*, s.number || '.' || i.place, s.number * 1000000 + i.place
            from audit.seals s
            cross join lateral unnest(s.entry_ids) with ordinality i (id, place)
            join audit.entries e on e.id = i.id
            where v_after is not null and s.chain = v_tenant and s.number >= split_part(v_after, '.', 1)::bigint
              and (s.number > split_part(v_after, '.', 1)::bigint or i.place > coalesce(nullif(split_part(v_after, '.', 2), ''), '1000000')::integer)
              and s.number < split_part(v_after, '.', 1)::bigint + v_limit + 1  -- a seal holds an entry at least
        ) x
        where (not $1 ? 'action' or x.action = $1 ->> 'action') and (not $1 ? 'user_id' or x.user_id = $1 ->> 'user_id')
          and (not $1 ? 'object_type' or x.object_type = $1 ->> 'object_type') and (not $1 ? 'object_id' or x.object_id = $1 ->> 'object_id')
        order by x.place limit v_limit
    )
    select coalesce(jsonb_agg(jsonb_build_object('entry_id', f.id, 'at', f.at, 'user_id', f.user_id, 'role', f.role, 'token_id', f.token_id, 'action', f.action,
               'object_type', f.object_type, 'object_id', f.object_id, 'details', f.details, 'door', f.door, 'ip', f.ip, 'forwarded_for', f.forwarded_for,
               'user_agent', f.user_agent, 'request_id', f.request_id) || case when v_after is null then '{}' else jsonb_build_object('position', f.position) end
               order by f.place), '[]') into v_items from found f;
    return jsonb_build_object('items', v_items, 'next', case
        when v_after is not null then coalesce(v_items -> -1 ->> 'position', v_after)
        when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'entry_id' end);
end
$$;
comment on function public.list_audit(jsonb) is '{cursor?} newest first, or {after: "0"} in sealed order without a gap; {limit?, action?, user_id?, object_type?, object_id?} -> {items, next}. Admins.';
revoke all on function public.list_audit(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_audit(jsonb) to authenticated;

create function public.audit_verify(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('admin')).tenant_id;
    v jsonb;
begin
    perform ground.refuse_unknown($1, array['since', 'head']);
    v := audit.verify(v_tenant, case when $1 ? 'since' then ground.want_id($1, 'since') else 0 end) || jsonb_build_object('head', audit.head(v_tenant));
    if $1 ? 'head' then
        v := audit.judge_head(v, v_tenant, $1 -> 'head');
    end if;
    return v;
end
$$;
comment on function public.audit_verify(jsonb) is '{since?, head?} -> {ok, seals, entries, faults: [{fault, seal, entry_id}], head, next}: recomputes a page of the chain after seal `since`; head is one that was exported. Admins.';
revoke all on function public.audit_verify(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.audit_verify(jsonb) to authenticated;

-- The head of the tenant's chain, to be kept elsewhere.
create function public.audit_head(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    return coalesce(audit.head((tenancy.require('admin')).tenant_id), '{"number": 0, "entries": 0}');
end
$$;
comment on function public.audit_head(jsonb) is '{} -> {number, hash, entries, sealed_at}: keep it outside the database, audit_verify takes it back. Admins.';
revoke all on function public.audit_head(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.audit_head(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------- the platform

set role app_system;

-- Recomputes a tenant's chain, against a head that was kept elsewhere.
create function door.platform_audit_verify(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_tenant uuid := case when p ? 'tenant' then (tenancy.find_tenant(p ->> 'tenant')).id end;
    v jsonb;
begin
    perform ground.refuse_unknown(p, array['tenant', 'since', 'head']);
    v := audit.verify(v_tenant, case when p ? 'since' then ground.want_id(p, 'since') else 0 end)
         || jsonb_build_object('tenant', p -> 'tenant', 'head', audit.head(v_tenant));
    if p ? 'head' then
        v := audit.judge_head(v, v_tenant, p -> 'head');
    end if;
    return v;
end
$$;
revoke all on function door.platform_audit_verify(jsonb) from public;
grant execute on function door.platform_audit_verify(jsonb) to service_role;

-- The heads of all chains, to be exported daily.
create function door.platform_audit_heads(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    perform ground.refuse_unknown(p, array['limit', 'cursor']);
    select coalesce(jsonb_agg(x.head || jsonb_build_object('tenant', x.slug) order by x.slug), '[]') into v_items from (
        select t.slug, audit.head(t.id) as head
        from (select null::uuid as id, '' as slug union all select t.id, t.slug::text from tenancy.tenants t) t
        where (p ->> 'cursor' is null or t.slug > p ->> 'cursor') and exists (select from audit.seals s where s.chain = coalesce(t.id, '00000000-0000-0000-0000-000000000000'))
        order by t.slug limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'tenant' end, 'at', clock_timestamp());
end
$$;
revoke all on function door.platform_audit_heads(jsonb) from public;
grant execute on function door.platform_audit_heads(jsonb) to service_role;

-- Says which header names the client, and the key by which the edge function is believed.
create function door.platform_set_audit(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_hash text := p ->> 'edge_key_sha256';
begin
    perform ground.refuse_unknown(p, array['client_header', 'edge_key_sha256']);
    if p ? 'client_header' and coalesce(p ->> 'client_header', '') not in ('x-forwarded-for', 'cf-connecting-ip', 'x-real-ip') then
        perform ground.fail('FIELD_INVALID', '$.client_header', 'client_header is x-forwarded-for, cf-connecting-ip or x-real-ip.');
    elsif v_hash !~ '^[0-9a-f]{64}$' then
        perform ground.fail('FIELD_INVALID', '$.edge_key_sha256', 'edge_key_sha256 is the SHA-256 of the edge key, in hex.');
    end if;
    update audit.settings s
    set client_header = coalesce(p ->> 'client_header', s.client_header),
        edge_key_hash = case when p ? 'edge_key_sha256' then decode(v_hash, 'hex') else s.edge_key_hash end
    where s.one;
    perform audit.append(null, 'audit.configure', 'audit', 'settings', p);
    return p;
end
$$;
revoke all on function door.platform_set_audit(jsonb) from public;
grant execute on function door.platform_set_audit(jsonb) to service_role;

set role app_owner;
revoke create on schema door from app_system;

create function public.platform_audit_verify(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.platform_audit_verify($1); end $$;
comment on function public.platform_audit_verify(jsonb) is 'Platform operator: {tenant?, since?, head?}: audit_verify of a tenant''s chain, or of the platform''s own.';
revoke all on function public.platform_audit_verify(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_audit_verify(jsonb) to service_role;

create function public.platform_audit_heads(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.platform_audit_heads($1); end $$;
comment on function public.platform_audit_heads(jsonb) is 'Platform operator: {limit?, cursor?} -> {items, next}: the head of every chain, to be exported daily.';
revoke all on function public.platform_audit_heads(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_audit_heads(jsonb) to service_role;

create function public.platform_set_audit(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_set_audit($1); end $$;
comment on function public.platform_set_audit(jsonb) is 'Platform operator: {client_header?, edge_key_sha256?}: whom to believe about where a request comes from.';
revoke all on function public.platform_set_audit(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_set_audit(jsonb) to service_role;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
