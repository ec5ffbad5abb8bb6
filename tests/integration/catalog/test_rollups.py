"""A rollup of gold is what its whole query gives, whatever was published before, in whatever order.

One example is one history of a source: tables made anew, rows added, merged and taken away, with other columns in
between, rollups defined and taken back. After every step each rollup is compared with a full recompute.
The everyday form plays as many histories as fit into a few seconds, `--long` ten thousand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dev.stack.testbed import Cluster, Tenant

Row = tuple[int | None, str | None, str | None, str | None]
Mode = Literal["overwrite", "append", "merge"]
#: id, the key of merges; a group with odd names; numbers that differ in form; words. Nulls everywhere but in keys.
COLUMNS = (("id", "bigint"), ('Group "x"', "text"), ("amount", "numeric"), ("ratio", "double precision"))
ROLLUPS: dict[str, dict[str, Any]] = {
    "sums": {
        "by": ['Group "x"'],
        "measures": [
            {"name": "n", "fn": "count"},
            {"name": "known", "fn": "count", "column": "amount"},
            {"name": "total", "fn": "sum", "column": "amount"},
            {"name": "least", "fn": "min", "column": "amount"},
            {"name": "most", "fn": "max", "column": "ratio"},
            {"name": "ratios", "fn": "sum", "column": "ratio"},
        ],
    },
    "some": {
        "by": ["amount", 'Group "x"'],
        "where": "ratio > 0 or ratio is null",
        "measures": [{"name": "n", "fn": "count"}, {"name": "top", "fn": "max", "column": "id"}],
    },
}

groups = st.sampled_from([None, "a", "b", "", "it's", "ü"])
amounts = st.sampled_from([None, "0", "1", "1.0", "-2.50", "1e9", "NaN"])
ratios = st.sampled_from([None, "0", "-0", "0.1", "0.2", "0.3", "1e300", "NaN", "Infinity"])
keys = st.integers(1, 9)
rows = st.lists(st.tuples(keys, groups, amounts, ratios), max_size=6)
distinct = st.lists(st.tuples(keys, groups, amounts, ratios), max_size=6, unique_by=lambda row: row[0])
steps = st.one_of(
    st.tuples(st.just("append"), rows),
    st.tuples(st.just("append"), rows),
    st.tuples(st.just("overwrite"), rows),
    st.tuples(st.just("merge"), distinct),
    st.tuples(st.just("merge"), distinct),
    st.tuples(st.just("remake"), rows),
    st.tuples(st.just("define"), st.sampled_from(sorted(ROLLUPS))),
    st.tuples(st.just("drop"), st.sampled_from(sorted(ROLLUPS))),
)
histories = st.lists(steps, min_size=1, max_size=10)


class Source:
    """The table `silver.source` of a tenant, published as the settle does it, and the rollups of it."""

    def __init__(self, connection: psycopg.Connection[Any], tenant: Tenant) -> None:
        self.connection = connection
        self.tenant = tenant
        self.turned = False
        self.rolled: set[str] = set()

    def publish(self, mode: Mode, published: Sequence[Row]) -> None:
        columns = COLUMNS[::-1] if self.turned else COLUMNS
        form = json.dumps([{"name": name, "type": type_} for name, type_ in columns])
        self.connection.execute("select catalog.open_staging('p', %s)", [form])
        loaded = [row[::-1] for row in published] if self.turned else published
        with self.connection.cursor() as cursor:
            cursor.executemany("insert into staging.p values (%s, %s, %s, %s)", loaded)
        key = ["id"] if mode == "merge" else None
        self.connection.execute(
            "select catalog.publish(%s, %s, 'p', 'silver', 'source', %s, null, %s)",
            [self.tenant.tenant_id, self.tenant.slug, mode, key],
        )

    def define(self, name: str) -> None:
        definition = {"table": name, "source": "silver.source", **ROLLUPS[name]}
        self.connection.execute(
            "select catalog.define_rollup(%s, 'somebody', %s)",
            [self.tenant.tenant_id, json.dumps(definition)],
        )
        self.rolled.add(name)

    def drop(self, name: str) -> None:
        self.connection.execute("select catalog.drop_rollup(%s, %s)", [self.tenant.tenant_id, name])
        self.rolled.discard(name)

    def differences(self, name: str) -> list[Any]:
        """Rows of gold that the whole query does not give, and the other way round."""
        found = self.connection.execute(
            "select catalog.rollup_query(r, %s) from catalog.rollups r where r.name = %s",
            [f"silver_{self.tenant.slug}.source", name],
        ).fetchone()
        assert found
        names = ", ".join(
            [f'"{key.replace(chr(34), chr(34) * 2)}"' for key in ROLLUPS[name]["by"]]
            + [measure["name"] for measure in ROLLUPS[name]["measures"]]
        )
        gold = f"select {names} from gold_{self.tenant.slug}.{name}"
        return self.connection.execute(
            f"({gold} except all ({found[0]})) union all (({found[0]}) except all {gold})"
        ).fetchall()


@pytest.fixture(scope="module")
def source(cluster: Cluster) -> Iterator[Source]:
    with cluster.database() as database:
        tenant = database.add_tenant("acme")
        with psycopg.connect(database.superuser, autocommit=True) as connection:
            # a rollback for each history, and no disk for any of them
            connection.execute("set synchronous_commit = off")
            yield Source(connection, tenant)


def play(source: Source, history: list[tuple[str, Any]]) -> None:
    source.turned, source.rolled = False, set()
    source.connection.execute("begin; set local role app_system")
    try:
        source.publish("overwrite", [])
        for name in ROLLUPS:
            source.define(name)
        for kind, what in history:
            match kind:
                case "define":
                    source.define(what)
                case "drop":
                    source.drop(what)
                case "remake":
                    source.turned = not source.turned
                    source.publish("overwrite", what)
                case "append" | "overwrite" | "merge" as mode:
                    source.publish(mode, what)
            for name in source.rolled:
                assert source.differences(name) == [], (name, kind, what)
    finally:
        source.connection.execute("rollback")


def test_a_rollup_is_what_its_whole_query_gives(source: Source, is_long: bool) -> None:
    @settings(
        max_examples=10_000 if is_long else 20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(history=histories)
    def always(history: list[tuple[str, Any]]) -> None:
        play(source, history)

    always()


BROKEN = {
    "what a merge takes away stays counted": (
        "catalog.touched",
        "in (select %4$s from staging.%5$I)",
        "in (select %4$s from staging.%5$I where false)",
    ),
    "a group of nothing stays": (
        "catalog.roll_up",
        "and not exists (select from (%3$s) f",
        "and false and not exists (select from (%3$s) f",
    ),
    "a sum of nulls is nought": (
        "catalog.roll_up",
        "case when g.%1$I is null then excluded.%1$I",
        "case when g.%1$I is null then coalesce(excluded.%1$I, 0)",
    ),
    "the smallest is the last": ("catalog.roll_up", "least(g.%1$I, excluded.%1$I)", "excluded.%1$I"),
    "what was added is counted once": (
        "catalog.roll_up",
        "%1$I = g.%1$I + excluded.%1$I",
        "%1$I = excluded.%1$I",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_rollup_that_is_kept_wrongly_is_caught(source: Source, broken: str) -> None:
    function, was, becomes = BROKEN[broken]
    found = source.connection.execute("select pg_get_functiondef(%s::regproc)", [function]).fetchone()
    assert found
    assert was in found[0]
    source.connection.execute(found[0].replace(was, becomes))
    histories = (
        [("append", [(1, "a", None, None)]), ("append", [(2, "a", None, "1")])],
        [("append", [(1, "a", "1", "1")]), ("append", [(2, "a", "5", "1")])],
        [("append", [(1, "a", "1", "1")]), ("merge", [(1, "b", "1", "1")])],
        [("append", [(1, "a", "1", "1")]), ("overwrite", [])],
    )
    try:
        with pytest.raises(AssertionError):  # noqa: PT012  one of them shows it
            for history in histories:
                play(source, history)  # type: ignore[arg-type]  a list of its own kind of pairs
    finally:
        source.connection.execute(found[0])
