"""Events that were told: their facets are looked at when they are stored, what is wrong is kept beside them.

claim → the official client's own classes (`lineage.facets`) → report
"""

from __future__ import annotations

import asyncio
import logging

from runner.lineage import facets
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.wire import EventBatch
from runner.store.base import Findings, Store
from runner.store.session import Backoff
from runner.store.vigil import Vigil

log = logging.getLogger(__name__)

#: Batches (of up to 200 events each) that are looked at before the next are claimed.
AT_ONCE = 5


class Inspection:
    """Looks at what was told until it is cancelled."""

    def __init__(self, store: Store, *, poll_seconds: float) -> None:
        self._store = store
        self._vigil = Vigil(lambda: poll_seconds)

    def wake(self, _payload: str = "") -> None:
        """The database says that something was told."""
        self._vigil.wake()

    async def run(self) -> None:
        """Claim, look, report."""
        backoff = Backoff()
        while True:
            self._vigil.look()
            try:
                batches = await self._store.claim_events(AT_ONCE)
                if batches:
                    await self._store.report_findings(
                        [await asyncio.to_thread(_looked_at, each) for each in batches]
                    )
                    self._vigil.found()
                    backoff.reset()
                    continue
                backoff.reset()
            except (StoreUnavailable, StoreRefused) as error:
                if backoff.first:
                    log.warning("events_not_checked", extra={"reason": str(error)})
                await backoff.pause()
                continue
            await self._vigil.rest()


def _looked_at(batch: EventBatch) -> Findings:
    found = {each.event_id: facets.faults(each.event) for each in batch.events}
    return Findings(batch, {event_id: faults for event_id, faults in found.items() if faults})
