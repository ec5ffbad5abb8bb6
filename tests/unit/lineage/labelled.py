"""The labelled statements of `statements/`: what each one writes, from where, by hand.

One file a subject, one block a statement:

    --- its name, a sentence  [low, dialect=spark, default=public]
    the SQL, as anyone would write it;
    --> written.table <- read.table another.table
    -->     column <- read.table.column another.table.column
    -->     (rows) <- read.table.column

A `-->` at the margin is a write (`(query)`: a query that writes nothing), in order; below it stand the written columns
and whose values reach or steer them, all kinds together; nothing behind `<-`: a constant, or `count(*)`. `(rows)` is
what decides which rows there are and in what order: WHERE, JOIN, GROUP BY, HAVING, ORDER BY, the right side of EXCEPT;
without that line it was not labelled. `low`: a part cannot be known from the text, the labels hold what can, and the
answer has to say so. `\\ ` is a blank in a name. `statements/schema.sql` holds the tables that are known beforehand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runner.lineage import sql
from runner.lineage.flow import Flow

FOLDER = Path(__file__).parent / "statements"
HELD_OUT = "held_out"  #: written when the tracing was done; benches/sql.py has the figures of the first time


@dataclass
class Written:
    """One write of a statement."""

    target: str | None
    reads: frozenset[str]
    columns: dict[str, frozenset[str]] = field(default_factory=dict)
    rows: frozenset[str] | None = None


@dataclass(frozen=True)
class Statement:
    subject: str
    name: str
    sql: str
    writes: tuple[Written, ...]
    low: bool
    dialect: str
    default_schema: str | None

    def flows(self) -> list[Flow]:
        return sql.trace(self.sql, schema=SCHEMA, dialect=self.dialect, default_schema=self.default_schema)


def _names(text: str) -> frozenset[str]:
    return frozenset(each.replace("\\ ", " ") for each in re.split(r"(?<!\\) ", text) if each)


def _schema(text: str) -> dict[str, dict[str, str]]:
    tables = re.findall(r"create table (\S+) \((.*)\);", text)
    return {name: dict.fromkeys(columns.split(", "), "text") for name, columns in tables}


def _writes(lines: Iterable[str]) -> Iterator[Written]:
    written: Written | None = None
    for line in lines:
        left, sources = (part.strip() for part in line[3:].split("<-"))
        if not line.startswith("-->     "):
            if written is not None:
                yield written
            written = Written(None if left == "(query)" else left, _names(sources))
        elif written is None:
            raise ValueError(f"a column of nothing: {line}")
        elif left == "(rows)":
            written.rows = _names(sources)
        else:
            written.columns[left] = _names(sources)
    if written is not None:
        yield written


def _statement(subject: str, block: str) -> Statement:
    heading, *lines = block.strip().split("\n")
    name, _, said = heading.partition("  [")
    options = dict.fromkeys(("low", "dialect", "default"), "") | {
        key: value or "yes" for key, _, value in (o.partition("=") for o in said.rstrip("]").split(", ") if o)
    }
    body = "\n".join(line for line in lines if not line.startswith("-->"))
    writes = tuple(_writes(line for line in lines if line.startswith("-->")))
    return Statement(
        subject,
        name,
        body,
        writes,
        bool(options["low"]),
        options["dialect"] or "postgres",
        options["default"] or None,
    )


def read(subject: str) -> tuple[Statement, ...]:
    text = (FOLDER / f"{subject}.sql").read_text()
    return tuple(
        _statement(subject, block) for block in re.split(r"^--- ", text, flags=re.MULTILINE) if block.strip()
    )


SCHEMA = _schema((FOLDER / "schema.sql").read_text())
SUBJECTS = tuple(sorted(p.stem for p in FOLDER.glob("*.sql") if p.stem not in ("schema", HELD_OUT)))
STATEMENTS = tuple(each for subject in SUBJECTS for each in read(subject))


# -- how well they are followed

Fact = tuple[str, ...]


def told(statement: Statement) -> dict[str, Counter[Fact]]:
    """The facts of the labels: at the level of tables, of columns, and of what steers the rows (where that is labelled)."""
    facts: dict[str, Counter[Fact]] = {"table": Counter(), "column": Counter(), "rows": Counter()}
    for each in statement.writes:
        target = each.target or "(query)"
        facts["table"].update((target, source) for source in each.reads)
        facts["column"].update((target, c, source) for c, found in each.columns.items() for source in found)
        facts["rows"].update((target, source) for source in each.rows or ())
    return facts


def found(statement: Statement, flows: Iterable[Flow]) -> dict[str, Counter[Fact]]:
    """The same facts as they were traced."""
    facts: dict[str, Counter[Fact]] = {"table": Counter(), "column": Counter(), "rows": Counter()}
    labelled = [w.rows is not None for w in statement.writes]
    for number, flow in enumerate(flows):
        target = flow.target or "(query)"
        facts["table"].update((target, source) for source in flow.reads)
        facts["column"].update(
            (target, name, f"{o.dataset}.{o.field}")
            for name, column in flow.columns.items()
            for o in {(o.dataset, o.field): o for o in column.origins}.values()
        )
        if labelled[number : number + 1] == [True]:
            facts["rows"].update((target, s) for s in {f"{o.dataset}.{o.field}" for o in flow.influences})
    return facts


@dataclass
class Score:
    """Facts that were told and found, found though not told, told and not found."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, expected: Counter[Fact], actual: Counter[Fact]) -> None:
        both = (expected & actual).total()
        self.right += both
        self.wrong += actual.total() - both
        self.missed += expected.total() - both

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)
