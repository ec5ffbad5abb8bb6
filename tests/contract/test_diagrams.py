"""diagram_export as it runs: draw.io's own importer in a real Chromium, in the real sandbox; LibreOffice beside it.

Needs `scripts/setup --engines diagrams`.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dev.stack import state
from runner.dispatch.handover import Handover
from runner.dispatch.workspaces import Workspaces
from runner.executor.process import ProcessExecutor
from runner.executor.sandbox import Sandbox
from runner.jobtype.base import Place
from runner.jobtype.diagram_export import DiagramExport
from runner.jobtype.diagram_export.harness import mxfile, opening
from runner.model.attempt import Input
from runner.model.errors import Failure
from runner.model.outcome import Outcome, PermanentFailure, Succeeded, failed
from runner.model.termination import TerminationCode
from tests.contract.conftest import Recorder, Shelf, make_attempt
from tests.unit.diagram_export import samples

pytestmark = pytest.mark.needs("diagrams")


@dataclass
class Studio:
    """Exports, and keeps what came out."""

    executor: ProcessExecutor
    job_type: DiagramExport
    workspaces: Workspaces
    shelf: Shelf
    recorder: Recorder

    async def export(self, files: dict[str, bytes], **params: Any) -> Outcome:
        inputs = tuple(Input(name=name, artifact_id="0", artifact_name=f"uploads/{name}") for name in files)
        attempt = make_attempt(
            job_type="diagram_export", inputs=inputs, params=params, timeout_seconds=240, name="export"
        )
        self.shelf.stored = {}
        self.recorder = Recorder()
        async with self.workspaces.open(attempt.key) as workspace:
            for name, data in files.items():
                (workspace.inputs / name).write_bytes(data)
            command = self.job_type.prepare(attempt, workspace)
            await self.workspaces.hand_over(workspace)
            prepared = replace(workspace, command=command)
            outcome = await self.executor.run(attempt, prepared, self.recorder)
            handover = Handover(None, None, self.shelf)  # type: ignore[arg-type]  # no tables here
            try:
                return await handover.complete(attempt, self.job_type, prepared, outcome)
            except Failure as failure:
                return failed(failure)


@pytest.fixture
def studio(made_sandbox: Sandbox, folder: Path) -> Studio:
    job_type = DiagramExport(Place(Path(os.environ.get("CONTROL_ROOM_ENGINES") or state.home() / "engines")))
    (readiness,) = job_type.readiness()
    if not readiness.ready:
        pytest.skip(readiness.reason)
    work = folder / "work"
    work.mkdir()
    work.chmod(0o711)
    return Studio(
        ProcessExecutor(made_sandbox), job_type, Workspaces(work, made_sandbox.owner), Shelf(), Recorder()
    )


async def test_a_visio_file_becomes_a_diagram_and_a_picture_of_each_page(studio: Studio) -> None:
    outcome = await studio.export({"plan.vsdx": samples.plan()})

    assert isinstance(outcome, Succeeded), (outcome, studio.recorder.lines)
    assert set(studio.shelf.stored) == {"plan.drawio", "plan-1.svg", "plan-1.png", "plan-2.svg", "plan-2.png"}
    pages = mxfile.read(studio.shelf.stored["plan.drawio"].decode())
    assert [(page.name, sorted(page.labels)) for page in pages] == [
        ("Flow", ["CURVED", "ORDERS", "PAYMENTS", "STRAIGHT"]),
        ("Second page", ["ALONE"]),
    ]
    (told,) = outcome.values["diagrams"]
    assert told["mended"] == {"labels": 2, "curves": 1}
    # labels of connectors are drawn, not only kept
    assert all(
        word in studio.shelf.stored["plan-1.svg"].decode() for word in ("STRAIGHT", "CURVED", "ORDERS")
    )
    assert studio.recorder.progressed[-1][0] == 95


async def test_each_output_comes_from_its_own_input(studio: Studio) -> None:
    outcome = await studio.export(
        {"plan.vsdx": samples.plan(), "hello.drawio": samples.DRAWIO.encode()}, formats=["drawio", "svg"]
    )

    assert isinstance(outcome, Succeeded), (outcome, studio.recorder.lines)
    edges = {
        (event["inputs"][0]["name"], event["outputs"][0]["name"].rpartition("/")[2])
        for event in outcome.lineage
    }
    assert edges == {
        ("uploads/plan.vsdx", "plan.drawio"), ("uploads/plan.vsdx", "plan-1.svg"), ("uploads/plan.vsdx", "plan-2.svg"),
        ("uploads/hello.drawio", "hello.drawio"), ("uploads/hello.drawio", "hello-1.svg"), ("uploads/hello.drawio", "hello-2.svg"),
    }  # fmt: skip
    assert "Hello" in studio.shelf.stored["hello-1.svg"].decode()
    assert "inside" in studio.shelf.stored["hello-2.svg"].decode()


async def test_what_is_drawn_looks_as_libreoffice_draws_it(studio: Studio) -> None:
    outcome = await studio.export({"plan.vsdx": samples.plan()}, reference=True, formats=["png"])

    assert isinstance(outcome, Succeeded), (outcome, studio.recorder.lines)
    assert outcome.values["diagrams"][0]["warnings"] == []
    ours = Picture.read(studio.shelf.stored["plan-1.png"])
    theirs = Picture.read(studio.shelf.stored["plan-1.reference.png"])
    # of 60 by 30 fields, those that hold something; strokes may fall into the neighbour
    apart = ours.apart_from(theirs)
    straight = await studio.export({"plan.vsdx": samples.visio(samples.Sheet("Flow", (
        samples.box(1, 2, 6, "ORDERS"), samples.box(2, 8, 3, "PAYMENTS"), samples.line(4, (2, 5.5), (7, 3), ""),
    )))}, formats=["png"])  # fmt: skip
    assert isinstance(straight, Succeeded)
    control = Picture.read(studio.shelf.stored["plan-1.png"]).apart_from(theirs)

    assert apart < 0.04, f"{apart:.1%} of what is drawn is elsewhere"
    # a picture without the labels and the curve is seen to be another one
    assert control > 3 * apart


async def test_the_same_file_is_drawn_the_same_and_asks_nobody(studio: Studio) -> None:
    first = await studio.export({"plan.vsdx": samples.plan()})
    kept = dict(studio.shelf.stored)
    second = await studio.export({"plan.vsdx": samples.plan()})

    assert isinstance(first, Succeeded)
    assert isinstance(second, Succeeded)
    assert studio.shelf.stored == kept


async def test_a_file_that_is_no_diagram_ends_the_run_with_its_reason(studio: Studio) -> None:
    said = {}
    for name, (data, why) in samples.DAMAGED.items():
        outcome = await studio.export({name: data()})
        assert isinstance(outcome, PermanentFailure), (name, outcome)
        assert why in outcome.message
        assert name in outcome.message
        said[name] = outcome.code
    broken = await studio.export({"old.vsd": opening.OLE + b"\0" * 4096 + opening.VSD_STREAM})
    nothing = await studio.export({"empty.vsdx": samples.visio(samples.Sheet("a"))})

    assert set(said.values()) == {TerminationCode.INPUT_INVALID}
    assert isinstance(broken, PermanentFailure)
    assert broken.code is TerminationCode.INPUT_INVALID
    # an empty page is a page
    assert isinstance(nothing, Succeeded), nothing


async def test_real_files_of_old_visios_are_drawn(studio: Studio) -> None:
    """Nothing that may be copied here writes .vsd, so the files are given: libvisio keeps some in
    src/test/data, of Visio 5, 6 and 11; Apache POI in test-data/diagram."""
    given = os.environ.get("CONTROL_ROOM_VSD_SAMPLES")
    if not given:
        pytest.skip("needs a folder of .vsd files, named by CONTROL_ROOM_VSD_SAMPLES")
    drawn = 0
    for file in sorted(Path(given).glob("*.vsd")):  # noqa: ASYNC240 - a few names
        outcome = await studio.export({"old.vsd": file.read_bytes()}, formats=["svg", "png"])
        if isinstance(outcome, PermanentFailure):  # among samples there are broken ones
            assert outcome.code is TerminationCode.INPUT_INVALID, (file.name, outcome)
            continue
        assert isinstance(outcome, Succeeded), (file.name, outcome)
        (told,) = outcome.values["diagrams"]
        assert len(studio.shelf.stored) == 2 * len(told["pages"]), file.name
        drawn += 1

    assert drawn > 0


HOSTILE = """<mxfile><diagram name="a"><mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/>
<mxCell id="2" value="&lt;img src=x onerror=&quot;document.title='owned';fetch('http://169.254.169.254/')&quot;&gt;&lt;script&gt;fetch('http://127.0.0.1/')&lt;/script&gt;TEXT"
 style="html=1;image=file:///etc/passwd;shape=image;" vertex="1" parent="1"><mxGeometry x="1" y="1" width="100" height="50" as="geometry"/></mxCell>
</root></mxGraphModel></diagram></mxfile>"""


async def test_a_hostile_diagram_reaches_neither_files_nor_the_network(studio: Studio) -> None:
    outcome = await studio.export({"evil.drawio": HOSTILE.encode()})

    assert isinstance(outcome, Succeeded), outcome
    drawn = studio.shelf.stored["evil-1.svg"].decode()
    assert "root:" not in drawn
    assert "onerror" not in drawn
    assert "<script" not in drawn


@dataclass(frozen=True)
class Picture:
    """A PNG as rows of darkness, 0 (white) to 255."""

    rows: list[list[int]]

    @classmethod
    def read(cls, data: bytes) -> Picture:
        assert data.startswith(b"\x89PNG")
        at, packed, width, channels = 8, b"", 0, 3
        while at < len(data):
            (size,) = struct.unpack(">I", data[at : at + 4])
            kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
            if kind == b"IHDR":
                width, _, depth, colour = struct.unpack(">IIBB", body[:10])
                assert (depth, colour) in ((8, 2), (8, 6))
                channels = 4 if colour == 6 else 3
            elif kind == b"IDAT":
                packed += body
            at += 12 + size
        raw, length = zlib.decompress(packed), width * channels
        before, rows = bytearray(length), []
        for start in range(0, len(raw), length + 1):
            line = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + length]), before, channels)
            rows.append([255 - min(line[i : i + 3]) for i in range(0, length, channels)])
            before = line
        return cls(rows)

    def fields(self, across: int = 60, down: int = 30) -> set[tuple[int, int]]:
        """Where something is drawn, in a grid over what is drawn at all."""
        dark = [(x, y) for y, row in enumerate(self.rows) for x, value in enumerate(row) if value > 100]
        left, top = min(x for x, _ in dark), min(y for _, y in dark)
        width, height = max(x for x, _ in dark) - left + 1, max(y for _, y in dark) - top + 1
        return {((x - left) * across // width, (y - top) * down // height) for x, y in dark}

    def apart_from(self, other: Picture) -> float:
        """The share of fields of either whose neighbourhood in the other is empty."""
        ours, theirs = self.fields(), other.fields()
        lonely = sum(not _near(field, theirs) for field in ours) + sum(
            not _near(field, ours) for field in theirs
        )
        return lonely / (len(ours) + len(theirs))


def _near(field: tuple[int, int], fields: set[tuple[int, int]]) -> bool:
    x, y = field
    return any((x + dx, y + dy) in fields for dx in (-1, 0, 1) for dy in (-1, 0, 1))


def _unfiltered(kind: int, line: bytearray, above: bytearray, step: int) -> bytearray:
    """One row of a PNG, https://www.w3.org/TR/png/#9Filters."""
    for i in range(len(line)):
        a = line[i - step] if i >= step else 0
        b = above[i]
        c = above[i - step] if i >= step else 0
        match kind:
            case 1:
                line[i] = (line[i] + a) & 255
            case 2:
                line[i] = (line[i] + b) & 255
            case 3:
                line[i] = (line[i] + (a + b) // 2) & 255
            case 4:
                p = a + b - c
                near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                line[i] = (line[i] + near) & 255
            case _:
                pass
    return line
