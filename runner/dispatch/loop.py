"""The loop of a runner: claim → work → flush → settle.

A notification or a freed place wakes the loop, the query decides, a poll insures. As many attempts are
claimed in one call as there are places; each is carried in a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from runner.dispatch.custody import Custody
from runner.dispatch.held import Held, Stopped
from runner.dispatch.ledger import Ledger
from runner.dispatch.lifecycle import Lifecycle
from runner.dispatch.log_buffer import LogBuffer
from runner.model.attempt import Attempt
from runner.model.errors import Failure, StaleLease, StoreRefused, StoreUnavailable
from runner.model.outcome import Canceled, Outcome, PermanentFailure, RetryableFailure, TimedOut, failed
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.model.wire import Unreadable
from runner.store.base import Store
from runner.store.poller import GLANCE_SECONDS, Poller
from runner.store.session import Backoff
from runner.watch import tracer
from runner.watch.meter import Meter
from runner.watch.scope import SCOPE
from runner.watch.tracer import Silent, Tracer

log = logging.getLogger(__name__)

CLAIM_AT_MOST = 500
#: How often to look for work while LISTEN does not work.
POLL_WITHOUT_LISTEN_SECONDS = 0.75


class Dispatcher:
    """Claims attempts and carries them to their end."""

    def __init__(
        self,
        store: Store,
        lifecycle: Lifecycle,
        custody: Custody,
        log_buffer: LogBuffer,
        ledger: Ledger,
        *,
        capacity: int,
        poll_seconds: float,
        listening: Callable[[], bool],
        meter: Meter | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._store = store
        self._meter = meter or Meter()
        self._tracer = tracer or Silent()
        self._lifecycle = lifecycle
        self._custody = custody
        self._log_buffer = log_buffer
        self._ledger = ledger
        self._capacity = capacity
        self._poller = Poller(
            lambda: poll_seconds if listening() else min(poll_seconds, POLL_WITHOUT_LISTEN_SECONDS),
            GLANCE_SECONDS,
        )
        self._draining = False
        self._full = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def draining(self) -> bool:
        """True since nothing more is claimed."""
        return self._draining

    @property
    def running(self) -> int:
        """Attempts that occupy a place now."""
        return len(self._tasks)

    def wake(self, _payload: str = "") -> None:
        """The database says that there may be something to claim."""
        self._poller.wake()

    def nudge(self) -> None:
        """What could not be claimed a moment ago may be claimed now."""
        self._poller.nudge()

    async def run(self) -> None:
        """Claim and start attempts until drained."""
        if not self._lifecycle.offers:
            return
        backoff = Backoff()
        glanced = False
        while not self._draining:
            self._poller.look()
            free = min(self._capacity - self.running, CLAIM_AT_MOST)
            self._full = free <= 0
            claimed = 0
            if free > 0:
                try:
                    claimed = await self._claim(free)
                    backoff.reset()
                except (StoreUnavailable, StoreRefused) as error:
                    if backoff.first:
                        log.warning("nothing_claimed", extra={"reason": str(error)})
                    await backoff.pause()
                    continue
            if claimed:
                self._poller.found()
            elif glanced:
                self._poller.give_up()  # a limit is reached, or it is for others
            glanced = False
            if free <= 0 or claimed < free:
                while not glanced and await self._poller.rest():
                    glanced = await self._glance()

    async def drain(self, patience: float) -> None:
        """Stop claiming, let what runs come to its end for a while, give the rest back."""
        self._draining = True
        self._poller.nudge()
        try:
            async with asyncio.timeout(patience):
                await self._empty.wait()
        except TimeoutError:
            self.give_back()
            await self._empty.wait()

    def give_back(self) -> None:
        """Stop what runs, and give it back."""
        log.info("giving_back", extra={"count": self.running})
        for held in self._custody:
            held.order(Stop.DRAIN)

    async def _glance(self) -> bool:
        """Whether a claim may be worth its while; the claim itself says what is wrong with the database."""
        try:
            return await self._store.anything_waits()
        except (StoreUnavailable, StoreRefused):
            return True

    async def _claim(self, limit: int) -> int:
        began = time.monotonic()
        attempts, unreadable = await self._store.claim_attempts(self._lifecycle.offers, limit)
        self._meter.claimed([(each.job_type, each.waited_ms) for each in attempts])
        for attempt in attempts:
            self._begin(attempt, began)
        for item in unreadable:
            await self._refuse(item)
        return len(attempts) + len(unreadable)

    def _begin(self, attempt: Attempt, claimed_at: float) -> None:
        held = self._custody.take(attempt, claimed_at)
        self._trace(held)
        if self._draining:
            held.order(Stop.DRAIN)
        task = asyncio.create_task(self._carry(held))
        self._tasks.add(task)
        self._empty.clear()
        task.add_done_callback(self._ended)

    def _trace(self, held: Held) -> None:
        attempt = held.attempt
        whose = attempt.tenant_id, attempt.run_id, attempt.traceparent
        about: dict[str, tracer.Value] = {
            "tenant": attempt.tenant_slug,
            "attempt_id": attempt.attempt_id,
            "lease": attempt.lease,
            "number": attempt.number,
            "task": attempt.task_key,
            "job_type": attempt.job_type,
            "engine": attempt.engine,
        }
        waited = (attempt.waited_ms or 0) / 1000
        self._tracer.begin("queue", *whose, about, ago_seconds=waited).end()
        held.span = self._tracer.begin("attempt", *whose, about)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._empty.set()
        if self._full:
            self._poller.nudge()
        if not task.cancelled() and task.exception() is not None:
            log.critical("attempt_dropped", exc_info=task.exception())

    async def _carry(self, held: Held) -> None:
        attempt = held.attempt
        SCOPE.set({"run_id": attempt.run_id, "attempt_id": attempt.attempt_id, "lease": attempt.lease})
        tracer.CURRENT.set(held.span)
        outcome = await self._outcome(held)
        trace = held.span.parent
        self._meter.ended(
            attempt.job_type,
            time.monotonic() - held.claimed_at,
            f"{trace.trace_id:032x}" if trace is not None else None,
        )
        if held.pending is not None or self._log_buffer.busy:
            await self._log_buffer.flush(held)
        if outcome is not None:
            self._ledger.enter(held, outcome)

    async def _outcome(self, held: Held) -> Outcome | None:
        """What became of the work; None when there is nothing to write because it is not ours any more."""
        attempt = held.attempt
        try:
            return await held.attend(self._lifecycle.work(attempt, held))
        except Stopped as stopped:
            return await self._stopped(held, stopped.stop)
        except StaleLease:
            return await self._stopped(held, Stop.LOST)
        except Failure as failure:
            return failed(failure, held.used)
        except Exception:
            log.exception("attempt_crashed", extra=_names(attempt))
            return RetryableFailure(
                code=TerminationCode.INTERNAL_ERROR,
                message="a fault of the runner; its log has the details",
                usage=held.used,
            )

    async def _stopped(self, held: Held, stop: Stop) -> Outcome | None:
        match stop:
            case Stop.CANCELED:
                return Canceled(message="canceled while it ran", usage=held.used)
            case Stop.DEADLINE:
                seconds = held.attempt.timeout_seconds
                return TimedOut(message=f"ran longer than its {seconds:g} s", usage=held.used)
            case Stop.LOST:
                self._meter.lost()
                held.span.fault("the lease was lost")
                self._custody.drop(held)
                log.warning("stale", extra={**_names(held.attempt), "reason": "the lease was lost"})
                return None
            case Stop.DRAIN:
                await self._give_back(held)
                return None

    async def _give_back(self, held: Held) -> None:
        if held.pending is not None:
            await self._log_buffer.flush(held)
        held.settling = True
        try:
            await self._store.release_attempts([held.key])
            self._meter.given_back()
            log.info("given_back", extra=_names(held.attempt))
        except (StoreUnavailable, StoreRefused) as error:
            # Its lease runs out, and somebody claims it then.
            log.warning("not_given_back", extra={**_names(held.attempt), "reason": str(error)})
        self._custody.drop(held)

    async def _refuse(self, item: Unreadable) -> None:
        log.error("attempt_unreadable", extra={"attempt_id": item.attempt_id, "problem": item.problem})
        outcome = PermanentFailure(
            code=TerminationCode.INTERNAL_ERROR, message="the runner does not understand this attempt"
        )
        await self._store.settle_attempts([(item.key, outcome)])


def _names(attempt: Attempt) -> dict[str, object]:
    return {"run_id": attempt.run_id, "attempt_id": attempt.attempt_id, "lease": attempt.lease}
