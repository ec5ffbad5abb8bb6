"""How a try of a callback ends, for everything a receiver can do."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import standardwebhooks

from runner.callback import signature
from runner.callback.address import Guard
from runner.callback.courier import Courier
from runner.model.wire import Delivery
from runner.store.base import DeliveryResult
from tests.unit.runner.receiving import Handler, answer, receiver

LOOPBACK = ({"network": "127.0.0.0/8"},)
BODY = '{"type":"run.completed","timestamp":"2026-01-01T00:00:00Z","data":{"run_id":9,"name":"Zoë"}}'


async def send(
    url: str,
    *,
    seconds: float = 2.0,
    resolve: dict[str, str] | None = None,
    courier: Courier | None = None,
    **changes: object,
) -> DeliveryResult:
    async def look_up(host: str, _port: int) -> list[str]:
        return [(resolve or {}).get(host, host)]

    guard = Guard([ipaddress.ip_network("127.0.0.0/8")], resolve=look_up)
    delivery = Delivery.model_validate(
        {
            "delivery_id": 7,
            "lease": 2,
            "tenant_id": "0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
            "endpoint_id": "f3e1c6de-9f0b-4b53-8c3e-2f7c8e0d4b22",
            "url": url,
            "secret_version": 3,
            "event_id": "evt_1",
            "type": "run.completed",
            "body": BODY,
            "try": 1,
            "allow": LOOPBACK,
            "timeout_seconds": seconds,
            **changes,
        }
    )
    return await (courier or Courier(guard, "master")).carry(delivery)


async def test_the_receiver_hears_to_which_trace_it_belongs() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with receiver(answer("200 OK")) as there:
        await send(there.url, traceparent=parent)

    assert there.requests[0][1]["traceparent"] == parent


async def test_the_timestamp_is_the_databases_when_the_runners_clock_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true_time = time.time()
    monkeypatch.setattr(time, "time", lambda: true_time + 600)
    courier = Courier(Guard([ipaddress.ip_network("127.0.0.0/8")]), "master")
    courier.set_clock(true_time, time.monotonic())
    async with receiver(answer("200 OK")) as there:
        await send(there.url, courier=courier)

    assert abs(int(there.requests[0][1]["webhook-timestamp"]) - true_time) < 10


async def test_the_official_verifier_accepts_what_arrives() -> None:
    async with receiver(answer("200 OK")) as there:
        result = await send(there.url)

    first, headers, body = there.requests[0]
    secret = signature.derive("master", "f3e1c6de-9f0b-4b53-8c3e-2f7c8e0d4b22", 3)
    assert standardwebhooks.Webhook(signature.shown(secret)).verify(body, headers) == json.loads(BODY)
    assert first == "POST /hook?x=1 HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{there.port}"
    assert headers["content-type"] == "application/json"
    assert body == BODY.encode()
    assert (result.result, result.status, result.error) == ("delivered", 200, None)
    assert (result.delivery_id, result.lease) == (7, 2)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content"])
async def test_two_hundreds_are_delivered(status: str) -> None:
    async with receiver(answer(status)) as there:
        assert (await send(there.url)).result == "delivered"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_fails_and_is_not_followed(code: int) -> None:
    async with (
        receiver(answer("200 OK")) as target,
        receiver(answer(f"{code} Elsewhere", f"location: {target.url}")) as there,
    ):
        result = await send(there.url)

    assert (result.result, result.status) == ("failed", code)
    assert target.requests == []


async def test_410_is_gone() -> None:
    async with receiver(answer("410 Gone")) as there:
        assert (await send(there.url)).result == "gone"


@pytest.mark.parametrize("code", [400, 401, 404, 409, 500, 502, 503])
async def test_other_answers_fail(code: int) -> None:
    async with receiver(answer(f"{code} No")) as there:
        result = await send(there.url)

    assert (result.result, result.status, result.error) == ("failed", code, f"the receiver answered {code}")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        ("0", 0.0),
        ("-5", None),
        ("999999999999", 999999999.0),
        ("soon", None),
        (format_datetime(datetime.now(UTC) + timedelta(days=9), usegmt=True), 777600.0),
        (format_datetime(datetime.now(UTC) - timedelta(days=9), usegmt=True), 0.0),
        ("Thu, 99 Foo 2026 00:00:00 GMT", None),
    ],
    ids=["seconds", "zero", "negative", "absurd", "word", "date", "past date", "no date"],
)
async def test_retry_after_is_heard_and_the_database_clamps_it(header: str, seconds: float | None) -> None:
    async with receiver(answer("429 Later", f"retry-after: {header}")) as there:
        result = await send(there.url)

    assert result.result == "failed"
    assert result.retry_after_seconds == (None if seconds is None else pytest.approx(seconds, rel=0.1))


async def test_retry_after_means_nothing_with_a_plain_failure() -> None:
    async with receiver(answer("500 No", "retry-after: 30")) as there:
        assert (await send(there.url)).retry_after_seconds is None


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for i in range(1000):
        writer.write(f"x-{i}: y\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("play", [hang, drip, drip_headers])
async def test_the_whole_try_has_a_time_limit(play: Handler) -> None:
    async with receiver(play) as there:
        began = time.monotonic()
        result = await send(there.url, seconds=0.4)

    assert result.result == "failed"
    assert time.monotonic() - began < 1.5


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 20")


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x16\x03\x01 SSH-2.0\r\n\r\n")


@pytest.mark.parametrize("play", [reset, half, nonsense])
async def test_a_broken_connection_fails(play: Handler) -> None:
    async with receiver(play) as there:
        result = await send(there.url)

    assert (result.result, result.status) == ("failed", None)
    assert "connection" in (result.error or "")


async def test_nobody_listens() -> None:
    result = await send("http://127.0.0.1:1/".replace(":1/", ":59999/"))

    assert (result.result, result.error) == ("failed", "connection failed")


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n")
        while sent < 100_000_000:
            writer.write(bytes(65536))
            sent += 65536
            await writer.drain()

    async with receiver(flood) as there:
        result = await send(there.url)
        await asyncio.sleep(0.05)

    assert result.result == "delivered"
    assert sent < 20_000_000


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(answer("200 OK")) as proxy, receiver(answer("200 OK")) as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        result = await send(there.url)

    assert result.result == "delivered"
    assert (len(proxy.requests), len(there.requests)) == (0, 1)


@pytest.mark.parametrize(
    ("host", "trusted", "result"),
    [
        ("receiver.example", True, "delivered"),
        ("other.example", True, "failed"),
        ("receiver.example", False, "failed"),
    ],
    ids=["right name", "wrong name", "unknown issuer"],
)
async def test_the_certificate_must_be_that_of_the_name(
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
    result: str,
) -> None:
    key, crt = certificate
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(crt, key)
    names: list[str | None] = []
    server.sni_callback = lambda _sock, name, _context: names.append(name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(crt))
    async with receiver(answer("200 OK"), server) as there:
        got = await send(f"https://{host}:{there.port}/", resolve={host: "127.0.0.1"})

    assert got.result == result
    assert names == [host]
    if result == "failed":
        assert got.error == "connection failed: certificate not accepted"
    else:
        assert there.requests[0][1]["host"] == f"{host}:{there.port}"
