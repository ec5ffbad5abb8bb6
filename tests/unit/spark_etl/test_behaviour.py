"""The small engine behaves as real Spark does, snippet by snippet, or the difference is listed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .behaviour import AGGREGATES, KNOWN_DIFFERENCES, PROGRAM, SNIPPETS, TYPES
from .conftest import Bench

RECORDED = Path(__file__).with_name("recorded.json")


def answers(bench: Bench) -> dict[str, str]:
    todo = {"snippets": SNIPPETS, "types": TYPES, "aggregates": TYPES[-AGGREGATES:]}
    ran = bench.run(PROGRAM, files={"todo": json.dumps(todo)})
    assert ran.code == 0, ran.stderr
    found: dict[str, str] = json.loads((ran.outputs / "found.json").read_text())
    return found


def test_the_small_engine_answers_as_spark_does_but_for_what_is_listed(duckdb: Bench) -> None:
    recorded = json.loads(RECORDED.read_text())

    found = answers(duckdb)

    differs = {name for name in recorded if recorded[name] != found.get(name)}
    shown = {name: (recorded[name], found.get(name)) for name in sorted(differs - set(KNOWN_DIFFERENCES))}
    assert shown == {}
    assert sorted(set(KNOWN_DIFFERENCES) - differs) == []  # a difference that is gone is taken off the list


def test_nothing_in_the_record_fails_on_real_spark() -> None:
    recorded = json.loads(RECORDED.read_text())

    assert [name for name, answer in recorded.items() if answer.startswith("raised")] == []


@pytest.mark.needs("spark")
def test_the_record_is_what_spark_answers(spark: Bench) -> None:
    """Write it anew after a change of behaviour.py: RECORD=1 pytest --with spark …"""
    found = answers(spark)

    if "RECORD" in os.environ:
        RECORDED.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
    assert json.loads(RECORDED.read_text()) == found
