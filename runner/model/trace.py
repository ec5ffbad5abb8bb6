"""Traces as W3C Trace Context names them: https://www.w3.org/TR/trace-context/#traceparent-header.

A run keeps the `traceparent` it was submitted with. One that came without is a trace of its own, whose id
follows from the run's: so its attempts and callbacks are found together whoever carries them.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Parent(NamedTuple):
    """A span elsewhere that ours belong to."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        """As a header says it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.sampled:02x}"


def read(text: str | None) -> Parent | None:
    """The parent that a header names; None for none, and for what has another form."""
    match = _FORM.fullmatch(text) if text else None
    if match is None:
        return None
    return Parent(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & 1))


def of_run(tenant_id: str, run_id: int) -> int:
    """The trace id of a run that was submitted without one."""
    digest = hashlib.sha256(f"control-room/run/{tenant_id}/{run_id}".encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1
