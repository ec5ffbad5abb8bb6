-- public: trusts, by which workflows outside come in without a stored secret; and the exchange of what their issuer vouches for.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- Who lets others in is a person: a stolen machine token must not make itself a way back.
create function door.refuse_machine()
returns void language plpgsql stable set search_path = '' as $$
begin
    if ground.claims() ? 'token_id' then
        perform ground.fail('ROLE_INSUFFICIENT', 'a machine token lets nobody in');
    end if;
end
$$;
revoke all on function door.refuse_machine() from public;

create function door.want_role(p jsonb)
returns ground.member_role language plpgsql immutable set search_path = '' as $$
begin
    if coalesce(p ->> 'role', '') not in ('viewer', 'operator', 'admin') then
        perform ground.fail('FIELD_INVALID', '$.role', 'role is viewer, operator or admin.');
    end if;
    return (p ->> 'role')::ground.member_role;
end
$$;
revoke all on function door.want_role(jsonb) from public;
grant execute on function door.want_role(jsonb) to app_system;

create function door.create_trust(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id uuid := gen_random_uuid();
    v_role ground.member_role;
    v_seconds integer;
begin
    perform door.refuse_machine();
    perform ground.refuse_unknown(p, array['name', 'issuer', 'repository', 'repository_id', 'ref', 'environment', 'pull_requests', 'role', 'token_seconds']);
    v_role := door.want_role(p);
    v_seconds := job.check_integer(p, 'token_seconds', '$', 60, 3600, 900);
    if length(coalesce(p ->> 'name', '')) not between 1 and 128 then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is 1 to 128 characters.');
    elsif coalesce(p ->> 'repository', '') !~ '^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$' or length(p ->> 'repository') > 256 then
        perform ground.fail('FIELD_INVALID', '$.repository', 'repository is owner/name, in full.');
    elsif p ->> 'repository_id' !~ '^[0-9]{1,20}$' then
        perform ground.fail('FIELD_INVALID', '$.repository_id', 'repository_id is the number of the repository.');
    elsif p ->> 'ref' <> '*' and (p ->> 'ref' !~ '^refs/(heads|tags|pull)/[^ ]+$' or length(p ->> 'ref') > 256) then
        perform ground.fail('FIELD_INVALID', '$.ref', 'ref is refs/heads/… or refs/tags/…, with * for anything; or * alone.');
    elsif length(p ->> 'environment') not between 1 and 256 then
        perform ground.fail('FIELD_INVALID', '$.environment', 'environment is 1 to 256 characters.');
    elsif p ->> 'ref' is null and p ->> 'environment' is null then
        perform ground.fail('FIELD_INVALID', '$.ref', 'Say the ref or the environment that is trusted; ref "*" trusts every branch and tag.');
    elsif coalesce(jsonb_typeof(p -> 'pull_requests'), 'boolean') <> 'boolean' then
        perform ground.fail('FIELD_INVALID', '$.pull_requests', 'pull_requests is true or false.');
    elsif p ->> 'issuer' !~ '^https?://[^ ]+$' or length(p ->> 'issuer') > 256 then
        perform ground.fail('FIELD_INVALID', '$.issuer', 'issuer is the URL that its tokens name as iss.');
    end if;
    insert into tenancy.members (tenant_id, user_id, role) values (v_member.tenant_id, 'oidc:' || v_id, v_role);
    insert into tenancy.trusts (tenant_id, id, name, issuer, repository, repository_id, ref, environment, pull_requests, token_seconds, created_by)
    values (v_member.tenant_id, v_id, p ->> 'name', coalesce(rtrim(p ->> 'issuer', '/'), 'https://token.actions.githubusercontent.com'), lower(p ->> 'repository'),
            p ->> 'repository_id', p ->> 'ref', lower(p ->> 'environment'), coalesce((p ->> 'pull_requests')::boolean, false), v_seconds, v_member.user_id);
    perform audit.append(v_member.tenant_id, 'trust.create', 'trust', v_id::text, p);
    perform ground.answer_status(201);
    return door.trust(v_member.tenant_id, v_id);
end
$$;
revoke all on function door.create_trust(jsonb) from public;
grant execute on function door.create_trust(jsonb) to authenticated;

-- One trust as it is told.
create function door.trust(p_tenant uuid, p_id uuid)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('trust_id', k.id, 'user_id', k.user_id, 'name', k.name, 'issuer', k.issuer, 'repository', k.repository, 'repository_id', k.repository_id,
               'ref', k.ref, 'environment', k.environment, 'pull_requests', k.pull_requests, 'role', m.role, 'token_seconds', k.token_seconds,
               'created_by', k.created_by, 'created_at', k.created_at, 'last_used_at', k.last_used_at)
    from tenancy.trusts k join tenancy.members m on m.tenant_id = k.tenant_id and m.user_id = k.user_id
    where k.tenant_id = p_tenant and k.id = p_id
$$;
revoke all on function door.trust(uuid, uuid) from public;

create function public.create_trust(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_trust($1); end $$;
comment on function public.create_trust(jsonb) is '{name, repository, ref | environment, role, repository_id?, pull_requests?, token_seconds?, issuer?}: lets a workflow in. Admins.';
revoke all on function public.create_trust(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_trust(jsonb) to authenticated;

create function door.list_trusts(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(door.trust(k.tenant_id, k.id) order by k.id), '[]') into v_items
    from (select x.* from tenancy.trusts x where x.tenant_id = v_member.tenant_id and (p ->> 'cursor' is null or x.id > ground.want_uuid(p, 'cursor'))
          order by x.id limit v_limit) k;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'trust_id' end);
end
$$;
revoke all on function door.list_trusts(jsonb) from public;
grant execute on function door.list_trusts(jsonb) to authenticated;

create function public.list_trusts(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_trusts($1); end $$;
comment on function public.list_trusts(jsonb) is '{limit?, cursor?} -> {items, next}. Admins.';
revoke all on function public.list_trusts(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_trusts(jsonb) to authenticated;

-- With the member that the trust acts as go the trust and every token it gave.
create function door.delete_trust(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_id uuid := ground.want_uuid(p, 'trust_id');
begin
    perform tenancy.lock_members(v_member.tenant_id);
    delete from tenancy.members m using tenancy.trusts k
    where k.tenant_id = v_member.tenant_id and k.id = v_id and m.tenant_id = k.tenant_id and m.user_id = k.user_id;
    if not found then
        perform ground.fail('TRUST_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'trust.delete', 'trust', v_id::text);
    return jsonb_build_object('trust_id', v_id, 'deleted', true);
end
$$;
revoke all on function door.delete_trust(jsonb) from public;
grant execute on function door.delete_trust(jsonb) to authenticated;

create function public.delete_trust(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_trust($1); end $$;
comment on function public.delete_trust(jsonb) is '{trust_id}: the trust and what it gave are dead at once. Admins.';
revoke all on function public.delete_trust(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_trust(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------ the exchange

set role app_system;

-- The claims were verified by the edge function, which says so in a JWT of its own key (`assertion`): the one thing a caller cannot
-- write himself. In the body is only what anybody may ask for: which tenant, and no more than which role.
create function door.exchange_assertion(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a jsonb := ground.claims() -> 'assertion';
    v jsonb;
begin
    if jsonb_typeof(a) is distinct from 'object' or a ->> 'iss' is null or a ->> 'jti' is null or jsonb_typeof(a -> 'exp') is distinct from 'number' then
        perform ground.fail('TOKEN_INVALID', 'assertion');
    end if;
    perform ground.refuse_unknown(p, array['tenant', 'role']);
    v := tenancy.admit(p ->> 'tenant', a, case when p ? 'role' then door.want_role(p) end);
    perform audit.append((v ->> 'tenant_id')::uuid, 'token.exchange', 'trust', v ->> 'trust_id',
        jsonb_build_object('token_id', v -> 'token_id', 'role', v -> 'role', 'subject', a -> 'sub', 'repository', a -> 'repository', 'ref', a -> 'ref',
                           'environment', a -> 'environment', 'event', a -> 'event_name', 'run_id', a -> 'run_id', 'actor', a -> 'actor'), v ->> 'user_id');
    return v;
end
$$;
revoke all on function door.exchange_assertion(jsonb) from public;
grant execute on function door.exchange_assertion(jsonb) to anon;

set role app_owner;
create function public.exchange_assertion(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.exchange_assertion($1); end $$;
comment on function public.exchange_assertion(jsonb) is '{tenant, role?} under a JWT in which the edge function says whom an issuer vouches for -> as exchange_token.';
revoke all on function public.exchange_assertion(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.exchange_assertion(jsonb) to anon;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
