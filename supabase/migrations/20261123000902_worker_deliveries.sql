-- worker: the verbs of those who send callbacks.

grant app_owner, app_system to postgres;
set role app_system;

create function worker.claim_deliveries(p_instance uuid, p_limit integer)
returns setof jsonb language plpgsql security definer set search_path = ''
set plan_cache_mode = force_generic_plan as $$
declare
    -- a statement of its own, as in claim_attempts
    v_claimed jsonb := (select jsonb_agg(to_jsonb(x)) from callback.claim(p_instance, p_limit) x);
    s callback.settings := (select x from callback.settings x);
begin
    return query
    with claimed as materialized (
        select c.* from jsonb_to_recordset(v_claimed) c (id bigint, lease integer, tenant_id uuid, endpoint_id uuid, url text, event_id text,
                                                         tries integer, next_at timestamptz)
    ), allowed as materialized (
        select x.tenant_id, (select coalesce(jsonb_agg(to_jsonb(o)), '[]') from callback.allowed(x.tenant_id) o) as openings
        from (select distinct c.tenant_id from claimed c) x
    )
    select jsonb_build_object('delivery_id', d.id, 'lease', d.lease, 'tenant_id', d.tenant_id, 'endpoint_id', d.endpoint_id, 'url', d.url,
        'secret_version', n.secret_version,
        'previous_secret_version', case when n.rotated_at > clock_timestamp() - s.rotation_overlap then n.secret_version - 1 end,
        'ed25519', n.ed25519, 'timeout_seconds', s.timeout_seconds, 'event_id', e.id, 'type', e.type, 'try', d.tries,
        'body', json_build_object('type', e.type, 'timestamp', e.at, 'data', e.data)::text, 'now', extract(epoch from clock_timestamp()), 'allow', a.openings,
        'run_id', e.run_id, 'traceparent', r.traceparent, 'age_ms', (extract(epoch from clock_timestamp() - e.at) * 1000)::bigint)
    from claimed d
    join allowed a on a.tenant_id = d.tenant_id
    cross join lateral (select x.* from callback.events x where x.id = d.event_id and x.tenant_id = d.tenant_id limit 1) e
    cross join lateral (select x.* from callback.endpoints x where x.tenant_id = d.tenant_id and x.id = d.endpoint_id limit 1) n
    left join lateral (select x.traceparent from queue.runs x where x.tenant_id = e.tenant_id and x.id = e.run_id limit 1) r on true
    order by d.next_at, d.id;
end
$$;
comment on function worker.claim_deliveries(uuid, integer) is 'Due deliveries, leased to this sender; body is signed and sent byte for byte.';
revoke all on function worker.claim_deliveries(uuid, integer) from public;
grant execute on function worker.claim_deliveries(uuid, integer) to runner;

create function worker.settle_deliveries(p_items jsonb)
returns jsonb language plpgsql security definer set search_path = ''
set plan_cache_mode = force_generic_plan as $$ begin return callback.settle(p_items); end $$;
comment on function worker.settle_deliveries(jsonb) is 'What became of deliveries: delivered, failed (tried again later) or gone.';
revoke all on function worker.settle_deliveries(jsonb) from public;
grant execute on function worker.settle_deliveries(jsonb) to runner;

set role postgres;
revoke app_owner, app_system from postgres;
