-- tenancy: tenants, limits, members, grants, access tokens, the token hook, the pre-request check.
-- The membership row is the authority; what a token claims is a hint that can only lower it.

grant app_owner, app_system to postgres;
create schema tenancy authorization app_owner;
set role app_owner;
grant usage on schema tenancy to anon, authenticated, service_role, app_system, supabase_auth_admin;

create table tenancy.tenants (
    id uuid primary key default gen_random_uuid(),
    slug ground.slug not null unique,
    name text not null check (length(name) between 1 and 200),
    validation_policy text not null default 'warn' check (validation_policy in ('off', 'warn', 'enforce')),
    validation_fail_on text not null default 'error' check (validation_fail_on in ('error', 'warning', 'note')),  -- unless a job says otherwise
    created_at timestamptz not null default now(),
    suspended_at timestamptz
);
comment on table tenancy.tenants is 'Internal: who uses this control room.';
create trigger tenants_are_never_deleted before delete on tenancy.tenants for each row execute function ground.refuse_change();
create trigger tenants_are_never_truncated before truncate on tenancy.tenants for each statement execute function ground.refuse_change();
alter table tenancy.tenants enable always trigger tenants_are_never_deleted;
alter table tenancy.tenants enable always trigger tenants_are_never_truncated;

create table tenancy.limits (
    tenant_id uuid primary key references tenancy.tenants,
    max_running integer not null default 10 check (max_running between 0 and 100000),
    timeout_seconds integer not null default 600 check (timeout_seconds between 1 and 86400),
    max_retries integer not null default 3 check (max_retries between 0 and 10),
    max_executors integer not null default 8 check (max_executors between 0 and 100),  -- of Spark, for one attempt
    max_artifact_bytes bigint not null default 52428800 check (max_artifact_bytes between 0 and 52428800),
    max_stored_bytes bigint not null default 10737418240 check (max_stored_bytes between 0 and 1125899906842624),
    artifact_retention_days integer check (artifact_retention_days between 1 and 3650),  -- null: until they are deleted
    retention_days integer not null default 60 check (retention_days between 7 and 3650)  -- of history; a callback is tried for 75 h
);
comment on table tenancy.limits is 'One row per tenant; the defaults are the product''s.';

create table tenancy.members (
    tenant_id uuid not null references tenancy.tenants,
    user_id text not null check (length(user_id) between 1 and 128),
    role ground.member_role not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, user_id)
);
create index members_by_user on tenancy.members (user_id, created_at);
comment on table tenancy.members is 'The authority on who may what; read anew in every request.';

create table tenancy.grants (
    tenant_id uuid not null references tenancy.tenants,
    kind text not null check (kind in ('secret', 'target', 'namespace', 'model', 'image', 'unpinned_image', 'network', 'n8n_workflow')),
    name text not null check (length(name) between 1 and 256),
    granted_at timestamptz not null default now(),
    primary key (tenant_id, kind, name)
);
comment on table tenancy.grants is 'Named things of the runner''s environment that a tenant may use; default deny.';

create table tenancy.access_tokens (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    user_id text not null,
    name text not null check (length(name) between 1 and 128),
    role ground.member_role not null,
    hash bytea not null unique check (length(hash) = 32),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, user_id) references tenancy.members (tenant_id, user_id) on delete cascade
);
create index access_tokens_of_member on tenancy.access_tokens (user_id, tenant_id);
comment on table tenancy.access_tokens is 'Machine tokens cr_…: only the SHA-256 is kept; shown once.';

-- ------------------------------------------------------------------------------------- who is asking

create type tenancy.membership as (tenant_id uuid, user_id text, role ground.member_role);

-- One indexed look-up per statement: removed, demoted, revoked or suspended means the very next request.
create function tenancy.membership()
returns tenancy.membership language plpgsql stable security definer set search_path = '' as $$
declare
    c ground.caller := ground.caller();
    v_role ground.member_role;
begin
    if c.tenant_id is null or c.user_id is null or c.role is null then
        return null;
    end if;
    select least(m.role, c.role) into v_role
    from tenancy.members m
    join tenancy.tenants t on t.id = m.tenant_id and t.suspended_at is null
    where m.tenant_id = c.tenant_id and m.user_id = c.user_id;
    if v_role is not null and c.token_id is not null then
        select min(least(v_role, k.role)) into v_role  -- no such token, or a dead one: null
        from tenancy.access_tokens k
        where k.tenant_id = c.tenant_id and k.user_id = c.user_id and k.id::text = c.token_id
          and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
    end if;
    return case when v_role is null then null else (c.tenant_id, c.user_id, v_role)::tenancy.membership end;
end
$$;
revoke all on function tenancy.membership() from public;
grant execute on function tenancy.membership() to anon, authenticated, service_role, app_system;

create function tenancy.tenant_id()
returns uuid language plpgsql stable set search_path = '' as $$
begin
    return (tenancy.membership()).tenant_id;
end
$$;
revoke all on function tenancy.tenant_id() from public;
grant execute on function tenancy.tenant_id() to anon, authenticated, service_role, app_system;

create function tenancy.role()
returns ground.member_role language plpgsql stable set search_path = '' as $$
begin
    return (tenancy.membership()).role;
end
$$;
revoke all on function tenancy.role() from public;
grant execute on function tenancy.role() to anon, authenticated, service_role, app_system;

-- The namespace of a tenant's own datasets in the lineage.
create function tenancy.namespace_of(p_tenant uuid)
returns text language plpgsql stable set search_path = '' as $$
begin
    return 'control-room://' || (select t.slug from tenancy.tenants t where t.id = p_tenant);
end
$$;
revoke all on function tenancy.namespace_of(uuid) from public;
grant execute on function tenancy.namespace_of(uuid) to authenticated, app_system;

-- The first line of every door: who, of which tenant, with at least this role.
create function tenancy.require(p_role ground.member_role)
returns tenancy.membership language plpgsql stable set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.membership();
begin
    if v_member.tenant_id is not null and v_member.role >= p_role then
        return v_member;
    end if;
    if v_member.tenant_id is not null then
        perform ground.fail('ROLE_INSUFFICIENT', format('this needs the role %s, the member has %s', p_role, v_member.role));
    elsif ground.claims() = '{}' or ground.claims() ->> 'role' = 'anon' then
        perform ground.fail('TOKEN_MISSING');
    elsif ground.claimed_tenant_id() is null or ground.user_id() is null then
        perform ground.fail('TENANT_MISSING');
    else
        perform ground.fail('MEMBERSHIP_MISSING');
    end if;
    return null;
end
$$;
revoke all on function tenancy.require(ground.member_role) from public;
grant execute on function tenancy.require(ground.member_role) to anon, authenticated, service_role, app_system;

-- Data API only, before every request. Doors and policies check again, so its absence opens nothing.
create function tenancy.pre_request()
returns void language plpgsql stable set search_path = '' as $$
declare
    v_length text := nullif(current_setting('request.headers', true), '')::jsonb ->> 'content-length';
begin
    -- PostgREST takes bodies of any size; before Postgres reads one, its length is looked at
    if v_length ~ '^[0-9]{1,18}$' and v_length::bigint > 16777216 then
        perform ground.fail('BODY_TOO_LARGE', '16777216 bytes');
    end if;
    if coalesce(ground.claims() ->> 'role', 'anon') not in ('anon', 'service_role') then
        perform tenancy.require('viewer');
    end if;
end
$$;
revoke all on function tenancy.pre_request() from public;
grant execute on function tenancy.pre_request() to anon, authenticated, service_role;

-- Whoever changes who is in takes this first: one after another, so that nobody waits in a ring and each sees what the last one left.
create function tenancy.lock_members(p_tenant uuid)
returns void language sql volatile set search_path = '' as $$
    select pg_advisory_xact_lock(hashtextextended('members of ' || p_tenant, 0))
$$;
revoke all on function tenancy.lock_members(uuid) from public;
grant execute on function tenancy.lock_members(uuid) to app_system;

create function tenancy.is_granted(p_tenant uuid, p_kind text, p_name text)
returns boolean language sql stable set search_path = '' as $$
    select exists (select from tenancy.grants g where g.tenant_id = p_tenant and g.kind = p_kind and g.name = p_name)
$$;
revoke all on function tenancy.is_granted(uuid, text, text) from public;
grant execute on function tenancy.is_granted(uuid, text, text) to app_system;

-- ------------------------------------------------------------------------------------- row security

alter table tenancy.tenants enable row level security;
alter table tenancy.tenants force row level security;
alter table tenancy.limits enable row level security;
alter table tenancy.limits force row level security;
alter table tenancy.members enable row level security;
alter table tenancy.members force row level security;
alter table tenancy.grants enable row level security;
alter table tenancy.grants force row level security;
alter table tenancy.access_tokens enable row level security;
alter table tenancy.access_tokens force row level security;

-- doors run as app_owner: they have asked tenancy.require() first, and stay inside the claimed tenant
create policy "doors see the caller's tenant" on tenancy.tenants for select to app_owner
    using (id = (select ground.claimed_tenant_id()));
create policy "doors see the caller's limits" on tenancy.limits for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's members" on tenancy.members for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors see the caller's grants" on tenancy.grants for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's access tokens" on tenancy.access_tokens for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));

create policy "members see their tenant" on tenancy.tenants for select to authenticated
    using (id = (select tenancy.tenant_id()));
create policy "members see their limits" on tenancy.limits for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see each other" on tenancy.members for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see what is granted" on tenancy.grants for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "admins see access tokens" on tenancy.access_tokens for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) = 'admin');

create policy "the platform keeps tenants" on tenancy.tenants for all to app_system using (true) with check (true);
create policy "the platform keeps limits" on tenancy.limits for all to app_system using (true) with check (true);
create policy "the platform keeps members" on tenancy.members for all to app_system using (true) with check (true);
create policy "the platform keeps grants" on tenancy.grants for all to app_system using (true) with check (true);
create policy "the platform keeps access tokens" on tenancy.access_tokens for all to app_system using (true) with check (true);

grant select on tenancy.tenants, tenancy.limits, tenancy.members, tenancy.grants to authenticated;
grant select (tenant_id, id, user_id, name, role, created_at, expires_at, last_used_at, revoked_at)
    on tenancy.access_tokens to authenticated;
grant select, insert, update on tenancy.tenants, tenancy.limits, tenancy.access_tokens to app_system;
grant select, insert, update, delete on tenancy.members, tenancy.grants to app_system;

-- ------------------------------------------------------------------------- the cross-tenant functions

set role postgres;
grant create on schema tenancy to app_system;
set role app_system;

-- Supabase Auth calls this while it makes a token; without a membership the claims stay as they are.
create function tenancy.custom_access_token_hook(event jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_user text := event ->> 'user_id';
    v_wanted text := event #>> '{claims,app_metadata,tenant_id}';
    m tenancy.members;
begin
    select x.* into m
    from tenancy.members x
    join tenancy.tenants t on t.id = x.tenant_id and t.suspended_at is null
    where x.user_id = v_user
    order by (x.tenant_id::text = v_wanted) desc nulls last, x.created_at, x.tenant_id
    limit 1;
    if not found then
        return event;
    end if;
    return jsonb_set(event, '{claims}', coalesce(event -> 'claims', '{}') || jsonb_build_object(
        'tenant_id', m.tenant_id, 'user_id', m.user_id, 'user_role', m.role));
end
$$;
revoke all on function tenancy.custom_access_token_hook(jsonb) from public;
grant execute on function tenancy.custom_access_token_hook(jsonb) to supabase_auth_admin;

create function tenancy.create_tenant(p_slug text, p_name text)
returns uuid language plpgsql set search_path = '' as $$
declare
    v_id uuid;
begin
    insert into tenancy.tenants (slug, name) values (p_slug, coalesce(p_name, p_slug))
    on conflict (slug) do nothing returning id into v_id;
    if v_id is null then
        perform ground.fail('TENANT_EXISTS', p_slug);
    end if;
    insert into tenancy.limits (tenant_id) values (v_id);
    return v_id;
end
$$;
revoke all on function tenancy.create_tenant(text, text) from public;

create function tenancy.find_tenant(p_slug_or_id text)
returns tenancy.tenants language plpgsql stable set search_path = '' as $$
declare
    t tenancy.tenants;
begin
    select x.* into t from tenancy.tenants x where x.slug::text = p_slug_or_id or x.id::text = p_slug_or_id;
    if not found then
        perform ground.fail('TENANT_NOT_FOUND', left(coalesce(p_slug_or_id, ''), 64));
    end if;
    return t;
end
$$;
revoke all on function tenancy.find_tenant(text) from public;

-- A machine token in, who it stands for out; last_used_at is kept to the minute so that reads stay reads.
create function tenancy.open_access_token(p_token text)
returns jsonb language plpgsql set search_path = '' as $$
declare
    k tenancy.access_tokens;
    v_role ground.member_role;
begin
    select x.* into k from tenancy.access_tokens x
    where x.hash = sha256(convert_to(p_token, 'UTF8')) and x.revoked_at is null
      and (x.expires_at is null or x.expires_at > now());
    if found then
        select least(m.role, k.role) into v_role from tenancy.members m
        join tenancy.tenants t on t.id = m.tenant_id and t.suspended_at is null
        where m.tenant_id = k.tenant_id and m.user_id = k.user_id;
    end if;
    if v_role is null then
        perform ground.fail('TOKEN_INVALID', 'access token');
    end if;
    update tenancy.access_tokens x set last_used_at = now()
    where x.tenant_id = k.tenant_id and x.id = k.id
      and (x.last_used_at is null or x.last_used_at < now() - interval '1 minute');
    return jsonb_build_object('tenant_id', k.tenant_id, 'user_id', k.user_id, 'role', v_role,
                              'token_id', k.id, 'expires_at', k.expires_at);
end
$$;
revoke all on function tenancy.open_access_token(text) from public;

set role postgres;
revoke create on schema tenancy from app_system;
alter role authenticator set pgrst.db_pre_request = 'tenancy.pre_request';
revoke app_owner, app_system from postgres;
