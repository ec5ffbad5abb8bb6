"""What the docs tell people to type is typed here, as it stands, in the order of the page."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.exceptions import TyperException

from control_room.cli.main import app
from dev.model.script import Script
from dev.model.server import ScriptedModel
from dev.stack import npm
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
SUPABASE = home() / "supabase" / npm.SUPABASE / "supabase"

# What a person types begins so.
COMMAND = re.compile(
    r"(\./|scripts/|deploy/|export |eval |sed |cp |du |psql |pip3? |python3? |uv |npm |git |curl |ssh |sudo |systemctl |journalctl "
    r"|docker |podman |kubectl |helm |doctl |supabase |n8n |cn |rclone |control-room(-release)? )"
)
MODEL_KEY = "sk-of-the-scripted-model"
WRITTEN = {"say": "written"}
JOB = '''"""Count the orders of each country."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.getOrCreate()
orders = spark.read.option("header", True).csv("/job/inputs/orders")
counted = orders.groupBy("country").agg(F.count("*").alias("orders"))
counted.write.mode("overwrite").parquet("/job/outputs/by_country")
'''

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
        if entry.name not in {"scripts", "out", ".git"}:
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
    someone.environment["XDG_CONFIG_HOME"] = str(clone / "config")
    # as an editor's reader has it
    someone.environment["PATH"] += f":{home() / 'engines' / 'continue' / 'node_modules' / '.bin'}"
    someone.environment["PATH"] += f":{SUPABASE.parent}"
    yield someone
    someone.types("scripts/stack down")
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def at_hand(request: pytest.FixtureRequest) -> frozenset[str]:
    told = {name.strip() for name in request.config.getoption("--with").split(",")}
    return frozenset(told | EVERYDAY)


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    """What stands where the page's reader has a model of his own."""
    team = {
        "when": ["into the folder etl/"],
        "turns": [{"write": {"etl/orders_by_country/job.py": JOB}}, WRITTEN],
    }
    made = ScriptedModel(Script.of([team, {"turns": [{"write": {"job.py": JOB}}, WRITTEN]}]), key=MODEL_KEY)
    yield made
    made.close()


def read_by(
    reader: Reader,
    page: Page,
    at_hand: frozenset[str],
    long: bool,
    stand_ins: Mapping[str, str] | None = None,
) -> None:
    preamble = "" if page.name == QUICKSTART else f"scripts/stack up > /dev/null\n{PREAMBLE}"

    done = reader.types(preamble + pages.script(page, at_hand, long, stand_ins or {}))

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
def test_the_page_does_what_it_says(
    reader: Reader, page: Page, at_hand: frozenset[str], model: ScriptedModel
) -> None:
    (reader.clone / "model.key").write_text(f"{MODEL_KEY}\n")

    read_by(reader, page, at_hand, True, {"https://llm.example/v1": model.url})


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
    assert block.untried is None or block.untried in pages.UNTRIED
    if not (block.is_typed or block.file or block.language == "yaml"):
        for line in block.lines:
            assert not COMMAND.match(line), f"{block.place}: make it sh, and say how it is kept true: {line}"
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
    for name in block.elsewhere:
        if name.endswith(".md"):
            typed = {line for it in pages.page(name).blocks if it.is_typed for line in it.lines}
            assert {*block.lines} <= typed, f"{block.place}: {name} has it otherwise"


@pytest.mark.parametrize("block", [it for it in BLOCKS if it.on], ids=lambda it: it.place)
def test_what_is_typed_at_another_place_is_asked_for_there(block: Block) -> None:
    assert block.on is not None
    made = (CLONE / pages.PLACES[block.on]).read_text()

    assert re.search(rf'at\(\s*"{block.page}", "{block.on}"', made), (
        f"{block.place}: {pages.PLACES[block.on]} does not type it"
    )


def test_each_block_is_whole_as_the_shell_reads_it(tmp_path: Path) -> None:
    shellcheck = home() / "engines" / "validation" / "bin" / "shellcheck"
    files = []
    for block in BLOCKS:
        if block.language == SHELL:
            files.append(tmp_path / block.place.replace("/", "_"))
            files[-1].write_text(block.text)
    # 2034, 2154: what one block sets, or the page's reader has, another reads; 2016: expressions of jq and SQL;
    # 2094: a file is read and a name made of it; 2155, 2164: who reads sees a command fail
    told = ["--shell=bash", "--exclude=SC2016,SC2034,SC2094,SC2154,SC2155,SC2164", "--format=gcc"]

    done = subprocess.run([shellcheck, *told, *files], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def command_line() -> Any:
    """Typer's tree; it is one of a click of its own, where `commands` tells a group."""
    return typer.main.get_command(app)


def found(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and the words that it is given."""
    command, rest = command_line(), list(words)
    while hasattr(command, "commands") and rest:
        while rest and rest[0].startswith("--"):  # an option of the group, with its value
            rest = rest[1:] if rest[0] in {"--help", "--version", "--install-completion"} else rest[2:]
        if rest:
            command = command.commands[rest.pop(0)]
    return command, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_command_that_is_mentioned_is_there(page: Page) -> None:
    root = command_line()
    for told in re.findall(r"`(?:\.venv/bin/)?control-room ((?:[a-z]+ ?)+)", page.prose):
        command = root
        for word in told.split():
            if not hasattr(command, "commands"):
                break
            assert word in command.commands, f"{page.name}: control-room {told}"
            command = command.commands[word]


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_command_is_told_with_options_that_it_has(page: Page) -> None:
    said = [line for block in page.blocks if block.language in {SHELL, "yaml"} for line in block.lines]
    said += [" ".join(told.split()) for told in re.findall(r"`(control-room [^`]+)`", page.prose)]
    for line in said:
        for told in re.findall(
            r"(?:^|[|&;(] *|\bdo |- run: )control-room ((?:'[^']*'|\"[^\"]*\"|[^|&;<>)'\"])+)", line
        ):
            command, rest = found(shlex.split(told))
            try:
                command.make_parser(command.context_class(command)).parse_args(rest)
            except TyperException as error:
                pytest.fail(f"{page.name}: {line}: {error}")


@pytest.mark.needs("supabase")
@pytest.mark.parametrize(
    "line",
    sorted(
        {line for it in BLOCKS for line in it.lines if line.startswith("supabase ")}
        | {told for page in PAGES for told in re.findall(r"`(supabase [a-z][^`]*)`", page.prose)}
    ),
)
def test_what_is_said_to_supabase_s_own_command_line_is_in_its_help(line: str) -> None:
    for said in line.split(" && "):
        words = shlex.split(re.sub(r"\$\(.*?\)", "", said))[1:]
        verbs = list(itertools.takewhile(lambda it: re.fullmatch(r"[a-z][a-z-]*", it) and it != "api", words))
        done = subprocess.run(
            [SUPABASE, *verbs, "--help"],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

        assert f"supabase {' '.join(verbs)}" in done.stdout, said
        for option in (it.partition("=")[0] for it in words if it.startswith("--")):
            assert option in done.stdout, f"{said}: {option}"


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


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_link_leads_to_a_heading(page: Page) -> None:
    folder = (CLONE / page.name).parent
    for name, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.prose):
        told = pages.read((folder / name).resolve() if name else CLONE / page.name)
        headings = re.findall(r"(?m)^#+ (.*)$", told.prose)
        slugs = {re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in headings}
        assert anchor in slugs, f"{page.name}: {name}#{anchor}"


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
