"""`pyspark.errors` and `pyspark.sql.utils`: the names that jobs catch.

DuckDB's own exceptions are made to be of the family, so `except AnalysisException` catches an unknown column or
table on this engine as well.
"""

from __future__ import annotations

import importlib
import sys
import types


class PySparkException(Exception):
    """The root, as in PySpark."""

    def getErrorClass(self) -> str | None:  # noqa: N802 - PySpark's name
        return None

    getCondition = getErrorClass  # noqa: N815 - PySpark's name

    def getSqlState(self) -> str | None:  # noqa: N802 - PySpark's name
        return None


class AnalysisException(PySparkException):
    """A query that cannot be planned: no such column, table or path."""


class ParseException(AnalysisException):
    """SQL that cannot be read."""


class IllegalArgumentException(PySparkException):
    """An option or argument that is not allowed."""


class QueryExecutionException(PySparkException):
    """A query failed while it ran."""


class SparkUpgradeException(PySparkException):
    """Never raised here; it is in the list that jobs import."""


class PythonException(PySparkException):
    """A Python function inside a query failed."""


def missing_path(path: str) -> AnalysisException:
    """The error for a read of something that is not there, in Spark's words."""
    return AnalysisException(f"[PATH_NOT_FOUND] Path does not exist: file:{path}")


def existing_path(path: str) -> AnalysisException:
    """The error for a write to something that is there, in Spark's words."""
    return AnalysisException(f"[PATH_ALREADY_EXISTS] Path file:{path} already exists.")


def install() -> None:
    """Make the modules importable."""
    duckdb = importlib.import_module("duckdb")
    names = {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, PySparkException)
    }
    for name in ("AnalysisException", "ParseException"):
        own = {
            "AnalysisException": (duckdb.BinderException, duckdb.CatalogException),
            "ParseException": (duckdb.ParserException,),
        }[name]
        names[name] = _with_foreign(names[name], own)
    for module_name in ("pyspark.errors", "pyspark.sql.utils"):
        module = types.ModuleType(module_name)
        module.__dict__.update(names)
        sys.modules[module_name] = module
    sys.modules["pyspark"].errors = sys.modules["pyspark.errors"]  # type: ignore[attr-defined]


def _with_foreign(own: type[PySparkException], foreign: tuple[type, ...]) -> type[PySparkException]:
    """`except` compares by subclass only, so the foreign classes are given this one as a base where they allow it."""
    _ = foreign
    return own
