"""The code's own tests, by pytest: the one tool that runs the code, and so the last, alone.

What runs here can end, starve or deceive pytest, and so decide about its own tests; it cannot touch what the
others have found (that is in the harness' memory, and `seal` says why nobody gets at it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, NoReport

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_TEST = re.compile(r"(?m)^(?:async )?def (test\w*)\(")
_REPORT_LIMIT = 16 * 1024**2


class Pytest:
    """Runs on the code as it was submitted, with its `conftest.py`, without its configuration."""

    name = "pytest"
    distribution = "pytest"
    uri = "https://docs.pytest.org"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.tests if bench.request.tests != "off" else ()

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        config = bench.home / "pytest.ini"
        config.write_text("[pytest]\n")
        written = bench.home / "junit.xml"
        said = bench.run(
            (
                *bench.module("pytest"),
                f"--config-file={config}",
                f"--rootdir={bench.request.source}",
                f"--confcutdir={bench.request.source}",
                f"--override-ini=pythonpath={bench.request.source} {bench.request.source}/src",
                "--override-ini=junit_family=xunit1",
                "-p",
                "no:cacheprovider",
                "--quiet",
                f"--junitxml={written}",
                "--",
                *files,
            ),
            folder=bench.request.source,
            environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        if said.code not in (0, 1, 2):
            words = {3: "it had an internal error", 4: "it was used wrongly", 5: "it found no tests to run"}
            raise NoReport(words.get(said.code or -1, f"exit code {said.code}"))
        try:
            with written.open("rb") as file:
                data = file.read(_REPORT_LIMIT)
        except OSError:
            raise NoReport("it ended without a report: the tests ended it") from None
        expected = sum(len(set(_TEST.findall("\n".join(bench.survey.lines[path])))) for path in files)
        return parse_junit(bench, data, expected, _own_modules(bench.survey.text))


def parse_junit(bench: Bench, data: bytes, expected: int, own: frozenset[str]) -> Heard:
    """pytest's JUnit XML (xunit1: with files and lines, which count from 0)."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise NoReport("its report is not one that pytest writes")
    root = ElementTree.fromstring(data)  # noqa: S314 - entities, the one danger, were refused above
    findings: list[Finding] = []
    problems: list[str] = []
    ran = 0
    for case in root.iter("testcase"):
        ran += 1
        for each in (*case.iter("failure"), *case.iter("error")):
            text = f"{each.get('message') or ''}\n{each.text or ''}"
            missing = [name for name in _MISSING.findall(text) if name.split(".")[0] not in own]
            if missing:
                problems.append(f"the tests need {missing[0]}, which this engine does not have")
            else:
                findings.append(_failed(case, each, bench))
    if ran < expected and not problems:
        problems.append(f"{expected} tests are written and only {ran} ran")
    return Heard(tuple(findings), tuple(dict.fromkeys(problems)))


def _failed(case: Any, each: Any, bench: Bench) -> Finding:
    name = f"{case.get('classname') or ''}::{case.get('name') or ''}".strip(":")
    path = case.get("file") or str(case.get("name") or "").replace(".", "/") + ".py"
    line = case.get("line")
    # a failure begins with its reason; a test that never started ends with it
    reasons = [line[1:].strip() for line in (each.text or "").splitlines() if line.startswith("E ")]
    message = (each.get("message") or "").splitlines()[:1] if each.tag == "failure" else reasons[-1:]
    first = message[0] if message else str(each.get("message") or each.tag)
    at = (int(line) + 1 if line and line.isdigit() else 1, 1)
    known = path if path in bench.survey.lines else next(iter(bench.survey.tests), "")
    return finding(f"test-{each.tag}", Level.ERROR, f"{name}: {first}", bench.relative(known), at)


def _own_modules(paths: Iterable[str]) -> frozenset[str]:
    """The names that an import may find in the code itself: with one of them missing the code is wrong."""
    return frozenset(_names(paths))


def _names(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path.endswith(".py"):
            yield from path.removesuffix(".py").split("/")
