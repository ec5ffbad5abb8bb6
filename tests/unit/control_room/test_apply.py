"""`control-room apply` and `export`: what is sent, what is shown, how it ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from control_room import document

TASK = {"task_key": "t", "job_type": "spark_etl", "spec": "Do it.", "code": {"files": {"job.py": "x\n"}}}
STORED = {
    **TASK, "engine": "duckdb", "params": {}, "inputs": [], "outputs": [], "secrets": [], "network": False, "run_if": "ALL_SUCCESS",
    "depends_on": [], "timeout_seconds": 600, "max_retries": 3, "retry_on_timeout": False, "min_retry_interval_ms": 0,
}  # fmt: skip
DEFINITION = {
    "name": "a", "description": None, "tasks": [STORED], "parameters": {}, "callbacks": {}, "tags": {"control-room/source": "etl"},
    "run_timeout_seconds": None, "max_concurrent_runs": None, "queue": {"enabled": True}, "priority": 0, "schedule": None,
    "periodic": None, "trigger": None,
}  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs.yaml"
    file.write_text(document.write({"source": "etl", "jobs": [{"name": "a", "tasks": [TASK]}]}))
    return file


def plan(action: str = "update", **more: Any) -> dict[str, Any]:
    it = {"name": "a", "action": action, "job_id": 5, "version": 4}
    if action == "update":
        it |= {"before": DEFINITION | {"priority": 3}, "after": DEFINITION}
    return {
        "dry_run": True,
        "changes": int(action != "none"),
        "jobs": [it],
        "names": {},
        "source": "etl",
        **more,
    }


def test_what_a_document_says_is_sent_with_its_source(
    stub: Any, control_room: Callable[..., Any], jobs: Path
) -> None:
    stub.on("POST", "/jobs/apply", plan())

    ended = control_room("apply", "-f", str(jobs), "--dry-run", "--prune")

    assert stub.seen[0].json == {
        "jobs": [{"name": "a", "tasks": [TASK]}],
        "source": "etl",
        "dry_run": True,
        "prune": True,
    }
    assert (ended.code, ended.err) == (0, "")
    told = [line.rstrip() for line in ended.out.splitlines()]
    assert told[0] == "~ a  job 5  version 3 → 4"
    assert "  -priority: 3" in told
    assert told[-1] == "1 to change, 0 unchanged"


@pytest.mark.parametrize(("action", "code"), [("none", 0), ("update", 2)])
def test_the_detailed_exit_code_is_terraform_s(
    stub: Any, control_room: Callable[..., Any], jobs: Path, action: str, code: int
) -> None:
    stub.on("POST", "/jobs/apply", plan(action))

    assert control_room("apply", "-f", str(jobs), "--detailed-exitcode").code == code
    assert control_room("apply", "-f", str(jobs)).code == 0
    assert control_room("apply", "-f", "/nowhere.yaml", "--detailed-exitcode").code == 1
    assert control_room("apply", "--detailed-exitcode").code == 1
    assert control_room("apply").code == 2


def test_a_refusal_of_the_server_stands_at_its_line(
    stub: Any, control_room: Callable[..., Any], jobs: Path
) -> None:
    body = {
        "code": "SECRET_NOT_GRANTED",
        "message": "No.",
        "details": "$.jobs[0].tasks[0].spec",
        "hint": "Ask.",
    }
    stub.on("POST", "/jobs/apply", body, 403)

    ended = control_room("apply", "-f", str(jobs))

    assert ended.code == 3
    assert f"{jobs}:7:5" in ended.err
    assert "spec: Do it." in ended.err
    assert "SECRET_NOT_GRANTED" in ended.err


def test_a_fault_is_told_before_anything_is_sent(
    stub: Any, control_room: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\ntask: []\n")

    ended = control_room("apply", "-f", str(file))

    assert (ended.code, stub.seen) == (2, [])
    assert f"{file}:2:1  $.task  is not known" in ended.err
    assert "2 faults in" in ended.err


def test_documents_come_from_standard_input(
    stub: Any, control_room: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.on("POST", "/jobs/apply", plan("none"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(document.write({"name": "a", "tasks": [TASK]})))

    assert control_room("apply", "-f", "-", "--source", "ci").code == 0
    assert stub.seen[0].json["source"] == "ci"


def test_what_is_exported_has_no_defaults_and_no_ids(stub: Any, control_room: Callable[..., Any]) -> None:
    started = {
        "task_key": "s",
        "depends_on": ["t"],
        "run_if": "ALL_SUCCESS",
        "run_job": {"job_id": 9, "params": {}},
    }
    stub.on("GET", "/jobs", {"items": [{"job_id": 9, "name": "b"}, {"job_id": 5, "name": "a"}], "next": None})
    stub.on(
        "GET",
        "/jobs/5",
        {"job_id": 5, "version": 1, "next_fire_at": None, **DEFINITION, "tasks": [STORED, started]},
    )

    ended = control_room("jobs", "get", "5")

    assert yaml.safe_load(ended.out) == {
        "name": "a",
        "tasks": [
            TASK | {"engine": "duckdb", "timeout_seconds": 600, "max_retries": 3},
            {"task_key": "s", "depends_on": ["t"], "run_job": {"job": "b"}},
        ],
    }
    assert ended.out.index("task_key: t") < ended.out.index("job_type") < ended.out.index("job.py: |")


def test_the_schema_checks_documents(control_room: Callable[..., Any]) -> None:
    schema = yaml.safe_load(control_room("schema").out)

    assert jsonschema.Draft202012Validator(schema).is_valid(
        {"source": "a", "jobs": [{"name": "a", "tasks": [TASK]}]}
    )
    assert not jsonschema.Draft202012Validator(schema).is_valid({"jobs": [{"name": "a"}]})
