"""How an end is judged, the same under every executor: exit code, memory, disk → Outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.model.command import Limits
from runner.model.outcome import Outcome, PermanentFailure, RetryableFailure, Succeeded, Usage
from runner.model.termination import TerminationCode

LAST_LINE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the command ended by itself. `usage.exit_code` is None when it never came to run, and then `fault`
    says why. `last_line` is the last of stderr, already redacted."""

    usage: Usage
    limits: Limits
    out_of_memory: bool = False
    overflowed: bool = False
    fault: str = ""
    last_line: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def judge(end: End) -> Outcome:
    """What is told of it. An out-of-memory kill of a part that the command survived is no failure."""
    code, last_line = end.usage.exit_code, end.last_line[:LAST_LINE]
    if end.overflowed:
        return PermanentFailure(
            code=TerminationCode.OUTPUT_TOO_LARGE,
            message=f"the job wrote more than {end.limits.disk_bytes} bytes below /job",
            usage=end.usage,
        )
    if end.out_of_memory and code != 0:
        return RetryableFailure(
            code=TerminationCode.OUT_OF_MEMORY,
            message=f"the job used more than its {end.limits.memory_bytes} bytes of memory",
            usage=end.usage,
        )
    if code is None:
        return RetryableFailure(
            code=TerminationCode.EXECUTOR_UNAVAILABLE,
            message=end.fault + (f": {last_line}" if last_line else ""),
            usage=end.usage,
        )
    if code != 0:
        return RetryableFailure(
            code=TerminationCode.USER_CODE_FAILED,
            message=f"exit code {code}" + (f": {last_line}" if last_line else ""),
            usage=end.usage,
        )
    return Succeeded(usage=end.usage, values=dict(end.values))
