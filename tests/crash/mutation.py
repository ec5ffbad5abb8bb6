"""Controls: a function of the database with one guard taken out, loaded into a database that is thrown away.

A suite that stays green on it proves nothing. The body is taken from the database itself, so a control
follows the function it breaks; where the guard is no longer written that way, it says so instead of passing.
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
        "queue.end_attempts(jsonb)",
        r" and [afr]\.lease = i\.lease|(?<=coalesce\()a\.lease = i\.lease and ",
        "",
    ),
    Control(
        "renew without the lease",
        "queue.renew(uuid, jsonb)",
        r" and [ah]\.lease = i\.lease|(?<=coalesce\()a\.lease = i\.lease and ",
        "",
    ),
    Control("report without the lease", "queue.hold(bigint, integer)", r" and a\.lease = p_lease", ""),
    Control(
        "a lease that does not grow",
        "queue.claim(uuid, text[], integer)",
        r"lease = greatest\(a\.lease, v_floor\) \+ 1",
        "lease = v_floor + 1",
    ),
    Control(
        "a claim beyond the limit",
        "queue.claim(uuid, text[], integer)",
        r"l\.max_running - s\.running",
        "l.max_running",
    ),
    Control(
        "a settle that forgets the slot",
        "queue.end_attempts(jsonb)",
        r"running = s\.running - t\.n",
        "running = s.running",
    ),
    Control(
        "a reaper that forgets the slot",
        "queue.requeue(bigint, integer, boolean)",
        r"running = s\.running - 1",
        "running = s.running",
    ),
    Control("a reaper that sees nothing", "queue.expired(integer)", r"limit p_limit", "limit 0"),
    Control("a reaper that never gives up", "worker.reap(integer)", r"a\.lost >= v_max", "false"),
    Control(
        "an end that is not announced",
        "callback.announce(uuid[], bigint[])",
        r"from ended r\b",
        "from ended r where false",
    ),
    Control(
        "retries without end",
        "queue.end_attempts(jsonb)",
        r"g\.number - t\.first_number < t\.max_retries",
        "true",
    ),
    Control(
        "a cancel that leaves what waits",
        "queue.stop(uuid, bigint, queue.state, queue.termination_code, text)",
        r"a\.state = 'QUEUED' returning",
        "false returning",
    ),
    Control(
        "a repair that takes its place without asking",
        "queue.line_up(uuid, bigint, bigint)",
        r"queue\.free_places\(p_tenant, p_job\) < 0",
        "false",
    ),
    Control(
        "a repair that keeps what comes after",
        "queue.to_do_again(queue.runs, text[], boolean, boolean, text)",
        r"where p_dependents",
        "where false",
    ),
    Control(
        "a repair that gives no attempts anew",
        "queue.repair(uuid, text, bigint, bigint, text[], boolean, boolean, jsonb)",
        r"first_number = 1 \+ coalesce\(.*?, 0\)(?=\s+where)",
        "first_number = k.first_number",
    ),
)
