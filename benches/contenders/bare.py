"""The control of a soak: a queue of one table and nothing else, for what a hand-over costs on this machine in this minute.

One session inserts a row and notifies, another wakes and marks it as taken, each commit on the disk: what every queue in Postgres
has to wait for. Where this one waits longer, the machine, its disk or its neighbours made it so.
"""

from __future__ import annotations

import multiprocessing
import time

import psycopg

RATE = 50
TABLE = """
    create schema soak_control;
    create table soak_control.handed (
        id bigint generated always as identity primary key,
        at timestamptz not null default clock_timestamp(), taken_at timestamptz
    ) with (fillfactor = 50)
"""
WAITS = """
    select floor(extract(epoch from at - %(began)s) / %(window)s)::integer, extract(epoch from taken_at - at)::float8 * 1000
    from soak_control.handed where at >= %(began)s and at < %(ended)s
"""


GIVE = """
    with handed as (insert into soak_control.handed default values returning id)
    select pg_notify('soak_control', id::text) from handed
"""


def give(dsn: str, seconds: float) -> None:
    begin = time.monotonic()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.prepare_threshold = 2
        for n in range(int(seconds * RATE)):
            time.sleep(max(0.0, begin + n / RATE - time.monotonic()))
            connection.execute(GIVE)


def take(dsn: str) -> None:
    with (
        psycopg.connect(dsn, autocommit=True) as listening,
        psycopg.connect(dsn, autocommit=True) as taking,
    ):
        taking.prepare_threshold = 2
        listening.execute("listen soak_control")
        for said in listening.notifies():
            taking.execute(
                "update soak_control.handed set taken_at = clock_timestamp() where id = %s",
                [int(said.payload)],
            )


def start(dsn: str, seconds: float) -> list[multiprocessing.Process]:
    """Processes of their own, so that nothing else of the benchmark delays them."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLE)
    both = [
        multiprocessing.Process(target=take, args=(dsn,), daemon=True),
        multiprocessing.Process(target=give, args=(dsn, seconds), daemon=True),
    ]
    for process in both:
        process.start()
    return both
