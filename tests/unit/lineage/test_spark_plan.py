"""Plans that real Spark made (plans/record.py), read without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.lineage import spark_plan
from runner.lineage.flow import Flow

PLANS = Path(__file__).parent / "plans"

# plan -> (columns, influences), by hand
LABELS: dict[str, tuple[dict[str, str], str]] = {
    "join_and_window": (
        {
            "id": "orders.id",
            "who": "customers.name",
            "rn": "orders.cust orders.amount",
            "eur": "orders.cur orders.amount",
        },
        "orders.cust customers.id customers.tier",
    ),
    "aggregate": ({"cur": "orders.cur", "total": "orders.amount", "n": ""}, "orders.cur"),
    "union": ({"id": "orders.id customers.id", "cur": "orders.cur customers.name"}, ""),
    "cte_and_subquery": (
        {"id": "orders.id", "tier": "customers.tier", "again": "orders.id"},
        "orders.amount orders.cust customers.id",
    ),
    "exists": ({"name": "customers.name"}, "orders.cust customers.id"),
    "explode": ({"id": "orders.id", "item": "orders.items"}, ""),
    "self_join": ({"id": "orders.id", "other_amount": "orders.amount"}, "orders.id"),
    "distinct_rows": ({"id": "orders.id", "amount": "orders.amount"}, "orders.cust"),
    "pivot": (
        {
            "cust": "orders.cust",
            "EUR": "orders.cur orders.amount",
            "USD": "orders.cur orders.amount",
        },
        "orders.cust orders.cur",
    ),
    "struct_field": ({"t": "customers.meta"}, "customers.meta"),
    "except_": ({"id": "orders.id"}, "customers.id"),
}


def read(name: str) -> Flow:
    form = json.loads((PLANS / f"{name}.json").read_text())
    leaves = {int(identity): tuple(leaf) for identity, leaf in form["leaves"].items()}
    return spark_plan.flow(json.dumps(form["plan"]), leaves)


@pytest.mark.parametrize("name", LABELS)
def test_a_plan_is_followed_to_its_relations(name: str) -> None:
    columns, influences = LABELS[name]

    flow = read(name)

    found = {n: {f"{o.dataset}.{o.field}" for o in c.origins} for n, c in flow.columns.items()}
    assert {n: set(sources.split()) for n, sources in columns.items()} == found
    assert set(influences.split()) == {f"{o.dataset}.{o.field}" for o in flow.influences}
    assert flow.reasons == ()


def test_an_rdd_is_opaque_and_said_to_be() -> None:
    flow = read("of_an_rdd")

    assert flow.confidence == "low"
    assert flow.columns["id"].origins == frozenset()


def test_a_plan_that_is_far_too_long_is_refused() -> None:
    flow = spark_plan.flow(" " * (spark_plan.MAX_JSON + 1), {})

    assert flow.confidence == "low"
