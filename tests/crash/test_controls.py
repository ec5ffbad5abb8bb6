"""The stateful suite goes red on each control: so it is green on the real functions for a reason."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from dev.stack.testbed import Database
from tests.crash.mutation import CONTROLS, Control
from tests.doors import Doors
from tests.stateful.machine import Leases, Playground
from tests.stateful.test_leases import QUICK

# the same plays each time: a control is found or it is not
HUNT = settings(QUICK, max_examples=100, derandomize=True, database=None, phases=[Phase.generate])


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_the_stateful_suite_catches(control: Control, database: Database) -> None:
    with Doors(database) as doors:
        playground = Playground.of(doors, database)
        control.load(database)
        with pytest.raises((AssertionError, psycopg.Error)):
            run_state_machine_as_test(Leases.on(playground), settings=HUNT)


def test_a_control_whose_guard_is_gone_says_so(database: Database) -> None:
    gone = Control("gone", "queue.hold(bigint, integer)", "no such guard", "")
    with pytest.raises(LookupError, match="mend the control"):
        gone.load(database)
