"""SQL: sqlfluff for any dialect, squawk for changes of a Postgres schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..finding import Finding, Heard, Level, finding
from ..tool import Bench, report

#: sqlfluff's groups that are about meaning; layout, capitals and words are nobody's gate.
SQLFLUFF_RULES = (
    "ambiguous,references.from,references.qualification,aliasing.unique,"
    "structure.column_order,structure.distinct,structure.unused_cte"
)

#: Statements that lose data, lock a table for long or break those who read it.
_SQUAWK_WARNINGS = frozenset(
    [
        "adding-field-with-default",
        "adding-foreign-key-constraint",
        "adding-not-nullable-field",
        "adding-required-field",
        "adding-serial-primary-key-field",
        "ban-char-field",
        "ban-concurrent-index-creation-in-transaction",
        "ban-create-domain-with-constraint",
        "ban-drop-column",
        "ban-drop-not-null",
        "ban-drop-table",
        "ban-truncate-cascade",
        "changing-column-type",
        "constraint-missing-not-valid",
        "disallowed-unique-constraint",
        "renaming-column",
        "renaming-table",
        "require-concurrent-index-creation",
        "require-concurrent-index-deletion",
        "transaction-nesting",
        "ban-uncommitted-transaction",
        "ban-alter-domain-with-add-constraint",
    ]
)
_SQUAWK_ERRORS = frozenset({"syntax-error", "ban-drop-database"})


class Sqlfluff:
    """Ambiguous and wrong references. What its grammar does not know it says, and that is a note: squawk is
    the judge of Postgres' syntax."""

    name = "sqlfluff"
    distribution = "sqlfluff"
    uri = "https://docs.sqlfluff.com"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("sql")

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        honour = () if bench.request.honours_suppressions else ("--disable-noqa",)
        said = bench.run(
            (
                *bench.module("sqlfluff"),
                "lint",
                f"--dialect={bench.request.sql_dialect}",
                "--ignore-local-config",
                "--templater=raw",
                f"--rules={SQLFLUFF_RULES}",
                "--disable-progress-bar",
                "--nocolor",
                "--format=json",
                *honour,
                "--",
                *files,
            )
        )
        unparsed = Level.NOTE if bench.request.sql_dialect == "postgres" else Level.WARNING
        return Heard(tuple(parse_sqlfluff(bench, report(said, 0, 1), unparsed)))


def parse_sqlfluff(bench: Bench, form: Any, unparsed: Level) -> Iterable[Finding]:
    """sqlfluff's JSON."""
    for file in form:
        for each in file["violations"]:
            yield finding(
                each["code"],
                unparsed if each["code"] == "PRS" else Level.WARNING,
                each["description"],
                bench.relative(file["filepath"]),
                (each["start_line_no"], each["start_line_pos"]),
                (each.get("end_line_no"), each.get("end_line_pos")),
                f"https://docs.sqlfluff.com/en/stable/perma/rule/{each['code']}.html",
            )


class Squawk:
    """Postgres' syntax, and migrations that would hurt."""

    name = "squawk"
    distribution = "squawk-cli"
    uri = "https://squawkhq.com"

    def files(self, bench: Bench) -> tuple[str, ...]:
        return bench.survey.of("sql") if bench.request.sql_dialect == "postgres" else ()

    def check(self, bench: Bench, files: tuple[str, ...]) -> Heard:
        said = bench.run(
            (
                bench.program("squawk"),
                "--no-error-on-unmatched-pattern",
                "--reporter=json",
                *(f"./{each}" for each in files),
            )
        )
        return Heard(tuple(parse_squawk(bench, report(said, 0, 1))))


def parse_squawk(bench: Bench, form: Any) -> Iterable[Finding]:
    """squawk's JSON: lines and columns count from 0, and the level is always the same."""
    for each in form:
        rule = each["rule_name"]
        if rule in _SQUAWK_ERRORS:
            level = Level.ERROR
        else:
            level = Level.WARNING if rule in _SQUAWK_WARNINGS else Level.NOTE
        message = each["message"] if not each.get("help") else f"{each['message']} {each['help']}"
        yield finding(
            rule,
            level,
            message,
            bench.relative(each["file"]),
            (each["line"] + 1, each["column"] + 1),
            (each["line_end"] + 1, each["column_end"] + 1),
            f"https://squawkhq.com/docs/{rule}",
        )
