"""What a release has fixed: from the first tag on migrations are only added to."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dev.stack.state import CLONE

MIGRATIONS = "supabase/migrations"


def newest(clone: Path = CLONE) -> str | None:
    """The newest tag `v…` in the history of what is checked out."""
    tags = _git(clone, "tag", "--list", "v*", "--merged", "HEAD", "--sort=-v:refname").split()
    return tags[0] if tags else None


def rewritten(ref: str, clone: Path = CLONE) -> list[str]:
    """Migrations of `ref` that are gone or say something else now, and new ones that come before its last."""
    told = [line.split(maxsplit=3) for line in _git(clone, "ls-tree", "-r", ref, MIGRATIONS).splitlines()]
    released = {path: blob for _, _, blob, path in told}
    faults = [
        path
        for path, blob in released.items()
        if not (clone / path).exists() or _git(clone, "hash-object", path).strip() != blob
    ]
    last = max(released, default="")
    here = (str(path.relative_to(clone)) for path in (clone / MIGRATIONS).glob("*.sql"))
    return sorted([*faults, *(path for path in here if path not in released and path < last)])


def unpack(ref: str, folder: Path, clone: Path = CLONE) -> None:
    """The tree of `ref`, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "archive", ref], cwd=clone, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


def _git(clone: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=clone, capture_output=True, text=True, check=True).stdout
