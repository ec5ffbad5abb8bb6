"""A small n8n for tests: the webhook, the reports and the executions as the real one was seen to speak them.

What an execution does is `params.piece`, one of `PIECES`; `executions` holds what became of each.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

TOKEN = "dispatch-secret-1"
API_KEY = "the-api-key"
Json = dict[str, Any]


@dataclass
class Execution:
    """One execution; `task` is its work."""

    body: Json
    status: str = "running"
    error: str = ""
    stopped: bool = False
    task: asyncio.Task[None] | None = None


@dataclass
class N8nDouble:
    """`tell(token, report)` is the door that reports go to; false means that the token is dead."""

    tell: Callable[[str, Json], bool]
    executions: dict[str, Execution] = field(default_factory=dict)
    away: bool = False
    api_away: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def transport(self) -> httpx.ASGITransport:
        """How an httpx client reaches it, without a port."""
        routes = [
            Route("/healthz", lambda _: JSONResponse({"status": "ok"})),
            Route("/webhook/control-room/{path}", self._start, methods=["POST"]),
            Route("/api/v1/executions", self._list),
            Route("/api/v1/executions/{id}", self._show),
            Route("/api/v1/executions/{id}/stop", self._stop, methods=["POST"]),
        ]
        return httpx.ASGITransport(Starlette(routes=routes))

    async def close(self) -> None:
        """End what still runs."""
        tasks = [each.task for each in self.executions.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, request: Request) -> Response:
        if self.away:
            raise httpx.ConnectError("refused")
        if request.headers.get("x-cr-dispatch-token") != TOKEN:
            return PlainTextResponse("Authorization data is wrong!", 403)
        if request.path_params["path"] not in ("kb-catalog", "contract"):
            return JSONResponse({"code": 404, "message": "not registered", "hint": "…"}, 404)
        body = await request.json()
        number = str(next(self._ids))
        execution = self.executions[number] = Execution(body)
        execution.task = asyncio.create_task(self._carry(number, execution))
        self.started.set()
        piece = body["params"].get("piece")
        if piece in ("lost_answer", "lost_and_silent"):
            raise httpx.ReadTimeout("the answer was lost")
        if piece == "shy":
            return JSONResponse({"message": "Workflow was started"})
        return JSONResponse({"accepted": True, "run_id": body["run_id"], "execution_id": number}, 202)

    async def _carry(self, number: str, execution: Execution) -> None:
        body = execution.body

        def report(event: str, **more: Any) -> None:
            told = {"run_id": body["run_id"], "external_id": number, "event": event, **more}
            if not self.tell(body["report_token"], told):
                execution.status = "error"

        await asyncio.sleep(0)
        match body["params"].get("piece", "succeed"):
            case "succeed" | "lost_answer" | "shy":
                report("progress", percent=10)
                await asyncio.sleep(0.02)
                report("complete", result={"values": body["params"].get("values", {})})
            case "fail_at_first" if body["attempt"] <= 1:
                report("fail", error="not yet", retryable=True)
            case "fail_at_first":
                report("complete", result={})
            case "fail":
                report("fail", error={"message": "catalog source unreachable [line 2]"})
            case "hang":
                await asyncio.sleep(600)
            case "explode":
                execution.status, execution.error = "error", "boom [line 1]"
                return
            case "crash":
                execution.status = "crashed"
                return
            case "mute" | "lost_and_silent":
                pass
            case "vanish":
                del self.executions[number]
        if execution.status == "running":
            execution.status = "success"

    def _refused(self, request: Request) -> Response | None:
        if self.api_away:
            raise httpx.ConnectError("refused")
        if request.headers.get("x-n8n-api-key") != API_KEY:
            return JSONResponse({"message": "unauthorized"}, 401)
        return None

    async def _list(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse({"data": [], "nextCursor": None})

    async def _show(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        execution = self.executions.get(request.path_params["id"])
        if execution is None:
            return JSONResponse({"message": "Not Found"}, 404)
        said: Json = {"id": request.path_params["id"], "status": execution.status, "finished": False}
        if request.query_params.get("includeData") == "true":
            error = {"message": execution.error}
            said["data"] = {"resultData": {"error": error, "lastNodeExecuted": "Play"}}
        return JSONResponse(said)

    async def _stop(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        execution = self.executions[request.path_params["id"]]
        if execution.status != "running":
            return JSONResponse({"message": "finished"}, 409)
        execution.status, execution.stopped = "canceled", True
        if execution.task is not None:
            execution.task.cancel()
        return JSONResponse({"status": "canceled"})
