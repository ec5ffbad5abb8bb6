"""An object on its way out: ranges, conditions, headers that keep browsers from running it."""

import os
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dev.gateway.asgi import Header, Request
from dev.gateway.storage import refusal

_CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


async def send(
    request: Request, row: dict[str, Any], path: Path, *, download: str | None, expires: int | None = None
) -> None:
    """Send an object. `download` is the query parameter of that name: the file name to suggest, or empty."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise refusal.no_object() from None
    with file:
        size = os.fstat(file.fileno()).st_size
        headers = _headers(row, download, expires) + request.sharing()
        etag = str((row.get("metadata") or {}).get("eTag", ""))
        if etag and request.headers.get("if-none-match") == etag:
            await request.send({"type": "http.response.start", "status": 304, "headers": headers})
            await request.send({"type": "http.response.body", "body": b""})
            return
        first, last, status = _range(request.headers.get("range"), size)
        if status == 206:
            headers.append((b"content-range", f"bytes {first}-{last}/{size}".encode()))
        left = last - first + 1
        headers.append((b"content-length", str(left).encode()))
        await request.send({"type": "http.response.start", "status": status, "headers": headers})
        if request.method == "HEAD":
            left = 0
        file.seek(first)
        while left > 0:
            piece = file.read(min(_CHUNK, left))
            if not piece:
                return  # cut short: the server closes the connection, since the length does not fit
            left -= len(piece)
            await request.send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        if request.method == "HEAD" or last < first:
            await request.send({"type": "http.response.body", "body": b""})


def _range(header: str | None, size: int) -> tuple[int, int, int]:
    """First and last byte and HTTP's status. Raises 416 for a range outside the object."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.group() == "bytes=-":
        return 0, size - 1, 200
    start, end = found.groups()
    if not start:
        first, last = max(size - int(end), 0), size - 1
    else:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
    if first >= size or last < first:
        raise refusal.StorageRefusal(416, "InvalidRange", "The requested range is not satisfiable")
    return first, last, 206


def _headers(row: dict[str, Any], download: str | None, expires: int | None) -> list[Header]:
    metadata = row.get("metadata") or {}
    mime = str(metadata.get("mimetype") or "application/octet-stream")
    if mime.lower().startswith("text/html"):
        mime = "text/plain" + mime[9:]  # as hosted: pages are shown as text, not run
    lines = [
        ("content-type", mime),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "none"),
        ("etag", str(metadata.get("eTag") or "")),
    ]
    modified = _moment(row.get("updated_at"))
    if modified is not None:
        lines.append(("last-modified", format_datetime(modified, usegmt=True)))
    if expires is not None:
        lines.append(("expires", format_datetime(datetime.fromtimestamp(expires, UTC), usegmt=True)))
    else:
        lines.append(("cache-control", str(metadata.get("cacheControl") or "no-cache")))
    if download is not None:
        name = quote(download, safe="!'()*~")
        lines.append(
            (
                "content-disposition",
                f"attachment; filename={name}; filename*=UTF-8''{name}" if name else "attachment;",
            )
        )
    return [
        (name.encode(), re.sub(r"[\x00-\x1f\x7f]", " ", value).encode("latin-1", "replace"))
        for name, value in lines
    ]


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return None
