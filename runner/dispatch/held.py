"""An attempt in our hands: what it is, how far it is, and whether it must stop.

    claimed → working ──────────────→ ended → settling → settled (dropped)
                 └ ordered to stop ──→ ended | given back | discarded (lease lost)

It is also the reporter that the executor speaks to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from runner.model.attempt import Attempt, Key
from runner.model.outcome import UNKNOWN_USAGE, Usage
from runner.model.stop import Stop
from runner.store.base import LogLine, Report
from runner.watch.tracer import Passed, Span

T = TypeVar("T")


class Stopped(Exception):
    """The work was ended by an order, not by itself."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


class Held:
    """One attempt under our lease. Implements `executor.base.Reporter`."""

    __slots__ = (
        "_dirty",
        "_stop",
        "_task",
        "attempt",
        "claimed_at",
        "deadline",
        "lease_ends",
        "pending",
        "settling",
        "span",
        "used",
    )

    def __init__(self, attempt: Attempt, lease_ends: float, dirty: Callable[[Held], None]) -> None:
        self.attempt = attempt
        self.lease_ends = lease_ends  # by our own monotonic clock; the database's decides
        self.pending: Report | None = None
        self.used: Usage = UNKNOWN_USAGE
        self.settling = False
        self.claimed_at = time.monotonic()
        self.span: Span = Passed()
        self.deadline: asyncio.TimerHandle | None = None
        self._dirty = dirty
        self._stop: Stop | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def key(self) -> Key:
        """What fences every write about it."""
        return self.attempt.key

    @property
    def stop(self) -> Stop | None:
        """Why the work must stop; None while it may go on."""
        return self._stop

    @property
    def lease_is_over(self) -> bool:
        """True when, by our clock, somebody else may hold it by now."""
        return time.monotonic() > self.lease_ends

    def order(self, stop: Stop) -> None:
        """Tell the work to stop. The first order cancels it; LOST replaces every other reason."""
        if self._stop is None:
            self._stop = stop
            if self._task is not None:
                self._task.cancel()
        elif stop is Stop.LOST:
            self._stop = stop

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the work; raises Stopped when it was ended by an order. A cancellation from elsewhere
        passes."""
        task = asyncio.current_task()
        assert task is not None
        if self.stop is not None:
            work.close()
            raise Stopped(self.stop)
        self._task = task
        try:
            return await work
        except asyncio.CancelledError:
            stop = self._ordered()
            if stop is not None and task.uncancel() == 0:
                raise Stopped(stop) from None
            raise
        finally:
            self._task = None

    def progress(self, percent: int, message: str) -> None:
        """The newest progress replaces an unsent one."""
        report = self._report()
        report.percent = percent
        report.message = message[:500]
        self._dirty(self)

    def log(self, stream: str, line: str) -> None:
        """Lines keep their order and the time they were read."""
        self._report().logs.append(LogLine(stream, datetime.now(UTC).isoformat(), line))
        self._dirty(self)

    def usage(self, usage: Usage) -> None:
        """Kept for the outcome of work that was stopped."""
        self.used = usage

    def external_id(self, identifier: str) -> None:
        """Sent like progress."""
        self._report().external_id = identifier
        self._dirty(self)

    def _ordered(self) -> Stop | None:
        # What `stop` was before the work began says nothing about now; a type checker believes it does.
        return self._stop

    def _report(self) -> Report:
        if self.pending is None:
            self.pending = Report(self.key)
        return self.pending
