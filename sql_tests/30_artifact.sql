-- artifact: names, versions, the check of what was uploaded; a final version never changes.
begin;
\ir fixtures.psql
select no_plan();

create function tests.artifact(p jsonb default '{}', p_who text default 'north.operator')
returns jsonb language sql as $$
    select tests.as(p_who, format('public.create_artifact(%L::jsonb)', '{"name": "reports/a.csv", "kind": "data", "size": 10}'::jsonb || p))
$$;

-- ------------------------------------------------------------------------------------ making versions

select tests.artifact() as made \gset
select is(:'made'::jsonb - 'artifact_id' - 'path', '{"version": 1, "state": "PENDING", "bucket": "artifacts", "size": 10}'::jsonb, 'a new artifact waits for its bytes');
select matches(:'made'::jsonb ->> 'path', '^' || tests.tenant('north') || '/[0-9a-f-]{36}$', 'its bytes lie under the tenant, at a place nobody guesses');
select is(current_setting('response.status'), '201', 'making one answers 201');
select is(tests.artifact() -> 'version', '2', 'the same name again is the next version');
select is(tests.artifact() ->> 'artifact_id', :'made'::jsonb ->> 'artifact_id', 'of the same artifact');
select isnt(tests.artifact('{}', 'south.operator') ->> 'artifact_id', :'made'::jsonb ->> 'artifact_id', 'another tenant''s artifact of that name is another');
select is(tests.artifact(jsonb_build_object('name', repeat('n', 512))) -> 'version', '1', 'a name has up to 512 characters');

select tests.refused('north.operator', format('public.create_artifact(%L::jsonb)', '{"name": "x", "kind": "data", "size": 1}'::jsonb || p.body::jsonb), p.code, 'no artifact: ' || left(p.body, 60), p.path)
from (values
    ('{"name": ""}', 'FIELD_INVALID', '$.name'), ('{"name": null}', 'FIELD_INVALID', '$.name'), ('{"name": "/etc/passwd"}', 'FIELD_INVALID', '$.name'),
    ('{"name": "../x"}', 'FIELD_INVALID', '$.name'), ('{"name": "a/../b"}', 'FIELD_INVALID', '$.name'), ('{"name": "a/.."}', 'FIELD_INVALID', '$.name'),
    ('{"name": "a/./b"}', 'FIELD_INVALID', '$.name'), ('{"name": "a\\b"}', 'FIELD_INVALID', '$.name'), ('{"name": "a\nb"}', 'FIELD_INVALID', '$.name'),
    ('{"name": "' || repeat('n', 513) || '"}', 'FIELD_INVALID', '$.name'),
    ('{"kind": "film"}', 'FIELD_INVALID', '$.kind'), ('{"kind": null}', 'FIELD_INVALID', '$.kind'),
    ('{"size": -1}', 'FIELD_INVALID', '$.size'), ('{"size": "10"}', 'FIELD_INVALID', '$.size'), ('{"size": 1.5}', 'FIELD_INVALID', '$.size'), ('{"size": null}', 'FIELD_INVALID', '$.size'),
    ('{"sha256": "abc"}', 'FIELD_INVALID', '$.sha256'), ('{"sha256": "' || repeat('A', 64) || '"}', 'FIELD_INVALID', '$.sha256'),
    ('{"content": "aGk="}', 'FIELD_UNKNOWN', '$.content'), ('{"state": "READY"}', 'FIELD_UNKNOWN', '$.state'), ('{"tenant_id": "x"}', 'FIELD_UNKNOWN', '$.tenant_id'),
    ('{"size": 62914560}', 'ARTIFACT_TOO_LARGE', '62914560 bytes, the limit is 52428800'), ('{"size": 52428801}', 'ARTIFACT_TOO_LARGE', null),
    ('{"size": 999999999999999}', 'ARTIFACT_TOO_LARGE', null)
) p (body, code, path);
select tests.refused('north.operator', $$ public.create_artifact('[]') $$, 'BODY_INVALID', 'a body that is no object is refused', '$');
select is(tests.artifact('{"name": "largest", "size": 52428800}') ->> 'state', 'PENDING', 'exactly 50 MiB pass');
select is((select count(*) from artifact.artifacts where name = 'x'), 0::bigint, 'nothing is left of what was refused');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_artifact_bytes": 100}') $$);
select tests.refused('north.operator', $$ public.create_artifact('{"name": "x", "kind": "data", "size": 101}') $$, 'ARTIFACT_TOO_LARGE', 'a tenant''s own limit counts', '101 bytes, the limit is 100');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_artifact_bytes": 52428800}') $$);

-- ------------------------------------------------------------------------------------------ the check

create function tests.complete(p jsonb, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.complete_artifact(%L::jsonb)', jsonb_build_object('artifact_id', p -> 'artifact_id', 'version', p -> 'version'))) $$;
create function tests.claim_upload()
returns jsonb language sql as $$
    select x -> 'claim_uploads' from tests.rows('runner', format('select worker.claim_uploads(%L, 1)', tests.runner())) x
$$;
create function tests.judge(p_claim jsonb, p jsonb default '{}')
returns boolean language sql as $$
    select (tests.as('runner', format('worker.judge_uploads(%L)', jsonb_build_array(jsonb_build_object('artifact_id', p_claim -> 'artifact_id', 'version', p_claim -> 'version',
        'tenant_id', p_claim -> 'tenant_id', 'lease', p_claim -> 'lease', 'verdict', 'READY', 'size', 10, 'sha256', repeat('a', 64)) || p))) #>> '{0,judged}')::boolean
$$;

select tests.artifact('{"name": "checked"}') as checked \gset
select is(tests.claim_upload(), null, 'what nobody says is there is not checked');
select tests.refused('north.operator', format('public.artifact_download(%L::jsonb)', :'checked'::jsonb), 'ARTIFACT_NOT_READY', 'what is not checked is not given out');
select is(tests.complete(:'checked') ->> 'state', 'PENDING', 'said to be there, it waits for the check');
select tests.claim_upload() as check1 \gset
select is(:'check1'::jsonb - 'token' - 'path' - 'artifact_id', jsonb_build_object('version', 1, 'tenant_id', tests.tenant('north'), 'bucket', 'artifacts', 'size', 10, 'sha256', null,
    'kind', 'data', 'name', 'checked', 'content_type', 'application/octet-stream', 'lease', 1), 'the runner learns what to check');
select is(tests.claim_upload(), null, 'one runner checks it');
select is(tests.as('anon', format('public.check_bytes(%L::jsonb)', jsonb_build_object('token', :'check1'::jsonb ->> 'token'))) ->> 'path', :'check1'::jsonb ->> 'path', 'the check''s token opens these bytes');
select tests.refused('anon', format('public.check_bytes(%L::jsonb)', p), 'CHECK_TOKEN_INVALID', 'no check token: ' || p)
from unnest(array['{}', '{"token": null}', '{"token": "crck_x"}', '{"token": 1}']) p;
update artifact.versions set check_expires_at = clock_timestamp() - interval '1 second' where artifact_id = (:'check1'::jsonb ->> 'artifact_id')::uuid;
select tests.refused('anon', format('public.check_bytes(%L::jsonb)', jsonb_build_object('token', :'check1'::jsonb ->> 'token')), 'CHECK_TOKEN_INVALID', 'a check that took too long opens nothing');
select tests.claim_upload() as check2 \gset
select is(:'check2'::jsonb -> 'lease', '2', 'a lost check is taken over under a higher lease');
select is(tests.judge(:'check1'), false, 'the lost check''s verdict is stale');
select is(tests.judge(:'check2'), true, 'the verdict counts');
select is(tests.judge(:'check2', '{"verdict": "REFUSED"}'), false, 'and only the first');
select tests.refused('anon', format('public.check_bytes(%L::jsonb)', jsonb_build_object('token', :'check2'::jsonb ->> 'token')), 'CHECK_TOKEN_INVALID', 'a check that has ended opens nothing');
select is(tests.as('north.operator', format('public.artifact_download(%L::jsonb)', :'checked'::jsonb)) - 'path',
    jsonb_build_object('bucket', 'artifacts', 'filename', 'checked', 'version', 1, 'size', 10, 'sha256', repeat('a', 64), 'content_type', 'application/octet-stream'),
    'what is READY is given out');
select is(tests.complete(:'checked') ->> 'state', 'READY', 'saying so again changes nothing');

select tests.artifact('{"name": "leaky"}') as leaky \gset
select tests.complete(:'leaky');
select is(tests.judge(tests.claim_upload(), '{"verdict": "REFUSED", "findings": [{"line": 3, "rule": "aws-key"}]}'), true, 'an upload that holds a secret is refused');
select is(tests.as('north.viewer', format('public.get_artifact(%L::jsonb)', :'leaky'::jsonb)) #> '{versions,0,findings}', '[{"line": 3, "rule": "aws-key"}]', 'with line and rule, never the secret');
select tests.refused('north.operator', format('public.artifact_download(%L::jsonb)', :'leaky'::jsonb), 'ARTIFACT_NOT_READY', 'what was refused is not given out');

select is((artifact.ready_version(tests.tenant('north'), (:'checked'::jsonb ->> 'artifact_id')::uuid)).version, 1, 'the newest READY version is the one that counts');
select tests.artifact('{"name": "checked"}');
select is((artifact.ready_version(tests.tenant('north'), (:'checked'::jsonb ->> 'artifact_id')::uuid)).version, 1, 'not a newer one that waits');
select is((artifact.ready_version(tests.tenant('south'), (:'checked'::jsonb ->> 'artifact_id')::uuid)).version, null, 'and for no other tenant');

-- bytes that never come
update artifact.versions set created_at = clock_timestamp() - interval '2 days' where artifact_id = (:'made'::jsonb ->> 'artifact_id')::uuid and version = 1;
select tests.as('runner', 'worker.sweep_artifacts(100)');
select is((select state::text from artifact.versions where artifact_id = (:'made'::jsonb ->> 'artifact_id')::uuid and version = 1), 'EXPIRED', 'bytes that never come expire after a day');

-- ------------------------------------------------------------------------------ final means final

select throws_like(format($$ update artifact.versions set size = 11 where artifact_id = %L and version = 1 $$, :'checked'::jsonb ->> 'artifact_id'),
    'final_versions_are_immutable%', 'a READY version never changes');
select throws_like(format($$ delete from artifact.versions where artifact_id = %L $$, :'checked'::jsonb ->> 'artifact_id'),
    'versions_are_never_deleted%', 'no version is deleted');
select throws_like('truncate artifact.versions cascade', 'versions_are_never_truncated%', 'versions are not truncated');
set local session_replication_role = replica;
select throws_ok(format($$ update artifact.versions set state = 'PENDING' where artifact_id = %L and version = 1 $$, :'checked'::jsonb ->> 'artifact_id'),
    '42501', null, 'nor by a superuser who turns triggers off');
select throws_ok(format($$ delete from artifact.versions where artifact_id = %L $$, :'checked'::jsonb ->> 'artifact_id'), '42501', null, 'nor deleted by one');
set local session_replication_role = origin;
select throws_ok(format($$ update artifact.versions set state = 'READY' where artifact_id = %L and version = 2 $$, :'checked'::jsonb ->> 'artifact_id'),
    '23514', null, 'READY means that a digest was taken');

-- ---------------------------------------------------------------------------------- who may what

select tests.refused('north.viewer', $$ public.create_artifact('{"name": "x", "kind": "data", "size": 1}') $$, 'ROLE_INSUFFICIENT', 'a viewer makes no artifacts');
select tests.refused('north.viewer', format('public.artifact_download(%L::jsonb)', :'checked'::jsonb), 'ROLE_INSUFFICIENT', 'a viewer reads the metadata, not the bytes');
select tests.refused('north.viewer', format('public.complete_artifact(%L::jsonb)', :'checked'::jsonb), 'ROLE_INSUFFICIENT', 'a viewer completes none');
select tests.refused('north.operator', format('public.delete_artifact(%L::jsonb)', :'checked'::jsonb), 'ROLE_INSUFFICIENT', 'an operator deletes none');
select is(tests.as('north.admin', format('public.delete_artifact(%L::jsonb)', :'checked'::jsonb)) -> 'deleted', 'true', 'an admin does');
select tests.refused('north.admin', format('public.delete_artifact(%L::jsonb)', :'checked'::jsonb), 'ARTIFACT_NOT_FOUND', 'once');
select tests.refused('north.operator', format('public.get_artifact(%L::jsonb)', :'checked'::jsonb), 'ARTIFACT_NOT_FOUND', 'what is deleted is not found');
select tests.refused('north.operator', format('public.artifact_download(%L::jsonb)', :'checked'::jsonb), 'ARTIFACT_NOT_FOUND', 'nor given out');
select is((select count(*) from artifact.versions where artifact_id = (:'checked'::jsonb ->> 'artifact_id')::uuid), 2::bigint, 'its versions stay on record');
select isnt(tests.artifact('{"name": "checked"}') ->> 'artifact_id', :'checked'::jsonb ->> 'artifact_id', 'the name is free again');

-- --------------------------------------------------------------------------------------- the bucket

select is((select (public, file_size_limit)::text from storage.buckets where id = 'artifacts'), '(f,52428800)', 'the bucket is private and takes up to 50 MiB');
select tests.artifact('{"name": "bytes"}') as bytes \gset
select (:'bytes'::jsonb ->> 'path') as path \gset

create function tests.store(p_who text, p_path text, p_bucket text default 'artifacts')
returns text language plpgsql as $$
begin
    perform tests.become(p_who);
    insert into storage.objects (bucket_id, name) values (p_bucket, p_path);
    perform tests.rest();
    return 'stored';
exception when insufficient_privilege then
    return 'refused';
end
$$;
select is(tests.store('north.viewer', :'path'), 'refused', 'a viewer stores no bytes');
select is(tests.store('south.admin', :'path'), 'refused', 'another tenant''s admin stores none here');
select is(tests.store('anon', :'path'), 'refused', 'anon stores none');
select is(tests.store('north.stranger', :'path'), 'refused', 'a stranger stores none');
select is(tests.store('north.operator', tests.tenant('north') || '/made up'), 'refused', 'bytes without a version are refused');
select is(tests.store('north.operator', tests.tenant('north') || '/../' || tests.tenant('south') || '/x'), 'refused', 'a path that climbs is refused');
select is(tests.store('north.operator', (select path from artifact.versions where artifact_id = (:'leaky'::jsonb ->> 'artifact_id')::uuid)), 'refused', 'a version that is final takes no bytes');
select is(tests.store('north.operator', :'path'), 'stored', 'an operator stores the bytes of a version that waits');
select is(tests.count('north.operator', 'select name from storage.objects'), 1::bigint, 'an operator sees the tenant''s bytes');
select is(tests.count('north.viewer', 'select name from storage.objects'), 0::bigint, 'a viewer does not');
select is(tests.count('south.admin', 'select name from storage.objects'), 0::bigint, 'another tenant''s admin does not');
select is(tests.count('north.stranger', 'select name from storage.objects'), 0::bigint, 'a stranger does not');
select is(tests.count('anon', 'select name from storage.objects'), 0::bigint, 'anon does not');
select is(tests.count('north.admin', $$ update storage.objects set name = name || 'x' returning name $$), 0::bigint, 'nobody renames bytes');
select throws_like($q$ select tests.count('north.admin', 'delete from storage.objects returning name') $q$, 'Direct deletion from storage tables is not allowed%', 'nobody deletes bytes by SQL');
select tests.as('platform', $$ public.platform_remove_member('{"tenant": "north", "user_id": "north.operator"}') $$);
select is(tests.count('north.operator', 'select name from storage.objects'), 0::bigint, 'removed: no bytes are seen, though the pre-request does not run here');

select * from finish();
rollback;
