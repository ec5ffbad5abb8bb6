"""The one method every executor has, and what it may call while it works.

Every executor, the scripted fake included, obeys one suite: `tests/contract/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.outcome import Outcome, Usage
from runner.model.stop import Stop
from runner.model.wire import Opening, Told
from runner.model.workspace import Workspace


class Reporter(Protocol):
    """Where an executor says what is going on. Nothing here blocks; lines and progress are batched behind
    it."""

    @property
    def stop(self) -> Stop | None:
        """Why `run` is being cancelled; None while nobody ordered it."""
        ...

    def progress(self, percent: int, message: str) -> None:
        """The work says how far it is."""
        ...

    def log(self, stream: str, line: str) -> None:
        """One line of stdout, stderr or system, already redacted and without control characters."""
        ...

    def usage(self, usage: Usage) -> None:
        """What the work used, also when it is cancelled and returns nothing."""
        ...

    def external_id(self, identifier: str) -> None:
        """The work lives outside this process under this name, and may be adopted after a crash."""
        ...


class Mailbox(Protocol):
    """Where reports of work that lives outside are waited for, by executors that need no eye on it
    themselves."""

    async def open(self, attempt: Attempt, workflow: str) -> Opening:
        """A token for the work to report with, or what is to be adopted. Raises Permanent(NOT_GRANTED),
        Retryable(EXECUTOR_UNAVAILABLE) or StaleLease."""
        ...

    async def wait(self, attempt: Attempt, seconds: float) -> Told:
        """What is known once an end was reported, or after so many seconds."""
        ...


class Executor(Protocol):
    """Carries out one attempt."""

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """Do the work of `workspace.command` and return what became of it.

        Failures of the work are returned as outcomes; `errors.Failure` may be raised instead. When the task
        is cancelled, every process of the work is dead before CancelledError leaves: at once when
        `reporter.stop` is LOST, after SIGTERM and a short grace otherwise. Work outside that was announced by
        `external_id` goes on when `stop` is LOST or DRAIN: the next lease adopts it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inheritance:
    """Work that goes on although its runner is gone: the folder that its workspace is in, to be renamed into
    one's own, and what is known of its command (the limits)."""

    place: Path
    command: Command


@runtime_checkable
class Heir(Protocol):
    """An executor whose work outlives the runner that started it, beside its workspace on this machine."""

    async def inherit(self, attempt: Attempt) -> Inheritance | None:
        """What is left of an older lease of this attempt; `run` in its workspace goes on with it.

        None when nothing is, and then nothing of an older lease works on any more. Raises Retryable.
        """
        ...
