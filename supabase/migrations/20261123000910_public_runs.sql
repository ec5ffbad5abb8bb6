-- public: the people's door. What is called here is security invoker, one line; what must write across rooms is a
-- definer in schema door, which asks tenancy.require() first and then composes the rooms.
-- This part: runs, from submission to the end.

grant app_owner, app_system to postgres;
create schema door authorization app_owner;
grant create on schema public to app_owner;
set role app_owner;
grant usage on schema door to anon, authenticated, service_role;
grant usage, create on schema door to app_system;

-- queue.submit -> callback.subscribe -> audit -> callback.relay, of what was checked: one transaction, nothing half-written
create function door.enter(p_member tenancy.membership, v jsonb, p_backfill bigint default null)
returns jsonb language plpgsql set search_path = '' as $$
declare
    s record;
begin
    s := queue.submit(p_member.tenant_id, p_member.user_id, v || jsonb_build_object('backfill_id', p_backfill, 'traceparent', door.traceparent()));
    if s.fresh then
        if v -> 'callbacks' <> '{}' then
            perform callback.subscribe(p_member.tenant_id, p_member.user_id, s.run_id, v -> 'callbacks');
        end if;
        if queue.is_final(s.state) then  -- skipped: as many runs of its job as may be are under way
            perform callback.announce(array[p_member.tenant_id], array[s.run_id]);
        end if;
        perform audit.append(p_member.tenant_id, 'run.submit', 'run', s.run_id::text,
            jsonb_build_object('name', v -> 'name', 'job_type', v -> 'job_type', 'job_id', v -> 'job_id'));
        perform callback.relay();
    end if;
    return jsonb_build_object('run_id', s.run_id, 'state', s.state, 'url', '/functions/v1/api/v1/runs/' || s.run_id, 'fresh', s.fresh);
end
$$;
revoke all on function door.enter(tenancy.membership, jsonb, bigint) from public;

-- The trace that the request belongs to, as W3C Trace Context has it; null: none, or another form.
create function door.traceparent()
returns text language plpgsql stable set search_path = '' as $$
begin
    return substring(nullif(current_setting('request.headers', true), '')::jsonb ->> 'traceparent' from '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}');
end
$$;
revoke all on function door.traceparent() from public;

create function door.check(p_member tenancy.membership, p jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := job.check_submission(p_member.tenant_id, p);
    v_model text;
begin
    if v -> 'tasks' @? '$[*] ? (@.job_type == "code_generation")' then
        select t ->> 'engine' into v_model from jsonb_array_elements(v -> 'tasks') t
        where t ->> 'job_type' = 'code_generation' and not queue.is_offered('code_generation/' || (t ->> 'engine')) limit 1;
        if found then
            perform ground.fail('MODEL_NOT_CONFIGURED', v_model);
        end if;
    end if;
    if v -> 'callbacks' <> '{}' then
        perform callback.check_callbacks(p_member.tenant_id, v -> 'callbacks');
    end if;
    return v;
end
$$;
revoke all on function door.check(tenancy.membership, jsonb) from public;

-- check everything -> enter
create function door.submit(p_member tenancy.membership, p jsonb, p_backfill bigint default null)
returns jsonb language plpgsql set search_path = '' as $$
begin
    return door.enter(p_member, door.check(p_member, p), p_backfill);
end
$$;
revoke all on function door.submit(tenancy.membership, jsonb, bigint) from public;

create function door.run_job(p jsonb)
returns jsonb language plpgsql security definer set search_path = ''
set plan_cache_mode = force_generic_plan as $$
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
comment on function public.run_job(jsonb) is 'Submits a run: {job_type, spec, code?, params?, inputs?, outputs?, callbacks?, …}, {tasks: […], params?} or {job_id, params?} -> {run_id, state, url}. 202; 200 for a known idempotency_key.';
revoke all on function public.run_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.run_job(jsonb) to authenticated;

-- All are checked before the first is written, a fault says in which it is. Plain ones go in together, the others one by one.
create function door.submit_runs(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_plain jsonb[] := '{}';
    v_places integer[] := '{}';
    v_answers jsonb[];
    v_others jsonb[] := '{}';
    v_fresh jsonb[] := '{}';
    v_runs text[] := '{}';
    v_shape jsonb;
    v_alike jsonb;
    v jsonb;
    x jsonb;
    s record;
    i integer := 0;
    v_said text;
    v_detail text;
begin
    if jsonb_typeof(p) is distinct from 'array' or jsonb_array_length(p) not between 1 and 1000 then
        perform ground.fail('BODY_INVALID', '$', 'An array of 1 to 1000 submissions is expected.');
    end if;
    perform ground.refuse_deep(p);
    v_answers := array_fill(null::jsonb, array[jsonb_array_length(p)]);
    begin
        for x in select e from jsonb_array_elements(p) e loop
            v_shape := case when jsonb_typeof(x) = 'object' then x - array['params', 'idempotency_key'] end;
            if v_shape = v_alike then  -- as the one before, but for its parameters and its key
                perform job.check_key(x);
                v := jsonb_set(v, '{tasks,0,params}', job.check_object(x, 'params', '$')) || jsonb_build_object('idempotency_key', x -> 'idempotency_key');
                if strpos((x -> 'params')::text, '{{') > 0 then
                    v := door.check(v_member, x);
                end if;
            else
                v := door.check(v_member, x);
                v_alike := case when not v_shape ?| array['job_id', 'tasks'] and jsonb_array_length(v -> 'tasks') = 1 then v_shape end;
            end if;
            i := i + 1;
            if v -> 'job_id' = 'null' and jsonb_array_length(v -> 'tasks') = 1 and v #> '{tasks,0,depends_on}' = '[]'
               and v #>> '{tasks,0,job_type}' is not null and strpos(v #>> '{tasks,0,params}', '{{') = 0 and strpos((v -> 'parameters')::text, '{{') = 0 then
                v_plain := v_plain || v;
                v_places := v_places || i;
            else
                v_others := v_others || jsonb_build_object('place', i, 'v', v);
            end if;
        end loop;
    exception when sqlstate 'PGRST' then
        get stacked diagnostics v_said = message_text, v_detail = pg_exception_detail;
        raise sqlstate 'PGRST' using detail = v_detail,
            message = (v_said::jsonb || jsonb_build_object('details', regexp_replace(v_said::jsonb ->> 'details', '^\$', format('$[%s]', i))))::text;
    end;
    if v_others <> '{}' then
        perform queue.hold_lanes(array[v_member.tenant_id]);  -- before the first key
    end if;
    for s in select * from queue.submit_plain(v_member.tenant_id, v_member.user_id, v_plain, door.traceparent()) loop
        v := v_plain[s.place];
        if s.fresh then
            if v -> 'callbacks' <> '{}' then
                perform callback.subscribe(v_member.tenant_id, v_member.user_id, s.run_id, v -> 'callbacks');
            end if;
            v_runs := v_runs || s.run_id::text;
            v_fresh := v_fresh || jsonb_build_object('name', v -> 'name', 'job_type', v -> 'job_type', 'job_id', null);
        else  -- the run that the key had made before, or an earlier place of this array
            select r.id, r.state into s.run_id, s.state from queue.runs r
            where r.tenant_id = v_member.tenant_id and r.idempotency_key = v ->> 'idempotency_key';
        end if;
        v_answers[v_places[s.place]] := jsonb_build_object('run_id', s.run_id, 'state', s.state, 'url', '/functions/v1/api/v1/runs/' || s.run_id);
    end loop;
    if v_runs <> '{}' then
        perform audit.append_all(v_member.tenant_id, 'run.submit', 'run', v_runs, v_fresh);
    end if;
    foreach x in array v_others loop
        v_answers[(x -> 'place')::integer] := door.enter(v_member, x -> 'v') - 'fresh';
    end loop;
    perform ground.answer_status(202);
    return to_jsonb(v_answers);
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
begin
    perform queue.cancel(v_member.tenant_id, v_run, v_member.user_id);
    perform callback.relay();
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
returns jsonb language plpgsql stable security definer set search_path = ''
set enable_seqscan = off as $$  -- a week of history begins empty: a plan made then would go on reading it whole
declare
    v_member tenancy.membership := tenancy.require('viewer');
    r queue.runs;
    why record;
    v jsonb;
begin
    select x.* into r from queue.runs x where x.tenant_id = v_member.tenant_id and x.id = ground.want_id(p, 'run_id');
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    end if;
    select * into why from queue.reason(r.tenant_id, r.id);
    v := jsonb_build_object(
        'run_id', r.id, 'job_id', r.job_id, 'job_version', r.job_version, 'parent_run_id', r.parent_run_id, 'job_type', r.job_type, 'name', r.name,
        'state', r.state, 'termination_code', r.termination_code, 'termination_message', r.termination_message,
        'queue_reason', why.reason, 'queue_reason_code', why.code,
        'databricks_state', queue.databricks_state(r.state, r.termination_code, r.cancel_requested_at is not null),
        'run_timeout_seconds', r.timeout_seconds, 'deadline_at', r.deadline_at,
        'backfill_id', r.backfill_id, 'rerun_of', r.rerun_of, 'repair_count', r.repair_count,
        'latest_repair_id', (select max(x.id) from queue.repairs x where x.run_id = r.id and x.tenant_id = r.tenant_id),
        'repair_history', (select coalesce(jsonb_agg(jsonb_build_object('repair_id', x.id, 'number', x.number, 'tasks', x.task_keys, 'created_by', x.created_by,
                                   'created_at', x.created_at, 'previous', x.previous) order by x.number), '[]')
            from queue.repairs x where x.run_id = r.id and x.tenant_id = r.tenant_id),
        'trigger', schedule.cause(r.tenant_id, r.id),
        'priority', r.priority, 'idempotency_key', r.idempotency_key, 'created_by', r.created_by, 'cancel_requested_at', r.cancel_requested_at,
        'times', jsonb_build_object('created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at,
            'queue_ms', (extract(epoch from coalesce(r.started_at, r.finished_at, clock_timestamp()) - r.created_at) * 1000)::bigint,
            'run_ms', (extract(epoch from coalesce(r.finished_at, clock_timestamp()) - r.started_at) * 1000)::bigint),
        'progress', (select jsonb_build_object('percent', coalesce(avg(t.percent), 0)::integer,
                         'message', (array_agg(t.progress_message order by t.started_at desc nulls last) filter (where t.progress_message is not null))[1])
                     from queue.task_runs t where t.tenant_id = r.tenant_id and t.run_id = r.id),
        'tasks', (select jsonb_agg(queue.describe(t) || jsonb_build_object('task_run_id', t.id, 'task_key', t.task_key, 'kind', t.kind, 'job_type', t.job_type, 'engine', t.engine, 'image', t.image, 'executors', t.executors, 'state', t.state,
                'termination_code', t.termination_code, 'termination_message', t.termination_message,
                'queue_reason', q.reason, 'queue_reason_code', q.code, 'reused_from', t.reused_from, 'run_if', t.run_if,
                'progress', jsonb_build_object('percent', t.percent, 'message', t.progress_message),
                'max_retries', t.max_retries, 'timeout_seconds', t.timeout_seconds,
                'retry_on_timeout', t.retry_on_timeout, 'min_retry_interval_ms', t.min_retry_interval_ms,
                'databricks_state', queue.databricks_state(t.state, t.termination_code, r.cancel_requested_at is not null), 'values', t.output_values,
                'started_at', t.started_at, 'finished_at', t.finished_at,
                'attempts', (select coalesce(jsonb_agg(jsonb_build_object('attempt_id', a.id, 'number', a.number, 'lease', a.lease, 'lost', a.lost,
                        'state', a.state, 'runner', coalesce(n.name, a.runner::text), 'termination_code', a.termination_code, 'message', a.message,
                        'exit_code', a.exit_code, 'peak_memory_bytes', a.peak_memory_bytes, 'cpu_ms', a.cpu_ms, 'queued_at', a.queued_at,
                        'started_at', a.started_at, 'finished_at', a.finished_at, 'deadline_at', a.deadline_at, 'external_id', a.external_id)
                        order by a.id), '[]')
                    from queue.attempts a left join queue.runners n on n.instance = a.runner
                    where a.tenant_id = t.tenant_id and a.task_run_id = t.id and a.run_id = r.id
                      and (a.finished_at is null or a.finished_at >= r.created_at))) order by t.id)
            from queue.task_runs t left join queue.reasons(r.tenant_id, r.id) q on q.task_run_id = t.id
            where t.tenant_id = r.tenant_id and t.run_id = r.id),
        'artifacts', (select coalesce(jsonb_agg(jsonb_build_object('artifact_id', a.id, 'name', a.name, 'kind', a.kind, 'version', w.version,
                'state', w.state, 'size', w.size, 'sha256', w.sha256, 'content_type', w.content_type, 'findings', w.findings) order by a.name), '[]')
            from artifact.versions w join artifact.artifacts a on a.tenant_id = w.tenant_id and a.id = w.artifact_id and a.deleted_at is null
            where w.tenant_id = r.tenant_id and w.run_id = r.id and w.state in ('READY', 'REFUSED')),
        'tables', (select coalesce(jsonb_agg(jsonb_build_object('layer', c.layer, 'schema', c.schema_name, 'table', c.name, 'rows', c.row_count) order by c.layer, c.name), '[]')
            from catalog.assets c where c.tenant_id = r.tenant_id and c.published_by_run = r.id),
        'callbacks', (select coalesce(jsonb_object_agg(case s.type when 'run.completed' then 'on_complete' when 'run.failed' then 'on_fail' else 'on_progress' end, e.url), '{}')
            from callback.subscriptions s join callback.endpoints e on e.tenant_id = s.tenant_id and e.id = s.endpoint_id
            where s.tenant_id = r.tenant_id and s.run_id = r.id),
        'history', case when queue.is_expired(r.tenant_id, r.finished_at) then 'expired' else 'kept' end,
        'url', '/functions/v1/api/v1/runs/' || r.id);
    if v_member.role >= 'operator' then  -- confidential: source code and parameters
        v := v || jsonb_build_object('parameters', r.parameters)
               || (select jsonb_build_object('spec', (array_agg(y.spec order by t.id) filter (where y.spec is not null))[1], 'requests', jsonb_object_agg(t.task_key,
                case when t.parent_id is not null then jsonb_build_object('input', y.input, 'params', y.params)  -- the rest is its for_each task's
                     when t.kind = 'work' then jsonb_build_object('spec', y.spec, 'code', y.code, 'params', y.params, 'inputs', y.inputs, 'outputs', y.outputs, 'secrets', y.secrets)
                     when t.kind = 'for_each' then jsonb_build_object('spec', y.spec, 'code', y.code, 'for_each', y.params, 'inputs', y.inputs, 'outputs', y.outputs, 'secrets', y.secrets)
                     else jsonb_build_object(t.kind, y.params) end))
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
    v_below bigint := case when p ->> 'cursor' is not null then ground.want_id(p, 'cursor') else 9223372036854775807 end;
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
returns jsonb language plpgsql stable security definer set search_path = ''
set enable_seqscan = off as $$  -- as in get_run
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_run bigint := ground.want_id(p, 'run_id');
    v_after bigint := case when p ? 'after' then ground.want_id(p, 'after') else 0 end;
    v_limit integer := ground.page_limit(p);
    v_task bigint := (select t.id from queue.task_runs t where t.tenant_id = v_member.tenant_id and t.run_id = v_run and t.task_key = p ->> 'task_key');
    v_state queue.state;
    v_since timestamptz;
    v_finished timestamptz;
    v_items jsonb;
begin
    select r.state, r.created_at, r.finished_at into v_state, v_since, v_finished from queue.runs r where r.tenant_id = v_member.tenant_id and r.id = v_run;
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    elsif queue.is_expired(v_member.tenant_id, v_finished) then
        perform ground.fail('HISTORY_EXPIRED', 'run ' || v_run);
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('seq', x.seq, 'at', x.at, 'attempt_id', x.attempt_id, 'task_key', x.task_key, 'stream', x.stream, 'line', x.line) order by x.seq), '[]')
    into v_items from (
        select l.seq, l.at, l.attempt_id, t.task_key, l.stream, l.line
        from (select y.* from queue.logs y
              where y.tenant_id = v_member.tenant_id and y.run_id = v_run and y.seq > v_after
                and y.at >= v_since  -- the weeks before it are not looked at
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
    v_finished timestamptz;
    v_items jsonb;
begin
    select r.finished_at into v_finished from queue.runs r where r.tenant_id = v_member.tenant_id and r.id = v_run;
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    elsif queue.is_expired(v_member.tenant_id, v_finished) then
        perform ground.fail('HISTORY_EXPIRED', 'run ' || v_run);
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

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
