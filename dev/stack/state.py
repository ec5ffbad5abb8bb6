"""Where a stack lives on disk, and what it remembers between two commands.

<root>/                 0755, entered by the database's user and by the sandbox's
    stack.json          ports, Postgres major, the pids last started (no secrets)
    clone               which clone made it
    secrets.json        0600, made once per stack
    lock                held while a command changes the stack
    postgres/           the data directory, of the database's user
    run/                unix socket, health file
    logs/<service>.log
    storage/            the gateway's files
    work/               the runner's job folders
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from dev.stack.errors import StackError

CLONE = Path(__file__).resolve().parents[2]

Service = Literal["postgres", "gateway", "functions", "runner"]
SERVICES: tuple[Service, ...] = get_args(Service)
SERVICES_WITH_PORT: tuple[Service, ...] = ("postgres", "gateway", "functions")

# Below 32768, where the kernel picks ports for outgoing connections: a remembered port must still be free
# when the stack comes up again.
PORT_RANGE = range(20000, 32000)


@dataclass(frozen=True)
class Daemon:
    """A process that was started: its pid, and when it was born, so that a recycled pid is never mistaken."""

    pid: int
    born: str


@dataclass(frozen=True)
class State:
    """What `stack.json` holds."""

    postgres_major: int
    ports: Mapping[Service, int]
    daemons: Mapping[Service, Daemon] = field(default_factory=dict)

    def with_daemon(self, service: Service, daemon: Daemon) -> State:
        return replace(self, daemons={**self.daemons, service: daemon})

    def without_daemon(self, service: Service) -> State:
        return replace(self, daemons={name: it for name, it in self.daemons.items() if name != service})


@dataclass(frozen=True)
class Layout:
    """The paths of one stack."""

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def state_file(self) -> Path:
        return self.root / "stack.json"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def clone_file(self) -> Path:
        return self.root / "clone"

    @property
    def data(self) -> Path:
        return self.root / "postgres"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def storage(self) -> Path:
        return self.root / "storage"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def health_file(self) -> Path:
        return self.run / "runner-health.json"

    def log(self, service: Service) -> Path:
        return self.logs / f"{service}.log"

    def make(self) -> None:
        """Makes the folders; raises StackError where that is not allowed."""
        try:
            for folder in (self.root, self.run, self.logs, self.storage, self.work):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o755)
        except OSError as error:
            raise StackError(
                f"the stack's folder {self.root} cannot be made: {error.strerror}",
                "set CONTROL_ROOM_STACK_DIR to a folder of yours",
            ) from error
        if not self.clone_file.exists() and (mine := clone_id()):
            self.clone_file.write_text(f"{mine}\n")

    @property
    def is_foreign(self) -> bool:
        """Whether another clone made it. Of one that does not say so, whether it is older than this clone."""
        try:
            return self.clone_file.read_text().strip() != clone_id()
        except OSError:
            pass
        try:
            return self.secrets_file.stat().st_mtime < _cloned_at()
        except OSError:
            return False


def home() -> Path:
    """The folder of caches that all stacks of this user share (CONTROL_ROOM_HOME)."""
    if configured := os.environ.get("CONTROL_ROOM_HOME"):
        return Path(configured).absolute()
    if os.geteuid() == 0:
        # not below /root: the database's and the sandbox's users must be able to read it
        return Path("/var/lib/control-room")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "control-room"


def _git_folder() -> Path:
    """Where git keeps what is this clone's alone; the clone itself where there is no git."""
    pointer = CLONE / ".git"
    # a worktree has a file there, which names its folder
    inner = Path(pointer.read_text().removeprefix("gitdir:").strip()) if pointer.is_file() else pointer
    return CLONE / inner if inner.is_dir() else CLONE


def _cloned_at() -> float:
    """About when: nothing that git has written here is older."""
    return min((it.stat().st_mtime for it in _git_folder().iterdir()), default=0.0)


@functools.cache
def clone_id() -> str | None:
    """Tells this clone from one that was in the same folder before; made once, kept in git's own folder.

    None where it cannot be kept: then a folder has one stack, whoever is in it.
    """
    kept = _git_folder() / "control-room-clone"
    try:
        if not kept.exists():
            write_text(kept, f"{secrets.token_hex(8)}\n", mode=0o644)
        return kept.read_text().strip()
    except OSError:
        return None


def layout(name: str | None = None) -> Layout:
    """The layout of the stack called `name`; by default the one of this clone, or CONTROL_ROOM_STACK_DIR."""
    configured = os.environ.get("CONTROL_ROOM_STACK_DIR")
    if configured and name is None:
        return Layout(Path(configured).absolute())
    if name is not None:
        return Layout(_stacks() / name)
    first = former()
    # never the data of a clone that was here before: it may be wanted still, and has other migrations
    return Layout(_stacks() / f"{first.name}-{clone_id()}") if first.is_foreign else first


def former() -> Layout:
    """The stack of the first clone that had one in this folder; that may be this clone."""
    return Layout(_stacks() / hashlib.sha256(str(CLONE).encode()).hexdigest()[:12])


def _stacks() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/control-room/stacks")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "control-room/stacks"


def load(place: Layout) -> State | None:
    """What the stack remembers, or None if it was never started."""
    try:
        raw = json.loads(place.state_file.read_text())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StackError(
            f"{place.state_file} cannot be read: it belongs to another user",
            "run as the user who started the stack, or set CONTROL_ROOM_STACK_DIR",
        ) from error
    except ValueError as error:
        raise StackError(
            f"{place.state_file} is damaged: {error}", f"remove {place.root} and run scripts/stack up"
        ) from error
    return State(
        postgres_major=raw["postgres_major"],
        ports=raw["ports"],
        daemons={name: Daemon(**daemon) for name, daemon in raw["daemons"].items()},
    )


def save(place: Layout, state: State) -> None:
    write_json(place.state_file, asdict(state), mode=0o644)


def write_json(path: Path, content: object, *, mode: int) -> None:
    """Replaces a JSON file in one step: a reader never sees half of it."""
    write_text(path, json.dumps(content, indent=2) + "\n", mode=mode)


def write_text(path: Path, content: str, *, mode: int) -> None:
    """As `write_json`, for any text."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(content)
    os.chmod(file.name, mode)
    os.replace(file.name, path)


@contextlib.contextmanager
def locked(place: Layout) -> Iterator[None]:
    """Only one command at a time may change a stack; a second one waits for the first."""
    with place.lock_file.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def port_is_free(port: int) -> bool:
    """Whether a server could listen there now, as one with SO_REUSEADDR sees it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_ports(
    place: Layout, wanted: Mapping[Service, int], known: Mapping[Service, int]
) -> dict[Service, int]:
    """One port per service: the wanted one, else the remembered one, else a free one.

    The search for free ones starts at a place of its own for each stack, so that two stacks that come up at
    the same time do not race for the same port.
    """
    chosen: dict[Service, int] = {}
    start = int(hashlib.sha256(str(place.root).encode()).hexdigest(), 16) % len(PORT_RANGE)
    in_turn = (PORT_RANGE[(start + step) % len(PORT_RANGE)] for step in range(len(PORT_RANGE)))
    settled = {*wanted.values(), *known.values()}
    candidates = (port for port in in_turn if port not in settled and port_is_free(port))
    for service in SERVICES_WITH_PORT:
        if service in wanted:
            chosen[service] = wanted[service]
        elif service in known:
            chosen[service] = known[service]
        else:
            chosen[service] = next(candidates)
    return chosen
