"""The receiver of callbacks: notes whose signature is right, then behaves as badly as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import Literal, get_args

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

Mood = Literal["well", "failing", "busy", "slow", "hanging", "resetting", "babbling"]
MOODS: tuple[Mood, ...] = get_args(Mood)


class Receiver:
    """`secrets` by path; `seen` counts every event id that came with a right signature, whatever was answered."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.gone: set[str] = set()  # paths that answer 410
        self.mood: Mood = "well"
        self.seen: Counter[str] = Counter()
        self.refused: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._busy.discard(task)
            writer.transport.abort() if self.mood == "resetting" else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split(" ")[1]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:])
            if name
        }
        body = await reader.readexactly(int(headers["content-length"]))
        try:
            Webhook(self.secrets[path]).verify(body, headers)
            json.loads(body)
        except (KeyError, WebhookVerificationError) as error:
            self.refused.append(f"{path}: {error!r}")
            await self._say(writer, "401 Unauthorized")
            return
        self.seen[headers["webhook-id"]] += 1
        match "gone" if path in self.gone else self.mood:
            case "gone":
                await self._say(writer, "410 Gone")
            case "failing":
                await self._say(writer, "500 Internal Server Error")
            case "busy":
                await self._say(writer, "503 Service Unavailable", "retry-after: 1\r\n")
            case "slow":
                await asyncio.sleep(0.4)
                await self._say(writer, "204 No Content")
            case "hanging":
                await asyncio.sleep(3)
            case "resetting":
                writer.transport.abort()
            case "babbling":
                writer.write(b"HTTP/1.1 204 No Con")
                await writer.drain()
            case _:
                await self._say(writer, "204 No Content")

    async def _say(self, writer: asyncio.StreamWriter, status: str, headers: str = "") -> None:
        writer.write(f"HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
