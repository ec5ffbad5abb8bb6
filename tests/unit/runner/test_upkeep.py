"""Upkeep: sealing after a hint, and nothing at all without one."""

from __future__ import annotations

import asyncio
import contextlib

from runner.dispatch.upkeep import Sealer
from runner.store.memory import MemoryStore


async def _run(sealer: Sealer, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await sealer.run()


async def test_without_a_hint_nothing_is_asked() -> None:
    store = MemoryStore()

    await _run(Sealer(store, 0.001), 0.05)

    assert store.calls == []


async def test_after_a_hint_it_seals_until_nothing_is_left() -> None:
    store = MemoryStore()
    store.unsealed = [10000, 3]
    sealer = Sealer(store, 0.001)

    sealer.wake()
    await _run(sealer, 0.1)

    assert store.calls == ["seal", "seal", "seal"]


async def test_while_the_database_is_away_the_hint_is_kept() -> None:
    store = MemoryStore()
    store.unsealed = [1]
    store.away = True
    sealer = Sealer(store, 0.001)
    running = asyncio.create_task(_run(sealer, 2))

    sealer.wake()
    await asyncio.sleep(0.05)
    store.away = False
    await running

    assert store.unsealed == []
