"""Lineage as a tree: what a dataset comes from, step by step, with its columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from control_room.flow import ColumnFlow, Dataset, Flow
from control_room.model import (
    Coverage,
    Impact,
    LineageDiff,
    LineageEvent,
    LineagePath,
    Orphan,
    Violation,
)
from control_room.view import theme

SHOWN_COLUMNS = 12
# an answer is cut at so and so many nodes, the nearest first: who wants the rest asks less at a time
NARROWER = "ask for less at a time: a smaller --depth"


def tree(flow: Flow, root: str | None = None, *, columns: bool = True) -> RenderableType:
    """From `root`, or from every dataset that nothing else is made from."""
    roots = [root] if root is not None else list(flow.ends)
    if not roots:
        return Text("no lineage", style="quiet")
    trees = [_tree(flow, name, columns=columns) for name in roots]
    if flow.truncated:
        trees.append(
            Text(f"the graph is larger than what is shown; {NARROWER}, one --direction", style="warn")
        )
    return Group(*trees)


def _tree(flow: Flow, root: str, *, columns: bool) -> RenderableType:
    made = Tree(_title(flow.datasets[root]), guide_style="quiet")
    seen: set[str] = set()
    _grow(made, flow, root, seen, columns=columns)
    return made


def _grow(branch: Tree, flow: Flow, name: str, seen: set[str], *, columns: bool) -> None:
    seen.add(name)
    if columns:
        _add_columns(branch, flow, name)
    for step in flow.made_by(name):
        limb = branch.add(Text.assemble(("made by ", "quiet"), (step.job, "job")))
        for source in step.ins:
            title = _title(flow.datasets[source])
            if source in seen:
                limb.add(title.append("  as above", style="quiet"))
            else:
                _grow(limb.add(title), flow, source, seen, columns=columns)


def _title(dataset: Dataset) -> Text:
    return Text.assemble(
        (dataset.name, f"bold {theme.layer(dataset.layer)}"),
        ("  file" if dataset.layer == "file" else "", "quiet"),
    )


def _add_columns(branch: Tree, flow: Flow, name: str) -> None:
    dataset = flow.datasets[name]
    traced = [(column, flow.origins_of(name, column.name)) for column in dataset.columns]
    if not any(it.direct and it.source != name for _, origins in traced for it in origins):
        if dataset.columns:
            names = ", ".join(column.name for column in dataset.columns[:SHOWN_COLUMNS])
            more = " …" if len(dataset.columns) > SHOWN_COLUMNS else ""
            branch.add(Text(names + more, style="quiet"))
        return
    width = max(len(column.name) for column, _ in traced[:SHOWN_COLUMNS])
    for column, origins in traced[:SHOWN_COLUMNS]:
        branch.add(Text.assemble(f"{column.name:<{width}}", _origins(flow, origins)))
    if len(traced) > SHOWN_COLUMNS:
        branch.add(Text(f"and {len(traced) - SHOWN_COLUMNS} more columns", style="quiet"))


def _origins(flow: Flow, origins: tuple[ColumnFlow, ...]) -> Text:
    """What the values come from; where from nowhere, what decided on them (a condition, a window)."""
    direct = [it for it in origins if it.direct]
    shown = direct or list(origins)
    if not shown:
        return Text()
    line = Text("  ← " if direct else "  ⇠ ", style="quiet")
    for number, it in enumerate(shown):
        source = flow.datasets[it.source]
        line.append(", " if number else "")
        line.append(f"{source.name}.{it.source_field}", style=theme.layer(source.layer))
    how = sorted({it.how for it in shown} - {"", "identity"})
    if how:
        line.append(f"  {', '.join(how)}", style="quiet")
    return line


def columns(flow: Flow, node: str) -> RenderableType:
    """Every column of a dataset with what it comes from directly, and the first columns behind it."""
    table = theme.table("column", "from", "how", "first of all")
    for column in flow.datasets[node].columns:
        origins = flow.origins_of(node, column.name)
        roots = sorted(flow.roots_of(node, column.name))
        table.add_row(
            Text(column.name, style="name"),
            _lines(flow, [(it.source, it.source_field) for it in origins if it.direct]),
            Text("\n".join(it.how for it in origins if it.direct), style="quiet"),
            _lines(flow, roots),
        )
    if flow.truncated:
        return Group(table, Text(f"there is more, further away; {NARROWER}", style="warn"))
    return table


def _lines(flow: Flow, fields: list[tuple[str, str]]) -> Text:
    parts = []
    for number, (name, field) in enumerate(fields):
        dataset = flow.datasets[name]
        parts.append(("\n" if number else "", ""))
        parts.append((f"{dataset.name}.{field}", theme.layer(dataset.layer)))
    return Text.assemble(*parts)


def path(way: LineagePath) -> RenderableType:
    """One dataset below the other."""
    if not way.found:
        return Text("there is no such way", style="warn")
    lines = [
        Text.assemble(("→ " if n else "  ", "quiet"), (_bare(node), "bold"))
        for n, node in enumerate(way.path)
    ]
    return Group(*lines, Text(theme.count(way.hops or 0, "hop"), style="quiet"))


def impact(reached: Impact) -> RenderableType:
    """Columns by how far away they are, then datasets and jobs."""
    made = Tree(Text(_bare(reached.node), style="bold"), guide_style="quiet")
    for title, lines in (
        (
            "column",
            [f"{_bare(it.dataset)}.{it.field}  {theme.count(it.hops, 'hop')}" for it in reached.columns],
        ),
        ("dataset", [_bare(it) for it in reached.datasets]),
        ("job", [_bare(it) for it in reached.jobs]),
    ):
        if lines:
            branch = made.add(Text(theme.count(len(lines), title), style="quiet"))
            for line in lines:
                branch.add(line)
    if not (reached.columns or reached.datasets or reached.jobs):
        made.add(Text("reaches nothing", style="quiet"))
    if reached.truncated:
        made.add(Text(f"and more, further away; {NARROWER}, or one --column", style="warn"))
    return made


def diff(change: LineageDiff) -> RenderableType:
    """What came with a plus, what went with a minus and why."""
    lines = [
        Text.assemble(
            (f"{sign} ", style), f"{_bare(it.source)} → {_bare(it.target)}", (f"  {_bare(it.job)}", "job"),
            (f"  {it.at:%Y-%m-%d %H:%M:%S}" + (f"  {it.by}: {it.reason}" if it.by else ""), "quiet"),
        )
        for sign, style, changes in (("+", "good", change.added), ("-", "bad", change.removed))
        for it in changes
    ]  # fmt: skip
    if change.truncated:
        lines.append(
            Text(f"the graph is larger than what was looked at; {NARROWER}, one --direction", style="warn")
        )
    return Group(*lines) if lines else Text("nothing changed", style="quiet")


def coverage(found: Coverage) -> RenderableType:
    """The figure, witness by witness; then what the graph lacks."""
    table = theme.table("witness", "flows", "covered", right=("flows", "covered"))
    for name, said in sorted(found.witnesses.items()):
        table.add_row(Text(name, style="name"), str(said.get("flows")), str(said.get("covered")))
    table.add_row(Text("all", style="bold"), str(found.flows), str(found.covered))
    lacks = [
        Text.assemble(
            ("- ", "bad"), " → ".join(_bare(end) for end in (it.source, it.target) if end),
            (f"  {it.witness}", "quiet"), (f"  run {it.run_id}" if it.run_id else "", "quiet"),
        )
        for it in found.missing
    ]  # fmt: skip
    if not found.flows:
        return Text(f"nothing flowed in {found.window_hours} h", style="quiet")
    return Group(table, *lacks)


def events(found: Sequence[LineageEvent]) -> RenderableType:
    table = theme.table("event", "received", "said", "of", "faults", right=("event",))
    for it in found:
        of = it.event.get("job") or it.event.get("dataset") or {}
        table.add_row(
            str(it.event_id),
            Text(f"{it.received_at:%Y-%m-%d %H:%M:%S}", style="quiet"),
            str(it.event.get("eventType") or ("job" if "job" in it.event else "dataset")).lower(),
            Text(f"{of.get('namespace')}:{of.get('name')}", style="name"),
            Text(
                "\n".join(f"{fault.get('path')}: {fault.get('message')}" for fault in it.faults), style="bad"
            ),
        )
    return table if found else Text("nothing was told", style="quiet")


def orphans(found: Sequence[Orphan]) -> RenderableType:
    table = theme.table("dataset", "since", "was once connected", "written", "read")
    for it in found:
        marks = ("yes" if it else "" for it in (it.was_connected, it.written, it.read))
        table.add_row(Text(_bare(it.node), style="name"), f"{it.created_at:%Y-%m-%d %H:%M}", *marks)
    return table if found else Text("nothing hangs in the air", style="quiet")


def violations(found: Sequence[Violation]) -> RenderableType:
    table = theme.table("rule", "flow", "job", "since")
    for it in found:
        table.add_row(
            Text(it.rule, style="bad"),
            f"{_bare('dataset:' + it.source)} → {_bare('dataset:' + it.target)}",
            Text(_bare(it.job), style="job"),
            f"{it.since:%Y-%m-%d %H:%M}",
        )
    return table if found else Text("no rule is broken", style="good")


def _bare(node: str) -> str:
    """A node's name without its namespace, where that is one of ours; the whole of it else."""
    kind, _, rest = node.partition(":")
    if rest.startswith("control-room://"):
        return rest.removeprefix("control-room://").partition(":")[2] or rest
    return rest if kind in {"dataset", "job", "datasetField"} else node
