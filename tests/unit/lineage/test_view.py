"""What a view of the layers says, read off its text as pg_get_viewdef gives it."""

from __future__ import annotations

from runner.dispatch.inspection import _looked_at, _read
from runner.lineage.view import ColumnOrigin
from runner.model.wire import CapturedView, EventBatch

ORDERS = {"name": "silver.orders", "columns": ["id", "customer", "amount"]}
TEXT = """ SELECT o.customer,
    sum(o.amount) AS total
   FROM silver_north.orders o
  WHERE (o.amount > (0)::numeric)
  GROUP BY o.customer;"""


def captured(text: str, **tables: object) -> CapturedView:
    return CapturedView.model_validate(
        {"definition": text, "tables": {"silver_north.orders": ORDERS} | tables}
    )


def test_each_column_of_a_view_is_followed_to_the_layer_s_table() -> None:
    said = _read(captured(TEXT))

    expected = (
        ColumnOrigin("customer", "silver.orders", "customer", "DIRECT", "IDENTITY"),
        ColumnOrigin("total", "silver.orders", "amount", "DIRECT", "AGGREGATION"),
    )
    assert (said.columns, said.doubts) == (expected, ())


def test_what_cannot_be_read_is_a_doubt_and_no_failure() -> None:
    said = _read(captured("this is no query"))

    assert said.columns == ()
    assert said.doubts != ()


def test_a_table_of_no_layer_is_not_told_of() -> None:
    said = _read(
        captured("SELECT a.id, b.secret FROM silver_north.orders a JOIN private.t b ON b.id = a.id;")
    )

    assert {it.source for it in said.columns} == {"silver.orders"}


def test_only_a_text_that_the_database_brings_is_read() -> None:
    """The event itself anybody may have told."""
    facet = {"control_room_view": {"version": "x", "definition": TEXT}}
    event = {
        "producer": "urn:control-room:worker",
        "dataset": {"namespace": "n", "name": "v", "facets": facet},
    }
    batch = {"batch_id": 1, "tenant_id": "t", "lease": 1}
    told = [
        {"event_id": 1, "event": event},
        {"event_id": 2, "event": event, "view": captured(TEXT).model_dump()},
    ]

    found = _looked_at(EventBatch.model_validate(batch | {"events": told}))

    assert list(found.views) == [2]
