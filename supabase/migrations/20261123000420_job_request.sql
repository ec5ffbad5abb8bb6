-- job, second part: what may be asked for. Everything that can be known to be wrong is said here, before a row is written.

grant app_owner, app_system to postgres;
set role app_owner;

create function job.check_integer(p jsonb, p_field text, p_path text, p_min bigint, p_max bigint, p_default bigint, p_code text default 'FIELD_INVALID')
returns bigint language plpgsql stable set search_path = '' as $$
declare
    v jsonb := p -> p_field;
begin
    if v is null or jsonb_typeof(v) = 'null' then
        return p_default;
    end if;
    if jsonb_typeof(v) <> 'number' or v #>> '{}' !~ '^-?[0-9]{1,15}$' or (v #>> '{}')::bigint not between p_min and p_max then
        perform ground.fail(p_code, p_path || '.' || p_field, format('%s must be a whole number from %s to %s.', p_field, p_min, p_max));
    end if;
    return (v #>> '{}')::bigint;
end
$$;
revoke all on function job.check_integer(jsonb, text, text, bigint, bigint, bigint, text) from public;
grant execute on function job.check_integer(jsonb, text, text, bigint, bigint, bigint, text) to authenticated, app_system;

create function job.check_boolean(p jsonb, p_field text, p_path text, p_default boolean)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    if coalesce(jsonb_typeof(p -> p_field), 'null') not in ('boolean', 'null') then
        perform ground.fail('FIELD_INVALID', p_path || '.' || p_field, p_field || ' is true or false.');
    end if;
    return coalesce((p ->> p_field)::boolean, p_default);
end
$$;
revoke all on function job.check_boolean(jsonb, text, text, boolean) from public;
grant execute on function job.check_boolean(jsonb, text, text, boolean) to app_system;

-- {"queue": {"enabled": true}}: whether a run that is one too many waits, or is skipped
create function job.check_queue(p jsonb, p_default boolean)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    if coalesce(p -> 'queue', 'null') = 'null' then
        return p_default;
    end if;
    perform ground.refuse_unknown(p -> 'queue', array['enabled'], '$.queue');
    return job.check_boolean(p -> 'queue', 'enabled', '$.queue', p_default);
end
$$;
revoke all on function job.check_queue(jsonb, boolean) from public;
grant execute on function job.check_queue(jsonb, boolean) to app_system;

create function job.check_object(p jsonb, p_field text, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := p -> p_field;
begin
    if v is null or jsonb_typeof(v) = 'null' then
        return '{}';
    end if;
    if jsonb_typeof(v) <> 'object' then
        perform ground.fail('FIELD_INVALID', p_path || '.' || p_field, p_field || ' must be an object.');
    end if;
    return v;
end
$$;
revoke all on function job.check_object(jsonb, text, text) from public;
grant execute on function job.check_object(jsonb, text, text) to app_system;

create function job.check_array(p jsonb, p_field text, p_path text, p_max integer)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb := p -> p_field;
begin
    if v is null or jsonb_typeof(v) = 'null' then
        return '[]';
    end if;
    if jsonb_typeof(v) <> 'array' or jsonb_array_length(v) > p_max then
        perform ground.fail('FIELD_INVALID', p_path || '.' || p_field, format('%s must be an array of at most %s.', p_field, p_max));
    end if;
    return v;
end
$$;
revoke all on function job.check_array(jsonb, text, text, integer) from public;
grant execute on function job.check_array(jsonb, text, text, integer) to app_system;

create function job.check_code(p_code jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    f record;
begin
    if p_code is null or jsonb_typeof(p_code) = 'null' then
        return null;
    end if;
    perform ground.refuse_unknown(p_code, array['files', 'artifact_id', 'version'], p_path);
    if (p_code ? 'files') = (p_code ? 'artifact_id') then
        perform ground.fail('FIELD_INVALID', p_path, 'code has either files or artifact_id.');
    end if;
    if p_code ? 'artifact_id' then
        perform ground.want_uuid(p_code, 'artifact_id', p_path);
        perform job.check_integer(p_code, 'version', p_path, 1, 2147483647, null);
        return p_code;
    end if;
    if jsonb_typeof(p_code -> 'files') <> 'object' or p_code -> 'files' = '{}' then
        perform ground.fail('FIELD_INVALID', p_path || '.files', 'files must be an object of name to text.');
    end if;
    if octet_length((p_code -> 'files')::text) > 1048576 then
        perform ground.fail('CODE_TOO_LARGE', p_path || '.files');
    end if;
    for f in select key, value from jsonb_each(p_code -> 'files') loop
        if f.key !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$' or length(f.key) > 255 or jsonb_typeof(f.value) <> 'string' then
            perform ground.fail('FIELD_INVALID', p_path || '.files.' || left(f.key, 64), 'a file has a plain relative name and text.');
        end if;
    end loop;
    return p_code;
end
$$;
revoke all on function job.check_code(jsonb, text) from public;
grant execute on function job.check_code(jsonb, text) to app_system;

-- An input that is read from elsewhere: odoo://<target>/<model> or postgres://<target>/<schema>.<table>. Where that is, and as whom it is
-- read, is the platform's word for the name; what was granted is looked at again when the attempt is claimed.
create function job.check_reading(p_tenant uuid, p jsonb, p_path text)
returns void language plpgsql stable set search_path = '' as $$
declare
    v_uri text[] := regexp_match(coalesce(p ->> 'uri', ''), '^(odoo|postgres)://([A-Za-z0-9_.-]{1,128})/([A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62}){0,7})$');
    r jsonb := job.check_object(p, 'read', p_path);
    v_field text;
begin
    if v_uri is null then
        perform ground.fail('INPUT_URI_REFUSED', p_path || '.uri');
    elsif not tenancy.is_granted(p_tenant, 'target', v_uri[2]) then
        perform ground.fail('TARGET_NOT_GRANTED', p_path || '.uri: ' || left(v_uri[2], 64));
    end if;
    p_path := p_path || '.read';
    perform ground.refuse_unknown(r, array['fields', 'domain', 'after', 'watermark', 'overlap_seconds', 'limit'], p_path);
    for v_field in select jsonb_array_elements_text(job.check_array(r, 'fields', p_path, 1000)) loop
        if v_field !~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$' then
            perform ground.fail('FIELD_INVALID', p_path || '.fields', 'a field has a plain name.');
        end if;
    end loop;
    if jsonb_array_length(job.check_array(r, 'domain', p_path, 200)) > 0 and v_uri[1] <> 'odoo' then
        perform ground.fail('FIELD_INVALID', p_path || '.domain', 'domain is for Odoo.');
    elsif r ? 'after' and coalesce(r ->> 'after', '') !~ '^(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}$' then
        perform ground.fail('FIELD_INVALID', p_path || '.after', 'after is the table that has what was read already: <layer>.<name>.');
    elsif r ? 'watermark' and coalesce(r ->> 'watermark', '') !~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$' then
        perform ground.fail('FIELD_INVALID', p_path || '.watermark', 'watermark is the name of a field.');
    end if;
    perform job.check_integer(r, 'overlap_seconds', p_path, 0, 604800, null);
    perform job.check_integer(r, 'limit', p_path, 1, 100000000, null);
end
$$;
revoke all on function job.check_reading(uuid, jsonb, text) from public;
grant execute on function job.check_reading(uuid, jsonb, text) to app_system;

create function job.check_inputs(p_tenant uuid, p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb;
    i integer := 0;
    v_names text[] := '{}';
    v_path text;
begin
    if p = '[]' then
        return p;
    end if;
    for v in select * from jsonb_array_elements(p) loop
        v_path := format('%s.inputs[%s]', p_path, i);
        perform ground.refuse_unknown(v, array['name', 'artifact_id', 'version', 'table', 'uri', 'read'], v_path);
        if coalesce(v ->> 'name', '') !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$' or v ->> 'name' = any (v_names) then
            perform ground.fail('FIELD_INVALID', v_path || '.name', 'an input has a plain name of its own.');
        end if;
        v_names := v_names || (v ->> 'name');
        if (v ? 'artifact_id')::integer + (v ? 'table')::integer + (v ? 'uri')::integer <> 1 then
            perform ground.fail('FIELD_INVALID', v_path, 'an input has exactly one of artifact_id, table, uri.');
        end if;
        if v ? 'uri' then
            perform job.check_reading(p_tenant, v, v_path);
        elsif v ? 'read' then
            perform ground.fail('FIELD_INVALID', v_path || '.read', 'read says how a uri is read.');
        elsif v ? 'table' and coalesce(v ->> 'table', '') !~ '^(bronze|silver|gold)\.[a-z_][a-z0-9_]{0,62}$' then
            perform ground.fail('FIELD_INVALID', v_path || '.table', 'table is <layer>.<name>, e.g. silver.orders.');
        elsif v ? 'artifact_id' then
            if (artifact.ready_version(p_tenant, ground.want_uuid(v, 'artifact_id', v_path),
                                       job.check_integer(v, 'version', v_path, 1, 2147483647, null)::integer)).path is null then
                perform ground.fail('INPUT_NOT_FOUND', v_path || '.artifact_id');
            end if;
        end if;
        i := i + 1;
    end loop;
    return p;
end
$$;
revoke all on function job.check_inputs(uuid, jsonb, text) from public;
grant execute on function job.check_inputs(uuid, jsonb, text) to app_system;

create function job.check_outputs(p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    v jsonb;
    i integer := 0;
    v_names text[] := '{}';
    v_path text;
begin
    if p = '[]' then
        return p;
    end if;
    for v in select * from jsonb_array_elements(p) loop
        v_path := format('%s.outputs[%s]', p_path, i);
        perform ground.refuse_unknown(v, array['name', 'table', 'layer', 'kind', 'mode', 'key'], v_path);
        if coalesce(v ->> 'name', '') !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$' or v ->> 'name' = any (v_names) then
            perform ground.fail('FIELD_INVALID', v_path || '.name', 'an output has a plain name of its own.');
        end if;
        v_names := v_names || (v ->> 'name');
        if v ? 'table' and coalesce(v ->> 'table', '') !~ '^[a-z_][a-z0-9_]{0,62}$' then
            perform ground.fail('FIELD_INVALID', v_path || '.table', 'table is a plain lower-case name.');
        end if;
        if (v ? 'layer') <> (v ? 'table') or (v ? 'layer' and coalesce(v ->> 'layer', '') not in ('bronze', 'silver', 'gold')) then
            perform ground.fail('FIELD_INVALID', v_path || '.layer', 'a table output has a layer: bronze, silver or gold.');
        end if;
        if coalesce(v ->> 'mode', 'overwrite') not in ('overwrite', 'append', 'merge') then
            perform ground.fail('FIELD_INVALID', v_path || '.mode', 'mode is overwrite, append or merge.');
        end if;
        if (v ? 'key') <> coalesce(v ->> 'mode' = 'merge', false) or (v ? 'key' and not coalesce(jsonb_typeof(v -> 'key') = 'array' and jsonb_array_length(v -> 'key') between 1 and 32
               and not v -> 'key' @? '$[*] ? (@.type() != "string")', false)) then
            perform ground.fail('FIELD_INVALID', v_path || '.key', 'merge, and it alone, has a key: the names of 1 to 32 columns.');
        end if;
        if coalesce(v ->> 'kind', 'data') <> all (enum_range(null::artifact.kind)::text[]) then
            perform ground.fail('FIELD_INVALID', v_path || '.kind', 'kind is one of ' || array_to_string(enum_range(null::artifact.kind), ', ') || '.');
        end if;
        i := i + 1;
    end loop;
    return p;
end
$$;
revoke all on function job.check_outputs(jsonb, text) from public;
grant execute on function job.check_outputs(jsonb, text) to app_system;

-- What a knowledge base's documents are put into and by whom; a {{reference}} is looked at by the runner.
create function job.check_catalogue(p_tenant uuid, p jsonb, p_path text)
returns void language plpgsql stable set search_path = '' as $$
begin
    if p ? 'collection' and p ->> 'collection' !~ '\{\{' and (jsonb_typeof(p -> 'collection') <> 'string' or p ->> 'collection' !~ '^[a-z][a-z0-9_]{0,40}$') then
        perform ground.fail('FIELD_INVALID', p_path || '.params.collection', 'a collection has a plain lower-case name.');
    elsif p ? 'mode' and coalesce(p ->> 'mode', '') !~ '^(merge|replace|\{\{.*)$' then
        perform ground.fail('FIELD_INVALID', p_path || '.params.mode', 'mode is merge or replace.');
    elsif p ? 'workflow' and not tenancy.is_granted(p_tenant, 'n8n_workflow', coalesce(p ->> 'workflow', '')) then
        perform ground.fail('WORKFLOW_NOT_GRANTED', p_path || '.params.workflow: ' || left(p ->> 'workflow', 64));
    end if;
end
$$;
revoke all on function job.check_catalogue(uuid, jsonb, text) from public;
grant execute on function job.check_catalogue(uuid, jsonb, text) to app_system;

-- The database that a migration changes is granted by name; a {{reference}} is looked at when the attempt is claimed.
create function job.check_migration(p_tenant uuid, p jsonb, p_path text)
returns void language plpgsql stable set search_path = '' as $$
begin
    if jsonb_typeof(p -> 'target') is distinct from 'string' or length(p ->> 'target') not between 1 and 256 then
        perform ground.fail('TARGET_MISSING', p_path || '.params.target');
    elsif p ->> 'target' !~ '\{\{' and not tenancy.is_granted(p_tenant, 'target', p ->> 'target') then
        perform ground.fail('TARGET_NOT_GRANTED', p_path || '.params.target: ' || left(p ->> 'target', 64));
    end if;
end
$$;
revoke all on function job.check_migration(uuid, jsonb, text) from public;
grant execute on function job.check_migration(uuid, jsonb, text) to app_system;

-- The work of one task as asked for -> the same with every default filled in; or the first fault with its path.
create function job.check_task(p_tenant uuid, p jsonb, p_path text)
returns jsonb language plpgsql stable set search_path = '' as $$
declare
    t job.job_types;
    l tenancy.limits;
    v_engine text;
    v_name text;
    v_code jsonb;
    v_secrets jsonb := job.check_array(p, 'secrets', p_path, 50);
    v_network boolean := coalesce((p -> 'network') = 'true', false);
    v_more jsonb := '{}';  -- what only some tasks have: code to be written, a validation, an image of their own, executors
begin
    select x.* into t from job.job_types x where x.name::text = p ->> 'job_type';
    if not found then
        perform ground.fail('JOB_TYPE_UNKNOWN', p_path || '.job_type', null,
            (select string_agg(x.name, ', ' order by x.name) from job.job_types x));
    end if;
    v_engine := coalesce(p ->> 'engine', t.engines[1]);
    if t.name = 'code_generation' then  -- the engine is a model
        v_engine := job.model_of(p_tenant, p ->> 'engine');
        if v_engine is null then
            perform ground.fail('MODEL_NOT_GRANTED', p_path || '.engine');
        end if;
    elsif v_engine <> all (t.engines) then
        perform ground.fail('ENGINE_UNKNOWN', p_path || '.engine', null, array_to_string(t.engines, ', '));
    end if;
    if length(btrim(coalesce(p ->> 'spec', ''))) < 3 or jsonb_typeof(p -> 'spec') <> 'string' or length(p ->> 'spec') > 20000 then
        perform ground.fail('SPEC_MISSING', p_path || '.spec');
    end if;
    v_code := job.check_code(p -> 'code', p_path || '.code');
    if v_code is null and t.needs_code then
        if t.name = 'code_validation' then
            perform ground.fail('CODE_MISSING', p_path || '.code');
        end if;
        v_more := jsonb_build_object('generation', job.check_generation(p_tenant, p, p_path));
    elsif p ? 'generation' and p -> 'generation' <> 'null' then
        perform ground.fail('FIELD_INVALID', p_path || '.generation', 'generation is for work that needs code and has none.');
    end if;
    if p ? 'validation' then
        v_more := v_more || jsonb_build_object('validation', job.check_validation(p, p_path));
    end if;
    if v_code ? 'artifact_id'
       and (artifact.ready_version(p_tenant, (v_code ->> 'artifact_id')::uuid, (v_code ->> 'version')::integer)).path is null then
        perform ground.fail('INPUT_NOT_FOUND', p_path || '.code.artifact_id');
    end if;
    for i in 0 .. jsonb_array_length(v_secrets) - 1 loop
        v_name := v_secrets ->> i;
        if v_name !~ '^[A-Z_][A-Z0-9_]{0,127}$' or not tenancy.is_granted(p_tenant, 'secret', v_name) then
            perform ground.fail('SECRET_NOT_GRANTED', p_path || '.secrets: ' || left(v_name, 64));
        end if;
    end loop;
    if jsonb_typeof(p -> 'network') not in ('boolean', 'null') then
        perform ground.fail('FIELD_INVALID', p_path || '.network', 'network is true or false.');
    elsif v_network and not tenancy.is_granted(p_tenant, 'network', 'internet') then
        perform ground.fail('NETWORK_NOT_GRANTED', p_path || '.network');
    end if;
    if p ? 'image' and p -> 'image' <> 'null' then
        v_more := v_more || jsonb_build_object('image', job.check_image(p_tenant, t, p -> 'image', p_path || '.image'));
    end if;
    if p ? 'executors' and p -> 'executors' <> 'null' then
        v_more := v_more || jsonb_build_object('executors', job.check_executors(p_tenant, t.name, v_engine, p, p_path));
    end if;
    if t.name = 'kb_catalog' then
        perform job.check_catalogue(p_tenant, job.check_object(p, 'params', p_path), p_path);
    end if;
    if t.name = 'schema_migration' then
        perform job.check_migration(p_tenant, job.check_object(p, 'params', p_path), p_path);
    end if;
    if t.name <> all (array['spark_etl', 'kb_catalog'])
       and jsonb_path_exists(job.check_array(p, 'inputs', p_path, 100), '$[*].uri') then
        perform ground.fail('INPUT_URI_REFUSED', p_path || '.inputs');
    end if;
    select x.* into l from tenancy.limits x where x.tenant_id = p_tenant;
    return jsonb_build_object(
        'job_type', t.name, 'engine', v_engine, 'spec', p ->> 'spec', 'code', v_code,
        'params', job.check_object(p, 'params', p_path),
        'inputs', job.check_inputs(p_tenant, job.check_array(p, 'inputs', p_path, 100), p_path),
        'outputs', job.check_outputs(job.check_array(p, 'outputs', p_path, 100), p_path),
        'secrets', v_secrets, 'network', v_network,
        'timeout_seconds', job.check_integer(p, 'timeout_seconds', p_path, 1, 86400, l.timeout_seconds, 'TIMEOUT_OUT_OF_RANGE'),
        'max_retries', job.check_integer(p, 'max_retries', p_path, 0, 10, l.max_retries),
        'retry_on_timeout', job.check_boolean(p, 'retry_on_timeout', p_path, false),
        'min_retry_interval_ms', job.check_integer(p, 'min_retry_interval_ms', p_path, 0, 3600000, 0)) || v_more;
end
$$;
revoke all on function job.check_task(uuid, jsonb, text) from public;
grant execute on function job.check_task(uuid, jsonb, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
