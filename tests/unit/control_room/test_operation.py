"""What is sent again, and what errors say."""

from __future__ import annotations

import httpx
import pytest

from control_room import ApiError, Client, Unreachable
from control_room.model import AccessToken
from control_room.operation import Pause, Request, exchange, fetch

RUN = {"run_id": 7, "state": "RUNNING"}


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("control_room.client.time.sleep", slept.append)
    return slept


def client_of(answers: list[httpx.Response | Exception], seen: list[httpx.Request]) -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return Client("http://control.test", "anon", "token", transport=httpx.MockTransport(answer))


def test_a_question_is_asked_again_after_a_passing_failure(no_pauses: list[float]) -> None:
    seen: list[httpx.Request] = []
    answers: list[httpx.Response | Exception] = [
        httpx.Response(503),
        httpx.ConnectError("refused"),
        httpx.Response(200, json=RUN),
    ]

    run = client_of(answers, seen).runs.get(7)

    assert run.state == "RUNNING"
    assert len(seen) == 3
    assert len(no_pauses) == 2


def test_what_changes_something_is_sent_once(no_pauses: list[float]) -> None:
    seen: list[httpx.Request] = []

    with pytest.raises(ApiError) as caught:
        client_of([httpx.Response(503, json={"code": "X", "message": "m"})], seen).jobs.create({"name": "x"})

    assert caught.value.status == 503
    assert len(seen) == 1
    assert no_pauses == []


def test_a_submission_is_sent_again_under_the_same_key(no_pauses: list[float]) -> None:
    seen: list[httpx.Request] = []
    submitted = {"run_id": 7, "state": "QUEUED", "url": "/x"}
    answers: list[httpx.Response | Exception] = [
        httpx.ReadTimeout("slow"),
        httpx.Response(202, json=submitted),
    ]

    run = client_of(answers, seen).run(job_type="spark_etl", spec="a spec")

    assert run.run_id == 7
    assert len(seen) == 2
    assert seen[0].content == seen[1].content
    assert b'"idempotency_key": "client-' in seen[0].content


def test_a_given_key_is_kept() -> None:
    seen: list[httpx.Request] = []
    answers: list[httpx.Response | Exception] = [
        httpx.Response(202, json={"run_id": 7, "state": "QUEUED", "url": "/x"})
    ]

    client_of(answers, seen).run(job_type="spark_etl", spec="a spec", idempotency_key="mine")

    assert b'"idempotency_key": "mine"' in seen[0].content


def test_the_server_s_wish_to_wait_is_kept_within_bounds() -> None:
    operation = exchange(Request("GET", "/runs", repeatable=True))
    next(operation)

    assert operation.send(httpx.Response(429, headers={"retry-after": "3"})) == Pause(3.0)
    operation.send(None)
    assert operation.send(httpx.Response(429, headers={"retry-after": "86400"})) == Pause(10.0)


def test_it_gives_up_in_the_end(no_pauses: list[float]) -> None:
    seen: list[httpx.Request] = []

    with pytest.raises(Unreachable, match="cannot be reached"):
        client_of([httpx.ConnectError("refused") for _ in range(9)], seen).runs.get(1)

    assert len(seen) == 4


def test_an_error_carries_the_server_s_words() -> None:
    body = {
        "code": "RUN_NOT_FOUND",
        "message": "No such run.",
        "details": "7",
        "hint": "Check it.",
    }

    with pytest.raises(ApiError) as caught:
        client_of([httpx.Response(404, json=body)], []).runs.get(7)

    error = caught.value
    assert (error.status, error.code, error.details, error.hint) == (404, "RUN_NOT_FOUND", "7", "Check it.")
    assert str(error) == "RUN_NOT_FOUND: No such run. (7)"


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b'"x"', b"\xff\xfe"])
def test_an_error_that_is_none_of_ours_is_still_one(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        client_of([httpx.Response(500, content=body)], []).runs.get(7)

    assert caught.value.code == "HTTP_500"
    assert caught.value.message


@pytest.mark.parametrize("body", [b"<html>", b'{"hello": "world"}', b"[]", b""])
def test_an_answer_of_somebody_else_is_an_error_with_a_mend(body: bytes) -> None:
    with pytest.raises(ApiError, match="ANSWER_INVALID") as caught:
        client_of([httpx.Response(200, content=body)], []).runs.get(7)

    assert caught.value.hint


def test_an_answer_in_another_form_is_not_shown_since_it_may_hold_a_token() -> None:
    operation = fetch(AccessToken, Request("POST", "/tokens"))
    next(operation)
    with pytest.raises(ApiError, match="ANSWER_INVALID: The answer is no AccessToken") as caught:
        operation.send(httpx.Response(200, json={"access_token": "a.short.jwt"}))

    assert "jwt" not in str(caught.value)
