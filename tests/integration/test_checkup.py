"""`control-room doctor` from inside: a sound database is found sound, and each thing that breaks is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg.rows import dict_row

from dev.stack.testbed import Database
from runner.store import checkup

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"

#: What somebody might do to a project, and the check that must see it.
BREAKS: list[tuple[LiteralString, str, str]] = [
    ("alter table lineage.edges disable trigger edges_are_append_only", "append-only", "fail"),
    ("drop trigger entries_are_append_only on audit.entries", "append-only", "fail"),
    ("alter table queue.runs no force row level security", "row security", "fail"),
    ("alter role authenticator reset pgrst.db_pre_request", "pre-request", "fail"),
    ("alter role authenticator set pgrst.db_schemas = 'public, tenancy'", "schemas by setting", "fail"),
    ("grant app_owner to postgres", "owners", "fail"),
    ("alter role app_system bypassrls", "owners", "fail"),
    ("delete from supabase_migrations.schema_migrations where name = 'queue'", "migrations", "fail"),
    ("update supabase_migrations.schema_migrations set statements = '{select 1}' where name = 'queue'", "migrations", "fail"),
    ("revoke execute on function tenancy.custom_access_token_hook from supabase_auth_admin", "token hook", "warn"),
    ("update storage.buckets set public = true where id = 'artifacts'", "bucket", "fail"),
    ("update storage.buckets set file_size_limit = 1 where id = 'artifacts'", "bucket", "warn"),
    ("alter table queue.runs owner to postgres", "ownership", "fail"),
    ("alter function worker.claim_attempts(uuid, text[], integer) owner to postgres", "ownership", "fail"),
    ("revoke usage on schema worker from runner", "grants", "fail"),
    ("revoke execute on function worker.claim_attempts(uuid, text[], integer) from runner", "grants", "fail"),
    ("revoke execute on function public.run_job(jsonb) from authenticated", "grants", "fail"),
    ("revoke select on public.runs from authenticated", "grants", "fail"),
    ("drop function worker.demand()", "grants", "fail"),
    ('drop policy "members see their jobs" on job.jobs', "grants", "fail"),
    ("grant execute on function public.run_job(jsonb) to anon", "strangers' grants", "fail"),
    ("grant select on queue.runs to public", "strangers' grants", "fail"),
    ("alter role scaler bypassrls", "roles", "fail"),
    ("revoke viewer from authenticator", "roles", "fail"),
]  # fmt: skip


def test_what_is_broken_is_named_and_nothing_else(database: Database) -> None:
    with psycopg.connect(database.superuser, row_factory=dict_row) as db:
        sound = {it.check: it for it in checkup.look(db, MIGRATIONS)}
        db.rollback()
        seen = {}
        for sql, check, state in BREAKS:
            db.execute(sql)
            found = {it.check: it for it in checkup.look(db, MIGRATIONS)}
            db.rollback()
            changed = {name: it.state for name, it in found.items() if it != sound.get(name)}
            assert found[check].mend
            seen[sql] = changed
            assert changed == {check: state}, sql

    # the runner's key at the edge is told once by the operator; a test's database has no such day
    with psycopg.connect(database.superuser, row_factory=dict_row) as db:
        # without a clone, by what the history says was applied
        told = {it.check: it for it in checkup.look(db)}
    assert {name: it for name, it in told.items() if name != "migrations" and it != sound[name]} == {}
    assert {it.check for it in sound.values() if it.state != "ok"} <= {"edge key", "runner's role"}
    assert len(seen) == len(BREAKS)


def test_a_database_without_any_of_it_says_so_and_nothing_is_written_by_looking(database: Database) -> None:
    def told(url: str) -> list[dict[str, str]]:
        environment = {**os.environ, "CONTROL_ROOM_CHECKUP_URL": url}
        done = subprocess.run(
            [sys.executable, "-m", "runner.store.checkup"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    with psycopg.connect(database.superuser, autocommit=True) as db:
        db.execute("drop schema tenancy cascade")

    assert [(it["check"], it["state"]) for it in told(database.superuser)] == [
        ("database", "ok"),
        ("migrations", "fail"),
    ]
    nobody = told("postgresql://nobody@127.0.0.1:9/none?connect_timeout=2")
    assert [(it["check"], it["state"]) for it in nobody] == [("database", "fail")]
