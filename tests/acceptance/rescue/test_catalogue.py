"""kb_catalog from door to door, in the sandbox: documents up, entries found, and where they come from."""

from __future__ import annotations

import pytest

from dev.stack.state import home
from runner.jobtype import environment
from runner.jobtype.base import Place
from runner.jobtype.kb_catalog import ENGINE
from tests.acceptance.rescue import shelf
from tests.acceptance.rescue.conftest import Room


@pytest.mark.skipif(
    bool(environment.reason(Place(home() / "engines"), ENGINE)),
    reason="needs the engine catalog: scripts/setup --engines catalog",
)
def test_a_handbook_becomes_entries_that_are_found_by_their_words(room: Room) -> None:
    room.start_runner()
    hush = {"key": "pay", "text": "What parcels people earn.", "classification": "confidential"}

    run = shelf.submit(room, shelf.HANDBOOK, collection="handbook", documents=[hush])
    assert shelf.ended(room, run)["state"] == "SUCCEEDED"

    said = shelf.values(room, run)
    assert (said["collection"], said["entries"], said["rejected"]) == ("handbook", 5, 1)
    assert said["problems"][0]["key"] == "kb/broken.pdf"
    assert shelf.keys(room, "returning", "handbook") == ["kb/returns.md"]
    assert shelf.keys(room, '"ten days"', "handbook") == ["kb/terms.pdf"]
    assert "pay" in shelf.keys(room, "parcels", "handbook")
    assert set(shelf.keys(room, "parcels", "handbook", "viewer")) == {"kb/returns.md", "kb/invoices.html"}
    (found,) = shelf.find(room, "warehouse", "handbook", "viewer")
    assert (found["title"], found["media_type"]) == ("Invoices", "text/html")
    assert "**warehouse**" in found["snippet"]
    entry = room.ask("GET", f"/catalog/entries/{found['entry_id']}", "viewer")
    assert (entry["published_by_run"], entry["source"]) == (run, {"input": "invoices.html"})
    assert shelf.comes_from(room, "handbook") == {
        f"dataset:control-room://rescue/artifacts:kb/{name}" for name in shelf.HANDBOOK
    }
    assert room.untold(run) == []
    said_so = (
        "select 1 from queue.logs where run_id = %s and line like 'kb/broken.pdf: it could not be read%%'"
    )
    assert room.query(said_so, run)
