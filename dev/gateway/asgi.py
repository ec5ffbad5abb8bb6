"""ASGI, as far as the gateway speaks it: the types, one request, one answer.

Raw ASGI instead of a framework: on the hot path (`/rest/v1/rpc/…`) a routing framework costs more
than the whole of what is done here.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from dev.gateway import errors

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

_SHARING: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, "
        b"Preference-Applied, Proxy-Status",
    ),
)
JSON_TYPE: Header = (b"content-type", b"application/json; charset=utf-8")


class Request:
    """One HTTP request. `headers` maps lower-case names to text; of repeated names the last one counts."""

    __slots__ = ("headers", "method", "path", "query", "raw_headers", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.raw_headers: list[Header] = scope["headers"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("utf-8", "replace") for name, value in self.raw_headers
        }

    def values(self, name: bytes) -> list[bytes]:
        """Every value sent under a (lower-case) header name."""
        return [value for key, value in self.raw_headers if key == name]

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises `errors.Refusal` (413) past `limit` bytes, and `Disconnected`."""
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        first: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(first) > limit:
                raise errors.body_too_large(limit)
            return first
        chunks = [first]
        size = len(first)
        while message.get("more_body", False):
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise errors.body_too_large(limit)
            chunks.append(chunk)
        return b"".join(chunks)

    def sharing(self) -> list[Header]:
        """What lets a page of any origin read the answer, as on hosted projects: the keys decide."""
        return list(_SHARING) if "origin" in self.headers else []

    async def answer(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Send a complete answer; the length is added, except where HTTP wants none (204, 304)."""
        lines = [*headers, *self.sharing()]
        if status not in (204, 304):
            lines.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": lines})
        await self.send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})


class Disconnected(Exception):
    """The client went away before its request was read; there is nobody to answer."""
