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
SUBMISSION = {"job_type": "spark_etl", "spec": "Nothing to do.", "code": {"files": {"job.py": "pass"}}}
INSTANCE = str(uuid.uuid4())
BATCH = 100
CROWD = 4_000
ROWS_READ: LiteralString = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_xact_user_tables
where schemaname in ('queue', 'callback', 'audit')"""


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
    for _ in range(8):  # from the sixth on a plan may be kept
        doors.settle(INSTANCE, done(doors.claim(INSTANCE, OFFERS, 1)))
        doors.renew(INSTANCE, [])
    for _ in range(CROWD // 1000):
        doors.call(tenant, "submit_runs", [SUBMISSION] * 1000)

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
