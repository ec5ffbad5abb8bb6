"""The catalog: what was found, and one object of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.model import CatalogObject, Taken
from control_room.view import ink


def found(objects: Sequence[CatalogObject]) -> RenderableType:
    if not objects:
        return Text("nothing of that kind", style="quiet")
    table = ink.table("name", "kind", "type", "class", "comment")
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
        table = ink.table("column", "type", "null", "class", "comment")
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


def taken(it: Taken) -> RenderableType:
    table = ink.table("catalog", "seen", "changed", "gone", right=("seen", "changed", "gone"))
    for name, one in (it.catalogs or {it.catalog or "": it.raw()}).items():
        table.add_row(
            Text(name, style="name"), *(str(one.get(key, "")) for key in ("seen", "changed", "gone"))
        )
    return table


def _short(comment: object) -> str:
    flat = " ".join(str(comment or "").split())
    return flat if len(flat) <= 80 else f"{flat[:79]}…"
