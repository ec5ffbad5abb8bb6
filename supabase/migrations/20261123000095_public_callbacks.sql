-- public: endpoints, deliveries.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

create function door.create_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_events text[];
    e callback.endpoints;
begin
    perform ground.refuse_unknown(p, array['url', 'events', 'description']);
    perform callback.check_url(v_member.tenant_id, p ->> 'url', '$.url');
    v_events := array(select jsonb_array_elements_text(
        case when p ? 'events' then job.check_array(p, 'events', '$', 3) else '["run.completed", "run.failed"]' end));
    if not v_events <@ array['run.completed', 'run.failed', 'run.progress'] then
        perform ground.fail('FIELD_INVALID', '$.events', 'events are run.completed, run.failed, run.progress.');
    end if;
    insert into callback.endpoints as x (tenant_id, url, events, description, created_by)
    values (v_member.tenant_id, p ->> 'url', v_events, left(p ->> 'description', 500), v_member.user_id)
    on conflict (tenant_id, md5(url)) where deleted_at is null
    do update set events = excluded.events, description = coalesce(excluded.description, x.description), disabled_at = null, disabled_reason = null
    returning x.* into e;
    perform audit.append(v_member.tenant_id, 'endpoint.create', 'endpoint', e.id::text, jsonb_build_object('url', e.url));
    perform ground.answer_status(201);
    return jsonb_build_object('endpoint_id', e.id, 'url', e.url, 'events', e.events, 'description', e.description, 'secret_version', e.secret_version,
                              'disabled_at', e.disabled_at, 'created_at', e.created_at);
end
$$;
revoke all on function door.create_endpoint(jsonb) from public;
grant execute on function door.create_endpoint(jsonb) to authenticated;

create function public.create_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_endpoint($1); end $$;
comment on function public.create_endpoint(jsonb) is '{url, events?, description?} -> the endpoint. Admins.';
revoke all on function public.create_endpoint(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_endpoint(jsonb) to authenticated;

create function door.get_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    e callback.endpoints;
begin
    select x.* into e from callback.endpoints x
    where x.tenant_id = v_member.tenant_id and x.deleted_at is null
      and case when p ? 'url' then md5(x.url) = md5(p ->> 'url') else x.id = ground.want_uuid(p, 'endpoint_id') end;
    if not found then
        perform ground.fail('ENDPOINT_NOT_FOUND');
    end if;
    if p ->> 'purpose' = 'secret' then  -- the edge door is about to show the signing secret
        perform audit.append(v_member.tenant_id, 'endpoint.read_secret', 'endpoint', e.id::text);
    end if;
    return jsonb_build_object('endpoint_id', e.id, 'url', e.url, 'events', e.events, 'description', e.description, 'secret_version', e.secret_version,
                              'disabled_at', e.disabled_at, 'disabled_reason', e.disabled_reason, 'created_at', e.created_at);
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
    select coalesce(jsonb_agg(jsonb_build_object('endpoint_id', e.id, 'url', e.url, 'events', e.events, 'description', e.description,
               'secret_version', e.secret_version, 'disabled_at', e.disabled_at, 'disabled_reason', e.disabled_reason, 'created_at', e.created_at) order by e.id), '[]')
    into v_items from (select x.* from callback.endpoints x where x.tenant_id = v_member.tenant_id and x.deleted_at is null
                         and (not p ? 'cursor' or x.id > ground.want_uuid(p, 'cursor')) order by x.id limit v_limit) e;
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

create function door.rotate_endpoint(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id uuid := ground.want_uuid(p, 'endpoint_id');
    v_version integer;
begin
    update callback.endpoints e set secret_version = e.secret_version + 1, rotated_at = clock_timestamp()
    where e.tenant_id = v_member.tenant_id and e.id = v_id and e.deleted_at is null returning e.secret_version into v_version;
    if not found then
        perform ground.fail('ENDPOINT_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'endpoint.rotate', 'endpoint', v_id::text, jsonb_build_object('secret_version', v_version));
    return jsonb_build_object('endpoint_id', v_id, 'secret_version', v_version);
end
$$;
revoke all on function door.rotate_endpoint(jsonb) from public;
grant execute on function door.rotate_endpoint(jsonb) to authenticated;

create function public.rotate_endpoint(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.rotate_endpoint($1); end $$;
comment on function public.rotate_endpoint(jsonb) is '{endpoint_id} -> the next secret_version; for a day the old secret signs as well. Admins.';
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
    update callback.deliveries d set state = 'GONE', finished_at = clock_timestamp(), last_error = 'the endpoint was deleted'
    where d.tenant_id = v_member.tenant_id and d.endpoint_id = v_id and d.state = 'PENDING';
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
          and (not p ? 'cursor' or d.id < ground.want_id(p, 'cursor'))
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
begin
    select x.* into d from callback.deliveries x where x.tenant_id = v_member.tenant_id and x.id = v_id for update;
    if not found then
        perform ground.fail('DELIVERY_NOT_FOUND');
    elsif d.finished_at is null then
        perform ground.fail('DELIVERY_PENDING');
    elsif exists (select from callback.endpoints e where e.tenant_id = d.tenant_id and e.id = d.endpoint_id and e.deleted_at is not null) then
        perform ground.fail('ENDPOINT_NOT_FOUND', 'the endpoint was deleted');
    end if;
    update callback.deliveries x set state = 'PENDING', tries = 0, next_at = clock_timestamp(), finished_at = null
    where x.tenant_id = v_member.tenant_id and x.id = v_id;
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

create function door.replay(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    n integer;
begin
    perform ground.refuse_unknown(p, array['since', 'until', 'endpoint_id']);
    update callback.deliveries d set state = 'PENDING', tries = 0, next_at = clock_timestamp(), finished_at = null
    where d.tenant_id = v_member.tenant_id and d.state = 'DEAD'
      and exists (select from callback.endpoints e where e.tenant_id = d.tenant_id and e.id = d.endpoint_id and e.deleted_at is null)
      and (not p ? 'since' or d.created_at >= ground.want_time(p, 'since'))
      and (not p ? 'until' or d.created_at < ground.want_time(p, 'until'))
      and (not p ? 'endpoint_id' or d.endpoint_id = ground.want_uuid(p, 'endpoint_id'));
    get diagnostics n = row_count;
    perform ground.wake('control_room_deliveries');
    perform audit.append(v_member.tenant_id, 'delivery.replay', 'delivery', 'range', p || jsonb_build_object('count', n));
    perform ground.answer_status(202);
    return jsonb_build_object('replayed', n);
end
$$;
revoke all on function door.replay(jsonb) from public;
grant execute on function door.replay(jsonb) to authenticated;

create function public.replay_deliveries(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.replay($1); end $$;
comment on function public.replay_deliveries(jsonb) is '{since?, until?, endpoint_id?}: sends dead deliveries again -> {replayed}.';
revoke all on function public.replay_deliveries(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.replay_deliveries(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
