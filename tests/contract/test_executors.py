"""What every executor promises (`runner.executor.base`)."""

from __future__ import annotations

import asyncio

import pytest

from runner.model.outcome import RetryableFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from tests.contract.conftest import N8nPieces, PythonPieces, ScriptedPieces

Bench = PythonPieces | ScriptedPieces | N8nPieces


async def test_work_that_ends_well_succeeds(bench: Bench) -> None:
    outcome = await bench.play("succeed").end()

    assert isinstance(outcome, Succeeded)
    assert outcome.usage.exit_code == 0


@pytest.mark.parametrize("code", [1, 3, 77])
async def test_an_exit_code_is_a_retryable_failure_of_the_user(bench: Bench, code: int) -> None:
    play = bench.play("fail", code=code)
    outcome = await play.end()

    assert isinstance(outcome, RetryableFailure)
    assert (TerminationCode.USER_CODE_FAILED, code) == (outcome.code, outcome.usage.exit_code)
    assert f"exit code {code}" in outcome.message
    assert play.reporter.used == outcome.usage


async def test_the_number_of_the_attempt_is_known_inside(bench: Bench) -> None:
    outcome = await bench.play("fail_at_first").end()

    assert isinstance(outcome, Succeeded)


async def test_lines_arrive_in_order_with_their_stream(bench: Bench) -> None:
    play = bench.play("speak")
    await play.end()

    assert play.reporter.text("stdout") == ["one"]
    assert play.reporter.text("stderr") == ["two"]


async def test_progress_is_reported_and_not_logged(bench: Bench) -> None:
    play = bench.play("progress")
    await play.end()

    assert play.reporter.progressed == [(40, "half way"), (100, "")]
    assert play.reporter.lines == []


async def test_values_come_with_the_outcome_and_are_not_logged(bench: Bench) -> None:
    if not bench.believes_values:
        pytest.skip("what a model prints is not believed: test_continue.py says what its values are")
    play = bench.play("value", secret="hunter-2-hunter", secrets={"TOKEN": "hunter-2-hunter"})
    outcome = await play.end()

    assert isinstance(outcome, Succeeded)
    assert outcome.values == {"rows": 7, "who": "***", "list": [1, {"a": None}]}
    assert play.reporter.lines == []


async def test_a_granted_secret_is_redacted(bench: Bench) -> None:
    play = bench.play("tell", secret="hunter-2-hunter", secrets={"TOKEN": "hunter-2-hunter"})
    await play.end()

    assert play.reporter.text() == ["the value is ***"]


async def test_running_out_of_memory_has_its_own_code(bench: Bench) -> None:
    if not bench.tells_out_of_memory:
        pytest.skip("needs control groups (run as root, or delegate a group)")
    outcome = await bench.play("run_out_of_memory").end()

    assert isinstance(outcome, RetryableFailure)
    assert outcome.code is TerminationCode.OUT_OF_MEMORY


@pytest.mark.parametrize("why", [Stop.CANCELED, Stop.DEADLINE, Stop.LOST, Stop.DRAIN])
async def test_cancelled_work_is_over_before_the_cancellation_leaves(bench: Bench, why: Stop) -> None:
    play = bench.play("hang")
    await play.reporter.until("hanging")

    assert await play.stop(why) < 5


async def test_work_cancelled_before_it_began_leaves_nothing(bench: Bench) -> None:
    play = bench.play("hang")
    await asyncio.sleep(0)

    assert await play.stop(Stop.LOST) < 5


async def test_files_are_written_to_outputs(bench: Bench) -> None:
    play = bench.play("write")
    await play.end()

    assert (play.workspace.outputs / "a.txt").read_text() == "text"


async def test_many_attempts_run_side_by_side(bench: Bench) -> None:
    plays = [bench.play("speak") for _ in range(6)]
    outcomes = await asyncio.gather(*(play.end() for play in plays))

    assert [Succeeded] * 6 == [type(each) for each in outcomes]
    assert [play.reporter.text() for play in plays] == [["one"]] * 6
