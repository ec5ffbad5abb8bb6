"""Runs, lineage and callbacks together for minutes: whether it drifts, grows, or loses anything."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from benches.callbacks import receive, sender
from benches.contenders.with_control_room import call, claims, connect, install, tenants
from benches.yardstick import arguments, quantile, report, say, stack

RATE = 100
WRITERS = 4
TENANTS = 20
EVENTS = 10  # OpenLineage events a second
QUESTIONS = 2  # walks of the graph a second
WARM_SECONDS = 15.0
SAMPLE_SECONDS = 5.0

# What is touched for each run and must not grow with how many there were.
HOT = ("queue.live_attempts", "queue.slots", "queue.news", "lineage.unchecked", "audit.unsealed")
SIZES = """
    select s.schemaname || '.' || s.relname, pg_total_relation_size(s.relid), s.n_dead_tup
    from pg_stat_user_tables s where s.schemaname || '.' || s.relname = any(%s)
"""
WHOLE = "select pg_database_size(current_database()), (select count(*) from queue.runs)"
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


def beat(rate: float, until: float, told: Told) -> Iterator[int]:
    """Numbers, `rate` a second; whoever falls behind by a second is counted and not made up for."""
    begin, n = time.monotonic(), 0
    while (due := begin + n / rate) < until:
        behind = time.monotonic() - due
        if behind > 1:
            skipped = int(behind * rate)
            told.late += skipped
            n += skipped
            continue
        time.sleep(max(0.0, -behind))
        yield n
        n += 1


def submit(dsn: str, hook: str, part: int, until: float, told: Told) -> None:
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
        for n in beat(RATE / WRITERS, until, told):
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


def tell(dsn: str, until: float, told: Told) -> None:
    """Events of others, and walks over what they told."""
    with connect(dsn) as connection:
        who = claims(tenants(connection)[0])
        for n in beat(EVENTS, until, told):
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


@dataclass
class Samples:
    """What was seen every few seconds."""

    memory: list[float] = field(default_factory=list)
    sizes: list[Mapping[str, tuple[int, int]]] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)

    def take(self, connection: psycopg.Connection[Any], pid: int) -> None:
        self.memory.append(resident(pid))
        self.sizes.append({name: (size, dead) for name, size, dead in connection.execute(SIZES, [[*HOT]])})
        row = connection.execute("select count(*) from queue.live_attempts").fetchone()
        assert row is not None
        self.depth.append(row[0])

    def growth(self, values: list[float]) -> float:
        """How much larger the largest of the last third is than that of the first."""
        third = max(1, len(values) // 3)
        return round(max(values[-third:]) / max(1.0, *values[:third]), 3)


def windows(rows: list[tuple[Any, ...]], column: int) -> Windows:
    found: Windows = {}
    for row in rows:
        if row[column] is not None:
            found.setdefault(row[0], []).append(row[column])
    return found


def drift(name: str, found: Windows, count: int, figures: dict[str, float]) -> None:
    """p99 of the first window and of the last, and the one over the other."""
    by_window = [quantile(found.get(n) or [0.0], 0.99) for n in range(count)]
    figures[f"{name}_p50_ms"] = quantile([*itertools.chain(*found.values())], 0.5)
    figures[f"{name}_p99_first_ms"], figures[f"{name}_p99_last_ms"] = by_window[0], by_window[-1]
    figures[f"{name}_p99_drift"] = round(by_window[-1] / max(by_window[0], 0.001) - 1, 3)
    say(f"  {name:<8} p99 by window: {', '.join(f'{it:.1f}' for it in by_window)} ms")


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
    parser.add_argument("--windows", type=int, default=6)
    asked = parser.parse_args()
    seconds = 12.0 if asked.quick else asked.minutes * 60
    warm = 3.0 if asked.quick else WARM_SECONDS
    ours_end, theirs_end = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs_end,), daemon=True)
    receiver.start()
    hook = f"http://127.0.0.1:{ours_end.recv()}/hook"
    told, samples = Told(), Samples()
    figures: dict[str, float] = {}
    with stack("bench-soak", services="postgres") as up:
        dsn = up.env["DATABASE_URL"]
        install(dsn, TENANTS)
        with sender(dict(up.env)) as pid, psycopg.connect(dsn, autocommit=True) as connection:
            now = connection.execute(
                "select clock_timestamp() + make_interval(secs => %s)", [warm]
            ).fetchone()
            assert now is not None
            until = time.monotonic() + warm + seconds
            work = [
                *(threading.Thread(target=submit, args=(dsn, hook, n, until, told)) for n in range(WRITERS)),
                threading.Thread(target=tell, args=(dsn, until, told)),
            ]
            for thread in work:
                thread.start()
            time.sleep(warm)
            small = connection.execute(WHOLE).fetchone()
            while time.monotonic() < until:
                samples.take(connection, pid)
                time.sleep(min(SAMPLE_SECONDS, max(0.0, until - time.monotonic())))
            for thread in work:
                thread.join()
            quiet(connection, 120)
            ours_end.send(True)
            came = ours_end.recv()
            large = connection.execute(WHOLE).fetchone()
            assert small is not None
            assert large is not None
            figures["kib_per_run"] = round((large[0] - small[0]) / max(1, large[1] - small[1]) / 1024, 2)
            span = {"began": now[0], "window": seconds / asked.windows}
            ended = connection.execute("select %s + make_interval(secs => %s)", [now[0], seconds]).fetchone()
            assert ended is not None
            span["ended"] = ended[0]
            waits = connection.execute(WAITS, span).fetchall()
            drift("start", windows(waits, 1), asked.windows, figures)
            drift("end", windows(waits, 2), asked.windows, figures)
            tries = connection.execute(TRIES, span).fetchall()
            drift("callback", windows(tries, 1), asked.windows, figures)
            figures |= lost(connection, told, came)
    ours_end.send(False)
    receiver.join(5)
    hot = [float(sum(size for size, _ in it.values())) for it in samples.sizes]
    dead = [float(sum(count for _, count in it.values())) for it in samples.sizes]
    figures |= {
        "runs_per_s": round(len(waits) / seconds, 2),
        "runner_mib_last": round(samples.memory[-1], 1),
        "runner_memory_growth": samples.growth(samples.memory),
        "hot_tables_mib_last": round(hot[-1] / 1024**2, 2),
        "hot_tables_growth": samples.growth(hot),
        "dead_rows_most": max(dead),
        "queue_depth_most": max(samples.depth),
        "late": told.late,
        "refused": len(told.refused),
    }
    say(
        f"  memory {samples.memory[0]:.0f} to {samples.memory[-1]:.0f} MiB, hot tables {hot[-1] / 1024**2:.1f} MiB"
    )
    settings = {
        "minutes": round(seconds / 60, 2),
        "windows": asked.windows,
        "rate": RATE,
        "tenants": TENANTS,
        "lineage_events_per_s": EVENTS,
        "lineage_questions_per_s": QUESTIONS,
        "callbacks_per_run": 1,
        "goals": {"p99_drift": 0.1, "lost": 0, "growth": 1.5},
    }
    report("soak", figures, {}, settings)
    if any(value for name, value in figures.items() if name.endswith("_lost")):
        sys.exit("error: something was lost; see above")


if __name__ == "__main__":
    main()
