-- worker: what an executor asks that carries attempts out elsewhere.
begin;
\ir fixtures.psql
select no_plan();

select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "namespace", "name": "jobs-north"}') $$);
select tests.as('platform', $$ public.platform_grant('{"tenant": "north", "kind": "secret", "name": "K"}') $$);
select tests.as('platform', $$ public.platform_grant('{"tenant": "south", "kind": "namespace", "name": "jobs-south"}') $$);
select tests.submit('north.operator') as run \gset
select c as claim from tests.claim() c \gset

create function tests.granted(p_claim jsonb, p_kind text)
returns text language sql as $$ select format('worker.granted(%s, %s, %L)', p_claim ->> 'attempt_id', p_claim ->> 'lease', p_kind) $$;

select is(tests.as('runner', tests.granted(:'claim', 'namespace')), '["jobs-north"]', 'the names of one kind that were granted to the attempt''s tenant');
select is(tests.as('runner', tests.granted(:'claim', 'image')), '[]', 'none where none was');
select tests.as('platform', $$ public.platform_revoke('{"tenant": "north", "kind": "namespace", "name": "jobs-north"}') $$);
select is(tests.as('runner', tests.granted(:'claim', 'namespace')), '[]', 'what was taken back is granted no more, whenever the job was submitted');
select tests.lose(:'claim');
select tests.refused('runner', tests.granted(:'claim', 'namespace'), 'STALE_LEASE', 'a lost lease learns nothing');
select is(tests.error(w, tests.granted(:'claim', 'namespace')) ->> 'code', '42501', w || ' does not ask') from unnest(array['anon', 'north.admin', 'platform', 'loader']) w;

select c as claim2 from tests.claim() c \gset
select is(tests.as('runner', format('worker.over(array[%s, 0])', :'claim'::jsonb ->> 'attempt_id')), '[0]', 'an attempt that runs is not over, whatever became of a lease');
select tests.settle(:'claim2');
select is(tests.as('runner', format('worker.over(array[%s, 0])', :'claim'::jsonb ->> 'attempt_id')), format('[0, %s]', :'claim'::jsonb ->> 'attempt_id')::jsonb, 'a settled one is, and one that never was');
select is(tests.as('runner', 'worker.over(''{}'')'), '[]', 'none of none');

select finish();
rollback;
