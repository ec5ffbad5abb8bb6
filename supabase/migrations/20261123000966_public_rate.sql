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

-- Says how many requests a minute a tenant, and each of its members, may make at the edge door.
create function door.platform_set_rate(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
    r tenancy.rates;
begin
    perform ground.refuse_unknown(p, array['tenant', 'per_minute', 'per_minute_each']);
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

create function public.platform_set_rate(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_set_rate($1); end $$;
comment on function public.platform_set_rate(jsonb) is 'Platform operator: {tenant, per_minute?, per_minute_each?}: requests a minute at the edge door.';
revoke all on function public.platform_set_rate(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_set_rate(jsonb) to service_role;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
