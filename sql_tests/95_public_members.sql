-- tenancy: members and invitations, as admins keep them. What is said counts with the next request.
begin;
\ir fixtures.psql
select no_plan();

create function tests.invite(p jsonb, p_who text default 'north.admin')
returns text language sql as $$ select tests.as(p_who, format('public.create_invitation(%L::jsonb)', p)) ->> 'token' $$;
create function tests.accept(p_token text, p_assertion jsonb)
returns jsonb language plpgsql as $$
declare
    v jsonb;
begin
    perform tests.become_with(jsonb_build_object('role', 'anon', 'assertion', p_assertion)::text, 'anon');
    v := public.accept_invitation(jsonb_build_object('token', p_token));
    perform tests.rest();
    return v;
exception when sqlstate 'PGRST' then
    return sqlerrm::jsonb;
end
$$;
create function tests.role_of(p_user text)
returns text language plpgsql as $$
declare
    v text;
begin
    perform tests.become_with(jsonb_build_object('role', 'admin', 'sub', p_user, 'user_id', p_user, 'tenant_id', tests.tenant('north'))::text, 'admin');
    v := tenancy.role();
    perform tests.rest();
    return v;
end
$$;

-- -------------------------------------------------------------------------------------- invitations

select tests.invite('{"email": "New@North.example", "role": "operator"}') as token \gset
select matches(:'token'::text, '^crin_[0-9a-f]{64}$', 'an invitation has a prefix that scanners know, and 256 bits');
select is_empty(format($$ select from tenancy.invitations i where strpos(to_jsonb(i)::text, %L) > 0 $$, :'token'), 'only its hash is kept');
select is(tests.accept(:'token', a::jsonb) ->> 'code', c, 'not for ' || a)
from (values ('{"user_id": "u1", "email": "other@north.example"}', 'INVITATION_NOT_FOUND'), ('{"user_id": "u1"}', 'INVITATION_NOT_FOUND'), ('{}', 'TOKEN_INVALID'),
    ('{"email": "new@north.example"}', 'TOKEN_INVALID'), ('{"user_id": "oidc:x", "email": "new@north.example"}', 'TOKEN_INVALID')) x (a, c);
select is(tests.accept('crin_guessed', '{"user_id": "u1", "email": "new@north.example"}') ->> 'code', 'INVITATION_NOT_FOUND', 'the address without the token opens nothing');
select tests.refused('anon', format('public.accept_invitation(%L::jsonb)', jsonb_build_object('token', :'token', 'assertion', '{"user_id": "u1", "email": "new@north.example"}'::jsonb)), 'TOKEN_INVALID', 'nobody vouches for himself');
select is(tests.accept(:'token', '{"user_id": "u1", "email": "new@north.EXAMPLE"}'::jsonb), jsonb_build_object('tenant_id', tests.tenant('north'), 'user_id', 'u1', 'role', 'operator'), 'who is invited comes in by his own identity');
select is(tests.role_of('u1'), 'operator', 'a member on the next request');
select is(tests.accept(:'token', '{"user_id": "u2", "email": "new@north.example"}') ->> 'code', 'INVITATION_NOT_FOUND', 'once');

select tests.invite('{"user_id": "u3", "role": "viewer"}') as token \gset
update tenancy.invitations set expires_at = now() where user_id = 'u3';
select is(tests.accept(:'token', '{"user_id": "u3"}') ->> 'code', 'INVITATION_NOT_FOUND', 'not after its time');
select tests.invite('{"user_id": "u3", "role": "viewer"}') as token \gset
select tests.as('north.admin', format('public.revoke_invitation(%L::jsonb)', jsonb_build_object('invitation_id', (select id from tenancy.invitations where hash = sha256(convert_to(:'token', 'UTF8'))))));
select is(tests.accept(:'token', '{"user_id": "u3"}') ->> 'code', 'INVITATION_NOT_FOUND', 'not once it is revoked');
select tests.invite('{"email": "v@north.example", "role": "admin"}') as token \gset
select is(tests.accept(:'token', '{"user_id": "north.viewer", "email": "v@north.example"}') ->> 'code', 'MEMBER_EXISTS', 'an old invitation raises no member');
select is(tests.role_of('north.viewer'), 'viewer', 'who stays what he was');
select tests.refused('north.admin', $$ public.create_invitation('{"user_id": "north.viewer", "role": "admin"}') $$, 'MEMBER_EXISTS', 'members are not invited');

select tests.as('platform', $$ public.platform_add_member('{"tenant": "north", "user_id": "north.second", "role": "admin"}') $$);
select tests.invite('{"user_id": "crony", "role": "admin"}', 'north.second') as token \gset
update tenancy.members set role = 'operator' where user_id = 'north.second';
select is(tests.accept(:'token', '{"user_id": "crony"}') ->> 'code', 'INVITATION_NOT_FOUND', 'an invitation is as good as its maker: an admin still');
update tenancy.members set role = 'admin' where user_id = 'north.second';
update tenancy.tenants set suspended_at = now() where slug = 'north';
select is(tests.accept(:'token', '{"user_id": "crony"}') ->> 'code', 'INVITATION_NOT_FOUND', 'nobody comes into a suspended tenant');
update tenancy.tenants set suspended_at = null where slug = 'north';

select tests.refused('north.admin', format('public.create_invitation(%L::jsonb)', w.body), w.code, 'no invitation: ' || w.body, w.path)
from (values ('{"role": "viewer"}', 'FIELD_INVALID', '$.email'), ('{"role": "viewer", "email": "a@b", "user_id": "x"}', 'FIELD_INVALID', '$.email'), ('{"role": "viewer", "email": "a"}', 'FIELD_INVALID', '$.email'),
    ('{"role": "viewer", "user_id": "oidc:x"}', 'FIELD_INVALID', '$.user_id'), ('{"role": "root", "user_id": "x"}', 'FIELD_INVALID', '$.role'), ('{"role": "viewer", "user_id": "x", "expires_in_hours": 0}', 'FIELD_INVALID', '$.expires_in_hours'),
    ('{"role": "viewer", "user_id": "x", "tenant": "south"}', 'FIELD_UNKNOWN', '$.tenant')) w (body, code, path);

-- ------------------------------------------------------------------------------------------ members

select is(tests.as('north.admin', $$ public.set_member_role('{"user_id": "u1", "role": "viewer"}') $$) ->> 'role', 'viewer', 'an admin changes a role');
select is(tests.role_of('u1'), 'viewer', 'which counts on the next request');
select tests.invite('{"email": "new@north.example", "role": "admin"}') as back \gset
select tests.as('north.admin', $$ public.remove_member('{"user_id": "u1"}') $$);
select is(tests.role_of('u1'), null, 'who is removed is nobody on the next request');
select is(tests.accept(:'back', '{"user_id": "u1", "email": "new@north.example"}') ->> 'code', 'INVITATION_NOT_FOUND', 'and has no way back that was open');
select tests.as('north.admin', $$ public.remove_member('{"user_id": "north.second"}') $$);
select is(tests.accept(:'token', '{"user_id": "crony"}') ->> 'code', 'INVITATION_NOT_FOUND', 'nor have those whom he invited');

select tests.as('north.admin', $$ public.create_trust('{"name": "ci", "repository": "a/b", "ref": "*", "role": "admin"}') $$);
select tests.refused('north.admin', $$ public.set_member_role('{"user_id": "north.admin", "role": "viewer"}') $$, 'LAST_ADMIN', 'the last admin is not lowered; a trust is no person');
select tests.refused('north.admin', $$ public.remove_member('{"user_id": "north.admin"}') $$, 'LAST_ADMIN', 'nor removed');
select is(tests.as('north.admin', $$ public.set_member_role('{"user_id": "north.operator", "role": "admin"}') $$) ->> 'role', 'admin', 'with another one');
select is(tests.as('north.admin', $$ public.remove_member('{"user_id": "north.admin"}') $$) ->> 'removed', 'true', 'he may go');
select tests.refused('north.operator', format('public.%I(%L::jsonb)', f, '{"user_id": "nobody", "role": "viewer"}'::jsonb - (case f when 'remove_member' then 'role' else '' end)), 'MEMBER_NOT_FOUND', f || ': who is not there') from unnest(array['set_member_role', 'remove_member']) f;
select is(tests.error('south.admin', $$ public.remove_member('{"user_id": "north.operator"}') $$), tests.error('south.admin', $$ public.remove_member('{"user_id": "nobody"}') $$), 'another tenant''s member is word for word nobody');
select is((select array_agg(distinct action order by action) from audit.entries where action ~ '^(invitation|member)\.')::text, '{invitation.accept,invitation.create,invitation.revoke,member.remove,member.set}', 'all of it is audited');

select * from finish();
rollback;
