"""diagram_export from the command line: a Visio file up, its diagram and pictures down, an edge from one to the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.rescue.conftest import Room, room, stack_folder
from tests.acceptance.test_validation import download
from tests.unit.diagram_export import samples

__all__ = ["room", "stack_folder"]  # fixtures
CLONE = Path(__file__).resolve().parents[2]


@pytest.mark.needs("diagrams")
def test_a_visio_file_goes_up_and_its_diagram_comes_down(room: Room, tmp_path: Path) -> None:
    room.start_runner()
    (tmp_path / "plan.vsdx").write_bytes(samples.plan())
    (tmp_path / "bad.vsdx").write_bytes(samples.DAMAGED["macro.vsdx"][0]())

    def cli(name: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "CONTROL_ROOM_TOKEN": room.tokens["operator"],
            "PATH": os.environ["PATH"],
            **room.environment,
        }
        command = [
            str(Path(sys.executable).parent / "control-room"),
            "run",
            "--type",
            "diagram_export",
            "--json",
            "--wait",
        ]
        return subprocess.run(
            [*command, str(tmp_path / name)],
            env=environment,
            cwd=CLONE,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    done = cli("plan.vsdx")
    assert done.returncode == 0, done.stdout + done.stderr + room.log(0)[-3000:]
    run = room.ask("GET", f"/runs/{json.loads(done.stdout)['run_id']}")
    names = sorted(each["name"].rpartition("/")[2] for each in run["artifacts"])
    assert names == ["plan-1.png", "plan-1.svg", "plan-2.png", "plan-2.svg", "plan.drawio"]
    assert b"CURVED" in download(room, "plan.drawio", run)
    assert room.untold(run["run_id"]) == []
    edges = room.query(
        "select s.name, d.name, e.method from lineage.edges e join lineage.datasets s on s.id = e.src "
        "join lineage.datasets d on d.id = e.dst where e.run_id = %s",
        run["run_id"],
    )
    assert {(source, target.rpartition("/")[2], method) for source, target, method in edges} == {
        ("plan.vsdx", name, "artifact") for name in names
    }
    refused = cli("bad.vsdx")
    assert refused.returncode == 1
    assert "INPUT_INVALID" in refused.stdout + refused.stderr
