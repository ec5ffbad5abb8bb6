"""Whether every value of one Postgres type is one of another; what is not known is taken for narrower."""

from __future__ import annotations

import re

_WHOLE = ("smallint", "integer", "bigint")
_WIDER: dict[str, frozenset[str]] = {
    "smallint": frozenset({"integer", "bigint", "numeric", "real", "double precision"}),
    "integer": frozenset({"bigint", "numeric", "double precision"}),
    "bigint": frozenset({"numeric"}),
    "real": frozenset({"double precision"}),
    "date": frozenset({"timestamp without time zone", "timestamp with time zone"}),
    "timestamp without time zone": frozenset({"timestamp with time zone"}),
    "json": frozenset({"text"}),
    "jsonb": frozenset({"json", "text"}),
    "uuid": frozenset({"text"}),
    "inet": frozenset({"text"}),
    "boolean": frozenset({"text"}),
    "character varying": frozenset({"text"}),
    "text": frozenset({"character varying"}),
    "name": frozenset({"text", "character varying"}),
}
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_FORM = re.compile(r"^([a-z ]+?)\s*(?:\((\d+)(?:,(\d+))?\))?((?: with(?:out)? time zone)?)(\[\])?$")


def is_wider(old: str, new: str) -> bool:  # noqa: PLR0911 - a table of cases, read from the top
    """True when `new` holds every value that `old` can; both as Postgres prints them."""
    a, b = _FORM.match(old), _FORM.match(new)
    if a is None or b is None or bool(a[5]) != bool(b[5]):
        return False
    kind, other = a[1] + a[4], b[1] + b[4]
    size, other_size = _number(a[2]), _number(b[2])
    if kind in _WHOLE and other == "numeric" and other_size is not None:
        return other_size - (_number(b[3]) or 0) >= _DIGITS[kind]
    if kind == "numeric" == other:
        if other_size is None:
            return True
        if size is None:
            return False
        scale, other_scale = _number(a[3]) or 0, _number(b[3]) or 0
        return other_scale >= scale and other_size - other_scale >= size - scale
    if (
        kind != other
        and other not in _WIDER.get(kind, frozenset())
        and not (kind == "character" and other in ("text", "character varying"))
    ):
        return False
    if other_size is None:
        # `timestamp` is `timestamp(6)`, `varchar` has no bound
        return True
    return size is not None and other_size >= size


def _number(text: str | None) -> int | None:
    return int(text) if text else None
