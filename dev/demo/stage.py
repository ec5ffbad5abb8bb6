"""The screen of the demo: numbered scenes with their time, checks that decide the exit code, a summary.

With a terminal there are colours and moving bars, without one plain lines; the words are the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from control_room.errors import ControlRoomError
from control_room.view import theme

INDENT = "   "


@dataclass(frozen=True)
class Check:
    """One sentence that must be true."""

    words: str
    good: bool
    found: str = ""


class Stage:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or theme.console()
        self.checks: list[Check] = []
        # scripts/demo tells when it began, so that what it had to install counts
        self._began = float(os.environ.get("CONTROL_ROOM_DEMO_BEGAN") or time.time())
        self._number = 0

    def open(self, title: str, subtitle: str) -> None:
        self.console.print()
        self.console.print(Text.assemble((title, "bold"), f"  {subtitle}"))

    @contextmanager
    def scene(self, title: str) -> Iterator[None]:
        self._number += 1
        began = time.monotonic()
        self.console.print()
        heading = Text.assemble((f"{self._number}  ", "quiet"), (title, "bold"))
        if self.console.is_terminal:
            self.console.print(Rule(heading, align="left", style="grey30", characters="─"))
        else:
            self.console.print(heading)
        yield
        self.console.print(Text(f"{INDENT}{time.monotonic() - began:.1f} s", style="quiet"))

    def show(self, shown: RenderableType) -> None:
        self.console.print(Padding(shown, (0, 0, 0, len(INDENT)), expand=False))

    def say(self, text: str | Text, style: str = "none") -> None:
        line = text if isinstance(text, Text) else Text(text, style=style)
        self.console.print(Padding(line, (0, 0, 0, len(INDENT)), expand=False))

    def gap(self) -> None:
        self.console.print()

    def check(self, words: str, good: bool, found: str = "") -> bool:
        """Remembers it for the summary and says it at once. `found` is what was there instead."""
        made = Check(words, good, found)
        self.checks.append(made)
        self.say(_line(made))
        return good

    def complain(self, error: ControlRoomError) -> None:
        self.checks.append(Check(str(error), good=False))
        self.say(Text.assemble(("✗ ", "bad"), str(error)))
        if error.hint:
            self.say(Text.assemble(("  mend  ", "warn"), error.hint))

    def close(self) -> bool:
        """The total, and whether all was true; what was not is said again."""
        bad = [it for it in self.checks if not it.good]
        total = time.time() - self._began
        self.console.print()
        if bad or not self.checks:
            self.console.print(Text(f"✗ {len(bad)} of {len(self.checks)} checks failed", style="bold red"))
            for it in bad:
                self.say(_line(it))
        else:
            self.console.print(Text(f"✓ all {len(self.checks)} checks hold", style="bold green"))
        self.console.print(Text(f"  {total:.1f} s in all", style="quiet"))
        return bool(self.checks) and not bad


def _line(check: Check) -> Text:
    line = Text.assemble(("✓ " if check.good else "✗ ", "good" if check.good else "bad"), check.words)
    if check.found and not check.good:
        line.append(f": {check.found}", style="bad")
    return line
