"""What a request asks for beside its path and body: schema, form, cut, time zone."""

import re
import zoneinfo

from dev.gateway import errors
from dev.gateway.asgi import Request
from dev.gateway.catalog import Catalog, Settings
from dev.gateway.preferences import Preferences
from dev.gateway.statement import Media
from dev.gateway.terms import Query

READS = frozenset({"GET", "HEAD"})
_RANGE = re.compile(r"^(\d{1,18})-(\d{1,18})?$", re.ASCII)


def schema(request: Request, catalog: Catalog) -> str:
    """The schema that a profile header names, else the first one. Raises 406 PGRST106."""
    header = "accept-profile" if request.method in READS else "content-profile"
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


def content_type(request: Request) -> str:
    """The type of the body without its parameters; JSON where nothing is said."""
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


def media(request: Request) -> Media:
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


def window(request: Request, wanted: Query) -> tuple[int | None, int]:
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


def time_zone(preferred: Preferences) -> Settings:
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
