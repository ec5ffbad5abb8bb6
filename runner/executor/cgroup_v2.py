"""Control groups, version 2: one directory for all controllers."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from runner.executor import groupfiles, ownership
from runner.executor.group import CPU_PERIOD_US, Group, Measured
from runner.model.command import Limits


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
            groupfiles.write(mine / "cgroup.subtree_control", "+cpu +memory +pids")
            folder.mkdir(exist_ok=True)
            groupfiles.write(folder / "memory.max", limits.memory_bytes)
            with contextlib.suppress(OSError):  # absent where swap is not accounted
                groupfiles.write(folder / "memory.swap.max", 0)
            groupfiles.write(folder / "memory.oom.group", 1)
            groupfiles.write(folder / "pids.max", limits.pids)
            groupfiles.write(folder / "cpu.max", f"{int(limits.cpus * CPU_PERIOD_US)} {CPU_PERIOD_US}")
        except OSError:
            group.remove()
            raise
        return group

    def nest(self, name: str, limits: Limits) -> None:
        """Not needed: daemons tell of an out-of-memory kill by themselves here."""
        return

    def sweep_nests(self, keep: Collection[str]) -> None:
        """There are none."""

    def sweep(self) -> int:
        """Groups of runners that are gone."""
        names = groupfiles.orphans(self._parent)
        for orphan in names:
            groupfiles.remove_tree(self._parent / orphan)
        return len(names)

    def close(self) -> None:
        """One directory."""
        groupfiles.remove_tree(self._parent / ownership.own_name())


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
        return groupfiles.pids(self._folder)

    def measure(self) -> Measured:
        """memory.peak (Linux 5.19), cpu.stat and the oom_kill line of memory.events."""
        cpu = groupfiles.keyed(self._folder / "cpu.stat").get("usage_usec")
        return Measured(
            peak_memory_bytes=groupfiles.number(self._folder / "memory.peak"),
            cpu_ms=None if cpu is None else cpu // 1000,
            oom_kills=groupfiles.keyed(self._folder / "memory.events").get("oom_kill", 0),
        )

    def kill(self) -> None:
        """cgroup.kill (Linux 5.14) is atomic; older kernels get one signal per process."""
        try:
            groupfiles.write(self._folder / "cgroup.kill", 1)
        except OSError:
            groupfiles.kill_all(self._folder)

    def remove(self) -> None:
        """Kill, then rmdir."""
        self.kill()
        groupfiles.remove(self._folder)
