"""A table of somebody else's Postgres, in one snapshot of a read-only session.

Times such as Odoo's `write_date` are those of their transaction's beginning: what commits late has an old
time. So the time of the oldest transaction that is open is looked up first, the snapshot taken then, and only
what is older than that is read: whatever appears later is newer than all that was read, and nothing is passed
over. Where the session may not see the others' transactions, or is on a standby, which shows none of them,
the overlap alone stands against late commits, and the note says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from runner.model.collected import Column
from runner.model.errors import Retryable
from runner.model.reading import Reading
from runner.model.termination import TerminationCode
from runner.target.directory import Target
from runner.target.source import Extract, too_large, unavailable

_SESSION = (
    "set application_name = 'control room reading'",
    "set default_transaction_read_only = on",
    "set default_transaction_isolation = 'repeatable read'",
    "set timezone = 'UTC'",
    "set datestyle = 'ISO'",
    "set search_path = ''",
)
#: Types that stay what they are; what is not here, nor a time, nor a structure, is read as text.
_KEPT = re.compile(
    r"boolean|bigint|integer|smallint|double precision|real|text|date|uuid|jsonb|bytea|numeric(\(\d+,\d+\))?"
)
#: timestamp(3) and the like
_PRECISION = re.compile(r"(?<=^time)\(\d\)|(?<=^timestamp)\(\d\)")
#: A horizon that is none.
_NEVER = datetime.max.replace(tzinfo=UTC)
_TIMES = {
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}
_HORIZON = """
select pg_is_in_recovery() or bool_or(a.query = '<insufficient privilege>'),
       coalesce(min(a.xact_start), statement_timestamp())
from pg_catalog.pg_stat_activity a
where a.datid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and a.pid <> pg_backend_pid() and a.backend_type is distinct from 'autovacuum worker'
"""
_COLUMNS = """
select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute a
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""


class PostgresSource:
    """See `target.source.Source`."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def dataset(self, name: str) -> tuple[str, str]:
        """As OpenLineage names tables of Postgres."""
        host, port, database = self._target.place
        return f"postgres://{host}:{port}", f"{database}.{_full(name)}"

    async def read(self, reading: Reading, after: datetime | None, csv: Path, max_bytes: int) -> Extract:
        """See `target.source.Source`."""
        connection = await self._target.open()
        try:
            for statement in _SESSION:
                await connection.execute(statement.encode())
            return await self._read(connection, reading, after, csv, max_bytes)
        except psycopg.OperationalError as error:
            raise Retryable(
                TerminationCode.INPUT_UNAVAILABLE, f"the target {reading.target} went away while it was read"
            ) from error
        except psycopg.Error as error:
            said = error.diag.message_primary or type(error).__name__
            raise unavailable(reading, said) from error
        finally:
            await connection.close()

    async def _read(
        self,
        connection: AsyncConnection[Any],
        reading: Reading,
        after: datetime | None,
        csv: Path,
        max_bytes: int,
    ) -> Extract:
        until, note = await _horizon(connection) if reading.after else (None, "")
        async with connection.transaction():
            columns = await _columns(connection, reading)
            statement = sql.SQL("copy ({}) to stdout (format csv, header true, encoding 'UTF8')").format(
                _select(reading, columns, after, until)
            )
            size = 0
            async with connection.cursor() as cursor:
                with csv.open("wb") as file:
                    async with cursor.copy(statement) as copy:
                        async for piece in copy:
                            size += len(piece)
                            if size > max_bytes:
                                raise too_large(reading, max_bytes)
                            file.write(piece)
                rows = cursor.rowcount
        return Extract(rows, tuple(Column(name, _type(kind)) for name, kind in columns), note)


async def _horizon(connection: AsyncConnection[Any]) -> tuple[datetime, str]:
    """Before when everything that will ever be there is there already, and what is to be said of that."""
    cursor = await connection.execute(_HORIZON.encode())
    blind, until = await cursor.fetchone() or (True, datetime.now(UTC))
    if blind:
        return _NEVER, "open transactions cannot be seen: the overlap stands alone"
    behind = (datetime.now(UTC) - until).total_seconds()
    return until, f"held back {behind:.0f} s by an open transaction" if behind > 60 else ""


async def _columns(connection: AsyncConnection[Any], reading: Reading) -> list[tuple[str, str]]:
    table = _table(reading).as_string(connection)
    cursor = await connection.execute("select to_regclass(%s)", [table])
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        raise unavailable(reading, "there is no such table")
    there: dict[str, str] = {
        name: _PRECISION.sub("", kind)
        for name, kind in await (await connection.execute(_COLUMNS.encode(), [table])).fetchall()
    }
    wanted = (*(reading.fields or there), *([reading.watermark] if reading.after else []))
    if missing := [name for name in wanted if name not in there]:
        raise unavailable(reading, f"it has no column {missing[0]}")
    return [(name, there[name]) for name in dict.fromkeys(wanted)]


def _select(
    reading: Reading, columns: Sequence[tuple[str, str]], after: datetime | None, until: datetime | None
) -> sql.Composed:
    """The rows that are read. `until` is None where all of it is."""
    listed = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(_value(sql.Identifier(name), kind), sql.Identifier(name))
        for name, kind in columns
    )
    head = sql.SQL("select {} from {}").format(listed, _table(reading))
    count = sql.Literal(reading.limit)
    if until is None:
        return sql.SQL("{} limit {}").format(head, count)
    at = _moment(reading, dict(columns)[reading.watermark])
    time = sql.Identifier(reading.watermark)
    before = sql.SQL("{} < {}").format(time, at(until))
    if after is None:  # what has no time is read once, at the beginning
        some = sql.SQL(
            "" if reading.limit is None else "order by {} nulls first fetch first {} rows with ties"
        )
        return sql.SQL("{} where ({} or {} is null) {}").format(head, before, time, some.format(time, count))
    since = sql.SQL("{} where {} >= {} and {}").format(head, time, at(after - reading.overlap), before)
    if reading.limit is None:
        return since
    # so many of what is new, with all that have the time of the last; what is read again comes on top
    new = sql.SQL(
        "select {} as t from {} where {} > {} and {} order by 1 fetch first {} rows with ties"
    ).format(time, _table(reading), time, at(after), before, count)
    return sql.SQL("{} and {} <= greatest({}, (select max(t) from ({}) n))").format(
        since, time, at(after), new
    )


def _moment(reading: Reading, kind: str) -> Callable[[datetime], sql.Composable]:
    """How a time is written for the watermark's type; Odoo's times are UTC without saying so."""
    if kind not in ("timestamp without time zone", "timestamp with time zone"):
        raise unavailable(reading, f"{reading.watermark} is no column of times")

    def written(moment: datetime) -> sql.Composable:
        text = "infinity" if moment == _NEVER else moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
        return sql.SQL("{}::" + kind).format(sql.Literal(text))

    return written


def _value(column: sql.Identifier, kind: str) -> sql.Composable:
    if kind.endswith("[]") or kind in ("json", "hstore"):
        return sql.SQL("to_jsonb({})").format(column)
    return column if _KEPT.fullmatch(kind) or kind in _TIMES else sql.SQL("{}::text").format(column)


def _type(kind: str) -> str:
    if kind.endswith("[]") or kind in ("json", "hstore"):
        return "jsonb"
    return _TIMES.get(kind) or (kind if _KEPT.fullmatch(kind) else "text")


def _table(reading: Reading) -> sql.Identifier:
    return sql.Identifier(*_full(reading.name).split("."))


def _full(name: str) -> str:
    return name if "." in name else f"public.{name}"
