-- worker: what the runners are needed for, for whoever says how many there are. The role `scaler` may ask this and nothing else.

grant app_owner, app_system to postgres;
set role app_system;
grant usage on schema worker to scaler;

-- Places that work could take now: what runs, and what waits, is due and may run beside it; no tenant counts beyond its limit. Ten thousand
-- of a tenant that wait are looked at, no more: by then it is its limit that counts.
create function worker.demand()
returns bigint language plpgsql stable security definer set search_path = '' as $$
begin
    return (select coalesce(sum(greatest(s.running, least(l.max_running, s.running + w.waiting))), 0)
            from queue.slots s
            join tenancy.limits l on l.tenant_id = s.tenant_id
            cross join lateral (select count(*) as waiting from (
                select from queue.live_attempts a where a.tenant_id = s.tenant_id and a.state = 'QUEUED' and a.ready_at <= clock_timestamp() limit 10000) x) w);
end
$$;
comment on function worker.demand() is 'For an autoscaler: how many places the work could take now.';
revoke all on function worker.demand() from public;
grant execute on function worker.demand() to scaler;

set role postgres;
revoke app_owner, app_system from postgres;
