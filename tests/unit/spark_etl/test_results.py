"""What a job left behind, read as hostile."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.jobtype.base import Collected, Exit, Place
from runner.jobtype.spark_etl import LIMITS, SparkEtl, environment
from runner.model.attempt import Attempt, Output
from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace

from .conftest import make_attempt

COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "name", "type": "text"}]


class Left:
    """A workspace with what a job left in it."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(root=folder / "job", kept=folder / "kept")
        for each in (self.workspace.outputs, self.workspace.table_outputs, self.workspace.kept):
            each.mkdir(parents=True)

    def file(self, path: str, content: str | bytes = "x") -> Left:
        target = self.workspace.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def table(self, name: str, columns: Any = COLUMNS, rows: Any = 2) -> Left:
        form = {"columns": columns, "rows": rows}
        return self.file(f".control-room/tables/{name}.json", json.dumps(form)).file(
            f".control-room/tables/{name}.csv", "id,name\n1,a\n2,b\n"
        )

    def collect(self, *outputs: Output, code: int = 0) -> Collected:
        attempt: Attempt = make_attempt("duckdb", outputs=outputs)
        return SparkEtl(Place(None)).collect(attempt, self.workspace, Exit(code))


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def names(collected: Collected) -> list[str]:
    return [each.name for each in collected.artifacts]


def test_part_files_become_artifacts_with_names_that_people_use(left: Left) -> None:
    left.file("outputs/plain.csv").file("outputs/deep/er/notes.md")
    left.file("outputs/routes/part-00000-1f.snappy.parquet").file("outputs/routes/_SUCCESS")
    left.file("outputs/routes/.part-00000-1f.snappy.parquet.crc")
    left.file("outputs/big/part-00000-1f.parquet").file("outputs/big/part-00001-1f.parquet")
    left.file("outputs/by_year/year=2001/part-0.parquet").file("outputs/by_year/year=2002/part-0.parquet")
    left.file("outputs/zipped/part-00000.csv.gz")

    assert names(left.collect()) == [
        "big/part-00000-1f.parquet",
        "big/part-00001-1f.parquet",
        "by_year/year=2001.parquet",
        "by_year/year=2002.parquet",
        "deep/er/notes.md",
        "plain.csv",
        "routes.parquet",
        "zipped.csv.gz",
    ]


def test_a_name_that_is_taken_is_not_given_twice(left: Left) -> None:
    left.file("outputs/report.csv").file("outputs/report/part-00000-a.csv")

    assert names(left.collect()) == ["report.csv", "report/part-00000-a.csv"]


def test_declared_files_have_their_kind_and_others_a_guess(left: Left) -> None:
    left.file("outputs/report/part-00000-a.csv").file("outputs/summary.md").file("outputs/x.bin")

    collected = left.collect(Output("report", kind="report"))

    assert {a.name: (a.kind, a.content_type) for a in collected.artifacts} == {
        "report.csv": ("report", "text/csv"),
        "summary.md": ("report", "text/markdown"),
        "x.bin": ("data", None),
    }


def test_files_of_a_table_output_are_no_artifacts(left: Left) -> None:
    left.table("gold").file("outputs/gold/part-00000-a.parquet")
    left.table("silver").file("outputs/silver.csv")

    collected = left.collect(
        Output("gold", table="top", layer="gold"),
        Output("silver", table="orders", layer="silver", mode="append"),
    )

    assert names(collected) == []
    assert [(t.name, t.layer, t.table, t.mode, t.rows) for t in collected.tables] == [
        ("gold", "gold", "top", "overwrite", 2),
        ("silver", "silver", "orders", "append", 2),
    ]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Output("gold", table="top", layer="gold"), "the job declared the table output gold"),
        (Output("report", kind="report"), "the job declared the output report and wrote nothing"),
    ],
)
def test_a_promised_output_that_is_not_there_fails_the_attempt(
    left: Left, output: Output, message: str
) -> None:
    with pytest.raises(Permanent) as failure:
        left.collect(output)

    assert failure.value.code == TerminationCode.OUTPUT_INVALID
    assert failure.value.message.startswith(message)


@pytest.mark.parametrize(
    "columns",
    [
        [],
        "id",
        [{"name": "id"}],
        [{"name": "id", "type": "money"}],
        [{"name": "id", "type": "text); drop table x; --"}],
        [{"name": "tenant_id", "type": "uuid"}],
        [{"name": "x" * 64, "type": "text"}],
        [{"name": "a\nb", "type": "text"}],
        [{"name": "a", "type": "text"}, {"name": "a", "type": "text"}],
        [{"name": "", "type": "text"}],
    ],
)
def test_columns_that_no_table_can_have_are_refused(left: Left, columns: Any) -> None:
    left.table("gold", columns)

    with pytest.raises(Permanent) as failure:
        left.collect(Output("gold", table="top", layer="gold"))

    assert failure.value.code == TerminationCode.OUTPUT_INVALID


def test_a_problem_that_the_harness_found_is_what_the_author_reads(left: Left) -> None:
    left.file(".control-room/problems.json", json.dumps(["outputs/gold holds \x00no data files", 7, None]))

    with pytest.raises(Permanent, match=r"outputs/gold holds  ?no data files"):
        left.collect()


@pytest.mark.parametrize("name", ["a\\b.csv", "x" * 255 + "/" + "y" * 255])
def test_a_name_that_no_artifact_can_have_fails_the_attempt(left: Left, name: str) -> None:
    left.file(f"outputs/{name}")

    with pytest.raises(Permanent) as failure:
        left.collect()

    assert failure.value.code == TerminationCode.OUTPUT_INVALID


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo"])
def test_what_is_no_plain_file_fails_the_attempt(left: Left, kind: str) -> None:
    path = left.workspace.outputs / "report.csv"
    match kind:
        case "symlink":
            path.symlink_to("/etc/passwd")
        case "hardlink":
            left.file("twin")
            os.link(left.workspace.root / "twin", path)
        case _:
            os.mkfifo(path)

    with pytest.raises(Permanent) as failure:
        left.collect()

    assert failure.value.code == TerminationCode.OUTPUT_INVALID


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff\xfe", b'{"outputs": 1}\n', b"null\n[]\n7\n", b"", b"{}\n" * 2000]
)
def test_lineage_that_makes_no_sense_costs_the_lineage_and_not_the_run(left: Left, content: bytes) -> None:
    left.file("outputs/a.csv").file(".control-room/lineage.ndjson", content)

    collected = left.collect()

    assert names(collected) == ["a.csv"]
    assert collected.lineage == ()
    assert collected.values["lineage"]["confidence"] == "low"


def test_the_side_channel_is_not_followed_out_of_the_workspace(left: Left, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"columns": [{"name": "a", "type": "text"}], "rows": 1}')
    (left.workspace.table_outputs / "gold.json").symlink_to(tmp_path / "secret")

    with pytest.raises(Permanent):
        left.collect(Output("gold", table="top", layer="gold"))


def test_a_failed_job_leaves_nothing(left: Left) -> None:
    left.file("outputs/report.csv").file(".control-room/started")

    assert left.collect(Output("report"), code=1) == Collected()


def test_an_input_that_could_not_be_prepared_is_not_the_fault_of_the_job(left: Left) -> None:
    form = {"about": "input", "message": "the input orders could not be turned into Parquet"}
    left.file(".control-room/failure.json", json.dumps(form))

    with pytest.raises(Permanent) as failure:
        left.collect(code=70)

    assert failure.value.code == TerminationCode.INPUT_UNAVAILABLE


def test_an_engine_that_did_not_start_is_the_fault_of_the_platform(left: Left) -> None:
    with pytest.raises(Retryable) as failure:
        left.collect(code=70)

    assert failure.value.code == TerminationCode.EXECUTOR_UNAVAILABLE


def test_user_code_that_ends_with_the_same_number_is_its_own_fault(left: Left) -> None:
    left.file(".control-room/started", "").file(".control-room/failure.json", '{"about": "input"}')

    assert left.collect(code=70) == Collected()


def test_an_entry_is_job_py_or_the_only_file(tmp_path: Path) -> None:
    engines = tmp_path / "engines"
    (engines / "duckdb").mkdir(parents=True)

    def entry(*files: str) -> str:
        workspace = Left(tmp_path / f"{len(list(tmp_path.iterdir()))}").workspace
        for each in files:
            (workspace.root / each).write_text("")
        SparkEtl(Place(engines)).prepare(make_attempt("duckdb"), workspace)
        request = json.loads((workspace.side_channel / "request.json").read_text())
        return str(request["entry"])

    assert entry("job.py", "helpers.py") == "job.py"
    assert entry("main.py") == "main.py"
    for files in ((), ("a.py", "b.py")):
        with pytest.raises(Permanent) as failure:
            entry(*files)
        assert failure.value.code == TerminationCode.INVALID_CODE


def test_a_task_with_executors_has_a_crew_that_knows_a_word_of_its_own(tmp_path: Path) -> None:
    words = []
    for n in (1, 2):
        workspace = Left(tmp_path / str(n)).workspace
        (workspace.root / "job.py").write_text("")
        attempt = replace(make_attempt("spark"), executors=3)
        command = SparkEtl(Place(None, image=True)).prepare(attempt, workspace)
        request = json.loads((workspace.side_channel / "request.json").read_text())
        assert command.crew is not None
        assert command.crew.count == request["cluster"]["executors"] == 3
        words.append(request["cluster"]["secret"])

    assert len(set(words)) == 2
    assert not [word for word in words if word in str(command)]
    (workspace.side_channel / "request.json").unlink()
    assert SparkEtl(Place(None, image=True)).prepare(make_attempt("spark"), workspace).crew is None


def test_another_engine_has_no_executors(tmp_path: Path) -> None:
    workspace = Left(tmp_path).workspace
    (workspace.root / "job.py").write_text("")

    with pytest.raises(Permanent) as failure:
        SparkEtl(Place(None, image=True)).prepare(replace(make_attempt("duckdb"), executors=2), workspace)
    assert failure.value.code is TerminationCode.INVALID_CODE


def test_engines_are_offered_with_the_reason_where_they_are_not(tmp_path: Path) -> None:
    nothing = {r.engine: r.reason for r in SparkEtl(Place(None)).readiness()}
    empty = {r.engine: r.reason for r in SparkEtl(Place(tmp_path)).readiness()}

    assert set(nothing) == {"duckdb", "spark"}
    assert all("CONTROL_ROOM_ENGINES" in reason for reason in nothing.values())
    assert "scripts/setup --engines duckdb" in empty["duckdb"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes the sandbox as somebody else")
def test_an_engine_that_the_sandbox_may_not_read_is_not_offered(tmp_path: Path) -> None:
    python = tmp_path / "closed" / "duckdb" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")
    (tmp_path / "closed" / "duckdb" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "closed").chmod(0o700)

    assert "cannot read" in environment.reason(Place(tmp_path / "closed"), "duckdb")


def test_limits_are_those_that_were_agreed() -> None:
    assert {engine: limits.memory_bytes for engine, limits in LIMITS.items()} == {
        "duckdb": 1024**3,
        "spark": 5 * 1024**3 // 2,
    }
