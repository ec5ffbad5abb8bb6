"""`python -m control_room_migration.trace`, in /job: where values of views and of written tables come from.

Runs when everything is applied: the schema is the one that is there, and views are read as Postgres has kept
them. What cannot be followed says so (see `runner.lineage`); nothing here can fail a migration.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from runner.lineage import sql
from runner.lineage.flow import Flow, Origin

SIDE_CHANNEL = ".control-room"
DEFAULT_SCHEMA = "public"


def main() -> int:
    """One tracing."""
    root = Path.cwd() / SIDE_CHANNEL
    asked = json.loads((root / "trace.json").read_text("utf-8"))
    schema = asked["schema"]
    views = {
        name: _form(sql.query(text, schema=schema, dialect="postgres"))
        for name, text in asked["views"].items()
    }
    written = [
        _form(flow)
        for text in asked["files"]
        for flow in sql.trace(text, schema=schema, dialect="postgres", default_schema=DEFAULT_SCHEMA)
        if flow.target is not None
    ]
    (root / "flows.json").write_text(json.dumps({"views": views, "written": written}), "utf-8")
    return 0


def _form(flow: Flow) -> dict[str, Any]:
    return {
        "target": flow.target,
        "operation": flow.operation,
        "reads": sorted(flow.reads),
        "columns": {
            name: {"origins": _origins(column.origins), "doubt": column.doubt}
            for name, column in flow.columns.items()
        },
        "influences": _origins(flow.influences),
        "doubts": list(flow.doubts),
    }


def _origins(origins: frozenset[Origin]) -> list[list[str]]:
    return [[it.dataset, it.field, it.kind.type, it.kind.subtype] for it in sorted(origins)]


if __name__ == "__main__":
    sys.exit(main())
