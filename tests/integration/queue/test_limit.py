"""The tenant's limit is exact while many runners claim at once, by the counter and by what history says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from dev.stack.testbed import Database
from tests.doors import Doors
from tests.integration.queue.crowd import OFFERS, Crowd, gather

CLAIMERS = 8
# an odd batch, so that a claim seldom fits the free slots
BATCH = 7

# each state that a counter ever had, seen in the transaction that made it
WATCH_THE_COUNTER = """
create table public.excess (tenant_id uuid, running integer, allowed integer);
grant insert on public.excess to public;
create function public.note_excess() returns trigger language plpgsql security definer as $$
begin
    insert into public.excess
    select new.tenant_id, new.running, l.max_running
    from tenancy.limits l where l.tenant_id = new.tenant_id and new.running > l.max_running;
    return null;
end
$$;
create trigger note_excess after update on queue.slots for each row execute function public.note_excess();
"""

# of all moments at which an attempt began: how many of its tenant were under way then
AUDIT = """
select count(*) from (
    select sum(step) over (partition by tenant_id order by at, step) as running, tenant_id
    from (
        select tenant_id, claimed_at as at, 1 as step from queue.past_attempts where claimed_at > %(since)s
        union all
        select tenant_id, finished_at, -1 from queue.past_attempts where claimed_at > %(since)s
    ) steps
) moments join tenancy.limits l using (tenant_id) where running > l.max_running
"""


def claim_and_settle(database: Database, instance: str, wanted: int, done: list[int]) -> None:
    with Doors(database) as doors:
        idle = 0
        while sum(done) < wanted and idle < 200:
            claimed = doors.claim(instance, OFFERS, BATCH)
            idle = 0 if claimed else idle + 1
            items = [
                {"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": {"state": "SUCCEEDED"}}
                for it in claimed
            ]
            if items:
                said = doors.settle(instance, items)
                assert all(it["settled"] for it in said)
                done.append(len(items))


def race(database: Database, doors: Doors, queued: int, tenants: int, limit: int) -> int:
    gather(doors, Crowd(tenants=tenants, past=0, queued=queued, lines=0))
    doors.set("update tenancy.limits set max_running = %s", [limit])
    doors.set(WATCH_THE_COUNTER)
    instances = [f"00000000-0000-4000-8000-{n:012}" for n in range(CLAIMERS)]
    for instance in instances:
        doors.register(instance, OFFERS)
    done: list[int] = []
    with ThreadPoolExecutor(CLAIMERS) as pool:
        for racer in [pool.submit(claim_and_settle, database, it, queued, done) for it in instances]:
            racer.result()
    return sum(done)


def assert_exact(doors: Doors, claims: int) -> None:
    assert doors.ask("select count(*) from public.excess") == 0
    assert doors.ask(AUDIT, {"since": "2026-02-01"}) == 0
    assert doors.ask("select count(distinct id) from queue.past_attempts") == claims
    assert doors.ask("select count(*) from queue.live_attempts") == 0
    assert doors.ask("select max(running) from queue.slots") == 0
    assert doors.ask("select count(*) from callback.events") == claims


def test_eight_runners_never_take_a_slot_too_many(database: Database, doors: Doors) -> None:
    claims = race(database, doors, queued=20_000, tenants=20, limit=3)

    assert claims == 20_000
    assert_exact(doors, claims)


@pytest.mark.long
def test_a_million_claims_take_no_slot_too_many(database: Database, doors: Doors) -> None:
    claims = race(database, doors, queued=1_000_000, tenants=100, limit=10)

    assert claims == 1_000_000
    assert_exact(doors, claims)


def test_a_limit_that_is_lowered_holds_from_then_on(database: Database, doors: Doors) -> None:
    instance = "00000000-0000-4000-8000-000000000001"
    gather(doors, Crowd(tenants=1, past=0, queued=20, lines=0))
    doors.platform("platform_set_limits", {"tenant": "crowd_1", "max_running": 5})
    first = doors.claim(instance, OFFERS, 10)
    doors.platform("platform_set_limits", {"tenant": "crowd_1", "max_running": 2})
    second = doors.claim(instance, OFFERS, 10)
    outcome = {"state": "SUCCEEDED"}
    doors.settle(
        instance,
        [{"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": outcome} for it in first[:4]],
    )
    third = doors.claim(instance, OFFERS, 10)

    assert (len(first), len(second), len(third)) == (5, 0, 1)


def test_a_claimer_passes_over_a_tenant_that_another_holds(database: Database, doors: Doors) -> None:
    """A busy tenant makes nobody wait: its row is skipped, not waited for."""
    gather(doors, Crowd(tenants=2, past=0, queued=20, lines=0))
    held = threading.Event()
    with psycopg.connect(database.superuser) as other:
        other.execute(
            "select from queue.slots s join tenancy.tenants t on t.id = s.tenant_id"
            " where t.slug::text = 'crowd_1' for update of s"
        )
        held.set()
        claimed = doors.claim("00000000-0000-4000-8000-000000000001", OFFERS, 50)

    assert {it["tenant_slug"] for it in claimed} == {"crowd_2"}
