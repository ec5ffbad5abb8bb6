"""pyspark.sql.functions: what sqlframe leaves out on DuckDB, first of all Python functions inside queries."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import DuckEngine


def install(engine: DuckEngine) -> None:
    """Put the functions into the module that jobs import as F."""
    module: Any = importlib.import_module("sqlframe.duckdb.functions")
    column_class: Any = importlib.import_module("sqlframe.base.column").Column
    exp: Any = importlib.import_module("sqlglot.expressions")

    def udf(f: Any = None, returnType: Any = "string", useArrow: Any = None) -> Any:
        if f is None or isinstance(f, str) or hasattr(f, "simpleString"):
            return functools.partial(udf, returnType=f if f is not None else returnType)
        name = engine.number(f"udf_{_word(getattr(f, '__name__', 'lambda'))}")
        engine.register(name, f, returnType)

        @functools.wraps(f)
        def call(*columns: Any) -> Any:
            return (
                column_class.invoke_anonymous_function(None, name, *columns)
                if not columns
                else _call(name, columns)
            )

        call.returnType = returnType  # type: ignore[attr-defined]
        call.func = f  # type: ignore[attr-defined]
        return call

    def _call(name: str, columns: tuple[Any, ...]) -> Any:
        first, *others = [column_class.ensure_col(each) for each in columns]
        return column_class.invoke_anonymous_function(first, name, *others)

    def pandas_udf(f: Any = None, returnType: Any = None, functionType: Any = None) -> Any:
        if f is None or isinstance(f, str) or hasattr(f, "simpleString"):
            return functools.partial(pandas_udf, returnType=f if f is not None else returnType)
        pandas: Any = importlib.import_module("pandas")

        @functools.wraps(f)
        def one_by_one(*values: Any) -> Any:
            result = f(*[pandas.Series([each]) for each in values])
            found = result.iloc[0] if hasattr(result, "iloc") else result
            return None if pandas.isna(found) else getattr(found, "item", lambda: found)()

        return udf(one_by_one, returnType)

    def monotonically_increasing_id() -> Any:
        window = exp.Window(this=exp.RowNumber())
        return column_class(exp.cast(exp.Sub(this=window, expression=exp.Literal.number(1)), "bigint"))

    def quarter(col: Any) -> Any:
        return column_class(exp.Quarter(this=column_class.ensure_col(col).column_expression))

    def negate(col: Any) -> Any:
        return -column_class.ensure_col(col)

    def format_number(col: Any, d: int) -> Any:
        pattern = exp.Literal.string("{:,." + str(d) + "f}")
        return column_class(
            exp.Anonymous(this="format", expressions=[pattern, column_class.ensure_col(col).expression])
        )

    def broadcast(df: Any) -> Any:
        return df

    def literal(value: Any) -> Any:
        # In DuckDB 1.5 is a decimal and 1.5e0 a double, which is what a float is in Spark.
        if isinstance(value, float) and math.isfinite(value):
            text = repr(abs(value))
            number = exp.Literal.number(text if "e" in text else f"{text}e0")
            return column_class(exp.Neg(this=number) if value < 0 else number)
        return plain_literal(value)

    def input_file_name() -> Any:
        path = getattr(engine.sql.SparkSession.builder.getOrCreate(), "_last_loaded_file", None) or ""
        return column_class(exp.Literal.string(f"file://{path}"))

    def percentile_approx(col: Any, percentage: Any, accuracy: Any = 10000) -> Any:
        # the one place where DuckDB wants the decimal
        exact = column_class(exp.convert(percentage)) if isinstance(percentage, float) else percentage
        return plain_percentile(col, exact)

    plain_percentile = module.percentile_approx
    plain_literal = column_class._lit
    column_class._lit = staticmethod(literal)
    extra: dict[str, Callable[..., Any]] = {
        "udf": udf,
        "pandas_udf": pandas_udf,
        "monotonically_increasing_id": monotonically_increasing_id,
        "broadcast": broadcast,
        "negate": negate,
        "negative": negate,
        "quarter": quarter,
        "format_number": format_number,
        "input_file_name": input_file_name,
        "percentile_approx": percentile_approx,
        "approx_percentile": percentile_approx,
    }
    for name, function in extra.items():
        setattr(module, name, function)
    _mend_generator(exp)
    registration: Any = importlib.import_module("sqlframe.duckdb.udf").DuckDBUDFRegistration

    def register(self: Any, name: str, f: Any, returnType: Any = None) -> Any:
        plain = getattr(f, "func", f)
        engine.register(name, plain, returnType or getattr(f, "returnType", None) or "string")
        return udf(plain, returnType or getattr(f, "returnType", None) or "string")

    registration.register = register


#: What is an int in Spark and a long (or a float) in DuckDB.
_INTEGERS = """Year Quarter Month Week WeekOfYear Day DayOfMonth DayOfWeek DayOfYear Hour Minute Second
    DateDiff Length ArraySize StrPosition Ascii Levenshtein""".split()  # noqa: SIM905
_RANKS = ("ROWNUMBER", "RANK", "DENSERANK", "NTILE")


def _mend_generator(exp: Any) -> None:
    """Where the DuckDB of sqlglot gives another type than Spark: dates' parts, ranks, floors, parsed
    times.
    """
    duckdb: Any = importlib.import_module("sqlglot.dialects.duckdb").DuckDB
    session: Any = importlib.import_module("sqlframe.duckdb.session")

    def cast(plain: Callable[[Any, Any], str], type_: str) -> Callable[[Any, Any], str]:
        return lambda generator, node: f"CAST({plain(generator, node)} AS {type_})"

    def window(generator: Any, node: Any) -> str:
        plain = str(generator.window_sql(node))
        function = node.this.name if isinstance(node.this, exp.Anonymous) else type(node.this).__name__
        ranks = function.upper().replace("_", "") in _RANKS
        return f"CAST({plain} AS INTEGER)" if ranks else plain

    for dialect in (duckdb, session._DuckDBV2):
        transforms = dialect.Generator.TRANSFORMS
        for each in _INTEGERS:
            node_type = getattr(exp, each)
            transforms[node_type] = cast(_plain(transforms, node_type), "INTEGER")
        for each in ("Floor", "Ceil"):
            transforms[getattr(exp, each)] = cast(_by_name(each.upper()), "BIGINT")
        transforms[exp.StrToTime] = cast(lambda g, node: str(g.strtotime_sql(node)), "TIMESTAMPTZ")
        transforms[exp.Window] = window
        for node_type, type_ in ((exp.IntDiv, "BIGINT"), (exp.Sign, "DOUBLE"), (exp.Extract, "INTEGER")):
            transforms[node_type] = cast(_plain(transforms, node_type), type_)


def _plain(transforms: Any, node_type: Any) -> Callable[[Any, Any], str]:
    if node_type in transforms:
        found: Callable[[Any, Any], str] = transforms[node_type]
        return found

    def generate(generator: Any, node: Any) -> str:
        method = getattr(generator, f"{node.key}_sql", generator.function_fallback_sql)
        return str(method(node))

    return generate


def _by_name(function: str) -> Callable[[Any, Any], str]:
    return lambda generator, node: f"{function}({generator.sql(node, 'this')})"


def _word(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_").lower() or "f"
