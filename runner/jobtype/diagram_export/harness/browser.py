"""Chromium without a window, driven over two pipes by its own protocol (https://chromedevtools.github.io/).

One page, one caller, no network: every request of the page is answered from `serve`, or refused.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

Json = dict[str, Any]
#: URL → (content type, bytes), or None for what is not there.
Serve = Callable[[str], tuple[str, bytes] | None]

BINARIES = ("/usr/lib/chromium/chromium", "/usr/bin/chromium", "/usr/bin/google-chrome")
# The sandbox around us is the sandbox: its seccomp filter forbids the one that Chromium would build inside.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AudioServiceOutOfProcess",
    "--no-first-run",
    "--no-default-browser-check",
    "--mute-audio",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--lang=en-US",
    "--remote-debugging-pipe",
)


class BrowserFailed(Exception):
    """Chromium is gone, does not answer, or the page's script has failed."""


class Browser:
    """`with Browser(serve) as browser: browser.open(url); browser.run(script)`."""

    def __init__(self, serve: Serve, seconds: float) -> None:
        self._serve = serve
        self._end = time.monotonic() + seconds
        self._number = 0
        self._session = ""
        self._buffer = b""
        self.refused: list[str] = []

    def __enter__(self) -> Browser:
        binary = next((each for each in BINARIES if os.access(each, os.X_OK)), None)
        if binary is None:
            raise BrowserFailed("there is no Chromium")
        self._profile = tempfile.TemporaryDirectory()
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        # Chromium reads its commands from descriptor 3 and answers on 4
        argv = ["/bin/sh", "-c", f'exec "$0" "$@" 3<&{commands} 4>&{answers}', binary, *FLAGS]
        argv += [f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            argv,
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self._profile.name, "LC_ALL": "C.UTF-8"},
        )
        os.close(commands)
        os.close(answers)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Runtime.enable")
        self.ask("Fetch.enable", patterns=[{"urlPattern": "*"}])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for each in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(each)
        with contextlib.suppress(OSError):
            self._profile.cleanup()

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._loaded = False
        self.ask("Page.navigate", url=url)
        while not self._loaded:
            self._hear()

    def run(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise. Raises BrowserFailed."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if details := answer.get("exceptionDetails"):
            said = details.get("exception", {}).get("description") or details.get("text", "")
            raise BrowserFailed(str(said).splitlines()[0][:300] if said else "the page's script has failed")
        return answer.get("result", {}).get("value")

    def picture(self, width: int, height: int, scale: float) -> bytes:
        """A PNG of the upper left of the page, in CSS pixels times `scale`."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
        answer = self.ask(
            "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True, fromSurface=True
        )
        return base64.b64decode(answer["data"])

    def ask(self, method: str, **parameters: Any) -> Json:
        """One command and its answer; what happens meanwhile is dealt with."""
        self._number += 1
        number = self._number
        message: Json = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send(message)
        while True:
            heard = self._hear()
            if heard.get("id") == number:
                if "error" in heard:
                    raise BrowserFailed(f"{method}: {heard['error'].get('message', '')[:200]}")
                result: Json = heard.get("result", {})
                return result

    def _tell(self, method: str, **parameters: Any) -> None:
        """One command whose answer nobody waits for."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": parameters, "sessionId": self._session})

    def _send(self, message: Json) -> None:
        data = json.dumps(message).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self._to, data) :]
        except OSError as error:
            raise BrowserFailed("Chromium has ended") from error

    def _hear(self) -> Json:
        while b"\0" not in self._buffer:
            left = self._end - time.monotonic()
            if left <= 0:
                raise BrowserFailed("it took longer than it may")
            ready, _, _ = select.select([self._from], [], [], left)
            piece = os.read(self._from, 1 << 20) if ready else b""
            if ready and not piece:
                raise BrowserFailed("Chromium has ended")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: Json = json.loads(text)
        match message.get("method"):
            case "Fetch.requestPaused":
                self._answer(message["params"])
            case "Page.loadEventFired":
                self._loaded = True
            case "Page.javascriptDialogOpening":
                self._tell("Page.handleJavaScriptDialog", accept=False)
            case "Inspector.targetCrashed":
                raise BrowserFailed("the page has crashed: the diagram is too large for its memory")
            case _:
                pass
        return message

    def _answer(self, asked: Json) -> None:
        url = str(asked["request"]["url"])
        found = self._serve(url)
        if found is None:
            self.refused.append(url[:200])
            self._tell("Fetch.failRequest", requestId=asked["requestId"], errorReason="AddressUnreachable")
            return
        kind, body = found
        self._tell(
            "Fetch.fulfillRequest",
            requestId=asked["requestId"],
            responseCode=200,
            responseHeaders=[{"name": "content-type", "value": kind}],
            body=base64.b64encode(body).decode(),
        )


def webapp(folder: Path, origin: str, pages: dict[str, str]) -> Serve:
    """Files below `folder` under `origin`, and `pages` made here. Nothing else is there."""

    def serve(url: str) -> tuple[str, bytes] | None:
        if not url.startswith(f"{origin}/"):
            return None
        name = url.removeprefix(f"{origin}/").partition("?")[0].partition("#")[0]
        if name in pages:
            return "text/html; charset=utf-8", pages[name].encode()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            return None
        return TYPES.get(path.suffix, "application/octet-stream"), path.read_bytes()

    return serve


TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".xml": "text/xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
}
