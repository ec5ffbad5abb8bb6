"""Taking results out of a workspace that hostile code wrote.

A workspace may hold links to /etc/shadow, FIFOs that block a reader for ever, devices and files that grow.
Every step from the root down is opened relative to its parent with O_NOFOLLOW, only regular files with one
name are accepted, and sizes are checked before a byte is read. Call this when no process of the sandbox
lives any more.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

MAX_FILES = 1000
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file: `path` relative to the root that was walked into, `size` in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class _Bounds:
    max_bytes: int | None
    max_files: int
    depth: int


def find(
    root: Path, folder: str, *, max_bytes: int | None = None, max_files: int = MAX_FILES
) -> tuple[Found, ...]:
    """Every regular file below `folder` (relative to `root`), sorted by path; paths are relative to `root`.

    Raises Permanent(OUTPUT_INVALID) for a link, device, socket or FIFO, for a name that is not UTF-8 or holds
    control characters, for more than `max_files` files; Permanent(OUTPUT_TOO_LARGE) for a file over
    `max_bytes`. A folder that does not exist is empty.
    """
    found: list[Found] = []
    try:
        with _directory(root, _parts(folder)) as handle:
            _walk(handle, folder, found, _Bounds(max_bytes, max_files, MAX_DEPTH))
    except FileNotFoundError:
        return ()
    return tuple(sorted(found, key=lambda each: each.path))


def read_bytes(root: Path, path: str, *, max_bytes: int) -> bytes:
    """The content of one regular file. Raises FileNotFoundError, or Permanent as `find` does."""
    handle = open_file(root, path, max_bytes=max_bytes)
    with os.fdopen(handle, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _too_large(path, max_bytes)
    return data


def open_file(root: Path, path: str, *, max_bytes: int | None = None) -> int:
    """A read-only descriptor of one regular file, after checking that it is one. The caller closes it."""
    parts = _parts(path)
    with _directory(root, parts[:-1]) as folder:
        try:
            handle = os.open(
                parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _not_regular(path) from error
    try:
        _check(os.fstat(handle), path, max_bytes)
    except BaseException:
        os.close(handle)
        raise
    return handle


def take(root: Path, path: str, kept: Path, *, max_bytes: int | None = None) -> Path:
    """Move one regular file to `kept` (a directory of the runner's own on the same disk) and return where
    it is.

    From then on its name cannot be swapped by anybody else. Raises as `open_file` does.
    """
    handle = open_file(root, path, max_bytes=max_bytes)
    try:
        before = os.fstat(handle)
        parts = _parts(path)
        target = kept / f"{before.st_ino}-{len(os.listdir(kept))}"
        with _directory(root, parts[:-1]) as folder:
            os.rename(parts[-1], target, src_dir_fd=folder)
        after = os.lstat(target)
        if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
            raise _not_regular(path)
    finally:
        os.close(handle)
    return target


def _walk(folder: int, prefix: str, found: list[Found], bounds: _Bounds) -> None:
    if bounds.depth == 0:
        raise Permanent(TerminationCode.OUTPUT_INVALID, f"{prefix}: folders are nested too deeply")
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{prefix}/{_legible(entry.name, prefix)}"
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                inner = os.open(
                    entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
                )
                try:
                    _walk(inner, path, found, replace(bounds, depth=bounds.depth - 1))
                finally:
                    os.close(inner)
                continue
            _check(status, path, bounds.max_bytes)
            found.append(Found(path, status.st_size))
            if len(found) > bounds.max_files:
                raise Permanent(
                    TerminationCode.OUTPUT_INVALID, f"more than {bounds.max_files} files in {prefix}"
                )


def _check(status: os.stat_result, path: str, max_bytes: int | None) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise _not_regular(path)
    if max_bytes is not None and status.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise Permanent(TerminationCode.OUTPUT_INVALID, f"{path!r} is not a path inside the workspace")
    return parts


def _legible(name: str, prefix: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Permanent(TerminationCode.OUTPUT_INVALID, f"{prefix}: a file name is not UTF-8") from None
    if not name.isprintable():
        raise Permanent(TerminationCode.OUTPUT_INVALID, f"{prefix}: a file name holds control characters")
    return name


@contextmanager
def _directory(root: Path, parts: list[str]) -> Iterator[int]:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for part in parts:
            try:
                inner = os.open(
                    part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle
                )
            except FileNotFoundError:
                raise
            except OSError as error:
                raise _not_regular("/".join(parts)) from error
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _not_regular(path: str) -> Permanent:
    return Permanent(
        TerminationCode.OUTPUT_INVALID, f"{path} is not a regular file (links, devices and pipes are refused)"
    )


def _too_large(path: str, max_bytes: int) -> Permanent:
    return Permanent(TerminationCode.OUTPUT_TOO_LARGE, f"{path} is larger than {max_bytes} bytes")
