"""Migrations, as `supabase db push` runs them: in order, as `postgres`, each in one transaction.

The history is the CLI's own table, so that both find what the other did.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dev.stack.errors import StackError
from dev.stack.postgres import Connection
from dev.stack.state import CLONE

MIGRATIONS = CLONE / "supabase" / "migrations"
SEED = CLONE / "supabase" / "seed.sql"

HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
    version text not null primary key,
    statements text[],
    name text
);
create table if not exists supabase_migrations.seed_files (
    path text not null primary key,
    hash text not null
);
"""


@dataclass(frozen=True)
class Migration:
    """One file `<version>_<name>.sql`."""

    version: str
    name: str
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """What the folder holds, in order; other files are passed over, as the CLI does."""
    found = []
    for path in sorted(folder.glob("*.sql")) if folder.is_dir() else []:
        if match := re.fullmatch(r"([0-9]+)_(.*)\.sql", path.name):
            found.append(Migration(match[1], match[2], path))
    return found


def apply(dsn: str, wanted: Sequence[Migration]) -> list[Migration]:
    """Applies what the database does not have yet and returns it.

    `dsn` logs in as `postgres`. Raises StackError with file and line where a statement fails, and where a
    migration was edited or taken away after it had been applied: until v0.1.0 they are edited in place, and
    only a reset brings an old database up to date.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(HISTORY)
        rows = connection.execute("select version, statements from supabase_migrations.schema_migrations")
        history: dict[str, list[str]] = {version: statements or [] for version, statements in rows}
        unknown = sorted(history.keys() - {migration.version for migration in wanted})
        if unknown:
            few = ", ".join(unknown[:3]) + (", …" if unknown[3:] else "")
            raise StackError(
                f"this database has migrations that are not in the folder: {few}",
                "it is of another time of this clone: run scripts/stack reset (the local data is lost)",
            )
        for migration in wanted:
            if migration.version in history and history[migration.version] != [migration.text]:
                raise StackError(
                    f"{migration.path.name} was edited after this database had applied it",
                    "run scripts/stack reset (the local data is lost)",
                )
        fresh = [migration for migration in wanted if migration.version not in history]
        for migration in fresh:
            with connection.transaction():
                _run(connection, migration.path, migration.text)
                # a migration may have changed role or search path; neither concerns the history
                connection.execute("reset role")
                connection.execute(
                    "insert into supabase_migrations.schema_migrations (version, name, statements)"
                    " values (%s, %s, %s)",
                    [migration.version, migration.name, [migration.text]],
                )
            # what the CLI does as well: a setting of one file must not reach the next
            connection.execute("reset all")
    return fresh


def seed(dsn: str, path: Path = SEED) -> bool:
    """Runs seed.sql once; False if it was run already, or there is none. A changed seed is not run again."""
    if not path.exists():
        return False
    text = path.read_text()
    name = f"supabase/{path.name}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        known = connection.execute("select from supabase_migrations.seed_files where path = %s", [name])
        if known.fetchone() is not None:
            return False
        with connection.transaction():
            _run(connection, path, text)
            connection.execute("reset role")
            connection.execute(
                "insert into supabase_migrations.seed_files (path, hash) values (%s, %s)",
                [name, hashlib.sha256(text.encode()).hexdigest()],
            )
    return True


def _run(connection: Connection, path: Path, text: str) -> None:
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        diag = error.diag
        position = int(diag.statement_position or 0)
        line = f":{text.count(chr(10), 0, position) + 1}" if position else ""
        detail = " ".join(filter(None, [diag.message_detail, diag.message_hint, diag.context]))
        raise StackError(
            f"{path.name}{line}: {diag.message_primary or error} {detail}".rstrip(),
            "mend the file and run scripts/stack up again",
        ) from error
