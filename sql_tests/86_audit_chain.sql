-- audit, second part: the chain finds whatever is done to it.
begin;
\ir fixtures.psql
select no_plan();

create function tests.seal(p_limit integer default 10000)
returns integer language plpgsql as $$
declare
    n integer;
begin
    set local role app_system;
    n := audit.seal(p_limit);
    reset role;
    return n;
end
$$;
create function tests.verify(p jsonb default '{}')
returns jsonb language sql as $$ select tests.as('north.admin', format('public.audit_verify(%L::jsonb)', p)) $$;

select tests.as('platform', $$ public.platform_allow_callbacks('{"cidr": "10.0.0.0/8"}') $$);

-- twelve seals of north's, of one to thirteen entries
do $$
begin
    for i in 1 .. 12 loop
        perform tests.submit('north.operator', jsonb_build_object('name', format('r%s_%s', i, j))) from generate_series(1, i + (i = 5)::integer * 8) j;
        perform tests.submit('south.operator');
        perform tests.seal();
    end loop;
end
$$;
select is(tests.seal(), 0, 'nothing waits');
select is(tests.verify() - 'head', '{"ok": true, "seals": 12, "entries": 90, "faults": [], "next": null}', 'what nobody touched is as it was written');
select is((select count(*) from audit.unsealed), 0::bigint, 'every entry is in a seal');
select is(tests.as('platform', $$ public.platform_audit_verify('{}') $$) -> 'ok', 'true', 'so are the acts of the platform');
select is((select array_agg(i ->> 'tenant' order by i ->> 'tenant') from jsonb_array_elements(tests.as('platform', $$ public.platform_audit_heads('{}') $$) -> 'items') i), '{"",north,south}', 'every chain has a head to export');
select is(tests.as('south.admin', $$ public.audit_verify('{}') $$) - 'head' - 'seals' - 'entries', '{"ok": true, "faults": [], "next": null}', 'each tenant has its own chain');

-- entries commit in another order than their ids are given: the late one is in a later seal
insert into audit.entries (tenant_id, user_id, role, action, object_type, object_id, door) values (tests.tenant('north'), 'late', 'x', 'a.b', 'x', 'x', 'sql') returning id as late \gset
select tests.submit('north.operator');
select tests.seal();
insert into audit.unsealed values (:late, tests.tenant('north'));
select tests.seal();
select is(tests.verify() - 'head', '{"ok": true, "seals": 14, "entries": 92, "faults": [], "next": null}', 'one that commits late under a lower id is sealed later, and is no fault');
select is(tests.verify('{"since": 13}') - 'head', '{"ok": true, "seals": 1, "entries": 1, "faults": [], "next": null}', 'nor to one who looks from the seal before on');

-- pages
set local role app_system;
select is((select jsonb_agg(jsonb_build_array(v -> 'ok', v -> 'seals', v -> 'next')) from (select audit.verify(tests.tenant('north'), a, 20) v from unnest(array[0, 5, 8]) a) x), '[[true, 5, 5], [true, 3, 8], [true, 3, 11]]', 'a long chain is verified in pages');
reset role;

-- the feed
create function tests.feed(p_limit integer)
returns bigint[] language plpgsql as $$
declare
    v jsonb;
    v_after text := '0';
    v_ids bigint[] := '{}';
begin
    loop
        v := tests.as('north.admin', format('public.list_audit(%L::jsonb)', jsonb_build_object('after', v_after, 'limit', p_limit)));
        exit when v -> 'items' = '[]';
        v_ids := v_ids || array(select (i ->> 'entry_id')::bigint from jsonb_array_elements(v -> 'items') with ordinality x (i, o) order by o);
        v_after := v ->> 'next';
    end loop;
    return v_ids;
end
$$;
select is(tests.feed(7), array(select i from audit.seals s cross join lateral unnest(s.entry_ids) with ordinality x (i, o) where s.tenant_id = tests.tenant('north') order by s.number, o), 'after= copies the record in the order of the seals, each entry once');
select is(tests.feed(1000), tests.feed(1), 'whatever the size of the page');
select is(jsonb_array_length(tests.as('north.admin', $$ public.list_audit('{"limit": 5, "action": "run.submit"}') $$) -> 'items'), 5, 'without it the newest come first');
select tests.refused('north.operator', format('public.%I(''{}'')', f), 'ROLE_INSUFFICIENT', f || ' is for admins') from unnest(array['list_audit', 'audit_verify', 'audit_head']) f;
select is(tests.count('north.operator', 'select * from audit.seals') + tests.count('south.admin', format('select * from audit.seals where tenant_id = %L', tests.tenant('north'))), 0::bigint, 'seals are read by admins of their tenant');

-- an exported head
select tests.as('north.admin', 'public.audit_head()') as head \gset
select is(tests.verify(jsonb_build_object('head', :'head'::jsonb)) -> 'ok', 'true', 'a head that was exported is still in the chain');

-- --------------------------------------------------------------------------------------- tampering
-- By the superuser, with every guard asleep. Each is seen, and then taken back.

create function tests.seen(p_tampering text, p_head jsonb default null)
returns text language plpgsql as $$
declare
    v jsonb;
begin
    begin
        execute p_tampering;
        -- without the door's four levels of asking who is there, a thousand of them take seconds
        v := audit.verify(tests.tenant('north'));
        if p_head is not null then
            v := audit.judge_head(v, tests.tenant('north'), p_head);
        end if;
        raise exception using errcode = 'TEST1';
    exception when sqlstate 'TEST1' then
        null;
    end;
    return case when (v -> 'ok')::boolean then 'nothing' else
        (select string_agg(concat_ws(' ', f ->> 'fault', f ->> 'seal', f ->> 'entry_id'), ', ') from jsonb_array_elements(v -> 'faults') f) end;
end
$$;
do $$
begin
    alter table audit.entries disable trigger all;
    alter table audit.seals disable trigger all;
end
$$;
create temporary table victims as
select s.number, i.id, row_number() over (order by s.number, i.id) as n from audit.seals s cross join lateral unnest(s.entry_ids) i (id) where s.tenant_id = tests.tenant('north');

create temporary table tamperings as
select v.number, v.id, x.expected, x.act from victims v cross join lateral (values
    ('changed', format('update audit.entries set user_id = user_id || ''x'' where id = %s', v.id)),
    ('changed', format('update audit.entries set at = at - interval ''1 microsecond'' where id = %s', v.id)),
    ('changed', format('update audit.entries set details = details || ''{"more": 1}'' where id = %s', v.id)),
    ('changed', format('update audit.entries set object_id = object_id || '' '' where id = %s', v.id)),
    ('changed', format('update audit.entries set ip = ''127.0.0.1'' where id = %s', v.id)),
    ('changed', format('update audit.entries set action = object_type || ''.x'' where id = %s', v.id)),
    ('changed', format('update audit.entries set tenant_id = %L where id = %s', tests.tenant('south'), v.id)),
    -- two fields whose text runs together as before
    ('changed', format('update audit.entries set user_id = user_id || left(role, 1), role = substr(role, 2) where id = %s', v.id)),
    ('missing', format('delete from audit.entries where id = %s', v.id))
) x (expected, act);
insert into tamperings
select s.number, null, x.expected, x.act from audit.seals s cross join lateral (values
    ('seal_changed', format('update audit.seals set sealed_at = sealed_at + interval ''1 second'' where chain = %L and number = %s', s.chain, s.number)),
    ('seal_changed', format('update audit.seals set total = total + 1 where chain = %L and number = %s', s.chain, s.number)),
    ('seal_changed', format('update audit.seals set leaves = set_byte(leaves, 0, 255 - get_byte(leaves, 0)) where chain = %L and number = %s', s.chain, s.number)),
    ('seal_changed', format('update audit.seals set entry_ids[1] = 0 where chain = %L and number = %s', s.chain, s.number)),
    ('seal_changed', format('update audit.seals set hash = sha256(hash) where chain = %L and number = %s', s.chain, s.number)),
    ('seal_changed', format('update audit.seals set previous = sha256(previous) where chain = %L and number = %s', s.chain, s.number))
) x (expected, act) where s.tenant_id = tests.tenant('north');
-- removed from the middle; exchanged with the next
insert into tamperings
select s.number + 1, null, 'seal_missing', format('delete from audit.seals where chain = %L and number = %s', s.chain, s.number) from audit.seals s where s.tenant_id = tests.tenant('north') and s.number < 14;
insert into tamperings
select a.number, a.id, 'changed', format('update audit.entries e set user_id = o.user_id, object_id = o.object_id, at = o.at, details = o.details, action = o.action, object_type = o.object_type
                                          from audit.entries o where (e.id = %1$s and o.id = %2$s) or (e.id = %2$s and o.id = %1$s)', a.id, b.id)
from victims a join victims b on b.n = a.n + 1;
-- put in between, with every id that is free and with new ones
insert into tamperings
select null, id, 'unknown', format('insert into audit.entries overriding system value select %s, tenant_id, at, user_id, role, token_id, action, object_type, object_id, details, door from audit.entries where id = %s', id, :late)
from generate_series((select min(id) from victims), (select max(id) + 20 from victims)) id where id not in (select e.id from audit.entries e);
select cmp_ok((select count(*) from tamperings), '>=', 1000::bigint, 'a thousand tamperings');
create temporary table verdicts as select t.*, tests.seen(t.act) as said from tamperings t;
select is_empty($$ select act, said from verdicts where said = 'nothing' $$, 'every one of them is found');
select is_empty($$ select act, said from verdicts where position(concat_ws(' ', expected, number, id) in said) = 0 $$, 'and named, with its seal and its entry');

-- who writes all of it anew is seen by the head
select is(tests.seen(s), 'nothing', 'a tail that is cut off leaves a whole chain: ' || left(s, 40)) from (values
    ($$ with gone as (delete from audit.seals where tenant_id = tests.tenant('north') and number > 10 returning entry_ids) delete from audit.entries e using gone where e.id = any (gone.entry_ids) $$)) t (s);
select is(tests.seen(s, :'head'), 'head_gone 14', 'the exported head tells') from (values
    ($$ with gone as (delete from audit.seals where tenant_id = tests.tenant('north') and number > 10 returning entry_ids) delete from audit.entries e using gone where e.id = any (gone.entry_ids) $$)) t (s);
create function tests.forge()
returns void language plpgsql as $$
declare
    s audit.seals;
begin
    update audit.entries set user_id = 'nobody' where id = (select min(id) from victims);
    for s in select x.* from audit.seals x where x.tenant_id = tests.tenant('north') order by x.number loop
        update audit.seals x set leaves = (select string_agg(l.leaf, '' order by o) from unnest(s.entry_ids) with ordinality i (id, o) join audit.leaves l on l.id = i.id),
            previous = coalesce((select p.hash from audit.seals p where p.chain = s.chain and p.number = s.number - 1), s.previous) where x.chain = s.chain and x.number = s.number;
        update audit.seals x set hash = audit.link(x) where x.chain = s.chain and x.number = s.number;
    end loop;
end
$$;
select is(tests.seen('select tests.forge()'), 'nothing', 'a chain that is written anew from the first entry on is whole');
select is(tests.seen('select tests.forge()', :'head'), 'head_gone 14', 'but its head is not the one that was exported');
-- before the seal: the place stays
select tests.submit('north.operator');
delete from audit.entries where id = (select max(id) from audit.entries);
select tests.seal();
select is(tests.verify() -> 'faults' -> 0 ->> 'fault', 'missing', 'an entry that was removed before it was sealed is missed');

select * from finish();
rollback;
