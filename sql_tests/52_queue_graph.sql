-- queue: graphs of tasks: what waits for what, who is skipped and why, when a run ends.
begin;
\ir fixtures.psql
select no_plan();

create function tests.cancel(p_run bigint)
returns jsonb language sql as $$ select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) $$;

select tests.submit_graph('north.operator', '[{"key": "a"}, {"key": "b", "after": ["a"]}, {"key": "c", "after": ["a"]}, {"key": "d", "after": ["b", "c"]}]') as diamond \gset
select is(tests.states(:diamond), 'a QUEUED, b BLOCKED, c BLOCKED, d BLOCKED', 'of a diamond the top waits for a runner, the rest for it');
select tests.settle(c) from tests.claim(10) c;
select is(tests.states(:diamond), 'a SUCCEEDED, b QUEUED, c QUEUED, d BLOCKED', 'then its sides');
select jsonb_agg(c order by c ->> 'task_key') as sides from tests.claim(10) c \gset
select tests.settle(:'sides'::jsonb -> 0);
select is(tests.states(:diamond), 'a SUCCEEDED, b SUCCEEDED, c RUNNING, d BLOCKED', 'one side alone wakes nobody');
select is((tests.run(:diamond)).state::text, 'RUNNING', 'the run runs on');
select tests.settle(:'sides'::jsonb -> 1);
select is(tests.states(:diamond), 'a SUCCEEDED, b SUCCEEDED, c SUCCEEDED, d QUEUED', 'both do');
select is((select tests.settle(c) ->> 'run_state' from tests.claim() c), 'SUCCEEDED', 'the last task ends the run');
select is((select count(*) from callback.events where run_id = :diamond), 1::bigint, 'which is announced once');

select tests.submit_graph('north.operator', '[{"key": "a"}, {"key": "b", "after": ["a"]}, {"key": "c", "after": ["a"]}]') as fork \gset
select tests.settle(c) from tests.claim() c;
select tests.as('runner', format('worker.settle_attempts(%L, %L)', tests.runner(), (select jsonb_agg(jsonb_build_object('attempt_id', c -> 'attempt_id', 'lease', c -> 'lease', 'outcome', '{"state": "SUCCEEDED"}'::jsonb)) from tests.claim(10) c)));
select is((tests.run(:fork)).state::text, 'SUCCEEDED', 'two last tasks may end in one batch');
select is((select count(*) from callback.events where run_id = :fork), 1::bigint, 'the run is announced once');
select is((select array_agg(seq) from callback.events where run_id = :fork), '{1}', 'as its first event');

create function tests.play(p_tasks jsonb, p_failing text[] default '{}', out states text, out run text)
language plpgsql as $$
declare
    v_run bigint := tests.submit_graph('north.operator', p_tasks);
begin
    perform tests.drain(p_failing);
    states := tests.states(v_run);
    run := (tests.run(v_run)).state || ' ' || (tests.run(v_run)).termination_code;
end
$$;

select is((tests.play('[{"key": "a"}, {"key": "b", "after": ["a"]}, {"key": "c", "after": ["b"]}, {"key": "x"}]', '{a}'))::text,
    '("a FAILED, b SKIPPED, c SKIPPED, x SUCCEEDED","FAILED USER_CODE_FAILED")', 'what depends on a failure is skipped, all the way down; what does not runs');
select is((tests.play(jsonb_build_array('{"key": "a"}'::jsonb, '{"key": "b"}'::jsonb, jsonb_build_object('key', 'c', 'after', '["a", "b"]'::jsonb, 'run_if', l.run_if)), l.failing)).states,
    l.expected, format('run_if %s with %s failing', l.run_if, case when l.failing = '{}' then 'none' else array_to_string(l.failing, ' and ') end))
from (values
    ('ALL_SUCCESS', '{}'::text[], 'a SUCCEEDED, b SUCCEEDED, c SUCCEEDED'), ('ALL_SUCCESS', '{a}', 'a FAILED, b SUCCEEDED, c SKIPPED'),
    ('ALL_DONE', '{}', 'a SUCCEEDED, b SUCCEEDED, c SUCCEEDED'), ('ALL_DONE', '{a,b}', 'a FAILED, b FAILED, c SUCCEEDED'),
    ('NONE_FAILED', '{}', 'a SUCCEEDED, b SUCCEEDED, c SUCCEEDED'), ('NONE_FAILED', '{b}', 'a SUCCEEDED, b FAILED, c SKIPPED'),
    ('AT_LEAST_ONE_SUCCESS', '{a}', 'a FAILED, b SUCCEEDED, c SUCCEEDED'), ('AT_LEAST_ONE_SUCCESS', '{a,b}', 'a FAILED, b FAILED, c SKIPPED'),
    ('ALL_FAILED', '{a,b}', 'a FAILED, b FAILED, c SUCCEEDED'), ('ALL_FAILED', '{a}', 'a FAILED, b SUCCEEDED, c SKIPPED'),
    ('AT_LEAST_ONE_FAILED', '{a}', 'a FAILED, b SUCCEEDED, c SUCCEEDED'), ('AT_LEAST_ONE_FAILED', '{}', 'a SUCCEEDED, b SUCCEEDED, c SKIPPED')
) l (run_if, failing, expected);
select is((tests.play('[{"key": "a"}, {"key": "b", "after": ["a"]}, {"key": "c", "after": ["b"], "run_if": "NONE_FAILED"}]', '{a}')).states, 'a FAILED, b SKIPPED, c SUCCEEDED', 'a skipped dependency has not failed');
select is((select t.termination_code from queue.task_runs t where t.task_key = 'c' and t.state = 'SKIPPED' and t.run_if = 'AT_LEAST_ONE_FAILED' limit 1), 'EXCLUDED', 'a task whose condition cannot come true is excluded');
select is((tests.play('[{"key": "a"}, {"key": "cleanup", "after": ["a"], "run_if": "ALL_DONE"}]', '{a}')).run, 'FAILED USER_CODE_FAILED', 'a clean-up that succeeds does not hide the failure');

select tests.submit_graph('north.operator', '[{"key": "a"}, {"key": "b"}, {"key": "c", "after": ["a", "b"], "run_if": "ALL_DONE"}]') as halted \gset
select tests.claim() as claim \gset
select is(tests.cancel(:halted) ->> 'state', 'RUNNING', 'a graph of which one task runs stops with it');
select is(tests.states(:halted), 'a RUNNING, b CANCELED, c CANCELED', 'the others end at once');
select is(tests.settle(:'claim') ->> 'run_state', 'CANCELED', 'even if that one still succeeds');

-- --------------------------------------------------------------------------- one-time runs of several tasks

select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"]}]', '{"name": "both", "params": {"day": 1}, "idempotency_key": "graph"}') as run \gset
select is((select (name, task_count, job_id, job_type)::text from queue.runs where id = :run), '(both,2,,)', 'several tasks are submitted without a job');
select is(tests.states(:run), 'a QUEUED, b BLOCKED', 'and wait for each other');
select is((select jsonb_agg(p.params) from queue.payloads p join queue.task_runs t on t.id = p.task_run_id where t.run_id = :run), '[{"day": 1}, {"day": 1}]', 'the parameters of the run reach each');
select is(tests.run_tasks('north.operator', '[{"task_key": "x"}]', '{"idempotency_key": "graph"}'), :run::bigint, 'the same key is the same run');
select tests.drain();
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'it ends as a job''s run does');

-- ------------------------------------------------------------------------------ what each step costs

select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"]}, {"task_key": "c", "depends_on": ["a", "b"]}]') as run \gset
select is((select string_agg(t.task_key || ':' || t.waits_for || ':' || array_to_string(t.dependents, '+'), ' ' order by t.id) from queue.task_runs t where t.run_id = :run),
    'a:0:b+c b:1:c c:2:', 'each task knows how many it waits for, and who waits for it');
select tests.drain();
select is((select count(*) from queue.task_runs where finished_at is null or (waits_for <> 0 and state <> 'CANCELED')), 0::bigint, 'in the end none waits for any');
select is((select count(*) from queue.runs r where r.task_count > 1 and r.open_tasks <> 0), 0::bigint, 'and no run has an open task');
select is((select count(*) from queue.news), 0::bigint, 'and all that happened was told');

-- a cancel changes tasks without saying which: all is counted anew
select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "b"}, {"task_key": "c", "depends_on": ["a", "b"]}]') as run \gset
select c as claim from tests.claim() c \gset
select tests.cancel(:run);
select is((select open_tasks from queue.runs where id = :run), 1, 'after a cancel the run waits for what runs, and for nothing else');
select is(tests.settle(:'claim', '{"state": "CANCELED", "termination_code": "USER_CANCELED"}') ->> 'run_state', 'CANCELED', 'with which it ends');

-- 1,000 tasks in a row: each step moves one
select tests.run_tasks('north.operator', (select jsonb_agg(jsonb_build_object('task_key', 't' || n, 'depends_on', case when n > 1 then jsonb_build_array('t' || n - 1) else '[]' end)) from generate_series(1, 1000) n)) as chain \gset
select is((select count(*) from queue.live_attempts where run_id = :chain), 1::bigint, 'of a chain of 1,000 tasks one waits for a runner');
select tests.settle(c) from tests.claim() c;
select is((select string_agg(task_key || ' ' || state, ' ' order by id) from queue.task_runs where run_id = :chain and state <> 'BLOCKED'), 't1 SUCCEEDED t2 QUEUED', 'then the next');
select tests.cancel(:chain);

select * from finish();
rollback;
