-- tenancy: how often a tenant may knock at the edge door.
begin;
\ir fixtures.psql
select no_plan();

create function tests.knock(p_who text, p_want integer default 1)
returns integer language sql as $$ select (tests.as(p_who, format('public.knock(''{"want": %s}'')', p_want)) ->> 'granted')::integer $$;
select is(tests.as('platform', $$ public.platform_set_rate('{"tenant": "north", "per_minute": 30, "per_minute_each": 20}') $$) - 'tenant_id', '{"per_minute": 30, "per_minute_each": 20}', 'the platform says how often');
-- the minute does not turn while it is counted
create function tests.this_minute() returns void language sql as $$ update tenancy.knocks set minute = date_trunc('minute', clock_timestamp()) + interval '1 hour' $$;
select tests.knock('north.viewer', 1);
select tests.this_minute();
select is(tests.knock('north.viewer', 9), 9, 'leave is taken for several at once');
select is(tests.knock('north.viewer', 50), 10, 'as many as there is room for');
select is(tests.knock('north.viewer'), 0, 'and then none');
select is((select r ->> 'seconds' ~ '^([1-9]|[1-5][0-9]|60)$' from tests.as('north.viewer', $$ public.knock('{}') $$) r), true, 'for so many seconds');
select tests.knock('north.admin', 1);
select tests.this_minute();
select is(tests.knock('north.admin', 50), 9, 'another has what the tenant has left');
select is(tests.knock('north.operator'), 0, 'the tenant''s are used up');
select is(tests.knock('south.viewer', 50), 50, 'another tenant''s are not');
update tenancy.knocks set minute = date_trunc('minute', clock_timestamp()) - interval '1 minute' where tenant_id = tests.tenant('north');
select is(tests.knock('north.viewer', 5), 5, 'the next minute is a new one');
select tests.refused('north.viewer', format('public.knock(%L::jsonb)', b), 'FIELD_INVALID', 'no leave for ' || b, '$.want') from unnest(array['{"want": 0}', '{"want": 101}', '{"want": "x"}']) b;
select tests.refused('platform', $$ public.platform_set_rate('{"tenant": "north", "per_minute": 0}') $$, 'FIELD_INVALID', 'none at all is no rate', '$.per_minute');
select is((select count(*) from audit.entries where action = 'tenant.set_rate'), 1::bigint, 'who set it is on record');

select * from finish();
rollback;
