-- What hosted Supabase has before the first migration: roles.
--
-- Run once per fresh cluster, as the superuser `supabase_admin` that initdb made.
-- Passwords are not written here: the stack makes them and sets them by itself.

-- `postgres` is what migrations run as. On hosted Supabase it is no superuser, and neither is it here:
-- whatever hosted refuses must fail on this machine too.
create role postgres
    login
    nosuperuser
    createdb
    createrole
    replication
    bypassrls;

-- the roles that a request may take
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;

-- the role that the Data API logs in as; it inherits nothing and becomes what the token says
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

-- the services of Supabase
create role supabase_auth_admin login noinherit noreplication;
create role supabase_storage_admin login noinherit createrole noreplication;
create role dashboard_user nologin createdb createrole replication;
alter role supabase_auth_admin set search_path = auth;
alter role supabase_storage_admin set search_path = storage;

grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

-- From Postgres 16 on CREATEROLE alone may no longer grant a role or change its settings: it needs ADMIN on
-- it. Hosted gives that for the request roles; for `authenticator` it is supautils that lets
-- `alter role authenticator set pgrst.…` pass, and ADMIN stands in for it.
do $$
begin
    if current_setting('server_version_num')::int >= 160000 then
        grant anon, authenticated, service_role, authenticator to postgres with admin option;
    else
        grant anon, authenticated, service_role to postgres;
    end if;
end
$$;

-- Stand-in for supautils.policy_grants, by which hosted lets `postgres` write policies on storage.objects.
-- It gives more than hosted does (the owner's rights): never alter storage.objects in a migration.
grant supabase_storage_admin to postgres;

-- Stand-in for supautils.privileged_role_allowed_configs (hosted: pgrst.*), without which only a superuser may
-- set a parameter that no loaded module has defined.
grant set on parameter
    pgrst.db_pre_request,
    pgrst.db_max_rows,
    pgrst.db_plan_enabled,
    pgrst.db_aggregates_enabled
to postgres;
