"""What changed between two texts, as a unified diff that stays readable, whatever the texts are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from control_room.errors import ControlRoomError

MAX_LINES = 5000
#: Lines of either side that are compared line by line; what is longer is shown as replaced.
MAX_COMPARED = 20_000
CONTEXT = 3


@dataclass(frozen=True)
class Difference:
    """`lines` without their line ends; `truncated` when there are more. Empty: the texts are the same."""

    lines: tuple[str, ...]
    added: int
    removed: int
    truncated: bool


def between(old: bytes, new: bytes, old_name: str = "old", new_name: str = "new") -> Difference:
    """Raises ControlRoomError where one of them is no text (UTF-8 without NUL)."""
    before, after = _lines(old, old_name), _lines(new, new_name)
    # what is equal at both ends costs nothing: most changes are small
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    shown = max(head - CONTEXT, 0)
    rest = max(tail - CONTEXT, 0)
    left, right = before[shown : len(before) - rest], after[shown : len(after) - rest]
    if max(len(left), len(right)) > MAX_COMPARED:
        hunk = [f"@@ -{head + 1},{len(before) - head - tail} +{head + 1},{len(after) - head - tail} @@"]
        hunk += [f"-{line}" for line in before[head : len(before) - tail]]
        hunk += [f"+{line}" for line in after[head : len(after) - tail]]
    else:
        hunk = [
            _moved(line, shown)
            for line in list(difflib.unified_diff(left, right, n=CONTEXT, lineterm=""))[2:]
        ]
    added = sum(line.startswith("+") for line in hunk)
    removed = sum(line.startswith("-") for line in hunk)
    lines = [f"--- {old_name}", f"+++ {new_name}", *hunk] if hunk else []
    return Difference(tuple(lines[:MAX_LINES]), added, removed, len(lines) > MAX_LINES)


def _lines(content: bytes, name: str) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ControlRoomError(f"{name} is no text", "only texts in UTF-8 can be compared line by line")
    return text.split("\n")


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _moved(line: str, by: int) -> str:
    """A hunk's head with the numbers of the whole text."""
    if not line.startswith("@@ ") or not by:
        return line
    old, new = line[3:-3].split(" ")
    return f"@@ {_shifted(old, by)} {_shifted(new, by)} @@"


def _shifted(place: str, by: int) -> str:
    start, comma, count = place[1:].partition(",")
    return f"{place[0]}{int(start) + by}{comma}{count}"
