"""The pool of sessions: as many as `size`, opened when wanted, handed out in turn."""

import asyncio
from collections import deque

import psycopg

from dev.gateway import errors
from dev.gateway.session import Session

# A session costs the server some 10 MB; a burst of requests should not cost that for ever.
_IDLE_SECONDS = 30.0


class Pool:
    """Sessions to one database.

    `acquire` raises `errors.Refusal`: 503 when Postgres cannot be reached, 504 when no session came
    free in `patience` seconds (as PostgREST's `db-pool-acquisition-timeout`).
    """

    def __init__(self, conninfo: str, size: int, patience: float) -> None:
        self._conninfo = conninfo
        self._size = size
        self._patience = patience
        self._free: list[Session] = []
        self._open = 0
        self._waiters: deque[asyncio.Future[Session | None]] = deque()
        self._closed = False
        self.generation = 0

    async def acquire(self) -> Session:
        """A session that nobody else holds; give it back with `release`."""
        while True:
            session = self._take()
            if session is None and self._open < self._size:
                session = await self._connect()
            if session is None:
                session = await self._wait()
            if session is None:
                continue  # a place came free rather than a session
            if session.generation != self.generation:
                session.generation = self.generation
                session.forget()
            return session

    def release(self, session: Session) -> None:
        """Give a session back. One that is closed or in the middle of a transaction is thrown away."""
        if session.closed or not session.idle or self._closed:
            session.close()
            self._open -= 1
            self._wake(None)
            return
        session.used_at = asyncio.get_running_loop().time()
        if not self._wake(session):
            self._free.append(session)

    def outdate(self) -> None:
        """Statements prepared so far are to be prepared anew: the schema has changed."""
        self.generation += 1

    async def tend(self) -> None:
        """Close sessions that nobody has needed for a while; for ever. One stays."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 2)
            self.trim(_IDLE_SECONDS)

    def trim(self, idle_seconds: float) -> None:
        """Close free sessions unused for longer than that, but the last one. The latest used come first."""
        too_old = asyncio.get_running_loop().time() - idle_seconds
        while self._open > 1 and self._free and self._free[0].used_at < too_old:
            self._free.pop(0).close()
            self._open -= 1

    def close(self) -> None:
        self._closed = True
        while self._free:
            self._free.pop().close()
            self._open -= 1

    def _take(self) -> Session | None:
        while self._free:
            session = self._free.pop()
            if not session.closed:
                return session
            self._open -= 1
        return None

    async def _connect(self) -> Session:
        self._open += 1
        try:
            session = await Session.connect(self._conninfo)
        except psycopg.OperationalError as error:
            self._open -= 1
            self._wake(None)
            raise errors.unreachable(str(error).strip().splitlines()[0]) from error
        except BaseException:
            self._open -= 1
            self._wake(None)
            raise
        session.generation = self.generation
        return session

    async def _wait(self) -> Session | None:
        waiter: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._patience):
                return await waiter
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiter.done() and not waiter.cancelled():
                # it was our turn in the very moment we gave up: pass it on
                session = waiter.result()
                if session is None:
                    self._wake(None)
                else:
                    self.release(session)
            if isinstance(error, TimeoutError):
                raise errors.busy() from None
            raise

    def _wake(self, session: Session | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(session)
                return True
        return False
