"""What each tool says, as recorded, and what we make of it. `record` writes recorded.json anew."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.jobtype.code_validation.harness import tools
from runner.jobtype.code_validation.harness.finding import Heard
from runner.jobtype.code_validation.harness.survey import survey
from runner.jobtype.code_validation.harness.tool import Bench, NoReport, Said, Tool

from . import samples
from .record import RECORDED, request

TOOLS = {tool.name: tool for tool in (*tools.STATIC, *tools.LAST)}
HEARD: dict[str, Any] = json.loads(RECORDED.read_text())


@dataclass(frozen=True, slots=True)
class Replay(Bench):
    """A bench on which programs say what was recorded."""

    said: list[dict[str, Any]] = field(default_factory=list)
    junit: str | None = None

    def run(self, argv: Sequence[str], **options: Any) -> Said:
        if self.junit is not None:
            (self.home / "junit.xml").write_text(self.junit)
        each = self.said.pop(0)
        if each["code"] is None:
            raise NoReport("it took longer than 1 s")
        return Said(each["code"], each["stdout"], each["stderr"])


def replay(tmp_path: Path, said: list[dict[str, Any]], junit: str | None = None, **changes: Any) -> Replay:
    asked = request(Path("/job"), Path("/opt/engine"), **changes)
    source, copy = tmp_path / "source", tmp_path / "checked"
    for name, text in samples.BAD.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    found = survey(source, copy, [], honour=False)
    return Replay(asked, found, time.monotonic() + 100, tmp_path, said=said, junit=junit)


def heard(tmp_path: Path, name: str) -> Heard:
    entry = HEARD[name]
    bench = replay(tmp_path, [dict(each) for each in entry["said"]], entry.get("junit"))
    files = TOOLS[name].files(bench)
    assert list(files) == entry["files"]
    return TOOLS[name].check(bench, files)


def places(found: Heard) -> list[tuple[str, str, str, int, int]]:
    return sorted((f.rule, f.level.value, f.path, f.line, f.column) for f in found.findings)


EXPECTED: dict[str, list[tuple[str, str, str, int, int]]] = {
    "bandit": [
        ("B105", "note", "app.py", 7, 16),
        ("B404", "note", "app.py", 2, 1),
        ("B506", "warning", "app.py", 9, 5),
        ("B602", "error", "app.py", 8, 5),
        ("B608", "warning", "app.py", 18, 20),
        ("B608", "warning", "shop/thing.py", 8, 29),
    ],
    "deno-check": [
        ("TS2322", "error", "main.ts", 2, 3),
    ],
    "deno-lint": [
        ("no-unused-vars", "warning", "main.ts", 4, 5),
        ("no-var", "warning", "main.ts", 4, 1),
        ("syntax-error", "error", "syntax.ts", 1, 14),
    ],
    "detect-secrets": [
        ("SecretKeyword", "error", "app.py", 7, 1),
    ],
    "hadolint": [
        ("DL3003", "warning", "Dockerfile", 2, 1),
        ("DL3004", "error", "Dockerfile", 2, 1),
        ("DL3007", "warning", "Dockerfile", 1, 1),
    ],
    "mypy": [
        ("call-arg", "error", "app.py", 21, 1),
        ("name-defined", "error", "app.py", 14, 12),
        ("operator", "error", "app.py", 10, 22),
        ("syntax", "error", "syntax.py", 1, 12),
        ("syntax", "error", "syntax.py", 1, 13),
    ],
    "pylint-odoo": [
        ("invalid-commit", "error", "shop/thing.py", 9, 9),
        ("license-allowed", "note", "shop/__manifest__.py", 1, 54),
        ("manifest-version-format", "note", "shop/__manifest__.py", 1, 15),
        ("sql-injection", "error", "shop/thing.py", 8, 9),
    ],
    "pytest": [
        ("test-failure", "error", "tests/test_app.py", 5, 1),
    ],
    "ruff": [
        ("F401", "warning", "app.py", 1, 8),
        ("F821", "error", "app.py", 14, 12),
        ("F841", "warning", "app.py", 7, 5),
        ("invalid-syntax", "error", "syntax.py", 1, 12),
        ("invalid-syntax", "error", "syntax.py", 1, 13),
    ],
    "semgrep": [
        ("download-runs", "error", "run.sh", 3, 1),
        ("sql-made-of-text", "warning", "app.py", 18, 20),
        ("sql-made-of-text", "warning", "shop/thing.py", 8, 29),
    ],
    "shellcheck": [
        ("SC2035", "note", "run.sh", 4, 15),
        ("SC2045", "error", "run.sh", 4, 10),
        ("SC2086", "note", "run.sh", 2, 4),
        ("SC2086", "note", "run.sh", 4, 31),
        ("SC2164", "warning", "run.sh", 2, 1),
    ],
    "sqlfluff": [
        ("AL04", "warning", "change.sql", 3, 54),
        ("PRS", "note", "syntax.sql", 1, 1),
    ],
    "squawk": [
        ("ban-drop-column", "warning", "change.sql", 2, 20),
        ("prefer-robust-stmts", "note", "change.sql", 1, 1),
        ("prefer-robust-stmts", "note", "change.sql", 2, 20),
        ("require-concurrent-index-creation", "warning", "change.sql", 1, 1),
        ("require-lock-timeout", "note", "change.sql", 1, 1),
        ("require-statement-timeout", "note", "change.sql", 1, 1),
        ("syntax-error", "error", "syntax.sql", 1, 1),
        ("syntax-error", "error", "syntax.sql", 1, 7),
    ],
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_report_is_read_to_the_place(tmp_path: Path, name: str) -> None:
    found = heard(tmp_path, name)

    assert places(found) == [tuple(each) for each in EXPECTED[name]]
    assert found.problems == ()


def test_what_may_be_a_password_is_quoted_by_nobody(tmp_path: Path) -> None:
    assert samples.PASSWORD in json.dumps(HEARD["bandit"])
    found = heard(tmp_path, "bandit")

    assert samples.PASSWORD not in repr(found.findings)


def test_the_secret_is_known_to_be_struck_out_and_is_not_printed(tmp_path: Path) -> None:
    found = heard(tmp_path, "detect-secrets")

    assert found.secrets == (("app.py", 7, samples.PASSWORD),)
    assert samples.PASSWORD not in repr(found)


SILENT = {"code": 0, "stdout": "", "stderr": ""}


@pytest.mark.parametrize("name", sorted(set(HEARD) - {"odoo-install", "pytest"}))
@pytest.mark.parametrize(
    "said",
    [
        SILENT,
        {"code": 2, "stdout": "", "stderr": "Traceback (most recent call last):"},
        {"code": 1, "stdout": "not JSON", "stderr": ""},
        {"code": 1, "stdout": '[{"unknown": "shape"}]', "stderr": ""},
        {"code": 139, "stdout": "[]", "stderr": ""},
        {"code": None},
    ],
    ids=["silent", "trouble", "no JSON", "other JSON", "odd exit", "no time"],
)
def test_a_tool_that_does_not_report_has_not_checked(tmp_path: Path, name: str, said: dict[str, Any]) -> None:
    if said == SILENT and name in ("mypy", "deno-check"):
        return  # what they say when all is well
    bench = replay(tmp_path, [said, said])
    try:
        found = TOOLS[name].check(bench, TOOLS[name].files(bench))
    except Exception:
        return  # the harness takes any exception of a tool for "could not check" (test_harness)

    assert found.problems != ()


@pytest.mark.parametrize(
    ("kind", "value", "level"),
    [
        ("Secret Keyword", "hunter2hunter2", "error"),
        ("Secret Keyword", "SECRET_IN_OUTPUT", "warning"),
        ("Secret Keyword", "changeme", "warning"),
        ("AWS Access Key", "AKIA" + "I" * 16, "error"),
        ("Hex High Entropy String", "0123456789abcdef0123", "warning"),
    ],
)
def test_a_name_alone_makes_no_secret_of_a_word(tmp_path: Path, kind: str, value: str, level: str) -> None:
    said = {"code": 0, "stdout": json.dumps([["a.py", 3, kind, value]]), "stderr": ""}
    found = TOOLS["detect-secrets"].check(replay(tmp_path, [said]), ("a.py",))

    assert [each.level.value for each in found.findings] == [level]


def junit(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


OK = '<testcase classname="tests.test_app" name="test_good" file="tests/test_app.py" line="0"/>'


@pytest.mark.parametrize(
    ("code", "report", "problem"),
    [
        (0, junit(OK), "2 tests are written and only 1 ran"),
        (5, None, "it found no tests to run"),
        (0, None, "it ended without a report: the tests ended it"),
        (3, None, "it had an internal error"),
        (
            2,
            junit(
                '<testcase name="tests.test_app"><error message="collection failure">'
                "E   ModuleNotFoundError: No module named 'pyspark.sql'</error></testcase>"
            ),
            "the tests need pyspark.sql, which this engine does not have",
        ),
    ],
)
def test_tests_that_did_not_run_are_no_pass(
    tmp_path: Path, code: int, report: str | None, problem: str
) -> None:
    bench = replay(tmp_path, [{"code": code, "stdout": "", "stderr": ""}], report)
    tool = TOOLS["pytest"]
    try:
        found = tool.check(bench, tool.files(bench))
        problems = found.problems
    except NoReport as error:
        problems = (str(error),)

    assert problems == (problem,)


def test_an_import_that_the_code_itself_should_satisfy_is_its_fault(tmp_path: Path) -> None:
    case = (
        '<testcase name="tests.test_app"><error message="collection failure">'
        "E   ModuleNotFoundError: No module named 'app.missing'</error></testcase>"
    )
    bench = replay(tmp_path, [{"code": 2, "stdout": "", "stderr": ""}], junit(case))
    found = TOOLS["pytest"].check(bench, TOOLS["pytest"].files(bench))

    assert [f.rule for f in found.findings] == ["test-error"]


def test_a_report_with_entities_is_not_read(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + junit(OK)
    bench = replay(tmp_path, [{"code": 0, "stdout": "", "stderr": ""}], bomb)
    with pytest.raises(NoReport):
        TOOLS["pytest"].check(bench, TOOLS["pytest"].files(bench))


def test_installing_an_odoo_module_without_an_odoo_says_what_is_missing(tmp_path: Path) -> None:
    tool = TOOLS["odoo-install"]
    assert tool.files(replay(tmp_path / "lint", [], odoo="lint")) == ()
    asked = replay(tmp_path / "install", [], odoo="install", odoo_missing="scripts/setup --engines odoo")
    assert tool.files(asked) == ("shop",)
    with pytest.raises(NoReport, match="scripts/setup --engines odoo"):
        tool.check(asked, ("shop",))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            "error: npm specifiers were requested; but --no-npm is specified\n"
            "    at file:///job/.control-room/checked/main.ts:1:19\n",
            "main.ts: npm specifiers were requested; but --no-npm is specified",
        ),
        (
            'TS2307 [ERROR]: Import "left-pad" not a dependency\n'
            "  hint: If you want to use the npm package, try running `deno add npm:left-pad`\n"
            "    at file:///job/.control-room/checked/main.ts:1:15\n\nerror: Type checking failed.\n",
            'main.ts: Import "left-pad" not a dependency',
        ),
    ],
)
def test_types_from_elsewhere_leave_a_file_unchecked(tmp_path: Path, said: str, problem: str) -> None:
    well = {"code": 0, "stdout": "", "stderr": ""}
    bench = replay(tmp_path, [{"code": 1, "stdout": "", "stderr": said}, well])
    found = TOOLS["deno-check"].check(bench, TOOLS["deno-check"].files(bench))

    assert found.problems == (problem,)
    assert found.findings == ()


def test_every_tool_has_been_recorded() -> None:
    assert set(HEARD) == set(TOOLS)


def test_a_program_that_hangs_or_floods_is_ended(tmp_path: Path) -> None:
    asked = request(tmp_path, Path("/usr"))
    asked.checked.mkdir(parents=True)
    bench = Bench(
        asked, replay(tmp_path / "x", []).survey, time.monotonic() + 100, tmp_path, most_seconds=0.3
    )
    began = time.monotonic()
    for program in ("sleep 60", "sleep 60 & exec sleep 60", "yes"):
        with pytest.raises(NoReport):
            bench.run(("/bin/sh", "-c", program))

    assert time.monotonic() - began < 10


def tool_names(which: Sequence[Tool]) -> list[str]:
    return [each.name for each in which]


def test_whatever_may_run_the_code_comes_last() -> None:
    assert tool_names(tools.LAST) == ["pylint-odoo", "pytest", "odoo-install"]
