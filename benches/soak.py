"""Runs, lineage and callbacks together for minutes: whether it drifts, grows, or loses anything.

A window is a minute, for that is the beat of autovacuum, and the first begins once it has been: a soak is about what does not end,
and how an empty database fills is told apart (`new_…`). What drifts is told three times. Pages and processor time that a run costs
are counted, so nobody else on the machine is in them. p99 is a clock's, so it is held against a control that waits for the same
processors and the same disk in the same minute (`benches/contenders/bare.py`). And `…_first`, `…_last` are the clock's alone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from benches.callbacks import receive, sender
from benches.contenders import bare
from benches.contenders.with_control_room import call, claims, connect, install, tenants
from benches.yardstick import arguments, quantile, report, say, stack

RATE = 100
WRITERS = 4
TENANTS = 20
EVENTS = 10  # OpenLineage events a second
QUESTIONS = 2  # walks of the graph a second
WARM_SECONDS = 180.0  # at most: autovacuum comes within a minute or two
SAMPLE_SECONDS = 5.0
SETTLED = "select autovacuum_count > 0 from pg_stat_user_tables where relid = 'queue.live_attempts'::regclass"

# What is touched for each run and must not grow with how many there were.
HOT = ("queue.live_attempts", "queue.slots", "queue.news", "lineage.unchecked", "audit.unsealed")
SIZES = """
    select s.schemaname || '.' || s.relname, pg_total_relation_size(s.relid), s.n_dead_tup
    from pg_stat_user_tables s where s.schemaname || '.' || s.relname = any(%s)
"""
SPENT = """
    select pg_database_size(current_database()), (select count(*) from queue.runs), d.blks_hit + d.blks_read,
           (select wal_bytes from pg_stat_wal)::bigint, pg_backend_pid()
    from pg_stat_database d where d.datname = current_database()
"""
# Waits in milliseconds by the database's own clock, and which window a run was submitted in.
WAITS = """
    select floor(extract(epoch from r.created_at - %(began)s) / %(window)s)::integer,
           extract(epoch from r.started_at - r.created_at)::float8 * 1000,
           extract(epoch from r.finished_at - r.created_at)::float8 * 1000
    from queue.runs r where r.created_at >= %(began)s and r.created_at < %(ended)s
"""
TRIES = """
    select floor(extract(epoch from d.created_at - %(began)s) / %(window)s)::integer,
           extract(epoch from d.first_tried_at - d.created_at)::float8 * 1000
    from callback.deliveries d where d.created_at >= %(began)s and d.created_at < %(ended)s
"""

Windows = dict[int, list[float]]


@dataclass
class Told:
    """What the writers have had confirmed: afterwards it is there, once each."""

    runs: set[int] = field(default_factory=set)
    datasets: set[str] = field(default_factory=set)
    late: int = 0
    refused: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)


def beat(rate: float, told: Told) -> Iterator[int]:
    """Numbers, `rate` a second; whoever falls behind by a second is counted and not made up for."""
    begin, n = time.monotonic(), 0
    while not told.enough.is_set():
        behind = time.monotonic() - (begin + n / rate)
        if behind > 1:
            skipped = int(behind * rate)
            told.late += skipped
            n += skipped
            continue
        time.sleep(max(0.0, -behind))
        yield n
        n += 1


def submit(dsn: str, hook: str, part: int, told: Told) -> None:
    """A share of the submissions, by turns as another tenant's operator."""
    body = json.dumps(
        {
            "job_type": "spark_etl",
            "spec": "say that you are there",
            "code": {"files": {"job.py": "print(1)"}},
            "callbacks": {"on_complete": hook, "on_fail": hook},
        }
    )
    with connect(dsn) as connection:
        everybody = [claims(tenant) for tenant in tenants(connection)]
        for n in beat(RATE / WRITERS, told):
            who = everybody[(n * WRITERS + part) % len(everybody)]
            try:
                answer = call(connection, who, "select public.run_job(%s)", body)
            except psycopg.Error as error:
                connection.rollback()
                told.refused.append(str(error))
                continue
            assert isinstance(answer, dict)
            told.runs.add(int(answer["run_id"]))


def event(n: int) -> dict[str, Any]:
    """A chain of datasets, each made of the one before it."""
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://example.com/soak",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": f"01890000-0000-7000-8000-{n:012x}"},
        "job": {"namespace": "soak", "name": f"job {n}"},
        "inputs": [{"namespace": "soak", "name": f"dataset {n}"}],
        "outputs": [{"namespace": "soak", "name": f"dataset {n + 1}"}],
    }


def tell(dsn: str, told: Told) -> None:
    """Events of others, and walks over what they told."""
    with connect(dsn) as connection:
        who = claims(tenants(connection)[0])
        for n in beat(EVENTS, told):
            call(connection, who, "select public.lineage_ingest(%s)", json.dumps(event(n)))
            told.datasets.add(f"dataset {n + 1}")
            if n % (EVENTS // QUESTIONS) == 0:
                asked = f"dataset:soak:dataset {n + 1}"
                call(connection, who, "select public.lineage_graph(%s, 'upstream', 10)", asked)


def resident(pid: int) -> float:
    """MiB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def family_seconds(pid: int) -> float:
    """Processor time of a process, of its children, and of those of them that have ended."""
    spent = 0
    for one in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        with contextlib.suppress(OSError):
            spent += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return spent / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """What was spent up to a moment."""

    size: int
    runs: int
    pages: int
    wal: int
    database: float  # seconds of a processor
    runner: float


@dataclass
class Samples:
    """What was seen every few seconds."""

    connection: psycopg.Connection[Any]
    runner: int
    memory: list[float] = field(default_factory=list)
    sizes: list[Mapping[str, tuple[int, int]]] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)

    def take(self) -> None:
        execute = self.connection.execute
        self.memory.append(resident(self.runner))
        self.sizes.append({name: (size, dead) for name, size, dead in execute(SIZES, [[*HOT]])})
        row = execute("select count(*) from queue.live_attempts").fetchone()
        assert row is not None
        self.depth.append(row[0])
        row = execute(SPENT).fetchone()
        assert row is not None
        size, runs, pages, wal, backend = row
        parent = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
        self.spent.append(Spent(size, runs, pages, wal, family_seconds(parent), family_seconds(self.runner)))

    def growth(self, values: list[float]) -> float:
        """How much larger the largest of the last third is than that of the first."""
        third = max(1, len(values) // 3)
        return round(max(values[-third:]) / max(1.0, *values[:third]), 3)

    def per_run(self, what: Callable[[Spent], float], count: int) -> list[float]:
        """Of each of so many windows."""
        length = len(self.spent) - 1
        edges = [self.spent[round(n * length / count)] for n in range(count + 1)]
        return [cost(what, *both) for both in itertools.pairwise(edges)]


def cost(what: Callable[[Spent], float], before: Spent, after: Spent) -> float:
    """Of a run, between two moments."""
    return (what(after) - what(before)) / max(1, after.runs - before.runs)


def windows(rows: list[tuple[Any, ...]], column: int) -> Windows:
    found: Windows = {}
    for row in rows:
        if row[column] is not None:
            found.setdefault(row[0], []).append(row[column])
    return found


def drift(values: list[float]) -> float:
    """From the first to the last by the median of all slopes between two: one odd window moves nothing."""
    if len(values) < 2 or not values[0]:
        return 0.0
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in itertools.combinations(enumerate(values), 2)]
    slope = statistics.median(slopes)
    begin = statistics.median(value - slope * n for n, value in enumerate(values))
    return round(slope * (len(values) - 1) / begin, 3)


def clocked(name: str, found: Windows, control: list[float], figures: dict[str, float]) -> None:
    """p50 of all, p99 by window, and how it drifts beside the control's."""
    p99 = [quantile(found.get(n) or [0.0], 0.99) for n in range(len(control))]
    figures[f"{name}_p50_ms"] = quantile([*itertools.chain(*found.values())], 0.5)
    figures[f"{name}_p99_first_ms"], figures[f"{name}_p99_last_ms"] = p99[0], p99[-1]
    figures[f"{name}_p99_drift_alone"] = drift(p99)
    figures[f"{name}_p99_drift"] = drift([ours / theirs for ours, theirs in zip(p99, control, strict=True)])
    say(f"  {name:<8} p99 by window: {', '.join(f'{it:.1f}' for it in p99)} ms")


def counted(
    name: str, samples: Samples, what: Callable[[Spent], float], count: int, figures: dict[str, float]
) -> None:
    """What a run costs, and how that drifts from window to window."""
    values = samples.per_run(what, count)
    figures[f"{name}_per_run"] = round(cost(what, samples.spent[0], samples.spent[-1]), 3)
    figures[f"{name}_drift"] = drift(values)
    say(f"  {name} per run by window: {', '.join(f'{it:.3g}' for it in values)}")


def moment(connection: psycopg.Connection[Any]) -> datetime:
    """Now, by the database's clock."""
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


def settle_down(connection: psycopg.Connection[Any], most: float) -> None:
    """Until autovacuum has been here for the first time."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        row = connection.execute(SETTLED).fetchone()
        if row is not None and row[0]:
            return
        time.sleep(1)


def quiet(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Waits until all has ended and all was delivered."""
    left = """
        select (select count(*) from queue.live_attempts)
             + (select count(*) from callback.deliveries where state in ('PENDING', 'RUNNING'))
    """
    end = time.monotonic() + seconds
    while (row := connection.execute(left).fetchone()) and row[0]:
        if time.monotonic() > end:
            sys.exit(f"error: {row[0]} attempts and deliveries have not ended after {seconds:.0f} s")
        time.sleep(0.2)


def lost(connection: psycopg.Connection[Any], told: Told, came: list[tuple[bytes, float]]) -> dict[str, int]:
    """Set against set: what was confirmed and what is there."""

    def one(query: str) -> set[Any]:
        return {row[0] for row in connection.execute(query)}

    ended = one("select id from queue.runs where state = 'SUCCEEDED' and name = 'spark_etl'")
    events = connection.execute("select id, run_id from callback.events where type = 'run.completed'")
    announced = dict(events.fetchall())
    heard = {announced.get(name.decode()) for name, _ in came}
    datasets = one("select name from lineage.datasets where namespace = 'soak'")
    edges = connection.execute("select count(*) from lineage.edges where deleted_at is null").fetchone()
    assert edges is not None
    return {
        "runs_lost": len(told.runs - ended),
        "runs_of_nobody": len(ended - told.runs),
        "callbacks_lost": len(told.runs - heard),
        "callbacks_twice": len(came) - len({name for name, _ in came}),
        "datasets_lost": len(told.datasets - datasets),
        "edges_lost": len(told.datasets) - edges[0],
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    seconds = 12.0 if asked.quick else asked.minutes * 60
    count = max(3, round(seconds / 60))
    ours_end, theirs_end = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs_end,), daemon=True)
    receiver.start()
    hook = f"http://127.0.0.1:{ours_end.recv()}/hook"
    told = Told()
    figures: dict[str, float] = {}
    with stack("bench-soak", services="postgres") as up:
        dsn = up.env["DATABASE_URL"]
        install(dsn, TENANTS)
        with sender(dict(up.env)) as pid, psycopg.connect(dsn, autocommit=True) as connection:
            control = bare.start(dsn, WARM_SECONDS + seconds + 60)
            work = [
                *(threading.Thread(target=submit, args=(dsn, hook, n, told)) for n in range(WRITERS)),
                threading.Thread(target=tell, args=(dsn, told)),
            ]
            created = moment(connection)
            for thread in work:
                thread.start()
            settle_down(connection, 3.0 if asked.quick else WARM_SECONDS)
            samples = Samples(connection, pid)
            began, until = moment(connection), time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                samples.take()
                time.sleep(min(SAMPLE_SECONDS, left))
            ended = moment(connection)
            samples.take()
            told.enough.set()
            for thread in work:
                thread.join()
            quiet(connection, 120)
            ours_end.send(True)
            came = ours_end.recv()
            for process in control:
                process.terminate()
            length = (ended - began).total_seconds()
            span = {"began": began, "ended": ended, "window": length / count}
            other = windows(connection.execute(bare.WAITS, span).fetchall(), 1)
            beside = [quantile(other[n], 0.99) for n in range(count)]
            waits = connection.execute(WAITS, span).fetchall()
            clocked("control", other, beside, figures)
            del figures["control_p99_drift"]
            clocked("start", windows(waits, 1), beside, figures)
            clocked("end", windows(waits, 2), beside, figures)
            clocked("callback", windows(connection.execute(TRIES, span).fetchall(), 1), beside, figures)
            new = {"began": created, "ended": began, "window": (began - created).total_seconds()}
            figures["new_seconds"] = round((began - created).total_seconds())
            figures["new_start_p99_ms"] = quantile([row[1] for row in connection.execute(WAITS, new)], 0.99)
            figures |= lost(connection, told, came)
    ours_end.send(False)
    receiver.join(5)
    counted("pages", samples, lambda it: it.pages, count, figures)
    counted("database_ms", samples, lambda it: it.database * 1000, count, figures)
    counted("runner_ms", samples, lambda it: it.runner * 1000, count, figures)
    counted("disk_kib", samples, lambda it: it.size / 1024, count, figures)
    counted("wal_kib", samples, lambda it: it.wal / 1024, count, figures)
    hot = [float(sum(size for size, _ in it.values())) for it in samples.sizes]
    dead = [float(sum(count for _, count in it.values())) for it in samples.sizes]
    figures |= {
        "runs_per_s": round(len(waits) / seconds, 2),
        "runner_mib_last": round(samples.memory[-1], 1),
        "runner_memory_growth": samples.growth(samples.memory),
        "hot_tables_mib_most": round(max(hot) / 1024**2, 2),
        "hot_tables_growth": samples.growth(hot),
        "dead_rows_most": max(dead),
        "queue_depth_most": max(samples.depth),
        "late": told.late,
        "refused": len(told.refused),
    }
    say(
        f"  memory {samples.memory[0]:.0f} to {samples.memory[-1]:.0f} MiB, hot tables {max(hot) / 1024**2:.1f} MiB at most"
    )
    settings = {
        "minutes": round(seconds / 60, 2),
        "windows": count,
        "rate": RATE,
        "tenants": TENANTS,
        "lineage_events_per_s": EVENTS,
        "lineage_questions_per_s": QUESTIONS,
        "callbacks_per_run": 1,
        "control_per_s": bare.RATE,
        "goals": {"p99_drift": 0.1, "pages_drift": 0.1, "database_ms_drift": 0.1, "lost": 0, "growth": 1.5},
    }
    report("soak", figures, {}, settings)
    if any(value for name, value in figures.items() if name.endswith("_lost")):
        sys.exit("error: something was lost; see above")


if __name__ == "__main__":
    main()
