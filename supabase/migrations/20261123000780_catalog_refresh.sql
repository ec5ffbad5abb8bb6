-- catalog, further part: refreshing. Which jobs make a table, and what that is made of; what has changed since they read it.

grant app_owner, app_system to postgres;
set role app_owner;

-- The tables that live jobs declare, by their current versions; for_each looked into.
create function catalog.flows_of_jobs(p_tenant uuid)
returns table (job_id bigint, version integer, direction text, name text, artifact_id uuid) language plpgsql stable rows 100 set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    with task as materialized (
        select j.id, j.current_version, t
        from job.jobs j join job.versions v on v.tenant_id = p_tenant and v.job_id = j.id and v.version = j.current_version
        cross join lateral (select x from jsonb_array_elements(v.definition -> 'tasks') x union all select x -> 'task' from jsonb_array_elements(v.definition -> 'tasks') x where x ? 'task') y (t)
        where j.tenant_id = p_tenant and j.deleted_at is null
    ), out as materialized (
        select distinct k.id, k.current_version, (o ->> 'layer') || '.' || (o ->> 'table') as made
        from task k cross join jsonb_array_elements(case jsonb_typeof(k.t -> 'outputs') when 'array' then k.t -> 'outputs' else '[]' end) o where o ? 'table'
    )
    select o.id, o.current_version, 'out', o.made, null::uuid from out o
    union all
    -- what a job makes itself on the way to something else is none of its sources
    select distinct k.id, k.current_version, 'in', i ->> 'table', (i ->> 'artifact_id')::uuid
    from task k cross join jsonb_array_elements(case jsonb_typeof(k.t -> 'inputs') when 'array' then k.t -> 'inputs' else '[]' end) i
    where (i ? 'table' and not exists (select from out o where o.id = k.id and o.made = i ->> 'table')) or (i ? 'artifact_id' and not i ? 'version');
end
$$;
revoke all on function catalog.flows_of_jobs(uuid) from public;
grant execute on function catalog.flows_of_jobs(uuid) to app_system;

set role postgres;
grant create on schema catalog to app_system;
set role app_system;

-- The tables that a view of a layer stands on, through other views; a table stands on itself.
create function catalog.tables_under(p_tenant uuid, p_table text)
returns setof text language plpgsql stable rows 5 set search_path = '' as $$
declare
    v_slug text := (select t.slug from tenancy.tenants t where t.id = p_tenant);
begin
    return query
    with recursive under as (
        select to_regclass(format('%I.%I', catalog.schema_of(v_slug, split_part(p_table, '.', 1)), split_part(p_table, '.', 2)))::oid as oid
        union
        select d.refobjid from under u
        join pg_catalog.pg_rewrite w on w.ev_class = u.oid
        join pg_catalog.pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass and d.refobjid <> u.oid
    )
    select a.layer || '.' || a.name from under u
    join pg_catalog.pg_class c on c.oid = u.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join catalog.assets a on a.tenant_id = p_tenant and a.schema_name = n.nspname and a.name = c.relname;
    if not found then  -- not made yet
        return next p_table;
    end if;
end
$$;
revoke all on function catalog.tables_under(uuid, text) from public;

-- What the attempt had read when it read it, as its staged inputs say: {"silver.orders": 7}.
create function catalog.marks_read(p_prefix text)
returns jsonb language sql stable set search_path = '' as $$
    select coalesce(jsonb_object_agg(x.note ->> 'table', x.note -> 'mark'), '{}')
    from (select obj_description(c.oid, 'pg_class')::jsonb as note from pg_catalog.pg_class c
          where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' and starts_with(c.relname, p_prefix)) x where x.note is not null
$$;
revoke all on function catalog.marks_read(text) from public;

create function catalog.note_origin(p_tenant uuid, p_layer text, p_table text, p_prefix text, p_run bigint, p_read_at timestamptz)
returns void language sql set search_path = '' as $$
    update catalog.assets a set made_from = catalog.marks_read(p_prefix), made_by_job = r.job_id, made_by_version = r.job_version, read_at = p_read_at
    from queue.runs r where r.tenant_id = p_tenant and r.id = p_run and a.tenant_id = p_tenant and a.layer = p_layer::catalog.layer and a.name = p_table
$$;
revoke all on function catalog.note_origin(uuid, text, text, text, bigint, timestamptz) from public;

-- How a table is brought up to date: the jobs that make it and all that it is made of, sources first, and of each whether it has to run and why.
-- -> [{job_id, job, tables, after: [job_id], stale: boolean, why}]. Only true ancestors; a job is stale where it never made one of its tables as it is
-- now, where what it had read has changed since, or where one before it is.
create function catalog.refresh_plan(p_tenant uuid, p_table text, p_force boolean)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_seen bigint[] := '{}';
    v_front bigint[];
    v_done bigint[] := '{}';
    v_plan jsonb := '[]';
    v_stale bigint[] := '{}';
    v_wanted text[];
    v_flows jsonb;
    v_why text;
    v record;
    r catalog.rollups;
begin
    select x.* into r from catalog.rollups x where x.tenant_id = p_tenant and 'gold.' || x.name = p_table;
    v_wanted := case when r.id is not null then array[r.source_layer || '.' || r.source_table] else array(select t from catalog.tables_under(p_tenant, p_table) t) end;
    -- a rollup below goes with what it is made of
    v_wanted := array(select distinct coalesce(x.source_layer || '.' || x.source_table, w) from unnest(v_wanted) w left join catalog.rollups x on x.tenant_id = p_tenant and 'gold.' || x.name = w);
    select coalesce(jsonb_agg(f), '[]') into v_flows from (
        select f.job_id, f.version, f.direction, coalesce(x.source_layer || '.' || x.source_table, f.name) as name, f.artifact_id
        from catalog.flows_of_jobs(p_tenant) f left join catalog.rollups x on f.direction = 'in' and x.tenant_id = p_tenant and 'gold.' || x.name = f.name) f;
    v_front := array(select distinct (f ->> 'job_id')::bigint from jsonb_array_elements(v_flows) f where f ->> 'direction' = 'out' and f ->> 'name' = any (v_wanted));
    if v_front = '{}' then
        perform ground.fail('TABLE_HAS_NO_MAKER', p_table);
    end if;
    while v_front <> '{}' loop
        v_seen := v_seen || v_front;
        v_front := array(select distinct (m ->> 'job_id')::bigint
            from jsonb_array_elements(v_flows) i join jsonb_array_elements(v_flows) m on m ->> 'direction' = 'out' and m ->> 'name' = i ->> 'name'
            where i ->> 'direction' = 'in' and (i ->> 'job_id')::bigint = any (v_front)
            except select unnest(v_seen));
    end loop;
    while cardinality(v_done) < cardinality(v_seen) loop
        v_front := array(
            select s from unnest(v_seen) s
            where s <> all (v_done) and not exists (
                select from jsonb_array_elements(v_flows) i join jsonb_array_elements(v_flows) m on m ->> 'direction' = 'out' and m ->> 'name' = i ->> 'name'
                where i ->> 'direction' = 'in' and (i ->> 'job_id')::bigint = s and (m ->> 'job_id')::bigint <> s and (m ->> 'job_id')::bigint <> all (v_done))
            order by s);
        if v_front = '{}' then
            perform ground.fail('MAKERS_IN_A_RING', (select string_agg(j.name || ' (job ' || j.id || ')', ', ' order by j.id) from job.jobs j where j.tenant_id = p_tenant and j.id = any (v_seen) and j.id <> all (v_done)));
        end if;
        for v in
            select j.id, j.name,
                   array(select distinct f ->> 'name' from jsonb_array_elements(v_flows) f where f ->> 'direction' = 'out' and (f ->> 'job_id')::bigint = j.id) as tables,
                   array(select distinct (m ->> 'job_id')::bigint from jsonb_array_elements(v_flows) i join jsonb_array_elements(v_flows) m on m ->> 'direction' = 'out' and m ->> 'name' = i ->> 'name'
                         where i ->> 'direction' = 'in' and (i ->> 'job_id')::bigint = j.id and (m ->> 'job_id')::bigint <> j.id order by 1) as after
            from unnest(v_front) s join job.jobs j on j.tenant_id = p_tenant and j.id = s order by j.id
        loop
            v_why := case when p_force then 'it was asked for' when v.after && v_stale then 'what it reads is refreshed'
                          else catalog.why_stale(p_tenant, v.id, v.tables, array(select f from jsonb_array_elements(v_flows) f where f ->> 'direction' = 'in' and (f ->> 'job_id')::bigint = v.id)) end;
            if v_why is not null then
                v_stale := v_stale || v.id;
            end if;
            v_plan := v_plan || jsonb_build_object('job_id', v.id, 'job', v.name, 'tables', v.tables, 'after', v.after, 'stale', v_why is not null, 'why', coalesce(v_why, 'nothing that it reads has changed'));
        end loop;
        v_done := v_done || v_front;
    end loop;
    return v_plan;
end
$$;
revoke all on function catalog.refresh_plan(uuid, text, boolean) from public;

-- Why a job has to run again for its tables; null: it has made them, as it is now, of what is there now.
create function catalog.why_stale(p_tenant uuid, p_job bigint, p_tables text[], p_inputs jsonb[])
returns text language plpgsql stable set search_path = '' as $$
declare
    v_table text;
    a catalog.assets;
    i jsonb;
begin
    foreach v_table in array p_tables loop
        select x.* into a from catalog.assets x where x.tenant_id = p_tenant and x.layer::text = split_part(v_table, '.', 1) and x.name = split_part(v_table, '.', 2);
        if a.id is null or a.read_at is null or a.made_by_job is null then
            return v_table || ' was never made by a job';
        elsif a.made_by_job <> p_job then
            return v_table || ' was last made by another job';
        elsif a.made_by_version <> (select j.current_version from job.jobs j where j.tenant_id = p_tenant and j.id = p_job) then
            return v_table || ' was made by an older version of the job';
        end if;
        foreach i in array p_inputs loop
            if i ->> 'artifact_id' is not null then
                if exists (select from artifact.versions w where w.tenant_id = p_tenant and w.artifact_id = (i ->> 'artifact_id')::uuid and w.state = 'READY' and w.finished_at >= a.read_at) then
                    return format('artifact %s has a newer version', i ->> 'artifact_id');
                end if;
            elsif (a.made_from ->> (i ->> 'name'))::bigint is distinct from (
                    select x.mark from catalog.assets x where x.tenant_id = p_tenant and x.layer::text = split_part(i ->> 'name', '.', 1) and x.name = split_part(i ->> 'name', '.', 2)) then
                return (i ->> 'name') || ' has changed since ' || v_table || ' was made';
            end if;
        end loop;
    end loop;
    return null;
end
$$;
revoke all on function catalog.why_stale(uuid, bigint, text[], jsonb[]) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
