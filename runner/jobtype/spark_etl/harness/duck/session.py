"""SparkSession: what sqlframe lacks of it, and `spark.sql` run at once as Spark runs commands.

- `sparkContext` (setLogLevel, appName …), `version`, `conf` for any key, `getActiveSession()`, `stop()`;
- `spark.sql`: CREATE TABLE/VIEW, INSERT, DROP … run when called, not when collected; files by name
  (`SELECT … FROM parquet.`/job/inputs/x``); INSERT OVERWRITE DIRECTORY;
- `createDataFrame` makes a table at once (rows are not carried along in every later query); pandas frames too;
- `range` is not a list of rows.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from . import errors

if TYPE_CHECKING:
    from . import DuckEngine

SPARK_VERSION = "4.0.0"

_FILE_FORMATS = ("parquet", "csv", "json", "text")
_DIRECTORY = re.compile(
    r"^\s*insert\s+overwrite\s+(?:local\s+)?directory\s+(['\"])(?P<path>.+?)\1\s*(?:using\s+(?P<format>\w+)\s*)?"
    r"(?:options\s*\((?P<options>[^)]*)\)\s*)?(?P<query>(?:select|with)\b.*)$",
    re.IGNORECASE | re.DOTALL,
)


class SparkContext:
    """The part of SparkContext that means something without a cluster."""

    applicationId = "local-duckdb"
    defaultParallelism = 1
    master = "local[*]"
    version = SPARK_VERSION

    def __init__(self, conf: Conf) -> None:
        self._conf = conf

    @property
    def appName(self) -> str:
        return str(self._conf.get("spark.app.name", "job"))

    @property
    def uiWebUrl(self) -> None:
        return None

    def getConf(self) -> Conf:
        return self._conf

    def setLogLevel(self, level: str) -> None:
        """Nothing to log here."""

    def setJobDescription(self, text: str) -> None:
        """There is nobody to show it to."""

    setJobGroup = setLocalProperty = lambda *_, **__: None

    def stop(self) -> None:
        """The session lives as long as the job."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"SparkContext.{name} (RDDs) needs real Spark: submit the job with engine spark"
        )


class Conf:
    """spark.conf: keeps whatever it is given; the time zone is DuckDB's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        if key == "spark.sql.session.timeZone":
            return self._connection.execute("SELECT current_setting('TimeZone')").fetchone()[0]
        return self._values.get(key, default)

    def set(self, key: str, value: Any) -> Conf:
        if key == "spark.sql.session.timeZone":
            self._connection.execute("SET SESSION TimeZone = ?", [str(value)])
        text = str(value).lower() if isinstance(value, bool) else str(value)
        self._values[key] = text
        return self

    def unset(self, key: str) -> None:
        self._values.pop(key, None)

    def isModifiable(self, key: str) -> bool:
        return bool(key)

    def getAll(self) -> list[tuple[str, str]]:
        return sorted(self._values.items())


def install(engine: DuckEngine) -> None:  # noqa: PLR0915 - a list of small methods
    """Put the methods onto sqlframe's session."""
    exp: Any = importlib.import_module("sqlglot.expressions")
    sqlglot: Any = importlib.import_module("sqlglot")
    cls = engine.sql.SparkSession
    plain_sql, plain_create = cls.sql, cls.createDataFrame
    conf = Conf(engine.connection)
    context = SparkContext(conf)

    def from_relation(self: Any, relation: str, columns: list[str]) -> Any:
        """A frame over a view or table of ours; its names keep their case, as Spark's do."""
        # Identifiers quoted only where they must be: sqlframe takes "id" and id for two columns in a join.
        select = exp.select(
            *[exp.column(exp.to_identifier(each), table="s").as_(exp.to_identifier(each)) for each in columns]
        ).from_(exp.alias_(exp.to_table(relation), "s", table=True))
        frame = plain_sql(self, select, qualify=False)
        frame.display_name_mapping.update(zip(frame._columns, columns, strict=True))
        return frame

    def sql(self: Any, sqlQuery: Any, args: Any = None, **kwargs: Any) -> Any:
        with errors.translated():
            return run_sql(self, sqlQuery, args, **kwargs)

    def run_sql(self: Any, sqlQuery: Any, args: Any = None, **kwargs: Any) -> Any:
        if not isinstance(sqlQuery, str):
            return plain_sql(self, sqlQuery, **({"args": args} if args is not None else {}), **kwargs)
        if match := _DIRECTORY.match(sqlQuery):
            frame = sql(self, match["query"], args, **kwargs)
            options = dict(
                re.findall(r"['\"]?([\w.]+)['\"]?\s*[=\s]\s*['\"]([^'\"]*)['\"]", match["options"] or "")
            )
            frame.write.mode("overwrite").options(**options).format(match["format"] or "parquet").save(
                match["path"]
            )
            return empty(self)
        statement = parsed(sqlQuery)
        if isinstance(statement, (exp.Create, exp.Insert)) and statement.expression is not None:
            return write(self, statement, args, kwargs)
        if statement is not None and not isinstance(statement, exp.Query):
            return command(self, statement, sqlQuery)
        text = named_files(self, statement, sqlQuery)
        return plain_sql(self, text, **({"args": args} if args is not None else {}), **kwargs)

    def parsed(text: str) -> Any:
        try:
            return sqlglot.parse_one(text.strip().rstrip(";"), read="spark")
        except sqlglot.errors.ParseError as error:
            if "{" in text:  # a template: its fields are filled in by sqlframe
                return None
            raise errors.ParseException(f"[PARSE_SYNTAX_ERROR] {str(error).splitlines()[0]}") from None

    def named_files(self: Any, statement: Any, text: str) -> str:
        """`parquet.`/a/b`` -> a temporary view over that file; `global_temp.v` -> the view."""
        if statement is None:
            return text
        changed = False
        for table in list(statement.find_all(exp.Table)):
            if table.db.lower() == "global_temp":
                table.set("db", None)
                table.set("this", exp.to_identifier(f"global_temp_{table.name}"))
                changed = True
            if table.db.lower() in _FILE_FORMATS and ("/" in table.name or "." in table.name):
                name = engine.number("named_file")
                reader = self.read.format(table.db.lower())
                reader.load(table.name).createOrReplaceTempView(name)
                alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name))
                table.replace(exp.Table(this=exp.to_identifier(name), alias=alias))
                changed = True
        return str(statement.sql(dialect="spark")) if changed else text

    def write(self: Any, statement: Any, args: Any, kwargs: Any) -> Any:
        """CREATE TABLE/VIEW … AS and INSERT, at once."""
        query = statement.expression
        if with_ := statement.args.get("with_"):
            query.set("with_", with_)
        target = statement.this.this if isinstance(statement.this, exp.Schema) else statement.this
        name = ".".join(part.name for part in target.parts)
        frame = (
            sql(self, query.sql(dialect="spark"), args, **kwargs) if isinstance(query, exp.Query) else None
        )
        if isinstance(query, exp.Values):
            frame = plain_sql(self, f"SELECT * FROM {query.sql(dialect='spark')} AS v")
        if isinstance(statement, exp.Insert):
            listed = (
                [c.name for c in statement.this.expressions]
                if isinstance(statement.this, exp.Schema)
                else None
            )
            frame.write._insert(name, bool(statement.args.get("overwrite")), listed)
        elif statement.kind == "VIEW":
            frame.createOrReplaceTempView(name)
        else:
            exists = engine.table_exists(name)
            if exists and statement.args.get("exists"):
                return empty(self)
            mode = "overwrite" if statement.args.get("replace") else "error"
            frame.write.mode(mode).saveAsTable(name)
        return empty(self)

    def command(self: Any, statement: Any, text: str) -> Any:
        """Commands without a query: DROP, USE, SET …; those that make no sense here are passed over."""
        if isinstance(statement, exp.Drop):
            name = ".".join(part.name for part in statement.this.parts)
            dropped = self.temp_views.pop(name.lower(), None) is not None
            if not dropped and statement.kind == "TABLE":
                engine.connection.execute(f"DROP TABLE IF EXISTS {engine.table_name(name)}")
                engine.forget_table(engine.table_name(name))
        elif isinstance(statement, exp.Set):
            if match := re.match(r"(?i)^\s*set\s+([\w.]+)\s*=\s*(.+?)\s*;?\s*$", text):
                conf.set(match[1], match[2])
        elif isinstance(statement, exp.Create) and statement.kind == "TABLE":
            create_empty(statement)
        elif isinstance(statement, (exp.Use, exp.Cache, exp.Uncache, exp.Analyze)) or (
            isinstance(statement, exp.Create) and statement.kind in ("SCHEMA", "DATABASE")
        ):
            pass
        elif isinstance(statement, exp.Describe):
            rows = engine.describe(engine.table_name(statement.this.sql("spark")))
            return self.createDataFrame(
                [(n, t.lower(), None) for n, t in rows], ["col_name", "data_type", "comment"]
            )
        else:
            first = text.split(None, 1)[0].upper()
            raise NotImplementedError(f"{first} needs real Spark: submit the job with engine spark")
        return empty(self)

    def create_empty(statement: Any) -> None:
        """CREATE TABLE t (a INT, …) [USING …]."""
        target = statement.this.this if isinstance(statement.this, exp.Schema) else statement.this
        columns = [c for c in getattr(statement.this, "expressions", []) if isinstance(c, exp.ColumnDef)]
        name = engine.table_name(".".join(part.name for part in target.parts))
        listed = ", ".join(f'"{c.name}" {c.kind.sql(dialect="duckdb")}' for c in columns)
        guard = "IF NOT EXISTS " if statement.args.get("exists") else ""
        engine.connection.execute(f"CREATE TABLE {guard}{name} ({listed})")

    def empty(self: Any) -> Any:
        return plain_create(self, [], "result string")

    def createDataFrame(
        self: Any,
        data: Any,
        schema: Any = None,
        samplingRatio: Any = None,
        verifySchema: bool = True,
    ) -> Any:
        if type(data).__module__.startswith("pandas"):
            return from_pandas(self, data, schema)
        rows = list(data)
        if isinstance(schema, str) or hasattr(schema, "simpleString"):
            schema = engine.schema_types(schema)
        elif schema is None and rows and isinstance(rows[0], dict) and not hasattr(rows[0], "__fields__"):
            names = dict.fromkeys(key for row in rows for key in row)
            rows = [{name: row.get(name) for name in sorted(names)} for row in rows]
        frame = plain_create(self, rows, schema)
        columns = frame.columns
        table = engine.number("local_rows")
        engine.connection.execute(
            f"CREATE TEMP TABLE {table} AS {frame.sql(dialect='duckdb', optimize=False)}"
        )
        engine.note_local(table, columns)
        return from_relation(self, table, columns)

    def from_pandas(self: Any, data: Any, schema: Any) -> Any:
        table = engine.number("local_rows")
        columns = [str(each) for each in data.columns]
        engine.connection.register("_pandas", data)
        values = ", ".join('"' + each.replace('"', '""') + '"' for each in columns)
        if schema is not None and not isinstance(schema, (list, tuple)):
            types = engine.schema_types(schema)
            casts = zip(columns, types.items(), strict=True)
            values = ", ".join(f'CAST("{c}" AS {t.sql(dialect="duckdb")}) AS "{n}"' for c, (n, t) in casts)
            columns = list(types)
        elif schema is not None:
            values = ", ".join(f'"{c}" AS "{n}"' for c, n in zip(columns, schema, strict=True))
            columns = list(schema)
        engine.connection.execute(f"CREATE TEMP TABLE {table} AS SELECT {values} FROM _pandas")
        engine.connection.unregister("_pandas")
        engine.note_local(table, columns)
        return from_relation(self, table, columns)

    def range_(
        self: Any, start: int, end: int | None = None, step: int = 1, numPartitions: Any = None
    ) -> Any:
        first, last = (0, start) if end is None else (start, end)
        table = engine.number("range_rows")
        engine.connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT range AS id FROM range({int(first)}, {int(last)}, {int(step)})"
        )
        engine.note_source(table, [("id", "BIGINT")], [])
        return from_relation(self, table, ["id"])

    def config(self: Any, key: Any = None, value: Any = None, conf_: Any = None, *, map: Any = None) -> Any:
        for name, each in {**({key: value} if key is not None else {}), **(map or {})}.items():
            conf.set(str(name), each)
        return self

    def app_name(self: Any, name: str) -> Any:
        conf.set("spark.app.name", name)
        return self

    def stop(self: Any) -> None:
        """The connection lives as long as the job: lineage and tables are still to be read from it."""

    plain_execute = cls._execute

    def execute(self: Any, text: str) -> None:
        with errors.translated():
            plain_execute(self, text)

    def drop_view(self: Any, viewName: str) -> bool:
        return self.session.temp_views.pop(viewName.lower(), None) is not None

    def nothing(self: Any, *_: Any, **__: Any) -> None:
        """Caches and file listings are DuckDB's own business."""

    catalog = importlib.import_module("sqlframe.duckdb.catalog").DuckDBCatalog
    catalog.dropTempView = drop_view
    catalog.dropGlobalTempView = lambda self, viewName: drop_view(self, f"global_temp_{viewName}")
    catalog.cacheTable = catalog.uncacheTable = catalog.clearCache = nothing
    catalog.refreshTable = catalog.refreshByPath = catalog.recoverPartitions = nothing
    cls._execute = execute
    cls.sql = sql
    cls._from_relation = from_relation
    cls.createDataFrame = createDataFrame
    cls.range = range_
    cls.stop = stop
    cls.conf = conf
    cls.sparkContext = context
    cls.version = SPARK_VERSION
    cls.newSession = lambda self: self
    cls.getActiveSession = staticmethod(lambda: cls.builder.getOrCreate())
    cls.active = staticmethod(lambda: cls.builder.getOrCreate())
    cls.addArtifact = cls.addArtifacts = lambda *_, **__: None
    cls.__enter__ = lambda self: self
    cls.__exit__ = lambda *_: None
    builder = cls.Builder
    builder.config = config
    builder.appName = app_name
    builder.create = builder.getOrCreate
