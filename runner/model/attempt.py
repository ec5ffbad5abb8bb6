"""An attempt: one try of a task run, as the database hands it out with a lease.

The shape is that of `worker.claim_attempts`; `runner.model.wire` reads it from JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

JsonObject = dict[str, Any]


class Key(NamedTuple):
    """What fences every write: the attempt and the lease under which we hold it."""

    attempt_id: int
    lease: int


@dataclass(frozen=True, slots=True)
class Code:
    """The user's code: literal files (name to text), or an artifact to fetch. Never both. `sha256`: of the
    bytes that were judged; others are not to be run. `artifact_name` is what lineage speaks of."""

    files: dict[str, str] | None = None
    artifact_id: str | None = None
    artifact_name: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """Something the attempt reads: an artifact (staged as a file), a table (staged as CSV), or what a target
    has (`uri` and how it is `read`; staged as CSV, too).

    `dataset` is the namespace and name of what a URI stands for, once this runner has looked it up.
    """

    name: str
    artifact_id: str | None = None
    artifact_name: str | None = None
    table: str | None = None
    uri: str | None = None
    read: JsonObject | None = None
    dataset: tuple[str, str] | None = None

    @property
    def is_table(self) -> bool:
        """Rows and columns, not a file."""
        return self.artifact_id is None


@dataclass(frozen=True, slots=True)
class Output:
    """Something the attempt promises to write: a table of a layer, else a file that becomes an artifact."""

    name: str
    table: str | None = None
    layer: str | None = None
    kind: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class TaskImage:
    """The container image that the task names for itself. `granted`: its tenant may use it now, and where its
    name has no digest may have it fetched by that."""

    name: str
    granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One claimed attempt. `lease` grows with each claim; only the holder of the newest may write.

    `waited_ms`: from when it could be claimed to its claim. `remaining_ms` is how much of `timeout_seconds`
    is left: less than all of it when adopted after a crash. `name` is the job's, or what a one-time
    submission called itself. `secrets` are names; their values come from the runner's environment. `token`
    opens the attempt door of the edge function and nothing else. `targets` are the databases that the tenant
    was granted, as far as it asks for them. `granted` has names, by kind, that its executor asked for and its
    tenant may use now. `image`: instead of the runner's own. `executors`: how many
    of Spark's it gets, in sandboxes of their own; 0: it works in its own.
    """

    attempt_id: int
    lease: int
    number: int
    run_id: int
    task_run_id: int
    task_key: str
    tenant_id: str
    tenant_slug: str
    job_type: str
    engine: str
    requires: str
    timeout_seconds: float
    remaining_ms: int | None = None
    spec: str | None = None
    code: Code | None = None
    params: JsonObject = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    secrets: tuple[str, ...] = ()
    network: bool = False
    deadline_at: str | None = None
    token: str = ""
    max_artifact_bytes: int = 52_428_800
    adopted: bool = False
    external_id: str | None = None
    traceparent: str | None = None
    waited_ms: int | None = None
    job_id: int | None = None
    validation_fail_on: str = "error"
    validation_policy: str = "off"
    model_granted: bool = True
    name: str = ""
    targets: tuple[str, ...] = ()
    granted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image: TaskImage | None = None
    executors: int = 0

    @property
    def key(self) -> Key:
        """The pair every write is matched against."""
        return Key(self.attempt_id, self.lease)

    @property
    def seconds_left(self) -> float:
        """How long it may still take, counted from its claim."""
        return self.timeout_seconds if self.remaining_ms is None else self.remaining_ms / 1000
