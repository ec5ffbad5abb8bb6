"""What a doctor found, one line each, and the mend below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from control_room.doctor import Finding

_SIGNS = {"ok": ("✓", "good"), "warn": ("!", "warn"), "fail": ("✗", "bad")}
_WIDTH = 21


def line(it: Finding) -> RenderableType:
    sign, style = _SIGNS[it.state]
    told = Text.assemble((f"{sign} {it.state:<5}", style), (f"{it.check:<{_WIDTH}}", "name"), it.said)
    if it.mend is None:
        return told
    return Group(told, Text(" " * (7 + _WIDTH) + it.mend, style="quiet"))


def summary(found: Sequence[Finding]) -> Text:
    counts = {state: sum(it.state == state for it in found) for state in _SIGNS}
    style = "bad" if counts["fail"] else "warn" if counts["warn"] else "good"
    return Text(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} to mend", style=style)
