"""The ledger folds hops away; names follow the rules; events are what the official client would write."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.lineage.flow import (
    AGGREGATION,
    CONDITIONAL,
    FILTER,
    IDENTITY,
    TRANSFORMATION,
    Column,
    Flow,
    Kind,
    Ledger,
    Origin,
)
from runner.lineage.openlineage import Dataset, Job, event, jdbc_dataset, normalise, symlinks


def flow(target: str, *reads: str, column: str = "id", kind: Kind = IDENTITY, **more: Any) -> Flow:
    origins = frozenset(Origin(read, column, kind) for read in reads)
    return Flow(target, "WRITE", frozenset(reads), {column: Column(origins)}, **more)


def hops(name: str) -> bool:
    return name.startswith("tmp")


def test_a_hop_is_folded_away_with_its_filters() -> None:
    ledger = Ledger(hops)
    ledger.record(flow("tmp", "a", influences=frozenset({Origin("a", "day", FILTER)})))

    folded = ledger.record(flow("out", "tmp", kind=AGGREGATION))

    assert folded.reads == {"a"}
    assert folded.columns["id"].origins == {Origin("a", "id", AGGREGATION)}
    assert folded.influences == {Origin("a", "day", FILTER)}
    assert ledger.flows == [folded]


def test_a_hop_that_is_made_anew_keeps_its_two_lives_apart() -> None:
    ledger = Ledger(hops)
    ledger.record(flow("tmp", "a"))
    first = ledger.record(flow("out", "tmp"))
    ledger.record(flow("tmp", "b"), replaces=True)

    second = ledger.record(flow("out", "tmp"))

    assert (first.reads, second.reads) == ({"a"}, {"b"})


def test_a_hop_that_nothing_filled_is_a_doubt() -> None:
    folded = Ledger(hops).record(flow("out", "tmp"))

    assert folded.confidence == "low"
    assert folded.columns["id"].origins == frozenset()


def test_a_doubt_of_a_hop_is_inherited() -> None:
    ledger = Ledger(hops)
    ledger.record(Flow("tmp", "WRITE", frozenset({"a"}), {"id": Column(doubt="no idea")}))

    assert ledger.record(flow("out", "tmp")).reasons == ("id: no idea",)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (IDENTITY, IDENTITY, IDENTITY),
        (IDENTITY, AGGREGATION, AGGREGATION),
        (TRANSFORMATION, AGGREGATION, AGGREGATION),
        (AGGREGATION, TRANSFORMATION, AGGREGATION),
        (AGGREGATION, CONDITIONAL, CONDITIONAL),
        (FILTER, AGGREGATION, FILTER),
    ],
)
def test_kinds_compose(outer: Kind, inner: Kind, expected: Kind) -> None:
    assert outer.then(inner) == expected


@pytest.mark.parametrize(
    ("namespace", "normal"),
    [
        ("postgresql://DB.example:5433", "postgres://db.example:5433"),
        ("postgres://db.example", "postgres://db.example:5432"),
        ("postgresql://me:secret@db.example:5432/", "postgres://db.example:5432"),
        ("S3://Bucket", "s3://bucket"),
        ("file", "file"),
        ("inmemory://", "inmemory://"),
    ],
)
def test_namespaces_follow_the_naming_rules(namespace: str, normal: str) -> None:
    assert normalise(Dataset(namespace, "d.s.t"))[0] == Dataset(normal, "d.s.t")


def test_the_name_that_was_given_is_kept_without_its_password() -> None:
    _, original = normalise(Dataset("postgresql://me:secret@db:5432", "d.s.t"))

    assert original == Dataset("postgresql://db:5432", "d.s.t")
    assert "secret" not in json.dumps(symlinks(original))


def test_a_name_that_is_right_needs_no_symlink() -> None:
    assert normalise(Dataset("postgres://db:5432", "d.s.t"))[1] is None


@pytest.mark.parametrize(
    ("url", "table", "expected"),
    [
        (
            "jdbc:postgresql://db:5432/shop?user=u&password=p",
            "gold.top",
            ("postgres://db:5432", "shop.gold.top"),
        ),
        ("jdbc:postgresql://db/shop", "top", ("postgres://db:5432", "shop.public.top")),
        ("jdbc:mysql://db/shop", "top", None),
        ("jdbc:postgresql://db/shop", "(select 1) x", None),
    ],
)
def test_a_jdbc_address_becomes_a_dataset(url: str, table: str, expected: tuple[str, str] | None) -> None:
    assert jdbc_dataset(url, table) == (Dataset(*expected) if expected else None)


def test_an_event_has_the_shape_that_the_official_client_writes() -> None:
    made = event(
        flow("out", "a"),
        output=Dataset("ns", "out"),
        name_of=lambda name: Dataset("ns", name),
        job=Job("ns", "job", 9),
        engine="duckdb",
        method="sql",
        at=datetime(2026, 11, 23, tzinfo=UTC),
    )

    from openlineage.client.generated.column_lineage_dataset import ColumnLineageDatasetFacet  # noqa: PLC0415
    from openlineage.client.generated.schema_dataset import SchemaDatasetFacet  # noqa: PLC0415

    facets = made["outputs"][0]["facets"]
    assert facets["columnLineage"]["_schemaURL"] == ColumnLineageDatasetFacet._get_schema()
    assert facets["schema"]["_schemaURL"] == SchemaDatasetFacet._get_schema()
    assert made["schemaURL"].endswith("#/$defs/RunEvent")
    assert facets["columnLineage"]["fields"]["id"]["inputFields"] == [
        {
            "namespace": "ns",
            "name": "a",
            "field": "id",
            "transformations": [
                {"type": "DIRECT", "subtype": "IDENTITY", "description": "", "masking": False}
            ],
        }
    ]
    assert made["run"]["runId"] != made["run"]["facets"]["parent"]["run"]["runId"]


def test_lineage_imports_nothing_of_the_runner_and_nothing_heavy() -> None:
    """It is copied into the sandbox alone, and an idle runner imports it."""
    folder = Path(__file__).parents[3] / "runner" / "lineage"
    tops = {
        line.strip()
        for file in folder.glob("*.py")
        for line in file.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }

    assert not [line for line in tops if "runner" in line or "pyspark" in line]
    with_sqlglot = {f.stem for f in folder.glob("*.py") if "sqlglot" in f.read_text().split("\ndef ")[0]}
    assert with_sqlglot - {"__init__", "sql"} == {"clauses", "columns", "rewrite", "script", "wording"}
