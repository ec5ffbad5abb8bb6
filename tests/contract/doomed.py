"""A runner that a test kills: it carries one attempt in a container, and says on stdout what its log says.

python -m tests.contract.doomed SOCKET FOLDER IMAGE
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from runner.dispatch.workspaces import Workspaces
from runner.executor import cgroup, container, container_host
from runner.executor.container import ContainerExecutor
from runner.executor.container_host import ContainerHost
from runner.executor.sandbox import NOBODY
from runner.model.command import Command, Limits
from tests.contract.conftest import MIB, Recorder, make_attempt

CODE = """
import pathlib, time
print("::progress 10 began", flush=True)
print("one", flush=True)
print("::value found 7", flush=True)
print("two", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.02)
print("three", flush=True)
pathlib.Path("outputs/a.txt").write_text("text")
"""


class Loud(Recorder):
    """Repeats each line."""

    def log(self, stream: str, line: str) -> None:
        print(line, flush=True)


async def main(socket: str, folder: str, image: str) -> None:
    """Run until killed."""
    container.TOLD_SECONDS = 0.05
    host = await container_host.probe(Path(socket), cgroup.detect(), Path(folder), network="none")
    assert isinstance(host, ContainerHost)
    executor = ContainerExecutor(host, {"code_validation/default": image})
    workspaces = Workspaces(Path(folder), (NOBODY, NOBODY))
    attempt = make_attempt()
    async with workspaces.open(attempt.key) as made:
        (made.root / "job.py").write_text(CODE)
        await workspaces.hand_over(made)
        command = Command(argv=("/usr/bin/python3", "job.py"), limits=Limits(memory_bytes=256 * MIB))
        await executor.run(attempt, replace(made, command=command), Loud())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
