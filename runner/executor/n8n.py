"""Attempts as executions of an n8n workflow: started by its webhook, ended by its report, watched by the API.

    POST {n8n}/webhook/control-room/<workflow>   → 202 {execution_id}
    …the workflow reports to {functions}/v1/attempts/{id}/report, with a token of its own…
    GET  {n8n}/api/v1/executions/{id}            what became of one that falls silent
    POST {n8n}/api/v1/executions/{id}/stop       when the run is canceled or out of time

A report of the end is believed; the API is asked only because a crashed execution reports nothing. The token
outlives a lease: who claims the attempt next adopts the execution. A start whose answer was lost is given a
moment to speak up; after that it is a failure, and what it started speaks with a token that is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from runner.executor.base import Mailbox, Reporter
from runner.lineage import openlineage
from runner.model.attempt import Attempt
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.outcome import (
    MESSAGE_LIMIT,
    Outcome,
    PermanentFailure,
    RetryableFailure,
    Succeeded,
    Usage,
)
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from runner.model.wire import Opening
from runner.model.workspace import Workspace

log = logging.getLogger(__name__)

#: Where what the workflow returned lies for the job type.
RESULT = "result.json"
REQUEST = "request.json"
HEADER = "X-CR-Dispatch-Token"
START_SECONDS = 30.0
#: How often n8n is asked about an execution from which nothing is heard.
LOOK_SECONDS = 5.0
#: How long a start without an answer, or an end without a report, may still speak up.
GRACE_SECONDS = 10.0
STOP_SECONDS = 5.0
_WORKFLOW = re.compile(r"[a-z][a-z0-9_-]{0,62}")
#: How an execution may have ended, as n8n says it.
_ENDED = frozenset({"success", "error", "crashed", "canceled"})


@dataclass(frozen=True, slots=True)
class Site:
    """Where n8n is, and where it finds us. `url` and `functions_url` have no slash at the end; `api_key` is
    that of n8n's public API, without which a silent execution is found by its deadline alone."""

    url: str
    functions_url: str
    token: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)
    anon_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Look:
    """One execution as n8n knows it: a status of its own, or "gone"."""

    status: str
    message: str = ""

    @property
    def is_over(self) -> bool:
        return self.status in _ENDED or self.status == "gone"


class N8nExecutor:
    """See `executor.base.Executor`."""

    def __init__(
        self,
        site: Site,
        mailbox: Mailbox,
        *,
        look_seconds: float = LOOK_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._site = site
        self._mailbox = mailbox
        self._look = look_seconds
        self._grace = grace_seconds
        self._http = httpx.AsyncClient(
            transport=transport, timeout=START_SECONDS, trust_env=False, follow_redirects=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def reason(self) -> str:
        """Why nothing can be carried out there, in one line with the mend; "" when it can."""
        try:
            answer = await self._http.get(f"{self._site.url}/healthz", timeout=STOP_SECONDS)
            if answer.status_code != 200:
                return f"n8n answers {answer.status_code} (CONTROL_ROOM_N8N_URL)"
            if self._site.api_key is None:
                return ""
            answer = await self._ask("GET", "/executions?limit=1")
        except httpx.HTTPError as error:
            return f"n8n cannot be reached: {type(error).__name__} (CONTROL_ROOM_N8N_URL)"
        if answer.status_code != 200:
            return f"n8n's API answers {answer.status_code} (CONTROL_ROOM_N8N_API_KEY)"
        return ""

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`."""
        workflow = str(attempt.params.get("workflow", attempt.job_type))
        if not _WORKFLOW.fullmatch(workflow):
            raise Permanent(TerminationCode.INVALID_CODE, f"{workflow[:64]!r} is no name of a workflow")
        if attempt.secrets:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                "secrets are not handed to n8n: keep them in its credentials, and submit without secrets",
            )
        opening = await self._mailbox.open(attempt, workflow)
        execution = opening.external_id or attempt.external_id
        if opening.token is not None:
            execution = await self._start(attempt, workspace, reporter, workflow, opening)
        elif execution is not None:
            reporter.log("system", f"goes on with execution {execution} of the workflow {workflow}")
        try:
            report = await self._attend(attempt, reporter, execution)
        except asyncio.CancelledError:
            known = (await self._patience(self._mailbox.wait(attempt, 1.0))) if execution is None else None
            execution = execution or (known.external_id if known is not None else None)
            await self._maybe_stop(execution, reporter)
            raise
        return self._outcome(report, workspace, reporter, workflow)

    # -- the start

    async def _start(
        self, attempt: Attempt, workspace: Workspace, reporter: Reporter, workflow: str, opening: Opening
    ) -> str | None:
        """Starts an execution; its id, if n8n told it. Raises Permanent or Retryable."""
        form = self._form(attempt, workspace, opening)
        starting = asyncio.create_task(self._dispatch(workflow, form, attempt.traceparent))
        try:
            execution = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A start that is cancelled half-way leaves an execution behind: hear of it, then end it.
            with contextlib.suppress(Failure, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._maybe_stop(await starting, reporter)
            starting.cancel()
            raise
        if execution is None:
            told = await self._mailbox.wait(attempt, self._grace)
            execution = told.external_id
            if execution is None and told.report is None:
                raise _unavailable("n8n did not say whether the workflow was started")
        if execution is not None:
            reporter.external_id(execution)
            reporter.log("system", f"execution {execution} of the workflow {workflow}")
        return execution

    def _form(self, attempt: Attempt, workspace: Workspace, opening: Opening) -> dict[str, Any]:
        """What the workflow is told. `request` is what the job type would tell its own harness."""
        ours = f"{self._site.functions_url}/v1/attempts/{attempt.attempt_id}"
        request = workspace.side_channel / REQUEST
        return {
            "run_id": attempt.run_id,
            "attempt_id": attempt.attempt_id,
            "attempt": attempt.number,
            "tenant": attempt.tenant_slug,
            "job_type": attempt.job_type,
            "task_key": attempt.task_key,
            "spec": attempt.spec,
            "params": attempt.params,
            "inputs": [
                {"name": each.name, "url": f"{ours}/inputs/{quote(each.name, safe='')}"}
                for each in attempt.inputs
                if each.artifact_id is not None
            ],
            "request": json.loads(request.read_text("utf-8")) if request.is_file() else None,
            "timeout_seconds": attempt.timeout_seconds,
            "report_url": f"{ours}/report",
            "report_token": opening.token,
            "api_key": self._site.anon_key or "",
        }

    async def _dispatch(self, workflow: str, form: dict[str, Any], traceparent: str | None) -> str | None:
        """The execution's id; None where it may have been started and n8n did not say so."""
        headers = {HEADER: self._site.token, **({"traceparent": traceparent} if traceparent else {})}
        path = f"control-room/{workflow.replace('_', '-')}"
        try:
            answer = await self._http.post(f"{self._site.url}/webhook/{path}", json=form, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _unavailable(f"n8n cannot be reached: {type(error).__name__}") from error
        except httpx.HTTPError:
            return None
        if answer.status_code in (401, 403):
            raise _unavailable("n8n refuses the runner's token: CONTROL_ROOM_N8N_TOKEN is not the workflow's")
        if answer.status_code == 404:
            raise _unavailable(f"n8n has no active workflow with the webhook {path}: import and publish it")
        if not answer.is_success:
            raise _unavailable(f"n8n answered {answer.status_code} to the start")
        execution = _object(answer).get("execution_id")
        return None if execution is None else str(execution)[:512]

    # -- the wait

    async def _attend(self, attempt: Attempt, reporter: Reporter, execution: str | None) -> dict[str, Any]:
        """The report of the end. Raises Permanent or Retryable where there will be none."""
        while True:
            told = await self._mailbox.wait(attempt, self._look)
            if told.report is not None:
                return told.report
            if execution is None and told.external_id is not None:
                execution = told.external_id
                reporter.external_id(execution)
            found = await self._ask_about(execution) if execution is not None else None
            if found is not None and found.is_over:
                # its report may be on its way
                told = await self._mailbox.wait(attempt, self._grace)
                if told.report is not None:
                    return told.report
                raise _silent(found)

    async def _ask_about(self, execution: str) -> _Look | None:
        """None where nothing can be known now."""
        if self._site.api_key is None:
            return None
        path = f"/executions/{quote(execution, safe='')}"
        try:
            answer = await self._ask("GET", path)
            if answer.status_code == 404:
                return _Look("gone")
            status = str(_object(answer).get("status", ""))
            if not answer.is_success or status not in _ENDED:
                return _Look(status) if answer.is_success else None
            if status != "error":
                return _Look(status)
            return _Look(status, _error_of(_object(await self._ask("GET", f"{path}?includeData=true"))))
        except httpx.HTTPError as error:
            log.warning("n8n_not_asked", extra={"execution": execution, "reason": type(error).__name__})
            return None

    async def _ask(self, method: str, path: str) -> httpx.Response:
        key = {"X-N8N-API-KEY": self._site.api_key or ""}
        return await self._http.request(
            method, f"{self._site.url}/api/v1{path}", headers=key, timeout=STOP_SECONDS
        )

    # -- the end

    async def _maybe_stop(self, execution: str | None, reporter: Reporter) -> None:
        """Ends an execution that nobody wants any more; one that somebody will adopt goes on."""
        if reporter.stop not in (Stop.CANCELED, Stop.DEADLINE):
            return
        if execution is None or self._site.api_key is None:
            reporter.log("system", "the execution could not be stopped: its token is dead, it ends by itself")
            return
        answer = await self._patience(self._ask("POST", f"/executions/{quote(execution, safe='')}/stop"))
        # 409: it has ended meanwhile
        if answer is None or answer.status_code not in (200, 404, 409):
            log.warning("n8n_not_stopped", extra={"execution": execution})
            return
        reporter.log("system", f"execution {execution} was stopped")

    async def _patience(self, what: Awaitable[Any]) -> Any:
        """What comes of it within a moment, although we are being cancelled; None if nothing does."""
        with contextlib.suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                return await asyncio.shield(asyncio.ensure_future(what))
        return None

    @property
    def _namespace(self) -> str:
        """Where lineage finds the workflows of this n8n."""
        site = urlsplit(self._site.url)
        return f"n8n://{site.hostname}{f':{site.port}' if site.port else ''}"

    def _outcome(
        self, report: dict[str, Any], workspace: Workspace, reporter: Reporter, workflow: str
    ) -> Outcome:
        if report.get("event") != "complete":
            message = _words(report.get("error"))
            reporter.log("system", f"the workflow reported a failure: {message}")
            if report.get("retryable") is True:
                return RetryableFailure(code=TerminationCode.USER_CODE_FAILED, message=message)
            return PermanentFailure(code=TerminationCode.USER_CODE_FAILED, message=message)
        result = report.get("result")
        result = result if isinstance(result, dict) else {}
        workspace.outputs.mkdir(parents=True, exist_ok=True)
        (workspace.outputs / RESULT).write_text(json.dumps(result), "utf-8")
        values = result.get("values")
        usage = Usage(exit_code=0)
        reporter.usage(usage)
        return Succeeded(
            usage=usage,
            values=values if isinstance(values, dict) else {},
            lineage=(openlineage.hop(self._namespace, workflow, datetime.now(UTC)),),
        )


def _silent(found: _Look) -> Failure:
    """What it means that an execution has ended without a report."""
    match found.status:
        case "error":
            return Retryable(
                TerminationCode.USER_CODE_FAILED,
                f"the execution failed: {found.message or 'n8n has no reason'}",
            )
        case "canceled":
            return Permanent(TerminationCode.USER_CODE_FAILED, "the execution was stopped in n8n")
        case "success":
            return Retryable(
                TerminationCode.OUTPUT_INVALID, "the execution ended without a report that reached us"
            )
        case _:
            return _unavailable("n8n lost the execution: it crashed, or was removed")


def _unavailable(message: str) -> Retryable:
    return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, message)


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _error_of(execution: dict[str, Any]) -> str:
    """Why an execution failed; of its data nothing else is looked at, for they hold tokens and documents."""
    node: Any = execution
    for name in ("data", "resultData", "error", "message"):
        node = node.get(name) if isinstance(node, dict) else None
    return _words(node) if isinstance(node, str) else ""


def _words(said: object) -> str:
    """What a workflow gives as its reason, as one line."""
    if isinstance(said, dict):
        said = said.get("message") or said.get("description") or json.dumps(said)
    text = said if isinstance(said, str) and said.strip() else "the workflow gave no reason"
    return "".join(c if c.isprintable() else " " for c in text)[:MESSAGE_LIMIT]
