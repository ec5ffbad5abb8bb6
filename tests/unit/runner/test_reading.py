"""An attempt whose inputs come from a target: read by the runner before the sandbox, named in lineage, and only
where it is granted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.dispatch.intake import Intake
from runner.jobtype import naming
from runner.model.attempt import Attempt, Input
from runner.model.errors import Permanent, SettingsError, StaleLease
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from runner.settings import read as read_settings
from runner.store.memory import MemoryStore, Row
from runner.target.directory import Directory
from runner.target.loader import Loader
from runner.target.sources import Sources
from runner.transfer.door import Door
from tests.contract import odoo_double
from tests.contract.odoo_double import KEY, Double

READ = {"fields": ["name"], "after": "bronze.partners", "overlap_seconds": 60}


class Store(MemoryStore):
    """Has got to a time."""

    high: datetime | None = None

    async def high_water(self, key: Any, name: str) -> datetime | None:
        await super().high_water(key, name)
        return self.high


@dataclass
class Desk:
    """An intake with an Odoo as target, and a workspace."""

    odoo: Double
    workspace: Workspace
    store: Store = field(default_factory=Store)
    lines: list[str] = field(default_factory=list)

    def attempt(self, **changes: Any) -> Attempt:
        made = Attempt(
            attempt_id=1, lease=1, number=1, run_id=9, task_run_id=8, task_key="bronze", tenant_id="t",
            tenant_slug="acme", job_type="spark_etl", engine="duckdb", requires="spark_etl/duckdb",
            timeout_seconds=60, targets=("erp",),
            inputs=(Input(name="changes", uri="odoo://erp/res.partner", read=dict(READ)),),
        )  # fmt: skip
        made = replace(made, **changes)
        self.store.rows[1] = Row(made, running=True)
        return made

    @property
    def intake(self) -> Intake:
        urls = {
            "ERP": self.odoo.url.replace("http://", f"odoo+http://admin:{KEY}@") + "/double",
            "SHOP": "postgresql://u:p@db.example/shop",
        }
        return Intake(self.store, Loader(""), Door("http://127.0.0.1:1"), Sources(Directory(urls)))

    async def lay_out(self, attempt: Attempt) -> str:
        intake = self.intake
        await intake.lay_out(intake.named(attempt), self.workspace, say=self.lines.append)
        return (self.workspace.staged_tables / "changes.csv").read_text()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    workspace = Workspace(root=tmp_path / "job", kept=tmp_path / "kept")
    workspace.staged_tables.mkdir(parents=True)
    with odoo_double.serve(19) as odoo:
        odoo.create(name="old", write_date=datetime(2026, 3, 1, 11, 0, tzinfo=UTC))
        odoo.create(name="new", write_date=datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
        yield Desk(odoo, workspace)


async def test_records_are_laid_out_as_a_table_input_is(desk: Desk) -> None:
    text = await desk.lay_out(desk.attempt())

    assert [line.split(",")[1] for line in text.splitlines()] == ['"name"', '"old"', '"new"']
    columns = json.loads((desk.workspace.staged_tables / "changes.json").read_text())
    assert columns == [
        {"name": "id", "type": "bigint"},
        {"name": "name", "type": "text"},
        {"name": "write_date", "type": "timestamptz"},
    ]
    assert desk.lines == ["input changes: 2 rows of odoo://erp/res.partner"]


async def test_a_reading_goes_on_from_where_its_table_has_got_to(desk: Desk) -> None:
    desk.store.high = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    text = await desk.lay_out(desk.attempt())

    assert '"new"' in text
    assert '"old"' not in text
    assert desk.lines == [
        "input changes: 1 rows of odoo://erp/res.partner, write_date from 2026-03-01 11:59:00"
    ]


async def test_a_stale_lease_reads_nothing_on(desk: Desk) -> None:
    attempt = desk.attempt()
    del desk.store.rows[1]

    with pytest.raises(StaleLease):
        await desk.lay_out(attempt)


def test_lineage_names_the_model_before_a_byte_is_read(desk: Desk) -> None:
    shop = Input(name="orders", uri="postgres://shop/sales.orders")
    attempt = desk.attempt(targets=("erp", "shop"))
    named = desk.intake.named(replace(attempt, inputs=(*attempt.inputs, shop)))
    host = desk.odoo.url.removeprefix("http://")

    assert [naming.of_input(named, each).form() for each in named.inputs] == [
        {"namespace": f"odoo://{host}/double", "name": "res.partner"},
        {"namespace": "postgres://db.example:5432", "name": "shop.sales.orders"},
    ]
    assert [each["kind"] for each in naming.request(named)["inputs"]] == ["table", "table"]
    assert desk.odoo.asked == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"targets": ()}, TerminationCode.NOT_GRANTED, "granted the target erp"),
        ({"uri": "odoo://gone/res.partner"}, TerminationCode.EXECUTOR_UNAVAILABLE, "has no target gone"),
        ({"uri": "postgres://erp/res_partner"}, TerminationCode.INPUT_UNAVAILABLE, "erp is an Odoo"),
        ({"uri": "odoo://shop/res.partner"}, TerminationCode.INPUT_UNAVAILABLE, "shop is a database"),
        ({"uri": "file:///etc/passwd"}, TerminationCode.INPUT_UNAVAILABLE, "names nothing that is read"),
    ],
)
def test_what_may_not_be_read_is_refused_before_anything_is_laid_out(
    desk: Desk, changes: dict[str, Any], code: TerminationCode, words: str
) -> None:
    uri = changes.pop("uri", "odoo://erp/res.partner")
    attempt = desk.attempt(**{"targets": ("erp", "gone", "shop"), **changes})
    with pytest.raises(Permanent, match=words) as caught:
        desk.intake.named(replace(attempt, inputs=(Input(name="changes", uri=uri),)))

    assert caught.value.code is code


def test_an_odoo_is_no_database_to_migrate() -> None:
    with pytest.raises(Permanent, match="an Odoo and no database"):
        Directory({"ERP": "odoo+https://bot:key@erp.example/live"}).find("erp")


def test_a_target_that_is_not_clear_is_said_at_the_start_without_its_key() -> None:
    environment = {
        "CONTROL_ROOM_DATABASE_URL": "postgresql://runner:x@localhost/postgres",
        "CONTROL_ROOM_SUPABASE_URL": "http://localhost:1",
        "CONTROL_ROOM_MASTER_KEY": "k" * 64,
        "CONTROL_ROOM_TARGET_ERP_URL": "odoo+https://bot:very-secret@erp.example",
    }
    with pytest.raises(SettingsError, match="CONTROL_ROOM_TARGET_ERP_URL: its path") as caught:
        read_settings(environment)

    assert "very-secret" not in str(caught.value)
