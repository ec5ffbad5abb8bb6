"""One pass over a script: every statement -> a flow, with the books (schema, temporary tables) kept in
between.

The working half of `sql`, apart so that sqlglot is loaded only when something is traced.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError, TokenError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from . import rewrite, wording
from .clauses import WRITTEN
from .columns import Resolver, table_name
from .flow import IDENTITY, Column, Flow, Ledger, Origin
from .rewrite import NotFollowed, Plan

Schema = Mapping[str, Mapping[str, str]]

#: Characters. Parsing costs about a second per 100,000; what is longer is reported as not followed.
MAX_STATEMENT = 200_000
MAX_SCRIPT = 1_000_000

# Statements without data flow, by sqlglot's node name or by their first word where sqlglot keeps only the
# text.
_QUIET = frozenset(
    """alter alterschema analyze attach cache command comment commit create describe detach drop grant
    kill pragma revoke rollback set show transaction uncache use""".split()  # noqa: SIM905
)
_QUIET_COMMANDS = frozenset(
    """alter analyze begin checkpoint close cluster comment create deallocate declare discard drop
    explain fetch grant import listen load lock move notify prepare reassign refresh reindex release
    reset revoke savepoint security set show start unlisten vacuum""".split()  # noqa: SIM905
)

_NEW_SCHEMA = re.compile(
    r"alter\s+(?:table|view|materialized\s+view)\s+(?:if\s+exists\s+)?(?P<table>[\w.]+)\s+set\s+schema\s+(?P<schema>\w+)\s*$",
    re.IGNORECASE,
)
#: What was kept as text though a query may hide in it: CREATE TABLE … AS and views, and rules.
_HIDDEN_QUERY = re.compile(
    r"create\s+((or\s+replace|global|local|temp(orary)?|unlogged|materialized|recursive)\s+)*(table|view|rule)\b.*\b(as|do)\b",
    re.IGNORECASE | re.DOTALL,
)


def statements(script: str, dialect: str = "postgres") -> Iterator[str]:
    """The script cut at its semicolons (not at those in strings, comments or dollar quotes)."""
    if len(script) > MAX_SCRIPT:
        yield script
        return

    try:
        tokens = sqlglot.Dialect.get_or_raise(dialect).tokenize(script)
    except TokenError:
        yield script
        return
    start: int | None = None
    for token in tokens:
        if token.token_type.name == "SEMICOLON":
            if start is not None:
                yield script[start : token.start]
            start = None
        elif start is None:
            start = token.start
    if start is not None:
        yield script[start:]


class Script:
    """One pass over a script: what has been created so far, which tables are temporary, the flows."""

    def __init__(self, schema: Schema, dialect: str, default_schema: str | None) -> None:
        self._schema: dict[str, dict[str, str]] = {name: dict(columns) for name, columns in schema.items()}
        self._dialect = dialect
        self._default_schema = default_schema
        self._temporary: set[str] = set()
        self.ledger = Ledger(lambda name: name in self._temporary)

    def read(self, text: str) -> None:
        """Follow one statement. Never raises: what goes wrong becomes a flow with a doubt."""
        if len(text) > MAX_STATEMENT:
            self._give_up(f"a statement of {len(text)} characters is too long to follow")
            return
        try:
            self._statement(self._parse(text))
        except NotFollowed as error:
            self._give_up(str(error))
        except SqlglotError as error:
            self._give_up(f"not understood: {str(error).splitlines()[0][:200]}")
        except RecursionError:
            self._give_up("a statement is nested too deeply to follow")
        except Exception as error:  # a parser meets everything; lineage must never cost the caller the run
            self._give_up(f"not followed: {type(error).__name__}: {str(error)[:200]}")

    def _give_up(self, reason: str) -> None:
        self.ledger.record(Flow(None, "UNKNOWN", doubts=(reason,)))

    def _parse(self, text: str) -> exp.Expr:

        # sqlglot warns about everything that it keeps as plain text; here that becomes a doubt of the flow.
        logging.getLogger("sqlglot").setLevel(logging.ERROR)
        said = wording.understood(text, self._dialect)
        statement = normalize_identifiers(sqlglot.parse_one(said, read=self._dialect), dialect=self._dialect)
        for coalesce in statement.find_all(exp.Coalesce):
            coalesce.meta[WRITTEN] = True  # sqlglot says coalesce for the merged column of USING as well
        self._place(statement)
        return statement

    def _place(self, statement: exp.Expr) -> None:
        """Every table under one identifier: `a.b as x` becomes `"a.b" as x`, a bare name goes into the
        default schema.

        Then the schema has one depth for sqlglot, whatever mixture of names a script uses.
        """

        for table in list(statement.find_all(exp.Table)):
            if not isinstance(table.this, exp.Identifier) or _is_cte(table):
                continue
            if table.db == "pg_temp":
                table.set("db", None)
                table.meta[rewrite.TEMPORARY] = True
            name, bare = table_name(table), table.name
            if (
                not table.db
                and name not in self._temporary
                and self._default_schema
                and not table.meta.get(rewrite.TEMPORARY)
                and not _makes_temporary(table)
            ):
                name = f"{self._default_schema}.{bare}"
            if name != bare:
                if not table.alias:
                    table.set("alias", exp.TableAlias(this=exp.to_identifier(bare, quoted=True)))
                table.set("db", None)
                table.set("catalog", None)
                table.set("this", exp.to_identifier(name, quoted=True))
        for column in statement.find_all(exp.Column):
            column.set("db", None)
            column.set("catalog", None)

    # -- statements

    def _statement(self, statement: exp.Expr) -> None:

        self._data_modifying_ctes(statement)
        if isinstance(statement, exp.Query):
            into = statement.args.get("into")
            if into is not None:
                statement.set("into", None)
                temporary = bool(into.args.get("temporary"))
                self._write(
                    rewrite.Plan(
                        "CREATE_TABLE", table_name(into.this), statement, None, True, False, temporary
                    )
                )
            else:
                flow = self._follow(statement, None, "QUERY", None)
                called = rewrite.mere_calls(statement)
                self.ledger.record(replace(flow, doubts=(*flow.doubts, *called)))
            return
        if isinstance(statement, exp.TruncateTable):
            for emptied in rewrite.truncate(statement):
                self._write(emptied)
            return
        plan = rewrite.plan(statement, self._schema)
        if plan is not None:
            self._write(plan)
            if isinstance(statement, exp.Insert) and (second := rewrite.upsert(statement, self._schema)):
                self._write(second)
            return
        self._quiet(statement)

    def _write(self, plan: Plan) -> None:
        if plan.temporary:
            self._temporary.add(plan.target)
        if plan.select is None:
            flow = Flow(plan.target, plan.operation, columns={name: Column() for name in plan.columns or []})
        else:
            flow = self._follow(plan.select, plan.target, plan.operation, plan.columns)
        reads = flow.reads | {plan.target} if plan.reads_target else flow.reads
        if plan.operation == "COPY" and plan.columns and not flow.columns:
            flow = replace(flow, columns={name: Column() for name in plan.columns})
        flow = replace(flow, reads=reads, doubts=(*plan.doubts, *flow.doubts))
        self.ledger.record(flow, replaces=plan.replaces)
        if plan.operation in ("CREATE_TABLE", "CREATE_VIEW") and not flow.doubts:
            self._schema[plan.target] = {name: flow.types.get(name, "unknown") for name in flow.columns}

    def _data_modifying_ctes(self, statement: exp.Expr) -> None:
        """WITH gone AS (DELETE … RETURNING …): note the write, then let the CTE read what it returned."""
        with_ = statement.args.get("with_")
        earlier: list[exp.Expr] = []
        for cte in with_.expressions if with_ else []:
            inner = cte.this
            if isinstance(inner, exp.DML) and not isinstance(inner, exp.Query):
                if earlier and not inner.args.get("with_"):
                    inner.set("with_", exp.With(expressions=[e.copy() for e in earlier]))
                plan = rewrite.plan(inner, self._schema)
                if plan is not None:
                    self._write(plan)
                returning = inner.args.get("returning")
                target = rewrite.statement_target(inner).copy()
                values = [e.copy() for e in returning.expressions] if returning else [exp.Literal.number(1)]
                cte.set("this", exp.Select(expressions=values, from_=exp.From(this=target)))
            earlier.append(cte)

    def _quiet(self, statement: exp.Expr) -> None:
        """A statement without a query of its own: keep the books, or say that it was not followed."""
        if isinstance(statement, exp.Command):
            text = f"{statement.this} {statement.expression or ''}"
            word = text.split(None, 1)[0].lower()
            if moved := _NEW_SCHEMA.match(text):
                self._renamed(moved["table"], f"{moved['schema']}.{moved['table'].rsplit('.', 1)[-1]}")
            elif word not in _QUIET_COMMANDS:
                self._give_up(f"{word.upper()} may move data and was not followed")
            elif _HIDDEN_QUERY.match(text):
                self._give_up(f"{' '.join(text.split()[:3])} … was not understood")
        elif isinstance(statement, exp.Create) and statement.kind == "TABLE":
            target = table_name(rewrite.statement_target(statement))
            if rewrite.is_temporary(statement):
                self._temporary.add(target)
                self.ledger.forget(target)
            if isinstance(statement.this, exp.Schema):
                self._schema[target] = self._defined(statement.this.expressions)
        elif isinstance(statement, exp.Drop):
            name = table_name(statement.this) if isinstance(statement.this, exp.Table) else ""
            self.ledger.forget(name)
            self._temporary.discard(name)
            self._schema.pop(name, None)
        elif isinstance(statement, exp.Alter):
            self._alter(statement)
        elif statement.key not in _QUIET:
            self._give_up(f"{statement.key.upper()} was not followed")

    def _defined(self, items: list[exp.Expr]) -> dict[str, str]:
        """The columns of CREATE TABLE (…), those of LIKE included."""
        columns: dict[str, str] = {}
        for item in items:
            if isinstance(item, exp.ColumnDef):
                columns[item.name] = item.kind.sql(self._dialect) if item.kind else "unknown"
            elif isinstance(item, exp.LikeProperty) and isinstance(item.this, exp.Table):
                columns.update(self._schema.get(table_name(item.this), {}))
        return columns

    def _alter(self, statement: exp.Alter) -> None:
        """ALTER TABLE a RENAME TO b hands the whole table on; columns come, go and are renamed."""
        if not isinstance(statement.this, exp.Table):
            return
        table = table_name(statement.this)
        columns = self._schema.get(table, {})
        for action in statement.args.get("actions") or []:
            match action:
                case exp.AlterRename():
                    new = table_name(action.this)
                    if "." in table and "." not in new:  # it stays in its schema
                        new = f"{table.rsplit('.', 1)[0]}.{new}"
                    self._renamed(table, new)
                case exp.RenameColumn():
                    new, old = action.args["to"].name, action.this.name
                    self._schema[table] = {new if c == old else c: type_ for c, type_ in columns.items()}
                    self.ledger.rename_column(table, old, new)
                case exp.ColumnDef() if columns:
                    columns[action.name] = action.kind.sql(self._dialect) if action.kind else "unknown"
                case exp.Drop():
                    for column in action.args.get("tables") or []:
                        columns.pop(column.name, None)

    def _renamed(self, old: str, new: str) -> None:
        columns = self._schema.pop(old, {})
        self._schema[new] = columns
        if old in self._temporary:
            self._temporary.add(new)
            self.ledger.rename(old, new)
            self._temporary.discard(old)
            return
        self.ledger.record(
            Flow(
                new,
                "RENAME",
                frozenset({old}),
                {c: Column(frozenset({Origin(old, c, IDENTITY)})) for c in columns},
                doubts=() if columns else (f"the columns of {old} are not known",),
            )
        )

    # -- one query

    def _follow(
        self, select: exp.Expr, target: str | None, operation: str, columns: list[str] | None
    ) -> Flow:
        """The flow of one SELECT; its outputs are written to `columns` by position."""
        if isinstance(select, exp.Values):
            select = rewrite.values_as_select(select)
        qualified = qualify(
            select.unnest(),
            schema={name: dict(columns) for name, columns in self._schema.items() if columns},
            dialect=self._dialect,
            allow_partial_qualification=True,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
        scope = build_scope(qualified)
        if scope is None:
            raise NotFollowed("a query without a scope")
        resolver = Resolver(scope, self._schema)
        reads, doubts = resolver.reads()
        influences, doubt = resolver.influences()
        if doubt:
            doubts.append(doubt)
        names = resolver.output_names()
        written = names if columns is None else columns
        if unexpanded := resolver.unexpanded():
            if written:
                doubts.append(unexpanded)
            written = []
        elif columns and len(columns) < len(names):
            doubts.append(f"{len(names)} values for {len(columns)} columns")
        result: dict[str, Column] = {}
        for position, column in enumerate(written[: len(names)]):
            found = resolver.column(position)
            result[column] = result[column].joined(found) if column in result else found
        return Flow(target, operation, reads, result, influences, {}, tuple(dict.fromkeys(doubts)))


def _makes_temporary(table: exp.Table) -> bool:
    """Is this the table that a CREATE TEMPORARY makes?"""
    owner = table.parent.parent if isinstance(table.parent, exp.Schema) else table.parent
    into = isinstance(owner, exp.Into) and bool(owner.args.get("temporary"))
    return into or (isinstance(owner, exp.Create) and rewrite.is_temporary(owner))


def _is_cte(table: exp.Table) -> bool:
    """Does this bare name mean a CTE that is visible here? (`with t as (select * from t)` reads the stored
    t.)
    """
    if table.db:
        return False
    child: exp.Expr = table
    inside: exp.Expr | None = None
    while (node := child.parent) is not None:
        if isinstance(child, exp.CTE):
            inside = child
        with_ = child if isinstance(child, exp.With) else node.args.get("with_")
        if isinstance(with_, exp.With):
            for cte in with_.expressions:
                if cte is inside and not with_.args.get("recursive"):
                    break
                if cte.alias == table.name:
                    return True
            if isinstance(child, exp.With):
                child, inside = node, None
                continue
        child = node
    return False
