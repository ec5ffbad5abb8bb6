"""A job of several tasks on a real stack: user code in the sandbox says values, a condition and a for_each use
them, and what was resolved is what the code was given."""

from __future__ import annotations

from typing import Any

from control_room import Client

SECONDS = 180

LIST = """
import json
print("::value rows 1234")
print("::value files", json.dumps([{"name": "a.csv", "size": 3}, {"name": "b.csv", "size": 4}]))
"""
LOAD = """
import json
params = json.load(open("/job/params.json"))
print("::value size", params["file"]["size"] * 10)
print("loaded", params["file"]["name"], "on", params["day"])
"""
REPORT = """
import json
params = json.load(open("/job/params.json"))
print("::value total", sum(part["size"] for part in params["parts"]))
print("the day was", params["day"])
assert params["said"] == "big is true", params
"""


def work(task_key: str, code: str, **more: Any) -> dict[str, Any]:
    named = {"task_key": task_key} if task_key else {}
    body = {
        "job_type": "spark_etl",
        "spec": "A step of the test's graph.",
        "code": {"files": {"job.py": code}},
    }
    return {**named, **body, "max_retries": 0, **more}


def job() -> dict[str, Any]:
    rows = "{{tasks.list.values.rows}}"
    return {
        "name": "graph of the acceptance test",
        "parameters": {"day": "monday", "threshold": 1000},
        "tasks": [
            work("list", LIST),
            {
                "task_key": "load",
                "depends_on": ["list"],
                "for_each": {"inputs": "{{tasks.list.values.files}}", "concurrency": 2},
                "task": work("", LOAD, params={"file": "{{input}}"}),
            },
            {
                "task_key": "big",
                "depends_on": ["list"],
                "condition": {"op": "GREATER_THAN", "left": rows, "right": "{{job.parameters.threshold}}"},
            },
            work("small", "raise SystemExit(1)", depends_on=[{"task_key": "big", "outcome": "false"}]),
            work(
                "report",
                REPORT,
                depends_on=["load", {"task_key": "big", "outcome": "true"}],
                params={"parts": "{{tasks.load.values.iterations}}", "said": "big is {{tasks.big.outcome}}"},
            ),
        ],
    }


def test_values_go_from_code_to_code_through_a_graph(room: Client) -> None:
    made = room.jobs.create(job())
    submitted = room.runs.submit({"job_id": made.job_id, "params": {"day": "tuesday"}})
    run = room.runs.wait(submitted.run_id, timeout=SECONDS)

    states = {task.task_key: (task.state, task.termination_code) for task in run.tasks}
    assert states == {
        "list": ("SUCCEEDED", "SUCCESS"),
        "load": ("SUCCEEDED", "SUCCESS"),
        "load[0]": ("SUCCEEDED", "SUCCESS"),
        "load[1]": ("SUCCEEDED", "SUCCESS"),
        "big": ("SUCCEEDED", "SUCCESS"),
        "small": ("SKIPPED", "EXCLUDED"),
        "report": ("SUCCEEDED", "SUCCESS"),
    }
    assert run.succeeded
    tasks = {task.task_key: task for task in run.tasks}
    assert tasks["load[1]"].values["size"] == 40
    assert tasks["report"].values["total"] == 70
    assert tasks["report"].attempts[0].number == 1
    said = [line.line for line in room.runs.logs(run.run_id)]
    assert "the day was tuesday" in said
    assert {"loaded a.csv on tuesday", "loaded b.csv on tuesday"} <= set(said)
    assert not [line for line in said if "::value" in line]
