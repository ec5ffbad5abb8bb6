"""Members and invitations: who is in, as what, and who is asked to come in."""

from __future__ import annotations

from urllib.parse import quote

from control_room.model import Invitation, Member, Page
from control_room.operation import Operation, Request, exchange, fetch, query


def list_(limit: int | None = None, cursor: str | None = None) -> Operation[Page[Member]]:
    """`oidc:…` are workflows that are trusted."""
    asked = query(limit=limit, cursor=cursor)
    return (yield from fetch(Page[Member], Request("GET", "/members", query=asked, repeatable=True)))


def set_role(user_id: str, role: str) -> Operation[Member]:
    """Admins; counts with the next request. Raises ApiError LAST_ADMIN, MEMBER_NOT_FOUND."""
    request = Request("PATCH", _member(user_id), body={"role": role}, repeatable=True)
    return (yield from fetch(Member, request))


def remove(user_id: str) -> Operation[None]:
    """Admins; with all tokens and open invitations. Raises ApiError LAST_ADMIN, MEMBER_NOT_FOUND."""
    yield from exchange(Request("DELETE", _member(user_id)))


def invite(
    role: str, email: str | None = None, user_id: str | None = None, expires_in_hours: int | None = None
) -> Operation[Invitation]:
    """Admins; one of `email` and `user_id`. `token` of the answer is said this once."""
    named = {"email": email, "user_id": user_id, "expires_in_hours": expires_in_hours}
    body = {"role": role} | {name: value for name, value in named.items() if value is not None}
    return (yield from fetch(Invitation, Request("POST", "/invitations", body=body)))


def invitations(limit: int | None = None, cursor: str | None = None) -> Operation[Page[Invitation]]:
    asked = query(limit=limit, cursor=cursor)
    return (yield from fetch(Page[Invitation], Request("GET", "/invitations", query=asked, repeatable=True)))


def revoke(invitation_id: str) -> Operation[None]:
    yield from exchange(Request("DELETE", f"/invitations/{quote(invitation_id, safe='')}"))


def accept(token: str) -> Operation[Member]:
    """By the JWT of the person who is invited; the project's next JWT names the tenant."""
    return (yield from fetch(Member, Request("POST", "/invitations/accept", body={"token": token})))


def _member(user_id: str) -> str:
    return f"/members/{quote(user_id, safe='')}"
