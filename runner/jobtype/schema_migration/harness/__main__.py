"""`python -m control_room_migration`, in /job: files in, `.control-room/plan.json` out. Exits 0 whatever was
found; 65 when there is nothing to read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import dangers, grammar, places

REFUSED = 65
SIDE_CHANNEL = ".control-room"


def main() -> int:
    """One reading."""
    root = Path.cwd()
    request = json.loads((root / SIDE_CHANNEL / "request.json").read_text("utf-8"))
    found = places.ordered(root, request["files"])
    if not found:
        return _refuse(root, "there is no .sql file in the code")
    scene = dangers.Scene()
    files = [grammar.read(name, (root / name).read_bytes().decode("utf-8")) for name in found]
    for each in files:
        scene.enter(each)
    findings = [finding for each in files for finding in scene.look(each)]
    plan = {
        "files": [each.form() for each in files],
        "findings": [*(f for each in files for f in each.faults), *findings],
    }
    (root / SIDE_CHANNEL / "plan.json").write_text(json.dumps(plan), "utf-8")
    print(f"{len(files)} files, {sum(len(each.statements) for each in files)} statements")
    return 0


def _refuse(root: Path, why: str) -> int:
    (root / SIDE_CHANNEL / "refused.json").write_text(json.dumps(why), "utf-8")
    print(f"control room: {why}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main())
