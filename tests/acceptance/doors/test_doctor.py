"""`control-room doctor` on a real project without a runner: that one is missing, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from tests.acceptance.doors.conftest import Doors

CLONE = Path(__file__).resolve().parents[3]


def test_what_is_missing_is_named_and_nothing_else(doors: Doors, tmp_path: Path) -> None:
    made = doors.access_token()
    with psycopg.connect(doors.environment["DATABASE_URL"], autocommit=True) as db:
        # other tests have claimed as a runner, and not said farewell
        db.execute("update queue.runners set stopped_at = clock_timestamp() where stopped_at is null")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SUPABASE_URL": doors.supabase,
        "SUPABASE_ANON_KEY": doors.environment["SUPABASE_ANON_KEY"],
        "CONTROL_ROOM_TOKEN": made["token"],
        "CONTROL_ROOM_DOCTOR_DATABASE_URL": doors.environment["DATABASE_URL"],
    }

    done = subprocess.run(
        [CLONE / ".venv" / "bin" / "control-room", "doctor", "--json"],
        env=environment, cwd=CLONE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {it["check"]: it for it in json.loads(done.stdout)}

    assert done.returncode == 1
    assert {name: it["state"] for name, it in found.items() if it["state"] != "ok"} == {"runners": "fail"}
    assert found["token at both doors"]["state"] == "ok"  # exchanged for a JWT that the Data API takes
    assert found["migrations"]["said"].endswith("are applied, and unchanged")
