-- queue: tasks that are not just an attempt: references resolved once, conditions, for_each, run_job.
begin;
\ir fixtures.psql
select no_plan();

create function tests.cancel(p_run bigint)
returns jsonb language sql as $$ select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) $$;
create function tests.get(p_run bigint, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', p_run))) $$;
create function tests.task(p_run bigint, p_key text)
returns queue.task_runs language sql stable as $$ select t from queue.task_runs t where t.run_id = p_run and t.task_key = p_key $$;
create function tests.params(p_run bigint, p_key text)
returns jsonb language sql stable as $$ select y.params from queue.payloads y where y.task_run_id = (tests.task(p_run, p_key)).id $$;
-- how a task ended, and why
create function tests.ending(p_run bigint, p_key text)
returns text language sql stable as $$ select concat_ws(' ', t.state, t.termination_code, t.outcome) from tests.task(p_run, p_key) t $$;
create function tests.settle_with(p_values jsonb)
returns jsonb language sql as $$ select tests.settle(c, jsonb_build_object('values', p_values)) from tests.claim() c $$;
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 2000}') $$);

-- ------------------------------------------------------------------------------------------- references

select tests.make_job('north.operator', 'nightly', '[
    {"task_key": "a", "params": {"whole": "{{job.parameters.day}}", "text": "day {{job.parameters.day}} of {{ job.name }}", "deep": [{"x": ["{{job.parameters.size}}"]}], "plain": "\\{{x}} {y}",
                                 "run": "{{run.id}}", "me": "{{task.name}}", "object": "{{job.parameters.map}}", "inside": "{{job.parameters.map.k}}", "version": "{{job.version}}", "start": "{{run.start_time}}"}},
    {"task_key": "b", "depends_on": ["a"], "params": {"rows": "{{tasks.a.values.rows}}", "first": "{{tasks.a.values.list.0}}", "said": "{{tasks.a.state}}/{{tasks.a.termination_code}}", "list": "{{tasks.a.values.list}}"}}
    ]', '{"parameters": {"day": "monday", "size": 7, "map": {"k": null}, "of": "{{run.id}}"}}') as nightly \gset
select tests.start_job('north.operator', :nightly, '{"day": 3}') as run \gset
select is(tests.params(:run, 'a') - 'start', jsonb_build_object('whole', 3, 'text', 'day 3 of nightly', 'deep', '[{"x": [7]}]'::jsonb, 'plain', '{{x}} {y}', 'run', :run, 'me', 'a', 'object', '{"k": null}'::jsonb,
    'inside', null, 'version', 1, 'day', 3, 'size', 7, 'map', '{"k": null}'::jsonb, 'of', :run), 'references become what they lead to: a value where they stand alone, text inside text');
select matches(tests.params(:run, 'a') ->> 'start', '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$', 'a time is written as ISO 8601');
select is((tests.run(:run)).parameters, jsonb_build_object('day', 3, 'size', 7, 'map', '{"k": null}'::jsonb, 'of', :run), 'a run knows its parameters, resolved');
select is(tests.states(:run), 'a QUEUED, b BLOCKED', 'a task with references waits for a runner like any other');
select is(tests.params(:run, 'b'), '{}', 'what comes later is not resolved yet');
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb #>> '{params,text}', 'day 3 of nightly', 'the runner gets what is resolved');
select tests.settle(:'claim', '{"values": {"rows": 12, "list": [5, {"x": 1}]}}');
select is(tests.params(:run, 'b'), format('{"rows": 12, "first": 5, "said": "SUCCEEDED/SUCCESS", "list": [5, {"x": 1}], "day": 3, "size": 7, "map": {"k": null}, "of": %s}', :run)::jsonb, 'values of a task go to those after it');
update queue.task_runs set output_values = '{"rows": 99}' where id = (tests.task(:run, 'a')).id;
select c as claim from tests.claim() c \gset
select tests.fail(:'claim', '{"retryable": true}');
select is(tests.params(:run, 'b') -> 'rows', '12', 'they are resolved once: every attempt gets the same');
select tests.drain();
select is(tests.get(:run) #>> '{requests,b,params,rows}', '12', 'an operator sees what a task got');
select is(tests.get(:run, 'north.viewer') ?| array['requests', 'parameters'], false, 'a viewer does not');
select is(tests.get(:run) -> 'parameters' -> 'day', '3', 'nor the parameters of the run, which an operator sees');
select is(tests.error('north.admin', '(select parameters from queue.runs limit 1)') ->> 'code', '42501', 'by no other door');

select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"], "params": {"x": "{{tasks.a.values.nothing}}"}}, {"task_key": "c", "depends_on": ["b"]}]') as run \gset
select tests.drain();
select is(tests.states(:run), 'a SUCCEEDED, b FAILED, c SKIPPED', 'a reference that leads to nothing fails its task');
select is((select (termination_code, termination_message)::text from tests.task(:run, 'b')), '(REFERENCE_UNRESOLVED,"{{tasks.a.values.nothing}} leads to nothing: a ended SUCCEEDED")', 'with a code and a sentence');
select is((tests.run(:run)).termination_code::text, 'REFERENCE_UNRESOLVED', 'which are the run''s');
select is((select count(*) from callback.events where run_id = :run), 1::bigint, 'that is announced');
select tests.submit('north.operator', '{"params": {"r": "{{run.id}}", "n": "{{job.name}}"}, "name": "lone"}') as lone \gset
select is(tests.params(:lone, 'execute'), jsonb_build_object('r', :lone, 'n', 'lone'), 'a lone task refers to its run too');
select tests.drain();
select is((select state::text from queue.runs order by id desc limit 1), 'SUCCEEDED', 'and ends as ever');

-- ------------------------------------------------------------------------------------------- conditions

create function tests.decide(p_op text, p_left jsonb, p_right jsonb)
returns text language plpgsql as $$
declare
    v bigint := tests.run_tasks('north.operator', jsonb_build_array(jsonb_build_object('task_key', 'c', 'condition', jsonb_build_object('op', p_op, 'left', p_left, 'right', p_right))));
begin
    return tests.ending(v, 'c') || ', ' || (tests.run(v)).state;
end
$$;
select is(tests.decide(c.op, c.l::jsonb, c.r::jsonb), 'SUCCEEDED SUCCESS ' || c.outcome || ', SUCCEEDED', format('%s %s %s is %s', c.l, c.op, c.r, c.outcome))
from (values
    ('EQUAL_TO', '"12"', '"12"', 't'), ('EQUAL_TO', '"12.0"', '"12"', 'f'), ('EQUAL_TO', '12', '"12"', 't'), ('EQUAL_TO', 'true', '"true"', 't'), ('NOT_EQUAL', '"a"', '"b"', 't'), ('NOT_EQUAL', '"a"', '"a"', 'f'),
    ('GREATER_THAN', '"12.0"', '"12"', 'f'), ('GREATER_THAN_OR_EQUAL', '"12.0"', '"12"', 't'), ('GREATER_THAN_OR_EQUAL', '"10.0"', '"12"', 'f'), ('GREATER_THAN', '10', '9', 't'),
    ('LESS_THAN', '"9"', '"10"', 't'), ('LESS_THAN', '-1', '-1', 'f'), ('LESS_THAN_OR_EQUAL', '-1', '"-1.00"', 't'), ('LESS_THAN', '" 1e2 "', '"1e3"', 't')
) c (op, l, r, outcome);
select is((select count(*) from queue.live_attempts) + (select count(*) from queue.past_attempts p join queue.task_runs t on t.id = p.task_run_id where t.kind = 'condition'), 0::bigint, 'a condition needs no attempt');

create function tests.branch(p_rows jsonb, p_values jsonb default null)
returns bigint language plpgsql as $$
declare
    v bigint := tests.run_tasks('north.operator', '[
        {"task_key": "count"},
        {"task_key": "many", "depends_on": ["count"], "condition": {"op": "GREATER_THAN", "left": "{{tasks.count.values.rows}}", "right": 10}},
        {"task_key": "yes", "depends_on": [{"task_key": "many", "outcome": "true"}]},
        {"task_key": "no", "depends_on": [{"task_key": "many", "outcome": "false"}], "run_if": "ALL_DONE"},
        {"task_key": "after_no", "depends_on": ["no"]},
        {"task_key": "end", "depends_on": ["yes", "no"], "run_if": "NONE_FAILED", "params": {"said": "{{tasks.many.outcome}}"}}]');
begin
    perform tests.settle_with(coalesce(p_values, jsonb_build_object('rows', p_rows)));
    return v;
end
$$;
select tests.branch('12') as run \gset
select is(tests.states(:run), 'count SUCCEEDED, many SUCCEEDED, yes QUEUED, no SKIPPED, after_no SKIPPED, end BLOCKED', 'a condition is decided when what it waits for has ended, and one branch goes on');
select is(tests.ending(:run, 'no') || ', ' || tests.ending(:run, 'after_no'), 'SKIPPED EXCLUDED, SKIPPED EXCLUDED', 'the other branch is excluded, whatever its run_if, and what is behind it');
select tests.drain();
select is((select (state, termination_code)::text from queue.runs where id = :run), '(SUCCEEDED,SUCCESS)', 'what is excluded does not fail the run');
select is(tests.ending(:run, 'end') || ' ' || (tests.params(:run, 'end') ->> 'said'), 'SUCCEEDED SUCCESS true', 'branches meet again, and know which one went');
select tests.branch('3') as run \gset
select tests.drain();
select is(tests.states(:run), 'count SUCCEEDED, many SUCCEEDED, yes SKIPPED, no SUCCEEDED, after_no SUCCEEDED, end SUCCEEDED', 'so with the other outcome');
select is((select array_agg(type) from callback.events where run_id = :run), '{run.completed}', 'the run has succeeded, and says so once');
select tests.branch('"many"') as run \gset
select is(tests.ending(:run, 'many') || ', ' || tests.ending(:run, 'yes') || ', ' || tests.ending(:run, 'no'), 'FAILED CONDITION_INVALID, SKIPPED UPSTREAM_FAILED, SKIPPED UPSTREAM_FAILED', 'what is no number cannot be compared as one, and no outcome comes of it');
select matches((tests.task(:run, 'many')).termination_message, 'GREATER_THAN compares numbers, and "many" is none', 'which it says');
select tests.drain();
select is((tests.run(:run)).state::text, 'FAILED', 'and the run fails');
select tests.branch(null, '{"row": 1}') as run \gset
select is(tests.ending(:run, 'many'), 'FAILED REFERENCE_UNRESOLVED', 'so with an operand that is not there');
select tests.drain();

-- --------------------------------------------------------------------------------------------- for_each

select tests.run_tasks('north.operator', '[
    {"task_key": "list"},
    {"task_key": "each", "depends_on": ["list"], "for_each": {"inputs": "{{tasks.list.values.files}}", "concurrency": 2},
     "task": {"params": {"file": "{{input.name}}", "all": "{{input}}", "of": "{{run.id}}", "me": "{{task.name}}", "fix": 1}, "timeout_seconds": 60}},
    {"task_key": "sum", "depends_on": ["each"], "params": {"parts": "{{tasks.each.values.iterations}}"}}]') as run \gset
select tests.settle_with('{"files": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}, {"name": "e"}]}');
select is(tests.states(:run), 'list SUCCEEDED, each RUNNING, sum BLOCKED, each[0] QUEUED, each[1] QUEUED, each[2] BLOCKED, each[3] BLOCKED, each[4] BLOCKED', 'one task for each input, as many at a time as its concurrency');
select is(tests.params(:run, 'each[1]'), jsonb_build_object('file', 'b', 'all', '{"name": "b"}'::jsonb, 'of', :run, 'me', 'each[1]', 'fix', 1), 'each gets its input');
select is((select (job_type, engine, timeout_seconds, max_retries, iteration, kind, parent_id = (tests.task(:run, 'each')).id)::text from tests.task(:run, 'each[3]')), '(spark_etl,duckdb,60,0,3,work,t)', 'each is work of its own');
select is((tests.run(:run)).task_count, 8, 'and counts');
select c as claim from tests.claim() c \gset
select is(:'claim'::jsonb #>> '{code,files,job.py}', 'print(1)', 'the runner gets the code that all have');
select is(:'claim'::jsonb ->> 'spec', 'Count the rows of an example.', 'and the spec');
select tests.settle(:'claim', '{"values": {"n": 0}}');
select is((select string_agg(task_key, ' ' order by id) from queue.task_runs where run_id = :run and state = 'QUEUED'), 'each[1] each[2]', 'one that ends makes room for the next');
select is((select max(n) from (select count(*) as n from queue.live_attempts where run_id = :run) x), 2::bigint, 'never more than two');
select tests.settle(c, '{"values": {"n": 1}}') from tests.claim(10) c;
select tests.settle(c, '{"values": {"n": 2}}') from tests.claim(10) c;
select is(tests.states(:run), 'list SUCCEEDED, each SUCCEEDED, sum QUEUED, each[0] SUCCEEDED, each[1] SUCCEEDED, each[2] SUCCEEDED, each[3] SUCCEEDED, each[4] SUCCEEDED', 'when all have ended it has succeeded');
select is(tests.params(:run, 'sum') -> 'parts', '[{"n": 0}, {"n": 1}, {"n": 1}, {"n": 2}, {"n": 2}]', 'its values are those of its iterations, in their order');
select tests.drain();
select is((select (state, open_tasks)::text from queue.runs where id = :run), '(SUCCEEDED,0)', 'and the run ends');

select tests.run_tasks('north.operator', '[{"task_key": "each", "for_each": {"inputs": []}}, {"task_key": "after", "depends_on": ["each"]}]') as run \gset
select is(tests.states(:run), 'each SUCCEEDED, after QUEUED', 'no inputs: it succeeds at once');
select tests.drain();
select tests.run_tasks('north.operator', '[{"task_key": "each", "for_each": {"inputs": []}}]') as run \gset
select is((select (state, termination_code)::text from queue.runs where id = :run), '(SUCCEEDED,SUCCESS)', 'and so does a run of nothing else');
select is((select array_agg(type) from callback.events where run_id = :run), '{run.completed}', 'which is announced by the door that made it');
select tests.run_tasks('north.operator', '[{"task_key": "each", "for_each": {"inputs": [1, 2]}}]') as run \gset
select is(tests.states(:run), 'each RUNNING, each[0] QUEUED, each[1] BLOCKED', 'one at a time, unless it says more');
select tests.drain();
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'a run of one for_each ends with it');

select tests.run_tasks('north.operator', '[{"task_key": "each", "for_each": {"inputs": [1, 2, 3, 4], "concurrency": 4}}, {"task_key": "after", "depends_on": ["each"]}]') as run \gset
select tests.drain('{each[1],each[2]}');
select is(tests.states(:run), 'each FAILED, after SKIPPED, each[0] SUCCEEDED, each[1] FAILED, each[2] FAILED, each[3] SUCCEEDED', 'an iteration that fails does not keep the others from running, but fails the whole');
select is((select (termination_code, termination_message)::text from tests.task(:run, 'each')), '(ITERATION_FAILED,"2 of 4 iterations did not succeed, the first: each[1] ended FAILED (USER_CODE_FAILED)")', 'which says how many, and the first');
select is((tests.run(:run)).termination_code::text, 'USER_CODE_FAILED', 'the run fails for the reason of the iteration');

select tests.run_tasks('north.operator', '[{"task_key": "each", "for_each": {"inputs": [{"x": 1}, {"y": 2}, {"x": 3}]}, "task": {"params": {"x": "{{input.x}}"}}}]') as run \gset
select tests.drain();
select is(tests.states(:run), 'each FAILED, each[0] SUCCEEDED, each[1] FAILED, each[2] SUCCEEDED', 'an iteration whose input lacks what it refers to fails alone');

select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "each", "depends_on": ["a"], "for_each": {"inputs": "{{tasks.a.values.list}}"}}]') as run \gset
select tests.settle_with('{"list": "not a list"}');
select is(tests.ending(:run, 'each'), 'FAILED REFERENCE_UNRESOLVED', 'inputs that are no array fail it');
select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "each", "depends_on": ["a"], "for_each": {"inputs": "{{tasks.a.values.list}}"}}]') as run \gset
select tests.settle_with(jsonb_build_object('list', (select jsonb_agg(n) from generate_series(1, 1001) n)));
select is(tests.ending(:run, 'each'), 'FAILED TOO_MANY_ITERATIONS', 'more than 1,000 fail it');
select tests.run_tasks('north.operator', '[{"task_key": "a"}, {"task_key": "b"}, {"task_key": "one", "depends_on": ["a"], "for_each": {"inputs": "{{tasks.a.values.list}}"}}, {"task_key": "two", "depends_on": ["b"], "for_each": {"inputs": "{{tasks.b.values.list}}"}}]') as run \gset
select tests.settle_with(jsonb_build_object('list', (select jsonb_agg(n) from generate_series(1, 600) n)));
select tests.settle(c, jsonb_build_object('values', jsonb_build_object('list', (select jsonb_agg(n) from generate_series(1, 600) n)))) from tests.claim(10) c where c ->> 'task_key' = 'b';
select is(tests.ending(:run, 'one') || ', ' || tests.ending(:run, 'two'), 'RUNNING, FAILED TOO_MANY_ITERATIONS', 'all of a run together');
select tests.cancel(:run);
select tests.settle(jsonb_build_object('attempt_id', id, 'lease', lease), '{"state": "CANCELED", "termination_code": "USER_CANCELED"}') from queue.live_attempts where run_id = :run;
select is((select string_agg(distinct state::text, ' ') from queue.task_runs where run_id = :run and parent_id is not null), 'CANCELED', 'a cancel ends iterations that wait');
select is((tests.run(:run)).open_tasks, 0, 'and all of the run');

-- ---------------------------------------------------------------------------------------------- run_job

select tests.make_job('north.operator', 'inner', '[{"task_key": "x", "params": {"got": "{{job.parameters.size}}"}}]', '{"parameters": {"size": 1}, "callbacks": {"on_complete": "https://hooks.example/inner"}}') as inner_job \gset
select tests.make_job('north.operator', 'outer', format('[{"task_key": "a"}, {"task_key": "sub", "depends_on": ["a"], "run_job": {"job_id": %s, "params": {"size": "{{tasks.a.values.n}}"}}}, {"task_key": "after", "depends_on": ["sub"], "params": {"child": "{{tasks.sub.run_id}}"}}]', :inner_job)::jsonb) as outer_job \gset
select tests.start_job('north.operator', :outer_job) as run \gset
select tests.settle_with('{"n": 5}');
select (tests.task(:run, 'sub')).child_run_id as child \gset
select is(tests.states(:run), 'a SUCCEEDED, sub RUNNING, after BLOCKED', 'a run_job task runs while its run does');
select is((select (job_id, job_version, parent_run_id, root_run_id, state, created_by)::text from queue.runs where id = :child), format('(%s,1,%s,%s,QUEUED,north.operator)', :inner_job, :run, :run), 'the run that it started knows its family');
select is(tests.params(:child, 'x'), '{"got": 5, "size": 5}', 'and has the parameters it was given');
select is(tests.get(:run) #> '{tasks,1,run_job}', jsonb_build_object('job_id', :inner_job, 'run_id', :child), 'it can be looked up from the task');
select is(tests.get(:child) -> 'parent_run_id', to_jsonb(:run::bigint), 'and back');
select is((select array_agg(type) from callback.subscriptions where run_id = :child), '{run.completed}', 'it calls back as its job says');
select is((select tests.settle(c) ->> 'run_state' from tests.claim() c), 'SUCCEEDED', 'the run that was started ends');
select is(tests.states(:run), 'a SUCCEEDED, sub SUCCEEDED, after QUEUED', 'and its task with it');
select is((select array_agg(type) from callback.events where run_id = :child), '{run.completed}', 'it is announced');
select is(tests.params(:run, 'after'), jsonb_build_object('child', :child), 'who comes after may know its run');
select is((select tests.settle(c) ->> 'run_state' from tests.claim() c), 'SUCCEEDED', 'and the whole ends');

select tests.start_job('north.operator', :outer_job) as run \gset
select tests.settle_with('{"n": 5}');
select tests.fail(c, '{"message": "too bad"}') from tests.claim() c;
select is(tests.states(:run), 'a SUCCEEDED, sub FAILED, after SKIPPED', 'a run that fails fails its task');
select is((select (termination_code, termination_message)::text from queue.runs where id = :run), format('(USER_CODE_FAILED,"run %s ended FAILED: too bad")', (tests.task(:run, 'sub')).child_run_id), 'with its reason');
select is((select array_agg(type order by run_id) from callback.events where run_id >= :run), '{run.failed,run.failed}', 'both ends are announced, each once');

select tests.start_job('north.operator', :outer_job) as run \gset
select tests.settle_with('{"n": 5}');
select c as claim from tests.claim() c \gset
select is(tests.cancel(:run) ->> 'state', 'RUNNING', 'a cancel goes down to the run that was started');
select is((tests.renew(:'claim')) ->> 'cancel', 'true', 'whose work is told to stop');
select tests.settle(:'claim', '{"state": "CANCELED", "termination_code": "USER_CANCELED"}');
select is((select array_agg(state::text order by id) from queue.runs where id >= :run), '{CANCELED,CANCELED}', 'and ends both');
select tests.start_job('north.operator', :outer_job) as run \gset
select tests.settle_with('{"n": 5}');
select is(tests.cancel(:run) ->> 'state', 'CANCELED', 'when nothing runs both end at once');
select is((select array_agg(state::text order by id) from queue.runs where id >= :run), '{CANCELED,CANCELED}', 'parent and child');
select is((select array_agg(type order by run_id) from callback.events where run_id >= :run), '{run.failed,run.failed}', 'and both are announced');
select tests.start_job('north.operator', :outer_job) as run \gset
select tests.settle_with('{"n": 5}');
select tests.cancel((tests.task(:run, 'sub')).child_run_id);
select is(tests.ending(:run, 'sub') || ', ' || tests.ending(:run, 'after') || ', ' || (tests.run(:run)).state, 'CANCELED USER_CANCELED, SKIPPED UPSTREAM_CANCELED, CANCELED', 'a cancel of the inner run ends the task, and the outer run goes on without it');

select tests.start_job('north.operator', :outer_job) as run \gset
select tests.as('north.operator', format('public.delete_job(%L::jsonb)', jsonb_build_object('job_id', :inner_job)));
select tests.settle_with('{"n": 5}');
select is(tests.ending(:run, 'sub'), 'FAILED RUN_JOB_REFUSED', 'a job that is not there any more cannot be started');
select matches((tests.task(:run, 'sub')).termination_message, '^JOB_NOT_FOUND: ', 'which it says');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('job_id', :outer_job)), 'JOB_NOT_FOUND', 'the next run of the outer job is not even begun', '$.tasks[1].run_job.job_id');

-- one that only decides ends at once, with the task that started it, and the run of that
select tests.make_job('north.operator', 'decides', '[{"task_key": "c", "condition": {"op": "EQUAL_TO", "left": 1, "right": 1}}]') as decides \gset
select tests.run_tasks('north.operator', format('[{"task_key": "each", "for_each": {"inputs": [1, 2, 3], "concurrency": 2}, "task": {"run_job": {"job_id": %s}}}]', :decides)::jsonb) as run \gset
select is((select (state, task_count, open_tasks)::text from queue.runs where id = :run), '(SUCCEEDED,4,0)', 'runs that only decide end at once, one after the other');
select is((select count(*) from queue.runs where parent_run_id = :run and state = 'SUCCEEDED'), 3::bigint, 'three of them');
select is((select count(*) from callback.events where run_id >= :run and type = 'run.completed'), 4::bigint, 'and all are announced');

-- nesting is bounded, also where a definition has changed since
select tests.make_job('north.operator', 'n1', '[{"task_key": "x"}]') as n1 \gset
select tests.make_job('north.operator', 'n2', format('[{"task_key": "s", "run_job": {"job_id": %s}}]', :n1)::jsonb) as n2 \gset
select tests.make_job('north.operator', 'n3', format('[{"task_key": "s", "run_job": {"job_id": %s}}]', :n2)::jsonb) as n3 \gset
select tests.make_job('north.operator', 'n4', format('[{"task_key": "s", "run_job": {"job_id": %s}}]', :n3)::jsonb) as n4 \gset
select tests.refused('north.operator', format('public.create_job(%L::jsonb)', format('{"name": "n5", "tasks": [{"task_key": "x", "condition": {"op": "EQUAL_TO", "left": 1, "right": 1}}, {"task_key": "s", "run_job": {"job_id": %s}}]}', :n4)), 'JOB_GRAPH_INVALID', 'four deep is too deep', '$.tasks[1].run_job.job_id');
select tests.refused('north.operator', format('public.update_job(%L::jsonb)', format('{"job_id": %s, "tasks": [{"task_key": "s", "run_job": {"job_id": %s}}]}', :n1, :n1)), 'JOB_GRAPH_INVALID', 'a job does not start itself', '$.tasks[0].run_job.job_id');
select tests.refused('north.operator', format('public.update_job(%L::jsonb)', format('{"job_id": %s, "tasks": [{"task_key": "s", "run_job": {"job_id": %s}}]}', :n1, :n3)), 'JOB_GRAPH_INVALID', 'nor by way of others', '$.tasks[0].run_job.job_id');
select tests.start_job('north.operator', :n4) as run \gset
select is((select count(*) from queue.runs where root_run_id = :run), 3::bigint, 'three deep is begun at once, down to the work');
select is((select tests.settle(c) ->> 'run_state' from tests.claim() c), 'SUCCEEDED', 'whose end');
select is((tests.run(:run)).state::text, 'SUCCEEDED', 'is the end of all');
-- behind the back of the definition's check
insert into job.versions (tenant_id, job_id, version, definition, created_by)
select v.tenant_id, v.job_id, 2, jsonb_set(v.definition, '{tasks}', jsonb_build_array(jsonb_build_object('task_key', 's', 'run_if', 'ALL_SUCCESS', 'depends_on', '[]'::jsonb, 'run_job', jsonb_build_object('job_id', :n4, 'params', '{}'::jsonb)))), 'x'
from job.versions v where v.job_id = :n1;
update job.jobs set current_version = 2 where id = :n1;
select tests.start_job('north.operator', :n4) as run \gset
select is((select concat_ws(' ', r.state, r.termination_code) from queue.runs r where r.id = :run), 'FAILED RUN_JOB_REFUSED', 'a circle that came later is refused when it is reached');
select matches((select r.termination_message from queue.runs r where r.id = :run), format('job %s would start itself', :n4), 'in so many words');
select is((select count(*) from queue.runs where root_run_id = :run and state = 'FAILED'), 3::bigint, 'and all above it fail with it');
select is((select count(*) from callback.events where run_id >= :run and type = 'run.failed'), 4::bigint, 'each is announced');

-- a run's own deadline goes down as a cancel does
select tests.make_job('north.operator', 'slow inner', '[{"task_key": "x"}]') as slow_inner \gset
select tests.make_job('north.operator', 'slow', format('[{"task_key": "s", "run_job": {"job_id": %s}}]', :slow_inner)::jsonb, '{"run_timeout_seconds": 5}') as slow \gset
select tests.start_job('north.operator', :slow) as run \gset
select isnt((tests.run(:run)).deadline_at, null, 'a run that runs without a claim has its deadline');
update queue.runs set deadline_at = clock_timestamp() - interval '1 second' where id = :run;
select tests.tick();
select is((select array_agg(concat_ws(' ', state, termination_code) order by id) from queue.runs where id >= :run), '{TIMED_OUT RUN_TIMED_OUT,TIMED_OUT RUN_TIMED_OUT}', 'past it the run that it started ends too');
select is((select count(*) from queue.news), 0::bigint, 'of all this nothing is left to be told');
select is((select count(*) from queue.runs r where r.finished_at is not null and r.open_tasks <> 0 and (r.task_count > 1 or r.parent_run_id is not null)), 0::bigint, 'and no run that ended has an open task');

-- the runner cuts values itself; who does not, is told
select tests.run_tasks('north.operator', '[{"task_key": "a"}]') as run \gset
select is(tests.settle_with(jsonb_build_object('x', repeat('x', 262144))) ->> 'reason', 'publish_failed', 'values of more than 256 KiB are not kept');
select is((tests.run(:run)).termination_code, 'PUBLISH_FAILED', 'and the run says that it is so');

select * from finish();
rollback;
