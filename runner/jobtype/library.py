"""Code of ours that runs inside a sandbox, copied into the workspace, so that every executor can start it,
whatever it can see of this machine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

FOLDER = "library"


class Library:
    """Packages by the name under which the sandbox imports them, and where they lie here."""

    def __init__(self, sources: Mapping[str, Path]) -> None:
        self._sources = dict(sources)

    def lay_out(self, target: Path) -> None:
        """Write the packages below `target`."""
        for path, content in self._files.items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    @functools.cached_property
    def _files(self) -> dict[str, bytes]:
        """Every file, read once: an upgrade of the runner under a running process does not mix two
        versions."""
        return {
            f"{package}/{file.relative_to(source)}": file.read_bytes()
            for package, source in self._sources.items()
            for file in sorted(source.rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        }
