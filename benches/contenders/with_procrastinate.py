"""procrastinate in its documented best set-up for one process: psycopg's pool, ten jobs at a time."""

from __future__ import annotations

import asyncio
import time

import procrastinate

from benches.contenders import pacing

CONCURRENCY = 10
seen: dict[int, float] = {}


def application(dsn: str, connector: type) -> tuple[procrastinate.App, procrastinate.tasks.Task]:
    app = procrastinate.App(connector=connector(conninfo=dsn))

    @app.task(name="nothing", pass_context=True)
    async def nothing(context: procrastinate.JobContext) -> None:
        seen[context.job.id] = time.time()

    return app, nothing


async def install(dsn: str) -> None:
    app, _ = application(dsn, procrastinate.PsycopgConnector)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def fill(dsn: str, n: int) -> float:
    app, task = application(dsn, procrastinate.PsycopgConnector)
    async with app.open_async():
        began = time.perf_counter()
        for _ in range(0, n, 1000):
            await task.batch_defer_async(*[{}] * 1000)
        return time.perf_counter() - began


async def work(dsn: str) -> None:
    app, _ = application(dsn, procrastinate.PsycopgConnector)
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY)  # its own handlers end it on SIGTERM


def submitter(dsn: str) -> pacing.Submitter:
    app, task = application(dsn, procrastinate.SyncPsycopgConnector)
    app.open()
    return task.defer


def main() -> None:
    asked = pacing.words(__doc__)
    match asked.word:
        case "install":
            pacing.answer(asyncio.run(install(asked.dsn)))
        case "fill":
            pacing.answer(asyncio.run(fill(asked.dsn, int(asked.numbers[0]))))
        case "work":
            asyncio.run(work(asked.dsn))
            pacing.keep(seen, asked.stamps)
        case _:
            pacing.answer(pacing.submissions(lambda: submitter(asked.dsn), asked.word, asked.numbers))


if __name__ == "__main__":
    main()
