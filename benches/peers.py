"""What others made, in environments of their own, so that both sides are measured in one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dev.stack.state import home


def environment(name: str, *requirements: str) -> Path:
    """The Python of an environment that holds these packages and nothing else; built when first asked for."""
    folder = home() / "peers" / name
    python = folder / "bin" / "python"
    stamp = folder / ".control-room-peer"
    wanted = "\n".join(requirements)
    if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
        print(f"  installs {', '.join(requirements)} into an environment of its own", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
            check=True,
        )
        stamp.write_text(wanted)
    return python


def version(python: Path, package: str) -> str:
    """What is installed there."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run([str(python), "-c", code, package], check=True, capture_output=True, text=True)
    return done.stdout.strip()
