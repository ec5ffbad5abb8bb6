"""The audit over HTTP: where from, whichever door it was, and what a forger can do about it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def _entry(doors: Doors, request_id: str) -> dict[str, Any]:
    answer = doors.ask("GET", "/audit?limit=50", doors.token("admin"))
    [entry] = [each for each in answer.json()["items"] if each["request_id"] == request_id]
    return {name: entry[name] for name in ("action", "user_id", "door", "ip", "user_agent")}


def test_both_doors_say_where_a_change_came_from_and_a_forged_header_does_not(doors: Doors) -> None:
    forged = {
        "x-forwarded-for": "203.0.113.9",
        "x-edge-key": "forged",
        "x-edge-x-forwarded-for": "203.0.113.9",
        "cf-connecting-ip": "203.0.113.9",
        "user-agent": "forger/1",
    }
    by = doors.user("acme", "operator")
    edge, rpc = str(uuid.uuid4()), str(uuid.uuid4())

    doors.ask(
        "POST",
        "/jobs/run",
        doors.token(),
        json=doors.SUBMISSION,
        headers=forged | {"x-request-id": edge},
    )
    headers = {
        "apikey": doors.environment["SUPABASE_ANON_KEY"],
        "authorization": f"Bearer {doors.token()}",
        "x-request-id": rpc,
    }
    doors.http.post("/rest/v1/rpc/run_job", headers=forged | headers, json=doors.SUBMISSION)

    found = {"action": "run.submit", "user_id": by, "ip": "127.0.0.1", "user_agent": "forger/1"}
    assert _entry(doors, edge) == found | {"door": "edge"}
    assert _entry(doors, rpc) == found | {"door": "rpc"}


def test_the_record_is_copied_in_sealed_order_and_verified_against_its_head(doors: Doors) -> None:
    doors.submit()
    with doors.runner() as verbs:
        while verbs.execute("select worker.seal()").fetchone() != (0,):
            pass
    copied: list[int] = []
    after = "0"
    while True:
        page = doors.ask("GET", f"/audit?after={after}&limit=7", doors.token("admin")).json()
        if not page["items"]:
            break
        copied += [item["entry_id"] for item in page["items"]]
        after = page["next"]

    verdict = doors.ask("GET", "/audit/verify", doors.token("admin")).json()
    head = verdict["head"]
    held = doors.ask(
        "GET", f"/audit/verify?number={head['number']}&hash={head['hash']}", doors.token("admin")
    ).json()
    gone = doors.ask(
        "GET", f"/audit/verify?number={head['number']}&hash={'0' * 64}", doors.token("admin")
    ).json()

    assert verdict["ok"]
    assert held["ok"]
    assert len(copied) == len(set(copied)) == verdict["entries"] == head["entries"]
    assert not gone["ok"]
    assert gone["faults"][0]["fault"] == "head_gone"
