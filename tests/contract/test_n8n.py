"""What the n8n executor promises beyond the suite of all executors, against a small n8n (`n8n_double`).

The real one plays the shipped workflow in tests/acceptance/rescue/test_n8n.py (`--with n8n`).
"""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from runner.executor.n8n import N8nExecutor, Site
from runner.model.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded
from runner.model.stop import Stop
from runner.model.termination import TerminationCode
from tests.contract.conftest import N8nPieces
from tests.contract.n8n_double import API_KEY, TOKEN


def failure(outcome: Outcome) -> tuple[type[Outcome], TerminationCode, str]:
    assert isinstance(outcome, PermanentFailure | RetryableFailure)
    return type(outcome), outcome.code, outcome.message


async def test_the_workflow_is_told_all_that_it_needs_and_no_token_of_the_lease(n8n: N8nPieces) -> None:
    play = n8n.begin("succeed", values={"rows": 7})
    outcome = await play.end()

    assert isinstance(outcome, Succeeded)
    assert outcome.values == {"rows": 7}
    (execution,) = n8n.double.executions.values()
    told = execution.body
    assert (told["run_id"], told["attempt"], told["tenant"]) == (9, 2, "acme")
    assert (
        told["report_url"] == f"https://api.example/functions/v1/api/v1/attempts/{told['attempt_id']}/report"
    )
    assert told["report_token"].startswith(f"crat_{told['attempt_id']}_0_")
    assert "the-lease-token" not in json.dumps(told)
    assert play.reporter.outside == "1"
    assert json.loads((play.workspace.outputs / "result.json").read_text()) == {"values": {"rows": 7}}


async def test_a_reported_failure_is_the_users_and_final_unless_it_says_otherwise(n8n: N8nPieces) -> None:
    final = await n8n.begin("fail").end()
    other = await n8n.begin("fail_at_first", number=1).end()

    assert failure(final) == (
        PermanentFailure,
        TerminationCode.USER_CODE_FAILED,
        "catalog source unreachable [line 2]",
    )
    assert failure(other) == (RetryableFailure, TerminationCode.USER_CODE_FAILED, "not yet")


@pytest.mark.parametrize(
    ("piece", "what", "code", "words"),
    [
        ("explode", RetryableFailure, TerminationCode.USER_CODE_FAILED, "boom [line 1]"),
        ("crash", RetryableFailure, TerminationCode.EXECUTOR_UNAVAILABLE, "crashed"),
        ("vanish", RetryableFailure, TerminationCode.EXECUTOR_UNAVAILABLE, "removed"),
        ("mute", RetryableFailure, TerminationCode.OUTPUT_INVALID, "without a report"),
    ],
)
async def test_an_execution_that_ends_in_silence_is_found_by_asking(
    n8n: N8nPieces, piece: str, what: type[Outcome], code: TerminationCode, words: str
) -> None:
    outcome = await n8n.begin(piece).end()

    assert failure(outcome)[:2] == (what, code)
    assert words in failure(outcome)[2]


async def test_a_report_is_heard_at_once(n8n: N8nPieces) -> None:
    n8n.look_seldom()

    assert isinstance(await n8n.begin("succeed").end(), Succeeded)


async def test_one_that_somebody_stops_in_n8n_is_not_tried_again(n8n: N8nPieces) -> None:
    play = n8n.begin("hang")
    await play.reporter.until("hanging")
    n8n.double.executions["1"].status = "canceled"

    assert failure(await play.end())[:2] == (PermanentFailure, TerminationCode.USER_CODE_FAILED)


@pytest.mark.parametrize("piece", ["lost_answer", "shy"])
async def test_a_start_without_an_execution_id_is_known_by_its_first_report(
    n8n: N8nPieces, piece: str
) -> None:
    play = n8n.begin(piece)

    assert isinstance(await play.end(), Succeeded)
    assert play.reporter.outside == "1"


async def test_a_start_of_which_nothing_is_heard_is_a_failure(n8n: N8nPieces) -> None:
    outcome = await n8n.begin("lost_and_silent").end()

    assert failure(outcome)[:2] == (RetryableFailure, TerminationCode.EXECUTOR_UNAVAILABLE)


async def test_what_an_earlier_lease_began_is_adopted_and_not_begun_again(n8n: N8nPieces) -> None:
    first = n8n.begin("hang")
    await first.reporter.until("hanging")
    token = n8n.double.executions["1"].body["report_token"]
    await first.stop(Stop.LOST)

    second = n8n.adopt(first)
    n8n.store.tell(token, {"event": "complete", "result": {"values": {"late": True}}})
    outcome = await second.end()

    assert isinstance(outcome, Succeeded)
    assert outcome.values == {"late": True}
    assert list(n8n.double.executions) == ["1"]


@pytest.mark.parametrize(
    ("why", "stopped"),
    [(Stop.CANCELED, True), (Stop.DEADLINE, True), (Stop.LOST, False), (Stop.DRAIN, False)],
)
async def test_who_is_canceled_or_out_of_time_is_stopped_in_n8n_who_will_be_adopted_goes_on(
    n8n: N8nPieces, why: Stop, stopped: bool
) -> None:
    play = n8n.begin("hang")
    await play.reporter.until("hanging")

    await play.stop(why)
    assert n8n.double.executions["1"].stopped is stopped


async def test_a_cancel_while_the_start_is_under_way_stops_what_it_started(n8n: N8nPieces) -> None:
    play = n8n.begin("hang")
    await n8n.double.started.wait()

    await play.stop(Stop.CANCELED)
    assert n8n.double.executions["1"].stopped


async def test_n8n_away_for_a_moment_while_it_works_changes_nothing(n8n: N8nPieces) -> None:
    n8n.double.api_away = True
    play = n8n.begin("hang")
    await play.reporter.until("hanging")
    await asyncio.sleep(0.3)
    n8n.store.tell(n8n.double.executions["1"].body["report_token"], {"event": "complete", "result": {}})

    assert isinstance(await play.end(), Succeeded)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token": "wrong"}, "CONTROL_ROOM_N8N_TOKEN"),
        ({"params": {"workflow": "nowhere"}}, "no active workflow with the webhook control-room/nowhere"),
        ({"away": True}, "cannot be reached"),
    ],
)
async def test_what_keeps_a_workflow_from_starting_is_said_with_its_mend(
    n8n: N8nPieces, change: dict[str, object], words: str
) -> None:
    n8n.double.away = bool(change.get("away"))
    outcome = await n8n.begin("succeed", **change).end()

    assert failure(outcome)[:2] == (RetryableFailure, TerminationCode.EXECUTOR_UNAVAILABLE)
    assert words in failure(outcome)[2]


async def test_a_workflow_that_was_not_granted_is_not_started(n8n: N8nPieces) -> None:
    outcome = await n8n.begin("succeed", params={"workflow": "other"}).end()

    assert failure(outcome)[:2] == (PermanentFailure, TerminationCode.NOT_GRANTED)
    assert n8n.double.executions == {}


async def test_secrets_are_not_handed_out(n8n: N8nPieces) -> None:
    outcome = await n8n.begin("succeed", secrets=("API_KEY",)).end()

    assert failure(outcome)[:2] == (PermanentFailure, TerminationCode.NOT_GRANTED)
    assert n8n.double.executions == {}


async def test_a_runner_offers_n8n_only_where_it_answers(n8n: N8nPieces) -> None:
    async def reason(transport: httpx.AsyncBaseTransport | None, api_key: str | None) -> str:
        site = Site("http://127.0.0.1:9", "https://api.example", token=TOKEN, api_key=api_key)
        executor = N8nExecutor(site, n8n.mailbox, transport=transport)
        try:
            return await executor.reason()
        finally:
            await executor.close()

    assert await reason(n8n.double.transport, API_KEY) == ""
    assert await reason(n8n.double.transport, None) == ""
    assert "CONTROL_ROOM_N8N_API_KEY" in await reason(n8n.double.transport, "wrong")
    assert "CONTROL_ROOM_N8N_URL" in await reason(None, None)
