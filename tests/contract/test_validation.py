"""code_validation as it runs: the real tools, in the real sandbox, on code that is well, bad, and hostile.

Needs `scripts/setup --engines validation`.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.stack import state
from runner.dispatch.intake import Intake
from runner.dispatch.validation import Validation
from runner.dispatch.workspaces import Workspaces
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.jobtype.base import Place
from runner.jobtype.code_validation import CodeValidation
from runner.jobtype.code_validation.report import Report
from runner.model.attempt import Attempt, Code
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from tests.contract.conftest import Recorder, make_attempt
from tests.unit.code_validation import samples

STATIC = {"semgrep", "deno-check", "mypy", "pylint-odoo", "sqlfluff", "detect-secrets", "bandit", "deno-lint", "ruff",
          "squawk", "shellcheck", "hadolint"}  # fmt: skip


class Door:
    """Hands out one artifact."""

    def __init__(self) -> None:
        self.packed = b""

    async def fetch_input(self, attempt: Attempt, name: str, target: Path) -> None:
        assert name == ".code"
        await asyncio.to_thread(target.write_bytes, self.packed)


@dataclass
class Bench:
    """Validates, and remembers what was said meanwhile."""

    validation: Validation
    door: Door
    recorder: Recorder

    async def validate(self, code: Mapping[str, str] | bytes, seconds: float = 240, **params: Any) -> Report:
        if isinstance(code, bytes):
            self.door.packed = code
            asked = Code(artifact_id="0000")
        else:
            asked = Code(files=dict(code))
        attempt = make_attempt(timeout_seconds=seconds)
        return await self.validation.validate(attempt, asked, params, self.recorder)


@pytest.fixture
def bench(made_sandbox: Sandbox, folder: Path) -> Bench:
    engines = Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines")
    job_type = CodeValidation(Place(engines))
    (readiness,) = job_type.readiness()
    if not readiness.ready:
        pytest.skip(readiness.reason)
    door = Door()
    intake = Intake(None, None, door)  # type: ignore[arg-type]  # no tables here
    work = folder / "work"
    work.mkdir()
    work.chmod(0o711)
    validation = Validation(
        ProcessExecutor(made_sandbox), job_type, Workspaces(work, made_sandbox.owner), intake
    )
    return Bench(validation, door, Recorder())


def runs(report: Report) -> dict[str, dict[str, Any]]:
    return {each["tool"]["driver"]["name"]: each for each in json.loads(report.sarif)["runs"]}


def rules(report: Report, *tools: str) -> set[tuple[str, str, str, int]]:
    """Tool, rule, file and line of each result."""
    return {
        (
            name,
            each["ruleId"],
            each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            each["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for name, run in runs(report).items()
        if not tools or name in tools
        for each in run["results"]
    }


async def test_code_that_is_well_passes_every_tool(bench: Bench) -> None:
    report = await bench.validate(samples.GOOD)

    assert report.summary.verdict == "passed", (report.summary, rules(report))
    assert report.failure is None
    assert report.summary.unchecked == ()
    assert set(runs(report)) == STATIC | {"control-room", "pytest"}
    assert all(run["invocations"][0]["executionSuccessful"] for run in runs(report).values())
    assert bench.recorder.progressed[-1] == (100, "passed")


def zipped(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


#: One result of each tool that the code cannot be without.
CERTAIN = {
    ("ruff", "F821", "app.py"), ("ruff", "invalid-syntax", "syntax.py"), ("mypy", "operator", "app.py"),
    ("bandit", "B602", "app.py"), ("semgrep", "sql-made-of-text", "app.py"), ("semgrep", "download-runs", "run.sh"),
    ("detect-secrets", "SecretKeyword", "app.py"), ("sqlfluff", "AL04", "change.sql"),
    ("squawk", "ban-drop-column", "change.sql"), ("squawk", "syntax-error", "syntax.sql"),
    ("shellcheck", "SC2164", "run.sh"), ("hadolint", "DL3004", "Dockerfile"), ("deno-lint", "no-var", "main.ts"),
    ("deno-check", "TS2322", "main.ts"), ("pylint-odoo", "sql-injection", "shop/thing.py"),
    ("pytest", "test-failure", "tests/test_app.py"),
}  # fmt: skip


async def test_code_that_is_bad_cannot_choose_how_it_is_judged(bench: Bench) -> None:
    # every tool is told to look away, in every way that it knows
    code = {**samples.suppressed(samples.BAD), **samples.CONFIGURATION}
    packed = {name: text.encode() for name, text in code.items()}
    report = await bench.validate(zipped({**packed, "static/icon.png": b"\x89PNG\0"}))

    assert {(tool, rule, path) for tool, rule, path, _ in rules(report)} >= CERTAIN
    assert report.summary.verdict == "failed"
    assert report.summary.unchecked == ()
    assert report.failure is not None
    assert report.failure.code is TerminationCode.VALIDATION_FAILED
    # what was found is told without the secret, and without the places of this machine
    said = report.sarif.decode() + str(bench.recorder.lines) + str(report.values) + report.failure.message
    assert samples.PASSWORD not in said
    assert "/job" not in said
    assert "file://" not in said


HOSTILE = """
import glob, json, os, socket, threading, time

said = []
parent = os.getppid()

def attempt(name, act):
    try:
        act()
        said.append(name)
    except Exception:
        pass

attempt("the key in the request", lambda: open("/job/.control-room/request.json").read())
attempt("memory of the harness", lambda: open(f"/proc/{parent}/mem", "rb").read(1))
attempt("environment of the harness", lambda: open(f"/proc/{parent}/environ", "rb").read())
attempt("descriptors of the harness", lambda: os.listdir(f"/proc/{parent}/fd"))
attempt("the engine", lambda: open("/opt/engine/bin/owned", "w"))
attempt("the network", lambda: socket.create_connection(("1.1.1.1", 53), 2))
attempt("the metadata address", lambda: socket.create_connection(("169.254.169.254", 80), 2))
attempt("the root of the machine", lambda: open("/etc/shadow").read())

# a verdict of one's own
passed = json.dumps({"verdict": "passed", "fail_on": "error", "counts": {"error": 0, "warning": 0, "note": 0},
                     "unchecked": [], "languages": {"python": 1}, "files": 1, "worst": []})
for name in ("report.sarif", "summary.json", "summary.md"):
    with open(f"/job/outputs/{name}", "w") as file:
        file.write(passed)
open("/job/.control-room/seal", "w").write("0" * 64)
for file in glob.glob("/job/.control-room/library/**/*.py", recursive=True):
    open(file, "w").write("raise SystemExit(0)")

# and somebody who stays behind to write it again
if os.fork() == 0:
    os.setsid()
    while True:
        for name in ("report.sarif", "summary.json"):
            try:
                open(f"/job/outputs/{name}", "w").write(passed)
            except OSError:
                pass
        time.sleep(0.001)

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "reached" in item.name or "bad" in item.name]

def pytest_runtest_makereport(item, call):
    if "bad" in item.name:
        call.excinfo = None

def pytest_generate_tests(metafunc):
    if "reached" in metafunc.fixturenames:
        metafunc.parametrize("reached", [said])
"""


async def test_tests_that_run_decide_about_nothing_but_themselves(bench: Bench) -> None:
    report = await bench.validate(
        {
            "app.py": "def f():\n    return missing_name\n",
            "conftest.py": HOSTILE,
            "test_app.py": "def test_bad():\n    assert 1 == 2\n\n\ndef test_reached(reached):\n    assert reached == []\n",
        }
    )

    # what the tests say is theirs to forge; what the others have found stands
    assert ("ruff", "F821", "app.py", 2) in rules(report, "ruff")
    assert report.summary.verdict == "failed"
    assert rules(report, "pytest") == set(), "the tests reached what they should not"


KILL_ALL = "import os, signal; os.kill(-1, signal.SIGKILL)"
KILL_HARNESS = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(KILL_ALL, id="everybody"),
        pytest.param(KILL_HARNESS, id="the harness", marks=pytest.mark.needs("validation")),
    ],
)
async def test_whoever_ends_the_validation_does_not_pass(bench: Bench, code: str) -> None:
    with pytest.raises(Permanent) as caught:
        await bench.validate({"conftest.py": code, "test_a.py": "def test_a():\n    pass\n"})

    assert caught.value.code is TerminationCode.VALIDATION_FAILED


@pytest.mark.needs("validation")
async def test_tests_that_hang_leave_the_rest_of_the_report(bench: Bench) -> None:
    report = await bench.validate(
        {
            "run.sh": "#!/bin/sh\ncd $1\n",
            "test_a.py": "import time\n\n\ndef test_a():\n    time.sleep(600)\n",
        },
        seconds=70,
    )

    assert ("shellcheck", "SC2164", "run.sh", 2) in rules(report)
    assert report.summary.verdict == "inconclusive"
    assert [each.tool for each in report.summary.unchecked if "took longer" in each.reason] == ["pytest"]


async def test_a_bomb_goes_off_in_the_sandbox_and_is_named(bench: Bench) -> None:
    with pytest.raises(Permanent) as caught:
        await bench.validate(zipped({"a.sh": b"\0" * (80 * 1024**2)}))

    assert (caught.value.code, caught.value.message) == (
        TerminationCode.INVALID_CODE,
        "the code has more than 67108864 bytes",
    )


@pytest.mark.needs("validation")
async def test_a_thousand_files_of_every_language_are_checked_in_time(bench: Bench) -> None:
    many = {
        f"part{n}/{name}": text.encode()
        for n in range(100)
        for name, text in samples.GOOD.items()
        if not name.startswith("tests/")
    }
    report = await bench.validate(zipped(many), seconds=600)

    assert report.summary.unchecked == ()
    assert report.summary.verdict == "passed"


@pytest.mark.needs("validation")
async def test_every_tool_says_what_was_recorded(bench: Bench) -> None:
    report = await bench.validate(samples.BAD)
    recorded = json.loads((Path(samples.__file__).parent / "recorded.json").read_text())

    assert set(runs(report)) - {"control-room"} == set(recorded) - {"odoo-install"}
    assert report.summary.unchecked == ()
