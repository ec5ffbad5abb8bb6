"""The engines of `spark_etl`, behind one form: prepared before user code, closed after it."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

from .capture import Capture
from .request import Request


class Engine(Protocol):
    """An engine that user code is about to use through `pyspark`."""

    capture: Capture

    def close(self) -> None:
        """User code has ended: let every report arrive, give back memory."""
        ...


def choose(request: Request) -> Engine:
    """The engine that the request names, ready for user code. Only its own packages are imported."""
    match request.engine:
        case "duckdb":
            from .duck import DuckEngine  # noqa: PLC0415 - each engine has packages of its own

            chosen: Engine = DuckEngine(request)
        case "spark":
            from .spark import SparkEngine  # noqa: PLC0415

            chosen = SparkEngine(request)
        case other:
            raise ValueError(f"there is no engine {other}")
    _watch_files(chosen.capture, request)
    return chosen


def _watch_files(capture: Capture, request: Request) -> None:
    """Notice the files below inputs/ and outputs/ that the program opens itself, past the engine."""
    root = str(request.root)
    folders = (f"{root}/inputs/", f"{root}/outputs/")

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name != "open" or not isinstance(arguments[0], str):
            return
        path, mode, flags = arguments
        full = path if path.startswith("/") else f"{root}/{path}"
        if not full.startswith(folders):
            return
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR)) if isinstance(flags, int) else "w" in (mode or "")
        with capture.guard("a file opened by the program"):
            capture.opened(full, writes=writes)

    sys.addaudithook(hook)
