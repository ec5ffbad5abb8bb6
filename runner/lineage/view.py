"""What a view of the layers says, column by column, read off its text as Postgres has it.

What cannot be followed is left out and told as a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import sql


@dataclass(frozen=True, slots=True, order=True)
class ColumnOrigin:
    """One column of a view, one that it comes from, and how: as OpenLineage's transformations say it."""

    field: str
    source: str
    source_field: str
    type: str
    subtype: str


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """All of them, in order; `doubts` say why some may be missing."""

    columns: tuple[ColumnOrigin, ...]
    doubts: tuple[str, ...]


def read(definition: str, tables: Mapping[str, tuple[str, Sequence[str]]]) -> ViewColumns:
    """What a view says whose text names `tables`: schema.table -> its name in the lineage, its columns.

    Of tables that are not among them, nothing is told.
    """
    schema = {place: dict.fromkeys(columns, "text") for place, (_, columns) in tables.items()}
    flow = sql.query(definition, schema=schema)
    columns = {
        ColumnOrigin(name, tables[it.dataset][0], it.field, it.kind.type, it.kind.subtype)
        for name, column in flow.columns.items()
        for it in column.origins
        if it.dataset in tables
    }
    doubts = {column.doubt for column in flow.columns.values() if column.doubt} | set(flow.doubts)
    return ViewColumns(tuple(sorted(columns)), tuple(sorted(doubts)))
