"""Entries of a knowledge base on their way to staging: looked through for secrets, measured, as CSV.

A document that holds what looks like a secret is told of like one that could not be read; it does not sink
the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.model.collected import Column, Entry
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode
from runner.transfer import scanner

NAME = "entries"
#: As catalog.entry_columns() has them.
COLUMNS = tuple(
    Column(*each.split())
    for each in (
        "key text",
        "title text",
        "body text",
        "headings jsonb",
        "tags jsonb",
        "media_type text",
        "language text",
        "url text",
        "source jsonb",
        "words integer",
        "sha256 text",
        "classification text",
        "problem text",
    )
)
TOLD_AT_MOST = 100


def without_secrets(found: Sequence[Entry], known: Iterable[str]) -> tuple[Entry, ...]:
    """The same, with a problem instead of a text where it holds a secret. Raises
    Permanent(SECRET_IN_OUTPUT) when nothing is left. Blocking."""
    words = tuple(known)
    kept = tuple(_looked_through(each, words) for each in found)
    refused = [each for each, was in zip(kept, found, strict=True) if each.problem and not was.problem]
    if refused and all(each.problem for each in kept):
        raise Permanent(TerminationCode.SECRET_IN_OUTPUT, f"{refused[0].key}: {refused[0].problem}")
    return kept


def _looked_through(entry: Entry, words: tuple[str, ...]) -> Entry:
    if entry.problem is not None:
        return entry
    text = "\n".join((entry.title, entry.body, entry.url or "", *entry.tags, json.dumps(entry.source)))
    rules = scanner.scan_text(text, words)
    if not rules:
        return entry
    return Entry(key=entry.key, problem=f"it holds what looks like a secret ({', '.join(rules)})")


def write(kept: Sequence[Entry], path: Path) -> None:
    """A CSV file in Postgres' own dialect. Blocking."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(each.name for each in COLUMNS) + "\n")
        for entry in kept:
            file.write(",".join(_field(value) for value in _row(_storable(entry))) + "\n")


def summary(kept: Sequence[Entry]) -> dict[str, Any]:
    """What the run's values say: how many, and which documents are none and why."""
    rejected = [{"key": each.key, "reason": each.problem} for each in kept if each.problem]
    return {
        "entries": len(kept) - len(rejected),
        "rejected": len(rejected),
        "problems": rejected[:TOLD_AT_MOST],
    }


def _row(entry: Entry) -> tuple[object, ...]:
    if entry.problem is not None:
        return (entry.key, *[None] * (len(COLUMNS) - 2), entry.problem)
    return (
        entry.key,
        entry.title,
        entry.body,
        json.dumps([{"level": level, "text": text} for level, text in entry.headings]),
        json.dumps(list(entry.tags)),
        entry.media_type,
        entry.language,
        entry.url,
        json.dumps(entry.source),
        len(entry.body.split()),
        hashlib.sha256(entry.body.encode()).hexdigest(),
        entry.classification,
        None,
    )


def _field(value: object) -> str:
    return "" if value is None else '"' + str(value).replace('"', '""') + '"'


def _storable(entry: Entry) -> Entry:
    """Without what Postgres cannot hold as text: NUL and lone surrogates."""
    return replace(
        entry,
        key=_clean(entry.key),
        title=_clean(entry.title),
        body=_clean(entry.body),
        headings=tuple((level, _clean(text)) for level, text in entry.headings),
        tags=tuple(_clean(each) for each in entry.tags),
        url=None if entry.url is None else _clean(entry.url),
        problem=None if entry.problem is None else _clean(entry.problem),
    )


def _clean(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
