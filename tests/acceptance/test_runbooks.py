"""docs/runbooks.md as an exercise: the trouble is made, what the page says is typed, and it is over."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance import pages
from tests.acceptance.rescue.conftest import CLONE, Receiver, Room, listening, opened, stack_folder
from tests.acceptance.rescue.test_rescue import SLOW_JOB, state, submit

__all__ = ["stack_folder"]  # a fixture

pytestmark = pytest.mark.long

QUICK = "print('done')\nopen('/job/outputs/rows.csv', 'w').write('n\\n1\\n')\n"
HANGS = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
Types = Callable[..., str]


@pytest.fixture
def room(stack_folder: Path) -> Iterator[Room]:
    with opened(stack_folder) as made:
        yield made


@pytest.fixture
def types(room: Room) -> Types:
    """An admin's terminal: types a block of the page, with what the page leaves to its reader; what was said."""

    def typed(block: str, **own: object) -> str:
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(room.folder),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "COLUMNS": "180",
            "CONTROL_ROOM_TOKEN": room.tokens["admin"],
            **{it: room.environment[it] for it in ("SUPABASE_URL", "SUPABASE_ANON_KEY", "DATABASE_URL")},
            **{name: str(value) for name, value in own.items()},
        }
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{block}"],
            env=environment, cwd=CLONE, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return typed


def works(room: Room, run: int, times: int = 1) -> None:
    """Wait until its code has begun for the so-manieth time."""
    begun = "select count(*) from queue.logs where run_id = %s and stream = 'stdout'"
    room.until("its code has begun", lambda: room.query(begun, run)[0][0] >= times)


def test_a_run_that_waits_says_for_what_ends_when_it_is_told_to_and_is_done_again(
    room: Room, types: Types
) -> None:
    ask, end, again, look = pages.at("docs/runbooks.md", "stuck-run")
    waits = submit(room, "stuck", QUICK)

    said = types(ask, RUN=waits)
    waiting = types(look)
    types(end, RUN=waits)
    ended = state(room, waits)
    room.start_runner()
    types(again, RUN=waits)

    assert "no runner offers spark_etl" in said
    assert "spark_etl" in waiting
    assert (ended, state(room, waits)) == ("CANCELED", "SUCCEEDED")


def test_code_that_hangs_is_seen_and_stopped(room: Room, types: Types) -> None:
    ask, end, *_ = pages.at("docs/runbooks.md", "stuck-run")
    room.start_runner()
    hangs = submit(room, "hangs", HANGS)
    works(room, hangs)

    said = types(ask, RUN=hangs)
    types(end, RUN=hangs)
    room.until("it is stopped", lambda: state(room, hangs) == "CANCELED", 10)

    assert "RUNNING" in said
    assert "begun" in said


@pytest.fixture
def receiver(room: Room) -> Iterator[Receiver]:
    with listening(room) as made:
        yield made


@pytest.fixture
def hasty(room: Room) -> Iterator[None]:
    """75 hours of tries in a second."""
    room.query(
        "update callback.settings set pauses = '{0.1 s,0.1 s}', breaker_pause = '0.1 s', breaker_pause_most = '0.1 s'"
    )
    yield
    room.query(
        "update callback.settings set pauses = default, breaker_pause = default, breaker_pause_most = default"
    )


@pytest.mark.usefixtures("hasty")
def test_an_endpoint_whose_receiver_was_broken_is_taken_back_and_hears_what_it_missed(
    room: Room, receiver: Receiver, types: Types
) -> None:
    look, mend = pages.at("docs/runbooks.md", "dead-endpoint")
    [endpoint] = [it["endpoint_id"] for it in room.ask("GET", "/endpoints", "admin")["items"]]
    secret, receiver.secret = receiver.secret, None  # it refuses whatever comes
    room.start_runner()
    run = submit(room, "unheard", QUICK)
    dead = "select 1 from callback.deliveries where state = 'DEAD'"
    room.until("its delivery is given up", lambda: room.query(dead))

    seen = types(look)
    receiver.secret = secret
    said = types(mend, ENDPOINT=endpoint)
    room.until("what was missed is there", lambda: receiver.messages)

    assert endpoint in seen
    assert "failures since" in seen
    assert "401" in seen
    assert "due again" in said
    room.until("its run among it", lambda: run in {it["data"]["run_id"] for _, it in receiver.messages})
    assert room.ask("GET", "/endpoints", "admin")["items"][0]["failures"] == 0


def test_work_outlives_its_runner_and_a_job_that_eats_runners_is_found_and_ended(
    room: Room, types: Types
) -> None:
    look, end = pages.at("docs/runbooks.md", "lost-runner")
    run = submit(room, "eats", HANGS)
    for life in range(1, 4):
        runner = room.start_runner()
        works(room, run, life)
        runner.kill()
        runner.wait()
    other = submit(room, "outlives", SLOW_JOB)
    room.start_runner()
    works(room, run, 4)

    found = types(look)
    types(end, RUN=run)
    room.until("it has ended", lambda: state(room, run) == "CANCELED", 10)
    room.until("the other has succeeded", lambda: state(room, other) == "SUCCEEDED")

    assert [line.split("|")[:2] for line in found.splitlines() if line.lstrip().startswith(str(run))] == [
        [f" {run:6} ", "    3 "]
    ]
    assert types(look).count("(0 rows)") == 1


@pytest.fixture
def small_disk(room: Room) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root: a small disk is mounted")
    place = room.folder / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        room.kill_all()
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()


def test_a_run_that_met_a_full_disk_is_repaired_when_there_is_room(
    room: Room, types: Types, small_disk: Path
) -> None:
    [mend] = pages.at("docs/runbooks.md", "full-disk")
    room.start_runner(CONTROL_ROOM_WORK_DIR=str(small_disk / "work"))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(12 << 20))
    large = "open('/job/outputs/rows.csv', 'w').write('n\\n' + '12345678\\n' * 700_000)\n"
    run = submit(room, "large", large)
    room.until("it met the end of the disk", lambda: state(room, run) == "FAILED")
    [task] = room.ask("GET", f"/runs/{run}")["tasks"]

    ballast.unlink()
    said = types(mend, RUN=run)

    assert "space" in str(task["attempts"][-1]) + "\n".join(
        line for (line,) in room.query("select line from queue.logs where run_id = %s", run)
    )
    assert str(run) in said
    assert state(room, run) == "SUCCEEDED"


@pytest.mark.needs("container")
def test_images_that_nobody_uses_make_room(room: Room, types: Types) -> None:
    [block] = pages.at("docs/runbooks.md", "images")
    own = f'podman() {{ command podman --root "{room.folder}/root" --runroot "{room.folder}/run" --storage-driver vfs "$@"; }}'

    said = types(f"{own}\n{block}")

    assert "Images" in said


@contextlib.contextmanager
def left_open(url: str) -> Iterator[psycopg.Connection]:
    """A session that began something and forgot it."""
    connection = psycopg.connect(url)
    connection.execute("select 1")
    try:
        yield connection
    finally:
        connection.close()


def test_what_holds_a_full_database_is_found_and_let_go(room: Room, types: Types) -> None:
    find, let_go = pages.at(
        "docs/runbooks.md", "full-database", {"10 minutes": "1 second", "1 hour": "1 second"}
    )
    room.query("select pg_create_physical_replication_slot('forgotten', true)")
    with left_open(room.environment["DATABASE_URL"]) as session:
        time.sleep(1.2)
        found = types(find)
        types(let_go)

        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")

    assert "forgotten" in found
    assert "idle in transaction" in found
    assert "live_attempts" in found or "objects" in found
    assert room.query("select count(*) from pg_replication_slots") == [(0,)]
