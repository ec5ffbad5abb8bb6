"""Where entries come from: inputs and Odoo's models → control-room://<tenant>, catalog.<collection>."""

from __future__ import annotations

from datetime import UTC, datetime

from runner.jobtype import naming
from runner.jobtype.kb_catalog import request
from runner.lineage import openlineage
from runner.lineage.openlineage import Dataset, JsonObject
from runner.model.attempt import Attempt
from runner.model.collected import Entry
from runner.odoo.site import Site

FIELDS = (("key", "text"), ("title", "text"), ("body", "text"))


def event(attempt: Attempt, entries: tuple[Entry, ...]) -> JsonObject:
    """The RunEvent of a catalogue."""
    rejected = sorted(each.key for each in entries if each.problem)
    return openlineage.assemble(
        output=collection(attempt),
        inputs=sources(attempt),
        fields=FIELDS,
        columns={},
        influences=[],
        job=naming.job(attempt),
        engine="catalog",
        method="event",
        confidence="low" if rejected else "high",
        reasons=[f"{key} could not be read" for key in rejected],
        event_type="COMPLETE",
        at=datetime.now(UTC),
    )


def collection(attempt: Attempt) -> Dataset:
    """The knowledge base, as a dataset."""
    return Dataset(naming.namespace(attempt), f"catalog.{request.collection(attempt)}")


def sources(attempt: Attempt) -> list[Dataset]:
    """What was read and has a name of its own; texts of the submission have none."""
    inputs = {naming.of_input(attempt, each) for each in attempt.inputs}
    models = {
        Dataset(Site(each["url"], each["database"], "", "").namespace, each["model"])
        for each in attempt.params.get("odoo", [])
    }
    return sorted(inputs | models)
