"""Failpoints: what they are called, and that nobody meets them who did not ask."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runner.model.errors import SettingsError
from runner.store import failpoint


def test_a_point_has_a_verb_a_side_an_action_and_a_passage() -> None:
    read = failpoint.read("settle_attempts.after=kill@2, tick.before=sleep-0.5")

    assert read == {
        ("settle_attempts.after", 2): failpoint.Failpoint("kill"),
        ("tick.before", 1): failpoint.Failpoint("sleep", 0.5),
    }


@pytest.mark.parametrize(
    "wrong", ["settle.after=kill", "tick=kill", "tick.before=burn", "close.before=kill", ""]
)
def test_what_is_no_point_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="CONTROL_ROOM_FAILPOINTS"):
        failpoint.read(wrong)


def test_a_runner_without_failpoints_does_not_know_of_them() -> None:
    known = "import sys, runner.main; print('runner.store.failpoint' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", known], text=True) == "False\n"
