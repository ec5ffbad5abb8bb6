"""Logs over HTTP: lines, text, server-sent events."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

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


def _follow(
    doors: Doors, run_id: int, last: str | None, most: int
) -> tuple[list[tuple[str, str, float]], bool]:
    """Up to `most` lines (id, line, when) of one connection, which is then cut; and whether the end was told."""
    headers = {"authorization": f"Bearer {doors.token()}"} | ({"last-event-id": last} if last else {})
    path = f"/functions/v1/api/v1/runs/{run_id}/logs?follow=1"
    heard: list[tuple[str, str, float]] = []
    identity = ""
    with doors.http.stream("GET", path, headers=headers) as answer:
        if answer.status_code == 204:
            return heard, True
        for line in answer.iter_lines():
            if line == "event: end":
                return heard, True
            if line.startswith("id: "):
                identity = line[4:]
            elif line.startswith("data: "):
                heard.append((identity, json.loads(line[6:])["line"], time.time()))
                if len(heard) == most:
                    return heard, False
    return heard, False


def test_a_follower_who_is_cut_off_again_and_again_misses_nothing_and_hears_nothing_twice(
    doors: Doors,
) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    written: list[str] = []

    def write() -> None:
        for n in range(40):
            time.sleep(0.05)
            line = f"{n} {time.time()}"
            written.append(line)
            doors.log(attempt, line)
        doors.ask(
            "POST", f"/attempts/{attempt['attempt_id']}/report", attempt["token"], json={"event": "complete"}
        )

    heard: list[tuple[str, str, float]] = []
    ended = False
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not ended:
            more, ended = _follow(doors, run_id, heard[-1][0] if heard else None, 1 + len(heard) % 7)
            heard += more
        writing.result()

    late = sorted(when - float(line.split()[1]) for _, line, when in heard)
    print(f"a line was live after {late[len(late) // 2]:.2f} s, at most {late[-1]:.2f} s")
    assert [line for _, line, _ in heard] == written
    assert [int(identity) for identity, _, _ in heard] == [*range(1, len(written) + 1)]
    assert late[-1] < 1


def test_a_log_that_was_cut_says_so(doors: Doors) -> None:
    run_id = doors.submit_outside()
    attempt = doors.claim(run_id)
    with doors.runner() as verbs:
        at_most = 20_000
        for start in range(0, at_most + 1000, 1000):
            logs = [{"stream": "stdout", "line": str(n)} for n in range(start, start + 1000)]
            item = {"attempt_id": attempt["attempt_id"], "lease": attempt["lease"], "logs": logs}
            verbs.execute("select worker.report(%s)", [Jsonb([item])])

    lines = doors.ask(
        "GET", f"/runs/{run_id}/logs", doors.token(), headers={"accept": "text/plain"}
    ).text.splitlines()

    assert len(lines) == at_most
    assert lines[-2] == str(at_most - 2)
    assert lines[-1] == "[log truncated here; the whole log is an artifact of the run]"
