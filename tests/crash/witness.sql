-- A witness beside the hot table of a throw-away database: each step of each attempt, by the clock of the database, written in
-- the transaction that took it. What history leaves out is here: the leases that were lost.
create schema witness;
create table witness.steps (
    n bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    tenant_id uuid not null,
    attempt_id bigint not null,
    run_id bigint not null,
    was text not null,   -- '' before its birth
    became text not null,  -- '' once it is settled
    lease integer not null,
    lost integer not null,
    runner uuid
);
create index steps_of_attempt on witness.steps (attempt_id, n);

create function witness.note() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        insert into witness.steps (tenant_id, attempt_id, run_id, was, became, lease, lost, runner)
        values (new.tenant_id, new.id, new.run_id, '', new.state::text, new.lease, new.lost, new.runner);
    elsif tg_op = 'DELETE' then
        insert into witness.steps (tenant_id, attempt_id, run_id, was, became, lease, lost, runner)
        values (old.tenant_id, old.id, old.run_id, old.state::text, '', old.lease, old.lost, old.runner);
    elsif new.state <> old.state or new.lease <> old.lease then
        insert into witness.steps (tenant_id, attempt_id, run_id, was, became, lease, lost, runner)
        values (new.tenant_id, new.id, new.run_id, old.state::text, new.state::text, new.lease, new.lost, coalesce(new.runner, old.runner));
    end if;
    return null;
end
$$;
create trigger steps_are_noted after insert or update or delete on queue.live_attempts
    for each row execute function witness.note();
