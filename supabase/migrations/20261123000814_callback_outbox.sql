-- callback: the outbox. Events and who is told of them, in the transaction of what they tell.

grant app_owner, app_system to postgres;
set role app_owner;

-- {on_complete, on_fail, on_progress} -> (type, url) pairs, every URL checked before anything is written.
create function callback.check_callbacks(p_tenant uuid, p jsonb, p_path text default '$.callbacks')
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    f record;
begin
    perform ground.refuse_unknown(p, array['on_complete', 'on_fail', 'on_progress'], p_path);
    for f in select key, value from jsonb_each(p) loop
        if jsonb_typeof(f.value) <> 'string' then
            perform ground.fail('CALLBACK_URL_INVALID', p_path || '.' || f.key);
        end if;
        perform callback.check_url(p_tenant, f.value #>> '{}', p_path || '.' || f.key);
    end loop;
    return p;
end
$$;
revoke all on function callback.check_callbacks(uuid, jsonb, text) from public;
grant execute on function callback.check_callbacks(uuid, jsonb, text) to app_system;

-- An ad-hoc URL is an endpoint that only the runs that name it speak to.
create function callback.endpoint_for(p_tenant uuid, p_user text, p_url text)
returns uuid language plpgsql set search_path = '' as $$
declare
    v_id uuid;
begin
    select e.id into v_id from callback.endpoints e where e.tenant_id = p_tenant and md5(e.url) = md5(p_url) and e.deleted_at is null;
    if v_id is null then
        insert into callback.endpoints as e (tenant_id, url, created_by) values (p_tenant, p_url, p_user)
        on conflict (tenant_id, md5(url)) where deleted_at is null do update set url = excluded.url
        returning e.id into v_id;
    end if;
    return v_id;
end
$$;
revoke all on function callback.endpoint_for(uuid, text, text) from public;
grant execute on function callback.endpoint_for(uuid, text, text) to app_system;

create function callback.subscribe(p_tenant uuid, p_user text, p_run bigint, p jsonb)
returns void language sql volatile set search_path = ''
set enable_seqscan = off as $$  -- as in queue.submit
    insert into callback.subscriptions (tenant_id, run_id, type, endpoint_id)
    select p_tenant, p_run, t.type, callback.endpoint_for(p_tenant, p_user, p ->> t.field)
    from (values ('on_complete', 'run.completed'), ('on_fail', 'run.failed'), ('on_progress', 'run.progress')) t (field, type)
    where p ? t.field
    on conflict do nothing
$$;
revoke all on function callback.subscribe(uuid, text, bigint, jsonb) from public;
grant execute on function callback.subscribe(uuid, text, bigint, jsonb) to app_system;

-- Of waiting progress only the newest is sent: what no sender has tried yet ends as MERGED, and the new one takes its time, so
-- that a flood of progress does not put it off for ever.
create function callback.merge_progress(p_tenant uuid, p_run bigint, p_seq bigint, p_endpoint uuid)
returns timestamptz language plpgsql set search_path = '' as $$
declare
    v_at timestamptz;
begin
    update callback.deliveries d set state = 'MERGED', finished_at = clock_timestamp()
    where d.tenant_id = p_tenant and d.id = (
        select x.id from (select e.id, e.type from callback.events e
                          where e.tenant_id = p_tenant and e.run_id = p_run and e.seq < p_seq order by e.seq desc limit 1) last
        join callback.deliveries x on x.event_id = last.id and x.tenant_id = p_tenant and x.endpoint_id = p_endpoint
        where last.type = 'run.progress' and x.state = 'PENDING' and x.tries = 0 for update of x skip locked)  -- a sender has it: too late
    returning d.next_at into v_at;
    return coalesce(v_at, clock_timestamp() + (select s.merge_for from callback.settings s));
end
$$;
revoke all on function callback.merge_progress(uuid, bigint, bigint, uuid) from public;
grant execute on function callback.merge_progress(uuid, bigint, bigint, uuid) to app_system;

-- One event of a run with its per-run seq, and one delivery for each endpoint that wants it.
create function callback.emit(p_tenant uuid, p_run bigint, p_type text, p_data jsonb)
returns text language plpgsql set search_path = '' as $$
declare
    v_seq bigint;
    v_event text;
begin
    update queue.runs r set event_seq = r.event_seq + 1 where r.tenant_id = p_tenant and r.id = p_run returning r.event_seq into v_seq;
    insert into callback.events as e (tenant_id, run_id, seq, type, data)
    values (p_tenant, p_run, v_seq, p_type, p_data || jsonb_build_object('seq', v_seq))
    returning e.id into v_event;
    insert into callback.deliveries (tenant_id, event_id, endpoint_id, url, state, finished_at, next_at)
    select p_tenant, v_event, e.id, e.url,
           case when e.disabled_at is null then 'PENDING' else 'GONE' end::callback.delivery_state,
           case when e.disabled_at is not null then clock_timestamp() end,
           case when e.merge_progress and e.disabled_at is null and p_type = 'run.progress' then callback.merge_progress(p_tenant, p_run, v_seq, e.id)
                else clock_timestamp() end
    from callback.endpoints e
    where e.tenant_id = p_tenant and e.deleted_at is null
      and (p_type = any (e.events)
           or (select true from callback.subscriptions s where s.tenant_id = p_tenant and s.run_id = p_run and s.type = p_type and coalesce(s.endpoint_id = e.id, false) limit 1));
    if found then
        perform ground.wake('control_room_deliveries');
    end if;
    return v_event;
end
$$;
revoke all on function callback.emit(uuid, bigint, text, jsonb) from public;
grant execute on function callback.emit(uuid, bigint, text, jsonb) to app_system;

-- The one terminal event of each run that just ended: exactly one for each time it ended, by index; CANCELED, TIMED_OUT and SKIPPED count as failed.
-- Its seq was taken by the statement that ended the run. Told twice, it says so once.
create function callback.announce(p_tenants uuid[], p_runs bigint[])
returns void language plpgsql set search_path = ''
set enable_seqscan = off as $$  -- as in queue.submit
begin
    with ended as (
        select r.* from unnest(p_tenants, p_runs) u (tenant_id, id)
        cross join lateral (select x.* from queue.runs x where x.tenant_id = u.tenant_id and x.id = u.id limit 1) r  -- by its key, each
    ), event as (
        insert into callback.events as e (tenant_id, run_id, seq, repair, type, data)
        select r.tenant_id, r.id, r.event_seq, r.repair_count, case r.state when 'SUCCEEDED' then 'run.completed' else 'run.failed' end,
            jsonb_build_object('run_id', r.id, 'job_id', r.job_id, 'job_type', r.job_type, 'name', r.name, 'state', r.state,
                'termination_code', r.termination_code, 'termination_message', left(r.termination_message, 500),
                'created_at', r.created_at, 'started_at', r.started_at, 'finished_at', r.finished_at, 'repair', r.repair_count,
                'url', '/functions/v1/api/v1/runs/' || r.id, 'seq', r.event_seq)
        from ended r
        on conflict do nothing
        returning e.tenant_id, e.id, e.run_id, e.type
    )
    insert into callback.deliveries (tenant_id, event_id, endpoint_id, url, state, finished_at)
    select v.tenant_id, v.id, e.id, e.url,
           case when e.disabled_at is null then 'PENDING' else 'GONE' end::callback.delivery_state,
           case when e.disabled_at is not null then clock_timestamp() end
    from event v
    join callback.endpoints e on e.tenant_id = v.tenant_id and e.deleted_at is null
    where v.type = any (e.events)
       -- looked up for each by its run: `exists` may gather all that were ever made, and the index of endpoints leads to all of one
       or (select true from callback.subscriptions s
           where s.tenant_id = v.tenant_id and s.run_id = v.run_id and s.type = v.type and coalesce(s.endpoint_id = e.id, false) limit 1);
    if found then
        perform ground.wake('control_room_deliveries');
    end if;
end
$$;
revoke all on function callback.announce(uuid[], bigint[]) from public;
grant execute on function callback.announce(uuid[], bigint[]) to app_system;

-- What happened to runs inside other steps: one that a task started is listened to as its job says; one that ended is announced, and its place among
-- the runs of its job is passed on: which may be news again.
create function callback.relay()
returns void language plpgsql set search_path = '' as $$
declare
    n record;
    v_tenants uuid[];
    v_runs bigint[];
begin
    while exists (select from queue.news) loop
        v_tenants := '{}';
        v_runs := '{}';
        for n in
            with gone as (
                delete from queue.news x
                where (x.run_id, x.tenant_id, x.ended) in (select y.run_id, y.tenant_id, y.ended from queue.news y for update skip locked) returning x.*
            )
            select g.*, r.created_by, v.definition -> 'callbacks' as callbacks
            from gone g
            join queue.runs r on r.tenant_id = g.tenant_id and r.id = g.run_id
            left join job.versions v on not g.ended and v.tenant_id = r.tenant_id and v.job_id = r.job_id and v.version = r.job_version
        loop
            if n.ended then
                v_tenants := v_tenants || n.tenant_id;
                v_runs := v_runs || n.run_id;
            elsif n.callbacks <> '{}' then
                perform callback.subscribe(n.tenant_id, n.created_by, n.run_id, n.callbacks);
            end if;
        end loop;
        exit when v_runs = '{}';  -- what is left is somebody else's
        perform callback.announce(v_tenants, v_runs);
        perform queue.pass_on(v_tenants, v_runs);
    end loop;
end
$$;
revoke all on function callback.relay() from public;
grant execute on function callback.relay() to app_system;

-- Progress is an event only where somebody asked for it.
create function callback.wants_progress(p_tenant uuid, p_run bigint)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    return exists (select from callback.subscriptions s where s.tenant_id = p_tenant and s.run_id = p_run and s.type = 'run.progress')
        or exists (select from callback.endpoints e where e.tenant_id = p_tenant and e.deleted_at is null and 'run.progress' = any (e.events));
end
$$;
revoke all on function callback.wants_progress(uuid, bigint) from public;
grant execute on function callback.wants_progress(uuid, bigint) to app_system;

create function callback.announce_progress(p_tenant uuid, p_run bigint)
returns void language plpgsql set search_path = '' as $$
declare
    r record;
begin
    if not callback.wants_progress(p_tenant, p_run) then
        return;
    end if;
    select x.job_id, x.job_type, x.name, x.state,
           (select avg(t.percent)::integer from queue.task_runs t where t.tenant_id = p_tenant and t.run_id = p_run) as percent,
           (select t.progress_message from queue.task_runs t where t.tenant_id = p_tenant and t.run_id = p_run and t.state = 'RUNNING' limit 1) as message
    into r from queue.runs x where x.tenant_id = p_tenant and x.id = p_run and not queue.is_final(x.state);
    if found then
        perform callback.emit(p_tenant, p_run, 'run.progress', jsonb_build_object('run_id', p_run, 'job_id', r.job_id, 'job_type', r.job_type,
            'name', r.name, 'state', r.state, 'percent', r.percent, 'message', r.message, 'url', '/functions/v1/api/v1/runs/' || p_run));
    end if;
end
$$;
revoke all on function callback.announce_progress(uuid, bigint) from public;
grant execute on function callback.announce_progress(uuid, bigint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
