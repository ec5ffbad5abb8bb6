"""Callbacks by a proxy that was meant: to the address that was checked, under the name that was called."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.callback.address import Guard
from runner.callback.courier import Courier
from runner.callback.proxy import Proxy
from runner.store.base import DeliveryResult
from tests.unit.runner.conftest import Watched
from tests.unit.runner.receiving import answer, receiver
from tests.unit.runner.test_address import VECTORS, make_delivery, opened


@dataclass
class Tunnels:
    """A proxy on loopback: what it was asked for, and who asked."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    @property
    def proxy(self) -> Proxy:
        return Proxy.of(f"http://127.0.0.1:{self.port}")


@asynccontextmanager
async def tunnels(instead: bytes | None = None, where: int = 0) -> AsyncIterator[Tunnels]:
    """Tunnels to 127.0.0.1 at the port that was asked for, or says `instead`."""
    made = Tunnels()

    at_work: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(4096):
                writer.write(piece)
                await writer.drain()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 test\r\n\r\n")
            pumps = {asyncio.create_task(pump(*way)) for way in ((reader, back), (there, writer))}
            _, left = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for each in left:
                each.cancel()
        finally:
            back.transport.abort()

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            made.asked.append(head[0].removesuffix(" HTTP/1.1"))
            made.authorizations += [line for line in head if line.lower().startswith("proxy-authorization")]
            if instead is None:
                await tunnel(reader, writer, where or int(head[0].split()[1].rpartition(":")[2]))
            else:
                writer.write(instead)
        finally:
            writer.close()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_work.add(asyncio.create_task(answer_one(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.gather(*at_work)


async def by(proxy: Proxy, url: str, found: list[str] | None = None, seconds: float = 2) -> DeliveryResult:
    async def resolve(_host: str, _port: int) -> list[str]:
        return found or []

    return await Courier(Guard(resolve=resolve if found else None), "key", proxy).carry(
        make_delivery(url, seconds=seconds)
    )


async def test_the_proxy_is_asked_for_the_checked_address_and_the_receiver_called_by_its_name() -> None:
    async with receiver(answer("200 OK")) as there, tunnels(where=there.port) as way:
        result = await by(way.proxy, "http://receiver.example/hook", ["93.184.216.34"])

    assert result.result == "delivered"
    assert way.asked == ["CONNECT 93.184.216.34:80"]
    assert there.requests[0][1]["host"] == "receiver.example"


async def test_an_address_of_version_6_stands_in_brackets() -> None:
    async with receiver(answer("200 OK")) as there, tunnels(where=there.port) as way:
        result = await by(way.proxy, "http://receiver.example:8080/", ["2606:4700::1111"])

    assert (result.result, way.asked) == ("delivered", ["CONNECT [2606:4700::1111]:8080"])


@pytest.mark.parametrize(("host", "result"), [("receiver.example", "delivered"), ("other.example", "failed")])
async def test_the_certificate_is_looked_at_through_the_tunnel(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, host: str, result: str
) -> None:
    key, crt = certificate
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(crt, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(crt))
    async with receiver(answer("200 OK"), server) as there, tunnels(where=there.port) as way:
        got = await by(way.proxy, f"https://{host}/", ["93.184.216.34"])

    assert (got.result, way.asked) == (result, ["CONNECT 93.184.216.34:443"])
    if result == "failed":
        assert got.error == "connection failed: certificate not accepted"


async def test_no_proxy_is_asked_for_an_address_that_is_denied(watched: Watched) -> None:
    """All vectors of the straight way: the connection to the proxy itself would be seen."""
    proxy = Proxy.of(f"http://127.0.0.1:{watched.port}")
    for vector in VECTORS:

        async def resolve(
            host: str, _port: int, vector: dict[str, dict[str, list[str]]] = vector
        ) -> list[str]:
            return list(vector["resolves"][host])

        guard = Guard(resolve=resolve if "resolves" in vector else None)
        url = vector["url"].replace("{port}", str(watched.port))
        result = await Courier(guard, "key", proxy).carry(make_delivery(url))
        assert result.result == "failed", vector

    assert (watched.tried, watched.knocks()) == ([], 0)


async def test_what_an_admin_opened_is_reached_by_the_proxy_too() -> None:
    async with receiver(answer("200 OK")) as there, tunnels() as way:
        guard = Guard([ipaddress.ip_network("127.0.0.0/8")])
        delivery = make_delivery(there.url, allow=opened("127.0.0.0/8"))
        result = await Courier(guard, "key", way.proxy).carry(delivery)

    assert (result.result, way.asked) == ("delivered", [f"CONNECT 127.0.0.1:{there.port}"])


async def test_who_has_a_password_says_it_to_the_proxy_alone() -> None:
    async with receiver(answer("200 OK")) as there, tunnels(where=there.port) as way:
        proxy = Proxy.of(f"http://us:p%40ss@127.0.0.1:{way.port}/")
        await by(proxy, "http://receiver.example/", ["93.184.216.34"])

    assert way.authorizations == ["Proxy-Authorization: Basic dXM6cEBzcw=="]
    assert not [name for name in there.requests[0][1] if "auth" in name]
    assert "p@ss" not in repr(proxy)
    assert "dXM6" not in repr(proxy)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer("403 Forbidden"), "connection failed: the proxy answered 403"),
        (answer("407 Proxy Authentication Required"), "connection failed: the proxy answered 407"),
        (b"220 ready\r\n\r\n", "connection failed: the proxy gave no answer"),
        (b"HTTP/1.1 200", "connection failed: the proxy gave no answer"),
        (b"HTTP/1.1 200 " + b"x" * 100_000, "connection failed: the proxy gave no answer"),
        (b"", "connection failed: the proxy gave no answer"),
    ],
    ids=("forbidden", "password", "no HTTP", "half", "endless", "closed"),
)
async def test_a_proxy_that_does_not_let_us_through_is_a_failed_try(said: bytes, error: str) -> None:
    async with tunnels(said) as way:
        result = await by(way.proxy, "http://receiver.example/", ["93.184.216.34"])

    assert (result.result, result.status, result.error) == ("failed", None, error)


async def test_a_proxy_that_hangs_costs_no_more_than_the_time_of_a_try() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with receiver(hang) as silent:
        proxy = Proxy.of(f"http://127.0.0.1:{silent.port}")
        result = await by(proxy, "http://receiver.example/", ["93.184.216.34"], seconds=0.3)

    assert result.error == "no answer within 0.3 s"
