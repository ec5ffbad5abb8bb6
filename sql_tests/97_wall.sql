-- The wall between tenants, cell by cell: every table, view and function of the people's door, by every verb, as every actor. Who
-- may what is declared in wall.psql; what there is, the catalog says; how it is tried, cells.psql.
begin;
\ir fixtures.psql
\ir sentinel.psql
insert into queue.news (tenant_id, run_id, ended) select tenant_id, id, true from queue.runs where tenant_id = tests.tenant('north') limit 1;
select tests.as('runner', format('worker.register(%L::jsonb)', jsonb_build_object('name', 'r1', 'instance', tests.runner(), 'offers', array['spark_etl/duckdb'], 'capacity', 4)));
\ir wall.psql
\ir cells.psql
select no_plan();

-- ------------------------------------------------------------------------------------ nothing undeclared

select is_empty($$ select o.name from tests.objects o where o.name not in (select t.name from tests.tables_declared t) $$, 'a new table or view says in wall.psql who may what');
select is_empty($$ select t.name from tests.tables_declared t where t.name not in (select o.name from tests.objects o) $$, 'and none is declared that is gone');
select is_empty($$ select c.name from tests.calls c where c.name not in (select f.name from tests.functions_declared f) $$, 'a new function of the people''s door says who is heard');
select is_empty($$ select f.name from tests.functions_declared f where f.name not in (select c.name from tests.calls c) $$, 'and none is declared that is gone');
select is_empty($$ select c.name from tests.calls c group by c.name having count(*) > 1 $$, 'a function''s name is its own: no overloads');
select is(lower((regexp_match(obj_description(o.oid), '^(Internal|Confidential|Restricted)'))[1]), t.class, 'the comment on ' || o.name || ' says its class')
from tests.objects o join tests.tables_declared t using (name) where obj_description(o.oid) ~ '^(Internal|Confidential|Restricted)';
select isnt(tests.outcome('supabase_admin', '', format('select from %s where %s', o.name, case when o.tenant_column is null then 'true' else format('%I = %L', o.tenant_column, tests.tenant('north')) end)), 'none', 'there is a row in ' || o.name || ' to be kept from others') from tests.objects o where o.name <> 'queue.unbroken';

-- ---------------------------------------------------------------------------------------- each cell

create temporary table cells as
select t.name, c.* from tests.tables_declared t join tests.objects o using (name), tests.cells(t.name) c
union all select f.name, c.* from tests.functions_declared f join tests.calls o using (name), tests.call_cells(f.name) c;
select is(string_agg(format('%s: %s, not %s', c.law, c.got, c.expected), E'\n') filter (where c.got is distinct from c.expected), null, format('%s: each of its %s cells', c.name, count(*)))
from cells c group by c.name order by c.name;
-- the bytes in Storage: its doors speak SQL as who asks, and the pre-request does not run there
select (tests.as('north.operator', $$ public.create_artifact('{"name": "bytes", "kind": "data", "size": 1}') $$)) ->> 'path' as path \gset
insert into storage.objects (bucket_id, name) values ('artifacts', tests.tenant('north') || '/sentinel');
create temporary table bytes as
select format('%s %s north''s bytes', a.actor, v.verb) as law, tests.outcome(a.role, a.claims, v.statement) as got,
       case when a.role = 'service_role' then v.service when v.verb in ('sees', 'puts') and coalesce(a.rank, 0) >= 2 then 'some' when a.role in ('runner', 'loader') or v.verb = 'puts' then 'refused' when v.verb = 'removes' then v.service else 'none' end as expected
from tests.actors a,
     (values ('sees', format('select from storage.objects where name like %L', tests.tenant('north') || '/%'), 'some'),
             ('puts', format('insert into storage.objects (bucket_id, name) values (''artifacts'', %L)', :'path'), 'some'),
             ('renames', format('update storage.objects set name = name || ''x'' where name like %L', tests.tenant('north') || '/%'), 'some'),
             ('removes', 'delete from storage.objects', 'guarded')) v (verb, statement, service);
select is(got, expected, law) from bytes;

select cmp_ok((select count(*) from cells), '>', 3000::bigint, (select count(*) from cells) || ' cells were tried');

select * from finish();
rollback;
