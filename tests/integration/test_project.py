"""deploy/supabase: into a project with a history of its own, and a dump of all of it into an empty project."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.stack import keyring, migrate, postgres, state, testbed
from dev.stack.postgres import THROW_AWAY_SETTINGS, Server
from dev.stack.state import CLONE, Layout
from dev.stack.testbed import Database
from tests.acceptance import pages
from tests.integration.test_archive import FURNISH

APPLY = CLONE / "deploy" / "supabase" / "apply"


@contextlib.contextmanager
def empty_project(major: int) -> Iterator[Server]:
    """What Supabase gives before the first migration, in a cluster of its own: roles belong to a cluster."""
    root = Path(tempfile.mkdtemp(prefix=f"control-room-test-{os.getpid()}-", dir=testbed.scratch_folder()))
    place = Layout(root)
    place.make()
    port = state.choose_ports(place, {}, {})["postgres"]
    server = Server(
        place,
        postgres.find_binaries(major),
        port,
        keyring.generate(),
        THROW_AWAY_SETTINGS,
        dies_with_parent=True,
    )
    try:
        postgres.initialise(server)
        daemon = postgres.start(server)
        try:
            postgres.furnish(server)
            yield server
        finally:
            postgres.stop(daemon)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def project() -> Iterator[Server]:
    with empty_project(postgres.default_major()) as server:
        yield server


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(it) for it in command], capture_output=True, text=True, check=False)


def done(*command: object) -> str:
    ran = run(*command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def typed(block: str, folder: Path, **own: str) -> str:
    """What the page of operations tells to type, in a clone, with the databases that it leaves to its reader."""
    for each in ("deploy", "supabase"):
        (folder / each).symlink_to(CLONE / each)
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **own}
    ran = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{block}"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def schema(url: str) -> list[str]:
    """As pg_dump tells it, without what differs from dump to dump; grants have no order."""
    told = done("pg_dump", "--schema-only", "--exclude-schema=tests", url)
    kept = [line for line in told.splitlines() if line and not line.startswith(("--", "\\"))]
    told = re.sub(r" DATABASE \w+", " DATABASE", "\n".join(kept))
    return sorted(
        line for line in told.splitlines() if not re.match(r"SET|SELECT pg_catalog.set_config", line)
    )


def roles(url: str) -> set[tuple[object, ...]]:
    """Memberships and settings of roles, and default privileges."""
    with psycopg.connect(url) as connection:
        return {
            *connection.execute(
                "select r.rolname::text, m.rolname::text from pg_auth_members x join pg_roles r on r.oid = x.roleid"
                " join pg_roles m on m.oid = x.member"
            ).fetchall(),
            *connection.execute(
                "select rolname::text, rolsuper, rolinherit, rolcanlogin, rolbypassrls, rolcreaterole from pg_roles"
            ).fetchall(),
            *connection.execute(
                "select setrole::regrole::text, s from pg_db_role_setting d, unnest(setconfig) s where setdatabase = 0"
            ).fetchall(),
            *connection.execute(
                "select defaclrole::regrole::text, defaclobjtype::text, defaclacl::text from pg_default_acl"
                " where defaclnamespace = 0"
            ).fetchall(),
        }


def counts(url: str) -> dict[str, int]:
    """Rows of every table that has some."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema|tests)'"
        ).fetchall()
        found = {}
        for (name,) in tables:
            row = connection.execute(f"select count(*) from {name}").fetchone()
            assert row is not None
            if row[0]:
                found[name] = row[0]
        return found


@pytest.mark.long
def test_a_project_with_a_history_of_its_own_takes_it_in_and_keeps_its_own(
    project: Server, database: Database
) -> None:
    url = project.dsn("postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(migrate.HISTORY)
        own = "insert into supabase_migrations.schema_migrations (version, name) values ('20200101000000', 'own')"
        connection.execute(own)
        connection.execute("create table public.orders (id bigint primary key)")
        connection.execute("create function public.mine() returns void language sql as ''")
        connection.execute("alter role authenticator set pgrst.db_pre_request = 'public.mine'")
        in_the_way = run(APPLY, url)
        connection.execute("create view public.runs as select 1 as one")
        taken = run(APPLY, "--keep-pre-request", url)
        connection.execute("drop view public.runs")
        assert "to apply" in done(APPLY, "--dry-run", "--keep-pre-request", url)
        before = connection.execute("select to_regnamespace('ground')").fetchone()
        connection.execute("select pg_advisory_lock(hashtext('control-room apply'))")
        beside = run(APPLY, "--keep-pre-request", url)
        connection.execute("select pg_advisory_unlock_all()")
        done(APPLY, "--keep-pre-request", url)
        again = done(APPLY, "--keep-pre-request", url)
        setting = connection.execute(
            "select s from pg_db_role_setting d, unnest(setconfig) s where setrole = 'authenticator'::regrole"
            " and s like 'pgrst.db_pre_request%'"
        ).fetchall()
        history = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()

    assert "has a pre-request function, public.mine" in in_the_way.stderr
    assert "schema public has runs" in taken.stderr
    assert before == (None,)
    assert (beside.returncode, beside.stdout) == (1, "")
    assert "another apply is under way" in beside.stderr
    assert again.strip() == "0 migrations applied"
    assert setting == [("pgrst.db_pre_request=public.mine",)]
    assert history == [("20200101000000",)]
    ours = {*schema(project.dsn("supabase_admin"))}
    assert [line for line in schema(database.superuser) if line not in ours] == []


def test_a_dump_has_every_role_that_migrations_make() -> None:
    ground = (CLONE / "supabase" / "migrations" / "20261123000100_ground.sql").read_text()
    (several,) = re.findall(r"foreach r in array array\[(.*?)\]", ground)
    made = {*re.findall(r"'(\w+)'", several), *re.findall(r"^ +create role (\w+)", ground, re.MULTILINE)}
    (dumped,) = re.findall(r"^roles='(.*)'$", (APPLY.parent / "rehearse").read_text(), re.MULTILINE)

    assert {*dumped.split("|")} == made


@pytest.mark.long
def test_a_project_takes_it_in_as_the_page_says(project: Server, database: Database, tmp_path: Path) -> None:
    apply, _ = pages.at("docs/operations.md", "project")
    with psycopg.connect(project.dsn("postgres"), autocommit=True) as connection:
        connection.execute(migrate.HISTORY)  # a project that has had a push

    said = typed(apply, tmp_path, PROJECT=project.dsn("postgres"))

    assert re.search(r"(?m)^(\d+) migrations to apply$[\s\S]*^\1 migrations applied$", said)
    ours = {*schema(project.dsn("supabase_admin"))}
    assert [line for line in schema(database.superuser) if line not in ours] == []


@pytest.mark.long
def test_a_dump_comes_back_with_owners_row_security_and_grants(
    project: Server, database: Database, tmp_path: Path
) -> None:
    filled = subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", database.superuser],
        # pgTAP's words are for everybody in the tests, and nowhere else
        input=f"{FURNISH}\nrevoke usage on schema extensions from public;",
        capture_output=True,
        text=True,
        check=False,
    )
    assert filled.returncode == 0, filled.stderr

    _, rehearse = pages.at("docs/operations.md", "project")
    typed(rehearse, tmp_path, OLD=database.postgres, NEW=project.dsn("postgres"))

    source, target = database.superuser, project.dsn("supabase_admin")
    assert schema(target) == schema(source)
    assert roles(target) == roles(source)
    assert counts(target) == counts(source)
