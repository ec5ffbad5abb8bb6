"""The cable between the runners and Postgres: a TCP proxy on loopback that is cut, stalls, or swallows answers.

It reads how each connection introduces itself (`application_name` of the start-up message, which passes in
the clear), so that a fault may meet the listening connection alone, or the writing ones alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterator

SSL, GSS, CANCEL = 80877103, 80877104, 80877102
#: What a fault may be aimed at: beginnings of the runner's names for its connections; "" is all of them.
AIMS = {
    "all": ("",),
    "listener": ("control-room listener",),
    "writers": ("control-room settles", "control-room custody", "control-room publishing"),
}


class Link:
    """One connection, both ways."""

    def __init__(self, downstream: asyncio.StreamWriter, upstream: asyncio.StreamWriter) -> None:
        self.name = ""
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.deaf = False  # what the server answers is lost
        self._ends = (downstream, upstream)

    def cut(self) -> None:
        for each in self._ends:
            each.transport.abort()

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        while data := await source.read(65536):
            await self.flowing.wait()
            if answers and self.deaf:
                return
            sink.write(data)
            await sink.drain()


class Cable:
    """Listens on `port`; leads to `target_port`."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._links: set[Link] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.cut()
        await self._empty.wait()

    def aimed(self, aim: str) -> Iterator[Link]:
        for link in list(self._links):
            if link.name.startswith(AIMS[aim]):
                yield link

    def cut(self, aim: str) -> None:
        """The connections are reset."""
        for link in self.aimed(aim):
            link.cut()

    def deafen(self, aim: str) -> None:
        """What is asked still arrives; the answer never does, and then the connection breaks."""
        for link in self.aimed(aim):
            link.deaf = True

    async def stall(self, aim: str, seconds: float) -> None:
        """Nothing flows for a while, and nobody is told."""
        stalled = list(self.aimed(aim))
        for link in stalled:
            link.flowing.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            for link in stalled:
                link.flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, forth)
        self._links.add(link)
        self._empty.clear()
        ways = []
        try:
            link.name = await _introduction(reader, writer, back, forth)
            ways = [
                asyncio.create_task(link.carry(reader, forth, answers=False)),
                asyncio.create_task(link.carry(back, writer, answers=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            link.cut()
            self._links.discard(link)
            if not self._links:
                self._empty.set()
            for end in (writer, forth):
                with contextlib.suppress(OSError):
                    await end.wait_closed()


async def _introduction(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    back: asyncio.StreamReader,
    forth: asyncio.StreamWriter,
) -> str:
    """Passes the start-up message on; what it says as application_name."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        rest = await reader.readexactly(length - 8)
        forth.write(head + rest)
        if code == CANCEL:
            return "cancel"
        if code not in (SSL, GSS):
            words = rest.split(b"\0")
            said = dict(zip(words[::2], words[1::2], strict=False))
            return said.get(b"application_name", b"").decode()
        writer.write(await back.readexactly(1))  # N: this server speaks in the clear
