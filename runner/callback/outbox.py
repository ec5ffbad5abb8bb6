"""The outbox: claim deliveries, send them, settle the results. At least once, never blocked by one bad
receiver.

The database hands out no more of an endpoint than it may have under way over all senders, so everything that
was claimed is sent at once; results are settled in batches while sending goes on. When the database is
away, results wait: an unsettled delivery is claimed again after its lease, which is a duplicate and never a
loss.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from runner.callback.courier import Courier
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.wire import Delivery
from runner.store.base import DeliveryResult, Store
from runner.store.poller import Poller
from runner.store.session import Backoff
from runner.watch.meter import Meter
from runner.watch.tracer import Silent, Tracer, Value

log = logging.getLogger(__name__)

AT_ONCE = 256
SETTLE_AT_MOST = 100
MAX_UNSETTLED = 1000


class Outbox:
    """Sends callbacks until it is told to stop."""

    def __init__(
        self,
        store: Store,
        courier: Courier,
        *,
        poll_seconds: float,
        put_off: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._store = store
        self._meter = meter or Meter()
        self._tracer = tracer or Silent()
        self._courier = courier
        self._put_off = put_off
        self._poller = Poller(lambda: poll_seconds)
        self._settle_wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: deque[DeliveryResult] = deque()
        self._settling = 0
        self._stopping = False
        self._over = asyncio.Event()

    def wake(self, _payload: str = "") -> None:
        """The database says that there may be something to send."""
        self._poller.wake()

    def nudge(self) -> None:
        """Something may have come due."""
        self._poller.nudge()

    def stop(self) -> None:
        """Claim no more; what is under way is sent and settled."""
        self._stopping = True
        self._poller.nudge()
        self._settle_wake.set()

    @property
    def outstanding(self) -> int:
        """Claimed and not yet settled."""
        return len(self._tasks) + len(self._results) + self._settling

    async def quiet(self) -> None:
        """Wait until everything is sent and settled after `stop`."""
        await self._over.wait()

    async def run(self) -> None:
        """Claim and send until stopped, then finish what is under way."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._claim())
                group.create_task(self._settle())
            self._over.set()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _claim(self) -> None:
        backoff = Backoff()
        while not self._stopping:
            self._poller.look()
            room = AT_ONCE - self.outstanding
            claimed: list[Delivery] = []
            if room > 0:
                try:
                    asked_at = time.monotonic()
                    claimed = await self._store.claim_deliveries(room)
                    backoff.reset()
                except (StoreUnavailable, StoreRefused) as error:
                    if backoff.first:
                        log.warning("deliveries_not_claimed", extra={"reason": str(error)})
                    await backoff.pause()
                    continue
            if claimed and claimed[0].now is not None:
                self._courier.set_clock(claimed[0].now, asked_at)
            for delivery in claimed:
                task = asyncio.create_task(self._send(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if claimed:
                self._poller.found()
            if len(claimed) == room > 0:
                continue
            await self._poller.rest()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._settle_wake.set()

    async def _send(self, delivery: Delivery) -> None:
        began = time.monotonic()
        whose = delivery.tenant_id, delivery.run_id, delivery.traceparent
        about: dict[str, Value] = {
            "type": delivery.type,
            "event_id": delivery.event_id,
            "try": delivery.try_number,
        }
        with self._tracer.begin("callback", *whose, about) as span:
            parent = span.parent
            within = delivery.model_copy(update={"traceparent": None if parent is None else str(parent)})
            result = await self._courier.carry(within)
            if result.error is not None:
                span.fault(result.error)
        seconds = time.monotonic() - began
        age = None if delivery.age_ms is None else delivery.age_ms / 1000 + seconds
        self._meter.called(result.result, result.status, seconds, age)
        log.info(
            "callback_sent" if result.result == "delivered" else "callback_failed",
            extra={
                "run_id": delivery.run_id,
                "delivery_id": delivery.delivery_id,
                "event_id": delivery.event_id,
                "try": delivery.try_number,
                "status": result.status,
                "error": result.error,
                "duration_ms": result.duration_ms,
            },
        )
        self._results.append(result)
        self._settle_wake.set()

    async def _settle(self) -> None:
        backoff = Backoff()
        while True:
            await self._settle_wake.wait()
            self._settle_wake.clear()
            while self._results:
                batch = [self._results.popleft() for _ in range(min(len(self._results), SETTLE_AT_MOST))]
                self._settling = len(batch)
                try:
                    await self._store.settle_deliveries(batch)
                    backoff.reset()
                    self._poller.nudge()  # an endpoint has room again
                    if any(each.result == "failed" for each in batch):
                        self._put_off()
                except StoreUnavailable as error:
                    if backoff.first:
                        log.warning("deliveries_not_settled", extra={"reason": str(error)})
                    self._results.extendleft(reversed(batch))
                    while len(self._results) > MAX_UNSETTLED:
                        self._results.popleft()
                    await backoff.pause()
                    if self._stopping:
                        return
                except StoreRefused as error:
                    log.error("deliveries_refused", extra={"reason": str(error), "count": len(batch)})
                finally:
                    self._settling = 0
            if self._stopping and not self._tasks:
                return
