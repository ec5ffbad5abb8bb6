"""A real n8n for tests, on a database of a Postgres that is there: installed from the npm registry, headless.

    python -m dev.stack.n8n        installs it (3 GB, some minutes) with Node.js 24, unless it is there

It is n8n's own work under its own licence and is not shipped: users bring theirs. What is done here by hand
(credentials, import, publish) is what docs/n8n.md tells them to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from dev.stack import process
from dev.stack.errors import StackError
from dev.stack.process import Command
from dev.stack.state import CLONE, Daemon, home

#: 2.41.3 wants a dependency that the registry does not have.
VERSION = "2.41.1"
NODE = "24"
WORKFLOWS = CLONE / "deploy" / "n8n"
HEADER = "X-CR-Dispatch-Token"
READY_SECONDS = 240.0
#: What is of no use here, or calls home at its start.
NOT_LOADED = (
    "mcp-registry,mcp,chat-hub,agents,instance-ai,workflow-builder,source-control,external-secrets,ldap,"
    "sso-oidc,sso-saml,log-streaming,community-packages,breaking-changes,insights,quick-connect"
)
OWNER = "owner@example.test"
SCOPES = ("workflow:list", "workflow:read", "execution:read", "execution:list", "execution:stop")


def folder() -> Path:
    """Where it is installed."""
    return home() / "n8n" / VERSION


def installed() -> bool:
    """Whether it is there, whole."""
    return (folder() / ".control-room-setup").exists()


def install() -> Path:
    """n8n and its Node.js. Raises StackError."""
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed():
            _install(place)
    return place


def _install(place: Path) -> None:
    if shutil.which("npm") is None:
        raise StackError("there is no npm", "install it: apt-get install npm")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        raise StackError(f"there is no Node.js {NODE} at npm for {platform.machine()}", "use another machine")
    fresh = place.parent / f"{place.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    (fresh / "package.json").write_text('{"private": true}')
    # without scripts: one of 2,351 packages downloads sources, and with Postgres nothing needs building
    run = subprocess.run(
        ["npm", "install", f"n8n@{VERSION}", f"node-linux-{machine}@{NODE}",
         "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=fresh, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode != 0:
        raise StackError(
            f"n8n@{VERSION} cannot be installed",
            "check that the npm registry is reachable",
            run.stderr[-2000:],
        )
    (fresh / ".control-room-setup").write_text(VERSION)
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)


@dataclass
class N8n:
    """One n8n: a folder, a database, a port. `stop` and `start` it as often as you like."""

    place: Path
    database_url: str
    port: int
    dispatch_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    password: str = field(default_factory=lambda: f"Aa1{secrets.token_hex(12)}", repr=False)
    api_key: str = field(default="", repr=False)
    daemon: Daemon | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self, *workflows: Path) -> None:
        """Credential and workflows, by n8n's own command line: docs/n8n.md says the same to people."""
        credential = json.loads((WORKFLOWS / "credentials.json").read_text())
        credential[0]["data"] = {"name": HEADER, "value": self.dispatch_token}
        filled = self.place / "credentials.json"
        filled.write_text(json.dumps(credential))
        self._cli("import:credentials", f"--input={filled}")
        filled.unlink()
        for workflow in workflows:
            self._cli("import:workflow", f"--input={workflow.resolve()}")
            self._cli("publish:workflow", f"--id={json.loads(workflow.read_text())['id']}")

    def types(self, script: str, folder: Path) -> None:
        """Type something in that folder, where `n8n` is this one. Raises StackError."""
        named = f'n8n() {{ {shlex.join(_program())} "$@"; }}'
        self._run(["bash", "-c", f"set -euo pipefail\n{named}\n{script}"], folder)

    def start(self) -> None:
        """Start it, wait until it is ready, and get a key of its API."""
        log = self.place / "n8n.log"
        self.daemon = process.start(
            Command(
                argv=[*_program(), "start"],
                env=self._environment(),
                log=log,
                cwd=self.place,
                dies_with_parent=True,
            )
        )
        if not process.wait_until(self._ready, seconds=READY_SECONDS):
            raise StackError("n8n does not come up", f"see {log}", process.tail(log))
        if not self.api_key:
            self.api_key = self._key()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, gently or not."""
        if self.daemon is not None:
            process.stop(self.daemon, how, patience=20)
            self.daemon = None

    def ask(self, method: str, path: str) -> httpx.Response:
        """n8n's public API."""
        headers = {"X-N8N-API-KEY": self.api_key}
        return httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, trust_env=False, timeout=20)

    def _ready(self) -> bool:
        if self.daemon is None or not process.alive(self.daemon):
            raise StackError("n8n ended at its start", "see its log", process.tail(self.place / "n8n.log"))
        try:
            answer = httpx.get(f"{self.url}/healthz/readiness", trust_env=False, timeout=2)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def _key(self) -> str:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=20) as client:
            form = {"emailOrLdapLoginId": OWNER, "password": self.password}
            for wait in (0, 1, 2, 4):
                time.sleep(wait)
                answer = client.post("/rest/login", json=form)
                if answer.is_success:
                    break
            answer.raise_for_status()
            wanted = {"label": "control room", "expiresAt": None, "scopes": list(SCOPES)}
            answer = client.post("/rest/api-keys", json=wanted)
            answer.raise_for_status()
            return str(answer.json()["data"]["rawApiKey"])

    def _cli(self, *arguments: str) -> None:
        self._run([*_program(), *arguments], self.place)

    def _run(self, command: Sequence[str], folder: Path) -> None:
        run = subprocess.run(
            command, env=self._environment(), cwd=folder, capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            said = shlex.join(command)[-200:]
            raise StackError(f"n8n failed: {said}", "see below", (run.stdout + run.stderr)[-2000:])

    def _environment(self) -> Mapping[str, str]:
        database = urlsplit(self.database_url)
        broker = self.port + 1
        settings = self.place / "settings"
        settings.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"], "HOME": str(settings), "LANG": "C.UTF-8", "TZ": "UTC",
            "N8N_USER_FOLDER": str(settings), "N8N_LISTEN_ADDRESS": "127.0.0.1", "N8N_HOST": "127.0.0.1",
            "N8N_PORT": str(self.port), "N8N_PROTOCOL": "http", "N8N_WEBHOOK_URL": f"{self.url}/",
            "N8N_DIAGNOSTICS_ENABLED": "false", "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            "N8N_TEMPLATES_ENABLED": "false", "N8N_PERSONALIZATION_ENABLED": "false",
            "N8N_HIRING_BANNER_ENABLED": "false", "EXTERNAL_FRONTEND_HOOKS_URLS": "",
            "N8N_SECURE_COOKIE": "false", "N8N_ENCRYPTION_KEY": "only-for-tests",
            "N8N_RUNNERS_BROKER_LISTEN_ADDRESS": "127.0.0.1", "N8N_RUNNERS_BROKER_PORT": str(broker),
            "N8N_NATIVE_PYTHON_RUNNER": "false", "GENERIC_TIMEZONE": "UTC",
            "N8N_DISABLED_MODULES": NOT_LOADED,
            "DB_TYPE": "postgresdb", "DB_POSTGRESDB_HOST": database.hostname or "127.0.0.1",
            "DB_POSTGRESDB_PORT": str(database.port or 5432),
            "DB_POSTGRESDB_DATABASE": database.path.lstrip("/"),
            "DB_POSTGRESDB_USER": database.username or "postgres",
            "DB_POSTGRESDB_PASSWORD": database.password or "",
            "N8N_INSTANCE_OWNER_MANAGED_BY_ENV": "true", "N8N_INSTANCE_OWNER_EMAIL": OWNER,
            "N8N_INSTANCE_OWNER_FIRST_NAME": "Control", "N8N_INSTANCE_OWNER_LAST_NAME": "Room",
            "N8N_INSTANCE_OWNER_PASSWORD_HASH": self._hash(),
        }  # fmt: skip

    def _hash(self) -> str:
        kept = self.place / "owner"
        if not kept.exists():
            script = "console.log(require('bcryptjs').hashSync(process.argv[1], 10))"
            run = subprocess.run(
                [str(_node()), "-e", script, self.password],
                cwd=folder(), capture_output=True, text=True, check=True,
            )  # fmt: skip
            kept.write_text(run.stdout.strip())
        return kept.read_text()


def _node() -> Path:
    return next((folder() / "node_modules").glob("node-linux-*/bin/node"))


def _program() -> list[str]:
    return [str(_node()), str(folder() / "node_modules" / "n8n" / "bin" / "n8n")]


@contextlib.contextmanager
def running(
    place: Path, database_url: str, *workflows: Path, before: Callable[[N8n], None] | None = None
) -> Iterator[N8n]:
    """A prepared and started n8n; `database_url` is an empty database of its own, with the password in it.
    `before` is called when it is prepared and not started."""
    install()
    place.mkdir(parents=True, exist_ok=True)
    made = N8n(place, database_url, _two_free_ports())
    try:
        made.prepare(*workflows)
        if before is not None:
            before(made)
        made.start()
        yield made
    finally:
        made.stop()


def _two_free_ports() -> int:
    """A free port whose next one is free too."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port
    raise StackError("there are no two free ports beside each other", "close what uses them")


def main() -> int:
    os.umask(0o022)
    try:
        print(install())
    except StackError as error:
        print(error.evidence, f"error: {error}", sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
