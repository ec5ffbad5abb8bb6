-- job: tasks of every kind, what they may refer to, how large a graph may be. Every fault is said with the path that leads to it.
begin;
\ir fixtures.psql
select no_plan();

create function tests.define(p_tasks jsonb, p jsonb default '{}')
returns text language sql immutable as $$
    select format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'graph', 'tasks', tests.tasks(p_tasks)) || p)
$$;
select tests.make_job('north.operator', 'other', '[{"task_key": "x"}]') as other_job \gset
select tests.make_job('south.operator', 'theirs', '[{"task_key": "x"}]') as their_job \gset

select tests.refused('north.operator', tests.define(p.tasks::jsonb, '{"parameters": {"day": 1}}'), p.code, 'no job: ' || p.tasks, p.path)
from (values
    -- conditions
    ('[{"task_key": "c", "condition": {}}]', 'FIELD_INVALID', '$.tasks[0].condition.op'), ('[{"task_key": "c", "condition": []}]', 'BODY_INVALID', '$.tasks[0].condition'),
    ('[{"task_key": "c", "condition": {"op": "IS", "left": 1, "right": 2}}]', 'FIELD_INVALID', '$.tasks[0].condition.op'), ('[{"task_key": "c", "condition": {"op": "EQUAL_TO", "right": 2}}]', 'FIELD_INVALID', '$.tasks[0].condition.left'),
    ('[{"task_key": "c", "condition": {"op": "EQUAL_TO", "left": 1, "right": [2]}}]', 'FIELD_INVALID', '$.tasks[0].condition.right'), ('[{"task_key": "c", "condition": {"op": "EQUAL_TO", "left": 1, "right": 2, "else": 3}}]', 'FIELD_UNKNOWN', '$.tasks[0].condition.else'),
    ('[{"task_key": "c", "condition": {"op": "LESS_THAN", "left": "many", "right": 2}}]', 'FIELD_INVALID', '$.tasks[0].condition.left'), ('[{"task_key": "c", "spec": "a spec", "condition": {"op": "EQUAL_TO", "left": 1, "right": 2}}]', 'FIELD_UNKNOWN', '$.tasks[0].spec'),
    ('[{"task_key": "c", "condition": {"op": "EQUAL_TO", "left": 1, "right": 2}}, {"task_key": "d", "depends_on": [{"task_key": "c", "outcome": "yes"}]}]', 'FIELD_INVALID', '$.tasks[1].depends_on[0].outcome'),
    ('[{"task_key": "c", "condition": {"op": "EQUAL_TO", "left": 1, "right": 2}}, {"task_key": "d", "depends_on": [{"task_key": "c", "outcome": true}]}]', 'FIELD_INVALID', '$.tasks[1].depends_on[0].outcome'),
    ('[{"task_key": "c"}, {"task_key": "d", "depends_on": [{"task_key": "c", "outcome": "true"}]}]', 'JOB_GRAPH_INVALID', '$.tasks[1].depends_on[0].outcome'),
    ('[{"task_key": "c"}, {"task_key": "d", "depends_on": ["c", "c"]}]', 'JOB_GRAPH_INVALID', '$.tasks[1].depends_on[1]'), ('[{"task_key": "c"}, {"task_key": "d", "depends_on": ["c", 7]}]', 'JOB_GRAPH_INVALID', '$.tasks[1].depends_on[1]'),
    -- for_each
    ('[{"task_key": "e", "for_each": {}}]', 'FIELD_INVALID', '$.tasks[0].for_each.inputs'), ('[{"task_key": "e", "for_each": {"inputs": "abc"}}]', 'FIELD_INVALID', '$.tasks[0].for_each.inputs'),
    ('[{"task_key": "e", "for_each": {"inputs": "a {{run.id}}"}}]', 'FIELD_INVALID', '$.tasks[0].for_each.inputs'), ('[{"task_key": "e", "for_each": {"inputs": [1], "concurrency": 0}}]', 'FIELD_INVALID', '$.tasks[0].for_each.concurrency'),
    ('[{"task_key": "e", "for_each": {"inputs": [1], "concurrency": 101}}]', 'FIELD_INVALID', '$.tasks[0].for_each.concurrency'), ('[{"task_key": "e", "for_each": {"inputs": [1], "at_once": 1}}]', 'FIELD_UNKNOWN', '$.tasks[0].for_each.at_once'),
    ('[{"task_key": "e", "for_each": {"inputs": [1]}, "task": {"for_each": {"inputs": [1]}}}]', 'FIELD_UNKNOWN', '$.tasks[0].task.for_each'), ('[{"task_key": "e", "for_each": {"inputs": [1]}, "task": {"depends_on": []}}]', 'FIELD_UNKNOWN', '$.tasks[0].task.depends_on'),
    ('[{"task_key": "e", "for_each": {"inputs": [1]}, "task": {"job_type": "teleport"}}]', 'JOB_TYPE_UNKNOWN', '$.tasks[0].task.job_type'), ('[{"task_key": "e", "for_each": {"inputs": [1]}, "task": {"params": {"x": ["{{input.a}}", "{{inputs}}"]}}}]', 'REFERENCE_INVALID', '$.tasks[0].task.params.x[1]'),
    -- references
    ('[{"task_key": "a", "params": {"x": {"y": [1, "{{job.parameters.night}}"]}}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x.y[1]'), ('[{"task_key": "a", "params": {"x": "{{tasks.b.state}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'),
    ('[{"task_key": "a", "params": {"x": "{{tasks.a.state}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a"}, {"task_key": "b", "params": {"x": "{{tasks.a.values.n}}"}}]', 'REFERENCE_INVALID', '$.tasks[1].params.x'),
    ('[{"task_key": "a", "params": {"x": "{{tasks.b.values.n}}"}}, {"task_key": "b", "depends_on": ["a"]}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"], "params": {"x": "{{tasks.a.value.n}}"}}]', 'REFERENCE_INVALID', '$.tasks[1].params.x'),
    ('[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"], "params": {"x": "{{tasks.a.values}}"}}]', 'REFERENCE_INVALID', '$.tasks[1].params.x'), ('[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"], "params": {"x": "{{tasks.a.outcome}}"}}]', 'REFERENCE_INVALID', '$.tasks[1].params.x'),
    ('[{"task_key": "a"}, {"task_key": "b", "depends_on": ["a"], "params": {"x": "{{tasks.a.run_id}}"}}]', 'REFERENCE_INVALID', '$.tasks[1].params.x'), ('[{"task_key": "a", "params": {"x": "{{input}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'),
    ('[{"task_key": "a", "params": {"x": "{{}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a", "params": {"x": "{{ 1 + 1 }}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a", "params": {"x": "{{run.secret}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'),
    ('[{"task_key": "a", "params": {"x": "{{job}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a", "params": {"x": "{{job.parameters}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a", "params": {"x": "{{task.id}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].params.x'),
    ('[{"task_key": "c", "condition": {"op": "EQUAL_TO", "left": "{{job.parameters.day}}", "right": "{{tasks.x.state}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].condition.right'), ('[{"task_key": "e", "for_each": {"inputs": "{{tasks.x.values.y}}"}}]', 'REFERENCE_INVALID', '$.tasks[0].for_each.inputs'),
    ('[{"task_key": "e", "for_each": {"inputs": [1]}}, {"task_key": "f", "depends_on": ["e"], "params": {"x": "{{tasks.e.values.y}}"}}]', 'REFERENCE_INVALID', '$.tasks[1].params.x')
) p (tasks, code, path);
select tests.refused('north.operator', tests.define('[{"task_key": "a"}]', '{"parameters": {"x": "{{job.parameters.y}}", "y": 1}}'), 'REFERENCE_INVALID', 'parameters do not refer to each other', '$.parameters.x');
select tests.refused('north.operator', tests.define('[{"task_key": "a"}]', '{"parameters": {"x": "{{task.name}}"}}'), 'REFERENCE_INVALID', 'nor to a task', '$.parameters.x');
select tests.refused('north.operator', tests.define(format('[{"task_key": "a", "run_job": {"job_id": %s}}]', j)::jsonb), 'JOB_NOT_FOUND', 'no job to run: ' || l, '$.tasks[0].run_job.job_id')
from (values ('one that is not there', '999999'), ('another tenant''s', :'their_job')) x (l, j);
select tests.refused('north.operator', tests.define('[{"task_key": "a", "run_job": {"job_id": "x"}}]'), 'FIELD_INVALID', 'nor by another word', '$.tasks[0].run_job.job_id');
select is(tests.error('north.operator', tests.define('[{"task_key": "a", "params": {"x": "{{tasks.b.state}}"}}, {"task_key": "b"}]')) ->> 'message', '{{tasks.b.state}} names a task that does not come before: let this one depend on b.', 'a fault is told in a sentence');
select is(tests.error('north.operator', tests.define('[{"task_key": "a", "params": {"x": "{{ds}}"}}]')) ->> 'message', '{{ds}} begins with none of job, run, task, tasks, input.', 'whatever it is');

select tests.refused('north.operator', format('public.run_job(%L::jsonb)', jsonb_build_object('tasks', tests.tasks(p.tasks::jsonb)) || p.more::jsonb), p.code, 'no run: ' || p.tasks || p.more, p.path)
from (values
    ('[{"task_key": "a", "params": {"x": "{{job.id}}"}}]', '{}', 'REFERENCE_INVALID', '$.tasks[0].params.x'), ('[{"task_key": "a", "params": {"x": "{{job.parameters.y}}"}}]', '{"params": {"x": 1}}', 'REFERENCE_INVALID', '$.tasks[0].params.x'),
    ('[{"task_key": "a"}]', '{"params": {"x": "{{tasks.a.state}}"}}', 'REFERENCE_INVALID', '$.params.x'), ('[{"task_key": "a"}]', '{"job_type": "spark_etl"}', 'FIELD_UNKNOWN', '$.job_type'), ('[{"task_key": "a"}]', '{"schedule": {}}', 'FIELD_UNKNOWN', '$.schedule')
) p (tasks, more, code, path);
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"params": {"x": "{{job.parameters.y}}", "y": 1}}')), 'REFERENCE_INVALID', 'a lone task has no parameters beside its own', '$.params.x');

-- ------------------------------------------------------------------------------- what is taken, as it was meant

select is((tests.as('north.operator', tests.define('[{"task_key": "a"}, {"task_key": "c", "depends_on": ["a"], "condition": {"op": "EQUAL_TO", "left": "{{tasks.a.values.x}}", "right": 1}},
    {"task_key": "e", "depends_on": [{"task_key": "c", "outcome": "true"}], "for_each": {"inputs": "{{tasks.a.values.list}}"}}]')) #> '{tasks,2,for_each}'), '{"inputs": "{{tasks.a.values.list}}", "concurrency": 1}', 'defaults are written into the definition');
select is(tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', (select max(id) from job.jobs), 'priority', 3))) -> 'version', '2', 'which can be taken up again');
select is((select string_agg(x ->> 'kind', ' ') from jsonb_array_elements(tests.as('north.viewer', format('public.get_job(%L::jsonb)', jsonb_build_object('job_id', (select max(id) from job.jobs)))) -> 'tasks') x), 'work condition for_each', 'a viewer sees the shape, with the kinds');
select lives_ok(format('select tests.as(''north.operator'', %L)', tests.define('[{"task_key": "a", "params": {"x": "\\{{ds}} {} }} {{"}}]', '{"name": "braces"}')), 'plain braces are no references');

-- ---------------------------------------------------------------------------------------------------- size

create function tests.chain(p_count integer, p_order text default 'asc')
returns jsonb language sql immutable as $$
    select jsonb_agg(jsonb_build_object('task_key', 't' || n, 'depends_on', case when n > 1 then jsonb_build_array('t' || n - 1) else '[]' end,
                                        'params', case when n > 1 then jsonb_build_object('x', format('{{tasks.t%s.values.x}}', 1)) else '{}' end)
                     order by case p_order when 'asc' then n else -n end)
    from generate_series(1, p_count) n
$$;
-- Milliseconds of processor that this session has taken: a busy machine takes longer, but not more of it.
create function tests.processor_ms()
returns bigint language sql as $$
    select (x[12]::bigint + x[13]::bigint) * 10 from regexp_split_to_array(regexp_replace(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), '^.*\) ', ''), ' ') x
$$;
create function tests.takes_ms(p_statement text)
returns bigint language plpgsql as $$
declare
    v_before bigint := tests.processor_ms();
begin
    execute p_statement;
    return tests.processor_ms() - v_before;
end
$$;
-- half a second each; the peeling of before took minutes
select cmp_ok(tests.takes_ms(format('select tests.as(''north.operator'', %L)', tests.define(tests.chain(1000), '{"name": "chain"}'))), '<', 3000::bigint, 'a chain of 1,000 tasks is looked at in no time, its references too');
select cmp_ok(tests.takes_ms(format('select tests.as(''north.operator'', %L)', tests.define(tests.chain(1000, 'desc'), '{"name": "chain backwards"}'))), '<', 3000::bigint, 'in whatever order they stand');
select cmp_ok(tests.takes_ms(format('select tests.as(''north.operator'', %L)', tests.define((select jsonb_agg(jsonb_build_object('task_key', 't' || n, 'depends_on', (select coalesce(jsonb_agg('t' || m), '[]') from generate_series(greatest(1, n - 20), n - 1) m))) from generate_series(1, 1000) n), '{"name": "dense"}'))),
    '<', 3000::bigint, 'so are 1,000 tasks with 20,000 dependencies');
select tests.refused('north.operator', tests.define((select jsonb_agg(jsonb_build_object('task_key', 't' || n, 'depends_on', jsonb_build_array('t' || (n + 998) % 1000 + 1))) from generate_series(1, 1000) n)), 'JOB_GRAPH_INVALID', 'a circle of 1,000 is one', '$.tasks[0]');
select tests.refused('north.operator', tests.define(format('[{"task_key": "e", "for_each": {"inputs": %s}}]', (select jsonb_agg(n) from generate_series(1, 1001) n))::jsonb), 'FIELD_INVALID', '1,001 inputs are too many', '$.tasks[0].for_each.inputs');
select tests.refused('north.operator', tests.define((select jsonb_agg(jsonb_build_object('task_key', 'e' || k, 'for_each', jsonb_build_object('inputs', (select jsonb_agg(n) from generate_series(1, 501) n)))) from generate_series(1, 2) k)), 'JOB_GRAPH_INVALID', 'in all for_each tasks together', '$.tasks');

select * from finish();
rollback;
