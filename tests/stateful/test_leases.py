"""The queue against a model of it: moves of people, runners and time in any order, many of them stale."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from dev.stack.testbed import Database
from tests.doors import Doors
from tests.stateful.machine import Leases, Playground

LONG = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[*HealthCheck],
    print_blob=True,
    report_multiple_bugs=False,
)
# a fault is shown as it was met: to shrink it takes minutes, which the long form has
QUICK = settings(
    LONG, max_examples=25, stateful_step_count=30, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)


def test_whatever_is_played_every_law_of_the_queue_holds(database: Database, is_long: bool) -> None:
    with Doors(database) as doors:
        play = Leases.on(Playground.of(doors, database))
        run_state_machine_as_test(play, settings=LONG if is_long else QUICK)
