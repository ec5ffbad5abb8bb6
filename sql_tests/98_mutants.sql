-- Each control is taken away or loosened, one at a time, and is missed: policies, privileges, search paths, definers, views that
-- act as who asks, owners, keys, checks, guards, roles. The mutants come from the catalog, so a new control has its own on the
-- day it is made. Of each mutant only what it touches is asked, and then it is taken back (ADR 045):
--   behaviour   the cells of its table or function in wall.psql, as every actor
--   a lint      a rule of 96_lints finds it
--   a list      95_surface or 97_keys reads differently
-- A sample of the day in the everyday suite; all of them by `sql_tests/run --long 98`, or a sample of one's own:
--   PGOPTIONS='-c wall.mutants=500 -c wall.seed=0.25'
--   PGOPTIONS='-c wall.mutants=all -c wall.of=strangers|trusts'      those whose SQL has one of the words
begin;
\ir fixtures.psql
\ir sentinel.psql
insert into queue.news (tenant_id, run_id, ended) select tenant_id, id, true from queue.runs where tenant_id = tests.tenant('north') limit 1;
select tests.as('runner', format('worker.register(%L::jsonb)', jsonb_build_object('name', 'r1', 'instance', tests.runner(), 'offers', array['spark_etl/duckdb'], 'capacity', 4)));
set constraints all immediate;
\ir wall.psql
\ir cells.psql
select no_plan();

-- the lists and the lints, kept as questions
create table tests.lists (law text primary key, query text not null, lines text[] not null);
create function tests.exactly(p_query text, p_list text, p_law text)
returns text language sql as $$
    insert into tests.lists select p_law, replace(p_query, 'tests.rooms', 'tests.surface_rooms'), array_agg(btrim(l)) from regexp_split_to_table(p_list, E'\n') l where btrim(l) <> '';
    select null::text
$$;
create view tests.surface_rooms as
select oid, nspname as name from pg_namespace
where nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'worker', 'door', 'public', 'staging');
\set within 1
\o /dev/null
\ir 95_surface.sql
\ir 97_keys.sql
\ir 96_lints.sql
\o

create function tests.differs(p_law text)
returns text language plpgsql as $$
declare
    t tests.lists := (select l from tests.lists l where l.law ~ p_law);
    v text;
begin
    execute format('select string_agg(x, e''\n'') from ((select x from (%1$s) q (x) except select unnest($1)) union all (select unnest($1) except select x from (%1$s) q (x))) z (x)', t.query) into v using t.lines;
    return v;
end
$$;
create function tests.finds(p_lint text)
returns text language plpgsql as $$
declare
    v text;
begin
    execute format('select string_agg(distinct name::text, '', '' order by name::text) from lint.%I', p_lint) into v;
    return coalesce(v, '');
end
$$;
create function tests.wrong_cell(p_name text)
returns text language sql as $$
    select c.law from tests.tables_declared t, tests.cells(t.name) c where t.name = p_name and c.got is distinct from c.expected
    union all select c.law from tests.functions_declared f, tests.call_cells(f.name) c where f.name = p_name and c.got is distinct from c.expected limit 1
$$;
create temporary table lint_before as select c.relname::text as lint, tests.finds(c.relname::text) as found from pg_class c where c.relnamespace = 'lint'::regnamespace and c.relkind = 'v';
-- what is in the layers and in staging is north's, made by its run
create temporary table list_before as select l.law, tests.differs('^' || regexp_replace(l.law, '([():|\[\];=])', '\\\1', 'g') || '$') as differs from tests.lists l;

-- ---------------------------------------------------------------------------------------- the mutants

create temporary table mutants (id bigint generated always as identity, kind text not null, sql text not null, touches text, lints text[] not null default '{}', list text);
create temporary view outsiders as select r from unnest(array['anon', 'authenticated', 'service_role', 'runner', 'loader']) r;

insert into mutants (kind, sql, touches, lints, list)
select k.kind, k.sql, p.schemaname || '.' || p.tablename, '{rls_without_policy,policy_always_true,permissive_policies_add_up}'::text[], '^which policy'
from pg_policies p join tests.objects o on o.name = p.schemaname || '.' || p.tablename or p.schemaname = 'storage' and o.name = 'artifact.versions',
     lateral (values ('policy dropped', format('drop policy %I on %I.%I', p.policyname, p.schemaname, p.tablename)),
                     ('policy without its condition', format('alter policy %I on %I.%I %s %s', p.policyname, p.schemaname, p.tablename, case when p.qual <> 'true' then 'using (true)' end, case when p.with_check <> 'true' or p.qual <> 'true' and p.cmd = 'ALL' then 'with check (true)' end)),
                     ('policy without its role', case when p.qual ~ 'OR .*role\(\)|role\(\)' then format('alter policy %I on %I.%I using (%s)', p.policyname, p.schemaname, p.tablename, regexp_replace(p.qual, 'ground.member_role\)', 'ground.member_role or true)')) end),
                     ('rows may leave the tenant', case when p.cmd in ('ALL', 'UPDATE') and p.qual <> 'true' then format('alter policy %I on %I.%I with check (true)', p.policyname, p.schemaname, p.tablename) end),
                     ('policy for everybody', case when p.roles <> '{public}' then format('alter policy %I on %I.%I to public', p.policyname, p.schemaname, p.tablename) end)) k (kind, sql)
where k.sql is not null and (k.kind <> 'policy without its condition' or p.qual <> 'true' or p.with_check <> 'true');

insert into mutants (kind, sql, touches, lints, list)
select k.kind, k.sql, o.name, '{rls_off,foreign_owner,view_of_its_owner}'::text[], '^who owns and who may do what with which table'
from tests.objects o, lateral (values
    ('row security off', case when not o.is_view then format('alter table %s disable row level security', o.name) end),
    ('row security not forced', case when not o.is_view then format('alter table %s no force row level security', o.name) end),
    ('another owner', format('alter %s %s owner to postgres', case when o.is_view then 'view' else 'table' end, o.name)),
    ('view as its owner', case when o.is_view then format('alter view %s reset (security_invoker)', o.name) end)) k (kind, sql) where k.sql is not null
union all
select 'privilege given', format('grant %s on %s to %s', v, o.name, w.r), o.name, '{}'::text[], '^who owns and who may do what with which table'
from tests.objects o, outsiders w, unnest(array['select', 'insert', 'update', 'delete', 'truncate']) v where not has_table_privilege(w.r, o.oid, v)
union all
select 'privilege taken', format('revoke %s on %s from %s', g.privilege, o.name, g.grantee), o.name, '{}'::text[], '^who owns and who may do what with which table'
from tests.objects o, lateral (select distinct a.privilege_type as privilege, pg_get_userbyid(a.grantee) as grantee
    from (select x.* from pg_class c, aclexplode(c.relacl) x where c.oid = o.oid union all select x.* from pg_attribute t, aclexplode(t.attacl) x where t.attrelid = o.oid) a where a.grantee <> 0 and pg_get_userbyid(a.grantee) <> o.owner) g;

insert into mutants (kind, sql, touches, lints, list)
select k.kind, k.sql, case when f.room = 'public' then (select p.proname from pg_proc p where p.oid = f.oid) end, '{search_path_mutable,definer_exposed,definer_of_a_power,foreign_owner}'::text[],
       case when k.sql ~ 'from postgres$' then '^what the clock' else '^who owns and who may execute' end
from tests.functions f, lateral (select f.oid::regprocedure::text) s (signature), lateral (
    select 'search path open', format('alter function %s reset search_path', signature)
    union all select 'search path of public', format('alter function %s set search_path = public', signature)
    union all select 'definer and invoker changed', format('alter function %s security %s', signature, case when f.prosecdef then 'invoker' else 'definer' end)
    union all select 'another owner', format('alter function %s owner to postgres', signature)
    union all select 'execution given', format('grant execute on function %s to %s', signature, w) from unnest(array['public', 'anon', 'authenticated', 'service_role', 'runner']) w where w = 'public' or not has_function_privilege(w, f.oid, 'execute')
    union all select 'execution taken', format('revoke execute on function %s from %s', signature, a.grantee::regrole) from pg_proc p, aclexplode(p.proacl) a where p.oid = f.oid and a.grantee <> 0 and a.grantee <> p.proowner) k (kind, sql);

insert into mutants (kind, sql, touches, lints, list)
select case c.contype when 'f' then 'foreign key dropped' when 'c' then 'check dropped' else 'key dropped' end, format('alter table %s drop constraint %I cascade', c.conrelid::regclass, c.conname), null, '{no_primary_key}'::text[], '^which keys'
from pg_constraint c join tests.objects o on o.oid = c.conrelid where c.conparentid = 0 and c.contype in ('f', 'c', 'p', 'u', 'x')
union all
select 'domain without its check', format('alter domain %s drop constraint %I', c.contypid::regtype, c.conname), null, '{}'::text[], '^which keys'
from pg_constraint c join pg_type y on y.oid = c.contypid join tests.rooms r on r.oid = y.typnamespace
union all
select 'check that is always true', format('alter table %1$s drop constraint %2$I; alter table %1$s add constraint %2$I check (true)', c.conrelid::regclass, c.conname), null, '{}'::text[], '^which keys'
from pg_constraint c join tests.objects o on o.oid = c.conrelid where c.conparentid = 0 and c.contype = 'c'
union all
select 'unique index dropped', format('drop index %s', i.indexrelid::regclass), null, '{}'::text[], '^which keys'
from pg_index i join tests.objects o on o.oid = i.indrelid where i.indisunique and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))
union all
select k.kind, k.sql, null, '{guard_asleep}'::text[], '^which triggers'
from pg_trigger t join tests.objects o on o.oid = t.tgrelid, lateral (values
    ('guard dropped', format('drop trigger %I on %s', t.tgname, o.name)), ('guard that sleeps', format('alter table %s enable trigger %I', o.name, t.tgname)), ('guard off', format('alter table %s disable trigger %I', o.name, t.tgname))) k (kind, sql)
where not t.tgisinternal and t.tgparentid = 0
union all
select 'room opened', format('grant %s on schema %I to %s', v, r.name, w), null, '{}'::text[], '^who may use which schema'
from tests.surface_rooms r, unnest(array['anon', 'authenticated', 'service_role', 'runner', 'loader']) w, unnest(array['usage', 'create']) v where not has_schema_privilege(w, r.oid, v)
union all
select 'role with a power', format('alter role %I %s', r, v), null, '{}'::text[], '^what each role is'
from unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'runner', 'loader', 'app_owner', 'app_system']) r, unnest(array['bypassrls', 'createrole', 'createdb', 'replication', 'superuser']) v
union all
select 'owner that logs in', format('alter role %I login', r), null, '{}'::text[], '^what each role is' from unnest(array['loader', 'app_owner', 'app_system', 'viewer', 'operator', 'admin']) r
union all
select 'member of an owner', format('grant %I to %I', o, r), null, '{}'::text[], '^who is a member of whom'
from unnest(array['app_owner', 'app_system']) o, unnest(array['anon', 'authenticated', 'runner', 'loader', 'authenticator', 'service_role']) r
union all
select 'member of more', format('grant %I to %I', o, r), null, '{}'::text[], '^who is a member of whom'
from (values ('operator', 'viewer'), ('admin', 'operator'), ('admin', 'viewer'), ('service_role', 'admin'), ('runner', 'authenticator'), ('viewer', 'runner'), ('service_role', 'runner'), ('loader', 'authenticated')) x (o, r)
where not pg_has_role(x.r, x.o, 'member') and not pg_has_role(x.o, x.r, 'member') or o = 'loader';

-- --------------------------------------------------------------------------------------- each is missed

-- Who misses a mutant: "behaviour: …", "lint: …", "list: …"; "not made" where it cannot be made; null when nobody does.
create function tests.missed_by(m mutants)
returns text language plpgsql as $$
declare
    v text;
    l text;
begin
    begin
        execute m.sql;
    exception when others then
        return 'not made: ' || sqlerrm;
    end;
    begin
        v := 'behaviour: ' || tests.wrong_cell(m.touches);
        foreach l in array m.lints loop
            exit when v is not null;
            v := case when tests.finds(l) <> (select b.found from lint_before b where b.lint = l) then 'lint: ' || l end;
        end loop;
        if v is null then
            v := (select 'list: ' || b.law from list_before b where b.law ~ m.list and tests.differs(m.list) is distinct from b.differs);
        end if;
    exception when others then  -- what cannot even be asked any more is missed
        v := 'behaviour: ' || sqlerrm;
    end;
    raise exception using errcode = 'TEST1', message = coalesce(v, '');
exception when sqlstate 'TEST1' then
    return nullif(sqlerrm, '');
end
$$;
create temporary table results (id bigint, kind text, sql text, missed_by text);
do $$
declare
    v_wanted text := coalesce(nullif(current_setting('wall.mutants', true), ''), '60');
    v_seed double precision := coalesce(nullif(current_setting('wall.seed', true), '')::double precision, (current_date - '2026-01-01') % 1000 / 1000.0);
    m mutants;
    v_missed_by text;
begin
    perform setseed(v_seed);
    perform set_config('wall.seed', v_seed::text, true);
    for m in select x.* from (select * from mutants order by id) x where x.sql ~ coalesce(current_setting('wall.of', true), '') order by random() limit case when v_wanted = 'all' then null else v_wanted::integer end loop
        v_missed_by := tests.missed_by(m);
        insert into results values (m.id, m.kind, m.sql, v_missed_by);
        if v_missed_by is null or v_missed_by ~ '^not made' then
            raise info 'survived: %: % (%)', m.kind, m.sql, v_missed_by;
        end if;
    end loop;
end
$$;
select cmp_ok((select count(*) from mutants), '>', 3000::bigint, format('%s of %s mutants that the catalog makes, seed %s', (select count(*) from results), (select count(*) from mutants), current_setting('wall.seed')));
select is(string_agg(r.sql, E'\n') filter (where r.missed_by is null), null, format('%s: each of %s is missed (%s by what happens, %s by a lint, %s by a list)', r.kind, count(*) filter (where r.missed_by !~ '^not made' or r.missed_by is null),
    count(*) filter (where r.missed_by ~ '^behaviour'), count(*) filter (where r.missed_by ~ '^lint'), count(*) filter (where r.missed_by ~ '^list')))
from results r group by r.kind order by r.kind;
select is(string_agg(r.sql || ': ' || r.missed_by, E'\n'), null, 'each mutant can be made') from results r where r.missed_by ~ '^not made';

select * from finish();
rollback;
