"""Attempts in which a model writes code: the Continue CLI in a sandbox whose only way out is its model."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.executor.base import Executor, Reporter
from runner.executor.model_proxy import ModelProxy
from runner.executor.models import Models
from runner.model.attempt import Attempt
from runner.model.errors import Permanent
from runner.model.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded, failed
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

if TYPE_CHECKING:
    import httpx

#: What Continue is configured with; the harness puts in where the model listens.
CONFIG = "continue.json"


class ContinueExecutor:
    """Runs `workspace.command` in the executor below, with a proxy to the attempt's model beside it. The
    values of the outcome are what the proxy has counted, and nothing that was printed."""

    def __init__(
        self, below: Executor, models: Models, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._below = below
        self._models = models
        self._transport = transport

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`."""
        model = self._models.by_name.get(attempt.engine)
        if model is None:
            raise Permanent(
                TerminationCode.EXECUTOR_UNAVAILABLE, f"this runner has no model {attempt.engine[:128]!r}"
            )
        if not attempt.model_granted:
            raise Permanent(
                TerminationCode.NOT_GRANTED, f"the tenant may not, or no longer, use the model {model.name!r}"
            )
        await asyncio.to_thread(_write_config, workspace.side_channel, model.inside(""))
        proxy = ModelProxy(model, self._transport)
        async with proxy.serve(workspace.side_channel):
            outcome = await self._carry(proxy, attempt, workspace, reporter)
        values = {**proxy.account, "config_sha256": self._models.digest}
        match outcome:
            case Succeeded():
                return replace(outcome, values=values)
            case PermanentFailure() | RetryableFailure():
                if proxy.failure is not None and outcome.code is TerminationCode.USER_CODE_FAILED:
                    outcome = failed(proxy.failure, outcome.usage)
                return replace(outcome, values=values)
            case _:
                return outcome

    async def _carry(
        self, proxy: ModelProxy, attempt: Attempt, workspace: Workspace, reporter: Reporter
    ) -> Outcome:
        """The work's outcome, or the proxy's when it has given the model up."""
        work = asyncio.create_task(self._below.run(attempt, workspace, reporter))
        given_up = asyncio.create_task(proxy.given_up.wait())
        try:
            await asyncio.wait((work, given_up), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                if work.cancelled():
                    assert proxy.failure is not None
                    return failed(proxy.failure)
            return work.result()
        finally:
            # nothing of the work lives when a cancellation leaves here
            given_up.cancel()
            work.cancel()
            await asyncio.gather(work, given_up, return_exceptions=True)


def _write_config(folder: Path, form: dict[str, object]) -> None:
    file = folder / CONFIG
    file.write_text(json.dumps(form), "utf-8")
    file.chmod(0o644)
