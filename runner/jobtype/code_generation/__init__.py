"""`code_generation`: code from a spec, by the Continue CLI in the sandbox; the engine is the model.

The first task of the loop, and a job type of its own. Parameters (the loop fills them in):

    target    {"job_type", "engine", "inputs", "outputs", "params", "secrets"}   names of what the code is for
    round     1 …                                                                which try this is

From the second round on the attempt has the inputs `report.sarif` and `code`. What comes out is one artifact
of kind code, the prompt as another, an event of lineage (<job>.<task> → code), and values: model, requests,
tokens, config_sha256, prompt_sha256, round, files.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.jobtype import bundle, environment, harvest, naming
from runner.jobtype.base import ArtifactFile, Collected, Command, Exit, Limits, Place, Readiness, Workspace
from runner.jobtype.code_generation import prompt
from runner.jobtype.code_generation.prompt import Target
from runner.jobtype.library import FOLDER, Library
from runner.lineage import openlineage
from runner.model.attempt import Attempt
from runner.model.command import GIB, MIB
from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import JOB, SIDE_CHANNEL

ENGINE = "continue"
MODULE = "control_room_generation"
CODE = "code"
LIMITS = Limits(
    memory_bytes=2 * GIB, pids=256, file_bytes=16 * MIB, tmp_bytes=128 * MIB, disk_bytes=256 * MIB
)
MAX_BYTES = 1024**2  # of all files together, as of code that is sent
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_LIBRARY = Library({MODULE: Path(__file__).resolve().parent / "harness"})


class CodeGeneration:
    """See `jobtype.base.JobType`."""

    name = "code_generation"
    takes_packed_code = True

    def __init__(self, place: Place) -> None:
        self._place = place

    def readiness(self) -> tuple[Readiness, ...]:
        """One for each model, all of them ready when the Continue CLI is there."""
        if not self._place.models:
            return (Readiness("model", "CONTROL_ROOM_CONTINUE_CONFIG names no models"),)
        why = environment.reason(self._place, ENGINE)
        return tuple(Readiness(each, why) for each in self._place.models)

    def prepare(self, attempt: Attempt, workspace: Workspace) -> Command:
        """Write the harness, the prompt, and the last try where there was one. Raises Permanent."""
        if not attempt.spec:
            raise Permanent(TerminationCode.INVALID_CODE, "there is no spec to write code from")
        target = Target.of(attempt.params)
        code = workspace.root / CODE
        code.mkdir()
        found: list[str] = []
        if any(each.name == CODE for each in attempt.inputs):
            for name, text in bundle.unpack(workspace.inputs / CODE).items():
                if _NAME.fullmatch(name):
                    (code / name).parent.mkdir(parents=True, exist_ok=True)
                    (code / name).write_text(text, "utf-8", newline="")
            found = _findings(workspace.inputs / "report.sarif")
        said = prompt.prompt(attempt.spec, target, found)
        workspace.side_channel.mkdir(exist_ok=True)
        (workspace.side_channel / "prompt.md").write_text(said, "utf-8")
        (workspace.side_channel / "rules.md").write_text(prompt.rules(target), "utf-8")
        (workspace.kept / "prompt.md").write_text(said, "utf-8")
        place = environment.find(self._place, ENGINE)
        node = f"{environment.INSIDE}/bin/node"
        request = {
            "command": [node, f"{environment.INSIDE}/node_modules/@continuedev/cli/dist/cn.js"],
            "path": "/usr/local/bin:/usr/bin:/bin",
        }
        (workspace.side_channel / "request.json").write_text(json.dumps(request), "utf-8")
        _LIBRARY.lay_out(workspace.side_channel / FOLDER)
        return Command(
            argv=(place.python, "-B", "-P", "-s", "-m", MODULE),
            binds=place.binds,
            environment={"PYTHONPATH": f"{JOB}/{SIDE_CHANNEL}/{FOLDER}", **place.variables},
            limits=LIMITS,
        )

    def collect(self, attempt: Attempt, workspace: Workspace, exit: Exit) -> Collected:
        """What was written, as one artifact. Raises GENERATION_FAILED where it is not what was asked for."""
        asked = (workspace.kept / "prompt.md").read_bytes()
        if exit.code != 0:
            raise Retryable(
                TerminationCode.GENERATION_FAILED, f"the Continue CLI gave up (exit code {exit.code})"
            )
        files = _read(workspace)
        target = Target.of(attempt.params)
        missing = target.missing(list(files))
        if missing:
            written = ", ".join(sorted(files)[:5]) or "nothing"
            raise Retryable(
                TerminationCode.GENERATION_FAILED,
                f"the model wrote {written} where {missing} was to be written",
            )
        packed = bundle.pack(files)
        (workspace.kept / CODE).write_bytes(packed.data)
        name = f"{attempt.task_key}/code.{packed.suffix}"
        return Collected(
            lineage=(_written(attempt, name),),
            artifacts=(
                ArtifactFile(
                    name=name,
                    path=CODE,
                    kept=True,
                    kind="code",
                    content_type=packed.content_type,
                ),
                ArtifactFile(
                    name=f"{attempt.task_key}/prompt.md",
                    path="prompt.md",
                    kept=True,
                    kind="log",
                    content_type="text/markdown",
                ),
            ),
            values={
                "files": sorted(files),
                "prompt_sha256": hashlib.sha256(asked).hexdigest(),
                "round": attempt.params.get("round", 1),
            },
        )


def _written(attempt: Attempt, name: str) -> dict[str, Any]:
    """The task has made the code: from a spec, which is no dataset."""
    return openlineage.assemble(
        output=naming.made_artifact(attempt, name),
        inputs=(),
        fields=(),
        columns={},
        influences=[],
        job=naming.task(attempt),
        engine=attempt.engine,
        method="artifact",
        confidence="high",
        reasons=(),
        event_type="COMPLETE",
        at=datetime.now(UTC),
    )


def _findings(report: Path) -> list[str]:
    try:
        return prompt.findings(report.read_bytes())
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise Permanent(
            TerminationCode.INPUT_UNAVAILABLE, "the report of the last round cannot be read"
        ) from error


def _read(workspace: Workspace) -> dict[str, str]:
    """Every file below code/ that is not hidden, as text. Raises Permanent."""
    files: dict[str, str] = {}
    size = 0
    for each in harvest.find(workspace.root, CODE, max_bytes=MAX_BYTES, max_files=bundle.MAX_CODE_FILES):
        name = each.path.removeprefix(f"{CODE}/")
        if any(part.startswith(".") for part in name.split("/")):
            continue  # what tools keep for themselves
        size += each.size
        if size > MAX_BYTES:
            raise Permanent(TerminationCode.OUTPUT_TOO_LARGE, f"the model wrote more than {MAX_BYTES} bytes")
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise Permanent(
                TerminationCode.GENERATION_FAILED,
                f"the model wrote {name[:128]!r}, which is no name of a file of code",
            )
        data = harvest.read_bytes(workspace.root, each.path, max_bytes=MAX_BYTES)
        try:
            files[name] = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Permanent(TerminationCode.GENERATION_FAILED, f"{name[:128]} is not UTF-8 text") from error
    return files
