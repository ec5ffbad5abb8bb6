"""The form every job type has.

    readiness()                          once, when the runner starts: which engines can be run here
    prepare(attempt, workspace)          after files, parameters and inputs are laid out (see model.workspace)
    …the executor runs the command in a sandbox…
    collect(attempt, workspace, exit)    after the last process is gone

All three are plain functions that may block on the disk: the dispatcher calls `prepare` and `collect` in a
thread. They never start a process, never see the database, never import anything heavy when the runner is
idle. Errors are raised as `errors.Permanent(code, message)` or `errors.Retryable(code, message)`; the
message is shown to the tenant. Any other exception is a bug of ours and ends the attempt as INTERNAL_ERROR.

A job type is one class that takes a `Place`, e.g. `runner.jobtype.spark_etl.SparkEtl(place)`, named in
`registry`.

What the sandbox wrote is hostile: `collect` reads it only through `runner.jobtype.harvest` (no links
followed, regular files only, sizes bounded), and hands paths on as it found them, relative to the
workspace.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.model.attempt import Attempt
from runner.model.collected import ArtifactFile, Collected, Column, TableFile
from runner.model.command import Bind, Command, Limits
from runner.model.workspace import Workspace

__all__ = [
    "ArtifactFile",
    "Bind",
    "Collected",
    "Column",
    "Command",
    "Exit",
    "JobType",
    "Limits",
    "Place",
    "Readiness",
    "TableFile",
    "Workspace",
]


@dataclass(frozen=True, slots=True)
class Place:
    """What a job type may know of where its commands will run: `engines` is a folder of this machine with one
    environment per engine (`<engines>/duckdb/bin/python`), None when none is configured. `image`: they run in
    an image that has its engine at /opt/engine (`deploy/images`), and nothing of this machine is used.
    `models`: the names of those that may write code."""

    engines: Path | None
    image: bool = False
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readiness:
    """One engine of a job type and, when it cannot run here, the reason and the mend in one line."""

    engine: str
    reason: str = ""

    @property
    def ready(self) -> bool:
        """True when attempts for this engine may be offered."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Exit:
    """How the command ended: `code` as a shell would say it (128 + signal when killed by one)."""

    code: int


class JobType(Protocol):
    """One job type. `name` is the word in the database, e.g. "spark_etl".

    `takes_packed_code`: code that came as an artifact is laid out as it is (`workspace.PACKED_CODE`) and
    unpacked by the job type's own harness, inside the sandbox; otherwise the runner unpacks small archives
    of text.
    """

    name: str
    takes_packed_code: bool

    def readiness(self) -> tuple[Readiness, ...]:
        """Every engine this job type knows, with the reason where one cannot run on this machine.

        Called once at start; only look at files (an interpreter exists, is executable by everyone), do not
        start anything.
        """
        ...

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write what the harness needs (`.control-room/request.json` …) and say what to start.

        Everything below `workspace.root` is given to the sandbox's user afterwards. Raise
        `Permanent(INVALID_CODE, …)` when the submission cannot be run, e.g. no entry file.
        """
        ...

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """Read what the attempt left behind.

        Called when the command ended by itself, with any exit code (not after a timeout, a cancel or an
        out-of-memory kill). With code 0 the result is published. With any other code the attempt fails:
        raise a `Failure` to give a better word than USER_CODE_FAILED; otherwise only `artifacts` is used.
        """
        ...
