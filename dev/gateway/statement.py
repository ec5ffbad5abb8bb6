"""From requests to SQL statements.

Every statement gives one row of five texts: body, number of rows, total (or null), and what the
database asked for in `response.headers` and `response.status`. Identifiers are always quoted, values
are always parameters.
"""
# ruff: noqa: S608 - writing SQL is what this module is for; what goes in is quoted (see condition)

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import assert_never

from dev.gateway import condition, errors
from dev.gateway.catalog import Column, Relation, Routine, qualified, quote
from dev.gateway.condition import JSON_TYPES, Source, Text
from dev.gateway.preferences import Count
from dev.gateway.session import Step
from dev.gateway.terms import Query


class Media(Enum):
    """What the client wants to see."""

    JSON = b"application/json; charset=utf-8"
    OBJECT = b"application/vnd.pgrst.object+json; charset=utf-8"
    CSV = b"text/csv; charset=utf-8"
    NOTHING = b""


_GUCS = (
    "nullif(current_setting('response.headers', true), ''), "
    "nullif(current_setting('response.status', true), '')"
)


def read(
    source: Source,
    query: Query,
    *,
    limit: int | None,
    offset: int,
    count: Count | None,
    max_rows: int,
    media: Media,
    text: Text | None = None,
    prefix: str = "",
) -> list[Step]:
    """Rows of a source. With a planned count a second step explains the query.

    `text` and `prefix` (common table expressions, each closed by a comma) are for sources that have
    parameters of their own.
    """
    text = text or Text()
    where = condition.where(source, query.conditions, text)
    total = "null"
    explain: list[Step] = []
    if count is not None:
        counted = f"select 1 from {source.sql}{where}"
        own = len(text.params)
        if count in ("planned", "estimated"):
            explain.append((f"explain (format json) {counted}".encode(), text.params[:own]))
        if count == "exact":
            total = f"(select pg_catalog.count(*) from ({counted}) counted)"
        elif count == "estimated":
            total = f"(select pg_catalog.count(*) from ({counted} limit {max_rows + 1}) counted)"
    rows = (
        f"select {condition.select(source, query.select, text)} from {source.sql}{where}"
        f"{condition.order(source, query.order, text)}{_window(limit, offset, text)}"
    )
    main = (
        f"with {prefix}pgrst_source as ({rows}) "
        f"select {_body(media)}, pg_catalog.count(*), {total}, {_GUCS} "
        f"from (select * from pgrst_source) pgrst_row"
    )
    if prefix and explain:
        explain = []  # a function cannot be explained without being called
    return [text.step(main), *explain]


def insert(
    relation: Relation,
    query: Query,
    body: bytes,
    keys: Sequence[str],
    *,
    is_list: bool,
    resolution: str | None,
    missing_default: bool,
    media: Media,
) -> Step:
    """Rows from a JSON body. `keys`: the body's keys, which the relation must have. Raises PGRST204."""
    columns = _columns(relation, keys)
    if not columns and is_list:
        return nothing(relation, query, media)
    text = Text()
    target = qualified(relation.schema, relation.name)
    if columns:
        payload = _payload(text, body, columns, is_list=is_list, defaults=missing_default)
        names = ", ".join(quote(column.name) for column in columns)
        values = ", ".join(f"pgrst_body.{quote(column.name)}" for column in columns)
        sql = f"insert into {target} ({names}) select {values} from {payload}"
    else:
        sql = f"insert into {target} default values"
    conflict = query.on_conflict or relation.key
    if resolution and conflict:
        arbiter = ", ".join(quote(name) for name in conflict)
        changes = ", ".join(f"{quote(column.name)} = excluded.{quote(column.name)}" for column in columns)
        action = (
            "do nothing" if resolution == "ignore-duplicates" or not changes else f"do update set {changes}"
        )
        sql += f" on conflict ({arbiter}) {action}"
    return _write(relation, sql, query, media, text)


def update(relation: Relation, query: Query, body: bytes, keys: Sequence[str], media: Media) -> Step:
    """Change the rows that the conditions choose; the caller has seen to it that there are some."""
    text = Text()
    columns = _columns(relation, keys)
    payload = _payload(text, body, columns, is_list=False, defaults=False)
    changes = ", ".join(f"{quote(c.name)} = pgrst_body.{quote(c.name)}" for c in columns)
    target = qualified(relation.schema, relation.name)
    where = condition.where(Source.of(relation), query.conditions, text)
    return _write(relation, f"update {target} set {changes} from {payload}{where}", query, media, text)


def delete(relation: Relation, query: Query, media: Media) -> Step:
    """Delete the rows that the conditions choose; the caller has seen to it that there are some."""
    text = Text()
    where = condition.where(Source.of(relation), query.conditions, text)
    sql = f"delete from {qualified(relation.schema, relation.name)}{where}"
    return _write(relation, sql, query, media, text)


def nothing(relation: Relation, query: Query, media: Media) -> Step:
    """A write without columns or rows: touches nothing, but shows its result in the right form."""
    text = Text()
    sql = f"select * from {qualified(relation.schema, relation.name)} where false"
    return _write(relation, sql, query, media, text, returning="")


def call(routine: Routine, arguments: str, origin: str, media: Media, max_rows: int) -> str:
    """A call whose result is taken as it is (no filters): the hot path.

    `offset 0` keeps the planner from merging the call into the outer select, whose settings are to be read
    after it. `arguments` is the list in the parentheses, `origin` a `from` clause for their values or empty.
    """
    function = f"{qualified(routine.schema, routine.name)}({arguments})"
    if routine.returns == "composite":
        inner = f"select pgrst_call.* from {_joined(origin, function)} pgrst_call"
        value, rows = "pgrst_row", inner
    else:
        inner = f"select {function} as pgrst_scalar" + (f" from {origin}" if origin else "")
        value, rows = "pgrst_row.pgrst_scalar", inner
    if media is Media.CSV:
        # the header of a csv is read from the rows, so they are needed twice: `materialized` calls once
        head = f"with pgrst_source as materialized ({rows}) "
        return f"{head}select {_body(media)}, pg_catalog.count(*), null, {_GUCS} from pgrst_source pgrst_row"
    if routine.returns_set:
        many = f"coalesce(pg_catalog.json_agg({value})::text, '[]')"
        body = f"(pg_catalog.json_agg({value})->0)::text" if media is Media.OBJECT else many
        return f"select {body}, pg_catalog.count(*), null, {_GUCS} from ({rows} limit {max_rows}) pgrst_row"
    if routine.returns == "void":
        return f"select {value}::text, 1, null, {_GUCS} from ({rows} offset 0) pgrst_row"
    if routine.returns_type in JSON_TYPES:
        body = f"coalesce({value}::text, 'null')"
        return f"select {body}, 1, null, {_GUCS} from ({rows} offset 0) pgrst_row"
    body = f"coalesce((pg_catalog.json_agg({value})->0)::text, 'null')"
    return f"select {body}, pg_catalog.count(*), null, {_GUCS} from ({rows} offset 0) pgrst_row"


def call_source(routine: Routine, arguments: str, origin: str) -> tuple[str, Source]:
    """A call whose rows are selected from: the common table expression and the source."""
    function = f"{qualified(routine.schema, routine.name)}({arguments})"
    rows = f"select pgrst_call.* from {_joined(origin, function)} pgrst_call"
    source = Source("pgrst_called", "pgrst_called", {column.name: column for column in routine.columns})
    return f"pgrst_called as materialized ({rows}), ", source


def _joined(origin: str, function: str) -> str:
    return f"{origin}, lateral {function}" if origin else function


def _write(
    relation: Relation, sql: str, query: Query, media: Media, text: Text, *, returning: str | None = None
) -> Step:
    if returning is None:
        returning = (
            " returning 1" if media is Media.NOTHING else f" returning {_select_names(relation, query)}"
        )
    source = Source("pgrst_written", "pgrst_written", relation.columns)
    select = "*" if media is Media.NOTHING else condition.select(source, query.select, text)
    order = "" if media is Media.NOTHING else condition.order(source, query.order, text)
    return text.step(
        f"with pgrst_written as ({sql}{returning}), "
        f"pgrst_source as (select {select} from pgrst_written{order}) "
        f"select {_body(media)}, pg_catalog.count(*), null, {_GUCS} "
        f"from (select * from pgrst_source) pgrst_row"
    )


def _select_names(relation: Relation, query: Query) -> str:
    """What `returning` needs: the columns selected, so that only their privilege is asked for."""
    names = dict.fromkeys(item.field.name for item in query.select)
    names |= dict.fromkeys(order.field.name for order in query.order)
    table = quote(relation.name)
    if not names or "*" in names:
        return f"{table}.*"
    return ", ".join(f"{table}.{quote(name)}" for name in names)


def _body(media: Media) -> str:
    match media:
        case Media.JSON:
            return "coalesce(pg_catalog.json_agg(pgrst_row)::text, '[]')"
        case Media.OBJECT:
            return "coalesce((pg_catalog.json_agg(pgrst_row)->0)::text, 'null')"
        case Media.CSV:
            return (
                "(select coalesce(string_agg(a.k, ','), '') from (select json_object_keys(r)::text as k "
                "from (select row_to_json(hh) as r from pgrst_source as hh limit 1) s) a) || E'\\n' || "
                "coalesce(string_agg(substring(pgrst_row::text, 2, length(pgrst_row::text) - 2), E'\\n'), '')"
            )
        case Media.NOTHING:
            return "''"
        case _:
            assert_never(media)


def _window(limit: int | None, offset: int, text: Text) -> str:
    window = ""
    if limit is not None:
        window += f" limit {text.bind(str(limit))}::bigint"
    if offset:
        window += f" offset {text.bind(str(offset))}::bigint"
    return window


def _columns(relation: Relation, names: Iterable[str]) -> list[Column]:
    columns = []
    for name in names:
        column = relation.columns.get(name)
        if column is None:
            raise errors.Refusal(
                400,
                "PGRST204",
                f"Could not find the '{name}' column of '{relation.name}' in the schema cache",
            )
        columns.append(column)
    return columns


def _payload(text: Text, body: bytes, columns: Sequence[Column], *, is_list: bool, defaults: bool) -> str:
    """The body as a table named pgrst_body."""
    kind = "jsonb" if defaults else "json"
    shape = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
    value = f"{text.bind(body)}::{kind}"
    expand = "to_recordset" if is_list else "to_record"
    if not defaults:
        return f"{kind}_{expand}({value}) as pgrst_body({shape})"
    pairs = ", ".join(
        f"{text.bind(column.name)}::text, {column.default}" for column in columns if column.default
    )
    base = f"jsonb_build_object({pairs})"
    if is_list:
        value = f"(select jsonb_agg({base} || element) from jsonb_array_elements({value}) element)"
    else:
        value = f"({base} || {value})"
    return f"jsonb_{expand}({value}) as pgrst_body({shape})"
