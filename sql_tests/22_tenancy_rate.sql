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

-- strangers, by where they come from
create function tests.knock_from(p_headers jsonb, p_want integer default 1)
returns integer language plpgsql as $$
begin
    perform set_config('request.headers', p_headers::text, true);
    return (tests.as('anon', format('public.knock_outside(''{"want": %s}'')', p_want)) ->> 'granted')::integer;
end
$$;
create function tests.from_ip(p_address text, p_want integer default 1)
returns integer language sql as $$ select tests.knock_from(jsonb_build_object('x-forwarded-for', p_address), p_want) $$;
select is(tests.as('platform', $$ public.platform_set_rate('{"per_minute_strangers": 30}') $$), '{"per_minute_strangers": 30}', 'the platform says how often strangers may');
select tests.refused('platform', $$ public.platform_set_rate('{"per_minute_strangers": 30, "tenant": "north"}') $$, 'FIELD_UNKNOWN', 'for all tenants alike', '$.tenant');
select tests.from_ip('203.0.113.9', 1);
update tenancy.strangers set minute = date_trunc('minute', clock_timestamp()) + interval '1 hour';
select is(tests.from_ip('203.0.113.9', 20), 20, 'a stranger gets leave for several');
select is(tests.from_ip('198.51.100.1, 203.0.113.9', 20), 9, 'whatever he says of where he was before');
select is(tests.knock_from('{"x-forwarded-for": "203.0.113.9", "x-edge-key": "no key of ours", "x-edge-x-forwarded-for": "192.0.2.1"}'), 0, 'and then none, whatever he claims');
select cmp_ok(tests.from_ip('203.0.113.10', 20), '=', 20, 'his neighbour is not he');
update tenancy.strangers set minute = date_trunc('minute', clock_timestamp()) - interval '1 minute';
select is(tests.from_ip('203.0.113.9', 20), 20, 'the next minute begins anew');
select is(count(distinct tenancy.stranger_place(x)), 1::bigint, 'a network of IPv6 is one stranger') from unnest(array['2001:db8::1', '2001:db8::2:3', '2001:DB8:0:0:ffff::1']) x;
select isnt(tenancy.stranger_place('2001:db8:0:1::1'), tenancy.stranger_place('2001:db8::1'), 'the next one is another');
select is(array_agg(tenancy.stranger_place(x)), '{0,0,0,0}', 'what is no address is one place') from unnest(array['', 'x', '203.0.113.9; drop', null]) x;
select is(tests.as('anon', $$ public.knock_outside('{}') $$) ? 'granted', true, 'so is who comes from nowhere');
select cmp_ok((select max(place) from tenancy.strangers), '<', 4096, 'there are so many places and no more');

select * from finish();
rollback;
