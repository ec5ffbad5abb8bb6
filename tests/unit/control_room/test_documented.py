"""What the pages say to type is there: every `control-room …` in a block names a command and options that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from control_room.cli.main import app

CLONE = Path(__file__).resolve().parents[3]
PAGES = [
    CLONE / "README.md",
    *sorted((CLONE / "docs").glob("*.md")),
    *sorted((CLONE / "examples").rglob("*.md")),
]


def typed(page: Path) -> Iterator[list[str]]:
    for block in re.findall(r"^ *```(?:sh|text)\b[^\n]*\n(.*?)^ *```$", page.read_text(), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|&& |\()(?:\.venv/bin/)?control-room ([^|&<>]*)", line.strip())
            if found:
                yield shlex.split(found[1], comments=True)


def wrong(words: list[str]) -> str | None:
    """Why the command line would refuse these words before it asks anybody; None where it would not."""
    at: Any = typer.main.get_command(app)
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word != "-":
            option = word.split("=")[0]
            known = next((it for it in at.params if option in (*it.opts, *it.secondary_opts)), None)
            if option in {"--help", "-h", "--install-completion"}:
                continue
            if known is None:
                return f"{at.name} has no {option}"
            if not known.is_flag and "=" not in word and rest:
                rest.pop(0)
        elif hasattr(at, "commands"):
            if word not in at.commands:
                return f"there is no command {word}"
            at = at.commands[word]
    return (
        f"{at.name} wants a command"
        if hasattr(at, "commands") and at.name and "--profile" not in words
        else None
    )


def test_what_the_pages_say_to_type_is_there() -> None:
    found = {f"{page.name}: {' '.join(words)}": wrong(words) for page in PAGES for words in typed(page)}

    assert len(found) > 40
    assert {line: why for line, why in found.items() if why} == {}
    assert wrong(["runs", "repare", "5"]) == "there is no command repare"
    assert wrong(["apply", "-f", "x", "--prone"]) == "apply has no --prone"
