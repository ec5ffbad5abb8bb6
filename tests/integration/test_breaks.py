"""`sql_tests/prove` breaks the database on purpose; a break that no longer finds what it breaks proves nothing."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from dev.stack.testbed import Database

BREAKS = runpy.run_path(str(Path(__file__).parents[2] / "sql_tests" / "prove"))["BREAKS"]


def test_every_break_can_still_be_made(database: Database) -> None:
    stale = []
    with psycopg.connect(database.superuser) as connection:
        for broken in BREAKS:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(broken.sql)
            except psycopg.Error as error:
                stale.append(f"{broken.name}: {error.diag.message_primary}")

    assert stale == [], "\n".join(stale)


def test_every_break_has_a_name_of_its_own() -> None:
    names = [broken.name for broken in BREAKS]

    assert sorted(set(names)) == sorted(names)
