-- The advisors' rules, and some stricter ones of our own, as questions to the catalog. Each is asked of what is there, and
-- then once more after its fault was seeded: a lint that catches nothing proves nothing.
-- 98_mutants asks the same of each mutant: it includes this file, and sets `within`.
\if :{?within}
\else
begin;
\ir fixtures.psql
select no_plan();
\endif

-- a table of each layer, made as every output is
set local role app_system;
select catalog.publish(tests.tenant('north'), 'north', s.name, l.layer, 'sample', 'overwrite', null)
from unnest(array['bronze', 'silver', 'gold']) l (layer), lateral (select replace(catalog.open_staging('lint_' || l.layer, '[{"name": "a", "type": "text"}]'), 'staging.', '') as name) s;
reset role;

create view tests.rooms as
select oid, nspname as name from pg_namespace
where nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'worker', 'door', 'public') or nspname ~ '^(bronze|silver|gold)_';
create view tests.tables as
select c.oid, r.name || '.' || c.relname as name, c.relkind, c.relowner, c.relrowsecurity, c.relforcerowsecurity, r.name as room, c.relispartition,
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped) as has_tenant
from pg_class c join tests.rooms r on r.oid = c.relnamespace where c.relkind in ('r', 'p');
create view tests.functions as
select p.oid, r.name || '.' || p.proname as name, p.prosecdef, p.proowner, p.prosrc, p.proconfig, r.name as room from pg_proc p join tests.rooms r on r.oid = p.pronamespace
where not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
create schema lint;

-- ------------------------------------------------------------------------------------- row security

create view lint.rls_off as  -- 0013, and force: on Supabase `postgres` passes row security, so owners must not
select name from tests.tables where not (relrowsecurity and relforcerowsecurity);
create view lint.rls_without_policy as  -- 0008
select t.name from tests.tables t where not t.relispartition and not exists (select from pg_policy p where p.polrelid = t.oid);
create view lint.permissive_policies_add_up as  -- 0006; a role has the policies of the roles it inherits from
select t.name || ' for ' || v.command || ' to ' || w.role as name
from tests.tables t cross join unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'service_role', 'runner', 'loader', 'app_owner', 'app_system']) w (role)
cross join unnest(array['r', 'a', 'w', 'd']) v (command)
join pg_policy p on p.polrelid = t.oid and p.polpermissive and p.polcmd in ('*', v.command)
where exists (select from unnest(p.polroles) r where r = 0 or pg_has_role(w.role, r, 'usage'))
group by 1 having count(*) > 1;
create view lint.policy_always_true as  -- 0024, and reading: no policy for people is just true
select t.name from pg_policies p join tests.tables t on t.name = p.schemaname || '.' || p.tablename
where (p.qual = 'true' or p.with_check = 'true') and p.roles && array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'service_role', 'public']::name[] and t.name not in ('ground.error_codes', 'job.job_types', 'queue.termination_codes');
create view lint.policy_calls_per_row as  -- 0003 and worse: measured, 1.55 M rows: wrapped 75 ms, of the row 16.7 s
select p.schemaname || '.' || p.tablename || ': ' || p.policyname as name
from pg_policies p
cross join lateral (select regexp_replace(concat_ws(' ', p.qual, p.with_check), '\( SELECT [a-z_.]+\(\) AS \w+\)|storage\.foldername\(name\)', '', 'g') as unwrapped) u
cross join lateral (select regexp_replace(u.unwrapped, '\m(AND|OR|IN|NOT|ANY|WHERE|SELECT|FROM)\s*\(', ', (', 'g') as rest) x
where (p.schemaname in (select r.name from tests.rooms r) or p.schemaname = 'storage') and x.rest ~ '[A-Za-z_]\w*\s*\(';
create view lint.user_metadata_decides as  -- 0015: users write it themselves
select p.schemaname || '.' || p.tablename as name from pg_policies p where concat_ws(' ', p.qual, p.with_check) ~ 'user_metadata'
union all select f.name from tests.functions f where f.prosrc ~ 'user_metadata';
create view lint.tenant_missing as  -- tenant on every row
select t.name from tests.tables t where not t.has_tenant and t.name not in ('ground.error_codes', 'job.job_types', 'queue.termination_codes', 'artifact.upkeep', 'audit.settings', 'queue.runners', 'queue.settings', 'queue.unbroken', 'callback.settings', 'tenancy.stranger_rate', 'tenancy.strangers', 'tenancy.tenants');

-- ---------------------------------------------------------------------------------- functions and views

create view lint.search_path_mutable as  -- 0011
select f.name from tests.functions f where coalesce(not ('search_path=""' = any (f.proconfig)), true);
create view lint.definer_exposed as  -- 0028, 0029
select f.name from tests.functions f where f.room = 'public' and f.prosecdef;
create view lint.definer_of_a_power as  -- whoever passes row security lends it to every caller
select f.name from tests.functions f join pg_roles r on r.oid = f.proowner where f.prosecdef and (r.rolsuper or r.rolbypassrls or r.rolname not in ('app_owner', 'app_system'));
create view lint.door_without_question as  -- a definer that people may call asks who is there
select f.name from tests.functions f
where f.prosecdef and has_function_privilege('authenticated', f.oid, 'execute') and f.prosrc !~ 'tenancy\.require\(' and f.name not in ('door.health', 'tenancy.membership');
create view lint.token_door_without_token as  -- a definer that anon may call asks for a token, or for what the edge function has vouched for
select f.name from tests.functions f
where f.prosecdef and has_function_privilege('anon', f.oid, 'execute') and f.prosrc !~ 'p ->> ''token''|ground\.claims\(\) -> ''assertion''' and f.name not in ('door.health', 'door.knock_outside', 'tenancy.membership');
create view lint.dynamic_sql as  -- where lexical checks are blind: a short list
select f.name from tests.functions f where f.prosrc ~* '(^|\s)execute\s' and f.name not in ('catalog.open_layers', 'catalog.open_staging', 'catalog.build_rollup', 'catalog.count_failed', 'catalog.count_surplus', 'catalog.drop_rollup', 'catalog.drop_staging', 'catalog.guard_layers', 'catalog.judge', 'catalog.make_table', 'catalog.merge_out', 'catalog.note_rollup', 'catalog.roll_up', 'catalog.touched', 'catalog.try_expectation', 'catalog.publish', 'catalog.publish_entries', 'catalog.stage_input', 'catalog.high_water', 'public.read_table', 'ground.turn_calendar');
create view lint.view_of_its_owner as  -- 0010
select r.name || '.' || c.relname as name from pg_class c join tests.rooms r on r.oid = c.relnamespace
where c.relkind = 'v' and coalesce(not (array['security_invoker=true', 'security_invoker=on'] && c.reloptions), true) and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e');
create view lint.matview_readable as  -- 0016, 0017: neither can have row security
select r.name || '.' || c.relname as name from pg_class c join tests.rooms r on r.oid = c.relnamespace, unnest(array['anon', 'authenticated', 'service_role', 'runner', 'loader']) w
where c.relkind in ('m', 'f') and has_table_privilege(w, c.oid, 'select') group by 1;
create view lint.sensitive_columns as  -- 0023
select r.name || '.' || c.relname || '.' || a.attname as name from pg_class c join tests.rooms r on r.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
where r.name = 'public' and c.relkind in ('r', 'v', 'm', 'p') and a.attname ~ '(hash|password|passwd|(^|_)token|(^|_)secret($|_)|api_?key|private_key|ssn)' and a.attname <> 'secret_version'
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e');
create view lint.foreign_owner as  -- nothing of ours belongs to a role with members
select t.name from tests.tables t where pg_get_userbyid(t.relowner) not in ('app_owner', 'app_system') union all select f.name from tests.functions f where pg_get_userbyid(f.proowner) not in ('app_owner', 'app_system');

-- --------------------------------------------------------------------------------------- keys, indexes

create view lint.no_primary_key as  -- 0004
select t.name from tests.tables t where t.room !~ '^(bronze|silver|gold)_' and not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary);
create view lint.foreign_key_crosses_tenants as  -- foreign keys pass row security
select t.name || ': ' || c.conname as name from pg_constraint c join tests.tables t on t.oid = c.conrelid join tests.tables u on u.oid = c.confrelid
where c.contype = 'f' and c.conparentid = 0 and t.has_tenant and u.has_tenant
  and not exists (select from unnest(c.conkey, c.confkey) k (here, there)
                  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.here and a.attname = 'tenant_id' join pg_attribute b on b.attrelid = c.confrelid and b.attnum = k.there and b.attname = 'tenant_id');
create view lint.unindexed_foreign_key as  -- 0001
select t.name || ': ' || c.conname as name from pg_constraint c join tests.tables t on t.oid = c.conrelid
where c.contype = 'f' and not exists (select from pg_index i where i.indrelid = c.conrelid and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] <@ c.conkey);
create view lint.unique_across_tenants as  -- a unique key without the tenant tells one tenant of another's rows
select t.name || ': ' || n.relname as name from pg_index i join tests.tables t on t.oid = i.indrelid join pg_class n on n.oid = i.indexrelid
where i.indisunique and t.has_tenant
  and not exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[]) and a.attname = 'tenant_id')
  -- numbers that the database gives, and values that nobody guesses
  and n.relname !~ '^past_attempts(_\w+)?_pkey$' and n.relname not in ('live_attempts_pkey', 'outside_pkey', 'entries_pkey', 'unsealed_pkey', 'seals_pkey', 'allowed_networks_pkey', 'allowed_networks_once', 'access_tokens_hash_key', 'contents_path_key',
    'removals_bucket_path_key', 'spent_assertions_pkey', 'invitations_hash_key', 'pending_versions_have_their_places');
-- A session that first met a table while it was empty keeps its plan until the table is analysed; between two indexes that
-- begin with the tenant that plan is a toss-up, and a foreign key was checked by reading all of the tenant's rows (18 ms a
-- submission after 40,000 of them). The selective column comes first, the tenant after it.
create view lint.tenant_first_twice as
select t.name || ': ' || string_agg(n.relname, ', ' order by n.relname) as name
from pg_index i join tests.tables t on t.oid = i.indrelid join pg_class n on n.oid = i.indexrelid
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] and a.attname = 'tenant_id'
where i.indpred is null and t.name not in ('catalog.assets', 'artifact.aliases')  -- tens of rows
group by t.name having count(*) > 1;
create view lint.duplicate_index as  -- 0009
select t.name || ': ' || string_agg(n.relname, ', ' order by n.relname) as name from pg_index i join tests.tables t on t.oid = i.indrelid join pg_class n on n.oid = i.indexrelid
group by t.name, regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX \S+ ON ', ' INDEX ON ') having count(*) > 1;
create view lint.reg_type as  -- 0018: they stop a major upgrade
select t.name || '.' || a.attname as name from tests.tables t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 join pg_type y on y.oid = a.atttypid where y.typname ~ '^reg(class|proc|type|role|namespace|oper|operator|procedure|config|dictionary|collation)$';
create view lint.key_to_auth as  -- 0021, 0002
select t.name || ': ' || c.conname as name from pg_constraint c join tests.tables t on t.oid = c.conrelid where c.contype = 'f' and c.confrelid::regclass::text ~ '^auth\.';
create view lint.extension_in_public as  -- 0014
select e.extname::text as name from pg_extension e where e.extnamespace = 'public'::regnamespace;
create view lint.public_bucket as  -- 0025
select b.id as name from storage.buckets b where b.public;
create view lint.hidden_machinery as  -- no triggers that move data between rooms, no rules, no event triggers
select t.tgrelid::regclass::text || ': ' || t.tgname as name from pg_trigger t join tests.tables x on x.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
where not t.tgisinternal and p.proname not in ('refuse_change', 'refuse_rewrite', 'refuse_final_change', 'refuse_other_content', 'refuse_early_delete', 'refuse_unjudged', 'refuse_other_code')
union all select r.rulename::text from pg_rules r join tests.rooms n on n.name = r.schemaname
union all select e.evtname::text from pg_event_trigger e;
create view lint.guard_asleep as  -- guards of append-only tables run even under session_replication_role
select t.tgrelid::regclass::text || ': ' || t.tgname as name from pg_trigger t join tests.tables x on x.oid = t.tgrelid where not t.tgisinternal and t.tgenabled <> 'A';

-- ---------------------------------------------------------------------------------------- nothing found

create function tests.lint(p_lint text)
returns text[] language plpgsql as $$
declare
    v text[];
begin
    execute format('select coalesce(array_agg(distinct name::text order by name::text), ''{}'') from lint.%I', p_lint) into v;
    return v;
end
$$;
\if :{?within}
\else
select is(tests.lint(c.relname), '{}', 'lint: ' || replace(c.relname, '_', ' ')) from pg_class c where c.relnamespace = 'lint'::regnamespace and c.relkind = 'v' order by c.relname;

-- ------------------------------------------------------------------------------- each of them seeded once

create function tests.seeded(p_lint text, p_seed text, p_found text)
returns text language plpgsql as $$
declare
    v text[];
begin
    begin
        execute p_seed;
        v := tests.lint(p_lint);
        raise exception using errcode = 'TEST1';  -- takes the seed back
    exception when sqlstate 'TEST1' then
        null;
    end;
    return is(v, array[p_found], format('caught: %s by: %s', replace(p_lint, '_', ' '), left(p_seed, 120)));
end
$$;
create temporary table seeds (lint text, seed text, found text);
insert into seeds values
    ('rls_off', 'alter table queue.runs disable row level security', 'queue.runs'),
    ('rls_off', 'alter table lineage.edges no force row level security', 'lineage.edges'),
    ('rls_off', 'alter table gold_north.sample no force row level security', 'gold_north.sample'),
    ('rls_off', 'create table job.extra (tenant_id uuid primary key)', 'job.extra'),
    ('rls_without_policy', 'create table job.extra (tenant_id uuid primary key); alter table job.extra enable row level security', 'job.extra'),
    ('permissive_policies_add_up', 'create policy x on queue.runs for select to admin using (tenant_id is not null)', 'queue.runs for r to admin'),
    ('permissive_policies_add_up', 'create policy x on queue.logs for update to app_system using (true)', 'queue.logs for w to app_system'),
    ('policy_always_true', 'alter policy "members see their runs" on queue.runs using (true)', 'queue.runs'),
    ('policy_always_true', 'create policy x on job.jobs for insert to viewer with check (true)', 'job.jobs'),
    ('policy_calls_per_row', 'alter policy "members see their runs" on queue.runs using (tenant_id = tenancy.tenant_id())', 'queue.runs: members see their runs'),
    ('policy_calls_per_row', 'alter policy "members see their jobs" on job.jobs using (tenancy.is_granted(tenant_id, name, name))', 'job.jobs: members see their jobs'),
    ('policy_calls_per_row', 'alter policy "members see their jobs" on job.jobs using ((select tenancy.is_granted(tenant_id, name, name)))', 'job.jobs: members see their jobs'),
    ('user_metadata_decides', $$ alter policy "members see their runs" on queue.runs using (name = (select ground.claims() #>> '{user_metadata,role}')) $$, 'queue.runs'),
    ('user_metadata_decides', $$ create function job.x() returns text language sql as $f$ select ground.claims() #>> '{user_metadata,tenant}' $f$ $$, 'job.x'),
    ('tenant_missing', 'create table job.extra (id bigint primary key)', 'job.extra'),
    ('search_path_mutable', 'alter function queue.hold(bigint, integer) reset search_path', 'queue.hold'),
    ('search_path_mutable', 'alter function door.run_job(jsonb) set search_path = public', 'door.run_job'),
    ('definer_exposed', 'alter function public.run_job(jsonb) security definer', 'public.run_job'),
    ('definer_of_a_power', 'alter function door.run_job(jsonb) owner to postgres', 'door.run_job'),
    ('door_without_question', $$ create function door.x(p jsonb) returns jsonb language sql security definer set search_path = '' as 'select p'; revoke all on function door.x(jsonb) from public; grant execute on function door.x(jsonb) to authenticated $$, 'door.x'),
    ('token_door_without_token', $$ create function door.x(p jsonb) returns jsonb language sql security definer set search_path = '' as 'select p'; revoke all on function door.x(jsonb) from public; grant execute on function door.x(jsonb) to anon $$, 'door.x'),
    ('dynamic_sql', $$ create function job.x(p text) returns void language plpgsql as 'begin execute p; end' $$, 'job.x'),
    ('view_of_its_owner', 'alter view public.runs reset (security_invoker)', 'public.runs'),
    ('view_of_its_owner', 'create view queue.x as select 1 as one', 'queue.x'),
    ('matview_readable', 'create materialized view gold_north.m as select 1 as one; grant select on gold_north.m to authenticated', 'gold_north.m'),
    ('sensitive_columns', 'create view public.x with (security_invoker = true) as select hash from tenancy.access_tokens', 'public.x.hash'),
    ('foreign_owner', 'alter table job.jobs owner to postgres', 'job.jobs'),
    ('foreign_owner', 'alter function queue.hold(bigint, integer) owner to postgres', 'queue.hold'),
    ('no_primary_key', 'alter table queue.payloads drop constraint payloads_pkey', 'queue.payloads'),
    ('foreign_key_crosses_tenants', 'alter table queue.task_runs add constraint x foreign key (id) references queue.live_attempts (id)', 'queue.task_runs: x'),
    ('unindexed_foreign_key', 'drop index callback.subscriptions_of_endpoint', 'callback.subscriptions: subscriptions_tenant_id_endpoint_id_fkey'),
    ('unindexed_foreign_key', 'drop index lineage.edges_of_job', 'lineage.edges: edges_tenant_id_job_id_fkey'),
    ('unique_across_tenants', 'create unique index x on job.jobs (name)', 'job.jobs: x'),
    ('duplicate_index', 'create index x on lineage.edges (job_id, tenant_id)', 'lineage.edges: edges_of_job, x'),
    ('tenant_first_twice', 'create index x on queue.task_runs (tenant_id, run_id)', 'queue.task_runs: task_runs_pkey, x'),
    ('reg_type', 'alter table catalog.assets add column x regclass', 'catalog.assets.x'),
    ('key_to_auth', 'alter table tenancy.members add column x uuid references auth.users (id)', 'tenancy.members: members_x_fkey'),
    ('extension_in_public', 'alter extension pgcrypto set schema public', 'pgcrypto'),
    ('public_bucket', $$ update storage.buckets set public = true where id = 'artifacts' $$, 'artifacts'),
    ('hidden_machinery', $$ create function queue.x() returns trigger language plpgsql as 'begin return new; end'; create trigger x after insert on queue.runs for each row execute function queue.x() $$, 'queue.runs: x'),
    ('hidden_machinery', 'create rule x as on delete to queue.logs do instead nothing', 'x'),
    ('guard_asleep', 'alter table lineage.edges enable trigger edges_are_never_deleted', 'lineage.edges: edges_are_never_deleted');
select tests.seeded(s.lint, s.seed, s.found) from seeds s;
select is_empty($$ select c.relname from pg_class c where c.relnamespace = 'lint'::regnamespace and c.relkind = 'v' and c.relname not in (select lint from seeds) $$, 'no lint without its seed');

select * from finish();
rollback;
\endif
