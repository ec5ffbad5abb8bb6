"""A look at a database from inside: whether it is as the migrations leave it, and as the doors need it.

    CONTROL_ROOM_CHECKUP_URL=postgresql://… python -m runner.store.checkup [FOLDER OF MIGRATIONS]

Reads catalogs only, in one read-only transaction, as any role that may (`postgres` of the project). Prints a
JSON array of {"check", "state": "ok" | "warn" | "fail", "said", "mend"}; `control-room doctor` shows it.
The address comes by the environment: arguments are seen by everybody on the machine.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import dict_row

from runner.store import privileges

State = Literal["ok", "warn", "fail"]
Database = psycopg.Connection[dict[str, Any]]

#: Rooms that no door may show: what people call stands in public.
ROOMS = (
    *("ground", "tenancy", "artifact", "job", "queue", "lineage", "schedule", "catalog", "callback", "audit"),
    *("door", "worker", "staging"),
)
#: Without these, history could be written anew.
GUARDS = {
    *("edges_are_append_only", "edges_are_never_deleted", "edges_are_never_truncated"),
    *("entries_are_append_only", "entries_are_never_truncated", "seals_are_append_only"),
}
ARTIFACT_BYTES = 52_428_800


@dataclass(frozen=True)
class Finding:
    check: str
    state: State
    said: str
    mend: str | None = None


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        with psycopg.connect(
            os.environ["CONTROL_ROOM_CHECKUP_URL"],
            row_factory=dict_row,
            connect_timeout=10,
            prepare_threshold=None,
        ) as db:
            db.read_only = True
            found = list(look(db, folder))
    except psycopg.OperationalError as error:
        said = str(error).strip().splitlines()[0]
        found = [
            Finding(
                "database", "fail", said, "check the address, the password, and whether IPv6 is routed here"
            )
        ]
    json.dump([asdict(it) for it in found], sys.stdout)
    return 0


def look(db: Database, folder: Path | None = None) -> Iterator[Finding]:
    yield _server(db)
    known = _row(db, "select to_regclass('tenancy.tenants') is not null as there")
    yield from _migrations(db, folder, applied=known["there"])
    if not known["there"]:
        return
    for part in (_owners, _forced, _append_only, _settings, _hook, _bucket, _clock, _edge_key, _runner_role):
        try:
            with db.transaction():
                yield from part(db)
        except psycopg.errors.InsufficientPrivilege as error:
            yield Finding(
                part.__name__[1:].replace("_", " "),
                "warn",
                str(error).splitlines()[0],
                "look as the role postgres",
            )
    with db.transaction():
        yield from _as_migrated(db, folder)


def _server(db: Database) -> Finding:
    it = _row(
        db, "select current_setting('server_version_num')::integer / 10000 as major, current_user as who"
    )
    told = f"Postgres {it['major']}, as {it['who']}"
    if it["major"] < 15:
        return Finding("database", "fail", told, "Postgres 15 or 17")
    return Finding("database", "ok", told)


def _migrations(db: Database, folder: Path | None, *, applied: bool) -> Iterator[Finding]:
    there = _history(db)
    if not applied:
        yield Finding(
            "migrations",
            "fail",
            "none of ours is applied",
            "supabase db push, or the deploy script: docs/operations.md",
        )
        return
    if not there:
        yield Finding(
            "migrations", "warn", "applied, but there is no history of them", "supabase migration repair"
        )
        return
    rows = db.execute(_APPLIED[there]).fetchall()
    history = {it["version"]: _bare(" ".join(it["statements"] or [])) for it in rows}
    if folder is None:
        ours = [it for it in history if it.startswith("20261123")]
        yield Finding(
            "migrations", "ok", f"{len(ours)} are applied; run in a clone to see whether they are unchanged"
        )
        return
    files = {it.name.split("_", 1)[0]: it for it in sorted(folder.glob("*.sql"))}
    missing = [it.name for version, it in files.items() if version not in history]
    changed = [
        it.name
        for version, it in files.items()
        if history.get(version) and history[version] != _bare(it.read_text())
    ]
    if missing:
        yield Finding(
            "migrations", "fail", f"{len(missing)} are not applied: {_some(missing)}", "supabase db push"
        )
    if changed:
        yield Finding(
            "migrations", "fail", f"{len(changed)} were applied with another text: {_some(changed)}",
            "this clone is not of the version that the project runs: check out its tag",
        )  # fmt: skip
    if not missing and not changed:
        yield Finding("migrations", "ok", f"all {len(files)} are applied, and unchanged")


#: Beside another history ours has a table of its own: deploy/supabase/apply.
_APPLIED: dict[str, LiteralString] = {
    "supabase_migrations.control_room": (
        "select version, statements from supabase_migrations.control_room order by 1"
    ),
    "supabase_migrations.schema_migrations": (
        "select version, statements from supabase_migrations.schema_migrations order by 1"
    ),
}


def _history(db: Database) -> str | None:
    """The table that says what was applied."""
    query: LiteralString = """
        select coalesce(to_regclass('supabase_migrations.control_room'),
                        to_regclass('supabase_migrations.schema_migrations'))::text as history
    """
    found: str | None = _row(db, query)["history"]
    return found


def _applied(db: Database, history: str) -> Iterator[str]:
    for it in db.execute(_APPLIED[history]).fetchall():
        yield from it["statements"] or []


def _bare(sql: str) -> str:
    """What the CLI's splitting into statements leaves the same."""
    return re.sub(r"[\s;]+", "", sql)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _owners(db: Database) -> Iterator[Finding]:
    rows = db.execute(
        "select rolname, rolbypassrls or rolsuper or rolcanlogin as strong,"
        " (select string_agg(m.rolname, ', ') from pg_auth_members a join pg_roles m on m.oid = a.member"
        "  where a.roleid = r.oid and (to_jsonb(a) ->> 'inherit_option' is null"
        "    or (to_jsonb(a) ->> 'inherit_option')::boolean"
        "    or (to_jsonb(a) ->> 'set_option')::boolean)) as members"
        " from pg_roles r where rolname in ('app_owner', 'app_system') order by rolname"
    ).fetchall()
    strong = [it["rolname"] for it in rows if it["strong"]]
    joined = [f"{it['rolname']} ({it['members']})" for it in rows if it["members"]]
    if len(rows) < 2:
        yield Finding(
            "owners",
            "fail",
            "app_owner or app_system is missing",
            "restore roles before data: pg_dumpall --roles-only",
        )
    elif strong:
        yield Finding(
            "owners",
            "fail",
            f"{', '.join(strong)} may pass row security or log in",
            "alter role … nologin nobypassrls",
        )
    elif joined:
        yield Finding(
            "owners", "fail", f"somebody is a member of {'; '.join(joined)}",
            "a migration broke off between its grant and its revoke: revoke app_owner, app_system from …",
        )  # fmt: skip
    else:
        yield Finding(
            "owners", "ok", "app_owner and app_system cannot log in, and nobody is a member of them"
        )


def _forced(db: Database) -> Iterator[Finding]:
    rows = db.execute(
        "select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = any (%s) and n.nspname <> 'staging' and c.relkind in ('r', 'p')"
        " and not c.relispartition"
        " and not (c.relrowsecurity and c.relforcerowsecurity) order by 1",
        [list(ROOMS)],
    ).fetchall()
    if rows:
        names = [it["name"] for it in rows]
        yield Finding(
            "row security",
            "fail",
            f"not forced on {_some(names)}",
            "alter table … enable row level security, force row level security",
        )
    else:
        yield Finding("row security", "ok", "enabled and forced on every table")


def _append_only(db: Database) -> Iterator[Finding]:
    rows = db.execute(
        "select t.tgname as name, c.oid::regclass::text as of, t.tgenabled::text as enabled"
        " from pg_trigger t join pg_class c on c.oid = t.tgrelid"
        " join pg_namespace n on n.oid = c.relnamespace"
        " where not t.tgisinternal and t.tgparentid = 0 and n.nspname = any (%s) order by 1",
        [list(ROOMS)],
    ).fetchall()
    idle = [f"{it['name']} of {it['of']}" for it in rows if it["enabled"] != "A"]
    gone = sorted(GUARDS - {it["name"] for it in rows})
    if idle or gone:
        yield Finding(
            "append-only",
            "fail",
            f"guards do not fire: {_some(idle + gone)}",
            "alter table … enable always trigger …; the audit says since when",
        )
    else:
        yield Finding("append-only", "ok", f"{len(rows)} guards fire always")


def _as_migrated(db: Database, folder: Path | None) -> Iterator[Finding]:
    """What a restore, a dashboard or a hand loses: owners, grants, policies, triggers, the chain of roles."""
    if folder is None:
        history = _history(db)
        text = "".join(f"{each};\n" for each in (_applied(db, history) if history else ()))
    else:
        text = "\n".join(file.read_text() for file in sorted(folder.glob("*.sql")))
    said = privileges.told(text)
    # those are looked at by name, and whether they fire
    said = replace(said, triggers=[it for it in said.triggers if it[0] not in GUARDS])
    if strayed := [*privileges.strayed(db, ROOMS)]:
        yield Finding(
            "ownership", "fail", f"{len(strayed)} belong to somebody else: {_some(strayed)}",
            "alter … owner to app_owner or app_system, as its migration says; rehearse keeps owners",
        )  # fmt: skip
    else:
        yield Finding("ownership", "ok", "tables and functions belong to app_owner and app_system")
    if lost := [*privileges.lost(db, said)]:
        yield Finding(
            "grants", "fail", f"{len(lost)} are missing: {_some(lost)}",
            "say its stanza of supabase/migrations again",
        )  # fmt: skip
    else:
        there = len(said.functions) + len(said.tables) + len(said.schemas)
        made = len(said.policies) + len(said.triggers)
        yield Finding("grants", "ok", f"{there} grants, {made} policies and triggers are there")
    if given := [*privileges.given(db, ROOMS, said)] if said.functions else []:
        yield Finding(
            "strangers' grants", "fail", f"anon may {_some(given)}", "revoke it from anon and public"
        )
    else:
        yield Finding("strangers' grants", "ok", "anon may what migrations grant, and no more")
    strong, unchained = [*privileges.strong(db)], [*privileges.unchained(db)]
    if strong:
        yield Finding(
            "roles", "fail", f"row security does not hold {', '.join(strong)}",
            "alter role … nosuperuser nobypassrls",
        )  # fmt: skip
    elif unchained:
        yield Finding(
            "roles", "fail", "; ".join(f"{member} is no {role}" for role, member in unchained),
            "; ".join(f"grant {role} to {member}" for role, member in unchained),
        )  # fmt: skip
    else:
        yield Finding("roles", "ok", "each is what the chain makes it, and held by row security")


def _settings(db: Database) -> Iterator[Finding]:
    rows = db.execute(
        "select x as said from pg_db_role_setting s join pg_roles r on r.oid = s.setrole"
        " cross join unnest(s.setconfig) x"
        " where r.rolname = 'authenticator' and s.setdatabase in"
        " (0, (select oid from pg_database where datname = current_database()))"
    ).fetchall()
    said = dict(it["said"].split("=", 1) for it in rows)
    if said.get("pgrst.db_pre_request") == "tenancy.pre_request":
        yield Finding("pre-request", "ok", "tenancy.pre_request looks at every request of the Data API")
    else:
        yield Finding(
            "pre-request", "fail", f"pgrst.db_pre_request is {said.get('pgrst.db_pre_request', 'not set')}",
            "alter role authenticator set pgrst.db_pre_request = 'tenancy.pre_request';"
            " notify pgrst, 'reload config'",
        )  # fmt: skip
    exposed = [it.strip() for it in said.get("pgrst.db_schemas", "").split(",") if it.strip() in ROOMS]
    if exposed:
        yield Finding(
            "schemas by setting",
            "fail",
            f"{', '.join(exposed)} are exposed",
            "alter role authenticator reset pgrst.db_schemas",
        )


def _hook(db: Database) -> Iterator[Finding]:
    it = _row(
        db,
        "select exists (select from pg_roles where rolname = 'supabase_auth_admin') as there,"
        " case when exists (select from pg_roles where rolname = 'supabase_auth_admin')"
        " then has_function_privilege('supabase_auth_admin', 'tenancy.custom_access_token_hook(jsonb)',"
        " 'execute') end as may",
    )
    if it["may"]:
        yield Finding(
            "token hook",
            "ok",
            "Auth may call it; that it is switched on stands in the dashboard (Auth, Hooks)",
        )
    else:
        yield Finding(
            "token hook", "warn", "Auth may not call tenancy.custom_access_token_hook",
            "grant execute on function tenancy.custom_access_token_hook(jsonb) to supabase_auth_admin",
        )  # fmt: skip


def _bucket(db: Database) -> Iterator[Finding]:
    if not _row(db, "select to_regclass('storage.buckets') is not null as there")["there"]:
        yield Finding("bucket", "fail", "there is no storage", "switch Storage on, then apply the migrations")
        return
    rows = db.execute(
        "select id, public, file_size_limit from storage.buckets where id = 'artifacts'"
    ).fetchall()
    if not rows:
        yield Finding(
            "bucket",
            "fail",
            "there is no bucket artifacts",
            "apply the migrations again after Storage is there",
        )
    elif rows[0]["public"]:
        yield Finding(
            "bucket",
            "fail",
            "the bucket artifacts is public",
            "update storage.buckets set public = false where id = 'artifacts'",
        )
    elif rows[0]["file_size_limit"] != ARTIFACT_BYTES:
        yield Finding(
            "bucket", "warn", f"takes {rows[0]['file_size_limit']} bytes, not {ARTIFACT_BYTES}",
            "set its file_size_limit to that: Storage, the bucket's settings",
        )  # fmt: skip
    else:
        yield Finding("bucket", "ok", "artifacts is private and takes 50 MiB a file")


def _clock(db: Database) -> Iterator[Finding]:
    if not _row(db, "select exists (select from pg_extension where extname = 'pg_cron') as there")["there"]:
        yield Finding("clock", "ok", "the runners' own: without pg_cron jobs start while a runner is there")
        return
    rows = db.execute("select schedule, active from cron.job where jobname = 'control-room-clock'").fetchall()
    if rows and rows[0]["active"]:
        yield Finding("clock", "ok", f"pg_cron fires ({rows[0]['schedule']}), and the runners do")
    else:
        yield Finding(
            "clock", "warn", "pg_cron is there and does not fire",
            "select cron.schedule('control-room-clock', '10 seconds', 'select worker.fire()')",
        )  # fmt: skip


def _edge_key(db: Database) -> Iterator[Finding]:
    rows = db.execute("select edge_key_hash is not null as there from audit.settings").fetchall()
    if rows and rows[0]["there"]:
        yield Finding("edge key", "ok", "the audit knows the edge function by its key")
    else:
        yield Finding(
            "edge key", "warn", "entries made by the edge function say rpc, and its own address",
            "platform_set_audit {\"edge_key_sha256\"}: docs/operations.md",
        )  # fmt: skip


def _runner_role(db: Database) -> Iterator[Finding]:
    rows = db.execute(
        "select r.rolname, r.rolsuper or r.rolbypassrls as strong, r.rolcanlogin as login from pg_roles r"
        " where pg_has_role(r.oid, 'runner', 'usage') and not r.rolsuper"
        " and r.rolname not in ('runner', 'postgres')"
    ).fetchall()
    strong = [it["rolname"] for it in rows if it["strong"]]
    may = _row(db, "select rolcanlogin as login from pg_roles where rolname = 'runner'")["login"]
    if strong:
        yield Finding(
            "runner's role",
            "warn",
            f"{', '.join(strong)} may pass row security",
            "a role of its own: nosuperuser nobypassrls",
        )
    elif not may and not any(it["login"] for it in rows):
        yield Finding(
            "runner's role", "warn", "no role of a runner may log in", "alter role runner login password …"
        )
    else:
        yield Finding("runner's role", "ok", "a runner may log in, and may no more than its verbs")


def _row(db: Database, sql: LiteralString) -> dict[str, Any]:
    found = db.execute(sql).fetchone()
    assert found is not None
    return found


if __name__ == "__main__":
    sys.exit(main())
