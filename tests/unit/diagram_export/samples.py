"""Visio files made by hand: the smallest that hold what matters, and those that nobody should let in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

_MAIN = "http://schemas.microsoft.com/office/visio/2012/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_VISIO = "http://schemas.microsoft.com/visio/2010/relationships"
TYPES = "application/vnd.ms-visio.drawing.main+xml"
MACROS = "application/vnd.ms-visio.drawing.macroEnabled.main+xml"
PAGE_HEIGHT = 8.0
#: What a style sheet says in files that Visio has written.
LOOK = {"LineWeight": 0.0139, "LineColor": "#000000", "LinePattern": 1, "FillPattern": 1}
LETTERS = "<Section N='Character'><Row IX='0'><Cell N='Font' V='Calibri'/><Cell N='Color' V='#000000'/><Cell N='Size' V='0.1667'/></Row></Section>"


def box(number: int, x: float, y: float, text: str, *, fill: str = "#ffffff") -> str:
    """A rectangle of 2 by 1 inches around (x, y), y from the bottom."""
    rows = "".join(
        f"<Row T='{kind}' IX='{n}'><Cell N='X' V='{px}'/><Cell N='Y' V='{py}'/></Row>"
        for n, (kind, px, py) in enumerate(
            [("RelMoveTo", 0, 0), ("RelLineTo", 1, 0), ("RelLineTo", 1, 1), ("RelLineTo", 0, 1), ("RelLineTo", 0, 0)], 1
        )
    )  # fmt: skip
    return (
        f"<Shape ID='{number}' Type='Shape'>{_cells(PinX=x, PinY=y, Width=2, Height=1, LocPinX=1, LocPinY=0.5, FillForegnd=fill, **LOOK)}"
        f"{LETTERS}<Section N='Geometry' IX='0'>{rows}</Section><Text>{text}</Text></Shape>"
    )


def line(
    number: int, begin: tuple[float, float], end: tuple[float, float], text: str, *, curved: bool = False
) -> str:
    """A connector; curved ones go down first and then across, as Visio draws them."""
    width, height = end[0] - begin[0], end[1] - begin[1]
    if curved:
        nurbs = f"NURBS(2.1288, 3, 0, 1, 0,{height / 4},0,1, 0,{height},0,1, 0.75,{height},0,1)"
        last = f"<Row T='NURBSTo' IX='2'>{_cells(X=width, Y=height, A=0.9728, B=1, C=0, D=1)}<Cell N='E' V='{nurbs}' U='NURBS'/></Row>"
    else:
        last = f"<Row T='LineTo' IX='2'>{_cells(X=width, Y=height)}</Row>"
    place = _cells(
        PinX=(begin[0] + end[0]) / 2, PinY=(begin[1] + end[1]) / 2, Width=width, Height=height,
        LocPinX=width / 2, LocPinY=height / 2, BeginX=begin[0], BeginY=begin[1], EndX=end[0], EndY=end[1],
        ObjType=2, ConLineRouteExt=2 if curved else 1,
        TxtPinX=width / (3 if curved else 2), TxtPinY=height * (0.85 if curved else 0.5), TxtWidth=1, TxtHeight=0.25, TxtLocPinX=0.5, TxtLocPinY=0.125, **LOOK,
    )  # fmt: skip
    return (
        f"<Shape ID='{number}' Type='Shape'>{place}{LETTERS}<Section N='Geometry' IX='0'><Cell N='NoFill' V='1'/>"
        f"<Row T='MoveTo' IX='1'>{_cells(X=0, Y=0)}</Row>{last}</Section><Text>{text}</Text></Shape>"
    )


def _cells(**values: object) -> str:
    return "".join(f"<Cell N='{name}' V='{value}'/>" for name, value in values.items())


@dataclass(frozen=True)
class Sheet:
    """One page."""

    name: str
    shapes: tuple[str, ...] = ()


def visio(*sheets: Sheet, content_type: str = TYPES, more: dict[str, bytes] | None = None) -> bytes:
    """A .vsdx."""
    pages = "".join(
        f"<Page ID='{n}' NameU='{sheet.name}' Name='{sheet.name}'><PageSheet>{_cells(PageWidth=11, PageHeight=PAGE_HEIGHT)}</PageSheet>"
        f"<Rel r:id='rId{n + 1}'/></Page>"
        for n, sheet in enumerate(sheets)
    )  # fmt: skip
    relations = "".join(
        f"<Relationship Id='rId{n + 1}' Type='{_VISIO}/page' Target='page{n + 1}.xml'/>"
        for n in range(len(sheets))
    )
    overrides = "".join(
        f"<Override PartName='/visio/pages/page{n + 1}.xml' ContentType='application/vnd.ms-visio.page+xml'/>"
        for n in range(len(sheets))
    )
    head = "<?xml version='1.0' encoding='utf-8'?>"
    members: dict[str, str] = {
        "[Content_Types].xml": "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'>"
        "<Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
        f"<Default Extension='xml' ContentType='application/xml'/><Override PartName='/visio/document.xml' ContentType='{content_type}'/>"
        f"<Override PartName='/visio/pages/pages.xml' ContentType='application/vnd.ms-visio.pages+xml'/>{overrides}</Types>",
        "_rels/.rels": f"<Relationships xmlns='{_RELATIONS}'><Relationship Id='rId1' Type='{_VISIO}/document' Target='visio/document.xml'/></Relationships>",
        "visio/document.xml": f"<VisioDocument xmlns='{_MAIN}' xmlns:r='{_DOCUMENT}'><DocumentSettings/></VisioDocument>",
        "visio/_rels/document.xml.rels": f"<Relationships xmlns='{_RELATIONS}'><Relationship Id='rId1' Type='{_VISIO}/pages' Target='pages/pages.xml'/></Relationships>",
        "visio/pages/pages.xml": f"<Pages xmlns='{_MAIN}' xmlns:r='{_DOCUMENT}'>{pages}</Pages>",
        "visio/pages/_rels/pages.xml.rels": f"<Relationships xmlns='{_RELATIONS}'>{relations}</Relationships>",
    }
    for n, sheet in enumerate(sheets):
        shapes = "".join(sheet.shapes)
        members[f"visio/pages/page{n + 1}.xml"] = (
            f"<PageContents xmlns='{_MAIN}' xmlns:r='{_DOCUMENT}'><Shapes>{shapes}</Shapes></PageContents>"
        )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in members.items():
            archive.writestr(name, head + text)
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return made.getvalue()


def plan() -> bytes:
    """Two pages: boxes, a straight connector with a label, a curved one, and a second page."""
    return visio(
        Sheet(
            "Flow",
            (
                box(1, 2, 6, "ORDERS"),
                box(2, 8, 3, "PAYMENTS", fill="#cce5ff"),
                line(3, (3, 6), (7, 3.2), "STRAIGHT"),
                line(4, (2, 5.5), (7, 3), "CURVED", curved=True),
            ),
        ),
        Sheet("Second page", (box(1, 3, 5, "ALONE"),)),
    )


DRAWIO = """<mxfile><diagram id="a" name="Überblick"><mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/>
<mxCell id="2" value="Hello" style="rounded=1;whiteSpace=wrap;html=1;fillColor=#d5e8d4;" vertex="1" parent="1">
<mxGeometry x="40" y="40" width="160" height="80" as="geometry"/></mxCell></root></mxGraphModel></diagram>
<diagram id="b" name="Packed">hZBNCsMgEIVPM2sThR6gScmqhxAcoqAx6LRNbh+Jk5YWQhcDvs83v6C6sAxJz/YeDXpQN1BdipHqKywdeg+ycQZUD1I2JcTJX1uiyFknnOi/XVb7U/sHVuKm7AxWnGn1jC2FMljfgrpyCibC5bTpjrjngDEgpbVYOGGfqcj1W76cIcv5B7PoRstFL8x0rnp8Fz4WFLxhFZ8bip8Dbw==</diagram></mxfile>"""

#: Made when asked for: one of them is large.
DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "text.vsdx": (lambda: b"this is no diagram", "neither a Visio file"),
    "cut.vsdx": (lambda: plan()[:700], "the zip is damaged"),
    "zip.vsdx": (lambda: b"PK\x05\x06" + b"\0" * 18, "not a Visio file"),
    "bomb.vsdx": (
        lambda: visio(Sheet("a"), more={"visio/media/bomb.bin": b"\0" * (257 * 1024**2)}),
        "larger than",
    ),
    "macro.vsdx": (lambda: visio(Sheet("a"), more={"visio/vbaProject.bin": b"x"}), "macros"),
    "macro.vsdm": (lambda: visio(Sheet("a"), content_type=MACROS), "macros"),
    "many.vsdx": (lambda: visio(*(Sheet(f"p{n}") for n in range(500))), "500 pages"),
    "entity.vsdx": (
        lambda: visio(Sheet("a"), more={"visio/x.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}),
        "entities",
    ),
    "entity.drawio": (
        lambda: b'<!DOCTYPE mxfile [<!ENTITY a SYSTEM "file:///etc/passwd">]><mxfile>&a;</mxfile>',
        "entities",
    ),
    "wide.drawio": (
        lambda: '<!DOCTYPE a [<!ENTITY b "c">]><mxfile/>'.encode("utf-16"),
        "neither a Visio file",
    ),
    "wide.vsdx": (
        lambda: visio(
            Sheet("a"), more={"visio/x.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a/>'.encode("utf-16")}
        ),
        "entities",
    ),
    "page.drawio": (lambda: b"<html><body>no</body></html>", "not a diagram of draw.io"),
    "cut.drawio": (lambda: b"<mxfile><diagram>", "XML is damaged"),
    "many.drawio": (lambda: b"<mxfile>" + b"<diagram/>" * 101 + b"</mxfile>", "101 pages"),
    "packed.drawio": (lambda: b"<mxfile><diagram>!!!!</diagram></mxfile>", "cannot be unpacked"),
}
