-- queue, tenth part: why something waits, in a word and in a sentence.

grant app_owner, app_system to postgres;
set role app_owner;

-- Each task of the run that waits, and why. Codes: NO_RUNNER, RETRY, TENANT_LIMIT, FREE_RUNNER, UPSTREAM, TURN, MAX_CONCURRENT_RUNS,
-- MAX_CONCURRENT_BACKFILL.
create function queue.reasons(p_tenant uuid, p_run bigint)
returns table (task_run_id bigint, code text, reason text) language sql stable rows 10 set search_path = '' as $$
    select t.id, x.code, x.reason
    from queue.task_runs t
    join queue.runs r on r.tenant_id = t.tenant_id and r.id = t.run_id
    left join queue.live_attempts a on a.task_run_id = t.id and a.tenant_id = t.tenant_id and a.state = 'QUEUED'
    left join queue.slots s on s.tenant_id = a.tenant_id
    left join tenancy.limits l on l.tenant_id = a.tenant_id
    left join queue.lanes g on g.tenant_id = r.tenant_id and g.job_id = r.job_id
    left join queue.backfills b on b.tenant_id = r.tenant_id and b.id = r.backfill_id
    left join lateral (select count(*) as n, count(*) filter (where y.backfill_id = r.backfill_id) as of_backfill from queue.runs y
                       where r.waits_since is not null and y.job_id = r.job_id and y.tenant_id = r.tenant_id
                         and y.finished_at is null and y.waits_since is null) u on true
    cross join lateral (select case
        when r.waits_since is not null and t.depends_on = '{}' then case when u.n >= g.max_runs or b.max_concurrent is null then 'MAX_CONCURRENT_RUNS'
                                                                         else 'MAX_CONCURRENT_BACKFILL' end
        when a.id is null and t.parent_id is not null then 'TURN'
        when a.id is null then 'UPSTREAM'
        when not exists (select from queue.runners n where n.stopped_at is null and n.seen_at > clock_timestamp() - interval '2 minutes'
                                                       and a.requires = any (n.offers)) then 'NO_RUNNER'
        when a.ready_at > clock_timestamp() then 'RETRY'
        when s.running >= l.max_running then 'TENANT_LIMIT'
        else 'FREE_RUNNER' end as code) w
    cross join lateral (select w.code, case w.code
        when 'MAX_CONCURRENT_RUNS' then format('waits: %s of %s runs of this job are under way', u.n, g.max_runs)
        when 'MAX_CONCURRENT_BACKFILL' then format('waits: %s of %s runs of backfill %s are under way', u.of_backfill, b.max_concurrent, b.id)
        when 'UPSTREAM' then 'waits for ' || (select string_agg(d.task_key, ', ' order by d.id) from queue.task_runs d
             where d.run_id = t.run_id and d.tenant_id = t.tenant_id and d.task_key = any (t.depends_on) and not queue.is_final(d.state))
        when 'TURN' then 'waits for its turn among the iterations'
        when 'NO_RUNNER' then 'no runner offers ' || a.requires || case when t.executors > 0 then ' (executors need one with CONTROL_ROOM_KUBE_SHARED_STORAGE)' else '' end
        when 'RETRY' then format('retry %s waits until %s', a.number - 1, to_char(a.ready_at at time zone 'UTC', 'HH24:MI:SS"Z"'))
        when 'TENANT_LIMIT' then format('tenant limit reached: %s of %s attempts are running', s.running, l.max_running)
        else 'waits for a free runner' end as reason) x
    where t.tenant_id = p_tenant and t.run_id = p_run and t.state in ('QUEUED', 'BLOCKED')
$$;
revoke all on function queue.reasons(uuid, bigint) from public;
grant execute on function queue.reasons(uuid, bigint) to app_system;

-- Of the run: what its first task waits for that does not wait for another; null where nothing does.
create function queue.reason(p_tenant uuid, p_run bigint, out code text, out reason text)
language sql stable set search_path = '' as $$
    select w.code, w.reason from queue.reasons(p_tenant, p_run) w where w.code not in ('UPSTREAM', 'TURN') order by w.task_run_id limit 1
$$;
revoke all on function queue.reason(uuid, bigint) from public;
grant execute on function queue.reason(uuid, bigint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
