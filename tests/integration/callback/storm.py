"""A storm of callbacks: receivers of every kind, real senders, and hands that kill both them and Postgres."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dev.stack import postgres
from dev.stack.state import CLONE
from dev.stack.testbed import Cluster, Database, Tenant
from tests.crash.fleet import environment
from tests.doors import Doors
from tests.integration.callback.receivers import BEHAVIOURS, TRAP

#: Hours are tenths of a second here; everything else is as it is.
COMPRESSED = """
    update callback.settings set pauses = array_fill('50 milliseconds'::interval, array[9]),
        retry_after_least = '50 milliseconds', retry_after_most = '200 milliseconds', timeout_seconds = 2, lease_seconds = 4,
        breaker_pause = '20 milliseconds', breaker_pause_most = '200 milliseconds', disable_after = '14 seconds';
    update queue.settings set poll_seconds = 1, lease_seconds = 2, heartbeat_seconds = 0.5;
"""
# Runs that just ended, each with the endpoint it named; and announced, as the verb that ends a run does.
EMIT = """
    with run as (
        insert into queue.runs (tenant_id, name, job_type, state, created_by, started_at, finished_at, event_seq,
                                termination_code)
        select %(tenant)s, 'storm', 'spark_etl', 'SUCCEEDED', 'storm', clock_timestamp(), clock_timestamp(), 1, 'SUCCESS'
        from generate_series(1, %(count)s) returning tenant_id, id
    ), named as (
        insert into callback.subscriptions (tenant_id, run_id, type, endpoint_id)
        select r.tenant_id, r.id, 'run.completed', e.id from run r
        join callback.endpoints e on e.tenant_id = r.tenant_id and e.url = %(url)s and e.deleted_at is null
        returning run_id
    )
    select array_agg(run_id order by run_id) from named
"""
BOOKS = """
    select e.run_id, e.id, d.url, d.state::text, d.tries from callback.deliveries d
    join callback.events e on e.tenant_id = d.tenant_id and e.id = d.event_id where e.type = 'run.completed'
"""

Owed = tuple[int, str]


@dataclass
class Storm:
    """`emitted` is what was committed and acknowledged: (run, behaviour)."""

    cluster: Cluster
    database: Database
    tenant: Tenant
    folder: Path
    receivers: asyncio.subprocess.Process
    port: int
    emitted: set[Owed] = field(default_factory=set)
    senders: list[asyncio.subprocess.Process] = field(default_factory=list)
    kills: int = 0
    crashes: int = 0

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.port}/{behaviour}"

    async def start_sender(self) -> None:
        env = {
            **environment(self.database.runner, self.database.secrets.master_key, self.folder / "work"),
            "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted",
        }
        with (self.folder / f"sender-{len(self.senders)}.log").open("wb") as log:
            self.senders.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "runner",
                    env=env,
                    cwd=CLONE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    async def kill_sender(self, number: int) -> None:
        process = self.senders[number]
        assert process.returncode is None, (self.folder / f"sender-{number}.log").read_text()[-2000:]
        process.send_signal(signal.SIGKILL)
        await process.wait()
        self.kills += 1

    async def rest(self) -> None:
        """No sender any more, and the receivers have written down all they know."""
        for sender in self.senders:
            if sender.returncode is None:
                sender.kill()
            await sender.wait()
        if self.receivers.returncode is None:
            self.receivers.send_signal(signal.SIGTERM)
        await self.receivers.wait()

    async def crash_postgres(self) -> None:
        self.cluster.crash()
        await asyncio.to_thread(postgres.wait_ready, self.cluster.server, self.cluster.daemon)
        self.crashes += 1

    def emit(self, behaviours: Sequence[str], count: int) -> None:
        """`count` events for each receiver; what a crash leaves in doubt is not counted as emitted, and made anew."""
        for behaviour in behaviours:
            while True:
                try:
                    with psycopg.connect(self.database.superuser) as connection:
                        row = connection.execute(
                            EMIT,
                            {"tenant": self.tenant.tenant_id, "count": count, "url": self.url(behaviour)},
                        ).fetchone()
                        assert row is not None
                        connection.execute(
                            "select callback.announce(array_fill(%s::uuid, array[cardinality(%s::bigint[])]), %s::bigint[])",
                            [self.tenant.tenant_id, row[0], row[0]],
                        )
                    break
                except psycopg.OperationalError:
                    time.sleep(0.1)
            self.emitted |= {(run, behaviour) for run in row[0]}

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        while True:
            try:
                with psycopg.connect(self.database.superuser, autocommit=True) as connection:
                    return connection.execute(statement.encode()).fetchall()
            except psycopg.OperationalError:
                time.sleep(0.1)

    async def calm(self, seconds: float) -> None:
        """Waits until every delivery has ended; says what has not when it takes too long."""
        end = time.monotonic() + seconds
        waits = "select count(*) from callback.deliveries where finished_at is null"
        while (left := self.ask(waits)[0][0]) > 0:
            if time.monotonic() > end:
                open_ = self.ask(
                    "select url, state::text, count(*), max(tries) from callback.deliveries"
                    " where finished_at is null group by 1, 2"
                )
                raise AssertionError(f"{left} deliveries have not ended within {seconds:g} s: {open_}")
            await asyncio.sleep(0.2)

    def books(self) -> tuple[dict[str, set[Owed]], dict[Owed, str], list[Owed]]:
        """What the database says: owed by how it ended, the event of each, and all rows."""
        ended: dict[str, set[Owed]] = defaultdict(set)
        events: dict[Owed, str] = {}
        rows: list[Owed] = []
        for run, event, url, state, _ in self.ask(BOOKS):
            owed = (run, url.rpartition("/")[2])
            ended[state].add(owed)
            events[owed] = event
            rows.append(owed)
        return ended, events, rows

    def answers(self) -> dict[tuple[str, str], Counter[str]]:
        """What the receivers say: (behaviour, event id) -> what was answered, how often."""
        said: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for line in (self.folder / "answers.tsv").read_text().splitlines():
            path, event, answer = line.split("\t")
            said[path.strip("/"), event][answer] += 1
        return said


@asynccontextmanager
async def storm(cluster: Cluster, database: Database) -> AsyncIterator[Storm]:
    folder = Path(tempfile.mkdtemp(prefix="control-room-storm-"))
    folder.chmod(0o755)  # noqa: ASYNC240 - once, for the sandbox's user
    receivers = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.callback.receivers",
        str(folder),
        cwd=CLONE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert receivers.stdout is not None
    port = int(await receivers.stdout.readline())
    made = Storm(cluster, database, database.add_tenant("storm"), folder, receivers, port)
    database.platform("platform_allow_callbacks", {"cidr": "127.0.0.0/8"})
    with Doors(database) as doors:
        doors.set(COMPRESSED)
        for behaviour in BEHAVIOURS:
            doors.call(
                made.tenant,
                "create_endpoint",
                {"url": made.url(behaviour), "events": [], "ed25519": behaviour == "well"},
                role="admin",
            )
        doors.call(
            made.tenant,
            "create_endpoint",
            {"url": made.url("alarm"), "events": ["endpoint.disabled"]},
            role="admin",
        )
    assert TRAP.strip("/") not in BEHAVIOURS
    try:
        yield made
    finally:
        await made.rest()
        shutil.rmtree(folder, ignore_errors=True)
