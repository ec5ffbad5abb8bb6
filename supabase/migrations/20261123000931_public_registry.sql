-- public: what changes about an artifact's name, and what a tenant stores.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

-- A person's READY version that says what it was made from is a flow like any other. For the doors of people and of the worker.
create function door.tell_origin(p_tenant uuid, p_artifact uuid, p_version integer)
returns void language plpgsql set search_path = '' as $$
declare
    w artifact.versions;
    v_space text;
    v_name text;
begin
    select v.* into w from artifact.versions v
    where v.tenant_id = p_tenant and v.artifact_id = p_artifact and v.version = p_version and v.state = 'READY' and v.attempt_id is null and v.provenance ? 'inputs';
    if not found then
        return;
    end if;
    select 'control-room://' || t.slug, a.name into v_space, v_name
    from tenancy.tenants t join artifact.artifacts a on a.tenant_id = t.id and a.id = p_artifact where t.id = p_tenant;
    perform lineage.record_all(p_tenant, array[jsonb_build_object('eventType', 'COMPLETE', 'eventTime', to_char(w.finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'producer', 'https://github.com/control-room-api', 'schemaURL', 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
        'run', jsonb_build_object('runId', gen_random_uuid()), 'job', jsonb_build_object('namespace', v_space, 'name', 'uploads/' || v_name),
        'inputs', (select coalesce(jsonb_agg(jsonb_build_object('namespace', v_space || '/artifacts', 'name', i ->> 'name')), '[]') from jsonb_array_elements(w.provenance -> 'inputs') i),
        'outputs', jsonb_build_array(jsonb_build_object('namespace', v_space || '/artifacts', 'name', v_name)))], null, 'artifact');
end
$$;
revoke all on function door.tell_origin(uuid, uuid, integer) from public;
grant execute on function door.tell_origin(uuid, uuid, integer) to app_system;

-- All of it or nothing of it: several aliases change places at once. What an alias means to others is written down, each move.
create function door.update_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    a artifact.artifacts;
    v jsonb;
begin
    perform ground.refuse_unknown(p, array['artifact_id', 'description', 'classification', 'tags', 'aliases']);
    a := artifact.hold(v_member.tenant_id, ground.want_uuid(p, 'artifact_id'));
    if p ? 'description' and jsonb_typeof(p -> 'description') not in ('string', 'null') then
        perform ground.fail('FIELD_INVALID', '$.description', 'description is a text of at most 4000 characters.');
    elsif p ? 'classification' and jsonb_typeof(p -> 'classification') <> 'string' then
        perform ground.fail('FIELD_INVALID', '$.classification', 'classification is internal or confidential.');
    end if;
    perform artifact.check_classification(p ->> 'classification', a.kind);
    if p ?| array['description', 'classification'] then
        update artifact.artifacts x
        set description = case when p ? 'description' then left(p ->> 'description', 4000) else x.description end,
            classification = coalesce(p ->> 'classification', x.classification)
        where x.tenant_id = a.tenant_id and x.id = a.id;
    end if;
    if p ? 'tags' then
        perform artifact.set_tags(a, p -> 'tags');
    end if;
    if p ?| array['description', 'classification', 'tags'] then
        perform audit.append(a.tenant_id, 'artifact.update', 'artifact', a.id::text,
                             jsonb_build_object('fields', (select jsonb_agg(k order by k) from jsonb_object_keys(p - 'artifact_id' - 'aliases') k))
                             || case when p ? 'classification' then jsonb_build_object('classification', jsonb_build_array(a.classification, p -> 'classification')) else '{}' end);
    end if;
    if p ? 'aliases' then
        for v in select m from jsonb_array_elements(artifact.move_aliases(a, p -> 'aliases', v_member.user_id)) m loop
            perform audit.append(a.tenant_id, 'artifact.alias', 'artifact', a.id::text, v);
        end loop;
    end if;
    return door.get_artifact(jsonb_build_object('artifact_id', a.id));
end
$$;
revoke all on function door.update_artifact(jsonb) from public;
grant execute on function door.update_artifact(jsonb) to authenticated;

create function public.update_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.update_artifact($1); end $$;
comment on function public.update_artifact(jsonb) is '{artifact_id, description?, classification?, tags?: {key: value | null}, aliases?: {alias: version | {version, was} | null}} -> the artifact.';
revoke all on function public.update_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.update_artifact(jsonb) to authenticated;

create function door.artifact_usage()
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
begin
    return (select jsonb_build_object('used_bytes', artifact.used(v_member.tenant_id), 'max_stored_bytes', l.max_stored_bytes, 'max_artifact_bytes', l.max_artifact_bytes,
                'artifact_retention_days', l.artifact_retention_days,
                'contents', (select count(*) from artifact.contents c where c.tenant_id = v_member.tenant_id and c.gone_at is null))
            from tenancy.limits l where l.tenant_id = v_member.tenant_id);
end
$$;
revoke all on function door.artifact_usage() from public;
grant execute on function door.artifact_usage() to authenticated;

create function public.artifact_usage(jsonb default '{}')
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.artifact_usage(); end $$;
comment on function public.artifact_usage(jsonb) is '{} -> {used_bytes, max_stored_bytes, max_artifact_bytes, artifact_retention_days, contents}: each content counts once.';
revoke all on function public.artifact_usage(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.artifact_usage(jsonb) to authenticated;

-- ----------------------------------------------------------------------------------------- the sweep

set role app_system;

-- What the holder of a sweep's token is to remove.
create function door.sweep_bytes(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    v jsonb;
begin
    select jsonb_agg(jsonb_build_object('bucket', r.bucket, 'path', r.path) order by r.id) into v from artifact.removals r
    where r.token_hash = sha256(convert_to(p ->> 'token', 'UTF8')) and r.claim_expires_at > clock_timestamp();
    if v is null then
        perform ground.fail('SWEEP_TOKEN_INVALID');
    end if;
    return jsonb_build_object('items', v);
end
$$;
revoke all on function door.sweep_bytes(jsonb) from public;
grant execute on function door.sweep_bytes(jsonb) to anon;

set role app_owner;

create function public.sweep_bytes(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.sweep_bytes($1); end $$;
comment on function public.sweep_bytes(jsonb) is '{token: "crsw_…"} -> {items: [{bucket, path}]}: what a claimed sweep removes; the edge door does it through the Storage API.';
revoke all on function public.sweep_bytes(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.sweep_bytes(jsonb) to anon;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
