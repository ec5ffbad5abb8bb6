"""A runner that a test kills while it makes a sandbox, on a machine without control groups.

python -m tests.contract.doomed_sandbox FOLDER COMMAND…
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from runner.dispatch.workspaces import Workspaces
from runner.executor import sandbox
from runner.executor.group import NoGroups
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.model.command import Command
from tests.contract.conftest import Recorder, make_attempt


async def main(folder: str, *argv: str) -> None:
    """Run until killed."""
    made = await sandbox.probe(NoGroups("for this test"), Path(folder))
    assert isinstance(made, Sandbox)
    attempt, workspaces = make_attempt(), Workspaces(Path(folder), made.owner)
    async with workspaces.open(attempt.key) as workspace:
        await workspaces.hand_over(workspace)
        print("starting", flush=True)
        await ProcessExecutor(made).run(attempt, replace(workspace, command=Command(argv=argv)), Recorder())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
