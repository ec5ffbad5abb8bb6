"""Where values come from, as the harness has traced it: asked for, and checked against what is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.jobtype import harvest
from runner.jobtype.base import Workspace
from runner.lineage.flow import DIRECT, INDIRECT, Column, Flow, Kind, Origin
from runner.model.migration import File, Shape
from runner.model.workspace import SIDE_CHANNEL

MAX_BYTES = 32 * 1024**2
MAX_FLOWS = 1000
_VIEWS = ("view", "materialized view")


@dataclass(frozen=True)
class Traced:
    """`views` by full name; `written` in the order in which it was written."""

    views: Mapping[str, Flow] = field(default_factory=dict)
    written: tuple[Flow, ...] = ()


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Column(_Form):
    origins: tuple[tuple[str, str, Literal["DIRECT", "INDIRECT"], str], ...]
    doubt: str | None


class _Flow(_Form):
    target: str | None
    operation: str
    reads: tuple[str, ...]
    columns: dict[str, _Column]
    influences: tuple[tuple[str, str, Literal["DIRECT", "INDIRECT"], str], ...]
    doubts: tuple[str, ...]


class _Flows(_Form):
    views: dict[str, _Flow]
    written: tuple[_Flow, ...] = Field(max_length=MAX_FLOWS)


def ask(workspace: Workspace, shape: Shape, files: Iterable[File]) -> bool:
    """Write what is to be traced; False when there is nothing."""
    views = {
        table.full_name: shape.definitions.get(f"view {table.full_name}", "")
        for table in shape.tables
        if table.kind in _VIEWS
    }
    texts = [";\n".join(statement.text for statement in file.statements) for file in files]
    if not views and not texts:
        return False
    asked = {
        "schema": {table.full_name: {c.name: c.type for c in table.columns} for table in shape.tables},
        "views": views,
        "files": texts,
    }
    workspace.side_channel.mkdir(exist_ok=True)
    (workspace.side_channel / "trace.json").write_text(json.dumps(asked), "utf-8")
    return True


def read(workspace: Workspace, shape: Shape) -> Traced:
    """What was traced, of tables and columns that are there. Raises ValueError when it cannot be read."""
    try:
        data = harvest.read_bytes(workspace.root, f"{SIDE_CHANNEL}/flows.json", max_bytes=MAX_BYTES)
        form = _Flows.model_validate_json(data)
    except (FileNotFoundError, ValidationError) as error:
        raise ValueError("nothing was traced") from error
    known = {table.full_name: {column.name for column in table.columns} for table in shape.tables}
    return Traced(
        views={name: _flow(each, name, known) for name, each in form.views.items() if name in known},
        written=tuple(
            _flow(each, each.target, known)
            for each in form.written
            if each.target is not None and each.target in known
        ),
    )


def _flow(form: _Flow, target: str, known: Mapping[str, set[str]]) -> Flow:
    return Flow(
        target,
        form.operation[:64],
        reads=frozenset(name for name in form.reads if name in known),
        columns={
            name: Column(_origins(column.origins, known), column.doubt[:500] if column.doubt else None)
            for name, column in form.columns.items()
            if name in known[target]
        },
        influences=_origins(form.influences, known),
        doubts=tuple(doubt[:500] for doubt in form.doubts[:20]),
    )


def _origins(
    found: Iterable[tuple[str, str, Literal["DIRECT", "INDIRECT"], str]], known: Mapping[str, set[str]]
) -> frozenset[Origin]:
    return frozenset(
        Origin(dataset, name, Kind(type_, subtype))
        for dataset, name, type_, subtype in found
        if name in known.get(dataset, set()) and subtype in (*DIRECT, *INDIRECT)
    )
