"""The grammar of a Data API query string: select, filters, and/or, order, limit, offset.

Text in, terms out; no SQL here. What cannot be read is refused with PGRST100, as PostgREST does.
Not spoken: embedding of related tables (PGRST200) and aggregates (PGRST123, off on hosted projects too).
"""

import re
from collections.abc import Callable
from typing import Literal, TypeVar
from urllib.parse import parse_qsl

from dev.gateway import errors
from dev.gateway.scanner import Scanner, Unreadable
from dev.gateway.terms import EMPTY, Condition, Field, Filter, Group, Item, Junction, Order, Query

T = TypeVar("T")

# By length, so that `gte` is not read as `gt`.
_OPERATORS = (
    "isdistinct", "imatch", "plfts", "phfts", "ilike", "match", "like", "wfts", "neq", "gte", "lte", "fts",
    "nxr", "nxl", "adj", "eq", "gt", "lt", "in", "is", "cs", "cd", "ov", "sl", "sr",
)  # fmt: skip
_QUANTIFIED = frozenset({"eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch"})
_SEARCHES = frozenset({"fts", "plfts", "phfts", "wfts"})
_TRUTHS = frozenset({"null", "not_null", "true", "false", "unknown"})
_MAX_DEPTH = 32

_TYPE = re.compile(r"[\w $]+")
_AGGREGATE = re.compile(r"(?:count|\.(?:sum|avg|count|max|min))\(\)")
_BRACES = re.compile(r"\{[^{}]*\}")
_PLAIN = re.compile(r"[^,)]*")


def parse(raw: bytes, *, arguments: bool = False) -> Query:  # noqa: PLR0912 - one branch per parameter
    """Read a query string. With `arguments` (RPC by GET) what is no filter is an argument.

    Raises `errors.Refusal`: 400 PGRST100 and kin, 416 for a negative limit.
    """
    if not raw:
        return EMPTY
    try:
        pairs = parse_qsl(raw.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise errors.bad_query("Too many parameters in the query string", "at most 1000") from None
    select: tuple[Item, ...] = EMPTY.select
    conditions: list[Condition] = []
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset = 0
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    given: list[tuple[str, str]] = []
    for key, value in pairs:
        if "\0" in key or "\0" in value:
            raise errors.Refusal(400, "22021", 'invalid byte sequence for encoding "UTF8": 0x00')
        match key:
            case "select":
                select = _read(value, "select parameter", _items)
            case "order":
                order = _read(value, "order", _orders)
            case "limit":
                limit = _number(value, limit)
                if limit is not None and limit < 0:
                    raise errors.bad_range("Limit should be greater than or equal to zero.")
            case "offset":
                offset = max(_number(value, offset) or 0, 0)
            case "columns":
                columns = _read(value, "columns parameter", _names)
            case "on_conflict":
                on_conflict = _read(value, "on_conflict parameter", _names)
            case "and" | "or" | "not.and" | "not.or":
                conditions.append(_read(f"{key}{value}", "logic tree", _group_alone))
            case _:
                condition = _filter(key, value, arguments=arguments)
                if condition is None:
                    given.append((key, value))
                else:
                    conditions.append(condition)
    return Query(select, tuple(conditions), order, limit, offset, columns, on_conflict, tuple(given))


def _number(text: str, default: int | None) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else default


def _read(text: str, what: str, rule: Callable[[Scanner], T]) -> T:
    scanner = Scanner(text)
    try:
        value = rule(scanner)
        scanner.end()
    except Unreadable as error:
        raise _refusal(text, what, error) from None
    return value


def _refusal(text: str, what: str, error: Unreadable) -> errors.Refusal:
    found = f'"{text[error.position]}"' if error.position < len(text) else "end of input"
    return errors.bad_query(
        f'"failed to parse {what} ({text})" (line 1, column {error.position + 1})',
        f"unexpected {found} expecting {error.wanted}",
    )


def _names(scanner: Scanner) -> tuple[str, ...]:
    names = []
    while True:
        scanner.blanks()
        names.append(scanner.name())
        scanner.blanks()
        if not scanner.take(","):
            return tuple(names)


def _items(scanner: Scanner) -> tuple[Item, ...]:
    items: list[Item] = []
    if scanner.ended:
        return ()
    while True:
        scanner.blanks()
        items.append(_item(scanner))
        scanner.blanks()
        if not scanner.take(","):
            return tuple(items)


def _item(scanner: Scanner) -> Item:
    if scanner.take("*"):
        return Item(Field("*"))
    if scanner.peek("..."):
        raise _no_embedding(scanner.text)
    alias: str | None = None
    start = scanner.at
    first = scanner.name()
    if scanner.peek(":") and not scanner.peek("::"):
        scanner.need(":")
        alias = first
    else:
        scanner.at = start
    if scanner.match(_AGGREGATE):
        raise _no_aggregates()
    field = scanner.field()
    cast: str | None = None
    if scanner.take("::"):
        cast = (scanner.match(_TYPE) or "").strip()
        if not cast:
            raise Unreadable(scanner.at, "letter or digit")
    if scanner.match(_AGGREGATE):
        raise _no_aggregates()
    if scanner.peek("(") or scanner.peek("!"):
        raise _no_embedding(field.name)
    return Item(field, alias, cast)


def _no_embedding(name: str) -> errors.Refusal:
    return errors.Refusal(
        400,
        "PGRST200",
        f"Could not find a relationship to '{name}' in the schema cache",
        "The development gateway does not embed related tables.",
    )


def _no_aggregates() -> errors.Refusal:
    return errors.Refusal(400, "PGRST123", "Use of aggregate functions is not allowed")


def _orders(scanner: Scanner) -> tuple[Order, ...]:
    orders: list[Order] = []
    while True:
        field = scanner.field()
        direction: Literal["asc", "desc"] | None = None
        nulls: Literal["first", "last"] | None = None
        if scanner.take(".asc"):
            direction = "asc"
        elif scanner.take(".desc"):
            direction = "desc"
        if scanner.take(".nullsfirst"):
            nulls = "first"
        elif scanner.take(".nullslast"):
            nulls = "last"
        scanner.blanks()
        if not scanner.ended and not scanner.peek(","):
            raise Unreadable(scanner.at, '"asc", "desc", "nullsfirst" or "nullslast"')
        orders.append(Order(field, direction, nulls))
        if not scanner.take(","):
            return tuple(orders)


def _filter(key: str, value: str, *, arguments: bool) -> Filter | None:
    """A filter parameter; None if it is an argument instead."""
    scanner = Scanner(value)
    try:
        operation = _operation(scanner, nested=False)
        scanner.end()
    except Unreadable as error:
        if arguments and error.position <= _operator_end(value):
            return None
        raise _refusal(value, "filter", error) from None
    path = _read(key, "tree path", _tree_path)
    return operation(path)


def _operator_end(value: str) -> int:
    """Where the operator of a filter ends; trouble before that means it is no filter at all."""
    found = re.match(r"(?:not\.)?\w*(?:\(\w*\))?", value)
    return found.end() if found else 0


def _tree_path(scanner: Scanner) -> Field:
    field = scanner.field()
    if scanner.peek("."):
        raise errors.Refusal(
            400,
            "PGRST108",
            f"'{field.name}' is not an embedded resource in this request",
            None,
            f"Verify that '{field.name}' is included in the 'select' query parameter.",
        )
    return field


def _operation(scanner: Scanner, *, nested: bool) -> Callable[[Field], Filter]:
    negated = scanner.take("not.")
    start = scanner.at
    operator = next((known for known in _OPERATORS if scanner.take(known)), None)
    wanted = "operator (eq, gt, ...)" if negated else '"not" or operator (eq, gt, ...)'
    if operator is None:
        raise Unreadable(start, wanted)
    modifier: str | None = None
    if scanner.peek("(") and (operator in _QUANTIFIED or operator in _SEARCHES):
        scanner.need("(")
        modifier = (scanner.match(_TYPE) or "").strip()
        if not modifier or (operator in _QUANTIFIED and modifier not in ("any", "all")):
            raise Unreadable(scanner.at, wanted)
        scanner.need(")")
    if not scanner.take("."):
        raise Unreadable(scanner.at, wanted)
    values: tuple[str, ...]
    if operator == "in":
        values = _members(scanner)
    elif operator == "is":
        values = (_truth(scanner),)
    else:
        values = (_value(scanner, nested=nested),)
    found = operator

    def apply(field: Field) -> Filter:
        return Filter(field, found, values, negated, modifier)

    return apply


def _value(scanner: Scanner, *, nested: bool) -> str:
    if not nested:
        rest = scanner.text[scanner.at :]
        scanner.at = len(scanner.text)
        return rest
    return _member(scanner, braces=True)


def _member(scanner: Scanner, *, braces: bool) -> str:
    """A value among others: quoted, (in and/or) an array, or up to the next comma or parenthesis."""
    start = scanner.at
    quoted = scanner.quoted()
    if quoted is not None and (scanner.ended or scanner.text[scanner.at] in ",)"):
        return quoted
    scanner.at = start
    if braces and (array := scanner.match(_BRACES)) is not None:
        return array
    return scanner.match(_PLAIN) or ""


def _members(scanner: Scanner) -> tuple[str, ...]:
    scanner.blanks()
    scanner.need("(")
    members = [_member(scanner, braces=False)]
    while scanner.take(","):
        members.append(_member(scanner, braces=False))
    scanner.need(")")
    scanner.blanks()
    return () if members == [""] else tuple(members)


def _truth(scanner: Scanner) -> str:
    start = scanner.at
    word = (scanner.match(re.compile(r"\w+")) or "").lower()
    if word not in _TRUTHS:
        raise Unreadable(start, "isVal: (null, not_null, true, false, unknown)")
    return word


def _group_alone(scanner: Scanner) -> Group:
    group = _condition(scanner, 0)
    assert isinstance(group, Group)
    return group


_GROUP = re.compile(r"(?:not\.)?(?:and|or)[ \t]*\(")


def _condition(scanner: Scanner, depth: int) -> Condition:
    if depth > _MAX_DEPTH:
        raise Unreadable(scanner.at, f"at most {_MAX_DEPTH} levels")
    scanner.blanks()
    if depth > 0 and not _GROUP.match(scanner.text, scanner.at):
        field = scanner.field()
        scanner.need(".")
        return _operation(scanner, nested=True)(field)
    negated = scanner.take("not.")
    junction: Junction = "and" if scanner.take("and") else "or"
    if junction == "or":
        scanner.need("or")
    scanner.blanks()
    scanner.need("(")
    members = [_condition(scanner, depth + 1)]
    scanner.blanks()
    while scanner.take(","):
        members.append(_condition(scanner, depth + 1))
        scanner.blanks()
    scanner.need(")")
    scanner.blanks()
    return Group(junction, tuple(members), negated)
