"""A lane that hears: a hint arrives on the connection that acts on it.

Where a look follows a hint at once, as a claim follows a submission, a connection that only listens costs
one more process of Postgres, which has to get a processor before ours can. Nobody reads from a lane between
two statements, so the event loop watches its socket meanwhile. A hint may be lost, like every one
(`store.listener`); after a lost connection the waker is called, and whoever looks then connects again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, Notify, sql

from runner.store.listener import Waker
from runner.store.session import Lane
from runner.watch.meter import Meter


class ListeningLane(Lane):
    """Listens on `channel` from its first statement on; `waker` is called with the payload of each hint."""

    def __init__(self, conninfo: str, name: str, channel: str, meter: Meter | None = None) -> None:
        super().__init__(conninfo, name, meter=meter)
        self._channel = channel
        self._waker: Waker = lambda _payload: None
        self._listening: AsyncConnection[tuple[Any, ...]] | None = None
        self._watched: int | None = None

    def hear(self, waker: Waker) -> None:
        """Whom to wake."""
        self._waker = waker

    async def close(self) -> None:
        """Close the connection, if there is one."""
        self._look_away()
        await super().close()

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[AsyncConnection[tuple[Any, ...]]]:
        self._look_away()
        try:
            async with super()._guarded() as connection:
                if connection is not self._listening:
                    connection.add_notify_handler(self._heard)
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
                    self._listening = connection
                yield connection
        finally:
            self._watch()

    def _watch(self) -> None:
        connection = self._connection
        if connection is None or connection.closed:
            return
        self._watched = connection.fileno()
        asyncio.get_running_loop().add_reader(self._watched, self._read, connection)
        self._drain(connection)

    def _look_away(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            asyncio.get_running_loop().remove_reader(watched)

    def _read(self, connection: AsyncConnection[tuple[Any, ...]]) -> None:
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:  # closed by the other side
            self._look_away()
            self._connection = None
            connection.pgconn.finish()
            self._waker("")
            return
        self._drain(connection)

    def _drain(self, connection: AsyncConnection[tuple[Any, ...]]) -> None:
        while (notice := connection.pgconn.notifies()) is not None:
            self._waker(notice.extra.decode())

    def _heard(self, notice: Notify) -> None:
        self._waker(notice.payload)
