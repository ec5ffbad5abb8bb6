"""Tables in and out of staging by COPY, as the role `loader`, on connections of its own.

The database makes the staging tables (worker.open_output, worker.open_input) and grants them to `loader`;
the settle publishes them under the fence. What is loaded for an attempt that is never settled is dropped by
the clock. CSV is Postgres' own dialect: header line, NULL is the unquoted empty string.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from runner.model.collected import Column
from runner.model.errors import Permanent, Retryable
from runner.model.termination import TerminationCode

CHUNK = 256 * 1024
ROLE = "loader"


class Loader:
    """COPY between CSV files and staging tables. One short-lived connection per table."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    async def load(self, name: str, staging: str, columns: Sequence[Column], source: Path) -> int:
        """Fill a staging table from a CSV file; the number of rows.

        Raises Permanent(OUTPUT_INVALID) when the data do not fit the columns, Retryable(PUBLISH_FAILED)
        when the database is away.
        """
        statement = sql.SQL("copy {} ({}) from stdin (format csv, header true, encoding 'UTF8')").format(
            _qualified(staging), sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
        )
        try:
            async with self._session() as connection, connection.cursor() as cursor:
                handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
                with os.fdopen(handle, "rb") as file:
                    async with cursor.copy(statement) as copy:
                        while piece := file.read(CHUNK):
                            await copy.write(piece)
                return cursor.rowcount
        except psycopg.OperationalError as error:
            raise Retryable(TerminationCode.PUBLISH_FAILED, "the database went away while loading") from error
        except psycopg.Error as error:
            # The server names line and column of the CSV; the value itself is the tenant's own.
            said = error.diag.message_primary or type(error).__name__
            where = f" ({error.diag.context})" if error.diag.context else ""
            raise Permanent(
                TerminationCode.OUTPUT_INVALID, f"table output {name} cannot be loaded: {said}{where}"[:1000]
            ) from error

    async def unload(
        self,
        name: str,
        staging: str,
        columns: Sequence[str],
        target: Path,
        max_bytes: int,
        *,
        rows: int | None,
    ) -> None:
        """Write a staging table to a CSV file.

        Raises Permanent(INPUT_UNAVAILABLE) when it is larger than `max_bytes`, Retryable when the database
        is away, or has crashed since the table was staged: then it is empty and not what it was.
        """
        statement = sql.SQL(
            "copy (select {} from {}) to stdout (format csv, header true, encoding 'UTF8')"
        ).format(sql.SQL(", ").join(map(sql.Identifier, columns)), _qualified(staging))
        size = 0
        try:
            async with self._session() as connection, connection.cursor() as cursor:
                with target.open("wb") as file:
                    async with cursor.copy(statement) as copy:
                        async for piece in copy:
                            size += len(piece)
                            if size > max_bytes:
                                raise Permanent(
                                    TerminationCode.INPUT_UNAVAILABLE,
                                    f"table input {name} is larger than {max_bytes} bytes",
                                )
                            file.write(piece)
                if rows is not None and cursor.rowcount != rows:
                    raise Retryable(
                        TerminationCode.INPUT_UNAVAILABLE,
                        f"table input {name} was lost while the database recovered",
                    )
        except psycopg.OperationalError as error:
            raise Retryable(
                TerminationCode.INPUT_UNAVAILABLE, "the database went away while reading"
            ) from error
        except psycopg.Error as error:
            said = error.diag.message_primary or type(error).__name__
            raise Permanent(
                TerminationCode.INPUT_UNAVAILABLE, f"table input {name} cannot be read: {said}"[:1000]
            ) from error

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncConnection[tuple[Any, ...]]]:
        connection = await AsyncConnection.connect(
            self._conninfo, autocommit=True, application_name="control-room loader", connect_timeout=10
        )
        try:
            await connection.execute(sql.SQL("set role {}").format(sql.Identifier(ROLE)))
            yield connection
        finally:
            await connection.close()


def _qualified(table: str) -> sql.Identifier:
    schema, _, name = table.partition(".")
    return sql.Identifier(schema, name) if name else sql.Identifier(schema)
