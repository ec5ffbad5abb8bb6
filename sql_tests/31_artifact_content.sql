-- artifact: contents are kept once, the quota counts what is kept and announced, and neither forgets.
begin;
\ir fixtures.psql
select no_plan();

create function tests.make(p jsonb default '{}', p_who text default 'north.operator')
returns jsonb language sql as $$
    select tests.as(p_who, format('public.create_artifact(%L::jsonb)', '{"name": "a", "kind": "data", "size": 10}'::jsonb || p))
$$;
create function tests.end(p jsonb, p_verdict text default 'READY', p_letter text default 'a', p_size integer default 10)
returns boolean language sql as $$
    select artifact.judge(split_part(p ->> 'path', '/', 1)::uuid, (p ->> 'artifact_id')::uuid, (p ->> 'version')::integer, p_verdict, p_size, repeat(p_letter, 64), null)
$$;
create function tests.place(p jsonb)
returns text language sql as $$ select v.path from artifact.versions v where v.artifact_id = (p ->> 'artifact_id')::uuid and v.version = (p ->> 'version')::integer $$;
create function tests.doomed()
returns text language sql as $$ select string_agg(r.reason, ' ' order by r.id) from artifact.removals r $$;
-- what is counted against what is there: the law of the quota
create function tests.counted(p_law text)
returns text language sql as $$
    select is(artifact.used(t.id), coalesce((select sum(c.size) from artifact.contents c where c.tenant_id = t.id and c.gone_at is null), 0)::bigint
                                   + coalesce((select sum(v.size) from artifact.versions v where v.tenant_id = t.id and v.state = 'PENDING'), 0)::bigint, p_law)
    from tenancy.tenants t where t.slug = 'north'
$$;

-- ------------------------------------------------------------------------------ one content, many names

select tests.make() as one \gset
select tests.end(:'one');
select is((select (sha256, size, path, gone_at)::text from artifact.contents), format('(%s,10,%s,)', repeat('a', 64), :'one'::jsonb ->> 'path'), 'the first of a digest brings the bytes');
insert into storage.objects (bucket_id, name) values ('artifacts', :'one'::jsonb ->> 'path');
select tests.make('{"name": "b"}') as two \gset
select isnt(tests.place(:'two'), tests.place(:'one'), 'who does not say the digest uploads');
select tests.counted('what is announced counts');
select tests.end(:'two');
select is(tests.place(:'two'), tests.place(:'one'), 'and lies where the same bytes lie already');
select is(tests.doomed(), 'duplicate', 'his copy goes');
select tests.counted('the same bytes count once');
select tests.make(jsonb_build_object('name', 'c', 'sha256', repeat('a', 64))) as three \gset
select is(:'three'::jsonb ->> 'state', 'READY', 'who says a digest that the tenant has need not upload');
select is(tests.place(:'three'), tests.place(:'one'), 'he has the bytes');
select is(tests.make(jsonb_build_object('name', 'c', 'sha256', repeat('a', 64), 'size', 11)) ->> 'state', 'PENDING', 'with another size it is not believed');
select is(tests.make(jsonb_build_object('name', 'c', 'sha256', repeat('a', 64)), 'south.operator') ->> 'state', 'PENDING', 'nor for another tenant: a digest is no key to the bytes');
select tests.counted('nothing of it counts twice');
select tests.make(jsonb_build_object('name', 'd', 'sha256', repeat('f', 64))) as bad \gset
select tests.end(:'bad', 'REFUSED', 'f');
select is(tests.doomed(), 'duplicate refused', 'what is refused goes at once');
select is((select count(*) from artifact.contents where sha256 = repeat('f', 64)), 0::bigint, 'and is no content');
select is(tests.make(jsonb_build_object('name', 'd', 'sha256', repeat('f', 64))) ->> 'state', 'PENDING', 'nor does its digest open anything');
select tests.counted('what is refused counts no more');

-- an attempt's is final with its settle alone
select tests.submit('north.operator') as run \gset
select c as claim from tests.claim() c \gset
select is(tests.as('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'name', 'o', 'kind', 'data', 'size', 10, 'sha256', repeat('a', 64)))) ->> 'version', '1', 'an attempt uploads what is known too');
select is((select state::text from artifact.versions where attempt_id = (:'claim'::jsonb ->> 'attempt_id')::bigint), 'PENDING', 'and waits for its settle');
select tests.counted('what an attempt announces counts');

-- ------------------------------------------------------------------------------------------ the quota

select tests.as('platform', format('public.platform_set_limits(%L::jsonb)', jsonb_build_object('tenant', 'north', 'max_stored_bytes', artifact.used(tests.tenant('north')) + 5)));
select is(tests.make('{"name": "e", "size": 5}') ->> 'state', 'PENDING', 'the quota may be used up');
select tests.refused('north.operator', $$ public.create_artifact('{"name": "f", "kind": "data", "size": 1}') $$, 'ARTIFACT_QUOTA_EXCEEDED', 'one byte more is refused',
    format('%s bytes are stored or announced, 1 more were asked for, the quota is %1$s', artifact.used(tests.tenant('north'))));
select tests.refused('anon', format('public.attempt_artifact(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'name', 'p', 'kind', 'data', 'size', 1)), 'ARTIFACT_QUOTA_EXCEEDED', 'also of an attempt');
select is(tests.make('{"name": "f", "size": 0}') ->> 'state', 'PENDING', 'what is empty fits');
select is(tests.make(jsonb_build_object('name', 'g', 'sha256', repeat('a', 64))) ->> 'state', 'READY', 'what is there fits as well');
select is(tests.make('{"name": "f", "size": 5000}', 'south.operator') ->> 'state', 'PENDING', 'another tenant''s quota is another');
select tests.counted('what was refused left no trace');
select is(tests.as('north.viewer', $$ public.artifact_usage('{}') $$) - 'used_bytes', jsonb_build_object('max_stored_bytes', artifact.used(tests.tenant('north')), 'max_artifact_bytes', 52428800, 'artifact_retention_days', null, 'contents', 1),
    'a member sees how much is left');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_stored_bytes": 10737418240}') $$);
update artifact.versions set created_at = clock_timestamp() - interval '2 days' where state = 'PENDING' and attempt_id is null;
select tests.as('runner', 'worker.sweep_artifacts(1000)');
select is((select count(*) from artifact.versions where state = 'PENDING' and attempt_id is null), 0::bigint, 'bytes that do not come expire');
select tests.counted('and count no more');
update artifact.versions set created_at = clock_timestamp() - interval '2 days' where state = 'PENDING';
select tests.as('runner', 'worker.sweep_artifacts(1000)');
select is((select count(*) from artifact.versions where state = 'PENDING'), 1::bigint, 'an attempt that is at work may take its time');
select tests.settle(:'claim');
select tests.as('runner', 'worker.sweep_artifacts(1000)');
select is((select count(*) from artifact.versions where state = 'PENDING'), 0::bigint, 'one that is over has left it');
select tests.counted('and all adds up');

-- -------------------------------------------------------------------- final means final, whoever asks

create function tests.tries(p_who text, p_statement text)
returns text language plpgsql as $$
begin
    perform set_config('request.jwt.claims', '{}', true);
    perform set_config('role', p_who, true);
    execute p_statement;
    perform set_config('role', 'none', true);
    return 'done';
exception when insufficient_privilege then
    return 'refused';
end
$$;
-- a right that is not there by mistake is not needed: the guard itself must hold
grant all on artifact.versions, artifact.contents to anon, authenticated, viewer, operator, admin, service_role, runner, loader, app_system;
grant usage on schema artifact to anon, runner, loader;
create temporary table acts as select unnest(array['update artifact.versions set sha256 = repeat(''0'', 64) where state = ''READY''', 'update artifact.versions set path = ''x'' where state = ''READY''',
    'update artifact.versions set state = ''PENDING'' where state <> ''PENDING''', 'delete from artifact.versions', 'truncate artifact.versions cascade',
    'update artifact.contents set path = ''x''', 'update artifact.contents set size = 1', 'delete from artifact.contents', 'truncate artifact.contents cascade']) as act;
select is(tests.tries(w, act), 'refused', w || ': ' || act) from acts, unnest(array['service_role', 'app_system', 'postgres', 'supabase_admin']) w;
select is(tests.tries(w, act), case when act ~ '^truncate' then 'refused' else 'done' end, w || ', who sees no row of anybody''s: ' || act)
from acts, unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'runner', 'loader', 'app_owner']) w;
create function tests.tries_as_owner(p_statement text)
returns text language plpgsql as $$
begin
    perform set_config('request.jwt.claims', jsonb_build_object('tenant_id', tests.tenant('north'))::text, true);
    perform set_config('role', 'app_owner', true);
    execute p_statement;
    perform set_config('role', 'none', true);
    return 'done';
exception when insufficient_privilege then
    return 'refused';
end
$$;
select is(tests.tries_as_owner(act), 'refused', 'the owner, inside a tenant: ' || act) from acts;
select is((select count(*) from artifact.versions where state = 'READY' and sha256 = repeat('a', 64)), 4::bigint, 'nothing of it happened');

select * from finish();
rollback;
