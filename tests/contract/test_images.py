"""Images made from the recipes of deploy/images, and job types as they run in them.

Needs `scripts/test --with container`; the first time builds for minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dev import podman as dev_podman
from dev.podman import Podman
from runner.executor import ownership
from runner.executor.container import ContainerExecutor
from runner.executor.container_host import ContainerHost
from runner.executor.sandbox import NOBODY
from runner.jobtype.base import Exit, JobType, Place
from runner.jobtype.code_validation import CodeValidation
from runner.jobtype.diagram_export import DiagramExport
from runner.jobtype.kb_catalog import KbCatalog
from runner.jobtype.spark_etl import SparkEtl
from runner.model.attempt import Attempt, Code, Input
from runner.model.collected import Collected
from runner.model.outcome import Succeeded
from runner.model.workspace import Workspace
from tests.contract import test_odoo_modules as modules
from tests.contract.conftest import Recorder, make_attempt
from tests.unit.code_validation import samples
from tests.unit.diagram_export import samples as diagrams
from tests.unit.kb_catalog.papers import pdf
from tests.unit.spark_etl.conftest import FLIGHTS, FLIGHTS_OUTPUTS, Bench, flights

__all__ = ["flights"]
pytestmark = pytest.mark.needs("container")
IMAGE = Place(None, image=True)


async def carried(
    host: ContainerHost, image: str, job_type: JobType, attempt: Attempt, workspace: Workspace
) -> tuple[Collected, Recorder]:
    """What comes out of an attempt in a container of this image."""
    command = job_type.prepare(attempt, workspace)
    for folder, folders, files in os.walk(workspace.root):
        for name in (".", *folders, *files):
            os.chown(os.path.join(folder, name), NOBODY, NOBODY)
    recorder = Recorder()
    assert await host.try_image(image) == ""
    executor = ContainerExecutor(host, {attempt.requires: image})
    outcome = await executor.run(attempt, replace(workspace, command=command), recorder)
    assert isinstance(outcome, Succeeded), (outcome, recorder.lines)
    return job_type.collect(attempt, workspace, Exit(0)), recorder


async def test_the_example_runs_in_an_image_of_its_recipe(
    podman: Podman, host: ContainerHost, folder: Path, flights: Callable[[], dict[str, str]]
) -> None:
    image = await asyncio.to_thread(dev_podman.job_image, podman, "spark_etl", ENGINE="duckdb")
    bench = Bench(Path("/nonexistent"), "duckdb", folder / ownership.own_name())
    attempt, workspace = bench.lay_out(
        (FLIGHTS / "job.py").read_text(), files=flights(), outputs=FLIGHTS_OUTPUTS
    )
    collected, recorder = await carried(host, image, SparkEtl(IMAGE), attempt, workspace)

    assert [(t.layer, t.table, t.rows) for t in collected.tables] == [
        ("bronze", "flights", 120),
        ("bronze", "airports", 3),
        ("silver", "flights", 120),
        ("gold", "delays", 2),
    ]
    assert collected.values["lineage"] == {"events": 6, "confidence": "high"}
    assert [percent for percent, _ in recorder.progressed] == [5, 35, 70, 90, 100]


async def test_code_is_validated_in_an_image_of_its_recipe(
    podman: Podman, host: ContainerHost, folder: Path
) -> None:
    image = await asyncio.to_thread(dev_podman.job_image, podman, "code_validation")
    bench = Bench(Path("/nonexistent"), "default", folder / ownership.own_name())
    _, workspace = bench.lay_out({})
    attempt = make_attempt(code=Code(files=dict(samples.BAD)), timeout_seconds=240)
    collected, _ = await carried(host, image, CodeValidation(IMAGE), attempt, workspace)
    report = json.loads((workspace.outputs / "report.sarif").read_text())

    assert collected.failure is not None
    assert {"ruff", "mypy", "bandit", "semgrep"} <= {
        each["tool"]["driver"]["name"] for each in report["runs"]
    }


@pytest.mark.needs("odoo")
async def test_modules_are_installed_and_tested_in_an_image_with_an_odoo(
    podman: Podman, host: ContainerHost, folder: Path
) -> None:
    image = await asyncio.to_thread(dev_podman.job_image, podman, "code_validation", ODOO="yes")
    told = {}
    for total in ("4.0", "5.0"):
        bench = Bench(Path("/nonexistent"), "default", folder / ownership.own_name() / total)
        _, workspace = bench.lay_out({})
        files = {**modules.GOOD, "shop/tests/test_thing.py": modules.TEST.replace("4.0", total)}
        attempt = make_attempt(code=Code(files=files), params={"odoo": "install"}, timeout_seconds=500)
        collected, _ = await carried(host, image, CodeValidation(IMAGE), attempt, workspace)
        summary = json.loads((workspace.outputs / "summary.json").read_text())
        told[total] = (summary["verdict"], summary["unchecked"], collected.failure is None)

    assert told == {"4.0": ("passed", [], True), "5.0": ("failed", [], False)}


async def test_documents_are_catalogued_in_an_image_of_its_recipe(
    podman: Podman, host: ContainerHost, folder: Path
) -> None:
    image = await asyncio.to_thread(dev_podman.job_image, podman, "kb_catalog")
    bench = Bench(Path("/nonexistent"), "default", folder / ownership.own_name())
    _, workspace = bench.lay_out({})
    papers = {
        "guide.md": b"# Guide\n\nHow to begin.",
        "sheet.pdf": pdf("The second paper", title="Sheet"),
        "page.html": b"<title>Page</title><p>Third",
    }
    for name, data in papers.items():
        (workspace.inputs / name).write_bytes(data)
    attempt = make_attempt(
        job_type="kb_catalog", inputs=tuple(Input(name=name, artifact_id="0") for name in papers)
    )
    collected, _ = await carried(host, image, KbCatalog(IMAGE), attempt, workspace)

    assert collected.entries is not None
    assert {(each.key, each.title, each.problem) for each in collected.entries} == {
        ("guide.md", "Guide", None),
        ("sheet.pdf", "Sheet", None),
        ("page.html", "Page", None),
    }


async def test_a_diagram_is_exported_in_an_image_of_its_recipe(
    podman: Podman, host: ContainerHost, folder: Path
) -> None:
    image = await asyncio.to_thread(dev_podman.job_image, podman, "diagram_export")
    bench = Bench(Path("/nonexistent"), "default", folder / ownership.own_name())
    _, workspace = bench.lay_out({})
    (workspace.inputs / "plan.vsdx").write_bytes(diagrams.plan())
    attempt = make_attempt(
        job_type="diagram_export",
        inputs=(Input(name="plan.vsdx", artifact_id="0"),),
        params={"reference": True},
        timeout_seconds=240,
    )
    collected, _ = await carried(host, image, DiagramExport(IMAGE), attempt, workspace)

    # draw.io drew it, and LibreOffice beside it
    drawn = {f"plan-{page}.{kind}" for page in (1, 2) for kind in ("svg", "png")}
    assert {each.name.rpartition("/")[2] for each in collected.artifacts} >= {"plan.drawio", *drawn}
    assert b"CURVED" in (workspace.outputs / "plan-1.svg").read_bytes()
    (told,) = collected.values["diagrams"]
    assert told["mended"] == {"labels": 2, "curves": 1}
    assert any("reference" in each.name for each in collected.artifacts)
