"""The calendar turns beside those who work: it waits for nobody for long, and nobody waits for it."""

from __future__ import annotations

import time

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from dev.stack.testbed import Database
from tests.doors import Doors

INSTANCE = "00000000-0000-4000-8000-000000000001"
OFFERS = ["spark_etl/duckdb"]
SUBMISSION = {"job_type": "spark_etl", "spec": "Nothing.", "code": {"files": {"job.py": "pass"}}}


@pytest.fixture
def overdue(doors: Doors) -> str:
    """A week of attempts that is long over, and one of those that are made ahead is missing."""
    doors.clock.execute(
        "create table queue.past_attempts_2020w01 partition of queue.past_attempts"
        " for values from ('2019-12-30T00:00Z') to ('2020-01-06T00:00Z')"
    )
    doors.clock.execute("alter table queue.past_attempts_2020w01 owner to app_owner")
    [(ahead,)] = doors.clock.execute(
        "select 'queue.past_attempts_' || to_char(now() at time zone 'UTC' + interval '21 days', 'IYYY\"w\"IW')"
    )
    doors.clock.execute(sql.SQL("drop table {}").format(sql.Identifier(*ahead.split("."))))
    return str(ahead)


def _is_there(doors: Doors, table: str) -> bool:
    [(there,)] = doors.clock.execute("select to_regclass(%s) is not null", [table])
    return bool(there)


def _tidy(doors: Doors) -> tuple[str | None, float]:
    began = time.monotonic()
    [(answer,)] = doors.runner.execute("select worker.tidy()")
    return answer["turned"], time.monotonic() - began


def test_a_settle_that_stays_open_is_waited_for_a_moment_only_and_holds_nobody_up(
    database: Database, doors: Doors, overdue: str
) -> None:
    doors.register(INSTANCE, OFFERS)
    doors.runner.execute("set statement_timeout = '20s'")
    for slug in ("acme", "beta"):  # of one tenant the second settle would wait for the first one's limit
        doors.call(database.add_tenant(slug), "run_job", SUBMISSION)
    first, second = doors.claim(INSTANCE, OFFERS, 2)
    outcome = {"outcome": {"state": "SUCCEEDED"}}

    with psycopg.connect(database.runner) as open_still:  # it publishes a large table, say
        open_still.execute(
            "select worker.settle_attempts(%s, %s)",
            [INSTANCE, Jsonb([{k: first[k] for k in ("attempt_id", "lease")} | outcome])],
        )
        # attaching needs no more than the writers leave: the missing week is made at once
        turned, _ = _tidy(doors)
        assert turned == f"made {overdue.removeprefix('queue.')}"
        # dropping would lock them out: given up after a moment, tried again later
        turned, waited = _tidy(doors)
        assert (turned, _is_there(doors, "queue.past_attempts_2020w01")) == (None, True)
        assert waited < 2
        began = time.monotonic()
        doors.settle(INSTANCE, [{k: second[k] for k in ("attempt_id", "lease")} | outcome])
        assert time.monotonic() - began < 2

    turned, _ = _tidy(doors)
    assert (turned, _is_there(doors, "queue.past_attempts_2020w01")) == (
        "dropped past_attempts_2020w01",
        False,
    )


def test_two_runners_tidy_one_after_the_other(database: Database, doors: Doors, overdue: str) -> None:
    with psycopg.connect(database.runner) as first:
        [(answer,)] = first.execute("select worker.tidy()")
        [(other,)] = doors.runner.execute("select worker.tidy()")

        assert answer["more"] is True
        assert other == {"more": False}
