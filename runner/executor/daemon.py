"""The daemon that keeps containers: the few calls of Docker's Engine API that we need, over a unix socket.

Docker and Podman's service both speak them. The version is the daemon's own: an old client is refused by new
Dockers, a new one by old Podmans.

    DaemonUnavailable    nobody answers, or the connection broke; the same call may be made again
    DaemonRefused        it answered with an error
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

JsonObject = dict[str, Any]

CALL_SECONDS = 60.0
PULL_SECONDS = 1800.0
CHUNK = 65_536
HEADER = struct.Struct(">BxxxL")
STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


class DaemonUnavailable(Exception):
    """Nobody answers at the socket."""


class DaemonRefused(Exception):
    """The daemon's own error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class State:
    """A container as `inspect` tells of it. `out_of_memory` is the daemon's word: Podman on control groups of
    version 1 says no whatever happened."""

    status: str
    exit_code: int
    out_of_memory: bool
    error: str

    @property
    def ended(self) -> bool:
        """It ran, and runs no more: one that was never started has an exit code of nought as well."""
        return self.status in ("exited", "stopped")

    @property
    def running(self) -> bool:
        """It was started and has not ended."""
        return self.status in ("running", "paused", "restarting", "stopping")


@dataclass(frozen=True, slots=True)
class Listed:
    """A container in a list."""

    container: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is here: its id, the names of the variables that it brings, and the folders for which it
    wants volumes."""

    id: str
    variables: tuple[str, ...]
    volumes: tuple[str, ...] = ()


class Daemon:
    """One daemon."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._prefix = ""
        # the pool's bound would make heartbeats of containers wait for each other's ends
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=None)),
            base_url="http://daemon",
            timeout=CALL_SECONDS,
            trust_env=False,
        )

    async def close(self) -> None:
        """Leave it."""
        await self._client.aclose()

    async def info(self) -> JsonObject:
        """What it says about itself, and whether it is Podman; call it first, for it settles which version is
        spoken."""
        self._prefix = ""
        version = await self._json("GET", "/version")
        self._prefix = f"/v{version['ApiVersion']}"
        info = await self._json("GET", "/info")
        parts = [str(each.get("Name")) for each in version.get("Components") or []]
        return {**info, "ApiVersion": version["ApiVersion"], "Podman": "Podman Engine" in parts}

    async def image(self, reference: str) -> Image | None:
        """An image that is here, or None."""
        try:
            found = await self._json("GET", f"/images/{reference}/json")
        except DaemonRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise
        config = found.get("Config") or {}
        variables = {each.partition("=")[0] for each in config.get("Env") or []}
        return Image(found["Id"], tuple(sorted(variables)), tuple(sorted(config.get("Volumes") or {})))

    async def pull(self, reference: str) -> None:
        """Fetch an image. Raises DaemonRefused with what its registry said."""
        said = await self._call(
            "POST", "/images/create", params={"fromImage": reference}, seconds=PULL_SECONDS
        )
        for line in said.splitlines():  # progress, one object a line; a fault comes under 200 as well
            told = json.loads(line)
            if "error" in told:
                raise DaemonRefused(httpx.codes.NOT_FOUND, str(told["error"]))

    async def create(self, name: str, form: JsonObject) -> str:
        """A container that does not run yet; its id."""
        made = await self._json("POST", "/containers/create", params={"name": name}, form=form)
        return str(made["Id"])

    async def start(self, container: str) -> None:
        """Run it."""
        await self._call("POST", f"/containers/{container}/start")

    async def inspect(self, container: str) -> State | None:
        """How it is, or None where there is no such container."""
        try:
            found = await self._json("GET", f"/containers/{container}/json")
        except DaemonRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise
        state = found["State"]
        return State(
            status=str(state.get("Status", "")),
            exit_code=int(state.get("ExitCode", 0)),
            out_of_memory=bool(state.get("OOMKilled")),
            error=str(state.get("Error") or ""),
        )

    async def kill(self, container: str, signal: str) -> None:
        """Send a signal to its first process; nothing when it does not run."""
        try:
            await self._call("POST", f"/containers/{container}/kill", params={"signal": signal})
        except DaemonRefused as error:
            if error.status not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                raise

    async def remove(self, container: str) -> None:
        """Kill what runs in it and remove it with its volumes; nothing when it is not there."""
        try:
            await self._call("DELETE", f"/containers/{container}", params={"force": "1", "v": "1"})
        except DaemonRefused as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise

    async def list(self, labels: Mapping[str, str]) -> list[Listed]:
        """Every container with these labels, running or not."""
        filters = json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})
        found = await self._json("GET", "/containers/json", params={"all": "1", "filters": filters})
        return [Listed(each["Id"], each.get("Labels") or {}) for each in found]

    @asynccontextmanager
    async def attach(self, container: str) -> AsyncIterator[AsyncIterator[tuple[str, bytes]]]:
        """What it writes from now on, as (stream, bytes), until it ends; attached when the block is entered.

        Nothing is lost: who reads slowly slows the writer. Podman sets the container up here already.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError as error:
            raise DaemonUnavailable(f"nobody answers at {self._socket}: {error.strerror}") from error
        try:
            writer.write(
                f"POST {self._prefix}/containers/{container}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\n"
                "Host: daemon\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
            )
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(None, 2)[1])
            if status not in (httpx.codes.SWITCHING_PROTOCOLS, httpx.codes.OK):
                raise DaemonRefused(status, (await reader.read(CHUNK)).decode("utf-8", "replace"))
            yield _frames(reader.read)
        except (OSError, EOFError) as error:
            raise DaemonUnavailable("the connection to the daemon broke") from error
        finally:
            writer.close()

    async def log(self, container: str, *, follow: bool) -> AsyncIterator[tuple[str, bytes]]:
        """What it has written from its beginning, as the daemon kept it, as (stream, bytes)."""
        params = {"stdout": "1", "stderr": "1", "follow": "1" if follow else "0"}
        path = f"{self._prefix}/containers/{container}/logs"
        try:
            async with self._client.stream("GET", path, params=params, timeout=None) as answer:
                if answer.is_error:
                    raise DaemonRefused(answer.status_code, _message(await answer.aread()))
                rest = _Rest(answer.aiter_raw())
                async for frame in _frames(rest.read):
                    yield frame
        except httpx.TransportError as error:
            raise DaemonUnavailable(f"the connection to the daemon broke ({error})") from error

    async def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: JsonObject | None = None,
    ) -> Any:
        return json.loads(await self._call(method, path, params=params, form=form))

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: JsonObject | None = None,
        seconds: float = CALL_SECONDS,
    ) -> bytes:
        try:
            answer = await self._client.request(
                method, self._prefix + path, params=params, json=form, timeout=seconds
            )
        except httpx.TransportError as error:
            raise DaemonUnavailable(f"nobody answers at {self._socket} ({type(error).__name__})") from error
        if answer.is_error:
            raise DaemonRefused(answer.status_code, _message(answer.content))
        return answer.content


class _Rest:
    """Reads a stream of chunks by the number of bytes."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    async def read(self, most: int) -> bytes:
        while not self._left:
            try:
                self._left = await anext(self._chunks)
            except StopAsyncIteration:
                return b""
        piece, self._left = self._left[:most], self._left[most:]
        return piece


async def _frames(read: Callable[[int], Awaitable[bytes]]) -> AsyncIterator[tuple[str, bytes]]:
    """Docker's multiplexed stream: a byte for the stream, three of nothing, four of length, the bytes."""
    while True:
        header = b""
        while len(header) < HEADER.size:
            piece = await read(HEADER.size - len(header))
            if not piece:
                return
            header += piece
        stream, left = HEADER.unpack(header)
        while left:
            piece = await read(min(left, CHUNK))
            if not piece:
                return
            left -= len(piece)
            yield STREAMS.get(stream, "stdout"), piece


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace").strip()[:500]
