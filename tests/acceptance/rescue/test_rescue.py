"""kill -9, SIGTERM, a database that goes away: the run succeeds, once, and is announced once."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from .conftest import Receiver, Room, stop

SLOW_JOB = """
import csv, time
print("::progress 20 started", flush=True)
print("alive", flush=True)
time.sleep(2.5)
with open("/job/outputs/rows.csv", "w") as out:
    w = csv.writer(out)
    w.writerow(["n", "word"])
    w.writerows([(1, "one"), (2, "two"), (3, "three")])
print("::progress 90 written", flush=True)
"""


def submit(room: Room, table: str, code: str = SLOW_JOB) -> int:
    run: int = room.ask(
        "POST",
        "/jobs/run",
        json={
            "job_type": "spark_etl",
            "spec": "write three rows, slowly",
            "code": {"files": {"job.py": code}},
            "outputs": [{"name": "rows", "table": table, "layer": "gold", "mode": "append"}],
        },
    )["run_id"]
    return run


def state(room: Room, run: int) -> str:
    found: str = room.ask("GET", f"/runs/{run}")["state"]
    return found


def attempts(room: Room, run: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = room.ask("GET", f"/runs/{run}")["tasks"][0]["attempts"]
    return found


def rows(room: Room, table: str) -> list[int]:
    return sorted(n for (n,) in room.query(f"select n::int from gold_rescue.{table}"))


def test_a_run_survives_kill_9_of_its_runner_and_happens_once(room: Room, receiver: Receiver) -> None:
    first = room.start_runner()
    run = submit(room, "killed")
    room.until(
        "the first runner works on it", lambda: room.query("select 1 from queue.logs where run_id = %s", run)
    )
    first.send_signal(signal.SIGKILL)
    first.wait()
    room.start_runner()
    room.until("another runner ends it", lambda: state(room, run) == "SUCCEEDED")
    room.until("it is announced", lambda: receiver.messages)

    told = Counter(body["data"]["run_id"] for _, body in receiver.messages)
    ids = Counter(message for message, _ in receiver.messages)
    tried = attempts(room, run)

    assert [a["lease"] for a in tried] == [2]  # the same attempt, claimed anew
    assert tried[0]["lost"] == 1
    assert rows(room, "killed") == [1, 2, 3]
    assert told == {run: 1}
    assert set(ids.values()) == {1}
    assert receiver.refused == 0
    assert room.query(
        "select count(*) from callback.events where run_id = %s and type = 'run.completed'", run
    ) == [(1,)]
    assert room.query(
        "select count(*) from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r'"
    ) == [(0,)]


def test_a_runner_that_is_told_to_stop_lets_its_work_end(room: Room, receiver: Receiver) -> None:
    runner = room.start_runner()
    run = submit(room, "drained")
    room.until("it works", lambda: state(room, run) == "RUNNING")

    code = stop(runner)

    assert code == 0
    assert state(room, run) == "SUCCEEDED"
    assert rows(room, "drained") == [1, 2, 3]


def test_a_runner_that_may_not_wait_gives_its_work_back_without_a_loss(room: Room) -> None:
    runner = room.start_runner(CONTROL_ROOM_DRAIN_SECONDS="0")
    run = submit(room, "released")
    room.until("it works", lambda: state(room, run) == "RUNNING")
    code = stop(runner)
    given_back = attempts(room, run)
    room.start_runner()
    room.until("another ends it", lambda: state(room, run) == "SUCCEEDED")

    assert code == 0
    assert [(a["state"], a["lost"]) for a in given_back] == [("QUEUED", 0)]
    assert rows(room, "released") == [1, 2, 3]


def test_a_frozen_runner_that_wakes_up_late_is_refused(room: Room) -> None:
    frozen = room.start_runner()
    run = submit(room, "frozen")
    room.until("it works", lambda: room.query("select 1 from queue.logs where run_id = %s", run))
    frozen.send_signal(signal.SIGSTOP)
    room.start_runner()
    room.until("another ends it", lambda: state(room, run) == "SUCCEEDED")
    frozen.send_signal(signal.SIGCONT)
    room.until("the late one is told", lambda: '"stale"' in room.log(0))

    assert rows(room, "frozen") == [1, 2, 3]
    assert [a["lease"] for a in attempts(room, run)] == [2]


def test_a_cancel_stops_what_runs(room: Room) -> None:
    room.start_runner()
    run = submit(room, "canceled", SLOW_JOB.replace("2.5", "300"))
    room.until("it works", lambda: room.query("select 1 from queue.logs where run_id = %s", run))
    room.ask("POST", f"/runs/{run}/cancel")
    room.until("it ends", lambda: state(room, run) == "CANCELED", seconds=10)

    assert room.query("select to_regclass('gold_rescue.canceled')") == [(None,)]


def test_a_deadline_ends_what_hangs(room: Room) -> None:
    room.start_runner()
    run = room.ask(
        "POST",
        "/jobs/run",
        json={
            "job_type": "spark_etl",
            "spec": "hang for ever",
            "code": {"files": {"job.py": "import time\ntime.sleep(600)"}},
            "timeout_seconds": 1,
        },
    )["run_id"]
    room.until("it ends", lambda: state(room, run) == "TIMED_OUT", seconds=12)

    assert room.ask("GET", f"/runs/{run}")["termination_code"] == "DEADLINE_EXCEEDED"


def test_a_runner_outlives_its_database_connections(room: Room) -> None:
    runner = room.start_runner()
    run = submit(room, "cut")
    room.until("it works", lambda: state(room, run) == "RUNNING")
    room.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'runner'")
    room.until("it ends all the same", lambda: state(room, run) == "SUCCEEDED")

    assert runner.poll() is None
    assert rows(room, "cut") == [1, 2, 3]


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_runner_stops_at_once(room: Room, signal_number: int) -> None:
    runner = room.start_runner()
    room.until("it listens", lambda: '"listening"' in room.log(0))
    runner.send_signal(signal_number)

    assert runner.wait(timeout=5) == 0
