-- catalog, further part: freshness. How old a table's data may be, in dbt's words; how old they are says the last load that brought rows.

grant app_owner, app_system to postgres;
set role app_owner;

create table catalog.freshness (
    tenant_id uuid not null,
    object_id bigint not null,  -- a table, or a schema: then of each of its tables that has no rule of its own
    warn_after interval check (warn_after > interval '0'),
    error_after interval check (error_after > interval '0'),
    set_by text not null,
    set_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, object_id),
    foreign key (tenant_id, object_id) references catalog.objects (tenant_id, id),
    constraint a_rule_says_something check (warn_after is not null or error_after is not null),
    constraint a_warning_comes_before_the_error check (warn_after < error_after)
);
alter table catalog.freshness enable row level security;
alter table catalog.freshness force row level security;
create policy "members see what is to be fresh" on catalog.freshness for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors keep the caller's freshness" on catalog.freshness for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
grant select on catalog.freshness to authenticated;

-- {count, period} -> interval; null for null, or the listed error.
create function catalog.period_of(p jsonb, p_path text)
returns interval language plpgsql immutable set search_path = '' as $$
begin
    if p is null or p = 'null' then
        return null;
    elsif jsonb_typeof(p) <> 'object' or (select count(*) from jsonb_object_keys(p)) <> 2 or jsonb_typeof(p -> 'count') is distinct from 'number'
          or p ->> 'count' !~ '^[1-9][0-9]{0,5}$' or not coalesce(p ->> 'period' in ('minute', 'hour', 'day'), false) then
        perform ground.fail('FIELD_INVALID', p_path, 'A period is {count, period}: count from 1 to 999999, period minute, hour or day.');
    end if;
    return (p ->> 'count')::integer * case p ->> 'period' when 'minute' then interval '1 minute' when 'hour' then interval '1 hour' else interval '1 day' end;
end
$$;
revoke all on function catalog.period_of(jsonb, text) from public;
grant execute on function catalog.period_of(jsonb, text) to authenticated, app_system;

create function catalog.as_period(p interval)
returns jsonb language sql immutable set search_path = '' as $$
    select case when p is null then 'null' when m % 1440 = 0 then jsonb_build_object('count', m / 1440, 'period', 'day')
                when m % 60 = 0 then jsonb_build_object('count', m / 60, 'period', 'hour') else jsonb_build_object('count', m, 'period', 'minute') end
    from (select (extract(epoch from p) / 60)::bigint) x (m)
$$;
revoke all on function catalog.as_period(interval) from public;
grant execute on function catalog.as_period(interval) to authenticated, app_system;

-- Tables that have a rule, and how they stand. Data come with a load of ours that brought rows; elsewhere, with what the source says itself,
-- or with the last sighting of a flow into it. A load of nothing is a look, and makes nothing younger; what never came is no younger still.
create function catalog.freshness_of(p_tenant uuid, p_scope bigint default null)
returns table (object_id bigint, path text[], rule_of bigint, warn_after interval, error_after interval, loaded_at timestamptz, checked_at timestamptz, age interval, status text)
language plpgsql stable rows 100 set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select t.id, t.path, f.object_id, f.warn_after, f.error_after, y.loaded_at, greatest(a.published_at, y.loaded_at), x.age,
           case when x.age is null or x.age > f.error_after then 'error' when x.age > f.warn_after then 'warn' else 'pass' end
    from catalog.objects t
    join lateral (select r.* from catalog.freshness r where r.tenant_id = p_tenant and r.object_id in (t.id, t.parent_id) order by r.object_id = t.id desc limit 1) f on true
    left join catalog.assets a on a.tenant_id = p_tenant and t.path[1] = 'main' and a.layer::text = t.path[2] and a.name = t.path[3]
    cross join lateral (select case when a.id is not null then a.loaded_at else greatest(t.loaded_at, (
        select max(greatest(e.created_at, (select max(o.observed_at) from lineage.observations o where o.tenant_id = p_tenant and o.edge_id = e.id)))
        from lineage.edges e where e.tenant_id = p_tenant and e.dst = t.dataset_id and e.deleted_at is null)) end as loaded_at) y
    cross join lateral (select clock_timestamp() - y.loaded_at as age) x
    where t.tenant_id = p_tenant and t.kind = 'table' and t.gone_at is null and (p_scope is null or p_scope in (t.id, t.parent_id));
end
$$;
revoke all on function catalog.freshness_of(uuid, bigint) from public;
grant execute on function catalog.freshness_of(uuid, bigint) to authenticated;

set role postgres;
revoke app_owner, app_system from postgres;
