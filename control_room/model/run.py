"""Runs, their tasks and attempts, what they print and tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from control_room.model.artifact import ArtifactState
from control_room.model.word import JsonObject, Word

State = Literal["QUEUED", "BLOCKED", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"]
AttemptState = State | Literal["LOST"]
FINAL: frozenset[str] = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELED", "SKIPPED"})


class Submitted(Word):
    run_id: int
    state: State
    url: str


class Progress(Word):
    percent: float | None = None
    message: str | None = None


class Attempt(Word):
    attempt_id: int
    number: int
    state: AttemptState
    lease: int | None = None
    runner: str | None = None
    termination_code: str | None = None
    message: str | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    cpu_ms: int | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Condition(Word):
    outcome: Literal["true", "false"] | None = None


class ForEach(Word):
    iterations: int | None = None
    concurrency: int = 1
    open: int = 0


class RunJob(Word):
    job_id: int | None = None
    run_id: int | None = None


class TaskRun(Word):
    """A task inside a run. Iterations are their own; `parent_task_run_id` is their for_each."""

    task_run_id: int
    task_key: str
    state: State
    kind: Literal["work", "condition", "for_each", "run_job"] = "work"
    condition: Condition | None = None
    for_each: ForEach | None = None
    run_job: RunJob | None = None
    parent_task_run_id: int | None = None
    iteration: int | None = None
    values: dict[str, Any] = Field(default_factory=dict)
    run_if: str = "ALL_SUCCESS"
    job_type: str | None = None
    engine: str | None = None
    executors: int | None = None
    termination_code: str | None = None
    termination_message: str | None = None
    queue_reason: str | None = None
    queue_reason_code: str | None = None
    reused_from: int | None = None
    depends_on: list[Any] | None = None
    progress: Progress = Progress()
    attempts: list[Attempt] = Field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Times(Word):
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    queue_ms: int | None = None
    run_ms: int | None = None


class RunArtifact(Word):
    artifact_id: str
    name: str
    kind: str
    version: int
    state: ArtifactState
    size: int
    sha256: str | None = None


class RunTable(Word):
    layer: str
    table: str
    rows: int | None = None


class Run(Word):
    run_id: int
    state: State
    job_id: int | None = None
    parent_run_id: int | None = None
    job_type: str | None = None
    name: str | None = None
    termination_code: str | None = None
    termination_message: str | None = None
    queue_reason: str | None = None
    queue_reason_code: str | None = None
    run_timeout_seconds: int | None = None
    deadline_at: datetime | None = None
    databricks_state: dict[str, str | None] | None = None
    rerun_of: int | None = None
    backfill_id: int | None = None
    repair_count: int = 0
    latest_repair_id: int | None = None
    created_by: str | None = None
    progress: Progress = Progress()
    times: Times = Times()
    tasks: list[TaskRun] = Field(default_factory=list)
    artifacts: list[RunArtifact] = Field(default_factory=list)
    tables: list[RunTable] = Field(default_factory=list)
    callbacks: dict[str, str] | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def succeeded(self) -> bool:
        return self.state == "SUCCEEDED"


class RunSummary(Word):
    """A run as lists show it."""

    run_id: int
    state: State
    job_id: int | None = None
    job_type: str | None = None
    name: str | None = None
    percent: float | None = None
    termination_code: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LogLine(Word):
    seq: int
    line: str
    at: datetime | None = None
    attempt_id: int | None = None
    task_key: str | None = None
    stream: Literal["stdout", "stderr", "system"] = "stdout"


class Event(Word):
    seq: int | None
    run_id: int | None = None
    event_id: str
    type: str
    timestamp: datetime
    data: JsonObject


class Repair(Word):
    """Tasks of a run that are done again."""

    run_id: int
    repair_id: int
    number: int
    tasks: list[str]
    state: State
