"""`python -m control_room_diagrams`, in /job: inputs in, outputs and result.json out. Exits 65 with
`refused.json` when a file cannot be exported, 70 when Chromium fails.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from . import mending, mxfile, office, opening
from .browser import BrowserFailed
from .drawio import Drawio
from .opening import Old, Refused, Visio

REFUSED = 65
FAILED = 70
SIDE_CHANNEL = ".control-room"
MAX_SIDE = 16_000  # what Chromium draws in one piece
Json = dict[str, Any]


class Export:
    """One attempt."""

    def __init__(self, root: Path, request: Json) -> None:
        self._root = root
        self._formats = frozenset(request["formats"])
        self._scale = float(request["scale"])
        self._reference = bool(request["reference"])
        self._names: set[str] = set()
        self._end = time.monotonic() + float(request["seconds"])
        self._drawio: Drawio | None = None

    def run(self, names: list[str]) -> list[Json]:
        """Every input. Raises Refused, BrowserFailed."""
        try:
            return [self._one(number, name, len(names)) for number, name in enumerate(names)]
        finally:
            if self._drawio is not None:
                self._drawio.__exit__(None, None, None)

    def _one(self, number: int, name: str, count: int) -> Json:
        said: Json = {"input": name, "outputs": [], "warnings": []}
        try:
            data = (self._root / "inputs" / name).read_bytes()
            source = opening.read(data)
            stem = self._stem(name)
            match source:
                case Old():
                    self._old(source, stem, said)
                case Visio():
                    pages = mxfile.read(self._browser().from_visio(data))
                    if not pages:
                        raise Refused("draw.io found no page in it")
                    mended = mending.mend(pages, source)
                    said["mended"] = {"labels": mended.labels, "curves": mended.curves}
                    self._draw(pages, stem, said)
                    if self._reference:
                        self._refer(data, stem, said)
                case _:
                    self._draw(mxfile.read(source.text), stem, said)
        except Refused as error:
            raise Refused(f"{name}: {error}") from error
        print(f"::progress {5 + 90 * (number + 1) // count} {name}: {len(said['outputs'])} files", flush=True)
        return said

    def _draw(self, pages: list[mxfile.Page], stem: str, said: Json) -> None:
        text = mxfile.write(pages)
        said["pages"] = [
            {"name": page.name, "shapes": len(page.vertices), "connectors": len(page.edges)} for page in pages
        ]
        if "drawio" in self._formats:
            self._write(
                f"{stem}.drawio",
                text.encode(),
                said,
                kind="diagram",
                content_type="application/vnd.jgraph.mxfile",
            )
        if not self._formats & {"svg", "png"}:
            return
        for number in range(len(pages)):
            picture = self._browser().draw(text, number, self._scale, MAX_SIDE)
            if picture.scale != self._scale:
                said["warnings"].append(
                    f"page {number + 1} is large: drawn at {picture.scale:.2f} instead of {self._scale:g}"
                )
            self._pictures(f"{stem}-{number + 1}", picture.svg.encode(), picture.png, said, number + 1)

    def _pictures(self, stem: str, svg: bytes, png: bytes, said: Json, page: int) -> None:
        if "svg" in self._formats and svg:
            self._write(f"{stem}.svg", svg, said, kind="diagram", content_type="image/svg+xml", page=page)
        if "png" in self._formats:
            self._write(f"{stem}.png", png, said, kind="diagram", content_type="image/png", page=page)

    def _old(self, source: Old, stem: str, said: Json) -> None:
        """draw.io reads .vsd by a service of its own only; LibreOffice draws it, and there is no .drawio."""
        try:
            drawn = office.draw(source.data, ".vsd", self._scale, self._left())
        except office.OfficeMissing as error:
            raise Refused(
                "a .vsd is drawn by LibreOffice, which this runner lacks: save it as .vsdx"
            ) from error
        if not drawn:
            raise Refused("LibreOffice found no page in it")
        said["pages"] = [{"name": f"Page-{n}"} for n in range(1, len(drawn) + 1)]
        said["warnings"].append("a .vsd has no .drawio: save it as .vsdx for one")
        for number, page in enumerate(drawn, 1):
            self._pictures(f"{stem}-{number}", page.svg, page.png, said, number)

    def _refer(self, data: bytes, stem: str, said: Json) -> None:
        try:
            drawn = office.draw(data, ".vsdx", self._scale, self._left())
        except (office.OfficeMissing, Refused) as error:
            said["warnings"].append(f"there is no reference: {error or 'LibreOffice is not installed'}")
            return
        for number, page in enumerate(drawn, 1):
            self._write(
                f"{stem}-{number}.reference.png",
                page.png,
                said,
                kind="diagram",
                content_type="image/png",
                page=number,
            )

    def _write(self, name: str, data: bytes, said: Json, **told: Any) -> None:
        (self._root / "outputs" / name).write_bytes(data)
        said["outputs"].append({"name": name, **told})

    def _browser(self) -> Drawio:
        if self._drawio is None:
            # the last chance to stop by ourselves, with a reason
            self._drawio = Drawio(Path(sys.prefix), self._left())
            self._drawio.__enter__()
        return self._drawio

    def _left(self) -> float:
        return max(1.0, self._end - time.monotonic())

    def _stem(self, name: str) -> str:
        stem = re.sub(
            r"[^A-Za-z0-9_.-]", "_", re.sub(r"\.(vsdx|vsd|drawio|xml)$", "", name, flags=re.IGNORECASE)
        )
        stem = stem.lstrip(".-") or "diagram"
        if stem in self._names:
            stem = name.replace(".", "_")
        self._names.add(stem)
        return stem


def main() -> int:
    """One attempt."""
    root = Path.cwd()
    request = json.loads((root / SIDE_CHANNEL / "request.json").read_text("utf-8"))
    try:
        files = Export(root, request).run(request["inputs"])
    except Refused as error:
        return _end(root, REFUSED, str(error))
    except BrowserFailed as error:
        return _end(root, FAILED, f"draw.io could not do it: {error}")
    (root / SIDE_CHANNEL / "result.json").write_text(json.dumps(files), "utf-8")
    return 0


def _end(root: Path, code: int, why: str) -> int:
    line = " ".join(why.split())[:500]
    (root / SIDE_CHANNEL / "refused.json").write_text(json.dumps(line), "utf-8")
    print(f"control room: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
