-- artifact, fourth part: how bytes go. What nobody needs is let go here; what lies in the bucket and is nobody's is found here; a
-- runner has it deleted through the Storage API, and only then it is forgotten. Each step may be done twice, and a crash between two
-- of them leaves a row that says what is to be done (ADR 042).

grant app_owner, app_system to postgres;
set role app_owner;

-- The contents of a stretch of the walk that no version keeps any more, with the artifacts that had them; the caller, who knows
-- the rooms above, says which of them are in use all the same. A version keeps its bytes while an alias points at it, while it is the newest of
-- its name (unless that is a run's), and in any case until the tenant's retention is over; a deleted artifact's keep for the grace.
create function artifact.unwanted(p_from text, p_until text)
returns table (tenant_id uuid, sha256 text, artifact_ids uuid[], deleted boolean) language sql stable set search_path = '' as $$
    select c.tenant_id, c.sha256::text, array(select distinct v.artifact_id from artifact.versions v where v.tenant_id = c.tenant_id and v.content = c.sha256::text),
           not exists (select from artifact.versions v join artifact.artifacts a on a.tenant_id = v.tenant_id and a.id = v.artifact_id and a.deleted_at is null
                       where v.tenant_id = c.tenant_id and v.content = c.sha256::text)
    from artifact.contents c, artifact.upkeep u, tenancy.limits l
    where c.gone_at is null and c.path between p_from and p_until and l.tenant_id = c.tenant_id
      and not exists (
        select from artifact.versions v
        join artifact.artifacts a on a.tenant_id = v.tenant_id and a.id = v.artifact_id
        where v.tenant_id = c.tenant_id and v.content = c.sha256::text
          and case when a.deleted_at is not null then a.deleted_at > clock_timestamp() - u.deleted_grace
                   else l.artifact_retention_days is null or v.finished_at > clock_timestamp() - make_interval(days => l.artifact_retention_days)
                        or exists (select from artifact.aliases x where x.tenant_id = v.tenant_id and x.artifact_id = v.artifact_id and x.version = v.version)
                        or a.name !~ '^runs/' and not exists (select from artifact.versions n where n.tenant_id = v.tenant_id and n.artifact_id = v.artifact_id
                                                                and n.state = 'READY' and n.version > v.version) end)
$$;
revoke all on function artifact.unwanted(text, text) from public;
grant execute on function artifact.unwanted(text, text) to app_system;

-- Lets one content go if it is still unwanted: locked first, then looked at again by a statement that sees who came meanwhile.
create function artifact.let_go(p_tenant uuid, p_sha256 text, p_reason text)
returns boolean language plpgsql set search_path = '' as $$
declare
    c artifact.contents;
begin
    select x.* into c from artifact.contents x where x.tenant_id = p_tenant and x.sha256::text = p_sha256 and x.gone_at is null for update skip locked;
    if not found or p_reason <> 'lost' and not exists (select from artifact.unwanted(c.path, c.path) u where u.tenant_id = p_tenant and u.sha256 = p_sha256) then
        return false;
    end if;
    update artifact.contents x set gone_at = clock_timestamp(), gone_reason = p_reason where x.tenant_id = p_tenant and x.sha256::text = p_sha256;
    perform artifact.move(p_tenant, -c.size);
    if p_reason <> 'lost' then
        perform artifact.doom(p_tenant, 'artifacts', c.path, p_reason);
    end if;
    return true;
end
$$;
revoke all on function artifact.let_go(uuid, text, text) from public;
grant execute on function artifact.let_go(uuid, text, text) to app_system;

-- Rows without objects: what is not there is noted, what is there again forgiven, what stays away is answered for by the caller.
create function artifact.note_missing(p_from text, p_until text)
returns table (tenant_id uuid, sha256 text) language plpgsql set search_path = '' as $$
begin
    update artifact.contents c set missing_since = case when c.missing_since is null then clock_timestamp() end
    from (select x.tenant_id, x.sha256 from artifact.contents x  -- an object's row is written before its version is READY
          where x.gone_at is null and x.path between p_from and p_until
            and (x.missing_since is null) = (not exists (select from storage.objects o where o.bucket_id = 'artifacts' and o.name = x.path))
          for update skip locked) y
    where c.tenant_id = y.tenant_id and c.sha256 = y.sha256;
    return query select c.tenant_id, c.sha256::text from artifact.contents c, artifact.upkeep u
                 where c.gone_at is null and c.path between p_from and p_until and c.missing_since < clock_timestamp() - u.grace;
end
$$;
revoke all on function artifact.note_missing(text, text) from public;
grant execute on function artifact.note_missing(text, text) to app_system;

-- Objects without rows: older than the grace, and neither a pending version nor a content lies there. How many were looked at.
create function artifact.sweep_objects(p_limit integer)
returns integer language plpgsql set search_path = '' as $$
declare
    u artifact.upkeep;
    v_names text[];
begin
    select x.* into u from artifact.upkeep x where x.objects_next <= clock_timestamp() for update skip locked;
    if not found then
        return 0;
    end if;
    v_names := array(select o.name from storage.objects o where o.bucket_id = 'artifacts' and o.name > u.objects_after order by o.name limit p_limit);
    insert into artifact.removals (tenant_id, bucket, path, reason)
    select t.id, 'artifacts', o.name, 'orphan'
    from storage.objects o join tenancy.tenants t on t.id::text = split_part(o.name, '/', 1)
    where o.bucket_id = 'artifacts' and o.name = any (v_names) and greatest(o.created_at, o.updated_at) < clock_timestamp() - u.grace
      and not exists (select from artifact.contents c where c.path = o.name and c.gone_at is null)
      and not exists (select from artifact.versions v where v.path = o.name and v.state = 'PENDING')
    on conflict (bucket, path) do nothing;
    update artifact.upkeep x
    set objects_after = case when cardinality(v_names) < p_limit then '' else v_names[cardinality(v_names)] end,
        objects_next = case when cardinality(v_names) < p_limit then clock_timestamp() + x.every else x.objects_next end;
    return cardinality(v_names);
end
$$;
revoke all on function artifact.sweep_objects(integer) from public;
grant execute on function artifact.sweep_objects(integer) to app_system;

-- Removals that are due, for one runner, with one token for all of them; null where there is nothing to do. Whoever claimed and
-- fell silent is followed by the next. A last look: what a living row names does not go, whatever was asked for.
create function artifact.claim_removals(p_limit integer)
returns jsonb language plpgsql set search_path = '' as $$
declare
    v_claim uuid := gen_random_uuid();
    v_token text := 'crsw_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    v_ids bigint[];
begin
    delete from artifact.removals r where r.bucket = 'artifacts' and r.due_at <= clock_timestamp()
      and (exists (select from artifact.contents c where c.path = r.path and c.gone_at is null)
           or exists (select from artifact.versions v where v.path = r.path and v.state = 'PENDING'));
    with due as (
        select r.id from artifact.removals r
        where r.due_at <= clock_timestamp() and (r.claim_expires_at is null or r.claim_expires_at < clock_timestamp())
        order by r.due_at limit p_limit for update skip locked
    ), taken as (
        update artifact.removals r
        set claim = v_claim, claim_expires_at = clock_timestamp() + interval '2 minutes', token_hash = sha256(convert_to(v_token, 'UTF8')), tries = r.tries + 1
        from due d where r.id = d.id returning r.id
    )
    select array_agg(t.id) into v_ids from taken t;
    return case when v_ids is not null then jsonb_build_object('claim', v_claim, 'token', v_token, 'count', cardinality(v_ids)) end;
end
$$;
revoke all on function artifact.claim_removals(integer) from public;
grant execute on function artifact.claim_removals(integer) to app_system;

-- Of a claim: what is no more in the bucket is forgotten, and told; what is still there is tried again later.
create function artifact.confirm_removals(p_claim uuid)
returns table (tenant_id uuid, reason text, removed bigint, kept bigint) language plpgsql set search_path = '' as $$
begin
    return query
    with claimed as materialized (
        select r.id, r.tenant_id, r.reason, exists (select from storage.objects o where o.bucket_id = r.bucket and o.name = r.path) as is_there
        from artifact.removals r where r.claim = p_claim for update
    ), gone as (
        delete from artifact.removals r using claimed c where r.id = c.id and not c.is_there
    ), put_off as (
        update artifact.removals r set claim = null, claim_expires_at = null, token_hash = null,
            due_at = clock_timestamp() + least(interval '1 hour', interval '10 seconds' * 2 ^ least(r.tries, 10))
        from claimed c where r.id = c.id and c.is_there
    )
    select c.tenant_id, c.reason, count(*) filter (where not c.is_there), count(*) filter (where c.is_there) from claimed c group by 1, 2;
end
$$;
revoke all on function artifact.confirm_removals(uuid) from public;
grant execute on function artifact.confirm_removals(uuid) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
