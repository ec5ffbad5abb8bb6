"""Tokens: `cr_…` opens the API; the Data API wants a JWT made of it; a workflow brings its issuer's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from control_room.errors import ControlRoomError
from control_room.model import AccessToken, Page, ShortToken
from control_room.operation import Operation, Request, exchange, fetch, fetch_json, query


def create(
    name: str, role: str | None = None, expires_at: datetime | str | None = None
) -> Operation[AccessToken]:
    """`token` of the answer is said this once. No more than its maker's role; machines make none."""
    until = expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at
    body: dict[str, Any] = {"name": name, **query(role=role, expires_at=until)}
    return (yield from fetch(AccessToken, Request("POST", "/tokens", body=body)))


def list_(limit: int | None = None, cursor: str | None = None) -> Operation[Page[AccessToken]]:
    """One's own; admins see all."""
    asked = query(limit=limit, cursor=cursor)
    return (yield from fetch(Page[AccessToken], Request("GET", "/tokens", query=asked, repeatable=True)))


def revoke(token_id: str) -> Operation[None]:
    """Dead with the next request, and the JWTs made of it. Raises ApiError ACCESS_TOKEN_NOT_FOUND."""
    yield from exchange(Request("DELETE", f"/tokens/{quote(token_id, safe='')}"))


def data_bearer(token: str) -> Operation[str]:
    """The bearer for /rest/v1: JWTs as they are, access tokens exchanged for a JWT of ten minutes."""
    if not token.startswith("cr_"):
        return token
    answer = yield from fetch_json(Request("POST", "/tokens", repeatable=True))
    return str(answer["access_token"])


def of_workflow(
    tenant: str, audience: str, role: str | None = None, environment: Mapping[str, str] = os.environ
) -> Operation[ShortToken]:
    """What this workflow is given: GitHub's OIDC token, made out for `audience`, and exchanged.

    GitHub makes the token for this one exchange, so nothing is asked twice.
    Raises ControlRoomError outside of a workflow, ApiError OIDC_NOT_TRUSTED, TOKEN_INVALID.
    """
    vouched = yield from _vouched(audience, environment)
    body = {"token": vouched, "tenant": tenant, **query(role=role)}
    return (yield from fetch(ShortToken, Request("POST", "/tokens/oidc", body=body, door="open")))


def _vouched(audience: str, environment: Mapping[str, str]) -> Operation[str]:
    """The environment is what GitHub sets for jobs with `permissions: id-token: write`, and for no others."""
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    key = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not key:
        raise ControlRoomError(
            "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set",
            "this works in GitHub Actions, in a job with `permissions: id-token: write`",
        )
    # by hand: the address has a query already, which httpx would replace
    address = f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}"
    headers = {"authorization": f"Bearer {key}"}
    answer = yield from fetch_json(Request("GET", address, headers=headers, door="signed", repeatable=True))
    if not isinstance(answer, dict) or not isinstance(answer.get("value"), str):
        raise ControlRoomError(
            "GitHub's answer has no OIDC token", "is ACTIONS_ID_TOKEN_REQUEST_URL GitHub's?"
        )
    found: str = answer["value"]
    return found
