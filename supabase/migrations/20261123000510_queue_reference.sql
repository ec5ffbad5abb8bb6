-- queue, second part: what {{references}} lead to, in a run that runs.

grant app_owner, app_system to postgres;
set role app_owner;

-- A task cannot go on by the fault of its definition: it ends FAILED with this code.
create function queue.fail_task(p_code text, p_message text)
returns void language plpgsql stable set search_path = '' as $$
begin
    raise exception using errcode = 'CRTSK', detail = p_code, message = left(p_message, 2000);
end
$$;
revoke all on function queue.fail_task(text, text) from public;
grant execute on function queue.fail_task(text, text) to app_system;

create function queue.look_up(p_run queue.runs, p_task_key text, p_input jsonb, p_reference text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v text[] := string_to_array(p_reference, '.');
    k queue.task_runs;
    v_found jsonb;
begin
    case v[1]
        when 'input' then
            v_found := p_input #> v[2:];
        when 'task' then
            v_found := to_jsonb(p_task_key);
        when 'run' then
            v_found := case v[2] when 'id' then to_jsonb(p_run.id)
                                 when 'start_time' then to_jsonb(to_char(p_run.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end;
        when 'job' then
            v_found := case v[2] when 'id' then to_jsonb(p_run.job_id) when 'version' then to_jsonb(p_run.job_version)
                                 when 'name' then to_jsonb(p_run.name) when 'parameters' then p_run.parameters #> v[3:] end;
        else
            select t.* into k from queue.task_runs t where t.run_id = p_run.id and t.tenant_id = p_run.tenant_id and t.task_key = v[2];
            v_found := case v[3] when 'state' then to_jsonb(k.state) when 'termination_code' then to_jsonb(k.termination_code)
                                 when 'outcome' then to_jsonb(k.outcome::text) when 'run_id' then to_jsonb(k.child_run_id)
                                 when 'values' then
                                     case when k.kind = 'for_each' then  -- of all its iterations, in their order
                                         jsonb_build_object('iterations',
                                             (select coalesce(jsonb_agg(t.output_values order by t.iteration), '[]') from queue.task_runs t
                                              where t.run_id = p_run.id and t.tenant_id = p_run.tenant_id and t.parent_id = k.id)) #> v[4:]
                                     else k.output_values #> v[4:] end end;
    end case;
    if v_found is null then
        perform queue.fail_task('REFERENCE_UNRESOLVED', format('{{%s}} leads to nothing', p_reference)
            || case when v[1] = 'tasks' then format(': %s ended %s', v[2], k.state) else '' end);
    end if;
    return v_found;
end
$$;
revoke all on function queue.look_up(queue.runs, text, jsonb, text) from public;
grant execute on function queue.look_up(queue.runs, text, jsonb, text) to app_system;

create function queue.resolve(p_run queue.runs, p_task_key text, p_input jsonb, p jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb;
begin
    if strpos(p::text, '{{') = 0 then
        return p;
    end if;
    select job.substitute(p, coalesce(jsonb_object_agg(r.reference, queue.look_up(p_run, p_task_key, p_input, r.reference)), '{}')) into v
    from (select distinct x.reference from job.references_in(p) x) r;
    if octet_length(v::text) > 1048576 then
        perform queue.fail_task('REFERENCE_UNRESOLVED', 'with its references resolved it is larger than 1 MiB');
    end if;
    return v;
end
$$;
revoke all on function queue.resolve(queue.runs, text, jsonb, jsonb) from public;
grant execute on function queue.resolve(queue.runs, text, jsonb, jsonb) to app_system;

-- EQUAL_TO and NOT_EQUAL compare as text ("12.0" is not "12"), the others as numbers.
create function queue.compare(p_op text, p_left jsonb, p_right jsonb)
returns boolean language plpgsql stable set search_path = '' as $$
declare
    l text := p_left #>> '{}';
    r text := p_right #>> '{}';
begin
    if p_op in ('EQUAL_TO', 'NOT_EQUAL') then
        return (l is not distinct from r) = (p_op = 'EQUAL_TO');
    elsif job.is_numeral(l) is not true or job.is_numeral(r) is not true then
        perform queue.fail_task('CONDITION_INVALID', format('%s compares numbers, and %s is none', p_op,
            left(case when job.is_numeral(l) then p_right else p_left end::text, 200)));
    end if;
    return case p_op when 'GREATER_THAN' then l::numeric > r::numeric
                     when 'GREATER_THAN_OR_EQUAL' then l::numeric >= r::numeric
                     when 'LESS_THAN' then l::numeric < r::numeric
                     when 'LESS_THAN_OR_EQUAL' then l::numeric <= r::numeric end;
end
$$;
revoke all on function queue.compare(text, jsonb, jsonb) from public;
grant execute on function queue.compare(text, jsonb, jsonb) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
