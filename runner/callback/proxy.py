"""The way out through a proxy, where a network has no other: on purpose, and only to checked addresses.

The proxy is asked by CONNECT for the address that the guard admitted, never for a name: what a name means is
looked up here, once, and by nobody else. Host, SNI and certificate stay the name's. HTTPS_PROXY and its kin
are not read: whoever set them did not mean callbacks.
"""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

import h11

_FORM = re.compile(r"http://(?:([^@/]+:[^@/]*)@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")


class ProxyRefused(Exception):
    """The proxy is there, and does not let us through."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that understands CONNECT."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Proxy:
        """`http://[user:password@]host[:port]`. Raises ValueError."""
        form = _FORM.fullmatch(url)
        if form is None:
            raise ValueError("not of the form http://[user:password@]host:port")
        pair, host, port = form.groups()
        authorization = pair and f"Basic {base64.b64encode(unquote(pair).encode()).decode()}"
        return cls(host.strip("[]"), int(port or 80), authorization)

    async def connect(self, checked: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to that address. Raises OSError, ProxyRefused. The caller limits the time."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(self._request(f"[{checked}]:{port}" if ":" in checked else f"{checked}:{port}"))
            status = _status(await reader.readuntil(b"\r\n\r\n"))
            if not 200 <= status < 300:
                raise ProxyRefused(f"the proxy answered {status}")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, h11.RemoteProtocolError) as error:
            writer.transport.abort()
            raise ProxyRefused("the proxy gave no answer") from error
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer

    def _request(self, where: str) -> bytes:
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        if self.authorization is not None:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def _status(head: bytes) -> int:
    """Of the head of an answer to CONNECT; a tunnel has no body."""
    protocol = h11.Connection(h11.CLIENT)
    protocol.send(h11.Request(method="CONNECT", target="x:1", headers=[("host", "x:1")]))
    protocol.receive_data(head)
    event = protocol.next_event()
    if not isinstance(event, h11.Response):
        raise h11.RemoteProtocolError("no final answer")
    return event.status_code
