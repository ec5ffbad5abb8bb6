"""Frames out of rows that the program holds: createDataFrame and range.

A table is made at once, so thousands of rows are not carried along as text in every later query; pandas
frames are taken as they are. The table is noted as local data: whoever reads it learns whether the
program had read anything before it made these rows.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .reader import duck, name

if TYPE_CHECKING:
    from . import DuckEngine


def install(engine: DuckEngine) -> None:  # noqa: PLR0915 - a list of small methods
    """Put the methods onto sqlframe's session."""
    exp: Any = importlib.import_module("sqlglot.expressions")
    util: Any = importlib.import_module("sqlframe.base.util")
    cls = engine.sql.SparkSession
    plain_sql, plain_create = cls.sql, cls.createDataFrame

    def from_relation(self: Any, relation: str, columns: list[str]) -> Any:
        """A frame over a view or table of ours; its names keep their case, as Spark's do."""
        # Identifiers quoted only where they must be: sqlframe takes "id" and id for two columns in a join.
        select = exp.select(
            *[exp.column(exp.to_identifier(each), table="s").as_(exp.to_identifier(each)) for each in columns]
        ).from_(exp.alias_(exp.to_table(relation), "s", table=True))
        frame = plain_sql(self, select, qualify=False)
        known = [util.quote_preserving_alias_or_name(each) for each in frame.expression.expressions]
        frame.display_name_mapping.update(zip(known, columns, strict=True))
        return frame

    def made(self: Any, query: str, columns: list[str]) -> Any:
        table = engine.number("local_rows")
        engine.connection.execute(f"CREATE TEMP TABLE {table} AS {query}")
        with engine.capture.guard("createDataFrame"):
            engine.note_local(table, columns)
        return from_relation(self, table, columns)

    def create(
        self: Any, data: Any, schema: Any = None, samplingRatio: Any = None, verifySchema: bool = True
    ) -> Any:
        if type(data).__module__.startswith("pandas"):
            return from_pandas(self, data, schema)
        rows = list(data)
        if isinstance(schema, str) or hasattr(schema, "simpleString"):
            schema = engine.schema_types(schema)
        elif schema is None and rows and isinstance(rows[0], dict) and not hasattr(rows[0], "__fields__"):
            names = sorted({key for row in rows for key in row})
            rows = [{each: row.get(each) for each in names} for row in rows]
        frame = plain_create(self, rows, schema)
        return made(self, frame.sql(dialect="duckdb", optimize=False), frame.columns)

    def from_pandas(self: Any, data: Any, schema: Any) -> Any:
        given = [str(each) for each in data.columns]
        if schema is None:
            columns, values = given, [name(each) for each in given]
        elif isinstance(schema, list | tuple):
            columns, values = [str(each) for each in schema], [name(each) for each in given]
        else:
            types = engine.schema_types(schema)
            columns = list(types)
            values = [f"CAST({name(c)} AS {duck(t)})" for c, t in zip(given, types.values(), strict=True)]
        listed = ", ".join(f"{v} AS {name(c)}" for v, c in zip(values, columns, strict=True))
        engine.connection.register("_pandas", data)
        try:
            return made(self, f"SELECT {listed} FROM _pandas", columns)  # noqa: S608
        finally:
            engine.connection.unregister("_pandas")

    def range_rows(
        self: Any, start: int, end: int | None = None, step: int = 1, numPartitions: Any = None
    ) -> Any:
        first, last = (0, start) if end is None else (start, end)
        view = engine.number("range_rows")
        bounds = f"{int(first)}, {int(last)}, {int(step)}"
        made_of = f"SELECT range AS id FROM range({bounds})"  # noqa: S608
        engine.connection.execute(f"CREATE TEMP VIEW {view} AS {made_of}")
        engine.note_source(view, [("id", "BIGINT")], [])
        return from_relation(self, view, ["id"])

    def empty(self: Any) -> Any:
        """What Spark hands back for a command."""
        return plain_create(self, [], "result string")

    cls._from_relation = from_relation
    cls._empty = empty
    cls.createDataFrame = create
    cls.range = range_rows
