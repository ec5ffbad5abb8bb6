"""Code that was sent, under each of a tenant's policies: off, warn, enforce."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.rescue.conftest import TENANT, Json, Room, room, stack_folder
from tests.acceptance.test_validation import download

__all__ = ["room", "stack_folder"]  # fixtures
pytestmark = pytest.mark.needs("validation")

#: Works, and would not pass.
SHADY = 'print("it ran", flush=True)\n\n\ndef later():\n    return what_nobody_defined\n'
FINE = '"""Says that it ran."""\n\nprint("it ran", flush=True)\n'


def run_under(room: Room, policy: str, code: str, **more: Any) -> Json:
    room.query("update tenancy.tenants set validation_policy = %s where slug = %s", policy, TENANT)
    body = {"job_type": "spark_etl", "spec": "Say that it ran.", "code": {"files": {"job.py": code}}, **more}
    run = room.ask("POST", "/jobs/run", json=body)["run_id"]
    ended: list[Json] = []

    def has_ended() -> bool:
        ended[:] = [room.ask("GET", f"/runs/{run}")]
        return ended[0]["state"] not in ("QUEUED", "RUNNING", "BLOCKED")

    room.until("the run ended", has_ended, 180)
    return ended[0]


def lines(room: Room, run: Json) -> list[tuple[str, str]]:
    return room.query("select stream, line from queue.logs where run_id = %s order by seq", run["run_id"])


def test_warned_the_run_goes_on_and_the_report_is_beside_it(room: Room) -> None:
    room.start_runner()
    shady = run_under(room, "warn", SHADY)
    fine = run_under(room, "warn", FINE)

    assert (shady["state"], fine["state"]) == ("SUCCEEDED", "SUCCEEDED")
    report = json.loads(download(room, "report.sarif", shady))
    assert "error" in {result["level"] for each in report["runs"] for result in each["results"]}
    assert ("stdout", "it ran") in lines(room, shady)
    said = [line for stream, line in lines(room, shady) if stream == "system"]
    assert len(said) == 1
    assert said[0].startswith("validation: failed: 1 errors")
    assert ("system", "validation: passed") in lines(room, fine)


def test_off_nothing_is_looked_at(room: Room) -> None:
    room.start_runner()
    run = run_under(room, "off", SHADY)

    assert (run["state"], run["artifacts"]) == ("SUCCEEDED", [])


def test_enforced_what_does_not_pass_does_not_run(room: Room) -> None:
    room.start_runner()
    shady = run_under(room, "enforce", SHADY)
    fine = run_under(room, "enforce", FINE)

    assert (shady["state"], shady["termination_code"]) == ("FAILED", "VALIDATION_FAILED")
    assert [(task["task_key"], task["state"]) for task in shady["tasks"]] == [
        ("validate", "FAILED"),
        ("execute", "SKIPPED"),
    ]
    assert ("stdout", "it ran") not in lines(room, shady)
    assert [(task["task_key"], task["state"]) for task in fine["tasks"]] == [
        ("validate", "SUCCEEDED"),
        ("execute", "SUCCEEDED"),
    ]
    assert ("stdout", "it ran") in lines(room, fine)
