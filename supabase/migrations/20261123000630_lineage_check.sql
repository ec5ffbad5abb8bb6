-- lineage, further part: facets are checked after they are stored, by a runner, with the official client's own classes. What it finds is
-- kept beside the event, which stays as it came.

grant app_owner, app_system to postgres;
set role app_owner;

-- What waits to be looked at, some events of one telling together: a row goes when they have been.
create table lineage.unchecked (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    event_ids bigint[] not null check (cardinality(event_ids) between 1 and 200),
    lease integer not null default 0,
    lease_expires_at timestamptz,
    primary key (tenant_id, id)
);

create table lineage.findings (
    tenant_id uuid not null,
    event_id bigint not null,
    checked_at timestamptz not null default clock_timestamp(),
    faults jsonb not null check (jsonb_typeof(faults) = 'array'),
    primary key (event_id, tenant_id),
    foreign key (tenant_id, event_id) references lineage.events (tenant_id, id)
);
comment on table lineage.findings is 'Of events with a known facet that its class would not take: [{path, message}].';

do $rls$
declare
    t text;
begin
    foreach t in array array['unchecked', 'findings'] loop
        execute format('alter table lineage.%I enable row level security', t);
        execute format('alter table lineage.%I force row level security', t);
        execute format('create policy "doors keep the caller''s lineage" on lineage.%I for all to app_owner
                        using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()))', t);
        execute format('create policy "the worker keeps lineage" on lineage.%I for all to app_system using (true) with check (true)', t);
    end loop;
end
$rls$;
create policy "operators see what was found" on lineage.findings for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');
grant select on lineage.findings to authenticated;
grant select, insert on lineage.findings to app_system;
grant select, insert, update, delete on lineage.unchecked to app_system;

-- Up to p_limit batches of events to look at, for a minute.
create function lineage.claim_unchecked(p_limit integer)
returns setof lineage.unchecked language sql volatile set search_path = '' as $$
    update lineage.unchecked u set lease = u.lease + 1, lease_expires_at = clock_timestamp() + interval '60 seconds'
    where u.ctid = any (array(  -- locked just above
        select x.ctid from lineage.unchecked x where x.lease_expires_at is null or x.lease_expires_at < clock_timestamp()
        order by x.id limit p_limit for update skip locked))
    returning u.*
$$;
revoke all on function lineage.claim_unchecked(integer) from public;
grant execute on function lineage.claim_unchecked(integer) to app_system;

-- What was found in a batch: p is [{event_id, faults}], of its own events only. False where the lease was lost.
create function lineage.settle_unchecked(p_tenant uuid, p_id bigint, p_lease integer, p jsonb)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_events bigint[];
begin
    delete from lineage.unchecked u where u.id = p_id and u.tenant_id = p_tenant and u.lease = p_lease returning u.event_ids into v_events;
    insert into lineage.findings (tenant_id, event_id, faults)
    select p_tenant, (f ->> 'event_id')::bigint, f -> 'faults' from jsonb_array_elements(p) f
    where (f ->> 'event_id')::bigint = any (v_events) and f -> 'faults' <> '[]'
    on conflict do nothing;
    return v_events is not null;
end
$$;
revoke all on function lineage.settle_unchecked(uuid, bigint, integer, jsonb) from public;
grant execute on function lineage.settle_unchecked(uuid, bigint, integer, jsonb) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
