"""The pages of docs/, as what they are to a reader: text, and things to type.

A fenced block says in its info string how it is kept true:

    sh                      typed by a test, in order, page by page, in one shell
    sh needs=diagrams       … where that engine is at hand (scripts/test --with diagrams)
    sh long                 … with scripts/test --long
    sh elsewhere=FILE,FILE  typed by another test or script: FILE names each of its commands; a page has each line
    sh on=droplet           typed by a test that has such a place, or such trouble, at hand (PLACES): one shell for all
                            blocks of a page that are of the same place
    sh untried=hosted       cannot be typed by a test, for the reason in UNTRIED; its options are looked up
    sql long, sql on=…      typed into psql, as the database's owner
    python file=job.py      written to that file, for the commands after it (any language)
    text                    nothing that anybody types; so are http, mermaid and other languages
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

CLONE = Path(__file__).resolve().parents[2]
SHELL = "sh"
#: Where a page is typed that speaks of another machine, or of trouble; the file that makes it asks for `at(page, place)`.
PLACES: Mapping[str, str] = {
    "cluster": "tests/contract/test_deploy_cluster.py",
    "dead-endpoint": "tests/acceptance/test_runbooks.py",
    "droplet": "tests/contract/test_droplet.py",
    "full-database": "tests/acceptance/test_runbooks.py",
    "full-disk": "tests/acceptance/test_runbooks.py",
    "images": "tests/acceptance/test_runbooks.py",
    "lost-runner": "tests/acceptance/test_runbooks.py",
    "n8n": "tests/acceptance/rescue/test_n8n.py",
    "project": "tests/integration/test_project.py",
    "stuck-run": "tests/acceptance/test_runbooks.py",
}
#: What is typed by no test, and why.
UNTRIED: Mapping[str, str] = {
    "digitalocean": "wants an account there, and makes a machine that costs money",
    "hosted": "wants a project at supabase.com",
    "shell": "changes the shell or the editor of whoever reads it",
}
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
    on: str | None = None
    untried: str | None = None
    unknown: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_typed(self) -> bool:
        """Whether somebody types it, here or there."""
        return self.language == SHELL or (self.language == "sql" and (self.long or self.on is not None))

    @property
    def lines(self) -> list[str]:
        """What is typed, without remarks; a line that is broken is one."""
        joined = re.sub(r"\\\n *", " ", self.text).splitlines()
        bare = (re.sub(r"(^|\s+)#\s.*", "", line).strip() for line in joined)
        return [re.sub(r" +", " ", line) for line in bare if line]

    @property
    def commands(self) -> list[str]:
        """First words of its lines."""
        return [line.split()[0] for line in self.lines]


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
    files += [*sorted((CLONE / "docs").glob("*.md")), *sorted((CLONE / "examples").glob("*/README.md"))]
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
        on=told.get("on"),
        untried=told.get("untried"),
        unknown=tuple(told.keys() - {"file", "needs", "long", "elsewhere", "on", "untried"}),
    )


def page(name: str) -> Page:
    """The page of that name, docs/operations.md."""
    return read(CLONE / name)


def script(
    page: Page, at_hand: frozenset[str], long: bool, stand_ins: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What a reader types who has what is `at_hand`; each block tells its place first, so that a failure names it.
    What is the reader's own on the page, an address or a name, is replaced by what stands in for it."""
    return "\n".join(
        _typed(block, stand_ins)
        for block in page.blocks
        if not (
            block.needs - at_hand or (block.long and not long) or block.elsewhere or block.on or block.untried
        )
    )


def at(name: str, place: str, stand_ins: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What is typed on the page of that name at that place, block by block."""
    assert place in PLACES, place
    return [_typed(block, stand_ins) for block in page(name).blocks if block.on == place]


def _typed(block: Block, stand_ins: Mapping[str, str]) -> str:
    text = block.text
    for said, meant in stand_ins.items():
        text = text.replace(said, meant)
    if block.file:
        return f"mkdir -p \"$(dirname '{block.file}')\"\ncat > '{block.file}' <<'END OF THE FILE'\n{text}END OF THE FILE"
    if not block.is_typed:
        return ""
    told = f"echo '>>> {block.place}' >&2\n"
    if block.language == "sql":
        return f"{told}psql -X -v ON_ERROR_STOP=1 \"$DATABASE_URL\" <<'END OF THE SQL'\n{text}END OF THE SQL"
    return told + text
