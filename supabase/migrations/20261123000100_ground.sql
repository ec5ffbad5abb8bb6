-- ground: roles, default revokes, readers of JWT claims, error codes. Knows nothing.
--
-- Every room belongs to app_owner, a NOLOGIN role without BYPASSRLS that nobody in operation is a member of.
-- A migration becomes a member for its own length: grant, set role, …, set role postgres, revoke.

do $roles$
declare
    r text;
begin
    foreach r in array array['viewer', 'operator', 'admin', 'app_owner', 'app_system', 'loader'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = r) then
            execute format('create role %I nologin noinherit', r);
        end if;
    end loop;
    if not exists (select from pg_catalog.pg_roles where rolname = 'runner') then
        create role runner login noinherit;  -- its password is given by the operator, never by a migration
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'scaler') then
        create role scaler login noinherit;  -- an autoscaler's: asks worker.demand() and nothing else
    end if;
end
$roles$;

-- the chain lets grants and policies be written for `authenticated` once
alter role viewer inherit;
alter role operator inherit;
alter role admin inherit;
-- What is asked ends when nobody waits for it any more. Hosted Supabase says so of anon (3 s), authenticated and authenticator (8 s);
-- the runner waits for a publication for half an hour, and holds no transaction while it thinks.
alter role viewer set statement_timeout = '8s';
alter role operator set statement_timeout = '8s';
alter role admin set statement_timeout = '8s';
alter role runner set statement_timeout = '30min';
alter role runner set idle_in_transaction_session_timeout = '1min';
-- A runner's sessions live for weeks and keep their plans. One that was made while a table was small would read it from end to end ever
-- after (until the table is analyzed, and a new week of history is none yet); and a plan that cannot do otherwise is no reason to compile it.
alter role runner set enable_seqscan = off;
alter role runner set jit = off;
grant authenticated to viewer;
grant viewer to operator;
grant operator to admin;
grant viewer, operator, admin to authenticator;
-- COPY into staging is the one thing the runner does outside worker.*; it says `set role loader` for it
grant loader to runner;

grant app_owner, app_system to postgres;
-- app_system owns the cross-tenant verbs and the tenants' layers; it drops the staging tables it made
do $layers$
begin
    execute format('grant create on database %I to app_owner, app_system', current_database());
end
$layers$;
alter default privileges for role postgres revoke execute on functions from public;
alter default privileges for role app_owner revoke execute on functions from public;
alter default privileges for role app_system revoke execute on functions from public;

create schema ground authorization app_owner;
set role app_owner;
grant usage on schema ground to anon, authenticated, service_role, app_system, runner, supabase_auth_admin;

-- ---------------------------------------------------------------------------------------------- words

create type ground.member_role as enum ('viewer', 'operator', 'admin');  -- ordered: a later label may more

create domain ground.slug as text check (value ~ '^[a-z][a-z0-9_]{0,40}$');
create domain ground.label as text check (value ~ '^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$');
create domain ground.sha256 as text check (value ~ '^[0-9a-f]{64}$');

-- --------------------------------------------------------------------------------------------- errors

create table ground.error_codes (
    code text primary key check (code ~ '^[A-Z][A-Z0-9_]+$'),
    status integer not null check (status between 400 and 599),
    meaning text not null,
    mend text not null
);
comment on table ground.error_codes is 'Every error of ours, on both doors; docs/errors.md is made from it.';

insert into ground.error_codes (code, status, meaning, mend) values
('TOKEN_MISSING', 401, 'The request carries no bearer token.', 'Send Authorization: Bearer <token>.'),
('TOKEN_INVALID', 401, 'The token cannot be verified.', 'Get a new token; check signature, algorithm and expiry.'),
('TENANT_MISSING', 401, 'The token names no tenant.', 'Use a token whose claims carry tenant_id (a UUID) and user_id or sub.'),
('MEMBERSHIP_MISSING', 403, 'The user is no member of the tenant that the token names.', 'Ask an admin of the tenant for membership.'),
('ROLE_INSUFFICIENT', 403, 'The member''s role may not do this.', 'Ask an admin of the tenant for the role named in details.'),
('SERVICE_ONLY', 403, 'Only the platform operator may do this.', 'Call it with the service role.'),
('RATE_LIMITED', 429, 'Too many requests.', 'Wait for the seconds in Retry-After.'),
('BODY_INVALID', 400, 'The body is no JSON of the expected form.', 'Send a JSON object with Content-Type: application/json.'),
('BODY_TOO_LARGE', 413, 'The body is larger than this door accepts.', 'Upload bytes by signed URL, send batches in parts.'),
('ROUTE_NOT_FOUND', 404, 'There is no such path.', 'See /api/v1/openapi.json.'),
('METHOD_NOT_ALLOWED', 405, 'The path exists, the method does not.', 'See the Allow header.'),
('ENCODING_UNSUPPORTED', 415, 'The body is compressed in a way this door does not read.', 'Send it plain, or with Content-Encoding gzip or deflate.'),
('NOT_CONFIGURED', 501, 'This deployment lacks a function secret that the route needs.', 'Set the variable that details names, with supabase secrets set.'),
('STORAGE_FAILED', 502, 'Storage refused or failed.', 'Try again; if it stays, check that the bucket exists and that the service key is right.'),
('UPSTREAM_TIMEOUT', 504, 'A part behind this door took too long.', 'Ask for less at once (limit, depth), or try again.'),
('UPSTREAM_UNAVAILABLE', 503, 'A part behind this door does not answer.', 'Try again; GET /api/v1/health tells which part.'),
('INTERNAL_ERROR', 500, 'A fault of ours.', 'Report the request id; nothing was half-written.'),
('FIELD_UNKNOWN', 400, 'The request has a field that is not known.', 'Remove or correct the field at the path in details.'),
('FIELD_INVALID', 400, 'A field has a value that is not allowed.', 'Correct the field at the path in details.'),
('JOB_TYPE_UNKNOWN', 400, 'There is no such job type.', 'Use one of the job types in the hint.'),
('ENGINE_UNKNOWN', 400, 'The job type has no such engine.', 'Leave engine out, or use one of the hint.'),
('SPEC_MISSING', 400, 'Every run carries a spec.', 'Say in a sentence or more what the run is for, in spec.'),
('CODE_MISSING', 400, 'The job type needs code that is sent.', 'Send code.files, or code.artifact_id.'),
('CODE_TOO_LARGE', 413, 'Inline code is larger than 1 MiB.', 'Upload it as an artifact of kind code and name code.artifact_id.'),
('MODEL_NOT_GRANTED', 422, 'No code was sent and no model that could write it is granted to the tenant.', 'Send code, or ask the platform operator to grant a model.'),
('MODEL_NOT_CONFIGURED', 422, 'No code was sent, and no runner has the model that would write it.', 'Send code, or have a runner started whose CONTROL_ROOM_CONTINUE_CONFIG names the model.'),
('SECRET_NOT_GRANTED', 403, 'The tenant was not granted a secret of that name.', 'Ask the platform operator to grant it.'),
('WORKFLOW_NOT_GRANTED', 403, 'The tenant was not granted an n8n workflow of that name.', 'Ask the platform operator to grant it: kind n8n_workflow.'),
('TARGET_MISSING', 400, 'A migration names the database that it changes.', 'Give params.target the name of a target that was granted.'),
('TARGET_NOT_GRANTED', 403, 'The tenant was not granted a target of that name.', 'Ask the platform operator to grant it: kind target.'),
('NETWORK_NOT_GRANTED', 403, 'The tenant was not granted network access for jobs.', 'Ask the platform operator to grant it.'),
('EXECUTORS_OUT_OF_RANGE', 400, 'A task has at least one executor, and at most as many as its tenant may have for one attempt.', 'Ask for as many as the hint says, or ask the platform operator for more: max_executors.'),
('IMAGE_NOT_GRANTED', 403, 'The tenant was not granted that image.', 'Ask the platform operator to grant it, or its repository: kind image.'),
('IMAGE_UNPINNED', 403, 'The image has no digest, and so may be another one tomorrow; the tenant may not use such.', 'Name it by its digest, registry/name@sha256:…, or ask the platform operator for the grant unpinned_image of its repository.'),
('TIMEOUT_OUT_OF_RANGE', 400, 'timeout_seconds must be a whole number from 1 to 86400.', 'Use a number in that range.'),
('INPUT_NOT_FOUND', 404, 'An input names an artifact or table that is not there.', 'Upload the artifact first, or run the job that makes the table.'),
('INPUT_URI_REFUSED', 400, 'The uri of an input names nothing that is read, or this job type reads none.', 'Use odoo://<target>/<model> or postgres://<target>/<schema>.<table>, or upload the bytes and name artifact_id.'),
('WATERMARK_UNFIT', 422, 'The table that an input reads on from has no such column with times.', 'Write the watermark into it as a timestamp under its own name, or name another in read.watermark.'),
('CALLBACK_URL_INVALID', 400, 'The callback URL is not an http(s) URL that can be called.', 'Use https://host/path without user, password or fragment.'),
('CALLBACK_ADDRESS_DENIED', 400, 'The callback URL points at a private or special address, or at a port where no receiver is.', 'Use a public address and an ordinary port, or have an admin allow the network and its ports within the platform''s bounds.'),
('IDEMPOTENCY_KEY_INVALID', 400, 'idempotency_key must be 1 to 128 characters.', 'Use a shorter key.'),
('RUN_NOT_FOUND', 404, 'The tenant has no such run.', 'Check run_id; GET /api/v1/runs lists yours.'),
('HISTORY_EXPIRED', 410, 'The run is older than what the tenant keeps: its log, events, code and parameters are gone.', 'How it ended is still in GET /api/v1/runs/{id}; ask the platform operator to keep history for longer.'),
('RUN_ACTIVE', 409, 'The run has not ended.', 'Wait until it has ended, or cancel it first.'),
('REPAIR_CONFLICT', 409, 'The run was repaired by somebody else meanwhile.', 'Look at the run, and name the latest_repair_id that it shows.'),
('NOTHING_TO_REPAIR', 409, 'No task of the run is to be done again.', 'Name tasks in rerun_tasks; GET /api/v1/runs/{run_id} lists them.'),
('TASK_NOT_FOUND', 404, 'The run has no such task.', 'Use the task_key of a task of the run; iterations are done again with their for_each.'),
('RUN_FINISHED', 409, 'The run has already ended.', 'Nothing is to be done; submit a new run to run again.'),
('JOB_NOT_FOUND', 404, 'The tenant has no such job.', 'Check job_id; GET /api/v1/jobs lists yours.'),
('BACKFILL_NOT_FOUND', 404, 'The job has no such backfill.', 'Check backfill_id; GET /api/v1/jobs/{job_id}/backfills lists them.'),
('BACKFILL_TOO_LARGE', 400, 'A backfill has 1 to 1000 values.', 'Correct the range, or split it.'),
('JOB_NAME_TAKEN', 409, 'A job of that name exists.', 'Choose another name or PATCH the job that has it.'),
('JOB_OWNED', 409, 'The job belongs to another source.', 'Apply it from the source in details, or take it over: adopt (control-room apply --adopt).'),
('JOB_IN_USE', 409, 'Another job starts it.', 'Take the run_job task out of that job first, or keep both.'),
('JOB_GRAPH_INVALID', 400, 'The tasks do not form a graph without cycles.', 'Correct depends_on at the path in details.'),
('TRIGGER_LOOP', 400, 'The job writes a dataset that would start it again.', 'Take the dataset out of trigger.datasets, or let another job write it.'),
('JOB_HAS_NO_CLOCK', 409, 'The job has nothing that starts it by itself.', 'Give it a schedule, periodic or trigger with PATCH /api/v1/jobs/{job_id}.'),
('TENANT_SUSPENDED', 403, 'The tenant is suspended.', 'Ask the platform operator.'),
('REFERENCE_INVALID', 400, 'A {{reference}} is known to lead nowhere.', 'Correct it at the path in details; docs/jobs.md lists what can be referred to.'),
('ARTIFACT_NOT_FOUND', 404, 'The tenant has no such artifact.', 'Check artifact_id; GET /api/v1/artifacts lists yours.'),
('ARTIFACT_TOO_LARGE', 413, 'An artifact may have at most the bytes of the tenant''s limit (50 MiB unless set).', 'Split it, or keep it outside and register where it is.'),
('ARTIFACT_NOT_READY', 409, 'The artifact has no version that is READY.', 'Wait until the check has ended, or upload it again if it was refused.'),
('ARTIFACT_QUOTA_EXCEEDED', 409, 'The tenant''s quota of stored bytes is used up.', 'Delete artifacts, or ask the platform operator for more; GET /api/v1/artifacts/usage tells how much is used.'),
('ARTIFACT_BYTES_GONE', 410, 'The version is on record, but its bytes are kept no more.', 'See gone in GET /api/v1/artifacts/{artifact_id}; upload them again if they are needed.'),
('ALIAS_NOT_FOUND', 404, 'The artifact has no such alias.', 'GET /api/v1/artifacts/{artifact_id} lists its aliases.'),
('ALIAS_MOVED', 409, 'The alias points elsewhere than was said.', 'Look at the artifact again, and say in was where the alias points now.'),
('ARTIFACT_STATE_INVALID', 409, 'The artifact version is final and cannot change.', 'Upload a new version.'),
('ENTRY_NOT_FOUND', 404, 'The tenant''s knowledge bases have no such entry.', 'Check entry_id; GET /api/v1/catalog/entries finds yours.'),
('OBJECT_NOT_FOUND', 404, 'The tenant''s catalog has no such object.', 'Check the name; GET /api/v1/catalog/objects?q= finds yours. A table of this control room is main.<layer>.<table>.'),
('ROLLUP_INVALID', 400, 'The rollup cannot be made of its source.', 'Correct it at the path in details.'),
('ROLLUP_NOT_FOUND', 404, 'The tenant has no rollup of that name.', 'Check the name; GET /api/v1/catalog/rollups lists yours.'),
('TABLE_NAME_TAKEN', 409, 'A table of that name is in gold, and is no rollup.', 'Choose another name.'),
('TABLE_HAS_NO_MAKER', 409, 'No job of the tenant makes the table, and it is no rollup of one that does.', 'Save a job that declares the table as output.'),
('MAKERS_IN_A_RING', 409, 'The jobs that make the table read what they make of each other.', 'Take one of the inputs in details away.'),
('EXPECTATION_INVALID', 400, 'What is expected cannot be asked of a row.', 'Correct it; the documentation of the catalog lists the words and functions that conditions are made of.'),
('EXPECTATION_NOT_FOUND', 404, 'Nothing of that number is expected.', 'Check expectation_id; GET /api/v1/catalog/expectations lists yours.'),
('CATALOG_NAME_TAKEN', 409, 'A catalog of that name comes from somewhere else.', 'Choose another name; main is the tenant''s own.'),
('ENDPOINT_NOT_FOUND', 404, 'The tenant has no such endpoint.', 'Check endpoint_id; GET /api/v1/endpoints lists yours.'),
('ENDPOINT_DISABLED', 409, 'The endpoint is disabled: it said 410, failed for days, or an admin switched it off.', 'Mend the receiver, then PATCH /api/v1/endpoints/{id} with enabled true.'),
('NETWORK_OUT_OF_BOUNDS', 403, 'The platform does not open that network, or those ports of it, to callbacks.', 'Choose a network and ports within the platform''s bounds, or ask the platform operator for it.'),
('NETWORK_NOT_FOUND', 404, 'The tenant allows no such network.', 'Check network_id.'),
('DELIVERY_NOT_FOUND', 404, 'The tenant has no such delivery.', 'Check the id; GET /api/v1/deliveries lists yours.'),
('DELIVERY_PENDING', 409, 'The delivery is still under way.', 'Wait until it has ended; then it can be sent again.'),
('NODE_NOT_FOUND', 404, 'The lineage graph has no such node.', 'Use dataset:{namespace}:{name} or job:{namespace}:{name}.'),
('EDGE_NOT_FOUND', 404, 'The lineage graph has no live edge of that kind.', 'Look at it with lineage_graph; what is retired already is retired.'),
('NODE_ID_INVALID', 400, 'nodeId is not of the form dataset:{namespace}:{name}.', 'Correct nodeId.'),
('EVENT_INVALID', 400, 'The lineage event has not the shape of an OpenLineage event.', 'See details for the path; all of eventTime, producer, schemaURL are needed.'),
('ATTEMPT_TOKEN_INVALID', 401, 'The attempt token is unknown, or its attempt has ended.', 'Stop: the attempt was settled or belongs to someone else.'),
('CHECK_TOKEN_INVALID', 401, 'The check token is unknown or its check has ended.', 'Claim the upload again.'),
('SWEEP_TOKEN_INVALID', 401, 'The token of the sweep is unknown or its time is over.', 'Claim what is to be removed again.'),
('INPUT_UNKNOWN', 404, 'The attempt has no input of that name.', 'Use the names in its inputs.'),
('TENANT_EXISTS', 409, 'A tenant of that slug exists.', 'Choose another slug.'),
('TENANT_NOT_FOUND', 404, 'There is no such tenant.', 'Check the slug.'),
('MEMBER_EXISTS', 409, 'That person is a member already.', 'Change the role with PATCH /api/v1/members/{user_id}.'),
('LAST_ADMIN', 409, 'The tenant has no other admin.', 'Make another member an admin first.'),
('INVITATION_NOT_FOUND', 404, 'There is no open invitation of that kind for you.', 'Ask an admin for a new one; it opens for whom it names, until it expires, once.'),
('MEMBER_NOT_FOUND', 404, 'The tenant has no such member.', 'Check user_id.'),
('OIDC_NOT_TRUSTED', 403, 'The tenant trusts no workflow with these claims.', 'Ask an admin of the tenant for a trust that takes the repository, ref and environment in details.'),
('OIDC_TOKEN_SPENT', 409, 'The issuer''s token was exchanged before.', 'Ask the issuer for a new one: each is exchanged once.'),
('TRUST_NOT_FOUND', 404, 'The tenant has no such trust.', 'Check trust_id; GET /api/v1/trusts lists yours.'),
('ACCESS_TOKEN_NOT_FOUND', 404, 'The tenant has no such access token.', 'Check token_id.'),
('STALE_LEASE', 409, 'The attempt is no longer held under this lease.', 'Discard the work: another runner has it, or it has ended.'),
('OUTPUT_INVALID', 400, 'An output table cannot be made from the columns that were sent.', 'Correct names and types at the path in details.');

alter table ground.error_codes enable row level security;
alter table ground.error_codes force row level security;
create policy "everyone reads the error list" on ground.error_codes for select using (true);
grant select on ground.error_codes to anon, authenticated, service_role, app_system;

-- PostgREST turns this SQLSTATE into the very body and status, so both doors speak alike.
create function ground.fail(p_code text, p_details text default null, p_message text default null, p_hint text default null)
returns void language plpgsql stable set search_path = '' as $$
declare
    e ground.error_codes;
begin
    select c.* into e from ground.error_codes c where c.code = p_code;
    if not found then
        raise exception 'error code % is not listed', p_code;
    end if;
    raise sqlstate 'PGRST' using
        message = json_build_object('code', e.code, 'message', coalesce(p_message, e.meaning),
                                    'details', p_details, 'hint', coalesce(p_hint, e.mend))::text,
        detail = json_build_object('status', e.status,
                                   'headers', case when e.status = 401
                                              then json_build_object('WWW-Authenticate', 'Bearer')
                                              else json_build_object() end)::text;
end
$$;
revoke all on function ground.fail(text, text, text, text) from public;
grant execute on function ground.fail(text, text, text, text) to anon, authenticated, service_role, app_system, runner;

-- --------------------------------------------------------------------------------- readers of claims

-- The claims as PostgREST, Storage and the gateway set them; {} where there are none. (plpgsql: its plans are kept.)
create function ground.claims()
returns jsonb language plpgsql stable parallel safe set search_path = '' as $$
begin
    return coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb;
end
$$;
revoke all on function ground.claims() from public;
grant execute on function ground.claims() to anon, authenticated, service_role, app_system, supabase_auth_admin;

-- Asked by the policies of each statement, so it reads no more than it needs. Null: none, or nothing that is an id.
create function ground.claimed_tenant_id()
returns uuid language plpgsql stable parallel safe set search_path = '' as $$
declare
    v text := nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id';
begin
    if v ~ '^[0-9a-fA-F]+-[0-9a-fA-F]+-[0-9a-fA-F]+-[0-9a-fA-F]+-[0-9a-fA-F]+$' and v like '________-____-____-____-____________' then
        return v::uuid;  -- (together they say what {8}-{4}… says at six times the price)
    end if;
    return null;
end
$$;
revoke all on function ground.claimed_tenant_id() from public;
grant execute on function ground.claimed_tenant_id() to anon, authenticated, service_role, app_system;

-- What a token claims of its bearer: a hint, in one reading. tenancy.membership() says what is true.
create type ground.caller as (tenant_id uuid, user_id text, role ground.member_role, token_id text);

-- Two accepted shapes: role is one of ours, or role=authenticated with user_role put in by the hook.
create function ground.caller()
returns ground.caller language plpgsql stable parallel safe set search_path = '' as $$
declare
    c jsonb := ground.claims();
    v_user jsonb := coalesce(c -> 'user_id', c -> 'sub');
    v_role text := case c ->> 'role' when 'authenticated' then c ->> 'user_role' else c ->> 'role' end;
begin
    return (ground.claimed_tenant_id(),
            case jsonb_typeof(v_user) when 'string' then nullif(v_user #>> '{}', '') end,
            case when v_role in ('viewer', 'operator', 'admin') then v_role::ground.member_role end,
            case when c ? 'token_id' then coalesce(c ->> 'token_id', '') end)::ground.caller;  -- a token_id of null is one that is not there
end
$$;
revoke all on function ground.caller() from public;
grant execute on function ground.caller() to anon, authenticated, service_role, app_system;

create function ground.user_id()
returns text language plpgsql stable parallel safe set search_path = '' as $$
begin
    return (ground.caller()).user_id;
end
$$;
revoke all on function ground.user_id() from public;
grant execute on function ground.user_id() to anon, authenticated, service_role, app_system;

create function ground.claimed_role()
returns ground.member_role language plpgsql stable parallel safe set search_path = '' as $$
begin
    return (ground.caller()).role;
end
$$;
revoke all on function ground.claimed_role() from public;
grant execute on function ground.claimed_role() to anon, authenticated, service_role, app_system;

-- Sets the HTTP status of the answer; without a web request it does nothing.
create function ground.answer_status(p_status integer)
returns void language plpgsql volatile set search_path = '' as $$
begin
    perform set_config('response.status', p_status::text, true);
end
$$;
revoke all on function ground.answer_status(integer) from public;
grant execute on function ground.answer_status(integer) to anon, authenticated, service_role, app_system;

-- A NOTIFY takes a database-wide lock at commit (8 submitters on two busy cores: 307/s with one each, 563/s so): a hint,
-- coalesced: of the transactions in flight one sends it, and a woken runner looks again a few times before it sleeps.
create function ground.wake(p_channel text)
returns void language plpgsql volatile set search_path = '' as $$
begin
    if pg_try_advisory_xact_lock(hashtextextended(p_channel, 0)) then
        perform pg_notify(p_channel, '');
    end if;
end
$$;
revoke all on function ground.wake(text) from public;
grant execute on function ground.wake(text) to app_system;

-- {"items": […], "next": cursor|null}: cursors are the last key of a page, opaque to the caller.
create function ground.page_limit(p jsonb)
returns integer language plpgsql stable set search_path = '' as $$
declare
    v text := p ->> 'limit';
begin
    if v is null then
        return 100;
    end if;
    if v !~ '^[0-9]{1,4}$' or v::integer not between 1 and 1000 then
        perform ground.fail('FIELD_INVALID', '$.limit', 'limit must be a whole number from 1 to 1000.');
    end if;
    return v::integer;
end
$$;
revoke all on function ground.page_limit(jsonb) from public;
grant execute on function ground.page_limit(jsonb) to authenticated, service_role, app_system;

-- A bigint out of a JSON field, or the listed error with its path.
create function ground.want_id(p jsonb, p_field text)
returns bigint language plpgsql stable set search_path = '' as $$
declare
    v text := p ->> p_field;
begin
    if v is null or v !~ '^[0-9]{1,18}$' then
        perform ground.fail('FIELD_INVALID', '$.' || p_field, p_field || ' must be a whole number.');
    end if;
    return v::bigint;
end
$$;
revoke all on function ground.want_id(jsonb, text) from public;
grant execute on function ground.want_id(jsonb, text) to anon, authenticated, service_role, app_system;

create function ground.want_uuid(p jsonb, p_field text, p_path text default '$')
returns uuid language plpgsql stable set search_path = '' as $$
declare
    v text := p ->> p_field;
begin
    if v is null or v !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then
        perform ground.fail('FIELD_INVALID', p_path || '.' || p_field, p_field || ' must be a UUID.');
    end if;
    return v::uuid;
end
$$;
revoke all on function ground.want_uuid(jsonb, text, text) from public;
grant execute on function ground.want_uuid(jsonb, text, text) to anon, authenticated, service_role, app_system;

create function ground.want_time(p jsonb, p_field text)
returns timestamptz language plpgsql stable set search_path = '' as $$
begin
    return (p ->> p_field)::timestamptz;
exception when data_exception then  -- of a day, a zone or a form that there is not
    perform ground.fail('FIELD_INVALID', '$.' || p_field, p_field || ' must be an ISO 8601 time.');
    return null;
end
$$;
revoke all on function ground.want_time(jsonb, text) from public;
grant execute on function ground.want_time(jsonb, text) to anon, authenticated, service_role, app_system;

-- A body nests no deeper than 100 levels: who reads it (a runner, a browser) has a stack, and what one tenant sends must not fell the
-- reader of all. So deep a jsonb has at least 800 bytes: what is smaller is not walked.
create function ground.refuse_deep(p jsonb)
returns void language plpgsql stable set search_path = '' as $$
begin
    if pg_column_size(p) >= 800 and jsonb_path_exists(p, 'strict $.**{100} ? (@.type() == "object" || @.type() == "array")') then
        perform ground.fail('BODY_INVALID', '$', 'The request body nests deeper than 100 levels.');
    end if;
end
$$;
revoke all on function ground.refuse_deep(jsonb) from public;
grant execute on function ground.refuse_deep(jsonb) to anon, authenticated, service_role, app_system;

-- Refuses fields that nobody reads, with the path of the first one.
create function ground.refuse_unknown(p jsonb, p_known text[], p_path text default '$')
returns void language plpgsql stable set search_path = '' as $$
declare
    v text;
begin
    if jsonb_typeof(p) is distinct from 'object' then
        perform ground.fail('BODY_INVALID', p_path, 'An object is expected at ' || p_path || '.');
    end if;
    if p_path = '$' then
        perform ground.refuse_deep(p);
    end if;
    if p - p_known <> '{}' then
        select min(k) into v from jsonb_object_keys(p - p_known) k;
        perform ground.fail('FIELD_UNKNOWN', p_path || '.' || left(v, 64));
    end if;
end
$$;
revoke all on function ground.refuse_unknown(jsonb, text[], text) from public;
grant execute on function ground.refuse_unknown(jsonb, text[], text) to anon, authenticated, service_role, app_system;

-- The guard of every append-only table; the trigger's name says which law was broken.
create function ground.refuse_change()
returns trigger language plpgsql set search_path = '' as $$
begin
    raise exception using errcode = '42501',
        message = format('%s: %s of %I.%I is refused', tg_name, tg_op, tg_table_schema, tg_table_name);
end
$$;
revoke all on function ground.refuse_change() from public;
grant execute on function ground.refuse_change() to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
