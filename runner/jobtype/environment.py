"""Engines' environments on this machine, and how the sandbox sees them.

An engine is a virtual environment `<engines>/<engine>`, built on an interpreter that everybody may read
(`scripts/setup --engines`); inside the sandbox it lies at /opt/engine, read-only. An image brings its own at
the same place (`deploy/images`).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from runner.jobtype.base import Bind, Place

INSIDE = "/opt/engine"


@dataclass(frozen=True)
class Found:
    """How to start an engine inside the sandbox."""

    python: str
    binds: tuple[Bind, ...]
    variables: dict[str, str] = field(default_factory=dict)


def reason(place: Place, engine: str) -> str:
    """Why an engine cannot run here, with the mend; "" when it can. Images are tried by who runs them."""
    if place.image:
        return ""
    engines = place.engines
    setup = f"scripts/setup --engines {engine}"
    if engines is None:
        return f"CONTROL_ROOM_ENGINES is not set ({setup} builds the environment)"
    python = engines / engine / "bin" / "python"
    if not python.exists():
        return f"the environment {engines / engine} is missing ({setup})"
    if unreadable := _unreadable(python.resolve()) or _unreadable(engines / engine / "pyvenv.cfg"):
        return f"the sandbox's user cannot read {unreadable} (mend: CONTROL_ROOM_HOME elsewhere)"
    return ""


def find(place: Place, engine: str, inside: str = INSIDE) -> Found:
    """The engine's interpreter and binds; call `reason` first. `inside` is where a second one lies."""
    if place.image:
        return Found(f"{inside}/bin/python", ())
    assert place.engines is not None
    environment = place.engines / engine
    binds = [Bind(environment, inside)]
    base = _base_prefix(environment)
    if base is not None and not base.is_relative_to("/usr"):
        binds.append(Bind(base, str(base)))
    return Found(f"{inside}/bin/python", tuple(binds))


def _base_prefix(environment: Path) -> Path | None:
    try:
        text = (environment / "pyvenv.cfg").read_text("utf-8")
    except OSError:
        return None
    match = re.search(r"^home\s*=\s*(.+)$", text, re.MULTILINE)
    return Path(match[1].strip()).parent if match else None


def _unreadable(path: Path) -> Path | None:
    """The first part of a path that somebody else may not read or enter."""
    for part in (*reversed(path.parents), path):
        try:
            mode = part.stat().st_mode
        except OSError:
            return part
        wanted = stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
        if not mode & wanted and not _ours_alone(part):
            return part
    return None


def _ours_alone(path: Path) -> bool:
    """A runner that is not root makes the sandbox as itself: what it may read, the sandbox may read."""
    return os.getuid() != 0 and os.access(path, os.R_OK)
