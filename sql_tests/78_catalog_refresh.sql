-- catalog: refreshing. A table is brought up to date by the jobs that make it and what it is made of: those alone, sources first, as far as something has changed.
begin;
\ir fixtures.psql
select no_plan();

create function tests.door(p_who text, p_function text, p_body jsonb default '{}') returns jsonb language sql as $$ select tests.as(p_who, format('public.%I(%L::jsonb)', p_function, p_body)) $$;
-- a job that reads tables and makes others
create function tests.job(p_name text, p_in text[], p_out text[])
returns bigint language sql as $$
    select (tests.door('north.operator', 'create_job', jsonb_build_object('name', p_name, 'tasks', jsonb_build_array(tests.submission(jsonb_build_object('task_key', 't', 'max_retries', 0,
        'inputs', (select coalesce(jsonb_agg(jsonb_build_object('name', replace(i, '.', '_'), 'table', i)), '[]') from unnest(p_in) i),
        'outputs', (select coalesce(jsonb_agg(jsonb_build_object('name', replace(o, '.', '_'), 'layer', split_part(o, '.', 1), 'table', split_part(o, '.', 2))), '[]') from unnest(p_out) o)))))) ->> 'job_id')::bigint
$$;
-- does what waits, as a runner does: reads what it is to read, and writes a row into each output; a job whose name is given fails
create function tests.work(p_fails text default null)
returns text language plpgsql as $$
declare
    c jsonb;
    v text;
    v_done text[] := '{}';
    v_tables jsonb;
begin
    loop
        perform tests.tick();
        c := (select x from tests.claim() x);
        exit when c is null;
        v_done := v_done || (c ->> 'name');
        if c ->> 'name' = p_fails then
            perform tests.settle(c, '{"state": "FAILED", "termination_code": "USER_CODE_FAILED"}');
            continue;
        end if;
        for v in select i ->> 'name' from jsonb_array_elements(c -> 'inputs') i loop
            perform tests.as('runner', format('worker.open_input(%s, %s, %L)', c ->> 'attempt_id', c ->> 'lease', v));
        end loop;
        v_tables := '[]';
        for v in select o ->> 'name' from jsonb_array_elements(c -> 'outputs') o loop
            v_tables := v_tables || jsonb_build_object('name', v, 'staging', tests.as('runner', format('worker.open_output(%s, %s, %L, ''[{"name": "a", "type": "bigint"}]'')', c ->> 'attempt_id', c ->> 'lease', v)));
        end loop;
        perform tests.settle(c, jsonb_build_object('tables', v_tables));
    end loop;
    return array_to_string(v_done, ' ');
end
$$;
create function tests.refresh(p_target text, p jsonb default '{}') returns jsonb language sql as $$ select tests.door('north.operator', 'catalog_refresh', jsonb_build_object('target', p_target) || p) $$;
create function tests.stale(p_target text) returns text language sql as $$
    select coalesce(string_agg(s ->> 'job', ' ' order by o) filter (where (s ->> 'stale')::boolean), 'nothing') || ' of ' || string_agg(s ->> 'job', ' ' order by o)
    from jsonb_array_elements(tests.refresh(p_target, '{"dry_run": true}') -> 'plan') with ordinality x (s, o)
$$;

-- load -> clean -> sum, side -> clean; other has nothing to do with it
select tests.job('load', '{}', '{bronze.a}') as load, tests.job('side', '{}', '{bronze.b}') as side \gset
select tests.job('clean', '{bronze.a,bronze.b}', '{silver.c}') as clean, tests.job('sum', '{silver.c}', '{gold.d}') as sum, tests.job('other', '{bronze.a}', '{gold.z}') as other \gset

select is(tests.stale('gold.d'), 'load side clean sum of load side clean sum', 'a table that was never made: all that it is made of, sources first, and nothing else');
select tests.refresh('gold.d') as refresh \gset
select is((select jsonb_agg(s -> 'after' order by o) from jsonb_array_elements(:'refresh'::jsonb -> 'plan') with ordinality x (s, o)), format('[[], [], [%s, %s], [%s]]', :load, :side, :clean)::jsonb, 'each after those that it reads from');
select is((select count(*) from queue.live_attempts where state = 'QUEUED'), 2::bigint, 'what waits for nobody begins at once, side by side');
select is(tests.work(), 'load side clean sum', 'it is one run that starts theirs');
select is((select state::text from queue.runs where id = (:'refresh'::jsonb ->> 'run_id')::bigint), 'SUCCEEDED', 'and ends with the last');
select is((select count(*) from queue.runs where parent_run_id = (:'refresh'::jsonb ->> 'run_id')::bigint), 4::bigint, 'each a run of its own');

select is(tests.stale('gold.d'), 'nothing of load side clean sum', 'what has not changed is not made again');
select is(tests.refresh('gold.d') -> 'run_id', 'null', 'there is no run for nothing');
select is(tests.stale('silver.c'), 'nothing of load side clean', 'nor further below');
select is(tests.refresh('gold.d', '{"force": true, "dry_run": true}') #> '{plan,0,why}', '"it was asked for"', 'unless one wants it');
select tests.door('north.operator', 'run_job', jsonb_build_object('job_id', :side));
select tests.work();
select is(tests.stale('gold.d'), 'clean sum of load side clean sum', 'what a source has got since goes on from there');
select is(tests.refresh('gold.d', '{"dry_run": true}') #> '{plan,2,why}', '"bronze.b has changed since silver.c was made"', 'and it is said why');
select tests.refresh('gold.d');
select is(tests.work(), 'clean sum', 'those alone run');
select tests.door('north.operator', 'update_job', jsonb_build_object('job_id', :clean, 'description', 'another'));
select is(tests.stale('gold.d'), 'clean sum of load side clean sum', 'a job that was changed makes its table anew');
select tests.refresh('gold.d') as refresh \gset
select is(tests.work('clean'), 'clean', 'where one fails');
select is((select string_agg(k.task_key || ' ' || k.state || ' ' || k.termination_code, ', ' order by k.id) from queue.task_runs k where k.run_id = (:'refresh'::jsonb ->> 'run_id')::bigint), format('job_%s FAILED USER_CODE_FAILED, job_%s SKIPPED UPSTREAM_FAILED', :clean, :sum), 'what is made of it is left as it is, and says so');
select is(tests.stale('gold.d'), 'clean sum of load side clean sum', 'and is stale still');
select tests.refresh('gold.d');
select tests.work();

-- what is published while it is read is read again: the mark is of before
select tests.door('north.operator', 'run_job', jsonb_build_object('job_id', :sum));
select c as claim from tests.claim() c \gset
select tests.as('runner', format('worker.open_input(%s, 1, ''silver_c'')', :'claim'::jsonb ->> 'attempt_id'));
update catalog.assets set mark = mark + 1 where name = 'c';
select tests.as('runner', format('worker.open_output(%s, 1, ''gold_d'', ''[{"name": "a", "type": "bigint"}]'')', :'claim'::jsonb ->> 'attempt_id')) #>> '{}' as staging \gset
select tests.settle(:'claim', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 'gold_d', 'staging', :'staging'::text))));
select is(tests.stale('gold.d'), 'sum of load side clean sum', 'what has changed since it was read is not taken for read');
select tests.refresh('gold.d');
select tests.work();
-- an artifact
insert into artifact.artifacts (tenant_id, name, kind, created_by, latest_version) values (tests.tenant('north'), 'in.csv', 'data', 'x', 1) returning id as artifact \gset
insert into artifact.contents (tenant_id, sha256, size, path) select tests.tenant('north'), repeat(c, 64), 1, 'x/' || c from unnest(array['a', 'b']) c;
insert into artifact.versions (tenant_id, artifact_id, version, state, size, sha256, path, created_by, finished_at) values (tests.tenant('north'), :'artifact', 1, 'READY', 1, repeat('a', 64), 'x/1', 'x', now());
select tests.door('north.operator', 'update_job', jsonb_build_object('job_id', :load, 'tasks', jsonb_build_array(tests.submission(jsonb_build_object('task_key', 't', 'max_retries', 0, 'inputs', jsonb_build_array(jsonb_build_object('name', 'f', 'artifact_id', :'artifact'::text)), 'outputs', '[{"name": "bronze_a", "layer": "bronze", "table": "a"}]'::jsonb)))));
select tests.door('north.operator', 'run_job', jsonb_build_object('job_id', :load));
select c as claim from tests.claim() c \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''bronze_a'', ''[{"name": "a", "type": "bigint"}]'')', :'claim'::jsonb ->> 'attempt_id')) #>> '{}' as staging \gset
select tests.settle(:'claim', jsonb_build_object('tables', jsonb_build_array(jsonb_build_object('name', 'bronze_a', 'staging', :'staging'::text))));
select is(tests.stale('bronze.a'), 'nothing of load', 'a file that was there is not newer');
update artifact.artifacts set latest_version = 2 where id = :'artifact';
insert into artifact.versions (tenant_id, artifact_id, version, state, size, sha256, path, created_by, finished_at) values (tests.tenant('north'), :'artifact', 2, 'READY', 1, repeat('b', 64), 'x/2', 'x', clock_timestamp());
select is(tests.stale('bronze.a'), 'load of load', 'one that has come since is');

-- a rollup and a view go with what they stand on
select tests.door('north.operator', 'set_rollup', '{"table": "rolled", "source": "silver.c", "by": ["a"], "measures": [{"name": "n", "fn": "count"}]}');
select is(tests.stale('gold.rolled'), 'load clean of load side clean', 'a rollup is refreshed with its source');
create view gold_north.seen as select a from gold_north.d;
select is(tests.stale('gold.seen'), 'load clean sum of load side clean sum', 'a view by the tables under it');

-- --------------------------------------------------------------------------------------- bad input

select tests.job('one', '{gold.y}', '{gold.x}') as one, tests.job('two', '{gold.x}', '{gold.y}') as two \gset
select tests.refused('north.operator', $$ public.catalog_refresh('{"target": "gold.x"}') $$, 'MAKERS_IN_A_RING', 'jobs that read what they make of each other', format('one (job %s), two (job %s)', :one, :two));
select tests.refused('north.operator', $$ public.catalog_refresh('{"target": "gold.nothing"}') $$, 'TABLE_HAS_NO_MAKER', 'a table that nobody makes', 'gold.nothing');
select tests.refused('north.operator', format('public.catalog_refresh(%L)', b), c, 'no refresh: ' || b, p) from (values ('{}', 'FIELD_INVALID', '$.target'), ('{"target": "platinum.x"}', 'FIELD_INVALID', '$.target'), ('{"target": "gold.d", "force": "yes"}', 'FIELD_INVALID', '$'), ('{"target": "gold.d", "color": 1}', 'FIELD_UNKNOWN', '$.color')) x (b, c, p);
select tests.refused('north.viewer', $$ public.catalog_refresh('{"target": "gold.d"}') $$, 'ROLE_INSUFFICIENT', 'viewers refresh nothing');
select tests.refused('south.admin', $$ public.catalog_refresh('{"target": "gold.d"}') $$, 'TABLE_HAS_NO_MAKER', 'another tenant''s tables have no maker of one''s own');
select count(*) as runs from queue.runs \gset
select tests.refresh('gold.d', '{"idempotency_key": "k"}') ->> 'run_id' as first \gset
select is(tests.refresh('gold.d', '{"idempotency_key": "k"}') ->> 'run_id', :'first', 'the same key is the same run');

select * from finish();
rollback;
