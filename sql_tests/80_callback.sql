-- callback: the outbox. Every event that is owed is written with the change it tells of, and every delivery ends.
begin;
\ir fixtures.psql
select no_plan();

-- ------------------------------------------------------------------------------------------- addresses

create function tests.url(p_url text, p_who text default 'north.operator')
returns text language sql as $$
    select coalesce(tests.error(p_who, format('public.run_job(%L::jsonb)', tests.submission(jsonb_build_object('callbacks', jsonb_build_object('on_fail', p_url))))) ->> 'code', 'accepted')
$$;

select is(tests.url(u), 'CALLBACK_ADDRESS_DENIED', 'denied: ' || left(u, 60))
from unnest(array[
    'http://169.254.169.254/latest/meta-data', 'https://169.254.169.254', 'http://169.254.169.254:80/', 'http://169.254.169.254./', 'http://169.254.169.254?x=1',
    -- the same address as decimal, octal, hex, short, mixed
    'http://2852039166/', 'http://0xa9fea9fe/', 'http://0XA9FEA9FE/', 'http://025177524776/', 'http://0251.0376.0251.0376/', 'http://0xa9.0xfe.0xa9.0xfe/', 'http://169.254.43518/', 'http://169.16689662/',
    'http://0xa9.254.0251.254/', 'http://00000000000251.0376.0251.0376/', 'http://0x00000000000000000000000000a9fea9fe/',
    -- as IPv6, mapped, compatible, translated, 6to4
    'http://[::ffff:169.254.169.254]/', 'http://[::ffff:a9fe:a9fe]/', 'http://[0:0:0:0:0:ffff:a9fe:a9fe]/', 'http://[::169.254.169.254]/', 'http://[64:ff9b::a9fe:a9fe]/', 'http://[2002:a9fe:a9fe::]/', 'http://[64:ff9b:1::a9fe:a9fe]/',
    -- loopback and the rest of the special ranges
    'http://127.0.0.1/', 'http://127.1/', 'http://127.255.255.254/', 'http://2130706433/', 'http://0x7f.1/', 'http://017700000001/', 'http://0/', 'http://0.0.0.0/', 'http://0x0/', 'http://00/', 'http://[::1]/', 'http://[::]/', 'http://[0:0:0:0:0:0:0:1]:8080/x',
    'http://localhost/', 'http://LOCALHOST:8000/', 'http://localhost./', 'http://api.localhost/', 'http://10.0.0.1/', 'http://10.255.255.255/', 'http://172.16.0.1/', 'http://172.31.255.255/', 'http://192.168.1.1/', 'http://100.64.0.1/', 'http://198.18.0.1/',
    'http://192.0.2.1/', 'http://198.51.100.1/', 'http://203.0.113.1/', 'http://192.0.0.192/', 'http://224.0.0.1/', 'http://255.255.255.255/', 'http://240.0.0.1/', 'http://[fc00::1]/', 'http://[fd12:3456::1]/', 'http://[fe80::1]/', 'http://[ff02::1]/', 'http://[2001:db8::1]/', 'http://[fec0::1]/', 'http://[::1]:80/', 'http://[::FFFF:7F00:1]/',
    'http://1.2.3.256/', 'http://256.256.256.256/', 'http://4294967296/', 'http://0x1ffffffff/', 'http://99999999999999999999/'
]) u;
select is(tests.url(u), 'CALLBACK_URL_INVALID', 'invalid: ' || left(u, 60))
from unnest(array[
    '', 'x', 'ftp://example.com/', 'file:///etc/passwd', 'gopher://example.com/', 'javascript:alert(1)', '//example.com/', 'http:/example.com', 'http://', 'http:///x', 'http://user@example.com/', 'http://user:pw@example.com/', 'http://example.com@169.254.169.254/',
    'http://example.com#@169.254.169.254/', 'http://example.com/#frag', 'http://exa mple.com/', E'http://example.com/\nHost: x', E'http://example.com\t/', 'http://example.com\@169.254.169.254/', 'http://example.com:port/', 'http://example.com:999999/', 'http://example.com:65536/', 'http://example.com:0/', 'http://example.com:/', 'http://[1.2.3.4]/', 'http://%31%36%39.254.169.254/',
    'http://１６９.254.169.254/', 'http://ⓛocalhost/', 'http://127。0。0。1/', 'http://[::1', 'http://::1/', 'http://[]/', 'http://[fe80::1%25eth0]/', 'http://[2606:4700::/16]/', 'http://[1.2.3.4]x/', 'https://' || repeat('a', 254) || '/', 'https://example.com/' || repeat('a', 2048), 'https://exam_ple!.com/'
]) u;
select is(tests.url(u), 'accepted', 'accepted: ' || u)
from unnest(array['https://example.com', 'http://example.com/', 'https://example.com:8443/path?query=1&b=%20', 'https://sub.domain.example.co.uk/hook', 'https://8.8.8.8/hook', 'http://[2606:4700:4700::1111]/hook', 'http://134744072/', 'https://example.com?x=1', 'HTTPS://EXAMPLE.COM/x', 'https://my-host_1.example/']) u;

select is(callback.is_special(a::inet), true, a || ' is special') from unnest(array['0.0.0.0', '10.1.2.3', '127.0.0.1', '169.254.169.254', '192.168.0.1', '::1', '::ffff:8.8.8.8', 'fd00::1', 'fe80::1', '2002::1', '64:ff9b::1', 'ff02::1']) a;
select is(callback.is_special(a::inet), false, a || ' is public') from unnest(array['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.1', '169.253.255.255', '2606:4700::1', '2a00::1']) a;
select is(callback.literal_address(h)::text, e, coalesce(h || ' is ' || e, h || ' is a name'))
from (values ('2130706433', '127.0.0.1/32'), ('0x7f.1', '127.0.0.1/32'), ('017700000001', '127.0.0.1/32'), ('1.2.3.4', '1.2.3.4/32'), ('1.2.772', '1.2.3.4/32'), ('example.com', null), ('1.2.3.4.5', null), ('deadbeef', null), ('1e3', null), ('0x7g', null)) l (h, e);

-- what an admin allows counts inside what the platform allows
select tests.as('platform', $$ public.platform_allow_callbacks('{"cidr": "10.1.0.0/16", "tenant": "north"}') $$);
select is(tests.url('http://10.1.2.3/'), 'CALLBACK_ADDRESS_DENIED', 'a tenant''s network without the platform''s opens nothing');
select tests.as('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/8"}') $$);
select is(tests.url('http://10.1.2.3/'), 'accepted', 'inside the platform''s it does');
select is(tests.url('http://0xa010203/'), 'accepted', 'however it is written');
select is(tests.url('http://10.2.0.1/'), 'CALLBACK_ADDRESS_DENIED', 'and no more than it');
select is(tests.url('http://10.1.2.3/', 'south.operator'), 'CALLBACK_ADDRESS_DENIED', 'and for no other tenant');
select is(tests.url('http://169.254.169.254/'), 'CALLBACK_ADDRESS_DENIED', 'the platform''s network opens nothing by itself');

-- and at the ports of both: where nobody names ports the ordinary ones, an internal one where both name it
create function tests.opened(p_network cidr)
returns text language sql as $$ select string_agg(ports::text, ' ') from callback.allowed(tests.tenant('north')) where network = p_network $$;
select is(tests.url(u), 'CALLBACK_ADDRESS_DENIED', 'no receiver is there: ' || u) from unnest(array['http://example.com:22/', 'https://example.com:6443/', 'http://[2606:4700::1111]:25/', 'http://10.1.2.3:5432/']) u;
select tests.as('north.admin', $$ public.allow_network('{"cidr": "10.9.0.0/24", "ports": [5678, 80, 80]}') $$) as opened \gset
select is(:'opened'::jsonb - 'network_id', '{"cidr": "10.9.0.0/24", "ports": [80, 5678]}', 'an admin opens a network at some ports');
select is(tests.url(u), e, e || ': ' || u) from (values ('http://10.9.0.1/', 'accepted'), ('http://10.9.0.1:5678/x', 'accepted'), ('https://10.9.0.1/', 'CALLBACK_ADDRESS_DENIED'), ('http://10.9.0.1:8080/', 'CALLBACK_ADDRESS_DENIED'), ('http://10.9.0.1:80/', 'accepted')) x (u, e);
select is(tests.as('north.admin', $$ public.list_networks('{}') $$) #> '{items,1,ports}', '[80, 5678]', 'which is listed');
select tests.refused('north.admin', format('public.allow_network(%L::jsonb)', jsonb_build_object('cidr', '10.9.0.0/24', 'ports', p::jsonb)), 'FIELD_INVALID', 'no ports: ' || p, '$.ports') from unnest(array['[]', '[0]', '[65536]', '["80"]', '[1.5]', '80', '{"a": 1}', '[[80]]', (select jsonb_agg(n)::text from generate_series(1, 101) n)]) p;
select tests.refused('north.admin', $$ public.allow_network('{"cidr": "10.9.0.0/24", "ports": [6443]}') $$, 'NETWORK_OUT_OF_BOUNDS', 'an internal port is not opened by its admin alone', '$.ports');
select tests.as('platform', $$ public.platform_allow_callbacks('{"cidr": "10.9.0.0/16", "ports": [6443, 8443]}') $$);
select is(tests.url('https://10.9.0.1:6443/'), 'CALLBACK_ADDRESS_DENIED', 'nor by the platform alone');
select tests.as('north.admin', $$ public.allow_network('{"cidr": "10.9.0.0/24", "ports": [6443]}') $$);
select is(tests.url('https://10.9.0.1:6443/'), 'accepted', 'but where both name it');
select is(tests.url('https://hook.example:6443/'), 'accepted', 'by a name as well, which the sender looks up');
select is(tests.opened('10.9.0.0/24'), '{6443}', 'ports that are said anew replace those that were');
select tests.as('north.admin', $$ public.allow_network('{"cidr": "10.9.0.0/24"}') $$);
select is((select array_agg(ports::text order by ports) from callback.allowed(tests.tenant('north')) where network = '10.9.0.0/24')::text, '{"{8443}",NULL}', 'who names no ports has what is ordinary of the bound');
select tests.as('north.admin', format('public.disallow_network(%L::jsonb)', jsonb_build_object('network_id', (select id from callback.allowed_networks where network = '10.9.0.0/24'))));
select is(tests.opened('10.9.0.0/24'), null, 'what is closed is closed');

select is(tests.count('north.viewer', 'select * from callback.allowed_networks'), 0::bigint, 'only admins see what is allowed');
select is(tests.count('north.admin', 'select * from callback.allowed_networks'), 1::bigint, 'of their own tenant');
select is(tests.count('south.admin', 'select * from callback.allowed_networks'), 0::bigint, 'not of another');

-- ------------------------------------------------------------------------------ events and deliveries

select tests.drain();
select tests.run_told('{"on_complete": "https://a.example/ok", "on_fail": "https://a.example/bad"}') as run \gset
select is(tests.owed(:run), '1 run.completed to https://a.example/ok: PENDING', 'a success is owed to on_complete');
select tests.run_told('{"on_complete": "https://a.example/ok", "on_fail": "https://a.example/bad"}', '{"state": "FAILED", "termination_code": "USER_CODE_FAILED"}') as failed \gset
select is(tests.owed(:failed), '1 run.failed to https://a.example/bad: PENDING', 'a failure is owed to on_fail');
select is((select (data - array['run_id', 'created_at', 'started_at', 'finished_at', 'url'])::text from callback.events where run_id = :failed),
    '{"seq": 1, "name": "spark_etl", "state": "FAILED", "job_id": null, "repair": 0, "job_type": "spark_etl", "termination_code": "USER_CODE_FAILED", "termination_message": null}', 'the body is thin: what, how it ended, where to look');
select is(tests.owed(tests.run_told('{"on_fail": "https://a.example/bad"}', '{"state": "TIMED_OUT", "termination_code": "DEADLINE_EXCEEDED"}')), '1 run.failed to https://a.example/bad: PENDING', 'a time-out counts as failed');
select tests.submit('north.operator', '{"callbacks": {"on_fail": "https://a.example/bad"}}') as canceled \gset
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', :canceled)));
select is(tests.owed(:canceled), '1 run.failed to https://a.example/bad: PENDING', 'so does a cancel, at once');
select is((select data ->> 'state' from callback.events where run_id = :canceled), 'CANCELED', 'the state in the body tells them apart');
select is((select count(*) from callback.events e join callback.events f using (tenant_id, run_id) where e.id <> f.id), 0::bigint, 'each of them is announced once');
select tests.run_told('{}') as silent \gset
select is((select count(*) from callback.events where run_id = :silent), 1::bigint, 'a run that nobody asked about still has its one terminal event');
select is((select count(*) from callback.deliveries d join callback.events e on e.id = d.event_id where e.run_id = :silent), 0::bigint, 'owed to nobody');
select throws_ok(format($$ insert into callback.events (tenant_id, run_id, seq, type, data) values (%L, %s, 2, %L, '{}') $$, tests.tenant('north'), :run, t), '23505', null, 'no second terminal event: ' || t) from unnest(array['run.completed', 'run.failed']) t;
select throws_ok(format($$ insert into callback.events (tenant_id, run_id, seq, type, data) values (%L, %s, 1, 'run.progress', '{}') $$, tests.tenant('north'), :run), '23505', null, 'no event with a number that is taken');
select throws_ok(format($$ insert into callback.events (tenant_id, run_id, seq, type, data) values (%L, %s, 3, 'run.progress', '{}') $$, tests.tenant('south'), :run), '23503', null, 'no event of another tenant''s run');

-- progress: only where somebody asked, numbered without holes
select tests.submit('north.operator', '{"callbacks": {"on_progress": "https://a.example/p", "on_complete": "https://a.example/ok"}}') as run \gset
select tests.claim() as claim \gset
select tests.report(:'claim', '{"percent": 10, "message": "one"}');
select tests.report(:'claim', '{"percent": 10, "message": "one"}');
select tests.renew(:'claim', 'r1', '{"percent": 20}');
select tests.renew(:'claim', 'r1', '{"percent": 20}');
select tests.as('anon', format('public.attempt_report(%L::jsonb)', jsonb_build_object('token', :'claim'::jsonb ->> 'token', 'event', 'progress', 'percent', 30, 'message', 'three')));
select tests.settle(:'claim');
select is((select array_agg(seq || ' ' || type || coalesce(' ' || (data ->> 'percent'), '') order by seq) from callback.events where run_id = :run),
    '{"1 run.progress 10","2 run.progress 20","3 run.progress 30","4 run.completed"}', 'progress is told once per advance, and events are numbered without holes');
select is((select event_seq from queue.runs where id = :run), 4::bigint, 'the run knows the last number');
select is(tests.as('north.viewer', format('public.run_events(%L::jsonb)', jsonb_build_object('run_id', :run, 'after', 2))) #> '{items,0,seq}', '3', 'events are read from where one stopped');
select is((select count(*) from (select run_id, seq - row_number() over (partition by run_id order by seq) as hole from callback.events) x where hole <> 0), 0::bigint, 'no run has a hole in its numbers');

-- endpoints
select tests.as('north.admin', $$ public.create_endpoint('{"url": "https://all.example/hook"}') $$) as endpoint \gset
select tests.run_told('{"on_complete": "https://all.example/hook"}') as run \gset
select is(tests.owed(:run), '1 run.completed to https://all.example/hook: PENDING', 'an endpoint that wants everything is told, once');
select tests.run_told('{}', '{}', 'south.operator') as souths \gset
select is((select count(*) from callback.deliveries where tenant_id = tests.tenant('south')), 0::bigint, 'another tenant''s runs are not its business');
select is(tests.as('north.admin', $$ public.create_endpoint('{"url": "https://all.example/hook", "events": ["run.failed"]}') $$) ->> 'endpoint_id', :'endpoint'::jsonb ->> 'endpoint_id', 'one endpoint for a URL');
select tests.refused('north.admin', format('public.create_endpoint(%L::jsonb)', '{"url": "https://x.example"}'::jsonb || p.body::jsonb), p.code, 'no endpoint: ' || p.body, p.path)
from (values ('{"url": "http://10.9.9.9/"}', 'CALLBACK_ADDRESS_DENIED', '$.url'), ('{"url": null}', 'CALLBACK_URL_INVALID', '$.url'), ('{"url": 7}', 'CALLBACK_URL_INVALID', '$.url'), ('{"events": ["run.started"]}', 'FIELD_INVALID', '$.events'),
             ('{"events": "run.failed"}', 'FIELD_INVALID', '$.events'), ('{"events": {}}', 'FIELD_INVALID', '$.events'), ('{"secret": "x"}', 'FIELD_UNKNOWN', '$.secret')) p (body, code, path);
select tests.refused(w, $$ public.create_endpoint('{"url": "https://x.example"}') $$, 'ROLE_INSUFFICIENT', w || ' makes no endpoint') from unnest(array['north.viewer', 'north.operator']) w;
select tests.refused('north.operator', format('public.get_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::jsonb ->> 'endpoint_id', 'purpose', 'secret')), 'ROLE_INSUFFICIENT', 'only an admin reads a signing secret');
select is(tests.as('north.admin', format('public.get_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::jsonb ->> 'endpoint_id', 'purpose', 'secret'))) -> 'secret_version', '1', 'an admin does');
select is((select (user_id, action)::text from audit.entries where action = 'endpoint.read_secret'), '(north.admin,endpoint.read_secret)', 'which is on record');
select is(tests.as('north.admin', format('public.rotate_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::jsonb ->> 'endpoint_id'))) -> 'secret_version', '2', 'a secret is rotated by counting its version');
select tests.refused('north.operator', format('public.rotate_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::jsonb ->> 'endpoint_id')), 'ROLE_INSUFFICIENT', 'by an admin only');
select tests.refused('south.admin', format('public.rotate_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint'::jsonb ->> 'endpoint_id')), 'ENDPOINT_NOT_FOUND', 'of the tenant');
select tests.run_told('{"on_complete": "https://all.example/hook"}');
select is((select (c ->> 'secret_version', c ->> 'previous_secret_version')::text from tests.rows('runner', format('select worker.claim_deliveries(%L, 100)', tests.runner())) x, lateral (select x -> 'claim_deliveries' as c) y where c ->> 'url' = 'https://all.example/hook' limit 1), '(2,1)',
    'for a day the old secret signs beside the new one');
update callback.endpoints set rotated_at = clock_timestamp() - interval '25 hours' where url = 'https://all.example/hook';
update callback.deliveries set state = 'PENDING';
select is((select (c ->> 'secret_version', c ->> 'previous_secret_version')::text from tests.rows('runner', format('select worker.claim_deliveries(%L, 100)', tests.runner())) x, lateral (select x -> 'claim_deliveries' as c) y where c ->> 'url' = 'https://all.example/hook' limit 1), '(2,)',
    'then no more');
update callback.deliveries set state = 'PENDING';
select is((select count(*) from information_schema.columns where table_schema = 'callback' and column_name ~ 'secret|key' and column_name <> 'secret_version'), 0::bigint, 'no secret is stored');

-- ------------------------------------------------------------------------------------ the senders

select tests.deliver(c, '{"result": "delivered", "status": 200}') from tests.claim_deliveries() c;
select is((select count(*) from callback.deliveries where state <> 'DELIVERED'), 0::bigint, 'what the receiver takes is delivered');
select tests.run_told('{"on_complete": "https://b.example/ok"}') as run \gset
select tests.claim_deliveries() as sent \gset
select is(:'sent'::jsonb - array['delivery_id', 'endpoint_id', 'event_id', 'body', 'tenant_id', 'now', 'age_ms'],
    jsonb_build_object('lease', 1, 'url', 'https://b.example/ok', 'secret_version', 1, 'previous_secret_version', null, 'type', 'run.completed', 'try', 1, 'ed25519', false, 'timeout_seconds', 15, 'allow', '[{"network": "10.1.0.0/16", "ports": null}]'::jsonb, 'run_id', :run, 'traceparent', null), 'a sender learns where to send, and what is allowed');
select cmp_ok((:'sent'::jsonb ->> 'now')::numeric, '<=', extract(epoch from clock_timestamp()), 'and what time it is: the clock of a sender may be wrong');
select ok((:'sent'::jsonb ->> 'age_ms')::bigint between 0 and 60000, 'and how long ago it was that of which it tells');
select is((:'sent'::jsonb ->> 'body')::jsonb - array['timestamp', 'data'], '{"type": "run.completed"}', 'the body is text, to be signed as it is');
select is((:'sent'::jsonb ->> 'body')::jsonb #> '{data,run_id}', to_jsonb(:run::bigint), 'and names the run');
select is((select count(*) from tests.claim_deliveries()), 0::bigint, 'one sender has it');
select is(tests.deliver(:'sent'::jsonb || '{"lease": 2}', '{"result": "delivered"}') ->> 'reason', 'stale', 'a stale sender settles nothing');
select is(tests.deliver(:'sent', '{"result": "failed", "status": 500, "error": "HTTP 500"}') ->> 'state', 'PENDING', 'what fails is tried again');
select is((select (last_status, last_error, tries)::text from tests.delivery(:'sent')), '(500,"HTTP 500",1)', 'with what went wrong on record');
select is(tests.deliver(:'sent', '{"result": "delivered"}') ->> 'reason', 'stale', 'the failed try cannot succeed any more');
select is((select count(*) from tests.claim_deliveries()), 0::bigint, 'it waits its time');

-- the schedule, try by try
create function tests.try_again(p_claim jsonb, p jsonb default '{"result": "failed"}', out wait interval, out state text, out try integer)
language plpgsql as $$
declare
    c jsonb;
    d callback.deliveries;
begin
    update callback.deliveries x set next_at = clock_timestamp() - interval '1 second' where x.id = (p_claim ->> 'delivery_id')::bigint;
    update callback.endpoints set open_until = null;  -- the circuit has a test of its own
    c := (select x from tests.claim_deliveries(1) x);
    perform tests.deliver(c, p);
    d := tests.delivery(c);
    wait := d.next_at - clock_timestamp();
    state := d.state;
    try := d.tries;
end
$$;
create temporary table schedule (wait interval, state text, try integer);
do $$
begin
    for i in 1 .. 9 loop
        insert into schedule select r.wait, r.state, r.try from tests.try_again((select jsonb_build_object('delivery_id', d.id) from callback.deliveries d where d.state = 'PENDING')) r;
    end loop;
end
$$;
select results_eq('select try, state from schedule order by try', $$ values (2, 'PENDING'), (3, 'PENDING'), (4, 'PENDING'), (5, 'PENDING'), (6, 'PENDING'), (7, 'PENDING'), (8, 'PENDING'), (9, 'PENDING'), (10, 'DEAD') $$, 'after ten tries a delivery is dead');
select ok(s.wait between w.least - interval '1 second' and w.least * 1.1, format('after try %s it waits %s and up to a tenth more', w.try, w.least))
from (values (2, interval '5 minutes'), (3, '30 minutes'), (4, '2 hours'), (5, '5 hours'), (6, '10 hours'), (7, '14 hours'), (8, '20 hours'), (9, '24 hours')) w (try, least) join schedule s on s.try = w.try;
select ok(callback.delay(1, null) between interval '5 seconds' and interval '5.5 seconds', 'after the first it waits 5 seconds');
select ok(sum(x.d) between interval '74 hours' and interval '84 hours', 'ten tries take about 75 hours') from (select callback.delay(n, null) as d from generate_series(1, 9) n) x;
select is(callback.delay(5, s), i, format('Retry-After of %s replaces the schedule by %s', s, i)) from (values (30, interval '30 seconds'), (0, '1 second'), (-5, '1 second'), (99999, '1 hour')) r (s, i);
select is((select count(*) from tests.claim_deliveries()), 0::bigint, 'the dead are not sent');
select is((select finished_at is not null from tests.delivery(:'sent')), true, 'dead is an end');

-- sent again by people
select tests.as('north.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', :'sent'::jsonb -> 'delivery_id')));
select is((select (state, tries)::text from tests.delivery(:'sent')), '(PENDING,0)', 'an operator sends a dead one again');
select tests.refused('north.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', :'sent'::jsonb -> 'delivery_id')), 'DELIVERY_PENDING', 'not one that is under way');
select tests.claim_deliveries() as again \gset
select is(:'again'::jsonb ->> 'event_id', :'sent'::jsonb ->> 'event_id', 'under the same event id, so that the receiver can tell');
select is(:'again'::jsonb ->> 'body', :'sent'::jsonb ->> 'body', 'byte for byte');
select tests.refused('north.viewer', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', :'sent'::jsonb -> 'delivery_id')), 'ROLE_INSUFFICIENT', 'a viewer sends nothing');
select tests.refused('south.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', :'sent'::jsonb -> 'delivery_id')), 'DELIVERY_NOT_FOUND', 'nor does another tenant');
select tests.deliver(:'again', '{"result": "delivered", "status": 204}');
update callback.deliveries set state = 'DEAD' where id = (:'sent'::jsonb ->> 'delivery_id')::bigint;
select is(tests.as('south.operator', $$ public.replay_deliveries('{}') $$) -> 'replayed', '0', 'another tenant replays its own dead only');
select is(tests.as('north.operator', $$ public.replay_deliveries('{"until": "2001-01-01T00:00:00Z"}') $$) -> 'replayed', '0', 'a replay keeps to its range');
select is(tests.as('north.operator', $$ public.replay_deliveries('{}') $$) -> 'replayed', '1', 'the dead are replayed');
select tests.refused('north.operator', format('public.replay_deliveries(%L::jsonb)', p.body), p.code, 'no replay: ' || p.body, p.path)
from (values ('{"since": "long ago"}', 'FIELD_INVALID', '$.since'), ('{"endpoint_id": "x"}', 'FIELD_INVALID', '$.endpoint_id'), ('{"state": "DEAD"}', 'FIELD_UNKNOWN', '$.state'), ('[]', 'BODY_INVALID', '$')) p (body, code, path)
where p.body <> '{"endpoint_id": "x"}';
select tests.deliver(c, '{"result": "delivered"}') from tests.claim_deliveries() c;

-- a sender that is lost
select tests.run_told('{"on_complete": "https://c.example/ok"}');
select tests.claim_deliveries() as lost \gset
update callback.deliveries set lease_expires_at = clock_timestamp() - interval '1 second' where id = (:'lost'::jsonb ->> 'delivery_id')::bigint;
select is(tests.tick() -> 'deliveries_reaped', '1', 'a sender that was lost is noticed');
select is(tests.deliver(:'lost', '{"result": "delivered"}') ->> 'reason', 'stale', 'it comes too late');
select is((select c ->> 'try' from tests.claim_deliveries() c), '2', 'its try counts, another is made: twice sent rather than never');
update callback.deliveries set lease_expires_at = clock_timestamp() - interval '1 second', tries = 10 where id = (:'lost'::jsonb ->> 'delivery_id')::bigint;
select tests.tick();
select is((select state::text from tests.delivery(:'lost')), 'DEAD', 'a tenth sender that is lost is the last');

-- endpoints that are gone
select tests.run_told('{"on_complete": "https://gone.example/x"}') from generate_series(1, 3);
select jsonb_agg(c order by c -> 'delivery_id') as gone from tests.claim_deliveries(2) c \gset
select is(tests.deliver(:'gone'::jsonb -> 0, '{"result": "gone", "status": 410}') ->> 'state', 'GONE', '410 ends a delivery');
select is((select disabled_reason from callback.endpoints where url = 'https://gone.example/x'), 'the endpoint answered 410 Gone', 'and disables the endpoint');
select is((select array_agg(state::text order by id) from callback.deliveries where url = 'https://gone.example/x'), '{GONE,RUNNING,GONE}', 'and ends what waits for it');
select is(tests.deliver(:'gone'::jsonb -> 1, '{"result": "failed", "status": 500}') ->> 'state', 'GONE', 'and what was under way, if it fails');
select tests.run_told('{"on_complete": "https://gone.example/x"}') as run \gset
select is(tests.owed(:run), '1 run.completed to https://gone.example/x: GONE', 'what is owed to a disabled endpoint ends as gone, it is not lost from the books');

select is((select array_agg(e.type || ' to ' || d.url) from callback.events e join callback.deliveries d on d.event_id = e.id where e.type = 'endpoint.disabled'), '{endpoint.disabled to https://all.example/hook}', 'the tenant''s standing endpoint is told of it');
select tests.deliver(c, '{"result": "delivered"}') from tests.claim_deliveries() c;

select tests.run_told('{"on_complete": "https://del.example/x"}') from generate_series(1, 2);
select tests.claim_deliveries(1) as under_way \gset
select endpoint_id from callback.deliveries where url = 'https://del.example/x' limit 1 \gset
select tests.as('north.admin', format('public.delete_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint_id'::text)));
select is((select array_agg(state::text order by id) from callback.deliveries where url = 'https://del.example/x'), '{RUNNING,GONE}', 'a deleted endpoint gets nothing more');
update callback.deliveries set lease_expires_at = clock_timestamp() - interval '1 second' where id = (:'under_way'::jsonb ->> 'delivery_id')::bigint;
select tests.tick();
select is((select state::text from tests.delivery(:'under_way')), 'GONE', 'not even after its sender was lost');
select tests.refused('north.operator', format('public.redeliver_delivery(%L::jsonb)', jsonb_build_object('delivery_id', :'under_way'::jsonb -> 'delivery_id')), 'ENDPOINT_NOT_FOUND', 'nor by hand');
select tests.refused('north.admin', format('public.delete_endpoint(%L::jsonb)', jsonb_build_object('endpoint_id', :'endpoint_id'::text)), 'ENDPOINT_NOT_FOUND', 'it is deleted once');
select tests.run_told('{"on_complete": "https://del.example/x"}') as run \gset
select is(tests.owed(:run), '1 run.completed to https://del.example/x: PENDING', 'a run that names the URL again makes a new endpoint');

select throws_ok('update callback.deliveries set finished_at = null where state = ''DELIVERED''', '23514', null, 'finished if and only if finished_at');
select throws_ok('update callback.deliveries set finished_at = now() where state = ''PENDING''', '23514', null, 'either way');

-- ---------------------------------------------------------------------------------- who sees, append-only

select cmp_ok(tests.count('north.viewer', 'select * from public.deliveries'), '>', 0::bigint, 'a viewer sees the tenant''s deliveries');
select is(tests.count('south.admin', 'select * from public.deliveries'), 0::bigint, 'another tenant''s admin does not');
select is(tests.count('south.admin', 'select * from public.endpoints'), 0::bigint, 'nor the endpoints');
select is(tests.count('south.admin', 'select * from public.events where tenant_id <> tenancy.tenant_id()'), 0::bigint, 'nor the events');
select is(tests.as('south.admin', $$ public.list_deliveries('{}') $$) -> 'items', '[]', 'by no door');
select is(tests.as('south.admin', $$ public.list_endpoints('{}') $$) -> 'items', '[]', 'by none');
select throws_like('delete from callback.events', 'events_are_kept%', 'no event is deleted');
select throws_like('update callback.events set data = ''{}''', 'events_are_append_only%', 'no event is rewritten');
select throws_like('truncate callback.events cascade', 'events_are_never_truncated%', 'events are not truncated');
set local session_replication_role = replica;
select throws_ok('delete from callback.events', '42501', null, 'not even with triggers asleep');
select throws_ok('update callback.events set seq = seq + 1', '42501', null, 'nor rewritten');
set local session_replication_role = origin;

select * from finish();
rollback;
