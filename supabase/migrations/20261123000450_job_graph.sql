-- job, fifth part: what tasks are to each other: every kind of task, dependencies without a circle.

grant app_owner, app_system to postgres;
set role app_owner;

-- ---------------------------------------------------------------------------- tasks that are no work

create function job.is_numeral(p text)
returns boolean language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return p ~ '^\s*[+-]?([0-9]{1,100}(\.[0-9]{0,100})?|\.[0-9]{1,100})([eE][+-]?[0-9]{1,3})?\s*$';
end
$$;
revoke all on function job.is_numeral(text) from public;
grant execute on function job.is_numeral(text) to app_system;

-- The common part of every task: key, dependencies, when it runs in spite of them.
create function job.check_place(p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    if coalesce(p ->> 'task_key', 'execute') !~ '^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$' then
        perform ground.fail('FIELD_INVALID', p_path || '.task_key', 'task_key is a plain name of at most 100 characters.');
    end if;
    if coalesce(p ->> 'run_if', 'ALL_SUCCESS') not in ('ALL_SUCCESS', 'ALL_DONE', 'NONE_FAILED', 'AT_LEAST_ONE_SUCCESS', 'ALL_FAILED', 'AT_LEAST_ONE_FAILED') then
        perform ground.fail('FIELD_INVALID', p_path || '.run_if',
            'run_if is ALL_SUCCESS, ALL_DONE, NONE_FAILED, AT_LEAST_ONE_SUCCESS, ALL_FAILED or AT_LEAST_ONE_FAILED.');
    end if;
    return jsonb_build_object('task_key', coalesce(p ->> 'task_key', 'execute'), 'run_if', coalesce(p ->> 'run_if', 'ALL_SUCCESS'),
                              'depends_on', job.check_array(p, 'depends_on', p_path, 1000));
end
$$;
revoke all on function job.check_place(jsonb, text) from public;
grant execute on function job.check_place(jsonb, text) to app_system;

create function job.check_condition(p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_side text;
begin
    perform ground.refuse_unknown(p, array['op', 'left', 'right'], p_path);
    if coalesce(p ->> 'op', '') not in ('EQUAL_TO', 'NOT_EQUAL', 'GREATER_THAN', 'GREATER_THAN_OR_EQUAL', 'LESS_THAN', 'LESS_THAN_OR_EQUAL') then
        perform ground.fail('FIELD_INVALID', p_path || '.op',
            'op is EQUAL_TO, NOT_EQUAL, GREATER_THAN, GREATER_THAN_OR_EQUAL, LESS_THAN or LESS_THAN_OR_EQUAL.');
    end if;
    foreach v_side in array array['left', 'right'] loop
        if coalesce(jsonb_typeof(p -> v_side), 'null') not in ('string', 'number', 'boolean') then
            perform ground.fail('FIELD_INVALID', p_path || '.' || v_side, v_side || ' is a string, a number or a boolean.');
        end if;
        if p ->> 'op' not in ('EQUAL_TO', 'NOT_EQUAL') and strpos(p ->> v_side, '{{') = 0 and not job.is_numeral(p ->> v_side) then
            perform ground.fail('FIELD_INVALID', p_path || '.' || v_side, v_side || ' must be a number, for this op compares numbers.');
        end if;
    end loop;
    return p;
end
$$;
revoke all on function job.check_condition(jsonb, text) from public;
grant execute on function job.check_condition(jsonb, text) to app_system;

create function job.check_run_job(p_tenant uuid, p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    perform ground.refuse_unknown(p, array['job_id', 'params'], p_path);
    if not exists (select from job.jobs j where j.tenant_id = p_tenant and j.deleted_at is null
                                            and j.id = job.check_integer(p, 'job_id', p_path, 1, 999999999999999, 0)) then
        perform ground.fail('JOB_NOT_FOUND', p_path || '.job_id');
    end if;
    return jsonb_build_object('job_id', p -> 'job_id', 'params', job.check_object(p, 'params', p_path));
end
$$;
revoke all on function job.check_run_job(uuid, jsonb, text) from public;
grant execute on function job.check_run_job(uuid, jsonb, text) to app_system;

create function job.check_for_each(p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    perform ground.refuse_unknown(p, array['inputs', 'concurrency'], p_path);
    if jsonb_typeof(p -> 'inputs') = 'string' and p ->> 'inputs' ~ '^\{\{[^{}]*\}\}$' then
        null;  -- known when it runs
    elsif jsonb_typeof(p -> 'inputs') is distinct from 'array' or jsonb_array_length(p -> 'inputs') > 1000 then
        perform ground.fail('FIELD_INVALID', p_path || '.inputs', 'inputs is an array of at most 1000, or one {{reference}} to such.');
    end if;
    return jsonb_build_object('inputs', p -> 'inputs', 'concurrency', job.check_integer(p, 'concurrency', p_path, 1, 100, 1));
end
$$;
revoke all on function job.check_for_each(jsonb, text) from public;
grant execute on function job.check_for_each(jsonb, text) to app_system;

create function job.work_fields()
returns text[] language plpgsql stable parallel safe set search_path = '' as $$
begin
    return array['job_type', 'engine', 'spec', 'code', 'params', 'inputs', 'outputs', 'secrets', 'network', 'timeout_seconds', 'max_retries',
                 'retry_on_timeout', 'min_retry_interval_ms', 'generation', 'validation', 'image', 'executors'];
end
$$;
revoke all on function job.work_fields() from public;
grant execute on function job.work_fields() to app_system;

-- One task of a graph, whatever its kind, with its defaults; or the first fault with its path.
create function job.check_node(p_tenant uuid, p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_place text[] := array['task_key', 'depends_on', 'run_if'];
    v_kind job.task_kind;
    v_task jsonb := p -> 'task';
begin
    if jsonb_typeof(p) is distinct from 'object' then
        perform ground.fail('BODY_INVALID', p_path, 'An object is expected at ' || p_path || '.');
    end if;
    v_kind := job.kind_of(p);
    case v_kind
        when 'work' then
            perform ground.refuse_unknown(p, job.work_fields() || v_place, p_path);
            return job.check_task(p_tenant, p, p_path) || job.check_place(p, p_path);
        when 'condition' then
            perform ground.refuse_unknown(p, array['condition'] || v_place, p_path);
            return job.check_place(p, p_path) || jsonb_build_object('condition', job.check_condition(p -> 'condition', p_path || '.condition'));
        when 'run_job' then
            perform ground.refuse_unknown(p, array['run_job'] || v_place, p_path);
            return job.check_place(p, p_path) || jsonb_build_object('run_job', job.check_run_job(p_tenant, p -> 'run_job', p_path || '.run_job'));
        when 'for_each' then
            perform ground.refuse_unknown(p, array['for_each', 'task'] || v_place, p_path);
            if v_task ? 'run_job' then
                perform ground.refuse_unknown(v_task, array['run_job'], p_path || '.task');
                v_task := jsonb_build_object('run_job', job.check_run_job(p_tenant, v_task -> 'run_job', p_path || '.task.run_job'));
            else
                perform ground.refuse_unknown(v_task, job.work_fields(), p_path || '.task');
                v_task := job.check_task(p_tenant, v_task, p_path || '.task');
            end if;
            return job.check_place(p, p_path)
                   || jsonb_build_object('for_each', job.check_for_each(p -> 'for_each', p_path || '.for_each'), 'task', v_task);
    end case;
end
$$;
revoke all on function job.check_node(uuid, jsonb, text) from public;
grant execute on function job.check_node(uuid, jsonb, text) to app_system;

-- Where references may stand: params, a condition's operands, the inputs of for_each, the params of run_job.
create function job.check_task_references(p_task jsonb, p_path text, p_scope jsonb)
returns void language plpgsql stable set search_path = '' as $$
begin
    perform job.check_references(p_task -> 'params', p_path || '.params', p_scope);
    perform job.check_references(p_task -> 'condition', p_path || '.condition', p_scope);
    perform job.check_references(p_task #> '{run_job,params}', p_path || '.run_job.params', p_scope);
    perform job.check_references(p_task #> '{for_each,inputs}', p_path || '.for_each.inputs', p_scope);
    perform job.check_references(p_task #> '{task,params}', p_path || '.task.params', p_scope || '{"input": true}');
    perform job.check_references(p_task #> '{task,run_job,params}', p_path || '.task.run_job.params', p_scope || '{"input": true}');
end
$$;
revoke all on function job.check_task_references(jsonb, text, jsonb) from public;
grant execute on function job.check_task_references(jsonb, text, jsonb) to app_system;

-- ----------------------------------------------------------------------------------------- the graph

-- The tasks of a job: known keys, no key twice, every dependency there, no circle, references to what comes before alone.
-- Arrays and bits: 1,000 tasks are looked at in a fraction of a second.
create function job.check_tasks(p_tenant uuid, p_tasks jsonb, p_parameters jsonb, p_of_job boolean, p_path text default '$')
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb;
    v_dep jsonb;
    v_key text;
    v_path text;
    n integer := 0;
    i integer;
    v_done jsonb[] := '{}';
    v_places jsonb := '{}';  -- task_key -> its place, from 1
    v_kinds jsonb := '{}';
    v_iterations integer := 0;
    v_child integer[] := '{}';  -- the edges
    v_parent integer[] := '{}';
    v_seen integer[];
    v_open integer[];  -- of each task: how many it waits for
    v_start integer[];  -- v_to[v_start[i]] … v_to[v_start[i + 1] - 1]: who waits for task i
    v_to integer[];
    v_turn integer[] := '{}';
    v_refers boolean := strpos(p_tasks::text, '{{') > 0;
    v_before bit varying[];  -- of each task: those before it
    v_reach bit varying;
begin
    if jsonb_typeof(p_tasks) is distinct from 'array' or jsonb_array_length(p_tasks) not between 1 and 1000 then
        perform ground.fail('FIELD_INVALID', p_path || '.tasks', 'tasks must be an array of 1 to 1000 tasks.');
    end if;
    for v in select * from jsonb_array_elements(p_tasks) loop
        v_done := v_done || job.check_node(p_tenant, v, format('%s.tasks[%s]', p_path, n));
        n := n + 1;
    end loop;
    select jsonb_object_agg(t ->> 'task_key', ord), jsonb_object_agg(t ->> 'task_key', job.kind_of(t)),
           sum(case jsonb_typeof(t #> '{for_each,inputs}') when 'array' then jsonb_array_length(t #> '{for_each,inputs}') end)
    into v_places, v_kinds, v_iterations
    from unnest(v_done) with ordinality x (t, ord);
    if v_iterations > 1000 then
        perform ground.fail('JOB_GRAPH_INVALID', p_path || '.tasks', 'The for_each tasks of a job have at most 1000 inputs together.');
    end if;

    v_open := array_fill(0, array[n]);
    v_start := array_fill(0, array[n + 1]);
    for i in 1 .. n loop
        if (v_places ->> (v_done[i] ->> 'task_key'))::integer <> i then
            select min(ord) - 1 into i from unnest(v_done) with ordinality x (t, ord) where ord > i and t ->> 'task_key' = v_done[i] ->> 'task_key';
            perform ground.fail('JOB_GRAPH_INVALID', format('%s.tasks[%s].task_key', p_path, i), 'Two tasks have the same task_key.');
        end if;
        v_seen := '{}';
        for v_dep in select * from jsonb_array_elements(v_done[i] -> 'depends_on') loop
            v_path := format('%s.tasks[%s].depends_on[%s]', p_path, i - 1, cardinality(v_seen));
            if jsonb_typeof(v_dep) = 'object' then
                perform ground.refuse_unknown(v_dep, array['task_key', 'outcome'], v_path);
                v_key := v_dep ->> 'task_key';
            else
                v_key := v_dep #>> '{}';
            end if;
            if v_places ->> v_key is null then
                perform ground.fail('JOB_GRAPH_INVALID', v_path, 'A task depends on one that is not there.');
            elsif (v_places ->> v_key)::integer = any (v_seen) then
                perform ground.fail('JOB_GRAPH_INVALID', v_path, 'A task depends twice on the same one.');
            elsif v_dep ? 'outcome' and v_kinds ->> v_key <> 'condition' then
                perform ground.fail('JOB_GRAPH_INVALID', v_path || '.outcome', 'Only a condition task has an outcome.');
            elsif jsonb_typeof(v_dep) = 'object' and v_dep ? 'outcome' and v_dep -> 'outcome' not in ('"true"', '"false"') then
                perform ground.fail('FIELD_INVALID', v_path || '.outcome', 'outcome is "true" or "false".');
            end if;
            v_seen := v_seen || (v_places ->> v_key)::integer;
        end loop;
        v_child := v_child || array_fill(i, array[cardinality(v_seen)]);
        v_parent := v_parent || v_seen;
        v_open[i] := cardinality(v_seen);
    end loop;
    -- the edges in the order of where they come from
    select coalesce(array_agg(e.child order by e.parent), '{}') into v_to from unnest(v_parent, v_child) e (parent, child);
    select array_agg(x.first order by x.ord) into v_start
    from (select o.ord, 1 + coalesce(sum(c.n) over (order by o.ord rows between unbounded preceding and 1 preceding), 0)::integer as first
          from generate_series(1, n + 1) o (ord)
          left join (select parent, count(*) as n from unnest(v_parent) parent group by parent) c on c.parent = o.ord) x;

    -- those that wait for none go first, and set free who waits for them; what stays is in, or behind, a circle
    v_before := array_fill(repeat('0', n)::bit varying, array[n]);
    for i in 1 .. n loop
        if v_open[i] = 0 then
            v_turn := v_turn || i;
        end if;
    end loop;
    n := 0;
    while n < cardinality(v_turn) loop
        n := n + 1;
        i := v_turn[n];
        if v_refers then
            v_reach := set_bit(v_before[i], i - 1, 1);
        end if;
        for e in v_start[i] .. v_start[i + 1] - 1 loop
            if v_refers then
                v_before[v_to[e]] := v_before[v_to[e]] | v_reach;
            end if;
            v_open[v_to[e]] := v_open[v_to[e]] - 1;
            if v_open[v_to[e]] = 0 then
                v_turn := v_turn || v_to[e];
            end if;
        end loop;
    end loop;
    if n < cardinality(v_done) then
        select min(ord) - 1 into i from unnest(v_open) with ordinality o (waits, ord) where waits > 0;
        perform ground.fail('JOB_GRAPH_INVALID', format('%s.tasks[%s]', p_path, i), 'The tasks depend on each other in a circle.');
    end if;

    if v_refers then
        for i in 1 .. n loop
            if strpos((v_done[i] - 'code' - 'spec' #- '{task,code}' #- '{task,spec}')::text, '{{') > 0 then
                perform job.check_task_references(v_done[i], format('%s.tasks[%s]', p_path, i - 1), jsonb_build_object(
                    'job', p_of_job, 'task', true, 'input', false, 'parameters', p_parameters, 'kinds', v_kinds,
                    'upstream', (select coalesce(jsonb_agg(split_part(f.reference, '.', 2)), '[]')
                                 from job.references_in(v_done[i] - 'code' - 'spec' #- '{task,code}' #- '{task,spec}') f
                                 where f.reference like 'tasks.%'
                                   and get_bit(v_before[i], (v_places ->> split_part(f.reference, '.', 2))::integer - 1) = 1)));
            end if;
        end loop;
    end if;
    return to_jsonb(v_done);
end
$$;
revoke all on function job.check_tasks(uuid, jsonb, jsonb, boolean, text) from public;
grant execute on function job.check_tasks(uuid, jsonb, jsonb, boolean, text) to app_system;

-- What starts what: a job that would start itself, or more than three deep, is refused. p_job is the job that is defined; null: a new one.
create function job.check_nesting(p_tenant uuid, p_job bigint, p_tasks jsonb, p_path text default '$')
returns void language plpgsql stable set search_path = '' as $$
declare
    v record;
begin
    if strpos(p_tasks::text, '"run_job"') = 0 then
        return;
    end if;
    with recursive reach (place, started, depth) as (
        select ord - 1, coalesce(t #>> '{run_job,job_id}', t #>> '{task,run_job,job_id}')::bigint, 1
        from jsonb_array_elements(p_tasks) with ordinality x (t, ord)
        where t ? 'run_job' or t -> 'task' ? 'run_job'
        union
        select r.place, coalesce(t #>> '{run_job,job_id}', t #>> '{task,run_job,job_id}')::bigint, r.depth + 1
        from reach r
        join job.jobs j on j.tenant_id = p_tenant and j.id = r.started and j.deleted_at is null
        join job.versions w on w.tenant_id = p_tenant and w.job_id = j.id and w.version = j.current_version
        cross join lateral jsonb_array_elements(w.definition -> 'tasks') t
        where r.depth <= 3 and r.started is distinct from p_job and (t ? 'run_job' or t -> 'task' ? 'run_job')
    )
    select r.place, r.started = p_job as circle into v
    from reach r where r.started = p_job or r.depth > 3 order by (r.started is not distinct from p_job) desc, r.place limit 1;
    if found then
        perform ground.fail('JOB_GRAPH_INVALID', format('%s.tasks[%s].run_job.job_id', p_path, v.place),
            case when v.circle then 'The job would start itself.' else 'Jobs start jobs at most three deep.' end);
    end if;
end
$$;
revoke all on function job.check_nesting(uuid, bigint, jsonb, text) from public;
grant execute on function job.check_nesting(uuid, bigint, jsonb, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
