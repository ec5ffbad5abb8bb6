"""What the stateful suite has found, each in its shortest form."""

from __future__ import annotations

import pytest

from dev.stack.testbed import Database
from tests.doors import Doors, Item
from tests.integration.queue.crowd import OFFERS

RUNNER = "00000000-0000-4000-8000-000000000001"
SUBMISSION = {
    "job_type": "spark_etl",
    "spec": "Nothing to do.",
    "code": {"files": {"job.py": "pass"}},
    "callbacks": {"on_progress": "https://receiver.example/progress"},
}


@pytest.fixture
def held(database: Database, doors: Doors) -> Item:
    """An attempt that a runner holds."""
    doors.call(database.add_tenant("acme"), "run_job", SUBMISSION)
    (item,) = doors.claim(RUNNER, OFFERS, 1)
    return {"attempt_id": item["attempt_id"], "lease": item["lease"]}


def progress(doors: Doors) -> int:
    percent: int = doors.ask("select percent from queue.task_runs")
    return percent


def announced(doors: Doors) -> int:
    events: int = doors.ask("select count(*) from callback.events where type = 'run.progress'")
    return events


def test_a_stale_lease_beside_the_good_one_is_not_held(doors: Doors, held: Item) -> None:
    """A runner that lost an attempt and claimed it again has two works in hand; one of them must stop."""
    said = doors.renew(RUNNER, [held | {"lease": 0}, held])

    assert [it["held"] for it in said] == [False, True]


def test_a_heartbeat_with_a_message_alone_leaves_the_percent(doors: Doors, held: Item) -> None:
    doors.renew(RUNNER, [held | {"percent": 30}])
    doors.renew(RUNNER, [held | {"message": "writes"}])

    assert progress(doors) == 30


@pytest.mark.parametrize("verb", ["renew", "report"])
def test_progress_that_is_no_news_is_not_announced(verb: str, doors: Doors, held: Item) -> None:
    long = "x" * 600  # 500 of which are kept

    def say(**what: object) -> None:
        if verb == "renew":
            doors.renew(RUNNER, [held | what])
        else:
            doors.report([held | what])

    say(percent=30, message=long)
    say(percent=30, message=long)
    say(percent=20)
    say(percent=30)
    say()

    assert announced(doors) == 1
