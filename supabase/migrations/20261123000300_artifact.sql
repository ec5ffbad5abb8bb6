-- artifact: named artifacts, their versions, aliases, tags; storage policies.
-- Bytes lie in the bucket `artifacts` under <tenant>/<object>; they never pass through SQL.

grant app_owner, app_system to postgres;
create schema artifact authorization app_owner;
set role app_owner;
grant usage on schema artifact to authenticated, service_role, app_system;

create type artifact.kind as enum ('code', 'sql', 'diagram', 'notebook', 'report', 'log', 'data');
create type artifact.state as enum (
    'PENDING',  -- made; bytes not checked yet
    'READY',    -- PENDING -> READY: size, sha256 and secrets checked by the runner; final
    'REFUSED',  -- PENDING -> REFUSED: the check failed; final
    'EXPIRED'   -- PENDING -> EXPIRED: the bytes never came
);

create table artifact.artifacts (
    tenant_id uuid not null references tenancy.tenants,
    id uuid not null default gen_random_uuid(),
    name text not null check (length(name) <= 512 and name ~ '^[^/\\[:cntrl:]][^\\[:cntrl:]]*$' and name !~ '(^|/)\.\.?(/|$)'),
    kind artifact.kind not null,
    description text check (length(description) <= 4000),
    latest_version integer not null default 0,
    created_by text not null,
    created_at timestamptz not null default now(),
    deleted_at timestamptz,
    deleted_by text,
    primary key (tenant_id, id)
);
create unique index artifacts_have_one_name on artifact.artifacts (tenant_id, name) where deleted_at is null;

create table artifact.versions (
    tenant_id uuid not null,
    artifact_id uuid not null,
    version integer not null check (version > 0),
    state artifact.state not null default 'PENDING',
    size bigint not null check (size between 0 and 52428800),
    sha256 ground.sha256,
    content_type text not null default 'application/octet-stream' check (length(content_type) <= 200),
    path text not null unique,
    run_id bigint,
    attempt_id bigint,
    lease integer,
    findings jsonb,
    created_by text not null,
    created_at timestamptz not null default now(),
    uploaded_at timestamptz,
    finished_at timestamptz,
    check_lease integer not null default 0,
    check_expires_at timestamptz,
    check_token_hash bytea,
    primary key (tenant_id, artifact_id, version),
    foreign key (tenant_id, artifact_id) references artifact.artifacts (tenant_id, id),
    constraint ready_means_checked check (state <> 'READY' or (sha256 is not null and finished_at is not null))
);
create index versions_of_run on artifact.versions (tenant_id, run_id) where run_id is not null;
create index versions_to_check on artifact.versions (uploaded_at) where state = 'PENDING' and uploaded_at is not null;
create index versions_abandoned on artifact.versions (created_at) where state = 'PENDING' and uploaded_at is null;

create table artifact.aliases (
    tenant_id uuid not null,
    artifact_id uuid not null,
    alias ground.slug not null,
    version integer not null,
    primary key (tenant_id, artifact_id, alias),
    foreign key (tenant_id, artifact_id, version) references artifact.versions (tenant_id, artifact_id, version)
);
create index aliases_of_version on artifact.aliases (tenant_id, artifact_id, version);

create table artifact.tags (
    tenant_id uuid not null,
    artifact_id uuid not null,
    key ground.label not null,
    value text not null check (length(value) <= 1000),
    primary key (tenant_id, artifact_id, key),
    foreign key (tenant_id, artifact_id) references artifact.artifacts (tenant_id, id)
);

-- Law: a final version never changes.
create function artifact.refuse_final_change()
returns trigger language plpgsql set search_path = '' as $$
begin
    if old.state <> 'PENDING' then
        raise exception using errcode = '42501', message = 'final_versions_are_immutable: version is ' || old.state;
    end if;
    return new;
end
$$;
revoke all on function artifact.refuse_final_change() from public;
create trigger final_versions_are_immutable before update on artifact.versions
    for each row execute function artifact.refuse_final_change();
create trigger versions_are_never_deleted before delete on artifact.versions
    for each row execute function ground.refuse_change();
create trigger versions_are_never_truncated before truncate on artifact.versions
    for each statement execute function ground.refuse_change();
alter table artifact.versions enable always trigger final_versions_are_immutable;
alter table artifact.versions enable always trigger versions_are_never_deleted;
alter table artifact.versions enable always trigger versions_are_never_truncated;

-- ------------------------------------------------------------------------------------- row security

alter table artifact.artifacts enable row level security;
alter table artifact.artifacts force row level security;
alter table artifact.versions enable row level security;
alter table artifact.versions force row level security;
alter table artifact.aliases enable row level security;
alter table artifact.aliases force row level security;
alter table artifact.tags enable row level security;
alter table artifact.tags force row level security;

create policy "members see their artifacts" on artifact.artifacts for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see their versions" on artifact.versions for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see their aliases" on artifact.aliases for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see their tags" on artifact.tags for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));

create policy "doors keep the caller's artifacts" on artifact.artifacts for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's versions" on artifact.versions for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's aliases" on artifact.aliases for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's tags" on artifact.tags for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));

create policy "the worker keeps artifacts" on artifact.artifacts for all to app_system using (true) with check (true);
create policy "the worker keeps versions" on artifact.versions for all to app_system using (true) with check (true);

grant select on artifact.artifacts, artifact.aliases, artifact.tags to authenticated;
grant select (tenant_id, artifact_id, version, state, size, sha256, content_type, path, run_id, attempt_id, findings, created_by, created_at,
              uploaded_at, finished_at) on artifact.versions to authenticated;
grant select, insert, update on artifact.artifacts, artifact.versions to app_system;

-- ------------------------------------------------------------------------------------------ functions

-- Makes the next version of a name, PENDING; the caller's role and tenant were checked by the door.
create function artifact.open_version(
    p_tenant uuid, p_user text, p_name text, p_kind text, p_size bigint, p_sha256 text, p_content_type text,
    p_description text default null, p_run bigint default null, p_attempt bigint default null, p_lease integer default null
)
returns artifact.versions language plpgsql set search_path = '' as $$
declare
    v_artifact uuid;
    v_number integer;
    v artifact.versions;
    v_max bigint;
begin
    if p_name is null or length(p_name) > 512 or p_name !~ '^[^/\\[:cntrl:]][^\\[:cntrl:]]*$' or p_name ~ '(^|/)\.\.?(/|$)' then
        perform ground.fail('FIELD_INVALID', '$.name', 'name must be 1 to 512 characters, no leading slash, no "..".');
    end if;
    if p_kind is null or p_kind <> all (enum_range(null::artifact.kind)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind must be one of ' || array_to_string(enum_range(null::artifact.kind), ', ') || '.');
    end if;
    if p_sha256 is not null and p_sha256 !~ '^[0-9a-f]{64}$' then
        perform ground.fail('FIELD_INVALID', '$.sha256', 'sha256 must be 64 lower-case hex digits.');
    end if;
    if p_size is null or p_size < 0 then
        perform ground.fail('FIELD_INVALID', '$.size', 'size must be the number of bytes.');
    end if;
    select l.max_artifact_bytes into v_max from tenancy.limits l where l.tenant_id = p_tenant;
    if p_size > v_max then
        perform ground.fail('ARTIFACT_TOO_LARGE', format('%s bytes, the limit is %s', p_size, v_max));
    end if;
    insert into artifact.artifacts as a (tenant_id, name, kind, description, created_by, latest_version)
    values (p_tenant, p_name, p_kind::artifact.kind, p_description, p_user, 1)
    on conflict (tenant_id, name) where deleted_at is null
    do update set latest_version = a.latest_version + 1, description = coalesce(excluded.description, a.description)
    returning a.id, a.latest_version into v_artifact, v_number;
    insert into artifact.versions (tenant_id, artifact_id, version, size, sha256, content_type, path, run_id, attempt_id, lease, created_by)
    values (p_tenant, v_artifact, v_number, p_size, p_sha256, coalesce(p_content_type, 'application/octet-stream'),
            p_tenant || '/' || gen_random_uuid(), p_run, p_attempt, p_lease, p_user)
    returning * into v;
    return v;
end
$$;
revoke all on function artifact.open_version(uuid, text, text, text, bigint, text, text, text, bigint, bigint, integer) from public;
grant execute on function artifact.open_version(uuid, text, text, text, bigint, text, text, text, bigint, bigint, integer) to app_system;

-- The newest READY version, or the one that is named; null where there is none.
create function artifact.ready_version(p_tenant uuid, p_artifact uuid, p_version integer default null)
returns artifact.versions language sql stable set search_path = '' as $$
    select v from artifact.versions v
    join artifact.artifacts a on a.tenant_id = v.tenant_id and a.id = v.artifact_id and a.deleted_at is null
    where v.tenant_id = p_tenant and v.artifact_id = p_artifact and v.state = 'READY'
      and (p_version is null or v.version = p_version)
    order by v.version desc limit 1
$$;
revoke all on function artifact.ready_version(uuid, uuid, integer) from public;
grant execute on function artifact.ready_version(uuid, uuid, integer) to app_system;

-- PENDING -> READY | REFUSED; false when it was final already.
create function artifact.judge(p_tenant uuid, p_artifact uuid, p_version integer, p_verdict text, p_size bigint, p_sha256 text, p_findings jsonb)
returns boolean language plpgsql set search_path = '' as $$
begin
    update artifact.versions v
    set state = p_verdict::artifact.state, size = coalesce(p_size, v.size), sha256 = coalesce(p_sha256, v.sha256),
        findings = p_findings, finished_at = now(), uploaded_at = coalesce(v.uploaded_at, now())
    where v.tenant_id = p_tenant and v.artifact_id = p_artifact and v.version = p_version and v.state = 'PENDING';
    return found;
end
$$;
revoke all on function artifact.judge(uuid, uuid, integer, text, bigint, text, jsonb) from public;
grant execute on function artifact.judge(uuid, uuid, integer, text, bigint, text, jsonb) to app_system;

set role postgres;

-- ---------------------------------------------------------------------------------------- the bucket

insert into storage.buckets (id, name, public, file_size_limit)
values ('artifacts', 'artifacts', false, 52428800)
on conflict (id) do update set public = false, file_size_limit = excluded.file_size_limit;

-- Signed URLs are the usual way; these hold for a member who speaks to Storage directly.
-- The pre-request does not run there: tenancy.tenant_id() reads the membership itself.
create policy "members read their tenant's bytes" on storage.objects for select to authenticated
    using (bucket_id = 'artifacts'
           and (storage.foldername(name))[1] = (select tenancy.tenant_id())::text
           and (select tenancy.role()) >= 'operator');
create policy "operators put the bytes of a pending version" on storage.objects for insert to authenticated
    with check (bucket_id = 'artifacts'
                and (storage.foldername(name))[1] = (select tenancy.tenant_id())::text
                and (select tenancy.role()) >= 'operator'
                and name in (select v.path from artifact.versions v where v.state = 'PENDING'));
-- no policy for update or delete: bytes of a version never change, and are removed by the sweeper alone

revoke app_owner, app_system from postgres;
