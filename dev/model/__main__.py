"""python -m dev.model --script FILE [--port N]: prints its base URL, then serves until it is ended."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from dev.model.script import Script
from dev.model.server import ScriptedModel

parser = argparse.ArgumentParser(prog="dev.model", description=__doc__)
parser.add_argument("--script", type=Path, required=True)
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--key", help="refuse every other key with 401")
chosen = parser.parse_args()
model = ScriptedModel(Script.read(chosen.script), chosen.port, chosen.key)
print(model.url, flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
