"""What is plain HTTP: public routes, methods, secrets of endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.callback import signature

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def test_health_is_open_and_tells_nothing_of_tenants(doors: Doors) -> None:
    answer = doors.ask("GET", "/health")

    assert answer.status_code == 200
    assert "acme" not in answer.text
    assert doors.tenants["acme"] not in answer.text


def test_head_options_and_wrong_methods_are_http(doors: Doors) -> None:
    head = doors.ask("HEAD", "/runs", doors.token())
    assert (head.status_code, head.content) == (200, b"")

    options = doors.ask("OPTIONS", "/jobs/run", headers={"origin": "https://app.example"})
    assert (options.status_code, options.headers["access-control-allow-origin"]) == (204, "*")

    wrong = doors.ask("PUT", "/jobs/run", doors.token())
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, OPTIONS")
    assert doors.ask("GET", "/nowhere", doors.token()).json()["code"] == "ROUTE_NOT_FOUND"


def test_the_secret_an_admin_reads_is_the_one_the_runner_signs_with(doors: Doors) -> None:
    endpoint_id = doors.endpoint()

    shown = doors.ask("GET", f"/endpoints/{endpoint_id}/secret", doors.token("admin")).json()

    derived = signature.derive(
        doors.environment["CONTROL_ROOM_MASTER_KEY"], endpoint_id, shown["secret_version"]
    )
    assert shown["secret"] == signature.shown(derived)
