-- queue: backfills: one run for each value, each value once; bounded, listed, canceled as a whole.
begin;
\ir fixtures.psql
select no_plan();

create function tests.v(p jsonb)
returns text language sql as $$ select string_agg(x #>> '{}', ' ' order by n) from unnest(queue.backfill_values(p)) with ordinality u (x, n) $$;
create function tests.ask(p_function text, p jsonb, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p)) $$;

-- ----------------------------------------------------------------------------------------- the values

select is(tests.v('{"values": ["b", 1, true]}'), 'b 1 true', 'values as they are listed');
select is(tests.v('{"range": {"from": 3, "to": 9, "step": 3}}'), '3 6 9', 'whole numbers, the last one with them');
select is(tests.v('{"range": {"from": -1, "to": 1}}'), '-1 0 1', 'one by one unless said otherwise');
select is(tests.v('{"range": {"from": "2026-02-27", "to": "2026-03-02"}}'), '2026-02-27 2026-02-28 2026-03-01 2026-03-02', 'days');
select is(tests.v('{"range": {"from": "2026-01-31", "to": "2026-04-30", "step": "1 month"}}'), '2026-01-31 2026-02-28 2026-03-31 2026-04-30', 'months, whose last days stay the last');
select is(tests.v('{"range": {"from": "2026-03-29T00:00:00+01:00", "to": "2026-03-29T02:00:00+01:00", "step": "PT1H"}}'), '2026-03-28T23:00:00Z 2026-03-29T00:00:00Z 2026-03-29T01:00:00Z', 'hours, in UTC: a change of the clock skips none');
select is(cardinality(queue.backfill_values('{"range": {"from": 1, "to": 1000}}')), 1000, 'a thousand');

select tests.ask('create_job', jsonb_build_object('name', 'daily', 'parameters', '{"day": null, "mode": "full"}'::jsonb, 'tasks', jsonb_build_array(tests.submission()))) ->> 'job_id' as job \gset
select tests.refused('north.operator', format('public.backfill_job(%L::jsonb)', jsonb_build_object('job_id', :job, 'parameter', 'day') || f.body::jsonb), f.code, 'refused: ' || f.body, f.path)
from (values ('{}', 'FIELD_INVALID', '$'), ('{"values": [1], "range": {}}', 'FIELD_INVALID', '$'), ('{"values": []}', 'FIELD_INVALID', '$.values'), ('{"values": [{}]}', 'FIELD_INVALID', '$.values'), ('{"values": [1, 1]}', 'FIELD_INVALID', '$.values'),
             ('{"range": {"from": 1, "to": 1001}}', 'BACKFILL_TOO_LARGE', '$.range'), ('{"range": {"from": 2, "to": 1}}', 'BACKFILL_TOO_LARGE', '$.range'), ('{"range": {"from": 1, "to": 9, "step": 0}}', 'FIELD_INVALID', '$.range.step'),
             ('{"range": {"from": "2026-01-01", "to": "2036-01-01"}}', 'BACKFILL_TOO_LARGE', '$.range'), ('{"range": {"from": "0001-01-01", "to": "9999-01-01", "step": "1 us"}}', 'BACKFILL_TOO_LARGE', '$.range'),
             ('{"range": {"from": "2026-01-01", "to": "2026-01-02", "step": "1 hour"}}', 'FIELD_INVALID', '$.range.step'), ('{"range": {"from": "infinity", "to": "infinity"}}', 'FIELD_INVALID', '$.range'), ('{"range": {"from": "2026-01-01", "to": "2026-01-02", "step": "-1 day"}}', 'FIELD_INVALID', '$.range'),
             ('{"range": {"from": "soon"}}', 'FIELD_INVALID', '$.range'), ('{"range": {"to": 5}}', 'FIELD_INVALID', '$.range'), ('{"range": 5}', 'BODY_INVALID', '$.range'), ('{"values": [1], "max_concurrent": 0}', 'FIELD_INVALID', '$.max_concurrent'),
             ('{"values": [1], "parameter": "night"}', 'FIELD_INVALID', '$.parameter'), ('{"values": [1], "wish": 1}', 'FIELD_UNKNOWN', '$.wish'), ('{"values": [1], "params": 7}', 'FIELD_INVALID', '$.params')) f (body, code, path);

-- ------------------------------------------------------------------------------------------- the runs

select tests.ask('backfill_job', jsonb_build_object('job_id', :job, 'parameter', 'day', 'range', '{"from": "2026-01-01", "to": "2026-01-04"}'::jsonb, 'max_concurrent', 2, 'params', '{"mode": "delta"}'::jsonb)) as b \gset
select is(:'b'::jsonb - 'backfill_id' - 'url' - 'job_id', '{"started": 4, "total": 4, "states": {"QUEUED": 2, "BLOCKED": 2}}', 'one run for each value; as many begin as it allows');
select :'b'::jsonb ->> 'backfill_id' as backfill \gset
select is((select string_agg(y.params ->> 'day' || ' ' || (y.params ->> 'mode'), ', ' order by r.id) from queue.runs r join queue.task_runs t on t.run_id = r.id join queue.payloads y on y.task_run_id = t.id where r.backfill_id = :backfill),
    '2026-01-01 delta, 2026-01-02 delta, 2026-01-03 delta, 2026-01-04 delta', 'with the value as its parameter, beside the others');
select is(tests.as('north.viewer', format('public.get_run(%L::jsonb)', jsonb_build_object('run_id', max(id)))) ->> 'queue_reason', format('waits: 2 of 2 runs of backfill %s are under way', :backfill), 'who waits says for what') from queue.runs where backfill_id = :backfill;
select is(tests.ask('backfill_job', jsonb_build_object('job_id', :job, 'parameter', 'day', 'range', '{"from": "2026-01-01", "to": "2026-01-04"}'::jsonb, 'params', '{"mode": "delta"}'::jsonb)) - 'states', :'b'::jsonb - 'states' || '{"started": 0}', 'asked again it is the same backfill');
select tests.ask('backfill_job', jsonb_build_object('job_id', :job, 'parameter', 'day', 'values', '["2026-01-04", "2026-01-05"]'::jsonb, 'params', '{"mode": "delta"}'::jsonb)) as other \gset
select is((:'other'::jsonb ->> 'started'), '1', 'another that shares a value starts only what is not there');
select is(tests.ask('get_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :'other'::jsonb -> 'backfill_id')) -> 'states', '{"QUEUED": 1, "BLOCKED": 1}', 'and has both runs');
select is(tests.ask('backfill_job', jsonb_build_object('job_id', :job, 'parameter', 'mode', 'values', '["a"]'::jsonb)) ->> 'started', '1', 'another parameter is another backfill');
select tests.settle(c) from tests.claim() c;
select is(tests.ask('get_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :backfill)) -> 'states', '{"QUEUED": 2, "BLOCKED": 1, "SUCCEEDED": 1}', 'when one ends, the next begins');
select is(jsonb_path_query_array(tests.ask('get_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :backfill)), '$.runs[*].value'), '["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]', 'an operator sees the values');
select is(jsonb_path_query_array(tests.ask('get_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :backfill), 'north.viewer'), '$.runs[*].value'), '[]', 'a viewer does not: they are parameters');
select is(jsonb_array_length(tests.ask('list_backfills', jsonb_build_object('job_id', :job), 'north.viewer') -> 'items'), 3, 'the backfills of a job are listed');
select is(tests.ask('list_backfills', jsonb_build_object('job_id', :job, 'limit', 2)) ->> 'next', :'other'::jsonb ->> 'backfill_id', 'in pages');

-- its end
select c as claim from tests.claim() c \gset
select is(tests.ask('cancel_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :backfill)) -> 'states', '{"CANCELED": 2, "RUNNING": 1, "SUCCEEDED": 1}', 'canceled as a whole: what waits ends, what runs is told');
select is((select count(*) from callback.events e join queue.runs r on r.id = e.run_id where r.backfill_id = :backfill and r.state = 'CANCELED'), 2::bigint, 'what waited says so at once');
select is(tests.renew(:'claim') ->> 'cancel', 'true', 'so that it stops');
select tests.settle(:'claim', '{"state": "CANCELED"}');
select is((select count(*) from callback.events e join queue.runs r on r.id = e.run_id where r.backfill_id = :backfill), 4::bigint, 'each run says once how it ended');
select is(tests.ask('cancel_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :backfill)) ->> 'canceled', '0', 'a second time there is nothing to cancel');
select is((select state::text from queue.runs r where r.backfill_id = (:'other'::jsonb ->> 'backfill_id')::bigint), 'QUEUED', 'what another backfill made goes on');
select tests.refused('north.operator', format('public.%I(%L::jsonb)', f, jsonb_build_object('job_id', :job, 'backfill_id', 987654321)), 'BACKFILL_NOT_FOUND', f || ' of none') from unnest(array['get_backfill', 'cancel_backfill']) f;
select is((select count(*) from audit.entries where action like 'backfill.%'), 5::bigint, 'all of it is on record');

-- beside the job's own limit
select tests.ask('update_job', jsonb_build_object('job_id', :job, 'max_concurrent_runs', 1, 'queue', '{"enabled": false}'::jsonb));
select tests.drain();
select tests.ask('backfill_job', jsonb_build_object('job_id', :job, 'parameter', 'day', 'values', '[1, 2, 3]'::jsonb, 'max_concurrent', 2)) as b \gset
select is(:'b'::jsonb -> 'states', '{"QUEUED": 1, "BLOCKED": 2}', 'a job that does not queue holds its limit, and skips no value of a backfill');
select is(tests.drain(), 3, 'one after the other');
select is(tests.ask('get_backfill', jsonb_build_object('job_id', :job, 'backfill_id', :'b'::jsonb -> 'backfill_id')) -> 'states', '{"SUCCEEDED": 3}', 'to the last');

select * from finish();
rollback;
