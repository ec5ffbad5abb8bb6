"""What a job type found after its command ended.

All paths are relative to the workspace's root and were written by code we do not trust: whoever opens them
goes through `runner.jobtype.harvest`, which follows no link and takes regular files only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.model.errors import Failure

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: `type` is one of the Postgres types that `worker.open_output` takes."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """A file that becomes an artifact version. `name` is the artifact's name, `path` where the file lies
    (`kept`: among what the runner keeps, where the job type has made it itself), `kind` one of code, sql,
    diagram, notebook, report, log, data."""

    name: str
    path: str
    kind: str = "data"
    content_type: str | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A CSV file (header line, Postgres' dialect) that is loaded to staging and published by the settle.

    `name` is the name of the output in the submission; `rows`, when given, is checked against what was
    loaded.
    """

    name: str
    path: str
    columns: tuple[Column, ...]
    layer: str
    table: str
    mode: str = "overwrite"
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A document of a knowledge base, or with a `problem` one that could not be read. `key` is what it is
    called where it comes from, `headings` are (level, text), `source` says which input it was."""

    key: str
    title: str = ""
    body: str = ""
    headings: tuple[tuple[int, str], ...] = ()
    tags: tuple[str, ...] = ()
    media_type: str = "text/plain"
    language: str = "english"
    url: str | None = None
    source: JsonObject = field(default_factory=dict)
    classification: str = "internal"
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Everything an ended attempt leaves behind. `lineage` are OpenLineage RunEvents; `values` small
    results, `catalog` what databases elsewhere hold now. With a `failure` the attempt fails although its
    command did its work: artifacts and values are kept, the rest is not."""

    artifacts: tuple[ArtifactFile, ...] = ()
    tables: tuple[TableFile, ...] = ()
    entries: tuple[Entry, ...] = ()
    lineage: tuple[JsonObject, ...] = ()
    catalog: tuple[JsonObject, ...] = ()
    values: JsonObject = field(default_factory=dict)
    failure: Failure | None = None
