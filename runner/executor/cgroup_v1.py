"""Control groups, version 1: one directory per controller."""

from __future__ import annotations

import contextlib
from pathlib import Path

from runner.executor import groupfiles, ownership
from runner.executor.group import CPU_PERIOD_US, PARENT, Group, Measured
from runner.model.command import Limits

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")


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
            groupfiles.write(folders["memory"] / "memory.limit_in_bytes", limits.memory_bytes)
            with contextlib.suppress(OSError):  # absent where swap is not accounted
                groupfiles.write(folders["memory"] / "memory.memsw.limit_in_bytes", limits.memory_bytes)
            groupfiles.write(folders["pids"] / "pids.max", limits.pids)
            if "cpu" in folders:
                groupfiles.write(folders["cpu"] / "cpu.cfs_period_us", CPU_PERIOD_US)
                groupfiles.write(folders["cpu"] / "cpu.cfs_quota_us", int(limits.cpus * CPU_PERIOD_US))
        except OSError:
            group.remove()
            raise
        return group

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
        memory = self._folders["memory"]
        cpu = (
            groupfiles.number(self._folders["cpuacct"] / "cpuacct.usage")
            if "cpuacct" in self._folders
            else None
        )
        return Measured(
            peak_memory_bytes=groupfiles.number(memory / "memory.max_usage_in_bytes"),
            cpu_ms=None if cpu is None else cpu // 1_000_000,
            oom_kills=groupfiles.keyed(memory / "memory.oom_control").get("oom_kill", 0),
        )

    def kill(self) -> None:
        """SIGKILL until nobody is left: v1 has no atomic kill, so a fork may slip through one round."""
        groupfiles.kill_all(self._folders["pids"])

    def remove(self) -> None:
        """Kill, then rmdir, which answers EBUSY for a moment after the last exit."""
        self.kill()
        for folder in self._folders.values():
            groupfiles.remove(folder)
