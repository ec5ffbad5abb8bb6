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

QUESTION = "From which states do flights leave late?"
SPEC = (
    "Bring flights and airports into bronze as they come, clean and join them in silver, and answer in gold,"
    " state by state, how many flights leave, how late on average, and how many of them by more than 15"
    " minutes. Leave a report behind that one can read."
)
FAILING_SPEC = "The same, of a file that is not there: shows what a user sees when a job fails."


@dataclass(frozen=True)
class Table:
    name: str
    layer: str

    @property
    def full(self) -> str:
        return f"{self.layer}.{self.name}"


BRONZE = (Table("flights", "bronze"), Table("airports", "bronze"))
SILVER = (Table("flights_enriched", "silver"),)
GOLD = Table("delays_by_state", "gold")
REPORT = "report"


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
        raise ControlRoomError(
            f"the public data cannot be fetched: {reason[0]}", "is the npm registry in reach?"
        )
    return {
        path.stem.split("-")[0]: path for line in done.stdout.splitlines() if (path := Path(line)).is_file()
    }


def outputs() -> list[dict[str, str]]:
    return [
        *({"name": it.name, "layer": it.layer, "table": it.name} for it in (*BRONZE, *SILVER, GOLD)),
        {"name": REPORT, "kind": "report"},
    ]


def code(file: str) -> dict[str, Any]:
    return {"files": {"job.py": (FOLDER / file).read_text(encoding="utf-8")}}
