"""DataFrameReader: every read is a view over the files, with Spark's rules for options and types.

- paths: a file, a directory (part files, `key=value` partitions), a glob, `file:`, a list; a missing one
  is an AnalysisException;
- csv: without `header` the columns are `_c0`…; without `inferSchema` all are strings; with a schema bad
  values are NULL (PERMISSIVE), fail (FAILFAST) or drop the row (DROPMALFORMED); `sep`, `quote`, `escape`,
  `nullValue`, `comment`, `encoding`, `dateFormat`, `timestampFormat`, `ignore…WhiteSpace`;
- json: lines or one array; types as Spark infers them (one integer type, dates are strings, fields sorted);
- parquet: directory or file, `mergeSchema`; text: one column `value`.

Each view is noted as reading its place, so the lineage of a frame starts at inputs/<name> whatever happens
later.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import errors

if TYPE_CHECKING:
    from . import DuckEngine

Options = Mapping[str, Any]

_SUFFIXES = {
    "parquet": (".parquet",),
    "csv": (".csv",),
    "json": (".json", ".jsonl", ".ndjson"),
    "text": (".txt",),
}
_FORMATS = ("parquet", "csv", "json", "text")
_INT_RANGE = (-(2**31), 2**31 - 1)

# Java's DateTimeFormatter letters -> strptime. Longest first.
_TIME_LETTERS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "HH": "%H",
    "H": "%-H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSSSSS": "%f",
    "SSS": "%g",
    "a": "%p",
    "EEEE": "%A",
    "EEE": "%a",
    "XXX": "%z",
    "Z": "%z",
}


def install(engine: DuckEngine) -> None:
    """Put the methods onto sqlframe's reader."""
    cls = engine.sql.DataFrameReader

    def load(self: Any, path: Any = None, format: Any = None, schema: Any = None, **options: Any) -> Any:
        chosen = str(format or self.state_format_to_read or "parquet").lower()
        if chosen not in _FORMATS:
            raise NotImplementedError(f"reading {chosen} needs real Spark: submit the job with engine spark")
        merged = lower({**self.state_options, **options})
        if path is None:
            path = merged.pop("path", None)
        paths = [str(each) for each in (path if isinstance(path, (list, tuple)) else [path])]
        schema = schema if schema is not None else getattr(self, "_given_schema", None)
        types = engine.schema_types(schema) if schema is not None else None
        return _read(engine, self.session, chosen, paths=paths, types=types, options=merged)

    def schema(self: Any, given: Any) -> Any:
        self._given_schema = given
        return self

    def text(self: Any, paths: Any, wholetext: bool = False, **options: Any) -> Any:
        return self.load(paths, format="text", wholetext=wholetext, **options)

    def parquet(self: Any, *paths: str, **options: Any) -> Any:
        return self.load(list(paths), format="parquet", **options)

    def refuse(self: Any, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            "the sandbox has no network: name the table as an input of the job instead of JDBC"
        )

    cls.load = load
    cls.schema = schema
    cls.text = text
    cls.parquet = parquet
    cls.jdbc = refuse


def lower(options: Options) -> dict[str, Any]:
    aliases = {"delimiter": "sep", "charset": "encoding"}
    lowered = {str(name).lower(): value for name, value in options.items() if value is not None}
    return {aliases.get(name, name): value for name, value in lowered.items()}


def flag(options: Options, name: str, default: bool = False) -> bool:
    """An option that Spark takes as a boolean or as its name."""
    value = options.get(name, default)
    return value if isinstance(value, bool) else str(value).strip().lower() == "true"


def _read(
    engine: DuckEngine, session: Any, format_: str, *, paths: list[str], types: Any, options: dict[str, Any]
) -> Any:
    files, partitioned = _files(engine, paths, format_)
    listed = "[" + ", ".join(literal(file) for file in files) + "]"
    hive = "true" if partitioned else "false"
    match format_:
        case "csv":
            relation, columns = _csv(engine, listed, hive, types, options)
        case "json":
            relation, columns = _json(engine, listed, hive, types)
        case "text":
            columns = [("value", '"value"')]
            relation = (
                f"(SELECT content AS value FROM read_text({listed}))"  # noqa: S608
                if flag(options, "wholetext")
                else f"read_csv({listed}, columns = {{'value': 'VARCHAR'}}, header = false, "
                "auto_detect = false, delim = '', quote = '', escape = '')"
            )
        case _:
            relation, columns = _parquet(engine, listed, hive, types, options)
    view = engine.number("source")
    values = ", ".join(f"{value} AS {name(column)}" for column, value in columns)
    where = _malformed(columns, options) if format_ == "csv" and types else ""
    with errors.translated():
        engine.connection.execute(f"CREATE VIEW {view} AS SELECT {values} FROM {relation}{where}")  # noqa: S608
        described = engine.describe(view)
    engine.note_source(view, described, sorted({engine.capture.place(path) for path in paths}))
    session._last_loaded_file = os.path.join(engine.request.root, paths[-1])
    return session._from_relation(view, [column for column, _ in described])


def _files(engine: DuckEngine, paths: list[str], format_: str) -> tuple[list[str], bool]:
    """The data files behind the paths, and whether they lie in `key=value` folders."""
    found: list[str] = []
    partitioned = False
    for path in paths:
        full = os.path.join(engine.request.root, re.sub(r"^file:(//)?", "", path))
        hits = sorted(glob(full)) if has_magic(full) else [full]
        for hit in hits:
            if os.path.isdir(hit):
                inner = [
                    str(each)
                    for each in sorted(Path(hit).rglob("*"))
                    if each.is_file()
                    and not any(p.startswith(("_", ".")) for p in each.relative_to(hit).parts)
                ]
                partitioned = partitioned or any(
                    "=" in p for each in inner for p in each[len(hit) :].split("/")[:-1]
                )
                right = [each for each in inner if each.split(".gz")[0].endswith(_SUFFIXES[format_])]
                found += right or inner
            elif os.path.exists(hit):
                found.append(hit)
        if not hits or not os.path.exists(hits[0]):
            raise errors.missing_path(full)
    if not found:
        raise errors.AnalysisException(
            f"[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for {format_} at {paths}."
        )
    return found, partitioned


# -- csv


def _csv(
    engine: DuckEngine, listed: str, hive: str, types: Any, options: dict[str, Any]
) -> tuple[str, list[tuple[str, str]]]:
    header = flag(options, "header")
    parts = [
        f"header = {str(header).lower()}",
        f"delim = {literal(options.get('sep', ','))}",
        "null_padding = true",
        "strict_mode = false",
        "parallel = false",
        "sample_size = -1",
        f"hive_partitioning = {hive}",
    ]
    for option in ("quote", "comment"):
        if option in options:
            parts.append(f"{option} = {literal(options[option])}")
    nulls = dict.fromkeys([str(options.get("nullvalue", "")), ""])
    parts.append(f"nullstr = [{', '.join(literal(each) for each in nulls)}]")
    if "escape" in options and options["escape"] not in ("\\", ""):
        parts.append(f"escape = {literal(options['escape'])}")
    if "encoding" in options:
        parts.append(f"encoding = {literal(str(options['encoding']).lower())}")
    infer = types is None and flag(options, "inferschema")
    if not infer:
        parts.append("all_varchar = true")
    relation = f"read_csv({listed}, {', '.join(parts)})"
    with errors.translated():
        described = engine.describe(relation)
    columns: list[tuple[str, str]] = []
    if types is not None:
        for (raw, _), (column, wanted) in zip(described, types.items(), strict=False):
            columns.append((column, _parsed(_trimmed(name(raw), options), wanted, options)))
        columns += [
            (column, f"CAST(NULL AS {duck(t)})") for column, t in list(types.items())[len(described) :]
        ]
        return relation, columns
    for position, (raw, found) in enumerate(described):
        column = raw if header else f"_c{position}"
        value = _trimmed(name(raw), options) if found == "VARCHAR" else name(raw)
        if found == "BIGINT":
            value = f"CAST({value} AS INTEGER)" if _fits_integer(engine, relation, raw) else value
        elif found == "TIMESTAMP":
            value = f"CAST({value} AS TIMESTAMPTZ)"
        elif found == "TIME":
            value = f"CAST({value} AS VARCHAR)"
        columns.append((column, value))
    return relation, columns


def _trimmed(value: str, options: dict[str, Any]) -> str:
    if flag(options, "ignoreleadingwhitespace"):
        value = f"ltrim({value})"
    return f"rtrim({value})" if flag(options, "ignoretrailingwhitespace") else value


def _parsed(value: str, wanted: Any, options: dict[str, Any]) -> str:
    """The SQL of one CSV field in the type of the schema."""
    target = duck(wanted)
    cast = "CAST" if str(options.get("mode", "")).upper() == "FAILFAST" else "TRY_CAST"
    parse = "strptime" if cast == "CAST" else "try_strptime"
    if target == "VARCHAR":
        return value
    key = {"DATE": "dateformat", "TIMESTAMPTZ": "timestampformat", "TIMESTAMP": "timestampformat"}.get(target)
    if key and key in options:
        return f"CAST({parse}({value}, {literal(strptime(str(options[key])))}) AS {target})"
    return f"{cast}({value} AS {target})"


def _malformed(columns: list[tuple[str, str]], options: dict[str, Any]) -> str:
    if str(options.get("mode", "")).upper() != "DROPMALFORMED":
        return ""
    tests = [
        f"NOT ({value} IS NULL AND {match[1]} IS NOT NULL)"
        for _, value in columns
        if (match := re.match(r"TRY_CAST\((.+) AS [A-Z]", value))
    ]
    return f" WHERE {' AND '.join(tests)}" if tests else ""


def strptime(pattern: str) -> str:
    """Java's date pattern as strptime's."""
    out, i = "", 0
    letters = sorted(_TIME_LETTERS, key=len, reverse=True)
    while i < len(pattern):
        if pattern[i] == "'":
            end = pattern.find("'", i + 1)
            out += pattern[i + 1 : end]
            i = end + 1
            continue
        for letter in letters:
            if pattern.startswith(letter, i):
                out += _TIME_LETTERS[letter]
                i += len(letter)
                break
        else:
            out += pattern[i]
            i += 1
    return out


def _fits_integer(engine: DuckEngine, relation: str, column: str) -> bool:
    low, high = engine.connection.execute(
        f"SELECT min({name(column)}), max({name(column)}) FROM {relation}"  # noqa: S608
    ).fetchone()
    return low is None or (low >= _INT_RANGE[0] and high <= _INT_RANGE[1])


# -- json


def _json(engine: DuckEngine, listed: str, hive: str, types: Any) -> tuple[str, list[tuple[str, str]]]:
    common = f"format = 'auto', maximum_object_size = 67108864, hive_partitioning = {hive}"
    if types is not None:
        declared = ", ".join(f"{literal(column)}: {literal(duck(t))}" for column, t in types.items())
        relation = f"read_json({listed}, {common}, columns = {{{declared}}})"
        return relation, [(column, name(column)) for column in types]
    inferred = f"read_json({listed}, {common}, sample_size = -1, map_inference_threshold = -1)"
    with errors.translated():
        relation_types = engine.connection.execute(f"SELECT * FROM {inferred} LIMIT 0").description  # noqa: S608
    columns = sorted((str(column), _json_type(type_)) for column, type_, *_ in relation_types)
    declared = ", ".join(f"{literal(column)}: {literal(type_)}" for column, type_ in columns)
    relation = f"read_json({listed}, {common}, columns = {{{declared}}})"
    return relation, [(column, name(column)) for column, _ in columns]


def _json_type(type_: Any) -> str:
    """The type that Spark infers where DuckDB infers `type_`: no dates, one integer type, fields by name."""
    text = str(type_)
    identity = getattr(type_, "id", "")
    if identity == "struct":
        fields = sorted((str(n), _json_type(t)) for n, t in type_.children)
        return "STRUCT(" + ", ".join(f"{name(n)} {t}" for n, t in fields) + ")"
    if identity in ("list", "array"):
        return _json_type(type_.children[0][1]) + "[]"
    if text in (
        "BIGINT",
        "UBIGINT",
        "HUGEINT",
        "INTEGER",
        "UINTEGER",
        "SMALLINT",
        "TINYINT",
        "UTINYINT",
        "USMALLINT",
    ):
        return "BIGINT"
    if text in ("BOOLEAN", "DOUBLE"):
        return text
    return "VARCHAR"


# -- parquet


def _parquet(
    engine: DuckEngine, listed: str, hive: str, types: Any, options: dict[str, Any]
) -> tuple[str, list[tuple[str, str]]]:
    merge = str(flag(options, "mergeschema")).lower()
    relation = f"read_parquet({listed}, hive_partitioning = {hive}, union_by_name = {merge})"
    with errors.translated():
        described = engine.describe(relation)
    if types is not None:
        existing = {column.lower(): column for column, _ in described}
        return relation, [
            (c, f"CAST({name(existing[c.lower()]) if c.lower() in existing else 'NULL'} AS {duck(t)})")
            for c, t in types.items()
        ]
    partitions = _partition_names(listed) if hive == "true" else set()
    columns = []
    for column, type_ in described:
        narrow = column in partitions and type_ == "BIGINT" and _fits_integer(engine, relation, column)
        columns.append((column, f"CAST({name(column)} AS INTEGER)" if narrow else name(column)))
    return relation, columns


def _partition_names(listed: str) -> set[str]:
    return set(re.findall(r"/([^/=]+)=[^/]*/", listed.replace("/", "//")))


# -- pieces


def schema_types(schema: Any) -> dict[str, Any]:
    """A schema as DDL text or as a StructType -> column -> sqlglot type, in order."""
    exp: Any = importlib.import_module("sqlglot.expressions")
    sqlglot: Any = importlib.import_module("sqlglot")
    if hasattr(schema, "fields"):
        return {f.name: exp.DataType.build(f.dataType.simpleString(), dialect="spark") for f in schema.fields}
    text = str(schema).strip()
    if text.lower().startswith("struct<") and text.endswith(">"):
        text = text[7:-1]
    with errors.translated():
        table = sqlglot.parse_one(f"CREATE TABLE t ({text})", read="spark")
    return {c.name: c.kind for c in table.this.expressions if isinstance(c, exp.ColumnDef)}


def duck(type_: Any) -> str:
    """A sqlglot type as DuckDB writes it."""
    return str(type_.sql(dialect="duckdb")).replace("TEXT", "VARCHAR").replace("INT ", "INTEGER ")


def spark_type(type_: str) -> str:
    """A DuckDB type as Spark calls it."""
    exp: Any = importlib.import_module("sqlglot.expressions")
    for wide in ("UHUGEINT", "HUGEINT", "UBIGINT"):  # what DuckDB makes of sums; a long in Spark
        type_ = type_.replace(wide, "BIGINT")
    if type_ in ("UUID", "TIME") or type_.startswith("ENUM"):
        type_ = "VARCHAR"
    return str(exp.DataType.build(type_, dialect="duckdb").sql(dialect="spark")).lower().replace(", ", ",")


def literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
