"""What comes out of a sandbox may be anything; what is recorded is only what was allowed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.lineage import sanitiser
from runner.lineage.flow import AGGREGATION, FILTER, IDENTITY, Column, Flow, Origin
from runner.lineage.openlineage import Dataset, Job, event
from runner.lineage.sanitiser import Allowed, Sanitised, sanitise

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
JOB = Job("control-room://acme", "flights", 9, 1)
FILES = "control-room://acme/runs/9"
SOURCE = Dataset("control-room://acme", "bronze.orders")
TARGET = Dataset("control-room://acme", "gold.top")
ALLOWED = Allowed(frozenset({SOURCE}), frozenset({TARGET}), FILES)


def good(**changes: Any) -> dict[str, Any]:
    flow = Flow(
        "target",
        "WRITE",
        frozenset({"source"}),
        {"id": Column(frozenset({Origin("source", "id", IDENTITY), Origin("source", "id", AGGREGATION)}))},
        frozenset({Origin("source", "day", FILTER)}),
        {"id": "bigint"},
    )
    made = event(
        flow,
        output=TARGET,
        name_of={"source": SOURCE}.get,
        job=JOB,
        engine="duckdb",
        method="sql",
        at=NOW,
    )
    return {**made, **changes}


def clean(*raw: object, allowed: Allowed = ALLOWED) -> Sanitised:
    # as it arrives: through JSON
    return sanitise(json.loads(json.dumps(raw)), allowed=allowed, job=JOB, engine="duckdb", now=NOW)


def test_a_good_event_comes_out_as_it_went_in() -> None:
    assert clean(good()).events == [good()]


def test_the_job_and_the_run_are_ours_whatever_the_event_says() -> None:
    forged = good(job={"namespace": "other", "name": "victim"}, producer="evil", eventType="START")
    forged["run"] = {"runId": "not-a-uuid", "facets": {"parent": {"run": {"runId": "x"}}, "evil": {"a": 1}}}

    (result,) = clean(forged).events

    assert result["job"] == {"namespace": "control-room://acme", "name": "flights"}
    assert result["run"]["runId"] == JOB.child_id(TARGET)
    assert set(result["run"]["facets"]) == {"parent", "control_room"}
    assert result["eventType"] == "COMPLETE"
    assert result["producer"] == "urn:control-room:runner"


@pytest.mark.parametrize(
    "output",
    [
        {"namespace": "control-room://other", "name": "gold.top"},
        {"namespace": "control-room://acme", "name": "gold.other"},
        {"namespace": FILES, "name": "../../etc/passwd"},
        {"namespace": FILES, "name": "a\u0000b"},
        {"namespace": FILES, "name": "x" * 2000},
        {"namespace": FILES, "name": ""},
        {"namespace": 7, "name": None},
        "gold.top",
    ],
)
def test_an_output_that_was_not_declared_is_left_out(output: object) -> None:
    result = clean(good(outputs=[output]))

    assert result.events == []


def test_an_input_that_was_not_declared_is_left_out_with_its_columns() -> None:
    stranger = {"namespace": "control-room://other", "name": "secret"}
    forged = good()
    forged["inputs"].append(stranger)
    fields = forged["outputs"][0]["facets"]["columnLineage"]["fields"]
    fields["id"]["inputFields"].append({**stranger, "field": "password", "transformations": []})

    result = clean(forged)

    assert result.events == [good()]
    assert result.dropped == ["an input that was not declared"]


def test_a_column_of_a_dataset_that_is_not_read_is_left_out() -> None:
    (result,) = clean(good(inputs=[])).events

    assert "columnLineage" not in result["outputs"][0]["facets"]


def test_unknown_facets_are_gone() -> None:
    forged = good()
    forged["outputs"][0]["facets"]["ownership"] = {"owners": [{"name": "me"}]}
    forged["inputs"][0]["facets"] = {"schema": {"fields": [{"name": "x"}]}}

    assert clean(forged).events == [good()]


def test_a_low_confidence_stays_low_and_an_unreasoned_word_becomes_low() -> None:
    doubtful = good()
    doubtful["run"]["facets"]["control_room"] |= {"confidence": "low", "reasons": ["a\nb", 7, "c" * 999]}
    boastful = good()
    boastful["run"]["facets"]["control_room"] |= {"confidence": "certain", "method": "truth"}

    first, second = (e["run"]["facets"]["control_room"] for e in clean(doubtful, boastful).events)

    assert (first["confidence"], first["reasons"]) == ("low", ["ab", "c" * sanitiser.MAX_TEXT])
    assert (second["confidence"], second["method"]) == ("low", "event")


def test_a_time_outside_the_last_day_is_replaced() -> None:
    times = [NOW + timedelta(hours=1), NOW - timedelta(days=2), "yesterday", 5, None]
    raw = [good(eventTime=t.isoformat() if isinstance(t, datetime) else t) for t in times]

    assert {e["eventTime"] for e in clean(*raw).events} == {"2026-11-23T12:00:00Z"}


def test_kinds_that_do_not_exist_become_the_plain_one() -> None:
    forged = good()
    (field,) = forged["outputs"][0]["facets"]["columnLineage"]["fields"]["id"]["inputFields"]
    field["transformations"] = [{"type": "DIRECT", "subtype": "FILTER"}, {"type": "MAGIC", "subtype": "x"}, 3]

    (result,) = clean(forged).events

    (kept,) = result["outputs"][0]["facets"]["columnLineage"]["fields"]["id"]["inputFields"]
    assert [(t["type"], t["subtype"]) for t in kept["transformations"]] == [("DIRECT", "TRANSFORMATION")]


def test_files_of_the_run_are_renamed_to_the_artifacts_they_became() -> None:
    file, artifact = Dataset(FILES, "outputs/report"), Dataset("control-room://acme/artifacts", "report.csv")
    allowed = Allowed(frozenset({SOURCE}), frozenset({TARGET}), FILES, {file: artifact})
    onward = good(inputs=[file.form()])

    made, read = clean(good(outputs=[file.form()]), onward, allowed=allowed).events

    assert made["outputs"][0]["name"] == "report.csv"
    assert read["inputs"] == [artifact.form()]


def test_events_beyond_the_limit_are_left_out() -> None:
    result = clean(*[good()] * (sanitiser.MAX_EVENTS + 5))

    assert len(result.events) == sanitiser.MAX_EVENTS
    assert result.dropped == [f"more than {sanitiser.MAX_EVENTS} events"]


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(TARGET.name),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    key=st.sampled_from(["run", "job", "inputs", "outputs", "eventTime", "producer"]),
    value=anything,
    within=st.booleans(),
)
def test_nothing_that_is_written_in_there_raises_or_gets_through(key: str, value: Any, within: bool) -> None:
    forged = good()
    if within and key == "outputs":
        forged["outputs"][0]["facets"]["columnLineage"]["fields"] = value
    else:
        forged[key] = value

    for made in clean(forged, value).events:
        names = {(d["namespace"], d["name"]) for d in (*made["inputs"], *made["outputs"])}
        assert names <= {(SOURCE.namespace, SOURCE.name), (TARGET.namespace, TARGET.name)}
        assert made["job"]["name"] == "flights"
