"""Request → documents: texts that were sent, files, what lies in archives, rows of tables, Odoo's records."""

from __future__ import annotations

import csv
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from . import odoo

MAX_DOCUMENTS = 2_000
MAX_KEY = 512
MAX_BYTES = 52_428_800
MAX_UNPACKED = 256 * 1024**2
_ZIP = b"PK\x03\x04"
_HTML = re.compile(r"<(p|div|br|h[1-6]|ul|ol|table|span|strong|em|a)\b", re.IGNORECASE)
#: The first of these that a table has is taken, unless the job says otherwise.
COLUMNS = {
    "key": ("key", "id", "external_id", "slug", "name"),
    "title": ("title", "name", "subject", "display_name"),
    "body": ("body", "content", "text", "html", "description", "comment"),
    "url": ("url", "website_url", "link"),
}
#: What a document may say of itself besides its text.
SAID = ("title", "url", "tags", "language", "classification")


@dataclass(frozen=True)
class Document:
    """One document: bytes or text, and what is known of it. With a `problem` there is nothing to read."""

    key: str
    data: bytes = b""
    text: str | None = None
    media_type: str | None = None
    said: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def documents(request: dict[str, Any], root: Path) -> Iterator[Document]:
    """All that the request names, each key once, at most MAX_DOCUMENTS."""
    seen: set[str] = set()
    for found in _all(request, root):
        document = replace(found, key=found.key[:MAX_KEY])
        if document.key in seen:
            continue
        if len(seen) >= MAX_DOCUMENTS:
            yield Document(document.key, problem=f"the job has more than {MAX_DOCUMENTS} documents")
            return
        seen.add(document.key)
        yield document


def _all(request: dict[str, Any], root: Path) -> Iterator[Document]:
    for each in request["documents"]:
        if "text" in each:
            said = {name: each[name] for name in SAID if each.get(name) is not None}
            yield Document(each["key"], b"", each["text"], each.get("media_type"), said, {"inline": True})
        elif "table" in each:
            yield from _rows(each, root)
        else:
            yield from _file(each, root)
    for number, wanted in enumerate(request.get("odoo", [])):
        yield from _records(wanted, number)


def _file(each: dict[str, Any], root: Path) -> Iterator[Document]:
    path = root / "inputs" / each["input"]
    source = {"input": each["input"]}
    if path.stat().st_size > MAX_BYTES:
        yield Document(each["key"], source=source, problem=f"it is larger than {MAX_BYTES} bytes")
        return
    with path.open("rb") as file:
        archive = file.read(4) == _ZIP
    if archive:
        yield from _archive(each["key"], path, source)
    else:
        yield Document(each["key"], path.read_bytes(), source=source)


def _archive(key: str, path: Path, source: dict[str, Any]) -> Iterator[Document]:
    """Each file of a zip, under `<archive>/<name>`. Sizes in its directory are claims."""
    left = MAX_UNPACKED
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = str(PurePosixPath(entry.filename))
                if entry.is_dir() or any(part.startswith((".", "__MACOSX")) for part in name.split("/")):
                    continue
                place = {**source, "path": name}
                try:
                    with archive.open(entry) as file:
                        data = file.read(min(MAX_BYTES, left) + 1)
                except Exception as error:  # encrypted, damaged, in a form that nobody knows
                    why = f"it cannot be unpacked: {type(error).__name__}"
                    yield Document(f"{key}/{name}", source=place, problem=why)
                    continue
                left -= len(data)
                if len(data) > MAX_BYTES or left < 0:
                    yield Document(f"{key}/{name}", source=place, problem="the archive unpacks to too much")
                    return
                yield Document(f"{key}/{name}", data, source=place)
    except Exception as error:  # what opens archives raises many kinds
        yield Document(key, source=source, problem=f"it is a damaged archive: {type(error).__name__}")


def _rows(each: dict[str, Any], root: Path) -> Iterator[Document]:
    """Each row of a table input."""
    name = each["table"]
    csv.field_size_limit(64 * 1024**2)
    path = root / ".control-room" / "inputs" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = _columns(tuple(reader.fieldnames or ()), each.get("columns") or {})
        if "key" not in columns or "body" not in columns:
            why = "the table has no column that could be its key or its text: name them in params.columns"
            yield Document(each["key"], source={"input": name}, problem=why)
            return
        for row in reader:
            key, text = row[columns["key"]], row[columns["body"]]
            said = {part: row[columns[part]] for part in ("title", "url") if row.get(columns.get(part, ""))}
            yield _of_record(f"{each['key']}/{key}", text, said, {"input": name, "row": key})


def _columns(there: tuple[str, ...], wanted: dict[str, str]) -> dict[str, str]:
    found = {}
    for part, candidates in COLUMNS.items():
        for name in (wanted[part],) if part in wanted else candidates:
            if name in there:
                found[part] = name
                break
    return found


def _records(wanted: dict[str, Any], number: int) -> Iterator[Document]:
    """Records of an Odoo model, asked for with the granted secret."""
    model = wanted["model"]
    source = {"odoo": odoo.place(wanted), "model": model}
    try:
        for record in odoo.records(wanted, os.environ):
            body = record.get(wanted.get("body", "body")) or ""
            title = record.get(wanted.get("title", "name")) or record.get("display_name") or ""
            said = {"title": str(title)} if title else {}
            place = {**source, "id": record["id"]}
            yield _of_record(f"odoo/{model}/{record['id']}", str(body), said, place)
    except odoo.Refused as error:
        yield Document(f"odoo/{model}#{number}", source=source, problem=str(error))


def _of_record(key: str, text: str, said: dict[str, Any], source: dict[str, Any]) -> Document:
    kind = "text/html" if _HTML.search(text) else "text/plain"
    return Document(key, b"", text, kind, said, source)
