"""The queue against a model of it: any order of moves by people, runners and time, stale leases among them."""

from __future__ import annotations

import functools

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dev.stack.testbed import Database
from tests.doors import Doors
from tests.stateful.machine import Leases, Playground

QUICK = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[*HealthCheck],
    print_blob=True,
    report_multiple_bugs=False,
)
LONG = settings(QUICK, max_examples=300, stateful_step_count=60)


def test_whatever_is_played_every_law_of_the_queue_holds(database: Database, is_long: bool) -> None:
    with Doors(database) as doors:
        play = functools.partial(Leases, Playground.of(doors, database))
        run_state_machine_as_test(play, settings=LONG if is_long else QUICK)

