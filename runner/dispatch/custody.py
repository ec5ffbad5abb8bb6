"""Custody of the attempts we hold: one heartbeat for all leases, cancels, deadlines, lost leases.

Database time decides who holds what. Our own monotonic clock is only used to stop work whose lease must
have run out while the database could not be reached, so that the same work is not done twice at once for
longer than it takes to notice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

from runner.dispatch.held import Held
from runner.model.attempt import Attempt, Key
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.stop import Stop
from runner.model.wire import Terms
from runner.store.base import Heartbeat, Store
from runner.store.session import Backoff

log = logging.getLogger(__name__)


class Custody:
    """Everything this runner holds, by key."""

    def __init__(self, store: Store, terms: Terms, dirty: Callable[[Held], None]) -> None:
        self._store = store
        self._terms = terms
        self._dirty = dirty
        self._held: dict[Key, Held] = {}
        self._hurry = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def take(self, attempt: Attempt, claimed_at: float) -> Held:
        """An attempt that was claimed at `claimed_at` (monotonic, before the claim was sent)."""
        held = Held(attempt, claimed_at + self._terms.lease_seconds, self._dirty)
        self._held[held.key] = held
        later = asyncio.get_running_loop().call_later
        held.deadline = later(attempt.seconds_left, held.order, Stop.DEADLINE)
        return held

    def drop(self, held: Held) -> None:
        """It is settled, given back or lost: no more heartbeats for it."""
        self._held.pop(held.key, None)
        held.span.end()
        if held.deadline is not None:
            held.deadline.cancel()

    def hear_cancel(self, payload: str) -> None:
        """A run was canceled (payload: its id): ask the database at once when it may be one of ours."""
        if self._held and (not payload or any(str(each.attempt.run_id) == payload for each in self)):
            self._hurry.set()

    async def run(self) -> None:
        """Renew every lease each `heartbeat_seconds`; silent while nothing is held."""
        backoff = Backoff(ceiling=1.0)
        pause = self._terms.heartbeat_seconds
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            try:
                await self._renew()
                backoff.reset()
                pause = self._terms.heartbeat_seconds
            except (StoreUnavailable, StoreRefused) as error:
                if backoff.first:
                    log.warning("leases_not_renewed", extra={"reason": str(error), "held": len(self)})
                pause = backoff.next()
            self._stop_what_is_over()

    async def _renew(self) -> None:
        # The settling statement holds the rows it settles: waiting for them would starve all the others.
        beats = [Heartbeat(held.key) for held in self if not held.settling]
        if not beats:
            return
        began = time.monotonic()
        for answer in await self._store.renew_leases(beats):
            held = self._held.get(Key(answer.attempt_id, answer.lease))
            if held is None:
                continue
            if not answer.held:
                if not held.settling:
                    held.order(Stop.LOST)
                continue
            held.lease_ends = began + self._terms.lease_seconds
            if answer.cancel:
                held.order(Stop.CANCELED)
            elif answer.overdue:
                held.order(Stop.DEADLINE)

    def _stop_what_is_over(self) -> None:
        for held in self:
            if held.lease_is_over and not held.settling:
                held.order(Stop.LOST)
