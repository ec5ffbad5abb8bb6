"""From the one row of a statement to the HTTP answer: status, ranges, what the database asked for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dev.gateway import errors
from dev.gateway.asgi import Header
from dev.gateway.catalog import strict_object
from dev.gateway.session import Result


@dataclass(frozen=True, slots=True)
class Page:
    """A statement's row: the JSON (or csv) Postgres made, its number of rows, the total if counted."""

    body: bytes
    rows: int
    total: int | None
    headers: bytes | None
    status: bytes | None


def page(result: Result) -> Page:
    """Read the row of five texts that every statement gives (see `statement`)."""
    total = result.get_value(0, 2)
    return Page(
        body=result.get_value(0, 0) or b"",
        rows=int(result.get_value(0, 1) or 0),
        total=None if total is None else int(total),
        headers=result.get_value(0, 3),
        status=result.get_value(0, 4),
    )


def planned_rows(result: Result) -> int:
    """The planner's estimate in the answer of `explain (format json)`."""
    return int(json.loads(result.get_value(0, 0) or b"")[0]["Plan"]["Plan Rows"])


def ranged(page: Page, offset: int) -> tuple[int, Header]:
    """Status and Content-Range of a read. Raises 416 for an offset beyond a counted total."""
    total = page.total
    if total is not None and offset > total:
        raise errors.bad_range(f"An offset of {offset} was requested, but there are only {total} rows.")
    span = f"{offset}-{offset + page.rows - 1}" if page.rows else "*"
    status = 206 if total is not None and page.rows < total else 200
    return status, (b"content-range", f"{span}/{'*' if total is None else total}".encode())


def overridden(page: Page, status: int, headers: Sequence[Header]) -> tuple[int, list[Header]]:
    """Status and headers after what the database set in response.status and response.headers.

    Raises 500 PGRST111/PGRST112 where those make no sense.
    """
    lines = list(headers)
    if page.status is not None:
        text = page.status.decode("ascii", "replace")
        if not text.isdecimal() or not 200 <= int(text) <= 599:
            raise errors.Refusal(500, "PGRST112", "response.status guc must be a valid status code")
        status = int(text)
    if page.headers is not None:
        own = _own_headers(page.headers)
        names = {name for name, _ in own}
        lines = [line for line in lines if line[0] not in names] + own
    return status, lines


def _own_headers(text: bytes) -> list[Header]:
    wrong = errors.Refusal(
        500,
        "PGRST111",
        "response.headers guc must be a JSON array composed of objects with a single key and a string value",
    )
    try:
        entries = strict_object(text)
    except ValueError:
        raise wrong from None
    if not isinstance(entries, list):
        raise wrong
    lines: list[Header] = []
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise wrong
        ((name, value),) = entry.items()
        if not isinstance(value, str) or any(mark in name + value for mark in "\r\n\0"):
            raise wrong
        lines.append((name.lower().encode("latin-1", "replace"), value.encode()))
    return lines
