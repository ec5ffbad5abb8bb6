"""Runs: lists, and one with its tasks and attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from control_room.model import ArtifactSummary, Attempt, Event, Run, RunArtifact, RunSummary, TaskRun
from control_room.view import theme

_GANTT = 28
#: Up to so many iterations all are shown; of more, those that are not dull.
_ITERATIONS = 20
_DULL = frozenset({"SUCCEEDED", "BLOCKED", "QUEUED"})


def summaries(found: Sequence[RunSummary]) -> RenderableType:
    if not found:
        return Text("no runs", style="quiet")
    table = theme.table("run", "state", "name", "type", "started", "took", right=("run", "took"))
    for run in found:
        table.add_row(
            str(run.run_id),
            theme.state(run.state),
            run.name or "",
            Text(run.job_type or "several", style="quiet"),
            theme.when(run.started_at or run.created_at),
            theme.between(run.started_at, run.finished_at),
        )
    return table


def detail(run: Run) -> RenderableType:
    parts: list[RenderableType] = [headline(run)]
    if run.termination_message and not run.succeeded:
        parts.append(Text(run.termination_message.strip(), style="bad"))
    if run.queue_reason and not run.final:
        parts.append(Text(run.queue_reason, style="warn"))
    parts += [Text(), tasks(run)]
    if run.tables:
        table = theme.table("table", "rows", right=("rows",))
        for it in run.tables:
            table.add_row(Text(f"{it.layer}.{it.table}", style=f"layer.{it.layer}"), theme.cell(it.rows))
        parts += [Text(), table]
    if run.artifacts:
        parts += [Text(), artifacts(run.artifacts)]
    if run.callbacks:
        table = theme.table("callback", "to")
        for name, url in sorted(run.callbacks.items()):
            table.add_row(name, url)
        parts += [Text(), table]
    return Group(*parts)


def headline(run: Run) -> Text:
    line = Text.assemble((f"run {run.run_id}", "name"), "  ", theme.state(run.state))
    if run.name:
        line.append(f"  {run.name}")
    if run.termination_code and run.termination_code != "SUCCESS":
        line.append(f"  {run.termination_code}", style="bad")
    times = [
        f"waited {theme.duration(run.times.queue_ms)}" if run.times.queue_ms is not None else "",
        f"ran {theme.duration(run.times.run_ms)}" if run.times.run_ms is not None else "",
    ]
    line.append("  " + ", ".join(it for it in times if it), style="quiet")
    return line


def tasks(run: Run) -> Table:
    """One line per task and, where there was more than one, per attempt; the bars share one time line."""
    start = run.times.created_at
    end = run.times.finished_at
    table = theme.table("task", "state", "", "took", "memory", "", right=("took", "memory"))
    for task in _in_order(run.tasks):
        attempt = task.attempts[-1] if task.attempts else None
        inside = task.parent_task_run_id is not None
        table.add_row(
            Text(f"  [{task.iteration}]", style="quiet") if inside else task.task_key,
            theme.state(task.state),
            _bar(start, end, task.started_at, task.finished_at, task.state),
            theme.between(task.started_at, task.finished_at),
            theme.size(attempt.peak_memory_bytes) if attempt else "",
            Text(_told(task), style="quiet"),
        )
        if len(task.attempts) > 1:
            for it in task.attempts:
                table.add_row(*_attempt(it, start, end))
    return table


def _in_order(found: Sequence[TaskRun]) -> list[TaskRun]:
    """Iterations below their for_each; of many that went well only how many there were is said."""
    inside: dict[int, list[TaskRun]] = {}
    for task in found:
        if task.parent_task_run_id is not None:
            inside.setdefault(task.parent_task_run_id, []).append(task)
    shown: list[TaskRun] = []
    for task in found:
        if task.parent_task_run_id is None:
            rounds = sorted(inside.get(task.task_run_id, []), key=lambda it: it.iteration or 0)
            if len(rounds) > _ITERATIONS:
                rounds = [it for it in rounds if it.state not in _DULL][:_ITERATIONS]
            shown += [task, *rounds]
    return shown


def _attempt(it: Attempt, start: datetime | None, end: datetime | None) -> tuple[RenderableType, ...]:
    told = " ".join(x for x in (it.termination_code, it.message) if x and x != "SUCCESS")
    return (
        Text(f"  try {it.number}", style="quiet"),
        theme.state(it.state),
        _bar(start, end, it.started_at, it.finished_at, it.state),
        theme.between(it.started_at, it.finished_at),
        theme.size(it.peak_memory_bytes),
        Text(told.splitlines()[0][:80] if told else "", style="quiet"),
    )


def _told(task: TaskRun) -> str:
    if task.state == "RUNNING":
        percent = f"{task.progress.percent:.0f} %  " if task.progress.percent is not None else ""
        return percent + (task.progress.message or "") + _inside(task)
    if task.termination_code and task.termination_code != "SUCCESS":
        return task.termination_code
    return _inside(task)


def _inside(task: TaskRun) -> str:
    """What there is to say of a task that is no work."""
    if task.condition is not None and task.condition.outcome is not None:
        return task.condition.outcome
    if task.run_job is not None and task.run_job.run_id is not None:
        return f"run {task.run_job.run_id}"
    if task.for_each is not None and task.for_each.iterations is not None:
        done = task.for_each.iterations - task.for_each.open
        return f"{done} of {task.for_each.iterations} iterations"
    return ""


def _bar(
    start: datetime | None, end: datetime | None, begun: datetime | None, done: datetime | None, state: str
) -> Text:
    if start is None or begun is None:
        return Text("·" * _GANTT, style="quiet")
    style = "bad" if theme.SIGNS.get(state, ("", ""))[1] == "bad" else "busy"
    now = end or datetime.now(start.tzinfo)
    whole = max((now - start).total_seconds(), 0.001)
    first = round((begun - start).total_seconds() / whole * _GANTT)
    last = round(((done or now) - start).total_seconds() / whole * _GANTT)
    first = max(0, min(first, _GANTT - 1))
    last = max(first + 1, min(last, _GANTT))
    return Text.assemble(
        ("·" * first, "quiet"), ("━" * (last - first), style), ("·" * (_GANTT - last), "quiet")
    )


def artifacts(found: Sequence[RunArtifact | ArtifactSummary]) -> RenderableType:
    if not found:
        return Text("no artifacts", style="quiet")
    table = theme.table("artifact", "kind", "no.", "state", "size", "sha256", right=("no.", "size"))
    table.add_column("id", no_wrap=True)
    for it in found:
        table.add_row(
            Text(it.name, style="name"),
            it.kind,
            str(it.version),
            theme.state(it.state),
            theme.size(it.size),
            Text((it.sha256 or "")[:10], style="quiet"),
            Text(it.artifact_id, style="quiet"),
        )
    return table


def events(found: Sequence[Event]) -> RenderableType:
    if not found:
        return Text("no events", style="quiet")
    table = theme.table("seq", "event", "at", "", "id", right=("seq",))
    for it in found:
        told = it.data.get("message") or it.data.get("termination_code") or it.data.get("state") or ""
        percent = it.data.get("percent")
        shown = f"{percent} %  {told}" if percent is not None else str(told)
        table.add_row(str(it.seq), it.type, theme.when(it.timestamp), shown, Text(it.event_id, style="quiet"))
    return table
