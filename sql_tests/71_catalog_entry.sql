-- catalog: entries of knowledge bases, published by the lease that made them, found by their words.
begin;
\ir fixtures.psql
select no_plan();

create function tests.entry(p_key text, p_title text, p_body text, p jsonb default '{}')
returns jsonb language sql as $$
    select jsonb_build_object('key', p_key, 'title', p_title, 'body', p_body, 'headings', '[]'::jsonb, 'tags', '[]'::jsonb, 'media_type', 'text/plain', 'language', 'english',
        'source', '{}'::jsonb, 'words', 1, 'sha256', encode(sha256(convert_to(p_body, 'UTF8')), 'hex'), 'classification', 'internal') || p
$$;
-- A kb_catalog run whose lease loads these entries, and how it was settled.
create function tests.catalogue(p_entries jsonb, p_params jsonb default '{}', p_tenant text default 'north', p_rows integer default null)
returns jsonb language plpgsql as $$
declare
    c jsonb;
    v_columns jsonb := catalog.entry_columns();
    v_staging text;
begin
    perform tests.submit(p_tenant || '.operator', jsonb_build_object('job_type', 'kb_catalog', 'code', null, 'max_retries', 0, 'params', p_params));
    c := (select x from tests.claim(1, '{kb_catalog/default}') x);
    v_staging := tests.as('runner', format('worker.open_output(%s, %s, ''entries'', %L)', c ->> 'attempt_id', c ->> 'lease', v_columns)) #>> '{}';
    perform tests.become('loader');
    execute format('insert into %s select * from jsonb_populate_recordset(null::%1$s, %L)', v_staging, p_entries);
    perform tests.rest();
    return tests.settle(c, jsonb_build_object('entries', jsonb_build_object('staging', v_staging, 'rows', coalesce(p_rows, jsonb_array_length(p_entries)))));
end
$$;
create function tests.find(p_who text, p jsonb default '{}')
returns text language sql as $$
    select coalesce((select string_agg(i ->> 'key', ' ' order by ord) from jsonb_array_elements(tests.as(p_who, format('public.list_entries(%L::jsonb)', p)) -> 'items') with ordinality x (i, ord)), '')
$$;
create function tests.id(p_key text) returns bigint language sql volatile as $$ select e.id from catalog.entries e where e.key = p_key $$;

-- ------------------------------------------------------------------------------------------- publishing

select is(tests.catalogue(jsonb_build_array(
    tests.entry('a.md', 'Returning goods', 'A customer returns damaged parcels within thirty days.', '{"headings": [{"level": 1, "text": "Warranty"}], "tags": ["sales"]}'),
    tests.entry('b.md', 'Invoices', 'Parcels are invoiced when they leave the warehouse.'),
    tests.entry('c.md', 'Salaries', 'What parcels people earn.', '{"classification": "confidential"}'),
    tests.entry('d.md', 'Rechnungen', 'Die Häuser werden bezahlt.', '{"language": "german"}'),
    '{"key": "e.pdf", "problem": "it is encrypted"}'::jsonb)) ->> 'run_state', 'SUCCEEDED', 'entries are published by the settlement');
select is((select string_agg(key, ' ' order by key) from catalog.entries), 'a.md b.md c.md d.md', 'a document that could not be read is no entry');
select is((select count(*) from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'), 0::bigint, 'nothing is left in staging');
select is((select string_agg(distinct e.collection, ' ') from catalog.entries e), 'documents', 'without a collection they are documents');
select is(tests.catalogue(jsonb_build_array(tests.entry('x', 'X', 'x')), p_rows => 2) ->> 'reason', 'publish_failed', 'entries that got lost on the way are not published');
select is((select count(*) from catalog.entries where key = 'x'), 0::bigint, 'not one of them');
select is(tests.catalogue(jsonb_build_array(tests.entry('x', 'X', 'x', '{"classification": "secret"}'))) ->> 'reason', 'publish_failed', 'a class that there is not is refused');

select tests.submit('north.operator', '{"job_type": "kb_catalog", "code": null, "max_retries": 0}') from generate_series(1, 2);
select c as claim from tests.claim(1, '{kb_catalog/default}') c \gset
select c as other from tests.claim(1, '{kb_catalog/default}') c \gset
select tests.as('runner', format('worker.open_output(%s, 1, ''entries'', %L)', :'claim'::jsonb ->> 'attempt_id', catalog.entry_columns())) #>> '{}' as staging \gset
select is(tests.settle(:'other', jsonb_build_object('entries', jsonb_build_object('staging', :'staging'::text, 'rows', 0))) ->> 'reason', 'publish_failed', 'nobody publishes what another lease has loaded');
select tests.settle(:'claim');

-- --------------------------------------------------------------------------------------------- finding

select is(tests.find('north.viewer', '{"q": "returned"}'), 'a.md', 'words are found as the language bends them');
select is(tests.find('north.viewer', '{"q": "warranty"}'), 'a.md', 'in headings as well');
select is(tests.find('north.viewer', '{"q": "sales"}'), 'a.md', 'and in tags');
select is(tests.find('north.viewer', '{"q": "Haus", "language": "german"}'), 'd.md', 'in the language that is asked for');
select is(tests.find('north.viewer', '{"q": "parcels"}') ~ 'c.md', false, 'a viewer does not find what is confidential');
select is(tests.find('north.operator', '{"q": "parcels"}') ~ 'c.md', true, 'an operator does');
select is(tests.find('north.viewer', '{"q": "parcels -warehouse"}'), 'a.md', 'one may leave out a word');
select is(tests.find('north.viewer', '{"q": "\"thirty days\""}'), 'a.md', 'and ask for a phrase');
select is(tests.find('north.viewer'), 'd.md b.md a.md', 'without words: all that one may see, the newest first');
select is(tests.find('north.viewer', '{"collection": "other"}'), '', 'of one collection');
select is(tests.find('south.admin', '{"q": "parcels"}'), '', 'another tenant finds nothing');
select is(tests.find('south.admin', format('{"q": "tenant:%s"}', tests.tenant('north'))::jsonb), '', 'not by a tenant''s word either');
select is(tests.as('north.viewer', '(select public.list_entries(''{"q": "damaged"}'') #>> ''{items,0,snippet}'')') #>> '{}', 'customer returns **damaged** parcels within thirty days', 'with the place where the words stand');
select is(tests.find('north.viewer', '{"limit": 2}') || ' | ' || tests.find('north.viewer', '{"limit": 2, "cursor": "2"}'), 'd.md b.md | a.md', 'in pages');
select tests.refused('north.viewer', format('public.list_entries(%L::jsonb)', p.body), p.code, 'no question: ' || p.body, p.path)
from (values ('{"language": "klingon"}', 'FIELD_INVALID', '$.language'), ('{"q": 7}', 'FIELD_INVALID', '$.q'), ('{"words": "x"}', 'FIELD_UNKNOWN', '$.words'), ('{"cursor": "x"}', 'FIELD_INVALID', '$.cursor')) p (body, code, path);
select is(tests.as('north.viewer', format('public.get_entry(%L::jsonb)', jsonb_build_object('entry_id', tests.id('a.md')))) ->> 'body', 'A customer returns damaged parcels within thirty days.', 'an entry is read whole');
select tests.refused('north.viewer', format('public.get_entry(%L::jsonb)', jsonb_build_object('entry_id', tests.id('c.md'))), 'ENTRY_NOT_FOUND', 'for a viewer, what is confidential is not there');
select is(tests.as('north.operator', format('public.get_entry(%L::jsonb)', jsonb_build_object('entry_id', tests.id('c.md')))) ->> 'title', 'Salaries', 'for an operator it is');
select is(tests.count('north.viewer', 'select 1 from catalog.entries'), 3::bigint, 'row security says the same of the table');
select is(tests.count('south.admin', 'select 1 from catalog.entries'), 0::bigint, 'and nothing to another tenant');

-- ------------------------------------------------------------------------------------------- next time

select e.changed_at as before from catalog.entries e where key = 'a.md' \gset
select tests.catalogue(jsonb_build_array(tests.entry('a.md', 'Returning goods', 'A customer returns damaged parcels within thirty days.'), tests.entry('b.md', 'Invoices', 'Paid at once.')));
select is((select changed_at from catalog.entries where key = 'a.md'), :'before'::timestamptz, 'what is the same has not changed');
select is(tests.find('north.viewer', '{"q": "warehouse"}') || tests.find('north.viewer', '{"q": "paid"}'), 'b.md', 'what has changed is found by its new words alone');
select is((select count(*) from catalog.entries), 4::bigint, 'merge leaves the others alone');
select tests.catalogue(jsonb_build_array(tests.entry('a.md', 'Returning goods', 'New.'), '{"key": "b.md", "problem": "it cannot be read"}'::jsonb), '{"mode": "replace"}');
select is((select string_agg(key, ' ' order by key) from catalog.entries), 'a.md b.md', 'replace takes away what the source no longer has, not what could not be read');
select tests.catalogue(jsonb_build_array(tests.entry('a.md', 'Other', 'other')), '{"collection": "handbook", "mode": "replace"}');
select is((select string_agg(collection || '/' || key, ' ' order by collection, key) from catalog.entries), 'documents/a.md documents/b.md handbook/a.md', 'a collection has keys of its own, and replaces nothing of another');
select tests.catalogue(jsonb_build_array(tests.entry('a.md', 'South', 'south')), '{"mode": "replace"}', 'south');
select is((select count(*) from catalog.entries where tenant_id = tests.tenant('north')), 3::bigint, 'nor of another tenant');

select * from finish();
rollback;
