"""What a view of the layers says, column by column, read off its text as Postgres has it.

What cannot be followed is left out and told as a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.lineage import sql
from runner.model.wire import CapturedView


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


def read(view: CapturedView) -> ViewColumns:
    """What the view says; of tables that are none of the layers', nothing."""
    schema = {place: dict.fromkeys(table.columns, "text") for place, table in view.tables.items()}
    flow = sql.query(view.definition, schema=schema)
    columns = {
        ColumnOrigin(name, view.tables[it.dataset].name, it.field, it.kind.type, it.kind.subtype)
        for name, column in flow.columns.items()
        for it in column.origins
        if it.dataset in view.tables
    }
    doubts = {column.doubt for column in flow.columns.values() if column.doubt} | set(flow.doubts)
    return ViewColumns(tuple(sorted(columns)), tuple(sorted(doubts)))
