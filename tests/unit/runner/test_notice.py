"""What systemd is told, read from a socket as it would."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path

import pytest

from runner.notice import Notice


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_told_of_readiness_then_of_life_then_of_the_end(tmp_path: Path, abstract: bool) -> None:
    name = f"@control-room-{uuid.uuid4()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        notice = Notice(name)
        notice.alive()
        notice.alive()
        notice.stopping()
        said = [systemd.recv(100).decode() for _ in range(3)]

    assert said == ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_nobody_there_is_no_trouble(address: str) -> None:
    Notice(address).alive()
