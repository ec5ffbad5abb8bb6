"""What admins keep, at the command line: members, invitations, trusts, access tokens, networks of callbacks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.control_room.conftest import Ended

ID = "11111111-2222-3333-4444-555555555555"
Cli = Callable[..., Ended]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_members_are_listed_with_their_roles(stub: Any, control_room: Cli) -> None:
    stub.on("GET", "/members", {"items": [{"user_id": "ann", "role": "admin"}], "next": None})

    assert "ann" in control_room("members", "ls").out
    assert json.loads(control_room("members", "ls", "--json").out)["items"][0]["role"] == "admin"


@pytest.mark.parametrize(("who", "named"), [("a@b.example", "email"), ("user-1", "user_id")])
def test_who_is_invited_is_named_by_address_or_by_id(
    stub: Any, control_room: Cli, who: str, named: str
) -> None:
    stub.on("POST", "/invitations", {"invitation_id": ID, "role": "viewer", "token": "crin_x"}, 201)

    ended = control_room("members", "invite", who, "--role", "viewer", "--hours", "2")

    # what opens the invitation is all that stands on standard output: it goes into a pipe as it is
    assert (ended.code, ended.out) == (0, "crin_x\n")
    assert stub.seen[0].json == {named: who, "role": "viewer", "expires_in_hours": 2}


def test_a_role_is_changed_and_the_last_admin_s_refusal_is_told(stub: Any, control_room: Cli) -> None:
    refusal = {"code": "LAST_ADMIN", "message": "A tenant keeps an admin.", "hint": "Make another first."}
    stub.on("PATCH", "/members/oidc%3A1", {"user_id": "oidc:1", "role": "viewer"})
    stub.on("PATCH", "/members/ann", refusal, 409)

    assert "viewer" in control_room("members", "role", "oidc:1", "viewer").out
    ended = control_room("members", "role", "ann", "viewer")
    assert (ended.code, "LAST_ADMIN" in ended.err, "Make another first." in ended.err) == (3, True, True)


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("members", "rm", "ann"), "/members/ann"),
        (("invitations", "rm", ID), f"/invitations/{ID}"),
        (("trusts", "rm", ID), f"/trusts/{ID}"),
        (("tokens", "revoke", ID), f"/tokens/{ID}"),
    ],
)
def test_what_cannot_be_taken_back_is_asked_for(
    stub: Any, control_room: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], path: str
) -> None:
    stub.on("DELETE", path, {})

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    unasked = control_room(*command)
    assert (unasked.code, "say --yes" in unasked.err, stub.seen) == (2, True, [])

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert (control_room(*command).code, stub.seen) == (1, [])

    assert control_room(*command, "--yes").code == 0
    assert len(stub.asked("DELETE", path)) == 1


def test_a_trust_is_made_of_its_conditions(stub: Any, control_room: Cli) -> None:
    made = {"trust_id": ID, "user_id": "oidc:1", "name": "ci", "repository": "acme/etl", "role": "operator"}
    stub.on("POST", "/trusts", made | {"ref": "refs/heads/main"}, 201)

    ended = control_room("trusts", "add", "ci", "acme/etl", "--role", "operator", "--ref", "refs/heads/main")

    assert (ended.code, "refs/heads/main" in ended.out) == (0, True)
    assert stub.seen[0].json == {
        "name": "ci", "repository": "acme/etl", "role": "operator", "ref": "refs/heads/main",
    }  # fmt: skip


def test_an_access_token_ends_unless_it_is_said_not_to(stub: Any, control_room: Cli) -> None:
    stub.on("POST", "/tokens", {"token_id": ID, "name": "ci", "role": "viewer", "token": "cr_x"}, 201)

    ended = control_room("tokens", "create", "ci")
    control_room("tokens", "create", "ci", "--days", "0", "--role", "operator")

    assert (ended.code, ended.out, ID in ended.err) == (0, "cr_x\n", True)
    ends = datetime.fromisoformat(stub.seen[0].json["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < ends <= timedelta(days=90)
    assert stub.seen[1].json == {"name": "ci", "role": "operator"}


def test_tokens_and_invitations_say_how_they_stand(stub: Any, control_room: Cli) -> None:
    token = {"token_id": ID, "name": "ci", "role": "viewer"}
    past, future = "2020-01-02T03:04:05Z", "2999-01-02T03:04:05Z"
    states = ({"revoked_at": past}, {"expires_at": past}, {"expires_at": future}, {})
    stub.on("GET", "/tokens", {"items": [token | each for each in states], "next": None})
    invitation = {"invitation_id": ID, "email": "a@b.example", "role": "viewer", "accepted_at": past}
    stub.on("GET", "/invitations", {"items": [invitation], "next": None})

    lines = control_room("tokens", "ls").out.splitlines()[1:]

    words = ("revoked", "expired", "good until", "good, without end")
    assert [word in line for word, line in zip(words, lines, strict=True)] == [True] * 4
    assert "accepted 2020" in control_room("invitations", "ls").out


def test_an_invitation_is_accepted_by_one_s_own_token(stub: Any, control_room: Cli) -> None:
    stub.on("POST", "/invitations/accept", {"user_id": "ann", "role": "viewer", "tenant_id": ID})

    assert control_room("invitations", "accept", "crin_x").code == 0
    assert stub.seen[0].json == {"token": "crin_x"}
    assert stub.seen[0].headers["authorization"] == "Bearer token"


def test_a_workflow_comes_in_by_what_github_vouches_for(
    stub: Any, control_room: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTROL_ROOM_TOKEN")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{stub.url}/rest/github?api-version=2.0")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
    stub.on("GET", "/rest/github", {"value": "an.oidc.token"})
    short = {"access_token": "a.short.jwt", "token_type": "bearer", "expires_in": 900, "expires_at": 1}
    stub.on("POST", "/tokens/oidc", short)

    ended = control_room("tokens", "workflow", "acme", "--role", "viewer")

    assert (ended.code, ended.out) == (0, "a.short.jwt\n")
    assert "::add-mask::a.short.jwt" in ended.err.splitlines()
    asked, exchanged = stub.seen
    assert (asked.query, asked.headers["authorization"]) == (
        {"api-version": "2.0", "audience": stub.url},
        "Bearer of-the-job",
    )
    assert exchanged.json == {"token": "an.oidc.token", "tenant": "acme", "role": "viewer"}
    assert "authorization" not in exchanged.headers


def test_a_network_is_opened_at_its_ports_and_closed(stub: Any, control_room: Cli) -> None:
    network = {"network_id": 3, "cidr": "10.1.0.0/16", "ports": [80, 5678], "created_by": "ann"}
    stub.on("POST", "/callback-networks", network, 201).on("DELETE", "/callback-networks/3", {})
    stub.on("GET", "/callback-networks", {"items": [network, network | {"ports": None}], "next": None})

    ended = control_room("callbacks", "allow", "10.1.0.0/16", "--port", "80", "--port", "5678")
    control_room("callbacks", "allow", "10.1.0.0/16")

    assert (ended.code, "80, 5678" in ended.out) == (0, True)
    assert [it.json for it in stub.seen] == [
        {"cidr": "10.1.0.0/16", "ports": [80, 5678]},
        {"cidr": "10.1.0.0/16"},
    ]
    assert "the ordinary ones" in control_room("callbacks", "networks").out
    assert control_room("callbacks", "close", "3").code == 0
    assert len(stub.asked("DELETE", "/callback-networks/3")) == 1


def test_an_endpoint_is_made_says_its_secret_and_is_taken_back(stub: Any, control_room: Cli) -> None:
    since = "2026-11-26T08:00:00+00:00"
    endpoint = {"endpoint_id": ID, "url": "https://x.example", "events": ["run.failed"]}
    stub.on("POST", "/endpoints", endpoint, 201).on("PATCH", f"/endpoints/{ID}", endpoint)
    stub.on("GET", f"/endpoints/{ID}/secret", {"endpoint_id": ID, "secret": "whsec_x"})
    stub.on(
        "GET", "/endpoints", {"items": [endpoint | {"failures": 7, "failing_since": since}], "next": None}
    )

    control_room("callbacks", "add", "https://x.example", "--event", "run.failed")
    secret = control_room("callbacks", "secret", ID)
    enabled = control_room("callbacks", "enable", ID)

    assert secret.out == "whsec_x\n"
    assert "--missing" in enabled.err
    assert [it.json for it in stub.seen if it.method != "GET"] == [
        {"url": "https://x.example", "events": ["run.failed"]},
        {"enabled": True},
    ]
    assert "7 failures since" in control_room("callbacks", "endpoints").out


def test_outside_of_a_workflow_it_is_said_what_is_missing(
    control_room: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)

    ended = control_room("tokens", "workflow", "acme")

    assert (ended.code, "id-token: write" in ended.err) == (2, True)
