"""What a job directory takes up: it lies on the runner's disk, which no namespace or control group bounds."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

LOOK_SECONDS = 2.0
LEAST = 1024


async def overflow(root: Path, most: int) -> None:
    """Return when more than `most` bytes lie below `root`; looked at every two seconds, less often where
    looking takes long."""
    pause = LOOK_SECONDS
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        if await asyncio.to_thread(used, root, most) > most:
            return
        pause = max(LOOK_SECONDS, 10 * (time.monotonic() - began))


def used(root: Path, enough: int) -> int:
    """Bytes on disk below `root`; stops counting when there are more than `enough`. Each name counts as a
    kilobyte at least: empty files use up a disk as well."""
    found = 0
    queue = [str(root)]
    while queue and found <= enough:
        try:
            with os.scandir(queue.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    found += max(status.st_blocks * 512, LEAST)
                    if entry.is_dir(follow_symlinks=False):
                        queue.append(entry.path)
        except OSError:
            continue
    return found
