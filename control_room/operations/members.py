"""Members and invitations: who is in, as what, and who is asked to come in."""

from __future__ import annotations

from urllib.parse import quote

from control_room.model import Invitation, Member, Page
from control_room.talk import Ask, Talk, ask_word, exchange, query


def list_(limit: int | None = None, cursor: str | None = None) -> Talk[Page[Member]]:
    """`oidc:…` are workflows that are trusted."""
    asked = query(limit=limit, cursor=cursor)
    return (yield from ask_word(Page[Member], Ask("GET", "/members", query=asked, repeatable=True)))


def set_role(user_id: str, role: str) -> Talk[Member]:
    """Admins; counts with the next request. Raises ApiError LAST_ADMIN, MEMBER_NOT_FOUND."""
    ask = Ask("PATCH", _member(user_id), body={"role": role}, repeatable=True)
    return (yield from ask_word(Member, ask))


def remove(user_id: str) -> Talk[None]:
    """Admins; with all tokens and open invitations. Raises ApiError LAST_ADMIN, MEMBER_NOT_FOUND."""
    yield from exchange(Ask("DELETE", _member(user_id)))


def invite(
    role: str, email: str | None = None, user_id: str | None = None, expires_in_hours: int | None = None
) -> Talk[Invitation]:
    """Admins; one of `email` and `user_id`. `token` of the answer is said this once."""
    named = {"email": email, "user_id": user_id, "expires_in_hours": expires_in_hours}
    body = {"role": role} | {name: value for name, value in named.items() if value is not None}
    return (yield from ask_word(Invitation, Ask("POST", "/invitations", body=body)))


def invitations(limit: int | None = None, cursor: str | None = None) -> Talk[Page[Invitation]]:
    asked = query(limit=limit, cursor=cursor)
    return (yield from ask_word(Page[Invitation], Ask("GET", "/invitations", query=asked, repeatable=True)))


def revoke(invitation_id: str) -> Talk[None]:
    yield from exchange(Ask("DELETE", f"/invitations/{quote(invitation_id, safe='')}"))


def accept(token: str) -> Talk[Member]:
    """By the JWT of the person who is invited; the project's next JWT names the tenant."""
    return (yield from ask_word(Member, Ask("POST", "/invitations/accept", body={"token": token})))


def _member(user_id: str) -> str:
    return f"/members/{quote(user_id, safe='')}"
