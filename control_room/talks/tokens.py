"""Tokens: an access token `cr_…` opens the API; the Data API wants a JWT made of it."""

from __future__ import annotations

from control_room.talk import Ask, Talk, ask_json


def data_bearer(token: str) -> Talk[str]:
    """The bearer for /rest/v1: JWTs as they are, access tokens exchanged for a JWT of ten minutes."""
    if not token.startswith("cr_"):
        return token
    answer = yield from ask_json(Ask("POST", "/tokens", repeatable=True))
    return str(answer["access_token"])
