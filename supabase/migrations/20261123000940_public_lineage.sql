-- public: lineage and the catalog's tables.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- OpenLineage events, one or a list: a bad one is told by its index and sinks no other.
create function door.lineage_ingest(events jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_events jsonb := case jsonb_typeof(events) when 'array' then events else jsonb_build_array(events) end;
    v_good jsonb[] := '{}';
    v_places integer[] := '{}';
    v_fresh integer[];
    v_failed jsonb[] := '{}';
    v_count integer;
    v_fault text;
    e jsonb;
    i integer := 0;
begin
    if events is null or jsonb_array_length(v_events) > 10000 then
        perform ground.fail('BODY_INVALID', '$', 'An event or an array of at most 10000 events is expected.');
    end if;
    perform ground.refuse_deep(events);
    for e in select * from jsonb_array_elements(v_events) loop
        v_fault := lineage.fault(e);
        if v_fault is null then
            v_good := v_good || e;
            v_places := v_places || i;
        else
            v_failed := v_failed || jsonb_build_object('index', i, 'reason', v_fault, 'retriable', false);
        end if;
        i := i + 1;
    end loop;
    begin
        v_fresh := lineage.record_all(v_member.tenant_id, v_good);
    exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
        v_fresh := '{}';
        for n in 1 .. cardinality(v_good) loop  -- one of them cannot be kept: each by itself then
            begin
                if lineage.record_all(v_member.tenant_id, array[v_good[n]]) <> '{}' then
                    v_fresh := v_fresh || n;
                end if;
            exception when data_exception or integrity_constraint_violation or program_limit_exceeded then
                v_failed := v_failed || jsonb_build_object('index', v_places[n], 'reason', '$: ' || left(sqlerrm, 200), 'retriable', false);
            end;
        end loop;
    end;
    perform schedule.mark_events(v_member.tenant_id, array(select v_good[n] from unnest(v_fresh) n order by n));
    v_count := cardinality(v_failed);
    perform audit.append(v_member.tenant_id, 'lineage.ingest', 'events', i::text, jsonb_build_object('failed', v_count));
    return jsonb_build_object('status', case v_count when 0 then 'success' else 'partial_success' end,
        'summary', jsonb_build_object('received', i, 'successful', i - v_count, 'failed', v_count, 'retriable', 0, 'non_retriable', v_count),
        'failed_events', (select coalesce(jsonb_agg(f order by (f ->> 'index')::integer), '[]') from unnest(v_failed) f));
end
$$;
revoke all on function door.lineage_ingest(jsonb) from public;
grant execute on function door.lineage_ingest(jsonb) to authenticated;

create function public.lineage_ingest(events jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.lineage_ingest(events); end $$;
comment on function public.lineage_ingest(jsonb) is 'OpenLineage events, one or an array -> {status, summary, failed_events: [{index, reason}]}. Replays change nothing.';
revoke all on function public.lineage_ingest(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.lineage_ingest(jsonb) to authenticated;

create function public.lineage_graph(
    node text, direction text default 'both', depth integer default 5, as_of timestamptz default null,
    kinds text[] default null, max_nodes integer default 2000, cursor text default null
)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_start bigint;
    v_nodes bigint[];
    v_offset integer := 0;
    v_page bigint[];
    v_graph jsonb;
begin
    perform tenancy.require('viewer');
    if lineage_graph.direction is null or lineage_graph.direction <> all (array['upstream', 'downstream', 'both']) then
        perform ground.fail('FIELD_INVALID', 'direction', 'direction is upstream, downstream or both.');
    elsif lineage_graph.depth is null or lineage_graph.depth not between 0 and 100 then
        perform ground.fail('FIELD_INVALID', 'depth', 'depth is a whole number of dataset hops from 0 to 100.');
    elsif max_nodes is null or max_nodes not between 1 and 20000 then
        perform ground.fail('FIELD_INVALID', 'max_nodes', 'max_nodes is a whole number from 1 to 20000.');
    elsif cursor is not null and cursor !~ '^[0-9]{1,7}$' then
        perform ground.fail('FIELD_INVALID', 'cursor', 'cursor is what next gave.');
    end if;
    v_offset := coalesce(cursor::integer, 0);
    if node like 'job:%' then
        select array_agg(distinct o.dataset_id order by o.dataset_id) into v_nodes from lineage.job_io o
        where o.tenant_id = (select tenancy.tenant_id()) and o.job_id = lineage.find_job(node);
    else
        v_start := lineage.find_dataset(node);
        v_nodes := case when v_start is not null then array[v_start] end;
    end if;
    if v_nodes is null then
        perform ground.fail('NODE_NOT_FOUND', left(node, 200));
    end if;
    v_nodes := lineage.walk(v_nodes, lineage_graph.direction, lineage_graph.depth, as_of, v_offset + max_nodes + 1);
    v_page := v_nodes[v_offset + 1 : v_offset + max_nodes];
    v_graph := lineage.hydrate(v_page, as_of);
    if kinds is not null then
        select coalesce(jsonb_agg(g), '[]') into v_graph from jsonb_array_elements(v_graph) g where lower(g ->> 'type') = any (select lower(k) from unnest(kinds) k);
    end if;
    return jsonb_build_object('graph', v_graph, 'truncated', cardinality(v_nodes) > v_offset + max_nodes,
        'next', case when cardinality(v_nodes) > v_offset + max_nodes then (v_offset + max_nodes)::text end);
end
$$;
comment on function public.lineage_graph(text, text, integer, timestamptz, text[], integer, text)
    is 'node = dataset:{ns}:{name} or job:{ns}:{name}; depth in dataset hops -> {graph: [{id, type, data, inEdges, outEdges}], truncated, next}.';
revoke all on function public.lineage_graph(text, text, integer, timestamptz, text[], integer, text) from public, anon, authenticated, service_role;
grant execute on function public.lineage_graph(text, text, integer, timestamptz, text[], integer, text) to authenticated;

-- What a run read and wrote, with columns: this very file came from these runs.
create function public.run_lineage(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_run bigint := ground.want_id($1, 'run_id');
    v_edges bigint[];
    v_nodes bigint[];
begin
    if not exists (select from queue.runs r where r.tenant_id = v_tenant and r.id = v_run) then
        perform ground.fail('RUN_NOT_FOUND');
    end if;
    select array_agg(distinct o.edge_id) into v_edges from lineage.observations o where o.tenant_id = v_tenant and o.run_id = v_run;
    select array_agg(distinct n) into v_nodes from (
        select e.src as n from lineage.edges e where e.tenant_id = v_tenant and e.id = any (v_edges)
        union select e.dst from lineage.edges e where e.tenant_id = v_tenant and e.id = any (v_edges)) x;
    return jsonb_build_object('run_id', v_run, 'graph', lineage.hydrate(coalesce(v_nodes, '{}'), null),
        'columns', (select coalesce(jsonb_agg(jsonb_build_object('origin', s.namespace || ':' || s.name || ':' || c.src_field,
                        'destination', d.namespace || ':' || d.name || ':' || c.dst_field, 'type', c.type, 'subtype', c.subtype)), '[]')
                    from lineage.column_edges c
                    join lineage.datasets s on s.tenant_id = c.tenant_id and s.id = c.src
                    join lineage.datasets d on d.tenant_id = c.tenant_id and d.id = c.dst
                    where c.tenant_id = v_tenant and c.deleted_at is null and c.src = any (v_nodes) and c.dst = any (v_nodes)
                      and c.job_id in (select e.job_id from lineage.edges e where e.tenant_id = v_tenant and e.id = any (v_edges))));
end
$$;
comment on function public.run_lineage(jsonb) is '{run_id} -> {graph, columns}: what the run read and wrote.';
revoke all on function public.run_lineage(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.run_lineage(jsonb) to authenticated;

-- ------------------------------------------------------------------------------------------ catalog

-- Rows of a layer table, read as the caller: row security of the table decides.
create function public.read_table(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_limit integer := ground.page_limit($1);
    a catalog.assets;
    v_rows jsonb;
begin
    select x.* into a from catalog.assets x where x.tenant_id = v_tenant and x.layer::text = $1 ->> 'layer' and x.name = $1 ->> 'table';
    if not found then
        perform ground.fail('INPUT_NOT_FOUND', left(concat_ws('.', $1 ->> 'layer', $1 ->> 'table'), 128));
    end if;
    execute format('select coalesce(jsonb_agg(to_jsonb(t) - ''tenant_id''), ''[]'') from (select * from %I.%I limit %s) t', a.schema_name, a.name, v_limit) into v_rows;
    return jsonb_build_object('layer', a.layer, 'schema', a.schema_name, 'table', a.name, 'columns', a.columns, 'row_count', a.row_count, 'rows', v_rows);
end
$$;
comment on function public.read_table(jsonb) is '{layer, table, limit?} -> {columns, row_count, rows}; viewers read gold.';
revoke all on function public.read_table(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.read_table(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
