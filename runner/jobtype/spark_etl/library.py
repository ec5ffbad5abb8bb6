"""The harness and the lineage package, copied into a workspace as the sandbox will import them.

library/control_room_harness/   runner/jobtype/spark_etl/harness
library/runner/lineage/         runner/lineage (a namespace package: the rest of the runner stays outside)
"""

from __future__ import annotations

import functools
from pathlib import Path

FOLDER = "library"
MODULE = "control_room_harness"

_HERE = Path(__file__).resolve().parent
_SOURCES = {
    MODULE: _HERE / "harness",
    "runner/lineage": _HERE.parents[1] / "lineage",
}


def lay_out(target: Path) -> None:
    """Write the library below `target`."""
    for path, content in _files().items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@functools.cache
def _files() -> dict[str, bytes]:
    """Every module, read once: an upgrade of the runner under a running process does not mix two versions."""
    return {
        f"{package}/{file.relative_to(source)}": file.read_bytes()
        for package, source in _SOURCES.items()
        for file in sorted(source.rglob("*.py"))
    }
