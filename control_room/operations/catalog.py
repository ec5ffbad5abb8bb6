"""The catalog: what is where, found by words or by its place; what people say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from control_room.model import CatalogObject, Expectation, Fresh, Page, Refresh, Rollup, Taken, Verdict
from control_room.operation import Operation, Request, fetch, query


def find(narrowed: Mapping[str, Any]) -> Operation[Page[CatalogObject]]:
    """With words best first, else by their place."""
    asked = query(**narrowed)
    return (
        yield from fetch(
            Page[CatalogObject], Request("GET", "/catalog/objects", query=asked, repeatable=True)
        )
    )


def get(name: str, kind: str | None = None) -> Operation[CatalogObject]:
    """All that is known of an object. Raises ApiError OBJECT_NOT_FOUND."""
    asked = Request("GET", _path(name), query=query(kind=kind), repeatable=True)
    return (yield from fetch(CatalogObject, asked))


def describe(name: str, words: Mapping[str, Any]) -> Operation[CatalogObject]:
    """Operators say comment and tags, admins owner and classification too; None takes a word back."""
    return (yield from fetch(CatalogObject, Request("PATCH", _path(name), body=dict(words), repeatable=True)))


def sync() -> Operation[Taken]:
    return (yield from fetch(Taken, Request("POST", "/catalog/sync", body={}, repeatable=True)))


def ingest(document: Mapping[str, Any]) -> Operation[Taken]:
    """One whole catalog, as another system tells of itself. Raises ApiError FIELD_INVALID with the place."""
    return (yield from fetch(Taken, Request("POST", "/catalog/ingest", body=dict(document), repeatable=True)))


def freshness(narrowed: Mapping[str, Any]) -> Operation[Page[Fresh]]:
    """Tables that have to be fresh, and whether they are."""
    asked = Request("GET", "/catalog/freshness", query=query(**narrowed), repeatable=True)
    return (yield from fetch(Page[Fresh], asked))


def expect(expectation: Mapping[str, Any]) -> Operation[Expectation]:
    """One of that name on that table is replaced. Raises ApiError EXPECTATION_INVALID."""
    asked = Request("POST", "/catalog/expectations", body=dict(expectation), repeatable=True)
    return (yield from fetch(Expectation, asked))


def verdicts(narrowed: Mapping[str, Any]) -> Operation[Page[Verdict]]:
    """What publications were found to be, newest first."""
    asked = Request("GET", "/catalog/verdicts", query=query(**narrowed), repeatable=True)
    return (yield from fetch(Page[Verdict], asked))


def refresh(target: str, *, force: bool, dry_run: bool) -> Operation[Refresh]:
    """The table and all that it is made of, as far as it has changed. Raises ApiError TABLE_HAS_NO_MAKER."""
    body = {"target": target, "force": force, "dry_run": dry_run}
    return (yield from fetch(Refresh, Request("POST", "/catalog/refresh", body=body)))


def roll_up(rollup: Mapping[str, Any]) -> Operation[Rollup]:
    """A table of gold that is the sums of another. Raises ApiError ROLLUP_INVALID."""
    asked = Request("POST", "/catalog/rollups", body=dict(rollup), repeatable=True)
    return (yield from fetch(Rollup, asked))


def _path(name: str) -> str:
    return f"/catalog/objects/{quote(name, safe='')}"
