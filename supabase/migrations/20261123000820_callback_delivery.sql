-- callback: the senders' side. Claim, settle, reap; how an endpoint that fails is spared, and in the end disabled.
-- Whoever locks both locks endpoints first, in the order of their ids, then deliveries in the order of theirs; whoever may
-- choose passes locked rows over. So nobody waits in a circle.

grant app_owner, app_system to postgres;
set role app_owner;

-- Standard Webhooks' example schedule with up to 10 % of jitter; Retry-After replaces it, within bounds.
create function callback.delay(p_tries integer, p_retry_after numeric)
returns interval language plpgsql volatile set search_path = '' as $$
begin
    return (select case when p_retry_after is not null
                        then least(greatest(make_interval(secs => least(p_retry_after, 1e8)), s.retry_after_least), s.retry_after_most)
                        else s.pauses[least(p_tries, cardinality(s.pauses))] * (1 + random() * 0.1) end
            from callback.settings s);
end
$$;
revoke all on function callback.delay(integer, numeric) from public;
grant execute on function callback.delay(integer, numeric) to app_system;

-- What a failed try leads to: another, or the end of it.
create function callback.after_failure(d callback.deliveries)
returns callback.delivery_state language plpgsql stable set search_path = '' as $$
begin
    return case when exists (select from callback.endpoints e where e.tenant_id = d.tenant_id and e.id = d.endpoint_id and e.disabled_at is not null) then 'GONE'
                when d.tries > (select cardinality(s.pauses) from callback.settings s) then 'DEAD' else 'PENDING' end;
end
$$;
revoke all on function callback.after_failure(callback.deliveries) from public;
grant execute on function callback.after_failure(callback.deliveries) to app_system;

-- The endpoints that something waits for, each with the moment its first delivery is due. The index is skipped through: what
-- it costs goes with the endpoints that wait, not with what waits for them (100,000 behind a dead one are one step).
create function callback.waiting()
returns table (tenant_id uuid, endpoint_id uuid, next_at timestamptz) language plpgsql stable rows 50 set search_path = '' as $$
begin
    return query
    with recursive lane as (
        (select d.tenant_id, d.endpoint_id, d.next_at from callback.deliveries d
         where d.state = 'PENDING' order by d.endpoint_id, d.next_at limit 1)
        union all
        select n.* from lane l cross join lateral (
            select d.tenant_id, d.endpoint_id, d.next_at from callback.deliveries d
            where d.state = 'PENDING' and d.endpoint_id > l.endpoint_id order by d.endpoint_id, d.next_at limit 1) n
    )
    select l.* from lane l;
end
$$;
revoke all on function callback.waiting() from public;
grant execute on function callback.waiting() to app_system;

-- How many more tries may be under way: up to the endpoint's own bound; one, the probe, while its circuit has not closed again;
-- none while it is open or the endpoint is disabled.
create function callback.room(e callback.endpoints)
returns integer language plpgsql stable set search_path = '' as $$
begin
    if e.disabled_at is not null or e.open_until > clock_timestamp() then
        return 0;
    end if;
    return greatest(0, case when e.openings > 0 then 1 else e.max_concurrency end
                       - (select count(*) from callback.deliveries d where d.state = 'RUNNING' and d.endpoint_id = e.id)::integer);
end
$$;
revoke all on function callback.room(callback.endpoints) from public;
grant execute on function callback.room(callback.endpoints) to app_system;

-- For endpoints that want a run's events one after the other: whether all before this one have ended.
create function callback.is_next(d callback.deliveries)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    return not exists (
        select from callback.events v
        join callback.events w on w.run_id = v.run_id and w.tenant_id = v.tenant_id and w.seq < v.seq
        join callback.deliveries p on p.event_id = w.id and p.tenant_id = w.tenant_id and p.endpoint_id = d.endpoint_id
        where v.tenant_id = d.tenant_id and v.id = d.event_id and p.finished_at is null);
end
$$;
revoke all on function callback.is_next(callback.deliveries) from public;
grant execute on function callback.is_next(callback.deliveries) to app_system;

-- What follows a failed try of such an endpoint waits with it, so that claims need not look at it again and again.
create function callback.hold_back(d callback.deliveries)
returns void language plpgsql set search_path = '' as $$
begin
    if not exists (select from callback.endpoints e where e.tenant_id = d.tenant_id and e.id = d.endpoint_id and e.ordered) then
        return;
    end if;
    update callback.deliveries x set next_at = d.next_at + interval '1 microsecond'
    where x.ctid = any (array(
        select p.ctid from callback.events v
        join callback.events w on w.run_id = v.run_id and w.tenant_id = v.tenant_id and w.seq > v.seq
        join callback.deliveries p on p.event_id = w.id and p.tenant_id = w.tenant_id and p.endpoint_id = d.endpoint_id
        where v.tenant_id = d.tenant_id and v.id = d.event_id and p.state = 'PENDING' and p.next_at <= d.next_at for update of p skip locked));
end
$$;
revoke all on function callback.hold_back(callback.deliveries) from public;
grant execute on function callback.hold_back(callback.deliveries) to app_system;

-- Due deliveries, leased to a sender: of each endpoint that has room, those due first, so that no endpoint takes all places.
create function callback.claim(p_instance uuid, p_limit integer)
returns setof callback.deliveries language plpgsql volatile rows 10 set search_path = '' as $$
declare
    v_lease interval := (select make_interval(secs => s.lease_seconds) from callback.settings s);
    v_tenants uuid[];
    v_endpoints uuid[];
begin
    select array_agg(l.tenant_id), array_agg(l.endpoint_id) into v_tenants, v_endpoints from (
        select x.tenant_id, x.endpoint_id from callback.waiting() x
        cross join lateral (select e.* from callback.endpoints e where e.tenant_id = x.tenant_id and e.id = x.endpoint_id limit 1) e
        where x.next_at <= clock_timestamp() and callback.room(e) > 0
        order by x.next_at limit p_limit) l;
    if v_endpoints is null then
        return;
    end if;
    -- nobody else claims for these meanwhile, so the bound holds over all senders
    select array_agg(e.tenant_id), array_agg(e.id) into v_tenants, v_endpoints
    from unnest(v_tenants, v_endpoints) u (tenant_id, id)
    cross join lateral (select x.tenant_id, x.id from callback.endpoints x
                        where x.tenant_id = u.tenant_id and x.id = u.id for no key update skip locked) e;
    return query
    with lane as materialized (
        select e.id, e.ordered, least(callback.room(e), greatest(1, p_limit / cardinality(v_endpoints))) as room
        from unnest(v_tenants, v_endpoints) u (tenant_id, id)
        cross join lateral (select x.* from callback.endpoints x where x.tenant_id = u.tenant_id and x.id = u.id limit 1) e
    ), due as materialized (
        select d.place from lane l cross join lateral (
            select x.ctid as place from callback.deliveries x
            where x.state = 'PENDING' and x.endpoint_id = l.id and x.next_at <= clock_timestamp() and (not l.ordered or callback.is_next(x))
            order by x.next_at limit l.room for update skip locked) d
    )
    update callback.deliveries d
    set state = 'RUNNING', lease = d.lease + 1, tries = d.tries + 1, runner = p_instance, lease_expires_at = clock_timestamp() + v_lease,
        first_tried_at = coalesce(d.first_tried_at, clock_timestamp())
    where d.ctid = any (array(select due.place from due))  -- locked just above; a join would read the whole index of a deep history
    returning d.*;
end
$$;
revoke all on function callback.claim(uuid, integer) from public;
grant execute on function callback.claim(uuid, integer) to app_system;

-- When the next delivery can be claimed that no settlement will ask for; null: none waits.
create function callback.due()
returns timestamptz language plpgsql stable set search_path = '' as $$
begin
    return (select min(greatest(x.next_at, e.open_until)) from callback.waiting() x
            cross join lateral (select y.* from callback.endpoints y where y.tenant_id = x.tenant_id and y.id = x.endpoint_id limit 1) e
            where e.disabled_at is null and (e.open_until > clock_timestamp() or callback.room(e) > 0));
end
$$;
revoke all on function callback.due() from public;
grant execute on function callback.due() to app_system;

-- ------------------------------------------------------------------------------- endpoints that fail

-- What waits for an endpoint that is gone ends with it. What a sender has in hand, or somebody else has locked, is met again.
create function callback.abandon(p_tenant uuid, p_endpoint uuid, p_reason text)
returns integer language plpgsql set search_path = '' as $$
declare
    n integer;
begin
    update callback.deliveries d set state = 'GONE', finished_at = clock_timestamp(), last_error = coalesce(d.last_error, p_reason)
    where d.ctid = any (array(select x.ctid from callback.deliveries x
                              where x.state = 'PENDING' and x.endpoint_id = p_endpoint and x.tenant_id = p_tenant for update skip locked));
    get diagnostics n = row_count;
    return n;
end
$$;
revoke all on function callback.abandon(uuid, uuid, text) from public;
grant execute on function callback.abandon(uuid, uuid, text) to app_system;

-- No more deliveries until an admin says so. The alarm goes to the tenant's other standing endpoints, never through the dead
-- one, and into the events that are read by GET /events.
create function callback.disable(p_tenant uuid, p_endpoint uuid, p_reason text)
returns void language plpgsql set search_path = '' as $$
declare
    e callback.endpoints;
    v_event text;
begin
    update callback.endpoints x set disabled_at = clock_timestamp(), disabled_reason = p_reason
    where x.tenant_id = p_tenant and x.id = p_endpoint and x.disabled_at is null returning x.* into e;
    if not found then
        return;
    end if;
    perform callback.abandon(p_tenant, p_endpoint, p_reason);
    insert into callback.events as v (tenant_id, type, data)
    values (p_tenant, 'endpoint.disabled', jsonb_build_object('endpoint_id', e.id, 'endpoint_url', e.url, 'reason', p_reason,
        'failing_since', e.failing_since, 'disabled_at', e.disabled_at, 'url', '/functions/v1/api/v1/endpoints/' || e.id))
    returning v.id into v_event;
    insert into callback.deliveries (tenant_id, event_id, endpoint_id, url)
    select p_tenant, v_event, o.id, o.url from callback.endpoints o
    where o.tenant_id = p_tenant and o.events <> '{}' and o.disabled_at is null and o.deleted_at is null;
    perform ground.wake('control_room_deliveries');
end
$$;
revoke all on function callback.disable(uuid, uuid, text) from public;
grant execute on function callback.disable(uuid, uuid, text) to app_system;

-- How an endpoint does, from the tries of one batch: p_failed of them since its last success. After some failures in a row the
-- circuit opens: no tries for a while, then a probe; each probe that fails opens it for twice as long. The other endpoints feel
-- nothing of it. A receiver that asks for time (Retry-After) gets it for all that waits.
create function callback.note_health(p_tenant uuid, p_endpoint uuid, p_succeeded boolean, p_failed integer, p_retry_after numeric)
returns void language plpgsql set search_path = '' as $$
declare
    e callback.endpoints;
    s callback.settings := (select x from callback.settings x);
    v_now timestamptz := clock_timestamp();
begin
    select x.* into e from callback.endpoints x where x.tenant_id = p_tenant and x.id = p_endpoint;
    if p_succeeded then
        e.failures := 0;
        e.failing_since := null;
        e.openings := 0;
        e.open_until := null;
    end if;
    if p_failed > 0 then
        e.failures := e.failures + p_failed;
        e.failing_since := coalesce(e.failing_since, v_now);
        if e.failures >= s.breaker_failures and coalesce(e.open_until <= v_now, true) then
            e.open_until := v_now + least(s.breaker_pause * 2 ^ least(e.openings, 16), s.breaker_pause_most);
            e.openings := e.openings + 1;
        end if;
        if p_retry_after is not null then
            e.open_until := greatest(e.open_until, v_now + callback.delay(1, p_retry_after));
        end if;
    end if;
    update callback.endpoints x
    set failures = e.failures, failing_since = e.failing_since, openings = e.openings, open_until = e.open_until
    where x.tenant_id = p_tenant and x.id = p_endpoint;
    if p_failed > 0 and e.failing_since < v_now - s.disable_after then
        perform callback.disable(p_tenant, p_endpoint, 'every try has failed since ' || to_char(e.failing_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
    end if;
end
$$;
revoke all on function callback.note_health(uuid, uuid, boolean, integer, numeric) from public;
grant execute on function callback.note_health(uuid, uuid, boolean, integer, numeric) to app_system;

-- ------------------------------------------------------------------------------------- what became of it

-- One try, under its fence. Null: stale, another sender has it or it has ended.
create function callback.settle_one(p_tenant uuid, p_delivery bigint, p_lease integer, p jsonb)
returns callback.deliveries language plpgsql set search_path = '' as $$
declare
    d callback.deliveries;
begin
    select x.* into d from callback.deliveries x
    where x.tenant_id = p_tenant and x.id = p_delivery and x.lease = p_lease and x.state = 'RUNNING' for update;
    if not found then
        return null;
    end if;
    d.state := case p ->> 'result' when 'delivered' then 'DELIVERED' when 'gone' then 'GONE' else callback.after_failure(d) end;
    update callback.deliveries x
    set state = d.state, last_status = (p ->> 'status')::integer, last_error = left(p ->> 'error', 500), lease_expires_at = null, runner = null,
        next_at = case when d.state = 'PENDING' then clock_timestamp() + callback.delay(d.tries, (p ->> 'retry_after_seconds')::numeric) else x.next_at end,
        finished_at = case when d.state <> 'PENDING' then clock_timestamp() end
    where x.tenant_id = d.tenant_id and x.id = d.id returning x.* into d;
    return d;
end
$$;
revoke all on function callback.settle_one(uuid, bigint, integer, jsonb) from public;
grant execute on function callback.settle_one(uuid, bigint, integer, jsonb) to app_system;

-- A batch of tries: endpoints that fail or failed are locked, deliveries settled, health noted, those that said 410 disabled.
create function callback.settle(p_items jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
    i record;
    h record;
    d callback.deliveries;
    v_answer jsonb := '[]';
    v_noted jsonb := '[]';
    v_sick uuid[];  -- endpoints of this batch whose health changes
begin
    select array_agg(n.endpoint_id) into v_sick from (
        select distinct x.tenant_id, x.endpoint_id
        from jsonb_to_recordset(p_items) u (tenant_id uuid, delivery_id bigint, result text)
        cross join lateral (select y.* from callback.deliveries y where y.tenant_id = u.tenant_id and y.id = u.delivery_id limit 1) x
        cross join lateral (select y.failures from callback.endpoints y where y.tenant_id = x.tenant_id and y.id = x.endpoint_id limit 1) e
        where u.result is distinct from 'delivered' or e.failures > 0
        order by x.endpoint_id, x.tenant_id) o
    cross join lateral (select o.endpoint_id from callback.endpoints y where y.tenant_id = o.tenant_id and y.id = o.endpoint_id for no key update) n;
    for i in select u.*, u.item ->> 'result' as result
             from (select x as item, n, (x ->> 'tenant_id')::uuid as tenant_id, (x ->> 'delivery_id')::bigint as id, (x ->> 'lease')::integer as lease
                   from jsonb_array_elements(p_items) with ordinality j (x, n)) u
             order by u.id loop
        d := callback.settle_one(i.tenant_id, i.id, i.lease, i.item);
        if d.id is null then
            v_answer := v_answer || jsonb_build_object('delivery_id', i.id, 'settled', false, 'reason', 'stale');
            continue;
        end if;
        v_answer := v_answer || jsonb_build_object('delivery_id', i.id, 'settled', true, 'state', d.state);
        if d.state = 'PENDING' then
            perform callback.hold_back(d);
        end if;
        if d.endpoint_id = any (v_sick) then
            v_noted := v_noted || jsonb_build_object('tenant_id', d.tenant_id, 'endpoint_id', d.endpoint_id, 'result', i.result, 'n', i.n,
                                                     'retry_after', i.item -> 'retry_after_seconds');
        end if;
    end loop;
    for h in with noted as (
                 select x.*, max(x.n) filter (where x.result = 'delivered') over (partition by x.tenant_id, x.endpoint_id) as success
                 from jsonb_to_recordset(v_noted) x (tenant_id uuid, endpoint_id uuid, result text, n integer, retry_after numeric)
             )
             select x.tenant_id, x.endpoint_id, bool_or(x.success is not null) as succeeded, bool_or(x.result = 'gone') as gone,
                    count(*) filter (where x.n > coalesce(x.success, 0)) as failed, max(x.retry_after) as retry_after
             from noted x group by x.tenant_id, x.endpoint_id order by x.endpoint_id loop
        perform callback.note_health(h.tenant_id, h.endpoint_id, h.succeeded, h.failed::integer, h.retry_after);
        if h.gone then
            perform callback.disable(h.tenant_id, h.endpoint_id, 'the endpoint answered 410 Gone');
        end if;
    end loop;
    return v_answer;
end
$$;
revoke all on function callback.settle(jsonb) from public;
grant execute on function callback.settle(jsonb) to app_system;

-- A sender that died between sending and saying so: the try counts, the delivery waits again (a duplicate, never a loss).
-- And what was written for an endpoint in the moment in which it was disabled ends with it.
create function callback.reap()
returns integer language plpgsql set search_path = '' as $$
declare
    n integer;
begin
    update callback.deliveries d
    set state = callback.after_failure(d), finished_at = case when callback.after_failure(d) <> 'PENDING' then clock_timestamp() end,
        next_at = clock_timestamp(), runner = null, lease_expires_at = null, last_error = 'the sender was lost'
    where d.ctid = any (array(select x.ctid from callback.deliveries x
                              where x.state = 'RUNNING' and x.lease_expires_at < clock_timestamp() for update skip locked));
    get diagnostics n = row_count;
    perform callback.abandon(e.tenant_id, e.id, e.disabled_reason) from callback.waiting() x
    cross join lateral (select y.* from callback.endpoints y where y.tenant_id = x.tenant_id and y.id = x.endpoint_id limit 1) e
    where e.disabled_at is not null;
    return n;
end
$$;
revoke all on function callback.reap() from public;
grant execute on function callback.reap() to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
