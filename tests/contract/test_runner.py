"""`python -m runner` as a process of its own, against a real Postgres: real signals, real outages."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from dev.stack import testbed
from dev.stack.testbed import Database
from runner.callback import signature
from tests.contract.houses import PostgresHouse

SECONDS = 20.0
HANG = [{"log": "hanging"}, {"hang": True}]


class Runners:
    """Starts runners on one database and ends them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *, wait: bool = True, **environment: str) -> subprocess.Popen[bytes]:
        number = len(self.processes)
        health = self._folder / f"health-{number}"
        with self.log(number).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "runner"],
                env={
                    "PATH": os.environ["PATH"],
                    "CONTROL_ROOM_DATABASE_URL": self._database.runner,
                    "CONTROL_ROOM_SUPABASE_URL": "http://127.0.0.1:1",
                    "CONTROL_ROOM_MASTER_KEY": self._database.secrets.master_key,
                    "CONTROL_ROOM_WORK_DIR": str(self._folder / "work"),
                    "CONTROL_ROOM_HEALTH_FILE": str(health),
                    "CONTROL_ROOM_CALLBACK_ALLOW": "127.0.0.0/8",
                    "CONTROL_ROOM_EXECUTOR_CODE_VALIDATION": "scripted",
                    "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted",
                    "CONTROL_ROOM_RUNNER_NAME": f"runner-{number}",
                    **environment,
                },
                stderr=log,
            )
        self.processes.append(process)
        if wait:
            until(lambda: health.exists() and json.loads(health.read_text())["listening"])
        return process

    def log(self, number: int) -> Path:
        return self._folder / f"log-{number}"

    def events(self, number: int = 0) -> list[str]:
        return [json.loads(line)["event"] for line in self.log(number).read_text().splitlines()]

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


def until(what: Callable[[], Any], seconds: float = SECONDS) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="control-room-runner-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def house(database: Database) -> PostgresHouse:
    return PostgresHouse(database, database.add_tenant("acme"))


@pytest.fixture
def runners(database: Database, folder: Path) -> Iterator[Runners]:
    made = Runners(database, folder)
    yield made
    made.end()


@pytest.fixture
def brisk(house: PostgresHouse) -> None:
    """Short leases, so that losing one takes a second."""
    house.sql("update queue.settings set lease_seconds = 1.5, heartbeat_seconds = 0.4")


def attempts(house: PostgresHouse, run: int) -> list[tuple[Any, ...]]:
    return house.sql(
        "select number, lease, state::text from queue.past_attempts where run_id = %s order by number", run
    )


def test_a_submitted_run_is_picked_up_at_once(house: PostgresHouse, runners: Runners) -> None:
    runners.start()
    began = time.monotonic()
    run = house.submit(script=[{"values": {"answer": 42}}])
    found = house.until(run, "SUCCEEDED")

    assert time.monotonic() - began < 2  # the poll comes every 15 s
    assert found["tasks"][0]["values"] == {"answer": 42}
    assert attempts(house, run) == [(1, 1, "SUCCEEDED")]


def test_progress_and_lines_arrive_while_it_runs(house: PostgresHouse, runners: Runners) -> None:
    runners.start()
    run = house.submit(script=[{"progress": 40, "message": "half way"}, {"log": "one"}, {"hang": True}])
    until(lambda: house.get(run)["progress"]["percent"] == 40)
    found = house.get(run)

    assert found["state"] == "RUNNING"
    assert found["progress"] == {"percent": 40, "message": "half way"}
    until(lambda: house.logs(run) == [("stdout", "one")])


def test_a_failed_try_is_tried_again_when_it_is_due(house: PostgresHouse, runners: Runners) -> None:
    runners.start()
    run = house.submit(script=[{"exit": 3, "until": 1}])
    found = house.until(run, "SUCCEEDED", "FAILED", seconds=6)

    assert found["state"] == "SUCCEEDED"
    assert attempts(house, run) == [(1, 1, "FAILED"), (2, 1, "SUCCEEDED")]


def test_a_cancel_stops_the_work_at_once(house: PostgresHouse, runners: Runners) -> None:
    runners.start()
    run = house.submit(script=HANG)
    until(lambda: house.logs(run))
    began = time.monotonic()
    house.cancel(run)
    found = house.until(run, "CANCELED")

    assert time.monotonic() - began < 2  # a heartbeat comes every 5 s
    assert found["termination_code"] == "USER_CANCELED"


def test_a_deadline_ends_the_work(house: PostgresHouse, runners: Runners) -> None:
    runners.start()
    run = house.run(timeout_seconds=1, params={"script": HANG})
    found = house.until(run, "TIMED_OUT", seconds=4)

    assert found["termination_code"] == "DEADLINE_EXCEEDED"


def test_sigterm_lets_work_end_and_takes_no_more(house: PostgresHouse, runners: Runners) -> None:
    process = runners.start()
    run = house.submit(script=[{"log": "begun"}, {"sleep_ms": 1000}])
    until(lambda: house.logs(run))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    late = house.submit(script=[])

    assert process.wait(SECONDS) == 0
    assert (house.state(run), house.state(late)) == ("SUCCEEDED", "QUEUED")
    assert house.sql("select stopped_at is not null from queue.runners") == [(True,)]
    assert runners.events()[-1] == "stopped"


def test_sigterm_gives_back_what_takes_too_long(house: PostgresHouse, runners: Runners) -> None:
    process = runners.start(CONTROL_ROOM_DRAIN_SECONDS="0.3")
    run = house.submit(max_retries=0, script=HANG)
    until(lambda: house.logs(run))
    process.send_signal(signal.SIGTERM)

    assert process.wait(5) == 0
    assert house.sql("select state::text, number, lost from queue.live_attempts") == [("QUEUED", 1, 0)]


def test_an_idle_runner_stops_at_once(runners: Runners) -> None:
    process = runners.start()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(5) == 0
    assert time.monotonic() - began < 1.5


@pytest.mark.usefixtures("brisk")
def test_after_kill_9_another_runner_takes_over(house: PostgresHouse, runners: Runners) -> None:
    first = runners.start()
    run = house.submit(max_retries=0, script=[{"log": "begun"}, {"sleep_ms": 800}])
    until(lambda: house.logs(run))
    first.kill()
    runners.start()
    found = house.until(run, "SUCCEEDED", "FAILED")

    assert found["state"] == "SUCCEEDED"
    assert attempts(house, run) == [(1, 2, "SUCCEEDED")]


@pytest.mark.usefixtures("brisk")
def test_a_runner_that_slept_past_its_lease_changes_nothing(house: PostgresHouse, runners: Runners) -> None:
    sleeper = runners.start()
    run = house.submit(max_retries=0, script=[{"log": "begun"}, {"sleep_ms": 300}, {"values": {"by": "x"}}])
    until(lambda: house.logs(run))
    sleeper.send_signal(signal.SIGSTOP)
    runners.start()
    house.until(run, "SUCCEEDED")
    settled = house.get(run)
    sleeper.send_signal(signal.SIGCONT)
    until(lambda: "stale" in runners.events(0))

    assert house.get(run) == settled
    assert attempts(house, run) == [(1, 2, "SUCCEEDED")]


@pytest.mark.usefixtures("brisk")
def test_connections_may_be_cut_again_and_again(house: PostgresHouse, runners: Runners) -> None:
    runners.start(CONTROL_ROOM_CAPACITY="8")
    runs = []
    for _ in range(6):
        runs += [house.submit(script=[{"log": "x"}, {"sleep_ms": 50}]) for _ in range(5)]
        house.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name like 'control-room %%' and datname = current_database()"
        )
    house.sql("select pg_notify('control_room_attempts', '')")

    assert [house.until(run, "SUCCEEDED", "FAILED")["state"] for run in runs] == ["SUCCEEDED"] * 30
    assert [len(attempts(house, run)) for run in runs] == [1] * 30


def test_a_restart_of_postgres_is_survived(folder: Path) -> None:
    with testbed.cluster() as cluster, cluster.database() as database:
        house = PostgresHouse(database, database.add_tenant("acme"))
        runners = Runners(database, folder)
        try:
            runners.start()
            run = house.submit(max_retries=0, script=[{"log": "begun"}, {"sleep_ms": 3000}])
            until(lambda: house.logs(run))
            restart(cluster, database)
            after = house.submit(script=[])

            assert house.until(run, "SUCCEEDED", "FAILED")["state"] == "SUCCEEDED"
            assert house.until(after, "SUCCEEDED")["state"] == "SUCCEEDED"
            assert attempts(house, run) == [(1, 1, "SUCCEEDED")]
            until(lambda: runners.events().count("listening") >= 2)
        finally:
            runners.end()


def restart(cluster: testbed.Cluster, database: Database) -> None:
    """Stop and start the server, as an operator would in the middle of the day."""
    place = cluster.server.place
    binaries = cluster.server.binaries
    argv = [str(binaries / "pg_ctl"), "restart", "-D", str(place.data), "-m", "fast", "-w"]
    if os.geteuid() == 0:
        argv = ["setpriv", f"--reuid={place.data.stat().st_uid}", f"--regid={place.data.stat().st_gid}",
                "--clear-groups", *argv]  # fmt: skip
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, cwd="/")


def test_a_database_that_comes_late_is_waited_for(house: PostgresHouse, runners: Runners) -> None:
    house.sql("alter role runner connection limit 0")
    try:
        process = runners.start(wait=False)
        until(lambda: runners.log(0).exists() and "database_away" in runners.log(0).read_text())
        assert process.poll() is None
    finally:
        house.sql("alter role runner connection limit -1")

    until(lambda: "listening" in runners.events())


def test_a_wrong_password_ends_with_one_clear_line(database: Database, runners: Runners) -> None:
    url = database.runner.replace("runner:", "runner:not-")
    process = runners.start(wait=False, CONTROL_ROOM_DATABASE_URL=url)

    assert process.wait(SECONDS) == 2
    last = json.loads(runners.log(0).read_text().splitlines()[-1])
    assert (last["event"], last["level"]) == ("cannot_start", "critical")
    assert "check the role in CONTROL_ROOM_DATABASE_URL" in last["reason"]


def test_an_idle_runner_is_small_and_quiet(house: PostgresHouse, runners: Runners) -> None:
    process = runners.start()
    time.sleep(2)
    before = transactions(house)
    time.sleep(6)
    per_second = (transactions(house) - before) / 6
    status = Path(f"/proc/{process.pid}/status").read_text()
    (memory,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    assert per_second <= 2
    assert memory <= 120 * 1024


def transactions(house: PostgresHouse) -> int:
    ((count,),) = house.sql(
        "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
    )
    return int(count)


class Receiver:
    """Takes callbacks and keeps them."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.taken.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_finished_run_is_announced_with_a_signature(
    house: PostgresHouse, runners: Runners, receiver: Receiver
) -> None:
    house.database.platform("platform_allow_callbacks", {"cidr": "127.0.0.0/8"})
    runners.start()
    run = house.run(callbacks={"on_complete": receiver.url, "on_fail": receiver.url})
    until(lambda: receiver.taken)
    headers, body = receiver.taken[0]
    ((endpoint,),) = house.sql("select id::text from callback.endpoints")
    secret = signature.derive(house.database.secrets.master_key, endpoint, 1)

    said = standardwebhooks.Webhook(signature.shown(secret)).verify(body, headers)
    assert (said["type"], said["data"]["run_id"]) == ("run.completed", run)
    until(lambda: house.sql("select state::text from callback.deliveries") == [("DELIVERED",)])
    assert len(receiver.taken) == 1


def test_a_refused_callback_is_sent_again(house: PostgresHouse, runners: Runners, receiver: Receiver) -> None:
    house.database.platform("platform_allow_callbacks", {"cidr": "127.0.0.0/8"})
    receiver.answers = [500]
    runners.start()
    house.run(callbacks={"on_complete": receiver.url})
    until(lambda: len(receiver.taken) == 2, 12)

    first, second = (headers for headers, _ in receiver.taken)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) >= int(first["webhook-timestamp"]) + 4
    until(lambda: house.sql("select state::text, tries from callback.deliveries") == [("DELIVERED", 2)])
