"""Upkeep: sealing after a hint, and nothing at all without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from runner.dispatch.upkeep import Broom, Notary, Sealer
from runner.model.errors import Retryable, StaleLease
from runner.model.wire import Removals, Swept
from runner.store.memory import MemoryStore
from runner.transfer import door as transfer
from runner.transfer.door import Door


async def _run(sealer: Sealer, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await sealer.run()


async def test_without_a_hint_nothing_is_asked() -> None:
    store = MemoryStore()

    await _run(Sealer(store, 0.001), 0.05)

    assert store.calls == []


async def test_after_a_hint_it_seals_until_nothing_is_left() -> None:
    store = MemoryStore()
    store.unsealed = [10000, 3]
    sealer = Sealer(store, 0.001)

    sealer.wake()
    await _run(sealer, 0.1)

    assert store.calls == ["seal", "seal", "seal"]


async def test_while_the_database_is_away_the_hint_is_kept() -> None:
    store = MemoryStore()
    store.unsealed = [1]
    store.away = True
    sealer = Sealer(store, 0.001)
    running = asyncio.create_task(_run(sealer, 2))

    sealer.wake()
    await asyncio.sleep(0.05)
    store.away = False
    await running

    assert store.unsealed == []


def _broom(store: MemoryStore, *answers: httpx.Response) -> tuple[Broom, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return left.pop(0)

    return Broom(store, Door("http://house.example/api", "anon", httpx.MockTransport(answer))), asked


CLAIMED = Swept(removals=Removals(claim="c-1", count=2, token="crsw_secret"), more=True)


async def test_where_nothing_is_to_go_the_door_is_not_asked() -> None:
    store = MemoryStore()
    broom, asked = _broom(store)

    assert await broom.sweep() is False
    assert (store.calls, asked) == (["sweep_artifacts"], [])


async def test_what_is_claimed_is_deleted_by_the_door_and_then_confirmed() -> None:
    store = MemoryStore()
    store.swept = [CLAIMED]
    broom, asked = _broom(store, httpx.Response(200, json={"removed": 2}))

    assert await broom.sweep() is True
    assert store.calls == ["sweep_artifacts", "confirm_removals"]
    (request,) = asked
    assert (request.method, request.url.path) == ("DELETE", "/api/v1/sweeps/bytes")
    assert request.headers["authorization"] == "Bearer crsw_secret"


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(502, "STORAGE_FAILED", Retryable), (401, "SWEEP_TOKEN_INVALID", StaleLease)],
)
async def test_what_the_door_does_not_delete_is_not_confirmed(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, error: type[Exception]
) -> None:
    monkeypatch.setattr(transfer, "FIRST_PAUSE_SECONDS", 0.001)
    store = MemoryStore()
    store.swept = [CLAIMED]
    broom, _ = _broom(store, *[httpx.Response(status, json={"code": code}) for _ in range(transfer.TRIES)])

    with pytest.raises(error):
        await broom.sweep()
    assert store.calls == ["sweep_artifacts"]


HEADS = [{"tenant": slug, "number": 3, "hash": "00", "entries": 5} for slug in ("", "acme", "beta")]


async def _notarised(store: MemoryStore, folder: Path) -> list[Path]:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await Notary(store, folder, 0.01).run()
    return sorted(folder.glob("*"))  # noqa: ASYNC240  nothing else runs


async def test_the_heads_of_the_audit_are_kept_once_a_day(tmp_path: Path) -> None:
    store = MemoryStore()
    store.heads = HEADS

    (file,) = await _notarised(store, tmp_path)

    assert file.name == f"audit-heads-{datetime.now(UTC):%Y-%m-%d}.json"
    assert json.loads(file.read_text())["items"] == HEADS
    assert store.calls == ["audit_heads"] * 3


async def test_heads_that_are_kept_are_never_written_anew(tmp_path: Path) -> None:
    store = MemoryStore()
    store.heads = HEADS
    (file,) = await _notarised(store, tmp_path)
    before = file.read_text()
    store.heads = HEADS[:1]

    (after,) = await _notarised(store, tmp_path)

    assert after.read_text() == before


async def test_without_a_chain_or_a_database_no_heads_are_kept(tmp_path: Path) -> None:
    store = MemoryStore()

    assert await _notarised(store, tmp_path) == []

    store.away = True
    assert await _notarised(store, tmp_path) == []
