"""Job documents: what is read, what is refused and where, and that what is written reads back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room import document, source
from control_room.document import DocumentInvalid

JOB = """\
name: nightly
tasks:
  - task_key: load
    job_type: spark_etl
    spec: Load what came.
    code: {files: {job.py: "print(1)"}}
"""


def faults(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(DocumentInvalid) as found:
        document.jobs_of(document.read(text, "jobs.yaml"))
    return [(it.spot.line, it.spot.column, it.path, it.message) for it in found.value.faults]


def value(text: str) -> Any:
    return document.read(text, "x")[0].value


def test_words_are_words_and_numbers_are_numbers() -> None:
    read = value("{on: no, day: 2026-11-26, at: 12:30:00, n: 0o17, f: 1e3, s: '5', b: true, e: ~, v: 1.10}")

    assert read == {
        "on": "no", "day": "2026-11-26", "at": "12:30:00", "n": 15, "f": 1000.0, "s": "5", "b": True, "e": None,
        "v": 1.1,
    }  # fmt: skip


def test_anchors_take_over_fields_and_one_s_own_go_first() -> None:
    assert value("base: &b {x: 1, y: 2}\nmade: {<<: *b, y: 3}")["made"] == {"x": 1, "y": 3}


def test_a_document_that_blows_up_is_refused() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert faults("\n".join(rows))[0][3] == "anchors make this document too large"
    assert faults("a: &a [*a]")[0][3] == "anchors make this document too large"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.just("\n"))
    | st.sampled_from(["yes", "no", "1e3", "0o7", "2026-11-26", "<<", "~", "{{a}}", "- x", "a: b", "#x", "1_0", "12:30"]),
    lambda it: st.lists(it, max_size=4) | st.dictionaries(st.text(st.characters(categories=("L", "N"))), it, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(json_values)
def test_what_is_written_reads_back(it: Any) -> None:
    assert value(document.write({"it": it})) == {"it": it}


def test_every_fault_is_told_at_once_with_its_line() -> None:
    text = (
        JOB.replace("spark_etl", "spark") + "    time_out_seconds: 5\n    max_retries: '3'\npriority: 1000\n"
    )

    found = faults(text)

    assert [(line, path) for line, _, path, _ in found] == [
        (4, "$.tasks[0].job_type"), (7, "$.tasks[0].time_out_seconds"), (8, "$.tasks[0].max_retries"), (9, "$.priority"),
    ]  # fmt: skip
    assert "did you mean timeout_seconds?" in next(it[3] for it in found if it[0] == 7)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (JOB + "name: again\n", 7, "stands here a second time"),
        (JOB + "    params:\n      day: {{job.parameters.day}}\n", 8, 'a {{reference}} stands in quotes: "{{…}}"'),
        (JOB + "---\n" + JOB, 8, "nightly stands at jobs.yaml:1:1 already"),
        ("name: x\n", 1, "is missing"),
        ("- a\n", 1, "is no mapping"),
        (JOB + "description: !!python/object x\n", 7, "is not known here"),
        ("name: [x\n", 2, "expected"),
        ("source: a\njobs: []\n---\nsource: b\njobs: []\n", 4, "two sources: a and b"),
    ],
)  # fmt: skip
def test_a_fault_stands_where_it_is(text: str, line: int, message: str) -> None:
    found = faults(text)[0]

    assert (found[0], message in found[3]) == (line, True), found


def test_the_server_s_path_leads_to_the_line() -> None:
    jobs, _ = document.jobs_of(
        document.read("jobs:\n- name: a\n  tasks:\n  - {task_key: t, job_type: kb_catalog}\n", "f")
    )

    steps = document.steps_of("$.jobs[0].tasks[0].secrets: KEY")

    assert steps == ("jobs", 0, "tasks", 0, "secrets")
    assert str(jobs[0].spot(steps[2:])) == "f:4:5"
    assert document.steps_of("nothing of ours") is None


def test_code_and_specs_beside_the_document_go_in(tmp_path: Path) -> None:
    (tmp_path / "etl" / "lib").mkdir(parents=True)
    (tmp_path / "etl" / "job.py").write_text('"""Load all of it."""\n')
    (tmp_path / "etl" / "lib" / "a.py").write_text("x = 1\n")
    (tmp_path / "etl" / "__pycache__").mkdir()
    (tmp_path / "etl" / "__pycache__" / "job.pyc").write_bytes(b"\xff")
    (tmp_path / "why.md").write_text("Because it is so.")
    text = "name: a\ntasks: [{task_key: a, job_type: spark_etl, code: etl}, {task_key: b, job_type: spark_etl, spec: '@why.md', code: [etl/job.py, etl/lib]}]"

    jobs, _ = document.jobs_of(document.read(text, "f"))
    first, second = source.sent(jobs[0], tmp_path)["tasks"]

    assert first["code"] == {"files": {"job.py": '"""Load all of it."""\n', "lib/a.py": "x = 1\n"}}
    assert first["spec"] == "Load all of it."
    assert list(second["code"]["files"]) == ["job.py", "a.py"]
    assert second["spec"] == "Because it is so."


def test_a_file_that_is_not_there_is_told_at_its_line(tmp_path: Path) -> None:
    jobs, _ = document.jobs_of(document.read(JOB.replace('{files: {job.py: "print(1)"}}', "nowhere.py"), "f"))

    with pytest.raises(DocumentInvalid) as found:
        source.sent(jobs[0], tmp_path)

    assert (found.value.faults[0].spot.line, "no such file" in found.value.faults[0].message) == (6, True)


def test_what_is_laid_out_is_read_in_again(tmp_path: Path) -> None:
    job = {
        "name": "a b",
        "tasks": [
            {"task_key": "one", "job_type": "spark_etl", "spec": "Do it.", "code": {"files": {"job.py": "x\n"}}},
            {"task_key": "two", "job_type": "spark_etl", "spec": "Do it.", "code": {"files": {"lib/a.py": "y\n"}}},
            {"task_key": "all", "for_each": {"inputs": [1]}, "task": {"job_type": "spark_etl", "spec": "Do it.",
             "code": {"files": {"job.py": "z\n", "lib/b.py": ""}}}},
        ],
    }  # fmt: skip

    made, files = source.laid_out(job, "a-b")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    again, _ = document.jobs_of(document.read(document.write(made), "f"))

    assert made["tasks"][0]["code"] == "a-b/one/job.py"
    assert source.sent(again[0], tmp_path) == job
