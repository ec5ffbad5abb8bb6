-- ground, second part: history in weeks. A table that only grows is partitioned by time; weeks are made ahead and dropped whole,
-- so that nothing is ever deleted row by row, vacuumed, or found in the way.

grant app_owner, app_system to postgres;
set role app_owner;

-- One step of a table's calendar, and what it was; null when there is nothing to do. A week is made on its own and then
-- attached, which locks the table against nobody but other changes of its form; dropping one does lock everybody out, for as
-- long as it takes to unlink a file. Neither waits longer than a tenth of a second for whoever is in the way: it is tried again
-- a minute later, weeks before anybody needs it. What finds no week lands in the default partition, which keeps that week then.
create function ground.turn_calendar(p_table regclass, p_keep interval)
returns text language plpgsql set search_path = '' as $$
declare
    v_schema text := (select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
    v_table text := (select c.relname from pg_catalog.pg_class c where c.oid = p_table);
    v_monday date := date_trunc('week', clock_timestamp() at time zone 'UTC')::date;
    v_week text;
    i integer;
begin
    perform set_config('lock_timeout', '100ms', true);
    for i in 0 .. 3 loop
        v_week := v_table || to_char(v_monday + 7 * i, '"_"IYYY"w"IW');
        continue when to_regclass(format('%I.%I', v_schema, v_week)) is not null;
        begin
            execute format('create table %I.%I (like %s including all)', v_schema, v_week, p_table);
            execute format('alter table %I.%I enable row level security', v_schema, v_week);
            execute format('alter table %I.%I force row level security', v_schema, v_week);
            execute format('alter table %s attach partition %I.%I for values from (%L) to (%L)', p_table, v_schema, v_week,
                           (v_monday + 7 * i)::timestamp at time zone 'UTC', (v_monday + 7 * (i + 1))::timestamp at time zone 'UTC');
            perform set_config('lock_timeout', '0', true);
            return 'made ' || v_week;
        exception when lock_not_available or check_violation then  -- check_violation: the default partition has rows of that week
            continue;
        end;
    end loop;
    select c.relname into v_week
    from pg_catalog.pg_inherits h join pg_catalog.pg_class c on c.oid = h.inhrelid
    where h.inhparent = p_table and c.relname ~ '_\d{4}w\d\d$'
      and to_date(right(c.relname, 7), 'IYYY"w"IW') + 7 <= (clock_timestamp() - p_keep) at time zone 'UTC'
    order by right(c.relname, 7) limit 1;
    if found then
        begin
            execute format('drop table %I.%I', v_schema, v_week);
            v_week := 'dropped ' || v_week;
        exception when lock_not_available then
            v_week := null;
        end;
    end if;
    perform set_config('lock_timeout', '0', true);
    return v_week;
end
$$;
revoke all on function ground.turn_calendar(regclass, interval) from public;

set role postgres;
revoke app_owner, app_system from postgres;
