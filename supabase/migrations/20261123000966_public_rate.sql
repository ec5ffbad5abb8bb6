-- public: leave for requests at the edge door, and how many of them a tenant has.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- Leave for so many requests of this minute.
create function door.knock(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
begin
    perform ground.refuse_unknown(p, array['want']);
    return tenancy.take_knocks(v_member.tenant_id, coalesce('token ' || (ground.caller()).token_id, 'user ' || v_member.user_id), job.check_integer(p, 'want', '$', 1, 100, 1)::integer);
end
$$;
revoke all on function door.knock(jsonb) from public;
grant execute on function door.knock(jsonb) to authenticated;

create function public.knock(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.knock($1); end $$;
comment on function public.knock(jsonb) is 'Of the edge door: {want?} -> {granted, seconds}: leave for so many requests of the caller, and the seconds that the minute still has.';
revoke all on function public.knock(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.knock(jsonb) to authenticated;

grant create on schema door to app_system;
set role app_system;

-- By the address that the audit would write down: what a caller says of himself is believed of a front of ours alone.
create function door.knock_outside(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
begin
    perform ground.refuse_unknown(p, array['want']);
    return tenancy.take_strangers_knocks((audit.origin()).ip, job.check_integer(p, 'want', '$', 1, 100, 1)::integer);
end
$$;
revoke all on function door.knock_outside(jsonb) from public;
grant execute on function door.knock_outside(jsonb) to anon;

-- Says how many requests a minute a tenant, and each of its members, may make at the edge door; or a stranger from one address.
create function door.platform_set_rate(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants;
    r tenancy.rates;
    v_strangers integer;
begin
    perform ground.refuse_unknown(p, array['tenant', 'per_minute', 'per_minute_each', 'per_minute_strangers']);
    if p ? 'per_minute_strangers' then
        perform ground.refuse_unknown(p, array['per_minute_strangers']);
        update tenancy.stranger_rate x set per_minute = job.check_integer(p, 'per_minute_strangers', '$', 1, 10000000, x.per_minute) returning x.per_minute into v_strangers;
        perform audit.append(null, 'platform.set_rate', 'platform', 'strangers', p);
        return jsonb_build_object('per_minute_strangers', v_strangers);
    end if;
    t := tenancy.find_tenant(p ->> 'tenant');
    insert into tenancy.rates (tenant_id) values (t.id) on conflict do nothing;
    update tenancy.rates x
    set per_minute = job.check_integer(p, 'per_minute', '$', 1, 10000000, x.per_minute), per_minute_each = job.check_integer(p, 'per_minute_each', '$', 1, 10000000, x.per_minute_each)
    where x.tenant_id = t.id returning x.* into r;
    perform audit.append(t.id, 'tenant.set_rate', 'tenant', t.slug, p);
    return to_jsonb(r);
end
$$;
revoke all on function door.platform_set_rate(jsonb) from public;
grant execute on function door.platform_set_rate(jsonb) to service_role;

set role app_owner;
revoke create on schema door from app_system;

create function public.knock_outside(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.knock_outside($1); end $$;
comment on function public.knock_outside(jsonb) is 'Of the edge door: {want?} -> {granted, seconds}: leave for so many requests of somebody unknown, by where he comes from.';
revoke all on function public.knock_outside(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.knock_outside(jsonb) to anon;

create function public.platform_set_rate(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_set_rate($1); end $$;
comment on function public.platform_set_rate(jsonb) is 'Platform operator: {tenant, per_minute?, per_minute_each?}: requests a minute at the edge door; or {per_minute_strangers}: of who is no known member, from one address.';
revoke all on function public.platform_set_rate(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_set_rate(jsonb) to service_role;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
