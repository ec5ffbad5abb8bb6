"""What is wrong with a facet is said by its path; what OpenLineage's own client makes is never wrong."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

from runner.lineage.facets import MAX_FAULTS, Fault, faults


def event(**facets: Any) -> dict[str, Any]:
    return {
        "run": {"runId": str(uuid.uuid4()), "facets": facets.get("run", {})},
        "job": {"namespace": "n", "name": "j", "facets": facets.get("job", {})},
        "inputs": [{"namespace": "n", "name": "a", "facets": facets.get("dataset", {}), "inputFacets": facets.get("input", {})}],
        "outputs": [{"namespace": "n", "name": "b", "outputFacets": facets.get("output", {})}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "name", "facet", "fault"),
    [
        ("job", "sql", {"query": 7}, Fault("$.job.facets.sql.query", "is a number, not a text")),
        ("job", "sql", "select 1", Fault("$.job.facets.sql", "is a text, not an object")),
        (
            "job",
            "jobType",
            {"processingType": "BATCH"},
            Fault("$.job.facets.jobType.integration", "is required"),
        ),
        ("job", "anyone's own", 7, Fault("$.job.facets.anyone's own", "a facet is an object")),
        (
            "run",
            "parent",
            {"run": {"runId": "7"}, "job": {"namespace": "n", "name": "j"}},
            Fault("$.run.facets.parent.run", "badly formed hexadecimal UUID string"),
        ),
        (
            "dataset",
            "schema",
            {"fields": [{"name": "a"}, {"name": "b", "fields": [{"type": "int"}]}]},
            Fault("$.inputs[0].facets.schema.fields[1].fields[0].name", "is required"),
        ),
        (
            "dataset",
            "columnLineage",
            {"fields": {"x": {"inputFields": [{"namespace": "n", "name": "a"}]}}},
            Fault("$.inputs[0].facets.columnLineage.fields.x.inputFields[0].field", "is required"),
        ),
        (
            "dataset",
            "lifecycleStateChange",
            {"lifecycleStateChange": "MELT"},
            Fault(
                "$.inputs[0].facets.lifecycleStateChange.lifecycleStateChange",
                "is 'MELT', not one of ALTER, CREATE, DROP, OVERWRITE, RENAME, TRUNCATE",
            ),
        ),
        (
            "job",
            "lineage",
            {"entries": [{"type": "DATASET", "namespace": "n", "name": "b", "inputs": [{"type": "TABLE", "namespace": "n", "name": "a"}]}]},
            Fault("$.job.facets.lineage.entries[0].inputs[0].type", "is 'TABLE', not DATASET"),
        ),
        (
            "input",
            "dataQualityAssertions",
            {"assertions": [{"assertion": "not_null", "success": "yes"}]},
            Fault("$.inputs[0].inputFacets.dataQualityAssertions.assertions[0].success", "is a text, not true or false"),
        ),
        (
            "output",
            "outputStatistics",
            {"rowCount": True},
            Fault("$.outputs[0].outputFacets.outputStatistics.rowCount", "is true or false, not a whole number"),
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_path(place: str, name: str, facet: object, fault: Fault) -> None:
    assert faults(event(**{place: {name: facet}})) == (fault,)


def test_what_nobody_knows_is_nobodys_fault() -> None:
    facets = {"their_own": {"a": [1]}, "schema": {"fields": [{"name": "a", "ordinal": 1}], "more": True}}

    assert faults(event(dataset=facets, run={"spark.logicalPlan": {"plan": [None]}})) == ()


def test_a_facet_that_is_taken_back_needs_nothing_else() -> None:
    assert faults(event(dataset={"schema": {"_deleted": True}})) == ()


@pytest.mark.parametrize(
    "nonsense", [{}, {"run": 7, "job": [], "inputs": {}, "outputs": [None, 3, {"facets": []}]}]
)
def test_an_event_without_facets_has_no_faults(nonsense: dict[str, Any]) -> None:
    assert faults(nonsense) == ()


def test_what_the_official_client_makes_has_no_faults() -> None:
    made = event_v2.RunEvent(
        eventType=event_v2.RunState.COMPLETE,
        eventTime="2026-01-01T00:00:00Z",
        run=event_v2.Run(
            str(uuid.uuid4()),
            {
                "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet("2026-01-01T00:00:00Z"),
                "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet("m", "python"),
            },
        ),
        job=event_v2.Job("n", "j", {"sql": facet_v2.sql_job.SQLJobFacet("select 1", dialect="postgres")}),
        inputs=[
            event_v2.InputDataset(
                "n",
                "a",
                {
                    "schema": facet_v2.schema_dataset.SchemaDatasetFacet(
                        [facet_v2.schema_dataset.SchemaDatasetFacetFields("x", "int")]
                    )
                },
            )
        ],
        outputs=[event_v2.OutputDataset("n", "b")],
    )

    assert faults(json.loads(Serde.to_json(made))) == ()


def test_one_bad_maker_does_not_fill_the_books() -> None:
    schema = {"fields": [{"type": "int"}] * 10_000}

    assert len(faults(event(dataset={"schema": schema}))) == MAX_FAULTS


def test_ten_thousand_columns_are_looked_at_in_a_moment() -> None:
    column = {"inputFields": [{"namespace": "n", "name": "a", "field": "x"}]}
    wide = {
        "schema": {"fields": [{"name": f"c{n}", "type": "int"} for n in range(10_000)]},
        "columnLineage": {"fields": {f"c{n}": column for n in range(10_000)}},
    }
    faults(event())

    began = time.perf_counter()
    found = faults(event(dataset=wide))

    assert found == ()
    assert time.perf_counter() - began < 5  # 0.3 s when nothing else runs
