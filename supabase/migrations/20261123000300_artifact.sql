-- artifact: named artifacts, their versions, aliases, tags; the contents behind them; storage policies.
-- Bytes lie in the bucket `artifacts` under <tenant>/<object>; they never pass through SQL. A version that is READY is a name for a
-- content, and a content is kept once per tenant and digest (ADR 042).

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
    classification text not null default 'confidential' check (classification in ('internal', 'confidential')),  -- restricted is never stored
    latest_version integer not null default 0,
    created_by text not null,
    created_at timestamptz not null default now(),
    deleted_at timestamptz,
    deleted_by text,
    primary key (tenant_id, id),
    constraint code_and_logs_are_confidential check (classification = 'confidential' or kind in ('diagram', 'report', 'data'))
);
comment on column artifact.artifacts.classification is 'Who reads the bytes: internal, every member; confidential, operators and admins.';
create unique index artifacts_have_one_name on artifact.artifacts (tenant_id, name) where deleted_at is null;

-- The bytes themselves. The digest is their name; where they lie tells nothing.
create table artifact.contents (
    tenant_id uuid not null references tenancy.tenants,
    sha256 ground.sha256 not null,
    size bigint not null check (size between 0 and 52428800),
    path text not null unique,
    kept_at timestamptz not null default clock_timestamp(),
    missing_since timestamptz,  -- the sweep did not find the object
    gone_at timestamptz,        -- let go; the same bytes may come again
    gone_reason text check (gone_reason in ('deleted', 'retention', 'lost')),
    primary key (tenant_id, sha256),
    constraint gone_for_a_reason check ((gone_at is null) = (gone_reason is null))
);

create table artifact.versions (
    tenant_id uuid not null,
    artifact_id uuid not null,
    version integer not null check (version > 0),
    state artifact.state not null default 'PENDING',
    size bigint not null check (size between 0 and 52428800),
    sha256 ground.sha256,
    content_type text not null default 'application/octet-stream' check (length(content_type) <= 200),
    content text generated always as (case when state = 'READY' then sha256::text end) stored,
    path text not null,
    run_id bigint,
    attempt_id bigint,
    lease integer,
    provenance jsonb not null default '{}',
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
    foreign key (tenant_id, content) references artifact.contents (tenant_id, sha256),
    constraint ready_means_checked check (state <> 'READY' or (sha256 is not null and finished_at is not null))
);
comment on column artifact.versions.provenance is 'What it was made from: {inputs: [{artifact_id, version, name, sha256} | {table} | {uri}], code, task_key, job_id}.';
create unique index pending_versions_have_their_places on artifact.versions (path) where state = 'PENDING';
create index versions_of_content on artifact.versions (content, tenant_id) where content is not null;
create index versions_of_run on artifact.versions (tenant_id, run_id) where run_id is not null;
create index versions_to_check on artifact.versions (uploaded_at) where state = 'PENDING' and uploaded_at is not null;
create index versions_abandoned on artifact.versions (created_at) where state = 'PENDING' and uploaded_at is null;

create table artifact.aliases (
    tenant_id uuid not null,
    artifact_id uuid not null,
    alias ground.slug not null,
    version integer not null,
    moved_by text not null,
    moved_at timestamptz not null default clock_timestamp(),
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

-- What a tenant has stored and has announced, in bytes. Who registers counts under its lock; all else adds a line to moves, which
-- waits for nobody, and the next who registers adds them up.
create table artifact.usage (
    tenant_id uuid primary key references tenancy.tenants,
    bytes bigint not null default 0
);
create table artifact.moves (
    tenant_id uuid not null,
    id bigint generated always as identity,
    bytes bigint not null,
    primary key (tenant_id, id)
);

-- Objects that are to go. A runner claims them, has them deleted through the Storage API, and a row leaves when its object has.
create table artifact.removals (
    tenant_id uuid not null references tenancy.tenants,
    id bigint generated always as identity,
    bucket text not null check (bucket in ('artifacts', 'parcels')),
    path text not null,
    reason text not null check (reason in ('refused', 'expired', 'duplicate', 'replaced', 'deleted', 'retention', 'orphan')),
    due_at timestamptz not null default clock_timestamp(),
    tries integer not null default 0,
    claim uuid,
    claim_expires_at timestamptz,
    token_hash bytea,
    primary key (tenant_id, id),
    unique (bucket, path)
);
create index removals_due on artifact.removals (due_at);
create index removals_claimed on artifact.removals (token_hash) where token_hash is not null;

-- How far the sweep has come, and its patience. One row.
create table artifact.upkeep (
    one boolean primary key default true check (one),
    grace interval not null default '1 day',          -- for an object without a row, and a row without its object
    deleted_grace interval not null default '7 days', -- for the bytes of an artifact that an admin deleted
    every interval not null default '1 hour',
    objects_after text not null default '',
    objects_next timestamptz not null default clock_timestamp(),
    contents_after text not null default '',
    contents_next timestamptz not null default clock_timestamp()
);
insert into artifact.upkeep default values;

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

-- Law: what a digest stands for never changes; only where it lies, once it was gone or missing, and whether it is there.
create function artifact.refuse_other_content()
returns trigger language plpgsql set search_path = '' as $$
begin
    if (new.tenant_id, new.sha256, new.size) is distinct from (old.tenant_id, old.sha256, old.size)
       or new.path <> old.path and old.gone_at is null and old.missing_since is null then
        raise exception using errcode = '42501', message = 'contents_never_change: ' || left(old.sha256, 12);
    end if;
    return new;
end
$$;
revoke all on function artifact.refuse_other_content() from public;
create trigger contents_never_change before update on artifact.contents
    for each row execute function artifact.refuse_other_content();
create trigger contents_are_never_deleted before delete on artifact.contents
    for each row execute function ground.refuse_change();
create trigger contents_are_never_truncated before truncate on artifact.contents
    for each statement execute function ground.refuse_change();
alter table artifact.contents enable always trigger contents_never_change;
alter table artifact.contents enable always trigger contents_are_never_deleted;
alter table artifact.contents enable always trigger contents_are_never_truncated;

-- ------------------------------------------------------------------------------------- row security

alter table artifact.artifacts enable row level security;
alter table artifact.artifacts force row level security;
alter table artifact.versions enable row level security;
alter table artifact.versions force row level security;
alter table artifact.aliases enable row level security;
alter table artifact.aliases force row level security;
alter table artifact.tags enable row level security;
alter table artifact.tags force row level security;
alter table artifact.contents enable row level security;
alter table artifact.contents force row level security;
alter table artifact.usage enable row level security;
alter table artifact.usage force row level security;
alter table artifact.moves enable row level security;
alter table artifact.moves force row level security;
alter table artifact.removals enable row level security;
alter table artifact.removals force row level security;
alter table artifact.upkeep enable row level security;
alter table artifact.upkeep force row level security;

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
create policy "doors keep the caller's contents" on artifact.contents for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's usage" on artifact.usage for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's moves" on artifact.moves for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's removals" on artifact.removals for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));

create policy "the worker keeps artifacts" on artifact.artifacts for all to app_system using (true) with check (true);
create policy "the worker keeps versions" on artifact.versions for all to app_system using (true) with check (true);
create policy "the worker keeps contents" on artifact.contents for all to app_system using (true) with check (true);
create policy "the worker keeps usage" on artifact.usage for all to app_system using (true) with check (true);
create policy "the worker keeps moves" on artifact.moves for all to app_system using (true) with check (true);
create policy "the worker keeps removals" on artifact.removals for all to app_system using (true) with check (true);
create policy "the worker keeps the sweep" on artifact.upkeep for all to app_system using (true) with check (true);
create policy "the worker sees aliases" on artifact.aliases for select to app_system using (true);

grant select on artifact.artifacts, artifact.aliases, artifact.tags to authenticated;
grant select (tenant_id, artifact_id, version, state, size, sha256, content_type, path, run_id, attempt_id, findings, provenance, created_by, created_at,
              uploaded_at, finished_at) on artifact.versions to authenticated;
grant select, insert, update on artifact.artifacts, artifact.versions, artifact.contents, artifact.usage to app_system;
grant select, insert, delete on artifact.moves to app_system;
grant select, insert, update, delete on artifact.removals to app_system;
grant select, update on artifact.upkeep to app_system;
grant select on artifact.aliases to app_system;

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
-- no policy for update or delete: bytes of a version never change, and are removed by the sweep alone, through the Storage API
grant usage on schema storage to app_system;
grant select on storage.objects to app_system;
create policy "the sweep sees what lies there" on storage.objects for select to app_system
    using (bucket_id in ('artifacts', 'parcels'));

revoke app_owner, app_system from postgres;
