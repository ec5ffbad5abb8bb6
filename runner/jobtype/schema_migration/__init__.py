"""`schema_migration`: ordered SQL files against a named target, each applied exactly once.

Reading the files is the sandbox's (`harness`: Postgres' own parser is fed by strangers); applying them is
the runner's (`runner.target.migration`), as the role of the target and never as anything else. This room says
what was asked for, reads what the harness found, and makes the report.

Parameters:

    target             the database, by the name under which it was granted (required)
    allow              ["drop-column:public.orders.total", "truncate"]     what may be destroyed
    files              ["b.sql", "a.sql"]     the order; default: by name, numbers as numbers
    series             "main"                 tells several sets of files in one target apart
    dry_run            true                   try the files on a throw-away copy of the schema first
    transaction        run | file             what is all or nothing (run)
    lock_timeout_ms    5000                   how long a statement may wait for a lock
    statement_timeout_ms  300000              how long a statement may take
    fail_on            error | warning | note     the linters' least level that fails; default: the tenant's
    lint               true                   squawk, sqlfluff and the rest of code_validation
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from runner.jobtype import environment
from runner.jobtype.base import Command, Limits, Place, Readiness, Workspace
from runner.jobtype.library import FOLDER, Library
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB
from runner.model.errors import Permanent
from runner.model.migration import Terms
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB, SIDE_CHANNEL

ENGINE = "migration"
LINTERS = "validation"
MODULE = "control_room_migration"
LIMITS = Limits(memory_bytes=1 * GIB, pids=32, file_bytes=64 * MIB)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_FIELDS = frozenset(
    {"target", "allow", "files", "series", "dry_run", "transaction", "lock_timeout_ms",
     "statement_timeout_ms", "fail_on", "lint"}
)  # fmt: skip

_HERE = Path(__file__).resolve().parent
_LIBRARY = Library({MODULE: _HERE / "harness", "runner/lineage": _HERE.parents[1] / "lineage"})


class SchemaMigration:
    """The part of a migration that needs no database."""

    name = "schema_migration"

    def __init__(self, place: Place) -> None:
        self._place = place

    def readiness(self) -> tuple[Readiness, ...]:
        """Ready when the parser and the linters can be started in a sandbox."""
        reasons = (environment.reason(self._place, each) for each in (ENGINE, LINTERS))
        return (Readiness("default", next((reason for reason in reasons if reason), "")),)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write the reader of the files and its request; say how to start it."""
        workspace.side_channel.mkdir(exist_ok=True)
        request = {"files": attempt.params.get("files")}
        (workspace.side_channel / "request.json").write_text(json.dumps(request), "utf-8")
        return self._command(workspace, MODULE)

    def trace(self, workspace: Workspace) -> Command:
        """How to start the tracing of what `flows.ask` has written."""
        return self._command(workspace, f"{MODULE}.trace")

    def _command(self, workspace: Workspace, module: str) -> Command:
        _LIBRARY.lay_out(workspace.side_channel / FOLDER)
        found = environment.find(self._place, ENGINE)
        return Command(
            argv=(found.python, "-B", "-P", "-s", "-m", module),
            binds=found.binds,
            environment={"PYTHONPATH": f"{JOB}/{SIDE_CHANNEL}/{FOLDER}", **found.variables},
            limits=LIMITS,
        )


def terms(attempt: Attempt) -> Terms:
    """What was asked for. Raises Permanent(INVALID_CODE) for a parameter that makes no sense."""
    given = attempt.params
    if unknown := sorted(set(given) - _FIELDS):
        raise _wrong(f"params.{unknown[0][:64]} is not known; there are {', '.join(sorted(_FIELDS))}")
    if attempt.code is None:
        raise _wrong("there are no files to apply")
    for name in ("allow", "files"):
        value = given.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _wrong(f"params.{name} must be a list of strings")
    for name in ("dry_run", "lint"):
        if not isinstance(given.get(name, True), bool):
            raise _wrong(f"params.{name} must be true or false")
    if given.get("transaction", "run") not in ("run", "file"):
        raise _wrong("params.transaction must be one of run, file")
    series = given.get("series", "main")
    if not isinstance(series, str) or not _NAME.fullmatch(series):
        raise _wrong("params.series must be a plain name")
    return Terms(
        target=_target(given),
        tenant=attempt.tenant_slug,
        series=series,
        run_id=attempt.run_id,
        attempt_id=attempt.attempt_id,
        lease=attempt.lease,
        allow=frozenset(given.get("allow", [])),
        dry_run=given.get("dry_run", True),
        one_transaction=given.get("transaction", "run") == "run",
        lock_timeout_ms=_whole(given, "lock_timeout_ms", 5000, 600_000),
        statement_timeout_ms=_whole(given, "statement_timeout_ms", 300_000, 86_400_000),
    )


def _target(given: dict[str, Any]) -> str:
    target = given.get("target")
    if not isinstance(target, str) or not target:
        raise _wrong("params.target must name the database")
    return target


def _whole(given: dict[str, Any], name: str, default: int, most: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise _wrong(f"params.{name} must be a whole number from 1 to {most}")
    return value


def _wrong(why: str) -> Permanent:
    return Permanent(TerminationCode.INVALID_CODE, why)
