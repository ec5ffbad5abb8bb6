"""Files by signed URLs: what is sent where, what is tried again, and what a refusal means."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from runner.model.attempt import Attempt
from runner.model.errors import Permanent, Retryable, StaleLease
from runner.model.termination import TerminationCode
from runner.model.wire import Upload
from runner.transfer import door
from runner.transfer.door import Door, measure

Handler = Callable[[httpx.Request], httpx.Response]
DOOR = "http://house.example/functions/v1/api"
SIGNED = "http://house.example/storage/v1/object/sign/artifacts/t/x?token=signature"


@pytest.fixture
def attempt() -> Attempt:
    return Attempt(
        attempt_id=41, lease=3, number=1, run_id=9, task_run_id=8, task_key="execute", tenant_id="t",
        tenant_slug="acme", job_type="spark_etl", engine="duckdb", requires="spark_etl/duckdb",
        timeout_seconds=60, token="crat_41_3_secret",
    )  # fmt: skip


class House:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., tuple[Door, House]]]:
    monkeypatch.setattr(door, "FIRST_PAUSE_SECONDS", 0.001)
    doors: list[Door] = []

    def make(*answers: httpx.Response | Exception) -> tuple[Door, House]:
        house = House(*answers)
        made = Door(DOOR, "anon", httpx.MockTransport(house))
        doors.append(made)
        return made, house

    yield make
    for each in doors:
        await each.close()


def refusal(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": "no", "details": None, "hint": None})


FOUND = httpx.Response(302, headers={"location": SIGNED})
TICKET = httpx.Response(201, json={"artifact_id": "a-1", "version": 2, "upload_url": SIGNED})


async def test_an_input_is_fetched_from_its_signed_url(opened, attempt: Attempt, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    it, house = opened(FOUND, httpx.Response(200, content=b"hello"))
    measured = await it.fetch_input(attempt, "sales data", tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == b"hello"
    assert measured == door.Measured(5, hashlib.sha256(b"hello").hexdigest())
    first, second = house.asked
    assert str(first.url) == f"{DOOR}/v1/attempts/41/inputs/sales%20data"
    assert first.headers["authorization"] == "Bearer crat_41_3_secret"
    assert first.headers["apikey"] == "anon"
    assert str(second.url) == SIGNED
    assert "authorization" not in second.headers


async def test_an_upload_is_fetched_with_its_own_token(opened, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    it, house = opened(FOUND, httpx.Response(200, content=b"hello"))
    upload = Upload(
        artifact_id="a",
        version=1,
        tenant_id="t",
        bucket="artifacts",
        path="t/x",
        size=5,
        lease=1,
        token="crck_1",
    )
    await it.fetch_upload(upload, tmp_path / "x")

    assert str(house.asked[0].url) == f"{DOOR}/v1/uploads/bytes"
    assert house.asked[0].headers["authorization"] == "Bearer crck_1"


async def test_a_file_is_announced_and_put(opened, attempt: Attempt, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    it, house = opened(TICKET, httpx.Response(200))
    (tmp_path / "x").write_bytes(b"content")
    stored = await it.store(
        attempt,
        tmp_path / "x",
        measure(tmp_path / "x"),
        name="report.csv",
        kind="report",
        content_type="text/csv",
    )

    assert (stored.artifact_id, stored.version, stored.size) == ("a-1", 2, 7)
    announced, put = house.asked
    assert announced.method == "POST"
    assert b'"sha256":"' + hashlib.sha256(b"content").hexdigest().encode() in announced.content
    assert (put.method, str(put.url), put.content) == ("PUT", SIGNED, b"content")
    assert put.headers["content-length"] == "7"
    assert put.headers["content-type"] == "text/csv"
    assert "transfer-encoding" not in put.headers
    assert "authorization" not in put.headers


async def test_passing_trouble_is_tried_again(opened, attempt: Attempt, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    it, house = opened(
        httpx.Response(503),
        httpx.ConnectError("refused"),
        FOUND,
        httpx.ReadTimeout("slow"),
        httpx.Response(200, content=b"hello"),
    )
    await it.fetch_input(attempt, "x", tmp_path / "x")

    assert len(house.asked) == 5


async def test_bytes_that_are_there_already_came_from_a_try_whose_answer_was_lost(  # type: ignore[no-untyped-def]
    opened, attempt: Attempt, tmp_path: Path
) -> None:
    duplicate = httpx.Response(400, json={"statusCode": "409", "error": "Duplicate"})
    (tmp_path / "x").write_bytes(b"content")
    measured = measure(tmp_path / "x")
    it, _ = opened(TICKET, httpx.ReadError("broken"), duplicate)
    assert (await it.store(attempt, tmp_path / "x", measured, name="x", kind="data")).version == 2

    it, _ = opened(TICKET, duplicate)
    with pytest.raises(Permanent):
        await it.store(attempt, tmp_path / "x", measured, name="x", kind="data")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal(401, "ATTEMPT_TOKEN_INVALID"), (StaleLease, None)),
        (refusal(413, "ARTIFACT_TOO_LARGE"), (Permanent, TerminationCode.OUTPUT_TOO_LARGE)),
        (refusal(400, "FIELD_INVALID"), (Permanent, TerminationCode.OUTPUT_INVALID)),
        (httpx.Response(404, text="<html>"), (Permanent, TerminationCode.OUTPUT_INVALID)),
        ([httpx.Response(500)] * 4, (Retryable, TerminationCode.PUBLISH_FAILED)),
        ([httpx.ConnectError("refused")] * 4, (Retryable, TerminationCode.PUBLISH_FAILED)),
    ],
)
async def test_a_refused_file_says_why(  # type: ignore[no-untyped-def]
    opened, attempt: Attempt, tmp_path: Path, answer, expected
) -> None:
    it, _ = opened(*(answer if isinstance(answer, list) else [answer]))
    (tmp_path / "x").write_bytes(b"content")

    with pytest.raises(expected[0]) as raised:
        await it.store(attempt, tmp_path / "x", measure(tmp_path / "x"), name="x", kind="data")
    assert getattr(raised.value, "code", None) == expected[1]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([refusal(404, "INPUT_UNKNOWN")], Permanent),
        ([refusal(409, "ARTIFACT_NOT_READY")], Permanent),
        ([httpx.Response(200, content=b"no redirect")], Permanent),
        ([FOUND, httpx.Response(404)], Permanent),
        ([httpx.Response(502)] * 4, Retryable),
        ([refusal(401, "ATTEMPT_TOKEN_INVALID")], StaleLease),
    ],
)
async def test_an_input_that_cannot_be_had_says_why(  # type: ignore[no-untyped-def]
    opened, attempt: Attempt, tmp_path: Path, answers, error: type[Exception]
) -> None:
    it, _ = opened(*answers)

    with pytest.raises(error) as raised:
        await it.fetch_input(attempt, "x", tmp_path / "x")
    if error is not StaleLease:
        assert getattr(raised.value, "code", None) is TerminationCode.INPUT_UNAVAILABLE


async def test_a_storage_that_never_ends_is_cut_off(  # type: ignore[no-untyped-def]
    opened, attempt: Attempt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MAX_INPUT", 10)
    it, _ = opened(FOUND, httpx.Response(200, content=b"x" * 11))

    with pytest.raises(Permanent, match="larger than 10"):
        await it.fetch_input(attempt, "x", tmp_path / "x")
