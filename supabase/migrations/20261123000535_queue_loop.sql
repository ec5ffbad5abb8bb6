-- queue, a further part: the loop as it runs. The author writes code, the judge validates it, and the task that waits for the judge
-- executes what has passed: that very version, and nothing else. What does not pass goes back to the author with the findings.

grant app_owner, app_system to postgres;
set role app_owner;

-- The code that a task has written: the version that its last attempt made, in this run or in the one it was taken over from.
create function queue.written(p_author queue.task_runs)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    return (
        select jsonb_build_object('artifact_id', w.artifact_id, 'version', w.version, 'sha256', w.sha256)
        from queue.task_runs k
        join queue.past_attempts a on a.task_run_id = k.id and a.tenant_id = k.tenant_id and a.state = 'SUCCEEDED'
        join artifact.versions w on w.tenant_id = k.tenant_id and w.run_id = k.run_id and w.attempt_id = a.id and w.lease = a.lease and w.state = 'READY'
        join artifact.artifacts x on x.tenant_id = w.tenant_id and x.id = w.artifact_id and x.kind = 'code'
        where k.run_id = coalesce(p_author.reused_from, p_author.run_id) and k.tenant_id = p_author.tenant_id and k.task_key = p_author.task_key
        order by a.id desc, w.version desc limit 1);
end
$$;
revoke all on function queue.written(queue.task_runs) from public;
grant execute on function queue.written(queue.task_runs) to app_system;

-- A judge gets what its author has written, who is judged gets what its judge has passed. Supplied code is with its judge already.
create function queue.take_code(p_task queue.task_runs)
returns void language plpgsql set search_path = '' as $$
declare
    k queue.task_runs;
    v_code jsonb;
begin
    select x.* into k from queue.task_runs x
    where x.run_id = p_task.run_id and x.tenant_id = p_task.tenant_id and x.task_key = coalesce(p_task.author, p_task.judge);
    v_code := case when p_task.author is not null then queue.written(k)
                   else (select y.code from queue.payloads y where y.tenant_id = k.tenant_id and y.task_run_id = k.id) end;
    if v_code is null then
        perform queue.fail_task('GENERATION_FAILED', k.task_key || ' has left no code');
    end if;
    update queue.payloads y set code = v_code where y.tenant_id = p_task.tenant_id and y.task_run_id = p_task.id;
end
$$;
revoke all on function queue.take_code(queue.task_runs) from public;
grant execute on function queue.take_code(queue.task_runs) to app_system;

-- What a judge did not pass goes back to its author, with the report and what was written, as long as there are rounds left:
-- both are done again in the same tasks, by their next attempts. Returns what has really ended.
create function queue.write_again(p_run queue.runs, p_ended bigint[])
returns bigint[] language plpgsql set search_path = '' as $$
declare
    j queue.task_runs;
    g queue.task_runs;
    v_left bigint[] := p_ended;
    v_findings jsonb;
begin
    for j in
        select k.* from queue.one_by_one(p_ended) e (id)
        cross join lateral (select x.* from queue.task_runs x where x.tenant_id = p_run.tenant_id and x.id = e.id limit 1) k
        where k.author is not null and k.state = 'FAILED' and k.termination_code = 'VALIDATION_FAILED' and k.round < k.rounds
          and p_run.cancel_requested_at is null
    loop
        select x.* into g from queue.task_runs x where x.run_id = p_run.id and x.tenant_id = p_run.tenant_id and x.task_key = j.author;
        select coalesce(jsonb_agg(jsonb_build_object('name', 'report.sarif', 'artifact_id', f.artifact_id, 'version', f.version)), '[]')
               || jsonb_agg(jsonb_build_object('name', 'code', 'artifact_id', y.code -> 'artifact_id', 'version', y.code -> 'version'))
        into v_findings
        from queue.payloads y
        left join lateral (
            select w.artifact_id, w.version
            from queue.past_attempts a
            join artifact.versions w on w.tenant_id = a.tenant_id and w.run_id = a.run_id and w.attempt_id = a.id and w.lease = a.lease and w.state = 'READY'
            join artifact.artifacts x on x.tenant_id = w.tenant_id and x.id = w.artifact_id and x.name like '%/report.sarif'
            where a.task_run_id = j.id and a.tenant_id = j.tenant_id order by a.id desc limit 1) f on true
        where y.tenant_id = j.tenant_id and y.task_run_id = j.id and f.artifact_id is not null;
        if v_findings is null then  -- it failed without saying of what: writing again would be guessing
            continue;
        end if;
        update queue.payloads y set inputs = v_findings, params = y.params || jsonb_build_object('round', j.round + 1)
        where y.tenant_id = g.tenant_id and y.task_run_id = g.id;
        update queue.task_runs k
        set state = case k.id when g.id then 'QUEUED' else 'BLOCKED' end::queue.state, waits_for = (k.id = j.id)::integer, round = k.round + (k.id = j.id)::integer,
            first_number = 1 + coalesce((select max(a.number) from queue.past_attempts a where a.task_run_id = k.id and a.tenant_id = k.tenant_id), 0),
            reused_from = null, termination_code = null, termination_message = null, percent = 0, progress_message = null, output_values = '{}', finished_at = null
        where k.tenant_id = p_run.tenant_id and k.id in (g.id, j.id);
        insert into queue.live_attempts (tenant_id, run_id, task_run_id, number, requires, priority)
        select k.tenant_id, k.run_id, k.id, k.first_number, queue.requirement(k.job_type, k.engine, k.image, k.executors), p_run.priority from queue.task_runs k where k.tenant_id = g.tenant_id and k.id = g.id;
        update queue.runs r set open_tasks = r.open_tasks + 1 where r.tenant_id = p_run.tenant_id and r.id = p_run.id;
        v_left := array_remove(v_left, j.id);
        perform ground.wake('control_room_attempts');
    end loop;
    return v_left;
end
$$;
revoke all on function queue.write_again(queue.runs, bigint[]) from public;
grant execute on function queue.write_again(queue.runs, bigint[]) to app_system;

-- ------------------------------------------------------------------------------------------- the laws

-- Law: a task that has a judge waits for a runner, or runs, only with the code that its judge has passed. (The condition is the
-- trigger's, so that tasks without a judge pay nothing.)
create function queue.refuse_unjudged()
returns trigger language plpgsql set search_path = '' as $$
begin
    perform from queue.task_runs j
    join queue.payloads p on p.tenant_id = j.tenant_id and p.task_run_id = j.id
    join queue.payloads y on y.tenant_id = new.tenant_id and y.task_run_id = new.id
    where j.run_id = new.run_id and j.tenant_id = new.tenant_id and j.task_key = new.judge and j.state = 'SUCCEEDED' and y.code = p.code;
    if not found then
        raise exception using errcode = '42501', message = format('only_passed_code_is_executed: %s has not passed what %s would execute', new.judge, new.task_key);
    end if;
    return new;
end
$$;
revoke all on function queue.refuse_unjudged() from public;
create trigger only_passed_code_is_executed before insert or update of state on queue.task_runs
    for each row when (new.judge is not null and new.state in ('QUEUED', 'RUNNING')) execute function queue.refuse_unjudged();
alter table queue.task_runs enable always trigger only_passed_code_is_executed;

-- Law: the code of a task does not change once it waits for a runner; when history expires it goes altogether.
create function queue.refuse_other_code()
returns trigger language plpgsql set search_path = '' as $$
begin
    if (select t.state from queue.task_runs t where t.tenant_id = new.tenant_id and t.id = new.task_run_id) <> 'BLOCKED' then
        raise exception using errcode = '42501', message = 'code_does_not_change: its task waits for a runner, or has had one';
    end if;
    return new;
end
$$;
revoke all on function queue.refuse_other_code() from public;
create trigger code_does_not_change before update of code on queue.payloads
    for each row when (old.code is distinct from new.code and new.code is not null) execute function queue.refuse_other_code();
alter table queue.payloads enable always trigger code_does_not_change;

-- Whether some runner offers this, or did within the last ten minutes: one that is exchanged is no reason to refuse.
create function queue.is_offered(p_requires text)
returns boolean language plpgsql stable set search_path = '' as $$
begin
    return exists (select from queue.runners r where p_requires = any (r.offers) and r.seen_at > clock_timestamp() - interval '10 minutes');
end
$$;
revoke all on function queue.is_offered(text) from public;
grant execute on function queue.is_offered(text) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
