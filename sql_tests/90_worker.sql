-- worker: the runner's door. The role `runner` may execute these verbs and nothing else; `loader` fills staging.
begin;
\ir fixtures.psql
select no_plan();

-- ------------------------------------------------------------------------------------------ the roles

select is(has_function_privilege('runner', p.oid, 'execute'), p.proname = any (array['register', 'farewell', 'claim_attempts', 'anything_waits', 'renew_leases', 'report', 'open_output', 'open_input',
    'settle_attempts', 'release_attempts', 'tick', 'claim_uploads', 'judge_uploads', 'sweep_artifacts', 'confirm_removals', 'claim_deliveries', 'settle_deliveries', 'canary', 'seal', 'audit_heads', 'tidy', 'fire', 'open_outside', 'read_outside', 'granted', 'high_water', 'claim_events', 'report_findings', 'over']), 'worker.' || p.proname || ' is the runner''s, or inner')
from pg_proc p where p.pronamespace = 'worker'::regnamespace order by p.proname;
select is(array(select n.nspname || '.' || p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                where n.nspname in ('tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'door', 'public') and has_function_privilege('runner', p.oid, 'execute')),
    '{}', 'the runner executes nothing of any other room');
select is(array(select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'public', 'bronze_north', 'silver_north', 'gold_north') and c.relkind in ('r', 'p', 'v', 'm')
                  and (has_table_privilege(r, c.oid, 'select,insert,update,delete,truncate,references,trigger') or has_any_column_privilege(r, c.oid, 'select,insert,update,references'))),
    '{}', r || ' has no right on any table') from unnest(array['runner', 'loader']) r;
select is(tests.error('loader', v) ->> 'code', '42501', 'loader calls no verb: ' || v) from unnest(array['worker.tick(null)', 'worker.report(null)', 'public.run_job(''{}'')', 'door.health()']) v;
select is(tests.error(w, 'worker.tick(null)') ->> 'code', '42501', w || ' calls no verb of the runner''s') from unnest(array['anon', 'north.viewer', 'north.operator', 'north.admin', 'platform', 'app_owner']) w;
select is((select (rolcanlogin, rolinherit, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb)::text from pg_roles where rolname = 'runner'), '(t,f,f,f,f,f)', 'the runner logs in and has no powers');

-- ----------------------------------------------------------------------------------- register, farewell

select is(tests.as('runner', format('worker.register(%L::jsonb)', jsonb_build_object('name', 'r1', 'instance', tests.runner(), 'offers', array['spark_etl/duckdb'], 'capacity', 4, 'version', '1', 'sandbox', '{"kind": "bubblewrap"}'::jsonb))),
    '{"lease_seconds": 15, "heartbeat_seconds": 5, "poll_seconds": 15, "deadline_grace_seconds": 5}', 'who registers learns the clockwork');
select is(tests.as('anon', $$ public.health('{}') $$) #>> '{runners,0,sandbox,kind}', 'bubblewrap', 'health says honestly what sandbox there is');
select is(tests.as('anon', $$ public.health('{}') $$) ->> 'status', 'ok', 'a runner is there');
select is(tests.as('anon', $$ public.health('{}') $$)::text !~ 'north|r1|queue', true, 'health tells of no tenant and no name');
select tests.as('runner', format('worker.farewell(%L)', tests.runner()));
select is(tests.as('anon', $$ public.health('{}') $$) ->> 'status', 'no_runner', 'one that said farewell is not');
select tests.as('runner', format('worker.register(%L::jsonb)', jsonb_build_object('name', 'r1', 'instance', tests.runner(), 'offers', array['spark_etl/duckdb'], 'capacity', 4)));
select is((select stopped_at from queue.runners where instance = tests.runner()), null, 'who comes back is there again');
update queue.runners set seen_at = clock_timestamp() - interval '11 minutes';
select tests.as('runner', format('worker.tick(%L)', tests.runner('r2')));
select isnt((select stopped_at from queue.runners where instance = tests.runner()), null, 'one that is silent for ten minutes is taken for stopped');

-- ------------------------------------------------------------------------- the canary leaves nothing

create function tests.everything()
returns text language plpgsql as $$
declare
    r record;
    n bigint;
    v text := '';
begin
    for r in select c.oid::regclass as name from pg_class c join pg_namespace s on s.oid = c.relnamespace
             where c.relkind in ('r', 'p') and s.nspname in ('tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'staging') order by 1 loop
        execute 'select count(*) from ' || r.name into n;
        v := v || r.name || ' ' || n || E'\n';
    end loop;
    return v || (select count(*) from pg_namespace);
end
$$;
select tests.submit('north.operator', '{"name": "bystander"}') as bystander \gset
select tests.everything() as before \gset
select is(tests.as('runner', format('worker.canary(%L)', tests.runner())), '{"ok": true, "state": "SUCCEEDED"}', 'the canary submits, claims and settles');
select is(tests.everything(), :'before', 'and leaves nothing behind');
select is((tests.run(:bystander)).state::text, 'QUEUED', 'and claims nobody else''s work');
-- a control: where the worker sees nothing, the canary says so
savepoint blind;
alter policy "the worker keeps attempts" on queue.live_attempts using (false) with check (true);
select isnt(tests.as('runner', format('worker.canary(%L)', tests.runner())) ->> 'ok', 'true', 'where a policy hides the queue the canary falls silent');
rollback to savepoint blind;

-- ------------------------------------------------------------------------- an outcome with its work

select tests.as('north.operator', format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'nightly', 'tasks', jsonb_build_array(tests.submission('{"task_key": "t", "outputs": [{"name": "out.csv"}, {"name": "tab", "layer": "gold", "table": "tab"}]}'))))) as job \gset
select (tests.as('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :'job'::jsonb -> 'job_id'))) ->> 'run_id') as run \gset
select tests.settle(c) from tests.claim() c where c ->> 'name' = 'bystander';
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb ->> 'validation_fail_on', 'error', 'a claim carries the tenant''s gate for validations');
savepoint gate;
update tenancy.tenants set validation_fail_on = 'note' where slug = 'north';
select tests.as('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"name": "gated", "max_retries": 0}')));
select c as gated from tests.claim() c \gset
select is(:'gated'::jsonb ->> 'validation_fail_on', 'note', 'as it is when it is claimed');
select tests.fail(:'gated', '{"termination_code": "VALIDATION_FAILED", "values": {"verdict": "failed"}}');
select is((select k.output_values from queue.task_runs k where k.id = (:'gated'::jsonb ->> 'task_run_id')::bigint), '{"verdict": "failed"}', 'what failed keeps its values');
rollback to savepoint gate;

create function tests.attempt(p_function text, p_claim jsonb, p jsonb)
returns text language sql immutable as $$ select format('public.%I(%L::jsonb)', p_function, jsonb_build_object('token', p_claim ->> 'token') || p) $$;

select tests.as('anon', tests.attempt('attempt_artifact', :'claim', '{"name": "out.csv", "kind": "data", "size": 3}')) as artifact \gset
select is(:'artifact'::jsonb - array['artifact_id', 'path'], '{"version": 1, "name": "jobs/nightly/out.csv", "bucket": "artifacts", "size": 3}', 'an artifact of a job stands under the job''s name');
select is((select (state, run_id, attempt_id, lease, created_by)::text from artifact.versions where artifact_id = (:'artifact'::jsonb ->> 'artifact_id')::uuid), format('(PENDING,%s,%s,1,north.operator)', :run, :'claim'::jsonb ->> 'attempt_id'), 'and belongs to run, attempt and lease');
select is((select count(*) from tests.rows('runner', format('select worker.claim_uploads(%L, 10)', tests.runner()))), 0::bigint, 'what an attempt uploads is judged by its settlement');
select tests.as('runner', format('worker.open_output(%s, 1, ''tab'', ''[{"name": "a", "type": "bigint"}]'')', :'claim'::jsonb ->> 'attempt_id')) #>> '{}' as staging \gset
select is(tests.settle(:'claim', jsonb_build_object('values', '{"rows": 0}'::jsonb, 'exit_code', 0, 'peak_memory_bytes', 1000, 'cpu_ms', 20,
    'tables', jsonb_build_array(jsonb_build_object('name', 'tab', 'staging', :'staging'::text)),
    'artifacts', jsonb_build_array(jsonb_build_object('artifact_id', :'artifact'::jsonb ->> 'artifact_id', 'version', 1, 'size', 3, 'sha256', repeat('b', 64), 'verdict', 'READY')),
    'lineage', '[{"eventTime": "2026-01-01T00:00:00Z", "producer": "p", "schemaURL": "s", "job": {"namespace": "control-room://north", "name": "nightly"},
                  "inputs": [{"namespace": "control-room://north", "name": "bronze.raw"}], "outputs": [{"namespace": "control-room://north", "name": "gold.tab"}, {"namespace": "control-room://north/artifacts", "name": "jobs/nightly/out.csv"}],
                  "run": {"runId": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "facets": {"control_room": {"method": "plan"}}}}]'::jsonb)) ->> 'run_state', 'SUCCEEDED', 'state, tables, artifacts, lineage and outbox are settled at once');
select is((select (state, size, sha256)::text from artifact.versions where artifact_id = (:'artifact'::jsonb ->> 'artifact_id')::uuid), format('(READY,3,%s)', repeat('b', 64)), 'the artifact is READY');
select has_table('gold_north', 'tab', 'the table is published');
select is((select array_agg(distinct method || ' ' || coalesce(run_id::text, '')) from lineage.edges), array['plan ' || :run], 'the lineage is recorded, with the run that showed it');
select is((select (exit_code, peak_memory_bytes, cpu_ms)::text from queue.past_attempts where run_id = :run), '(0,1000,20)', 'what it took is on record');
select is(tests.as('north.viewer', format('public.run_lineage(%L::jsonb)', jsonb_build_object('run_id', :run))) -> 'graph' @> '[{"id": "dataset:control-room://north:gold.tab"}, {"id": "dataset:control-room://north:bronze.raw"}, {"id": "job:control-room://north:nightly"}]', true, 'the run knows its lineage');
select is(tests.as('north.viewer', $$ public.slo('{}') $$) -> 'lineage_coverage', '1.000000', 'every flow is covered');
select tests.submit('north.operator', '{"outputs": [{"name": "dark", "layer": "gold", "table": "dark"}]}') as run2 \gset
select c as claim2 from tests.claim() c \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''dark'', ''[{"name": "a", "type": "bigint"}]'')', :'claim2'::jsonb ->> 'attempt_id')) #>> '{}' as staging2 \gset
select tests.settle(:'claim2', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 'dark', 'staging', :'staging2'::text))));
select is((tests.as('north.viewer', $$ public.slo('{}') $$) ->> 'lineage_coverage')::numeric, 0.666667, 'a table without lineage shows in the figures');

-- artifacts of another lease, or another attempt, are not judged by this one
select tests.submit('north.operator') as run \gset
select c as claim from tests.claim() c \gset
select tests.as('anon', tests.attempt('attempt_artifact', :'claim', '{"name": "x", "kind": "data", "size": 1}')) as lost_artifact \gset
select is(:'lost_artifact'::jsonb ->> 'name', 'runs/' || :run || '/x', 'an artifact of a one-time run stands under the run');
select tests.lose(:'claim');
select c as claim2 from tests.claim() c \gset
select tests.settle(:'claim2', jsonb_build_object('artifacts', jsonb_build_array(jsonb_build_object('artifact_id', :'lost_artifact'::jsonb ->> 'artifact_id', 'version', 1, 'size', 1, 'sha256', repeat('c', 64), 'verdict', 'READY'))));
select is((select state::text from artifact.versions where artifact_id = (:'lost_artifact'::jsonb ->> 'artifact_id')::uuid), 'PENDING', 'what a lost lease uploaded is not made READY by the next');
select is((tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', :run)))) -> 'artifacts', '[]', 'and is no artifact of the run');

-- --------------------------------------------------------------------------- the attempt's own token

select tests.as('north.operator', $$ public.create_artifact('{"name": "in", "kind": "data", "size": 1}') $$) as input \gset
select artifact.judge(tests.tenant('north'), (:'input'::jsonb ->> 'artifact_id')::uuid, 1, 'READY', 1, repeat('d', 64), null);
select tests.as('south.operator', $$ public.create_artifact('{"name": "in", "kind": "data", "size": 1}') $$) as souths \gset
select artifact.judge(tests.tenant('south'), (:'souths'::jsonb ->> 'artifact_id')::uuid, 1, 'READY', 1, repeat('d', 64), null);
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('inputs', jsonb_build_array(jsonb_build_object('name', 'i', 'artifact_id', :'souths'::jsonb ->> 'artifact_id'))))), 'INPUT_NOT_FOUND', 'another tenant''s artifact is no input');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('code', jsonb_build_object('artifact_id', :'souths'::jsonb ->> 'artifact_id')))), 'INPUT_NOT_FOUND', 'nor code');
select tests.submit('north.operator', jsonb_build_object('inputs', jsonb_build_array(jsonb_build_object('name', 'i', 'artifact_id', :'input'::jsonb ->> 'artifact_id')), 'code', jsonb_build_object('artifact_id', :'input'::jsonb ->> 'artifact_id'))) as run \gset
select c as claim from tests.claim() c \gset
select is(tests.as('anon', tests.attempt('attempt_input', :'claim', '{"name": "i"}')) - 'path', jsonb_build_object('bucket', 'artifacts', 'filename', 'in', 'artifact_name', 'in', 'version', 1, 'size', 1, 'sha256', repeat('d', 64)), 'an attempt gets the inputs it asked for');
select is(tests.as('anon', tests.attempt('attempt_input', :'claim', '{"name": ".code"}')) ->> 'path', :'input'::jsonb ->> 'path', 'and code that is an artifact');
select tests.refused('anon', tests.attempt('attempt_input', :'claim', '{"name": "other"}'), 'INPUT_UNKNOWN', 'and nothing else', 'other');
select tests.refused('anon', tests.attempt('attempt_artifact', :'claim', p.body::jsonb), p.code, 'no artifact of an attempt: ' || p.body)
from (values ('{"name": "../x", "kind": "data", "size": 1}', 'FIELD_INVALID'), ('{"name": "x", "kind": "film", "size": 1}', 'FIELD_INVALID'), ('{"name": "x", "kind": "data", "size": 52428801}', 'ARTIFACT_TOO_LARGE'), ('{"name": "x", "kind": "data"}', 'FIELD_INVALID'), ('{"kind": "data", "size": 1}', 'FIELD_INVALID')) p (body, code);
select is(tests.as('anon', tests.attempt('attempt_report', :'claim', '{"event": "progress", "percent": 40, "message": "half", "external_id": "n8n/7"}')), '{"accepted": true, "cancel_requested": false}', 'an executor outside reports progress');
select is((select external_id from queue.live_attempts where run_id = :run), 'n8n/7', 'and what it is called there');
select tests.refused('anon', tests.attempt('attempt_report', :'claim', p.body::jsonb), 'FIELD_INVALID', 'no report: ' || p.body, p.path)
from (values ('{"event": "explode"}', '$.event'), ('{}', '$.event'), ('{"event": "progress", "percent": 101}', '$.percent'), ('{"event": "progress", "percent": "half"}', '$.percent'), ('{"event": "fail", "retryable": "maybe"}', '$.retryable')) p (body, path);
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)));
select is(tests.as('anon', tests.attempt('attempt_report', :'claim', '{"event": "progress", "percent": 50}')) -> 'cancel_requested', 'true', 'and learns of a cancel');
select tests.as('anon', tests.attempt('attempt_report', :'claim', '{"event": "complete", "result": {"answer": 42}}'));
select is((select (state, output_values)::text from queue.task_runs where run_id = :run), '(SUCCEEDED,"{""answer"": 42}")', 'what is complete has succeeded');
select tests.refused('anon', tests.attempt(f, :'claim', '{"event": "complete", "name": "i", "kind": "data", "size": 1}'), 'ATTEMPT_TOKEN_INVALID', f || ': the token is void after it') from unnest(array['attempt_report', 'attempt_input', 'attempt_artifact']) f;
select tests.refused('anon', format('public.attempt_report(%L::jsonb)', p), 'ATTEMPT_TOKEN_INVALID', 'no attempt token: ' || p)
from unnest(array['{}', '{"token": null}', '{"token": 7}', '{"token": "crat_1_1_"}', '{"token": "crat_1_1_00"}', '{"token": "cr_0000"}', '{"token": "crat_999999999999999999_999999999_' || repeat('0', 64) || '"}', '{"token": "crat_1_2147483648_' || repeat('0', 64) || '"}']) p;
select tests.submit('north.operator', '{"max_retries": 1}') as run \gset
select c as claim from tests.claim() c \gset
select tests.refused('anon', tests.attempt('attempt_report', (:'claim'::jsonb || jsonb_build_object('token', left(:'claim'::jsonb ->> 'token', -1) || case right(:'claim'::jsonb ->> 'token', 1) when '0' then '1' else '0' end)), '{"event": "complete"}'), 'ATTEMPT_TOKEN_INVALID', 'a token that is off by one digit is none');
select tests.as('anon', tests.attempt('attempt_report', :'claim', '{"event": "fail", "error": "no luck", "retryable": true}'));
select is((select (state, termination_message)::text from queue.task_runs where run_id = :run), '(QUEUED,"no luck")', 'what failed outside is tried again, if it says so');
select tests.hurry();
select tests.as('anon', tests.attempt('attempt_report', (select c from tests.claim() c), '{"event": "fail", "error": "no luck"}'));
select is((select (state, termination_code, termination_message)::text from queue.runs where id = :run), '(FAILED,USER_CODE_FAILED,"no luck")', 'or has failed');

-- ---------------------------------------------------------------------------------------- housekeeping

select is(tests.as('runner', format('worker.tick(%L)', tests.runner())) - 'due_in_ms' - 'unsealed', '{"reaped": 0, "runs_stopped": 0, "runs_admitted": 0, "jobs_due": false, "deliveries_reaped": 0, "depth": 0}', 'a tick with nothing to do does nothing');
select tests.submit('north.operator');
select c as claim from tests.claim() c \gset
select tests.submit('north.operator') from generate_series(1, 3);
select is(tests.tick() ->> 'depth', '3', 'a tick tells how much waits');
select cmp_ok((tests.tick() ->> 'due_in_ms')::numeric, '<=', 15000::numeric, 'and when to come again');
select is(tests.tick() ->> 'reaped', '0', 'a second tick finds nothing new') from tests.lose(:'claim');
set local role app_system;
create table staging.o999999_1_left (a text);
create table staging.keep_me (a text);
reset role;
select tests.tick();
select hasnt_table('staging', 'o999999_1_left', 'a staging table without a lease is dropped');
select has_table('staging', 'keep_me', 'what is not the runner''s is left alone');

-- ------------------------------------------------------------------------------------- how many are needed

savepoint counted;
select worker.demand() as before \gset
select tests.submit('south.operator', '{"job_type": "diagram_export", "code": null}') from generate_series(1, 3);
select is(worker.demand(), (:before + 3)::bigint, 'what waits is a place that is needed');
update queue.live_attempts set ready_at = clock_timestamp() + interval '1 minute' where id = (select max(id) from queue.live_attempts where state = 'QUEUED');
select is(worker.demand(), (:before + 2)::bigint, 'what is to wait longer is none yet');
update queue.live_attempts set ready_at = clock_timestamp() where ready_at > clock_timestamp();
select is((select count(*) from tests.claim(2, '{diagram_export/default}') c where c ->> 'tenant_slug' = 'south'), 2::bigint, 'two are claimed');
select is(worker.demand(), (:before + 3)::bigint, 'and what runs still is');
update tenancy.limits l set max_running = 1 from tenancy.tenants t where t.id = l.tenant_id and t.slug = 'south';
select is(worker.demand(), (:before + 2)::bigint, 'no tenant is counted beyond its limit, but what runs is');
set local role scaler;
select is(worker.demand() >= 0, true, 'a scaler may ask it');
select throws_ok('select worker.anything_waits()', '42501', null, 'and nothing else of the runners''');
select throws_ok('select * from queue.live_attempts', '42501', null, 'nor look at anything');
reset role;
rollback to counted;

-- ------------------------------------------------------------------------------------- whose trace it is

-- p_traceparent of a request, and what the runner hears of it when it claims the run
create function pg_temp.traced(p_traceparent text) returns text language plpgsql as $$
declare
    v_run bigint;
begin
    perform set_config('request.headers', jsonb_build_object('traceparent', p_traceparent)::text, true);
    v_run := tests.submit('north.operator', '{"job_type": "diagram_export", "code": null}');
    perform set_config('request.headers', '', true);
    return (select c ->> 'traceparent' from tests.claim(100, '{diagram_export/default}') c where (c ->> 'run_id')::bigint = v_run);
end
$$;
select is(pg_temp.traced('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'), '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', 'a runner hears to which trace a run belongs');
select is(pg_temp.traced(e'00-1-2-01\r\nX-Evil: 1'), null, 'and nothing that is no trace');
select is(pg_temp.traced(null), null, 'where there is one');

-- ------------------------------------------------------------------------------------- the hot verbs

-- with plan_cache_mode = auto, several of their statements were planned anew in every call: a third of its time (ADR 021)
select set_eq(
    $$ select p.oid::regprocedure::text from pg_proc p where p.proconfig @> '{plan_cache_mode=force_generic_plan}' and p.prosecdef $$,
    array['worker.claim_attempts(uuid,text[],integer)', 'worker.settle_attempts(uuid,jsonb)', 'worker.renew_leases(uuid,jsonb)', 'worker.report(jsonb)',
          'worker.claim_deliveries(uuid,integer)', 'worker.settle_deliveries(jsonb)', 'door.run_job(jsonb)'],
    'verbs that are called all the time keep generic plans, and what they call with them');

select * from finish();
rollback;
