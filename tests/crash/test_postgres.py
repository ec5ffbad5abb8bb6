"""Postgres crashes while a job's table lies in staging: nobody takes an emptied table for the job's."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from dev.stack import postgres
from dev.stack.testbed import Cluster, Database
from runner.model.attempt import Attempt
from runner.model.collected import Column
from runner.model.errors import Retryable
from runner.model.outcome import StagedTable, Succeeded
from runner.store.verbs import Verbs
from runner.target.loader import Loader
from tests.contract.houses import PostgresHouse

COLUMNS = (Column("n", "bigint"),)
OUTPUT = {"name": "rows", "layer": "gold", "table": "numbers"}


@pytest.fixture
def acme(house: Database) -> PostgresHouse:
    return PostgresHouse(house, house.add_tenant("acme"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("n\n1\n2\n3\n")
    return path


def crash(cluster: Cluster) -> None:
    cluster.crash()
    postgres.wait_ready(cluster.server, cluster.daemon)


async def claim(store: Verbs, house: PostgresHouse, **fields: Any) -> Attempt:
    house.run(**fields)
    (attempt,), _ = await store.claim_attempts(["code_validation/default"], 1)
    return attempt


async def test_a_table_that_a_crash_emptied_is_made_again(
    durable: Cluster, acme: PostgresHouse, source: Path
) -> None:
    store = Verbs(acme.database.runner, str(uuid.uuid4()))
    loader = Loader(acme.database.runner)
    try:
        attempt = await claim(store, acme, outputs=[OUTPUT])
        staging = await store.open_output(attempt.key, "rows", COLUMNS)
        rows = await loader.load("rows", staging, COLUMNS, source)
        crash(durable)
        await store.close()
        done = Succeeded(tables=(StagedTable("rows", staging, "gold", "numbers", "overwrite", rows),))
        (settled,) = await store.settle_attempts([(attempt.key, done)])
    finally:
        await store.close()

    assert (settled.settled, settled.reason) == (True, "publish_failed")
    assert acme.sql("select number, state::text from queue.live_attempts") == [(2, "QUEUED")]
    assert acme.sql("select to_regclass('gold_acme.numbers')") == [(None,)]


async def test_an_input_that_a_crash_emptied_is_not_read(
    durable: Cluster, acme: PostgresHouse, source: Path, tmp_path: Path
) -> None:
    store = Verbs(acme.database.runner, str(uuid.uuid4()))
    loader = Loader(acme.database.runner)
    try:
        first = await claim(store, acme, outputs=[OUTPUT])
        staging = await store.open_output(first.key, "rows", COLUMNS)
        rows = await loader.load("rows", staging, COLUMNS, source)
        done = Succeeded(tables=(StagedTable("rows", staging, "gold", "numbers", "overwrite", rows),))
        await store.settle_attempts([(first.key, done)])
        second = await claim(store, acme, inputs=[{"name": "numbers", "table": "gold.numbers"}])
        staged = await store.open_input(second.key, "numbers")
        crash(durable)
        with pytest.raises(Retryable, match="lost while the database recovered"):
            await loader.unload("numbers", staged.table, ["n"], tmp_path / "in.csv", 10**6, rows=staged.rows)
    finally:
        await store.close()
