-- catalog, further part: which layer never reads which. Asked of the lineage, where every flow is seen.

grant app_owner, app_system to postgres;
set role app_owner;

create table catalog.layer_rules (
    tenant_id uuid primary key references tenancy.tenants,
    rules jsonb not null check (jsonb_typeof(rules) = 'array'),  -- [{"reader": "gold", "source": "bronze"}]
    set_by text not null,
    set_at timestamptz not null default clock_timestamp()
);
alter table catalog.layer_rules enable row level security;
alter table catalog.layer_rules force row level security;
create policy "members see their layer rules" on catalog.layer_rules for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "doors keep the caller's layer rules" on catalog.layer_rules for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
grant select on catalog.layer_rules to authenticated;

-- What a tenant has set, else: gold never reads bronze.
create function catalog.forbidden_flows(p_tenant uuid)
returns table (reader text, source text) language plpgsql stable rows 3 set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select r ->> 'reader', r ->> 'source'
    from jsonb_array_elements(coalesce((select x.rules from catalog.layer_rules x where x.tenant_id = p_tenant), '[{"reader": "gold", "source": "bronze"}]')) r;
end
$$;
revoke all on function catalog.forbidden_flows(uuid) from public;
grant execute on function catalog.forbidden_flows(uuid) to authenticated;

set role postgres;
revoke app_owner, app_system from postgres;
