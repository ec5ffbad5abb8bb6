"""The sandbox of the process executor, beyond what every box keeps in."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.dispatch.workspaces import Workspaces
from runner.executor import orphans, ownership, sandbox
from runner.executor.group import NoGroups
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.model.command import Command, Limits
from runner.model.outcome import RetryableFailure
from runner.model.stop import Stop
from tests.contract.conftest import (
    HANGS_SECONDS,
    MIB,
    PythonPieces,
    make_attempt,
    namespaces_work,
    said,
    survivors,
)


def groups_left() -> str:
    """Control groups of attempts of this process."""
    argv = ["find", "/sys/fs/cgroup", "-path", f"*{ownership.own_name()}/a*", "-type", "d"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


async def test_no_tracing(process: PythonPieces) -> None:
    lines = await said(
        process,
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
        "print(libc.ptrace(0, 0, 0, 0), ctypes.get_errno())",
    )

    assert lines == ["-1 1"]


async def test_the_root_of_the_machine_is_out_of_sight(process: PythonPieces) -> None:
    lines = await said(process, "import os; print(sorted(os.listdir('/')), sorted(os.listdir('/etc')))")

    visible = lines[0]
    for hidden in ("root", "home", "var", "sys", "run", "shadow", "hostname"):
        assert f"'{hidden}'" not in visible


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 6, 8, 10, 12, 15, 20, 30])
async def test_a_stop_while_the_sandbox_is_being_made_leaves_nobody(
    process: PythonPieces, milliseconds: int
) -> None:
    workspace = process.workspace()
    mark = f"/usr/bin/sleep 16180{milliseconds}"
    play = process.start(workspace, make_attempt(), Command(argv=tuple(mark.split())))
    await asyncio.sleep(milliseconds / 1000)
    await play.stop(Stop.LOST)

    assert survivors(mark) == []


async def test_nothing_is_left_of_an_attempt(process: PythonPieces) -> None:
    await process.play("succeed").end()
    hanging = process.play("hang")
    await hanging.reporter.until("hanging")
    await hanging.stop(Stop.LOST)

    assert groups_left() == ""
    descriptors = len(os.listdir("/proc/self/fd"))
    await process.play("succeed").end()
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


@pytest.fixture
async def ungrouped(folder: Path) -> Sandbox:
    """The sandbox of a plain user on a machine where no group may be made."""
    made = await sandbox.probe(NoGroups("for this test"), folder)
    if not isinstance(made, Sandbox):
        assert not namespaces_work(), made.reason
        pytest.skip(f"needs bubblewrap and user namespaces ({made.reason})")
    return made


async def test_what_a_killed_runner_left_is_ended_without_control_groups_too(
    ungrouped: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox that did not hear of its runner's death, as one that was being set up then."""
    root = folder / "job"
    root.mkdir(mode=0o755)
    mark = f"/usr/bin/sleep {os.getpid()}999"
    command = Command(argv=tuple(mark.split()))
    deaf = [
        each
        for each in ungrouped.arguments(root, command, {}, network=False)
        if each not in ("--die-with-parent", "--new-session")
    ]
    descriptor = sandbox.memory_file(sandbox.nul_separated(deaf))
    monkeypatch.setattr(ownership, "own_name", lambda: "runner-1-1")
    process = await asyncio.create_subprocess_exec(
        *ungrouped.launch((), command, descriptor), pass_fds=[descriptor], env=sandbox.LAUNCH_ENVIRONMENT
    )
    os.close(descriptor)
    async with asyncio.timeout(HANGS_SECONDS):
        # another runner of this machine may start just now, and sweep before us
        while mark not in survivors(mark) and process.returncode is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    orphans.end()

    assert survivors(mark) == []
    await process.wait()


@pytest.mark.parametrize("milliseconds", [2, 6, 10, 14, 20, 30])
async def test_a_runner_killed_while_a_sandbox_is_being_made_leaves_nobody(
    ungrouped: Sandbox, folder: Path, milliseconds: int
) -> None:
    mark = f"/usr/bin/sleep {os.getpid()}{milliseconds:03}"  # others may run this test beside us
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contract.doomed_sandbox",
        str(folder),
        *mark.split(),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"starting\n"
    await asyncio.sleep(milliseconds / 1000)
    process.kill()
    await process.wait()
    orphans.end()
    Workspaces(folder, None).sweep()
    await asyncio.sleep(0.2)  # one that had not come to its workspace yet finds none

    assert survivors(mark) == []


async def test_without_control_groups_rlimits_still_bound(ungrouped: Sandbox, folder: Path) -> None:
    bench = PythonPieces(ProcessExecutor(ungrouped, grace_seconds=1.0), folder, ungrouped.owner)
    memory = await bench.python("b = []\nwhile True: b.append(bytearray(8_000_000))").end()
    forks = bench.python(
        """
        import os, time
        n = 0
        try:
            while n < 5000:
                if os.fork() == 0: time.sleep(600)
                n += 1
        except OSError: pass
        print(n < 200)
        """,
        limits=Limits(memory_bytes=256 * MIB, pids=32),
    )
    await forks.end()

    assert isinstance(memory, RetryableFailure)
    assert "MemoryError" in memory.message
    assert forks.reporter.text() == ["True"]
    assert ungrouped.description["cgroup"] == "none"
