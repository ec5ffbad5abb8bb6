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
create index events_in_order on callback.events (tenant_id, written_by, position);
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

-- --------------------------------------------------------------------------------------- addresses

-- Networks that the public internet has no business in; the sender checks what names resolve to, this what is literal.
create function callback.is_special(p inet)
returns boolean language sql immutable parallel safe set search_path = '' as $$
    select p <<= any (array[
        '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24',
        '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
        '::/96', '::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/32', '2001:2::/48', '2001:db8::/32', '2002::/16',
        '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8']::inet[])
$$;
revoke all on function callback.is_special(inet) from public;
grant execute on function callback.is_special(inet) to app_system;

-- A literal address as resolvers read it: dotted, short, decimal, octal or hex; null for a name.
create function callback.literal_address(p_host text)
returns inet language plpgsql immutable set search_path = '' as $$
declare
    v text := rtrim(lower(p_host), '.');
    v_parts text[];
    v_part text;
    v_numbers bigint[] := '{}';
    v_n bigint;
    v_value bigint := 0;
    c text;
    i integer;
begin
    if v like '[%]' then
        begin
            return regexp_replace(btrim(v, '[]'), '%.*$', '')::inet;
        exception when others then
            return '::'::inet;  -- unreadable in brackets: treated as special
        end;
    end if;
    v_parts := string_to_array(v, '.');
    if cardinality(v_parts) not between 1 and 4 then
        return null;
    end if;
    foreach v_part in array v_parts loop
        if v_part ~ '^0x[0-9a-f]*$' then
            v_n := 0;
            foreach c in array regexp_split_to_array(substr(v_part, 3), '') loop
                exit when c = '';
                v_n := least(v_n * 16 + strpos('0123456789abcdef', c) - 1, 4294967296);
            end loop;
        elsif v_part ~ '^0[0-7]+$' then
            v_n := 0;
            foreach c in array regexp_split_to_array(v_part, '') loop
                v_n := least(v_n * 8 + c::bigint, 4294967296);
            end loop;
        elsif v_part ~ '^[0-9]+$' then
            v_n := least(v_part::numeric, 4294967296);
        else
            return null;
        end if;
        v_numbers := v_numbers || v_n;
    end loop;
    i := cardinality(v_numbers);
    if v_numbers[i] >= (256::bigint ^ (5 - i))::bigint or exists (select from unnest(v_numbers[1:i - 1]) n where n > 255) then
        return '0.0.0.0'::inet;  -- out of range: nothing good resolves it
    end if;
    for n in 1 .. i - 1 loop
        v_value := v_value + v_numbers[n] * (256::bigint ^ (4 - n))::bigint;
    end loop;
    v_value := v_value + v_numbers[i];
    return '0.0.0.0'::inet + v_value;
end
$$;
revoke all on function callback.literal_address(text) from public;
grant execute on function callback.literal_address(text) to app_system;

-- An admin's network counts only inside the platform's; platform rows open nothing by themselves except loopback (local stack).
create function callback.allowed(p_tenant uuid)
returns cidr[] language plpgsql stable set search_path = '' as $$
begin
    return (select coalesce(array_agg(distinct n), '{}') from (
        select b.network as n from callback.allowed_networks b where b.tenant_id is null and b.network <<= any (array['127.0.0.0/8', '::1/128']::cidr[])
        union
        select a.network from callback.allowed_networks a
        where a.tenant_id = p_tenant
          and exists (select from callback.allowed_networks b where b.tenant_id is null and a.network <<= b.network)) x);
end
$$;
revoke all on function callback.allowed(uuid) from public;
grant execute on function callback.allowed(uuid) to app_system;

-- What nobody opens, not even the platform: link local with the metadata of every cloud, broadcast, multicast, the unspecified;
-- loopback is the local stack's.
create function callback.never_opened(p cidr)
returns boolean language sql immutable parallel safe set search_path = '' as $$
    select p && any (array['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '::/128', '::ffff:0:0/96', 'fe80::/10', 'fec0::/10', 'ff00::/8']::cidr[])
        or (p && any (array['127.0.0.0/8', '::1/128']::cidr[]) and not p <<= any (array['127.0.0.0/8', '::1/128']::cidr[]))
$$;
revoke all on function callback.never_opened(cidr) from public;
grant execute on function callback.never_opened(cidr) to app_system;

create function callback.check_url(p_tenant uuid, p_url text, p_path text)
returns text language plpgsql stable set search_path = '' as $$
declare
    v_authority text := substring(p_url from '^[A-Za-z]+://([^/?#]*)');
    v_host text := substring(v_authority from '^(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?$');
    v_port text := substring(v_authority from ':([0-9]+)$');
    v_address inet;
begin
    if p_url is null or length(p_url) > 2048 or p_url ~ '[[:cntrl:][:space:]\\]' or p_url !~* '^https?://[^/?#@]+(/[^#]*|\?[^#]*)?$'
       or v_host is null or length(v_host) > 253 or (v_host <> v_authority and v_port::integer not between 1 and 65535) then
        perform ground.fail('CALLBACK_URL_INVALID', p_path);
    end if;
    v_address := callback.literal_address(v_host);
    if v_address is null and lower(rtrim(v_host, '.')) ~ '(^|\.)localhost$' then
        v_address := '127.0.0.1';
    end if;
    if v_address is not null and callback.is_special(v_address) and not v_address <<= any (callback.allowed(p_tenant)::inet[]) then
        perform ground.fail('CALLBACK_ADDRESS_DENIED', p_path);
    end if;
    return p_url;
end
$$;
revoke all on function callback.check_url(uuid, text, text) from public;
grant execute on function callback.check_url(uuid, text, text) to app_system;

-- --------------------------------------------------------------------------------------- the outbox

-- {on_complete, on_fail, on_progress} -> (type, url) pairs, every URL checked before anything is written.
create function callback.check_callbacks(p_tenant uuid, p jsonb, p_path text default '$.callbacks')
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    f record;
begin
    perform ground.refuse_unknown(p, array['on_complete', 'on_fail', 'on_progress'], p_path);
    for f in select key, value from jsonb_each(p) loop
        if jsonb_typeof(f.value) <> 'string' then
            perform ground.fail('CALLBACK_URL_INVALID', p_path || '.' || f.key);
        end if;
        perform callback.check_url(p_tenant, f.value #>> '{}', p_path || '.' || f.key);
    end loop;
    return p;
end
$$;
revoke all on function callback.check_callbacks(uuid, jsonb, text) from public;
grant execute on function callback.check_callbacks(uuid, jsonb, text) to app_system;

-- An ad-hoc URL is an endpoint that only the runs that name it speak to.
create function callback.endpoint_for(p_tenant uuid, p_user text, p_url text)
returns uuid language plpgsql set search_path = '' as $$
declare
    v_id uuid;
begin
    select e.id into v_id from callback.endpoints e where e.tenant_id = p_tenant and md5(e.url) = md5(p_url) and e.deleted_at is null;
    if v_id is null then
        insert into callback.endpoints as e (tenant_id, url, created_by) values (p_tenant, p_url, p_user)
        on conflict (tenant_id, md5(url)) where deleted_at is null do update set url = excluded.url
        returning e.id into v_id;
    end if;
    return v_id;
end
$$;
revoke all on function callback.endpoint_for(uuid, text, text) from public;
grant execute on function callback.endpoint_for(uuid, text, text) to app_system;

create function callback.subscribe(p_tenant uuid, p_user text, p_run bigint, p jsonb)
returns void language sql volatile set search_path = '' as $$
    insert into callback.subscriptions (tenant_id, run_id, type, endpoint_id)
    select p_tenant, p_run, t.type, callback.endpoint_for(p_tenant, p_user, p ->> t.field)
    from (values ('on_complete', 'run.completed'), ('on_fail', 'run.failed'), ('on_progress', 'run.progress')) t (field, type)
    where p ? t.field
    on conflict do nothing
$$;
revoke all on function callback.subscribe(uuid, text, bigint, jsonb) from public;
grant execute on function callback.subscribe(uuid, text, bigint, jsonb) to app_system;

-- Of waiting progress only the newest is sent: what no sender has tried yet ends as MERGED, and the new one takes its time, so
-- that a flood of progress does not put it off for ever.
create function callback.merge_progress(p_tenant uuid, p_run bigint, p_seq bigint, p_endpoint uuid)
returns timestamptz language plpgsql set search_path = '' as $$
declare
    v_at timestamptz;
begin
    update callback.deliveries d set state = 'MERGED', finished_at = clock_timestamp()
    where d.tenant_id = p_tenant and d.id = (
        select x.id from (select e.id, e.type from callback.events e
                          where e.tenant_id = p_tenant and e.run_id = p_run and e.seq < p_seq order by e.seq desc limit 1) last
        join callback.deliveries x on x.event_id = last.id and x.tenant_id = p_tenant and x.endpoint_id = p_endpoint
        where last.type = 'run.progress' and x.state = 'PENDING' and x.tries = 0 for update of x skip locked)  -- a sender has it: too late
    returning d.next_at into v_at;
    return coalesce(v_at, clock_timestamp() + (select s.merge_for from callback.settings s));
end
$$;
revoke all on function callback.merge_progress(uuid, bigint, bigint, uuid) from public;
grant execute on function callback.merge_progress(uuid, bigint, bigint, uuid) to app_system;

-- One event of a run with its per-run seq, and one delivery for each endpoint that wants it.
create function callback.emit(p_tenant uuid, p_run bigint, p_type text, p_data jsonb)
returns text language plpgsql set search_path = '' as $$
declare
    v_seq bigint;
    v_event text;
begin
    update queue.runs r set event_seq = r.event_seq + 1 where r.tenant_id = p_tenant and r.id = p_run returning r.event_seq into v_seq;
    insert into callback.events as e (tenant_id, run_id, seq, type, data)
    values (p_tenant, p_run, v_seq, p_type, p_data || jsonb_build_object('seq', v_seq))
    returning e.id into v_event;
    insert into callback.deliveries (tenant_id, event_id, endpoint_id, url, state, finished_at, next_at)
    select p_tenant, v_event, e.id, e.url,
           case when e.disabled_at is null then 'PENDING' else 'GONE' end::callback.delivery_state,
           case when e.disabled_at is not null then clock_timestamp() end,
           case when e.merge_progress and e.disabled_at is null and p_type = 'run.progress' then callback.merge_progress(p_tenant, p_run, v_seq, e.id)
                else clock_timestamp() end
    from callback.endpoints e
    where e.tenant_id = p_tenant and e.deleted_at is null
      and (p_type = any (e.events)
           or exists (select from callback.subscriptions s where s.tenant_id = p_tenant and s.run_id = p_run and s.type = p_type and s.endpoint_id = e.id));
    if found then
        perform ground.wake('control_room_deliveries');
    end if;
    return v_event;
end
$$;
revoke all on function callback.emit(uuid, bigint, text, jsonb) from public;
grant execute on function callback.emit(uuid, bigint, text, jsonb) to app_system;

-- The one terminal event of each run that just ended: exactly one for each time it ended, by index; CANCELED, TIMED_OUT and SKIPPED count as failed.
-- Its seq was taken by the statement that ended the run. Told twice, it says so once.
create function callback.announce(p_tenants uuid[], p_runs bigint[])
returns void language plpgsql set search_path = ''
set enable_seqscan = off as $$  -- as in queue.submit
begin
    with ended as (
        select r.* from unnest(p_tenants, p_runs) u (tenant_id, id) join queue.runs r on r.tenant_id = u.tenant_id and r.id = u.id
    ), event as (
        insert into callback.events as e (tenant_id, run_id, seq, repair, type, data)
        select r.tenant_id, r.id, r.event_seq, r.repair_count, case r.state when 'SUCCEEDED' then 'run.completed' else 'run.failed' end,
            jsonb_build_object('run_id', r.id, 'job_id', r.job_id, 'job_type', r.job_type, 'name', r.name, 'state', r.state,
                'termination_code', r.termination_code, 'termination_message', left(r.termination_message, 500),
                'created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at, 'repair', r.repair_count,
                'url', '/functions/v1/api/v1/runs/' || r.id, 'seq', r.event_seq)
        from ended r
        on conflict do nothing
        returning e.tenant_id, e.id, e.run_id, e.type
    )
    insert into callback.deliveries (tenant_id, event_id, endpoint_id, url, state, finished_at)
    select v.tenant_id, v.id, e.id, e.url,
           case when e.disabled_at is null then 'PENDING' else 'GONE' end::callback.delivery_state,
           case when e.disabled_at is not null then clock_timestamp() end
    from event v
    join callback.endpoints e on e.tenant_id = v.tenant_id and e.deleted_at is null
    where v.type = any (e.events)
       or exists (select from callback.subscriptions s
                  where s.tenant_id = v.tenant_id and s.run_id = v.run_id and s.type = v.type and s.endpoint_id = e.id);
    if found then
        perform ground.wake('control_room_deliveries');
    end if;
end
$$;
revoke all on function callback.announce(uuid[], bigint[]) from public;
grant execute on function callback.announce(uuid[], bigint[]) to app_system;

-- What happened to runs inside other steps: one that a task started is listened to as its job says; one that ended is announced, and its place among
-- the runs of its job is passed on: which may be news again.
create function callback.relay()
returns void language plpgsql set search_path = '' as $$
declare
    n record;
    v_tenants uuid[];
    v_runs bigint[];
begin
    while exists (select from queue.news) loop
        v_tenants := '{}';
        v_runs := '{}';
        for n in
            with gone as (
                delete from queue.news x
                where (x.run_id, x.tenant_id, x.ended) in (select y.run_id, y.tenant_id, y.ended from queue.news y for update skip locked) returning x.*
            )
            select g.*, r.created_by, v.definition -> 'callbacks' as callbacks
            from gone g
            join queue.runs r on r.tenant_id = g.tenant_id and r.id = g.run_id
            left join job.versions v on not g.ended and v.tenant_id = r.tenant_id and v.job_id = r.job_id and v.version = r.job_version
        loop
            if n.ended then
                v_tenants := v_tenants || n.tenant_id;
                v_runs := v_runs || n.run_id;
            elsif n.callbacks <> '{}' then
                perform callback.subscribe(n.tenant_id, n.created_by, n.run_id, n.callbacks);
            end if;
        end loop;
        exit when v_runs = '{}';  -- what is left is somebody else's
        perform callback.announce(v_tenants, v_runs);
        perform queue.pass_on(v_tenants, v_runs);
    end loop;
end
$$;
revoke all on function callback.relay() from public;
grant execute on function callback.relay() to app_system;

-- Progress is an event only where somebody asked for it.
create function callback.wants_progress(p_tenant uuid, p_run bigint)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    return exists (select from callback.subscriptions s where s.tenant_id = p_tenant and s.run_id = p_run and s.type = 'run.progress')
        or exists (select from callback.endpoints e where e.tenant_id = p_tenant and e.deleted_at is null and 'run.progress' = any (e.events));
end
$$;
revoke all on function callback.wants_progress(uuid, bigint) from public;
grant execute on function callback.wants_progress(uuid, bigint) to app_system;

create function callback.announce_progress(p_tenant uuid, p_run bigint)
returns void language plpgsql set search_path = '' as $$
declare
    r record;
begin
    if not callback.wants_progress(p_tenant, p_run) then
        return;
    end if;
    select x.job_id, x.job_type, x.name, x.state,
           (select avg(t.percent)::integer from queue.task_runs t where t.tenant_id = p_tenant and t.run_id = p_run) as percent,
           (select t.progress_message from queue.task_runs t where t.tenant_id = p_tenant and t.run_id = p_run and t.state = 'RUNNING' limit 1) as message
    into r from queue.runs x where x.tenant_id = p_tenant and x.id = p_run and not queue.is_final(x.state);
    if found then
        perform callback.emit(p_tenant, p_run, 'run.progress', jsonb_build_object('run_id', p_run, 'job_id', r.job_id, 'job_type', r.job_type,
            'name', r.name, 'state', r.state, 'percent', r.percent, 'message', r.message, 'url', '/functions/v1/api/v1/runs/' || p_run));
    end if;
end
$$;
revoke all on function callback.announce_progress(uuid, bigint) from public;
grant execute on function callback.announce_progress(uuid, bigint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
