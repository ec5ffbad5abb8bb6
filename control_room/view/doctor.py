"""What a doctor found, one line each, and the mend below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from control_room.doctor import Finding

_SIGNS = {"ok": ("✓", "good"), "warn": ("!", "warn"), "fail": ("✗", "bad")}


def line(it: Finding) -> RenderableType:
    sign, style = _SIGNS[it.state]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=6)
    grid.add_column(width=20)
    grid.add_column(overflow="fold")
    said = Text(it.said)
    if it.mend is not None:
        said.append(f"\n{it.mend}", style="quiet")
    grid.add_row(Text(f"{sign} {it.state}", style=style), Text(it.check, style="name"), said)
    return grid


def summary(found: Sequence[Finding]) -> Text:
    counts = {state: sum(it.state == state for it in found) for state in _SIGNS}
    style = "bad" if counts["fail"] else "warn" if counts["warn"] else "good"
    return Text(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} to mend", style=style)
