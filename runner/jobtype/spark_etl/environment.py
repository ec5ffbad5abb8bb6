"""The engines' environments on this machine, and how the sandbox sees them.

An engine is a virtual environment `<engines>/<engine>`, built on an interpreter that everybody may read;
inside the sandbox it lies at /opt/engine. Real Spark also needs a Java runtime of 17 or later.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from runner.jobtype.base import Bind

INSIDE = "/opt/engine"
_JVMS = (Path("/usr/lib/jvm"), Path("/opt/java"), Path("/usr/java"))
_OLDEST_JAVA = 17


@dataclass(frozen=True)
class Found:
    """How to start an engine inside the sandbox."""

    python: str
    binds: tuple[Bind, ...]
    variables: dict[str, str] = field(default_factory=dict)


def reason(engines: Path | None, engine: str) -> str:
    """Why an engine cannot run here, with the mend; "" when it can."""
    setup = f"scripts/setup --engines {engine}"
    if engines is None:
        return f"CONTROL_ROOM_ENGINES is not set ({setup} builds the environment)"
    python = engines / engine / "bin" / "python"
    if not python.exists():
        return f"the environment {engines / engine} is missing ({setup})"
    if unreadable := _unreadable(python.resolve()) or _unreadable(engines / engine / "pyvenv.cfg"):
        return f"the sandbox's user cannot read {unreadable} (mend: CONTROL_ROOM_HOME elsewhere)"
    if engine == "spark" and java_home() is None:
        return (
            f"there is no Java runtime of {_OLDEST_JAVA} or later (apt-get install openjdk-17-jre-headless)"
        )
    return ""


def find(engines: Path, engine: str) -> Found:
    """The engine's binds and variables; call `reason` first."""
    environment = engines / engine
    binds = [Bind(environment, INSIDE)]
    base = _base_prefix(environment)
    if base is not None and not base.is_relative_to("/usr"):
        binds.append(Bind(base, str(base)))
    variables: dict[str, str] = {}
    if engine == "spark" and (home := java_home()) is not None:
        variables["JAVA_HOME"] = str(home)
        if not home.is_relative_to("/usr"):
            binds.append(Bind(home, str(home)))
        # Debian keeps a JVM's settings in /etc, and the JVM does not start without them.
        binds += [
            Bind(folder, str(folder), optional=True)
            for folder in (Path(f"/etc/java-{java_version(home)}-openjdk"),)
        ]
    return Found(f"{INSIDE}/bin/python", tuple(binds), variables)


def java_home() -> Path | None:
    """The oldest Java runtime that Spark takes: what it was tested with comes first."""
    homes = [
        (version, home)
        for folder in _JVMS
        if folder.is_dir()
        for home in sorted(folder.iterdir())
        if not home.is_symlink()
        and (home / "bin" / "java").exists()
        and (version := java_version(home)) >= _OLDEST_JAVA
    ]
    return min(homes)[1] if homes else None


def java_version(home: Path) -> int:
    """The major version of a Java runtime, 0 when it does not say."""
    try:
        text = (home / "release").read_text("utf-8")
    except OSError:
        return 0
    match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, re.MULTILINE)
    return int(match[1]) if match else 0


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
