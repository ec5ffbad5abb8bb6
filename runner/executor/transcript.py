"""What a job says on stdout and stderr: bytes in, clean lines out.

    bytes → lines (bounded) → redacted → control characters replaced
          → `::progress N message` and `::value name json` taken out
          → whole log on disk, and to the reporter until a bound is reached

The first three steps are `lines`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from runner.executor.lines import MASK, MAX_LINE, Lines, Redactor
from runner.executor.values import PREFIX, Values

__all__ = ["MASK", "MAX_LINE", "Lines", "Redactor", "Stream", "Transcript"]

MAX_LINES = 10_000
MAX_BYTES = 4 * 1024**2
MAX_FILE = 48 * 1024**2
TRUNCATED = "[log truncated here; the whole log is the artifact `log` of this run]"

_PROGRESS = re.compile(r"::progress\s+(\d{1,3})(?:\.\d+)?\s*%?(?:\s+(.*?))?\s*$")


class Transcript:
    """The log of one attempt, bounded where it goes to the database, whole on disk."""

    def __init__(
        self,
        path: Path,
        redact: Redactor,
        log: Callable[[str, str], None],
        progress: Callable[[int, str], None],
    ) -> None:
        self._path = path
        self._redact = redact
        self._log = log
        self._progress = progress
        self._file: BinaryIO | None = None
        self._file_bytes = 0
        self._lines = 0
        self._bytes = 0
        self._muted = False
        self.truncated = False
        self.last_error_line = ""
        self.values = Values(redact)

    @contextlib.contextmanager
    def muted(self) -> Iterator[None]:
        """What is heard meanwhile was reported before: it counts for values and the log on disk alone."""
        self._muted = True
        try:
            yield
        finally:
            self._muted = False

    def line(self, stream: str, line: str) -> None:
        """One clean line of a stream."""
        if line.startswith("::progress"):
            match = _PROGRESS.match(line)
            if match and self._muted:
                return
            if match:
                self._progress(min(int(match[1]), 100), match[2] or "")
                return
        elif line.startswith(PREFIX):
            fault = self.values.take(line)
            if fault is None:
                return
            if fault:
                self.line("system", fault)
            line = line[:MAX_LINE]
        if stream == "stderr" and line.strip():
            self.last_error_line = line.strip()
        self._keep(line)
        if self.truncated:
            return
        self._lines += 1
        self._bytes += len(line) + 1
        if self._lines >= MAX_LINES or self._bytes > MAX_BYTES:
            self.truncated = True
            self._log("system", TRUNCATED)
            return
        if not self._muted:
            self._log(stream, line)

    def stream(self, name: str) -> Stream:
        """The reader of one of the two streams."""
        return Stream(self, name, Lines(self._redact))

    def close(self) -> None:
        """Close the file on disk; remove it unless it holds more than the database does."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if not self.truncated:
                self._path.unlink(missing_ok=True)

    def _keep(self, line: str) -> None:
        if self._file_bytes >= MAX_FILE:
            return
        if self._file is None:
            self._file = self._path.open("wb")
        data = line.encode("utf-8", "replace") + b"\n"
        self._file_bytes += len(data)
        self._file.write(data)


class Stream:
    """One of stdout and stderr of an attempt."""

    def __init__(self, transcript: Transcript, name: str, lines: Lines) -> None:
        self._transcript = transcript
        self._name = name
        self._lines = lines

    def feed(self, data: bytes) -> None:
        """Bytes as they arrive."""
        for line in self._lines.feed(data):
            self._transcript.line(self._name, line)

    def end(self) -> None:
        """The stream has ended."""
        for line in self._lines.end():
            self._transcript.line(self._name, line)
