"""User code, run as `python job.py` would run it, with the harness out of sight.

The harness lives in the same interpreter, because it has to put itself between the code and its engine. So
before user code starts, the harness' modules and paths are taken out of `sys.modules` and `sys.path` (a job
may well have a module of its own called `runner`), and a traceback shows no frame of ours.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path
from types import TracebackType

_HARNESS = str(Path(__file__).resolve().parent)


def run(root: Path, entry: str) -> int:
    """Run the entry file; return the exit code that Python itself would end with."""
    script = str(root / entry)
    sys.argv = [script]
    sys.path.insert(0, str(Path(script).parent))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        return _exit_code(stop)
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        _show(error)
        return 1
    return 0


def hide(library: Path) -> None:
    """Take the harness out of the way of user code.

    The submodules stay in `sys.modules`, or their own imports of one another would end here; but `import
    runner` looks for the user's module again.
    """
    paths = {str(library), str(library.resolve())}
    sys.path[:] = [path for path in sys.path if path not in paths and path != ""]
    for name in ("runner", "control_room_harness"):
        sys.modules.pop(name, None)


def _exit_code(stop: SystemExit) -> int:
    match stop.code:
        case None:
            return 0
        case int(code):
            return code & 0xFF
        case other:
            print(other, file=sys.stderr)
            return 1


def _show(error: BaseException) -> None:
    """The traceback on stderr, without the frames of the harness and of runpy around user code."""
    sys.stdout.flush()
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        one.__traceback__ = _trimmed(one.__traceback__)
        one = one.__cause__ or one.__context__
    traceback.print_exception(error)


def _trimmed(trace: TracebackType | None) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith(_HARNESS) and not name.startswith("<frozen runpy"):
            frames.append(trace)
        trace = trace.tb_next
    result: TracebackType | None = None
    for frame in reversed(frames):
        result = TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result
