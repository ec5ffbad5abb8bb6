"""The door of attempts: what an executor outside may do with its token, and what not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def test_an_executor_outside_reports_with_its_attempts_token_until_it_is_settled(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    path = f"/attempts/{attempt['attempt_id']}"
    progress = {"event": "progress", "percent": 40, "message": "reading"}

    answer = doors.ask("POST", f"{path}/report", attempt["token"], json=progress)
    assert answer.json() == {"accepted": True, "cancel_requested": False}
    assert doors.ask("GET", f"/runs/{run_id}", doors.token()).json()["progress"]["percent"] == 40
    doors.ask("POST", f"/runs/{run_id}/cancel", doors.token())
    assert (
        doors.ask("POST", f"{path}/report", attempt["token"], json=progress).json()["cancel_requested"]
        is True
    )

    assert (
        doors.ask("POST", f"{path}/report", attempt["token"], json={"event": "complete"}).status_code == 200
    )
    late = doors.ask("POST", f"{path}/report", attempt["token"], json=progress)
    assert (late.status_code, late.json()["code"]) == (401, "ATTEMPT_TOKEN_INVALID")


def test_a_failure_reported_from_outside_fails_the_run_with_its_words(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    report = {"event": "fail", "error": "the workflow has no trigger"}

    assert doors.ask(
        "POST", f"/attempts/{attempt['attempt_id']}/report", attempt["token"], json=report
    ).is_success

    run = doors.ask("GET", f"/runs/{run_id}", doors.token()).json()
    assert (run["state"], run["termination_message"]) == ("FAILED", "the workflow has no trigger")


def test_an_attempt_stores_a_file_and_reads_its_input(doors: Doors) -> None:
    artifact_id = doors.artifact("an input")
    run_id = doors.submit(
        job_type="kb_catalog",
        spec="catalogue the handbook",
        inputs=[{"name": "book", "artifact_id": artifact_id}],
    )
    attempt = doors.claim(run_id)
    path = f"/attempts/{attempt['attempt_id']}"

    there = doors.ask("GET", f"{path}/inputs/book", attempt["token"])
    assert httpx.get(there.headers["location"], trust_env=False).text == "an input"
    other = doors.ask("GET", f"{path}/inputs/film", attempt["token"])
    assert (other.status_code, other.json()["code"]) == (404, "INPUT_UNKNOWN")

    form = {"name": "out.json", "kind": "data", "size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
    made = doors.ask("POST", f"{path}/artifacts", attempt["token"], json=form)
    assert made.status_code == 201, made.text
    for _ in range(2):  # a PUT whose answer was lost is made again
        assert httpx.put(made.json()["upload_url"], content=b"{}", trust_env=False).is_success


def test_an_attempts_token_opens_nothing_else(doors: Doors) -> None:
    attempt = doors.claim(doors.submit_outside())

    assert doors.ask("GET", "/runs", attempt["token"]).status_code == 401
    foreign = doors.ask(
        "POST", f"/attempts/{attempt['attempt_id'] + 1}/report", attempt["token"], json={"event": "fail"}
    )
    assert foreign.status_code == 401
    forged_token = attempt["token"][:-1] + ("0" if attempt["token"][-1] != "0" else "1")
    path = f"/attempts/{attempt['attempt_id']}/report"
    assert doors.ask("POST", path, forged_token, json={"event": "fail"}).status_code == 401
