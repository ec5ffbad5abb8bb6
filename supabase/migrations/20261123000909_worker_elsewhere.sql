-- worker: what a runner asks that has to do with elsewhere: what a tenant may use there, from where on to read, and what is over.

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

-- Where an input that reads on begins; null at the first time. The table is the one that was named at the submission.
create function worker.high_water(p_attempt bigint, p_lease integer, p_name text)
returns text language plpgsql security definer set search_path = '' as $$
declare
    a queue.live_attempts := queue.hold(p_attempt, p_lease);
    v_read jsonb;
begin
    if a.id is null then
        perform ground.fail('STALE_LEASE');
    end if;
    select i -> 'read' into v_read
    from queue.payloads p cross join jsonb_array_elements(p.inputs) i
    where p.tenant_id = a.tenant_id and p.task_run_id = a.task_run_id and i ->> 'name' = p_name and i ? 'uri';
    if v_read ->> 'after' is null then
        perform ground.fail('INPUT_UNKNOWN', left(p_name, 128));
    end if;
    return (select catalog.high_water(t.slug, split_part(v_read ->> 'after', '.', 1), split_part(v_read ->> 'after', '.', 2),
                                      coalesce(v_read ->> 'watermark', 'write_date'))
            from tenancy.tenants t where t.id = a.tenant_id);
end
$$;
comment on function worker.high_water(bigint, integer, text) is 'The newest time that the table named in read.after has, for an input that reads on from there.';
revoke all on function worker.high_water(bigint, integer, text) from public;
grant execute on function worker.high_water(bigint, integer, text) to runner;

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
