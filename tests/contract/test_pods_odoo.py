"""Modules of Odoo, installed and tested in pods: a Postgres and an Odoo in a container of a real cluster.

Needs `scripts/setup --with kubernetes --engines validation,odoo` (as root); runs with `--with kubernetes,odoo`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster import image, plane
from dev.cluster.plane import Plane
from dev.stack.errors import StackError
from runner.executor.kubernetes.manifest import Placement
from runner.jobtype.base import Exit, Place
from runner.jobtype.code_validation import CodeValidation
from runner.model.attempt import Code
from runner.model.outcome import Succeeded
from tests.contract import test_odoo_modules as modules
from tests.contract.conftest import make_attempt
from tests.contract.pods import ParcelDoor, PodPieces, workbench

pytestmark = pytest.mark.needs("kubernetes", "odoo")
SECONDS = 900
JOB = CodeValidation(Place(None, image=True))


async def judged(bench: PodPieces, files: dict[str, str]) -> tuple[str, list[str], bool]:
    """What a pod says of a module: its verdict, what it could not check, and whether the attempt is well."""
    workspace = bench.workspace()
    attempt = make_attempt(code=Code(files=files), params={"odoo": "install"}, timeout_seconds=SECONDS)
    command = JOB.prepare(attempt, workspace)
    play = bench.start(workspace, attempt, command)
    async with asyncio.timeout(SECONDS):
        outcome = await play.task
    assert isinstance(outcome, Succeeded), (outcome, play.reporter.lines)
    collected = JOB.collect(attempt, play.workspace, Exit(0))
    summary = json.loads((play.workspace.outputs / "summary.json").read_text())
    return summary["verdict"], summary["unchecked"], collected.failure is None


async def test_modules_are_installed_and_tested_in_a_pod_with_an_odoo(
    cluster_plane: Plane, parcel_door: ParcelDoor, placement: Placement, folder: Path
) -> None:
    try:
        name, archive = await asyncio.to_thread(image.archive, "odoo")
    except StackError as error:
        pytest.skip(str(error))
    await asyncio.to_thread(plane.load, cluster_plane, archive)
    changed = replace(placement, images={"": name})
    told = {}
    async with workbench(cluster_plane, parcel_door, changed, folder) as bench:
        for total in ("4.0", "5.0"):
            files = {**modules.GOOD, "shop/tests/test_thing.py": modules.TEST.replace("4.0", total)}
            told[total] = await judged(bench, files)

    assert told == {"4.0": ("passed", [], True), "5.0": ("failed", [], False)}
