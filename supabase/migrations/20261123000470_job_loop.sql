-- job, seventh part: the loop. What has a spec and no code is written by a model, validated, and only then executed; where the
-- tenant enforces validation, code that was sent is validated first as well.

grant app_owner, app_system to postgres;
set role app_owner;

-- Which model writes: the one that is asked for, else the first that was granted; null where none is.
create function job.model_of(p_tenant uuid, p_asked text)
returns text language plpgsql stable set search_path = '' as $$
begin
    return (select g.name from tenancy.grants g
            where g.tenant_id = p_tenant and g.kind = 'model' and (p_asked is null or g.name = p_asked) order by g.granted_at, g.name limit 1);
end
$$;
revoke all on function job.model_of(uuid, text) from public;
grant execute on function job.model_of(uuid, text) to app_system;

-- {"model", "repair_rounds"}: how code is made where none is sent. The model is looked up when it runs, so that a job does not
-- outlive its grants.
create function job.check_generation(p_tenant uuid, p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := job.check_object(p, 'generation', p_path);
    v_path text := p_path || '.generation';
begin
    perform ground.refuse_unknown(v, array['model', 'repair_rounds'], v_path);
    if coalesce(jsonb_typeof(v -> 'model'), 'null') not in ('string', 'null') then
        perform ground.fail('FIELD_INVALID', v_path || '.model', 'model is the name of a granted model.');
    elsif job.model_of(p_tenant, v ->> 'model') is null then
        perform ground.fail('MODEL_NOT_GRANTED', case when v ->> 'model' is null then p_path || '.code' else v_path || '.model' end);
    end if;
    return jsonb_build_object('model', v -> 'model', 'repair_rounds', job.check_integer(v, 'repair_rounds', v_path, 0, 5, 1));
end
$$;
revoke all on function job.check_generation(uuid, jsonb, text) from public;
grant execute on function job.check_generation(uuid, jsonb, text) to app_system;

-- How the code is validated before it runs: the parameters of code_validation, which looks at their values.
create function job.check_validation(p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := job.check_object(p, 'validation', p_path);
begin
    perform ground.refuse_unknown(v, array['fail_on', 'accept_unchecked', 'suppressions', 'tests', 'sql_dialect', 'odoo'], p_path || '.validation');
    return v;
end
$$;
revoke all on function job.check_validation(jsonb, text) from public;
grant execute on function job.check_validation(jsonb, text) to app_system;

-- What a model is told besides the spec: the names of what the code finds and leaves, never their values.
create function job.target_of(p_work jsonb)
returns jsonb language plpgsql immutable set search_path = '' as $$
begin
    return jsonb_build_object('job_type', p_work -> 'job_type', 'engine', p_work -> 'engine',
        'params', (select coalesce(jsonb_object_agg(o.key, jsonb_typeof(o.value)), '{}') from jsonb_each(p_work -> 'params') o),
        'inputs', (select coalesce(jsonb_agg(jsonb_build_object('name', i -> 'name', 'table', i -> 'table') order by ord), '[]')
                   from jsonb_array_elements(p_work -> 'inputs') with ordinality x (i, ord)),
        'outputs', p_work -> 'outputs', 'secrets', p_work -> 'secrets', 'network', p_work -> 'network');
end
$$;
revoke all on function job.target_of(jsonb) from public;
grant execute on function job.target_of(jsonb) to app_system;

-- A checked graph, and before each task whose code is to be written or judged: generate and validate (of several tasks, or where
-- a task is called so, <task_key>.generate). They take over what it waits for; it waits for the judge, from whom it gets its code.
create function job.with_loops(p_tenant uuid, p_tasks jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    l tenancy.limits;
    v_enforced boolean := (select t.validation_policy = 'enforce' from tenancy.tenants t where t.id = p_tenant);
    v_apart boolean;  -- each loop has its own names
    v_done jsonb := '[]';
    v_common jsonb;
    v_prefix text;
    v_before jsonb;
    v_code jsonb;
    v jsonb;
    w jsonb;
    a artifact.versions;
begin
    if not v_enforced and not p_tasks @? '$[*] ? (exists (@.generation) || exists (@.task.generation))' then
        return p_tasks;
    end if;
    select x.* into l from tenancy.limits x where x.tenant_id = p_tenant;
    v_common := jsonb_build_object('inputs', '[]'::jsonb, 'outputs', '[]'::jsonb, 'secrets', '[]'::jsonb, 'network', false, 'timeout_seconds', l.timeout_seconds,
        'max_retries', l.max_retries, 'retry_on_timeout', false, 'min_retry_interval_ms', 0, 'run_if', 'ALL_SUCCESS');
    select count(*) filter (where job.is_judged(t, v_enforced)) > 1 or bool_or(t ->> 'task_key' in ('generate', 'validate')) into v_apart
    from jsonb_array_elements(p_tasks) t;
    for v in select * from jsonb_array_elements(p_tasks) loop
        if not job.is_judged(v, v_enforced) then
            v_done := v_done || jsonb_build_array(v);
            continue;
        end if;
        w := coalesce(v -> 'task', v);
        v_prefix := case when v_apart then (v ->> 'task_key') || '.' else '' end;
        v_before := jsonb_build_object('depends_on', v -> 'depends_on', 'run_if', v -> 'run_if');
        v_code := w -> 'code';
        if w ? 'generation' then
            v_done := v_done || jsonb_build_array(v_common || v_before || jsonb_build_object('task_key', v_prefix || 'generate', 'job_type', 'code_generation',
                'engine', job.model_of(p_tenant, w #>> '{generation,model}'), 'spec', w -> 'spec', 'code', null,
                'params', jsonb_build_object('target', job.target_of(w), 'round', 1)));
            v_before := jsonb_build_object('depends_on', jsonb_build_array(v_prefix || 'generate'));
        elsif v_code ? 'artifact_id' then  -- the version that is judged is the one that runs, whatever is uploaded meanwhile
            a := artifact.ready_version(p_tenant, (v_code ->> 'artifact_id')::uuid, (v_code ->> 'version')::integer);
            v_code := v_code || jsonb_build_object('version', a.version, 'sha256', a.sha256);
        end if;
        v_done := v_done || jsonb_build_array(v_common || v_before || jsonb_build_object('task_key', v_prefix || 'validate', 'job_type', 'code_validation',
            'engine', 'default', 'code', v_code, 'params', coalesce(w -> 'validation', '{}'))
            || case when w ? 'generation' then jsonb_build_object('author', v_prefix || 'generate', 'rounds', 1 + (w #>> '{generation,repair_rounds}')::integer) else '{}' end);
        v := v || jsonb_build_object('depends_on', jsonb_build_array(v_prefix || 'validate'), 'run_if', 'ALL_SUCCESS', 'judge', v_prefix || 'validate');
        v_done := v_done || jsonb_build_array(jsonb_set(v, case when v ? 'task' then array['task', 'code'] else array['code'] end, 'null'));
    end loop;
    return v_done;
end
$$;
revoke all on function job.with_loops(uuid, jsonb) from public;
grant execute on function job.with_loops(uuid, jsonb) to app_system;

-- Whether a task's code must pass before it runs: what a model writes always, what was sent where the tenant enforces it.
create function job.is_judged(p_task jsonb, p_enforced boolean)
returns boolean language plpgsql immutable set search_path = '' as $$
declare
    w jsonb := coalesce(p_task -> 'task', p_task);
begin
    return w ? 'generation' or p_enforced and coalesce(w -> 'code', 'null') <> 'null' and w ->> 'job_type' <> 'code_validation';
end
$$;
revoke all on function job.is_judged(jsonb, boolean) from public;
grant execute on function job.is_judged(jsonb, boolean) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
