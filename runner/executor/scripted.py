"""The public fake: does what `params.script` says, without a process. For tests and for measuring
everything else.

A script is a list of steps, one key each; without a script the attempt succeeds at once:

    {"progress": 40, "message": "…"}    {"log": "a line", "stream": "stderr"}    {"sleep_ms": 250}
    {"values": {…}}  {"lineage": [{…}]} {"write": {"outputs/a.txt": "text"}}
    {"sign": true}                      says in the values who did it: {"signed": {"attempt_id", "lease"}}
    {"stamp": "began"}                   a value of that name: what our clock says, in seconds
    {"exit": 3}      {"oom": true}      {"hang": true}      {"crash": true}
    {"fail": {"code": "INVALID_CODE", "message": "…", "retryable": false, "after_ms": 100}}

A step may have `"until": N`: it is done only while the attempt's number is at most N, so that a retry can
succeed.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from runner.executor.base import Reporter
from runner.executor.transcript import Redactor
from runner.executor.values import redacted
from runner.model.attempt import Attempt
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.outcome import Outcome, Succeeded, Usage
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

_DONE = Succeeded(usage=Usage(exit_code=0))


class ScriptedExecutor:
    """Obeys the contract suite like the others."""

    async def run(self, attempt: Attempt, workspace: Workspace, reporter: Reporter) -> Outcome:
        """See `executor.base.Executor`."""
        script = attempt.params.get("script")
        if not script:
            return _DONE
        return await _Play(workspace, reporter).run(attempt, script)


class _Play:
    def __init__(self, workspace: Workspace, reporter: Reporter) -> None:
        self._workspace = workspace
        self._reporter = reporter
        self._redact = Redactor(workspace.secrets.values())
        self._values: dict[str, Any] = {}
        self._lineage: list[dict[str, Any]] = []

    async def run(self, attempt: Attempt, script: list[dict[str, Any]]) -> Outcome:
        for step in script:
            if attempt.number <= step.get("until", attempt.number):
                if "sign" in step:
                    self._values["signed"] = {"attempt_id": attempt.attempt_id, "lease": attempt.lease}
                    continue
                await self._do(step)
        usage = Usage(exit_code=0)
        self._reporter.usage(usage)
        return Succeeded(usage=usage, values=self._values, lineage=tuple(self._lineage))

    async def _do(self, step: dict[str, Any]) -> None:
        match step:
            case {"progress": int(percent)}:
                self._reporter.progress(percent, self._redact(str(step.get("message", ""))))
            case {"log": str(line)}:
                self._reporter.log(str(step.get("stream", "stdout")), self._redact(line))
            case {"sleep_ms": int() | float() as milliseconds}:
                await asyncio.sleep(milliseconds / 1000)
            case {"values": dict(values)}:
                self._values.update(redacted(values, self._redact))
            case {"stamp": str(name)}:
                self._values[name] = time.time()
            case {"lineage": list(events)}:
                self._lineage.extend(events)
            case {"write": dict(files)}:
                self._write(files)
            case {"exit": 0}:
                pass
            case {"exit": int()} | {"oom": True} | {"fail": dict()}:
                raise self._failure(step)
            case {"hang": True}:
                await asyncio.Event().wait()
            case {"crash": True}:
                raise RuntimeError("the script told the executor to crash")
            case _:
                raise Permanent(TerminationCode.INVALID_CODE, f"no such step: {sorted(step)}")

    def _write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self._workspace.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _failure(self, step: dict[str, Any]) -> Failure:
        match step:
            case {"exit": int(code)}:
                self._reporter.usage(Usage(exit_code=code))
                return Retryable(TerminationCode.USER_CODE_FAILED, f"exit code {code}")
            case {"fail": dict(said)}:
                word = TerminationCode(said.get("code", "USER_CODE_FAILED"))
                message = str(said.get("message", "the script failed"))
                if said.get("retryable", False):
                    return Retryable(word, message, said.get("after_ms"))
                return Permanent(word, message)
            case _:
                self._reporter.usage(Usage(exit_code=137))
                return Retryable(TerminationCode.OUT_OF_MEMORY, "the script ran out of memory")
