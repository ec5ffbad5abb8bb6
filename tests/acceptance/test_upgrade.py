"""From one release to the next while work waits and runs: an old runner on the new schema, then a new one.

Twice. From the release before to this one (`CONTROL_ROOM_UPGRADE_FROM` names another ref than the newest tag; where its
migrations were edited since, as they may be before v0.1.0, the schema is this one from the start, and the old
runner is held to that alone). And from this one to a next one that is made up here: it has a migration more, which
does what migrations do (a column in a hot table, answers that say more, a verb more), and another version.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dev.stack import postgres, release, tenants
from dev.stack.postgres import Server
from dev.stack.state import CLONE
from tests.contract.test_runner import Receiver
from tests.integration.test_project import empty_project

SECONDS = 120.0
WORK = 30
CAPACITY = 4
NEXT_VERSION = "9.9.9"
#: What a next release might do to a database that is in use.
NEXT = """
grant app_owner, app_system to postgres;
set role app_owner;
alter table queue.live_attempts add column said_since text not null default 'next';
alter type queue.state add value 'NEXT';
create index live_attempts_said_since on queue.live_attempts (said_since);
set role app_system;

alter function worker.claim_attempts(uuid, text[], integer) rename to claim_attempts_before;
create function worker.claim_attempts(p_instance uuid, p_offers text[], p_limit integer)
returns setof json language sql security definer set search_path = '' as $$
    select (x::jsonb || '{"said_since": {"version": "next"}}')::json from worker.claim_attempts_before(p_instance, p_offers, p_limit) x
$$;
revoke all on function worker.claim_attempts(uuid, text[], integer) from public;
grant execute on function worker.claim_attempts(uuid, text[], integer) to runner;

alter function worker.renew_leases(uuid, jsonb) rename to renew_leases_before;
create function worker.renew_leases(p_instance uuid, p_items jsonb)
returns jsonb language sql security definer set search_path = '' as $$
    select coalesce(jsonb_agg(x || '{"said_since": "next"}'), '[]') from jsonb_array_elements(worker.renew_leases_before(p_instance, p_items)) x
$$;
revoke all on function worker.renew_leases(uuid, jsonb) from public;
grant execute on function worker.renew_leases(uuid, jsonb) to runner;

create function worker.said_since()
returns text language sql set search_path = '' as $$ select 'next' $$;
revoke all on function worker.said_since() from public;
grant execute on function worker.said_since() to runner;
set role postgres;
revoke app_owner, app_system from postgres;
"""


@dataclass(frozen=True)
class Release:
    """A tree, whether its migrations go on from those of the one before, and its version where that is another."""

    tree: Path
    appended: bool = True
    version: str | None = None


def before_and_this(folder: Path) -> tuple[Release, Release]:
    ref = os.environ.get("CONTROL_ROOM_UPGRADE_FROM") or release.newest()
    if ref is None:
        pytest.skip(
            "needs a release before this one: CONTROL_ROOM_UPGRADE_FROM=<git ref> scripts/test --long"
        )
    release.unpack(ref, folder / "before")
    return Release(folder / "before", not release.rewritten(ref)), Release(CLONE)


def this_and_next(folder: Path) -> tuple[Release, Release]:
    tree = folder / "next"
    for room in ("runner", "supabase", "deploy"):
        shutil.copytree(CLONE / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "supabase" / "migrations" / "29991231000000_next.sql").write_text(NEXT)
    about = tree / f"control_room-{NEXT_VERSION}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: control-room\nVersion: {NEXT_VERSION}\n")
    return Release(CLONE), Release(tree, version=NEXT_VERSION)


def apply(tree: Path, server: Server) -> int:
    """As docs/operations.md says; how many migrations were new."""
    argv = [str(tree / "deploy" / "supabase" / "apply"), server.dsn("postgres")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-3])


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
            "CONTROL_ROOM_CALLBACK_ALLOW": "127.0.0.0/8",
            "CONTROL_ROOM_HEALTH_FILE": str(work / "health"),
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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.parametrize("releases", [before_and_this, this_and_next])
def test_no_work_is_lost_from_one_release_to_the_next(
    releases: Callable[[Path], tuple[Release, Release]], receiver: Receiver, tmp_path: Path
) -> None:
    old, new = releases(tmp_path)

    with contextlib.ExitStack() as until_the_end:
        server = until_the_end.enter_context(empty_project(postgres.default_major()))
        begun = apply(old.tree if old.appended else new.tree, server)
        with server.connect() as connection:
            postgres.set_passwords(connection, server.secrets)
        tenant = tenants.create(server, "acme", "acme")
        tenants.add_member(server, "acme", "somebody", "operator")
        see = until_the_end.enter_context(psycopg.connect(server.dsn("supabase_admin"), autocommit=True))
        tenants.call(server, "platform_allow_callbacks", {"cidr": "127.0.0.0/8"})

        def states() -> dict[str, int]:
            return dict(see.execute("select state::text, count(*) from queue.runs group by 1").fetchall())

        before = until_the_end.enter_context(runner(old.tree, server, server.place.root / "before"))
        # long enough to be under way from before the migration until after the new runner has come
        runs = {submit(see, tenant, 12_000 if n < CAPACITY // 2 else 400, receiver.url) for n in range(WORK)}
        wait(lambda: states().get("RUNNING", 0) >= CAPACITY, "the old runner does not begin")
        assert states().get("QUEUED", 0) > 0, "nothing waits: this proves nothing"

        applied = apply(new.tree, server)
        had = states().get("SUCCEEDED", 0)
        runs |= {submit(see, tenant, 400, receiver.url) for n in range(WORK)}
        wait(
            lambda: states().get("SUCCEEDED", 0) > had + CAPACITY,
            f"the old runner ends nothing on the new schema: {states()}",
        )
        assert before.poll() is None

        until_the_end.enter_context(runner(new.tree, server, server.place.root / "after"))
        before.send_signal(signal.SIGTERM)
        assert before.wait(30) == 0
        wait(lambda: states() == {"SUCCEEDED": len(runs)}, f"not all have ended: {states()}")
        ended = {row[0] for row in see.execute("select id from queue.runs")}
        tries = see.execute("select max(number), count(*) from queue.attempts").fetchone()
        wait(lambda: told(receiver) >= runs, "not all of them are told of")
        versions = [row[0] for row in see.execute("select version from queue.runners order by started_at")]

    assert begun > 0
    if new.version:
        assert (applied, versions[-1]) == (1, new.version)
        assert versions[0] != new.version
    if not old.appended:
        assert applied == 0
    assert ended == runs
    assert tries == (1, len(runs)), "handed over, and not done again"
    assert told(receiver) == runs


def told(receiver: Receiver) -> set[int]:
    return {json.loads(body)["data"]["run_id"] for _, body in receiver.taken}


def submit(connection: psycopg.Connection[object], tenant: str, milliseconds: int, hook: str) -> int:
    """As the Data API would."""
    claims = {"sub": "somebody", "user_id": "somebody", "tenant_id": tenant, "role": "operator"}
    form = {
        "job_type": "spark_etl",
        "spec": "take some time",
        "code": {"files": {"job.py": "print(1)"}},
        "params": {"script": [{"sleep_ms": milliseconds}]},
        "callbacks": {"on_complete": hook},
    }
    with connection.transaction():
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        connection.execute("set local role operator")
        row = connection.execute("select public.run_job(%s) ->> 'run_id'", [json.dumps(form)]).fetchone()
    assert isinstance(row, tuple)
    return int(row[0])
