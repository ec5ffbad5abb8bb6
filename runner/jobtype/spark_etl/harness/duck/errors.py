"""`pyspark.errors` and `pyspark.sql.utils`: the names that jobs catch.

DuckDB's and sqlglot's exceptions are turned into them where a job would catch Spark's: `except
AnalysisException` catches an unknown column, table or path on this engine as well.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class PySparkException(Exception):
    """The root, as in PySpark."""

    def getErrorClass(self) -> str | None:
        return None

    getCondition = getErrorClass

    def getSqlState(self) -> str | None:
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


@contextmanager
def translated() -> Iterator[None]:
    """Errors of planning become Spark's. Errors of execution stay what they are."""
    duckdb: Any = importlib.import_module("duckdb")
    sqlglot: Any = importlib.import_module("sqlglot.errors")
    try:
        yield
    except (
        duckdb.BinderException,
        duckdb.CatalogException,
        sqlglot.OptimizeError,
        sqlglot.SchemaError,
    ) as error:
        raise AnalysisException(str(error)) from None
    except (duckdb.ParserException, sqlglot.ParseError) as error:
        raise ParseException(str(error)) from None


def install() -> None:
    """Make the modules importable."""
    names = {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, PySparkException)
    }
    for module_name in ("pyspark.errors", "pyspark.sql.utils"):
        module = types.ModuleType(module_name)
        module.__dict__.update(names)
        sys.modules[module_name] = module
    sys.modules["pyspark"].errors = sys.modules["pyspark.errors"]  # type: ignore[attr-defined]
    sys.modules["pyspark.sql"].utils = sys.modules["pyspark.sql.utils"]  # type: ignore[attr-defined]
