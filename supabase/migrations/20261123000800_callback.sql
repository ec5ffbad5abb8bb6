-- callback: endpoints, events, deliveries: the outbox. Law 2: outbox rows commit with the state change they tell of.
-- No secret is stored: signing keys are derived from the master key, the endpoint's id and its secret version.

grant app_owner, app_system to postgres;
create schema callback authorization app_owner;
set role app_owner;
grant usage on schema callback to authenticated, service_role, app_system;

create type callback.delivery_state as enum (
    'PENDING',     -- waits for next_at; RUNNING -> PENDING after a failure or a lost lease
    'RUNNING',     -- PENDING -> RUNNING: a sender holds it under a lease
    'DELIVERED',   -- final: the receiver said 2xx
    'DEAD',        -- final: every try failed; can be replayed
    'GONE',        -- final: the endpoint said 410, failed for days, or was deleted
    'MERGED'       -- final, only where the endpoint asked for it: a later progress of the run tells it as well
);

create table callback.settings (
    one boolean primary key default true check (one),
    -- Standard Webhooks' example schedule: one try more than pauses, 10 over about 75 h
    pauses interval[] not null default '{5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours, 14 hours, 20 hours, 24 hours}' check (cardinality(pauses) > 0),
    retry_after_least interval not null default '1 second',
    retry_after_most interval not null default '1 hour',
    timeout_seconds numeric not null default 15 check (timeout_seconds > 0),  -- of one try, all of it
    lease_seconds numeric not null default 60,  -- of the sender
    breaker_failures integer not null default 5 check (breaker_failures > 0),  -- one after the other: the circuit opens
    breaker_pause interval not null default '30 seconds',  -- doubles with every opening
    breaker_pause_most interval not null default '10 minutes',
    disable_after interval not null default '5 days',  -- of failures and no success
    merge_for interval not null default '2 seconds',  -- progress waits so long for newer progress, where the endpoint asked for it
    rotation_overlap interval not null default '1 day',  -- after a rotation
    check (timeout_seconds < lease_seconds)
);
insert into callback.settings default values;
comment on table callback.settings is 'Internal: the clockwork of the senders; tests compress it.';

create table callback.allowed_networks (
    id bigint not null generated always as identity primary key,
    tenant_id uuid references tenancy.tenants,  -- null: the platform's bound
    network cidr not null,
    ports integer[] check (cardinality(ports) >= 1 and cardinality(ports) <= 100 and 0 < all(ports) and 65536 > all(ports)),  -- null: the ordinary ones
    created_at timestamptz not null default now(),
    created_by text not null
);
create unique index allowed_networks_once on callback.allowed_networks (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), network);
create index allowed_networks_of_tenant on callback.allowed_networks (tenant_id);
comment on table callback.allowed_networks is 'Private networks that callbacks may reach: an admin''s row counts only inside a row of the platform.';

create table callback.endpoints (
    tenant_id uuid not null references tenancy.tenants,
    id uuid not null default gen_random_uuid(),
    url text not null check (length(url) between 8 and 2048),
    events text[] not null default '{}' check (events <@ array['run.completed', 'run.failed', 'run.progress', 'endpoint.disabled']),  -- empty: only runs that name it
    description text check (length(description) <= 500),
    max_concurrency smallint not null default 16 check (max_concurrency between 1 and 100),  -- tries under way at once, over all senders
    ordered boolean not null default false,  -- of one run, the next is sent after the one before it has ended
    merge_progress boolean not null default false,  -- of waiting progress only the newest is sent
    ed25519 boolean not null default false,  -- signs with ed25519 (v1a) beside the shared secret
    secret_version integer not null default 1,
    rotated_at timestamptz,  -- for a day after it both versions sign
    failures integer not null default 0,  -- since the last success
    failing_since timestamptz,
    openings integer not null default 0,  -- of the circuit, since the last success
    open_until timestamptz,  -- no try before then; after it a single one as a probe, until one succeeds
    created_by text not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    disabled_reason text,
    deleted_at timestamptz,
    primary key (tenant_id, id),
    constraint failing_iff_failures check ((failures > 0) = (failing_since is not null))
);
create unique index endpoints_have_one_url on callback.endpoints (tenant_id, md5(url)) where deleted_at is null;

-- What a run asked for: callbacks.on_complete, on_fail, on_progress.
create table callback.subscriptions (
    tenant_id uuid not null,
    run_id bigint not null,
    type text not null check (type in ('run.completed', 'run.failed', 'run.progress')),
    endpoint_id uuid not null,
    primary key (tenant_id, run_id, type, endpoint_id),
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id),
    foreign key (tenant_id, endpoint_id) references callback.endpoints (tenant_id, id)
);
create index subscriptions_of_endpoint on callback.subscriptions (endpoint_id, tenant_id);

create table callback.events (
    tenant_id uuid not null,
    id text not null default 'evt_' || replace(gen_random_uuid()::text, '-', ''),
    run_id bigint,  -- null: the tenant's own
    seq bigint check (seq > 0),
    type text not null check (type in ('run.completed', 'run.failed', 'run.progress', 'endpoint.disabled')),
    repair integer not null default 0,  -- of a terminal event: how often the run had been repaired
    at timestamptz not null default clock_timestamp(),
    data jsonb not null,
    -- the order of catching up: who reads only what transactions below all running ones wrote, misses nothing that commits late
    written_by xid8 not null default pg_current_xact_id(),
    position bigint not null generated always as identity,
    primary key (id, tenant_id),
    unique (run_id, tenant_id, seq),
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id),
    constraint numbered_iff_of_a_run check ((run_id is null) = (seq is null) and (type like 'run.%') = (run_id is not null))
);
-- (every row is in it; were it not partial, whoever looks for one event of a tenant by its id while there are few would go through it, and
-- by that plan through all of the tenant's ever after: the check of a foreign key cannot be told how to look)
create index events_in_order on callback.events (tenant_id, written_by, position) where position > 0;
create unique index one_terminal_event_per_run_and_repair on callback.events (run_id, tenant_id, repair) where type in ('run.completed', 'run.failed');

create table callback.deliveries (
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    event_id text not null,
    endpoint_id uuid not null,
    url text not null,
    state callback.delivery_state not null default 'PENDING',
    tries integer not null default 0,
    next_at timestamptz not null default clock_timestamp(),
    lease integer not null default 0,
    lease_expires_at timestamptz,
    runner uuid,
    last_status integer,
    last_error text check (length(last_error) <= 500),
    created_at timestamptz not null default clock_timestamp(),
    first_tried_at timestamptz,
    finished_at timestamptz,
    primary key (tenant_id, id),
    unique (event_id, tenant_id, endpoint_id),
    foreign key (tenant_id, event_id) references callback.events (tenant_id, id),
    foreign key (tenant_id, endpoint_id) references callback.endpoints (tenant_id, id),
    constraint finished_iff_finished_at check ((state in ('DELIVERED', 'DEAD', 'GONE', 'MERGED')) = (finished_at is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
create index deliveries_due on callback.deliveries (endpoint_id, next_at) where state = 'PENDING';
create index deliveries_under_way on callback.deliveries (endpoint_id) where state = 'RUNNING';
create index deliveries_missed on callback.deliveries (endpoint_id, id) where state in ('DEAD', 'GONE');
create index deliveries_of_endpoint on callback.deliveries (endpoint_id, tenant_id, id);

do $rls$
declare
    t text;
begin
    foreach t in array array['endpoints', 'subscriptions', 'events', 'deliveries'] loop
        execute format('alter table callback.%I enable row level security', t);
        execute format('alter table callback.%I force row level security', t);
        execute format('create policy "members see their callbacks" on callback.%I for select to authenticated
                        using (tenant_id = (select tenancy.tenant_id()))', t);
        execute format('create policy "doors keep the caller''s callbacks" on callback.%I for all to app_owner
                        using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()))', t);
        execute format('create policy "the worker keeps callbacks" on callback.%I for all to app_system using (true) with check (true)', t);
        execute format('grant select on callback.%I to authenticated', t);
        execute format('grant select, insert, update on callback.%I to app_system', t);
    end loop;
end
$rls$;
revoke update on callback.events, callback.subscriptions from app_system;
alter table callback.settings enable row level security;
alter table callback.settings force row level security;
create policy "doors read settings" on callback.settings for select to app_owner using (true);
create policy "the worker reads settings" on callback.settings for all to app_system using (true) with check (true);
grant select, insert, update on callback.settings to app_system;
alter table callback.allowed_networks enable row level security;
alter table callback.allowed_networks force row level security;
create policy "admins see what is allowed" on callback.allowed_networks for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) = 'admin');
create policy "doors see what the caller and the platform allow" on callback.allowed_networks for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()) or tenant_id is null);
create policy "doors add what the caller allows" on callback.allowed_networks for insert to app_owner
    with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors remove what the caller allows" on callback.allowed_networks for delete to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the platform keeps its bounds" on callback.allowed_networks for all to app_system using (true) with check (true);
grant select on callback.allowed_networks to authenticated;
grant select, insert, delete on callback.allowed_networks to app_system;

create trigger events_are_append_only before update on callback.events for each row execute function ground.refuse_change();
create trigger events_are_never_truncated before truncate on callback.events for each statement execute function ground.refuse_change();
alter table callback.events enable always trigger events_are_append_only;
alter table callback.events enable always trigger events_are_never_truncated;

set role postgres;
revoke app_owner, app_system from postgres;
