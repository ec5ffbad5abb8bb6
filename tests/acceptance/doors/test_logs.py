"""Logs over HTTP: lines, text, server-sent events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def test_a_log_is_read_as_lines_of_json_or_of_text(doors: Doors) -> None:
    run_id = doors.submit_outside()
    doors.log(doors.claim(run_id), "first", "second", "third")

    lines = doors.ask("GET", f"/runs/{run_id}/logs", doors.token()).text.splitlines()
    first, second, third = (json.loads(line) for line in lines)
    text = doors.ask("GET", f"/runs/{run_id}/logs", doors.token(), headers={"accept": "text/plain"}).text
    rest = doors.ask("GET", f"/runs/{run_id}/logs?after={second['seq']}", doors.token()).text

    assert [item["line"] for item in (first, second, third)] == ["first", "second", "third"]
    assert text == "first\nsecond\nthird\n"
    assert json.loads(rest) == third


def test_a_followed_log_tells_lines_as_they_come_and_the_end_and_resumes(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    doors.log(attempt, "before")
    path = f"/functions/v1/api/v1/runs/{run_id}/logs?follow=1"
    headers = {"authorization": f"Bearer {doors.token()}"}

    with doors.http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert json.loads(next(line for line in lines if line.startswith("data:"))[5:])["line"] == "before"
        doors.log(attempt, "while")
        identity = next(line for line in lines if line.startswith("id:"))
        assert json.loads(next(line for line in lines if line.startswith("data:"))[5:])["line"] == "while"
        doors.ask(
            "POST", f"/attempts/{attempt['attempt_id']}/report", attempt["token"], json={"event": "complete"}
        )
        assert "event: end" in list(lines)

    again = doors.http.get(path, headers=headers | {"last-event-id": identity[3:].strip()})
    assert again.status_code == 204
