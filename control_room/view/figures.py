"""Success figures, health, callbacks, jobs, tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.model import (
    Backfill,
    Clock,
    Delivery,
    Endpoint,
    Health,
    Job,
    JsonObject,
    Network,
    Paused,
    Slo,
    Table,
)
from control_room.view import theme

#: figure, what it says, unit, whether more is better
_FIGURES = (
    ("success_rate_platform", "runs not failed by the platform", "%", True),
    ("mean_execution_ms", "mean execution time", "ms", False),
    ("lineage_coverage", "data flows with lineage", "%", True),
    ("callback_delivery", "callbacks brought to an end", "%", True),
)


def slo(found: Slo) -> RenderableType:
    table = theme.table("figure", "measured", "target", "", right=("measured", "target"))
    for name, words, unit, more in _FIGURES:
        measured = getattr(found, name)
        target = found.targets.get(name)
        table.add_row(
            words,
            Text(theme.figure(measured, unit), style="name"),
            Text(_target(target, unit, more=more), style="quiet"),
            _verdict(meets(measured, target, more=more), more=more),
        )
    runs = found.runs
    told = (
        f"{theme.count(runs.get('finished', 0), 'run')} in {found.window_hours} h: "
        f"{runs.get('succeeded', 0)} succeeded, "
        f"{runs.get('failed', 0)} failed, {runs.get('failed_by_platform', 0)} of these by the platform"
    )
    return Group(table, Text(told, style="quiet"))


def meets(measured: float | None, target: float | None, *, more: bool) -> bool | None:
    if measured is None or target is None:
        return None
    return measured >= target if more else measured <= target


def _target(target: float | None, unit: str, *, more: bool) -> str:
    return "" if target is None else f"{'≥' if more else '≤'} {theme.figure(target, unit)}"


def _verdict(good: bool | None, *, more: bool) -> Text:
    if good is None:
        return Text("not measured yet", style="quiet")
    return Text("✓", style="good") if good else Text(f"✗ {'below' if more else 'above'} target", style="bad")


def health(found: Health) -> RenderableType:
    good = found.status == "ok"
    head = Text.assemble(("✓ " if good else "✗ ", "good" if good else "bad"), found.status.replace("_", " "))
    if not found.runners:
        return Group(head, Text("no runner is there: submitted runs wait", style="warn"))
    table = theme.table("runner", "offers", "sandbox", "seen")
    for runner in found.runners:
        table.add_row(
            str(runner.get("name") or runner.get("version") or ""),
            ", ".join(str(it) for it in runner.get("offers") or []),
            _sandbox(runner.get("sandbox")),
            _seen(runner.get("seen_at")),
        )
    return Group(head, table)


def _seen(told: object) -> str:
    try:
        return theme.when(datetime.fromisoformat(str(told)))
    except ValueError:
        return ""


def _sandbox(told: object) -> str:
    if isinstance(told, dict):
        plain = {name: value for name, value in told.items() if not isinstance(value, dict | list)}
        return ", ".join(f"{name}: {value}" for name, value in plain.items())
    return str(told or "")


def deliveries(found: Sequence[Delivery]) -> RenderableType:
    if not found:
        return Text("no deliveries", style="quiet")
    table = theme.table(
        "delivery", "state", "event", "run", "seq", "tries", "to", "", right=("run", "seq", "tries")
    )
    for it in found:
        trouble = it.last_error or (str(it.last_status) if it.last_status and it.state != "DELIVERED" else "")
        if it.state == "PENDING" and it.tries and it.next_at:
            trouble += f"; again at {theme.when(it.next_at)}"
        table.add_row(
            str(it.delivery_id),
            theme.state(it.state),
            it.type or "",
            str(it.run_id or ""),
            str(it.seq or ""),
            str(it.tries),
            it.url or "",
            Text(trouble, style="quiet"),
        )
    return table


def jobs(found: Sequence[Job]) -> RenderableType:
    if not found:
        return Text("no jobs", style="quiet")
    table = theme.table("job", "name", "version", "changed", right=("job", "version"))
    for it in found:
        table.add_row(
            str(it.job_id), Text(it.name, style="name"), str(it.version or ""), theme.when(it.updated_at)
        )
    return table


def job(found: Job) -> RenderableType:
    head = Text.assemble(
        (f"job {found.job_id}", "name"), f"  {found.name}", (f"  version {found.version}", "quiet")
    )
    table = theme.table("task", "type", "after", "spec")
    for task in found.tasks:
        after = ", ".join(
            str(it.get("task_key") if isinstance(it, dict) else it) for it in task.get("depends_on") or []
        )
        table.add_row(
            str(task.get("task_key")),
            _kind(task),
            after,
            Text(_purpose(task), style="quiet"),
        )
    return Group(head, table)


def _kind(task: JsonObject) -> str:
    """The job type, or what a task does that is no work."""
    nested = task.get("task")
    if isinstance(nested, dict):
        return f"for each: {_kind(nested)}"
    kind = task.get("kind") or next((it for it in ("condition", "run_job") if task.get(it)), None)
    return str(task.get("job_type") or kind or "").replace("_job", " job")


def _purpose(task: JsonObject) -> str:
    if isinstance(started := task.get("run_job"), dict):
        return f"job {started.get('job_id')}"
    if isinstance(it := task.get("condition"), dict):
        sides = [
            side if isinstance(side, str) else json.dumps(side) for side in (it.get("left"), it.get("right"))
        ]
        return f"{sides[0]} {it.get('op')} {sides[1]}"
    if isinstance(nested := task.get("task"), dict):
        return _purpose(nested)
    told = str(task.get("spec") or "").strip().splitlines()
    return told[0] if told else ""


def paused(found: Paused) -> RenderableType:
    state = "is paused" if found.paused else f"starts by itself: next {found.next_fire_at or 'when told'}"
    return Text(f"job {found.job_id} {state}")


def clock(found: Clock) -> RenderableType:
    """The definition in one line, the next times below it, and what went wrong the last time."""
    words = ", ".join(f"{name} {value}" for name, value in found.definition.items() if name != "paused")
    lines: list[RenderableType] = [
        Text.assemble((f"job {found.job_id}", "name"), f"  {found.type}  ", (words, "quiet"))
    ]
    if found.paused:
        lines.append(Text("paused", style="quiet"))
    lines += [Text(f"  {it.isoformat(sep=' ')}") for it in found.upcoming]
    if found.last_run_id is not None:
        lines.append(Text(f"last started {found.last_fired_at}: run {found.last_run_id}", style="quiet"))
    if found.last_error is not None:
        lines.append(
            Text(
                f"not started: {found.last_error.get('code')}: {found.last_error.get('message')}", style="bad"
            )
        )
    return Group(*lines)


def _standing(found: Backfill) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))


def backfills(found: Sequence[Backfill]) -> RenderableType:
    if not found:
        return Text("no backfills", style="quiet")
    table = theme.table("backfill", "parameter", "runs", "", "made", right=("backfill", "runs"))
    for it in found:
        table.add_row(
            str(it.backfill_id), it.parameter or "", str(it.total), _standing(it), theme.when(it.created_at)
        )
    return table


def backfill(found: Backfill) -> RenderableType:
    head = Text.assemble(
        (f"backfill {found.backfill_id}", "name"), f"  {theme.count(found.total, 'run')}: {_standing(found)}"
    )
    if not found.runs:
        return head
    table = theme.table("value", "run", "state", right=("run",))
    for it in found.runs:
        said = "" if it.value is None else it.value if isinstance(it.value, str) else json.dumps(it.value)
        table.add_row(said, str(it.run_id), theme.state(it.state))
    return Group(head, table)


def rows(found: Table) -> RenderableType:
    """The rows of a table of a layer."""
    names = [str(it["name"]) for it in found.columns]
    made = theme.table()
    cells = {name: theme.cells([row.get(name) for row in found.rows]) for name in names}
    for name in names:
        numeric = any(isinstance(row.get(name), int | float) for row in found.rows)
        # words of a name may stand below each other, those of a value stay together
        made.add_column(
            name if len(name) < 12 else name.replace("_", " "),
            justify="right" if numeric else "left",
            no_wrap=not numeric,
            overflow="ellipsis",
        )
    for index in range(len(found.rows)):
        made.add_row(*(cells[name][index] for name in names))
    return made


def endpoints(found: Sequence[Endpoint]) -> RenderableType:
    if not found:
        return Text("no endpoints", style="quiet")
    table = theme.table("endpoint", "url", "events", "")
    for it in found:
        events = ", ".join(it.events) or "runs that name it"
        trouble = f"{it.failures} failures since {theme.when(it.failing_since)}" if it.failing_since else ""
        trouble = f"disabled: {it.disabled_reason}" if it.disabled_at else trouble
        table.add_row(Text(it.endpoint_id, style="quiet"), it.url, events, Text(trouble, style="warn"))
    return table


def networks(found: Sequence[Network]) -> RenderableType:
    if not found:
        return Text("no networks", style="quiet")
    table = theme.table("network", "cidr", "ports", "by", right=("network",))
    for it in found:
        ports = "the ordinary ones" if it.ports is None else ", ".join(map(str, it.ports))
        table.add_row(
            str(it.network_id), Text(it.cidr, style="name"), ports, Text(it.created_by or "", style="quiet")
        )
    return table
