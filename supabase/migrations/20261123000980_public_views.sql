-- public: views.
-- GET /rest/v1/<view>: the caller's own rights and row security apply.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

create view public.runs with (security_invoker = true) as
select r.id as run_id, r.tenant_id, r.job_id, r.job_version, r.name, r.job_type, r.state, r.termination_code, r.termination_message, r.priority, r.task_count, r.parent_run_id,
       (select avg(t.percent)::integer from queue.task_runs t where t.tenant_id = r.tenant_id and t.run_id = r.id) as percent,
       r.created_by, r.created_at, r.started_at, r.finished_at, r.cancel_requested_at, r.timeout_seconds as run_timeout_seconds, r.deadline_at
from queue.runs r;
create view public.task_runs with (security_invoker = true) as
select t.id as task_run_id, t.tenant_id, t.run_id, t.task_key, t.kind, t.job_type, t.engine, t.image, t.executors, t.state, t.termination_code, t.termination_message,
       t.percent, t.progress_message, t.depends_on, t.run_if, t.outcome, t.parent_id as parent_task_run_id, t.iteration, t.child_run_id, t.max_retries, t.timeout_seconds,
       t.started_at, t.finished_at
from queue.task_runs t;
create view public.jobs with (security_invoker = true) as
select j.id as job_id, j.tenant_id, j.name, j.current_version as version, j.created_by, j.created_at, j.updated_at from job.jobs j where j.deleted_at is null;
create view public.artifacts with (security_invoker = true) as
select a.id as artifact_id, a.tenant_id, a.name, a.kind, a.description, w.version, w.state, w.size, w.sha256, w.content_type, w.run_id, w.created_by, w.created_at, w.finished_at
from artifact.artifacts a join artifact.versions w on w.tenant_id = a.tenant_id and w.artifact_id = a.id where a.deleted_at is null;
create view public.endpoints with (security_invoker = true) as
select e.id as endpoint_id, e.tenant_id, e.url, e.events, e.description, e.max_concurrency, e.ordered, e.merge_progress, e.ed25519, e.secret_version,
       e.failures, e.failing_since, e.created_at, e.disabled_at, e.disabled_reason
from callback.endpoints e where e.deleted_at is null;
create view public.events with (security_invoker = true) as
select e.id as event_id, e.tenant_id, e.run_id, e.seq, e.type, e.at, e.data from callback.events e;
create view public.deliveries with (security_invoker = true) as
select d.id as delivery_id, d.tenant_id, d.event_id, e.run_id, e.type, e.seq, d.endpoint_id, d.url, d.state, d.tries, d.next_at, d.last_status, d.last_error,
       d.created_at, d.first_tried_at, d.finished_at
from callback.deliveries d join callback.events e on e.tenant_id = d.tenant_id and e.id = d.event_id;
create view public.datasets with (security_invoker = true) as
select d.id as dataset_id, d.tenant_id, d.namespace, d.name, 'dataset:' || d.namespace || ':' || d.name as node_id, d.fields, d.created_at from lineage.datasets d;
create view public.lineage_edges with (security_invoker = true) as
select e.id as edge_id, e.tenant_id, e.src, e.dst, e.job_id, e.method, e.run_id, e.created_at, e.deleted_at from lineage.edges e;
create view public.assets with (security_invoker = true) as
select c.id as asset_id, c.tenant_id, c.layer, c.schema_name, c.name, c.columns, c.row_count, c.classification, coalesce(o.comment, o.source_comment) as comment,
       c.published_by_run, c.published_at
from catalog.assets c
left join catalog.objects o on o.tenant_id = c.tenant_id and o.key = catalog.key_of('table', array['main', c.layer::text, c.name]);
create view public.target_tables with (security_invoker = true) as
select t.id as table_id, t.tenant_id, t.target, t.schema_name, t.name, t.kind, t.columns, t.comment, t.row_estimate, t.dataset_id, t.seen_by_run, t.seen_at,
       t.gone_at
from catalog.target_tables t;
create view public.members with (security_invoker = true) as
select m.tenant_id, m.user_id, m.role, m.created_at from tenancy.members m;
revoke all on public.runs, public.task_runs, public.jobs, public.artifacts, public.endpoints, public.events, public.deliveries, public.datasets,
    public.lineage_edges, public.assets, public.target_tables, public.members from public, anon, authenticated, service_role;
grant select on public.runs, public.task_runs, public.jobs, public.artifacts, public.endpoints, public.events, public.deliveries, public.datasets,
    public.lineage_edges, public.assets, public.target_tables, public.members to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
notify pgrst, 'reload schema';
notify pgrst, 'reload config';
