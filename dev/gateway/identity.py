"""Who is asking: the API key in front, the bearer token behind it.

As on hosted Supabase: `apikey` must be one of the project's keys; `Authorization` may be absent, then
the key's own role counts. Tokens are HS256 under the project's secret or ES256 under its key set; the
algorithm is fixed by the key, never by the token. Times have 30 s of leeway, as PostgREST's.
"""

import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from dev.gateway import errors
from dev.gateway.asgi import Request
from dev.gateway.settings import Settings

LEEWAY = 30
_CACHE_SIZE = 1024
_jws = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Identity:
    """A role and the claims (JSON) that a transaction runs with.

    `authenticated`: a role other than anon, which turns a lack of privilege from 401 into 403.
    """

    role: str
    claims: bytes
    subject: str
    authenticated: bool


class Keyring:
    """The keys of the project, and the tokens seen so far."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret.encode()
        self._public = [
            (key.get("kid"), jwt.PyJWK(key, "ES256").key)
            for key in settings.jwks["keys"]
            if key.get("kty") == "EC" and key.get("crv") == "P-256"
        ]
        self._api_keys = [(key.encode(), "anon") for key in settings.anon_keys]
        self._api_keys += [(key.encode(), "service_role") for key in settings.service_keys]
        self._cache: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def identify(self, request: Request) -> Identity:
        """Who is asking at the Data API. Raises `errors.Refusal` (401)."""
        api_key = request.headers.get("apikey")
        if not api_key:
            raise errors.no_api_key()
        role = self._role_of_key(api_key.encode())
        if role is None:
            raise errors.wrong_api_key()
        return self.bearer(request) or self._of_key(api_key.encode(), role)

    def bearer(self, request: Request) -> Identity | None:
        """Who the Authorization header says is asking; None without one. Raises `errors.Refusal` (401)."""
        values = request.values(b"authorization")
        if not values:
            return None
        if len(values) > 1:
            raise errors.invalid_token("PGRST301", "More than one Authorization header was sent")
        scheme, _, token = values[0].strip().partition(b" ")
        if scheme.lower() != b"bearer":
            raise errors.invalid_token("PGRST301", "Authorization must be of the form: Bearer <token>")
        token = token.strip()
        if not token:
            raise errors.invalid_token("PGRST301", "Empty JWT is sent in Authorization header")
        if token.startswith(b"sb_"):
            # clients send the key as bearer too; keys of this form are no JWTs
            role = self._role_of_key(token)
            if role is None:
                raise errors.invalid_token("PGRST301", "Expected 3 parts in JWT; got 1")
            return self._of_key(token, role)
        return self.verify(token)

    def verify(self, token: bytes) -> Identity:
        """The identity in a JWT. Raises `errors.Refusal` (401): PGRST301 unverifiable, PGRST303 claims."""
        now = time.time()
        known = self._cache.get(token)
        if known is not None and now <= known[1]:
            return known[0]
        claims, payload = self._decode(token)
        until = _check_times(claims, now)
        role = claims.get("role", "anon")
        if not isinstance(role, str):
            role = json.dumps(role)
        if claims.get("role") != role or "\\u0000" in payload.decode("utf-8", "replace"):
            payload = json.dumps(claims | {"role": role}).replace("\\u0000", "").encode()
        subject = claims.get("sub")
        identity = Identity(role, payload, subject if isinstance(subject, str) else "", role != "anon")
        self._cache[token] = (identity, until)
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return identity

    def _role_of_key(self, candidate: bytes) -> str | None:
        for key, role in self._api_keys:
            if hmac.compare_digest(key, candidate):
                return role
        return None

    def _of_key(self, key: bytes, role: str) -> Identity:
        if key.count(b".") == 2:
            return self.verify(key)
        return Identity(role, json.dumps({"role": role}).encode(), "", role != "anon")

    def _decode(self, token: bytes) -> tuple[dict[str, Any], bytes]:
        parts = token.count(b".") + 1
        if parts != 3:
            raise errors.invalid_token("PGRST301", f"Expected 3 parts in JWT; got {parts}")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, UnicodeDecodeError):
            raise errors.invalid_token("PGRST301", "JWT couldn't be decoded") from None
        algorithm, keys = self._keys_for(header)
        for key in keys:
            try:
                payload = _jws.decode(token, key, algorithms=[algorithm])
                break
            except (jwt.PyJWTError, UnicodeDecodeError):
                continue
        else:
            raise errors.invalid_token("PGRST301", "No suitable key or wrong key type")
        try:
            claims = json.loads(payload, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise errors.invalid_token("PGRST303", "Parsing claims failed")
        return claims, payload

    def _keys_for(self, header: dict[str, Any]) -> tuple[str, Sequence[bytes | ec.EllipticCurvePublicKey]]:
        algorithm = header.get("alg")
        kid = header.get("kid")
        if algorithm == "HS256":
            # the shared secret has no id, so a token that names one was meant for another key
            return algorithm, [self._secret] if kid is None else []
        if algorithm == "ES256":
            return algorithm, [key for known, key in self._public if kid is None or kid == known]
        raise errors.invalid_token("PGRST301", "Wrong or unsupported encoding algorithm")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_times(claims: dict[str, Any], now: float) -> float:
    """Until when the token may be used without looking again. Raises `errors.Refusal` (PGRST303)."""

    def moment(name: str) -> float | None:
        value = claims.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise errors.invalid_token("PGRST303", f"The JWT '{name}' claim must be a number")
        return value

    expires, not_before, issued = moment("exp"), moment("nbf"), moment("iat")
    if expires is not None and now - LEEWAY > expires:
        raise errors.invalid_token("PGRST303", "JWT expired")
    if not_before is not None and now + LEEWAY < not_before:
        raise errors.invalid_token("PGRST303", "JWT not yet valid")
    if issued is not None and now + LEEWAY < issued:
        raise errors.invalid_token("PGRST303", "JWT issued at future")
    return float("inf") if expires is None else expires + LEEWAY
