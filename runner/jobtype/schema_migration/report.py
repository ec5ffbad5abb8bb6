"""What a migration leaves behind: one SARIF report, the list of what was applied, lineage and the catalog."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from runner.jobtype import naming
from runner.jobtype.schema_migration.flows import Traced
from runner.lineage import openlineage
from runner.lineage.flow import Column, Flow
from runner.lineage.openlineage import Dataset, Job
from runner.model.attempt import Attempt
from runner.model.errors import Failure, Permanent
from runner.model.migration import Done, Finding, Level, Shape, Table, Terms, refusals
from runner.model.termination import TerminationCode

JsonObject = dict[str, Any]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
DRIVER = "control-room-migration"
MAX_SAID = 500
DRIFT = ("changed-file", "missing-file", "out-of-order", "schema-drift")


@dataclass(frozen=True, slots=True)
class Report:
    """Files by name, and what the attempt ends with."""

    files: dict[str, bytes]
    failure: Failure | None
    values: JsonObject


def make(terms: Terms, done: Done, lint: bytes | None, lint_failure: Failure | None) -> Report:
    """The report on a migration, whether it was applied or not. `lint` is the linters' own SARIF."""
    refused = refusals(done.findings, terms)
    failure = lint_failure or _failure(refused)
    if failure is not None:
        verdict = "refused" if not done.applied else "partly applied"
    else:
        verdict = "applied" if done.applied else "up to date"
    allowed = [each.rule for each in done.findings if each.level is Level.ERROR and terms.allows(each)]
    summary: JsonObject = {
        "verdict": verdict,
        "target": terms.target,
        "series": terms.series,
        "applied": [
            {"file": e.file, "sha256": e.sha256, "at": e.applied_at, "milliseconds": e.milliseconds,
             "changed": list(e.changed)}
            for e in done.applied
        ],
        "already": [
            {"file": e.file, "sha256": e.sha256, "at": e.applied_at, "run_id": e.run_id} for e in done.already
        ],
        "pending": list(done.pending),
        "refused": [_said(each) for each in refused],
        "allowed": sorted(set(allowed)),
        "drift": [_said(each) for each in done.findings if each.rule in DRIFT],
        "schema_before": done.before,
        "schema_after": done.shape.sha256 if done.shape else None,
    }  # fmt: skip
    values = {
        "verdict": verdict,
        "applied": [e.file for e in done.applied],
        "already": len(done.already),
        "pending": len(done.pending),
        "rules": sorted({each.rule for each in refused}),
        "schema_after": summary["schema_after"],
    }
    files = {
        "migration.sarif": json.dumps(_sarif(terms, done.findings, lint), indent=1).encode(),
        "migration.json": json.dumps(summary, indent=1).encode(),
    }
    return Report(files, failure, values)


def _failure(refused: Sequence[Finding]) -> Failure | None:
    if not refused:
        return None
    first = "; ".join(_said(each) for each in refused[:5])
    if any(each.rule == "apply-failed" for each in refused):
        return Permanent(TerminationCode.USER_CODE_FAILED, first[:MAX_SAID])
    mend = (
        "" if all(each.final for each in refused) else " (what is meant to be can be named in params.allow)"
    )
    return Permanent(TerminationCode.VALIDATION_FAILED, f"{first[:MAX_SAID]}{mend}")


def _said(finding: Finding) -> str:
    return f"{finding.path}:{finding.line}: {finding.rule}: {finding.message}"


def _sarif(terms: Terms, findings: Iterable[Finding], lint: bytes | None) -> JsonObject:
    runs = json.loads(lint)["runs"] if lint else []
    found = list(findings)
    rules = sorted({each.rule for each in found})
    results = []
    for each in found:
        allowed = each.level is Level.ERROR and terms.allows(each)
        result: JsonObject = {
            "ruleId": each.rule,
            "ruleIndex": rules.index(each.rule),
            "level": each.level.value,
            "message": {"text": each.message[:1000] or each.rule},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(each.path), "uriBaseId": ROOT},
                        "region": {"startLine": each.line},
                    }
                }
            ],
        }
        if allowed:
            result["suppressions"] = [{"kind": "external", "justification": "params.allow"}]
        results.append(result)
    ours = {
        "tool": {
            "driver": {
                "name": DRIVER,
                "version": "1",
                "informationUri": "https://www.postgresql.org/docs/current/",
                "rules": [{"id": rule} for rule in rules],
            }
        },
        "automationDetails": {"id": f"control-room/{DRIVER}/"},
        "invocations": [{"executionSuccessful": True}],
        "originalUriBaseIds": {ROOT: {"description": {"text": "the files that were submitted"}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [ours, *runs]}


# -- lineage and the catalog


def lineage(attempt: Attempt, terms: Terms, done: Done, traced: Traced) -> tuple[JsonObject, ...]:
    """One event for each table that the run has made or changed, and for each view, with what it reads."""
    if done.shape is None:
        return ()
    shape, at = done.shape, datetime.now(UTC)
    mine = naming.job(attempt)
    refresh = Job(mine.namespace, f"catalog/{terms.target}", mine.run_id, mine.attempt)
    tables = {table.full_name: table for table in shape.tables}
    changed = {name for e in (*done.applied, *_of_this_run(done, terms)) for name in e.changed}
    written: dict[str, Flow] = {}
    for flow in traced.written:
        if flow.target in tables and not tables[flow.target].reads:
            written[flow.target] = written[flow.target].joined(flow) if flow.target in written else flow
    events = [
        _event(shape, tables[name], written.get(name, Flow(name, "DDL")), mine, at)
        for name in sorted({*changed, *written})
        if name in tables and not tables[name].reads
    ]
    for table in shape.tables:
        if table.reads:
            # what a view reads is known for certain; how its columns come about is what was traced
            flow = traced.views.get(table.full_name, Flow(table.full_name, "VIEW"))
            read = frozenset(table.reads)
            events.append(_event(shape, table, replace(flow, reads=read), refresh, at, method="catalog"))
    return tuple(events)


def catalog(terms: Terms, done: Done) -> tuple[JsonObject, ...]:
    """Every table and view of the target, as `catalog.refresh_target` takes them."""
    if done.shape is None:
        return ()
    shape = done.shape
    there = {table.full_name for table in shape.tables if not table.reads}
    changed = {name for e in (*done.applied, *_of_this_run(done, terms)) for name in e.changed}
    return (
        {
            "target": terms.target,
            "changed": [f"{shape.database}.{name}" for name in sorted(changed & there)],
            "namespace": namespace(shape),
            "database": shape.database,
            "schema_sha256": shape.sha256,
            "tables": [
                {
                    "schema": t.schema,
                    "name": t.name,
                    "kind": t.kind,
                    "comment": t.comment,
                    "rows": t.rows,
                    "dataset": f"{shape.database}.{t.full_name}",
                    "reads": [f"{shape.database}.{name}" for name in t.reads],
                    "definition_hash": _hash(shape.definitions.get(f"view {t.full_name}")),
                    "columns": [
                        {"name": c.name, "type": c.type, "nullable": c.nullable,
                         **({"comment": c.comment} if c.comment else {})}
                        for c in t.columns
                    ],
                }
                for t in shape.tables
            ],
        },
    )  # fmt: skip


def namespace(shape: Shape) -> str:
    """Where OpenLineage puts the tables of this server."""
    return f"postgres://{shape.host}"


def _of_this_run(done: Done, terms: Terms) -> Iterable[Any]:
    """What an earlier lease of this very run has applied, before its runner was lost."""
    return (each for each in done.already if each.run_id == terms.run_id)


def _hash(definition: str | None) -> str | None:
    return None if definition is None else hashlib.sha256(definition.encode()).hexdigest()


def _event(
    shape: Shape, table: Table, flow: Flow, job: Job, at: datetime, *, method: str = "sql"
) -> JsonObject:
    def name_of(name: str) -> Dataset:
        return Dataset(namespace(shape), f"{shape.database}.{name}")

    types = {column.name: column.type for column in table.columns}
    columns = {name: flow.columns.get(name, Column()) for name in types}
    return openlineage.event(
        replace(flow, columns=columns, types=types),
        output=name_of(table.full_name),
        name_of=name_of,
        job=job,
        engine="postgres",
        method=method,
        at=at,
    )
