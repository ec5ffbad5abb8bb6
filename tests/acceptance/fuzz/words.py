"""What is sent: values that fit, values that nearly fit, and values that nobody has thought of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.acceptance.fuzz.house import NAMES, House

Strategy = st.SearchStrategy[Any]

#: JSON that a client may write and Postgres has opinions on
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1.5, 2**31, 2**53 + 1, 2**63, -(2**63), 10**30, 1e300, -0.0),
    *(
        "",
        " ",
        "x",
        "-1",
        "1e9",
        "\t\r\n",
        "';drop table x;--",
        "%s%n",
        "{{x}}",
        "../..",
        "a\\",
        "\u202e",
        "ﬀ",
        "😀",
        "\uffff",
    ),
    *(
        "NaN",
        "Infinity",
        "-infinity",
        "now",
        "epoch",
        "today",
        "allballs",
        "2026-02-30",
        "2026-01-01T00:00:00Z",
        "0001-01-01 BC",
    ),
    *(
        "294276-12-31",
        "9999999-01-01T00:00:00Z",
        "[1,2)",
        "empty",
        "{1,2}",
        "(1)",
        "00000000-0000-0000-0000-000000000000",
    ),
    *(
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "https://[::1]/",
        "javascript:x",
        "https://example.com:99999/",
        "10.0.0.0/8",
    ),
    *([], [None], [[]], [{}], [1, "x"], {}, {"": None}, {"a": {"a": {"a": 1}}}, {"__proto__": 1}, [0] * 300),
)
#: what no jsonb can hold, or no text: the wire's own refusals (22P02, 22P05, 22003 …) are right for these
BEYOND: tuple[str, ...] = (
    '"\\u0000"', '{"a": "\\u0000"}', '{"\\u0000": 1}', '"\\ud800"', "1e400000", "1e-400000", "-", "nul", '{"a":}', "[1,]", "\x00", '"\x01"',
)  # fmt: skip


def odd(depth: int = 3) -> Strategy:
    """Any JSON value."""
    leaves = st.one_of(
        st.sampled_from(ODD), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts()
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=4),
        max_leaves=2**depth,
    )


def texts() -> Strategy:
    """Text with whatever Unicode has, but NUL and halves of pairs; now and then a great deal of it."""
    some = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)
    return st.one_of(some, some, some, st.sampled_from(["x" * 70_000, "é" * 3000, "[" * 500]))


def nested(levels: int) -> str:
    """JSON that goes so deep."""
    return '{"a":[' * levels + "1" + "]}" * levels


def known(house: House, name: str) -> bool:
    return name in house.ours or name in NAMES


def things(house: House, name: str) -> Strategy:
    """Values for a parameter of that name: ours, theirs, or made up."""
    known = [*house.ours.get(name, ()), *NAMES.get(name, ())]
    foreign = list(house.theirs.get(name, ()))
    if not known and not foreign:
        return odd()
    pools = [st.sampled_from(pool) for pool in (known, known, foreign) if pool]
    return st.one_of(*pools, odd(1))


def bodies(house: House, fields: Sequence[str]) -> Strategy:
    """Objects with some of the fields that a function reads."""
    if not fields:
        return odd()
    one = {name: things(house, name) for name in fields}
    named = [name for name in one if name in house.ours]

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        chosen = draw(st.lists(st.sampled_from(list(one)), max_size=6, unique=True))
        if draw(st.integers(0, 3)):  # most ask of a thing, and are not heard without its number
            chosen = [*named, *chosen]
        return {name: draw(one[name]) for name in chosen}

    return st.one_of(build(), build(), build(), build(), odd())


def arguments(house: House, wanted: Sequence[tuple[str, str]], fields: Sequence[str]) -> Strategy:
    """The text of a body for a function with those arguments."""
    if [kind for _, kind in wanted] == ["jsonb"] and not wanted[0][0]:
        good = bodies(house, fields).map(json.dumps)
    else:
        each = {name: st.one_of(typed(house, name, kind), odd(1)) for name, kind in wanted}
        good = st.fixed_dictionaries({}, optional=each).map(json.dumps)
    wire = st.sampled_from([*BEYOND, nested(90), nested(400)])
    return st.one_of(good, good, good, good, good, good, wire)


def typed(house: House, name: str, kind: str) -> Strategy:
    """A value of a Postgres type, as JSON has it."""
    by_kind: Mapping[str, Strategy] = {
        "integer": st.integers(-(2**31) - 1, 2**31) | st.sampled_from([1, 5, 100]),
        "bigint": things(house, name) | st.integers(-(2**63), 2**63),
        "boolean": st.booleans(),
        "uuid": st.uuids().map(str) | things(house, name),
        "timestamp with time zone": st.datetimes().map(lambda it: it.isoformat() + "Z")
        | st.sampled_from(ODD),
        "jsonb": odd(),
        "json": odd(),
    }
    if kind.endswith("[]"):
        return st.lists(typed(house, name, kind[:-2]), max_size=5)
    return by_kind.get(kind, things(house, name) | texts())
