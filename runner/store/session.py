"""Connections to the database, and what to make of its errors.

A lane is one connection that carries one statement at a time and comes back by itself. The runner has a
handful of named lanes instead of a pool, so that a slow settle never delays a claim or a heartbeat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from runner.model.errors import StoreRefused, StoreUnavailable
from runner.watch.meter import Meter

log = logging.getLogger(__name__)

#: SQLSTATEs that tell of the server's state, not of our statement: the same call may be made again.
PASSING = frozenset(
    {
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "53300",  # too_many_connections
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available
        "57014",  # query_canceled: a statement timeout under load
    }
)
LOGIN_REFUSED = re.compile(
    r"password authentication failed|no pg_hba\.conf entry|(role|database) \"[^\"]*\" does not exist"
    r"|is not permitted to log in"
)
#: A cut network is noticed within half a minute, even by a connection that only listens.
CONNECTION: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "connect_timeout": 10,
}
#: How long one statement may take before its connection is given up. The server may still commit it.
PATIENCE_SECONDS = 30.0


class _RawJson(Loader):
    """jsonb stays bytes: pydantic parses a whole batch at once, faster than json.loads row by row."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class Backoff:
    """Growing, jittered pauses between tries: 0.1 s doubling to `ceiling`; `reset` after a success."""

    def __init__(self, ceiling: float = 5.0) -> None:
        self._ceiling = ceiling
        self._tries = 0

    def reset(self) -> None:
        """The next pause is short again."""
        self._tries = 0

    @property
    def first(self) -> bool:
        """True when nothing has failed since the last success: worth a log line."""
        return self._tries == 0

    def next(self) -> float:
        """How long to wait now, in seconds."""
        pause: float = min(self._ceiling, 0.1 * 2**self._tries)
        self._tries = min(self._tries + 1, 16)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    async def pause(self) -> None:
        """Wait for the next pause."""
        await asyncio.sleep(self.next())


async def connect(conninfo: str, name: str) -> AsyncConnection[tuple[Any, ...]]:
    """A new connection in autocommit mode. Raises StoreUnavailable, or StoreRefused for bad credentials."""
    try:
        connection = await AsyncConnection.connect(
            conninfo, autocommit=True, application_name=f"control-room {name}", **CONNECTION
        )
    except psycopg.Error as error:
        raise _translated(error) from error
    connection.prepare_threshold = 2
    connection.adapters.register_loader("json", _RawJson)
    connection.adapters.register_loader("jsonb", _RawJson)
    connection.add_notice_handler(_on_notice)
    return connection


class Lane:
    """One connection, opened when first needed, thrown away when it fails."""

    def __init__(
        self, conninfo: str, name: str, *, patience: float = PATIENCE_SECONDS, meter: Meter | None = None
    ) -> None:
        self._conninfo = conninfo
        self._name = name
        self._meter = meter or Meter()
        self._patience = patience
        self._lock = asyncio.Lock()
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None

    async def rows(self, query: LiteralString, parameters: Sequence[Any] = ()) -> list[Any]:
        """The first column of every row. Raises StoreUnavailable (try again) or StoreRefused."""
        async with self._lock:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(self._patience), self._guarded() as connection:
                    cursor = await connection.execute(query, parameters)
                    rows = [row[0] for row in await cursor.fetchall()]
            except StoreRefused:
                self._meter.troubled(self._name, "refused")
                raise
            except (TimeoutError, StoreUnavailable) as error:
                self._meter.troubled(self._name, "away")
                if isinstance(error, StoreUnavailable):
                    raise
                raise StoreUnavailable(f"no answer within {self._patience:g} s") from error
            self._meter.tripped(self._name, time.perf_counter() - began)
            return rows

    async def value(self, query: LiteralString, parameters: Sequence[Any] = ()) -> Any:
        """The one value of the one row."""
        rows = await self.rows(query, parameters)
        if len(rows) != 1:
            raise StoreRefused("21000", f"expected one row, got {len(rows)}")
        return rows[0]

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[AsyncConnection[tuple[Any, ...]]]:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = await connect(self._conninfo, self._name)
        try:
            yield connection
        except psycopg.Error as error:
            translated = _translated(error)
            if connection.closed or connection.broken:
                await self.close()
            raise translated from error
        except BaseException:
            # Canceled in mid-statement: whatever is left on the wire is nobody's business any more.
            await self.close()
            raise


def _translated(error: psycopg.Error) -> StoreUnavailable | StoreRefused:
    state = error.sqlstate or ""
    message = error.diag.message_primary or str(error).strip().split("\n")[0] or type(error).__name__
    if state in PASSING or state.startswith("08"):
        return StoreUnavailable(f"{state}: {message}")
    if not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        # libpq gives no SQLSTATE for a failed login, only the server's words.
        if LOGIN_REFUSED.search(str(error)):
            return StoreRefused("28000", message)
        return StoreUnavailable(message)
    return _own_error(message) if state == "PGRST" else StoreRefused(state or "XX000", message)


def _own_error(message: str) -> StoreRefused:
    """An error of our own rooms: the body that PostgREST would answer with, as text."""
    try:
        body = json.loads(message)
        said = " ".join(str(body[each]) for each in ("message", "details") if body.get(each))
        return StoreRefused(str(body["code"]), said)
    except (ValueError, KeyError, AttributeError):
        return StoreRefused("PGRST", message)


def _on_notice(diagnostic: psycopg.errors.Diagnostic) -> None:
    log.debug("database_notice", extra={"notice": diagnostic.message_primary})
