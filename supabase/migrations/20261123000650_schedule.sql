-- schedule: which job starts by itself, when it does next, and what was started. The definition is the job's, in its versions;
-- here is what is live. A fire is owed by one row, locked by whoever pays it; what a dataset's update leaves is a mark, an insert:
-- a settlement must not wait for a lock of ours.

grant app_owner, app_system to postgres;
create schema schedule authorization app_owner;
set role app_owner;
grant usage on schema schedule to authenticated, service_role, app_system;

create type schedule.kind as enum ('schedule', 'periodic', 'dataset');

create table schedule.triggers (
    tenant_id uuid not null,
    job_id bigint not null,
    kind schedule.kind not null,
    definition jsonb not null,  -- that part of the job's version which says when
    next_fire_at timestamptz,   -- null: paused, or no mark yet
    marked_at timestamptz,      -- the first update that has not been answered by a fire
    causes bigint[] not null default '{}',  -- the runs that made the updates
    datasets text[] not null default '{}',  -- what was updated
    last_fired_at timestamptz,
    last_run_id bigint,
    last_error jsonb,
    primary key (tenant_id, job_id),
    foreign key (tenant_id, job_id) references job.jobs (tenant_id, id)
) with (fillfactor = 50);
create index triggers_due on schedule.triggers (next_fire_at) where next_fire_at is not null;

-- Which trigger waits for which dataset. Namespaces and names may both hold colons: one row for each split of the same text.
create table schedule.watches (
    tenant_id uuid not null,
    job_id bigint not null,
    key uuid not null,  -- as lineage.datasets has it
    dataset text not null,
    primary key (tenant_id, job_id, key),
    foreign key (tenant_id, job_id) references schedule.triggers (tenant_id, job_id) on delete cascade
);
create index watches_of_dataset on schedule.watches (key, tenant_id);

-- No foreign key: it would lock the trigger's row.
create table schedule.marks (
    id bigint not null generated always as identity,
    tenant_id uuid not null,
    job_id bigint not null,
    dataset text not null,
    at timestamptz not null default clock_timestamp(),
    run_id bigint,
    primary key (tenant_id, id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
create index marks_of_trigger on schedule.marks (job_id, tenant_id);

-- What was started: once for each job and time, whoever ticks.
create table schedule.fires (
    tenant_id uuid not null,
    job_id bigint not null,
    scheduled_at timestamptz not null,
    kind schedule.kind not null,
    fired_at timestamptz not null default clock_timestamp(),
    run_id bigint not null,
    causes bigint[] not null default '{}',
    datasets text[] not null default '{}',
    primary key (tenant_id, job_id, scheduled_at),
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id)
);
create index fires_of_run on schedule.fires (run_id, tenant_id);

do $rls$
declare
    t text;
begin
    foreach t in array array['triggers', 'watches', 'marks', 'fires'] loop
        execute format('alter table schedule.%I enable row level security', t);
        execute format('alter table schedule.%I force row level security', t);
        execute format('create policy "doors keep what starts the caller''s jobs" on schedule.%I for all to app_owner
                        using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()))', t);
        execute format('create policy "the clock keeps what starts jobs" on schedule.%I for all to app_system using (true) with check (true)', t);
        if t <> 'marks' then
            execute format('create policy "members see what starts their jobs" on schedule.%I for select to authenticated
                            using (tenant_id = (select tenancy.tenant_id()))', t);
            execute format('grant select on schedule.%I to authenticated', t);
        end if;
    end loop;
end
$rls$;
grant select, update on schedule.triggers to app_system;
grant select on schedule.watches, schedule.fires to app_system;
grant select, insert, delete on schedule.marks to app_system;

-- ----------------------------------------------------------------------------------------- real time

-- The first instant of (p_from, p_to] that has the offset of p_to: the moment at which the clock is turned.
create function schedule.transition(p_zone text, p_from timestamptz, p_to timestamptz)
returns timestamptz language plpgsql stable set search_path = '' as $$
declare
    v_low bigint := floor(extract(epoch from p_from));
    v_high bigint := ceil(extract(epoch from p_to));
    v_middle bigint;
    v_offset interval := (p_to at time zone p_zone) - (p_to at time zone 'UTC');
begin
    while v_high - v_low > 1 loop
        v_middle := (v_low + v_high) / 2;
        if (to_timestamp(v_middle) at time zone p_zone) - (to_timestamp(v_middle) at time zone 'UTC') = v_offset then
            v_high := v_middle;
        else
            v_low := v_middle;
        end if;
    end loop;
    return to_timestamp(v_high);
end
$$;
revoke all on function schedule.transition(text, timestamptz, timestamptz) from public;
grant execute on function schedule.transition(text, timestamptz, timestamptz) to app_system;

-- The first instant at which the wall's clock has reached p_wall. One that is skipped: the moment after the gap. One that comes
-- twice: the first. (Postgres itself takes the clock before the gap, and of two the second.)
create function schedule.first_instant(p_wall timestamp, p_zone text)
returns timestamptz language plpgsql stable set search_path = '' as $$
declare
    v_at timestamptz := p_wall at time zone p_zone;
    v_shown timestamp := v_at at time zone p_zone;
    v_back interval;
begin
    if v_shown > p_wall then
        return schedule.transition(p_zone, v_at - (v_shown - p_wall), v_at);
    end if;
    v_back := ((v_at - interval '25 hours') at time zone p_zone) - (v_at at time zone p_zone) + interval '25 hours';
    if v_back > interval '0' and (v_at - v_back) at time zone p_zone = p_wall then
        return v_at - v_back;
    end if;
    return v_at;
end
$$;
revoke all on function schedule.first_instant(timestamp, text) from public;
grant execute on function schedule.first_instant(timestamp, text) to app_system;

-- A fixed time of day (the hour is no star) is owed once a day: at the moment after the gap where it is skipped, once where it
-- comes twice. With a star as hour the expression follows the clock as it runs, as in Vixie's cron and its children.
create function schedule.next_fire(p_cron job.cron, p_zone text, p_after timestamptz)
returns timestamptz language plpgsql stable set search_path = '' as $$
declare
    v_wall timestamp := p_after at time zone p_zone;
    v_at timestamptz := p_after;
    v_end timestamptz;
    v_change timestamptz;
    v_offset interval;
begin
    if not p_cron.any_hour then
        loop  -- more than once only while the clock, turned back, shows what it has shown before
            v_wall := job.next_wall(p_cron, v_wall);
            exit when v_wall is null;
            v_at := schedule.first_instant(v_wall, p_zone);
            if v_at > p_after then
                return v_at;
            end if;
        end loop;
        return null;
    end if;
    for i in 1 .. 1000 loop  -- stretches of one offset; days on which nothing is due are jumped over
        v_offset := (v_at at time zone p_zone) - (v_at at time zone 'UTC');
        v_end := v_at + interval '25 hours';
        v_wall := job.next_wall(p_cron, v_wall);
        if v_wall is null then
            return null;
        end if;
        if (v_end at time zone p_zone) - (v_end at time zone 'UTC') <> v_offset then
            v_change := schedule.transition(p_zone, v_at, v_end);
            if v_wall - v_offset < v_change at time zone 'UTC' then
                return (v_wall - v_offset) at time zone 'UTC';
            end if;
            v_at := v_change;
            v_wall := (v_at at time zone p_zone) - interval '1 minute';  -- that very moment may be one
        elsif v_wall - v_offset <= v_end at time zone 'UTC' then
            return (v_wall - v_offset) at time zone 'UTC';
        else
            v_at := greatest(v_end, (v_wall - interval '2 days') at time zone p_zone);  -- a day may be missing
            v_wall := v_at at time zone p_zone;
        end if;
    end loop;
    return null;
end
$$;
revoke all on function schedule.next_fire(job.cron, text, timestamptz) from public;
grant execute on function schedule.next_fire(job.cron, text, timestamptz) to app_system;

-- The first time after p_after that a cron expression names in a zone; null when there is none in 50 years.
create function schedule.next_fire(p_cron text, p_zone text, p_after timestamptz)
returns timestamptz language plpgsql stable set search_path = '' as $$
begin
    return schedule.next_fire(job.read_cron(p_cron), p_zone, p_after);
end
$$;
revoke all on function schedule.next_fire(text, text, timestamptz) from public;
grant execute on function schedule.next_fire(text, text, timestamptz) to app_system;

-- The last time up to p_until that it named, looked for between p_from, a fire, and p_until: by halves, not one by one.
create function schedule.last_fire(p_cron job.cron, p_zone text, p_from timestamptz, p_until timestamptz)
returns timestamptz language plpgsql stable set search_path = '' as $$
declare
    v_low timestamptz := p_from;
    v_high timestamptz := p_until;
    v_middle timestamptz;
    v_next timestamptz;
begin
    while v_high - v_low > interval '30 seconds' loop
        v_middle := v_low + (v_high - v_low) / 2;
        v_next := schedule.next_fire(p_cron, p_zone, v_middle);
        if v_next <= p_until then
            v_low := v_next;
        else
            v_high := v_middle;
        end if;
    end loop;
    return v_low;
end
$$;
revoke all on function schedule.last_fire(job.cron, text, timestamptz, timestamptz) from public;
grant execute on function schedule.last_fire(job.cron, text, timestamptz, timestamptz) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
