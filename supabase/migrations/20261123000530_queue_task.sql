-- queue, fourth part: tasks that are not just an attempt: what has references, conditions, for_each, run_job.

grant app_owner, app_system to postgres;
set role app_owner;

-- -------------------------------------------------------------------------------------- begin a task

-- A task ends here, without an attempt.
create function queue.end_task(p_tenant uuid, p_task bigint, p_state queue.state, p_code text, p_message text default null, p_outcome boolean default null)
returns void language plpgsql set search_path = '' as $$
begin
    update queue.task_runs k
    set state = p_state, termination_code = p_code, termination_message = left(p_message, 4000), outcome = p_outcome,
        percent = case when p_state = 'SUCCEEDED' then 100 else k.percent end,
        started_at = coalesce(k.started_at, clock_timestamp()), finished_at = clock_timestamp()
    where k.tenant_id = p_tenant and k.id = p_task;
end
$$;
revoke all on function queue.end_task(uuid, bigint, queue.state, text, text, boolean) from public;
grant execute on function queue.end_task(uuid, bigint, queue.state, text, text, boolean) to app_system;

-- One task for each input, as many as are known now; they wait for their turn.
create function queue.unfold(p_run queue.runs, p_task queue.task_runs, p_inputs jsonb, p_each jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    n integer;
    v_before bigint;
begin
    if jsonb_typeof(p_inputs) <> 'array' then
        perform queue.fail_task('REFERENCE_UNRESOLVED', 'the inputs of for_each are no array but ' || jsonb_typeof(p_inputs));
    end if;
    n := jsonb_array_length(p_inputs);
    select count(*) into v_before from queue.task_runs k
    where k.run_id = p_run.id and k.tenant_id = p_run.tenant_id and k.parent_id <> p_task.id and n > 0;
    if v_before + n > 1000 then
        perform queue.fail_task('TOO_MANY_ITERATIONS', format('a run has at most 1000 iterations; these are %s beside %s', n, v_before));
    end if;
    with made as (
        insert into queue.task_runs as k (tenant_id, run_id, task_key, kind, job_type, engine, image, executors, state, resolves, parent_id, iteration, max_retries, timeout_seconds,
            retry_on_timeout, min_retry_interval_ms)
        select p_run.tenant_id, p_run.id, format('%s[%s]', p_task.task_key, i), case when p_task.job_type is null then 'run_job' else 'work' end::job.task_kind,
               p_task.job_type, p_task.engine, p_task.image, p_task.executors, 'BLOCKED', p_task.job_type is null or strpos(p_each::text, '{{') > 0, p_task.id, i,
               p_task.max_retries, p_task.timeout_seconds, p_task.retry_on_timeout, p_task.min_retry_interval_ms
        from generate_series(0, n - 1) i
        on conflict (run_id, tenant_id, task_key) do update  -- unfolded anew by a repair
        set state = 'BLOCKED', termination_code = null, termination_message = null, percent = 0, progress_message = null, output_values = '{}',
            child_run_id = null, started_at = null, finished_at = null
        returning k.id, k.iteration, xmax = 0 as is_new
    ), filled as (
        insert into queue.payloads as y (tenant_id, task_run_id, code_of, params, template, input, inputs, outputs, secrets, network)
        select p_run.tenant_id, m.id, p_task.id, case when p_task.job_type is null or strpos(p_each::text, '{{') > 0 then '{}' else p_each end,
               case when p_task.job_type is null or strpos(p_each::text, '{{') > 0 then p_each end,
               p_inputs -> m.iteration, w.inputs, w.outputs, w.secrets, w.network
        from made m cross join (select x.* from queue.payloads x where x.tenant_id = p_run.tenant_id and x.task_run_id = p_task.id) w
        on conflict (tenant_id, task_run_id) do update set params = excluded.params, template = excluded.template, input = excluded.input
    )
    update queue.runs r
    set task_count = r.task_count + (select count(*) from made m where m.is_new), open_tasks = r.open_tasks + n
    where r.tenant_id = p_run.tenant_id and r.id = p_run.id and n > 0;
    update queue.task_runs k set state = 'SKIPPED', termination_code = 'EXCLUDED', termination_message = 'since a repair the loop is shorter'
    where k.run_id = p_run.id and k.tenant_id = p_run.tenant_id and k.parent_id = p_task.id and k.iteration >= n;
    update queue.task_runs k set state = 'RUNNING', started_at = clock_timestamp(), waits_for = n, iterations = n, next_iteration = 0
    where k.tenant_id = p_run.tenant_id and k.id = p_task.id;
end
$$;
revoke all on function queue.unfold(queue.runs, queue.task_runs, jsonb, jsonb) from public;
grant execute on function queue.unfold(queue.runs, queue.task_runs, jsonb, jsonb) to app_system;

-- A run of another job, as its current version says; it ends this task when it ends. job.check_nesting has looked at
-- the definitions, but they change: what would start itself, or goes too deep, is refused here.
create function queue.start_child(p_run queue.runs, p_task queue.task_runs, p jsonb)
returns queue.state language plpgsql set search_path = '' as $$
declare
    v_above bigint[];
    v_body jsonb;
    v_child record;
begin
    with recursive up (id, parent_run_id, job_id) as (
        select p_run.id, p_run.parent_run_id, p_run.job_id
        union all
        select r.id, r.parent_run_id, r.job_id from up join queue.runs r on r.tenant_id = p_run.tenant_id and r.id = up.parent_run_id
    )
    select array_agg(coalesce(up.job_id, 0)) into v_above from up;
    if (p ->> 'job_id')::bigint = any (v_above) then
        perform queue.fail_task('RUN_JOB_REFUSED', format('job %s would start itself', p ->> 'job_id'));
    elsif cardinality(v_above) > 3 then
        perform queue.fail_task('RUN_JOB_REFUSED', 'jobs start jobs at most three deep');
    end if;
    begin
        v_body := job.check_submission(p_run.tenant_id, p);
    exception when sqlstate 'PGRST' then
        perform queue.fail_task('RUN_JOB_REFUSED', format('%s: %s (%s)', sqlerrm::json ->> 'code', sqlerrm::json ->> 'message', sqlerrm::json ->> 'details'));
    end;
    select * into v_child from queue.submit(p_run.tenant_id, p_run.created_by, v_body || jsonb_build_object('traceparent', p_run.traceparent), p_task);
    update queue.task_runs k set state = 'RUNNING', started_at = clock_timestamp(), child_run_id = v_child.run_id
    where k.tenant_id = p_run.tenant_id and k.id = p_task.id;
    return v_child.state;
end
$$;
revoke all on function queue.start_child(queue.runs, queue.task_runs, jsonb) from public;
grant execute on function queue.start_child(queue.runs, queue.task_runs, jsonb) to app_system;

-- The run that a run_job task started has ended, and the task with it. False: the task waits for another run by now, or for none.
create function queue.end_parent(p_child queue.runs)
returns boolean language plpgsql set search_path = '' as $$
begin
    perform from queue.task_runs k
    where k.tenant_id = p_child.tenant_id and k.id = p_child.parent_task_run_id and k.child_run_id = p_child.id and k.state = 'RUNNING';
    if not found then
        return false;
    end if;
    perform queue.end_task(p_child.tenant_id, p_child.parent_task_run_id, case p_child.state when 'SKIPPED' then 'FAILED' else p_child.state end,
        p_child.termination_code, case when p_child.state <> 'SUCCEEDED' then
            format('run %s ended %s', p_child.id, p_child.state) || coalesce(': ' || p_child.termination_message, '') end);
    return true;
end
$$;
revoke all on function queue.end_parent(queue.runs) from public;
grant execute on function queue.end_parent(queue.runs) to app_system;

-- What is not just an attempt begins: references are resolved, once; a condition is decided, a for_each unfolded, a job started.
-- True: it has ended already.
create function queue.begin_task(p_run queue.runs, p_task bigint)
returns boolean language plpgsql set search_path = '' as $$
declare
    k queue.task_runs;
    y queue.payloads;
    v jsonb;
    v_code text;
begin
    select t.* into k from queue.task_runs t where t.tenant_id = p_run.tenant_id and t.id = p_task;
    select x.* into y from queue.payloads x where x.tenant_id = p_run.tenant_id and x.task_run_id = p_task;
    begin
        v := queue.resolve(p_run, k.task_key, y.input, case k.kind when 'for_each' then y.template -> 'inputs' else y.template end);
        if k.judge is not null or k.author is not null then
            perform queue.take_code(k);
        end if;
        update queue.payloads x set params = case k.kind when 'for_each' then jsonb_build_object('inputs', v) else v end
        where x.tenant_id = p_run.tenant_id and x.task_run_id = p_task;
        case k.kind
            when 'work' then
                update queue.task_runs t set state = 'QUEUED' where t.tenant_id = p_run.tenant_id and t.id = p_task;
                insert into queue.live_attempts (tenant_id, run_id, task_run_id, number, requires, priority)
                values (p_run.tenant_id, p_run.id, p_task, k.first_number, queue.requirement(k.job_type, k.engine, k.image, k.executors), p_run.priority);
            when 'condition' then
                perform queue.end_task(p_run.tenant_id, p_task, 'SUCCEEDED', 'SUCCESS', null, queue.compare(v ->> 'op', v -> 'left', v -> 'right'));
                return true;
            when 'for_each' then
                perform queue.unfold(p_run, k, v, y.template -> 'each');
            when 'run_job' then
                if queue.is_final(queue.start_child(p_run, k, v)) then
                    return queue.end_parent(r) from queue.runs r join queue.task_runs t on t.tenant_id = r.tenant_id and t.child_run_id = r.id
                    where t.tenant_id = p_run.tenant_id and t.id = p_task;
                end if;
        end case;
    exception when sqlstate 'CRTSK' then
        get stacked diagnostics v_code = pg_exception_detail;
        perform queue.end_task(p_run.tenant_id, p_task, 'FAILED', v_code, sqlerrm);
        return true;
    end;
    return false;
end
$$;
revoke all on function queue.begin_task(queue.runs, bigint) from public;
grant execute on function queue.begin_task(queue.runs, bigint) to app_system;

-- A for_each goes on: as many iterations begin as its concurrency leaves room for, and when all have ended it ends. Returns what
-- has ended here: iterations that could not begin, or the for_each itself.
create function queue.go_round(p_run queue.runs, p_task bigint)
returns bigint[] language plpgsql set search_path = '' as $$
declare
    k queue.task_runs;
    v record;
    n integer;
    i bigint;
    v_begin bigint[];
    v_ended bigint[] := '{}';
begin
    select t.* into k from queue.task_runs t where t.tenant_id = p_run.tenant_id and t.id = p_task and t.kind = 'for_each' and t.state = 'RUNNING';
    if not found then
        return v_ended;
    end if;
    if k.waits_for = 0 then
        select count(*) as total, count(*) filter (where t.state <> 'SUCCEEDED') as bad, bool_or(t.state in ('FAILED', 'TIMED_OUT')) as failed,
               (array_agg(t.termination_code order by t.iteration) filter (where t.state = 'CANCELED'))[1] as canceled,
               (array_agg(format('%s ended %s (%s)', t.task_key, t.state, t.termination_code) order by t.iteration) filter (where t.state <> 'SUCCEEDED'))[1] as first
        into v from queue.task_runs t
        where t.run_id = p_run.id and t.tenant_id = p_run.tenant_id and t.parent_id = p_task and t.iteration < k.iterations;  -- before a repair there may have been more
        perform queue.end_task(p_run.tenant_id, p_task, case when v.bad = 0 then 'SUCCEEDED' when v.failed then 'FAILED' else 'CANCELED' end::queue.state,
            case when v.bad = 0 then 'SUCCESS' when v.failed then 'ITERATION_FAILED' else v.canceled end,
            case when v.bad > 0 then format('%s of %s iterations did not succeed, the first: %s', v.bad, v.total, v.first) end);
        return array[p_task];
    end if;
    n := least(k.concurrency - greatest(k.next_iteration - (k.iterations - k.waits_for), 0), k.iterations - k.next_iteration);
    if n <= 0 then
        return v_ended;
    end if;
    update queue.task_runs t set next_iteration = t.next_iteration + n where t.tenant_id = p_run.tenant_id and t.id = p_task;
    with next as materialized (
        select t.id, t.resolves, t.requires, t.first_number from generate_series(k.next_iteration, k.next_iteration + n - 1) g
        cross join lateral (select x.id, x.resolves, x.first_number, queue.requirement(x.job_type, x.engine, x.image, x.executors) as requires from queue.task_runs x
                            where x.run_id = p_run.id and x.tenant_id = p_run.tenant_id and x.task_key = format('%s[%s]', k.task_key, g)
                              and x.state = 'BLOCKED' limit 1) t
    ), plain as (
        update queue.task_runs t set state = 'QUEUED' from next x where t.tenant_id = p_run.tenant_id and t.id = x.id and not x.resolves
    ), queued as (
        insert into queue.live_attempts (tenant_id, run_id, task_run_id, number, requires, priority)
        select p_run.tenant_id, p_run.id, x.id, x.first_number, x.requires, p_run.priority from next x where not x.resolves
    )
    select coalesce(array_agg(x.id order by x.id) filter (where x.resolves), '{}') into v_begin from next x;
    foreach i in array v_begin loop
        if queue.begin_task(p_run, i) then
            v_ended := v_ended || i;
        end if;
    end loop;
    return v_ended;
end
$$;
revoke all on function queue.go_round(queue.runs, bigint) from public;
grant execute on function queue.go_round(queue.runs, bigint) to app_system;

-- What a task waits for, and what it is besides work: the part of its description that its kind decides.
create function queue.describe(k queue.task_runs)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := jsonb_build_object('depends_on', case when k.outcomes is null then to_jsonb(k.depends_on) else
        (select jsonb_agg(case when w.outcome is null then to_jsonb(w.task_key) else jsonb_build_object('task_key', w.task_key, 'outcome', w.outcome::text) end order by w.ord)
         from unnest(k.depends_on, k.outcomes) with ordinality w (task_key, outcome, ord)) end);
begin
    if k.parent_id is not null then
        v := v || jsonb_build_object('parent_task_run_id', k.parent_id, 'iteration', k.iteration);
    end if;
    if k.author is not null then
        v := v || jsonb_build_object('generated_by', k.author, 'round', k.round, 'rounds', k.rounds);
    elsif k.judge is not null then
        v := v || jsonb_build_object('validated_by', k.judge);
    end if;
    return v || case k.kind
        when 'condition' then jsonb_build_object('condition', jsonb_build_object('outcome', k.outcome::text))
        when 'run_job' then jsonb_build_object('run_job', jsonb_build_object('run_id', k.child_run_id, 'job_id',
            (select (y.template -> 'job_id') from queue.payloads y where y.tenant_id = k.tenant_id and y.task_run_id = k.id)))
        when 'for_each' then jsonb_build_object('for_each', jsonb_build_object('iterations', k.iterations, 'concurrency', k.concurrency, 'open', k.waits_for))
        else '{}' end;
end
$$;
revoke all on function queue.describe(queue.task_runs) from public;

set role postgres;
revoke app_owner, app_system from postgres;
