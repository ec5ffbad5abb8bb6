"""What a control group is here, whatever the version of the kernel's interface."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.model.command import Limits

PARENT = "control-room"
CPU_PERIOD_US = 100_000


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


class Nest(Protocol):
    """A control group that somebody else makes groups in: a daemon of containers. It outlives its maker."""

    @property
    def place(self) -> str:
        """Where it is, from the root of each hierarchy."""
        ...

    def measure(self) -> Measured:
        """What everything in it used so far."""
        ...

    def remove(self) -> None:
        """Remove it and what was left in it. Blocking."""
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

    def nest(self, name: str, limits: Limits) -> Nest | None:
        """A group for somebody else's groups, new or as it was left; None where that says nothing that the
        somebody does not say as well. Raises OSError."""
        ...

    def sweep(self) -> int:
        """Kill and remove the groups of runners that are gone; how many there were."""
        ...

    def sweep_nests(self, keep: Collection[str]) -> None:
        """Remove the nests of runners that are gone, but those to `keep`. Blocking."""
        ...

    def close(self) -> None:
        """Remove what this runner made."""
        ...


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

    def nest(self, name: str, limits: Limits) -> None:
        """None can be made."""
        return

    def sweep(self) -> int:
        """Nothing can be left behind."""
        return 0

    def sweep_nests(self, keep: Collection[str]) -> None:
        """There are none."""

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
