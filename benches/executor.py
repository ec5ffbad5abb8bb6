"""What an executor adds to the command it runs: the same command bare, in the sandbox, in a container."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from benches import yardstick
from dev import podman
from dev.stack import state
from runner.executor import cgroup, container_host, sandbox
from runner.executor.base import Executor
from runner.executor.container import ContainerExecutor
from runner.executor.container_host import ContainerHost
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.model.attempt import Attempt
from runner.model.command import Command
from runner.model.outcome import Succeeded, Usage
from runner.model.stop import Stop
from runner.model.workspace import Workspace

COMMAND = Command(argv=("/usr/bin/python3", "-I", "-S", "-c", "print('done')"))
OFFER = "code_validation/default"
TARGETS_MS = {"process": 60.0, "container": 500.0}


class Quiet:
    """A reporter that counts lines."""

    stop: Stop | None = None

    def __init__(self) -> None:
        self.lines = 0

    def progress(self, percent: int, message: str) -> None: ...

    def log(self, stream: str, line: str) -> None:
        self.lines += 1

    def usage(self, usage: Usage) -> None: ...

    def external_id(self, identifier: str) -> None: ...


class Bench:
    """Workspaces below one folder, and ways to run the command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def bare(self) -> float:
        """As anybody would start it."""
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*COMMAND.argv, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        took = time.perf_counter() - began
        assert said == b"done\n"
        return took * 1000

    def within(self, executor: Executor) -> Callable[[], Awaitable[float]]:
        """From the call to the outcome: everything made before is taken away again."""

        async def run() -> float:
            workspace = self._workspace()
            reporter = Quiet()
            attempt = Attempt(
                attempt_id=self._count, lease=1, number=1, run_id=1, task_run_id=1, task_key="execute",
                tenant_id="0b9b7f0e-7a54-4e0a-9c0f-5d9d9f3f1a11", tenant_slug="bench", job_type="code_validation",
                engine="default", requires=OFFER, timeout_seconds=60,
            )  # fmt: skip
            began = time.perf_counter()
            outcome = await executor.run(attempt, replace(workspace, command=COMMAND), reporter)
            took = time.perf_counter() - began
            assert isinstance(outcome, Succeeded), outcome
            assert reporter.lines == 1
            return took * 1000

        return run

    def _workspace(self) -> Workspace:
        self._count += 1
        place = self._folder / f"{self._count}"
        made = Workspace(root=place / "job", kept=place / "kept")
        for each in (made.root, made.kept):
            each.mkdir(parents=True)
        place.chmod(0o711)
        if os.getuid() == 0:
            os.chown(made.root, sandbox.NOBODY, sandbox.NOBODY)
        return made


async def measure(
    rounds: int, folder: Path, socket: Path | None
) -> tuple[dict[str, float], dict[str, object]]:
    groups = cgroup.detect()
    bench = Bench(folder)
    ways: dict[str, Callable[[], Awaitable[float]]] = {"bare": bench.bare}
    settings: dict[str, object] = {
        "rounds": rounds,
        "command": " ".join(COMMAND.argv),
        "targets_ms": TARGETS_MS,
    }
    made = await sandbox.probe(groups, folder)
    settings["process"] = made.description
    if isinstance(made, Sandbox):
        ways["process"] = bench.within(ProcessExecutor(made))
    host = await container_host.probe(socket, groups, folder, network="none")
    if isinstance(host, ContainerHost):
        fault = await host.try_image(podman.BASE)
        settings["container"] = fault or host.description
        if not fault:
            ways["container"] = bench.within(ContainerExecutor(host, {OFFER: podman.BASE}))
    else:
        settings["container"] = host.reason
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):  # the first two warm up
        for name, run in ways.items():
            taken = await run()
            if turn >= 2:
                took[name].append(taken)
    if isinstance(host, ContainerHost):
        await host.daemon.close()
    groups.close()
    figures: dict[str, float] = {}
    for name, times in took.items():
        figures[f"{name}_ms"] = yardstick.median(times)
        if name != "bare":
            over = [one - bare for one, bare in zip(times, took["bare"], strict=True)]
            figures[f"{name}_overhead_ms"] = yardstick.median(over)
            figures[f"{name}_overhead_p90_ms"] = yardstick.quantile(over, 0.9)
            yardstick.say(
                f"{name:<10} {figures[f'{name}_ms']:8.1f} ms, over the bare command {figures[f'{name}_overhead_ms']:.1f} ms "
                f"(at most {TARGETS_MS[name]:.0f})"
            )
        else:
            yardstick.say(f"{name:<10} {figures['bare_ms']:8.1f} ms")
    return figures, settings


def main() -> None:
    parser = yardstick.arguments(__doc__)
    parser.add_argument(
        "--socket", type=Path, help=f"a daemon that runs and has {podman.BASE}; else Podman is started"
    )
    parser.add_argument("--rounds", type=int, default=40, help="how often each way is gone, in turns")
    chosen = parser.parse_args()
    rounds = 5 if chosen.quick else chosen.rounds
    folder = Path(tempfile.mkdtemp(prefix="control-room-bench-"))
    folder.chmod(0o711)
    try:
        with contextlib.ExitStack() as stack:
            socket = chosen.socket
            if socket is not None:
                pass
            elif reason := podman.missing():
                yardstick.say(f"without containers: {reason}")
            else:
                service = stack.enter_context(podman.service(state.home() / "podman"))
                podman.base_image(service)
                socket = service.socket
            figures, settings = asyncio.run(measure(rounds, folder, socket))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bare = figures.pop("bare_ms")
    yardstick.report("executor", figures, {"bare": {"bare_ms": bare}}, settings)


if __name__ == "__main__":
    main()
