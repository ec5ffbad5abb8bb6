-- queue: repair and re-run: what did not succeed is done again, in the same run or in a new one, keeping what did.
begin;
\ir fixtures.psql
select no_plan();

create function tests.ask(p_function text, p jsonb, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p)) $$;
create function tests.job_run(p_tasks jsonb, p jsonb default '{}')
returns bigint language plpgsql as $$
declare
    v_job jsonb := tests.ask('create_job', jsonb_build_object('name', 'job ' || md5(random()::text), 'tasks', (
        select jsonb_agg(tests.submission('{"max_retries": 0}'::jsonb || t) - case when t ?| '{condition,for_each,run_job}' then '{job_type,spec,code,max_retries}'::text[] else '{}' end order by n)
        from jsonb_array_elements(p_tasks) with ordinality x (t, n))) || p);
begin
    return (tests.ask('run_job', jsonb_build_object('job_id', v_job -> 'job_id')) ->> 'run_id')::bigint;
end
$$;
create function tests.state(p_run bigint)
returns text language sql stable as $$ select concat_ws(' ', r.state, r.termination_code) from queue.runs r where r.id = p_run $$;
create function tests.repair(p_run bigint, p jsonb default '{}')
returns jsonb language sql as $$ select tests.ask('repair_run', jsonb_build_object('run_id', p_run) || p) $$;
create function tests.get(p_run bigint)
returns jsonb language sql as $$ select tests.ask('get_run', jsonb_build_object('run_id', p_run), 'north.viewer') $$;

-- ---------------------------------------------------------------------------------------- repair

--  a ─ b ─ d      b fails: d is skipped; a and c are kept
--  └── c
select tests.job_run('[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"], "max_retries": 1}, {"task_key": "c", "depends_on": ["a"]}, {"task_key": "d", "depends_on": ["b"]}]') as run \gset
select tests.settle(c, '{"values": {"x": 1}}') from tests.claim() c;
select tests.refused('north.operator', format('public.repair_run(%L::jsonb)', jsonb_build_object('run_id', :run)), 'RUN_ACTIVE', 'a run that lives is not repaired');
select tests.fail(c, jsonb_build_object('retryable', c ->> 'task_key' = 'b')) from tests.claim(1) c where c ->> 'task_key' = 'b';
select tests.hurry();
select tests.drain('{b}');
select is(tests.states(:run), 'a SUCCEEDED, b FAILED, c SUCCEEDED, d SKIPPED', 'b failed, twice');
select is((select array_agg(number order by number) from queue.past_attempts a join queue.task_runs t on t.id = a.task_run_id where t.run_id = :run and t.task_key = 'b'), '{1,2}', 'with its retry');
select tests.refused('north.operator', format('public.repair_run(%L::jsonb)', jsonb_build_object('run_id', :run) || f.body::jsonb), f.code, 'refused: ' || f.body, f.path)
from (values ('{"rerun_tasks": ["z"]}', 'TASK_NOT_FOUND', '$.rerun_tasks: z'), ('{"rerun_tasks": [1]}', 'FIELD_INVALID', '$.rerun_tasks'), ('{"rerun_tasks": "b"}', 'FIELD_INVALID', '$.rerun_tasks'), ('{"rerun_all_failed": 1}', 'FIELD_INVALID', '$.rerun_all_failed'),
             ('{"tasks": []}', 'FIELD_UNKNOWN', '$.tasks'), ('{"latest_repair_id": 7}', 'REPAIR_CONFLICT', 'latest_repair_id is null'), ('{"rerun_all_failed": false}', 'NOTHING_TO_REPAIR', null)) f (body, code, path);
select tests.repair(:run) as repair \gset
select is(:'repair'::jsonb -> 'tasks', '["b", "d"]', 'a repair does again what did not succeed, and what comes after it');
select is(tests.states(:run), 'a SUCCEEDED, b QUEUED, c SUCCEEDED, d BLOCKED', 'and keeps the rest');
select is(tests.state(:run), 'QUEUED', 'the run lives again');
select is(tests.get(:run) #> '{tasks,0,values}', '{"x": 1}', 'with the values of what it keeps');
select tests.refused('north.operator', format('public.repair_run(%L::jsonb)', jsonb_build_object('run_id', :run)), 'REPAIR_CONFLICT', 'a second repair that did not see the first is told', 'latest_repair_id is ' || (:'repair'::jsonb ->> 'repair_id'));
select tests.refused('north.operator', format('public.repair_run(%L::jsonb)', jsonb_build_object('run_id', :run, 'latest_repair_id', :'repair'::jsonb -> 'repair_id')), 'RUN_ACTIVE', 'one that did waits for its end');
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb ->> 'number', '3', 'attempts count on');
select tests.fail(:'claim', '{"retryable": true}');
select ok(ready_at - clock_timestamp() between interval '0.8 seconds' and interval '1.25 seconds' and number = 4, 'with retries of their own, and their waits from the start') from queue.live_attempts where run_id = :run;
select tests.hurry();
select tests.drain('{d}');
select is(tests.state(:run), 'FAILED USER_CODE_FAILED', 'a repaired run ends again');
select is((select array_agg(e.type || ' ' || e.repair order by e.seq) from callback.events e where e.run_id = :run), '{"run.failed 0","run.failed 1"}', 'and says so once for each time');
select throws_ok(format($$ insert into callback.events (tenant_id, run_id, seq, type, data) select tenant_id, id, 99, 'run.failed', '{}' from queue.runs where id = %s $$, :run), '23505', null, 'never twice');
select tests.repair(:run, jsonb_build_object('latest_repair_id', :'repair'::jsonb -> 'repair_id')) as repair \gset
select is(:'repair'::jsonb - 'repair_id' - 'run_id', '{"number": 2, "tasks": ["d"], "state": "QUEUED"}', 'it is repaired as often as needed');
select tests.drain();
select is(tests.state(:run), 'SUCCEEDED SUCCESS', 'until it succeeds');
select is(tests.get(:run) #> '{latest_repair_id}', :'repair'::jsonb -> 'repair_id', 'the run shows its latest repair');
select is((select string_agg((h ->> 'number') || ' ' || (h #>> '{tasks,0}') || ' ' || (h #>> '{previous,state}'), ', ') from jsonb_array_elements(tests.get(:run) -> 'repair_history') h), '1 b FAILED, 2 d FAILED', 'and all of them');
select is((select count(*) from queue.past_attempts where run_id = :run), 8::bigint, 'no attempt of any of them is lost');
select is((select data ->> 'repair' from callback.events where run_id = :run order by seq desc limit 1), '2', 'a receiver sees which end it is');

-- chosen tasks, without what comes after; of a run that succeeded
select tests.repair(:run, jsonb_build_object('latest_repair_id', :'repair'::jsonb -> 'repair_id', 'rerun_tasks', '["a"]'::jsonb, 'rerun_dependents', false)) as repair \gset
select is(tests.states(:run), 'a QUEUED, b SUCCEEDED, c SUCCEEDED, d SUCCEEDED', 'one task alone is done again');
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :run)));
select is(tests.state(:run), 'CANCELED USER_CANCELED', 'a repair is canceled like any run');
select is(tests.repair(:run, jsonb_build_object('latest_repair_id', :'repair'::jsonb -> 'repair_id')) -> 'tasks', '["a", "b", "c", "d"]', 'and a canceled run is repaired');
select is(tests.drain(), 4, 'whole');
select is(tests.state(:run), 'SUCCEEDED SUCCESS', 'to its end');

-- one-time runs, deadlines and parameters
select tests.submit('north.operator', '{"max_retries": 0, "run_timeout_seconds": 60, "params": {"a": 1, "b": 2}}') as run \gset
select tests.fail(c) from tests.claim() c;
update queue.runs set deadline_at = clock_timestamp() - interval '1 second' where id = :run;
select tests.repair(:run, '{"params": {"b": 3}}');
select is((tests.run(:run)).deadline_at, null, 'the deadline begins anew');
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb -> 'params', '{"a": 1, "b": 3}', 'with other parameters');
select cmp_ok((tests.run(:run)).deadline_at, '>', clock_timestamp(), 'from its first claim');
select tests.settle(:'claim');
select is(tests.state(:run), 'SUCCEEDED SUCCESS', 'a run of one task ends as ever');

-- conditions, loops and jobs below are decided anew
select tests.job_run('[{"task_key": "a"}, {"task_key": "c", "depends_on": ["a"], "condition": {"op": "EQUAL_TO", "left": "{{tasks.a.values.n}}", "right": "2"}}, {"task_key": "t", "depends_on": [{"task_key": "c", "outcome": "true"}]}, {"task_key": "f", "depends_on": [{"task_key": "c", "outcome": "false"}]}]') as run \gset
select tests.settle(c, '{"values": {"n": 1}}') from tests.claim() c;
select tests.drain('{f}');
select is(tests.states(:run), 'a SUCCEEDED, c SUCCEEDED, t SKIPPED, f FAILED', 'the way it went');
select tests.repair(:run, '{"rerun_tasks": ["a"]}');
select tests.settle(c, '{"values": {"n": 2}}') from tests.claim() c;
select tests.drain();
select is(tests.states(:run), 'a SUCCEEDED, c SUCCEEDED, t SUCCEEDED, f SKIPPED', 'goes another way');
select tests.job_run('[{"task_key": "a"}, {"task_key": "l", "depends_on": ["a"], "for_each": {"inputs": "{{tasks.a.values.all}}", "concurrency": 9}, "task": {"job_type": "spark_etl", "spec": "One of them.", "code": {"files": {"job.py": "pass"}}, "max_retries": 0}}]') as run \gset
select tests.settle(c, '{"values": {"all": [1, 2, 3]}}') from tests.claim() c;
select tests.fail(c) from tests.claim(3) c;
select is(tests.state(:run), 'FAILED USER_CODE_FAILED', 'a loop of three fails');
select tests.repair(:run, '{"rerun_tasks": ["a"]}') ->> 'repair_id' as repair \gset
select tests.settle(c, '{"values": {"all": [1, 2]}}') from tests.claim() c;
select is((select array_agg(c ->> 'number') from tests.claim(9) c), '{2,2}', 'a loop of two is done again, its attempts count on');
select tests.settle(jsonb_build_object('attempt_id', a.id, 'lease', a.lease)) from queue.live_attempts a where a.run_id = :run;
select is(tests.state(:run), 'SUCCEEDED SUCCESS', 'and what there was before does not count');

-- among the runs of its job
select tests.job_run('[{}]', '{"max_concurrent_runs": 1, "name": "lane"}') as a \gset
select tests.fail(c) from tests.claim() c;
select (tests.ask('run_job', jsonb_build_object('job_id', (tests.run(:a)).job_id)) ->> 'run_id')::bigint as b \gset
select is(tests.repair(:a) ->> 'state', 'BLOCKED', 'a repaired run waits for its place');
select is(tests.get(:a) ->> 'queue_reason_code', 'MAX_CONCURRENT_RUNS', 'and says so');
select tests.settle(c) from tests.claim() c;
select is(tests.state(:a), 'QUEUED', 'which it gets');
select tests.drain();
select is(tests.state(:a), 'SUCCEEDED SUCCESS', 'and ends');
select is((select count(*) from queue.slots where running <> 0), 0::bigint, 'no slot is left taken');

-- ----------------------------------------------------------------------------------------- re-run

select tests.job_run('[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"]}, {"task_key": "c", "depends_on": ["a"]}, {"task_key": "d", "depends_on": ["b"]}]', '{"callbacks": {"on_complete": "https://rerun.example/x"}}') as old \gset
select tests.refused('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', :old)), 'RUN_ACTIVE', 'a run that lives is not run again');
select tests.settle(c, '{"values": {"x": 7}}') from tests.claim() c;
select tests.drain();
select tests.refused('north.operator', format('public.rerun_run(%L::jsonb)', jsonb_build_object('run_id', :old) || f.body::jsonb), f.code, 'refused: ' || f.body, f.path)
from (values ('{"from_task": "z"}', 'TASK_NOT_FOUND', '$.from_task: z'), ('{"from_task": 1}', 'FIELD_INVALID', '$.from_task'), ('{"idempotency_key": ""}', 'IDEMPOTENCY_KEY_INVALID', '$.idempotency_key'), ('{"from": "b"}', 'FIELD_UNKNOWN', '$.from')) f (body, code, path);
select tests.ask('rerun_run', jsonb_build_object('run_id', :old, 'from_task', 'b', 'idempotency_key', 'again')) as said \gset
select :'said'::jsonb ->> 'run_id' as new \gset
select is(tests.states(:new), 'a SUCCEEDED, b QUEUED, c SUCCEEDED, d BLOCKED', 'what is neither the task nor after it is taken over');
select is(:'said'::jsonb ->> 'reused', '2', 'so many of them');
select is((select array_agg(t ->> 'reused_from') from jsonb_array_elements(tests.get(:new) -> 'tasks') t), array[:'old', null, :'old', null], 'and says from where');
select is(tests.get(:new) #> '{tasks,0,values}', '{"x": 7}', 'with its values');
select is((tests.run(:new)).job_version, (tests.run(:old)).job_version, 'of the same version');
select is(tests.get(:new) ->> 'rerun_of', :'old', 'the new run knows the old one');
select is(tests.get(:new) -> 'callbacks', '{"on_complete": "https://rerun.example/x"}', 'and whom to tell');
select is(tests.ask('rerun_run', jsonb_build_object('run_id', :old, 'from_task', 'b', 'idempotency_key', 'again')) ->> 'run_id', :'new', 'under one key it is one run');
select tests.drain('{b}');
select is(tests.state(:new), 'FAILED USER_CODE_FAILED', 'it ends by itself');
select (tests.ask('rerun_run', jsonb_build_object('run_id', :new, 'from_task', 'c')) ->> 'run_id')::bigint as third \gset
select is(tests.states(:third), 'a SUCCEEDED, b QUEUED, c QUEUED, d BLOCKED', 'what had not succeeded is not taken over');
select is((select reused_from from queue.task_runs where run_id = :third and task_key = 'a'), :old::bigint, 'what was taken over twice says where it was done');
select tests.drain();
select is(tests.state(:third), 'SUCCEEDED SUCCESS', 'and all is well');
select (tests.ask('rerun_run', jsonb_build_object('run_id', :third)) ->> 'run_id')::bigint as fourth \gset
select is(tests.states(:fourth), 'a QUEUED, b BLOCKED, c BLOCKED, d BLOCKED', 'without a task all is done again');
select is((select count(*) from callback.events where run_id in (:new, :third)), 2::bigint, 'each run has its own end');
select is((select count(*) from audit.entries where action in ('run.repair', 'run.rerun')), (select count(*) from queue.repairs) + 3, 'all of it is on record');

insert into queue.histories (tenant_id, expired_through) values (tests.tenant('north'), 'infinity');
select tests.refused('north.operator', format('public.%I(%L::jsonb)', f, jsonb_build_object('run_id', :third)), 'HISTORY_EXPIRED', f || ' of a run whose code is gone is refused') from unnest(array['repair_run', 'rerun_run']) f;

select * from finish();
rollback;
