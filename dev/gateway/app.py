"""The ASGI application: the first path segments decide which door answers."""

import asyncio
import gc
import json
import logging
from collections.abc import Awaitable, Callable

from dev.gateway import asgi, catalog
from dev.gateway.asgi import Receive, Request, Scope, Send
from dev.gateway.catalog import Librarian
from dev.gateway.errors import Refusal
from dev.gateway.functions import Functions
from dev.gateway.identity import Keyring
from dev.gateway.pool import Pool
from dev.gateway.rest import DataApi
from dev.gateway.settings import Settings
from dev.gateway.storage.door import StorageDoor
from dev.gateway.storage.rows import Rows
from dev.gateway.storage.shelf import Shelf
from dev.gateway.storage.signature import Signer
from dev.gateway.upstream import Upstream

log = logging.getLogger("gateway")

_ALLOWED_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


class Gateway:
    """The application. Its parts live between ASGI's startup and shutdown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jwks = json.dumps(settings.jwks).encode()
        self._upstream = Upstream(settings.functions_url)
        self._functions = Functions(self._upstream, "/functions/v1")
        self._rest: DataApi | None = None
        self._storage: StorageDoor | None = None
        self._librarian: Librarian | None = None
        self._pool: Pool | None = None
        self._chores: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive, send)
            path = request.path
            if path.startswith("/functions/v1/"):
                await self._functions(request)
            elif request.method == "OPTIONS":
                await _preflight(request)
            elif path.startswith("/rest/v1/"):
                assert self._rest is not None
                await _guarded(self._rest, request)
            elif path.startswith("/storage/v1/"):
                assert self._storage is not None
                await _guarded(self._storage, request)
            else:
                await self._others(request, path)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"no door for {scope['type']}")

    async def _others(self, request: Request, path: str) -> None:
        match path:
            case "/auth/v1/.well-known/jwks.json":
                await request.answer(200, [asgi.JSON_TYPE], self._jwks)
            case "/auth/v1/health":
                await request.answer(200, [asgi.JSON_TYPE], b'{"name":"gateway","description":"keys only"}')
            case "/health":
                await self._health(request)
            case _:
                body = json.dumps(
                    {
                        "code": "ROUTE_NOT_FOUND",
                        "message": "no Route matched with those values",
                        "details": None,
                        "hint": None,
                    }
                ).encode()
                await request.answer(404, [asgi.JSON_TYPE], body)

    async def _health(self, request: Request) -> None:
        """200 once the catalog has been read and Postgres answers; else 503."""
        assert self._librarian is not None
        assert self._pool is not None
        ready = self._librarian.ready
        if ready:
            try:
                session = await self._pool.acquire()
            except Refusal:
                ready = False
            else:
                self._pool.release(session)
        body = b'{"status":"ok"}' if ready else b'{"status":"starting"}'
        await request.answer(200 if ready else 503, [asgi.JSON_TYPE], body)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        settings = self._settings
        pool = Pool(settings.database_url, settings.pool_size, settings.acquire_timeout)
        authenticator = catalog.authenticator_of(settings.database_url)
        self._pool = pool
        self._librarian = Librarian(settings.admin_url, authenticator, pool.outdate)
        keyring = Keyring(settings)
        self._rest = DataApi(settings, keyring, self._librarian, pool)
        shelf = Shelf(settings.storage_dir)
        rows = Rows(self._librarian, pool)
        self._storage = StorageDoor(settings, keyring, rows, shelf, Signer(settings.jwt_secret))
        self._storage.prepare()
        self._chores = [asyncio.create_task(self._librarian.run()), asyncio.create_task(pool.tend())]
        # What was made by now stays; leaving it out of collections shortens their pauses.
        gc.collect()
        gc.freeze()

    async def _stop(self) -> None:
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        if self._pool is not None:
            self._pool.close()
        self._upstream.close()


async def _guarded(door: Callable[[Request], Awaitable[None]], request: Request) -> None:
    try:
        await door(request)
    except Refusal as refusal:
        await request.answer(refusal.status, refusal.lines(), refusal.body())
    except asgi.Disconnected:
        return
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        failure = Refusal(500, "PGRSTX00", "Internal error of the development gateway")
        await request.answer(failure.status, failure.lines(), failure.body())


async def _preflight(request: Request) -> None:
    """CORS: any origin may ask, as on hosted projects; the key and the token decide."""
    headers = [
        (b"access-control-allow-methods", _ALLOWED_METHODS),
        (
            b"access-control-allow-headers",
            request.headers.get("access-control-request-headers", "*").encode(),
        ),
        (b"access-control-max-age", b"3600"),
    ]
    await request.answer(204, headers, b"")
