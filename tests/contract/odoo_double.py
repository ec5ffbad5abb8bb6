"""A small Odoo that is public: one model, both dialects of the external API, in memory.

It obeys the suite that a real Odoo obeys (`test_odoo.py`), and does what matters there: times are kept in
microseconds, told in seconds and compared as they are kept; what is empty is `false`; the archived are left
out unless the context says otherwise; errors of JSON-RPC have status 200 and, like those of JSON-2, a
traceback.
"""

from __future__ import annotations

import json
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runner.odoo.site import Site

KEY = "an-api-key"
MODEL = "res.partner"
FIELDS = {
    "id": "integer", "name": "char", "ref": "char", "comment": "html", "active": "boolean", "color": "integer",
    "partner_latitude": "float", "parent_id": "many2one", "category_id": "many2many", "image_1920": "binary",
    "write_date": "datetime", "display_name": "char",
}  # fmt: skip
NOT_STORED = ("display_name", "image_1920")
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "in": lambda value, many: value in many,
}  # fmt: skip
Record = dict[str, Any]


class NoSuch(Exception):
    """An error of Odoo's: the name of its exception and its words."""


@dataclass
class Double:
    """Records of one model; `series` decides which dialects there are. `moved`: a redirect to elsewhere."""

    series: int
    url: str = ""
    records: list[Record] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    moved: str = ""
    busy: int = 0

    @property
    def site(self) -> Site:
        return Site(self.url, "double", "admin", KEY)

    def create(self, **values: Any) -> int:
        new = {**dict.fromkeys(FIELDS, False), "active": True, "category_id": [], **values}
        new["id"] = len(self.records) + 1
        new.setdefault("write_date", None)
        new["write_date"] = new["write_date"] or datetime.now(UTC)
        new["display_name"] = new["name"]
        self.records.append(new)
        return int(new["id"])

    def change(self, record: int, **values: Any) -> None:
        self.records[record - 1].update(values)

    # -- the wire

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        self.asked.append(path)
        if self.moved:
            return 302, None
        if self.busy:
            self.busy -= 1
            return 503, None
        if method == "GET":
            version = {"version_info": [self.series, 0, 0, "final", 0, ""], "version": f"{self.series}.0"}
            return (200, version) if path == "/web/version" and self.series >= 19 else (404, None)
        if path == "/jsonrpc" and self.series < 20:
            return 200, self._rpc(body["params"])
        if self.series < 19 or not path.startswith("/json/2/"):
            return 404, None
        if headers.get("authorization") != f"bearer {KEY}":
            return 401, {
                "name": "werkzeug.exceptions.Unauthorized",
                "message": "Invalid apikey",
                "debug": "Traceback",
            }
        model, _, name = path.removeprefix("/json/2/").partition("/")
        try:
            return 200, self._call(model, name, body)
        except NoSuch as error:
            said = {"name": error.args[0], "message": error.args[1], "debug": "Traceback …"}
            return (404 if "NotFound" in error.args[0] else 500), said

    def _rpc(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["service"] == "common":
            known = params["args"][1:3] == ["admin", KEY]
            return {"result": 2 if known else False}
        database, user, key, model, name, _, named = params["args"]
        if (database, user, key) != ("double", 2, KEY):
            data = {
                "name": "odoo.exceptions.AccessDenied",
                "message": "Access Denied",
                "debug": "Traceback …",
            }
            return {"error": {"code": 200, "message": "Odoo Server Error", "data": data}}
        try:
            return {"result": self._call(model, name, named)}
        except NoSuch as error:
            data = {"name": error.args[0], "message": error.args[1], "debug": "Traceback …"}
            return {"error": {"code": 200, "message": "Odoo Server Error", "data": data}}

    # -- the model

    def _call(self, model: str, name: str, named: dict[str, Any]) -> Any:
        if model != MODEL:
            raise NoSuch("werkzeug.exceptions.NotFound", f"the model {model!r} does not exist")
        match name:
            case "fields_get":
                return {
                    each: {"type": kind, "store": each not in NOT_STORED} for each, kind in FIELDS.items()
                }
            case "search_read":
                return self._search_read(**named)
            case _:
                raise NoSuch("werkzeug.exceptions.NotFound", f"The method {name!r} does not exist")

    def _search_read(
        self,
        *,
        domain: list[Any],
        fields: list[str],
        offset: int = 0,
        limit: int | None = None,
        order: str = "id",
        context: dict[str, Any] | None = None,
    ) -> list[Record]:
        for name in fields:
            if name not in FIELDS:
                raise NoSuch("builtins.ValueError", f"Invalid field {name!r} on {MODEL!r}")
        found = [each for each in self.records if _holds(domain, each)]
        if (context or {}).get("active_test", True):
            found = [each for each in found if each["active"]]
        for part in reversed(order.split(", ")):
            name, _, way = part.partition(" ")
            found.sort(key=lambda each: each[name], reverse=way == "desc")
        end = None if limit is None else offset + limit
        return [
            {name: _told(each[name]) for name in dict.fromkeys(("id", *fields))} for each in found[offset:end]
        ]


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return [value["id"], value["name"]] if isinstance(value, dict) else value


def _holds(domain: list[Any], record: Record) -> bool:
    """Odoo's domains: prefix notation, with `and` between what is left."""
    stack: list[bool] = []
    for term in reversed(domain):
        match term:
            case "|":
                stack.append(stack.pop() | stack.pop())
            case "&":
                stack.append(stack.pop() & stack.pop())
            case "!":
                stack.append(not stack.pop())
            case [name, how, wanted]:
                stack.append(_compares(record, name, how, wanted))
    return all(stack)


def _compares(record: Record, name: str, how: str, wanted: Any) -> bool:
    if name not in FIELDS:
        raise NoSuch("builtins.ValueError", f"Invalid field {MODEL}.{name} in condition")
    value = record[name]
    if isinstance(value, datetime) and isinstance(wanted, str):
        wanted = datetime.strptime(wanted, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return OPERATORS[how](value, wanted)


@contextmanager
def serve(series: int) -> Iterator[Double]:
    """The double behind HTTP, on a free port of this machine."""
    it = Double(series)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET", None)

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, method: str, body: Any) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = it.answer(method, self.path, headers, body)
            data = json.dumps(said).encode()
            self.send_response(status)
            if it.moved:
                self.send_header("location", it.moved)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()
