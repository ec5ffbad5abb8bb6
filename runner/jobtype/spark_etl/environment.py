"""What the engines of `spark_etl` need beside their environment: real Spark runs on a Java runtime of 17 or
later.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from runner.jobtype import environment
from runner.jobtype.base import Bind, Place
from runner.jobtype.environment import INSIDE, Found

__all__ = ["INSIDE", "JAVA_INSIDE", "Found", "find", "java_home", "java_version", "reason"]

_JVMS = (Path("/usr/lib/jvm"), Path("/opt/java"), Path("/usr/java"))
_OLDEST_JAVA = 17
#: Where an image has its Java runtime.
JAVA_INSIDE = "/opt/java"


def reason(place: Place, engine: str) -> str:
    """Why an engine cannot run here, with the mend; "" when it can."""
    if why := environment.reason(place, engine):
        return why
    if engine == "spark" and not place.image and java_home() is None:
        return (
            f"there is no Java runtime of {_OLDEST_JAVA} or later (apt-get install openjdk-17-jre-headless)"
        )
    return ""


def find(place: Place, engine: str) -> Found:
    """The engine's binds and variables; call `reason` first."""
    found = environment.find(place, engine)
    if place.image and engine == "spark":
        return replace(found, variables={"JAVA_HOME": JAVA_INSIDE})
    if engine != "spark" or (home := java_home()) is None:
        return found
    # Debian keeps a JVM's settings in /etc, and the JVM does not start without them.
    settings = Path(f"/etc/java-{java_version(home)}-openjdk")
    binds = [*found.binds, Bind(settings, str(settings), optional=True)]
    if not home.is_relative_to("/usr"):
        binds.append(Bind(home, str(home)))
    return replace(found, binds=tuple(binds), variables={"JAVA_HOME": str(home)})


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
