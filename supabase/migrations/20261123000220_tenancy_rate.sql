-- 22 tenancy: how often a tenant may knock at the edge door in a minute, all of it together and each who knocks. The door takes
-- leave for several requests at once and counts them itself, so a count here is one statement for many requests. Strangers, who have shown
-- no membership (yet), are counted by where they knock from.

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

create table tenancy.stranger_rate (
    one boolean primary key default true check (one),
    per_minute integer not null default 1200 check (per_minute between 1 and 10000000)
);
insert into tenancy.stranger_rate default values;
comment on table tenancy.stranger_rate is 'Internal: requests a minute at the edge door from one address whose sender is no known member.';

-- An address falls on one of 4096 places: so many rows and no more, from however many addresses somebody comes.
create unlogged table tenancy.strangers (
    place integer primary key check (place between 0 and 4095),
    minute timestamptz not null,
    taken integer not null check (taken >= 0)
);
comment on table tenancy.strangers is 'Internal: how many requests of strangers were let in from there, in this minute.';

-- Where somebody knocks from: of IPv6 he has a whole /64; what is no address is one place.
create function tenancy.stranger_place(p_address text)
returns integer language plpgsql immutable set search_path = '' as $$
begin
    return coalesce(hashtextextended(host(network(set_masklen(p_address::inet, case family(p_address::inet) when 6 then 64 else 32 end))), 0) & 4095, 0);
exception when invalid_text_representation then
    return 0;
end
$$;
revoke all on function tenancy.stranger_place(text) from public;
grant execute on function tenancy.stranger_place(text) to app_system;

alter table tenancy.stranger_rate enable row level security;
alter table tenancy.stranger_rate force row level security;
alter table tenancy.strangers enable row level security;
alter table tenancy.strangers force row level security;
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
create policy "the platform keeps the strangers' rate" on tenancy.stranger_rate for all to app_system using (true) with check (true);
create policy "strangers are counted" on tenancy.strangers for all to app_system using (true) with check (true);
grant select, update on tenancy.stranger_rate to app_system;
grant select, insert, update on tenancy.strangers to app_system;
grant select on tenancy.rates to authenticated;
grant select, insert, update on tenancy.rates to app_system;

set role postgres;
grant create on schema tenancy to app_system;
set role app_system;

-- As take_knocks, for who comes from there.
create function tenancy.take_strangers_knocks(p_address text, p_want integer)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_minute timestamptz := date_trunc('minute', clock_timestamp());
    v_place integer := tenancy.stranger_place(p_address);
    v_taken integer;
    v_given integer;
begin
    insert into tenancy.strangers as k (place, minute, taken) values (v_place, v_minute, 0)
    on conflict (place) do update set minute = greatest(k.minute, v_minute), taken = case when k.minute >= v_minute then k.taken else 0 end
    returning k.taken into v_taken;
    v_given := greatest(0, least(p_want, (select x.per_minute from tenancy.stranger_rate x) - v_taken));
    update tenancy.strangers k set taken = k.taken + v_given where k.place = v_place;
    return jsonb_build_object('granted', v_given, 'seconds', greatest(1, ceil(extract(epoch from v_minute + interval '1 minute' - clock_timestamp()))::integer));
end
$$;
revoke all on function tenancy.take_strangers_knocks(text, integer) from public;

set role postgres;
revoke create on schema tenancy from app_system;
revoke app_owner, app_system from postgres;
