-- queue, sixth part: backfills: one run of a job for each value of a parameter, each value once however often it is asked.

grant app_owner, app_system to postgres;
set role app_owner;

create table queue.backfills (
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    job_id bigint not null,
    parameter text not null,
    digest uuid not null,  -- of parameter and values: the same backfill is asked for once
    max_concurrent integer check (max_concurrent between 1 and 1000),  -- null: what the job and the tenant allow
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    cancel_requested_at timestamptz,
    primary key (tenant_id, id),
    unique (job_id, tenant_id, digest),
    foreign key (tenant_id, job_id) references job.jobs (tenant_id, id)
);
-- A run that another backfill made for the same value belongs to both.
create table queue.backfill_runs (
    tenant_id uuid not null,
    backfill_id bigint not null,
    place integer not null,
    run_id bigint not null,
    value jsonb not null,
    primary key (tenant_id, backfill_id, place),
    foreign key (tenant_id, backfill_id) references queue.backfills (tenant_id, id),
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id)
);
create index backfill_runs_of_run on queue.backfill_runs (run_id, tenant_id);
comment on column queue.backfill_runs.value is 'Confidential: a parameter.';

alter table queue.backfills enable row level security;
alter table queue.backfills force row level security;
alter table queue.backfill_runs enable row level security;
alter table queue.backfill_runs force row level security;
create policy "doors keep the caller's backfills" on queue.backfills for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's backfill runs" on queue.backfill_runs for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker sees backfills" on queue.backfills for select to app_system using (true);
create policy "the worker sees backfill runs" on queue.backfill_runs for select to app_system using (true);
grant select on queue.backfills, queue.backfill_runs to app_system;

-- {values: […]} or {range: {from, to, step}} -> the values in order: whole numbers, or dates and times with a step in words
-- ("1 day", "PT1H"). At most 1,000. Without a zone a time is one of UTC.
create function queue.backfill_values(p jsonb)
returns jsonb[] language plpgsql stable set search_path = '' set timezone = 'UTC' as $$
declare
    r jsonb := p -> 'range';
    v_from text := r ->> 'from';
    v_values jsonb[] := '{}';
    v_step interval;
    v_at timestamptz;
    v_to timestamptz;
    v_number bigint;
    n integer := 0;
begin
    if (p ? 'values') = (p ? 'range') then
        perform ground.fail('FIELD_INVALID', '$', 'A backfill has either values or a range.');
    end if;
    if p ? 'values' then
        if jsonb_typeof(p -> 'values') <> 'array' or jsonb_array_length(p -> 'values') not between 1 and 1000 then
            perform ground.fail('FIELD_INVALID', '$.values', 'values must be an array of 1 to 1000.');
        end if;
        v_values := array(select x from jsonb_array_elements(p -> 'values') x);
        if exists (select from unnest(v_values) x where jsonb_typeof(x) not in ('string', 'number', 'boolean') or length(x::text) > 1000) then
            perform ground.fail('FIELD_INVALID', '$.values', 'a value is a text, a number or true or false.');
        elsif cardinality(v_values) <> (select count(distinct x) from unnest(v_values) x) then
            perform ground.fail('FIELD_INVALID', '$.values', 'each value stands once.');
        end if;
        return v_values;
    end if;
    perform ground.refuse_unknown(r, array['from', 'to', 'step'], '$.range');
    if jsonb_typeof(r -> 'from') = 'number' then
        v_number := job.check_integer(r, 'from', '$.range', -1000000000000, 1000000000000, null);
        while v_number <= coalesce(job.check_integer(r, 'to', '$.range', -1000000000000, 1000000000000, null), v_number) loop
            n := n + 1;
            exit when n > 1000;
            v_values := v_values || to_jsonb(v_number);
            v_number := v_number + job.check_integer(r, 'step', '$.range', 1, 1000000000000, 1);
            exit when not r ? 'to';
        end loop;
    else
        begin
            v_at := v_from::timestamptz;
            v_to := coalesce(r ->> 'to', v_from)::timestamptz;
            v_step := coalesce(r ->> 'step', '1 day')::interval;
        exception when datetime_field_overflow or invalid_datetime_format or invalid_text_representation or interval_field_overflow then
            perform ground.fail('FIELD_INVALID', '$.range', 'a range has whole numbers, or ISO 8601 dates or times and a step such as "1 day".');
        end;
        if v_at is null or not isfinite(v_at) or not isfinite(v_to) or v_at + v_step <= v_at then
            perform ground.fail('FIELD_INVALID', '$.range', 'a range begins somewhere and has a step that leads on.');
        end if;
        while v_at <= v_to loop
            v_values := v_values || to_jsonb(to_char(v_at, case when v_from ~ '^\d{4}-\d\d-\d\d$' then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS"Z"' end));
            n := n + 1;
            exit when n > 1000;
            v_at := v_from::timestamptz + n * v_step;  -- not step by step: the 31st of a month would be lost after February
        end loop;
    end if;
    if n not between 1 and 1000 then
        perform ground.fail('BACKFILL_TOO_LARGE', '$.range');
    end if;
    if cardinality(v_values) <> (select count(distinct x) from unnest(v_values) x) then
        perform ground.fail('FIELD_INVALID', '$.range.step', 'the step is shorter than what from is written in.');
    end if;
    return v_values;
end
$$;
revoke all on function queue.backfill_values(jsonb) from public;

-- How the runs of a backfill stand.
create function queue.backfill_counts(p_tenant uuid, p_backfill bigint)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('total', coalesce(sum(n), 0), 'states', coalesce(jsonb_object_agg(state, n), '{}'))
    from (select r.state, count(*) as n from queue.backfill_runs b join queue.runs r on r.tenant_id = b.tenant_id and r.id = b.run_id
          where b.tenant_id = p_tenant and b.backfill_id = p_backfill group by r.state) x
$$;
revoke all on function queue.backfill_counts(uuid, bigint) from public;

set role postgres;
revoke app_owner, app_system from postgres;
