"""Connections to the functions' server: HTTP/1.1, kept alive, streaming both ways.

A plain asyncio protocol with httptools: a general client costs several times the request itself.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import httptools

from dev.gateway.asgi import Header

# Past this many undelivered bytes the server is asked to wait.
_HIGH_WATER = 256 * 1024


class UpstreamError(Exception):
    """The server could not be reached, or broke off. `sent`: part of an answer had already come."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class Link(asyncio.Protocol):
    """One connection. An answer is read by `head`, then `chunk` until it gives None."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._failure: UpstreamError | None = None
        self._headers: list[Header] = []
        self._status = 0
        self._head_done = False
        self._complete = False
        self._lasts = False
        self._bodiless = False
        # False while a part of the request is still to be sent: then the connection cannot be used again.
        self.fed = True
        self.used = False
        self.alive = False

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from asyncio's
        self.alive = True

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()  # nothing was asked: an answer nobody waits for
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"invalid answer: {error}")
            self.close()
            return
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self.resume_writing()
        if self._head_done and not self._complete and self._until_close:
            self._complete = True
            self._wake()
        else:
            self._fail(str(exc) if exc else "connection closed")

    def pause_writing(self) -> None:
        if self._drain is None:
            self._drain = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None

    # -- httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        if self._status < 200:
            self._headers = []  # an interim answer; the real one follows
            return
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._held += len(body)
        if self._held > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head_done:
            self._complete = True
            # the parser knows only until it has seen the end
            self._lasts = self._parser is not None and bool(self._parser.should_keep_alive())

    # -- the proxy's side

    def send(self, data: bytes) -> None:
        """Hand bytes to the connection. Raises `UpstreamError` once it is lost."""
        if not self.alive or self._transport is None:
            raise self._failure or UpstreamError("connection closed")
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the server has taken enough of what was sent."""
        if self._drain is not None:
            await self._drain

    def begin(self, *, bodiless: bool) -> None:
        """Expect an answer; `bodiless` for HEAD, whose answer announces a body that never comes."""
        self._parser = httptools.HttpResponseParser(self)
        self._chunks.clear()
        self._held = 0
        self._headers = []
        self._head_done = self._complete = self._lasts = False
        self._failure = None
        self._bodiless = bodiless
        self.fed = True

    async def head(self) -> tuple[int, Sequence[Header]]:
        """Status and header lines. Raises `UpstreamError`."""
        while not self._head_done:
            await self._wait()
        return self._status, self._headers

    async def chunk(self) -> bytes | None:
        """The next piece of the body; None at its end. Raises `UpstreamError`."""
        while not self._chunks:
            if self._complete or self._bodiless:
                return None
            await self._wait()
        if len(self._chunks) == 1:
            piece = self._chunks.popleft()
        else:
            piece = b"".join(self._chunks)
            self._chunks.clear()
        self._held = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return piece

    @property
    def complete(self) -> bool:
        """The whole answer has arrived (though not necessarily been read)."""
        return self._complete or (self._head_done and self._bodiless)

    @property
    def pending(self) -> bool:
        """Pieces of the body are waiting to be read."""
        return bool(self._chunks)

    @property
    def reusable(self) -> bool:
        """Both sides have said all, and the server means to keep the connection."""
        return self.alive and self.fed and self._complete and self._lasts

    def rest(self) -> None:
        """The answer was read; the connection waits for its next use."""
        self.used = True
        self._parser = None

    def close(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.close()

    @property
    def _until_close(self) -> bool:
        names = {name for name, _ in self._headers}
        return b"content-length" not in names and b"transfer-encoding" not in names

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, message: str) -> None:
        if self._failure is None:
            self._failure = UpstreamError(message, sent=self._head_done)
        self._wake()


class Upstream:
    """The functions' server and the idle connections to it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 80
        self.prefix = parts.path.rstrip("/")
        self._idle: list[Link] = []

    async def link(self, *, fresh: bool = False) -> Link:
        """A connection, an idle one unless `fresh`. Raises `UpstreamError`."""
        while self._idle and not fresh:
            link = self._idle.pop()
            if link.alive:
                return link
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(5):
                _, link = await loop.create_connection(Link, self.host, self.port)
        except (OSError, TimeoutError) as error:
            raise UpstreamError(str(error) or "timed out") from error
        return link

    def give_back(self, link: Link) -> None:
        """Keep a connection whose answer was read to its end; close any other."""
        if link.reusable and len(self._idle) < 64:
            link.rest()
            self._idle.append(link)
        else:
            link.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
