"""What tenants who are warned get: code that was sent is validated while it runs; its report is an artifact.

It decides nothing: the run ends as its work does. (Where validation is enforced, it is a task of the run,
before the work, and no business of ours.)

    attempt ─┬─→ the work ────────────────→ outcome ─┬─→ outcome with the report
             └─→ validation, in a sandbox beside it ─┘
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace

from runner.dispatch.validation import Validation
from runner.dispatch.workspaces import Workspaces
from runner.executor.base import Reporter
from runner.model.attempt import Attempt
from runner.model.errors import Failure, StaleLease
from runner.model.outcome import Outcome, PermanentFailure, RetryableFailure, StoredArtifact, Succeeded, Usage
from runner.model.stop import Stop
from runner.transfer import door
from runner.transfer.door import Door

log = logging.getLogger(__name__)

#: How long the report may keep a run from ending.
MAX_SECONDS = 120.0
REPORT = "report.sarif"
#: A validation is the look itself; a migration looks at its SQL before anything else.
JUDGED_BY_THEMSELVES = ("code_validation", "schema_migration")
#: Iterations share their code: the first is looked at.
_LATER_ITERATION = re.compile(r"\[[1-9]\d*\]$")


class ShadowValidation:
    """Looks at code beside its run."""

    def __init__(self, validation: Validation, workspaces: Workspaces, door: Door) -> None:
        self._validation = validation
        self._workspaces = workspaces
        self._door = door

    @contextlib.asynccontextmanager
    async def beside(self, attempt: Attempt, reporter: Reporter) -> AsyncIterator[Look]:
        """A look that is under way while inside, and over when left, however that is."""
        task: asyncio.Task[tuple[StoredArtifact, ...]] | None = None
        if _wants(attempt):
            task = asyncio.create_task(self._look(attempt, reporter))
        try:
            yield Look(task)
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _look(self, attempt: Attempt, reporter: Reporter) -> tuple[StoredArtifact, ...]:
        assert attempt.code is not None
        try:
            async with asyncio.timeout(MAX_SECONDS):
                report = await self._validation.validate(attempt, attempt.code, {}, _Silent(reporter))
                async with self._workspaces.open(attempt.key, beside="report") as place:
                    file = place.kept / REPORT
                    await asyncio.to_thread(file.write_bytes, report.sarif)
                    stored = await self._door.store(
                        attempt,
                        file,
                        await asyncio.to_thread(door.measure, file),
                        name=REPORT,
                        kind="report",
                        content_type="application/sarif+json",
                    )
        except StaleLease:
            return ()  # the work will be told as well
        except (Failure, TimeoutError) as error:
            why = error.message if isinstance(error, Failure) else f"it took more than {MAX_SECONDS:g} s"
            reporter.log("system", f"validation: not done: {why}")
            return ()
        why = f": {report.failure.message}" if report.failure is not None else ""
        reporter.log("system", f"validation: {report.summary.verdict}{why}")
        return (stored,)


class Look:
    """One look, or none."""

    def __init__(self, task: asyncio.Task[tuple[StoredArtifact, ...]] | None) -> None:
        self._task = task

    async def added_to(self, outcome: Outcome) -> Outcome:
        """The outcome with the report, once it is there."""
        if self._task is None or not isinstance(outcome, Succeeded | PermanentFailure | RetryableFailure):
            return outcome
        await asyncio.wait([self._task])
        if self._task.cancelled() or self._task.exception() is not None:
            log.error(
                "shadow_validation_failed",
                exc_info=None if self._task.cancelled() else self._task.exception(),
            )
            return outcome
        return replace(outcome, artifacts=(*outcome.artifacts, *self._task.result()))


class _Silent:
    """A reporter that says nothing: the log is the work's."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    @property
    def stop(self) -> Stop | None:
        return self._reporter.stop

    def progress(self, percent: int, message: str) -> None:
        """Not the work's."""

    def log(self, stream: str, line: str) -> None:
        """Not the work's."""

    def usage(self, usage: Usage) -> None:
        """Not the work's."""

    def external_id(self, identifier: str) -> None:
        """Not the work's."""


def _wants(attempt: Attempt) -> bool:
    """Whether it is code that was sent, by a tenant who is warned, and has not been looked at."""
    return (
        attempt.validation_policy == "warn"
        and attempt.code is not None
        and attempt.code.sha256 is None
        and attempt.number == 1
        and attempt.job_type not in JUDGED_BY_THEMSELVES
        and not _LATER_ITERATION.search(attempt.task_key)
    )
