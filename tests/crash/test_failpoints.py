"""A runner dies at each seam between what it did and what the database knows; afterwards everything has happened once.

The runners come one after the other, each with the seed of its death in it; the last one is healthy and finishes.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
from dataclasses import replace

from dev.stack.testbed import Cluster
from tests.crash import stage
from tests.crash.plan import SIGN, WRITE_ROWS, Order
from tests.crash.scenes import order
from tests.crash.stage import Stage

SIDES = ("before", "after")
#: At every start; at work; at its end. Verbs of uploads need the edge function: they are the rescue suite's.
STARTING = ("register", "canary", "tick")
WORKING = (
    "claim_attempts",
    "renew_leases",
    "report",
    "settle_attempts",
    "claim_deliveries",
    "settle_deliveries",
    "seal",
)
WITH_TABLES = ("open_input", "open_output")
STOPPING = ("release_attempts", "farewell")
SECONDS = 40.0  # sandboxes on a busy machine take their time


def work(n: int) -> Order:
    """Something to claim, renew, report, settle and announce."""
    return order(n, [{"progress": 10}, {"log": "at work"}, {"sleep_ms": 450}, SIGN])


def table(n: int, *, reads: str | None = None) -> Order:
    """Something with a table as output, and maybe as input."""
    body = {
        "job_type": "spark_etl",
        "spec": "write three rows",
        "code": {"files": {"job.py": WRITE_ROWS.format(seconds=0)}},
        "outputs": [{"name": "rows", "table": f"t{n}", "layer": "gold", "mode": "append"}],
        "inputs": [{"name": "numbers", "table": f"gold.{reads}"}] if reads else [],
    }
    return replace(order(n, []), body=body, attempts=None, table=f"t{n}")


async def dies(on: Stage, point: str, *, when_told: bool = False) -> None:
    """A runner that carries this point in it dies of it."""
    place = on.fleet.places[0]
    await on.fleet.start(place, f"{point}=kill", CONTROL_ROOM_DRAIN_SECONDS="0")
    assert place.process is not None
    if when_told:
        while (instance := place.instance) is None:  # noqa: ASYNC110 - its log says so
            await asyncio.sleep(0.02)
        await on.until(
            "it works", "select exists (select from queue.live_attempts a where a.runner = %s)", [instance]
        )
        place.signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(SECONDS):
            code = await place.process.wait()
    except TimeoutError:
        raise AssertionError(f"{point} was never passed") from None
    assert code == -signal.SIGKILL, f"{point}: exit {code}"


async def die_everywhere(cluster: Cluster, tables: bool) -> tuple[dict[str, object], list[str]]:
    numbers = itertools.count()
    orders: list[Order] = []
    with cluster.database() as database:
        async with stage.stage(cluster, database) as made:

            async def ask_for(wanted: Order) -> None:
                orders.append(wanted)
                await made.order(wanted)

            for verb, side in itertools.product(STARTING, SIDES):
                await dies(made, f"{verb}.{side}")
            for verb, side in itertools.product(WORKING, SIDES):
                await ask_for(work(next(numbers)))
                await dies(made, f"{verb}.{side}")
            for verb, side in itertools.product(STOPPING, SIDES):
                await ask_for(work(next(numbers)))
                await dies(made, f"{verb}.{side}", when_told=True)
            if tables:
                last = table(next(numbers))
                await made.fleet.start(made.fleet.places[1])
                await ask_for(last)
                await made.calm(len(orders), seconds=30)
                await made.fleet.rest()
                for verb, side in itertools.product(WITH_TABLES, SIDES):
                    await ask_for(table(next(numbers), reads=last.table))
                    await dies(made, f"{verb}.{side}")
            await made.fleet.start(made.fleet.places[1])
            await made.calm(len(orders), seconds=30)
            return made.prove(orders)["broken"], await made.sweep()


def test_a_runner_may_die_at_every_seam(durable: Cluster) -> None:
    broken, left = asyncio.run(die_everywhere(durable, tables=shutil.which("bwrap") is not None))

    assert broken == {}
    assert left == []
