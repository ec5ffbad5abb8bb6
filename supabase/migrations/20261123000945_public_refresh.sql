-- public: rollups, and how a table is brought up to date with what it is made of.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_system;

create function door.set_rollup(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    r catalog.rollups := catalog.define_rollup(v_member.tenant_id, v_member.user_id, p);
begin
    perform audit.append(v_member.tenant_id, 'catalog.set_rollup', 'rollup', r.name, p);
    return p || jsonb_build_object('rows', (select a.row_count from catalog.assets a where a.tenant_id = v_member.tenant_id and a.layer = 'gold' and a.name = r.name));
end
$$;
revoke all on function door.set_rollup(jsonb) from public;
grant execute on function door.set_rollup(jsonb) to authenticated;

create function door.delete_rollup(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
begin
    if coalesce(jsonb_typeof(p -> 'table'), '') <> 'string' or not catalog.drop_rollup(v_member.tenant_id, p ->> 'table') then
        perform ground.fail('ROLLUP_NOT_FOUND', left(p ->> 'table', 100));
    end if;
    perform audit.append(v_member.tenant_id, 'catalog.delete_rollup', 'rollup', p ->> 'table');
    return jsonb_build_object('table', p -> 'table', 'deleted', true);
end
$$;
revoke all on function door.delete_rollup(jsonb) from public;
grant execute on function door.delete_rollup(jsonb) to authenticated;

create function door.refresh_plan(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
begin
    return catalog.refresh_plan(v_member.tenant_id, p ->> 'target', coalesce((p ->> 'force')::boolean, false));
end
$$;
revoke all on function door.refresh_plan(jsonb) from public;
grant execute on function door.refresh_plan(jsonb) to app_owner;

set role app_owner;

-- plan -> one run whose tasks are runs of the jobs that are stale, each after those that it reads from: side by side where none waits for the other, and skipped
-- where one before it has failed. Nothing is stale: no run.
create function door.catalog_refresh(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_plan jsonb;
    v_tasks jsonb;
    v_run jsonb := '{}';
begin
    perform ground.refuse_unknown(p, array['target', 'force', 'dry_run', 'callbacks', 'idempotency_key']);
    if coalesce(jsonb_typeof(p -> 'target'), '') <> 'string' or p ->> 'target' !~ '^(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}$' then
        perform ground.fail('FIELD_INVALID', '$.target', 'target is <layer>.<table>, e.g. gold.sales.');
    elsif coalesce(jsonb_typeof(p -> 'force'), 'boolean') <> 'boolean' or coalesce(jsonb_typeof(p -> 'dry_run'), 'boolean') <> 'boolean' then
        perform ground.fail('FIELD_INVALID', '$', 'force and dry_run are true or false.');
    end if;
    v_plan := door.refresh_plan(p);
    select jsonb_agg(jsonb_build_object('task_key', 'job_' || (s ->> 'job_id'), 'run_job', jsonb_build_object('job_id', s -> 'job_id'),
               'depends_on', (select coalesce(jsonb_agg('job_' || a order by a), '[]') from jsonb_array_elements_text(s -> 'after') a
                              where exists (select from jsonb_array_elements(v_plan) x where x ->> 'job_id' = a and (x ->> 'stale')::boolean))) order by o)
    into v_tasks from jsonb_array_elements(v_plan) with ordinality y (s, o) where (s ->> 'stale')::boolean;
    if v_tasks is not null and not coalesce((p ->> 'dry_run')::boolean, false) then
        v_run := door.submit(v_member, jsonb_build_object('name', left('refresh ' || (p ->> 'target'), 128), 'tasks', v_tasks) || (p - array['target', 'force', 'dry_run'])) - 'fresh';
        perform ground.answer_status(202);
        perform audit.append(v_member.tenant_id, 'catalog.refresh', 'run', v_run ->> 'run_id', jsonb_build_object('target', p -> 'target', 'jobs', jsonb_array_length(v_tasks)));
    end if;
    return jsonb_build_object('target', p -> 'target', 'plan', v_plan, 'run_id', null) || v_run;
end
$$;
revoke all on function door.catalog_refresh(jsonb) from public;
grant execute on function door.catalog_refresh(jsonb) to authenticated;

create function public.catalog_refresh(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.catalog_refresh($1); end $$;
comment on function public.catalog_refresh(jsonb) is '{target, force?, dry_run?, callbacks?, idempotency_key?} -> {run_id, plan: [{job_id, job, tables, after, stale, why}]}: the table and all that it is made of, as far as it has changed. run_id null: nothing has.';
revoke all on function public.catalog_refresh(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.catalog_refresh(jsonb) to authenticated;

create function public.set_rollup(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.set_rollup($1); end $$;
comment on function public.set_rollup(jsonb) is '{table, source, by, measures: [{name, fn: count | sum | min | max, column?}], where?}: a table of gold that is the sums of another, kept with each publication of that.';
revoke all on function public.set_rollup(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.set_rollup(jsonb) to authenticated;

create function public.delete_rollup(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_rollup($1); end $$;
comment on function public.delete_rollup(jsonb) is '{table}: the rollup and its table of gold are no more.';
revoke all on function public.delete_rollup(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_rollup(jsonb) to authenticated;

create function public.list_rollups(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('operator')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_after bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 0 end;
    v_items jsonb;
    v_last bigint;
begin
    select coalesce(jsonb_agg(jsonb_build_object('table', x.name, 'source', x.source_layer || '.' || x.source_table, 'by', x.keys, 'measures', x.measures, 'where', x.said,
               'created_by', x.created_by, 'created_at', x.created_at) order by x.id), '[]'), max(x.id)
    into v_items, v_last from (select r.* from catalog.rollups r where r.tenant_id = v_tenant and r.id > v_after order by r.id limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.list_rollups(jsonb) is '{limit?, cursor?} -> rollups with their definitions.';
revoke all on function public.list_rollups(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_rollups(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
