-- The whole surface as exact lists: who owns what, who may execute, read and write what, by which policy, and who is a member
-- of whom. The questions are here, and what is of no room; what a room has is in its own file, surface/<room>.psql. A change of
-- the surface is a change of that file; what a test prints as extra or missing is the line to think about.
-- 98_mutants asks the same lists of each mutant: it includes this file, and sets `within`.
\if :{?within}
\else
begin;
\ir fixtures.psql
select no_plan();
drop schema bronze_north, silver_north, gold_north, bronze_south, silver_south, gold_south;
\endif

-- the lines of a list, without its empty ones
create function tests.lines(p text)
returns setof text language sql immutable as $$ select btrim(l) from regexp_split_to_table(p, E'\n') l where btrim(l) <> '' $$;
\if :{?within}
\else
create function tests.exactly(p_query text, p_list text, p_law text)
returns text language sql as $$
    select set_eq(p_query, array(select tests.lines(p_list)), p_law)
$$;
create view tests.rooms as
select oid, nspname as name from pg_namespace
where nspname in ('ground', 'tenancy', 'artifact', 'job', 'queue', 'lineage', 'catalog', 'schedule', 'callback', 'audit', 'worker', 'door', 'public', 'staging');
\endif

-- what each room says of itself: room | what is listed | its lines
create table tests.surface (room text, what text check (what in ('functions', 'tables', 'policies', 'triggers')), lines text not null, primary key (room, what));
\ir surface/ground.psql
\ir surface/tenancy.psql
\ir surface/artifact.psql
\ir surface/job.psql
\ir surface/queue.psql
\ir surface/lineage.psql
\ir surface/schedule.psql
\ir surface/catalog.psql
\ir surface/callback.psql
\ir surface/audit.psql
\ir surface/worker.psql
\ir surface/door.psql
\ir surface/public.psql
\ir surface/storage.psql
create function tests.declared(p_what text)
returns text language sql stable as $$ select string_agg(s.lines, E'\n') from tests.surface s where s.what = p_what $$;

select tests.exactly($q$
    select concat_ws(' | ', n.nspname, pg_get_userbyid(n.nspowner), (select string_agg(g, '; ' order by g) from (
               select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || string_agg(lower(a.privilege_type), ' ' order by a.privilege_type) as g
               from aclexplode(n.nspacl) a where a.grantee <> n.nspowner and (a.grantee = 0 or pg_get_userbyid(a.grantee) not in ('dashboard_user', 'postgres')) group by a.grantee) x))
    from pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tests', 'auth', 'storage', 'extensions', 'supabase_migrations')
$q$, $list$
    artifact | app_owner | app_system usage; authenticated usage; service_role usage
    audit | app_owner | app_system usage; authenticated usage; service_role usage
    callback | app_owner | app_system usage; authenticated usage; service_role usage
    catalog | app_owner | app_system usage; authenticated usage; service_role usage
    door | app_owner | anon usage; app_system usage; authenticated usage; service_role usage
    ground | app_owner | anon usage; app_system usage; authenticated usage; runner usage; service_role usage; supabase_auth_admin usage
    job | app_owner | app_system usage; authenticated usage; service_role usage
    lineage | app_owner | app_system usage; authenticated usage; service_role usage
    public | pg_database_owner | anon usage; authenticated usage; public usage; service_role usage
    queue | app_owner | app_system usage; authenticated usage; service_role usage
    schedule | app_owner | app_system usage; authenticated usage; service_role usage
    staging | app_system | loader usage
    tenancy | app_owner | anon usage; app_system usage; authenticated usage; service_role usage; supabase_auth_admin usage
    worker | app_system | runner usage; scaler usage
$list$, 'who may use which schema: owner | others');

select tests.exactly($q$
    select concat_ws(' | ', r.name || '.' || p.proname || '(' || (select coalesce(string_agg(format_type(t, null), ', ' order by o), '') from unnest(p.proargtypes) with ordinality x (t, o)) || ')',
               pg_get_userbyid(p.proowner) || case when p.prosecdef then ' definer' else '' end,
               (select string_agg(w, ' ' order by o) from unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'service_role', 'runner', 'scaler', 'loader', 'app_owner', 'app_system', 'supabase_auth_admin', 'supabase_storage_admin', 'authenticator', 'dashboard_user'])
                    with ordinality x (w, o) where has_function_privilege(w, p.oid, 'execute') and w <> pg_get_userbyid(p.proowner) and w not in ('viewer', 'operator', 'admin')))
    from pg_proc p join tests.rooms r on r.oid = p.pronamespace where not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
$q$, tests.declared('functions'), 'who owns and who may execute which function: owner | others; definers are marked');

select tests.exactly($q$
    select concat_ws(' | ', case c.relkind::text when 'r' then 'table ' when 'p' then 'table ' when 'v' then 'view ' when 'S' then 'sequence ' else c.relkind::text || ' ' end || r.name || '.' || c.relname, pg_get_userbyid(c.relowner),
               (select string_agg(g, '; ' order by g) from (
                    select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || string_agg(lower(a.privilege_type), ' ' order by a.privilege_type) as g
                    from aclexplode(c.relacl) a where a.grantee <> c.relowner group by a.grantee) x),
               (select string_agg(g, '; ' order by g) from (
                    select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || lower(a.privilege_type) || ' of ' || string_agg(t.attname, ' ' order by t.attnum) as g
                    from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid group by a.grantee, a.privilege_type) x))
    from pg_class c join tests.rooms r on r.oid = c.relnamespace
    where not c.relispartition and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and not (c.relkind = 'S' and c.relacl is null) and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
$q$, tests.declared('tables'), 'who owns and who may do what with which table, view or sequence: owner | others | columns');

-- a predicate in the words of the rooms' files
create function tests.predicate(p text)
returns text language sql immutable as $$
    select case lower(regexp_replace(regexp_replace(p, ' AS \w+', '', 'g'), '\s+', ' ', 'g'))
        when '(tenant_id = ( select tenancy.tenant_id()))' then 'own tenant'
        when '(tenant_id = ( select ground.claimed_tenant_id()))' then 'claimed tenant'
        when '((tenant_id = ( select tenancy.tenant_id())) and (( select tenancy.role()) >= ''operator''::ground.member_role))' then 'own tenant, operators'
        when '((tenant_id = ( select tenancy.tenant_id())) and (( select tenancy.role()) = ''admin''::ground.member_role))' then 'own tenant, admins'
        when 'true' then 'all'
        else lower(regexp_replace(regexp_replace(p, ' AS \w+', '', 'g'), '\s+', ' ', 'g')) end
$$;

select tests.exactly($q$
    select concat_ws(' | ', p.schemaname || '.' || p.tablename, lower(p.cmd), array_to_string(p.roles, ' '), p.policyname, tests.predicate(p.qual), nullif(tests.predicate(p.with_check), tests.predicate(p.qual)),
               case p.permissive when 'RESTRICTIVE' then 'restrictive' end)
    from pg_policies p where p.schemaname <> 'storage' or p.tablename in ('objects', 'buckets')
$q$, tests.declared('policies'), 'which policy lets whom do what: table | command | role | name | predicate [| check]');

select tests.exactly($q$
    select concat_ws(' | ', t.tgrelid::regclass::text, t.tgname, t.tgenabled::text) from pg_trigger t join pg_class c on c.oid = t.tgrelid join tests.rooms r on r.oid = c.relnamespace where not t.tgisinternal
$q$, tests.declared('triggers'), 'which triggers guard what: table | name | enabled (A = always)');

select tests.exactly($q$
    select concat_ws(' | ', rolname, nullif(concat_ws(' ', case when rolcanlogin then 'login' end, case when rolinherit then 'inherit' end, case when rolsuper then 'super' end, case when rolcreaterole then 'createrole' end,
               case when rolcreatedb then 'createdb' end, case when rolreplication then 'replication' end, case when rolbypassrls then 'bypassrls' end), ''))
    from pg_roles where rolname in ('anon', 'authenticated', 'service_role', 'viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'authenticator')
$q$, $list$
    admin | inherit
    anon | inherit
    app_owner
    app_system
    authenticated | inherit
    authenticator | login
    loader
    operator | inherit
    runner | login
    scaler | login
    service_role | inherit bypassrls
    viewer | inherit
$list$, 'what each role is');

select tests.exactly($q$
    select format('%s is a %s', m.rolname, r.rolname) from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
    where (r.rolname in ('viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'service_role', 'supabase_admin', 'postgres')
           or m.rolname in ('viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'authenticator', 'anon', 'authenticated', 'service_role'))
      and m.rolname <> 'supabase_admin' and r.rolname !~ '^pg_'
      and coalesce((to_jsonb(a) ->> 'inherit_option')::boolean or (to_jsonb(a) ->> 'set_option')::boolean, true)
$q$, $list$
    admin is a operator
    authenticator is a admin
    authenticator is a anon
    authenticator is a authenticated
    authenticator is a operator
    authenticator is a service_role
    authenticator is a viewer
    operator is a viewer
    postgres is a service_role
    runner is a loader
    viewer is a authenticated
$list$, 'who is a member of whom (a membership that can neither be inherited nor taken is only the right to administer)');

select tests.exactly($q$
    select concat_ws(' | ', pg_get_userbyid(d.defaclrole), d.defaclobjtype::text, a.grantee::regrole::text) from pg_default_acl d, aclexplode(d.defaclacl) a where pg_get_userbyid(d.defaclrole) in ('postgres', 'app_owner', 'app_system')
$q$, $list$
    app_owner | f | app_owner
    app_system | f | app_system
    postgres | f | postgres
$list$, 'what new objects give away: nothing');

select tests.exactly($q$
    select p.oid::regprocedure::text from pg_proc p join tests.rooms r on r.oid = p.pronamespace, aclexplode(p.proacl) a where a.grantee = 'postgres'::regrole and p.proowner <> 'postgres'::regrole
$q$, $list$
    worker.fire(integer)
$list$, 'what the clock of the database, which is postgres, may execute');

\if :{?within}
\else
-- ---------------------------------------------------------------------------------- laws in words
select is_empty($$ select s.room || ': ' || l from tests.surface s, tests.lines(s.lines) l where l !~ format('^((table|view|sequence) )?%s\.', s.room) $$, 'each line stands in the file of its room');
select is_empty($$ select p.oid::regprocedure::text || ' for ' || w from pg_proc p join tests.rooms r on r.oid = p.pronamespace, unnest(array['viewer', 'operator', 'admin']) w
                   where has_function_privilege(w, p.oid, 'execute') <> has_function_privilege('authenticated', p.oid, 'execute') $$, 'what is granted to authenticated is granted to the whole chain of roles, and nothing else is');
select is_empty($$ select p.oid::regprocedure::text from pg_proc p join tests.rooms r on r.oid = p.pronamespace where p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0) $$, 'nothing is executable by PUBLIC');
select is_empty($$ select c.oid::regclass::text from pg_class c join tests.rooms r on r.oid = c.relnamespace, aclexplode(c.relacl) a where a.grantee = 0 $$, 'nothing is readable by PUBLIC');
select is_empty($$ select c.oid::regclass::text from pg_class c join tests.rooms r on r.oid = c.relnamespace where c.relispartition and c.relkind = 'r' and (c.relacl is not null or not c.relforcerowsecurity or exists (select from pg_policy p where p.polrelid = c.oid)) $$, 'no partition is reached by itself');
select is_empty($$ select m.rolname from pg_auth_members a join pg_roles m on m.oid = a.member where a.roleid in ('app_owner'::regrole, 'app_system'::regrole) and m.rolname <> 'supabase_admin'
                   and coalesce((to_jsonb(a) ->> 'inherit_option')::boolean or (to_jsonb(a) ->> 'set_option')::boolean, true) $$, 'the owners of the tables have no members in operation');
select is_empty($$ select rolname from pg_roles where (rolsuper or rolbypassrls) and rolname in ('anon', 'authenticated', 'viewer', 'operator', 'admin', 'app_owner', 'app_system', 'runner', 'scaler', 'loader', 'authenticator') $$, 'none of ours passes row security');
select is_empty(format($$ select n.nspname from pg_namespace n where n.nspname !~ '^pg_' and has_schema_privilege(%L, n.oid, 'create') $$, w), w || ' makes nothing anywhere')
from unnest(array['anon', 'authenticated', 'viewer', 'operator', 'admin', 'service_role', 'runner', 'scaler', 'loader', 'authenticator']) w;
select is(array(select d.privilege_type from pg_database b, aclexplode(b.datacl) d where b.datname = current_database() and d.grantee = 'app_owner'::regrole), '{CREATE}', 'the owners make schemas');
select is((select count(*) from pg_proc p join tests.rooms r on r.oid = p.pronamespace where r.name = 'public' and p.prosecdef), 0::bigint, 'no definer in the exposed schema');

select * from finish();
rollback;
\endif
