"""`diagram_export`: Visio and draw.io in; draw.io, SVG and PNG of each page out.

draw.io's own importer and renderer do it, in a Chromium without a network, inside the sandbox (`harness`);
what the importer is known to lose is put back. Files are inputs of the run; the runner opens none of them.

Parameters (all optional):

    formats      ["drawio", "svg", "png"]     what comes out (all three)
    scale        1                            pixels of the PNG for one of the page, 0.1 to 4
    reference    false                        a PNG of each page as LibreOffice draws it, to compare with
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.jobtype import environment
from runner.jobtype.base import Bind, Collected, Command, Exit, Limits, Place, Readiness, Workspace
from runner.jobtype.diagram_export import results
from runner.jobtype.diagram_export.harness.browser import BINARIES
from runner.jobtype.library import FOLDER, Library
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB, SIDE_CHANNEL

ENGINE = "diagrams"
MODULE = "control_room_diagrams"
FORMATS = ("drawio", "svg", "png")
# Chromium keeps its profile and what it shares in /tmp, and starts some two hundred threads.
LIMITS = Limits(memory_bytes=2 * GIB, pids=768, file_bytes=128 * MIB, tmp_bytes=512 * MIB)
#: What is left for reading the results when drawing has used up its time.
SPARE_SECONDS = 5.0
_FIELDS = frozenset({"formats", "scale", "reference"})

_LIBRARY = Library({MODULE: Path(__file__).resolve().parent / "harness"})


class DiagramExport:
    """See `jobtype.base.JobType`."""

    name = "diagram_export"
    takes_packed_code = False

    def __init__(self, place: Place) -> None:
        self._place = place

    def readiness(self) -> tuple[Readiness, ...]:
        """Ready when draw.io and a Chromium are there."""
        reason = environment.reason(self._place, ENGINE)
        if not reason and not self._place.image and not any(Path(each).exists() for each in BINARIES):
            reason = f"there is no Chromium (scripts/setup --engines {ENGINE})"
        return (Readiness("default", reason),)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write the harness and its request. Raises Permanent(INVALID_CODE, INPUT_INVALID)."""
        names = [each.name for each in attempt.inputs]
        for name, text in (attempt.code.files or {} if attempt.code else {}).items():
            # a diagram may come as text of the submission as well
            if name not in names and "/" not in name:
                (workspace.inputs / name).write_text(text, "utf-8", newline="")
                names.append(name)
        if not names:
            raise Permanent(TerminationCode.INPUT_INVALID, "there is no diagram: give one as an input")
        remaining = attempt.seconds_left
        request = {
            **parameters(attempt.params),
            "inputs": names,
            "seconds": max(remaining - SPARE_SECONDS, remaining / 2),
        }
        workspace.side_channel.mkdir(exist_ok=True)
        (workspace.side_channel / "request.json").write_text(json.dumps(request), "utf-8")
        _LIBRARY.lay_out(workspace.side_channel / FOLDER)
        found = environment.find(self._place, ENGINE)
        # which font stands for which decides what is drawn
        fonts = Bind(Path("/etc/fonts"), "/etc/fonts", optional=True)
        office = Bind(Path("/etc/libreoffice"), "/etc/libreoffice", optional=True)
        return Command(
            argv=(found.python, "-B", "-P", "-s", "-m", MODULE),
            binds=(*found.binds, *(() if self._place.image else (fonts, office))),
            environment={"PYTHONPATH": f"{JOB}/{SIDE_CHANNEL}/{FOLDER}", **found.variables},
            limits=LIMITS,
        )

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """The files, what is in them, and their lineage. Raises Permanent or Retryable."""
        if exit.code != 0:
            raise results.explain(workspace, exit.code)
        return results.collect(attempt, workspace)


def parameters(given: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with defaults. Raises Permanent(INVALID_CODE) for one that makes no sense."""
    if unknown := sorted(set(given) - _FIELDS):
        raise _wrong(f"params.{unknown[0][:64]} is not known; there are {', '.join(sorted(_FIELDS))}")
    formats = given.get("formats", list(FORMATS))
    if not isinstance(formats, list) or not formats or not set(map(str, formats)) <= set(FORMATS):
        raise _wrong(f"params.formats must be a list of {', '.join(FORMATS)}")
    scale = given.get("scale", 1)
    if not isinstance(scale, int | float) or isinstance(scale, bool) or not 0.1 <= scale <= 4:
        raise _wrong("params.scale must be a number from 0.1 to 4")
    reference = given.get("reference", False)
    if not isinstance(reference, bool):
        raise _wrong("params.reference must be true or false")
    return {"formats": formats, "scale": scale, "reference": reference}


def _wrong(why: str) -> Permanent:
    return Permanent(TerminationCode.INVALID_CODE, why)
