"""Uploads in parts: TUS 1.0.0 as Storage speaks it, under `/storage/v1/upload/resumable`.

    POST            begins: Upload-Length, Upload-Metadata (bucketName, objectName, contentType …) → Location
    HEAD   /<mark>  how much is there
    PATCH  /<mark>  more of it, from Upload-Offset on; with the last byte the object comes to be
    DELETE /<mark>  throws an unfinished one away

Below `/sign` the right is a signed upload's token in `x-signature`; else it is the caller's, asked anew with
each part. What a cut connection has brought is kept, so the next part begins where that one ended.
"""

import asyncio
import base64
import binascii
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path

from dev.gateway.asgi import Header, Request
from dev.gateway.identity import Identity
from dev.gateway.settings import Settings
from dev.gateway.storage import names, refusal, upload
from dev.gateway.storage.rows import SERVICE, Entry, Rows, file_metadata
from dev.gateway.storage.shelf import Shelf
from dev.gateway.storage.signature import Signer

PATH = "upload/resumable"
KEPT_SECONDS = 24 * 60 * 60
VERSION: Header = (b"tus-resumable", b"1.0.0")
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_MARK = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Right:
    """As whom an upload is asked for, whose it will be, and whether it may replace what is there."""

    who: Identity
    owner: str
    over: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that was begun. `said` is Upload-Metadata as it came."""

    bucket: str
    key: str
    length: int
    mime: str
    cache_control: str
    user_metadata: dict[str, object] | None
    said: str
    began: float


class Parts:
    """The unfinished uploads: for each a file, and a note beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "resumable"
        self._locks: dict[str, asyncio.Lock] = {}

    def prepare(self) -> None:
        """Make the folder; throw away what is past its time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for note in self._folder.glob("*.json"):
            if note.stat().st_mtime < time.time() - KEPT_SECONDS:
                self.forget(note.stem)

    def begin(self, begun: Begun) -> str:
        """A mark for a new upload."""
        mark = uuid.uuid4().hex
        self.file(mark).touch()
        self._note(mark).write_text(json.dumps(asdict(begun)))
        return mark

    def find(self, mark: str) -> Begun:
        """The upload of a mark. Raises 404."""
        if not _MARK.fullmatch(mark):
            raise refusal.no_upload()
        try:
            return Begun(**json.loads(self._note(mark).read_text()))
        except FileNotFoundError:
            raise refusal.no_upload() from None

    def file(self, mark: str) -> Path:
        return self._folder / f"{mark}.part"

    def _note(self, mark: str) -> Path:
        return self._folder / f"{mark}.json"

    def size(self, mark: str) -> int:
        return self.file(mark).stat().st_size

    def lock(self, mark: str) -> asyncio.Lock:
        """Held by whoever brings a part: two at once would write over each other."""
        return self._locks.setdefault(mark, asyncio.Lock())

    async def append(self, mark: str, pieces: AsyncIterator[bytes], most: int) -> None:
        """Keep what comes, also of a connection that breaks. Raises 413 for more than was announced."""
        with self.file(mark).open("ab") as file:
            async for piece in pieces:
                if file.tell() + len(piece) > most:
                    raise refusal.too_large()
                file.write(piece)

    def forget(self, mark: str) -> None:
        """No more of it, if there was any."""
        self._locks.pop(mark, None)
        self.file(mark).unlink(missing_ok=True)
        self._note(mark).unlink(missing_ok=True)


class Resumable:
    """The verbs. `record` writes the row of what has arrived."""

    def __init__(
        self,
        settings: Settings,
        rows: Rows,
        shelf: Shelf,
        record: Callable[..., Awaitable[str]],
    ) -> None:
        self._settings = settings
        self._rows = rows
        self._shelf = shelf
        self._record = record
        self.parts = Parts(settings.storage_dir)

    async def __call__(
        self, request: Request, right: Callable[[str], Right], mark: str | None = None
    ) -> None:
        """Answer one request. `right` raises for who may not write to `<bucket>/<key>`."""
        if request.headers.get("tus-resumable") != "1.0.0":
            raise refusal.StorageRefusal(412, "TusRequired", "Tus-Resumable Required")
        match request.method, mark:
            case "POST", None:
                await self._begin(request, right)
            case "HEAD", str():
                begun = self.parts.find(mark)  # as hosted: asking how far it came needs no right
                lines = [*_lines(begun, self.parts.size(mark)), (b"upload-metadata", begun.said.encode())]
                await request.answer(200, lines, b"")
            case "PATCH", str():
                async with self.parts.lock(mark):
                    await self._more(request, right, mark)
            case "DELETE", str():
                begun = self.parts.find(mark)
                await self._may(request, right, begun)
                self.parts.forget(mark)
                await request.answer(204, [VERSION], b"")
            case _:
                raise refusal.no_route(request.method, request.path)

    async def _may(self, request: Request, right: Callable[[str], Right], begun: Begun) -> Right:
        """Raises 403, 404, 409 unless the bytes may be put there now: asked with every part."""
        given = right(f"{begun.bucket}/{begun.key}")
        announced = {"mimetype": begun.mime, "contentLength": begun.length}
        entry = Entry(begun.bucket, begun.key, given.owner, "1", announced)
        await self._rows.may_put(request, given.who, entry, over=given.over)
        return given

    async def _begin(self, request: Request, right: Callable[[str], Right]) -> None:
        begun = _announced(request)
        given = await self._may(request, right, begun)
        rules = await self._rows.limits(request, begun.bucket)
        most = self._settings.max_object
        if begun.length > (most if rules.limit is None else min(rules.limit, most)):
            raise refusal.too_large()
        upload.check_type(begun.mime, rules)
        mark = self.parts.begin(begun)
        size = 0
        if request.headers.get("content-type") == "application/offset+octet-stream":
            await self.parts.append(mark, upload.chunks(request), begun.length)
            size = self.parts.size(mark)
        done = await self._finish_if_whole(request, given, mark, begun)
        place = f"{request.path.rstrip('/')}/{mark}".encode()
        await request.answer(201, [*_lines(begun, size), (b"location", place), *done], b"")

    async def _more(self, request: Request, right: Callable[[str], Right], mark: str) -> None:
        begun = self.parts.find(mark)
        if request.headers.get("content-type") != "application/offset+octet-stream":
            raise refusal.StorageRefusal(415, "InvalidContentType", "Content-Type header required")
        given = await self._may(request, right, begun)
        said = request.headers.get("upload-offset", "")
        if not _COUNT.fullmatch(said) or int(said) != self.parts.size(mark):
            raise refusal.StorageRefusal(409, "Conflict", "Upload-Offset conflict")
        await self.parts.append(mark, upload.chunks(request), begun.length)
        size = self.parts.size(mark)
        done = await self._finish_if_whole(request, given, mark, begun)
        await request.answer(204, [*_lines(begun, size), *done], b"")

    async def _finish_if_whole(self, request: Request, given: Right, mark: str, begun: Begun) -> list[Header]:
        if self.parts.size(mark) < begun.length:
            return []
        stored = await asyncio.to_thread(self._shelf.adopt, self.parts.file(mark))
        self.parts.forget(mark)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        metadata = file_metadata(stored, begun.mime, begun.cache_control, now)
        whole = Entry(begun.bucket, begun.key, given.owner, stored.version, metadata, begun.user_metadata)
        await self._record(request, whole, over=given.over)
        return [(b"tus-complete", b"1")]


def signed(request: Request, signer: Signer) -> Callable[[str], Right]:
    """The right that a signed upload's token gives."""

    def right(place: str) -> Right:
        permit = signer.read(request.headers.get("x-signature"), place, "upload")
        return Right(SERVICE, permit.owner, permit.upsert)

    return right


def _announced(request: Request) -> Begun:
    """What a POST begins. Raises 400."""
    length = request.headers.get("upload-length", "")
    if not _COUNT.fullmatch(length):
        raise refusal.bad_request("Upload-Length header required")
    said = request.headers.get("upload-metadata", "")
    metadata: dict[str, str] = {}
    for pair in filter(None, said.split(",")):
        name, _, value = pair.strip().partition(" ")
        try:
            metadata[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise refusal.bad_request("Upload-Metadata must be pairs of a key and base64") from None
    seconds = metadata.get("cacheControl", "")
    return Begun(
        names.bucket(metadata.get("bucketName", "")),
        names.key(metadata.get("objectName", "")),
        int(length),
        metadata.get("contentType") or "application/octet-stream",
        f"max-age={seconds}" if seconds.isdecimal() else "no-cache",
        upload.own_metadata(metadata.get("metadata"), encoded=False),
        said,
        time.time(),
    )


def _lines(begun: Begun, size: int) -> list[Header]:
    return [
        VERSION,
        (b"upload-offset", str(size).encode()),
        (b"upload-length", str(begun.length).encode()),
        (b"upload-expires", formatdate(begun.began + KEPT_SECONDS, usegmt=True).encode()),
        (b"cache-control", b"no-store"),
    ]
