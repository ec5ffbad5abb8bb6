-- artifact: aliases move at once and are on record; tags, descriptions and who may read; what a version was made from.
begin;
\ir fixtures.psql
select no_plan();

create function tests.make(p jsonb default '{}', p_who text default 'north.operator')
returns jsonb language sql as $$
    select tests.as(p_who, format('public.create_artifact(%L::jsonb)', '{"name": "model", "kind": "data", "size": 10}'::jsonb || p))
$$;
-- a version that has been judged, of content nobody else has
create function tests.ready(p jsonb default '{}', p_who text default 'north.operator')
returns uuid language plpgsql as $$
declare
    v jsonb := tests.make(p, p_who);
begin
    perform artifact.judge(split_part(v ->> 'path', '/', 1)::uuid, (v ->> 'artifact_id')::uuid, (v ->> 'version')::integer, 'READY', 10, encode(sha256(convert_to(random()::text, 'UTF8')), 'hex'), null);
    return v ->> 'artifact_id';
end
$$;
create function tests.change(p_artifact uuid, p jsonb, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', p_artifact) || p)) $$;

select tests.ready() as model \gset
select tests.ready() from generate_series(1, 2);
select tests.make() as pending \gset

-- ----------------------------------------------------------------------------------------- aliases

select is(tests.change(:'model', '{"aliases": {"champion": 1}}') -> 'aliases', '{"champion": 1}', 'an alias points to a version');
select is(tests.change(:'model', '{"aliases": {"champion": 2, "challenger": 1}}') -> 'aliases', '{"champion": 2, "challenger": 1}', 'it is moved, with others at once');
select is((select array_agg(details order by id) from audit.entries where action = 'artifact.alias'),
    array['{"to": 1, "from": null, "alias": "champion"}', '{"to": 1, "from": null, "alias": "challenger"}', '{"to": 2, "from": 1, "alias": "champion"}']::jsonb[], 'each move is on record: from where and to where');
select tests.change(:'model', '{"aliases": {"champion": 2}}');
select is((select count(*) from audit.entries where action = 'artifact.alias'), 3::bigint, 'what does not move leaves no record');
select is((select moved_by from artifact.aliases where alias = 'champion'), 'north.operator', 'who moved it stands beside it');
select tests.refused('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'aliases', '{"challenger": 3, "champion": 4}'::jsonb)), 'ARTIFACT_NOT_READY', 'to a version that is not READY none is moved', '$.aliases.champion');
select is(tests.change(:'model', '{}') -> 'aliases', '{"champion": 2, "challenger": 1}', 'nor are those beside it');
select tests.refused('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'aliases', '{"champion": {"version": 3, "was": 1}}'::jsonb)), 'ALIAS_MOVED', 'who says from where is refused when it is elsewhere', 'champion points to version 2');
select tests.refused('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'aliases', '{"fresh": {"version": 3, "was": 1}}'::jsonb)), 'ALIAS_MOVED', 'or nowhere', 'fresh points to nothing');
select is(tests.change(:'model', '{"aliases": {"champion": {"version": 3, "was": 2}, "fresh": {"version": 3, "was": null}}}') -> 'aliases', '{"champion": 3, "challenger": 1, "fresh": 3}', 'and else not');
select is(tests.change(:'model', '{"aliases": {"fresh": null}}') -> 'aliases', '{"champion": 3, "challenger": 1}', 'null takes one away');
select is(tests.as('north.operator', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'alias', 'challenger'))) -> 'version', '1', 'a download may name an alias');
select tests.refused('north.operator', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'alias', 'fresh')), 'ALIAS_NOT_FOUND', 'that is there', 'fresh');
select tests.refused('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'aliases', p.aliases::jsonb)), 'FIELD_INVALID', 'no aliases: ' || p.aliases, p.path)
from (values ('[]', '$.aliases'), ('{"Champion": 1}', '$.aliases.Champion'), ('{"latest": 1}', '$.aliases.latest'), ('{"a": 0}', '$.aliases.a'), ('{"a": 1.5}', '$.aliases.a'), ('{"a": "1"}', '$.aliases.a'),
             ('{"a": {"version": 1, "was": "x"}}', '$.aliases.a.was'), ('{"1a": 1}', '$.aliases.1a')) p (aliases, path);

-- ----------------------------------------------------------------------------------- tags, description

select is(tests.change(:'model', '{"tags": {"team": "risk", "stage": "test"}, "description": "a model"}') -> 'tags', '{"team": "risk", "stage": "test"}', 'tags are set');
select is(tests.change(:'model', '{"tags": {"stage": null, "team": "fraud"}}') -> 'tags', '{"team": "fraud"}', 'changed, and taken away');
select is(tests.change(:'model', '{}') ->> 'description', 'a model', 'what is not named stays');
select is(jsonb_array_length(tests.as('north.viewer', format('public.list_artifacts(%L::jsonb)', jsonb_build_object('tag', t))) -> 'items'), n, 'found by tag: ' || t)
from (values ('team', 1), ('team=fraud', 1), ('team=risk', 0), ('stage', 0)) x (t, n);
select is(tests.as('north.viewer', format('public.list_artifacts(%L::jsonb)', jsonb_build_object('sha256', (select sha256 from artifact.versions where artifact_id = :'model' and version = 2)))) #> '{items,0,version}', '2', 'a version is found by its digest');
select tests.refused('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'tags', p::jsonb)), 'FIELD_INVALID', 'no tags: ' || left(p, 40))
from unnest(array['[]', '{"": "x"}', '{"a": 1}', '{"a": "' || repeat('x', 1001) || '"}', (select jsonb_object_agg('k' || n, 'v') from generate_series(1, 101) n)::text]) p;

-- -------------------------------------------------------------------------------------- classification

select tests.ready('{"name": "figures", "kind": "report", "classification": "internal"}') as figures \gset
select is(tests.as('north.viewer', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'figures'))) -> 'version', '1', 'what is internal every member reads');
select tests.change(:'figures', '{"classification": "confidential"}');
select tests.refused('north.viewer', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'figures')), 'ROLE_INSUFFICIENT', 'what is confidential operators read');
select is((select details from audit.entries where action = 'artifact.update' order by id desc limit 1), '{"fields": ["classification"], "classification": ["internal", "confidential"]}', 'a change of class is on record');
select tests.refused('north.operator', format('public.create_artifact(%L::jsonb)', jsonb_build_object('name', 'k', 'kind', k, 'size', 1, 'classification', 'internal')), 'FIELD_INVALID', k || ' is confidential', '$.classification')
from unnest(array['code', 'sql', 'notebook', 'log']) k;
select tests.refused('north.operator', $$ public.create_artifact('{"name": "k", "kind": "data", "size": 1, "classification": "restricted"}') $$, 'FIELD_INVALID', 'what is restricted is not stored', '$.classification');

-- ------------------------------------------------------------------------------------------- provenance

select tests.make(jsonb_build_object('name', 'derived', 'inputs', jsonb_build_array(jsonb_build_object('artifact_id', :'model', 'version', 2), jsonb_build_object('artifact_id', :'figures')))) as derived \gset
select is((select jsonb_agg(jsonb_build_array(i -> 'name', i -> 'version') order by i ->> 'name') from artifact.versions v, jsonb_array_elements(v.provenance -> 'inputs') i where v.artifact_id = (:'derived'::jsonb ->> 'artifact_id')::uuid),
    '[["figures", 1], ["model", 2]]', 'a version says what it was made from, by number');
select tests.as('north.operator', format('public.complete_artifact(%L::jsonb)', :'derived'::jsonb - 'bucket' - 'path' - 'size' - 'state'));
select x -> 'claim_uploads' as checked from tests.rows('runner', format('select worker.claim_uploads(%L, 1)', tests.runner())) x \gset
select tests.as('runner', format('worker.judge_uploads(%L)', jsonb_build_array(:'checked'::jsonb || jsonb_build_object('verdict', 'READY', 'size', 10, 'sha256', repeat('9', 64)))));
select set_eq($$ select s.name || ' -> ' || d.name || ' ' || e.method from lineage.edges e join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst where s.namespace like '%/artifacts' $$,
    array['model -> derived artifact', 'figures -> derived artifact'], 'and once it is READY the lineage knows');
select tests.refused('north.operator', format('public.create_artifact(%L::jsonb)', jsonb_build_object('name', 'k', 'kind', 'data', 'size', 1, 'inputs', p.inputs::jsonb)), p.code, 'no inputs: ' || p.inputs, p.path)
from (values ('{}', 'FIELD_INVALID', '$.inputs'), ('[{"artifact_id": "x"}]', 'FIELD_INVALID', '$.inputs[0].artifact_id'), ('[{"artifact_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}]', 'INPUT_NOT_FOUND', '$.inputs[0].artifact_id')) p (inputs, code, path);
select tests.refused('south.operator', format('public.create_artifact(%L::jsonb)', jsonb_build_object('name', 'k', 'kind', 'data', 'size', 1, 'inputs', jsonb_build_array(jsonb_build_object('artifact_id', :'model')))), 'INPUT_NOT_FOUND', 'another tenant''s is none', '$.inputs[0].artifact_id');

select tests.submit('north.operator', jsonb_build_object('code', jsonb_build_object('artifact_id', :'model', 'version', 1), 'inputs', jsonb_build_array(jsonb_build_object('name', 'i', 'artifact_id', :'figures')))) as run \gset
select c as claim from tests.claim() c \gset
select tests.as('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'name', 'o.csv', 'kind', 'data', 'size', 10))) as output \gset
select is((select jsonb_build_object('task', v.provenance -> 'task_key', 'code', v.provenance #> '{code,version}', 'input', v.provenance #> '{inputs,0,name}') from artifact.versions v where v.artifact_id = (:'output'::jsonb ->> 'artifact_id')::uuid),
    '{"task": "execute", "code": 1, "input": "figures"}', 'what a run makes knows its task, its code and its inputs');

-- ------------------------------------------------------------------------------------ pages, deletion

select is(jsonb_path_query_array(tests.as('north.viewer', format('public.get_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'limit', 2))), '$.versions[*].version'), '[4, 3]', 'versions come newest first, in pages');
select is(jsonb_path_query_array(tests.as('north.viewer', format('public.get_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'limit', 2, 'cursor', 3))), '$.versions[*].version'), '[2, 1]', 'the next page follows');
select is(tests.as('north.viewer', format('public.get_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model'))) ->> 'node_id', 'dataset:control-room://north/artifacts:model', 'it knows its name in the lineage');
select tests.as('north.admin', format('public.delete_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model')));
select tests.refused('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'model', 'aliases', '{"a": 1}'::jsonb)), 'ARTIFACT_NOT_FOUND', 'what is deleted is not changed');
select is((select count(*) from lineage.edges e join lineage.datasets s on s.id = e.src where s.name = 'model' and e.deleted_at is null), 1::bigint, 'its lineage stays');
select is((select count(*) from audit.entries where action = 'artifact.delete' and object_id = :'model'), 1::bigint, 'and that it was deleted is on record');

select * from finish();
rollback;
