"""Multipart forms, read as they stream in: the fields before the file, then the file's bytes."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dev.gateway.storage import refusal

_MAX_HEAD = 16 * 1024
_MAX_FIELD = 1024 * 1024
_MAX_FIELDS = 10
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^;,\s]{1,70}))', re.IGNORECASE)
_NAME = re.compile(r';\s*name="([^"]*)"', re.IGNORECASE)
_FILE_NAME = re.compile(r";\s*filename\*?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FilePart:
    """The first file of a form, and the fields that came before it. `content` is read once, as it comes."""

    fields: dict[str, str]
    content_type: str
    content: AsyncIterator[bytes]


def boundary_of(content_type: str) -> str | None:
    """The boundary in a Content-Type of multipart/form-data; None without one."""
    found = _BOUNDARY.search(content_type)
    return None if found is None else found.group(1) or found.group(2)


async def read(chunks: AsyncIterator[bytes], boundary: str) -> FilePart:
    """Read up to the file. Raises `StorageRefusal` (400) for what is no form, or a form without a file."""
    form = _Form(chunks, boundary)
    fields: dict[str, str] = {}
    await form.skip()
    while len(fields) <= _MAX_FIELDS:
        head = await form.head()
        if head is None:
            break
        disposition = head.get("content-disposition", "")
        if _FILE_NAME.search(disposition):
            return FilePart(fields, head.get("content-type", "application/octet-stream"), form.content())
        name = _NAME.search(disposition)
        value = b""
        async for piece in form.content():
            value += piece
            if len(value) > _MAX_FIELD:
                raise refusal.too_large()
        if name is not None:
            fields[name.group(1)] = value.decode("utf-8", "replace")
    raise refusal.no_content()


class _Form:
    """The unread rest of a form."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: str) -> None:
        self._chunks = chunks
        self._mark = b"\r\n--" + boundary.encode("latin-1", "replace")
        self._rest = b"\r\n"  # so that the first boundary looks like every other

    async def _more(self) -> None:
        async for chunk in self._chunks:
            if chunk:
                self._rest += chunk
                return
        raise refusal.no_content()

    async def skip(self) -> None:
        """Pass the first boundary."""
        async for _ in self.content():
            pass

    async def head(self) -> dict[str, str] | None:
        """The header lines of the part that begins here; None after the last part."""
        while len(self._rest) < 2:
            await self._more()
        if self._rest.startswith(b"--"):
            return None
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            if len(self._rest) > _MAX_HEAD:
                raise refusal.no_content()
            await self._more()
        head, self._rest = self._rest[:end], self._rest[end + 4 :]
        lines = head.decode("utf-8", "replace").split("\r\n")
        pairs = (line.partition(":") for line in lines if ":" in line)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes up to the next boundary, which is passed."""
        keep = len(self._mark) - 1
        while True:
            at = self._rest.find(self._mark)
            if at >= 0:
                piece, self._rest = self._rest[:at], self._rest[at + len(self._mark) :]
                if piece:
                    yield piece
                return
            if len(self._rest) > keep:
                piece, self._rest = self._rest[:-keep], self._rest[-keep:]
                yield piece
            await self._more()
