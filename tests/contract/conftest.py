"""Workbenches: one per executor, each able to play the same pieces in its own way."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dev import podman as dev_podman
from dev.podman import Podman
from dev.stack import state
from runner.dispatch.mailbox import Mailbox
from runner.executor import cgroup, container_host, ownership, sandbox
from runner.executor.base import Executor
from runner.executor.container import ContainerExecutor
from runner.executor.container_host import ContainerHost
from runner.executor.continue_cli import ContinueExecutor
from runner.executor.models import Model, Models
from runner.executor.n8n import N8nExecutor, Site
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import NOBODY, NoSandbox, Sandbox
from runner.executor.scripted import ScriptedExecutor
from runner.model.attempt import Attempt
from runner.model.command import Command, Limits
from runner.model.errors import Failure
from runner.model.outcome import Outcome, StoredArtifact, Succeeded, Usage, failed
from runner.model.stop import Stop
from runner.model.workspace import Workspace
from runner.store.memory import MemoryStore, Row
from runner.transfer.door import Door, Measured
from tests.contract.n8n_double import API_KEY, TOKEN, N8nDouble

MIB = 1024**2
#: Who waits longer waits for ever; how fast something is, tests of it say themselves.
HANGS_SECONDS = 120.0


@dataclass
class Recorder:
    """A reporter that remembers, and lets a test wait for a line."""

    stop: Stop | None = None
    progressed: list[tuple[int, str]] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    used: Usage | None = None
    outside: str | None = None
    spoke: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self, percent: int, message: str) -> None:
        self.progressed.append((percent, message))
        self.spoke.set()

    def log(self, stream: str, line: str) -> None:
        self.lines.append((stream, line))
        self.spoke.set()

    def usage(self, usage: Usage) -> None:
        self.used = usage

    def external_id(self, identifier: str) -> None:
        self.outside = identifier

    def text(self, stream: str = "stdout") -> list[str]:
        return [line for name, line in self.lines if name == stream]

    async def until(self, line: str) -> None:
        """Wait for this line of stdout."""
        async with asyncio.timeout(HANGS_SECONDS):
            while line not in self.text():
                self.spoke.clear()
                await self.spoke.wait()


async def said(box: PythonPieces, code: str, **options: Any) -> list[str]:
    """What a program that succeeds says on stdout."""
    play = box.python(code, **options)
    outcome = await play.end()
    assert isinstance(outcome, Succeeded), (outcome, play.reporter.lines)
    return play.reporter.text()


def survivors(mark: str) -> list[str]:
    """Processes of this machine whose command line holds the mark."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if mark in line and "ps -eo" not in line]


def make_attempt(**changes: Any) -> Attempt:
    first = Attempt(
        attempt_id=41,
        lease=3,
        number=2,
        run_id=9,
        task_run_id=8,
        task_key="execute",
        tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11",
        tenant_slug="acme",
        job_type="code_validation",
        engine="default",
        requires="code_validation/default",
        timeout_seconds=60,
    )
    return replace(first, **changes)


@dataclass
class Play:
    """A piece under way."""

    task: asyncio.Task[Outcome]
    reporter: Recorder
    workspace: Workspace

    async def end(self) -> Outcome:
        async with asyncio.timeout(HANGS_SECONDS):
            return await self.task

    async def stop(self, why: Stop) -> float:
        """Stop it as the dispatcher does; how long that took, in seconds."""
        began = time.monotonic()
        self.reporter.stop = why
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.end()
        return time.monotonic() - began


class Workbench:
    """Starts pieces on one executor."""

    def __init__(self, executor: Executor, folder: Path, owner: tuple[int, int] | None) -> None:
        self.executor = executor
        self.tells_out_of_memory = True
        self.believes_values = True
        self._folder = folder
        self._owner = owner
        self._count = 0

    def recorder(self) -> Recorder:
        return Recorder()

    def workspace(self) -> Workspace:
        self._count += 1
        place = self._folder / str(self._count)
        made = Workspace(root=place / "job", kept=place / "kept")
        for each in (made.root, made.kept, made.inputs, made.outputs, made.table_outputs):
            each.mkdir(parents=True)
        place.chmod(0o711)
        return made

    def start(
        self,
        workspace: Workspace,
        attempt: Attempt,
        command: Command | None = None,
        secrets: dict[str, str] | None = None,
    ) -> Play:
        for folder, folders, files in os.walk(workspace.root):
            for name in (".", *folders, *files):
                if self._owner:
                    os.chown(Path(folder) / name, *self._owner, follow_symlinks=False)
        prepared = replace(workspace, command=command, secrets=secrets or {})
        attempt = replace(attempt, attempt_id=self._count)
        reporter = self.recorder()

        async def run() -> Outcome:
            # A failure may be raised or returned; whoever calls an executor treats both alike.
            try:
                return await self.executor.run(attempt, prepared, reporter)
            except Failure as failure:
                return failed(failure, reporter.used or Usage())

        return Play(asyncio.create_task(run()), reporter, prepared)


class PythonPieces(Workbench):
    """Plays pieces as Python programs, wherever the executor runs them. `interpreter` is where it lies there."""

    interpreter = "/usr/bin/python3"

    def play(self, piece: str, **said: Any) -> Play:
        return self.python(PROGRAMS[piece].format(**said), secrets=said.get("secrets"))

    def python(
        self,
        code: str,
        *,
        limits: Limits | None = None,
        secrets: dict[str, str] | None = None,
        **changes: Any,
    ) -> Play:
        workspace = self.workspace()
        (workspace.root / "job.py").write_text(textwrap.dedent(code))
        command = Command(argv=(self.interpreter, "job.py"), limits=limits or Limits(memory_bytes=256 * MIB))
        return self.start(workspace, make_attempt(**changes), command, secrets)


class ScriptedPieces(Workbench):
    """Plays pieces as scripts."""

    def play(self, piece: str, **said: Any) -> Play:
        script = SCRIPTS[piece](**said)
        return self.start(
            self.workspace(), make_attempt(params={"script": script}), None, said.get("secrets")
        )


class N8nRecorder(Recorder):
    """Says what the suite waits for when the execution is under way: its own words stay in n8n."""

    def external_id(self, identifier: str) -> None:
        super().external_id(identifier)
        self.log("stdout", "hanging")


#: What of the suite has no meaning for a workflow, and why.
NOT_OF_N8N = {
    "speak": "an execution's lines stay in n8n",
    "progress": "a workflow's progress goes by the door, not by the runner: tests/acceptance/rescue/test_n8n.py",
    "value": "no secret is handed to n8n, so none can come back: test_secrets_are_not_handed_out",
    "tell": "an execution's lines stay in n8n",
    "run_out_of_memory": "n8n has no limits for one execution",
    "write": "what a workflow makes comes as its result",
}


SITE = Site("http://n8n.example", "https://api.example/functions/v1/api", token=TOKEN, api_key=API_KEY)


class N8nPieces(Workbench):
    """Plays pieces as executions of a small n8n."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()
        self.mailbox = Mailbox(self.store, poll_seconds=0.1)
        self.double = N8nDouble(self._tell)
        self._looking: asyncio.Task[None] | None = None
        super().__init__(self._executor(SITE), folder, None)
        self.tells_out_of_memory = False

    def _executor(self, site: Site, look_seconds: float = 0.1) -> N8nExecutor:
        return N8nExecutor(
            site,
            self.mailbox,
            look_seconds=look_seconds,
            grace_seconds=0.3,
            transport=self.double.transport,
        )

    def look_seldom(self) -> None:
        """From now on only a report can tell of an end."""
        self.executor = self._executor(SITE, 60)

    def _tell(self, token: str, report: dict[str, Any]) -> bool:
        told = self.store.tell(token, report)
        self.mailbox.wake()
        return told

    def play(self, piece: str, **said: Any) -> Play:
        if piece in NOT_OF_N8N:
            pytest.skip(NOT_OF_N8N[piece])
        if piece == "fail":
            pytest.skip("a workflow has no exit code")
        return self.begin(piece)

    def begin(self, piece: str, *, token: str = TOKEN, away: bool = False, **changes: Any) -> Play:
        if self._looking is None:
            self._looking = asyncio.create_task(self.mailbox.run())
        if token != TOKEN:
            self.executor = self._executor(Site("http://n8n.example", "https://api.example", token=token))
        values = changes.pop("values", {})
        params = {"piece": piece, "values": values, **changes.pop("params", {})}
        attempt = make_attempt(job_type="kb_catalog", params=params, token="the-lease-token", **changes)
        workspace = self.workspace()
        held = replace(attempt, attempt_id=self._count)
        self.store.rows[self._count] = Row(held, running=True, expires=time.monotonic() + 600)
        return self.start(workspace, attempt)

    def adopt(self, play: Play) -> Play:
        """The same attempt under the next lease."""
        row = self.store.rows[self._count]
        row.external_id = play.reporter.outside
        row.attempt = replace(row.attempt, lease=row.attempt.lease + 1, external_id=play.reporter.outside)
        return self.start(play.workspace, row.attempt)

    def recorder(self) -> Recorder:
        return N8nRecorder()

    async def close(self) -> None:
        await self.double.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)


PROGRAMS = {
    "succeed": "pass",
    "fail": "import sys; print('why', file=sys.stderr); sys.exit({code})",
    "fail_at_first": "import os, sys; sys.exit(0 if int(os.environ['ATTEMPT']) > 1 else 1)",
    "speak": "import sys; print('one'); sys.stdout.flush(); print('two', file=sys.stderr)",
    "progress": "print('::progress 40 half way', flush=True); print('::progress 100', flush=True)",
    "value": "print('::value rows 7'); print('::value who {secret}'); print('::value list [1, {{\"a\": null}}]')",
    "tell": "print('the value is {secret}')",
    "run_out_of_memory": "b = []\nwhile True: b.append(bytearray(8_000_000))",
    "hang": "import time; print('hanging', flush=True); time.sleep(600)",
    "write": "open('outputs/a.txt', 'w').write('text')",
}

SCRIPTS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "succeed": list,
    "fail": lambda code: [{"log": "why", "stream": "stderr"}, {"exit": code}],
    "fail_at_first": lambda: [{"exit": 1, "until": 1}],
    "speak": lambda: [{"log": "one"}, {"log": "two", "stream": "stderr"}],
    "progress": lambda: [{"progress": 40, "message": "half way"}, {"progress": 100}],
    "value": lambda secret, secrets: [{"values": {"rows": 7, "who": secret, "list": [1, {"a": None}]}}],
    "tell": lambda secret, secrets: [{"log": f"the value is {secret}"}],
    "run_out_of_memory": lambda: [{"oom": True}],
    "hang": lambda: [{"log": "hanging"}, {"hang": True}],
    "write": lambda: [{"write": {"outputs/a.txt": "text"}}],
}


class Shelf(Door):
    """Keeps what is uploaded."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.stored: dict[str, bytes] = {}

    async def store(
        self,
        attempt: Attempt,
        path: Path,
        measured: Measured,
        *,
        name: str,
        kind: str,
        content_type: str | None = None,
    ) -> StoredArtifact:
        self.stored[name] = await asyncio.to_thread(path.read_bytes)
        return StoredArtifact(name, 1, measured.size, measured.sha256)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the sandbox's user may pass through (pytest's own is closed to others)."""
    made = Path(tempfile.mkdtemp(prefix="control-room-contract-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def namespaces_work() -> bool:
    """Whether bubblewrap can do anything here, asked without our own argument list."""
    argv = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    return shutil.which("bwrap") is not None and subprocess.run(argv, check=False).returncode == 0


@pytest.fixture
async def made_sandbox(folder: Path) -> AsyncIterator[Sandbox]:
    groups = cgroup.detect()
    made = await sandbox.probe(groups, folder)
    if isinstance(made, NoSandbox):
        assert not namespaces_work(), f"this machine could make a sandbox, ours does not work: {made.reason}"
        pytest.skip(f"needs bubblewrap and user namespaces ({made.reason})")
    yield made
    groups.close()


@pytest.fixture
def process(made_sandbox: Sandbox, folder: Path) -> PythonPieces:
    made = PythonPieces(ProcessExecutor(made_sandbox, grace_seconds=1.0), folder, made_sandbox.owner)
    made.tells_out_of_memory = made_sandbox.groups.bounded
    return made


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman's service on a socket of this session, with an image of Debian and Python; or the daemon of
    CONTROL_ROOM_CONTAINER_SOCKET."""
    if given := os.environ.get("CONTROL_ROOM_CONTAINER_SOCKET"):
        yield dev_podman.Given(Path(given))
        return
    if reason := dev_podman.missing():
        pytest.skip(reason)
    with dev_podman.service(state.home() / "podman") as made:
        dev_podman.base_image(made)
        yield made


@pytest.fixture
async def host(podman: Podman, folder: Path) -> AsyncIterator[ContainerHost]:
    made = await container_host.probe(podman.socket, cgroup.detect(), folder, network="none")
    assert isinstance(made, ContainerHost), made.reason
    assert await made.try_image(dev_podman.BASE) == ""
    yield made
    await made.daemon.close()


@pytest.fixture
def container(host: ContainerHost, folder: Path) -> PythonPieces:
    executor = ContainerExecutor(host, {"code_validation/default": dev_podman.BASE}, grace_seconds=1.0)
    return PythonPieces(executor, folder / ownership.own_name(), (NOBODY, NOBODY))


@pytest.fixture
def continue_cli(made_sandbox: Sandbox, folder: Path) -> PythonPieces:
    """The process executor with the way to a model beside it, which these pieces do not go."""
    model = Model("default", "http://127.0.0.1:9", {}, {"name": "default"})
    executor = ContinueExecutor(
        ProcessExecutor(made_sandbox, grace_seconds=1.0), Models({"default": model}, "digest")
    )
    made = PythonPieces(executor, folder, made_sandbox.owner)
    made.tells_out_of_memory = made_sandbox.groups.bounded
    made.believes_values = False
    return made


@pytest.fixture
def scripted(folder: Path) -> ScriptedPieces:
    return ScriptedPieces(ScriptedExecutor(), folder, None)


@pytest.fixture
async def n8n(folder: Path) -> AsyncIterator[N8nPieces]:
    made = N8nPieces(folder)
    yield made
    await made.close()


#: Each name is a fixture that makes a workbench; what is not on every machine runs with `--with NAME`.
CONTAINER = pytest.param("container", marks=pytest.mark.needs("container"))
KUBERNETES = pytest.param("kubernetes", marks=pytest.mark.needs("kubernetes"))
HOUSES = ("process", "continue_cli", "scripted", "n8n", CONTAINER, KUBERNETES)


@pytest.fixture(params=HOUSES)
def bench(request: pytest.FixtureRequest) -> PythonPieces | ScriptedPieces | N8nPieces:
    """Every executor in turn."""
    made: PythonPieces | ScriptedPieces | N8nPieces = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=["process", CONTAINER])
def box(request: pytest.FixtureRequest) -> PythonPieces:
    """Every executor that keeps code in by itself, on this machine."""
    made: PythonPieces = request.getfixturevalue(request.param)
    return made


# the houses that stand on what is above
from tests.contract.pods import cluster_plane, kubernetes, parcel_door, placement  # noqa: E402, F401
