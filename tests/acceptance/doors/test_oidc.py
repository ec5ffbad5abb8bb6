"""Workflows outside come in without a stored secret: a real issuer's token, the real edge function, the real database."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def trust(doors: Doors, **changes: object) -> str:
    form: dict[str, Any] = {
        "name": "ci",
        "issuer": doors.issuer.url,
        "repository": f"acme/{uuid.uuid4().hex}",
        "ref": "refs/heads/main",
        "role": "operator",
    }
    answer = doors.ask("POST", "/trusts", doors.token("admin"), json=form | changes)
    assert answer.status_code == 201, answer.text
    trust_id: str = answer.json()["trust_id"]
    return trust_id


def exchange(doors: Doors, token: str, tenant: str = "acme") -> httpx.Response:
    return doors.ask("POST", "/tokens/oidc", json={"token": token, "tenant": tenant})


def test_a_workflow_that_is_trusted_opens_both_doors_until_the_trust_is_taken_away(doors: Doors) -> None:
    trust_id = trust(doors, repository="acme/etl")
    token = doors.issuer.token(doors.supabase)

    answer = exchange(doors, token)
    assert answer.status_code == 200, answer.text
    bearer = answer.json()["access_token"]
    assert answer.json()["role"] == "operator"
    assert doors.ask("POST", "/jobs/run", bearer, json=doors.SUBMISSION).status_code == 202
    assert doors.rpc("list_runs", bearer, {}).status_code == 200
    assert doors.ask("GET", "/trusts", bearer).status_code == 403  # an operator's, no more

    again = exchange(doors, token)
    assert (again.status_code, again.json()["code"]) == (409, "OIDC_TOKEN_SPENT")

    assert doors.ask("DELETE", f"/trusts/{trust_id}", doors.token("admin")).status_code == 200
    for refused in (doors.ask("GET", "/runs", bearer), doors.rpc("list_runs", bearer, {})):
        assert (refused.status_code, refused.json()["code"]) == (403, "MEMBERSHIP_MISSING")
    refused = exchange(doors, doors.issuer.token(doors.supabase))
    assert (refused.status_code, refused.json()["code"]) == (403, "OIDC_NOT_TRUSTED")


def test_what_the_issuer_does_not_vouch_for_or_the_tenant_does_not_trust_is_refused(doors: Doors) -> None:
    ours = f"acme/{uuid.uuid4().hex}"
    trust(doors, repository=ours)
    good = {"repository": ours}

    def code(audience: str = doors.supabase, tenant: str = "acme", **changes: object) -> str:
        refused = exchange(doors, doors.issuer.token(audience, **good | changes), tenant)
        assert refused.status_code in (401, 403), refused.text
        found: str = refused.json()["code"]
        return found

    assert {
        "another branch": code(ref="refs/heads/dev"),
        "a pull request": code(event_name="pull_request_target"),
        "another repository": code(repository="evil/etl"),
        "another tenant": code(tenant="beta"),
        "no tenant": code(tenant="nowhere"),
    } == dict.fromkeys(
        ("another branch", "a pull request", "another repository", "another tenant", "no tenant"),
        "OIDC_NOT_TRUSTED",
    )
    assert {
        "another audience": code("https://github.com/acme"),
        "another issuer": code(iss="https://token.actions.githubusercontent.com"),
        "expired": code(exp=1),
    } == dict.fromkeys(("another audience", "another issuer", "expired"), "TOKEN_INVALID")
    assert exchange(doors, doors.issuer.token(doors.supabase, **good)).status_code == 200  # the control


def test_nobody_vouches_for_himself_at_the_data_api(doors: Doors) -> None:
    claims = {"iss": doors.issuer.url, "jti": "x", "exp": 9999999999, "repository": "acme/etl"}

    for bearer in (None, doors.token("admin"), doors.token("admin", assertion=claims)):
        answer = doors.rpc("exchange_assertion", bearer, {"tenant": "acme", "assertion": claims})
        assert answer.status_code in (401, 403), answer.text
