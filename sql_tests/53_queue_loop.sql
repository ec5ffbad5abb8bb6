-- queue: the loop: generate, validate, execute; what is judged is what runs.
begin;
\ir fixtures.psql
select no_plan();

create function tests.task(p_run bigint, p_key text)
returns queue.task_runs language sql stable as $$ select t from queue.task_runs t where t.run_id = p_run and t.task_key = p_key $$;
create function tests.payload(p_run bigint, p_key text)
returns queue.payloads language sql stable as $$ select y from queue.payloads y where y.task_run_id = (tests.task(p_run, p_key)).id $$;
-- how a task ended, why, and after how many attempts
create function tests.ending(p_run bigint, p_key text)
returns text language sql stable as $$
    select concat_ws(' ', t.state, t.termination_code, (select count(*) from queue.past_attempts a where a.task_run_id = t.id)) from tests.task(p_run, p_key) t
$$;
create function tests.claim_any()
returns jsonb language sql as $$ select c from tests.claim(1, '{code_generation/m,code_validation/default,spark_etl/duckdb,schema_migration/default}') c $$;
-- what an attempt has made, as settle takes it
create function tests.made(p_claim jsonb, p_name text, p_kind text, p_letter text)
returns jsonb language plpgsql as $$
declare
    v jsonb := tests.as('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', p_claim -> 'token', 'name', p_name, 'kind', p_kind, 'size', 7, 'sha256', repeat(p_letter, 64))));
begin
    return jsonb_build_object('artifacts', jsonb_build_array(jsonb_build_object('artifact_id', v -> 'artifact_id', 'version', v -> 'version', 'verdict', 'READY', 'size', 7, 'sha256', repeat(p_letter, 64))));
end
$$;
create function tests.generate(p_letter text)
returns jsonb language plpgsql as $$
declare
    c jsonb := tests.claim_any();
begin
    return case when c ->> 'job_type' = 'code_generation' then tests.settle(c, tests.made(c, 'code', 'code', p_letter)) || jsonb_build_object('claim', c) end;
end
$$;
create function tests.validate(p_passes boolean)
returns jsonb language plpgsql as $$
declare
    c jsonb := tests.claim_any();
begin
    return case when c ->> 'job_type' = 'code_validation' then tests.settle(c, tests.made(c, 'report.sarif', 'report', 'f')
        || case when p_passes then '{}' else '{"state": "FAILED", "termination_code": "VALIDATION_FAILED", "message": "1 errors"}'::jsonb end) || jsonb_build_object('claim', c) end;
end
$$;
create function tests.submit_spec(p jsonb default '{}')
returns bigint language sql as $$
    select (tests.as('north.operator', format('public.run_job(%L::jsonb)', (tests.submission() - 'code') || p)) ->> 'run_id')::bigint
$$;

select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "model", "name": "m"}') $$);
select tests.as('runner', format('worker.register(%L)', jsonb_build_object('instance', tests.runner(), 'name', 'r1', 'capacity', 4,
    'offers', '["code_generation/m", "code_validation/default", "spark_etl/duckdb"]'::jsonb)));

-- --------------------------------------------------------------------------------------- who may, and who cannot

select tests.refused('south.operator', format('public.run_job(%L::jsonb)', tests.submission() - 'code'), 'MODEL_NOT_GRANTED', 'a tenant without a model sends code', '$.code');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"generation": {"model": "other"}}') - 'code'), 'MODEL_NOT_GRANTED', 'a model that was not granted writes nothing', '$.generation.model');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"generation": {}}')), 'FIELD_INVALID', 'code that is there is not written', '$.generation');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"generation": {"repair_rounds": 9}}') - 'code'), 'FIELD_INVALID', 'a model does not try for ever', '$.generation.repair_rounds');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"validation": {"off": true}}') - 'code'), 'FIELD_UNKNOWN', 'validation is not switched off by a run', '$.validation.off');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"job_type": "code_validation"}') - 'code'), 'CODE_MISSING', 'what is to be validated is sent', '$.code');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"job_type": "code_generation", "engine": "other"}') - 'code'), 'MODEL_NOT_GRANTED', 'nor by the front door of generation', '$.engine');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "model", "name": "nobodys"}') $$);
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"generation": {"model": "nobodys"}}') - 'code'), 'MODEL_NOT_CONFIGURED', 'a model that is granted but that no runner has writes nothing', 'nobodys');
update queue.runners set seen_at = clock_timestamp() - interval '11 minutes';
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission() - 'code'), 'MODEL_NOT_CONFIGURED', 'a model that no runner has had for ten minutes is not waited for', 'm');
update queue.runners set seen_at = clock_timestamp() - interval '9 minutes', stopped_at = clock_timestamp() - interval '9 minutes';
select lives_ok($$ select tests.submit_spec() $$, 'a runner that is exchanged is');
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', (select max(id) from queue.runs))));

-- ------------------------------------------------------------------------------------------- the loop

select tests.submit_spec('{"params": {"day": "monday", "run": "{{run.id}}"}, "validation": {"tests": "off"}, "outputs": [{"name": "t", "table": "x", "layer": "gold"}], "max_retries": 1}') as run \gset
select is(tests.states(:run), 'generate QUEUED, validate BLOCKED, execute BLOCKED', 'a spec without code is three tasks');
select is((select string_agg(t.task_key || coalesce(' after ' || array_to_string(t.depends_on, ','), ''), '; ' order by t.id) from queue.task_runs t where t.run_id = :run and t.depends_on <> '{}'), 'validate after generate; execute after validate', 'one after the other');
select is((tests.run(:run)).job_type, 'spark_etl', 'the run is what it was asked to be');
select tests.generate('a') as generated \gset
select is(:'generated'::jsonb #>> '{claim,requires}', 'code_generation/m', 'the first is for a runner that has the model');
select is(:'generated'::jsonb #> '{claim,model_granted}', 'true', 'which is told that the tenant may use it');
select is(:'generated'::jsonb #> '{claim,params}', '{"round": 1, "target": {"job_type": "spark_etl", "engine": "duckdb", "params": {"day": "string", "run": "string"}, "inputs": [],
    "outputs": [{"name": "t", "table": "x", "layer": "gold"}], "secrets": [], "network": false}}'::jsonb, 'the model is told names, not values');
select is(:'generated'::jsonb #>> '{claim,spec}', tests.submission() ->> 'spec', 'and the spec');
select is((tests.payload(:run, 'execute')).code, null, 'what was written is not for execution yet');
select tests.validate(true) as validated \gset
select is(:'validated'::jsonb #> '{claim,code}', (select jsonb_build_object('artifact_id', w.artifact_id, 'artifact_name', format('runs/%s/code', :run), 'version', 1, 'sha256', repeat('a', 64)) from artifact.versions w where w.run_id = :run and w.sha256 = repeat('a', 64)), 'the second validates the version that the first has made, by its name');
select is(:'validated'::jsonb #> '{claim,params}', '{"tests": "off"}', 'as the run asks for');
select tests.claim_any() as claim \gset
select is(:'claim'::jsonb ->> 'task_key', 'execute', 'what passed is executed');
select is(:'claim'::jsonb -> 'code', :'validated'::jsonb #> '{claim,code}', 'the same version, of the same bytes');
select is(:'claim'::jsonb -> 'params', jsonb_build_object('day', 'monday', 'run', :run), 'with its parameters, resolved');
select tests.settle(:'claim');
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'and the run has succeeded');
select is((select jsonb_agg(jsonb_build_array(t -> 'generated_by', t -> 'validated_by', t -> 'round')) from jsonb_array_elements(tests.as('north.operator', format('public.get_run(''{"run_id": %s}'')', :run)) -> 'tasks') t),
    '[[null, null, null], ["generate", null, 1], [null, "validate", null]]', 'who asks sees what belongs to what');

-- ------------------------------------------------------------------------------------------- repair rounds

select tests.submit_spec() as run \gset
select tests.generate('b');
select tests.validate(false) as validated \gset
select is(tests.states(:run), 'generate QUEUED, validate BLOCKED, execute BLOCKED', 'what does not pass is written again');
select is((select (r.state, r.open_tasks)::text from tests.run(:run) r), '(RUNNING,3)', 'the run goes on, with all that it has to do');
select is(:'validated'::jsonb -> 'run_state', '"RUNNING"', 'and its runner is told so');
select tests.generate('c') as generated \gset
select is((:'generated'::jsonb #>> '{claim,number}', :'generated'::jsonb #>> '{claim,params,round}'), ('2'::text, '2'::text), 'by the next attempt of the same task');
select is((select jsonb_agg(jsonb_build_array(i -> 'name', i -> 'version', i -> 'artifact_name') order by i ->> 'name') from jsonb_array_elements(:'generated'::jsonb #> '{claim,inputs}') i),
    format('[["code", 1, "runs/%s/code"], ["report.sarif", 1, "runs/%s/report.sarif"]]', :run, :run)::jsonb, 'with what was written and what was found');
select tests.validate(true) as validated \gset
select is((:'validated'::jsonb #>> '{claim,number}', :'validated'::jsonb #>> '{claim,code,sha256}'), ('2'::text, repeat('c', 64)), 'the next version is validated');
select tests.settle(c) from tests.claim_any() c;
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'and executed');
select is((select count(*) from callback.events where run_id = :run), 1::bigint, 'a run with a repair round ends once');

select tests.submit_spec() as run \gset
select tests.generate('d');
select tests.validate(false);
select tests.generate('e');
select tests.validate(false);
select is(tests.claim_any(), null, 'after the last round nothing is tried any more');
select is((tests.ending(:run, 'generate'), tests.ending(:run, 'validate'), tests.ending(:run, 'execute')), ('SUCCEEDED SUCCESS 2'::text, 'FAILED VALIDATION_FAILED 2'::text, 'SKIPPED UPSTREAM_FAILED 0'::text), 'what never passed was never executed');
select is((select (r.state, r.termination_code, r.termination_message)::text from tests.run(:run) r), '(FAILED,VALIDATION_FAILED,"1 errors")', 'the run says why');
select is((select count(*) from artifact.versions w join artifact.artifacts a on a.id = w.artifact_id where w.run_id = :run and a.name like '%report.sarif' and w.state = 'READY'), 2::bigint, 'with the report of each round');
select tests.as('north.operator', format('public.repair_run(%L::jsonb)', jsonb_build_object('run_id', :run, 'rerun_tasks', '["generate"]'::jsonb, 'rerun_dependents', true)));
select tests.generate('1');
select tests.validate(false);
select tests.generate('2');
select tests.validate(true);
select tests.settle(c) from tests.claim_any() c;
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'repaired by hand, it has its rounds again');

select tests.submit_spec('{"generation": {"repair_rounds": 0}}') as run \gset
select tests.generate('a');
select tests.validate(false);
select is(tests.states(:run), 'generate SUCCEEDED, validate FAILED, execute SKIPPED', 'how many rounds there are the run says');

select tests.submit_spec() as run \gset
select tests.generate('a');
select tests.claim_any() as claim \gset
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)));
select tests.settle(:'claim', tests.made(:'claim', 'report.sarif', 'report', 'f') || '{"state": "FAILED", "termination_code": "VALIDATION_FAILED"}');
select is((tests.run(:run)).state::text || ' ' || tests.states(:run), 'FAILED generate SUCCEEDED, validate FAILED, execute CANCELED', 'what was canceled is not written again');

select tests.submit_spec() as run \gset
select tests.settle(c) from tests.claim_any() c;
select is(tests.ending(:run, 'validate') || ', ' || (tests.run(:run)).state, 'FAILED GENERATION_FAILED 0, FAILED', 'where nothing was written nothing is validated');

select tests.submit_spec() as run \gset
select tests.claim_any() as claim \gset
select tests.made(:'claim', 'code', 'code', 'a');
select tests.settle(:'claim');
select is(tests.ending(:run, 'validate'), 'FAILED GENERATION_FAILED 0', 'what was uploaded and never became ready is not there');

-- --------------------------------------------------------------------------------------- laws

-- execute, held back, with this code
create function tests.hold_back(p_run bigint, p_code jsonb)
returns void language plpgsql as $$
begin
    delete from queue.live_attempts where task_run_id = (tests.task(p_run, 'execute')).id;
    update queue.task_runs set state = 'BLOCKED', finished_at = null, termination_code = null where id = (tests.task(p_run, 'execute')).id;
    update queue.payloads set code = p_code where task_run_id = (tests.task(p_run, 'execute')).id;
end
$$;
select tests.submit_spec('{"generation": {"repair_rounds": 0}}') as run \gset
select tests.generate('a');
select tests.validate(false);
select tests.hold_back(:run, (tests.payload(:run, 'validate')).code);
select throws_ok(format($$ update queue.task_runs set state = 'QUEUED' where id = %s $$, (tests.task(:run, 'execute')).id), '42501', null, 'what failed is not executed, be it the same code');
select tests.submit_spec() as run \gset
select tests.generate('a');
select tests.validate(true);
select tests.hold_back(:run, '{"files": {"job.py": "other"}}');
select throws_ok(format($$ update queue.task_runs set state = 'QUEUED' where id = %s $$, (tests.task(:run, 'execute')).id), '42501', null, 'what passed is executed, and no other code');
select tests.hold_back(:run, (tests.payload(:run, 'validate')).code);
select lives_ok(format($$ update queue.task_runs set state = 'QUEUED' where id = %s $$, (tests.task(:run, 'execute')).id), 'that alone');


select tests.submit_spec('{"generation": {"repair_rounds": 0}}') as run \gset
select tests.generate('a');
select throws_ok(format($$ update queue.task_runs set state = 'QUEUED' where id = %s $$, (tests.task(:run, 'execute')).id), '42501', 'only_passed_code_is_executed: validate has not passed what execute would execute', 'nobody queues what was not judged');
select throws_ok(format($$ update queue.payloads set code = '{"files": {"job.py": "evil"}}' where task_run_id = %s; update queue.task_runs set state = 'RUNNING' where id = %1$s $$, (tests.task(:run, 'execute')).id), '42501', null, 'not with code of his own either');
select tests.claim_any() as claim \gset
select throws_ok(format($$ update queue.payloads set code = '{"files": {"job.py": "other"}}' where task_run_id = %s $$, (tests.task(:run, 'validate')).id), '42501', 'code_does_not_change: its task waits for a runner, or has had one', 'what is being judged does not change');
select tests.settle(:'claim');
select is((tests.task(:run, 'execute')).state::text, 'QUEUED', 'what passed waits for a runner');
select throws_ok(format($$ update queue.payloads set code = '{"files": {"job.py": "other"}}' where task_run_id = %s $$, (tests.task(:run, 'execute')).id), '42501', null, 'nor does what has passed');
select throws_ok(format($$ update artifact.versions set sha256 = repeat('9', 64) where run_id = %s and sha256 = repeat('a', 64) $$, :run), '42501', null, 'nor do its bytes');
select tests.drain();

-- --------------------------------------------------------------------------------------- jobs and graphs

select tests.make_job('north.operator', 'written', '[{"task_key": "first"}, {"task_key": "load", "code": null, "depends_on": ["first"], "params": {"rows": "{{tasks.first.values.rows}}"}}, {"task_key": "after", "depends_on": ["load"]}]') as written \gset
select is((select count(*) from jsonb_array_elements((select definition -> 'tasks' from job.versions where job_id = :written))), 3::bigint, 'a job is kept as it was written');
select tests.start_job('north.operator', :written) as run \gset
select is(tests.states(:run), 'first QUEUED, generate BLOCKED, validate BLOCKED, load BLOCKED, after BLOCKED', 'its task without code becomes a loop when it runs');
select tests.settle(c, '{"values": {"rows": 7}}') from tests.claim() c;
select tests.generate('a');
select tests.validate(true);
select tests.claim_any() as claim \gset
select is((:'claim'::jsonb ->> 'task_key', :'claim'::jsonb #> '{params,rows}'), ('load'::text, '7'::jsonb), 'which gets its references like any other');
select tests.settle(:'claim');
select tests.drain();
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'and goes on');
select tests.as('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', :run, 'from_task', 'load'))) ->> 'run_id' as rerun \gset
select is(tests.states(:rerun), 'first SUCCEEDED, generate SUCCEEDED, validate SUCCEEDED, load QUEUED, after BLOCKED', 'a re-run from what was judged takes the judgement over');
select is((tests.payload(:rerun, 'load')).code, (tests.payload(:run, 'load')).code, 'and what was judged');
select tests.drain();
select tests.as('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', :run, 'from_task', 'validate'))) ->> 'run_id' as rerun \gset
select tests.validate(true);
select tests.drain();
select is((tests.run(:rerun)).state::text, 'SUCCEEDED', 'a re-run from the judge finds what was written');

select tests.run_tasks('north.operator', '[{"task_key": "a", "code": null}, {"task_key": "b", "code": null, "depends_on": ["a"]}]') as run \gset
select is(tests.states(:run), 'a.generate QUEUED, a.validate BLOCKED, a BLOCKED, b.generate BLOCKED, b.validate BLOCKED, b BLOCKED', 'of several, each loop has names of its own');
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)));
select tests.run_tasks('north.operator', '[{"task_key": "generate"}, {"task_key": "b", "code": null, "run_if": "ALL_FAILED", "depends_on": ["generate"]}]') as run \gset
select is(tests.states(:run), 'generate QUEUED, b.generate BLOCKED, b.validate BLOCKED, b BLOCKED', 'and where a task is called so');
select tests.settle(c) from tests.claim() c;
select is(tests.states(:run) || '; ' || (tests.run(:run)).state, 'generate SUCCEEDED, b.generate SKIPPED, b.validate SKIPPED, b SKIPPED; SUCCEEDED', 'what is not to be done is not written either');
select tests.run_tasks('north.operator', '[{"task_key": "each", "for_each": {"inputs": [1, 2], "concurrency": 2}, "task": {"code": null, "params": {"n": "{{input}}"}}}]') as run \gset
select tests.generate('a');
select tests.validate(true);
select is((select string_agg(concat_ws(' ', c ->> 'task_key', c #>> '{code,sha256}', c #>> '{params,n}'), ', ' order by c ->> 'task_key') from tests.claim(2) c),
    format('each[0] %s 1, each[1] %1$s 2', repeat('a', 64)), 'one loop writes the code of all iterations');
select tests.as('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(tests.submission() - 'code', (tests.submission() - 'code') || '{"params": {"x": 1}}'))) as batch \gset
select is((select string_agg((select count(*) from queue.task_runs t where t.run_id = (b ->> 'run_id')::bigint)::text, ' ') from jsonb_array_elements(:'batch') b), '3 3', 'an array of specs is an array of loops');
select is((select y.params from queue.payloads y join queue.task_runs t on t.id = y.task_run_id where t.run_id = (:'batch'::jsonb #>> '{1,run_id}')::bigint and t.task_key = 'generate') #> '{target,params}', '{"x": "number"}', 'each its own');
update queue.live_attempts set ready_at = clock_timestamp() + interval '1 hour' where state = 'QUEUED';

-- --------------------------------------------------------------------------------------- code that was sent

select tests.submit('north.operator') as run \gset
select is(tests.states(:run), 'execute QUEUED', 'code that was sent runs at once where the tenant does not enforce its validation');
select is((select c ->> 'validation_policy' from tests.claim() c), 'warn', 'the runner is told the tenant''s policy');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "validation_policy": "enforce"}') $$);
select tests.submit('north.operator', '{"max_retries": 0}') as run \gset
select is(tests.states(:run), 'validate QUEUED, execute BLOCKED', 'where it is enforced, it is validated first');
select tests.validate(true) as validated \gset
select is(:'validated'::jsonb #>> '{claim,code,files,job.py}', 'print(1)', 'that very code');
select is((tests.payload(:run, 'execute')).code, :'validated'::jsonb #> '{claim,code}', 'and it is what runs');
select tests.drain();
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'to its end');
select tests.submit('north.operator', '{"max_retries": 0}') as run \gset
select tests.validate(false);
select is(tests.states(:run) || ' ' || (tests.run(:run)).termination_code, 'validate FAILED, execute SKIPPED VALIDATION_FAILED', 'what does not pass is not run, and nobody writes it again');
select tests.submit('north.operator', '{"job_type": "code_validation"}') as run \gset
select is(tests.states(:run), 'execute QUEUED', 'a validation is not validated');
select * from finish();
rollback;
