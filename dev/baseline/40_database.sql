-- Settings that belong to the database and not to the cluster. `create database … template` does not copy
-- them, so the test bed runs this file again for each database that it makes.

do $$
begin
    execute format('alter database %I set search_path = "$user", public, extensions', current_database());
    -- without it the exposure advisors skip their work in silence
    execute format('alter database %I set pgrst.db_schemas = %L', current_database(), 'public');
end
$$;
