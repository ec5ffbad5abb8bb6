"""What attempts leave outside is removed when they are over, and not before."""

from __future__ import annotations

from typing import Any

import pytest

from runner.dispatch.upkeep import Sweeper
from runner.model.attempt import Attempt
from runner.model.errors import StoreUnavailable
from runner.store.memory import MemoryStore


class Outside:
    """Something that keeps Jobs, by attempt."""

    def __init__(self, *attempts: int) -> None:
        self.jobs: dict[int, str] = {each: f"job-{each}" for each in attempts}

    async def left(self) -> dict[int, str]:
        return dict(self.jobs)

    async def forget(self, what: Any) -> None:
        self.jobs = {number: job for number, job in self.jobs.items() if job != what}


def attempt(number: int) -> Attempt:
    return Attempt(
        attempt_id=number,
        lease=0,
        number=1,
        run_id=1,
        task_run_id=1,
        task_key="execute",
        tenant_id="t",
        tenant_slug="acme",
        job_type="spark_etl",
        engine="duckdb",
        requires="spark_etl/duckdb",
        timeout_seconds=60,
    )


async def test_what_is_over_is_removed_and_what_may_be_adopted_stays() -> None:
    store, outside = MemoryStore(), Outside(1, 2, 3)
    store.submit(attempt(1))  # waits to be adopted
    store.submit(attempt(2)).final = True  # settled; and of 3 nobody has heard

    assert await Sweeper(store, outside).sweep() == 2
    assert set(outside.jobs) == {1}


async def test_a_database_that_is_away_is_no_reason_to_remove_anything() -> None:
    store, outside = MemoryStore(), Outside(1)
    store.away = True

    with pytest.raises(StoreUnavailable):
        await Sweeper(store, outside).sweep()
    assert set(outside.jobs) == {1}
