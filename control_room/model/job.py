"""Jobs, what applying files changes of them, what starts them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from control_room.model.run import State
from control_room.model.word import JsonObject, Word


class Job(Word):
    job_id: int
    name: str
    version: int | None = None
    tasks: list[JsonObject] = Field(default_factory=list)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    next_fire_at: datetime | None = None
    last_fired_at: datetime | None = None
    last_run_id: int | None = None
    last_error: JsonObject | None = None


class AppliedJob(Word):
    """`before` and `after` where something changes; `version` is the new one."""

    name: str
    action: Literal["create", "update", "delete", "none"]
    job_id: int | None = None
    version: int | None = None
    before: JsonObject | None = None
    after: JsonObject | None = None


class Applied(Word):
    """What applying jobs has changed, or would; `names` are those of jobs that are started by id."""

    dry_run: bool
    changes: int
    jobs: list[AppliedJob] = Field(default_factory=list)
    names: dict[int, str] = Field(default_factory=dict)
    source: str | None = None


class Clock(Word):
    """What starts a job by itself, and when."""

    job_id: int
    type: str
    paused: bool
    definition: JsonObject = Field(default_factory=dict)
    upcoming: list[datetime] = Field(default_factory=list)
    last_fired_at: datetime | None = None
    last_run_id: int | None = None
    last_error: JsonObject | None = None


class Paused(Word):
    job_id: int
    version: int
    paused: bool
    next_fire_at: datetime | None = None


class BackfillRun(Word):
    run_id: int
    state: State
    termination_code: str | None = None
    value: Any = None


class Backfill(Word):
    """One run of a job for each value of a parameter; `started` are those that the very request made."""

    backfill_id: int
    job_id: int | None = None
    parameter: str | None = None
    max_concurrent: int | None = None
    started: int | None = None
    canceled: int | None = None
    total: int = 0
    states: dict[str, int] = Field(default_factory=dict)
    runs: list[BackfillRun] = Field(default_factory=list)
    created_at: datetime | None = None
    cancel_requested_at: datetime | None = None
