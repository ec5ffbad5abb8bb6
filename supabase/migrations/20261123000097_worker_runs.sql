-- worker, second part: what the tick does about whole runs.

grant app_owner, app_system to postgres;
set role app_system;

-- Runs past their own deadline: what waits ends, what runs is told to stop.
create function worker.stop_overdue(p_limit integer default 100)
returns integer language plpgsql set search_path = '' as $$
declare
    v record;
    n integer := 0;
begin
    for v in select * from queue.overdue(p_limit) x order by x.tenant_id, x.run_id loop
        begin
            if queue.is_final(queue.stop(v.tenant_id, v.run_id, 'TIMED_OUT', 'RUN_TIMED_OUT',
                                         format('the run took longer than %s s', v.timeout_seconds))) then
                perform callback.announce(array[v.tenant_id], array[v.run_id]);
            end if;
            n := n + 1;
        exception when sqlstate 'PGRST' then
            null;  -- it ended while we waited for its lock
        end;
    end loop;
    return n;
end
$$;
revoke all on function worker.stop_overdue(integer) from public;

set role postgres;
revoke app_owner, app_system from postgres;
