"""Uploads in parts (TUS 1.0.0), so that a broken connection costs a part and not the whole."""

from __future__ import annotations

import base64
from urllib.parse import urljoin

import httpx

from control_room.errors import ApiError
from control_room.model import Resumable
from control_room.operation import TRIES, Operation, Pause, Request, exchange, pause_before, unreachable

#: Storage advises parts above this size, and of this size.
THRESHOLD = PART = 6 * 1024**2
#: Gone (or never begun), at another offset, in other hands: ask how far it came, and go on from there.
_AGAIN = frozenset({404, 409, 410, 423, 429, 502, 503, 504})


def send(right: Resumable, content: bytes, content_type: str) -> Operation[None]:
    """Sends all of it. Raises ApiError, Unreachable where several tries in a row brought nothing further."""
    place = yield from _begin(right, content, content_type)
    offset = 0
    tries = 0
    while offset < len(content):
        reply = yield _ask(
            right,
            "PATCH",
            place,
            {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"},
            content[offset : offset + PART],
        )
        if isinstance(reply, httpx.Response) and reply.is_success:
            offset, tries = int(reply.headers["upload-offset"]), 0
            continue
        tries += 1
        if isinstance(reply, httpx.Response) and (reply.status_code not in _AGAIN or tries == TRIES):
            raise ApiError.of(reply.status_code, reply.text, reply.reason_phrase)
        if isinstance(reply, httpx.TransportError) and tries == TRIES:
            raise unreachable(reply) from reply
        yield Pause(pause_before(tries))
        reached = yield from _reached(right, place)
        if reached is None and offset + PART >= len(content):
            return  # the last part had arrived: what became of it is for the check to say
        if reached is None:
            place = yield from _begin(right, content, content_type)
            reached = 0
        if reached > offset:
            tries = 0
        offset = reached


def _begin(right: Resumable, content: bytes, content_type: str) -> Operation[str]:
    said = {**right.metadata, "contentType": content_type}
    pairs = (f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
    headers = {"upload-length": str(len(content)), "upload-metadata": ",".join(pairs)}
    response = yield from exchange(_ask(right, "POST", right.url, headers, b""))
    return urljoin(right.url, response.headers["location"])


def _reached(right: Resumable, place: str) -> Operation[int | None]:
    """How far it came; None where Storage knows nothing of it any more."""
    try:
        response = yield from exchange(_ask(right, "HEAD", place, {}))
    except ApiError as error:
        if error.status in (404, 410):
            return None
        raise
    return int(response.headers["upload-offset"])


def _ask(
    right: Resumable, method: str, url: str, headers: dict[str, str], content: bytes | None = None
) -> Request:
    lines = {"tus-resumable": "1.0.0", **right.headers, **headers}
    return Request(method, url, headers=lines, content=content, door="signed", repeatable=method != "PATCH")
