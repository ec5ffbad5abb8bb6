-- public: artifacts.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;

create function door.create_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    w artifact.versions;
begin
    perform ground.refuse_unknown(p, array['name', 'kind', 'size', 'sha256', 'content_type', 'description', 'classification', 'inputs']);
    if jsonb_typeof(p -> 'size') is distinct from 'number' or p ->> 'size' !~ '^[0-9]{1,15}$' then
        perform ground.fail('FIELD_INVALID', '$.size', 'size must be the number of bytes.');
    end if;
    w := artifact.open_version(v_member.tenant_id, v_member.user_id, p ->> 'name', p ->> 'kind', (p ->> 'size')::bigint, p ->> 'sha256',
                               left(p ->> 'content_type', 200), left(p ->> 'description', 4000), p ->> 'classification',
                               case when p ? 'inputs' then jsonb_build_object('inputs', artifact.check_inputs(v_member.tenant_id, p -> 'inputs')) else '{}' end);
    perform audit.append(v_member.tenant_id, 'artifact.create', 'artifact', w.artifact_id::text, jsonb_build_object('version', w.version, 'size', w.size));
    if w.state = 'READY' then
        perform door.tell_origin(w.tenant_id, w.artifact_id, w.version);
    end if;
    perform ground.answer_status(201);
    return jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'state', w.state, 'bucket', 'artifacts', 'path', w.path, 'size', w.size);
end
$$;
revoke all on function door.create_artifact(jsonb) from public;
grant execute on function door.create_artifact(jsonb) to authenticated;

create function public.create_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.create_artifact($1); end $$;
comment on function public.create_artifact(jsonb) is '{name, kind, size, sha256?, content_type?, description?, classification?, inputs?} -> {artifact_id, version, state, bucket, path}; put the bytes there, then complete_artifact. READY: the tenant has these bytes.';
revoke all on function public.create_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.create_artifact(jsonb) to authenticated;

create function door.complete_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('operator');
    w artifact.versions;
begin
    select v.* into w from artifact.versions v
    where v.tenant_id = v_member.tenant_id and v.artifact_id = ground.want_uuid(p, 'artifact_id')
      and (not p ? 'version' or v.version = ground.want_id(p, 'version'))
    order by v.version desc limit 1 for update;
    if not found then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    elsif w.state = 'PENDING' and w.uploaded_at is null then
        update artifact.versions v set uploaded_at = now() where v.tenant_id = w.tenant_id and v.artifact_id = w.artifact_id and v.version = w.version;
        perform ground.wake('control_room_uploads');
        perform audit.append(w.tenant_id, 'artifact.complete', 'artifact', w.artifact_id::text, jsonb_build_object('version', w.version));
    end if;
    perform ground.answer_status(202);
    return jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'state', w.state);
end
$$;
revoke all on function door.complete_artifact(jsonb) from public;
grant execute on function door.complete_artifact(jsonb) to authenticated;

create function public.complete_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.complete_artifact($1); end $$;
comment on function public.complete_artifact(jsonb) is '{artifact_id, version?}: the bytes are there; the runner checks them: PENDING -> READY | REFUSED.';
revoke all on function public.complete_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.complete_artifact(jsonb) to authenticated;

create function door.get_artifact(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_before integer := case when p ->> 'cursor' is not null then least(ground.want_id(p, 'cursor'), 2147483647) else 2147483647 end::integer;
    v_versions jsonb;
    v jsonb;
begin
    select coalesce(jsonb_agg(artifact.told(w) order by w.version desc), '[]') into v_versions
    from (select x.* from artifact.versions x where x.tenant_id = v_member.tenant_id and x.artifact_id = ground.want_uuid(p, 'artifact_id') and x.version < v_before
          order by x.version desc limit v_limit) w;
    select jsonb_build_object('artifact_id', a.id, 'name', a.name, 'kind', a.kind, 'description', a.description, 'classification', a.classification,
        'created_by', a.created_by, 'created_at', a.created_at, 'latest_version', a.latest_version,
        'versions', v_versions, 'next', case when jsonb_array_length(v_versions) = v_limit then v_versions -> -1 -> 'version' end,
        'aliases', (select coalesce(jsonb_object_agg(x.alias, x.version), '{}') from artifact.aliases x where x.tenant_id = a.tenant_id and x.artifact_id = a.id),
        'tags', (select coalesce(jsonb_object_agg(x.key, x.value), '{}') from artifact.tags x where x.tenant_id = a.tenant_id and x.artifact_id = a.id),
        'node_id', 'dataset:control-room://' || (select t.slug from tenancy.tenants t where t.id = a.tenant_id) || '/artifacts:' || a.name)
    into v from artifact.artifacts a
    where a.tenant_id = v_member.tenant_id and a.id = ground.want_uuid(p, 'artifact_id') and a.deleted_at is null;
    if v is null then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    end if;
    return v;
end
$$;
revoke all on function door.get_artifact(jsonb) from public;
grant execute on function door.get_artifact(jsonb) to authenticated;

create function public.get_artifact(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.get_artifact($1); end $$;
comment on function public.get_artifact(jsonb) is '{artifact_id, limit?, cursor?} -> the artifact with its aliases, tags and newest versions; next: where older ones follow.';
revoke all on function public.get_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.get_artifact(jsonb) to authenticated;

create function door.list_artifacts(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    v_limit integer := ground.page_limit(p);
    v_items jsonb;
begin
    select coalesce(jsonb_agg(x.item order by x.name), '[]') into v_items from (
        select a.name, jsonb_build_object('artifact_id', a.id, 'name', a.name, 'kind', a.kind, 'classification', a.classification, 'version', w.version, 'state', w.state,
                   'size', w.size, 'sha256', w.sha256, 'run_id', w.run_id, 'created_at', w.created_at,
                   'aliases', (select coalesce(jsonb_object_agg(l.alias, l.version), '{}') from artifact.aliases l where l.tenant_id = a.tenant_id and l.artifact_id = a.id)) as item
        from artifact.artifacts a
        cross join lateral (select v.* from artifact.versions v where v.tenant_id = a.tenant_id and v.artifact_id = a.id
                              and (not p ? 'run_id' or v.run_id = ground.want_id(p, 'run_id')) and (not p ? 'sha256' or v.sha256::text = p ->> 'sha256')
                            order by v.version desc limit 1) w
        where a.tenant_id = v_member.tenant_id and a.deleted_at is null
          and (not p ? 'name' or a.name = p ->> 'name') and (not p ? 'kind' or a.kind::text = p ->> 'kind')
          and (not p ? 'tag' or exists (select from artifact.tags t where t.tenant_id = a.tenant_id and t.artifact_id = a.id
                                        and p ->> 'tag' in (t.key::text, t.key || '=' || t.value)))
          and (p ->> 'cursor' is null or a.name > p ->> 'cursor')
        order by a.name limit v_limit) x;
    return jsonb_build_object('items', v_items, 'next', case when jsonb_array_length(v_items) = v_limit then v_items -> -1 ->> 'name' end);
end
$$;
revoke all on function door.list_artifacts(jsonb) from public;
grant execute on function door.list_artifacts(jsonb) to authenticated;

create function public.list_artifacts(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.list_artifacts($1); end $$;
comment on function public.list_artifacts(jsonb) is '{name?, kind?, run_id?, sha256?, tag? (key or key=value), limit?, cursor?} -> {items, next} with the newest version of each.';
revoke all on function public.list_artifacts(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.list_artifacts(jsonb) to authenticated;

-- Where the bytes of a READY version lie, for the edge function to sign.
create function door.artifact_download(p jsonb)
returns jsonb language plpgsql stable security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('viewer');
    a artifact.artifacts;
    v_version integer := job.check_integer(p, 'version', '$', 1, 2147483647, null)::integer;
    w artifact.versions;
begin
    select x.* into a from artifact.artifacts x
    where x.tenant_id = v_member.tenant_id and x.id = ground.want_uuid(p, 'artifact_id') and x.deleted_at is null;
    if not found then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    elsif a.classification <> 'internal' then
        perform tenancy.require('operator');  -- the bytes are confidential, the metadata is not
    end if;
    if p ? 'alias' then
        if p ? 'version' then
            perform ground.fail('FIELD_INVALID', '$.alias', 'a download names a version or an alias, not both.');
        end if;
        select x.version into v_version from artifact.aliases x where x.tenant_id = a.tenant_id and x.artifact_id = a.id and x.alias::text = p ->> 'alias';
        if not found then
            perform ground.fail('ALIAS_NOT_FOUND', left(p ->> 'alias', 64));
        end if;
    end if;
    w := artifact.ready_version(a.tenant_id, a.id, v_version);
    if w.path is null then
        perform ground.fail(case when exists (select from artifact.versions v where v.tenant_id = a.tenant_id and v.artifact_id = a.id and v.state = 'READY'
                                                and (v_version is null or v.version = v_version))
                                 then 'ARTIFACT_BYTES_GONE' else 'ARTIFACT_NOT_READY' end);
    end if;
    return jsonb_build_object('bucket', 'artifacts', 'path', w.path, 'filename', regexp_replace(a.name, '^.*/', ''), 'version', w.version,
                              'size', w.size, 'sha256', w.sha256, 'content_type', w.content_type);
end
$$;
revoke all on function door.artifact_download(jsonb) from public;
grant execute on function door.artifact_download(jsonb) to authenticated;

create function public.artifact_download(jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$ begin return door.artifact_download($1); end $$;
comment on function public.artifact_download(jsonb) is '{artifact_id, version? | alias?} -> where the bytes of the newest READY version, or of the one named, lie; the edge door signs it.';
revoke all on function public.artifact_download(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.artifact_download(jsonb) to authenticated;

create function door.delete_artifact(p jsonb)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_member tenancy.membership := tenancy.require('admin');
begin
    update artifact.artifacts a set deleted_at = now(), deleted_by = v_member.user_id
    where a.tenant_id = v_member.tenant_id and a.id = ground.want_uuid(p, 'artifact_id') and a.deleted_at is null;
    if not found then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    end if;
    perform audit.append(v_member.tenant_id, 'artifact.delete', 'artifact', p ->> 'artifact_id');
    return jsonb_build_object('artifact_id', p ->> 'artifact_id', 'deleted', true);
end
$$;
revoke all on function door.delete_artifact(jsonb) from public;
grant execute on function door.delete_artifact(jsonb) to authenticated;

create function public.delete_artifact(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.delete_artifact($1); end $$;
comment on function public.delete_artifact(jsonb) is '{artifact_id}: soft, admins only, audited; lineage stays.';
revoke all on function public.delete_artifact(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.delete_artifact(jsonb) to authenticated;

set role postgres;
revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
