"""A file as its statements, read by Postgres' own parser."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import postgast  # type: ignore[import-not-found,unused-ignore]  # in the engine's environment
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped,unused-ignore]

Node = dict[str, Any]

#: A comment of its own line that says that this file cannot run inside a transaction.
APART = re.compile(r"^\s*--\s*control-room:\s*no\s+transaction\s*$", re.MULTILINE | re.IGNORECASE)
_LEAD = re.compile(rb"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_META = re.compile(r"^\s*\\[A-Za-z!?.]", re.MULTILINE)
_COPY = re.compile(r"^\s*copy\s[^;]*\bfrom\s+stdin\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Statement:
    """`kind` is the parser's word (`drop_stmt`), `node` its tree."""

    text: str
    line: int
    kind: str
    node: Node


@dataclass
class File:
    """One file; `faults` are findings of the parser itself."""

    name: str
    sha256: str
    whole: bool
    statements: list[Statement] = field(default_factory=list)
    faults: list[Node] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)

    def form(self) -> Node:
        """As plan.json has it."""
        builds = [
            qualified(s.node["relation"].get("schemaname"), s.node["idxname"])
            for s in self.statements
            if s.kind == "index_stmt" and s.node.get("concurrent") and s.node.get("idxname")
        ]
        return {
            "name": self.name,
            "sha256": self.sha256,
            "whole": self.whole,
            "builds": builds,
            "deletes": sorted(set(self.deletes)),
            "statements": [{"text": s.text, "line": s.line} for s in self.statements],
        }


def read(name: str, text: str) -> File:
    """Statements with their lines; what cannot be read is a fault of the file, not an error."""
    data = text.encode("utf-8")
    file = File(name, hashlib.sha256(data).hexdigest(), whole=not APART.search(text))
    try:
        parsed = postgast.parse(text)
        for raw in parsed.stmts:
            begin = raw.stmt_location
            end = begin + raw.stmt_len if raw.stmt_len else len(data)
            lead = _LEAD.match(data, begin, end)
            begin = lead.end() if lead else begin
            kind = raw.stmt.WhichOneof("node")
            node = MessageToDict(getattr(raw.stmt, kind), preserving_proto_field_name=True)
            file.statements.append(
                Statement(data[begin:end].decode("utf-8"), data.count(b"\n", 0, begin) + 1, kind, node)
            )
    except postgast.PgQueryError as error:
        place = max(0, (error.cursorpos or 1) - 1)
        file.faults.append(_fault(file, text, str(error), text.count("\n", 0, place) + 1))
    except (RecursionError, ValueError) as error:
        file.faults.append(_fault(file, text, f"it is too deep to be read ({type(error).__name__})", 1))
    if not file.statements and not file.faults:
        file.faults.append(finding("empty-file", "warning", "the file says nothing", file.name, 1))
    return file


def trees(body: str) -> tuple[list[Node], bool]:
    """The statements inside of a PL/pgSQL text (a `do`, a function), and whether some of them are made at run
    time or cannot be read."""
    try:
        form = postgast.parse_plpgsql(body)
    except postgast.PgQueryError:
        return [], True
    found: list[Node] = []
    hidden = False
    queue: list[Any] = [form]
    while queue:
        item = queue.pop()
        if isinstance(item, list):
            queue.extend(item)
        elif isinstance(item, dict):
            hidden = hidden or "PLpgSQL_stmt_dynexecute" in item or "PLpgSQL_stmt_dynfors" in item
            expression = item.get("PLpgSQL_expr")
            if isinstance(expression, dict) and expression.get("parseMode", 0) == 0:
                inner, unread = statements_of(str(expression.get("query", "")))
                found += inner
                hidden = hidden or unread
            queue.extend(item.values())
    return found, hidden


def statements_of(sql: str) -> tuple[list[Node], bool]:
    """The statements of a piece of SQL, and whether it cannot be read."""
    try:
        parsed = postgast.parse(sql)
        return [MessageToDict(raw.stmt, preserving_proto_field_name=True) for raw in parsed.stmts], False
    except (postgast.PgQueryError, RecursionError):
        return [], True


def qualified(schema: str | None, name: str) -> str:
    """As findings call an object: without a schema it is taken for public's."""
    return f"{schema or 'public'}.{name}"


def finding(  # noqa: PLR0917 - what, how bad, what it says, where: read in that order
    rule: str, level: str, message: str, path: str, line: int, about: str = "", *, final: bool = False
) -> Node:
    """One finding as plan.json has it."""
    return {
        "rule": rule,
        "level": level,
        "message": message,
        "path": path,
        "line": line,
        "about": about,
        "final": final,
        "made_by": "",
    }


def _fault(file: File, text: str, said: str, line: int) -> Node:
    if match := _COPY.search(text):
        at = text.count("\n", 0, match.start()) + 1
        said = "rows of copy … from stdin cannot be sent along: use insert, or load them by another job"
        return finding("copy-from-stdin", "error", said, file.name, at, final=True)
    if match := _META.search(text):
        at = text.count("\n", 0, match.start()) + 1
        said = f"a command of psql, which only psql knows: {said}"
        return finding("psql-command", "error", said, file.name, at, final=True)
    return finding("syntax-error", "error", said, file.name, line, final=True)
