-- queue, a further part: repair and re-run: what did not succeed is done again, in the same run or in a new one, keeping what did.

grant app_owner, app_system to postgres;
set role app_owner;

create table queue.repairs (
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    run_id bigint not null,
    number integer not null check (number > 0),
    task_keys text[] not null,
    previous jsonb not null,  -- how the run had ended before
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (run_id, tenant_id, number),
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id)
);
alter table queue.repairs enable row level security;
alter table queue.repairs force row level security;
create policy "members see their repairs" on queue.repairs for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors keep the caller's repairs" on queue.repairs for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker sees repairs" on queue.repairs for select to app_system using (true);
grant select on queue.repairs to authenticated, app_system;

-- A run that has ended, held with the one at the top of its family.
create function queue.hold_ended(p_tenant uuid, p_run bigint)
returns queue.runs language plpgsql set search_path = '' as $$
declare
    r queue.runs;
begin
    perform from queue.runs x
    where x.tenant_id = p_tenant and x.id = (select coalesce(y.root_run_id, y.id) from queue.runs y where y.tenant_id = p_tenant and y.id = p_run) for update;
    select x.* into r from queue.runs x where x.tenant_id = p_tenant and x.id = p_run for update;
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    elsif queue.is_expired(p_tenant, r.finished_at) then
        perform ground.fail('HISTORY_EXPIRED');
    end if;
    return r;
end
$$;
revoke all on function queue.hold_ended(uuid, bigint) from public;

-- The tasks named, and with p_failed all that did not succeed, and with p_dependents what comes after any of these.
create function queue.to_do_again(p_run queue.runs, p_tasks text[], p_failed boolean, p_dependents boolean, p_path text)
returns text[] language plpgsql stable set search_path = '' as $$
declare
    v_unknown text;
begin
    select t into v_unknown from unnest(p_tasks) t
    where not exists (select from queue.task_runs k where k.run_id = p_run.id and k.tenant_id = p_run.tenant_id and k.task_key = t and k.parent_id is null) limit 1;
    if v_unknown is not null then
        perform ground.fail('TASK_NOT_FOUND', p_path || ': ' || left(v_unknown, 100));
    end if;
    return array(
        with recursive wanted (task_key) as (
            select k.task_key from queue.task_runs k
            where k.run_id = p_run.id and k.tenant_id = p_run.tenant_id and k.parent_id is null
              and (k.task_key = any (p_tasks)
                   or p_failed and k.state <> 'SUCCEEDED' and (k.state <> 'SKIPPED' or k.termination_code <> 'EXCLUDED'))
            union
            select d.task_key from wanted w
            join queue.task_runs k on k.run_id = p_run.id and k.tenant_id = p_run.tenant_id and k.task_key = w.task_key
            cross join unnest(k.dependents) d (task_key)
            where p_dependents
        )
        select w.task_key from wanted w join queue.task_runs k on k.run_id = p_run.id and k.tenant_id = p_run.tenant_id and k.task_key = w.task_key order by k.id);
end
$$;
revoke all on function queue.to_do_again(queue.runs, text[], boolean, boolean, text) from public;

-- A run begins, or waits for its place among the runs of its job.
create function queue.line_up(p_tenant uuid, p_run bigint, p_job bigint)
returns queue.state language plpgsql set search_path = '' as $$
begin
    if p_job is not null and queue.free_places(p_tenant, p_job) < 0 then  -- it is counted itself
        update queue.runs r set state = 'BLOCKED', waits_since = clock_timestamp() where r.tenant_id = p_tenant and r.id = p_run;
    end if;
    return queue.advance(p_tenant, p_run);
end
$$;
revoke all on function queue.line_up(uuid, bigint, bigint) from public;

-- In the same run: its tasks wait anew, their attempts count on, and it will end once more. Who repairs names the repair that he has
-- seen last, so of two who do it at once one is told.
create function queue.repair(p_tenant uuid, p_user text, p_run bigint, p_latest bigint, p_tasks text[], p_failed boolean, p_dependents boolean, p_params jsonb)
returns queue.repairs language plpgsql set search_path = '' as $$
declare
    r queue.runs := queue.hold_ended(p_tenant, p_run);
    v queue.repairs;
    v_last bigint := (select x.id from queue.repairs x where x.run_id = p_run and x.tenant_id = p_tenant order by x.number desc limit 1);
    v_keys text[];
begin
    if p_latest is distinct from v_last then
        perform ground.fail('REPAIR_CONFLICT', 'latest_repair_id is ' || coalesce(v_last::text, 'null'));
    elsif not queue.is_final(r.state) then
        perform ground.fail('RUN_ACTIVE', 'state ' || r.state);
    end if;
    v_keys := queue.to_do_again(r, p_tasks, p_failed, p_dependents, '$.rerun_tasks');
    if v_keys = '{}' then
        perform ground.fail('NOTHING_TO_REPAIR');
    end if;
    insert into queue.repairs as x (tenant_id, run_id, number, task_keys, previous, created_by)
    values (p_tenant, p_run, r.repair_count + 1, v_keys, jsonb_build_object('state', r.state, 'termination_code', r.termination_code,
            'termination_message', r.termination_message, 'finished_at', r.finished_at), p_user)
    returning x.* into v;
    update queue.payloads y
    set params = case when not k.resolves then y.params || p_params else y.params end,
        template = case when not k.resolves then null when k.kind = 'work' then y.template || p_params
                        when k.kind = 'for_each' and k.job_type is not null then jsonb_set(y.template, '{each}', (y.template -> 'each') || p_params)
                        else y.template end
    from queue.task_runs k
    where p_params <> '{}' and k.run_id = p_run and k.tenant_id = p_tenant and k.task_key = any (v_keys)
      and y.tenant_id = k.tenant_id and y.task_run_id = k.id;
    update queue.task_runs k
    set first_number = 1 + coalesce((select max(a.number) from queue.past_attempts a where a.task_run_id = k.id and a.tenant_id = k.tenant_id), 0)
    where k.run_id = p_run and k.tenant_id = p_tenant
      and (k.task_key = any (v_keys) or k.parent_id in (select u.id from queue.task_runs u where u.run_id = p_run and u.tenant_id = p_tenant and u.task_key = any (v_keys)));
    update queue.task_runs k
    set state = 'BLOCKED', termination_code = null, termination_message = null, percent = 0, progress_message = null, output_values = '{}',
        outcome = null, child_run_id = null, started_at = null, finished_at = null, round = 1
    where k.run_id = p_run and k.tenant_id = p_tenant and k.task_key = any (v_keys);
    update queue.runs x
    set state = 'QUEUED', termination_code = null, termination_message = null, finished_at = null, cancel_requested_at = null, stop_code = null,
        deadline_at = null, repair_count = x.repair_count + 1, parameters = x.parameters || p_params
    where x.tenant_id = p_tenant and x.id = p_run;
    perform queue.line_up(p_tenant, p_run, r.job_id);
    return v;
end
$$;
revoke all on function queue.repair(uuid, text, bigint, bigint, text[], boolean, boolean, jsonb) from public;

-- In a new run of the same version with the same parameters: what is neither the task named nor after it, and succeeded or was
-- excluded, is taken over with its values. Without a task all is done again.
create function queue.rerun(p_tenant uuid, p_user text, p_run bigint, p_from text, p_key text, out run_id bigint, out state queue.state, out fresh boolean, out reused integer)
language plpgsql set search_path = '' as $$
declare
    r queue.runs := queue.hold_ended(p_tenant, p_run);
    v_keys text[];
begin
    if not queue.is_final(r.state) then
        perform ground.fail('RUN_ACTIVE', 'state ' || r.state);
    end if;
    v_keys := case when p_from is not null then queue.to_do_again(r, array[p_from], true, true, '$.from_task') end;
    fresh := true;
    insert into queue.runs as x (tenant_id, job_id, job_version, name, job_type, priority, idempotency_key, task_count, open_tasks, parameters,
                                 created_by, timeout_seconds, rerun_of)
    select p_tenant, r.job_id, r.job_version, r.name, r.job_type, r.priority, p_key, count(*), count(*), r.parameters, p_user, r.timeout_seconds, r.id
    from queue.task_runs k where k.run_id = p_run and k.tenant_id = p_tenant and k.parent_id is null
    on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
    returning x.id into run_id;
    if run_id is null then
        fresh := false;
        select x.id, x.state into run_id, state from queue.runs x where x.tenant_id = p_tenant and x.idempotency_key = p_key;
        return;
    end if;
    with old as (
        select k.*, p_from is not null and k.task_key <> all (v_keys) as keeps from queue.task_runs k
        where k.run_id = p_run and k.tenant_id = p_tenant and k.parent_id is null
    ), made as (
        insert into queue.task_runs as n (tenant_id, run_id, task_key, kind, job_type, engine, image, executors, state, termination_code, run_if, depends_on, outcomes, dependents,
            resolves, outcome, concurrency, judge, author, rounds, iterations, child_run_id, max_retries, retry_on_timeout, min_retry_interval_ms, timeout_seconds, percent,
            output_values, started_at, finished_at, reused_from)
        select o.tenant_id, rerun.run_id, o.task_key, o.kind, o.job_type, o.engine, o.image, o.executors, case when o.keeps then o.state else 'BLOCKED' end,
               case when o.keeps then o.termination_code end, o.run_if, o.depends_on, o.outcomes, o.dependents, o.resolves, case when o.keeps then o.outcome end,
               o.concurrency, o.judge, o.author, o.rounds, case when o.keeps then o.iterations end, case when o.keeps then o.child_run_id end, o.max_retries, o.retry_on_timeout,
               o.min_retry_interval_ms, o.timeout_seconds, case when o.keeps then o.percent else 0 end, case when o.keeps then o.output_values else '{}' end,
               case when o.keeps then o.started_at end, case when o.keeps then o.finished_at end, case when o.keeps then coalesce(o.reused_from, p_run) end
        from old o order by o.id
        returning n.id, n.task_key, n.reused_from
    ), filled as (
        insert into queue.payloads (tenant_id, task_run_id, spec, code, params, template, input, inputs, outputs, secrets, network)
        select y.tenant_id, m.id, y.spec, y.code, y.params, y.template, y.input, y.inputs, y.outputs, y.secrets, y.network
        from made m join old o on o.task_key = m.task_key join queue.payloads y on y.tenant_id = o.tenant_id and y.task_run_id = o.id
    )
    select count(m.reused_from) into reused from made m;
    state := queue.line_up(p_tenant, run_id, r.job_id);
end
$$;
revoke all on function queue.rerun(uuid, text, bigint, text, text) from public;

set role postgres;
revoke app_owner, app_system from postgres;
