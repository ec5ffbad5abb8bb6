"""Where a container's workspace lies, said in a file beside it: what another runner needs to adopt the work.

    <work dir>/runner-<pid>-<start time>/a<attempt>-l<lease>/kept/adoption.json

The folder's name says whose it is; that its owner is gone is what makes the work free to adopt. Adopting is
renaming the place into one's own folder: a container holds its workspace by the inode, and is not disturbed.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.executor import ownership
from runner.model.attempt import Attempt
from runner.model.command import Limits

FILE = "adoption.json"
TOLD = "told"
BOOT = Path("/proc/sys/kernel/random/boot_id")
_COUNT = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRecord:
    """A container and whose work it does. One that does not run is believed only within one boot: what its
    daemon says of an end that it has not seen is a guess."""

    container: str
    nest: str
    tenant_id: str
    attempt_id: int
    lease: int
    job_type: str
    engine: str
    limits: Limits
    boot: str

    def fits(self, attempt: Attempt) -> bool:
        """The same attempt doing the same: validating code for an attempt is not executing it."""
        mine = (self.tenant_id, self.attempt_id, self.job_type, self.engine)
        return mine == (attempt.tenant_id, attempt.attempt_id, attempt.job_type, attempt.engine)


def boot() -> str:
    """Which boot of the machine this is."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


def write(kept: Path, adoption: AdoptionRecord) -> None:
    """Whole or not at all."""
    fresh = kept / f".{FILE}"
    fresh.write_text(json.dumps(asdict(adoption)))
    fresh.replace(kept / FILE)


def read(kept: Path) -> AdoptionRecord | None:
    """What is written there, or None."""
    try:
        said = json.loads((kept / FILE).read_text())
        return AdoptionRecord(**{**said, "limits": Limits(**said["limits"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_taken(place: Path) -> bool:
    """A container may be working in this place."""
    return read(place / "kept") is not None


def clear(kept: Path) -> None:
    """The work is over."""
    for name in (FILE, TOLD):
        (kept / name).unlink(missing_ok=True)


def found(folder: Path, *, orphans: bool) -> Iterator[tuple[Path, AdoptionRecord]]:
    """Every place with a record below the work directory; `orphans`: of runners that are gone alone."""
    for owner in _entries(folder):
        if owner.name.startswith("runner-") and (not orphans or ownership.is_orphan(owner.name)):
            for place in _entries(owner):
                if (adoption := read(place / "kept")) is not None:
                    yield place, adoption


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


class Told:
    """How many lines of the log were told, kept on disk for whoever adopts the work.

    What is written is what was told a moment ago: a line that was on its way when its runner died is told
    again rather than never.
    """

    def __init__(self, kept: Path) -> None:
        self._file = kept / TOLD
        self.count = 0
        self._before = 0
        self._written = -1

    def before(self) -> int:
        """What was told by the runner before us."""
        with contextlib.suppress(OSError, struct.error):
            return int(_COUNT.unpack(self._file.read_bytes())[0])
        return 0

    def line(self) -> None:
        """One more."""
        self.count += 1

    def keep(self) -> None:
        """Call now and then, with a second between."""
        if self._before != self._written:
            self._file.write_bytes(_COUNT.pack(self._before))
            self._written = self._before
        self._before = self.count
