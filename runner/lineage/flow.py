"""The words of lineage, and the fold that takes temporary hops out of them.

A *dataset* is named here by a plain string that the maker of the flow chose (`silver.flights`,
`/job/inputs/x`);
`openlineage` turns such names into (namespace, name) pairs.

Confidence is two-valued and honest: a flow is `high` when every statement it rests on was followed to its
sources, `low` as soon as one step was not. A doubtful step adds its reason and leaves the column's origins
out; nothing is ever filled in by likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Type = Literal["DIRECT", "INDIRECT"]
Confidence = Literal["high", "low"]

# Subtypes as OpenLineage's ColumnLineageDatasetFacet 1-2-0 names them. The order of the direct ones is their
# strength: a chain of steps is called by its strongest.
DIRECT: tuple[str, ...] = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
INDIRECT: tuple[str, ...] = ("JOIN", "GROUP_BY", "FILTER", "SORT", "WINDOW", "CONDITIONAL")


@dataclass(frozen=True, order=True)
class Kind:
    """How a value takes part: `DIRECT` it is in the result, `INDIRECT` it steered the result."""

    type: Type
    subtype: str

    def then(self, inner: Kind) -> Kind:
        """The kind of a step of this kind whose input was itself made by a step of kind `inner`."""
        if self.type == "INDIRECT":
            return self
        if inner.type == "INDIRECT":
            return inner
        return self if DIRECT.index(self.subtype) >= DIRECT.index(inner.subtype) else inner


IDENTITY = Kind("DIRECT", "IDENTITY")
TRANSFORMATION = Kind("DIRECT", "TRANSFORMATION")
AGGREGATION = Kind("DIRECT", "AGGREGATION")
JOIN = Kind("INDIRECT", "JOIN")
GROUP_BY = Kind("INDIRECT", "GROUP_BY")
FILTER = Kind("INDIRECT", "FILTER")
SORT = Kind("INDIRECT", "SORT")
WINDOW = Kind("INDIRECT", "WINDOW")
CONDITIONAL = Kind("INDIRECT", "CONDITIONAL")


@dataclass(frozen=True, order=True)
class Origin:
    """One column of one dataset, and how it took part."""

    dataset: str
    field: str
    kind: Kind


@dataclass(frozen=True)
class Column:
    """Where one written column came from; `doubt` says why its origins may be incomplete."""

    origins: frozenset[Origin] = frozenset()
    doubt: str | None = None

    def joined(self, other: Column) -> Column:
        return Column(self.origins | other.origins, self.doubt or other.doubt)


@dataclass(frozen=True)
class Flow:
    """One write (or, with `target` None, one query) and everything that it rests on.

    `reads`       datasets that were read, in no order
    `columns`     written column -> its origins (a column without origins is a constant, or is in doubt)
    `influences`  origins that steered the whole result: filters, joins, grouping, sorting
    `types`       written column -> type name as the engine calls it, where known
    `doubts`      why this flow may be incomplete, beyond the doubts of single columns
    """

    target: str | None
    operation: str
    reads: frozenset[str] = frozenset()
    columns: Mapping[str, Column] = field(default_factory=dict)
    influences: frozenset[Origin] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @property
    def confidence(self) -> Confidence:
        return "low" if self.reasons else "high"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every doubt of the flow and of its columns, each once, in a stable order."""
        by_column = (f"{name}: {column.doubt}" for name, column in self.columns.items() if column.doubt)
        return tuple(dict.fromkeys((*self.doubts, *by_column)))

    def joined(self, later: Flow) -> Flow:
        """This flow and a later one into the same target, as one (append after overwrite, two inserts)."""
        columns = dict(self.columns)
        for name, column in later.columns.items():
            columns[name] = columns[name].joined(column) if name in columns else column
        return Flow(
            self.target,
            self.operation,
            self.reads | later.reads,
            columns,
            self.influences | later.influences,
            {**self.types, **later.types},
            tuple(dict.fromkeys((*self.doubts, *later.doubts))),
        )


class Ledger:
    """Flows in the order in which they happened, with temporary datasets folded away.

    `is_temporary(name)` says which datasets are only hops (temp tables, scratch files). A flow into such a
    hop is kept aside; a flow that reads from it is rewritten to the hop's own sources as they were at that
    moment, so a temp table that is dropped and made anew never mixes its two lives.
    """

    def __init__(self, is_temporary: Callable[[str], bool]) -> None:
        self._is_temporary = is_temporary
        self._hops: dict[str, Flow] = {}
        self.flows: list[Flow] = []

    def record(self, flow: Flow, *, replaces: bool = False) -> Flow:
        """Note a flow; `replaces` for one that empties its target first. Returns it with the hops folded."""
        folded = self.fold(flow)
        if folded.target is None or not self._is_temporary(folded.target):
            self.flows.append(folded)
        elif replaces or folded.target not in self._hops:
            self._hops[folded.target] = folded
        else:
            self._hops[folded.target] = self._hops[folded.target].joined(folded)
        return folded

    def forget(self, name: str) -> None:
        self._hops.pop(name, None)

    def rename(self, old: str, new: str) -> None:
        if old in self._hops:
            self._hops[new] = replace(self._hops.pop(old), target=new)

    def rename_column(self, name: str, old: str, new: str) -> None:
        if hop := self._hops.get(name):
            columns = {new if c == old else c: origins for c, origins in hop.columns.items()}
            self._hops[name] = replace(hop, columns=columns)

    def fold(self, flow: Flow) -> Flow:
        """`flow` as if it had read the sources of its temporary inputs directly."""
        hops = {name for name in flow.reads if self._is_temporary(name)}
        if not hops:
            return flow
        reads = set(flow.reads - hops)
        influences, doubt = self._fold_origins(flow.influences)
        doubts = list(flow.doubts) + ([doubt] if doubt else [])
        for name in sorted(hops):
            hop = self._hops.get(name)
            if hop is None:
                # A statement that changes a temp table in place reads it too; that is no source of its own.
                if name != flow.target:
                    doubts.append(f"{name} is temporary and nothing here filled it")
                continue
            reads |= hop.reads
            influences |= hop.influences
            doubts.extend(hop.doubts)
        columns = {}
        for column_name, column in flow.columns.items():
            origins, doubt = self._fold_origins(column.origins)
            columns[column_name] = Column(frozenset(origins), column.doubt or doubt)
        return replace(
            flow,
            reads=frozenset(reads),
            columns=columns,
            influences=frozenset(influences),
            doubts=tuple(dict.fromkeys(doubts)),
        )

    def _fold_origins(self, origins: Iterable[Origin]) -> tuple[set[Origin], str | None]:
        folded: set[Origin] = set()
        doubt: str | None = None
        for origin in origins:
            if not self._is_temporary(origin.dataset):
                folded.add(origin)
                continue
            hop = self._hops.get(origin.dataset)
            column = hop.columns.get(origin.field) if hop else None
            if column is None:
                doubt = doubt or f"column {origin.field} of {origin.dataset} was not followed"
                continue
            doubt = doubt or column.doubt
            folded.update(replace(o, kind=origin.kind.then(o.kind)) for o in column.origins)
        return folded, doubt
