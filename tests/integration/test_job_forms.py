"""The form of job documents says what the server's own check says, as far as it can be said without the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import psycopg
import pytest
from pydantic import ValidationError

from control_room import definition
from dev.stack.testbed import Database, Tenant

WORK = {"task_key": "t", "job_type": "spark_etl", "spec": "Do it.", "code": {"files": {"job.py": "x"}}}


def job(*tasks: Any, **more: Any) -> dict[str, Any]:
    return {"name": "j", "tasks": list(tasks) or [WORK], **more}


GOOD = [
    job(),
    job(description="d", tags={"a": 1}, parameters={"day": [1]}, priority=-100, max_concurrent_runs=1, run_timeout_seconds=1),
    job(queue={"enabled": False}, callbacks={}, schedule={"cron": "@daily", "timezone": "UTC", "missed": "all", "paused": True}),
    job(schedule=None, periodic={"every_seconds": 10, "paused": False}, trigger=None),
    job(trigger={"datasets": ["gold.orders"], "debounce_seconds": 0, "max_wait_seconds": 5}),
    job(WORK | {"engine": "spark", "params": {"a": None}, "secrets": [], "network": False, "timeout_seconds": 86400, "max_retries": 0,
                "retry_on_timeout": True, "min_retry_interval_ms": 3600000, "run_if": "ALL_DONE", "depends_on": [], "validation": {"tests": "off"}}),
    job(WORK | {"inputs": [{"name": "a", "table": "silver.orders"}],
                "outputs": [{"name": "b", "layer": "gold", "table": "b", "mode": "merge", "key": ["id"]}, {"name": "c", "kind": "report"}]}),
    job({"task_key": "c", "condition": {"op": "EQUAL_TO", "left": "a", "right": True}}, WORK | {"depends_on": [{"task_key": "c", "outcome": "true"}]}),
    job({"task_key": "l", "for_each": {"inputs": [1, {"a": 2}], "concurrency": 100}, "task": {k: v for k, v in WORK.items() if k != "task_key"}}),
    job({"task_key": "l", "for_each": {"inputs": "{{job.parameters.x}}"}, "task": {"job_type": "kb_catalog", "spec": "Do it."}}, parameters={"x": []}),
]  # fmt: skip

#: Both refuse these, each for its own reason.
BAD = [
    {}, {"name": "j"}, job(name="-j"), job(name="j" * 129), {"name": "j", "tasks": []}, {"name": "j", "tasks": {}}, job(wish=1),
    job(priority=101), job(priority="1"), job(priority=1.5), job(max_concurrent_runs=0), job(run_timeout_seconds=0), job(tags=[]),
    job(parameters=[]), job(queue={"enabled": "yes"}), job(queue={"on": True}), job(callbacks={"on_end": "x"}), job(callbacks=[]),
    job(schedule={}), job(schedule={"cron": 5}), job(schedule={"cron": "@daily", "missed": "some"}), job(schedule={"cron": "@daily", "wish": 1}),
    job(periodic={"every_seconds": 9}), job(periodic={}), job(trigger={"datasets": []}), job(trigger={}), job(trigger={"datasets": ["gold.a"], "debounce_seconds": -1}),
    job("t"), job({"task_key": "t"}), job(WORK | {"task_key": "a b"}), job(WORK | {"run_if": "NEVER"}), job(WORK | {"job_type": "etl"}),
    job(WORK | {"spec": "ab"}), job(WORK | {"code": {}}), job(WORK | {"code": {"files": {}}}), job(WORK | {"code": {"files": {"a": 1}}}),
    job(WORK | {"code": {"files": {"a": "x"}, "artifact_id": "x"}}), job(WORK | {"params": []}), job(WORK | {"inputs": {}}),
    job(WORK | {"inputs": [{"name": "a", "table": "orders"}]}), job(WORK | {"inputs": [{"table": "gold.a"}]}), job(WORK | {"outputs": [{"name": "a", "layer": "lead", "table": "x"}]}),
    job(WORK | {"outputs": [{"name": "a", "mode": "upsert"}]}), job(WORK | {"outputs": [{"name": "a", "kind": "film"}]}), job(WORK | {"secrets": ["lower"]}),
    job(WORK | {"network": "no"}), job(WORK | {"timeout_seconds": 0}), job(WORK | {"max_retries": 11}), job(WORK | {"retry_on_timeout": 1}),
    job(WORK | {"min_retry_interval_ms": -1}), job(WORK | {"validation": {"wish": 1}}), job(WORK | {"condition": {"op": "EQUAL_TO", "left": 1, "right": 1}}),
    job({"task_key": "c", "condition": {"op": "IS", "left": 1, "right": 1}}), job({"task_key": "c", "condition": {"op": "EQUAL_TO", "left": [], "right": 1}}),
    job({"task_key": "l", "for_each": {"inputs": "x"}, "task": WORK}), job({"task_key": "l", "for_each": {"inputs": [1], "concurrency": 0}, "task": {"job_type": "kb_catalog", "spec": "abc"}}),
    job({"task_key": "r", "run_job": {}}), job({"task_key": "r", "run_job": {"job_id": "x"}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(definition.schema())
    return jsonschema.Draft202012Validator(definition.schema())


def form_takes(it: Any) -> bool:
    try:
        definition.JobForm.model_validate(it)
    except ValidationError:
        return False
    return True


def test_the_form_and_the_schema_take_and_refuse_what_the_server_does(
    database: Database, tenant_factory: Callable[..., Tenant], schema: jsonschema.Draft202012Validator
) -> None:
    tenant = tenant_factory("acme")
    verdicts = {}
    with psycopg.connect(database.superuser, autocommit=True) as db:
        for it in [*GOOD, *BAD]:
            refusal = None
            try:
                db.execute("select job.check_definition(%s, %s)", (tenant.tenant_id, json.dumps(it)))
                db.execute(
                    "select callback.check_callbacks(%s, %s)",
                    (tenant.tenant_id, json.dumps(it.get("callbacks", {}))),
                )
            except psycopg.Error as error:
                refusal = error.sqlstate
            assert refusal in {None, "PGRST"}, it
            verdicts[json.dumps(it)] = refusal is None
        fields = db.execute("select job.work_fields()").fetchone()
        types = {name for (name,) in db.execute("select name from job.job_types")}

    for it in [*GOOD, *BAD]:
        expected = it in GOOD

        assert (expected, expected, expected) == (
            verdicts[json.dumps(it)], form_takes(it), schema.is_valid(it),
        ), it  # fmt: skip
    # a field or a job type that one of them gets, the other gets as well
    assert fields is not None
    assert set(fields[0]) == set(definition.Work.model_fields)
    assert types == set(definition.JobType.__args__)  # type: ignore[attr-defined]
