"""Python: ruff, mypy, bandit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, NoReport, Said, report

#: What is looked for: what breaks (E9, F, PLE), what is likely wrong (B, ASYNC, W605), and little taste (E7).
RUFF_RULES = "ASYNC,B,E7,E9,F,PLE,W605"
_BREAKS = ("E9", "PLE", "F5", "F6", "F7", "F82")

#: Types that do not fit at a place that runs; the rest of mypy's codes are likely wrong, or taste.
_MYPY_ERRORS = frozenset(
    [
        "syntax",
        "name-defined",
        "used-before-def",
        "attr-defined",
        "call-arg",
        "call-overload",
        "arg-type",
        "return-value",
        "operator",
        "index",
        "abstract",
        "valid-type",
        "override",
    ]
)
_BANDIT_LEVELS = {"HIGH": Level.ERROR, "MEDIUM": Level.WARNING, "LOW": Level.NOTE}
#: Rules of bandit whose words quote what may be a password.
_QUOTES_SECRETS = frozenset({"B105", "B106", "B107"})


class Ruff:
    """Style and mistakes, and the judge of syntax."""

    name = "ruff"
    distribution = "ruff"
    uri = "https://docs.astral.sh/ruff"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("python")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        honour = () if bench.request.honours_suppressions else ("--ignore-noqa",)
        options = ("--isolated", "--no-cache", "--quiet", "--output-format=json", "--target-version=py313")
        # to import is what a package's __init__ is for, and an Odoo manifest is a bare dictionary
        usual = ("--per-file-ignores=__init__.py:F401", "--per-file-ignores=__manifest__.py:B018")
        said = bench.run(
            (
                bench.program("ruff"),
                "check",
                *options,
                *honour,
                f"--select={RUFF_RULES}",
                *usual,
                "--",
                *files,
            )
        )
        return Heard(tuple(parse_ruff(bench, report(said, 0, 1))))


def parse_ruff(bench: Bench, form: Any) -> Iterable[Finding]:
    """ruff's own JSON."""
    for each in form:
        code = each["code"] or "invalid-syntax"
        if code == "invalid-syntax" or code.startswith(_BREAKS):
            level = Level.ERROR
        else:
            level = Level.NOTE if code.startswith("E") else Level.WARNING
        at, until = each["location"], each["end_location"]
        yield finding(
            code,
            level,
            each["message"],
            bench.relative(each["filename"]),
            (at["row"], at["column"]),
            (until["row"], until["column"]),
            each.get("url"),
        )


class Mypy:
    """Types. What the code imports and this engine has not counts as Any, as it does on its author's desk
    without stubs."""

    name = "mypy"
    distribution = "mypy"
    uri = "https://mypy.readthedocs.io"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("python")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        findings, blocked = self._once(bench, files)
        left = tuple(each for each in files if each not in blocked)
        if blocked and left and len(left) < len(files):
            # one file that does not parse keeps mypy from all the others
            more, blocked_again = self._once(bench, left)
            if blocked_again:
                raise NoReport("files that do not parse keep it from the others")
            findings += more
        return Heard(tuple(findings))

    def _once(self, bench: Bench, files: tuple[str, ...]) -> tuple[list[Finding], set[str]]:
        said = bench.run(
            (
                *bench.module("mypy"),
                "--config-file=",
                "--no-incremental",
                "--cache-dir=/dev/null",
                "--ignore-missing-imports",
                "--namespace-packages",
                "--explicit-package-bases",
                "--no-site-packages",
                "--scripts-are-modules",
                "--output=json",
                "--",
                *files,
            )
        )
        findings = list(parse_mypy(bench, said))
        blocked = {each.path for each in findings if each.rule == "syntax"} if said.code == 2 else set()
        if (said.code not in (0, 1) and not blocked) or (said.code == 1 and not findings):
            raise NoReport(f"exit code {said.code}: {said.last_words() or _last(said.stdout)}")
        return findings, blocked


def parse_mypy(bench: Bench, said: Said) -> Iterable[Finding]:
    """mypy's lines of JSON; columns count from 0, but those of the parser from 1."""
    for line in said.stdout.splitlines():
        if not line.startswith("{"):
            continue
        each = json.loads(line)
        code = each["code"] or "misc"
        if each["severity"] != "error":
            continue  # a note belongs to the error before it
        yield finding(
            code,
            Level.ERROR if code in _MYPY_ERRORS else Level.WARNING,
            each["message"],
            bench.relative(each["file"]),
            (each["line"], each["column"] + (code != "syntax")),
            (each.get("end_line"), (each.get("end_column") or 0) + (code != "syntax")),
            f"https://mypy.readthedocs.io/en/stable/_refs.html#code-{code}",
        )


class Bandit:
    """Insecure calls."""

    name = "bandit"
    distribution = "bandit"
    uri = "https://bandit.readthedocs.io"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return tuple(each for each in bench.survey.of("python") if each.endswith(".py"))

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        honour = () if bench.request.honours_suppressions else ("--ignore-nosec",)
        options = ("--format=json", "--quiet", "--exclude=/nowhere", *honour)
        said = bench.run((*bench.module("bandit"), *options, "--", *files))
        return parse_bandit(bench, report(said, 0, 1))


def parse_bandit(bench: Bench, form: Any) -> Heard:
    """bandit's JSON. A file that does not parse is ruff's finding; any other trouble is a problem."""
    findings = []
    for each in form["results"]:
        if each["test_id"] == "B101" and bench.relative(each["filename"]) in bench.survey.tests:
            continue  # a test asserts
        message = each["issue_text"]
        if each["test_id"] in _QUOTES_SECRETS:
            message = "Possible hardcoded password"
        findings.append(
            finding(
                each["test_id"],
                _BANDIT_LEVELS[each["issue_severity"]],
                f"{message} ({each['test_name']}, confidence {each['issue_confidence'].lower()})",
                bench.relative(each["filename"]),
                (each["line_number"], each["col_offset"] + 1),
                (None, None),
                each["more_info"],
            )
        )
    problems = tuple(
        f"{bench.relative(each['filename'])}: {each['reason']}"
        for each in form["errors"]
        if "syntax error" not in each["reason"]
    )
    return Heard(tuple(findings), problems)


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
