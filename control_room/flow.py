"""A lineage answer as one reads it: datasets, and the steps that made them.

The graph's own form joins a job with everything that it read and everything that it wrote. A job that works
through several layers reads what it has just written, which as drawn would be a knot. Here a job is taken
apart again into steps, one for each set of datasets made from the same set, as far as the columns tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from control_room.model import Graph, Node

Layer = Literal["file", "bronze", "silver", "gold", "other"]
LAYERS: tuple[Layer, ...] = ("file", "other", "bronze", "silver", "gold")


@dataclass(frozen=True)
class Column:
    name: str
    type: str = ""


@dataclass(frozen=True)
class Dataset:
    id: str
    namespace: str
    name: str
    columns: tuple[Column, ...]

    @property
    def layer(self) -> Layer:
        if self.namespace.startswith("control-room://"):
            if self.namespace.endswith("/artifacts"):
                return "file"
            for layer in LAYERS:
                if self.name.startswith(f"{layer}."):
                    return layer
        return "other"


@dataclass(frozen=True)
class Step:
    """A job made `outs` from `ins`. `job` is its name."""

    job: str
    ins: tuple[str, ...]
    outs: tuple[str, ...]


@dataclass(frozen=True)
class ColumnFlow:
    source: str
    source_field: str
    target: str
    target_field: str
    direct: bool = True
    how: str = ""


@dataclass(frozen=True)
class Flow:
    datasets: Mapping[str, Dataset]
    steps: tuple[Step, ...]
    columns: tuple[ColumnFlow, ...]
    truncated: bool = False

    @classmethod
    def of(cls, graph: Graph, columns: Graph | None = None) -> Flow:
        """Of an answer of `lineage.graph` or `lineage.of_run`; `columns` is one of `lineage.columns`."""
        nodes = [node for node in graph.graph if node.type == "DATASET"]
        fields = _ColumnReader(nodes)
        flows = [*fields.of_run(graph), *(fields.of_fields(columns) if columns is not None else ())]
        flows = list(dict.fromkeys(flows))
        declared = {node.id: _declared(node) for node in nodes}
        known = {node.id: _dataset(node, flows, declared) for node in nodes}
        jobs = [node for node in graph.graph if node.type == "JOB"]
        pairs = {(flow.source, flow.target) for flow in flows}
        steps = [step for job in jobs for step in _steps(job, known, pairs)]
        truncated = graph.truncated or (columns is not None and columns.truncated)
        return cls(known, tuple(steps), tuple(flows), truncated)

    def made_by(self, dataset: str) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if dataset in step.outs)

    def sources_of(self, dataset: str) -> frozenset[str]:
        """Everything that a dataset comes from, over any number of steps."""
        seen: set[str] = set()
        front = [dataset]
        while front:
            for step in self.made_by(front.pop()):
                new = [source for source in step.ins if source not in seen and source != dataset]
                seen.update(new)
                front.extend(new)
        return frozenset(seen)

    def origins_of(self, dataset: str, field: str) -> tuple[ColumnFlow, ...]:
        return tuple(it for it in self.columns if it.target == dataset and it.target_field == field)

    def roots_of(self, dataset: str, field: str, *, indirect: bool = False) -> frozenset[tuple[str, str]]:
        """The first columns that a column's values come from: those with no origin of their own. `indirect`
        counts what decided on a value (a condition, a window) as an origin, too.
        """
        seen = {(dataset, field)}
        front = [(dataset, field)]
        roots = set()
        while front:
            here = front.pop()
            origins = [it for it in self.origins_of(*here) if it.direct or indirect]
            if not origins and here != (dataset, field):
                roots.add(here)
            for origin in origins:
                there = (origin.source, origin.source_field)
                if there not in seen:
                    seen.add(there)
                    front.append(there)
        return frozenset(roots)

    @property
    def ends(self) -> tuple[str, ...]:
        """The datasets that nothing else is made from, in order."""
        used = {source for step in self.steps for source in step.ins}
        return tuple(sorted(set(self.datasets) - used, key=lambda it: self.datasets[it].name))


class _ColumnReader:
    """Column ids are `namespace:dataset:field`; all three may hold colons: known datasets tell them apart."""

    def __init__(self, nodes: list[Node]) -> None:
        self._prefixes = sorted(
            ((node.id.removeprefix("dataset:") + ":", node.id) for node in nodes),
            key=lambda it: -len(it[0]),
        )

    def of_run(self, graph: Graph) -> list[ColumnFlow]:
        return [
            flow
            for edge in graph.columns
            if (flow := self._flow(edge.origin, edge.destination, edge.type, edge.subtype)) is not None
        ]

    def of_fields(self, graph: Graph) -> list[ColumnFlow]:
        found = []
        for node in graph.graph:
            for field in (node.data or {}).get("inputFields", []):
                origin = f"{field['namespace']}:{field['dataset']}:{field['field']}"
                flow = self._flow(
                    origin,
                    node.id.removeprefix("datasetField:"),
                    field.get("transformationType"),
                    field.get("transformationDescription"),
                )
                if flow is not None:
                    found.append(flow)
        return found

    def _flow(
        self, origin: str, destination: str, type_: str | None, subtype: str | None
    ) -> ColumnFlow | None:
        source, target = self._split(origin), self._split(destination)
        if source is None or target is None:
            return None
        return ColumnFlow(*source, *target, direct=type_ != "INDIRECT", how=(subtype or "").lower())

    def _split(self, column: str) -> tuple[str, str] | None:
        for prefix, node in self._prefixes:
            if column.startswith(prefix):
                return node, column[len(prefix) :]
        return None


def _dataset(node: Node, flows: list[ColumnFlow], declared: Mapping[str, list[Column]]) -> Dataset:
    """A source that was never described is known by the columns that were read from it, in the order in which
    they were written elsewhere.
    """
    mine = declared[node.id]
    order = {(name, it.name): index for name, found in declared.items() for index, it in enumerate(found)}
    read = [
        it.source_field
        for it in sorted(
            (it for it in flows if it.source == node.id),
            key=lambda it: order.get((it.target, it.target_field), len(order)),
        )
    ] + [it.target_field for it in flows if it.target == node.id]
    names = {it.name for it in mine}
    seen = [Column(name) for name in dict.fromkeys(read) if name not in names]
    data = node.data or {}
    namespace, name = data.get("namespace"), data.get("name")
    if namespace is None or name is None:
        namespace, _, name = node.id.removeprefix("dataset:").rpartition(":")
    return Dataset(node.id, str(namespace), str(name), tuple(mine + seen))


def _declared(node: Node) -> list[Column]:
    fields = (node.data or {}).get("fields") or []
    return [Column(str(it["name"]), str(it.get("type") or "")) for it in fields if it.get("name")]


def _steps(job: Node, known: Mapping[str, Dataset], pairs: set[tuple[str, str]]) -> list[Step]:
    name = str((job.data or {}).get("name") or job.id.rpartition(":")[2])
    ins = [edge.origin for edge in job.inEdges if edge.origin in known]
    outs = [edge.destination for edge in job.outEdges if edge.destination in known]
    if not set(ins) & set(outs):
        return [Step(name, tuple(ins), tuple(outs))] if ins or outs else []
    made: dict[tuple[str, ...], list[str]] = {}
    for out in outs:
        told = [source for source in ins if source != out and (source, out) in pairs]
        # where no column tells, everything that lies in an earlier layer may have been read for it
        rank = LAYERS.index(known[out].layer)
        guessed = [it for it in ins if it != out and LAYERS.index(known[it].layer) < rank]
        made.setdefault(tuple(told or guessed), []).append(out)
    return [Step(name, sources, tuple(targets)) for sources, targets in made.items()]
