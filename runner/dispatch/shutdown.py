"""Stopping in good order.

SIGTERM or SIGINT once    claim no more; let work end for CONTROL_ROOM_DRAIN_SECONDS; give the rest back;
leave again                     give back at once
"""

from __future__ import annotations

import asyncio
import logging
import signal

log = logging.getLogger(__name__)


class Shutdown:
    """Turns signals into events."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.urged = asyncio.Event()

    def watch(self) -> None:
        """Take over SIGTERM and SIGINT. Call inside the event loop."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_signal, each)

    def unwatch(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)

    def _on_signal(self, which: signal.Signals) -> None:
        log.info("asked_to_stop", extra={"signal": which.name, "again": self.asked.is_set()})
        if self.asked.is_set():
            self.urged.set()
        self.asked.set()
