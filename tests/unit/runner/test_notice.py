"""What systemd is told, read from a socket as it would."""

from __future__ import annotations

import asyncio
import socket
import uuid
from pathlib import Path

import pytest

from runner import health
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


async def test_ready_is_said_when_notifications_arrive_or_after_a_while_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[bool] = []
    listening = False
    heard = asyncio.Event()

    class Ear(Notice):
        def alive(self) -> None:
            said.append(listening)
            heard.set()

    monkeypatch.setattr(health, "PERIOD_SECONDS", 0.02)
    told = health.Health(None, lambda: {"listening": listening}, Ear(""))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(told.run())
        await asyncio.sleep(0.01)
        before = [*said]
        await heard.wait()
        task.cancel()
    deaf, listening = [*said], True
    said.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(told.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()

    assert (before, deaf[0], said) == ([], False, [True])


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_nobody_there_is_no_trouble(address: str) -> None:
    Notice(address).alive()
