-- public: jobs and their versions.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

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
    perform schedule.place(j.tenant_id, j.id, v);  -- before the lane: the clock locks a trigger, then its lane
    perform queue.set_lane(j.tenant_id, j.id, (v ->> 'max_concurrent_runs')::integer, (v #>> '{queue,enabled}')::boolean);
    perform audit.append(j.tenant_id, case when p_create then 'job.create' else 'job.update' end, 'job', j.id::text, jsonb_build_object('version', j.current_version));
    perform ground.answer_status(case when p_create then 201 else 200 end);
    return jsonb_build_object('job_id', j.id, 'version', j.current_version, 'created_by', j.created_by, 'created_at', j.created_at, 'updated_at', j.updated_at) || v
        || schedule.state(j.tenant_id, j.id);
end
$$;
revoke all on function door.put_job(jsonb, boolean) from public;
grant execute on function door.put_job(jsonb, boolean) to authenticated;

create function public.create_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.put_job($1, true); end $$;
comment on function public.create_job(jsonb) is '{name, tasks: [{task_key, job_type, spec, depends_on?, …}], parameters?, callbacks?, schedule? | periodic? | trigger?} -> the job, version 1.';
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
    perform schedule.remove(v_member.tenant_id, ground.want_id(p, 'job_id'));
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

-- Paused or not is part of the definition, so this is a next version; it is not checked anew, for one whose grants were taken back
-- must be paused as well.
create function door.pause_job(p jsonb, p_paused boolean)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    j job.jobs;
    v jsonb;
    v_key text;
begin
    perform ground.refuse_unknown(p, array['job_id']);
    select x.* into j from job.jobs x where x.tenant_id = v_member.tenant_id and x.id = ground.want_id(p, 'job_id') and x.deleted_at is null for update;
    if not found then
        perform ground.fail('JOB_NOT_FOUND');
    end if;
    select w.definition into v from job.versions w where w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version;
    select k into v_key from unnest(array['schedule', 'periodic', 'trigger']) k where v ->> k is not null;
    if v_key is null then
        perform ground.fail('JOB_HAS_NO_CLOCK');
    end if;
    if (v #>> array[v_key, 'paused'])::boolean <> p_paused then
        v := jsonb_set(v, array[v_key, 'paused'], to_jsonb(p_paused));
        update job.jobs x set current_version = x.current_version + 1, updated_at = now() where x.tenant_id = j.tenant_id and x.id = j.id returning x.* into j;
        insert into job.versions (tenant_id, job_id, version, definition, created_by) values (j.tenant_id, j.id, j.current_version, v, v_member.user_id);
        perform schedule.place(j.tenant_id, j.id, v);
        perform audit.append(j.tenant_id, case when p_paused then 'job.pause' else 'job.resume' end, 'job', j.id::text, jsonb_build_object('version', j.current_version));
    end if;
    return jsonb_build_object('job_id', j.id, 'version', j.current_version, 'paused', p_paused) || schedule.state(j.tenant_id, j.id);
end
$$;
revoke all on function door.pause_job(jsonb, boolean) from public;
grant execute on function door.pause_job(jsonb, boolean) to authenticated;

create function public.pause_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.pause_job($1, true); end $$;
comment on function public.pause_job(jsonb) is '{job_id} -> {job_id, version, paused, next_fire_at, …}: it starts by itself no more; people may still run it.';
revoke all on function public.pause_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.pause_job(jsonb) to authenticated;

create function public.resume_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.pause_job($1, false); end $$;
comment on function public.resume_job(jsonb) is '{job_id} -> {job_id, version, paused, next_fire_at, …}: from the next time on; what fell into the pause is not made up for.';
revoke all on function public.resume_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.resume_job(jsonb) to authenticated;

create function door.job_schedule(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    t schedule.triggers;
    v_count integer := job.check_integer(p, 'count', '$', 1, 100, 5);
begin
    if not exists (select from job.jobs x where x.tenant_id = v_member.tenant_id and x.id = ground.want_id(p, 'job_id') and x.deleted_at is null) then
        perform ground.fail('JOB_NOT_FOUND');
    end if;
    select x.* into t from schedule.triggers x where x.tenant_id = v_member.tenant_id and x.job_id = ground.want_id(p, 'job_id');
    if not found then
        perform ground.fail('JOB_HAS_NO_CLOCK');
    end if;
    return jsonb_build_object('job_id', t.job_id, 'type', t.kind, 'paused', t.definition -> 'paused', 'definition', t.definition,
            'upcoming', to_jsonb(schedule.upcoming(t, v_count)))
        || schedule.state(t.tenant_id, t.job_id);
end
$$;
revoke all on function door.job_schedule(jsonb) from public;
grant execute on function door.job_schedule(jsonb) to authenticated;

create function public.job_schedule(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.job_schedule($1); end $$;
comment on function public.job_schedule(jsonb) is '{job_id, count?} -> {type, paused, definition, next_fire_at, last_fired_at, last_run_id, last_error, upcoming: [times]}.';
revoke all on function public.job_schedule(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.job_schedule(jsonb) to authenticated;

create function door.get_job(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v jsonb;
begin
    select jsonb_build_object('job_id', j.id, 'name', j.name, 'version', j.current_version, 'created_by', j.created_by, 'created_at', j.created_at, 'updated_at', j.updated_at)
           || case when v_member.role >= 'operator' then w.definition
                   else jsonb_build_object('tasks', (select jsonb_agg(jsonb_build_object('task_key', t -> 'task_key', 'job_type', t -> 'job_type', 'depends_on', t -> 'depends_on'))
                                                     from jsonb_array_elements(w.definition -> 'tasks') t),
                       'schedule', w.definition -> 'schedule', 'periodic', w.definition -> 'periodic', 'trigger', w.definition -> 'trigger') end
           || schedule.state(j.tenant_id, j.id)
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

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
