"""What came back is believed as little as any output: bounded, checked, and then entries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.dispatch import entries
from runner.jobtype.base import Exit, Place
from runner.jobtype.kb_catalog import KbCatalog
from runner.model.collected import Collected, Entry
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from tests.unit.kb_catalog.conftest import make_attempt

KEY = "AKIA" + "IOSFODNN7EXAMPLE"


def collect(workspace: Workspace, result: Any, **params: Any) -> Collected:
    (workspace.outputs / "result.json").write_text(json.dumps(result))
    return KbCatalog(Place(None), outside=True).collect(make_attempt(params=params), workspace, Exit(0))


def test_an_entry_of_another_shape_sinks_nobody(workspace: Workspace) -> None:
    result = {
        "entries": [
            {"key": "a", "text": " x\n", "title": "A\n b"},
            {"key": "b", "text": 7},
            {"text": "no key"},
            {"key": "c", "text": "x", "headings": [{"level": 9, "text": "x"}]},
            {"key": "a", "text": "twice"},
            {"key": "d", "text": "y" * 300_000},
        ],
        "rejected": [{"key": "e", "reason": "broken\nhere"}],
    }

    found = {each.key: each for each in collect(workspace, result).entries}

    assert (found["a"].title, found["a"].body, found["a"].problem) == ("A b", "x", None)
    assert "another shape" in (found["b"].problem or "")
    assert "another shape" in (found["a document without a key"].problem or "")
    assert "headings.0.level" in (found["c"].problem or "")
    assert (len(found["d"].body), found["d"].source) == (200_000, {"cut": True})
    assert found["e"].problem == "broken here"


@pytest.mark.parametrize("result", [[], {}, {"entries": {}}, {"entries": [7]}, "x"])
def test_a_result_that_is_none_is_refused(workspace: Workspace, result: Any) -> None:
    with pytest.raises(Permanent) as refused:
        collect(workspace, result)
    assert refused.value.code is TerminationCode.OUTPUT_INVALID


def test_defaults_are_those_of_the_submission(workspace: Workspace) -> None:
    result = {"entries": [{"key": "a", "text": "x"}], "rejected": []}

    made = collect(workspace, result, language="german", classification="confidential", collection="kb")

    (entry,) = made.entries
    assert (entry.language, entry.classification, made.values) == (
        "german",
        "confidential",
        {"collection": "kb"},
    )
    (event,) = made.lineage
    assert event["outputs"][0]["namespace"] == "control-room://acme"
    assert event["outputs"][0]["name"] == "catalog.kb"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "there are no documents"),
        ({"documents": {}}, "must be a list"),
        ({"documents": [{}]}, "documents[0]"),
        ({"documents": [{"text": "x", "key": ""}]}, "documents[0].key"),
        ({"documents": [{"text": "x"}], "collection": "A b"}, "collection"),
        ({"documents": [{"text": "x"}], "mode": "burn"}, "mode"),
        ({"documents": [{"text": "x"}], "language": "klingon"}, "language"),
        ({"odoo": [{"url": "x"}]}, "odoo[0].database"),
        ({"odoo": [{"url": "x", "database": "x", "secret": "S", "model": "x"}]}, "one of the job's secrets"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_before_anything_runs(
    workspace: Workspace, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(Permanent) as refused:
        KbCatalog(Place(None), outside=True).prepare(make_attempt(params=params), workspace)
    assert refused.value.code is TerminationCode.INVALID_CODE
    assert words in refused.value.message


def test_a_document_with_a_secret_is_told_of_and_not_kept() -> None:
    found = (Entry(key="a", title="A", body=f"use {KEY} there"), Entry(key="b", title="B", body="fine"))

    kept = entries.without_secrets(found, ())

    assert kept[0] == Entry(key="a", problem="it holds what looks like a secret (aws_access_key)")
    assert kept[1] == found[1]
    assert entries.summary(kept) == {
        "entries": 1,
        "rejected": 1,
        "problems": [{"key": "a", "reason": "it holds what looks like a secret (aws_access_key)"}],
    }
    with pytest.raises(Permanent) as refused:
        entries.without_secrets(found[:1], ())
    assert refused.value.code is TerminationCode.SECRET_IN_OUTPUT
