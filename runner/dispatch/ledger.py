"""The ledger: outcomes on their way into the database.

An idle ledger writes at once; while a write is under way the next batch gathers behind it. Nothing here is
cancelled by a stop of the work, so an outcome that was reached is written. When the database is away,
writing is tried again as long as the database may still accept it: it is the judge (the write is fenced),
so trying longer than our own clock grants the lease is harmless, and giving up early would waste finished
work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never

from runner.dispatch.custody import Custody
from runner.dispatch.held import Held
from runner.model.attempt import Key
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.outcome import (
    Canceled,
    Outcome,
    PermanentFailure,
    RetryableFailure,
    Succeeded,
    TimedOut,
)
from runner.model.termination import TerminationCode
from runner.store.base import Store
from runner.store.session import Backoff
from runner.watch.meter import Meter
from runner.watch.tracer import Span

log = logging.getLogger(__name__)

AT_MOST = 500
#: How long after the end of its lease (by our clock) an outcome is still offered to an unreachable database.
PATIENCE_SECONDS = 60.0

Entry = tuple[Held, Outcome]


class Ledger:
    """Writes outcomes down."""

    def __init__(
        self,
        store: Store,
        custody: Custody,
        *,
        settled: Callable[[], None] = lambda: None,
        retried: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._custody = custody
        self._settled = settled
        self._retried = retried
        self._meter = meter or Meter()
        self._spans: dict[Key, Span] = {}
        self._entries: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._writing = 0
        self._publications: set[asyncio.Task[None]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def enter(self, held: Held, outcome: Outcome) -> None:
        """Take over: from here on the outcome is ours to write."""
        self._quiet.clear()
        self._spans[held.key] = held.span.child("settle")
        if isinstance(outcome, Succeeded) and outcome.tables:
            # Publishing tables may take long; nobody else's outcome waits for it.
            task = asyncio.create_task(self._publish((held, outcome)))
            self._publications.add(task)
            task.add_done_callback(self._published)
            return
        self._entries.append((held, outcome))
        self._wake.set()

    async def quiet(self) -> None:
        """Wait until everything is written or given up."""
        await self._quiet.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        backoff = Backoff(ceiling=1.0)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._entries:
                batch = [self._entries.popleft() for _ in range(min(len(self._entries), AT_MOST))]
                self._writing = len(batch)
                left = await self._try(batch)
                self._writing = 0
                if left:
                    self._entries.extendleft(reversed(left))
                    await backoff.pause()
                else:
                    backoff.reset()
            self._note_quiet()

    async def _publish(self, entry: Entry) -> None:
        backoff = Backoff(ceiling=1.0)
        left = [entry]
        while left := await self._try(left):
            await backoff.pause()

    def _published(self, task: asyncio.Task[None]) -> None:
        self._publications.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("publication_failed", exc_info=task.exception())
        self._note_quiet()

    def _note_quiet(self) -> None:
        if not self._entries and not self._writing and not self._publications:
            self._quiet.set()

    async def _try(self, batch: list[Entry]) -> list[Entry]:
        """Write a batch; what must be tried again."""
        for held, _ in batch:
            held.settling = True
        try:
            await self._write(batch)
        except StoreUnavailable as error:
            log.warning("settle_waits", extra={"reason": str(error), "count": len(batch)})
            for held, _ in batch:
                held.settling = False
            return [entry for entry in batch if self._worth_trying(entry)]
        return []

    def _worth_trying(self, entry: Entry) -> bool:
        held, outcome = entry
        if time.monotonic() < held.lease_ends + PATIENCE_SECONDS:
            return True
        self._done(held, "discarded")
        log.warning("outcome_discarded", extra={**_names(held), "outcome": type(outcome).__name__})
        return False

    async def _write(self, batch: Sequence[Entry]) -> None:
        try:
            answers = await self._store.settle_attempts([(held.key, outcome) for held, outcome in batch])
        except StoreRefused as error:
            if len(batch) > 1:
                for entry in batch:
                    await self._write([entry])
                return
            await self._write_refusal(batch[0], error)
            return
        by_id = {held.key.attempt_id: (held, outcome) for held, outcome in batch}
        for answer in answers:
            held, outcome = by_id[answer.attempt_id]
            if not answer.settled:
                self._done(held, answer.reason or "stale")
                log.warning("stale", extra={**_names(held), "reason": answer.reason})
                continue
            said = _said(outcome)
            self._meter.settled(held.attempt.job_type, str(said["outcome"]), str(said["code"]))
            held.span.say(outcome=str(said["outcome"]), code=str(said["code"]))
            self._done(held)
            if log.isEnabledFor(logging.INFO):
                log.info(
                    "settled",
                    extra={
                        **_names(held),
                        **said,
                        "run_state": answer.run_state,
                        "reason": answer.reason,
                    },
                )
            if isinstance(outcome, RetryableFailure):
                self._retried()
        # What was settled no longer counts against its tenant's limit, and may have made other tasks ready.
        self._settled()

    async def _write_refusal(self, entry: Entry, error: StoreRefused) -> None:
        """The database refused the outcome itself: the attempt fails, and says why, once."""
        held, outcome = entry
        log.error("outcome_refused", extra={**_names(held), "reason": str(error)})
        if isinstance(outcome, PermanentFailure) and outcome.code is TerminationCode.INTERNAL_ERROR:
            self._done(held, "refused")
            return
        plain = PermanentFailure(
            code=TerminationCode.INTERNAL_ERROR,
            message=f"the outcome could not be recorded ({error.code})",
        )
        await self._write([(held, plain)])

    def _done(self, held: Held, fault: str | None = None) -> None:
        span = self._spans.pop(held.key, None)
        if span is not None:
            if fault is not None:
                span.fault(fault)
            span.end()
        self._custody.drop(held)


def _names(held: Held) -> dict[str, object]:
    return {"run_id": held.attempt.run_id, "attempt_id": held.key.attempt_id, "lease": held.key.lease}


def _said(outcome: Outcome) -> dict[str, object]:
    match outcome:
        case PermanentFailure() | RetryableFailure():
            code = outcome.code
        case Succeeded():
            code = TerminationCode.SUCCESS
        case TimedOut():
            code = TerminationCode.DEADLINE_EXCEEDED
        case Canceled():
            code = TerminationCode.USER_CANCELED
        case _:
            assert_never(outcome)
    return {"outcome": type(outcome).__name__, "code": str(code)}
