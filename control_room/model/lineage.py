"""Lineage: the graph in Marquez's shape, and what is asked of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from control_room.model.word import JsonObject, Word

Direction = Literal["upstream", "downstream", "both"]


class Edge(Word):
    origin: str
    destination: str


class Node(Word):
    """A node in Marquez's shape; ids are `dataset:ns:name`, `job:ns:name`, `datasetField:ns:name:field`."""

    id: str
    type: str
    data: JsonObject | None = None
    inEdges: list[Edge] = Field(default_factory=list)
    outEdges: list[Edge] = Field(default_factory=list)


class ColumnEdge(Word):
    """`origin` and `destination` are `namespace:dataset:field`."""

    origin: str
    destination: str
    type: str | None = None
    subtype: str | None = None


class Graph(Word):
    graph: list[Node]
    columns: list[ColumnEdge] = Field(default_factory=list)
    truncated: bool = False
    next: str | None = None


class LineagePath(Word):
    """A shortest way along the flow; `hops` is None and `path` empty where there is none."""

    found: bool
    hops: int | None = None
    path: list[str] = Field(default_factory=list)
    graph: list[Node] = Field(default_factory=list)


class ImpactColumn(Word):
    dataset: str
    field: str
    hops: int


class Impact(Word):
    """What a change of a dataset, or of one of its columns, reaches."""

    node: str
    columns: list[ImpactColumn] = Field(default_factory=list)
    datasets: list[str] = Field(default_factory=list)
    jobs: list[str] = Field(default_factory=list)
    truncated: bool = False


class FlowChange(Word):
    """A flow that came (`run_id`) or went (`by`, `reason`)."""

    source: str
    target: str
    job: str
    at: datetime
    run_id: int | None = None
    by: str | None = None
    reason: str | None = None


class LineageDiff(Word):
    node: str
    added: list[FlowChange] = Field(default_factory=list)
    removed: list[FlowChange] = Field(default_factory=list)
    truncated: bool = False


class MissingFlow(Word):
    """A flow that is owed to the graph: who says that it flows, and since when."""

    witness: str
    source: str | None = None
    target: str | None = None
    job: str | None = None
    run_id: int | None = None
    since: datetime | None = None


class Coverage(Word):
    """Flows that are declared or were seen, and how many the graph knows; None where nothing flows."""

    window_hours: int
    flows: int
    covered: int
    coverage: float | None = None
    witnesses: dict[str, JsonObject] = Field(default_factory=dict)
    missing: list[MissingFlow] = Field(default_factory=list)


class LineageEvent(Word):
    """An OpenLineage event as it came, and what is wrong with its known facets: [{path, message}]."""

    event_id: int
    received_at: datetime
    run_id: int | None = None
    event: JsonObject
    faults: list[JsonObject] = Field(default_factory=list)


class Orphan(Word):
    """A dataset that no live edge touches."""

    node: str
    created_at: datetime
    was_connected: bool = False
    written: bool = False
    read: bool = False


class Violation(Word):
    """A live edge between two tables that breaks a layer rule."""

    rule: str
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    job: str
    run_id: int | None = None
    since: datetime
