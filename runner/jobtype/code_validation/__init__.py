"""`code_validation`: lint, types, security, secrets and tests of submitted code, as one SARIF report.

The code is never run by the runner and never unpacked by it: everything happens in the sandbox, in a harness
that travels with the workspace (`harness`), with the tools of the engine `validation`. The report comes back
sealed; without the seal nothing is believed.

Parameters (all optional):

    fail_on            error | warning | note     the least level that fails; default: the tenant's
    accept_unchecked   ["mypy", …]                tools that may fail to check without keeping from a pass
    suppressions       ignore | honour            whether `# noqa` and its like have an effect (ignore)
    tests              auto | off | required      whether pytest runs (auto: when there are tests)
    sql_dialect        postgres | sparksql | …    what SQL is read as (postgres)
    odoo               lint | install             Odoo modules are read, or installed and tested, too
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.jobtype import environment
from runner.jobtype.base import ArtifactFile, Collected, Command, Exit, Limits, Place, Readiness, Workspace
from runner.jobtype.code_validation import report
from runner.jobtype.code_validation.harness.request import SIDE_CHANNEL
from runner.jobtype.code_validation.report import Report
from runner.jobtype.environment import Found
from runner.jobtype.library import FOLDER, Library
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB, PACKED_CODE

ENGINE = "validation"
#: Beside it, where modules of Odoo are installed.
ODOO = "odoo"
ODOO_INSIDE = "/opt/odoo"
MODULE = "control_room_validation"
LIMITS = Limits(memory_bytes=2 * GIB, pids=512, file_bytes=128 * MIB, tmp_bytes=256 * MIB)
#: A database and all that modules may depend on.
ODOO_LIMITS = replace(LIMITS, memory_bytes=3 * GIB, file_bytes=512 * MIB, disk_bytes=4 * GIB)
KEY_FILE = "seal.key"
#: What is left for unpacking, writing and uploading when all tools have used up their time.
SPARE_SECONDS = 10.0

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "fail_on": ("error", "warning", "note"),
    "suppressions": ("ignore", "honour"),
    "tests": ("auto", "off", "required"),
    "sql_dialect": (
        "postgres",
        "ansi",
        "sparksql",
        "databricks",
        "duckdb",
        "mysql",
        "sqlite",
        "bigquery",
        "snowflake",
        "tsql",
        "oracle",
    ),
    "odoo": ("lint", "install"),
}

_LIBRARY = Library({MODULE: Path(__file__).resolve().parent / "harness"})


class CodeValidation:
    """See `jobtype.base.JobType`."""

    name = "code_validation"
    takes_packed_code = True

    def __init__(self, place: Place) -> None:
        self._place = place

    def readiness(self) -> tuple[Readiness, ...]:
        """Ready when the tools' environment is there and the sandbox's user may run it."""
        return (Readiness("default", environment.reason(self._place, ENGINE)),)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write the harness, its request and the code. Raises Permanent(INVALID_CODE)."""
        if attempt.code is None or (self._place.engines is None and not self._place.image):
            raise Permanent(TerminationCode.INVALID_CODE, "there is no code to validate")
        key = secrets.token_bytes(32)
        kept = workspace.kept / KEY_FILE
        kept.touch(0o600)
        kept.write_bytes(key)
        workspace.side_channel.mkdir(exist_ok=True)
        for name, text in (attempt.code.files or {}).items():
            file = workspace.side_channel / "source" / name  # a name that intake has let through
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8", newline="")
        remaining = attempt.seconds_left
        asked = parameters(attempt)
        odoo, missing = self._odoo() if asked["odoo"] == "install" else (None, "")
        request = {
            "key": key.hex(),
            "packed": PACKED_CODE if attempt.code.files is None else None,
            "seconds": max(remaining - SPARE_SECONDS, remaining / 2),
            "odoo_engine": ODOO_INSIDE if odoo is not None else None,
            "odoo_missing": missing,
            **asked,
        }
        (workspace.side_channel / "request.json").write_text(json.dumps(request), "utf-8")
        _LIBRARY.lay_out(workspace.side_channel / FOLDER)
        found = environment.find(self._place, ENGINE)
        return Command(
            argv=(found.python, "-B", "-P", "-s", "-m", MODULE),
            binds=(*found.binds, *(odoo.binds if odoo is not None else ())),
            environment={"PYTHONPATH": f"{JOB}/{SIDE_CHANNEL}/{FOLDER}", **found.variables},
            limits=LIMITS if odoo is None else ODOO_LIMITS,
        )

    def _odoo(self) -> tuple[Found | None, str]:
        """How an Odoo is had in the sandbox, or why it is not: the run says so then, and is inconclusive.
        Whether an image has one shows when it runs."""
        if self._place.image:
            return Found(f"{ODOO_INSIDE}/bin/python", ()), ""
        if why := environment.reason(self._place, ODOO):
            return None, f"installing a module needs an Odoo: {why}"
        return environment.find(self._place, ODOO, ODOO_INSIDE), ""

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """The report, and the failure that follows from it. Raises Permanent when there is none."""
        read = self.report(workspace, exit)
        return Collected(
            artifacts=(
                ArtifactFile(
                    name="report.sarif",
                    path="outputs/report.sarif",
                    kind="report",
                    content_type="application/sarif+json",
                ),
                ArtifactFile(
                    name="summary.md", path="outputs/summary.md", kind="report", content_type="text/markdown"
                ),
                ArtifactFile(
                    name="summary.json",
                    path="outputs/summary.json",
                    kind="report",
                    content_type="application/json",
                ),
            ),
            values=read.values,
            failure=read.failure,
        )

    def report(self, workspace: Workspace, exit: Exit) -> Report:
        """What the validation found, whatever the verdict. Raises Permanent or Retryable when nothing is
        known."""
        if exit.code != 0:
            raise report.explain(workspace, exit.code)
        return report.read(workspace, (workspace.kept / KEY_FILE).read_bytes())


def parameters(attempt: Attempt) -> dict[str, Any]:
    """The job's parameters, with defaults. Raises Permanent(INVALID_CODE) for one that makes no sense."""
    given = attempt.params
    chosen: dict[str, Any] = {}
    defaults = {"fail_on": attempt.validation_fail_on}
    for name, choices in _CHOICES.items():
        value = given.get(name, defaults.get(name, choices[0]))
        if value not in choices:
            raise Permanent(
                TerminationCode.INVALID_CODE, f"params.{name} must be one of {', '.join(choices)}"
            )
        chosen[name] = value
    accepted = given.get("accept_unchecked", [])
    if not isinstance(accepted, list) or not all(isinstance(each, str) for each in accepted):
        raise Permanent(TerminationCode.INVALID_CODE, "params.accept_unchecked must be a list of tools")
    return {**chosen, "accept_unchecked": accepted}
