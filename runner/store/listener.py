"""LISTEN: a hint that there is work. The query decides, a poll insures; a hint is never trusted for more.

One connection of its own, silent while nothing happens. After every (re)connection all wakers are called
once, because hints sent meanwhile are lost. Where LISTEN cannot work (a transaction pooler between us and
Postgres) a self-test notices and `healthy` stays false, so that the loops poll more often.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from runner.model.errors import StoreRefused, StoreUnavailable
from runner.store.session import Backoff, connect

log = logging.getLogger(__name__)

Waker = Callable[[str], None]
HELLO = "control_room_hello"
SELF_TEST_SECONDS = 5.0


class Listener:
    """Calls a waker with the payload for every notification on its channel."""

    def __init__(
        self,
        conninfo: str,
        instance: str,
        wakers: Mapping[str, Waker],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._conninfo = conninfo
        self._instance = instance
        self._wakers = wakers
        self._changed = changed
        self.healthy = False

    async def run(self) -> None:
        """Listen until cancelled; reconnect with growing pauses."""
        backoff = Backoff()
        while True:
            try:
                await self._listen(backoff)
            except (StoreUnavailable, StoreRefused, psycopg.Error) as error:
                if backoff.first:
                    log.warning("listener_lost", extra={"reason": str(error).strip()})
            finally:
                self._note(False)
            await backoff.pause()

    async def _listen(self, backoff: Backoff) -> None:
        connection = await connect(self._conninfo, "listener")
        try:
            for channel in (*self._wakers, HELLO):
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            self._note(await self._hears_itself(connection))
            if self.healthy:
                log.info("listening", extra={"channels": sorted(self._wakers)})
            else:
                log.warning(
                    "listen_impossible",
                    extra={
                        "reason": "a notification to ourselves did not arrive; polling instead. "
                        "Use a direct or session-mode connection in CONTROL_ROOM_DATABASE_URL"
                    },
                )
            backoff.reset()
            for waker in self._wakers.values():
                waker("")
            async with aclosing(connection.notifies()) as notifications:
                async for notification in notifications:
                    waker_of = self._wakers.get(notification.channel)
                    if waker_of is not None:
                        waker_of(notification.payload)
            raise StoreUnavailable("the listening connection was closed")
        finally:
            await connection.close()

    def _note(self, healthy: bool) -> None:
        if healthy != self.healthy:
            self.healthy = healthy
            self._changed()

    async def _hears_itself(self, connection: AsyncConnection[tuple[Any, ...]]) -> bool:
        # Sent over a second connection: through a transaction pooler even our own NOTIFY would look
        # delivered.
        speaker = await connect(self._conninfo, "hello")
        try:
            await speaker.execute("select pg_notify(%s, %s)", [HELLO, self._instance])
        finally:
            await speaker.close()
        async with aclosing(connection.notifies(timeout=SELF_TEST_SECONDS)) as notifications:
            async for notification in notifications:
                if notification.channel == HELLO and notification.payload == self._instance:
                    return True
        return False
