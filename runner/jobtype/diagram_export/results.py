"""What the harness left behind, checked; and the lineage from each diagram to what was made of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.jobtype import harvest, naming
from runner.jobtype.base import ArtifactFile, Collected, Workspace
from runner.lineage import openlineage
from runner.lineage.openlineage import Dataset
from runner.model.attempt import Attempt
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import SIDE_CHANNEL

MAX_BYTES = 8 * 1024**2
REFUSED = 65
CONTENT_TYPES = {"drawio": "application/vnd.jgraph.mxfile", "svg": "image/svg+xml", "png": "image/png"}
_NEVER_STARTED = (126, 127)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Output(_Form):
    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,250}\.(drawio|svg|png)$")


class _Page(_Form):
    name: str
    shapes: int | None = None
    connectors: int | None = None


class _Mended(_Form):
    labels: int = 0
    curves: int = 0


class _File(_Form):
    input: str
    outputs: tuple[_Output, ...] = Field(max_length=1000)
    pages: tuple[_Page, ...] = Field(default=(), max_length=1000)
    warnings: tuple[str, ...] = ()
    mended: _Mended | None = None


class _Result(_Form):
    files: tuple[_File, ...]


def collect(attempt: Attempt, workspace: Workspace) -> Collected:
    """Every file that was made, and values that say what is in it. Raises Permanent(OUTPUT_INVALID)."""
    try:
        said = harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/result.json", max_bytes=MAX_BYTES)
        files = _Result.model_validate({"files": json.loads(said)}).files
    except (FileNotFoundError, ValueError, RecursionError, ValidationError) as error:
        raise Permanent(TerminationCode.OUTPUT_INVALID, "the export left no list of what it made") from error
    there = {each.path.removeprefix("outputs/") for each in harvest.find(workspace.root, "outputs")}
    missing = [each.name for file in files for each in file.outputs if each.name not in there]
    if missing:
        raise Permanent(TerminationCode.OUTPUT_INVALID, f"{missing[0]} was not written")
    return Collected(
        artifacts=tuple(
            ArtifactFile(
                name=each.name,
                path=f"outputs/{each.name}",
                kind="diagram",
                content_type=CONTENT_TYPES[each.name.rpartition(".")[2]],
            )
            for file in files
            for each in file.outputs
        ),
        lineage=naming.with_unread(attempt, _events(attempt, files), "artifact"),
        values={
            "files": len(files),
            "pages": sum(len(file.pages) for file in files),
            "diagrams": [
                {
                    "input": file.input,
                    "pages": [page.model_dump(exclude_none=True) for page in file.pages],
                    "outputs": [each.name for each in file.outputs],
                    "warnings": list(file.warnings),
                    "mended": file.mended.model_dump() if file.mended else None,
                }
                for file in files[:50]
            ],
        },
    )


def explain(workspace: Workspace, code: int) -> Failure:
    """Why nothing was made, after an exit that is not 0."""
    if code in _NEVER_STARTED:
        return Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, "the export could not be started")
    try:
        said = json.loads(harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/refused.json", max_bytes=4096))
    except (FileNotFoundError, ValueError, RecursionError):
        return Retryable(TerminationCode.USER_CODE_FAILED, f"the export broke off (exit code {code})")
    text = "".join(c if c.isprintable() else " " for c in str(said))[:500]
    if code == REFUSED:
        return Permanent(TerminationCode.INPUT_INVALID, text)
    return Retryable(TerminationCode.USER_CODE_FAILED, text)


def _events(attempt: Attempt, files: tuple[_File, ...]) -> list[dict[str, Any]]:
    """One event for each file that was made: the diagram it comes from is its only source."""
    job, at = naming.job(attempt), datetime.now(UTC)
    inputs = {each.name: naming.of_input(attempt, each) for each in attempt.inputs}
    events = []
    for file in files:
        source: list[Dataset] = [inputs[file.input]] if file.input in inputs else []
        for each in file.outputs:
            events.append(
                openlineage.assemble(
                    output=naming.made_artifact(attempt, each.name),
                    inputs=source,
                    fields=(),
                    columns={},
                    influences=[],
                    job=job,
                    engine="drawio",
                    method="artifact",
                    confidence="high",
                    reasons=(),
                    event_type="COMPLETE",
                    at=at,
                )
            )
    return events
