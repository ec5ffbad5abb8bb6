"""Entries of knowledge bases, found by their words; viewers find internal ones."""

from __future__ import annotations

from control_room.model import Entry, EntryFound, Page
from control_room.operation import Operation, Request, fetch, query


def find(
    words: str | None = None,
    collection: str | None = None,
    language: str | None = None,
    limit: int | None = None,
    cursor: str | int | None = None,
) -> Operation[Page[EntryFound]]:
    """Best first; without words the newest first."""
    asked = query(q=words, collection=collection, language=language, limit=limit, cursor=cursor)
    return (
        yield from fetch(Page[EntryFound], Request("GET", "/catalog/entries", query=asked, repeatable=True))
    )


def get(entry_id: int) -> Operation[Entry]:
    """The whole entry. Raises ApiError ENTRY_NOT_FOUND."""
    return (yield from fetch(Entry, Request("GET", f"/catalog/entries/{entry_id}", repeatable=True)))
