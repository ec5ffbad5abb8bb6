"""One connection to Postgres, driven through libpq's pipeline mode.

A request is one burst of statements and one answer: begin, settings, pre-request, call, commit travel
together, so that a request costs one round trip. psycopg opens the connection; from then on libpq is
driven directly, since results are passed on as the bytes Postgres made and nothing is to be decoded.
"""

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg import pq

Params = Sequence[bytes | None]
Step = tuple[bytes, Params]
Result = pq.abc.PGresult

ROLLBACK: Step = (b"rollback", ())
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)
# Statements stay prepared by their text; query strings make many texts, so the store is emptied when full.
_MAX_PREPARED = 256


class ConnectionLost(Exception):
    """The connection broke; what ran on it may or may not have been committed."""


class Session:
    """A connection. Not for concurrent use: the pool hands it to one request at a time."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection  # kept, because it closes the socket when it is collected
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._fd = self._pgconn.socket
        self._names: dict[bytes, bytes] = {}
        self._results: list[Result] = []
        self._partial: Result | None = None
        self._waiter: asyncio.Future[list[Result]] | None = None
        self._writing = False
        self._stale = False
        self._counter = 0
        self.generation = 0
        self.used_at = 0.0
        self.closed = False
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._fd, self._on_readable)

    @classmethod
    async def connect(cls, conninfo: str) -> "Session":
        """Open a connection. Raises `psycopg.OperationalError`."""
        return cls(await psycopg.AsyncConnection.connect(conninfo, autocommit=True))

    @property
    def failed(self) -> bool:
        """A transaction is open and broken: only `ROLLBACK` is left."""
        return self._pgconn.transaction_status == pq.TransactionStatus.INERROR

    @property
    def idle(self) -> bool:
        return self._pgconn.transaction_status == pq.TransactionStatus.IDLE

    def forget(self) -> None:
        """Have all prepared statements dropped before the next transaction: types or tables have changed."""
        self._stale = True

    async def run(self, steps: Sequence[Step]) -> list[Result]:
        """Send the steps in one burst; one result per step, in order.

        After a failing step (status FATAL_ERROR) the rest are PIPELINE_ABORTED. Raises `ConnectionLost`.
        """
        if self.closed:
            raise ConnectionLost("connection is closed")
        pgconn = self._pgconn
        # One entry per expected result: None for housekeeping, else the text that is being prepared, or b"".
        shape: list[bytes | None] = []
        fresh: dict[bytes, bytes] = {}
        try:
            if (self._stale or len(self._names) > _MAX_PREPARED) and self.idle:
                self._stale = False
                self._names.clear()
                pgconn.send_query_params(b"deallocate all", None)
                shape.append(None)
            for text, params in steps:
                name = self._names.get(text) or fresh.get(text)
                if name is None:
                    self._counter += 1
                    name = b"g%d" % self._counter
                    fresh[text] = name
                    pgconn.send_prepare(name, text)
                    shape.append(text)
                pgconn.send_query_prepared(name, params)
                shape.append(b"")
            pgconn.pipeline_sync()
            self._flush()
        except psycopg.OperationalError as error:
            self.close()
            raise ConnectionLost(str(error).strip()) from error
        waiter: asyncio.Future[list[Result]] = self._loop.create_future()
        self._waiter = waiter
        try:
            results = await waiter
        except asyncio.CancelledError:
            self.close()  # an answer is still on its way: the connection cannot be used again
            raise
        finally:
            self._waiter = None
        if not fresh and len(shape) == len(steps):
            return results
        return self._fold(results, shape, fresh)

    def _fold(
        self, results: list[Result], shape: list[bytes | None], fresh: dict[bytes, bytes]
    ) -> list[Result]:
        """Merge the results of preparing into those of the steps they belong to."""
        folded: list[Result] = []
        refused: Result | None = None
        for result, text in zip(results, shape, strict=True):
            if text is None:
                continue
            if text:
                if result.status == pq.ExecStatus.COMMAND_OK:
                    self._names[text] = fresh[text]
                else:
                    refused = result
                continue
            folded.append(refused or result)
            refused = None
        return folded

    def _flush(self) -> None:
        unsent = self._pgconn.flush()
        if unsent and not self._writing:
            self._loop.add_writer(self._fd, self._on_writable)
            self._writing = True
        elif not unsent and self._writing:
            self._loop.remove_writer(self._fd)
            self._writing = False

    def _on_writable(self) -> None:
        try:
            self._flush()
        except psycopg.OperationalError as error:
            self._lose(error)

    def _on_readable(self) -> None:
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    if self._partial is None:
                        return
                    self._results.append(self._partial)
                    self._partial = None
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    results, self._results = self._results, []
                    if self._waiter is not None and not self._waiter.done():
                        self._waiter.set_result(results)
                    return
                else:
                    self._partial = result
        except psycopg.OperationalError as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        waiter = self._waiter
        self.close()
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionLost(str(error).strip()))

    def close(self) -> None:
        """Close the connection. Safe to repeat."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        if self._writing:
            self._loop.remove_writer(self._fd)
            self._writing = False
        self._pgconn.finish()


def first_failure(results: Sequence[Result]) -> Result | None:
    """The result that tells why a burst failed, or None."""
    for result in results:
        if result.status in _FAILED:
            return result
    return None
