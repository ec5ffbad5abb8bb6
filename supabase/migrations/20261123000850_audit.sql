-- audit: who did what, when, from where; appended in the transaction of the act, never changed.

grant app_owner, app_system to postgres;
create schema audit authorization app_owner;
set role app_owner;
grant usage on schema audit to authenticated, service_role, app_system;

create table audit.settings (
    one boolean primary key default true check (one),
    -- the header that the project's own front writes the caller's address into: the last one of its list counts
    client_header text not null default 'x-forwarded-for' check (client_header in ('x-forwarded-for', 'cf-connecting-ip', 'x-real-ip')),
    edge_key_hash bytea check (length(edge_key_hash) = 32)  -- null: no request is believed to come from the edge function
);
insert into audit.settings default values;
comment on table audit.settings is 'Internal: whom to believe about where a request comes from.';

create domain audit.action as text check (value ~ '^[a-z_]+\.[a-z_]+$');
create domain audit.door as text check (value in ('edge', 'rpc', 'sql'));  -- sql: no request at all

create table audit.entries (
    id bigint not null generated always as identity primary key,
    -- null: an act of the platform on no single tenant. No foreign key: it would lock the tenant's row for each entry; row security
    -- knows whose entries are appended
    tenant_id uuid,
    at timestamptz not null default clock_timestamp(),
    user_id text not null,
    role text not null,
    token_id text,
    action audit.action not null,
    object_type text not null,
    object_id text not null,
    details jsonb not null default '{}',
    door audit.door not null,
    ip text,             -- as the nearest front of ours saw it
    forwarded_for text,  -- what the request claims of its way here; anybody can write that
    user_agent text,
    request_id text
);
create index entries_of_tenant on audit.entries (tenant_id, id);

-- What no seal covers yet (room 86): kept apart, for an entry itself never changes.
create table audit.unsealed (
    entry_id bigint primary key,
    tenant_id uuid
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table audit.unsealed is 'Internal: entries that wait for their seal, for a second at most.';

do $rls$
declare
    t text;
begin
    foreach t in array array['settings', 'entries', 'unsealed'] loop
        execute format('alter table audit.%I enable row level security', t);
        execute format('alter table audit.%I force row level security', t);
    end loop;
end
$rls$;
create policy "doors read whom to believe" on audit.settings for select to app_owner using (true);
create policy "the platform says whom to believe" on audit.settings for all to app_system using (true) with check (true);
create policy "admins read their audit" on audit.entries for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) = 'admin');
create policy "doors append for the caller" on audit.entries for insert to app_owner
    with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "doors see what they append" on audit.entries for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the platform appends" on audit.entries for insert to app_system with check (true);
create policy "the platform reads" on audit.entries for select to app_system using (true);
create policy "admins see what waits for its seal" on audit.unsealed for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) = 'admin');
create policy "doors append for the caller" on audit.unsealed for insert to app_owner
    with check (tenant_id = (select ground.claimed_tenant_id()));
create policy "the sealer takes what waits" on audit.unsealed for all to app_system using (true) with check (true);
grant select on audit.entries, audit.unsealed to authenticated;
grant select, insert on audit.entries to app_system;
grant usage on sequence audit.entries_id_seq to app_system;
grant select, insert, delete on audit.unsealed to app_system;
grant select, update on audit.settings to app_system;

create trigger entries_are_append_only before update or delete on audit.entries for each row execute function ground.refuse_change();
create trigger entries_are_never_truncated before truncate on audit.entries for each statement execute function ground.refuse_change();
alter table audit.entries enable always trigger entries_are_append_only;
alter table audit.entries enable always trigger entries_are_never_truncated;

create type audit.origin as (door text, ip text, forwarded_for text, user_agent text, request_id text);

-- Where a request comes from, as far as it can be known. A header says what its sender likes; what our own front wrote stands
-- last in its list. The edge function is a sender like any other: what it hands on is believed when it shows its key.
create function audit.origin()
returns audit.origin language plpgsql stable set search_path = '' as $$
declare
    h jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
    s audit.settings;
    v_edge boolean;
    v_client text;
begin
    if h is null then
        return ('sql', null, null, null, null)::audit.origin;
    end if;
    select x.* into s from audit.settings x;
    v_edge := coalesce(h ? 'x-edge-key' and sha256(convert_to(h ->> 'x-edge-key', 'UTF8')) = s.edge_key_hash, false);
    v_client := h ->> case when v_edge then 'x-edge-' || s.client_header else s.client_header end;
    return (case when v_edge then 'edge' else 'rpc' end, left(btrim(split_part(v_client, ',', -1)), 64),
            left(h ->> case when v_edge then 'x-edge-x-forwarded-for' else 'x-forwarded-for' end, 512),
            left(h ->> 'user-agent', 256), left(h ->> 'x-request-id', 128))::audit.origin;
end
$$;
revoke all on function audit.origin() from public;
grant execute on function audit.origin() to app_system;

-- p_actor: who acts where no claims tell it: an attempt by its token, a workflow that its issuer vouches for.
create function audit.append(p_tenant uuid, p_action text, p_object_type text, p_object_id text, p_details jsonb default '{}', p_actor text default null)
returns void language plpgsql set search_path = '' as $$
declare
    c jsonb := ground.claims();
    o audit.origin := audit.origin();
    v_id bigint := nextval('audit.entries_id_seq');  -- to return it, the policies would be asked twice
begin
    insert into audit.entries (id, tenant_id, user_id, role, token_id, action, object_type, object_id, details, door, ip, forwarded_for, user_agent, request_id)
    overriding system value
    values (v_id, p_tenant, coalesce(p_actor, c ->> 'user_id', c ->> 'sub', 'service'),
            case when p_actor like 'oidc:%' then 'oidc' when p_actor like 'invited:%' then 'invited' when p_actor is not null then 'attempt' else coalesce(c ->> 'user_role', c ->> 'role', 'service_role') end,
            c ->> 'token_id', p_action, p_object_type, p_object_id, p_details, o.door, o.ip, o.forwarded_for, o.user_agent, o.request_id);
    insert into audit.unsealed (entry_id, tenant_id) values (v_id, p_tenant);
    perform ground.wake('control_room_audit');
end
$$;
revoke all on function audit.append(uuid, text, text, text, jsonb, text) from public;
grant execute on function audit.append(uuid, text, text, text, jsonb, text) to app_system;

-- The same of many objects at once, each with its details.
create function audit.append_all(p_tenant uuid, p_action text, p_object_type text, p_object_ids text[], p_details jsonb[])
returns void language plpgsql set search_path = '' as $$
declare
    c jsonb := ground.claims();
    o audit.origin := audit.origin();
begin
    with entry as (
        insert into audit.entries as e (tenant_id, user_id, role, token_id, action, object_type, object_id, details, door, ip, forwarded_for, user_agent, request_id)
        select p_tenant, coalesce(c ->> 'user_id', c ->> 'sub', 'service'), coalesce(c ->> 'user_role', c ->> 'role', 'service_role'),
               c ->> 'token_id', p_action, p_object_type, x.object_id, x.details, o.door, o.ip, o.forwarded_for, o.user_agent, o.request_id
        from unnest(p_object_ids, p_details) with ordinality x (object_id, details, ord) order by x.ord
        returning e.id
    )
    insert into audit.unsealed (entry_id, tenant_id) select e.id, p_tenant from entry e;
    perform ground.wake('control_room_audit');
end
$$;
revoke all on function audit.append_all(uuid, text, text, text[], jsonb[]) from public;

set role postgres;
revoke app_owner, app_system from postgres;
