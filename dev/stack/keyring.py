"""The secrets of one stack: made once, kept in a file that only its user can read."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, fields

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from dev.stack import state
from dev.stack.state import Layout


@dataclass(frozen=True)
class Secrets:
    """Passwords of the login roles, the keys that sign tokens, the master key of webhook secrets."""

    supabase_admin_password: str
    postgres_password: str
    authenticator_password: str
    runner_password: str
    jwt_secret: str
    master_key: str
    signing_key: str
    """Private ES256 JWK, as JSON: what `supabase gen signing-key` would give."""

    def public_keys(self) -> str:
        """The JWKS that verifies what `signing_key` signs."""
        private = json.loads(self.signing_key)
        public = {name: value for name, value in private.items() if name not in {"d", "key_ops"}}
        return json.dumps({"keys": [{**public, "key_ops": ["verify"]}]})

    def edge_key(self) -> str:
        """What the edge function shows to be believed about its callers: `_shared/origin.ts` derives it."""
        extracted = hmac.digest(b"\0" * hashlib.sha256().digest_size, self.master_key.encode(), "sha256")
        return hmac.digest(extracted, b"control-room/edge/v1\x01", "sha256").hex()


def generate() -> Secrets:
    jwk = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    signing_key = {**jwk, "kid": secrets.token_hex(8), "use": "sig", "alg": "ES256", "key_ops": ["sign"]}
    return Secrets(
        supabase_admin_password=secrets.token_hex(16),
        postgres_password=secrets.token_hex(16),
        authenticator_password=secrets.token_hex(16),
        runner_password=secrets.token_hex(16),
        jwt_secret=secrets.token_hex(32),
        master_key=secrets.token_hex(32),
        signing_key=json.dumps(signing_key),
    )


def load_or_make(place: Layout) -> Secrets:
    """The stack's secrets; makes those that are missing."""
    kept = json.loads(place.secrets_file.read_text()) if place.secrets_file.exists() else {}
    known = {field.name: kept[field.name] for field in fields(Secrets) if field.name in kept}
    whole = Secrets(**{**asdict(generate()), **known})
    if asdict(whole) != kept:
        state.write_json(place.secrets_file, asdict(whole), mode=0o600)
    return whole
