"""Processes of sandboxes whose runner is gone.

bubblewrap dies with its parent once it has said so, which it says late: a runner that is killed while one is
being set up leaves a process that waits for ever, or a job that nobody watches. Where control groups may be
written the sweep of those finds it. Everywhere the command line of the launcher says whose it is, from the
first program of the chain to the first process inside.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from runner.executor import ownership

ROUNDS = 50
#: An option of bubblewrap that does nothing: there is no variable of that name.
MARK = b"--unsetenv"


def mark() -> list[str]:
    """What a launcher carries on its command line."""
    return [MARK.decode(), ownership.own_name()]


def end() -> int:
    """Kill those whose runner is gone; how many there were. Blocking."""
    ended: set[int] = set()
    for _ in range(ROUNDS):
        found = list(_found())
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended.add(pid)
        time.sleep(0.01)
    return len(ended)


def _found() -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):  # it is gone
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                if MARK in words[:-1] and ownership.is_orphan(
                    words[words.index(MARK) + 1].decode("utf-8", "replace")
                ):
                    yield int(name)
