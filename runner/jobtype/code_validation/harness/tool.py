"""What a tool is, and how its program is run: bounded in time and output, told apart from what it found."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from .finding import Heard, legible
from .request import Request
from .survey import Survey

#: More than this of one tool's output is no report that anybody reads.
MAX_OUTPUT = 32 * 1024**2
CHUNK = 65_536


class NoReport(Exception):
    """The tool did not do its work; the text says how it failed, without what it said about the code."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a program left: its exit code (None when its time was up) and its two streams."""

    code: int | None
    stdout: str
    stderr: str

    def last_words(self) -> str:
        """The last line of what went wrong, for the reason."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return legible(lines[-1])[:200] if lines else ""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a tool may know and use. `deadline` is on the monotonic clock."""

    request: Request
    survey: Survey
    deadline: float
    home: Path
    most_seconds: float = 120.0
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def checked(self) -> Path:
        return self.request.checked

    def program(self, name: str) -> str:
        """A program of the engine."""
        return str(self.request.engine / "bin" / name)

    def module(self, name: str) -> tuple[str, ...]:
        """A Python module of the engine, run so that nothing in the working directory is imported."""
        return (self.program("python"), "-B", "-E", "-P", "-s", "-m", name)

    def run(
        self, argv: Sequence[str], *, folder: Path | None = None, environment: dict[str, str] | None = None
    ) -> Said:
        """Run a program in the copy of the code. Raises NoReport when it cannot be started, takes too long
        or says too much."""
        seconds = min(self.most_seconds, self.deadline - time.monotonic())
        if seconds <= 0:
            raise NoReport("there was no time left for it")
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder or self.checked,
                env={**self._environment(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NoReport(f"it cannot be started here ({error.strerror})") from error
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [_Reader(process.stdout), _Reader(process.stderr)]
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # what a tool leaves running would hold the pipes open
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        streams = [reader.end() for reader in readers]
        if code is None:
            raise NoReport(f"it took longer than {seconds:.0f} s")
        if any(reader.overflowed for reader in readers):
            raise NoReport(f"it said more than {MAX_OUTPUT} bytes")
        if code < 0:
            raise NoReport(f"it was ended by signal {-code}")
        return Said(code, *streams)

    def relative(self, path: object) -> str:
        """A path as a tool says it, relative to the code."""
        text = str(path).removeprefix("file://")
        for root in (self.checked, self.request.source):
            text = text.removeprefix(f"{root}/")
        return text.removeprefix("./")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.request.engine}/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "NO_COLOR": "1",
            **self.environment,
        }


class Tool(Protocol):
    """One tool. `distribution` is the package whose version is that of the tool."""

    name: str
    distribution: str
    uri: str

    def files(self, bench: Bench) -> tuple[str, ...]:
        """What it has to look at; nothing means that it is not asked."""
        ...

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        """Run it. Raises NoReport, or anything when its report is not what we know (a ValueError, KeyError
        …): both mean that it could not check."""
        ...


def version(distribution: str) -> str:
    """The version of a package of the engine."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def report(said: Said, *fine: int) -> Any:
    """The JSON that a tool wrote. Raises NoReport when it ended otherwise than with a report."""
    if said.code not in fine:
        raise NoReport(f"exit code {said.code}: {said.last_words()}")
    try:
        return json.loads(said.stdout)
    except (ValueError, RecursionError):
        raise NoReport(f"it wrote no report: {said.last_words()}") from None


class _Reader:
    """Reads a pipe to its end and keeps a bounded part."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = bytearray()
        self.overflowed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> str:
        # a process that left the tool's session may hold the pipe for ever
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self._pipe.close()
        return bytes(self._kept).decode("utf-8", "replace")

    def _read(self) -> None:
        while data := self._pipe.read1(CHUNK):  # type: ignore[attr-defined]  # Popen's pipes are buffered readers
            if len(self._kept) + len(data) > MAX_OUTPUT:
                self.overflowed = True
                continue
            self._kept += data
