"""Bronze, silver and gold on a real stack: a refresh runs what is stale, rows are judged, merged and rolled up."""

from __future__ import annotations

from typing import Any

import pytest

from control_room import Client

SECONDS = 180

LOAD = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
rows = {rows}
spark.createDataFrame(rows, "order_id int, region string, total double").write.mode("overwrite").parquet(
    "/job/outputs/orders")
"""
CLEAN = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.read.parquet("/job/inputs/raw").write.mode("overwrite").parquet("/job/outputs/orders")
"""
MERGED = {"name": "orders", "layer": "silver", "table": "orders", "mode": "merge", "key": ["order_id"]}


def job(name: str, code: str, **more: Any) -> dict[str, Any]:
    task = {"task_key": "work", "job_type": "spark_etl", "spec": name, "code": {"files": {"job.py": code}}}
    return {"name": name, "tasks": [{**task, "max_retries": 0, **more}]}


def gold(room: Client) -> list[tuple[object, ...]]:
    read = room.tables.read("gold", "by_region")
    return sorted((row["region"], row["orders"], float(row["revenue"])) for row in read.rows)


@pytest.mark.long
def test_a_table_is_refreshed_with_what_it_is_made_of(room: Client) -> None:
    def refresh(target: str) -> list[str]:
        found = room.catalog.refresh(target)
        if found.run_id is not None:
            run = room.runs.wait(found.run_id, timeout=SECONDS)
            assert run.succeeded, run.raw()
        return [step["job"] for step in found.plan if step["stale"]]

    loads = job(
        "load",
        LOAD.format(rows=[(1, "n", 5.0), (2, "s", 7.5), (3, "s", -1.0)]),
        outputs=[{"name": "orders", "layer": "bronze", "table": "orders"}],
    )
    load = room.jobs.create(loads)
    room.jobs.create(
        job("clean", CLEAN, inputs=[{"name": "raw", "table": "bronze.orders"}], outputs=[MERGED])
    )
    room.catalog.expect(
        {
            "layer": "silver",
            "table": "orders",
            "name": "positive",
            "kind": "expression",
            "action": "quarantine",
            "definition": {"expression": "total > 0"},
        }
    )

    assert refresh("silver.orders") == ["load", "clean"]
    verdict = room.catalog.verdicts(table="orders", layer="silver").items[0]
    assert (verdict.loaded, verdict.failed, verdict.success) == (3, 1, False)
    room.catalog.roll_up(
        {
            "table": "by_region",
            "source": "silver.orders",
            "by": ["region"],
            "measures": [
                {"name": "orders", "fn": "count"},
                {"name": "revenue", "fn": "sum", "column": "total"},
            ],
        }
    )
    assert gold(room) == [("n", 1, 5.0), ("s", 1, 7.5)]
    assert refresh("gold.by_region") == []

    loads["tasks"][0]["code"]["files"]["job.py"] = LOAD.format(rows=[(2, "n", 1.0), (4, "e", 2.0)])
    room.jobs.update(load.job_id, loads)
    assert refresh("gold.by_region") == ["load", "clean"]
    assert gold(room) == [("e", 1, 2.0), ("n", 2, 6.0)]

    above = {
        node.id.rsplit(":", 1)[1] for node in room.lineage.graph("gold.by_region", direction="upstream").graph
    }
    assert {"bronze.orders", "silver.orders"} <= above
    assert room.catalog.find("by region").items[0].name == "main.gold.by_region"
