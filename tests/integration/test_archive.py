"""A tenant leaves one project and enters another: all of it, and nothing of anybody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dev.stack.testbed import Cluster, Database
from runner import archive as tool
from runner.store import archive
from runner.store.archive import ArchiveError

CLONE = Path(__file__).resolve().parents[2]
# north has a row in every table, as the wall of the tenants wants it
FURNISH = f"""
begin;
\\i {CLONE}/sql_tests/fixtures.psql
\\i {CLONE}/sql_tests/sentinel.psql
commit;
"""
CANCEL = """
select tests.as('north.operator', format('public.cancel_run(%L::jsonb)', jsonb_build_object('run_id', r.id)))
from queue.runs r where r.tenant_id = tests.tenant('north') and r.finished_at is null;
"""


@pytest.fixture(scope="module")
def busy(cluster: Cluster) -> Iterator[Database]:
    """North and south, with runs of north's that have not ended."""
    with cluster.database() as made:
        run = subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", made.superuser],
            input=FURNISH,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        yield made


@pytest.fixture(scope="module")
def old(cluster: Cluster, busy: Database) -> Database:
    """The same when all have ended."""
    with pytest.raises(ArchiveError, match="have not ended"):
        tool.take_out(busy.postgres, None, "north", Path("/nonexistent/never"))
    with psycopg.connect(busy.superuser) as connection:
        connection.execute(CANCEL)
        # what a line of text could break
        connection.execute(
            "insert into gold_north.sentinel (a) values (E'a \\\\ \"b\"\\n\\tc, NULL'), (null), ('')"
        )
        connection.execute("insert into gold_north.sentinel_sums (a, n) values ('a', 1)")
    return busy


@pytest.fixture(scope="module")
def written(old: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "north"
    tool.take_out(old.postgres, None, "north", folder)
    return folder


@pytest.fixture
def taken(written: Path, tmp_path: Path) -> Path:
    """The archive of north, for a test to do with as it likes."""
    return Path(shutil.copytree(written, tmp_path / "north"))


def content(database: Database, slug: str) -> dict[str, Counter[str]]:
    """Every row of the tenant, by table."""
    found = {}
    with archive.snapshot(database.superuser) as connection:
        tenant = archive.find(connection, slug)
        names = archive.tables(connection)
        names += [archive.layer_table(tenant, it) for it in archive.layer_tables(connection, tenant)]
        for name in names:
            found[name] = Counter(archive.rows(connection, name, tenant))
        found["tenancy.tenants"] = Counter(archive.rows(connection, "tenancy.tenants", tenant, key="id"))
    return found


def test_what_comes_in_is_what_went_out_row_for_row(old: Database, database: Database, taken: Path) -> None:
    told = tool.take_in(database.postgres, None, taken)

    before, after = content(old, "north"), content(database, "north")
    assert len(before) > 50
    # what waits in line is empty once all has ended; any other table without a row would prove nothing
    assert {name for name in before if not before[name]} <= {"queue.lanes", "artifact.removals"}
    assert after == before
    assert told["objects"] > 0
    assert any(name.startswith("gold_north.") for name in after)


def test_nothing_of_another_tenant_goes_along(old: Database, taken: Path) -> None:
    with psycopg.connect(old.superuser) as connection:
        row = connection.execute("select id::text from tenancy.tenants where slug = 'south'").fetchone()
    assert row is not None

    written = "".join(path.read_text() for path in taken.rglob("*") if path.is_file())
    assert row[0] not in written
    assert '"south' not in written


def test_the_tenant_lives_on_where_it_came_to(database: Database, taken: Path) -> None:
    told = tool.take_in(database.postgres, None, taken)

    tenant = told["tenant"]["tenant_id"]
    claims = {"sub": "north.admin", "user_id": "north.admin", "tenant_id": tenant, "role": "admin"}
    form = {"job_type": "spark_etl", "spec": "go on", "code": {"files": {"job.py": "print(1)"}}}
    assert asked(database, claims, "audit_verify", {})["ok"] is True
    made = asked(database, claims, "run_job", form)
    with psycopg.connect(database.superuser) as connection:
        highest = connection.execute(
            "select max(id) from queue.runs where id < %s", [made["run_id"]]
        ).fetchone()
        closed = connection.execute(
            "select bool_and(c.relrowsecurity and c.relforcerowsecurity and o.rolname = 'app_system') from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace join pg_roles o on o.oid = c.relowner"
            " where n.nspname = 'gold_north' and c.relkind = 'r'"
        ).fetchone()
        left = connection.execute(
            "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.roleid"
            " join pg_roles p on p.oid = m.member where r.rolname like 'app\\_%' and p.rolname = 'postgres'"
        ).fetchone()
    assert highest is not None
    assert highest[0] is not None
    assert closed == (True,)
    assert left == (0,), "the owners are nobody's"


def test_all_of_it_comes_in_or_nothing(old: Database, database: Database, taken: Path) -> None:
    tool.take_in(database.postgres, None, taken)
    whole = content(database, "north")

    with pytest.raises(ArchiveError, match="has a tenant 'north'"):
        tool.take_in(database.postgres, None, taken)
    with psycopg.connect(database.superuser) as connection:
        connection.execute("update tenancy.tenants set slug = 'norther' where slug = 'north'")
    other = taken.parent / "other"
    shutil.copytree(taken, other)
    anew(
        other,
        "tables/tenancy.tenants.jsonl",
        lambda row: row | {"id": "00000000-0000-4000-8000-000000000001"},
    )
    with pytest.raises(ArchiveError):
        tool.take_in(database.postgres, None, other)

    with psycopg.connect(database.superuser) as connection:
        connection.execute("update tenancy.tenants set slug = 'north' where slug = 'norther'")
        rows = connection.execute("select slug from tenancy.tenants").fetchall()
        schemas = connection.execute(
            "select count(*) from pg_namespace where nspname ~ '^(bronze|silver|gold)_'"
        ).fetchone()
    assert rows == [("north",)]
    assert schemas == (3,)
    assert content(database, "north") == whole


def test_a_file_that_was_changed_is_not_believed(database: Database, taken: Path) -> None:
    file = taken / "tables" / "audit.entries.jsonl"
    file.write_text(file.read_text().replace("SENTINEL", "sentinel", 1))

    with pytest.raises(ArchiveError, match=r"audit\.entries\.jsonl is not what was written"):
        tool.take_in(database.postgres, None, taken)


def test_another_schema_is_refused_with_the_mend(database: Database, taken: Path) -> None:
    told = json.loads((taken / "archive.json").read_text())
    (taken / "archive.json").write_text(json.dumps(told | {"schema_version": "20200101000000"}))

    with pytest.raises(ArchiveError, match="bring the older one up to date first"):
        tool.take_in(database.postgres, None, taken)


def anew(folder: Path, name: str, change: Any) -> None:
    """Rewrites the rows of a file as if they had been taken out so."""
    rows = [change(json.loads(line)) for line in (folder / name).read_text().splitlines()]
    written = tool.Folder(folder)
    written.write(name, (json.dumps(row) for row in rows))
    told = json.loads((folder / "archive.json").read_text())
    told["sha256"] |= written.digests
    (folder / "archive.json").write_text(json.dumps(told))


def asked(database: Database, claims: dict[str, Any], function: str, form: dict[str, Any]) -> Any:
    """What the Data API would answer."""
    with psycopg.connect(database.superuser) as connection:
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(claims["role"])))
        call = sql.SQL("select public.{}(%s::jsonb)").format(sql.Identifier(function))
        row = connection.execute(call, [json.dumps(form)]).fetchone()
    assert row is not None
    return row[0]
