"""The ledger: which files of which series were applied to a database, kept in that database itself.

A row is written in the transaction of its file, so the two are there together or not at all. Each writer
locks the table first: a second one waits, and then sees the first one's rows.
"""

from __future__ import annotations

import json
from typing import Any

import psycopg
from psycopg import AsyncConnection

from runner.model.errors import Permanent
from runner.model.migration import Entry, File, Shape, Terms
from runner.model.termination import TerminationCode

_SCHEMA = "create schema if not exists control_room"
_TABLE = """
create table if not exists control_room.migrations (
    tenant text not null,
    series text not null,
    file text not null,
    sha256 text not null check (length(sha256) = 64),
    position integer not null,
    run_id bigint not null,
    attempt_id bigint not null,
    lease integer not null,
    state text not null check (state in ('begun', 'applied')),
    at timestamptz not null default pg_catalog.clock_timestamp(),
    milliseconds integer not null default 0,
    schema_before text,
    schema_after text,
    changed jsonb not null default '[]',
    primary key (tenant, series, file)
)
"""
_COMMENT = """
comment on table control_room.migrations is
'Which files of which series were applied here, by which run of Control Room. Written by schema_migration.'
"""
_READ = """
select file, sha256, run_id, at::text, state = 'applied', position, schema_after, changed, milliseconds
from control_room.migrations where tenant = %s and series = %s order by position, file
"""
_BEGIN = """
insert into control_room.migrations
    (tenant, series, file, sha256, position, run_id, attempt_id, lease, state, schema_before)
values (%s, %s, %s, %s, %s, %s, %s, %s, 'begun', %s)
on conflict (tenant, series, file) do update set attempt_id = excluded.attempt_id, lease = excluded.lease
"""
_END = """
insert into control_room.migrations as m
    (tenant, series, file, sha256, position, run_id, attempt_id, lease, state, milliseconds,
     schema_before, schema_after, changed)
values (%s, %s, %s, %s, %s, %s, %s, %s, 'applied', %s, %s, %s, %s)
on conflict (tenant, series, file) do update
set state = 'applied', at = pg_catalog.clock_timestamp(), milliseconds = excluded.milliseconds,
    schema_after = excluded.schema_after, changed = excluded.changed
where m.state = 'begun' and m.sha256 = excluded.sha256
returning at::text, position
"""
_DIGEST = """
select pg_catalog.md5(coalesce(pg_catalog.string_agg(m::text, '|' order by m.tenant, m.series, m.file), ''))
from control_room.migrations m
"""


class Ledger:
    """One series of one tenant in one database. Each verb takes the session it happens in."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    async def make(self, connection: AsyncConnection[Any]) -> None:
        """Make the table where there is none. Raises Permanent(NOT_GRANTED)."""
        if await self._is_there(connection):
            return
        try:
            for statement in (_SCHEMA, _TABLE, _COMMENT):
                await connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise Permanent(
                TerminationCode.NOT_GRANTED,
                f"the role of the target {self._terms.target} may not make the schema of the ledger: "
                "grant create on its database, or make the schema control_room for it",
            ) from error

    async def lock(self, connection: AsyncConnection[Any]) -> None:
        """Until the transaction ends nobody else writes; readers go on."""
        await connection.execute("lock table control_room.migrations in share row exclusive mode")

    async def entries(self, connection: AsyncConnection[Any]) -> dict[str, Entry]:
        """By file, in the order in which they were applied."""
        if not await self._is_there(connection):
            return {}
        rows = await connection.execute(_READ.encode(), [self._terms.tenant, self._terms.series])
        return {
            file: Entry(file, digest, run, at, ended, position, after, tuple(changed), milliseconds)
            for file, digest, run, at, ended, position, after, changed, milliseconds in await rows.fetchall()
        }

    async def digest(self, connection: AsyncConnection[Any]) -> object:
        """Of every row of every series: what a file does to the ledger shows."""
        row = await (await connection.execute(_DIGEST.encode())).fetchone()
        return row[0] if row else None

    async def begin(self, connection: AsyncConnection[Any], file: File, position: int, before: Shape) -> None:
        """A file outside of a transaction is begun."""
        await connection.execute(_BEGIN.encode(), [*self._key(file, position), before.sha256])

    async def end(
        self,
        connection: AsyncConnection[Any],
        file: File,
        position: int,
        *,
        milliseconds: int,
        before: Shape,
        after: Shape,
    ) -> Entry | None:
        """A file was applied; None where the ledger has another one of this name."""
        changed = after.changed_since(before)
        told = [milliseconds, before.sha256, after.sha256, json.dumps(changed)]
        row = await (await connection.execute(_END.encode(), [*self._key(file, position), *told])).fetchone()
        if row is None:
            return None
        at, place = row
        return Entry(
            file.name, file.sha256, self._terms.run_id, at, True, place, after.sha256, changed, milliseconds
        )

    async def _is_there(self, connection: AsyncConnection[Any]) -> bool:
        row = await (
            await connection.execute("select pg_catalog.to_regclass('control_room.migrations') is not null")
        ).fetchone()
        return bool(row and row[0])

    def _key(self, file: File, position: int) -> list[object]:
        it = self._terms
        return [
            it.tenant, it.series, file.name, file.sha256, position, it.run_id, it.attempt_id, it.lease
        ]  # fmt: skip
