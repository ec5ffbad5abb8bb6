"""Signatures as the official verifier sees them, and secrets as the edge function derives them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from runner.callback import signature

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "webhook_secret.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{each['endpoint_id'][:8]} v{each['version']}")
def test_the_secret_is_the_one_of_the_vector(vector: dict[str, str]) -> None:
    derived = signature.derive(vector["master_key"], vector["endpoint_id"], int(vector["version"]))

    assert signature.shown(derived) == vector["secret"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{each['endpoint_id'][:8]} v{each['version']}")
def test_the_public_key_is_the_one_of_the_vector(vector: dict[str, str]) -> None:
    key = signature.derive_key(vector["master_key"], vector["endpoint_id"], int(vector["version"]))

    assert signature.shown_public(key) == vector["public_key"]


def test_the_public_key_verifies_v1a_and_official_verifiers_pass_it_over() -> None:
    secret, key = signature.derive("master", "endpoint", 1), signature.derive_key("master", "endpoint", 1)
    headers = signature.headers([secret], "evt_1", int(time.time()), b"{}", [key])
    shared, asymmetric = headers["webhook-signature"].split()

    public = base64.b64decode(signature.shown_public(key).removeprefix("whpk_"))
    signed = f"evt_1.{headers['webhook-timestamp']}.{{}}".encode()
    Ed25519PublicKey.from_public_bytes(public).verify(
        base64.b64decode(asymmetric.removeprefix("v1a,")), signed
    )
    assert (shared[:3], asymmetric[:4]) == ("v1,", "v1a,")
    standardwebhooks.Webhook(signature.shown(secret)).verify("{}", headers)


def test_the_published_vector_of_standard_webhooks() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature.headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("body", ['{"type":"run.completed"}', '{"name":"Zoë 🔑"}', "", "not json"])
def test_the_official_verifier_accepts(body: str) -> None:
    secret = signature.derive("master", "endpoint", 1)
    headers = signature.headers([secret], "evt_1", int(time.time()), body.encode())

    receiver = standardwebhooks.Webhook(signature.shown(secret))
    if body.startswith("{"):
        assert receiver.verify(body, headers) == json.loads(body)
    else:
        with pytest.raises(json.JSONDecodeError):  # after the signature was accepted
            receiver.verify(body, headers)


def test_while_rotating_both_secrets_are_accepted_and_no_third() -> None:
    new, old, other = (signature.derive("master", "endpoint", version) for version in (2, 1, 3))
    headers = signature.headers([new, old], "evt_1", int(time.time()), b"{}")

    for secret in (new, old):
        standardwebhooks.Webhook(signature.shown(secret)).verify("{}", headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(signature.shown(other)).verify("{}", headers)


def test_a_changed_body_is_not_accepted() -> None:
    secret = signature.derive("master", "endpoint", 1)
    headers = signature.headers([secret], "evt_1", int(time.time()), b'{"a":1}')

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(signature.shown(secret)).verify('{"a": 1}', headers)


def test_an_id_with_a_full_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        signature.headers([b"x"], "evt.1", 1, b"")
