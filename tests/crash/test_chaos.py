"""Two hundred faults, and every run that was asked for happens once.

The seed is printed. `pytest tests/crash/test_chaos.py --seed N` plays the same plan again;
`scripts/test --chaos MINUTES` plays one plan after the other, each with the next seed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dev.stack.testbed import Cluster
from tests.crash import fleet, plan, stage
from tests.crash.plan import Order
from tests.crash.stage import Stage

FAULTS = 225
ORDERS = 280
SECONDS = 90.0
PATIENCE = 150.0  # on a quiet machine a tenth of it is enough


def test_whatever_is_killed_every_run_happens_once(
    durable: Cluster, seed: int, chaos_seconds: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    end = time.monotonic() + (chaos_seconds or 0)
    while True:
        with capsys.disabled():
            print(f"\nchaos: --seed {seed}", flush=True)
            print(f"  {asyncio.run(round_of(durable, seed))}", flush=True)
        seed += 1
        if time.monotonic() > end:
            return


async def round_of(cluster: Cluster, seed: int) -> str:
    """One plan from its beginning to its proof; what there was of everything."""
    drawn = plan.draw(
        seed, faults=FAULTS, orders=ORDERS, seconds=SECONDS, runners=len(fleet.NAMES),
        sandbox=shutil.which("bwrap") is not None,
    )  # fmt: skip
    with cluster.database() as database:
        async with stage.stage(cluster, database, seed=seed) as made:
            began = time.monotonic()
            stage.arms(made)
            await stage.start_the_clock(made)
            keepers = [asyncio.create_task(made.fleet.keep(place)) for place in made.fleet.places]
            await made.play(drawn)
            played = time.monotonic() - began
            await made.calm(len(drawn.orders), seconds=PATIENCE)
            calm = time.monotonic() - began - played
            left = await made.sweep()
            await asyncio.gather(*keepers)
            times = {"played_s": round(played), "calm_s": round(calm), "again_s": await _latency(made)}
            return judge(made, drawn.orders, left, seed, times)


def judge(made: Stage, orders: Sequence[Order], left: list[str], seed: int, times: dict[str, Any]) -> str:
    """Raises with everything that is broken; else says how much there was."""
    proof = made.prove(orders)
    replayed = made.faults.pop("replayed", 0)
    faults = made.faults.total() + made.fleet.deaths["killed"] - made.faults["kill"]
    said = {
        **times,
        "faults": faults,
        "of": dict(made.faults),
        "deaths": dict(made.fleet.deaths),
        "stale": made.fleet.said("stale"),
        "replayed": replayed,
        "sightings": made.receiver.seen.total(),
        **proof["counts"],
    }
    broken = {
        **proof["broken"],
        **({"nothing is left behind": left} if left else {}),
        **({"every signature is right": made.receiver.refused[:3]} if made.receiver.refused else {}),
        **({"no loop of a runner failed": made.fleet.last_words()[:3]} if made.fleet.last_words() else {}),
        **{f"a runner {it}": [n] for it, n in made.fleet.deaths.items() if it not in fleet.CODES.values()},
    }
    if broken:
        logs = _keep(made, seed)
        raise AssertionError(
            f"--seed {seed}; logs in {logs}\n{json.dumps(broken, indent=1)}\n{json.dumps(said)}"
        )
    assert faults >= 200, said
    return json.dumps(said)


async def _latency(made: Stage) -> dict[str, float]:
    """Seconds from a kill to the next claim of what was killed. The next runner may be killed as well."""
    waits: list[float] = []
    for at, instance in made.kills:
        rows = await made.ask(
            "select extract(epoch from min(s.at))::float8 - %s from witness.steps s"
            " join (select distinct on (attempt_id) * from witness.steps where at <= to_timestamp(%s)"
            "       order by attempt_id, n desc) h on h.attempt_id = s.attempt_id and h.became = 'RUNNING'"
            "                                    and h.runner = %s"
            " where s.became = 'RUNNING' and s.n > h.n group by s.attempt_id",
            [at, at, instance],
        )
        waits += [wait for (wait,) in rows]
    return quantiles(waits)


def quantiles(waits: list[float]) -> dict[str, float]:
    """How many, and in seconds p50, p90, p99 and the longest."""
    ordered = sorted(waits)
    if not ordered:
        return {"n": 0}
    at = {
        f"p{p}": round(ordered[min(len(ordered) - 1, int(p / 100 * len(ordered)))], 2) for p in (50, 90, 99)
    }
    return {"n": len(ordered), **at, "max": round(ordered[-1], 2)}


def _keep(made: Stage, seed: int) -> Path:
    kept = Path(f"/tmp/control-room-chaos-{seed}")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for log in made.folder.glob("*.log"):
        shutil.copy(log, kept)
    shutil.copy(made.cluster.server.place.log("postgres"), kept / "postgres.log")
    return kept
