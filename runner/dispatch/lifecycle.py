"""One attempt from its lease to its outcome: lay out, prepare, execute, hand over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runner.dispatch.handover import Handover
from runner.dispatch.intake import Intake
from runner.dispatch.shadow_validation import Look, ShadowValidation
from runner.dispatch.vault import Vault
from runner.dispatch.workspaces import Workspaces
from runner.executor.base import Executor, Heir, Inheritance, Reporter
from runner.jobtype.base import JobType
from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.errors import Permanent
from runner.model.outcome import Outcome
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from runner.watch.meter import Meter
from runner.watch.tracer import CURRENT, Span

log = logging.getLogger(__name__)

_NOWHERE = Workspace(root=Path("/nonexistent"), kept=Path("/nonexistent"))


@dataclass(frozen=True, slots=True)
class Capability:
    """How one kind of attempt is carried out. Without a job type there is nothing to lay out and nothing to
    collect: that is how scripted attempts run.

    `grants` are the kinds of names that the executor needs to know; `secrets_elsewhere`: it may have values
    that this runner has not.
    """

    executor: Executor
    job_type: JobType | None = None
    grants: tuple[str, ...] = ()
    secrets_elsewhere: bool = False


class Lifecycle:
    """Carries out everything this runner offers."""

    def __init__(
        self,
        capabilities: Mapping[str, Capability],
        workspaces: Workspaces,
        vault: Vault,
        intake: Intake,
        handover: Handover,
        *,
        look: ShadowValidation | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._capabilities = capabilities
        self._workspaces = workspaces
        self._vault = vault
        self._intake = intake
        self._handover = handover
        self._look = look
        self._meter = meter or Meter()

    @property
    def offers(self) -> tuple[str, ...]:
        """What the database may give us."""
        return tuple(sorted(self._capabilities))

    async def work(self, attempt: Attempt, reporter: Reporter) -> Outcome:
        """Carry one attempt out. Raises Failure, StaleLease, or anything a bug may raise."""
        began = time.monotonic()
        span = CURRENT.get()
        capability = self._capabilities.get(attempt.requires)
        if capability is None:
            raise Permanent(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"this runner does not offer {attempt.requires}"
            )
        if attempt.image is not None and not attempt.image.granted:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                f"the tenant was not, or is no longer, granted the image {attempt.image.name[:256]}",
            )
        secrets = self._vault.values(attempt.secrets, elsewhere=capability.secrets_elsewhere)
        if capability.grants:
            attempt = replace(attempt, granted=await self._intake.granted(attempt, capability.grants))
        job_type = capability.job_type
        if job_type is None:
            self._meter.started(attempt.job_type, time.monotonic() - began)
            with span.child("execute", executor=type(capability.executor).__name__) as work:
                attempt = _within(work, attempt)
                return await capability.executor.run(attempt, replace(_NOWHERE, secrets=secrets), reporter)
        attempt = self._intake.named(attempt)
        left = await _left(capability.executor, attempt)
        async with self._workspaces.open(attempt.key, left.place if left else None) as workspace:
            if left is None:
                with span.child("prepare"):
                    command = await self._lay_out(attempt, job_type, workspace, reporter)
            else:
                command = left.command
            prepared = replace(workspace, command=command, secrets=secrets)
            async with self._shadow(attempt, reporter) as look:
                self._meter.started(attempt.job_type, time.monotonic() - began)
                with span.child("execute", executor=type(capability.executor).__name__) as work:
                    outcome = await capability.executor.run(_within(work, attempt), prepared, reporter)
                with span.child("deliver"):
                    outcome = await self._handover.complete(attempt, job_type, prepared, outcome)
                return outcome if look is None else await look.added_to(outcome)

    @contextlib.asynccontextmanager
    async def _shadow(self, attempt: Attempt, reporter: Reporter) -> AsyncIterator[Look | None]:
        if self._look is None:
            yield None
            return
        async with self._look.beside(attempt, reporter) as look:
            yield look

    async def _lay_out(
        self, attempt: Attempt, job_type: JobType, workspace: Workspace, reporter: Reporter
    ) -> Command:
        await self._intake.lay_out(
            attempt,
            workspace,
            packed=job_type.takes_packed_code,
            say=lambda line: reporter.log("system", line),
        )
        command = await asyncio.to_thread(job_type.prepare, attempt, workspace)
        await self._workspaces.hand_over(workspace)
        return command


def _within(work: Span, attempt: Attempt) -> Attempt:
    """The attempt as the executor gets it: what it does belongs to this span."""
    parent = work.parent
    named = None if parent is None else str(parent)
    return attempt if named == attempt.traceparent else replace(attempt, traceparent=named)


async def _left(executor: Executor, attempt: Attempt) -> Inheritance | None:
    """Work of an older lease that goes on; a first lease has no elder."""
    if attempt.lease > 1 and isinstance(executor, Heir):
        return await executor.inherit(attempt)
    return None
