-- worker: the runner's door. The role `runner` may execute these verbs and nothing else.
-- Each verb composes the rooms in one transaction; each is fenced by (attempt, lease).

grant app_owner, app_system to postgres;
create schema worker authorization app_system;
set role app_system;
grant usage on schema worker to runner;

-- Says who claims and what it offers; answers with the clockwork.
create function worker.register(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
begin
    insert into queue.runners as r (instance, name, offers, capacity, version, sandbox)
    values ((p ->> 'instance')::uuid, left(p ->> 'name', 200), array(select jsonb_array_elements_text(p -> 'offers')),
            (p ->> 'capacity')::integer, coalesce(p ->> 'version', '?'), coalesce(p -> 'sandbox', '{}'))
    on conflict (instance) do update
    set offers = excluded.offers, capacity = excluded.capacity, sandbox = excluded.sandbox, seen_at = clock_timestamp(), stopped_at = null;
    return (select jsonb_build_object('lease_seconds', s.lease_seconds, 'heartbeat_seconds', s.heartbeat_seconds,
                                      'poll_seconds', s.poll_seconds, 'deadline_grace_seconds', s.deadline_grace_seconds)
            from queue.settings s);
end
$$;
comment on function worker.register(jsonb) is 'A runner introduces itself: {name, instance, offers, capacity, version, sandbox} -> the clockwork.';
revoke all on function worker.register(jsonb) from public;
grant execute on function worker.register(jsonb) to runner;

create function worker.farewell(p_instance uuid)
returns void language sql security definer set search_path = '' as $$
    update queue.runners r set stopped_at = clock_timestamp() where r.instance = p_instance
$$;
comment on function worker.farewell(uuid) is 'A runner that stopped in good order.';
revoke all on function worker.farewell(uuid) from public;
grant execute on function worker.farewell(uuid) to runner;

-- (plpgsql, here and below: a function in sql is planned anew in each call, 10 ms for this one.)
-- What few attempts need is a function of its own: a subquery in the claim would be set up for each of them, and a claim of one is all set-up.

-- inputs with the artifacts' names, which lineage speaks of
create function worker.named_inputs(p_tenant uuid, p_inputs jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    return (select jsonb_agg(i || coalesce(jsonb_build_object('artifact_name', a.name), '{}') order by ord)
            from jsonb_array_elements(p_inputs) with ordinality x (i, ord)
            left join artifact.artifacts a on a.tenant_id = p_tenant and a.id = (i ->> 'artifact_id')::uuid);
end
$$;
revoke all on function worker.named_inputs(uuid, jsonb) from public;

create function worker.named_code(p_tenant uuid, p_code jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    return p_code || jsonb_build_object('artifact_name',
        (select a.name from artifact.artifacts a where a.tenant_id = p_tenant and a.id = (p_code ->> 'artifact_id')::uuid));
end
$$;
revoke all on function worker.named_code(uuid, jsonb) from public;

-- the targets that it names and may use: looked at again here, for what was granted at the submission may have been taken back since
create function worker.granted_targets(p_tenant uuid, p_target text, p_inputs jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    return (select coalesce(jsonb_agg(g.name), '[]') from tenancy.grants g
            where g.tenant_id = p_tenant and g.kind = 'target'
              and (g.name = p_target or g.name in (select split_part(i ->> 'uri', '/', 3) from jsonb_array_elements(p_inputs) i)));
end
$$;
revoke all on function worker.granted_targets(uuid, text, jsonb) from public;

create function worker.claim_attempts(p_instance uuid, p_offers text[], p_limit integer)
returns setof json language plpgsql security definer set search_path = ''
set enable_seqscan = off  -- as in queue.claim
set plan_cache_mode = force_generic_plan as $$
declare
    -- a statement of its own: what commits while it runs may be claimed, and only a later snapshot sees all of that
    v_claimed queue.claimed[] := array(select x from queue.claim(p_instance, p_offers, p_limit) x);
begin
    if v_claimed = '{}' then
        return;
    end if;
    return query
    select json_build_object(  -- json: text that is written once; as jsonb it would be sorted, packed and written again
        'attempt_id', c.attempt_id, 'lease', c.lease, 'number', c.number, 'run_id', c.run_id, 'task_run_id', c.task_run_id,
        'task_key', c.task_key, 'tenant_id', c.tenant_id, 'tenant_slug', n.slug, 'job_type', c.job_type, 'engine', c.engine,
        'requires', c.requires, 'job_id', r.job_id, 'name', r.name, 'spec', coalesce(p.spec, w.spec),
        'code', case when coalesce(p.code, w.code) ? 'artifact_id' then worker.named_code(c.tenant_id, coalesce(p.code, w.code)) else coalesce(p.code, w.code) end, 'params', p.params,
        'inputs', case when p.inputs = '[]' then p.inputs else worker.named_inputs(c.tenant_id, p.inputs) end,
        'outputs', p.outputs, 'secrets', p.secrets, 'network', p.network, 'timeout_seconds', c.timeout_seconds,
        'deadline_at', c.deadline_at, 'token', c.token, 'max_artifact_bytes', l.max_artifact_bytes,
        'targets', case when c.job_type = 'schema_migration' then worker.granted_targets(c.tenant_id, p.params ->> 'target', '[]')
            when jsonb_path_exists(p.inputs, '$[*].uri') then worker.granted_targets(c.tenant_id, null, p.inputs) else '[]' end,
        'adopted', c.lost > 0, 'external_id', c.external_id, 'traceparent', r.traceparent, 'waited_ms', c.waited_ms, 'validation_fail_on', n.validation_fail_on,
        'validation_policy', n.validation_policy, 'model_granted', c.job_type <> 'code_generation' or tenancy.is_granted(c.tenant_id, 'model', c.engine),
        'image', case when c.image is not null then json_build_object('name', c.image, 'granted', job.image_fault(c.tenant_id, c.image) is null) end, 'executors', coalesce(c.executors, 0),
        'remaining_ms', greatest(0, extract(epoch from c.deadline_at - clock_timestamp()) * 1000)::bigint)
    from unnest(v_claimed) with ordinality c
    -- each by its key, one by one: joined, the planner has looked through all the runs or payloads of the tenant
    cross join lateral (select x.* from queue.payloads x where x.tenant_id = c.tenant_id and x.task_run_id = c.task_run_id limit 1) p
    left join lateral (select x.spec, x.code from queue.payloads x  -- an iteration has its for_each task's
                       where x.tenant_id = c.tenant_id and x.task_run_id = p.code_of limit 1) w on true
    cross join lateral (select x.* from queue.runs x where x.tenant_id = c.tenant_id and x.id = c.run_id limit 1) r
    join tenancy.tenants n on n.id = c.tenant_id
    join tenancy.limits l on l.tenant_id = c.tenant_id
    order by c.ordinality;
end
$$;
comment on function worker.claim_attempts(uuid, text[], integer) is 'Up to p_limit ready attempts that fit the offers, leased to this runner.';
revoke all on function worker.claim_attempts(uuid, text[], integer) from public;
grant execute on function worker.claim_attempts(uuid, text[], integer) to runner;

-- A glance costs a tenth of a claim; what is seen may be for others, or above a limit.
create function worker.anything_waits()
returns boolean language plpgsql stable security definer set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();
begin
    return exists (select from queue.live_attempts a where a.state = 'QUEUED' and a.ready_at <= v_now);
end
$$;
comment on function worker.anything_waits() is 'Whether a claim may find something: asked in the milliseconds after a hint.';
revoke all on function worker.anything_waits() from public;
grant execute on function worker.anything_waits() to runner;

create function worker.renew_leases(p_instance uuid, p_items jsonb)
returns jsonb language plpgsql security definer set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
declare
    v_answer jsonb := queue.renew(p_instance, p_items);
    v_tenants uuid[];
    v_runs bigint[];
begin
    select array_agg(a.tenant_id order by a.id), array_agg(a.run_id order by a.id) into v_tenants, v_runs
    from jsonb_to_recordset(v_answer) i (attempt_id bigint, lease integer, advanced boolean)
    cross join lateral (select x.id, x.tenant_id, x.run_id from queue.live_attempts x where x.id = i.attempt_id and x.lease = i.lease limit 1) a
    where i.advanced and callback.wants_progress(a.tenant_id, a.run_id);
    if v_runs is not null then
        perform queue.hold_families(v_tenants, v_runs);
        perform callback.announce_progress(u.tenant_id, u.run_id) from unnest(v_tenants, v_runs) u (tenant_id, run_id);
    end if;
    return v_answer;
end
$$;
comment on function worker.renew_leases(uuid, jsonb) is 'The heartbeat: all leases of a runner in one update, progress riding on it.';
revoke all on function worker.renew_leases(uuid, jsonb) from public;
grant execute on function worker.renew_leases(uuid, jsonb) to runner;

create function worker.report(p_items jsonb)
returns jsonb language plpgsql security definer set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
declare
    i record;
    v record;
    v_answer jsonb := '[]';
begin
    if jsonb_array_length(p_items) > 1 then
        perform queue.hold_work(array(select (x ->> 'attempt_id')::bigint from jsonb_array_elements(p_items) x), false);
    end if;
    for i in select x.* from jsonb_to_recordset(p_items)
             as x (attempt_id bigint, lease integer, percent integer, message text, external_id text, logs jsonb)
             order by x.attempt_id loop
        select * into v from queue.report(i.attempt_id, i.lease, i.percent, i.message, i.external_id, i.logs);
        if v.advanced then
            perform callback.announce_progress(v.tenant_id, v.run_id);
        end if;
        v_answer := v_answer || jsonb_build_array(jsonb_build_object('attempt_id', i.attempt_id, 'held', v.held, 'cancel', v.cancel));
    end loop;
    return v_answer;
end
$$;
comment on function worker.report(jsonb) is 'Progress, log lines and external ids of running attempts; held=false means stale: stop.';
revoke all on function worker.report(jsonb) from public;
grant execute on function worker.report(jsonb) to runner;

create function worker.open_output(p_attempt bigint, p_lease integer, p_name text, p_columns jsonb)
returns text language plpgsql security definer set search_path = '' as $$
declare
    a queue.live_attempts := queue.hold(p_attempt, p_lease);
begin
    if a.id is null then
        perform ground.fail('STALE_LEASE');
    end if;
    return catalog.open_staging(format('o%s_%s_%s', a.id, a.lease, substr(md5(p_name), 1, 12)), p_columns);
end
$$;
comment on function worker.open_output(bigint, integer, text, jsonb) is 'An empty staging table keyed by (attempt, lease), for COPY as loader.';
revoke all on function worker.open_output(bigint, integer, text, jsonb) from public;
grant execute on function worker.open_output(bigint, integer, text, jsonb) to runner;

create function worker.open_input(p_attempt bigint, p_lease integer, p_name text)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    a queue.live_attempts := queue.hold(p_attempt, p_lease);
    v_table text;
begin
    if a.id is null then
        perform ground.fail('STALE_LEASE');
    end if;
    select i ->> 'table' into v_table
    from queue.payloads p cross join jsonb_array_elements(p.inputs) i
    where p.tenant_id = a.tenant_id and p.task_run_id = a.task_run_id and i ->> 'name' = p_name and i ? 'table';
    if v_table is null then
        perform ground.fail('INPUT_UNKNOWN', left(p_name, 128));
    end if;
    return (select catalog.stage_input(t.slug, split_part(v_table, '.', 1), split_part(v_table, '.', 2),
                                       format('i%s_%s_%s', a.id, a.lease, substr(md5(p_name), 1, 12)))
            from tenancy.tenants t where t.id = a.tenant_id);
end
$$;
comment on function worker.open_input(bigint, integer, text) is 'A snapshot of a layer table that the attempt named as input, for COPY as loader.';
revoke all on function worker.open_input(bigint, integer, text) from public;
grant execute on function worker.open_input(bigint, integer, text) to runner;

-- What an attempt made, recorded under its fence before it ends: tables, artifacts, lineage. False when it is stale.
create function worker.record_work(p_item jsonb)
returns boolean language plpgsql set search_path = '' as $$
declare
    o jsonb := p_item -> 'outcome';
    a queue.live_attempts := queue.hold((p_item ->> 'attempt_id')::bigint, (p_item ->> 'lease')::integer);
    x jsonb;
    v_slug text;
    v_rows bigint;
    v_table text;
begin
    if a.id is null then
        return false;
    end if;
    if o ->> 'state' = 'SUCCEEDED' then
        select t.slug into v_slug from tenancy.tenants t where t.id = a.tenant_id;
        if o ? 'tables' then
            o := o || coalesce(catalog.judge_all(a.tenant_id, a.run_id, format('o%s_%s_', a.id, a.lease),
                (select p.outputs from queue.payloads p where p.tenant_id = a.tenant_id and p.task_run_id = a.task_run_id), o -> 'tables'), '{}');
        end if;
        for x in select * from jsonb_array_elements(coalesce(o -> 'tables', '[]')) loop
            -- the layer and table come from what was submitted, never from what was run
            select catalog.publish(a.tenant_id, v_slug, replace(x ->> 'staging', 'staging.', ''), d ->> 'layer', d ->> 'table',
                                    coalesce(d ->> 'mode', 'overwrite'), a.run_id, array(select jsonb_array_elements_text(d -> 'key'))), (d ->> 'layer') || '.' || (d ->> 'table') into v_rows, v_table
            from queue.payloads p cross join jsonb_array_elements(p.outputs) d
            where p.tenant_id = a.tenant_id and p.task_run_id = a.task_run_id and d ->> 'name' = x ->> 'name' and d ? 'table'
              and replace(x ->> 'staging', 'staging.', '') like format('o%s\_%s\_%%', a.id, a.lease);
            if not found then
                raise exception using errcode = '22023', message = format('%s is no output table that this lease has loaded', left(x ->> 'name', 128));
            elsif v_rows <> (x ->> 'rows')::bigint then  -- staging is unlogged: a crash of the database empties it
                raise exception using errcode = 'CRSTG', message = format('%s had %s rows when it was loaded and has %s now', left(x ->> 'name', 128), x ->> 'rows', v_rows);
            end if;
            perform catalog.note_origin(a.tenant_id, split_part(v_table, '.', 1), split_part(v_table, '.', 2), format('i%s_%s_', a.id, a.lease), a.run_id, a.claimed_at);
            perform schedule.mark(a.tenant_id, tenancy.namespace_of(a.tenant_id), v_table, a.run_id);
        end loop;
        if o ? 'entries' then
            perform worker.publish_entries(a, o -> 'entries');
        end if;
    end if;
    for x in select * from jsonb_array_elements(case o ->> 'state' when 'SUCCEEDED' then coalesce(o -> 'catalog', '[]') else '[]' end) loop
        if x ?| array['models', 'schemas'] then
            perform catalog.ingest(a.tenant_id, x);
        else
            perform catalog.refresh_target(a.tenant_id, x, a.run_id);
        end if;
    end loop;
    for x in select * from jsonb_array_elements(coalesce(o -> 'artifacts', '[]')) y order by y ->> 'sha256' loop  -- contents in one order
        perform artifact.judge(a.tenant_id, (x ->> 'artifact_id')::uuid, (x ->> 'version')::integer, x ->> 'verdict',
                               (x ->> 'size')::bigint, x ->> 'sha256', x -> 'findings')
        from artifact.versions w
        where w.tenant_id = a.tenant_id and w.artifact_id = (x ->> 'artifact_id')::uuid and w.version = (x ->> 'version')::integer
          and w.attempt_id = a.id and w.lease = a.lease;
    end loop;
    if o ? 'expectations' then
        perform catalog.keep_verdicts(a.tenant_id, a.run_id, o -> 'expectations');
    end if;
    for x in select * from jsonb_array_elements(coalesce(o -> 'lineage', '[]')) loop
        if lineage.fault(x) is null
           and lineage.record_all(a.tenant_id, array[x], a.run_id, coalesce(nullif(x #>> '{run,facets,control_room,method}', ''), case when x ? 'run' then 'sql' else 'event' end)) <> '{}' then
            perform schedule.mark_events(a.tenant_id, array[x], a.run_id);
        end if;
    end loop;
    perform worker.witness(a, o);
    return true;
end
$$;
revoke all on function worker.record_work(jsonb) from public;

-- queue.settle -> callback.announce -> callback.relay, for a batch whose work is recorded
create function worker.conclude(p_items jsonb)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_answer jsonb;
    v_tenants uuid[];
    v_runs bigint[];
begin
    select jsonb_agg(case when not s.settled then jsonb_build_object('attempt_id', s.attempt_id, 'settled', false, 'reason', 'stale')
                          when s.run_state is null then jsonb_build_object('attempt_id', s.attempt_id, 'settled', true)
                          else jsonb_build_object('attempt_id', s.attempt_id, 'settled', true, 'run_state', s.run_state) end),
           array_agg(s.tenant_id) filter (where s.ended), array_agg(s.run_id) filter (where s.ended)
    into v_answer, v_tenants, v_runs
    from queue.settle(p_items) s;
    if v_runs is not null then
        perform callback.announce(v_tenants, v_runs);
    end if;
    perform callback.relay();
    return coalesce(v_answer, '[]');
end
$$;
revoke all on function worker.conclude(jsonb) from public;

-- record -> settle -> announce: all of one attempt, or nothing of it
create function worker.settle_one(p_item jsonb)
returns jsonb language plpgsql set search_path = '' as $$
begin
    if not worker.record_work(p_item) then
        return jsonb_build_object('attempt_id', p_item -> 'attempt_id', 'settled', false, 'reason', 'stale');
    end if;
    return worker.conclude(jsonb_build_array(p_item)) -> 0;
end
$$;
revoke all on function worker.settle_one(jsonb) from public;

-- The same item, of which it could not be written down what it says.
create function worker.unrecorded(p_item jsonb, p_sqlstate text, p_message text, p_verdicts text)
returns jsonb language sql immutable set search_path = '' as $$
    select jsonb_build_object('attempt_id', p_item -> 'attempt_id', 'lease', p_item -> 'lease',
        'outcome', jsonb_build_object('state', 'FAILED', 'termination_code', case p_sqlstate when 'CREXP' then 'EXPECTATION_FAILED' else 'PUBLISH_FAILED' end,
            'retryable', p_sqlstate = 'CRSTG', 'message', case p_sqlstate when 'CREXP' then '' else 'the outcome could not be recorded: ' end || left(p_message, 500),
            'exit_code', p_item #> '{outcome,exit_code}', 'peak_memory_bytes', p_item #> '{outcome,peak_memory_bytes}',
            'cpu_ms', p_item #> '{outcome,cpu_ms}') || case p_sqlstate when 'CREXP' then jsonb_build_object('expectations', p_verdicts::jsonb) else '{}' end)
$$;
revoke all on function worker.unrecorded(jsonb, text, text, text) from public;

-- What some bring is recorded one by one, and where that fails the attempt ends FAILED: it does not sink the others. Then all end in one
-- statement; if one of them cannot end as it says, each ends by itself, with its work or without.
create function worker.settle_attempts(p_instance uuid, p_items jsonb)
returns jsonb language plpgsql security definer set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan as $$
declare
    i jsonb;
    v_plain jsonb;
    v_others jsonb;
    v_detail text;
    v_failed jsonb := '{}';  -- attempt -> whose work could not be recorded
    v_answer jsonb;
begin
    select jsonb_agg(x.item) filter (where not x.brings_work), jsonb_agg(x.item order by (x.item ->> 'attempt_id')::bigint) filter (where x.brings_work)
    into v_plain, v_others
    from (select y as item, y -> 'outcome' ?| array['tables', 'entries', 'artifacts', 'lineage', 'catalog'] as brings_work from jsonb_array_elements(p_items) y offset 0) x;
    begin
        if v_others is null then
            v_answer := worker.conclude(p_items);
        else
            v_plain := coalesce(v_plain, '[]');
            for i in select x from jsonb_array_elements(v_others) x loop
                begin
                    perform worker.record_work(i);
                exception
                    when serialization_failure or deadlock_detected or query_canceled or admin_shutdown then
                        raise;
                    when others then
                        get stacked diagnostics v_detail = pg_exception_detail;
                        i := worker.unrecorded(i, sqlstate, sqlerrm, v_detail);
                        if i #> '{outcome,expectations}' is not null then  -- what was found is kept, though nothing is published
                            perform worker.record_work(i);
                        end if;
                        v_failed := v_failed || jsonb_build_object(i ->> 'attempt_id', true);
                end;
                v_plain := v_plain || i;
            end loop;
            select jsonb_agg(case when v_failed ? (x ->> 'attempt_id') and (x ->> 'settled')::boolean then x || '{"reason": "publish_failed"}' else x end)
            into v_answer from jsonb_array_elements(worker.conclude(v_plain)) x;
        end if;
    exception when data_exception or integrity_constraint_violation or insufficient_privilege then
        perform queue.hold_work(array(select (x ->> 'attempt_id')::bigint from jsonb_array_elements(p_items) x), true);
        v_answer := '[]';
        for i in select x from jsonb_array_elements(p_items) x order by (x ->> 'attempt_id')::bigint loop
            begin
                v_answer := v_answer || jsonb_build_array(worker.settle_one(i));
            exception
                when serialization_failure or deadlock_detected or query_canceled or admin_shutdown then
                    raise;
                when others then
                    get stacked diagnostics v_detail = pg_exception_detail;
                    v_answer := v_answer || jsonb_build_array(worker.settle_one(worker.unrecorded(i, sqlstate, sqlerrm, v_detail)) || '{"reason": "publish_failed"}');
            end;
        end loop;
    end;
    perform queue.pass_on_after(array(select (x ->> 'attempt_id')::bigint from jsonb_array_elements(p_items) x));
    perform callback.relay();
    return v_answer;
end
$$;
comment on function worker.settle_attempts(uuid, jsonb) is 'Ends attempts: state, tables, artifacts, lineage, history and outbox in one transaction; settled=false means stale.';
revoke all on function worker.settle_attempts(uuid, jsonb) from public;
grant execute on function worker.settle_attempts(uuid, jsonb) to runner;

create function worker.release_attempts(p_instance uuid, p_items jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    i record;
    a queue.live_attempts;
    v_answer jsonb := '[]';
begin
    perform queue.hold_work(array(select (x ->> 'attempt_id')::bigint from jsonb_array_elements(p_items) x), true);
    for i in select x.* from jsonb_to_recordset(p_items) x (attempt_id bigint, lease integer) order by x.attempt_id loop
        a := queue.hold(i.attempt_id, i.lease);
        if a.cancel_requested_at is not null then  -- nobody waits for it any more
            perform worker.conclude(jsonb_build_array(jsonb_build_object('attempt_id', a.id, 'lease', a.lease, 'outcome',
                '{"state": "CANCELED", "termination_code": "USER_CANCELED", "message": "canceled; its runner gave it back"}'::jsonb)));
        end if;
        v_answer := v_answer || jsonb_build_array(jsonb_build_object('attempt_id', i.attempt_id, 'released',
            a.cancel_requested_at is not null or queue.requeue(i.attempt_id, i.lease, false)));
    end loop;
    perform queue.pass_on_after(array(select (x ->> 'attempt_id')::bigint from jsonb_array_elements(p_items) x));
    perform callback.relay();
    return v_answer;
end
$$;
comment on function worker.release_attempts(uuid, jsonb) is 'Gives attempts back (drain) without spending a retry or a loss.';
revoke all on function worker.release_attempts(uuid, jsonb) from public;
grant execute on function worker.release_attempts(uuid, jsonb) to runner;

-- Housekeeping of every runner, all of it safe to do twice: reap, deliveries of lost senders, stale staging.
create function worker.tick(p_instance uuid)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_reaped integer := worker.reap();
    v_stopped integer := worker.stop_overdue();
    v_admitted integer := queue.admit_all();
    v_deliveries integer := callback.reap();
    v_jobs_due timestamptz;
    v record;
begin
    perform callback.relay();
    update queue.runners r set seen_at = clock_timestamp() where r.instance = p_instance;
    update queue.runners r set stopped_at = clock_timestamp() where r.stopped_at is null and r.seen_at < clock_timestamp() - interval '10 minutes';
    -- a staging table whose lease is over has no reader any more
    for v in select c.relname, substring(c.relname from '^[io](\d+)_')::bigint as attempt, substring(c.relname from '^[io]\d+_(\d+)_')::integer as lease
             from pg_catalog.pg_class c where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' and c.relname ~ '^[io]\d+_\d+_' loop
        if not exists (select from queue.live_attempts a where a.id = v.attempt and a.lease = v.lease and a.state = 'RUNNING') then
            perform catalog.drop_staging('^' || v.relname || '$');
        end if;
    end loop;
    v_jobs_due := schedule.next_due();
    return (select jsonb_build_object('reaped', v_reaped, 'runs_stopped', v_stopped, 'runs_admitted', v_admitted, 'deliveries_reaped', v_deliveries,
        'unsealed', exists (select from audit.unsealed),
        'jobs_due', coalesce(v_jobs_due <= clock_timestamp(), false),  -- then: worker.fire()
        'depth', (select count(*) from (select from queue.live_attempts a where a.state = 'QUEUED' limit 1000) x),  -- 1000: or more
        'due_in_ms', (  -- null: nothing is due
            select case when x.due is not null then greatest(0, extract(epoch from x.due - clock_timestamp()) * 1000)::bigint end
            from (select least(
                v_jobs_due,
                (select min(a.lease_expires_at) from queue.live_attempts a where a.state = 'RUNNING'),
                (select min(a.ready_at) from queue.live_attempts a where a.state = 'QUEUED' and a.number > 1 and a.ready_at > clock_timestamp()),
                (select min(r.deadline_at) from queue.runs r where r.deadline_at is not null and r.cancel_requested_at is null and r.finished_at is null),
                callback.due()) as due) x)));
end
$$;
comment on function worker.tick(uuid) is 'Reaps lost leases and senders, clears staging; answers with when to come again.';
revoke all on function worker.tick(uuid) from public;
grant execute on function worker.tick(uuid) to runner;

-- --------------------------------------------------------------------------------- uploads of people

create function worker.claim_uploads(p_instance uuid, p_limit integer)
returns setof jsonb language sql security definer set search_path = '' as $$
    with due as materialized (
        select w.tenant_id, w.artifact_id, w.version from artifact.versions w
        where w.state = 'PENDING' and w.uploaded_at is not null and w.attempt_id is null
          and (w.check_expires_at is null or w.check_expires_at < clock_timestamp())
        order by w.uploaded_at limit p_limit for update skip locked
    )
    update artifact.versions w
    set check_lease = w.check_lease + 1, check_expires_at = clock_timestamp() + interval '2 minutes',
        check_token_hash = sha256(convert_to('crck_' || x.secret, 'UTF8'))
    from due d
    cross join lateral (select d.version as v, replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') as secret) x,
         artifact.artifacts a
    where w.tenant_id = d.tenant_id and w.artifact_id = d.artifact_id and w.version = d.version
      and a.tenant_id = d.tenant_id and a.id = d.artifact_id
    returning jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'tenant_id', w.tenant_id, 'bucket', 'artifacts', 'path', w.path,
        'size', w.size, 'sha256', w.sha256, 'kind', a.kind, 'name', a.name, 'content_type', w.content_type, 'lease', w.check_lease,
        'token', 'crck_' || x.secret)
$$;
comment on function worker.claim_uploads(uuid, integer) is 'Uploaded versions whose bytes wait for the check.';
revoke all on function worker.claim_uploads(uuid, integer) from public;
grant execute on function worker.claim_uploads(uuid, integer) to runner;

create function worker.judge_uploads(p_items jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    i record;
    v_done boolean;
    v_answer jsonb := '[]';
begin
    for i in select * from jsonb_to_recordset(p_items) x (artifact_id uuid, version integer, tenant_id uuid, lease integer, verdict text,
                                                          size bigint, sha256 text, findings jsonb)
             order by x.sha256, x.tenant_id, x.artifact_id, x.version loop  -- contents in one order
        -- locked first: a row that its own `select … for update` changes on the way is passed over as already changed
        perform from artifact.versions w
        where w.tenant_id = i.tenant_id and w.artifact_id = i.artifact_id and w.version = i.version and w.check_lease = i.lease for update;
        v_done := found and artifact.judge(i.tenant_id, i.artifact_id, i.version, i.verdict, i.size, i.sha256, i.findings);
        if v_done then
            perform door.tell_origin(i.tenant_id, i.artifact_id, i.version);
        end if;
        v_answer := v_answer || jsonb_build_array(jsonb_build_object('artifact_id', i.artifact_id, 'version', i.version, 'judged', v_done));
    end loop;
    return v_answer;
end
$$;
comment on function worker.judge_uploads(jsonb) is 'PENDING -> READY | REFUSED with findings (line and rule, never the secret).';
revoke all on function worker.judge_uploads(jsonb) from public;
grant execute on function worker.judge_uploads(jsonb) to runner;

-- RLS hides in silence: a runner proves at start that submit, claim and settle work, and leaves nothing behind.
create function worker.canary(p_instance uuid)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_tenant uuid;
    v_run bigint;
    v record;
    v_settled jsonb;
    v_state text := 'nothing done';
begin
    begin
        v_tenant := tenancy.create_tenant('canary_' || substr(md5(p_instance::text), 1, 12), 'canary');
        insert into queue.slots (tenant_id) values (v_tenant);
        select s.run_id into v_run from queue.submit(v_tenant, 'canary', jsonb_build_object('name', 'canary', 'job_type', 'spark_etl', 'priority', 0,
            'tasks', jsonb_build_array(jsonb_build_object('task_key', 'execute', 'job_type', 'spark_etl', 'engine', 'canary', 'spec', 'canary',
                'params', '{}'::jsonb, 'inputs', '[]'::jsonb, 'outputs', '[]'::jsonb, 'secrets', '[]'::jsonb, 'network', false,
                'timeout_seconds', 60, 'max_retries', 0, 'retry_on_timeout', false, 'min_retry_interval_ms', 0, 'depends_on', '[]'::jsonb, 'run_if', 'ALL_SUCCESS')))) s;
        select * into v from queue.claim(p_instance, array['spark_etl/canary'], 1);
        if v.run_id is distinct from v_run then
            v_state := 'the claim did not see the submitted run';
            raise exception using errcode = 'CRCAN';
        end if;
        v_settled := worker.settle_one(jsonb_build_object('attempt_id', v.attempt_id, 'lease', v.lease, 'outcome', jsonb_build_object('state', 'SUCCEEDED')));
        v_state := coalesce(v_settled ->> 'run_state', 'not settled');
        raise exception using errcode = 'CRCAN';  -- takes all of it back
    exception when sqlstate 'CRCAN' then
        null;
    end;
    return jsonb_build_object('ok', v_state = 'SUCCEEDED', 'state', v_state);
end
$$;
comment on function worker.canary(uuid) is 'Submits, claims and settles one run and takes it all back: {ok, state}.';
revoke all on function worker.canary(uuid) from public;
grant execute on function worker.canary(uuid) to runner;

set role postgres;
revoke app_owner, app_system from postgres;
