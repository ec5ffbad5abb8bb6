"""Which files, and in which order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def ordered(root: Path, wanted: Sequence[str] | None) -> list[str]:
    """The SQL files as they were asked for, else all by name, numbers as numbers: 2_b.sql, 10_a.sql."""
    if wanted is not None:
        return [name for name in wanted if (root / name).is_file()]
    names = (str(path.relative_to(root)) for path in root.rglob("*.sql") if path.is_file())
    return sorted((name for name in names if not name.startswith((".", "inputs/", "outputs/"))), key=natural)


def natural(name: str) -> list[tuple[int, int, str]]:
    """What a name is sorted by."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(each), "") if each.isdigit() else (1, 0, each) for each in pieces]
