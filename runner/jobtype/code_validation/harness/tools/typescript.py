"""TypeScript and JavaScript: deno lint and deno check, offline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, NoReport, Said, report

MAX_ROUNDS = 5

_DIAGNOSTIC = re.compile(
    r"(?m)^(?P<code>TS\d+) \[ERROR\]: (?P<message>.*(?:\n(?!TS\d+ \[)(?!    at ).*)*)\n    at (?P<path>file://\S+?):(?P<line>\d+):(?P<column>\d+)$"
)


class DenoLint:
    """Deno's own lints."""

    name = "deno-lint"
    distribution = "deno"
    uri = "https://docs.deno.com/lint"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("typescript", "javascript")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        said = bench.run(
            (bench.program("deno"), "lint", "--json", "--no-config", *_named(files)), environment=_deno(bench)
        )
        return parse_deno_lint(bench, report(said, 0, 1))


def parse_deno_lint(bench: Bench, form: Any) -> Heard:
    """deno lint's JSON: lines from 1, columns from 0. A file that does not parse is an error of it."""
    findings = [
        finding(
            each["code"],
            Level.WARNING,
            each["message"] if not each.get("hint") else f"{each['message']} {each['hint']}",
            bench.relative(each["filename"]),
            (each["range"]["start"]["line"], each["range"]["start"]["col"] + 1),
            (each["range"]["end"]["line"], each["range"]["end"]["col"] + 1),
            f"https://docs.deno.com/lint/rules/{each['code']}",
        )
        for each in form["diagnostics"]
    ]
    for each in form["errors"]:
        at = re.search(r":(\d+):(\d+)", str(each["message"]))
        place = (int(at[1]), int(at[2])) if at else (1, 1)
        message = str(each["message"]).splitlines()[0].split(" at file://")[0]
        findings.append(
            finding("syntax-error", Level.ERROR, message, bench.relative(each["file_path"]), place)
        )
    return Heard(tuple(findings))


class DenoCheck:
    """Types. What is imported from elsewhere cannot be had without a network, and then nothing is known."""

    name = "deno-check"
    distribution = "deno"
    uri = "https://docs.deno.com/runtime/reference/cli/check"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("typescript")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        problems: list[str] = []
        for _ in range(MAX_ROUNDS):
            said = self._once(bench, files)
            findings = tuple(parse_deno_check(bench, said))
            if said.code not in (0, 1):
                raise NoReport(f"exit code {said.code}: {said.last_words()}")
            if said.code == 0 or findings:
                foreign = tuple(each for each in findings if _is_foreign(each))
                problems += [f"{each.path}: {each.message}" for each in foreign]
                return Heard(tuple(each for each in findings if each not in foreign), tuple(problems))
            # one file that does not parse, or imports from elsewhere, keeps deno from all the others
            blamed = _blamed(bench, said)
            if "SyntaxError" not in said.stderr or blamed not in files:
                problems.append(f"{blamed}: {reason(said)}" if blamed else reason(said))
            files = tuple(each for each in files if each != blamed)
            if not files or not blamed:
                return Heard(problems=tuple(problems))
        return Heard(problems=(*problems, "and more files that keep it from the others"))

    def _once(self, bench: Bench, files: tuple[str, ...]) -> Said:
        options = ("--no-config", "--no-lock", "--no-remote", "--no-npm", "--quiet")
        return bench.run((bench.program("deno"), "check", *options, *_named(files)), environment=_deno(bench))


def parse_deno_check(bench: Bench, said: Said) -> Iterable[Finding]:
    """What deno check writes for people."""
    for each in _DIAGNOSTIC.finditer(said.stderr):
        message = each["message"].splitlines()[0]
        yield finding(
            each["code"],
            Level.ERROR,
            message,
            bench.relative(each["path"]),
            (int(each["line"]), int(each["column"])),
        )


def reason(said: Said) -> str:
    """Why types could not be checked: the line that says error."""
    for line in said.stderr.splitlines():
        if line.startswith(("error: ", "TS")):
            return line.removeprefix("error: ").split(" at file://")[0][:200]
    return f"exit code {said.code}"


def _is_foreign(each: Finding) -> bool:
    """An import by a bare name: it may well be right where the code will run."""
    return each.rule == "TS2307" and each.message.startswith('Import "')


def _named(files: tuple[str, ...]) -> tuple[str, ...]:
    """Names that are no options; deno takes what follows `--` for something else."""
    return tuple(f"./{each}" for each in files)


def _blamed(bench: Bench, said: Said) -> str:
    """The file that the last place of the message lies in; "" when it names none."""
    places = re.findall(r"at (file://\S+?):\d+:\d+", said.stderr)
    return bench.relative(places[-1]) if places else ""


def _deno(bench: Bench) -> dict[str, str]:
    return {"DENO_DIR": str(bench.home / "deno"), "DENO_NO_UPDATE_CHECK": "1", "DENO_NO_PROMPT": "1"}
