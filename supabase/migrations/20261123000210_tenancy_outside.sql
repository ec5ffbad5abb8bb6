-- tenancy: who comes from outside. Trusts admit workflows that an issuer vouches for, each token of his once; invitations admit people.

grant app_owner, app_system to postgres;
set role app_owner;

-- A trust acts as a member of its own, `oidc:<id>`: its role is that member's, and goes with him at once.
create table tenancy.trusts (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    user_id text not null generated always as ('oidc:' || id::text) stored,
    name text not null check (length(name) between 1 and 128),
    issuer text not null check (issuer ~ '^https?://[^ ]+$' and length(issuer) <= 256),
    repository text not null check (repository ~ '^[a-z0-9_.-]+/[a-z0-9_.-]+$' and length(repository) <= 256),  -- lower case: GitHub's names are one in any case
    repository_id text check (repository_id ~ '^[0-9]{1,20}$'),  -- a name can be given away and taken by somebody else, its number cannot
    ref text check (ref = '*' or ref ~ '^refs/(heads|tags|pull)/[^ ]+$' and length(ref) <= 256),
    environment text check (length(environment) between 1 and 256),  -- lower case, as repository
    pull_requests boolean not null default false,
    token_seconds integer not null default 900 check (token_seconds between 60 and 3600),
    created_by text not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, user_id) references tenancy.members (tenant_id, user_id) on delete cascade,
    constraint who_is_trusted_says_where_from check (ref is not null or environment is not null)
);
create index trusts_of_member on tenancy.trusts (user_id, tenant_id);
comment on table tenancy.trusts is 'Workflows of an OIDC issuer (GitHub Actions) that a tenant lets in without a stored secret.';

-- No reference to the trust: taking one away and making it anew must not make a spent token good again.
create table tenancy.spent_assertions (
    hash bytea primary key check (length(hash) = 32),  -- of issuer and jti: an id is as long as its issuer likes
    tenant_id uuid not null,
    expires_at timestamptz not null
);
create index spent_assertions_by_end on tenancy.spent_assertions (expires_at);
comment on table tenancy.spent_assertions is 'Internal: each token of an issuer is exchanged once; kept for longer than the token is good.';

create table tenancy.invitations (
    tenant_id uuid not null references tenancy.tenants,
    id uuid not null default gen_random_uuid(),
    email text check (length(email) between 3 and 320),  -- lower case
    user_id text check (length(user_id) between 1 and 128),
    role ground.member_role not null,
    hash bytea not null unique check (length(hash) = 32),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    accepted_at timestamptz,
    accepted_by text,
    revoked_at timestamptz,
    primary key (tenant_id, id),
    constraint an_invitation_names_one check (num_nonnulls(email, user_id) = 1)
);
comment on table tenancy.invitations is 'Who may become a member: only the SHA-256 of crin_… is kept, and it opens for the one who is named alone.';

alter table tenancy.invitations enable row level security;
alter table tenancy.invitations force row level security;
alter table tenancy.trusts enable row level security;
alter table tenancy.trusts force row level security;
alter table tenancy.spent_assertions enable row level security;
alter table tenancy.spent_assertions force row level security;
create policy "doors keep the caller's trusts" on tenancy.trusts for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's invitations" on tenancy.invitations for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the platform keeps invitations" on tenancy.invitations for all to app_system using (true) with check (true);
create policy "the platform keeps trusts" on tenancy.trusts for all to app_system using (true) with check (true);
create policy "the platform keeps what is spent" on tenancy.spent_assertions for all to app_system using (true) with check (true);
grant select, update on tenancy.trusts, tenancy.invitations to app_system;
grant select, insert, delete on tenancy.spent_assertions to app_system;
grant delete on tenancy.access_tokens to app_system;

-- Which claims a trust takes. What is missing is no match; `*` in a ref stands for anything, `/` included. A pull request is not the
-- branch it wants to reach: `pull_request_target` runs under the target's ref, with what a stranger wrote within reach.
create function tenancy.takes(p_trust tenancy.trusts, p_claims jsonb)
returns boolean language sql immutable set search_path = '' as $$
    select coalesce(
        p_trust.issuer = p_claims ->> 'iss'
        and p_trust.repository = lower(p_claims ->> 'repository')
        and (p_trust.repository_id is null or p_trust.repository_id = p_claims ->> 'repository_id')
        and (p_trust.ref is null or p_claims ->> 'ref' like replace(replace(replace(replace(p_trust.ref, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))
        and (p_trust.environment is null or p_trust.environment = lower(p_claims ->> 'environment'))
        and (p_trust.pull_requests or p_claims ->> 'event_name' !~ '^pull_request'),
        false)
$$;
revoke all on function tenancy.takes(tenancy.trusts, jsonb) from public;
grant execute on function tenancy.takes(tenancy.trusts, jsonb) to app_system;

set role postgres;
grant create on schema tenancy to app_system;
set role app_system;

-- Verified claims in, a token of the tenant out: that of the trust with the highest role that takes them. A tenant that is not there
-- and one that does not trust are the same answer, which repeats nothing but the caller's own claims.
create function tenancy.admit(p_tenant text, p_claims jsonb, p_role ground.member_role)
returns jsonb language plpgsql set search_path = '' as $$
declare
    x record;
    v_token uuid;
    v_until timestamptz;
begin
    select k.tenant_id, k.id, k.user_id, k.token_seconds, coalesce(p_role, m.role) as role into x
    from tenancy.tenants t
    join tenancy.trusts k on k.tenant_id = t.id and tenancy.takes(k, p_claims)
    join tenancy.members m on m.tenant_id = k.tenant_id and m.user_id = k.user_id and m.role >= coalesce(p_role, m.role)
    where (t.slug::text = p_tenant or t.id::text = lower(p_tenant)) and t.suspended_at is null
    order by m.role desc, k.created_at, k.id limit 1;
    if not found then
        perform ground.fail('OIDC_NOT_TRUSTED', left(concat_ws(' ', p_claims ->> 'repository', p_claims ->> 'ref', p_claims ->> 'environment', p_claims ->> 'event_name'), 512));
    end if;
    insert into tenancy.spent_assertions (hash, tenant_id, expires_at)
    values (sha256(convert_to((p_claims ->> 'iss') || chr(31) || (p_claims ->> 'jti'), 'UTF8')), x.tenant_id,
            to_timestamp((p_claims ->> 'exp')::double precision) + interval '10 minutes')  -- clocks differ; the edge allows 30 s
    on conflict do nothing;
    if not found then
        perform ground.fail('OIDC_TOKEN_SPENT');
    end if;
    v_until := clock_timestamp() + make_interval(secs => x.token_seconds);
    insert into tenancy.access_tokens as k (tenant_id, user_id, name, role, hash, expires_at, last_used_at)
    values (x.tenant_id, x.user_id, left('oidc ' || concat_ws(' ', p_claims ->> 'repository', p_claims ->> 'run_id', p_claims ->> 'actor'), 128), x.role,
            sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')),  -- of nothing that anybody holds: only its id is used
            v_until, now())
    returning k.id into v_token;
    update tenancy.trusts k set last_used_at = now() where k.tenant_id = x.tenant_id and k.id = x.id;
    return jsonb_build_object('tenant_id', x.tenant_id, 'user_id', x.user_id, 'role', x.role, 'token_id', v_token, 'expires_at', v_until,
                              'trust_id', x.id, 'expires_in', x.token_seconds);
end
$$;
revoke all on function tenancy.admit(text, jsonb, ground.member_role) from public;

-- What is over of what came from outside: spent ids past their token's end, and tokens of trusts a day after theirs.
create function tenancy.forget_outside(p_limit integer)
returns integer language plpgsql set search_path = '' as $$
declare
    v_spent integer;
    v_tokens integer;
begin
    delete from tenancy.spent_assertions s where s.hash in (
        select y.hash from tenancy.spent_assertions y where y.expires_at < clock_timestamp() order by y.expires_at limit p_limit);
    get diagnostics v_spent = row_count;
    delete from tenancy.access_tokens k where (k.tenant_id, k.id) in (
        select y.tenant_id, y.id from tenancy.access_tokens y
        where y.user_id like 'oidc:%' and y.expires_at < clock_timestamp() - interval '1 day' limit p_limit
        for update skip locked);  -- a member who is just removed takes his along
    get diagnostics v_tokens = row_count;
    return v_spent + v_tokens;
end
$$;
revoke all on function tenancy.forget_outside(integer) from public;

set role postgres;
revoke create on schema tenancy from app_system;
revoke app_owner, app_system from postgres;
