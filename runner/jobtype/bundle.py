"""Code as one artifact: a single Python file, or a zip of text files."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

MAX_CODE_FILES = 200
MAX_CODE_BYTES = 16 * 1024**2
#: The first day a zip knows: the same files are the same bytes, whenever they are packed.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Bytes, the ending of a name for them, and what they are."""

    data: bytes
    suffix: str
    content_type: str


def pack(files: Mapping[str, str]) -> Bundle:
    """A lone job.py as it is, anything else as a zip. Stored, not deflated: a search for secrets sees the
    text."""
    if list(files) == ["job.py"]:
        return Bundle(files["job.py"].encode(), "py", "text/x-python")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name].encode())
    return Bundle(packed.getvalue(), "zip", "application/zip")


def unpack(path: Path) -> dict[str, str]:
    """Code that came as an artifact: one Python file, or a zip of text files. Raises
    Permanent(INVALID_CODE)."""
    data = path.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return {"job.py": _text("the code", data)}
    files: dict[str, str] = {}
    size = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise Permanent(TerminationCode.INVALID_CODE, f"{entry.filename[:128]!r} is a link")
            size += entry.file_size
            if size > MAX_CODE_BYTES or len(files) >= MAX_CODE_FILES:
                raise Permanent(
                    TerminationCode.INVALID_CODE,
                    f"the code has more than {MAX_CODE_FILES} files or {MAX_CODE_BYTES} bytes",
                )
            with archive.open(entry) as file:
                # The size in the directory of a zip is a claim: never read past it.
                files[entry.filename] = _text(entry.filename, file.read(entry.file_size))
    return files


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Permanent(TerminationCode.INVALID_CODE, f"{name[:128]} is not UTF-8 text") from error
