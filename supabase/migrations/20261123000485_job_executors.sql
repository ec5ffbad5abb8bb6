-- job, ninth part: how many executors a task asks for, where one place is too small for its rows.

grant app_owner, app_system to postgres;
set role app_owner;

-- Each of them is as large as the task's own place, so the limit is the tenant's and the operator's to raise.
create function job.check_executors(p_tenant uuid, p_job_type text, p_engine text, p jsonb, p_path text)
returns integer language plpgsql stable set search_path = '' as $$
begin
    if p_job_type <> 'spark_etl' or p_engine <> 'spark' then
        perform ground.fail('FIELD_INVALID', p_path || '.executors', 'executors are Spark''s: job_type spark_etl with engine spark has some.');
    end if;
    return job.check_integer(p, 'executors', p_path, 1, (select l.max_executors from tenancy.limits l where l.tenant_id = p_tenant), null, 'EXECUTORS_OUT_OF_RANGE');
end
$$;
revoke all on function job.check_executors(uuid, text, text, jsonb, text) from public;
grant execute on function job.check_executors(uuid, text, text, jsonb, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
