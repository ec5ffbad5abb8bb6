-- public: the people's door. What is called here is security invoker, one line; what must write across rooms is a
-- definer in schema door, which asks tenancy.require() first and then composes the rooms.

grant app_owner, app_system to postgres;
create schema door authorization app_owner;
grant create on schema public to app_owner;
set role app_owner;
grant usage on schema door to anon, authenticated, service_role;
grant usage, create on schema door to app_system;

-- ---------------------------------------------------------------------------------------------- runs

-- check everything -> queue.submit -> callback.subscribe -> audit: one transaction, nothing half-written
create function door.submit(p_member tenancy.membership, p jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v jsonb := job.check_submission(p_member.tenant_id, p);
    s record;
begin
    perform callback.check_callbacks(p_member.tenant_id, v -> 'callbacks');
    select * into s from queue.submit(p_member.tenant_id, p_member.user_id, v || jsonb_build_object('traceparent',
        left(nullif(current_setting('request.headers', true), '')::jsonb ->> 'traceparent', 128)));
    if s.fresh then
        if v -> 'callbacks' <> '{}' then
            perform callback.subscribe(p_member.tenant_id, p_member.user_id, s.run_id, v -> 'callbacks');
        end if;
        perform audit.append(p_member.tenant_id, 'run.submit', 'run', s.run_id::text,
            jsonb_build_object('name', v -> 'name', 'job_type', v -> 'job_type', 'job_id', v -> 'job_id'));
    end if;
    return jsonb_build_object('run_id', s.run_id, 'state', s.state, 'url', '/functions/v1/api/v1/runs/' || s.run_id, 'fresh', s.fresh);
end
$$;
revoke all on function door.submit(tenancy.membership, jsonb) from public;

create function door.run_job(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v jsonb;
begin
    if jsonb_typeof(p) is distinct from 'object' then
        perform ground.fail('BODY_INVALID');
    end if;
    v := door.submit(v_member, p);
    perform ground.answer_status(case when (v ->> 'fresh')::boolean then 202 else 200 end);
    return v - 'fresh';
end
$$;
revoke all on function door.run_job(jsonb) from public;
grant execute on function door.run_job(jsonb) to authenticated;

create function public.run_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.run_job($1); end $$;
comment on function public.run_job(jsonb) is 'Submits a run: {job_type, spec, code?, params?, inputs?, outputs?, callbacks?, …} or {job_id, params?} -> {run_id, state, url}. 202; 200 for a known idempotency_key.';
revoke all on function public.run_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.run_job(jsonb) to authenticated;

create function door.submit_runs(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_answer jsonb;
begin
    if jsonb_typeof(p) is distinct from 'array' or jsonb_array_length(p) not between 1 and 1000 then
        perform ground.fail('BODY_INVALID', '$', 'An array of 1 to 1000 submissions is expected.');
    end if;
    select jsonb_agg(door.submit(v_member, x) - 'fresh' order by ord) into v_answer from jsonb_array_elements(p) with ordinality i(x, ord);
    perform ground.answer_status(202);
    return v_answer;
end
$$;
revoke all on function door.submit_runs(jsonb) from public;
grant execute on function door.submit_runs(jsonb) to authenticated;

create function public.submit_runs(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.submit_runs($1); end $$;
comment on function public.submit_runs(jsonb) is 'Submits an array of runs, all or nothing -> [{run_id, state, url}].';
revoke all on function public.submit_runs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.submit_runs(jsonb) to authenticated;

create function door.cancel_run(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_run bigint := ground.want_id(p, 'run_id');
    v_state queue.state;
begin
    v_state := queue.cancel(v_member.tenant_id, v_run, v_member.user_id);
    if queue.is_final(v_state) then
        perform callback.announce(array[v_member.tenant_id], array[v_run]);
    end if;
    perform audit.append(v_member.tenant_id, 'run.cancel', 'run', v_run::text);
    perform ground.answer_status(202);
    return (select jsonb_build_object('run_id', r.id, 'state', r.state, 'cancel_requested_at', r.cancel_requested_at)
            from queue.runs r where r.tenant_id = v_member.tenant_id and r.id = v_run);
end
$$;
revoke all on function door.cancel_run(jsonb) from public;
grant execute on function door.cancel_run(jsonb) to authenticated;

create function public.cancel_run(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.cancel_run($1); end $$;
comment on function public.cancel_run(jsonb) is '{run_id} -> {run_id, state, cancel_requested_at}. What waits ends at once, what runs is stopped.';
revoke all on function public.cancel_run(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.cancel_run(jsonb) to authenticated;

create function door.get_run(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    r queue.runs;
    v jsonb;
begin
    select x.* into r from queue.runs x where x.tenant_id = v_member.tenant_id and x.id = ground.want_id(p, 'run_id');
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    end if;
    v := jsonb_build_object(
        'run_id', r.id, 'job_id', r.job_id, 'job_version', r.job_version, 'job_type', r.job_type, 'name', r.name,
        'state', r.state, 'termination_code', r.termination_code, 'termination_message', r.termination_message,
        'queue_reason', case when not queue.is_final(r.state) then queue.reason(r.tenant_id, r.id) end,
        'priority', r.priority, 'idempotency_key', r.idempotency_key, 'created_by', r.created_by, 'cancel_requested_at', r.cancel_requested_at,
        'times', jsonb_build_object('created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at,
            'queue_ms', (extract(epoch from coalesce(r.started_at, r.finished_at, clock_timestamp()) - r.created_at) * 1000)::bigint,
            'run_ms', (extract(epoch from coalesce(r.finished_at, clock_timestamp()) - r.started_at) * 1000)::bigint),
        'progress', (select jsonb_build_object('percent', coalesce(avg(t.percent), 0)::integer,
                         'message', (array_agg(t.progress_message order by t.started_at desc nulls last) filter (where t.progress_message is not null))[1])
                     from queue.task_runs t where t.tenant_id = r.tenant_id and t.run_id = r.id),
        'tasks', (select jsonb_agg(jsonb_build_object('task_run_id', t.id, 'task_key', t.task_key, 'job_type', t.job_type, 'engine', t.engine, 'state', t.state,
                'termination_code', t.termination_code, 'termination_message', t.termination_message, 'depends_on', t.depends_on, 'run_if', t.run_if,
                'progress', jsonb_build_object('percent', t.percent, 'message', t.progress_message),
                'max_retries', t.max_retries, 'timeout_seconds', t.timeout_seconds, 'values', t.output_values,
                'started_at', t.started_at, 'finished_at', t.finished_at,
                'attempts', (select coalesce(jsonb_agg(jsonb_build_object('attempt_id', a.id, 'number', a.number, 'lease', a.lease, 'lost', a.lost,
                        'state', a.state, 'runner', coalesce(n.name, a.runner::text), 'termination_code', a.termination_code, 'message', a.message,
                        'exit_code', a.exit_code, 'peak_memory_bytes', a.peak_memory_bytes, 'cpu_ms', a.cpu_ms, 'queued_at', a.queued_at,
                        'started_at', a.started_at, 'finished_at', a.finished_at, 'deadline_at', a.deadline_at, 'external_id', a.external_id)
                        order by a.id), '[]')
                    from queue.attempts a left join queue.runners n on n.instance = a.runner
                    where a.tenant_id = t.tenant_id and a.task_run_id = t.id and a.run_id = r.id)) order by t.id)
            from queue.task_runs t where t.tenant_id = r.tenant_id and t.run_id = r.id),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('artifact_id', a.id, 'name', a.name, 'kind', a.kind, 'version', w.version,
                'state', w.state, 'size', w.size, 'sha256', w.sha256, 'content_type', w.content_type, 'findings', w.findings) order by a.name), '[]')
            from artifact.versions w join artifact.artifacts a on a.tenant_id = w.tenant_id and a.id = w.artifact_id and a.deleted_at is null
            where w.tenant_id = r.tenant_id and w.run_id = r.id and w.state in ('READY', 'REFUSED')),
        'tables', (select coalesce(jsonb_agg(jsonb_build_object('layer', c.layer, 'schema', c.schema_name, 'table', c.name, 'rows', c.row_count) order by c.layer, c.name), '[]')
            from catalog.assets c where c.tenant_id = r.tenant_id and c.published_by_run = r.id),
        'callbacks', (select coalesce(jsonb_object_agg(case s.type when 'run.completed' then 'on_complete' when 'run.failed' then 'on_fail' else 'on_progress' end, e.url), '{}')
            from callback.subscriptions s join callback.endpoints e on e.tenant_id = s.tenant_id and e.id = s.endpoint_id
            where s.tenant_id = r.tenant_id and s.run_id = r.id),
        'url', '/functions/v1/api/v1/runs/' || r.id);
    if v_member.role >= 'operator' then  -- confidential: source code and parameters
        v := v || (select jsonb_build_object('spec', (array_agg(y.spec order by t.id))[1], 'requests', jsonb_object_agg(t.task_key,
                jsonb_build_object('spec', y.spec, 'code', y.code, 'params', y.params, 'inputs', y.inputs, 'outputs', y.outputs, 'secrets', y.secrets)))
            from queue.task_runs t join queue.payloads y on y.tenant_id = t.tenant_id and y.task_run_id = t.id
            where t.tenant_id = r.tenant_id and t.run_id = r.id);
    end if;
    return v;
end
$$;
revoke all on function door.get_run(jsonb) from public;
grant execute on function door.get_run(jsonb) to authenticated;

create function public.get_run(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.get_run($1); end $$;
comment on function public.get_run(jsonb) is '{run_id} -> the run with tasks, attempts, progress, artifacts, tables; code and parameters for operators.';
revoke all on function public.get_run(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_run(jsonb) to authenticated;

create function door.list_runs(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_below bigint := case when p ? 'cursor' then ground.want_id(p, 'cursor') else 9223372036854775807 end;
    v_items jsonb;
begin
    if p ? 'state' and p ->> 'state' <> all (enum_range(null::queue.state)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.state');
    end if;
    select coalesce(jsonb_agg(x.item order by x.id desc), '[]') into v_items from (
        select r.id, jsonb_build_object('run_id', r.id, 'job_id', r.job_id, 'job_type', r.job_type, 'name', r.name, 'state', r.state,
            'termination_code', r.termination_code, 'created_by', r.created_by, 'created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at,
            'percent', (select avg(t.percent)::integer from queue.task_runs t where t.tenant_id = r.tenant_id and t.run_id = r.id)) as item
        from queue.runs r
        where r.tenant_id = v_member.tenant_id and r.id < v_below  -- a page deep down costs what the first does
          and (not p ? 'state' or r.state = (p ->> 'state')::queue.state)
          and (not p ? 'job_type' or r.job_type = p ->> 'job_type')
          and (not p ? 'job_id' or r.job_id = ground.want_id(p, 'job_id'))
        order by r.id desc limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'run_id' end);
end
$$;
revoke all on function door.list_runs(jsonb) from public;
grant execute on function door.list_runs(jsonb) to authenticated;

create function public.list_runs(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_runs($1); end $$;
comment on function public.list_runs(jsonb) is '{state?, job_type?, job_id?, limit?, cursor?} -> {items, next}, newest first.';
revoke all on function public.list_runs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_runs(jsonb) to authenticated;

create function door.run_logs(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_run bigint := ground.want_id(p, 'run_id');
    v_after bigint := case when p ? 'after' then ground.want_id(p, 'after') else 0 end;
    v_limit integer := ground.page_limit(p);
    v_task bigint := (select t.id from queue.task_runs t where t.tenant_id = v_member.tenant_id and t.run_id = v_run and t.task_key = p ->> 'task_key');
    v_state queue.state;
    v_items jsonb;
begin
    select r.state into v_state from queue.runs r where r.tenant_id = v_member.tenant_id and r.id = v_run;
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('seq', x.seq, 'at', x.at, 'attempt_id', x.attempt_id, 'task_key', x.task_key, 'stream', x.stream, 'line', x.line) order by x.seq), '[]')
    into v_items from (
        select l.seq, l.at, l.attempt_id, t.task_key, l.stream, l.line
        from (select y.* from queue.logs y
              where y.tenant_id = v_member.tenant_id and y.run_id = v_run and y.seq > v_after
                and (not p ? 'task_key' or y.task_run_id = v_task)
              order by y.seq limit v_limit) l
        join queue.task_runs t on t.tenant_id = l.tenant_id and t.id = l.task_run_id) x;
    return jsonb_build_object('items', v_items, 'next', coalesce((v_items -> -1 -> 'seq')::bigint, v_after), 'state', v_state, 'final', queue.is_final(v_state));
end
$$;
revoke all on function door.run_logs(jsonb) from public;
grant execute on function door.run_logs(jsonb) to authenticated;

create function public.run_logs(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.run_logs($1); end $$;
comment on function public.run_logs(jsonb) is '{run_id, after?, limit?, task_key?} -> {items: [{seq, at, attempt_id, task_key, stream, line}], next, state, final}. Operators.';
revoke all on function public.run_logs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.run_logs(jsonb) to authenticated;

create function door.run_events(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_run bigint := ground.want_id(p, 'run_id');
    v_after bigint := case when p ? 'after' then ground.want_id(p, 'after') else 0 end;
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    if not exists (select from queue.runs r where r.tenant_id = v_member.tenant_id and r.id = v_run) then
        perform ground.fail('RUN_NOT_FOUND');
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('seq', x.seq, 'event_id', x.id, 'type', x.type, 'timestamp', x.at, 'data', x.data) order by x.seq), '[]')
    into v_items from (
        select e.* from callback.events e where e.tenant_id = v_member.tenant_id and e.run_id = v_run and e.seq > v_after order by e.seq limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', coalesce((v_items -> -1 -> 'seq')::bigint, v_after));
end
$$;
revoke all on function door.run_events(jsonb) from public;
grant execute on function door.run_events(jsonb) to authenticated;

create function public.run_events(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.run_events($1); end $$;
comment on function public.run_events(jsonb) is '{run_id, after?, limit?} -> {items, next}: the run''s events by seq, without gaps.';
revoke all on function public.run_events(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.run_events(jsonb) to authenticated;

-- ---------------------------------------------------------------------------------------------- jobs

create function door.put_job(p jsonb, p_create boolean)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_old jsonb;
    v jsonb;
    j job.jobs;
begin
    if p_create then
        v := job.check_definition(v_member.tenant_id, p);
    else
        select x.* into j from job.jobs x where x.tenant_id = v_member.tenant_id and x.id = ground.want_id(p, 'job_id') and x.deleted_at is null for update;
        if not found then
            perform ground.fail('JOB_NOT_FOUND');
        end if;
        select w.definition into v_old from job.versions w where w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version;
        v := job.check_definition(v_member.tenant_id, v_old || (p - 'job_id'));
    end if;
    perform callback.check_callbacks(v_member.tenant_id, v -> 'callbacks');
    if exists (select from job.jobs x where x.tenant_id = v_member.tenant_id and x.name::text = v ->> 'name' and x.deleted_at is null and x.id is distinct from j.id) then
        perform ground.fail('JOB_NAME_TAKEN', v ->> 'name');
    end if;
    if p_create then
        insert into job.jobs as x (tenant_id, name, current_version, created_by) values (v_member.tenant_id, v ->> 'name', 1, v_member.user_id) returning x.* into j;
    else
        update job.jobs x set name = v ->> 'name', current_version = x.current_version + 1, updated_at = now()
        where x.tenant_id = j.tenant_id and x.id = j.id returning x.* into j;
    end if;
    insert into job.versions (tenant_id, job_id, version, definition, created_by) values (j.tenant_id, j.id, j.current_version, v, v_member.user_id);
    perform audit.append(j.tenant_id, case when p_create then 'job.create' else 'job.update' end, 'job', j.id::text, jsonb_build_object('version', j.current_version));
    perform ground.answer_status(case when p_create then 201 else 200 end);
    return jsonb_build_object('job_id', j.id, 'version', j.current_version, 'created_by', j.created_by, 'created_at', j.created_at, 'updated_at', j.updated_at) || v;
end
$$;
revoke all on function door.put_job(jsonb, boolean) from public;
grant execute on function door.put_job(jsonb, boolean) to authenticated;

create function public.create_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.put_job($1, true); end $$;
comment on function public.create_job(jsonb) is '{name, tasks: [{task_key, job_type, spec, depends_on?, …}], parameters?, callbacks?} -> the job, version 1.';
revoke all on function public.create_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_job(jsonb) to authenticated;

create function public.update_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.put_job($1, false); end $$;
comment on function public.update_job(jsonb) is '{job_id, …fields to change} -> the job, next version; runs keep the version they ran.';
revoke all on function public.update_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.update_job(jsonb) to authenticated;

create function door.delete_job(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
begin
    update job.jobs j set deleted_at = now() where j.tenant_id = v_member.tenant_id and j.id = ground.want_id(p, 'job_id') and j.deleted_at is null;
    if not found then
        perform ground.fail('JOB_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'job.delete', 'job', p ->> 'job_id');
    return jsonb_build_object('job_id', (p ->> 'job_id')::bigint, 'deleted', true);
end
$$;
revoke all on function door.delete_job(jsonb) from public;
grant execute on function door.delete_job(jsonb) to authenticated;

create function public.delete_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_job($1); end $$;
comment on function public.delete_job(jsonb) is '{job_id}: soft; runs and versions stay.';
revoke all on function public.delete_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_job(jsonb) to authenticated;

create function door.get_job(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v jsonb;
begin
    select jsonb_build_object('job_id', j.id, 'name', j.name, 'version', j.current_version, 'created_by', j.created_by, 'created_at', j.created_at, 'updated_at', j.updated_at)
           || case when v_member.role >= 'operator' then w.definition
                   else jsonb_build_object('tasks', (select jsonb_agg(jsonb_build_object('task_key', t -> 'task_key', 'job_type', t -> 'job_type', 'depends_on', t -> 'depends_on'))
                                                     from jsonb_array_elements(w.definition -> 'tasks') t)) end
    into v
    from job.jobs j join job.versions w on w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version
    where j.tenant_id = v_member.tenant_id and j.id = ground.want_id(p, 'job_id') and j.deleted_at is null;
    if v is null then
        perform ground.fail('JOB_NOT_FOUND');
    end if;
    return v;
end
$$;
revoke all on function door.get_job(jsonb) from public;
grant execute on function door.get_job(jsonb) to authenticated;

create function public.get_job(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.get_job($1); end $$;
comment on function public.get_job(jsonb) is '{job_id} -> the job; code and parameters for operators.';
revoke all on function public.get_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_job(jsonb) to authenticated;

create function door.list_jobs(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('job_id', j.id, 'name', j.name, 'version', j.current_version, 'created_by', j.created_by,
               'created_at', j.created_at, 'updated_at', j.updated_at) order by j.id desc), '[]') into v_items
    from (select x.* from job.jobs x where x.tenant_id = v_member.tenant_id and x.deleted_at is null
            and (not p ? 'name' or x.name::text = p ->> 'name') and (not p ? 'cursor' or x.id < ground.want_id(p, 'cursor'))
          order by x.id desc limit v_limit) j;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'job_id' end);
end
$$;
revoke all on function door.list_jobs(jsonb) from public;
grant execute on function door.list_jobs(jsonb) to authenticated;

create function public.list_jobs(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_jobs($1); end $$;
comment on function public.list_jobs(jsonb) is '{name?, limit?, cursor?} -> {items, next}.';
revoke all on function public.list_jobs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_jobs(jsonb) to authenticated;

-- ----------------------------------------------------------------------------------------- artifacts

create function door.create_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    w artifact.versions;
begin
    perform ground.refuse_unknown(p, array['name', 'kind', 'size', 'sha256', 'content_type', 'description']);
    if jsonb_typeof(p -> 'size') is distinct from 'number' or p ->> 'size' !~ '^[0-9]{1,15}$' then
        perform ground.fail('FIELD_INVALID', '$.size', 'size must be the number of bytes.');
    end if;
    w := artifact.open_version(v_member.tenant_id, v_member.user_id, p ->> 'name', p ->> 'kind', (p ->> 'size')::bigint, p ->> 'sha256',
                               left(p ->> 'content_type', 200), left(p ->> 'description', 4000));
    perform audit.append(v_member.tenant_id, 'artifact.create', 'artifact', w.artifact_id::text, jsonb_build_object('version', w.version, 'size', w.size));
    perform ground.answer_status(201);
    return jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'state', w.state, 'bucket', 'artifacts', 'path', w.path, 'size', w.size);
end
$$;
revoke all on function door.create_artifact(jsonb) from public;
grant execute on function door.create_artifact(jsonb) to authenticated;

create function public.create_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_artifact($1); end $$;
comment on function public.create_artifact(jsonb) is '{name, kind, size, sha256?, content_type?, description?} -> {artifact_id, version, bucket, path}; put the bytes there, then complete_artifact.';
revoke all on function public.create_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_artifact(jsonb) to authenticated;

create function door.complete_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    w artifact.versions;
begin
    select v.* into w from artifact.versions v
    where v.tenant_id = v_member.tenant_id and v.artifact_id = ground.want_uuid(p, 'artifact_id')
      and (not p ? 'version' or v.version = ground.want_id(p, 'version'))
    order by v.version desc limit 1 for update;
    if not found then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    elsif w.state = 'PENDING' and w.uploaded_at is null then
        update artifact.versions v set uploaded_at = now() where v.tenant_id = w.tenant_id and v.artifact_id = w.artifact_id and v.version = w.version;
        perform ground.wake('control_room_uploads');
    end if;
    perform ground.answer_status(202);
    return jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'state', w.state);
end
$$;
revoke all on function door.complete_artifact(jsonb) from public;
grant execute on function door.complete_artifact(jsonb) to authenticated;

create function public.complete_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.complete_artifact($1); end $$;
comment on function public.complete_artifact(jsonb) is '{artifact_id, version?}: the bytes are there; the runner checks them: PENDING -> READY | REFUSED.';
revoke all on function public.complete_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.complete_artifact(jsonb) to authenticated;

create function door.get_artifact(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v jsonb;
begin
    select jsonb_build_object('artifact_id', a.id, 'name', a.name, 'kind', a.kind, 'description', a.description, 'created_by', a.created_by, 'created_at', a.created_at,
        'versions', (select coalesce(jsonb_agg(jsonb_build_object('version', w.version, 'state', w.state, 'size', w.size, 'sha256', w.sha256,
                         'content_type', w.content_type, 'run_id', w.run_id, 'findings', w.findings, 'created_at', w.created_at, 'finished_at', w.finished_at) order by w.version desc), '[]')
                     from artifact.versions w where w.tenant_id = a.tenant_id and w.artifact_id = a.id),
        'aliases', (select coalesce(jsonb_object_agg(x.alias, x.version), '{}') from artifact.aliases x where x.tenant_id = a.tenant_id and x.artifact_id = a.id),
        'tags', (select coalesce(jsonb_object_agg(x.key, x.value), '{}') from artifact.tags x where x.tenant_id = a.tenant_id and x.artifact_id = a.id))
    into v from artifact.artifacts a
    where a.tenant_id = v_member.tenant_id and a.id = ground.want_uuid(p, 'artifact_id') and a.deleted_at is null;
    if v is null then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    end if;
    return v;
end
$$;
revoke all on function door.get_artifact(jsonb) from public;
grant execute on function door.get_artifact(jsonb) to authenticated;

create function public.get_artifact(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.get_artifact($1); end $$;
comment on function public.get_artifact(jsonb) is '{artifact_id} -> the artifact with its versions, aliases and tags.';
revoke all on function public.get_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_artifact(jsonb) to authenticated;

create function door.list_artifacts(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(x.item order by x.name), '[]') into v_items from (
        select a.name, jsonb_build_object('artifact_id', a.id, 'name', a.name, 'kind', a.kind, 'version', w.version, 'state', w.state, 'size', w.size,
                   'sha256', w.sha256, 'run_id', w.run_id, 'created_at', w.created_at) as item
        from artifact.artifacts a
        cross join lateral (select v.* from artifact.versions v where v.tenant_id = a.tenant_id and v.artifact_id = a.id
                              and (not p ? 'run_id' or v.run_id = ground.want_id(p, 'run_id')) order by v.version desc limit 1) w
        where a.tenant_id = v_member.tenant_id and a.deleted_at is null
          and (not p ? 'name' or a.name = p ->> 'name') and (not p ? 'kind' or a.kind::text = p ->> 'kind')
          and (not p ? 'cursor' or a.name > p ->> 'cursor')
        order by a.name limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'name' end);
end
$$;
revoke all on function door.list_artifacts(jsonb) from public;
grant execute on function door.list_artifacts(jsonb) to authenticated;

create function public.list_artifacts(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_artifacts($1); end $$;
comment on function public.list_artifacts(jsonb) is '{name?, kind?, run_id?, limit?, cursor?} -> {items, next} with the newest version of each.';
revoke all on function public.list_artifacts(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_artifacts(jsonb) to authenticated;

create function door.artifact_download(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');  -- the bytes are confidential, the metadata is not
    w artifact.versions;
begin
    w := artifact.ready_version(v_member.tenant_id, ground.want_uuid(p, 'artifact_id'), job.check_integer(p, 'version', '$', 1, 2147483647, null)::integer);
    if w.path is null then
        perform ground.fail(case when exists (select from artifact.artifacts a where a.tenant_id = v_member.tenant_id
                                              and a.id = ground.want_uuid(p, 'artifact_id') and a.deleted_at is null)
                                 then 'ARTIFACT_NOT_READY' else 'ARTIFACT_NOT_FOUND' end);
    end if;
    return (select jsonb_build_object('bucket', 'artifacts', 'path', w.path, 'filename', regexp_replace(a.name, '^.*/', ''), 'version', w.version,
                'size', w.size, 'sha256', w.sha256, 'content_type', w.content_type)
            from artifact.artifacts a where a.tenant_id = w.tenant_id and a.id = w.artifact_id);
end
$$;
revoke all on function door.artifact_download(jsonb) from public;
grant execute on function door.artifact_download(jsonb) to authenticated;

create function public.artifact_download(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.artifact_download($1); end $$;
comment on function public.artifact_download(jsonb) is '{artifact_id, version?} -> where the bytes of the newest READY version lie; the edge door signs it.';
revoke all on function public.artifact_download(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.artifact_download(jsonb) to authenticated;

create function door.delete_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
begin
    update artifact.artifacts a set deleted_at = now(), deleted_by = v_member.user_id
    where a.tenant_id = v_member.tenant_id and a.id = ground.want_uuid(p, 'artifact_id') and a.deleted_at is null;
    if not found then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'artifact.delete', 'artifact', p ->> 'artifact_id');
    return jsonb_build_object('artifact_id', p ->> 'artifact_id', 'deleted', true);
end
$$;
revoke all on function door.delete_artifact(jsonb) from public;
grant execute on function door.delete_artifact(jsonb) to authenticated;

create function public.delete_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_artifact($1); end $$;
comment on function public.delete_artifact(jsonb) is '{artifact_id}: soft, admins only, audited; lineage stays.';
revoke all on function public.delete_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_artifact(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------------- lineage

create function door.lineage_ingest(events jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_events jsonb := case jsonb_typeof(events) when 'array' then events else jsonb_build_array(events) end;
    v_failed jsonb := '[]';
    v_fault text;
    e jsonb;
    i integer := 0;
begin
    if events is null or jsonb_array_length(v_events) > 10000 then
        perform ground.fail('BODY_INVALID', '$', 'An event or an array of at most 10000 events is expected.');
    end if;
    for e in select * from jsonb_array_elements(v_events) loop
        begin
            v_fault := lineage.record(v_member.tenant_id, e);
        exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
            v_fault := '$: ' || left(sqlerrm, 200);
        end;
        if v_fault is not null then
            v_failed := v_failed || jsonb_build_array(jsonb_build_object('index', i, 'reason', v_fault, 'retriable', false));
        end if;
        i := i + 1;
    end loop;
    return jsonb_build_object('status', case when v_failed = '[]' then 'success' else 'partial_success' end,
        'summary', jsonb_build_object('received', i, 'successful', i - jsonb_array_length(v_failed), 'failed', jsonb_array_length(v_failed),
                                      'retriable', 0, 'non_retriable', jsonb_array_length(v_failed)),
        'failed_events', v_failed);
end
$$;
revoke all on function door.lineage_ingest(jsonb) from public;
grant execute on function door.lineage_ingest(jsonb) to authenticated;

create function public.lineage_ingest(events jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.lineage_ingest(events); end $$;
comment on function public.lineage_ingest(jsonb) is 'OpenLineage events, one or an array -> {status, summary, failed_events: [{index, reason}]}. Replays change nothing.';
revoke all on function public.lineage_ingest(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_ingest(jsonb) to authenticated;

create function public.lineage_graph(
    node text, direction text default 'both', depth integer default 5, as_of timestamptz default null,
    kinds text[] default null, max_nodes integer default 2000, cursor text default null
)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_start bigint;
    v_nodes bigint[];
    v_offset integer := 0;
    v_page bigint[];
    v_graph jsonb;
begin
    perform tenancy.require('viewer');
    if lineage_graph.direction is null or lineage_graph.direction <> all (array['upstream', 'downstream', 'both']) then
        perform ground.fail('FIELD_INVALID', 'direction', 'direction is upstream, downstream or both.');
    elsif lineage_graph.depth is null or lineage_graph.depth not between 0 and 100 then
        perform ground.fail('FIELD_INVALID', 'depth', 'depth is a whole number of dataset hops from 0 to 100.');
    elsif max_nodes is null or max_nodes not between 1 and 20000 then
        perform ground.fail('FIELD_INVALID', 'max_nodes', 'max_nodes is a whole number from 1 to 20000.');
    elsif cursor is not null and cursor !~ '^[0-9]{1,7}$' then
        perform ground.fail('FIELD_INVALID', 'cursor', 'cursor is what next gave.');
    end if;
    v_offset := coalesce(cursor::integer, 0);
    if node like 'job:%' then
        select array_agg(distinct x.d order by x.d) into v_nodes from (
            select o.dataset_id as d from lineage.jobs j join lineage.job_io o on o.tenant_id = j.tenant_id and o.job_id = j.id
            where j.tenant_id = (select tenancy.tenant_id()) and 'job:' || j.namespace || ':' || j.name = node) x;
    else
        v_start := lineage.find_dataset(node);
        v_nodes := case when v_start is not null then array[v_start] end;
    end if;
    if v_nodes is null then
        perform ground.fail('NODE_NOT_FOUND', left(node, 200));
    end if;
    v_nodes := lineage.walk(v_nodes, lineage_graph.direction, lineage_graph.depth, as_of, v_offset + max_nodes + 1);
    v_page := v_nodes[v_offset + 1 : v_offset + max_nodes];
    v_graph := lineage.hydrate(v_page, as_of);
    if kinds is not null then
        select coalesce(jsonb_agg(g), '[]') into v_graph from jsonb_array_elements(v_graph) g where lower(g ->> 'type') = any (select lower(k) from unnest(kinds) k);
    end if;
    return jsonb_build_object('graph', v_graph, 'truncated', cardinality(v_nodes) > v_offset + max_nodes,
        'next', case when cardinality(v_nodes) > v_offset + max_nodes then (v_offset + max_nodes)::text end);
end
$$;
comment on function public.lineage_graph(text, text, integer, timestamptz, text[], integer, text)
    is 'node = dataset:{ns}:{name} or job:{ns}:{name}; depth in dataset hops -> {graph: [{id, type, data, inEdges, outEdges}], truncated, next}.';
revoke all on function public.lineage_graph(text, text, integer, timestamptz, text[], integer, text) from public, anon, authenticated, service_role;
grant execute on function public.lineage_graph(text, text, integer, timestamptz, text[], integer, text) to authenticated;

-- Columns upstream of a dataset, hop by hop.
create function public.column_lineage(node text, depth integer default 5)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_start bigint := lineage.find_dataset(node);
begin
    if v_start is null then
        perform ground.fail('NODE_NOT_FOUND', left(node, 200));
    elsif column_lineage.depth is null or column_lineage.depth not between 1 and 100 then
        perform ground.fail('FIELD_INVALID', 'depth', 'depth is a whole number from 1 to 100.');
    end if;
    return (
        with recursive up as (
            select c.src, c.src_field, c.dst, c.dst_field, c.type, c.subtype, 1 as hop from lineage.column_edges c
            where c.tenant_id = v_tenant and c.dst = v_start and c.deleted_at is null
            union
            select c.src, c.src_field, c.dst, c.dst_field, c.type, c.subtype, up.hop + 1 from up
            join lineage.column_edges c on c.tenant_id = v_tenant and c.dst = up.src and c.dst_field = up.src_field and c.deleted_at is null
            where up.hop < column_lineage.depth
        ), edge as (
            select distinct 'datasetField:' || s.namespace || ':' || s.name || ':' || u.src_field as origin,
                   'datasetField:' || d.namespace || ':' || d.name || ':' || u.dst_field as destination,
                   s.namespace as sns, s.name as sname, u.src_field, d.namespace as dns, d.name as dname, u.dst_field, u.type, u.subtype
            from (select src, src_field, dst, dst_field, type, subtype from up limit 20000) u
            join lineage.datasets s on s.tenant_id = v_tenant and s.id = u.src
            join lineage.datasets d on d.tenant_id = v_tenant and d.id = u.dst
        ), field as (
            select origin as id, sns as ns, sname as name, src_field as field from edge union select destination, dns, dname, dst_field from edge
        )
        select jsonb_build_object('graph', coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'type', 'DATASET_FIELD',
            'data', jsonb_build_object('namespace', f.ns, 'dataset', f.name, 'field', f.field, 'inputFields',
                (select coalesce(jsonb_agg(jsonb_build_object('namespace', e.sns, 'dataset', e.sname, 'field', e.src_field, 'transformationType', e.type, 'transformationDescription', e.subtype)), '[]')
                 from edge e where e.destination = f.id)),
            'inEdges', (select coalesce(jsonb_agg(jsonb_build_object('origin', e.origin, 'destination', e.destination) order by e.origin), '[]') from edge e where e.destination = f.id),
            'outEdges', (select coalesce(jsonb_agg(jsonb_build_object('origin', e.origin, 'destination', e.destination) order by e.destination), '[]') from edge e where e.origin = f.id))
            order by f.id), '[]'))
        from field f);
end
$$;
comment on function public.column_lineage(text, integer) is 'node = dataset:{ns}:{name} -> the columns it comes from, in Marquez''s column-lineage shape.';
revoke all on function public.column_lineage(text, integer) from public, anon, authenticated, service_role;
grant execute on function public.column_lineage(text, integer) to authenticated;

-- What a run read and wrote, with columns: this very file came from these runs.
create function public.run_lineage(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_run bigint := ground.want_id($1, 'run_id');
    v_edges bigint[];
    v_nodes bigint[];
begin
    if not exists (select from queue.runs r where r.tenant_id = v_tenant and r.id = v_run) then
        perform ground.fail('RUN_NOT_FOUND');
    end if;
    select array_agg(distinct o.edge_id) into v_edges from lineage.observations o where o.tenant_id = v_tenant and o.run_id = v_run;
    select array_agg(distinct n) into v_nodes from (
        select e.src as n from lineage.edges e where e.tenant_id = v_tenant and e.id = any (v_edges)
        union select e.dst from lineage.edges e where e.tenant_id = v_tenant and e.id = any (v_edges)) x;
    return jsonb_build_object('run_id', v_run, 'graph', lineage.hydrate(coalesce(v_nodes, '{}'), null),
        'columns', (select coalesce(jsonb_agg(jsonb_build_object('origin', s.namespace || ':' || s.name || ':' || c.src_field,
                        'destination', d.namespace || ':' || d.name || ':' || c.dst_field, 'type', c.type, 'subtype', c.subtype)), '[]')
                    from lineage.column_edges c
                    join lineage.datasets s on s.tenant_id = c.tenant_id and s.id = c.src
                    join lineage.datasets d on d.tenant_id = c.tenant_id and d.id = c.dst
                    where c.tenant_id = v_tenant and c.deleted_at is null and c.src = any (v_nodes) and c.dst = any (v_nodes)
                      and c.job_id in (select e.job_id from lineage.edges e where e.tenant_id = v_tenant and e.id = any (v_edges))));
end
$$;
comment on function public.run_lineage(jsonb) is '{run_id} -> {graph, columns}: what the run read and wrote.';
revoke all on function public.run_lineage(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.run_lineage(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------------- catalog

-- Rows of a layer table, read as the caller: row security of the table decides.
create function public.read_table(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_limit integer := ground.page_limit($1);
    a catalog.assets;
    v_rows jsonb;
begin
    select x.* into a from catalog.assets x where x.tenant_id = v_tenant and x.layer::text = $1 ->> 'layer' and x.name = $1 ->> 'table';
    if not found then
        perform ground.fail('INPUT_NOT_FOUND', left(concat_ws('.', $1 ->> 'layer', $1 ->> 'table'), 128));
    end if;
    execute format('select coalesce(jsonb_agg(to_jsonb(t) - ''tenant_id''), ''[]'') from (select * from %I.%I limit %s) t', a.schema_name, a.name, v_limit) into v_rows;
    return jsonb_build_object('layer', a.layer, 'schema', a.schema_name, 'table', a.name, 'columns', a.columns, 'row_count', a.row_count, 'rows', v_rows);
end
$$;
comment on function public.read_table(jsonb) is '{layer, table, limit?} -> {columns, row_count, rows}; viewers read gold.';
revoke all on function public.read_table(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.read_table(jsonb) to authenticated;

-- ----------------------------------------------------------------------------------------- callbacks

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

-- --------------------------------------------------------------------------------------- access tokens

create function door.create_token(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_token text := 'cr_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    v_role ground.member_role;
    k tenancy.access_tokens;
begin
    perform ground.refuse_unknown(p, array['name', 'role', 'expires_at']);
    if ground.claims() ? 'token_id' then
        perform ground.fail('ROLE_INSUFFICIENT', 'a machine token makes no tokens');
    elsif length(coalesce(p ->> 'name', '')) not between 1 and 128 then
        perform ground.fail('FIELD_INVALID', '$.name');
    elsif coalesce(p ->> 'role', 'viewer') not in ('viewer', 'operator', 'admin') then
        perform ground.fail('FIELD_INVALID', '$.role', 'role is viewer, operator or admin.');
    end if;
    v_role := coalesce(p ->> 'role', 'viewer')::ground.member_role;
    if v_role > v_member.role then
        perform ground.fail('ROLE_INSUFFICIENT', 'a token may not do more than its maker');
    end if;
    insert into tenancy.access_tokens as x (tenant_id, user_id, name, role, hash, expires_at)
    values (v_member.tenant_id, v_member.user_id, p ->> 'name', v_role, sha256(convert_to(v_token, 'UTF8')), ground.want_time(p, 'expires_at'))
    returning x.* into k;
    perform audit.append(v_member.tenant_id, 'token.create', 'token', k.id::text, jsonb_build_object('name', k.name, 'role', k.role));
    perform ground.answer_status(201);
    return jsonb_build_object('token_id', k.id, 'token', v_token, 'name', k.name, 'role', k.role, 'expires_at', k.expires_at);
end
$$;
revoke all on function door.create_token(jsonb) from public;
grant execute on function door.create_token(jsonb) to authenticated;

create function public.create_token(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_token($1); end $$;
comment on function public.create_token(jsonb) is '{name, role?, expires_at?} -> {token_id, token}: the token is shown this once.';
revoke all on function public.create_token(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_token(jsonb) to authenticated;

create function door.revoke_token(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
begin
    update tenancy.access_tokens k set revoked_at = now()
    where k.tenant_id = v_member.tenant_id and k.id = ground.want_uuid(p, 'token_id') and k.revoked_at is null
      and (v_member.role = 'admin' or k.user_id = v_member.user_id);
    if not found then
        perform ground.fail('ACCESS_TOKEN_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'token.revoke', 'token', p ->> 'token_id');
    return jsonb_build_object('token_id', p ->> 'token_id', 'revoked', true);
end
$$;
revoke all on function door.revoke_token(jsonb) from public;
grant execute on function door.revoke_token(jsonb) to authenticated;

create function public.revoke_token(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.revoke_token($1); end $$;
comment on function public.revoke_token(jsonb) is '{token_id}: dead at once. One''s own; admins any.';
revoke all on function public.revoke_token(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.revoke_token(jsonb) to authenticated;

create function door.list_tokens(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('token_id', k.id, 'user_id', k.user_id, 'name', k.name, 'role', k.role, 'created_at', k.created_at,
               'expires_at', k.expires_at, 'last_used_at', k.last_used_at, 'revoked_at', k.revoked_at) order by k.id), '[]')
    into v_items from (select x.* from tenancy.access_tokens x
                       where x.tenant_id = v_member.tenant_id and (v_member.role = 'admin' or x.user_id = v_member.user_id)
                         and (not p ? 'cursor' or x.id > ground.want_uuid(p, 'cursor')) order by x.id limit v_limit) k;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'token_id' end);
end
$$;
revoke all on function door.list_tokens(jsonb) from public;
grant execute on function door.list_tokens(jsonb) to authenticated;

create function public.list_tokens(jsonb)
returns jsonb language sql stable set search_path = '' as $$ select door.list_tokens($1) $$;
comment on function public.list_tokens(jsonb) is '{limit?, cursor?} -> {items, next}: one''s own; admins see all. Never the token itself.';
revoke all on function public.list_tokens(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_tokens(jsonb) to authenticated;

-- ---------------------------------------------------------------------------------------------- slo

create function door.slo(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_hours integer := job.check_integer(coalesce(p, '{}'), 'window_hours', '$', 1, 8760, 24);
    v_since timestamptz := clock_timestamp() - make_interval(hours => v_hours);
    v_space text := 'control-room://' || (select t.slug from tenancy.tenants t where t.id = v_member.tenant_id);
    r record;
    f record;
    d record;
begin
    select count(*) as finished, count(*) filter (where x.state = 'SUCCEEDED') as succeeded,
           count(*) filter (where x.state <> 'SUCCEEDED') as failed,
           count(*) filter (where x.termination_code in ('RUNNER_LOST', 'NO_SANDBOX', 'EXECUTOR_UNAVAILABLE', 'INTERNAL_ERROR')) as platform_failed,
           avg(extract(epoch from x.finished_at - x.started_at) * 1000) filter (where x.state = 'SUCCEEDED') as mean_ms,
           avg(extract(epoch from x.started_at - x.created_at) * 1000) filter (where x.started_at is not null) as wait_ms
    into r from queue.runs x where x.tenant_id = v_member.tenant_id and x.finished_at >= v_since;
    -- a flow is what a run wrote: tables and file artifacts; covered = the lineage graph knows the writer
    select count(*) as flows, count(*) filter (where exists (
               select from lineage.datasets s join lineage.job_io o on o.tenant_id = s.tenant_id and o.dataset_id = s.id and o.direction = 'out'
               where s.tenant_id = v_member.tenant_id and s.key = md5(y.space || chr(31) || y.name)::uuid)) as covered
    into f from (
        select v_space as space, c.layer || '.' || c.name as name from catalog.assets c where c.tenant_id = v_member.tenant_id and c.published_at >= v_since
        union
        select v_space || '/artifacts', a.name from artifact.versions w join artifact.artifacts a on a.tenant_id = w.tenant_id and a.id = w.artifact_id
        where w.tenant_id = v_member.tenant_id and w.state = 'READY' and w.run_id is not null and a.kind not in ('log', 'code') and w.finished_at >= v_since) y;
    select count(*) as owed, count(*) filter (where x.finished_at is not null) as ended, count(*) filter (where x.state = 'DELIVERED') as delivered,
           count(*) filter (where x.state = 'DEAD') as dead, count(*) filter (where x.state = 'GONE') as gone
    into d from callback.deliveries x where x.tenant_id = v_member.tenant_id and x.created_at >= v_since;
    return jsonb_build_object(
        'window_hours', v_hours,
        'runs', jsonb_build_object('finished', r.finished, 'succeeded', r.succeeded, 'failed', r.failed, 'failed_by_platform', r.platform_failed),
        'success_rate', case when r.finished > 0 then round(r.succeeded::numeric / r.finished, 6) end,
        'success_rate_platform', case when r.finished > 0 then round(1 - r.platform_failed::numeric / r.finished, 6) end,
        'mean_execution_ms', round(r.mean_ms), 'mean_wait_ms', round(r.wait_ms),
        'lineage', jsonb_build_object('flows', f.flows, 'covered', f.covered),
        'lineage_coverage', case when f.flows > 0 then round(f.covered::numeric / f.flows, 6) end,
        'deliveries', jsonb_build_object('owed', d.owed, 'delivered', d.delivered, 'dead', d.dead, 'gone', d.gone, 'pending', d.owed - d.ended),
        'callback_delivery', case when d.owed > 0 then round(d.ended::numeric / d.owed, 6) end,
        'targets', jsonb_build_object('success_rate_platform', 0.99, 'mean_execution_ms', 300000, 'lineage_coverage', 1, 'callback_delivery', 1));
end
$$;
revoke all on function door.slo(jsonb) from public;
grant execute on function door.slo(jsonb) to authenticated;

create function public.slo(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.slo($1); end $$;
comment on function public.slo(jsonb) is '{window_hours?} -> success rate (platform apart from user code), mean execution time, lineage coverage, callback delivery.';
revoke all on function public.slo(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.slo(jsonb) to authenticated;

-- ------------------------------------------------- doors without a tenant's JWT: tokens, health, platform

set role app_system;

create function door.exchange_token(p jsonb)
returns jsonb language sql volatile security definer set search_path = '' as $$ select tenancy.open_access_token(p ->> 'token') $$;
revoke all on function door.exchange_token(jsonb) from public;
grant execute on function door.exchange_token(jsonb) to anon;

-- The attempt a token stands for, locked; dead once it is settled, released or claimed anew.
create function door.held_attempt(p_token text)
returns queue.live_attempts language plpgsql volatile set search_path = '' as $$
declare
    a queue.live_attempts;
begin
    if p_token ~ '^crat_[0-9]{1,18}_[0-9]{1,9}_[0-9a-f]{64}$' then
        select x.* into a from queue.live_attempts x
        where x.id = split_part(p_token, '_', 2)::bigint and x.lease = split_part(p_token, '_', 3)::integer and x.state = 'RUNNING'
          and x.token_hash = sha256(convert_to(p_token, 'UTF8')) for update;
    end if;
    if a.id is null then
        perform ground.fail('ATTEMPT_TOKEN_INVALID');
    end if;
    return a;
end
$$;
revoke all on function door.held_attempt(text) from public;

create function door.attempt_report(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token');
    v record;
begin
    case p ->> 'event'
        when 'progress' then
            select * into v from queue.report(a.id, a.lease, job.check_integer(p, 'percent', '$', 0, 100, null)::integer, left(p ->> 'message', 500),
                                              left(p ->> 'external_id', 512), null);
            if v.advanced then
                perform callback.announce_progress(a.tenant_id, a.run_id);
            end if;
        when 'complete' then
            perform worker.settle_one(jsonb_build_object('attempt_id', a.id, 'lease', a.lease,
                'outcome', jsonb_build_object('state', 'SUCCEEDED', 'termination_code', 'SUCCESS', 'values', coalesce(p -> 'result', '{}'))));
        when 'fail' then
            if jsonb_typeof(p -> 'retryable') not in ('boolean', 'null') then
                perform ground.fail('FIELD_INVALID', '$.retryable', 'retryable is true or false.');
            end if;
            perform worker.settle_one(jsonb_build_object('attempt_id', a.id, 'lease', a.lease,
                'outcome', jsonb_build_object('state', 'FAILED', 'termination_code', 'USER_CODE_FAILED', 'retryable', coalesce((p ->> 'retryable')::boolean, false),
                                              'message', left(p ->> 'error', 2000))));
        else
            perform ground.fail('FIELD_INVALID', '$.event', 'event is progress, complete or fail.');
    end case;
    return jsonb_build_object('accepted', true, 'cancel_requested', a.cancel_requested_at is not null);
end
$$;
revoke all on function door.attempt_report(jsonb) from public;
grant execute on function door.attempt_report(jsonb) to anon;

create function door.attempt_artifact(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token');
    w artifact.versions;
    v_job text;
begin
    if jsonb_typeof(p -> 'size') is distinct from 'number' or p ->> 'size' !~ '^[0-9]{1,15}$' then
        perform ground.fail('FIELD_INVALID', '$.size', 'size must be the number of bytes.');
    end if;
    -- versions grow under the job's name; what a one-time run makes stands under the run
    select j.name into v_job from queue.runs r join job.jobs j on j.tenant_id = r.tenant_id and j.id = r.job_id
    where r.tenant_id = a.tenant_id and r.id = a.run_id;
    w := artifact.open_version(a.tenant_id, (select r.created_by from queue.runs r where r.tenant_id = a.tenant_id and r.id = a.run_id),
        coalesce('jobs/' || v_job, 'runs/' || a.run_id) || '/' || (p ->> 'name'), p ->> 'kind', (p ->> 'size')::bigint, p ->> 'sha256',
        left(p ->> 'content_type', 200), null, a.run_id, a.id, a.lease);
    perform ground.answer_status(201);
    return (select jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'name', x.name, 'bucket', 'artifacts', 'path', w.path, 'size', w.size)
            from artifact.artifacts x where x.tenant_id = w.tenant_id and x.id = w.artifact_id);
end
$$;
revoke all on function door.attempt_artifact(jsonb) from public;
grant execute on function door.attempt_artifact(jsonb) to anon;

create function door.attempt_input(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token');
    i jsonb;
    w artifact.versions;
begin
    if p ->> 'name' = '.code' then
        select y.code into i from queue.payloads y where y.tenant_id = a.tenant_id and y.task_run_id = a.task_run_id and y.code ? 'artifact_id';
    else
        select x into i from queue.payloads y cross join jsonb_array_elements(y.inputs) x
        where y.tenant_id = a.tenant_id and y.task_run_id = a.task_run_id and x ->> 'name' = p ->> 'name' and x ? 'artifact_id';
    end if;
    if i is null then
        perform ground.fail('INPUT_UNKNOWN', left(p ->> 'name', 128));
    end if;
    w := artifact.ready_version(a.tenant_id, (i ->> 'artifact_id')::uuid, (i ->> 'version')::integer);
    if w.path is null then
        perform ground.fail('ARTIFACT_NOT_READY', left(p ->> 'name', 128));
    end if;
    return (select jsonb_build_object('bucket', 'artifacts', 'path', w.path, 'filename', regexp_replace(x.name, '^.*/', ''), 'artifact_name', x.name,
                'version', w.version, 'size', w.size, 'sha256', w.sha256)
            from artifact.artifacts x where x.tenant_id = w.tenant_id and x.id = w.artifact_id);
end
$$;
revoke all on function door.attempt_input(jsonb) from public;
grant execute on function door.attempt_input(jsonb) to anon;

-- The bytes of one upload, for the runner that holds its check.
create function door.check_bytes(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    v_path text;
begin
    select w.path into v_path from artifact.versions w
    where w.check_token_hash = sha256(convert_to(p ->> 'token', 'UTF8')) and w.state = 'PENDING' and w.check_expires_at > clock_timestamp();
    if v_path is null then
        perform ground.fail('CHECK_TOKEN_INVALID');
    end if;
    return jsonb_build_object('bucket', 'artifacts', 'path', v_path);
end
$$;
revoke all on function door.check_bytes(jsonb) from public;
grant execute on function door.check_bytes(jsonb) to anon;

create function door.health()
returns jsonb language sql stable security definer set search_path = '' as $$
    with live as (
        select r.* from queue.runners r where r.stopped_at is null and r.seen_at > clock_timestamp() - interval '1 minute'
    )
    select jsonb_build_object('status', case when exists (select from live) then 'ok' else 'no_runner' end,
        'database', 'ok', 'time', clock_timestamp(),
        'runners', (select coalesce(jsonb_agg(jsonb_build_object('offers', l.offers, 'sandbox', l.sandbox, 'seen_at', l.seen_at, 'version', l.version)), '[]') from live l))
$$;
revoke all on function door.health() from public;
grant execute on function door.health() to anon, authenticated, service_role;

create function door.platform_create_tenant(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_id uuid;
begin
    perform ground.refuse_unknown(p, array['slug', 'name']);
    if coalesce(p ->> 'slug', '') !~ '^[a-z][a-z0-9_]{0,40}$' then
        perform ground.fail('FIELD_INVALID', '$.slug', 'slug is [a-z][a-z0-9_]{0,40}.');
    elsif length(coalesce(p ->> 'name', p ->> 'slug')) not between 1 and 200 then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is 1 to 200 characters.');
    end if;
    v_id := tenancy.create_tenant(p ->> 'slug', p ->> 'name');
    insert into queue.slots (tenant_id) values (v_id);
    perform catalog.open_layers(p ->> 'slug');
    perform audit.append(v_id, 'tenant.create', 'tenant', p ->> 'slug');
    perform ground.answer_status(201);
    return jsonb_build_object('tenant_id', v_id, 'slug', p ->> 'slug');
end
$$;
revoke all on function door.platform_create_tenant(jsonb) from public;
grant execute on function door.platform_create_tenant(jsonb) to service_role;

create function door.platform_set_limits(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
    l tenancy.limits;
begin
    perform ground.refuse_unknown(p, array['tenant', 'max_running', 'timeout_seconds', 'max_retries', 'max_artifact_bytes', 'validation_policy']);
    update tenancy.limits x
    set max_running = job.check_integer(p, 'max_running', '$', 0, 100000, x.max_running),
        timeout_seconds = job.check_integer(p, 'timeout_seconds', '$', 1, 86400, x.timeout_seconds),
        max_retries = job.check_integer(p, 'max_retries', '$', 0, 10, x.max_retries),
        max_artifact_bytes = job.check_integer(p, 'max_artifact_bytes', '$', 0, 52428800, x.max_artifact_bytes)
    where x.tenant_id = t.id returning x.* into l;
    if p ? 'validation_policy' then
        if coalesce(p ->> 'validation_policy', '') not in ('off', 'warn', 'enforce') then
            perform ground.fail('FIELD_INVALID', '$.validation_policy');
        end if;
        update tenancy.tenants x set validation_policy = p ->> 'validation_policy' where x.id = t.id;
    end if;
    perform audit.append(t.id, 'tenant.set_limits', 'tenant', t.slug, p);
    return to_jsonb(l);
end
$$;
revoke all on function door.platform_set_limits(jsonb) from public;
grant execute on function door.platform_set_limits(jsonb) to service_role;

create function door.platform_grant(p jsonb, p_give boolean)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
begin
    perform ground.refuse_unknown(p, array['tenant', 'kind', 'name']);
    if coalesce(p ->> 'kind', '') not in ('secret', 'target', 'namespace', 'model', 'image', 'network') or length(coalesce(p ->> 'name', '')) not between 1 and 256 then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind is secret, target, namespace, model, image or network; name is what the runner''s environment calls it.');
    end if;
    if p_give then
        insert into tenancy.grants (tenant_id, kind, name) values (t.id, p ->> 'kind', p ->> 'name') on conflict do nothing;
    else
        delete from tenancy.grants g where g.tenant_id = t.id and g.kind = p ->> 'kind' and g.name = p ->> 'name';
    end if;
    perform audit.append(t.id, case when p_give then 'tenant.grant' else 'tenant.revoke' end, 'grant', (p ->> 'kind') || '/' || (p ->> 'name'));
    return p || jsonb_build_object('granted', p_give);
end
$$;
revoke all on function door.platform_grant(jsonb, boolean) from public;
grant execute on function door.platform_grant(jsonb, boolean) to service_role;

create function door.platform_add_member(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
begin
    perform ground.refuse_unknown(p, array['tenant', 'user_id', 'role']);
    if coalesce(p ->> 'role', '') not in ('viewer', 'operator', 'admin') or length(coalesce(p ->> 'user_id', '')) not between 1 and 128 then
        perform ground.fail('FIELD_INVALID', '$.role', 'role is viewer, operator or admin; user_id is 1 to 128 characters.');
    end if;
    insert into tenancy.members (tenant_id, user_id, role) values (t.id, p ->> 'user_id', (p ->> 'role')::ground.member_role)
    on conflict (tenant_id, user_id) do update set role = excluded.role;
    perform audit.append(t.id, 'member.set', 'member', p ->> 'user_id', jsonb_build_object('role', p ->> 'role'));
    return jsonb_build_object('tenant_id', t.id, 'user_id', p ->> 'user_id', 'role', p ->> 'role');
end
$$;
revoke all on function door.platform_add_member(jsonb) from public;
grant execute on function door.platform_add_member(jsonb) to service_role;

create function door.platform_remove_member(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
begin
    delete from tenancy.members m where m.tenant_id = t.id and m.user_id = p ->> 'user_id';
    if not found then
        perform ground.fail('MEMBER_NOT_FOUND');
    end if;
    perform audit.append(t.id, 'member.remove', 'member', p ->> 'user_id');
    return jsonb_build_object('tenant_id', t.id, 'user_id', p ->> 'user_id', 'removed', true);
end
$$;
revoke all on function door.platform_remove_member(jsonb) from public;
grant execute on function door.platform_remove_member(jsonb) to service_role;

create function door.platform_allow_callbacks(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_network cidr;
    v_tenant uuid := case when p ? 'tenant' then (tenancy.find_tenant(p ->> 'tenant')).id end;
begin
    perform ground.refuse_unknown(p, array['cidr', 'tenant']);
    begin
        v_network := coalesce(p ->> 'cidr', '')::cidr;
    exception when invalid_text_representation then
        perform ground.fail('FIELD_INVALID', '$.cidr', 'cidr is a network such as 10.1.0.0/16.');
    end;
    insert into callback.allowed_networks (tenant_id, network, created_by) values (v_tenant, v_network, 'platform') on conflict do nothing;
    perform audit.append(v_tenant, 'callback.allow', 'network', v_network::text);
    return jsonb_build_object('cidr', v_network, 'tenant', p -> 'tenant');
end
$$;
revoke all on function door.platform_allow_callbacks(jsonb) from public;
grant execute on function door.platform_allow_callbacks(jsonb) to service_role;

set role app_owner;
revoke create on schema door from app_system;

create function public.exchange_token(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.exchange_token($1); end $$;
comment on function public.exchange_token(jsonb) is '{token: "cr_…"} -> {tenant_id, user_id, role, token_id, expires_at}; the edge door makes a short JWT of it.';
revoke all on function public.exchange_token(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.exchange_token(jsonb) to anon;

create function public.attempt_report(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_report($1); end $$;
comment on function public.attempt_report(jsonb) is '{token, event: progress|complete|fail, percent?, message?, result?, error?, external_id?} of an executor outside.';
revoke all on function public.attempt_report(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_report(jsonb) to anon;

create function public.attempt_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_artifact($1); end $$;
comment on function public.attempt_artifact(jsonb) is '{token, name, kind, size, sha256} -> where the attempt may put the bytes.';
revoke all on function public.attempt_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_artifact(jsonb) to anon;

create function public.attempt_input(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_input($1); end $$;
comment on function public.attempt_input(jsonb) is '{token, name} -> where the bytes of an input lie; name ".code" for code by artifact.';
revoke all on function public.attempt_input(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_input(jsonb) to anon;

create function public.check_bytes(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.check_bytes($1); end $$;
comment on function public.check_bytes(jsonb) is '{token: "crck_…"} -> where the bytes of an upload under check lie.';
revoke all on function public.check_bytes(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.check_bytes(jsonb) to anon;

create function public.health(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.health(); end $$;
comment on function public.health(jsonb) is 'Whether the parts behind the door answer; no tenant''s data.';
revoke all on function public.health(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.health(jsonb) to anon, authenticated, service_role;

create function public.platform_create_tenant(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_create_tenant($1); end $$;
comment on function public.platform_create_tenant(jsonb) is 'Platform operator: {slug, name?} -> {tenant_id, slug}, with its three layers.';
revoke all on function public.platform_create_tenant(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_create_tenant(jsonb) to service_role;

create function public.platform_set_limits(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_set_limits($1); end $$;
comment on function public.platform_set_limits(jsonb) is 'Platform operator: {tenant, max_running?, timeout_seconds?, max_retries?, max_artifact_bytes?, validation_policy?}.';
revoke all on function public.platform_set_limits(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_set_limits(jsonb) to service_role;

create function public.platform_grant(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_grant($1, true); end $$;
comment on function public.platform_grant(jsonb) is 'Platform operator: {tenant, kind, name}: the tenant may use a named thing of the runner''s environment.';
revoke all on function public.platform_grant(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_grant(jsonb) to service_role;

create function public.platform_revoke(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_grant($1, false); end $$;
comment on function public.platform_revoke(jsonb) is 'Platform operator: {tenant, kind, name}: takes the grant back.';
revoke all on function public.platform_revoke(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_revoke(jsonb) to service_role;

create function public.platform_add_member(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_add_member($1); end $$;
comment on function public.platform_add_member(jsonb) is 'Platform operator: {tenant, user_id, role}; sets the role of one who is a member.';
revoke all on function public.platform_add_member(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_add_member(jsonb) to service_role;

create function public.platform_remove_member(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_remove_member($1); end $$;
comment on function public.platform_remove_member(jsonb) is 'Platform operator: {tenant, user_id}.';
revoke all on function public.platform_remove_member(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_remove_member(jsonb) to service_role;

create function public.platform_allow_callbacks(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_allow_callbacks($1); end $$;
comment on function public.platform_allow_callbacks(jsonb) is 'Platform operator: {cidr, tenant?}: the bound within which admins may open private networks to callbacks.';
revoke all on function public.platform_allow_callbacks(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_allow_callbacks(jsonb) to service_role;

-- -------------------------------------------------------------------------------------------- views
-- GET /rest/v1/<view>: the caller's own rights and row security apply.

create view public.runs with (security_invoker = true) as
select r.id as run_id, r.tenant_id, r.job_id, r.job_version, r.name, r.job_type, r.state, r.termination_code, r.termination_message, r.priority, r.task_count,
       (select avg(t.percent)::integer from queue.task_runs t where t.tenant_id = r.tenant_id and t.run_id = r.id) as percent,
       r.created_by, r.created_at, r.started_at, r.finished_at, r.cancel_requested_at
from queue.runs r;
create view public.task_runs with (security_invoker = true) as
select t.id as task_run_id, t.tenant_id, t.run_id, t.task_key, t.job_type, t.engine, t.state, t.termination_code, t.termination_message,
       t.percent, t.progress_message, t.depends_on, t.run_if, t.max_retries, t.timeout_seconds, t.started_at, t.finished_at
from queue.task_runs t;
create view public.jobs with (security_invoker = true) as
select j.id as job_id, j.tenant_id, j.name, j.current_version as version, j.created_by, j.created_at, j.updated_at from job.jobs j where j.deleted_at is null;
create view public.artifacts with (security_invoker = true) as
select a.id as artifact_id, a.tenant_id, a.name, a.kind, a.description, w.version, w.state, w.size, w.sha256, w.content_type, w.run_id, w.created_by, w.created_at, w.finished_at
from artifact.artifacts a join artifact.versions w on w.tenant_id = a.tenant_id and w.artifact_id = a.id where a.deleted_at is null;
create view public.endpoints with (security_invoker = true) as
select e.id as endpoint_id, e.tenant_id, e.url, e.events, e.description, e.secret_version, e.created_at, e.disabled_at, e.disabled_reason
from callback.endpoints e where e.deleted_at is null;
create view public.events with (security_invoker = true) as
select e.id as event_id, e.tenant_id, e.run_id, e.seq, e.type, e.at, e.data from callback.events e;
create view public.deliveries with (security_invoker = true) as
select d.id as delivery_id, d.tenant_id, d.event_id, e.run_id, e.type, e.seq, d.endpoint_id, d.url, d.state, d.tries, d.next_at, d.last_status, d.last_error,
       d.created_at, d.first_tried_at, d.finished_at
from callback.deliveries d join callback.events e on e.tenant_id = d.tenant_id and e.id = d.event_id;
create view public.datasets with (security_invoker = true) as
select d.id as dataset_id, d.tenant_id, d.namespace, d.name, 'dataset:' || d.namespace || ':' || d.name as node_id, d.fields, d.created_at from lineage.datasets d;
create view public.lineage_edges with (security_invoker = true) as
select e.id as edge_id, e.tenant_id, e.src, e.dst, e.job_id, e.method, e.run_id, e.created_at, e.deleted_at from lineage.edges e;
create view public.assets with (security_invoker = true) as
select c.id as asset_id, c.tenant_id, c.layer, c.schema_name, c.name, c.columns, c.row_count, c.classification, c.comment, c.published_by_run, c.published_at
from catalog.assets c;
create view public.members with (security_invoker = true) as
select m.tenant_id, m.user_id, m.role, m.created_at from tenancy.members m;
revoke all on public.runs, public.task_runs, public.jobs, public.artifacts, public.endpoints, public.events, public.deliveries, public.datasets,
    public.lineage_edges, public.assets, public.members from public, anon, authenticated, service_role;
grant select on public.runs, public.task_runs, public.jobs, public.artifacts, public.endpoints, public.events, public.deliveries, public.datasets,
    public.lineage_edges, public.assets, public.members to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
notify pgrst, 'reload schema';
notify pgrst, 'reload config';
