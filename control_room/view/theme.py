"""Colours, signs and units, the same everywhere.

Colour is never the only carrier of a meaning: every state has its sign and its word, so that NO_COLOR, a log
file and a colour-blind reader lose nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from control_room.flow import Layer

THEME = Theme(
    {
        "head": "bold",
        "quiet": "dim",
        "good": "green",
        "bad": "red",
        "warn": "yellow",
        "busy": "cyan",
        "name": "bold",
        "number": "none",
        "layer.file": "bright_blue",
        "layer.other": "none",
        "layer.bronze": "#c08552",
        "layer.silver": "#8fa3b8",
        "layer.gold": "#d4a72c",
        "job": "magenta",
        "repr.number": "none",
        "bar.complete": "cyan",
        "bar.finished": "green",
        "bar.pulse": "cyan",
        "bar.back": "grey30",
    }
)

SIGNS: dict[str, tuple[str, str]] = {
    "QUEUED": ("◌", "quiet"),
    "BLOCKED": ("◌", "quiet"),
    "PENDING": ("◌", "quiet"),
    "RUNNING": ("●", "busy"),
    "SUCCEEDED": ("✓", "good"),
    "READY": ("✓", "good"),
    "DELIVERED": ("✓", "good"),
    "FAILED": ("✗", "bad"),
    "TIMED_OUT": ("✗", "bad"),
    "LOST": ("✗", "bad"),
    "REFUSED": ("✗", "bad"),
    "DEAD": ("✗", "bad"),
    "CANCELED": ("–", "warn"),
    "SKIPPED": ("–", "quiet"),
    "EXPIRED": ("–", "warn"),
    "GONE": ("–", "warn"),
}

#: Where a line is cut when nobody says how wide the paper is.
PLAIN_WIDTH = 110


def console(file: TextIO | None = None, *, stderr: bool = False) -> Console:
    """A console that is as wide as the terminal, or PLAIN_WIDTH where there is none."""
    stream = file or (sys.stderr if stderr else sys.stdout)
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    # markup off: what users named or printed is shown as it is, brackets and all
    made = Console(file=stream, theme=THEME, width=width, highlight=False, emoji=False, markup=False)
    made.push_render_hook(_Harmless())
    return made


def harmless(text: str) -> str:
    """Control characters made visible: a job's log must not be able to steer the reader's terminal."""
    return text.translate(_VISIBLE)


_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}
_VISIBLE |= {0x7F: "␡"} | dict.fromkeys(range(0x80, 0xA0), "�")


class _Harmless(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Visible(it) for it in renderables]


class _Visible:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if isinstance(self._inner, Control):
            yield self._inner
            return
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


def print_json(console: Console, value: object) -> None:
    """Machine-readable: never wrapped, never coloured where it is no terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if console.is_terminal:
        console.print_json(text)
    else:
        console.file.write(text + "\n")


def state(word: str) -> Text:
    sign, style = SIGNS.get(word, ("·", "none"))
    return Text(f"{sign} {word}", style=style)


def layer(name: Layer) -> str:
    return f"layer.{name}"


def table(*columns: str, right: tuple[str, ...] = (), title: str | None = None) -> Table:
    """Lines without a box: calm in a terminal, easy to cut in a pipe."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="quiet", title=title)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(count: int | None) -> str:
    if count is None:
        return ""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MiB"


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def between(start: datetime | None, end: datetime | None) -> str:
    if start is None:
        return ""
    return duration(((end or datetime.now(UTC)) - start).total_seconds() * 1000)


def when(time: datetime | None) -> str:
    """Local time; the date only where it is another day."""
    if time is None:
        return ""
    here = time.astimezone()
    return here.strftime(
        "%H:%M:%S" if here.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M"
    )


def figure(value: float | None, unit: str = "%") -> str:
    """A rate as per cent, or a duration."""
    if value is None:
        return "–"
    return f"{value * 100:.6g} %" if unit == "%" else duration(value)


def cell(value: Any, decimals: int = 2) -> str:
    """A value of a table's row."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def cells(values: Sequence[Any]) -> list[str]:
    """A column's values: where one has decimals, all have as many, up to two."""
    fractions = [it for it in values if isinstance(it, float) and not it.is_integer()]
    decimals = max((min(2, len(f"{it:.6g}".partition(".")[2])) for it in fractions), default=0)
    wide = [
        float(it) if isinstance(it, int) and not isinstance(it, bool) and decimals else it for it in values
    ]
    return [cell(it, decimals) for it in wide]
