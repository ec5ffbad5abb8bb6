-- schedule: the clock in a zone that turns it, what may be defined, what is owed after an outage, what an update of a dataset does.
begin;
\ir fixtures.psql
select no_plan();
set local timezone = 'UTC';

-- ------------------------------------------------------------------------------------------ real time

create function tests.fires(p_cron text, p_zone text, p_after timestamptz, p_count integer default 4)
returns text[] language plpgsql as $$
declare
    v_all text[] := '{}';
begin
    for i in 1 .. p_count loop
        p_after := schedule.next_fire(p_cron, p_zone, p_after);
        v_all := v_all || to_char(p_after at time zone 'UTC', 'MM-DD HH24:MI');
    end loop;
    return v_all;
end
$$;
select is(tests.fires(w.cron, w.zone, w.after::timestamptz, cardinality(w.expected::text[])), w.expected::text[], format('%s in %s: %s', w.cron, w.zone, w.law))
from (values
    -- Berlin goes from 02:00 +01 to 03:00 +02 on 29 March 2026, and back from 03:00 +02 to 02:00 +01 on 25 October
    ('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00Z', '{03-28 01:30,03-29 01:00,03-30 00:30}', 'a time that is skipped fires once, when the gap is over'),
    ('0,30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '{03-29 01:00,03-30 00:00}', 'two times that are skipped are one fire'),
    ('0 3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '{03-29 01:00,03-30 01:00}', 'the time after the gap is one fire'),
    ('0 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '{03-29 01:00,03-30 00:00,03-30 01:00}', 'the skipped one and that after it are one fire'),
    ('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', '{10-25 00:30,10-26 01:30}', 'a time that comes twice fires once, the first time'),
    ('30 2 * * *', 'Europe/Berlin', '2026-10-25T00:45Z', '{10-26 01:30}', 'asked between the two, it has fired'),
    ('0 3 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', '{10-25 02:00,10-26 02:00}', 'the moment at which the clock is turned back is not three'),
    ('*/30 * * * *', 'Europe/Berlin', '2026-10-24T23:45Z', '{10-25 00:00,10-25 00:30,10-25 01:00,10-25 01:30,10-25 02:00}', 'a star as hour follows the clock as it runs, twice'),
    ('0 * * * *', 'Europe/Berlin', '2026-03-29T00:00Z', '{03-29 01:00,03-29 02:00}', 'a star as hour has nothing to make up for'),
    ('0 */2 * * *', 'Europe/Berlin', '2026-03-28T23:30Z', '{03-29 02:00,03-29 04:00}', 'a star with a step: two o''clock is not there'),
    ('*/30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '{03-29 01:00,03-30 00:00,03-30 00:30}', 'a star as minute is a fixed time all the same: skipped'),
    ('*/30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', '{10-25 00:00,10-25 00:30,10-26 01:00}', 'and twice'),
    -- New York: 8 March 2026 02:00 -05 -> 03:00 -04; 1 November 02:00 -04 -> 01:00 -05
    ('30 2 8 3 *', 'America/New_York', '2026-01-01T00:00Z', '{03-08 07:00,03-08 07:30}', 'once a year, and that day it is skipped'),
    ('15 1 * * *', 'America/New_York', '2026-10-31T12:00Z', '{11-01 05:15,11-02 06:15}', 'a time that comes twice fires once'),
    -- Lord Howe turns by half an hour: 4 October 2026 02:00 +10:30 -> 02:30 +11; 5 April 02:00 +11 -> 01:30 +10:30
    ('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T20:00Z', '{10-03 15:30,10-04 15:15}', 'skipped by a gap of half an hour'),
    ('30 2 * * *', 'Australia/Lord_Howe', '2026-10-02T20:00Z', '{10-03 15:30,10-04 15:30}', 'the end of that gap'),
    ('45 1 * * *', 'Australia/Lord_Howe', '2026-04-03T20:00Z', '{04-04 14:45,04-05 15:15}', 'twice within half an hour is once'),
    ('0 * * * *', 'Australia/Lord_Howe', '2026-04-04T13:45Z', '{04-04 14:00,04-04 15:30,04-04 16:30}', 'the hours go on half an hour later'),
    ('0 5 * * *', 'Asia/Kathmandu', '2026-03-28T00:00Z', '{03-28 23:15,03-29 23:15}', 'an offset of three quarters, never turned'),
    ('0 5 * * *', 'Pacific/Apia', '2011-12-29T12:00Z', '{12-29 15:00,12-30 10:00,12-30 15:00}', 'a day that is skipped fires when it is over'),
    -- the calendar
    ('0 0 13 * fri', 'UTC', '2026-02-01T00:00Z', '{02-06 00:00,02-13 00:00,02-20 00:00,02-27 00:00,03-06 00:00,03-13 00:00}', 'of day and weekday one is enough'),
    ('0 0 */10 * fri', 'UTC', '2026-01-01T00:00Z', '{05-01 00:00,07-31 00:00,08-21 00:00}', 'a star with a step and a weekday: both'),
    ('0 0 29 2 *', 'UTC', '2026-01-01T00:00Z', '{02-29 00:00,02-29 00:00}', 'a day of leap years'),
    ('0 0 L * *', 'UTC', '2026-01-31T00:00Z', '{02-28 00:00,03-31 00:00,04-30 00:00}', 'L is the last day of the month'),
    ('0 12 * * sat-sun', 'UTC', '2026-11-26T00:00Z', '{11-28 12:00,11-29 12:00,12-05 12:00}', 'Sunday ends a week as well'),
    ('5-59/20 0 1 jan,JUL *', 'UTC', '2026-01-01T00:30Z', '{01-01 00:45,07-01 00:05,07-01 00:25}', 'names, steps in a range'),
    ('@daily', 'Europe/Berlin', '2026-07-01T00:00Z', '{07-01 22:00}', 'a nickname'),
    ('@weekly', 'UTC', '2026-11-26T00:00Z', '{11-29 00:00}', 'a nickname')
) w (cron, zone, after, expected, law);
select ok(schedule.next_fire('* * * * *', 'UTC', '2026-01-01T00:00:30Z') = '2026-01-01T00:01Z', 'seconds are not waited for');
select is(schedule.next_fire('0 0 30 2 *', 'UTC', now()), null, 'a day that never comes');

-- --------------------------------------------------------------------------------- what may be defined

create function tests.clocked(p jsonb)
returns text language sql as $$
    select format('public.create_job(%L::jsonb)', jsonb_build_object('name', 'clock ' || md5(p::text), 'tasks', jsonb_build_array(tests.submission('{"task_key": "t"}'))) || p)
$$;
select tests.refused('north.operator', tests.clocked(jsonb_build_object('schedule', jsonb_build_object('cron', w.cron))), 'FIELD_INVALID', 'no cron: ' || w.cron, '$.schedule.cron')
from unnest(array['', '* * * *', '* * * * * *', '0 0 5 * * ?', '60 * * * *', '* 24 * * *', '* * 0 * *', '* * 32 * *', '* * * 13 * ', '* * * * 8', '*/0 * * * *', '5-1 * * * *', '0/15 * * * *',
    '-1 * * * *', '1.5 * * * *', '* * * foo *', '* * * * mon#2', '* * 15W * *', '1,,2 * * * *', ', * * * *', '*-5 * * * *', '@reboot', '@hourl', '0 0 30 2 *', '0 0 31 feb,apr *', 'L * * * *', '* * L-3 * *',
    '1 2 3 4 5; drop table x', repeat('1,', 120) || '1 * * * *']) w (cron);
select tests.refused('north.operator', tests.clocked(w.body::jsonb), w.code, 'no clock: ' || w.body, w.path)
from (values
    ('{"schedule": "0 5 * * *"}', 'BODY_INVALID', '$.schedule'), ('{"schedule": {}}', 'FIELD_INVALID', '$.schedule.cron'), ('{"schedule": {"cron": 5}}', 'FIELD_INVALID', '$.schedule.cron'),
    ('{"schedule": {"cron": "@daily", "timezone": "Europe/Berlim"}}', 'FIELD_INVALID', '$.schedule.timezone'), ('{"schedule": {"cron": "@daily", "timezone": "CET-1CEST"}}', 'FIELD_INVALID', '$.schedule.timezone'),
    ('{"schedule": {"cron": "@daily", "timezone": "Europe/Berlim3"}}', 'FIELD_INVALID', '$.schedule.timezone'), ('{"schedule": {"cron": "@daily", "timezone": "Etc/GMT+99"}}', 'FIELD_INVALID', '$.schedule.timezone'),
    ('{"schedule": {"cron": "@daily", "timezone": "../../etc/passwd"}}', 'FIELD_INVALID', '$.schedule.timezone'), ('{"schedule": {"cron": "@daily", "timezone": 1}}', 'FIELD_INVALID', '$.schedule.timezone'),
    ('{"schedule": {"cron": "@daily", "missed": "some"}}', 'FIELD_INVALID', '$.schedule.missed'), ('{"schedule": {"cron": "@daily", "paused": "no"}}', 'FIELD_INVALID', '$.schedule.paused'),
    ('{"schedule": {"cron": "@daily", "quartz": true}}', 'FIELD_UNKNOWN', '$.schedule.quartz'),
    ('{"periodic": {}}', 'FIELD_INVALID', '$.periodic.every_seconds'), ('{"periodic": {"every_seconds": 9}}', 'FIELD_INVALID', '$.periodic.every_seconds'), ('{"periodic": {"every_seconds": "60"}}', 'FIELD_INVALID', '$.periodic.every_seconds'),
    ('{"periodic": {"every_seconds": 10, "unit": "s"}}', 'FIELD_UNKNOWN', '$.periodic.unit'), ('{"periodic": [10]}', 'BODY_INVALID', '$.periodic'),
    ('{"trigger": {}}', 'FIELD_INVALID', '$.trigger.datasets'), ('{"trigger": {"datasets": []}}', 'FIELD_INVALID', '$.trigger.datasets'), ('{"trigger": {"datasets": "gold.orders"}}', 'FIELD_INVALID', '$.trigger.datasets'),
    ('{"trigger": {"datasets": ["gold.orders", "orders"]}}', 'FIELD_INVALID', '$.trigger.datasets[1]'), ('{"trigger": {"datasets": [1]}}', 'FIELD_INVALID', '$.trigger.datasets[0]'), ('{"trigger": {"datasets": ["dataset:x"]}}', 'FIELD_INVALID', '$.trigger.datasets[0]'),
    ('{"trigger": {"datasets": ["gold.a"], "debounce_seconds": -1}}', 'FIELD_INVALID', '$.trigger.debounce_seconds'), ('{"trigger": {"datasets": ["gold.a"], "debounce_seconds": 60, "max_wait_seconds": 30}}', 'FIELD_INVALID', '$.trigger.max_wait_seconds'),
    ('{"schedule": {"cron": "@daily"}, "periodic": {"every_seconds": 60}}', 'FIELD_INVALID', '$'), ('{"periodic": {"every_seconds": 60}, "trigger": {"datasets": ["gold.a"]}}', 'FIELD_INVALID', '$')
) w (body, code, path);
select tests.refused('north.operator', tests.clocked(jsonb_build_object('trigger', jsonb_build_object('datasets', jsonb_build_array('gold.other', w.dataset)),
    'tasks', jsonb_build_array(tests.submission('{"task_key": "t", "outputs": [{"name": "o", "layer": "gold", "table": "mine"}, {"name": "plan.csv"}]}')))), 'TRIGGER_LOOP', 'a job is not started by its own output ' || w.dataset, '$.trigger.datasets[1]')
from unnest(array['gold.mine', 'dataset:control-room://north:gold.mine', 'dataset:control-room://north/artifacts:plan.csv']) w (dataset);
select tests.refused('north.operator', tests.clocked(jsonb_build_object('trigger', '{"datasets": ["gold.mine"]}'::jsonb,
    'tasks', jsonb_build_array(jsonb_build_object('task_key', 'e', 'for_each', '{"inputs": [1]}'::jsonb, 'task', tests.submission('{"outputs": [{"name": "o", "layer": "gold", "table": "mine"}]}'))))), 'TRIGGER_LOOP', 'nor by that of its iterations', '$.trigger.datasets[0]');
select ok(job.is_time_zone(z.name), 'a zone of the database is one: ' || z.name) from pg_timezone_names z
where z.name in ('Europe/Berlin', 'America/Argentina/ComodRivadavia', 'America/Port-au-Prince', 'America/North_Dakota/New_Salem', 'Africa/Dar_es_Salaam', 'Etc/GMT+12', 'Etc/GMT-14', 'Asia/Ust-Nera', 'UTC', 'US/East-Indiana');

-- ------------------------------------------------------------------------------- placed with the version

create function tests.make(p jsonb)
returns bigint language sql as $$ select (tests.as('north.operator', tests.clocked(p)) ->> 'job_id')::bigint $$;
create function tests.clock(p_job bigint)
returns schedule.triggers language sql as $$ select t from schedule.triggers t where t.job_id = p_job $$;
create function tests.patch(p_job bigint, p jsonb)
returns jsonb language sql as $$ select tests.as('north.operator', format('public.update_job(%L::jsonb)', jsonb_build_object('job_id', p_job) || p)) $$;
create function tests.ask(p_function text, p_job bigint, p_more jsonb default '{}')
returns jsonb language sql as $$ select tests.as('north.operator', format('public.%I(%L::jsonb)', p_function, jsonb_build_object('job_id', p_job) || p_more)) $$;

select tests.make('{"schedule": {"cron": "0 5 * * 1-5", "timezone": "Europe/Berlin"}}') as cron \gset
select is((tests.clock(:cron)).definition, '{"cron": "0 5 * * 1-5", "timezone": "Europe/Berlin", "missed": "once", "paused": false}', 'defaults are filled in');
select is((tests.clock(:cron)).next_fire_at, schedule.next_fire('0 5 * * 1-5', 'Europe/Berlin', now()), 'the first time is known at once');
select is((tests.ask('get_job', :cron) ->> 'next_fire_at')::timestamptz, (tests.clock(:cron)).next_fire_at, 'get_job shows it');
select is(tests.ask('job_schedule', :cron, '{"count": 3}') -> 'upcoming' ->> 2,
    (select to_jsonb(schedule.next_fire(c, z, schedule.next_fire(c, z, schedule.next_fire(c, z, now())))) #>> '{}' from (values ('0 5 * * 1-5', 'Europe/Berlin')) x (c, z)), 'and the next ones are told');
select tests.refused('north.operator', format('public.job_schedule(''{"job_id": %s, "count": 101}'')', :cron), 'FIELD_INVALID', 'a hundred at most', '$.count');
select tests.patch(:cron, '{"schedule": {"cron": "0 6 * * *", "timezone": "America/New_York"}}');
select is((tests.clock(:cron)).next_fire_at, schedule.next_fire('0 6 * * *', 'America/New_York', now()), 'an update sets the time anew');
select is(tests.ask('pause_job', :cron) - '{version,last_error,last_fired_at,last_run_id}'::text[], jsonb_build_object('job_id', :cron, 'paused', true, 'next_fire_at', null), 'paused: no time');
select is(tests.ask('get_job', :cron) #>> '{schedule,paused}', 'true', 'and the definition says so');
select is((tests.ask('pause_job', :cron) ->> 'version')::integer, 3, 'to pause twice is to pause once');
select is((tests.ask('resume_job', :cron) ->> 'next_fire_at')::timestamptz, schedule.next_fire('0 6 * * *', 'America/New_York', now()), 'resumed: from the next time on');
select is(array(select e.action::text from audit.entries e where e.object_id = :cron::text order by e.id), '{job.create,job.update,job.pause,job.resume}'::text[], 'all of it is in the audit');
select tests.patch(:cron, '{"schedule": null, "periodic": {"every_seconds": 60}}');
select is((tests.clock(:cron)).kind, 'periodic', 'a schedule becomes a period');
update schedule.triggers set next_fire_at = now() + interval '7 seconds' where job_id = :cron;
select tests.patch(:cron, '{"description": "other words"}');
select is((tests.clock(:cron)).next_fire_at, now() + interval '7 seconds', 'what stays as it was keeps its time');
select tests.patch(:cron, '{"periodic": null}');
select is(tests.clock(:cron), null, 'null takes it away');
select tests.refused('north.operator', format('public.%I(''{"job_id": %s}'')', f, :cron), 'JOB_HAS_NO_CLOCK', f || ': nothing starts it') from unnest(array['pause_job', 'resume_job', 'job_schedule']) f;
select tests.patch(:cron, '{"periodic": {"every_seconds": 10}}');
select tests.ask('delete_job', :cron);
select is(tests.clock(:cron), null, 'a deleted job starts no more');

-- -------------------------------------------------------------------------------------- what is owed

create function tests.owed(p_missed text, p_cron text, p_from timestamptz, p_now timestamptz)
returns text language sql as $$
    select o.missed || ' ' || array_to_string(array(select to_char(x at time zone 'UTC', 'MM-DD HH24:MI') from unnest(o.times) x), ',')
    from schedule.owed((null, null, 'schedule', jsonb_build_object('cron', p_cron, 'timezone', 'UTC', 'missed', p_missed, 'paused', false), p_from, null, '{}', '{}', null, null, null)::schedule.triggers, p_now) o
$$;
select is(tests.owed(w.missed, '0 * * * *', '2026-01-01T05:00Z', w.now::timestamptz), w.expected, w.law) from (values
    ('skip', '2026-01-01T05:00:02Z', 'false 01-01 05:00', 'skip: on time is on time'), ('skip', '2026-01-01T05:00:59Z', 'false 01-01 05:00', 'skip: a minute late is on time'),
    ('skip', '2026-01-01T05:10Z', 'true ', 'skip: what is missed is missed'), ('skip', '2026-01-01T09:00:30Z', 'true 01-01 09:00', 'skip: the last one is on time'),
    ('once', '2026-01-01T05:10Z', 'false 01-01 05:00', 'once: late, but none is left out'), ('once', '2026-01-01T09:10Z', 'true 01-01 09:00', 'once: the last of what was missed'),
    ('all', '2026-01-01T09:10Z', 'false 01-01 05:00,01-01 06:00,01-01 07:00,01-01 08:00,01-01 09:00', 'all: each, oldest first')) w (missed, now, expected, law);
select is(tests.owed('once', '* * * * *', '2026-01-01T00:00Z', '2026-11-26T03:07:31Z'), 'true 11-26 03:07', 'a year of minutes is not walked through');
select is((schedule.owed((null, null, 'schedule', '{"cron": "* * * * *", "timezone": "UTC", "missed": "all", "paused": false}', '2026-01-01T00:00Z', null, '{}', '{}', null, null, null)::schedule.triggers, '2026-01-02T00:00Z')).missed, true, 'all: 1,440 missed');
select is(cardinality((schedule.owed((null, null, 'schedule', '{"cron": "* * * * *", "timezone": "UTC", "missed": "all", "paused": false}', '2026-01-01T00:00Z', null, '{}', '{}', null, null, null)::schedule.triggers, '2026-01-02T00:00Z')).times), 100, 'all: of them a hundred');

-- ------------------------------------------------------------------------------ a dataset was updated

create function tests.marks(p_job bigint)
returns integer language sql as $$ select count(*)::integer from schedule.marks m where m.job_id = p_job $$;
create function tests.completed(p_output text, p_more jsonb default '{}')
returns jsonb language sql as $$
    select jsonb_build_object('eventType', 'COMPLETE', 'eventTime', '2026-01-01T00:00:00Z', 'producer', gen_random_uuid(), 'schemaURL', 's', 'job', jsonb_build_object('namespace', 'n', 'name', 'j'),
        'outputs', jsonb_build_array(jsonb_build_object('namespace', split_part(p_output, ' ', 1), 'name', split_part(p_output, ' ', 2)))) || p_more
$$;
create function tests.tell(p_event jsonb, p_who text default 'north.operator')
returns jsonb language sql as $$ select tests.as(p_who, format('public.lineage_ingest(%L::jsonb)', p_event)) $$;
select tests.make('{"trigger": {"datasets": ["gold.orders", "dataset:postgresql://h:5432:db.s.t"], "debounce_seconds": 30}}') as waiting \gset
select is((tests.clock(:waiting)).next_fire_at, null, 'nothing was updated yet');
select tests.tell(tests.completed('control-room://north gold.orders'));
select is(tests.marks(:waiting), 1, 'an event marks the trigger');
select tests.tell(tests.completed('postgres://h:5432 db.s.t'));
select is(tests.marks(:waiting), 2, 'colons in names, and postgresql:// is postgres://');
delete from schedule.marks;
select tests.tell(tests.completed(w.output, w.more::jsonb)) from (values ('control-room://north gold.other', '{}'), ('control-room://south gold.orders', '{}'), ('control-room://north gold.orders', '{"eventType": "START"}'),
    ('control-room://north gold.orders', '{"eventType": "FAIL"}'), ('control-room://north gold.orders', '{"outputs": []}')) w (output, more);
select is(tests.marks(:waiting), 0, 'another dataset, another tenant''s name, a start or a failure does not mark it');
select tests.tell(tests.completed('control-room://north gold.orders'), 'south.operator');
select is(tests.marks(:waiting), 0, 'nor does another tenant');
insert into schedule.marks (tenant_id, job_id, dataset, at) values (tests.tenant('north'), :waiting, 'gold.orders', now() - interval '5 seconds'), (tests.tenant('north'), :waiting, 'gold.orders', now());
select schedule.gather();
select is((tests.clock(:waiting)).next_fire_at, now() + interval '30 seconds', 'so long after the last update');
select is(tests.marks(:waiting), 0, 'marks are gathered once');
insert into schedule.marks (tenant_id, job_id, dataset, at) values (tests.tenant('north'), :waiting, 'b', now() + interval '290 seconds');
select schedule.gather();
select is((tests.clock(:waiting)).next_fire_at, now() + interval '295 seconds', 'but not longer after the first than the longest wait');
select is((tests.clock(:waiting)).datasets, '{b,gold.orders}'::text[], 'it knows of what');
insert into schedule.marks (tenant_id, job_id, dataset) values (tests.tenant('north'), 987654321, 'gold.orders');
select schedule.gather();
select is((select count(*) from schedule.marks), 0::bigint, 'marks of a trigger that is gone are gone');
select tests.ask('pause_job', :waiting);
insert into schedule.marks (tenant_id, job_id, dataset) values (tests.tenant('north'), :waiting, 'gold.orders');
select schedule.gather();
select tests.tell(tests.completed('control-room://north gold.orders'));
select is(((tests.clock(:waiting)).next_fire_at is null, tests.marks(:waiting)), (true, 0), 'paused: what waited is dropped, and nothing marks it');
select * from finish();
rollback;
