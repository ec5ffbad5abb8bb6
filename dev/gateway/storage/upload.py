"""An upload on its way in: raw body or multipart form, its type, its limits."""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dev.gateway import asgi
from dev.gateway.asgi import Request
from dev.gateway.storage import multipart, refusal
from dev.gateway.storage.rows import Bucket


@dataclass(frozen=True, slots=True)
class Upload:
    """What arrives, and what was said about it. `content` is read once, as it comes."""

    content: AsyncIterator[bytes]
    mime: str
    cache_control: str
    user_metadata: dict[str, object] | None


def announced(request: Request) -> dict[str, object]:
    """What the headers say of an upload, for policies that look at it before the bytes have come."""
    length = request.headers.get("content-length", "")
    return {
        "mimetype": request.headers.get("content-type", "application/octet-stream"),
        "contentLength": int(length) if length.isdecimal() else None,
    }


async def receive(request: Request, bucket: Bucket, limit: int) -> Upload:
    """Begin to read an upload. Raises `StorageRefusal`: 413 announced too large, 415 type, 400 no content."""
    content_type = request.headers.get("content-type", "application/octet-stream")
    if not content_type.lower().startswith("multipart/form-data"):
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            raise refusal.too_large()
        check_type(content_type, bucket)
        return Upload(
            chunks(request),
            content_type,
            request.headers.get("cache-control", "no-cache"),
            own_metadata(request.headers.get("x-metadata"), encoded=True),
        )
    boundary = multipart.boundary_of(content_type)
    if boundary is None:
        raise refusal.no_content()
    part = await multipart.read(chunks(request), boundary)
    mime = part.fields.get("contentType") or part.content_type
    check_type(mime, bucket)
    seconds = part.fields.get("cacheControl")
    return Upload(
        part.content,
        mime,
        f"max-age={seconds}" if seconds else "no-cache",
        own_metadata(part.fields.get("metadata") or part.fields.get("userMetadata"), encoded=False),
    )


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `Disconnected`."""
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise asgi.Disconnected
        more = message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        if chunk:
            yield chunk


def check_type(mime: str, bucket: Bucket) -> None:
    """Raises `StorageRefusal` (415) for a type that the bucket does not take."""
    kind, slash, form = mime.partition(";")[0].strip().lower().partition("/")
    if not slash:
        raise refusal.bad_type(mime)
    if not bucket.types:
        return
    for allowed in bucket.types:
        allowed_kind, _, allowed_form = allowed.lower().partition("/")
        if allowed_kind == kind and allowed_form in ("*", form):
            return
    raise refusal.bad_type(mime)


def own_metadata(text: str | None, *, encoded: bool) -> dict[str, object] | None:
    """Metadata that the client made up; what cannot be read is left out, as Storage does."""
    if text is None:
        return None
    try:
        value = json.loads(base64.b64decode(text) if encoded else text)
    except (ValueError, binascii.Error):
        return None
    return value if isinstance(value, dict) and "\\u0000" not in json.dumps(value) else None
