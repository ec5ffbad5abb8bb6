"""DataFrame: the methods that sqlframe lacks or gets wrong, and a note of every result that the program
takes out.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .reader import name, spark_type
from .writer import _query

if TYPE_CHECKING:
    from . import DuckEngine

_NEEDS_SPARK = [
    "rdd",
    "foreachPartition",
    "mapInPandas",
    "mapInArrow",
    "applyInPandas",
    "cogroup",
    "toJSON",
    "writeStream",
    "withWatermark",
    "observe",
    "semanticHash",
    "sameSemantics",
    "writeTo",
    "mergeInto",
    "checkpointed",
    "pandas_api",
    "to_pandas_on_spark",
]


def install(engine: DuckEngine) -> None:  # noqa: PLR0915 - a list of small methods
    """Put the methods onto sqlframe's DataFrame."""
    cls = engine.sql.DataFrame
    plain_collect = cls.collect
    functions: Any = importlib.import_module("sqlframe.duckdb.functions")
    catalog_column: Any = importlib.import_module("sqlframe.base.catalog").Column
    exp: Any = importlib.import_module("sqlglot.expressions")
    operations: Any = importlib.import_module("sqlframe.base.operations")

    def held(frame: Any) -> None:
        """The program is about to hold this result: what it makes of it cannot be followed."""
        with engine.capture.guard("a collected result"):
            engine.capture.held(lambda: engine.trace(_query(frame)))

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
        engine.connection.execute(f"CREATE TEMP TABLE {table} AS {engine.settled(query)}")
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
        return self._set_operation(exp.Except, other, distinct=True)

    def sample(self: Any, withReplacement: Any = None, fraction: Any = None, seed: Any = None) -> Any:
        if isinstance(withReplacement, float):
            withReplacement, fraction = False, withReplacement
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
        given = columns[0] if len(columns) == 1 and isinstance(columns[0], list) else columns
        keys = self._ensure_and_normalize_cols(list(given))
        return self._group_data(self, [keys[:i] for i in range(len(keys), -1, -1)], self.last_op)

    def typed_columns(self: Any) -> list[Any]:
        """The schema of the frame, asked of DuckDB and told in Spark's types."""
        found = engine.describe(f"({_query(self)})")
        return [catalog_column(n, None, spark_type(t), True, False, False) for n, t in found]

    def approx_quantile(self: Any, col: Any, probabilities: Any, relativeError: Any) -> Any:
        listed = "[" + ", ".join(str(float(each)) for each in probabilities) + "]"
        names = [col] if isinstance(col, str) else list(col)
        values = ", ".join(f"quantile_disc({name(each)}, {listed})" for each in names)
        row = engine.connection.execute(f"SELECT {values} FROM ({_query(self)})").fetchone()  # noqa: S608
        found = [[float(each) for each in one or []] for one in row]
        return found[0] if isinstance(col, str) else found

    def global_view(self: Any, view: str) -> None:
        self.createOrReplaceTempView(f"global_temp_{view}")

    cls.collect = collect
    cls.take = take
    cls.head = head
    cls.first = head
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
    cls.rollup = operations.operation(operations.Operation.GROUP_BY)(rollup)
    cls._typed_columns = property(typed_columns)
    cls.approxQuantile = approx_quantile
    engine.sql.DataFrameStatFunctions.approxQuantile = lambda self, *a, **k: approx_quantile(self.df, *a, **k)
    cls.createTempView = cls.createOrReplaceTempView
    cls.createGlobalTempView = cls.createOrReplaceGlobalTempView = global_view
    cls.isLocal = lambda self: True
    cls.isStreaming = False
    for missing in _NEEDS_SPARK:
        setattr(cls, missing, property(_refusal(missing)))
    types: Any = importlib.import_module("sqlframe.base.types")
    types.StructType.__getitem__ = _field
    types.StructType.fieldNames = lambda self: [field.name for field in self.fields]
    types._create_row = _row_maker(types.Row)
    for type_class in (types.DecimalType, types.StructType, types.MapType, types.ArrayType):
        type_class.simpleString = _without_spaces(type_class.simpleString)


def _row_maker(row_class: Any) -> Any:
    def create_row(fields: Any, values: Any) -> Any:
        """A Row that keeps Decimals; sqlframe makes floats of them."""
        row = row_class(*values)
        row.__fields__ = fields
        return row

    return create_row


def _without_spaces(simple_string: Any) -> Any:
    def simpleString(self: Any) -> str:
        return str(simple_string(self)).replace(", ", ",")

    return simpleString


def _refusal(method: str) -> Any:
    def refuse(self: Any) -> Any:
        raise NotImplementedError(f"DataFrame.{method} needs real Spark: submit the job with engine spark")

    return refuse


def _field(self: Any, key: Any) -> Any:
    if isinstance(key, int):
        return self.fields[key]
    for field in self.fields:
        if field.name == key:
            return field
    raise KeyError(f"No StructField named {key}")


def _summary(frame: Any, columns: list[str], statistics: list[str]) -> Any:
    functions: Any = importlib.import_module("sqlframe.duckdb.functions")
    numeric = ("int", "bigint", "double", "float", "smallint", "tinyint", "string")
    chosen = columns or [n for n, t in frame.dtypes if t.startswith(numeric) or t.startswith("decimal")]
    make = {
        "count": functions.count,
        "mean": lambda c: functions.avg(functions.expr(f"try_cast(`{c}` as double)")),
        "stddev": lambda c: functions.stddev(functions.expr(f"try_cast(`{c}` as double)")),
        "min": functions.min,
        "max": functions.max,
    }
    rows = []
    for statistic in statistics:
        found = frame.agg(*[make[statistic](c).cast("string").alias(f"c{i}") for i, c in enumerate(chosen)])
        rows.append((statistic, *found.collect()[0]))
    ddl = ", ".join(["`summary` string", *(f"`{c}` string" for c in chosen)])
    return frame.session.createDataFrame(rows, ddl)
