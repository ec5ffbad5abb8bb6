-- job, eighth part: the container image that a task names for itself, where the runner's own would not do.
--
-- A grant of kind `image` names one image in full, or a repository: then every image of it. A name without a digest may mean
-- another image tomorrow, and so needs a grant of kind `unpinned_image` besides. Both are asked for at the submission, and again
-- when an attempt is claimed.

grant app_owner, app_system to postgres;
set role app_owner;

-- registry/path, without tag and digest. A colon before a slash is a port.
create function job.repository_of(p_image text)
returns text language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return regexp_replace(split_part(p_image, '@', 1), ':[^:/]*$', '');
end
$$;
revoke all on function job.repository_of(text) from public;
grant execute on function job.repository_of(text) to app_system;

-- Which error it would be for the tenant to use this image now; null where it may.
create function job.image_fault(p_tenant uuid, p_image text)
returns text language plpgsql stable set search_path = '' as $$
declare
    v_names text[] := array[p_image, job.repository_of(p_image)];
begin
    if not exists (select from tenancy.grants g where g.tenant_id = p_tenant and g.kind = 'image' and g.name = any (v_names)) then
        return 'IMAGE_NOT_GRANTED';
    elsif p_image !~ '@sha256:'
          and not exists (select from tenancy.grants g where g.tenant_id = p_tenant and g.kind = 'unpinned_image' and g.name = any (v_names)) then
        return 'IMAGE_UNPINNED';
    end if;
    return null;
end
$$;
revoke all on function job.image_fault(uuid, text) from public;
grant execute on function job.image_fault(uuid, text) to app_system;

-- The registry is part of the name: what a short one means is the daemon's business, and nobody has granted that.
create function job.check_image(p_tenant uuid, p_type job.job_types, p jsonb, p_path text)
returns text language plpgsql stable set search_path = '' as $$
declare
    v_image text := p #>> '{}';
    v_fault text;
begin
    if not p_type.takes_image then
        perform ground.fail('FIELD_INVALID', p_path, p_type.name || ' does not run in a container of its own, so it has no image.');
    elsif jsonb_typeof(p) <> 'string' or length(v_image) > 512
          or v_image !~ ('^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+|localhost)(:[0-9]{1,5})?'
                         '(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$') then
        perform ground.fail('FIELD_INVALID', p_path, 'image is registry/name@sha256:…, with its registry, e.g. ghcr.io/acme/etl@sha256:….');
    end if;
    v_fault := job.image_fault(p_tenant, v_image);
    if v_fault is not null then
        perform ground.fail(v_fault, p_path || ': ' || v_image);
    end if;
    return v_image;
end
$$;
revoke all on function job.check_image(uuid, job.job_types, jsonb, text) from public;
grant execute on function job.check_image(uuid, job.job_types, jsonb, text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
