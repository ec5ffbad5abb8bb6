"""Files in and out by signed URLs, through the attempt door of the edge function.

    GET  {functions}/v1/attempts/{id}/inputs/{name}   → 302, signed URL → the bytes
    POST {functions}/v1/attempts/{id}/artifacts       → 201 {artifact_id, version, upload_url}; PUT the bytes
    POST {functions}/v1/attempts/{id}/parcels         → 201 {upload_url}; PUT the bytes
    GET  {functions}/v1/attempts/{id}/parcels/{name}  → 302, signed URL → the bytes; DELETE removes them
    GET  {functions}/v1/uploads/bytes                 → 302, signed URL → the bytes of one person's upload
    DELETE {functions}/v1/sweeps/bytes                → what a claimed sweep names is removed

Parcels are what goes to and comes from the work of an attempt that lives outside (a pod): no artifacts,
nobody's but this attempt's, and gone when it is over.

The bearer is the attempt's (or the check's) own token: it opens this door for this attempt under this lease
and nothing else. It is never sent to the signed URL.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from runner.model.attempt import Attempt
from runner.model.errors import Failure, Permanent, Retryable, StaleLease
from runner.model.outcome import StoredArtifact
from runner.model.termination import TerminationCode
from runner.model.wire import Removals, Upload
from runner.transfer import resumable
from runner.transfer.resumable import Ticket

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)
T = TypeVar("T")

TRIES = 4
FIRST_PAUSE_SECONDS = 0.3
CHUNK = 1024**2
TIMEOUT_SECONDS = 60.0
#: The bucket's own bound is 50 MiB; this one only keeps a broken storage from filling the disk.
MAX_INPUT = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Measured:
    """Size in bytes and SHA-256 of a file, as hex."""

    size: int
    sha256: str


def measure(path: Path) -> Measured:
    """Read a file once. Blocking."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            size += len(piece)
    return Measured(size, digest.hexdigest())


class Door:
    """The runner's HTTP side towards Control Room itself. One client, made when first needed."""

    def __init__(
        self,
        functions_url: str,
        anon_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = functions_url.rstrip("/")
        self._anon_key = anon_key
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Close the connections, if there are any."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def fetch_input(self, attempt: Attempt, name: str, target: Path) -> Measured:
        """Download one artifact input. Raises Permanent or Retryable (INPUT_UNAVAILABLE), or StaleLease."""
        path = f"/v1/attempts/{attempt.attempt_id}/inputs/{quote(name, safe='')}"
        return await self._fetch(path, attempt.token, target, MAX_INPUT)

    async def fetch_upload(self, upload: Upload, target: Path) -> Measured:
        """Download what a person uploaded. Raises as `fetch_input` does."""
        return await self._fetch("/v1/uploads/bytes", upload.token, target, MAX_INPUT)

    async def store(
        self,
        attempt: Attempt,
        path: Path,
        measured: Measured,
        *,
        name: str,
        kind: str,
        content_type: str | None = None,
    ) -> StoredArtifact:
        """Upload one file as an artifact version. Raises Permanent, Retryable (PUBLISH_FAILED) or
        StaleLease."""
        form: dict[str, Any] = {
            "name": name,
            "kind": kind,
            "size": measured.size,
            "sha256": measured.sha256,
        }
        if content_type:
            form["content_type"] = content_type
        response = await self._ask(
            "POST",
            f"/v1/attempts/{attempt.attempt_id}/artifacts",
            attempt.token,
            TerminationCode.PUBLISH_FAILED,
            form,
        )
        ticket = response.json()
        media_type = content_type or "application/octet-stream"
        if measured.size > resumable.THRESHOLD and "resumable" in ticket:
            await self._upload_in_parts(
                Ticket.of(ticket["resumable"], str(response.url)), path, media_type, measured
            )
        else:
            await self._upload(str(response.url.join(ticket["upload_url"])), path, media_type, measured)
        return StoredArtifact(
            artifact_id=str(ticket["artifact_id"]),
            version=int(ticket["version"]),
            size=measured.size,
            sha256=measured.sha256,
        )

    async def send_parcel(self, attempt: Attempt, name: str, path: Path) -> Measured:
        """Put one file where the work outside can fetch it. Raises as `store` does."""
        measured = await asyncio.to_thread(measure, path)
        response = await self._ask(
            "POST", _parcels(attempt), attempt.token, TerminationCode.EXECUTOR_UNAVAILABLE, {"name": name}
        )
        url = str(response.url.join(response.json()["upload_url"]))
        await self._upload(url, path, "application/octet-stream", measured)
        return measured

    async def fetch_parcel(self, attempt: Attempt, name: str, target: Path) -> Measured:
        """Download what the work outside has put there. Raises as `fetch_input` does."""
        return await self._fetch(f"{_parcels(attempt)}/{name}", attempt.token, target, MAX_INPUT)

    async def drop_parcel(self, attempt: Attempt, name: str) -> None:
        """Remove a parcel that has arrived, or was never fetched."""
        await self._ask(
            "DELETE", f"{_parcels(attempt)}/{name}", attempt.token, TerminationCode.EXECUTOR_UNAVAILABLE
        )

    async def remove_swept(self, removals: Removals) -> None:
        """Have removed what a sweep has claimed. Raises as `store` does; StaleLease: the claim is over."""
        await self._ask("DELETE", "/v1/sweeps/bytes", removals.token, TerminationCode.PUBLISH_FAILED)

    async def _fetch(self, path: str, token: str, target: Path, max_bytes: int) -> Measured:
        code = TerminationCode.INPUT_UNAVAILABLE
        response = await self._ask("GET", path, token, code)
        location = response.headers.get("location")
        if response.status_code not in (302, 303, 307) or not location:
            raise Permanent(
                code, f"the door answered {response.status_code} where it should lead to the bytes"
            )
        return await self._download(str(response.url.join(location)), target, max_bytes)

    async def _download(self, url: str, target: Path, max_bytes: int) -> Measured:
        code = TerminationCode.INPUT_UNAVAILABLE

        async def once() -> Measured:
            digest = hashlib.sha256()
            size = 0
            async with self._http().stream("GET", url) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise _refusal(response, code)
                with target.open("wb") as file:
                    async for piece in response.aiter_bytes(CHUNK):
                        size += len(piece)
                        if size > max_bytes:
                            raise Permanent(code, f"the file is larger than {max_bytes} bytes")
                        digest.update(piece)
                        file.write(piece)
            return Measured(size, digest.hexdigest())

        return await self._patiently(once, code)

    async def _upload(self, url: str, path: Path, content_type: str, measured: Measured) -> None:
        code = TerminationCode.PUBLISH_FAILED
        headers = {"content-type": content_type, "content-length": str(measured.size)}
        tries = 0

        async def once() -> None:
            nonlocal tries
            tries += 1
            response = await self._http().put(url, content=_pieces(path), headers=headers)
            # The place is new and ours alone: bytes that are there already came from a try whose answer was
            # lost.
            if response.status_code not in (200, 201, 204) and not (tries > 1 and _is_duplicate(response)):
                raise _refusal(response, code)

        await self._patiently(once, code)

    async def _upload_in_parts(self, ticket: Ticket, path: Path, media_type: str, measured: Measured) -> None:
        """A part whose connection breaks is continued from where it got to."""
        code = TerminationCode.PUBLISH_FAILED
        sending = resumable.Sending(self._http(), ticket, path, measured.size, media_type)

        async def once() -> None:
            response = await sending.go_on()
            if response is not None and response.status_code in resumable.AGAIN:
                raise Retryable(code, f"storage answered {response.status_code}")
            if response is not None:
                raise _refusal(response, code)

        await self._patiently(once, code)

    async def _ask(
        self, method: str, path: str, token: str, code: TerminationCode, form: dict[str, Any] | None = None
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        if self._anon_key:
            headers["apikey"] = self._anon_key

        async def once() -> httpx.Response:
            response = await self._http().request(method, self._base + path, headers=headers, json=form)
            if response.status_code >= 400:
                raise _refusal(response, code)
            return response

        return await self._patiently(once, code)

    async def _patiently(self, once: Callable[[], Awaitable[T]], code: TerminationCode) -> T:
        """Call `once` until it answers or refuses for good; the last failure is raised as a Retryable."""
        import httpx  # noqa: PLC0415 - an idle runner has no use for it

        pause = FIRST_PAUSE_SECONDS
        for tries_left in reversed(range(TRIES)):
            try:
                return await once()
            except Retryable:
                if not tries_left:
                    raise
            except httpx.HTTPError as error:
                if not tries_left:
                    raise Retryable(code, f"storage cannot be reached: {type(error).__name__}") from error
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 - spreads load, guards nothing
            pause *= 3
        raise AssertionError("unreachable")

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx  # noqa: PLC0415 - an idle runner has no use for it

            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=30),
            )
        return self._client


def _parcels(attempt: Attempt) -> str:
    return f"/v1/attempts/{attempt.attempt_id}/parcels"


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _refusal(response: httpx.Response, code: TerminationCode) -> Failure | StaleLease:
    """What an answer that is no success means for the attempt."""
    said = _error_code(response)
    status = response.status_code
    if said in ("ATTEMPT_TOKEN_INVALID", "CHECK_TOKEN_INVALID", "SWEEP_TOKEN_INVALID", "STALE_LEASE"):
        return StaleLease(said)
    if status >= 500 or status in (408, 425, 429):
        return Retryable(code, f"storage answered {status}")
    if said == "ARTIFACT_TOO_LARGE" or status == 413:
        return Permanent(TerminationCode.OUTPUT_TOO_LARGE, "the file is larger than the tenant's limit")
    if code is TerminationCode.PUBLISH_FAILED:
        return Permanent(TerminationCode.OUTPUT_INVALID, f"storage refused the file: {said or status}")
    return Permanent(code, f"the input cannot be read: {said or status}")


def _is_duplicate(response: httpx.Response) -> bool:
    """Storage says so with 409, or with 400 and the number in the body."""
    return response.status_code == 409 or (response.status_code == 400 and '"409"' in response.text)


def _error_code(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return ""
    return str(body.get("code", "")) if isinstance(body, dict) else ""
