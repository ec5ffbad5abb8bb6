"""From checks to the verdict, the SARIF report and its seal; and the report on its way back, read as hostile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic_sarif import model as oasis  # generated from the schema that OASIS publishes

from runner.jobtype.base import Collected, Exit, Place
from runner.jobtype.code_validation import KEY_FILE, CodeValidation, parameters
from runner.jobtype.code_validation.harness import sarif, seal, verdict
from runner.jobtype.code_validation.harness.__main__ import _without
from runner.jobtype.code_validation.harness.finding import Check, Finding, Level, finding
from runner.jobtype.code_validation.harness.survey import Survey
from runner.jobtype.code_validation.harness.tool import Bench
from runner.model.attempt import Attempt, Code
from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from runner.transfer import scanner
from tests.contract.conftest import make_attempt

from . import samples
from .record import request

KEY = b"k" * 32
ROOT = Path("/job")


def check(*findings: Finding, problems: Sequence[str] = (), tool: str = "ruff") -> Check:
    return Check(
        tool=tool, version="1.0", uri="https://x.example", files=1, seconds=0.5, findings=findings,
        problems=tuple(problems),
    )  # fmt: skip


def found(level: Level = Level.ERROR, **changes: Any) -> Finding:
    form: dict[str, Any] = {"rule": "F821", "level": level, "message": "no such name", "path": "a.py"}
    return Finding(**{**form, **changes})


def surveyed(*paths: str) -> Survey:
    made = Survey(text=list(paths))
    made.by_language["python"] = list(paths)
    made.lines = {path: ["x = y", "z = y"] for path in paths}
    return made


def judged(*checks: Check, survey: Survey | None = None, **asked: Any) -> str:
    request_ = request(ROOT, Path("/opt/engine"), **asked)
    return str(verdict.summary(request_, survey or surveyed("a.py"), checks)["verdict"])


@pytest.mark.parametrize(
    ("level", "gate", "expected"),
    [
        (Level.ERROR, Level.ERROR, "failed"),
        (Level.WARNING, Level.ERROR, "passed"),
        (Level.WARNING, Level.WARNING, "failed"),
        (Level.NOTE, Level.WARNING, "passed"),
        (Level.NOTE, Level.NOTE, "failed"),
    ],
)
def test_a_finding_at_the_gate_fails(level: Level, gate: Level, expected: str) -> None:
    assert judged(check(found(level)), fail_on=gate) == expected


def test_a_tool_that_could_not_check_keeps_from_a_pass() -> None:
    assert judged(check(), check(problems=["it took longer than 60 s"], tool="mypy")) == "inconclusive"


def test_a_finding_counts_more_than_what_is_not_known() -> None:
    assert judged(check(found()), check(problems=["it crashed"], tool="mypy")) == "failed"


def test_what_a_job_accepts_by_name_does_not_keep_from_a_pass() -> None:
    crashed = check(problems=["it crashed"], tool="mypy")

    assert judged(crashed, accept_unchecked=frozenset({"mypy"})) == "passed"
    assert judged(crashed, accept_unchecked=frozenset({"ruff"})) == "inconclusive"


def test_nothing_to_check_is_no_pass() -> None:
    assert judged(survey=Survey(text=["README.md"], unknown=["README.md"])) == "inconclusive"


def test_required_tests_that_are_not_there_are_no_pass() -> None:
    assert judged(check(), tests="required") == "inconclusive"


def test_the_report_is_sarif() -> None:
    whole = sarif.log(
        [
            check(
                found(),
                found(Level.NOTE, line=2, column=3, end_line=2, end_column=9, help_uri="https://x.example/y"),
            ),
            check(found(path="dir with blank/a#b.py"), problems=["it crashed"], tool="mypy"),
            check(tool="squawk"),
        ],
        surveyed("a.py").lines,
    )
    read = oasis.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate_json(json.dumps(whole))

    assert [run.tool.driver.name for run in read.runs] == ["ruff", "mypy", "squawk"]
    assert [run.invocations[0].executionSuccessful for run in read.runs if run.invocations] == [
        True,
        False,
        True,
    ]
    place = whole["runs"][1]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "dir%20with%20blank/a%23b.py", "uriBaseId": "%SRCROOT%"}


def test_the_schema_would_notice() -> None:
    whole = sarif.log([check(found())], {})
    whole["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(ValueError, match="level"):
        oasis.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(whole)


def fingerprints(lines: list[str], *findings: Finding) -> list[str]:
    whole = sarif.log([check(*findings)], {"a.py": lines})
    return [each["partialFingerprints"][sarif.FINGERPRINT] for each in whole["runs"][0]["results"]]


def test_a_fingerprint_survives_lines_that_move_and_tells_twins_apart() -> None:
    before = fingerprints(["x = y", "x = y"], found(line=1), found(line=2))
    after = fingerprints(["", "  x = y", "x = y"], found(line=2), found(line=3))

    assert before == after
    assert before[0] != before[1]


def test_the_fingerprint_of_a_secret_holds_nothing_of_it() -> None:
    one = fingerprints(["password = 'one'"], found(about_secret=True))
    other = fingerprints(["password = 'other'"], found(about_secret=True))

    assert one == other


def test_the_worst_are_kept_when_there_are_too_many() -> None:
    many = [found(Level.NOTE, line=n) for n in range(1, sarif.MAX_RESULTS + 100)]
    whole = sarif.log([check(*many, found(line=7))], {})
    results = whole["runs"][0]["results"]

    assert (len(results), results[0]["level"]) == (sarif.MAX_RESULTS, "error")
    assert whole["runs"][0]["invocations"][0]["executionSuccessful"] is True
    assert "601" not in str(whole["runs"][0]["invocations"])
    assert "600 results" in str(whole["runs"][0]["invocations"])


def test_a_secret_is_struck_out_of_what_any_tool_says() -> None:
    said = found(message=f"expected {samples.PASSWORD!r}, got x", line=7)
    bench = Bench(request(ROOT, Path("/opt/engine")), surveyed("a.py"), 0.0, Path("/tmp/home"))
    (left,) = _without(bench, [("a.py", 7, samples.PASSWORD)], [said])

    assert samples.PASSWORD not in left.message
    assert left.about_secret


def test_places_of_the_sandbox_are_struck_out() -> None:
    bench = Bench(request(ROOT, Path("/opt/engine")), surveyed("a.py"), 0.0, Path("/tmp/home"))
    (left,) = _without(bench, [], [found(message="Cannot find 'file:///job/.control-room/checked/b.ts'.")])

    assert left.message == "Cannot find 'b.ts'."


def test_what_a_tool_says_is_bounded_and_legible() -> None:
    made = finding(
        "r\x1b[31m", Level.NOTE, "a\x00b\n" + "c" * 5000, "a.py", (0, -3), (None, None), "javascript:x"
    )

    assert (made.line, made.column, made.help_uri) == (1, 1, None)
    assert made.message.isprintable()
    assert len(made.message) == 1000
    assert made.rule.isprintable()


def test_the_page_quotes_what_is_not_ours() -> None:
    bad = check(found(message="`</a><img src=x> [x](javascript:y)"))
    summary = verdict.summary(request(ROOT, Path("/opt/engine")), surveyed("a.py"), [bad])
    page = verdict.page(summary, [bad])

    assert "`'</a><img src=x> [x](javascript:y)`" in page


# -- on its way back


class Left:
    """A workspace as the harness leaves it."""

    def __init__(self, folder: Path, *checks: Check, **asked: Any) -> None:
        self.workspace = Workspace(root=folder / "job", kept=folder / "kept")
        for each in (self.workspace.outputs, self.workspace.side_channel, self.workspace.kept):
            each.mkdir(parents=True)
        (self.workspace.kept / KEY_FILE).write_bytes(KEY)
        summary = verdict.summary(request(ROOT, Path("/opt/engine"), **asked), surveyed("a.py"), checks)
        self.files = {
            "report.sarif": json.dumps(sarif.log(checks, {})).encode(),
            "summary.json": json.dumps(summary).encode(),
            "summary.md": verdict.page(summary, checks).encode(),
        }
        for name, data in self.files.items():
            (self.workspace.outputs / name).write_bytes(data)
        self.seal(seal.of(KEY, self.files))

    def seal(self, text: str) -> None:
        (self.workspace.side_channel / "seal").write_text(text)

    def collect(self, code: int = 0) -> Collected:
        return CodeValidation(Place(None)).collect(attempt(), self.workspace, Exit(code))


def attempt(**params: Any) -> Attempt:
    return make_attempt(code=Code(files={"a.py": ""}), params=params)


def test_a_pass_has_a_report_and_no_failure(tmp_path: Path) -> None:
    collected = Left(tmp_path, check(found(Level.NOTE))).collect()

    assert collected.failure is None
    assert [(each.name, each.kind) for each in collected.artifacts] == [
        ("report.sarif", "report"),
        ("summary.md", "report"),
        ("summary.json", "report"),
    ]
    assert collected.values["verdict"] == "passed"
    assert collected.values["counts"] == {"error": 0, "warning": 0, "note": 1}


def test_a_failed_gate_fails_for_good_with_the_report(tmp_path: Path) -> None:
    collected = Left(tmp_path, check(found())).collect()

    assert isinstance(collected.failure, Permanent)
    assert collected.failure.code is TerminationCode.VALIDATION_FAILED
    assert "1 errors" in collected.failure.message
    assert "a.py:1: ruff F821" in collected.failure.message
    assert len(collected.artifacts) == 3
    assert collected.values["verdict"] == "failed"


def test_an_inconclusive_validation_fails_and_names_the_tool(tmp_path: Path) -> None:
    collected = Left(tmp_path, check(problems=["it took longer than 60 s"], tool="mypy")).collect()

    assert isinstance(collected.failure, Permanent)
    assert collected.failure.code is TerminationCode.VALIDATION_FAILED
    assert collected.failure.message.startswith("inconclusive")
    assert "mypy: it took longer than 60 s" in collected.failure.message


def refused(left: Left, code: int = 0) -> Permanent:
    with pytest.raises(Permanent) as caught:
        left.collect(code)
    return caught.value


@pytest.mark.parametrize("name", ["report.sarif", "summary.json", "summary.md"])
def test_a_file_that_was_changed_is_not_believed(tmp_path: Path, name: str) -> None:
    left = Left(tmp_path, check(found()))
    (left.workspace.outputs / name).write_bytes(left.files[name].replace(b"failed", b"passed") + b" ")

    assert refused(left).code is TerminationCode.VALIDATION_FAILED


def test_a_report_under_another_key_is_not_believed(tmp_path: Path) -> None:
    left = Left(tmp_path, check())
    left.seal(seal.of(b"x" * 32, left.files))

    assert "seal is not ours" in refused(left).message


@pytest.mark.parametrize("gone", ["outputs/report.sarif", "outputs/summary.json", ".control-room/seal"])
def test_a_report_that_is_not_whole_is_not_believed(tmp_path: Path, gone: str) -> None:
    left = Left(tmp_path, check())
    (left.workspace.root / gone).unlink()

    assert refused(left).code is TerminationCode.VALIDATION_FAILED


def test_a_report_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    left = Left(tmp_path, check())
    (left.workspace.outputs / "report.sarif").unlink()
    (left.workspace.outputs / "report.sarif").symlink_to("/etc/passwd")

    assert refused(left).code is TerminationCode.OUTPUT_INVALID


def test_a_validation_that_was_ended_from_inside_is_no_pass(tmp_path: Path) -> None:
    assert refused(Left(tmp_path, check()), 137).code is TerminationCode.VALIDATION_FAILED


def test_code_that_cannot_be_unpacked_says_why(tmp_path: Path) -> None:
    left = Left(tmp_path, check())
    (left.workspace.side_channel / "refused.json").write_text(json.dumps("the code has more than 5000 files"))

    assert (refused(left, 65).code, refused(left, 65).message) == (
        TerminationCode.INVALID_CODE,
        "the code has more than 5000 files",
    )


def test_tools_that_never_started_may_start_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(Retryable):
        Left(tmp_path, check()).collect(127)


def test_the_report_passes_the_search_for_secrets_that_all_outputs_meet(tmp_path: Path) -> None:
    rules = ("B105", "SecretKeyword", "AwsAccessKey", "generic-token", "private-key")
    left = Left(tmp_path, check(*(found(rule=rule, line=n + 1) for n, rule in enumerate(rules))))

    assert [scanner.scan(left.workspace.outputs / name) for name in left.files] == [(), (), ()]


# -- parameters


def test_the_gate_is_the_tenants_unless_the_job_has_one() -> None:
    tenant = make_attempt(code=Code(files={"a.py": ""}), validation_fail_on="warning")

    assert parameters(tenant)["fail_on"] == "warning"
    assert parameters(attempt())["fail_on"] == "error"
    assert parameters(attempt(fail_on="note"))["fail_on"] == "note"


@pytest.mark.parametrize(
    "params",
    [
        {"fail_on": "never"},
        {"tests": True},
        {"sql_dialect": "cobol"},
        {"accept_unchecked": "mypy"},
        {"odoo": None},
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(Permanent) as caught:
        parameters(attempt(**params))

    assert caught.value.code is TerminationCode.INVALID_CODE
