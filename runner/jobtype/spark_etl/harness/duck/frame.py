"""DataFrame: the methods that sqlframe lacks or gets wrong, and a note of every result that the program takes out."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .writer import _query

if TYPE_CHECKING:
    from . import DuckEngine

_NEEDS_SPARK = ["rdd", "foreachPartition", "mapInPandas", "mapInArrow", "applyInPandas", "cogroup", "toJSON", "writeStream", "withWatermark", "observe", "semanticHash", "sameSemantics", "writeTo", "mergeInto", "checkpointed", "pandas_api", "to_pandas_on_spark"]


def install(engine: DuckEngine) -> None:  # noqa: PLR0915 - a list of small methods
    """Put the methods onto sqlframe's DataFrame."""
    cls = engine.sql.DataFrame
    plain_collect = cls.collect
    functions: Any = importlib.import_module("sqlframe.duckdb.functions")

    def held(frame: Any) -> None:
        """The program is about to hold this result: what it makes of it cannot be followed."""
        with engine.capture.guard("a collected result"):
            query = _query(frame)
            engine.capture.held(lambda: engine.trace(query))

    def collect(self: Any) -> Any:
        rows = plain_collect(self)
        held(self)
        return rows

    def take(self: Any, num: int) -> Any:
        return self.limit(num).collect()

    def head(self: Any, n: int | None = None) -> Any:
        rows = take(self, n or 1)
        if n is None:
            return rows[0] if rows else None
        return rows

    def tail(self: Any, num: int) -> Any:
        return self.collect()[-num:]

    def to_local_iterator(self: Any, prefetchPartitions: bool = False) -> Iterator[Any]:
        return iter(self.collect())

    def to_pandas(self: Any) -> Any:
        result = engine.connection.execute(_query(self)).df()
        held(self)
        return result

    def to_arrow(self: Any) -> Any:
        result = engine.connection.execute(_query(self)).to_arrow_table()
        held(self)
        return result

    def foreach(self: Any, function: Any) -> None:
        for row in self.collect():
            function(row)

    def materialised(self: Any, *_: Any, **__: Any) -> Any:
        """cache, persist, checkpoint: a table in DuckDB, as wide as the frame, followed like a view."""
        table, query, columns = engine.number("cached"), _query(self), self.columns
        engine.connection.execute(f"CREATE TEMP TABLE {table} AS {query}")
        with engine.capture.guard("a cached frame"):
            engine.note_table(table, query, replaces=True)
        return self.session._from_relation(table, columns)

    def itself(self: Any, *_: Any, **__: Any) -> Any:
        return self

    def select_expr(self: Any, *expressions: Any) -> Any:
        listed = expressions[0] if len(expressions) == 1 and isinstance(expressions[0], list) else expressions
        return self.select(*[functions.expr(each) for each in listed])

    def dtypes(self: Any) -> list[tuple[str, str]]:
        return [(each.name, each.dataType.simpleString()) for each in self.schema.fields]

    def subtract(self: Any, other: Any) -> Any:
        return self.exceptAll(other).distinct() if False else _subtract(self, other)

    def sample(self: Any, withReplacement: Any = None, fraction: Any = None, seed: Any = None) -> Any:
        if isinstance(withReplacement, float):
            withReplacement, fraction, seed = False, withReplacement, fraction
        if withReplacement:
            raise NotImplementedError(
                "sampling with replacement needs real Spark: submit the job with engine spark"
            )
        return self.filter(functions.rand() < float(fraction))

    def describe(self: Any, *columns: str) -> Any:
        return _summary(self, list(columns), ["count", "mean", "stddev", "min", "max"])

    def summary(self: Any, *statistics: str) -> Any:
        return _summary(self, [], list(statistics) or ["count", "mean", "stddev", "min", "max"])

    def rollup(self: Any, *columns: Any) -> Any:
        raise NotImplementedError("DataFrame.rollup: use spark.sql('… GROUP BY ROLLUP (…)') or engine spark")

    def global_view(self: Any, name: str) -> None:
        self.createOrReplaceTempView(f"global_temp_{name}")

    def temp_view(self: Any, name: str) -> None:
        self.createOrReplaceTempView(name)

    cls.collect = collect
    cls.take = take
    cls.head = head
    cls.first = lambda self: head(self)
    cls.tail = tail
    cls.toLocalIterator = to_local_iterator
    cls.toPandas = to_pandas
    cls.toArrow = to_arrow
    cls.foreach = foreach
    cls.cache = cls.persist = cls.checkpoint = cls.localCheckpoint = materialised
    cls.unpersist = cls.coalesce = cls.repartition = cls.repartitionByRange = cls.hint = itself
    cls.sortWithinPartitions = cls.sort
    cls.selectExpr = select_expr
    cls.dtypes = property(dtypes)
    cls.subtract = subtract
    cls.sample = sample
    cls.describe = describe
    cls.summary = summary
    cls.rollup = rollup
    cls.createTempView = temp_view
    cls.createGlobalTempView = cls.createOrReplaceGlobalTempView = global_view
    cls.isLocal = lambda self: True
    cls.isStreaming = False
    for name in _NEEDS_SPARK:
        setattr(cls, name, property(_refusal(name)))
    types: Any = importlib.import_module("sqlframe.base.types")
    types.StructType.__getitem__ = _field
    types.StructType.fieldNames = lambda self: [field.name for field in self.fields]


def _refusal(name: str) -> Any:
    def refuse(self: Any) -> Any:
        raise NotImplementedError(f"DataFrame.{name} needs real Spark: submit the job with engine spark")

    return refuse


def _field(self: Any, key: Any) -> Any:
    if isinstance(key, int):
        return self.fields[key]
    for field in self.fields:
        if field.name == key:
            return field
    raise KeyError(f"No StructField named {key}")


def _subtract(left: Any, right: Any) -> Any:
    exp: Any = importlib.import_module("sqlglot.expressions")
    return left._set_operation(exp.Except, right, distinct=True)


def _summary(frame: Any, columns: list[str], statistics: list[str]) -> Any:
    functions: Any = importlib.import_module("sqlframe.duckdb.functions")
    numeric = ("int", "bigint", "double", "float", "smallint", "tinyint", "string")
    chosen = columns or [n for n, t in frame.dtypes if t.startswith(numeric) or t.startswith("decimal")]
    make = {
        "count": lambda c: functions.count(c),
        "mean": lambda c: functions.avg(functions.expr(f"try_cast(`{c}` as double)")),
        "stddev": lambda c: functions.stddev(functions.expr(f"try_cast(`{c}` as double)")),
        "min": lambda c: functions.min(c),
        "max": lambda c: functions.max(c),
    }
    rows = []
    for statistic in statistics:
        found = frame.agg(*[make[statistic](c).cast("string").alias(f"c{i}") for i, c in enumerate(chosen)])
        rows.append((statistic, *found.collect()[0]))
    ddl = ", ".join(["`summary` string", *(f"`{c}` string" for c in chosen)])
    return frame.session.createDataFrame(rows, ddl)
