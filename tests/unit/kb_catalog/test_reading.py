"""Documents of every kind become entries; bad ones are told of, and sink nobody."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from collections.abc import Callable

import pytest

from runner.jobtype.kb_catalog.harness import __main__ as harness
from runner.jobtype.kb_catalog.harness.sources import Document
from tests.unit.kb_catalog.conftest import Catalogue
from tests.unit.kb_catalog.papers import pdf

Catalogues = Callable[..., Catalogue]

MARKDOWN = """---
title: Returning goods
---
# Warranty

A *customer* returns `goods` within [thirty days](https://example.com).

| day | fee |
|-----|-----|
| 1   | 2   |

## How

```sql
select 1
```
"""
HTML = """<!doctype html><html><head><title>Invoices &amp; fees</title><style>p{}</style></head>
<body><nav>x</nav><h1>When</h1><p>Parcels are <b>invoiced</b>.</p><script>alert(1)</script></body></html>"""


def test_each_kind_is_read_for_title_text_and_headings(catalogue: Catalogues) -> None:
    made = catalogue(
        {
            "a.md": MARKDOWN.encode(),
            "b.html": HTML.encode(),
            "c.txt": b"One line.\nAnother.",
            "d.pdf": pdf("Page one", "Page two", title="A paper", outline="Chapter"),
        }
    ).entries

    a, b, c, d = (made[f"kb/{name}"] for name in ("a.md", "b.html", "c.txt", "d.pdf"))
    assert (a.title, a.headings) == ("Returning goods", ((1, "Warranty"), (2, "How")))
    assert "A customer returns goods within thirty days." in a.body
    assert "select 1" in a.body
    assert (b.title, b.headings) == ("Invoices & fees", ((1, "When"),))
    assert "Parcels are invoiced." in b.body
    assert "alert" not in b.body
    assert (c.title, c.body, c.media_type) == ("One line.", "One line.\nAnother.", "text/plain")
    assert (d.title, d.headings, d.body) == ("A paper", ((1, "Chapter"),), "Page one\n\nPage two")


def test_bad_documents_are_told_of_one_by_one(catalogue: Catalogues) -> None:
    made = catalogue(
        {
            "good.md": b"# Good\n\ntext",
            "broken.pdf": b"%PDF-1.4 nonsense",
            "locked.pdf": pdf("secret", encrypted=True),
            "scan.pdf": pdf(""),
            "liar.pdf": b"no pdf at all",
            "program": b"\x7fELF\0\0\0",
            "empty.txt": b"  \n",
        }
    )

    assert made.entries["kb/good.md"].problem is None
    assert "could not be read" in made.problem("kb/broken.pdf")
    assert made.problem("kb/locked.pdf") == "it is encrypted"
    assert made.problem("kb/scan.pdf") == "it has no text: its pages may be pictures"
    assert made.problem("kb/liar.pdf") == "it is no PDF, whatever its name says"
    assert made.problem("kb/program") == "it is neither text nor a PDF"
    assert made.problem("kb/empty.txt") == "it has no text"
    assert made.collected.failure is None
    assert "kb/broken.pdf" in made.log


def test_when_none_can_be_read_the_run_fails_and_says_why(catalogue: Catalogues) -> None:
    made = catalogue({"broken.pdf": b"%PDF-1.4 nonsense"})

    assert made.collected.failure is not None
    assert "none of 1 documents could be read; kb/broken.pdf:" in made.collected.failure.message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Straße".encode("utf-8-sig"), "Straße"),
        ("Straße".encode("utf-16"), "Straße"),
        ("Straße".encode("cp1252"), "Straße"),
        ('<html><meta charset="iso-8859-5"><body>Привет</body>'.encode("iso-8859-5"), "Привет"),
    ],
)
def test_old_encodings_are_read(catalogue: Catalogues, data: bytes, expected: str) -> None:
    assert catalogue({"x": data}).entries["kb/x"].body == expected


def test_what_lies_in_an_archive_is_many_documents(catalogue: Catalogues) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("guide/a.md", "# A\n\ntext")
        archive.writestr("guide/b.pdf", "%PDF-1.4 nonsense")
        archive.writestr(".git/config", "hidden")
        archive.writestr("bomb.txt", b"a" * 60_000_000)

    found = catalogue({"book.zip": made.getvalue()})

    assert set(found.entries) == {"kb/book.zip/guide/a.md", "kb/book.zip/guide/b.pdf", "kb/book.zip/bomb.txt"}
    assert found.entries["kb/book.zip/guide/a.md"].source == {"input": "book.zip", "path": "guide/a.md"}
    assert found.problem("kb/book.zip/bomb.txt") == "the archive unpacks to too much"
    assert "damaged archive" in catalogue({"x.zip": b"PK\x03\x04nonsense"}).problem("kb/x.zip")


def test_rows_of_a_table_are_documents(catalogue: Catalogues) -> None:
    rows = 'id,name,description\n7,Delivery,"<p>By <b>truck</b></p>"\n8,,plain\n'

    made = catalogue(tables={"articles": rows}).entries

    assert (made["articles/7"].title, made["articles/7"].body) == ("Delivery", "By truck")
    assert made["articles/8"].source == {"input": "articles", "row": "8"}
    assert "params.columns" in catalogue(tables={"bare": "a,b\n1,2\n"}).problem("bare")


def test_texts_of_the_submission_say_what_they_are(catalogue: Catalogues) -> None:
    documents = [
        {"key": "de", "text": "Häuser", "language": "german", "tags": ["x"], "url": "https://e.example/"},
        {"key": "hush", "text": "secret", "classification": "confidential", "title": "Hush"},
        {"key": "odd", "text": "x", "language": "klingon"},
    ]

    made = catalogue(params={"documents": documents}, files={"notes.md": "# Notes\n\nx"})

    assert (made.entries["de"].language, made.entries["de"].tags) == ("german", ("x",))
    assert (made.entries["hush"].classification, made.entries["hush"].title) == ("confidential", "Hush")
    assert "klingon" in made.problem("odd")
    assert made.entries["notes.md"].headings == ((1, "Notes"),)


def hang(_: Document) -> dict[str, object]:
    time.sleep(60)
    return {}


def crash(_: Document) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def swell(_: Document) -> dict[str, object]:
    return {"text": "x" * (2 * 1024**3)}


def babble(_: Document) -> dict[str, object]:
    return {"text": "x" * (9 * 1024**2)}


@pytest.mark.parametrize("reader", [hang, crash, swell, babble])
def test_a_reader_that_hangs_crashes_or_swells_is_a_problem_of_its_document(
    monkeypatch: pytest.MonkeyPatch, reader: Callable[[Document], dict[str, object]]
) -> None:
    monkeypatch.setattr(harness.reading, "read", reader)
    monkeypatch.setattr(harness, "SECONDS", 1)

    began = time.monotonic()

    assert "could not be read" in harness.apart(Document("x"))["problem"]
    assert time.monotonic() - began < 15
