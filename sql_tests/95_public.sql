-- public: the people's door. Two tenants side by side: neither sees, cancels, reads or changes anything of the other,
-- and "not yours" cannot be told from "not there". The lists of functions and tables come from the catalog: a new one
-- is in the matrix on the day it is made.
begin;
\ir fixtures.psql
\ir sentinel.psql
select no_plan();

-- ------------------------------------------------------------------------- not yours = not there

create function tests.oracle(p_function text, p_ours jsonb, p_nowhere jsonb, p_code text, p_who text default 'south.admin')
returns setof text language plpgsql as $$
declare
    v_ours jsonb := tests.error(p_who, format('public.%I(%L::jsonb)', p_function, p_ours));
    v_nowhere jsonb := tests.error(p_who, format('public.%I(%L::jsonb)', p_function, p_nowhere));
begin
    return next is(v_ours ->> 'code', p_code, p_function || ': another tenant''s is not found');
    return next is(v_ours, v_nowhere, p_function || ': "not yours" is word for word "not there"');
end
$$;
select tests.oracle(f, jsonb_build_object('run_id', :run), '{"run_id": 987654321}', 'RUN_NOT_FOUND') from unnest(array['get_run', 'cancel_run', 'repair_run', 'rerun_run', 'run_logs', 'run_events', 'run_lineage']) f;
select tests.oracle('cancel_run', jsonb_build_object('run_id', :waiting), '{"run_id": 987654321}', 'RUN_NOT_FOUND');
select tests.oracle(f, jsonb_build_object('job_id', :job), '{"job_id": 987654321}', 'JOB_NOT_FOUND') from unnest(array['get_job', 'update_job', 'delete_job', 'run_job', 'list_backfills']) f;
select tests.oracle('backfill_job', jsonb_build_object('job_id', :filled, 'parameter', 'p', 'values', '[1]'::jsonb), '{"job_id": 987654321, "parameter": "p", "values": [1]}', 'JOB_NOT_FOUND');
select tests.oracle(f, jsonb_build_object('job_id', :filled, 'backfill_id', :backfill), jsonb_build_object('job_id', :filled, 'backfill_id', 987654321), 'BACKFILL_NOT_FOUND') from unnest(array['get_backfill', 'cancel_backfill']) f;
select tests.oracle(f, jsonb_build_object('job_id', :clock), '{"job_id": 987654321}', 'JOB_NOT_FOUND') from unnest(array['pause_job', 'resume_job', 'job_schedule']) f;
select tests.oracle(f, jsonb_build_object('artifact_id', :'artifact'::text), '{"artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'ARTIFACT_NOT_FOUND') from unnest(array['get_artifact', 'update_artifact', 'complete_artifact', 'artifact_download', 'delete_artifact']) f;
select tests.oracle(f, jsonb_build_object('endpoint_id', :'endpoint'::text), '{"endpoint_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'ENDPOINT_NOT_FOUND') from unnest(array['get_endpoint', 'update_endpoint', 'rotate_endpoint', 'delete_endpoint']) f;
select tests.oracle('replay_deliveries', jsonb_build_object('endpoint_id', :'endpoint'::text), '{"endpoint_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'ENDPOINT_NOT_FOUND');
select tests.oracle('disallow_network', jsonb_build_object('network_id', (select max(id) from callback.allowed_networks)), '{"network_id": 987654321}', 'NETWORK_NOT_FOUND');
select tests.oracle('get_endpoint', '{"url": "https://sentinel.example/all"}', '{"url": "https://nowhere.example/"}', 'ENDPOINT_NOT_FOUND');
select tests.oracle('redeliver_delivery', jsonb_build_object('delivery_id', :delivery), '{"delivery_id": 987654321}', 'DELIVERY_NOT_FOUND');
select tests.oracle('delete_expectation', jsonb_build_object('expectation_id', :expectation), '{"expectation_id": 987654321}', 'EXPECTATION_NOT_FOUND');
select tests.oracle('get_entry', jsonb_build_object('entry_id', :entry), '{"entry_id": 987654321}', 'ENTRY_NOT_FOUND');
select is(tests.error('south.admin', format('public.%I(''{"name": "main.gold.sentinel"}'')', f)) - 'details', tests.error('south.admin', format('public.%I(''{"name": "main.gold.sentinei"}'')', f)) - 'details', f || ': likewise') from unnest(array['get_object', 'describe_object']) f;
select tests.oracle('revoke_token', jsonb_build_object('token_id', :'token'::text), '{"token_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'ACCESS_TOKEN_NOT_FOUND');
select tests.oracle('revoke_invitation', jsonb_build_object('invitation_id', :'invitation'::text), '{"invitation_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'INVITATION_NOT_FOUND');
select tests.oracle(f, '{"user_id": "north.viewer", "role": "viewer"}'::jsonb - (case f when 'remove_member' then 'role' else '' end), '{"user_id": "nobody", "role": "viewer"}'::jsonb - (case f when 'remove_member' then 'role' else '' end), 'MEMBER_NOT_FOUND') from unnest(array['set_member_role', 'remove_member']) f;
select tests.oracle('delete_trust', jsonb_build_object('trust_id', :'trust'::text), '{"trust_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'TRUST_NOT_FOUND');
select is(tests.error('south.admin', $$ public.lineage_graph('dataset:n:out') $$) - 'details', tests.error('south.admin', $$ public.lineage_graph('dataset:n:nil') $$) - 'details', 'lineage: likewise');
select is(tests.error('south.admin', $$ public.column_lineage('dataset:n:out') $$) - 'details', tests.error('south.admin', $$ public.column_lineage('dataset:n:nil') $$) - 'details', 'columns: likewise');
select is(tests.error('south.admin', $$ public.read_table('{"layer": "gold", "table": "sentinel"}') $$) - 'details', tests.error('south.admin', $$ public.read_table('{"layer": "gold", "table": "sentinei"}') $$) - 'details', 'tables: likewise');
select is((select state::text from queue.runs where id = :waiting), 'QUEUED', 'the run that another tenant tried to cancel waits on');
select is((select count(*) from tenancy.access_tokens where revoked_at is null), 1::bigint, 'the token it tried to revoke lives');
select is((select deleted_at from artifact.artifacts), null, 'the artifact it tried to delete is there');

-- every list and every question, asked by the other tenant: no word of north
create function tests.answer(p_who text, p_function text, p_body jsonb default '{}')
returns text language plpgsql as $$
begin
    return coalesce(tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p_body))::text, '');
exception when others then
    return sqlerrm;
end
$$;
select is(tests.answer('south.admin', f, b::jsonb) ~* 'sentinel|north', false, format('%s %s tells another tenant nothing', f, b))
from unnest(array['list_runs', 'list_jobs', 'list_artifacts', 'list_endpoints', 'list_deliveries', 'list_events', 'list_networks', 'list_tokens', 'list_trusts', 'list_invitations', 'list_members', 'list_audit', 'audit_verify', 'audit_head', 'slo', 'health', 'get_run', 'run_job', 'create_job', 'apply_jobs', 'read_table', 'list_entries', 'list_objects', 'get_object', 'list_layers', 'list_freshness', 'list_expectations', 'list_verdicts', 'list_quarantine', 'list_rollups', 'catalog_refresh']) f,
     unnest(array['{}', '{"q": "sentinel"}', '{"limit": 1000}', '{"name": "SENTINEL job", "run_id": 1, "job_id": 1}', '{"cursor": "1"}', '{"state": "QUEUED"}']) b;
select is(jsonb_path_query_array(tests.as('south.admin', format('public.%I(''{}'')', f)), '$.items'), '[[]]', f || ' of another tenant is empty')
from unnest(array['list_runs', 'list_jobs', 'list_artifacts', 'list_endpoints', 'list_deliveries', 'list_networks', 'list_tokens', 'list_trusts', 'list_invitations', 'list_entries']) f;
select cmp_ok(jsonb_array_length(tests.as('north.admin', format('public.%I(''{}'')', f)) -> 'items'), '>', 0, f || ' of one''s own is not')
from unnest(array['list_runs', 'list_jobs', 'list_artifacts', 'list_endpoints', 'list_deliveries', 'list_networks', 'list_tokens', 'list_trusts', 'list_invitations', 'list_entries']) f;
select is(tests.as('south.viewer', $$ public.slo('{}') $$) #> '{runs,finished}', '0', 'figures are of one''s own runs');
select is(tests.as('north.viewer', $$ public.slo('{}') $$) #> '{runs,finished}', '1', 'all of them');

-- -------------------------------------------------------------- every table, every actor, every verb

create function tests.sees(p_who text, p_claims text, p_table text, p_filter text)
returns text language plpgsql as $$
declare
    n bigint;
begin
    if p_claims is not null then
        perform tests.become_with(p_claims, p_who);
    else
        perform tests.become(p_who);
    end if;
    execute format('select count(*) from %s where %s', p_table, p_filter) into n;
    perform tests.rest();
    return n;
exception when insufficient_privilege then
    return 'refused';
end
$$;
create temporary table everything as
select n.nspname || '.' || c.relname as name, n.nspname as room, c.relkind = 'v' as is_view,
       case when exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id') then 'tenant_id' when c.oid = 'tenancy.tenants'::regclass then 'id' end as tenant_column
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v') and not c.relispartition
  and n.nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'public', 'gold_north', 'gold_south');
grant select on everything to public;

-- tables of north's that have no row prove nothing: each must hold at least one
insert into queue.news (tenant_id, run_id, ended) select tenant_id, id, true from queue.runs where tenant_id = tests.tenant('north') limit 1;
select isnt(tests.sees('supabase_admin', '{}', e.name, format('%s = %L', e.tenant_column, tests.tenant('north'))), '0', e.name || ' holds a row of north''s to be kept from others')
from everything e where e.tenant_column is not null and e.name not in ('gold_north.sentinel', 'gold_north.sentinel_sums');
select ok(tests.sees('admin', tests.claims('south.admin'), e.name, format('%s = %L', e.tenant_column, tests.tenant('north'))) in ('0', 'refused'), 'south''s admin sees nothing of north''s in ' || e.name)
from everything e where e.tenant_column is not null;
select ok(tests.sees('admin', :'removed_claims', e.name, 'true') in ('0', 'refused') or e.name in ('ground.error_codes', 'job.job_types', 'queue.termination_codes'), 'a removed member sees nothing in ' || e.name) from everything e;
select ok(tests.sees('admin', tests.claims('north.stranger'), e.name, 'true') in ('0', 'refused') or e.name in ('ground.error_codes', 'job.job_types', 'queue.termination_codes'), 'a stranger sees nothing in ' || e.name) from everything e;
select is(tests.sees('anon', '{"role": "anon"}', e.name, 'true'), case e.name when 'ground.error_codes' then (select count(*)::text from ground.error_codes) else 'refused' end, 'anon does not read ' || e.name) from everything e;
select is(tests.sees('service_role', '{"role": "service_role"}', e.name, 'true'), case e.name when 'ground.error_codes' then (select count(*)::text from ground.error_codes) else 'refused' end, 'service_role, though it passes row security, does not read ' || e.name) from everything e;
select is(tests.sees('runner', '', e.name, 'true'), 'refused', 'the runner does not read ' || e.name) from everything e;
select is(tests.sees('authenticator', '', e.name, 'true'), 'refused', 'authenticator without a role does not read ' || e.name) from everything e;
-- the owner of the tables, in whose name the doors run: inside the claimed tenant, and nowhere without one
select ok(tests.sees('app_owner', tests.claims('south.admin'), e.name, format('%s = %L', e.tenant_column, tests.tenant('north'))) in ('0', 'refused'), 'a door opened for south sees nothing of north''s in ' || e.name)
from everything e where e.tenant_column is not null and e.name <> 'public.members';
select ok(tests.sees('app_owner', '', e.name, format('%s is not null', e.tenant_column)) in ('0', 'refused'), 'a door without claims sees nobody''s rows in ' || e.name) from everything e where e.tenant_column is not null;

create function tests.does(p_who text, p_claims text, p_statement text)
returns text language plpgsql as $$
declare
    n bigint;
begin
    perform tests.become_with(p_claims, p_who);
    execute p_statement;
    get diagnostics n = row_count;
    perform tests.rest();
    return n;
exception when insufficient_privilege or object_not_in_prerequisite_state or feature_not_supported then
    return 'refused';
when others then
    return sqlstate;
end
$$;
create temporary table verbs as
select e.name, v.verb, format(v.statement, e.name, a.attname) as statement, e.tenant_column
from everything e cross join (values ('insert', 'insert into %s default values'), ('update', 'update %s set %2$I = %2$I'), ('delete', 'delete from %s')) v (verb, statement)
cross join lateral (select a.attname from pg_attribute a where a.attrelid = e.name::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = '' order by a.attname <> 'tenant_id', a.attnum limit 1) a;
select is(tests.does(w.role, tests.claims(w.who), v.statement), 'refused', format('%s does not %s %s', w.who, v.verb, v.name))
from verbs v, (values ('anon', 'anon'), ('north.viewer', 'viewer'), ('north.operator', 'operator'), ('north.admin', 'admin'), ('north.admin@hook', 'authenticated'), ('platform', 'service_role'), ('runner', 'runner'), ('loader', 'loader')) w (who, role);
select ok(tests.does('app_owner', tests.claims('south.admin'), v.statement || format(' where %I = %L', v.tenant_column, tests.tenant('north'))) in ('0', 'refused'), format('a door opened for south does not %s north''s rows in %s', v.verb, v.name))
from verbs v where v.verb in ('update', 'delete') and v.tenant_column is not null and v.name !~ '^public';
-- no row moves to another tenant, whoever moves it
select ok(tests.does('app_owner', tests.claims('north.admin'), format('update %s set tenant_id = %L', e.name, tests.tenant('south'))) in ('refused', '0'), 'no door moves a row of another tenant into ' || e.name)
from everything e where e.tenant_column = 'tenant_id' and not e.is_view and e.room not like 'gold%';

-- ----------------------------------------------------------------------- every function, every actor

create temporary table doors as
select p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments,
       case when p.pronargs = 1 and p.proargtypes[0] = 'jsonb'::regtype then format('public.%I(''{}''::jsonb)', p.proname)
            else format('public.%I(%s)', p.proname, (select string_agg('null::' || format_type(t, null), ', ' order by o) from unnest(p.proargtypes) with ordinality x(t, o))) end as call,
       has_function_privilege('anon', p.oid, 'execute') as for_anon, has_function_privilege('authenticated', p.oid, 'execute') as for_members, has_function_privilege('service_role', p.oid, 'execute') as for_platform
from pg_proc p where p.pronamespace = 'public'::regnamespace and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
select cmp_ok((select count(*) from doors), '>', 45::bigint, 'the doors are found');

create function tests.code(p_role text, p_claims text, p_call text)
returns text language plpgsql as $$
begin
    perform tests.become_with(p_claims, p_role);
    execute 'select ' || p_call;
    raise exception using errcode = 'TEST1';  -- whatever it did is taken back
exception when sqlstate 'TEST1' then
    return 'opened';
when sqlstate 'PGRST' then
    return sqlerrm::jsonb ->> 'code';
when others then
    return sqlstate;
end
$$;
select is(tests.code('anon', '{"role": "anon"}', d.call), '42501', 'anon is refused at ' || d.name) from doors d where not d.for_anon;
select ok(tests.code('anon', '{"role": "anon"}', d.call) in ('opened', 'TOKEN_INVALID', 'ATTEMPT_TOKEN_INVALID', 'CHECK_TOKEN_INVALID', 'SWEEP_TOKEN_INVALID'), 'anon gets past ' || d.name || ' with a token only') from doors d where d.for_anon and d.name <> 'knock_outside';
select set_eq('select name from doors where for_anon', array['accept_invitation', 'attempt_artifact', 'attempt_input', 'attempt_parcel', 'attempt_report', 'check_bytes', 'exchange_assertion', 'exchange_token', 'health', 'knock_outside', 'sweep_bytes'], 'eleven doors are open without a JWT');
select is(tests.code('admin', tests.claims('north.stranger'), d.call), 'MEMBERSHIP_MISSING', 'a stranger is refused at ' || d.name) from doors d where d.for_members and d.name <> 'health';
select is(tests.code('admin', :'removed_claims', d.call), 'MEMBERSHIP_MISSING', 'a removed member is refused at ' || d.name) from doors d where d.for_members and d.name <> 'health';
select is(tests.code('authenticated', '{"role": "authenticated", "sub": "somebody"}', d.call), 'TENANT_MISSING', 'a user of no tenant is refused at ' || d.name) from doors d where d.for_members and d.name <> 'health';
select is(tests.code('admin', (tests.claims('north.admin')::jsonb || '{"tenant_id": [1]}')::text, d.call), 'TENANT_MISSING', 'a forged tenant is refused at ' || d.name) from doors d where d.for_members and d.name <> 'health';
select is(tests.code('admin', (tests.claims('north.admin')::jsonb || jsonb_build_object('tenant_id', tests.tenant('south')))::text, d.call), 'MEMBERSHIP_MISSING', 'north''s admin with south''s id is refused at ' || d.name) from doors d where d.for_members and d.name <> 'health';
select is(tests.code('service_role', '{"role": "service_role"}', d.call), '42501', 'service_role is refused at the members'' ' || d.name) from doors d where d.for_members and not d.for_platform;
select is(tests.code('admin', tests.claims('north.admin'), d.call), '42501', 'an admin is refused at the platform''s ' || d.name) from doors d where not d.for_members and d.for_platform;
select is(tests.code('viewer', tests.claims('north.viewer'), d.call), 'ROLE_INSUFFICIENT', 'a viewer is refused at ' || d.name) from doors d
where d.name in ('run_job', 'submit_runs', 'cancel_run', 'repair_run', 'rerun_run', 'run_logs', 'create_job', 'update_job', 'apply_jobs', 'delete_job', 'backfill_job', 'cancel_backfill', 'create_artifact', 'complete_artifact', 'update_artifact', 'delete_artifact', 'lineage_ingest', 'retire_lineage', 'set_layer_rules', 'describe_object', 'catalog_sync', 'catalog_ingest', 'set_freshness', 'set_expectation', 'delete_expectation', 'list_expectations', 'list_quarantine', 'set_rollup', 'delete_rollup', 'list_rollups', 'lineage_events', 'catalog_refresh',
                 'create_endpoint', 'get_endpoint', 'update_endpoint', 'rotate_endpoint', 'delete_endpoint', 'redeliver_delivery', 'replay_deliveries', 'allow_network', 'disallow_network', 'list_networks', 'create_trust', 'list_trusts', 'delete_trust', 'set_member_role', 'remove_member', 'create_invitation', 'list_invitations', 'revoke_invitation', 'list_audit', 'audit_verify', 'audit_head');
select is(tests.code('operator', tests.claims('north.operator'), d.call), 'ROLE_INSUFFICIENT', 'an operator is refused at ' || d.name) from doors d where d.name in ('delete_artifact', 'retire_lineage', 'set_layer_rules', 'create_endpoint', 'get_endpoint', 'update_endpoint', 'rotate_endpoint', 'delete_endpoint', 'allow_network', 'disallow_network', 'list_networks', 'create_trust', 'list_trusts', 'delete_trust', 'set_member_role', 'remove_member', 'create_invitation', 'list_invitations', 'revoke_invitation', 'list_audit', 'audit_verify', 'audit_head');
select isnt(tests.code('viewer', tests.claims('north.viewer'), d.call), 'ROLE_INSUFFICIENT', 'a viewer gets past ' || d.name) from doors d
where d.name in ('get_run', 'list_runs', 'run_events', 'get_job', 'list_backfills', 'get_backfill', 'list_jobs', 'get_artifact', 'list_artifacts', 'artifact_download', 'artifact_usage', 'lineage_graph', 'column_lineage', 'lineage_path', 'lineage_diff', 'lineage_impact', 'lineage_orphans', 'lineage_violations', 'lineage_coverage', 'list_layer_rules', 'run_lineage', 'read_table', 'list_entries', 'get_entry', 'list_objects', 'get_object', 'list_layers', 'list_freshness', 'list_verdicts', 'list_endpoints', 'list_deliveries', 'list_events', 'list_tokens', 'create_token', 'knock', 'slo');
select is(tests.code('viewer', tests.claims('north.viewer'), d.call) = 'ROLE_INSUFFICIENT', d.name = 'marquez_events', 'a viewer gets past ' || d.name || ' unless it tells of events') from doors d where d.name like 'marquez\_%';
select is(tests.answer('south.admin', d.name, b::jsonb) ~* 'sentinel|north', false, format('%s %s tells another tenant nothing', d.name, b)) from doors d, unnest(array['{}', '{"q": "e", "asset": "jobs"}']) b where d.name like 'marquez\_%';
-- whatever is sent, the answer is one of ours: no SQLSTATE of a cast or a constraint, which may carry a row
select is(tests.code('admin', tests.claims('north.admin'), format('public.%I(%L::jsonb)', d.name, b)) ~ '^(opened|[A-Z][A-Z_]+)$', true, format('%s answers %s in our words', d.name, b))
from doors d, unnest(array['null', '[]', '[null]', '7', '"x"', 'true', '{"run_id": "x"}', '{"limit": "x"}', '{"limit": 5, "cursor": "x"}', '{"run_id": 1, "after": -1}', '{"version": "x", "artifact_id": "x"}', '{"state": "x"}', '{"name": [1], "kind": {}}', '{"endpoint_id": 1, "delivery_id": "x"}', '{"window_hours": "x"}', '{"token": {}, "event": 1}']) b
where d.for_members and d.arguments = 'jsonb' and d.name <> 'health';


-- the same with a body that is good but for one field: every field that a function reads, and every wrong thing in it
create temporary table bodies (name text, who text, role text, body jsonb);
insert into bodies
select b.name, 'north.admin', 'admin', b.body from (values
    ('run_job', tests.submission() || '{"inputs": [], "outputs": [], "secrets": [], "callbacks": {}, "params": {}, "network": false, "timeout_seconds": 5, "max_retries": 0, "priority": 0, "engine": "duckdb", "name": "n", "idempotency_key": "k",
        "run_timeout_seconds": 9, "retry_on_timeout": false, "min_retry_interval_ms": 0}'),
    ('create_job', jsonb_build_object('name', 'fuzz', 'description', 'd', 'tasks', jsonb_build_array(tests.submission()), 'parameters', '{}'::jsonb, 'callbacks', '{}'::jsonb, 'tags', '{}'::jsonb, 'priority', 0,
        'run_timeout_seconds', 9, 'max_concurrent_runs', 5, 'queue', '{"enabled": true}'::jsonb)),
    ('apply_jobs', jsonb_build_object('jobs', jsonb_build_array(jsonb_build_object('name', 'fuzz', 'tasks', jsonb_build_array(tests.submission()))), 'source', 'fuzz', 'prune', true, 'adopt', true, 'dry_run', true)),
    ('create_artifact', jsonb_build_object('name', 'fuzz', 'kind', 'data', 'size', 1, 'sha256', repeat('b', 64), 'content_type', 'text/plain', 'description', 'd',
        'classification', 'internal', 'inputs', '[]'::jsonb)),
    ('list_runs', '{"state": "QUEUED", "job_type": "x", "job_id": 1, "limit": 5, "cursor": "9"}'), ('list_jobs', '{"name": "x", "limit": 5, "cursor": "9"}'),
    ('list_artifacts', '{"name": "x", "kind": "data", "run_id": 1, "sha256": "x", "tag": "x", "limit": 5, "cursor": "9"}'), ('list_endpoints', '{"limit": 5, "cursor": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}'),
    ('list_tokens', '{"limit": 5, "cursor": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}'), ('list_deliveries', '{"run_id": 1, "state": "DEAD", "endpoint_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "limit": 5, "cursor": "9"}'),
    ('create_endpoint', '{"url": "https://fuzz.example/", "events": ["run.failed"], "description": "d", "max_concurrency": 5, "ordered": true, "merge_progress": false, "ed25519": true}'), ('list_events', '{"after": "1.1", "limit": 5}'), ('allow_network', '{"cidr": "10.0.0.0/8"}'), ('list_networks', '{"limit": 5, "cursor": "9"}'), ('disallow_network', '{"network_id": 987654321}'), ('create_trust', '{"name": "fuzz", "issuer": "https://ghe.example", "repository": "a/b", "repository_id": "7", "ref": "*", "environment": "e", "pull_requests": true, "role": "viewer", "token_seconds": 60}'), ('set_member_role', '{"user_id": "north.viewer", "role": "viewer"}'), ('remove_member', '{"user_id": "nobody"}'), ('list_members', '{"limit": 5, "cursor": "x"}'), ('create_invitation', '{"email": "a@b.example", "role": "viewer", "expires_in_hours": 5}'), ('create_invitation', '{"user_id": "x", "role": "viewer"}'), ('list_invitations', '{"limit": 5, "cursor": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}'), ('list_trusts', '{"limit": 5, "cursor": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}'), ('create_token', '{"name": "fuzz", "role": "viewer", "expires_at": "2030-01-01T00:00:00Z"}'),
    ('replay_deliveries', '{"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "endpoint_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "missing": true}'), ('list_entries', '{"q": "x", "collection": "x", "language": "english", "limit": 5, "cursor": "9"}'), ('list_objects', '{"q": "x", "kind": "table", "in": "main", "layer": "gold", "type": "VIEW", "owner": "x", "tag": "a=b", "classification": "internal", "gone": true, "limit": 5}'), ('get_object', '{"name": "main.gold", "kind": "schema"}'),
    ('describe_object', '{"name": "main.gold", "kind": "schema", "comment": "x", "tags": {"a": "b"}, "owner": "x", "classification": "internal"}'),
    ('catalog_ingest', '{"catalog": "fuzz", "type": "X", "namespace": "n", "comment": "c", "schemas": [{"name": "s", "tables": [{"name": "t", "columns": [{"name": "c"}]}], "volumes": []}]}'), ('catalog_ingest', '{"catalog": "fuzz", "models": [{"model": "m", "fields": []}]}'),
    ('set_freshness', '{"name": "main.gold", "warn_after": {"count": 1, "period": "day"}, "error_after": {"count": 2, "period": "day"}}'), ('list_freshness', '{"in": "main.gold", "status": "warn", "limit": 5, "cursor": "9"}'),
    ('set_expectation', '{"layer": "gold", "table": "fuzz", "name": "n", "kind": "expression", "action": "warn", "definition": {"expression": "a > 0"}}'), ('set_expectation', '{"layer": "gold", "table": "fuzz", "name": "n", "kind": "accepted_values", "action": "drop", "definition": {"column": "a", "values": ["x"]}}'),
    ('list_expectations', '{"layer": "gold", "table": "fuzz", "limit": 5, "cursor": "9"}'), ('list_verdicts', '{"run_id": 1, "layer": "gold", "table": "fuzz", "limit": 5, "cursor": "9"}'), ('list_quarantine', '{"run_id": 1, "layer": "gold", "table": "fuzz", "limit": 5, "cursor": "9"}'), ('delete_expectation', '{"expectation_id": 987654321}'),
    ('set_rollup', '{"table": "fuzz", "source": "gold.sentinel", "by": ["a"], "measures": [{"name": "n", "fn": "count"}], "where": "a > ''a''"}'), ('delete_rollup', '{"table": "nothing"}'), ('list_rollups', '{"limit": 5, "cursor": "9"}'), ('catalog_refresh', '{"target": "gold.sentinel", "force": true, "dry_run": true}'),
    ('marquez_namespaces', '{"namespace": "x", "limit": 5, "offset": 1}'), ('marquez_datasets', '{"namespace": "x", "dataset": "x", "limit": 5, "offset": 1}'), ('marquez_jobs', '{"namespace": "x", "job": "x", "lastRunStates": "FAILED", "limit": 5, "offset": 1}'),
    ('marquez_runs', '{"namespace": "x", "job": "x", "limit": 5, "offset": 1}'), ('marquez_run', '{"run": "x", "type": "run"}'), ('marquez_search', '{"q": "x", "filter": "JOB", "sort": "NAME", "namespace": "x", "limit": 5}'),
    ('marquez_events', '{"after": "2026-01-01T00:00:00Z", "before": "2026-01-01T00:00:00Z", "sortDirection": "asc", "limit": 5, "offset": 1}'), ('marquez_stats', '{"asset": "jobs", "period": "DAY", "timezone": "UTC"}'), ('marquez_tags', '{}'),
    ('knock', '{"want": 5}'), ('slo', '{"window_hours": 5}'), ('read_table', '{"layer": "gold", "table": "sentinel", "limit": 5}')
) b (name, body);
insert into bodies values
    ('update_job', 'north.admin', 'admin', jsonb_build_object('job_id', :job, 'name', 'SENTINEL job', 'priority', 1, 'tasks', jsonb_build_array(tests.submission()))),
    ('run_job', 'north.admin', 'admin', jsonb_build_object('job_id', :job, 'params', '{}'::jsonb, 'idempotency_key', 'k2', 'callbacks', '{}'::jsonb, 'priority', 0, 'queue', '{"enabled": true}'::jsonb, 'run_timeout_seconds', 9)),
    ('repair_run', 'north.admin', 'admin', jsonb_build_object('run_id', :run, 'rerun_tasks', '["t"]'::jsonb, 'rerun_all_failed', true, 'rerun_dependents', true, 'params', '{}'::jsonb)),
    ('repair_run', 'north.admin', 'admin', jsonb_build_object('run_id', :run, 'latest_repair_id', 5)), ('rerun_run', 'north.admin', 'admin', jsonb_build_object('run_id', :run, 'from_task', 't', 'idempotency_key', 'k3')),
    ('backfill_job', 'north.admin', 'admin', jsonb_build_object('job_id', :filled, 'parameter', 'p', 'values', '[1]'::jsonb, 'params', '{}'::jsonb, 'max_concurrent', 1, 'priority', 0)),
    ('backfill_job', 'north.admin', 'admin', jsonb_build_object('job_id', :filled, 'parameter', 'p', 'range', '{"from": 1, "to": 2, "step": 1}'::jsonb)),
    ('list_backfills', 'north.admin', 'admin', jsonb_build_object('job_id', :filled, 'limit', 5, 'cursor', 9)), ('get_backfill', 'north.admin', 'admin', jsonb_build_object('job_id', :filled, 'backfill_id', :backfill)),
    ('cancel_backfill', 'north.admin', 'admin', jsonb_build_object('job_id', :filled, 'backfill_id', :backfill)),
    ('run_logs', 'north.admin', 'admin', jsonb_build_object('run_id', :run, 'after', 0, 'limit', 5, 'task_key', 't')), ('run_events', 'north.admin', 'admin', jsonb_build_object('run_id', :run, 'after', 0, 'limit', 5)),
    ('get_artifact', 'north.admin', 'admin', jsonb_build_object('artifact_id', :'artifact'::text, 'limit', 5, 'cursor', 9)),
    ('update_artifact', 'north.admin', 'admin', jsonb_build_object('artifact_id', :'artifact'::text, 'description', 'd', 'classification', 'internal', 'tags', '{"a": "b"}'::jsonb, 'aliases', '{"a": {"version": 1, "was": null}}'::jsonb)), ('complete_artifact', 'north.admin', 'admin', jsonb_build_object('artifact_id', :'artifact'::text, 'version', 1)),
    ('artifact_download', 'north.admin', 'admin', jsonb_build_object('artifact_id', :'artifact'::text, 'version', 1)),
    ('artifact_download', 'north.admin', 'admin', jsonb_build_object('artifact_id', :'artifact'::text, 'alias', 'sentinel')), ('sweep_bytes', 'anon', 'anon', '{"token": "crsw_00"}'), ('get_endpoint', 'north.admin', 'admin', jsonb_build_object('endpoint_id', :'endpoint'::text, 'purpose', 'x')),
    ('get_endpoint', 'north.admin', 'admin', '{"url": "https://sentinel.example/all"}'), ('rotate_endpoint', 'north.admin', 'admin', jsonb_build_object('endpoint_id', :'endpoint'::text, 'revoke', false)),
    ('update_endpoint', 'north.admin', 'admin', jsonb_build_object('endpoint_id', :'endpoint'::text, 'events', '["run.failed"]'::jsonb, 'description', 'd', 'max_concurrency', 5, 'ordered', true, 'merge_progress', true, 'ed25519', false, 'enabled', true)), ('redeliver_delivery', 'north.admin', 'admin', jsonb_build_object('delivery_id', :delivery)),
    ('get_entry', 'north.admin', 'admin', jsonb_build_object('entry_id', :entry)),
    ('list_audit', 'north.admin', 'admin', '{"limit": 5, "cursor": "9", "action": "run.submit", "user_id": "x", "object_type": "x", "object_id": "x"}'), ('list_audit', 'north.admin', 'admin', '{"limit": 5, "after": "1.1"}'),
    ('audit_verify', 'north.admin', 'admin', '{"since": 0, "head": {"number": 1, "hash": "x"}}'), ('platform_audit_verify', 'platform', 'service_role', '{"tenant": "south", "since": 0}'),
    ('platform_set_audit', 'platform', 'service_role', '{"client_header": "x-real-ip", "edge_key_sha256": "0000000000000000000000000000000000000000000000000000000000000000"}'),
    ('platform_create_tenant', 'platform', 'service_role', '{"slug": "fuzz", "name": "Fuzz"}'), ('platform_add_member', 'platform', 'service_role', '{"tenant": "south", "user_id": "u", "role": "viewer"}'),
    ('platform_set_limits', 'platform', 'service_role', '{"tenant": "south", "max_running": 5, "timeout_seconds": 5, "max_retries": 5, "max_artifact_bytes": 5, "validation_policy": "off"}'),
    ('platform_slo', 'platform', 'service_role', '{"tenant": "south", "window_hours": 5, "limit": 5, "cursor": "a"}'),
    ('platform_set_rate', 'platform', 'service_role', '{"tenant": "south", "per_minute": 50, "per_minute_each": 50}'), ('platform_set_rate', 'platform', 'service_role', '{"per_minute_strangers": 50}'),
    ('knock_outside', 'anon', 'anon', '{"want": 5}'),
    ('platform_grant', 'platform', 'service_role', '{"tenant": "south", "kind": "model", "name": "m"}'), ('platform_allow_callbacks', 'platform', 'service_role', '{"tenant": "south", "cidr": "10.0.0.0/8"}'),
    ('attempt_report', 'anon', 'anon', '{"token": "crat_1_1_00", "event": "complete"}'), ('exchange_token', 'anon', 'anon', '{"token": "cr_00"}');
select is(string_agg(x.field || '=' || left(x.value, 40) || ' -> ' || x.code, E'\n') filter (where x.code !~ '^(opened|[A-Z][A-Z_]+)$'), null, x.fuzzed || ': whatever is in its fields, the answer is in our words')
from (select b.name as fuzzed, f.field, v.value,
             tests.code(b.role, tests.claims(b.who), format('public.%I(%L::jsonb)', b.name, b.body || jsonb_build_object(f.field, v.value::jsonb))) as code
      from bodies b, jsonb_object_keys(b.body) f (field),
           unnest(array['null', 'true', '-1', '0', '1.5', '1e300', '99999999999999999999999999', '""', '" "', '"x"', '"-1"', '"99999999999"', '"''; drop table x; --"', '"\u0001"', '[]', '[null]', '[[]]', '[{}]', '["x", 7]', '{}', '{"a": null}', '{"": {}}',
                        to_json(repeat('x', 70000))::text]) v (value)
      offset 0) x
group by x.fuzzed;
-- nor is anything kept that nests so deep that its reader falls: not as the value of a field, and not as one of its items
select is(string_agg(x.field || ' -> ' || x.code, E'\n') filter (where x.code = 'opened'), null, x.fuzzed || ': what nests deeper than 100 levels is refused')
from (select b.name as fuzzed, f.field,
             tests.code(b.role, tests.claims(b.who), format('public.%I(%L::jsonb)', b.name, b.body || jsonb_build_object(f.field, case jsonb_typeof(b.body -> f.field) when 'array' then jsonb_build_array(v) else v end))) as code
      from bodies b join pg_proc p on p.pronamespace = 'public'::regnamespace and p.proname = b.name and p.provolatile = 'v',
           jsonb_object_keys(b.body) f (field), (select (repeat('{"a":[', 51) || '1' || repeat(']}', 51))::jsonb) d (v)
      offset 0) x
group by x.fuzzed;
select tests.refused('north.operator', format('public.%I(%L::jsonb)', x.name, x.body), 'BODY_INVALID', x.name || ': of an array, likewise', '$')
from (values ('submit_runs', jsonb_build_array(tests.submission(jsonb_build_object('params', (repeat('{"a":[', 51) || '1' || repeat(']}', 51))::jsonb)))),
             ('lineage_ingest', jsonb_build_array(jsonb_build_object('a', (repeat('[', 100) || repeat(']', 100))::jsonb)))) x (name, body);
select is(tests.error('north.operator', format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('params', (repeat('{"a":[', 49) || '1' || repeat(']}', 49))::jsonb)))), null, 'what nests less is not');

-- ------------------------------------------------------------------------------- lists, pages, answers

select tests.submit('south.operator', jsonb_build_object('name', 'n' || n)) from generate_series(1, 5) n;
select tests.as('south.viewer', $$ public.list_runs('{"limit": 2}') $$) as page \gset
select is((select jsonb_agg(i -> 'name') from jsonb_array_elements(:'page'::jsonb -> 'items') i), '["n5", "n4"]', 'lists are newest first, in pages');
select tests.as('south.viewer', format('public.list_runs(%L::jsonb)', jsonb_build_object('limit', 2, 'cursor', :'page'::jsonb -> 'next'))) as page \gset
select is((select jsonb_agg(i -> 'name') from jsonb_array_elements(:'page'::jsonb -> 'items') i), '["n3", "n2"]', 'the next page follows');
select tests.as('south.viewer', format('public.list_runs(%L::jsonb)', jsonb_build_object('limit', 2, 'cursor', :'page'::jsonb -> 'next'))) as page \gset
select is((select jsonb_agg(i -> 'name') from jsonb_array_elements(:'page'::jsonb -> 'items') i), '["n1"]', 'and the last');
select is(:'page'::jsonb -> 'next', 'null', 'after which there is none');
select is(jsonb_array_length(tests.as('north.viewer', $$ public.list_runs('{"state": "SUCCEEDED"}') $$) -> 'items'), 1, 'runs are filtered by state');
select is(jsonb_array_length(tests.as('north.viewer', format('public.list_runs(%L::jsonb)', jsonb_build_object('job_id', :job))) -> 'items'), 1, 'by job');
select is(jsonb_array_length(tests.as('north.viewer', $$ public.list_runs('{"job_type": "code_validation"}') $$) -> 'items'), 0, 'by job type');
select tests.refused('north.viewer', $$ public.list_runs('{"state": "ASLEEP"}') $$, 'FIELD_INVALID', 'a state that is none is said to be', '$.state');
select is((tests.as('north.operator', format('public.run_logs(%L::jsonb)', jsonb_build_object('run_id', :run))) #> '{items,0}') - 'at' - 'attempt_id', '{"seq": 1, "task_key": "t", "stream": "stdout", "line": "SENTINEL log"}', 'an operator reads the log');
select is(tests.as('north.operator', format('public.run_logs(%L::jsonb)', jsonb_build_object('run_id', :run, 'after', 1))) - 'state', '{"items": [], "next": 1, "final": true}', 'from where one stopped, and whether more will come');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) -> 'callbacks', '{"on_complete": "https://sentinel.example/x", "on_progress": "https://sentinel.example/x"}', 'a run knows its callbacks');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) #> '{artifacts,0,name}', '"jobs/SENTINEL job/sentinel.csv"', 'and its artifacts');
select is((select bool_and(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run))) ? k) from unnest(array['run_id', 'job_id', 'job_version', 'job_type', 'name', 'state', 'termination_code', 'termination_message', 'queue_reason', 'queue_reason_code', 'databricks_state', 'progress', 'created_by', 'times', 'tasks', 'artifacts', 'tables', 'callbacks', 'url']) k), true, 'a run has every field that is promised');
select is((select bool_and(tests.as('north.viewer', $$ public.slo('{"window_hours": 1}') $$) ? k) from unnest(array['window_hours', 'runs', 'success_rate', 'success_rate_platform', 'mean_execution_ms', 'lineage_coverage', 'callback_delivery', 'targets']) k), true, 'so have the figures');
select is((tests.as('platform', $$ public.platform_slo('{}') $$) #> '{items,0}') - 'tenant', tests.as('north.viewer', $$ public.slo('{}') $$), 'the platform sees of each tenant what it sees itself');
select is((select jsonb_agg(i -> 'tenant') from jsonb_array_elements(tests.as('platform', $$ public.platform_slo('{}') $$) -> 'items') i), '["north", "south"]', 'of all of them');
select is(tests.as('platform', $$ public.platform_slo('{"limit": 1}') $$) -> 'next', '"north"', 'page by page');
select is(tests.as('platform', $$ public.platform_slo('{"limit": 1, "cursor": "north"}') $$) #> '{items,0,tenant}', '"south"', 'to the last');
select is((tests.as('platform', $$ public.platform_slo('{"tenant": "south", "window_hours": 1}') $$) #> '{items,0}') - 'tenant', tests.as('south.viewer', $$ public.slo('{"window_hours": 1}') $$), 'or of one');

select is(tests.as('north.admin', format('public.%I(''{"limit": 5, "cursor": null}'')', p.proname)), tests.as('north.admin', format('public.%I(''{"limit": 5}'')', p.proname)), p.proname || ': a cursor of null is the beginning')
from pg_proc p where p.pronamespace = 'public'::regnamespace and (p.proname ~ '^list_' or p.proname in ('lineage_orphans', 'lineage_violations', 'lineage_events')) and p.proname not in ('list_backfills', 'list_events');

select * from finish();
rollback;
