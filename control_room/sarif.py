"""What a validation found, read from its report (SARIF 2.1.0)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from control_room.errors import ControlRoomError

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Result:
    """`path` is that of the file as the job knew it; lines and columns from 1."""

    level: Level
    rule: str
    tool: str
    message: str
    path: str | None = None
    line: int | None = None
    end_line: int | None = None
    column: int | None = None


def results(report: bytes) -> list[Result]:
    """The worst first, without what is suppressed and what is no finding. Raises ControlRoomError."""
    try:
        runs = json.loads(report)["runs"]
        found = [it for run in runs for it in _of_run(run)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ControlRoomError(f"the report is no SARIF: {error}") from error
    return sorted(found, key=lambda it: (LEVELS.index(it.level), it.path or "", it.line or 0))


def _of_run(run: dict[str, Any]) -> Iterator[Result]:
    tool = str(run["tool"]["driver"]["name"])
    for it in run.get("results") or []:
        if any(each.get("status", "accepted") == "accepted" for each in it.get("suppressions") or []):
            continue
        level = it.get("level", "warning")
        if level == "none" or it.get("kind", "fail") != "fail":
            continue
        places = it.get("locations") or [{}]
        physical = places[0].get("physicalLocation") or {}
        region = physical.get("region") or {}
        uri = (physical.get("artifactLocation") or {}).get("uri")
        yield Result(
            level if level in LEVELS else "warning",
            str(it.get("ruleId") or "finding"),
            tool,
            str((it.get("message") or {}).get("text") or ""),
            unquote(uri).removeprefix("./") if isinstance(uri, str) else None,
            region.get("startLine"),
            region.get("endLine"),
            region.get("startColumn"),
        )
