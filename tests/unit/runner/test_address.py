"""No callback reaches a private or special address, whatever it is called.

The vectors are in `tests/vectors/callback_addresses.json`. What counts is not the error text but that
nothing was connected: a listening socket on loopback for what leads there, and every attempt of the event
loop for the rest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from runner.callback import address
from runner.callback.address import Guard, Lookups, Refused
from runner.callback.courier import Courier
from runner.model.wire import Delivery, OpenNetwork
from tests.unit.runner.conftest import Watched

CLONE = Path(__file__).parents[3]
VECTORS = json.loads((CLONE / "tests/vectors/callback_addresses.json").read_text())


def opened(*networks: str, ports: tuple[int, ...] | None = None) -> tuple[OpenNetwork, ...]:
    return tuple(OpenNetwork(network=each, ports=ports) for each in networks)


def make_delivery(url: str, allow: tuple[OpenNetwork, ...] = (), seconds: float = 3) -> Delivery:
    return Delivery(
        delivery_id=1,
        lease=1,
        tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
        endpoint_id="f3e1c6de-9f0b-4b53-8c3e-2f7c8e0d4b22",
        url=url,
        secret_version=1,
        event_id="evt_1",
        type="run.completed",
        body="{}",
        allow=allow,
        timeout_seconds=seconds,
    )


def test_there_are_enough_vectors() -> None:
    assert len(VECTORS) >= 80
    assert len({json.dumps(each) for each in VECTORS}) == len(VECTORS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{each['class']}: {each['url']!a}")
async def test_nothing_is_connected(watched: Watched, vector: dict[str, Any]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return list(vector["resolves"][host])

    guard = Guard(resolve=resolve if "resolves" in vector else None)
    url = vector["url"].replace("{port}", str(watched.port))
    result = await Courier(guard, "key").carry(make_delivery(url))

    assert (result.result, result.status) == ("failed", None)
    assert (watched.tried, watched.knocks()) == ([], 0)


async def test_what_is_open_is_connected_so_the_watch_sees(watched: Watched) -> None:
    """The control of the test above: the same sockets do see a connection that is allowed."""
    guard = Guard([ipaddress.ip_network("127.0.0.0/8")])
    url = f"http://127.0.0.1:{watched.port}/"
    await Courier(guard, "key").carry(make_delivery(url, allow=opened("127.0.0.0/8"), seconds=0.3))

    assert watched.tried == [("127.0.0.1", watched.port)]
    assert watched.knocks() == 1


@pytest.mark.parametrize(
    ("where", "here", "allowed", "admitted"),
    [
        ("10.1.2.3", [], ["10.1.0.0/16"], True),
        ("10.1.2.3", [], [], False),
        ("10.1.2.3", ["10.0.0.0/8"], [], False),
        ("10.1.2.3", [], ["192.168.0.0/16"], False),
        ("10.1.2.3", [], ["::ffff:10.0.0.0/104"], False),
        ("fd00::1", [], ["fd00::/8"], True),
        ("127.0.0.1", [], ["127.0.0.0/8"], False),
        ("127.0.0.1", ["127.0.0.0/8"], [], False),
        ("127.0.0.1", ["127.0.0.0/8"], ["127.0.0.0/8"], True),
        ("::1", [], ["::/0"], False),
        ("169.254.169.254", [], ["0.0.0.0/0"], False),
        ("169.254.169.254", ["127.0.0.0/8"], ["169.254.0.0/16"], False),
        ("fe80::1", [], ["::/0"], False),
    ],
)
async def test_a_private_address_must_be_allowed_and_this_machine_opened_here_as_well(
    where: str, here: list[str], allowed: list[str], admitted: bool
) -> None:
    guard = Guard(map(ipaddress.ip_network, here))
    target = address.parse(f"http://[{where}]/" if ":" in where else f"http://{where}/")
    if admitted:
        assert await guard.admit(target, opened(*allowed)) == where
    else:
        with pytest.raises(Refused):
            await guard.admit(target, opened(*allowed))


@pytest.mark.parametrize(
    ("where", "openings", "admitted"),
    [
        ("93.184.216.34:8443", (), True),
        ("93.184.216.34:22", (), False),
        ("93.184.216.34:22", opened("10.0.0.0/8", ports=(22,)), False),
        ("10.1.2.3:5678", opened("10.1.0.0/16", ports=(5678,)), True),
        ("10.1.2.3:5679", opened("10.1.0.0/16", ports=(5678,)), False),
        ("10.2.2.3:5678", opened("10.1.0.0/16", ports=(5678,)), False),
        ("10.1.2.3:5679", opened("10.1.0.0/16", ports=(5678,)) + opened("10.1.2.0/24"), True),
        ("10.1.2.3:5432", opened("10.1.0.0/16"), False),
        ("10.1.2.3:5432", opened("10.1.0.0/16", ports=(5432,)), True),
        ("127.0.0.1:8080", opened("127.0.0.0/8", ports=(8080,)), False),
    ],
)
async def test_a_network_is_open_at_its_ports_and_an_internal_port_only_by_name(
    where: str, openings: tuple[OpenNetwork, ...], admitted: bool
) -> None:
    target = address.parse(f"http://{where}/")
    if admitted:
        assert await Guard().admit(target, openings) == target.host
    else:
        with pytest.raises(Refused):
            await Guard().admit(target, openings)


async def test_nobody_is_asked_for_a_name_at_a_port_that_is_closed_anyway() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        raise AssertionError("asked")

    with pytest.raises(Refused, match="port 6379"):
        await Guard(resolve=resolve).admit(
            address.parse("http://receiver.example:6379/"), opened("10.0.0.0/8")
        )


def test_the_database_refuses_the_same_ports() -> None:
    source = (CLONE / "supabase/migrations/20261123000804_callback_address.sql").read_text()
    listed = re.search(r"callback\.is_internal_port.*?array\[([\d,\s]+)\]", source, re.DOTALL)
    assert listed is not None

    assert {int(each) for each in listed[1].split(",")} == address.DENIED_PORTS


@pytest.mark.parametrize(
    "public",
    ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::5db8:d822", "172.32.0.1", "100.128.0.1"],
)
async def test_a_public_address_is_admitted(public: str) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [public]

    assert await Guard(resolve=resolve).admit(address.parse("https://receiver.example/x")) == public


async def test_a_name_whose_server_hangs_holds_no_other_up() -> None:
    hangs, asked = threading.Event(), []

    def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        if host == "hangs.example":
            hangs.wait()
        return ["93.184.216.34"]

    lookups = Lookups(look_up, threads=2)
    waiting = [asyncio.create_task(lookups("hangs.example", 443)) for _ in range(20)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(5):
            found = await lookups("well.example", 443)
        waiting[0].cancel()  # one that gives up takes nothing from the others
        await asyncio.gather(waiting[0], return_exceptions=True)
    finally:
        hangs.set()
    rest = await asyncio.gather(*waiting[1:])

    assert found == ["93.184.216.34"]
    assert asked == ["hangs.example", "well.example"]
    assert rest == [["93.184.216.34"]] * 19


async def test_a_name_that_cannot_be_resolved_says_so_and_is_asked_for_anew() -> None:
    answers: list[list[str]] = [["93.184.216.34"]]

    def look_up(host: str, port: int) -> list[str]:
        if len(asked) < 1:
            asked.append(host)
            raise socket.gaierror("no such name")
        return answers[0]

    asked: list[str] = []
    lookups = Lookups(look_up)
    with pytest.raises(OSError, match="no such name"):
        await lookups("late.example", 443)

    assert await lookups("late.example", 443) == answers[0]


REBOUND = [
    ["127.0.0.1"],
    ["::1"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["10.0.0.1"],
    ["169.254.169.254"],
    ["0.0.0.0"],
    ["fd00::1"],
]


@pytest.mark.parametrize("later", REBOUND, ids=lambda each: each[0])
async def test_a_name_that_changes_between_two_looks_is_looked_at_once(
    watched: Watched, later: list[str]
) -> None:
    answers = iter([["93.184.216.34"], later, later])
    looks: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        looks.append(host)
        return next(answers)

    courier = Courier(Guard(resolve=resolve), "key")
    await courier.carry(make_delivery(f"http://rebind.example:{watched.port}/", seconds=0.2))

    assert looks == ["rebind.example"]
    assert watched.tried in ([("93.184.216.34", watched.port)], [])
    assert watched.knocks() == 0


@pytest.mark.parametrize("later", REBOUND, ids=lambda each: each[0])
async def test_a_retry_looks_again_and_refuses_what_the_name_means_now(
    watched: Watched, later: list[str]
) -> None:
    answers = iter([["93.184.216.34"], later])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    courier = Courier(Guard(resolve=resolve), "key")
    await courier.carry(make_delivery(f"http://rebind.example:{watched.port}/", seconds=0.2))
    watched.tried.clear()
    result = await courier.carry(make_delivery(f"http://rebind.example:{watched.port}/"))

    assert (result.result, result.status) == ("failed", None)
    assert (watched.tried, watched.knocks()) == ([], 0)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_a_redirect_leads_nowhere(watched: Watched, code: int, host: str) -> None:
    """The receiver itself is allowed, so only following the redirect could knock."""
    answer = (
        f"HTTP/1.1 {code} Elsewhere\r\nlocation: http://{host}:{watched.port}/\r\ncontent-length: 0\r\n\r\n"
    )

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    guard = Guard([ipaddress.ip_network("127.0.0.0/8")])
    try:
        result = await Courier(guard, "key").carry(
            make_delivery(f"http://127.0.0.1:{port}/", allow=opened("127.0.0.0/8"))
        )
    finally:
        server.close()

    assert (result.result, result.status) == ("failed", code)
    assert (watched.tried, watched.knocks()) == ([("127.0.0.1", port)], 0)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path"),
    [
        ("https://Receiver.Example/a?b=c", "receiver.example", 443, "receiver.example", "/a?b=c"),
        ("http://receiver.example:8080", "receiver.example", 8080, "receiver.example:8080", "/"),
        ("http://receiver.example./x", "receiver.example", 80, "receiver.example", "/x"),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111", 8443, "[2606:4700::1111]:8443", "/"),
        (
            "https://n8n_internal.example/webhook/1",
            "n8n_internal.example",
            443,
            "n8n_internal.example",
            "/webhook/1",
        ),
    ],
)
def test_a_url_is_taken_apart_once(url: str, host: str, port: int, authority: str, path: str) -> None:
    target = address.parse(url)

    assert (target.host, target.port, target.authority, target.path) == (host, port, authority, path)
