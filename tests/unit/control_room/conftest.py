"""A server to talk to: answers are queued by (method, path), requests are kept."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from control_room import cli
from control_room.model import Graph

API = "/functions/v1/api/v1"
MISSING = (404, {}, b'{"code":"ROUTE_NOT_FOUND","message":"There is no such path.","hint":"Look."}')


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stub:
    """The last answer of a path stays: it is given again and again."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    answers: dict[tuple[str, str], list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)

    def on(
        self,
        method: str,
        path: str,
        body: object = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Stub:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        full = path if path.startswith(("/rest", "/storage", "/functions")) else API + path
        self.answers.setdefault((method, full), []).append((status, headers or {}, raw))
        return self

    def asked(self, method: str, path: str) -> list[Seen]:
        full = path if path.startswith(("/rest", "/storage", "/functions")) else API + path
        return [it for it in self.seen if (it.method, it.path) == (method, full)]


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.seen.append(Seen(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
            known = made.answers.get((self.command, parts.path))
            missing = (
                404,
                {},
                b'{"code":"ROUTE_NOT_FOUND","message":"There is no such path.","hint":"Look."}',
            )
            status, extra, raw = missing if not known else known.pop(0) if len(known) > 1 else known[0]
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


@dataclass
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def control_room(
    stub: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ended]:
    for name, value in {"URL": stub.url, "ANON_KEY": "anon"}.items():
        monkeypatch.setenv(f"SUPABASE_{name}", value)
    monkeypatch.setenv("CONTROL_ROOM_TOKEN", "token")
    monkeypatch.setenv("CONTROL_ROOM_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("CONTROL_ROOM_PROFILE", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["control-room", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return Ended(int(ended.value.code or 0), told.out, told.err)

    return call


@pytest.fixture
def run_graph() -> Graph:
    """The lineage of one run that works through every layer, in the server's own shape."""
    return Graph.model_validate_json((Path(__file__).parent / "run_lineage.json").read_text())
