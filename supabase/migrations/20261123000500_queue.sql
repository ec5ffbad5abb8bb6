-- queue: runs, task_runs, attempts, slots, logs, runners; who may see them.
-- Law 1: every renew, report and settle matches (attempt, lease, RUNNING). Zero rows = stale. Database time only.

grant app_owner, app_system to postgres;
create schema queue authorization app_owner;
set role app_owner;
grant usage on schema queue to authenticated, service_role, app_system;

create type queue.state as enum (  -- in this order: what is not less than SUCCEEDED is final
    'QUEUED',     -- ready to be claimed; RUNNING -> QUEUED when a lease is lost or a retry waits
    'BLOCKED',    -- waits for other tasks, or for other runs of its job; BLOCKED -> QUEUED | SKIPPED | CANCELED
    'RUNNING',    -- QUEUED -> RUNNING by a claim
    'SUCCEEDED',  -- final
    'FAILED',     -- final
    'TIMED_OUT',  -- final
    'CANCELED',   -- final
    'SKIPPED',    -- final: its run_if could not come true, or there was no place for it
    'LOST'        -- final, attempts only: its leases were lost too often
);

-- Why an attempt, a task or a run ended: the words of runner/model/termination.py; who is at fault says 56_queue_end.
create domain queue.termination_code as text check (value in (
    'SUCCESS', 'USER_CODE_FAILED', 'OUT_OF_MEMORY', 'DEADLINE_EXCEEDED', 'RUN_TIMED_OUT', 'USER_CANCELED', 'RUNNER_LOST', 'NO_SANDBOX',
    'NOT_GRANTED', 'INVALID_CODE', 'VALIDATION_FAILED', 'INPUT_UNAVAILABLE', 'INPUT_INVALID', 'OUTPUT_INVALID', 'OUTPUT_TOO_LARGE', 'SECRET_IN_OUTPUT',
    'SECRET_UNAVAILABLE', 'EXECUTOR_UNAVAILABLE', 'PUBLISH_FAILED', 'EXPECTATION_FAILED', 'UPSTREAM_FAILED', 'UPSTREAM_CANCELED', 'EXCLUDED',
    'REFERENCE_UNRESOLVED', 'CONDITION_INVALID', 'TOO_MANY_ITERATIONS', 'ITERATION_FAILED', 'RUN_JOB_REFUSED', 'MAX_CONCURRENT_RUNS',
    'GENERATION_FAILED', 'MODEL_UNAVAILABLE', 'IMAGE_UNAVAILABLE', 'INTERNAL_ERROR'));

-- What one column alone has to keep. As checks of the tables they would be read and planned anew by every statement that writes a row
-- (1.7 microseconds each, see docs/adr/021-hot-path.md); the check of a type is planned once.
create domain queue.run_timeout as integer check (value between 1 and 2592000);
create domain queue.traceparent as text check (length(value) <= 128);
create domain queue.pause_ms as integer check (value >= 0);
create domain queue.percent as smallint check (value between 0 and 100);
create domain queue.task_values as jsonb check (octet_length(value::text) <= 262144);
create domain queue.external_id as text check (length(value) <= 512);

create table queue.settings (
    one boolean primary key default true check (one),
    lease_seconds numeric not null default 15 check (lease_seconds between 0.5 and 3600),
    heartbeat_seconds numeric not null default 5 check (heartbeat_seconds > 0),
    poll_seconds numeric not null default 15 check (poll_seconds > 0),
    max_lost integer not null default 10 check (max_lost >= 0),  -- re-claims of one attempt, apart from the retries
    deadline_grace_seconds numeric not null default 5,
    max_log_lines integer not null default 20000,
    lease_epoch integer not null default 0,  -- see queue.unbroken
    check (heartbeat_seconds < lease_seconds)
);
insert into queue.settings default values;
comment on table queue.settings is 'Internal: the clockwork; tests lower it.';

-- A row that a crash, a failover or a restore takes away, for the table is unlogged. As long as it stands, no claim was forgotten.
create unlogged table queue.unbroken (
    one boolean primary key default true check (one),
    epoch integer not null  -- settings.lease_epoch
);
insert into queue.unbroken (epoch) values (0);
comment on table queue.unbroken is 'Internal: in which epoch leases are given out; empty after a crash.';

create table queue.runs (
    -- no foreign key: it would lock the tenant's row for each submission, a list of lockers where many submit. Row security knows whose
    -- runs are entered, and tenants are never deleted
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    job_id bigint,
    job_version integer,
    name text not null,
    job_type text,
    state queue.state not null default 'QUEUED',
    termination_code queue.termination_code,
    termination_message text,
    priority smallint not null default 0,
    idempotency_key text,
    task_count integer not null default 1,
    open_tasks integer not null default 1,  -- of a graph: tasks that have not ended, iterations included
    parameters jsonb not null default '{}',
    parent_run_id bigint,  -- the run_job task that started it, and the run at the top: whose row is the lock of all below it
    parent_task_run_id bigint,
    root_run_id bigint,
    created_by text not null,
    created_at timestamptz not null default clock_timestamp(),
    backfill_id bigint,  -- that made it
    rerun_of bigint,  -- the run whose work was taken over, or done again
    repair_count integer not null default 0,
    waits_since timestamptz,  -- for a place among the runs of its job
    started_at timestamptz,
    finished_at timestamptz,
    timeout_seconds queue.run_timeout,  -- of the whole run, from its first claim; null: none
    deadline_at timestamptz,
    cancel_requested_at timestamptz,
    stop_code queue.termination_code,  -- why it was asked to stop
    log_seq bigint not null default 0,
    event_seq bigint not null default 0,
    traceparent queue.traceparent,
    primary key (tenant_id, id),
    foreign key (tenant_id, job_id, job_version) references job.versions (tenant_id, job_id, version),
    foreign key (tenant_id, parent_run_id) references queue.runs (tenant_id, id),
    constraint a_child_knows_its_family check (num_nulls(parent_run_id, parent_task_run_id, root_run_id) in (0, 3)),
    constraint finished_iff_finished_at check ((state >= 'SUCCEEDED') = (finished_at is not null)),
    constraint finished_says_why check (finished_at is null or termination_code is not null),
    constraint waiting_is_blocked check ((state = 'BLOCKED') = (waits_since is not null)),
    constraint stopped_says_why check ((cancel_requested_at is null) = (stop_code is null)),
    constraint running_with_a_timeout_has_a_deadline check (state <> 'RUNNING' or timeout_seconds is null or deadline_at is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
create unique index runs_are_idempotent on queue.runs (tenant_id, idempotency_key) where idempotency_key is not null;
create index runs_of_job on queue.runs (tenant_id, job_id, job_version, id) where job_id is not null;
-- (the state is in no predicate: a claim's update of the run touches no index)
create index runs_under_way on queue.runs (job_id, tenant_id) where job_id is not null and finished_at is null and waits_since is null;
create index runs_waiting on queue.runs (job_id, tenant_id, priority desc, id) where waits_since is not null;
create index runs_of_parent on queue.runs (parent_run_id, tenant_id) where parent_run_id is not null;
create index runs_overdue on queue.runs (deadline_at) where deadline_at is not null and cancel_requested_at is null and finished_at is null;
create index runs_by_finish on queue.runs (tenant_id, finished_at) where finished_at is not null;

create table queue.task_runs (
    tenant_id uuid not null,
    id bigint not null generated always as identity,
    run_id bigint not null,
    task_key text not null,
    kind job.task_kind not null default 'work',
    job_type text,
    engine text,
    image text,  -- the container image that it asks for; null: what the runner has
    executors smallint,  -- how many of Spark's it asks for, each in a place of its own; null: it works in its own
    state queue.state not null,
    termination_code queue.termination_code,
    termination_message text,
    run_if text not null default 'ALL_SUCCESS',
    depends_on text[] not null default '{}',
    outcomes boolean[],  -- beside depends_on: the outcome of a condition that is asked for; null where none is
    dependents text[] not null default '{}',  -- the other way round
    waits_for integer not null default 0,  -- how many of depends_on, or of the iterations of a for_each, have not ended
    resolves boolean not null default false,  -- has references, or is no work: begins one by one
    outcome boolean,  -- of a condition
    concurrency smallint,  -- of a for_each
    iterations integer,
    next_iteration integer,  -- the first that has not begun
    parent_id bigint,  -- of an iteration: its for_each task
    iteration integer,
    child_run_id bigint,  -- of a run_job
    judge text,  -- the task whose passing its code needs: see 53_queue_loop
    author text,  -- of a judge: the task that writes what it judges
    round smallint not null default 1,  -- of a judge: how often its author has written
    rounds smallint not null default 1,
    max_retries smallint not null default 0,
    retry_on_timeout boolean not null default false,
    min_retry_interval_ms queue.pause_ms not null default 0,
    timeout_seconds integer,
    percent queue.percent not null default 0,
    progress_message text,
    first_number smallint not null default 1,  -- of its attempts since the last repair
    reused_from bigint,  -- the run in which it was done
    output_values queue.task_values not null default '{}',
    started_at timestamptz,
    finished_at timestamptz,
    primary key (tenant_id, id),
    unique (run_id, tenant_id, task_key),  -- one index alone begins with the tenant: see the lint tenant_first_twice
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id),
    constraint finished_iff_finished_at check ((state >= 'SUCCEEDED') = (finished_at is not null)),
    constraint a_judge_comes_before check (judge is null or depends_on @> array[judge]),
    constraint an_author_comes_before check (author is null or depends_on @> array[author]),
    constraint work_is_for_a_runner check (kind <> 'work' or num_nulls(job_type, engine, timeout_seconds) = 0)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

create table queue.payloads (
    tenant_id uuid not null,
    task_run_id bigint not null,
    code_of bigint,  -- of an iteration: its for_each task, whose spec and code it has
    spec text,
    code jsonb,
    params jsonb not null default '{}',  -- as the task gets them: references are resolved once, when it becomes ready
    template jsonb,  -- what they were resolved from; null where nothing is
    input jsonb,  -- of an iteration
    inputs jsonb not null default '[]',
    outputs jsonb not null default '[]',
    secrets jsonb not null default '[]',
    network boolean not null default false,
    primary key (tenant_id, task_run_id),
    foreign key (tenant_id, task_run_id) references queue.task_runs (tenant_id, id)
);
comment on table queue.payloads is 'Confidential: source code, parameters; secrets are names only.';

-- What the doors have yet to say of runs that began or ended inside another step: callback.relay takes it away.
create table queue.news (
    tenant_id uuid not null,
    run_id bigint not null,
    ended boolean not null,
    primary key (run_id, tenant_id, ended),
    foreign key (tenant_id, run_id) references queue.runs (tenant_id, id)
);
comment on table queue.news is 'Internal: an outbox between rooms, empty between transactions.';

-- The hot table: only what waits or runs. A settled attempt moves to past_attempts in the settling statement.
create table queue.live_attempts (
    tenant_id uuid not null,
    id bigint not null generated always as identity primary key,
    run_id bigint not null,
    task_run_id bigint not null,
    number smallint not null default 1,
    requires text not null,  -- what a runner must offer: see queue.requirement
    priority smallint not null default 0,
    state queue.state not null default 'QUEUED' check (state in ('QUEUED', 'RUNNING')),
    queued_at timestamptz not null default clock_timestamp(),
    ready_at timestamptz not null default clock_timestamp(),
    lease integer not null default 0,
    lost smallint not null default 0,
    runner uuid,
    claimed_at timestamptz,
    lease_expires_at timestamptz,
    deadline_at timestamptz,
    cancel_requested_at timestamptz,
    stop_code queue.termination_code,
    token_hash bytea,
    external_id queue.external_id,
    log_lines integer not null default 0,
    foreign key (tenant_id, task_run_id) references queue.task_runs (tenant_id, id),
    constraint one_live_attempt_per_task unique (task_run_id, tenant_id),
    constraint running_means_leased
        check (state <> 'RUNNING' or (runner is not null and lease > 0 and lease_expires_at is not null and deadline_at is not null))
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
create index live_attempts_ready on queue.live_attempts (tenant_id, requires, priority desc, ready_at, id) where state = 'QUEUED';
create index live_attempts_leased on queue.live_attempts (lease_expires_at) where state = 'RUNNING';
create index live_attempts_waiting on queue.live_attempts (ready_at) where state = 'QUEUED' and number > 1;  -- retries, the only ones that wait
create index live_attempts_of_run on queue.live_attempts (run_id, tenant_id);

create table queue.past_attempts (
    tenant_id uuid not null,
    id bigint not null,
    run_id bigint not null,
    task_run_id bigint not null,
    number smallint not null,
    requires text not null,
    priority smallint not null,
    state queue.state not null check (state not in ('QUEUED', 'RUNNING', 'BLOCKED')),
    queued_at timestamptz not null,
    ready_at timestamptz not null,
    lease integer not null,
    lost smallint not null,
    runner uuid,
    claimed_at timestamptz,
    deadline_at timestamptz,
    external_id text,
    finished_at timestamptz not null,
    termination_code queue.termination_code not null,
    message text,
    exit_code integer,
    peak_memory_bytes bigint,
    cpu_ms bigint,
    primary key (id, finished_at)
) partition by range (finished_at);
create table queue.past_attempts_rest partition of queue.past_attempts default;
create index past_attempts_of_task on queue.past_attempts (task_run_id, tenant_id);
create index past_attempts_of_run on queue.past_attempts (run_id, tenant_id);

-- One word for both: what waits, runs and ran.
create view queue.attempts with (security_invoker = true) as
select tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at, ready_at, lease, lost, runner,
       claimed_at as started_at, lease_expires_at, deadline_at, cancel_requested_at, external_id,
       null::timestamptz as finished_at, null::text as termination_code, null::text as message,
       null::integer as exit_code, null::bigint as peak_memory_bytes, null::bigint as cpu_ms
from queue.live_attempts
union all
select tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at, ready_at, lease, lost, runner,
       claimed_at, null, deadline_at, null, external_id, finished_at, termination_code, message, exit_code, peak_memory_bytes, cpu_ms
from queue.past_attempts;

-- One counter row per tenant: locked by claim and settle, so the limit is exact.
create table queue.slots (
    tenant_id uuid primary key references tenancy.tenants,
    running integer not null default 0 check (running >= 0),
    served_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 200);
create index slots_by_turn on queue.slots (served_at);

create table queue.logs (
    tenant_id uuid not null,
    run_id bigint not null,
    seq bigint not null,
    at timestamptz not null,
    attempt_id bigint not null,
    task_run_id bigint not null,
    stream text not null check (stream in ('stdout', 'stderr', 'system')),
    line text not null check (length(line) <= 16384),
    primary key (tenant_id, run_id, seq, at)  -- the seq alone is the key: it is given under the lock of the run's row
) partition by range (at);
create table queue.logs_rest partition of queue.logs default;
comment on table queue.logs is 'Confidential: what the job said; secrets are redacted by the runner.';

create table queue.runners (
    instance uuid primary key,
    name text not null,
    offers text[] not null,
    capacity integer not null,
    version text not null,
    sandbox jsonb not null default '{}',
    started_at timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp(),
    stopped_at timestamptz
) with (fillfactor = 50);
comment on table queue.runners is 'Internal: who claims, and what it offers.';

-- ------------------------------------------------------------------------------------- row security

alter table queue.settings enable row level security;
alter table queue.settings force row level security;
alter table queue.unbroken enable row level security;
alter table queue.unbroken force row level security;
alter table queue.runs enable row level security;
alter table queue.runs force row level security;
alter table queue.task_runs enable row level security;
alter table queue.task_runs force row level security;
alter table queue.payloads enable row level security;
alter table queue.payloads force row level security;
alter table queue.news enable row level security;
alter table queue.news force row level security;
alter table queue.live_attempts enable row level security;
alter table queue.live_attempts force row level security;
alter table queue.past_attempts enable row level security;
alter table queue.past_attempts force row level security;
alter table queue.past_attempts_rest enable row level security;
alter table queue.past_attempts_rest force row level security;
alter table queue.slots enable row level security;
alter table queue.slots force row level security;
alter table queue.logs enable row level security;
alter table queue.logs force row level security;
alter table queue.logs_rest enable row level security;
alter table queue.logs_rest force row level security;
alter table queue.runners enable row level security;
alter table queue.runners force row level security;

create policy "members see their runs" on queue.runs for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see their task runs" on queue.task_runs for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see their waiting and running attempts" on queue.live_attempts for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "members see their past attempts" on queue.past_attempts for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()));
create policy "operators see code and parameters" on queue.payloads for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');
create policy "operators see logs" on queue.logs for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) >= 'operator');

create policy "doors keep the caller's runs" on queue.runs for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's task runs" on queue.task_runs for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's payloads" on queue.payloads for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's news" on queue.news for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's attempts" on queue.live_attempts for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's past attempts" on queue.past_attempts for all to app_owner
    using (tenant_id = (select ground.claimed_tenant_id())) with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors keep the caller's logs" on queue.logs for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors see the runners" on queue.runners for select to app_owner using (true);

create policy "doors see the caller's slots" on queue.slots for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors read settings" on queue.settings for select to app_owner using (true);

create policy "the worker reads settings" on queue.settings for all to app_system using (true) with check (true);
create policy "the worker knows the epoch" on queue.unbroken for all to app_system using (true) with check (true);
create policy "the worker keeps runs" on queue.runs for all to app_system using (true) with check (true);
create policy "the worker keeps task runs" on queue.task_runs for all to app_system using (true) with check (true);
create policy "the worker keeps payloads" on queue.payloads for all to app_system using (true) with check (true);
create policy "the worker keeps news" on queue.news for all to app_system using (true) with check (true);
create policy "the worker keeps attempts" on queue.live_attempts for all to app_system using (true) with check (true);
create policy "the worker keeps past attempts" on queue.past_attempts for all to app_system using (true) with check (true);
create policy "the worker keeps slots" on queue.slots for all to app_system using (true) with check (true);
create policy "the worker keeps logs" on queue.logs for all to app_system using (true) with check (true);
create policy "the worker keeps runners" on queue.runners for all to app_system using (true) with check (true);

grant select (tenant_id, id, job_id, job_version, name, job_type, state, termination_code, termination_message, priority, task_count,
              parent_run_id, parent_task_run_id, root_run_id, created_by, created_at, waits_since, started_at, finished_at, timeout_seconds, deadline_at,
              cancel_requested_at, stop_code) on queue.runs to authenticated;
grant select on queue.task_runs, queue.payloads, queue.past_attempts, queue.logs to authenticated;
grant select (tenant_id, id, run_id, task_run_id, number, requires, priority, state, queued_at, ready_at, lease, lost, runner, claimed_at,
              lease_expires_at, deadline_at, cancel_requested_at, external_id) on queue.live_attempts to authenticated;
grant select on queue.attempts to authenticated;
grant select, insert, update on queue.settings, queue.runs, queue.task_runs, queue.slots, queue.runners to app_system;
grant select, insert on queue.unbroken, queue.past_attempts, queue.logs to app_system;
grant select, insert, update on queue.payloads to app_system;
grant select, insert, update, delete on queue.live_attempts, queue.news to app_system;
grant usage on sequence queue.runs_id_seq, queue.task_runs_id_seq to app_system;  -- a run_job task submits
grant select on queue.attempts to app_system;

create function queue.is_final(p_state queue.state)
returns boolean language plpgsql immutable parallel safe set search_path = '' as $$  -- (in sql it would be planned at every call)
begin
    return p_state >= 'SUCCEEDED';
end
$$;
revoke all on function queue.is_final(queue.state) from public;
grant execute on function queue.is_final(queue.state) to authenticated, app_system;

set role postgres;
revoke app_owner, app_system from postgres;
