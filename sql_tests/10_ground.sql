-- ground: the readers of claims, the error list, the small words every other room uses.
begin;
\ir fixtures.psql
select no_plan();

-- -------------------------------------------------------------------------------------------- errors

select is(
    tests.error('anon', $$ ground.fail('RUN_NOT_FOUND', 'run 7') $$) - 'headers',
    '{"code": "RUN_NOT_FOUND", "message": "The tenant has no such run.", "details": "run 7",
      "hint": "Check run_id; GET /api/v1/runs lists yours.", "status": 404}'::jsonb,
    'an error of ours carries code, message, details, hint and its status');

select is(
    tests.error('anon', $$ ground.fail('TOKEN_MISSING') $$) -> 'headers', '{"WWW-Authenticate": "Bearer"}'::jsonb,
    'a 401 says how to authenticate');

select is(
    tests.error('anon', $$ ground.fail('JOB_TYPE_UNKNOWN', '$.job_type', 'There is none.', 'Try spark_etl.') $$) - 'headers',
    '{"code": "JOB_TYPE_UNKNOWN", "message": "There is none.", "details": "$.job_type", "hint": "Try spark_etl.", "status": 400}'::jsonb,
    'message and hint can be said more exactly than the list says them');

select is(
    tests.error('anon', $$ ground.fail('NO_SUCH_CODE') $$), '{"code": "P0001", "message": "error code NO_SUCH_CODE is not listed"}'::jsonb,
    'an error that is not listed cannot be raised');

select is_empty(
    $$ select distinct n.nspname || '.' || p.proname || ': ' || m.found[1]
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       cross join lateral regexp_matches(p.prosrc, '''([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)''', 'g') m (found)
       where n.nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'worker', 'door', 'public')
         and p.prosrc ~ ('ground\.fail\([^;]*''' || m.found[1] || '''')
         and not exists (select from ground.error_codes c where c.code = m.found[1]) $$,
    'every code that a function raises is listed');

select is_empty(
    $$ select code from ground.error_codes where meaning !~ '\.$' or mend !~ '\.$' $$,
    'each code is explained in sentences');

select is(tests.count('anon', 'select * from ground.error_codes'), (select count(*) from ground.error_codes), 'everybody reads the error list');

select throws_ok(
    $$ select tests.become('north.admin'); delete from ground.error_codes $$, '42501', null, 'nobody of a tenant changes the error list');
select tests.rest();

-- -------------------------------------------------------------------------------------------- claims

select tests.rest();
select is(ground.claims(), '{}'::jsonb, 'no claims are an empty object');
select set_config('request.jwt.claims', '', true);
select is(ground.claims(), '{}'::jsonb, 'claims that were committed away are an empty object too');

create function tests.read_claims(p jsonb, out tenant uuid, out who text, out role ground.member_role)
language plpgsql as $$
begin
    perform set_config('request.jwt.claims', p::text, true);
    tenant := ground.claimed_tenant_id();
    who := ground.user_id();
    role := ground.claimed_role();
    perform set_config('request.jwt.claims', '', true);
end
$$;

select is((tests.read_claims(c.claims)).tenant, c.expected::uuid, 'tenant_id ' || (c.claims ->> 'tenant_id') || ': ' || c.law)
from (values
    ('{"tenant_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}'::jsonb, '0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00', 'a UUID is read'),
    ('{"tenant_id": "0B1F9A52-7A52-4B6E-8A67-5A3F3D2E1C00"}', '0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00', 'capitals are the same UUID'),
    ('{"tenant_id": ["0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"]}', null, 'an array is no tenant'),
    ('{"tenant_id": {"id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}}', null, 'an object is no tenant'),
    ('{"tenant_id": 7}', null, 'a number is no tenant'),
    ('{"tenant_id": 9007199254740993}', null, 'a large number is no tenant'),
    ('{"tenant_id": true}', null, 'a boolean is no tenant'),
    ('{"tenant_id": ""}', null, 'an empty string is no tenant'),
    ('{"tenant_id": "north"}', null, 'a slug is no tenant'),
    ('{"tenant_id": "{0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00}"}', null, 'braces are not taken'),
    ('{"tenant_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00''; drop table x; --"}', null, 'garbage is no tenant')
) c (claims, expected, law);
select is((tests.read_claims('{"tenant_id": null}')).tenant, null, 'null is no tenant');
select is((tests.read_claims('{}')).tenant, null, 'an absent tenant is no tenant');

select is((tests.read_claims(c.claims)).who, c.expected, 'user: ' || c.law)
from (values
    ('{"user_id": "u1", "sub": "s1"}'::jsonb, 'u1', 'user_id comes before sub'),
    ('{"sub": "s1"}', 's1', 'sub will do'),
    ('{"user_id": 7}', null, 'a number is no user'),
    ('{"user_id": ["u1"]}', null, 'an array is no user'),
    ('{"user_id": ""}', null, 'an empty string is no user'),
    ('{"user_id": null, "sub": "s1"}', null, 'an explicit null hides sub'),
    ('{}', null, 'nobody is nobody')
) c (claims, expected, law);

select is((tests.read_claims(c.claims)).role, c.expected::ground.member_role, 'role: ' || c.law)
from (values
    ('{"role": "viewer"}'::jsonb, 'viewer', 'viewer by the Postgres role'),
    ('{"role": "operator"}', 'operator', 'operator by the Postgres role'),
    ('{"role": "admin"}', 'admin', 'admin by the Postgres role'),
    ('{"role": "authenticated", "user_role": "operator"}', 'operator', 'by the hook''s claim'),
    ('{"role": "authenticated"}', null, 'a user whom the hook gave nothing has none'),
    ('{"role": "authenticated", "user_role": "superuser"}', null, 'an unknown role is none'),
    ('{"role": "authenticated", "user_role": ["admin"]}', null, 'an array is none'),
    ('{"role": "viewer", "user_role": "admin"}', 'viewer', 'user_role raises no Postgres role'),
    ('{"role": "anon", "user_role": "admin"}', null, 'user_role makes nobody of anon'),
    ('{"role": "Admin"}', null, 'letters count'),
    ('{"role": "service_role"}', null, 'service_role is no member'),
    ('{"role": "none"}', null, 'none is none'),
    ('{"role": "postgres"}', null, 'postgres is none'),
    ('{"user_metadata": {"role": "admin", "user_role": "admin"}, "role": "authenticated"}', null, 'what users write about themselves is not read')
) c (claims, expected, law);

select is(array['viewer', 'operator', 'admin']::ground.member_role[], enum_range(null::ground.member_role), 'a later role may more');

-- --------------------------------------------------------------------------------------- small words

select is(ground.page_limit('{}'), 100, 'a page has 100 items unless asked otherwise');
select is(ground.page_limit('{"limit": 1000}'), 1000, 'a page has up to 1000 items');
select tests.refused('anon', format('ground.want_id(%L, ''id'')', p), 'FIELD_INVALID', 'no id: ' || p, '$.id')
from unnest(array['{}', '{"id": null}', '{"id": -1}', '{"id": 1.5}', '{"id": "abc"}', '{"id": "1e3"}', '{"id": [1]}', '{"id": 1234567890123456789}']) p;
select is(ground.want_id('{"id": "42"}', 'id'), 42::bigint, 'an id may come as a string');
select is(ground.want_id('{"id": 9007199254740993}', 'id'), 9007199254740993, 'an id keeps its digits');
select tests.refused('anon', format('ground.want_uuid(%L, ''id'')', p), 'FIELD_INVALID', 'no UUID: ' || p, '$.id')
from unnest(array['{}', '{"id": 7}', '{"id": "abc"}', '{"id": ["0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"]}']) p;
select tests.refused('north.viewer', format('ground.page_limit(%L)', p), 'FIELD_INVALID', 'no limit: ' || p, '$.limit')
from unnest(array['{"limit": 0}', '{"limit": 1001}', '{"limit": -1}', '{"limit": "many"}', '{"limit": 1.5}', '{"limit": 99999999999}']) p;
select tests.refused('anon', $$ ground.refuse_unknown('{"a": 1, "zz": 2}', array['a']) $$, 'FIELD_UNKNOWN', 'an unknown field is named', '$.zz');
select tests.refused('anon', $$ ground.refuse_unknown('[1]', array['a'], '$.tasks[3]') $$, 'BODY_INVALID', 'where an object belongs, nothing else does', '$.tasks[3]');
select lives_ok($$ select ground.refuse_unknown('{"a": 1}', array['a', 'b']) $$, 'known fields pass');
select ground.answer_status(202);
select is(current_setting('response.status'), '202', 'the status of the answer is set for the door');

select lives_ok(format('select ground.refuse_deep(%L)', repeat('[', 100) || repeat(']', 100)), 'a body nests up to 100 levels');
select tests.refused('anon', format('ground.refuse_deep(%L)', repeat('[', 101) || repeat(']', 101)), 'BODY_INVALID', 'and no deeper', '$');
select tests.refused('anon', format('ground.refuse_unknown(%L, array[''a''])', repeat('{"a":', 101) || '1' || repeat('}', 101)), 'BODY_INVALID', 'in whatever form', '$');

select tests.refused('anon', format('ground.want_time(%L, ''t'')', jsonb_build_object('t', t)), 'FIELD_INVALID', 'no time: ' || t, '$.t')
from unnest(array['x', '2026-02-30', '2026-01-01T00:00:00+17:52', '2026-01-01T00:00:00 Mars/North', '999999-01-01', '']) t;

-- how long each role may take, wherever it comes from: anon, authenticated and authenticator are Supabase's to say
select set_eq($$ select r.rolname::text || ': ' || c from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) c
                 where s.setdatabase = 0 and c ~ 'timeout' and r.rolname !~ '^supabase' $$,
    array['anon: statement_timeout=3s', 'authenticated: statement_timeout=8s', 'authenticator: statement_timeout=8s', 'authenticator: lock_timeout=8s', 'viewer: statement_timeout=8s',
          'operator: statement_timeout=8s', 'admin: statement_timeout=8s', 'runner: statement_timeout=30min', 'runner: idle_in_transaction_session_timeout=1min'],
    'each role that asks has its time');
-- a runner's sessions outlive the tables' being small: see tests/integration/queue/test_old_plans.py
select is((select array_agg(c order by c) from pg_db_role_setting s, unnest(s.setconfig) c
           where s.setdatabase = 0 and s.setrole = 'runner'::regrole and c !~ 'timeout'),
    array['enable_seqscan=off', 'jit=off'], 'a runner plans for tables that will be large, and compiles nothing');

-- the words that columns are made of
select throws_ok($$ select 'Bad Slug'::ground.slug $$, '23514', null, 'a slug is lower case without spaces');
select throws_ok($$ select repeat('a', 42)::ground.slug $$, '23514', null, 'a slug has at most 41 characters');
select throws_ok($$ select '../x'::ground.label $$, '23514', null, 'a label is no path');
select throws_ok($$ select repeat('a', 129)::ground.label $$, '23514', null, 'a label has at most 128 characters');
select throws_ok($$ select repeat('A', 64)::ground.sha256 $$, '23514', null, 'a digest is 64 lower-case hex digits');

select * from finish();
rollback;
