"""What is shown of an artifact: enough to see it, and nothing that acts."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from control_room import preview
from control_room.errors import ControlRoomError

pytest.importorskip("nh3", reason="needs: pip install 'control-room[preview]'")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Watcher(HTMLParser):
    """Notes whatever in a page could act, load or lead somewhere by itself."""

    ACTING = frozenset(
        ["script", "iframe", "frame", "object", "embed", "applet", "base", "form", "input", "button", "link", "foreignobject", "animate", "set", "animatetransform", "animatemotion", "handler", "listener", "audio", "video", "source", "track", "portal", "math", "annotation-xml"]
    )  # fmt: skip

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.metas: list[dict[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.ACTING:
            self.found.append(tag)
        if tag == "meta":
            self.metas.append(dict(attrs))
        for name, value in attrs:
            address = "".join((value or "").split()).lower()
            if name.startswith("on") or name in (
                "style",
                "srcdoc",
                "srcset",
                "action",
                "formaction",
                "ping",
                "background",
            ):
                self.found.append(f"{tag} {name}")
            if name in ("href", "xlink:href", "src"):
                fits = address.startswith(("#", "data:image/")) or (
                    tag == "a" and address.startswith(("http://", "https://", "mailto:"))
                )
                if not fits or address.startswith("data:image/svg"):
                    self.found.append(f"{tag} {name}={value}")
            elif "url(" in address and not address.startswith(("url(#", "url('#", 'url("#')):
                self.found.append(f"{tag} {name}={value}")


def harmless(shown: preview.Preview) -> list[str]:
    watched = Watcher(shown.page)
    policies = [meta["content"] for meta in watched.metas if meta.get("http-equiv")]
    assert policies == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    return watched.found


def notebook(*outputs: dict[str, Any], markdown: str = "# Title", code: str = "1 + 1") -> bytes:
    cells = [
        {"cell_type": "markdown", "source": [markdown]},
        {"cell_type": "code", "source": code, "outputs": list(outputs)},
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


EVIL = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>",
    "<svg><script href='data:,alert(1)'/></svg>", "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></iframe></foreignObject></svg>",
    "<svg><a href='javascript:alert(1)'><text>x</text></a></svg>", "<svg><a xlink:href='java\tscript:alert(1)'><text>x</text></a></svg>",
    "<svg><use href='data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+#x'/></svg>", "<svg><use href='https://evil.example/x.svg#a'/></svg>",
    "<svg><image href='https://evil.example/pixel'/></svg>", "<svg><image href='data:image/svg+xml,<svg onload=alert(1)>'/></svg>",
    "<svg><animate attributeName='href' values='javascript:alert(1)'/></svg>", "<svg><set attributeName='onmouseover' to='alert(1)'/></svg>",
    "<svg><style>@import 'https://evil.example/x.css'; *{background:url(https://evil.example)}</style></svg>",
    "<svg><rect style='fill:url(https://evil.example)' fill='url(https://evil.example/#a)'/></svg>", "<svg><rect fill='url( javascript:alert(1) )'/></svg>",
    "<svg><title><![CDATA[</title><script>alert(1)</script>]]></title></svg>", "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'></svg>",
    "<svg><desc><noscript><p title='</noscript><img src=x onerror=alert(1)>'></desc></svg>", "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<svg xmlns:x='http://www.w3.org/1999/xhtml'><x:script>alert(1)</x:script></svg>", "<svg><handler xmlns:ev='x' ev:event='load'>alert(1)</handler></svg>",
    "<a href='javascript:alert(1)'>x</a>", "<a href='JaVaScRiPt&colon;alert(1)'>x</a>", "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>", "<iframe src='https://evil.example'></iframe>", "<object data='x'></object>", "<embed src='x'>", "<base href='https://evil.example/'>",
    "<meta http-equiv='refresh' content='0;url=https://evil.example'>", "<link rel=stylesheet href='https://evil.example'>", "<form action='https://evil.example'><input name=a></form>",
    "<img src='https://evil.example/pixel'>", "<img src='//evil.example/pixel'>", "<img srcset='https://evil.example/x 1x'>", "<div style='background:url(https://evil.example)'>x</div>",
    "<video src='x' onloadstart=alert(1)></video>", "<details ontoggle=alert(1) open>x</details>", "<template><script>alert(1)</script></template>",
    "</pre></body><script>alert(1)</script>", "</title><script>alert(1)</script>", "--><script>alert(1)</script><!--", "<x onclick=alert(1)>", "\x1b]0;title\x07<script>alert(1)</script>",
]  # fmt: skip


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_that_is_put_in_acts(evil: str) -> None:
    svg = evil if evil.startswith("<svg") else f"<svg xmlns='http://www.w3.org/2000/svg'>{evil}</svg>"
    html_output = {"output_type": "display_data", "data": {"text/html": [evil]}}
    svg_output = {"output_type": "display_data", "data": {"image/svg+xml": svg}}
    error = {"output_type": "error", "traceback": [evil], "evalue": evil}
    stream = {"output_type": "stream", "text": evil}
    script = {"output_type": "display_data", "data": {"application/javascript": "alert(1)", "text/html": ""}}

    assert harmless(preview.of(evil.encode(), evil)) == []
    assert harmless(preview.of(svg.encode(), "x.svg")) == []
    assert (
        harmless(
            preview.of(
                notebook(html_output, svg_output, error, stream, script, markdown=evil, code=evil), "x.ipynb"
            )
        )
        == []
    )
    assert harmless(preview.of(PNG + evil.encode(), evil)) == []


def test_the_watcher_sees_what_acts() -> None:
    """A control: nearly all of them, unsanitised, would have been noticed; the rest need a browser's parser."""
    seen = [it for it in EVIL if Watcher(it).found]

    assert len(EVIL) - 5 <= len(seen)


def test_a_drawing_is_still_a_drawing() -> None:
    drawing = (
        '<?xml version="1.0"?>\n<!-- by hand --><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><defs><linearGradient id="g">'
        '<stop offset="0" stop-color="red"/></linearGradient></defs><rect width="10" height="10" fill="url(#g)"/><text x="1" y="2">5 &lt; 6</text></svg>'
    )
    shown = preview.of(drawing.encode(), "drawing.svg")

    assert shown.form == "svg"
    for kept in ('viewBox="0 0 10 10"', '<linearGradient id="g">', 'fill="url(#g)"', "5 &lt; 6"):
        assert kept in shown.page


def test_a_notebook_shows_its_text_its_code_and_the_best_of_its_outputs() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["a \x1b[31mred\x1b[0m line\n", "<b>&"]},
        {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode(), "text/plain": "<Figure>"}},
        {"output_type": "execute_result", "data": {"text/html": "<table><tr><td>7</td></tr></table>", "text/plain": "7"}},
        {"output_type": "error", "ename": "E", "evalue": "boom", "traceback": ["\x1b[0;31mE\x1b[0m: boom"]},
    ]  # fmt: skip
    shown = preview.of(
        notebook(
            *outputs, markdown="# Title\n\n| a |\n|---|\n| b |\n\n[site](https://example.com)", code="x < 1"
        ),
        "n.ipynb",
    )

    assert shown.form == "notebook"
    for kept in ("<h1>Title</h1>", "<td>b</td>", 'href="https://example.com"', "<pre>x &lt; 1</pre>", "a red line\n&lt;b&gt;&amp;",
                 base64.b64encode(PNG).decode(), "<td>7</td>", "E: boom"):  # fmt: skip
        assert kept in shown.page
    assert "<Figure>" not in shown.page


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (PNG, "png"),
        (b"just text", "text"),
        ("\ufeffgrüße".encode(), "text"),
        (b'{"cells": []}', "text"),
        (b'{"cells": [], "nbformat": 4}', "notebook"),
        (b'{"cells": 7, "nbformat": 4}', "text"),
        (b"[" * 100_000, "text"),
        (b"<html><svg></svg></html>", "text"),
        (b"<!DOCTYPE svg [<!ENTITY x 'y'>]><svg></svg>", "text"),
        (b"", "text"),
    ],
)
def test_the_bytes_decide_what_it_is(content: bytes, form: str) -> None:
    assert preview.of(content, "name.bin").form == form


@pytest.mark.parametrize("content", [b"\0\1\2", b"\xff\xfe\xfd", b"PK\3\4\xff\0"])
def test_what_cannot_be_shown_is_said_to_be(content: bytes) -> None:
    with pytest.raises(ControlRoomError, match="has no preview"):
        preview.of(content, "archive.zip")


def test_what_is_long_is_cut_and_says_so() -> None:
    shown = preview.of(b"x" * (preview.MAX_TEXT + 5), "long.txt")

    assert (shown.truncated, "5 more characters are not shown" in shown.page) == (True, True)
