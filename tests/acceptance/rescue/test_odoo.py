"""Odoo from its records to gold, by the example that ships: reading on from where bronze has got to, with lineage
to the model or table; and to entries of a knowledge base. The everyday suite has the public double for an Odoo,
`--with odoo` a real one, read by its API and by its Postgres.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from control_room import document, source
from dev.odoo import server
from dev.odoo.server import Odoo
from dev.stack.state import home
from runner.jobtype import environment
from runner.jobtype.base import Place
from runner.odoo.client import Client
from runner.odoo.site import of_url
from tests.acceptance.rescue import shelf
from tests.acceptance.rescue.conftest import CLONE, TENANT, Json, Room
from tests.contract import odoo_double

EXAMPLE = CLONE / "examples" / "odoo"


@dataclass
class Erp:
    """Where partners are read: the target's URL, what the input says, and what lineage calls it."""

    target: str
    uri: str
    dataset: str
    create: Callable[[str], int]
    rename: Callable[[int, str], None]


def _double() -> Iterator[Erp]:
    with odoo_double.serve(19) as it:
        host = it.url.removeprefix("http://")
        yield Erp(
            f"odoo+http://admin:{odoo_double.KEY}@{host}/double",
            "odoo://erp/res.partner",
            f"dataset:odoo://{host}/double:res.partner",
            lambda name: it.create(name=name),
            lambda record, name: it.change(record, name=name, write_date=datetime.now(UTC)),
        )


@pytest.fixture(scope="module")
def real() -> Iterator[Odoo]:
    if reason := server.missing():
        pytest.skip(reason)
    with server.serve() as started:
        yield started


@pytest.fixture(
    params=[
        "double",
        pytest.param("api", marks=pytest.mark.needs("odoo")),
        pytest.param("postgres", marks=pytest.mark.needs("odoo")),
    ]
)
def erp(request: pytest.FixtureRequest) -> Iterator[Erp]:
    if request.param == "double":
        yield from _double()
        return
    odoo: Odoo = request.getfixturevalue("real")
    client = Client(of_url(odoo.target))

    def create(name: str) -> int:
        (made,) = client.call("res.partner", "create", vals_list=[{"name": name}])
        return int(made)

    def rename(record: int, name: str) -> None:
        client.call("res.partner", "write", ids=[record], vals={"name": name})

    host = odoo.url.removeprefix("http://")
    if request.param == "api":
        dataset = f"dataset:odoo://{host}/{odoo.database}:res.partner"
        yield Erp(odoo.target, "odoo://erp/res.partner", dataset, create, rename)
        return
    place = odoo.dsn.rpartition("@")[2].partition("/")[0]
    dataset = f"dataset:postgres://{place}:{odoo.database}.public.res_partner"
    yield Erp(odoo.dsn, "postgres://erp/public.res_partner", dataset, create, rename)


@pytest.fixture
def granted(room: Room) -> Iterator[Room]:
    grant = (
        "insert into tenancy.grants (tenant_id, kind, name) "
        "select id, 'target', 'erp' from tenancy.tenants where slug = %s"
    )
    room.query(grant, TENANT)
    yield room
    room.query("delete from tenancy.grants where kind = 'target' and name = 'erp'")
    for layer in ("bronze", "silver", "gold"):
        room.query(f"drop table if exists {layer}_rescue.partners")
    room.query("drop table if exists gold_rescue.partner_summary")


def example(uri: str) -> Json:
    """The job that ships, with its code, reading from where it is told."""
    [written], _ = document.jobs_of(document.read((EXAMPLE / "job.json").read_text(), "job.json"))
    job: Json = source.sent(written, EXAMPLE)
    job["name"] += f" {secrets.token_hex(4)}"
    for task in job["tasks"]:
        for each in task.get("inputs") or []:
            if "uri" in each:
                each["uri"] = uri
    return job


def run(room: Room, job: int) -> Json:
    made = room.ask("POST", "/jobs/run", json={"job_id": job})
    ended = shelf.ended(room, made["run_id"], 180)
    why = "select line from queue.logs where run_id = %s order by seq desc limit 6"
    assert ended["state"] == "SUCCEEDED", room.query(why, made["run_id"])
    return ended


def names(room: Room, table: str) -> list[str]:
    return [str(name) for (name,) in room.query(f"select name from {table} order by id, write_date")]


@pytest.mark.needs("odoo")  # six runs of code: too long for every day
def test_partners_go_from_odoo_to_gold_and_on_from_there(granted: Room, erp: Erp) -> None:
    room = granted
    first = erp.create("Azure Interior")
    room.start_runner(CONTROL_ROOM_TARGET_ERP_URL=erp.target)
    job = room.ask("POST", "/jobs", json=example(erp.uri))["job_id"]
    run(room, job)
    before = room.query("select count(*) from bronze_rescue.partners")[0][0]
    erp.create("Deco Addict")
    erp.rename(first, "Azure Interiors")
    ended = run(room, job)

    silver = names(room, "silver_rescue.partners")
    assert {"Azure Interiors", "Deco Addict"} <= set(silver)
    assert "Azure Interior" not in silver
    bronze = names(room, "bronze_rescue.partners")
    assert {"Azure Interior", "Azure Interiors", "Deco Addict"} <= set(bronze)
    assert len(bronze) >= before + 2
    ((total,),) = room.query("select sum(partners) from gold_rescue.partner_summary")
    assert total == len(silver)
    said = room.query(
        "select line from queue.logs where run_id = %s and line like 'input changes:%%'", ended["run_id"]
    )
    assert f"rows of {erp.uri}, write_date from " in said[0][0]
    node = "dataset:control-room://rescue:gold.partner_summary"
    graph = room.ask("GET", "/lineage", params={"nodeId": node, "direction": "upstream"})["graph"]
    assert erp.dataset in {each["id"] for each in graph}
    names_of = room.ask(
        "GET", "/column-lineage", params={"nodeId": "dataset:control-room://rescue:silver.partners"}
    )
    assert erp.dataset.removeprefix("dataset:").rpartition(":")[2] in json.dumps(names_of)
    # the key and the address were the runner's alone
    assert odoo_double.KEY not in json.dumps(ended) + str(said)


@pytest.mark.skipif(
    bool(environment.reason(Place(home() / "engines"), "catalog")),
    reason="needs the engine catalog: scripts/setup --engines catalog",
)
def test_records_of_odoo_become_entries_that_say_where_they_are_from(granted: Room, erp: Erp) -> None:
    room = granted
    name = f"Ready Mat x{secrets.token_hex(4)}"
    erp.create(name)
    room.start_runner(CONTROL_ROOM_TARGET_ERP_URL=erp.target)
    body: dict[str, Any] = {
        "job_type": "kb_catalog",
        "spec": "Catalogue the partners.",
        "inputs": [{"name": "partners", "uri": erp.uri, "read": {"fields": ["id", "name"]}}],
        "params": {"collection": "partners", "columns": {"body": "name"}},
    }
    made = int(room.ask("POST", "/jobs/run", json=body)["run_id"])
    assert shelf.ended(room, made)["state"] == "SUCCEEDED"

    (found,) = shelf.find(room, f'"{name}"', "partners")
    entry = room.ask("GET", f"/catalog/entries/{found['entry_id']}")
    assert entry["source"]["input"] == "partners"
    assert shelf.comes_from(room, "partners") >= {erp.dataset}
