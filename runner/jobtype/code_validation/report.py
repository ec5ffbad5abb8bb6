"""The report as it came back: believed when it carries the seal, and then still bounded and checked."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.jobtype import harvest
from runner.jobtype.base import Workspace
from runner.jobtype.code_validation.harness import seal
from runner.jobtype.code_validation.harness.request import SIDE_CHANNEL
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.termination import TerminationCode

FILES = ("report.sarif", "summary.json", "summary.md")
MAX_BYTES = 24 * 1024**2
MAX_SAID = 500
_NEVER_STARTED = (126, 127)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Counts(_Form):
    """Results by level."""

    error: int
    warning: int
    note: int


class Unchecked(_Form):
    """Something that could not be checked; accepted when the job said beforehand that it may."""

    tool: str
    reason: str
    accepted: bool


class Summary(_Form):
    """What the verdict is and rests on."""

    verdict: Literal["passed", "failed", "inconclusive"]
    fail_on: Literal["error", "warning", "note"]
    counts: Counts
    unchecked: tuple[Unchecked, ...]
    languages: dict[str, int]
    files: int
    worst: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A validation that came to its end. `sarif` is SARIF 2.1.0 as bytes."""

    summary: Summary
    sarif: bytes

    @property
    def values(self) -> dict[str, Any]:
        """The task's values: what later tasks and people read without opening the report."""
        summary = self.summary
        return {
            "verdict": summary.verdict,
            "fail_on": summary.fail_on,
            "counts": summary.counts.model_dump(),
            "unchecked": sorted({each.tool for each in summary.unchecked}),
            "languages": summary.languages,
            "files": summary.files,
        }

    @property
    def failure(self) -> Failure | None:
        """Why the attempt fails although the validation worked; None when the code passed."""
        summary = self.summary
        if summary.verdict == "passed":
            return None
        counts = summary.counts
        found = f"{counts.error} errors, {counts.warning} warnings, {counts.note} notes"
        if summary.verdict == "failed":
            return Permanent(
                TerminationCode.VALIDATION_FAILED, f"{found}; {'; '.join(summary.worst)}"[:MAX_SAID]
            )
        missing = [f"{each.tool}: {each.reason}" for each in summary.unchecked if not each.accepted]
        return Permanent(
            TerminationCode.VALIDATION_FAILED,
            f"inconclusive ({found}): {'; '.join(missing)}"[:MAX_SAID],
        )


def read(workspace: Workspace, key: bytes) -> Report:
    """The sealed report. Raises Permanent(VALIDATION_FAILED) for one that is not, OUTPUT_TOO_LARGE."""
    try:
        files = {
            name: harvest.read_bytes(workspace.root, f"outputs/{name}", max_bytes=MAX_BYTES) for name in FILES
        }
        said = harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/seal", max_bytes=128)
        if not hmac.compare_digest(said, seal.of(key, files).encode()):
            raise _not_ours("its seal is not ours")
        return Report(Summary.model_validate_json(files["summary.json"]), files["report.sarif"])
    except FileNotFoundError:
        raise _not_ours("it is not there") from None
    except ValidationError as error:
        raise _not_ours("it has another shape than agreed") from error


def explain(workspace: Workspace, code: int) -> Failure:
    """Why there is no report after an exit that is not 0."""
    if code in _NEVER_STARTED:
        return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "the tools could not be started")
    try:
        said = json.loads(harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/refused.json", max_bytes=4096))
    except (FileNotFoundError, ValueError, RecursionError):
        return _not_ours(f"it was never written (exit code {code})")
    text = said if isinstance(said, str) else "the code cannot be validated"
    return Permanent(
        TerminationCode.INVALID_CODE, "".join(c if c.isprintable() else " " for c in text)[:MAX_SAID]
    )


def _not_ours(why: str) -> Permanent:
    return Permanent(
        TerminationCode.VALIDATION_FAILED,
        f"inconclusive: the report cannot be believed, {why} (something in the code has interfered)",
    )
