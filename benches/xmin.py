"""A reader holds a snapshot while 800 jobs a second go through one runner: what it costs, and how soon it is over."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benches.contenders import with_control_room
from benches.queue import CAPACITY, ControlRoom, workers
from benches.yardstick import arguments, median, quantile, report, say, stack

RATE = 800
BATCH = 20  # in one call: single ones would measure the submitters
WARM_SECONDS = 10.0
GLANCE_SECONDS = 1.0
PATIENCE = 60.0  # for the backlog, after the release
HOT = ("live_attempts", "slots", "runs", "task_runs")

FINISHED = """
select extract(epoch from a.finished_at)::float8, extract(epoch from a.claimed_at - a.queued_at)::float8 * 1000
from queue.past_attempts a order by 1
"""
BACKENDS = "select pid from pg_stat_activity where datname = current_database() and usename = 'runner'"
# (what vacuum may not take away yet, as the last one to look has counted it)
DEAD = "select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables where relname = any (%s)"


class Offer(threading.Thread):
    """Submits RATE jobs a second to the end, whatever becomes of them: in bulk, round the tenants, on a beat."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn
        self._end = threading.Event()
        self.offered = 0
        self.behind = 0.0  # seconds after the beat, at worst

    def run(self) -> None:
        body = json.dumps([with_control_room.SUBMISSION] * BATCH)
        with with_control_room.connect(self._dsn) as connection:
            everybody = [with_control_room.claims(it) for it in with_control_room.tenants(connection)]
            began = time.monotonic()
            turn = 0
            while not self._end.is_set():
                late = time.monotonic() - began - turn * BATCH / RATE
                self.behind = max(self.behind, late)
                if late < 0:
                    time.sleep(-late)
                who = everybody[turn % len(everybody)]
                with_control_room.call(connection, who, "select public.submit_runs(%s)", body)
                self.offered += BATCH
                turn += 1

    def stop(self) -> None:
        self._end.set()
        self.join()


@dataclass
class Watch:
    """Looks at the queue once a second, from outside of it."""

    connection: psycopg.Connection
    backlog: list[int] = field(default_factory=list)

    def waiting(self) -> int:
        row = self.connection.execute(
            "select count(*) from queue.live_attempts where state = 'QUEUED'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def processor_seconds(self) -> float:
        """What the runner's connections have had of the processors, whatever else the machine was doing."""
        pids = [int(row[0]) for row in self.connection.execute(BACKENDS).fetchall()]
        spent = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                spent += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        return spent / 1e9

    def dead(self) -> int:
        row = self.connection.execute(DEAD, [list(HOT)]).fetchone()
        assert row is not None
        return int(row[0])


@dataclass(frozen=True)
class Phase:
    """So long, and what was seen in it; moments are the database's."""

    began: float
    ended: float
    backlog: Sequence[int]
    processor: Sequence[float]  # in each slice
    dead: int
    offered: int


def now(connection: psycopg.Connection) -> float:
    row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    assert row is not None
    return float(row[0])


def spend(watch: Watch, offer: Offer, seconds: float, slices: int) -> Phase:
    began = now(watch.connection)
    offered = -offer.offered
    backlog, processor = [], []
    for _ in range(slices):
        before = watch.processor_seconds()
        until = time.monotonic() + seconds / slices
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(GLANCE_SECONDS, left))
            backlog.append(watch.waiting())
        processor.append(watch.processor_seconds() - before)
    offered += offer.offered
    return Phase(began, now(watch.connection), backlog, processor, watch.dead(), offered)


@contextlib.contextmanager
def reader(dsn: str) -> Iterator[None]:
    """Holds a snapshot, as a dump, a replica or somebody's long report does."""
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select count(*) from tenancy.tenants")
        yield
        connection.rollback()


def drained(watch: Watch, usual: int) -> float:
    """Seconds until no more waits than did in the clean phase, while the offer goes on."""
    began = time.monotonic()
    while watch.waiting() > usual:
        if time.monotonic() - began > 5 * PATIENCE:
            break
        time.sleep(0.25)
    return time.monotonic() - began


def rates(phase: Phase, ended: Sequence[tuple[float, float]], slices: int) -> list[float]:
    """Attempts that ended in each slice of the phase, per second."""
    width = (phase.ended - phase.began) / slices
    counts = [0] * slices
    for at, _ in ended:
        if phase.began <= at < phase.ended:
            counts[min(slices - 1, int((at - phase.began) / width))] += 1
    return [round(n / width, 1) for n in counts]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--long", action="store_true", help="holds the snapshot for five minutes")
    asked = parser.parse_args()
    clean_seconds, held_seconds, slices = (
        (4.0, 4.0, 2) if asked.quick else (60.0, 300.0 if asked.long else 60.0, 6)
    )
    with tempfile.TemporaryDirectory() as scratch, stack("bench-xmin", services="postgres") as up:
        folder = Path(scratch)
        folder.chmod(0o755)  # the sandbox's user works below it
        dsn = up.env["DATABASE_URL"]
        base = dsn.rsplit("/", 1)[0]
        ours = ControlRoom("control_room", base + "/bench", Path(sys.executable), "", "", "", 0)
        ours.environment = {
            **os.environ,
            **up.env,
            "CONTROL_ROOM_DATABASE_URL": up.env["CONTROL_ROOM_DATABASE_URL"].rsplit("/", 1)[0] + "/bench",
            "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted",
            "CONTROL_ROOM_CAPACITY": str(CAPACITY),
            "CONTROL_ROOM_WORK_DIR": str(folder / "work"),
            "CONTROL_ROOM_LOG_LEVEL": "WARNING",
        }
        with_control_room.install(dsn)
        ours.empty()
        with workers(ours, folder), psycopg.connect(ours.dsn, autocommit=True) as connection:
            time.sleep(2.5)
            watch = Watch(connection)
            offer = Offer(ours.dsn)
            offer.start()
            try:
                time.sleep(1.0 if asked.quick else WARM_SECONDS)
                # as autovacuum does within a minute: plans made while all was empty are not what is measured
                connection.execute("analyze")
                clean = spend(watch, offer, clean_seconds, slices)
                with reader(ours.dsn):
                    held = spend(watch, offer, held_seconds, slices)
                usual = max(RATE, *clean.backlog)
                after = drained(watch, usual)
            finally:
                offer.stop()
            ended = [(float(at), float(wait)) for at, wait in connection.execute(FINISHED).fetchall()]
            version = ours.sql("show server_version")[0]
    phases = {"clean": clean, "held": held}
    by_slice = {name: rates(phase, ended, slices) for name, phase in phases.items()}
    figures: dict[str, float] = {}
    for name, phase in phases.items():
        waits = [wait for at, wait in ended if phase.began <= at < phase.ended]
        done = sum(by_slice[name]) * (phase.ended - phase.began) / slices
        figures |= {
            f"{name}_offered_per_s": round(
                phase.offered / (phase.ended - phase.began), 1
            ),  # less on a busy machine
            f"{name}_per_s": round(sum(by_slice[name]) / slices, 1),
            f"{name}_last_per_s": by_slice[name][-1],
            f"{name}_pickup_p50_ms": quantile(waits, 0.5),
            f"{name}_pickup_p99_ms": quantile(waits, 0.99),
            f"{name}_backlog_max": float(max(phase.backlog)),
            f"{name}_dead_rows": float(phase.dead),
            f"{name}_processor_us": round(sum(phase.processor) / max(done, 1) * 1e6, 1),
        }
        last = by_slice[name][-1] * (phase.ended - phase.began) / slices
        figures[f"{name}_last_processor_us"] = round(phase.processor[-1] / max(last, 1) * 1e6, 1)
        say(f"  {name:6} {figures[f'{name}_per_s']:7.0f}/s, at its end {by_slice[name][-1]:5.0f}/s   pickup p50"
            f" {figures[f'{name}_pickup_p50_ms']:6.1f} ms   p99 {figures[f'{name}_pickup_p99_ms']:7.1f} ms   waiting"
            f" at most {max(phase.backlog)}   {figures[f'{name}_last_processor_us']:.0f} us/job")  # fmt: skip
    # what the end of the phase is measured with: a mean of all slices of the clean one, which wander
    figures["held_share"] = round(by_slice["held"][-1] / median(by_slice["clean"]), 3)
    figures["drained_seconds"] = round(after, 2)
    say(f"  held: {figures['held_share']:.0%} of clean at its end; drained {after:.1f} s after the release")
    report(
        "xmin",
        figures,
        {},
        {
            "offered_per_s": RATE,
            "offered": offer.offered,
            "offer_behind_s": round(offer.behind, 2),
            "clean_seconds": clean_seconds,
            "held_seconds": held_seconds,
            "tenants": with_control_room.TENANTS,
            "capacity": CAPACITY,
            "postgres": version,
            "goals": {"held_share": 0.7 if asked.long else 0.9, "drained_seconds": PATIENCE},
            "slices": by_slice,
            "processor_s": {name: [round(it, 2) for it in phase.processor] for name, phase in phases.items()},
        },
    )


if __name__ == "__main__":
    main()
