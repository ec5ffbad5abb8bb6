-- worker: what the database has seen of an attempt's work by itself, recorded in the transaction that settles it: reports and the code
-- that they come from, views over what was published, and what other witnesses saw. What a job type tells of its own work is told apart.
-- And the verbs of who looks at the facets of events that are stored.

grant app_owner, app_system to postgres;
set role app_system;

-- The name under which the lineage knows the work of an attempt, as runner/jobtype/naming.py has it.
create function worker.job_name(p_tenant uuid, p_run bigint, p_task_run bigint)
returns text language plpgsql stable set search_path = '' as $$
begin
    return (select coalesce(nullif(r.name, ''), k.task_key) from queue.runs r join queue.task_runs k on k.tenant_id = r.tenant_id and k.id = p_task_run
            where r.tenant_id = p_tenant and r.id = p_run);
end
$$;
revoke all on function worker.job_name(uuid, bigint, bigint) from public;

-- An event of ours about a run, one for each subject of an attempt; told again it is the same.
create function worker.event(p_attempt bigint, p_subject text, p_space text, p_job text, p_inputs jsonb, p_outputs jsonb)
returns jsonb language sql immutable set search_path = '' as $$
    select jsonb_build_object('eventTime', '2026-01-01T00:00:00Z', 'eventType', 'COMPLETE', 'producer', 'urn:control-room:worker',
        'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
        'run', jsonb_build_object('runId', md5(p_attempt || ' ' || p_subject)::uuid), 'job', jsonb_build_object('namespace', p_space, 'name', p_job),
        'inputs', p_inputs, 'outputs', p_outputs)
$$;
revoke all on function worker.event(bigint, text, text, text, jsonb, jsonb) from public;

-- Artifacts, job -> artifact -> job, where the work itself tells of none: a report comes of the code that it looks at, where that is
-- an artifact (validation; migrations). Whoever makes data, diagrams or code tells of them.
create function worker.tell_reports(a queue.live_attempts, o jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    v_space text := tenancy.namespace_of(a.tenant_id);
    v_code jsonb;
    v_made jsonb;
begin
    select jsonb_agg(jsonb_build_object('namespace', v_space || '/artifacts', 'name', f.name) order by f.name) into v_made
    from jsonb_array_elements(coalesce(o -> 'artifacts', '[]')) i
    join artifact.versions w on w.tenant_id = a.tenant_id and w.artifact_id = (i ->> 'artifact_id')::uuid and w.version = (i ->> 'version')::integer
        and w.attempt_id = a.id and w.lease = a.lease and w.state = 'READY'
    join artifact.artifacts f on f.tenant_id = w.tenant_id and f.id = w.artifact_id and f.kind = 'report';
    if v_made is null then
        return;
    end if;
    select jsonb_build_object('namespace', v_space || '/artifacts', 'name', f.name) into v_code
    from queue.payloads p left join queue.payloads w on w.tenant_id = p.tenant_id and w.task_run_id = p.code_of
    join artifact.artifacts f on f.tenant_id = p.tenant_id and f.id = (coalesce(p.code, w.code) ->> 'artifact_id')::uuid
    where p.tenant_id = a.tenant_id and p.task_run_id = a.task_run_id;
    perform lineage.record_all(a.tenant_id, array[worker.event(a.id, 'reports', v_space, worker.job_name(a.tenant_id, a.run_id, a.task_run_id),
        case when v_code is null then '[]' else jsonb_build_array(v_code) end, v_made)], a.run_id, 'artifact');
end
$$;
revoke all on function worker.tell_reports(queue.live_attempts, jsonb) from public;

-- Views of the tenant's layers that read these tables: the job catalog/layers makes them of what they read now, and of nothing else.
create function worker.capture_views(p_tenant uuid, p_tables oid[], p_attempt bigint, p_run bigint)
returns integer language plpgsql set search_path = '' as $$
declare
    v_slug text := (select t.slug from tenancy.tenants t where t.id = p_tenant);
    v_space text := tenancy.namespace_of(p_tenant);
    v_views jsonb;
    v_job bigint;
begin
    with layer as (
        select l::text as layer, n.oid as id from unnest(enum_range(null::catalog.layer)) l join pg_catalog.pg_namespace n on n.nspname = catalog.schema_of(v_slug, l::text)
    ), named as (
        select x.view, l.layer || '.' || v.relname as name, m.layer || '.' || s.relname as source, s.oid as source_id, catalog.schema_of(v_slug, m.layer) || '.' || s.relname as place
        from lineage.views_over(p_tables) x
        join pg_catalog.pg_class v on v.oid = x.view join layer l on l.id = v.relnamespace
        join pg_catalog.pg_class s on s.oid = x.source join layer m on m.id = s.relnamespace
    )
    select jsonb_object_agg(y.name, y.told) into v_views from (
        select n.name, jsonb_build_object('sources', jsonb_agg(n.source order by n.source), 'columns', catalog.columns_of(n.view), 'definition', pg_get_viewdef(n.view),
                   'tables', jsonb_object_agg(n.place, jsonb_build_object('name', n.source, 'columns', jsonb_path_query_array(catalog.columns_of(n.source_id), '$[*].name')))) as told
        from named n group by n.name, n.view) y;
    select j.id into v_job from lineage.jobs j where j.key = md5(v_space || chr(31) || 'catalog/layers')::uuid and j.tenant_id = p_tenant;
    if v_job is not null then
        update lineage.edges e set deleted_at = clock_timestamp(), deleted_by = 'catalog', deleted_reason = 'the view does not read it any more'
        from lineage.datasets s, lineage.datasets d
        where e.job_id = v_job and e.tenant_id = p_tenant and e.deleted_at is null and s.tenant_id = p_tenant and s.id = e.src and d.tenant_id = p_tenant and d.id = e.dst
          and (case when v_views ? d.name then not v_views #> array[d.name, 'sources'] ? s.name
                    else to_regclass(format('%I.%I', catalog.schema_of(v_slug, split_part(d.name, '.', 1)), substr(d.name, strpos(d.name, '.') + 1))) is null end);
    end if;
    perform lineage.forget_views(p_tenant, array(
        select v.dataset_id from lineage.views v join lineage.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
        where v.tenant_id = p_tenant and to_regclass(format('%I.%I', catalog.schema_of(v_slug, split_part(d.name, '.', 1)), substr(d.name, strpos(d.name, '.') + 1))) is null));
    if v_views is not null then
        perform lineage.tell_view(p_tenant, v_space, v.key, v.value ->> 'definition', v.value -> 'tables', p_run) from jsonb_each(v_views) v order by v.key;
        perform lineage.record_all(p_tenant, array(
            select worker.event(p_attempt, 'view ' || v.key, v_space, 'catalog/layers',
                (select jsonb_agg(jsonb_build_object('namespace', v_space, 'name', s)) from jsonb_array_elements_text(v.value -> 'sources') s),
                jsonb_build_array(jsonb_build_object('namespace', v_space, 'name', v.key, 'facets', jsonb_build_object('schema', jsonb_build_object('fields', v.value -> 'columns')))))
            from jsonb_each(v_views) v order by v.key), p_run, 'catalog');
    end if;
    return (select count(*) from jsonb_object_keys(coalesce(v_views, '{}')));
end
$$;
revoke all on function worker.capture_views(uuid, oid[], bigint, bigint) from public;

-- What stands beside the work's own telling: told where it is ours to tell, and noted where it is what the telling is measured by.
create function worker.witness(a queue.live_attempts, o jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    v_space text := tenancy.namespace_of(a.tenant_id);
    v_slug text := (select t.slug from tenancy.tenants t where t.id = a.tenant_id);
    p queue.payloads := (select x from queue.payloads x where x.tenant_id = a.tenant_id and x.task_run_id = a.task_run_id);
    x jsonb;
begin
    perform worker.tell_reports(a, o);
    if o ->> 'state' is distinct from 'SUCCEEDED' then
        return;
    end if;
    if jsonb_array_length(coalesce(o -> 'tables', '[]')) > 0 then
        perform worker.capture_views(a.tenant_id, array(
            select to_regclass(format('%I.%I', catalog.schema_of(v_slug, d ->> 'layer'), d ->> 'table'))::oid from jsonb_array_elements(p.outputs) d where d ? 'table'), a.id, a.run_id);
    end if;
    for x in select * from jsonb_array_elements(coalesce(o -> 'catalog', '[]')) loop
        perform lineage.bear_witness(a.tenant_id, 'pg_depend', x ->> 'target', (
            select coalesce(jsonb_agg(jsonb_build_object('source', jsonb_build_object('namespace', x -> 'namespace', 'name', r), 'target', jsonb_build_object('namespace', x -> 'namespace', 'name', t -> 'dataset'))), '[]')
            from jsonb_array_elements(x -> 'tables') t cross join jsonb_array_elements_text(coalesce(t -> 'reads', '[]')) r), a.run_id, true);
        perform lineage.bear_witness(a.tenant_id, 'migration', x ->> 'target', (
            select coalesce(jsonb_agg(jsonb_build_object('target', jsonb_build_object('namespace', x -> 'namespace', 'name', c))), '[]')
            from jsonb_array_elements_text(coalesce(x -> 'changed', '[]')) c), a.run_id);
    end loop;
    if exists (select from worker.outside w where w.attempt_id = a.id) then
        perform lineage.bear_witness(a.tenant_id, 'n8n', coalesce(p.params ->> 'workflow', split_part(a.requires, '/', 1)), jsonb_build_array(
            case when o ? 'entries' then jsonb_build_object('target', jsonb_build_object('namespace', v_space, 'name', 'catalog.' || coalesce(p.params ->> 'collection', 'documents'))) else '{}' end), a.run_id);
    end if;
end
$$;
revoke all on function worker.witness(queue.live_attempts, jsonb) from public;

-- ------------------------------------------------------------------------------------------- facets

create function worker.claim_events(p_limit integer)
returns setof json language plpgsql security definer set search_path = '' as $$
begin
    return query
    select json_build_object('batch_id', u.id, 'tenant_id', u.tenant_id, 'lease', u.lease, 'events',
        (select coalesce(json_agg(json_build_object('event_id', e.id, 'event', e.event, 'view', lineage.view_of_event(u.tenant_id, e.event)) order by e.id), '[]')
         from unnest(u.event_ids) n (id) cross join lateral (select x.id, x.event from lineage.events x where x.tenant_id = u.tenant_id and x.id = n.id limit 1) e))
    from lineage.claim_unchecked(p_limit) u;
end
$$;
comment on function worker.claim_events(integer) is 'Up to p_limit batches of stored events whose facets nobody has looked at yet, for a minute.';
revoke all on function worker.claim_events(integer) from public;
grant execute on function worker.claim_events(integer) to runner;

create function worker.report_findings(p_items jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_settled jsonb := '[]';
    i record;
begin
    for i in select * from jsonb_to_recordset(p_items) x (tenant_id uuid, batch_id bigint, lease integer, findings jsonb, views jsonb) order by x.batch_id loop
        if lineage.settle_unchecked(i.tenant_id, i.batch_id, i.lease, i.findings) then
            perform lineage.take_columns(i.tenant_id, (v ->> 'event_id')::bigint, 'catalog/layers', v) from jsonb_array_elements(coalesce(i.views, '[]')) v;
            v_settled := v_settled || jsonb_build_object('batch_id', i.batch_id, 'settled', true);
        else
            v_settled := v_settled || jsonb_build_object('batch_id', i.batch_id, 'settled', false);
        end if;
    end loop;
    return v_settled;
end
$$;
comment on function worker.report_findings(jsonb) is '[{tenant_id, batch_id, lease, findings: [{event_id, faults: [{path, message}]}], views?: [{event_id, columns, doubts}]}]: what was found in claimed batches.';
revoke all on function worker.report_findings(jsonb) from public;
grant execute on function worker.report_findings(jsonb) to runner;

set role postgres;
revoke app_owner, app_system from postgres;
