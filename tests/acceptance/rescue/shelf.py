"""Documents of a knowledge base, put in by the people's door, and the questions that are asked of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tests.acceptance.rescue.conftest import Json, Room
from tests.unit.kb_catalog.papers import pdf

HANDBOOK: Mapping[str, bytes] = {
    "returns.md": b"# Returning goods\n\nA *customer* returns damaged parcels within thirty days.\n",
    "invoices.html": b"<html><head><title>Invoices</title></head><body><h1>When</h1>"
    b"<p>Parcels are <b>invoiced</b> when they leave the warehouse.</p></body></html>",
    "terms.pdf": pdf("Delivery is owed within ten days", title="Terms of delivery"),
    "notes.txt": b"Ring the bell twice.\nThen wait.",
    "broken.pdf": b"%PDF-1.4 nonsense",
}


def upload(room: Room, name: str, data: bytes) -> str:
    """An artifact that is READY; its id."""
    body = {"name": name, "kind": "data", "size": len(data), "content": base64.b64encode(data).decode()}
    artifact = str(room.ask("POST", "/artifacts", json={**body, "encoding": "base64"})["artifact_id"])
    ready = "select 1 from artifact.versions where artifact_id = %s and state = 'READY'"
    room.until("the upload is judged", lambda: room.query(ready, artifact))
    return artifact


def submit(room: Room, files: Mapping[str, bytes] = {}, **params: Any) -> int:
    """A kb_catalog run of these files; the run's id."""
    inputs = [{"name": n, "artifact_id": upload(room, f"kb/{n}", data)} for n, data in files.items()]
    body = {"job_type": "kb_catalog", "spec": "Catalogue the handbook.", "inputs": inputs, "params": params}
    return int(room.ask("POST", "/jobs/run", json=body)["run_id"])


def ended(room: Room, run: int, seconds: float = 90) -> Json:
    """The run once it has ended."""
    found: list[Json] = []

    def has_ended() -> bool:
        found[:] = [room.ask("GET", f"/runs/{run}")]
        return found[0]["state"] not in ("QUEUED", "RUNNING", "BLOCKED")

    room.until("the run ended", has_ended, seconds)
    return found[0]


def values(room: Room, run: int) -> Json:
    ((said,),) = room.query("select output_values from queue.task_runs where run_id = %s", run)
    made: Json = said
    return made


def find(room: Room, words: str, collection: str, role: str = "operator") -> list[Json]:
    """GET /catalog/entries?q=…"""
    path = "/catalog/entries"
    items: list[Json] = room.ask("GET", path, role, params={"q": words, "collection": collection})["items"]
    return items


def keys(room: Room, words: str, collection: str, role: str = "operator") -> list[str]:
    return [each["key"] for each in find(room, words, collection, role)]


def comes_from(room: Room, collection: str) -> set[str]:
    """What lineage says the collection is made of."""
    node = f"dataset:control-room://rescue:catalog.{collection}"
    graph = room.ask("GET", "/lineage", params={"nodeId": node, "direction": "upstream"})["graph"]
    return {each["id"] for each in graph if each["type"] == "DATASET" and each["id"] != node}
