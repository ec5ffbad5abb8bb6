"""Who one is: what the token says, and what the membership makes of it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from control_room.errors import ControlRoomError
from control_room.model import Identity
from control_room.operation import Operation
from control_room.operations import members, tokens

_ROLES = ("viewer", "operator", "admin")


def whoami(token: str) -> Operation[Identity]:
    """The membership is the authority, so it is asked; the token's role only lowers it. Raises ApiError."""
    claims = claims_of((yield from tokens.data_bearer(token)))
    user = str(claims.get("user_id") or claims.get("sub") or "")
    found = None
    cursor: str | None = None
    while found is None:
        page = yield from members.list_(limit=1000, cursor=cursor)
        found = next((it for it in page.items if it.user_id == user), None)
        if page.next is None:
            break
        cursor = str(page.next)
    claimed = claims.get("user_role") if claims.get("role") == "authenticated" else claims.get("role")
    roles = [it for it in (claimed, found.role if found else None) if it in _ROLES]
    machine = token.startswith("cr_")
    until = claims.get("exp")
    return Identity(
        user_id=user,
        tenant_id=str(claims.get("tenant_id") or ""),
        role=min(roles, key=_ROLES.index) if roles else None,
        kind="access token" if machine else "jwt",
        expires_at=datetime.fromtimestamp(until, UTC) if isinstance(until, int) and not machine else None,
    )


def claims_of(jwt: str) -> dict[str, Any]:
    """What a JWT says; whether it is true is the server's business. Raises ControlRoomError."""
    try:
        payload = jwt.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if isinstance(found, dict):
            return found
    except (IndexError, ValueError):
        pass
    raise ControlRoomError("the token is neither a JWT nor an access token `cr_…`", "control-room login")
