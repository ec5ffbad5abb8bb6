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
    perform job.hold_definitions(v_member.tenant_id);
    if p_create then
        v := job.check_definition(v_member.tenant_id, p);
    else
        select x.* into j from job.jobs x where x.tenant_id = v_member.tenant_id and x.id = ground.want_id(p, 'job_id') and x.deleted_at is null for update;
        if not found then
            perform ground.fail('JOB_NOT_FOUND');
        end if;
        select w.definition into v_old from job.versions w where w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version;
        v := job.check_definition(v_member.tenant_id, v_old || (p - 'job_id'), j.id);
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
    perform callback.relay();
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
    perform job.hold_definitions(v_member.tenant_id);
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
    perform job.hold_definitions(v_member.tenant_id);
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
                   else jsonb_build_object('tasks', (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('task_key', t -> 'task_key', 'kind', job.kind_of(t),
                                                                                         'job_type', coalesce(t -> 'job_type', t #> '{task,job_type}'), 'depends_on', t -> 'depends_on')))
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
            and (not p ? 'name' or x.name::text = p ->> 'name') and (p ->> 'cursor' is null or x.id < ground.want_id(p, 'cursor'))
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

-- ------------------------------------------------------------------------------------------ backfills

-- One run for each value, under a key made of job, parameter and value; those that are there already are taken in as they are.
create function door.backfill_job(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_job bigint := ground.want_id(p, 'job_id');
    v_parameter text := p ->> 'parameter';
    v_max integer := job.check_integer(p, 'max_concurrent', '$', 1, 1000, null);
    v_values jsonb[];
    v_definition jsonb;
    v_digest uuid;
    b queue.backfills;
    v_run jsonb;
    v_fresh integer := 0;
begin
    perform ground.refuse_unknown(p, array['job_id', 'parameter', 'values', 'range', 'params', 'max_concurrent', 'priority']);
    v_values := queue.backfill_values(p);
    select w.definition into v_definition from job.jobs j join job.versions w on w.tenant_id = j.tenant_id and w.job_id = j.id and w.version = j.current_version
    where j.tenant_id = v_member.tenant_id and j.id = v_job and j.deleted_at is null;
    if not found then
        perform ground.fail('JOB_NOT_FOUND');
    elsif v_parameter is null or jsonb_typeof(p -> 'parameter') <> 'string' or not coalesce(v_definition -> 'parameters', '{}') ? v_parameter then
        perform ground.fail('FIELD_INVALID', '$.parameter', 'The job has no such parameter.', (select string_agg(k, ', ') from jsonb_object_keys(v_definition -> 'parameters') k));
    end if;
    v_digest := md5(jsonb_build_array(v_parameter, to_jsonb(v_values), job.check_object(p, 'params', '$'))::text)::uuid;
    insert into queue.backfills as x (tenant_id, job_id, parameter, digest, max_concurrent, created_by)
    values (v_member.tenant_id, v_job, v_parameter, v_digest, v_max, v_member.user_id)
    on conflict (job_id, tenant_id, digest) do nothing returning x.* into b;
    if b.id is null then
        select x.* into b from queue.backfills x where x.job_id = v_job and x.tenant_id = v_member.tenant_id and x.digest = v_digest;
    else
        perform queue.open_lane(v_member.tenant_id, v_job);
        for i in 1 .. cardinality(v_values) loop
            v_run := door.submit(v_member, jsonb_strip_nulls(jsonb_build_object('job_id', v_job, 'priority', p -> 'priority',
                'params', coalesce(p -> 'params', '{}') || jsonb_build_object(v_parameter, v_values[i]),
                'idempotency_key', format('backfill %s %s', v_job, md5(jsonb_build_array(v_parameter, v_values[i], coalesce(p -> 'params', '{}'))::text)))), b.id);
            insert into queue.backfill_runs (tenant_id, backfill_id, place, run_id, value)
            values (b.tenant_id, b.id, i, (v_run ->> 'run_id')::bigint, v_values[i]);
            v_fresh := v_fresh + (v_run ->> 'fresh')::boolean::integer;
        end loop;
        perform queue.admit(v_member.tenant_id, v_job);
        perform callback.relay();
        perform audit.append(v_member.tenant_id, 'backfill.create', 'job', v_job::text,
            jsonb_build_object('backfill_id', b.id, 'parameter', v_parameter, 'values', cardinality(v_values), 'started', v_fresh));
    end if;
    perform ground.answer_status(case when v_fresh > 0 then 202 else 200 end);
    return jsonb_build_object('backfill_id', b.id, 'job_id', v_job, 'started', v_fresh, 'url', format('/functions/v1/api/v1/jobs/%s/backfills/%s', v_job, b.id))
           || queue.backfill_counts(b.tenant_id, b.id);
end
$$;
revoke all on function door.backfill_job(jsonb) from public;
grant execute on function door.backfill_job(jsonb) to authenticated;

create function public.backfill_job(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.backfill_job($1); end $$;
comment on function public.backfill_job(jsonb) is '{job_id, parameter, values: […] | range: {from, to, step?}, params?, max_concurrent?, priority?} -> {backfill_id, started, total, states}. 202; 200 when nothing new was started.';
revoke all on function public.backfill_job(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.backfill_job(jsonb) to authenticated;

create function door.find_backfill(p_tenant uuid, p jsonb)
returns queue.backfills language plpgsql stable set search_path = '' as $$
declare
    b queue.backfills;
begin
    select x.* into b from queue.backfills x
    where x.tenant_id = p_tenant and x.id = ground.want_id(p, 'backfill_id') and x.job_id = ground.want_id(p, 'job_id');
    if not found then
        perform ground.fail('BACKFILL_NOT_FOUND');
    end if;
    return b;
end
$$;
revoke all on function door.find_backfill(uuid, jsonb) from public;

create function door.get_backfill(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    b queue.backfills := door.find_backfill(v_member.tenant_id, p);
begin
    return jsonb_build_object('backfill_id', b.id, 'job_id', b.job_id, 'parameter', b.parameter, 'max_concurrent', b.max_concurrent,
               'created_by', b.created_by, 'created_at', b.created_at, 'cancel_requested_at', b.cancel_requested_at,
               'runs', (select jsonb_agg(jsonb_build_object('run_id', r.id, 'state', r.state, 'termination_code', r.termination_code)
                                         || case when v_member.role >= 'operator' then jsonb_build_object('value', x.value) else '{}' end order by x.place)
                        from queue.backfill_runs x join queue.runs r on r.tenant_id = x.tenant_id and r.id = x.run_id
                        where x.tenant_id = b.tenant_id and x.backfill_id = b.id))
           || queue.backfill_counts(b.tenant_id, b.id);
end
$$;
revoke all on function door.get_backfill(jsonb) from public;
grant execute on function door.get_backfill(jsonb) to authenticated;

create function public.get_backfill(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.get_backfill($1); end $$;
comment on function public.get_backfill(jsonb) is '{job_id, backfill_id} -> the backfill: {total, states: {state: count}, runs: [{run_id, state, value}]}; values for operators.';
revoke all on function public.get_backfill(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_backfill(jsonb) to authenticated;

create function door.list_backfills(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_job bigint := ground.want_id(p, 'job_id');
    v_below bigint := case when p ->> 'cursor' is not null then ground.want_id(p, 'cursor') else 9223372036854775807 end;
    v_items jsonb;
begin
    if not exists (select from job.jobs j where j.tenant_id = v_member.tenant_id and j.id = v_job) then
        perform ground.fail('JOB_NOT_FOUND');
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('backfill_id', b.id, 'parameter', b.parameter, 'max_concurrent', b.max_concurrent,
               'created_by', b.created_by, 'created_at', b.created_at, 'cancel_requested_at', b.cancel_requested_at)
               || queue.backfill_counts(b.tenant_id, b.id) order by b.id desc), '[]') into v_items
    from (select x.* from queue.backfills x where x.tenant_id = v_member.tenant_id and x.job_id = v_job and x.id < v_below order by x.id desc limit v_limit) b;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'backfill_id' end);
end
$$;
revoke all on function door.list_backfills(jsonb) from public;
grant execute on function door.list_backfills(jsonb) to authenticated;

create function public.list_backfills(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_backfills($1); end $$;
comment on function public.list_backfills(jsonb) is '{job_id, limit?, cursor?} -> {items, next}, newest first.';
revoke all on function public.list_backfills(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_backfills(jsonb) to authenticated;

-- All that has not ended: what waits ends at once, what runs is told to stop.
create function door.cancel_backfill(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    b queue.backfills := door.find_backfill(v_member.tenant_id, p);
    v_run bigint;
    n integer := 0;
begin
    update queue.backfills x set cancel_requested_at = coalesce(x.cancel_requested_at, clock_timestamp()) where x.tenant_id = b.tenant_id and x.id = b.id;
    -- all that will be needed, first: see 54_queue_lock
    perform queue.hold_family(b.tenant_id, h.run_id, true)
    from (select x.run_id from queue.backfill_runs x join queue.runs r on r.tenant_id = x.tenant_id and r.id = x.run_id
          where x.tenant_id = b.tenant_id and x.backfill_id = b.id and r.finished_at is null order by x.run_id offset 0) h;
    for v_run in
        select r.id from queue.backfill_runs x join queue.runs r on r.tenant_id = x.tenant_id and r.id = x.run_id
        where x.tenant_id = b.tenant_id and x.backfill_id = b.id and r.finished_at is null order by r.waits_since is null, r.id
    loop
        begin
            if queue.is_final(queue.cancel(b.tenant_id, v_run, v_member.user_id)) then
                n := n + 1;
            end if;
        exception when sqlstate 'PGRST' then
            null;  -- it ended while we waited for its lock
        end;
    end loop;
    perform queue.admit(b.tenant_id, b.job_id);
    perform callback.relay();
    perform audit.append(b.tenant_id, 'backfill.cancel', 'job', b.job_id::text, jsonb_build_object('backfill_id', b.id));
    perform ground.answer_status(202);
    return jsonb_build_object('backfill_id', b.id, 'job_id', b.job_id, 'canceled', n) || queue.backfill_counts(b.tenant_id, b.id);
end
$$;
revoke all on function door.cancel_backfill(jsonb) from public;
grant execute on function door.cancel_backfill(jsonb) to authenticated;

create function public.cancel_backfill(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.cancel_backfill($1); end $$;
comment on function public.cancel_backfill(jsonb) is '{job_id, backfill_id} -> {canceled, total, states}: every run of it that has not ended is canceled.';
revoke all on function public.cancel_backfill(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.cancel_backfill(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
