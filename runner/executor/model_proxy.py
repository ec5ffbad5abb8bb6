"""An attempt's only way out: from a socket in its workspace to one model, and nowhere else.

    cn → 127.0.0.1 inside the sandbox → the harness → a Unix socket → here → the model

The sandbox has no network. What it may ask is a POST to one of the model's own paths; the address, the key
and the headers that open it are put on here, and are never inside. Here it is also counted what the model was
asked and what it cost, for what the sandbox says of itself is not to be believed, and decided when the model
is given up: Continue would try for two minutes what has failed for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11

from runner.executor.models import Model
from runner.model.errors import Failure, Permanent, Retryable
from runner.model.termination import TerminationCode

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)
JsonObject = dict[str, Any]

SOCKET = "model.sock"
#: What clients of models ask, below the base of the model.
PATHS = ("chat/completions", "completions", "responses", "messages")
MAX_REQUESTS = 100
MAX_BODY = 16 * 1024**2
MAX_LINE = 1024**2
FAILURES_BORNE = 2
CONNECT_SECONDS = 15.0
#: A model may think for long before its first word.
READ_SECONDS = 300.0
CHUNK = 65_536
#: Of the request, what the model is told; all other headers are the sandbox's own business.
_PASSED = (b"content-type", b"accept")


class ModelProxy:
    """The way to one model, for one attempt. `failure` is why it does not answer, None while it does."""

    def __init__(self, model: Model, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.failure: Failure | None = None
        self.given_up = asyncio.Event()
        self._model = model
        self._transport = transport
        self._requests = 0
        self._failures = 0
        self._tokens = {"prompt": 0, "completion": 0}

    @property
    def account(self) -> JsonObject:
        """What was asked and what it cost."""
        return {"model": self._model.name, "requests": self._requests, "tokens": dict(self._tokens)}

    @contextlib.asynccontextmanager
    async def serve(self, folder: Path) -> AsyncIterator[None]:
        """Listen at `folder`/model.sock while inside."""
        import httpx  # noqa: PLC0415 - a runner that carries no generation has no use for it

        async with httpx.AsyncClient(
            transport=self._transport,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
            follow_redirects=False,
        ) as client:
            talks: set[asyncio.Task[None]] = set()

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                talks.add(task)
                try:
                    await _Talk(self, client, reader, writer).hold()
                finally:
                    talks.discard(task)
                    writer.close()

            server = await asyncio.start_unix_server(answer, sock=_listening(folder))
            try:
                yield
            finally:
                server.close()
                for task in list(talks):
                    task.cancel()
                await asyncio.gather(*talks, return_exceptions=True)

    def target(self, path: str) -> str | None:
        """Where a request for this path goes; None where it goes nowhere."""
        asked = path.partition("?")[0].strip("/")
        return f"{self._model.base}/{asked}" if asked in PATHS else None

    @property
    def headers(self) -> dict[str, str]:
        """What opens the model."""
        return dict(self._model.headers)

    def admit(self) -> bool:
        """One more question; False when there were too many."""
        self._requests += 1
        if self._requests > MAX_REQUESTS:
            self._end(
                Permanent(
                    TerminationCode.GENERATION_FAILED, f"the model was asked more than {MAX_REQUESTS} times"
                )
            )
            return False
        return True

    def answered(self, status: int, retry_after: str | None) -> None:
        """The model's status: what is no success is remembered, what cannot be mended ends the attempt."""
        if status < 300:
            self.failure, self._failures = None, 0
            return
        name = self._model.name
        if status in (408, 425, 429) or status >= 500:
            after = float(retry_after) * 1000 if retry_after and retry_after.isdigit() else None
            self._failed(f"the model {name} answered {status}", None if after is None else int(after))
        elif status in (400, 413, 422):
            # about this question: what Continue makes of it is Continue's business
            self.failure = Permanent(
                TerminationCode.GENERATION_FAILED, f"the model {name} refused the question ({status})"
            )
        else:
            self._end(
                Permanent(
                    TerminationCode.MODEL_UNAVAILABLE, f"the model {name} refuses the runner ({status})"
                )
            )

    def unreachable(self, why: str) -> None:
        """The model cannot be spoken to."""
        self._failed(f"the model {self._model.name} cannot be reached: {why}", None)

    def count(self, said: JsonObject) -> None:
        """Add the tokens of an answer, in OpenAI's or in Anthropic's words."""
        nested = said.get("message") or said.get("response")
        usage = said.get("usage") or (nested.get("usage") if isinstance(nested, dict) else None)
        if not isinstance(usage, dict):
            return
        for name, words in (
            ("prompt", ("prompt_tokens", "input_tokens")),
            ("completion", ("completion_tokens", "output_tokens")),
        ):
            self._tokens[name] += sum(usage[w] for w in words if isinstance(usage.get(w), int))

    def _failed(self, message: str, after_ms: int | None) -> None:
        self._failures += 1
        self.failure = Retryable(TerminationCode.MODEL_UNAVAILABLE, message, after_ms)
        if self._failures > FAILURES_BORNE:
            self.given_up.set()

    def _end(self, failure: Failure) -> None:
        self.failure = failure
        self.given_up.set()


class _Talk:
    """One request of the sandbox and its answer. Hostile until the model has it."""

    def __init__(
        self,
        proxy: ModelProxy,
        client: httpx.AsyncClient,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._reader = reader
        self._writer = writer
        self._wire = h11.Connection(h11.SERVER)

    async def hold(self) -> None:
        import httpx  # noqa: PLC0415 - as above

        try:
            asked = await self._next()
            if not isinstance(asked, h11.Request):
                return
            body = await self._body()
            target = self._proxy.target(asked.target.decode("ascii", "replace"))
            if body is None:
                await self._refuse(413, "too large")
            elif asked.method != b"POST" or target is None:
                await self._refuse(403, "this way leads to one model and nowhere else")
            elif not self._proxy.admit():
                await self._refuse(403, "asked too often")
            else:
                try:
                    await self._pass_on(target, asked, body)
                except httpx.HTTPError as error:
                    self._proxy.unreachable(type(error).__name__)
                    await self._refuse(502, "the model cannot be reached")
        except (h11.RemoteProtocolError, h11.LocalProtocolError, ConnectionError, TimeoutError):
            log.debug("relay_cut", exc_info=True)

    async def _pass_on(self, target: str, asked: h11.Request, body: bytes) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in asked.headers if name in _PASSED}
        headers |= self._proxy.headers
        async with self._client.stream("POST", target, content=body, headers=headers) as answer:
            self._proxy.answered(answer.status_code, answer.headers.get("retry-after"))
            kind = answer.headers.get("content-type", "application/json")
            await self._send(h11.Response(status_code=answer.status_code, headers=_headers(kind)))
            meter = _Meter(self._proxy, streamed="event-stream" in kind)
            async for piece in answer.aiter_bytes(CHUNK):
                meter.feed(piece)
                await self._send(h11.Data(data=piece))
            meter.end()
            await self._send(h11.EndOfMessage())

    async def _refuse(self, status: int, message: str) -> None:
        if self._wire.our_state is not h11.SEND_RESPONSE and self._wire.our_state is not h11.IDLE:
            return
        data = json.dumps({"error": {"message": message, "type": "control_room"}}).encode()
        await self._send(h11.Response(status_code=status, headers=_headers("application/json")))
        await self._send(h11.Data(data=data))
        await self._send(h11.EndOfMessage())

    async def _next(self) -> Any:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            self._wire.receive_data(await self._reader.read(CHUNK))
        return event

    async def _body(self) -> bytes | None:
        """All of it; None when it is too much."""
        data = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            data += event.data
            if len(data) > MAX_BODY:
                return None
        return bytes(data)

    async def _send(self, event: Any) -> None:
        data = self._wire.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


class _Meter:
    """Reads along for what an answer cost."""

    def __init__(self, proxy: ModelProxy, *, streamed: bool) -> None:
        self._proxy = proxy
        self._streamed = streamed
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        self._rest += piece
        if self._streamed:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                self._look(line.removeprefix(b"data:"))
        if len(self._rest) > MAX_LINE:
            self._rest = b""

    def end(self) -> None:
        self._look(self._rest.removeprefix(b"data:"))

    def _look(self, text: bytes) -> None:
        if b'"usage"' in text:
            with contextlib.suppress(ValueError, RecursionError):
                said = json.loads(text)
                if isinstance(said, dict):
                    self._proxy.count(said)


def _headers(kind: str) -> list[tuple[str, str]]:
    return [("content-type", kind), ("connection", "close")]


def _listening(folder: Path) -> socket.socket:
    """A socket in the folder that the sandbox's user may speak to; by the folder's descriptor, for a path may
    be longer than an address of a socket."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(f"/proc/self/fd/{handle}/{SOCKET}")
        os.chmod(SOCKET, 0o666, dir_fd=handle)  # noqa: S103 - in a folder of the sandbox's own
        made.listen(16)
    except BaseException:
        made.close()
        raise
    finally:
        os.close(handle)
    return made
