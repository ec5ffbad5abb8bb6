"""How a claimer sleeps between two looks: a hint wakes, a poll insures, after a hint it looks again.

The database coalesces its notifications: of the transactions in flight one sends the hint, and another may
commit just after we looked. So whoever was woken, or found something, looks again after 5, 20, 80 and
320 ms before it goes back to the slow poll.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

LOOK_AGAIN_SECONDS = (0.005, 0.02, 0.08, 0.32)


class Vigil:
    """`poll_seconds` says how long to sleep when nothing happens; it is asked at every rest."""

    def __init__(self, poll_seconds: Callable[[], float]) -> None:
        self._poll_seconds = poll_seconds
        self._hint = asyncio.Event()
        self._eager = False
        self._looks = len(LOOK_AGAIN_SECONDS)

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

    async def rest(self) -> None:
        """Sleep until a hint, the next look or the poll."""
        if self._looks < len(LOOK_AGAIN_SECONDS):
            patience = LOOK_AGAIN_SECONDS[self._looks]
            self._looks += 1
        else:
            patience = self._poll_seconds() * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        try:
            async with asyncio.timeout(patience):
                await self._hint.wait()
        except TimeoutError:
            return
        if self._eager:
            self._eager = False
            self._looks = 0
