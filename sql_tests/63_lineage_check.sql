-- lineage: facets are looked at after they are stored: claimed in batches, reported once, readable with the event.
begin;
\ir fixtures.psql
select no_plan();

create function tests.event(p_name text)
returns jsonb language sql as $$
    select jsonb_build_object('eventTime', '2026-01-01T00:00:00Z', 'producer', 'p', 'schemaURL', 's', 'run', jsonb_build_object('runId', gen_random_uuid()), 'job', jsonb_build_object('namespace', 'ns', 'name', p_name),
        'inputs', '[{"namespace": "db", "name": "a", "facets": {"schema": {"fields": "x"}}}]'::jsonb, 'outputs', '[]'::jsonb)
$$;
create function tests.claim_events(p_limit integer default 10)
returns setof jsonb language sql as $$ select x -> 'claim_events' from tests.rows('runner', format('select worker.claim_events(%s)', p_limit)) x $$;
create function tests.report_findings(p_batch jsonb, p_findings jsonb)
returns jsonb language sql as $$
    select tests.as('runner', format('worker.report_findings(%L)', jsonb_build_array(p_batch - 'events' || jsonb_build_object('findings', p_findings)))) #> '{0,settled}'
$$;
create function tests.events(p_who text default 'north.operator', p jsonb default '{}')
returns jsonb language sql as $$ select tests.as(p_who, format('public.lineage_events(%L::jsonb)', p)) -> 'items' $$;

select is((select count(*) from tests.claim_events()), 0::bigint, 'nothing was told, nothing is to be looked at');
select tests.as('north.operator', format('public.lineage_ingest(%L::jsonb)', (select jsonb_agg(tests.event('j' || n)) from generate_series(1, 450) n)));
select tests.as('south.operator', format('public.lineage_ingest(%L::jsonb)', tests.event('other')));
select is((select array_agg(jsonb_array_length(c -> 'events') order by (c ->> 'batch_id')::bigint) from tests.claim_events(2) c), '{200,200}', 'events are claimed some hundreds together');
select c as batch from tests.claim_events(1) c \gset
select is(jsonb_array_length(:'batch'::jsonb -> 'events'), 50, 'each batch by one');
select is(tests.report_findings(:'batch', jsonb_build_array(
    jsonb_build_object('event_id', :'batch'::jsonb #> '{events,7,event_id}', 'faults', '[{"path": "$.inputs[0].facets.schema.fields", "message": "is a text, not an array"}]'::jsonb),
    jsonb_build_object('event_id', :'batch'::jsonb #> '{events,8,event_id}', 'faults', '[]'::jsonb),
    jsonb_build_object('event_id', (select min(id) from lineage.events), 'faults', '[{"path": "$", "message": "not of this batch"}]'::jsonb))), 'true', 'what was found is reported');
select is((select jsonb_agg(e -> 'faults') from jsonb_array_elements(tests.events(p => '{"faulty": true, "limit": 1000}')) e), '[[{"path": "$.inputs[0].facets.schema.fields", "message": "is a text, not an array"}]]', 'and read with the event, by path; of other batches'' events nothing is believed');
select is((select e #>> '{event,inputs,0,facets,schema,fields}' from jsonb_array_elements(tests.events(p => '{"faulty": true}')) e), 'x', 'which stays as it came');
select is(tests.report_findings(:'batch', '[]'), 'false', 'who reports twice is told');
select is((select count(*) from tests.claim_events() c where c ->> 'tenant_id' = tests.tenant('north')::text), 0::bigint, 'what is claimed is not claimed again');
update lineage.unchecked set lease_expires_at = clock_timestamp() - interval '1 second';
select is((select count(*) from tests.claim_events() c), 3::bigint, 'unless who has claimed it was lost');
select is(tests.report_findings((select jsonb_build_object('batch_id', id, 'tenant_id', tenant_id, 'lease', 1) from lineage.unchecked order by id limit 1), '[]'), 'false', 'whose report comes too late');
select is(jsonb_array_length(tests.events(p => '{"limit": 10}')), 10, 'events are read in pages');
select is((tests.events(p => '{"limit": 1}') -> 0 ->> 'event_id')::bigint, (select max(id) from lineage.events where tenant_id = tests.tenant('north')), 'newest first');
select is(jsonb_array_length(tests.events('south.operator')), 1, 'each tenant its own');
select is(tests.events('south.operator', '{"faulty": true}'), '[]', 'findings, too');
select is(tests.events(p => '{"before": "2020-01-01T00:00:00Z"}'), '[]', 'of a time');
select tests.refused('north.operator', $$ public.lineage_events('{"limit": 0}') $$, 'FIELD_INVALID', 'a page holds something');

select tests.refused('north.viewer', $$ public.lineage_events('{}') $$, 'ROLE_INSUFFICIENT', 'raw events may carry source code: they are the operators''');

select * from finish();
rollback;
