"""Postgres crashes: nobody takes a table that it emptied for the job's, nobody holds a lease that it forgot."""

from __future__ import annotations

import os
import signal
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


async def test_a_claim_that_a_crash_forgot_is_nobodys_lease(durable: Cluster, acme: PostgresHouse) -> None:
    first = Verbs(acme.database.runner, str(uuid.uuid4()))
    second = Verbs(acme.database.runner, str(uuid.uuid4()))
    [(writer,)] = acme.sql("select pid from pg_stat_activity where backend_type = 'walwriter'")
    try:
        before = await claim(
            first, acme
        )  # a crash before this test made it begin an epoch: it was waited for
        await first.settle_attempts([(before.key, Succeeded())])
        os.kill(writer, signal.SIGSTOP)  # what nobody waits for does not reach the disk
        forgotten = await claim(first, acme)
        crash(durable)
        await first.close()
        assert acme.sql("select state::text, lease from queue.live_attempts") == [("QUEUED", 0)]
        (again,), _ = await second.claim_attempts(["code_validation/default"], 1)
        (late,) = await first.settle_attempts([(forgotten.key, Succeeded())])
        (settled,) = await second.settle_attempts([(again.key, Succeeded())])
    finally:
        await first.close()
        await second.close()

    assert again.attempt_id == forgotten.attempt_id
    assert again.lease > forgotten.lease
    assert (late.settled, late.reason) == (False, "stale")
    assert settled.settled
