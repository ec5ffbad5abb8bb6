"""What a SELECT of sqlglot's is made of: its joins, the windows it names, merged columns, functions."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

#: The mark of a COALESCE that somebody wrote. One without it is sqlglot's word for the merged column of a
#: join by USING.
WRITTEN = "written"


def joins(node: exp.Expr) -> Iterator[exp.Join]:
    """The joins of a FROM, those in parentheses and those that hang on one of its tables included."""
    from_ = node.args.get("from_")
    if from_ is not None:
        yield from joins(from_.this)
    if isinstance(node, exp.Paren | exp.Subquery) and isinstance(node.this, exp.Table | exp.Subquery):
        yield from joins(node.this)
    for join in node.args.get("joins") or []:
        yield join
        yield from joins(join.this)


def named_windows(select: exp.Expr, window: exp.Window) -> Iterator[exp.Window]:
    """The windows that one builds on, by name: OVER w2, WINDOW w2 AS (w1 …), w1 AS (…)."""
    known = {w.name: w for w in select.args.get("windows") or []}
    base = known.pop(window.alias, None)
    while base is not None:
        yield base
        base = known.pop(base.alias, None)


def merged(select: exp.Expr, coalesce: exp.Coalesce) -> list[exp.Expr]:
    """Whose value the merged column of a join by USING is: the left side's, of a RIGHT JOIN the right's, of a
    FULL JOIN both. None for a COALESCE that was written.
    """
    if coalesce.meta.get(WRITTEN):
        return []
    sides = [coalesce.this, *coalesce.expressions]
    if not all(isinstance(side, exp.Column) and side.table for side in sides):
        return []
    kinds = {join.alias_or_name: join.side.upper() for join in select.args.get("joins") or []}
    chosen = sides[:1]
    for side in sides[1:]:
        match kinds.get(side.table, ""):
            case "RIGHT":
                chosen = [side]
            case "FULL":
                chosen.append(side)
    return chosen


def selects(expression: exp.Expr) -> list[exp.Expr]:
    return list(expression.selects) if isinstance(expression, exp.Query) else []


def function_name(function: exp.Expr) -> str:
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()  # type: ignore[attr-defined]
    return str(name).lower()


def laterals(select: exp.Expr) -> Iterator[exp.Expr]:
    """The functions that are called behind LATERAL."""
    if isinstance(select, exp.Select):
        for lateral in select.find_all(exp.Lateral):
            called = lateral.this.expression if isinstance(lateral.this, exp.Dot) else lateral.this
            if isinstance(called, exp.Func):
                yield called


def parts_of(access: exp.Dot) -> list[exp.Expr]:
    """STRUCT(a, b).a takes one part of what it has just put together."""
    parts = access.this.unnest().expressions
    named = [p for p in parts if isinstance(p, exp.PropertyEQ | exp.Alias)]
    return [p for p in named if p.alias_or_name == access.expression.name] or list(parts)
