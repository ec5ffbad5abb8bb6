"""Control groups on machines we are not on: version 2, hybrid, none. Plain files stand for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.executor import cgroup, ownership
from runner.executor.cgroup_v1 import V1
from runner.executor.cgroup_v2 import V2
from runner.executor.group import NoGroups
from runner.model.command import Limits

LIMITS = Limits(memory_bytes=1000, pids=7, cpus=0.5)


def mountinfo(folder: Path, *mounts: tuple[str, str, str]) -> Path:
    """(kind, path, options) as /proc/self/mountinfo says it."""
    file = folder / "mountinfo"
    lines = [
        f"{number} 1 0:{number} / {path} rw,relatime shared:1 - {kind} {kind} rw,{options}"
        for number, (kind, path, options) in enumerate(mounts)
    ]
    file.write_text("\n".join(lines))
    return file


def version_2(folder: Path, own: str = "/") -> tuple[Path, Path, Path]:
    root = folder / "unified"
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (root / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (root / "cgroup.procs").write_text("")
    place = folder / "self"
    place.write_text(f"0::{own}\n")
    return root, mountinfo(folder, ("cgroup2", str(root), "nsdelegate")), place


def test_version_2_is_found_and_its_files_are_written(tmp_path: Path) -> None:
    root, mounts, own = version_2(tmp_path)
    groups = cgroup.detect(mounts, own)
    assert isinstance(groups, V2)
    group = groups.make("a1-l1", LIMITS)

    folder = root / "control-room" / ownership.own_name() / "a1-l1"
    assert {file.name: file.read_text().strip() for file in folder.iterdir()} == {
        "memory.max": "1000",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "7",
        "cpu.max": "50000 100000",
    }
    assert group.entrances == (folder / "cgroup.procs",)
    assert groups.description["cgroup"] == "v2"


def test_version_2_tells_what_was_used(tmp_path: Path) -> None:
    root, mounts, own = version_2(tmp_path)
    group = cgroup.detect(mounts, own).make("a1-l1", LIMITS)
    folder = root / "control-room" / ownership.own_name() / "a1-l1"
    (folder / "memory.peak").write_text("4096\n")
    (folder / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n")
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n")

    measured = group.measure()
    assert (measured.peak_memory_bytes, measured.cpu_ms, measured.oom_kills) == (4096, 1500, 2)


def test_version_2_below_our_own_group(tmp_path: Path) -> None:
    root, mounts, own = version_2(tmp_path, own="/system.slice/runner.service")
    service = root / "system.slice" / "runner.service"
    service.mkdir(parents=True)
    (service / "cgroup.subtree_control").write_text("cpu memory pids")
    groups = cgroup.detect(mounts, own)
    groups.make("a1-l1", LIMITS)

    assert (service / "control-room" / ownership.own_name() / "a1-l1").is_dir()


def version_1(folder: Path) -> tuple[dict[str, Path], Path, Path]:
    roots = {name: folder / name for name in ("memory", "pids", "cpu", "cpuacct")}
    for root in roots.values():
        root.mkdir()
    (folder / "hybrid").mkdir()
    (folder / "hybrid" / "cgroup.controllers").write_text("hugetlb\n")
    own = folder / "self"
    own.write_text("8:pids:/\n4:memory:/somewhere/else\n0::/\n")
    mounts = [("cgroup", str(root), name) for name, root in roots.items()]
    return roots, mountinfo(folder, *mounts, ("cgroup2", str(folder / "hybrid"), "x")), own


def test_hybrid_without_a_memory_controller_is_version_1(tmp_path: Path) -> None:
    roots, mounts, own = version_1(tmp_path)
    groups = cgroup.detect(mounts, own)
    assert isinstance(groups, V1)
    group = groups.make("a1-l1", LIMITS)

    mine = Path("control-room") / ownership.own_name() / "a1-l1"
    assert (roots["memory"] / mine / "memory.limit_in_bytes").read_text() == "1000\n"
    assert (roots["pids"] / mine / "pids.max").read_text() == "7\n"
    assert (roots["cpu"] / mine / "cpu.cfs_quota_us").read_text() == "50000\n"
    assert len(group.entrances) == 4


def test_version_1_tells_what_was_used(tmp_path: Path) -> None:
    roots, mounts, own = version_1(tmp_path)
    group = cgroup.detect(mounts, own).make("a1-l1", LIMITS)
    mine = Path("control-room") / ownership.own_name() / "a1-l1"
    (roots["memory"] / mine / "memory.max_usage_in_bytes").write_text("4096\n")
    (roots["memory"] / mine / "memory.oom_control").write_text("under_oom 0\noom_kill 1\n")
    (roots["cpuacct"] / mine / "cpuacct.usage").write_text("1500000000\n")

    measured = group.measure()
    assert (measured.peak_memory_bytes, measured.cpu_ms, measured.oom_kills) == (4096, 1500, 1)


def test_nothing_mounted_is_said_honestly(tmp_path: Path) -> None:
    groups = cgroup.detect(mountinfo(tmp_path), tmp_path / "absent")

    assert isinstance(groups, NoGroups)
    assert not groups.bounded
    assert groups.description["reason"] == "no memory controller is mounted"
    assert groups.make("a1-l1", LIMITS).measure().oom_kills == 0


def test_groups_that_cannot_be_made_are_said_honestly(tmp_path: Path) -> None:
    roots, mounts, own = version_1(tmp_path)
    for root in roots.values():
        (root / "control-room").write_text("a file where the folder should be")
    groups = cgroup.detect(mounts, own)

    assert isinstance(groups, NoGroups)
    assert "cgroup v1" in str(groups.description["reason"])


def test_what_a_dead_runner_left_is_removed_and_what_lives_is_kept(tmp_path: Path) -> None:
    root, mounts, own = version_2(tmp_path)
    groups = cgroup.detect(mounts, own)
    dead = root / "control-room" / "runner-999999999-1"
    (dead / "a1-l1").mkdir(parents=True)
    (root / "control-room" / ownership.own_name()).mkdir()
    (root / "control-room" / "not-ours").mkdir()

    assert groups.sweep() == 1
    assert sorted(each.name for each in (root / "control-room").iterdir() if each.is_dir()) == [
        "not-ours",
        ownership.own_name(),
    ]


@pytest.mark.parametrize(
    ("name", "orphan"),
    [(ownership.own_name(), False), ("runner-999999999-5", True), ("a1-l1", False), ("runner-1-x", False)],
    ids=["ours", "gone", "an attempt", "no start time"],
)
def test_an_orphan_is_one_whose_owner_is_gone(name: str, orphan: bool) -> None:
    assert ownership.is_orphan(name) is orphan


def test_the_same_pid_with_another_start_is_another_process() -> None:
    pid, start = ownership.own_name().split("-")[1:]

    assert ownership.is_orphan(f"runner-{pid}-{int(start) - 1}")
