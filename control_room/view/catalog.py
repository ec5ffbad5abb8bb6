"""The catalog: what was found, and one object of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.model import CatalogObject, Fresh, Refresh, Taken, Verdict
from control_room.view import theme


def found(objects: Sequence[CatalogObject]) -> RenderableType:
    if not objects:
        return Text("nothing of that kind", style="quiet")
    table = theme.table("name", "kind", "type", "class", "comment")
    for it in objects:
        closed = it.classification == "confidential"
        table.add_row(
            Text(it.name, style="name"),
            Text(it.kind, style="quiet"),
            it.type or "",
            Text(it.classification, style="warn" if closed else "quiet"),
            _short(it.comment),
        )
    return table


def whole(it: CatalogObject) -> RenderableType:
    told = [it.kind, it.type, it.layer, it.classification, it.owner and f"owner {it.owner}"]
    if it.row_count is not None:
        told.append(f"{it.row_count} rows")
    lines: list[RenderableType] = [
        Text(it.name, style="name"),
        Text(" · ".join(str(word) for word in told if word), style="quiet"),
    ]
    if it.tags:
        lines.append(Text(", ".join(f"{key}={value}" for key, value in it.tags.items())))
    if it.comment:
        lines.append(Text(it.comment))
    if it.columns:
        table = theme.table("column", "type", "null", "class", "comment")
        for column in it.columns:
            table.add_row(
                Text(str(column["name"]), style="name"),
                str(column["type"] or ""),
                {True: "yes", False: "no"}.get(column["nullable"], ""),
                Text(str(column["classification"]), style="quiet"),
                _short(column["comment"]),
            )
        lines += [Text(), table]
    return Group(*lines)


def fresh(tables: Sequence[Fresh]) -> RenderableType:
    if not tables:
        return Text("nothing of that kind", style="quiet")
    table = theme.table("table", "status", "age", "loaded")
    for it in tables:
        style = {"pass": "good", "warn": "warn"}.get(it.status, "bad")
        age = (
            "never loaded"
            if it.age_seconds is None
            else f"{it.age_seconds // 3600} h {it.age_seconds // 60 % 60} min"
        )
        loaded = it.loaded_at.isoformat(" ", "seconds") if it.loaded_at else ""
        table.add_row(
            Text(it.name, style="name"), Text(it.status, style=style), age, Text(loaded, style="quiet")
        )
    return table


def verdicts(found: Sequence[Verdict]) -> RenderableType:
    if not found:
        return Text("no verdicts", style="quiet")
    table = theme.table("run", "table", "expectation", "action", "verdict", right=("run",))
    for it in found:
        said = "as expected" if it.success else it.message or f"{it.failed} of {it.loaded} not"
        style = "good" if it.success else "warn" if it.action == "warn" else "bad"
        name = f"{it.layer}.{it.table}"
        table.add_row(str(it.run_id), Text(name, style="name"), it.name, it.action, Text(said, style=style))
    return table


def plan(it: Refresh) -> RenderableType:
    table = theme.table("job", "tables", "", "why")
    for step in it.plan:
        runs = Text("runs", style="busy") if step["stale"] else Text("as it is", style="quiet")
        table.add_row(Text(str(step["job"]), style="name"), ", ".join(step["tables"]), runs, str(step["why"]))
    return Group(table, Text(f"run {it.run_id}" if it.run_id else "no run", style="quiet"))


def taken(it: Taken) -> RenderableType:
    table = theme.table("catalog", "seen", "changed", "gone", right=("seen", "changed", "gone"))
    for name, one in (it.catalogs or {it.catalog or "": it.raw()}).items():
        table.add_row(
            Text(name, style="name"), *(str(one.get(key, "")) for key in ("seen", "changed", "gone"))
        )
    return table


def _short(comment: object) -> str:
    flat = " ".join(str(comment or "").split())
    return flat if len(flat) <= 80 else f"{flat[:79]}…"
