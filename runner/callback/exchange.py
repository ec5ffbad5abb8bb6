"""One HTTP/1.1 exchange with an address that was checked: a POST, the head of the answer, a bounded look at
its body.

A connection of its own for every try, to the very address that the guard admitted: no pool that could hand
out another, no redirect, no proxy but one that was meant, no decompression. A general client does all of
these, and costs three times as much for each try.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import h11

from runner.callback.address import Target
from runner.callback.proxy import Proxy, ProxyRefused

#: A larger answer is not read to its end; a larger head is no answer.
MAX_ANSWER = 64 * 1024
MAX_HEAD = 16 * 1024
_PIECE = 16 * 1024


class NotConnected(Exception):
    """No connection: nobody listens, the network is down, the certificate is not that of the name."""


class Broken(Exception):
    """Connected, and then no whole answer: a reset, an early end, something that is not HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and what the Retry-After header says."""

    status: int
    retry_after: str


@dataclass(frozen=True, slots=True)
class Way:
    """How a target is reached: the address that was checked, with or without TLS, by a proxy or straight."""

    checked: str
    tls: ssl.SSLContext | None = None
    proxy: Proxy | None = None

    async def connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = target.host if self.tls else None
        if self.proxy is None:
            return await asyncio.open_connection(
                self.checked, target.port, ssl=self.tls, server_hostname=name
            )
        reader, writer = await self.proxy.connect(self.checked, target.port)
        if self.tls is not None:
            try:
                await writer.start_tls(self.tls, server_hostname=name)
            except BaseException:
                writer.transport.abort()
                raise
        return reader, writer


async def post(target: Target, way: Way, headers: Mapping[str, str], body: bytes) -> Answer:
    """POST to the checked address; Host and certificate are those of the target's name.

    Raises NotConnected or Broken. The caller limits the time.
    """
    try:
        reader, writer = await way.connect(target)
    except ProxyRefused as refusal:
        raise NotConnected(str(refusal)) from refusal
    except ssl.SSLCertVerificationError as error:
        raise NotConnected("certificate not accepted") from error
    except OSError as error:  # ssl.SSLError is one
        raise NotConnected("") from error
    try:
        return await _exchange(reader, writer, target, headers, body)
    except (OSError, EOFError, h11.RemoteProtocolError) as error:
        raise Broken from error
    finally:
        writer.transport.abort()  # whatever is still to come: nobody waits for it


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
) -> Answer:
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    request = h11.Request(
        method="POST",
        target=target.path,
        headers=[
            ("host", target.authority),
            *headers.items(),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ],
    )
    writer.write(
        b"".join(protocol.send(part) or b"" for part in (request, h11.Data(data=body), h11.EndOfMessage()))
    )
    answer: Answer | None = None
    size = 0
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            piece = await reader.read(_PIECE)
            size += len(piece)
            if size > MAX_ANSWER and answer is not None:
                return answer
            if size > MAX_ANSWER:
                raise EOFError("interim answers without end")
            protocol.receive_data(piece)
        elif isinstance(event, h11.Response):
            retry_after = next((v for k, v in event.headers if k == b"retry-after"), b"")
            answer = Answer(event.status_code, retry_after.decode("latin-1").strip())
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            if answer is None:
                raise EOFError("closed before an answer")
            return answer
