"""What a finished attempt left in its workspace -> artifacts, tables, lineage. None of it is trusted.

Artifacts are the files below outputs/ that do not belong to a table output. An engine writes directories of
part files; they become artifacts like this:

    outputs/report.csv                          report.csv
    outputs/routes/part-00000-….snappy.parquet  routes.parquet        the only part of its folder
    outputs/big/part-00000-….parquet, part-…    big/part-00000-….parquet, …
    outputs/by_year/year=2001/part-0.parquet    by_year/year=2001.parquet
    _SUCCESS, .crc and other dot files          left out
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from runner.jobtype import harvest, naming
from runner.jobtype.base import ArtifactFile, Collected, Column, TableFile, Workspace
from runner.lineage import sanitiser
from runner.lineage.openlineage import Dataset
from runner.model.attempt import Attempt, Output
from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode
from runner.model.workspace import SIDE_CHANNEL

HARNESS_FAILED = 70
MAX_FORM = 1024 * 1024
MAX_LINEAGE = 16 * 1024 * 1024
MAX_MESSAGE = 1000

_TYPES = re.compile(
    r"boolean|bigint|integer|smallint|double precision|real|numeric(\(\d{1,2}, ?\d{1,2}\))?|text|date|"
    r"timestamp|timestamptz|time|uuid|jsonb|bytea"
)
_RESERVED = {"tenant_id", "tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"}
_MARKERS = ("_SUCCESS", "_committed_", "_started_", "_metadata", "_common_metadata", "_temporary")
_KINDS = {
    ".html": "report",
    ".ipynb": "notebook",
    ".md": "report",
    ".pdf": "report",
    ".sql": "sql",
    ".svg": "diagram",
}
_CONTENT_TYPES = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


def explain(workspace: Workspace, code: int) -> None:
    """A better word than "user code failed", where user code never started. Returns when there is none."""
    if code != HARNESS_FAILED or _exists(workspace, "started"):
        return
    failure = _form(workspace, "failure.json")
    message = _words([failure.get("message")]) if isinstance(failure, dict) else ""
    if isinstance(failure, dict) and failure.get("about") == "input":
        raise Permanent(TerminationCode.INPUT_UNAVAILABLE, message or "an input could not be prepared")
    raise Retryable(TerminationCode.EXECUTOR_UNAVAILABLE, message or "the engine could not be started")


def collect(attempt: Attempt, workspace: Workspace) -> Collected:
    """Everything that is to be published. Raises Permanent(OUTPUT_INVALID) when a promised output is not
    there.
    """
    problems = _form(workspace, "problems.json")
    if problems:
        raise Permanent(TerminationCode.OUTPUT_INVALID, _words(problems) or "an output is not usable")
    tables = tuple(_table(attempt, workspace, each) for each in attempt.outputs if each.table)
    artifacts, becomes = _artifacts(attempt, workspace)
    events = _lineage(attempt, workspace, becomes)
    confidence = {e["run"]["facets"]["control_room"]["confidence"] for e in events.events}
    values: dict[str, Any] = {
        "lineage": {
            "events": len(events.events),
            "confidence": "high" if confidence == {"high"} else "low",
            **({"dropped": events.dropped} if events.dropped else {}),
        }
    }
    told = naming.with_unread(attempt, events.events, "event")
    return Collected(artifacts=artifacts, tables=tables, lineage=told, values=values)


# -- tables


def _table(attempt: Attempt, workspace: Workspace, output: Output) -> TableFile:
    form = _form(workspace, f"tables/{output.name}.json")
    listed = form.get("columns") if isinstance(form, dict) else None
    if not isinstance(form, dict) or not isinstance(listed, list) or not listed:
        raise _invalid(f"the job declared the table output {output.name} and did not write it")
    columns = tuple(_column(output.name, each) for each in listed)
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise _invalid(f"the table output {output.name} has two columns of one name")
    rows = form.get("rows")
    return TableFile(
        name=output.name,
        path=f"{SIDE_CHANNEL}/tables/{output.name}.csv",
        columns=columns,
        layer=str(output.layer),
        table=str(output.table),
        mode=output.mode or "overwrite",
        rows=rows if isinstance(rows, int) and rows >= 0 else None,
    )


def _column(output: str, each: object) -> Column:
    name = each.get("name") if isinstance(each, dict) else None
    type_ = each.get("type") if isinstance(each, dict) else None
    if not isinstance(name, str) or not isinstance(type_, str) or not _TYPES.fullmatch(type_):
        raise _invalid(f"the table output {output} has a column without a name or a known type")
    if not name or not name.isprintable() or len(name.encode("utf-8", "replace")) > 63:
        raise _invalid(f"the table output {output}: {name[:80]!r} cannot be the name of a column")
    if name in _RESERVED:
        raise _invalid(f"the table output {output}: the column name {name} is taken by the database")
    return Column(name, type_)


# -- artifacts


def _artifacts(
    attempt: Attempt, workspace: Workspace
) -> tuple[tuple[ArtifactFile, ...], dict[Dataset, Dataset]]:
    """The artifacts, and for lineage: which place below outputs/ became which artifact."""
    tables = {each.name for each in attempt.outputs if each.table}
    kinds = {each.name: each.kind or "data" for each in attempt.outputs if not each.table}
    paths = [
        path
        for found in harvest.find(workspace.root, "outputs")
        if not _marker(path := PurePosixPath(found.path).relative_to("outputs"))
        and _output_of(path, tables) is None
    ]
    named = dict(_names(paths))
    artifacts = []
    becomes: dict[Dataset, Dataset] = {}
    written: set[str] = set()
    for path, name in named.items():
        if "\\" in name or len(name) > 500:
            raise _invalid(f"outputs/{path} has a name that no artifact can have")
        declared = _output_of(path, set(kinds))
        artifacts.append(
            ArtifactFile(
                name=name,
                path=f"outputs/{path}",
                kind=kinds.get(declared or "", _KINDS.get(path.suffix, "data")),
                content_type=_CONTENT_TYPES.get(PurePosixPath(name).suffix),
            )
        )
        for place in _places(path, declared):
            # A folder of several parts stays one dataset, under its own name.
            whole = name if len(_inside(place, named)) == 1 else place
            source = Dataset(naming.files_namespace(attempt), f"outputs/{place}")
            becomes[source] = naming.made_artifact(attempt, whole)
        if declared:
            written.add(declared)
    for missing in sorted(set(kinds) - written):
        raise _invalid(f"the job declared the output {missing} and wrote nothing to outputs/{missing}")
    return tuple(artifacts), becomes


def _names(paths: list[PurePosixPath]) -> Iterator[tuple[PurePosixPath, str]]:
    """Each file's name as an artifact: a folder with a single part goes by the folder's name."""
    per_folder: dict[PurePosixPath, int] = defaultdict(int)
    for path in paths:
        per_folder[path.parent] += 1
    taken = {str(path) for path in paths}
    for path in paths:
        folder = path.parent
        name = f"{folder}{_suffix(path)}"
        alone = per_folder[folder] == 1 and folder != PurePosixPath(".") and path.name.startswith("part-")
        if alone and name not in taken:
            taken.add(name)
            yield path, name
        else:
            yield path, str(path)


def _suffix(path: PurePosixPath) -> str:
    """`.parquet` of part-0.snappy.parquet, `.csv.gz` of part-0.csv.gz."""
    compressed = path.suffix in (".gz", ".bz2", ".zst", ".lz4")
    return (path.suffixes[-2] if len(path.suffixes) > 1 else "") + path.suffix if compressed else path.suffix


def _places(path: PurePosixPath, declared: str | None) -> Iterator[str]:
    """The places under which the harness may have named the write that made this file."""
    yield str(path)
    for folder in path.parents:
        if str(folder) != ".":
            yield str(folder)
    if declared:
        yield declared


def _inside(place: str, paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    return [
        path
        for path in paths
        if str(path) == place or place in map(str, path.parents) or _output_of(path, {place})
    ]


def _output_of(path: PurePosixPath, names: set[str]) -> str | None:
    """The output of this name that a file below outputs/ belongs to: <name>/… or <name>.<suffix>."""
    first = path.parts[0]
    if first in names:
        return first
    stem = first.split(".", 1)[0]
    return stem if len(path.parts) == 1 and stem in names else None


def _marker(path: PurePosixPath) -> bool:
    return any(part.startswith(".") for part in path.parts) or path.name.startswith(_MARKERS)


# -- lineage


def _lineage(attempt: Attempt, workspace: Workspace, becomes: dict[Dataset, Dataset]) -> sanitiser.Sanitised:
    allowed = sanitiser.Allowed(
        inputs=frozenset(naming.of_input(attempt, each) for each in attempt.inputs),
        outputs=frozenset(naming.of_table(attempt, each) for each in attempt.outputs if each.table),
        files=naming.files_namespace(attempt),
        renamed=becomes,
    )
    raw: list[object] = []
    note: list[str] = []
    try:
        data = harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/lineage.ndjson", max_bytes=MAX_LINEAGE)
        for line in data.splitlines()[: sanitiser.MAX_EVENTS + 1]:
            raw.append(json.loads(line))
    except FileNotFoundError:
        note.append("the harness left no lineage")
    except (Permanent, ValueError, RecursionError):
        note.append("the lineage of the harness is not readable")
    result = sanitiser.sanitise(
        raw, allowed=allowed, job=naming.job(attempt), engine=attempt.engine, now=datetime.now(UTC)
    )
    result.dropped[:0] = note
    return result


# -- reading the side channel


def _exists(workspace: Workspace, path: str) -> bool:
    try:
        harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/{path}", max_bytes=MAX_FORM)
    except FileNotFoundError:
        return False
    except Permanent:
        return True
    return True


def _form(workspace: Workspace, path: str) -> Any:
    """A small JSON file of the harness, None when it is absent or is no such thing."""
    try:
        return json.loads(harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/{path}", max_bytes=MAX_FORM))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def _words(messages: object) -> str:
    listed = messages if isinstance(messages, list) else []
    text = "; ".join(each for each in listed if isinstance(each, str))
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_MESSAGE]


def _invalid(message: str) -> Permanent:
    return Permanent(TerminationCode.OUTPUT_INVALID, message)
