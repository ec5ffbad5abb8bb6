-- public: access tokens, of one's own; admins see and revoke all.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

create function door.create_token(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_token text := 'cr_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    v_role ground.member_role;
    k tenancy.access_tokens;
begin
    perform ground.refuse_unknown(p, array['name', 'role', 'expires_at']);
    if ground.claims() ? 'token_id' then
        perform ground.fail('ROLE_INSUFFICIENT', 'a machine token makes no tokens');
    elsif length(coalesce(p ->> 'name', '')) not between 1 and 128 then
        perform ground.fail('FIELD_INVALID', '$.name');
    elsif coalesce(p ->> 'role', 'viewer') not in ('viewer', 'operator', 'admin') then
        perform ground.fail('FIELD_INVALID', '$.role', 'role is viewer, operator or admin.');
    end if;
    v_role := coalesce(p ->> 'role', 'viewer')::ground.member_role;
    if v_role > v_member.role then
        perform ground.fail('ROLE_INSUFFICIENT', 'a token may not do more than its maker');
    end if;
    insert into tenancy.access_tokens as x (tenant_id, user_id, name, role, hash, expires_at)
    values (v_member.tenant_id, v_member.user_id, p ->> 'name', v_role, sha256(convert_to(v_token, 'UTF8')), ground.want_time(p, 'expires_at'))
    returning x.* into k;
    perform audit.append(v_member.tenant_id, 'token.create', 'token', k.id::text, jsonb_build_object('name', k.name, 'role', k.role));
    perform ground.answer_status(201);
    return jsonb_build_object('token_id', k.id, 'token', v_token, 'name', k.name, 'role', k.role, 'expires_at', k.expires_at);
end
$$;
revoke all on function door.create_token(jsonb) from public;
grant execute on function door.create_token(jsonb) to authenticated;

create function public.create_token(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_token($1); end $$;
comment on function public.create_token(jsonb) is '{name, role?, expires_at?} -> {token_id, token}: the token is shown this once.';
revoke all on function public.create_token(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_token(jsonb) to authenticated;

create function door.revoke_token(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
begin
    update tenancy.access_tokens k set revoked_at = now()
    where k.tenant_id = v_member.tenant_id and k.id = ground.want_uuid(p, 'token_id') and k.revoked_at is null
      and (v_member.role = 'admin' or k.user_id = v_member.user_id);
    if not found then
        perform ground.fail('ACCESS_TOKEN_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'token.revoke', 'token', p ->> 'token_id');
    return jsonb_build_object('token_id', p ->> 'token_id', 'revoked', true);
end
$$;
revoke all on function door.revoke_token(jsonb) from public;
grant execute on function door.revoke_token(jsonb) to authenticated;

create function public.revoke_token(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.revoke_token($1); end $$;
comment on function public.revoke_token(jsonb) is '{token_id}: dead at once. One''s own; admins any.';
revoke all on function public.revoke_token(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.revoke_token(jsonb) to authenticated;

create function door.list_tokens(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(jsonb_build_object('token_id', k.id, 'user_id', k.user_id, 'name', k.name, 'role', k.role, 'created_at', k.created_at,
               'expires_at', k.expires_at, 'last_used_at', k.last_used_at, 'revoked_at', k.revoked_at) order by k.id), '[]')
    into v_items from (select x.* from tenancy.access_tokens x
                       where x.tenant_id = v_member.tenant_id and (v_member.role = 'admin' or x.user_id = v_member.user_id)
                         and (p ->> 'cursor' is null or x.id > ground.want_uuid(p, 'cursor')) order by x.id limit v_limit) k;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'token_id' end);
end
$$;
revoke all on function door.list_tokens(jsonb) from public;
grant execute on function door.list_tokens(jsonb) to authenticated;

create function public.list_tokens(jsonb)
returns jsonb language sql stable set search_path = '' as $$ select door.list_tokens($1) $$;
comment on function public.list_tokens(jsonb) is '{limit?, cursor?} -> {items, next}: one''s own; admins see all. Never the token itself.';
revoke all on function public.list_tokens(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_tokens(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
