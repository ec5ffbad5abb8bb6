-- artifact, second part: how a version comes to its bytes. It is registered within the tenant's quota, its bytes arrive, they are
-- judged, and from then on it is a name for a content.
--
-- Locks: who registers holds the tenant's usage, then the artifact; who judges holds versions, then shares contents. Neither wants
-- what the other holds, and who lets contents go waits for nobody.

grant app_owner, app_system to postgres;
set role app_owner;

-- Takes bytes out of the tenant's quota, or refuses. The lock makes two who register at once count each other.
create function artifact.reserve(p_tenant uuid, p_size bigint)
returns void language plpgsql set search_path = '' as $$
declare
    v_used bigint;
    v_quota bigint := (select l.max_stored_bytes from tenancy.limits l where l.tenant_id = p_tenant);
begin
    insert into artifact.usage (tenant_id) values (p_tenant) on conflict do nothing;
    perform from artifact.usage u where u.tenant_id = p_tenant for update;
    with told as (
        delete from artifact.moves m where m.tenant_id = p_tenant returning m.bytes
    )
    update artifact.usage u set bytes = u.bytes + p_size + coalesce((select sum(t.bytes) from told t), 0)
    where u.tenant_id = p_tenant returning u.bytes into v_used;
    if v_used > v_quota then
        perform ground.fail('ARTIFACT_QUOTA_EXCEEDED', format('%s bytes are stored or announced, %s more were asked for, the quota is %s', v_used - p_size, p_size, v_quota));
    end if;
end
$$;
revoke all on function artifact.reserve(uuid, bigint) from public;
grant execute on function artifact.reserve(uuid, bigint) to app_system;

-- Says that bytes came or went, without waiting for anybody.
create function artifact.move(p_tenant uuid, p_bytes bigint)
returns void language sql set search_path = '' as $$
    insert into artifact.moves (tenant_id, bytes) select p_tenant, p_bytes where p_bytes <> 0
$$;
revoke all on function artifact.move(uuid, bigint) from public;
grant execute on function artifact.move(uuid, bigint) to app_system;

create function artifact.used(p_tenant uuid)
returns bigint language sql stable set search_path = '' as $$
    select coalesce((select u.bytes from artifact.usage u where u.tenant_id = p_tenant), 0)::bigint
           + coalesce((select sum(m.bytes) from artifact.moves m where m.tenant_id = p_tenant), 0)::bigint
$$;
revoke all on function artifact.used(uuid) from public;

-- An object that nobody needs. Asked twice is asked once.
create function artifact.doom(p_tenant uuid, p_bucket text, p_path text, p_reason text)
returns void language sql set search_path = '' as $$
    insert into artifact.removals (tenant_id, bucket, path, reason) values (p_tenant, p_bucket, p_path, p_reason)
    on conflict (bucket, path) do nothing
$$;
revoke all on function artifact.doom(uuid, text, text, text) from public;
grant execute on function artifact.doom(uuid, text, text, text) to app_system;

-- Makes the next version of a name, PENDING; the caller's role and tenant were checked by the door. What a person announces by a
-- digest that the tenant has is READY at once, and nothing is uploaded; an attempt's becomes final with its settle, and not before.
create function artifact.open_version(
    p_tenant uuid, p_user text, p_name text, p_kind text, p_size bigint, p_sha256 text, p_content_type text,
    p_description text default null, p_classification text default null, p_provenance jsonb default '{}',
    p_run bigint default null, p_attempt bigint default null, p_lease integer default null
)
returns artifact.versions language plpgsql set search_path = '' as $$
declare
    v_artifact uuid;
    v_number integer;
    v artifact.versions;
    v_max bigint;
    v_path text;
begin
    if p_name is null or length(p_name) > 512 or p_name !~ '^[^/\\[:cntrl:]][^\\[:cntrl:]]*$' or p_name ~ '(^|/)\.\.?(/|$)' then
        perform ground.fail('FIELD_INVALID', '$.name', 'name must be 1 to 512 characters, no leading slash, no "..".');
    end if;
    if p_kind is null or p_kind <> all (enum_range(null::artifact.kind)::text[]) then
        perform ground.fail('FIELD_INVALID', '$.kind', 'kind must be one of ' || array_to_string(enum_range(null::artifact.kind), ', ') || '.');
    end if;
    perform artifact.check_classification(p_classification, p_kind::artifact.kind);
    if p_sha256 is not null and p_sha256 !~ '^[0-9a-f]{64}$' then
        perform ground.fail('FIELD_INVALID', '$.sha256', 'sha256 must be 64 lower-case hex digits.');
    end if;
    if p_size is null or p_size < 0 then
        perform ground.fail('FIELD_INVALID', '$.size', 'size must be the number of bytes.');
    end if;
    select l.max_artifact_bytes into v_max from tenancy.limits l where l.tenant_id = p_tenant;
    if p_size > v_max then
        perform ground.fail('ARTIFACT_TOO_LARGE', format('%s bytes, the limit is %s', p_size, v_max));
    end if;
    if p_attempt is null and p_sha256 is not null then
        select c.path into v_path from artifact.contents c
        where c.tenant_id = p_tenant and c.sha256::text = p_sha256 and c.size = p_size and c.gone_at is null and c.missing_since is null for share;
    end if;
    if v_path is null then
        perform artifact.reserve(p_tenant, p_size);
    end if;
    insert into artifact.artifacts as a (tenant_id, name, kind, description, classification, created_by, latest_version)
    values (p_tenant, p_name, p_kind::artifact.kind, p_description, coalesce(p_classification, 'confidential'), p_user, 1)
    on conflict (tenant_id, name) where deleted_at is null
    do update set latest_version = a.latest_version + 1, description = coalesce(excluded.description, a.description)
    returning a.id, a.latest_version into v_artifact, v_number;
    insert into artifact.versions (tenant_id, artifact_id, version, state, size, sha256, content_type, path, provenance, run_id, attempt_id, lease, created_by,
                                   uploaded_at, finished_at)
    values (p_tenant, v_artifact, v_number, case when v_path is null then 'PENDING' else 'READY' end::artifact.state, p_size, p_sha256,
            coalesce(p_content_type, 'application/octet-stream'), coalesce(v_path, p_tenant || '/' || gen_random_uuid()), p_provenance, p_run, p_attempt, p_lease, p_user,
            case when v_path is not null then clock_timestamp() end, case when v_path is not null then clock_timestamp() end)
    returning * into v;
    return v;
end
$$;
revoke all on function artifact.open_version(uuid, text, text, text, bigint, text, text, text, text, jsonb, bigint, bigint, integer) from public;
grant execute on function artifact.open_version(uuid, text, text, text, bigint, text, text, text, text, jsonb, bigint, bigint, integer) to app_system;

-- internal opens the bytes to viewers: not those of code and logs, which may hold anything.
create function artifact.check_classification(p_classification text, p_kind artifact.kind)
returns void language plpgsql stable set search_path = '' as $$
begin
    if p_classification is not null and p_classification not in ('internal', 'confidential') then
        perform ground.fail('FIELD_INVALID', '$.classification', 'classification is internal or confidential; what is restricted is never stored.');
    elsif p_classification = 'internal' and p_kind not in ('diagram', 'report', 'data') then
        perform ground.fail('FIELD_INVALID', '$.classification', 'code, sql, notebooks and logs are confidential.');
    end if;
end
$$;
revoke all on function artifact.check_classification(text, artifact.kind) from public;
grant execute on function artifact.check_classification(text, artifact.kind) to app_system;

-- The newest READY version whose bytes are kept, or the one that is named, with the place where they lie now; null where there is none.
create function artifact.ready_version(p_tenant uuid, p_artifact uuid, p_version integer default null)
returns artifact.versions language plpgsql stable set search_path = '' as $$
declare
    v artifact.versions;
begin
    select x.* into v from artifact.versions x
    join artifact.artifacts a on a.tenant_id = x.tenant_id and a.id = x.artifact_id and a.deleted_at is null
    join artifact.contents c on c.tenant_id = x.tenant_id and c.sha256::text = x.content and c.gone_at is null
    where x.tenant_id = p_tenant and x.artifact_id = p_artifact and x.state = 'READY'
      and (p_version is null or x.version = p_version)
    order by x.version desc limit 1;
    if found then
        select c.path into v.path from artifact.contents c where c.tenant_id = v.tenant_id and c.sha256::text = v.content;
    end if;
    return v;
end
$$;
revoke all on function artifact.ready_version(uuid, uuid, integer) from public;
grant execute on function artifact.ready_version(uuid, uuid, integer) to app_system;

-- PENDING -> READY | REFUSED; false when it was final already. READY takes its place among the contents: the first of its digest
-- brings the bytes, later ones lie where those do and theirs go. REFUSED bytes go at once: they may be a secret.
create function artifact.judge(p_tenant uuid, p_artifact uuid, p_version integer, p_verdict text, p_size bigint, p_sha256 text, p_findings jsonb)
returns boolean language plpgsql set search_path = '' as $$
declare
    v artifact.versions;
    c artifact.contents;
    v_size bigint;
    v_sha256 text;
    v_path text;
    v_new boolean;
begin
    select x.* into v from artifact.versions x
    where x.tenant_id = p_tenant and x.artifact_id = p_artifact and x.version = p_version and x.state = 'PENDING' for update;
    if not found then
        return false;
    end if;
    v_size := coalesce(p_size, v.size);
    v_sha256 := coalesce(p_sha256, v.sha256);
    v_path := v.path;
    if p_verdict = 'READY' then
        insert into artifact.contents (tenant_id, sha256, size, path) values (p_tenant, v_sha256, v_size, v.path) on conflict (tenant_id, sha256) do nothing;
        v_new := found;
        if not v_new then
            select k.* into c from artifact.contents k  -- shared, for the log of every idle run is the same empty file
            where k.tenant_id = p_tenant and k.sha256 = v_sha256 and k.gone_at is null and k.missing_since is null for share;
            if not found then
                select k.* into c from artifact.contents k where k.tenant_id = p_tenant and k.sha256 = v_sha256 for update;
            end if;
            if c.gone_at is null and c.missing_since is null then
                v_path := c.path;
                perform artifact.doom(p_tenant, 'artifacts', v.path, 'duplicate');
            else
                v_new := c.gone_at is not null;  -- what is only missing was counted all the time
                update artifact.contents k set path = v.path, kept_at = clock_timestamp(), missing_since = null, gone_at = null, gone_reason = null
                where k.tenant_id = p_tenant and k.sha256 = v_sha256;
                perform artifact.doom(p_tenant, 'artifacts', c.path, 'replaced');
            end if;
        end if;
    else
        perform artifact.doom(p_tenant, 'artifacts', v.path, 'refused');
    end if;
    perform artifact.move(p_tenant, case when v_new then v_size else 0 end - v.size);
    update artifact.versions x
    set state = p_verdict::artifact.state, size = v_size, sha256 = v_sha256, path = v_path, findings = p_findings,
        finished_at = clock_timestamp(), uploaded_at = coalesce(x.uploaded_at, clock_timestamp())
    where x.tenant_id = p_tenant and x.artifact_id = p_artifact and x.version = p_version;
    return true;
end
$$;
revoke all on function artifact.judge(uuid, uuid, integer, text, bigint, text, jsonb) from public;
grant execute on function artifact.judge(uuid, uuid, integer, text, bigint, text, jsonb) to app_system;

-- PENDING -> EXPIRED, a bounded number of them: bytes that were announced and never came. Of attempts: those that no lease of
-- p_held is at work on any more.
create function artifact.expire(p_held bigint[], p_limit integer)
returns integer language plpgsql set search_path = '' as $$
declare
    n integer;
begin
    with late as materialized (
        select x.tenant_id, x.artifact_id, x.version, x.size, x.path from artifact.versions x
        where x.state = 'PENDING' and x.uploaded_at is null and x.created_at < clock_timestamp() - interval '1 day'
          and coalesce(x.attempt_id <> all (p_held), true)
        order by x.created_at limit p_limit for update skip locked
    ), ended as (
        update artifact.versions x set state = 'EXPIRED', finished_at = clock_timestamp()
        from late l where x.tenant_id = l.tenant_id and x.artifact_id = l.artifact_id and x.version = l.version
    ), told as (
        insert into artifact.moves (tenant_id, bytes) select l.tenant_id, -l.size from late l where l.size > 0
    ), doomed as (
        insert into artifact.removals (tenant_id, bucket, path, reason)
        select l.tenant_id, 'artifacts', l.path, 'expired' from late l on conflict (bucket, path) do nothing
    )
    select count(*) into n from late;
    return n;
end
$$;
revoke all on function artifact.expire(bigint[], integer) from public;
grant execute on function artifact.expire(bigint[], integer) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
