-- job: job types, jobs and their versions.

grant app_owner, app_system to postgres;
create schema job authorization app_owner;
set role app_owner;
grant usage on schema job to authenticated, service_role, app_system;

create table job.job_types (
    name ground.slug primary key,
    description text not null,
    engines text[] not null check (cardinality(engines) > 0),  -- the first is the default
    needs_code boolean not null,
    takes_image boolean not null  -- whether a task may name the container image that it runs in
);
insert into job.job_types (name, description, engines, needs_code, takes_image) values
('spark_etl', 'PySpark pipelines', '{duckdb,spark}', true, true),
('diagram_export', 'Visio and draw.io to draw.io, PNG, SVG', '{default}', false, true),
('schema_migration', 'Schema changes of a named target', '{default}', true, false),
('kb_catalog', 'Knowledge bases to catalogued entries', '{default}', false, true),
('code_validation', 'Lint, tests and security scans to SARIF', '{default}', true, true),
('code_generation', 'Code from a spec, by the Continue CLI; the engine is the model', '{model}', false, false);
comment on table job.job_types is 'Internal: the same for every tenant.';

create table job.jobs (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    name ground.label not null,
    current_version integer not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (tenant_id, id)
);
create unique index jobs_have_one_name on job.jobs (tenant_id, name) where deleted_at is null;

create table job.versions (
    tenant_id uuid not null,
    job_id bigint not null,
    version integer not null check (version > 0),
    definition jsonb not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, job_id, version),
    foreign key (tenant_id, job_id) references job.jobs (tenant_id, id)
);
comment on column job.versions.definition is 'Confidential: tasks with code and parameters; read through get_job by operators.';
create trigger versions_are_immutable before update or delete on job.versions
    for each row execute function ground.refuse_change();
create trigger versions_are_never_truncated before truncate on job.versions
    for each statement execute function ground.refuse_change();
alter table job.versions enable always trigger versions_are_immutable;
alter table job.versions enable always trigger versions_are_never_truncated;

alter table job.job_types enable row level security;
alter table job.job_types force row level security;
alter table job.jobs enable row level security;
alter table job.jobs force row level security;
alter table job.versions enable row level security;
alter table job.versions force row level security;

create policy "everyone sees the job types" on job.job_types for select using (true);
create policy "members see their jobs" on job.jobs for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "operators see definitions" on job.versions for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');
create policy "doors keep the caller's jobs" on job.jobs for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's job versions" on job.versions for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker reads jobs" on job.jobs for select to app_system using (true);
create policy "the worker reads job versions" on job.versions for select to app_system using (true);

grant select on job.job_types, job.jobs, job.versions to authenticated;
grant select on job.job_types, job.jobs, job.versions to app_system;

-- Who changes jobs of a tenant, one at a time: two of one name are not made, and an apply meets none half way. The first that a door takes;
-- triggers come after it, lanes after those.
create function job.hold_definitions(p_tenant uuid)
returns void language plpgsql set search_path = '' as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('jobs of ' || p_tenant, 0));
end
$$;
revoke all on function job.hold_definitions(uuid) from public;

set role postgres;
revoke app_owner, app_system from postgres;
