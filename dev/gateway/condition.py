"""From terms to SQL: selected columns, conditions, order.

Identifiers are always quoted, values are always parameters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from dev.gateway.catalog import Column, Relation, qualified, quote
from dev.gateway.session import Step
from dev.gateway.terms import Condition, Field, Filter, Group, Item, Order

JSON_TYPES = frozenset({"json", "jsonb"})
_BINARY = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
    "isdistinct": "is distinct from",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_SEARCH = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_TRUTH = {
    "null": "is null",
    "not_null": "is not null",
    "true": "is true",
    "false": "is false",
    "unknown": "is unknown",
}
# Type names that SQL's grammar spells as keywords: quoted they would name other, absent types.
_KEYWORD_TYPES = frozenset(
    {
        "bigint",
        "bit varying",
        "boolean",
        "character varying",
        "character",
        "dec",
        "decimal",
        "double precision",
        "float",
        "int",
        "integer",
        "numeric",
        "real",
        "smallint",
        "time with time zone",
        "time without time zone",
        "timestamp with time zone",
        "timestamp without time zone",
    }
)


@dataclass(slots=True)
class Text:
    """SQL text in the making, and its parameters."""

    params: list[bytes | None] = field(default_factory=list)

    def bind(self, value: str | bytes) -> str:
        """The placeholder of a new parameter."""
        self.params.append(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)
        return f"${len(self.params)}"

    def step(self, sql: str) -> Step:
        return sql.encode("utf-8", "surrogatepass"), self.params


@dataclass(frozen=True, slots=True)
class Source:
    """What columns are taken from: its SQL, the name its columns go by, the columns known."""

    sql: str
    name: str
    columns: Mapping[str, Column]

    @classmethod
    def of(cls, relation: Relation) -> "Source":
        return cls(qualified(relation.schema, relation.name), quote(relation.name), relation.columns)


def select(source: Source, items: Iterable[Item], text: Text) -> str:
    parts = []
    for item in items:
        if item.field.name == "*":
            parts.append(f"{source.name}.*")
            continue
        expression = _field(source, item.field, text)
        if item.cast is not None:
            expression = f"cast({expression} as {_type(item.cast)})"
        alias = item.alias or _natural_alias(item.field)
        parts.append(f"{expression} as {quote(alias)}")
    return ", ".join(parts) or f"{source.name}.*"


def _natural_alias(field: Field) -> str:
    """The name of a JSON path: its last key."""
    return next((key for _, key in reversed(field.path) if isinstance(key, str)), field.name)


def _type(name: str) -> str:
    plain = " ".join(name.lower().split())
    return plain if plain in _KEYWORD_TYPES else quote(name)


def _field(source: Source, field: Field, text: Text) -> str:
    name = f"{source.name}.{quote(field.name)}"
    if not field.path:
        return name
    column = source.columns.get(field.name)
    expression = name if column is None or column.base in JSON_TYPES else f"to_jsonb({name})"
    for arrow, key in field.path:
        place = f"{text.bind(str(key))}::{'int' if isinstance(key, int) else 'text'}"
        expression += f"{arrow}{place}"
    return f"({expression})"


def where(source: Source, conditions: Sequence[Condition], text: Text) -> str:
    if not conditions:
        return ""
    return " where " + " and ".join(_condition(source, condition, text) for condition in conditions)


def _condition(source: Source, condition: Condition, text: Text) -> str:
    match condition:
        case Group(junction, members, negated):
            inner = f" {junction} ".join(_condition(source, member, text) for member in members)
            return f"{'not ' if negated else ''}({inner})"
        case Filter():
            return f"{'not ' if condition.negated else ''}({_filter(source, condition, text)})"
        case _:
            assert_never(condition)


def _filter(source: Source, filter: Filter, text: Text) -> str:
    left = _field(source, filter.field, text)
    if filter.operator == "is":
        return f"{left} {_TRUTH[filter.values[0]]}"
    if filter.operator == "in":
        return f"{left} = any ({text.bind(array(filter.values))})"
    if filter.operator in _SEARCH:
        column = source.columns.get(filter.field.name)
        language = f"{text.bind(filter.modifier)}::regconfig, " if filter.modifier else ""
        if column is not None and (column.base != "tsvector" or filter.field.path):
            left = f"to_tsvector({language}{left})"
        return f"{left} @@ {_SEARCH[filter.operator]}({language}{text.bind(filter.values[0])})"
    value = filter.values[0]
    if filter.operator in ("like", "ilike"):
        value = value.replace("*", "%")
    right = text.bind(value)
    if filter.modifier:
        right = f"{filter.modifier} ({right})"
    return f"{left} {_BINARY[filter.operator]} {right}"


def array(values: Iterable[str]) -> str:
    """An array literal of texts; Postgres finds the member type."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def order(source: Source, orders: Sequence[Order], text: Text) -> str:
    if not orders:
        return ""
    terms = []
    for entry in orders:
        term = _field(source, entry.field, text)
        if entry.direction:
            term += f" {entry.direction}"
        if entry.nulls:
            term += f" nulls {entry.nulls}"
        terms.append(term)
    return f" order by {', '.join(terms)}"
