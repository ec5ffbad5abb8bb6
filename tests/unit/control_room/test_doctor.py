"""`control-room doctor` from outside: what each door's answer means, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from control_room import doctor


def health(**more: Any) -> dict[str, Any]:
    offers = [{"job_type": it, "engine": "default"} for it in doctor.JOB_TYPES]
    return {"status": "ok", "time": datetime.now(UTC).isoformat(), "runners": [{"offers": offers}], **more}


@pytest.fixture
def project(stub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sound one, without a token."""
    monkeypatch.delenv("CONTROL_ROOM_TOKEN", raising=False)
    stub.on("GET", "/health", health())
    stub.on("POST", "/rest/v1/rpc/health", health())
    stub.on("GET", "/openapi.json", {"info": {"version": "1"}, "paths": {"/jobs/apply": {}}})
    stub.on("GET", "/rest/v1/", {"code": "PGRST106", "message": "no"}, 406)
    stub.on("GET", "/rest/v1/runs", {"code": "42501", "message": "no"}, 401)
    return stub


def findings(ended: Any) -> dict[str, str]:
    return {it["check"]: it["state"] for it in json.loads(ended.out)}


def test_a_sound_project_is_sound(
    project: Any, control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTROL_ROOM_TOKEN", raising=False)

    ended = control_room("doctor", "--json")

    assert ended.code == 0
    assert {state for check, state in findings(ended).items() if check != "token"} == {"ok"}
    assert findings(ended)["token"] == "warn"
    assert control_room("doctor", "--strict").code == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "check", "state"),
    [
        ("GET", "/health", {"code": "NOT_FOUND", "message": "no function"}, 404, "edge door", "fail"),
        ("POST", "/rest/v1/rpc/health", {"code": "PGRST202", "message": "none"}, 404, "data door", "fail"),
        ("POST", "/rest/v1/rpc/health", {"message": "Invalid API key"}, 401, "data door", "fail"),
        ("GET", "/health", {"runners": []}, 200, "runners", "fail"),
        ("GET", "/health", {"runners": [{"offers": ["spark_etl"]}]}, 200, "job types", "warn"),
        ("GET", "/health", {"time": "2026-01-01T00:00:00+00:00"}, 200, "clock skew", "fail"),
        ("GET", "/openapi.json", {"info": {"version": "0"}, "paths": {}}, 200, "version", "warn"),
        ("GET", "/rest/v1/", [], 200, "exposed schemas", "fail"),
        ("GET", "/rest/v1/runs", [{"run_id": 1}], 200, "strangers", "fail"),
        ("GET", "/rest/v1/runs", [], 200, "strangers", "warn"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_named_with_its_mend(  # noqa: PLR0917 - a table's row
    project: Any, control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch,
    method: str, path: str, body: Any, status: int, check: str, state: str,
) -> None:  # fmt: skip
    monkeypatch.delenv("CONTROL_ROOM_TOKEN", raising=False)
    project.answers.pop((method, path if path.startswith("/rest") else f"/functions/v1/api/v1{path}"))
    project.on(method, path, health(**body) if (path, status) == ("/health", 200) else body, status)

    ended = control_room("doctor", "--json")

    found = next(it for it in json.loads(ended.out) if it["check"] == check)
    assert (found["state"], bool(found["mend"])) == (state, True)
    assert ended.code == (1 if state == "fail" else 0)


def test_a_token_that_one_door_does_not_take_is_told_with_the_reason(
    project: Any, control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTROL_ROOM_TOKEN", "cr_x")
    project.on(
        "POST",
        "/tokens",
        {"code": "NOT_CONFIGURED", "message": "no key", "details": "CONTROL_ROOM_SIGNING_KEY"},
        501,
    )

    found = next(it for it in json.loads(control_room("doctor", "--json").out) if it["check"] == "token")

    assert (found["state"], "CONTROL_ROOM_SIGNING_KEY" in found["mend"]) == ("fail", True)


@pytest.mark.parametrize(
    ("url", "state", "said"),
    [
        ("postgresql://postgres@127.0.0.1:1/x", "ok", "direct, port 1"),
        (
            "postgresql://p.ref:x@aws-0-eu.pooler.supabase.com:6543/postgres",
            "fail",
            "LISTEN does not pass it",
        ),
        ("postgresql://p@nowhere.invalid:5432/x", "fail", "has no address"),
    ],
)
def test_how_a_database_would_be_reached(url: str, state: str, said: str) -> None:
    found = list(doctor.address(url))

    assert [(it.state, said in it.said) for it in found] == [(state, True)]


def test_ipv6_without_a_way_there_and_certificates_that_nobody_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    six = [(doctor.socket.AF_INET6, 1, 6, "", ("2600::1", 5432, 0, 0))]
    monkeypatch.setattr(doctor.socket, "getaddrinfo", lambda *_, **__: six)
    monkeypatch.setattr(doctor, "_routed", lambda *_: False)

    assert "IPv6 alone" in next(doctor.address("postgresql://db.ref.supabase.co/postgres")).said

    monkeypatch.setattr(doctor, "_routed", lambda *_: True)

    assert next(doctor.address("postgresql://db.ref.supabase.co/postgres")).state == "warn"
    assert next(doctor.address("postgresql://db.ref.supabase.co/postgres?sslmode=verify-full")).state == "ok"
