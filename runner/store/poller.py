"""How a claimer sleeps between two looks: a hint wakes, a poll insures, after a hint it looks again.

The database coalesces its notifications: of the transactions in flight one sends the hint, and another may
commit just after we looked. So whoever was woken, or found something, looks again a few times, soon at first,
before it goes back to the slow poll. Where a glance is cheaper than a look, it glances at those times.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from runner.model.errors import StoreRefused, StoreUnavailable
from runner.store.session import Backoff

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = (0.005, 0.02, 0.08, 0.32)
GLANCE_SECONDS = (0.003, 0.005, 0.02, 0.08, 0.32)


class Poller:
    """`poll_seconds` says how long to sleep when nothing happens; it is asked at every rest."""

    def __init__(
        self, poll_seconds: Callable[[], float], look_again: Sequence[float] = LOOK_AGAIN_SECONDS
    ) -> None:
        self._poll_seconds = poll_seconds
        self._look_again = look_again
        self._hint = asyncio.Event()
        self._eager = False
        self._looks = len(look_again)

    def wake(self, _payload: str = "") -> None:
        """A hint of the database: there may be something to claim, and more of it in a moment."""
        self._eager = True
        self._hint.set()

    def nudge(self) -> None:
        """Look once: a place is free, a limit has room, something came due."""
        self._hint.set()

    def look(self) -> None:
        """A look begins: hints that came before it are answered by it."""
        self._hint.clear()

    def found(self) -> None:
        """The look found something: more of it may be on its way."""
        self._looks = 0

    def give_up(self) -> None:
        """What can be seen cannot be had: no more looks until the next hint."""
        self._looks = len(self._look_again)

    async def rest(self) -> bool:
        """Sleep until a hint, the next look or the poll. True when it is time to look again, and nobody said
        that something came."""
        again = self._looks < len(self._look_again)
        if again:
            patience = self._look_again[self._looks]
            self._looks += 1
        else:
            patience = self._poll_seconds() * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        try:
            async with asyncio.timeout(patience):
                await self._hint.wait()
        except TimeoutError:
            return again
        if self._eager:
            self._eager = False
            self._looks = 0
        return False

    async def keep(self, step: Callable[[], Awaitable[bool]], complaint: str) -> None:
        """Look until cancelled. `step` says whether it found something: then it is called again at once.
        Where the database cannot be asked, `complaint` is logged once, and the next look waits, longer each
        time."""
        backoff = Backoff()
        while True:
            self.look()
            try:
                found = await step()
            except (StoreUnavailable, StoreRefused) as error:
                if backoff.first:
                    log.warning(complaint, extra={"reason": str(error)})
                await backoff.pause()
                continue
            backoff.reset()
            if found:
                self.found()
            else:
                await self.rest()
