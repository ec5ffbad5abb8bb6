"""Documents that say how jobs shall be: read with the place of every value, written so that they read back.

YAML as JSON sees it (the core schema of YAML 1.2): `on` and `no` are words, 2026-11-26 is text, a key stands
once. `<<` takes over an anchor's fields.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode  # type: ignore[import-untyped]

from control_room.definition import JobForm, JobsForm
from control_room.errors import ControlRoomError
from control_room.model import JsonObject

Steps = tuple[str | int, ...]

#: What anchors may blow a document up to: so many values, or as many as it has letters.
MAX_VALUES = 10_000

_TAG = "tag:yaml.org,2002:"
_CORE = (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("merge", r"^<<$", ["<"]),
)


@dataclass(frozen=True)
class Spot:
    """Where something stands; lines and columns from 1."""

    file: str
    line: int
    column: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Fault:
    spot: Spot
    path: str
    message: str


class DocumentInvalid(ControlRoomError):
    """All that is wrong with the documents, each with its place."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        super().__init__(f"{count} in {', '.join(dict.fromkeys(it.spot.file for it in faults))}")
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Document:
    """One YAML document: its value, and where each part of it stands."""

    file: str
    value: Any
    spots: Mapping[Steps, Spot] = field(repr=False)

    def spot(self, steps: Steps) -> Spot:
        """Of the thing, or of what is nearest above it."""
        while steps not in self.spots:
            steps = steps[:-1]
        return self.spots[steps]


class _Reader(yaml.SafeLoader):  # type: ignore[misc]  # untyped
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as PyYAML has it


class _Writer(yaml.SafeDumper):  # type: ignore[misc]  # untyped
    yaml_implicit_resolvers: dict[str, Any] = {  # noqa: RUF012
        first: list(found) for first, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern, _first in _CORE:
    _Reader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)
    # both schemas' words are quoted, so that either kind of reader reads the same
    _Writer.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


def _text(writer: yaml.SafeDumper, text: str) -> ScalarNode:
    return writer.represent_scalar(_TAG + "str", text, style="|" if "\n" in text else None)


_Writer.add_representer(str, _text)


def write(value: Any) -> str:
    written: str = yaml.dump(value, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)
    return written


def read(text: str, file: str) -> list[Document]:
    """Raises DocumentInvalid."""
    lines = text.splitlines()

    def spot(mark: yaml.Mark) -> Spot:
        shown = lines[mark.line] if mark.line < len(lines) else ""
        return Spot(file, mark.line + 1, mark.column + 1, shown)

    try:
        nodes = list(yaml.compose_all(text, Loader=_Reader))
        return [
            _Reading(file, spot, max(MAX_VALUES, len(text))).document(it) for it in nodes if it is not None
        ]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Spot(file, 1, 1) if mark is None else spot(mark)
        said = " ".join(it for it in (error.problem, error.note) if it) or "is no YAML"
        if "{{" in where.text:
            said += '; a {{reference}} stands in quotes: "{{…}}"'
        raise DocumentInvalid([Fault(where, "", said)]) from error
    except yaml.YAMLError as error:
        raise DocumentInvalid([Fault(Spot(file, 1, 1), "", str(error))]) from error


class _Reading:
    def __init__(self, file: str, spot: Any, most: int) -> None:
        self._file = file
        self._most = most
        self._spot = spot
        self._spots: dict[Steps, Spot] = {}
        self._open: list[Node] = []
        self._count = 0

    def document(self, node: Node) -> Document:
        value = self._value(node, ())
        return Document(self._file, value, self._spots)

    def _value(self, node: Node, steps: Steps) -> Any:
        self._spots.setdefault(steps, self._spot(node.start_mark))
        self._count += 1
        if self._count > self._most or any(it is node for it in self._open):
            raise self._fault(node, steps, "anchors make this document too large")
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return dict(self._fields(node, steps))
            if isinstance(node, SequenceNode):
                return [self._value(it, (*steps, place)) for place, it in enumerate(node.value)]
            return self._scalar(node, steps)
        finally:
            self._open.pop()

    def _fields(self, node: MappingNode, steps: Steps) -> Iterator[tuple[str, Any]]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, it in node.value:
            if key.tag == _TAG + "merge":
                merged = {**self._taken(it, steps), **merged}
                continue
            if isinstance(key, MappingNode):
                raise self._fault(key, steps, 'a {{reference}} stands in quotes: "{{…}}"')
            if not isinstance(key, ScalarNode):
                raise self._fault(key, steps, "a key is a word")
            if key.value in own:
                raise self._fault(key, (*steps, key.value), "stands here a second time")
            own[key.value] = it
            self._spots[*steps, key.value] = self._spot(key.start_mark)
        for name, it in {**merged, **own}.items():
            yield name, self._value(it, (*steps, name))

    def _taken(self, node: Node, steps: Steps) -> dict[str, Node]:
        if isinstance(node, SequenceNode):
            return {
                name: it for each in reversed(node.value) for name, it in self._taken(each, steps).items()
            }
        if not isinstance(node, MappingNode) or node in self._open:
            raise self._fault(node, steps, "<< takes over fields, and these are none")
        found: dict[str, Node] = {}
        for key, it in node.value:
            if key.tag == _TAG + "merge":
                found = {**self._taken(it, steps), **found}
            else:
                found[str(key.value)] = it
        return found

    def _scalar(self, node: Node, steps: Steps) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "merge" | "!":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                base = {"0o": 8, "0x": 16}.get(text[:2], 10)
                return int(text[2:], base) if base != 10 else int(text)
            case "float":
                return float(text)
        raise self._fault(
            node, steps, f"{node.tag} is not known here: a value is text, a number, true, false or null"
        )

    def _fault(self, node: Node, steps: Steps, message: str) -> DocumentInvalid:
        return DocumentInvalid([Fault(self._spot(node.start_mark), path_of(steps), message)])


# ------------------------------------------------------------------------------------------------- jobs


@dataclass(frozen=True)
class Written:
    """A job in a document, and where in it."""

    document: Document
    steps: Steps
    definition: JsonObject

    def spot(self, steps: Steps) -> Spot:
        return self.document.spot((*self.steps, *steps))


def jobs_of(documents: Sequence[Document]) -> tuple[list[Written], str | None]:
    """The jobs of the documents, and the source that they name. Raises DocumentInvalid, with all faults."""
    faults: list[Fault] = []
    found: list[Written] = []
    sources: dict[str, Document] = {}
    for it in documents:
        several = isinstance(it.value, dict) and "jobs" in it.value
        faults += _faults(it, JobsForm if several else JobForm)
        if several:
            jobs = it.value["jobs"] if isinstance(it.value["jobs"], list) else []
            found += [Written(it, ("jobs", place), job) for place, job in enumerate(jobs)]
            if isinstance(named := it.value.get("source"), str):
                sources.setdefault(named, it)
        else:
            found.append(Written(it, (), it.value))
    if len(sources) > 1:
        last = list(sources.values())[-1]
        faults.append(Fault(last.spot(("source",)), "$.source", f"two sources: {' and '.join(sources)}"))
    names: dict[str, Spot] = {}
    for job in found:
        name = job.definition.get("name") if isinstance(job.definition, dict) else None
        if not isinstance(name, str):
            continue
        if name in names:
            where = job.spot(("name",))
            faults.append(
                Fault(where, path_of((*job.steps, "name")), f"{name} stands at {names[name]} already")
            )
        names.setdefault(name, job.spot(("name",)))
    if faults:
        raise DocumentInvalid(faults)
    return found, next(iter(sources), None)


def _faults(document: Document, form: type[JobForm | JobsForm]) -> list[Fault]:
    try:
        form.model_validate(document.value)
    except ValidationError as error:
        found: dict[tuple[Steps, str], Fault] = {}
        for it in error.errors():
            steps = tuple(step for step in it["loc"] if not (isinstance(step, str) and step.startswith("<")))
            message = _message(dict(it), document.value, steps)
            found.setdefault((steps, message), Fault(document.spot(steps), path_of(steps), message))
        return sorted(found.values(), key=lambda it: (it.spot.line, it.spot.column))
    return []


def _message(error: JsonObject, value: Any, steps: Steps) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            near = difflib.get_close_matches(str(steps[-1]), _FIELDS, 1)
            return "is not known" + (f"; did you mean {near[0]}?" if near else "")
        case "literal_error":
            return f"is one of {error['ctx']['expected']}"
        case "string_pattern_mismatch":
            return f"is not of the form {error['ctx']['pattern']}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "is no mapping"
    said = str(error["msg"])
    return said[0].lower() + said[1:]


def _field_names(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = set(schema.get("properties", {})) if isinstance(schema.get("properties"), dict) else set()
        return own | {name for it in schema.values() for name in _field_names(it)}
    return {name for it in schema for name in _field_names(it)} if isinstance(schema, list) else set()


_FIELDS = sorted(_field_names(JobsForm.model_json_schema()))


# ------------------------------------------------------------------------------------------------ paths


def path_of(steps: Steps) -> str:
    """`("tasks", 2, "params")` as the server writes it: `$.tasks[2].params`."""
    return "$" + "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in steps)


def steps_of(path: str) -> Steps | None:
    """What the server says in `details`, as steps; what stands after a colon is no part of it."""
    if not path.startswith("$"):
        return None
    found: list[str | int] = []
    for place, name in re.findall(r"\[(\d+)\]|\.([^.\[:]+)", path.split(": ", 1)[0]):
        found.append(int(place) if place else name)
    return tuple(found)


# -------------------------------------------------------------------------------------- files on the disk


def gathered(given: Sequence[Path], stdin: str | None = None) -> list[tuple[Path, list[Document]]]:
    """Documents of files and folders, each with the folder that its paths start from.

    Raises ControlRoomError.
    """
    found = []
    for path in given:
        if str(path) == "-":
            found.append((Path(), read(stdin or "", "-")))
            continue
        if path.is_dir():
            files = sorted(it for it in path.iterdir() if it.suffix in {".yaml", ".yml", ".json"})
            if not files:
                raise ControlRoomError(f"{path}: there is no .yaml, .yml or .json in it")
        else:
            files = [path]
        for file in files:
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ControlRoomError(f"{file} cannot be read: {error}") from error
            found.append((file.parent, read(text, str(file))))
    return found
