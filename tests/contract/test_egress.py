"""A granted network leads to the internet and to nothing else. The world is a namespace beside ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from runner.executor import cgroup, egress, ownership, sandbox
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from tests.contract.conftest import PythonPieces, said

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("slirp4netns") is None or shutil.which("ip") is None,
    reason="needs root, slirp4netns and iproute2: apt-get install slirp4netns iproute2",
)
#: TEST-NET-2, behind a cable from this machine.
WORLD, OURS = "198.51.100.1", "198.51.100.2"
SERVE = f"""
import socket
server = socket.create_server(("{WORLD}", 8080))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    connection.send(b"the world")
    connection.close()
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def world() -> Iterator[None]:
    """A server somewhere out there."""
    name, cable = f"world{os.getpid()}", f"cr{os.getpid() % 100_000}"
    ip("netns", "add", name)
    try:
        ip("link", "add", f"{cable}a", "type", "veth", "peer", "name", f"{cable}b", "netns", name)
        ip("address", "add", f"{OURS}/24", "dev", f"{cable}a")
        ip("link", "set", f"{cable}a", "up")
        ip("-n", name, "address", "add", f"{WORLD}/24", "dev", f"{cable}b")
        ip("-n", name, "link", "set", f"{cable}b", "up")
        argv = ["ip", "netns", "exec", name, sys.executable, "-c", SERVE]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield
            server.kill()
    finally:
        subprocess.run(["ip", "link", "delete", f"{cable}a"], check=False, capture_output=True)
        ip("netns", "delete", name)


@pytest.fixture
async def connected(folder: Path) -> AsyncIterator[PythonPieces]:
    groups = cgroup.detect()
    made = await sandbox.probe(groups, folder, network="internet")
    if not isinstance(made, Sandbox) or made.egress_networks is None:
        pytest.skip(f"needs a sandbox with a way out ({made.description})")
    yield PythonPieces(ProcessExecutor(made, grace_seconds=1.0), folder, made.owner)
    groups.close()


def left() -> list[str]:
    """Namespaces of this process."""
    return [name for name in os.listdir(egress.NAMESPACES) if name.startswith(ownership.own_name())]


async def test_a_granted_network_leads_to_the_world_and_nowhere_else(
    world: None, connected: PythonPieces
) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        own = {each[4][0] for each in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {
            "127.0.0.1"
        }
        lines = await said(
            connected,
            f"""
            import socket
            def tried(host, port):
                try:
                    with socket.create_connection((host, port), 3) as s:
                        return s.recv(20)
                except OSError:
                    return b"nothing"
            print("world", tried("{WORLD}", 8080))
            for host in ("127.0.0.1", "192.0.2.2", "{OURS}", "10.0.2.2", *{sorted(own)!r}):
                print(host, tried(host, {port}))
            print("metadata", tried("169.254.169.254", 80))
            print([each for each in open("/etc/resolv.conf").read().split() if each[0].isdigit()])
            """,
            network=True,
        )
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()

    assert lines[0] == "world b'the world'"
    assert lines[-1] == "['192.0.2.3']"
    assert {line.split()[1] for line in lines[1:-1]} == {"b'nothing'"}
    assert left() == []


async def test_what_was_not_granted_has_none_beside_it(connected: PythonPieces) -> None:
    lines = await said(connected, "import socket; print([name for _, name in socket.if_nameindex()])")

    assert lines == ["['lo']"]


async def test_the_job_cannot_open_what_is_shut(connected: PythonPieces) -> None:
    lines = await said(
        connected,
        """
        import os, socket, subprocess
        print([name for _, name in socket.if_nameindex()])
        print(int([line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0], 16))
        print(subprocess.run(["/usr/sbin/ip", "route", "del", "unreachable", "10.0.0.0/8"], capture_output=True).returncode != 0
              if os.path.exists("/usr/sbin/ip") else True)
        """,
        network=True,
    )

    assert lines == ["['lo', 'tap0']", "0", "True"]


async def test_what_a_killed_runner_left_is_swept() -> None:
    name = "runner-1-1-a1-l1"
    await asyncio.to_thread(ip, "netns", "add", name)

    assert await asyncio.to_thread(egress.EgressNetworks().sweep) == 1
    assert name not in os.listdir(egress.NAMESPACES)
