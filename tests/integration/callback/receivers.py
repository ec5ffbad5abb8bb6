"""Receivers that behave: a process of their own, one behaviour for each path, and a record of all they said.

    python -m tests.integration.callback.receivers FOLDER

prints its port and serves until SIGTERM; then `answers.tsv` (path, event id, what was answered) and
`messages.jsonl` (every message with its headers and when it came, to be verified by other hands) are whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TextIO

#: What `/<behaviour>` does; some events (every tenth, by its number) are taken at the second try only.
BEHAVIOURS = (
    "well",
    "flaky",
    "poison",
    "down",
    "hang",
    "reset",
    "redirect",
    "gone",
    "busy",
    "slow",
    "garbage",
)
SOME = 10
BAD = 4  # events that /poison never takes: the first it meets
LEAVES_AFTER = 100
SLOW_SECONDS = 0.2
TRAP = "/trap"


class Receivers:
    def __init__(self, folder: Path) -> None:
        self.answers: TextIO = (folder / "answers.tsv").open("w")
        self.messages: TextIO = (folder / "messages.jsonl").open("w")
        self.tries: Counter[tuple[str, str]] = Counter()
        self.taken: Counter[str] = Counter()
        self.bad: set[str] = set()
        self.port = 0

    async def serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        print(self.port, flush=True)
        await over.wait()
        server.close()
        self.answers.close()
        self.messages.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines if line)}
            path = first.split()[1]
            body = await reader.readexactly(int(headers["content-length"]))
            await self._behave(path, headers, body, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()

    async def _behave(
        self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        event = headers["webhook-id"]
        number = json.loads(body)["data"].get("run_id", 1)
        kept = {k: v for k, v in headers.items() if k.startswith("webhook-")}
        print(json.dumps([path, kept, body.decode(), time.time()]), file=self.messages)
        self.tries[path, event] += 1
        # once: retries wait behind the backlog, and all of them failing in a row would be a dead receiver
        some = number % SOME == 0 and self.tries[path, event] == 1
        if path == "/poison" and len(self.bad) < BAD:
            self.bad.add(event)
        match path.strip("/"):
            case "flaky" if some:
                await self._say(writer, path, event, "500 Internal Server Error")
            case "poison" if event in self.bad:
                await self._say(writer, path, event, "422 Unprocessable Content")
            case "down":
                await self._say(writer, path, event, "503 Service Unavailable")
            case "hang":
                self._note(path, event, "hung")
                await asyncio.sleep(60)
            case "reset" if some:
                self._note(path, event, "reset")
                writer.transport.abort()
            case "redirect":
                await self._say(
                    writer, path, event, "307 Elsewhere", f"location: http://127.0.0.1:{self.port}{TRAP}"
                )
            case "gone" if self.taken[path] >= LEAVES_AFTER:
                await self._say(writer, path, event, "410 Gone")
            case "busy" if some:
                await self._say(writer, path, event, "429 Later", "retry-after: 1")
            case "slow":
                await asyncio.sleep(SLOW_SECONDS)
                await self._say(writer, path, event, "200 OK")
            case "garbage" if some:
                self._note(path, event, "garbage")
                writer.write(b"\x16\x03\x01 220 ready\r\n\r\n" if number % (2 * SOME) else b"HTTP/1.1 20")
                await writer.drain()
            case _:
                await self._say(writer, path, event, "204 No Content")

    async def _say(
        self, writer: asyncio.StreamWriter, path: str, event: str, status: str, *headers: str
    ) -> None:
        # noted before it is said: what the sender may have heard is on record
        self._note(path, event, status.split(maxsplit=1)[0])
        self.taken[path] += status.startswith("2")
        writer.write("\r\n".join([f"HTTP/1.1 {status}", *headers, "content-length: 0", "", ""]).encode())
        await writer.drain()

    def _note(self, path: str, event: str, said: str) -> None:
        print(path, event, said, sep="\t", file=self.answers)


if __name__ == "__main__":
    asyncio.run(Receivers(Path(sys.argv[1])).serve())
