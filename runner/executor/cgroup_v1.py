"""Control groups, version 1: one directory per controller."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from runner.executor import groupfiles, ownership
from runner.executor.group import CPU_PERIOD_US, PARENT, Group, Measured
from runner.model.command import Limits

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
NESTS = "containers"
_NEST = re.compile(r"(runner-\d+-\d+)-.+")


class V1:
    """One directory per controller."""

    def __init__(
        self, roots: dict[str, Path], mounts: dict[str, Path] | None = None, every: Sequence[Path] = ()
    ) -> None:
        """`roots` are where we are, under each controller; `mounts` are where its hierarchy begins; `every`
        is where any hierarchy does."""
        self._roots = {name: root / PARENT for name, root in roots.items()}
        self._mounts = {name: mount for name, mount in (mounts or {}).items() if name in CONTROLLERS}
        self._every = every

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
            _bound(folders, limits)
        except OSError:
            group.remove()
            raise
        return group

    def nest(self, name: str, limits: Limits) -> V1Nest | None:
        """Below a name that no runner owns: what is in it may outlive us and be adopted."""
        if not {"memory", "pids"} <= self._mounts.keys():
            return None
        # From the beginning of the hierarchies: a daemon does not know where we are, and it may be elsewhere
        # under each of them.
        place = f"/{PARENT}/{NESTS}/{name}"
        folders = {controller: mount / place.lstrip("/") for controller, mount in self._mounts.items()}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        _bound(folders, limits)
        return V1Nest(place, folders, [mount / place.lstrip("/") for mount in self._every])

    def sweep_nests(self, keep: Collection[str]) -> None:
        """In every hierarchy, whatever it controls."""
        for mount in {*self._mounts.values(), *self._every}:
            for folder in groupfiles.folders(mount / PARENT / NESTS):
                match = _NEST.fullmatch(folder.name)
                if match and folder.name not in keep and ownership.is_orphan(match[1]):
                    groupfiles.remove_deep(folder)

    def sweep(self) -> int:
        """Every controller is swept; a group counts once."""
        names = {orphan for root in self._roots.values() for orphan in groupfiles.orphans(root)}
        for orphan in names:
            for root in self._roots.values():
                groupfiles.remove_tree(root / orphan)
        return len(names)

    def close(self) -> None:
        """Under every controller."""
        for root in self._roots.values():
            groupfiles.remove_tree(root / ownership.own_name())


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
        return groupfiles.pids(self._folders["pids"])

    def measure(self) -> Measured:
        """memory.max_usage_in_bytes, cpuacct.usage and the oom_kill line of memory.oom_control."""
        return _measured(self._folders)

    def kill(self) -> None:
        """SIGKILL until nobody is left: v1 has no atomic kill, so a fork may slip through one round."""
        groupfiles.kill_all(self._folders["pids"])

    def remove(self) -> None:
        """Kill, then rmdir, which answers EBUSY for a moment after the last exit."""
        self.kill()
        for folder in self._folders.values():
            groupfiles.remove(folder)


class V1Nest:
    """Its children have no bound of their own that is met before ours, so it is we who run out of memory.

    The kills are counted where the killed were, and those groups are gone when it is asked; but who runs out
    is notified, by an eventfd.
    """

    def __init__(self, place: str, folders: dict[str, Path], everywhere: Sequence[Path]) -> None:
        self.place = place
        self._folders = folders
        self._everywhere = everywhere
        memory = folders["memory"]
        self._counter = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            control = os.open(memory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                groupfiles.write(memory / "cgroup.event_control", f"{self._counter} {control}")
            finally:
                os.close(control)
        except BaseException:
            os.close(self._counter)
            raise

    def measure(self) -> Measured:
        """As in a group of our own, with what we were notified of."""
        try:
            notified = os.eventfd_read(self._counter)
        except BlockingIOError:
            notified = 0
        measured = _measured(self._folders)
        return Measured(measured.peak_memory_bytes, measured.cpu_ms, measured.oom_kills + notified)

    def remove(self) -> None:
        """Also from hierarchies that we have nothing to do with: runtimes make their groups in all."""
        os.close(self._counter)
        for folder in {*self._folders.values(), *self._everywhere}:
            groupfiles.remove_deep(folder)


def _bound(folders: dict[str, Path], limits: Limits) -> None:
    groupfiles.write(folders["memory"] / "memory.limit_in_bytes", limits.memory_bytes)
    with contextlib.suppress(OSError):  # absent where swap is not accounted
        groupfiles.write(folders["memory"] / "memory.memsw.limit_in_bytes", limits.memory_bytes)
    groupfiles.write(folders["pids"] / "pids.max", limits.pids)
    if "cpu" in folders:
        groupfiles.write(folders["cpu"] / "cpu.cfs_period_us", CPU_PERIOD_US)
        groupfiles.write(folders["cpu"] / "cpu.cfs_quota_us", int(limits.cpus * CPU_PERIOD_US))


def _measured(folders: dict[str, Path]) -> Measured:
    memory = folders["memory"]
    cpu = groupfiles.number(folders["cpuacct"] / "cpuacct.usage") if "cpuacct" in folders else None
    return Measured(
        peak_memory_bytes=groupfiles.number(memory / "memory.max_usage_in_bytes"),
        cpu_ms=None if cpu is None else cpu // 1_000_000,
        oom_kills=groupfiles.keyed(memory / "memory.oom_control").get("oom_kill", 0),
    )
