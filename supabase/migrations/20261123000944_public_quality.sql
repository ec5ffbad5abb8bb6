-- public: how good and how fresh the layers' data are: what is expected of them, what was found, what was set aside.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- A table of a layer out of {layer, table}, or the listed error.
create function door.want_table(p jsonb)
returns void language plpgsql stable set search_path = '' as $$
begin
    if not coalesce(p ->> 'layer' in ('bronze', 'silver', 'gold'), false) then
        perform ground.fail('FIELD_INVALID', '$.layer', 'layer is bronze, silver or gold.');
    elsif coalesce(jsonb_typeof(p -> 'table'), '') <> 'string' or p ->> 'table' !~ '^[a-z_][a-z0-9_]{0,62}$' then
        perform ground.fail('FIELD_INVALID', '$.table', 'table is a plain lower-case name.');
    end if;
end
$$;
revoke all on function door.want_table(jsonb) from public;
grant execute on function door.want_table(jsonb) to authenticated, app_system;

-- ---------------------------------------------------------------------------------------- freshness

create function door.set_freshness(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_warn interval;
    v_error interval;
    v_id bigint;
begin
    perform ground.refuse_unknown(p, array['name', 'warn_after', 'error_after']);
    v_warn := catalog.period_of(p -> 'warn_after', '$.warn_after');
    v_error := catalog.period_of(p -> 'error_after', '$.error_after');
    if v_warn >= v_error then
        perform ground.fail('FIELD_INVALID', '$.warn_after', 'A warning comes before the error.');
    end if;
    select o.id into v_id from catalog.objects o
    where o.tenant_id = v_member.tenant_id and o.id = catalog.find_object(v_member.tenant_id, catalog.parts_of(p ->> 'name')) and o.kind in ('table', 'schema');
    if v_id is null then
        perform ground.fail('OBJECT_NOT_FOUND', left(p ->> 'name', 200), 'The tenant''s catalog has no such table or schema.');
    end if;
    if v_warn is null and v_error is null then
        delete from catalog.freshness f where f.tenant_id = v_member.tenant_id and f.object_id = v_id;
    else
        insert into catalog.freshness as f (tenant_id, object_id, warn_after, error_after, set_by) values (v_member.tenant_id, v_id, v_warn, v_error, v_member.user_id)
        on conflict (tenant_id, object_id) do update set warn_after = excluded.warn_after, error_after = excluded.error_after, set_by = excluded.set_by, set_at = clock_timestamp();
    end if;
    perform audit.append(v_member.tenant_id, 'catalog.set_freshness', 'object', left(p ->> 'name', 200), p - 'name');
    return jsonb_build_object('name', p -> 'name', 'warn_after', catalog.as_period(v_warn), 'error_after', catalog.as_period(v_error));
end
$$;
revoke all on function door.set_freshness(jsonb) from public;
grant execute on function door.set_freshness(jsonb) to authenticated;

create function public.set_freshness(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.set_freshness($1); end $$;
comment on function public.set_freshness(jsonb) is '{name, warn_after?, error_after?}, each {count, period: minute | hour | day}: how old data of a table, or of each table of a schema, may be; neither: any age.';
revoke all on function public.set_freshness(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.set_freshness(jsonb) to authenticated;

create function public.list_freshness(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_after bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 0 end;
    v_scope bigint;
    v_items jsonb;
    v_last bigint;
begin
    perform ground.refuse_unknown($1, array['in', 'status', 'limit', 'cursor']);
    if $1 ->> 'status' <> all (array['pass', 'warn', 'error']) then
        perform ground.fail('FIELD_INVALID', '$.status', 'status is pass, warn or error.');
    elsif $1 ->> 'in' is not null then
        v_scope := catalog.find_object(v_tenant, catalog.parts_of($1 ->> 'in', '$.in'));
        if v_scope is null then
            perform ground.fail('OBJECT_NOT_FOUND', left($1 ->> 'in', 200));
        end if;
    end if;
    select coalesce(jsonb_agg(jsonb_build_object('name', catalog.full_name(x.path), 'status', x.status, 'loaded_at', x.loaded_at, 'checked_at', x.checked_at,
               'age_seconds', floor(extract(epoch from x.age)), 'warn_after', catalog.as_period(x.warn_after), 'error_after', catalog.as_period(x.error_after),
               'inherited', x.rule_of <> x.object_id) order by x.object_id), '[]'), max(x.object_id)
    into v_items, v_last
    from (select f.* from catalog.freshness_of(v_tenant, v_scope) f where f.object_id > v_after and ($1 ->> 'status' is null or f.status = $1 ->> 'status') order by f.object_id limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.list_freshness(jsonb) is '{in?, status?, limit?, cursor?} -> tables that have a rule: {name, status: pass | warn | error, loaded_at, checked_at, age_seconds, …}; never loaded is an error.';
revoke all on function public.list_freshness(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_freshness(jsonb) to authenticated;

create function public.list_layers(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
begin
    return (
        select jsonb_build_object('next', null, 'items', jsonb_agg(jsonb_build_object('layer', l.layer, 'name', 'main.' || l.layer, 'tables', a.tables, 'rows', a.rows, 'confidential', a.confidential,
            'freshness', (select jsonb_object_agg(s.status, (select count(*) from catalog.freshness_of(v_tenant, o.id) f where f.status = s.status)) from unnest(array['pass', 'warn', 'error']) s (status)),
            'never_reads', (select coalesce(jsonb_agg(r.source order by r.source), '[]') from catalog.forbidden_flows(v_tenant) r where r.reader = l.layer::text)) order by l.layer))
        from unnest(enum_range(null::catalog.layer)) l (layer)
        left join catalog.objects o on o.tenant_id = v_tenant and o.key = catalog.key_of('schema', array['main', l.layer::text])
        cross join lateral (select count(*) as tables, coalesce(sum(x.row_count), 0) as rows, count(*) filter (where x.classification = 'confidential') as confidential
                            from catalog.assets x where x.tenant_id = v_tenant and x.layer = l.layer) a);
end
$$;
comment on function public.list_layers(jsonb) is '{} -> bronze, silver and gold: {layer, name, tables, rows, confidential, freshness, never_reads}.';
revoke all on function public.list_layers(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_layers(jsonb) to authenticated;

-- -------------------------------------------------------------------------------------- expectations

set role app_system;

create function door.set_expectation(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_condition text;
    v_id bigint;
begin
    perform ground.refuse_unknown(p, array['layer', 'table', 'name', 'kind', 'action', 'definition']);
    perform door.want_table(p);
    if coalesce(jsonb_typeof(p -> 'name'), '') <> 'string' or p ->> 'name' !~ '^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$' then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is a plain name of at most 128 characters.');
    elsif not coalesce(p ->> 'kind' = any (enum_range(null::catalog.expectation_kind)::text[]), false) then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind is one of ' || array_to_string(enum_range(null::catalog.expectation_kind), ', ') || '.');
    elsif not coalesce(p ->> 'action' = any (enum_range(null::catalog.expectation_action)::text[]), false) then
        perform ground.fail('FIELD_INVALID', '$.action', 'action is warn, drop, quarantine or fail.');
    elsif p ->> 'kind' in ('unique', 'row_count') and p ->> 'action' in ('drop', 'quarantine') then
        perform ground.fail('FIELD_INVALID', '$.action', 'Of all rows together none can be taken out: action is warn or fail.');
    end if;
    v_condition := catalog.expectation_condition((p ->> 'kind')::catalog.expectation_kind, p -> 'definition');
    perform catalog.try_expectation(v_member.tenant_id, p ->> 'layer', p ->> 'table', coalesce(v_condition,
        (select string_agg(format('%I is not null', c), ' and ') from jsonb_array_elements_text(case p ->> 'kind' when 'unique' then p #> '{definition,columns}' else '[]' end) c)));
    -- made anew, not changed: verdicts that are there were on another
    delete from catalog.expectations e
    where e.tenant_id = v_member.tenant_id and e.layer::text = p ->> 'layer' and e.table_name = p ->> 'table' and e.name = p ->> 'name';
    insert into catalog.expectations as e (tenant_id, layer, table_name, name, kind, action, definition, condition, created_by)
    values (v_member.tenant_id, (p ->> 'layer')::catalog.layer, p ->> 'table', p ->> 'name', (p ->> 'kind')::catalog.expectation_kind, (p ->> 'action')::catalog.expectation_action,
            p -> 'definition', v_condition, v_member.user_id)
    returning e.id into v_id;
    perform audit.append(v_member.tenant_id, 'catalog.set_expectation', 'expectation', v_id::text, p);
    return jsonb_build_object('expectation_id', v_id) || p;
end
$$;
revoke all on function door.set_expectation(jsonb) from public;
grant execute on function door.set_expectation(jsonb) to authenticated;

create function door.delete_expectation(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    v_id bigint := ground.want_id(p, 'expectation_id');
begin
    delete from catalog.expectations e where e.tenant_id = v_member.tenant_id and e.id = v_id;
    if not found then
        perform ground.fail('EXPECTATION_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'catalog.delete_expectation', 'expectation', v_id::text);
    return jsonb_build_object('expectation_id', v_id, 'deleted', true);
end
$$;
revoke all on function door.delete_expectation(jsonb) from public;
grant execute on function door.delete_expectation(jsonb) to authenticated;

set role app_owner;

create function public.set_expectation(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.set_expectation($1); end $$;
comment on function public.set_expectation(jsonb) is '{layer, table, name, kind, action, definition}: what rows of a table have to be; one of that name is replaced.';
revoke all on function public.set_expectation(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.set_expectation(jsonb) to authenticated;

create function public.delete_expectation(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_expectation($1); end $$;
comment on function public.delete_expectation(jsonb) is '{expectation_id}: nothing of that kind is expected any more.';
revoke all on function public.delete_expectation(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_expectation(jsonb) to authenticated;

-- Read as the caller, here and below. Definitions are source: operators read them.
create function public.list_expectations(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('operator')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_after bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 0 end;
    v_items jsonb;
    v_last bigint;
begin
    perform ground.refuse_unknown($1, array['layer', 'table', 'limit', 'cursor']);
    select coalesce(jsonb_agg(jsonb_build_object('expectation_id', x.id, 'layer', x.layer, 'table', x.table_name, 'name', x.name, 'kind', x.kind, 'action', x.action, 'definition', x.definition,
               'created_by', x.created_by, 'created_at', x.created_at) order by x.id), '[]'), max(x.id)
    into v_items, v_last
    from (select e.* from catalog.expectations e
          where e.tenant_id = v_tenant and e.id > v_after and ($1 ->> 'layer' is null or e.layer::text = $1 ->> 'layer') and ($1 ->> 'table' is null or e.table_name = $1 ->> 'table')
          order by e.id limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.list_expectations(jsonb) is '{layer?, table?, limit?, cursor?} -> what is expected of tables.';
revoke all on function public.list_expectations(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_expectations(jsonb) to authenticated;

create function public.list_verdicts(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('viewer')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_before bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') end;
    v_run bigint := case when $1 ->> 'run_id' is not null then ground.want_id($1, 'run_id') end;
    v_items jsonb;
    v_last bigint;
begin
    perform ground.refuse_unknown($1, array['run_id', 'layer', 'table', 'limit', 'cursor']);
    select coalesce(jsonb_agg(to_jsonb(x) - array['tenant_id', 'id', 'table_name'] || jsonb_build_object('table', x.table_name) order by x.id desc), '[]'), min(x.id)
    into v_items, v_last
    from (select v.* from catalog.verdicts v
          where v.tenant_id = v_tenant and (v_before is null or v.id < v_before) and (v_run is null or v.run_id = v_run)
            and ($1 ->> 'layer' is null or v.layer::text = $1 ->> 'layer') and ($1 ->> 'table' is null or v.table_name = $1 ->> 'table')
          order by v.id desc limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.list_verdicts(jsonb) is '{run_id?, layer?, table?, limit?, cursor?} -> what publications were found to be, newest first: {name, action, success, loaded, failed, …}.';
revoke all on function public.list_verdicts(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_verdicts(jsonb) to authenticated;

create function public.list_quarantine(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v_tenant uuid := (tenancy.require('operator')).tenant_id;
    v_limit integer := ground.page_limit($1);
    v_after bigint := case when $1 ->> 'cursor' is not null then ground.want_id($1, 'cursor') else 0 end;
    v_run bigint := case when $1 ->> 'run_id' is not null then ground.want_id($1, 'run_id') end;
    v_items jsonb;
    v_last bigint;
begin
    perform ground.refuse_unknown($1, array['run_id', 'layer', 'table', 'limit', 'cursor']);
    select coalesce(jsonb_agg(jsonb_build_object('run_id', x.run_id, 'layer', x.layer, 'table', x.table_name, 'expectations', x.expectations, 'row', x.content, 'set_aside_at', x.set_aside_at) order by x.id), '[]'), max(x.id)
    into v_items, v_last
    from (select q.* from catalog.quarantine q
          where q.tenant_id = v_tenant and q.id > v_after and (v_run is null or q.run_id = v_run)
            and ($1 ->> 'layer' is null or q.layer::text = $1 ->> 'layer') and ($1 ->> 'table' is null or q.table_name = $1 ->> 'table')
          order by q.id limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_last::text end);
end
$$;
comment on function public.list_quarantine(jsonb) is '{run_id?, layer?, table?, limit?, cursor?} -> rows that were set aside: {row, expectations, run_id, …}.';
revoke all on function public.list_quarantine(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_quarantine(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
