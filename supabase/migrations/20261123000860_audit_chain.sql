-- audit, second part: the chain. Entries are sealed in batches, at most a second after they were committed; each seal holds the
-- SHA-256 of its entries and of the seal before it. Whoever changes, removes, adds or moves an entry later has to write all
-- later seals anew, and then their head is not the one that was exported outside the database the day before.

grant app_owner, app_system to postgres;
set role app_owner;

create table audit.seals (
    tenant_id uuid references tenancy.tenants,
    -- a chain for each tenant, and one of the platform's acts on no single tenant
    chain uuid not null generated always as (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000')) stored,
    number bigint not null check (number > 0),
    sealed_at timestamptz not null default clock_timestamp(),
    entry_ids bigint[] not null check (cardinality(entry_ids) > 0),
    leaves bytea not null,         -- SHA-256 of each entry, one after the other
    highest_id bigint not null,    -- of all entries of the chain so far: ids commit in another order than they are given
    total bigint not null,         -- entries of the chain so far
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32),
    primary key (chain, number),
    constraint one_leaf_per_entry check (length(leaves) = 32 * cardinality(entry_ids))
);
create index seals_of_tenant on audit.seals (tenant_id, number);

alter table audit.seals enable row level security;
alter table audit.seals force row level security;
create policy "admins read their seals" on audit.seals for select to authenticated
    using (tenant_id = (select tenancy.tenant_id()) and (select tenancy.role()) = 'admin');
create policy "the sealer reads" on audit.seals for select to app_system using (true);
create policy "the sealer appends" on audit.seals for insert to app_system with check (true);
grant select on audit.seals to authenticated;
grant select, insert on audit.seals to app_system;
create trigger seals_are_append_only before update or delete on audit.seals for each row execute function ground.refuse_change();
create trigger seals_are_never_truncated before truncate on audit.seals for each statement execute function ground.refuse_change();
alter table audit.seals enable always trigger seals_are_append_only;
alter table audit.seals enable always trigger seals_are_never_truncated;

-- The text of an entry that is hashed, said once. JSON, so that no field can run into its neighbour; times as numbers, since the
-- form of a timestamp depends on who looks.
create view audit.leaves with (security_invoker = true) as
select e.tenant_id, e.id, sha256(convert_to(json_build_array(e.id, e.tenant_id, extract(epoch from e.at), e.user_id, e.role, e.token_id,
           e.action, e.object_type, e.object_id, e.details, e.door, e.ip, e.forwarded_for, e.user_agent, e.request_id)::text, 'UTF8')) as leaf
from audit.entries e;
grant select on audit.leaves to authenticated, app_system;

create function audit.link(s audit.seals)
returns bytea language sql stable set search_path = '' as $$
    select sha256(convert_to(json_build_array(s.chain, s.number, extract(epoch from s.sealed_at), s.entry_ids, s.highest_id, s.total,
               encode(s.previous, 'hex'))::text, 'UTF8') || s.leaves)
$$;
revoke all on function audit.link(audit.seals) from public;
grant execute on function audit.link(audit.seals) to authenticated, app_system;

-- Seals what waits, and says how many entries that were. One sealer at a time; a second one goes away. What is sealed is what
-- is seen, so an entry that commits late under a lower id is simply in a later seal, and no long transaction holds sealing up.
create function audit.seal(p_limit integer default 10000)
returns integer language plpgsql set search_path = '' as $$
declare
    n integer;
begin
    if not exists (select from audit.unsealed) or not pg_try_advisory_xact_lock(hashtextextended('audit.seal', 0)) then
        return 0;
    end if;
    with taken as (
        delete from audit.unsealed u where u.entry_id = any (array(select x.entry_id from audit.unsealed x order by x.entry_id limit p_limit))
        returning u.entry_id, u.tenant_id
    ), batch as (
        select t.tenant_id, coalesce(t.tenant_id, '00000000-0000-0000-0000-000000000000') as chain, array_agg(t.entry_id order by t.entry_id) as entry_ids, count(*) as n, max(t.entry_id) as highest_id,
               -- one that was removed before it could be sealed leaves its place empty
               string_agg(coalesce(l.leaf, decode(repeat('00', 32), 'hex')), '' order by t.entry_id) as leaves
        from taken t left join lateral (select x.leaf from audit.leaves x where x.id = t.entry_id limit 1) l on true  -- each by its key
        group by t.tenant_id
    ), made as (
        select (b.tenant_id, b.chain, coalesce(p.number, 0) + 1, clock_timestamp(), b.entry_ids, b.leaves,
                greatest(p.highest_id, b.highest_id), coalesce(p.total, 0) + b.n, coalesce(p.hash, decode(repeat('00', 32), 'hex')), null)::audit.seals as s
        from batch b
        -- the last of a chain, by the end of its index. (Compared with a coalesce it would be sorted out of all of them: row security
        -- holds that one leaky, and then the order of the index is not seen.)
        left join lateral (select x.* from audit.seals x where x.chain = b.chain order by x.number desc limit 1) p on true
    ), sealed as (
        insert into audit.seals (tenant_id, number, sealed_at, entry_ids, leaves, highest_id, total, previous, hash)
        select (s).tenant_id, (s).number, (s).sealed_at, (s).entry_ids, (s).leaves, (s).highest_id, (s).total, (s).previous, audit.link(s) from made
    )
    select sum(b.n)::integer into n from batch b;
    return coalesce(n, 0);
end
$$;
revoke all on function audit.seal(integer) from public;
grant execute on function audit.seal(integer) to app_system;

-- A page of the chain, recomputed. Faults name the seal, and the entry where there is one:
-- changed, missing, unknown (no seal knows it), seal_changed, seal_missing, link_broken.
create function audit.verify(p_tenant uuid, p_after bigint default 0, p_most integer default 100000)
returns jsonb language plpgsql stable set search_path = ''
set jit = off set enable_nestloop = off as $$  -- nobody can guess how many entries a seal holds: a million joined one by one take minutes
declare
    v_chain uuid := coalesce(p_tenant, '00000000-0000-0000-0000-000000000000');
    v_void bytea := decode(repeat('00', 32), 'hex');
    v_before audit.seals;
    v_faults jsonb[] := '{}';
    v_broken bigint[];
    v_unknown bigint[];
    v_numbers bigint[];
    v_entries bigint;
    v_lowest bigint;
    v_highest bigint;
    v_through bigint;
    v_next bigint;
begin
    select s.* into v_before from audit.seals s where s.chain = v_chain and s.number = p_after;
    select array_agg(x.number order by x.number), sum(x.n), min(x.lowest), max(x.highest), max(x.through)
    into v_numbers, v_entries, v_lowest, v_highest, v_through
    from (select s.number, cardinality(s.entry_ids) as n, s.entry_ids[1] as lowest, s.entry_ids[cardinality(s.entry_ids)] as highest, s.highest_id as through,
                 sum(cardinality(s.entry_ids)) over (order by s.number) - cardinality(s.entry_ids) as before
          from audit.seals s where s.chain = v_chain and s.number > p_after order by s.number limit p_most) x
    where x.before = 0 or x.before < p_most;
    select min(s.number) into v_next from audit.seals s where s.chain = v_chain and s.number > v_numbers[cardinality(v_numbers)];
    -- the seals by themselves
    select v_faults || array_agg(jsonb_build_object('seal', p.number, 'entry_id', null, 'fault', f.fault) order by p.number) into v_faults
    from (select s.number, s.previous, s.hash = audit.link(s) as intact, coalesce(lag(s.number) over w, p_after) as number_before,
                 coalesce(lag(s.hash) over w, v_before.hash, v_void) as hash_before
          from audit.seals s where s.chain = v_chain and s.number = any (v_numbers) window w as (order by s.number)) p
    cross join lateral (select case when not p.intact then 'seal_changed' when p.number <> p.number_before + 1 then 'seal_missing'
                                    when p.previous <> p.hash_before then 'link_broken' end as fault) f
    where f.fault is not null;
    -- what they cover: seal by seal, and only in a broken one entry by entry
    with covered as materialized (  -- materialized: else the entries are read once for each seal
        select s.number, i.id, i.place from audit.seals s cross join lateral unnest(s.entry_ids) with ordinality i (id, place)
        where s.chain = v_chain and s.number = any (v_numbers)
    )
    select array_agg(s.number) into v_broken
    from (select c.number, string_agg(coalesce(l.leaf, v_void), '' order by c.place) as leaves, bool_or(l.id is null) as gaps
          from covered c left join (select x.id, x.leaf from audit.leaves x where x.id between v_lowest and v_highest) l on l.id = c.id
          group by c.number) y
    join audit.seals s on s.chain = v_chain and s.number = y.number and (y.gaps or s.leaves <> y.leaves);
    select coalesce(v_faults, '{}') || array_agg(jsonb_build_object('seal', s.number, 'entry_id', i.id,
                                       'fault', case when l.id is null then 'missing' else 'changed' end) order by s.number, i.place) into v_faults
    from audit.seals s
    cross join lateral unnest(s.entry_ids) with ordinality i (id, place)
    left join audit.leaves l on l.id = i.id
    where s.chain = v_chain and s.number = any (v_broken[:11])
      and (l.id is null or l.leaf <> substring(s.leaves from 32 * (i.place - 1)::integer + 1 for 32));
    -- and what no seal covers: an id below the highest may have committed late, into a later seal
    with covered as materialized (
        select i.id from audit.seals s cross join lateral unnest(s.entry_ids) i (id) where s.chain = v_chain and s.number = any (v_numbers)
    )
    select array_agg(x.id) into v_unknown from (
        select e.id from audit.entries e
        left join covered k on k.id = e.id
        left join audit.unsealed u on u.entry_id = e.id
        where (e.tenant_id = p_tenant or (p_tenant is null and e.tenant_id is null))
          and e.id > coalesce(v_before.highest_id, 0) and e.id <= case when v_next is null then 9223372036854775807 else v_through end
          and k.id is null and u.entry_id is null
        order by e.id limit 1000) x;
    select coalesce(v_faults, '{}') || array_agg(jsonb_build_object('seal', null, 'entry_id', i.id, 'fault', 'unknown') order by i.id) into v_faults
    from unnest(v_unknown) i (id)
    where v_next is null or not exists (select from audit.seals s where s.chain = v_chain and s.number >= v_next and i.id = any (s.entry_ids));
    return jsonb_build_object('ok', coalesce(cardinality(v_faults), 0) = 0, 'seals', coalesce(cardinality(v_numbers), 0), 'entries', coalesce(v_entries, 0),
        'faults', to_jsonb(coalesce(v_faults[:11], '{}')), 'next', case when v_next is not null then v_numbers[cardinality(v_numbers)] end);
end
$$;
revoke all on function audit.verify(uuid, bigint, integer) from public;
grant execute on function audit.verify(uuid, bigint, integer) to authenticated, app_system;

-- What is exported: the newest seal, and with it all before it.
create function audit.head(p_tenant uuid)
returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object('tenant_id', s.tenant_id, 'number', s.number, 'hash', encode(s.hash, 'hex'), 'entries', s.total, 'sealed_at', s.sealed_at)
    from audit.seals s where s.chain = (select coalesce(p_tenant, '00000000-0000-0000-0000-000000000000')) order by s.number desc limit 1  -- as in seal
$$;
revoke all on function audit.head(uuid) from public;
grant execute on function audit.head(uuid) to authenticated, app_system;

-- A head that was exported once is still part of the chain, or a verdict says that the chain was cut or written anew.
create function audit.judge_head(p_verdict jsonb, p_tenant uuid, p_head jsonb)
returns jsonb language plpgsql stable set search_path = '' as $$
begin
    if exists (select from audit.seals s where s.chain = coalesce(p_tenant, '00000000-0000-0000-0000-000000000000')
                 and s.number = ground.want_id(p_head, 'number') and encode(s.hash, 'hex') = p_head ->> 'hash') then
        return p_verdict;
    end if;
    return p_verdict || jsonb_build_object('ok', false, 'faults', p_verdict -> 'faults' || jsonb_build_array(
        jsonb_build_object('fault', 'head_gone', 'seal', p_head -> 'number', 'entry_id', null)));
end
$$;
revoke all on function audit.judge_head(jsonb, uuid, jsonb) from public;
grant execute on function audit.judge_head(jsonb, uuid, jsonb) to authenticated, app_system;

set role postgres;
revoke app_owner, app_system from postgres;
