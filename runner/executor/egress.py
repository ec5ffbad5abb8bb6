"""A way to the internet and to nothing else, for one attempt that was granted a network.

A network namespace of its own, with one end of slirp4netns in it: packets leave as connections of an ordinary
program of this machine. What is private, local or special has no route in there, this machine's own addresses
included, so neither databases nor the metadata address of a cloud are reached; code without capabilities
cannot change that. Names are looked up through this machine's own resolver.

Needs root. Where it cannot be had, a sandbox has no network, and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from runner.executor import ownership

NAMESPACES = Path("/run/netns")
#: TEST-NET-1: nobody is there, so nothing real is hidden.
INSIDE = "192.0.2.0/24"
RESOLVER = "192.0.2.3"
#: RFC 6890: this network, private, shared, link local, protocol assignments, benchmarks, multicast, reserved.
CLOSED = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
READY_SECONDS = 10.0
_NAME = re.compile(r"(runner-\d+-\d+)-.+")


class NoEgress(Exception):
    """It could not be made."""


class EgressNetworks:
    """Makes them, and takes them away."""

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Path]:
        """A namespace to enter, gone afterwards. Raises NoOutlet."""
        full = f"{ownership.own_name()}-{name}"
        place = NAMESPACES / full
        try:
            await _ip("netns", "add", full)
            await _ip("-n", full, "-batch", "-", said="\n".join(_orders(await _own_addresses())))
            process = await _connect(place)
            try:
                yield place
            finally:
                process.kill()
                await asyncio.shield(process.wait())
        finally:
            await asyncio.shield(asyncio.to_thread(_remove, full))

    def sweep(self) -> int:
        """Remove those of runners that are gone; how many there were. Blocking."""
        with contextlib.suppress(FileNotFoundError):
            found = [_NAME.fullmatch(name) for name in os.listdir(NAMESPACES)]
            orphans = [match[0] for match in found if match and ownership.is_orphan(match[1])]
            for orphan in orphans:
                _remove(orphan)
            return len(orphans)
        return 0


async def probe() -> EgressNetworks | str:
    """Open one and see whether it works; else why not."""
    if os.getuid() != 0:
        return "only root may make a network namespace that leads to the internet alone"
    for program, package in {"ip": "iproute2", "slirp4netns": "slirp4netns", "nsenter": "util-linux"}.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install {package})"
    egress_networks = EgressNetworks()
    await asyncio.to_thread(egress_networks.sweep)
    try:
        async with egress_networks.open("probe"):
            return egress_networks
    except NoEgress as error:
        return str(error)


def resolv_conf(folder: Path) -> Path:
    """The file that names the resolver in there."""
    file = folder / "resolv.conf"
    if not file.exists():
        fresh = folder / f".resolv.conf-{os.getpid()}"
        fresh.write_text(f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n")
        fresh.chmod(0o644)
        fresh.replace(file)
    return file


def _orders(own: Iterable[str]) -> list[str]:
    """What `ip` is told inside: the closed networks, and this machine where they do not hold it."""
    closed = [ipaddress.ip_network(each) for each in CLOSED]
    others = [each for each in own if not any(ipaddress.ip_address(each) in network for network in closed)]
    shut = [*CLOSED, *(f"{each}/32" for each in sorted(set(others)))]
    return ["link set lo up", *(f"route add unreachable {each}" for each in shut)]


async def _own_addresses() -> list[str]:
    said = json.loads(await _ip("-j", "-4", "address", "show"))
    found = [info["local"] for link in said for info in link.get("addr_info", ())]
    return [each for each in found if not ipaddress.ip_address(each).is_loopback]


async def _connect(place: Path) -> asyncio.subprocess.Process:
    """slirp4netns, ready; it dies with us."""
    read, write = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig=KILL", "--",
            # its own sandbox unmounts everything, our namespaces too where mounts are shared
            "unshare", "--mount", "--propagation=private", "--",
            "slirp4netns", "--configure", f"--cidr={INSIDE}", "--mtu=1500", "--disable-host-loopback",
            "--enable-sandbox", "--enable-seccomp", f"--ready-fd={write}",
            "--netns-type=path", str(place), "tap0",
            pass_fds=[write],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except BaseException:
        os.close(read)
        raise
    finally:
        os.close(write)
    with os.fdopen(read, "rb", buffering=0) as ready:
        os.set_blocking(ready.fileno(), False)
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), ready
        )
        try:
            async with asyncio.timeout(READY_SECONDS):
                said = await reader.read(1)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        finally:
            transport.close()
    if not said:
        raise NoEgress(f"slirp4netns does not work here (exit {await process.wait()})")
    return process


async def _ip(*words: str, said: str = "") -> bytes:
    process = await asyncio.create_subprocess_exec(
        "ip", *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate(said.encode())
    if process.returncode:
        raise NoEgress(f"ip {words[0]}: {error.decode('utf-8', 'replace').strip()[:200]}")
    return out


def _remove(name: str) -> None:
    """The namespace, and what is connected to it."""
    mark = f"{NAMESPACES / name}".encode()
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and mark in Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0"):
                os.kill(int(entry), signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
