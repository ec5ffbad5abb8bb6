"""The clock of the house where there is no pg_cron: reaps, retries, due deliveries. Every runner ticks;
twice is safe."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from runner.model.errors import StoreRefused, StoreUnavailable
from runner.store.base import Store
from runner.watch.meter import Meter

log = logging.getLogger(__name__)

#: A thing that is due and cannot be done must not make us spin.
SHORTEST_SECONDS = 0.2
#: Jobs whose time has come, started in one transaction.
FIRE_AT_MOST = 200


class Ticker:
    """Calls `tick` every `period` seconds, and sooner when something comes due sooner."""

    def __init__(
        self,
        store: Store,
        period: float,
        due: Callable[[], None],
        unsealed: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._meter = meter or Meter()
        self._period = period
        self._due = due
        self._unsealed = unsealed
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Something was put off (a retry, a delivery): look when it comes due."""
        self._nudged.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        waiting = False
        at_once = SHORTEST_SECONDS
        while True:
            pause = self._period * random.uniform(0.9, 1.1)  # noqa: S311 - spreads the runners
            self._nudged.clear()
            try:
                tick = await self._store.tick()
            except (StoreUnavailable, StoreRefused) as error:
                log.warning("no_tick", extra={"reason": str(error)})
            else:
                self._meter.depth(tick.depth)
                if tick.reaped:
                    log.info("reaped", extra={"count": tick.reaped})
                if tick.unsealed:
                    self._unsealed()
                if tick.jobs_due:
                    await self._fire()
                if waiting or tick.reaped:
                    self._due()
                waiting = tick.due_in_ms is not None and (
                    tick.due_in_ms > 0 or tick.depth > 0 or tick.jobs_due
                )
                if waiting and tick.due_in_ms:
                    pause = min(pause, max(SHORTEST_SECONDS, tick.due_in_ms / 1000 + 0.005))
                    at_once = SHORTEST_SECONDS
                elif waiting:
                    # What is overdue and stays so (nobody offers it, say) is looked at less and less often.
                    pause = min(pause, at_once)
                    at_once = min(2 * at_once, self._period)
            try:
                async with asyncio.timeout(pause):
                    await self._nudged.wait()
                await asyncio.sleep(SHORTEST_SECONDS)  # several nudges are one tick
            except TimeoutError:
                pass

    async def _fire(self) -> None:
        """A transaction of its own: what it waits for, or fails at, is no matter of the housekeeping."""
        try:
            while await self._store.fire(FIRE_AT_MOST) == FIRE_AT_MOST:
                pass
        except (StoreUnavailable, StoreRefused) as error:
            log.warning("not_fired", extra={"reason": str(error)})
