"""One call of Odoo's external API, in either dialect: JSON-RPC up to 18, JSON-2 from 19 on, where the other
is deprecated and, in 20, gone.

Errors of JSON-RPC come with status 200. Neither dialect's tracebacks (`debug`) are passed on: they quote
values of other people's records.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from .site import Site

SECONDS = 60
MAX_ANSWER = 64 * 1024**2
JSON2_SINCE = 19
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class Refused(Exception):
    """Odoo does not do it; the text is for the job's owner. `passing`: another time it may."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class TooLarge(Refused):
    """The answer was more than MAX_ANSWER bytes: ask for less."""


class _NoDetours(urllib.request.HTTPRedirectHandler):
    """The key goes to the address that was named and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """Asks one Odoo. Blocking; each call takes SECONDS at most per step of the connection."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._series = site.series
        self._user: int | None = None
        self._opener = urllib.request.build_opener(_NoDetours)

    @property
    def series(self) -> int:
        """Its major, asked for once."""
        if self._series is None:
            self._series = self._ask_series()
        return self._series

    def call(self, model: str, method: str, **named: Any) -> Any:
        """A method of a model, by its arguments' names. Numbers with a fraction are exact. Raises Refused."""
        if self.series >= JSON2_SINCE:
            headers = {
                "Authorization": f"bearer {self._site.key}",
                "X-Odoo-Database": self._site.database,
            }
            return self._post(f"/json/2/{model}/{method}", named, headers)
        if self._user is None:
            self._user = self._log_in()
        who = [self._site.database, self._user, self._site.key]
        return self._rpc("object", "execute_kw", [*who, model, method, [], named])

    def _log_in(self) -> int:
        words = [self._site.database, self._site.login, self._site.key, {}]
        user = self._rpc("common", "authenticate", words)
        if not isinstance(user, int) or isinstance(user, bool):
            raise Refused("Odoo does not know this login and key")
        return user

    def _ask_series(self) -> int:
        """19 answers a plain GET; before it there was no such page."""
        try:
            said = self._open(urllib.request.Request(self._site.url + "/web/version"))  # noqa: S310 - see _open
            return int(said["version_info"][0])
        except Refused as error:
            if error.passing:
                raise
        except (TypeError, KeyError, IndexError, ValueError):
            pass
        return JSON2_SINCE - 1

    def _rpc(self, service: str, method: str, args: list[Any]) -> Any:
        params = {"service": service, "method": method, "args": args}
        said = self._post("/jsonrpc", {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}, {})
        if not isinstance(said, dict):
            raise Refused("Odoo answered in another form than agreed")
        if "error" in said:
            error = said["error"] if isinstance(said["error"], dict) else {}
            data = error.get("data")
            told = data if isinstance(data, dict) else error
            raise _refused(str(told.get("name", "error")), told.get("message"))
        return said.get("result")

    def _post(self, path: str, body: Any, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - see _open
            self._site.url + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **headers},
        )
        return self._open(request)

    def _open(self, request: urllib.request.Request) -> Any:
        if urlsplit(request.full_url).scheme not in ("http", "https"):
            raise Refused("the address of Odoo is no http(s) URL")
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                data = answer.read(MAX_ANSWER + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise _of_status(error) from None
        except (OSError, ValueError) as error:  # ValueError: what urllib thinks of a strange answer
            raise Refused(f"Odoo cannot be reached: {type(error).__name__}", passing=True) from None
        if len(data) > MAX_ANSWER:
            raise TooLarge("Odoo's answer is too large")
        try:
            return json.loads(data, parse_float=Decimal)
        except ValueError:
            raise Refused("Odoo answered something that is no JSON") from None


def _of_status(error: urllib.error.HTTPError) -> Refused:
    if 300 <= error.code < 400:
        return Refused("Odoo sends elsewhere (a redirect): name the address that it has")
    try:
        said = json.loads(error.read(MAX_ANSWER))
        name, message = str(said["name"]), said.get("message")
    except (OSError, ValueError, TypeError, KeyError):
        return Refused(f"Odoo answered {error.code}", passing=error.code in _BUSY)
    refused = _refused(name, message)
    return Refused(f"Odoo answered {error.code}: {refused}", passing=error.code in _BUSY and refused.passing)


def _refused(name: str, message: object) -> Refused:
    """An exception of Odoo's by its name. What its database or its memory had no room for may work later."""
    passing = name.startswith("psycopg2.") or name.endswith(("MemoryError", "ConcurrencyError", "LockError"))
    return Refused(f"{name}: {str(message or '')[:200]}", passing=passing)
