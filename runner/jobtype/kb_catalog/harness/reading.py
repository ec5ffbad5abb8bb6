"""A document → {title, text, headings, media_type}. Runs in a process of its own (`__main__.apart`)."""

from __future__ import annotations

import codecs
import contextlib
import importlib
import io
import logging
import re
from pathlib import PurePosixPath
from typing import Any

from .sources import Document

MAX_TEXT = 400_000
MAX_PAGES = 2_000
MAX_HEADINGS = 500
PDF = "application/pdf"
HTML = "text/html"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"

_BY_SUFFIX = {
    ".md": MARKDOWN, ".markdown": MARKDOWN, ".html": HTML, ".htm": HTML, ".xhtml": HTML,
    ".txt": PLAIN, ".text": PLAIN, ".rst": PLAIN, ".log": PLAIN, ".csv": PLAIN, ".pdf": PDF,
}  # fmt: skip
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_BLOCKS = (
    "p, div, br, li, tr, h1, h2, h3, h4, h5, h6, pre, blockquote, section, article, header, footer, dt, dd"
)
_READERS = {PDF: "pypdf", HTML: "selectolax.lexbor", MARKDOWN: "markdown_it"}
_FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
_LINES = re.compile(r"\n{3,}")


class Unreadable(Exception):
    """The document cannot be read; the text is for its owner."""


def preload(document: Document) -> None:
    """Have what reads it at hand before the fork: each child would import it anew, which takes longer than
    most documents."""
    with contextlib.suppress(Unreadable):
        if (module := _READERS.get(_kind(document))) is not None:
            importlib.import_module(module)


def read(document: Document) -> dict[str, Any]:
    """What is in it. Raises Unreadable, or whatever a parser raises."""
    kind = _kind(document)
    if kind == PDF:
        found = _pdf(document.data)
    else:
        text = document.text if document.text is not None else _decoded(document.data)
        match kind:
            case "text/html":
                found = _html(text)
            case "text/markdown":
                found = _markdown(text)
            case _:
                found = {"title": "", "text": text, "headings": []}
    text = _LINES.sub("\n\n", found["text"]).strip()
    if not text:
        raise Unreadable("it has no text" + (": its pages may be pictures" if kind == PDF else ""))
    title = found["title"] or (found["headings"][0]["text"] if found["headings"] else "")
    return {
        "title": (title or _first_line(text) or PurePosixPath(document.key).stem).strip()[:500],
        "text": text[:MAX_TEXT],
        "headings": found["headings"][:MAX_HEADINGS],
        "media_type": kind,
    }


def _kind(document: Document) -> str:
    start = document.data[:1024].lstrip()
    if start.startswith(b"%PDF-"):
        return PDF
    if document.media_type is not None:
        return document.media_type.partition(";")[0].strip().lower()
    known = _BY_SUFFIX.get(PurePosixPath(document.key).suffix.lower())
    if known == PDF:
        raise Unreadable("it is no PDF, whatever its name says")
    if known is not None:
        return known
    text = (
        document.text.lstrip()[:200].lower()
        if document.text is not None
        else start[:200].lower().decode("latin-1")
    )
    return HTML if text.startswith(("<!doctype html", "<html")) else PLAIN


def _decoded(data: bytes) -> str:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, "replace")
    if b"\0" in data[:8192]:
        raise Unreadable("it is neither text nor a PDF")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        declared = _CHARSET.search(data[:4096])
        try:
            return data.decode(declared[1].decode() if declared else "cp1252")
        except (UnicodeDecodeError, LookupError):
            return data.decode("latin-1")


def _html(text: str) -> dict[str, Any]:
    from selectolax.lexbor import LexborHTMLParser  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - in the engine

    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    named = title.text(strip=True) if title is not None else ""
    tree.strip_tags(["script", "style", "noscript", "template", "svg", "head"])
    headings = [
        {"level": int(node.tag[1]), "text": " ".join(node.text().split())[:300]}
        for node in tree.css("h1, h2, h3, h4, h5, h6")
    ]
    for node in tree.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    for node in tree.css("td, th"):
        node.insert_after(" ")
    lines = tree.body.text().splitlines() if tree.body is not None else []
    plain = "\n".join(words for line in lines if (words := " ".join(line.split())))
    return {"title": named, "text": plain, "headings": [each for each in headings if each["text"]]}


def _markdown(text: str) -> dict[str, Any]:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - in the engine

    front = _FRONT.match(text)
    title = ""
    if front is not None:
        named = re.search(r"^title:\s*[\"']?(.+?)[\"']?\s*$", front[1], re.MULTILINE)
        title = named[1] if named else ""
        text = text[front.end() :]
    headings, parts = [], []
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        match token.type:
            case "inline":
                words = "".join(_inline(child) for child in token.children or ())
                parts.append(words)
                if before is not None and before.type == "heading_open":
                    headings.append({"level": int(before.tag[1]), "text": " ".join(words.split())[:300]})
            case "fence" | "code_block":
                parts.append(token.content)
            case "html_block":
                parts.append(_html(token.content)["text"])
    return {"title": title, "text": "\n\n".join(part for part in parts if part.strip()), "headings": headings}


def _inline(token: Any) -> str:
    match token.type:
        case "softbreak" | "hardbreak":
            return "\n"
        case "image":
            return str(token.content)
        case "html_inline":
            return ""
        case _:
            return str(token.content)


def _pdf(data: bytes) -> dict[str, Any]:
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what it meets on the way is no problem yet
    from pypdf import PdfReader  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - in the engine

    reader = PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("it is encrypted")
    if len(reader.pages) > MAX_PAGES:
        raise Unreadable(f"it has more than {MAX_PAGES} pages")
    size, pages = 0, []
    for page in reader.pages:
        text = page.extract_text()
        pages.append(text)
        size += len(text)
        if size > MAX_TEXT:
            break
    title = reader.metadata.title if reader.metadata is not None else None
    return {"title": str(title or ""), "text": "\n\n".join(pages), "headings": _outline(reader.outline, 1)}


def _outline(items: list[Any], level: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for item in items:
        if isinstance(item, list):
            found.extend(_outline(item, min(level + 1, 6)))
        elif title := " ".join(str(getattr(item, "title", "") or "").split()):
            found.append({"level": level, "text": title[:300]})
    return found


def _first_line(text: str) -> str:
    return next((line.strip()[:120] for line in text.splitlines() if line.strip()), "")
