-- public: members and invitations. Admins invite, raise, lower and remove; who is invited comes in by his own identity.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- A trust is no person: it cannot make anybody an admin again.
create function door.keep_an_admin(p_tenant uuid, p_user text)
returns void language plpgsql stable set search_path = '' as $$
begin
    if exists (select from tenancy.members m where m.tenant_id = p_tenant and m.user_id = p_user and m.role = 'admin' and m.user_id not like 'oidc:%')
       and not exists (select from tenancy.members m where m.tenant_id = p_tenant and m.user_id <> p_user and m.role = 'admin' and m.user_id not like 'oidc:%') then
        perform ground.fail('LAST_ADMIN');
    end if;
end
$$;
revoke all on function door.keep_an_admin(uuid, text) from public;

create function door.list_members(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('user_id', m.user_id, 'role', m.role, 'created_at', m.created_at) order by m.user_id), '[]') into v_items
    from (select x.* from tenancy.members x where x.tenant_id = v_member.tenant_id and (p ->> 'cursor' is null or x.user_id > p ->> 'cursor') order by x.user_id limit v_limit) m;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'user_id' end);
end
$$;
revoke all on function door.list_members(jsonb) from public;
grant execute on function door.list_members(jsonb) to authenticated;

create function public.list_members(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_members($1); end $$;
comment on function public.list_members(jsonb) is '{limit?, cursor?} -> {items: [{user_id, role, created_at}], next}; oidc:… are trusts.';
revoke all on function public.list_members(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_members(jsonb) to authenticated;

create function door.set_member_role(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_role ground.member_role := door.want_role(p);
begin
    perform door.refuse_machine();
    perform ground.refuse_unknown(p, array['user_id', 'role']);
    perform tenancy.lock_members(v_member.tenant_id);
    v_member := tenancy.require('admin');  -- asked again: who was lowered while he waited lowers nobody
    if v_role <> 'admin' then
        perform door.keep_an_admin(v_member.tenant_id, p ->> 'user_id');
    end if;
    update tenancy.members m set role = v_role where m.tenant_id = v_member.tenant_id and m.user_id = p ->> 'user_id';
    if not found then
        perform ground.fail('MEMBER_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'member.set', 'member', p ->> 'user_id', jsonb_build_object('role', v_role));
    return jsonb_build_object('user_id', p ->> 'user_id', 'role', v_role);
end
$$;
revoke all on function door.set_member_role(jsonb) from public;
grant execute on function door.set_member_role(jsonb) to authenticated;

create function public.set_member_role(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.set_member_role($1); end $$;
comment on function public.set_member_role(jsonb) is '{user_id, role}: counts with the next request. Admins; never the last one''s own end.';
revoke all on function public.set_member_role(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.set_member_role(jsonb) to authenticated;

-- Tokens and trust go with the member; so do the invitations by which he could come back, and those that he made.
create function door.remove_member(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
begin
    perform door.refuse_machine();
    perform tenancy.lock_members(v_member.tenant_id);
    v_member := tenancy.require('admin');  -- as above
    perform door.keep_an_admin(v_member.tenant_id, p ->> 'user_id');
    delete from tenancy.members m where m.tenant_id = v_member.tenant_id and m.user_id = p ->> 'user_id';
    if not found then
        perform ground.fail('MEMBER_NOT_FOUND');
    end if;
    update tenancy.invitations i set revoked_at = clock_timestamp()
    where i.tenant_id = v_member.tenant_id and i.accepted_at is null and i.revoked_at is null
      and (i.user_id = p ->> 'user_id' or i.created_by = p ->> 'user_id'
           or i.email in (select y.email from tenancy.invitations y where y.tenant_id = v_member.tenant_id and y.accepted_by = p ->> 'user_id'));
    perform audit.append(v_member.tenant_id, 'member.remove', 'member', p ->> 'user_id');
    return jsonb_build_object('user_id', p ->> 'user_id', 'removed', true);
end
$$;
revoke all on function door.remove_member(jsonb) from public;
grant execute on function door.remove_member(jsonb) to authenticated;

create function public.remove_member(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.remove_member($1); end $$;
comment on function public.remove_member(jsonb) is '{user_id}: out with the next request, his tokens as well. Admins; never the last one.';
revoke all on function public.remove_member(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.remove_member(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------- invitations

create function door.create_invitation(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_role ground.member_role := door.want_role(p);
    v_token text := 'crin_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    v_hours integer := job.check_integer(p, 'expires_in_hours', '$', 1, 720, 168);
    i tenancy.invitations;
begin
    perform door.refuse_machine();
    perform ground.refuse_unknown(p, array['email', 'user_id', 'role', 'expires_in_hours']);
    if num_nonnulls(p ->> 'email', p ->> 'user_id') <> 1 then
        perform ground.fail('FIELD_INVALID', '$.email', 'Say the email or the user_id of who is invited, not both.');
    elsif p ->> 'email' !~ '^[^@\s]+@[^@\s]+$' or length(p ->> 'email') > 320 then
        perform ground.fail('FIELD_INVALID', '$.email', 'email is an address.');
    elsif length(p ->> 'user_id') not between 1 and 128 or p ->> 'user_id' like 'oidc:%' then
        perform ground.fail('FIELD_INVALID', '$.user_id', 'user_id is the id of a person, 1 to 128 characters.');
    elsif exists (select from tenancy.members m where m.tenant_id = v_member.tenant_id and m.user_id = p ->> 'user_id') then
        perform ground.fail('MEMBER_EXISTS');
    end if;
    insert into tenancy.invitations as x (tenant_id, email, user_id, role, hash, created_by, expires_at)
    values (v_member.tenant_id, lower(p ->> 'email'), p ->> 'user_id', v_role, sha256(convert_to(v_token, 'UTF8')), v_member.user_id,
            clock_timestamp() + make_interval(hours => v_hours))
    returning x.* into i;
    perform audit.append(v_member.tenant_id, 'invitation.create', 'invitation', i.id::text, jsonb_build_object('role', i.role));
    perform ground.answer_status(201);
    return jsonb_build_object('invitation_id', i.id, 'token', v_token, 'email', i.email, 'user_id', i.user_id, 'role', i.role, 'expires_at', i.expires_at);
end
$$;
revoke all on function door.create_invitation(jsonb) from public;
grant execute on function door.create_invitation(jsonb) to authenticated;

create function public.create_invitation(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_invitation($1); end $$;
comment on function public.create_invitation(jsonb) is '{email | user_id, role, expires_in_hours?} -> {invitation_id, token}: the token is shown this once. Admins.';
revoke all on function public.create_invitation(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_invitation(jsonb) to authenticated;

create function door.list_invitations(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('invitation_id', i.id, 'email', i.email, 'user_id', i.user_id, 'role', i.role, 'created_by', i.created_by,
               'created_at', i.created_at, 'expires_at', i.expires_at, 'accepted_at', i.accepted_at, 'accepted_by', i.accepted_by, 'revoked_at', i.revoked_at) order by i.id), '[]')
    into v_items from (select x.* from tenancy.invitations x
                       where x.tenant_id = v_member.tenant_id and (p ->> 'cursor' is null or x.id > ground.want_uuid(p, 'cursor')) order by x.id limit v_limit) i;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'invitation_id' end);
end
$$;
revoke all on function door.list_invitations(jsonb) from public;
grant execute on function door.list_invitations(jsonb) to authenticated;

create function public.list_invitations(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_invitations($1); end $$;
comment on function public.list_invitations(jsonb) is '{limit?, cursor?} -> {items, next}: never the token itself. Admins.';
revoke all on function public.list_invitations(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_invitations(jsonb) to authenticated;

create function door.revoke_invitation(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
begin
    update tenancy.invitations i set revoked_at = clock_timestamp()
    where i.tenant_id = v_member.tenant_id and i.id = ground.want_uuid(p, 'invitation_id') and i.revoked_at is null and i.accepted_at is null;
    if not found then
        perform ground.fail('INVITATION_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'invitation.revoke', 'invitation', p ->> 'invitation_id');
    return jsonb_build_object('invitation_id', p ->> 'invitation_id', 'revoked', true);
end
$$;
revoke all on function door.revoke_invitation(jsonb) from public;
grant execute on function door.revoke_invitation(jsonb) to authenticated;

create function public.revoke_invitation(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.revoke_invitation($1); end $$;
comment on function public.revoke_invitation(jsonb) is '{invitation_id}: dead at once. Admins.';
revoke all on function public.revoke_invitation(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.revoke_invitation(jsonb) to authenticated;

set role app_system;

-- The invited person is no member yet: the edge function has verified his JWT and vouches for who he is. Whatever is wrong with the
-- invitation has one answer, and an invitation is as good as its maker: an admin still.
create function door.accept_invitation(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a jsonb := ground.claims() -> 'assertion';
    v_user text := a ->> 'user_id';
    i tenancy.invitations;
begin
    if v_user is null or v_user like 'oidc:%' or length(v_user) > 128 then
        perform ground.fail('TOKEN_INVALID', 'assertion');
    end if;
    perform tenancy.lock_members(x.tenant_id) from tenancy.invitations x where x.hash = sha256(convert_to(p ->> 'token', 'UTF8'));
    update tenancy.invitations x set accepted_at = clock_timestamp(), accepted_by = v_user
    where x.hash = sha256(convert_to(p ->> 'token', 'UTF8')) and x.accepted_at is null and x.revoked_at is null and x.expires_at > clock_timestamp()
      and (x.user_id = v_user or x.email = lower(a ->> 'email'))
      and exists (select from tenancy.members m join tenancy.tenants t on t.id = m.tenant_id and t.suspended_at is null
                  where m.tenant_id = x.tenant_id and m.user_id = x.created_by and m.role = 'admin')
    returning x.* into i;
    if not found then
        perform ground.fail('INVITATION_NOT_FOUND');
    end if;
    insert into tenancy.members (tenant_id, user_id, role) values (i.tenant_id, v_user, i.role) on conflict do nothing;
    if not found then  -- a role is changed by admins, not by an old invitation
        perform ground.fail('MEMBER_EXISTS');
    end if;
    update tenancy.invitations x set revoked_at = clock_timestamp()
    where x.tenant_id = i.tenant_id and x.accepted_at is null and x.revoked_at is null and (x.user_id = v_user or x.email = lower(a ->> 'email'));
    perform audit.append(i.tenant_id, 'invitation.accept', 'invitation', i.id::text, jsonb_build_object('user_id', v_user, 'role', i.role), 'invited:' || v_user);
    return jsonb_build_object('tenant_id', i.tenant_id, 'user_id', v_user, 'role', i.role);
end
$$;
revoke all on function door.accept_invitation(jsonb) from public;
grant execute on function door.accept_invitation(jsonb) to anon;

set role app_owner;
create function public.accept_invitation(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.accept_invitation($1); end $$;
comment on function public.accept_invitation(jsonb) is '{token: "crin_…"} under a JWT in which the edge function says who asks -> {tenant_id, user_id, role}.';
revoke all on function public.accept_invitation(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.accept_invitation(jsonb) to anon;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
