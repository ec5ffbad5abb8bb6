-- worker, last part: upkeep, which is nobody's work in particular: a runner does it when there is some.

grant app_owner, app_system to postgres;
set role app_system;

create function worker.seal()
returns integer language plpgsql security definer set search_path = '' as $$
begin
    return audit.seal();
end
$$;
comment on function worker.seal() is 'Chains the audit entries that wait for their seal; how many they were. 0 also while another runner is at it.';
revoke all on function worker.seal() from public;
grant execute on function worker.seal() to runner;

-- The heads of all chains, a page after a tenant: a runner keeps them where the database cannot write.
create function worker.audit_heads(p_after text, p_limit integer default 1000)
returns jsonb language sql stable security definer set search_path = '' as $$
    select coalesce(jsonb_agg(h.head || jsonb_build_object('tenant', h.slug) order by h.slug), '[]')
    from (select t.slug, audit.head(t.id) as head
          from (select null::uuid as id, '' as slug union all select x.id, x.slug::text from tenancy.tenants x) t
          where (p_after is null or t.slug > p_after) and audit.head(t.id) is not null
          order by t.slug limit p_limit) h
$$;
comment on function worker.audit_heads(text, integer) is 'after, limit? -> [{tenant, number, hash, entries, sealed_at}]: the heads of the audit''s chains, of tenants after that slug.';
revoke all on function worker.audit_heads(text, integer) from public;
grant execute on function worker.audit_heads(text, integer) to runner;

-- What is past its keeping goes: a bounded part of it, or one step of one calendar, so that no transaction is long. One runner at
-- a time; `more` asks for the next part.
create function worker.tidy()
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v record;
    v_longest interval := queue.longest_retention();
    v_expired integer := 0;
    v_turned text;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('worker.tidy', 0)) then
        return '{"more": false}';
    end if;
    perform worker.forget_outside();
    perform tenancy.forget_outside(1000);
    for v in select * from queue.expire() loop
        perform lineage.forget(v.tenant_id, v.run_ids);
        perform catalog.forget(v.tenant_id, v.run_ids);
        perform callback.forget(v.tenant_id, v.run_ids);
        v_expired := v_expired + cardinality(v.run_ids);
    end loop;
    if v_expired = 0 then  -- a change of form waits for others: it comes alone
        v_turned := coalesce(queue.turn_calendar(v_longest), lineage.turn_calendar(v_longest));
    end if;
    return jsonb_build_object('expired', v_expired, 'turned', v_turned, 'more', v_expired > 0 or v_turned is not null);
end
$$;
comment on function worker.tidy() is 'Lets history go whose time is over and keeps the calendars: {expired, turned, more}.';
revoke all on function worker.tidy() from public;
grant execute on function worker.tidy() to runner;

set role postgres;
revoke app_owner, app_system from postgres;
