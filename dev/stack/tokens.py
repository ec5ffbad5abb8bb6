"""Tokens that the local stack hands out: the two API keys of a project, and members' JWTs."""

from __future__ import annotations

import time
import uuid
from typing import Literal, assert_never

import jwt

from dev.stack.keyring import Secrets

TEN_YEARS = 10 * 365 * 24 * 3600

Role = Literal["viewer", "operator", "admin"]
Shape = Literal["role", "authenticated"]


def api_key(secrets: Secrets, role: Literal["anon", "service_role"]) -> str:
    """A project's API key as Supabase's legacy keys are: an HS256 JWT that names its role."""
    # the time is fixed, so that the key of a stack is the same at every start
    issued = 1_700_000_000
    claims = {"iss": "control-room-local", "role": role, "iat": issued, "exp": issued + TEN_YEARS}
    return jwt.encode(claims, secrets.jwt_secret, algorithm="HS256")


def default_user(tenant: str, role: Role) -> str:
    """The one user per tenant and role that `scripts/stack token` speaks for: a UUID, for auth.uid()."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"control-room://{tenant}/{role}"))


def signed_in(secrets: Secrets, email: str, *, ttl: int) -> str:
    """The JWT that Supabase Auth would give to whoever has this address, and is of no tenant yet."""
    now = int(time.time())
    who = str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{email}"))
    claims = {"aud": "authenticated", "iss": "control-room-local", "sub": who, "role": "authenticated"}
    return jwt.encode(
        claims | {"email": email, "iat": now, "exp": now + ttl}, secrets.jwt_secret, algorithm="HS256"
    )


def member_token(
    secrets: Secrets, *, tenant_id: str, user_id: str, role: Role, ttl: int, shape: Shape = "role"
) -> str:
    """A member's JWT. `ttl` in seconds may be negative: a token that has expired, for tests."""
    now = int(time.time())
    claims: dict[str, object] = {
        "aud": "authenticated",
        "iss": "control-room-local",
        "sub": user_id,
        "user_id": user_id,
        "tenant_id": tenant_id,
        "iat": now + min(ttl, 0),
        "exp": now + ttl,
    }
    match shape:
        case "role":
            claims["role"] = role
        case "authenticated":
            claims |= {"role": "authenticated", "user_role": role}
        case _:
            assert_never(shape)
    return jwt.encode(claims, secrets.jwt_secret, algorithm="HS256")
