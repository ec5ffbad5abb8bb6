-- lineage, further part: what a view of the layers says, column by column. Postgres' own book names the tables that a view reads; which column
-- comes of which stands in its text, and that a runner reads, as it looks at facets: after it is stored, and never at the time of a question.

grant app_owner, app_system to postgres;
set role app_owner;

create table lineage.views (
    tenant_id uuid not null references tenancy.tenants,
    dataset_id bigint not null,
    version uuid not null default gen_random_uuid(),  -- of the text: what was found in an older one is late
    definition text not null,
    tables jsonb not null check (jsonb_typeof(tables) = 'object'),  -- schema.table as the text has it -> {name, columns}
    changed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, dataset_id),
    foreign key (tenant_id, dataset_id) references lineage.datasets (tenant_id, id)
);
comment on table lineage.views is 'The text of each view of the layers as it was last captured.';

alter table lineage.views enable row level security;
alter table lineage.views force row level security;
create policy "the worker keeps what views say" on lineage.views for all to app_system using (true) with check (true);
grant select, insert, update, delete on lineage.views to app_system;

-- A view as it is now; where its text or what it reads has changed, a runner is asked to read it. True: it has.
create function lineage.tell_view(p_tenant uuid, p_namespace text, p_name text, p_definition text, p_tables jsonb, p_run bigint)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_version uuid;
begin
    insert into lineage.views as v (tenant_id, dataset_id, definition, tables)
    select p_tenant, d.id, p_definition, p_tables from lineage.dataset_ids(p_tenant, array[(p_namespace, p_name, null)::lineage.named]) d
    on conflict (tenant_id, dataset_id) do update set version = excluded.version, definition = excluded.definition, tables = excluded.tables, changed_at = excluded.changed_at
    where (v.definition, v.tables) is distinct from (excluded.definition, excluded.tables)
    returning v.version into v_version;
    if v_version is not null then
        perform lineage.record_all(p_tenant, array[jsonb_build_object('eventTime', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'producer', 'urn:control-room:worker',
            'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent', 'dataset', jsonb_build_object('namespace', p_namespace, 'name', p_name, 'facets', jsonb_build_object(
                'control_room_view', jsonb_build_object('version', v_version, 'definition', p_definition))))], p_run);
    end if;
    return v_version is not null;
end
$$;
revoke all on function lineage.tell_view(uuid, text, text, text, jsonb, bigint) from public;
grant execute on function lineage.tell_view(uuid, text, text, text, jsonb, bigint) to app_system;

-- The text that an event speaks of, as it was captured: what stands in the event itself anybody could have told.
create function lineage.view_of_event(p_tenant uuid, p_event jsonb)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('definition', v.definition, 'tables', v.tables) from lineage.views v
    where v.tenant_id = p_tenant and p_event ? 'dataset' and v.version::text = p_event #>> '{dataset,facets,control_room_view,version}'
$$;
revoke all on function lineage.view_of_event(uuid, jsonb) from public;
grant execute on function lineage.view_of_event(uuid, jsonb) to app_system;

-- What a runner read off the text that an event speaks of: {columns: [{field, source, source_field, type, subtype}], doubts}. Columns that
-- the view had before and has no more are retired. False: the view says something else by now.
create function lineage.take_columns(p_tenant uuid, p_event bigint, p_job text, p_found jsonb)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_dataset jsonb := (select e.event -> 'dataset' from lineage.events e where e.tenant_id = p_tenant and e.id = p_event);
    v_space text := v_dataset ->> 'namespace';
    w lineage.views;
begin
    select v.* into w from lineage.views v where v.tenant_id = p_tenant and v.version = (v_dataset #>> '{facets,control_room_view,version}')::uuid for update;
    if not found then
        return false;
    end if;
    perform lineage.record_all(p_tenant, array[jsonb_build_object('eventTime', to_char(w.changed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'eventType', 'COMPLETE', 'producer', 'urn:control-room:worker',
        'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent', 'job', jsonb_build_object('namespace', v_space, 'name', p_job), 'inputs', '[]'::jsonb,
        'run', jsonb_build_object('runId', w.version, 'facets', jsonb_build_object('control_room', jsonb_build_object('method', 'catalog',
            'confidence', case when jsonb_array_length(coalesce(p_found -> 'doubts', '[]')) = 0 then 'high' else 'low' end, 'reasons', coalesce(p_found -> 'doubts', '[]')))),
        'outputs', jsonb_build_array(jsonb_build_object('namespace', v_space, 'name', v_dataset -> 'name', 'facets', jsonb_build_object('columnLineage', jsonb_build_object('fields', (
            select coalesce(jsonb_object_agg(f.field, jsonb_build_object('inputFields', f.inputs)), '{}') from (
                select c ->> 'field' as field, jsonb_agg(jsonb_build_object('namespace', v_space, 'name', c -> 'source', 'field', c -> 'source_field',
                           'transformations', jsonb_build_array(jsonb_build_object('type', c -> 'type', 'subtype', c -> 'subtype')))) as inputs
                from jsonb_array_elements(p_found -> 'columns') c group by 1) f))))))], null, 'catalog');
    update lineage.column_edges e set deleted_at = clock_timestamp(), deleted_by = 'catalog', deleted_reason = 'the view does not say so any more'
    from lineage.datasets s, lineage.jobs j
    where e.tenant_id = p_tenant and e.dst = w.dataset_id and e.deleted_at is null and s.tenant_id = p_tenant and s.id = e.src
      and j.tenant_id = p_tenant and j.id = e.job_id and j.namespace = v_space and j.name = p_job
      and not exists (select from jsonb_array_elements(p_found -> 'columns') c where (c ->> 'source', c ->> 'source_field', c ->> 'field', c ->> 'type') = (s.name, e.src_field, e.dst_field, e.type));
    return true;
end
$$;
revoke all on function lineage.take_columns(uuid, bigint, text, jsonb) from public;
grant execute on function lineage.take_columns(uuid, bigint, text, jsonb) to app_system;

-- Views that are there no more: their columns conduct no more either.
create function lineage.forget_views(p_tenant uuid, p_gone bigint[])
returns void language plpgsql set search_path = '' as $$
begin
    delete from lineage.views v where v.tenant_id = p_tenant and v.dataset_id = any (p_gone);
    update lineage.column_edges e set deleted_at = clock_timestamp(), deleted_by = 'catalog', deleted_reason = 'the view is gone'
    where e.tenant_id = p_tenant and e.dst = any (p_gone) and e.deleted_at is null;
end
$$;
revoke all on function lineage.forget_views(uuid, bigint[]) from public;
grant execute on function lineage.forget_views(uuid, bigint[]) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
