"""Progress and log lines on their way to the database: batched over all attempts, at most half a second
late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from runner.dispatch.held import Held
from runner.model.attempt import Key
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.stop import Stop
from runner.store.base import Report, Store
from runner.store.session import Backoff
from runner.watch.meter import Meter

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.25
LINES_AT_ONCE = 2000


class LogBuffer:
    """Sends what attempts have to say."""

    def __init__(self, store: Store, meter: Meter | None = None) -> None:
        self._store = store
        self._meter = meter or Meter()
        self._spoke: dict[Key, Held] = {}
        self._wake = asyncio.Event()
        self._sending = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """True while a report is on the wire: somebody's last lines may be in it."""
        return self._sending.locked()

    def note(self, held: Held) -> None:
        """This attempt has something to say."""
        self._spoke[held.key] = held
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = Backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._send(list(self._spoke.values()))
                backoff.reset()
                # gathered after a sending, not before: what is said after a silence goes at once
                await asyncio.sleep(GATHER_SECONDS)
            except StoreUnavailable as error:
                if backoff.first:
                    log.warning("reports_wait", extra={"reason": str(error)})
                self._wake.set()
                await backoff.pause()

    async def flush(self, held: Held) -> None:
        """Send what this attempt still has to say, before its outcome is written. Gives up with its lease."""
        backoff = Backoff(ceiling=1.0)
        while held.pending is not None and not held.lease_is_over:
            try:
                await self._send([held])
            except StoreUnavailable:
                await backoff.pause()
        if self._sending.locked():
            async with self._sending:  # its last lines may be on the wire at this moment
                pass
        self._spoke.pop(held.key, None)

    async def _send(self, speakers: Sequence[Held]) -> None:
        async with self._sending:
            for held in speakers:
                self._spoke.pop(held.key, None)
            taken: list[tuple[Held, Report]] = []
            for held in speakers:
                report = self._take(held)
                if report is not None:
                    taken.append((held, report))
            while taken:
                batch: list[tuple[Held, Report]] = []
                size = 0
                while taken and (not batch or size + len(taken[0][1].logs) <= LINES_AT_ONCE):
                    size += len(taken[0][1].logs)
                    batch.append(taken.pop(0))
                try:
                    await self._report(batch)
                except StoreUnavailable:
                    for held, report in reversed(batch + taken):
                        self._put_back(held, report)
                    raise

    def _take(self, held: Held) -> Report | None:
        report = held.pending
        if report is None or held.settling:
            return None
        if len(report.logs) > LINES_AT_ONCE:
            held.pending = Report(held.key, logs=report.logs[LINES_AT_ONCE:])
            report.logs = report.logs[:LINES_AT_ONCE]
            self.note(held)
        else:
            held.pending = None
        return report

    def _put_back(self, held: Held, report: Report) -> None:
        later = held.pending
        if later is not None:
            report.logs.extend(later.logs)
            if later.percent is not None:
                report.percent, report.message = later.percent, later.message
            report.external_id = later.external_id or report.external_id
        held.pending = report
        self.note(held)

    async def _report(self, batch: list[tuple[Held, Report]]) -> None:
        try:
            answers = await self._store.report([report for _, report in batch])
        except StoreRefused as error:
            if len(batch) > 1:
                for one in batch:
                    await self._report([one])
                return
            held, report = batch[0]
            log.error(
                "report_refused",
                extra={"attempt_id": held.key.attempt_id, "lines": len(report.logs), "reason": str(error)},
            )
            return
        self._meter.lines(line.stream for _, report in batch for line in report.logs)
        by_id = {held.key.attempt_id: held for held, _ in batch}
        for answer in answers:
            held = by_id[answer.attempt_id]
            if not answer.held and not held.settling:
                held.order(Stop.LOST)
            elif answer.cancel:
                held.order(Stop.CANCELED)
