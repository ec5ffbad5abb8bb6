"""A run as it happens: a bar per task, log lines above, plain lines where there is no terminal."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from control_room.async_client import AsyncClient
from control_room.errors import ApiError, Unreachable
from control_room.model import FINAL, LogLine, Run, TaskRun
from control_room.view import theme

#: How long the log may lag behind the end of its run.
LOG_PATIENCE = 5.0


class _Sign(ProgressColumn):
    """A spinner while a task runs, then the sign of its state."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(width=1))
        self._spinner = SpinnerColumn(style="busy")

    def render(self, task: Task) -> Text:
        state = str(task.fields["state"])
        if state == "RUNNING":
            drawn = self._spinner.render(task)
            return drawn if isinstance(drawn, Text) else Text(str(drawn))
        sign, style = theme.SIGNS.get(state, ("·", "none"))
        return Text(sign, style=style)


class _Took(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields["took"]), style="quiet", justify="right")


class Watch:
    """One run on one console. `follow` shows its log as well; `indent` stands before every line."""

    def __init__(self, console: Console, *, follow: bool = False, indent: str = "") -> None:
        self._console = console
        self._follow = follow
        self._indent = indent
        self._live = console.is_terminal
        self._bars = Progress(
            # columns have a space between them: it is part of the indent
            *([TextColumn(indent[1:], table_column=Column(width=len(indent) - 1))] if indent else []),
            _Sign(),
            # what user code prints is no markup
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            _Took(),
            TextColumn("{task.fields[message]}", markup=False, style="quiet", table_column=_rest()),
            console=console,
            expand=True,
            refresh_per_second=12,
        )
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, str] = {}

    async def wait(self, client: AsyncClient, run_id: int, timeout: float | None = None) -> Run:  # noqa: ASYNC109
        """Shows the run until it has ended. Raises as `client.runs.wait` does."""
        with self._bars if self._live else nullcontext():
            log = asyncio.create_task(self._log(client, run_id)) if self._follow else None
            try:
                run = await client.runs.wait(run_id, timeout=timeout, on_change=self.show)
                if log is not None:
                    await asyncio.wait([log], timeout=LOG_PATIENCE)
            finally:
                if log is not None:
                    log.cancel()
                    await asyncio.gather(log, return_exceptions=True)
        return run

    def show(self, run: Run) -> None:
        """One look at the run."""
        for task in run.tasks:
            if self._live:
                self._draw(task)
            else:
                self._tell(task)
        if run.queue_reason and not run.final and self._told.get("") != run.queue_reason:
            self._told[""] = run.queue_reason
            self._console.print(Text(f"{self._indent}waits: {run.queue_reason}", style="warn"))

    async def _log(self, client: AsyncClient, run_id: int) -> None:
        try:
            async for line in client.runs.follow(run_id):
                self._console.print(self._line(line), soft_wrap=True)
        except (ApiError, Unreachable) as error:
            # the log is an extra: without it the run is still watched
            self._console.print(Text(f"{self._indent}the log cannot be followed: {error}", style="warn"))

    def _line(self, line: LogLine) -> Text:
        style = {"stdout": "none", "stderr": "warn", "system": "quiet"}[line.stream]
        return Text.assemble(self._indent, ("│ ", "quiet"), (line.line, style))

    def _draw(self, task: TaskRun) -> None:
        fields: dict[str, Any] = {
            "state": task.state,
            "message": _message(task),
            "took": theme.between(task.started_at, task.finished_at),
        }
        percent = 100.0 if task.state == "SUCCEEDED" else task.progress.percent or 0.0
        if task.task_key not in self._tasks:
            self._tasks[task.task_key] = self._bars.add_task(task.task_key, total=100, completed=0, **fields)
        self._bars.update(self._tasks[task.task_key], completed=percent, **fields)

    def _tell(self, task: TaskRun) -> None:
        percent = f"{task.progress.percent:3.0f} %" if task.progress.percent is not None else "     "
        line = f"{task.task_key:<10} {task.state:<10} {percent}  {_message(task)}".rstrip()
        if self._told.get(task.task_key) != line:
            self._told[task.task_key] = line
            now = f"{datetime.now().astimezone():%H:%M:%S}"
            self._console.print(Text(f"{self._indent}{now}  {line}"), soft_wrap=True)


def _message(task: TaskRun) -> str:
    if task.state in FINAL and task.state != "SUCCEEDED":
        return task.termination_code or ""
    # the bars are drawn apart from what is printed, so they need their own guard
    return theme.harmless((task.progress.message or "").strip())


def _rest() -> Column:
    return Column(ratio=1, no_wrap=True, overflow="ellipsis")
