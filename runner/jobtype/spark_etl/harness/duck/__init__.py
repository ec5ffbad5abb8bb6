"""The engine `duckdb`: PySpark's API by sqlframe on DuckDB, made to behave as Spark does where a job would
notice.

sqlframe replaces `pyspark` before user code imports it. What it leaves open or does otherwise than Spark is
mended by the modules here; each says for itself what. What stays different is listed in the docstring of the
harness.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import types
from dataclasses import replace
from typing import Any

from runner.lineage import script, sql  # script too: it must be loaded before the harness hides
from runner.lineage.flow import IDENTITY, Column, Flow, Origin

from .. import tables
from ..capture import LOCAL, Capture
from ..request import Request
from . import commands, errors, frame, functions, reader, rows, session, writer

__all__ = ["DuckEngine"]

_ = script


class DuckEngine:
    """One DuckDB connection, the patched sqlframe on top of it, and the capture of what runs."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.capture = Capture(request, method="sql")
        self.connection = tables.connect(request)
        self._schema: dict[str, dict[str, str]] = {}
        self._numbers = 0
        logging.getLogger("sqlframe").setLevel(logging.ERROR)  # its warnings are about what is mended here
        logging.getLogger("sqlglot").setLevel(logging.ERROR)
        sqlframe: Any = importlib.import_module("sqlframe")
        sqlframe.activate("duckdb", conn=self.connection)
        self.sql: Any = sys.modules["pyspark.sql"]
        _make_package()
        errors.install()
        functions.install(self)
        conf = session.install(self)
        rows.install(self)
        commands.install(self, conf)
        frame.install(self)
        reader.install(self)
        writer.install(self)

    def close(self) -> None:
        """Give back the memory; nothing is pending, every write was captured when it ran."""
        self.connection.close()

    # -- for the patches

    def number(self, prefix: str) -> str:
        """A new name for a view or table of the harness' own."""
        self._numbers += 1
        return f"{prefix}_{self._numbers}"

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """The columns of something that can stand after FROM: name and DuckDB's type."""
        rows = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
        return [(str(name), str(type_)) for name, type_, *_ in rows]

    def settled(self, query: str) -> str:
        """The query with columns that Parquet and Spark can hold: DuckDB sums integers into HUGEINT."""
        wide = [n for n, t in self.describe(f"({query})") if t in ("HUGEINT", "UHUGEINT", "UBIGINT")]
        if not wide:
            return query
        casts = ", ".join(f"CAST({reader.name(n)} AS BIGINT) AS {reader.name(n)}" for n in wide)
        return f"SELECT * REPLACE ({casts}) FROM ({query})"  # noqa: S608

    def note_source(self, view: str, columns: list[tuple[str, str]], places: list[str]) -> None:
        """A view over files was made: its columns are those of every place it reads, by name."""
        self._schema[view] = dict(columns)
        flow = Flow(
            view,
            "VIEW",
            frozenset(places),
            {n: Column(frozenset(Origin(p, n, IDENTITY) for p in places)) for n, _ in columns},
        )
        self.capture.hop(flow)

    def note_local(self, table: str, columns: list[str]) -> None:
        """A table of rows that the program brought in."""
        self._schema[table] = dict.fromkeys(columns, "unknown")
        made = self.capture.local(columns)
        self.capture.hop(Flow(table, LOCAL, made.reads, made.columns))

    def note_table(self, table: str, query: str, *, replaces: bool) -> None:
        """A table of the session's own catalog was written."""
        self._schema[table] = dict(self.describe(self.quoted(table)))
        self.capture.hop(replace(self.trace(query), target=table), replaces=replaces)

    def note_insert(self, table: str, query: str, columns: list[str], *, replaces: bool) -> None:
        """Rows were put into a table of the catalog, into these columns by position."""
        flow = self.trace(query)
        by_position = dict(zip(columns, flow.columns.values(), strict=False))
        self.capture.hop(replace(flow, target=table, columns=by_position), replaces=replaces)

    def table_name(self, name: str) -> str:
        """The dotted name under which a catalog table is kept and traced; `default` is no schema of its
        own.
        """
        parts = [part.strip('`"').lower() for part in name.split(".")]
        return ".".join(each for each in parts if each not in ("default", "spark_catalog"))

    def quoted(self, table: str) -> str:
        """A dotted name as DuckDB's SQL has it."""
        return ".".join(reader.name(part) for part in table.split("."))

    def table_exists(self, name: str) -> bool:
        *schema, table = self.table_name(name).split(".")
        found = self.connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?",
            [schema[0] if schema else "main", table],
        ).fetchone()
        return bool(found[0])

    def drop_table(self, name: str) -> None:
        table = self.table_name(name)
        self.connection.execute(f"DROP TABLE IF EXISTS {self.quoted(table)}")
        self._schema.pop(table, None)
        self.capture.forget(table)

    def schema_types(self, schema: Any) -> dict[str, Any]:
        """A schema in any form that PySpark takes -> column -> sqlglot type."""
        return reader.schema_types(schema)

    def register(self, name: str, function: Any, returns: Any) -> None:
        """A Python function for use in queries; it gets NULL as None, as in Spark."""
        text = returns if isinstance(returns, str) else returns.simpleString()
        (type_,) = reader.schema_types(f"r {text}").values()
        with contextlib.suppress(Exception):  # the first time there is none to remove
            self.connection.remove_function(name)

        def any_number(*values: Any) -> Any:  # DuckDB counts the arguments of what it is given
            return function(*values)

        self.connection.create_function(name, any_number, None, reader.duck(type_), null_handling="special")

    def trace(self, query: str) -> Flow:
        """The flow of one query in DuckDB's SQL, exactly as it was run."""
        return sql.query(query, schema=self._schema, dialect="duckdb")


def _make_package() -> None:
    """sqlframe puts a mock at `pyspark`; as a package, its missing parts are missing and not mocked."""
    mock = sys.modules["pyspark"]
    package = types.ModuleType("pyspark")
    package.__path__ = []
    package.__dict__.update(sql=mock.sql, testing=mock.testing, __version__=session.SPARK_VERSION)
    sys.modules["pyspark"] = package
