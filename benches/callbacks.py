"""Callbacks to a local receiver: deliveries a second, how soon the first try comes at 100 events/s, duplicates."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg

from benches.yardstick import ROOT, arguments, median, quantile, report, say, stack

ANNOUNCE = """
    with run as (
        insert into queue.runs (tenant_id, name, job_type, state, created_by, started_at, finished_at, event_seq, termination_code)
        select %(tenant)s, 'bench', 'spark_etl', 'SUCCEEDED', 'bench', clock_timestamp(), clock_timestamp(), 1, 'SUCCESS'
        from generate_series(1, %(count)s) returning tenant_id, id
    ), named as (
        insert into callback.subscriptions (tenant_id, run_id, type, endpoint_id)
        select r.tenant_id, r.id, 'run.completed', %(endpoint)s from run r returning run_id
    )
    select array_agg(run_id) from named
"""
OK = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"
MASTER_KEY = "bench-master-key"


class Taking(asyncio.Protocol):
    """The cheapest receiver that is one: reads the whole request, says 204, notes when and what came."""

    def __init__(self, came: list[tuple[bytes, float]]) -> None:
        self.came = came
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if end:
            headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
            if len(body) >= int(headers[b"content-length"]):
                self.came.append((headers[b"webhook-id"], time.time()))
                self.transport.write(OK)
                self.transport.close()


def receive(line: Connection) -> None:
    """In a process of its own: says its port, then on each question what came since the last."""

    async def serve() -> None:
        came: list[tuple[bytes, float]] = []
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Taking(came), "127.0.0.1", 0, backlog=1024)
        line.send(server.sockets[0].getsockname()[1])
        while await asyncio.to_thread(line.recv):
            line.send(came[:])
            came.clear()

    asyncio.run(serve())


class Bench:
    """A database with one endpoint, and the receiver behind it."""

    def __init__(self, dsn: str, line: Connection, most: int) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.line = line
        self.port = line.recv()
        row = self.connection.execute("select id from tenancy.tenants where slug = 'bench'").fetchone()
        assert row is not None
        self.tenant = row[0]
        made = self.connection.execute(
            "insert into callback.endpoints (tenant_id, url, created_by, max_concurrency) values (%s, %s, 'bench', %s) returning id",
            [self.tenant, f"http://127.0.0.1:{self.port}/hook", most],
        ).fetchone()
        assert made is not None
        self.endpoint = made[0]

    def announce(self, count: int) -> None:
        with self.connection.transaction():
            row = self.connection.execute(
                ANNOUNCE, {"tenant": self.tenant, "count": count, "endpoint": self.endpoint}
            ).fetchone()
            assert row is not None
            self.connection.execute(
                "select callback.announce(array_fill(%s::uuid, array[cardinality(%s::bigint[])]), %s::bigint[])",
                [self.tenant, row[0], row[0]],
            )

    def waiting(self) -> int:
        row = self.connection.execute(
            "select count(*) from callback.deliveries where state in ('PENDING', 'RUNNING')"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def until_quiet(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while left := self.waiting():
            if time.monotonic() > end:
                sys.exit(
                    f"error: {left} deliveries have not ended; scripts/stack logs --name bench-callbacks tells why"
                )
            time.sleep(0.05)

    def backends(self) -> list[int]:
        """Of the sender's connections."""
        rows = self.connection.execute("select pid from pg_stat_activity where usename = 'runner'").fetchall()
        return [pid for (pid,) in rows]

    def came(self) -> list[tuple[bytes, float]]:
        self.line.send(True)
        what: list[tuple[bytes, float]] = self.line.recv()
        return what


@contextmanager
def sender(env: dict[str, str]) -> Iterator[int]:
    """One runner that sends, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="control-room-bench-") as folder:
        Path(folder).chmod(0o755)
        process = subprocess.Popen(
            [sys.executable, "-m", "runner"],
            env={
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "CONTROL_ROOM_DATABASE_URL": env["CONTROL_ROOM_DATABASE_URL"],
                "CONTROL_ROOM_SUPABASE_URL": "http://127.0.0.1:1",
                "CONTROL_ROOM_MASTER_KEY": MASTER_KEY,
                "CONTROL_ROOM_WORK_DIR": folder,
                "CONTROL_ROOM_CALLBACK_ALLOW": "127.0.0.0/8",
                "CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted",
                "CONTROL_ROOM_LOG_LEVEL": "INFO",
            },
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def cpu_seconds(*pids: int) -> float:
    """Of processes so far: it says more than the rate where others share the machine."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def throughput(on: Bench, count: int) -> tuple[float, int]:
    """Deliveries a second of a backlog, by the receiver's clock, and how many came twice."""
    on.announce(count)
    on.until_quiet(120)
    came = on.came()
    first, last = came[0][1], came[-1][1]
    return len(came) / (last - first), len(came) - len({event for event, _ in came})


def latency(on: Bench, seconds: float, rate: int) -> tuple[list[float], int]:
    """Milliseconds from the event to its first arrival at `rate` events a second, one commit each."""
    begin, n = time.monotonic(), 0
    while (due := begin + n / rate) < begin + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        on.announce(1)
        n += 1
    on.until_quiet(60)
    came = on.came()
    arrived = {event.decode(): at for event, at in reversed(came)}
    rows = on.connection.execute(
        "select id, extract(epoch from at)::float8 from callback.events order by position desc limit %s", [n]
    ).fetchall()
    return [(arrived[event] - at) * 1000 for event, at in rows], len(came) - len(arrived)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--backlog", type=int, default=5000, help="deliveries of one measurement of throughput"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of the load at 100 events/s")
    parser.add_argument(
        "--most", type=int, default=100, help="tries under way at once: the endpoint's max_concurrency"
    )
    asked = parser.parse_args()
    backlog, repeat, seconds = (500, 1, 3.0) if asked.quick else (asked.backlog, asked.repeat, asked.seconds)
    ours_end, theirs_end = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(theirs_end,), daemon=True)
    receiver.start()
    with stack("bench-callbacks", services="postgres") as up:
        on = Bench(up.env["DATABASE_URL"], ours_end, asked.most)
        with sender(dict(up.env)) as pid:
            throughput(on, 200)  # plans are made, the sender has met its first work
            before, backends = cpu_seconds(pid), on.backends()
            database_before = cpu_seconds(*backends)
            rates, twice = zip(*(throughput(on, backlog) for _ in range(repeat)), strict=True)
            say(f"  {median(list(rates)):6.0f} deliveries/s  ({', '.join(f'{rate:.0f}' for rate in rates)})")
            cpu_ms = (cpu_seconds(pid) - before) * 1000 / (backlog * repeat)
            database_ms = (cpu_seconds(*backends) - database_before) * 1000 / (backlog * repeat)
            waits, again = latency(on, seconds, 100)
            say(
                f"  first try at 100/s: p50 {quantile(waits, 0.5):.1f} ms, p99 {quantile(waits, 0.99):.1f} ms"
            )
        sent = backlog * repeat + len(waits)
    ours_end.send(False)
    receiver.join(5)
    report(
        "callbacks",
        {
            "deliveries_per_s": median(list(rates)),
            "sender_cpu_ms_per_delivery": round(cpu_ms, 3),
            "database_cpu_ms_per_delivery": round(database_ms, 3),
            "first_try_p50_ms": quantile(waits, 0.5),
            "first_try_p99_ms": quantile(waits, 0.99),
            "duplicates_ratio": round((sum(twice) + again) / sent, 6),
        },
        {},
        {
            "backlog": backlog,
            "repeat": repeat,
            "seconds": seconds,
            "max_concurrency": asked.most,
            "endpoints": 1,
            "goals": {
                "deliveries_per_s": 500,
                "first_try_p50_ms": 250,
                "first_try_p99_ms": 2000,
                "duplicates_ratio": 0.001,
            },
        },
    )


if __name__ == "__main__":
    main()
