"""Every labelled statement, and what holds for all of them."""

from __future__ import annotations

import time

import pytest

from runner.lineage import sql
from runner.lineage.flow import AGGREGATION, CONDITIONAL, IDENTITY, TRANSFORMATION, WINDOW, Flow

from .labelled import HELD_OUT, STATEMENTS, SUBJECTS, Score, Statement, found, read, told

# Statements through which no data flows.
QUIET = (
    "create table silver.plain (a int, b text)",
    "create index on silver.orders (id)",
    "alter table silver.orders add column x int",
    "grant select on silver.orders to viewer",
    "comment on table silver.orders is 'x'",
    "set search_path = silver",
    "begin",
    "commit",
    "vacuum silver.orders",
    "create function f() returns int language sql as $$ select 1; select 2 $$",
    "create policy p on silver.orders using (true)",
    "drop table silver.orders",
    "refresh materialized view gold.mv",
    "analyze silver.orders",
    "explain select id from silver.orders",
)


def found_columns(flow: Flow) -> dict[str, set[str]]:
    return {n: {f"{o.dataset}.{o.field}" for o in c.origins} for n, c in flow.columns.items()}


@pytest.mark.parametrize("statement", [*STATEMENTS, *read(HELD_OUT)], ids=lambda s: f"{s.subject}: {s.name}")
def test_a_statement_is_followed_to_its_sources(statement: Statement) -> None:
    flows = statement.flows()

    assert [w.target for w in statement.writes] == [f.target for f in flows]
    for written, flow in zip(statement.writes, flows, strict=True):
        assert written.reads == flow.reads
        assert written.columns == found_columns(flow)
        if written.rows is not None:
            assert written.rows == {f"{o.dataset}.{o.field}" for o in flow.influences}
    assert statement.low == any(f.confidence == "low" for f in flows)


# The law of the whole, should a single statement ever be given up: scripts/bench sql prints the figures by subject.
@pytest.mark.parametrize("level", ["table", "column", "rows"])
def test_nineteen_of_twenty_are_found_and_nineteen_of_twenty_are_true(level: str) -> None:
    score = Score()
    for statement in STATEMENTS:
        score.add(told(statement)[level], found(statement, statement.flows())[level])

    assert score.precision >= 0.95
    assert score.recall >= 0.95


def test_the_measure_sees_what_is_missed_and_what_is_made_up() -> None:
    truth = told(next(s for s in STATEMENTS if s.name == "self join"))["column"]
    score = Score()
    score.add(
        truth,
        truth - type(truth)({("n", "id", "bronze.orders.id"): 1}) + type(truth)({("n", "id", "x.y"): 1}),
    )

    assert (score.right, score.wrong, score.missed) == (1, 1, 1)


@pytest.mark.parametrize("text", QUIET)
def test_a_statement_without_data_makes_no_flow(text: str) -> None:
    assert sql.trace(text, schema={}) == []


def test_the_set_is_large_enough_to_mean_something() -> None:
    assert len(STATEMENTS) >= 200
    assert len({(s.subject, s.name) for s in STATEMENTS}) == len(STATEMENTS)
    assert all(len(read(subject)) >= 10 for subject in SUBJECTS)


def test_what_cannot_be_followed_says_why() -> None:
    reasons = {s.name: [r for f in s.flows() for r in f.reasons] for s in STATEMENTS if s.low}

    assert all(reasons.values())
    assert reasons["a column of two unknown tables is not guessed"] == [
        "y: column y may come from any of a, b"
    ]
    assert reasons["a call"] == ["CALL may move data and was not followed"]


def test_kinds_are_told_apart() -> None:
    (flow,) = sql.trace(
        """create table t as select id, upper(name) as u, sum(amount) as s,
           case when tier = 'x' then 1 end as c, case day when 'x' then 1 end as d,
           row_number() over (order by day) as r from x group by id""",
        schema={"x": dict.fromkeys(("id", "name", "amount", "tier", "day"), "text")},
    )

    kinds = {name: {o.kind for o in column.origins} for name, column in flow.columns.items()}
    assert kinds == {
        "id": {IDENTITY},
        "u": {TRANSFORMATION},
        "s": {AGGREGATION},
        "c": {CONDITIONAL},
        "d": {CONDITIONAL},
        "r": {WINDOW},
    }


def test_a_kind_is_that_of_the_strongest_step_of_its_chain() -> None:
    (flow,) = sql.trace(
        """create table t as with a as (select sum(v) as s, min(k) as k from x),
           b as (select s + 1 as s, k from a) select s, case when k then s end as c from b""",
        schema={"x": {"v": "int", "k": "int"}},
    )

    assert {o.kind for o in flow.columns["s"].origins} == {AGGREGATION}
    assert {(o.field, o.kind) for o in flow.columns["c"].origins} == {("k", CONDITIONAL), ("v", AGGREGATION)}


def test_what_was_kept_as_text_is_never_passed_over_in_silence() -> None:
    """sqlglot hands on what it cannot read: a query may hide in it."""
    (flow,) = sql.trace(
        "create temp table t of my_type on nothing known as select id from a", schema={"a": {"id": "int"}}
    )

    assert flow.confidence == "low"


def test_words_in_strings_and_names_are_left_alone() -> None:
    (flow,) = sql.trace(
        """create table t as select id as "on commit drop" from a where b = 'overriding system value'""",
        schema={"a": {"id": "int", "b": "text"}},
    )

    assert found_columns(flow) == {"on commit drop": {"a.id"}}


def test_what_is_explained_is_not_done_unless_it_is_analyzed() -> None:
    analyzed = sql.trace(
        "explain (analyze, costs off) insert into b select id from a", schema={"a": {"id": "int"}}
    )

    assert sql.trace("explain insert into b select id from a") == []
    assert [f.target for f in analyzed] == ["b"]


def test_one_statement_that_fails_does_not_cost_the_others() -> None:
    flows = sql.trace("select from from; create table b as select id from a", schema={"a": {"id": "int"}})

    assert [(f.target, f.confidence) for f in flows] == [(None, "low"), ("b", "high")]


def test_semicolons_in_strings_and_bodies_do_not_cut() -> None:
    text = "select ';' ; do $$ begin a; b; end $$; select 1 -- ; not here"

    assert [each.split()[0] for each in sql_statements(text)] == ["select", "do", "select"]


def sql_statements(text: str) -> list[str]:
    from runner.lineage.script import statements  # noqa: PLC0415

    return list(statements(text))


def test_thirty_chained_ctes_take_no_time_to_speak_of() -> None:
    chain = ["c0 as (select " + ", ".join(f"a{i}" for i in range(12)) + " from base)"]
    for step in range(1, 30):
        columns = ", ".join(f"a{i} + {step} as a{i}" for i in range(12))
        chain.append(f"c{step} as (select {columns} from c{step - 1} where a0 > {step})")
    text = f"create table t as with {', '.join(chain)} select * from c29"
    schema = {"base": {f"a{i}": "int" for i in range(12)}}
    sql.trace("select 1")

    began = time.perf_counter()
    (flow,) = sql.trace(text, schema=schema)
    took = time.perf_counter() - began

    assert found_columns(flow) == {f"a{i}": {f"base.a{i}"} for i in range(12)}
    assert took < 3  # 0.15 s when nothing else runs


def test_a_statement_that_is_far_too_long_is_refused_not_parsed() -> None:
    (flow,) = sql.trace("select " + "1, " * 400_000 + "1")

    assert flow.confidence == "low"


def test_deep_nesting_ends_as_a_doubt() -> None:
    (flow,) = sql.trace("select " + "(" * 5000 + "1" + ")" * 5000)

    assert flow.confidence == "low"
