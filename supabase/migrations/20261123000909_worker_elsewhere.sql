-- worker: what an executor asks that carries attempts out elsewhere: what a tenant may use there, and what is over.

grant app_owner, app_system to postgres;
set role app_system;

-- Granted when the job was submitted is not granted now: who carries the attempt asks again, under its lease.
create function worker.granted(p_attempt bigint, p_lease integer, p_kind text)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    a queue.live_attempts := queue.hold(p_attempt, p_lease);
begin
    if a.id is null then
        perform ground.fail('STALE_LEASE');
    end if;
    return (select coalesce(jsonb_agg(g.name order by g.name), '[]') from tenancy.grants g where g.tenant_id = a.tenant_id and g.kind = p_kind);
end
$$;
comment on function worker.granted(bigint, integer, text) is 'Names of one kind (namespace, image …) that the tenant of a held attempt may use now.';
revoke all on function worker.granted(bigint, integer, text) from public;
grant execute on function worker.granted(bigint, integer, text) to runner;

-- Which of these attempts are over: what they have left outside (a pod) has no use any more.
create function worker.over(p_attempts bigint[])
returns jsonb language plpgsql stable security definer set search_path = '' as $$
begin
    return (select coalesce(jsonb_agg(x.id order by x.id), '[]') from unnest(p_attempts) x (id)
            where not exists (select from queue.live_attempts a where a.id = x.id));
end
$$;
comment on function worker.over(bigint[]) is 'Those of the attempts that are neither waiting nor running.';
revoke all on function worker.over(bigint[]) from public;
grant execute on function worker.over(bigint[]) to runner;

set role postgres;
revoke app_owner, app_system from postgres;
