"""What the runner asks of the harness: `/job/.control-room/request.json`, read once and then gone.

It holds the key of the seal: whatever runs after `read` (tests of the code above all) must not find it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .finding import Level

SIDE_CHANNEL = ".control-room"


@dataclass(frozen=True)
class Request:
    """One validation. `root` is /job; `packed` names the artifact that the code came as, None when the
    files are laid out already; `seconds` is how long all of it may take; `odoo_engine` is where an Odoo is,
    None where there is none, and then `odoo_missing` says why."""

    root: Path
    key: bytes = field(repr=False)
    packed: str | None
    fail_on: Level
    accept_unchecked: frozenset[str]
    suppressions: str
    tests: str
    sql_dialect: str
    odoo: str
    seconds: float
    engine: Path
    odoo_engine: Path | None = None
    odoo_missing: str = ""

    @property
    def side_channel(self) -> Path:
        return self.root / SIDE_CHANNEL

    @property
    def source(self) -> Path:
        """The code as it was submitted."""
        return self.side_channel / "source"

    @property
    def checked(self) -> Path:
        """The code as static tools see it: without configuration, without orders to look away."""
        return self.side_channel / "checked"

    @property
    def honours_suppressions(self) -> bool:
        return self.suppressions == "honour"


def read(root: Path, engine: Path) -> Request:
    """The request of the workspace at `root`."""
    file = root / SIDE_CHANNEL / "request.json"
    form: dict[str, Any] = json.loads(file.read_text("utf-8"))
    file.unlink()
    return Request(
        root=root,
        key=bytes.fromhex(form["key"]),
        packed=form["packed"],
        fail_on=Level(form["fail_on"]),
        accept_unchecked=frozenset(form["accept_unchecked"]),
        suppressions=form["suppressions"],
        tests=form["tests"],
        sql_dialect=form["sql_dialect"],
        odoo=form["odoo"],
        seconds=float(form["seconds"]),
        engine=engine,
        odoo_engine=Path(form["odoo_engine"]) if form.get("odoo_engine") else None,
        odoo_missing=str(form.get("odoo_missing", "")),
    )
