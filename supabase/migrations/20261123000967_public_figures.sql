-- public: the success figures of every tenant, for whoever operates the platform.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
grant create on schema door to app_system;
set role app_system;

-- The same figures that each of them sees (door.figures), tenant by tenant: in pages, for the lineage of each is looked through.
create function door.platform_slo(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_limit integer := least(ground.page_limit(p), 100);
    v_hours integer := job.check_integer(p, 'window_hours', '$', 1, 8760, 24);
    v_one uuid := case when p ? 'tenant' then (tenancy.find_tenant(p ->> 'tenant')).id end;
    v_items jsonb;
begin
    perform ground.refuse_unknown(p, array['tenant', 'window_hours', 'limit', 'cursor']);
    select coalesce(jsonb_agg(jsonb_build_object('tenant', x.slug) || door.figures(x.id, v_hours) order by x.slug), '[]') into v_items
    from (select t.id, t.slug from tenancy.tenants t
          where (v_one is null or t.id = v_one) and t.slug > coalesce(p ->> 'cursor', '') order by t.slug limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 -> 'tenant' end);
end
$$;
revoke all on function door.platform_slo(jsonb) from public;
grant execute on function door.platform_slo(jsonb) to service_role;

set role app_owner;
revoke create on schema door from app_system;

create function public.platform_slo(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.platform_slo($1); end $$;
comment on function public.platform_slo(jsonb) is 'Platform operator: {tenant?, window_hours?, limit?, cursor?} -> {items, next}: the success figures of each tenant, as slo gives it its own.';
revoke all on function public.platform_slo(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_slo(jsonb) to service_role;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
