-- parcels: bytes between a runner and the work of an attempt that lives outside.
begin;
\ir fixtures.psql
select no_plan();

create function tests.parcel(p_claim jsonb, p_name text)
returns text language sql immutable as $$ select format('public.attempt_parcel(%L::jsonb)', jsonb_build_object('token', p_claim ->> 'token', 'name', p_name)) $$;

select tests.submit('north.operator') as run \gset
select c as claim from tests.claim() c \gset
select is(tests.as('anon', tests.parcel(:'claim', 'a1b2c3d4.kit.0')),
    jsonb_build_object('bucket', 'parcels', 'path', tests.tenant('north') || '/' || (:'claim'::jsonb ->> 'attempt_id') || '/a1b2c3d4.kit.0', 'filename', 'a1b2c3d4.kit.0'),
    'a parcel lies below its tenant and attempt');
select is(tests.as('anon', tests.parcel(:'claim', 'a1b2c3d4.out.12')) ->> 'filename', 'a1b2c3d4.out.12', 'what comes back has up to a hundred parts');
select tests.refused('anon', tests.parcel(:'claim', n), 'FIELD_INVALID', 'no parcel: ' || n, '$.name')
from unnest(array['', '../a1b2c3d4.kit.0', 'a1b2c3d4.kit', 'a1b2c3d4.kit.100', 'a1b2c3d4.other.1', 'A1B2C3D4.kit.0', 'a1.kit.0', 'a1b2c3d4.kit.0/x', E'a1b2c3d4.kit.0\n']) n;
select tests.lose(:'claim');
select tests.refused('anon', tests.parcel(:'claim', 'a1b2c3d4.kit.0'), 'ATTEMPT_TOKEN_INVALID', 'the token of a lost lease opens none');
select c as claim2 from tests.claim() c \gset
select is(tests.as('anon', tests.parcel(:'claim2', 'a1b2c3d4.out.0')) ->> 'path', tests.tenant('north') || '/' || (:'claim'::jsonb ->> 'attempt_id') || '/a1b2c3d4.out.0', 'the next lease finds them where they were');
select tests.settle(:'claim2');
select tests.refused('anon', tests.parcel(:'claim2', 'a1b2c3d4.kit.0'), 'ATTEMPT_TOKEN_INVALID', 'and none after the settle');

-- ---------------------------------------------------------------------------------------- the bucket

select is((select (public, file_size_limit)::text from storage.buckets where id = 'parcels'), '(f,52428800)', 'the bucket is private');
insert into storage.objects (bucket_id, name) values ('parcels', tests.tenant('north') || '/1/a1b2c3d4.kit.0');
select is(tests.count(w, 'select name from storage.objects'), 0::bigint, w || ' reads no parcel') from unnest(array['anon', 'north.viewer', 'north.operator', 'north.admin', 'south.admin']) w;
create function tests.store(p_who text)
returns text language plpgsql as $$
begin
    perform tests.become(p_who);
    insert into storage.objects (bucket_id, name) values ('parcels', tests.tenant('north') || '/1/a1b2c3d4.out.0');
    perform tests.rest();
    return 'stored';
exception when insufficient_privilege then
    return 'refused';
end
$$;
select is(tests.store(w), 'refused', w || ' puts none') from unnest(array['anon', 'north.operator', 'north.admin']) w;

select finish();
rollback;
