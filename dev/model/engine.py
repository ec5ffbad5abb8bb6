"""The engine `continue` without Continue: laid out as `scripts/setup --engines continue` does it, with the
double (`cn`) where Node and the CLI would be. Small enough to be made by each test.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from dev.model import cn

PYTHON = Path("/usr/bin/python3")
#: It stands where Node does, and runs what it is given as Node would.
_NODE = f'#!/bin/sh\nexec {PYTHON} -B -I "$@"\n'


def lay_out(engines: Path) -> Path:
    """The environment below a folder of engines."""
    made = environment(engines / "continue")
    node = made / "bin" / "node"
    node.write_text(_NODE)
    node.chmod(0o755)
    program = made / "node_modules" / "@continuedev" / "cli" / "dist" / "cn.js"
    program.parent.mkdir(parents=True)
    shutil.copyfile(cn.__file__, program)
    return made


def environment(folder: Path) -> Path:
    """An environment with this system's Python and nothing else."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(PYTHON)
    (folder / "pyvenv.cfg").write_text(f"home = {PYTHON.parent}\n")
    return folder
