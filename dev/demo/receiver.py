"""A webhook receiver as anybody would write one: a small HTTP server and the official library.

It answers 204 to what it could verify and 401 to all else, and keeps both, so that the demo can tell.
https://github.com/standard-webhooks/standard-webhooks
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

PATH = "/callbacks"
MAX_BODY = 64 * 1024


@dataclass(frozen=True)
class Message:
    """What came in. `payload` is empty where it could not be verified."""

    event_id: str
    verified: bool
    payload: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    at: float = field(default_factory=time.monotonic)

    @property
    def type(self) -> str:
        return str(self.payload.get("type", ""))

    @property
    def data(self) -> dict[str, Any]:
        data = self.payload.get("data")
        return data if isinstance(data, dict) else {}

    @property
    def run_id(self) -> int | None:
        return self.data.get("run_id")

    @property
    def seq(self) -> int | None:
        return self.data.get("seq")


class Receiver(AbstractContextManager["Receiver"]):
    """Listens on a free port of 127.0.0.1 from `with` on."""

    def __init__(self) -> None:
        self._secret: str | None = None
        self._messages: list[Message] = []
        self._news = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._receive))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def trust(self, secret: str) -> None:
        """From now on messages signed with this secret (`whsec_…`) are good."""
        self._secret = secret

    def messages(self, run_id: int | None = None) -> list[Message]:
        """The verified ones of a run, each once, by seq; without a run, everything that came."""
        with self._news:
            found = list(self._messages)
        if run_id is None:
            return found
        mine = {it.event_id: it for it in found if it.verified and it.run_id == run_id}
        return sorted(mine.values(), key=lambda it: it.seq or 0)

    def wait_for(self, enough: Callable[[Receiver], bool], seconds: float) -> bool:
        """Waits until `enough(self)`; says whether it came to that."""
        end = time.monotonic() + seconds
        while not enough(self):
            left = end - time.monotonic()
            if left <= 0:
                return False
            with self._news:
                self._news.wait(min(left, 0.5))
        return True

    def _receive(self, headers: dict[str, str], body: bytes) -> bool:
        event_id = headers.get("webhook-id", "")
        try:
            if self._secret is None:
                raise WebhookVerificationError("no secret is known yet")
            # the library checks the signature over the very bytes, and that the timestamp is of now
            payload = Webhook(self._secret).verify(body, headers)
            message = Message(event_id, verified=True, payload=payload)
        except WebhookVerificationError as error:
            message = Message(event_id, verified=False, reason=str(error))
        with self._news:
            self._messages.append(message)
            self._news.notify_all()
        return message.verified

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _handler(receive: Callable[[dict[str, str], bytes], bool]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if self.path != PATH or not length.isdecimal() or int(length) > MAX_BODY:
                self._answer(404)
                return
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(204 if receive(headers, body) else 401)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the demo tells what came."""

    return Handler
