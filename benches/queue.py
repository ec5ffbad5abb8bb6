"""The queue beside pgqueuer and procrastinate on one Postgres: drain, pickup, submit, and what idling costs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benches.contenders import with_control_room
from benches.peers import environment
from benches.yardstick import ROOT, Stack, arguments, median, quantile, report, say, stack
from dev.stack.testbed import COPY_DATABASE_PROPERTIES

PEERS = tuple(
    line for line in (ROOT / "benches" / "contenders" / "peers.txt").read_text().splitlines() if "==" in line
)
CAPACITY = 500
DRAIN_PATIENCE = 120.0
INSTANCE = "00000000-0000-0000-0000-00000000beac"
OFFERS = ["spark_etl/duckdb"]


@dataclass
class Contender:
    """A queue in a database of its own, spoken to through its module of `benches.contenders`."""

    name: str
    dsn: str
    python: Path
    clear: str
    left: str  # true while something waits or runs
    span: str  # when the first job was taken, when the last was done (epochs, the database's clock), how many
    jobs: int
    figures: dict[str, list[float]] = field(default_factory=dict)

    def keep(self, metric: str, value: float) -> None:
        self.figures.setdefault(metric, []).append(round(value, 3))

    @property
    def medians(self) -> dict[str, float]:
        return {metric: median(values) for metric, values in self.figures.items()}

    def sql(self, statement: str) -> tuple[Any, ...]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]  # a literal of ours
            return tuple(cursor.fetchone() or ()) if cursor.description else ()

    def empty(self) -> None:
        """As after the installation: no repetition pays for the one before it."""
        for statement in self.clear.split(";"):
            self.sql(statement)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")

    def ask(self, *words: object) -> Any:
        done = subprocess.run(self.command(*words), check=True, capture_output=True, text=True, cwd=ROOT)
        return json.loads(done.stdout.splitlines()[-1])

    def command(self, *words: object) -> list[str]:
        module = f"benches.contenders.with_{self.name}"
        return [str(self.python), "-m", module, self.dsn, *map(str, words)]

    def worker(self, folder: Path, stamps: Path | None) -> subprocess.Popen[bytes]:
        words = ["work", *(["--stamps", str(stamps)] if stamps else [])]
        return self._start(self.command(*words), folder, None)

    def _start(
        self, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        with (folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log)

    def began(self, _: Path) -> dict[int, float] | None:
        """When each handler began where the queue itself keeps it; None: the worker says it in its file."""
        return None


class ControlRoom(Contender):
    """Ours: the real runner process, the scripted executor, every guarantee on."""

    environment: Mapping[str, str]
    runner: str

    def empty(self) -> None:
        """A copy of the installed database: events are append-only, so nothing empties that one."""
        with psycopg.connect(self.dsn.rsplit("/", 1)[0] + "/template1", autocommit=True) as connection:
            connection.execute("drop database if exists bench with (force)")
            connection.execute("create database bench owner postgres template postgres")
        self.sql(COPY_DATABASE_PROPERTIES)
        self.sql("vacuum analyze")
        self.sql("checkpoint")

    def worker(self, folder: Path, stamps: Path | None) -> subprocess.Popen[bytes]:
        return self._start([str(self.python), "-m", "runner"], folder, self.environment)

    def began(self, _: Path) -> dict[int, float] | None:
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(
                "select run_id, (output_values ->> 'began')::float8 from queue.task_runs where output_values ? 'began'"
            ).fetchall()
        return {int(run): float(at) for run, at in rows}


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def workers(
    contender: Contender, folder: Path, n: int = 1, stamps: Path | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [contender.worker(folder, stamps) for _ in range(n)]
    try:
        yield started
    except SystemExit:
        say((folder / f"{contender.name}.log").read_text()[-2000:])
        raise
    finally:
        for process in started:
            end(process)


def await_end(contender: Contender, working: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + DRAIN_PATIENCE
    while contender.sql(contender.left)[0]:
        if any(process.poll() is not None for process in working):
            raise SystemExit(f"error: a worker of {contender.name} ended by itself")
        if time.monotonic() > until:
            raise SystemExit(f"error: {contender.name} did not drain within {DRAIN_PATIENCE:g} s")
        time.sleep(0.25)


def drain(contender: Contender, folder: Path, n: int) -> None:
    """All queued before the worker starts; from the first claim to the last end by the database's clock."""
    contender.empty()
    seconds = contender.ask("fill", contender.jobs)
    contender.keep("fill_per_s", contender.jobs / seconds)
    contender.sql("analyze")
    contender.sql("checkpoint")
    with workers(contender, folder, n) as working:
        await_end(contender, working)
    first, last, done = contender.sql(contender.span)
    if done != contender.jobs:
        raise SystemExit(f"error: {contender.name} ended {done} of {contender.jobs} jobs")
    metric = "drain" if n == 1 else f"drain_{n}_processes"
    contender.keep(metric, done / (float(last) - float(first)))
    say(f"  {contender.name:14} {metric:20} {contender.figures[metric][-1]:9.0f}/s")


def pickup(contender: Contender, folder: Path, prefix: str, *words: object) -> None:
    """Milliseconds from the commit, as its submitter sees it, to the handler's first line."""
    contender.empty()
    stamps = folder / "stamps.json"
    with workers(contender, folder, 1, stamps) as working:
        time.sleep(2.5)
        committed = {int(job): float(at) for job, at in contender.ask(*words).items()}
        await_end(contender, working)
    began = contender.began(stamps) or {int(j): float(at) for j, at in json.loads(stamps.read_text()).items()}
    waits = [max(0.0, (began[job] - at) * 1000) for job, at in committed.items()]
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        contender.keep(f"{prefix}_{name}", quantile(waits, q))
    p50, p99 = (contender.figures[f"{prefix}_{name}"][-1] for name in ("p50", "p99"))
    say(f"  {contender.name:14} pickup {prefix:13} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   n {len(waits)}")


def single(contender: Contender, seconds: float) -> None:
    contender.empty()
    done = contender.ask("single", seconds)
    contender.keep("single_per_s", done["n"] / done["seconds"])
    say(f"  {contender.name:14} single submit        {contender.figures['single_per_s'][-1]:9.0f}/s")


def idling(contender: Contender, folder: Path, seconds: float) -> None:
    """What a worker costs that has nothing to do: statements (transactions of one each), memory."""
    contender.empty()
    count = "select xact_commit + xact_rollback from pg_stat_database where datname = %s"
    with workers(contender, folder) as (process,):
        time.sleep(6)
        with psycopg.connect(contender.dsn.rsplit("/", 1)[0] + "/postgres", autocommit=True) as connection:
            name = contender.dsn.rsplit("/", 1)[1]
            (before,) = connection.execute(count, [name]).fetchone() or (0,)
            time.sleep(seconds)
            (after,) = connection.execute(count, [name]).fetchone() or (0,)
        pss = sum(
            int(line.split()[1])
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Pss:")
        )
    contender.keep("idle_statements_per_s", (after - before) / seconds)
    contender.keep("idle_memory_mib", pss / 1024)
    say(f"  {contender.name:14} idle {(after - before) / seconds:5.2f} statements/s, {pss / 1024:.0f} MiB")


def cycles(runner: str, batch: int, most: int) -> float:
    """Claim and settle by a bare loop on one connection, no runner: the limit that SQL sets."""
    done = 0
    with psycopg.connect(runner, autocommit=True) as connection:
        connection.prepare_threshold = 0
        began = time.perf_counter()
        while done < most:
            claimed = connection.execute(
                "select c ->> 'attempt_id', c ->> 'lease' from worker.claim_attempts(%s::uuid, %s::text[], %s::int) c",
                [INSTANCE, OFFERS, batch],
            ).fetchall()
            if not claimed:
                break
            items = [
                {"attempt_id": int(a), "lease": int(lease), "outcome": {"state": "SUCCEEDED"}}
                for a, lease in claimed
            ]
            connection.execute(
                "select worker.settle_attempts(%s::uuid, %s::jsonb)", [INSTANCE, json.dumps(items)]
            )
            done += len(claimed)
        return done / (time.perf_counter() - began)


def sql_limit(contender: ControlRoom, batch: int) -> None:
    contender.empty()
    contender.ask("fill", contender.jobs)
    contender.sql("analyze")
    contender.sql("checkpoint")
    contender.keep(f"sql_cycles_batch_{batch}", cycles(contender.runner, batch, contender.jobs))
    say(
        f"  {contender.name:14} sql only, batch {batch:<4} {contender.figures[f'sql_cycles_batch_{batch}'][-1]:9.0f}/s"
    )


def contenders(up: Stack, jobs: int, folder: Path) -> tuple[ControlRoom, list[Contender]]:
    dsn = up.env["DATABASE_URL"]
    base = dsn.rsplit("/", 1)[0]
    ours = ControlRoom(
        "control_room", base + "/bench", Path(sys.executable), "",
        "select exists (select from queue.live_attempts)",
        "select extract(epoch from min(claimed_at)), extract(epoch from max(finished_at)), count(*) from queue.past_attempts",
        jobs,
    )  # fmt: skip
    ours.runner = up.env["CONTROL_ROOM_DATABASE_URL"].rsplit("/", 1)[0] + "/bench"
    ours.environment = {
        **os.environ,
        **up.env,
        "CONTROL_ROOM_DATABASE_URL": ours.runner,
        "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted",
        "CONTROL_ROOM_CAPACITY": str(CAPACITY),
        "CONTROL_ROOM_WORK_DIR": str(folder / "work"),
        "CONTROL_ROOM_LOG_LEVEL": "WARNING",
    }
    python = environment("queue", *PEERS)
    peers = [
        Contender(
            "pgqueuer", base + "/peer_pgqueuer", python,
            "truncate pgqueuer, pgqueuer_log, pgqueuer_statistics", "select exists (select from pgqueuer)",
            "select extract(epoch from min(created)), extract(epoch from max(created)), count(*) filter (where status = 'successful')"
            " from pgqueuer_log where status in ('picked', 'successful')",
            jobs,
        ),
        Contender(
            "procrastinate", base + "/peer_procrastinate", python,
            "truncate procrastinate_jobs cascade", "select exists (select from procrastinate_jobs where status in ('todo', 'doing'))",
            "select extract(epoch from min(at)), extract(epoch from max(at)), count(*) filter (where type = 'succeeded')"
            " from procrastinate_events where type in ('started', 'succeeded')",
            min(jobs, 3000),  # its rate does not depend on how many there are, and it needs a minute for 20,000
        ),
    ]  # fmt: skip
    with psycopg.connect(dsn, autocommit=True) as connection:
        for peer in peers:
            name = sql.Identifier(peer.dsn.rsplit("/", 1)[1])
            connection.execute(sql.SQL("drop database if exists {}").format(name))
            connection.execute(sql.SQL("create database {}").format(name))
            peer.ask("install")
    with_control_room.install(dsn)
    return ours, peers


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20_000, help="queued before the worker starts")
    parser.add_argument("--seconds", type=float, default=15, help="of the load at 200/s")
    parser.add_argument("--idle", type=int, default=200, help="submissions with pauses")
    parser.add_argument("--only", default="drain,pickup,submit,sql,idle", help="what to measure")
    asked = parser.parse_args()
    only = set(asked.only.split(","))
    if asked.quick:
        asked.repeat, asked.jobs, asked.seconds, asked.idle = 1, 2000, 3.0, 20
    env = {"CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted"}
    with tempfile.TemporaryDirectory() as scratch, stack("bench-queue", services="postgres", env=env) as up:
        folder = Path(scratch)
        folder.chmod(0o755)  # the sandbox's user works below it
        ours, peers = contenders(up, asked.jobs, folder)
        everyone: list[Contender] = [ours, *peers]
        for turn in range(asked.repeat):
            say(f"round {turn + 1} of {asked.repeat}, load {os.getloadavg()[0]:.1f}")
            for each in everyone if "drain" in only else ():
                drain(each, folder, 1)
            for each in everyone if "drain" in only else ():
                drain(each, folder, 2)
            for each in everyone if "pickup" in only else ():
                pickup(each, folder, "idle", "idle", asked.idle)
            for each in everyone if "pickup" in only else ():
                pickup(each, folder, "load", "paced", asked.seconds, 200)
            for each in everyone if "submit" in only else ():
                single(each, asked.seconds / 3)
            for batch in (50, 200) if "sql" in only else ():
                sql_limit(ours, batch)
        for each in everyone if "idle" in only else ():
            idling(each, folder, 5 if asked.quick else 30)
        version = ours.sql("show server_version")[0]
    figures = ours.medians
    if {"drain", "sql"} <= only:
        figures["share_of_sql_limit"] = round(figures["drain"] / figures["sql_cycles_batch_200"], 3)
    report(
        "queue",
        figures,
        {peer.name: peer.medians for peer in peers},
        {
            "repeat": asked.repeat,
            "jobs": {each.name: each.jobs for each in everyone},
            "tenants": with_control_room.TENANTS,
            "tenant_limit": 10,
            "capacity": CAPACITY,
            "postgres": version,
            "peers": PEERS,
            "pgqueuer": "batch 100, uvloop",
            "procrastinate": "concurrency 10",
            "goals": {
                "drain_vs_pgqueuer": 1.0,
                "drain_vs_procrastinate": 10,
                "p50_vs_pgqueuer": 1.0,
                "p99_vs_pgqueuer": 1.2,
                "single_per_s": 1000,
                "fill_per_s": 10_000,
                "idle_statements_per_s": 2,
                "idle_memory_mib": 120,
            },
            "runs": {each.name: each.figures for each in everyone},
        },
    )


if __name__ == "__main__":
    main()
