"""Events that were written inside a sandbox, made fit to be recorded.

`sanitise` rebuilds each event from nothing but the parts that are known, checked and allowed. What came out
of a sandbox can hold anything: the datasets in it are those that the runner allowed beforehand, the job and
the run are overwritten, every text and every list has a limit, and unknown facets are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .flow import DIRECT, INDIRECT
from .openlineage import MAX_REASONS, METHODS, Dataset, Job, JsonObject, assemble, input_field

MAX_EVENTS = 500
MAX_DATASETS = 500
MAX_FIELDS = 1500
MAX_INPUT_FIELDS = 200_000  # per event
MAX_NAME = 1024
MAX_TYPE = 200
MAX_TEXT = 500


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
            result.events.append(
                _rebuild(
                    one,
                    output,
                    target=target,
                    allowed=allowed,
                    job=job,
                    engine=engine,
                    now=now,
                    dropped=result.dropped,
                )
            )
    result.dropped = [_text(line, MAX_TEXT) for line in dict.fromkeys(result.dropped)][:MAX_REASONS]
    return result


def _rebuild(
    one: JsonObject,
    output: JsonObject,
    *,
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
    return assemble(
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
        found.append(input_field(known, name, kinds or [("DIRECT", "TRANSFORMATION")]))
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
