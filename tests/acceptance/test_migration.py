"""schema_migration from door to door, and with its runner killed between the commit in the target and the settle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.rescue.conftest import TENANT, Json, Room, room, stack_folder
from tests.acceptance.test_validation import download
from tests.contract.test_migration import has_pg_dump

__all__ = ["room", "stack_folder"]  # fixtures

FILES = {
    "1_orders.sql": "create table orders (id bigint primary key, total numeric(10, 2) not null);\n",
    "2_rows.sql": "insert into orders values (1, 10), (2, 20);\n",
    "3_view.sql": "create view big_orders as select id from orders where total > 15;\n",
}
CLONE = Path(__file__).resolve().parents[2]


@pytest.fixture
def shop(room: Room) -> Iterator[str]:
    """URL of a database of somebody else's, on the stack's server, that the tenant may migrate."""
    major = int(room.query("show server_version_num")[0][0]) // 10_000
    if not has_pg_dump(major):
        pytest.skip(
            f"needs pg_dump of Postgres {major}: scripts/setup --postgres {major} --engines migration"
        )
    room.query("create role shopkeeper login createdb password 'key'")
    room.query("create database shop owner shopkeeper template template0")
    try:
        port = room.environment["DATABASE_URL"].rpartition(":")[2].partition("/")[0]
        yield f"postgresql://shopkeeper:key@127.0.0.1:{port}/shop"
    finally:
        room.query("drop database shop with (force)")
        room.query("drop role shopkeeper")
        room.query("delete from tenancy.grants where kind = 'target'")


def grant(room: Room) -> None:
    room.query(
        "insert into tenancy.grants (tenant_id, kind, name) select id, 'target', 'shop' from tenancy.tenants where slug = %s",
        TENANT,
    )


def ended(room: Room, run: int) -> Json:
    found: list[Json] = []

    def has_ended() -> bool:
        found[:] = [room.ask("GET", f"/runs/{run}")]
        return found[0]["state"] not in ("QUEUED", "RUNNING", "BLOCKED")

    room.until("the run ended", has_ended, 120)
    return found[0]


def asked(shop: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(shop) as connection:
        return connection.execute(statement.encode()).fetchall()


def submission(**params: object) -> Json:
    return {"job_type": "schema_migration", "spec": "orders for the shop", "code": {"files": FILES},
            "params": {"target": "shop", "lint": False, **params}}  # fmt: skip


@pytest.mark.needs("migration")
def test_a_runner_that_dies_after_the_commit_leaves_nothing_to_be_done_twice(room: Room, shop: str) -> None:
    grant(room)
    doomed = room.start_runner(
        CONTROL_ROOM_TARGET_SHOP_URL=shop, CONTROL_ROOM_FAILPOINTS="settle_attempts.before=kill"
    )
    run = room.ask("POST", "/jobs/run", json=submission())["run_id"]
    assert doomed.wait(120) == -signal.SIGKILL
    ledger = asked(shop, "select file, run_id, lease from control_room.migrations order by position")
    assert ledger == [(name, run, 1) for name in FILES]
    assert room.ask("GET", f"/runs/{run}")["state"] == "RUNNING"
    room.start_runner(CONTROL_ROOM_TARGET_SHOP_URL=shop)
    after = ended(room, run)

    assert after["state"] == "SUCCEEDED", (after, room.log(1)[-2000:])
    assert asked(shop, "select file, run_id, lease from control_room.migrations order by position") == ledger
    assert asked(shop, "select count(*) from orders") == [(2,)]
    said = json.loads(download(room, "migration.json", after))
    assert (said["verdict"], [each["run_id"] for each in said["already"]]) == ("up to date", [run] * 3)
    # the settle that came through has the lineage and the catalog of what the dead one did
    tables = room.ask("GET", "/catalog/tables?target=shop")["items"]
    assert [(each["name"], each["kind"]) for each in tables] == [("big_orders", "view"), ("orders", "table")]
    edges = room.query(
        "select s.name, d.name, e.method from lineage.edges e join lineage.datasets s on s.id = e.src join lineage.datasets d on d.id = e.dst where e.run_id = %s",
        run,
    )
    assert edges == [("shop.public.orders", "shop.public.big_orders", "catalog")]
    assert room.untold(run) == []
    left = room.query("select datname from pg_database where datname like 'control\\_room\\_scratch%%'")
    assert left == []


@pytest.mark.needs("migration")
def test_a_runner_that_dies_in_the_middle_of_a_file_leaves_neither_rows_nor_copies(
    room: Room, shop: str
) -> None:
    grant(room)
    slow = {"1.sql": "create table t (n int); insert into t values (1); select pg_sleep(4);"}
    body = {**submission(), "code": {"files": slow}}
    scratch = "select 1 from pg_database where datname like 'control\\_room\\_scratch%%'"
    running = "select 1 from pg_stat_activity where datname = 'shop' and query like 'select pg_sleep%%' and state = 'active'"
    trying = "select 1 from pg_stat_activity where datname like 'control\\_room\\_scratch%%' and query like 'select pg_sleep%%'"
    run = room.ask("POST", "/jobs/run", json=body)["run_id"]
    for moment in (trying, running):
        doomed = room.start_runner(CONTROL_ROOM_TARGET_SHOP_URL=shop)
        room.until("the file is at work", lambda moment=moment: room.query(moment), 90)
        doomed.kill()
        doomed.wait()
        # the server notices, and takes back what was not committed
        room.until("the transaction is gone", lambda: not room.query(running), 30)
        assert asked(shop, "select count(*) from pg_tables where tablename = 't'") == [(0,)]
    room.start_runner(CONTROL_ROOM_TARGET_SHOP_URL=shop)
    after = ended(room, run)

    assert after["state"] == "SUCCEEDED", (after, room.log(2)[-2000:])
    assert asked(shop, "select count(*) from t") == [(1,)]
    assert asked(shop, "select file, run_id from control_room.migrations") == [("1.sql", run)]
    assert room.query(scratch) == []


@pytest.mark.needs("migration")
def test_the_cli_migrates_a_granted_target_and_no_other(room: Room, shop: str, tmp_path: Path) -> None:
    room.start_runner(CONTROL_ROOM_TARGET_SHOP_URL=shop)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "CONTROL_ROOM_TOKEN": room.tokens["operator"],
            **dict(room.environment),
            "PATH": os.environ["PATH"],
        }
        command = [
            str(Path(sys.executable).parent / "control-room"),
            "run",
            "--type",
            "schema_migration",
            *arguments,
            str(tmp_path),
        ]
        return subprocess.run(
            command, env=environment, cwd=CLONE, capture_output=True, text=True, timeout=150, check=False
        )

    refused = cli("--wait", "--spec", "orders for the shop", "--param", "target=shop")
    grant(room)
    done = cli("--wait", "--spec", "orders for the shop", "--param", "target=shop")

    assert refused.returncode != 0
    assert "TARGET_NOT_GRANTED" in refused.stdout + refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr + room.log(0)[-3000:]
    assert asked(shop, "select count(*) from orders") == [(2,)]
