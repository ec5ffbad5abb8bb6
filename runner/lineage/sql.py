"""SQL text -> flows: which tables and columns did each statement write, and from which did it read?

`trace(script, schema=…, dialect=…)` follows a script statement by statement: INSERT, CREATE TABLE AS, views,
MERGE, UPDATE … FROM, DELETE, COPY, renames, data-modifying CTEs, upserts; temporary tables are folded away.
A statement that cannot be followed is returned all the same, as a flow whose doubts say why; it never stops
the script.

How: a statement that writes is rewritten as the SELECT whose outputs are the written values (`rewrite`), the
SELECT is qualified once against the schema, and `columns.Resolver` walks it.

Names: `schema` maps dotted table names to {column: type}; names in flows are dotted and normalised as the
dialect does it (Postgres: unquoted to lower case); with `default_schema`, a bare name is put into that
schema unless it is temporary. Column types are passed through, not judged.

sqlglot (30.x: its argument names change between major versions) is imported when the first statement is
traced.
"""

from __future__ import annotations

from collections.abc import Mapping

from .flow import Flow

Schema = Mapping[str, Mapping[str, str]]


def trace(
    script: str, *, schema: Schema | None = None, dialect: str = "postgres", default_schema: str | None = None
) -> list[Flow]:
    """The flows of a script, temporary tables folded away, in order. Bare queries have `target` None."""
    from .script import Script, statements  # noqa: PLC0415 - sqlglot stays out of an idle runner

    reader = Script(schema or {}, dialect, default_schema)
    for text in statements(script, dialect):
        reader.read(text)
    return reader.ledger.flows


def query(text: str, *, schema: Schema | None = None, dialect: str = "postgres") -> Flow:
    """The flow of one SELECT (`target` None): what a DataFrame or a view definition rests on."""
    flows = trace(text, schema=schema, dialect=dialect)
    if len(flows) != 1:
        return Flow(None, "QUERY", doubts=(f"{len(flows)} flows where one query was expected",))
    return flows[0]
