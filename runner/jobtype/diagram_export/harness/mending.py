"""What draw.io's importer of Visio files loses, put back.

labels of connectors    the import writes `overflow=width` on edges, under which their labels vanish
curved connectors       come as straight lines: bent again along Visio's own curve
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from . import curve
from .curve import Point
from .mxfile import Page
from .opening import Visio

#: draw.io draws a centimetre of Visio as 40 pixels.
PIXELS_PER_INCH = 40 * 2.54
#: ConLineRouteExt of a connector that is drawn as a curve.
CURVED = "2"
STEPS = 8
MAX_CURVES = 16
_OVERFLOW = re.compile(r"(^|;)overflow=width(?=;|$)")
_SHAPE_ID = re.compile(r"(?:^|;)vsdxID=(\d+)(?=;|$)")


@dataclass(frozen=True)
class Mended:
    """How many of each were put back."""

    labels: int
    curves: int


def mend(pages: list[Page], visio: Visio) -> Mended:
    """Put back what is lost, in place."""
    labels = curves = 0
    sheets = _sheets(visio)
    for page in pages:
        sheet = sheets.get(page.name)
        for edge in page.edges:
            style = edge.get("style", "")
            mended = _OVERFLOW.sub(r"\1", style).replace(";;", ";")
            labels += mended != style
            edge.set("style", mended)
            match = _SHAPE_ID.search(style)
            if match is None or sheet is None or match[1] not in sheet.curved:
                continue
            edge.set("style", f"{mended.rstrip(';')};curved=1;")
            curves += 1
            _bend(edge, sheet.curved[match[1]] if edge.get("parent") == "1" else [])
    return Mended(labels, curves)


@dataclass(frozen=True)
class _Sheet:
    """One page of the Visio file: curved connectors by their id, with points in pixels of the page."""

    curved: dict[str, list[Point]]


def _sheets(visio: Visio) -> dict[str, _Sheet]:
    pages = ElementTree.fromstring(visio.parts["visio/pages/pages.xml"])  # noqa: S314 - see opening
    targets = _relations(visio.parts.get("visio/pages/_rels/pages.xml.rels", b""))
    found: dict[str, _Sheet] = {}
    for page in pages.findall("{*}Page"):
        relation = page.find("{*}Rel")
        key = next(
            (
                value
                for name, value in (relation.attrib if relation is not None else {}).items()
                if name.endswith("}id")
            ),
            "",
        )
        content = visio.parts.get(f"visio/pages/{targets.get(key, '')}")
        if content is None:
            continue
        height = _cell(page.find("{*}PageSheet"), "PageHeight")
        root = ElementTree.fromstring(content)  # noqa: S314
        found[page.get("Name") or page.get("NameU") or ""] = _Sheet(
            {
                shape.get("ID", ""): [_on_page(shape, point, height) for point in _between(shape)]
                for shape in root.iter()
                if shape.tag.endswith("}Shape") and _value(shape, "ConLineRouteExt") == CURVED
            }
        )
    return found


def _relations(data: bytes) -> dict[str, str]:
    if not data:
        return {}
    return {each.get("Id", ""): each.get("Target", "") for each in ElementTree.fromstring(data)}  # noqa: S314


def _between(shape: ElementTree.Element) -> Iterator[Point]:
    """Points of the connector's curve between its ends, in the shape's own inches."""
    at = (0.0, 0.0)
    size = (_cell(shape, "Width"), _cell(shape, "Height"))
    count = 0
    for row in shape.findall("{*}Section[@N='Geometry']/{*}Row"):
        to = (_cell(row, "X"), _cell(row, "Y"))
        if row.get("T") == "NURBSTo":
            ends = [_cell(row, name) for name in "ABCD"]
            found = curve.read(at, to, ends, _value(row, "E") or "", size)
            if found is not None:
                count += 1
                if count > MAX_CURVES:
                    return
                # draw.io draws through the middles between points: enough of them, and it is the same curve
                yield from (found.at((n + 0.5) / STEPS) for n in range(STEPS))
        at = to


def _on_page(shape: ElementTree.Element, point: Point, page_height: float) -> Point:
    """Inches of the shape → pixels of the page, whose y grows downwards."""
    x, y = point[0] - _cell(shape, "LocPinX"), point[1] - _cell(shape, "LocPinY")
    x = -x if _cell(shape, "FlipX") else x
    y = -y if _cell(shape, "FlipY") else y
    angle = _cell(shape, "Angle")
    across = _cell(shape, "PinX") + x * math.cos(angle) - y * math.sin(angle)
    up = _cell(shape, "PinY") + x * math.sin(angle) + y * math.cos(angle)
    return across * PIXELS_PER_INCH, (page_height - up) * PIXELS_PER_INCH


def _bend(edge: ElementTree.Element, points: list[Point]) -> None:
    geometry = edge.find("mxGeometry")
    if geometry is None or not points:
        return
    for old in [each for each in geometry.findall("Array") if each.get("as") == "points"]:
        geometry.remove(old)
    array = ElementTree.SubElement(geometry, "Array", {"as": "points"})
    for x, y in points:
        ElementTree.SubElement(array, "mxPoint", x=f"{x:.2f}", y=f"{y:.2f}")


def _value(owner: ElementTree.Element | None, name: str) -> str | None:
    if owner is None:
        return None
    cell = owner.find(f"{{*}}Cell[@N='{name}']")
    return None if cell is None else cell.get("V")


def _cell(owner: ElementTree.Element | None, name: str) -> float:
    try:
        number = float(_value(owner, name) or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
