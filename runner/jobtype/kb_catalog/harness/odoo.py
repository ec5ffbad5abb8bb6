"""Odoo's external API: JSON-RPC up to 18, JSON-2 from 19 on, where the other is to go.

The key is a granted secret of the job, in the environment under its own name; it stands in for a password.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

PAGE = 200
SECONDS = 30
MAX_ANSWER = 64 * 1024**2


class Refused(Exception):
    """Odoo does not give the records; the text is for the job's owner and holds no traceback."""


def place(wanted: Mapping[str, Any]) -> str:
    """The namespace of its models in lineage."""
    return f"odoo://{urlsplit(str(wanted['url'])).netloc}/{wanted['database']}"


def records(wanted: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Records of a model, in the order of their ids. Raises Refused."""
    key = environment.get(str(wanted["secret"]), "")
    if not key:
        raise Refused(f"the job has no secret {wanted['secret']}: name it in secrets")
    fields = ["display_name", wanted.get("title", "name"), wanted.get("body", "body")]
    limit = int(wanted.get("limit", 2000))
    ask = _json2(wanted, key) if _major(wanted) >= 19 else _json_rpc(wanted, key)
    offset = 0
    while offset < limit:
        page = ask(
            domain=wanted.get("domain", []),
            fields=fields,
            offset=offset,
            limit=min(PAGE, limit - offset),
            order="id",
        )
        yield from page
        if len(page) < PAGE:
            return
        offset += len(page)


def _major(wanted: Mapping[str, Any]) -> int:
    if "version" in wanted:
        return int(wanted["version"])
    said = _rpc(wanted, "common", "version", [])
    info = said.get("server_version_info") if isinstance(said, dict) else None
    return int(info[0]) if info else 18


def _json_rpc(wanted: Mapping[str, Any], key: str) -> Any:
    database, login = wanted["database"], wanted.get("login", "")
    user = _rpc(wanted, "common", "authenticate", [database, login, key, {}])
    if not user:
        raise Refused("Odoo does not know this login and key")

    def ask(domain: Any, **more: Any) -> Any:
        call = [database, user, key, wanted["model"], "search_read", [domain], more]
        return _rpc(wanted, "object", "execute_kw", call)

    return ask


def _json2(wanted: Mapping[str, Any], key: str) -> Any:
    def ask(**named: Any) -> Any:
        path = f"/json/2/{wanted['model']}/search_read"
        headers = {"Authorization": f"bearer {key}", "X-Odoo-Database": str(wanted["database"])}
        return _post(wanted, path, named, headers)

    return ask


def _rpc(wanted: Mapping[str, Any], service: str, method: str, args: list[Any]) -> Any:
    params = {"service": service, "method": method, "args": args}
    said = _post(wanted, "/jsonrpc", {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}, {})
    if not isinstance(said, dict):
        raise Refused("Odoo answered in another form than agreed")
    if "error" in said:  # with HTTP 200; its debug is a traceback
        data = said["error"].get("data") or {}
        raise Refused(f"Odoo refused: {data.get('name', 'error')}: {str(data.get('message', ''))[:200]}")
    return said.get("result")


def _post(wanted: Mapping[str, Any], path: str, body: Any, headers: dict[str, str]) -> Any:
    url = str(wanted["url"]).rstrip("/") + path
    if urlsplit(url).scheme not in ("http", "https"):
        raise Refused("params.odoo.url is no http(s) URL")
    request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - likewise
            return json.loads(answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as error:
        raise Refused(f"Odoo answered {error.code}") from None
    except (OSError, ValueError) as error:
        raise Refused(f"Odoo cannot be reached: {type(error).__name__}") from None
