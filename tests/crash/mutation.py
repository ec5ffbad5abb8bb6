"""Controls: a function of the database with one guard taken out, loaded into a database that is thrown away.

A suite that stays green on it proves nothing. The body is taken from the database itself, so a control follows
the function it breaks; where the guard is no longer written that way, the control says so instead of passing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from dev.stack.testbed import Database


@dataclass(frozen=True)
class Control:
    """One guard of one function, and what stands in its place."""

    name: str
    function: str
    guard: str  # a regular expression; every place of it is replaced
    instead: str

    def load(self, database: Database) -> None:
        """Replaces the function; raises LookupError where it does not have that guard (any more)."""
        with psycopg.connect(database.superuser, autocommit=True) as connection:
            row = connection.execute(
                "select pg_get_functiondef(%s::regprocedure)", [self.function]
            ).fetchone()
            assert row is not None
            broken, places = re.subn(self.guard, self.instead, row[0])
            if not places:
                raise LookupError(f"{self.function} has no {self.guard!r}: mend the control {self.name!r}")
            connection.execute(broken.encode())


CONTROLS = (
    Control(
        "settle without the lease",
        "queue.settle(jsonb)",
        r"a\.lease = i\.lease and |i\.lease = g\.lease|f\.lease = i\.lease",
        "",
    ),
)
