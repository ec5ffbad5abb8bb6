"""Sockets that nobody should knock at, and a certificate."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Watched:
    """Sockets on 127.0.0.1 and ::1 that nobody should knock at, and every connection that was tried."""

    port: int
    sockets: list[socket.socket]
    tried: list[Any] = field(default_factory=list)

    def knocks(self) -> int:
        count = 0
        for each in self.sockets:
            try:
                each.accept()[0].close()
                count += 1
            except BlockingIOError:
                pass
        return count


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    sockets = [socket.create_server(("127.0.0.1", 0))]
    port = sockets[0].getsockname()[1]
    if socket.has_ipv6:
        sockets.append(socket.create_server(("::1", port), family=socket.AF_INET6))
    for each in sockets:
        each.setblocking(False)
    made = Watched(port, sockets)
    really = asyncio.SelectorEventLoop.sock_connect

    async def watch(loop: Any, sock: socket.socket, where: Any) -> None:
        made.tried.append(where)
        await really(loop, sock, where)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", watch)
    yield made
    for each in sockets:
        each.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for receiver.example."""
    folder = tmp_path_factory.mktemp("certificate")
    key, crt = folder / "key.pem", folder / "crt.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(crt), "-days", "2", "-subj", "/CN=receiver.example",
         "-addext", "subjectAltName=DNS:receiver.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, crt
