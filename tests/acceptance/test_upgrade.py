"""From the release before to this one while work waits and runs: an old runner on the new schema, then a new one.

`CONTROL_ROOM_UPGRADE_FROM` names another ref than the newest tag. Where its migrations were edited since (before
v0.1.0 they may be), the schema is this one from the start, and the old runner is held to that alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dev.stack import migrate, postgres, release, tenants
from dev.stack.postgres import Server
from dev.stack.state import CLONE
from tests.integration.test_project import empty_project

SECONDS = 120.0
WORK = 40
CAPACITY = 4


@contextlib.contextmanager
def runner(tree: Path, server: Server, work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A runner of that tree, with the scripted executor."""
    work.mkdir(mode=0o755)
    log = (work / "runner.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "runner"],
        cwd=tree,
        env={
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(tree),
            "CONTROL_ROOM_DATABASE_URL": server.dsn("runner"),
            "CONTROL_ROOM_SUPABASE_URL": "http://127.0.0.1:1",
            "CONTROL_ROOM_MASTER_KEY": server.secrets.master_key,
            "CONTROL_ROOM_WORK_DIR": str(work),
            "CONTROL_ROOM_CAPACITY": str(CAPACITY),
            "CONTROL_ROOM_DRAIN_SECONDS": "1",
            "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted",
        },
        stdout=log,
        stderr=log,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        log.close()


def wait(until: Callable[[], bool], why: str) -> None:
    end = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < end, why
        time.sleep(0.1)


@pytest.mark.long
def test_no_work_is_lost_from_the_release_before_to_this_one(tmp_path: Path) -> None:
    ref = os.environ.get("CONTROL_ROOM_UPGRADE_FROM") or release.newest()
    if ref is None:
        pytest.skip("needs a release: CONTROL_ROOM_UPGRADE_FROM=<git ref> scripts/test --long")
    old = tmp_path / "old"
    release.unpack(ref, old)
    appended = not release.rewritten(ref)
    begin = migrate.migrations(old / "supabase" / "migrations") if appended else migrate.migrations()

    with contextlib.ExitStack() as until_the_end:
        server = until_the_end.enter_context(empty_project(postgres.default_major()))
        migrate.apply(server.dsn("postgres"), begin)
        with server.connect() as connection:
            postgres.set_passwords(connection, server.secrets)
        tenant = tenants.create(server, "acme", "acme")
        tenants.add_member(server, "acme", "somebody", "operator")
        see = until_the_end.enter_context(psycopg.connect(server.dsn("supabase_admin"), autocommit=True))

        def states() -> dict[str, int]:
            return dict(see.execute("select state::text, count(*) from queue.runs group by 1").fetchall())

        before = until_the_end.enter_context(runner(old, server, server.place.root / "before"))
        runs = {submit(see, tenant, 1500 if n < CAPACITY else 200) for n in range(WORK)}
        wait(lambda: states().get("RUNNING", 0) >= CAPACITY, "the old runner does not begin")
        assert states().get("QUEUED", 0) > 0, "nothing waits: this proves nothing"

        applied = migrate.apply(server.dsn("postgres"), migrate.migrations())
        had = states().get("SUCCEEDED", 0)
        wait(
            lambda: states().get("SUCCEEDED", 0) > had + CAPACITY,
            "the old runner ends nothing on the new schema",
        )
        assert before.poll() is None

        until_the_end.enter_context(runner(CLONE, server, server.place.root / "after"))
        before.send_signal(signal.SIGTERM)
        assert before.wait(30) == 0
        wait(lambda: states() == {"SUCCEEDED": WORK}, f"not all have ended: {states()}")
        ended = {row[0] for row in see.execute("select id from queue.runs")}
        tries = see.execute("select max(number), count(*) from queue.attempts").fetchone()

    assert (applied == []) == (not appended or len(begin) == len(migrate.migrations()))
    assert ended == runs
    assert tries == (1, WORK), "handed over, and not done again"


def submit(connection: psycopg.Connection[object], tenant: str, milliseconds: int) -> int:
    """As the Data API would."""
    claims = {"sub": "somebody", "user_id": "somebody", "tenant_id": tenant, "role": "operator"}
    form = {
        "job_type": "spark_etl",
        "spec": "take some time",
        "code": {"files": {"job.py": "print(1)"}},
        "params": {"script": [{"sleep_ms": milliseconds}]},
    }
    with connection.transaction():
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        connection.execute("set local role operator")
        row = connection.execute("select public.run_job(%s) ->> 'run_id'", [json.dumps(form)]).fetchone()
    assert isinstance(row, tuple)
    return int(row[0])
