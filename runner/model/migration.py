"""The words of a schema migration: what is to be done, what was found, what was done. No I/O.

Plan       what the SQL files say, read by a real parser in the sandbox
Finding    something about a file that keeps from applying it, or is only worth saying
Shape      what a database looks like: tables, columns, views and what they read
Entry      one line of the ledger that the target itself keeps
Done       what became of a migration
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """SARIF's levels; an error keeps from applying."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is the object in question (`public.orders.total`), so that it alone can be allowed. `final`
    findings cannot be allowed at all. `made_by` is the file that makes what this one destroys."""

    rule: str
    level: Level
    message: str
    path: str
    line: int = 1
    about: str = ""
    final: bool = False
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and the line on which it begins."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class File:
    """One file, in its place. `whole` is false for one that was marked to run outside of a transaction;
    `builds` are the indexes that it makes, which a crash may leave invalid."""

    name: str
    sha256: str
    statements: tuple[Statement, ...]
    whole: bool = True
    builds: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Every file that was submitted, in order, and what the parser has against them."""

    files: tuple[File, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How to go about it. Times are milliseconds.

    `series` tells several sets of files in one target apart; `allow` names rules, or `rule:object`.
    """

    target: str
    tenant: str
    series: str
    run_id: int
    attempt_id: int
    lease: int
    allow: frozenset[str] = frozenset()
    dry_run: bool = True
    one_transaction: bool = True
    lock_timeout_ms: int = 5000
    statement_timeout_ms: int = 300_000

    def allows(self, finding: Finding) -> bool:
        """Whether the submission has said beforehand that this may be."""
        return not finding.final and (
            finding.rule in self.allow
            or (finding.about != "" and f"{finding.rule}:{finding.about}" in self.allow)
        )


@dataclass(frozen=True, slots=True)
class Column:
    """`type` as Postgres prints it."""

    name: str
    type: str
    nullable: bool = True
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, view, materialised view or foreign table. `identity` is its oid, which a rename keeps;
    `positions` are its columns by attnum, for the same reason."""

    schema: str
    name: str
    kind: str
    identity: int
    columns: tuple[Column, ...] = ()
    positions: tuple[int, ...] = ()
    comment: str | None = None
    rows: int | None = None
    reads: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """`schema.name`, as findings and lineage call it."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Shape:
    """What a database looks like. `definitions` are all others by name: views, constraints, indexes,
    functions, triggers, policies, types."""

    host: str
    database: str
    tables: tuple[Table, ...] = ()
    definitions: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The same for two databases that look the same, whatever their oids."""
        lines = [f"{name} {text}" for name, text in self.definitions.items()]
        for table in self.tables:
            lines += [
                f"{table.kind} {table.full_name} {c.name} {c.type} {c.nullable}" for c in table.columns
            ] or [f"{table.kind} {table.full_name}"]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def changed_since(self, before: Shape) -> tuple[str, ...]:
        """Names of tables that are new or other than they were."""
        known = {t.full_name: before._look(t) for t in before.tables}
        return tuple(t.full_name for t in self.tables if known.get(t.full_name) != self._look(t))

    def _look(self, table: Table) -> tuple[object, ...]:
        return table.kind, table.columns, table.reads, self.definitions.get(f"view {table.full_name}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger. `ended` is false when a file outside of a transaction was begun and no more."""

    file: str
    sha256: str
    run_id: int
    applied_at: str
    ended: bool
    position: int
    schema_after: str | None = None
    changed: tuple[str, ...] = ()
    milliseconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a migration that came to its end: applied, or refused because of what was found."""

    applied: tuple[Entry, ...] = ()
    already: tuple[Entry, ...] = ()
    pending: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    before: str | None = None
    shape: Shape | None = None


def refusals(findings: Iterable[Finding], terms: Terms) -> tuple[Finding, ...]:
    """What keeps from applying: errors that were not allowed."""
    return tuple(each for each in findings if each.level is Level.ERROR and not terms.allows(each))
