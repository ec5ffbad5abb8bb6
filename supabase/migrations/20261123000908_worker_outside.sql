-- worker: work that lives outside (n8n …). The outside reports with a token of the attempt, not of a lease: it goes on while one
-- runner is lost and the next one adopts. How it ended is kept here for whoever holds the attempt, who writes it down (Law 7).

grant app_owner, app_system to postgres;
set role app_system;

create table worker.outside (
    attempt_id bigint primary key,
    tenant_id uuid not null,
    token_hash bytea not null,
    report jsonb,  -- the first complete or fail
    opened_at timestamptz not null default clock_timestamp()
);
comment on table worker.outside is 'Confidential: what was reported about live attempts; goes with them, by worker.tidy.';
alter table worker.outside enable row level security;
alter table worker.outside force row level security;
create policy "the worker keeps what comes from outside" on worker.outside for all to app_system using (true) with check (true);

-- A token for the outside, valid until the attempt is settled; null where the work that an earlier lease began goes on with its
-- own. A start that nobody heard of (no external id, no report) gets a new one, and the old one dies.
create function worker.open_outside(p_attempt bigint, p_lease integer, p_workflow text)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    a queue.live_attempts := queue.hold(p_attempt, p_lease);
    v_secret text := encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex');
    v_token text := 'crat_' || p_attempt || '_0_' || v_secret;
begin
    if a.id is null then
        perform ground.fail('STALE_LEASE');
    elsif not tenancy.is_granted(a.tenant_id, 'n8n_workflow', p_workflow) then
        perform ground.fail('WORKFLOW_NOT_GRANTED', left(p_workflow, 128));
    elsif exists (select from worker.outside o where o.attempt_id = a.id and (a.external_id is not null or o.report is not null)) then
        return jsonb_build_object('external_id', a.external_id);
    end if;
    insert into worker.outside as o (attempt_id, tenant_id, token_hash) values (a.id, a.tenant_id, sha256(convert_to(v_token, 'UTF8')))
    on conflict (attempt_id) do update set token_hash = excluded.token_hash, opened_at = clock_timestamp();
    return jsonb_build_object('token', v_token);
end
$$;
comment on function worker.open_outside(bigint, integer, text) is 'A token with which a granted workflow reports on an attempt: {token}, or {external_id} of the work to adopt.';
revoke all on function worker.open_outside(bigint, integer, text) from public;
grant execute on function worker.open_outside(bigint, integer, text) to runner;

create function worker.read_outside(p_items jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
begin
    return (select coalesce(jsonb_agg(jsonb_build_object('attempt_id', i.attempt_id, 'external_id', a.external_id, 'report', o.report)), '[]')
            from jsonb_to_recordset(p_items) i (attempt_id bigint, lease integer)
            join queue.live_attempts a on a.id = i.attempt_id and a.lease = i.lease and a.state = 'RUNNING'
            join worker.outside o on o.attempt_id = a.id);
end
$$;
comment on function worker.read_outside(jsonb) is 'What was reported about attempts that are held under these leases: [{attempt_id, external_id, report}].';
revoke all on function worker.read_outside(jsonb) from public;
grant execute on function worker.read_outside(jsonb) to runner;

-- The end that the outside tells, kept for its runner. False where another end was told before: the first one counts.
create function worker.keep_report(p_attempt bigint, p_report jsonb)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_kept jsonb;
begin
    update queue.live_attempts a set external_id = left(p_report ->> 'external_id', 512)
    where a.id = p_attempt and a.external_id is null and p_report ->> 'external_id' is not null;
    update worker.outside o set report = coalesce(o.report, p_report) where o.attempt_id = p_attempt returning o.report into v_kept;
    perform ground.wake('control_room_outside');
    return v_kept = p_report;
end
$$;
revoke all on function worker.keep_report(bigint, jsonb) from public;

-- Entries of a knowledge base, loaded by this lease. Which collection they go to was submitted, never told by what ran.
create function worker.publish_entries(a queue.live_attempts, p_entries jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    v_staging text := replace(p_entries ->> 'staging', 'staging.', '');
    v_params jsonb := (select p.params from queue.payloads p where p.tenant_id = a.tenant_id and p.task_run_id = a.task_run_id);
    v_collection text := coalesce(v_params ->> 'collection', 'documents');
    v_rows bigint;
begin
    if v_staging not like format('o%s\_%s\_%%', a.id, a.lease) then
        raise exception using errcode = '22023', message = 'these are no entries that this lease has loaded';
    end if;
    v_rows := catalog.publish_entries(a.tenant_id, v_staging, v_collection, coalesce(v_params ->> 'mode', 'merge'), a.run_id);
    if v_rows <> (p_entries ->> 'rows')::bigint then  -- as for tables
        raise exception using errcode = 'CRSTG', message = format('there were %s entries when they were loaded and are %s now', p_entries ->> 'rows', v_rows);
    end if;
    perform schedule.mark(a.tenant_id, tenancy.namespace_of(a.tenant_id), 'catalog.' || v_collection, a.run_id);
end
$$;
revoke all on function worker.publish_entries(queue.live_attempts, jsonb) from public;

-- What was told about attempts that are over.
create function worker.forget_outside()
returns integer language plpgsql set search_path = '' as $$
declare
    n integer;
begin
    delete from worker.outside o where not exists (select from queue.live_attempts a where a.id = o.attempt_id);
    get diagnostics n = row_count;
    return n;
end
$$;
revoke all on function worker.forget_outside() from public;

set role postgres;
revoke app_owner, app_system from postgres;
