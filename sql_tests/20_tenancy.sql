-- tenancy: who is asking. The membership row is the authority; what a token claims can only lower it.
begin;
\ir fixtures.psql
select no_plan();

-- ------------------------------------------------------------------------------ both shapes of claims

select is(tests.as(w.who, '(tenancy.membership()).role') #>> '{}', w.expected, w.law)
from (values
    ('north.viewer', 'viewer', 'a viewer by the Postgres role is a viewer'),
    ('north.operator', 'operator', 'an operator by the Postgres role is an operator'),
    ('north.admin', 'admin', 'an admin by the Postgres role is an admin'),
    ('north.viewer@hook', 'viewer', 'a viewer by the hook''s claim is a viewer'),
    ('north.operator@hook', 'operator', 'an operator by the hook''s claim is an operator'),
    ('north.admin@hook', 'admin', 'an admin by the hook''s claim is an admin')
) w (who, expected, law);
select is(tests.as('north.operator@hook', 'tenancy.tenant_id()') #>> '{}', tests.tenant('north')::text, 'the tenant is the one of the membership');
select isnt(tests.as('north.operator@hook', $$ public.run_job(tests.submission()) $$) ->> 'run_id', null, 'the hook''s shape opens the same doors');

-- A token with any claims, asked for its role.
create function tests.role_of(p_claims jsonb)
returns text language plpgsql as $$
declare
    v text;
begin
    perform tests.become_with(p_claims::text, case when p_claims ->> 'role' in ('viewer', 'operator', 'admin', 'authenticated') then p_claims ->> 'role' else 'anon' end);
    v := tenancy.role();
    perform tests.rest();
    return v;
end
$$;

select is(tests.role_of(tests.claims('north.admin')::jsonb || '{"role": "viewer"}'), 'viewer', 'a claim lowers what the row gives');
select is(tests.role_of(tests.claims('north.viewer')::jsonb || '{"role": "admin"}'), 'viewer', 'a claim does not raise what the row gives');
select is(tests.role_of(tests.claims('north.viewer@hook')::jsonb || '{"user_role": "admin"}'), 'viewer', 'nor does the hook''s claim');
select is(tests.role_of(tests.claims('north.admin')::jsonb || jsonb_build_object('tenant_id', tests.tenant('south'))), null,
    'another tenant''s id in the claims makes nobody a member there');
select is(tests.role_of(tests.claims('north.stranger')::jsonb), null, 'a stranger with a perfect token is no member');
select is(tests.role_of(tests.claims('north.admin')::jsonb || '{"role": "anon", "user_role": "admin"}'), null, 'anon stays anon');
select is(tests.role_of(tests.claims('north.admin')::jsonb || jsonb_build_object('tenant_id', v.forged)), null, 'a forged tenant_id is no membership: ' || v.forged::text)
from (values ('["x"]'::jsonb), ('7'), ('9007199254740993'), ('null'), ('""'), ('"garbage"'), ('{"a": 1}'), ('true')) v (forged);
select is(tests.role_of(tests.claims('north.admin')::jsonb || jsonb_build_object('user_id', v.forged)), null, 'a forged user_id is no membership: ' || v.forged::text)
from (values ('["north.admin"]'::jsonb), ('7'), ('null'), ('""'), ('"north.admin "'), ('{"a": 1}')) v (forged);

select throws_matching('delete from tenancy.tenants', 'tenants_are_never_deleted: DELETE of tenancy.tenants is refused', 'nobody deletes a tenant, a superuser included');
select throws_matching('truncate tenancy.tenants cascade', 'tenants_are_never_truncated: TRUNCATE of tenancy.tenants is refused', 'nor all of them');

-- ---------------------------------------------------------------------- the first line of every door

select is((tests.error(w.who, $$ tenancy.require('viewer') $$)) ->> 'code', w.code, w.law)
from (values
    ('anon', 'TOKEN_MISSING', 'no token: 401, say so'),
    ('north.stranger', 'MEMBERSHIP_MISSING', 'no member: 403'),
    ('north.viewer', null, 'a member passes')
) w (who, code, law);
select tests.refused('north.viewer', $$ tenancy.require('operator') $$, 'ROLE_INSUFFICIENT', 'a viewer is no operator', 'this needs the role operator, the member has viewer');
select tests.refused('north.operator', $$ tenancy.require('admin') $$, 'ROLE_INSUFFICIENT', 'an operator is no admin', 'this needs the role admin, the member has operator');

create function tests.refused_with(p_claims jsonb, p_code text, p_law text)
returns text language plpgsql as $$
begin
    perform tests.become_with(p_claims::text, coalesce(p_claims ->> 'role', 'anon'));
    perform tenancy.pre_request();
    return is('no error', p_code, p_law);
exception when sqlstate 'PGRST' then
    return is(sqlerrm::jsonb ->> 'code', p_code, p_law);
end
$$;

select tests.refused_with(tests.claims('north.admin')::jsonb - 'tenant_id', 'TENANT_MISSING', 'a token without tenant is refused before the request');
select tests.refused_with(tests.claims('north.admin')::jsonb - 'user_id' - 'sub', 'TENANT_MISSING', 'a token without user is refused before the request');
select tests.refused_with(tests.claims('north.admin')::jsonb || '{"tenant_id": [1]}', 'TENANT_MISSING', 'a token whose tenant is an array is refused before the request');
select tests.refused_with(tests.claims('north.stranger')::jsonb, 'MEMBERSHIP_MISSING', 'a stranger is refused before the request');
select tests.refused_with('{"role": "authenticated", "sub": "x"}', 'TENANT_MISSING', 'a signed-in user of no tenant is refused before the request');
select tests.refused_with('{"role": "anon"}', 'no error', 'anon passes the pre-request; it is granted next to nothing');
select tests.refused_with('{"role": "service_role"}', 'no error', 'the platform operator passes the pre-request');
select set_config('request.headers', '{"content-length": "16777217"}', true);
select tests.refused_with('{"role": "service_role"}', 'BODY_TOO_LARGE', 'a body past 16 MiB is refused before it is read');
select set_config('request.headers', '{"content-length": "16777216"}', true);
select tests.refused_with('{"role": "service_role"}', 'no error', 'up to that it is read');
select set_config('request.headers', '', true);
select tests.rest();
select ok(exists (select from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                  where r.rolname = 'authenticator' and 'pgrst.db_pre_request=tenancy.pre_request' = any (s.setconfig)),
    'PostgREST is told to ask before every request');

-- ----------------------------------------------------------------- it counts on the very next request

select tests.as('platform', $$ public.platform_add_member('{"tenant": "north", "user_id": "north.demoted", "role": "operator"}') $$);
select tests.claims('north.demoted') as old_claims \gset
select is(tests.role_of(:'old_claims'), 'operator', 'made operator: operator at once');
select tests.as('platform', $$ public.platform_add_member('{"tenant": "north", "user_id": "north.demoted", "role": "viewer"}') $$);
select is(tests.role_of(:'old_claims'), 'viewer', 'demoted: the old token is a viewer''s on the next request');
select tests.as('platform', $$ public.platform_remove_member('{"tenant": "north", "user_id": "north.demoted"}') $$);
select is(tests.role_of(:'old_claims'), null, 'removed: the old token is nobody''s on the next request');
select tests.refused_with(:'old_claims', 'MEMBERSHIP_MISSING', 'removed: the pre-request refuses the old token');
select tests.rest();
select tests.become_with(:'old_claims', 'operator');
select is_empty('select * from public.members', 'removed: the old token sees no member, pre-request or not');
select tests.rest();

update tenancy.tenants set suspended_at = now() where slug = 'south';
select is(tests.role_of(tests.claims('south.admin')::jsonb), null, 'suspended: no member of the tenant is one on the next request');
select is(tests.count('south.admin', 'select * from public.members'), 0::bigint, 'suspended: nothing is seen');
update tenancy.tenants set suspended_at = null where slug = 'south';
select is(tests.role_of(tests.claims('south.admin')::jsonb), 'admin', 'no longer suspended: all is as before');

-- ---------------------------------------------------------------------------------- access tokens

select tests.as('north.admin', $$ public.create_token('{"name": "ci", "role": "operator"}') $$) as made \gset
select matches(:'made'::jsonb ->> 'token', '^cr_[0-9a-f]{64}$', 'a token has a prefix that scanners know, and 256 bits');
select is((select count(*) from tenancy.access_tokens k where k.hash = sha256(convert_to(:'made'::jsonb ->> 'token', 'UTF8'))), 1::bigint, 'only its hash is kept');
select is_empty(format($$ select from tenancy.access_tokens k where strpos(to_jsonb(k)::text, %L) > 0 $$, :'made'::jsonb ->> 'token'), 'the token itself is nowhere');
select tests.as('anon', format('public.exchange_token(%L::jsonb)', jsonb_build_object('token', :'made'::jsonb ->> 'token'))) as opened \gset
select is(:'opened'::jsonb - 'token_id' - 'expires_at', jsonb_build_object('tenant_id', tests.tenant('north'), 'user_id', 'north.admin', 'role', 'operator'),
    'a token stands for its maker, with the role it was made for');
select isnt((select last_used_at from tenancy.access_tokens where id = (:'opened'::jsonb ->> 'token_id')::uuid), null, 'its use is noted');

select (tests.claims('north.admin')::jsonb || jsonb_build_object('token_id', :'opened'::jsonb ->> 'token_id')) as token_claims \gset
select is(tests.role_of(:'token_claims'), 'operator', 'a token of an admin made for operator is an operator''s');
select is(tests.role_of(:'token_claims'::jsonb || '{"token_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}'), null, 'a token_id that is not there is no membership');
select is(tests.role_of(:'token_claims'::jsonb || '{"token_id": null}'), null, 'a token_id of null is no membership');
select is(tests.role_of(:'token_claims'::jsonb || jsonb_build_object('user_id', 'north.operator')), null, 'another''s token_id is no membership');
select is(tests.role_of(:'token_claims'::jsonb || jsonb_build_object('tenant_id', tests.tenant('south'), 'user_id', 'south.admin')), null, 'another tenant''s token_id is no membership');

select tests.as('north.admin', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', :'opened'::jsonb ->> 'token_id')));
select is(tests.role_of(:'token_claims'), null, 'revoked: the JWT made from it is nobody''s on the next request');
select tests.refused('anon', format('public.exchange_token(%L::jsonb)', jsonb_build_object('token', :'made'::jsonb ->> 'token')), 'TOKEN_INVALID', 'revoked: it is not exchanged again');
select tests.refused('north.admin', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', :'opened'::jsonb ->> 'token_id')), 'ACCESS_TOKEN_NOT_FOUND', 'revoked once is enough');

select tests.as('north.operator', $$ public.create_token('{"name": "short", "expires_at": "2001-01-01T00:00:00Z"}') $$) as expired \gset
select tests.refused('anon', format('public.exchange_token(%L::jsonb)', jsonb_build_object('token', :'expired'::jsonb ->> 'token')), 'TOKEN_INVALID', 'expired: it is not exchanged');
select is(tests.role_of(tests.claims('north.operator')::jsonb || jsonb_build_object('token_id', :'expired'::jsonb ->> 'token_id')), null, 'expired: the JWT made from it is nobody''s');
select is(:'expired'::jsonb ->> 'role', 'viewer', 'a token is a viewer''s unless more is asked for');
select tests.refused('anon', format('public.exchange_token(%L::jsonb)', p), 'TOKEN_INVALID', 'no token: ' || p)
from unnest(array['{}', '{"token": null}', '{"token": ""}', '{"token": "cr_garbage"}', '{"token": 7}', '{"token": ["cr_x"]}']) p;

select tests.refused('north.operator', $$ public.create_token('{"name": "up", "role": "admin"}') $$, 'ROLE_INSUFFICIENT', 'a token may not do more than its maker');
select tests.refused('north.viewer', $$ public.create_token('{"name": ""}') $$, 'FIELD_INVALID', 'a token has a name', '$.name');
select tests.refused('north.viewer', $$ public.create_token('{"name": "x", "role": "root"}') $$, 'FIELD_INVALID', 'a token has a known role', '$.role');
select tests.refused('north.viewer', $$ public.create_token('{"name": "x", "expires_at": "tomorrow-ish"}') $$, 'FIELD_INVALID', 'a token ends at a time', '$.expires_at');
select tests.refused('north.viewer', $$ public.create_token('{"name": "x", "hash": "00"}') $$, 'FIELD_UNKNOWN', 'a token is made by us', '$.hash');

select tests.as('north.viewer', $$ public.create_token('{"name": "mine"}') $$) as mine \gset
select tests.refused('north.operator', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', :'mine'::jsonb ->> 'token_id')), 'ACCESS_TOKEN_NOT_FOUND', 'one revokes one''s own tokens only');
select tests.refused('south.admin', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', :'mine'::jsonb ->> 'token_id')), 'ACCESS_TOKEN_NOT_FOUND', 'another tenant''s admin revokes nothing here');
select is(tests.as('north.admin', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', :'mine'::jsonb ->> 'token_id'))) ->> 'revoked', 'true', 'an admin revokes anybody''s token');

create function tests.machine_error(p_claims text, p_expression text)
returns text language plpgsql as $$
begin
    perform tests.become_with(p_claims, 'viewer');
    execute 'select ' || p_expression;
    perform tests.rest();
    return null;
exception when sqlstate 'PGRST' then
    return sqlerrm::jsonb ->> 'code';
end
$$;
select tests.as('north.viewer', $$ public.create_token('{"name": "robot"}') $$) as robot \gset
select is(tests.machine_error((tests.claims('north.viewer')::jsonb || jsonb_build_object('token_id', :'robot'::jsonb ->> 'token_id'))::text,
    $$ public.create_token('{"name": "offspring"}') $$), 'ROLE_INSUFFICIENT', 'a machine token makes no tokens');

select tests.as('platform', $$ public.platform_remove_member('{"tenant": "north", "user_id": "north.viewer"}') $$);
select tests.refused('anon', format('public.exchange_token(%L::jsonb)', jsonb_build_object('token', :'robot'::jsonb ->> 'token')), 'TOKEN_INVALID', 'a removed member''s token is not exchanged');
select is((select count(*) from tenancy.access_tokens where user_id = 'north.viewer'), 0::bigint, 'a removed member''s tokens go with the membership');
select tests.as('platform', $$ public.platform_add_member('{"tenant": "north", "user_id": "north.viewer", "role": "viewer"}') $$);

select is(tests.error('north.viewer', $$ (select hash from tenancy.access_tokens limit 1) $$) ->> 'code', '42501', 'nobody reads a hash');
select is(tests.count('north.viewer', 'select id from tenancy.access_tokens'), 0::bigint, 'a viewer sees no tokens');
select is(tests.count('north.operator', 'select id from tenancy.access_tokens'), 0::bigint, 'an operator sees no tokens');
select cmp_ok(tests.count('north.admin', 'select id from tenancy.access_tokens'), '>', 0::bigint, 'an admin sees that there are tokens');
select is(tests.count('south.admin', 'select id from tenancy.access_tokens'), 0::bigint, 'not those of another tenant');
select tests.as('north.operator', $$ public.create_token('{"name": "listed"}') $$);
select is(tests.as('north.operator', $$ public.list_tokens('{}') $$) -> 'items' @> '[{"name": "listed", "role": "viewer"}]', true, 'one lists one''s own tokens');
select is(strpos(tests.as('north.admin', $$ public.list_tokens('{}') $$)::text, 'hash'), 0, 'a list of tokens holds no hash');
select is(tests.as('north.viewer', $$ public.list_tokens('{}') $$) -> 'items', '[]', 'and nobody else''s');
select cmp_ok(jsonb_array_length(tests.as('north.admin', $$ public.list_tokens('{}') $$) -> 'items'), '>', 1, 'an admin lists those of the tenant');
select is(tests.as('south.admin', $$ public.list_tokens('{}') $$) -> 'items', '[]', 'and those of no other');

-- ------------------------------------------------------------------------ what Supabase Auth is told

create function tests.hooked(p_user text, p_claims jsonb default '{"iss": "x"}')
returns jsonb language plpgsql as $$
declare
    v jsonb;
begin
    perform tests.become_with('', 'supabase_auth_admin');
    v := tenancy.custom_access_token_hook(jsonb_build_object('user_id', p_user, 'claims', p_claims, 'authentication_method', 'password'));
    perform tests.rest();
    return v;
end
$$;

select is(tests.hooked('north.operator') -> 'claims',
    jsonb_build_object('iss', 'x', 'tenant_id', tests.tenant('north'), 'user_id', 'north.operator', 'user_role', 'operator'),
    'the hook adds tenant, user and role to the claims and keeps the rest');
select is(tests.hooked('nobody'), '{"user_id": "nobody", "claims": {"iss": "x"}, "authentication_method": "password"}'::jsonb,
    'who is no member gets the claims back as they were');
insert into tenancy.members (tenant_id, user_id, role, created_at) values
    (tests.tenant('south'), 'both', 'viewer', now() - interval '2 days'), (tests.tenant('north'), 'both', 'admin', now() - interval '1 day');
select is(tests.hooked('both') #>> '{claims,tenant_id}', tests.tenant('south')::text, 'a member of several tenants gets the first');
select is(tests.hooked('both', jsonb_build_object('app_metadata', jsonb_build_object('tenant_id', tests.tenant('north')))) #>> '{claims,user_role}', 'admin',
    'or the one that app_metadata names');
select is(tests.hooked('both', jsonb_build_object('user_metadata', jsonb_build_object('tenant_id', tests.tenant('north')))) #>> '{claims,user_role}', 'viewer',
    'what users write about themselves names nothing');
select is(tests.hooked('both', jsonb_build_object('app_metadata', jsonb_build_object('tenant_id', gen_random_uuid()))) #>> '{claims,user_role}', 'viewer',
    'a tenant one is no member of is not given');
update tenancy.tenants set suspended_at = now() where slug = 'south';
select is(tests.hooked('both') #>> '{claims,user_role}', 'admin', 'a suspended tenant is passed over');
update tenancy.tenants set suspended_at = null where slug = 'south';
select is(tests.hooked('both', jsonb_build_object('user_role', 'admin', 'tenant_id', 'x')) #>> '{claims,user_role}', 'viewer', 'what stood in the claims before is overwritten');

-- what Supabase Auth documents that it sends (guides/auth/auth-hooks/custom-access-token-hook): every method, and claims of every shape
create function tests.documented(p_user text, p_changes jsonb default '{}')
returns jsonb language sql as $$
    select jsonb_build_object('iss', 'https://project.supabase.co/auth/v1', 'aud', 'authenticated', 'exp', 1715690221, 'iat', 1715686621, 'sub', p_user, 'email', 'ann@north.example', 'phone', '',
        'app_metadata', '{"provider": "email", "providers": ["email"]}'::jsonb, 'user_metadata', '{"name": "Zoë"}'::jsonb, 'role', 'authenticated', 'aal', 'aal2',
        'amr', '[{"method": "totp", "timestamp": 1715686621}, {"method": "password", "timestamp": 1715686600}]'::jsonb, 'session_id', '4b938a09-5372-4177-a314-cfa292099ea2', 'is_anonymous', false) || p_changes
$$;
create function tests.issued(p_user text, p_method text, p_changes jsonb default '{}')
returns jsonb language plpgsql as $$
declare
    v jsonb;
begin
    perform tests.become_with('', 'supabase_auth_admin');
    v := tenancy.custom_access_token_hook(jsonb_build_object('user_id', p_user, 'claims', tests.documented(p_user, p_changes), 'authentication_method', p_method));
    perform tests.rest();
    return v;
end
$$;
select is(tests.issued('north.operator', m), jsonb_build_object('user_id', 'north.operator', 'authentication_method', m, 'claims',
    tests.documented('north.operator') || jsonb_build_object('tenant_id', tests.tenant('north'), 'user_id', 'north.operator', 'user_role', 'operator')), m || ': all that is required stays as it was, and three claims come to it')
from unnest(array['oauth', 'password', 'otp', 'totp', 'recovery', 'invite', 'sso/saml', 'magiclink', 'email/signup', 'email_change', 'token_refresh', 'oauth_provider/authorization_code', 'anonymous']) m;
select is(tests.issued('north.viewer', 'password', c.changes) -> 'claims', tests.documented('north.viewer', c.changes) || jsonb_build_object('tenant_id', tests.tenant('north'), 'user_id', 'north.viewer', 'user_role', 'viewer'), c.what)
from (values ('several audiences', '{"aud": ["authenticated", "other"]}'::jsonb), ('methods by name alone', '{"amr": ["password"]}'), ('a client of the project''s own OAuth', '{"client_id": "8ccaa7af-909f-44e7-84cb-67cdccb56be6", "scope": "openid"}'), ('without what is optional', '{"app_metadata": null, "user_metadata": null, "amr": null}'),
    ('claims of others', '{"nbf": 1715686621, "jti": "x", "own": {"deep": [1]}}')) c (what, changes);
select is(tests.issued('8ccaa7af-909f-44e7-84cb-67cdccb56be6', 'anonymous', '{"is_anonymous": true, "email": ""}') -> 'claims', tests.documented('8ccaa7af-909f-44e7-84cb-67cdccb56be6', '{"is_anonymous": true, "email": ""}'), 'an anonymous user is no member and gets what he would have got');
select tests.become_with((tests.issued('north.operator', 'password') -> 'claims')::text, 'authenticated');
select is(tenancy.role()::text, 'operator', 'what was issued opens the doors');
select tests.rest();
select tests.become_with((tests.issued('nobody', 'password') -> 'claims')::text, 'authenticated');
select is(tenancy.role()::text, null, 'who is no member signs in, and is nobody here');
select tests.rest();
select throws_ok(format($$ set local role %I; select tenancy.custom_access_token_hook('{}') $$, w), '42501', null, w || ' does not call the hook') from unnest(array['anon', 'authenticated', 'service_role', 'runner']) w;

-- ------------------------------------------------------------------------------ the platform operator

select is((select (max_running, timeout_seconds, max_retries, max_artifact_bytes)::text from tenancy.limits where tenant_id = tests.tenant('north')),
    '(10,600,3,52428800)', 'a tenant starts with the product''s limits');
select is(tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "max_running": 2, "timeout_seconds": 60}') $$) - 'tenant_id',
    '{"max_running": 2, "timeout_seconds": 60, "max_retries": 3, "max_executors": 8, "max_artifact_bytes": 52428800, "max_stored_bytes": 10737418240, "artifact_retention_days": null,
      "retention_days": 60}'::jsonb, 'limits are set one by one');
select tests.refused('platform', format('public.platform_set_limits(%L::jsonb)', p.body::jsonb || '{"tenant": "north"}'), 'FIELD_INVALID', 'no limit: ' || p.body, p.path)
from (values ('{"max_running": -1}', '$.max_running'), ('{"timeout_seconds": 0}', '$.timeout_seconds'), ('{"timeout_seconds": 86401}', '$.timeout_seconds'),
             ('{"max_retries": 11}', '$.max_retries'), ('{"retention_days": 6}', '$.retention_days'), ('{"max_artifact_bytes": 52428801}', '$.max_artifact_bytes'), ('{"max_stored_bytes": -1}', '$.max_stored_bytes'),
             ('{"artifact_retention_days": 0}', '$.artifact_retention_days'), ('{"max_running": "many"}', '$.max_running'),
             ('{"validation_policy": "maybe"}', '$.validation_policy'),
             ('{"validation_fail_on": "never"}', '$.validation_fail_on')) p (body, path);
select tests.refused('platform', $$ public.platform_set_limits('{"tenant": "north", "max_memory": 1}') $$, 'FIELD_UNKNOWN', 'an unknown limit is named', '$.max_memory');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "validation_policy": "enforce"}') $$);
select is((select validation_policy from tenancy.tenants where slug = 'north'), 'enforce', 'supplied code is validated by the tenant''s policy');
select tests.as('platform', $$ public.platform_set_limits('{"tenant": "north", "validation_fail_on": "warning"}') $$);
select is((select (validation_policy, validation_fail_on)::text from tenancy.tenants where slug = 'north'), '(enforce,warning)', 'the gate is the tenant''s, beside the policy');

select tests.refused('platform', $$ public.platform_create_tenant('{"slug": "north"}') $$, 'TENANT_EXISTS', 'a slug is one tenant''s');
select tests.refused('platform', format('public.platform_create_tenant(%L::jsonb)', jsonb_build_object('slug', p)), 'FIELD_INVALID', 'no slug: ' || p, '$.slug')
from unnest(array['North', 'n-1', '1north', '', 'north; drop schema', repeat('n', 42), '_north']) p;
select tests.refused('platform', $$ public.platform_add_member('{"tenant": "nowhere", "user_id": "x", "role": "viewer"}') $$, 'TENANT_NOT_FOUND', 'a tenant that is not there is said to be', 'nowhere');
select is(tests.as('platform', format('public.platform_add_member(%L::jsonb)', jsonb_build_object('tenant', tests.tenant('north'), 'user_id', 'by id', 'role', 'viewer'))) ->> 'role',
    'viewer', 'a tenant may be named by its id');
select tests.refused('platform', $$ public.platform_add_member('{"tenant": "north", "user_id": "x", "role": "owner"}') $$, 'FIELD_INVALID', 'a member has a known role');
select tests.refused('platform', $$ public.platform_remove_member('{"tenant": "north", "user_id": "never was"}') $$, 'MEMBER_NOT_FOUND', 'who is no member cannot be removed');
select tests.refused('platform', $$ public.platform_grant('{"tenant": "north", "kind": "planet", "name": "x"}') $$, 'FIELD_INVALID', 'a grant has a known kind', '$.kind');
select tests.refused('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/99"}') $$, 'FIELD_INVALID', 'a network is a network', '$.cidr');

select tests.refused(a.who, format('public.%I(''{}''::jsonb)', p.proname), '42501', p.proname || ' is not for ' || a.who)
from pg_proc p, unnest(array['anon', 'north.viewer', 'north.operator', 'north.admin', 'north.admin@hook', 'runner', 'loader']) a (who)
where p.pronamespace = 'public'::regnamespace and p.proname like 'platform\_%'
order by p.proname, a.who;

-- grants: default deny
select is((select count(*) from tenancy.grants), 0::bigint, 'a tenant starts with no grants');
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "API_KEY"}') $$);
select is(tests.count('north.viewer', 'select * from tenancy.grants'), 1::bigint, 'members see what is granted');
select is(tests.count('south.admin', 'select * from tenancy.grants'), 0::bigint, 'to their own tenant only');
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "secret", "name": "API_KEY"}') $$);
select is(tests.count('north.viewer', 'select * from tenancy.grants'), 0::bigint, 'a grant is taken back');

select is(tests.count('north.viewer', 'select * from tenancy.tenants'), 1::bigint, 'a member sees one tenant');
select is(tests.count('north.viewer', 'select * from tenancy.limits'), 1::bigint, 'and its limits');
select set_eq($$ select x ->> 'user_id' from tests.rows('south.viewer', 'select * from public.members') x $$,
    array['south.viewer', 'south.operator', 'south.admin', 'both'], 'members see each other, and nobody of another tenant');

select * from finish();
rollback;
