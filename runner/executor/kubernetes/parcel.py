"""The workspace on its way: packed into a few files, and unpacked from what came back.

What comes back was written by code we do not trust. Nothing of it is followed: a path that climbs is refused,
folders are opened one by one without following links, what is no regular file becomes a dangling link, which
`jobtype.harvest` refuses as it refuses any other, and bytes are counted as they are unpacked.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

#: A bucket takes 50 MiB; parts are smaller, so that a broken connection costs less.
PART_BYTES = 32 * 1024**2
CHUNK = 1024**2
MAX_PARTS = 100
MAX_MEMBERS = 100_000
NO_REGULAR_FILE = "no regular file"


@dataclass(frozen=True, slots=True)
class Packed:
    """Parts in order, and the digest of all of them together."""

    parts: tuple[Path, ...]
    sha256: str


def pack(root: Path, target: Path, name: str) -> Packed:
    """Pack what lies below `root` into `target`/<name>.<n>. Blocking. Raises Permanent(INPUT_UNAVAILABLE)
    when it is too much."""
    writer = _Parts(target, name)
    with (
        gzip.GzipFile(fileobj=writer, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(root.rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False, filter=_nobodys)
    return writer.end()


def unpack(parts: list[Path], root: Path, most_bytes: int) -> None:
    """Unpack into `root`, which others cannot reach. Blocking. Raises Permanent(OUTPUT_INVALID,
    OUTPUT_TOO_LARGE)."""
    left = most_bytes
    try:
        with (
            _joined(parts) as file,
            tarfile.open(fileobj=file, mode="r|gz") as archive,  # type: ignore[call-overload]  # it reads alone
        ):
            for number, member in enumerate(archive):
                left -= member.size if member.isreg() else 0
                if left < 0 or number >= MAX_MEMBERS:
                    raise Permanent(
                        TerminationCode.OUTPUT_TOO_LARGE,
                        f"the job left more than {most_bytes} bytes below /job",
                    )
                _lay(archive, member, root)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise Permanent(
            TerminationCode.OUTPUT_INVALID, f"what came back cannot be unpacked ({type(error).__name__})"
        ) from error


def digest(paths: list[Path]) -> str:
    """SHA-256 of files read as one. Blocking."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                found.update(piece)
    return found.hexdigest()


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _lay(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    parts = PurePosixPath(member.name).parts
    if not parts or member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise Permanent(
            TerminationCode.OUTPUT_INVALID, "a file that came back has no path inside the workspace"
        )
    with _folder(root, parts[:-1]) as folder:
        if member.isdir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(parts[-1], 0o700, dir_fd=folder)
        elif member.isreg():
            source = archive.extractfile(member)
            assert source is not None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(parts[-1], dir_fd=folder)
            handle = os.open(
                parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder
            )
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
        else:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(parts[-1], dir_fd=folder)
            os.symlink(NO_REGULAR_FILE, parts[-1], dir_fd=folder)


@contextlib.contextmanager
def _folder(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of a folder below `root`, made where it is missing, no link followed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    handle = os.open(root, flags)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=handle)
            inner = os.open(part, flags, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


class _Parts(io.RawIOBase):
    """A file that is cut into parts."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._folder = folder
        self._name = name
        self._digest = hashlib.sha256()
        self._paths: list[Path] = []
        self._file: IO[bytes] | None = None
        self._room = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._digest.update(data)
        view = memoryview(data)
        while view:
            if self._file is None or not self._room:
                self._next()
            assert self._file is not None
            piece = view[: self._room]
            self._file.write(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
        return len(data)

    def end(self) -> Packed:
        if self._file is not None:
            self._file.close()
        return Packed(tuple(self._paths), self._digest.hexdigest())

    def _next(self) -> None:
        if self._file is not None:
            self._file.close()
        if len(self._paths) == MAX_PARTS:
            raise Permanent(
                TerminationCode.INPUT_UNAVAILABLE, "the inputs are too large for a pod's workspace"
            )
        path = self._folder / f"{self._name}.{len(self._paths)}"
        self._paths.append(path)
        self._file = path.open("wb")
        self._room = PART_BYTES


class _Joined:
    """Files read as one."""

    def __init__(self, paths: list[Path]) -> None:
        self._left = list(paths)
        self._file: IO[bytes] | None = None

    def read(self, size: int = -1) -> bytes:
        while self._file is not None or self._left:
            if self._file is None:
                self._file = self._left.pop(0).open("rb")
            if data := self._file.read(size):
                return data
            self.close()
        return b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@contextlib.contextmanager
def _joined(paths: list[Path]) -> Iterator[_Joined]:
    joined = _Joined(paths)
    try:
        yield joined
    finally:
        joined.close()
