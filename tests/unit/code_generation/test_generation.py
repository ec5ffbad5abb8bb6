"""What the model is told, and what is taken of what it wrote; without a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.jobtype import bundle, naming
from runner.jobtype.base import Exit, Place
from runner.jobtype.code_generation import CodeGeneration, prompt
from runner.jobtype.code_generation.prompt import Target
from runner.model.attempt import Attempt, Code, Input
from runner.model.errors import Failure
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from tests.contract.conftest import make_attempt

SPEC = "Count the orders of each country."
TARGET = {
    "job_type": "spark_etl",
    "inputs": [{"name": "orders", "table": "bronze.orders"}],
    "outputs": [{"name": "by_country", "layer": "gold", "table": "by_country"}],
    "params": {"day": "string"},
    "secrets": ["TOKEN"],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(root=tmp_path / "job", kept=tmp_path / "kept")
    for each in (made.root, made.kept, made.inputs, made.outputs, made.table_outputs):
        each.mkdir(parents=True)
    return made


@pytest.fixture
def generation(tmp_path: Path) -> CodeGeneration:
    return CodeGeneration(Place(tmp_path, models=("m",)))


def attempt(**changes: Any) -> Attempt:
    first = make_attempt(job_type="code_generation", engine="m", task_key="generate", spec=SPEC)
    return replace(first, params={"target": TARGET, "round": 1}, **changes)


def result(level: str, text: str, line: int | None = 3, uri: str = "job.py") -> dict[str, Any]:
    region = {} if line is None else {"region": {"startLine": line}}
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, **region}}
    return {"ruleId": "R1", "level": level, "message": {"text": text}, "locations": [place]}


def report(*results: dict[str, Any]) -> bytes:
    return json.dumps({"runs": [{"tool": {"driver": {"name": "ruff"}}, "results": [*results]}]}).encode()


# ----------------------------------------------------------------------------------------------- the prompt


def test_the_prompt_is_the_spec_and_the_names(generation: CodeGeneration, workspace: Workspace) -> None:
    generation.prepare(attempt(), workspace)
    told = (workspace.side_channel / "prompt.md").read_text()

    assert told == (workspace.kept / "prompt.md").read_text()
    assert SPEC in told
    assert all(f'"{name}"' in told for name in ("orders", "by_country", "day", "TOKEN"))
    assert "Findings" not in told
    assert "job.py" in (workspace.side_channel / "rules.md").read_text()


def test_what_was_found_comes_worst_first_and_bounded() -> None:
    notes = [result("note", f"style {n}") for n in range(100)]
    told = prompt.findings(
        report(*notes, result("error", "undefined\n name"), result("warning", "odd", None))
    )

    assert told[:2] == ["job.py:3: error [ruff R1] undefined name", "job.py: warning [ruff R1] odd"]
    assert (len(told), told[-1]) == (prompt.MAX_FINDINGS + 1, "… and 42 more")


def test_a_tool_that_could_not_check_is_told_too() -> None:
    said = {"executionSuccessful": False, "toolExecutionNotifications": [{"message": {"text": "no time"}}]}
    sarif = {"runs": [{"tool": {"driver": {"name": "mypy"}}, "invocations": [said]}]}

    assert prompt.findings(json.dumps(sarif).encode()) == ["not checked by mypy: no time"]


def test_the_last_try_lies_where_the_next_is_written(
    generation: CodeGeneration, workspace: Workspace
) -> None:
    (workspace.inputs / "code").write_bytes(bundle.pack({"job.py": "x\n", "lib/a.py": "y\n"}).data)
    (workspace.inputs / "report.sarif").write_bytes(report(result("error", "undefined")))
    generation.prepare(attempt(inputs=(Input("code"), Input("report.sarif"))), workspace)

    assert (workspace.root / "code" / "lib" / "a.py").read_text() == "y\n"
    assert "undefined" in (workspace.kept / "prompt.md").read_text()


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"runs": 7}'])
def test_a_report_that_is_none_ends_the_attempt(
    generation: CodeGeneration, workspace: Workspace, data: bytes
) -> None:
    (workspace.inputs / "code").write_text("x")
    (workspace.inputs / "report.sarif").write_bytes(data)

    with pytest.raises(Failure) as failure:
        generation.prepare(attempt(inputs=(Input("code"),)), workspace)
    assert failure.value.code is TerminationCode.INPUT_UNAVAILABLE


# ------------------------------------------------------------------------------------------ what was written


@pytest.mark.parametrize(
    ("job_type", "files", "missing"),
    [
        ("spark_etl", ["job.py", "a.py"], None),
        ("spark_etl", ["main.py"], None),
        ("spark_etl", ["a.py", "b.py"], "job.py"),
        ("spark_etl", ["notes.md"], "job.py"),
        ("schema_migration", ["001_a.sql"], None),
        ("schema_migration", ["a.py"], "a .sql file"),
        ("another", ["x"], None),
        ("another", [], "a file"),
    ],
)
def test_a_job_type_says_what_must_be_there(job_type: str, files: list[str], missing: str | None) -> None:
    assert Target(job_type).missing(files) == missing


@pytest.mark.parametrize(
    "files", [{"job.py": "print(1)\n"}, {"job.py": "a", "b/c.sql": "é\n"}, {"x.py": "y"}]
)
def test_what_is_packed_is_unpacked_the_same(tmp_path: Path, files: dict[str, str]) -> None:
    packed = bundle.pack(files)
    (tmp_path / "code").write_bytes(packed.data)

    assert packed == bundle.pack(dict(reversed(files.items())))
    assert bundle.unpack(tmp_path / "code") == files


def written(generation: CodeGeneration, workspace: Workspace, name: str, data: bytes) -> None:
    generation.prepare(attempt(), workspace)
    file = workspace.root / "code" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def test_the_code_and_the_prompt_are_artifacts(generation: CodeGeneration, workspace: Workspace) -> None:
    written(generation, workspace, "job.py", b"print(1)\n")
    written_too = workspace.root / "code" / ".continue" / "log"
    written_too.parent.mkdir()
    written_too.write_text("x")
    found = generation.collect(attempt(), workspace, Exit(0))

    assert [(each.name, each.kind, each.kept) for each in found.artifacts] == [
        ("generate/code.py", "code", True),
        ("generate/prompt.md", "log", True),
    ]
    assert found.values["files"] == ["job.py"]


def test_the_task_has_made_the_code(generation: CodeGeneration, workspace: Workspace) -> None:
    written(generation, workspace, "job.py", b"print(1)\n")
    (event,) = generation.collect(attempt(name="nightly", job_id=7), workspace, Exit(0)).lineage

    assert event["job"] == {"namespace": "control-room://acme", "name": "nightly.generate"}
    assert event["run"]["facets"]["parent"]["job"]["name"] == "nightly"
    assert [(each["namespace"], each["name"]) for each in event["outputs"]] == [
        ("control-room://acme/artifacts", "jobs/nightly/generate/code.py")
    ]
    assert event["inputs"] == []


def test_what_was_made_with_code_of_an_artifact_comes_from_it_too() -> None:
    code = Code(artifact_id="a-1", artifact_name="runs/9/generate/code.py")
    executed = make_attempt(name="nightly", code=code)
    own = {"namespace": "control-room://acme", "name": "nightly"}
    wrote = {
        "job": own,
        "inputs": [{"namespace": "n", "name": "orders"}],
        "outputs": [{"namespace": "n", "name": "t"}],
    }
    others = [{"job": own, "inputs": [], "outputs": []}, {**wrote, "job": {**own, "name": "catalog/target"}}]
    mine, *rest = naming.with_code(executed, [wrote, *others])

    assert mine["inputs"] == [
        {"namespace": "n", "name": "orders"},
        {"namespace": "control-room://acme/artifacts", "name": "runs/9/generate/code.py"},
    ]
    assert rest == others, "what writes nothing, and what another job does, stays as it is"
    assert naming.with_code(executed, [mine]) == (mine,)
    assert naming.with_code(make_attempt(code=Code(files={"job.py": ""})), [wrote]) == (wrote,)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("job.py", b"\xff\xfe", TerminationCode.GENERATION_FAILED),
        ("my job.py", b"x", TerminationCode.GENERATION_FAILED),
        ("notes.md", b"x", TerminationCode.GENERATION_FAILED),
        ("job.py", b"x" * (1024**2 + 1), TerminationCode.OUTPUT_TOO_LARGE),
    ],
)
def test_what_is_no_code_is_refused(
    generation: CodeGeneration, workspace: Workspace, name: str, data: bytes, code: TerminationCode
) -> None:
    written(generation, workspace, name, data)

    with pytest.raises(Failure) as failure:
        generation.collect(attempt(), workspace, Exit(0))
    assert failure.value.code is code


def test_a_link_is_not_followed(generation: CodeGeneration, workspace: Workspace) -> None:
    generation.prepare(attempt(), workspace)
    (workspace.root / "code" / "job.py").symlink_to("/etc/passwd")

    with pytest.raises(Failure) as failure:
        generation.collect(attempt(), workspace, Exit(0))
    assert failure.value.code is TerminationCode.OUTPUT_INVALID


def test_an_exit_that_is_none_of_success_is_tried_again(
    generation: CodeGeneration, workspace: Workspace
) -> None:
    written(generation, workspace, "job.py", b"print(1)\n")

    with pytest.raises(Failure) as failure:
        generation.collect(attempt(), workspace, Exit(1))
    assert failure.value.code is TerminationCode.GENERATION_FAILED


def test_without_models_nothing_is_offered_and_the_reason_said() -> None:
    (said,) = CodeGeneration(Place(Path("/nowhere"))).readiness()

    assert not said.ready
    assert "CONTROL_ROOM_CONTINUE_CONFIG" in said.reason
