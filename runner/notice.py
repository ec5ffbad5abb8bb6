"""What systemd is told of us, where it asks (`Type=notify`): https://www.freedesktop.org/software/systemd/man/sd_notify.html"""

from __future__ import annotations

import socket
from contextlib import suppress


class Notice:
    """Says that we are ready, that the event loop still turns, that we stop. Nobody there: says nothing."""

    def __init__(self, address: str) -> None:
        # an address of the abstract name space begins with @ where it is written down
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._ready = False

    def alive(self) -> None:
        """The first time: we are ready to work. Then: we are still there."""
        self._say("WATCHDOG=1" if self._ready else "READY=1\nWATCHDOG=1")
        self._ready = True

    def stopping(self) -> None:
        """No more work is taken."""
        self._say("STOPPING=1")

    def _say(self, what: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            wire.sendto(what.encode(), self._address)
