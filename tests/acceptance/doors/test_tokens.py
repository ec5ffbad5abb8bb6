"""Who gets in: forged tokens, both shapes, demotion, access tokens."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
import psycopg
import pytest

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors


def forged(doors: Doors) -> dict[str, str]:
    good = doors.claims()
    secret = doors.environment["CONTROL_ROOM_JWT_SECRET"]
    other = "x" * 32
    head, payload, mark = jwt.encode(good, secret, algorithm="HS256").split(".")

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return {
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(good)}.",
        "alg None, signed": f"{part({'alg': 'None', 'typ': 'JWT'})}.{part(good)}.{mark}",
        "wrong secret": jwt.encode(good, other, algorithm="HS256"),
        "HS512": jwt.encode(good, secret, algorithm="HS512"),
        "tampered payload": f"{head}.{part(good | {'role': 'admin'})}.{mark}",
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "four parts": f"{head}.{payload}.{mark}.{mark}",
        "garbage": "garbage",
        "unknown kid": jwt.encode(good, secret, algorithm="HS256", headers={"kid": "x"}),
        "expired": doors.token(exp=int(time.time()) - 40),
        "not yet": doors.token(nbf=int(time.time()) + 60),
        "from the future": doors.token(iat=int(time.time()) + 60),
        "no tenant": doors.token(tenant_id=None),
        "tenant that is no UUID": doors.token(tenant_id="acme"),
        "tenant that is a list": doors.token(tenant_id=[doors.tenants["acme"]]),
        "tenant that is a number": doors.token(tenant_id=2**53 + 1),
        "no user": doors.token(sub=None, user_id=None),
        "HS384": jwt.encode(good, secret, algorithm="HS384"),
        "tampered signature": f"{head}.{payload}.{mark[:-4]}{'AAAA' if mark[-4:] != 'AAAA' else 'BBBB'}",
        "only dots": "..",
        "claims that are a list": signed(secret, {"alg": "HS256"}, [good]),
        "critical extension": signed(secret, {"alg": "HS256", "crit": ["own"], "own": 1}, good),
        "key in the header": signed(other, {"alg": "HS256", "jwk": {"kty": "oct", "k": "eHh4"}}, good),
        "address of a key in the header": signed(other, {"alg": "HS256", "jku": "http://127.0.0.1:1/"}, good),
        "kid that is a path": signed("", {"alg": "HS256", "kid": "../../dev/null"}, good),
        "expired long ago": doors.token(exp=1),
        "expiry that is a text": signed(secret, {"alg": "HS256"}, good | {"exp": "tomorrow"}),
    }


def signed(secret: str, header: object, payload: object) -> str:
    """A token whose parts are whatever they are, under a good signature."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=").decode() for it in (header, payload)
    ]
    mark = hmac.digest(secret.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, base64.urlsafe_b64encode(mark).rstrip(b"=").decode()])


FORGERIES = (
    *("alg none", "alg None, signed", "wrong secret", "HS512", "tampered payload", "no signature"),
    *("two parts", "four parts", "garbage", "unknown kid", "expired", "not yet", "from the future"),
    *("no tenant", "tenant that is no UUID", "tenant that is a list", "tenant that is a number", "no user"),
    *("HS384", "tampered signature", "only dots", "claims that are a list", "critical extension"),
    *("key in the header", "address of a key in the header", "kid that is a path", "expired long ago"),
    *("expiry that is a text",),
)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_401_on_both_doors(doors: Doors, name: str) -> None:
    bearer = forged(doors)[name]

    for answer in (doors.ask("GET", "/runs", bearer), doors.rpc("list_runs", bearer, {})):
        assert answer.status_code == 401, answer.text
        assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"role": "authenticated", "user_role": "operator"},
        {"user_id": None},
        {"aud": None},
        {"exp": "a second ago"},  # within the leeway
    ],
    ids=str,
)
def test_a_good_token_of_any_accepted_shape_opens_both_doors(doors: Doors, changes: dict[str, Any]) -> None:
    if "exp" in changes:  # said when the test runs: the suite may be older than the leeway by then
        changes = changes | {"exp": int(time.time()) - 1}
    bearer = doors.token(**changes)

    assert doors.ask("GET", "/runs", bearer).status_code == 200
    assert doors.rpc("list_runs", bearer, {}).status_code == 200


def test_a_demoted_member_loses_the_right_on_the_next_request(doors: Doors) -> None:
    who = str(uuid.uuid4())
    doors.platform("platform_add_member", tenant="acme", user_id=who, role="operator")
    bearer = doors.token(sub=who, user_id=who)
    assert doors.ask("POST", "/jobs/run", bearer, json=doors.SUBMISSION).status_code == 202

    doors.platform("platform_add_member", tenant="acme", user_id=who, role="viewer")
    assert doors.ask("POST", "/jobs/run", bearer, json=doors.SUBMISSION).status_code == 403
    assert doors.ask("GET", "/runs", bearer).status_code == 200

    doors.platform("platform_remove_member", tenant="acme", user_id=who)
    answer = doors.ask("GET", "/runs", bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "MEMBERSHIP_MISSING")


def test_the_claim_cannot_lift_what_the_membership_row_says(doors: Doors) -> None:
    viewer = doors.user("acme", "viewer")

    answer = doors.ask(
        "POST", "/jobs/run", doors.token("admin", sub=viewer, user_id=viewer), json=doors.SUBMISSION
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_INSUFFICIENT")


def opened(doors: Doors, bearer: str, bytes_of: str) -> list[bool]:
    """Which doors the bearer opens: the edge's, the Data API's rows and functions, Storage's."""
    headers = {"apikey": doors.environment["SUPABASE_ANON_KEY"], "authorization": f"Bearer {bearer}"}
    answers = (
        doors.ask("GET", "/runs", bearer),
        doors.rpc("list_runs", bearer, {}),
        doors.http.get("/rest/v1/runs?limit=1", headers=headers),
        doors.http.get(f"/storage/v1/object/authenticated/artifacts/{bytes_of}", headers=headers),
    )
    assert all(it.status_code < 500 for it in answers)
    return [it.is_success for it in answers]


@pytest.fixture(scope="module")
def some_bytes(doors: Doors) -> str:
    artifact_id = doors.artifact()
    with psycopg.connect(doors.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            "select path from artifact.versions where artifact_id = %s", [artifact_id]
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_what_is_taken_away_is_taken_away_at_every_door_at_once(doors: Doors, some_bytes: str) -> None:
    who = str(uuid.uuid4())
    member = doors.token(sub=who, user_id=who)
    doors.platform("platform_add_member", tenant="acme", user_id=who, role="operator")
    made = doors.ask("POST", "/tokens", member, json={"name": "ci", "role": "operator"}).json()
    short = doors.ask("POST", "/tokens", made["token"]).json()["access_token"]
    other = doors.ask("POST", "/tokens", member, json={"name": "other", "role": "operator"}).json()
    last = doors.ask("POST", "/tokens", other["token"]).json()["access_token"]
    for bearer in (member, short, last):
        assert opened(doors, bearer, some_bytes) == [True] * 4

    assert doors.ask("DELETE", f"/tokens/{made['token_id']}", doors.token("admin")).status_code == 200
    assert opened(doors, short, some_bytes) == [False] * 4
    assert opened(doors, last, some_bytes) == [True] * 4  # one's other tokens go on

    doors.platform("platform_add_member", tenant="acme", user_id=who, role="viewer")
    for bearer in (member, last):
        # a viewer sees runs, and no bytes that are confidential
        assert opened(doors, bearer, some_bytes) == [True, True, True, False]

    doors.platform("platform_remove_member", tenant="acme", user_id=who)
    for bearer in (member, last):
        assert opened(doors, bearer, some_bytes) == [False] * 4
    assert doors.ask("GET", "/runs", other["token"]).status_code in (401, 403)


def test_an_access_token_is_a_bearer_until_it_is_revoked(doors: Doors) -> None:
    made = doors.access_token("operator")
    assert doors.ask("POST", "/jobs/run", made["token"], json=doors.SUBMISSION).status_code == 202

    short = doors.ask("POST", "/tokens", made["token"]).json()
    assert short["token_type"] == "bearer"
    assert doors.ask("GET", "/runs", short["access_token"]).status_code == 200
    assert doors.rpc("list_runs", short["access_token"], {}).status_code == 200

    assert doors.ask("DELETE", f"/tokens/{made['token_id']}", doors.token("admin")).status_code == 200
    assert doors.ask("GET", "/runs", made["token"]).status_code in (401, 403)
    assert doors.ask("GET", "/runs", short["access_token"]).status_code in (401, 403)
    assert doors.ask("POST", "/tokens", made["token"]).status_code in (401, 403)


def test_an_access_token_does_not_exceed_its_role(doors: Doors) -> None:
    made = doors.access_token("viewer")

    assert doors.ask("GET", "/runs", made["token"]).status_code == 200
    assert doors.ask("POST", "/jobs/run", made["token"], json=doors.SUBMISSION).status_code == 403


def test_who_is_invited_accepts_by_his_own_jwt_and_what_an_admin_says_counts_at_once(doors: Doors) -> None:
    who = str(uuid.uuid4())
    person = doors.token(sub=who, user_id=None, role="authenticated", tenant_id=None)  # of no tenant yet
    as_member = doors.token("admin", sub=who, user_id=who)
    token = doors.invite(who, "operator")["token"]

    def accept(bearer: str) -> int:
        return doors.ask("POST", "/invitations/accept", bearer, json={"token": token}).status_code

    assert accept(doors.token(sub=str(uuid.uuid4()), user_id=None)) == 404  # somebody else's
    assert doors.ask("GET", "/runs", as_member).status_code == 403
    assert accept(person) == 200
    assert doors.ask("POST", "/jobs/run", as_member, json=doors.SUBMISSION).status_code == 202
    assert doors.rpc("list_runs", as_member, {}).status_code == 200
    assert accept(person) == 404  # once

    admin, place = doors.token("admin"), f"/members/{who}"
    assert doors.ask("PATCH", place, admin, json={"role": "viewer"}).status_code == 200
    assert doors.ask("POST", "/jobs/run", as_member, json=doors.SUBMISSION).status_code == 403
    assert doors.rpc("run_job", as_member, doors.SUBMISSION).status_code == 403
    assert doors.ask("DELETE", place, admin).status_code == 200
    for answer in (doors.ask("GET", "/runs", as_member), doors.rpc("list_runs", as_member, {})):
        assert (answer.status_code, answer.json()["code"]) == (403, "MEMBERSHIP_MISSING")
