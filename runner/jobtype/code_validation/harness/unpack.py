"""Code that came as an artifact: a zip, a tar (plain, gz, bz2, xz), or one Python file.

Unpacked here and not in the runner: a bomb meets the sandbox's limits, and what is left of it is a sentence.
Nothing is ever written through a link, and sizes in an archive's directory are claims.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

MAX_FILES = 5_000
MAX_BYTES = 64 * 1024**2
MAX_DEPTH = 32
MAX_NAME = 512
CHUNK = 1024**2
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # encrypted
    NotImplementedError,
    ValueError,
    MemoryError,
)


class Refused(Exception):
    """The code cannot be validated at all; the text is for its author."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    link: bool
    content: IO[bytes] | None


def unpack(packed: Path, target: Path) -> list[str]:
    """Write the files below `target`; the names of links and devices, which were left out."""
    left_out: list[str] = []
    target.mkdir(parents=True, exist_ok=True)
    try:
        count, written = 0, 0
        for entry in _entries(packed):
            count += 1
            if count > MAX_FILES:
                raise Refused(f"the code has more than {MAX_FILES} files")
            name = _name(entry.name)
            if entry.link or entry.content is None:
                left_out.append(name)
                continue
            written = _write(entry.content, target / name, written)
    except _UNREADABLE as error:
        raise Refused(f"the archive cannot be read: {type(error).__name__}") from error
    return left_out


def _entries(packed: Path) -> Iterator[_Entry]:
    if zipfile.is_zipfile(packed):
        yield from _zipped(packed)
    elif tarfile.is_tarfile(packed):
        yield from _tarred(packed)
    else:
        with packed.open("rb") as file:
            yield _Entry("job.py", link=False, content=file)


def _zipped(packed: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(packed) as archive:
        if len(archive.infolist()) > 2 * MAX_FILES:  # folders are entries too
            raise Refused(f"the code has more than {MAX_FILES} files")
        for each in archive.infolist():
            mode = each.external_attr >> 16
            if each.is_dir():
                continue
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                yield _Entry(each.filename, link=True, content=None)
                continue
            with archive.open(each) as content:
                yield _Entry(each.filename, link=False, content=content)


def _tarred(packed: Path) -> Iterator[_Entry]:
    with tarfile.open(packed) as archive:
        for each in archive:
            if each.isdir():
                continue
            if not each.isreg() or each.issparse():
                yield _Entry(each.name, link=True, content=None)
                continue
            if each.size > MAX_BYTES:
                raise Refused(f"the code has more than {MAX_BYTES} bytes")
            yield _Entry(each.name, link=False, content=archive.extractfile(each))


def _write(content: IO[bytes], path: Path, written: int) -> int:
    """The bytes written so far, this file included."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while piece := content.read(CHUNK):
                written += len(piece)
                if written > MAX_BYTES:
                    raise Refused(f"the code has more than {MAX_BYTES} bytes")
                file.write(piece)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Refused(f"two files of the code are called {path.name[:64]}") from None
    return written


def _name(name: str) -> str:
    path = PurePosixPath(name.removeprefix("./"))
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or len(name) > MAX_NAME:
        raise Refused(f"{name[:64]!r} is no name of a file of code")
    if not name.isprintable() or not _encodes(name):
        raise Refused(f"{name[:64]!r} is no name of a file of code")
    if len(path.parts) > MAX_DEPTH:
        raise Refused(f"the folders of the code are nested more than {MAX_DEPTH} deep")
    return str(path)


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
