"""docs/rpc.md, from the SQL of the doors: what stands above a function, and what its body asks for.

The migrations are read as text, so no database is needed. A function of `public` is a line that hands over
to `door.<the same name>`; the words are those of whichever has them, else those of its twin at the HTTP door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dev.reference import api

BEGINNING = re.compile(r"^create (?:or replace )?function (public|door)\.(\w+)\(", re.MULTILINE)

HEAD = """\
# The RPCs

`POST {SUPABASE_URL}/rest/v1/rpc/<name>`, or `rpc(name, …)` of any Supabase client. Most take one object,
which is the body itself; those that say so take arguments by name. Answers, errors and rules are those of
the HTTP verb beside it ([api.md](api.md)); the `platform_…` ones are the platform operator's and want the
service role's key.

`role` is the least that may call it. Where nothing is said every member may, and sees what row security
shows him.

This page is made by `scripts/docs` from the migrations.
"""

VIEWS = """
## Views

`GET {SUPABASE_URL}/rest/v1/<name>?…`, with PostgREST's filters; row security shows the caller's tenant.

| view | columns |
|---|---|
"""


@dataclass(frozen=True)
class Function:
    """One function as the migrations say it."""

    room: str
    schema: str
    name: str
    arguments: str
    words: str
    body: str


def page(migrations: Sequence[Path], said: api.Document) -> str:
    found = [function for path in migrations for function in functions(path)]
    doors = {it.name: it for it in found if it.schema == "door"}
    verbs = {
        operation["operationId"]: (f"{method} {path}", operation)
        for method, path, operation in api.operations(said)
    }
    parts = [HEAD]
    for room, group in groupby((it for it in found if it.schema == "public"), key=lambda it: it.room):
        parts.append(f"\n## {room}\n\n| RPC | takes | role | HTTP | |\n|---|---|---|---|---|\n")
        parts += [_row(it, doors.get(_called(it)), verbs) for it in group]
    parts.append(VIEWS)
    for path in migrations:
        parts += [f"| `{name}` | {_cell(columns)} |\n" for name, columns in views(path.read_text())]
    return "".join(parts)


def functions(path: Path) -> list[Function]:
    """Those of `public` and `door`, each with the comment right above it."""
    room = re.sub(r"^\d+_(public_|worker_)?", "", path.stem).replace("_", " ")
    text = path.read_text()
    found = []
    for it in BEGINNING.finditer(text):
        head, _, rest = text[it.end() :].partition("returns ")
        arguments = head.strip().removesuffix(")")
        # the stanza: what follows a function says who may call it
        body = rest.partition("\nrevoke ")[0]
        found.append(Function(room, it[1], it[2], arguments, _above(text[: it.start()]), body))
    return found


def _above(text: str) -> str:
    """The comment that ends right here; a ruled heading is none."""
    lines: list[str] = []
    for line in reversed(text.splitlines()):
        if not line.startswith("--") or line.startswith("-- ---"):
            break
        lines.insert(0, line.removeprefix("--").strip())
    return " ".join(lines)


def views(text: str) -> list[tuple[str, str]]:
    """(name, its columns) of the views in `public`."""
    found = []
    for it in re.finditer(r"^create view public\.(\w+) with [^\n]* as\n", text, re.MULTILINE):
        selected = text[it.end() :].partition(";")[0].removeprefix("select ")
        found.append((it[1], ", ".join(f"`{column}`" for column in _columns(selected))))
    return found


def _columns(selected: str) -> list[str]:
    """The names that a list of columns gives; commas inside brackets and quotes part nothing."""
    bare = re.sub(r"'[^']*'", "''", selected)
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(bare):
        depth += (letter in "([") - (letter in ")]")
        if depth == 0 and (letter == "," or re.match(r"\sfrom\s", bare[place : place + 6])):
            parts.append(bare[start:place])
            start = place + 1
            if letter != ",":
                break
    return [match[0] for it in parts if (match := re.search(r"\w+\s*$", it))]


def _called(function: Function) -> str:
    """The door that it hands over to."""
    match = re.search(r"door\.(\w+)\(", function.body)
    return match[1] if match else function.name


def _row(function: Function, door: Function | None, verbs: Mapping[str, tuple[str, api.Document]]) -> str:
    verb, operation = verbs.get(function.name, ("", {}))
    # what is written for who reads the SQL begins elsewhere than what is written for who calls it
    told = operation.get("summary") or function.words or (door.words if door else "")
    body = (door or function).body
    return (
        f"| `{function.name}` | {_takes(function, body, operation)} | {_role(body)} |"
        f" {f'`{verb}`' if verb else ''} | {_cell(told)} |\n"
    )


def _takes(function: Function, body: str, operation: api.Document) -> str:
    arguments = function.arguments.strip()
    if not arguments.startswith("jsonb"):
        named = [it.split()[0] for it in _split(arguments)]
        return f"by name: {', '.join(f'`{it}`' for it in named)}" if named else "nothing"
    names = [it["name"] for it in operation.get("parameters", ())]
    shape = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    names += shape.get("properties", ())
    if not operation:
        found = re.findall(r"\bp\s*->>?\s*'(\w+)'|\(p, '(\w+)'", body)
        names = [one or other for one, other in found]
    told = [f"`{name}`" for name in dict.fromkeys(names)]
    if ref := (shape.get("items") or shape).get("$ref"):
        name = str(ref).rpartition("/")[2]
        told.append(f"{'a list of ' if 'items' in shape else ''}[{name}](api.md#{name.lower()})")
    return ", ".join(told)


def _split(arguments: str) -> list[str]:
    return [it.strip() for it in re.sub(r"\([^)]*\)|'[^']*'", "", arguments).split(",") if it.strip()]


def _role(body: str) -> str:
    if match := re.search(r"tenancy\.require\('(\w+)'", body):
        return "" if match[1] == "viewer" else match[1]
    return ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
