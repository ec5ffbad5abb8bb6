-- public: what Marquez's web UI and clients ask for beyond the graph, in the words of Marquez's API. Read only: nothing is kept for them, a
-- run is what the events that name it say (ADR 047). Facets and events may hold source code: operators see them.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- What an event says of its time; where that is none (the 31st of February), when it came.
create function door.told_at(p_time text, p_received timestamptz)
returns timestamptz language plpgsql stable set search_path = '' as $$
begin
    return p_time::timestamptz;
exception when data_exception then
    return p_received;
end
$$;
revoke all on function door.told_at(text, timestamptz) from public;
grant execute on function door.told_at(text, timestamptz) to authenticated;

-- Runs out of their events, newest first. Those of a run of ours are one run, and queue.runs knows better when it began and how it ended.
create function door.runs_told(p_tenant uuid, p_events bigint[], p_facets boolean)
returns table (ord bigint, run jsonb) language plpgsql stable rows 20 set search_path = '' as $$
begin
    return query
    with told as materialized (
        select e.id, coalesce(e.run_id::text, e.event #>> '{run,runId}') as key, e.run_id, e.event, e.received_at, upper(e.event ->> 'eventType') as said,
               door.told_at(e.event ->> 'eventTime', e.received_at) as at
        from lineage.events e where e.tenant_id = p_tenant and e.id = any (p_events)
    ), one as (
        select max(t.id) as last, t.run_id, (array_agg(t.event #>> '{run,runId}' order by t.id))[1] as id, min(t.received_at) as created_at, max(t.received_at) as updated_at,
               (array_agg(t.event -> 'job' order by t.id))[1] as job, min(t.at) as began_at, max(t.at) filter (where t.said in ('COMPLETE', 'FAIL', 'ABORT')) as ended_at,
               (array_agg(t.said order by (t.said in ('COMPLETE', 'FAIL', 'ABORT')) desc nulls last, t.id desc))[1] as said,
               max(t.event #>> '{run,facets,nominalTime,nominalStartTime}') as nominal_start, max(t.event #>> '{run,facets,nominalTime,nominalEndTime}') as nominal_end,
               (select jsonb_object_agg(f.key, f.value order by x.id) from told x
                cross join lateral jsonb_each(case jsonb_typeof(x.event #> '{run,facets}') when 'object' then x.event #> '{run,facets}' else '{}' end) f where x.key = t.key) as facets
        from told t group by t.key, t.run_id
    ), timed as (
        select o.*, case q.state::text when 'SUCCEEDED' then 'COMPLETED' when 'FAILED' then 'FAILED' when 'TIMED_OUT' then 'FAILED' when 'CANCELED' then 'ABORTED' when 'SKIPPED' then 'ABORTED'
                                       when 'RUNNING' then 'RUNNING' when 'QUEUED' then 'NEW' when 'BLOCKED' then 'NEW'
                    else case o.said when 'COMPLETE' then 'COMPLETED' when 'FAIL' then 'FAILED' when 'ABORT' then 'ABORTED' when 'START' then 'RUNNING' when 'RUNNING' then 'RUNNING' else 'NEW' end end as state,
               coalesce(q.started_at, o.began_at) as from_at, coalesce(q.finished_at, o.ended_at) as to_at
        from one o left join queue.runs q on q.tenant_id = p_tenant and q.id = o.run_id
    )
    select row_number() over (order by t.last desc), jsonb_build_object('id', t.id, 'createdAt', t.created_at, 'updatedAt', t.updated_at, 'nominalStartTime', t.nominal_start, 'nominalEndTime', t.nominal_end,
               'state', t.state, 'startedAt', t.from_at, 'endedAt', t.to_at, 'durationMs', round(extract(epoch from greatest(t.to_at - t.from_at, interval '0')) * 1000), 'args', '{}'::jsonb,
               'jobVersion', jsonb_build_object('namespace', t.job -> 'namespace', 'name', t.job -> 'name', 'version', md5((t.job ->> 'namespace') || chr(31) || (t.job ->> 'name'))::uuid),
               'facets', case when p_facets then coalesce(t.facets, '{}') else '{}' end)
    from timed t;
end
$$;
revoke all on function door.runs_told(uuid, bigint[], boolean) from public;
grant execute on function door.runs_told(uuid, bigint[], boolean) to authenticated;

-- The newest events that name a job: those of as many runs as a page of Marquez's shows.
create function door.events_of_job(p_tenant uuid, p_key uuid, p_limit integer)
returns bigint[] language plpgsql stable set search_path = '' as $$
begin
    return array(
        select e.id from lineage.events e
        where md5((e.event #>> '{job,namespace}') || chr(31) || (e.event #>> '{job,name}'))::uuid = p_key and e.tenant_id = p_tenant and e.event ? 'run'
        order by e.id desc limit p_limit);
end
$$;
revoke all on function door.events_of_job(uuid, uuid, integer) from public;
grant execute on function door.events_of_job(uuid, uuid, integer) to authenticated;

create function public.marquez_namespaces(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_one text := $1 ->> 'namespace';
    v_limit integer := job.check_integer($1, 'limit', '$', 1, 1000, 100);
    v_offset integer := job.check_integer($1, 'offset', '$', 0, 10000000, 0);
    v jsonb;
begin
    select coalesce(jsonb_agg(x.said), '[]') into v from (
        select jsonb_build_object('name', n.namespace, 'createdAt', min(n.created_at), 'updatedAt', max(n.created_at), 'ownerName', '', 'description', '', 'isHidden', false) as said
        from (select d.namespace, d.created_at from lineage.datasets d where d.tenant_id = v_tenant union all select j.namespace, j.created_at from lineage.jobs j where j.tenant_id = v_tenant) n
        where v_one is null or n.namespace = v_one
        group by n.namespace order by n.namespace collate "C" limit v_limit offset v_offset) x;
    if v_one is null then
        return jsonb_build_object('namespaces', v);
    elsif v = '[]' then
        perform ground.fail('NODE_NOT_FOUND', left(v_one, 200));
    end if;
    return v -> 0;
end
$$;
comment on function public.marquez_namespaces(jsonb) is '{namespace?, limit?, offset?} -> Marquez''s {namespaces: [Namespace]}, or one.';
revoke all on function public.marquez_namespaces(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_namespaces(jsonb) to authenticated;

create function public.marquez_datasets(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_space text := lineage.normal_namespace($1 ->> 'namespace');
    v_limit integer := job.check_integer($1, 'limit', '$', 1, 1000, 100);
    v_offset integer := job.check_integer($1, 'offset', '$', 0, 10000000, 0);
    v_one bigint := case when $1 ? 'dataset' then lineage.dataset_by_name(v_tenant, v_space, $1 ->> 'dataset') end;
    v jsonb;
begin
    if $1 ? 'dataset' and v_one is null then
        perform ground.fail('NODE_NOT_FOUND', left('dataset:' || concat_ws(':', v_space, $1 ->> 'dataset'), 200));
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('id', jsonb_build_object('namespace', d.namespace, 'name', d.name), 'type', 'DB_TABLE', 'name', d.name, 'physicalName', d.name, 'namespace', d.namespace,
               'sourceName', d.namespace, 'createdAt', d.created_at, 'updatedAt', coalesce(s.at, d.created_at), 'lastModifiedAt', s.at, 'deleted', false, 'facets', '{}'::jsonb,
               'description', coalesce(o.comment, o.source_comment, ''), 'tags', (select coalesce(jsonb_agg(concat_ws('=', t.key, nullif(t.value, '')) order by t.key), '[]') from jsonb_each_text(coalesce(o.tags, '{}')) t),
               'fields', (select coalesce(jsonb_agg(jsonb_build_object('name', f -> 'name', 'type', f -> 'type', 'description', coalesce(f ->> 'description', ''), 'tags', '[]'::jsonb) order by ord), '[]')
                          from jsonb_array_elements(case jsonb_typeof(d.fields) when 'array' then d.fields else '[]' end) with ordinality u (f, ord) where jsonb_typeof(f) = 'object'),
               'columnLineage', (select jsonb_agg(jsonb_build_object('name', y.dst_field, 'inputFields', y.inputs) order by y.dst_field collate "C") from (
                   select c.dst_field, jsonb_agg(jsonb_build_object('namespace', i.namespace, 'dataset', i.name, 'field', c.src_field, 'transformationType', c.type, 'transformationDescription', c.subtype)) as inputs
                   from lineage.column_edges c join lineage.datasets i on i.tenant_id = c.tenant_id and i.id = c.src
                   where c.tenant_id = v_tenant and c.dst = d.id and c.deleted_at is null group by c.dst_field) y)) order by d.name collate "C"), '[]')
    into v
    from (select * from lineage.datasets x where x.tenant_id = v_tenant and (x.id = v_one or v_one is null and x.namespace = v_space) order by x.name collate "C" limit v_limit offset v_offset) d
    left join lateral (select c.* from catalog.objects c where c.dataset_id = d.id and c.tenant_id = v_tenant and c.gone_at is null limit 1) o on true
    left join lateral (  -- when it was last seen to be written
        select max(w.observed_at) as at from lineage.edges e
        cross join lateral (select b.observed_at from lineage.observations b where b.tenant_id = v_tenant and b.edge_id = e.id order by b.observed_at desc limit 1) w
        where e.tenant_id = v_tenant and e.dst = d.id and e.deleted_at is null) s on true;
    if v_one is not null then
        return v -> 0;
    end if;
    return jsonb_build_object('datasets', v, 'totalCount', (select count(*) from lineage.datasets x where x.tenant_id = v_tenant and x.namespace = v_space));
end
$$;
comment on function public.marquez_datasets(jsonb) is '{namespace, dataset?, limit?, offset?} -> Marquez''s {datasets: [Dataset], totalCount}, or one.';
revoke all on function public.marquez_datasets(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_datasets(jsonb) to authenticated;

create function public.marquez_jobs(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_tenant uuid := v_member.tenant_id;
    v_space text := $1 ->> 'namespace';
    v_state text := $1 ->> 'lastRunStates';
    v_limit integer := job.check_integer($1, 'limit', '$', 1, 1000, 100);
    v_offset integer := job.check_integer($1, 'offset', '$', 0, 10000000, 0);
    v_key uuid := case when $1 ? 'job' then md5(v_space || chr(31) || ($1 ->> 'job'))::uuid end;
    v jsonb;
begin
    if v_state is not null and v_state <> all (array['NEW', 'RUNNING', 'COMPLETED', 'FAILED', 'ABORTED']) then
        perform ground.fail('FIELD_INVALID', '$.lastRunStates', 'lastRunStates is NEW, RUNNING, COMPLETED, FAILED or ABORTED.');
    end if;
    select coalesce(jsonb_agg(x.said order by x.id desc), '[]') into v from (
        select j.id, jsonb_build_object('id', jsonb_build_object('namespace', j.namespace, 'name', j.name), 'type', 'BATCH', 'name', j.name, 'simpleName', j.name, 'namespace', j.namespace,
                   'createdAt', j.created_at, 'updatedAt', coalesce((r.runs #>> '{0,updatedAt}')::timestamptz, j.created_at), 'location', null, 'description', '', 'tags', '[]'::jsonb,
                   'inputs', io.ins, 'outputs', io.outs, 'latestRun', r.runs -> 0, 'latestRuns', coalesce(r.runs, '[]'), 'parentJobName', null, 'parentJobUuid', null) as said
        from lineage.jobs j
        cross join lateral (select jsonb_agg(t.run order by t.ord) as runs from door.runs_told(v_tenant, door.events_of_job(v_tenant, j.key, 50), v_member.role >= 'operator') t where t.ord <= 10) r
        cross join lateral (
            select coalesce(jsonb_agg(jsonb_build_object('namespace', d.namespace, 'name', d.name) order by d.id) filter (where o.direction = 'in'), '[]') as ins,
                   coalesce(jsonb_agg(jsonb_build_object('namespace', d.namespace, 'name', d.name) order by d.id) filter (where o.direction = 'out'), '[]') as outs
            from lineage.job_io o join lineage.datasets d on d.tenant_id = o.tenant_id and d.id = o.dataset_id where o.tenant_id = v_tenant and o.job_id = j.id) io
        where j.tenant_id = v_tenant and (v_space is null or j.namespace = v_space) and (v_key is null or j.key = v_key) and (v_state is null or r.runs #>> '{0,state}' = v_state)
        order by j.id desc limit v_limit offset v_offset) x;
    if v_key is null then
        return jsonb_build_object('jobs', v, 'totalCount', case when v_state is null then (select count(*) from lineage.jobs j where j.tenant_id = v_tenant and (v_space is null or j.namespace = v_space))
            else v_offset + jsonb_array_length(v) + case when jsonb_array_length(v) = v_limit then 1 else 0 end end);  -- of one state: no more is known than that there are more
    elsif v = '[]' then
        perform ground.fail('NODE_NOT_FOUND', left('job:' || concat_ws(':', v_space, $1 ->> 'job'), 200));
    end if;
    return v -> 0;
end
$$;
comment on function public.marquez_jobs(jsonb) is '{namespace?, job?, lastRunStates?, limit?, offset?} -> Marquez''s {jobs: [Job], totalCount}, newest first, or one.';
revoke all on function public.marquez_jobs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_jobs(jsonb) to authenticated;

create function public.marquez_runs(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := job.check_integer($1, 'limit', '$', 1, 1000, 100);
    v_offset integer := job.check_integer($1, 'offset', '$', 0, 10000000, 0);
    v_key uuid := md5(($1 ->> 'namespace') || chr(31) || ($1 ->> 'job'))::uuid;
begin
    if not exists (select from lineage.jobs j where j.key = v_key and j.tenant_id = v_member.tenant_id) then
        perform ground.fail('NODE_NOT_FOUND', left('job:' || concat_ws(':', $1 ->> 'namespace', $1 ->> 'job'), 200));
    end if;
    return (  -- (of a job's last 5,000 events; the raw ones are all there, see lineage_events)
        with told as materialized (select t.* from door.runs_told(v_member.tenant_id, door.events_of_job(v_member.tenant_id, v_key, 5000), v_member.role >= 'operator') t)
        select jsonb_build_object('totalCount', count(*), 'runs', coalesce(jsonb_agg(t.run order by t.ord) filter (where t.ord > v_offset and t.ord <= v_offset + v_limit), '[]')) from told t);
end
$$;
comment on function public.marquez_runs(jsonb) is '{namespace, job, limit?, offset?} -> Marquez''s {runs: [Run], totalCount}, newest first.';
revoke all on function public.marquez_runs(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_runs(jsonb) to authenticated;

create function public.marquez_run(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_run text := $1 ->> 'run';
    v_type text := $1 ->> 'type';
    v_events bigint[];
begin
    if v_type is not null and v_type <> all (array['run', 'job']) then
        perform ground.fail('FIELD_INVALID', '$.type', 'type is run or job.');
    elsif v_type is not null then
        perform tenancy.require('operator');
    end if;
    with named as (select e.id, e.run_id from lineage.events e where e.event #>> '{run,runId}' = v_run and e.tenant_id = v_member.tenant_id and e.event ? 'run')
    select array_agg(x.id) into v_events from (
        select n.id from named n union select e.id from lineage.events e where e.tenant_id = v_member.tenant_id and e.run_id in (select n.run_id from named n)) x;
    if v_events is null then
        perform ground.fail('RUN_NOT_FOUND');
    elsif v_type is null then
        return (select t.run || jsonb_build_object('id', v_run) from door.runs_told(v_member.tenant_id, v_events, v_member.role >= 'operator') t where t.ord = 1);
    end if;
    return jsonb_build_object('runId', v_run, 'facets', (
        select coalesce(jsonb_object_agg(f.key, f.value order by e.id), '{}') from lineage.events e
        cross join lateral jsonb_each(case jsonb_typeof(e.event #> array[v_type, 'facets']) when 'object' then e.event #> array[v_type, 'facets'] else '{}' end) f
        where e.tenant_id = v_member.tenant_id and e.id = any (v_events)));
end
$$;
comment on function public.marquez_run(jsonb) is '{run, type?} -> Marquez''s Run, or (operators) the facets of the run or of its job.';
revoke all on function public.marquez_run(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_run(jsonb) to authenticated;

create function public.marquez_search(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_sought text := lower(coalesce($1 ->> 'q', ''));
    v_kind text := $1 ->> 'filter';
    v_space text := $1 ->> 'namespace';
    v_limit integer := job.check_integer($1, 'limit', '$', 1, 1000, 100);
begin
    return (
        with found as materialized (
            select 'DATASET' as type, d.namespace, d.name, d.created_at from lineage.datasets d
            where d.tenant_id = v_tenant and strpos(lower(d.name), v_sought) > 0 and (v_space is null or d.namespace = v_space) and v_kind is distinct from 'JOB'
            union all
            select 'JOB', j.namespace, j.name, j.created_at from lineage.jobs j
            where j.tenant_id = v_tenant and strpos(lower(j.name), v_sought) > 0 and (v_space is null or j.namespace = v_space) and v_kind is distinct from 'DATASET'
        )
        select jsonb_build_object('totalCount', (select count(*) from found), 'results', coalesce(jsonb_agg(jsonb_build_object('name', f.name, 'namespace', f.namespace, 'type', f.type,
                   'nodeId', lower(f.type) || ':' || f.namespace || ':' || f.name, 'updatedAt', f.created_at) order by f.place), '[]'))
        from (select x.*, row_number() over (order by case when $1 ->> 'sort' = 'UPDATE_AT' then x.created_at end desc, x.name collate "C", x.namespace collate "C", x.type) as place
              from found x order by place limit v_limit) f);
end
$$;
comment on function public.marquez_search(jsonb) is '{q, filter?, sort?, namespace?, limit?} -> Marquez''s {results: [{name, namespace, nodeId, type, updatedAt}], totalCount}.';
revoke all on function public.marquez_search(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_search(jsonb) to authenticated;

-- Run events as they came (others name no run, and Marquez's page of events does). Counted as far as a page can be turned to.
create function public.marquez_events(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('operator')).tenant_id;
    v_limit integer := job.check_integer($1, 'limit', '$', 1, 1000, 100);
    v_offset integer := job.check_integer($1, 'offset', '$', 0, 10000, 0);
    v_from timestamptz := ground.want_time(jsonb_build_object('after', nullif($1 ->> 'after', '')), 'after');
    v_to timestamptz := ground.want_time(jsonb_build_object('before', nullif($1 ->> 'before', '')), 'before');
    v_way integer := case when lower($1 ->> 'sortDirection') = 'asc' then 1 else -1 end;
begin
    return jsonb_build_object(
        'totalCount', (select count(*) from (select from lineage.events e where e.tenant_id = v_tenant and e.event ? 'run' and (v_from is null or e.received_at >= v_from) and (v_to is null or e.received_at < v_to) limit 11000) x),
        'events', (select coalesce(jsonb_agg(x.event order by x.id * v_way), '[]') from (
            (select e.id, e.event from lineage.events e where v_way = 1 and e.tenant_id = v_tenant and e.event ? 'run' and (v_from is null or e.received_at >= v_from) and (v_to is null or e.received_at < v_to)
             order by e.id limit v_limit offset v_offset)
            union all
            (select e.id, e.event from lineage.events e where v_way = -1 and e.tenant_id = v_tenant and e.event ? 'run' and (v_from is null or e.received_at >= v_from) and (v_to is null or e.received_at < v_to)
             order by e.id desc limit v_limit offset v_offset)) x));
end
$$;
comment on function public.marquez_events(jsonb) is '{after?, before?, sortDirection?, limit?, offset?} -> Marquez''s {events, totalCount}: run events as they came, by when they came.';
revoke all on function public.marquez_events(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_events(jsonb) to authenticated;

-- The last 24 hours or 7 days: how many jobs, datasets or sources (namespaces of datasets) there were; or what was told in each.
create function public.marquez_stats(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_asset text := $1 ->> 'asset';
    v_unit text := case upper($1 ->> 'period') when 'WEEK' then 'day' else 'hour' end;
    v_step interval := ('1 ' || v_unit)::interval;
    v_zone text := coalesce(nullif($1 ->> 'timezone', ''), 'UTC');
    v_last timestamptz;
begin
    begin
        v_last := date_trunc(v_unit, clock_timestamp(), v_zone);
    exception when data_exception then
        perform ground.fail('FIELD_INVALID', '$.timezone', 'timezone is a name of a time zone.');
    end;
    if v_asset is null or v_asset <> all (array['jobs', 'datasets', 'sources', 'lineage-events']) then
        perform ground.fail('FIELD_INVALID', '$.asset', 'asset is jobs, datasets, sources or lineage-events.');
    end if;
    return (
        with step as (
            select s.n as from_at, s.n + v_step as to_at from generate_series(v_last - case v_unit when 'day' then 6 else 23 end * v_step, v_last, v_step) s (n)
        ), thing as materialized (
            select j.created_at as at, null::text as said from lineage.jobs j where v_asset = 'jobs' and j.tenant_id = v_tenant
            union all
            select d.created_at, null from lineage.datasets d where v_asset = 'datasets' and d.tenant_id = v_tenant
            union all
            select min(d.created_at), null from lineage.datasets d where v_asset = 'sources' and d.tenant_id = v_tenant group by d.namespace
            union all
            select e.received_at, upper(e.event ->> 'eventType') from lineage.events e
            where v_asset = 'lineage-events' and e.tenant_id = v_tenant and e.received_at >= v_last - interval '7 days' and e.event ? 'run'
        )
        select jsonb_agg(jsonb_build_object('startInterval', s.from_at, 'endInterval', s.to_at) || case when v_asset = 'lineage-events' then (
                   select jsonb_build_object('start', count(*) filter (where t.said = 'START'), 'complete', count(*) filter (where t.said = 'COMPLETE'),
                              'fail', count(*) filter (where t.said = 'FAIL'), 'abort', count(*) filter (where t.said = 'ABORT'))
                   from thing t where t.at >= s.from_at and t.at < s.to_at)
                   else jsonb_build_object('count', (select count(*) from thing t where t.at < s.to_at)) end order by s.from_at)
        from step s);
end
$$;
comment on function public.marquez_stats(jsonb) is '{asset, period?, timezone?} -> Marquez''s [{startInterval, endInterval, count}], or of lineage-events how many of each kind.';
revoke all on function public.marquez_stats(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_stats(jsonb) to authenticated;

create function public.marquez_tags(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
begin
    return jsonb_build_object('tags', (
        select coalesce(jsonb_agg(jsonb_build_object('name', x.tag, 'description', '') order by x.tag collate "C"), '[]') from (
            select distinct concat_ws('=', t.key, nullif(t.value, '')) as tag from catalog.objects o cross join lateral jsonb_each_text(o.tags) t
            where o.tenant_id = v_tenant and o.gone_at is null limit 1000) x));
end
$$;
comment on function public.marquez_tags(jsonb) is '{} -> Marquez''s {tags: [{name, description}]}: the tags of the catalog.';
revoke all on function public.marquez_tags(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.marquez_tags(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
