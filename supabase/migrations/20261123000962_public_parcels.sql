-- public: parcels, the bytes between a runner and the work of an attempt that lives outside (a pod). They are no artifacts: nobody
-- but the holder of the attempt's token reads them, and what comes out of them is checked by the runner before it becomes anything.

grant app_owner, app_system to postgres;
grant create on schema public to app_owner;
set role app_owner;
grant create on schema door to app_system;
set role app_system;

-- <mark>.<what>.<part>: the mark is drawn for each start of the work, so that two starts never write to one place. Takes a lock on
-- the attempt and changes nothing.
create function door.attempt_parcel(p jsonb)
returns jsonb language plpgsql volatile security definer set search_path = '' as $$
declare
    a queue.live_attempts := door.held_attempt(p ->> 'token', false);
begin
    if p ->> 'name' is null or p ->> 'name' !~ '^[a-z0-9]{8,32}\.(kit|kept|out)\.[0-9]{1,2}$' then
        perform ground.fail('FIELD_INVALID', '$.name', 'name is that of a parcel: mark.kit|kept|out.part.');
    end if;
    return jsonb_build_object('bucket', 'parcels', 'path', a.tenant_id || '/' || a.id || '/' || (p ->> 'name'), 'filename', p ->> 'name');
end
$$;
revoke all on function door.attempt_parcel(jsonb) from public;
grant execute on function door.attempt_parcel(jsonb) to anon;

set role app_owner;
revoke create on schema door from app_system;

create function public.attempt_parcel(jsonb)
returns jsonb language plpgsql volatile set search_path = '' as $$ begin return door.attempt_parcel($1); end $$;
comment on function public.attempt_parcel(jsonb) is '{token, name} -> where a parcel of the attempt lies or may be put.';
revoke all on function public.attempt_parcel(jsonb) from public, anon, authenticated, service_role;
grant execute on function public.attempt_parcel(jsonb) to anon;

set role postgres;

-- No policy names this bucket: signed URLs are the only way in.
insert into storage.buckets (id, name, public, file_size_limit)
values ('parcels', 'parcels', false, 52428800)
on conflict (id) do update set public = false, file_size_limit = excluded.file_size_limit;

revoke create on schema public from app_owner;
revoke app_owner, app_system from postgres;
