-- audit: who did what, when, from where; appended in the transaction of the act, never changed.

grant app_owner, app_system to postgres;
create schema audit authorization app_owner;
set role app_owner;
grant usage on schema audit to authenticated, service_role, app_system;

create table audit.entries (
    id bigint not null generated always as identity primary key,
    tenant_id uuid references tenancy.tenants,  -- null: an act of the platform on no single tenant
    at timestamptz not null default clock_timestamp(),
    user_id text not null,
    role text not null,
    token_id text,
    action text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    object_type text not null,
    object_id text not null,
    details jsonb not null default '{}',
    request_id text,
    ip text
);
create index entries_of_tenant on audit.entries (tenant_id, id);
alter table audit.entries enable row level security;
alter table audit.entries force row level security;
create policy "admins read their audit" on audit.entries for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) = 'admin');
create policy "doors append for the caller" on audit.entries for insert to app_owner
    with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the platform appends" on audit.entries for insert to app_system with check (true);
create policy "the platform reads" on audit.entries for select to app_system using (true);
grant select on audit.entries to authenticated;
grant select, insert on audit.entries to app_system;

create trigger entries_are_append_only before update or delete on audit.entries for each row execute function ground.refuse_change();
create trigger entries_are_never_truncated before truncate on audit.entries for each statement execute function ground.refuse_change();
alter table audit.entries enable always trigger entries_are_append_only;
alter table audit.entries enable always trigger entries_are_never_truncated;

create function audit.append(p_tenant uuid, p_action text, p_object_type text, p_object_id text, p_details jsonb default '{}')
returns void language plpgsql set search_path = '' as $$
declare
    c jsonb := ground.claims();
    h jsonb := coalesce(nullif(current_setting('request.headers', true), ''), '{}')::jsonb;
begin
    insert into audit.entries (tenant_id, user_id, role, token_id, action, object_type, object_id, details, request_id, ip)
    values (p_tenant, coalesce(c ->> 'user_id', c ->> 'sub', 'service'), coalesce(c ->> 'user_role', c ->> 'role', 'service_role'), c ->> 'token_id',
            p_action, p_object_type, p_object_id, p_details, left(h ->> 'x-request-id', 128), left(split_part(h ->> 'x-forwarded-for', ',', 1), 64));
end
$$;
revoke all on function audit.append(uuid, text, text, text, jsonb) from public;
grant execute on function audit.append(uuid, text, text, text, jsonb) to app_system;

set role postgres;
revoke app_owner, app_system from postgres;
