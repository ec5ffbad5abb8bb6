-- job: what may be asked for. Everything that can be known to be wrong is said before a row is written.
begin;
\ir fixtures.psql
select no_plan();

create function tests.written()
returns text language sql volatile as $$
    select concat_ws(' ', (select count(*) from queue.runs), (select count(*) from queue.task_runs), (select count(*) from queue.payloads), (select count(*) from queue.live_attempts),
        (select count(*) from callback.endpoints), (select count(*) from callback.subscriptions), (select count(*) from job.jobs), (select count(*) from job.versions), (select count(*) from audit.entries))
$$;
create function tests.run_job(p jsonb)
returns text language sql immutable as $$ select format('public.run_job(%L::jsonb)', p) $$;

select tests.written() as before \gset

-- -------------------------------------------------------------------------------------- submissions

select tests.refused('north.operator', tests.run_job(tests.submission(p.body::jsonb)), p.code, 'no run: ' || left(p.body, 70), p.path)
from (values
    ('{"job_type": "teleport"}', 'JOB_TYPE_UNKNOWN', '$.job_type'), ('{"job_type": null}', 'JOB_TYPE_UNKNOWN', '$.job_type'), ('{"job_type": 7}', 'JOB_TYPE_UNKNOWN', '$.job_type'),
    ('{"job_type": ["spark_etl"]}', 'JOB_TYPE_UNKNOWN', '$.job_type'), ('{"job_type": "Spark_ETL"}', 'JOB_TYPE_UNKNOWN', '$.job_type'),
    ('{"engine": "abacus"}', 'ENGINE_UNKNOWN', '$.engine'), ('{"engine": ["duckdb"]}', 'ENGINE_UNKNOWN', '$.engine'),
    ('{"spec": null}', 'SPEC_MISSING', '$.spec'), ('{"spec": ""}', 'SPEC_MISSING', '$.spec'), ('{"spec": "  \n "}', 'SPEC_MISSING', '$.spec'), ('{"spec": 12345}', 'SPEC_MISSING', '$.spec'),
    ('{"spec": ["a long enough spec"]}', 'SPEC_MISSING', '$.spec'), ('{"spec": "' || repeat('s', 20001) || '"}', 'SPEC_MISSING', '$.spec'),
    ('{"code": null}', 'MODEL_NOT_GRANTED', '$.code'), ('{"code": "print(1)"}', 'BODY_INVALID', '$.code'), ('{"code": {}}', 'FIELD_INVALID', '$.code'),
    ('{"code": {"files": {}}}', 'FIELD_INVALID', '$.code.files'), ('{"code": {"files": ["job.py"]}}', 'FIELD_INVALID', '$.code.files'),
    ('{"code": {"files": {"job.py": 7}}}', 'FIELD_INVALID', '$.code.files.job.py'), ('{"code": {"files": {"../job.py": "x"}}}', 'FIELD_INVALID', '$.code.files.../job.py'),
    ('{"code": {"files": {"/job.py": "x"}}}', 'FIELD_INVALID', '$.code.files./job.py'), ('{"code": {"files": {"a//b.py": "x"}}}', 'FIELD_INVALID', '$.code.files.a//b.py'),
    ('{"code": {"files": {"": "x"}}}', 'FIELD_INVALID', '$.code.files.'), ('{"code": {"files": {".bashrc": "x"}}}', 'FIELD_INVALID', '$.code.files..bashrc'),
    ('{"code": {"files": {"a": "x"}, "artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}}', 'FIELD_INVALID', '$.code'),
    ('{"code": {"artifact_id": "x"}}', 'FIELD_INVALID', '$.code.artifact_id'), ('{"code": {"artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}}', 'INPUT_NOT_FOUND', '$.code.artifact_id'),
    ('{"code": {"artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "version": "first"}}', 'FIELD_INVALID', '$.code.version'),
    ('{"code": {"artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "version": 99999999999}}', 'FIELD_INVALID', '$.code.version'),
    ('{"code": {"url": "https://x"}}', 'FIELD_UNKNOWN', '$.code.url'), ('{"code": {"files": {"job.py": "' || repeat('x', 1048577) || '"}}}', 'CODE_TOO_LARGE', '$.code.files'),
    ('{"timeout_seconds": -1}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'), ('{"timeout_seconds": 0}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'),
    ('{"timeout_seconds": 86401}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'), ('{"timeout_seconds": 1.5}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'),
    ('{"timeout_seconds": "60"}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'), ('{"timeout_seconds": 1e9}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'),
    ('{"timeout_seconds": 99999999999999999999}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'), ('{"timeout_seconds": [60]}', 'TIMEOUT_OUT_OF_RANGE', '$.timeout_seconds'),
    ('{"max_retries": -1}', 'FIELD_INVALID', '$.max_retries'), ('{"max_retries": 11}', 'FIELD_INVALID', '$.max_retries'), ('{"max_retries": "3"}', 'FIELD_INVALID', '$.max_retries'),
    ('{"priority": 101}', 'FIELD_INVALID', '$.priority'), ('{"priority": -101}', 'FIELD_INVALID', '$.priority'), ('{"priority": "high"}', 'FIELD_INVALID', '$.priority'),
    ('{"params": [1]}', 'FIELD_INVALID', '$.params'), ('{"params": "a=1"}', 'FIELD_INVALID', '$.params'),
    ('{"inputs": {}}', 'FIELD_INVALID', '$.inputs'), ('{"inputs": [1]}', 'BODY_INVALID', '$.inputs[0]'), ('{"inputs": [{"name": "a"}]}', 'FIELD_INVALID', '$.inputs[0]'),
    ('{"inputs": [{"name": "../a", "table": "gold.x"}]}', 'FIELD_INVALID', '$.inputs[0].name'), ('{"inputs": [{"table": "gold.x"}]}', 'FIELD_INVALID', '$.inputs[0].name'),
    ('{"inputs": [{"name": "a", "table": "gold.x"}, {"name": "a", "table": "gold.y"}]}', 'FIELD_INVALID', '$.inputs[1].name'),
    ('{"inputs": [{"name": "a", "table": "gold.x", "uri": "s3://x"}]}', 'FIELD_INVALID', '$.inputs[0]'), ('{"inputs": [{"name": "a", "uri": "file:///etc/passwd"}]}', 'INPUT_URI_REFUSED', '$.inputs[0].uri'),
    ('{"inputs": [{"name": "a", "uri": "odoo://erp"}]}', 'INPUT_URI_REFUSED', '$.inputs[0].uri'), ('{"inputs": [{"name": "a", "uri": "https://erp.example/res.partner"}]}', 'INPUT_URI_REFUSED', '$.inputs[0].uri'),
    ('{"inputs": [{"name": "a", "uri": "odoo://user@erp/res.partner"}]}', 'INPUT_URI_REFUSED', '$.inputs[0].uri'), ('{"inputs": [{"name": "a", "uri": "postgres://erp/x; drop table y"}]}', 'INPUT_URI_REFUSED', '$.inputs[0].uri'),
    ('{"inputs": [{"name": "a", "uri": "odoo://erp/res.partner"}]}', 'TARGET_NOT_GRANTED', '$.inputs[0].uri: erp'), ('{"inputs": [{"name": "a", "table": "gold.x", "read": {}}]}', 'FIELD_INVALID', '$.inputs[0].read'),
    ('{"inputs": [{"name": "a", "table": "queue.runs"}]}', 'FIELD_INVALID', '$.inputs[0].table'), ('{"inputs": [{"name": "a", "table": "gold.x; drop table y"}]}', 'FIELD_INVALID', '$.inputs[0].table'),
    ('{"inputs": [{"name": "a", "table": "gold_south.x"}]}', 'FIELD_INVALID', '$.inputs[0].table'), ('{"inputs": [{"name": "a", "table": null}]}', 'FIELD_INVALID', '$.inputs[0].table'),
    ('{"inputs": [{"name": "a", "artifact_id": "x"}]}', 'FIELD_INVALID', '$.inputs[0].artifact_id'), ('{"inputs": [{"name": "a", "artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}]}', 'INPUT_NOT_FOUND', '$.inputs[0].artifact_id'),
    ('{"inputs": [{"name": "a", "artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00", "version": "v1"}]}', 'FIELD_INVALID', '$.inputs[0].version'),
    ('{"inputs": [{"name": "a", "table": "gold.x", "path": "y"}]}', 'FIELD_UNKNOWN', '$.inputs[0].path'),
    ('{"outputs": [{"name": "a", "table": "x"}]}', 'FIELD_INVALID', '$.outputs[0].layer'), ('{"outputs": [{"name": "a", "layer": "gold"}]}', 'FIELD_INVALID', '$.outputs[0].layer'),
    ('{"outputs": [{"name": "a", "table": "x", "layer": "platinum"}]}', 'FIELD_INVALID', '$.outputs[0].layer'), ('{"outputs": [{"name": "a", "table": "X", "layer": "gold"}]}', 'FIELD_INVALID', '$.outputs[0].table'),
    ('{"outputs": [{"name": "a", "table": "x", "layer": "gold", "mode": "mingle"}]}', 'FIELD_INVALID', '$.outputs[0].mode'), ('{"outputs": [{"name": "a", "table": "x", "layer": "gold", "mode": "merge"}]}', 'FIELD_INVALID', '$.outputs[0].key'), ('{"outputs": [{"name": "a", "table": "x", "layer": "gold", "mode": "merge", "key": [1]}]}', 'FIELD_INVALID', '$.outputs[0].key'), ('{"outputs": [{"name": "a", "table": "x", "layer": "gold", "key": ["id"]}]}', 'FIELD_INVALID', '$.outputs[0].key'), ('{"outputs": [{"name": "a", "kind": "film"}]}', 'FIELD_INVALID', '$.outputs[0].kind'),
    ('{"outputs": [{"name": "a/b"}]}', 'FIELD_INVALID', '$.outputs[0].name'), ('{"outputs": [{"name": "a"}, {"name": "a"}]}', 'FIELD_INVALID', '$.outputs[1].name'),
    ('{"outputs": [{"name": "a", "schema": "x"}]}', 'FIELD_UNKNOWN', '$.outputs[0].schema'),
    ('{"secrets": ["API_KEY"]}', 'SECRET_NOT_GRANTED', '$.secrets: API_KEY'), ('{"secrets": ["api key; rm"]}', 'SECRET_NOT_GRANTED', '$.secrets: api key; rm'), ('{"secrets": "API_KEY"}', 'FIELD_INVALID', '$.secrets'),
    ('{"secrets": [null]}', 'SECRET_NOT_GRANTED', null), ('{"network": true}', 'NETWORK_NOT_GRANTED', '$.network'), ('{"network": "yes"}', 'FIELD_INVALID', '$.network'),
    ('{"idempotency_key": ""}', 'IDEMPOTENCY_KEY_INVALID', '$.idempotency_key'), ('{"idempotency_key": 7}', 'IDEMPOTENCY_KEY_INVALID', '$.idempotency_key'),
    ('{"idempotency_key": "' || repeat('k', 129) || '"}', 'IDEMPOTENCY_KEY_INVALID', '$.idempotency_key'),
    ('{"name": "../x"}', 'FIELD_INVALID', '$.name'), ('{"name": ""}', 'FIELD_INVALID', '$.name'), ('{"name": "' || repeat('n', 129) || '"}', 'FIELD_INVALID', '$.name'),
    ('{"tenant_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}', 'FIELD_UNKNOWN', '$.tenant_id'), ('{"created_by": "root"}', 'FIELD_UNKNOWN', '$.created_by'),
    ('{"tasks": []}', 'FIELD_UNKNOWN', '$.code'), ('{"depends_on": ["x"]}', 'FIELD_UNKNOWN', '$.depends_on'), ('{"zz": 1, "aa": 2}', 'FIELD_UNKNOWN', '$.aa'),
    ('{"callbacks": {"on_done": "https://x.example"}}', 'FIELD_UNKNOWN', '$.callbacks.on_done'), ('{"callbacks": {"on_fail": 7}}', 'CALLBACK_URL_INVALID', '$.callbacks.on_fail'),
    ('{"callbacks": "https://x.example"}', 'FIELD_INVALID', '$.callbacks'), ('{"callbacks": {"on_fail": null}}', 'CALLBACK_URL_INVALID', '$.callbacks.on_fail'),
    ('{"callbacks": {"on_complete": "https://ok.example", "on_fail": "http://169.254.169.254/latest/meta-data"}}', 'CALLBACK_ADDRESS_DENIED', '$.callbacks.on_fail')
) p (body, code, path);
select tests.refused('north.operator', tests.run_job(tests.submission() - 'job_type'), 'JOB_TYPE_UNKNOWN', 'a submission names its job type', '$.job_type');
select tests.refused('north.operator', tests.run_job(tests.submission() - 'spec'), 'SPEC_MISSING', 'a submission carries a spec', '$.spec');
select tests.refused('north.operator', tests.run_job(tests.submission() - 'code'), 'MODEL_NOT_GRANTED', 'without code, a model must be granted', '$.code');
select tests.refused('north.operator', format('public.run_job(%L::jsonb)', p), 'BODY_INVALID', 'no body: ' || p) from unnest(array['[]', '"run"', '7', 'null', 'true']) p;
select is(tests.error('north.operator', tests.run_job(tests.submission('{"job_type": "teleport"}'))) ->> 'hint',
    'code_generation, code_validation, diagram_export, kb_catalog, schema_migration, spark_etl', 'a wrong job type is told the right ones');
select tests.refused(w, tests.run_job(tests.submission()), 'ROLE_INSUFFICIENT', w || ' submits no run') from unnest(array['north.viewer', 'north.viewer@hook']) w;
select tests.refused('north.stranger', tests.run_job(tests.submission()), 'MEMBERSHIP_MISSING', 'a stranger submits no run');
select tests.refused('anon', tests.run_job(tests.submission()), '42501', 'anon submits no run');
select is(tests.written(), :'before', 'nothing is written of what was refused');

-- -------------------------------------------------------------------------------- what is accepted

select tests.as('north.operator', tests.run_job(tests.submission())) as made \gset
select is(:'made'::jsonb - 'run_id' - 'url', '{"state": "QUEUED"}'::jsonb, 'a good submission waits in the queue');
select is(:'made'::jsonb ->> 'url', '/functions/v1/api/v1/runs/' || (:'made'::jsonb ->> 'run_id'), 'and says where to look');
select is(current_setting('response.status'), '202', 'it answers 202');
select is((select (t.task_key, t.job_type, t.engine, t.state, t.run_if, t.max_retries, t.timeout_seconds)::text from queue.task_runs t where t.run_id = (:'made'::jsonb ->> 'run_id')::bigint),
    '(execute,spark_etl,duckdb,QUEUED,ALL_SUCCESS,3,600)', 'every default is written down at submit');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "timeout_seconds": 60, "max_retries": 0}') $$);
select tests.submit('north.operator') as limited \gset
select is((select (t.max_retries, t.timeout_seconds)::text from queue.task_runs t where t.run_id = :limited), '(0,60)', 'the tenant''s limits are its defaults');
select tests.submit('north.operator', '{"max_retries": 10, "timeout_seconds": 86400, "priority": -100, "engine": "spark", "name": "Nightly v1.2_x-y"}') as asked \gset
select is((select (t.max_retries, t.timeout_seconds, t.engine, r.priority, r.name)::text from queue.task_runs t join queue.runs r on r.id = t.run_id where t.run_id = :asked),
    '(10,86400,spark,-100,"Nightly v1.2_x-y")', 'what is asked for within the bounds is kept');
select lives_ok(format('select tests.submit(''north.operator'', %L)', p), 'accepted: ' || p)
from unnest(array['{"timeout_seconds": null}', '{"timeout_seconds": 1}', '{"max_retries": 0}', '{"params": {"a": [1, {"b": null}]}}', '{"inputs": [{"name": "a", "table": "silver.orders"}]}',
    '{"outputs": [{"name": "out.parquet"}, {"name": "t", "table": "x", "layer": "gold", "mode": "append", "kind": "data"}]}', '{"job_type": "diagram_export", "code": null}', '{"network": false}',
    '{"code": {"files": {"job.py": "x", "lib/util_1.py": "y"}}}', '{"callbacks": {}}', '{"secrets": []}']) p;

select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "API_KEY"}') $$);
select lives_ok($$ select tests.submit('north.operator', '{"secrets": ["API_KEY"]}') $$, 'a granted secret is named');
select tests.refused('south.operator', tests.run_job(tests.submission('{"secrets": ["API_KEY"]}')), 'SECRET_NOT_GRANTED', 'by the tenant it was granted to');
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "secret", "name": "API_KEY"}') $$);
select tests.refused('north.operator', tests.run_job(tests.submission('{"secrets": ["API_KEY"]}')), 'SECRET_NOT_GRANTED', 'a secret that was taken back is not');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "network", "name": "internet"}') $$);
select lives_ok($$ select tests.submit('north.operator', '{"network": true}') $$, 'granted network is given');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "model", "name": "m"}') $$);
select tests.refused('north.operator', tests.run_job(tests.submission() - 'code'), 'MODEL_NOT_CONFIGURED', 'with a model granted, a runner must have it', 'm');

select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "target", "name": "erp.live"}') $$);
create function tests.reading(p jsonb) returns jsonb language sql as $$
    select jsonb_build_object('inputs', jsonb_build_array('{"name": "a", "uri": "odoo://erp.live/res.partner"}'::jsonb || p))
$$;
select lives_ok(format('select tests.submit(''north.operator'', %L)', tests.reading(p::jsonb)), 'read from elsewhere: ' || p)
from unnest(array['{}', '{"uri": "postgres://erp.live/public.res_partner"}', '{"read": {"fields": ["name", "x_studio_1"], "domain": ["|", ["name", "=", "a"], ["id", ">", 7]], "limit": 1000}}',
    '{"read": {"after": "bronze.partners", "watermark": "create_date", "overlap_seconds": 0}}']) p;
select lives_ok($$ select tests.submit('north.operator', '{"job_type": "kb_catalog", "code": null}' || tests.reading('{}')) $$, 'knowledge bases read from elsewhere, too');
select tests.refused('north.operator', tests.run_job(tests.submission('{"job_type": "code_validation"}' || tests.reading('{}'))), 'INPUT_URI_REFUSED', 'job types that read nothing say so', '$.inputs');
select tests.refused('north.operator', tests.run_job(tests.submission(tests.reading(p::jsonb))), c, 'not read: ' || p, d)
from (values ('{"read": 7}', 'FIELD_INVALID', '$.inputs[0].read'), ('{"read": {"where": "1=1"}}', 'FIELD_UNKNOWN', '$.inputs[0].read.where'),
    ('{"read": {"fields": ["name; drop table x"]}}', 'FIELD_INVALID', '$.inputs[0].read.fields'), ('{"read": {"fields": [7]}}', 'FIELD_INVALID', '$.inputs[0].read.fields'),
    ('{"read": {"after": "queue.runs"}}', 'FIELD_INVALID', '$.inputs[0].read.after'), ('{"read": {"watermark": "a b"}}', 'FIELD_INVALID', '$.inputs[0].read.watermark'),
    ('{"read": {"overlap_seconds": -1}}', 'FIELD_INVALID', '$.inputs[0].read.overlap_seconds'), ('{"read": {"limit": 0}}', 'FIELD_INVALID', '$.inputs[0].read.limit'),
    ('{"read": {"domain": "all"}}', 'FIELD_INVALID', '$.inputs[0].read.domain'),
    ('{"uri": "postgres://erp.live/public.x", "read": {"domain": [["id", ">", 1]]}}', 'FIELD_INVALID', '$.inputs[0].read.domain')) x (p, c, d);

-- ----------------------------------------------------------------------------------------- idempotency

select tests.submit('north.operator', '{"idempotency_key": "k1", "spec": "the first"}') as first \gset
select tests.written() as before \gset
select is(tests.submit('north.operator', '{"idempotency_key": "k1", "spec": "the second"}'), :first::bigint, 'the same key is the same run');
select is(current_setting('response.status'), '200', 'and answers 200');
select is(tests.submit('north.admin', '{"idempotency_key": "k1"}'), :first::bigint, 'whoever of the tenant asks');
select is(tests.written(), :'before', 'nothing is written twice');
select isnt(tests.submit('south.operator', '{"idempotency_key": "k1"}'), :first::bigint, 'another tenant''s key is another key');
select isnt(tests.submit('north.operator', '{"idempotency_key": "k2"}'), :first::bigint, 'another key is another run');

-- ---------------------------------------------------------------------------------------------- batches

select tests.written() as before \gset
select tests.refused('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(tests.submission(), tests.submission('{"timeout_seconds": -1}'), tests.submission())),
    'TIMEOUT_OUT_OF_RANGE', 'one bad submission refuses the whole batch', '$[1].timeout_seconds');
select is(tests.written(), :'before', 'and nothing of it is written');
select is(jsonb_array_length(tests.as('north.operator', format('public.submit_runs(%L::jsonb)', (select jsonb_agg(tests.submission()) from generate_series(1, 1000))))), 1000, 'a batch has up to 1000');
select tests.refused('north.operator', format('public.submit_runs(%L::jsonb)', (select jsonb_agg(tests.submission()) from generate_series(1, 1001))), 'BODY_INVALID', 'and no more');
select tests.refused('north.operator', format('public.submit_runs(%L::jsonb)', p), 'BODY_INVALID', 'no batch: ' || p) from unnest(array['[]', '{}', 'null', '[1]', '[null]']) p;
select tests.refused('north.viewer', format('public.submit_runs(%L::jsonb)', jsonb_build_array(tests.submission())), 'ROLE_INSUFFICIENT', 'a viewer submits no batch');
select is((select count(distinct x ->> 'run_id') from jsonb_array_elements(tests.as('north.operator', format('public.submit_runs(%L::jsonb)',
    jsonb_build_array(tests.submission('{"idempotency_key": "twice"}'), tests.submission('{"idempotency_key": "twice"}'))))) x), 1::bigint, 'the same key twice in a batch is one run');
-- what goes in together and what goes in by itself, side by side: in the order of the request, and no different from one by one
select tests.as('north.operator', $$ public.create_job(jsonb_build_object('name', 'in a batch', 'tasks', jsonb_build_array(tests.submission()))) $$) ->> 'job_id' as in_batch \gset
select tests.submit('north.operator', '{"idempotency_key": "known"}') as known \gset
select max(id) as before from queue.runs \gset
select tests.as('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(
    tests.submission('{"name": "n1", "priority": 7, "params": {"a": 1}, "run_timeout_seconds": 9, "callbacks": {"on_complete": "https://batch.example/x"}, "max_retries": 1, "retry_on_timeout": true, "min_retry_interval_ms": 5}'),
    jsonb_build_object('job_id', :in_batch), tests.submission('{"idempotency_key": "known"}'), tests.submission('{"name": "n4", "params": {"id": "{{run.id}}"}}'), tests.submission('{"name": "n5"}')))) as said \gset
select is((select string_agg(coalesce(r.name, '?'), ' ' order by x.ord) from jsonb_array_elements(:'said'::jsonb) with ordinality x (v, ord) join queue.runs r on r.id = (x.v ->> 'run_id')::bigint), 'n1 in a batch spark_etl n4 n5', 'answers are in the order of the request');
select is(:'said'::jsonb #>> '{2,run_id}', :'known', 'a known key is the run that is there');
select is((select bool_and(v ->> 'state' = 'QUEUED' and v ->> 'url' = '/functions/v1/api/v1/runs/' || (v ->> 'run_id')) from jsonb_array_elements(:'said'::jsonb) v), true, 'each with its state and address');
select tests.as('north.operator', format('public.run_job(%L::jsonb)', tests.submission('{"name": "n1", "priority": 7, "params": {"a": 1}, "run_timeout_seconds": 9, "max_retries": 1, "retry_on_timeout": true, "min_retry_interval_ms": 5}'))) ->> 'run_id' as alone \gset
create function tests.rows_of(p_run bigint)
returns jsonb language sql as $$
    select jsonb_build_array(
        (select to_jsonb(r) - array['id', 'created_at'] from queue.runs r where r.id = p_run),
        (select jsonb_agg(to_jsonb(k) - array['id', 'run_id'] || to_jsonb(y) - array['task_run_id']) from queue.task_runs k join queue.payloads y on y.task_run_id = k.id where k.run_id = p_run),
        (select jsonb_agg(to_jsonb(a) - array['id', 'run_id', 'task_run_id', 'queued_at', 'ready_at']) from queue.live_attempts a where a.run_id = p_run))
$$;
select is(tests.rows_of((:'said'::jsonb #>> '{0,run_id}')::bigint), tests.rows_of(:alone), 'a run of a batch is what it would be by itself');
select is((select count(*) from callback.subscriptions s where s.run_id = (:'said'::jsonb #>> '{0,run_id}')::bigint), 1::bigint, 'with its callbacks');
select is((select count(*) from audit.entries e join queue.runs r on r.id::text = e.object_id where e.action = 'run.submit' and r.id > :before), 5::bigint, 'each that is new is on record');
select tests.as('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(tests.submission('{"params": {"n": 1}}'), tests.submission('{"params": {"n": 2}, "idempotency_key": "alike"}'), tests.submission(), tests.submission('{"params": {"n": "{{run.id}}"}}')))) as alike \gset
select is((select string_agg(coalesce(r.idempotency_key, '-') || ' ' || y.params::text, ', ' order by x.ord) from jsonb_array_elements(:'alike'::jsonb) with ordinality x (v, ord)
           join queue.runs r on r.id = (x.v ->> 'run_id')::bigint join queue.task_runs t on t.run_id = r.id join queue.payloads y on y.task_run_id = t.id),
    format('- {"n": 1}, alike {"n": 2}, - {}, - {"n": %s}', :'alike'::jsonb #>> '{3,run_id}'), 'submissions alike have each their own parameters and key');
select tests.refused('north.operator', format('public.submit_runs(%L::jsonb)', jsonb_build_array(tests.submission(), tests.submission() || f.body::jsonb)), f.code, 'after its like refused: ' || f.body, f.path)
from (values ('{"params": 7}', 'FIELD_INVALID', '$[1].params'), ('{"idempotency_key": ""}', 'IDEMPOTENCY_KEY_INVALID', '$[1].idempotency_key'), ('{"params": {"a": "{{tasks.x.values.y}}"}}', 'REFERENCE_INVALID', '$[1].params.a')) f (body, code, path);

-- ------------------------------------------------------------------------------------------------ jobs

create function tests.job(p_tasks jsonb, p jsonb default '{}')
returns text language sql immutable as $$
    select format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'nightly', 'tasks',
        (select coalesce(jsonb_agg(tests.submission() || t), '[]') from jsonb_array_elements(p_tasks) t)) || p)
$$;
select tests.refused('north.operator', tests.job(p.tasks::jsonb), p.code, 'no job: ' || p.tasks, p.path)
from (values
    ('[]', 'FIELD_INVALID', '$.tasks'),
    ('[{"task_key": "a", "depends_on": ["a"]}]', 'JOB_GRAPH_INVALID', '$.tasks[0]'),
    ('[{"task_key": "a", "depends_on": ["b"]}, {"task_key": "b", "depends_on": ["a"]}]', 'JOB_GRAPH_INVALID', '$.tasks[0]'),
    ('[{"task_key": "x"}, {"task_key": "a", "depends_on": ["c", "x"]}, {"task_key": "b", "depends_on": ["a"]}, {"task_key": "c", "depends_on": ["b"]}]', 'JOB_GRAPH_INVALID', '$.tasks[1]'),
    ('[{"task_key": "a", "depends_on": ["nowhere"]}]', 'JOB_GRAPH_INVALID', '$.tasks[0].depends_on[0]'),
    ('[{"task_key": "a", "depends_on": [null]}]', 'JOB_GRAPH_INVALID', '$.tasks[0].depends_on[0]'),
    ('[{"task_key": "a", "depends_on": [{"key": "b"}]}]', 'FIELD_UNKNOWN', '$.tasks[0].depends_on[0].key'),
    ('[{"task_key": "a", "depends_on": [{}]}]', 'JOB_GRAPH_INVALID', '$.tasks[0].depends_on[0]'),
    ('[{"task_key": "a", "depends_on": "b"}]', 'FIELD_INVALID', '$.tasks[0].depends_on'),
    ('[{"task_key": "a"}, {"task_key": "a"}]', 'JOB_GRAPH_INVALID', '$.tasks[1].task_key'),
    ('[{"task_key": "a b"}]', 'FIELD_INVALID', '$.tasks[0].task_key'),
    ('[{"task_key": "a", "run_if": "FULL_MOON"}]', 'FIELD_INVALID', '$.tasks[0].run_if'),
    ('[{"task_key": "a"}, {"task_key": "b", "job_type": "teleport"}]', 'JOB_TYPE_UNKNOWN', '$.tasks[1].job_type'),
    ('[{"task_key": "a", "callbacks": {}}]', 'FIELD_UNKNOWN', '$.tasks[0].callbacks'),
    ('[{"task_key": "a", "inputs": [{"name": "i", "uri": "x"}]}]', 'INPUT_URI_REFUSED', '$.tasks[0].inputs[0].uri')
) p (tasks, code, path);
select tests.refused('north.operator', tests.job('[{"task_key": "a"}]', p.body::jsonb), p.code, 'no job: ' || p.body, p.path)
from (values ('{"name": "a/b"}', 'FIELD_INVALID', '$.name'), ('{"name": null}', 'FIELD_INVALID', '$.name'), ('{"owner": "x"}', 'FIELD_UNKNOWN', '$.owner'), ('{"tasks": {}}', 'FIELD_INVALID', '$.tasks'),
             ('{"priority": 1000}', 'FIELD_INVALID', '$.priority'), ('{"tags": []}', 'FIELD_INVALID', '$.tags'), ('{"callbacks": {"on_fail": "http://127.0.0.1/"}}', 'CALLBACK_ADDRESS_DENIED', '$.callbacks.on_fail')
) p (body, code, path);
select tests.refused('north.operator', tests.job((select jsonb_agg(jsonb_build_object('task_key', 't' || n)) from generate_series(1, 1001) n)), 'FIELD_INVALID', 'a job has up to 1000 tasks', '$.tasks');
select tests.refused('north.viewer', tests.job('[{"task_key": "a"}]'), 'ROLE_INSUFFICIENT', 'a viewer makes no job');

select tests.as('north.operator', tests.job('[{"task_key": "a"}, {"task_key": "b", "depends_on": [{"task_key": "a"}], "run_if": "ALL_DONE"}]', '{"callbacks": {"on_fail": "https://hooks.example/x"}}')) as job \gset
select is(:'job'::jsonb -> 'version', '1', 'a job starts with version 1');
select tests.refused('north.operator', tests.job('[{"task_key": "a"}]'), 'JOB_NAME_TAKEN', 'a name is one job''s', 'nightly');
select lives_ok(format('select tests.as(''south.operator'', %L)', tests.job('[{"task_key": "a"}]')), 'another tenant may have one of that name');
create function tests.job_id(p_job text) returns jsonb language sql immutable as $$ select jsonb_build_object('job_id', p_job::jsonb -> 'job_id') $$;

select (tests.as('north.operator', tests.run_job(tests.job_id(:'job') || '{"params": {"day": 1}}')) ->> 'run_id') as run_of_job \gset
select is((select (job_version, name, task_count)::text from queue.runs where id = :run_of_job), '(1,nightly,2)', 'a run of a job knows its version');
select is(tests.states(:run_of_job), 'a QUEUED, b BLOCKED', 'its tasks wait for each other');
select is((select jsonb_agg(p.params) from queue.payloads p join queue.task_runs t on t.id = p.task_run_id where t.run_id = :run_of_job), '[{"day": 1}, {"day": 1}]', 'parameters of the run reach every task');
select set_eq(format('select type from callback.subscriptions where run_id = %s', :run_of_job), array['run.failed'], 'callbacks of the job are the run''s');
select tests.refused('north.operator', tests.run_job(tests.job_id(:'job') || '{"spec": "x y z"}'), 'FIELD_UNKNOWN', 'a run of a job brings no code or spec of its own', '$.spec');
select tests.refused('north.operator', tests.run_job('{"job_id": 999999999}'), 'JOB_NOT_FOUND', 'a job that is not there is not run');
select tests.refused('south.operator', tests.run_job(tests.job_id(:'job')), 'JOB_NOT_FOUND', 'nor another tenant''s');

select is(tests.as('north.operator', format('public.update_job(%L::jsonb)', tests.job_id(:'job') || '{"name": "nightly 2"}')) -> 'version', '2', 'a change is the next version');
select is((select count(*) from job.versions where job_id = (:'job'::jsonb ->> 'job_id')::bigint), 2::bigint, 'the old one stays');
select is((select job_version from queue.runs where id = :run_of_job), 1, 'a run keeps the version it ran');
select throws_like('update job.versions set definition = ''{}''', 'versions_are_immutable%', 'a version never changes');
select throws_like('delete from job.versions', 'versions_are_immutable%', 'a version is never deleted');
select throws_like('truncate job.versions cascade', 'versions_are_never_truncated%', 'versions are not truncated');
select tests.refused('north.operator', format('public.update_job(%L::jsonb)', tests.job_id(:'job') || '{"name": "a/b"}'), 'FIELD_INVALID', 'a change is checked as a whole', '$.name');
select tests.refused('south.operator', format('public.update_job(%L::jsonb)', tests.job_id(:'job') || '{"name": "mine"}'), 'JOB_NOT_FOUND', 'another tenant changes nothing');
select tests.refused('north.viewer', format('public.update_job(%L::jsonb)', tests.job_id(:'job')), 'ROLE_INSUFFICIENT', 'a viewer changes nothing');

select is(tests.as('north.viewer', format('public.get_job(%L::jsonb)', tests.job_id(:'job'))) #> '{tasks,0}', '{"task_key": "a", "kind": "work", "job_type": "spark_etl", "depends_on": []}', 'a viewer sees the shape of a job');
select is(tests.as('north.operator', format('public.get_job(%L::jsonb)', tests.job_id(:'job'))) #>> '{tasks,0,code,files,job.py}', 'print(1)', 'an operator sees its code');
select is(tests.count('north.viewer', 'select * from job.versions'), 0::bigint, 'a viewer reads no definition');
select is(tests.count('north.operator', 'select * from job.versions'), 3::bigint, 'an operator does');
select is(tests.count('south.operator', 'select * from job.versions'), 1::bigint, 'of the own tenant');

select tests.refused('north.viewer', format('public.delete_job(%L::jsonb)', tests.job_id(:'job')), 'ROLE_INSUFFICIENT', 'a viewer deletes nothing');
select tests.refused('south.admin', format('public.delete_job(%L::jsonb)', tests.job_id(:'job')), 'JOB_NOT_FOUND', 'another tenant deletes nothing');
select is(tests.as('north.operator', format('public.delete_job(%L::jsonb)', tests.job_id(:'job'))) -> 'deleted', 'true', 'an operator deletes a job');
select tests.refused('north.operator', format('public.get_job(%L::jsonb)', tests.job_id(:'job')), 'JOB_NOT_FOUND', 'it is not found any more');
select tests.refused('north.operator', tests.run_job(tests.job_id(:'job')), 'JOB_NOT_FOUND', 'nor run');
select is((select name from queue.runs where id = :run_of_job), 'nightly', 'its runs stay');
select lives_ok(format('select tests.as(''north.operator'', %L)', tests.job('[{"task_key": "a"}]', '{"name": "nightly 2"}')), 'its name is free again');

select tests.as('north.operator', tests.job('[{"task_key": "a", "params": {"day": null, "deep": [{"x": null}]}}, {"task_key": "b", "job_type": "kb_catalog", "code": null}]', '{"name": "with nulls"}')) as with_nulls \gset
select tests.as('north.operator', format('public.update_job(%L::jsonb)', tests.job_id(:'with_nulls') || '{"priority": 5}'));
select is(tests.as('north.operator', format('public.get_job(%L::jsonb)', tests.job_id(:'with_nulls'))) #> '{tasks,0,params}', '{"day": null, "deep": [{"x": null}]}', 'what a change does not name stays as it was, nulls included');

select tests.as('north.operator', tests.job('[{"task_key": "a", "params": {"a": "task", "b": "task", "c": "task"}}]', '{"name": "with parameters", "parameters": {"b": "job", "c": "job"}}')) as with_parameters \gset
select (tests.as('north.operator', tests.run_job(tests.job_id(:'with_parameters') || '{"params": {"c": "run"}}')) ->> 'run_id') as run \gset
select is((select p.params from queue.payloads p join queue.task_runs t on t.id = p.task_run_id where t.run_id = :run), '{"a": "task", "b": "job", "c": "run"}', 'parameters of the job cover the task''s, those of the run cover both');

-- grants may be taken back after a job was defined
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "DB"}') $$);
select tests.as('north.operator', tests.job('[{"task_key": "a", "secrets": ["DB"]}]', '{"name": "secretive"}')) as secretive \gset
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "secret", "name": "DB"}') $$);
select tests.refused('north.operator', tests.run_job(tests.job_id(:'secretive')), 'SECRET_NOT_GRANTED', 'a job does not outlive its grants', '$.tasks[0].secrets: DB');

select * from finish();
rollback;
