"""Records of Odoo as documents, by both of its dialects, as Odoo 18 and 19 were seen to speak them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from runner.jobtype.kb_catalog import provenance
from tests.unit.kb_catalog.conftest import Catalogue, make_attempt

KEY = "an-api-key"
RECORDS = [{"id": n, "display_name": f"Article {n}", "name": f"Article {n}", "body": f"<p>Text <b>{n}</b></p>"} for n in range(1, 204)]  # fmt: skip


@dataclass
class Odoo:
    """A server with 203 articles; `major` decides the dialect."""

    major: int
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(path)
        if path == "/jsonrpc":
            return 200, self._rpc(body["params"])
        if self.major < 19 or path != "/json/2/knowledge.article/search_read":
            return 404, {"name": "werkzeug.exceptions.NotFound"}
        if headers.get("authorization") != f"bearer {KEY}":
            return 401, {"name": "werkzeug.exceptions.Unauthorized", "debug": "Traceback …"}
        return 200, RECORDS[body["offset"] : body["offset"] + body["limit"]]

    def _rpc(self, params: dict[str, Any]) -> dict[str, Any]:
        match params["service"], params["method"]:
            case "common", "version":
                return {"result": {"server_version_info": [self.major, 0, 0, "final", 0, ""]}}
            case "common", "authenticate":
                return {"result": 2 if params["args"][2] == KEY else False}
            case _:
                *_, model, _, _, named = params["args"]
                if model != "knowledge.article":
                    data = {"name": "builtins.KeyError", "message": model, "debug": "Traceback …"}
                    return {"error": {"code": 200, "message": "Odoo Server Error", "data": data}}
                return {"result": RECORDS[named["offset"] : named["offset"] + named["limit"]]}


@pytest.fixture(params=[18, 19])
def odoo(request: pytest.FixtureRequest) -> Iterator[Odoo]:
    it = Odoo(request.param)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = it.answer(self.path, headers, body)
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield it
    server.shutdown()
    server.server_close()


def wanted(odoo: Odoo, **more: Any) -> dict[str, Any]:
    return {
        "url": odoo.url, "database": "prod", "login": "kb", "secret": "ODOO_KEY",
        "model": "knowledge.article", **more,
    }  # fmt: skip


def test_records_are_read_page_by_page_in_either_dialect(
    odoo: Odoo, catalogue: Callable[..., Catalogue]
) -> None:
    made = catalogue(
        params={"odoo": [wanted(odoo)]}, secrets=("ODOO_KEY",), environment={"ODOO_KEY": KEY}
    ).entries

    assert len(made) == 203
    first = made["odoo/knowledge.article/1"]
    assert (first.title, first.body, first.media_type) == ("Article 1", "Text 1", "text/html")
    assert first.source == {"odoo": f"odoo://{odoo.url[7:]}/prod", "model": "knowledge.article", "id": 1}
    assert ("/jsonrpc" in odoo.asked[1:]) is (odoo.major == 18)


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({}, "wrong", ("does not know this login and key", "answered 401")),
        ({"model": "no.such"}, KEY, ("builtins.KeyError", "answered 404")),
        ({"url": "http://127.0.0.1:9"}, KEY, ("cannot be reached",)),
    ],
)
def test_what_odoo_refuses_is_told_without_its_traceback(
    odoo: Odoo, catalogue: Callable[..., Catalogue], more: dict[str, Any], key: str, words: tuple[str, ...]
) -> None:
    asked = wanted(odoo, **more)
    made = catalogue(
        params={"odoo": [asked], "documents": [{"key": "good", "text": "x"}]},
        secrets=("ODOO_KEY",),
        environment={"ODOO_KEY": key},
    )

    problem = made.problem(f"odoo/{asked['model']}#0")
    assert any(each in problem for each in words)
    assert "Traceback" not in problem
    assert made.entries["good"].problem is None


def test_a_model_is_a_dataset_that_the_collection_comes_from(odoo: Odoo) -> None:
    asked = wanted(odoo, url="https://user:pw@odoo.example:8069")
    attempt = make_attempt(params={"odoo": [asked], "collection": "handbook"}, secrets=("ODOO_KEY",))

    event = provenance.event(attempt, ())

    assert event["inputs"] == [{"namespace": "odoo://odoo.example:8069/prod", "name": "knowledge.article"}]
    assert event["outputs"][0]["name"] == "catalog.handbook"


@pytest.mark.skipif(
    "ODOO_URL" not in os.environ,
    reason="needs an Odoo: ODOO_URL, ODOO_DATABASE, ODOO_LOGIN and ODOO_KEY (an API key or the password)",
)
def test_a_real_odoo_gives_its_records(catalogue: Callable[..., Catalogue]) -> None:
    asked = {
        "url": os.environ["ODOO_URL"],
        "database": os.environ["ODOO_DATABASE"],
        "login": os.environ["ODOO_LOGIN"],
        "secret": "ODOO_KEY",
        "model": "res.partner",
        "body": "display_name",
    }

    made = catalogue(
        params={"odoo": [asked]}, secrets=("ODOO_KEY",), environment={"ODOO_KEY": os.environ["ODOO_KEY"]}
    )

    assert made.collected.failure is None
    assert all(key.startswith("odoo/res.partner/") for key in made.entries)
