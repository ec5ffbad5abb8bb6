-- worker, last part: the clock. Every runner pays what is owed when its tick says so, and so does pg_cron where it is there; both
-- at once is well. A transaction of its own: it locks lanes, which housekeeping has locked in another order.

grant app_owner, app_system to postgres;
set role app_owner;

-- The way of people's submissions, for the tenant in the claims that worker.fire has set: row security holds it there.
create function door.start_job(p_job bigint, p_kind schedule.kind, p_at timestamptz, p_causes bigint[], p_datasets text[])
returns bigint language plpgsql security definer set search_path = '' as $$
declare
    v_tenant uuid := ground.claimed_tenant_id();
    v_run bigint;
begin
    if exists (select from tenancy.tenants t where t.id = v_tenant and t.suspended_at is not null) then
        perform ground.fail('TENANT_SUSPENDED');
    end if;
    if exists (select from schedule.fires f where f.tenant_id = v_tenant and f.job_id = p_job and f.scheduled_at = p_at) then
        return null;
    end if;
    v_run := (door.submit((v_tenant, ground.user_id(), 'operator')::tenancy.membership, jsonb_build_object('job_id', p_job, 'params',
        jsonb_build_object('scheduled_at', to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))) ->> 'run_id')::bigint;
    insert into schedule.fires (tenant_id, job_id, scheduled_at, kind, run_id, causes, datasets)
    values (v_tenant, p_job, p_at, p_kind, v_run, p_causes, p_datasets);
    return v_run;
end
$$;
revoke all on function door.start_job(bigint, schedule.kind, timestamptz, bigint[], text[]) from public;
grant execute on function door.start_job(bigint, schedule.kind, timestamptz, bigint[], text[]) to app_system;

set role app_system;

-- Starts what is due; one that cannot be started says why, and goes on to its next time: it does not stop the others.
create function worker.fire(p_limit integer default 200)
returns integer language plpgsql security definer set search_path = '' as $$
declare
    v_claims text := current_setting('request.jwt.claims', true);
    t schedule.triggers;
    o record;
    v_at timestamptz;
    v_run bigint;
    v_error jsonb;
    v_paid integer := 0;
begin
    perform schedule.gather();
    for t in select * from schedule.due(p_limit) loop
        v_run := null;
        v_error := null;
        perform set_config('request.jwt.claims', jsonb_build_object('tenant_id', t.tenant_id, 'user_id', 'schedule', 'role', 'operator')::text, true);
        begin
            select * into o from schedule.owed(t, clock_timestamp());
            if o.missed then
                perform audit.append(t.tenant_id, 'schedule.miss', 'job', t.job_id::text,
                    jsonb_build_object('since', t.next_fire_at, 'missed', t.definition -> 'missed', 'started', cardinality(o.times)));
            end if;
            foreach v_at in array o.times loop
                v_run := coalesce(door.start_job(t.job_id, t.kind, v_at, t.causes, t.datasets), v_run);
            end loop;
        exception
            when serialization_failure or deadlock_detected then
                raise;
            when others then
                v_run := null;
                v_error := case sqlstate when 'PGRST' then sqlerrm::jsonb else jsonb_build_object('code', 'INTERNAL_ERROR', 'message', left(sqlerrm, 500)) end
                           || jsonb_build_object('at', clock_timestamp(), 'scheduled_at', t.next_fire_at);
                if (t.last_error -> 'code', t.last_error -> 'details') is distinct from (v_error -> 'code', v_error -> 'details') then  -- once, not every ten seconds
                    perform audit.append(t.tenant_id, 'schedule.fail', 'job', t.job_id::text, v_error);
                end if;
        end;
        perform schedule.settle(t, v_run, v_error);
        v_paid := v_paid + 1;
    end loop;
    perform set_config('request.jwt.claims', coalesce(v_claims, ''), true);
    return v_paid;
end
$$;
comment on function worker.fire(integer) is 'Starts the jobs whose time has come; any number of callers, each time once. Answers with how many jobs it looked after.';
revoke all on function worker.fire(integer) from public;
grant execute on function worker.fire(integer) to runner, postgres;

set role postgres;

-- Where pg_cron was installed first; where it comes later these two calls are made by hand.
do $cron$
begin
    if exists (select from pg_catalog.pg_extension where extname = 'pg_cron') then
        begin
            execute $q$ select cron.schedule('control-room-clock', '10 seconds', 'select worker.fire()') $q$;
        exception when others then  -- before 1.5 it knew minutes only
            execute $q$ select cron.schedule('control-room-clock', '* * * * *', 'select worker.fire()') $q$;
        end;
        execute $q$ select cron.schedule('control-room-clock-sweep', '17 3 * * *', $c$
            delete from cron.job_run_details d using cron.job j
            where j.jobid = d.jobid and j.jobname in ('control-room-clock', 'control-room-clock-sweep') and d.end_time < now() - interval '1 day' $c$) $q$;
    end if;
end
$cron$;

revoke app_owner, app_system from postgres;
