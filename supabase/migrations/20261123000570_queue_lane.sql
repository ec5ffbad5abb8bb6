-- queue, seventh part: lanes: how many runs of a job may be under way at once; who comes too many waits in order, or is skipped.
-- What is under way is counted under the lock of the tenant's lanes (queue.hold_lanes) from the runs themselves: no counter that
-- could drift. A verb that ends many runs passes their places on once, at its end.

grant app_owner, app_system to postgres;
set role app_owner;

create table queue.lanes (
    tenant_id uuid not null,
    job_id bigint not null,
    max_runs integer check (max_runs between 1 and 1000),  -- null: no limit any more, or only one of backfills
    queues boolean not null default true,
    primary key (tenant_id, job_id),
    foreign key (tenant_id, job_id) references job.jobs (tenant_id, id)
);
comment on table queue.lanes is 'Internal: the limit of a job''s current version, where the queue finds and locks it.';
alter table queue.lanes enable row level security;
alter table queue.lanes force row level security;
create policy "doors keep the caller's lanes" on queue.lanes for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps lanes" on queue.lanes for all to app_system using (true) with check (true);
grant select on queue.lanes to app_system;

-- How many more runs of the job may begin now; null: any number. It stays so until the transaction ends.
create function queue.free_places(p_tenant uuid, p_job bigint)
returns integer language plpgsql set search_path = '' as $$
declare
    v_max integer;
begin
    perform queue.hold_lanes(array[p_tenant]);
    select l.max_runs into v_max from queue.lanes l where l.tenant_id = p_tenant and l.job_id = p_job;
    if v_max is null then
        return null;
    end if;
    return v_max - (select count(*) from queue.runs r
                    where r.job_id = p_job and r.tenant_id = p_tenant and r.finished_at is null and r.waits_since is null);
end
$$;
revoke all on function queue.free_places(uuid, bigint) from public;
grant execute on function queue.free_places(uuid, bigint) to app_system;

-- Runs that wait for a place begin, by priority and then in the order in which they came, as many as there are places. A run
-- that somebody holds is passed over: who holds it ends it, and if he does not, the tick comes by.
create function queue.admit(p_tenant uuid, p_job bigint)
returns integer language plpgsql set search_path = '' as $$
declare
    v_free integer := queue.free_places(p_tenant, p_job);
    v_run bigint;
    n integer := 0;
begin
    if v_free <= 0 then
        return 0;
    end if;
    for v_run in
        select r.id
        from (select x.id, x.backfill_id, row_number() over (partition by x.backfill_id order by x.priority desc, x.id) as place
              from queue.runs x where x.job_id = p_job and x.tenant_id = p_tenant and x.waits_since is not null) w
        join queue.runs r on r.tenant_id = p_tenant and r.id = w.id and r.waits_since is not null
        left join queue.backfills b on b.tenant_id = p_tenant and b.id = w.backfill_id
        left join (select y.backfill_id, count(*) as n from queue.runs y
                   where y.job_id = p_job and y.tenant_id = p_tenant and y.finished_at is null and y.waits_since is null and y.backfill_id is not null
                   group by y.backfill_id) u on u.backfill_id = w.backfill_id
        cross join lateral (select from queue.runs x  -- whose row is its family's lock
                            where x.tenant_id = r.tenant_id and x.id = coalesce(r.root_run_id, r.id) limit 1 for update skip locked) o
        where b.max_concurrent is null or w.place <= b.max_concurrent - coalesce(u.n, 0)
        order by r.priority desc, r.id limit v_free for update of r skip locked
    loop
        update queue.runs r set state = 'QUEUED', waits_since = null where r.tenant_id = p_tenant and r.id = v_run;
        perform queue.advance(p_tenant, v_run);
        n := n + 1;
    end loop;
    return n;
end
$$;
revoke all on function queue.admit(uuid, bigint) from public;
grant execute on function queue.admit(uuid, bigint) to app_system;

-- The places of runs that just ended go to those that wait.
create function queue.pass_on(p_tenants uuid[], p_runs bigint[])
returns void language plpgsql set search_path = '' as $$
declare
    v record;
begin
    if not exists (select from queue.lanes) then
        return;
    end if;
    perform queue.hold_lanes(p_tenants);
    for v in
        select distinct r.tenant_id, r.job_id
        from unnest(p_tenants, p_runs) u (tenant_id, id)
        cross join lateral (select x.tenant_id, x.job_id from queue.runs x where x.tenant_id = u.tenant_id and x.id = u.id limit 1) r
        where r.job_id is not null
        order by r.tenant_id, r.job_id
    loop
        perform queue.admit(v.tenant_id, v.job_id);
    end loop;
end
$$;
revoke all on function queue.pass_on(uuid[], bigint[]) from public;
grant execute on function queue.pass_on(uuid[], bigint[]) to app_system;

-- The same, of the runs of attempts that this transaction ended.
create function queue.pass_on_after(p_attempts bigint[])
returns void language plpgsql set search_path = '' as $$
begin
    if exists (select from queue.lanes) then
        perform queue.pass_on(array_agg(a.tenant_id), array_agg(a.run_id))
        from queue.past_attempts a where a.id = any (p_attempts) and a.finished_at >= now();
    end if;
end
$$;
revoke all on function queue.pass_on_after(bigint[]) from public;
grant execute on function queue.pass_on_after(bigint[]) to app_system;

-- Lanes in which somebody waits though there may be a place: what the tick ended, and the insurance for all else.
create function queue.admit_all()
returns integer language plpgsql set search_path = '' as $$
declare
    v record;
    n integer := 0;
begin
    for v in
        select l.tenant_id, l.job_id from queue.lanes l
        where exists (select from queue.runs r where r.job_id = l.job_id and r.tenant_id = l.tenant_id and r.waits_since is not null)
        order by l.tenant_id, l.job_id
    loop
        if queue.hold_lanes(array[v.tenant_id], false) then  -- who has them passes their places on himself
            n := n + queue.admit(v.tenant_id, v.job_id);
        end if;
    end loop;
    return n;
end
$$;
revoke all on function queue.admit_all() from public;
grant execute on function queue.admit_all() to app_system;

-- A lane to wait in, where there is none: that of a job without a limit.
create function queue.open_lane(p_tenant uuid, p_job bigint)
returns void language sql volatile set search_path = '' as $$
    insert into queue.lanes (tenant_id, job_id) values (p_tenant, p_job) on conflict do nothing
$$;
revoke all on function queue.open_lane(uuid, bigint) from public;

-- A job's version says how many; those for whom there is now a place begin.
create function queue.set_lane(p_tenant uuid, p_job bigint, p_max integer, p_queues boolean)
returns void language plpgsql set search_path = '' as $$
begin
    perform queue.hold_lanes(array[p_tenant]);
    update queue.lanes l set max_runs = p_max, queues = p_queues where l.tenant_id = p_tenant and l.job_id = p_job;
    if found then
        perform queue.admit(p_tenant, p_job);
    elsif p_max is not null then
        insert into queue.lanes (tenant_id, job_id, max_runs, queues) values (p_tenant, p_job, p_max, p_queues);
    end if;
end
$$;
revoke all on function queue.set_lane(uuid, bigint, integer, boolean) from public;

set role postgres;
revoke app_owner, app_system from postgres;
