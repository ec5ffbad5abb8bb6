"""What became of an attempt. An executor returns one of these; somebody else writes it down.

    Outcome = Succeeded | PermanentFailure | RetryableFailure | TimedOut | Canceled

An attempt whose lease was lost, or that is given back while the runner drains, has no outcome at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.model.errors import Failure, Permanent, Retryable
from runner.model.termination import TerminationCode

JsonObject = dict[str, Any]
MESSAGE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Usage:
    """What the work used: None where the machine could not tell. Memory in bytes, processor time in ms."""

    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    cpu_ms: int | None = None


UNKNOWN_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """An artifact version whose bytes were uploaded after they had been checked."""

    artifact_id: str
    version: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StagedTable:
    """A table output that lies in a staging table, keyed by (attempt, lease), until the settle publishes
    it."""

    name: str
    staging: str
    layer: str
    table: str
    mode: str
    rows: int


@dataclass(frozen=True, slots=True)
class StagedEntries:
    """Entries of a knowledge base in a staging table, as `StagedTable`; where they go was submitted."""

    staging: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The work is done; everything in here is published by the settle, together or not at all."""

    usage: Usage = UNKNOWN_USAGE
    values: JsonObject = field(default_factory=dict)
    artifacts: tuple[StoredArtifact, ...] = ()
    tables: tuple[StagedTable, ...] = ()
    entries: StagedEntries | None = None
    lineage: tuple[JsonObject, ...] = ()
    catalog: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PermanentFailure:
    """Trying again cannot help."""

    code: TerminationCode
    message: str
    usage: Usage = UNKNOWN_USAGE
    artifacts: tuple[StoredArtifact, ...] = ()
    values: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryableFailure:
    """Another try may succeed, after `after_ms` or the database's own delay."""

    code: TerminationCode
    message: str
    after_ms: int | None = None
    usage: Usage = UNKNOWN_USAGE
    artifacts: tuple[StoredArtifact, ...] = ()
    values: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """The attempt's own deadline passed while it ran."""

    message: str
    usage: Usage = UNKNOWN_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Canceled:
    """Somebody asked for the run to be canceled."""

    message: str
    usage: Usage = UNKNOWN_USAGE


Outcome = Succeeded | PermanentFailure | RetryableFailure | TimedOut | Canceled


def failed(error: Failure, usage: Usage = UNKNOWN_USAGE) -> PermanentFailure | RetryableFailure:
    """The outcome of an attempt that raised one of the two failure words."""
    match error:
        case Retryable():
            return RetryableFailure(
                code=error.code, message=error.message, after_ms=error.after_ms, usage=usage
            )
        case Permanent():
            return PermanentFailure(code=error.code, message=error.message, usage=usage)
        case _:
            raise TypeError(f"{error!r} is neither permanent nor retryable")
