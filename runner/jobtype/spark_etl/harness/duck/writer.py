"""DataFrameWriter: a directory of part files as Spark leaves it, all save modes, partitions; every write
traced.

A write goes to a directory beside the target and is moved into place when it is complete, so a job may
overwrite what it reads, and a failing write leaves what was there before.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import errors
from .reader import flag, literal, lower, spark_type
from .reader import name as quote

if TYPE_CHECKING:
    from . import DuckEngine

_SUFFIXES = {"parquet": "parquet", "csv": "csv", "json": "json", "text": "txt"}
_MODES = ("append", "overwrite", "error", "errorifexists", "ignore")
_COMPRESSION = ("snappy", "gzip", "zstd", "lz4", "uncompressed")


def install(engine: DuckEngine) -> None:  # noqa: PLR0915 - a list of small methods
    """Put the methods onto sqlframe's writer."""
    cls = engine.sql.DataFrameWriter

    def write(self: Any, path: str, mode: Any = None, format: str = "parquet", **options: Any) -> None:
        merged = lower(options)
        partitions = merged.pop("partitionby", None) or getattr(self, "_partitions", None) or []
        partitions = [partitions] if isinstance(partitions, str) else list(partitions)
        _write(
            engine,
            self._df,
            str(path),
            mode=_mode(mode or self._mode),
            format_=str(format).lower(),
            partitions=partitions,
            options=merged,
        )

    def mode(self: Any, saveMode: Any) -> Any:
        self._mode = _mode(saveMode)
        return self

    def partition_by(self: Any, *columns: Any) -> Any:
        listed = columns[0] if len(columns) == 1 and isinstance(columns[0], (list, tuple)) else columns
        self._partitions = [str(each) for each in listed]
        return self

    def text(self: Any, path: str, compression: Any = None, lineSep: Any = None) -> None:
        write(self, path, None, "text", **self.state_options)

    def save(
        self: Any,
        path: Any = None,
        format: Any = None,
        mode: Any = None,
        partitionBy: Any = None,
        **options: Any,
    ) -> None:
        merged = {**self.state_options, **{k: v for k, v in options.items() if v is not None}}
        path = path or merged.pop("path", None)
        write(
            self,
            path,
            mode,
            format or self._state_format_to_write or "parquet",
            partitionBy=partitionBy,
            **merged,
        )

    def save_as_table(
        self: Any,
        name: str,
        format: Any = None,
        mode: Any = None,
        partitionBy: Any = None,
        **_: Any,
    ) -> None:
        chosen = _mode(mode or self._mode)
        if engine.table_exists(name):
            if chosen in ("error", "errorifexists"):
                raise errors.AnalysisException(f"[TABLE_OR_VIEW_ALREADY_EXISTS] table {name} already exists.")
            if chosen == "ignore":
                return
            if chosen == "append":
                insert(self, name, False, None)
                return
        table, query = engine.table_name(name), _query(self._df)
        hold, *schema = engine.number("new_table"), *table.split(".")[:-1]
        for each in schema:
            engine.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(each)}")
        engine.connection.execute(f"CREATE TEMP TABLE {hold} AS {engine.settled(query)}")
        engine.connection.execute(f"CREATE OR REPLACE TABLE {engine.quoted(table)} AS FROM {hold}")
        engine.connection.execute(f"DROP TABLE {hold}")
        with engine.capture.guard(f"the table {name}"):
            engine.note_table(table, query, replaces=True)

    def insert(self: Any, name: str, overwrite: bool, columns: list[str] | None) -> None:
        table, query = engine.table_name(name), _query(self._df)
        if not engine.table_exists(name):
            raise errors.AnalysisException(
                f"[TABLE_OR_VIEW_NOT_FOUND] The table or view {name} cannot be found."
            )
        target = engine.quoted(table)
        written = columns or [c for c, _ in engine.describe(target)]
        hold = engine.number("new_rows")
        with errors.translated():
            engine.connection.execute(f"CREATE TEMP TABLE {hold} AS {query}")
            if overwrite:
                engine.connection.execute(f"DELETE FROM {target}")  # noqa: S608
            listed = ", ".join(quote(each) for each in written)
            engine.connection.execute(f"INSERT INTO {target} ({listed}) FROM {hold}")
            engine.connection.execute(f"DROP TABLE {hold}")
        with engine.capture.guard(f"the table {name}"):
            engine.note_insert(table, query, written, replaces=overwrite)

    def insert_into(self: Any, tableName: str, overwrite: bool | None = None) -> None:
        replace = bool(overwrite) if overwrite is not None else _mode(self._mode) == "overwrite"
        insert(self, tableName, replace, None)

    def nothing(self: Any, *_: Any, **__: Any) -> Any:
        return self

    def refuse(self: Any, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            "the sandbox has no network: declare a table output of the job instead of JDBC"
        )

    cls._write = write
    cls.mode = mode
    cls.partitionBy = partition_by
    cls.text = text
    cls.save = save
    cls.saveAsTable = save_as_table
    cls.insertInto = insert_into
    cls._insert = insert
    cls.bucketBy = cls.sortBy = nothing
    cls.jdbc = refuse


def _mode(mode: Any) -> str:
    chosen = str(mode or "errorifexists").lower()
    if chosen == "default":
        chosen = "errorifexists"
    if chosen not in _MODES:
        raise errors.IllegalArgumentException(f"Unknown save mode: {mode}.")
    return chosen


def _query(frame: Any) -> str:
    """The SQL of a frame in DuckDB's dialect, as it will be run."""
    expressions = frame._get_expressions(optimize=False)
    return str(frame.session._to_sql(expressions[-1]))


def _write(
    engine: DuckEngine,
    frame: Any,
    path: str,
    *,
    mode: str,
    format_: str,
    partitions: list[str],
    options: dict[str, Any],
) -> None:
    if format_ not in _SUFFIXES:
        raise NotImplementedError(f"writing {format_} needs real Spark: submit the job with engine spark")
    target = Path(engine.request.root, path.removeprefix("file://").removeprefix("file:"))
    exists = target.exists()
    if exists and mode in ("error", "errorifexists"):
        raise errors.existing_path(str(target))
    if exists and mode == "ignore":
        return
    query = _query(frame)
    staged = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        types = _copy(engine, query, staged, format_=format_, partitions=partitions, options=options)
        _place(staged, target, replaces=mode == "overwrite")
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    with engine.capture.guard(f"the write to {path}"):
        flow = replace(engine.trace(query), types=types)
        engine.capture.wrote(path, flow, replaces=mode != "append")


def _copy(
    engine: DuckEngine,
    query: str,
    staged: Path,
    *,
    format_: str,
    partitions: list[str],
    options: dict[str, Any],
) -> dict[str, str]:
    """The result of the query as part files below `staged`; returns its columns and their types in Spark."""
    staged.mkdir(parents=True)
    suffix = _SUFFIXES[format_]
    stem = f"part-00000-{uuid.uuid4()}-c000"
    clauses = _clauses(format_, options)
    if format_ == "text":
        query = _one_column(engine, query)
    if partitions:
        listed = ", ".join(quote(each) for each in partitions)
        clauses += [f"PARTITION_BY ({listed})", f"FILENAME_PATTERN {literal('part-00000-{uuid}')}"]
        target = staged
    else:
        target = staged / f"{stem}.{suffix}"
    with errors.translated():
        query = engine.settled(query)
        engine.connection.execute(f"COPY ({query}) TO {literal(target)} ({', '.join(clauses)})")
    (staged / "_SUCCESS").touch()
    return {column: spark_type(type_) for column, type_ in engine.describe(f"({query})")}


def _clauses(format_: str, options: dict[str, Any]) -> list[str]:
    compression = str(options.get("compression", "")).lower()
    match format_:
        case "parquet":
            codec = compression if compression in _COMPRESSION else "snappy"
            return ["FORMAT parquet", f"COMPRESSION {codec}"]
        case "csv":
            clauses = ["FORMAT csv", f"HEADER {str(flag(options, 'header')).lower()}"]
            clauses.append(f"DELIMITER {literal(options.get('sep', ','))}")
            clauses.append(f"NULLSTR {literal(options.get('nullvalue', ''))}")
            if flag(options, "quoteall"):
                clauses.append("FORCE_QUOTE *")
            if options.get("quote"):
                clauses.append(f"QUOTE {literal(options['quote'])}")
            return clauses
        case "json":
            return ["FORMAT json"]
        case _:
            return ["FORMAT csv", "HEADER false", "QUOTE ''", "DELIMITER ''", "NULLSTR ''"]


def _one_column(engine: DuckEngine, query: str) -> str:
    columns = engine.describe(f"({query})")
    if len(columns) != 1:
        raise errors.AnalysisException("Text data source supports only a single column.")
    return query


def _place(staged: Path, target: Path, *, replaces: bool) -> None:
    """Move the finished files where the job wanted them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if replaces and (target.is_symlink() or target.is_file()):
        target.unlink()
    elif replaces and target.exists():
        shutil.rmtree(target)
    if not target.exists():
        staged.rename(target)
        return
    for folder, _, files in os.walk(staged):
        inside = target / Path(folder).relative_to(staged)
        inside.mkdir(parents=True, exist_ok=True)
        for file in files:
            Path(folder, file).replace(inside / file)
