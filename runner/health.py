"""A small file that says how the runner is, for whoever supervises it; systemd is told directly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from runner.notice import Notice

PERIOD_SECONDS = 5.0
#: Who starts us hears that we are ready when notifications arrive, or after so many periods: we poll then.
PERIODS_UNTIL_READY = 3


class Health:
    """Writes the file every few seconds; its absence or age means that the runner is not well."""

    def __init__(
        self, path: Path | None, state: Callable[[], dict[str, object]], notice: Notice | None = None
    ) -> None:
        self._path = path
        self._notice = notice or Notice("")
        self._state = state
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Something worth telling at once."""
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled."""
        deaf = 0
        while True:
            self._changed.clear()
            self.write()
            if deaf >= PERIODS_UNTIL_READY or self._state()["listening"]:
                deaf = PERIODS_UNTIL_READY
                self._notice.alive()
            deaf += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PERIOD_SECONDS):
                    await self._changed.wait()

    def write(self) -> None:
        """Write now, whole or not at all."""
        if self._path is None:
            return
        state = {"at": datetime.now(UTC).isoformat(), "pid": os.getpid(), **self._state()}
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(state, indent=1) + "\n")
        fresh.replace(self._path)

    def remove(self) -> None:
        """The runner stops in good order."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
