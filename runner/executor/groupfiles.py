"""The plain files of control groups: reading, writing, killing what is inside, removing."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from pathlib import Path

from runner.executor import ownership

log = logging.getLogger(__name__)

REMOVE_TRIES = 50


def orphans(root: Path) -> list[str]:
    """Names below `root` whose owner is gone."""
    try:
        return [entry.name for entry in root.iterdir() if ownership.is_orphan(entry.name)]
    except OSError:
        return []


def folders(root: Path) -> list[Path]:
    """The groups in `root`."""
    try:
        return [entry for entry in root.iterdir() if entry.is_dir()]
    except OSError:
        return []


def remove_tree(folder: Path) -> None:
    """Kill and remove the groups in `folder`, then itself."""
    with contextlib.suppress(FileNotFoundError):  # another runner may be sweeping beside us
        for child in folder.iterdir():
            if child.is_dir():
                kill_all(child)
                remove(child)
        remove(folder)


def remove_deep(folder: Path) -> None:
    """Kill and remove a group with all groups in it; nothing when it is not there."""
    if folder.is_dir():
        for inside, _, _ in os.walk(folder, topdown=False):
            kill_all(Path(inside))
            remove(Path(inside))


def remove(folder: Path) -> None:
    """rmdir, which answers EBUSY for a moment after the last process has gone."""
    for _ in range(REMOVE_TRIES):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
    log.warning("cgroup_left", extra={"path": str(folder)})


def kill_all(folder: Path) -> None:
    """SIGKILL until nobody is left: a fork may slip through one round."""
    for _ in range(REMOVE_TRIES):
        left = pids(folder)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def pids(folder: Path) -> list[int]:
    """Processes in the group now."""
    return [int(word) for word in words(folder / "cgroup.procs") if int(word) > 0]


def words(path: Path) -> set[str]:
    """The words of a file; none when it cannot be read."""
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def number(path: Path) -> int | None:
    """The number in a file; None when it cannot be read."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def keyed(path: Path) -> dict[str, int]:
    """The lines `key number` of a file."""
    pairs: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if value.strip().isdigit():
                pairs[key] = int(value)
    return pairs


def write(path: Path, value: int | str) -> None:
    """Write one value. Raises OSError."""
    path.write_text(f"{value}\n")
