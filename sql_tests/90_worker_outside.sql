-- worker: work that lives outside reports with a token of its attempt; what it tells is written down by whoever holds the attempt.
begin;
\ir fixtures.psql
select no_plan();

create function tests.open(p_claim jsonb, p_workflow text default 'kb_catalog')
returns jsonb language sql as $$ select tests.as('runner', format('worker.open_outside(%s, %s, %L)', p_claim ->> 'attempt_id', p_claim ->> 'lease', p_workflow)) $$;
create function tests.told(p_claim jsonb)
returns jsonb language sql as $$
    select tests.as('runner', format('worker.read_outside(%L)', jsonb_build_array(jsonb_build_object('attempt_id', p_claim -> 'attempt_id', 'lease', p_claim -> 'lease'))))
$$;
create function tests.tell(p_token text, p jsonb)
returns jsonb language sql as $$ select tests.as('anon', format('public.attempt_report(%L::jsonb)', p || jsonb_build_object('token', p_token))) $$;
create function tests.telling(p_token text, p jsonb default '{"event": "progress"}')
returns text language sql as $$ select format('public.attempt_report(%L::jsonb)', p || jsonb_build_object('token', p_token)) $$;
create function tests.catalogue(p jsonb default '{}')
returns bigint language sql as $$ select tests.submit('north.operator', '{"job_type": "kb_catalog", "code": null, "max_retries": 1}'::jsonb || p) $$;
create function tests.take() returns jsonb language sql as $$ select c from tests.claim(1, '{kb_catalog/default}') c $$;

-- --------------------------------------------------------------------------------------- what is granted

select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"job_type": "kb_catalog", "code": null, "params": {"workflow": "other"}}')), 'WORKFLOW_NOT_GRANTED', 'a workflow is named only where it is granted', '$.params.workflow: other');
select tests.catalogue() as run \gset
select tests.take() as claim \gset
select tests.refused('runner', format('worker.open_outside(%s, 1, %L)', :'claim'::jsonb ->> 'attempt_id', 'kb_catalog'), 'WORKFLOW_NOT_GRANTED', 'and asked again when it is to be started', 'kb_catalog');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "n8n_workflow", "name": "kb_catalog"}') $$);
select tests.refused('runner', format('worker.open_outside(%s, 9, %L)', :'claim'::jsonb ->> 'attempt_id', 'kb_catalog'), 'STALE_LEASE', 'who does not hold the attempt gets no token');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('job_type', 'kb_catalog', 'code', null, 'params', p.params))), 'FIELD_INVALID', 'no place for entries: ' || p.params::text, '$.params.' || p.field)
from (values ('{"collection": "A b"}'::jsonb, 'collection'), ('{"collection": 7}', 'collection'), ('{"mode": "burn"}', 'mode')) p (params, field);

-- ---------------------------------------------------------------------------------------------- reports

select tests.open(:'claim') ->> 'token' as token \gset
select matches(:'token'::text, '^crat_[0-9]+_0_[0-9a-f]{64}$', 'the outside gets a token of the attempt');
select is((select count(*) from worker.outside o where o.token_hash = sha256(convert_to(:'token', 'UTF8'))), 1::bigint, 'of which only the hash is kept');
select is(tests.tell(:'token', '{"event": "progress", "percent": 30, "external_id": "n8n/7"}'), '{"accepted": true, "cancel_requested": false}', 'it tells of progress');
select is((select (t.percent, a.external_id)::text from queue.task_runs t join queue.live_attempts a on a.task_run_id = t.id where t.run_id = :run), '(30,n8n/7)', 'which is written at once, with what it is called there');
select is(tests.tell(:'token', '{"event": "complete", "result": {"answer": 42}}'), '{"accepted": true, "cancel_requested": false}', 'and of its end');
select is(tests.states(:run), 'execute RUNNING', 'which ends nothing: a runner holds the attempt');
select is(tests.told(:'claim') -> 0 -> 'report', '{"event": "complete", "result": {"answer": 42}}', 'the runner reads it, without the token');
select is(tests.tell(:'token', '{"event": "complete", "result": {"answer": 42}}') -> 'accepted', 'true', 'told twice it is the same');
select is(tests.tell(:'token', '{"event": "fail", "error": "late"}') -> 'accepted', 'false', 'the first end counts');
select tests.refused('anon', tests.telling(:'token', '{"event": "complete", "result": [1]}'), 'FIELD_INVALID', 'a result is an object', '$.result');
select is(tests.told(:'claim'::jsonb || '{"lease": 9}'), '[]', 'who does not hold the attempt is told nothing');
select tests.refused('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', :'token', 'name', 'x', 'kind', 'data', 'size', 1)), 'ATTEMPT_TOKEN_INVALID', 'it stores no files: they belong to a lease');
select tests.settle(:'claim', '{"values": {"answer": 42}}');
select tests.refused('anon', tests.telling(:'token'), 'ATTEMPT_TOKEN_INVALID', 'the token is void once the attempt is settled');
select tests.as('runner', 'worker.tidy()');
select is((select count(*) from worker.outside), 0::bigint, 'and what was told goes with the attempt');

-- --------------------------------------------------------------------------------------------- adoption

select tests.settings(p_max_lost => 3);
select tests.catalogue() as run \gset
select tests.take() as first \gset
select tests.open(:'first') ->> 'token' as token \gset
select tests.tell(:'token', '{"event": "progress", "external_id": "n8n/8"}');
select tests.lose(:'first');
select is(tests.tell(:'token', '{"event": "complete", "result": {}}') -> 'accepted', 'true', 'between two leases the outside is heard');
select tests.take() as second \gset
select is(:'second'::jsonb ->> 'external_id', 'n8n/8', 'the next lease knows what goes on');
select is(tests.open(:'second'), '{"external_id": "n8n/8"}', 'and adopts it: no new token');
select is(tests.told(:'second') -> 0 #> '{report,event}', '"complete"', 'with all that was told');
select is(tests.told(:'first'), '[]', 'the lost lease is told nothing more');
select tests.settle(:'second');

select tests.catalogue() as run \gset
select tests.take() as first \gset
select tests.open(:'first') ->> 'token' as token \gset
select tests.lose(:'first');
select tests.take() as second \gset
select isnt(tests.open(:'second') ->> 'token', :'token'::text, 'a start that nobody heard of is made again, with another token');
select tests.refused('anon', tests.telling(:'token'), 'ATTEMPT_TOKEN_INVALID', 'and the first one is deaf and dumb');
select tests.fail(:'second', '{"retryable": true}');
select tests.hurry();
select is(tests.open(tests.take()) ? 'token', true, 'a retry is another attempt, with a token of its own');

-- without a runner that waits for it, an attempt's end is what its token tells (90_worker)

select * from finish();
rollback;
