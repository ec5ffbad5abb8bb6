"""Directories of attempts: made before, removed after, and swept when a runner died.

<work dir>/runner-<pid>-<start time>/a<attempt>-l<lease>/job     the sandbox's, becomes /job
                                                        /kept    the runner's own
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from runner.executor import ownership
from runner.model.attempt import Key
from runner.model.workspace import Workspace

log = logging.getLogger(__name__)


class Workspaces:
    """Makes and removes the directories of one runner."""

    def __init__(self, folder: Path, owner: tuple[int, int] | None) -> None:
        self._folder = folder
        self._mine = folder / ownership.own_name()
        self._owner = owner

    @asynccontextmanager
    async def open(self, key: Key, left: Path | None = None, *, beside: str = "") -> AsyncIterator[Workspace]:
        """A new workspace, or one that a dead runner `left`; gone afterwards whatever happened inside.
        `beside`: a further one of the same attempt, by a name of its own."""
        place = self._mine / f"a{key.attempt_id}-l{key.lease}{f'-{beside}' if beside else ''}"
        try:
            if left is None:
                yield await asyncio.to_thread(self._make, place)
            else:
                yield await asyncio.to_thread(self._take_over, left, place)
        finally:
            await asyncio.shield(asyncio.to_thread(_remove, place))

    async def hand_over(self, workspace: Workspace) -> None:
        """Everything in the workspace becomes the sandbox's."""
        if self._owner is not None:
            await asyncio.to_thread(_chown, workspace.root, self._owner)

    def sweep(self, spare: Callable[[Path], bool] = lambda place: False) -> int:
        """Remove what runners left behind that are gone, but the places to `spare`, in which somebody may
        still be working; how many there were. Blocking."""
        orphans = [each for each in self._folder.iterdir() if ownership.is_orphan(each.name)]
        for orphan in orphans:
            spared = [place for place in _children(orphan) if spare(place)]
            if not spared:
                _remove(orphan)
            for place in _children(orphan):
                if place not in spared:
                    _remove(place)
        return len(orphans)

    def close(self) -> None:
        """Remove our own directory. Blocking."""
        _remove(self._mine)

    def _take_over(self, left: Path, place: Path) -> Workspace:
        _remove(place)
        self._mine.mkdir(exist_ok=True)
        self._mine.chmod(0o711)
        left.rename(place)
        with contextlib.suppress(OSError):  # others may lie beside it
            left.parent.rmdir()
        return Workspace(root=place / "job", kept=place / "kept")

    def _make(self, place: Path) -> Workspace:
        workspace = Workspace(root=place / "job", kept=place / "kept")
        _remove(place)
        for folder in (place, workspace.root, workspace.kept):
            folder.mkdir(parents=True, exist_ok=True)
        # The sandbox's user passes through, and sees nothing of what is beside its own directory.
        self._mine.chmod(0o711)
        place.chmod(0o711)
        workspace.kept.chmod(0o700)
        workspace.root.chmod(0o700)
        for folder in (workspace.inputs, workspace.outputs, workspace.staged_tables, workspace.table_outputs):
            folder.mkdir(parents=True)
        return workspace


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _chown(root: Path, owner: tuple[int, int]) -> None:
    os.chown(root, *owner)
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.chown(os.path.join(folder, name), *owner, follow_symlinks=False)


def _remove(place: Path) -> None:
    """Remove a tree that hostile code may have filled: very deep, unreadable, or with odd names."""
    try:
        shutil.rmtree(place)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        subprocess.run(["chmod", "-R", "u+rwx", "--", str(place)], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", "--one-file-system", "--", str(place)], check=False, capture_output=True)
        if place.exists():
            log.warning("workspace_left", extra={"path": str(place)})
