"""Control groups by plain files, version 1 and 2, with an honest answer where there are none.

    Groups = V1 | V2 | NoGroups

`detect` looks at /proc/self/mountinfo and /proc/self/cgroup and tries to make a directory. Hybrid machines
mount a v2 tree without the memory controller beside v1: those count as v1. Where nothing may be written,
`NoGroups` leaves rlimits only: memory is then bounded per process, not per attempt, and an out-of-memory
kill cannot be told from a failure.

A group is entered by the process itself, before it becomes the sandbox: see
`runner.executor.sandbox.Sandbox.launch`.
"""

from __future__ import annotations

import os
from pathlib import Path

from runner.executor import groupfiles
from runner.executor.cgroup_v1 import CONTROLLERS, V1
from runner.executor.cgroup_v2 import V2
from runner.executor.group import PARENT, Groups, NoGroups


def detect(mountinfo: Path = Path("/proc/self/mountinfo"), own: Path = Path("/proc/self/cgroup")) -> Groups:
    """The best this machine and this user allow."""
    v1, v2 = _mounts(mountinfo)
    places = _own_places(own)
    reasons: list[str] = []
    if v2 is not None and "memory" in groupfiles.words(v2 / "cgroup.controllers"):
        try:
            return V2(_delegated(_below(v2, places.get(""))))
        except OSError as error:
            reasons.append(f"cgroup v2: {error.strerror}")
    if "memory" in v1 and "pids" in v1:
        roots = {name: _below(v1[name], places.get(name)) for name in CONTROLLERS if name in v1}
        try:
            for root in roots.values():
                (root / PARENT).mkdir(exist_ok=True)
                probe = root / PARENT / f"probe-{os.getpid()}"
                probe.mkdir()
                probe.rmdir()
            return V1(roots, v1, every=_hierarchies(mountinfo))
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
    if not wanted <= groupfiles.words(own / "cgroup.subtree_control"):
        try:
            groupfiles.write(own / "cgroup.subtree_control", "+cpu +memory +pids")
        except OSError:
            leaf = own / "control-room-runner"
            leaf.mkdir(exist_ok=True)
            for pid in groupfiles.pids(own):
                groupfiles.write(leaf / "cgroup.procs", pid)
            groupfiles.write(own / "cgroup.subtree_control", "+cpu +memory +pids")
    groupfiles.write(parent / "cgroup.subtree_control", "+cpu +memory +pids")
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
                if option in CONTROLLERS:
                    v1[option] = mount_point
    return v1, v2


def _hierarchies(mountinfo: Path) -> list[Path]:
    """Where any hierarchy is mounted, whatever it controls."""
    lines = mountinfo.read_text().splitlines()
    split = [line.partition(" - ") for line in lines]
    return [Path(before.split()[4]) for before, _, after in split if after.startswith("cgroup")]


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
