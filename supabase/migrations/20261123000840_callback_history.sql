-- callback, third part: events and deliveries of runs whose history has expired. They lie in one piece and go by rows: that a
-- run has each number once and one end is a unique index, and a partition by time could not hold it (ADR 017).

grant app_owner, app_system to postgres;
set role app_owner;
grant delete on callback.events, callback.deliveries to app_system;

-- An event is never changed, and is removed only after the history of its run has expired.
create function callback.refuse_early_delete()
returns trigger language plpgsql set search_path = '' as $$
begin
    if exists (select from queue.runs r where r.tenant_id = old.tenant_id and r.id = old.run_id and queue.is_expired(r.tenant_id, r.finished_at)) then
        return old;
    end if;
    raise exception using errcode = '42501', message = format('%s: %s of %I.%I is refused', tg_name, tg_op, tg_table_schema, tg_table_name);
end
$$;
revoke all on function callback.refuse_early_delete() from public;
create trigger events_are_kept before delete on callback.events for each row execute function callback.refuse_early_delete();
alter table callback.events enable always trigger events_are_kept;

-- A delivery that somebody replays is under way, and keeps its event.
create function callback.forget(p_tenant uuid, p_runs bigint[])
returns void language plpgsql set search_path = '' as $$
begin
    delete from callback.deliveries d using callback.events e
    where e.tenant_id = p_tenant and e.run_id = any (p_runs) and d.event_id = e.id and d.tenant_id = e.tenant_id and d.finished_at is not null;
    delete from callback.events e
    where e.tenant_id = p_tenant and e.run_id = any (p_runs)
      and not exists (select from callback.deliveries d where d.event_id = e.id and d.tenant_id = e.tenant_id);
end
$$;
revoke all on function callback.forget(uuid, bigint[]) from public;
grant execute on function callback.forget(uuid, bigint[]) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
