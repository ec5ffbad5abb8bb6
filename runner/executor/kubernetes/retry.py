"""Waiting for a cluster that may be away, and for what may never come."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from runner.executor.kubernetes.cluster import Away

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Between two tries, at first and at most.
FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0


async def answer(job: str, call: Callable[[], Awaitable[T]]) -> T:
    """Call until the API server answers: how long it may be away is the attempt's deadline's business."""
    pause, warned = FIRST_PAUSE_SECONDS, False
    while True:
        try:
            return await call()
        except Away as error:
            if not warned:
                warned = True
                log.warning("cluster_away", extra={"job": job, "reason": str(error)})
        pause = await rest(pause)


async def rest(pause: float) -> float:
    """Sleep about so long; how long the next time."""
    await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads load
    return min(pause * 2, LAST_PAUSE_SECONDS)


async def until(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([waiting], timeout=seconds)
    finally:
        waiting.cancel()
