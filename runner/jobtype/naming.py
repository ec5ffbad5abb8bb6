"""Names of datasets, jobs and runs in lineage, the same before the run (request) and after it (results).

control-room://<tenant>                 jobs by name, tables as <layer>.<table>
control-room://<tenant>/artifacts       artifacts by their name in the registry
control-room://<tenant>/runs/<run>      files of one run that are neither: they end with it
odoo://<host>/<database>, postgres://<host>:<port>      what was read from a target: models, tables
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runner.lineage import openlineage
from runner.lineage.openlineage import Dataset, Job, JsonObject
from runner.model.attempt import Attempt, Input, Output


def namespace(attempt: Attempt) -> str:
    """Where the tenant's jobs and tables are."""
    return f"control-room://{attempt.tenant_slug}"


def files_namespace(attempt: Attempt) -> str:
    """Where the files of this run are."""
    return f"{namespace(attempt)}/runs/{attempt.run_id}"


def artifact(attempt: Attempt, name: str) -> Dataset:
    """An artifact of the tenant, by its name in the registry."""
    return Dataset(f"{namespace(attempt)}/artifacts", name)


def made_artifact(attempt: Attempt, name: str) -> Dataset:
    """An artifact that this attempt makes: the registry puts it under the job, else under the run."""
    # as door.attempt_artifact does it
    owner = f"jobs/{attempt.name}" if attempt.job_id is not None else f"runs/{attempt.run_id}"
    return artifact(attempt, f"{owner}/{name}")


def job(attempt: Attempt) -> Job:
    """Whose lineage it is."""
    return Job(namespace(attempt), attempt.name or attempt.task_key, attempt.run_id, attempt.number)


def task(attempt: Attempt) -> Job:
    """Whose it is where a task of the job makes what another one uses."""
    return replace(job(attempt), part=attempt.task_key)


def with_code(attempt: Attempt, events: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
    """The same events, where the code is an artifact: it is among what the job has read for all it wrote."""
    if attempt.code is None or attempt.code.artifact_name is None:
        return tuple(events)
    code, own = artifact(attempt, attempt.code.artifact_name).form(), job(attempt).form()
    return tuple(
        {**each, "inputs": [*each.get("inputs", ()), code]}
        if each.get("job") == own and each.get("outputs") and code not in each.get("inputs", ())
        else each
        for each in events
    )


def of_input(attempt: Attempt, each: Input) -> Dataset:
    """The dataset behind an input. An artifact goes by its own name where the claim tells it."""
    if each.table is not None:
        return Dataset(namespace(attempt), each.table)
    if each.dataset is not None:
        return Dataset(*each.dataset)
    return artifact(attempt, each.artifact_name or each.name)


def with_unread(attempt: Attempt, events: Iterable[JsonObject], method: str) -> tuple[JsonObject, ...]:
    """The events, and one more where there are inputs of which they say nothing: they were given all the
    same."""
    told = list(events)
    read = {Dataset(each["namespace"], each["name"]) for event in told for each in event.get("inputs", ())}
    unread = sorted({of_input(attempt, each) for each in attempt.inputs} - read)
    if not unread:
        return tuple(told)
    return (*told, openlineage.reading(unread, job=job(attempt), method=method, at=datetime.now(UTC)))


def of_table(attempt: Attempt, each: Output) -> Dataset:
    """The dataset that a table output becomes when it is published."""
    return Dataset(namespace(attempt), f"{each.layer}.{each.table}")


def request(attempt: Attempt) -> dict[str, Any]:
    """The part of request.json that names things. File outputs are named when it is known what they are."""
    whose = job(attempt)
    return {
        "inputs": [
            {"name": each.name, "kind": "table" if each.is_table else "file"} for each in attempt.inputs
        ],
        "outputs": [
            {"name": each.name, **({"table": each.table, "layer": each.layer} if each.table else {})}
            for each in attempt.outputs
        ],
        "namespaces": {"job": namespace(attempt), "file": files_namespace(attempt)},
        "run_id": whose.run_id,
        "attempt": whose.attempt,
        "job_name": whose.name,
        "inputs_lineage": {each.name: of_input(attempt, each).form() for each in attempt.inputs},
        "outputs_lineage": {
            each.name: of_table(attempt, each).form()
            if each.table
            else Dataset(files_namespace(attempt), f"outputs/{each.name}").form()
            for each in attempt.outputs
        },
    }
