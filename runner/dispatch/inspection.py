"""Events that were told: their facets are looked at when they are stored, what is wrong is kept beside them.

claim → the official client's own classes (`lineage.facets`) → report

With an event that tells of a changed view of the layers comes its text; it is read as well (`lineage.view`).
"""

from __future__ import annotations

import asyncio

from runner.lineage import facets, view
from runner.lineage.view import ViewColumns
from runner.model.wire import CapturedView, EventBatch
from runner.store.base import Findings, Store
from runner.store.poller import Poller

#: Batches (of up to 200 events each) that are looked at before the next are claimed.
AT_ONCE = 5


class Inspection:
    """Looks at what was told until it is cancelled."""

    def __init__(self, store: Store, *, poll_seconds: float) -> None:
        self._store = store
        self._poller = Poller(lambda: poll_seconds)

    def wake(self, _payload: str = "") -> None:
        """The database says that something was told."""
        self._poller.wake()

    async def run(self) -> None:
        """Claim, look, report."""
        await self._poller.keep(self._step, "events_not_checked")

    async def _step(self) -> bool:
        batches = await self._store.claim_events(AT_ONCE)
        if batches:
            await self._store.report_findings([await asyncio.to_thread(_looked_at, each) for each in batches])
        return bool(batches)


def _looked_at(batch: EventBatch) -> Findings:
    found = {each.event_id: facets.faults(each.event) for each in batch.events}
    return Findings(
        batch,
        {event_id: faults for event_id, faults in found.items() if faults},
        {each.event_id: _read(each.view) for each in batch.events if each.view is not None},
    )


def _read(captured: CapturedView) -> ViewColumns:
    tables = {place: (table.name, table.columns) for place, table in captured.tables.items()}
    return view.read(captured.definition, tables)
