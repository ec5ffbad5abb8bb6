"""A runner that came when the tables were small and analyzed works on when they have grown: its sessions keep the plans they made.

Autovacuum comes once a minute; until then nobody tells a session that what it knows of a table is over.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors

OFFERS = ["spark_etl/duckdb"]
HOOK = "https://hooks.example.com/here"
SUBMISSION = {
    "job_type": "spark_etl",
    "spec": "Nothing to do.",
    "code": {"files": {"job.py": "pass"}},
    "callbacks": {"on_complete": HOOK, "on_fail": HOOK},
}
INSTANCE = str(uuid.uuid4())
BATCH = 100
CROWD = 4_000
PAST = 500
SEALS = 200
ROWS_READ: LiteralString = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) as sum from pg_stat_xact_user_tables
where schemaname in ('queue', 'callback', 'audit', 'lineage')"""

SUBMIT: LiteralString = f"""
with before as materialized ({ROWS_READ}), done as materialized (select public.run_job(%s) from before)
select ({ROWS_READ}) - before.sum from before, done"""
CLAIM_DELIVERIES: LiteralString = "select worker.claim_deliveries(%s, %s)"
SETTLE_DELIVERIES: LiteralString = "select worker.settle_deliveries(%s)"
CLAIM_EVENTS: LiteralString = "select worker.claim_events(%s)"
REPORT_FINDINGS: LiteralString = "select worker.report_findings(%s)"
SEAL: LiteralString = "select worker.seal()"


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    with Doors(database) as opened:
        yield opened


@pytest.fixture
def tenant(database: Database) -> Tenant:
    return database.add_tenant("acme")


def done(claimed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"attempt_id": it["attempt_id"], "lease": it["lease"], "outcome": {"state": "SUCCEEDED"}}
        for it in claimed
    ]


def event(n: int) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://example.com/told",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": f"01890000-0000-7000-8000-{n:012x}"},
        "job": {"namespace": "told", "name": f"job {n}"},
        "outputs": [{"namespace": "told", "name": f"table {n}"}],
    }


def delivered(claimed: list[dict[str, Any]]) -> str:
    return json.dumps(
        [
            {"tenant_id": it["tenant_id"], "delivery_id": it["delivery_id"], "lease": it["lease"]}
            | {"result": "delivered", "status": 204}
            for it in claimed
        ]
    )


def found(claimed: list[dict[str, Any]]) -> str:
    return json.dumps(
        [
            {"tenant_id": it["tenant_id"], "batch_id": it["batch_id"], "lease": it["lease"], "findings": []}
            for it in claimed
        ]
    )


def keep_up(doors: Doors, most: int) -> None:
    """What a runner does beside its attempts: callbacks, facets, seals, and its tick."""
    while claimed := doors.runner.execute(CLAIM_DELIVERIES, [INSTANCE, most]).fetchall():
        doors.runner.execute(SETTLE_DELIVERIES, [delivered([row[0] for row in claimed])])
    while claimed := doors.runner.execute(CLAIM_EVENTS, [most]).fetchall():
        doors.runner.execute(REPORT_FINDINGS, [found([row[0] for row in claimed])])
    doors.runner.execute(SEAL)
    doors.tick(INSTANCE)


def rows_read(doors: Doors, statement: LiteralString, *arguments: Any) -> tuple[list[Any], int]:
    """The answers of a verb in the runner's session, and how many rows its transaction looked at."""
    with doors.runner.transaction():
        (before,) = doors.runner.execute(ROWS_READ).fetchone() or (0,)  # what the session has not told of yet
        answers = [row[0] for row in doors.runner.execute(statement, arguments).fetchall()]
        (count,) = doors.runner.execute(ROWS_READ).fetchone() or (0,)
    return answers, int(count - before)


def test_plans_that_were_made_while_tables_were_small_read_no_more_later(
    doors: Doors, tenant: Tenant
) -> None:
    doors.set("update tenancy.limits set max_running = 200")
    doors.set("vacuum analyze")
    for _ in range(12):
        doors.call(tenant, "run_job", SUBMISSION)
    for n in range(8):  # from the sixth on a plan may be kept
        doors.settle(INSTANCE, done(doors.claim(INSTANCE, OFFERS, 1)))
        doors.renew(INSTANCE, [])
        doors.call(tenant, "lineage_ingest", event(n))
        keep_up(doors, 1)
    for n in range(CROWD // 1000):
        doors.call(tenant, "submit_runs", [SUBMISSION] * 1000)
        doors.call(tenant, "lineage_ingest", [event(100 + n * 1000 + i) for i in range(200)])
    for _ in range(PAST // BATCH):
        doors.settle(INSTANCE, done(doors.claim(INSTANCE, OFFERS, BATCH)))
        keep_up(doors, BATCH)
    for n in range(SEALS):  # each seal is one of a chain
        doors.set("select audit.append(%s, 'job.create', 'job', %s)", [tenant.tenant_id, str(n)])
        doors.runner.execute(SEAL)

    looked = doors.read(tenant, SUBMIT, [json.dumps(SUBMISSION)], "operator")
    assert looked <= 30

    claimed, looked = rows_read(doors, "select worker.claim_attempts(%s, %s, %s)", INSTANCE, OFFERS, BATCH)
    assert len(claimed) == BATCH
    assert looked <= 20 * BATCH

    items = [{"attempt_id": it["attempt_id"], "lease": it["lease"], "percent": 5} for it in claimed]
    _, looked = rows_read(doors, "select worker.renew_leases(%s, %s)", INSTANCE, json.dumps(items))
    assert looked <= 20 * BATCH

    answers, looked = rows_read(
        doors, "select worker.settle_attempts(%s, %s)", INSTANCE, json.dumps(done(claimed))
    )
    assert all(it["settled"] for it in answers[0])
    assert looked <= 20 * BATCH

    (last,), _ = rows_read(doors, "select worker.claim_attempts(%s, %s, %s)", INSTANCE, OFFERS, 1)
    _, looked = rows_read(doors, "select worker.settle_attempts(%s, %s)", INSTANCE, json.dumps(done([last])))
    assert looked <= 60

    (send,), looked = rows_read(doors, CLAIM_DELIVERIES, INSTANCE, 1)
    assert looked <= 60
    _, looked = rows_read(doors, SETTLE_DELIVERIES, delivered([send]))
    assert looked <= 60

    doors.call(tenant, "lineage_ingest", event(10_000))
    (batch,), looked = rows_read(doors, CLAIM_EVENTS, 1)
    assert looked <= 60
    _, looked = rows_read(doors, REPORT_FINDINGS, found([batch]))
    assert looked <= 60

    rows_read(doors, SEAL)
    doors.set("select audit.append(%s, 'job.create', 'job', 'last')", [tenant.tenant_id])
    (sealed,), looked = rows_read(doors, SEAL)
    assert sealed == 1
    assert looked <= 60

    _, looked = rows_read(doors, "select worker.tick(%s)", INSTANCE)
    assert looked <= 1_100  # of what waits, it counts a thousand
    _, looked = rows_read(doors, "select worker.anything_waits()")
    assert looked <= 1
