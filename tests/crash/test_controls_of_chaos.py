"""Without the fence, the reaper, the outbox or the return of a slot the proof fails, and with all of them it does not."""

from __future__ import annotations

import asyncio

import pytest

from dev.stack.testbed import Cluster
from tests.crash import scenes, stage
from tests.crash.mutation import CONTROLS, Control
from tests.crash.scenes import Scene

BY_NAME = {control.name: control for control in CONTROLS}

#: What is taken out, the scene in which that matters, and a law that it must break.
BROKEN = (
    ("settle without the lease", scenes.the_stale_worker_speaks, "who holds the lease says what came of it"),
    ("a reaper that sees nothing", scenes.a_runner_is_killed, "every run ended as it may"),
    ("an end that is not announced", scenes.a_runner_is_killed, "every run is announced once, as it ended"),
    ("a settle that forgets the slot", scenes.a_runner_is_killed, "no slot leaked"),
    ("a reaper that forgets the slot", scenes.a_runner_is_killed, "no slot leaked"),
    ("a lease that does not grow", scenes.a_runner_is_killed, "every step follows from the one before"),
    ("a claim beyond the limit", scenes.a_crowd_waits, "no tenant ran more than its limit"),
)


async def broken_laws(cluster: Cluster, scene: Scene, controls: list[Control]) -> list[str]:
    with cluster.database() as database:
        async with stage.stage(cluster, database, controls=controls) as made:
            orders = await scene(made)
            await made.calm(len(orders), seconds=scenes.PATIENCE)
            await made.fleet.rest()
            return sorted(made.prove(orders)["broken"])


@pytest.mark.parametrize(
    "scene",
    [scenes.the_stale_worker_speaks, scenes.a_runner_is_killed, scenes.a_crowd_waits],
    ids=lambda it: it.__name__,
)
def test_with_every_guard_in_place_nothing_is_broken(scene: Scene, durable: Cluster) -> None:
    assert asyncio.run(broken_laws(durable, scene, [])) == []


@pytest.mark.parametrize(("name", "scene", "law"), BROKEN, ids=[it[0] for it in BROKEN])
def test_the_proof_goes_red(name: str, scene: Scene, law: str, durable: Cluster) -> None:
    assert law in asyncio.run(broken_laws(durable, scene, [BY_NAME[name]]))
