"""Writes recorded.json: what the tools of this machine's engine say about `samples.BAD`.

    .venv/bin/python -m tests.unit.code_validation.record

Needs `scripts/setup --engines validation`; run it after a version in engines/validation.txt has moved, and
read the difference.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.stack import state
from runner.jobtype.code_validation.harness import tools
from runner.jobtype.code_validation.harness.finding import Level
from runner.jobtype.code_validation.harness.request import Request
from runner.jobtype.code_validation.harness.survey import survey
from runner.jobtype.code_validation.harness.tool import Bench, Said

from . import samples

RECORDED = Path(__file__).parent / "recorded.json"


def request(root: Path, engine: Path, **changes: Any) -> Request:
    """What the harness would have read."""
    form: dict[str, Any] = {
        "root": root, "key": b"k" * 32, "packed": None, "fail_on": Level.ERROR, "accept_unchecked": frozenset(),
        "suppressions": "ignore", "tests": "auto", "sql_dialect": "postgres", "odoo": "lint", "seconds": 100.0,
        "engine": engine,
    }  # fmt: skip
    return Request(**{**form, **changes})


@dataclass(frozen=True, slots=True)
class Recording(Bench):
    """A bench that keeps what programs say."""

    kept: list[dict[str, Any]] = field(default_factory=list)

    def run(self, argv: Sequence[str], **options: Any) -> Said:
        said = Bench.run(self, argv, **options)
        self.kept.append({"code": said.code, "stdout": said.stdout, "stderr": said.stderr})
        return said


def main() -> None:
    recorded: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        asked = request(Path(folder), state.home() / "engines" / "validation")
        for name, text in samples.BAD.items():
            (asked.source / name).parent.mkdir(parents=True, exist_ok=True)
            (asked.source / name).write_text(text)
        found = survey(asked.source, asked.checked, [], honour=False)
        for tool in (*tools.STATIC, *tools.LAST):
            home = Path(folder) / "homes" / tool.name
            home.mkdir(parents=True)
            bench = Recording(asked, found, time.monotonic() + 300, home)
            files = tool.files(bench)
            if files:
                tool.check(bench, files)
            entry: dict[str, Any] = {"files": files, "said": bench.kept}
            if (home / "junit.xml").exists():
                entry["junit"] = (home / "junit.xml").read_text()
            recorded[tool.name] = entry
        text = json.dumps(recorded, indent=1, sort_keys=True).replace(folder, "/job")
    RECORDED.write_text(text + "\n")


if __name__ == "__main__":
    main()
