-- public: endpoints, deliveries, events, the networks that callbacks may reach.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

create function door.endpoint_form(e callback.endpoints)
returns jsonb language sql immutable set search_path = '' as $$
    select jsonb_build_object('endpoint_id', e.id, 'url', e.url, 'events', e.events, 'description', e.description, 'max_concurrency', e.max_concurrency,
        'ordered', e.ordered, 'merge_progress', e.merge_progress, 'ed25519', e.ed25519, 'secret_version', e.secret_version,
        'failures', e.failures, 'failing_since', e.failing_since, 'disabled_at', e.disabled_at, 'disabled_reason', e.disabled_reason, 'created_at', e.created_at)
$$;
revoke all on function door.endpoint_form(callback.endpoints) from public;

create function door.check_events(p jsonb, p_default text[])
returns text[] language plpgsql stable set search_path = '' as $$
declare
    v text[];
begin
    if not p ? 'events' then
        return p_default;
    end if;
    v := array(select distinct jsonb_array_elements_text(job.check_array(p, 'events', '$', 8)) order by 1);
    if not v <@ array['run.completed', 'run.failed', 'run.progress', 'endpoint.disabled'] then
        perform ground.fail('FIELD_INVALID', '$.events', 'events are run.completed, run.failed, run.progress, endpoint.disabled.');
    end if;
    return v;
end
$$;
revoke all on function door.check_events(jsonb, text[]) from public;

create function door.check_description(p jsonb, p_default text)
returns text language plpgsql stable set search_path = '' as $$
begin
    if coalesce(jsonb_typeof(p -> 'description'), 'string') not in ('string', 'null') or length(p ->> 'description') > 500 then
        perform ground.fail('FIELD_INVALID', '$.description', 'description is a text of at most 500 characters.');
    end if;
    return case when p ? 'description' then p ->> 'description' else p_default end;
end
$$;
revoke all on function door.check_description(jsonb, text) from public;

create function door.create_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    e callback.endpoints;
begin
    perform ground.refuse_unknown(p, array['url', 'events', 'description', 'max_concurrency', 'ordered', 'merge_progress', 'ed25519']);
    if jsonb_typeof(p -> 'url') is distinct from 'string' then
        perform ground.fail('CALLBACK_URL_INVALID', '$.url');
    end if;
    perform callback.check_url(v_member.tenant_id, p ->> 'url', '$.url');
    insert into callback.endpoints as x (tenant_id, url, events, description, max_concurrency, ordered, merge_progress, ed25519, created_by)
    values (v_member.tenant_id, p ->> 'url', door.check_events(p, '{run.completed,run.failed}'), door.check_description(p, null),
            job.check_integer(p, 'max_concurrency', '$', 1, 100, 16), job.check_boolean(p, 'ordered', '$', false),
            job.check_boolean(p, 'merge_progress', '$', false), job.check_boolean(p, 'ed25519', '$', false), v_member.user_id)
    on conflict (tenant_id, md5(url)) where deleted_at is null  -- one that only runs named, or a disabled one
    do update set events = excluded.events, description = coalesce(excluded.description, x.description), max_concurrency = excluded.max_concurrency,
        ordered = excluded.ordered, merge_progress = excluded.merge_progress, ed25519 = excluded.ed25519,
        disabled_at = null, disabled_reason = null, failures = 0, failing_since = null, openings = 0, open_until = null
    returning x.* into e;
    perform audit.append(v_member.tenant_id, 'endpoint.create', 'endpoint', e.id::text, jsonb_build_object('url', e.url));
    perform ground.answer_status(201);
    return door.endpoint_form(e);
end
$$;
revoke all on function door.create_endpoint(jsonb) from public;
grant execute on function door.create_endpoint(jsonb) to authenticated;

create function public.create_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_endpoint($1); end $$;
comment on function public.create_endpoint(jsonb) is '{url, events?, description?, max_concurrency?, ordered?, merge_progress?, ed25519?} -> the endpoint. Admins.';
revoke all on function public.create_endpoint(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_endpoint(jsonb) to authenticated;

create function door.update_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id uuid := ground.want_uuid(p, 'endpoint_id');
    e callback.endpoints;
    v_was callback.endpoints;
    v_enabled boolean;
begin
    perform ground.refuse_unknown(p, array['endpoint_id', 'events', 'description', 'max_concurrency', 'ordered', 'merge_progress', 'ed25519', 'enabled']);
    select x.* into v_was from callback.endpoints x
    where x.tenant_id = v_member.tenant_id and x.id = v_id and x.deleted_at is null for no key update;
    if not found then
        perform ground.fail('ENDPOINT_NOT_FOUND');
    end if;
    v_enabled := job.check_boolean(p, 'enabled', '$', v_was.disabled_at is null);
    update callback.endpoints x
    set events = door.check_events(p, v_was.events), description = door.check_description(p, v_was.description),
        max_concurrency = job.check_integer(p, 'max_concurrency', '$', 1, 100, v_was.max_concurrency), ordered = job.check_boolean(p, 'ordered', '$', v_was.ordered),
        merge_progress = job.check_boolean(p, 'merge_progress', '$', v_was.merge_progress), ed25519 = job.check_boolean(p, 'ed25519', '$', v_was.ed25519)
    where x.tenant_id = v_member.tenant_id and x.id = v_id returning x.* into e;
    if v_enabled and v_was.disabled_at is not null then  -- nothing is sent again by itself: replay_deliveries with missing does
        update callback.endpoints x set disabled_at = null, disabled_reason = null, failures = 0, failing_since = null, openings = 0, open_until = null
        where x.tenant_id = v_member.tenant_id and x.id = v_id returning x.* into e;
    elsif not v_enabled and v_was.disabled_at is null then
        update callback.endpoints x set disabled_at = clock_timestamp(), disabled_reason = 'disabled by an admin'
        where x.tenant_id = v_member.tenant_id and x.id = v_id returning x.* into e;
        perform callback.abandon(v_member.tenant_id, v_id, e.disabled_reason);
    end if;
    perform audit.append(v_member.tenant_id, 'endpoint.update', 'endpoint', v_id::text, p - 'endpoint_id');
    return door.endpoint_form(e);
end
$$;
revoke all on function door.update_endpoint(jsonb) from public;
grant execute on function door.update_endpoint(jsonb) to authenticated;

create function public.update_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.update_endpoint($1); end $$;
comment on function public.update_endpoint(jsonb) is '{endpoint_id, events?, description?, max_concurrency?, ordered?, merge_progress?, ed25519?, enabled?} -> the endpoint. Admins.';
revoke all on function public.update_endpoint(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.update_endpoint(jsonb) to authenticated;

create function door.get_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    e callback.endpoints;
begin
    perform ground.refuse_unknown(p, array['endpoint_id', 'url', 'purpose']);
    select x.* into e from callback.endpoints x
    where x.tenant_id = v_member.tenant_id and x.deleted_at is null
      and case when p ? 'url' then md5(x.url) = md5(p ->> 'url') else x.id = ground.want_uuid(p, 'endpoint_id') end;
    if not found then
        perform ground.fail('ENDPOINT_NOT_FOUND');
    end if;
    if p ->> 'purpose' = 'secret' then  -- the edge door is about to show the signing secret
        perform audit.append(v_member.tenant_id, 'endpoint.read_secret', 'endpoint', e.id::text);
    end if;
    return door.endpoint_form(e);
end
$$;
revoke all on function door.get_endpoint(jsonb) from public;
grant execute on function door.get_endpoint(jsonb) to authenticated;

create function public.get_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.get_endpoint($1); end $$;
comment on function public.get_endpoint(jsonb) is '{endpoint_id} or {url} -> the endpoint. Admins.';
revoke all on function public.get_endpoint(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_endpoint(jsonb) to authenticated;

create function door.list_endpoints(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(door.endpoint_form(e) order by e.id), '[]')
    into v_items from (select x.* from callback.endpoints x where x.tenant_id = v_member.tenant_id and x.deleted_at is null
                         and (p ->> 'cursor' is null or x.id > ground.want_uuid(p, 'cursor')) order by x.id limit v_limit) e;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'endpoint_id' end);
end
$$;
revoke all on function door.list_endpoints(jsonb) from public;
grant execute on function door.list_endpoints(jsonb) to authenticated;

create function public.list_endpoints(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_endpoints($1); end $$;
comment on function public.list_endpoints(jsonb) is '{limit?, cursor?} -> {items, next}.';
revoke all on function public.list_endpoints(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_endpoints(jsonb) to authenticated;

-- A secret that leaked is rotated with revoke: the old one signs no more from now on.
create function door.rotate_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id uuid := ground.want_uuid(p, 'endpoint_id');
    v_revoke boolean := job.check_boolean(p, 'revoke', '$', false);
    v_version integer;
begin
    perform ground.refuse_unknown(p, array['endpoint_id', 'revoke']);
    update callback.endpoints e set secret_version = e.secret_version + 1, rotated_at = case when not v_revoke then clock_timestamp() end
    where e.tenant_id = v_member.tenant_id and e.id = v_id and e.deleted_at is null returning e.secret_version into v_version;
    if not found then
        perform ground.fail('ENDPOINT_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'endpoint.rotate', 'endpoint', v_id::text, jsonb_build_object('secret_version', v_version, 'revoke', v_revoke));
    return jsonb_build_object('endpoint_id', v_id, 'secret_version', v_version);
end
$$;
revoke all on function door.rotate_endpoint(jsonb) from public;
grant execute on function door.rotate_endpoint(jsonb) to authenticated;

create function public.rotate_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.rotate_endpoint($1); end $$;
comment on function public.rotate_endpoint(jsonb) is '{endpoint_id, revoke?} -> the next secret_version; for a day the old secret signs as well, unless revoked. Admins.';
revoke all on function public.rotate_endpoint(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.rotate_endpoint(jsonb) to authenticated;

create function door.delete_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id uuid := ground.want_uuid(p, 'endpoint_id');
begin
    update callback.endpoints e set deleted_at = clock_timestamp(), disabled_at = coalesce(e.disabled_at, clock_timestamp()), disabled_reason = 'deleted'
    where e.tenant_id = v_member.tenant_id and e.id = v_id and e.deleted_at is null;
    if not found then
        perform ground.fail('ENDPOINT_NOT_FOUND');
    end if;
    perform callback.abandon(v_member.tenant_id, v_id, 'the endpoint was deleted');
    perform audit.append(v_member.tenant_id, 'endpoint.delete', 'endpoint', v_id::text);
    return jsonb_build_object('endpoint_id', v_id, 'deleted', true);
end
$$;
revoke all on function door.delete_endpoint(jsonb) from public;
grant execute on function door.delete_endpoint(jsonb) to authenticated;

create function public.delete_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_endpoint($1); end $$;
comment on function public.delete_endpoint(jsonb) is '{endpoint_id}: no more deliveries; what waits ends as GONE. Admins.';
revoke all on function public.delete_endpoint(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_endpoint(jsonb) to authenticated;

create function door.list_deliveries(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(x.item order by x.id desc), '[]') into v_items from (
        select d.id, jsonb_build_object('delivery_id', d.id, 'event_id', d.event_id, 'type', e.type, 'run_id', e.run_id, 'seq', e.seq, 'endpoint_id', d.endpoint_id,
            'url', d.url, 'state', d.state, 'tries', d.tries, 'next_at', case when d.state = 'PENDING' then d.next_at end, 'last_status', d.last_status,
            'last_error', d.last_error, 'created_at', d.created_at, 'first_tried_at', d.first_tried_at, 'finished_at', d.finished_at) as item
        from callback.deliveries d join callback.events e on e.tenant_id = d.tenant_id and e.id = d.event_id
        where d.tenant_id = v_member.tenant_id
          and (not p ? 'run_id' or e.run_id = ground.want_id(p, 'run_id'))
          and (not p ? 'state' or d.state::text = p ->> 'state')
          and (not p ? 'endpoint_id' or d.endpoint_id = ground.want_uuid(p, 'endpoint_id'))
          and (p ->> 'cursor' is null or d.id < ground.want_id(p, 'cursor'))
        order by d.id desc limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'delivery_id' end);
end
$$;
revoke all on function door.list_deliveries(jsonb) from public;
grant execute on function door.list_deliveries(jsonb) to authenticated;

create function public.list_deliveries(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_deliveries($1); end $$;
comment on function public.list_deliveries(jsonb) is '{run_id?, state?, endpoint_id?, limit?, cursor?} -> {items, next}, newest first.';
revoke all on function public.list_deliveries(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_deliveries(jsonb) to authenticated;

-- One that has ended is sent again: same event id, so the receiver can tell.
create function door.redeliver(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_id bigint := ground.want_id(p, 'delivery_id');
    d callback.deliveries;
    e callback.endpoints;
begin
    select x.* into d from callback.deliveries x where x.tenant_id = v_member.tenant_id and x.id = v_id;
    if not found then
        perform ground.fail('DELIVERY_NOT_FOUND');
    end if;
    -- somebody wants to see it work: the circuit lets a probe through
    update callback.endpoints x set open_until = null where x.tenant_id = d.tenant_id and x.id = d.endpoint_id returning x.* into e;
    if e.deleted_at is not null then
        perform ground.fail('ENDPOINT_NOT_FOUND', 'the endpoint was deleted');
    elsif e.disabled_at is not null then
        perform ground.fail('ENDPOINT_DISABLED', e.id::text);
    end if;
    update callback.deliveries x set state = 'PENDING', tries = 0, next_at = clock_timestamp(), finished_at = null
    where x.tenant_id = v_member.tenant_id and x.id = v_id and x.finished_at is not null;
    if not found then
        perform ground.fail('DELIVERY_PENDING');
    end if;
    perform ground.wake('control_room_deliveries');
    perform audit.append(v_member.tenant_id, 'delivery.redeliver', 'delivery', v_id::text);
    perform ground.answer_status(202);
    return jsonb_build_object('delivery_id', v_id, 'state', 'PENDING');
end
$$;
revoke all on function door.redeliver(jsonb) from public;
grant execute on function door.redeliver(jsonb) to authenticated;

create function public.redeliver_delivery(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.redeliver($1); end $$;
comment on function public.redeliver_delivery(jsonb) is '{delivery_id}: sends an ended delivery again under the same event id.';
revoke all on function public.redeliver_delivery(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.redeliver_delivery(jsonb) to authenticated;

-- A range of the dead; with missing: all that an endpoint did not get, what ended while it was gone as well, and, for one
-- endpoint, events from before it was there. 10,000 at a time; more says whether to call again.
create function door.replay(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_most constant integer := 10000;
    v_since timestamptz := case when p ? 'since' then ground.want_time(p, 'since') else '-infinity' end;
    v_until timestamptz := case when p ? 'until' then ground.want_time(p, 'until') else 'infinity' end;
    v_endpoint uuid := case when p ? 'endpoint_id' then ground.want_uuid(p, 'endpoint_id') end;
    v_missing boolean := job.check_boolean(p, 'missing', '$', false);
    e callback.endpoints;
    n integer;
    v_new integer := 0;
begin
    perform ground.refuse_unknown(p, array['since', 'until', 'endpoint_id', 'missing']);
    if v_endpoint is not null then
        select x.* into e from callback.endpoints x where x.tenant_id = v_member.tenant_id and x.id = v_endpoint and x.deleted_at is null;
        if e.id is null then
            perform ground.fail('ENDPOINT_NOT_FOUND');
        elsif e.disabled_at is not null then
            perform ground.fail('ENDPOINT_DISABLED', e.id::text);
        end if;
    end if;
    update callback.deliveries d set state = 'PENDING', tries = 0, next_at = clock_timestamp(), finished_at = null
    where d.ctid = any (array(
        select x.ctid from callback.endpoints o
        join callback.deliveries x on x.endpoint_id = o.id and x.tenant_id = o.tenant_id
        where o.tenant_id = v_member.tenant_id and o.deleted_at is null and o.disabled_at is null and (v_endpoint is null or o.id = v_endpoint)
          and x.state in ('DEAD', 'GONE') and (v_missing or x.state = 'DEAD') and x.created_at >= v_since and x.created_at < v_until
        order by x.id limit v_most for update of x skip locked));
    get diagnostics n = row_count;
    if v_missing and e.id is not null and n < v_most then
        insert into callback.deliveries (tenant_id, event_id, endpoint_id, url)
        select v.tenant_id, v.id, e.id, e.url from callback.events v
        where v.tenant_id = v_member.tenant_id and v.position > 0 and v.at >= v_since and v.at < v_until
          and (v.type = any (e.events) or exists (select from callback.subscriptions s
                                                  where s.tenant_id = v.tenant_id and s.run_id = v.run_id and s.type = v.type and s.endpoint_id = e.id))
          and not exists (select from callback.deliveries d where d.event_id = v.id and d.tenant_id = v.tenant_id and d.endpoint_id = e.id)
        order by v.written_by, v.position limit v_most - n
        on conflict do nothing;
        get diagnostics v_new = row_count;
    end if;
    perform ground.wake('control_room_deliveries');
    perform audit.append(v_member.tenant_id, 'delivery.replay', 'delivery', 'range', p || jsonb_build_object('count', n + v_new));
    perform ground.answer_status(202);
    return jsonb_build_object('replayed', n + v_new, 'more', n + v_new >= v_most);
end
$$;
revoke all on function door.replay(jsonb) from public;
grant execute on function door.replay(jsonb) to authenticated;

create function public.replay_deliveries(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.replay($1); end $$;
comment on function public.replay_deliveries(jsonb) is '{since?, until?, endpoint_id?, missing?}: sends dead deliveries again, or all that is missing -> {replayed, more}.';
revoke all on function public.replay_deliveries(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.replay_deliveries(jsonb) to authenticated;

-- --------------------------------------------------------------------------------- catching up without push

-- The tenant's events in the order of commit. Only what transactions older than every running one wrote: a later page never
-- misses an event that commits late. (After a restore into another cluster, read from the start again.)
create function door.list_events(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_after text := coalesce(p ->> 'after', '0.0');
    v_items jsonb;
    v_next text;
begin
    perform ground.refuse_unknown(p, array['after', 'limit']);
    if v_after !~ '^[0-9]{1,18}\.[0-9]{1,18}$' then
        perform ground.fail('FIELD_INVALID', '$.after', 'after is the next of an earlier answer.');
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('event_id', x.id, 'type', x.type, 'run_id', x.run_id, 'seq', x.seq, 'timestamp', x.at, 'data', x.data)
                              order by x.written_by, x.position), '[]'),
           (array_agg(x.written_by || '.' || x.position order by x.written_by desc, x.position desc))[1]
    into v_items, v_next from (
        select e.* from callback.events e
        where e.tenant_id = v_member.tenant_id and e.position > 0 and e.written_by < pg_snapshot_xmin(pg_current_snapshot())
          and (e.written_by, e.position) > (split_part(v_after, '.', 1)::xid8, split_part(v_after, '.', 2)::bigint)
        order by e.written_by, e.position limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', coalesce(v_next, v_after));
end
$$;
revoke all on function door.list_events(jsonb) from public;
grant execute on function door.list_events(jsonb) to authenticated;

create function public.list_events(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_events($1); end $$;
comment on function public.list_events(jsonb) is '{after?, limit?} -> {items, next}: all events of the tenant in order; next is the after of the next call.';
revoke all on function public.list_events(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_events(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------- private networks

create function door.allow_network(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_network cidr;
    v_ports integer[];
    v_id bigint;
begin
    perform ground.refuse_unknown(p, array['cidr', 'ports']);
    begin
        v_network := coalesce(p ->> 'cidr', '')::cidr;
    exception when invalid_text_representation then
        perform ground.fail('FIELD_INVALID', '$.cidr', 'cidr is a network such as 10.1.0.0/16.');
    end;
    v_ports := callback.want_ports(p);
    if not exists (select from callback.allowed_networks b where b.tenant_id is null and v_network <<= b.network) then
        perform ground.fail('NETWORK_OUT_OF_BOUNDS', '$.cidr');
    elsif v_ports is not null and not exists (select from callback.allowed_networks b where b.tenant_id is null and v_network <<= b.network
                                              and callback.ports_of_both(v_ports, b.ports) = v_ports) then
        perform ground.fail('NETWORK_OUT_OF_BOUNDS', '$.ports');
    end if;
    delete from callback.allowed_networks n where n.tenant_id = v_member.tenant_id and n.network = v_network and n.ports is distinct from v_ports;
    insert into callback.allowed_networks (tenant_id, network, ports, created_by) values (v_member.tenant_id, v_network, v_ports, v_member.user_id)
    on conflict do nothing;
    select n.id into v_id from callback.allowed_networks n where n.tenant_id = v_member.tenant_id and n.network = v_network;
    perform audit.append(v_member.tenant_id, 'callback.allow', 'network', v_network::text, jsonb_build_object('ports', v_ports));
    perform ground.answer_status(201);
    return jsonb_build_object('network_id', v_id, 'cidr', v_network, 'ports', v_ports);
end
$$;
revoke all on function door.allow_network(jsonb) from public;
grant execute on function door.allow_network(jsonb) to authenticated;

create function public.allow_network(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.allow_network($1); end $$;
comment on function public.allow_network(jsonb) is '{cidr, ports?}: opens a private network to the tenant''s callbacks, within the platform''s bounds -> {network_id, cidr, ports}. Admins.';
revoke all on function public.allow_network(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.allow_network(jsonb) to authenticated;

create function door.list_networks(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('network_id', n.id, 'cidr', n.network, 'ports', n.ports, 'created_by', n.created_by, 'created_at', n.created_at) order by n.id), '[]')
    into v_items from (select x.* from callback.allowed_networks x where x.tenant_id = v_member.tenant_id
                         and (p ->> 'cursor' is null or x.id > ground.want_id(p, 'cursor')) order by x.id limit v_limit) n;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'network_id' end);
end
$$;
revoke all on function door.list_networks(jsonb) from public;
grant execute on function door.list_networks(jsonb) to authenticated;

create function public.list_networks(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_networks($1); end $$;
comment on function public.list_networks(jsonb) is '{limit?, cursor?} -> {items, next}: the private networks that callbacks may reach. Admins.';
revoke all on function public.list_networks(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_networks(jsonb) to authenticated;

create function door.disallow_network(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id bigint := ground.want_id(p, 'network_id');
    v_network cidr;
begin
    delete from callback.allowed_networks n where n.tenant_id = v_member.tenant_id and n.id = v_id returning n.network into v_network;
    if not found then
        perform ground.fail('NETWORK_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'callback.disallow', 'network', v_network::text);
    return jsonb_build_object('network_id', v_id, 'deleted', true);
end
$$;
revoke all on function door.disallow_network(jsonb) from public;
grant execute on function door.disallow_network(jsonb) to authenticated;

create function public.disallow_network(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.disallow_network($1); end $$;
comment on function public.disallow_network(jsonb) is '{network_id}: closes it again; what is under way is not stopped. Admins.';
revoke all on function public.disallow_network(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.disallow_network(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
