"""From the commit of a submission to the handler's first line: no-op work, one runner, idle and at 200/s."""

from __future__ import annotations

import json
import threading
import time

import psycopg

from benches.yardstick import TENANT, arguments, quantile, report, say, stack

SUBMISSION = json.dumps(
    {
        "job_type": "spark_etl",
        "spec": "say that you are there",
        "code": {"files": {"job.py": "print(1)"}},
        "params": {"script": [{"log": "started"}]},
    }
)


class Submitter:
    """Submits as an operator on one connection; remembers when each commit came back."""

    def __init__(self, dsn: str, claims: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=False)
        self._claims = claims
        self.committed: dict[int, float] = {}

    def submit(self) -> None:
        cursor = self._connection.cursor()
        cursor.execute(
            "select set_config('role', 'operator', true), set_config('request.jwt.claims', %s, true)",
            [self._claims],
        )
        row = cursor.execute("select public.run_job(%s)", [SUBMISSION]).fetchone()
        self._connection.commit()
        assert row is not None
        self.committed[row[0]["run_id"]] = time.time()

    def close(self) -> None:
        self._connection.close()


def waits(dsn: str, committed: dict[int, float], patience: float) -> list[float]:
    """Milliseconds from commit to the handler's first line, for every run; fails when one never started."""
    until = time.monotonic() + patience
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            rows = connection.execute(
                "select run_id, extract(epoch from min(at))::float8 from queue.logs"
                " where run_id = any(%s) group by run_id",
                [list(committed)],
            ).fetchall()
            if len(rows) == len(committed):
                return [max(0.0, (at - committed[run]) * 1000) for run, at in rows]
            if time.monotonic() > until:
                missing = len(committed) - len(rows)
                raise SystemExit(f"error: {missing} of {len(committed)} runs never started")
            time.sleep(0.2)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--idle", type=int, default=300, help="submissions one after the other")
    parser.add_argument("--seconds", type=float, default=15, help="of the load at 200/s")
    asked = parser.parse_args()
    idle, seconds = (40, 3.0) if asked.quick else (asked.idle, asked.seconds)
    env = {"CONTROL_ROOM_EXECUTOR_SPARK_ETL": "scripted", "CONTROL_ROOM_CAPACITY": "64"}
    with stack("bench-pickup", services="postgres,gateway,functions,runner", env=env) as up:
        dsn = up.env["DATABASE_URL"]
        claims = json.dumps(up.claims)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "update tenancy.limits set max_running = 100000"
                " where tenant_id = (select id from tenancy.tenants where slug = %s)",
                [TENANT],
            )
            waits_for_runner(connection)
        one = Submitter(dsn, claims)
        for _ in range(10):  # plans are made, the runner has met its first work
            one.submit()
            time.sleep(0.05)
        one.committed.clear()
        for i in range(idle):
            one.submit()
            time.sleep(0.02 + (i % 7) * 0.01)
        quiet = waits(dsn, one.committed, 30)
        say(f"  idle     p50 {quantile(quiet, 0.5):7.2f} ms   p99 {quantile(quiet, 0.99):7.2f} ms")
        one.committed.clear()
        begin = time.monotonic()
        writers = [Submitter(dsn, claims) for _ in range(4)]

        def pace(writer: Submitter, offset: float) -> None:
            n = 0
            while (due := begin + offset + n * 0.02) < begin + seconds:
                time.sleep(max(0.0, due - time.monotonic()))
                writer.submit()
                n += 1

        threads = [threading.Thread(target=pace, args=(w, i * 0.005)) for i, w in enumerate(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        committed = {run: at for w in writers for run, at in w.committed.items()}
        busy = waits(dsn, committed, 60)
        rate = len(committed) / (time.monotonic() - begin)
        say(f"  {rate:4.0f}/s   p50 {quantile(busy, 0.5):7.2f} ms   p99 {quantile(busy, 0.99):7.2f} ms")
        for connection_of in (one, *writers):
            connection_of.close()
    report(
        "pickup",
        {
            "idle_p50_ms": quantile(quiet, 0.5),
            "idle_p99_ms": quantile(quiet, 0.99),
            "load_p50_ms": quantile(busy, 0.5),
            "load_p99_ms": quantile(busy, 0.99),
            "load_offered_per_s": 200,
            "load_submitted": len(committed),
        },
        {},
        {"idle": idle, "seconds": seconds, "goals": {"p50_ms": 5, "p99_ms": 15}},
    )


def waits_for_runner(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for _ in range(100):
        if connection.execute("select 1 from queue.runners where stopped_at is null").fetchone():
            return
        time.sleep(0.1)
    raise SystemExit("error: no runner came up; scripts/stack logs --name bench-pickup tells why")


if __name__ == "__main__":
    main()
