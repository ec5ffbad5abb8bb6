-- public: questions to the graph: columns, ways, what changed, what hangs in the air, what breaks a rule; and how an edge is retired.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- A dataset of the caller's tenant, or the listed error.
create function door.want_dataset(p_node text)
returns bigint language plpgsql stable set search_path = '' as $$
declare
    v bigint := lineage.find_dataset(p_node);
begin
    if v is null then
        perform ground.fail('NODE_NOT_FOUND', left(p_node, 200));
    end if;
    return v;
end
$$;
revoke all on function door.want_dataset(text) from public;
grant execute on function door.want_dataset(text) to authenticated;

-- ------------------------------------------------------------------------------------------ columns

create function public.column_lineage(node text, depth integer default 5, direction text default 'upstream', as_of timestamptz default null)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_start record := lineage.find_field(node);
    v_max constant integer := 20000;
    v_way text;
    v_walk record;
    v_edges bigint[] := '{}';
begin
    if v_start.dataset is null then
        perform ground.fail('NODE_NOT_FOUND', left(node, 200));
    elsif column_lineage.depth is null or column_lineage.depth not between 1 and 100 then
        perform ground.fail('FIELD_INVALID', 'depth', 'depth is a whole number from 1 to 100.');
    elsif column_lineage.direction is null or column_lineage.direction <> all (array['upstream', 'downstream', 'both']) then
        perform ground.fail('FIELD_INVALID', 'direction', 'direction is upstream, downstream or both.');
    end if;
    foreach v_way in array case column_lineage.direction when 'both' then array['upstream', 'downstream'] else array[column_lineage.direction] end loop
        v_walk := lineage.walk_columns(v_start.dataset, v_start.field, v_way = 'upstream', column_lineage.depth, as_of, v_max + 1);
        v_edges := v_edges || v_walk.edges;
    end loop;
    return (
        with edge as materialized (
            select distinct 'datasetField:' || s.namespace || ':' || s.name || ':' || u.src_field as origin,
                   'datasetField:' || d.namespace || ':' || d.name || ':' || u.dst_field as destination,
                   s.namespace as sns, s.name as sname, u.src_field, d.namespace as dns, d.name as dname, u.dst_field, u.type, u.subtype
            from (select * from lineage.column_edges c where c.tenant_id = v_tenant and c.id = any (v_edges[: v_max])) u
            join lineage.datasets s on s.tenant_id = v_tenant and s.id = u.src
            join lineage.datasets d on d.tenant_id = v_tenant and d.id = u.dst
        ), field as (
            select origin as id, sns as ns, sname as name, src_field as field from edge union select destination, dns, dname, dst_field from edge
        ), inward as (
            select e.destination as id, jsonb_agg(jsonb_build_object('namespace', e.sns, 'dataset', e.sname, 'field', e.src_field,
                       'transformationType', e.type, 'transformationDescription', e.subtype) order by e.origin, e.type) as fields,
                   jsonb_agg(jsonb_build_object('origin', e.origin, 'destination', e.destination) order by e.origin, e.type) as arrows
            from edge e group by e.destination
        ), outward as (
            select e.origin as id, jsonb_agg(jsonb_build_object('origin', e.origin, 'destination', e.destination) order by e.destination, e.type) as arrows
            from edge e group by e.origin
        )
        select jsonb_build_object('truncated', cardinality(v_edges) > v_max, 'graph', coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'type', 'DATASET_FIELD',
            'data', jsonb_build_object('namespace', f.ns, 'dataset', f.name, 'field', f.field, 'inputFields', coalesce(i.fields, '[]')),
            'inEdges', coalesce(i.arrows, '[]'), 'outEdges', coalesce(o.arrows, '[]')) order by f.id), '[]'))
        from field f left join inward i on i.id = f.id left join outward o on o.id = f.id);
end
$$;
comment on function public.column_lineage(text, integer, text, timestamptz)
    is 'node = dataset:{ns}:{name} or datasetField:{ns}:{name}:{field} -> the columns it comes from, or that come from it, in Marquez''s column-lineage shape.';
revoke all on function public.column_lineage(text, integer, text, timestamptz) from public, anon, authenticated, service_role;
grant execute on function public.column_lineage(text, integer, text, timestamptz) to authenticated;

-- What a change of a dataset, or of one of its columns, reaches: who asks before he changes wants names, not a graph.
create function public.lineage_impact(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_node text := $1 ->> 'node';
    v_start record := lineage.find_field(v_node);
    v_depth integer := coalesce(job.check_integer($1, 'depth', '$', 1, 100, 100), 100);
    v_as_of timestamptz := ground.want_time($1, 'as_of');
    v_max constant integer := 20000;
    v_walk record;
    v_nodes bigint[];
    v_jobs bigint[];
begin
    if v_start.dataset is null then
        perform ground.fail('NODE_NOT_FOUND', left(v_node, 200));
    end if;
    v_walk := lineage.walk_columns(v_start.dataset, v_start.field, false, v_depth, v_as_of, v_max + 1);
    if v_start.field is null then
        v_nodes := lineage.walk(array[v_start.dataset], 'downstream', v_depth, v_as_of, v_max + 1);
        select array_agg(distinct e.job_id) into v_jobs from lineage.edges e
        where e.tenant_id = v_tenant and e.src = any (v_nodes) and e.dst in (select unnest(v_nodes))
          and case when v_as_of is null then e.deleted_at is null else e.created_at <= v_as_of and (e.deleted_at is null or e.deleted_at > v_as_of) end;
    else
        select array_agg(distinct c.dst), array_agg(distinct c.job_id) into v_nodes, v_jobs from lineage.column_edges c where c.tenant_id = v_tenant and c.id = any (v_walk.edges);
    end if;
    return jsonb_build_object('node', v_node, 'truncated', cardinality(v_walk.edges) > v_max or cardinality(v_nodes) > v_max,
        'columns', (select coalesce(jsonb_agg(jsonb_build_object('dataset', 'dataset:' || d.namespace || ':' || d.name, 'field', x.field, 'hops', x.hops) order by x.hops, d.namespace, d.name, x.field), '[]')
                    from (select c.dst, c.dst_field as field, min(w.hop) as hops from unnest(v_walk.edges, v_walk.hops) w (id, hop)
                          join lineage.column_edges c on c.tenant_id = v_tenant and c.id = w.id group by c.dst, c.dst_field) x
                    join lineage.datasets d on d.tenant_id = v_tenant and d.id = x.dst),
        'datasets', (select coalesce(jsonb_agg('dataset:' || d.namespace || ':' || d.name order by d.namespace, d.name), '[]')
                     from lineage.datasets d where d.tenant_id = v_tenant and d.id = any (v_nodes) and d.id <> v_start.dataset),
        'jobs', (select coalesce(jsonb_agg('job:' || j.namespace || ':' || j.name order by j.namespace, j.name), '[]')
                 from lineage.jobs j where j.tenant_id = v_tenant and j.id = any (v_jobs)));
end
$$;
comment on function public.lineage_impact(jsonb) is '{node, depth?, as_of?}: dataset:… or datasetField:… -> {columns: [{dataset, field, hops}], datasets, jobs, truncated}: what a change reaches.';
revoke all on function public.lineage_impact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_impact(jsonb) to authenticated;

-- --------------------------------------------------------------------------------- ways and changes

create function public.lineage_path(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_as_of timestamptz := ground.want_time($1, 'as_of');
    v_way bigint[] := lineage.path(door.want_dataset($1 ->> 'source'), door.want_dataset($1 ->> 'target'), v_as_of, job.check_integer($1, 'depth', '$', 1, 100, 50)::integer);
begin
    return jsonb_build_object('found', v_way is not null, 'hops', cardinality(v_way) - 1,
        'path', (select coalesce(jsonb_agg('dataset:' || d.namespace || ':' || d.name order by w.ord), '[]')
                 from unnest(v_way) with ordinality w (id, ord) join lineage.datasets d on d.tenant_id = v_member.tenant_id and d.id = w.id),
        'graph', case when v_way is null then '[]' else lineage.hydrate(v_way, v_as_of) end);
end
$$;
comment on function public.lineage_path(jsonb) is '{source, target, depth?, as_of?} -> {found, hops, path, graph}: a shortest way along the flow.';
revoke all on function public.lineage_path(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_path(jsonb) to authenticated;

create function public.lineage_diff(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_start bigint[] := array[door.want_dataset($1 ->> 'node')];
    v_from timestamptz := ground.want_time($1, 'from');
    v_to timestamptz := coalesce(ground.want_time($1, 'to'), clock_timestamp());
    v_depth integer := job.check_integer($1, 'depth', '$', 0, 100, 5);
    v_way text := coalesce($1 ->> 'direction', 'both');
    v_max constant integer := 20000;
    v_nodes bigint[];
    v_more boolean;
begin
    if v_from is null or v_from > v_to then
        perform ground.fail('FIELD_INVALID', '$.from', 'from is a time before to.');
    elsif v_way <> all (array['upstream', 'downstream', 'both']) then
        perform ground.fail('FIELD_INVALID', '$.direction', 'direction is upstream, downstream or both.');
    end if;
    select array_agg(distinct n) into v_nodes from (
        select unnest(lineage.walk(v_start, v_way, v_depth, v_from, v_max + 1)) union all select unnest(lineage.walk(v_start, v_way, v_depth, v_to, v_max + 1))) x (n);
    v_more := cardinality(v_nodes) > v_max;
    v_nodes := v_nodes[: v_max];
    return (
        with was as materialized (select * from lineage.flows_at(v_nodes, v_from)), is_now as materialized (select * from lineage.flows_at(v_nodes, v_to)
        ), change as (
            select 'added' as kind, f.id from is_now f where not exists (select from was o where (o.src, o.dst, o.job_id) = (f.src, f.dst, f.job_id))
            union all
            select 'removed', f.id from was f where not exists (select from is_now o where (o.src, o.dst, o.job_id) = (f.src, f.dst, f.job_id))
        ), told as (
            select c.kind, e.id, jsonb_build_object('source', 'dataset:' || s.namespace || ':' || s.name, 'target', 'dataset:' || d.namespace || ':' || d.name,
                       'job', 'job:' || j.namespace || ':' || j.name, 'at', case c.kind when 'added' then e.created_at else e.deleted_at end)
                   || case c.kind when 'added' then jsonb_build_object('run_id', e.run_id) else jsonb_build_object('by', e.deleted_by, 'reason', e.deleted_reason) end as item
            from change c
            join lineage.edges e on e.tenant_id = v_member.tenant_id and e.id = c.id
            join lineage.datasets s on s.tenant_id = e.tenant_id and s.id = e.src
            join lineage.datasets d on d.tenant_id = e.tenant_id and d.id = e.dst
            join lineage.jobs j on j.tenant_id = e.tenant_id and j.id = e.job_id
        )
        select jsonb_build_object('node', $1 -> 'node', 'from', v_from, 'to', v_to, 'truncated', v_more,
            'added', coalesce(jsonb_agg(t.item order by t.id) filter (where t.kind = 'added'), '[]'),
            'removed', coalesce(jsonb_agg(t.item order by t.id) filter (where t.kind = 'removed'), '[]'))
        from told t);
end
$$;
comment on function public.lineage_diff(jsonb) is '{node, from, to?, depth?, direction?} -> {added, removed, truncated}: how the graph round a dataset changed between two times.';
revoke all on function public.lineage_diff(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_diff(jsonb) to authenticated;

create function public.lineage_orphans(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_after bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 0 end;
    v_items jsonb;
    v_last bigint;
begin
    select coalesce(jsonb_agg(jsonb_build_object('node', x.node, 'created_at', x.created_at, 'was_connected', x.was,
               'written', coalesce('out' = any (x.io), false), 'read', coalesce('in' = any (x.io), false)) order by x.id), '[]'), max(x.id)
    into v_items, v_last from (
        select d.id, 'dataset:' || d.namespace || ':' || d.name as node, d.created_at,
               -- (one by one: as two `exists`, every edge of the tenant was read and hashed for a page)
               coalesce((select e.id from lineage.edges e where e.tenant_id = v_tenant and e.src = d.id limit 1), (select e.id from lineage.edges e where e.tenant_id = v_tenant and e.dst = d.id limit 1)) is not null as was,
               (select array_agg(distinct o.direction) from lineage.job_io o where o.tenant_id = v_tenant and o.dataset_id = d.id) as io
        from lineage.datasets d
        where d.tenant_id = v_tenant and d.id > v_after
          and not exists (select from lineage.edges e where e.tenant_id = v_tenant and e.src = d.id and e.deleted_at is null)
          and not exists (select from lineage.edges e where e.tenant_id = v_tenant and e.dst = d.id and e.deleted_at is null)
        order by d.id limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.lineage_orphans(jsonb) is '{limit?, cursor?} -> datasets that no live edge touches: {node, was_connected, written, read}.';
revoke all on function public.lineage_orphans(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_orphans(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------ layers, retiring

create function public.lineage_violations(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_space text := tenancy.namespace_of(v_tenant);  -- asked once: in the statement it was asked of every dataset, 850 ms for 25,000
    v_limit integer := ground.page_limit($1);
    v_after bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 0 end;
    v_items jsonb;
    v_last bigint;
begin
    select coalesce(jsonb_agg(x.item order by x.id), '[]'), max(x.id) into v_items, v_last from (
        select e.id, jsonb_build_object('reader', r.reader, 'source', r.source, 'rule', format('%s never reads %s', r.reader, r.source), 'from', s.namespace || ':' || s.name,
                   'to', d.namespace || ':' || d.name, 'job', 'job:' || j.namespace || ':' || j.name, 'run_id', e.run_id, 'since', e.created_at) as item
        from catalog.forbidden_flows(v_tenant) r
        join lineage.datasets d on d.tenant_id = v_tenant and d.namespace = v_space and d.name like r.reader || '.%'
        join lineage.edges e on e.tenant_id = v_tenant and e.dst = d.id and e.deleted_at is null and e.id > v_after
        join lineage.datasets s on s.tenant_id = v_tenant and s.id = e.src and s.namespace = d.namespace and s.name like r.source || '.%'
        join lineage.jobs j on j.tenant_id = v_tenant and j.id = e.job_id
        order by e.id limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.lineage_violations(jsonb) is '{limit?, cursor?} -> live edges between tables that break a layer rule ("gold never reads bronze").';
revoke all on function public.lineage_violations(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_violations(jsonb) to authenticated;

create function public.list_layer_rules(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    return (select jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('reader', r.reader, 'source', r.source) order by r.reader, r.source), '[]'), 'next', null)
            from catalog.forbidden_flows((tenancy.require('viewer')).tenant_id) r);
end
$$;
comment on function public.list_layer_rules(jsonb) is '{} -> {items: [{reader, source}]}: which layer never reads which.';
revoke all on function public.list_layer_rules(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_layer_rules(jsonb) to authenticated;

create function door.set_layer_rules(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_rules jsonb := p -> 'rules';
    r jsonb;
    i integer := 0;
begin
    if jsonb_typeof(v_rules) is distinct from 'array' then
        perform ground.fail('BODY_INVALID', '$.rules', 'rules is an array of {reader, source}.');
    end if;
    for r in select * from jsonb_array_elements(v_rules) loop
        if jsonb_typeof(r) <> 'object' or not coalesce(r ->> 'reader' in ('bronze', 'silver', 'gold') and r ->> 'source' in ('bronze', 'silver', 'gold') and r ->> 'reader' <> r ->> 'source', false) then
            perform ground.fail('FIELD_INVALID', format('$.rules[%s]', i), 'A rule names two layers out of bronze, silver and gold: {reader, source}.');
        end if;
        i := i + 1;
    end loop;
    insert into catalog.layer_rules as x (tenant_id, rules, set_by) values (v_member.tenant_id, v_rules, v_member.user_id)
    on conflict (tenant_id) do update set rules = excluded.rules, set_by = excluded.set_by, set_at = clock_timestamp();
    perform audit.append(v_member.tenant_id, 'catalog.set_layer_rules', 'tenant', v_member.tenant_id::text, jsonb_build_object('rules', v_rules));
    return public.list_layer_rules('{}');
end
$$;
revoke all on function door.set_layer_rules(jsonb) from public;
grant execute on function door.set_layer_rules(jsonb) to authenticated;

create function public.set_layer_rules(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.set_layer_rules($1); end $$;
comment on function public.set_layer_rules(jsonb) is '{rules: [{reader, source}]}: which layer never reads which; replaces what was set.';
revoke all on function public.set_layer_rules(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.set_layer_rules(jsonb) to authenticated;

-- Retired, not deleted: what was, stays to be asked for as of then. Seen again, it is a new edge.
create function door.retire_lineage(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
    v_now timestamptz := clock_timestamp();
    v_reason text := p ->> 'reason';
    v_src bigint;
    v_dst bigint;
    v_job bigint;
    v_edges bigint;
    v_columns bigint;
begin
    perform ground.refuse_unknown(p, array['source', 'target', 'job', 'reason']);
    if coalesce(length(v_reason), 0) not between 1 and 1000 then
        perform ground.fail('FIELD_INVALID', '$.reason', 'reason says in 1 to 1000 characters why.');
    elsif not p ? 'job' and not (p ? 'source' and p ? 'target') then
        perform ground.fail('BODY_INVALID', '$', 'Say which edges: source and target, or job, or all three.');
    end if;
    v_src := case when p ? 'source' then door.want_dataset(p ->> 'source') end;
    v_dst := case when p ? 'target' then door.want_dataset(p ->> 'target') end;
    if p ? 'job' then
        v_job := lineage.find_job(p ->> 'job');
        if v_job is null then
            perform ground.fail('NODE_NOT_FOUND', left(p ->> 'job', 200));
        end if;
    end if;
    with gone as (
        update lineage.edges e set deleted_at = v_now, deleted_by = v_member.user_id, deleted_reason = v_reason
        where e.tenant_id = v_member.tenant_id and e.deleted_at is null and (v_src is null or e.src = v_src) and (v_dst is null or e.dst = v_dst) and (v_job is null or e.job_id = v_job)
        returning 1
    )
    select count(*) into v_edges from gone;
    with gone as (
        update lineage.column_edges e set deleted_at = v_now, deleted_by = v_member.user_id, deleted_reason = v_reason
        where e.tenant_id = v_member.tenant_id and e.deleted_at is null and (v_src is null or e.src = v_src) and (v_dst is null or e.dst = v_dst) and (v_job is null or e.job_id = v_job)
        returning 1
    )
    select count(*) into v_columns from gone;
    if v_edges + v_columns = 0 then
        perform ground.fail('EDGE_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'lineage.retire', 'edges', v_edges::text, p || jsonb_build_object('edges', v_edges, 'columns', v_columns));
    return jsonb_build_object('retired', v_edges, 'columns', v_columns, 'at', v_now);
end
$$;
revoke all on function door.retire_lineage(jsonb) from public;
grant execute on function door.retire_lineage(jsonb) to authenticated;

create function public.retire_lineage(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.retire_lineage($1); end $$;
comment on function public.retire_lineage(jsonb) is '{source, target, job?, reason} or {job, reason} -> {retired, columns, at}: live edges are retired; nothing is deleted.';
revoke all on function public.retire_lineage(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.retire_lineage(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
