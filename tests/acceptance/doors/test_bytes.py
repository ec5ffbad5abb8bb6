"""Bytes: exactly 50 MiB and not one more, on every way in; in parts, whatever becomes of a connection; gone when nobody
needs them, whoever dies on the way. The judge and the broom are the runner's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import psycopg
import pytest

import control_room
from control_room.errors import ApiError, ArtifactRefused
from dev.gateway.storage.signature import Permit, Signer
from runner.dispatch.verification import Verification
from runner.model.wire import read_attempts
from runner.store.verbs import Verbs
from runner.transfer.door import Door, measure

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors

LIMIT = 52_428_800
PART = 6 * 1024**2


def noise(size: int) -> bytes:
    return random.Random(uuid.uuid4().int).randbytes(size)


@pytest.fixture
def judged(doors: Doors) -> Iterator[None]:
    """The runner's check at work, as long as a test asks for it."""
    stop = threading.Event()

    async def judge() -> None:
        store = Verbs(doors.environment["CONTROL_ROOM_DATABASE_URL"], str(uuid.uuid4()))
        door = Door(f"{doors.supabase}/functions/v1/api", doors.environment["SUPABASE_ANON_KEY"])
        check = asyncio.create_task(Verification(store, door, Path("/tmp"), poll_seconds=0.05).run())
        await asyncio.to_thread(stop.wait)
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)
        await door.close()
        await store.close()

    thread = threading.Thread(target=lambda: asyncio.run(judge()))
    thread.start()
    yield
    stop.set()
    thread.join()


class Wire(httpx.HTTPTransport):
    """Counts what is sent, and cuts the connection in the middle of chosen parts: half of it arrives."""

    def __init__(self, cut: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.sent: list[str] = []
        self._cut = cut

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        door = "storage" if request.url.path.startswith("/storage/") else "api"
        self.sent.append(f"{request.method} {door}")
        if request.method != "PATCH" or self.sent.count(self.sent[-1]) not in self._cut:
            return super().handle_request(request)
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        body = request.read()
        with socket.create_connection((request.url.host, request.url.port or 80)) as wire:
            wire.sendall(
                f"PATCH {request.url.raw_path.decode()} HTTP/1.1\r\n{lines}\r\n".encode()
                + body[: len(body) // 2]
            )
            time.sleep(0.2)  # the kernel has it; then the cable is out
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raise httpx.ReadError("cut", request=request)


@contextlib.contextmanager
def client(doors: Doors, wire: Wire | None = None, role: str = "operator") -> Iterator[control_room.Client]:
    with control_room.Client(
        doors.supabase, doors.environment["SUPABASE_ANON_KEY"], doors.token(role), transport=wire
    ) as opened:
        yield opened


def rows(doors: Doors, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(doors.environment["DATABASE_URL"]) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def place_of(doors: Doors, artifact_id: str) -> str:
    return str(rows(doors, "select path from artifact.versions where artifact_id = %s", artifact_id)[0][0])


def reserve(doors: Doors, size: int) -> dict[str, Any]:
    form = {"name": f"bytes/{uuid.uuid4()}", "kind": "data", "size": size}
    answer = doors.ask("POST", "/artifacts", doors.token(), json=form)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


# ------------------------------------------------------------------------------------------- 50 MiB


def test_exactly_50_mib_pass_in_parts_and_are_the_same_below_another_name(doors: Doors, judged: None) -> None:
    content = noise(LIMIT)
    wire, again = Wire(), Wire()
    with client(doors, wire) as one, client(doors, again) as other:
        made = one.artifacts.put(content, name="fifty")
        same = other.artifacts.put(content, name="fifty again")
        back = other.artifacts.read("fifty again")

    assert (made.state, made.size, same.state) == ("READY", LIMIT, "READY")
    assert wire.sent.count("PATCH storage") == 9  # parts of 6 MiB
    assert [it for it in again.sent if it.endswith("storage")] == [
        "GET storage"
    ]  # known bytes are not sent again
    assert back == content


def test_exactly_50_mib_pass_by_one_put_and_one_more_does_not(doors: Doors, judged: None) -> None:
    made = reserve(doors, LIMIT)
    over = httpx.put(made["upload_url"], content=bytes(LIMIT + 1), trust_env=False)
    exact = httpx.put(made["upload_url"], content=noise(LIMIT), trust_env=False)

    assert (over.status_code, over.json()["statusCode"]) == (400, "413")
    assert exact.is_success


def test_one_byte_more_is_refused_on_every_way(doors: Doors, judged: None) -> None:
    operator = doors.token()
    form = {"name": "over", "kind": "data", "size": LIMIT + 1}
    registered = doors.ask("POST", "/artifacts", operator, json=form)
    made = reserve(doors, LIMIT)
    said = ",".join(
        f"{name} {b64encode(value.encode()).decode()}"
        for name, value in made["resumable"]["metadata"].items()
    )
    lines = {"tus-resumable": "1.0.0", "upload-metadata": said, **made["resumable"]["headers"]}
    url = made["resumable"]["url"]
    whole = httpx.post(url, headers=lines | {"upload-length": str(LIMIT + 1)}, trust_env=False)
    begun = httpx.post(url, headers=lines | {"upload-length": "5"}, trust_env=False)
    place = httpx.URL(url).join(begun.headers["location"])
    part = lines | {"content-type": "application/offset+octet-stream", "upload-offset": "0"}
    longer = httpx.patch(place, headers=part, content=b"sixsix", trust_env=False)
    key = place_of(doors, made["artifact_id"])
    anon = doors.environment["SUPABASE_ANON_KEY"]
    own = {"apikey": anon, "authorization": f"Bearer {operator}"}
    straight = httpx.post(
        f"{doors.supabase}/storage/v1/object/artifacts/{key}",
        content=bytes(LIMIT + 1),
        headers=own,
        trust_env=False,
    )

    assert (registered.status_code, registered.json()["code"]) == (413, "ARTIFACT_TOO_LARGE")
    assert (whole.status_code, begun.status_code, longer.status_code) == (413, 201, 413)
    assert (straight.status_code, straight.json()["statusCode"]) == (400, "413")
    assert rows(doors, "select count(*) from storage.objects where name = %s", key) == [(0,)]


def test_what_is_not_what_was_announced_is_refused(doors: Doors, judged: None) -> None:
    for content in (b"four", b"sixsix"):
        made = reserve(doors, 5)
        assert httpx.put(made["upload_url"], content=content, trust_env=False).is_success
        doors.ask("POST", f"/artifacts/{made['artifact_id']}/complete", doors.token(), json={})
        version = _final(doors, made["artifact_id"])

        assert (version["state"], version["findings"][0]["rule"]) == ("REFUSED", "size")


def _final(doors: Doors, artifact_id: str) -> dict[str, Any]:
    while True:
        version: dict[str, Any] = doors.ask("GET", f"/artifacts/{artifact_id}", doors.token()).json()[
            "versions"
        ][0]
        if version["state"] != "PENDING":
            return version
        time.sleep(0.05)


# ----------------------------------------------------------------------------------------- in parts


def test_a_cut_connection_costs_no_more_than_its_part(doors: Doors, judged: None) -> None:
    content = noise(3 * PART + 1234)
    wire = Wire(cut=(2, 3, 5))
    with client(doors, wire) as it:
        made = it.artifacts.put(content, name="cut")
        back = it.artifacts.read("cut")

    assert (made.state, back == content) == ("READY", True)
    assert wire.sent.count("HEAD storage") == 3
    # halves that had arrived were not sent again: each cut costs half a part, not the beginning
    assert wire.sent.count("POST storage") == 1
    assert wire.sent.count("PATCH storage") <= 7


def test_what_fits_into_a_part_is_one_put(doors: Doors, judged: None) -> None:
    wire = Wire()
    with client(doors, wire) as it:
        it.artifacts.put(noise(PART), name="one part")

    assert [each for each in wire.sent if each.endswith("storage")] == ["PUT storage"]


class AsyncWire(httpx.AsyncHTTPTransport):
    """Says what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request.method)
        return await super().handle_async_request(request)


async def test_the_runner_sends_in_parts_too(doors: Doors, tmp_path: Path) -> None:
    claimed = doors.claim(doors.submit_outside())
    (attempt,), _ = read_attempts([json.dumps(claimed).encode()])
    path = tmp_path / "large"
    path.write_bytes(noise(PART + 1))
    cable = AsyncWire()
    door = Door(f"{doors.supabase}/functions/v1/api", doors.environment["SUPABASE_ANON_KEY"], cable)
    stored = await door.store(attempt, path, measure(path), name="large", kind="data")
    await door.close()

    assert cable.sent == ["POST", "POST", "PATCH", "PATCH"]
    size = "select (metadata ->> 'size')::bigint from storage.objects where name = %s"
    assert rows(doors, size, place_of(doors, stored.artifact_id)) == [(PART + 1,)]


# ------------------------------------------------------------------------------- signed URLs, secrets


def test_signed_urls_expire(doors: Doors) -> None:
    artifact_id = doors.artifact()
    down = doors.ask("GET", f"/artifacts/{artifact_id}/download", doors.token()).headers["location"]
    up = reserve(doors, 3)["upload_url"]
    signer = Signer(doors.environment["CONTROL_ROOM_JWT_SECRET"])

    for url, scope, lives in ((down, "download", 300), (up, "upload", 7200)):
        token = parse_qs(urlsplit(url).query)["token"][0]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert 0 < claims["exp"] - time.time() <= lives
        late = signer.sign(Permit(claims["url"], scope, int(time.time()) - 1))  # type: ignore[arg-type]
        method = "GET" if scope == "download" else "PUT"
        answer = httpx.request(
            method, url.replace(token, late), content=b"abc" if scope == "upload" else None, trust_env=False
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidJWT")
    assert httpx.get(down, trust_env=False).is_success  # a control: in time it is good


def test_a_secret_in_a_text_is_refused_by_its_line_and_its_bytes_go(doors: Doors, judged: None) -> None:
    secret = "ghp_" + "A1b2C3d4E5" * 4
    text = f"user = me\n# nothing here\ntoken = {secret}\n"
    with client(doors) as it, pytest.raises(ArtifactRefused) as refused:
        it.artifacts.put(text.encode(), name="leaky.txt", kind="code")
    with client(doors) as it:
        artifact = it.artifacts.find("leaky.txt")
        with pytest.raises(ApiError) as download:
            it.artifacts.read("leaky.txt")

    assert artifact.versions[0].findings == [{"line": 3, "rule": "github_token"}]
    assert download.value.code == "ARTIFACT_NOT_READY"
    assert secret not in str(refused.value) + artifact.model_dump_json()
    assert rows(
        doors, "select reason from artifact.removals where path = %s", place_of(doors, artifact.artifact_id)
    ) == [("refused",)]


# ------------------------------------------------------------------------------------------ the sweep

BROOM = """
import asyncio, os, uuid
from runner.dispatch.upkeep import Broom
from runner.store import failpoint
from runner.transfer.door import Door

async def main():
    points = os.environ["POINTS"]
    store = failpoint.FallibleVerbs(os.environ["DSN"], str(uuid.uuid4()), failpoint.read(points) if points else {})
    door = Door(os.environ["FUNCTIONS"], os.environ["ANON"])
    await Broom(store, door).sweep()
    await door.close()
    await store.close()

asyncio.run(main())
"""


def broom(doors: Doors, points: str = "") -> int:
    """One step of the sweep in a process of its own; its exit code."""
    rows(doors, "update artifact.upkeep set objects_next = now(), contents_next = now()")
    environment = os.environ | {
        "POINTS": points,
        "DSN": doors.environment["CONTROL_ROOM_DATABASE_URL"],
        "FUNCTIONS": f"{doors.supabase}/functions/v1/api",
        "ANON": doors.environment["SUPABASE_ANON_KEY"],
    }
    return subprocess.run([sys.executable, "-c", BROOM], env=environment, check=False).returncode


def test_a_runner_that_dies_between_two_steps_loses_nothing_and_leaves_nothing(doors: Doors) -> None:
    kept = doors.artifact("kept, whoever dies")
    deleted = doors.artifact("deleted a while ago")
    refused = doors.artifact("refused", ready=False)
    doors.judge(refused, "REFUSED")
    assert doors.ask("DELETE", f"/artifacts/{deleted}", doors.token("admin")).is_success
    rows(doors, "update artifact.artifacts set deleted_at = now() - interval '8 days' where id = %s", deleted)
    going = [place_of(doors, it) for it in (deleted, refused)]

    def there() -> int:
        return int(rows(doors, "select count(*) from storage.objects where name = any (%s)", going)[0][0])

    def owed() -> int:
        return int(rows(doors, "select count(*) from artifact.removals where path = any (%s)", going)[0][0])

    def forsaken() -> None:
        rows(
            doors,
            "update artifact.removals set claim_expires_at = now() - interval '1 second' where claim is not null",
        )

    steps = []
    for point in (
        "sweep_artifacts.before",
        "sweep_artifacts.after",
        "confirm_removals.before",
        "confirm_removals.after",
    ):
        assert broom(doors, f"{point}=kill") == -signal.SIGKILL
        steps.append((point, there(), owed()))
        forsaken()

    assert steps == [
        ("sweep_artifacts.before", 2, 1),  # what was refused is written down by the verdict
        ("sweep_artifacts.after", 2, 2),  # claimed
        ("confirm_removals.before", 0, 2),  # gone from the bucket, not yet forgotten
        ("confirm_removals.after", 0, 0),  # forgotten; nobody heard of it
    ]
    assert broom(doors) == 0
    down = doors.ask("GET", f"/artifacts/{kept}/download", doors.token())
    assert httpx.get(down.headers["location"], trust_env=False).text == "kept, whoever dies"
    log = {row[0] for row in rows(doors, "select action from audit.entries where action like 'artifact.%%'")}
    assert {"artifact.delete", "artifact.let_go", "artifact.sweep"} <= log
