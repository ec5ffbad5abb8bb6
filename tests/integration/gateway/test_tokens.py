"""Who is let in: forged, stale and odd tokens are refused, none of them counts as anonymous."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.integration.gateway.project import ALICE, Project, Scratch

# No schema is needed: whoever is let in is told that there is no such function.
PROBE = "no_such_function_anywhere"
NOW = int(time.time())


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    return {"role": "authenticated", "sub": ALICE, "iat": NOW, "exp": NOW + 600} | changes


def signed(secret: str, header: dict[str, Any], payload: object, digest: str = "sha256") -> str:
    """A token whose header says whatever it likes."""
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), digest))}"


def hs256(project: Project, **changes: Any) -> str:
    return signed(project.jwt_secret, {"alg": "HS256", "typ": "JWT"}, claims(**changes))


BAD: dict[str, Callable[[Project], str]] = {
    "alg none": lambda p: f"{part({'alg': 'none'})}.{part(claims())}.",
    "alg None": lambda p: f"{part({'alg': 'None'})}.{part(claims())}.",
    "alg NONE, with a signature": lambda p: signed(p.jwt_secret, {"alg": "NONE"}, claims()),
    "alg none, two parts": lambda p: f"{part({'alg': 'none'})}.{part(claims())}",
    "alg missing": lambda p: signed(p.jwt_secret, {"typ": "JWT"}, claims()),
    "alg HS384": lambda p: signed(p.jwt_secret, {"alg": "HS384"}, claims(), "sha384"),
    "alg HS512": lambda p: signed(p.jwt_secret, {"alg": "HS512"}, claims(), "sha512"),
    "alg HS256 in lower case": lambda p: signed(p.jwt_secret, {"alg": "hs256"}, claims()),
    "alg RS256": lambda p: signed(p.jwt_secret, {"alg": "RS256"}, claims()),
    "alg ES256 with an HMAC": lambda p: signed(p.jwt_secret, {"alg": "ES256"}, claims()),
    "alg a list": lambda p: signed(p.jwt_secret, {"alg": ["HS256"]}, claims()),
    "wrong secret": lambda p: signed("x" * 40, {"alg": "HS256"}, claims()),
    "empty secret": lambda p: signed("", {"alg": "HS256"}, claims()),
    "tampered payload": lambda p: (
        p.token().split(".")[0] + "." + part(claims(role="service_role")) + "." + p.token().split(".")[2]
    ),
    "tampered signature": lambda p: p.token()[:-2] + ("AA" if p.token()[-2:] != "AA" else "BB"),
    "empty signature": lambda p: p.token().rsplit(".", 1)[0] + ".",
    "two parts": lambda p: p.token().rsplit(".", 1)[0],
    "four parts": lambda p: p.token() + ".AAAA",
    "garbage": lambda p: "garbage",
    "dots": lambda p: "..",
    "header no json": lambda p: f"{part(b'hello')}.{part(claims())}.AAAA",
    "payload no json": lambda p: signed(p.jwt_secret, {"alg": "HS256"}, b"hello"),
    "payload a list": lambda p: signed(p.jwt_secret, {"alg": "HS256"}, [claims()]),
    "payload NaN": lambda p: signed(p.jwt_secret, {"alg": "HS256"}, b'{"role": "authenticated", "x": NaN}'),
    "kid unknown": lambda p: signed(p.jwt_secret, {"alg": "HS256", "kid": "unknown"}, claims()),
    "kid a path": lambda p: signed(p.jwt_secret, {"alg": "HS256", "kid": "../../dev/null"}, claims()),
    "kid SQL": lambda p: signed("x", {"alg": "HS256", "kid": "' union select 'x"}, claims()),
    "jku": lambda p: signed("x" * 40, {"alg": "HS256", "jku": "http://127.0.0.1:1/keys"}, claims()),
    "jwk in the header": lambda p: signed(
        "x" * 40, {"alg": "HS256", "jwk": {"kty": "oct", "k": part(b"x" * 40)}}, claims()
    ),
    "unknown crit": lambda p: signed(p.jwt_secret, {"alg": "HS256", "crit": ["own"], "own": 1}, claims()),
    "expired": lambda p: hs256(p, exp=int(time.time()) - 40),
    "expired long ago": lambda p: hs256(p, exp=1),
    "not yet valid": lambda p: hs256(p, nbf=int(time.time()) + 60),
    "issued in the future": lambda p: hs256(p, iat=int(time.time()) + 60),
    "exp a text": lambda p: hs256(p, exp="tomorrow"),
    "exp true": lambda p: hs256(p, exp=True),
    "nbf a text": lambda p: hs256(p, nbf="now"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_401(project: Project, name: str) -> None:
    answer = project.call(PROBE, token=BAD[name](project))

    assert answer.status_code == 401
    assert answer.json()["code"] in ("PGRST301", "PGRST303")
    assert answer.headers["www-authenticate"].startswith("Bearer")


GOOD: dict[str, Callable[[Project], str]] = {
    "an ordinary one": hs256,
    "29 s past its end": lambda p: hs256(p, exp=int(time.time()) - 28),
    "29 s before its begin": lambda p: hs256(p, nbf=int(time.time()) + 28),
    "issued 29 s ahead": lambda p: hs256(p, iat=int(time.time()) + 28),
    "without exp": lambda p: signed(p.jwt_secret, {"alg": "HS256"}, {"role": "authenticated"}),
    "fractions of a second": lambda p: hs256(p, exp=time.time() + 60.5),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_is_let_in(project: Project, name: str) -> None:
    answer = project.call(PROBE, token=GOOD[name](project))

    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST202")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_bearer_is_taken_in_any_letter_case(project: Project, scheme: str) -> None:
    answer = project.call(PROBE, token=None, headers={"authorization": f"{scheme} {project.token()}"})

    assert answer.status_code == 404


@pytest.mark.parametrize("value", ["Bearer", "Basic dXNlcjpwYXNz", "Token abc", "", "bearer"])
def test_other_authorizations_are_401_and_not_anonymous(scratch: Scratch, value: str) -> None:
    assert scratch.call("whoami", token=None, headers={"authorization": value}).status_code == 401


@pytest.mark.parametrize("scheme", ["Token", "Basic", "JWT", "Bearer:"])
def test_a_good_token_under_another_scheme_is_401(scratch: Scratch, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {scratch.token()}"}

    assert scratch.call("whoami", token=None, headers=headers).status_code == 401


def test_two_authorizations_are_401(scratch: Scratch) -> None:
    token = scratch.token()
    headers = [
        ("apikey", scratch.anon_key),
        ("authorization", f"Bearer {token}"),
        ("authorization", "Bearer x"),
    ]

    for order in (headers, headers[::-1]):
        answer = scratch.client.post(f"{scratch.url}/rest/v1/rpc/whoami", headers=order)

        assert answer.status_code == 401


def test_a_token_in_the_query_string_counts_for_nothing(scratch: Scratch) -> None:
    answer = scratch.ask("GET", f"/rest/v1/things?access_token={scratch.token()}", token=None)

    assert answer.status_code in (400, 401)


def test_without_a_token_the_key_decides(scratch: Scratch) -> None:
    keys = {
        scratch.anon_key: "anon",
        scratch.service_key: "service_role",
        "sb_publishable_test": "anon",
        "sb_secret_test": "service_role",
    }

    assert {key: scratch.call("whoami", key=key, token=None).json()["user"] for key in keys} == keys


@pytest.mark.parametrize(
    ("key", "role"), [("sb_publishable_test", "anon"), ("sb_secret_test", "service_role")]
)
def test_new_keys_may_come_as_bearer_too(scratch: Scratch, key: str, role: str) -> None:
    assert scratch.call("whoami", key=key, token=key).json()["user"] == role


def test_a_service_key_with_a_members_token_acts_as_the_member(scratch: Scratch) -> None:
    assert scratch.call("whoami", key=scratch.service_key).json()["user"] == "authenticated"


def test_without_a_key_it_is_401(project: Project) -> None:
    answer = project.call(PROBE, key=None)

    assert answer.status_code == 401
    assert answer.json()["message"] == "No API key found in request"


@pytest.mark.parametrize("key", ["wrong", "sb_publishable_wrong", "sb_secret_", "ü"])
def test_a_wrong_key_is_401(project: Project, key: str) -> None:
    answer = project.call(PROBE, headers={"apikey": key.encode("latin-1")}, key=None)  # type: ignore[dict-item]

    assert answer.status_code == 401


def test_a_members_token_is_no_api_key(project: Project) -> None:
    assert project.call(PROBE, key=project.token()).status_code == 401


@pytest.mark.parametrize("role", ["viewer", "operator", "admin", "authenticated", "anon", "service_role"])
def test_roles_granted_to_the_authenticator_are_taken(scratch: Scratch, role: str) -> None:
    assert scratch.call("whoami", token=scratch.token(role=role)).json()["user"] == role


@pytest.mark.parametrize(
    "role",
    ["none", "postgres", "supabase_admin", "authenticator", "stranger", "public", "pg_monitor", "", "VIEWER",
     "viewer; reset role", 'viewer"', 7, ["viewer"], {"a": 1}, True],
)  # fmt: skip
def test_other_roles_are_refused(scratch: Scratch, role: object) -> None:
    token = signed(scratch.jwt_secret, {"alg": "HS256"}, claims(role=role))

    answer = scratch.call("whoami", token=token)

    assert answer.status_code in (401, 403)
    # by the gateway's own list: Postgres itself would let `none` pass
    assert answer.json()["message"].startswith("permission denied to set role")


def test_a_token_without_a_role_is_anonymous(scratch: Scratch) -> None:
    seen = scratch.call("whoami", token=scratch.token(role=None)).json()

    assert (seen["user"], seen["claims"]["role"]) == ("anon", "anon")


def test_claims_arrive_as_they_were_signed(scratch: Scratch) -> None:
    odd = {"tenant_id": ["a", {"b": 2**53 + 1}], "text": "☃ \" ' \\ \n", "number": 1.5, "null": None}

    seen = scratch.call("whoami", token=hs256(scratch, **odd)).json()["claims"]

    assert {name: seen[name] for name in odd} == odd


def test_of_repeated_claims_the_last_one_counts_for_all(scratch: Scratch) -> None:
    payload = b'{"role": "service_role", "role": "viewer", "exp": %d}' % (NOW + 600)

    seen = scratch.call("whoami", token=signed(scratch.jwt_secret, {"alg": "HS256"}, payload)).json()

    assert (seen["user"], seen["claims"]["role"]) == ("viewer", "viewer")


def test_a_nul_in_a_claim_does_no_harm(scratch: Scratch) -> None:
    answer = scratch.call("whoami", token=hs256(scratch, text="a\0b"))

    assert answer.status_code in (200, 400, 401)


class TestAsymmetricKeys:
    """ES256 under the project's key set."""

    @staticmethod
    def key(scratch: Scratch) -> Any:
        return ECAlgorithm.from_jwk(scratch.signing_key)

    def test_a_token_of_the_projects_key_is_let_in(self, scratch: Scratch) -> None:
        kid = json.loads(scratch.signing_key)["kid"]
        for headers in ({"kid": kid}, {}):
            token = jwt.encode(claims(role="viewer"), self.key(scratch), "ES256", headers=headers)

            assert scratch.call("whoami", token=token).json()["user"] == "viewer"

    def test_an_unknown_kid_is_401(self, scratch: Scratch) -> None:
        token = jwt.encode(claims(), self.key(scratch), "ES256", headers={"kid": "other"})

        assert scratch.call("whoami", token=token).status_code == 401

    def test_another_key_is_401(self, scratch: Scratch) -> None:
        kid = json.loads(scratch.signing_key)["kid"]
        token = jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": kid})

        assert scratch.call("whoami", token=token).status_code == 401

    def test_an_hmac_with_the_public_key_is_401(self, scratch: Scratch) -> None:
        public = self.key(scratch).public_key()
        kid = json.loads(scratch.signing_key)["kid"]
        jwks = scratch.ask("GET", "/auth/v1/.well-known/jwks.json").json()
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        for secret in (pem, json.dumps(jwks["keys"][0]), jwks["keys"][0]["x"]):
            for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": kid}, {"alg": "ES256", "kid": kid}):
                assert scratch.call("whoami", token=signed(secret, header, claims())).status_code == 401

    def test_a_flipped_signature_is_401(self, scratch: Scratch) -> None:
        head, payload, signature = jwt.encode(claims(), self.key(scratch), "ES256").split(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
        for broken in (bytes(64), bytes([raw[0] ^ 1]) + bytes(raw[1:]), bytes(raw[:63]), b""):
            assert scratch.call("whoami", token=f"{head}.{payload}.{part(broken)}").status_code == 401

    def test_the_key_set_is_public_and_holds_no_secret(self, scratch: Scratch) -> None:
        answer = scratch.ask("GET", "/auth/v1/.well-known/jwks.json", key=None, token=None)

        assert [key["kty"] for key in answer.json()["keys"]] == ["EC"]
        assert '"d"' not in answer.text


def test_a_token_that_was_let_in_ends_when_it_ends(scratch: Scratch) -> None:
    token = hs256(scratch, exp=int(time.time()) - 28)
    assert scratch.call("whoami", token=token).status_code == 200

    deadline = time.monotonic() + 10
    while scratch.call("whoami", token=token).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert scratch.call("whoami", token=token).status_code == 401
