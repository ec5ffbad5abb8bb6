"""spark.sql: commands run when they are called, as in Spark, and not when somebody collects them.

CREATE TABLE … AS, CREATE TABLE (columns), CREATE VIEW, INSERT, INSERT OVERWRITE DIRECTORY, DROP, SET,
DESCRIBE; files named in a query (SELECT … FROM parquet.`/job/inputs/x`), global temporary views. USE,
CACHE, ANALYZE and the like are passed over; anything else says that it needs real Spark.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from . import errors
from .reader import duck, name

if TYPE_CHECKING:
    from . import DuckEngine
    from .session import Conf

_FILE_FORMATS = ("parquet", "csv", "json", "text")
_DEFAULT = ("default", "spark_catalog")
_SETTING = re.compile(r"^\s*set\s+([\w.]+)\s*=\s*(.+?)\s*;?\s*$", re.IGNORECASE)
_OPTION = re.compile(r"['\"]?([\w.]+)['\"]?\s*[=\s]\s*['\"]([^'\"]*)['\"]")
_DIRECTORY = re.compile(
    r"^\s*insert\s+overwrite\s+(?:local\s+)?directory\s+(['\"])(?P<path>.+?)\1\s*(?:using\s+(?P<format>\w+)\s*)?"
    r"(?:options\s*\((?P<options>[^)]*)\)\s*)?(?P<query>(?:select|with)\b.*)$",
    re.IGNORECASE | re.DOTALL,
)


def install(engine: DuckEngine, conf: Conf) -> None:
    """Put `sql` onto sqlframe's session."""
    cls = engine.sql.SparkSession
    plain_sql = cls.sql

    def sql(self: Any, sqlQuery: Any, args: Any = None, **kwargs: Any) -> Any:
        given = {**kwargs, **({"args": args} if args is not None else {})}
        with errors.translated():
            if not isinstance(sqlQuery, str):
                return plain_sql(self, sqlQuery, **given)
            return _Statement(engine, conf, self, plain_sql, given).run(sqlQuery)

    cls.sql = sql


class _Statement:
    """One call of spark.sql. `given` are its arguments besides the text."""

    def __init__(
        self, engine: DuckEngine, conf: Conf, session: Any, plain_sql: Any, given: dict[str, Any]
    ) -> None:
        self._engine = engine
        self._conf = conf
        self._session = session
        self._plain_sql = plain_sql
        self._given = given
        self._exp: Any = importlib.import_module("sqlglot.expressions")

    def run(self, text: str) -> Any:
        if match := _DIRECTORY.match(text):
            return self._write_directory(match)
        statement = self._parsed(text)
        exp = self._exp
        if statement is None or isinstance(statement, exp.Query):
            return self._query(statement, text)
        if isinstance(statement, exp.Create | exp.Insert) and statement.expression is not None:
            self._write(statement)
        elif isinstance(statement, exp.Create) and statement.kind == "TABLE":
            self._create_empty(statement)
        elif isinstance(statement, exp.Drop):
            self._drop(statement)
        elif isinstance(statement, exp.Describe):
            return self._describe(statement)
        elif isinstance(statement, exp.Set):
            if match := _SETTING.match(text):
                self._conf.set(match[1], match[2])
        elif not self._is_passed_over(statement):
            word = text.split(None, 1)[0].upper()
            raise NotImplementedError(f"{word} needs real Spark: submit the job with engine spark")
        return self._session._empty()

    def _is_passed_over(self, statement: Any) -> bool:
        exp = self._exp
        if isinstance(statement, exp.Create) and statement.kind in ("SCHEMA", "DATABASE"):
            self._engine.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name(_dotted(statement).lower())}")
            return True
        return isinstance(statement, exp.Use | exp.Cache | exp.Uncache | exp.Analyze | exp.Refresh)

    def _parsed(self, text: str) -> Any:
        sqlglot: Any = importlib.import_module("sqlglot")
        try:
            return sqlglot.parse_one(text.strip().rstrip(";"), read="spark")
        except sqlglot.errors.ParseError as error:
            if "{" in text:  # a template, whose fields are filled in by sqlframe
                return None
            raise errors.ParseException(f"[PARSE_SYNTAX_ERROR] {str(error).splitlines()[0]}") from None

    def _query(self, statement: Any, text: str) -> Any:
        if statement is not None and self._rename(statement):
            text = statement.sql(dialect="spark")
        return self._plain_sql(self._session, text, **self._given)

    def _rename(self, statement: Any) -> bool:
        """parquet.`/a/b` -> a view over that file; global_temp.v, default.t -> as they are known here."""
        exp = self._exp
        changed = False
        for table in list(statement.find_all(exp.Table)):
            database = table.db.lower()
            if database in _DEFAULT:
                table.set("db", None)
                table.set("catalog", None)
            elif database == "global_temp":
                table.set("db", None)
                table.set("this", exp.to_identifier(f"global_temp_{table.name}"))
            elif database in _FILE_FORMATS and ("/" in table.name or "." in table.name):
                view = self._engine.number("named_file")
                self._session.read.format(database).load(table.name).createOrReplaceTempView(view)
                alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(view))
                table.replace(exp.Table(this=exp.to_identifier(view), alias=alias))
            else:
                continue
            changed = True
        return changed

    def _write(self, statement: Any) -> None:
        """CREATE TABLE/VIEW … AS and INSERT."""
        exp = self._exp
        query = statement.expression
        if with_ := statement.args.get("with_"):
            query.set("with_", with_)
        if isinstance(query, exp.Values):
            rows = query.sql(dialect="spark")
            frame = self._plain_sql(self._session, f"SELECT * FROM {rows} AS v")  # noqa: S608
        else:
            frame = self._query(query, query.sql(dialect="spark"))
        listed = statement.this.expressions if isinstance(statement.this, exp.Schema) else []
        target = _dotted(statement)
        if isinstance(statement, exp.Insert):
            columns = [each.name for each in listed] or None
            frame.write._insert(target, bool(statement.args.get("overwrite")), columns)
        elif statement.kind == "VIEW":
            frame.createOrReplaceTempView(target)
        elif not (statement.args.get("exists") and self._engine.table_exists(target)):
            frame.write.mode("overwrite" if statement.args.get("replace") else "error").saveAsTable(target)

    def _write_directory(self, match: re.Match[str]) -> Any:
        frame = self.run(match["query"])
        writer = frame.write.mode("overwrite").options(**dict(_OPTION.findall(match["options"] or "")))
        writer.format(match["format"] or "parquet").save(match["path"])
        return self._session._empty()

    def _create_empty(self, statement: Any) -> None:
        """CREATE TABLE t (a INT, …)."""
        columns = [
            f"{name(each.name)} {duck(each.kind)}"
            for each in getattr(statement.this, "expressions", [])
            if isinstance(each, self._exp.ColumnDef)
        ]
        guard = "IF NOT EXISTS " if statement.args.get("exists") else ""
        table = self._engine.quoted(self._engine.table_name(_dotted(statement)))
        self._engine.connection.execute(f"CREATE TABLE {guard}{table} ({', '.join(columns)})")

    def _drop(self, statement: Any) -> None:
        target = _dotted(statement)
        if self._session.temp_views.pop(target.lower(), None) is None and statement.kind == "TABLE":
            self._engine.drop_table(target)

    def _describe(self, statement: Any) -> Any:
        found = self._engine.describe(self._engine.quoted(self._engine.table_name(_dotted(statement))))
        rows = [(column, type_.lower(), None) for column, type_ in found]
        return self._session.createDataFrame(rows, "col_name string, data_type string, comment string")


def _dotted(statement: Any) -> str:
    target = statement.this
    while not hasattr(target, "parts"):
        target = target.this
    return ".".join(part.name for part in target.parts)
