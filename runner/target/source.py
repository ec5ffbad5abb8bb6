"""The form of what a target is read by: rows of an Odoo model or of a Postgres table become the CSV that a
table input is (`odoo_source`, `postgres_source`; `sources` knows which of them a target is).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from runner.model.collected import Column
from runner.model.errors import Permanent
from runner.model.reading import Reading
from runner.model.termination import TerminationCode


@dataclass(frozen=True, slots=True)
class Extract:
    """What was written: how many rows of which columns, and what a source could not promise of them."""

    rows: int
    columns: tuple[Column, ...]
    note: str = ""


class Source(Protocol):
    """A target to read from."""

    def dataset(self, name: str) -> tuple[str, str]:
        """The namespace and name, in lineage, of a model or table of it."""
        ...

    async def read(self, reading: Reading, after: datetime | None, csv: Path, max_bytes: int) -> Extract:
        """Write what the reading asks for; with `reading.after`, what is newer than the time `after` (None:
        nothing was read yet). Raises Permanent(INPUT_UNAVAILABLE) for what is not there, may not be read or
        is too large, Retryable(INPUT_UNAVAILABLE) when the target is away."""
        ...


def unavailable(reading: Reading, why: str) -> Permanent:
    """It cannot be read, and will not be the next time either."""
    return Permanent(
        TerminationCode.INPUT_UNAVAILABLE,
        f"{reading.kind}://{reading.target}/{reading.name} cannot be read: {why}"[:1000],
    )


def too_large(reading: Reading, max_bytes: int) -> Permanent:
    """More than an input may have."""
    return unavailable(reading, f"it is larger than {max_bytes} bytes (name fewer fields, or a limit)")
