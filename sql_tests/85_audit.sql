-- audit: who did what, appended in the transaction of the act, never changed.
begin;
\ir fixtures.psql
select no_plan();

create temporary table recorded (door text);
-- The entries that an act adds, and which door left one.
create function tests.audited(p_who text, p_expression text)
returns text language plpgsql as $$
declare
    v_last bigint := (select coalesce(max(id), 0) from audit.entries);
begin
    perform tests.as(p_who, p_expression);
    insert into recorded select substring(p_expression from 'public\.(\w+)') where exists (select from audit.entries e where e.id > v_last);
    return (select string_agg(concat_ws(' ', t.slug, e.user_id, e.role, e.action, e.object_type), ', ' order by e.id) from audit.entries e
            left join tenancy.tenants t on t.id = e.tenant_id where e.id > v_last);
end
$$;

-- The same of somebody whom only the edge function knows: what it has verified of him stands in its claims.
create function tests.audited_of(p_assertion jsonb, p_door text, p_body jsonb)
returns text language plpgsql as $$
declare
    v_last bigint := (select coalesce(max(id), 0) from audit.entries);
begin
    perform tests.become_with(jsonb_build_object('role', 'anon', 'assertion', p_assertion)::text, 'anon');
    execute format('select public.%I(%L::jsonb)', p_door, p_body);
    perform tests.rest();
    insert into recorded select p_door where exists (select from audit.entries e where e.id > v_last);
    return (select string_agg(e.action, ', ' order by e.id) from audit.entries e where e.id > v_last);
end
$$;

select is(tests.audited('platform', $$ public.platform_create_tenant('{"slug": "east"}') $$), 'east service service_role tenant.create tenant', 'making a tenant is on record');
select is(tests.audited('platform', $$ public.platform_set_limits('{"tenant": "east", "max_running": 1}') $$), 'east service service_role tenant.set_limits tenant', 'setting limits');
select is(tests.audited('platform', $$ public.platform_set_rate('{"tenant": "east", "per_minute": 100}') $$), 'east service service_role tenant.set_rate tenant', 'setting a rate');
select is(tests.audited('platform', $$ public.platform_add_member('{"tenant": "east", "user_id": "u", "role": "admin"}') $$), 'east service service_role member.set member', 'making a member');
select is(tests.audited('platform', $$ public.platform_remove_member('{"tenant": "east", "user_id": "u"}') $$), 'east service service_role member.remove member', 'removing one');
select is(tests.audited('platform', $$ public.platform_grant('{"tenant": "east", "kind": "secret", "name": "K"}') $$), 'east service service_role tenant.grant grant', 'granting');
select is(tests.audited('platform', $$ public.platform_revoke('{"tenant": "east", "kind": "secret", "name": "K"}') $$), 'east service service_role tenant.revoke grant', 'taking back');
select is(tests.audited('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/8"}') $$), 'service service_role callback.allow network', 'opening a network to all');
select is(tests.audited('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/8", "tenant": "east"}') $$), 'east service service_role callback.allow network', 'opening one to a tenant');
select is(tests.audited('north.operator', 'public.run_job(tests.submission())'), 'north north.operator operator run.submit run', 'submitting');
select is(tests.audited('north.operator@hook', 'public.run_job(tests.submission())'), 'north north.operator operator run.submit run', 'in either shape of claims');
select is(tests.audited('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', (select max(id) from queue.runs)))), 'north north.operator operator run.cancel run', 'canceling');
select is(tests.audited('north.operator', format('public.repair_run(%L::jsonb)', jsonb_build_object('run_id', (select max(id) from queue.runs)))), 'north north.operator operator run.repair run', 'repairing');
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', (select max(id) from queue.runs))));
select is(tests.audited('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', (select max(id) from queue.runs)))), 'north north.operator operator run.rerun run', 'running again');
select is(tests.audited('north.operator', $$ public.submit_runs(jsonb_build_array(tests.submission(), tests.submission('{"idempotency_key": "a"}'), tests.submission('{"idempotency_key": "a"}'))) $$),
    'north north.operator operator run.submit run, north north.operator operator run.submit run', 'every run of a batch, a known one not again');
select is(tests.audited('north.operator', $$ public.create_job(jsonb_build_object('name', 'j', 'tasks', jsonb_build_array(tests.submission()))) $$), 'north north.operator operator job.create job', 'making a job');
select (select max(id) from job.jobs) as job \gset
select is(tests.audited('north.operator', $$ public.apply_jobs(jsonb_build_object('source', 's', 'jobs', jsonb_build_array(jsonb_build_object('name', 'k', 'tasks', jsonb_build_array(tests.submission()))))) $$), 'north north.operator operator job.create job', 'applying a file, each job that it changes');
select is(tests.audited('north.operator', $$ public.apply_jobs('{"source": "s", "prune": true}') $$), 'north north.operator operator job.delete job', 'and each that it prunes');
select is(tests.audited('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', :job))), 'north north.operator operator job.update job', 'changing it');
select tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'periodic', '{"every_seconds": 60}'::jsonb)));
select is(tests.audited('north.operator', format('public.pause_job(%L::jsonb)', jsonb_build_object('job_id', :job))), 'north north.operator operator job.pause job', 'pausing it');
select is(tests.audited('north.operator', format('public.resume_job(%L::jsonb)', jsonb_build_object('job_id', :job))), 'north north.operator operator job.resume job', 'resuming it');
select tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'parameters', '{"day": 1}'::jsonb)));
select is(tests.audited('north.operator', format('public.backfill_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'parameter', 'day', 'values', '[1, 2]'::jsonb))),
    'north north.operator operator run.submit run, north north.operator operator run.submit run, north north.operator operator backfill.create job', 'filling it in, each run and the whole');
select is(tests.audited('north.operator', format('public.backfill_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'parameter', 'day', 'values', '[1, 2]'::jsonb))), null, 'not again');
select is(tests.audited('north.operator', format('public.cancel_backfill(%L::jsonb)', jsonb_build_object('job_id', :job, 'backfill_id', (select max(id) from queue.backfills)))), 'north north.operator operator backfill.cancel job', 'canceling that');
select is(tests.audited('north.operator', format('public.delete_job(%L::jsonb)', jsonb_build_object('job_id', :job))), 'north north.operator operator job.delete job', 'deleting it');
select is(tests.audited('north.operator', $$ public.create_artifact('{"name": "a", "kind": "data", "size": 1}') $$), 'north north.operator operator artifact.create artifact', 'making an artifact');
select id as artifact from artifact.artifacts \gset
select is(tests.audited('north.operator', format('public.complete_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'artifact'::text))), 'north north.operator operator artifact.complete artifact', 'saying that its bytes are there');
select is(tests.audited('north.operator', format('public.complete_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'artifact'::text))), null, 'saying so twice changes nothing');
select is(tests.audited('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'artifact'::text, 'tags', '{"a": "b"}'::jsonb))), 'north north.operator operator artifact.update artifact', 'changing what is said of it');
select is(tests.audited('north.operator', $$ public.lineage_ingest('{}') $$), 'north north.operator operator lineage.ingest events', 'telling of lineage');
select tests.as('north.operator', $$ public.lineage_ingest('{"eventTime": "2026-01-01T00:00:00Z", "producer": "p", "schemaURL": "s", "job": {"namespace": "n", "name": "wrong"},
    "inputs": [{"namespace": "n", "name": "a"}], "outputs": [{"namespace": "n", "name": "b"}]}') $$);
select is(tests.audited('north.admin', $$ public.retire_lineage('{"job": "job:n:wrong", "reason": "it was wrong"}') $$), 'north north.admin admin lineage.retire edges', 'retiring of it');
select is(tests.audited('north.admin', $$ public.set_layer_rules('{"rules": []}') $$), 'north north.admin admin catalog.set_layer_rules tenant', 'rules for the layers');
select is(tests.audited('north.operator', $$ public.catalog_sync('{}') $$), 'north north.operator operator catalog.sync tenant', 'bringing the catalog up to date');
select is(tests.audited('north.operator', $$ public.catalog_ingest('{"catalog": "erp", "models": []}') $$), 'north north.operator operator catalog.ingest catalog', 'telling of another system');
select is(tests.audited('north.operator', $$ public.describe_object('{"name": "erp", "comment": "x"}') $$), 'north north.operator operator catalog.describe catalog', 'saying what something is');
select is(tests.audited('north.operator', $$ public.set_freshness('{"name": "main.gold", "warn_after": {"count": 1, "period": "day"}}') $$), 'north north.operator operator catalog.set_freshness object', 'how old data may be');
select is(tests.audited('north.operator', $$ public.set_expectation('{"layer": "gold", "table": "t", "name": "n", "kind": "not_null", "action": "warn", "definition": {"column": "a"}}') $$), 'north north.operator operator catalog.set_expectation expectation', 'what is expected of it');
select is(tests.audited('north.operator', format('public.delete_expectation(%L::jsonb)', jsonb_build_object('expectation_id', (select max(id) from catalog.expectations)))), 'north north.operator operator catalog.delete_expectation expectation', 'and no more');
select tests.as('north.operator', format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'maker', 'tasks', jsonb_build_array(tests.submission('{"task_key": "t", "outputs": [{"name": "t", "layer": "gold", "table": "made"}]}')))));
select is(tests.audited('north.operator', $$ public.catalog_refresh('{"target": "gold.made"}') $$), 'north north.operator operator run.submit run, north north.operator operator catalog.refresh run', 'bringing a table up to date');
set local role app_system;
select catalog.open_staging('audited', '[{"name": "a", "type": "text"}]'), catalog.publish(tests.tenant('north'), 'north', 'audited', 'silver', 'rolled', 'overwrite', null);
reset role;
select is(tests.audited('north.operator', $$ public.set_rollup('{"table": "sums", "source": "silver.rolled", "by": ["a"], "measures": [{"name": "n", "fn": "count"}]}') $$), 'north north.operator operator catalog.set_rollup rollup', 'rolling up');
select is(tests.audited('north.operator', $$ public.delete_rollup('{"table": "sums"}') $$), 'north north.operator operator catalog.delete_rollup rollup', 'and no more of it');
select is(tests.audited('north.admin', format('public.delete_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'artifact'::text))), 'north north.admin admin artifact.delete artifact', 'deleting it');
select is(tests.audited('north.admin', $$ public.create_endpoint('{"url": "https://x.example"}') $$), 'north north.admin admin endpoint.create endpoint', 'making an endpoint');
select (select id from callback.endpoints) as endpoint \gset
select is(tests.audited('north.admin', format('public.get_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::text))), null, 'looking at it is not');
select is(tests.audited('north.admin', format('public.get_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::text, 'purpose', 'secret'))), 'north north.admin admin endpoint.read_secret endpoint', 'reading its secret is');
select is(tests.audited('north.admin', format('public.rotate_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::text))), 'north north.admin admin endpoint.rotate endpoint', 'rotating its secret');
select is(tests.audited('north.admin', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::text, 'enabled', false))), 'north north.admin admin endpoint.update endpoint', 'switching it off');
select tests.as('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/8"}') $$);
select is(tests.audited('north.admin', $$ public.allow_network('{"cidr": "10.1.0.0/16"}') $$), 'north north.admin admin callback.allow network', 'opening a network');
select is(tests.audited('north.admin', format('public.disallow_network(%L::jsonb)', jsonb_build_object('network_id', (select max(id) from callback.allowed_networks)))), 'north north.admin admin callback.disallow network', 'closing it');
select is(tests.audited('north.admin', format('public.delete_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::text))), 'north north.admin admin endpoint.delete endpoint', 'deleting it');
select c as claim from tests.claim() c \gset
select is(tests.audited('anon', format('public.attempt_report(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'event', 'progress', 'percent', 5))), null, 'progress of an attempt is told by its run');
select is(tests.audited('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'name', 'a', 'kind', 'data', 'size', 1))),
    format('north attempt:%s attempt artifact.create artifact', :'claim'::jsonb ->> 'attempt_id'), 'what an attempt makes by its token is on record under its name');
select is(tests.audited('anon', format('public.attempt_report(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'event', 'complete'))),
    format('north attempt:%s attempt attempt.complete attempt', :'claim'::jsonb ->> 'attempt_id'), 'and that it ended');
select tests.as('north.admin', $$ public.create_endpoint('{"url": "https://y.example"}') $$);
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', tests.submit('north.operator'))));
update callback.deliveries set state = 'DEAD', finished_at = now();
select is(tests.audited('north.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', (select max(id) from callback.deliveries)))), 'north north.operator operator delivery.redeliver delivery', 'sending again');
select is(tests.audited('north.operator', $$ public.replay_deliveries('{}') $$), 'north north.operator operator delivery.replay delivery', 'replaying');
select is(tests.audited('north.viewer', $$ public.create_token('{"name": "t"}') $$), 'north north.viewer viewer token.create token', 'making a token');
select is(tests.audited('north.viewer', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', (select id from tenancy.access_tokens)))), 'north north.viewer viewer token.revoke token', 'revoking it');
select is(tests.audited('north.admin', $$ public.create_trust('{"name": "ci", "repository": "acme/etl", "ref": "*", "role": "operator"}') $$), 'north north.admin admin trust.create trust', 'trusting a repository');
select is(tests.audited_of('{"iss": "https://token.actions.githubusercontent.com", "jti": "j", "sub": "repo:acme/etl:ref:refs/heads/main", "repository": "acme/etl", "repository_id": "74", "ref": "refs/heads/main", "event_name": "push", "run_id": "42", "actor": "octocat"}'::jsonb
    || jsonb_build_object('exp', extract(epoch from now())::bigint + 300), 'exchange_assertion', '{"tenant": "north"}'), 'token.exchange', 'a workflow that comes in');
select is(tests.audited('north.admin', format('public.delete_trust(%L::jsonb)', jsonb_build_object('trust_id', (select id from tenancy.trusts where tenant_id = tests.tenant('north'))))), 'north north.admin admin trust.delete trust', 'trusting it no more');
select is(tests.audited('north.admin', $$ public.create_invitation('{"email": "new@north.example", "role": "viewer"}') $$), 'north north.admin admin invitation.create invitation', 'inviting');
select is(tests.audited('north.admin', format('public.revoke_invitation(%L::jsonb)', jsonb_build_object('invitation_id', (select id from tenancy.invitations where tenant_id = tests.tenant('north'))))), 'north north.admin admin invitation.revoke invitation', 'thinking better of it');
select tests.as('north.admin', $$ public.create_invitation('{"user_id": "newcomer", "role": "viewer"}') $$) ->> 'token' as token \gset
select is(tests.audited_of('{"user_id": "newcomer"}', 'accept_invitation', jsonb_build_object('token', :'token')), 'invitation.accept', 'coming in');
select is(tests.audited('north.admin', $$ public.set_member_role('{"user_id": "newcomer", "role": "operator"}') $$), 'north north.admin admin member.set member', 'another role');
select is(tests.audited('north.admin', $$ public.remove_member('{"user_id": "newcomer"}') $$), 'north north.admin admin member.remove member', 'and out');
select is(tests.audited('platform', $$ public.platform_set_audit('{"client_header": "x-forwarded-for"}') $$), 'service service_role audit.configure audit', 'saying whom to believe');
select is(tests.audited('north.viewer', $$ public.list_runs('{}') $$), null, 'looking around is not on record');
select is(tests.audited('runner', format('worker.tick(%L)', tests.runner())), null, 'nor is housekeeping');

-- the list of doors that change something comes from the catalog: a new one that leaves no entry, or is not tried here, is found
select set_eq($$ select p.proname::text from pg_proc p where p.pronamespace = 'public'::regnamespace and p.provolatile = 'v' and p.proacl is not null
                 and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
                 -- they lock, count, or note when a token was last used, and change nothing else
                 and p.proname not in ('attempt_input', 'attempt_parcel', 'check_bytes', 'exchange_token', 'knock', 'knock_outside', 'sweep_bytes') $$,
    'select distinct door from recorded', 'every door that changes something leaves an entry');

-- what is refused is not recorded as done
select count(*) as entries from audit.entries \gset
select tests.error('north.viewer', 'public.run_job(tests.submission())');
select tests.error('north.operator', $$ public.run_job('{}') $$);
select is((select count(*) from audit.entries), :entries::bigint, 'what was refused is not recorded as done');

-- where from
create function tests.origin(p_headers jsonb)
returns text language plpgsql as $$
begin
    perform set_config('request.headers', p_headers::text, true);
    perform tests.submit('north.operator');
    perform set_config('request.headers', '', true);
    return (select concat_ws(' | ', e.door, e.ip, e.forwarded_for, e.user_agent, e.request_id) from audit.entries e order by e.id desc limit 1);
end
$$;
select is(tests.origin('{"x-request-id": "req-1", "x-forwarded-for": "203.0.113.9, 10.0.0.1", "user-agent": "curl"}'), 'rpc | 10.0.0.1 | 203.0.113.9, 10.0.0.1 | curl | req-1',
    'the address is what our own front wrote, last in the list; what the request claims is kept beside it');
select is(tests.origin('{"x-forwarded-for": "203.0.113.9", "cf-connecting-ip": "203.0.113.1", "x-real-ip": "203.0.113.2"}'), 'rpc | 203.0.113.9 | 203.0.113.9', 'no other header is believed');
select tests.as('platform', $$ public.platform_set_audit('{"client_header": "cf-connecting-ip"}') $$);
select is(tests.origin('{"x-forwarded-for": "203.0.113.9", "cf-connecting-ip": "203.0.113.1"}'), 'rpc | 203.0.113.1 | 203.0.113.9', 'unless the platform says so');
select tests.as('platform', $$ public.platform_set_audit('{"client_header": "x-forwarded-for"}') $$);
select is(tests.origin('{"x-edge-key": "k", "x-edge-x-forwarded-for": "1.1.1.1", "x-forwarded-for": "2.2.2.2"}'), 'rpc | 2.2.2.2 | 2.2.2.2', 'nobody is the edge function by saying so');
select tests.as('platform', format('public.platform_set_audit(%L::jsonb)', jsonb_build_object('edge_key_sha256', encode(sha256('k'), 'hex'))));
select is(tests.origin('{"x-edge-key": "wrong", "x-edge-x-forwarded-for": "1.1.1.1", "x-forwarded-for": "2.2.2.2"}'), 'rpc | 2.2.2.2 | 2.2.2.2', 'nor with another key');
select is(tests.origin('{"x-edge-key": "k", "x-edge-x-forwarded-for": "3.3.3.3, 1.1.1.1", "x-forwarded-for": "2.2.2.2"}'), 'edge | 1.1.1.1 | 3.3.3.3, 1.1.1.1', 'with its key the edge function tells where its caller came from');
select tests.submit('north.operator');
select is((select door from audit.entries order by id desc limit 1), 'sql', 'what comes without a request says so');
select is((select count(*) from audit.entries e where e::text ~ '"?k"?' and e.details ? 'x-edge-key'), 0::bigint, 'the key itself is not in the record');
select tests.become_with((tests.claims('north.operator')::jsonb || jsonb_build_object('token_id', gen_random_uuid()))::text, 'operator');
select tests.rest();
select is((select count(*) from audit.entries e where e.details::text ~ '"(token|secret|hash|password)":'), 0::bigint, 'no token and no secret is in the record');
select is((select count(*) from audit.entries e where e.details::text ~ 'cr_[0-9a-f]{8}|whsec_|print\(1\)'), 0::bigint, 'nor code');

-- who reads
select is(tests.count('north.viewer', 'select * from audit.entries'), 0::bigint, 'a viewer does not read the record');
select is(tests.count('north.operator', 'select * from audit.entries'), 0::bigint, 'nor an operator');
select cmp_ok(tests.count('north.admin', 'select * from audit.entries'), '>', 0::bigint, 'an admin does');
select is(tests.count('north.admin', 'select * from audit.entries where tenant_id is distinct from tenancy.tenant_id()'), 0::bigint, 'of the own tenant only');
select is(tests.count('south.admin', $$ select * from audit.entries where action like 'run.%' $$), 0::bigint, 'another tenant''s admin sees none of it');
select is(tests.error(w, '(select count(*) from audit.entries)') ->> 'code', '42501', w || ' does not reach the record') from unnest(array['anon', 'runner', 'platform']) w;

select throws_ok($$ select audit.append(tests.tenant('north'), 'any words', 'run', '1') $$, '23514', null, 'an act is named by a room and a verb');

-- append-only, for everybody
create function tests.try(p_role text, p_statement text)
returns text language plpgsql as $$
declare
    n bigint;
begin
    perform tests.become('north.admin');
    perform set_config('role', case p_role when 'supabase_admin' then 'none' else p_role end, true);
    execute p_statement;
    get diagnostics n = row_count;
    perform tests.rest();
    return case when n = 0 and p_statement !~ '^truncate' then 'refused' else 'done' end;  -- row security hides from its owner what it may not touch
exception when insufficient_privilege then
    return 'refused';
end
$$;
select is(tests.try(r, s), 'refused', format('%s: not by %s', s, r))
from unnest(array['anon', 'admin', 'service_role', 'runner', 'loader', 'app_system', 'app_owner', 'postgres', 'supabase_admin']) r,
     unnest(array['delete from audit.entries', 'update audit.entries set user_id = ''nobody''', 'truncate audit.entries']) s;
set local session_replication_role = replica;
select is(tests.try(r, s), 'refused', format('%s: not by %s with triggers asleep', s, r))
from unnest(array['app_owner', 'supabase_admin']) r, unnest(array['delete from audit.entries', 'update audit.entries set user_id = ''nobody''', 'truncate audit.entries']) s;
set local session_replication_role = origin;
select is(tests.try(r, format('insert into audit.entries (tenant_id, user_id, role, action, object_type, object_id) values (%L, ''x'', ''x'', ''a.b'', ''x'', ''x'')', tests.tenant('south'))), 'refused', r || ' does not write another tenant''s record')
from unnest(array['anon', 'admin', 'service_role', 'runner', 'app_owner']) r;

select * from finish();
rollback;
