"""What is due is started once, whoever ticks and however many; what is an update, and what only looks like one."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors

TASK = {"task_key": "t", "job_type": "spark_etl", "spec": "Nothing.", "code": {"files": {"job.py": "pass"}}}
FIRING = 4
DUE = 200


@pytest.fixture
def doors(database: Database) -> Iterator[Doors]:
    with Doors(database) as opened:
        yield opened


def add_job(doors: Doors, tenant: Tenant, name: str, **clock: object) -> int:
    job: int = doors.call(tenant, "create_job", {"name": name, "tasks": [TASK], **clock})["job_id"]
    return job


def test_two_hundred_due_schedules_and_four_who_fire_at_once_are_two_hundred_runs(
    database: Database, doors: Doors
) -> None:
    tenants = [database.add_tenant(slug) for slug in ("north", "south")]
    for n in range(DUE):
        add_job(doors, tenants[n % 2], f"job {n}", schedule={"cron": "0 5 * * *", "missed": "once"})
    doors.set("update schedule.triggers set next_fire_at = date_trunc('day', now())")
    ready = threading.Barrier(FIRING)

    def pay(_: int) -> int:
        fired = 0
        with psycopg.connect(database.runner, autocommit=True) as connection:
            ready.wait(timeout=60)
            while True:
                row = connection.execute("select worker.fire(20)").fetchone()
                assert row is not None
                fired += row[0]
                if row[0] == 0:
                    return fired

    with ThreadPoolExecutor(FIRING) as pool:
        shares = list(pool.map(pay, range(FIRING)))

    assert sum(shares) == DUE
    assert doors.ask("select count(*) from queue.runs") == DUE
    assert doors.ask("select count(distinct job_id) from queue.runs") == DUE
    assert doors.ask("select count(*) from queue.live_attempts") == DUE
    assert doors.ask("select count(*) from schedule.triggers where next_fire_at <= now()") == 0
    assert doors.ask("select count(*) from schedule.fires f join queue.runs r on r.id = f.run_id") == DUE


def fire(doors: Doors) -> int:
    row = doors.runner.execute("select worker.fire()").fetchone()
    assert row is not None
    return int(row[0])


def event(**changes: object) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "test",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid.uuid4())},
        "job": {"namespace": "test", "name": "writer"},
        "outputs": [{"namespace": "control-room://north", "name": "gold.orders"}],
        **changes,
    }


def test_many_updates_within_the_debounce_are_one_run_and_a_replayed_event_is_no_update(
    database: Database, doors: Doors
) -> None:
    north = database.add_tenant("north")
    job = add_job(doors, north, "reader", trigger={"datasets": ["gold.orders"], "debounce_seconds": 3600})
    told = [event() for _ in range(3)]
    for it in told:
        doors.call(north, "lineage_ingest", it)
    me = str(uuid.uuid4())

    assert doors.tick(me)["jobs_due"]  # updates that nobody has looked at
    assert fire(doors) == 0
    assert 0 < doors.tick(me)["due_in_ms"] <= 3600_000
    doors.set("update schedule.triggers set next_fire_at = now()")
    assert fire(doors) == 1
    for it in told:
        doors.call(north, "lineage_ingest", it)
    assert fire(doors) == 0
    assert doors.ask("select next_fire_at from schedule.triggers") is None
    assert doors.ask("select count(*) from queue.runs where job_id = %s", [job]) == 1


def test_a_fire_that_is_rolled_back_leaves_what_was_due_to_the_next(database: Database, doors: Doors) -> None:
    add_job(doors, database.add_tenant("north"), "daily", schedule={"cron": "0 5 * * *"})
    doors.set("update schedule.triggers set next_fire_at = now() - interval '1 minute'")
    with psycopg.connect(database.runner) as connection:
        assert connection.execute("select worker.fire()").fetchone() == (1,)
        assert fire(doors) == 0  # it is held by the other
        connection.rollback()

    assert fire(doors) == 1
    assert doors.ask("select count(*) from queue.runs") == 1


def test_an_update_waits_for_nobody_who_holds_the_trigger(database: Database, doors: Doors) -> None:
    north = database.add_tenant("north")
    job = add_job(doors, north, "reader", trigger={"datasets": ["gold.orders"], "debounce_seconds": 0})
    with psycopg.connect(database.superuser) as holder:
        holder.execute("select from schedule.triggers where job_id = %s for update", [job])
        doors.set("set lock_timeout = '2s'")
        doors.runner.execute("set lock_timeout = '2s'")
        doors.people.execute("set lock_timeout = '2s'")
        doors.call(north, "lineage_ingest", event())
        assert fire(doors) == 0
        holder.rollback()

    assert fire(doors) == 1
