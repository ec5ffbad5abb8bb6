"""Callbacks from the outbox: every one is sent and settled, and no endpoint holds the others up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from runner.callback.courier import Courier
from runner.callback.outbox import Outbox
from runner.model.wire import Delivery
from runner.store.base import DeliveryResult
from runner.store.memory import MemoryStore


def make_delivery(number: int, endpoint: str = "one") -> Delivery:
    return Delivery(
        delivery_id=number, lease=1, tenant_id="t", endpoint_id=endpoint, url="http://x.example/",
        secret_version=1, event_id=f"evt_{number}", type="run.completed", body="{}",
    )  # fmt: skip


class FakeCourier(Courier):
    """Takes its time; `hangs` are endpoints that never answer while the gate is closed."""

    def __init__(self, *hangs: str, result: str = "delivered") -> None:
        self.hangs = set(hangs)
        self.result = result
        self.gate = asyncio.Event()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def carry(self, delivery: Delivery) -> DeliveryResult:
        endpoint = delivery.endpoint_id
        self.now[endpoint] += 1
        self.most[endpoint] = max(self.most[endpoint], self.now[endpoint])
        try:
            if endpoint in self.hangs:
                await self.gate.wait()
            await asyncio.sleep(0.005)
        finally:
            self.now[endpoint] -= 1
        return DeliveryResult(delivery.tenant_id, delivery.delivery_id, delivery.lease, self.result)


@contextlib.asynccontextmanager
async def running(store: MemoryStore, courier: FakeCourier) -> AsyncIterator[tuple[Outbox, list[int]]]:
    put_off: list[int] = []
    made = Outbox(store, courier, poll_seconds=0.02, put_off=lambda: put_off.append(1))
    task = asyncio.create_task(made.run())
    try:
        yield made, put_off
    finally:
        courier.gate.set()
        made.stop()
        async with asyncio.timeout(5):
            await made.quiet()
            await task


async def settled(store: MemoryStore, count: int) -> None:
    async with asyncio.timeout(5):
        while len(store.delivered) < count:  # noqa: ASYNC110 - a fake store has no events to wait for
            await asyncio.sleep(0.002)


async def test_every_delivery_is_sent_and_settled_once() -> None:
    store, courier = MemoryStore(), FakeCourier()
    store.deliveries = [make_delivery(i, f"e{i % 7}") for i in range(300)]
    async with running(store, courier):
        await settled(store, 300)

    assert sorted(each.delivery_id for each in store.delivered) == list(range(300))
    assert store.calls.count("settle_deliveries") < 150


async def test_a_dead_endpoint_does_not_hold_the_others_up() -> None:
    store, courier = MemoryStore(), FakeCourier("dead")
    store.deliveries = [make_delivery(i, "dead") for i in range(60)]
    store.deliveries += [make_delivery(100 + i, f"e{i}") for i in range(40)]
    async with running(store, courier):
        await settled(store, 40)

        assert all(each.delivery_id >= 100 for each in store.delivered)


async def test_a_failure_asks_the_clock_to_look_later() -> None:
    store, courier = MemoryStore(), FakeCourier(result="failed")
    store.deliveries = [make_delivery(1)]
    async with running(store, courier) as (_, put_off):
        await settled(store, 1)

        assert put_off == [1]


async def test_results_wait_for_the_database(caplog: pytest.LogCaptureFixture) -> None:
    store, courier = MemoryStore(), FakeCourier("slow")
    store.deliveries = [make_delivery(1, "slow")]
    async with running(store, courier):
        async with asyncio.timeout(5):
            while not courier.now["slow"]:  # noqa: ASYNC110 - a fake courier has no events to wait for
                await asyncio.sleep(0.002)
        store.away = True
        courier.gate.set()
        await asyncio.sleep(0.1)
        assert store.delivered == []
        store.away = False
        await settled(store, 1)

    assert "deliveries_not_settled" in caplog.messages


async def test_what_is_under_way_ends_before_the_outbox_does() -> None:
    store, courier = MemoryStore(), FakeCourier()
    store.deliveries = [make_delivery(i) for i in range(10)]
    async with running(store, courier) as (made, _):
        async with asyncio.timeout(5):
            while not courier.now["one"]:  # noqa: ASYNC110 - a fake courier has no events to wait for
                await asyncio.sleep(0.001)
        made.stop()

    assert len(store.delivered) == 10
