"""Lineage from SQL against labelled statements, by subject, beside openlineage-sql at the level of tables."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable

from benches.peers import environment
from benches.yardstick import arguments, median, report, say
from tests.unit.lineage.labelled import (
    HELD_OUT,
    STATEMENTS,
    SUBJECTS,
    Fact,
    Score,
    Statement,
    found,
    read,
    told,
)

PEER = "openlineage-sql==1.54.0"
# One line in, one line out: the tables that a script reads and writes, as openlineage-sql sees them.
ASK = """
import json, sys
from openlineage_sql import parse
for line in sys.stdin:
    dialect, *statements = json.loads(line)
    try:
        meta = parse(statements, dialect=dialect)
        print(json.dumps([[t.qualified_name for t in meta.in_tables], [t.qualified_name for t in meta.out_tables]]) if meta else "null")
    except Exception:
        print("null")
"""
LEVELS = ("table", "column", "rows")
#: The held-out statements as they were met for the first time, precision and recall: 42, and what they showed was mended since; then 28
#: more, and nothing was to mend (five of their labels had not followed the conventions of the others, and do now).
FIRST_MET = {
    "first 42": {"table": (1.0, 0.956), "column": (1.0, 0.954), "rows": (0.988, 0.922)},
    "next 28": {"table": (0.98, 0.98), "column": (0.971, 0.895), "rows": (0.943, 0.988)},
}


def peer(statements: Iterable[Statement]) -> list[tuple[list[str], list[str]] | None]:
    asked = "\n".join(
        json.dumps([s.dialect if s.dialect != "spark" else "sparksql", s.sql]) for s in statements
    )
    python = environment("openlineage-sql", PEER)
    done = subprocess.run([python, "-c", ASK], input=asked, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def compared(statement: Statement) -> Counter[Fact]:
    """What both can say: one write, from elsewhere (that a statement reads what it changes the peer leaves out)."""
    return Counter(fact for fact in told(statement)["table"] if fact[0] != fact[1])


def main() -> None:
    arguments(__doc__).parse_args()
    rows: dict[str, dict[str, Score]] = {}
    took: list[float] = []
    ours, theirs, apart = Score(), Score(), []
    everything = [*STATEMENTS, *read(HELD_OUT)]
    STATEMENTS[0].flows()  # the first one loads sqlglot
    for statement, answer in zip(everything, peer(everything), strict=True):
        began = time.perf_counter()
        flows = statement.flows()
        took.append((time.perf_counter() - began) * 1000)
        scores = rows.setdefault(statement.subject, {level: Score() for level in LEVELS})
        facts = found(statement, flows)
        for level in LEVELS:
            scores[level].add(told(statement)[level], facts[level])
        if len(statement.writes) == 1 and statement.writes[0].target and not statement.low:
            truth = compared(statement)
            sources, targets = answer or ([], [])
            other = Counter((t, s) for t in targets for s in sources if t != s)
            mine = Counter(fact for fact in facts["table"] if fact[0] != fact[1])
            ours.add(truth, mine)
            theirs.add(truth, other)
            if mine != other:
                apart.append((statement, mine == truth))
    say(f"{'':16}{'statements':>11}   table P / R       column P / R      rows P / R")
    total = {level: Score() for level in LEVELS}
    for subject in (*SUBJECTS, HELD_OUT):
        if subject == HELD_OUT:
            say(_line("all", len(STATEMENTS), total))
        say(_line(subject, len(read(subject)), rows[subject]))
        for level in LEVELS:
            each = rows[subject][level]
            if subject != HELD_OUT:
                total[level].right += each.right
                total[level].wrong += each.wrong
                total[level].missed += each.missed
    say(f"\nbeside openlineage-sql, single writes, tables: ours {ours.precision:.3f} / {ours.recall:.3f}, "
        f"theirs {theirs.precision:.3f} / {theirs.recall:.3f}; the two differ on {len(apart)}")  # fmt: skip
    for statement, right in apart:
        say(
            f"  {'as labelled: ours' if right else 'as labelled: not ours'}   {statement.subject}: {statement.name}"
        )
    report(
        "sql",
        {f"{level}_{what}": round(getattr(total[level], what), 4) for level in LEVELS for what in ("precision", "recall")}
        | {f"held_out_{level}_{what}": round(getattr(rows[HELD_OUT][level], what), 4) for level in LEVELS for what in ("precision", "recall")}
        | {"ms_per_statement": median(took), "peer_table_precision": round(ours.precision, 4), "peer_table_recall": round(ours.recall, 4)},
        {"openlineage_sql": {"peer_table_precision": round(theirs.precision, 4), "peer_table_recall": round(theirs.recall, 4)}},
        {"statements": len(STATEMENTS), "held_out": len(read(HELD_OUT)), "held_out_first_met": FIRST_MET, "peer": PEER, "goals": {f"{level}_{what}": 0.95 for level in ("table", "column") for what in ("precision", "recall")}},
    )  # fmt: skip


def _line(name: str, count: int, scores: dict[str, Score]) -> str:
    figures = "     ".join(f"{scores[level].precision:.3f} / {scores[level].recall:.3f}" for level in LEVELS)
    return f"{name:16}{count:11}   {figures}"


if __name__ == "__main__":
    main()
