"""The stage: one database with a quick clockwork and a witness, a cable to it, a receiver, a fleet; and the play.

What is on stage is real but for time: leases of a second instead of fifteen, delays of callbacks in tenths.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dev.stack import postgres
from dev.stack.state import CLONE
from dev.stack.testbed import Cluster, Database, Tenant
from dev.stack.tokens import Role
from runner.callback import signature
from runner.store import failpoint
from tests.crash import fleet, plan
from tests.crash.cable import Cable
from tests.crash.fleet import Fleet, Place
from tests.crash.mutation import Control
from tests.crash.plan import TENANTS, Fault, Order, Plan
from tests.crash.receiver import Receiver

LEASE_SECONDS = 1.0
HEARTBEAT_SECONDS = 0.3
#: Time, and nothing else, runs faster here than where people work.
CLOCKWORK = f"""
update queue.settings set lease_seconds = {LEASE_SECONDS}, heartbeat_seconds = {HEARTBEAT_SECONDS}, poll_seconds = 1,
    max_lost = 10000, deadline_grace_seconds = 0.5;
update callback.settings set pauses = array_fill('0.3 seconds'::interval, array[9]), timeout_seconds = 2, lease_seconds = 3,
    breaker_pause = '0.5 seconds', breaker_pause_most = '2 seconds', merge_for = '0.3 seconds';
"""
#: A job that starts by itself, as often as the clock allows; the stage makes it every second.
CLOCKED = "clocked"
GRAPH = [
    {"task_key": "a", "depends_on": []},
    {"task_key": "b", "depends_on": ["a"]},
    {"task_key": "c", "depends_on": ["a"]},
    {"task_key": "d", "depends_on": ["b", "c"]},
]


@dataclass
class Stage:
    """Everything that is on stage."""

    cluster: Cluster
    database: Database
    folder: Path
    cable: Cable
    receiver: Receiver
    fleet: Fleet
    tenants: dict[str, Tenant]
    jobs: dict[str, dict[str, int]] = field(default_factory=dict)  # by tenant and name
    runs: dict[str, int] = field(default_factory=dict)  # by the key of the order
    faults: Counter[str] = field(default_factory=Counter)
    kills: list[tuple[float, str]] = field(default_factory=list)  # when, and which instance
    others: set[int] = field(default_factory=set)  # processes of ours that were here before
    recovery: asyncio.Lock = field(default_factory=asyncio.Lock)  # one crash of Postgres at a time
    said: Callable[[str], None] = print

    # people

    async def call(self, tenant: str, function: str, body: Any, role: Role = "operator") -> Any:
        """`public.<function>(body)` as a member, again and again until the database answers."""
        statement = sql.SQL("select public.{}(%s::jsonb)").format(sql.Identifier(function))
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self.database.authenticator) as connection:
                    await connection.execute(
                        "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
                        [self.tenants[tenant].claims(role), role],
                    )
                    row = await (await connection.execute(statement, [json.dumps(body)])).fetchone()
                assert row is not None
                return row[0]
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)

    async def ask(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """As the superuser, past the cable; waits for a database that is away."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.database.superuser, autocommit=True
                ) as connection:
                    cursor = await connection.execute(statement.encode(), arguments)
                    return await cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)

    async def until(
        self, what: str, statement: str, arguments: Sequence[Any] = (), *, seconds: float = 20
    ) -> None:
        """Waits for something that the database says."""
        end = time.monotonic() + seconds
        while not (await self.ask(statement, arguments))[0][0]:
            assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
            await asyncio.sleep(0.03)

    async def order(self, order: Order) -> None:
        """Asks for the run; the same key as often as it takes."""
        body: dict[str, Any] = {**order.body, "idempotency_key": order.key}
        if order.kind in ("graph", "laned"):
            body["job_id"] = self.jobs[order.tenant][order.kind]
        if order.kind == "told":
            body["callbacks"] = {"on_progress": self.receiver.url(f"/{order.tenant}/progress")}
        if order.kind == "gone":
            body["callbacks"] = {"on_complete": self.receiver.url(f"/{order.tenant}/gone")}
        answer = await self.call(order.tenant, "run_job", body)
        self.runs[order.key] = answer["run_id"]
        if order.cancel_after is not None:
            await asyncio.sleep(order.cancel_after)
            with contextlib.suppress(psycopg.DatabaseError):  # it has finished: its cancel is refused
                await self.call(order.tenant, "cancel_run", {"run_id": answer["run_id"]})

    async def orders(self, orders: Sequence[Order]) -> None:
        async with asyncio.TaskGroup() as group:
            for order in orders:
                await asyncio.sleep(order.after)
                group.create_task(self.order(order))

    # faults

    async def bring_about(self, fault: Fault) -> None:
        """One fault; some last a while."""
        place = self.fleet.places[fault.runner]
        self.faults[fault.kind] += 1
        match fault.kind:
            case "kill":
                self.kill(place)
            case "stop":
                place.signal(signal.SIGTERM)
            case "freeze":
                process = place.process
                place.signal(signal.SIGSTOP)
                await asyncio.sleep(fault.seconds)
                if process is place.process:
                    place.signal(signal.SIGCONT)
            case "backends":
                one = "order by random() limit 1" if fault.what == "one" else ""
                await self.ask(
                    "select pg_terminate_backend(pid) from (select pid from pg_stat_activity"
                    f" where usename = 'runner' and datname = current_database() {one}) x"
                )
            case "cable":
                how, aim = fault.what.split()
                if how == "stall":
                    await self.cable.stall(aim, fault.seconds)
                elif how == "cut":
                    self.cable.cut(aim)
                else:
                    self.cable.deafen(aim)
            case "crash":
                async with self.recovery:  # on a busy machine the last one may still be recovering
                    self.cluster.crash()
                    await asyncio.to_thread(postgres.wait_ready, self.cluster.server, self.cluster.daemon)
            case "idler":
                await self.idle(fault.what, fault.seconds)
            case "mood":
                self.receiver.mood = fault.what  # type: ignore[assignment]
            case "clock":
                self.fleet.places[-1].clock.write_text(fault.what)
            case _:
                raise ValueError(fault)

    async def idle(self, table: str, seconds: float) -> None:
        """Somebody holds rows in a transaction that he has forgotten."""
        statement = sql.SQL("select from queue.{} order by random() limit 3 for update").format(
            sql.Identifier(table)
        )
        with contextlib.suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(self.database.superuser) as connection:
                await connection.execute(statement)
                await asyncio.sleep(seconds)

    def kill(self, place: Place) -> None:
        instance = place.instance
        if place.signal(signal.SIGKILL) and instance is not None:
            self.kills.append((time.time(), instance))

    async def play(self, played: Plan) -> None:
        """Orders and faults beside each other, then quiet until all is done or the patience is at its end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.orders(played.orders))
            for fault in played.faults:
                await asyncio.sleep(fault.after)
                group.create_task(self.bring_about(fault))

    async def calm(self, orders: int, *, seconds: float) -> bool:
        """The faults are over. True when everything came to its end in time."""
        self.receiver.mood = "well"
        self.fleet.arms = lambda _: ""
        for tenant, jobs in self.jobs.items():
            if CLOCKED in jobs:
                await self.call(tenant, "delete_job", {"job_id": jobs.pop(CLOCKED)})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            open_ends = await self.ask(
                "select (select count(*) from queue.runs where finished_at is null)"
                " + (select count(*) from callback.deliveries where finished_at is null)"
                " + (select count(*) from pg_class where relnamespace = 'staging'::regnamespace and relkind = 'r')"
                " + (select count(*) from audit.unsealed), (select count(*) from callback.deliveries where state = 'DEAD')"
            )
            if len(self.runs) == orders and open_ends[0][0] == 0:
                if open_ends[0][1] == 0:
                    return True
                for tenant in self.tenants:  # what was given up is sent again when somebody asks for it
                    self.faults["replayed"] += (await self.call(tenant, "replay_deliveries", {}))["replayed"]
            for place in self.fleet.places:
                place.signal(signal.SIGCONT)  # one that a failpoint froze
            await asyncio.sleep(0.1)
        return False

    async def sweep(self) -> list[str]:
        """Everybody leaves; one runner comes with the broom. What is left then."""
        await self.fleet.rest()
        broom = self.fleet.places[0]
        await self.fleet.start(broom)
        assert broom.process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while b"listening" not in broom.log.read_bytes().rpartition(b"about_to_start")[2]:  # noqa: ASYNC110 - a process says so
                    await asyncio.sleep(0.02)
        broom.signal(signal.SIGTERM)
        await broom.process.wait()
        known = self.others | {self.cluster.daemon.pid}
        known |= {it.process.pid for it in self.fleet.places if it.process}
        found: list[str] = []
        for _ in range(100):  # what was killed takes a moment to be gone
            found = fleet.leftovers(self.folder / "work", self.fleet.pids, self.fleet.since)
            found += [f"{pid}: {command}" for pid, command in fleet.orphans(known).items()]
            if not found:
                break
            await asyncio.sleep(0.02)
        return found

    # the proof

    def prove(self, orders: Sequence[Order]) -> dict[str, Any]:
        """What a fresh process finds broken, and counts."""
        ledger = self.folder / "ledger.json"
        asked = [
            {
                "key": it.key, "tenant": it.tenant, "kind": it.kind, "states": it.states, "attempts": it.attempts,
                "table": it.table, "run_id": self.runs.get(it.key),
            }
            for it in orders
        ]  # fmt: skip
        ledger.write_text(json.dumps({"orders": asked, "seen": list(self.receiver.seen)}))
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash.proof", self.database.superuser, str(ledger)],
            cwd=CLONE, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextlib.asynccontextmanager
async def stage(
    cluster: Cluster,
    database: Database,
    *,
    seed: int = 0,
    controls: Sequence[Control] = (),
    production: bool = False,
) -> AsyncIterator[Stage]:
    """Sets the stage; nobody is on it yet. With `production` the clockwork is the one that people work with."""
    folder = Path(tempfile.mkdtemp(prefix="control-room-chaos-"))
    folder.chmod(0o755)  # noqa: ASYNC240 - once, for the sandbox's user
    receiver, cable = Receiver(), Cable(cluster.server.port)
    await receiver.open()
    await cable.open()
    through = database.runner.replace(f":{cluster.server.port}/", f":{cable.port}/")
    made = Stage(
        cluster,
        database,
        folder,
        cable,
        receiver,
        Fleet(folder, fleet.environment(through, database.secrets.master_key, folder / "work"), seed=seed),
        {slug: database.add_tenant(slug) for slug in TENANTS},
    )
    try:
        with psycopg.connect(database.superuser, autocommit=True) as connection:
            connection.execute((Path(__file__).parent / "witness.sql").read_bytes())
            if not production:
                connection.execute(CLOCKWORK)
        for control in controls:
            control.load(database)
        await _furnish(made)
        with fleet.foster_parent() as made.others:
            try:
                yield made
            finally:
                await made.fleet.rest()
    finally:
        await cable.close()
        await receiver.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _furnish(made: Stage) -> None:
    """Limits, endpoints of every mood, a job with a graph."""
    made.database.platform("platform_allow_callbacks", {"cidr": "127.0.0.0/8"})
    for slug, limit in TENANTS.items():
        made.database.platform("platform_set_limits", {"tenant": slug, "max_running": limit})
        for path, events in (
            (f"/{slug}", ["run.completed", "run.failed"]),
            (f"/{slug}/progress", []),
            (f"/{slug}/gone", []),
        ):
            endpoint = await made.call(
                slug, "create_endpoint", {"url": made.receiver.url(path), "events": events}, "admin"
            )
            key = signature.derive(made.database.secrets.master_key, endpoint["endpoint_id"], 1)
            made.receiver.secrets[path] = signature.shown(key)
        made.receiver.gone.add(f"/{slug}/gone")
        task = {"job_type": "code_validation", "spec": "a step", "code": {"files": {"job.py": "pass"}},
                "params": {"script": [{"progress": 50}, {"sleep_ms": 60}, plan.SIGN]}}  # fmt: skip
        made.jobs[slug] = {
            name: (await made.call(slug, "create_job", {"name": name, **definition}))["job_id"]
            for name, definition in {
                "graph": {"tasks": [{**it, **task} for it in GRAPH]},
                "laned": {"tasks": [{"task_key": "alone", **task}], "max_concurrent_runs": 1},
            }.items()
        }


async def start_the_clock(made: Stage) -> None:
    """From now on a job starts by itself every second, until it is calm."""
    task = {
        "task_key": "tick",
        "job_type": "code_validation",
        "spec": "a tick",
        "code": {"files": {"job.py": "pass"}},
    }
    job = await made.call(
        "ten", "create_job", {"name": CLOCKED, "tasks": [task], "periodic": {"every_seconds": 10}}
    )
    made.jobs["ten"][CLOCKED] = job["job_id"]
    await made.ask(
        "update schedule.triggers set definition = definition || '{\"every_seconds\": 1}', next_fire_at = clock_timestamp()"
    )


def arms(made: Stage) -> None:
    """From now on runners are born with failpoints, drawn from the seed."""
    made.fleet.arms = plan.failpoints
    failpoint.read("tick.before=kill")  # the words of the plan are those of the runner
