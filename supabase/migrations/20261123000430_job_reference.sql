-- job, third part: kinds of tasks, and {{references}} to what is known only when a task becomes ready.

grant app_owner, app_system to postgres;
set role app_owner;

create type job.task_kind as enum (
    'work',       -- an attempt that a runner carries out
    'condition',  -- two operands are compared; decided here
    'for_each',   -- one task for each of its inputs
    'run_job'     -- a run of another job
);

create function job.kind_of(p_task jsonb)
returns job.task_kind language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return case when p_task ? 'condition' then 'condition' when p_task ? 'for_each' then 'for_each' when p_task ? 'run_job' then 'run_job' else 'work' end;
end
$$;
revoke all on function job.kind_of(jsonb) from public;
grant execute on function job.kind_of(jsonb) to app_system;

-- --------------------------------------------------------------------------------------- references

-- Every string inside, with the path that leads to it. Keys are not looked into. (plpgsql, here and below: its plans are kept.)
create function job.strings(p jsonb, p_path text)
returns table (path text, value text) language plpgsql immutable set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    with recursive node (path, value) as (
        select p_path, p
        union all
        select c.path, c.value
        from node n
        cross join lateral (
            select n.path || '.' || o.key as path, o.value
            from jsonb_each(case jsonb_typeof(n.value) when 'object' then n.value else '{}' end) o
            union all
            select format('%s[%s]', n.path, a.ord - 1), a.value
            from jsonb_array_elements(case jsonb_typeof(n.value) when 'array' then n.value else '[]' end) with ordinality a (value, ord)
        ) c
    )
    select n.path, n.value #>> '{}' from node n where jsonb_typeof(n.value) = 'string';
end
$$;
revoke all on function job.strings(jsonb, text) from public;
grant execute on function job.strings(jsonb, text) to app_system;

-- {{tasks.a.values.rows}} and the like, wherever they stand; \{{ is two plain braces.
create function job.references_in(p jsonb, p_path text default '$')
returns table (path text, reference text) language plpgsql immutable set search_path = '' as $$
begin
    if strpos(p::text, '{{') > 0 then
        return query
        select s.path, btrim(m[2])
        from job.strings(p, p_path) s
        cross join lateral regexp_matches(s.value, '(\\?)\{\{([^{}]*)\}\}', 'g') m
        where m[1] = '';
    end if;
end
$$;
revoke all on function job.references_in(jsonb, text) from public;
grant execute on function job.references_in(jsonb, text) to app_system;

-- The same with every reference replaced. A string that is nothing else becomes the value itself; in a longer one stands its text.
create function job.substitute(p jsonb, p_values jsonb)
returns jsonb language plpgsql immutable set search_path = '' as $$
declare
    v text;
    v_text text := '';
    m text[];
begin
    if strpos(p::text, '{{') = 0 then
        return p;
    end if;
    case jsonb_typeof(p)
        when 'object' then
            return (select jsonb_object_agg(o.key, job.substitute(o.value, p_values)) from jsonb_each(p) o);
        when 'array' then
            return (select jsonb_agg(job.substitute(a.value, p_values) order by a.ord) from jsonb_array_elements(p) with ordinality a (value, ord));
        else
            v := p #>> '{}';
    end case;
    if v ~ '^\{\{[^{}]*\}\}$' then
        return p_values -> btrim(substr(v, 3, length(v) - 4));
    end if;
    -- piece by piece: what is put in is not looked through again
    for m in select regexp_matches(v || '{{}}', '(.*?)(\\?)\{\{([^{}]*)\}\}', 'g') loop
        v_text := v_text || m[1] || case when m[2] = '\' then '{{' || m[3] || '}}'
                                         when m[3] = '' then '' else p_values ->> btrim(m[3]) end;
    end loop;
    return to_jsonb(v_text);
end
$$;
revoke all on function job.substitute(jsonb, jsonb) from public;
grant execute on function job.substitute(jsonb, jsonb) to app_system;

-- What is wrong with a reference, as far as it can be known before anything has run; null when nothing is.
-- p_scope: {"job": is one there, "parameters": {…}, "input": inside for_each, "task": inside a task, "kinds": {task_key: kind}, "upstream": [task_key]}
create function job.fault_of(p_reference text, p_scope jsonb)
returns text language plpgsql immutable set search_path = '' as $$
declare
    r text[] := string_to_array(p_reference, '.');
    v_kind text := p_scope #>> array['kinds', r[2]];
begin
    case
        when p_reference !~ '^[A-Za-z0-9_.-]+$' or '' = any (r) then
            return 'is no reference; write \{{ for plain braces';
        when r[1] = 'input' then
            return case when not (p_scope -> 'input')::boolean then 'has a meaning inside for_each alone' end;
        when r[1] = 'run' then
            return case when cardinality(r) <> 2 or r[2] not in ('id', 'start_time') then 'is not one of run.id, run.start_time' end;
        when r[1] = 'task' then
            return case when not (p_scope -> 'task')::boolean then 'has a meaning inside a task alone'
                        when p_reference <> 'task.name' then 'is not task.name' end;
        when r[1] = 'job' and r[2] = 'parameters' then
            return case when cardinality(r) < 3 then 'names no parameter'
                        when not coalesce(p_scope -> 'parameters' ? r[3], false) then 'names a parameter that is not there' end;
        when r[1] = 'job' then
            return case when cardinality(r) <> 2 or coalesce(r[2], '') not in ('id', 'name', 'version')
                             then 'is not one of job.id, job.name, job.version, job.parameters.<name>'
                        when r[2] <> 'name' and not (p_scope -> 'job')::boolean then 'has a meaning in runs of a job alone' end;
        when r[1] = 'tasks' then
            return case when v_kind is null then 'names a task that is not there'
                        when not p_scope -> 'upstream' ? r[2] then format('names a task that does not come before: let this one depend on %s', r[2])
                        when r[3] in ('state', 'termination_code') and cardinality(r) = 3 then null
                        when r[3] = 'outcome' and cardinality(r) = 3 then
                            case when v_kind <> 'condition' then 'asks for the outcome of a task that is no condition' end
                        when r[3] = 'run_id' and cardinality(r) = 3 then
                            case when v_kind <> 'run_job' then 'asks for the run_id of a task that runs no job' end
                        when r[3] = 'values' and v_kind = 'for_each' then
                            case when r[4] is distinct from 'iterations' then 'is not values.iterations, which a for_each task has' end
                        when r[3] = 'values' then
                            case when v_kind <> 'work' then 'asks for values of a task that has none'
                                 when cardinality(r) < 4 then 'names no value' end
                        else 'is not one of tasks.<task_key>.values.<name>, .state, .termination_code, .outcome, .run_id' end;
        else
            return 'begins with none of job, run, task, tasks, input';
    end case;
end
$$;
revoke all on function job.fault_of(text, jsonb) from public;
grant execute on function job.fault_of(text, jsonb) to app_system;

create function job.check_references(p jsonb, p_path text, p_scope jsonb)
returns void language plpgsql stable set search_path = '' as $$
declare
    v record;
begin
    if strpos(p::text, '{{') = 0 or p is null then
        return;
    end if;
    select x.path, format('{{%s}} %s.', left(x.reference, 200), x.fault) as message into v
    from (select r.path, r.reference, job.fault_of(r.reference, p_scope) as fault from job.references_in(p, p_path) r) x
    where x.fault is not null limit 1;
    if found then
        perform ground.fail('REFERENCE_INVALID', v.path, v.message);
    end if;
end
$$;
revoke all on function job.check_references(jsonb, text, jsonb) from public;
grant execute on function job.check_references(jsonb, text, jsonb) to app_system;

-- Parameters of a job or of a run: names that can be referred to; they themselves refer to the run and the job alone.
create function job.check_parameters(p jsonb, p_field text, p_of_job boolean)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := job.check_object(p, p_field, '$');
begin
    perform job.check_references(v, '$.' || p_field, jsonb_build_object('job', p_of_job, 'task', false, 'input', false, 'parameters', '{}'::jsonb,
        'kinds', '{}'::jsonb, 'upstream', '[]'::jsonb));
    return v;
end
$$;
revoke all on function job.check_parameters(jsonb, text, boolean) from public;
grant execute on function job.check_parameters(jsonb, text, boolean) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
