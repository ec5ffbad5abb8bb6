-- lineage, further part: events become nodes, edges, columns and sightings; a whole batch in one statement for each table.

grant app_owner, app_system to postgres;
set role app_owner;

create type lineage.told as (event_id bigint, event jsonb);
create type lineage.named as (namespace text, name text, fields jsonb);
-- What an event says: src flows to dst, or only is read (dst null) or written (src null); with fields: a column's flow.
create type lineage.flow as (
    event_id bigint, job_namespace text, job text, src_namespace text, src text, src_field text, dst_namespace text, dst text, dst_field text,
    type text, subtype text);

-- The elements of an array, or none where something else is there.
create function lineage.elements(p jsonb)
returns setof jsonb language plpgsql immutable rows 5 set search_path = '' as $$
begin
    if jsonb_typeof(p) = 'array' then
        return query select x from jsonb_array_elements(p) x where jsonb_typeof(x) = 'object';
    end if;
end
$$;
revoke all on function lineage.elements(jsonb) from public;
grant execute on function lineage.elements(jsonb) to app_system;

-- Who feeds whom. Where lineage is told explicitly (the lineage facet of a job, or of an output) that is all there is of it;
-- elsewhere every input feeds every output, and the columnLineage facet tells of columns. What is malformed is passed over.
create function lineage.flows_of(p_told lineage.told[])
returns setof lineage.flow language plpgsql immutable rows 1000 set search_path = ''
set enable_nestloop = off as $$  -- a plan for ten events would compare each of five hundred with each
begin
    return query
    with told as materialized (
        select t.event_id, t.event #>> '{job,namespace}' as job_namespace, t.event #>> '{job,name}' as job, t.event -> 'inputs' as inputs, t.event -> 'outputs' as outputs,
               t.event #> '{job,facets,lineage,entries}' as entries
        from unnest(p_told) t where t.event ? 'job'
    ), input as materialized (
        select t.event_id, lineage.normal_namespace(d ->> 'namespace') as namespace, d ->> 'name' as name from told t cross join lineage.elements(t.inputs) d
    ), output as materialized (
        select t.event_id, lineage.normal_namespace(d ->> 'namespace') as namespace, d ->> 'name' as name, d #> '{facets,columnLineage,fields}' as columns,
               d #> '{facets,lineage}' as lineage, jsonb_typeof(t.entries) = 'array' as is_told
        from told t cross join lineage.elements(t.outputs) d
    ), entry as materialized (
        select t.event_id, lineage.normal_namespace(x ->> 'namespace') as namespace, x ->> 'name' as name, x as lineage
        from told t cross join lineage.elements(t.entries) x
        where x ->> 'type' = 'DATASET' and length(x ->> 'namespace') between 1 and 4096 and length(x ->> 'name') between 1 and 4096
        union all
        select o.event_id, o.namespace, o.name, o.lineage from output o where o.is_told is not true and jsonb_typeof(o.lineage) = 'object'
    ), field as materialized (  -- target field <- source field; source field null: the whole dataset feeds it
        select e.event_id, e.namespace, e.name, f.key as field, s
        from entry e cross join lateral jsonb_each(case jsonb_typeof(e.lineage -> 'fields') when 'object' then e.lineage -> 'fields' else '{}' end) f
        cross join lineage.elements(f.value -> 'inputs') s
        union all
        select o.event_id, o.namespace, o.name, f.key, s || '{"type": "DATASET"}'
        from output o cross join lateral jsonb_each(case jsonb_typeof(o.columns) when 'object' then o.columns else '{}' end) f
        cross join lineage.elements(f.value -> 'inputFields') s
        where o.is_told is not true and coalesce(jsonb_typeof(o.lineage), 'null') <> 'object'
    ), source as (
        select e.event_id, e.namespace, e.name, s from entry e cross join lineage.elements(e.lineage -> 'inputs') s
        union all
        select f.event_id, f.namespace, f.name, f.s from field f join entry e on (e.event_id, e.namespace, e.name) = (f.event_id, f.namespace, f.name)
    ), flow as (
        select event_id, namespace as src_namespace, name as src, null as src_field, null as dst_namespace, null as dst, null as dst_field, null as type, null as subtype from input
        union all
        select event_id, null, null, null, namespace, name, null, null, null from output
        union all
        select event_id, null, null, null, namespace, name, null, null, null from entry
        union all
        select s.event_id, lineage.normal_namespace(s.s ->> 'namespace'), s.s ->> 'name', null, v.dst_namespace, v.dst, null, null, null
        from source s cross join lateral (values (s.namespace, s.name), (null, null)) v (dst_namespace, dst)
        where s.s ->> 'type' = 'DATASET' and length(s.s ->> 'namespace') between 1 and 4096 and length(s.s ->> 'name') between 1 and 4096
        union all
        select o.event_id, i.namespace, i.name, null, o.namespace, o.name, null, null, null
        from output o join input i on i.event_id = o.event_id where o.is_told is not true and coalesce(jsonb_typeof(o.lineage), 'null') <> 'object'
        union all
        select f.event_id, lineage.normal_namespace(f.s ->> 'namespace'), f.s ->> 'name', left(f.s ->> 'field', 1024), f.namespace, f.name, left(f.field, 1024),
               case when f.s #>> '{transformations,0,type}' = 'INDIRECT' then 'INDIRECT' else 'DIRECT' end, f.s #>> '{transformations,0,subtype}'
        from field f
        where f.s ->> 'type' = 'DATASET' and f.s ->> 'field' is not null and length(f.s ->> 'namespace') between 1 and 4096 and length(f.s ->> 'name') between 1 and 4096
    )
    select distinct f.event_id, t.job_namespace, t.job, f.src_namespace, f.src, f.src_field, f.dst_namespace, f.dst, f.dst_field, f.type, f.subtype
    from flow f join told t on t.event_id = f.event_id;
end
$$;
revoke all on function lineage.flows_of(lineage.told[]) from public;
grant execute on function lineage.flows_of(lineage.told[]) to app_system;

-- The ids of datasets by their names, making those that are new; a name that is another's symlink is that other.
create function lineage.dataset_ids(p_tenant uuid, p_named lineage.named[])
returns table (namespace text, name text, id bigint) language plpgsql rows 1000 set search_path = ''
set enable_nestloop = on
set enable_seqscan = off as $$  -- by their keys, one by one, however many there were when the plan was made
#variable_conflict use_column
declare
    v record;
begin
    -- Each looked up by its key, in a subselect with a limit: as a join or an anti join, a deep graph has been read from one end to the
    -- other for a batch (merged with the index of names, 400 ms at 750,000 datasets). In one order, so that two who tell of the same
    -- ones do not wait for each other in a ring.
    with missing as materialized (
        select n.* from (select distinct x.namespace, x.name, md5(x.namespace || chr(31) || x.name)::uuid as key from unnest(p_named) x) n
        where (select d.id from lineage.datasets d where d.key = n.key and d.tenant_id = p_tenant limit 1) is null
          and (select y.dataset_id from lineage.symlinks y where y.key = n.key and y.tenant_id = p_tenant limit 1) is null
    )
    insert into lineage.datasets (tenant_id, namespace, name, fields)
    select p_tenant, m.namespace, m.name, (array_agg(x.fields order by x.fields is null, x.fields::text desc))[1]
    from missing m join unnest(p_named) x on (x.namespace, x.name) = (m.namespace, m.name)
    group by m.namespace, m.name order by m.namespace, m.name
    on conflict (key, tenant_id) do nothing;
    for v in
        select d.id, n.fields
        from (select distinct on (x.namespace, x.name) x.namespace, x.name, x.fields from unnest(p_named) x where x.fields is not null order by x.namespace, x.name) n
        cross join lateral (select x.id, x.fields from lineage.datasets x where x.key = md5(n.namespace || chr(31) || n.name)::uuid and x.tenant_id = p_tenant limit 1) d
        where d.fields is distinct from n.fields
        order by n.namespace, n.name
    loop
        update lineage.datasets d set fields = v.fields where d.tenant_id = p_tenant and d.id = v.id;
    end loop;
    return query
    select n.namespace, n.name, coalesce(d.id, y.dataset_id)
    from (select distinct x.namespace, x.name, md5(x.namespace || chr(31) || x.name)::uuid as key from unnest(p_named) x) n
    left join lateral (select x.id from lineage.datasets x where x.key = n.key and x.tenant_id = p_tenant limit 1) d on true
    left join lateral (select x.dataset_id from lineage.symlinks x where x.key = n.key and x.tenant_id = p_tenant limit 1) y on d.id is null;
end
$$;
revoke all on function lineage.dataset_ids(uuid, lineage.named[]) from public;
grant execute on function lineage.dataset_ids(uuid, lineage.named[]) to app_system;

-- Events without a fault -> raw rows, nodes, edges, column edges, sightings. Returns the places of those that are new: a replay
-- changes nothing.
create function lineage.record_all(p_tenant uuid, p_events jsonb[], p_run bigint default null, p_method text default 'event')
returns integer[] language plpgsql set search_path = ''
set enable_seqscan = off
set enable_nestloop = off as $$  -- as in flows_of
declare
    v_told lineage.told[];
    v_places integer[];
    v_flows lineage.flow[];
    v_ids jsonb;
    v_jobs jsonb;
begin
    with said as (
        select e.event, e.place, sha256(convert_to(e.event::text, 'UTF8')) as digest from unnest(p_events) with ordinality e (event, place)
    ), kept as (
        insert into lineage.events as x (tenant_id, digest, run_id, event)
        select p_tenant, s.digest, p_run, s.event from (select distinct on (digest) * from said order by digest, place) s order by s.place
        on conflict (digest, tenant_id) do nothing returning x.id, x.digest
    )
    select array_agg((k.id, s.event)::lineage.told order by k.id), array_agg(s.place order by k.id) into v_told, v_places
    from kept k join (select distinct on (digest) * from said order by digest, place) s on s.digest = k.digest;
    if v_told is null then
        return '{}';
    end if;
    if p_method = 'event' then  -- what others tell has its facets looked at, see 63_lineage_check
        insert into lineage.unchecked (tenant_id, event_ids)
        select p_tenant, array_agg(t.event_id) from unnest(v_told) with ordinality t (event_id, event, ord)
        group by (t.ord - 1) / 200 order by (t.ord - 1) / 200;
        perform ground.wake('control_room_events');
    end if;
    v_flows := array(select f from lineage.flows_of(v_told) f);
    perform lineage.learn_symlinks(p_tenant, v_told);
    -- (ids by name, as one object: looked up often below)
    select coalesce(jsonb_object_agg(d.namespace || chr(31) || d.name, d.id), '{}') into v_ids
    from lineage.dataset_ids(p_tenant, array(
        select (f.src_namespace, f.src, null)::lineage.named from unnest(v_flows) f where f.src is not null
        union all
        select (f.dst_namespace, f.dst, null)::lineage.named from unnest(v_flows) f where f.dst is not null
        union all
        select (lineage.normal_namespace(d ->> 'namespace'), d ->> 'name', d #> '{facets,schema,fields}')::lineage.named
        from unnest(v_told) t
        cross join lateral (select x from lineage.elements(t.event -> 'inputs') x union all select x from lineage.elements(t.event -> 'outputs') x
                            union all select t.event -> 'dataset' where t.event ? 'dataset') y (d)
        where t.event ? 'dataset' or jsonb_typeof(d #> '{facets,schema,fields}') = 'array')) d;
    insert into lineage.jobs (tenant_id, namespace, name)
    select p_tenant, j.namespace, j.name
    from (select distinct t.event #>> '{job,namespace}' as namespace, t.event #>> '{job,name}' as name from unnest(v_told) t where t.event ? 'job') j
    where (select x.id from lineage.jobs x where x.key = md5(j.namespace || chr(31) || j.name)::uuid and x.tenant_id = p_tenant limit 1) is null  -- as in dataset_ids
    order by j.namespace, j.name
    on conflict (key, tenant_id) do nothing;
    select coalesce(jsonb_object_agg(j.namespace || chr(31) || j.name, x.id), '{}') into v_jobs
    from (select distinct t.event #>> '{job,namespace}' as namespace, t.event #>> '{job,name}' as name from unnest(v_told) t where t.event ? 'job') j
    cross join lateral (select y.id from lineage.jobs y where y.key = md5(j.namespace || chr(31) || j.name)::uuid and y.tenant_id = p_tenant limit 1) x;

    with flow as materialized (
        select f.event_id, (v_jobs ->> (f.job_namespace || chr(31) || f.job))::bigint as job_id, (v_ids ->> (f.src_namespace || chr(31) || f.src))::bigint as src,
               (v_ids ->> (f.dst_namespace || chr(31) || f.dst))::bigint as dst, f.src_field, f.dst_field, f.type, f.subtype
        from unnest(v_flows) f
    ), io as (
        insert into lineage.job_io (tenant_id, job_id, dataset_id, direction)
        select p_tenant, x.job_id, x.dataset_id, x.way
        from (select f.job_id, f.src as dataset_id, 'in' as way from flow f where f.dst is null union select f.job_id, f.dst, 'out' from flow f where f.src is null) x
        where (select o.direction from lineage.job_io o where (o.tenant_id, o.job_id, o.dataset_id, o.direction) = (p_tenant, x.job_id, x.dataset_id, x.way) limit 1) is null
        order by x.job_id, x.dataset_id, x.way
        on conflict do nothing
    ), columns as (
        insert into lineage.column_edges (tenant_id, src, src_field, dst, dst_field, job_id, type, subtype, run_id)
        select p_tenant, f.src, f.src_field, f.dst, f.dst_field, f.job_id, f.type, min(f.subtype), p_run
        from flow f where f.src_field is not null
        group by f.src, f.src_field, f.dst, f.dst_field, f.job_id, f.type
        order by f.dst, f.dst_field, f.src, f.src_field, f.job_id
        on conflict (dst, tenant_id, md5(dst_field), src, md5(src_field), job_id, type) where deleted_at is null do nothing
    ), pair as materialized (
        select f.event_id, f.src, f.dst, f.job_id, (select e.id from lineage.edges e where e.src = f.src and e.dst = f.dst and e.job_id = f.job_id and e.tenant_id = p_tenant and e.deleted_at is null) as id
        from flow f where f.src is not null and f.dst is not null and f.src_field is null
    ), made as (
        insert into lineage.edges as e (tenant_id, src, dst, job_id, method, run_id)
        select distinct p_tenant, p.src, p.dst, p.job_id, p_method, p_run from pair p where p.id is null order by p.src, p.dst, p.job_id
        on conflict (src, dst, job_id, tenant_id) where deleted_at is null do nothing
        returning e.id, e.src, e.dst, e.job_id
    )
    insert into lineage.observations (tenant_id, edge_id, observed_at, run_id, event_id)
    select p_tenant, coalesce(p.id, m.id), clock_timestamp(), p_run, p.event_id
    from pair p left join made m on (m.src, m.dst, m.job_id) = (p.src, p.dst, p.job_id)
    where coalesce(p.id, m.id) is not null
    on conflict do nothing;
    return v_places;
end
$$;
revoke all on function lineage.record_all(uuid, jsonb[], bigint, text) from public;
grant execute on function lineage.record_all(uuid, jsonb[], bigint, text) to app_system;

-- The symlinks facet: other names of the same dataset. A name that is a dataset of its own already stays that.
create function lineage.learn_symlinks(p_tenant uuid, p_told lineage.told[])
returns void language plpgsql set search_path = '' as $$
declare
    v record;
begin
    for v in
        select lineage.normal_namespace(d ->> 'namespace') as namespace, d ->> 'name' as name,
               lineage.normal_namespace(i ->> 'namespace') as other_namespace, i ->> 'name' as other
        from unnest(p_told) t
        cross join lateral (select x from lineage.elements(t.event -> 'inputs') x union all select x from lineage.elements(t.event -> 'outputs') x
                            union all select t.event -> 'dataset' where t.event ? 'dataset') y (d)
        cross join lineage.elements(d #> '{facets,symlinks,identifiers}') i
        where length(i ->> 'namespace') between 1 and 4096 and length(i ->> 'name') between 1 and 4096
        order by 1, 2, 3, 4
    loop
        insert into lineage.symlinks (tenant_id, key, dataset_id, namespace, name)
        select p_tenant, md5(v.other_namespace || chr(31) || v.other)::uuid, d.id, v.other_namespace, v.other
        from lineage.dataset_ids(p_tenant, array[(v.namespace, v.name, null)::lineage.named]) d
        where not exists (select from lineage.datasets o where o.key = md5(v.other_namespace || chr(31) || v.other)::uuid and o.tenant_id = p_tenant)
        on conflict do nothing;
    end loop;
end
$$;
revoke all on function lineage.learn_symlinks(uuid, lineage.told[]) from public;
grant execute on function lineage.learn_symlinks(uuid, lineage.told[]) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
