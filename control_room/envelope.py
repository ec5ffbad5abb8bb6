"""How a Request becomes an HTTP request: address, headers, body."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control_room import profiles
from control_room.errors import ControlRoomError
from control_room.operation import Request

_BELOW = {"api": "/functions/v1/api/v1", "open": "/functions/v1/api/v1", "data": "/rest/v1", "signed": ""}

#: Seconds. Reading is generous: a thousand submissions or a graph of thousands of nodes take a while.
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 60.0


@dataclass(frozen=True)
class Envelope:
    """Whom to ask and as whom. `token` is a member's JWT or an access token `cr_…`. `traceparent` is the span
    that all of it belongs to, as CI systems and a sandbox tell it in TRACEPARENT."""

    url: str
    anon_key: str
    token: str = field(default="", repr=False)
    traceparent: str | None = field(default_factory=lambda: os.environ.get("TRACEPARENT"))

    @classmethod
    def of_environment(
        cls, environment: Mapping[str, str] = os.environ, *, nobody: bool = False, profile: str | None = None
    ) -> Envelope:
        """SUPABASE_URL, SUPABASE_ANON_KEY, CONTROL_ROOM_TOKEN; what is not set stands in a profile.

        The environment goes first, and a profile lends nothing to another address than its own: a token is
        not told to whom it was not made for. A `profile` that is named goes before all. `nobody`: without the
        token, for who has none yet. Raises ControlRoomError.
        """
        names = ("SUPABASE_URL", "SUPABASE_ANON_KEY", *(() if nobody else ("CONTROL_ROOM_TOKEN",)))
        said = {name: environment[name] for name in names if environment.get(name)}
        if profile is not None:
            said = {}
        if len(said) < len(names):
            lent = _lent(environment, profile, said.get("SUPABASE_URL"))
            said = {**lent, **said}
        missing = [name for name in names if not said.get(name)]
        if missing:
            raise ControlRoomError(
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                "log in: control-room login; or in a clone with a running stack: "
                'eval "$(scripts/stack env)" and '
                'export CONTROL_ROOM_TOKEN="$(scripts/stack token --tenant SLUG --role operator)"',
            )
        return cls(*(said[name] for name in names))

    def request(self, request: Request) -> dict[str, Any]:
        """The arguments of `httpx.Client.request`."""
        headers = {"accept": "application/json", **request.headers}
        if request.door == "signed":
            # the URL itself is the right; a token sent along would only be a secret told to one more party
            address = request.path if "://" in request.path else self.url.rstrip("/") + request.path
        else:
            address = self.url.rstrip("/") + _BELOW[request.door] + request.path
            headers["apikey"] = self.anon_key
            if request.door != "open":
                headers["authorization"] = f"Bearer {request.bearer or self.token}"
            if self.traceparent:
                headers["traceparent"] = self.traceparent
        arguments: dict[str, Any] = {"method": request.method, "url": address, "headers": headers}
        if request.query:
            arguments["params"] = dict(request.query)
        if request.body is not None:
            arguments["content"] = json.dumps(request.body, ensure_ascii=False).encode()
            headers["content-type"] = "application/json"
        elif request.content is not None:
            arguments["content"] = request.content
        return arguments


def _lent(environment: Mapping[str, str], named: str | None, url: str | None) -> dict[str, str]:
    book = profiles.read(environment)
    name = named or environment.get("CONTROL_ROOM_PROFILE") or book.default
    if name is None:
        return {}
    it = book.get(name)
    if url is not None and url.rstrip("/") != it.url.rstrip("/"):
        return {}
    return {"SUPABASE_URL": it.url, "SUPABASE_ANON_KEY": it.anon_key, "CONTROL_ROOM_TOKEN": it.token}
