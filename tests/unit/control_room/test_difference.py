"""The unified diff of two versions: as difflib makes it, and bounded where that would take for ever."""

from __future__ import annotations

import difflib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room import difference
from control_room.errors import ControlRoomError

LINES = st.lists(st.sampled_from(["a", "b", "c", "same", ""]), max_size=30)


def text(lines: list[str]) -> bytes:
    return "\n".join(lines).encode()


@given(LINES, LINES)
def test_it_is_what_difflib_says_of_the_whole(old: list[str], new: list[str]) -> None:
    found = difference.between(text(old), text(new))

    assert _applied(text(old).decode().split("\n"), list(found.lines)) == text(new).decode().split("\n")
    assert (found.lines == ()) == (text(old) == text(new))
    assert found.added == sum(it.startswith("+") for it in found.lines[2:])


def _applied(old: list[str], diff: list[str]) -> list[str]:
    """The diff applied by its own numbers: they are those of the whole text."""
    new: list[str] = []
    at = 0
    for line in diff[2:]:
        if line.startswith("@@"):
            start, _, count = line.split(" ")[1][1:].partition(",")
            begin = int(start) - (0 if count == "0" else 1)
            new += old[at:begin]
            at = begin
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            if line.startswith(" "):
                new.append(old[at])
            at += 1
    return new + old[at:]


def test_names_and_context_are_as_everywhere() -> None:
    old, new = [f"line {n}" for n in range(100)], [f"line {n}" for n in range(100)]
    new[50] = "changed"
    expected = tuple(difflib.unified_diff(old, new, "f v1", "f v2", lineterm=""))

    assert difference.between(text(old), text(new), "f v1", "f v2").lines == expected


def test_two_long_strangers_are_told_apart_in_time() -> None:
    old = text([f"old {n % 7}" for n in range(200_000)])
    new = text([f"new {n % 5}" for n in range(200_000)])
    began = time.monotonic()
    found = difference.between(old, new)

    assert time.monotonic() - began < 2
    assert (len(found.lines), found.truncated, found.added, found.removed) == (
        difference.MAX_LINES,
        True,
        200_000,
        200_000,
    )


@pytest.mark.parametrize("other", [b"\xff\xfe", b"a\0b"])
def test_what_is_no_text_has_no_lines(other: bytes) -> None:
    with pytest.raises(ControlRoomError, match="new is no text"):
        difference.between(b"text", other)
