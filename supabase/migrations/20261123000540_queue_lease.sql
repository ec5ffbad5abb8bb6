-- queue, fifth part: claim, renew, report, settle, give back, reap, cancel.
-- Law 1: every renew, report and settle matches (attempt, lease, RUNNING). Zero rows = stale. Database time only.
-- Who looks for an attempt by its id says `state <> 'QUEUED'`, not `= 'RUNNING'`: a plan made while the table was small would go
-- through all of an index of one state, and where somebody holds a snapshot through all that was ever in it.

grant app_owner, app_system to postgres;
set role app_owner;

-- -------------------------------------------------------------------------------------------- claim

-- Round robin over the tenants that have something waiting, as many ready attempts of each as it has free slots, until the
-- batch is full; what was not needed for it is not looked at (1,000 tenants, 160,000 waiting, batch 50: 170 pages instead of
-- 3,000). The tenant's row is the lock: whoever holds it is alone with that tenant's attempts, so only the rows that are taken
-- are written, and a busy tenant makes nobody wait. Two statements: what the first locks, the second reads anew; an older
-- snapshot shows attempts as waiting that somebody is settling, and would wait for him who waits for the lock. claimed_at is
-- read under the lock, so that what history says of the limit is as exact as the limit.
--
-- Here, in renew and in settle, what a row must be besides its key stands in a coalesce, of which the planner knows nothing: thinking that
-- it leaves one row of a table that was small then, it reads all of it for each of a batch, until the table is analyzed anew.
create type queue.claimed as (
    attempt_id bigint, tenant_id uuid, run_id bigint, task_run_id bigint, number smallint, lease integer, lost smallint, requires text,
    deadline_at timestamptz, token text, external_id queue.external_id, task_key text, job_type text, engine text, image text, executors smallint, timeout_seconds integer, waited_ms bigint);

--
-- A claim is not waited for on the disk: it is committed asynchronously, and a crash may forget the last of them. What was claimed
-- waits again then, and its runner hears at the next word that it holds nothing. No lease is given out twice for it: after a
-- crash, a failover or a restore the numbers go on in a new epoch, 4096 for each, above all that were ever given.
create function queue.begin_epoch()
returns integer language plpgsql set search_path = '' as $$
declare
    v_epoch integer;
begin
    perform from queue.settings for update;  -- one of those who come at the same time
    select u.epoch into v_epoch from queue.unbroken u;
    if not found then
        update queue.settings s set lease_epoch = s.lease_epoch + 1 returning s.lease_epoch into v_epoch;
        insert into queue.unbroken (epoch) values (v_epoch);
    end if;
    return v_epoch;
end
$$;
revoke all on function queue.begin_epoch() from public;
grant execute on function queue.begin_epoch() to app_system;

create function queue.claim(p_instance uuid, p_offers text[], p_limit integer)
returns setof queue.claimed
language plpgsql rows 10 set search_path = ''
set enable_hashjoin = off  -- by its key, each: a plan that was made while the tables were small would read all of them ever after
set enable_mergejoin = off
set enable_material = off
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$  -- a plan for these very offers may look through all that others are to carry
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_offers text[] := array(select distinct o from unnest(p_offers) o);
    v_last uuid;
    v_lease interval;
    v_tenants uuid[];
    v_free integer[];
    v_floor integer;
begin
    select make_interval(secs => s.lease_seconds) into v_lease from queue.settings s;
    select s.tenant_id into v_last from queue.slots s order by s.served_at desc limit 1;
    with recursive ring (tenant_id, lap) as (  -- from the tenant last served on, and once around to it: an index probe each
        select v_last, 0
        union all
        select n.tenant_id, n.lap
        from ring r
        cross join lateral (
            (select a.tenant_id, greatest(r.lap, 1) as lap from queue.live_attempts a
             where a.state = 'QUEUED' and a.tenant_id > r.tenant_id order by a.tenant_id, a.requires limit 1)
            union all
            (select a.tenant_id, 2 from queue.live_attempts a
             where a.state = 'QUEUED' and r.lap < 2 order by a.tenant_id, a.requires limit 1)
            order by lap limit 1
        ) n
        where n.lap = 1 or n.tenant_id <= v_last
    ), held as (
        select g.tenant_id, f.k, row_number() over () as place
        from ring g
        cross join lateral (
            select l.max_running - s.running as k
            from queue.slots s join tenancy.limits l on l.tenant_id = s.tenant_id
            where g.lap > 0 and s.tenant_id = g.tenant_id and s.running < l.max_running
              and exists (select from unnest(v_offers) o (requires)  -- `= any (v_offers)` may look through all that others are to carry
                          cross join lateral (select from queue.live_attempts a
                                              where a.tenant_id = g.tenant_id and a.state = 'QUEUED' and a.requires = o.requires and a.ready_at <= v_now
                                              limit 1) a)
            for update of s skip locked
        ) f
        cross join lateral (
            select from unnest(v_offers) o (requires)
            cross join lateral (select from queue.live_attempts a
                                where a.tenant_id = g.tenant_id and a.state = 'QUEUED' and a.requires = o.requires and a.ready_at <= v_now
                                limit f.k) a
            limit f.k
        ) a
        limit p_limit
    )
    select array_agg(h.tenant_id order by h.place), array_agg(h.k order by h.place) into v_tenants, v_free
    from (select tenant_id, k, min(place) as place from held group by tenant_id, k) h;
    if v_tenants is null then
        return;
    end if;
    select u.epoch * 4096 into v_floor from queue.unbroken u;
    if found then
        perform set_config('synchronous_commit', 'off', true);
    else
        v_floor := queue.begin_epoch() * 4096;
    end if;
    return query
    with picked as materialized (
        select a.id, a.secret, a.at, row_number() over () as place
        from unnest(v_tenants, v_free) g (tenant_id, k)
        cross join lateral (
            select x.id, clock_timestamp() as at, encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex') as secret
            from unnest(v_offers) o (requires)
            cross join lateral (
                select a.id, a.priority, a.ready_at from queue.live_attempts a
                where a.tenant_id = g.tenant_id and a.state = 'QUEUED' and a.requires = o.requires and a.ready_at <= v_now
                order by a.priority desc, a.ready_at, a.id
                limit g.k
            ) x
            order by x.priority desc, x.ready_at, x.id
            limit g.k
        ) a
        limit p_limit
    ), mine as materialized (  -- nobody is waited for: a stale word may hold what waits, and wait for the slots that we hold
        select p.*, t.task_key, t.job_type, t.engine, t.image, t.executors, t.timeout_seconds
        from picked p
        cross join lateral (select a.tenant_id, a.task_run_id from queue.live_attempts a
                            where a.id = p.id and a.state <> 'RUNNING' limit 1 for update skip locked) a
        cross join lateral (select t.task_key, t.job_type, t.engine, t.image, t.executors, t.timeout_seconds from queue.task_runs t
                            where t.tenant_id = a.tenant_id and t.id = a.task_run_id limit 1) t
    ), claimed as (
        update queue.live_attempts a
        set state = 'RUNNING', lease = greatest(a.lease, v_floor) + 1, runner = p_instance, claimed_at = p.at, lease_expires_at = p.at + v_lease,
            -- an adopted attempt keeps its deadline: its work may still live outside
            deadline_at = case when a.external_id is not null and a.deadline_at is not null then a.deadline_at
                               else p.at + make_interval(secs => p.timeout_seconds) end,
            token_hash = sha256(convert_to('crat_' || a.id || '_' || (greatest(a.lease, v_floor) + 1) || '_' || p.secret, 'UTF8'))
        from mine p
        where a.id = p.id and coalesce(a.state <> 'RUNNING', false)
        returning a.id, a.tenant_id, a.run_id, a.task_run_id, a.number, a.lease, a.lost, a.requires, a.claimed_at, a.deadline_at,
                  'crat_' || a.id || '_' || a.lease || '_' || p.secret as token, a.external_id, p.task_key, p.job_type, p.engine, p.image, p.executors, p.timeout_seconds, p.place,
                  (extract(epoch from a.claimed_at - a.ready_at) * 1000)::bigint as waited_ms
    ), counted as (
        update queue.slots s set running = s.running + n.n, served_at = n.at
        from (select tenant_id, count(*)::integer as n, max(claimed_at) as at from claimed group by tenant_id) n
        where s.tenant_id = n.tenant_id
    ), tasks as (
        update queue.task_runs t set state = 'RUNNING', started_at = coalesce(t.started_at, c.claimed_at)
        from claimed c where t.tenant_id = c.tenant_id and t.id = c.task_run_id and coalesce(t.state = 'QUEUED', false)
    ), runs as (
        update queue.runs r set state = 'RUNNING', started_at = coalesce(r.started_at, c.claimed_at),
            deadline_at = c.claimed_at + make_interval(secs => r.timeout_seconds)
        from claimed c where r.tenant_id = c.tenant_id and r.id = c.run_id and coalesce(r.state = 'QUEUED', false)
    )
    select c.id, c.tenant_id, c.run_id, c.task_run_id, c.number, c.lease, c.lost, c.requires, c.deadline_at, c.token, c.external_id,
           c.task_key, c.job_type, c.engine, c.image, c.executors, c.timeout_seconds, c.waited_ms
    from claimed c order by c.place;
end
$$;
revoke all on function queue.claim(uuid, text[], integer) from public;
grant execute on function queue.claim(uuid, text[], integer) to app_system;

-- True while the attempt is held under this very lease; locks it until the transaction ends.
create function queue.hold(p_attempt bigint, p_lease integer)
returns queue.live_attempts language plpgsql volatile set search_path = '' as $$
declare
    v queue.live_attempts;
begin
    select a.* into v from queue.live_attempts a where a.id = p_attempt and a.lease = p_lease and a.state <> 'QUEUED' for update;
    return v;
end
$$;
revoke all on function queue.hold(bigint, integer) from public;
grant execute on function queue.hold(bigint, integer) to app_system;

-- --------------------------------------------------------------------------------- renew and report

-- The heartbeat of one runner: all its leases in one update, progress riding on it. Past deadline + grace nothing renews.
create function queue.renew(p_instance uuid, p_items jsonb)
returns jsonb language plpgsql set search_path = ''
set enable_hashjoin = off  -- by its key, each
set enable_mergejoin = off
set enable_material = off
set enable_seqscan = off as $$  -- as in queue.submit
declare
    v_now timestamptz := clock_timestamp();
    v_lease interval;
    v_grace interval;
    v_answer jsonb;
begin
    select make_interval(secs => s.lease_seconds), make_interval(secs => s.deadline_grace_seconds) into v_lease, v_grace from queue.settings s;
    with item as materialized (
        select i.attempt_id, i.lease, i.percent, i.message, row_number() over () as place
        from jsonb_to_recordset(p_items) as i (attempt_id bigint, lease integer, percent integer, message text)
    ), mine as materialized (  -- locked in their order: see 54_queue_lock
        select i.* from (select * from item order by attempt_id offset 0) i
        cross join lateral (select from queue.live_attempts a
                            where a.id = i.attempt_id and a.lease = i.lease and a.state <> 'QUEUED' and a.runner = p_instance limit 1 for update) a
    ), held as (
        update queue.live_attempts a set lease_expires_at = v_now + v_lease
        from mine i
        where a.id = i.attempt_id and coalesce(a.lease = i.lease and a.state <> 'QUEUED' and v_now < a.deadline_at + v_grace, false)
        returning a.id, a.lease, a.tenant_id, a.task_run_id, a.cancel_requested_at, a.lease_expires_at, a.deadline_at, i.percent, i.message
    ), progress as (
        update queue.task_runs t
        set percent = greatest(t.percent, least(coalesce(h.percent, 0), 100)), progress_message = coalesce(left(h.message, 500), t.progress_message)
        from held h
        where t.tenant_id = h.tenant_id and t.id = h.task_run_id
          and coalesce(h.percent > t.percent or (h.message is not null and left(h.message, 500) is distinct from t.progress_message), false)
        returning t.id
    ), seen as (
        update queue.runners r set seen_at = v_now where r.instance = p_instance and r.seen_at < v_now - interval '1 second'
    )
    select jsonb_agg(jsonb_build_object('attempt_id', i.attempt_id, 'lease', i.lease, 'held', h.id is not null,
               'advanced', exists (select from progress g where g.id = h.task_run_id),
               'cancel', h.cancel_requested_at is not null, 'overdue', coalesce(h.deadline_at < v_now, false),
               'lease_expires_at', h.lease_expires_at) order by i.place)
    into v_answer
    from item i left join held h on h.id = i.attempt_id and h.lease = i.lease;  -- a batch may hold a stale lease beside the good one
    return coalesce(v_answer, '[]');
end
$$;
revoke all on function queue.renew(uuid, jsonb) from public;
grant execute on function queue.renew(uuid, jsonb) to app_system;

-- Progress, log lines and the outside's own id, under the fence. The log numbers are gapless: the run's row is locked for them.
create function queue.report(p_attempt bigint, p_lease integer, p_percent integer, p_message text, p_external_id text, p_logs jsonb,
                             out held boolean, out cancel boolean, out tenant_id uuid, out run_id bigint, out advanced boolean)
language plpgsql set search_path = '' as $$
declare
    a queue.live_attempts := queue.hold(p_attempt, p_lease);
    v_count integer := coalesce(jsonb_array_length(p_logs), 0);
    v_max integer;
    v_last bigint;
    v_born timestamptz;
begin
    held := a.id is not null;
    cancel := a.cancel_requested_at is not null;
    tenant_id := a.tenant_id;
    run_id := a.run_id;
    advanced := false;
    if not held then
        return;
    end if;
    if p_percent is not null or p_message is not null then
        update queue.task_runs t
        set percent = greatest(t.percent, least(greatest(p_percent, 0), 100)), progress_message = coalesce(left(p_message, 500), t.progress_message)
        where t.tenant_id = a.tenant_id and t.id = a.task_run_id
          and (p_percent > t.percent or (p_message is not null and left(p_message, 500) is distinct from t.progress_message));
        advanced := found;
    end if;
    if p_external_id is not null and a.external_id is distinct from p_external_id then
        update queue.live_attempts x set external_id = p_external_id where x.id = a.id;
    end if;
    if v_count > 0 then
        select s.max_log_lines into v_max from queue.settings s;
        v_count := least(v_count, greatest(v_max - a.log_lines, 0));
        if v_count > 0 then
            update queue.live_attempts x set log_lines = x.log_lines + v_count where x.id = a.id;
            update queue.runs r set log_seq = r.log_seq + v_count
            where r.tenant_id = a.tenant_id and r.id = a.run_id returning r.log_seq, r.created_at into v_last, v_born;
            insert into queue.logs (tenant_id, run_id, seq, at, attempt_id, task_run_id, stream, line)
            -- when it was read, by the runner's clock; within the run's life by ours, for that is where it is looked for
            select a.tenant_id, a.run_id, v_last - v_count + l.ord,
                   greatest(least((l.x ->> 'at')::timestamptz, clock_timestamp()), v_born), a.id, a.task_run_id,
                   coalesce(l.x ->> 'stream', 'stdout'),
                   case when a.log_lines + l.ord = v_max then '[log truncated here; the whole log is an artifact of the run]'
                        else left(l.x ->> 'line', 16384) end
            from jsonb_array_elements(p_logs) with ordinality l(x, ord) where l.ord <= v_count;
        end if;
    end if;
end
$$;
revoke all on function queue.report(bigint, integer, integer, text, text, jsonb) from public;
grant execute on function queue.report(bigint, integer, integer, text, text, jsonb) to app_system;

-- ------------------------------------------------------------------------------------------- settle

-- Retry delays 1, 2, 4 … s (at most 5 min) with up to 25 % of jitter.
create function queue.backoff(p_number integer)
returns interval language sql volatile set search_path = '' as $$
    select make_interval(secs => least(power(2, p_number - 1), 300) * (1 + random() * 0.25))
$$;
revoke all on function queue.backoff(integer) from public;
grant execute on function queue.backoff(integer) to app_system;

-- Attempts end under their fence, all in one statement: hot rows move to history, slots come back, tasks end or wait for
-- their retry, runs of one task end with them. ended = the run ended here.
create function queue.end_attempts(p_items jsonb)
returns table (attempt_id bigint, settled boolean, tenant_id uuid, run_id bigint, task_run_id bigint, retry boolean, run_state queue.state, ended boolean)
language plpgsql rows 10 set search_path = ''
set enable_hashjoin = off  -- by its key, each: a plan that was made while the tables were small would read all of them ever after
set enable_mergejoin = off
set enable_material = off
set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
begin
    return query
    with item as materialized (
        select distinct on (id, lease) (x ->> 'attempt_id')::bigint as id, (x ->> 'lease')::integer as lease, o.state, left(o.message, 4000) as message,
               coalesce(o.termination_code, case o.state when 'SUCCEEDED' then 'SUCCESS' else 'INTERNAL_ERROR' end) as code,
               coalesce(o.retryable, false) as retryable, o.retry_after_ms, o.exit_code, o.peak_memory_bytes, o.cpu_ms, o."values"
        from jsonb_array_elements(p_items) x
        cross join lateral jsonb_to_record(x -> 'outcome') as o (state queue.state, termination_code text, message text, retryable boolean,
            retry_after_ms numeric, exit_code integer, peak_memory_bytes bigint, cpu_ms bigint, "values" jsonb)
    ), mine as materialized (  -- locked in their order, as in renew
        select i.* from item i
        cross join lateral (select from queue.live_attempts a
                            where a.id = i.id and a.lease = i.lease and a.state <> 'QUEUED' limit 1 for update) a
    ), gone as (  -- with its outcome: a batch may hold a stale one beside the good one
        delete from queue.live_attempts a using mine i
        where a.id = i.id and coalesce(a.lease = i.lease and a.state <> 'QUEUED', false)
        returning a.*, i.state as said, i.message, i.retryable, i.retry_after_ms, i.exit_code, i.peak_memory_bytes, i.cpu_ms, i."values",
            -- what was told to stop and did says why it was told
            case when a.stop_code = 'RUN_TIMED_OUT' and i.state = 'CANCELED' then 'TIMED_OUT' else i.state end as ended_as,
            case when i.state = 'CANCELED' then coalesce(a.stop_code, i.code) else i.code end as ended_for
    ), turn as materialized (  -- one order for all: two batches over the same tenants would wait for each other
        select g.tenant_id, g.n from (select tenant_id, count(*)::integer as n from gone group by tenant_id order by tenant_id) g
        cross join lateral (select from queue.slots s where s.tenant_id = g.tenant_id limit 1 for update) s
    ), slot as (
        update queue.slots s set running = s.running - t.n from turn t where s.tenant_id = t.tenant_id
    ), past as (
        insert into queue.past_attempts (tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at, ready_at, lease, lost,
            runner, claimed_at, deadline_at, external_id, finished_at, termination_code, message, exit_code, peak_memory_bytes, cpu_ms)
        select g.tenant_id, g.id, g.run_id, g.task_run_id, g.number, g.requires, g.priority, g.ended_as, g.queued_at, g.ready_at, g.lease, g.lost,
            g.runner, g.claimed_at, g.deadline_at, g.external_id, v_now, g.ended_for, g.message, g.exit_code, g.peak_memory_bytes, g.cpu_ms
        from gone g
    ), fate as materialized (
        select g.*, case g.ended_as when 'LOST' then 'FAILED' else g.ended_as end as ends, t.min_retry_interval_ms, g.number - t.first_number as retries,
               (g.said = 'FAILED' and g.retryable or g.said = 'TIMED_OUT' and t.retry_on_timeout)
               and g.number - t.first_number < t.max_retries and g.cancel_requested_at is null as retry
        from gone g
        cross join lateral (select x.min_retry_interval_ms, x.first_number, x.retry_on_timeout, x.max_retries from queue.task_runs x
                            where x.tenant_id = g.tenant_id and x.id = g.task_run_id limit 1) t
    ), again as (
        insert into queue.live_attempts (tenant_id, run_id, task_run_id, number, requires, priority, ready_at)
        select f.tenant_id, f.run_id, f.task_run_id, f.number + 1, f.requires, f.priority,
               v_now + greatest(case when f.retry_after_ms is null then queue.backoff(f.retries + 1)  -- least() would pass over a null
                                     else make_interval(secs => least(f.retry_after_ms / 1000, 3600)) end,
                                make_interval(secs => f.min_retry_interval_ms / 1000.0))
        from fate f where f.retry
    ), task as (
        update queue.task_runs k
        set state = case when f.retry then 'QUEUED' else f.ends end,
            termination_code = case when not f.retry then f.ended_for end,
            termination_message = case when f.ends <> 'SUCCEEDED' then f.message end,
            finished_at = case when not f.retry then v_now end,
            percent = case when f.ends = 'SUCCEEDED' then 100 else k.percent end,
            output_values = coalesce(f."values", '{}')
        from fate f where k.tenant_id = f.tenant_id and k.id = f.task_run_id
    ), run as (
        update queue.runs r
        set state = f.ends, termination_code = f.ended_for, termination_message = case when f.ends <> 'SUCCEEDED' then f.message end,
            finished_at = v_now, event_seq = r.event_seq + 1
        from fate f
        where r.tenant_id = f.tenant_id and r.id = f.run_id and coalesce(r.task_count = 1 and r.parent_run_id is null, false) and not f.retry
        returning f.id, f.lease, f.tenant_id, f.run_id, f.task_run_id, f.retry, f.ends
    )
    -- of each the most that is known: sorted, for joined without a hash all would be compared with all
    select distinct on (x.id, x.lease) x.id, x.tenant_id is not null, x.tenant_id, x.run_id, x.task_run_id, x.retry, x.state, x.ended
    from (select i.id, i.lease, null::uuid as tenant_id, null::bigint as run_id, null::bigint as task_run_id, false as retry, null::queue.state as state, false as ended
          from item i
          union all select f.id, f.lease, f.tenant_id, f.run_id, f.task_run_id, f.retry, f.ends, false from fate f
          union all select r.id, r.lease, r.tenant_id, r.run_id, r.task_run_id, r.retry, r.ends, true from run r) x
    order by x.id, x.lease, x.ended desc, x.tenant_id;
end
$$;
revoke all on function queue.end_attempts(jsonb) from public;
grant execute on function queue.end_attempts(jsonb) to app_system;

-- Attempts end, and the graphs of their runs advance. ended = the run ended here, and its end is to be announced; that of a graph is news.
create function queue.settle(p_items jsonb)
returns table (attempt_id bigint, settled boolean, tenant_id uuid, run_id bigint, run_state queue.state, ended boolean)
language plpgsql set search_path = ''
set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v record;
    v_attempts bigint[] := '{}';  -- those whose graphs move
    v_tenants uuid[] := '{}';
    v_runs bigint[] := '{}';
    v_tasks bigint[] := '{}';
    v_others uuid[] := '{}';  -- tenants of the others
begin
    for v in
        select * from queue.end_attempts(p_items)
    loop
        if v.settled and not v.ended and not v.retry then
            v_attempts := v_attempts || v.attempt_id;
            v_tenants := v_tenants || v.tenant_id;
            v_runs := v_runs || v.run_id;
            v_tasks := v_tasks || v.task_run_id;
            continue;
        end if;
        v_others := v_others || v.tenant_id;
        attempt_id := v.attempt_id;
        settled := v.settled;
        tenant_id := v.tenant_id;
        run_id := v.run_id;
        ended := v.ended;
        run_state := case when v.ended then v.run_state when v.retry then 'RUNNING' end;
        return next;
    end loop;
    if v_attempts <> '{}' then
        return query
        select u.attempt_id, true, u.tenant_id, u.run_id, a.run_state, false
        from queue.advance(v_tenants, v_runs, v_tasks, v_others) a
        join unnest(v_attempts, v_tenants, v_runs) u (attempt_id, tenant_id, run_id) on u.run_id = a.run_id;
    end if;
end
$$;
revoke all on function queue.settle(jsonb) from public;
grant execute on function queue.settle(jsonb) to app_system;

-- --------------------------------------------------------------------------------- release and reap

-- A lease that is given back (drain) or has run out: the same attempt waits again, its next claim has a higher lease. It keeps
-- its place (ready_at): what lost its runner does not go to the end of a long queue.
create function queue.requeue(p_attempt bigint, p_lease integer, p_lost boolean)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_tenant uuid;
    v_task bigint;
begin
    update queue.live_attempts a
    set state = 'QUEUED', runner = null, lease_expires_at = null, token_hash = null,
        lost = a.lost + p_lost::integer
    where a.id = p_attempt and a.lease = p_lease and a.state <> 'QUEUED'
    returning a.tenant_id, a.task_run_id into v_tenant, v_task;
    if not found then
        return false;
    end if;
    update queue.slots s set running = s.running - 1 where s.tenant_id = v_tenant;
    update queue.task_runs t set state = 'QUEUED' where t.tenant_id = v_tenant and t.id = v_task;
    perform ground.wake('control_room_attempts');
    return true;
end
$$;
revoke all on function queue.requeue(bigint, integer, boolean) from public;
grant execute on function queue.requeue(bigint, integer, boolean) to app_system;

-- Leases that ran out, oldest first, locked so that two reapers never meet; the door decides each one's end.
create function queue.expired(p_limit integer)
returns setof queue.live_attempts language sql volatile set search_path = '' as $$
    select a.* from queue.live_attempts a
    where a.state = 'RUNNING' and a.lease_expires_at < clock_timestamp()
    order by a.lease_expires_at limit p_limit for update skip locked
$$;
revoke all on function queue.expired(integer) from public;
grant execute on function queue.expired(integer) to app_system;

-- --------------------------------------------------------------------------------------------- stop

-- What waits ends at once, in this state and for this reason; what runs is told to stop and settles itself; so with the runs
-- that it started. The first reason stays. Returns the run's state after it.
create function queue.stop(p_tenant uuid, p_run bigint, p_state queue.state, p_code queue.termination_code, p_message text)
returns queue.state language plpgsql set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();
    v_run queue.runs;
    v_family bigint[] := queue.hold_family(p_tenant, p_run, true);
    v_told bigint;
begin
    select r.* into v_run from queue.runs r where r.tenant_id = p_tenant and r.id = p_run for update;
    if not found then
        perform ground.fail('RUN_NOT_FOUND');
    elsif queue.is_final(v_run.state) then
        perform ground.fail('RUN_FINISHED', 'state ' || v_run.state);
    end if;
    update queue.runs r set cancel_requested_at = coalesce(r.cancel_requested_at, v_now), stop_code = coalesce(r.stop_code, p_code)
    where r.tenant_id = p_tenant and r.id = any (v_family);
    with gone as (
        delete from queue.live_attempts a where a.tenant_id = p_tenant and a.run_id = any (v_family) and a.state = 'QUEUED' returning a.*
    ), kept as (
        insert into queue.past_attempts (tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at, ready_at, lease, lost,
            finished_at, termination_code, message)
        select g.tenant_id, g.id, g.run_id, g.task_run_id, g.number, g.requires, g.priority, p_state, g.queued_at, g.ready_at, g.lease, g.lost,
            v_now, p_code, p_message from gone g
    )
    update queue.task_runs t
    set state = p_state, finished_at = v_now, termination_code = p_code, termination_message = p_message
    where t.tenant_id = p_tenant and t.run_id = any (v_family) and t.state in ('QUEUED', 'BLOCKED');
    with told as (
        update queue.live_attempts a set cancel_requested_at = v_now, stop_code = p_code
        where a.tenant_id = p_tenant and a.run_id = any (v_family) and a.state = 'RUNNING' and a.cancel_requested_at is null
        returning a.run_id
    )
    select count(pg_notify('control_room_cancel', d.run_id::text)) into v_told from (select distinct t.run_id from told t) d;
    return (select a.run_state from queue.advance(array_fill(p_tenant, array[cardinality(v_family)]), v_family, '{}') a where a.run_id = p_run);
end
$$;
revoke all on function queue.stop(uuid, bigint, queue.state, queue.termination_code, text) from public;
grant execute on function queue.stop(uuid, bigint, queue.state, queue.termination_code, text) to app_system;

create function queue.cancel(p_tenant uuid, p_run bigint, p_by text)
returns queue.state language sql volatile set search_path = '' as $$
    select queue.stop(p_tenant, p_run, 'CANCELED', 'USER_CANCELED', 'canceled by ' || p_by)
$$;
revoke all on function queue.cancel(uuid, bigint, text) from public;
grant execute on function queue.cancel(uuid, bigint, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
