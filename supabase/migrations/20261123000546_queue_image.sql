-- queue, part of the fifth: what a runner must offer to carry an attempt.

grant app_owner, app_system to postgres;
set role app_owner;

-- job_type/engine, `+executors` where the task asks for such and `+image` where it names its own: so that who has no pods, or no
-- containers, never claims it.
create function queue.requirement(p_job_type text, p_engine text, p_image text, p_executors smallint)
returns text language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return p_job_type || '/' || p_engine || case when p_executors is null then '' else '+executors' end || case when p_image is null then '' else '+image' end;
end
$$;
revoke all on function queue.requirement(text, text, text, smallint) from public;
grant execute on function queue.requirement(text, text, text, smallint) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
