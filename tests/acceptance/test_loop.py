"""The heart of it, on a real stack: a spec goes in, the Continue CLI writes code, Control Room validates it, the
runner executes it, and tables, lineage, artifacts and a signed callback come out. The model is scripted.

Every day the CLI's double writes (`dev.model.cn`) and ruff alone validates; `--with continue` is the same with
the CLI itself and every tool.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.model import engine
from dev.model.script import Script
from dev.model.server import ScriptedModel
from dev.stack import state
from tests.acceptance.rescue.conftest import TENANT, Json, Room, listening, opened, stack_folder
from tests.acceptance.test_validation import download

__all__ = ["stack_folder"]  # a fixture

KEY = "sk-of-the-scripted-model"
SPEC = "Write three countries and how many orders each has, as gold.orders_by_country."
GOOD = '''"""Orders of each country."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
rows = [("NL", 2), ("BE", 1), ("DE", 4)]
frame = spark.createDataFrame(rows, ["country", "orders"])
frame.write.mode("overwrite").parquet("/job/outputs/by_country")
print("::value rows", frame.count())
'''
BAD = GOOD.replace('["country", "orders"]', "columns_that_nobody_defined")
DONE = {"say": "written"}
#: What looks at Python besides ruff.
OTHER_TOOLS = ["mypy", "bandit", "semgrep", "detect-secrets"]
REAL = pytest.param("continue", marks=pytest.mark.needs("continue"))


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    made = ScriptedModel(Script(), key=KEY)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["double", REAL])
def engines(request: pytest.FixtureRequest, stack_folder: Path) -> Iterator[Path]:
    """Where the engines lie: the real ones, or the real one of spark_etl and two that are made in a moment."""
    real = Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines")
    if request.param == "continue":
        yield real
        return
    made = stack_folder / "engines"
    engine.lay_out(made)
    tools = engine.environment(made / "validation")
    shutil.copy(Path(sys.executable).parent / "ruff", tools / "bin" / "ruff")
    (made / "duckdb").symlink_to(real / "duckdb")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def lifecycle(stack_folder: Path, model: ScriptedModel, engines: Path) -> Iterator[Room]:
    """A runner that has the model, and a tenant that may use it."""
    with opened(stack_folder) as room:
        begin(room, model, engines)
        yield room


def begin(room: Room, model: ScriptedModel, engines: Path) -> None:
    """Start the runner, and wait until it offers the model."""
    config = room.folder / "continue.yaml"
    said = {"name": "writer", "provider": "openai", "model": "scripted", "apiBase": model.url}
    said["apiKey"] = "${{ secrets.MODEL_KEY }}"
    config.write_text(json.dumps({"name": "room", "version": "1.0.0", "schema": "v1", "models": [said]}))
    room.query(
        "insert into tenancy.grants (tenant_id, kind, name) select id, 'model', 'writer' from tenancy.tenants "
        "where slug = %s on conflict do nothing",
        TENANT,
    )
    room.start_runner(
        CONTROL_ROOM_CONTINUE_CONFIG=str(config), MODEL_KEY=KEY, CONTROL_ROOM_ENGINES=str(engines)
    )
    room.until(
        "the runner offers the model",
        lambda: room.query("select name from queue.runners where 'code_generation/writer' = any (offers)"),
    )


def run_to_its_end(room: Room, **body: Any) -> Json:
    said = {
        "job_type": "spark_etl",
        "spec": SPEC,
        "outputs": [{"name": "by_country", "layer": "gold", "table": "orders_by_country"}],
        "validation": {"accept_unchecked": OTHER_TOOLS},
    }
    run = room.ask("POST", "/jobs/run", json=said | body)["run_id"]
    ended: list[Json] = []

    def has_ended() -> bool:
        ended[:] = [room.ask("GET", f"/runs/{run}")]
        return ended[0]["state"] not in ("QUEUED", "RUNNING", "BLOCKED")

    room.until("the run ended", has_ended, 240)
    return ended[0]


def ends(run: Json) -> dict[str, tuple[str, str, int]]:
    return {
        task["task_key"]: (task["state"], task["termination_code"], len(task["attempts"]))
        for task in run["tasks"]
    }


def test_a_spec_becomes_code_that_is_mended_validated_executed_and_announced(
    lifecycle: Room, model: ScriptedModel
) -> None:
    model.script = Script.of(
        [
            {
                "when": ["# Findings", "columns_that_nobody_defined"],
                "turns": [{"write": {"job.py": GOOD}}, DONE],
            },
            {"when": [SPEC], "turns": [{"write": {"job.py": BAD}}, DONE]},
        ]
    )
    with listening(lifecycle) as receiver:
        run = run_to_its_end(lifecycle, callbacks={"on_complete": receiver.url})
        lifecycle.until("the callback arrived", lambda: receiver.messages)

    assert run["state"] == "SUCCEEDED", (run["termination_message"], lifecycle.log(0)[-2000:])
    assert ends(run) == {
        "generate": ("SUCCEEDED", "SUCCESS", 2),
        "validate": ("SUCCEEDED", "SUCCESS", 2),
        "execute": ("SUCCEEDED", "SUCCESS", 1),
    }
    generated, validated, executed = run["tasks"]
    assert {**generated["values"], "config_sha256": "", "prompt_sha256": ""} == {
        "model": "writer", "requests": 2, "tokens": {"prompt": 200, "completion": 40}, "files": ["job.py"],
        "round": 2, "config_sha256": "", "prompt_sha256": "",
    }  # fmt: skip
    config = (lifecycle.folder / "continue.yaml").read_bytes()
    assert generated["values"]["config_sha256"] == hashlib.sha256(config).hexdigest()
    prompt = download(
        lifecycle, "generate/prompt.md", run | {"artifacts": [newest(run, "generate/prompt.md")]}
    )
    assert generated["values"]["prompt_sha256"] == hashlib.sha256(prompt).hexdigest()
    assert (validated["values"]["verdict"], validated["round"]) == ("passed", 2)
    assert executed["values"]["rows"] == 3
    # what ran is what passed: the bytes of the second version
    code = run["requests"]["execute"]["code"]
    assert code == run["requests"]["validate"]["code"]
    assert code["sha256"] == hashlib.sha256(GOOD.encode()).hexdigest()
    assert (code["version"], newest(run, "generate/code.py")["sha256"]) == (2, code["sha256"])
    assert sorted(each["version"] for each in run["artifacts"] if each["name"].endswith("report.sarif")) == [
        1,
        2,
    ]
    assert [(each["table"], each["rows"]) for each in run["tables"]] == [("orders_by_country", 3)]
    # generate → its code → the run → the table
    table, written = "gold.orders_by_country", newest(run, "generate/code.py")["name"]
    graph = lifecycle.ask("GET", f"/lineage?nodeId=dataset:control-room://{TENANT}:{table}&depth=1")
    arrows = {
        tuple(each[end].rpartition(":")[2] for end in ("origin", "destination"))
        for node in graph["graph"]
        for each in (*node["inEdges"], *node["outEdges"])
    }
    assert {("spark_etl.generate", written), (written, "spark_etl"), ("spark_etl", table)} <= arrows
    assert lifecycle.untold(run["run_id"]) == []
    assert receiver.messages[0][1]["type"] == "run.completed"
    assert set(model.keys) == {f"Bearer {KEY}"}


def newest(run: Json, name: str) -> Json:
    return max(
        (each for each in run["artifacts"] if each["name"].endswith(name)), key=lambda each: each["version"]
    )


def test_code_that_never_passes_is_never_executed_and_the_report_is_there(
    lifecycle: Room, model: ScriptedModel
) -> None:
    model.script = Script.of([{"turns": [{"write": {"job.py": BAD}}, DONE]}])
    lifecycle.query("drop table if exists gold_rescue.orders_by_country")
    with listening(lifecycle) as receiver:
        run = run_to_its_end(lifecycle, callbacks={"on_fail": receiver.url})
        lifecycle.until("the callback arrived", lambda: receiver.messages)

    assert (run["state"], run["termination_code"]) == ("FAILED", "VALIDATION_FAILED")
    assert "columns_that_nobody_defined" in run["termination_message"]
    assert ends(run) == {
        "generate": ("SUCCEEDED", "SUCCESS", 2),
        "validate": ("FAILED", "VALIDATION_FAILED", 2),
        "execute": ("SKIPPED", "UPSTREAM_FAILED", 0),
    }
    report = json.loads(
        download(lifecycle, "report.sarif", run | {"artifacts": [newest(run, "report.sarif")]})
    )
    assert "F821" in {result["ruleId"] for each in report["runs"] for result in each["results"]}
    assert run["tables"] == []
    assert receiver.messages[0][1]["type"] == "run.failed"


@pytest.mark.parametrize("engines", [REAL], indirect=True)
def test_a_model_that_is_down_fails_the_run_by_its_name(lifecycle: Room, model: ScriptedModel) -> None:
    model.script = Script.of([{"turns": [{"status": 503}]}])
    run = run_to_its_end(lifecycle)

    assert (run["state"], run["termination_code"]) == ("FAILED", "MODEL_UNAVAILABLE")
    assert "writer answered 503" in run["termination_message"]
