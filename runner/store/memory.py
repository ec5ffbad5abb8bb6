"""The public fake of the store: the worker verbs over a dictionary, for tests that need no Postgres.

It obeys the same suite as the real one (`tests/contract/test_stores.py`) where the suite speaks of
attempts. Uploads and deliveries are two lists that a test fills. `away` and `refusal` make every verb fail
as the real one may.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from runner.model.attempt import Attempt, Key
from runner.model.collected import Column
from runner.model.errors import StoreRefused, StoreUnavailable
from runner.model.outcome import Canceled, Outcome, RetryableFailure, Succeeded, TimedOut
from runner.model.wire import (
    Delivery,
    DeliverySettlement,
    EventBatch,
    Opening,
    Removed,
    Renewal,
    ReportAnswer,
    Settlement,
    StagedInput,
    Swept,
    Terms,
    Tick,
    Told,
    Unreadable,
    Upload,
)
from runner.store.base import (
    DeliveryResult,
    Findings,
    Heartbeat,
    JsonObject,
    LogLine,
    Registration,
    Report,
    Verdict,
)


@dataclass
class Row:
    """One attempt as the queue sees it."""

    attempt: Attempt
    max_retries: int = 3
    running: bool = False
    final: bool = False
    cancel: bool = False
    expires: float = 0.0
    ready: float = 0.0
    percent: int | None = None
    message: str | None = None
    logs: list[LogLine] = field(default_factory=list)
    outcome: Outcome | None = None
    external_id: str | None = None
    token: str | None = None  # of the work outside
    told: JsonObject | None = None


class MemoryStore:
    """See `store.base.Store` for what each method promises."""

    def __init__(self, terms: Terms | None = None) -> None:
        self.terms = terms or Terms()
        self.rows: dict[int, Row] = {}
        self.uploads: list[Upload] = []
        self.verdicts: list[Verdict] = []
        self.swept: list[Swept] = []
        self.events: list[EventBatch] = []
        self.findings: list[Findings] = []
        self.unsealed: list[int] = []
        self.due: list[int] = []
        self.heads: list[JsonObject] = []
        self.deliveries: list[Delivery] = []
        self.delivered: list[DeliveryResult] = []
        self.grants: dict[str, tuple[str, ...]] = {}
        self.calls: list[str] = []
        self.away = False
        self.refusal: StoreRefused | None = None

    def submit(self, attempt: Attempt, max_retries: int = 3) -> Row:
        """Queue an attempt; its lease begins at 0."""
        row = Row(replace(attempt, lease=0), max_retries)
        self.rows[attempt.attempt_id] = row
        return row

    async def register(self, registration: Registration) -> Terms:
        """The terms given to the constructor."""
        self._enter("register")
        return self.terms

    async def claim_attempts(
        self, offers: Sequence[str], limit: int
    ) -> tuple[list[Attempt], list[Unreadable]]:
        """In the order of submission."""
        self._enter("claim_attempts")
        now = time.monotonic()
        ready = [
            row
            for row in self.rows.values()
            if not row.running and not row.final and row.ready <= now and row.attempt.requires in offers
        ]
        for row in ready[:limit]:
            row.running = True
            row.expires = now + self.terms.lease_seconds
            row.attempt = replace(row.attempt, lease=row.attempt.lease + 1)
        return [row.attempt for row in ready[:limit]], []

    async def anything_waits(self) -> bool:
        """Whatever it requires."""
        self._enter("anything_waits")
        now = time.monotonic()
        return any(not row.running and not row.final and row.ready <= now for row in self.rows.values())

    async def renew_leases(self, beats: Sequence[Heartbeat]) -> list[Renewal]:
        """Fenced by (attempt, lease)."""
        self._enter("renew_leases")
        answers: list[Renewal] = []
        for beat in beats:
            row = self._held(beat.key)
            if row is not None:
                row.expires = time.monotonic() + self.terms.lease_seconds
            answers.append(
                Renewal(
                    attempt_id=beat.key.attempt_id,
                    lease=beat.key.lease,
                    held=row is not None,
                    cancel=row is not None and row.cancel,
                )
            )
        return answers

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        """Fenced by (attempt, lease)."""
        self._enter("report")
        answers: list[ReportAnswer] = []
        for each in reports:
            row = self._held(each.key)
            if row is not None:
                row.logs.extend(each.logs)
                row.external_id = each.external_id or row.external_id
                if each.percent is not None:
                    row.percent, row.message = max(row.percent or 0, each.percent), each.message
            answers.append(
                ReportAnswer(
                    attempt_id=each.key.attempt_id,
                    held=row is not None,
                    cancel=row is not None and row.cancel,
                )
            )
        return answers

    async def settle_attempts(self, items: Sequence[tuple[Key, Outcome]]) -> list[Settlement]:
        """Fenced by (attempt, lease); a retryable failure queues the next number."""
        self._enter("settle_attempts")
        return [self._settle(key, outcome) for key, outcome in items]

    async def release_attempts(self, keys: Sequence[Key]) -> None:
        """The same attempt waits again."""
        self._enter("release_attempts")
        for key in keys:
            row = self._held(key)
            if row is not None:
                row.running = False

    async def open_output(self, key: Key, name: str, columns: Sequence[Column]) -> str:
        """A name; there is nothing behind it."""
        self._enter("open_output")
        if self._held(key) is None:
            raise StoreRefused("STALE_LEASE", "it is not held")
        return f"staging.o{key.attempt_id}_{key.lease}_{name}"

    async def open_input(self, key: Key, name: str) -> StagedInput:
        """There are no tables here."""
        self._enter("open_input")
        raise StoreRefused("INPUT_UNKNOWN" if self._held(key) else "STALE_LEASE", "there are no tables here")

    async def high_water(self, key: Key, name: str) -> datetime | None:
        """There are no tables here, so all reading begins at the beginning."""
        self._enter("high_water")
        if self._held(key) is None:
            raise StoreRefused("STALE_LEASE", "it is not held")
        return None

    def tell(self, token: str, report: JsonObject) -> bool:
        """What the door does with a report from outside; false when the token is of nothing that lives."""
        for row in self.rows.values():
            if row.token == token and not row.final:
                row.external_id = row.external_id or report.get("external_id")
                if report["event"] != "progress":
                    row.told = row.told or report
                return True
        return False

    async def open_outside(self, key: Key, workflow: str) -> Opening:
        """Every workflow is granted but one called "other"."""
        self._enter("open_outside")
        row = self._held(key)
        if row is None:
            raise StoreRefused("STALE_LEASE", "it is not held")
        if workflow == "other":
            raise StoreRefused("WORKFLOW_NOT_GRANTED", "it was not granted")
        if row.token is not None and (row.external_id is not None or row.told is not None):
            return Opening(external_id=row.external_id)
        row.token = f"crat_{key.attempt_id}_0_{key.lease}"
        return Opening(token=row.token)

    async def read_outside(self, keys: Sequence[Key]) -> list[Told]:
        """Fenced by (attempt, lease)."""
        self._enter("read_outside")
        rows = [(key, row) for key in keys if (row := self._held(key)) is not None and row.token is not None]
        return [
            Told(attempt_id=key.attempt_id, external_id=row.external_id, report=row.told) for key, row in rows
        ]

    async def granted(self, key: Key, kind: str) -> tuple[str, ...]:
        """What the test put into `grants`."""
        self._enter("granted")
        if self._held(key) is None:
            raise StoreRefused("STALE_LEASE", "the lease was lost")
        return self.grants.get(kind, ())

    async def over(self, attempts: Sequence[int]) -> tuple[int, ...]:
        """Those that are final, and those never heard of."""
        self._enter("over")
        return tuple(each for each in attempts if each not in self.rows or self.rows[each].final)

    async def tick(self) -> Tick:
        """Leases that ran out wait again."""
        self._enter("tick")
        now = time.monotonic()
        over = [row for row in self.rows.values() if row.running and row.expires < now]
        for row in over:
            row.running = False
            row.attempt = replace(row.attempt, adopted=True)
        later = [
            row.ready for row in self.rows.values() if not row.running and not row.final and row.ready > now
        ]
        due = None if not later else int((min(later) - now) * 1000)
        return Tick(reaped=len(over), due_in_ms=due, jobs_due=bool(self.due))

    async def seal(self) -> int:
        """What the test put into `unsealed`, batch by batch."""
        self._enter("seal")
        return self.unsealed.pop(0) if self.unsealed else 0

    async def audit_heads(self, after: str | None) -> list[JsonObject]:
        """What the test put into `heads`, two at a time."""
        self._enter("audit_heads")
        return [head for head in self.heads if after is None or head["tenant"] > after][:2]

    async def tidy(self) -> bool:
        """There is nothing to tidy here."""
        self._enter("tidy")
        return False

    async def fire(self, limit: int) -> int:
        """What the test put into `due`, batch by batch."""
        self._enter("fire")
        return self.due.pop(0) if self.due else 0

    async def sweep_artifacts(self, limit: int) -> Swept:
        """What the test put into `swept`, step by step."""
        self._enter("sweep_artifacts")
        return self.swept.pop(0) if self.swept else Swept()

    async def confirm_removals(self, claim: str) -> Removed:
        """Everything is gone, whatever the claim."""
        self._enter("confirm_removals")
        return Removed(removed=1, kept=0)

    async def claim_uploads(self, limit: int) -> list[Upload]:
        """Each is handed out once."""
        self._enter("claim_uploads")
        claimed, self.uploads = self.uploads[:limit], self.uploads[limit:]
        return claimed

    async def judge_uploads(self, verdicts: Sequence[Verdict]) -> None:
        """Kept in `verdicts`."""
        self._enter("judge_uploads")
        self.verdicts.extend(verdicts)

    async def claim_events(self, limit: int) -> list[EventBatch]:
        """Each batch is handed out once."""
        self._enter("claim_events")
        claimed, self.events = self.events[:limit], self.events[limit:]
        return claimed

    async def report_findings(self, found: Sequence[Findings]) -> None:
        """Kept in `findings`."""
        self._enter("report_findings")
        self.findings.extend(found)

    async def claim_deliveries(self, limit: int) -> list[Delivery]:
        """Each is handed out once."""
        self._enter("claim_deliveries")
        claimed, self.deliveries = self.deliveries[:limit], self.deliveries[limit:]
        return claimed

    async def settle_deliveries(self, results: Sequence[DeliveryResult]) -> list[DeliverySettlement]:
        """Kept in `delivered`."""
        self._enter("settle_deliveries")
        self.delivered.extend(results)
        return [DeliverySettlement(delivery_id=each.delivery_id, settled=True) for each in results]

    async def farewell(self) -> None:
        """Nothing to do."""
        self._enter("farewell")

    async def canary(self) -> JsonObject:
        """It sings."""
        self._enter("canary")
        return {"ok": True}

    def _enter(self, verb: str) -> None:
        self.calls.append(verb)
        if self.away:
            raise StoreUnavailable("away, as the test wants it")
        if self.refusal is not None:
            raise self.refusal

    def _held(self, key: Key) -> Row | None:
        row = self.rows.get(key.attempt_id)
        return row if row is not None and row.running and row.attempt.lease == key.lease else None

    def _settle(self, key: Key, outcome: Outcome) -> Settlement:
        row = self._held(key)
        if row is None:
            return Settlement(attempt_id=key.attempt_id, settled=False, reason="stale")
        row.running, row.outcome = False, outcome
        attempt = row.attempt
        if isinstance(outcome, RetryableFailure) and attempt.number <= row.max_retries and not row.cancel:
            again = max(self.rows) + 1
            after = 1.0 if outcome.after_ms is None else outcome.after_ms / 1000
            row.final = True
            self.rows[again] = Row(
                replace(attempt, attempt_id=again, lease=0, number=attempt.number + 1),
                row.max_retries,
                ready=time.monotonic() + after,
            )
            return Settlement(attempt_id=key.attempt_id, settled=True, run_state="RUNNING")
        row.final = True
        match outcome:
            case Succeeded():
                state = "SUCCEEDED"
            case TimedOut():
                state = "TIMED_OUT"
            case Canceled():
                state = "CANCELED"
            case _:
                state = "FAILED"
        return Settlement(attempt_id=key.attempt_id, settled=True, run_state=state)
