-- public: success figures, and the doors without a tenant's JWT: attempts' tokens, health, the platform's operator.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- ---------------------------------------------------------------------------------- success figures

-- What a tenant got of all this in the last hours. A failure that was the code's own is no failure of ours; a callback is brought to an end when
-- it was delivered, when every try has failed, or when its endpoint is gone.
create function door.figures(p_tenant uuid, p_hours integer)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_since timestamptz := clock_timestamp() - make_interval(hours => p_hours);
    r record;
    f record;
    d record;
begin
    select count(*) as finished, count(*) filter (where x.state = 'SUCCEEDED') as succeeded,
           count(*) filter (where x.state <> 'SUCCEEDED') as failed,
           count(*) filter (where c.fault = 'platform') as platform_failed,
           avg(extract(epoch from x.finished_at - x.started_at) * 1000) filter (where x.state = 'SUCCEEDED') as mean_ms,
           avg(extract(epoch from x.started_at - x.created_at) * 1000) filter (where x.started_at is not null) as wait_ms
    into r from queue.runs x left join queue.termination_codes c on c.code = x.termination_code
    where x.tenant_id = p_tenant and x.finished_at >= v_since;
    select count(*) as flows, count(*) filter (where x.known) as covered into f from door.flows_due(p_tenant, v_since) x;
    select count(*) as owed, count(*) filter (where x.finished_at is not null) as ended, count(*) filter (where x.state = 'DELIVERED') as delivered,
           count(*) filter (where x.state = 'DEAD') as dead, count(*) filter (where x.state = 'GONE') as gone
    into d from callback.deliveries x where x.tenant_id = p_tenant and x.created_at >= v_since;
    return jsonb_build_object(
        'window_hours', p_hours,
        'runs', jsonb_build_object('finished', r.finished, 'succeeded', r.succeeded, 'failed', r.failed, 'failed_by_platform', r.platform_failed),
        'success_rate', case when r.finished > 0 then round(r.succeeded::numeric / r.finished, 6) end,
        'success_rate_platform', case when r.finished > 0 then round(1 - r.platform_failed::numeric / r.finished, 6) end,
        'mean_execution_ms', round(r.mean_ms), 'mean_wait_ms', round(r.wait_ms),
        'lineage', jsonb_build_object('flows', f.flows, 'covered', f.covered),
        'lineage_coverage', case when f.flows > 0 then round(f.covered::numeric / f.flows, 6) end,
        'deliveries', jsonb_build_object('owed', d.owed, 'delivered', d.delivered, 'dead', d.dead, 'gone', d.gone, 'pending', d.owed - d.ended),
        'callback_delivery', case when d.owed > 0 then round(d.ended::numeric / d.owed, 6) end,
        'targets', jsonb_build_object('success_rate_platform', 0.99, 'mean_execution_ms', 300000, 'lineage_coverage', 1, 'callback_delivery', 1));
end
$$;
revoke all on function door.figures(uuid, integer) from public;
grant execute on function door.figures(uuid, integer) to app_system;

create function door.slo(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
begin
    return door.figures(v_member.tenant_id, job.check_integer(coalesce(p, '{}'), 'window_hours', '$', 1, 8760, 24)::integer);
end
$$;
revoke all on function door.slo(jsonb) from public;
grant execute on function door.slo(jsonb) to authenticated;

create function public.slo(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.slo($1); end $$;
comment on function public.slo(jsonb) is '{window_hours?} -> success rate (platform apart from user code), mean execution time, lineage coverage, callback delivery.';
revoke all on function public.slo(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.slo(jsonb) to authenticated;

-- --------------------------------------------------------------------- doors without a tenant's JWT

set role app_system;

-- An access token of ours for a JWT of ten minutes: the edge function asks, with nobody's rights.
create function door.exchange_token(p jsonb)
returns jsonb language sql volatile security definer set search_path = '' as $$ select tenancy.open_access_token(p ->> 'token') $$;
revoke all on function door.exchange_token(jsonb) from public;
grant execute on function door.exchange_token(jsonb) to anon;

-- The attempt a token stands for, locked. One of a lease is dead once the attempt is settled, released or claimed anew; one that was
-- given to the outside (lease 0), where it is allowed, lives until the attempt is settled.
create function door.held_attempt(p_token text, p_outside boolean)
returns queue.live_attempts language plpgsql volatile set search_path = '' as $$
declare
    a queue.live_attempts;
begin
    if p_outside and p_token ~ '^crat_[0-9]{1,18}_0_[0-9a-f]{64}$' then
        select x.* into a from worker.outside o join queue.live_attempts x on x.id = o.attempt_id
        where o.attempt_id = split_part(p_token, '_', 2)::bigint and o.token_hash = sha256(convert_to(p_token, 'UTF8')) for update of x;
    elsif p_token ~ '^crat_[0-9]{1,18}_[0-9]{1,9}_[0-9a-f]{64}$' then
        select x.* into a from queue.live_attempts x
        where x.id = split_part(p_token, '_', 2)::bigint and x.lease = split_part(p_token, '_', 3)::integer and x.state = 'RUNNING'
          and x.token_hash = sha256(convert_to(p_token, 'UTF8')) for update;
    end if;
    if a.id is null then
        perform ground.fail('ATTEMPT_TOKEN_INVALID');
    end if;
    return a;
end
$$;
revoke all on function door.held_attempt(text, boolean) from public;

-- What an executor outside tells of its attempt, with the attempt's token as its only right: progress, complete or fail.
create function door.attempt_report(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token', true);
    v record;
    v_outcome jsonb;
    v_accepted boolean := true;
begin
    perform ground.refuse_deep(p);
    case p ->> 'event'
        when 'progress' then
            select * into v from queue.report(a.id, a.lease, job.check_integer(p, 'percent', '$', 0, 100, null)::integer, left(p ->> 'message', 500),
                                              left(p ->> 'external_id', 512), null);
            if v.advanced then
                perform callback.announce_progress(a.tenant_id, a.run_id);
            end if;
        when 'complete' then
            if jsonb_typeof(p -> 'result') not in ('object', 'null') then
                perform ground.fail('FIELD_INVALID', '$.result', 'result is an object.');
            end if;
            v_outcome := jsonb_build_object('state', 'SUCCEEDED', 'termination_code', 'SUCCESS', 'values', coalesce(p -> 'result', '{}'));
        when 'fail' then
            if jsonb_typeof(p -> 'retryable') not in ('boolean', 'null') then
                perform ground.fail('FIELD_INVALID', '$.retryable', 'retryable is true or false.');
            end if;
            v_outcome := jsonb_build_object('state', 'FAILED', 'termination_code', 'USER_CODE_FAILED', 'message', left(p ->> 'error', 2000),
                                            'retryable', coalesce((p ->> 'retryable')::boolean, false));
        else
            perform ground.fail('FIELD_INVALID', '$.event', 'event is progress, complete or fail.');
    end case;
    if v_outcome is not null then  -- progress is told by the run itself
        if exists (select from worker.outside o where o.attempt_id = a.id) then  -- a runner waits for it, and writes down what became of it
            v_accepted := worker.keep_report(a.id, p - 'token');
        else
            perform worker.settle_one(jsonb_build_object('attempt_id', a.id, 'lease', a.lease, 'outcome', v_outcome));
        end if;
        perform audit.append(a.tenant_id, 'attempt.' || (p ->> 'event'), 'attempt', a.id::text, jsonb_build_object('run_id', a.run_id, 'lease', a.lease), 'attempt:' || a.id);
    end if;
    perform queue.pass_on_after(array[a.id]);
    perform callback.relay();
    return jsonb_build_object('accepted', v_accepted, 'cancel_requested', a.cancel_requested_at is not null);
end
$$;
revoke all on function door.attempt_report(jsonb) from public;
grant execute on function door.attempt_report(jsonb) to anon;

-- Reserves an artifact version for the attempt that the token stands for.
create function door.attempt_artifact(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token', false);
    w artifact.versions;
    v_job text;
begin
    if jsonb_typeof(p -> 'size') is distinct from 'number' or p ->> 'size' !~ '^[0-9]{1,15}$' then
        perform ground.fail('FIELD_INVALID', '$.size', 'size must be the number of bytes.');
    end if;
    -- versions grow under the job's name; what a one-time run makes stands under the run
    select j.name into v_job from queue.runs r join job.jobs j on j.tenant_id = r.tenant_id and j.id = r.job_id
    where r.tenant_id = a.tenant_id and r.id = a.run_id;
    w := artifact.open_version(a.tenant_id, (select r.created_by from queue.runs r where r.tenant_id = a.tenant_id and r.id = a.run_id),
        coalesce('jobs/' || v_job, 'runs/' || a.run_id) || '/' || (p ->> 'name'), p ->> 'kind', (p ->> 'size')::bigint, p ->> 'sha256',
        left(p ->> 'content_type', 200), null, null, worker.provenance(a), a.run_id, a.id, a.lease);
    perform audit.append(a.tenant_id, 'artifact.create', 'artifact', w.artifact_id::text, jsonb_build_object('version', w.version, 'size', w.size), 'attempt:' || a.id);
    perform ground.answer_status(201);
    return (select jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'name', x.name, 'bucket', 'artifacts', 'path', w.path, 'size', w.size)
            from artifact.artifacts x where x.tenant_id = w.tenant_id and x.id = w.artifact_id);
end
$$;
revoke all on function door.attempt_artifact(jsonb) from public;
grant execute on function door.attempt_artifact(jsonb) to anon;

create function door.attempt_input(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token', true);
    i jsonb;
    w artifact.versions;
begin
    if p ->> 'name' = '.code' then
        select y.code into i from queue.payloads y where y.tenant_id = a.tenant_id and y.task_run_id = a.task_run_id and y.code ? 'artifact_id';
    else
        select x into i from queue.payloads y cross join jsonb_array_elements(y.inputs) x
        where y.tenant_id = a.tenant_id and y.task_run_id = a.task_run_id and x ->> 'name' = p ->> 'name' and x ? 'artifact_id';
    end if;
    if i is null then
        perform ground.fail('INPUT_UNKNOWN', left(p ->> 'name', 128));
    end if;
    w := artifact.ready_version(a.tenant_id, (i ->> 'artifact_id')::uuid, (i ->> 'version')::integer);
    if w.path is null then
        perform ground.fail('ARTIFACT_NOT_READY', left(p ->> 'name', 128));
    end if;
    return (select jsonb_build_object('bucket', 'artifacts', 'path', w.path, 'filename', regexp_replace(x.name, '^.*/', ''), 'artifact_name', x.name,
                'version', w.version, 'size', w.size, 'sha256', w.sha256)
            from artifact.artifacts x where x.tenant_id = w.tenant_id and x.id = w.artifact_id);
end
$$;
revoke all on function door.attempt_input(jsonb) from public;
grant execute on function door.attempt_input(jsonb) to anon;

-- The bytes of one upload, for the runner that holds its check.
create function door.check_bytes(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    v_path text;
begin
    select w.path into v_path from artifact.versions w
    where w.check_token_hash = sha256(convert_to(p ->> 'token', 'UTF8')) and w.state = 'PENDING' and w.check_expires_at > clock_timestamp();
    if v_path is null then
        perform ground.fail('CHECK_TOKEN_INVALID');
    end if;
    return jsonb_build_object('bucket', 'artifacts', 'path', v_path);
end
$$;
revoke all on function door.check_bytes(jsonb) from public;
grant execute on function door.check_bytes(jsonb) to anon;

create function door.health()
returns jsonb language sql stable security definer set search_path = '' as $$
    with live as (
        select r.* from queue.runners r where r.stopped_at is null and r.seen_at > clock_timestamp() - interval '1 minute'
    )
    select jsonb_build_object('status', case when exists (select from live) then 'ok' else 'no_runner' end,
        'database', 'ok', 'time', clock_timestamp(),
        'runners', (select coalesce(jsonb_agg(jsonb_build_object('offers', l.offers, 'sandbox', l.sandbox, 'seen_at', l.seen_at, 'version', l.version)), '[]') from live l))
$$;
revoke all on function door.health() from public;
grant execute on function door.health() to anon, authenticated, service_role;

-- Makes a tenant with its layers and its counter; the slug is for good.
create function door.platform_create_tenant(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_id uuid;
begin
    perform ground.refuse_unknown(p, array['slug', 'name']);
    if coalesce(p ->> 'slug', '') !~ '^[a-z][a-z0-9_]{0,40}$' then
        perform ground.fail('FIELD_INVALID', '$.slug', 'slug is [a-z][a-z0-9_]{0,40}.');
    elsif length(coalesce(p ->> 'name', p ->> 'slug')) not between 1 and 200 then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is 1 to 200 characters.');
    end if;
    v_id := tenancy.create_tenant(p ->> 'slug', p ->> 'name');
    insert into queue.slots (tenant_id) values (v_id);
    perform catalog.open_layers(p ->> 'slug');
    perform catalog.sync(v_id);
    perform audit.append(v_id, 'tenant.create', 'tenant', p ->> 'slug');
    perform ground.answer_status(201);
    return jsonb_build_object('tenant_id', v_id, 'slug', p ->> 'slug');
end
$$;
revoke all on function door.platform_create_tenant(jsonb) from public;
grant execute on function door.platform_create_tenant(jsonb) to service_role;

-- Sets what a tenant may have at once, how long and how much is kept, and how its code is validated; what is not said stays.
create function door.platform_set_limits(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
    l tenancy.limits;
begin
    perform ground.refuse_unknown(p, array['tenant', 'max_running', 'timeout_seconds', 'max_retries', 'max_executors', 'max_artifact_bytes', 'max_stored_bytes', 'artifact_retention_days', 'retention_days', 'validation_policy', 'validation_fail_on']);
    update tenancy.limits x
    set max_running = job.check_integer(p, 'max_running', '$', 0, 100000, x.max_running),
        timeout_seconds = job.check_integer(p, 'timeout_seconds', '$', 1, 86400, x.timeout_seconds),
        max_retries = job.check_integer(p, 'max_retries', '$', 0, 10, x.max_retries),
        max_executors = job.check_integer(p, 'max_executors', '$', 0, 100, x.max_executors),
        max_artifact_bytes = job.check_integer(p, 'max_artifact_bytes', '$', 0, 52428800, x.max_artifact_bytes),
        max_stored_bytes = job.check_integer(p, 'max_stored_bytes', '$', 0, 1125899906842624, x.max_stored_bytes),
        artifact_retention_days = case when p -> 'artifact_retention_days' = 'null' then null
                                       else job.check_integer(p, 'artifact_retention_days', '$', 1, 3650, x.artifact_retention_days) end,
        retention_days = job.check_integer(p, 'retention_days', '$', 7, 3650, x.retention_days)
    where x.tenant_id = t.id returning x.* into l;
    if p ? 'validation_policy' and coalesce(p ->> 'validation_policy', '') not in ('off', 'warn', 'enforce') then
        perform ground.fail('FIELD_INVALID', '$.validation_policy');
    elsif p ? 'validation_fail_on' and coalesce(p ->> 'validation_fail_on', '') not in ('error', 'warning', 'note') then
        perform ground.fail('FIELD_INVALID', '$.validation_fail_on');
    end if;
    update tenancy.tenants x
    set validation_policy = coalesce(p ->> 'validation_policy', x.validation_policy), validation_fail_on = coalesce(p ->> 'validation_fail_on', x.validation_fail_on)
    where x.id = t.id and (p ? 'validation_policy' or p ? 'validation_fail_on');
    perform audit.append(t.id, 'tenant.set_limits', 'tenant', t.slug, p);
    return to_jsonb(l);
end
$$;
revoke all on function door.platform_set_limits(jsonb) from public;
grant execute on function door.platform_set_limits(jsonb) to service_role;

-- Grants a tenant a named thing of the runners' environment: target, secret, model, image, namespace, network, n8n_workflow.
create function door.platform_grant(p jsonb, p_give boolean)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
begin
    perform ground.refuse_unknown(p, array['tenant', 'kind', 'name']);
    if coalesce(p ->> 'kind', '') not in ('secret', 'target', 'namespace', 'model', 'image', 'unpinned_image', 'network', 'n8n_workflow') or length(coalesce(p ->> 'name', '')) not between 1 and 256 then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind is secret, target, namespace, model, image, unpinned_image, network or n8n_workflow; name is what the runner''s environment calls it.');
    end if;
    if p_give then
        insert into tenancy.grants (tenant_id, kind, name) values (t.id, p ->> 'kind', p ->> 'name') on conflict do nothing;
    else
        delete from tenancy.grants g where g.tenant_id = t.id and g.kind = p ->> 'kind' and g.name = p ->> 'name';
    end if;
    perform audit.append(t.id, case when p_give then 'tenant.grant' else 'tenant.revoke' end, 'grant', (p ->> 'kind') || '/' || (p ->> 'name'));
    return p || jsonb_build_object('granted', p_give);
end
$$;
revoke all on function door.platform_grant(jsonb, boolean) from public;
grant execute on function door.platform_grant(jsonb, boolean) to service_role;

-- Makes a user a member, or gives a member another role.
create function door.platform_add_member(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
begin
    perform ground.refuse_unknown(p, array['tenant', 'user_id', 'role']);
    if coalesce(p ->> 'role', '') not in ('viewer', 'operator', 'admin') or length(coalesce(p ->> 'user_id', '')) not between 1 and 128 then
        perform ground.fail('FIELD_INVALID', '$.role', 'role is viewer, operator or admin; user_id is 1 to 128 characters.');
    end if;
    perform tenancy.lock_members(t.id);
    insert into tenancy.members (tenant_id, user_id, role) values (t.id, p ->> 'user_id', (p ->> 'role')::ground.member_role)
    on conflict (tenant_id, user_id) do update set role = excluded.role;
    perform audit.append(t.id, 'member.set', 'member', p ->> 'user_id', jsonb_build_object('role', p ->> 'role'));
    return jsonb_build_object('tenant_id', t.id, 'user_id', p ->> 'user_id', 'role', p ->> 'role');
end
$$;
revoke all on function door.platform_add_member(jsonb) from public;
grant execute on function door.platform_add_member(jsonb) to service_role;

-- Removes a member: with the next request on every door.
create function door.platform_remove_member(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    t tenancy.tenants := tenancy.find_tenant(p ->> 'tenant');
begin
    perform tenancy.lock_members(t.id);
    delete from tenancy.members m where m.tenant_id = t.id and m.user_id = p ->> 'user_id';
    if not found then
        perform ground.fail('MEMBER_NOT_FOUND');
    end if;
    perform audit.append(t.id, 'member.remove', 'member', p ->> 'user_id');
    return jsonb_build_object('tenant_id', t.id, 'user_id', p ->> 'user_id', 'removed', true);
end
$$;
revoke all on function door.platform_remove_member(jsonb) from public;
grant execute on function door.platform_remove_member(jsonb) to service_role;

-- Bounds which private networks admins may open to callbacks; without a tenant for all.
create function door.platform_allow_callbacks(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_network cidr;
    v_ports integer[] := callback.want_ports(p);
    v_tenant uuid := case when p ? 'tenant' then (tenancy.find_tenant(p ->> 'tenant')).id end;
begin
    perform ground.refuse_unknown(p, array['cidr', 'ports', 'tenant']);
    begin
        v_network := coalesce(p ->> 'cidr', '')::cidr;
    exception when invalid_text_representation then
        perform ground.fail('FIELD_INVALID', '$.cidr', 'cidr is a network such as 10.1.0.0/16.');
    end;
    if callback.never_opened(v_network) then
        perform ground.fail('FIELD_INVALID', '$.cidr', 'link local, multicast and the unspecified are never opened, nor a network that holds them.');
    end if;
    delete from callback.allowed_networks n where n.tenant_id is not distinct from v_tenant and n.network = v_network and n.ports is distinct from v_ports;
    insert into callback.allowed_networks (tenant_id, network, ports, created_by) values (v_tenant, v_network, v_ports, 'platform') on conflict do nothing;
    perform audit.append(v_tenant, 'callback.allow', 'network', v_network::text, jsonb_build_object('ports', v_ports));
    return jsonb_build_object('cidr', v_network, 'ports', v_ports, 'tenant', p -> 'tenant');
end
$$;
revoke all on function door.platform_allow_callbacks(jsonb) from public;
grant execute on function door.platform_allow_callbacks(jsonb) to service_role;

set role app_owner;
revoke create on schema door from app_system;

create function public.exchange_token(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.exchange_token($1); end $$;
comment on function public.exchange_token(jsonb) is '{token: "cr_…"} -> {tenant_id, user_id, role, token_id, expires_at}; the edge door makes a short JWT of it.';
revoke all on function public.exchange_token(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.exchange_token(jsonb) to anon;

create function public.attempt_report(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_report($1); end $$;
comment on function public.attempt_report(jsonb) is '{token, event: progress|complete|fail, percent?, message?, result?, error?, external_id?} of an executor outside.';
revoke all on function public.attempt_report(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_report(jsonb) to anon;

create function public.attempt_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_artifact($1); end $$;
comment on function public.attempt_artifact(jsonb) is '{token, name, kind, size, sha256} -> where the attempt may put the bytes.';
revoke all on function public.attempt_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_artifact(jsonb) to anon;

create function public.attempt_input(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_input($1); end $$;
comment on function public.attempt_input(jsonb) is '{token, name} -> where the bytes of an input lie; name ".code" for code by artifact.';
revoke all on function public.attempt_input(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_input(jsonb) to anon;

create function public.check_bytes(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.check_bytes($1); end $$;
comment on function public.check_bytes(jsonb) is '{token: "crck_…"} -> where the bytes of an upload under check lie.';
revoke all on function public.check_bytes(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.check_bytes(jsonb) to anon;

create function public.health(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.health(); end $$;
comment on function public.health(jsonb) is 'Whether the parts behind the door answer; no tenant''s data.';
revoke all on function public.health(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.health(jsonb) to anon, authenticated, service_role;

create function public.platform_create_tenant(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_create_tenant($1); end $$;
comment on function public.platform_create_tenant(jsonb) is 'Platform operator: {slug, name?} -> {tenant_id, slug}, with its three layers.';
revoke all on function public.platform_create_tenant(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_create_tenant(jsonb) to service_role;

create function public.platform_set_limits(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_set_limits($1); end $$;
comment on function public.platform_set_limits(jsonb) is 'Platform operator: {tenant, max_running?, timeout_seconds?, max_retries?, max_executors?, max_artifact_bytes?, max_stored_bytes?, artifact_retention_days? (null: for ever), retention_days?, validation_policy?, validation_fail_on?}.';
revoke all on function public.platform_set_limits(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_set_limits(jsonb) to service_role;

create function public.platform_grant(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_grant($1, true); end $$;
comment on function public.platform_grant(jsonb) is 'Platform operator: {tenant, kind, name}: the tenant may use a named thing of the runner''s environment.';
revoke all on function public.platform_grant(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_grant(jsonb) to service_role;

-- Takes a grant back: from the next claim on.
create function public.platform_revoke(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_grant($1, false); end $$;
comment on function public.platform_revoke(jsonb) is 'Platform operator: {tenant, kind, name}: takes the grant back.';
revoke all on function public.platform_revoke(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_revoke(jsonb) to service_role;

create function public.platform_add_member(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_add_member($1); end $$;
comment on function public.platform_add_member(jsonb) is 'Platform operator: {tenant, user_id, role}; sets the role of one who is a member.';
revoke all on function public.platform_add_member(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_add_member(jsonb) to service_role;

create function public.platform_remove_member(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_remove_member($1); end $$;
comment on function public.platform_remove_member(jsonb) is 'Platform operator: {tenant, user_id}.';
revoke all on function public.platform_remove_member(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_remove_member(jsonb) to service_role;

create function public.platform_allow_callbacks(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.platform_allow_callbacks($1); end $$;
comment on function public.platform_allow_callbacks(jsonb) is 'Platform operator: {cidr, ports?, tenant?}: the bound within which admins may open private networks to callbacks.';
revoke all on function public.platform_allow_callbacks(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.platform_allow_callbacks(jsonb) to service_role;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
