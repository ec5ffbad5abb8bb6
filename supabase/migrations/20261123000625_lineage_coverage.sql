-- lineage, further part: what coverage measures the graph by: flows that were seen to exist by another witness than the work's own
-- telling, and whether the graph knows a flow.

grant app_owner, app_system to postgres;
set role app_owner;

create table lineage.witnessed (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    witness text not null check (witness in (
        'pg_depend',  -- src is what the view dst reads, in a database elsewhere
        'migration',  -- dst was made or changed, src null
        'n8n'         -- place is a workflow that carried an attempt; dst is what it was asked for
    )),
    place text not null check (length(place) <= 200),
    src bigint,
    dst bigint,
    run_id bigint,
    seen_at timestamptz not null default clock_timestamp(),
    gone_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, src) references lineage.datasets (tenant_id, id),
    foreign key (tenant_id, dst) references lineage.datasets (tenant_id, id)
);
create unique index witnessed_once on lineage.witnessed (place, tenant_id, witness, dst, src) nulls not distinct;
create index witnessed_of_dataset on lineage.witnessed (dst, tenant_id);
create index witnessed_of_source on lineage.witnessed (src, tenant_id);
comment on table lineage.witnessed is 'What is owed to the graph, whoever tells of it.';

alter table lineage.witnessed enable row level security;
alter table lineage.witnessed force row level security;
create policy "members see what was witnessed" on lineage.witnessed for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors see what the caller's witnesses saw" on lineage.witnessed for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps what was witnessed" on lineage.witnessed for all to app_system using (true) with check (true);
grant select on lineage.witnessed to authenticated;
grant select, insert, update on lineage.witnessed to app_system;

-- Flows by their names: {source?: {namespace, name}, target?: …}. Where p_whole, a witness has told all there is of a place: what it does
-- not tell of is gone.
create function lineage.bear_witness(p_tenant uuid, p_witness text, p_place text, p_flows jsonb, p_run bigint, p_whole boolean default false)
returns void language plpgsql set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();
    v_ids jsonb;
begin
    select coalesce(jsonb_object_agg(d.namespace || chr(31) || d.name, d.id), '{}') into v_ids
    from lineage.dataset_ids(p_tenant, array(
        select (lineage.normal_namespace(n ->> 'namespace'), n ->> 'name', null)::lineage.named
        from jsonb_array_elements(p_flows) f cross join lateral (values (f -> 'source'), (f -> 'target')) x (n) where n ->> 'name' is not null)) d;
    insert into lineage.witnessed as w (tenant_id, witness, place, src, dst, run_id, seen_at)
    select distinct p_tenant, p_witness, p_place,
           (v_ids ->> (lineage.normal_namespace(f #>> '{source,namespace}') || chr(31) || (f #>> '{source,name}')))::bigint,
           (v_ids ->> (lineage.normal_namespace(f #>> '{target,namespace}') || chr(31) || (f #>> '{target,name}')))::bigint, p_run, v_now
    from jsonb_array_elements(p_flows) f
    on conflict (place, tenant_id, witness, dst, src) do update set run_id = excluded.run_id, seen_at = excluded.seen_at, gone_at = null;
    if p_whole then
        update lineage.witnessed w set gone_at = v_now
        where w.place = p_place and w.tenant_id = p_tenant and w.witness = p_witness and w.gone_at is null and w.seen_at < v_now;
    end if;
end
$$;
revoke all on function lineage.bear_witness(uuid, text, text, jsonb, bigint, boolean) from public;
grant execute on function lineage.bear_witness(uuid, text, text, jsonb, bigint, boolean) to app_system;

-- Views and materialised views of this database that read these tables, directly or through others, each with all that it reads: from
-- Postgres' own book of dependencies, by index, so that it costs what there is above them and not what there is.
create function lineage.views_over(p_tables oid[])
returns table (view oid, source oid) language plpgsql stable rows 20 set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    with recursive reached (view) as (
        select unnest(p_tables)
        union
        select w.ev_class from reached x
        join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = x.view and d.classid = 'pg_catalog.pg_rewrite'::regclass and d.deptype = 'n'
        join pg_catalog.pg_rewrite w on w.oid = d.objid and w.ev_class <> x.view
    )
    select distinct c.oid, s.oid from reached x
    join pg_catalog.pg_class c on c.oid = x.view and c.relkind in ('v', 'm')
    join pg_catalog.pg_rewrite w on w.ev_class = c.oid
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> c.oid and d.deptype = 'n'
    join pg_catalog.pg_class s on s.oid = d.refobjid and s.relkind in ('r', 'p', 'v', 'm', 'f');
end
$$;
revoke all on function lineage.views_over(oid[]) from public;
grant execute on function lineage.views_over(oid[]) to app_system, authenticated;

-- Null: there is none of that name, nor one that goes by it.
create function lineage.dataset_by_name(p_tenant uuid, p_namespace text, p_name text)
returns bigint language plpgsql stable set search_path = '' as $$
declare
    v_key uuid := md5(lineage.normal_namespace(p_namespace) || chr(31) || p_name)::uuid;
begin
    return coalesce((select d.id from lineage.datasets d where d.key = v_key and d.tenant_id = p_tenant),
                    (select y.dataset_id from lineage.symlinks y where y.key = v_key and y.tenant_id = p_tenant));
end
$$;
revoke all on function lineage.dataset_by_name(uuid, text, text) from public;
grant execute on function lineage.dataset_by_name(uuid, text, text) to authenticated, app_system;

-- Whether the graph knows that a job (null: any) read src, or wrote dst, or that src flows to dst. An edge that was retired after p_since
-- counts: somebody looked at it and said why.
create function lineage.knows(p_tenant uuid, p_job_namespace text, p_job text, p_src_namespace text, p_src text, p_dst_namespace text, p_dst text, p_since timestamptz)
returns boolean language plpgsql stable set search_path = '' as $$
declare
    v_job bigint := (select j.id from lineage.jobs j where j.key = md5(p_job_namespace || chr(31) || p_job)::uuid and j.tenant_id = p_tenant);
    v_src bigint := lineage.dataset_by_name(p_tenant, p_src_namespace, p_src);
    v_dst bigint := lineage.dataset_by_name(p_tenant, p_dst_namespace, p_dst);
begin
    if (p_job is not null and v_job is null) or (p_src is not null and v_src is null) or (p_dst is not null and v_dst is null) then
        return false;
    elsif p_src is not null and p_dst is not null then
        return exists (select from lineage.edges e where e.src = v_src and e.dst = v_dst and e.tenant_id = p_tenant
                         and (v_job is null or e.job_id = v_job) and (e.deleted_at is null or e.deleted_at > p_since));
    end if;
    return exists (select from lineage.job_io o where o.dataset_id = coalesce(v_dst, v_src) and o.tenant_id = p_tenant
                     and o.direction = case when v_dst is null then 'in' else 'out' end and (v_job is null or o.job_id = v_job))
        or exists (select from lineage.edges e where v_dst is not null and e.dst = v_dst and e.tenant_id = p_tenant
                     and (v_job is null or e.job_id = v_job) and (e.deleted_at is null or e.deleted_at > p_since))
        or exists (select from lineage.edges e where v_dst is null and e.src = v_src and e.tenant_id = p_tenant
                     and (v_job is null or e.job_id = v_job) and (e.deleted_at is null or e.deleted_at > p_since));
end
$$;
revoke all on function lineage.knows(uuid, text, text, text, text, text, text, timestamptz) from public;
grant execute on function lineage.knows(uuid, text, text, text, text, text, text, timestamptz) to app_system, authenticated;

set role postgres;
revoke app_owner, app_system from postgres;
