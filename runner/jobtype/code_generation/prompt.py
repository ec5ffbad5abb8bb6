"""What the model is told: the rules of the house, the spec, and what was found wrong with its last try."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]
MAX_FINDINGS = 60
MAX_MESSAGE = 300
_LEVELS = ("error", "warning", "note")

_RULES = """\
You write the code of one job. Nobody answers questions: decide, and write.

- Write whole files, ready to run, into the current folder, with the tool Write (Edit for changes). Relative
  names of letters, digits, `_`, `.` and `-`; nothing outside this folder, nothing hidden, no other output.
- What you write is linted, type-checked and searched for insecure code and for secrets before it runs. Do not
  switch a check off; no secret stands in the code.
- It runs without a network, as an unprivileged user, in /job, which holds:
  - `/job/inputs/<name>`: each input, as one file
  - `/job/params.json`: the parameters
  - `/job/outputs/<name>`: where each declared output is written
  - granted secrets as environment variables of their own names
- Progress is printed as `::progress 40 a few words`, a value for later tasks as `::value name <json>`.
- Exit code 0 means success; let exceptions end the program.
"""

_ENTRIES: Mapping[str, str] = {
    "spark_etl": """\
- The entry is `job.py`: PySpark, `SparkSession.builder.getOrCreate()`. A table input is a Parquet folder, a
  file input is what was uploaded. Write an output with
  `.write.mode("overwrite").parquet("/job/outputs/<name>")`.
""",
    "schema_migration": """\
- Ordered SQL files, `001_<what>.sql`, `002_<what>.sql` …, for PostgreSQL; each can be applied once, nothing
  is destroyed that the specification does not name.
""",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What the code is for, in names."""

    job_type: str = "spark_etl"
    engine: str = ""
    said: JsonObject = field(default_factory=dict)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Target:
        """From the attempt's parameters; a spark_etl job where nothing is said."""
        said = params.get("target")
        said = said if isinstance(said, dict) else {}
        return cls(str(said.get("job_type") or "spark_etl"), str(said.get("engine") or ""), said)

    def missing(self, files: Sequence[str]) -> str | None:
        """What should have been written and was not; None when all is there."""
        if self.job_type == "spark_etl":
            python = [name for name in files if name.endswith(".py")]
            return None if "job.py" in files or len(python) == 1 else "job.py"
        if self.job_type == "schema_migration":
            return None if any(name.endswith(".sql") for name in files) else "a .sql file"
        return None if files else "a file"


def rules(target: Target) -> str:
    """The same for every job of a type: Continue puts it into the system message."""
    return _RULES + _ENTRIES.get(target.job_type, "")


def prompt(spec: str, target: Target, findings: Sequence[str]) -> str:
    """The specification, the names, and the findings where there was a try before."""
    parts = [f"# Specification\n\n{spec.strip()}\n"]
    named = {k: target.said[k] for k in ("inputs", "outputs", "params", "secrets") if target.said.get(k)}
    parts.append(f"# What the job is given and leaves\n\nJob type `{target.job_type}`.\n")
    if named:
        parts.append(f"```json\n{json.dumps(named, indent=1, sort_keys=True)}\n```\n")
    if findings:
        listed = "\n".join(f"- {each}" for each in findings)
        parts.append(
            "# Findings\n\nThe code in this folder is your last try. It was validated and did not pass. "
            f"Read it, mend what was found, and leave the rest as it is:\n\n{listed}\n"
        )
    return "\n".join(parts)


def findings(sarif: bytes) -> list[str]:
    """The results of a report, the worst first, a line each. What is no SARIF raises ValueError,
    TypeError or AttributeError."""
    found: list[tuple[int, str]] = []
    for run in json.loads(sarif).get("runs", ()):
        tool = run.get("tool", {}).get("driver", {}).get("name", "?")
        for result in run.get("results", ()):
            level = result.get("level", "warning")
            place = _place(result)
            message = " ".join(str(result.get("message", {}).get("text", "")).split())[:MAX_MESSAGE]
            rank = _LEVELS.index(level) if level in _LEVELS else len(_LEVELS)
            found.append((rank, f"{place}{level} [{tool} {result.get('ruleId', '')}] {message}"))
        for invocation in run.get("invocations", ()):
            for told in invocation.get("toolExecutionNotifications", ()):
                if invocation.get("executionSuccessful") is False:
                    text = " ".join(str(told.get("message", {}).get("text", "")).split())[:MAX_MESSAGE]
                    found.append((0, f"not checked by {tool}: {text}"))
    found.sort(key=lambda each: each[0])
    lines = [line for _, line in found]
    left = len(lines) - MAX_FINDINGS
    return [*lines[:MAX_FINDINGS], f"… and {left} more"] if left > 0 else lines


def _place(result: JsonObject) -> str:
    try:
        physical = result["locations"][0]["physicalLocation"]
        line = physical.get("region", {}).get("startLine")
        return f"{physical['artifactLocation']['uri']}{f':{line}' if line else ''}: "
    except (KeyError, IndexError, TypeError):
        return ""
