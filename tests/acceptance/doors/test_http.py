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


def test_who_knocks_too_often_is_told_when_to_come_again(doors: Doors) -> None:
    doors.add_tenant("busy")
    doors.platform("platform_set_rate", tenant="busy", per_minute=5)

    answers = [doors.ask("GET", "/runs", doors.token("viewer", "busy")) for _ in range(11)]

    # the minute may turn in between, and then there are five more
    refused = [it for it in answers if it.status_code == 429]
    assert len(refused) in range(1, 7)
    assert {it.json()["code"] for it in refused} == {"RATE_LIMITED"}
    assert all(1 <= int(it.headers["retry-after"]) <= 60 for it in refused)
    assert doors.ask("GET", "/runs", doors.token("viewer", "acme")).status_code == 200


def test_a_stranger_who_knocks_too_often_is_told_when_to_come_again(doors: Doors) -> None:
    # in the function's memory he is one of his own, so that other tests are not: the database counts by where he is
    mine = {"cf-connecting-ip": "203.0.113.7"}
    form = {"token": "no token", "tenant": "acme"}
    doors.platform("platform_set_rate", per_minute_strangers=1)
    try:
        answers = [doors.ask("POST", "/tokens/oidc", headers=dict(mine), json=form) for _ in range(3)]
    finally:
        doors.platform("platform_set_rate", per_minute_strangers=10_000_000)

    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert doors.ask("GET", "/runs", doors.token("viewer"), headers=dict(mine)).status_code == 200
