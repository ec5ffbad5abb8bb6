"""The JSON forms of the worker verbs, both ways. The database is trusted, but its shapes are checked once
here.

Reading: `read_attempts`, `read_answers` … take the raw bytes of jsonb values, so that a batch is parsed in
one go. Writing: `outcome_form` and the small `*_form` functions give dictionaries; `dump` makes JSON that
jsonb accepts (no NUL, no lone surrogates: one bad character of a user's log must not sink a batch).
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from typing import Any, TypeVar, assert_never

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runner.model.attempt import Attempt, Key
from runner.model.outcome import (
    MESSAGE_LIMIT,
    Canceled,
    Outcome,
    PermanentFailure,
    RetryableFailure,
    StagedTable,
    StoredArtifact,
    Succeeded,
    TimedOut,
    Usage,
)
from runner.model.termination import TerminationCode

JsonObject = dict[str, Any]
T = TypeVar("T")


class Form(BaseModel):
    """A read-only answer; fields that a newer database adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Terms(Form):
    """What `register` answers: how long a lease lives, how often to renew it, how often to look for work."""

    lease_seconds: float = 15.0
    heartbeat_seconds: float = 5.0
    poll_seconds: float = 5.0


class Renewal(Form):
    """What `renew_leases` says about one attempt. Not held means that somebody else holds it, or nobody."""

    attempt_id: int
    lease: int
    held: bool
    cancel: bool = False
    overdue: bool = False


class ReportAnswer(Form):
    """What `report` says about one attempt."""

    attempt_id: int
    held: bool
    cancel: bool = False


class Settlement(Form):
    """What became of one settled item. `reason` is "stale" when the lease was no longer ours."""

    attempt_id: int
    settled: bool
    reason: str | None = None
    run_state: str | None = None


class Tick(Form):
    """What the clock did: `due_in_ms` is when the next delayed thing comes due, None when nothing waits;
    `jobs_due` says that the time of some job has come."""

    reaped: int = 0
    due_in_ms: int | None = None
    depth: int = 0
    unsealed: bool = False
    jobs_due: bool = False


class Tidied(Form):
    """What tidying did this time; `more` asks for another time at once."""

    more: bool = False


class StagedInput(Form):
    """A table input, copied to a staging table for this attempt."""

    table: str
    columns: tuple[dict[str, str], ...]
    rows: int | None = None


class Opening(Form):
    """A token with which work outside reports on an attempt; none where what an earlier lease began goes
    on, under its `external_id` if that is known."""

    token: str | None = Field(default=None, repr=False)
    external_id: str | None = None


class Told(Form):
    """What was reported about an attempt from outside: how it is called there, and how it ended."""

    attempt_id: int
    external_id: str | None = None
    report: JsonObject | None = None


class Upload(Form):
    """A person's upload that waits for its verdict."""

    artifact_id: str
    version: int
    tenant_id: str
    bucket: str
    path: str
    size: int
    lease: int
    sha256: str | None = None
    kind: str | None = None
    content_type: str | None = None
    token: str = Field(default="", repr=False)


class Removals(Form):
    """Bytes that are to go, under one claim; the token tells the door which they are."""

    claim: str
    count: int
    token: str = Field(repr=False)


class Swept(Form):
    """What one step of the sweep found; `more` means that the next step has work as well."""

    removals: Removals | None = None
    more: bool = False


class Removed(Form):
    """What became of a claim: how many objects are gone, how many are still there and are tried again."""

    removed: int
    kept: int


class CapturedTable(Form):
    """A table or view that a view reads: its name in the lineage, its columns."""

    name: str
    columns: tuple[str, ...]


class CapturedView(Form):
    """A view's text, as pg_get_viewdef gives it; schema.table as it stands there -> the lineage's table."""

    definition: str
    tables: dict[str, CapturedTable]


class StoredEvent(Form):
    """An OpenLineage event as it was told."""

    event_id: int
    event: JsonObject
    #: Where it tells that a view of the layers has changed: `definition`, and `tables` that it reads.
    view: CapturedView | None = None


class EventBatch(Form):
    """Stored events whose facets nobody has looked at yet."""

    batch_id: int
    tenant_id: str
    lease: int
    events: tuple[StoredEvent, ...]


class OpenNetwork(Form):
    """A network that a tenant's callbacks may reach; `ports` None: all but those that are never meant."""

    network: str
    ports: tuple[int, ...] | None = None


class Delivery(Form):
    """One callback to send. `body` holds the exact characters to sign and send."""

    delivery_id: int
    lease: int
    tenant_id: str
    endpoint_id: str
    url: str
    secret_version: int
    event_id: str
    type: str
    body: str
    try_number: int = Field(default=1, alias="try")
    run_id: int | None = None
    traceparent: str | None = None  # of that run
    age_ms: int | None = None  # of its event when it was claimed
    allow: tuple[OpenNetwork, ...] = ()
    previous_secret_version: int | None = None
    now: float | None = None  # Unix seconds by the clock of the database when it was claimed
    ed25519: bool = False
    timeout_seconds: float = 15.0


class DeliverySettlement(Form):
    """What became of one settled delivery."""

    delivery_id: int
    settled: bool
    state: str | None = None


_ATTEMPTS: TypeAdapter[list[Attempt]] = TypeAdapter(list[Attempt])
_ATTEMPT: TypeAdapter[Attempt] = TypeAdapter(Attempt)


class Unreadable(Form):
    """An item of a claim that does not have the agreed shape; its key, so that it can be failed."""

    attempt_id: int
    lease: int
    problem: str = ""

    @property
    def key(self) -> Key:
        """What fences the failure."""
        return Key(self.attempt_id, self.lease)


def read_attempts(rows: Sequence[bytes]) -> tuple[list[Attempt], list[Unreadable]]:
    """The claimed attempts, and those whose shape is wrong. One bad item does not sink the others."""
    try:
        return _ATTEMPTS.validate_json(_array(rows)), []
    except ValidationError:
        return _read_one_by_one(rows)


def _read_one_by_one(rows: Sequence[bytes]) -> tuple[list[Attempt], list[Unreadable]]:
    attempts: list[Attempt] = []
    unreadable: list[Unreadable] = []
    for row in rows:
        try:
            attempts.append(_ATTEMPT.validate_json(row))
        except ValidationError as error:
            problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            # one that leaves no stack to find its key stays unanswered, and its lease runs out
            with contextlib.suppress(RecursionError):
                unreadable.append(Unreadable.model_validate({**json.loads(row), "problem": problem}))
    return attempts, unreadable


def read_one(form: type[T], data: bytes) -> T:
    """One jsonb value as the given form."""
    return TypeAdapter(form).validate_json(data)


def read_list(form: type[T], data: bytes) -> list[T]:
    """A jsonb array as a list of the given form."""
    return _list_adapter(form).validate_json(data)


def read_rows(form: type[T], rows: Sequence[bytes]) -> list[T]:
    """A set of jsonb values as a list of the given form."""
    return _list_adapter(form).validate_json(_array(rows))


def outcome_form(outcome: Outcome) -> JsonObject:
    """The outcome as `settle_attempts` takes it."""
    match outcome:
        case Succeeded():
            form = _ended("SUCCEEDED", TerminationCode.SUCCESS, "", outcome.usage)
            form["artifacts"] = [_artifact_form(each) for each in outcome.artifacts]
            form["tables"] = [_table_form(each) for each in outcome.tables]
            if outcome.entries is not None:
                form["entries"] = {"staging": outcome.entries.staging, "rows": outcome.entries.rows}
            form["lineage"] = list(outcome.lineage)
            form["catalog"] = list(outcome.catalog)
            form["values"] = outcome.values
        case PermanentFailure():
            form = _ended("FAILED", outcome.code, outcome.message, outcome.usage)
            form["artifacts"] = [_artifact_form(each) for each in outcome.artifacts]
            form["values"] = outcome.values
        case RetryableFailure():
            form = _ended("FAILED", outcome.code, outcome.message, outcome.usage)
            form["retryable"] = True
            form["retry_after_ms"] = outcome.after_ms
            form["artifacts"] = [_artifact_form(each) for each in outcome.artifacts]
            form["values"] = outcome.values
        case TimedOut():
            form = _ended("TIMED_OUT", TerminationCode.DEADLINE_EXCEEDED, outcome.message, outcome.usage)
        case Canceled():
            form = _ended("CANCELED", TerminationCode.USER_CANCELED, outcome.message, outcome.usage)
        case _:
            assert_never(outcome)
    # What is absent is not sent: most outcomes are small, and the database tells null from missing.
    return {key: value for key, value in form.items() if value not in (None, [], {})}


def settle_form(key: Key, outcome: Outcome) -> JsonObject:
    """One item of `settle_attempts`."""
    return {"attempt_id": key.attempt_id, "lease": key.lease, "outcome": outcome_form(outcome)}


def dump(value: Any) -> str:
    """JSON text that jsonb accepts: NUL, lone surrogates and numbers that are none are replaced."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = "\\ud"
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(_clean(value), separators=(",", ":"), allow_nan=False)
    return text


def _ended(state: str, code: TerminationCode, message: str, usage: Usage) -> JsonObject:
    return {
        "state": state,
        "termination_code": code.value,
        "message": message[:MESSAGE_LIMIT],
        "retryable": False,
        "exit_code": usage.exit_code,
        "peak_memory_bytes": usage.peak_memory_bytes,
        "cpu_ms": usage.cpu_ms,
    }


def _artifact_form(artifact: StoredArtifact) -> JsonObject:
    return {
        "artifact_id": artifact.artifact_id,
        "version": artifact.version,
        "size": artifact.size,
        "sha256": artifact.sha256,
        "verdict": "READY",
    }


def _table_form(table: StagedTable) -> JsonObject:
    return {
        "name": table.name,
        "staging": table.staging,
        "layer": table.layer,
        "table": table.table,
        "mode": table.mode,
        "rows": table.rows,
    }


def _array(rows: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(rows) + b"]"


_LISTS: dict[type[Any], TypeAdapter[list[Any]]] = {}


def _list_adapter(form: type[T]) -> TypeAdapter[list[T]]:
    adapter = _LISTS.get(form)
    if adapter is None:
        adapter = _LISTS[form] = TypeAdapter(list[form])  # type: ignore[valid-type]  # a type made at run time
    return adapter


def _clean(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
        case dict():
            return {_clean(str(key)): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
