"""A real Prometheus for tests: what it scrapes, what it says of a question, which alerts it fires.

`scripts/setup --with watching` lays the program of Debian's package into CONTROL_ROOM_HOME, as files: no
service is made or started. One on PATH will do as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.stack import process, state
from dev.stack.process import Command

START_SECONDS = 30.0


def program(name: str) -> str | None:
    """Where `prometheus` or `promtool` is; None where it is not."""
    laid = state.home() / "prometheus" / "usr" / "bin" / name
    return str(laid) if laid.exists() else shutil.which(name)


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    port: int

    def ask(self, path: str, **parameters: str) -> Any:
        """`data` of one answer of its API. Raises RuntimeError with what it says is wrong."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refusal:
            raise RuntimeError(json.load(refusal)["error"]) from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now: [{"metric": labels, "value": [time, text]}, …]."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        return {
            each["labels"]["alertname"] for each in self.ask("alerts")["alerts"] if each["state"] == "firing"
        }


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Prometheus]:
    """One with the configuration `folder/prometheus.yml`, while the context is open. Raises RuntimeError."""
    argv = [program("prometheus") or "prometheus"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    argv += [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    log = folder / "prometheus.log"
    environment = {"PATH": os.environ["PATH"], "GOMAXPROCS": "2"}
    daemon = process.start(Command(argv, environment, log, folder, dies_with_parent=True))
    try:
        end = time.monotonic() + START_SECONDS
        while not _ready(port):
            if time.monotonic() > end or not process.alive(daemon):
                raise RuntimeError(f"Prometheus does not start: {process.tail(log)}")
            time.sleep(0.1)
        yield Prometheus(port)
    finally:
        process.stop(daemon, signal.SIGTERM, patience=5)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def check(*words: object, folder: Path) -> str:
    """A call of promtool; what it says. Raises AssertionError where it finds fault."""
    argv = [program("promtool") or "promtool", *map(str, words)]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout
