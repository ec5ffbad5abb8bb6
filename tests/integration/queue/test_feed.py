"""Log lines and events of one run, told by several runners at once: each number once, in order, none left out.

A reader that goes on after the last number it saw must never pass over one that was given earlier and committed
later; so numbers are given under the lock of the run's row, and what holds the numbers also holds the readers.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dev.stack.testbed import Database, Tenant
from tests.doors import Doors

OFFERS = ["spark_etl/duckdb"]
RUNNERS = 4
TURNS = 20


@pytest.fixture
def tenant(database: Database) -> Tenant:
    tenant = database.add_tenant("acme")
    database.platform("platform_set_limits", {"tenant": "acme", "max_running": 1000})
    return tenant


@pytest.fixture
def runs(doors: Doors, tenant: Tenant) -> list[int]:
    """Two runs of as many tasks as there are runners; each runner will carry a task of both."""
    task = {"job_type": "spark_etl", "spec": "Nothing.", "code": {"files": {"job.py": "pass"}}}
    job = doors.call(
        tenant,
        "create_job",
        {
            "name": "many",
            "tasks": [{"task_key": f"t{n}", **task} for n in range(RUNNERS)],
            "callbacks": {"on_progress": "https://feed.example/"},
        },
    )
    return [doors.call(tenant, "run_job", {"job_id": job["job_id"]})["run_id"] for _ in range(2)]


def _read(database: Database, tenant: Tenant, function: str, run: int, over: Callable[[], bool]) -> list[int]:
    """The numbers that a follower is told, page by page, until there is nothing more."""
    seen: list[int] = []
    with Doors(database) as reader:
        while True:
            last_look = over()
            page = reader.call(
                tenant, function, {"run_id": run, "after": seen[-1] if seen else 0, "limit": 50}
            )
            seen += [item["seq"] for item in page["items"]]
            if last_look and not page["items"]:
                return seen


def _tell(
    database: Database,
    mine: list[dict[str, Any]],
    runner: int,
    instance: str,
    stop: threading.Event,
) -> None:
    with Doors(database) as doors:
        for turn in range(1, TURNS + 1):
            items = [
                {
                    "attempt_id": each["attempt_id"],
                    "lease": each["lease"],
                    "percent": 2 * turn,
                    "message": f"{runner} {turn}",
                    "logs": [{"stream": "stdout", "line": f"{runner} {turn} {n}"} for n in range(3)],
                }
                # each in an order of its own
                for each in (mine if (turn + runner) % 2 else mine[::-1])
            ]
            answers = doors.report(items)
            assert all(answer["held"] for answer in answers)
            beats = [
                {k: item[k] for k in ("attempt_id", "lease")} | {"percent": 2 * turn + 1} for item in items
            ]
            assert all(answer["held"] for answer in doors.renew(instance, beats))
            if stop.is_set():
                return


def test_followers_of_a_run_that_many_runners_tell_of_miss_nothing(
    database: Database, doors: Doors, tenant: Tenant, runs: list[int]
) -> None:
    instances = [str(uuid.uuid4()) for _ in range(RUNNERS)]
    attempts = doors.claim(instances[0], OFFERS, 2 * RUNNERS)
    assert len(attempts) == 2 * RUNNERS
    by_run = {run: [a for a in attempts if a["run_id"] == run] for run in runs}
    done, failed = threading.Event(), threading.Event()

    with ThreadPoolExecutor(RUNNERS + 4) as pool:
        readers = {
            (function, run): pool.submit(_read, database, tenant, function, run, done.is_set)
            for function in ("run_logs", "run_events")
            for run in runs
        }
        # a task of the first run, and of the second run another: batches of different runners cross
        tellers = [
            pool.submit(
                _tell,
                database,
                [by_run[runs[0]][n], by_run[runs[1]][(n + 1) % RUNNERS]],
                n,
                instances[0],
                failed,
            )
            for n in range(RUNNERS)
        ]
        try:
            for teller in tellers:
                teller.result()
        finally:
            failed.set()
            done.set()
        told = {key: reader.result() for key, reader in readers.items()}

    for run in runs:
        assert told["run_logs", run] == [*range(1, 3 * RUNNERS * TURNS + 1)]
        assert told["run_events", run] == [*range(1, 2 * RUNNERS * TURNS + 1)]
