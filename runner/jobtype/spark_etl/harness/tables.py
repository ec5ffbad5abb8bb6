"""Tables on their way in and out: Postgres' CSV -> Parquet before user code, whatever it wrote -> CSV after.

Both engines use DuckDB for this, so a column has the same Postgres type whichever engine wrote it:

    TINYINT, SMALLINT   smallint            DECIMAL(p, s)      numeric(p, s)     DATE          date
    INTEGER             integer             HUGEINT, UBIGINT   numeric           TIME          time
    BIGINT              bigint              VARCHAR, ENUM …    text              TIMESTAMP     timestamp
    FLOAT               real                BLOB               bytea             TIMESTAMPTZ   timestamptz
    DOUBLE              double precision    UUID               uuid              nested, JSON  jsonb

Spark's `timestamp` is an instant and becomes timestamptz, its `timestamp_ntz` timestamp. The CSV is
Postgres' own: an unquoted empty field is NULL, `""` is the empty string.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .request import Request

Columns = list[tuple[str, str]]

_INTO_DUCKDB = {
    "boolean": "BOOLEAN",
    "bigint": "BIGINT",
    "integer": "INTEGER",
    "smallint": "SMALLINT",
    "double precision": "DOUBLE",
    "real": "FLOAT",
    "numeric": "DECIMAL(38, 18)",  # what Spark makes of a numeric without bounds
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}
_OUT_OF_DUCKDB = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "UTINYINT": "smallint",
    "INTEGER": "integer",
    "USMALLINT": "integer",
    "BIGINT": "bigint",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric",
    "HUGEINT": "numeric",
    "UHUGEINT": "numeric",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "UUID": "uuid",
    "BLOB": "bytea",
    "JSON": "jsonb",
}
_NESTED = ("STRUCT", "MAP", "UNION")
_SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


class Unusable(Exception):
    """An output that cannot become a table. The message is for the user."""


@dataclass(frozen=True)
class Converted:
    """One table output: its columns in Postgres' types, and how many rows the CSV has."""

    columns: Columns
    rows: int


def connect(request: Request) -> Any:
    """A DuckDB connection that stays inside the attempt's memory and fetches nothing from outside."""
    import duckdb  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - in the engine's environment

    request.scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "threads": str(max(1, request.cpus)),
            "memory_limit": f"{max(128, int(request.memory_bytes * 0.55) // 2**20)}MiB",
            "temp_directory": str(request.scratch),
            "preserve_insertion_order": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    # DuckDB 2.0.0 pushes TRY_CAST into the CSV scanner, where it fails instead of giving NULL.
    connection.execute("SET disabled_optimizers = 'type_pushdown'")
    return connection


def bring_in(request: Request, name: str) -> None:
    """The table input `name` as Parquet at inputs/<name>, a directory as Spark writes them."""
    source = request.side_channel / "inputs" / f"{name}.csv"
    columns: list[dict[str, str]] = json.loads(source.with_suffix(".json").read_text("utf-8"))
    target = request.root / "inputs" / name
    target.mkdir(parents=True, exist_ok=True)
    raw = ", ".join(f"{_literal(c['name'])}: 'VARCHAR'" for c in columns)
    values = ", ".join(f"{_into(c['type'], _name(c['name']))} AS {_name(c['name'])}" for c in columns)
    with connect(request) as connection:
        connection.execute(
            f"COPY (SELECT {values} FROM read_csv({_literal(source)}, columns = {{{raw}}}, header = true, "  # noqa: S608
            "delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, "
            "auto_detect = false, strict_mode = true)) "
            f"TO {_literal(target / 'part-00000.parquet')} (FORMAT parquet)"
        )
    source.unlink()


def take_out(request: Request, name: str) -> Converted:
    """What user code wrote for the table output `name`, as tables/<name>.csv and .json. Raises Unusable."""
    folder = request.side_channel / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    found = _find(request.root / "outputs", name)
    with connect(request) as connection:
        try:
            relation = _relation(connection, *found)
            described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
            if found[0] == "json":
                described = [(c, _integer(connection, relation, str(c), str(t))) for c, t, *_ in described]
            columns = [(str(column), _postgres_type(str(type_))) for column, type_, *_ in described]
            values = ", ".join(
                f"{_out(str(type_), _name(str(column)))} AS {_name(str(column))}"
                for column, type_, *_ in described
            )
            target = folder / f"{name}.csv"
            rows = connection.execute(
                f"COPY (SELECT {values} FROM {relation}) TO {_literal(target)} "  # noqa: S608
                "(FORMAT csv, HEADER true, NULLSTR '', QUOTE '\"', ESCAPE '\"', DELIMITER ',')"
            ).fetchone()[0]
        except Exception as error:
            if isinstance(error, Unusable):
                raise
            raise Unusable(f"outputs/{name} could not be read: {str(error).splitlines()[0][:300]}") from error
    form = {"columns": [{"name": c, "type": t} for c, t in columns], "rows": int(rows)}
    (folder / f"{name}.json").write_text(json.dumps(form), "utf-8")
    return Converted(columns, int(rows))


def _find(outputs: Path, name: str) -> tuple[str, list[Path], Path]:
    """(format, files, root) of what was written at outputs/<name>, or beside it as <name>.<suffix>."""
    candidates = [outputs / name, *(outputs / f"{name}{suffix}" for suffix in _SUFFIXES)]
    existing = [path for path in candidates if path.exists()]
    if not existing:
        raise Unusable(f"the job declared the table output {name} and wrote nothing to outputs/{name}")
    root = existing[0]
    if root.is_file():
        return _format(root), [root], root
    files = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not any(p.startswith(("_", ".")) for p in path.relative_to(root).parts)
    )
    formats = {_format(path) for path in files}
    if not files:
        raise Unusable(f"outputs/{name} holds no data files")
    if len(formats) > 1:
        raise Unusable(f"outputs/{name} holds files of several formats: {', '.join(sorted(formats))}")
    return formats.pop(), files, root


def _format(path: Path) -> str:
    for suffix in reversed(path.suffixes):
        if suffix in _SUFFIXES:
            return _SUFFIXES[suffix]
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    raise Unusable(f"outputs/{path.name} is neither Parquet nor CSV nor JSON")


def _relation(connection: Any, format_: str, files: list[Path], root: Path) -> str:
    listed = "[" + ", ".join(_literal(path) for path in files) + "]"
    partitioned = any("=" in part for path in files for part in path.relative_to(root).parts[:-1])
    hive = f"hive_partitioning = {str(partitioned).lower()}"
    match format_:
        case "parquet":
            return f"read_parquet({listed}, union_by_name = true, {hive})"
        case "csv":
            return f"read_csv({listed}, union_by_name = true, sample_size = -1, {hive})"
        case _:
            return f"read_json({listed}, union_by_name = true, sample_size = -1, {hive})"


def _integer(connection: Any, relation: str, column: str, type_: str) -> str:
    """JSON does not say how large its integers may be: DuckDB takes the largest type."""
    if type_ not in ("HUGEINT", "UBIGINT"):
        return type_
    name = _name(column)
    (too_large,) = connection.execute(
        f"SELECT count({name}) FILTER (TRY_CAST({name} AS BIGINT) IS NULL) FROM {relation}"  # noqa: S608
    ).fetchone()
    return type_ if too_large else "BIGINT"


def _postgres_type(type_: str) -> str:
    if type_.endswith("]") or type_.startswith(_NESTED):
        return "jsonb"
    if match := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", type_):
        return f"numeric({match[1]},{match[2]})"
    return _OUT_OF_DUCKDB.get(type_, "text")


def _out(type_: str, column: str) -> str:
    """The SQL that gives a column the text that Postgres reads."""
    match _postgres_type(type_):
        case "jsonb":
            return f"CAST(to_json({column}) AS VARCHAR)" if type_ != "JSON" else f"CAST({column} AS VARCHAR)"
        case "bytea":
            return f"'\\x' || lower(hex({column}))"
        case "text":
            return f"CAST({column} AS VARCHAR)"
        case _:
            return column


def _into(type_: str, column: str) -> str:
    """The SQL that makes a DuckDB value of a Postgres text."""
    if type_ == "bytea":
        return f"unhex(substr({column}, 3))"
    if match := re.fullmatch(r"numeric\((\d+),\s*(\d+)\)", type_):
        precision, scale = min(int(match[1]), 38), min(int(match[2]), 38)
        return f"CAST({column} AS DECIMAL({precision}, {scale}))"
    duck = _INTO_DUCKDB.get(type_)
    return f"CAST({column} AS {duck})" if duck else column


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
