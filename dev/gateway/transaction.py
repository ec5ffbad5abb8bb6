"""One request, one transaction, as PostgREST runs it.

begin → settings (role, claims, request.*) → pre-request → the statement → commit, sent in one burst.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dev.gateway import errors
from dev.gateway.asgi import Request
from dev.gateway.catalog import Catalog, Settings, quote
from dev.gateway.identity import Identity
from dev.gateway.pool import Pool
from dev.gateway.session import ROLLBACK, ConnectionLost, Result, Session, Step, first_failure

BEGIN_READ: Step = (b"begin isolation level read committed read only", ())
BEGIN_WRITE: Step = (b"begin isolation level read committed read write", ())
_COMMIT: Step = (b"commit", ())


# Sees the results before the commit; raising rolls everything back.
Judge = Callable[[Sequence[Result]], None]


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds the statement: who asks, how, in which schema.

    `path` is what `request.path` shows: `/rpc/<name>`, without `/rest/v1`, as behind the hosted door.
    """

    identity: Identity
    method: str
    path: str
    headers: bytes
    cookies: bytes
    schema: str
    read_only: bool
    settings: Settings = field(default=())


def frame(
    request: Request,
    identity: Identity,
    path: str,
    *,
    schema: str,
    read_only: bool,
    settings: Settings,
) -> Frame:
    """The frame of a Data API request."""
    cookie = request.headers.get("cookie")
    return Frame(
        identity=identity,
        method=request.method,
        path=path,
        headers=_encode({**request.headers, "x-forwarded-for": _forwarded_for(request)}),
        cookies=b"{}" if cookie is None else _encode(_cookies(cookie)),
        schema=schema,
        read_only=read_only,
        settings=settings,
    )


def _forwarded_for(request: Request) -> str:
    """As Kong and the hosted front write it: what the caller claims, then where it really came from."""
    client = request.scope.get("client")
    address = client[0] if client else "127.0.0.1"
    claimed = request.headers.get("x-forwarded-for")
    return f"{claimed}, {address}" if claimed else address


def _encode(value: dict[str, str]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _cookies(header: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, _, value in pairs if name}


def opening(catalog: Catalog, frame: Frame) -> list[Step]:
    """The steps before a statement. Raises `errors.Refusal` (403) for a role that may not be taken."""
    identity = frame.identity
    extra = role_settings(catalog, identity.role)
    values: list[bytes | None] = [
        search_path(catalog, frame.schema),
        identity.claims,
        frame.method.encode(),
        frame.path.encode("utf-8", "replace"),
        frame.headers,
        frame.cookies,
        identity.role.encode(),
    ]
    for name, value in extra + frame.settings:
        values += [name.encode(), value.encode()]
    steps: list[Step] = [
        BEGIN_READ if frame.read_only else BEGIN_WRITE,
        (_settings_text(len(extra), len(frame.settings)), values),
    ]
    if catalog.pre_request is not None:
        steps.append((catalog.pre_request, ()))
    return steps


def role_settings(catalog: Catalog, role: str) -> Settings:
    """The role's own settings. Raises `errors.Refusal` (403) for a role that may not be taken."""
    settings = catalog.roles.get(role)
    if settings is None:
        raise errors.Refusal(403, "42501", f'permission denied to set role "{role}"')
    return settings


def search_path(catalog: Catalog, schema: str) -> bytes:
    """The exposed schema, then the extra ones, quoted."""
    return ", ".join(quote(name) for name in dict.fromkeys((schema, *catalog.extra_search_path))).encode()


_texts: dict[tuple[int, int], bytes] = {}


def _settings_text(before: int, after: int) -> bytes:
    """One select that sets everything. The role's own settings come before the role, the function's last."""
    known = _texts.get((before, after))
    if known is not None:
        return known

    def dynamic(start: int, count: int) -> list[str]:
        return [f"set_config(${start + 2 * i}, ${start + 2 * i + 1}, true)" for i in range(count)]

    parts = ["set_config('search_path', $1, true)"]
    parts += dynamic(8, before)
    parts += [
        "set_config('request.jwt.claims', $2, true)",
        "set_config('request.method', $3, true)",
        "set_config('request.path', $4, true)",
        "set_config('request.headers', $5, true)",
        "set_config('request.cookies', $6, true)",
        "set_config('role', $7, true)",
    ]
    parts += dynamic(8 + 2 * before, after)
    text = _texts[(before, after)] = f"select {', '.join(parts)}".encode()
    return text


async def execute(
    pool: Pool,
    opening: Sequence[Step],
    statements: Sequence[Step],
    judge: Judge | None = None,
    *,
    authenticated: bool,
    commit: bool = True,
) -> list[Result]:
    """Run the opening and the statements as one transaction; the results of the statements.

    `judge`, if given, sees the results before the commit and may raise, which rolls everything back.
    Without `commit` everything is rolled back in any case. Raises `errors.Refusal` for whatever fails;
    `authenticated` decides between its 401 and 403.
    """
    session = await pool.acquire()
    try:
        if judge is None:
            results = await session.run([*opening, *statements, _COMMIT if commit else ROLLBACK])
            failure = first_failure(results)
        else:
            results = await session.run([*opening, *statements])
            failure = first_failure(results)
            if failure is None:
                judge(results[len(opening) :])
                failure = first_failure(await session.run([_COMMIT]))
    except ConnectionLost as error:
        raise errors.unreachable(str(error)) from error
    finally:
        try:
            await _roll_back(session)
        finally:
            pool.release(session)
    if failure is not None:
        raise errors.from_postgres(failure, authenticated=authenticated)
    return results[len(opening) : len(opening) + len(statements)]


async def _roll_back(session: Session) -> None:
    """End an open transaction. A lost connection has ended it already."""
    if not session.closed and not session.idle:
        try:
            await session.run([ROLLBACK])
        except ConnectionLost:
            session.close()
