"""`traceparent` as W3C Trace Context has it."""

from __future__ import annotations

import pytest

from runner.model import trace
from runner.watch.tracer import Silent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_parent_is_read_and_written_as_it_came() -> None:
    assert str(trace.read(PARENT)) == PARENT
    assert str(trace.read(PARENT[:-1] + "0")) == PARENT[:-1] + "0"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00-1-2-01",
        PARENT.upper(),
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", 32 * "0"),
        PARENT.replace("00f067aa0ba902b7", 16 * "0"),
        "ff" + PARENT[2:],
        PARENT + "\r\nx: y",
    ],
)
def test_what_has_another_form_is_no_parent(text: str | None) -> None:
    assert trace.read(text) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert str(trace.read("01" + PARENT[2:] + "-more")) == PARENT


def test_a_run_without_a_parent_has_one_trace_of_its_own() -> None:
    assert trace.of_run("t", 1) == trace.of_run("t", 1)
    assert len({trace.of_run(tenant, run) for tenant in "ab" for run in range(50)}) == 100


def test_a_runner_that_does_not_trace_passes_the_parent_on() -> None:
    span = Silent().begin("attempt", "t", 1, PARENT, {})

    assert str(span.child("execute").parent) == PARENT
    assert Silent().begin("attempt", "t", 1, "junk", {}).parent is None
