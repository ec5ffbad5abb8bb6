-- artifact, third part: what may change about a name: its description, who may read it, its tags, and where its aliases point. A
-- change is one statement's worth of work under the artifact's lock, so that several aliases move at once or not at all.

grant app_owner, app_system to postgres;
set role app_owner;

create function artifact.hold(p_tenant uuid, p_artifact uuid)
returns artifact.artifacts language plpgsql set search_path = '' as $$
declare
    a artifact.artifacts;
begin
    select x.* into a from artifact.artifacts x where x.tenant_id = p_tenant and x.id = p_artifact and x.deleted_at is null for update;
    if not found then
        perform ground.fail('ARTIFACT_NOT_FOUND');
    end if;
    return a;
end
$$;
revoke all on function artifact.hold(uuid, uuid) from public;

-- {key: value | null}: null takes a tag away.
create function artifact.set_tags(a artifact.artifacts, p_tags jsonb)
returns void language plpgsql set search_path = '' as $$
declare
    v record;
begin
    if jsonb_typeof(p_tags) <> 'object' then
        perform ground.fail('FIELD_INVALID', '$.tags', 'tags is an object of texts.');
    end if;
    for v in select t.key, p_tags -> t.key as value from jsonb_object_keys(p_tags) t (key) order by 1 loop
        if v.key !~ '^[A-Za-z0-9][A-Za-z0-9._ -]{0,127}$' then
            perform ground.fail('FIELD_INVALID', '$.tags.' || left(v.key, 64), 'a key is 1 to 128 letters, digits, dots, dashes, underscores and spaces.');
        elsif jsonb_typeof(v.value) = 'null' then
            delete from artifact.tags t where t.tenant_id = a.tenant_id and t.artifact_id = a.id and t.key::text = v.key;
        elsif jsonb_typeof(v.value) <> 'string' or length(v.value #>> '{}') > 1000 then
            perform ground.fail('FIELD_INVALID', '$.tags.' || v.key, 'a tag is a text of at most 1000 characters.');
        else
            insert into artifact.tags as t (tenant_id, artifact_id, key, value) values (a.tenant_id, a.id, v.key, v.value #>> '{}')
            on conflict (tenant_id, artifact_id, key) do update set value = excluded.value;
        end if;
    end loop;
    if (select count(*) from artifact.tags t where t.tenant_id = a.tenant_id and t.artifact_id = a.id) > 100 then
        perform ground.fail('FIELD_INVALID', '$.tags', 'an artifact has at most 100 tags.');
    end if;
end
$$;
revoke all on function artifact.set_tags(artifact.artifacts, jsonb) from public;

-- {alias: version | {version, was} | null}: null takes an alias away; `was` (a version, or null for none) moves it only from there.
-- The moves that changed something: [{alias, from, to}].
create function artifact.move_aliases(a artifact.artifacts, p_aliases jsonb, p_user text)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v record;
    v_path text;
    v_from integer;
    v_to integer;
    v_moves jsonb := '[]';
begin
    if jsonb_typeof(p_aliases) <> 'object' then
        perform ground.fail('FIELD_INVALID', '$.aliases', 'aliases is an object of versions.');
    end if;
    for v in select t.key, p_aliases -> t.key as value, jsonb_typeof(p_aliases -> t.key) as type from jsonb_object_keys(p_aliases) t (key) order by 1 loop
        v_path := '$.aliases.' || left(v.key, 64);
        if v.key !~ '^[a-z][a-z0-9_]{0,40}$' or v.key = 'latest' then
            perform ground.fail('FIELD_INVALID', v_path, 'an alias is [a-z][a-z0-9_]{0,40}, and not latest.');
        elsif v.type = 'object' then
            perform ground.refuse_unknown(v.value, array['version', 'was'], v_path);
        elsif v.type not in ('number', 'null') then
            perform ground.fail('FIELD_INVALID', v_path, 'an alias points to the number of a version, or is null.');
        end if;
        v_to := artifact.version_number(case when v.type = 'object' then v.value -> 'version' else v.value end, v_path);
        select x.version into v_from from artifact.aliases x where x.tenant_id = a.tenant_id and x.artifact_id = a.id and x.alias::text = v.key;
        if v.type = 'object' and v.value ? 'was' and artifact.version_number(v.value -> 'was', v_path || '.was') is distinct from v_from then
            perform ground.fail('ALIAS_MOVED', format('%s points to %s', v.key, coalesce('version ' || v_from, 'nothing')));
        end if;
        if v_to is null then
            delete from artifact.aliases x where x.tenant_id = a.tenant_id and x.artifact_id = a.id and x.alias::text = v.key;
        else
            perform from artifact.versions w where w.tenant_id = a.tenant_id and w.artifact_id = a.id and w.version = v_to and w.state = 'READY';
            if not found then
                perform ground.fail('ARTIFACT_NOT_READY', v_path, format('Version %s is not READY.', v_to));
            end if;
            insert into artifact.aliases as x (tenant_id, artifact_id, alias, version, moved_by) values (a.tenant_id, a.id, v.key, v_to, p_user)
            on conflict (tenant_id, artifact_id, alias) do update set version = excluded.version, moved_by = excluded.moved_by, moved_at = clock_timestamp()
            where x.version <> excluded.version;
        end if;
        if v_from is distinct from v_to then
            v_moves := v_moves || jsonb_build_array(jsonb_build_object('alias', v.key, 'from', v_from, 'to', v_to));
        end if;
        v_from := null;
    end loop;
    if (select count(*) from artifact.aliases x where x.tenant_id = a.tenant_id and x.artifact_id = a.id) > 50 then
        perform ground.fail('FIELD_INVALID', '$.aliases', 'an artifact has at most 50 aliases.');
    end if;
    return v_moves;
end
$$;
revoke all on function artifact.move_aliases(artifact.artifacts, jsonb, text) from public;

create function artifact.version_number(p jsonb, p_path text)
returns integer language plpgsql stable set search_path = '' as $$
begin
    if p is null or jsonb_typeof(p) = 'null' then
        return null;
    elsif jsonb_typeof(p) <> 'number' or p #>> '{}' !~ '^[1-9][0-9]{0,8}$' then
        perform ground.fail('FIELD_INVALID', p_path, 'a version is a whole number from 1.');
    end if;
    return (p #>> '{}')::integer;
end
$$;
revoke all on function artifact.version_number(jsonb, text) from public;

-- What an artifact says that it was made from, as it is kept: versions that are there, by number and digest.
create function artifact.check_inputs(p_tenant uuid, p_inputs jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v record;
    w artifact.versions;
    v_path text;
    v_done jsonb := '[]';
begin
    if jsonb_typeof(p_inputs) <> 'array' or jsonb_array_length(p_inputs) > 100 then
        perform ground.fail('FIELD_INVALID', '$.inputs', 'inputs is an array of at most 100 artifacts.');
    end if;
    for v in select i, ord - 1 as place from jsonb_array_elements(p_inputs) with ordinality x (i, ord) order by ord loop
        v_path := format('$.inputs[%s]', v.place);
        perform ground.refuse_unknown(v.i, array['artifact_id', 'version'], v_path);
        w := artifact.ready_version(p_tenant, ground.want_uuid(v.i, 'artifact_id', v_path), artifact.version_number(v.i -> 'version', v_path || '.version'));
        if w.path is null then
            perform ground.fail('INPUT_NOT_FOUND', v_path || '.artifact_id');
        end if;
        v_done := v_done || jsonb_build_array(artifact.named(w));
    end loop;
    return v_done;
end
$$;
revoke all on function artifact.check_inputs(uuid, jsonb) from public;

-- How a version is named in the provenance of another.
create function artifact.named(w artifact.versions)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'name', a.name, 'sha256', w.sha256)
    from artifact.artifacts a where a.tenant_id = w.tenant_id and a.id = w.artifact_id
$$;
revoke all on function artifact.named(artifact.versions) from public;
grant execute on function artifact.named(artifact.versions) to app_system;

-- A version as people see it.
create function artifact.told(w artifact.versions)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('version', w.version, 'state', w.state, 'size', w.size, 'sha256', w.sha256, 'content_type', w.content_type, 'run_id', w.run_id,
               'provenance', w.provenance, 'findings', w.findings, 'created_by', w.created_by, 'created_at', w.created_at, 'finished_at', w.finished_at,
               'gone', (select jsonb_build_object('at', c.gone_at, 'reason', c.gone_reason) from artifact.contents c
                        where c.tenant_id = w.tenant_id and c.sha256::text = w.content and c.gone_at is not null))
$$;
revoke all on function artifact.told(artifact.versions) from public;

set role postgres;
revoke app_owner, app_system from postgres;
