-- worker, second part: what the tick does about whole runs.

grant app_owner, app_system to postgres;
set role app_system;

-- Runs past their own deadline: what waits ends, what runs is told to stop. Places are passed on by the tick, at its end.
create function worker.stop_overdue(p_limit integer default 100)
returns integer language plpgsql set search_path = '' as $$
declare
    r queue.runs;
    n integer := 0;
begin
    for r in select * from queue.overdue(p_limit) loop
        if queue.is_final(queue.stop(r.tenant_id, r.id, 'TIMED_OUT', 'RUN_TIMED_OUT', format('the run took longer than %s s', r.timeout_seconds))) then
            perform callback.announce(array[r.tenant_id], array[r.id]);
        end if;
        n := n + 1;
    end loop;
    return n;
end
$$;
revoke all on function worker.stop_overdue(integer) from public;

set role postgres;
revoke app_owner, app_system from postgres;
