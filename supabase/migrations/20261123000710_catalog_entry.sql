-- catalog, second part: entries of knowledge bases, with full-text search. They are published as tables are: staged by a lease,
-- put in place by its settlement.

grant app_owner, app_system to postgres;
set role app_owner;

-- How an entry's words are read: the dictionaries that every Postgres has. (A regconfig would stop a major upgrade.)
create type catalog.language as enum ('simple', 'danish', 'dutch', 'english', 'finnish', 'french', 'german', 'hungarian', 'italian',
    'norwegian', 'portuguese', 'romanian', 'russian', 'spanish', 'swedish', 'turkish');

create table catalog.entries (
    tenant_id uuid not null references tenancy.tenants,
    id bigint not null generated always as identity,
    collection ground.slug not null,
    key text not null check (length(key) between 1 and 512),  -- what the document is called where it comes from
    title text not null check (length(title) between 1 and 500),
    body text not null check (length(body) <= 200000),
    headings jsonb not null default '[]',  -- [{level, text}]
    tags text[] not null default '{}',
    media_type text not null,
    language catalog.language not null,
    url text,
    source jsonb not null,  -- which input of which run, and where in it
    words integer not null check (words >= 0),
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),  -- of the body
    classification text not null default 'internal' check (classification in ('internal', 'confidential')),
    published_by_run bigint not null,
    published_at timestamptz not null,
    changed_at timestamptz not null,  -- when title or body last became what they are
    search tsvector not null,
    primary key (tenant_id, id),
    constraint entries_have_one_key unique (collection, key, tenant_id)
);
create index entries_by_word on catalog.entries using gin (search) with (fastupdate = off);
comment on table catalog.entries is 'What knowledge bases hold; confidential entries are the operators''.';

alter table catalog.entries enable row level security;
alter table catalog.entries force row level security;
create policy "members see internal entries, operators all" on catalog.entries for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (classification = 'internal' or (select tenancy.role()) >= 'operator'));
create policy "doors see the caller's entries" on catalog.entries for select to app_owner
    using (tenant_id = (select ground.claimed_tenant_id()));
create policy "the worker keeps entries" on catalog.entries for all to app_system using (true) with check (true);
grant select on catalog.entries to authenticated;
grant select, insert, update, delete on catalog.entries to app_system;

set role postgres;
grant create on schema catalog to app_system;
set role app_system;

-- The columns of a staging table of entries; a document that could not be read has its key and its problem.
create function catalog.entry_columns()
returns jsonb language sql immutable set search_path = '' as $$
    select jsonb_agg(jsonb_build_object('name', c[1], 'type', c[2])) from unnest(array[
        'key text', 'title text', 'body text', 'headings jsonb', 'tags jsonb', 'media_type text', 'language text', 'url text', 'source jsonb',
        'words integer', 'sha256 text', 'classification text', 'problem text']) x cross join lateral string_to_array(x, ' ') c
$$;
revoke all on function catalog.entry_columns() from public;

-- The tenant is a word of every entry: the one index then finds "this word, of this tenant" by itself.
create function catalog.tenant_word(p_tenant uuid)
returns text language sql immutable set search_path = '' as $$
    select 'tenant:' || p_tenant
$$;
revoke all on function catalog.tenant_word(uuid) from public;

-- Staging -> entries, inside the settling transaction. `replace` takes away what the source no longer has; a document that could
-- not be read this time keeps the entry it had.
create function catalog.publish_entries(p_tenant uuid, p_staging text, p_collection text, p_mode text, p_run bigint)
returns bigint language plpgsql set search_path = '' as $$
declare
    v_now timestamptz := clock_timestamp();
    v_rows bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended(p_tenant || '/entries/' || p_collection, 0));
    execute format($sql$
        insert into catalog.entries as e (tenant_id, collection, key, title, body, headings, tags, media_type, language, url, source, words, sha256,
            classification, published_by_run, published_at, changed_at, search)
        select $1, $2, s.key, s.title, s.body, s.headings, array(select jsonb_array_elements_text(s.tags)), s.media_type, s.language::catalog.language,
            s.url, s.source, s.words, s.sha256, s.classification, $3, $4, $4,
            array_to_tsvector(array[catalog.tenant_word($1)])
            || setweight(to_tsvector(c.name, s.title), 'A')
            || setweight(to_tsvector(c.name, coalesce((select string_agg(h ->> 'text', ' ') from jsonb_array_elements(s.headings) h), '')), 'B')
            || setweight(to_tsvector(c.name, (select coalesce(string_agg(t, ' '), '') from jsonb_array_elements_text(s.tags) t)), 'B')
            || to_tsvector(c.name, s.body)
        from staging.%I s cross join lateral (select ('pg_catalog.' || s.language)::regconfig as name) c
        where s.problem is null
        on conflict on constraint entries_have_one_key do update
        set title = excluded.title, body = excluded.body, headings = excluded.headings, tags = excluded.tags, media_type = excluded.media_type,
            language = excluded.language, url = excluded.url, source = excluded.source, words = excluded.words, sha256 = excluded.sha256,
            classification = excluded.classification, published_by_run = excluded.published_by_run, published_at = excluded.published_at,
            changed_at = case when (e.sha256, e.title) = (excluded.sha256, excluded.title) then e.changed_at else excluded.changed_at end,
            search = excluded.search
    $sql$, p_staging) using p_tenant, p_collection, p_run, v_now;
    if p_mode = 'replace' then
        execute format('delete from catalog.entries e where e.tenant_id = $1 and e.collection = $2 and not exists (select from staging.%I s where s.key = e.key)',
                       p_staging) using p_tenant, p_collection;
    end if;
    execute format('select count(*) from staging.%I', p_staging) into v_rows;
    execute format('drop table staging.%I', p_staging);
    return v_rows;
end
$$;
revoke all on function catalog.publish_entries(uuid, text, text, text, bigint) from public;

set role postgres;
revoke create on schema catalog from app_system;
revoke app_owner, app_system from postgres;
