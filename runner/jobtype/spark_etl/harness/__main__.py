"""`python -m control_room_harness`, in /job: tables in, user code, tables out, lineage. Exits as user code
did.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
from pathlib import Path

from . import engine, program, tables
from . import request as requests
from .capture import Capture
from .request import Request


def main() -> int:
    """One attempt. Returns the exit code of user code; 70 when the harness itself could not do its part."""
    library = Path(__file__).resolve().parent.parent
    for name in ("PYTHONPATH", "PYTHONSAFEPATH"):
        os.environ.pop(name, None)
    request = requests.read(Path.cwd())
    for each in request.inputs:
        if each.kind == "table":
            try:
                tables.bring_in(request, each.name)
            except Exception as error:
                return _give_up(
                    request, "input", f"the input {each.name} could not be turned into Parquet: {error}"
                )
    try:
        chosen = engine.choose(request)
    except Exception as error:
        return _give_up(request, "engine", f"the engine {request.engine} could not be started: {error}")
    # Progress is read line by line from a pipe, where Python would keep it back until the end.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    (request.side_channel / "started").touch()
    program.hide(library)
    code = program.run(request.root, request.entry)
    _end_program()
    with chosen.capture.guard("the end of the engine"):
        chosen.close()
    schemas = _take_out(request, chosen.capture) if code == 0 else {}
    chosen.capture.finish(succeeded=code == 0, schemas=schemas)
    return code


def _give_up(request: Request, about: str, message: str) -> int:
    """The harness could not do its part; the runner tells this from a job that failed."""
    line = " ".join(message.split())[:1000]
    print(f"control room: {line}", file=sys.stderr)
    (request.side_channel / "failure.json").write_text(json.dumps({"about": about, "message": line}), "utf-8")
    return 70


def _end_program() -> None:
    """What Python does at the end of a program: threads are awaited, exit handlers run. User code may count
    on it.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException as error:
        print(f"control room: an exit handler failed: {error}", file=sys.stderr)


def _take_out(request: Request, capture: Capture) -> dict[str, list[tuple[str, str]]]:
    """Every table output as CSV. What is wrong with one is written down for the runner, which fails the
    attempt.
    """
    schemas: dict[str, list[tuple[str, str]]] = {}
    problems: list[str] = []
    for output in request.outputs:
        if not output.table:
            continue
        try:
            schemas[output.name] = tables.take_out(request, output.name).columns
        except tables.Unusable as error:
            problems.append(str(error))
            print(f"control room: {error}", file=sys.stderr)
    if problems:
        (request.side_channel / "problems.json").write_text(json.dumps(problems), "utf-8")
    return schemas


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: DuckDB and py4j have things to say while the interpreter is taken down, and they take
    # their time.
    os._exit(exit_code)
