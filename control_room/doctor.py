"""Whether a project is as Control Room needs it: looked at from outside by HTTP, and where an address of its
database is given, from inside as well. Every finding that is not good says what mends it.

From inside looks `runner.store.checkup`, in a process of its own: this package speaks HTTP alone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from control_room.client import Client
from control_room.envelope import Envelope
from control_room.errors import ApiError, ControlRoomError
from control_room.model import JsonObject

State = Literal["ok", "warn", "fail"]

#: What a clock may be off before tokens are refused here and there.
SKEW_SECONDS, SKEW_WARN_SECONDS = 30.0, 5.0
JOB_TYPES = ("spark_etl", "diagram_export", "schema_migration", "kb_catalog", "code_validation")
HIDDEN = ("tenancy", "queue", "job", "door", "worker")
POOLER_TRANSACTIONS, POOLER_SESSIONS = 6543, 5432
INSIDE_SECONDS = 60
OPERATIONS = "docs/operations.md"


@dataclass(frozen=True)
class Finding:
    check: str
    state: State
    said: str
    mend: str | None = None


@dataclass
class Doctor:
    """`token` of the envelope may be empty: then what a member sees is not looked at."""

    envelope: Envelope
    database_url: str | None = None
    migrations: Path | None = None
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10.0))

    def findings(self) -> Iterator[Finding]:
        with self.http:
            health = yield from self._doors()
            if health is not None:
                yield _skew(health)
                yield from _runners(health)
                yield self._version()
                yield from self._schemas()
                yield self._strangers()
                yield from self._token()
        if self.database_url:
            yield from address(self.database_url)
            yield from _inside(self.database_url, self.migrations)

    # ------------------------------------------------------------------------------------------ outside

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"apikey": self.envelope.anon_key, **more.pop("headers", {})}
        return self.http.request(method, self.envelope.url.rstrip("/") + path, headers=headers, **more)

    def _doors(self) -> Generator[Finding, None, JsonObject | None]:
        health: JsonObject | None = None
        try:
            edge = self._ask("GET", "/functions/v1/api/v1/health")
        except httpx.TransportError as error:
            yield Finding(
                "edge door",
                "fail",
                f"{self.envelope.url} does not answer ({error})",
                "check SUPABASE_URL; is the project paused?",
            )
            return None
        if edge.is_success:
            health = edge.json()
            yield Finding(
                "edge door", "ok", f"the function api answers in {edge.elapsed.total_seconds() * 1000:.0f} ms"
            )
        elif edge.status_code == 404:
            yield Finding(
                "edge door",
                "fail",
                "the function api is not deployed",
                "supabase functions deploy api --no-verify-jwt",
            )
        else:
            yield Finding(
                "edge door", "fail", _told(edge), f"supabase functions logs api; its secrets: {OPERATIONS}"
            )
        try:
            data = self._ask("POST", "/rest/v1/rpc/health", json={})
        except httpx.TransportError as error:
            yield Finding("data door", "fail", f"does not answer ({error})", "is the project paused?")
            return health
        if data.is_success:
            yield Finding(
                "data door", "ok", f"the Data API answers in {data.elapsed.total_seconds() * 1000:.0f} ms"
            )
            health = health or data.json()
        elif data.status_code == 404:
            yield Finding(
                "data door",
                "fail",
                "there is no public.health",
                "apply the migrations; then notify pgrst, 'reload schema'",
            )
        elif data.status_code == 401:
            yield Finding("data door", "fail", _told(data), "SUPABASE_ANON_KEY is not that of this project")
        else:
            yield Finding("data door", "fail", _told(data), "supabase status; the project's logs")
        return health

    def _version(self) -> Finding:
        ours = metadata.version("control-room")
        answer = self._ask("GET", "/functions/v1/api/v1/openapi.json")
        if not answer.is_success:
            return Finding("version", "warn", "the function has no description of itself", "deploy it anew")
        theirs = str((answer.json().get("info") or {}).get("version"))
        paths = answer.json().get("paths") or {}
        if not any(path.endswith("/jobs/apply") for path in paths):
            return Finding(
                "version",
                "warn",
                f"the function ({theirs}) is older than this client ({ours})",
                "supabase functions deploy api",
            )
        return Finding("version", "ok", f"API {theirs}, {len(paths)} paths; this client is {ours}")

    def _schemas(self) -> Iterator[Finding]:
        shown = [
            it
            for it in HIDDEN
            if self._ask("GET", "/rest/v1/", headers={"accept-profile": it}).status_code != 406
        ]
        if shown:
            yield Finding(
                "exposed schemas", "fail", f"{', '.join(shown)} can be asked for at the Data API",
                "take them out of Settings, API, Exposed schemas: public is all that is needed",
            )  # fmt: skip
        else:
            yield Finding("exposed schemas", "ok", "none of the rooms' schemas is exposed")

    def _strangers(self) -> Finding:
        answer = self._ask("GET", "/rest/v1/runs?select=run_id&limit=1")
        if answer.is_success and answer.json():
            return Finding(
                "strangers",
                "fail",
                "who has no token sees runs",
                "apply the migrations anew; report it (SECURITY.md)",
            )
        if answer.is_success:
            return Finding(
                "strangers",
                "warn",
                "anon may ask for runs, and sees none",
                "revoke select on public.runs from anon",
            )
        return Finding("strangers", "ok", "who has no token is refused")

    def _token(self) -> Iterator[Finding]:
        if not self.envelope.token:
            yield Finding("token", "warn", "none: what a member sees was not looked at", "control-room login")
            return
        try:
            with Client(self.envelope.url, self.envelope.anon_key, self.envelope.token) as client:
                who = client.whoami()
                yield _membership(who.user_id, who.role, who.expires_at)
            self._data_door_takes_it()
        except ApiError as error:
            mend = "control-room login"
            if error.code == "NOT_CONFIGURED":
                mend = "supabase secrets set CONTROL_ROOM_SIGNING_KEY=…: docs/identity.md"
            elif error.code.startswith("PGRST30"):
                mend = "import the function's signing key into the project: docs/identity.md"
            yield Finding("token", "fail", str(error), mend)
        except ControlRoomError as error:
            yield Finding("token", "fail", str(error), error.hint)
        else:
            yield Finding(
                "token at both doors", "ok", "the Data API takes it as well, or the JWT that is made of it"
            )

    def _data_door_takes_it(self) -> None:
        """An access token becomes a JWT first, which the project must know the key of. Raises ApiError."""
        bearer = self.envelope.token
        if bearer.startswith("cr_"):
            made = self._ask(
                "POST", "/functions/v1/api/v1/tokens", headers={"authorization": f"Bearer {bearer}"}
            )
            if not made.is_success:
                raise ApiError.of(made.status_code, made.text, made.reason_phrase)
            bearer = str(made.json()["access_token"])
        seen = self._ask(
            "GET", "/rest/v1/runs?select=run_id&limit=1", headers={"authorization": f"Bearer {bearer}"}
        )
        if not seen.is_success:
            raise ApiError.of(seen.status_code, seen.text, seen.reason_phrase)


def _told(answer: httpx.Response) -> str:
    found = ApiError.of(answer.status_code, answer.text, answer.reason_phrase)
    return f"{answer.status_code} {found}"


def _membership(user: str, role: str | None, until: datetime | None) -> Finding:
    if role is None:
        return Finding(
            "token", "fail", f"{user} is no member", "an admin invites: control-room invitations create"
        )
    if until is not None and until < datetime.now(UTC) + timedelta(minutes=10):
        return Finding(
            "token",
            "warn",
            f"{user}, {role}, ends at {until:%H:%M:%S} UTC",
            "an access token lives longer: control-room tokens create",
        )
    return Finding("token", "ok", f"{user}, {role}")


def _skew(health: JsonObject) -> Finding:
    try:
        theirs = datetime.fromisoformat(str(health["time"]))
    except (KeyError, ValueError):
        return Finding("clock skew", "warn", "the server does not tell its time")
    off = abs((datetime.now(UTC) - theirs).total_seconds())
    told = f"{off:.1f} s between this machine and the database"
    if off > SKEW_SECONDS:
        return Finding(
            "clock skew",
            "fail",
            told,
            "set this machine's clock (timedatectl set-ntp true): tokens are judged by it",
        )
    if off > SKEW_WARN_SECONDS:
        return Finding("clock skew", "warn", told, "timedatectl set-ntp true")
    return Finding("clock skew", "ok", told)


def _runners(health: JsonObject) -> Iterator[Finding]:
    live = health.get("runners") or []
    if not live:
        yield Finding("runners", "fail", "none is alive: what is submitted waits", f"start one: {OPERATIONS}")
        return
    offered = {str(it).split("/")[0] for runner in live for it in _offers(runner)}
    yield Finding("runners", "ok", f"{len(live)} alive, offering {', '.join(sorted(offered)) or 'nothing'}")
    missing = [it for it in JOB_TYPES if it not in offered]
    if missing:
        yield Finding(
            "job types", "warn", f"nobody offers {', '.join(missing)}",
            "their runs wait; the runner's log says not_offered, and why (CONTROL_ROOM_EXECUTOR_<JOB_TYPE>)",
        )  # fmt: skip


def _offers(runner: JsonObject) -> list[str]:
    found = runner.get("offers") or []
    return [str(it.get("job_type")) if isinstance(it, dict) else str(it) for it in found]


# ------------------------------------------------------------------------------------------------- inside


def address(url: str) -> Iterator[Finding]:
    """How a runner would be connected: LISTEN and prepared statements want a session."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or POOLER_SESSIONS
    pooled = host.endswith(".pooler.supabase.com")
    if port == POOLER_TRANSACTIONS:
        yield Finding(
            "connection", "fail", f"{host}:{port} is a transaction pooler: LISTEN does not pass it",
            f"port {POOLER_SESSIONS} of the pooler (sessions), or the direct address db.<ref>.supabase.co",
        )  # fmt: skip
        return
    try:
        families = {it[0] for it in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        yield Finding(
            "connection", "fail", f"{host} has no address ({error.strerror or error})", "check the host"
        )
        return
    if families == {socket.AF_INET6} and not _routed(host, port):
        yield Finding(
            "connection", "fail", f"{host} has IPv6 alone, and this machine has no way there",
            "give the machine IPv6, buy the IPv4 add-on, or use the session pooler (port 5432)",
        )  # fmt: skip
        return
    how = "session pooler" if pooled else "direct"
    here = host in {"localhost", "127.0.0.1", "::1"}
    if not here and "sslmode=verify-full" not in (parts.query or ""):
        yield Finding(
            "connection",
            "warn",
            f"{how}; the server's certificate is not verified",
            "?sslmode=verify-full&sslrootcert=…",
        )
    else:
        yield Finding("connection", "ok", f"{how}, port {port}")


def _routed(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


def _inside(url: str, migrations: Path | None) -> Iterator[Finding]:
    command = [sys.executable, "-m", "runner.store.checkup", *([str(migrations)] if migrations else [])]
    try:
        done = subprocess.run(
            command, env={**os.environ, "CONTROL_ROOM_CHECKUP_URL": url}, capture_output=True, text=True,
            timeout=INSIDE_SECONDS, check=False,
        )  # fmt: skip
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        yield Finding(
            "database", "fail", f"no answer in {INSIDE_SECONDS} s", "check the address and the firewall"
        )
        return
    except ValueError:
        said = done.stderr.strip().splitlines()
        yield Finding(
            "database",
            "fail",
            said[-1] if said else "the look inside broke off",
            "pip install control-room, whole",
        )
        return
    yield from (Finding(**it) for it in found)
