-- queue, sixth part: how runs end: the reasons and who is at fault, runs that take too long, Databricks' words for it.

grant app_owner, app_system to postgres;
set role app_owner;

create table queue.termination_codes (
    code queue.termination_code primary key,
    fault text not null check (fault in ('none', 'user', 'tenant', 'platform')),  -- what slo counts against the platform is 'platform'
    meaning text not null
);
insert into queue.termination_codes (code, fault, meaning) values
('SUCCESS', 'none', 'It did what was asked.'),
('USER_CODE_FAILED', 'user', 'The code ended with another exit code than 0.'),
('OUT_OF_MEMORY', 'user', 'The code needed more memory than its limit.'),
('DEADLINE_EXCEEDED', 'user', 'An attempt took longer than timeout_seconds.'),
('RUN_TIMED_OUT', 'user', 'The run took longer than run_timeout_seconds.'),
('USER_CANCELED', 'none', 'Somebody canceled it.'),
('RUNNER_LOST', 'platform', 'Its runners were lost more often than is borne.'),
('NO_SANDBOX', 'platform', 'The runner has no sandbox to run it in.'),
('NOT_GRANTED', 'tenant', 'It needs what the tenant was not, or is no longer, granted.'),
('INVALID_CODE', 'user', 'The code cannot be started as it is.'),
('VALIDATION_FAILED', 'user', 'The code did not pass the validation that the tenant enforces.'),
('INPUT_UNAVAILABLE', 'user', 'An input could not be read, or is too large.'),
('INPUT_INVALID', 'user', 'An input is not what the job type reads: another format, damaged, with macros, too large unpacked, too many pages.'),
('OUTPUT_INVALID', 'user', 'A declared output was not written, or cannot be stored as declared.'),
('OUTPUT_TOO_LARGE', 'user', 'An output is larger than the limit.'),
('SECRET_IN_OUTPUT', 'user', 'An output holds what looks like a secret.'),
('SECRET_UNAVAILABLE', 'platform', 'A granted secret has no value where the runner looks for it.'),
('EXECUTOR_UNAVAILABLE', 'platform', 'What carries attempts out did not work.'),
('PUBLISH_FAILED', 'user', 'What it made could not be published.'),
('EXPECTATION_FAILED', 'user', 'What it made is not what is expected of the table.'),
('UPSTREAM_FAILED', 'none', 'A task that it depends on did not succeed.'),
('UPSTREAM_CANCELED', 'none', 'A task that it depends on was canceled.'),
('EXCLUDED', 'none', 'Its run_if did not come true, or a condition had the other outcome.'),
('REFERENCE_UNRESOLVED', 'user', 'A {{reference}} of the task led to nothing when it became ready.'),
('CONDITION_INVALID', 'user', 'A condition was to compare what are no numbers.'),
('TOO_MANY_ITERATIONS', 'user', 'A for_each got more inputs than a run may have.'),
('ITERATION_FAILED', 'user', 'Not every iteration of a for_each succeeded; each says why.'),
('RUN_JOB_REFUSED', 'user', 'The job that a run_job task names could not be started.'),
('MAX_CONCURRENT_RUNS', 'tenant', 'As many runs of the job as it allows were under way, and it does not queue.'),
('GENERATION_FAILED', 'user', 'The model did not write the code that the spec asks for.'),
('MODEL_UNAVAILABLE', 'platform', 'The model that writes the code did not answer, or refused the runner.'),
('IMAGE_UNAVAILABLE', 'user', 'The image that the task names cannot be fetched, or does not start.'),
('INTERNAL_ERROR', 'platform', 'A fault of ours.');
comment on table queue.termination_codes is 'Internal: the same for every tenant.';
alter table queue.termination_codes enable row level security;
alter table queue.termination_codes force row level security;
create policy "everyone reads the termination codes" on queue.termination_codes for select using (true);
grant select on queue.termination_codes to authenticated, app_system;

-- Runs past their deadline that nobody told to stop yet, held with all that is theirs; what somebody else holds comes with the
-- next tick, so that nobody is waited for.
create function queue.overdue(p_limit integer)
returns setof queue.runs language plpgsql set search_path = '' as $$
declare
    r queue.runs;
begin
    for r in
        select x.* from queue.runs x
        where x.deadline_at < clock_timestamp() and x.deadline_at is not null and x.cancel_requested_at is null and x.finished_at is null
        order by x.deadline_at limit p_limit
    loop
        if queue.hold_family(r.tenant_id, r.id, false) is not null
           and exists (select from queue.runs x where x.tenant_id = r.tenant_id and x.id = r.id and x.deadline_at = r.deadline_at
                                                  and x.cancel_requested_at is null and x.finished_at is null) then
            return next r;
        end if;
    end loop;
end
$$;
revoke all on function queue.overdue(integer) from public;
grant execute on function queue.overdue(integer) to app_system;

-- The words that Databricks' clients know: life_cycle_state while it lives, result_state when it has ended.
create function queue.databricks_state(p_state queue.state, p_code text, p_canceling boolean)
returns jsonb language sql immutable parallel safe set search_path = '' as $$
    select jsonb_build_object(
        'life_cycle_state', case
            when p_state = 'SKIPPED' and p_code = 'MAX_CONCURRENT_RUNS' then 'SKIPPED'
            when queue.is_final(p_state) then case when p_code in ('INTERNAL_ERROR', 'RUNNER_LOST', 'EXECUTOR_UNAVAILABLE', 'NO_SANDBOX') then 'INTERNAL_ERROR' else 'TERMINATED' end
            when p_canceling then 'TERMINATING'
            else case p_state when 'BLOCKED' then 'BLOCKED' when 'QUEUED' then 'PENDING' else 'RUNNING' end end,
        'result_state', case
            when p_state = 'SUCCEEDED' then 'SUCCESS'
            when p_state = 'TIMED_OUT' then 'TIMEDOUT'
            when p_state = 'CANCELED' then 'CANCELED'
            when p_code = 'MAX_CONCURRENT_RUNS' then 'MAXIMUM_CONCURRENT_RUNS_REACHED'
            when p_code in ('UPSTREAM_FAILED', 'UPSTREAM_CANCELED') then p_code
            when p_state = 'SKIPPED' then 'EXCLUDED'
            when queue.is_final(p_state) then 'FAILED' end)
$$;
revoke all on function queue.databricks_state(queue.state, text, boolean) from public;
grant execute on function queue.databricks_state(queue.state, text, boolean) to authenticated, app_system;

set role postgres;
revoke app_owner, app_system from postgres;
