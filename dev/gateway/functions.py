"""`/functions/v1/<name>/…`: passed to the functions' server as it is, streaming both ways.

No key is asked for and nothing is verified here: the functions of this project have `verify_jwt = false`
and verify for themselves, on hosted Supabase as here.
"""

import asyncio
import json

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
_RESPONSE_ONLY_DROPPED = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})


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
        replayable = not more and request.method in _IDEMPOTENT
        fresh = False
        while True:
            try:
                link = await self._upstream.link(fresh=fresh)
            except UpstreamError as error:
                await _refuse(request, 503, "FUNCTIONS_UNREACHABLE", f"Functions server: {error}")
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    status, headers = await self._ask(link, request, body, more)
            except UpstreamError as error:
                link.close()
                if link.used and replayable and not fresh:
                    fresh = True  # the idle connection had been closed on the other side
                    continue
                await _refuse(request, 502, "FUNCTIONS_BROKE_OFF", f"Functions server: {error}")
                return
            except TimeoutError:
                link.close()
                await _refuse(request, 504, "IDLE_TIMEOUT", f"No answer within {PATIENCE:.0f} s")
                return
            except asgi.Disconnected:
                link.close()
                return
            except BaseException:
                link.close()
                raise
            await self._pass_on(link, request, status, headers)
            return

    async def _ask(self, link: Link, request: Request, body: bytes, more: bool) -> tuple[int, list[Header]]:
        """Send the request, wait for the head of the answer."""
        link.begin(bodiless=request.method == "HEAD")
        chunked = more and b"content-length" not in dict(request.raw_headers)
        link.send(self._head(request, body, more, chunked))
        if not more:
            return await _head_of(link)
        await _send_part(link, body, chunked)
        # The server may answer before it has read everything (413, 401): listen while sending.
        feeding = asyncio.ensure_future(_feed(link, request, chunked))
        answering = asyncio.ensure_future(_head_of(link))
        try:
            await asyncio.wait({feeding, answering}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done() and feeding.exception() is not None and not answering.done():
                await feeding
            return await answering
        finally:
            for task in (feeding, answering):
                if not task.done():
                    task.cancel()
            await asyncio.gather(feeding, answering, return_exceptions=True)

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

    async def _pass_on(self, link: Link, request: Request, status: int, headers: list[Header]) -> None:
        """Hand the answer to the client as it comes; a client that leaves ends the function's request too.

        When the server breaks off after the head is out, returning early makes the HTTP server close the
        connection, which alone can tell the client that the rest is missing.
        """
        watch = None if link.complete else asyncio.ensure_future(_close_when_left(link, request))
        try:
            await request.send({"type": "http.response.start", "status": status, "headers": headers})
            more = True
            while more:
                piece = await link.chunk()
                more = piece is not None and (link.pending or not link.complete)
                await request.send({"type": "http.response.body", "body": piece or b"", "more_body": more})
        except UpstreamError:
            return
        finally:
            if watch is not None:
                watch.cancel()
            self._upstream.give_back(link)


async def _head_of(link: Link) -> tuple[int, list[Header]]:
    status, headers = await link.head()
    kept = [line for line in headers if line[0] not in _RESPONSE_ONLY_DROPPED]
    for index, (name, value) in enumerate(kept):
        # Hosted Supabase serves no pages from functions.
        if name == b"content-type" and value.lower().startswith(b"text/html"):
            kept[index] = (name, b"text/plain" + value[9:])
    return status, kept


async def _feed(link: Link, request: Request, chunked: bool) -> None:
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise asgi.Disconnected
        more = message.get("more_body", False)
        await _send_part(link, message.get("body", b""), chunked)
    if chunked:
        link.send(b"0\r\n\r\n")


async def _send_part(link: Link, part: bytes, chunked: bool) -> None:
    if part:
        link.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        await link.drained()


async def _close_when_left(link: Link, request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    link.close()


async def _refuse(request: Request, status: int, code: str, message: str) -> None:
    body = json.dumps({"code": code, "message": message, "details": None, "hint": None}).encode()
    await request.answer(status, [asgi.JSON_TYPE], body)
