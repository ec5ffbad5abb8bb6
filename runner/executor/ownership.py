"""Who made a directory or a control group, and whether they still live.

A name of the form `runner-<pid>-<start time>` says which process owns what is inside. The start time (ticks
since boot, field 22 of /proc/<pid>/stat) tells a living owner from a stranger that was given the same pid.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAME = re.compile(r"runner-(\d+)-(\d+)")


def own_name() -> str:
    """The name under which this process keeps things."""
    return f"runner-{os.getpid()}-{_start_time(os.getpid())}"


def is_orphan(name: str) -> bool:
    """True when the name is of our form and its owner is gone."""
    match = _NAME.fullmatch(name)
    return match is not None and _start_time(int(match[1])) != int(match[2])


def _start_time(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name is in parentheses and may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    if fields[0] == "Z":
        return None  # it only waits to be reaped
    return int(fields[19])
