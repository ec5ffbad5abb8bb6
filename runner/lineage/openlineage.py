"""Flows in OpenLineage's wire form, and the sanitiser for events that were written inside a sandbox.

`event` builds one RunEvent per written dataset. Each has a run id of its own with the real run as its parent:
consumers add up the inputs and outputs of one run id, and would otherwise draw an edge from every input of a
job to every output.

`sanitise` rebuilds events from nothing but the parts that are known, checked and allowed. What came out of a
sandbox can hold anything: the names in it are those that the runner allowed beforehand, the job and the run
are overwritten, every text and every list has a limit, and unknown facets are gone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .flow import DIRECT, INDIRECT, Confidence, Flow, Origin

JsonObject = dict[str, Any]

PRODUCER = "urn:control-room:runner"
_SPEC = "https://openlineage.io/spec"
SCHEMA_URL = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUN_FACET = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
_SCHEMA_FACET = f"{_SPEC}/facets/1-2-0/SchemaDatasetFacet.json#/$defs/SchemaDatasetFacet"
_COLUMN_FACET = f"{_SPEC}/facets/1-2-0/ColumnLineageDatasetFacet.json#/$defs/ColumnLineageDatasetFacet"
_PARENT_FACET = f"{_SPEC}/facets/1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
_SYMLINKS_FACET = f"{_SPEC}/facets/1-0-1/SymlinksDatasetFacet.json#/$defs/SymlinksDatasetFacet"

#: How a flow was found, in the words of the database's lineage.edges.method.
METHODS = ("sql", "plan", "event")

MAX_EVENTS = 500
MAX_DATASETS = 500
MAX_FIELDS = 1500
MAX_INPUT_FIELDS = 200_000  # per event
MAX_REASONS = 20
MAX_NAME = 1024
MAX_TYPE = 200
MAX_TEXT = 500


@dataclass(frozen=True, order=True)
class Dataset:
    """A dataset as OpenLineage names it."""

    namespace: str
    name: str

    def form(self) -> JsonObject:
        return {"namespace": self.namespace, "name": self.name}


@dataclass(frozen=True)
class Job:
    """Whose lineage it is: the job's name, the run and the attempt it belongs to."""

    namespace: str
    name: str
    run_id: int
    attempt: int = 1

    @property
    def parent_id(self) -> str:
        """The UUID that stands for the run (ours have numbers)."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.namespace}/runs/{self.run_id}"))

    def child_id(self, output: Dataset) -> str:
        """The UUID of the part of the run that wrote `output`; the same for every attempt to read it again."""
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
    return _event(
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


def _event(
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
        "job": {"namespace": job.namespace, "name": job.name},
        "inputs": [dataset.form() for dataset in inputs],
        "outputs": [{**output.form(), "facets": facets}],
        "producer": PRODUCER,
        "schemaURL": SCHEMA_URL,
    }


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
    return [_input_field(dataset, name, found) for (dataset, name), found in sorted(kinds.items())]


def _input_field(dataset: Dataset, name: str, kinds: Iterable[tuple[str, str]]) -> JsonObject:
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


# -- sanitising


@dataclass(frozen=True)
class Allowed:
    """What events of one attempt may name.

    `inputs`, `outputs`  exactly these datasets
    `files`              the namespace of this run's own files, under which any tidy relative path may stand
    `renamed`            a run's file -> the dataset it became (an artifact), replaced wherever it is named
    """

    inputs: frozenset[Dataset]
    outputs: frozenset[Dataset]
    files: str
    renamed: Mapping[Dataset, Dataset] = field(default_factory=dict)

    def output(self, dataset: Dataset) -> Dataset | None:
        if dataset in self.outputs or self._own_file(dataset):
            return self.renamed.get(dataset, dataset)
        return None

    def input(self, dataset: Dataset) -> Dataset | None:
        """An attempt may also read what it wrote itself."""
        return self.renamed.get(dataset, dataset) if dataset in self.inputs else self.output(dataset)

    def _own_file(self, dataset: Dataset) -> bool:
        parts = dataset.name.split("/")
        tidy = all(part not in ("", ".", "..") for part in parts)
        return dataset.namespace == self.files and tidy and _text(dataset.name, MAX_NAME) == dataset.name


@dataclass
class Sanitised:
    """`events` fit to be recorded, and in `dropped` one line per thing that was left out."""

    events: list[JsonObject] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def sanitise(raw: Iterable[object], *, allowed: Allowed, job: Job, engine: str, now: datetime) -> Sanitised:
    """Events from a sandbox, rebuilt. Never raises on their content; `dropped` says what was not taken."""
    result = Sanitised()
    for number, one in enumerate(raw):
        if number >= MAX_EVENTS:
            result.dropped.append(f"more than {MAX_EVENTS} events")
            break
        if not isinstance(one, dict):
            result.dropped.append(f"event {number} is not an object")
            continue
        for output in _objects(one.get("outputs"), MAX_DATASETS):
            dataset = _dataset(output)
            target = allowed.output(dataset) if dataset else None
            if target is None:
                result.dropped.append(f"event {number} names an output that was not declared")
                continue
            result.events.append(_rebuild(one, output, target, allowed, job, engine, now, result.dropped))
    result.dropped = [_text(line, MAX_TEXT) for line in dict.fromkeys(result.dropped)][:MAX_REASONS]
    return result


def _rebuild(
    one: JsonObject,
    output: JsonObject,
    target: Dataset,
    allowed: Allowed,
    job: Job,
    engine: str,
    now: datetime,
    dropped: list[str],
) -> JsonObject:
    inputs: set[Dataset] = set()
    for each in _objects(one.get("inputs"), MAX_DATASETS):
        dataset = _dataset(each)
        known = allowed.input(dataset) if dataset else None
        if known is None:
            dropped.append("an input that was not declared")
        else:
            inputs.add(known)
    facets = _object(output.get("facets"))
    fields: list[tuple[str, str]] = []
    for each in _objects(_object(facets.get("schema")).get("fields"), MAX_FIELDS):
        if name := _text(each.get("name"), MAX_NAME):
            fields.append((name, _text(each.get("type"), MAX_TYPE)))
    lineage = _object(facets.get("columnLineage"))
    budget = iter(range(MAX_INPUT_FIELDS))
    columns: dict[str, list[JsonObject]] = {}
    for name, value in list(_object(lineage.get("fields")).items())[:MAX_FIELDS]:
        key = _text(name, MAX_NAME)
        if key:
            columns[key] = _clean_fields(_object(value).get("inputFields"), allowed, inputs, budget)
    influences = _clean_fields(lineage.get("dataset"), allowed, inputs, budget)
    said = _object(_object(_object(one.get("run")).get("facets")).get("control_room"))
    reasons = [text for r in _list(said.get("reasons"))[:MAX_REASONS] if (text := _text(r, MAX_TEXT))]
    if next(budget, None) is None:
        reasons.insert(0, f"more than {MAX_INPUT_FIELDS} column origins")
    method = said.get("method")
    return _event(
        output=target,
        inputs=sorted(inputs),
        fields=fields,
        columns=columns,
        influences=influences,
        job=job,
        engine=engine,
        method=method if method in METHODS else "event",
        confidence="high" if said.get("confidence") == "high" and not reasons else "low",
        reasons=reasons,
        event_type="COMPLETE",
        at=_time(one.get("eventTime"), now),
    )


def _clean_fields(
    value: object, allowed: Allowed, inputs: set[Dataset], budget: Iterator[int]
) -> list[JsonObject]:
    found: list[JsonObject] = []
    for each in _objects(value, MAX_INPUT_FIELDS):
        dataset = _dataset(each)
        known = allowed.input(dataset) if dataset else None
        name = _text(each.get("field"), MAX_NAME)
        # A column of a dataset that the event does not read at all would be an edge from nowhere.
        if known is None or known not in inputs or not name:
            continue
        if next(budget, None) is None:
            break
        kinds = [
            (type_, subtype)
            for t in _objects(each.get("transformations"), 20)
            if (type_ := t.get("type")) in ("DIRECT", "INDIRECT")
            and (subtype := t.get("subtype")) in (DIRECT if type_ == "DIRECT" else INDIRECT)
        ]
        found.append(_input_field(known, name, kinds or [("DIRECT", "TRANSFORMATION")]))
    return found


def _dataset(value: JsonObject) -> Dataset | None:
    namespace, name = value.get("namespace"), value.get("name")
    if not isinstance(namespace, str) or not isinstance(name, str) or not namespace or not name:
        return None
    return Dataset(namespace, name)


def _time(value: object, now: datetime) -> datetime:
    """The event's own time if it is one and lies in the day before now; a sandbox's clock is not believed
    else.
    """
    if isinstance(value, str) and len(value) <= 40:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return now
        if at.tzinfo is not None and 0 <= (now - at).total_seconds() <= 86_400:
            return at
    return now


def _text(value: object, limit: int) -> str:
    """A text without control characters, lone surrogates or undue length; "" for anything that is no text."""
    if not isinstance(value, str):
        return ""
    clean = value[: limit * 2].encode("utf-8", "replace").decode()
    return "".join(character for character in clean if character.isprintable())[:limit]


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object, limit: int) -> list[JsonObject]:
    return [each for each in _list(value)[:limit] if isinstance(each, dict)]
