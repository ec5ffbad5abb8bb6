"""Tenants take turns: a tenant with nearly all of the load does not keep a quiet one waiting."""

from __future__ import annotations

import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors, Item
from tests.integration.queue.crowd import OFFERS

RUNNER = "00000000-0000-4000-8000-000000000001"
SUBMISSION = {"job_type": "spark_etl", "spec": "Nothing to do.", "code": {"files": {"job.py": "pass"}}}


def submit(doors: Doors, tenant: Tenant, runs: int, **more: object) -> None:
    doors.call(tenant, "submit_runs", [SUBMISSION | more] * runs)


def settle(doors: Doors, claimed: list[Item]) -> None:
    outcome = {"state": "SUCCEEDED"}
    items = [{"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": outcome} for it in claimed]
    doors.settle(RUNNER, items)


def drain(doors: Doors, batch: int) -> list[list[str]]:
    """Whose attempts each claim takes, to the end, one claim settled before the next."""
    claims = []
    while claimed := doors.claim(RUNNER, OFFERS, batch):
        claims.append([it["tenant_slug"] for it in claimed])
        settle(doors, claimed)
    return claims


@pytest.mark.parametrize("batch", [1, 3, 10, 50])
def test_a_tenant_with_nine_tenths_of_the_load_starves_nobody(
    batch: int, database: Database, doors: Doors
) -> None:
    noisy, quiet = database.add_tenant("noisy"), database.add_tenant("quiet")
    submit(doors, noisy, 180)
    submit(doors, quiet, 20)
    claims = drain(doors, batch)

    served = [n for n, slugs in enumerate(claims) if "quiet" in slugs]
    alone = -(-20 // min(batch, 10))  # the claims that the quiet one would need by itself
    assert sum(slugs.count("quiet") for slugs in claims) == 20
    assert served[-1] + 1 <= 2 * alone


def test_who_comes_late_does_not_wait_behind_the_backlog(database: Database, doors: Doors) -> None:
    noisy, late = database.add_tenant("noisy"), database.add_tenant("late")
    submit(doors, noisy, 200)
    for _ in range(3):
        settle(doors, doors.claim(RUNNER, OFFERS, 10))
    submit(doors, late, 1)
    waited = next(
        n for n in range(5) if "late" in {it["tenant_slug"] for it in doors.claim(RUNNER, OFFERS, 10)}
    )

    assert waited <= 1


def test_many_tenants_are_served_in_one_round_before_any_is_served_twice(
    database: Database, doors: Doors
) -> None:
    slugs = {f"t{n}" for n in range(6)}
    for slug in slugs:
        submit(doors, database.add_tenant(slug), 3)
    order = [slug for claim in drain(doors, 1) for slug in claim]

    assert [set(order[n : n + 6]) for n in (0, 6, 12)] == [slugs] * 3


def test_a_full_tenant_does_not_stand_in_the_way(database: Database, doors: Doors) -> None:
    full, other = database.add_tenant("full"), database.add_tenant("other")
    doors.platform("platform_set_limits", {"tenant": "full", "max_running": 2})
    submit(doors, full, 50)
    submit(doors, other, 5)
    claimed = [it["tenant_slug"] for it in doors.claim(RUNNER, OFFERS, 50)]

    assert (claimed.count("full"), claimed.count("other")) == (2, 5)


def test_within_a_tenant_priority_goes_first_then_age(database: Database, doors: Doors) -> None:
    tenant = database.add_tenant("acme")
    for name, priority in (("a", 0), ("b", 0), ("c", 9), ("d", -9), ("e", 9)):
        engine = "spark" if name in "ac" else "duckdb"  # the order is one over all that a runner offers
        submit(doors, tenant, 1, name=name, priority=priority, engine=engine)
    claimed = doors.claim(RUNNER, OFFERS, 50)

    assert [it["name"] for it in claimed] == ["c", "e", "a", "b", "d"]


def test_what_nobody_here_offers_does_not_stand_in_the_way(database: Database, doors: Doors) -> None:
    tenant = database.add_tenant("acme")
    submit(doors, tenant, 30, engine="spark", priority=9)
    submit(doors, tenant, 1)
    claimed = doors.claim(RUNNER, ["spark_etl/duckdb"], 50)

    assert [it["engine"] for it in claimed] == ["duckdb"]
