"""Flows in OpenLineage's wire form, and the rules for names.

`event` builds one RunEvent per written dataset. Each has a run id of its own with the real run as its parent:
consumers add up the inputs and outputs of one run id, and would otherwise draw an edge from every input of a
job to every output.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .flow import Confidence, Flow, Origin

JsonObject = dict[str, Any]

PRODUCER = "urn:control-room:runner"
_SPEC = "https://openlineage.io/spec"
SCHEMA_URL = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
JOB_SCHEMA_URL = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/JobEvent"
_RUN_FACET = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
_SCHEMA_FACET = f"{_SPEC}/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"
_COLUMN_FACET = f"{_SPEC}/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
_PARENT_FACET = f"{_SPEC}/facets/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
_SYMLINKS_FACET = f"{_SPEC}/facets/1-0-1/SymlinksDatasetFacet.json#/$defs/SymlinksDatasetFacet"

#: How a flow was found, in the words of the database's lineage.edges.method.
METHODS = ("sql", "plan", "event")

MAX_REASONS = 20


@dataclass(frozen=True, order=True)
class Dataset:
    """A dataset as OpenLineage names it."""

    namespace: str
    name: str

    def form(self) -> JsonObject:
        return {"namespace": self.namespace, "name": self.name}


@dataclass(frozen=True)
class Job:
    """Whose lineage it is: the job's name, the run and the attempt it belongs to. `part`: what only a task of
    the job did, under the job's name and its own."""

    namespace: str
    name: str
    run_id: int
    attempt: int = 1
    part: str = ""

    def form(self) -> JsonObject:
        """As an event names it."""
        return {"namespace": self.namespace, "name": f"{self.name}.{self.part}" if self.part else self.name}

    @property
    def parent_id(self) -> str:
        """The UUID that stands for the run (ours have numbers)."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.namespace}/runs/{self.run_id}"))

    def child_id(self, output: Dataset) -> str:
        """The UUID of the part of the run that wrote `output`; stable, so that a replay is one."""
        key = f"{self.namespace}/runs/{self.run_id}/{self.attempt}/{output.namespace}/{output.name}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


# -- building


def event(
    flow: Flow,
    *,
    output: Dataset,
    name_of: Callable[[str], Dataset | None],
    job: Job,
    engine: str,
    method: str,
    event_type: str = "COMPLETE",
    at: datetime | None = None,
) -> JsonObject:
    """The RunEvent of one flow. `name_of` turns a flow's dataset name into a Dataset, or None to leave it
    out.
    """
    inputs = sorted({d for d in (name_of(name) for name in flow.reads) if d is not None})
    return assemble(
        output=output,
        inputs=inputs,
        fields=[(name, flow.types.get(name, "")) for name in flow.columns],
        columns={name: _input_fields(column.origins, name_of) for name, column in flow.columns.items()},
        influences=_input_fields(flow.influences, name_of),
        job=job,
        engine=engine,
        method=method,
        confidence=flow.confidence,
        reasons=flow.reasons,
        event_type=event_type,
        at=at or datetime.now(UTC),
    )


def assemble(
    *,
    output: Dataset,
    inputs: Iterable[Dataset],
    fields: Iterable[tuple[str, str]],
    columns: Mapping[str, list[JsonObject]],
    influences: list[JsonObject],
    job: Job,
    engine: str,
    method: str,
    confidence: Confidence,
    reasons: Iterable[str],
    event_type: str,
    at: datetime,
) -> JsonObject:
    """A RunEvent out of parts that have been checked."""
    facets: JsonObject = {}
    if schema := [{"name": name, **({"type": type_} if type_ else {})} for name, type_ in fields]:
        facets["schema"] = {**_facet(_SCHEMA_FACET), "fields": schema}
    traced = {name: {"inputFields": found} for name, found in columns.items() if found}
    if traced or influences:
        facets["columnLineage"] = {**_facet(_COLUMN_FACET), "fields": traced, "dataset": influences}
    parent = {
        **_facet(_PARENT_FACET),
        "run": {"runId": job.parent_id},
        "job": {"namespace": job.namespace, "name": job.name},
    }
    ours = {
        **_facet(_RUN_FACET),
        "engine": engine,
        "method": method,
        "confidence": confidence,
        "reasons": list(reasons)[:MAX_REASONS],
        "run_id": job.run_id,
        "attempt": job.attempt,
    }
    return {
        "eventTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "eventType": event_type,
        "run": {"runId": job.child_id(output), "facets": {"parent": parent, "control_room": ours}},
        "job": job.form(),
        "inputs": [dataset.form() for dataset in inputs],
        "outputs": [{**output.form(), "facets": facets}],
        "producer": PRODUCER,
        "schemaURL": SCHEMA_URL,
    }


def reading(inputs: Iterable[Dataset], *, job: Job, method: str, at: datetime) -> JsonObject:
    """The RunEvent that a job was given something from which nothing is known to have come."""
    return {
        "eventTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "eventType": "COMPLETE",
        "run": {
            "runId": job.child_id(Dataset("", "")),
            "facets": {"control_room": {**_facet(_RUN_FACET), "method": method}},
        },
        "job": {"namespace": job.namespace, "name": job.name},
        "inputs": [dataset.form() for dataset in inputs],
        "outputs": [],
        "producer": PRODUCER,
        "schemaURL": SCHEMA_URL,
    }


def hop(namespace: str, name: str, at: datetime) -> JsonObject:
    """The JobEvent of somebody else's job (a workflow of n8n) that carried ours. What went through it is what
    ours tells: see `through`.
    """
    return {
        "eventTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "job": {"namespace": namespace, "name": name},
        "inputs": [],
        "outputs": [],
        "producer": PRODUCER,
        "schemaURL": JOB_SCHEMA_URL,
    }


def through(hops: Iterable[JsonObject], events: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
    """Each hop with the inputs and outputs of the events of the work that it carried."""
    told = list(events)
    inputs = {(each["namespace"], each["name"]) for event in told for each in event.get("inputs", ())}
    outputs = {(each["namespace"], each["name"]) for event in told for each in event.get("outputs", ())}
    return tuple(
        {
            **each,
            "inputs": [Dataset(*name).form() for name in sorted(inputs)],
            "outputs": [Dataset(*name).form() for name in sorted(outputs)],
        }
        for each in hops
    )


def _facet(schema_url: str) -> JsonObject:
    return {"_producer": PRODUCER, "_schemaURL": schema_url}


def _input_fields(origins: Iterable[Origin], name_of: Callable[[str], Dataset | None]) -> list[JsonObject]:
    """Origins by source column; several kinds of one column are several transformations, the direct one
    first.
    """
    kinds: dict[tuple[Dataset, str], list[tuple[str, str]]] = {}
    for origin in sorted(origins):
        dataset = name_of(origin.dataset)
        if dataset is not None:
            kinds.setdefault((dataset, origin.field), []).append((origin.kind.type, origin.kind.subtype))
    return [input_field(dataset, name, found) for (dataset, name), found in sorted(kinds.items())]


def input_field(dataset: Dataset, name: str, kinds: Iterable[tuple[str, str]]) -> JsonObject:
    transformations = [
        {"type": type_, "subtype": subtype, "description": "", "masking": False} for type_, subtype in kinds
    ]
    return {**dataset.form(), "field": name, "transformations": transformations}


# -- names

_CREDENTIALS = re.compile(r"^([a-z0-9+.-]+://)[^/@]*@", re.IGNORECASE)


def normalise(dataset: Dataset) -> tuple[Dataset, Dataset | None]:
    """The dataset under the naming rules, and the original when it had to be changed (for a symlinks facet).

    `postgresql://` is `postgres://` (the spec has both), scheme and host are lower case, the default port is
    written out, a trailing slash goes, and credentials never stay in a name, not even in the symlink.
    """
    original = _CREDENTIALS.sub(r"\1", dataset.namespace)
    namespace = original.rstrip("/") if not original.endswith("://") else original
    scheme, separator, rest = namespace.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        scheme = scheme.lower()
        if scheme in ("postgresql", "postgres"):
            scheme = "postgres"
            if host and not re.search(r":\d+$", host):
                host += ":5432"
        namespace = f"{scheme}://{host.lower()}{slash}{path}"
    normal = Dataset(namespace, dataset.name)
    return normal, Dataset(original, dataset.name) if original != namespace else None


def symlinks(original: Dataset) -> JsonObject:
    """The facet that keeps a name under which a dataset is also known."""
    return {**_facet(_SYMLINKS_FACET), "identifiers": [{**original.form(), "type": "TABLE"}]}


def jdbc_dataset(url: str, table: str) -> Dataset | None:
    """`jdbc:postgresql://host:port/db?user=…` + `schema.table` -> postgres://host:port, db.schema.table.

    Nothing of the query string, where passwords are, is kept. None for other databases.
    """
    match = re.match(r"^jdbc:postgres(?:ql)?://(?:[^/@]*@)?([^/?]+)/([^/?;]+)", url, re.IGNORECASE)
    if match is None or not re.fullmatch(r'[\w$."]+', table):
        return None
    host, database = match.groups()
    full = table.replace('"', "")
    if "." not in full:
        full = f"public.{full}"
    return normalise(Dataset(f"postgres://{host}", f"{database}.{full}"))[0]
