"""docs/rpc.md, from the comments on the functions and views of `public`.

The migrations are read as text, so no database is needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dev.reference import api
from dev.stack.errors import StackError

HEAD = """\
# The RPCs

`POST {SUPABASE_URL}/rest/v1/rpc/<name>`, or `rpc(name, …)` of any Supabase client. The argument is one
object, which is the body itself, or what stands after the name, by name. Answers, errors and rules are
those of the HTTP verb beside it ([api.md](api.md)); the `platform_…` ones are the platform operator's and
want the service role's key.

`role` is the least that may call it. Where nothing is said every member may, and sees what row security
shows him.

This page is made by `scripts/docs` from the comments in the migrations.
"""

VIEWS = """
## Views

`GET {SUPABASE_URL}/rest/v1/<name>?…`, with PostgREST's filters; row security shows the caller's tenant.

| view | columns |
|---|---|
"""

FUNCTION = re.compile(r"^create (?:or replace )?function (public|door)\.(\w+)\(", re.MULTILINE)
COMMENT = re.compile(r"^comment on function public\.(\w+)\([^)]*\)\s+is '((?:[^']|'')*)';", re.MULTILINE)
VIEW = re.compile(r"^create view public\.(\w+) with [^\n]* as\n", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """One function as a migration says it."""

    room: str
    schema: str
    name: str
    arguments: str
    body: str


def page(migrations: Sequence[Path], said: api.Document) -> str:
    found = [function for path in migrations for function in functions(path)]
    doors = {it.name: it for it in found if it.schema == "door"}
    comments = {
        name: text.replace("''", "'")
        for path in migrations
        for name, text in COMMENT.findall(path.read_text())
    }
    verbs = {
        operation["operationId"]: f"`{method} {path}`" for method, path, operation in api.operations(said)
    }
    parts = [HEAD]
    for room, group in groupby((it for it in found if it.schema == "public"), key=lambda it: it.room):
        parts.append(f"\n## {room}\n\n| RPC | role | HTTP | |\n|---|---|---|---|\n")
        for it in group:
            role = _role((doors.get(_called(it)) or it).body)
            if it.name not in comments:
                raise StackError(
                    f"public.{it.name} has no comment", "say what it takes and gives: comment on function"
                )
            told = _cell(comments[it.name])
            parts.append(f"| `{it.name}`{_named(it)} | {role} | {verbs.get(it.name, '')} | {told} |\n")
    parts.append(VIEWS)
    for path in migrations:
        parts += [f"| `{name}` | {_cell(columns)} |\n" for name, columns in views(path.read_text())]
    return "".join(parts)


def functions(path: Path) -> list[Function]:
    """Those of `public` and `door`."""
    room = re.sub(r"^\d+_(public_|worker_)?", "", path.stem).replace("_", " ")
    text = path.read_text()
    found = []
    for it in FUNCTION.finditer(text):
        head, _, rest = text[it.end() :].partition("returns ")
        # the stanza: what follows a function says who may call it
        body = rest.partition("\nrevoke ")[0]
        found.append(Function(room, it[1], it[2], head.strip().removesuffix(")"), body))
    return found


def views(text: str) -> list[tuple[str, str]]:
    """(name, its columns) of the views in `public`."""
    found = []
    for it in VIEW.finditer(text):
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


def _named(function: Function) -> str:
    """Its arguments, where they have names."""
    arguments = re.sub(r"\([^)]*\)|'[^']*'", "", function.arguments)
    names = [it.split()[0] for it in arguments.split(",") if it.strip()]
    return "" if names[:1] in ([], ["jsonb"]) else f" ({', '.join(names)})"


def _role(body: str) -> str:
    match = re.search(r"tenancy\.require\('(\w+)'", body)
    return match[1] if match and match[1] != "viewer" else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
