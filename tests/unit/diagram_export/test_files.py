"""What is let in, and what is put back: the parts of diagram_export that need no browser."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from runner.jobtype.diagram_export.harness import curve, mending, mxfile, opening
from tests.unit.diagram_export import samples

IMPORTED = """<mxfile><diagram name="Flow"><mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/>
<UserObject label="ORDERS" id="2"><mxCell style="overflow=width;vsdxID=1;" vertex="1" parent="1"/></UserObject>
<UserObject label="STRAIGHT" id="3"><mxCell style="vsdxID=3;edgeStyle=none;overflow=width;" edge="1" parent="1">
<mxGeometry relative="1" as="geometry"><Array as="points"/></mxGeometry></mxCell></UserObject>
<UserObject label="CURVED" id="4"><mxCell style="vsdxID=4;overflow=width;html=1;" edge="1" parent="1">
<mxGeometry relative="1" as="geometry"><Array as="points"/></mxGeometry></mxCell></UserObject>
</root></mxGraphModel></diagram></mxfile>"""


def read(data: bytes) -> None:
    source = opening.read(data)
    if isinstance(source, opening.Drawio):
        mxfile.read(source.text)


@pytest.mark.parametrize("name", list(samples.DAMAGED))
def test_a_file_that_is_no_diagram_is_refused_and_told_why(name: str) -> None:
    data, why = samples.DAMAGED[name]
    with pytest.raises(opening.Refused, match=why):
        read(data())


def test_a_file_is_what_its_bytes_are() -> None:
    assert isinstance(opening.read(samples.plan()), opening.Visio)
    assert isinstance(opening.read(b"\xef\xbb\xbf" + samples.DRAWIO.encode()), opening.Drawio)
    assert isinstance(opening.read(opening.OLE + b"\0" * 512 + opening.VSD_STREAM), opening.Old)
    with pytest.raises(opening.Refused, match="none of Visio"):
        opening.read(opening.OLE + b"\0" * 512)


def test_labels_of_connectors_come_back_and_those_of_shapes_are_left_alone() -> None:
    source = opening.read(samples.plan())
    assert isinstance(source, opening.Visio)
    pages = mxfile.read(IMPORTED)
    mended = mending.mend(pages, source)

    assert mended == mending.Mended(labels=2, curves=1)
    assert [edge.get("style") for edge in pages[0].edges] == [
        "vsdxID=3;edgeStyle=none;",
        "vsdxID=4;html=1;curved=1;",
    ]
    assert [vertex.get("style") for vertex in pages[0].vertices] == ["overflow=width;vsdxID=1;"]


def test_a_curved_connector_runs_where_visio_draws_it() -> None:
    source = opening.read(samples.plan())
    assert isinstance(source, opening.Visio)
    pages = mxfile.read(IMPORTED)
    mending.mend(pages, source)
    points = [(float(p.get("x", "")), float(p.get("y", ""))) for p in pages[0].edges[1].iter("mxPoint")]
    inches = [
        (x / mending.PIXELS_PER_INCH, samples.PAGE_HEIGHT - y / mending.PIXELS_PER_INCH) for x, y in points
    ]

    assert len(inches) == mending.STEPS
    # it begins downwards below ORDERS and ends to the right, left of PAYMENTS
    assert inches[0][0] == pytest.approx(2, abs=0.1)
    assert inches[0][1] < 5.5
    assert inches[-1][1] == pytest.approx(3, abs=0.1)
    assert [x for x, _ in inches] == sorted(x for x, _ in inches)
    assert [y for _, y in inches] == sorted((y for _, y in inches), reverse=True)


def test_a_curve_of_degree_two_is_the_circle_that_it_stands_for() -> None:
    # a quarter of a circle, exact with weights: (1, 0) → (0, 1)
    made = curve.read((1, 0), (0, 1), (0, 1, 0, 1), f"NURBS(1, 2, 1, 1, 1,1,0,{math.sqrt(0.5)})", (1, 1))
    assert made is not None
    assert [math.hypot(*made.at(n / 10)) for n in range(11)] == pytest.approx([1.0] * 11)


@pytest.mark.parametrize(
    "formula", ["", "NURBS()", "NURBS(1,3,1,1,0,0,0,1)", "NURBS(1,9,1,1,0,0,0,nan)", "NURBS(0,2,1,1,0,0,5,1)"]
)
def test_a_curve_that_makes_no_sense_is_none(formula: str) -> None:
    assert curve.read((0, 0), (1, 1), (0, 1, 0, 1), formula, (1, 1)) is None


def test_packed_pages_are_unpacked_and_written_as_plain_xml() -> None:
    pages = mxfile.read(samples.DRAWIO)
    text = mxfile.write(pages)

    assert [(page.name, page.labels) for page in pages] == [("Überblick", ["Hello"]), ("Packed", ["inside"])]
    assert [page.labels for page in mxfile.read(text)] == [["Hello"], ["inside"]]
    assert ElementTree.fromstring(text).get("pages") == "2"
