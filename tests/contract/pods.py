"""The house of pods: a real cluster of one node, a door for parcels that pods reach, an executor in it.

Needs `scripts/setup --with kubernetes` (as root); runs with `--with kubernetes`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import image, plane
from dev.cluster.plane import Plane
from runner.executor.kubernetes.cluster import Cluster
from runner.executor.kubernetes.executor import KubernetesExecutor
from runner.executor.kubernetes.manifest import Placement
from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.workspace import Workspace
from runner.transfer.door import Door
from tests.contract.conftest import Play, PythonPieces

NAMESPACE = "jobs"
_NUMBERS = itertools.count(random.randrange(1000, 10**9))


class ParcelDoor(ThreadingHTTPServer):
    """The attempt's door as far as parcels go, with bytes in memory. `token` is the one that holds."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((plane.HOST, 0), _Handler)
        self.token = "crat_first"
        self.parcels: dict[str, bytes] = {}
        self.away = False

    @property
    def url(self) -> str:
        return f"http://{plane.HOST}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ParcelDoor

    def _answer(self, status: int, body: object = None, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _admitted(self) -> bool:
        if self.server.away:
            self._answer(503, {})
        elif self.headers["authorization"] != f"Bearer {self.server.token}":
            self._answer(401, {"code": "ATTEMPT_TOKEN_INVALID"})
        else:
            return True
        return False

    def do_POST(self) -> None:
        form = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._admitted():
            self._answer(201, {"upload_url": f"/bytes/{form['name']}"})

    def do_PUT(self) -> None:
        assert "authorization" not in self.headers, "the token went where it should not"
        name = self.path.rpartition("/")[2]
        self.server.parcels[name] = self.rfile.read(int(self.headers["content-length"]))
        self._answer(200, {})

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/bytes/"):
            assert "authorization" not in self.headers, "the token went where it should not"
            self._answer(200, self.server.parcels[name])
        elif self._admitted():
            self._answer(302, {}, location=f"/bytes/{name}")

    def do_DELETE(self) -> None:
        if self._admitted():
            self.server.parcels.pop(self.path.rpartition("/")[2], None)
            self.send_response(204)
            self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class PodPieces(PythonPieces):
    """Plays pieces as Python programs in pods."""

    def __init__(self, executor: KubernetesExecutor, door: ParcelDoor, folder: Path, made: Plane) -> None:
        super().__init__(executor, folder, None)
        self.door = door
        self.plane = made
        self.placement: Placement = executor._placement

    def start(
        self,
        workspace: Workspace,
        attempt: Attempt,
        command: Command | None = None,
        secrets: dict[str, str] | None = None,
    ) -> Play:
        self._count = next(_NUMBERS)  # Jobs of one cluster: no two tests have one
        attempt = replace(attempt, token=self.door.token)
        if "namespace" not in attempt.granted:
            attempt = replace(attempt, granted={"namespace": (NAMESPACE,)})
        if secrets and not attempt.secrets:
            attempt = replace(attempt, secrets=tuple(secrets))
        return super().start(workspace, attempt, command, secrets)

    @property
    def number(self) -> int:
        """The attempt that was started last."""
        return self._count

    def job(self, number: int | None = None) -> str:
        """The name of an attempt's Job."""
        return f"control-room-{self.placement.house}-a{number or self._count}-code-validation"

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call of an administrator's in the namespace of Jobs."""
        kind, _, rest = path.partition("/")
        root = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        name = f"{kind}/{rest}" if rest else kind
        return self.plane.ask(f"{root}/namespaces/{NAMESPACE}/{name}", method, body)

    def pods(self, number: int | None = None) -> list[dict[str, Any]]:
        """The pods of an attempt."""
        selector = f"control-room%2Fattempt={number or self._count}"
        found: list[dict[str, Any]] = self.ask(f"pods?labelSelector={selector}")["items"]
        return found


@pytest.fixture(scope="session")
def cluster_plane() -> Iterator[Plane]:
    """A cluster of the session's own."""
    if reason := plane.lacking():
        pytest.skip(f"needs a cluster: {reason}")
    name, archive = image.archive()
    with plane.running({name: archive}) as made:
        plane.namespace(made, NAMESPACE)
        yield made


@pytest.fixture
def parcel_door(cluster_plane: Plane) -> Iterator[ParcelDoor]:
    with ParcelDoor() as door:
        threading.Thread(target=door.serve_forever, args=(0.05,), daemon=True).start()
        yield door
        door.shutdown()


@pytest.fixture
def placement(parcel_door: ParcelDoor) -> Placement:
    return Placement(
        namespace=NAMESPACE,
        door_url=parcel_door.url,
        public_url=parcel_door.url,
        images={"": image.NAME.format("python")},
        pull_policy="Never",
        secret="vault",
        cpu_share=0.02,
        pending_seconds=110.0,  # machines are sometimes busy
    )


@pytest.fixture
async def kubernetes(
    cluster_plane: Plane, parcel_door: ParcelDoor, placement: Placement, folder: Path
) -> AsyncIterator[PodPieces]:
    """Workbench of pods."""
    async with workbench(cluster_plane, parcel_door, placement, folder) as made:
        yield made


class workbench:
    """A workbench of a runner of its own: another one of these is another runner."""

    def __init__(self, made: Plane, door: ParcelDoor, placement: Placement, folder: Path) -> None:
        self._said = (made, door, placement, folder)

    async def __aenter__(self) -> PodPieces:
        made, door, placement, folder = self._said
        cluster = await Cluster.connect(str(made.kubeconfig))
        self._door = Door(door.url)
        self._executor = KubernetesExecutor(cluster, self._door, placement)
        return PodPieces(self._executor, door, folder, made)

    async def __aexit__(self, *_: object) -> None:
        await self._executor.close()
        await self._door.close()
        await asyncio.sleep(0)
