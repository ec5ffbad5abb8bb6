-- job, sixth part: submissions and definitions, checked whole.

grant app_owner, app_system to postgres;
set role app_owner;

-- What a run gives to all of its work: parameters of the job, and over them those of the run.
create function job.with_params(p_task jsonb, p_params jsonb)
returns jsonb language plpgsql immutable set search_path = '' as $$
begin
    return case when p_task ? 'params' then jsonb_set(p_task, '{params}', (p_task -> 'params') || p_params)
                when p_task -> 'task' ? 'params' then jsonb_set(p_task, '{task,params}', (p_task #> '{task,params}') || p_params)
                else p_task end;
end
$$;
revoke all on function job.with_params(jsonb, jsonb) from public;
grant execute on function job.with_params(jsonb, jsonb) to app_system;

create function job.check_key(p jsonb)
returns void language plpgsql stable set search_path = '' as $$
begin
    if p ? 'idempotency_key' and (jsonb_typeof(p -> 'idempotency_key') <> 'string' or length(p ->> 'idempotency_key') not between 1 and 128) then
        perform ground.fail('IDEMPOTENCY_KEY_INVALID', '$.idempotency_key');
    end if;
end
$$;
revoke all on function job.check_key(jsonb) from public;
grant execute on function job.check_key(jsonb) to app_system;

-- POST /jobs/run: a one-time submission of one task or of several, or a run of a job -> {job_id, job_version, name, parameters, tasks, …}
-- ready for the queue.
create function job.check_submission(p_tenant uuid, p jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tasks jsonb;
    v_job job.jobs;
    v_definition jsonb;
    v_params jsonb := '{}';
begin
    if p ? 'job_id' then
        perform ground.refuse_unknown(p, array['job_id', 'params', 'idempotency_key', 'callbacks', 'priority', 'run_timeout_seconds', 'queue']);
        select j.* into v_job from job.jobs j
        where j.tenant_id = p_tenant and j.id = ground.want_id(p, 'job_id') and j.deleted_at is null;
        if not found then
            perform ground.fail('JOB_NOT_FOUND');
        end if;
        select v.definition into v_definition from job.versions v
        where v.tenant_id = p_tenant and v.job_id = v_job.id and v.version = v_job.current_version;
        v_params := job.check_parameters(p, 'params', true);
        v_params := coalesce(v_definition -> 'parameters', '{}') || v_params;
        -- the graph was looked at when it was defined; grants may have been taken back since, and jobs deleted
        select jsonb_agg(job.check_node(p_tenant, job.with_params(t, v_params), format('$.tasks[%s]', ord - 1)) order by ord) into v_tasks
        from jsonb_array_elements(v_definition -> 'tasks') with ordinality x (t, ord);
    elsif p ? 'tasks' then
        perform ground.refuse_unknown(p, array['tasks', 'params', 'callbacks', 'priority', 'idempotency_key', 'name', 'run_timeout_seconds']);
        v_params := job.check_parameters(p, 'params', false);
        v_tasks := job.check_tasks(p_tenant, p -> 'tasks', v_params, false);
        perform job.check_nesting(p_tenant, null, v_tasks);
        select jsonb_agg(job.with_params(t, v_params) order by ord) into v_tasks from jsonb_array_elements(v_tasks) with ordinality x (t, ord);
    else
        perform ground.refuse_unknown(p, job.work_fields() || array['callbacks', 'priority', 'idempotency_key', 'name', 'run_timeout_seconds']);
        v_tasks := jsonb_build_array(job.check_task(p_tenant, p, '$') || '{"task_key": "execute", "depends_on": [], "run_if": "ALL_SUCCESS"}');
        perform job.check_references(v_tasks #> '{0,params}', '$.params',
            '{"job": false, "task": true, "input": false, "parameters": {}, "kinds": {}, "upstream": []}');
    end if;
    perform job.check_key(p);
    if p ? 'name' and coalesce(p ->> 'name', '') !~ '^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$' then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is a plain name of at most 128 characters.');
    end if;
    return jsonb_build_object(
        'job_id', v_job.id, 'job_version', v_job.current_version,
        'name', coalesce(v_job.name::text, p ->> 'name', p ->> 'job_type', 'one-time run'),
        'job_type', case when jsonb_array_length(v_tasks) = 1 then coalesce(v_tasks #>> '{0,job_type}', v_tasks #>> '{0,task,job_type}') end,
        'priority', job.check_integer(p, 'priority', '$', -100, 100, coalesce((v_definition ->> 'priority')::bigint, 0)),
        'run_timeout_seconds', job.check_integer(p, 'run_timeout_seconds', '$', 1, 2592000, (v_definition ->> 'run_timeout_seconds')::bigint, 'TIMEOUT_OUT_OF_RANGE'),
        'queue', job.check_queue(p, null),
        'idempotency_key', p ->> 'idempotency_key',
        'callbacks', coalesce(nullif(job.check_object(p, 'callbacks', '$'), '{}'), v_definition -> 'callbacks', '{}'),
        'parameters', v_params, 'tasks', job.with_loops(p_tenant, v_tasks));
end
$$;
revoke all on function job.check_submission(uuid, jsonb) from public;
grant execute on function job.check_submission(uuid, jsonb) to app_system;  -- a run_job task submits

-- POST /jobs: the definition with its defaults, or the first fault. p_job: the one that is changed.
create function job.check_definition(p_tenant uuid, p jsonb, p_job bigint default null)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_parameters jsonb;
    v_tasks jsonb;
begin
    perform ground.refuse_unknown(p, array['name', 'description', 'tasks', 'parameters', 'callbacks', 'priority', 'tags', 'run_timeout_seconds',
        'max_concurrent_runs', 'queue', 'schedule', 'periodic', 'trigger']);
    if coalesce(p ->> 'name', '') !~ '^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$' then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is a plain name of at most 128 characters.');
    end if;
    v_parameters := job.check_parameters(p, 'parameters', true);
    v_tasks := job.check_tasks(p_tenant, p -> 'tasks', v_parameters, true);
    perform job.check_nesting(p_tenant, p_job, v_tasks);
    return jsonb_build_object(
        'name', p ->> 'name', 'description', p ->> 'description', 'tasks', v_tasks, 'parameters', v_parameters,
        'callbacks', job.check_object(p, 'callbacks', '$'),
        'tags', job.check_object(p, 'tags', '$'),
        'run_timeout_seconds', job.check_integer(p, 'run_timeout_seconds', '$', 1, 2592000, null, 'TIMEOUT_OUT_OF_RANGE'),
        'max_concurrent_runs', job.check_integer(p, 'max_concurrent_runs', '$', 1, 1000, null),
        'queue', jsonb_build_object('enabled', job.check_queue(p, true)),
        'priority', job.check_integer(p, 'priority', '$', -100, 100, 0))
        || job.check_start(p_tenant, p, v_tasks);
end
$$;
revoke all on function job.check_definition(uuid, jsonb, bigint) from public;
grant execute on function job.check_definition(uuid, jsonb, bigint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
