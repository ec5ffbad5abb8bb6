-- artifact: what nobody needs is let go, what is nobody's is found, and nothing is forgotten before it is gone from the bucket.
begin;
\ir fixtures.psql
select no_plan();

create function tests.make(p jsonb default '{}', p_who text default 'north.operator')
returns jsonb language sql as $$
    select tests.as(p_who, format('public.create_artifact(%L::jsonb)', '{"name": "a", "kind": "data", "size": 10}'::jsonb || p))
$$;
-- Storage's part: an object comes, and goes as the Storage API lets it go
create function tests.arrives(p_path text, p_age interval default '0', p_bucket text default 'artifacts')
returns void language sql as $$ insert into storage.objects (bucket_id, name, created_at, updated_at) values (p_bucket, p_path, now() - p_age, now() - p_age) $$;
create function tests.leaves(p_path text)
returns void language plpgsql as $$
begin
    perform set_config('storage.allow_delete_query', 'true', true);
    delete from storage.objects where name = p_path;
    perform set_config('storage.allow_delete_query', 'false', true);
end
$$;
create function tests.ready(p jsonb default '{}', p_age interval default '0')
returns jsonb language plpgsql as $$
declare
    v jsonb := tests.make(p);
begin
    perform tests.arrives(v ->> 'path', p_age);
    perform artifact.judge(tests.tenant('north'), (v ->> 'artifact_id')::uuid, (v ->> 'version')::integer, 'READY', 10, encode(sha256(convert_to(v ->> 'path', 'UTF8')), 'hex'), null);
    -- finished long ago: only a superuser who takes the guard away can say so
    alter table artifact.versions disable trigger final_versions_are_immutable;
    update artifact.versions set finished_at = finished_at - p_age where path = v ->> 'path';
    alter table artifact.versions enable always trigger final_versions_are_immutable;
    return v;
end
$$;
create function tests.sweep(p_limit integer default 1000)
returns jsonb language plpgsql as $$
begin
    update artifact.upkeep set objects_next = clock_timestamp(), contents_next = clock_timestamp();
    return tests.as('runner', format('worker.sweep_artifacts(%s)', p_limit));
end
$$;
create function tests.state(p jsonb)
returns text language sql as $$
    select coalesce(c.gone_reason, case when c.missing_since is not null then 'missing' else 'kept' end) from artifact.versions v join artifact.contents c on c.tenant_id = v.tenant_id and c.sha256 = v.content
    where v.artifact_id = (p ->> 'artifact_id')::uuid and v.version = (p ->> 'version')::integer
$$;
create function tests.confirm(p jsonb)
returns jsonb language sql as $$ select tests.as('runner', format('worker.confirm_removals(%L)', p #>> '{removals,claim}')) $$;
create function tests.to_remove(p jsonb)
returns text[] language sql as $$
    select array_agg(i ->> 'path' order by i ->> 'path') from jsonb_array_elements(tests.as('anon', format('public.sweep_bytes(%L::jsonb)', jsonb_build_object('token', p #>> '{removals,token}'))) -> 'items') i
$$;

-- ---------------------------------------------------------------------- an object is gone before it is forgotten

select tests.make() as refused \gset
select tests.arrives(:'refused'::jsonb ->> 'path');
select artifact.judge(tests.tenant('north'), (:'refused'::jsonb ->> 'artifact_id')::uuid, 1, 'REFUSED', 10, repeat('a', 64), '[{"line": 1, "rule": "jwt"}]');
select tests.sweep() as first \gset
select is((:'first'::jsonb #> '{removals,count}', tests.to_remove(:'first'))::text, format('(1,{%s})', :'refused'::jsonb ->> 'path'), 'refused bytes are to be removed at once, by whoever holds the token');
select is(tests.sweep() -> 'removals', 'null', 'by one runner');
select tests.refused('anon', format('public.sweep_bytes(%L::jsonb)', p), 'SWEEP_TOKEN_INVALID', 'no token: ' || p) from unnest(array['{}', '{"token": null}', '{"token": "crsw_x"}', '{"token": 1}']) p;
select is(tests.confirm(:'first'), '{"kept": 1, "removed": 0}', 'what is still there is not forgotten');
select is((select count(*) from artifact.removals), 1::bigint, 'it stays to be done');
select is(tests.sweep() -> 'removals', 'null', 'a little later');
update artifact.removals set due_at = clock_timestamp();
select tests.sweep() as second \gset
-- a runner that dies after the claim, or after the object went: the next one finds both
update artifact.removals set claim_expires_at = clock_timestamp() - interval '1 second';
select tests.refused('anon', format('public.sweep_bytes(%L::jsonb)', jsonb_build_object('token', :'second'::jsonb #>> '{removals,token}')), 'SWEEP_TOKEN_INVALID', 'a claim that took too long opens nothing');
select tests.leaves(:'refused'::jsonb ->> 'path');
select tests.sweep() as third \gset
select is(tests.to_remove(:'third'), array[:'refused'::jsonb ->> 'path'], 'a lost claim is taken over');
select is(tests.confirm(:'second'), '{"kept": 0, "removed": 0}', 'the lost one confirms nothing');
select is(tests.confirm(:'third'), '{"kept": 0, "removed": 1}', 'what is gone is confirmed');
select is((select count(*) from artifact.removals), 0::bigint, 'and forgotten');
select is((select details from audit.entries where action = 'artifact.sweep'), '{"refused": 1}', 'and on record');
select is(tests.confirm(:'third'), '{"kept": 0, "removed": 0}', 'once');

-- --------------------------------------------------------------------------- objects that are nobody's

select tests.ready('{"name": "kept"}', '2 days') as kept \gset
select tests.make('{"name": "waits"}') as waits \gset
select tests.arrives(:'waits'::jsonb ->> 'path', '2 days');
select tests.arrives(tests.tenant('north') || '/stray', '2 days');
select tests.arrives(tests.tenant('north') || '/just come', '1 hour');
select tests.arrives('nowhere/stray', '2 days');
select tests.arrives(tests.tenant('north') || '/987654321/abcdefgh.kit.0', '2 days', 'parcels');
select tests.submit('north.operator') as run \gset
select c as claim from tests.claim() c \gset
select tests.arrives(tests.tenant('north') || '/' || (:'claim'::jsonb ->> 'attempt_id') || '/abcdefgh.kit.0', '2 days', 'parcels');
select tests.sweep() as swept \gset
select is(tests.to_remove(:'swept'), array[tests.tenant('north') || '/987654321/abcdefgh.kit.0', tests.tenant('north') || '/stray'], 'old objects of no row are found: not those that wait, are kept, have just come, or are at work');
select tests.leaves(tests.tenant('north') || '/stray');
select tests.leaves(tests.tenant('north') || '/987654321/abcdefgh.kit.0');
select is(tests.confirm(:'swept') -> 'removed', '2', 'and go');
-- whatever is asked for: what a living row names is not removed
insert into artifact.removals (tenant_id, bucket, path, reason) values (tests.tenant('north'), 'artifacts', :'kept'::jsonb ->> 'path', 'orphan'), (tests.tenant('north'), 'artifacts', :'waits'::jsonb ->> 'path', 'orphan');
select is(tests.sweep() -> 'removals', 'null', 'a last look spares what is in use');
select is((select count(*) from artifact.removals), 0::bigint, 'and takes the order back');
-- a walk in small steps sees all of it
select tests.arrives(tests.tenant('north') || '/stray' || n, '2 days') from generate_series(1, 5) n;
update artifact.upkeep set objects_next = clock_timestamp(), contents_next = clock_timestamp();
select is((select count(*) from generate_series(1, 12) n where (tests.as('runner', 'worker.sweep_artifacts(2)') -> 'more')::boolean), 4::bigint, 'in steps of two: as long as there is more');
select is((select count(*) from artifact.removals where path like '%stray%' and path not like 'nowhere%'), 5::bigint, 'every one is found');
select cmp_ok((select objects_next from artifact.upkeep), '>', clock_timestamp() + interval '50 minutes', 'then the walk rests for an hour');
delete from artifact.removals;

-- ---------------------------------------------------------------------------- rows without their object

select tests.ready('{"name": "lost"}') as lost \gset
select tests.leaves(:'lost'::jsonb ->> 'path');
select tests.sweep();
select is(tests.state(:'lost'), 'missing', 'what is not there is noted');
select is(tests.as('north.operator', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'lost'::jsonb -> 'artifact_id'))) -> 'version', '1', 'and not yet given up');
select tests.arrives(:'lost'::jsonb ->> 'path');
select tests.sweep();
select is(tests.state(:'lost'), 'kept', 'what is there again is forgiven');
select tests.leaves(:'lost'::jsonb ->> 'path');
select tests.sweep();
select artifact.used(tests.tenant('north')) as before \gset
update artifact.contents set missing_since = missing_since - interval '2 days' where missing_since is not null;
select tests.sweep();
select is(tests.state(:'lost'), 'lost', 'what stays away is lost');
select is(artifact.used(tests.tenant('north')), :before - 10::bigint, 'and counts no more');
select is((select count(*) from audit.entries where action = 'artifact.lost'), 1::bigint, 'which is on record');
select tests.refused('north.operator', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'lost'::jsonb -> 'artifact_id')), 'ARTIFACT_BYTES_GONE', 'who asks for it is told');
select is((select state::text from artifact.versions where artifact_id = (:'lost'::jsonb ->> 'artifact_id')::uuid), 'READY', 'the version stays what it was');
select is(tests.as('north.viewer', format('public.get_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'lost'::jsonb -> 'artifact_id'))) #>> '{versions,0,gone,reason}', 'lost', 'and says what became of its bytes');
-- the same bytes come again, under another name
select tests.make('{"name": "found"}') as found \gset
select tests.arrives(:'found'::jsonb ->> 'path');
select artifact.judge(tests.tenant('north'), (:'found'::jsonb ->> 'artifact_id')::uuid, 1, 'READY', 10, (select sha256 from artifact.versions where artifact_id = (:'lost'::jsonb ->> 'artifact_id')::uuid), null);
select is(tests.state(:'lost'), 'kept', 'when the same bytes come again, every name has them again');
select is(tests.as('north.operator', format('public.artifact_download(%L::jsonb)', jsonb_build_object('artifact_id', :'lost'::jsonb -> 'artifact_id'))) ->> 'path', :'found'::jsonb ->> 'path', 'where they lie now');
delete from artifact.removals;

-- ------------------------------------------------------------------------------------------- retention

select tests.ready('{"name": "old"}', '40 days') as old1 \gset
select tests.ready('{"name": "old"}', '40 days') as old2 \gset
select tests.ready('{"name": "old"}', '40 days') as old3 \gset
select tests.ready('{"name": "runs/1/out"}', '40 days') as runs \gset
select tests.ready('{"name": "input"}', '40 days') as input1 \gset
select tests.ready('{"name": "input"}', '40 days') as input2 \gset
select tests.ready('{"name": "young"}', '20 days') as young1 \gset
select tests.ready('{"name": "young"}') as young2 \gset
select tests.sweep();
select is((select count(*) from artifact.contents where gone_at is not null), 0::bigint, 'without a retention everything is kept');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "artifact_retention_days": 30}') $$);
select tests.as('north.operator', format('public.update_artifact(%L::jsonb)', jsonb_build_object('artifact_id', :'old1'::jsonb -> 'artifact_id', 'aliases', '{"champion": 1}'::jsonb)));
select tests.submit('north.operator', jsonb_build_object('inputs', jsonb_build_array(jsonb_build_object('name', 'i', 'artifact_id', :'input1'::jsonb -> 'artifact_id', 'version', 1)))) as user \gset
select tests.sweep() as swept \gset
select is(array[tests.state(:'old1'), tests.state(:'old2'), tests.state(:'old3'), tests.state(:'runs'), tests.state(:'input1'), tests.state(:'young1')], array['kept', 'retention', 'kept', 'retention', 'kept', 'kept'],
    'past it go versions without an alias that are not the newest of their name, and those of runs; not what an unfinished run uses');
select is(tests.to_remove(:'swept'), array(select p from unnest(array[:'old2'::jsonb ->> 'path', :'runs'::jsonb ->> 'path']) p order by 1), 'their bytes are to be removed');
select is((select count(*) from audit.entries where action = 'artifact.let_go'), 2::bigint, 'which is on record');
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :user)));
select tests.sweep();
select is(tests.state(:'input1'), 'retention', 'when the run has ended its input goes too');
select is(tests.make(jsonb_build_object('name', 'again', 'sha256', (select sha256 from artifact.versions where path = :'old2'::jsonb ->> 'path'))) ->> 'state', 'PENDING', 'a digest whose bytes are gone brings them anew');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "artifact_retention_days": null}') $$);

select is(artifact.let_go(tests.tenant('north'), (select sha256 from artifact.versions where path = :'young2'::jsonb ->> 'path'), 'retention'), false,
    'whoever comes between the look and the deed is seen: what is wanted now stays');

-- -------------------------------------------------------------------------------------------- deletion

select tests.make(jsonb_build_object('name', 'shared', 'sha256', (select sha256 from artifact.versions where path = :'young2'::jsonb ->> 'path'))) as shared \gset
select tests.as('north.admin', format('public.delete_artifact(%L::jsonb)', jsonb_build_object('artifact_id', a -> 'artifact_id'))) from unnest(array[:'young1'::jsonb, :'kept'::jsonb]) a;
select tests.sweep();
select is(array[tests.state(:'young1'), tests.state(:'kept')], array['kept', 'kept'], 'what an admin deletes is kept for a week');
update artifact.artifacts set deleted_at = deleted_at - interval '8 days' where deleted_at is not null;
select tests.sweep();
select is(array[tests.state(:'young1'), tests.state(:'young2'), tests.state(:'kept')], array['deleted', 'kept', 'deleted'], 'then its bytes go, but not those that another name has');
select is((select count(*) from artifact.versions where artifact_id = (:'kept'::jsonb ->> 'artifact_id')::uuid and state = 'READY'), 1::bigint, 'the record stays');
select is(artifact.used(t.id), coalesce((select sum(c.size) from artifact.contents c where c.tenant_id = t.id and c.gone_at is null), 0)::bigint
                               + coalesce((select sum(v.size) from artifact.versions v where v.tenant_id = t.id and v.state = 'PENDING'), 0)::bigint, 'and all adds up')
from tenancy.tenants t where t.slug = 'north';

select * from finish();
rollback;
