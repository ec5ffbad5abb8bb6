"""What others ask of this process over HTTP, where CONTROL_ROOM_HEALTH_LISTEN says so.

    GET /live      200 while the event loop turns
    GET /health    200 while work is taken and the database's notifications arrive, else 503; says how it is
    GET /metrics   the figures, as OpenMetrics where that is accepted

Nothing here is secret, and nothing changes by it; it is meant for a machine's own network.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress

import h11

log = logging.getLogger(__name__)

State = dict[str, object]
PATIENCE_SECONDS = 5.0
READ_AT_ONCE = 16_384


class Monitor:
    """Answers until cancelled."""

    def __init__(
        self,
        listen: tuple[str, int] | None,
        state: Callable[[], State],
        figures: Callable[[str], tuple[bytes, str]],
    ) -> None:
        self._listen = listen
        self._state = state
        self._figures = figures
        self.port: int | None = None

    async def run(self) -> None:
        """Listen, where anybody wants it."""
        if self._listen is None:
            return
        server = await asyncio.start_server(self._attend, *self._listen, limit=READ_AT_ONCE)
        self.port = server.sockets[0].getsockname()[1]
        log.info("answering", extra={"address": self._listen[0], "port": self.port})
        async with server:
            await server.serve_forever()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._converse(h11.Connection(h11.SERVER), reader, writer)
        except (TimeoutError, OSError, h11.ProtocolError):
            pass  # whoever it was has gone, or speaks something else
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(
        self, wire: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while (event := wire.next_event()) is h11.NEED_DATA:
            wire.receive_data(await reader.read(READ_AT_ONCE))
        if not isinstance(event, h11.Request):
            return
        status, body, content_type = self._answer(event)
        headers = [
            ("content-type", content_type),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
            ("connection", "close"),
        ]
        answer = wire.send(h11.Response(status_code=status, headers=headers))
        writer.write(answer or b"")
        if event.method != b"HEAD":
            writer.write(wire.send(h11.Data(data=body)) or b"")
        await writer.drain()

    def _answer(self, request: h11.Request) -> tuple[int, bytes, str]:
        if request.method not in (b"GET", b"HEAD"):
            return 405, b"GET only\n", "text/plain"
        match request.target.partition(b"?")[0]:
            case b"/metrics":
                accept = dict(request.headers).get(b"accept", b"").decode("latin-1")
                body, content_type = self._figures(accept)
                return 200, body, content_type
            case b"/health":
                state = self._state()
                well = state["status"] == "ok" and bool(state["listening"])
                return 200 if well else 503, json.dumps(state).encode() + b"\n", "application/json"
            case b"/live":
                return 200, b"alive\n", "text/plain"
        return 404, b"/live, /health, /metrics\n", "text/plain"
