"""What is shown: the flights example, and what is asked of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_room.errors import ControlRoomError
from dev.stack.state import CLONE

FOLDER = CLONE / "examples" / "flights"

QUESTION = "Which airports make their travellers wait, and how far do they fly from there?"
SPEC = (
    "Take flights and airports into bronze as they come. In silver give them types, drop what cannot be, and"
    " put the airports' names to each flight. In gold say for each airport of origin how many flights leave,"
    " how late, and how far they go. Leave the ten worst behind as a report."
)
FAILING_SPEC = "A job with a mistake in it: shows what its author sees."


@dataclass(frozen=True)
class Table:
    """A table that the job makes; its output is called `<layer>_<name>`."""

    layer: str
    name: str

    @property
    def full(self) -> str:
        return f"{self.layer}.{self.name}"


GOLD = Table("gold", "delays")
TABLES = (Table("bronze", "flights"), Table("bronze", "airports"), Table("silver", "flights"), GOLD)
REPORT = "report"
#: The gold table's own order of its rows.
ORDER = "rank"


def fetch() -> dict[str, Path]:
    """The public data out of a registry package, by the example's own script: input name -> file."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "fetch.py")],
        cwd=CLONE,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
        raise ControlRoomError(reason[0].removeprefix("error: "), "is the npm registry in reach?")
    files = [Path(line) for line in done.stdout.splitlines()]
    return {path.stem.split("-")[0]: path for path in files}


def outputs() -> list[dict[str, str]]:
    return [
        *({"name": f"{it.layer}_{it.name}", "layer": it.layer, "table": it.name} for it in TABLES),
        {"name": REPORT, "kind": "report"},
    ]


def code(file: str) -> dict[str, Any]:
    return {"files": {"job.py": (FOLDER / file).read_text(encoding="utf-8")}}
