"""Where callbacks may go: parse once, resolve, check every address, connect to the address that was checked.

What was typed decides nothing: `0x7f.1`, `127.1` and `①②⑦.0.0.1` all resolve to loopback, and a name may
point anywhere and change between two looks. So the answer of the resolver is checked against an explicit
list of denied networks (Python's `is_global` lets multicast, NAT64 and 6to4 through), and the connection
goes to that very address.

A private network is opened by the delivery: what the tenant's admin allowed within the platform's bounds, at
the ports that both name. Ports of databases, mail and the like are closed everywhere else. This machine and
its link (loopback, the metadata service) are opened by nobody but the operator of this runner
(CONTROL_ROOM_CALLBACK_ALLOW), and then need the delivery's word as well.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from runner.model.wire import OpenNetwork

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Coroutine[Any, Any, list[str]]]

DENIED_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link local, and the metadata service of every cloud
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation, as are 198.51.100 and 203.0.113
            "192.31.196.0/24",  # AS112, as is 192.175.48
            "192.52.193.0/24",  # AMT relays
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",
        ),
    )
)
DENIED_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "::/96",  # unspecified, loopback, IPv4-compatible
            "::ffff:0:0:0/96",  # IPv4-translated (SIIT)
            "64:ff9b:1::/48",  # local NAT64
            "100::/64",  # discard
            "100:0:0:1::/64",  # dummy prefix
            "2001::/23",  # Teredo, ORCHID, benchmarks and other protocol assignments
            "2001:db8::/32",  # documentation, as is 3fff::/20
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",
            "5f00::/16",  # segment routing
            "fc00::/7",  # unique local
            "fe80::/10",
            "fec0::/10",  # site local, deprecated and still routed
            "ff00::/8",
        ),
    )
)
#: What an opening alone does not open.
OWN = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
            *("::/96", "fe80::/10", "fec0::/10", "ff00::/8"),
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

#: Ports on which something inside a company answers that is no webhook receiver; the same list in SQL
#: (callback.is_internal_port) refuses them when they are asked for.
DENIED_PORTS = frozenset(
    map(
        int,
        (  # noqa: SIM905 - a table of numbers, not of strings
            "1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 "
            "115 117 119 123 135 137 139 143 161 179 389 427 445 465 512 513 514 515 526 530 531 532 540 548 "
            "554 556 563 587 601 636 873 990 993 995 1433 1521 1719 1720 1723 2049 2375 2376 2379 2380 3306 "
            "3389 3659 4045 4369 5060 5061 5432 5433 5984 5985 6000 6379 6443 6543 6566 6665 6666 6667 6668 "
            "6669 6697 8006 9042 9092 9200 9300 10250 10255 10257 10259 11211 27017"
        ).split(),
    )
)
MAX_URL = 2048
_HOST = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


class Refused(Exception):
    """The URL or its address may not be called. The text names no address that was found inside."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed callback URL: what to say in Host and SNI, where to look up, what to ask for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"


_DEFAULT_PORT = {"http": 80, "https": 443}


def parse(url: str) -> Target:
    """Take a callback URL apart, strictly. Raises Refused."""
    if (
        len(url) > MAX_URL
        or not url.isascii()
        or any(c <= " " or c == "\x7f" or c in '\\"<>^`{|}' for c in url)
    ):
        raise Refused("the URL holds characters that no callback URL has")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise Refused("the URL cannot be parsed") from error
    if parts.scheme not in _DEFAULT_PORT:
        raise Refused("only http and https are called")
    if "@" in parts.netloc or parts.username is not None:
        raise Refused("a callback URL carries no user or password")
    if "#" in url:
        raise Refused("a callback URL has no fragment")
    if "%" in host:
        raise Refused("a callback URL has no zone and no escapes in its host")
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise Refused("the host is no address") from error
    elif not _HOST.fullmatch(host):
        raise Refused("the host is no name")
    port = port or _DEFAULT_PORT[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host.rstrip(".").lower(), port, path)


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_denied(address: Address) -> bool:
    """True for private and special addresses."""
    address = embedded(address)
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in DENIED_V4)
    return any(address in network for network in DENIED_V6)


class Guard:
    """Decides which addresses this runner calls."""

    def __init__(self, opened: Iterable[Network] = (), resolve: Resolver | None = None) -> None:
        self._opened = tuple(opened)
        self._resolve = resolve or Lookups()

    async def admit(self, target: Target, openings: Iterable[OpenNetwork] = ()) -> str:
        """The address to connect to. Every address of the name must be admissible. Raises Refused, or
        OSError."""
        opened = [_network(each.network) for each in openings if _takes(each, target.port)]
        if target.port in DENIED_PORTS and not opened:  # before anybody is asked for the name
            raise Refused(f"port {target.port} is not called")
        found = await self._resolve(target.host, target.port)
        if not found:
            raise Refused("the name has no address")
        for text in found:
            if not self._admissible(text, target.port, opened):
                raise Refused("the address is private or special, or not called at this port")
        return found[0]

    def _admissible(self, text: str, port: int, opened: Sequence[Network]) -> bool:
        if "%" in text:  # a zone: only link-local addresses have one
            return False
        address = embedded(ipaddress.ip_address(text))
        if not is_denied(address) and port not in DENIED_PORTS:
            return True
        return _inside(address, opened) and (not _inside(address, OWN) or _inside(address, self._opened))


def _takes(opening: OpenNetwork, port: int) -> bool:
    return port not in DENIED_PORTS if opening.ports is None else port in opening.ports


def _inside(address: Address, networks: Iterable[Network]) -> bool:
    return any(network.version == address.version and address in network for network in networks)


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


class Lookups:
    """Names to addresses, in threads of their own: a name whose server hangs must not hold the others up.

    Tries that ask for one name at one time share the answer, so a slow name takes one thread and not one
    for each of its deliveries.
    """

    def __init__(self, look_up: Callable[[str, int], list[str]] | None = None, threads: int = 64) -> None:
        self._look_up = look_up or _getaddrinfo
        self._threads = ThreadPoolExecutor(threads, "resolver")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """Every address of the name. Raises OSError."""
        asked = host, port
        answer = self._under_way.get(asked)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = loop.run_in_executor(self._threads, self._look_up, host, port)
            self._under_way[asked] = answer
            answer.add_done_callback(lambda done: self._forget(asked, done))
        # who gives up (its time is over) leaves the answer to the others
        return await asyncio.shield(answer)

    def _forget(self, asked: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        del self._under_way[asked]
        if not done.cancelled():
            done.exception()  # nobody may be left to hear it


def _getaddrinfo(host: str, port: int) -> list[str]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))
