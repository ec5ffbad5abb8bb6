"""A droplet: cloud-init sets a fresh Debian up, the unit runs as it is shipped, under a real systemd."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.stack.testbed import Database
from tests.acceptance import pages
from tests.contract.houses import PostgresHouse

CLONE = Path(__file__).resolve().parents[2]
FOLDER = CLONE / "deploy" / "droplet"
HEALTH = "http://127.0.0.1:9464/health"
UNIT = "control-room-runner.service"


def user_data(wheel: str) -> str:
    loader = SourceFileLoader("user_data", str(FOLDER / "user-data"))
    spec = importlib.util.spec_from_loader("user_data", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    made: str = module.user_data(wheel, "duckdb")
    return made


def test_the_user_data_has_every_file_and_no_secret() -> None:
    said = yaml.safe_load(user_data("/root/x.whl"))
    written = {each["path"]: each for each in said["write_files"]}

    assert written["/etc/systemd/system/control-room-runner.service"]["content"] == (
        (FOLDER / "control-room-runner.service").read_text()
    )
    assert written["/etc/control-room/runner.env"]["permissions"] == "0600"
    empty = [
        line
        for line in written["/etc/control-room/runner.env"]["content"].splitlines()
        if "KEY" in line or "URL=" in line
    ]
    assert [line for line in empty if not line.endswith("=")] == []
    assert all(isinstance(each, list | str) for each in said["runcmd"])


def test_the_unit_leaves_time_to_drain() -> None:
    unit = (FOLDER / "control-room-runner.service").read_text()
    drain = next(
        line.partition("=")[2]
        for line in (FOLDER / "runner.env").read_text().splitlines()
        if line.startswith("CONTROL_ROOM_DRAIN_SECONDS=")
    )
    (stop,) = (line.partition("=")[2] for line in unit.splitlines() if line.startswith("TimeoutStopSec="))

    assert float(drain) + 15 + 5 + 10 <= float(stop)  # runner.main: last writes, last callbacks


def built(source: Path, folder: Path) -> Path:
    """The wheel of a project, without what it needs."""
    argv = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run([sys.executable, *argv], check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(CLONE, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that does not start."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "runner").mkdir()
    (folder / "runner" / "__init__.py").touch()
    (folder / "runner" / "__main__.py").write_text("raise SystemExit('broken on purpose')\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "control-room"\nversion = "9.9.9"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["runner"]\n'
    )
    return built(folder, folder)


def state() -> dict[str, Any]:
    with urllib.request.urlopen(HEALTH, timeout=2) as answer:
        said: dict[str, Any] = json.load(answer)
        return said


def until_well(seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        try:
            return state()
        except OSError:
            assert time.monotonic() < end, "the runner is not well"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def droplet(wheel: Path, broken: Path) -> Iterator[Any]:
    from dev.droplet import machine  # noqa: PLC0415 - everyday runs have no use for it

    if reason := machine.lacking():
        pytest.skip(reason)
    names = {f"/root/{wheel.name}": wheel, f"/root/{broken.name}": broken}
    with machine.machine(user_data=user_data(f"/root/{wheel.name}"), files=names) as made:
        yield made


@pytest.mark.needs("droplet")
def test_a_droplet_from_its_user_data_to_a_release_and_back(
    droplet: Any, wheel: Path, broken: Path, database: Database
) -> None:
    house = PostgresHouse(database, database.add_tenant("acme"))

    there = {"https://downloads.example/control_room-0.2.0-py3-none-any.whl": f"/root/{wheel.name}"}
    first_look, start, release = pages.at("docs/operations.md", "droplet", there)
    restart, room_to_breathe = pages.at("docs/runbooks.md", "droplet")

    def types(block: str) -> str:
        said: str = droplet.run("bash", "-c", f"set -euo pipefail\n{block}", seconds=900)
        return said

    # cloud-init: what was written is what it takes, and it does it all
    droplet.write("/root/user-data.yaml", user_data(f"/root/{wheel.name}"))
    assert "Valid" in droplet.run("cloud-init", "schema", "--config-file", "/root/user-data.yaml")
    said = droplet.run("cloud-init", "status", "--wait", "--long", check=False, seconds=900)
    assert "status: done" in said, said + droplet.run("tail", "-40", "/var/log/cloud-init-output.log")
    assert "CONTROL_ROOM_DATABASE_URL=" in types(first_look)
    assert droplet.run("systemctl", "is-enabled", UNIT).strip() == "enabled"
    assert "SystemMaxUse=1G" in droplet.run("systemd-analyze", "cat-config", "systemd/journald.conf")
    assert "Fail" not in droplet.run("systemd-analyze", "verify", UNIT, check=False)

    # filled in, it is ready when it says so
    droplet.write(
        "/etc/control-room/runner.env",
        f"CONTROL_ROOM_DATABASE_URL={database.runner}\nCONTROL_ROOM_SUPABASE_URL=http://127.0.0.1:1\n"
        f"CONTROL_ROOM_MASTER_KEY={database.secrets.master_key}\nCONTROL_ROOM_DRAIN_SECONDS=60\n",
    )
    assert '"spark_etl/duckdb"' in types(start)
    first = until_well()
    pid = droplet.run("systemctl", "show", "-p", "MainPID", "--value", UNIT).strip()
    status = dict(
        line.split(":\t", 1)
        for line in droplet.run("cat", f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    assert (status["NoNewPrivs"], status["Seccomp"], status["CapBnd"].strip("0")) == ("1", "2", "")
    assert status["Uid"].split()[0] != "0"

    # the sandbox works inside of all that
    assert first["sandbox"]["mechanism"] == "bubblewrap", first["sandbox"]
    assert "spark_etl/duckdb" in first["offers"]
    look = "import os, socket\nprint(sorted(os.listdir('/job')), os.getuid(), os.listdir('/proc')[:0])\n"
    run = house.run(job_type="spark_etl", code={"files": {"job.py": look}}, max_retries=0)
    done = house.until(run, "SUCCEEDED", "FAILED", seconds=60)
    assert done["state"] == "SUCCEEDED", (done["termination_message"], house.logs(run))

    # a new version while work is under way: it ends where it began, once
    said = droplet.run("control-room-release", f"/root/{wheel.name}")
    assert " is well" in said
    second = until_well()["instance"]
    assert second != first["instance"]
    slow = "import time\nprint('begun', flush=True)\ntime.sleep(8)\n"
    working = house.run(job_type="spark_etl", code={"files": {"job.py": slow}}, max_retries=0)
    house.wait(lambda: ("stdout", "begun") in house.logs(working), 60)
    assert " is well" in droplet.run("control-room-release", "--back")
    later = house.run(job_type="spark_etl", code={"files": {"job.py": look}}, max_retries=0)
    ended = [house.until(each, "SUCCEEDED", "FAILED", seconds=60)["state"] for each in (working, later)]
    assert ended == ["SUCCEEDED"] * 2
    assert house.sql(
        "select number, lease, state::text from queue.past_attempts where run_id = %s", working
    ) == [(1, 1, "SUCCEEDED")]
    third = until_well()["instance"]
    assert third != second

    # as the pages say it: a release and back, a restart, and what takes the disk
    said = types(release)
    assert said.count(" is well") == 2, said
    assert "asked_to_stop" in types(restart) or until_well()["instance"] != third
    assert "journals take up" in types(room_to_breathe)
    third = until_well()["instance"]

    # one that does not start is gone back from
    said = droplet.run("control-room-release", f"/root/{broken.name}", "--patience", "90", check=False)
    assert "broken on purpose" in said
    assert "runs again" in said
    assert until_well()["instance"] != third
    assert "9.9.9" not in droplet.run("control-room-release", "--list")

    # killed, it is there again
    fourth = state()["instance"]
    droplet.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT)
    house.wait(lambda: until_well()["instance"] != fourth, 60)
