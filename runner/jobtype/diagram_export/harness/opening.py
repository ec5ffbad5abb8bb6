"""What is let in: bounded, whole, without macros, without entities. What is not says why, in one line.

A .vsdx is a zip that a stranger made: nothing is unpacked onto the disk, no name in it is used as a path, and
every member is read once with a bound, for sizes in a zip are only claims.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from xml.etree import ElementTree

MAX_MEMBERS = 5000
MAX_BYTES = 256 * 1024**2
MAX_XML = 64 * 1024**2
MAX_PAGES = 100
PIECE = 1 << 20
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: The stream that every .vsd has, by its name in the directory.
VSD_STREAM = "VisioDocument".encode("utf-16-le")
_FORBIDDEN = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_PAGES = "visio/pages/pages.xml"


class Refused(Exception):
    """The file is not one that can be exported."""


@dataclass(frozen=True)
class Visio:
    """A .vsdx: its bytes, and its XML by name."""

    data: bytes
    parts: dict[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Drawio:
    """An mxfile as text."""

    text: str


@dataclass(frozen=True)
class Old:
    """A .vsd, which only LibreOffice reads."""

    data: bytes


def read(data: bytes) -> Visio | Drawio | Old:
    """What the bytes are, whatever the file is called. Raises Refused."""
    if data.startswith(OLE):
        if VSD_STREAM not in data:  # LibreOffice would open a letter as well, and draw it
            raise Refused("it is an old file of Office, but none of Visio")
        return Old(data)
    if data.startswith(b"PK"):
        return _visio(data)
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<"):
        return Drawio(_text(data))
    raise Refused("it is neither a Visio file (.vsdx, .vsd) nor a diagram of draw.io")


def _visio(data: bytes) -> Visio:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError) as error:
        raise Refused("the zip is damaged") from error
    if len(members) > MAX_MEMBERS:
        raise Refused(f"it holds more than {MAX_MEMBERS} parts")
    names = [each.filename for each in members]
    if len(set(names)) != len(names):
        raise Refused("two parts of it have one name")
    if any("vbaproject" in name.lower() for name in names):
        raise Refused("it holds macros: save it as .vsdx without them")
    parts: dict[str, bytes] = {}
    left = MAX_BYTES
    for each in members:
        is_xml = each.filename.endswith((".xml", ".rels"))
        size, content = _member(archive, each, min(left, MAX_XML) if is_xml else left, keep=is_xml)
        left -= size
        if is_xml:
            # without the zeros that would hide it in UTF-16
            if _FORBIDDEN.search(content.replace(b"\0", b"")):
                raise Refused("it declares entities or a document type, which no diagram needs")
            parts[each.filename] = content
    if b"macroEnabled" in parts.get("[Content_Types].xml", b""):
        raise Refused("it holds macros: save it as .vsdx without them")
    if "visio/document.xml" not in parts or _PAGES not in parts:
        raise Refused("it is a zip, but not a Visio file: visio/document.xml or its pages are missing")
    count = len(_xml(parts[_PAGES]).findall("{*}Page"))
    if count > MAX_PAGES:
        raise Refused(f"it has {count} pages; at most {MAX_PAGES} are exported")
    if count == 0:
        raise Refused("it has no page")
    return Visio(data, parts)


def _member(archive: zipfile.ZipFile, each: zipfile.ZipInfo, most: int, *, keep: bool) -> tuple[int, bytes]:
    """The size of a part as it really is, and its bytes where they are wanted."""
    if each.flag_bits & 0x1:
        raise Refused("it is encrypted")
    size, pieces = 0, []
    try:
        with archive.open(each) as file:
            while piece := file.read(PIECE):
                size += len(piece)
                if size > most:
                    raise Refused(f"unpacked it is larger than {MAX_BYTES} bytes")
                if keep:
                    pieces.append(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise Refused("the zip is damaged") from error
    return size, b"".join(pieces)


def _text(data: bytes) -> str:
    if len(data) > MAX_XML:
        raise Refused(f"it is larger than {MAX_XML} bytes")
    if _FORBIDDEN.search(data.replace(b"\0", b"")):
        raise Refused("it declares entities or a document type, which no diagram needs")
    root = _xml(data)
    if root.tag not in ("mxfile", "mxGraphModel"):
        raise Refused(f"it is XML, but not a diagram of draw.io: it begins with <{root.tag[:64]}>")
    count = len(root.findall("diagram")) if root.tag == "mxfile" else 1
    if not 1 <= count <= MAX_PAGES:
        raise Refused(f"it has {count} pages; 1 to {MAX_PAGES} are exported")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("it is not UTF-8") from error


def _xml(data: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(data)  # noqa: S314 - bounded, and without entities by now
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Refused(f"its XML is damaged: {error}") from error
