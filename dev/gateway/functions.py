"""`/functions/v1/<name>/…`: passed to the functions' server as it is, streaming both ways.

No key is asked for and nothing is verified here: the functions of this project have `verify_jwt = false`
and verify for themselves, on hosted Supabase as here.
"""

import asyncio
import json
from collections.abc import Sequence

from dev.gateway import asgi
from dev.gateway.asgi import Header, Request
from dev.gateway.upstream import Link, Upstream, UpstreamError

# As on hosted Supabase: no sign of an answer for this long ends in 504.
PATIENCE = 150.0
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"expect",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
_DROPPED = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"date"})


class Functions:
    """The proxy. `prefix` (`/functions/v1`) is cut off, the function's name stays the first segment."""

    def __init__(self, upstream: Upstream, prefix: str) -> None:
        self._upstream = upstream
        self._prefix = prefix.encode()

    async def __call__(self, request: Request) -> None:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        try:
            link = await self._upstream.link()
            try:
                await self._exchange(link, request, body, more)
            except UpstreamError as error:
                if not (link.used and not error.sent and not more and request.method in _IDEMPOTENT):
                    raise
                # the idle connection had been closed on the other side
                link = await self._upstream.link(fresh=True)
                await self._exchange(link, request, body, more)
        except UpstreamError as error:
            if not error.sent:
                await _refuse(request, 503, "FUNCTIONS_UNREACHABLE", f"Functions server: {error}")
            # Else the head is out: returning early makes the HTTP server close the connection, which alone
            # can tell the client that the rest is missing.
        except TimeoutError:
            await _refuse(request, 504, "IDLE_TIMEOUT", f"No answer within {PATIENCE:.0f} s")

    async def _exchange(self, link: Link, request: Request, body: bytes, more: bool) -> None:
        """One request and its answer. Raises `UpstreamError`, and `TimeoutError` while there is no answer."""
        chunked = more and b"content-length" not in dict(request.raw_headers)
        client: asyncio.Task[None] | None = None
        try:
            link.begin(bodiless=request.method == "HEAD")
            link.send(self._head(request, body, more, chunked))
            if more:
                await _send_part(link, body, chunked)
                # The answer may come before everything was sent, or while it is being sent.
                client = asyncio.ensure_future(_attend(link, request, chunked, more))
            async with asyncio.timeout(PATIENCE):
                status, headers = await link.head()
            if client is None and not link.complete:
                client = asyncio.ensure_future(_attend(link, request, chunked, more))
            await request.send({"type": "http.response.start", "status": status, "headers": _kept(headers)})
            unread = True
            while unread:
                piece = await link.chunk()
                unread = piece is not None and (link.pending or not link.complete)
                await request.send({"type": "http.response.body", "body": piece or b"", "more_body": unread})
        finally:
            if client is not None:
                client.cancel()
                await asyncio.gather(client, return_exceptions=True)
            self._upstream.give_back(link)

    def _head(self, request: Request, body: bytes, more: bool, chunked: bool) -> bytes:
        raw_path: bytes = request.scope.get("raw_path") or request.path.encode()
        target = self._upstream.prefix.encode() + raw_path.removeprefix(self._prefix)
        if request.query:
            target += b"?" + request.query
        lines = [request.method.encode() + b" " + target + b" HTTP/1.1"]
        length: bytes | None = None
        host = b""
        for name, value in request.raw_headers:
            if name == b"content-length":
                length = value
            elif name not in _HOP_BY_HOP:
                lines.append(name + b": " + value)
                if name == b"host":
                    host = value
        client = request.scope.get("client")
        lines.append(b"x-forwarded-for: " + (client[0].encode() if client else b"127.0.0.1"))
        lines.append(b"x-forwarded-host: " + host)
        lines.append(b"x-forwarded-proto: http")
        if chunked:
            lines.append(b"transfer-encoding: chunked")
        elif more and length is not None:
            lines.append(b"content-length: " + length)
        elif body or length is not None:
            lines.append(b"content-length: " + str(len(body)).encode())
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        return head if more else head + body


async def _attend(link: Link, request: Request, chunked: bool, more: bool) -> None:
    """Send what is left of the request, then watch for the client's leaving, which ends the call."""
    try:
        link.fed = not more
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                link.close()
                return
            more = message.get("more_body", False)
            await _send_part(link, message.get("body", b""), chunked)
        if chunked:
            link.send(b"0\r\n\r\n")
        link.fed = True
    except UpstreamError:
        return  # whoever waits for the answer is told as well
    while (await request.receive())["type"] != "http.disconnect":
        pass
    link.close()


def _kept(headers: Sequence[Header]) -> list[Header]:
    kept = [line for line in headers if line[0] not in _DROPPED]
    for index, (name, value) in enumerate(kept):
        # Hosted Supabase serves no pages from functions.
        if name == b"content-type" and value.lower().startswith(b"text/html"):
            kept[index] = (name, b"text/plain" + value[9:])
    return kept


async def _send_part(link: Link, part: bytes, chunked: bool) -> None:
    if part:
        link.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        await link.drained()


async def _refuse(request: Request, status: int, code: str, message: str) -> None:
    body = json.dumps({"code": code, "message": message, "details": None, "hint": None}).encode()
    await request.answer(status, [asgi.JSON_TYPE], body)
