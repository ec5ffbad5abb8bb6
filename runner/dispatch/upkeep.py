"""Work of the house that belongs to no attempt: sealing the audit, and tidying what is past its keeping.

Every runner does it; the database lets one at a time. Neither costs anything while there is nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
import random

from runner.model.errors import StoreRefused, StoreUnavailable
from runner.store.base import Store
from runner.store.session import Backoff

log = logging.getLogger(__name__)

#: Entries of half a second share a seal: each is chained within the second.
GATHER_SECONDS = 0.5
TIDY_SECONDS = 60.0


class Sealer:
    """Calls `seal` after a hint, until nothing is left."""

    def __init__(self, store: Store, gather_seconds: float = GATHER_SECONDS) -> None:
        self._store = store
        self._gather = gather_seconds
        self._wake = asyncio.Event()

    def wake(self, _payload: str = "") -> None:
        """There is something to seal."""
        self._wake.set()

    async def run(self) -> None:
        """Seal until cancelled."""
        backoff = Backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                sealed = True
                while sealed:  # hints are coalesced: who commits after this look may have kept silent
                    await asyncio.sleep(self._gather)
                    sealed = await self._store.seal() > 0
                backoff.reset()
            except (StoreUnavailable, StoreRefused) as error:
                if backoff.first:
                    log.warning("not_sealed", extra={"reason": str(error)})
                self._wake.set()
                await backoff.pause()


class Tidier:
    """Calls `tidy` every minute or so, and at once again while there is more to do."""

    def __init__(self, store: Store, period_seconds: float = TIDY_SECONDS) -> None:
        self._store = store
        self._period = period_seconds

    async def run(self) -> None:
        """Tidy until cancelled."""
        pause = self._period
        while True:
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the runners
            pause = self._period
            try:
                if await self._store.tidy():
                    pause = GATHER_SECONDS  # others have work to do as well
            except (StoreUnavailable, StoreRefused) as error:
                log.warning("not_tidied", extra={"reason": str(error)})
