-- job, fourth part: when a job starts by itself. A definition has at most one of schedule (cron, in a time zone), periodic (every
-- so many seconds) and trigger (a dataset was updated), as a Databricks job has one of schedule, trigger and continuous.
-- Here cron is read, on the wall's clock; what a time zone makes of a wall's time is schedule's business.

grant app_owner, app_system to postgres;
set role app_owner;

-- A cron expression that was read: one bit for each value, and which fields began with a star.
create type job.cron as (
    minutes bigint, hours integer, days bigint, months integer, weekdays integer,
    last_day boolean,  -- L
    any_hour boolean, any_day boolean, any_weekday boolean
);

create function job.refuse_cron(p_message text, p_path text)
returns void language plpgsql stable set search_path = '' as $$
begin
    perform ground.fail('FIELD_INVALID', p_path, p_message,
        'cron has five fields: minute hour day-of-month month day-of-week, e.g. "0 5 * * 1-5"; or is @hourly, @daily, @weekly, @monthly, @yearly.');
end
$$;
revoke all on function job.refuse_cron(text, text) from public;
grant execute on function job.refuse_cron(text, text) to app_system;

-- One field -> its bits: lists, ranges, steps, names. What other dialects add (seconds, ?, W, #) is refused, never guessed.
create function job.cron_field(p_text text, p_field text, p_low integer, p_high integer, p_names text[], p_path text)
returns bigint language plpgsql stable set search_path = '' as $$
declare
    v_part text;
    m text[];
    v_from integer;
    v_to integer;
    v_step integer;
    v_bits bigint := 0;
begin
    foreach v_part in array string_to_array(lower(p_text), ',') loop
        m := regexp_match(v_part, '^(\*|[0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?$');
        if m is null or (m[1] = '*' and m[2] is not null) then
            perform job.refuse_cron(format('%s is no %s.', coalesce(nullif(left(v_part, 40), ''), 'nothing'), p_field), p_path);
        elsif m[3] is not null and m[1] <> '*' and m[2] is null then
            perform job.refuse_cron(format('%s: a step needs a range; write %s-%s/%s.', v_part, m[1], p_high, m[3]), p_path);
        end if;
        v_step := coalesce(m[3]::integer, 1);
        v_from := case when m[1] = '*' then p_low when m[1] ~ '^[0-9]' then m[1]::integer
                       else array_position(p_names, m[1]) - 1 + p_low end;
        v_to := case when m[1] = '*' then p_high when m[2] is null then v_from
                     when m[2] ~ '^[0-9]' then m[2]::integer else array_position(p_names, m[2]) - 1 + p_low end;
        if p_high = 7 and v_to = 0 and v_from > 0 then
            v_to := 7;  -- sat-sun
        end if;
        if coalesce(v_from not between p_low and p_high or v_to not between v_from and p_high or v_step < 1, true) then
            perform job.refuse_cron(format('%s is no %s from %s to %s.', v_part, p_field, p_low, p_high), p_path);
        end if;
        while v_from <= v_to loop
            v_bits := v_bits | (1::bigint << v_from);
            v_from := v_from + v_step;
        end loop;
    end loop;
    return v_bits;
end
$$;
revoke all on function job.cron_field(text, text, integer, integer, text[], text) from public;
grant execute on function job.cron_field(text, text, integer, integer, text[], text) to app_system;

create function job.read_cron(p_cron text, p_path text default '$.schedule.cron')
returns job.cron language plpgsql stable set search_path = '' as $$
declare
    v_text text := lower(btrim(p_cron, E' \t'));
    f text[];
    v_days text[];
    c job.cron;
    v_weekdays bigint;
begin
    if length(p_cron) > 200 then
        perform job.refuse_cron('cron has at most 200 characters.', p_path);
    end if;
    v_text := case v_text when '@yearly' then '0 0 1 1 *' when '@annually' then '0 0 1 1 *' when '@monthly' then '0 0 1 * *'
                          when '@weekly' then '0 0 * * 0' when '@daily' then '0 0 * * *' when '@midnight' then '0 0 * * *'
                          when '@hourly' then '0 * * * *' else v_text end;
    f := regexp_split_to_array(v_text, '[ \t]+');
    if coalesce(cardinality(f), 0) <> 5 then
        perform job.refuse_cron(case when v_text like '@%' then left(v_text, 40) || ' is not known.'
                                     else format('five fields are needed, here are %s; seconds are not among them.', coalesce(cardinality(array_remove(f, '')), 0)) end, p_path);
    end if;
    c.minutes := job.cron_field(f[1], 'minute', 0, 59, '{}', p_path);
    c.hours := job.cron_field(f[2], 'hour', 0, 23, '{}', p_path);
    v_days := string_to_array(f[3], ',');
    c.last_day := 'l' = any (v_days);
    c.days := case when c.last_day and cardinality(array_remove(v_days, 'l')) = 0 then 0
                   else job.cron_field(array_to_string(array_remove(v_days, 'l'), ','), 'day of the month', 1, 31, '{}', p_path) end;
    c.months := job.cron_field(f[4], 'month', 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}', p_path);
    v_weekdays := job.cron_field(f[5], 'day of the week', 0, 7, '{sun,mon,tue,wed,thu,fri,sat}', p_path);
    c.weekdays := (v_weekdays | (v_weekdays >> 7)) & 127;
    c.any_hour := f[2] like '*%';
    c.any_day := f[3] like '*%';
    c.any_weekday := f[5] like '*%';
    return c;
end
$$;
revoke all on function job.read_cron(text, text) from public;
grant execute on function job.read_cron(text, text) to app_system;

-- The first minute after p_after, on the wall's clock, that the expression names; null when there is none in 50 years. Jumps by
-- month and day. Of day and weekday one is enough when both are narrowed; a field that begins with a star narrows by its steps.
create function job.next_wall(c job.cron, p_after timestamp)
returns timestamp language plpgsql immutable set search_path = '' as $$
declare
    v_at timestamp := date_trunc('minute', p_after) + interval '1 minute';
    v_year integer := extract(year from v_at);
    v_month integer := extract(month from v_at);
    v_day integer := extract(day from v_at);
    v_hour integer := extract(hour from v_at);
    v_minute integer := extract(minute from v_at);
    v_until integer := v_year + 50;
    v_first date;
    v_length integer;
    v_weekday integer;  -- of the month's day 0
    v_by_day boolean;
    v_by_weekday boolean;
begin
    loop
        if (c.months >> v_month) & 1 = 1 then
            v_first := make_date(v_year, v_month, 1);
            v_length := extract(day from v_first + interval '1 month' - interval '1 day');
            v_weekday := extract(dow from v_first)::integer + 6;
            while v_day <= v_length loop
                v_by_day := (c.days >> v_day) & 1 = 1 or (c.last_day and v_day = v_length);
                v_by_weekday := (c.weekdays >> ((v_weekday + v_day) % 7)) & 1 = 1;
                if (case when c.any_day or c.any_weekday then v_by_day and v_by_weekday else v_by_day or v_by_weekday end) then
                    while v_hour <= 23 loop
                        if (c.hours >> v_hour) & 1 = 1 then
                            while v_minute <= 59 loop
                                if (c.minutes >> v_minute) & 1 = 1 then
                                    return make_timestamp(v_year, v_month, v_day, v_hour, v_minute, 0);
                                end if;
                                v_minute := v_minute + 1;
                            end loop;
                        end if;
                        v_hour := v_hour + 1;
                        v_minute := 0;
                    end loop;
                end if;
                v_day := v_day + 1;
                v_hour := 0;
                v_minute := 0;
            end loop;
        end if;
        v_month := v_month % 12 + 1;
        v_year := v_year + (v_month = 1)::integer;
        v_day := 1;
        v_hour := 0;
        v_minute := 0;
        if v_year > v_until then
            return null;
        end if;
    end loop;
end
$$;
revoke all on function job.next_wall(job.cron, timestamp) from public;
grant execute on function job.next_wall(job.cron, timestamp) to app_system;

-- A zone of the tz database by its name. (pg_timezone_names reads hundreds of files; and Postgres takes POSIX forms for zones,
-- so that Europe/Berlim3 would be one, three hours west of Greenwich.)
create function job.is_time_zone(p_zone text)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    if p_zone !~ '^(UTC|GMT|Etc/GMT[+-]([0-9]|1[0-4])|[A-Z][A-Za-z]+(/[A-Z][A-Za-z]*([_-][A-Za-z]+)*)+)$' then
        return false;
    end if;
    return now() at time zone p_zone is not null;
exception when invalid_parameter_value then
    return false;
end
$$;
revoke all on function job.is_time_zone(text) from public;
grant execute on function job.is_time_zone(text) to app_system;

-- gold.orders or dataset:{namespace}:{name} -> the lineage graph's name of it; null when it is neither.
create function job.dataset_node(p_namespace text, p_dataset text)
returns text language sql immutable set search_path = '' as $$
    select case when p_dataset ~ '^(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}$' then 'dataset:' || p_namespace || ':' || p_dataset
                when p_dataset like 'dataset:_%:_%' and length(p_dataset) <= 2048 then p_dataset end
$$;
revoke all on function job.dataset_node(text, text) from public;
grant execute on function job.dataset_node(text, text) to app_system;

create function job.check_schedule(p jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    perform ground.refuse_unknown(p, array['cron', 'timezone', 'paused', 'missed'], '$.schedule');
    if jsonb_typeof(p -> 'cron') is distinct from 'string' then
        perform job.refuse_cron('cron is missing.', '$.schedule.cron');
    elsif job.next_wall(job.read_cron(p ->> 'cron'), clock_timestamp() at time zone 'UTC') is null then
        perform job.refuse_cron('there is no such day.', '$.schedule.cron');
    end if;
    if not job.is_time_zone(coalesce(p ->> 'timezone', 'UTC')) then
        perform ground.fail('FIELD_INVALID', '$.schedule.timezone', 'timezone is a name of the tz database.', 'For example Europe/Berlin, America/New_York, UTC.');
    end if;
    if coalesce(p ->> 'missed', 'once') not in ('skip', 'once', 'all') then
        perform ground.fail('FIELD_INVALID', '$.schedule.missed', 'missed is skip, once or all.');
    end if;
    return jsonb_build_object('cron', p ->> 'cron', 'timezone', coalesce(p ->> 'timezone', 'UTC'), 'paused', job.check_boolean(p, 'paused', '$.schedule', false),
                              'missed', coalesce(p ->> 'missed', 'once'));
end
$$;
revoke all on function job.check_schedule(jsonb) from public;

create function job.check_periodic(p jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_every bigint;
begin
    perform ground.refuse_unknown(p, array['every_seconds', 'paused'], '$.periodic');
    v_every := job.check_integer(p, 'every_seconds', '$.periodic', 10, 31536000, null);
    if v_every is null then
        perform ground.fail('FIELD_INVALID', '$.periodic.every_seconds', 'every_seconds must be a whole number from 10 to 31536000.');
    end if;
    return jsonb_build_object('every_seconds', v_every, 'paused', job.check_boolean(p, 'paused', '$.periodic', false));
end
$$;
revoke all on function job.check_periodic(jsonb) from public;

-- What a job writes must not start it: that would never end. (Through other jobs: schedule.mark.)
create function job.check_trigger(p_tenant uuid, p jsonb, p_tasks jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_namespace text := tenancy.namespace_of(p_tenant);
    v_datasets jsonb;
    v_debounce bigint;
    v jsonb;
    v_node text;
    i integer := 0;
begin
    perform ground.refuse_unknown(p, array['datasets', 'debounce_seconds', 'max_wait_seconds', 'paused'], '$.trigger');
    v_datasets := job.check_array(p, 'datasets', '$.trigger', 100);
    if v_datasets = '[]' then
        perform ground.fail('FIELD_INVALID', '$.trigger.datasets', 'datasets must be an array of 1 to 100 names.');
    end if;
    for v in select * from jsonb_array_elements(v_datasets) loop
        v_node := case when jsonb_typeof(v) = 'string' then job.dataset_node(v_namespace, v #>> '{}') end;
        if v_node is null then
            perform ground.fail('FIELD_INVALID', format('$.trigger.datasets[%s]', i), 'a dataset is <layer>.<table>, e.g. gold.orders, or dataset:{namespace}:{name}.');
        elsif exists (select from (select jsonb_path_query(p_tasks, '$[*].outputs[*]') union all select jsonb_path_query(p_tasks, '$[*].task.outputs[*]')) x (o)
                      where job.dataset_node(v_namespace, (o ->> 'layer') || '.' || (o ->> 'table')) = v_node
                         or 'dataset:' || v_namespace || '/artifacts:' || (o ->> 'name') = v_node and not o ? 'table') then
            perform ground.fail('TRIGGER_LOOP', format('$.trigger.datasets[%s]', i));
        end if;
        i := i + 1;
    end loop;
    v_debounce := job.check_integer(p, 'debounce_seconds', '$.trigger', 0, 86400, 10);
    return jsonb_build_object('datasets', v_datasets, 'debounce_seconds', v_debounce, 'paused', job.check_boolean(p, 'paused', '$.trigger', false),
        'max_wait_seconds', job.check_integer(p, 'max_wait_seconds', '$.trigger', v_debounce, 604800, least(10 * v_debounce, 604800)));
end
$$;
revoke all on function job.check_trigger(uuid, jsonb, jsonb) from public;

-- The part of a definition that says when: {schedule, periodic, trigger}, all but one of them null.
create function job.check_start(p_tenant uuid, p jsonb, p_tasks jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_schedule jsonb := nullif(p -> 'schedule', 'null');
    v_periodic jsonb := nullif(p -> 'periodic', 'null');
    v_trigger jsonb := nullif(p -> 'trigger', 'null');
begin
    if num_nonnulls(v_schedule, v_periodic, v_trigger) > 1 then
        perform ground.fail('FIELD_INVALID', '$', 'a job has at most one of schedule, periodic and trigger.', 'Set the others to null.');
    end if;
    return jsonb_build_object(
        'schedule', case when v_schedule is not null then job.check_schedule(v_schedule) end,
        'periodic', case when v_periodic is not null then job.check_periodic(v_periodic) end,
        'trigger', case when v_trigger is not null then job.check_trigger(p_tenant, v_trigger, p_tasks) end);
end
$$;
revoke all on function job.check_start(uuid, jsonb, jsonb) from public;

set role postgres;
revoke app_owner, app_system from postgres;
