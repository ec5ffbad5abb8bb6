-- public: what did not succeed is done again.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

create function door.repair_run(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_run bigint := ground.want_id(p, 'run_id');
    v_tasks text[];
    v queue.repairs;
begin
    perform ground.refuse_unknown(p, array['run_id', 'rerun_tasks', 'rerun_all_failed', 'rerun_dependents', 'params', 'latest_repair_id']);
    if exists (select from jsonb_array_elements(job.check_array(p, 'rerun_tasks', '$', 1000)) x where jsonb_typeof(x) <> 'string') then
        perform ground.fail('FIELD_INVALID', '$.rerun_tasks', 'rerun_tasks are task keys.');
    end if;
    v_tasks := array(select jsonb_array_elements_text(job.check_array(p, 'rerun_tasks', '$', 1000)));
    v := queue.repair(v_member.tenant_id, v_member.user_id, v_run,
        job.check_integer(p, 'latest_repair_id', '$', 1, 999999999999999, null), v_tasks,
        job.check_boolean(p, 'rerun_all_failed', '$', v_tasks = '{}'), job.check_boolean(p, 'rerun_dependents', '$', true),
        job.check_parameters(p, 'params', true));
    perform callback.relay();
    perform audit.append(v_member.tenant_id, 'run.repair', 'run', v_run::text, jsonb_build_object('repair_id', v.id, 'tasks', v.task_keys));
    perform ground.answer_status(202);
    return (select jsonb_build_object('run_id', r.id, 'repair_id', v.id, 'number', v.number, 'tasks', v.task_keys, 'state', r.state)
            from queue.runs r where r.tenant_id = v_member.tenant_id and r.id = v_run);
end
$$;
revoke all on function door.repair_run(jsonb) from public;
grant execute on function door.repair_run(jsonb) to authenticated;

create function public.repair_run(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.repair_run($1); end $$;
comment on function public.repair_run(jsonb) is '{run_id, rerun_tasks? | rerun_all_failed?, rerun_dependents?, params?, latest_repair_id?} -> {repair_id, number, tasks, state}. Without a choice: all that did not succeed.';
revoke all on function public.repair_run(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.repair_run(jsonb) to authenticated;

create function door.rerun_run(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_run bigint := ground.want_id(p, 'run_id');
    s record;
begin
    perform ground.refuse_unknown(p, array['run_id', 'from_task', 'idempotency_key']);
    if coalesce(jsonb_typeof(p -> 'from_task'), 'null') not in ('string', 'null') then
        perform ground.fail('FIELD_INVALID', '$.from_task', 'from_task is a task key.');
    end if;
    perform job.check_key(p);
    select * into s from queue.rerun(v_member.tenant_id, v_member.user_id, v_run, p ->> 'from_task', p ->> 'idempotency_key');
    if s.fresh then
        insert into callback.subscriptions (tenant_id, run_id, type, endpoint_id)
        select x.tenant_id, s.run_id, x.type, x.endpoint_id from callback.subscriptions x where x.tenant_id = v_member.tenant_id and x.run_id = v_run;
        perform callback.relay();
        perform audit.append(v_member.tenant_id, 'run.rerun', 'run', s.run_id::text, jsonb_build_object('rerun_of', v_run, 'from_task', p -> 'from_task'));
    end if;
    perform ground.answer_status(case when s.fresh then 202 else 200 end);
    return jsonb_build_object('run_id', s.run_id, 'state', s.state, 'rerun_of', v_run, 'reused', s.reused, 'url', '/functions/v1/api/v1/runs/' || s.run_id);
end
$$;
revoke all on function door.rerun_run(jsonb) from public;
grant execute on function door.rerun_run(jsonb) to authenticated;

create function public.rerun_run(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.rerun_run($1); end $$;
comment on function public.rerun_run(jsonb) is '{run_id, from_task?, idempotency_key?} -> {run_id, state, url, reused}: a new run of the same version and parameters; what succeeded and is not after from_task is taken over.';
revoke all on function public.rerun_run(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.rerun_run(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
