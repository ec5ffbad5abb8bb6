-- lineage, second part: sightings in weeks. Edges stay for ever; who saw them when is history.

grant app_owner, app_system to postgres;
set role app_owner;
grant delete on lineage.observations to app_system;

create function lineage.turn_calendar(p_keep interval)
returns text language plpgsql security definer set search_path = '' as $$
begin
    return ground.turn_calendar('lineage.observations', p_keep);
end
$$;
revoke all on function lineage.turn_calendar(interval) from public;
grant execute on function lineage.turn_calendar(interval) to app_system;

-- The sightings by runs whose history has expired.
create function lineage.forget(p_tenant uuid, p_runs bigint[])
returns void language sql volatile set search_path = '' as $$
    delete from lineage.observations o where o.run_id = any (p_runs) and o.tenant_id = p_tenant
$$;
revoke all on function lineage.forget(uuid, bigint[]) from public;
grant execute on function lineage.forget(uuid, bigint[]) to app_system;

do $weeks$
begin
    while lineage.turn_calendar(interval '10 years') is not null loop
        null;
    end loop;
end
$weeks$;

set role postgres;
revoke app_owner, app_system from postgres;
