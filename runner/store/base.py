"""What the runner asks of the database: one method per worker verb.

`verbs.Verbs` speaks to Postgres; `memory.MemoryStore` is the public fake. Both obey
`tests/contract/test_stores.py`. Every method raises StoreUnavailable when the database is away (the same
call may be made again) and StoreRefused when it answered with an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from runner.lineage.facets import Fault
from runner.lineage.view import ViewColumns
from runner.model.attempt import Attempt, Key
from runner.model.collected import Column
from runner.model.outcome import Outcome
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

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Who this runner is. `instance` is made anew by every process; `sandbox` is an honest description."""

    instance: str
    name: str
    offers: tuple[str, ...]
    capacity: int
    version: str
    sandbox: JsonObject


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of what the job said. `at` is ISO 8601."""

    stream: str
    at: str
    line: str


@dataclass(slots=True)
class Report:
    """What one attempt has to say since the last report."""

    key: Key
    percent: int | None = None
    message: str | None = None
    external_id: str | None = None
    logs: list[LogLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One lease to renew, with the progress that rides on it."""

    key: Key
    percent: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a person's upload: READY or REFUSED, with findings that never hold the secret itself."""

    upload: Upload
    ready: bool
    size: int | None = None
    sha256: str | None = None
    findings: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How one try of a callback ended: delivered, failed, or gone (the endpoint answered 410)."""

    tenant_id: str
    delivery_id: int
    lease: int
    result: str
    status: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in the events of a batch: of each that has any, its faults; what its view says."""

    batch: EventBatch
    faults: Mapping[int, Sequence[Fault]]
    views: Mapping[int, ViewColumns] = field(default_factory=dict)


class Store(Protocol):
    """The worker verbs."""

    async def register(self, registration: Registration) -> Terms:
        """Say who we are and what we offer."""
        ...

    async def claim_attempts(
        self, offers: Sequence[str], limit: int
    ) -> tuple[list[Attempt], list[Unreadable]]:
        """Up to `limit` attempts that are now ours, and those whose form cannot be read."""
        ...

    async def anything_waits(self) -> bool:
        """Whether anything at all waits that is due; a claim may still get nothing of it."""
        ...

    async def renew_leases(self, beats: Sequence[Heartbeat]) -> list[Renewal]:
        """Keep leases alive; learn of cancels and lost leases."""
        ...

    async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
        """Progress and log lines of several attempts."""
        ...

    async def settle_attempts(self, items: Sequence[tuple[Key, Outcome]]) -> list[Settlement]:
        """Write outcomes down, each under its own fence."""
        ...

    async def release_attempts(self, keys: Sequence[Key]) -> None:
        """Give attempts back without spending a retry."""
        ...

    async def open_output(self, key: Key, name: str, columns: Sequence[Column]) -> str:
        """The name of a new staging table for one table output."""
        ...

    async def open_input(self, key: Key, name: str) -> StagedInput:
        """A staging table that holds one table input."""
        ...

    async def high_water(self, key: Key, name: str) -> datetime | None:
        """From where on an input reads that goes on after a table; None for from the beginning."""
        ...

    async def open_outside(self, key: Key, workflow: str) -> Opening:
        """A token for work that lives outside, if the tenant was granted the workflow."""
        ...

    async def read_outside(self, keys: Sequence[Key]) -> list[Told]:
        """What was reported about those of these attempts that are still ours."""
        ...

    async def granted(self, key: Key, kind: str) -> tuple[str, ...]:
        """Names of one kind that the tenant of a held attempt may use now."""
        ...

    async def over(self, attempts: Sequence[int]) -> tuple[int, ...]:
        """Those of them that are over: settled, and claimed by nobody any more."""
        ...

    async def tick(self) -> Tick:
        """Move the clock: reap, deadlines."""
        ...

    async def fire(self, limit: int) -> int:
        """Start the jobs whose time has come; how many were looked after."""
        ...

    async def seal(self) -> int:
        """Chain the audit entries that wait for it; how many they were."""
        ...

    async def audit_heads(self, after: str | None) -> list[JsonObject]:
        """A page of the heads of the audit's chains, of tenants after that slug; empty: there are no more."""
        ...

    async def tidy(self) -> bool:
        """Drop a bounded part of what is past its keeping; true when there is more."""
        ...

    async def sweep_artifacts(self, limit: int) -> Swept:
        """Let bytes go that nobody needs, a bounded part of them; those that are to be removed now."""
        ...

    async def confirm_removals(self, claim: str) -> Removed:
        """Forget what of a claim is gone from the bucket."""
        ...

    async def claim_uploads(self, limit: int) -> list[Upload]:
        """People's uploads to verify."""
        ...

    async def judge_uploads(self, verdicts: Sequence[Verdict]) -> None:
        """Write verdicts down."""
        ...

    async def claim_events(self, limit: int) -> list[EventBatch]:
        """Batches of stored events whose facets are to be looked at."""
        ...

    async def report_findings(self, found: Sequence[Findings]) -> None:
        """Write down what was found in claimed batches."""
        ...

    async def claim_deliveries(self, limit: int) -> list[Delivery]:
        """Callbacks to send."""
        ...

    async def settle_deliveries(self, results: Sequence[DeliveryResult]) -> list[DeliverySettlement]:
        """Write results of callbacks down."""
        ...

    async def farewell(self) -> None:
        """Say that this runner stops in good order."""
        ...

    async def canary(self) -> JsonObject:
        """Prove that submit, claim and settle work under row level security."""
        ...
