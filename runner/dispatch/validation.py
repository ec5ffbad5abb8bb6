"""Validation of code as a step of something else: what the loop asks before it lets code run.

code → workspace → the tools, in the sandbox → Report
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.dispatch.intake import Intake
from runner.dispatch.workspaces import Workspaces
from runner.executor.base import Executor, Reporter
from runner.jobtype.base import Exit
from runner.jobtype.code_validation import CodeValidation
from runner.jobtype.code_validation.report import Report
from runner.model.attempt import Attempt, Code
from runner.model.errors import Permanent, Retryable
from runner.model.outcome import PermanentFailure, RetryableFailure, Succeeded
from runner.model.termination import TerminationCode


class Validation:
    """Validates code under an attempt's lease. Acting on the verdict is the caller's."""

    def __init__(
        self, executor: Executor, job_type: CodeValidation, workspaces: Workspaces, intake: Intake
    ) -> None:
        self._executor = executor
        self._job_type = job_type
        self._workspaces = workspaces
        self._intake = intake

    async def validate(
        self, attempt: Attempt, code: Code, params: Mapping[str, Any], reporter: Reporter
    ) -> Report:
        """The report on `code`, also when the verdict is failed or inconclusive.

        Raises Permanent or Retryable when there is no report (code that cannot be unpacked, no time, no
        memory).
        """
        asked = replace(
            attempt,
            job_type=CodeValidation.name,
            engine="default",
            code=code,
            params=dict(params),
            inputs=(),
            outputs=(),
            secrets=(),
            network=False,
        )
        async with self._workspaces.open(attempt.key, beside="validation") as workspace:
            await self._intake.lay_out(asked, workspace, packed=self._job_type.takes_packed_code)
            command = await asyncio.to_thread(self._job_type.prepare, asked, workspace)
            await self._workspaces.hand_over(workspace)
            outcome = await self._executor.run(asked, replace(workspace, command=command), reporter)
            match outcome:
                case Succeeded():
                    return await asyncio.to_thread(self._job_type.report, workspace, Exit(0))
                case PermanentFailure() | RetryableFailure() if (
                    outcome.code is TerminationCode.USER_CODE_FAILED
                ):
                    code_ = outcome.usage.exit_code or 1
                    return await asyncio.to_thread(self._job_type.report, workspace, Exit(code_))
                case RetryableFailure():
                    raise Retryable(outcome.code, outcome.message)
                case _:
                    raise Permanent(
                        getattr(outcome, "code", TerminationCode.DEADLINE_EXCEEDED), outcome.message
                    )
