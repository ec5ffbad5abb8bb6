-- queue, third part: what becomes of a submission: a run, its tasks, what waits for what.
-- The row of the run at the top is the lock of its whole family: who changes a graph holds it, so two tasks that end together
-- advance one after the other, and a run that ends may move the one that started it without either waiting for the other.

grant app_owner, app_system to postgres;
set role app_owner;

-- ------------------------------------------------------------------------------------------- submit

-- What job.check_submission answers, as columns: taken apart once, not by an operator for each.
create type queue.submission as (job_id bigint, job_version integer, name text, job_type text, priority smallint, idempotency_key text,
    parameters jsonb, traceparent text, run_timeout_seconds integer);
create type queue.plain_task as (id bigint, task_key text, job_type text, engine text, image text, executors smallint, run_if text, max_retries smallint, timeout_seconds integer,
    retry_on_timeout boolean, min_retry_interval_ms integer, spec text, code jsonb, params jsonb, inputs jsonb, outputs jsonb, secrets jsonb, network boolean);

-- The one task of most runs: work without references, that waits for nothing.
create function queue.enter_plain(p_tenant uuid, p_run bigint, p_priority smallint, p_task jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    t queue.plain_task := jsonb_populate_record(null::queue.plain_task, p_task);
begin
    t.id := nextval('queue.task_runs_id_seq');
    insert into queue.task_runs (tenant_id, id, run_id, task_key, job_type, engine, image, executors, state, run_if, max_retries, timeout_seconds, retry_on_timeout,
                                 min_retry_interval_ms)
    overriding system value
    values (p_tenant, t.id, p_run, t.task_key, t.job_type, t.engine, t.image, t.executors, 'QUEUED', t.run_if, t.max_retries, t.timeout_seconds, t.retry_on_timeout,
            t.min_retry_interval_ms);
    insert into queue.payloads (tenant_id, task_run_id, spec, code, params, inputs, outputs, secrets, network)
    values (p_tenant, t.id, t.spec, nullif(t.code, 'null'), t.params, t.inputs, t.outputs, t.secrets, t.network);
    insert into queue.live_attempts (tenant_id, run_id, task_run_id, requires, priority)
    values (p_tenant, p_run, t.id, queue.requirement(t.job_type, t.engine, t.image, t.executors), p_priority);
end
$$;
revoke all on function queue.enter_plain(uuid, bigint, smallint, jsonb) from public;
grant execute on function queue.enter_plain(uuid, bigint, smallint, jsonb) to app_system;

-- A checked submission becomes one run; the same idempotency key gives the run that is there (fresh = false).
-- p_parent: the run_job task that asks for it.
create function queue.submit(p_tenant uuid, p_user text, p jsonb, p_parent queue.task_runs default null,
                             out run_id bigint, out state queue.state, out fresh boolean)
language plpgsql set search_path = ''
set enable_seqscan = off as $$  -- a check of a foreign key whose plan was made while the table was small reads all of it ever after
declare
    v_tasks jsonb := p -> 'tasks';
    v_count integer := jsonb_array_length(v_tasks);
    s queue.submission := jsonb_populate_record(null::queue.submission, p);
    v_job bigint := s.job_id;
    v_root bigint;
    v_begin bigint[];
begin
    if p_parent.id is not null then
        select coalesce(x.root_run_id, x.id) into v_root from queue.runs x where x.tenant_id = p_tenant and x.id = p_parent.run_id;
    end if;
    if s.idempotency_key is not null then  -- looked at first: to insert it would wait for whoever changes that run
        select r.id, r.state into run_id, state from queue.runs r
        where r.tenant_id = p_tenant and r.idempotency_key = p ->> 'idempotency_key';
    end if;
    fresh := run_id is null;
    if not fresh then
        return;
    elsif v_job is not null then
        perform queue.hold_lanes(array[p_tenant]);  -- before the key, for which another may wait who has them
    end if;
    run_id := nextval('queue.runs_id_seq');  -- asked for first: to return a row, its policies would be asked twice
    state := 'QUEUED';
    insert into queue.runs (tenant_id, id, job_id, job_version, name, job_type, priority, idempotency_key, task_count, open_tasks, parameters,
                            parent_run_id, parent_task_run_id, root_run_id, created_by, traceparent, timeout_seconds)
    overriding system value
    values (p_tenant, run_id, s.job_id, s.job_version, s.name, s.job_type, s.priority, s.idempotency_key, v_count, v_count, coalesce(s.parameters, '{}'),
            p_parent.run_id, p_parent.id, v_root, p_user, s.traceparent, s.run_timeout_seconds)
    on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing;
    if not found then
        fresh := false;
        select r.id, r.state into run_id, state from queue.runs r
        where r.tenant_id = p_tenant and r.idempotency_key = p ->> 'idempotency_key';
        return;
    end if;
    -- a run of a backfill waits for queue.admit; another counts itself among those that are under way
    if (p ->> 'backfill_id') is not null or v_job is not null and queue.free_places(p_tenant, v_job) < 0 then
        state := case when (p ->> 'backfill_id') is not null or coalesce((p ->> 'queue')::boolean, (select l.queues from queue.lanes l where l.tenant_id = p_tenant and l.job_id = v_job))
                      then 'BLOCKED' else 'SKIPPED' end;
        update queue.runs r
        set state = submit.state, backfill_id = (p ->> 'backfill_id')::bigint, waits_since = case submit.state when 'BLOCKED' then r.created_at end,
            finished_at = case submit.state when 'SKIPPED' then clock_timestamp() end,
            termination_code = case submit.state when 'SKIPPED' then 'MAX_CONCURRENT_RUNS' end,
            open_tasks = case submit.state when 'SKIPPED' then 0 else r.open_tasks end,
            event_seq = r.event_seq + (submit.state = 'SKIPPED')::integer
        where r.tenant_id = p_tenant and r.id = run_id;
    end if;
    if strpos((p -> 'parameters')::text, '{{') > 0 then
        update queue.runs r set parameters = queue.resolve(r, null, null, r.parameters) where r.tenant_id = p_tenant and r.id = run_id;
    end if;
    if p_parent.id is not null then
        insert into queue.news (tenant_id, run_id, ended) select p_tenant, submit.run_id, e from unnest(array[false, true]) e where not e or submit.state = 'SKIPPED';
    end if;
    if v_count = 1 and state = 'QUEUED' and v_tasks -> 0 ? 'job_type' and strpos((v_tasks #> '{0,params}')::text, '{{') = 0 then
        perform queue.enter_plain(p_tenant, run_id, s.priority, v_tasks -> 0);
        perform ground.wake('control_room_attempts');
        return;
    end if;
    with task as materialized (
        select t, ord, t ->> 'task_key' as task_key, job.kind_of(t) as kind, coalesce(t -> 'task', t) as w, d.keys as depends_on, d.outcomes,
               job.kind_of(t) <> 'work' or t ?| array['judge', 'author'] or strpos((t -> 'params')::text, '{{') > 0 as resolves
        from jsonb_array_elements(v_tasks) with ordinality x (t, ord)
        cross join lateral (
            select coalesce(array_agg(coalesce(d ->> 'task_key', d #>> '{}') order by nth), '{}') as keys,
                   case when count(d ->> 'outcome') > 0 then array_agg((d ->> 'outcome')::boolean order by nth) end as outcomes
            from jsonb_array_elements(t -> 'depends_on') with ordinality y (d, nth)) d
    ), edge as (
        select u.task_key, array_agg(t.task_key order by t.ord) as dependents
        from task t cross join unnest(t.depends_on) u (task_key) where v_count > 1 group by u.task_key
    ), made as (
        insert into queue.task_runs as k (tenant_id, run_id, task_key, kind, job_type, engine, image, executors, state, run_if, depends_on, outcomes, dependents,
            waits_for, resolves, concurrency, judge, author, rounds, max_retries, timeout_seconds, retry_on_timeout, min_retry_interval_ms,
            finished_at, termination_code)
        select p_tenant, submit.run_id, t.task_key, t.kind, t.w ->> 'job_type', t.w ->> 'engine', t.w ->> 'image', (t.w ->> 'executors')::smallint,
               case when submit.state = 'SKIPPED' or t.depends_on = '{}' and not t.resolves then submit.state else 'BLOCKED' end,
               t.t ->> 'run_if', t.depends_on, t.outcomes, coalesce(e.dependents, '{}'), cardinality(t.depends_on), t.resolves,
               (t.t #>> '{for_each,concurrency}')::smallint, t.t ->> 'judge', t.t ->> 'author', coalesce((t.t ->> 'rounds')::smallint, 1),
               coalesce((t.w ->> 'max_retries')::smallint, 0), (t.w ->> 'timeout_seconds')::integer,
               coalesce((t.w ->> 'retry_on_timeout')::boolean, false), coalesce((t.w ->> 'min_retry_interval_ms')::integer, 0),
               case submit.state when 'SKIPPED' then clock_timestamp() end, case submit.state when 'SKIPPED' then 'MAX_CONCURRENT_RUNS' end
        from task t left join edge e on e.task_key = t.task_key
        order by t.ord
        returning k.id, k.task_key, queue.requirement(k.job_type, k.engine, k.image, k.executors) as requires, k.state, k.waits_for
    ), filled as (
        insert into queue.payloads (tenant_id, task_run_id, spec, code, params, template, inputs, outputs, secrets, network)
        select p_tenant, m.id, t.w ->> 'spec', nullif(t.w -> 'code', 'null'),
               case when t.resolves then '{}' else t.w -> 'params' end,
               case when t.resolves then
                   case t.kind when 'work' then t.w -> 'params' when 'condition' then t.t -> 'condition' when 'run_job' then t.t -> 'run_job'
                               else jsonb_build_object('inputs', t.t #> '{for_each,inputs}', 'each', coalesce(t.w -> 'params', t.w -> 'run_job')) end end,
               coalesce(t.w -> 'inputs', '[]'), coalesce(t.w -> 'outputs', '[]'), coalesce(t.w -> 'secrets', '[]'),
               coalesce((t.w ->> 'network')::boolean, false)
        from made m join task t on t.task_key = m.task_key
    ), queued as (
        insert into queue.live_attempts (tenant_id, run_id, task_run_id, requires, priority)
        select p_tenant, submit.run_id, m.id, m.requires, (p ->> 'priority')::smallint
        from made m where m.state = 'QUEUED'
    )
    select array_agg(m.id order by m.id) filter (where m.state = 'BLOCKED' and m.waits_for = 0) into v_begin from made m;
    if v_begin is not null and state = 'QUEUED' then
        state := (queue.proceed(p_tenant, run_id, '{}', v_begin)).state;
    end if;
    perform ground.wake('control_room_attempts');
end
$$;
revoke all on function queue.submit(uuid, text, jsonb, queue.task_runs) from public;
grant execute on function queue.submit(uuid, text, jsonb, queue.task_runs) to app_system;

-- Checked submissions of one plain task each, all in one statement for each table: no job, no references, nothing to wait for.
-- Keys are taken in one order, so that two who submit the same ones do not wait for each other in a circle.
create function queue.submit_plain(p_tenant uuid, p_user text, p_items jsonb[], p_traceparent text)
returns table (place integer, run_id bigint, state queue.state, fresh boolean) language plpgsql rows 1000 set search_path = ''
set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
    with item as materialized (
        select x.place::integer as place, x.v, x.v -> 'tasks' -> 0 as t, x.v ->> 'idempotency_key' as key, (x.v ->> 'priority')::smallint as priority,
               nextval('queue.runs_id_seq') as run_id, nextval('queue.task_runs_id_seq') as task_id,
               x.v ->> 'idempotency_key' is null or row_number() over (partition by x.v ->> 'idempotency_key' order by x.place) = 1 as is_first
        from unnest(p_items) with ordinality x (v, place)
    ), run as materialized (
        insert into queue.runs as r (tenant_id, id, name, job_type, priority, idempotency_key, created_by, traceparent, timeout_seconds, parameters)
        overriding system value
        select p_tenant, i.run_id, i.v ->> 'name', i.v ->> 'job_type', i.priority, i.key, p_user, p_traceparent, (i.v ->> 'run_timeout_seconds')::integer,
               coalesce(i.v -> 'parameters', '{}')
        from item i
        where i.is_first  -- looked at first, as in submit
          and (i.key is null or not exists (select from queue.runs x where x.tenant_id = p_tenant and x.idempotency_key = i.key))
        order by i.key, i.place
        on conflict (tenant_id, idempotency_key) where idempotency_key is not null do nothing
        returning r.id, r.state
    ), made as materialized (
        select i.*, r.state from item i join run r on r.id = i.run_id
    ), task as (
        insert into queue.task_runs (tenant_id, id, run_id, task_key, job_type, engine, image, executors, state, run_if, max_retries, timeout_seconds, retry_on_timeout,
                                     min_retry_interval_ms)
        overriding system value
        select p_tenant, m.task_id, m.run_id, m.t ->> 'task_key', m.t ->> 'job_type', m.t ->> 'engine', m.t ->> 'image', (m.t ->> 'executors')::smallint, 'QUEUED', m.t ->> 'run_if', (m.t ->> 'max_retries')::smallint,
               (m.t ->> 'timeout_seconds')::integer, (m.t ->> 'retry_on_timeout')::boolean, (m.t ->> 'min_retry_interval_ms')::integer
        from made m order by m.place
    ), filled as (
        insert into queue.payloads (tenant_id, task_run_id, spec, code, params, inputs, outputs, secrets, network)
        select p_tenant, m.task_id, m.t ->> 'spec', nullif(m.t -> 'code', 'null'), m.t -> 'params', m.t -> 'inputs', m.t -> 'outputs', m.t -> 'secrets',
               (m.t ->> 'network')::boolean
        from made m order by m.place
    ), queued as (
        insert into queue.live_attempts (tenant_id, run_id, task_run_id, requires, priority)
        select p_tenant, m.run_id, m.task_id, queue.requirement(m.t ->> 'job_type', m.t ->> 'engine', m.t ->> 'image', (m.t ->> 'executors')::smallint), m.priority from made m order by m.place
    )
    select i.place, m.run_id, coalesce(m.state, 'QUEUED'), m.run_id is not null
    from item i left join made m on m.place = i.place order by i.place;
    perform ground.wake('control_room_attempts');
end
$$;
revoke all on function queue.submit_plain(uuid, text, jsonb[], text) from public;

-- ------------------------------------------------------------------------------------------ advance

-- Who waits for how many, when tasks were changed by somebody who did not say which: a cancel, a repair. due: who waits for none.
create function queue.count_anew(p_tenant uuid, p_run bigint, out due bigint[], out loops bigint[])
language plpgsql set search_path = '' as $$
begin
    update queue.task_runs k
    set waits_for = (select count(*) from queue.task_runs u where u.run_id = p_run and u.tenant_id = p_tenant and u.finished_at is null
                                                              and case k.state when 'BLOCKED' then u.task_key = any (k.depends_on) else u.parent_id = k.id end)
    where k.tenant_id = p_tenant and k.run_id = p_run and k.parent_id is null
      and (k.state = 'BLOCKED' or (k.state = 'RUNNING' and k.kind = 'for_each'));
    update queue.runs r set open_tasks = (select count(*) from queue.task_runs k where k.tenant_id = p_tenant and k.run_id = p_run and k.finished_at is null)
    where r.tenant_id = p_tenant and r.id = p_run;
    select coalesce(array_agg(k.id order by k.id) filter (where k.state = 'BLOCKED' and k.waits_for = 0), '{}'),
           coalesce(array_agg(k.id order by k.id) filter (where k.state = 'RUNNING'), '{}')
    into due, loops
    from queue.task_runs k
    where k.tenant_id = p_tenant and k.run_id = p_run and k.parent_id is null
      and (k.state = 'BLOCKED' or (k.state = 'RUNNING' and k.kind = 'for_each'));
end
$$;
revoke all on function queue.count_anew(uuid, bigint) from public;
grant execute on function queue.count_anew(uuid, bigint) to app_system;

-- The elements of an array, of which the planner is to think that it is one: it then looks each up by its key. Thinking of ten it
-- has read all the tasks of the tenant instead.
create function queue.one_by_one(p anyarray)
returns setof anyelement language plpgsql immutable rows 1 set search_path = '' as $$
begin
    return query select u from unnest(p) u;
end
$$;
revoke all on function queue.one_by_one(anyarray) from public;
grant execute on function queue.one_by_one(anyarray) to app_system;

create type queue.progress as (state queue.state, ended boolean);

-- Some tasks of a run have ended, others wait for nothing any more: who waited for them begins or is skipped, and what begins may
-- end at once, until nothing moves; then the run itself, if all have ended. Each step costs what it moves, however large the graph.
-- p_ended null: nobody counted; everything is counted anew. ended: the run has ended here.
create function queue.proceed(p_tenant uuid, p_run bigint, p_ended bigint[], p_due bigint[] default '{}')
returns queue.progress language plpgsql set search_path = ''
set plan_cache_mode = force_generic_plan as $$  -- each statement is as quick for a graph of 1,000 as for one of 2
declare
    v_now timestamptz := clock_timestamp();
    r queue.runs;
    v_ended bigint[] := p_ended;
    v_due bigint[] := p_due;
    v_begin bigint[] := '{}';
    v_loops bigint[] := '{}';
    v_closed integer := 0;
    v_moved boolean := false;
    v_decides boolean := false;  -- something runs that no claim will speak of
    v_state queue.state;
    v_code text;
    v_message text;
    i bigint;
begin
    select x.* into r from queue.runs x where x.tenant_id = p_tenant and x.id = p_run for update;
    if queue.is_final(r.state) or r.waits_since is not null and r.cancel_requested_at is null then
        return (r.state, false)::queue.progress;
    end if;
    if p_ended is null then
        select c.due, c.loops into v_due, v_loops from queue.count_anew(p_tenant, p_run) c;
        v_ended := '{}';
    end if;
    v_ended := queue.write_again(r, v_ended);
    loop
        if v_ended <> '{}' then
            v_closed := v_closed + cardinality(v_ended);
            with ended as materialized (
                select k.parent_id, k.dependents from queue.one_by_one(v_ended) e (id)
                cross join lateral (select x.parent_id, x.dependents from queue.task_runs x where x.tenant_id = p_tenant and x.id = e.id limit 1) k
            ), waiting as materialized (
                select k.id, d.n
                from (select d.task_key, count(*)::integer as n from ended cross join queue.one_by_one(ended.dependents) d (task_key) group by d.task_key) d
                cross join lateral (select x.id from queue.task_runs x
                                    where x.run_id = p_run and x.tenant_id = p_tenant and x.task_key = d.task_key and x.state = 'BLOCKED' limit 1) k
            ), counted as (
                update queue.task_runs k set waits_for = k.waits_for - w.n from waiting w where k.tenant_id = p_tenant and k.id = w.id
                returning k.id, k.waits_for
            ), looped as materialized (
                select k.id, e.n
                from (select parent_id, count(*)::integer as n from ended where parent_id is not null group by parent_id) e
                cross join lateral (select x.id from queue.task_runs x where x.tenant_id = p_tenant and x.id = e.parent_id and x.state = 'RUNNING' limit 1) k
            ), went_round as (
                update queue.task_runs k set waits_for = k.waits_for - l.n from looped l where k.tenant_id = p_tenant and k.id = l.id
                returning k.id
            )
            select v_due || coalesce((select array_agg(c.id order by c.id) from counted c where c.waits_for = 0), '{}'),
                   coalesce((select array_agg(w.id order by w.id) from went_round w), '{}')
            into v_due, v_loops;
        end if;
        exit when v_due = '{}' and v_loops = '{}';
        v_moved := true;
        v_ended := '{}';
        if v_due <> '{}' then
            with due as materialized (
                select k.id, k.kind, k.resolves, k.first_number, queue.requirement(k.job_type, k.engine, k.image, k.executors) as requires, d.behind,
                       r.cancel_requested_at is null and d.other = 0
                       and (d.n = 0 or case k.run_if when 'ALL_SUCCESS' then d.good = d.n
                                                     when 'ALL_DONE' then true
                                                     when 'NONE_FAILED' then d.bad = 0
                                                     when 'AT_LEAST_ONE_SUCCESS' then d.good > 0
                                                     when 'ALL_FAILED' then d.bad = d.n
                                                     when 'AT_LEAST_ONE_FAILED' then d.bad > 0 end) as goes,
                       k.run_if in ('ALL_FAILED', 'AT_LEAST_ONE_FAILED') as wants_failure, d.bad, d.failed
                from queue.one_by_one(v_due) e (id)
                cross join lateral (select x.* from queue.task_runs x where x.tenant_id = p_tenant and x.id = e.id and x.state = 'BLOCKED' limit 1) k
                cross join lateral (
                    select count(*) as n,
                           count(*) filter (where u.state = 'SUCCEEDED') as good,
                           count(*) filter (where u.state in ('FAILED', 'TIMED_OUT', 'CANCELED')) as bad,
                           count(*) filter (where u.state in ('FAILED', 'TIMED_OUT') or u.termination_code = 'UPSTREAM_FAILED') as failed,
                           count(*) filter (where u.termination_code in ('UPSTREAM_FAILED', 'UPSTREAM_CANCELED')) as behind,
                           count(*) filter (where w.outcome is not null and u.outcome is distinct from w.outcome) as other
                    from unnest(k.depends_on, k.outcomes) w (task_key, outcome)
                    cross join lateral (select x.state, x.outcome, x.termination_code from queue.task_runs x
                                        where x.run_id = p_run and x.tenant_id = p_tenant and x.task_key = w.task_key limit 1) u
                ) d
            ), moved as (
                update queue.task_runs k
                set state = case when not d.goes then 'SKIPPED' when d.resolves then 'BLOCKED' else 'QUEUED' end::queue.state,
                    finished_at = case when not d.goes then v_now end,
                    termination_code = case when d.goes then null
                                            when d.wants_failure or d.bad + d.behind = 0 then 'EXCLUDED'
                                            when d.failed > 0 then 'UPSTREAM_FAILED' else 'UPSTREAM_CANCELED' end
                from due d where k.tenant_id = p_tenant and k.id = d.id
            ), queued as (
                insert into queue.live_attempts (tenant_id, run_id, task_run_id, number, requires, priority)
                select p_tenant, p_run, d.id, d.first_number, d.requires, r.priority from due d where d.goes and not d.resolves order by d.id
            )
            select coalesce(array_agg(d.id order by d.id) filter (where not d.goes), '{}'),
                   coalesce(array_agg(d.id order by d.id) filter (where d.goes and d.resolves), '{}'),
                   v_decides or coalesce(bool_or(d.goes and d.kind <> 'work'), false)
            into v_ended, v_begin, v_decides from due d;
            foreach i in array v_begin loop
                if queue.begin_task(r, i) then
                    v_ended := v_ended || i;
                else  -- a for_each that has begun has its first round before it
                    v_loops := v_loops || i;
                end if;
            end loop;
            v_due := '{}';
        end if;
        foreach i in array v_loops loop
            v_ended := v_ended || queue.go_round(r, i);
        end loop;
        v_loops := '{}';
    end loop;
    if v_moved then
        perform ground.wake('control_room_attempts');
    end if;
    update queue.runs x
    set open_tasks = x.open_tasks - v_closed,
        state = case when v_decides and x.state = 'QUEUED' then 'RUNNING' else x.state end,
        started_at = case when v_decides then coalesce(x.started_at, v_now) else x.started_at end,
        deadline_at = case when v_decides then coalesce(x.deadline_at, v_now + make_interval(secs => x.timeout_seconds)) else x.deadline_at end
    where x.tenant_id = p_tenant and x.id = p_run
    returning x.* into r;
    if r.open_tasks > 0 then
        return (r.state, false)::queue.progress;
    end if;

    select k.state, k.termination_code, k.termination_message into v_state, v_code, v_message
    from queue.task_runs k where k.tenant_id = p_tenant and k.run_id = p_run
    order by (k.state = 'FAILED') desc, (k.state = 'TIMED_OUT') desc, (k.state = 'CANCELED') desc, (k.state = 'SUCCEEDED') desc, k.finished_at
    limit 1;
    if (r.stop_code = 'RUN_TIMED_OUT' or r.cancel_requested_at is not null and v_state in ('SKIPPED', 'SUCCEEDED'))
       and exists (select from queue.task_runs k where k.tenant_id = p_tenant and k.run_id = p_run and k.state <> 'SUCCEEDED') then
        v_state := case r.stop_code when 'RUN_TIMED_OUT' then 'TIMED_OUT' else 'CANCELED' end;
        v_code := r.stop_code;
    end if;
    update queue.runs x
    set state = v_state, termination_code = coalesce(v_code, 'SUCCESS'), termination_message = v_message, finished_at = clock_timestamp(),
        waits_since = null, event_seq = x.event_seq + 1,  -- of the terminal event that callback.announce writes
        started_at = coalesce(x.started_at, case when v_state <> 'CANCELED' then v_now end)
    where x.tenant_id = p_tenant and x.id = p_run;
    insert into queue.news (tenant_id, run_id, ended) values (p_tenant, p_run, true);
    return (v_state, true)::queue.progress;
end
$$;
revoke all on function queue.proceed(uuid, bigint, bigint[], bigint[]) from public;
grant execute on function queue.proceed(uuid, bigint, bigint[], bigint[]) to app_system;

-- A run, and the runs that it has started and that live. (plpgsql: a plan of a function in sql may outlive the role it was made for.)
create function queue.family(p_tenant uuid, p_run bigint)
returns bigint[] language plpgsql stable set search_path = '' as $$
begin
    return array(
        with recursive down (id) as (
            select p_run
            union
            select k.child_run_id from down d join queue.task_runs k on k.run_id = d.id and k.tenant_id = p_tenant
            where k.child_run_id is not null and k.state = 'RUNNING'
        )
        select d.id from down d);
end
$$;
revoke all on function queue.family(uuid, bigint) from public;
grant execute on function queue.family(uuid, bigint) to app_system;

-- Tasks of some runs have ended (null: look at all of the run), and so with the runs that wait for those. The newest run first:
-- a child is younger than its parent. p_others: tenants whose places the caller passes on after it.
create function queue.advance(p_tenants uuid[], p_runs bigint[], p_tasks bigint[], p_others uuid[] default '{}')
returns table (run_id bigint, run_state queue.state) language plpgsql set search_path = '' as $$
declare
    v record;
    p queue.progress;
    c queue.runs;
begin
    perform queue.hold_families(p_tenants, p_runs);
    perform queue.hold_lanes(p_tenants || p_others);  -- now: who begins may start runs in lanes
    for v in select u.tenant_id, u.id, case when bool_or(u.task_id is null) then null else array_agg(u.task_id) end as tasks
             from unnest(p_tenants, p_runs, p_tasks) u (tenant_id, id, task_id) group by u.tenant_id, u.id order by u.id desc loop
        p := queue.proceed(v.tenant_id, v.id, v.tasks);
        run_id := v.id;
        run_state := p.state;
        return next;
        while p.ended loop
            select x.* into c from queue.runs x where x.tenant_id = v.tenant_id and x.id = run_id;
            exit when c.parent_run_id is null or not queue.end_parent(c);
            p := queue.proceed(v.tenant_id, c.parent_run_id, array[c.parent_task_run_id]);
            run_id := c.parent_run_id;
        end loop;
    end loop;
end
$$;
revoke all on function queue.advance(uuid[], bigint[], bigint[], uuid[]) from public;
grant execute on function queue.advance(uuid[], bigint[], bigint[], uuid[]) to app_system;

-- The same for one run, all of whose tasks are to be looked at.
create function queue.advance(p_tenant uuid, p_run bigint)
returns queue.state language sql volatile set search_path = '' as $$
    select a.run_state from queue.advance(array[p_tenant], array[p_run], array[null::bigint]) a
$$;
revoke all on function queue.advance(uuid, bigint) from public;
grant execute on function queue.advance(uuid, bigint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
