"""A rollup of gold is what its whole query gives, whatever was published before, in whatever order.

One example is one history of a source: rows added, merged and taken away; at its end each rollup is compared with a
full recompute (what a history passes through is the end of another). Most histories are played inside the database, by the very functions that a publication calls
(500 every day, 10,000 with `--long`); some go through `catalog.publish` itself, and there tables are also made anew
with other columns, and rollups defined and taken back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dev.stack.testbed import Cluster, Tenant

Row = tuple[int, str | None, str | None, str | None]
Mode = Literal["overwrite", "append", "merge"]
History = Sequence[tuple[str, Any]]
#: id, the key of merges; a group with an odd name; numbers that are equal and look otherwise. Nulls but in keys.
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

row = st.tuples(
    st.integers(1, 9),
    st.sampled_from([None, "a", "b", "", "it's", "ü"]),
    st.sampled_from([None, "0", "1", "1.0", "-2.50", "1e9", "NaN"]),
    st.sampled_from([None, "0", "-0", "0.1", "0.2", "0.3", "1e300", "NaN", "Infinity"]),
)
rows = st.lists(row, max_size=6)
one_of_each = st.lists(row, max_size=6, unique_by=lambda it: it[0])
publications = [
    st.tuples(st.just("append"), rows),
    st.tuples(st.just("merge"), one_of_each),
    st.tuples(st.just("overwrite"), rows),
]
rarely = [
    st.tuples(st.just("remake"), rows),
    st.tuples(st.just("define"), st.sampled_from(sorted(ROLLUPS))),
    st.tuples(st.just("drop"), st.sampled_from(sorted(ROLLUPS))),
]
histories = st.lists(st.one_of(*publications), min_size=1, max_size=6)
longer = st.lists(st.one_of(*publications), min_size=1, max_size=12)
eventful = st.lists(st.one_of(*publications, *rarely), min_size=1, max_size=10)

QUOTED = ", ".join('"' + name.replace('"', '""') + '"' for name, _ in COLUMNS)
TYPED = ", ".join('"' + name.replace('"', '""') + f'" {type_}' for name, type_ in COLUMNS)
#: What a publication does to rows and rollups, in its order, with everything else left out.
PLAY = f"""
create function pg_temp.play(p_tenant uuid, p_slug text, p_history jsonb) returns text language plpgsql as $play$
declare
    step jsonb;
    r catalog.rollups;
    v_groups jsonb;
    v_schema text := 'silver_' || p_slug;
    v_columns text;
    n bigint;
begin
    for step in select x from jsonb_array_elements(p_history) x loop
        delete from staging.played;
        insert into staging.played select (y ->> 0)::bigint, y ->> 1, (y ->> 2)::numeric, (y ->> 3)::double precision
        from jsonb_array_elements(step -> 1) y;
        v_groups := null;
        if step ->> 0 = 'overwrite' then
            execute format('delete from %I.source', v_schema);
        elsif step ->> 0 = 'merge' then
            v_groups := catalog.touched(p_tenant, v_schema, 'silver', 'source', 'played', array['id']);
            perform catalog.merge_out(v_schema || '.source', 'played', array['id']);
        end if;
        execute format('insert into %I.source ({QUOTED}) select * from staging.played', v_schema);
        for r in select x.* from catalog.rollups x where x.tenant_id = p_tenant order by x.name loop
            perform catalog.roll_up(r, p_slug, case step ->> 0 when 'append' then 'played' end, v_groups -> r.name);
        end loop;
    end loop;
    for r in select x.* from catalog.rollups x where x.tenant_id = p_tenant order by x.name loop
        select string_agg(format('%I', c), ', ') into v_columns
        from (select unnest(r.keys) union all select m ->> 'name' from jsonb_array_elements(r.measures) m) y (c);
        execute format('select count(*) from ((select %1$s from gold_%2$s.%3$s except all (%4$s))
                        union all ((%4$s) except all select %1$s from gold_%2$s.%3$s)) z',
                       v_columns, p_slug, r.name, catalog.rollup_query(r, v_schema || '.source')) into n;
        if n > 0 then
            return format('%s differs in %s rows', r.name, n);
        end if;
    end loop;
    return null;
end
$play$
"""


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
        loaded = [it[::-1] for it in published] if self.turned else published
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

    def play(self, history: History) -> str | None:
        """Play a history inside the database; what was found to differ. Nothing of it stays but in a transaction."""
        found = self.connection.execute(
            "select pg_temp.play(%s, %s, %s)", [self.tenant.tenant_id, self.tenant.slug, json.dumps(history)]
        ).fetchone()
        assert found
        return found[0]  # type: ignore[no-any-return]  a text or null


@pytest.fixture(scope="module")
def source(cluster: Cluster) -> Iterator[Source]:
    with cluster.database() as database:
        tenant = database.add_tenant("acme")
        with psycopg.connect(database.superuser, autocommit=True) as connection:
            connection.execute(PLAY)
            connection.execute("set role app_system")
            made = Source(connection, tenant)
            connection.execute(f"create unlogged table staging.played ({TYPED})")
            made.publish("overwrite", [])
            for name in ROLLUPS:
                made.define(name)
            yield made


def rolled_back(source: Source, history: History, how: Callable[[Source, History], None]) -> None:
    source.turned, source.rolled = False, set(ROLLUPS)
    source.connection.execute("begin")
    try:
        how(source, history)
    finally:
        source.connection.execute("rollback")


def inside(source: Source, history: History) -> None:
    assert source.play(history) is None


def published(source: Source, history: History) -> None:
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
        assert whole(source) is None, (kind, what)


def whole(source: Source) -> str | None:
    """The first rollup that is not what its whole query gives."""
    for name in sorted(source.rolled):
        found = source.connection.execute(
            "select catalog.rollup_query(r, %s) from catalog.rollups r where r.name = %s",
            [f"silver_{source.tenant.slug}.source", name],
        ).fetchone()
        assert found
        names = ", ".join(
            '"' + it.replace('"', '""') + '"'
            for it in [*ROLLUPS[name]["by"], *(measure["name"] for measure in ROLLUPS[name]["measures"])]
        )
        gold = f"select {names} from gold_{source.tenant.slug}.{name}"
        differing = source.connection.execute(
            f"({gold} except all ({found[0]})) union all (({found[0]}) except all {gold})"
        ).fetchall()
        if differing:
            return f"{name}: {differing}"
    return None


QUIET = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_a_rollup_is_what_its_whole_query_gives(source: Source, is_long: bool) -> None:
    @settings(QUIET, max_examples=10_000 if is_long else 500)
    @given(history=longer if is_long else histories)
    def always(history: History) -> None:
        rolled_back(source, history, inside)

    always()


def test_so_it_is_through_publications(source: Source, is_long: bool) -> None:
    @settings(QUIET, max_examples=500 if is_long else 10)
    @given(history=eventful)
    def always(history: History) -> None:
        rolled_back(source, history, published)

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


#: Each shows one of them; with `--long` random histories alone have to.
TELLING: tuple[History, ...] = (
    [("append", [(1, "a", None, None)]), ("append", [(2, "a", None, "1")])],
    [("append", [(1, "a", "1", "1")]), ("append", [(2, "a", "5", "1")])],
    [("append", [(1, "a", "1", "1")]), ("merge", [(1, "b", "1", "1")])],
    [("append", [(1, "a", "1", "1")]), ("overwrite", [])],
)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_rollup_that_is_kept_wrongly_is_caught(source: Source, broken: str, is_long: bool) -> None:
    function, was, becomes = BROKEN[broken]
    found = source.connection.execute("select pg_get_functiondef(%s::regproc)", [function]).fetchone()
    assert found
    assert was in found[0]
    source.connection.execute("reset role")
    source.connection.execute(found[0].replace(was, becomes))

    @settings(QUIET, max_examples=2000, derandomize=True, phases=[Phase.generate])
    @given(history=histories)
    def random(history: History) -> None:
        rolled_back(source, history, inside)

    def told() -> None:
        for history in TELLING:
            rolled_back(source, history, inside)

    try:
        with pytest.raises(AssertionError):
            (random if is_long else told)()
    finally:
        source.connection.execute(found[0])
        source.connection.execute("set role app_system")
