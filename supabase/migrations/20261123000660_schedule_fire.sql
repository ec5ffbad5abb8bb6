-- schedule, second part: from a definition to a fire: placed with the job's version, marked by updates, owed by time, paid once.

grant app_owner, app_system to postgres;
set role app_owner;

-- The time that follows p_after; for a dataset's trigger there is none but by a mark.
create function schedule.following(t schedule.triggers, p_after timestamptz)
returns timestamptz language sql stable set search_path = '' as $$
    select case when (t.definition ->> 'paused')::boolean then null
                when t.kind = 'schedule' then schedule.next_fire(t.definition ->> 'cron', t.definition ->> 'timezone', p_after)
                when t.kind = 'periodic' then coalesce(t.next_fire_at, p_after) + make_interval(secs => (t.definition ->> 'every_seconds')::integer
                     * case when t.next_fire_at is null then 1
                            else 1 + greatest(0, floor(extract(epoch from p_after - t.next_fire_at) / (t.definition ->> 'every_seconds')::integer)) end) end
$$;
revoke all on function schedule.following(schedule.triggers, timestamptz) from public;
grant execute on function schedule.following(schedule.triggers, timestamptz) to app_system;

-- With a version of the job comes what starts it. What stays as it was keeps its time: an edit of a task does not push it on.
create function schedule.place(p_tenant uuid, p_job bigint, p_definition jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    t schedule.triggers;
    v_kind schedule.kind := case when p_definition ->> 'schedule' is not null then 'schedule' when p_definition ->> 'periodic' is not null then 'periodic'
                                 when p_definition ->> 'trigger' is not null then 'dataset' end;
    v_definition jsonb := p_definition -> case v_kind when 'dataset' then 'trigger' else v_kind::text end;
begin
    if v_kind is null then
        perform schedule.remove(p_tenant, p_job);
        return;
    end if;
    select x.* into t from schedule.triggers x where x.tenant_id = p_tenant and x.job_id = p_job for no key update;
    if found and t.kind = v_kind and t.definition = v_definition then
        return;
    end if;
    t.tenant_id := p_tenant;
    t.job_id := p_job;
    t.kind := v_kind;
    t.definition := v_definition;
    t.next_fire_at := null;
    t.next_fire_at := schedule.following(t, clock_timestamp());
    insert into schedule.triggers as x (tenant_id, job_id, kind, definition, next_fire_at)
    values (p_tenant, p_job, v_kind, v_definition, t.next_fire_at)
    on conflict (tenant_id, job_id) do update
    set kind = excluded.kind, definition = excluded.definition, next_fire_at = excluded.next_fire_at, marked_at = null, causes = '{}', datasets = '{}',
        last_error = null;
    delete from schedule.marks m where m.tenant_id = p_tenant and m.job_id = p_job;
    delete from schedule.watches w where w.tenant_id = p_tenant and w.job_id = p_job;
    insert into schedule.watches (tenant_id, job_id, key, dataset)
    select distinct on (key) p_tenant, p_job, key, d.name
    from jsonb_array_elements_text(coalesce(v_definition -> 'datasets', '[]')) d (name)
    cross join lateral (select substr(job.dataset_node(tenancy.namespace_of(p_tenant), d.name), 9) as rest) r
    cross join lateral (select md5(lineage.normal_namespace(left(r.rest, i - 1)) || chr(31) || substr(r.rest, i + 1))::uuid as key
                        from generate_series(2, length(r.rest) - 1) i where substr(r.rest, i, 1) = ':') k;
end
$$;
revoke all on function schedule.place(uuid, bigint, jsonb) from public;

-- Whoever changes several jobs at once: their triggers first, in one order.
create function schedule.hold(p_tenant uuid, p_jobs bigint[])
returns void language plpgsql set search_path = '' as $$
begin
    perform from schedule.triggers t where t.tenant_id = p_tenant and t.job_id = any (p_jobs) order by t.job_id for no key update;
end
$$;
revoke all on function schedule.hold(uuid, bigint[]) from public;

create function schedule.remove(p_tenant uuid, p_job bigint)
returns void language sql volatile set search_path = '' as $$
    delete from schedule.triggers t where t.tenant_id = p_tenant and t.job_id = p_job
$$;
revoke all on function schedule.remove(uuid, bigint) from public;

-- What get_job says of it; {} for a job that only people start.
create function schedule.state(p_tenant uuid, p_job bigint)
returns jsonb language sql stable set search_path = '' as $$
    select coalesce((select jsonb_build_object('next_fire_at', t.next_fire_at, 'last_fired_at', t.last_fired_at, 'last_run_id', t.last_run_id, 'last_error', t.last_error)
                     from schedule.triggers t where t.tenant_id = p_tenant and t.job_id = p_job), '{}')
$$;
revoke all on function schedule.state(uuid, bigint) from public;

-- What get_run says: who started it.
create function schedule.cause(p_tenant uuid, p_run bigint)
returns jsonb language sql stable set search_path = '' as $$
    select coalesce((select jsonb_strip_nulls(jsonb_build_object('type', f.kind, 'scheduled_at', f.scheduled_at, 'fired_at', f.fired_at,
                                'datasets', to_jsonb(nullif(f.datasets, '{}')), 'runs', to_jsonb(nullif(f.causes, '{}'))))
                     from schedule.fires f where f.tenant_id = p_tenant and f.run_id = p_run), '{"type": "manual"}')
$$;
revoke all on function schedule.cause(uuid, bigint) from public;

create function schedule.upcoming(t schedule.triggers, p_count integer)
returns timestamptz[] language plpgsql stable set search_path = '' as $$
declare
    v_all timestamptz[] := '{}';
begin
    while t.next_fire_at is not null and cardinality(v_all) < p_count loop
        v_all := v_all || t.next_fire_at;
        t.next_fire_at := schedule.following(t, t.next_fire_at);
    end loop;
    return v_all;
end
$$;
revoke all on function schedule.upcoming(schedule.triggers, integer) from public;

-- ---------------------------------------------------------------------------------- a dataset was updated

-- A job is not started by what it did itself, nor by what a run did that it started, by run_job or by an update, however many
-- jobs lie between: that would never end. Inserts only: what settles an attempt waits for nobody here.
create function schedule.mark(p_tenant uuid, p_namespace text, p_name text, p_run bigint)
returns void language plpgsql set search_path = '' as $$
declare
    v_key uuid := md5(lineage.normal_namespace(p_namespace) || chr(31) || p_name)::uuid;
begin
    insert into schedule.marks (tenant_id, job_id, dataset, run_id)
    select w.tenant_id, w.job_id, w.dataset, p_run
    from schedule.watches w
    join schedule.triggers t on t.tenant_id = w.tenant_id and t.job_id = w.job_id
    where w.key = v_key and w.tenant_id = p_tenant and not (t.definition ->> 'paused')::boolean
      and not exists (
          with recursive chain (run_id) as (
              select p_run
              union
              select c.run_id from chain cross join lateral (
                  select unnest(f.causes) from schedule.fires f where f.tenant_id = p_tenant and f.run_id = chain.run_id
                  union all
                  select r.parent_run_id from queue.runs r where r.tenant_id = p_tenant and r.id = chain.run_id and r.parent_run_id is not null) c (run_id)
          )
          select from chain join queue.runs r on r.tenant_id = p_tenant and r.id = chain.run_id where r.job_id = w.job_id);
end
$$;
revoke all on function schedule.mark(uuid, text, text, bigint) from public;
grant execute on function schedule.mark(uuid, text, text, bigint) to app_system;

-- The outputs of completed OpenLineage runs, of which the lineage had not heard before. Jobs that wait for a dataset are few:
-- where there is none, nothing is looked at.
create function schedule.mark_events(p_tenant uuid, p_events jsonb[], p_run bigint default null)
returns void language plpgsql set search_path = '' as $$
begin
    if not exists (select from schedule.triggers t where t.tenant_id = p_tenant and t.kind = 'dataset') then
        return;
    end if;
    perform schedule.mark(p_tenant, o.namespace, o.name, p_run)
    from (select distinct o ->> 'namespace' as namespace, o ->> 'name' as name
          from unnest(p_events) e cross join lateral jsonb_array_elements(case jsonb_typeof(e -> 'outputs') when 'array' then e -> 'outputs' else '[]' end) o
          where e ->> 'eventType' = 'COMPLETE' order by 1, 2) o;
end
$$;
revoke all on function schedule.mark_events(uuid, jsonb[], bigint) from public;
grant execute on function schedule.mark_events(uuid, jsonb[], bigint) to app_system;

-- Marks -> a time: so long after the last update, but not longer after the first than max_wait_seconds. Skips what is locked.
create function schedule.gather()
returns void language plpgsql set search_path = '' as $$
declare
    t schedule.triggers;
    n record;
begin
    for t in select x.* from schedule.triggers x
             where (x.tenant_id, x.job_id) in (select m.tenant_id, m.job_id from schedule.marks m) for no key update skip locked loop
        with gone as (
            delete from schedule.marks m where m.tenant_id = t.tenant_id and m.job_id = t.job_id returning m.*
        )
        select min(g.at) as first_at, max(g.at) as last_at, array_agg(distinct g.dataset) as datasets,
               coalesce(array_agg(distinct g.run_id) filter (where g.run_id is not null), '{}') as runs
        into n from gone g;
        update schedule.triggers x
        set marked_at = coalesce(t.marked_at, n.first_at),
            next_fire_at = least(n.last_at + make_interval(secs => (t.definition ->> 'debounce_seconds')::integer),
                                 coalesce(t.marked_at, n.first_at) + make_interval(secs => (t.definition ->> 'max_wait_seconds')::integer)),
            datasets = array(select distinct d from unnest(t.datasets || n.datasets) d order by d),
            causes = (array(select distinct c from unnest(t.causes || n.runs) c order by c desc))[1:1000]
        where x.tenant_id = t.tenant_id and x.job_id = t.job_id and n.last_at is not null
          and not (t.definition ->> 'paused')::boolean;  -- an update that was under way when it was paused
    end loop;
    delete from schedule.marks m where not exists (select from schedule.triggers x where x.tenant_id = m.tenant_id and x.job_id = m.job_id);
end
$$;
revoke all on function schedule.gather() from public;
grant execute on function schedule.gather() to app_system;

-- ------------------------------------------------------------------------------------------- what is owed

create function schedule.due(p_limit integer)
returns setof schedule.triggers language plpgsql set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();  -- volatile: compared with it, a column's index is of no use
begin
    return query
    select t.* from (
        select x.* from schedule.triggers x where x.next_fire_at <= v_now
        order by x.next_fire_at limit p_limit for no key update skip locked) t
    order by t.tenant_id, t.job_id;  -- as lanes are locked
end
$$;
revoke all on function schedule.due(integer) from public;
grant execute on function schedule.due(integer) to app_system;

create function schedule.next_due()
returns timestamptz language plpgsql stable set search_path = '' as $$
begin
    return least((select min(t.next_fire_at) from schedule.triggers t where t.next_fire_at is not null),
                 (select clock_timestamp() from schedule.marks limit 1));
end
$$;
revoke all on function schedule.next_due() from public;
grant execute on function schedule.next_due() to app_system;

-- The times to pay, oldest first, and whether others were passed over. A minute late is on time: clocks tick, databases restart.
-- What an outage has missed: skip it, once (the last of it), or all (the first 100). Periods and updates have nothing to catch up.
create function schedule.owed(t schedule.triggers, p_now timestamptz, out times timestamptz[], out missed boolean)
language plpgsql stable set search_path = '' as $$
declare
    c job.cron;
    v_next timestamptz;
    v_last timestamptz;
begin
    times := array[t.next_fire_at];
    missed := false;
    if t.kind <> 'schedule' then
        return;
    end if;
    c := job.read_cron(t.definition ->> 'cron');
    v_next := schedule.next_fire(c, t.definition ->> 'timezone', t.next_fire_at);
    v_last := t.next_fire_at;
    if v_next <= p_now then
        v_last := schedule.last_fire(c, t.definition ->> 'timezone', v_next, p_now);
    end if;
    case t.definition ->> 'missed'
        when 'skip' then
            times := case when v_last >= p_now - interval '1 minute' then array[v_last] else '{}' end;
            missed := times = '{}' or v_next <= p_now;
        when 'once' then
            times := array[v_last];
            missed := v_next <= p_now;
        when 'all' then
            while v_next <= p_now and cardinality(times) < 100 loop
                times := times || v_next;
                v_next := schedule.next_fire(c, t.definition ->> 'timezone', v_next);
            end loop;
            missed := coalesce(v_next <= p_now, false);
    end case;
    missed := coalesce(missed, false);
end
$$;
revoke all on function schedule.owed(schedule.triggers, timestamptz) from public;
grant execute on function schedule.owed(schedule.triggers, timestamptz) to app_system;

-- On to the next time; what was paid, or why it could not be.
create function schedule.settle(t schedule.triggers, p_run bigint, p_error jsonb)
returns void language sql volatile set search_path = '' as $$
    update schedule.triggers x
    set next_fire_at = schedule.following(t, clock_timestamp()), marked_at = null, causes = '{}', datasets = '{}',
        last_fired_at = case when p_run is null then x.last_fired_at else clock_timestamp() end,
        last_run_id = coalesce(p_run, x.last_run_id), last_error = p_error
    where x.tenant_id = t.tenant_id and x.job_id = t.job_id
$$;
revoke all on function schedule.settle(schedule.triggers, bigint, jsonb) from public;
grant execute on function schedule.settle(schedule.triggers, bigint, jsonb) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
