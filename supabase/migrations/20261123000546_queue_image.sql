-- queue, part of the fifth: what a runner must offer to carry an attempt.

grant app_owner, app_system to postgres;
set role app_owner;

-- job_type/engine, and `+image` where the task names its own: so that who has no containers never claims it.
create function queue.requirement(p_job_type text, p_engine text, p_image text)
returns text language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return p_job_type || '/' || p_engine || case when p_image is null then '' else '+image' end;
end
$$;
revoke all on function queue.requirement(text, text, text) from public;
grant execute on function queue.requirement(text, text, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
