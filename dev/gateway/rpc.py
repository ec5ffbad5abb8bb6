"""`/rest/v1/rpc/<function>`: find the routine, build its one statement, hand on Postgres' JSON.

A function with a single unnamed json/jsonb parameter gets the body as it came: nothing is decoded. For
named arguments the body is decoded only to learn its keys; the values are read by `json_to_record`,
so that bigint, numeric and json keep every digit.
"""

import difflib
from dataclasses import dataclass
from urllib.parse import parse_qsl

from dev.gateway import condition, errors, query, statement
from dev.gateway.catalog import Catalog, Param, Routine, quote, strict_object
from dev.gateway.condition import Text
from dev.gateway.preferences import Count
from dev.gateway.session import Step
from dev.gateway.statement import Media
from dev.gateway.terms import Query

_MAX_TEXTS = 1000
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
# Content types that are handed whole to a single unnamed parameter of the type beside them.
_RAW = {"text/plain": "text", "text/xml": "xml", "application/octet-stream": "bytea"}


@dataclass(frozen=True, slots=True)
class Callee:
    """A name that was called, and where it is looked up."""

    catalog: Catalog
    schema: str
    name: str

    @property
    def routines(self) -> tuple[Routine, ...]:
        return self.catalog.routines.get((self.schema, self.name), ())


@dataclass(frozen=True, slots=True)
class Call:
    """A routine and how its arguments get there: the text in its parentheses, and a `from` for values."""

    routine: Routine
    arguments: str
    origin: str
    params: tuple[bytes | None, ...]
    rest: Query


def by_body(callee: Callee, content_type: str, body: bytes, raw_query: bytes) -> Call:
    """A call by POST. Raises `errors.Refusal`: 404 PGRST202, 300 PGRST203, 400 PGRST102."""
    candidates = callee.routines
    rest = query.parse(raw_query)
    if b"\0" in body and content_type != "application/octet-stream":
        raise errors.bad_body()
    if content_type == _JSON:
        if len(candidates) == 1 and candidates[0].takes_body in ("json", "jsonb"):
            return _whole(candidates[0], body or b"{}", rest)
        keys, is_list = _keys(body or b"{}")
        routine = _choose(callee, keys, post=True)
        if routine.takes_body is not None:
            return _whole(routine, body or b"{}", rest)
        return _named(routine, keys, body or b"{}", is_list, rest)
    if content_type == _FORM:
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            raise errors.bad_body("Invalid form") from None
        return _by_pairs(callee, tuple(pairs), rest)
    kind = _RAW.get(content_type)
    if kind is None:
        raise errors.bad_body(f"Content-Type not acceptable: {content_type}")
    for routine in candidates:
        if routine.takes_body == kind:
            return _whole(routine, b"\\x" + body.hex().encode() if kind == "bytea" else body, rest)
    raise _unknown(callee, frozenset(), f" with a single unnamed {kind} parameter")


def by_query(callee: Callee, raw_query: bytes) -> Call:
    """A call by GET: arguments are query parameters that are no filters. Raises as `by_body`."""
    rest = query.parse(raw_query, arguments=True)
    return _by_pairs(callee, rest.arguments, rest)


def steps(
    catalog: Catalog, call: Call, media: Media, window: tuple[int | None, int], count: Count | None
) -> list[Step]:
    """The statement of a call. Without filters and the like its text is kept with the catalog."""
    routine = call.routine
    limit, offset = window
    plain = call.rest.plain and limit is None and not offset and count is None
    if plain or routine.returns != "composite":
        shape = (routine.schema, routine.name, call.arguments, call.origin, media)
        text = catalog.texts.get(shape)
        if text is None:
            text = statement.call(routine, call.arguments, call.origin, media, catalog.max_rows).encode()
            if len(catalog.texts) < _MAX_TEXTS:
                catalog.texts[shape] = text
        return [(text, call.params)]
    prefix, source = statement.call_source(routine, call.arguments, call.origin)
    text = Text(list(call.params))
    most = catalog.max_rows
    return statement.read(
        source,
        call.rest,
        limit=most if limit is None else min(limit, most),
        offset=offset,
        count=count,
        max_rows=most,
        media=media,
        text=text,
        prefix=prefix,
    )


def _whole(routine: Routine, body: bytes, rest: Query) -> Call:
    return Call(routine, f"$1::{routine.takes_body}", "", (body,), rest)


def _named(routine: Routine, keys: frozenset[str], body: bytes, is_list: bool, rest: Query) -> Call:
    given = [param for param in routine.params if param.name in keys]
    if not given:
        return Call(routine, "", "", (), rest)
    arguments = ", ".join(_argument(param, f"pgrst_body.{quote(param.name)}") for param in given)
    shape = ", ".join(f"{quote(param.name)} {param.type}" for param in given)
    record = "$1::json->0" if is_list else "$1::json"
    return Call(routine, arguments, f"json_to_record({record}) as pgrst_body({shape})", (body,), rest)


def _by_pairs(callee: Callee, pairs: tuple[tuple[str, str], ...], rest: Query) -> Call:
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    routine = _choose(callee, frozenset(values), post=False)
    text = Text()
    arguments = []
    for param in routine.params:
        if param.name in values:
            given = values[param.name]
            value = condition.array(given) if param.variadic else given[-1]
            arguments.append(_argument(param, f"{text.bind(value)}::{param.type}"))
    return Call(routine, ", ".join(arguments), "", tuple(text.params), rest)


def _argument(param: Param, value: str) -> str:
    return f"{'variadic ' if param.variadic else ''}{quote(param.name)} => {value}"


def _keys(body: bytes) -> tuple[frozenset[str], bool]:
    """The keys of a JSON object (or of a list's first one), and whether it was a list."""
    try:
        value = strict_object(body)
    except (ValueError, RecursionError):
        raise errors.bad_body() from None
    is_list = isinstance(value, list)
    if isinstance(value, list):
        value = value[0] if value else {}
    return frozenset(value) if isinstance(value, dict) else frozenset(), is_list


def _choose(callee: Callee, keys: frozenset[str], *, post: bool) -> Routine:
    candidates = callee.routines
    # A single unnamed parameter counts only where named arguments fit nothing.
    fitting = [routine for routine in candidates if routine.takes_body is None and routine.matches(keys)]
    if not fitting and post:
        fitting = [routine for routine in candidates if routine.takes_body in ("json", "jsonb")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = ", ".join(
            f"{r.schema}.{r.name}({', '.join(f'{p.name} => {p.type}' for p in r.params)})" for r in fitting
        )
        raise errors.Refusal(
            300,
            "PGRST203",
            f"Could not choose the best candidate function between: {listed}",
            None,
            "Try renaming the parameters or the function itself in the database "
            "so function overloading can be resolved",
        )
    suffix = " or with a single unnamed json/jsonb parameter" if post else ""
    raise _unknown(callee, keys, suffix)


def _unknown(callee: Callee, keys: frozenset[str], suffix: str) -> errors.Refusal:
    function = f"{callee.schema}.{callee.name}"
    listed = ", ".join(sorted(keys))
    message = f"({listed})" if keys else " without parameters"
    details = f" with parameter{'s' if len(keys) > 1 else ''} {listed}" if keys else " without parameters"
    return errors.Refusal(
        404,
        "PGRST202",
        f"Could not find the function {function}{message} in the schema cache",
        f"Searched for the function {function}{details}{suffix}, "
        "but no matches were found in the schema cache.",
        _hint(callee),
    )


def _hint(callee: Callee) -> str | None:
    if callee.routines:
        params = ", ".join(sorted(param.name for param in callee.routines[0].params))
        return f"Perhaps you meant to call the function {callee.schema}.{callee.name}({params})"
    known = [other for own, other in callee.catalog.routines if own == callee.schema]
    near = difflib.get_close_matches(callee.name, known, 1, 0.75)
    return f"Perhaps you meant to call the function {callee.schema}.{near[0]}" if near else None
