"""semgrep with rules of our own (rules/semgrep.yaml): dataflow that the linters do not follow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, report

RULES = Path(__file__).resolve().parent.parent / "rules" / "semgrep.yaml"
_LEVELS = {"ERROR": Level.ERROR, "WARNING": Level.WARNING, "INFO": Level.NOTE}
_LANGUAGES = ("python", "typescript", "javascript", "shell", "dockerfile")


class Semgrep:
    """Our rules, no registry, no metrics."""

    name = "semgrep"
    distribution = "semgrep"
    uri = "https://semgrep.dev"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of(*_LANGUAGES)

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        honour = () if bench.request.honours_suppressions else ("--disable-nosem",)
        said = bench.run(
            (
                # with our own interpreter: the script's first line names where the engine was built
                *bench.module("semgrep")[:-2],
                bench.program("pysemgrep"),
                "scan",
                f"--config={RULES}",
                "--json",
                "--quiet",
                "--metrics=off",
                "--disable-version-check",
                "--no-git-ignore",
                "--max-target-bytes=0",
                "--timeout=20",
                "--jobs=2",
                *honour,
                "--",
                *files,
            ),
            environment={
                "SEMGREP_SEND_METRICS": "off",
                "SEMGREP_SETTINGS_FILE": str(bench.home / "semgrep.yml"),
                "SSL_CERT_FILE": _trusted(bench.request.engine),
            },
        )
        form = report(said, 0, 1)
        return Heard(tuple(parse_semgrep(bench, form)), tuple(_problems(bench, form)))


def parse_semgrep(bench: Bench, form: Any) -> Iterable[Finding]:
    """semgrep's JSON; the lines it quotes are left out."""
    for each in form["results"]:
        yield finding(
            str(each["check_id"]).rpartition(".")[2],
            _LEVELS[each["extra"]["severity"]],
            each["extra"]["message"],
            bench.relative(each["path"]),
            (each["start"]["line"], each["start"]["col"]),
            (each["end"]["line"], each["end"]["col"]),
        )


def _problems(bench: Bench, form: Any) -> Iterable[str]:
    """Files it gave up on. That one does not parse in full is said by the linter of its language."""
    for each in form["errors"]:
        kind = str(each.get("type"))
        if "Syntax" not in kind and "Parsing" not in kind and "Partial" not in kind:
            yield f"{bench.relative(each.get('path', ''))}: {kind[:100]}"


def _trusted(engine: Path) -> str:
    """semgrep calls nobody, and yet does not start without somebody to trust; a sandbox has no /etc/ssl."""
    return str(next(engine.glob("lib/python3*/site-packages/certifi/cacert.pem"), ""))
