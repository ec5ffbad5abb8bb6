"""schema_migration as it runs: the real parser and linters in the real sandbox, against a real Postgres.

Needs `scripts/setup --engines migration,validation`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic_sarif import model as oasis

from dev.stack import state
from dev.stack.testbed import Cluster
from runner.dispatch.handover import Handover
from runner.dispatch.intake import Intake
from runner.dispatch.migration import Migrations
from runner.dispatch.validation import Validation
from runner.dispatch.workspaces import Workspaces
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.jobtype.base import Place
from runner.jobtype.code_validation import CodeValidation
from runner.jobtype.schema_migration import SchemaMigration
from runner.model.attempt import Code
from runner.model.errors import Failure
from runner.model.outcome import Outcome, PermanentFailure, Succeeded, failed
from runner.model.termination import TerminationCode
from runner.model.workspace import Workspace
from runner.target import scratch
from runner.target.directory import Directory
from tests.contract.conftest import Recorder, Shelf, make_attempt

ROLE = "shopkeeper"
FIRST = {
    "1_orders.sql": "create table orders (id bigint primary key, total numeric(10, 2) not null, note text);\n",
    "2_view.sql": "create view big_orders as select id, total from orders where total > 100;\n",
}


@dataclass
class Shop:
    """A database elsewhere, and a way to migrate it."""

    url: str
    migrations: Migrations
    shelf: Shelf
    run_id: int = 0
    recorder: Recorder = field(default_factory=Recorder)

    async def migrate(
        self,
        files: dict[str, str],
        *,
        run_id: int | None = None,
        granted: tuple[str, ...] = ("shop",),
        **params: Any,
    ) -> Outcome:
        """One attempt. The linters run where a test is about them: they take seconds."""
        self.run_id = run_id if run_id is not None else self.run_id + 1
        attempt = make_attempt(
            job_type="schema_migration", run_id=self.run_id, attempt_id=self.run_id, timeout_seconds=240, name="migrate",
            code=Code(files=files), params={"target": "shop", "lint": False, **params}, targets=granted,
        )  # fmt: skip
        self.recorder = Recorder()
        nowhere = Workspace(root=Path("/nonexistent"), kept=Path("/nonexistent"))
        try:
            return await self.migrations.run(attempt, nowhere, self.recorder)
        except Failure as failure:
            return failed(failure)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def applied(self) -> list[str]:
        if self.query("select to_regclass('control_room.migrations')") == [(None,)]:
            return []
        rows = self.query(
            "select file from control_room.migrations where state = 'applied' order by position, file"
        )
        return [name for (name,) in rows]

    def tables(self) -> set[str]:
        return {name for (name,) in self.query("select tablename from pg_tables where schemaname = 'public'")}

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.shelf.stored["migration.json"])
        return found

    def rules(self, driver: str = "control-room-migration") -> set[tuple[str, str, int]]:
        """Rule, file and line of each result that was not allowed."""
        report = json.loads(self.shelf.stored["migration.sarif"])
        oasis.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(report)
        return {
            (
                each["ruleId"],
                each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
                each["locations"][0]["physicalLocation"]["region"]["startLine"],
            )
            for run in report["runs"]
            if run["tool"]["driver"]["name"] == driver
            for each in run["results"]
            if "suppressions" not in each
        }


def has_pg_dump(major: int) -> bool:
    """Whether this machine could make a dry run on a server of that major."""
    try:
        asyncio.run(scratch.programs(major))
    except scratch.Unfit:
        return False
    return True


@pytest.fixture
def shop(cluster: Cluster, made_sandbox: Sandbox, folder: Path) -> Iterator[Shop]:
    engines = Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines")
    place = Place(engines)
    job_type = SchemaMigration(place)
    (readiness,) = job_type.readiness()
    if not readiness.ready:
        pytest.skip(readiness.reason)
    work = folder / "work"
    work.mkdir()
    work.chmod(0o711)
    with cluster.server.connect() as admin:
        major = admin.info.server_version // 10_000
        if not has_pg_dump(major):
            pytest.skip(
                f"needs pg_dump of Postgres {major}: scripts/setup --postgres {major} --engines migration"
            )
        admin.execute(
            sql.SQL(
                "do $$ begin create role {} login createdb password 'key'; exception when duplicate_object then null; end $$"
            ).format(sql.Identifier(ROLE))
        )
        admin.execute(
            sql.SQL("create database shop owner {} template template0").format(sql.Identifier(ROLE))
        )
    url = f"postgresql://{ROLE}:key@127.0.0.1:{cluster.server.port}/shop"
    process = ProcessExecutor(made_sandbox)
    shelf = Shelf()
    intake = Intake(None, None, shelf)  # type: ignore[arg-type]  # no tables here
    workspaces = Workspaces(work, made_sandbox.owner)
    try:
        yield Shop(
            url,
            Migrations(
                sandboxed=process,
                job_type=job_type,
                validation=Validation(process, CodeValidation(place), workspaces, intake),
                workspaces=workspaces,
                intake=intake,
                handover=Handover(None, None, shelf),  # type: ignore[arg-type]
                targets=Directory({"SHOP": url}),
            ),
            shelf,
        )
    finally:
        with cluster.server.connect() as admin:
            left = admin.execute(
                "select datname from pg_database where datname like 'control\\_room\\_scratch\\_%'"
            )
            copies = [name for (name,) in left.fetchall()]
            admin.execute("drop database shop with (force)")
            for name in copies:
                admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        assert copies == []


async def test_files_are_applied_in_order_and_written_into_the_ledger(shop: Shop) -> None:
    outcome = await shop.migrate({**FIRST, "10_note.sql": "alter table orders add column paid boolean;\n"})

    assert isinstance(outcome, Succeeded), (outcome, shop.summary)
    assert shop.applied() == ["1_orders.sql", "2_view.sql", "10_note.sql"]
    assert [each["changed"] for each in shop.summary["applied"]] == [
        ["public.orders"],
        ["public.big_orders"],
        ["public.orders"],
    ]
    assert outcome.values["verdict"] == "applied"
    rows = shop.query(
        "select distinct run_id, attempt_id, lease, length(sha256), schema_before <> schema_after from control_room.migrations"
    )
    assert rows == [(1, 1, 3, 64, True)]


async def test_views_become_edges_and_tables_the_catalog(shop: Shop) -> None:
    outcome = await shop.migrate(FIRST)

    assert isinstance(outcome, Succeeded), (outcome, shop.summary)
    pairs = [
        ([x["name"] for x in event["inputs"]], event["outputs"][0]["name"], event["job"]["name"])
        for event in outcome.lineage
    ]
    assert (["shop.public.orders"], "shop.public.big_orders", "catalog/shop") in pairs
    assert ([], "shop.public.orders", "migrate") in pairs
    (view,) = [event for event in outcome.lineage if event["job"]["name"] == "catalog/shop"]
    traced = view["outputs"][0]["facets"]["columnLineage"]
    assert {name: [x["field"] for x in of["inputFields"]] for name, of in traced["fields"].items()} == {
        "id": ["id"],
        "total": ["total"],
    }
    assert [(x["field"], x["transformations"][0]["subtype"]) for x in traced["dataset"]] == [
        ("total", "FILTER")
    ]
    (catalog,) = outcome.catalog
    assert {(t["schema"], t["name"], t["kind"]) for t in catalog["tables"]} == {
        ("public", "orders", "table"),
        ("public", "big_orders", "view"),
    }
    (orders,) = [t for t in catalog["tables"] if t["name"] == "orders"]
    assert orders["columns"][1] == {"name": "total", "type": "numeric(10,2)", "nullable": False}


@pytest.mark.needs("migration")
async def test_what_a_file_writes_has_its_sources_column_by_column(shop: Shop) -> None:
    await shop.migrate(FIRST)
    files = {
        "3_sums.sql": "create table sums as select note, sum(total) as total from orders group by note;\n",
        "4_more.sql": "alter table sums add column twice numeric; insert into sums (note, twice) select note, total * 2 from orders;\n",
    }
    outcome = await shop.migrate({**FIRST, **files})

    assert isinstance(outcome, Succeeded), (outcome, shop.summary)
    (event,) = [each for each in outcome.lineage if each["outputs"][0]["name"] == "shop.public.sums"]
    assert [each["name"] for each in event["inputs"]] == ["shop.public.orders"]
    assert event["run"]["facets"]["control_room"]["method"] == "sql"
    traced = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert {name: sorted({x["field"] for x in of["inputFields"]}) for name, of in traced.items()} == {
        "note": ["note"],
        "total": ["total"],
        "twice": ["total"],
    }


async def test_what_was_applied_is_not_applied_again(shop: Shop) -> None:
    await shop.migrate({"1.sql": "create table t (n int); insert into t values (1);"})
    again = await shop.migrate({"1.sql": "create table t (n int); insert into t values (1);"})

    assert isinstance(again, Succeeded)
    assert again.values["verdict"] == "up to date"
    assert shop.query("select count(*) from t") == [(1,)]


@pytest.mark.needs("migration")
async def test_one_bad_file_takes_all_of_them_back(shop: Shop) -> None:
    files = {
        "1.sql": "create table a (n int);",
        "2.sql": "create table b (n int);\ninsert into nowhere values (1);",
    }
    refused = await shop.migrate(files)
    unseen = await shop.migrate(files, dry_run=False)
    one_by_one = await shop.migrate(files, dry_run=False, transaction="file")

    assert isinstance(refused, PermanentFailure)
    assert (
        refused.code is TerminationCode.VALIDATION_FAILED
    )  # the copy has shown it, the target was not touched
    assert isinstance(unseen, PermanentFailure)
    assert unseen.code is TerminationCode.USER_CODE_FAILED
    assert shop.rules() == {("apply-failed", "2.sql", 2)}
    assert isinstance(one_by_one, PermanentFailure)
    assert one_by_one.values["verdict"] == "partly applied"
    assert (shop.applied(), shop.tables()) == (["1.sql"], {"a"})


OLD = {
    "0.sql": "create table old (a int, b int, c text, d int, e bigint); create schema attic; insert into old values (1, 2, 'x', 4, 5);\n"
    "create table older (n int); create table oldest (n int);"
}
#: What a file says → the rule that it breaks, and about what.
DESTRUCTIVE = {
    "drop table older": "drop-table:public.older",
    "create table if not exists oldest (n int); drop table oldest": "drop-table:public.oldest",
    "alter table old drop column a": "drop-column:public.old.a",
    "truncate old": "truncate:public.old",
    "delete from old": "delete-without-where:public.old",
    "with gone as (delete from old where 1 = 1 returning *) select * from gone": "delete-without-where:public.old",
    "update old set b = 1 where true": "update-without-where:public.old",
    "do $$ begin delete from old; end $$": "delete-without-where:public.old",
    "do $$ begin execute 'insert into old values (9)'; end $$": "dynamic-sql",
    "create function f() returns void language sql as $$ truncate old $$; select f()": "truncate:public.old",
    "merge into old using old o on old.e = o.e when matched then delete": "merge-deletes:public.old",
    "drop schema attic": "drop-schema:attic",
}
#: What only a try can show.
NARROWING = {
    "alter table old alter column b type smallint": "narrow-type:public.old.b",
    "alter table old alter column c type varchar(5) using left(c, 5)": "narrow-type:public.old.c",
    "do $$ begin execute 'alter table old drop column d'; end $$": "drop-column:public.old.d",
}


async def test_what_destroys_needs_an_allowance_and_has_it_when_named(shop: Shop) -> None:
    await shop.migrate(OLD)
    files = {f"{n}.sql": f"{text};" for n, text in enumerate(DESTRUCTIVE, 1)}
    refused = await shop.migrate({**OLD, **files})
    found = {(path, rule) for rule, path, _ in shop.rules()}
    narrow = {f"{n}.sql": f"{text};" for n, text in enumerate(NARROWING, 1)}
    tried = await shop.migrate({**OLD, **narrow}, allow=["dynamic-sql"])
    shown = {rule for rule, _, _ in shop.rules()}
    unseen = await shop.migrate({**OLD, "1.sql": narrow["1.sql"]}, dry_run=False)
    row = shop.query("select * from old")
    allowed = await shop.migrate({**OLD, **narrow}, allow=["dynamic-sql", *NARROWING.values()])
    more = {f"{n + 10}.sql": f"{text};" for n, text in enumerate(DESTRUCTIVE, 1)}
    done = await shop.migrate({**OLD, **narrow, **more}, allow=list(DESTRUCTIVE.values()), dry_run=False)

    for outcome in (refused, tried, unseen):
        assert isinstance(outcome, PermanentFailure)
        assert outcome.code is TerminationCode.VALIDATION_FAILED
    assert found >= {(f"{n}.sql", each.partition(":")[0]) for n, each in enumerate(DESTRUCTIVE.values(), 1)}
    assert shown == {"changes-type", "narrow-type", "drop-column"}
    assert row == [(1, 2, "x", 4, 5)]
    assert isinstance(allowed, Succeeded), shop.summary
    assert isinstance(done, Succeeded), shop.summary


@pytest.mark.needs("migration")
async def test_new_names_and_wider_types_destroy_nothing(shop: Shop) -> None:
    await shop.migrate(
        {"1.sql": "create table t (a int, b varchar(5), c numeric(6, 2)); create table u (a int);"}
    )
    outcome = await shop.migrate(
        {
            "1.sql": "create table t (a int, b varchar(5), c numeric(6, 2)); create table u (a int);",
            "2.sql": "alter table t rename column a to id; alter table t alter column b type text; alter table u rename to w;\n"
            "alter table t alter column c type numeric(12, 4); alter table t alter column id type bigint;\n"
            "create temp table scratch (n int); drop table scratch; delete from t where id < 0;",
        }
    )

    assert isinstance(outcome, Succeeded), (outcome, shop.summary)


NEVER = {
    "begin": "transaction-control",
    "commit": "transaction-control",
    "set role postgres": "other-role",
    "set session authorization postgres": "other-role",
    "reset role": "other-role",
    "copy t from program 'id'": "server-file",
    "copy t to '/tmp/x'": "server-file",
    "copy t from stdin": "copy-from-stdin",
    "alter system set work_mem = '1MB'": "server-setting",
    "drop database postgres": "other-database",
    "prepare p as delete from t": "session-state",
    "set standard_conforming_strings = off": "session-state",
    "\\! id": "psql-command",
    "\\copy t from 'x'": "psql-command",
    "selec 1": "syntax-error",
    "delete from control_room.migrations where true": "ledger",
    "create index concurrently i on t (n)": "needs-no-transaction",
    "-- control-room: no transaction\ncreate table x (n int)": "not-repeatable",
}


async def test_what_leaves_the_transaction_the_role_or_the_database_is_never_done(shop: Shop) -> None:
    files = {f"{n}.sql": f"{text};\n" for n, text in enumerate(NEVER)}
    outcome = await shop.migrate(files, allow=list(set(NEVER.values())))

    assert isinstance(outcome, PermanentFailure)
    found = {(path, rule) for rule, path, _ in shop.rules()}
    assert found >= {(f"{n}.sql", rule) for n, rule in enumerate(NEVER.values())}
    assert shop.applied() == []


@pytest.mark.needs("migration")
async def test_hidden_ways_to_the_ledger_and_out_of_the_transaction_take_everything_back(shop: Shop) -> None:
    await shop.migrate({"1.sql": "create table kept (n int); insert into kept values (1);"})
    first = {"1.sql": "create table kept (n int); insert into kept values (1);"}
    ledger = "do $$ begin execute 'update control_room.migrations set run_id = 7'; end $$"
    commit = "create procedure p() language plpgsql as $$ begin commit; end $$; call p()"
    role = "select set_config('role', 'pg_monitor', false)"
    deletes = "create function q() returns void language plpgsql as $f$ begin execute 'delete from kept'; end $f$;\ncreate trigger r after insert on made for each statement execute function s();"
    hidden = (
        "create table made (n int); create function s() returns trigger language plpgsql as $f$ begin execute 'delete from kept'; return null; end $f$;\n"
        + deletes.split("\n")[1] + " insert into made values (1);"
    )  # fmt: skip
    seen = {}
    for name, text in {"ledger": ledger, "commit": commit, "role": role, "hidden": hidden}.items():
        outcome = await shop.migrate(
            {**first, f"2_{name}.sql": text}, allow=["dynamic-sql"], dry_run=name in ("commit",)
        )
        assert isinstance(outcome, PermanentFailure), (name, outcome)
        seen[name] = {rule for rule, _, _ in shop.rules()}

    assert seen == {
        "ledger": {"ledger"},
        "commit": {"dry-run-failed"},
        "role": {"apply-failed"},
        "hidden": {"hidden-delete"},
    }
    assert shop.query("select run_id from control_room.migrations") == [(1,)]
    assert shop.query("select * from kept") == [(1,)]
    assert shop.tables() == {"kept"}


@pytest.mark.needs("migration")
async def test_drift_is_found_between_files_ledger_and_schema(shop: Shop) -> None:
    files = {"1.sql": "create table a (n int);", "3.sql": "create table c (n int);"}
    await shop.migrate(files)
    changed = await shop.migrate({**files, "1.sql": "create table a (n bigint);"})
    changed_rules = shop.rules()
    late = await shop.migrate({**files, "2.sql": "create table b (n int);"})
    late_rules = shop.rules()
    shop.query("alter table a add column by_hand int")
    missing = await shop.migrate({"3.sql": files["3.sql"], "4.sql": "create table d (n int);"})

    assert isinstance(changed, PermanentFailure)
    assert changed_rules == {("changed-file", "1.sql", 1)}
    assert isinstance(late, PermanentFailure)
    assert late_rules == {("out-of-order", "2.sql", 1)}
    assert isinstance(missing, Succeeded)
    assert shop.rules() == {("missing-file", "1.sql", 1), ("schema-drift", "3.sql", 1)}
    assert shop.tables() == {"a", "c", "d"}


@pytest.mark.needs("migration")
async def test_a_table_that_is_locked_is_not_waited_for_and_the_attempt_may_be_tried_again(
    shop: Shop,
) -> None:
    await shop.migrate({"1.sql": "create table busy (n int);"})
    with psycopg.connect(shop.url) as other:
        other.execute("lock table busy in access exclusive mode")
        outcome = await shop.migrate(
            {"1.sql": "create table busy (n int);", "2.sql": "alter table busy add column m int;"},
            dry_run=False, lock_timeout_ms=200,
        )  # fmt: skip

    assert outcome.__class__.__name__ == "RetryableFailure"
    assert "2.sql, line 1" in outcome.message  # type: ignore[union-attr]
    slow = await shop.migrate(
        {"1.sql": "create table busy (n int);", "2.sql": "select pg_sleep(5);"},
        dry_run=False,
        statement_timeout_ms=200,
    )
    assert isinstance(slow, PermanentFailure)
    assert "statement timeout" in slow.message


@pytest.mark.needs("migration")
async def test_runs_on_one_target_go_one_after_the_other(shop: Shop) -> None:
    files = {"1.sql": "create table t (n int); select pg_sleep(0.5); insert into t values (1);"}
    first, second = await asyncio.gather(
        shop.migrate(files, run_id=5, dry_run=False), shop.migrate(files, run_id=6, dry_run=False)
    )

    assert isinstance(first, Succeeded)
    assert isinstance(second, Succeeded)
    assert {first.values["verdict"], second.values["verdict"]} == {"applied", "up to date"}
    assert shop.query("select count(*) from t") == [(1,)]


@pytest.mark.needs("migration")
async def test_outside_of_a_transaction_a_file_may_be_done_twice(shop: Shop) -> None:
    files = {
        "1.sql": "create table t (n int); insert into t values (1), (1);",
        "2.sql": "-- control-room: no transaction\ncreate unique index concurrently if not exists t_n on t (n);",
    }
    broken = await shop.migrate(files, dry_run=False)
    assert isinstance(broken, PermanentFailure)
    begun = shop.query("select state from control_room.migrations where file = '2.sql'")
    invalid = "select indisvalid from pg_index where indexrelid = 'public.t_n'::regclass"
    assert (begun, shop.query(invalid)) == ([("begun",)], [(False,)])
    shop.query("delete from t")
    mended = await shop.migrate(files)

    assert isinstance(mended, Succeeded), (mended, shop.summary)
    assert shop.query(invalid) == [(True,)]
    assert shop.applied() == ["1.sql", "2.sql"]


async def test_a_target_that_was_not_granted_or_is_not_there_is_refused(shop: Shop) -> None:
    outcomes = [
        await shop.migrate(FIRST, granted=()),
        await shop.migrate(FIRST, granted=("nowhere",), target="nowhere"),
        await shop.migrate(FIRST, allow="all"),
        await shop.migrate({"readme.md": "no sql"}),
    ]

    assert [each.code for each in outcomes] == [  # type: ignore[union-attr]
        TerminationCode.NOT_GRANTED,
        TerminationCode.EXECUTOR_UNAVAILABLE,
        TerminationCode.INVALID_CODE,
        TerminationCode.INVALID_CODE,
    ]
    assert shop.applied() == []


@pytest.mark.needs("validation")
async def test_the_linters_are_asked_first_and_their_report_is_in_ours(shop: Shop) -> None:
    files = {
        "1.sql": "create table orders (id serial primary key);\nalter table orders add column x int not null;\n"
    }
    strict = await shop.migrate(files, lint=True, fail_on="warning")
    assert isinstance(strict, PermanentFailure)
    assert strict.code is TerminationCode.VALIDATION_FAILED
    assert {rule for rule, _, _ in shop.rules("squawk")} >= {"adding-required-field"}
    assert shop.tables() == set()
    lenient = await shop.migrate(files, lint=True, fail_on="error")

    assert isinstance(lenient, Succeeded)
    assert shop.tables() == {"orders"}


@pytest.mark.needs("migration")
async def test_a_role_that_may_make_no_database_has_no_dry_run_and_is_told(
    shop: Shop, cluster: Cluster
) -> None:
    with cluster.server.connect() as admin:
        admin.execute(f"alter role {ROLE} nocreatedb".encode())
        try:
            refused = await shop.migrate(FIRST)
            rules = shop.rules()
            applied = await shop.migrate(FIRST, dry_run=False)
        finally:
            admin.execute(f"alter role {ROLE} createdb".encode())

    assert isinstance(refused, PermanentFailure)
    assert rules == {("no-dry-run", "1_orders.sql", 1)}
    assert isinstance(applied, Succeeded)
