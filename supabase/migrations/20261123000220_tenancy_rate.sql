-- 22 tenancy: how often a tenant may knock at the edge door in a minute, all of it together and each who knocks. The door takes
-- leave for several requests at once and counts them itself, so a count here is one statement for many requests.

grant app_owner, app_system to postgres;
set role app_owner;

create table tenancy.rates (
    tenant_id uuid primary key references tenancy.tenants,
    per_minute integer not null default 60000 check (per_minute between 1 and 10000000),
    per_minute_each integer not null default 30000 check (per_minute_each between 1 and 10000000)
);
comment on table tenancy.rates is 'Internal: requests a minute at the edge door, of a tenant and of each who knocks; without a row, the defaults.';

-- Worth nothing after a crash: unlogged. A row for each who knocks, with the minute it speaks of.
create unlogged table tenancy.knocks (
    tenant_id uuid not null references tenancy.tenants,
    who text not null check (length(who) <= 300),  -- '' is the tenant as a whole
    minute timestamptz not null,
    taken integer not null check (taken >= 0),
    primary key (tenant_id, who)
);
comment on table tenancy.knocks is 'Internal: how many requests were let in, in this minute.';

-- As many as there is room for, and the seconds until there is more. The tenant's row comes first: so nobody waits in a ring.
create function tenancy.take_knocks(p_tenant uuid, p_who text, p_want integer)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_minute timestamptz := date_trunc('minute', clock_timestamp());
    r tenancy.rates;
    v_all integer;
    v_each integer;
    v_given integer;
begin
    select x.* into r from tenancy.rates x where x.tenant_id = p_tenant;
    insert into tenancy.knocks as k (tenant_id, who, minute, taken) values (p_tenant, '', v_minute, 0)
    on conflict (tenant_id, who) do update set minute = greatest(k.minute, v_minute), taken = case when k.minute >= v_minute then k.taken else 0 end
    returning k.taken into v_all;
    insert into tenancy.knocks as k (tenant_id, who, minute, taken) values (p_tenant, p_who, v_minute, 0)
    on conflict (tenant_id, who) do update set minute = greatest(k.minute, v_minute), taken = case when k.minute >= v_minute then k.taken else 0 end
    returning k.taken into v_each;
    v_given := greatest(0, least(p_want, coalesce(r.per_minute, 60000) - v_all, coalesce(r.per_minute_each, 30000) - v_each));
    update tenancy.knocks k set taken = k.taken + v_given where k.tenant_id = p_tenant and k.who in ('', p_who);
    return jsonb_build_object('granted', v_given, 'seconds', greatest(1, ceil(extract(epoch from v_minute + interval '1 minute' - clock_timestamp()))::integer));
end
$$;
revoke all on function tenancy.take_knocks(uuid, text, integer) from public;

alter table tenancy.rates enable row level security;
alter table tenancy.rates force row level security;
alter table tenancy.knocks enable row level security;
alter table tenancy.knocks force row level security;
create policy "doors see the caller's rate" on tenancy.rates for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "members see their rate" on tenancy.rates for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "the platform keeps rates" on tenancy.rates for all to app_system using (true) with check (true);
create policy "doors count the caller's knocks" on tenancy.knocks for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
grant select on tenancy.rates to authenticated;
grant select, insert, update on tenancy.rates to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
