-- worker: artifacts, where other rooms have a say: what they were made from, which of them are in use, and the sweep.

grant app_owner, app_system to postgres;
set role app_system;

-- What an attempt's files are made from: its inputs as they stand now, its code, its task.
create function worker.provenance(a queue.live_attempts)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_strip_nulls(jsonb_build_object('task_key', t.task_key, 'job_id', r.job_id, 'attempt', a.number, 'code', artifact.named(artifact.ready_version(a.tenant_id,
               case when y.code ? 'artifact_id' then (y.code ->> 'artifact_id')::uuid end, (y.code ->> 'version')::integer)),
           'inputs', (select jsonb_agg(coalesce(artifact.named(artifact.ready_version(a.tenant_id, (i ->> 'artifact_id')::uuid, (i ->> 'version')::integer)),
                                                i - 'name' - 'artifact_name')) from jsonb_array_elements(y.inputs) i)))
    from queue.task_runs t
    join queue.runs r on r.tenant_id = t.tenant_id and r.id = t.run_id
    join queue.payloads y on y.tenant_id = t.tenant_id and y.task_run_id = t.id
    where t.tenant_id = a.tenant_id and t.id = a.task_run_id
$$;
revoke all on function worker.provenance(queue.live_attempts) from public;

-- Artifacts that an unfinished run or a job as it stands names: their bytes stay, whatever the retention says.
create function worker.artifacts_in_use(p_tenant uuid)
returns uuid[] language sql stable set search_path = '' as $$
    select array(
        select (i ->> 'artifact_id')::uuid
        from queue.runs r
        join queue.task_runs t on t.tenant_id = r.tenant_id and t.run_id = r.id
        join queue.payloads y on y.tenant_id = t.tenant_id and y.task_run_id = t.id
        cross join jsonb_array_elements(y.inputs || case when y.code ? 'artifact_id' then jsonb_build_array(y.code) else '[]' end) i
        where r.tenant_id = p_tenant and r.finished_at is null and i ? 'artifact_id'
        union
        select m[1]::uuid
        from job.jobs j join job.versions v on v.tenant_id = j.tenant_id and v.job_id = j.id and v.version = j.current_version
        cross join regexp_matches(v.definition::text, '"artifact_id": "([0-9a-f]{8}-[0-9a-f-]{27})"', 'g') m
        where j.tenant_id = p_tenant and j.deleted_at is null)
$$;
revoke all on function worker.artifacts_in_use(uuid) from public;

-- A stretch of the contents: what nobody wants is let go, what is not there is noted. How many were looked at.
create function worker.sweep_contents(p_limit integer)
returns integer language plpgsql set search_path = '' as $$
declare
    u artifact.upkeep;
    v_paths text[];
    v record;
    v_tenant uuid;
    v_used uuid[];
begin
    select x.* into u from artifact.upkeep x where x.contents_next <= clock_timestamp() for update skip locked;
    if not found then
        return 0;
    end if;
    v_paths := array(select c.path from artifact.contents c where c.path > u.contents_after and c.gone_at is null order by c.path limit p_limit);
    for v in select * from artifact.unwanted(v_paths[1], v_paths[cardinality(v_paths)]) w order by w.tenant_id loop
        if v.tenant_id is distinct from v_tenant then
            v_tenant := v.tenant_id;
            v_used := worker.artifacts_in_use(v.tenant_id);
        end if;
        continue when v.artifact_ids && v_used;
        if artifact.let_go(v.tenant_id, v.sha256, case when v.deleted then 'deleted' else 'retention' end) then
            perform audit.append(v.tenant_id, 'artifact.let_go', 'artifact', a::text,
                                 jsonb_build_object('sha256', v.sha256, 'reason', case when v.deleted then 'deleted' else 'retention' end))
            from unnest(v.artifact_ids) a;
        end if;
    end loop;
    for v in select * from artifact.note_missing(v_paths[1], v_paths[cardinality(v_paths)]) loop
        if artifact.let_go(v.tenant_id, v.sha256, 'lost') then
            perform audit.append(v.tenant_id, 'artifact.lost', 'content', v.sha256);
        end if;
    end loop;
    update artifact.upkeep x
    set contents_after = case when cardinality(v_paths) < p_limit then '' else v_paths[cardinality(v_paths)] end,
        contents_next = case when cardinality(v_paths) < p_limit then clock_timestamp() + x.every else x.contents_next end;
    return cardinality(v_paths);
end
$$;
revoke all on function worker.sweep_contents(integer) from public;

-- One bounded step of all of it, by one runner at a time, and what is to be removed now: {claim, token, count} or null; more: come again.
create function worker.sweep_artifacts(p_limit integer)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v_seen integer;
    v_claimed jsonb;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('worker.sweep_artifacts', 0)) then
        return '{"removals": null, "more": false}';
    end if;
    v_seen := artifact.expire(array(select a.id from queue.live_attempts a where a.state = 'RUNNING'), p_limit);
    v_seen := greatest(v_seen, worker.sweep_contents(p_limit));
    v_seen := greatest(v_seen, artifact.sweep_objects(p_limit));
    -- parcels whose attempt is over: <tenant>/<attempt>/<name>
    insert into artifact.removals (tenant_id, bucket, path, reason)
    select t.id, 'parcels', o.name, 'orphan'
    from (select x.name from storage.objects x, artifact.upkeep u where x.bucket_id = 'parcels' and x.created_at < clock_timestamp() - u.grace limit p_limit) o
    join tenancy.tenants t on t.id::text = split_part(o.name, '/', 1)
    where split_part(o.name, '/', 2) ~ '^[0-9]{1,18}$'
      and not exists (select from queue.live_attempts a where a.id = split_part(o.name, '/', 2)::bigint)
    on conflict (bucket, path) do nothing;
    v_claimed := artifact.claim_removals(p_limit);
    return jsonb_build_object('removals', v_claimed, 'more', v_seen = p_limit or coalesce((v_claimed ->> 'count')::integer = p_limit, false));
end
$$;
comment on function worker.sweep_artifacts(integer) is 'Lets bytes go that nobody needs, finds those that are nobody''s: {removals: {claim, token, count} | null, more}.';
revoke all on function worker.sweep_artifacts(integer) from public;
grant execute on function worker.sweep_artifacts(integer) to runner;

create function worker.confirm_removals(p_claim uuid)
returns jsonb language plpgsql security definer set search_path = '' as $$
declare
    v record;
    v_removed bigint := 0;
    v_kept bigint := 0;
begin
    for v in select c.tenant_id, sum(c.removed) as removed, sum(c.kept) as kept, jsonb_object_agg(c.reason, c.removed) filter (where c.removed > 0) as reasons
             from artifact.confirm_removals(p_claim) c group by c.tenant_id order by c.tenant_id loop
        if v.removed > 0 then
            perform audit.append(v.tenant_id, 'artifact.sweep', 'claim', p_claim::text, v.reasons);
        end if;
        v_removed := v_removed + v.removed;
        v_kept := v_kept + v.kept;
    end loop;
    return jsonb_build_object('removed', v_removed, 'kept', v_kept);
end
$$;
comment on function worker.confirm_removals(uuid) is 'Forgets what of a claim is no more in the bucket: {removed, kept}; what is kept is tried again later.';
revoke all on function worker.confirm_removals(uuid) from public;
grant execute on function worker.confirm_removals(uuid) to runner;

set role postgres;
revoke app_owner, app_system from postgres;
