"""`POST …/chat/completions`, streamed, as OpenAI's clients expect it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dev.model import script
from dev.model.script import JsonObject, Script

PIECE = 40
#: Arguments of a tool come in pieces, as from a real model.
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class ScriptedModel:
    """Listens on 127.0.0.1 from its making until `close`. `asked` are the bodies of all requests, `keys` the
    Authorization headers."""

    def __init__(self, script: Script, port: int = 0, key: str | None = None) -> None:
        self.script = script
        self.key = key
        self.asked: list[JsonObject] = []
        self.keys: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """What goes into a client's configuration as the base."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            model.asked.append(body)
            model.keys.append(self.headers.get("authorization", ""))
            if not self.path.endswith("/chat/completions"):
                return self._refuse(404, "no such path")
            if model.key is not None and model.keys[-1] != f"Bearer {model.key}":
                return self._refuse(401, "bad key")
            turn = model.script.turn(body.get("messages", []))
            if "hang" in turn:
                time.sleep(turn["hang"])
            if "status" in turn:
                return self._refuse(turn["status"], "as the script says", turn.get("retry_after"))
            return self._speak(body, turn)

        def _speak(self, body: JsonObject, turn: JsonObject) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for choices in _deltas(turn):
                self._event(body, {"choices": choices})
            self._event(body, {"choices": [], "usage": USAGE})
            self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def _event(self, body: JsonObject, said: JsonObject) -> None:
            form = {"id": "scripted", "object": "chat.completion.chunk", "created": int(time.time())}
            form |= {"model": body.get("model", "scripted"), **said}
            self.wfile.write(b"data: " + json.dumps(form).encode() + b"\n\n")
            self.wfile.flush()

        def _refuse(self, status: int, message: str, retry_after: float | None = None) -> None:
            data = json.dumps(
                {"error": {"message": message, "type": "scripted", "code": str(status)}}
            ).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            if retry_after is not None:
                self.send_header("retry-after", str(retry_after))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Nothing: what was asked is kept."""

    return Handler


def _deltas(turn: JsonObject) -> Iterator[list[JsonObject]]:
    yield [_choice({"role": "assistant", "content": ""})]
    called = script.calls(turn)
    for index, (name, arguments) in enumerate(called):
        call: JsonObject = {"index": index, "id": f"call_{index}_{time.monotonic_ns()}", "type": "function"}
        yield [_choice({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})]
        text = json.dumps(arguments)
        for at in range(0, len(text), PIECE):
            piece = {"index": index, "function": {"arguments": text[at : at + PIECE]}}
            yield [_choice({"tool_calls": [piece]})]
    if turn.get("say"):
        yield [_choice({"content": turn["say"]})]
    yield [_choice({}, "tool_calls" if called else "stop")]


def _choice(delta: JsonObject, reason: str | None = None) -> JsonObject:
    return {"index": 0, "delta": delta, "finish_reason": reason}
