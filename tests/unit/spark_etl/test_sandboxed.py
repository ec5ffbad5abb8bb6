"""The demo's job as the runner runs it: in the sandbox, as nobody, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from runner.model.outcome import RetryableFailure, Succeeded

from .conftest import FLIGHTS, FLIGHTS_OUTPUTS, Bench, Sandboxed

EDGES = {
    ("flights", "bronze.flights"),
    ("airports", "bronze.airports"),
    ("bronze.flights", "silver.flights"),
    ("bronze.airports", "silver.flights"),
    ("silver.flights", "gold.delays"),
    ("gold.delays", "runs/9/report.csv"),
    ("bronze.flights", "runs/9/routes.parquet"),
    ("bronze.airports", "runs/9/routes.parquet"),
}


def runs_the_example(bench: Bench, sandboxed: Sandboxed, files: dict[str, str]) -> None:
    job = (FLIGHTS / "job.py").read_text()

    outcome, ran, listener = sandboxed.run(bench, job, files=files, outputs=FLIGHTS_OUTPUTS)

    assert isinstance(outcome, Succeeded), listener.lines
    collected = ran.collect()
    assert [(t.layer, t.table, t.rows) for t in collected.tables] == [
        ("bronze", "flights", 120),
        ("bronze", "airports", 3),
        ("silver", "flights", 120),
        ("gold", "delays", 2),
    ]
    assert [a.name for a in collected.artifacts] == ["report.csv", "routes.parquet"]
    assert ran.edges() == EDGES
    assert collected.values["lineage"] == {"events": 6, "confidence": "high"}
    assert [percent for percent, _ in listener.progressed] == [5, 35, 70, 90, 100]
    assert ran.column_edges("gold.delays")["average_delay_minutes"] == {"silver.flights.delay_minutes"}
    assert ran.column_edges("silver.flights")["origin_airport"] == {"bronze.airports.name"}


def test_the_example_runs_on_the_small_engine(
    duckdb: Bench, sandboxed: Sandboxed, flights: Callable[[], dict[str, str]]
) -> None:
    runs_the_example(duckdb, sandboxed, flights())


@pytest.mark.needs("spark")
def test_the_example_runs_on_real_spark(
    spark: Bench, sandboxed: Sandboxed, flights: Callable[[], dict[str, str]]
) -> None:
    runs_the_example(spark, sandboxed, flights())


def test_the_failing_example_shows_its_author_the_reason(
    duckdb: Bench, sandboxed: Sandboxed, flights: Callable[[], dict[str, str]]
) -> None:
    job = (FLIGHTS / "failing_job.py").read_text()

    outcome, _ran, listener = sandboxed.run(duckdb, job, files=flights())

    assert isinstance(outcome, RetryableFailure)
    assert outcome.usage.exit_code == 1
    assert "flights has no column weather" in outcome.message
    trace = [line for stream, line in listener.lines if stream == "stderr"]
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[1].startswith('  File "/job/job.py", line ')
    assert not any("control_room_harness" in line or "runpy" in line for line in trace)


def test_user_code_sees_what_it_was_promised_and_nothing_else(duckdb: Bench, sandboxed: Sandboxed) -> None:
    code = """
        import json, os, sys, pathlib
        pathlib.Path("outputs/seen.json").write_text(json.dumps({
            "environment": sorted(os.environ), "argv": sys.argv, "path": sys.path[0], "cwd": os.getcwd(),
            "user": os.getuid(), "runner": "runner" in sys.modules,
        }))
    """

    outcome, ran, _ = sandboxed.run(duckdb, code)

    assert isinstance(outcome, Succeeded)
    seen = json.loads((ran.outputs / "seen.json").read_text())
    assert seen == {
        "environment": ["ATTEMPT", "HOME", "LANG", "PATH", "RUN_ID", "TENANT_SLUG", "TZ"],
        "argv": ["/job/job.py"],
        "path": "/job",
        "cwd": "/job",
        "user": 65534,
        "runner": False,
    }
