-- worker, second part: what the tick does about leases that ran out and about runs that take too long.

grant app_owner, app_system to postgres;
set role app_system;

-- Leases that ran out: the same attempt waits again, or ends by deadline, by cancel, or as LOST.
create function worker.reap(p_limit integer default 100)
returns integer language plpgsql set search_path = '' as $$
declare
    a queue.live_attempts;
    v_max integer := (select s.max_lost from queue.settings s);
    v_expired bigint[] := array(select x.id from queue.expired(p_limit) x);
    v_outcome jsonb;
    n integer := 0;
begin
    if v_expired <> '{}' then
        perform queue.hold_work(v_expired, true);
    end if;
    for a in select x.* from queue.live_attempts x where x.id = any (v_expired) order by x.id loop
        n := n + 1;
        v_outcome := case
            when a.cancel_requested_at is not null then
                '{"state": "CANCELED", "termination_code": "USER_CANCELED", "message": "canceled; its runner was lost"}'
            when a.deadline_at < clock_timestamp() then
                '{"state": "TIMED_OUT", "termination_code": "DEADLINE_EXCEEDED", "message": "past its deadline; its runner was lost"}'
            when a.lost >= v_max then
                '{"state": "LOST", "termination_code": "RUNNER_LOST", "message": "its runners were lost too often"}'
        end::jsonb;
        if v_outcome is null then
            perform queue.requeue(a.id, a.lease, true);
        else
            perform worker.conclude(jsonb_build_array(jsonb_build_object('attempt_id', a.id, 'lease', a.lease, 'outcome', v_outcome)));
        end if;
        perform catalog.drop_staging(format('^[io]%s_%s_', a.id, a.lease));
    end loop;
    return n;
end
$$;
revoke all on function worker.reap(integer) from public;

-- Runs past their own deadline: what waits ends, what runs is told to stop. The tick relays it, at its end.
create function worker.stop_overdue(p_limit integer default 100)
returns integer language plpgsql set search_path = '' as $$
declare
    r queue.runs;
    n integer := 0;
begin
    for r in select * from queue.overdue(p_limit) loop
        perform queue.stop(r.tenant_id, r.id, 'TIMED_OUT', 'RUN_TIMED_OUT', format('the run took longer than %s s', r.timeout_seconds));
        n := n + 1;
    end loop;
    return n;
end
$$;
revoke all on function worker.stop_overdue(integer) from public;

set role postgres;
revoke app_owner, app_system from postgres;
