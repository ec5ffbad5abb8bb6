"""LibreOffice: the only one that reads .vsd, and a second opinion on how a .vsdx should look.

file → PDF (LibreOffice) → one picture for each page (poppler)
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .opening import MAX_PAGES, Refused

PIXELS_PER_INCH = 96


class OfficeMissing(Exception):
    """LibreOffice or poppler is not installed here."""


@dataclass(frozen=True)
class Drawn:
    """One page."""

    svg: bytes
    png: bytes


def available() -> bool:
    """Whether a page could be drawn."""
    return all(shutil.which(each) for each in ("soffice", "pdftocairo"))


def draw(data: bytes, suffix: str, scale: float, seconds: float) -> list[Drawn]:
    """Every page. Raises Refused, OfficeMissing."""
    if not available():
        raise OfficeMissing
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source = place / f"diagram{suffix}"
        source.write_bytes(data)
        # a profile of its own: two with one profile wait for each other
        said = _run(
            ["soffice", "--headless", "--norestore", f"-env:UserInstallation={(place / 'profile').as_uri()}",
             "--convert-to", "pdf", "--outdir", str(place), str(source)], place, seconds,
        )  # fmt: skip
        pdf = place / "diagram.pdf"
        if not pdf.is_file():
            raise Refused(f"LibreOffice cannot read it{': ' + said if said else ''}")
        pages: list[Drawn] = []
        while len(pages) < MAX_PAGES:
            number = str(len(pages) + 1)
            only = ["-f", number, "-l", number]
            png, svg = place / "page.png", place / "page.svg"
            for each in (png, svg):
                each.unlink(missing_ok=True)
            resolution = str(round(PIXELS_PER_INCH * scale))
            _run(
                [
                    "pdftocairo",
                    "-png",
                    "-singlefile",
                    "-r",
                    resolution,
                    *only,
                    str(pdf),
                    str(png.with_suffix("")),
                ],
                place,
                seconds,
            )
            if not png.is_file():
                break
            _run(["pdftocairo", "-svg", *only, str(pdf), str(svg)], place, seconds)
            pages.append(Drawn(svg.read_bytes() if svg.is_file() else b"", png.read_bytes()))
        return pages


def _run(argv: list[str], home: Path, seconds: float) -> str:
    try:
        done = subprocess.run(
            argv,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{argv[0]} took longer than {seconds:g} s with it") from error
    return " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
