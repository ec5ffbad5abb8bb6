"""A lineage graph as a picture: SVG of our own, and DOT and Mermaid text for other tools.

Left to right; a dataset is a box with its columns, coloured by layer; a job is a pill. Lines from box to box
are what a job read and wrote, the fine lines from column to column are where values came from.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from control_room.flow import ColumnFlow, Dataset, Flow, Layer
from control_room.layout import Layout, Pill, Place, Size, lay_out

Form = Literal["svg", "dot", "mermaid"]


@dataclass(frozen=True)
class Ink:
    """Ground of the head, line around, ink of the name."""

    ground: str
    line: str
    text: str


INKS: dict[Layer, Ink] = {
    "file": Ink("#e0f2fe", "#8ccbee", "#075985"),
    "other": Ink("#f1f5f9", "#cbd5e1", "#334155"),
    "bronze": Ink("#f6e7d8", "#d6a878", "#7c4a1e"),
    "silver": Ink("#e8edf3", "#a9b8c9", "#37475a"),
    "gold": Ink("#fdf0c4", "#e3bd4a", "#745308"),
}
JOB = Ink("#ede9fe", "#b9a8f5", "#4c2f9e")
_FLOW, _VALUE, _FAINT, _INK = "#8494aa", "#9fb0d6", "#7b899d", "#1e293b"
_SANS = "Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"
_MONO = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

#: Lines of columns in one box; a wide table would otherwise be the whole picture.
SHOWN_COLUMNS = 24
_DECIDING = frozenset({"conditional", "window"})
_MARGIN, _HEAD, _ROW, _FOOT = 28.0, 34.0, 20.0, 7.0
# advance of a character in em: every monospaced face in use has 0.6, bold Latin text of a sans about as much
_MONO_EM, _SANS_EM = 0.602, 0.60


def draw(flow: Flow, form: Form, *, columns: bool = True) -> str:
    """The picture as text of the given form."""
    match form:
        case "svg":
            return svg(flow, columns=columns)
        case "dot":
            return dot(flow)
        case "mermaid":
            return mermaid(flow)
        case _:
            assert_never(form)


# ------------------------------------------------------------------------------------------------------- SVG


def svg(flow: Flow, *, columns: bool = True) -> str:
    """A self-contained SVG of the whole graph; titles tell, on hover, what a line means."""
    boxes = {it.id: _box_size(it, columns=columns) for it in flow.datasets.values()}
    pills = {it: Size(len(it.job) * 12 * _SANS_EM + 26, 24.0) for it in flow.steps}
    layout = lay_out(flow, boxes, pills, anchor=_HEAD / 2)
    left = min([0.0, *(it.x - it.size.width / 2 - 20 for it in layout.pills)])
    width, height = layout.size.width - left + 2 * _MARGIN, layout.size.height + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="lineage">',
        _STYLE,
        '<rect width="100%" height="100%" rx="14" fill="#ffffff"/>',
        f'<g transform="translate({_MARGIN - left:.1f} {_MARGIN:.1f})">',
        *(_column_line(it, flow, layout) for it in flow.columns if columns and _is_drawn(it, flow)),
        *(line for pill in layout.pills for line in _step_lines(pill, layout)),
        *(_pill(it) for it in layout.pills),
        *(_box(it, layout.places[it.id], columns=columns) for it in flow.datasets.values()),
        "</g>",
        "</svg>",
    ]
    return "\n".join([*parts, ""])


_STYLE = f"""<style>
text {{ font-family: {_SANS}; font-size: 12px; fill: {_INK}; }}
.name {{ font-weight: 600; font-size: 13px; }}
.kind, .type {{ font-size: 10px; fill: {_FAINT}; }}
.column {{ font-family: {_MONO}; font-size: 11px; }}
.flow {{ fill: none; stroke: {_FLOW}; stroke-width: 1.6; }}
.value {{ fill: none; stroke: {_VALUE}; stroke-width: 1; }}
.value:hover {{ stroke: {JOB.text}; stroke-width: 2.2; }}
</style>
<defs>
<marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="6.5" markerHeight="6.5" orient="auto">
<path d="M0 0.6 L8 4 L0 7.4 z" fill="{_FLOW}"/></marker></defs>"""


def _box_size(dataset: Dataset, *, columns: bool) -> Size:
    shown = dataset.columns[:SHOWN_COLUMNS] if columns else ()
    head = len(dataset.name) * 13 * _SANS_EM + len(dataset.layer) * 10 * _SANS_EM + 40
    rows = [len(it.name) * 11 * _MONO_EM + len(it.type) * 10 * _SANS_EM + 44 for it in shown]
    more = 1 if columns and len(dataset.columns) > SHOWN_COLUMNS else 0
    lines = len(shown) + more
    return Size(max([140.0, head, *rows]), _HEAD + lines * _ROW + (_FOOT if lines else 0))


def _box(dataset: Dataset, place: Place, *, columns: bool) -> str:
    theme = INKS[dataset.layer]
    width, height = place.size.width, place.size.height
    # the head's ground: round at the top, and below as well where no column follows
    foot = f"V{_HEAD} H0" if height > _HEAD else f"V{_HEAD - 9} q0 9 -9 9 H9 q-9 0 -9 -9"
    head = f"M0 9 q0 -9 9 -9 H{width - 9:.1f} q9 0 9 9 {foot} z"
    lines = [
        f'<g transform="translate({place.x:.1f} {place.y:.1f})">',
        f"<title>{_text(f'{dataset.namespace} {dataset.name}')}</title>",
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="9" fill="#ffffff"/>',
        f'<path d="{head}" fill="{theme.ground}"/>',
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="9" fill="none" stroke="{theme.line}"/>',
        _label("name", dataset.name, 13, 21.5, f"fill:{theme.text}"),
        _label("kind", _kind(dataset), -(width - 13), 21, f"fill:{theme.text};opacity:.55"),
    ]
    shown = dataset.columns[:SHOWN_COLUMNS] if columns else ()
    for number, column in enumerate(shown):
        y = _row(number) + 4
        lines.append(_label("column", column.name, 13, y))
        lines.append(_label("type", column.type.lower(), -(width - 13), y))
    hidden = len(dataset.columns) - len(shown)
    if columns and hidden:
        lines.append(_label("type", f"and {hidden} more", 13, _row(len(shown)) + 4))
    return "\n".join([*lines, "</g>"])


def _label(kind: str, text: str, x: float, y: float, style: str = "") -> str:
    """A line of text; a negative `x` is where it ends."""
    end = ' text-anchor="end"' if x < 0 else ""
    look = f' style="{style}"' if style else ""
    return f'<text class="{kind}" x="{abs(x):.1f}" y="{y:.1f}"{end}{look}>{_text(text)}</text>'


def _kind(dataset: Dataset) -> str:
    return {"file": "file", "other": "outside"}.get(dataset.layer, dataset.layer)


def _row(number: int) -> float:
    return _HEAD + 3 + _ROW * (number + 0.5)


def _pill(pill: Pill) -> str:
    width, height = pill.size.width, pill.size.height
    return (
        f'<g transform="translate({pill.x - width / 2:.1f} {pill.y - height / 2:.1f})">'
        f'<rect width="{width:.1f}" height="{height:.1f}" rx="{height / 2:.1f}" fill="{JOB.ground}"'
        f' stroke="{JOB.line}"/><text x="{width / 2:.1f}" y="16" text-anchor="middle"'
        f' style="fill:{JOB.text};font-weight:500">{_text(pill.step.job)}</text></g>'
    )


def _step_lines(pill: Pill, layout: Layout) -> Iterable[str]:
    west, east = pill.x - pill.size.width / 2, pill.x + pill.size.width / 2
    for source in pill.step.ins:
        place = layout.places[source]
        if place.rank < pill.rank:
            start = (place.x + place.size.width, place.y + _HEAD / 2)
            points = [start, *layout.lanes.get((source, pill.rank), ()), (west, pill.y)]
            yield f'<path class="flow" d="{_curve(points)}"/>'
    for out in pill.outs:
        place = layout.places[out]
        points = [(east, pill.y), (place.x, place.y + _HEAD / 2)]
        yield f'<path class="flow" marker-end="url(#tip)" d="{_curve(points)}"/>'


def _is_drawn(it: ColumnFlow, flow: Flow) -> bool:
    """Where a value came from, or what decided on it; what filtered or joined touches every column."""
    told = it.direct or it.how in _DECIDING
    return told and it.source != it.target and {it.source, it.target} <= set(flow.datasets)


def _column_line(it: ColumnFlow, flow: Flow, layout: Layout) -> str:
    start, end = (
        _port(flow.datasets[it.source], it.source_field),
        _port(flow.datasets[it.target], it.target_field),
    )
    left, right = layout.places[it.source], layout.places[it.target]
    if start is None or end is None or left.rank >= right.rank:
        return ""
    points = [
        (left.x + left.size.width, left.y + start),
        *layout.lanes.get((it.source, right.rank), ()),
        (right.x, right.y + end),
    ]
    origin = f"{flow.datasets[it.source].name}.{it.source_field}"
    title = f"{origin} → {flow.datasets[it.target].name}.{it.target_field}" + (
        f" ({it.how})" if it.how else ""
    )
    dashed = "" if it.direct else ' stroke-dasharray="3 3"'
    return f'<path class="value"{dashed} d="{_curve(points)}"><title>{_text(title)}</title></path>'


def _port(dataset: Dataset, field: str) -> float | None:
    for number, column in enumerate(dataset.columns):
        if column.name == field:
            return _row(min(number, SHOWN_COLUMNS))
    return None


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Level at every point, so that lines leave and reach boxes straight."""
    (x, y), *rest = points
    path = f"M{x:.1f} {y:.1f}"
    for to_x, to_y in rest:
        bend = (to_x - x) / 2
        path += f" C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return path


def _text(text: str) -> str:
    # control characters are no XML, whatever a table is called
    return html.escape(re.sub(r"[\x00-\x08\x0b-\x1f]", "�", text))


# ------------------------------------------------------------------------------------------------------ text


def dot(flow: Flow) -> str:
    """For Graphviz."""
    names = _names(flow)
    lines = [
        "digraph lineage {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif"];',
    ]
    for dataset in flow.datasets.values():
        lines.append(
            f"  {names[dataset.id]} [label={_quoted(dataset.name)}, {_dot_ink(INKS[dataset.layer])}];"
        )
    for number, step in enumerate(flow.steps):
        lines.append(f"  j{number} [shape=ellipse, label={_quoted(step.job)}, {_dot_ink(JOB)}];")
        lines += [f"  {names[source]} -> j{number};" for source in step.ins]
        lines += [f"  j{number} -> {names[target]};" for target in step.outs]
    return "\n".join([*lines, "}", ""])


def mermaid(flow: Flow) -> str:
    """For Markdown: GitHub and others draw it."""
    names = _names(flow)
    lines = ["flowchart LR"]
    lines += [f"  {names[it.id]}[{_plain(it.name)}]:::{it.layer}" for it in flow.datasets.values()]
    for number, step in enumerate(flow.steps):
        lines.append(f"  j{number}([{_plain(step.job)}]):::job")
        lines += [f"  {names[source]} --> j{number}" for source in step.ins]
        lines += [f"  j{number} --> {names[target]}" for target in step.outs]
    lines += [
        f"  classDef {name} fill:{theme.ground},stroke:{theme.line},color:{theme.text}"
        for name, theme in [*INKS.items(), ("job", JOB)]
    ]
    return "\n".join([*lines, ""])


def _names(flow: Flow) -> dict[str, str]:
    """Ids hold colons, slashes and whatever people call their tables: the texts have names of their own."""
    return {dataset: f"d{number}" for number, dataset in enumerate(flow.datasets)}


def _dot_ink(theme: Ink) -> str:
    return f'fillcolor="{theme.ground}", color="{theme.line}", fontcolor="{theme.text}"'


def _quoted(text: str) -> str:
    return '"' + re.sub(r"\s+", " ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(text: str) -> str:
    """Mermaid's quoting: everything unusual as a character entity."""
    return '"' + re.sub(r"[^\w .,/@+-]", lambda sign: f"#{ord(sign.group())};", text) + '"'
