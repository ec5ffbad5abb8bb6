"""What the docs tell people to type is typed here, as it stands, in the order of the page."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import typer.main

from control_room.cli.main import app
from dev.stack.state import CLONE, home
from tests.acceptance import pages
from tests.acceptance.pages import LANGUAGES, SHELL, Block, Page

PAGES = pages.pages()
BLOCKS = [block for page in PAGES for block in page.blocks]
QUICKSTART = "docs/quickstart.md"
# as scripts/test --with knows them
HEAVY = {
    "validation",
    "migration",
    "diagrams",
    "continue",
    "kubernetes",
    "container",
    "n8n",
    "odoo",
    "supabase",
}
# of these the everyday suite has the engines
EVERYDAY = {"validation", "migration"}
SECONDS = 600

# What the quickstart has its reader do once; the other pages go on from there.
PREAMBLE = """
scripts/stack tenant acme > /dev/null
eval "$(scripts/stack env)"
export CONTROL_ROOM_TOKEN="$(scripts/stack token --tenant acme --role operator)"
export PATH="$PWD/.venv/bin:$PATH"
"""


@dataclass(frozen=True)
class Reader:
    """Somebody in a clone, with a shell."""

    clone: Path
    environment: dict[str, str]

    def types(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{script}"],
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """In a folder that looks like this clone, so that what is typed leaves nothing in it; with a stack of its own."""
    clone = tmp_path_factory.mktemp("reader")
    for entry in CLONE.iterdir():
        if entry.name not in {"scripts", "out"}:
            (clone / entry.name).symlink_to(entry)
    # those of this clone, for its .venv is bound to it: from elsewhere scripts/setup would make it anew
    (clone / "scripts").mkdir()
    for entry in (CLONE / "scripts").iterdir():
        shim = clone / "scripts" / entry.name
        shim.write_text(f'#!/bin/sh\nexec {entry} "$@"\n')
        shim.chmod(0o755)
    root = home() / "testbeds" / f"docs-{os.getpid()}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONTROL_ROOM_")}
    kept |= {name: os.environ[name] for name in ("CONTROL_ROOM_HOME",) if name in os.environ}
    someone = Reader(clone, {**kept, "CONTROL_ROOM_STACK_DIR": str(root), "NO_COLOR": "1"})
    yield someone
    someone.types("scripts/stack down")
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def at_hand(request: pytest.FixtureRequest) -> frozenset[str]:
    told = {name.strip() for name in request.config.getoption("--with").split(",")}
    return frozenset(told | EVERYDAY)


def read_by(reader: Reader, page: Page, at_hand: frozenset[str], long: bool) -> None:
    preamble = "" if page.name == QUICKSTART else f"scripts/stack up > /dev/null\n{PREAMBLE}"

    done = reader.types(preamble + pages.script(page, at_hand, long))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_quickstart_does_what_it_says(reader: Reader, is_long: bool, at_hand: frozenset[str]) -> None:
    [page] = [it for it in PAGES if it.name == QUICKSTART]

    read_by(reader, page, at_hand, is_long)


@pytest.mark.long
@pytest.mark.parametrize(
    "page",
    [it for it in PAGES if it.name != QUICKSTART and pages.script(it, frozenset(HEAVY), True)],
    ids=lambda it: it.name,
)
def test_the_page_does_what_it_says(reader: Reader, page: Page, at_hand: frozenset[str]) -> None:
    read_by(reader, page, at_hand, long=True)


@pytest.mark.long
def test_who_has_nothing_but_the_clone_has_a_job_of_his_own_done_within_ten_minutes(tmp_path: Path) -> None:
    """A real clone, an environment made anew, and the quickstart."""
    clone = home() / "testbeds" / f"newcomer-{os.getpid()}"
    run = subprocess.run(["git", "clone", "-q", CLONE, clone], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    [page] = [it for it in PAGES if it.name == QUICKSTART]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONTROL_ROOM_")}
    newcomer = Reader(clone, {**kept, "CONTROL_ROOM_STACK_DIR": str(clone / "stack"), "NO_COLOR": "1"})
    try:
        done = newcomer.types(pages.script(page, frozenset(), long=False))
    finally:
        newcomer.types("scripts/stack down")
        shutil.rmtree(clone, ignore_errors=True)

    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------------------------ what needs no stack


@pytest.mark.parametrize("block", BLOCKS, ids=lambda it: it.place)
def test_each_block_says_how_it_is_kept_true(block: Block) -> None:
    assert block.language in LANGUAGES, f"{block.place}: a block names its language"
    assert not block.unknown
    assert block.needs <= HEAVY
    if block.language == SHELL:
        typed = re.sub(r"#.*", "", block.text)
        assert "…" not in typed, f"{block.place}: what has gaps cannot be typed: make it text"
    if block.language == "json":
        json.loads(block.text)


@pytest.mark.parametrize("block", [it for it in BLOCKS if it.elsewhere], ids=lambda it: it.place)
def test_what_is_typed_elsewhere_is(block: Block) -> None:
    said = "".join((CLONE / name).read_text() for name in block.elsewhere)

    assert block.commands
    for command in block.commands:
        assert command.rpartition("/")[2] in said, f"{block.place}: {command}"


@functools.cache
def command_line() -> click.Command:
    return typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_command_that_is_mentioned_is_there(page: Page) -> None:
    root = command_line()
    for told in re.findall(r"`(?:\.venv/bin/)?control-room ((?:[a-z]+ ?)+)", page.prose):
        command: click.Command = root
        for word in told.split():
            if not isinstance(command, click.Group):
                break
            assert word in command.commands, f"{page.name}: control-room {told}"
            command = command.commands[word]


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_verb_that_is_mentioned_is_there(page: Page) -> None:
    known = {
        (method, re.sub(r"\{\w+\}", "{}", path))
        for method, path in re.findall(r"(?m)^### ([A-Z]+) (\S+)$", (CLONE / "docs" / "api.md").read_text())
    }
    for method, path in re.findall(r"`(GET|POST|PATCH|DELETE) ((?:/[\w.{}-]+)+)", page.prose):
        bare = re.sub(r"^/functions/v1", "", path)
        bare = re.sub(r"^/api/v1", "", bare)
        if bare.startswith(("/storage", "/rest", "/webhook", "/executions")):
            continue
        # a number stands for any
        assert (method, re.sub(r"\{\w+\}|(?<=/)\d+", "{}", bare)) in known, f"{page.name}: {method} {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_link_leads_to_a_file(page: Page) -> None:
    folder = (CLONE / page.name).parent
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.prose):
        assert (folder / target).exists(), f"{page.name}: {target}"


@functools.cache
def variables() -> frozenset[str]:
    """All that the code names."""
    places = ["runner", "dev", "control_room", "scripts", "deploy", "supabase/functions", "tests/conftest.py"]
    listed = subprocess.run(
        ["git", "grep", "-hoE", "CONTROL_ROOM_[A-Z0-9_]+", "--", *places, "action.yml", "pyproject.toml"],
        cwd=CLONE,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(listed.stdout.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_variable_that_is_mentioned_is_read_somewhere(page: Page) -> None:
    families = (
        "CONTROL_ROOM_EXECUTOR_",
        "CONTROL_ROOM_IMAGE_",
        "CONTROL_ROOM_TARGET_",
        "CONTROL_ROOM_SECRET_",
    )
    for name in re.findall(r"(?<![\w.])CONTROL_ROOM_[A-Z0-9_]*[A-Z0-9]\b", page.text):
        if not name.startswith(families):
            assert any(it == name or it.startswith(f"{name}_") for it in variables()), f"{page.name}: {name}"
