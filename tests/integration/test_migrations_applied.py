"""A local database of another time of the clone is told apart from one that only lacks the newest migrations."""

from __future__ import annotations

import dataclasses

import psycopg
import pytest

from dev.stack import migrate
from dev.stack.errors import StackError
from dev.stack.testbed import Database

WANTED = migrate.migrations()


def refusal(database: Database, wanted: list[migrate.Migration]) -> StackError:
    with pytest.raises(StackError) as refused:
        migrate.apply(database.superuser, wanted)
    return refused.value


def test_a_migration_that_was_edited_asks_for_a_reset(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate.Migration, "text", property(lambda _: "select 1"))
    assert "was edited" in str(refusal(database, WANTED))


def test_a_migration_that_is_not_there_any_more_asks_for_a_reset(database: Database) -> None:
    gone = WANTED[-1]
    error = refusal(database, WANTED[:-1])
    assert gone.version in str(error)
    renamed = dataclasses.replace(gone, version=gone.version + "9")
    assert gone.version in str(refusal(database, [*WANTED[:-1], renamed]))
    with psycopg.connect(database.superuser) as connection:
        (versions,) = connection.execute(
            "select count(*) from supabase_migrations.schema_migrations"
        ).fetchone() or (0,)
    assert versions == len(WANTED)


def test_what_is_there_is_not_applied_twice(database: Database) -> None:
    assert migrate.apply(database.superuser, WANTED) == []
