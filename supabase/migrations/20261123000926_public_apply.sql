-- public: jobs as code. What is sent is how the jobs shall be; what is not so is made so, all of it or nothing. A dry run does the very
-- same and takes it back, so that what it foretells is what the doors will say.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- The jobs that a definition starts, as they are named there: by id, or in a file by name.
create function door.started_by(p jsonb, p_word text)
returns setof text language sql immutable set search_path = '' as $$
    select r ->> p_word from jsonb_path_query(p, '$.tasks[*].run_job') r
    union
    select r ->> p_word from jsonb_path_query(p, '$.tasks[*].task.run_job') r
$$;
revoke all on function door.started_by(jsonb, text) from public;

-- {"run_job": {"job": "compact"}} -> {"run_job": {"job_id": 7}}
create function door.with_job_ids(p_tenant uuid, p jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_below text;
    v_place text[];
    v jsonb;
    v_id bigint;
begin
    for i in 0 .. case jsonb_typeof(p -> 'tasks') when 'array' then jsonb_array_length(p -> 'tasks') else 0 end - 1 loop
        foreach v_below in array array['run_job', 'task.run_job'] loop
            v_place := array['tasks', i::text] || string_to_array(v_below, '.');
            v := p #> v_place;
            continue when jsonb_typeof(v) is distinct from 'object' or not v ? 'job';
            if v ? 'job_id' then
                perform ground.fail('FIELD_INVALID', format('$.tasks[%s].%s', i, v_below), 'run_job has either job or job_id.');
            end if;
            select j.id into v_id from job.jobs j where j.tenant_id = p_tenant and j.name::text = v ->> 'job' and j.deleted_at is null;
            if not found then
                perform ground.fail('JOB_NOT_FOUND', format('$.tasks[%s].%s.job', i, v_below), null, 'Check the name; or apply that job as well.');
            end if;
            p := jsonb_set(p, v_place, v - 'job' || jsonb_build_object('job_id', v_id));
        end loop;
    end loop;
    return p;
end
$$;
revoke all on function door.with_job_ids(uuid, jsonb) from public;

-- Whose a job is: the source that it was applied from. Only that source changes it, and only its own are pruned.
create function door.source_of(p_definition jsonb)
returns text language sql immutable set search_path = '' as $$ select p_definition #>> '{tags,control-room/source}' $$;
revoke all on function door.source_of(jsonb) from public;

-- One job as it shall be -> {action, name, job_id, version, before, after}.
create function door.apply_job(p_member tenancy.membership, p jsonb, p_source text, p_adopt boolean)
returns jsonb language plpgsql set search_path = '' as $$
declare
    j job.jobs;
    v_old jsonb;
    v jsonb := p;
    v_key text;
begin
    if jsonb_typeof(p) is distinct from 'object' then
        perform ground.fail('BODY_INVALID', '$', 'A job is an object.');
    end if;
    if door.source_of(p) is not null then
        perform ground.fail('FIELD_INVALID', '$.tags', 'control-room/source is set by apply.');
    end if;
    select x.* into j from job.jobs x where x.tenant_id = p_member.tenant_id and x.name::text = p ->> 'name' and x.deleted_at is null for update;
    if found then
        select w.definition into v_old from job.versions w where w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version;
        if door.source_of(v_old) <> coalesce(p_source, '') and not p_adopt then
            perform ground.fail('JOB_OWNED', '$.name: ' || door.source_of(v_old));
        end if;
        -- who has paused it meant it: only a file that says so starts it again
        foreach v_key in array array['schedule', 'periodic', 'trigger'] loop
            if jsonb_typeof(v -> v_key) = 'object' and not v -> v_key ? 'paused' and v_old #>> array[v_key, 'paused'] = 'true' then
                v := jsonb_set(v, array[v_key, 'paused'], 'true');
            end if;
        end loop;
    end if;
    if p_source is not null and jsonb_typeof(coalesce(v -> 'tags', '{}')) in ('object', 'null') then
        v := v || jsonb_build_object('tags', coalesce(nullif(v -> 'tags', 'null'), '{}') || jsonb_build_object('control-room/source', p_source));
    end if;
    v := job.check_definition(p_member.tenant_id, door.with_job_ids(p_member.tenant_id, v), j.id);
    if v = v_old then
        return jsonb_build_object('name', j.name, 'action', 'none', 'job_id', j.id, 'version', j.current_version);
    end if;
    p := door.put_job(case when j.id is null then v else v || jsonb_build_object('job_id', j.id) end, j.id is null);
    return jsonb_build_object('name', v -> 'name', 'action', case when j.id is null then 'create' else 'update' end,
                              'job_id', p -> 'job_id', 'version', p -> 'version', 'before', v_old, 'after', v);
end
$$;
revoke all on function door.apply_job(tenancy.membership, jsonb, text, boolean) from public;

-- What the source had and its files have no more. A job that another one starts stays, and so does everything else then.
create function door.prune_jobs(p_member tenancy.membership, p_source text, p_names text[])
returns jsonb language plpgsql set search_path = '' as $$
declare
    v jsonb := '[]';
    x record;
begin
    for x in
        select j.id, j.name, j.current_version, w.definition
        from job.jobs j join job.versions w on w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version
        where j.tenant_id = p_member.tenant_id and j.deleted_at is null and door.source_of(w.definition) = p_source and j.name::text <> all (p_names)
        order by j.name for update of j
    loop
        perform door.delete_job(jsonb_build_object('job_id', x.id));
        v := v || jsonb_build_object('name', x.name, 'action', 'delete', 'job_id', x.id, 'version', x.current_version, 'before', x.definition);
    end loop;
    for x in
        select d ->> 'name' as name, j.name as starter
        from jsonb_array_elements(v) d
        join job.jobs j on j.tenant_id = p_member.tenant_id and j.deleted_at is null
        join job.versions w on w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version
        where d ->> 'job_id' in (select door.started_by(w.definition, 'job_id'))
        limit 1
    loop
        perform ground.fail('JOB_IN_USE', format('%s is started by %s', x.name, x.starter));
    end loop;
    return v;
end
$$;
revoke all on function door.prune_jobs(tenancy.membership, text, text[]) from public;

create function door.apply_jobs(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_source text := p ->> 'source';
    v_adopt boolean := job.check_boolean(p, 'adopt', '$', false);
    v_prune boolean := job.check_boolean(p, 'prune', '$', false);
    v_dry boolean := job.check_boolean(p, 'dry_run', '$', false);
    v_jobs jsonb := job.check_array(p, 'jobs', '$', 500);
    n integer := jsonb_array_length(v_jobs);
    v_names text[] := array(select x ->> 'name' from jsonb_array_elements(v_jobs) with ordinality e (x, ord) order by ord);
    v_done boolean[] := array_fill(false, array[n]);
    v_plan jsonb[] := array_fill(null::jsonb, array[n]);
    v_pruned jsonb := '[]';
    v_ready boolean;
    v_told jsonb;
    v_said text;
    v_detail text;
begin
    perform ground.refuse_unknown(p, array['jobs', 'source', 'adopt', 'prune', 'dry_run']);
    if n = 0 and not v_prune then
        perform ground.fail('FIELD_INVALID', '$.jobs', 'jobs must be an array of 1 to 500 jobs.');
    elsif p -> 'source' <> 'null' and coalesce(v_source, '') !~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$' then
        perform ground.fail('FIELD_INVALID', '$.source', 'source is a plain name of at most 128 characters.');
    elsif v_prune and v_source is null then
        perform ground.fail('FIELD_INVALID', '$.prune', 'Only what bears a source is pruned.', 'Name the source that the jobs belong to.');
    end if;
    perform job.hold_definitions(v_member.tenant_id);
    perform schedule.hold(v_member.tenant_id, array(  -- all of them before the first lane, as the clock does
        select j.id from job.jobs j join job.versions w on w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version
        where j.tenant_id = v_member.tenant_id and j.deleted_at is null and (j.name::text = any (v_names) or v_prune and door.source_of(w.definition) = v_source)));
    for i in 1 .. n loop
        if v_names[i] = any (v_names[1 : i - 1]) then
            perform ground.fail('FIELD_INVALID', format('$.jobs[%s].name', i - 1), 'Two jobs have the same name.');
        end if;
    end loop;
    begin
        loop  -- a job comes after those that it starts
            v_ready := false;
            for i in 1 .. n loop
                continue when v_done[i] or exists (
                    select from door.started_by(v_jobs -> (i - 1), 'job') s (name)
                    join unnest(v_names, v_done) b (name, done) on b.name = s.name and not b.done);
                begin
                    v_plan[i] := door.apply_job(v_member, v_jobs -> (i - 1), v_source, v_adopt);
                exception when sqlstate 'PGRST' then
                    get stacked diagnostics v_said = message_text, v_detail = pg_exception_detail;
                    raise sqlstate 'PGRST' using detail = v_detail, message = (v_said::jsonb || jsonb_build_object('details', format('$.jobs[%s]', i - 1)
                        || coalesce(case when v_said::jsonb ->> 'details' like '$%' then substr(v_said::jsonb ->> 'details', 2) else ': ' || (v_said::jsonb ->> 'details') end, '')))::text;
                end;
                v_done[i] := true;
                v_ready := true;
            end loop;
            exit when not v_ready;
        end loop;
        if not true = all (v_done) then
            perform ground.fail('JOB_GRAPH_INVALID', format('$.jobs[%s]', array_position(v_done, false) - 1), 'The jobs start each other in a circle.');
        end if;
        if v_prune then
            v_pruned := door.prune_jobs(v_member, v_source, v_names);
        end if;
        v_told := to_jsonb(v_plan) || v_pruned;
        v_told := jsonb_build_object('dry_run', v_dry, 'source', v_source, 'jobs', v_told,
            'changes', (select count(*) from jsonb_array_elements(v_told) x where x ->> 'action' <> 'none'),
            -- what is started, by name: the ids of a dry run mean nothing
            'names', (select coalesce(jsonb_object_agg(j.id, j.name), '{}') from job.jobs j
                      where j.tenant_id = v_member.tenant_id
                        and j.id::text in (select door.started_by(d, 'job_id') from jsonb_path_query(v_told, '$[*].keyvalue() ? (@.key == "before" || @.key == "after").value') d)));
        if v_dry then
            raise sqlstate 'CRDRY';
        end if;
    exception when sqlstate 'CRDRY' then
        null;  -- nothing of it was done
    end;
    perform ground.answer_status(200);
    return v_told;
end
$$;
revoke all on function door.apply_jobs(jsonb) from public;
grant execute on function door.apply_jobs(jsonb) to authenticated;

create function public.apply_jobs(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.apply_jobs($1); end $$;
comment on function public.apply_jobs(jsonb) is '{jobs: [definition], source?, prune?, adopt?, dry_run?} -> {jobs: [{name, action: create|update|delete|none, job_id, version, before, after}], changes}: all or nothing.';
revoke all on function public.apply_jobs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.apply_jobs(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
