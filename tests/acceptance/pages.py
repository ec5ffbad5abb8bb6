"""The pages of docs/, as what they are to a reader: text, and things to type.

A fenced block says in its info string how it is kept true:

    sh                      typed by a test, in order, page by page, in one shell
    sh needs=diagrams       … where that engine is at hand (scripts/test --with diagrams)
    sh long                 … with scripts/test --long
    sh elsewhere=FILE,FILE  typed by another test or script: FILE names each of its commands
    python file=job.py      written to that file, for the commands after it (any language)
    text                    not to be typed as it stands; so are http, mermaid and other languages
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
SHELL = "sh"
LANGUAGES = frozenset("sh python sql json yaml text http mermaid toml xml nginx".split())  # noqa: SIM905
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str
    file: str | None = None
    needs: frozenset[str] = frozenset()
    long: bool = False
    elsewhere: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """First words of its lines."""
        lines = re.sub(r"\\\n", " ", self.text).splitlines()
        return [line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]


@dataclass(frozen=True)
class Page:
    name: str
    text: str
    blocks: Sequence[Block] = field(repr=False)

    @property
    def prose(self) -> str:
        """What is not in blocks."""
        return re.sub(r"(?ms)^ *```.*?^ *```$", "", self.text)


def pages() -> list[Page]:
    """The pages that are written by hand; those that are made are held by scripts/check."""
    files = [*(CLONE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
    files += sorted((CLONE / "docs").glob("*.md"))
    made = {"errors.md", "api.md", "rpc.md"}
    return [read(file) for file in files if file.name not in made]


def read(file: Path) -> Page:
    name = str(file.relative_to(CLONE))
    text = file.read_text()
    blocks: list[Block] = []
    opened: tuple[int, str, int] | None = None
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened, inside = (number, fence["info"], len(fence["indent"])), []
        elif fence and opened is not None and not fence["info"]:
            blocks.append(_block(name, opened[0], opened[1], "\n".join(inside) + "\n"))
            opened = None
        elif opened is not None:
            inside.append(line[opened[2] :])
    return Page(name, text, blocks)


def _block(page: str, line: int, info: str, text: str) -> Block:
    language, *words = info.split() or [""]
    told = dict(word.partition("=")[::2] for word in words)
    return Block(
        page,
        line,
        language,
        text,
        file=told.get("file"),
        needs=frozenset(filter(None, told.get("needs", "").split(","))),
        long="long" in told,
        elsewhere=tuple(filter(None, told.get("elsewhere", "").split(","))),
        unknown=tuple(told.keys() - {"file", "needs", "long", "elsewhere"}),
    )


def script(page: Page, at_hand: frozenset[str], long: bool) -> str:
    """What a reader types who has what is `at_hand`; each block tells its place first, so that a failure names it."""
    parts = []
    for block in page.blocks:
        if block.needs - at_hand or (block.long and not long) or block.elsewhere:
            continue
        if block.file:
            parts.append(f"mkdir -p \"$(dirname '{block.file}')\"")
            parts.append(f"cat > '{block.file}' <<'END OF THE FILE'\n{block.text}END OF THE FILE")
        elif block.language == SHELL:
            parts.append(f"echo '>>> {block.place}' >&2\n{block.text}")
    return "\n".join(parts)
