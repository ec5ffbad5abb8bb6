"""Control groups by plain files, version 1 and 2, with an honest answer where there are none.

    Groups = V1 | V2 | NoGroups

`detect` looks at /proc/self/mountinfo and /proc/self/cgroup and tries to make a directory. Hybrid machines
mount a v2 tree without the memory controller beside v1: those count as v1. Where nothing may be written,
`NoGroups` leaves rlimits only: memory is then bounded per process, not per attempt, and an out-of-memory
kill cannot be told from a failure.

A group is entered by the process itself, before it becomes the sandbox: see
`runner.executor.sandbox.launcher`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.executor import ownership
from runner.model.command import Limits

log = logging.getLogger(__name__)

PARENT = "control-room"
V1_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
_CPU_PERIOD_US = 100_000
_REMOVE_TRIES = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """What a group counted: None where the kernel does not say. `oom_kills` is the only reliable sign of
    one."""

    peak_memory_bytes: int | None = None
    cpu_ms: int | None = None
    oom_kills: int = 0


class Group(Protocol):
    """The control group of one attempt."""

    @property
    def entrances(self) -> tuple[Path, ...]:
        """Files to write `0` to in order to be in the group."""
        ...

    def pids(self) -> list[int]:
        """Every process in the group now."""
        ...

    def measure(self) -> Measured:
        """What was used so far."""
        ...

    def kill(self) -> None:
        """Kill everything inside."""
        ...

    def remove(self) -> None:
        """Kill everything inside and remove the group."""
        ...


class Groups(Protocol):
    """Maker of groups on this machine."""

    @property
    def description(self) -> dict[str, object]:
        """What is bounded here, for `health`."""
        ...

    @property
    def bounded(self) -> bool:
        """True when memory, processes and processor time are bounded per attempt."""
        ...

    def make(self, name: str, limits: Limits) -> Group:
        """A new group with these limits. Raises OSError."""
        ...

    def sweep(self) -> int:
        """Kill and remove the groups of runners that are gone; how many there were."""
        ...

    def close(self) -> None:
        """Remove what this runner made."""
        ...


class V1:
    """One directory per controller."""

    def __init__(self, roots: dict[str, Path]) -> None:
        self._roots = {name: root / PARENT for name, root in roots.items()}

    @property
    def description(self) -> dict[str, object]:
        """Names the version and what it bounds."""
        return {"cgroup": "v1", "limits": sorted(self._roots)}

    @property
    def bounded(self) -> bool:
        """Memory and pids are bounded, and the rest where it is mounted."""
        return True

    def make(self, name: str, limits: Limits) -> Group:
        """A directory under each controller."""
        folders = {controller: root / ownership.own_name() / name for controller, root in self._roots.items()}
        group = V1Group(folders)
        try:
            for folder in folders.values():
                folder.mkdir(parents=True, exist_ok=True)
            _write(folders["memory"] / "memory.limit_in_bytes", limits.memory_bytes)
            with contextlib.suppress(OSError):  # absent where swap is not accounted
                _write(folders["memory"] / "memory.memsw.limit_in_bytes", limits.memory_bytes)
            _write(folders["pids"] / "pids.max", limits.pids)
            if "cpu" in folders:
                _write(folders["cpu"] / "cpu.cfs_period_us", _CPU_PERIOD_US)
                _write(folders["cpu"] / "cpu.cfs_quota_us", int(limits.cpus * _CPU_PERIOD_US))
        except OSError:
            group.remove()
            raise
        return group

    def sweep(self) -> int:
        """Every controller is swept; a group counts once."""
        names = {orphan for root in self._roots.values() for orphan in _orphans(root)}
        for orphan in names:
            for root in self._roots.values():
                _remove_tree(root / orphan)
        return len(names)

    def close(self) -> None:
        """Under every controller."""
        for root in self._roots.values():
            _remove_tree(root / ownership.own_name())


class V1Group:
    """The directories of one attempt."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders

    @property
    def entrances(self) -> tuple[Path, ...]:
        """One per controller."""
        return tuple(folder / "cgroup.procs" for folder in self._folders.values())

    def pids(self) -> list[int]:
        """As the pids controller sees them."""
        return _pids(self._folders["pids"])

    def measure(self) -> Measured:
        """memory.max_usage_in_bytes, cpuacct.usage and the oom_kill line of memory.oom_control."""
        memory = self._folders["memory"]
        cpu = _number(self._folders["cpuacct"] / "cpuacct.usage") if "cpuacct" in self._folders else None
        return Measured(
            peak_memory_bytes=_number(memory / "memory.max_usage_in_bytes"),
            cpu_ms=None if cpu is None else cpu // 1_000_000,
            oom_kills=_keyed(memory / "memory.oom_control").get("oom_kill", 0),
        )

    def kill(self) -> None:
        """SIGKILL until nobody is left: v1 has no atomic kill, so a fork may slip through one round."""
        _kill_all(self._folders["pids"])

    def remove(self) -> None:
        """Kill, then rmdir, which answers EBUSY for a moment after the last exit."""
        self.kill()
        for folder in self._folders.values():
            _remove(folder)


class V2:
    """One directory for all controllers, below a parent that holds no process itself."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent

    @property
    def description(self) -> dict[str, object]:
        """Names the version and what it bounds."""
        return {"cgroup": "v2", "limits": ["cpu", "memory", "pids"]}

    @property
    def bounded(self) -> bool:
        """All three are."""
        return True

    def make(self, name: str, limits: Limits) -> Group:
        """A directory whose processes die together when memory runs out."""
        mine = self._parent / ownership.own_name()
        folder = mine / name
        group = V2Group(folder)
        try:
            mine.mkdir(exist_ok=True)
            _write(mine / "cgroup.subtree_control", "+cpu +memory +pids")
            folder.mkdir(exist_ok=True)
            _write(folder / "memory.max", limits.memory_bytes)
            with contextlib.suppress(OSError):  # absent where swap is not accounted
                _write(folder / "memory.swap.max", 0)
            _write(folder / "memory.oom.group", 1)
            _write(folder / "pids.max", limits.pids)
            _write(folder / "cpu.max", f"{int(limits.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}")
        except OSError:
            group.remove()
            raise
        return group

    def sweep(self) -> int:
        """Groups of runners that are gone."""
        names = _orphans(self._parent)
        for orphan in names:
            _remove_tree(self._parent / orphan)
        return len(names)

    def close(self) -> None:
        """One directory."""
        _remove_tree(self._parent / ownership.own_name())


class V2Group:
    """The directory of one attempt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def entrances(self) -> tuple[Path, ...]:
        """One file."""
        return (self._folder / "cgroup.procs",)

    def pids(self) -> list[int]:
        """Every process in the group."""
        return _pids(self._folder)

    def measure(self) -> Measured:
        """memory.peak (Linux 5.19), cpu.stat and the oom_kill line of memory.events."""
        cpu = _keyed(self._folder / "cpu.stat").get("usage_usec")
        return Measured(
            peak_memory_bytes=_number(self._folder / "memory.peak"),
            cpu_ms=None if cpu is None else cpu // 1000,
            oom_kills=_keyed(self._folder / "memory.events").get("oom_kill", 0),
        )

    def kill(self) -> None:
        """cgroup.kill (Linux 5.14) is atomic; older kernels get one signal per process."""
        try:
            _write(self._folder / "cgroup.kill", 1)
        except OSError:
            _kill_all(self._folder)

    def remove(self) -> None:
        """Kill, then rmdir."""
        self.kill()
        _remove(self._folder)


class NoGroups:
    """No control groups may be written: rlimits only."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    @property
    def description(self) -> dict[str, object]:
        """Says what is missing and why."""
        return {
            "cgroup": "none",
            "limits": ["rlimits only: memory per process, no cpu limit"],
            "reason": self._reason,
        }

    @property
    def bounded(self) -> bool:
        """Not per attempt."""
        return False

    def make(self, name: str, limits: Limits) -> Group:
        """A group that bounds and measures nothing."""
        return NoGroup()

    def sweep(self) -> int:
        """Nothing can be left behind."""
        return 0

    def close(self) -> None:
        """Nothing was made."""


class NoGroup:
    """Stands for a group where there is none."""

    entrances: tuple[Path, ...] = ()

    def pids(self) -> list[int]:
        """Unknown."""
        return []

    def measure(self) -> Measured:
        """Unknown."""
        return Measured()

    def kill(self) -> None:
        """The pid namespace of the sandbox is what kills here."""

    def remove(self) -> None:
        """Nothing to remove."""


def detect(mountinfo: Path = Path("/proc/self/mountinfo"), own: Path = Path("/proc/self/cgroup")) -> Groups:
    """The best this machine and this user allow."""
    v1, v2 = _mounts(mountinfo)
    places = _own_places(own)
    reasons: list[str] = []
    if v2 is not None and "memory" in _words(v2 / "cgroup.controllers"):
        try:
            return V2(_delegated(_below(v2, places.get(""))))
        except OSError as error:
            reasons.append(f"cgroup v2: {error.strerror}")
    if "memory" in v1 and "pids" in v1:
        roots = {name: _below(v1[name], places.get(name)) for name in V1_CONTROLLERS if name in v1}
        try:
            for root in roots.values():
                (root / PARENT).mkdir(exist_ok=True)
                probe = root / PARENT / f"probe-{os.getpid()}"
                probe.mkdir()
                probe.rmdir()
            return V1(roots)
        except OSError as error:
            reasons.append(f"cgroup v1: {error.strerror}")
    return NoGroups("; ".join(reasons) or "no memory controller is mounted")


def _delegated(own: Path) -> Path:
    """A directory below our own group whose children get controllers.

    A group that holds processes cannot hand controllers to its children (the root can), so the runner first
    moves itself, and whoever else is there, to a leaf. This is what a systemd unit with `Delegate=yes`
    permits.
    """
    wanted = {"cpu", "memory", "pids"}
    parent = own / PARENT
    parent.mkdir(exist_ok=True)
    if not wanted <= _words(own / "cgroup.subtree_control"):
        try:
            _write(own / "cgroup.subtree_control", "+cpu +memory +pids")
        except OSError:
            leaf = own / "control-room-runner"
            leaf.mkdir(exist_ok=True)
            for pid in _pids(own):
                _write(leaf / "cgroup.procs", pid)
            _write(own / "cgroup.subtree_control", "+cpu +memory +pids")
    _write(parent / "cgroup.subtree_control", "+cpu +memory +pids")
    return parent


def _mounts(mountinfo: Path) -> tuple[dict[str, Path], Path | None]:
    v1: dict[str, Path] = {}
    v2: Path | None = None
    try:
        lines = mountinfo.read_text().splitlines()
    except OSError:
        return v1, v2
    for line in lines:
        before, _, after = line.partition(" - ")
        mount_point = Path(before.split()[4])
        kind, _, options = after.split()[:3]
        if kind == "cgroup2":
            v2 = v2 or mount_point
        elif kind == "cgroup":
            for option in options.split(","):
                if option in V1_CONTROLLERS:
                    v1[option] = mount_point
    return v1, v2


def _own_places(own: Path) -> dict[str, str]:
    places: dict[str, str] = {}
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return places
    for line in lines:
        _, controllers, place = line.split(":", 2)
        for controller in controllers.split(","):
            places[controller] = place
    return places


def _below(mount_point: Path, place: str | None) -> Path:
    # Inside a container the place may be one of the host's that is not visible here: then the mount's root
    # is ours. A runner that moved itself to a leaf, or was started by one that did, makes groups beside
    # that leaf.
    candidate = mount_point / (place or "").strip("/")
    if candidate.name == "control-room-runner":
        candidate = candidate.parent
    return candidate if candidate.is_dir() else mount_point


def _orphans(root: Path) -> list[str]:
    try:
        return [entry.name for entry in root.iterdir() if ownership.is_orphan(entry.name)]
    except OSError:
        return []


def _remove_tree(folder: Path) -> None:
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        if child.is_dir():
            _kill_all(child)
            _remove(child)
    _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(_REMOVE_TRIES):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
    log.warning("cgroup_left", extra={"path": str(folder)})


def _kill_all(folder: Path) -> None:
    for _ in range(_REMOVE_TRIES):
        pids = _pids(folder)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _pids(folder: Path) -> list[int]:
    return [int(word) for word in _words(folder / "cgroup.procs") if int(word) > 0]


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _keyed(path: Path) -> dict[str, int]:
    pairs: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if value.strip().isdigit():
                pairs[key] = int(value)
    return pairs


def _write(path: Path, value: int | str) -> None:
    path.write_text(f"{value}\n")
