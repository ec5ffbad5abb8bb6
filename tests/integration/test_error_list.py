"""Errors and reasons are said once, in ground.error_codes and queue.termination_codes; page, edge and runner agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psycopg

from dev.stack.testbed import Database
from runner.model.termination import TerminationCode

CLONE = Path(__file__).resolve().parent.parent.parent
EDGE = CLONE / "supabase" / "functions" / "_shared" / "errors.ts"


def edge_errors() -> dict[str, tuple[int, str, str]]:
    """code -> (status, meaning, mend) of the errors that the edge function raises itself."""
    words = r'"((?:[^"\\]|\\.)*)"'
    entry = rf"(?m)^  ([A-Z_]+): \{{\s+status: (\d+),\s+meaning:\s*{words},\s+mend:\s*{words},\s+\}}"
    return {
        code: (int(status), meaning, mend)
        for code, status, meaning, mend in re.findall(entry, EDGE.read_text())
    }


def test_the_page_of_errors_is_what_the_table_makes_of_it(database: Database) -> None:
    run = subprocess.run(
        [
            *(sys.executable, str(CLONE / "scripts" / "docs")),
            *("--check", "--only", "errors", "--database", database.superuser),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (0, "")


def test_every_error_of_the_edge_function_is_listed_with_the_same_words(database: Database) -> None:
    with psycopg.connect(database.superuser) as connection:
        rows = connection.execute("select code, status, meaning, mend from ground.error_codes").fetchall()
    listed = {code: (status, meaning, mend) for code, status, meaning, mend in rows}
    own = edge_errors()

    assert len(own) >= 15
    for code, said in own.items():
        status, meaning, mend = said
        # the page is Markdown, the message is not
        assert listed.get(code) == (status, meaning.replace("`", ""), mend.replace("`", "")), code


def test_the_runner_knows_the_reasons_that_the_database_knows(database: Database) -> None:
    with psycopg.connect(database.superuser) as connection:
        rows = connection.execute("select code from queue.termination_codes").fetchall()

    assert {it.value for it in TerminationCode} == {code for (code,) in rows}
