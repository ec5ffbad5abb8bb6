"""The walk through the scopes of one qualified query: which base columns does an output column rest on?

sqlglot's own `lineage()` answers for one column at a time and does not tell a filter from a value. Here the
query is qualified once (by `sql`), and one `Resolver` serves every column: each (scope, column) is expanded
once into steps, and an output column is the closure of those steps. So 30 chained CTEs cost 30 expansions,
and a recursive CTE, whose steps form a circle, needs no special end.

Kinds follow OpenLineage: the operand of an aggregate is AGGREGATION, a bare column IDENTITY, everything else
that reaches the value TRANSFORMATION. CASE conditions and window keys steer one column (CONDITIONAL,
WINDOW); WHERE, JOIN, GROUP BY and ORDER BY steer the whole result and are reported by `influences`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from . import clauses
from . import flow as words
from .flow import Column, Kind, Origin

# Table functions that make rows out of nothing stored: reading them is no gap in the lineage.
_GENERATORS = frozenset(
    """generate_series generate_subscripts generateseries exploding_generate_series unnest explode
    posexplode explode_outer posexplode_outer inline stack range sequence json_each jsonb_each
    json_each_text jsonb_each_text json_array_elements jsonb_array_elements json_array_elements_text
    jsonb_array_elements_text json_to_recordset jsonb_to_recordset json_to_record jsonb_to_record
    json_populate_recordset jsonb_populate_recordset json_object_keys jsonb_object_keys
    jsonb_path_query regexp_split_to_table string_to_table regexp_matches split_part json_table
    now""".split()  # noqa: SIM905
)

# Window functions that sqlglot files under aggregates though they hand a value on as it is.
_VALUE_WINDOWS = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)


@dataclass(frozen=True)
class _Leaf:
    """A column of a stored table."""

    table: str
    column: str


@dataclass(frozen=True)
class _Inner:
    """A column of another scope (CTE, subquery, side of a union): its position, or a name behind a star."""

    scope: int
    column: int | str


@dataclass(frozen=True)
class _Gap:
    reason: str


@dataclass(frozen=True)
class _Nothing:
    """A value that rests on no column (`generate_series(1, 10)`)."""


@dataclass(frozen=True)
class _Made:
    """What a function makes of what goes into it."""

    of: tuple[_Source, ...]


_Source = _Leaf | _Inner | _Gap | _Nothing | _Made
_Step = tuple[Kind, _Source]


def table_name(table: exp.Table) -> str:
    """The dotted name of a table. `sql` has already folded schema and table into one identifier."""
    return ".".join(part.name for part in table.parts)


class Resolver:
    """Answers for one root scope. `schema`: table -> column -> type, for `select t` and unexpanded stars."""

    def __init__(self, root: Scope, schema: Mapping[str, Mapping[str, str]]) -> None:
        self._root = root
        self._schema = schema
        self._scopes: dict[int, Scope] = {}
        self._recursive: dict[int, Scope] = {}
        self._steps: dict[tuple[int, int | str], tuple[_Step, ...]] = {}
        self._bound: set[int] = set()  # the variables of lambdas, which look like columns
        for scope in root.traverse():
            self._scopes[id(scope.expression)] = scope
        for scope in self._scopes.values():
            # Inside a recursive CTE sqlglot points the self reference at a copy of the scope of its first
            # branch; the truth is the whole union.
            if scope.set_operation_scopes and scope.is_cte:
                self._recursive[id(scope.expression.this.unnest())] = scope

    # -- what the callers ask

    def output_names(self) -> list[str]:
        return self._names(self._root)

    def unexpanded(self) -> str | None:
        """The reason why the outputs are not all known, if they are not."""
        return "the columns behind * are not known" if self._starred(self._root) else None

    def column(self, position: int) -> Column:
        """One output, by position: two outputs may well have the same name."""
        return self._close([(words.IDENTITY, _Inner(id(self._root.expression), position))])

    def column_named(self, name: str) -> Column:
        """One output that a star may hide."""
        return self._close([(words.IDENTITY, self._ref(self._root, name))])

    def influences(self) -> tuple[frozenset[Origin], str | None]:
        steps: list[_Step] = []
        for scope in self._reached():
            steps.extend(self._steering(scope))
        closed = self._close(steps)
        return closed.origins, closed.doubt

    def reads(self) -> tuple[frozenset[str], list[str]]:
        """The stored tables that the query reads, and why there may be more."""
        tables: set[str] = set()
        doubts: list[str] = []
        for scope in self._reached():
            for name, source in self._sources(scope):
                if not isinstance(source, exp.Table):
                    continue
                if isinstance(source.this, exp.Func):
                    function = clauses.function_name(source.this)
                    if function not in _GENERATORS:
                        doubts.append(f"the function {function}() may read tables of its own")
                elif source.args.get("pivots"):
                    doubts.append(f"the pivot of {name} was not followed")
                    tables.add(table_name(source))
                else:
                    tables.add(table_name(source))
            for lateral in clauses.laterals(scope.expression):
                if clauses.function_name(lateral) not in _GENERATORS:
                    doubts.append(
                        f"the function {clauses.function_name(lateral)}() may read tables of its own"
                    )
        return frozenset(tables), list(dict.fromkeys(doubts))

    # -- closure

    def _close(self, steps: list[_Step]) -> Column:
        origins: set[Origin] = set()
        doubt: str | None = None
        seen: set[_Step] = set()
        todo = list(steps)
        while todo:
            step = todo.pop()
            if step in seen:
                continue
            seen.add(step)
            kind, target = step
            match target:
                case _Leaf(table, column):
                    origins.add(Origin(table, column, kind))
                case _Gap(reason):
                    doubt = doubt or reason
                case _Nothing():
                    pass
                case _Made(of):
                    todo.extend((kind.then(words.TRANSFORMATION), each) for each in of)
                case _Inner(scope, column):
                    todo.extend(
                        (kind.then(inner), t) for inner, t in self._expand(self._scopes[scope], column)
                    )
        return Column(frozenset(origins), doubt)

    def _expand(self, scope: Scope, column: int | str) -> tuple[_Step, ...]:
        key = (id(scope.expression), column)
        if key not in self._steps:
            self._steps[key] = tuple(self._expand_once(scope, column))
        return self._steps[key]

    def _expand_once(self, scope: Scope, column: int | str) -> Iterator[_Step]:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            yield from self._expand_set_operation(scope, column)
        elif isinstance(expression, exp.Select):
            if isinstance(column, int):
                yield from self._values(scope, expression.selects[column], words.IDENTITY)
            else:
                yield from self._expand_star(scope, column)
        elif isinstance(expression, exp.Lateral) and scope.subquery_scopes:
            inner = scope.subquery_scopes[-1]
            if isinstance(column, int) and (
                column < len(self._names(inner)) or isinstance(inner.expression, exp.Values)
            ):
                yield words.IDENTITY, _Inner(id(inner.expression), column)
            else:
                yield words.IDENTITY, self._ref(inner, str(column))
        elif isinstance(expression, exp.UDTF):
            yield from self._expand_rows(scope, expression, column)
        else:
            yield words.IDENTITY, _Gap(f"a {expression.key} was not followed")

    def _expand_rows(self, scope: Scope, rows: exp.UDTF, column: int | str) -> Iterator[_Step]:
        """Rows that are written out or made of columns: VALUES, unnest, functions behind LATERAL."""
        if isinstance(rows, exp.Values):
            for row in rows.expressions:
                items = row.expressions if isinstance(row, exp.Tuple) else [row]
                for item in items[column : column + 1] if isinstance(column, int) else items:
                    yield from self._values(scope, item, words.TRANSFORMATION)
            return
        if isinstance(rows, exp.Unnest):
            number = rows.args.get("offset")  # WITH ORDINALITY
            if column == (number.name if isinstance(number, exp.Expr) else None):
                return
            if isinstance(column, int) and len(rows.expressions) > 1:
                for item in rows.expressions[column : column + 1]:
                    yield from self._values(scope, item, words.TRANSFORMATION)
                return
        for child in rows.iter_expressions():
            if not isinstance(child, exp.TableAlias) and child is not rows.args.get("offset"):
                yield from self._values(scope, child, words.TRANSFORMATION)

    def _expand_set_operation(self, scope: Scope, column: int | str) -> Iterator[_Step]:
        sides = [self._settled(side) for side in scope.set_operation_scopes]
        if not isinstance(scope.expression, exp.Union):
            # EXCEPT and INTERSECT: the right side decides which rows stay, its values never come out.
            sides = sides[:1]
        names = self._names(scope)
        by_name = scope.expression.args.get("by_name")
        for side in sides:
            if isinstance(column, str):
                yield words.IDENTITY, self._ref(side, column)
            elif not by_name:
                in_range = column < len(self._names(side)) and not self._starred(side)
                gap = _Gap(f"column {names[column]} of a set operation was not followed")
                yield words.IDENTITY, _Inner(id(side.expression), column) if in_range else gap
            elif names[column] in self._names(side):
                yield words.IDENTITY, self._ref(side, names[column])

    def _expand_star(self, scope: Scope, name: str) -> Iterator[_Step]:
        """A column that no projection names: it came through a star over unknown columns."""
        if not self._starred(scope):
            yield words.IDENTITY, _Gap(f"column {name} was not found")
            return
        sources = self._sources(scope)
        if len(sources) == 1:
            yield words.IDENTITY, self._through(scope, sources[0][0], name)
            return
        yield words.IDENTITY, _Gap(f"column {name} may come from any of {', '.join(n for n, _ in sources)}")

    # -- one expression

    def _values(  # noqa: PLR0912 - one arm per kind of node
        self, scope: Scope, node: exp.Expr, kind: Kind
    ) -> Iterator[_Step]:
        """Every column that reaches (or steers) the value of `node`, with its kind."""
        match node:
            case exp.Alias() | exp.Paren():
                yield from self._values(scope, node.this, kind)
            case exp.Column():
                if id(node) not in self._bound:
                    yield kind, self._lookup(scope, node)
            case exp.TableColumn():
                yield from self._whole_row(scope, node, kind)
            case exp.Exists():
                return  # only whether there are rows: what decides it is among the influences
            case exp.Subquery() | exp.Select() | exp.SetOperation():
                inner = self._scopes.get(id(node.unnest()))
                if inner is None:
                    yield kind, _Gap("a subquery was not followed")
                else:
                    for position in range(len(self._names(inner))):
                        yield kind, _Inner(id(inner.expression), position)
            case exp.Case():
                yield from self._case(scope, node, kind)
            case exp.Coalesce() if clauses.merged(scope.expression, node):
                for child in clauses.merged(scope.expression, node):
                    yield from self._values(scope, child, kind)
            case exp.Dot() if isinstance(node.this.unnest(), exp.Struct):
                for child in clauses.parts_of(node):
                    yield from self._values(scope, child, kind)
            case exp.PropertyEQ():
                yield from self._values(scope, node.expression, kind)
            case exp.If():
                yield from self._branches(scope, node, kind)
            case exp.Window():
                yield from self._window(scope, node, kind)
            case exp.Filter():
                yield from self._values(scope, node.this, kind)
                yield from self._values(scope, node.expression, kind.then(words.CONDITIONAL))
            case exp.Order():
                if node.this:  # array_agg(a ORDER BY b): the operand sits inside the order
                    yield from self._values(scope, node.this, kind)
                for child in node.expressions:
                    yield from self._values(scope, child, kind.then(words.SORT))
            case exp.Lambda():
                own = {parameter.name for parameter in node.expressions}
                self._bound.update(
                    id(c) for c in node.this.find_all(exp.Column) if not c.table and c.name in own
                )
                yield from self._values(scope, node.this, kind.then(words.TRANSFORMATION))
            case exp.AggFunc():
                handed_on = isinstance(node, _VALUE_WINDOWS)
                inner_kind = kind.then(words.TRANSFORMATION if handed_on else words.AGGREGATION)
                for child in node.iter_expressions():
                    yield from self._values(scope, child, inner_kind)
            case _:
                for child in node.iter_expressions():
                    yield from self._values(scope, child, kind.then(words.TRANSFORMATION))

    def _case(self, scope: Scope, node: exp.Case, kind: Kind) -> Iterator[_Step]:
        if node.this:
            yield from self._values(scope, node.this, kind.then(words.CONDITIONAL))
        for branch in node.args["ifs"]:
            yield from self._branches(scope, branch, kind)
        if default := node.args.get("default"):
            yield from self._values(scope, default, kind.then(words.TRANSFORMATION))

    def _branches(self, scope: Scope, node: exp.If, kind: Kind) -> Iterator[_Step]:
        yield from self._values(scope, node.this, kind.then(words.CONDITIONAL))
        for key in ("true", "false"):
            if branch := node.args.get(key):
                yield from self._values(scope, branch, kind.then(words.TRANSFORMATION))

    def _window(self, scope: Scope, node: exp.Window, kind: Kind) -> Iterator[_Step]:
        yield from self._values(scope, node.this, kind)
        steer = kind.then(words.WINDOW)
        for window in (node, *clauses.named_windows(scope.expression, node)):
            for part in window.args.get("partition_by") or []:
                yield from self._values(scope, part, steer)
            if order := window.args.get("order"):
                for child in order.expressions:
                    yield from self._values(scope, child, steer)

    def _whole_row(self, scope: Scope, node: exp.TableColumn, kind: Kind) -> Iterator[_Step]:
        for name, source in self._sources(scope):
            if name != node.name:
                continue
            inner = words.TRANSFORMATION
            if isinstance(source, Scope):
                yield from (
                    (kind.then(inner), self._ref(self._settled(source), c))
                    for c in self._names(self._settled(source))
                )
            elif columns := self._schema.get(table_name(source)):
                yield from ((kind.then(inner), _Leaf(table_name(source), column)) for column in columns)
            else:
                yield kind, _Gap(f"the columns of {name} are not known")
            return
        yield kind, _Gap(f"{node.name} was not found")

    def _lookup(self, scope: Scope, column: exp.Column) -> _Source:
        if column.is_star:
            return _Gap("the columns behind * are not known")
        if not column.table:
            sources = self._sources(scope)
            # FROM jsonb_array_elements(…) AS x: x is its one column, too
            named = scope.sources.get(column.name)
            if isinstance(named, exp.Table) and isinstance(named.this, exp.Func):
                return self._function_column(scope, named)
            can = [n for n, source in sources if len(sources) == 1 or self._may_have(source, column.name)]
            if len(can) == 1:
                return self._through(scope, can[0], column.name)
            names = ", ".join(sorted(name for name, _ in sources))
            return _Gap(
                f"column {column.name} may come from any of {names}" if names else f"column {column.name} ?"
            )
        at: Scope | None = scope
        while at is not None:
            if column.table in at.sources:
                return self._through(at, column.table, column.name)
            at = at.parent
        return _Gap(f"{column.table}.{column.name} was not found")

    def _may_have(self, source: exp.Table | Scope, column: str) -> bool:
        """False where the columns of a source are all known and this is none of them."""
        if isinstance(source, Scope):
            settled = self._settled(source)
            names = self._names(settled)
            return column in names or not names or self._starred(settled)
        columns = self._schema.get(table_name(source)) if not isinstance(source.this, exp.Func) else None
        return columns is None or not columns or column in columns

    def _through(self, scope: Scope, source_name: str, column: str) -> _Source:
        source = scope.sources[source_name]
        if isinstance(source, Scope):
            return self._ref(self._settled(source), column)
        if isinstance(source.this, exp.Func):
            return self._function_column(scope, source)
        if source.args.get("pivots"):
            return _Gap(f"the pivot of {source_name} was not followed")
        return _Leaf(table_name(source), column)

    def _function_column(self, scope: Scope, source: exp.Table) -> _Source:
        """What goes into a function may come out of it. That it may read more is a doubt of the flow."""
        columns = [c for c in source.this.find_all(exp.Column) if not isinstance(c.this, exp.Star)]
        if not columns:
            function = clauses.function_name(source.this)
            return (
                _Nothing()
                if function in _GENERATORS
                else _Gap(f"the result of {function}() was not followed")
            )
        return _Made(tuple(self._lookup(scope, column) for column in columns))

    # -- the whole result

    def _steering(self, scope: Scope) -> Iterator[_Step]:
        """The columns of WHERE, JOIN, GROUP BY, HAVING, QUALIFY, ORDER BY of one scope."""
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            if not isinstance(expression, exp.Union):
                right = self._settled(scope.set_operation_scopes[1])
                yield from (
                    (words.FILTER, _Inner(id(right.expression), i)) for i in range(len(self._names(right)))
                )
        elif not isinstance(expression, exp.Select):
            return
        for key, kind in (("where", words.FILTER), ("having", words.FILTER), ("qualify", words.FILTER)):
            if clause := expression.args.get(key):
                yield from self._values(scope, clause.this, kind)
        for join in clauses.joins(expression):
            if on := join.args.get("on"):
                yield from self._values(scope, on, words.JOIN)
            for using in join.args.get("using") or []:
                # Only left when the columns of a side are not known: then the name is on both sides.
                yield from (
                    (words.JOIN, self._through(scope, n, using.name)) for n, _ in self._sources(scope)
                )
        if group := expression.args.get("group"):
            for child in group.iter_expressions():
                yield from self._values(scope, child, words.GROUP_BY)
        distinct = expression.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
            yield from self._values(scope, distinct.args["on"], words.GROUP_BY)
        if order := expression.args.get("order"):
            yield from self._order(scope, order)

    def _order(self, scope: Scope, order: exp.Expr) -> Iterator[_Step]:
        for child in order.expressions:
            name = child.this.name if isinstance(child.this, exp.Column) and not child.this.table else None
            if name and name in self._names(scope):
                yield words.SORT, self._ref(scope, name)
            else:
                yield from self._values(scope, child, words.SORT)

    # -- scopes

    def _reached(self) -> list[Scope]:
        """The scopes that the root really uses (a CTE that nobody names is never run)."""
        reached: dict[int, Scope] = {}
        todo = [self._root]
        while todo:
            scope = todo.pop()
            if id(scope.expression) in reached:
                continue
            reached[id(scope.expression)] = scope
            todo.extend(self._settled(s) for s in scope.set_operation_scopes)
            todo.extend(scope.subquery_scopes)
            todo.extend(self._settled(s) for _, s in self._sources(scope) if isinstance(s, Scope))
        return list(reached.values())

    def _settled(self, scope: Scope) -> Scope:
        key = id(scope.expression)
        if key in self._recursive and self._scopes.get(key) is not scope:
            return self._recursive[key]
        return self._scopes.get(key, scope)

    def _sources(self, scope: Scope) -> list[tuple[str, exp.Table | Scope]]:
        if isinstance(scope.expression, exp.SetOperation):
            return []
        if isinstance(scope.expression, exp.UDTF):
            return [
                (n, s)
                for n, s in scope.sources.items()
                if isinstance(s, Scope) and s in scope.subquery_scopes
            ]
        return [(name, scope.sources[name]) for name, _ in scope.references if name in scope.sources]

    def _ref(self, scope: Scope, column: str) -> _Inner:
        names = self._names(scope)
        return _Inner(id(scope.expression), names.index(column) if column in names else column)

    def _starred(self, scope: Scope) -> bool:
        return any(select.is_star for select in clauses.selects(scope.expression))

    def _names(self, scope: Scope) -> list[str]:
        if isinstance(scope.expression, exp.UDTF):
            return list(scope.expression.alias_column_names)
        names = [select.alias_or_name for select in clauses.selects(scope.expression)]
        outer = scope.outer_columns
        return [*outer, *names[len(outer) :]] if outer else names
