"""`scripts/demo`, as a newcomer calls it: the main job on a stack of its own, without a terminal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dev.stack.state import CLONE, SERVICES, home

SECONDS = 300


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A stack of its own, where the database's and the sandbox's users may read."""
    root = home() / "testbeds" / f"demo-{os.getpid()}"
    environment = {**os.environ, "CONTROL_ROOM_STACK_DIR": str(root)}
    for name in ("CONTROL_ROOM_TOKEN", "CONTROL_ROOM_EXECUTOR_SPARK_ETL", "COLUMNS"):
        environment.pop(name, None)
    yield environment
    subprocess.run([CLONE / "scripts" / "stack", "down"], env=environment, capture_output=True, check=False)
    shutil.rmtree(root, ignore_errors=True)


def test_the_demo_carries_the_main_job_to_its_end(surroundings: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [CLONE / "scripts" / "demo", "--out", tmp_path],
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks hold" in done.stdout
    assert "✗" not in done.stdout.replace("✗ FAILED", "")  # the job that is meant to fail
    assert "\x1b" not in done.stdout
    drawn = ElementTree.fromstring((tmp_path / "lineage.svg").read_text())
    titles = {it.text for it in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"bronze.flights", "silver.flights", "gold.delays"} <= titles
    status = subprocess.run(
        [CLONE / "scripts" / "stack", "status", "--json"],
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
    )
    services = json.loads(status.stdout)["services"]
    assert {services[name]["state"] for name in SERVICES} == {"stopped"}
