-- lineage: datasets, jobs, edges, columns, raw events; append-only. Retiring sets deleted_at; observing again inserts.

grant app_owner, app_system to postgres;
create schema lineage authorization app_owner;
set role app_owner;
grant usage on schema lineage to authenticated, service_role, app_system;

create table lineage.datasets (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    namespace text not null check (length(namespace) between 1 and 4096),
    name text not null check (length(name) between 1 and 4096),
    key uuid not null generated always as (md5(namespace || chr(31) || name)::uuid) stored,  -- names may outgrow an index row
    fields jsonb,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
create unique index datasets_have_one_name on lineage.datasets (key, tenant_id);

-- Other names of a dataset, as its symlinks facet tells them: asked for by one of them, it is found.
create table lineage.symlinks (
    tenant_id uuid not null,
    key uuid not null,  -- as in datasets
    dataset_id bigint not null,
    namespace text not null,
    name text not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (key, tenant_id),
    foreign key (tenant_id, dataset_id) references lineage.datasets (tenant_id, id)
);
create index symlinks_of_dataset on lineage.symlinks (dataset_id, tenant_id);

create table lineage.jobs (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    namespace text not null check (length(namespace) between 1 and 4096),
    name text not null check (length(name) between 1 and 4096),
    key uuid not null generated always as (md5(namespace || chr(31) || name)::uuid) stored,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
);
create unique index jobs_have_one_name on lineage.jobs (key, tenant_id);

create table lineage.events (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    received_at timestamptz not null default clock_timestamp(),
    digest bytea not null check (length(digest) = 32),
    run_id bigint,
    event jsonb not null,
    primary key (tenant_id, id)
);
create unique index replays_are_idempotent on lineage.events (digest, tenant_id);
create index events_of_run on lineage.events (tenant_id, run_id) where run_id is not null;
-- the job and the run that an event itself names, see 95_public_marquez; and when it came
create index events_of_told_job on lineage.events ((md5((event #>> '{job,namespace}') || chr(31) || (event #>> '{job,name}'))::uuid), tenant_id, id) where event ? 'run';
create index events_of_told_run on lineage.events ((event #>> '{run,runId}'), tenant_id) where event ? 'run';
create index events_by_time on lineage.events using brin (received_at);
comment on table lineage.events is 'The events as they came, unknown facets included.';

create table lineage.edges (
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    src bigint not null,
    dst bigint not null,
    job_id bigint not null,
    method text not null check (method in ('sql', 'plan', 'catalog', 'event', 'artifact', 'manual')),
    run_id bigint,
    txid xid8 not null default pg_current_xact_id(),
    created_at timestamptz not null default clock_timestamp(),
    deleted_at timestamptz,
    deleted_by text,
    deleted_reason text,
    primary key (tenant_id, id),
    foreign key (tenant_id, src) references lineage.datasets (tenant_id, id),
    foreign key (tenant_id, dst) references lineage.datasets (tenant_id, id),
    foreign key (tenant_id, job_id) references lineage.jobs (tenant_id, id),
    constraint retired_says_who check ((deleted_at is null) = (deleted_by is null))
);
create unique index one_live_edge on lineage.edges (src, dst, job_id, tenant_id) where deleted_at is null;
create index edges_forward on lineage.edges (src, tenant_id) include (dst) where deleted_at is null;
create index edges_backward on lineage.edges (dst, tenant_id) include (src) where deleted_at is null;
create index edges_forward_ever on lineage.edges (src, tenant_id) include (dst, created_at, deleted_at);
create index edges_backward_ever on lineage.edges (dst, tenant_id) include (src, created_at, deleted_at);
create index edges_of_job on lineage.edges (job_id, tenant_id);

create table lineage.column_edges (
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    src bigint not null,
    src_field text not null check (length(src_field) <= 1024),
    dst bigint not null,
    dst_field text not null check (length(dst_field) <= 1024),
    job_id bigint not null,
    type text not null default 'DIRECT' check (type in ('DIRECT', 'INDIRECT')),
    subtype text,
    run_id bigint,
    created_at timestamptz not null default clock_timestamp(),
    deleted_at timestamptz,
    deleted_by text,
    deleted_reason text,
    primary key (tenant_id, id),
    foreign key (tenant_id, src) references lineage.datasets (tenant_id, id),
    foreign key (tenant_id, dst) references lineage.datasets (tenant_id, id),
    foreign key (tenant_id, job_id) references lineage.jobs (tenant_id, id),
    constraint retired_says_who check ((deleted_at is null) = (deleted_by is null))
);
create unique index one_live_column_edge on lineage.column_edges
    (dst, tenant_id, md5(dst_field), src, md5(src_field), job_id, type) where deleted_at is null;
create index column_edges_forward on lineage.column_edges (src, tenant_id);
create index column_edges_backward on lineage.column_edges (dst, tenant_id);
create index column_edges_of_job on lineage.column_edges (job_id, tenant_id);

-- Which job reads and writes what: holds nodes that have no edge yet (a job that only writes).
create table lineage.job_io (
    tenant_id uuid not null,
    job_id bigint not null,
    dataset_id bigint not null,
    direction text not null check (direction in ('in', 'out')),
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, job_id, dataset_id, direction),
    foreign key (tenant_id, job_id) references lineage.jobs (tenant_id, id),
    foreign key (tenant_id, dataset_id) references lineage.datasets (tenant_id, id)
);
create index job_io_of_dataset on lineage.job_io (dataset_id, tenant_id);

-- Each further sighting of an edge, with the run that showed it; time partitions are dropped by retention.
create table lineage.observations (
    tenant_id uuid not null,
    edge_id bigint not null,
    observed_at timestamptz not null default clock_timestamp(),
    run_id bigint,
    event_id bigint,
    primary key (tenant_id, edge_id, observed_at)
) partition by range (observed_at);
create table lineage.observations_rest partition of lineage.observations default;
create index observations_of_run on lineage.observations (run_id, tenant_id);

-- Law 3: no role's DML deletes, truncates or rewrites an edge.
create function lineage.refuse_rewrite()
returns trigger language plpgsql set search_path = '' as $$
begin
    if old.deleted_at is null and new.deleted_at is not null
       and (to_jsonb(new) - array['deleted_at', 'deleted_by', 'deleted_reason'])
         = (to_jsonb(old) - array['deleted_at', 'deleted_by', 'deleted_reason']) then
        return new;
    end if;
    raise exception using errcode = '42501', message = tg_name || ': an edge is only ever retired';
end
$$;
revoke all on function lineage.refuse_rewrite() from public;

create trigger edges_are_append_only before update on lineage.edges for each row execute function lineage.refuse_rewrite();
create trigger edges_are_never_deleted before delete on lineage.edges for each row execute function ground.refuse_change();
create trigger edges_are_never_truncated before truncate on lineage.edges for each statement execute function ground.refuse_change();
create trigger column_edges_are_append_only before update on lineage.column_edges for each row execute function lineage.refuse_rewrite();
create trigger column_edges_are_never_deleted before delete on lineage.column_edges for each row execute function ground.refuse_change();
create trigger column_edges_are_never_truncated before truncate on lineage.column_edges for each statement execute function ground.refuse_change();
create trigger events_are_append_only before update or delete on lineage.events for each row execute function ground.refuse_change();
create trigger events_are_never_truncated before truncate on lineage.events for each statement execute function ground.refuse_change();
alter table lineage.edges enable always trigger edges_are_append_only;
alter table lineage.edges enable always trigger edges_are_never_deleted;
alter table lineage.edges enable always trigger edges_are_never_truncated;
alter table lineage.column_edges enable always trigger column_edges_are_append_only;
alter table lineage.column_edges enable always trigger column_edges_are_never_deleted;
alter table lineage.column_edges enable always trigger column_edges_are_never_truncated;
alter table lineage.events enable always trigger events_are_append_only;
alter table lineage.events enable always trigger events_are_never_truncated;

do $rls$
declare
    t text;
begin
    foreach t in array array['datasets', 'symlinks', 'jobs', 'events', 'edges', 'column_edges', 'job_io', 'observations'] loop
        execute format('alter table lineage.%I enable row level security', t);
        execute format('alter table lineage.%I force row level security', t);
        execute format('create policy "members see their lineage" on lineage.%I for select to authenticated
                        using (tenant_id = (select tenancy.tenant_id()))', t);
        execute format('create policy "doors keep the caller''s lineage" on lineage.%I for all to app_owner
                        using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()))', t);
        execute format('create policy "the worker keeps lineage" on lineage.%I for all to app_system using (true) with check (true)', t);
        execute format('grant select, insert on lineage.%I to app_system', t);
        execute format('grant select on lineage.%I to authenticated', t);
    end loop;
end
$rls$;
alter table lineage.observations_rest enable row level security;
alter table lineage.observations_rest force row level security;
grant update (deleted_at, deleted_by, deleted_reason) on lineage.edges, lineage.column_edges to app_system;
grant update (fields) on lineage.datasets to app_system;

-- ------------------------------------------------------------------------------------------- ingest

create function lineage.normal_namespace(p text)
returns text language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return case when p like 'postgresql://%' then 'postgres' || substr(p, 11) else p end;
end
$$;
revoke all on function lineage.normal_namespace(text) from public;
grant execute on function lineage.normal_namespace(text) to authenticated, app_system;

-- The shape fault of an OpenLineage event with its path, or null.
create function lineage.fault(e jsonb)
returns text language plpgsql immutable set search_path = '' as $$
declare
    v text;
    d jsonb;
    i integer;
begin
    if jsonb_typeof(e) is distinct from 'object' then
        return '$: an event is an object';
    end if;
    foreach v in array array['eventTime', 'producer', 'schemaURL'] loop
        if jsonb_typeof(e -> v) is distinct from 'string' then
            return '$.' || v || ': is required';
        end if;
    end loop;
    if e ->> 'eventTime' !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$' then
        return '$.eventTime: is no ISO 8601 time';
    end if;
    if not (e ? 'job' or e ? 'dataset') then
        return '$: has neither job nor dataset';
    end if;
    if e ? 'run' and (jsonb_typeof(e #> '{run,runId}') is distinct from 'string'
                      or e #>> '{run,runId}' !~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$') then
        return '$.run.runId: is no UUID';
    end if;
    foreach v in array array['job', 'dataset'] loop
        if e ? v and (coalesce(length(e -> v ->> 'namespace'), 0) not between 1 and 4096 or coalesce(length(e -> v ->> 'name'), 0) not between 1 and 4096) then
            return '$.' || v || ': needs namespace and name of 1 to 4096 characters';
        end if;
    end loop;
    foreach v in array array['inputs', 'outputs'] loop
        continue when not e ? v or jsonb_typeof(e -> v) = 'null';
        if jsonb_typeof(e -> v) <> 'array' then
            return '$.' || v || ': is no array';
        end if;
        i := 0;
        for d in select * from jsonb_array_elements(e -> v) loop
            if jsonb_typeof(d) <> 'object' or coalesce(length(d ->> 'namespace'), 0) not between 1 and 4096
               or coalesce(length(d ->> 'name'), 0) not between 1 and 4096 then
                return format('$.%s[%s]: needs namespace and name of 1 to 4096 characters', v, i);
            end if;
            i := i + 1;
        end loop;
    end loop;
    return null;
end
$$;
revoke all on function lineage.fault(jsonb) from public;
grant execute on function lineage.fault(jsonb) to app_system;

-- ---------------------------------------------------------------------------------------- questions
-- Readers run as the caller: row security keeps them inside the tenant.

-- namespaces and names may both hold colons: every split is tried against what is there
create function lineage.find_dataset(p_node text)
returns bigint language plpgsql stable set search_path = '' as $$
declare
    v_rest text := substr(p_node, 9);
    v_keys uuid[];
    v_id bigint;
begin
    if p_node is null or p_node not like 'dataset:%:%' or length(p_node) > 8500 then
        perform ground.fail('NODE_ID_INVALID', left(p_node, 200));
    end if;
    v_keys := array(select md5(lineage.normal_namespace(left(v_rest, n - 1)) || chr(31) || substr(v_rest, n + 1))::uuid
                    from generate_series(2, length(v_rest) - 1) n where substr(v_rest, n, 1) = ':');
    select d.id into v_id from lineage.datasets d where d.tenant_id = (select tenancy.tenant_id()) and d.key = any (v_keys) limit 1;
    if v_id is null then
        select y.dataset_id into v_id from lineage.symlinks y where y.tenant_id = (select tenancy.tenant_id()) and y.key = any (v_keys) limit 1;
    end if;
    return v_id;
end
$$;
revoke all on function lineage.find_dataset(text) from public;
grant execute on function lineage.find_dataset(text) to authenticated;

-- Breadth first; EXCEPT hashes where `<> all (visited)` would scan. Order is stable, so a page is an offset. Up and down are walked
-- apart: what is above may be below as well, in a circle, and leads on both ways.
create function lineage.walk(p_start bigint[], p_direction text, p_depth integer, p_as_of timestamptz, p_max integer)
returns bigint[] language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := tenancy.tenant_id();
    v_front bigint[];
    v_seen bigint[];
    v_all bigint[] := p_start;
    v_way text;
    i integer;
begin
    foreach v_way in array case p_direction when 'both' then array['upstream', 'downstream'] else array[p_direction] end loop
        v_front := p_start;
        v_seen := p_start;
        i := 0;
        while i < p_depth and cardinality(v_front) > 0 and cardinality(v_seen) < p_max loop
            i := i + 1;
            if v_way = 'upstream' and p_as_of is null then
                select coalesce(array_agg(x.n order by x.n), '{}') into v_front from (
                    select e.src as n from lineage.edges e where e.tenant_id = v_tenant and e.dst = any (v_front) and e.deleted_at is null
                    except select unnest(v_seen)) x;
            elsif v_way = 'upstream' then
                select coalesce(array_agg(x.n order by x.n), '{}') into v_front from (
                    select e.src as n from lineage.edges e where e.tenant_id = v_tenant and e.dst = any (v_front)
                      and e.created_at <= p_as_of and (e.deleted_at is null or e.deleted_at > p_as_of)
                    except select unnest(v_seen)) x;
            elsif p_as_of is null then
                select coalesce(array_agg(x.n order by x.n), '{}') into v_front from (
                    select e.dst as n from lineage.edges e where e.tenant_id = v_tenant and e.src = any (v_front) and e.deleted_at is null
                    except select unnest(v_seen)) x;
            else
                select coalesce(array_agg(x.n order by x.n), '{}') into v_front from (
                    select e.dst as n from lineage.edges e where e.tenant_id = v_tenant and e.src = any (v_front)
                      and e.created_at <= p_as_of and (e.deleted_at is null or e.deleted_at > p_as_of)
                    except select unnest(v_seen)) x;
            end if;
            v_seen := v_seen || v_front;
        end loop;
        if v_way = 'upstream' or p_direction = 'downstream' then
            v_all := v_seen;
        else
            select v_all || coalesce(array_agg(x.n order by x.place), '{}') into v_all
            from (select u.n, u.place from unnest(v_seen) with ordinality u (n, place) where u.n in (select unnest(v_seen) except select unnest(v_all))) x;
        end if;
    end loop;
    return v_all;
end
$$;
revoke all on function lineage.walk(bigint[], text, integer, timestamptz, integer) from public;
grant execute on function lineage.walk(bigint[], text, integer, timestamptz, integer) to authenticated;

-- Nodes and the edges among them in Marquez's shape: dataset -> job -> dataset. Written once, as text, each name escaped once and each
-- arrow made once for its two ends; as jsonb built up in pieces it took 2.3 times as long (1,400 datasets, 1 MB).
create function lineage.hydrate(p_nodes bigint[], p_as_of timestamptz)
returns jsonb language plpgsql stable set search_path = ''
set enable_nestloop = off as $$  -- a plan for ten nodes would compare each of thousands with each
declare
    v_tenant uuid := tenancy.tenant_id();
begin
    return (
    with d as materialized (
        select x.id, to_json('dataset:' || x.namespace || ':' || x.name)::text as node, to_json(x.namespace)::text as namespace, to_json(x.name)::text as name, coalesce(x.fields::text, '[]') as fields, to_json(x.created_at)::text as created_at
        from lineage.datasets x where x.tenant_id = v_tenant and x.id = any (p_nodes)
    ), touch as materialized (  -- edges that begin or end here: those that do both are the graph's
        select g.src, g.dst, g.job_id, g.dst in (select unnest(p_nodes)) as inside from lineage.edges g
        where g.tenant_id = v_tenant and g.src = any (p_nodes)
          and case when p_as_of is null then g.deleted_at is null else g.created_at <= p_as_of and (g.deleted_at is null or g.deleted_at > p_as_of) end
        union all
        select g.src, g.dst, g.job_id, false from lineage.edges g
        where p_as_of is null and g.tenant_id = v_tenant and g.dst = any (p_nodes) and g.deleted_at is null and g.src not in (select unnest(p_nodes))
    ), stray as materialized (  -- a source has no edge into it, but a job that made it
        select o.job_id, o.dataset_id, o.direction from lineage.job_io o
        where p_as_of is null and o.tenant_id = v_tenant and o.dataset_id = any (p_nodes) and o.job_id not in (select t.job_id from touch t)
          and (select g.id from lineage.edges g where g.job_id = o.job_id and g.tenant_id = v_tenant limit 1) is null
    ), io as materialized (
        select t.job_id, t.src as dataset_id, 'in' as way from touch t where t.inside union select t.job_id, t.dst, 'out' from touch t where t.inside
        union
        select s.job_id, s.dataset_id, s.direction from stray s
    ), j as materialized (
        select x.id, to_json('job:' || x.namespace || ':' || x.name)::text as node, to_json(x.namespace)::text as namespace, to_json(x.name)::text as name, to_json(x.created_at)::text as created_at
        from lineage.jobs x where x.tenant_id = v_tenant and x.id = any (array(select distinct io.job_id from io))
    ), arrow as materialized (
        select io.job_id, io.dataset_id, io.way, format('{"namespace":%s,"name":%s}', d.namespace, d.name) as dataset, case io.way when 'in' then format('{"origin":%s,"destination":%s}', d.node, j.node) else format('{"origin":%s,"destination":%s}', j.node, d.node) end as said
        from io join d on d.id = io.dataset_id join j on j.id = io.job_id
    ), of_dataset as (
        select a.dataset_id as id, string_agg(a.said, ',' order by a.job_id) filter (where a.way = 'out') as ins, string_agg(a.said, ',' order by a.job_id) filter (where a.way = 'in') as outs from arrow a group by 1
    ), of_job as (
        select a.job_id as id, string_agg(a.said, ',' order by a.dataset_id) filter (where a.way = 'in') as ins, string_agg(a.said, ',' order by a.dataset_id) filter (where a.way = 'out') as outs,
               string_agg(a.dataset, ',' order by a.dataset_id) filter (where a.way = 'in') as inputs, string_agg(a.dataset, ',' order by a.dataset_id) filter (where a.way = 'out') as outputs
        from arrow a group by 1
    ), nodes as (
        select d.node, format('{"id":%s,"type":"DATASET","data":{"id":{"namespace":%s,"name":%s},"type":"DB_TABLE","namespace":%2$s,"name":%3$s,"sourceName":%2$s,"physicalName":%3$s,"fields":%s,"facets":{},"tags":[],"description":null,"createdAt":%s,"updatedAt":%5$s,"lastModifiedAt":null},"inEdges":[%s],"outEdges":[%s]}',
                              d.node, d.namespace, d.name, d.fields, d.created_at, o.ins, o.outs) as said
        from d left join of_dataset o on o.id = d.id
        union all
        select j.node, format('{"id":%s,"type":"JOB","data":{"id":{"namespace":%s,"name":%s},"type":"BATCH","namespace":%2$s,"name":%3$s,"simpleName":%3$s,"inputs":[%s],"outputs":[%s],"location":null,"description":null,"latestRun":null,"parentJobName":null,"parentJobUuid":null,"createdAt":%s,"updatedAt":%6$s},"inEdges":[%s],"outEdges":[%s]}',
                              j.node, j.namespace, j.name, o.inputs, o.outputs, j.created_at, o.ins, o.outs)
        from j left join of_job o on o.id = j.id
    )
    select ('[' || coalesce(string_agg(n.said, ',' order by n.node collate "C"), '') || ']')::jsonb from nodes n);
end
$$;
revoke all on function lineage.hydrate(bigint[], timestamptz) from public;
grant execute on function lineage.hydrate(bigint[], timestamptz) to authenticated;

set role postgres;
revoke app_owner, app_system from postgres;
