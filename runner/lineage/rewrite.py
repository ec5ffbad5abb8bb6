"""A statement that writes -> the SELECT whose outputs are the written values.

`plan(statement)` gives one `Plan` per write of the statement, or None for a statement through which no data
flows (DDL without a query, grants, settings). Plans name the written columns by position; a column may be
named twice (MERGE writes it in several branches): its origins are then joined.

Argument names are those of sqlglot 30 (`with_`, `from_`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from .columns import table_name

#: The mark of a table that its name puts into the session's own schema.
TEMPORARY = "temporary"


@dataclass(frozen=True)
class Plan:
    """One write. `columns` None = the target takes the outputs in its own order, whose names are not known.

    `reads_target`: the statement changes rows in place, so the target is a source of itself.
    `replaces`: what the target held before is gone.
    """

    operation: str
    target: str
    select: exp.Query | None
    columns: list[str] | None
    replaces: bool = False
    reads_target: bool = False
    temporary: bool = False
    doubts: tuple[str, ...] = ()


class NotFollowed(Exception):
    """This statement may move data and cannot be followed; the message says why."""


def plan(  # noqa: PLR0911 - one arm per statement
    statement: exp.Expr, schema: Mapping[str, Mapping[str, str]]
) -> Plan | None:
    """The one write of a statement. Raises NotFollowed."""
    match statement:
        case exp.Insert():
            return _insert(statement, schema)
        case exp.Create() if statement.kind in ("TABLE", "VIEW") and statement.expression is not None:
            return _create(statement)
        case exp.Update():
            return _update(statement)
        case exp.Merge():
            return _merge(statement, schema)
        case exp.Delete():
            return _delete(statement)
        case exp.Copy():
            return _copy(statement)
    return None


def upsert(statement: exp.Insert, schema: Mapping[str, Mapping[str, str]]) -> Plan | None:
    """The second write of INSERT … ON CONFLICT DO UPDATE SET: values that rest on `excluded` and on the old
    row.
    """
    conflict = statement.args.get("conflict")
    if conflict is None or not conflict.expressions:
        return None
    first = _insert(statement, schema)
    query = first.select
    if isinstance(statement.expression, exp.Values):
        query = values_as_select(statement.expression)
    if query is None:
        return None
    names = first.columns or list(schema.get(first.target, {}))
    query = query.copy()
    with_ = query.args.get("with_")
    query.set("with_", None)
    source = exp.Subquery(
        this=query,
        alias=exp.TableAlias(
            this=exp.to_identifier("excluded"), columns=[exp.to_identifier(name) for name in names]
        ),
    )
    columns, values = _assignments(conflict.expressions)
    select = _select(values, statement_target(statement).copy(), source)
    if condition := conflict.args.get("where"):
        select.set("where", condition.copy())
    if with_:
        select.set("with_", with_.copy())
    return Plan("UPSERT", first.target, select, columns, reads_target=True)


def truncate(statement: exp.TruncateTable) -> list[Plan]:
    return [Plan("TRUNCATE", table_name(each), None, [], replaces=True) for each in statement.expressions]


def statement_target(statement: exp.Expr) -> exp.Table:
    """The table that a statement writes. Raises NotFollowed."""
    target = statement.this
    if isinstance(target, exp.Schema):
        target = target.this
    if not isinstance(target, exp.Table):
        raise NotFollowed(f"the target of {statement.key.upper()} is not a table")
    return target


def mere_calls(query: exp.Expr) -> list[str]:
    """`select ops.reload()`, for which nothing is read: a doubt for each function that is called so."""
    if not isinstance(query, exp.Select) or query.args.get("from_"):
        return []
    called = [f for f in query.find_all(exp.Anonymous) if isinstance(f.parent, exp.Dot)]
    return [f"{f.name}() may do anything" for f in called]


def is_temporary(statement: exp.Expr) -> bool:
    """CREATE TEMPORARY …, or CREATE … pg_temp.t."""
    named = (statement.this, statement.this.this) if isinstance(statement, exp.Create) else ()
    if any(each.meta.get(TEMPORARY) for each in named if each):
        return True
    properties = statement.args.get("properties")
    return bool(properties and properties.find(exp.TemporaryProperty))


def values_as_select(values: exp.Values) -> exp.Query:
    """VALUES rows as selects, so that subqueries inside them are seen."""
    rows: list[exp.Query] = []
    for row in values.expressions:
        items = row.expressions if isinstance(row, exp.Tuple) else [row]
        named = [exp.alias_(item.copy(), f"_{i}", quoted=False) for i, item in enumerate(items)]
        rows.append(exp.Select(expressions=named))
    query = rows[0]
    for row_query in rows[1:]:
        query = exp.Union(this=query, expression=row_query, distinct=False)
    return query


# -- the statements


def _insert(statement: exp.Insert, schema: Mapping[str, Mapping[str, str]]) -> Plan:
    if isinstance(statement.this, exp.Directory):
        target, columns = f"file:{statement.this.name}", None
    else:
        table = statement_target(statement)
        target = table_name(table)
        columns = _column_list(statement.this)
        if columns is None and not statement.args.get("by_name"):
            columns = list(schema.get(target, {})) or None
    query = statement.expression
    if isinstance(query, exp.Table):  # INSERT INTO a TABLE b
        query = exp.select("*").from_(query.copy())
    if isinstance(query, exp.Values):
        if query.find(exp.Select) is None:
            return Plan("INSERT", target, None, columns or [])
        query = values_as_select(query)
    if query is None:  # DEFAULT VALUES
        return Plan("INSERT", target, None, [])
    query = _query(query)
    if with_ := statement.args.get("with_"):
        _push_with(query, with_)
    # BY NAME takes the names of the outputs, which is what columns=None means
    return Plan("INSERT", target, query, columns, replaces=bool(statement.args.get("overwrite")))


def _create(statement: exp.Create) -> Plan:
    source = statement.expression
    if isinstance(source, exp.Table):  # CREATE TABLE a AS TABLE b
        source = exp.select("*").from_(source.copy())
    elif isinstance(source, exp.Values):
        source = values_as_select(source)
    query = _query(source)
    if with_ := statement.args.get("with_"):
        _push_with(query, with_)
    return Plan(
        "CREATE_VIEW" if statement.kind == "VIEW" else "CREATE_TABLE",
        table_name(statement_target(statement)),
        query,
        _column_list(statement.this),
        replaces=True,
        temporary=is_temporary(statement),
    )


def _update(statement: exp.Update) -> Plan:
    target = statement_target(statement)
    columns, values = _assignments(statement.expressions)
    sources: list[exp.Expr] = []
    joins: list[exp.Expr] = [join.copy() for join in target.args.get("joins") or []]
    if from_ := statement.args.get("from_"):
        sources.append(from_.this.copy())
    bare = target.copy()
    bare.set("joins", None)
    select = _select(values, bare, *sources)
    for join in joins:
        select.append("joins", join)
    if where := statement.args.get("where"):
        select.set("where", where.copy())
    if with_ := statement.args.get("with_"):
        select.set("with_", with_.copy())
    return Plan("UPDATE", table_name(target), select, columns, reads_target=True)


def _delete(statement: exp.Delete) -> Plan:
    target = statement_target(statement)
    using = [source.copy() for source in statement.args.get("using") or []]
    select = _select([exp.Literal.number(1)], target.copy(), *using)
    if where := statement.args.get("where"):
        select.set("where", where.copy())
    if with_ := statement.args.get("with_"):
        select.set("with_", with_.copy())
    return Plan("DELETE", table_name(target), select, [], reads_target=True)


def _merge(statement: exp.Merge, schema: Mapping[str, Mapping[str, str]]) -> Plan:
    target = statement_target(statement)
    source = statement.args["using"].copy()
    columns: list[str] = []
    values: list[exp.Expr] = []
    conditions: list[exp.Expr] = []
    doubts: list[str] = []
    for when in statement.args["whens"].expressions:
        if condition := when.args.get("condition"):
            conditions.append(condition.copy())
        then = when.args["then"]
        if isinstance(then, exp.Update):
            if _is_all(then.expressions):
                _merge_all(source, schema, columns, values, doubts)
                continue
            names, new = _assignments(then.expressions)
        elif isinstance(then, exp.Insert):
            if isinstance(then.this, exp.Star) or then.expression is None:
                if not isinstance(then.this, exp.Tuple):  # INSERT DEFAULT VALUES reads as a tuple
                    _merge_all(source, schema, columns, values, doubts)
                continue
            given = then.this.expressions if isinstance(then.this, exp.Tuple) else []
            new = [value.copy() for value in then.expression.expressions]
            names = [column.name for column in given] or list(schema.get(table_name(target), {}))
            if len(names) != len(new):
                doubts.append("the columns of MERGE … INSERT are not known")
                names = names[: len(new)]
        else:
            continue  # DELETE, DO NOTHING
        columns += names
        values += new[: len(names)]
    on = statement.args["on"].copy()
    select = exp.Select(
        expressions=[exp.alias_(value, f"_{i}", quoted=False) for i, value in enumerate(values)]
        or [exp.Literal.number(1)],
        from_=exp.From(this=target.copy()),
        joins=[exp.Join(this=source, on=on, kind="INNER")],
    )
    if conditions:
        select.set("where", exp.Where(this=exp.and_(*conditions)))
    if with_ := statement.args.get("with_"):
        select.set("with_", with_.copy())
    return Plan("MERGE", table_name(target), select, columns, reads_target=True, doubts=tuple(doubts))


def _merge_all(
    source: exp.Expr,
    schema: Mapping[str, Mapping[str, str]],
    columns: list[str],
    values: list[exp.Expr],
    doubts: list[str],
) -> None:
    """UPDATE SET * and INSERT *: every column of the source by its own name."""
    if isinstance(source, exp.Table):
        names = list(schema.get(table_name(source), {}))
    else:
        names = source.named_selects if isinstance(source, exp.Query) else []
    if not names or "*" in names:
        doubts.append("the columns behind * are not known")
        return
    columns += names
    values += [exp.column(name, table=source.alias_or_name, quoted=True) for name in names]


def _copy(statement: exp.Copy) -> Plan:
    files = [file.name for file in statement.args.get("files") or []]
    if len(files) != 1:
        raise NotFollowed("COPY without one file")
    outside = f"file:{files[0]}"
    inside = statement.this
    writes_table = bool(statement.args.get("kind"))  # True: COPY … FROM
    if isinstance(inside, exp.Schema):
        columns = _column_list(inside)
        inside = inside.this
    else:
        columns = None
    if writes_table:
        if not isinstance(inside, exp.Table):
            raise NotFollowed("COPY into something that is not a table")
        query = exp.select("*").from_(exp.to_table("_file", quoted=True))
        doubt = ("the columns of a copied file are not known",)
        return Plan("COPY", table_name(inside), _with_source(query, outside), columns or [], doubts=doubt)
    if isinstance(inside, exp.Table):
        chosen = [exp.column(name, quoted=True) for name in columns] if columns else [exp.Star()]
        inside = exp.Select(expressions=chosen, from_=exp.From(this=inside.copy()))
    return Plan("COPY", outside, _query(inside), None, replaces=True)


def _with_source(query: exp.Query, name: str) -> exp.Query:
    query.find(exp.Table).set("this", exp.to_identifier(name, quoted=True))  # type: ignore[union-attr]
    return query


# -- pieces


def _query(node: exp.Expr) -> exp.Query:
    inner = node.unnest() if isinstance(node, exp.Subquery) and not node.alias else node
    if not isinstance(inner, exp.Query):
        raise NotFollowed(f"a {node.key} where a query was expected")
    query: exp.Query = inner.copy()
    return query


def _column_list(node: exp.Expr) -> list[str] | None:
    if not isinstance(node, exp.Schema):
        return None
    names = [column.name for column in node.expressions if isinstance(column, exp.Identifier | exp.ColumnDef)]
    return names or None


def _assignments(equations: list[exp.Expr]) -> tuple[list[str], list[exp.Expr]]:
    """SET a = x, (b, c) = (y, z), (d, e) = (SELECT …) -> columns and their values, side by side."""
    columns: list[str] = []
    values: list[exp.Expr] = []
    for equation in equations:
        if not isinstance(equation, exp.EQ):
            raise NotFollowed("an assignment that is not column = value")
        left, right = equation.this, equation.expression
        targets = left.expressions if isinstance(left, exp.Tuple) else [left.unnest()]
        columns += [_written(target) for target in targets]
        if len(targets) == 1:
            values.append(_value(right))
        elif isinstance(right, exp.Tuple) or _is_row(right):
            values += [_value(value) for value in right.expressions]
        elif isinstance(right, exp.Subquery) and isinstance(right.this, exp.Select):
            for i in range(len(targets)):
                one = right.copy()
                one.this.set("expressions", [right.this.expressions[i].copy()])
                values.append(one)
        else:
            raise NotFollowed("an assignment to several columns that is neither a row nor a subquery")
    if len(columns) != len(values):
        raise NotFollowed("an assignment with more columns than values")
    return columns, values


def _is_row(value: exp.Expr) -> bool:
    return isinstance(value, exp.Anonymous) and value.name.lower() == "row"


def _written(target: exp.Expr) -> str:
    """`items[1]` and `address.street` write into the column that they begin with."""
    while isinstance(target, exp.Bracket | exp.Dot | exp.Paren):
        target = target.this
    if isinstance(target, exp.Column) and target.table and isinstance(target.parent, exp.Dot):
        return str(target.parts[0].name)
    return str(target.name)


def _value(value: exp.Expr) -> exp.Expr:
    """DEFAULT is no column of that name."""
    bare = isinstance(value, exp.Column) and not value.table and not value.this.args.get("quoted")
    return exp.Null() if bare and value.name.lower() == "default" else value.copy()


def _select(values: list[exp.Expr], *sources: exp.Expr) -> exp.Select:
    """SELECT values FROM the first source CROSS JOIN the others (each may bring joins of its own)."""
    first, *others = sources
    return exp.Select(
        expressions=[exp.alias_(value.copy(), f"_{i}", quoted=False) for i, value in enumerate(values)],
        from_=exp.From(this=first),
        joins=[exp.Join(this=source, kind="CROSS") for source in others],
    )


def _push_with(query: exp.Query, with_: exp.Expr) -> None:
    """The statement's WITH in front of the query's own: sqlglot traces SELECTs only."""
    own = query.args.get("with_")
    merged = with_.copy()
    if own:
        merged.set("expressions", [*merged.expressions, *own.expressions])
        if own.args.get("recursive"):
            merged.set("recursive", True)
    query.set("with_", merged)
    # a CTE named twice: the inner one hides the outer one
    seen = [cte.alias for cte in merged.expressions]
    if len(set(seen)) < len(seen):
        kept = [cte for i, cte in enumerate(merged.expressions) if cte.alias not in seen[i + 1 :]]
        merged.set("expressions", kept)


def _is_all(expressions: list[exp.Expr]) -> bool:
    return not expressions or any(isinstance(e, exp.Star) for e in expressions)
