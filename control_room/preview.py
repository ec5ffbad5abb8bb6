"""An artifact to look at: text, SVG, PNG or a notebook as one page that can do nothing.

Whatever was uploaded is somebody else's. So what is shown is decided by the bytes, not by what is said of
them; markup goes through ammonia's allow-list (by nh3); and the page that holds it forbids itself everything
but what is in it: no script, no request, no frame, no form (ADR 043). It may be opened as a file, or shown by
an application in `<iframe sandbox srcdoc>`.
"""

from __future__ import annotations

import base64
import binascii
import html
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from control_room.errors import ControlRoomError

Form = Literal["text", "svg", "png", "notebook"]

#: Bytes of what is rendered at all, and of text that is shown.
MAX_MARKUP, MAX_TEXT = 10 * 1024**2, 1024**2
MAX_CELLS, MAX_OUTPUT = 1000, 200_000

_PNG = b"\x89PNG\r\n\x1a\n"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24}
pre{background:#f6f8fa;padding:.6rem .8rem;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.cell{margin:1rem 0}.out pre{background:#fff;border-left:3px solid #d0d7de}.error pre{border-color:#cf222e}
table{border-collapse:collapse}td,th{border:1px solid #d0d7de;padding:.2rem .5rem}
img,svg{max-width:100%}.note{color:#57606a}
"""
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.DOTALL)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HTML_TAGS = _words(
    """a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i
    img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th
    thead tr u ul var"""
)
_HTML_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
}
_SVG_TAGS = _words(
    """svg g defs symbol use path rect circle ellipse line polyline polygon text tspan textPath title desc
    marker clipPath mask pattern linearGradient radialGradient stop image switch filter feBlend
    feColorMatrix feComposite feDropShadow feFlood feGaussianBlur feMerge feMergeNode feOffset"""
)
_SVG_ATTRIBUTES = _words(
    """id x y x1 y1 x2 y2 cx cy r rx ry fx fy d points width height viewBox preserveAspectRatio transform
    opacity fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-dasharray
    stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit color font-family font-size
    font-style font-weight text-anchor text-decoration dominant-baseline alignment-baseline
    letter-spacing textLength lengthAdjust dx dy rotate offset stop-color stop-opacity gradientUnits
    gradientTransform spreadMethod patternUnits patternTransform clip-path clip-rule clipPathUnits
    mask maskUnits marker-start marker-mid marker-end markerWidth markerHeight markerUnits refX refY
    orient filter filterUnits in in2 result stdDeviation mode operator values type flood-color
    flood-opacity visibility display href xlink:href xmlns xmlns:xlink version startOffset"""
)
#: What may stand before a drawing's first tag.
_DRAWING = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg[^>\[]*>\s*)?<svg[\s>]", re.DOTALL
)
_DROPPED_WHOLE = _words("script style iframe object template noscript foreignObject")
_INSIDE = re.compile(r"url\(\s*['\"]?#[\w.:-]+['\"]?\s*\)")
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")


@dataclass(frozen=True)
class Preview:
    """`page` is a whole HTML document. `truncated`: not all of it is shown."""

    form: Form
    page: str
    truncated: bool = False


def of(content: bytes, name: str) -> Preview:
    """Raises ControlRoomError for what has no preview, and where the extra `preview` is not installed."""
    if content.startswith(_PNG):
        return Preview("png", _page(name, _image("image/png", content)))
    text = _text(content)
    if text is None:
        raise ControlRoomError(
            f"{name} has no preview", "texts, SVG, PNG and notebooks have one; download it instead"
        )
    if len(content) <= MAX_MARKUP:
        if (cells := _cells(text)) is not None:
            parts = list(_notebook(cells))
            return Preview("notebook", _page(name, "\n".join(parts)), len(cells) > MAX_CELLS)
        if _DRAWING.match(text):
            return Preview("svg", _page(name, svg(text)))
    return Preview("text", _page(name, _pre(text, MAX_TEXT)), len(text) > MAX_TEXT)


def svg(text: str) -> str:
    """What an allow-list leaves of a drawing: no script, no handler, no style, nothing from elsewhere."""
    return _clean(
        text[text.index("<svg") :] if "<svg" in text else "",
        tags=set(_SVG_TAGS),
        attributes={"*": set(_SVG_ATTRIBUTES)},
        attribute_filter=_of_drawing,
    )


def markup(text: str) -> str:
    """What an allow-list leaves of a piece of HTML."""
    return _clean(text, tags=set(_HTML_TAGS), attributes=_HTML_ATTRIBUTES, attribute_filter=_of_page)


def _clean(text: str, **rules: Any) -> str:
    cleaned: str = _library("nh3").clean(
        text,
        clean_content_tags=set(_DROPPED_WHOLE) - rules["tags"],
        url_schemes={"http", "https", "mailto", "data"},
        **rules,
    )
    return cleaned


def _of_drawing(tag: str, attribute: str, value: str) -> str | None:
    if attribute in ("href", "xlink:href"):
        fits = _PICTURE.fullmatch(value) if tag == "image" else value.startswith("#")
        return value if fits else None
    if "(" in value and "url" in value.lower():  # paint servers of the drawing itself, and no other address
        return value if _INSIDE.fullmatch(value.strip()) else None
    return value


def _of_page(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "src":
        return value if _PICTURE.fullmatch(value) else None
    if attribute == "href":
        return value if re.match(r"(?:https?://|mailto:|#)", value, re.IGNORECASE) else None
    return value


# ------------------------------------------------------------------------------------------- notebooks


def _cells(text: str) -> list[Mapping[str, Any]] | None:
    """The cells of a notebook of format 4; None for what is none."""
    if not text.lstrip().startswith("{") or '"cells"' not in text:
        return None
    try:
        book = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(book, dict) or not isinstance(book.get("nbformat"), int):
        return None
    cells = book.get("cells")
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else None


def _notebook(cells: list[Mapping[str, Any]]) -> Iterator[str]:
    for cell in cells[:MAX_CELLS]:
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "markdown":
            yield f'<div class="cell">{_markdown(source)}</div>'
            continue
        shown = [_pre(source, MAX_OUTPUT)] if source else []
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else []:
            if isinstance(output, dict):
                kind = "out error" if output.get("output_type") == "error" else "out"
                shown.append(f'<div class="{kind}">{_output(output)}</div>')
        yield f'<div class="cell">{"".join(shown)}</div>'
    if len(cells) > MAX_CELLS:
        yield f'<p class="note">{len(cells) - MAX_CELLS} more cells are not shown.</p>'


def _output(output: Mapping[str, Any]) -> str:
    """The best of the forms that an output has, of those that can be shown without running anything."""
    if output.get("output_type") == "stream":
        return _pre(_joined(output.get("text")), MAX_OUTPUT)
    if output.get("output_type") == "error":
        return _pre(_joined(output.get("traceback"), "\n") or _joined(output.get("evalue")), MAX_OUTPUT)
    data = output.get("data")
    forms: Mapping[str, Any] = data if isinstance(data, dict) else {}
    for media_type in ("image/png", "image/jpeg"):
        try:
            return _image(media_type, base64.b64decode(_joined(forms[media_type]), validate=False))
        except (KeyError, binascii.Error, ValueError):
            continue
    for media_type, show in (("image/svg+xml", svg), ("text/html", markup), ("text/markdown", _markdown)):
        if text := _joined(forms.get(media_type)):
            if len(text) <= MAX_OUTPUT:
                return show(text)
            return '<p class="note">An output is too large to be shown.</p>'
    text = _joined(forms.get("text/plain")) or _joined(forms.get("text/latex"))
    return _pre(text, MAX_OUTPUT) if text else '<p class="note">An output of a form that is not shown.</p>'


def _markdown(text: str) -> str:
    parser = _library("markdown_it").MarkdownIt("commonmark", {"html": False})
    return markup(parser.enable(["table", "strikethrough"]).render(text[:MAX_OUTPUT]))


def _joined(value: object, between: str = "") -> str:
    """Notebooks keep texts as one string or as lines."""
    if isinstance(value, list):
        return between.join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


# -------------------------------------------------------------------------------------------- the page


def _page(name: str, body: str) -> str:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">'
    head = f'<meta charset="utf-8">{policy}<meta name="referrer" content="no-referrer">'
    head += f"<title>{html.escape(name)}</title><style>{_STYLE}</style>"
    return f"<!doctype html>\n<html><head>{head}</head>\n<body>\n{body}\n</body></html>\n"


def _pre(text: str, most: int) -> str:
    shown = html.escape(_ANSI.sub("", text[:most]).replace("\0", "\ufffd"))
    more = len(text) - most
    return f"<pre>{shown}</pre>" + (
        f'<p class="note">{more} more characters are not shown.</p>' if more > 0 else ""
    )


def _image(media_type: str, content: bytes) -> str:
    return f'<img alt="" src="data:{media_type};base64,{base64.b64encode(content).decode()}">'


def _text(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ControlRoomError(
            f"previews need {name}, which is not installed", "pip install 'control-room[preview]'"
        ) from error
