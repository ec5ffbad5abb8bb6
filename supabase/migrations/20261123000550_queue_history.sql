-- queue: how long history is kept. Attempts and log lines lie in weeks that are dropped when no tenant wants them any
-- more; who keeps less than the others has them deleted run by run. The run and its tasks stay, with how they ended; code,
-- parameters and what it said go.

grant app_owner, app_system to postgres;
set role app_owner;

create table queue.histories (
    tenant_id uuid primary key references tenancy.tenants,
    expired_through timestamptz not null  -- runs that finished up to then have no history any more
);
comment on table queue.histories is 'Internal: how far the history of each tenant has been let go.';
alter table queue.histories enable row level security;
alter table queue.histories force row level security;
create policy "members see what is kept of theirs" on queue.histories for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors see what is kept of the caller's" on queue.histories for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker lets go" on queue.histories for all to app_system using (true) with check (true);
grant select on queue.histories to authenticated;
grant select, insert, update on queue.histories to app_system;
grant delete on queue.payloads, queue.past_attempts, queue.logs, queue.runners to app_system;

-- The longest that anybody keeps anything: what is older goes with its week.
create function queue.longest_retention()
returns interval language sql stable set search_path = '' as $$
    select make_interval(days => coalesce(max(l.retention_days), 60)) from tenancy.limits l
$$;
revoke all on function queue.longest_retention() from public;
grant execute on function queue.longest_retention() to app_system;

-- The next step of the calendar; a definer, since only the owner of a table changes its form.
create function queue.turn_calendar(p_keep interval)
returns text language plpgsql security definer set search_path = '' as $$
begin
    return coalesce(ground.turn_calendar('queue.past_attempts', p_keep), ground.turn_calendar('queue.logs', p_keep));
end
$$;
revoke all on function queue.turn_calendar(interval) from public;
grant execute on function queue.turn_calendar(interval) to app_system;

-- Whether a run's history has been let go.
create function queue.is_expired(p_tenant uuid, p_finished_at timestamptz)
returns boolean language sql stable set search_path = '' as $$
    select exists (select from queue.histories h where h.tenant_id = p_tenant and h.expired_through >= p_finished_at)
$$;
revoke all on function queue.is_expired(uuid, timestamptz) from public;
grant execute on function queue.is_expired(uuid, timestamptz) to app_system;

-- Lets go of the runs whose time is over, oldest first, a bounded number at a time; returns them, for other rooms to follow.
create function queue.expire(p_limit integer default 200)
returns table (tenant_id uuid, run_ids bigint[]) language plpgsql set search_path = '' as $$
#variable_conflict use_column
declare
    v_longest interval := queue.longest_retention();
    v record;
begin
    for v in
        select l.tenant_id, d.run_ids, d.since, d.through, make_interval(days => l.retention_days) < v_longest as sooner
        from tenancy.limits l
        left join queue.histories h on h.tenant_id = l.tenant_id
        cross join lateral (
            select array_agg(r.id) as run_ids, min(r.created_at) as since, max(r.finished_at) as through
            from (select x.id, x.created_at, x.finished_at from queue.runs x
                  where x.tenant_id = l.tenant_id and x.finished_at > coalesce(h.expired_through, '-infinity')
                    and x.finished_at < clock_timestamp() - make_interval(days => l.retention_days)
                  order by x.finished_at fetch first p_limit rows with ties) r  -- a batch ends its runs at one and the same moment
        ) d
        where d.run_ids is not null limit 20
    loop
        insert into queue.histories as h (tenant_id, expired_through) values (v.tenant_id, v.through)
        on conflict (tenant_id) do update set expired_through = excluded.expired_through;
        delete from queue.payloads p using queue.task_runs t
        where t.tenant_id = v.tenant_id and t.run_id = any (v.run_ids) and p.tenant_id = t.tenant_id and p.task_run_id = t.id;
        update queue.task_runs t set output_values = '{}'
        where t.tenant_id = v.tenant_id and t.run_id = any (v.run_ids) and t.output_values <> '{}';
        update queue.runs r set parameters = '{}' where r.tenant_id = v.tenant_id and r.id = any (v.run_ids) and r.parameters <> '{}';
        if v.sooner then  -- the others' go with their week
            delete from queue.logs l where l.tenant_id = v.tenant_id and l.run_id = any (v.run_ids) and l.at >= v.since;
            delete from queue.past_attempts a where a.tenant_id = v.tenant_id and a.run_id = any (v.run_ids) and a.finished_at >= v.since;
        end if;
        tenant_id := v.tenant_id;
        run_ids := v.run_ids;
        return next;
    end loop;
    -- what found no week, and runners that nobody's attempts name any more
    delete from queue.logs l using (select x.tenant_id, x.run_id, x.seq, x.at from queue.logs x
                                    where x.tableoid = 'queue.logs_rest'::regclass and x.at < clock_timestamp() - v_longest limit 10000) d
    where l.tenant_id = d.tenant_id and l.run_id = d.run_id and l.seq = d.seq and l.at = d.at;
    delete from queue.past_attempts a using (select x.id, x.finished_at from queue.past_attempts x
                                             where x.tableoid = 'queue.past_attempts_rest'::regclass and x.finished_at < clock_timestamp() - v_longest limit 10000) d
    where a.id = d.id and a.finished_at = d.finished_at;
    delete from queue.runners r where r.stopped_at < clock_timestamp() - v_longest;
end
$$;
revoke all on function queue.expire(integer) from public;
grant execute on function queue.expire(integer) to app_system;

do $weeks$
begin
    while queue.turn_calendar(interval '10 years') is not null loop
        null;
    end loop;
end
$weeks$;

set role postgres;
revoke app_owner, app_system from postgres;
