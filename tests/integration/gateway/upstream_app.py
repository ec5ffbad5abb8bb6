"""A stand-in for the functions' server: shows what arrived, streams, stalls, breaks off."""

import asyncio
import json
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    match scope["path"].rsplit("/", 1)[-1]:
        case "echo":
            await _echo(receive, send)
        case "events":
            await _events(receive, send)
        case "early":
            await _answer(send, 413, b"enough", [(b"content-type", b"text/plain")])
        case "page":
            await _answer(send, 200, b"<p>", [(b"content-type", b"text/html; charset=utf-8")])
        case "broken":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]}
            )
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        case "torn":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        case "slow":
            await asyncio.sleep(0.05)
            await _answer(send, 200, scope["query_string"], [])
        case "left":
            await _answer(send, 200, str(len(_left)).encode(), [])
        case _:
            await _show(scope, receive, send)


_left: list[int] = []


async def _answer(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    lines = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def _echo(receive: Any, send: Any) -> None:
    """The body, piece by piece as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def _events(receive: Any, send: Any) -> None:
    """Server-sent events for ever; counts the clients that left."""
    await receive()
    gone = asyncio.ensure_future(receive())
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    number = 0
    while not gone.done():
        await send({"type": "http.response.body", "body": b"id: %d\n\n" % number, "more_body": True})
        number += 1
        await asyncio.wait({gone}, timeout=0.02)
    _left.append(number)


async def _show(scope: dict[str, Any], receive: Any, send: Any) -> None:
    size = 0
    more = True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    seen = {
        "method": scope["method"],
        "path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "headers": {name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
        "forwarded": [value.decode() for name, value in scope["headers"] if name == b"x-forwarded-for"],
        "connection": scope["client"][1],
        "size": size,
    }
    await _answer(send, 203, json.dumps(seen).encode(), [(b"x-from", b"upstream")])
