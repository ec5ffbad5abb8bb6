-- queue, second part: what becomes of a submission: a run, its tasks, what waits for what.

grant app_owner, app_system to postgres;
set role app_owner;

-- A checked submission becomes one run; the same idempotency key gives the run that is there (fresh = false).
create function queue.submit(p_tenant uuid, p_user text, p jsonb, out run_id bigint, out state queue.state, out fresh boolean)
language plpgsql set search_path = '' as $$
declare
    v_tasks jsonb := p -> 'tasks';
    v_job bigint := (p ->> 'job_id')::bigint;
begin
    fresh := true;
    insert into queue.runs as r (tenant_id, job_id, job_version, name, job_type, priority, idempotency_key, task_count, created_by, traceparent,
                                 timeout_seconds)
    values (p_tenant, v_job, (p ->> 'job_version')::integer, p ->> 'name', p ->> 'job_type', (p ->> 'priority')::smallint,
            p ->> 'idempotency_key', jsonb_array_length(v_tasks), p_user, p ->> 'traceparent',
            (p ->> 'run_timeout_seconds')::integer)
    on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
    returning r.id, r.state into run_id, state;
    if run_id is null then
        fresh := false;
        select r.id, r.state into run_id, state from queue.runs r
        where r.tenant_id = p_tenant and r.idempotency_key = p ->> 'idempotency_key';
        return;
    end if;
    -- a run of a backfill waits for queue.admit; another counts itself among those that are under way
    if (p ->> 'backfill_id') is not null or v_job is not null and queue.free_places(p_tenant, v_job) < 0 then
        state := case when (p ->> 'backfill_id') is not null or coalesce((p ->> 'queue')::boolean, (select l.queues from queue.lanes l where l.tenant_id = p_tenant and l.job_id = v_job))
                      then 'BLOCKED' else 'SKIPPED' end;
        update queue.runs r
        set state = submit.state, backfill_id = (p ->> 'backfill_id')::bigint, waits_since = case submit.state when 'BLOCKED' then r.created_at end,
            finished_at = case submit.state when 'SKIPPED' then clock_timestamp() end,
            termination_code = case submit.state when 'SKIPPED' then 'MAX_CONCURRENT_RUNS' end,
            event_seq = r.event_seq + (submit.state = 'SKIPPED')::integer
        where r.tenant_id = p_tenant and r.id = run_id;
    end if;
    with task as (
        select t, array(select coalesce(d ->> 'task_key', d #>> '{}') from jsonb_array_elements(t -> 'depends_on') d) as depends_on
        from jsonb_array_elements(v_tasks) t
    ), made as (
        insert into queue.task_runs as k (tenant_id, run_id, task_key, job_type, engine, state, run_if, depends_on, max_retries, timeout_seconds,
                                          retry_on_timeout, min_retry_interval_ms, finished_at, termination_code)
        select p_tenant, submit.run_id, t ->> 'task_key', t ->> 'job_type', t ->> 'engine',
               case when submit.state = 'SKIPPED' or depends_on = '{}' then submit.state else 'BLOCKED' end,
               t ->> 'run_if', depends_on, (t ->> 'max_retries')::smallint, (t ->> 'timeout_seconds')::integer,
               coalesce((t ->> 'retry_on_timeout')::boolean, false), coalesce((t ->> 'min_retry_interval_ms')::integer, 0),
               case submit.state when 'SKIPPED' then clock_timestamp() end, case submit.state when 'SKIPPED' then 'MAX_CONCURRENT_RUNS' end
        from task
        returning k.id, k.task_key, k.job_type, k.engine, k.state
    ), filled as (
        insert into queue.payloads (tenant_id, task_run_id, spec, code, params, inputs, outputs, secrets, network)
        select p_tenant, made.id, t ->> 'spec', nullif(t -> 'code', 'null'), t -> 'params', t -> 'inputs', t -> 'outputs', t -> 'secrets',
               (t ->> 'network')::boolean
        from made join task on t ->> 'task_key' = made.task_key
    )
    insert into queue.live_attempts (tenant_id, run_id, task_run_id, requires, priority)
    select p_tenant, submit.run_id, made.id, made.job_type || '/' || made.engine, (p ->> 'priority')::smallint
    from made where made.state = 'QUEUED';
    perform ground.wake('control_room_attempts');
end
$$;
revoke all on function queue.submit(uuid, text, jsonb) from public;
grant execute on function queue.submit(uuid, text, jsonb) to app_system;

-- When a run may begin, or a task of it ended: dependents wake or are skipped, and a run whose tasks have all ended ends.
create function queue.advance(p_tenant uuid, p_run bigint)
returns queue.state language plpgsql set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();
    v_run queue.runs;
    v_moved integer;
    v_state queue.state;
    v_code text;
    v_message text;
begin
    -- the run's row is the lock of its graph: two tasks that end together advance one after the other
    select r.* into v_run from queue.runs r where r.tenant_id = p_tenant and r.id = p_run for update;
    if queue.is_final(v_run.state) or v_run.waits_since is not null and v_run.cancel_requested_at is null then
        return v_run.state;
    end if;
    if v_run.task_count > 1 or v_run.state in ('QUEUED', 'BLOCKED') then
        loop
            with due as (
                select k.id,
                       count(*) filter (where d.state = 'SUCCEEDED') as good,
                       count(*) filter (where d.state in ('FAILED', 'TIMED_OUT', 'CANCELED')) as bad,
                       count(*) filter (where d.state = 'SKIPPED') as skipped, count(d.id) as n
                from queue.task_runs k
                left join queue.task_runs d on d.tenant_id = k.tenant_id and d.run_id = k.run_id and d.task_key = any (k.depends_on)
                where k.tenant_id = p_tenant and k.run_id = p_run and k.state = 'BLOCKED'
                group by k.id
                having coalesce(bool_and(queue.is_final(d.state)), true)
            ), decided as (
                update queue.task_runs k
                set state = case when v.go and v_run.cancel_requested_at is null then 'QUEUED' else 'SKIPPED' end::queue.state,
                    finished_at = case when v.go and v_run.cancel_requested_at is null then null else v_now end,
                    termination_code = case when v.go and v_run.cancel_requested_at is null then null
                                            when v.bad > 0 or v.skipped > 0 then 'UPSTREAM_FAILED' else 'EXCLUDED' end
                from (select due.*, due.n = 0 or case k.run_if when 'ALL_SUCCESS' then due.good = due.n
                                                  when 'ALL_DONE' then true
                                                  when 'NONE_FAILED' then due.bad = 0
                                                  when 'AT_LEAST_ONE_SUCCESS' then due.good > 0
                                                  when 'ALL_FAILED' then due.bad = due.n
                                                  when 'AT_LEAST_ONE_FAILED' then due.bad > 0 end as go
                      from due join queue.task_runs k on k.tenant_id = p_tenant and k.id = due.id) v
                where k.tenant_id = p_tenant and k.id = v.id
                returning k.id, k.state, k.job_type, k.engine
            ), queued as (
                insert into queue.live_attempts (tenant_id, run_id, task_run_id, requires, priority)
                select p_tenant, p_run, d.id, d.job_type || '/' || d.engine, v_run.priority from decided d where d.state = 'QUEUED'
            )
            select count(*) into v_moved from decided;
            exit when v_moved = 0;
            perform ground.wake('control_room_attempts');
        end loop;
    end if;
    if exists (select from queue.task_runs k where k.tenant_id = p_tenant and k.run_id = p_run and k.finished_at is null) then
        return v_run.state;
    end if;
    select k.state, k.termination_code, k.termination_message into v_state, v_code, v_message
    from queue.task_runs k where k.tenant_id = p_tenant and k.run_id = p_run
    order by (k.state = 'FAILED') desc, (k.state = 'TIMED_OUT') desc, (k.state = 'CANCELED') desc, (k.state = 'SUCCEEDED') desc, k.finished_at
    limit 1;
    if (v_run.stop_code = 'RUN_TIMED_OUT' or v_run.cancel_requested_at is not null and v_state in ('SKIPPED', 'SUCCEEDED'))
       and exists (select from queue.task_runs k where k.tenant_id = p_tenant and k.run_id = p_run and k.state <> 'SUCCEEDED') then
        v_state := case v_run.stop_code when 'RUN_TIMED_OUT' then 'TIMED_OUT' else 'CANCELED' end;
        v_code := v_run.stop_code;
    end if;
    update queue.runs r
    set state = v_state, termination_code = coalesce(v_code, 'SUCCESS'), termination_message = v_message, finished_at = v_now, waits_since = null,
        event_seq = r.event_seq + 1,  -- of the terminal event that callback.announce writes
        started_at = coalesce(r.started_at, case when v_state <> 'CANCELED' then v_now end)
    where r.tenant_id = p_tenant and r.id = p_run;
    return v_state;
end
$$;
revoke all on function queue.advance(uuid, bigint) from public;
grant execute on function queue.advance(uuid, bigint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
