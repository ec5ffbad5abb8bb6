"""How an Ask becomes an HTTP request: address, headers, body."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control_room.errors import ControlRoomError
from control_room.talk import Ask

_BELOW = {"api": "/functions/v1/api/v1", "open": "/functions/v1/api/v1", "data": "/rest/v1", "signed": ""}

#: Seconds. Reading is generous: a thousand submissions or a graph of thousands of nodes take a while.
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 60.0


@dataclass(frozen=True)
class Envelope:
    """Whom to ask and as whom. `token` is a member's JWT or an access token `cr_…`."""

    url: str
    anon_key: str
    token: str = field(default="", repr=False)

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ, *, nobody: bool = False) -> Envelope:
        """SUPABASE_URL, SUPABASE_ANON_KEY, CONTROL_ROOM_TOKEN; without the token for who has none yet.

        Raises ControlRoomError.
        """
        names = ("SUPABASE_URL", "SUPABASE_ANON_KEY", *(() if nobody else ("CONTROL_ROOM_TOKEN",)))
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise ControlRoomError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                'in a clone with a running stack: eval "$(scripts/stack env)" and '
                'export CONTROL_ROOM_TOKEN="$(scripts/stack token --tenant SLUG --role operator)"',
            )
        return cls(*(environment[name] for name in names))

    def request(self, ask: Ask) -> dict[str, Any]:
        """The arguments of `httpx.Client.request`."""
        headers = {"accept": "application/json", **ask.headers}
        if ask.door == "signed":
            # the URL itself is the right; a token sent along would only be a secret told to one more party
            address = ask.path if "://" in ask.path else self.url.rstrip("/") + ask.path
        else:
            address = self.url.rstrip("/") + _BELOW[ask.door] + ask.path
            headers["apikey"] = self.anon_key
            if ask.door != "open":
                headers["authorization"] = f"Bearer {ask.bearer or self.token}"
        arguments: dict[str, Any] = {"method": ask.method, "url": address, "headers": headers}
        if ask.query:
            arguments["params"] = dict(ask.query)
        if ask.body is not None:
            arguments["content"] = json.dumps(ask.body, ensure_ascii=False).encode()
            headers["content-type"] = "application/json"
        elif ask.content is not None:
            arguments["content"] = ask.content
        return arguments
