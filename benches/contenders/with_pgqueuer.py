"""pgqueuer in its documented best set-up for one process: psycopg, uvloop, batches of 100."""

from __future__ import annotations

import asyncio
import signal
import time

import psycopg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver, SyncPsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries

from benches.contenders import pacing

BATCH = 100
seen: dict[int, float] = {}


async def connect(dsn: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True)


async def install(dsn: str) -> None:
    async with await connect(dsn) as connection:
        await Queries(PsycopgDriver(connection)).install()


async def fill(dsn: str, n: int) -> float:
    async with await connect(dsn) as connection:
        queries = Queries(PsycopgDriver(connection))
        began = time.perf_counter()
        for _ in range(0, n, 1000):
            await queries.enqueue(["nothing"] * 1000, [b"{}"] * 1000, [0] * 1000)
        return time.perf_counter() - began


async def work(dsn: str) -> None:
    async with await connect(dsn) as connection:
        queuer = PgQueuer(PsycopgDriver(connection))
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, queuer.shutdown.set)

        @queuer.entrypoint("nothing")
        async def nothing(job: Job) -> None:
            seen[job.id] = time.time()

        await queuer.run(batch_size=BATCH)


def submitter(dsn: str) -> pacing.Submitter:
    queries = SyncQueries(SyncPsycopgDriver(psycopg.connect(dsn, autocommit=True)))
    return lambda: queries.enqueue("nothing", b"{}")[0]


def main() -> None:
    asked = pacing.words(__doc__)
    match asked.word:
        case "install":
            pacing.answer(asyncio.run(install(asked.dsn)))
        case "fill":
            pacing.answer(asyncio.run(fill(asked.dsn, int(asked.numbers[0]))))
        case "work":
            uvloop.run(work(asked.dsn))
            pacing.keep(seen, asked.stamps)
        case _:
            pacing.answer(pacing.submissions(lambda: submitter(asked.dsn), asked.word, asked.numbers))


if __name__ == "__main__":
    main()
