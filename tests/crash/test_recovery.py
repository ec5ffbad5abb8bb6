"""How long it takes until the work of a killed runner is at work again: the lease, and next to nothing on top."""

from __future__ import annotations

import asyncio
import random
import signal
import time

import pytest

from dev.stack.testbed import Cluster
from tests.crash import stage
from tests.crash.fleet import Place
from tests.crash.scenes import order
from tests.crash.stage import LEASE_SECONDS, Stage
from tests.crash.test_chaos import quantiles

#: Of 15 s of lease, 20 s may pass: that, to the scale of the lease.
ALLOWED = 20 / 15
#: What a busy machine may add to a second that it would not notice in twenty.
NOISE_SECONDS = 0.5


async def killed_to_running(on: Stage, victims: int, spread: float) -> list[float]:
    """Kills `victims` runners that all hold work, at moments of their own, beside one that lives."""
    lives = on.fleet.places[0]
    doomed = [Place(10 + n, "doomed", on.folder) for n in range(victims)]
    on.fleet.places += doomed
    for place in doomed:
        await on.fleet.start(place, CONTROL_ROOM_CAPACITY="1")
    orders = [order(n, [{"sleep_ms": 120_000}]) for n in range(victims)]
    on.database.platform("platform_set_limits", {"tenant": "ten", "max_running": 100})
    await on.orders(orders)
    await on.until(
        "all hold one", "select count(*) = %s from queue.live_attempts where state = 'RUNNING'", [victims]
    )
    await on.fleet.start(lives, CONTROL_ROOM_CAPACITY="100")
    await on.until("the other lives", "select count(*) = %s from queue.runners", [victims + 1])
    killed: dict[str, float] = {}

    async def kill(place: Place) -> None:
        await asyncio.sleep(random.uniform(0, spread))
        instance = place.instance
        assert instance is not None
        place.signal(signal.SIGKILL)
        killed[instance] = time.time()

    async with asyncio.TaskGroup() as group:
        for place in doomed:
            group.create_task(kill(place))
    await on.until(
        "all run again", "select count(*) = %s from queue.live_attempts where state = 'RUNNING' and lease = 2", [victims],
        seconds=60,
    )  # fmt: skip
    rows = await on.ask(
        "select a.runner::text, extract(epoch from b.at)::float8 from witness.steps a join witness.steps b using (attempt_id)"
        " where a.became = 'RUNNING' and a.lease = 1 and b.became = 'RUNNING' and b.lease = 2"
    )
    return [at - killed[instance] for instance, at in rows]


async def measured(cluster: Cluster, victims: int, spread: float, *, production: bool) -> list[float]:
    with cluster.database() as database:
        async with stage.stage(cluster, database, production=production) as made:
            return await killed_to_running(made, victims, spread)


def test_killed_work_runs_again_soon_after_its_lease(
    durable: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = asyncio.run(measured(durable, 6, 1.5, production=False))
    with capsys.disabled():
        print(f"\nkill -9 to running again, lease {LEASE_SECONDS:g} s: {quantiles(waits)}")

    assert max(waits) <= LEASE_SECONDS * ALLOWED + NOISE_SECONDS


@pytest.mark.chaos
def test_with_the_clockwork_of_production_it_runs_again_within_20_seconds(
    durable: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = asyncio.run(measured(durable, 10, 15.0, production=True))
    with capsys.disabled():
        print(f"\nkill -9 to running again, lease 15 s: {quantiles(waits)}")

    assert max(waits) <= 20
