"""The plan as the harness wrote it, checked: what comes out of a sandbox is never taken at its word."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.jobtype import harvest
from runner.jobtype.base import Workspace
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.migration import File, Finding, Level, Plan, Statement
from runner.model.termination import TerminationCode
from runner.model.workspace import SIDE_CHANNEL

MAX_BYTES = 64 * 1024**2
MAX_FILES = 1000
_NEVER_STARTED = (126, 127)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Statement(_Form):
    text: str
    line: int = Field(ge=1)


class _File(_Form):
    name: str = Field(max_length=255)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    whole: bool
    builds: tuple[str, ...]
    deletes: tuple[str, ...]
    statements: tuple[_Statement, ...]


class _Finding(_Form):
    rule: str = Field(max_length=64)
    level: Level
    message: str
    path: str = Field(max_length=255)
    line: int = Field(ge=1)
    about: str
    final: bool
    made_by: str


class _Plan(_Form):
    files: tuple[_File, ...] = Field(min_length=1, max_length=MAX_FILES)
    findings: tuple[_Finding, ...]


def read(workspace: Workspace) -> Plan:
    """What the files say. Raises Permanent(INVALID_CODE) when it cannot be read."""
    try:
        form = _Plan.model_validate_json(
            harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/plan.json", max_bytes=MAX_BYTES)
        )
    except (FileNotFoundError, ValidationError) as error:
        raise Permanent(TerminationCode.INVALID_CODE, "the files could not be read") from error
    files = tuple(
        File(
            f.name,
            f.sha256,
            tuple(Statement(s.text, s.line) for s in f.statements),
            f.whole,
            f.builds,
            f.deletes,
        )
        for f in form.files
    )
    if len({each.name for each in files}) != len(files):
        raise Permanent(TerminationCode.INVALID_CODE, "params.files names a file twice")
    findings = tuple(
        Finding(f.rule, f.level, f.message[:1000], f.path, f.line, f.about, f.final, f.made_by)
        for f in form.findings
    )
    return Plan(files, findings)


def explain(workspace: Workspace, code: int) -> Failure:
    """Why there is no plan after an exit that is not 0."""
    if code in _NEVER_STARTED:
        return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "the parser could not be started")
    try:
        said = json.loads(harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/refused.json", max_bytes=4096))
    except (FileNotFoundError, ValueError, RecursionError):
        return Permanent(TerminationCode.INVALID_CODE, f"the files could not be read (exit code {code})")
    return Permanent(TerminationCode.INVALID_CODE, str(said)[:500])
