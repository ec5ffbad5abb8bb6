"""Short scenes, one danger each: what a control breaks shows in one of them within seconds.

A scene puts runners on stage and orders runs; its proof is the one of the whole suite.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.crash.plan import SIGN, Order, scripted
from tests.crash.stage import LEASE_SECONDS, Stage

Scene = Callable[[Stage], Awaitable[Sequence[Order]]]
#: How long a scene waits for its end. What a control breaks may never come to one.
PATIENCE = 5.0


def order(n: int, script: list[dict[str, Any]], tenant: str = "ten", **fields: Any) -> Order:
    return Order(f"scene-{n}", tenant, "scene", ("SUCCEEDED",), 0.0, scripted(script, **fields), 1)


async def the_stale_worker_speaks(on: Stage) -> list[Order]:
    """A runner freezes with its outcome in hand, another takes the work over, and the first one wakes up and tells."""
    orders = [order(1, [{"sleep_ms": 1500}, SIGN])]
    late, other = on.fleet.places[0], on.fleet.places[1]
    await on.fleet.start(late, "settle_attempts.before=stop")
    await on.orders(orders)
    await on.until("it is frozen", "select exists (select from witness.steps where lost > 0) or exists "
                   "(select from queue.live_attempts where state = 'RUNNING' and lease_expires_at < clock_timestamp())")  # fmt: skip
    await on.fleet.start(other)
    await on.until(
        "another has it",
        "select exists (select from queue.live_attempts where state = 'RUNNING' and lease = 2)",
    )
    late.signal(signal.SIGCONT)
    await on.until(
        "somebody ended it", "select not exists (select from queue.runs where finished_at is null)"
    )
    await asyncio.sleep(LEASE_SECONDS / 2)
    return orders


async def a_runner_is_killed(on: Stage) -> list[Order]:
    """kill -9 in mid-work, beside a runner that lives."""
    orders = [order(n, [{"sleep_ms": 600}, SIGN], tenant) for n, tenant in enumerate(("one", "two", "ten"))]
    killed, other = on.fleet.places[0], on.fleet.places[1]
    await on.fleet.start(killed)
    await on.orders(orders)
    await on.until("it works", "select count(*) = 3 from queue.live_attempts where state = 'RUNNING'")
    killed.signal(signal.SIGKILL)
    await on.fleet.start(other)
    return orders


async def a_crowd_waits(on: Stage) -> list[Order]:
    """More work than a tenant may have at once, and two runners that could do it all at once."""
    orders = [order(n, [{"sleep_ms": 150 + 130 * n}, SIGN], "two") for n in range(6)]
    for place in on.fleet.places[:2]:
        await on.fleet.start(place)
    await on.orders(orders)
    return orders
