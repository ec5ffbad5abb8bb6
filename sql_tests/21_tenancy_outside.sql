-- tenancy: who comes from outside. The edge function vouches for the claims; what a tenant trusts, and once, is decided here.
begin;
\ir fixtures.psql
select no_plan();

-- What the edge function does: the claims that it has verified, in a JWT of its own key, as anon.
create function tests.exchange(p_claims jsonb, p_body jsonb default '{"tenant": "north"}')
returns jsonb language plpgsql as $$
declare
    v jsonb;
begin
    perform tests.become_with(jsonb_build_object('role', 'anon', 'assertion', p_claims)::text, 'anon');
    v := public.exchange_assertion(p_body);
    perform tests.rest();
    return v;
exception when sqlstate 'PGRST' then
    return sqlerrm::jsonb;
end
$$;
create function tests.push(p jsonb default '{}')
returns jsonb language sql volatile as $$
    select jsonb_build_object('iss', 'https://token.actions.githubusercontent.com', 'jti', gen_random_uuid(), 'exp', extract(epoch from now())::bigint + 300,
        'sub', 'repo:acme/etl:ref:refs/heads/main', 'repository', 'acme/etl', 'repository_id', '74', 'ref', 'refs/heads/main', 'event_name', 'push',
        'run_id', '42', 'actor', 'octocat') || p
$$;
create function tests.trust(p jsonb default '{}', p_who text default 'north.admin')
returns uuid language sql as $$
    select (tests.as(p_who, format('public.create_trust(%L::jsonb)', '{"name": "ci", "repository": "Acme/ETL", "ref": "refs/heads/main", "role": "operator"}'::jsonb || p)) ->> 'trust_id')::uuid
$$;
create function tests.role_of(p jsonb)
returns text language plpgsql as $$
declare
    v text;
begin
    perform tests.become_with((p || jsonb_build_object('sub', p -> 'user_id'))::text, p ->> 'role');
    v := tenancy.role();
    perform tests.rest();
    return v;
end
$$;

-- --------------------------------------------------------------------------------- the default is no

select is(tests.exchange(tests.push()) ->> 'code', 'OIDC_NOT_TRUSTED', 'without a trust nobody comes in');
select is(tests.exchange(tests.push()) ->> 'details', 'acme/etl refs/heads/main push', 'who is refused is told his own claims');
select is(tests.exchange(tests.push()) - 'details', tests.exchange(tests.push(), '{"tenant": "nowhere"}') - 'details', 'a tenant that does not trust is word for word one that is not there');
select is((select count(*) from tenancy.spent_assertions), 0::bigint, 'a token that was refused is not spent');

select tests.trust() as trust \gset
select tests.push() as push \gset
select tests.exchange(:'push') as given \gset
select is(:'given'::jsonb - 'token_id' - 'expires_at', jsonb_build_object('tenant_id', tests.tenant('north'), 'user_id', 'oidc:' || :'trust', 'role', 'operator',
    'trust_id', :'trust', 'expires_in', 900), 'a workflow that is trusted gets a token of the tenant, with the trust''s role');
select is((:'given'::jsonb ->> 'expires_at')::timestamptz between clock_timestamp() + interval '14 minutes' and clock_timestamp() + interval '15 minutes', true, 'a short one');
select is(tests.role_of(:'given'), 'operator', 'it opens the doors as that member');
select is(tests.role_of(:'given'::jsonb || '{"role": "admin"}'), 'operator', 'and no more than that');
select isnt((select last_used_at from tenancy.trusts where id = :'trust'), null, 'its use is noted');

-- --------------------------------------------------------------------------------------------- once

select is(tests.exchange(:'push') ->> 'code', 'OIDC_TOKEN_SPENT', 'each token of the issuer is exchanged once');
select tests.as('south.admin', $$ public.create_trust('{"name": "ci", "repository": "acme/etl", "ref": "*", "role": "viewer"}') $$);
select is(tests.exchange(:'push', '{"tenant": "south"}') ->> 'code', 'OIDC_TOKEN_SPENT', 'at one tenant, whoever else trusts it');
select is(tests.exchange(:'push'::jsonb || '{"jti": "another"}') ->> 'role', 'operator', 'another is another');
select is(tests.exchange(:'push'::jsonb || '{"iss": "https://ghe.example"}') ->> 'code', 'OIDC_NOT_TRUSTED', 'another issuer''s is not the trust''s');

-- ------------------------------------------------------------------------------- what a trust takes

create function tests.taken(p_trust jsonb, p_claims jsonb)
returns boolean language plpgsql as $$
declare
    v_id uuid;
    v_code text;
begin
    delete from tenancy.members m using tenancy.trusts k where k.user_id = m.user_id and k.tenant_id = m.tenant_id and m.tenant_id = tests.tenant('north');
    v_id := tests.trust(p_trust);
    v_code := tests.exchange(tests.push(p_claims)) ->> 'code';
    if v_code is distinct from 'OIDC_NOT_TRUSTED' and v_code is not null then
        raise exception 'unexpected %', v_code;
    end if;
    return v_code is null;
end
$$;
select is(tests.taken(w.trust::jsonb, w.claims::jsonb), w.expected, w.law)
from (values
    ('{}', '{}', true, 'the repository and the ref that are trusted'),
    ('{}', '{"repository": "ACME/etl"}', true, 'in any case: the names are one'),
    ('{}', '{"repository": "acme/etl2"}', false, 'not a longer name'),
    ('{}', '{"repository": "evil/etl"}', false, 'not another owner''s'),
    ('{}', '{"repository": null}', false, 'not without a repository'),
    ('{}', '{"ref": "refs/heads/dev"}', false, 'not another branch'),
    ('{}', '{"ref": "refs/heads/main2"}', false, 'not a branch that begins so'),
    ('{}', '{"ref": "refs/tags/main"}', false, 'not a tag of the branch''s name'),
    ('{}', '{"ref": null}', false, 'not without a ref'),
    ('{"ref": "refs/heads/release/*"}', '{"ref": "refs/heads/release/1.2"}', true, 'a star stands for anything'),
    ('{"ref": "refs/heads/release/*"}', '{"ref": "refs/heads/release"}', false, 'but not for nothing of what is before it'),
    ('{"ref": "refs/heads/a_c"}', '{"ref": "refs/heads/abc"}', false, 'an underscore is itself'),
    ('{"ref": "refs/heads/a%"}', '{"ref": "refs/heads/abc"}', false, 'so is a percent sign'),
    ('{"ref": "refs/heads/a\\b"}', '{"ref": "refs/heads/a\\b"}', true, 'and a backslash'),
    ('{"ref": "*"}', '{"ref": "refs/heads/dev"}', true, 'a star alone is any ref'),
    ('{"ref": null, "environment": "Production"}', '{"environment": "production", "ref": "refs/heads/dev"}', true, 'an environment that is trusted, on any ref'),
    ('{"environment": "production"}', '{"environment": "staging"}', false, 'not another environment'),
    ('{"environment": "production"}', '{}', false, 'not outside of an environment'),
    ('{"environment": "production"}', '{"environment": "production", "ref": "refs/heads/dev"}', false, 'both, where both are said'),
    ('{"repository_id": "74"}', '{}', true, 'the repository of that number'),
    ('{"repository_id": "74"}', '{"repository_id": "75"}', false, 'not whoever has taken its name'),
    ('{"repository_id": "74"}', '{"repository_id": null}', false, 'not without its number'),
    ('{}', '{"event_name": "pull_request_target"}', false, 'a pull request is not the branch it wants to reach'),
    ('{"ref": "*"}', '{"event_name": "pull_request", "ref": "refs/pull/1/merge"}', false, 'nor any ref'),
    ('{}', '{"event_name": null}', false, 'not without an event'),
    ('{"ref": "*", "pull_requests": true}', '{"event_name": "pull_request", "ref": "refs/pull/1/merge"}', true, 'unless pull requests are trusted'),
    ('{"issuer": "https://ghe.example/_services/token/"}', '{"iss": "https://ghe.example/_services/token"}', true, 'another issuer, where the trust names it'),
    ('{"issuer": "https://ghe.example"}', '{}', false, 'and no other')
) w (trust, claims, expected, law);

-- with several trusts, the highest role; no more than was asked for
delete from tenancy.members m using tenancy.trusts k where k.user_id = m.user_id and k.tenant_id = m.tenant_id;
select tests.trust('{"role": "viewer", "ref": "*"}') as low \gset
select tests.trust() as trust \gset
select is(tests.exchange(tests.push()) ->> 'trust_id', :'trust', 'of several trusts the one with the highest role counts');
select is(tests.exchange(tests.push('{"ref": "refs/heads/dev"}')) ->> 'role', 'viewer', 'of those that take the claims');
select is(tests.exchange(tests.push(), '{"tenant": "north", "role": "viewer"}') ->> 'role', 'viewer', 'who asks for less gets less');
select is(tests.exchange(tests.push(), '{"tenant": "north", "role": "admin"}') ->> 'code', 'OIDC_NOT_TRUSTED', 'who asks for more gets nothing');
select is(tests.exchange(tests.push(), '{"tenant": "north", "role": "root"}') ->> 'code', 'FIELD_INVALID', 'a role is one of ours');
select is(tests.exchange(tests.push(), jsonb_build_object('tenant', tests.tenant('north'))) ->> 'role', 'operator', 'a tenant may be named by its id');
select is(tests.exchange(tests.push(), '{"tenant": "north", "assertion": {}}') ->> 'code', 'FIELD_UNKNOWN', 'the body vouches for nothing');

-- ------------------------------------------------------------------------- only what we vouch for

select tests.refused('anon', format('public.exchange_assertion(%L::jsonb)', jsonb_build_object('tenant', 'north', 'assertion', tests.push())), 'TOKEN_INVALID', 'anon without our signature vouches for nobody');
select is(tests.exchange(c) ->> 'code', 'TOKEN_INVALID', 'no assertion: ' || coalesce(c::text, 'none'))
from unnest(array['{}', '[]', '"x"', 'null', '{"iss": "x"}', '{"iss": "x", "jti": "y"}', '{"iss": "x", "jti": "y", "exp": "soon"}']::jsonb[]) c;
update tenancy.tenants set suspended_at = now() where slug = 'north';
select is(tests.exchange(tests.push()) ->> 'code', 'OIDC_NOT_TRUSTED', 'a suspended tenant lets nobody in');
update tenancy.tenants set suspended_at = null where slug = 'north';

-- ------------------------------------------------------------------------------ at once, both ways

select tests.exchange(tests.push()) as given \gset
select is(tests.role_of(:'given'), 'operator', 'let in');
update tenancy.members set role = 'viewer' where user_id = 'oidc:' || :'trust';
select is(tests.role_of(:'given'), 'viewer', 'the trust''s member demoted: its tokens are a viewer''s on the next request');
select tests.as('north.admin', format('public.revoke_token(%L::jsonb)', jsonb_build_object('token_id', :'given'::jsonb -> 'token_id')));
select is(tests.role_of(:'given'), null, 'one token revoked: nobody''s on the next request');
update tenancy.members set role = 'operator' where user_id = 'oidc:' || :'trust';
select tests.exchange(tests.push()) as given \gset
select tests.as('north.admin', format('public.delete_trust(%L::jsonb)', jsonb_build_object('trust_id', :'trust')));
select is(tests.role_of(:'given'), null, 'the trust taken away: what it gave is nobody''s on the next request');
select is(tests.exchange(tests.push()) ->> 'trust_id', :'low', 'and it lets nobody in');
select is((select count(*) from tenancy.access_tokens where user_id = 'oidc:' || :'trust'), 0::bigint, 'nothing of it is left');
select tests.trust() as trust \gset
select is(tests.exchange(:'push') ->> 'code', 'OIDC_TOKEN_SPENT', 'a trust that is made anew does not make spent tokens good');

-- a token from outside makes nothing that outlives it
select tests.trust('{"role": "admin", "name": "deploy"}') as strong \gset
select tests.exchange(tests.push()) as given \gset
create function tests.machine_error(p jsonb, p_expression text)
returns text language plpgsql as $$
begin
    perform tests.become_with((p || jsonb_build_object('sub', p -> 'user_id'))::text, p ->> 'role');
    execute 'select ' || p_expression;
    perform tests.rest();
    return null;
exception when sqlstate 'PGRST' then
    return sqlerrm::jsonb ->> 'code';
end
$$;
select is(tests.machine_error(:'given', $$ public.list_trusts('{}') $$), null, 'an admin''s token from outside is an admin''s');
select is(tests.machine_error(:'given', c), 'ROLE_INSUFFICIENT', 'but makes no way back in: ' || c)
from unnest(array[$$ public.create_token('{"name": "back"}') $$, $$ public.create_trust('{"name": "back", "repository": "evil/x", "ref": "*", "role": "admin"}') $$]) c;

-- --------------------------------------------------------------------------------- who may say so

select tests.refused(w, format('public.%I(%L::jsonb)', f, b), 'ROLE_INSUFFICIENT', f || ' is not for ' || w)
from unnest(array['north.viewer', 'north.operator']) w, (values ('create_trust', '{"name": "x", "repository": "a/b", "ref": "*", "role": "viewer"}'), ('list_trusts', '{}'),
    ('delete_trust', jsonb_build_object('trust_id', :'trust')::text)) x (f, b);
select is(tests.error('south.admin', format('public.delete_trust(%L::jsonb)', jsonb_build_object('trust_id', :'trust'))),
          tests.error('south.admin', $$ public.delete_trust('{"trust_id": "0b1f9a52-7a52-4b6e-8a67-5a3f3d2e1c00"}') $$), 'another tenant''s trust is word for word one that is not there');
select is(jsonb_path_query_array(tests.as('south.admin', $$ public.list_trusts('{}') $$), '$.items[*].repository'), '[]', 'nor listed');
select is(tests.as('north.admin', $$ public.list_trusts('{"limit": 1}') $$) -> 'next' <> 'null', true, 'trusts are listed in pages');
select tests.refused('north.admin', format('public.create_trust(%L::jsonb)', '{"name": "ci", "repository": "a/b", "ref": "*", "role": "viewer"}'::jsonb || w.change::jsonb), w.code, 'no trust: ' || w.change, w.path)
from (values ('{"name": ""}', 'FIELD_INVALID', '$.name'), ('{"repository": "b"}', 'FIELD_INVALID', '$.repository'), ('{"repository": "a/*"}', 'FIELD_INVALID', '$.repository'),
    ('{"repository": "a/b/c"}', 'FIELD_INVALID', '$.repository'), ('{"repository_id": "x"}', 'FIELD_INVALID', '$.repository_id'), ('{"ref": "main"}', 'FIELD_INVALID', '$.ref'),
    ('{"ref": null}', 'FIELD_INVALID', '$.ref'), ('{"environment": ""}', 'FIELD_INVALID', '$.environment'), ('{"role": "root"}', 'FIELD_INVALID', '$.role'), ('{"role": null}', 'FIELD_INVALID', '$.role'),
    ('{"pull_requests": "yes"}', 'FIELD_INVALID', '$.pull_requests'), ('{"token_seconds": 59}', 'FIELD_INVALID', '$.token_seconds'), ('{"token_seconds": 3601}', 'FIELD_INVALID', '$.token_seconds'),
    ('{"issuer": "ghe"}', 'FIELD_INVALID', '$.issuer'), ('{"branch": "main"}', 'FIELD_UNKNOWN', '$.branch')) w (change, code, path);

-- audited: who trusted whom, who came in by it
select is((select count(*) from audit.entries where action = 'trust.create' and object_id = :'trust' and user_id = 'north.admin'), 1::bigint, 'a trust is audited');
select is((select e.details - 'token_id' from audit.entries e where e.action = 'token.exchange' and e.object_id = :'strong' and e.user_id = 'oidc:' || :'strong' and e.role = 'oidc'),
    '{"role": "admin", "subject": "repo:acme/etl:ref:refs/heads/main", "repository": "acme/etl", "ref": "refs/heads/main", "environment": null, "event": "push", "run_id": "42", "actor": "octocat"}',
    'and every coming in, with the run it was');
select is((select count(*) from audit.entries where action = 'trust.delete'), 1::bigint, 'and its end');

-- ------------------------------------------------------------------------------------------ upkeep

update tenancy.spent_assertions set expires_at = now() - interval '1 second';
update tenancy.access_tokens set expires_at = now() - interval '2 days' where user_id = 'oidc:' || :'strong';
select tests.as('north.viewer', $$ public.create_token('{"name": "old", "expires_at": "2001-01-01T00:00:00Z"}') $$);
insert into tenancy.spent_assertions (hash, tenant_id, expires_at) values (sha256('still good'), tests.tenant('north'), now() + interval '1 hour');
select tests.as('runner', 'worker.tidy()');
select is((select count(*) from tenancy.spent_assertions), 1::bigint, 'what is spent is forgotten once it is over, and not before');
select is((select count(*) from tenancy.access_tokens where user_id = 'oidc:' || :'strong'), 0::bigint, 'tokens of trusts go when they are over');
select is((select count(*) from tenancy.access_tokens where name = 'old'), 1::bigint, 'those of people stay to be seen');

select * from finish();
rollback;
