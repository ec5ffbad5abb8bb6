"""`/rest/v1`: the Data API. Who asks, which statement answers, how the answer looks."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from dev.gateway import answer, errors, negotiation, preferences, query, rpc, statement, transaction
from dev.gateway.answer import Page
from dev.gateway.asgi import Header, Request
from dev.gateway.catalog import Catalog, Librarian, Relation, strict_object
from dev.gateway.condition import Source
from dev.gateway.identity import Identity, Keyring
from dev.gateway.negotiation import READS
from dev.gateway.pool import Pool
from dev.gateway.preferences import Count, Preferences
from dev.gateway.session import Result, Step
from dev.gateway.settings import Settings
from dev.gateway.statement import Media
from dev.gateway.terms import Query

PREFIX = "/rest/v1/"
_WRITES = frozenset({"POST", "PATCH", "DELETE"})
# How Postgres takes a body that is no JSON: syntax, a forbidden escape, no UTF-8, nested too deeply.
_OF_BROKEN_JSON = frozenset({"22P02", "22P05", "22021", "54001"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood as far as its headers go."""

    request: Request
    identity: Identity
    catalog: Catalog
    schema: str
    media: Media
    preferred: Preferences

    @property
    def reads(self) -> bool:
        return self.request.method in READS


class DataApi:
    """Everything under `/rest/v1`. Raises `errors.Refusal` for whatever is not answered."""

    def __init__(self, settings: Settings, keyring: Keyring, librarian: Librarian, pool: Pool) -> None:
        self._max_body = settings.max_body
        self._keyring = keyring
        self._librarian = librarian
        self._pool = pool

    async def __call__(self, request: Request) -> None:
        identity = self._keyring.identify(request)
        catalog = self._librarian.catalog
        asked = Asked(
            request,
            identity,
            catalog,
            negotiation.schema(request, catalog),
            negotiation.media(request),
            preferences.parse(request),
        )
        match request.path.removeprefix(PREFIX).split("/"):
            case ["rpc", name] if name:
                await self._rpc(asked, name)
            case [name] if name:
                await self._table(asked, name)
            case _:
                raise errors.bad_path()

    async def _rpc(self, asked: Asked, name: str) -> None:
        request = asked.request
        if not asked.reads and request.method != "POST":
            raise errors.Refusal(405, "PGRST101", f"Cannot use the {request.method} method on RPC")
        body = b"" if asked.reads else await request.body(self._max_body)
        try:
            call = _find(asked, asked.catalog, name, body)
        except errors.Refusal as refusal:
            if refusal.status != 404:
                raise
            # Perhaps it was made just now, and its announcement is being read.
            call = _find(asked, await self._librarian.settled(), name, body)
        routine = call.routine
        limit, offset = negotiation.window(request, call.rest)
        steps = rpc.steps(asked.catalog, call, asked.media, (limit, offset), asked.preferred.count)
        reads = asked.reads or not routine.volatile
        try:
            results = await self._run(asked, f"/rpc/{name}", steps, reads=reads, settings=routine.settings)
        except errors.Refusal as refusal:
            if refusal.code in _OF_BROKEN_JSON and not asked.reads:
                _refuse_broken_json(negotiation.content_type(request), body)
            raise
        page = _counted(results, asked.preferred.count, asked.catalog.max_rows)
        status, content_range = answer.ranged(page, offset)
        headers = [content_range, *_applied(asked.preferred.applied(writes=False, counts_affected=True))]
        if routine.returns == "void":
            await self._send(asked, page, 204, headers, b"")
        else:
            headers.append((b"content-type", asked.media.value))
            await self._send(asked, page, status, headers, page.body)

    async def _table(self, asked: Asked, name: str) -> None:
        method = asked.request.method
        if not asked.reads and method not in _WRITES:
            raise errors.bad_method(method)
        key = (asked.schema, name)
        relation = asked.catalog.relations.get(key)
        if relation is None:
            relation = (await self._librarian.settled()).relations.get(key)
            if relation is None:
                raise _no_table(asked.catalog, asked.schema, name)
        wanted = query.parse(asked.request.query)
        if asked.reads:
            await self._read(asked, relation, wanted)
        else:
            await self._write(asked, relation, wanted)

    async def _read(self, asked: Asked, relation: Relation, wanted: Query) -> None:
        media = asked.media
        limit, offset = negotiation.window(asked.request, wanted)
        most = asked.catalog.max_rows
        bodiless = asked.request.method == "HEAD" and media is not Media.OBJECT
        steps = statement.read(
            Source.of(relation),
            wanted,
            limit=most if limit is None else min(limit, most),
            offset=offset,
            count=asked.preferred.count,
            max_rows=most,
            media=Media.NOTHING if bodiless else media,
        )
        results = await self._run(asked, f"/{relation.name}", steps, reads=True)
        page = _counted(results, asked.preferred.count, most)
        status, content_range = answer.ranged(page, offset)
        headers = [content_range, (b"content-type", media.value)]
        headers += _applied(asked.preferred.applied(writes=False))
        await self._send(asked, page, status, headers, page.body)

    async def _write(self, asked: Asked, relation: Relation, wanted: Query) -> None:
        method = asked.request.method
        preferred = asked.preferred
        full = preferred.representation == "representation"
        media = asked.media if full else Media.NOTHING
        body = await asked.request.body(self._max_body)
        if method in ("PATCH", "DELETE") and not wanted.conditions:
            # the hosted database loads safeupdate, which refuses exactly this
            verb = "UPDATE" if method == "PATCH" else "DELETE"
            raise errors.Refusal(400, "21000", f"{verb} requires a WHERE clause")
        step = _write_step(asked, relation, wanted, body, media)
        results = await self._run(asked, f"/{relation.name}", [step], reads=False, shows=full)
        page = answer.page(results[0])
        total = str(page.rows) if preferred.count else "*"
        span = f"0-{page.rows - 1}" if method == "PATCH" and page.rows else "*"
        headers: list[Header] = [(b"content-range", f"{span}/{total}".encode())]
        if full:
            headers.append((b"content-type", media.value))
        headers += _applied(
            preferred.applied(
                writes=True, inserts=method == "POST", counts_affected=method in ("PATCH", "DELETE")
            )
        )
        status = 201 if method == "POST" else 200 if full else 204
        await self._send(asked, page, status, headers, page.body if full else b"")

    async def _run(
        self,
        asked: Asked,
        path: str,
        steps: Sequence[Step],
        *,
        reads: bool,
        shows: bool = True,
        settings: tuple[tuple[str, str], ...] = (),
    ) -> list[Result]:
        """Run the steps in the request's transaction. `shows`: rows are shown, so their number matters."""
        frame = transaction.frame(
            asked.request,
            asked.identity,
            path,
            schema=asked.schema,
            read_only=reads,
            settings=settings + negotiation.time_zone(asked.preferred),
        )
        single = shows and asked.media is Media.OBJECT
        most = asked.preferred.max_affected if asked.preferred.strict and not asked.reads else None
        judge = None if not single and most is None else _judge(single, most)
        opening = transaction.opening(asked.catalog, frame)
        authenticated = asked.identity.authenticated
        return await transaction.execute(self._pool, opening, steps, judge, authenticated=authenticated)

    async def _send(self, asked: Asked, page: Page, status: int, headers: list[Header], body: bytes) -> None:
        if len(asked.catalog.schemas) > 1:
            headers.append((b"content-profile", asked.schema.encode()))
        if page.status is not None or page.headers is not None:
            status, headers = answer.overridden(page, status, headers)
        await asked.request.answer(status, headers, body)


def _find(asked: Asked, catalog: Catalog, name: str, body: bytes) -> rpc.Call:
    request = asked.request
    callee = rpc.Callee(catalog, asked.schema, name)
    if asked.reads:
        return rpc.by_query(callee, request.query)
    return rpc.by_body(callee, negotiation.content_type(request), body, request.query)


def _applied(preferences_applied: str) -> list[Header]:
    return [(b"preference-applied", preferences_applied.encode())] if preferences_applied else []


def _no_table(catalog: Catalog, schema: str, name: str) -> errors.Refusal:
    known = [other for own, other in catalog.relations if own == schema]
    near = difflib.get_close_matches(name, known, 1, 0.75)
    return errors.Refusal(
        404,
        "PGRST205",
        f"Could not find the table '{schema}.{name}' in the schema cache",
        None,
        f"Perhaps you meant the table '{schema}.{near[0]}'" if near else None,
    )


def _judge(single: bool, most: int | None) -> transaction.Judge:
    """What is looked at before the commit: one row where one was asked for, not more than allowed."""

    def judge(results: Sequence[Result]) -> None:
        rows = answer.page(results[0]).rows
        if single and rows != 1:
            raise errors.not_singular(rows)
        if most is not None and rows > most:
            raise errors.too_many_affected(rows)

    return judge


def _counted(results: Sequence[Result], count: Count | None, max_rows: int) -> Page:
    """The page, with the total taken from the planner where that was asked for."""
    page = answer.page(results[0])
    if count not in ("planned", "estimated") or len(results) < 2:
        return page
    planned = answer.planned_rows(results[1])
    total = planned
    if count == "estimated" and page.total is not None:
        total = page.total if page.total <= max_rows else max(page.total, planned)
    return Page(page.body, page.rows, total, page.headers, page.status)


def _write_step(asked: Asked, relation: Relation, wanted: Query, body: bytes, media: Media) -> Step:
    method = asked.request.method
    if method == "DELETE":
        return statement.delete(relation, wanted, media)
    content_type = negotiation.content_type(asked.request)
    if content_type != "application/json":
        raise errors.bad_body(f"Content-Type not acceptable: {content_type}")
    keys, is_list = _keys(body, wanted)
    if method == "PATCH":
        if is_list:
            raise errors.bad_body("An object is wanted, not a list")
        if not keys:
            return statement.nothing(relation, wanted, media)
        return statement.update(relation, wanted, body, keys, media)
    return statement.insert(
        relation,
        wanted,
        body,
        keys,
        is_list=is_list,
        resolution=asked.preferred.resolution,
        missing_default=asked.preferred.missing_default,
        media=media,
    )


def _keys(body: bytes, wanted: Query) -> tuple[Sequence[str], bool]:
    """The columns that a body names (or `columns=` does), and whether it is a list. Raises PGRST102."""
    if b"\0" in body:
        raise errors.bad_body()
    try:
        value = strict_object(body)
    except (ValueError, RecursionError):
        raise errors.bad_body() from None
    is_list = isinstance(value, list)
    given = value if isinstance(value, list) else [value]
    rows = [row for row in given if isinstance(row, dict)]
    if len(rows) < len(given):
        raise errors.bad_body("All object keys must match")
    if wanted.columns is not None:
        return wanted.columns, is_list
    if not rows:
        return (), is_list
    keys = rows[0].keys()
    if any(row.keys() != keys for row in rows):
        raise errors.bad_body("All object keys must match")
    return tuple(keys), is_list


def _refuse_broken_json(content_type: str, body: bytes) -> None:
    """Tell a body that is no JSON (found out by Postgres) from a failure inside the function."""
    if content_type != "application/json" or not body:
        return
    try:
        strict_object(body)
    except (ValueError, RecursionError):
        raise errors.bad_body() from None
