-- public: coverage: what is declared or was seen to flow, minus what the graph knows, must be empty. And the events as they came, with what
-- was found in their facets.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_system;
grant execute on function catalog.schema_of(text, text) to app_owner;
set role app_owner;

-- Every flow that is owed to the graph since a time, by whom it is known to exist, and whether the graph has it. None of this is read off the
-- lineage itself: what was asked for, what lies in the registry and in the layers, Postgres' own dependencies, what witnesses saw.
create function door.flows_due(p_tenant uuid, p_since timestamptz)
returns table (witness text, source text, target text, job text, run_id bigint, since timestamptz, known boolean)
language plpgsql stable rows 200 set search_path = '' as $$
#variable_conflict use_column
declare
    v_space text := tenancy.namespace_of(p_tenant);
    v_slug text := substr(v_space, length('control-room://') + 1);
begin
    return query
    with work as materialized (  -- what succeeded, and what it was asked to read and to write
        select r.id as run_id, r.finished_at, coalesce(nullif(r.name, ''), k.task_key) as job, k.job_type, p.inputs, p.outputs, p.params, coalesce(p.code, w.code) as code
        from queue.runs r
        join queue.task_runs k on k.run_id = r.id and k.tenant_id = r.tenant_id and k.state = 'SUCCEEDED' and k.kind = 'work' and k.reused_from is null
        join queue.payloads p on p.tenant_id = k.tenant_id and p.task_run_id = k.id
        left join queue.payloads w on w.tenant_id = k.tenant_id and w.task_run_id = p.code_of
        where r.tenant_id = p_tenant and r.finished_at >= p_since
    ), layer as (
        select y.layer::text as layer, n.oid as id from unnest(enum_range(null::catalog.layer)) y (layer) join pg_catalog.pg_namespace n on n.nspname = catalog.schema_of(v_slug, y.layer::text)
    ), due (witness, job_space, job, src_space, src, dst_space, dst, run_id, since) as (
        select 'output', v_space, w.job, null, null, v_space, (d ->> 'layer') || '.' || (d ->> 'table'), w.run_id, w.finished_at
        from work w cross join jsonb_array_elements(w.outputs) d where d ? 'table'
        union all
        select 'input', v_space, w.job, case when i ? 'table' then v_space else v_space || '/artifacts' end, coalesce(i ->> 'table', f.name), null, null, w.run_id, w.finished_at
        from work w cross join jsonb_array_elements(w.inputs) i
        left join artifact.artifacts f on f.tenant_id = p_tenant and f.id = (i ->> 'artifact_id')::uuid
        where w.job_type in ('spark_etl', 'diagram_export', 'kb_catalog') and coalesce(i ->> 'table', f.name) is not null
        union all
        select 'code', v_space, w.job, v_space || '/artifacts', f.name, null, null, w.run_id, w.finished_at
        from work w join artifact.artifacts f on f.tenant_id = p_tenant and f.id = (w.code ->> 'artifact_id')::uuid
        where exists (select from artifact.versions x where x.tenant_id = p_tenant and x.run_id = w.run_id) or w.outputs @? '$[*].table'
        union all
        select 'odoo', v_space, w.job, format('odoo://%s/%s', regexp_replace(m ->> 'url', '^\w+://([^/@]*@)?([^/]*).*$', '\2'), m ->> 'database'), m ->> 'model',
               v_space, 'catalog.' || coalesce(w.params ->> 'collection', 'documents'), w.run_id, w.finished_at
        from work w cross join jsonb_array_elements(case jsonb_typeof(w.params -> 'odoo') when 'array' then w.params -> 'odoo' else '[]' end) m where w.job_type = 'kb_catalog'
        union all
        select 'entries', v_space, w.job, null, null, v_space, 'catalog.' || coalesce(w.params ->> 'collection', 'documents'), w.run_id, w.finished_at
        from work w where w.job_type = 'kb_catalog'
        union all
        select distinct on (f.name) 'artifact', null, null, null, null, v_space || '/artifacts', f.name, x.run_id, x.finished_at
        from artifact.versions x join artifact.artifacts f on f.tenant_id = x.tenant_id and f.id = x.artifact_id and f.kind <> 'log'  -- a log speaks of the work
        where x.tenant_id = p_tenant and x.state = 'READY' and x.run_id is not null and x.finished_at >= p_since
        union all
        select 'view', null, null, v_space, m.layer || '.' || s.relname, v_space, l.layer || '.' || v.relname, null, null
        from lineage.views_over(array(select c.oid from catalog.assets a join pg_catalog.pg_namespace n on n.nspname = a.schema_name
                                      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = a.name where a.tenant_id = p_tenant)) x
        join pg_catalog.pg_class v on v.oid = x.view join layer l on l.id = v.relnamespace
        join pg_catalog.pg_class s on s.oid = x.source join layer m on m.id = s.relnamespace
        union all
        select 'rollup', null, null, v_space, u.source_layer || '.' || u.source_table, v_space, 'gold.' || u.name, a.published_by_run, a.published_at
        from catalog.rollups u join catalog.assets a on a.tenant_id = u.tenant_id and a.layer = 'gold' and a.name = u.name
        where u.tenant_id = p_tenant and a.published_at >= p_since
        union all
        select w.witness, null, null, s.namespace, s.name, d.namespace, d.name, w.run_id, w.seen_at
        from lineage.witnessed w
        left join lineage.datasets s on s.tenant_id = w.tenant_id and s.id = w.src
        join lineage.datasets d on d.tenant_id = w.tenant_id and d.id = w.dst
        where w.tenant_id = p_tenant and w.witness <> 'n8n' and w.gone_at is null and (w.witness = 'pg_depend' or w.seen_at >= p_since)
        union all
        select 'n8n', j.namespace, w.place, null, null, d.namespace, d.name, w.run_id, w.seen_at
        from lineage.witnessed w
        left join lineage.datasets d on d.tenant_id = w.tenant_id and d.id = w.dst
        left join lateral (select x.namespace from lineage.jobs x where x.tenant_id = p_tenant and x.name = w.place and x.namespace like 'n8n://%' limit 1) j on true
        where w.tenant_id = p_tenant and w.witness = 'n8n' and w.gone_at is null and w.seen_at >= p_since
    )
    select d.witness, 'dataset:' || d.src_space || ':' || d.src, 'dataset:' || d.dst_space || ':' || d.dst, 'job:' || d.job_space || ':' || d.job, d.run_id, d.since,
           case when d.witness = 'n8n' and (d.job_space is null or d.dst is null) then d.job_space is not null
                else lineage.knows(p_tenant, d.job_space, d.job, d.src_space, d.src, d.dst_space, d.dst, coalesce(d.since, 'infinity')) end
    from due d;
end
$$;
revoke all on function door.flows_due(uuid, timestamptz) from public;
grant execute on function door.flows_due(uuid, timestamptz) to app_system;

create function door.lineage_coverage(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_hours integer := job.check_integer(coalesce(p, '{}'), 'window_hours', '$', 1, 8760, 24);
    v_since timestamptz := clock_timestamp() - make_interval(hours => v_hours);
begin
    return (
        with due as materialized (select x.* from door.flows_due(v_member.tenant_id, v_since) x)
        select jsonb_build_object('window_hours', v_hours, 'flows', count(*), 'covered', count(*) filter (where d.known),
            'coverage', case when count(*) > 0 then round(count(*) filter (where d.known)::numeric / count(*), 6) end,
            'witnesses', (select coalesce(jsonb_object_agg(w.witness, w.said), '{}') from (
                select x.witness, jsonb_build_object('flows', count(*), 'covered', count(*) filter (where x.known)) as said from due x group by x.witness) w),
            'missing', (select coalesce(jsonb_agg(jsonb_build_object('witness', m.witness, 'source', m.source, 'target', m.target, 'job', m.job, 'run_id', m.run_id, 'since', m.since)), '[]')
                        from (select x.* from due x where not x.known order by x.since desc nulls first, x.target, x.source limit v_limit) m))
        from due d);
end
$$;
revoke all on function door.lineage_coverage(jsonb) from public;
grant execute on function door.lineage_coverage(jsonb) to authenticated;

create function public.lineage_coverage(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.lineage_coverage($1); end $$;
comment on function public.lineage_coverage(jsonb) is '{window_hours?, limit?} -> {flows, covered, coverage, witnesses, missing}: what is declared or was seen to flow, and what of it the graph lacks.';
revoke all on function public.lineage_coverage(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_coverage(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------------- events

-- (operators: an event may carry source code.) Newest first. `faulty` asks for those with a facet that OpenLineage's own classes would not take; checked says whether somebody has looked.
create function public.lineage_events(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('operator')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_before bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 9223372036854775807 end;
    v_from timestamptz := ground.want_time($1, 'after');
    v_to timestamptz := ground.want_time($1, 'before');
    v_run bigint := case when $1 ? 'run_id' then ground.want_id($1, 'run_id') end;
    v_items jsonb;
    v_last bigint;
begin
    select coalesce(jsonb_agg(jsonb_build_object('event_id', x.id, 'received_at', x.received_at, 'run_id', x.run_id, 'event', x.event, 'faults', coalesce(x.faults, '[]')) order by x.id desc), '[]'), min(x.id)
    into v_items, v_last from (
        select e.id, e.received_at, e.run_id, e.event, f.faults from lineage.events e
        left join lineage.findings f on f.event_id = e.id and f.tenant_id = e.tenant_id
        where e.tenant_id = v_tenant and e.id < v_before and (v_run is null or e.run_id = v_run)
          and (v_from is null or e.received_at >= v_from) and (v_to is null or e.received_at < v_to)
          and ($1 -> 'faulty' is distinct from 'true' or f.event_id is not null)
        order by e.id desc limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.lineage_events(jsonb) is '{run_id?, after?, before?, faulty?, limit?, cursor?} -> the raw events, newest first, each with what was found in its facets: [{path, message}].';
revoke all on function public.lineage_events(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_events(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
