"""`/rest/v1`: the Data API. Who, which schema, which statement, how it is answered."""

import difflib
import re
import zoneinfo
from collections.abc import Sequence

from dev.gateway import answer, errors, preferences, query, rpc, statement, transaction
from dev.gateway.answer import Page
from dev.gateway.asgi import Header, Request
from dev.gateway.catalog import Catalog, Librarian, Relation, strict_object
from dev.gateway.identity import Identity, Keyring
from dev.gateway.pool import Pool
from dev.gateway.preferences import Count, Preferences
from dev.gateway.query import Query
from dev.gateway.session import Result, Step
from dev.gateway.settings import Settings
from dev.gateway.statement import Media, Source

PREFIX = "/rest/v1/"
_READS = frozenset({"GET", "HEAD"})
_WRITES = frozenset({"POST", "PATCH", "DELETE"})
# How Postgres takes a body that is no JSON: syntax, a forbidden escape, no UTF-8, nested too deeply.
_OF_BROKEN_JSON = frozenset({"22P02", "22P05", "22021", "54001"})
_RANGE = re.compile(r"^(\d{1,18})-(\d{1,18})?$", re.ASCII)


class DataApi:
    """Everything under `/rest/v1`. Raises `errors.Refusal` for whatever is not answered."""

    def __init__(self, settings: Settings, keyring: Keyring, librarian: Librarian, pool: Pool) -> None:
        self._settings = settings
        self._keyring = keyring
        self._librarian = librarian
        self._pool = pool

    async def __call__(self, request: Request) -> None:
        identity = self._keyring.identify(request)
        catalog = self._librarian.catalog
        segments = request.path.removeprefix(PREFIX).split("/")
        schema = _schema(request, catalog)
        match segments:
            case ["rpc", name] if name:
                await self._rpc(request, identity, catalog, schema, name)
            case [name] if name:
                await self._table(request, identity, catalog, schema, name)
            case _:
                raise errors.bad_path()

    async def _rpc(
        self, request: Request, identity: Identity, catalog: Catalog, schema: str, name: str
    ) -> None:
        reads = request.method in _READS
        if not reads and request.method != "POST":
            raise errors.Refusal(405, "PGRST101", f"Cannot use the {request.method} method on RPC")
        preferred = preferences.parse(request)
        body = b"" if reads else await request.body(self._settings.max_body)

        def find(catalog: Catalog) -> rpc.Call:
            if reads:
                return rpc.by_query(catalog, schema, name, request.query)
            return rpc.by_body(catalog, schema, name, _content_type(request), body, request.query)

        try:
            call = find(catalog)
        except errors.Refusal as refusal:
            if refusal.status != 404:
                raise
            # Perhaps it was made just now, and its announcement is being read.
            catalog = await self._librarian.settled()
            call = find(catalog)
        routine = call.routine
        media = _media(request)
        limit, offset = _window(request, call.rest)
        steps = rpc.steps(catalog, call, media, limit, offset, preferred.count, self._settings.max_rows)
        frame = transaction.frame(
            request,
            identity,
            f"/rpc/{name}",
            schema,
            read_only=reads or not routine.volatile,
            settings=routine.settings + _time_zone(preferred),
        )
        judge = _judge(media, preferred) if media is Media.OBJECT or preferred.strict else None
        try:
            results = await self._run(catalog, frame, steps, judge)
        except errors.Refusal as refusal:
            if refusal.code in _OF_BROKEN_JSON and not reads:
                _refuse_broken_json(_content_type(request), body)
            raise
        page = _counted(results, preferred.count, self._settings.max_rows)
        status, content_range = answer.ranged(page, offset)
        headers = [content_range]
        if routine.returns == "void":
            status, body = 204, b""
        else:
            headers.append((b"content-type", media.value))
            body = page.body
        await self._send(
            request,
            catalog,
            page,
            status,
            headers,
            body,
            preferred.applied(writes=False, counts_affected=True),
        )

    async def _table(
        self, request: Request, identity: Identity, catalog: Catalog, schema: str, name: str
    ) -> None:
        method = request.method
        if method not in _READS and method not in _WRITES:
            raise errors.bad_method(method)
        relation = catalog.relations.get((schema, name))
        if relation is None:
            catalog = await self._librarian.settled()
            relation = catalog.relations.get((schema, name))
            if relation is None:
                raise _no_table(catalog, schema, name)
        wanted = query.parse(request.query)
        preferred = preferences.parse(request)
        if method in _READS:
            await self._read(request, identity, catalog, relation, wanted, preferred)
        else:
            await self._write(request, identity, catalog, relation, wanted, preferred)

    async def _read(
        self,
        request: Request,
        identity: Identity,
        catalog: Catalog,
        relation: Relation,
        wanted: Query,
        preferred: Preferences,
    ) -> None:
        media = _media(request)
        limit, offset = _window(request, wanted)
        most = self._settings.max_rows
        window = most if limit is None else min(limit, most)
        shown = Media.NOTHING if request.method == "HEAD" and media is not Media.OBJECT else media
        steps = statement.read(Source.of(relation), wanted, window, offset, preferred.count, most, shown)
        frame = transaction.frame(
            request,
            identity,
            f"/{relation.name}",
            relation.schema,
            read_only=True,
            settings=_time_zone(preferred),
        )
        judge = _judge(media, preferred) if media is Media.OBJECT else None
        results = await self._run(catalog, frame, steps, judge)
        page = _counted(results, preferred.count, most)
        status, content_range = answer.ranged(page, offset)
        headers = [content_range, (b"content-type", media.value)]
        await self._send(request, catalog, page, status, headers, page.body, preferred.applied(writes=False))

    async def _write(
        self,
        request: Request,
        identity: Identity,
        catalog: Catalog,
        relation: Relation,
        wanted: Query,
        preferred: Preferences,
    ) -> None:
        media = _media(request)
        full = preferred.representation == "representation"
        if not full:
            media = Media.NOTHING
        method = request.method
        body = await request.body(self._settings.max_body)
        if method in ("PATCH", "DELETE") and not wanted.conditions:
            # the hosted database loads safeupdate, which refuses exactly this
            verb = "UPDATE" if method == "PATCH" else "DELETE"
            raise errors.Refusal(400, "21000", f"{verb} requires a WHERE clause")
        step = _write_step(method, relation, wanted, body, _content_type(request), preferred, media)
        frame = transaction.frame(
            request,
            identity,
            f"/{relation.name}",
            relation.schema,
            read_only=False,
            settings=_time_zone(preferred),
        )
        judge = _judge(media, preferred) if media is Media.OBJECT or preferred.strict else None
        results = await self._run(catalog, frame, [step], judge)
        page = answer.page(results[0])
        total = str(page.rows) if preferred.count else "*"
        span = f"0-{page.rows - 1}" if method == "PATCH" and page.rows else "*"
        headers: list[Header] = [(b"content-range", f"{span}/{total}".encode())]
        if full:
            status = 201 if method == "POST" else 200
            headers.append((b"content-type", media.value))
        else:
            status = 201 if method == "POST" else 204
        applied = preferred.applied(
            writes=True, inserts=method == "POST", counts_affected=method in ("PATCH", "DELETE")
        )
        await self._send(request, catalog, page, status, headers, page.body if full else b"", applied)

    async def _run(
        self,
        catalog: Catalog,
        frame: transaction.Frame,
        steps: Sequence[Step],
        judge: transaction.Judge | None,
    ) -> list[Result]:
        opening = transaction.opening(catalog, frame)
        authenticated = frame.identity.authenticated
        return await transaction.execute(self._pool, opening, steps, judge, authenticated=authenticated)

    async def _send(
        self,
        request: Request,
        catalog: Catalog,
        page: Page,
        status: int,
        headers: list[Header],
        body: bytes,
        applied: str,
    ) -> None:
        if applied:
            headers.append((b"preference-applied", applied.encode()))
        if len(catalog.schemas) > 1:
            headers.append((b"content-profile", _schema(request, catalog).encode()))
        if page.status is not None or page.headers is not None:
            status, headers = answer.overridden(page, status, headers)
        await request.answer(status, headers, body)


def _schema(request: Request, catalog: Catalog) -> str:
    header = "accept-profile" if request.method in _READS else "content-profile"
    wanted: str | None = request.headers.get(header)
    if wanted is None:
        return catalog.schemas[0]
    if wanted not in catalog.schemas:
        raise errors.Refusal(
            406,
            "PGRST106",
            f"Invalid schema: {wanted}",
            None,
            f"Only the following schemas are exposed: {', '.join(catalog.schemas)}",
        )
    return wanted


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


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


def _media(request: Request) -> Media:
    """What the Accept header asks for. Raises 406 PGRST107."""
    accept = request.headers.get("accept")
    if accept in (None, "*/*", "application/json"):
        return Media.JSON
    for part in accept.split(","):
        match part.partition(";")[0].strip().lower():
            case "*/*" | "application/*" | "application/json" | "application/vnd.pgrst.array+json":
                return Media.JSON
            case "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object":
                return Media.OBJECT
            case "text/csv":
                return Media.CSV
            case _:
                continue
    raise errors.Refusal(406, "PGRST107", f"None of these media types are available: {accept}")


def _window(request: Request, wanted: Query) -> tuple[int | None, int]:
    """Limit and offset, from the query string and (by GET) the Range header. Raises 416 PGRST103."""
    limit, offset = wanted.limit, wanted.offset
    header = request.headers.get("range") if request.method == "GET" else None
    found = _RANGE.match(header) if header else None
    if found is None:
        return limit, offset
    first = int(found.group(1))
    if found.group(2) is not None:
        last = int(found.group(2))
        if last < first:
            raise errors.bad_range(
                "The lower boundary must be lower than or equal to the upper boundary in the Range header."
            )
        if limit is not None:
            last = min(last, offset + limit - 1)
        offset = max(offset, first)
        return max(last - offset + 1, 0), offset
    end = None if limit is None else offset + limit
    offset = max(offset, first)
    return (None if end is None else max(end - offset, 0)), offset


def _time_zone(preferred: Preferences) -> tuple[tuple[str, str], ...]:
    """The preferred time zone as a setting, if there is one of that name."""
    zone = preferred.timezone
    if zone is None:
        return ()
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        if preferred.strict:
            raise errors.Refusal(
                400,
                "PGRST122",
                "Invalid preferences given with handling=strict",
                f"Invalid preferences: timezone={zone}",
            ) from None
        return ()
    return (("timezone", zone),)


def _judge(media: Media, preferred: Preferences) -> "transaction.Judge":
    """What is looked at before the commit: one row where one was asked for, not more than allowed."""

    def judge(results: Sequence[Result]) -> None:
        page = answer.page(results[0])
        if media is Media.OBJECT and page.rows != 1:
            raise errors.not_singular(page.rows)
        if preferred.strict and preferred.max_affected is not None and page.rows > preferred.max_affected:
            raise errors.too_many_affected(page.rows)

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


def _write_step(
    method: str,
    relation: Relation,
    wanted: Query,
    body: bytes,
    content_type: str,
    preferred: Preferences,
    media: Media,
) -> Step:
    if method == "DELETE":
        return statement.delete(relation, wanted, media)
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
        resolution=preferred.resolution,
        missing_default=preferred.missing_default,
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
