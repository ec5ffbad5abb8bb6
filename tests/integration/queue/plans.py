"""What a statement did inside, down to the functions it called: auto_explain, read from its notices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg

from dev.stack.testbed import Database

SETTINGS = {
    "log_min_duration": "0",
    "log_nested_statements": "on",
    "log_analyze": "on",
    "log_buffers": "on",
    "log_timing": "off",
    "log_format": "json",
    "log_level": "notice",
}

# what grows with use; the rest has a row per tenant, runner or setting
BIG = frozenset(
    [
        "runs",
        "task_runs",
        "payloads",
        "live_attempts",
        "past_attempts",
        "logs",
        "events",
        "deliveries",
        "versions",
    ]
)


@dataclass(frozen=True)
class Scan:
    """One visit of a table by a plan; `rows` were looked at, the ones that a filter threw away included."""

    table: str
    kind: str
    index: str | None
    rows: int


@dataclass(frozen=True)
class Work:
    """All that one call did."""

    scans: tuple[Scan, ...]
    pages: int
    answer: Any

    @property
    def sequential(self) -> set[str]:
        """Big tables that were read from end to end; a week that is empty still has no better way."""
        return {it.table for it in self.scans if it.kind == "Seq Scan" and it.table in BIG and it.rows}

    @property
    def indexes(self) -> set[str]:
        return {it.index for it in self.scans if it.index is not None}

    def rows(self, table: str) -> int:
        return sum(it.rows for it in self.scans if it.table == table)


class Watcher:
    """A session whose every plan is seen; it speaks as any role. A context manager."""

    def __init__(self, database: Database, mode: str = "auto") -> None:
        self._connection = psycopg.connect(database.superuser, autocommit=True)
        self._heard: list[str] = []
        self._connection.add_notice_handler(lambda notice: self._heard.append(notice.message_primary or ""))
        self._connection.execute("load 'auto_explain'")
        for name, value in ({f"auto_explain.{k}": v for k, v in SETTINGS.items()}).items():
            self._connection.execute("select set_config(%s, %s, false)", [name, value])
        self._connection.execute("select set_config('plan_cache_mode', %s, false)", [mode])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def see(
        self, role: str, statement: LiteralString, arguments: Sequence[Any] = (), *, claims: str = ""
    ) -> Work:
        """Runs the statement in a transaction of its own as `role`; the answer is its first column."""
        with self._connection.transaction():
            self._connection.execute(
                "select set_config('request.jwt.claims', %s, true), set_config('role', %s, true)",
                [claims, role],
            )
            self._heard.clear()
            rows = self._connection.execute(statement, arguments).fetchall()
            heard = [*self._heard]
        plans = [json.loads(said.split("plan:\n", 1)[1]) for said in heard if "plan:\n" in said]
        scans = tuple(scan for plan in plans for scan in _scans(plan["Plan"]))
        # a statement's pages are those of all that it called as well
        pages = max(it["Plan"]["Shared Hit Blocks"] + it["Plan"]["Shared Read Blocks"] for it in plans)
        return Work(scans, pages, [row[0] for row in rows])


def _whole(name: str) -> str:
    """The table, or the index, that a week of history is a part of."""
    return re.sub(r"_(\d{4}w\d\d|rest)(?=_|$)", "", name)


def _scans(node: dict[str, Any]) -> Iterator[Scan]:
    if "Scan" in node["Node Type"] and "Relation Name" in node:
        index = node.get("Index Name") or next(
            (child["Index Name"] for child in node.get("Plans", ()) if "Index Name" in child), None
        )
        looked = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        looked += node.get("Rows Removed by Index Recheck", 0)
        table = _whole(node["Relation Name"])
        yield Scan(table, node["Node Type"], index and _whole(index), round(looked * node["Actual Loops"]))
    for child in node.get("Plans", ()):
        yield from _scans(child)
