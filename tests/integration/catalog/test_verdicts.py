"""What an expectation has found is read by OpenLineage's own classes."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from openlineage.client.event_v2 import InputDataset
from openlineage.client.generated.data_quality_assertions_dataset import (
    Assertion,
    DataQualityAssertionsDatasetFacet,
)

from dev.stack.testbed import Database

EXPECTED: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("a", "expression", "drop", {"expression": "id > 1"}),
    ("b", "not_null", "warn", {"column": "id"}),
    ("c", "accepted_values", "quarantine", {"column": "id", "values": [1, 2]}),
    ("d", "unique", "warn", {"columns": ["id"]}),
    ("e", "row_count", "warn", {"min": 5}),
)


def test_verdicts_are_assertions_in_the_official_classes(database: Database) -> None:
    tenant = database.add_tenant("acme")
    with psycopg.connect(database.superuser, autocommit=True) as connection:
        connection.execute("set role app_system")
        for name, kind, action, definition in EXPECTED:
            said = json.dumps(definition)
            connection.execute(
                "insert into catalog.expectations"
                " (tenant_id, layer, table_name, name, kind, action, definition, condition, created_by)"
                " values (%s, 'silver', 'orders', %s, %s, %s, %s, catalog.expectation_condition(%s, %s), 'x')",
                [tenant.tenant_id, name, kind, action, said, kind, said],
            )
        connection.execute("""select catalog.open_staging('p', '[{"name": "id", "type": "bigint"}]')""")
        connection.execute("insert into staging.p values (1), (2), (2), (9), (null)")
        connection.execute(
            "select catalog.keep_verdicts(%s, 7, jsonb_build_array("
            "catalog.judge(%s, 7, 'silver', 'orders', 'p', 'overwrite', 5, null)))",
            [tenant.tenant_id, tenant.tenant_id],
        )
        found = connection.execute("select event from lineage.events").fetchall()

    (event,) = (row[0] for row in found)
    (dataset,) = event["inputs"]
    facet = dataset["inputFacets"]["dataQualityAssertions"]
    read = DataQualityAssertionsDatasetFacet([Assertion(**each) for each in facet["assertions"]])
    InputDataset(dataset["namespace"], dataset["name"], inputFacets={"dataQualityAssertions": read})
    assert facet["_schemaURL"].endswith("DataQualityAssertionsDatasetFacet")
    assert [(it.name, it.assertion, it.success, it.actual) for it in read.assertions] == [
        ("a", "custom_sql", False, "2"),
        ("b", "not_null", False, "1"),
        ("c", "accepted_values", False, "2"),
        ("d", "unique", False, "1"),
        ("e", "row_count", False, "3"),
    ]
