-- callback: the senders. A bad receiver has its share and no more; it is spared, in the end disabled, and nothing is lost of it.
begin;
\ir fixtures.psql
select no_plan();
select tests.drain();

create function tests.endpoint(p jsonb, p_who text default 'north.admin')
returns jsonb language sql as $$ select tests.as(p_who, format('public.create_endpoint(%L::jsonb)', p)) $$;
create function tests.health(p_url text)
returns callback.endpoints language sql volatile as $$ select e from callback.endpoints e where e.url = p_url and e.deleted_at is null $$;
-- a number of events for one URL, without runners
create function tests.owe(p_url text, p_count integer, p_who text default 'north.operator')
returns void language sql as $$ select tests.run_told(jsonb_build_object('on_complete', p_url), '{}', p_who) from generate_series(1, p_count) $$;
create function tests.claimed(p_limit integer default 100)
returns text language sql as $$
    select string_agg(x.n || ' of ' || x.url, ', ' order by x.url) from (select c ->> 'url' as url, count(*) as n from tests.claim_deliveries(p_limit) c group by 1) x
$$;
create function tests.fail_all(p_result jsonb default '{"result": "failed", "status": 500}')
returns integer language sql as $$
    select count(tests.deliver(jsonb_build_object('tenant_id', d.tenant_id, 'delivery_id', d.id, 'lease', d.lease), p_result))::integer
    from callback.deliveries d where d.state = 'RUNNING'
$$;
create function tests.ends(p_url text)
returns text language sql volatile as $$
    select string_agg(x.n || ' ' || x.state, ', ' order by x.state) from (select d.state, count(*) as n from callback.deliveries d where d.url = p_url group by 1) x
$$;

-- all that waits arrives
create function tests.deliver_all()
returns void language plpgsql as $$
begin
    perform tests.fail_all('{"result": "delivered"}');
    loop
        update callback.endpoints set open_until = null, openings = 0;
        update callback.deliveries set next_at = clock_timestamp() where state = 'PENDING';
        perform tests.deliver(c, '{"result": "delivered"}') from tests.claim_deliveries() c;
        exit when not found;
    end loop;
end
$$;

-- one receiver answers so, all others take it
create function tests.answer(p_url text, p_result jsonb)
returns bigint language plpgsql as $$
begin
    update callback.deliveries set next_at = clock_timestamp() where state = 'PENDING';
    return (select count(tests.deliver(c, case when c ->> 'url' = p_url then p_result else '{"result": "delivered"}' end)) from tests.claim_deliveries() c);
end
$$;

-- ------------------------------------------------------------------------------------------- places

select tests.endpoint('{"url": "https://slow.example/", "max_concurrency": 3, "events": []}') as slow \gset
select tests.owe('https://slow.example/', 8);
select tests.owe('https://one.example/', 1);
select tests.owe('https://two.example/', 1, 'south.operator');
select is(tests.claimed(), '1 of https://one.example/, 3 of https://slow.example/, 1 of https://two.example/', 'an endpoint has its share, whatever waits for it; the others have theirs');
select is(tests.claimed(), null, 'while those are under way it gets no more');
select tests.deliver(c, '{"result": "delivered"}') from (select jsonb_build_object('tenant_id', d.tenant_id, 'delivery_id', d.id, 'lease', d.lease) as c from callback.deliveries d where d.url = 'https://slow.example/' and d.state = 'RUNNING' limit 1) x;
select is(tests.claimed(), '1 of https://slow.example/', 'with each that ends comes one');
select is(tests.as('north.admin', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'slow'::jsonb -> 'endpoint_id', 'max_concurrency', 5))) -> 'max_concurrency', '5', 'an admin says how many');
select is(tests.claimed(), '2 of https://slow.example/', 'and that many it gets');
select tests.fail_all('{"result": "delivered"}');
select is(tests.claimed(1), '1 of https://slow.example/', 'never more than were asked for');
select tests.deliver_all();
select tests.owe('https://n' || n || '.example/', 3) from generate_series(1, 4) n;
select is((select count(*) from tests.claim_deliveries(5)), 4::bigint, 'with few places, everybody has one');
select tests.deliver_all();
select is((select count(*) from callback.deliveries where finished_at is null), 0::bigint, 'all of them end');

-- ------------------------------------------------------------------------------------------- the circuit

select tests.owe('https://ill.example/', 60);
select tests.owe('https://well.example/', 1);
select tests.deliver(c, '{"result": "failed", "status": 500}') from tests.claim_deliveries(4) c where c ->> 'url' = 'https://ill.example/';
select is((select (e.failures between 1 and 4, e.failing_since is not null, e.open_until is null)::text from tests.health('https://ill.example/') e), '(t,t,t)', 'a few failures open nothing');
select tests.deliver(c, '{"result": "failed", "status": 500}') from tests.claim_deliveries() c where c ->> 'url' = 'https://ill.example/';
select is((select (e.failures >= 5, e.openings, e.open_until - clock_timestamp() between interval '28 seconds' and interval '30 seconds')::text from tests.health('https://ill.example/') e), '(t,1,t)', 'after five in a row the circuit is open for half a minute');
select is((select count(*) from callback.deliveries d where d.url = 'https://ill.example/' and d.state = 'PENDING' and d.next_at <= clock_timestamp()) > 10, true, 'much is due');
select is(tests.claimed(), null, 'and none of it is sent');
select tests.owe('https://well.example/', 1);
select is(tests.claimed(), '1 of https://well.example/', 'the others do not feel it');
select cmp_ok((tests.tick() ->> 'due_in_ms')::integer, '>', 20000, 'the clock says when to come again');
update callback.endpoints set open_until = clock_timestamp() where url = 'https://ill.example/';
select is(tests.claimed(), '1 of https://ill.example/', 'then one goes out as a probe');
select is(tests.claimed(), null, 'one');
select tests.fail_all();
select is((select (e.openings, e.open_until - clock_timestamp() between interval '58 seconds' and interval '60 seconds')::text from tests.health('https://ill.example/') e), '(2,t)', 'when it fails, the circuit is open for twice as long');
update callback.endpoints set openings = 40, open_until = clock_timestamp() where url = 'https://ill.example/';
select tests.claimed();
select tests.fail_all();
select is((select e.open_until - clock_timestamp() between interval '598 seconds' and interval '600 seconds' from tests.health('https://ill.example/') e), true, 'and never longer than ten minutes');
update callback.endpoints set open_until = clock_timestamp() where url = 'https://ill.example/';
select tests.claimed();
select tests.fail_all('{"result": "delivered", "status": 200}');
select is((select (e.failures, e.failing_since, e.openings, e.open_until)::text from tests.health('https://ill.example/') e), '(0,,0,)', 'one success closes it');
select is(tests.claimed(), '16 of https://ill.example/', 'and all goes out again');
-- of a batch, what came last counts
create function tests.settle_batch(p_results text[])
returns void language plpgsql as $$
declare
    v jsonb;
begin
    select jsonb_agg(jsonb_build_object('tenant_id', d.tenant_id, 'delivery_id', d.id, 'lease', d.lease, 'result', r.result) order by r.n) into v
    from unnest(p_results) with ordinality r (result, n)
    join (select x.*, row_number() over (order by x.id) as n from callback.deliveries x where x.state = 'RUNNING') d on d.n = r.n;
    perform tests.as('runner', format('worker.settle_deliveries(%L)', v));
end
$$;
select tests.settle_batch('{failed,failed,failed,failed,failed,failed,delivered,failed,failed}');
select is((tests.health('https://ill.example/')).failures, 2, 'what failed before a success is forgotten');
select is((tests.health('https://ill.example/')).openings, 0, 'and opens nothing');
select tests.settle_batch('{delivered}');
select tests.deliver_all();

-- Retry-After is asked for by the receiver, not by the delivery
select tests.owe('https://busy.example/', 3);
update callback.endpoints set max_concurrency = 1 where url = 'https://busy.example/';
select tests.answer('https://busy.example/', '{"result": "failed", "status": 429, "retry_after_seconds": 90}');
select is(tests.claimed(), null, 'a receiver that asks for time gets it for all that waits');
select is((select (d.next_at - clock_timestamp() between interval '88 seconds' and interval '90 seconds', d.last_status)::text from callback.deliveries d where d.url = 'https://busy.example/' and d.tries = 1), '(t,429)', 'and the delivery waits as long');
select is(tests.as('north.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', (select d.id from callback.deliveries d where d.state = 'DELIVERED' and d.url = 'https://slow.example/' limit 1)))) ->> 'state', 'PENDING', 'a delivered one is sent again on demand');
select tests.deliver_all();

-- ------------------------------------------------------------------------------------------- in order

select tests.endpoint('{"url": "https://order.example/", "ordered": true, "events": ["run.progress", "run.completed"]}') as ordered \gset
select tests.submit('north.operator', '{}') as run \gset
select tests.submit('north.operator', '{}') as other \gset
select tests.claim(2);
create function tests.told(p_run bigint)
returns text language sql volatile as $$
    select string_agg(e.seq || ' ' || d.state, ', ' order by e.seq) from callback.events e join callback.deliveries d on d.event_id = e.id where e.run_id = p_run and d.url = 'https://order.example/'
$$;
select tests.report(c, jsonb_build_object('percent', p)) from (select jsonb_build_object('attempt_id', a.id, 'lease', a.lease) as c from queue.live_attempts a where a.run_id in (:run, :other) and a.state = 'RUNNING') x, generate_series(10, 30, 10) p;
select tests.claimed();
select is(tests.told(:run), '1 RUNNING, 2 PENDING, 3 PENDING', 'of a run, one is under way');
select is(tests.told(:other), '1 RUNNING, 2 PENDING, 3 PENDING', 'and one of each other run');
select tests.deliver(jsonb_build_object('tenant_id', d.tenant_id, 'delivery_id', d.id, 'lease', d.lease), case when e.run_id = :run then '{"result": "failed"}'::jsonb else '{"result": "delivered"}' end)
from callback.deliveries d join callback.events e on e.id = d.event_id where d.state = 'RUNNING' and d.url = 'https://order.example/';
select tests.claimed();
select is(tests.told(:run), '1 PENDING, 2 PENDING, 3 PENDING', 'what failed is waited for');
select is(tests.told(:other), '1 DELIVERED, 2 RUNNING, 3 PENDING', 'the other run goes on');
select is((select bool_and(d.next_at > clock_timestamp() + interval '4 seconds') from callback.deliveries d join callback.events e on e.id = d.event_id where e.run_id = :run and d.url = 'https://order.example/'), true, 'what follows is not due before it');
update callback.deliveries d set tries = 10, next_at = clock_timestamp() from callback.events e where e.id = d.event_id and e.run_id = :run and e.seq = 1;
select tests.deliver(c, '{"result": "failed"}') from tests.claim_deliveries() c where c ->> 'try' = '11';
select is(tests.told(:run), '1 DEAD, 2 PENDING, 3 PENDING', 'one that dies');
update callback.deliveries set next_at = clock_timestamp() where state = 'PENDING';
select tests.claimed();
select is(tests.told(:run), '1 DEAD, 2 RUNNING, 3 PENDING', 'lets the next one pass');
select tests.deliver_all();
select is(tests.told(:run), '1 DEAD, 2 DELIVERED, 3 DELIVERED', 'to the end');

-- ------------------------------------------------------------------------------- progress, where it may be merged

select tests.endpoint('{"url": "https://merge.example/", "merge_progress": true, "events": ["run.progress", "run.completed"]}');
select tests.submit('north.operator', '{}') as run \gset
select jsonb_build_object('attempt_id', c -> 'attempt_id', 'lease', c -> 'lease') as claim from tests.claim(1) c where (c ->> 'run_id')::bigint = :run \gset
create function tests.merged(p_run bigint)
returns text language sql volatile as $$
    select string_agg(e.seq || ' ' || d.state, ', ' order by e.seq) from callback.events e join callback.deliveries d on d.event_id = e.id where e.run_id = p_run and d.url = 'https://merge.example/'
$$;
select tests.report(:'claim', '{"percent": 10}');
select next_at as due from callback.deliveries where url = 'https://merge.example/' \gset
select is(:'due'::timestamptz > clock_timestamp() + interval '1 second', true, 'progress waits a moment for newer progress');
select tests.report(:'claim', '{"percent": 20}');
select tests.report(:'claim', '{"percent": 30}');
select is(tests.merged(:run), '1 MERGED, 2 MERGED, 3 PENDING', 'of what waits only the newest is owed');
select is((select d.next_at from callback.deliveries d where d.url = 'https://merge.example/' and d.state = 'PENDING'), :'due'::timestamptz, 'at the time of the first, so that a flood does not put it off');
select is((select count(*) from callback.events e where e.run_id = :run), 3::bigint, 'every progress is kept');
select is((select count(*) from callback.events e join callback.deliveries d on d.event_id = e.id where e.run_id = :run and d.url = 'https://order.example/' and d.state = 'PENDING'), 3::bigint, 'who did not ask for it gets each');
update callback.deliveries set next_at = clock_timestamp() where url = 'https://merge.example/' and state = 'PENDING';
select tests.claimed();
select tests.report(:'claim', '{"percent": 40}');
select is(tests.merged(:run), '1 MERGED, 2 MERGED, 3 RUNNING, 4 PENDING', 'what is under way goes its way');
select tests.fail_all('{"result": "failed"}');
select tests.report(:'claim', '{"percent": 50}');
select is(tests.merged(:run), '1 MERGED, 2 MERGED, 3 PENDING, 4 MERGED, 5 PENDING', 'what was tried is not merged');
select tests.settle(:'claim');
select is(tests.merged(:run), '1 MERGED, 2 MERGED, 3 PENDING, 4 MERGED, 5 PENDING, 6 PENDING', 'an end merges nothing');
select callback.emit(tests.tenant('north'), :run, 'run.progress', jsonb_build_object('run_id', :run));  -- as after a repair
select is(tests.merged(:run), '1 MERGED, 2 MERGED, 3 PENDING, 4 MERGED, 5 PENDING, 6 PENDING, 7 PENDING', 'nor is it merged');
select tests.deliver_all();
select is((select count(*) from callback.deliveries where finished_at is null), 0::bigint, 'all of it ends');

-- ------------------------------------------------------------------------------------- disabled, after five days

select tests.endpoint('{"url": "https://alarm.example/", "events": ["run.failed"]}');
select tests.endpoint('{"url": "https://broken.example/", "events": ["endpoint.disabled"]}');
select tests.owe('https://broken.example/', 3);
select tests.answer('https://broken.example/', '{"result": "failed"}');
update callback.endpoints set failing_since = clock_timestamp() - interval '119 hours', open_until = null where url = 'https://broken.example/';
select tests.answer('https://broken.example/', '{"result": "failed"}');
select is((tests.health('https://broken.example/')).disabled_at, null, 'for five days an endpoint may fail');
update callback.endpoints set failing_since = clock_timestamp() - interval '121 hours', open_until = null where url = 'https://broken.example/';
select tests.answer('https://broken.example/', '{"result": "failed"}');
select matches((tests.health('https://broken.example/')).disabled_reason, '^every try has failed since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$', 'then it is disabled, with the reason');
select is(tests.ends('https://broken.example/'), '3 GONE', 'and what waits for it ends');
select is((select array_agg(d.url order by d.url) from callback.events e join callback.deliveries d on d.event_id = e.id where e.type = 'endpoint.disabled' and e.data ->> 'endpoint_url' = 'https://broken.example/'),
    '{https://alarm.example/,https://merge.example/,https://order.example/}', 'the tenant''s other standing endpoints are told, whatever they hear otherwise; those that single runs named are not');
select is((select array_agg(k order by k) from callback.events e, jsonb_object_keys(e.data) k where e.type = 'endpoint.disabled' and e.data ->> 'endpoint_url' = 'https://broken.example/'), '{disabled_at,endpoint_id,endpoint_url,failing_since,reason,url}', 'with what they need to know');
select tests.refused('north.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', (select min(d.id) from callback.deliveries d where d.url = 'https://broken.example/'))), 'ENDPOINT_DISABLED', 'nothing is sent again to it');
select tests.refused('north.operator', format('public.replay_deliveries(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://broken.example/')).id)), 'ENDPOINT_DISABLED', 'nor a range');
-- an event that was being written while its endpoint was disabled
insert into callback.deliveries (tenant_id, event_id, endpoint_id, url) select e.tenant_id, (select id from callback.events v where v.tenant_id = e.tenant_id and type = 'endpoint.disabled' limit 1), e.id, e.url from callback.endpoints e where e.url = 'https://broken.example/';
select is(tests.claimed() ~ 'broken', false, 'a disabled endpoint gets nothing, even what crept in');
select tests.tick();
select is(tests.ends('https://broken.example/'), '4 GONE', 'which ends as well');
-- and enabled again
select is(tests.as('north.admin', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://broken.example/')).id, 'enabled', true))) -> 'disabled_at', 'null', 'an admin enables it');
select is((select (e.failures, e.failing_since, e.openings, e.open_until, e.disabled_reason)::text from tests.health('https://broken.example/') e), '(0,,0,,)', 'with a clean record');
select is(tests.ends('https://broken.example/'), '4 GONE', 'nothing is replayed by itself');
select is(tests.as('north.operator', format('public.replay_deliveries(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://broken.example/')).id))) -> 'replayed', '0', 'nothing of it is dead');
select is(tests.as('north.operator', format('public.replay_deliveries(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://broken.example/')).id, 'missing', true))), '{"more": false, "replayed": 4}', 'what is missing is, on demand');
select tests.deliver_all();
select is(tests.ends('https://broken.example/'), '4 DELIVERED', 'and arrives');
select tests.endpoint('{"url": "https://late.example/"}');
select is(tests.as('north.operator', format('public.replay_deliveries(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://late.example/')).id, 'missing', true, 'since', '2020-01-01T00:00:00Z'))) -> 'replayed',
    (select to_jsonb(count(*)) from callback.events e where e.tenant_id = tests.tenant('north') and e.type in ('run.completed', 'run.failed')), 'a new endpoint may ask for what was before it');
select is(tests.as('north.operator', format('public.replay_deliveries(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://late.example/')).id, 'missing', true))) -> 'replayed', '0', 'once');
select is(tests.as('north.admin', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://late.example/')).id, 'enabled', false))) ->> 'disabled_reason', 'disabled by an admin', 'an admin switches it off');
select is(tests.ends('https://late.example/') ~ '^[0-9]+ GONE$', true, 'and what waits ends');
select tests.refused('north.admin', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://late.example/')).id) || p.body::jsonb), p.code, 'no change: ' || p.body, p.path)
from (values ('{"max_concurrency": 0}', 'FIELD_INVALID', '$.max_concurrency'), ('{"max_concurrency": 101}', 'FIELD_INVALID', '$.max_concurrency'), ('{"ordered": "yes"}', 'FIELD_INVALID', '$.ordered'),
             ('{"url": "https://x.example/"}', 'FIELD_UNKNOWN', '$.url'), ('{"events": ["x"]}', 'FIELD_INVALID', '$.events'), ('{"description": 7}', 'FIELD_INVALID', '$.description')) p (body, code, path);
select tests.refused('north.operator', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://late.example/')).id, 'enabled', true)), 'ROLE_INSUFFICIENT', 'an operator changes no endpoint');
select tests.refused('south.admin', format('public.update_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', (tests.health('https://late.example/')).id, 'enabled', true)), 'ENDPOINT_NOT_FOUND', 'nor does another tenant''s admin');

-- --------------------------------------------------------------------------------------- secrets

select tests.endpoint('{"url": "https://key.example/", "ed25519": true}') as key \gset
select tests.owe('https://key.example/', 1);
select tests.as('north.admin', format('public.rotate_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'key'::jsonb -> 'endpoint_id', 'revoke', true)));
select is((select (c ->> 'secret_version', c ->> 'previous_secret_version', c ->> 'ed25519')::text from tests.claim_deliveries() c where c ->> 'url' = 'https://key.example/'), '(2,,true)', 'a secret that leaked signs no more');

-- ------------------------------------------------------------------------------------- catching up

select is(tests.as('north.viewer', $$ public.list_events('{}') $$) -> 'items', '[]', 'events of a transaction that still runs are not read: what commits before it must not be missed');
select tests.refused('north.viewer', format('public.list_events(%L::jsonb)', p.body), p.code, 'no events: ' || p.body, p.path)
from (values ('{"after": "7"}', 'FIELD_INVALID', '$.after'), ('{"after": "x.1"}', 'FIELD_INVALID', '$.after'), ('{"after": 7}', 'FIELD_INVALID', '$.after'), ('{"limit": 0}', 'FIELD_INVALID', '$.limit'), ('{"run_id": 1}', 'FIELD_UNKNOWN', '$.run_id')) p (body, code, path);
-- (the order over transactions has a test of its own: tests/integration/callback)

-- ------------------------------------------------------------------------------------- networks

select tests.refused('north.admin', $$ public.allow_network('{"cidr": "10.1.0.0/16"}') $$, 'NETWORK_OUT_OF_BOUNDS', 'an admin opens nothing that the platform does not', '$.cidr');
select tests.as('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/8"}') $$);
select tests.as('north.admin', $$ public.allow_network('{"cidr": "10.1.0.0/16"}') $$) as network \gset
select is(:'network'::jsonb ->> 'cidr', '10.1.0.0/16', 'and inside it what the tenant needs');
select is(tests.as('north.admin', $$ public.allow_network('{"cidr": "10.1.0.0/16"}') $$), :'network'::jsonb, 'once');
select is((tests.as('north.admin', $$ public.list_networks('{}') $$) #> '{items,0}') - array['created_at', 'network_id'], '{"cidr": "10.1.0.0/16", "ports": null, "created_by": "north.admin"}', 'who opened it is known');
select is((select array_agg((user_id, action, object_id)::text order by id) from audit.entries where action ~ '^callback\.' and user_id <> 'service'), '{"(north.admin,callback.allow,10.1.0.0/16)","(north.admin,callback.allow,10.1.0.0/16)"}', 'and on record');
select is(tests.endpoint('{"url": "http://10.1.2.3/"}') ->> 'url', 'http://10.1.2.3/', 'it may be called');
select is(tests.as('south.admin', $$ public.list_networks('{}') $$) -> 'items', '[]', 'another tenant sees nothing of it');
select tests.refused('south.admin', $$ public.create_endpoint('{"url": "http://10.1.2.3/"}') $$, 'CALLBACK_ADDRESS_DENIED', 'and may not');
select tests.refused('south.admin', format('public.disallow_network(%L::jsonb)', :'network'::jsonb - 'cidr'), 'NETWORK_NOT_FOUND', 'nor close it');
select tests.refused(w, $$ public.allow_network('{"cidr": "10.2.0.0/16"}') $$, 'ROLE_INSUFFICIENT', w || ' opens nothing') from unnest(array['north.viewer', 'north.operator']) w;
select tests.refused('north.admin', format('public.allow_network(%L::jsonb)', p.body), p.code, 'not opened: ' || p.body, '$.cidr')
from (values ('{"cidr": "10.0.0.0/7"}', 'NETWORK_OUT_OF_BOUNDS'), ('{"cidr": "10.1.2.3/16"}', 'FIELD_INVALID'), ('{"cidr": "8.0.0.0/5"}', 'NETWORK_OUT_OF_BOUNDS'), ('{"cidr": "127.0.0.1"}', 'NETWORK_OUT_OF_BOUNDS'), ('{"cidr": "x"}', 'FIELD_INVALID'), ('{}', 'FIELD_INVALID')) p (body, code);
select is(tests.as('north.admin', format('public.disallow_network(%L::jsonb)', :'network'::jsonb - 'cidr')) -> 'deleted', 'true', 'an admin closes it');
select tests.refused('north.admin', $$ public.create_endpoint('{"url": "http://10.1.2.4/"}') $$, 'CALLBACK_ADDRESS_DENIED', 'and it is closed');
select tests.refused('platform', format('public.platform_allow_callbacks(%L::jsonb)', jsonb_build_object('cidr', c)), 'FIELD_INVALID', 'not even the platform opens ' || c, '$.cidr')
from unnest(array['169.254.0.0/16', '169.254.169.254', '0.0.0.0/0', '128.0.0.0/1', '224.0.0.1', '255.255.255.255', '::/0', 'fe80::/10', 'fe80::1', 'ff02::1', '::ffff:10.0.0.1', '126.0.0.0/7']) c;
select is(tests.as('platform', format('public.platform_allow_callbacks(%L::jsonb)', jsonb_build_object('cidr', c))) ->> 'cidr', c, 'the platform opens ' || c) from unnest(array['10.0.0.0/8', '192.168.0.0/16', 'fd00::/8', '100.64.0.0/10', '127.0.0.0/8']) c;

select finish();
rollback;
