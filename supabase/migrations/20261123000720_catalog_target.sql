-- catalog, second part: what databases elsewhere hold (targets of migrations), as the last run that touched them has seen it.

grant app_owner, app_system to postgres;
set role app_owner;

create table catalog.target_tables (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    target text not null,
    schema_name text not null,
    name text not null,
    kind text not null check (kind in ('table', 'view', 'materialized view', 'foreign table')),
    columns jsonb not null default '[]',
    comment text,
    row_estimate bigint,
    definition_hash text,  -- of a view: another one has other columns to come from
    dataset_id bigint,
    seen_by_run bigint not null,
    seen_at timestamptz not null default clock_timestamp(),
    gone_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, dataset_id) references lineage.datasets (tenant_id, id)
);
create unique index target_tables_have_one_name on catalog.target_tables (target, schema_name, name, tenant_id);
create index target_tables_of_dataset on catalog.target_tables (dataset_id, tenant_id);
comment on column catalog.target_tables.gone_at is 'Since when a refresh has not found it any more; it comes back when one does.';

alter table catalog.target_tables enable row level security;
alter table catalog.target_tables force row level security;
create policy "members see their targets' tables" on catalog.target_tables for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors see the caller's targets' tables" on catalog.target_tables for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps targets' tables" on catalog.target_tables for all to app_system using (true) with check (true);
grant select on catalog.target_tables to authenticated;
grant select, insert, update on catalog.target_tables to app_system;

set role postgres;
grant create on schema catalog to app_system;
set role app_system;

-- p: {target, namespace, database, tables: [{schema, name, kind, columns, comment, rows, dataset, reads: [dataset], definition_hash}]}
-- What a refresh does not find is marked as gone, and an edge of a view that does not read so any more is retired.
create function catalog.refresh_target(p_tenant uuid, p jsonb, p_run bigint)
returns integer language plpgsql set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();
    v_namespace text := lineage.normal_namespace(p ->> 'namespace');
    v_ids jsonb;
    v_seen integer;
    v_changed bigint[];
begin
    -- two runs may tell of one target: in the order of their settles
    perform pg_advisory_xact_lock(hashtextextended('target ' || p_tenant || ' ' || (p ->> 'target'), 0));
    select coalesce(jsonb_object_agg(d.name, d.id), '{}') into v_ids
    from lineage.dataset_ids(p_tenant, array(
        select (v_namespace, x ->> 'dataset', x -> 'columns')::lineage.named from jsonb_array_elements(p -> 'tables') x
        union all
        select (v_namespace, r, null)::lineage.named
        from jsonb_array_elements(p -> 'tables') x cross join jsonb_array_elements_text(coalesce(x -> 'reads', '[]')) r)) d;
    select coalesce(array_agg(t.dataset_id), '{}') into v_changed
    from jsonb_array_elements(p -> 'tables') x
    join catalog.target_tables t on t.tenant_id = p_tenant and t.target = p ->> 'target' and t.schema_name = x ->> 'schema' and t.name = x ->> 'name'
    where t.definition_hash is distinct from x ->> 'definition_hash';
    insert into catalog.target_tables as t (tenant_id, target, schema_name, name, kind, columns, comment, row_estimate, definition_hash, dataset_id, seen_by_run, seen_at)
    select p_tenant, p ->> 'target', x ->> 'schema', x ->> 'name', x ->> 'kind', coalesce(x -> 'columns', '[]'), x ->> 'comment', (x ->> 'rows')::bigint, x ->> 'definition_hash',
           (v_ids ->> (x ->> 'dataset'))::bigint, p_run, v_now
    from jsonb_array_elements(p -> 'tables') x
    order by x ->> 'schema', x ->> 'name'
    on conflict (target, schema_name, name, tenant_id) do update
    set kind = excluded.kind, columns = excluded.columns, comment = excluded.comment, row_estimate = excluded.row_estimate,
        definition_hash = excluded.definition_hash, dataset_id = excluded.dataset_id, seen_by_run = excluded.seen_by_run, seen_at = excluded.seen_at, gone_at = null;
    get diagnostics v_seen = row_count;
    update catalog.target_tables t set gone_at = v_now
    where t.tenant_id = p_tenant and t.target = p ->> 'target' and t.gone_at is null and t.seen_at < v_now;
    with pair as materialized (
        select (v_ids ->> (x ->> 'dataset'))::bigint as dst, (v_ids ->> r)::bigint as src
        from jsonb_array_elements(p -> 'tables') x cross join jsonb_array_elements_text(coalesce(x -> 'reads', '[]')) r
    )
    update lineage.edges e set deleted_at = v_now, deleted_by = 'catalog', deleted_reason = 'the view does not read it any more'
    from lineage.jobs j
    where j.tenant_id = p_tenant and j.name = 'catalog/' || (p ->> 'target') and e.tenant_id = p_tenant and e.job_id = j.id
      and e.method = 'catalog' and e.deleted_at is null
      and not exists (select from pair x where x.dst = e.dst and x.src = e.src);
    -- columns of a view that reads otherwise now are told anew, by the event of the same settle
    update lineage.column_edges e set deleted_at = v_now, deleted_by = 'catalog', deleted_reason = 'the view is another one now'
    from lineage.jobs j
    where j.tenant_id = p_tenant and j.name = 'catalog/' || (p ->> 'target') and e.tenant_id = p_tenant and e.job_id = j.id and e.deleted_at is null
      and (e.dst = any (v_changed)
           or not exists (select from catalog.target_tables t where t.tenant_id = p_tenant and t.dataset_id = e.dst and t.gone_at is null));
    perform catalog.sync_target(p_tenant, p ->> 'target');
    return v_seen;
end
$$;
revoke all on function catalog.refresh_target(uuid, jsonb, bigint) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
