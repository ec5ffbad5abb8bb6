"""Uploads in parts (TUS 1.0.0), as Storage takes them: for more than 6 MiB.

POST url → Location    PATCH Location, Upload-Offset: n, the next part    HEAD Location → Upload-Offset
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

if TYPE_CHECKING:
    import httpx

#: Storage advises it above this, and takes parts of this size.
THRESHOLD = PART = 6 * 1024**2
#: Not there (any more), at another offset, in somebody's hands: ask how far it came, and go on.
AGAIN = frozenset({404, 409, 410, 423})


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to one upload."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, form: Mapping[str, Any], base: str) -> Ticket:
        """As the door gives it; `base` is the door's own address."""
        return cls(urljoin(base, form["url"]), form["headers"], form["metadata"])


class Sending:
    """One file on its way. What has arrived is not sent again, whatever happens to a connection."""

    def __init__(
        self, client: httpx.AsyncClient, ticket: Ticket, path: Path, size: int, content_type: str
    ) -> None:
        self._client = client
        self._ticket = ticket
        self._path = path
        self._size = size
        self._metadata = {**ticket.metadata, "contentType": content_type}
        self._place: str | None = None
        self._offset: int | None = 0

    async def go_on(self) -> httpx.Response | None:
        """Send what is missing. None: all of it is there. A response: it was refused. Raises httpx.HTTPError.

        It may be called again after either.
        """
        if self._place is None:
            begun = await self._ask("POST", self._ticket.url, self._announcement())
            if begun.status_code != 201:
                return begun
            self._place = urljoin(self._ticket.url, begun.headers["location"])
            self._offset = 0
        if self._offset is None:
            told = await self._ask("HEAD", self._place)
            if told.status_code in (404, 410):  # forgotten by Storage: from the beginning
                self._place = None
                return told
            if not told.is_success:
                return told
            self._offset = int(told.headers["upload-offset"])
        while self._offset < self._size:
            part = await asyncio.to_thread(self._read, self._offset)
            headers = {
                "upload-offset": str(self._offset),
                "content-type": "application/offset+octet-stream",
            }
            self._offset = None  # until it is known how far this one got
            sent = await self._ask("PATCH", self._place, headers, part)
            if not sent.is_success:
                return sent
            self._offset = int(sent.headers["upload-offset"])
        return None

    def _announcement(self) -> dict[str, str]:
        pairs = (
            f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in self._metadata.items()
        )
        return {"upload-length": str(self._size), "upload-metadata": ",".join(pairs)}

    def _read(self, offset: int) -> bytes:
        handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            file.seek(offset)
            return file.read(PART)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        lines = {"tus-resumable": "1.0.0", **self._ticket.headers, **(headers or {})}
        return await self._client.request(method, url, headers=lines, content=content)
