"""The ticker: what is due is started at once, in transactions of its own; a database that is away spoils nothing."""

from __future__ import annotations

import asyncio
import contextlib

from runner.dispatch.ticker import FIRE_AT_MOST, Ticker
from runner.store.memory import MemoryStore


async def _run(ticker: Ticker, seconds: float = 0.05) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ticker.run()


def _ticker(store: MemoryStore) -> Ticker:
    return Ticker(store, 60, lambda: None, lambda: None)


async def test_without_a_job_that_is_due_nothing_is_fired() -> None:
    store = MemoryStore()

    await _run(_ticker(store))

    assert store.calls == ["tick"]


async def test_what_is_due_is_fired_batch_by_batch() -> None:
    store = MemoryStore()
    store.due = [FIRE_AT_MOST, FIRE_AT_MOST, 3]

    await _run(_ticker(store))

    assert store.calls == ["tick", "fire", "fire", "fire"]
