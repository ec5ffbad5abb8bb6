"""Real runner processes on a real stack, killed by real signals, and a receiver that counts what it is sent."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from standardwebhooks.webhooks import Webhook

CLONE = Path(__file__).resolve().parents[3]
TENANT = "rescue"
Json = dict[str, Any]


class Receiver:
    """A webhook receiver on loopback: keeps every message whose signature is right."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self.messages: list[tuple[str, Json]] = []
        self.refused = 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    assert receiver.secret is not None
                    Webhook(receiver.secret).verify(body, dict(self.headers))
                    receiver.messages.append((self.headers["webhook-id"], json.loads(body)))
                    self.send_response(204)
                except Exception:
                    receiver.refused += 1
                    self.send_response(401)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Room:
    """The stack, its doors and its database."""

    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    tokens: Mapping[str, str] = field(repr=False)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def ask(self, method: str, path: str, role: str = "operator", **how: Any) -> Json:
        answer = httpx.request(
            method,
            f"{self.environment['SUPABASE_URL']}/functions/v1/api/v1{path}",
            headers={
                "apikey": self.environment["SUPABASE_ANON_KEY"],
                "authorization": f"Bearer {self.tokens[role]}",
            },
            timeout=20,
            **how,
        )
        assert answer.is_success, answer.text
        body: Json = answer.json()
        return body

    def untold(self, run: int) -> list[Json]:
        """The flows of a run that the lineage does not know: there should be none."""
        missing: list[Json] = self.ask("GET", "/lineage/coverage?limit=1000")["missing"]  # type: ignore[assignment]
        return [each for each in missing if each["run_id"] == run]

    def query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else []

    def start_runner(self, **settings: str) -> subprocess.Popen[bytes]:
        """A runner of this test's own: its own process, its own pid to kill."""
        home = os.environ.get("CONTROL_ROOM_HOME") or (
            "/var/lib/control-room" if os.geteuid() == 0 else str(Path.home() / ".local/share/control-room")
        )
        n = len(self.started)
        env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "CONTROL_ROOM_DATABASE_URL": self.environment["CONTROL_ROOM_DATABASE_URL"],
            "CONTROL_ROOM_SUPABASE_URL": self.environment["SUPABASE_URL"],
            "SUPABASE_ANON_KEY": self.environment["SUPABASE_ANON_KEY"],
            "CONTROL_ROOM_MASTER_KEY": self.environment["CONTROL_ROOM_MASTER_KEY"],
            "CONTROL_ROOM_ENGINES": f"{home}/engines",
            "CONTROL_ROOM_WORK_DIR": str(self.folder / "work"),
            "CONTROL_ROOM_CALLBACK_ALLOW": "127.0.0.0/8",
            "CONTROL_ROOM_RUNNER_NAME": f"runner-{n}",
            "CONTROL_ROOM_DRAIN_SECONDS": "5",
            **settings,
        }
        with (self.folder / f"runner-{n}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "runner"],
                env=env,
                cwd=CLONE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def log(self, n: int) -> str:
        return (self.folder / f"runner-{n}.log").read_text()

    def until(self, what: str, true: Callable[[], object], seconds: float = 45) -> None:
        """Waits for something that the database or the receiver says."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                logs = "\n".join(self.log(n)[-3000:] for n in range(len(self.started)))
                raise AssertionError(f"not within {seconds:g} s: {what}\n{logs}")
            time.sleep(0.05)

    def kill_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()


def _stack(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(CLONE / "scripts" / "stack"), *arguments],
        env={**os.environ, "CONTROL_ROOM_STACK_DIR": str(folder / "stack")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def stack_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rescue-"))
    folder.chmod(0o755)
    try:
        _stack(folder, "up", "--services", "postgres,gateway,functions")
        _stack(folder, "tenant", TENANT)
        yield folder
    finally:
        with contextlib.suppress(AssertionError):
            _stack(folder, "down")
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    lines = _stack(folder, "env").splitlines()
    return {
        name: value.strip("'") for name, value in (x.removeprefix("export ").split("=", 1) for x in lines)
    }


def stack_url(folder: Path) -> str:
    """The database of the stack, as its superuser."""
    return _environment(folder)["DATABASE_URL"]


@contextlib.contextmanager
def opened(stack_folder: Path) -> Iterator[Room]:
    """The room, and no runner left in it afterwards."""
    environment = _environment(stack_folder)
    tokens = {
        role: _stack(stack_folder, "token", "--tenant", TENANT, "--role", role).strip()
        for role in ("viewer", "operator", "admin")
    }
    made = Room(environment, stack_folder, tokens)
    # the clockwork of the test: what takes 20 s in production takes 2 s here
    made.query("update queue.settings set lease_seconds = 2, heartbeat_seconds = 0.5, poll_seconds = 1")
    made.query("update tenancy.limits set max_retries = 0")
    made.query("update tenancy.tenants set validation_policy = 'off'")  # a second look costs seconds
    try:
        yield made
    finally:
        made.kill_all()


@pytest.fixture
def room(stack_folder: Path) -> Iterator[Room]:
    with opened(stack_folder) as made:
        yield made


@pytest.fixture
def receiver(room: Room) -> Iterator[Receiver]:
    with listening(room) as made:
        yield made


@contextlib.contextmanager
def listening(room: Room) -> Iterator[Receiver]:
    """An endpoint of the tenant that takes what runs end with."""
    made = Receiver()
    endpoint = room.ask(
        "POST", "/endpoints", "admin", json={"url": made.url, "events": ["run.completed", "run.failed"]}
    )
    made.secret = room.ask("GET", f"/endpoints/{endpoint['endpoint_id']}/secret", "admin")["secret"]
    try:
        yield made
    finally:
        room.ask("DELETE", f"/endpoints/{endpoint['endpoint_id']}", "admin")
        made.close()


def stop(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and what the process says to it."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)
