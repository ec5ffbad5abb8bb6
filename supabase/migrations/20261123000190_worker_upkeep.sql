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

set role postgres;
revoke app_owner, app_system from postgres;
