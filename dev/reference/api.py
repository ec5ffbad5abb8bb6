"""docs/api.md, from the OpenAPI document that the edge function serves.

The document is made by the function's own code, in Deno: nothing is said of a route anywhere else.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from dev.stack.errors import StackError
from dev.stack.state import CLONE, home

Document = Mapping[str, Any]

SERVER = "https://PROJECT.supabase.co/functions/v1/api/v1"
PROGRAM = f"""
import {{ openapi }} from "./openapi.ts";
import {{ routes }} from "./routes/table.ts";
console.log(JSON.stringify(openapi(routes, "{SERVER}")));
"""

HEAD = """\
# The HTTP API

Every verb of the edge function, below `{server}`; for programs the same is `GET /openapi.json`. All but
`/health`, `/openapi.json` and what says so want `Authorization: Bearer …` ([identity.md](identity.md)).
Errors have one shape and are listed in [errors.md](errors.md). Lists are `{{"items", "next"}}`, and
`next` is the `cursor` of the following page. A field with a star must be there.

The version stands in the path. What is there in v1 keeps its name and its meaning; fields are added, so
clients pass over those that they do not know. A verb that is to go says `Deprecation` and `Sunset` (RFC
9745, RFC 8594) in every answer for two releases, half a year at least, and its entry here says what takes
its place.

This page is made by `scripts/docs` from the routes themselves.
"""

BEARERS = {
    "attempt": "the token of an attempt",
    "check": "the token of an upload's check, a runner's",
    "sweep": "the token of a sweep, a runner's",
}


def document() -> Document:
    """The OpenAPI document, as the edge function of this clone makes it."""
    run = subprocess.run(
        [CLONE / ".venv" / "bin" / "deno", "eval", "--no-lock", PROGRAM],
        cwd=CLONE / "supabase" / "functions" / "api",
        env={**os.environ, "DENO_DIR": str(home() / "deno"), "DENO_NO_UPDATE_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise StackError(
            f"the routes cannot be read: {run.stderr.strip()}", "run scripts/setup, scripts/check --only deno"
        )
    found: Document = json.loads(run.stdout)
    return found


def operations(said: Document) -> Iterator[tuple[str, str, Document]]:
    """(method, path, operation) of each verb."""
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def page(said: Document) -> str:
    parts = [HEAD.format(server=said["servers"][0]["url"])]
    # headings of the tables of contents first: a page of a hundred verbs is looked things up in
    verbs = sorted(operations(said), key=lambda it: (it[2]["tags"][0], it[1], it[0]))
    for tag, group in groupby(verbs, key=lambda it: it[2]["tags"][0]):
        parts.append(f"\n## {tag}\n")
        for method, path, operation in group:
            parts.append(_verb(method, path, operation))
    parts.append("\n## Shapes\n")
    for name, schema in sorted(said["components"]["schemas"].items()):
        parts.append(f"\n### {name}\n\n{_shape(schema)}")
    return "".join(parts)


def _verb(method: str, path: str, operation: Document) -> str:
    lines = [f"\n### {method} {path}\n\n{_sentence(operation['summary'])}"]
    if operation.get("deprecated"):
        lines.append(f" **Deprecated: {_sentence(operation['x-sunset'])}**")
    if said := operation.get("description"):
        lines.append(f" {_sentence(said)}")
    bearers = [name for entry in operation["security"] for name in entry]
    if bearers == ["member"]:
        pass
    elif bearers:
        lines.append(f" Bearer: {' or '.join(BEARERS[name] for name in bearers)}.")
    else:
        lines.append(" Needs no bearer.")
    lines.append("\n")
    if rows := [
        (it["name"], it["schema"], it["schema"].get("description", "")) for it in operation["parameters"]
    ]:
        lines.append(_table("parameter", rows, required=()))
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        needed = "" if body["required"] else " It may be left out."
        lines.append(f"\nBody: {_kind(schema)}.{needed}\n")
        if "properties" in schema:
            lines.append(_fields(schema))
    answers = [
        f"{status} {_answer(content)}"
        for status, content in operation["responses"].items()
        if status != "default" and not status.startswith("4")
    ]
    lines.append(f"\nAnswers: {'; '.join(answers)}.\n")
    return "".join(lines)


def _answer(content: Document) -> str:
    said = str(content["description"])
    kinds = [
        _kind(it["schema"])
        for media, it in content.get("content", {}).items()
        if media in {"application/json", "application/x-ndjson"}
    ]
    return f"{said} ({', '.join(kinds)})" if kinds else said


def _shape(schema: Document) -> str:
    said = f"{_sentence(schema['description'])}\n" if "description" in schema else ""
    if "properties" in schema:
        return said + _fields(schema)
    return f"{said}{_sentence(_kind(schema))}\n"


def _fields(schema: Document) -> str:
    rows = [(name, it, it.get("description", "")) for name, it in schema["properties"].items()]
    return _table("field", rows, required=schema.get("required", ()))


def _table(title: str, rows: Sequence[tuple[str, Document, str]], required: Sequence[str]) -> str:
    lines = [f"\n| {title} | is | |\n|---|---|---|\n"]
    for name, schema, said in rows:
        star = " *" if name in required else ""
        lines.append(f"| `{name}`{star} | {_cell(_kind(schema))} | {_cell(said)} |\n")
    return "".join(lines)


def _kind(schema: Document) -> str:
    """What a value is, in a few words; a shape of the page by its name."""
    if ref := schema.get("$ref"):
        name = str(ref).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return " or ".join(_kind(it) for it in schema[choice])
    if "enum" in schema:
        return ", ".join(f"`{it}`" for it in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kinds = schema.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    words = []
    for kind in kinds:
        match kind:
            case "array":
                words.append(f"list of {_kind(schema.get('items', {}))}")
            case "object" if "additionalProperties" in schema and schema["additionalProperties"] is not True:
                words.append(f"object of {_kind(schema['additionalProperties'] or {})}")
            case "object" if "properties" in schema:
                names = (
                    f"{it}{'' if it in schema.get('required', ()) else '?'}" for it in schema["properties"]
                )
                words.append("{" + ", ".join(names) + "}")
            case "string" if "format" in schema:
                words.append(str(schema["format"]))
            case "integer" | "number":
                words.append(kind + _bounds(schema))
            case _:
                words.append(str(kind))
    return " or ".join(words)


def _bounds(schema: Document) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", {low} or more"
    return f", {high} at most" if high is not None else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
