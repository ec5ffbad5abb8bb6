"""draw.io's file: pages of cells. Packed pages (deflate, base64) are unpacked, bounded."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from .opening import MAX_XML, Refused

Element = ElementTree.Element
_EMPTY = '<mxGraphModel><root><mxCell id="0"/><mxCell id="1" parent="0"/></root></mxGraphModel>'


@dataclass(frozen=True)
class Page:
    """One page: `name` as people see it, `model` an <mxGraphModel>."""

    name: str
    model: Element

    def cells(self) -> Iterator[Element]:
        """Every <mxCell>, also those inside of <UserObject> and <object>."""
        yield from self.model.iter("mxCell")

    @property
    def edges(self) -> list[Element]:
        """Connectors."""
        return [cell for cell in self.cells() if cell.get("edge") == "1"]

    @property
    def vertices(self) -> list[Element]:
        """Shapes."""
        return [cell for cell in self.cells() if cell.get("vertex") == "1"]

    @property
    def labels(self) -> list[str]:
        """What the shapes and connectors say, without markup."""
        owners = (*self.model.iter("mxCell"), *self.model.iter("UserObject"), *self.model.iter("object"))
        texts = (each.get("value") or each.get("label") or "" for each in owners)
        plain = (" ".join(re.sub(r"<[^>]*>", " ", text).split()) for text in texts)
        return [text for text in plain if text]


def read(text: str) -> list[Page]:
    """The pages. Raises Refused."""
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - bounded, and without entities by now
        if root.tag == "mxGraphModel":
            return [Page("Page-1", root)]
        return [
            Page(each.get("name") or f"Page-{number}", _model(each))
            for number, each in enumerate(root.findall("diagram"), 1)
        ]
    except ElementTree.ParseError as error:
        raise Refused(f"a page of it is damaged: {error}") from error


def write(pages: list[Page]) -> str:
    """An mxfile with its pages as plain XML, so that it can be compared and searched."""
    root = ElementTree.Element("mxfile", host="control-room", pages=str(len(pages)))
    for number, page in enumerate(pages, 1):
        diagram = ElementTree.SubElement(root, "diagram", id=f"page-{number}", name=page.name)
        diagram.append(page.model)
    return ElementTree.tostring(root, encoding="unicode")


def _model(diagram: Element) -> Element:
    inner = diagram.find("mxGraphModel")
    if inner is not None:
        return inner
    packed = (diagram.text or "").strip()
    if packed.startswith("<"):
        return ElementTree.fromstring(packed)  # noqa: S314
    if not packed:
        return ElementTree.fromstring(_EMPTY)  # noqa: S314 - ours
    try:
        unpacker = zlib.decompressobj(-15)
        data = unpacker.decompress(base64.b64decode("".join(packed.split()), validate=True), MAX_XML)
        if unpacker.unconsumed_tail:
            raise Refused(f"a page of it is larger than {MAX_XML} bytes")
        text = urllib.parse.unquote(data.decode("utf-8"))
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise Refused("a page of it cannot be unpacked") from error
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise Refused("it declares entities or a document type, which no diagram needs")
    return ElementTree.fromstring(text)  # noqa: S314
