"""The catalog: its objects, how good and how fresh they are; the tables of the layers; the entries."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from control_room.model.word import JsonObject, Word


class Table(Word):
    layer: str
    table: str
    columns: list[JsonObject]
    rows: list[JsonObject]
    row_count: int | None = None


class CatalogObject(Word):
    object_id: int
    kind: str
    name: str
    path: list[str] = Field(default_factory=list)
    type: str | None = None
    layer: str | None = None
    owner: str | None = None
    comment: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    classification: str = "internal"
    rank: float | None = None
    node: str | None = None
    row_count: int | None = None
    columns: list[JsonObject] = Field(default_factory=list)
    gone_at: datetime | None = None


class Fresh(Word):
    name: str
    status: str
    loaded_at: datetime | None = None
    checked_at: datetime | None = None
    age_seconds: int | None = None
    warn_after: JsonObject | None = None
    error_after: JsonObject | None = None
    inherited: bool = False


class Expectation(Word):
    expectation_id: int
    layer: str
    table: str
    name: str
    kind: str
    action: str
    definition: JsonObject = Field(default_factory=dict)


class Verdict(Word):
    run_id: int
    layer: str
    table: str
    name: str
    action: str
    success: bool
    loaded: int
    failed: int | None = None
    message: str | None = None
    judged_at: datetime | None = None


class Refresh(Word):
    target: str
    run_id: int | None = None
    state: str | None = None
    plan: list[JsonObject] = Field(default_factory=list)


class Rollup(Word):
    table: str
    source: str
    by: list[str] = Field(default_factory=list)
    measures: list[JsonObject] = Field(default_factory=list)
    where: str | None = None
    rows: int | None = None


class Taken(Word):
    """What a sync or an ingest has seen, changed, and found gone."""

    catalogs: dict[str, JsonObject] = Field(default_factory=dict)
    catalog: str | None = None
    seen: int = 0
    changed: int = 0
    gone: int = 0


class EntryFound(Word):
    """An entry as a search tells of it; in the snippet the words stand between two stars each."""

    entry_id: int
    collection: str
    key: str
    title: str
    snippet: str = ""
    tags: list[str] = Field(default_factory=list)
    media_type: str = ""
    language: str = ""
    url: str | None = None
    words: int = 0
    classification: str = "internal"
    rank: float | None = None


class Entry(Word):
    entry_id: int
    collection: str
    key: str
    title: str
    body: str
    headings: list[JsonObject] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    media_type: str = ""
    language: str = ""
    url: str | None = None
    source: JsonObject = Field(default_factory=dict)
    words: int = 0
    sha256: str = ""
    classification: str = "internal"
    published_by_run: int | None = None
