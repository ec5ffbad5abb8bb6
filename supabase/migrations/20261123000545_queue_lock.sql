-- queue, a part of the fifth: the one order in which verbs take locks, so that no two ever wait for each other in a ring:
--   attempts, by id  ->  slots, by tenant  ->  the runs at the top of families, by id  ->  the lanes of tenants, by tenant.
-- What lies below a top (its runs, tasks, news) is touched by who holds the top, or by who holds an attempt under it and waits for
-- nothing else. A verb that changes several attempts one after the other takes all that they need first. A claim passes over
-- slots that are held, and the tick over all that somebody holds.

grant app_owner, app_system to postgres;
set role app_owner;

-- The families of some runs. (plpgsql, as all here: a plan of a function in sql may outlive the role it was made for.)
create function queue.hold_families(p_tenants uuid[], p_runs bigint[])
returns void language plpgsql set search_path = '' as $$
begin
    perform from (
        select distinct u.tenant_id, coalesce(r.root_run_id, u.run_id) as id from unnest(p_tenants, p_runs) u (tenant_id, run_id)
        cross join lateral (select x.root_run_id from queue.runs x where x.tenant_id = u.tenant_id and x.id = u.run_id limit 1) r
        order by id) o
    cross join lateral (select from queue.runs x where x.tenant_id = o.tenant_id and x.id = o.id limit 1 for update) x;
end
$$;
revoke all on function queue.hold_families(uuid[], bigint[]) from public;
grant execute on function queue.hold_families(uuid[], bigint[]) to app_system;

-- The lanes of a tenant have one lock: who passes a place on may start runs of any other lane by it. Tenants without lanes have none.
-- False: somebody has one of them, and we do not wait.
create function queue.hold_lanes(p_tenants uuid[], p_waits boolean default true)
returns boolean language plpgsql set search_path = '' as $$
declare
    v_tenant uuid;
begin
    if not exists (select from queue.lanes) then
        return true;
    end if;
    for v_tenant in select distinct l.tenant_id from queue.lanes l where l.tenant_id = any (p_tenants) order by l.tenant_id loop
        if p_waits then
            perform pg_advisory_xact_lock(hashtextextended('lanes of ' || v_tenant, 0));
        elsif not pg_try_advisory_xact_lock(hashtextextended('lanes of ' || v_tenant, 0)) then
            return false;
        end if;
    end loop;
    return true;
end
$$;
revoke all on function queue.hold_lanes(uuid[], boolean) from public;
grant execute on function queue.hold_lanes(uuid[], boolean) to app_system;

-- Attempts of which much is to be said in one transaction, with their families; where they may end, with their slots and lanes. One that
-- waits again is none of them: a claim may have the slots and take it.
create function queue.hold_work(p_attempts bigint[], p_ends boolean)
returns void language plpgsql set search_path = '' as $$
declare
    v_tenants uuid[];
    v_runs bigint[];
begin
    select array_agg(h.tenant_id), array_agg(h.run_id) into v_tenants, v_runs
    from (select a.tenant_id, a.run_id from queue.live_attempts a where a.id = any (p_attempts) and a.state <> 'QUEUED' order by a.id for update) h;
    if p_ends then
        perform from queue.slots s where s.tenant_id = any (v_tenants) order by s.tenant_id for update;
    end if;
    perform queue.hold_families(v_tenants, v_runs);
    if p_ends then
        perform queue.hold_lanes(v_tenants);
    end if;
end
$$;
revoke all on function queue.hold_work(bigint[], boolean) from public;
grant execute on function queue.hold_work(bigint[], boolean) to app_system;

-- A run and those it started, with all their attempts and the run at the top. Attempts come first, as in a claim; one that was queued
-- before we had the top may be in the hands of a claim that waits for what we have: then all is given back (a block that fails
-- returns its locks) and taken anew. Null: somebody has some of it, and we do not wait.
create function queue.hold_family(p_tenant uuid, p_run bigint, p_waits boolean)
returns bigint[] language plpgsql set search_path = '' as $$
declare
    v_family bigint[];
    v_held bigint;
begin
    loop
        begin
            if p_waits then
                v_family := queue.family(p_tenant, p_run);
                perform from queue.live_attempts a where a.tenant_id = p_tenant and a.run_id = any (v_family) order by a.id for update;
                perform queue.hold_families(array[p_tenant], array[p_run]);
            else
                perform from queue.runs r
                where r.tenant_id = p_tenant
                  and r.id = (select coalesce(x.root_run_id, x.id) from queue.runs x where x.tenant_id = p_tenant and x.id = p_run)
                for update skip locked;
                if not found or not queue.hold_lanes(array[p_tenant], false) then
                    raise sqlstate 'CRHLD';
                end if;
            end if;
            v_family := queue.family(p_tenant, p_run);  -- with those that were started meanwhile; from here on no more are
            select count(*) into v_held
            from (select from queue.live_attempts a where a.tenant_id = p_tenant and a.run_id = any (v_family) for update skip locked) h;
            if v_held <> (select count(*) from queue.live_attempts a where a.tenant_id = p_tenant and a.run_id = any (v_family)) then
                raise sqlstate 'CRHLD';
            end if;
            return v_family;
        exception when sqlstate 'CRHLD' then
            if not p_waits then
                return null;
            end if;
        end;
    end loop;
end
$$;
revoke all on function queue.hold_family(uuid, bigint, boolean) from public;
grant execute on function queue.hold_family(uuid, bigint, boolean) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
