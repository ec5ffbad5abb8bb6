"""Trusts: the workflows that come in by what their issuer vouches for, without a stored secret."""

from __future__ import annotations

from urllib.parse import quote

from control_room.model import Page, Trust
from control_room.operation import Operation, Request, exchange, fetch, query


def create(name: str, repository: str, role: str, **conditions: object) -> Operation[Trust]:
    """Admins. Conditions: ref or environment (one must be said), repository_id, pull_requests,
    token_seconds, issuer."""
    said = {key: value for key, value in conditions.items() if value is not None}
    body = {"name": name, "repository": repository, "role": role, **said}
    return (yield from fetch(Trust, Request("POST", "/trusts", body=body)))


def list_(limit: int | None = None, cursor: str | None = None) -> Operation[Page[Trust]]:
    asked = query(limit=limit, cursor=cursor)
    return (yield from fetch(Page[Trust], Request("GET", "/trusts", query=asked, repeatable=True)))


def delete(trust_id: str) -> Operation[None]:
    """Admins; every token that it gave is dead with the next request."""
    yield from exchange(Request("DELETE", f"/trusts/{quote(trust_id, safe='')}"))
