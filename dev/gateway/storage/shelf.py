"""The bytes: one file per version, written beside and renamed into place, never changed afterwards."""

import contextlib
import hashlib
import os
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from dev.gateway.storage import refusal

_VERSION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that has arrived: its version (the file's name), size in bytes, and quoted MD5."""

    version: str
    size: int
    etag: str


class Shelf:
    """Files below one folder. Names come from here alone, so that no key can lead out of it."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "objects"
        self._incoming = folder / "incoming"

    def prepare(self) -> None:
        """Make the folders; throw away what an earlier process left half-written."""
        self._files.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            left.unlink(missing_ok=True)

    async def put(self, chunks: AsyncIterator[bytes], limit: int) -> Stored:
        """Keep what comes. Past `limit` bytes nothing is kept and 413 is raised, whatever was announced."""
        version = str(uuid.uuid4())
        arriving = self._incoming / version
        size = 0
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with arriving.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise refusal.too_large()
                    digest.update(chunk)
                    file.write(chunk)
            place = self.path(version)
            place.parent.mkdir(exist_ok=True)
            arriving.rename(place)
        finally:
            arriving.unlink(missing_ok=True)
        return Stored(version, size, f'"{digest.hexdigest()}"')

    def adopt(self, whole: Path) -> Stored:
        """Take over a file that has arrived elsewhere. Blocking."""
        version = str(uuid.uuid4())
        digest = hashlib.md5(usedforsecurity=False)
        with whole.open("rb") as file:
            while piece := file.read(1024**2):
                digest.update(piece)
            size = file.tell()
        place = self.path(version)
        place.parent.mkdir(exist_ok=True)
        whole.rename(place)
        return Stored(version, size, f'"{digest.hexdigest()}"')

    def again(self, version: str) -> str:
        """A second version with the same bytes; a link will do, since files do not change."""
        copy = str(uuid.uuid4())
        place = self.path(copy)
        place.parent.mkdir(exist_ok=True)
        try:
            os.link(self.path(version), place)
        except FileNotFoundError:
            raise refusal.no_object() from None
        return copy

    def drop(self, version: str | None) -> None:
        """Forget a version; one that is not there is no trouble."""
        if version is not None and _VERSION.fullmatch(version):
            with contextlib.suppress(OSError):
                self.path(version).unlink()

    def path(self, version: str) -> Path:
        """Where a version lies. Raises 404 for what this shelf cannot have named."""
        if not _VERSION.fullmatch(version):
            raise refusal.no_object()
        return self._files / version[:2] / version
