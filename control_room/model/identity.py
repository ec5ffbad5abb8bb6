"""Who may come in, by which token."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from control_room.model.word import Word


class Member(Word):
    """`user_id` is the person's, or `oidc:…` of a trust."""

    user_id: str
    role: str
    tenant_id: str | None = None
    created_at: datetime | None = None


class Invitation(Word):
    """`token` is there once, in the answer to who made it."""

    invitation_id: str
    role: str
    email: str | None = None
    user_id: str | None = None
    token: str | None = Field(default=None, repr=False)
    created_by: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    revoked_at: datetime | None = None


class Trust(Word):
    trust_id: str
    user_id: str
    name: str
    repository: str
    role: str
    issuer: str | None = None
    repository_id: str | None = None
    ref: str | None = None
    environment: str | None = None
    pull_requests: bool = False
    token_seconds: int | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None


class AccessToken(Word):
    """`token` is there once, in the answer to who made it."""

    token_id: str
    name: str
    role: str
    token: str | None = Field(default=None, repr=False)
    user_id: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class ShortToken(Word):
    """A JWT for both doors; `expires_in` seconds are left of it."""

    access_token: str = Field(repr=False)
    token_type: str
    expires_in: int
    expires_at: int
    tenant_id: str | None = None
    user_id: str | None = None
    role: str | None = None


class Identity(Word):
    """Who a token is; `role` is what the membership leaves of what it claims."""

    user_id: str
    tenant_id: str
    role: str | None = None
    kind: str = "jwt"
    expires_at: datetime | None = None
