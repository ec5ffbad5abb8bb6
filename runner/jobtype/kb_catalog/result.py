"""`outputs/result.json`, by whomever it was made: bounded, checked, and cut to what an entry may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.jobtype import harvest
from runner.jobtype.base import Workspace
from runner.jobtype.kb_catalog.request import CLASSES, LANGUAGES
from runner.model.attempt import Attempt
from runner.model.collected import Entry
from runner.model.errors import Permanent
from runner.model.termination import TerminationCode

PATH = "outputs/result.json"
MAX_BYTES = 64 * 1024**2
MAX_BODY = 200_000
MAX_TITLE = 500
MAX_REASON = 500
MAX_TAGS = 50

_Key = Annotated[str, Field(min_length=1, max_length=512)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Heading(_Form):
    level: Literal[1, 2, 3, 4, 5, 6]
    text: Annotated[str, Field(max_length=1000)]


class _Entry(_Form):
    key: _Key
    title: str = ""
    text: str
    headings: Annotated[list[_Heading], Field(max_length=500)] = []
    tags: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MAX_TAGS)] = []
    media_type: Annotated[str, Field(max_length=100)] = "text/plain"
    language: str | None = None
    classification: str | None = None
    url: Annotated[str | None, Field(max_length=2000)] = None
    source: dict[str, Any] = {}


class _Rejected(_Form):
    key: _Key
    reason: str


class _Result(_Form):
    entries: list[dict[str, Any]]
    rejected: list[_Rejected] = []


def read(attempt: Attempt, workspace: Workspace) -> tuple[Entry, ...]:
    """Entries and those that could not be read, each key once. Raises Permanent."""
    try:
        data = harvest.read_bytes(workspace.root, PATH, max_bytes=MAX_BYTES)
        said = _Result.model_validate_json(data)
    except FileNotFoundError:
        raise _invalid("there is no result") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _invalid(f"the result has another shape than agreed: {where}: {first['msg']}") from error
    found: dict[str, Entry] = {}
    for raw in said.entries:
        entry = _read(attempt, raw)
        found.setdefault(entry.key, entry)
    for refused in said.rejected:
        problem = _line(refused.reason)[:MAX_REASON] or "it could not be read"
        found.setdefault(refused.key, Entry(key=refused.key, problem=problem))
    return tuple(found.values())


def _read(attempt: Attempt, raw: dict[str, Any]) -> Entry:
    """One entry; one of another shape than agreed is a document that could not be read."""
    try:
        return _entry(attempt, _Entry.model_validate(raw))
    except ValidationError as error:
        key = str(raw.get("key") or "a document without a key")[:512]
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return Entry(key=key, problem=f"it came in another shape than agreed: {where}: {first['msg']}")


def _entry(attempt: Attempt, each: _Entry) -> Entry:
    language = each.language or attempt.params.get("language", "english")
    classification = each.classification or attempt.params.get("classification", "internal")
    if language not in LANGUAGES:
        return Entry(key=each.key, problem=f"its language {language[:40]!r} is not known")
    if classification not in CLASSES:
        return Entry(key=each.key, problem="its classification is neither internal nor confidential")
    body = each.text.strip()
    if not body:
        return Entry(key=each.key, problem="it has no text")
    return Entry(
        key=each.key,
        title=_line(each.title)[:MAX_TITLE] or _line(each.key)[:MAX_TITLE] or "untitled",
        body=body[:MAX_BODY],
        headings=tuple((heading.level, _line(heading.text)) for heading in each.headings),
        tags=tuple(dict.fromkeys(_line(tag) for tag in each.tags)),
        media_type=each.media_type,
        language=language,
        url=each.url,
        source={**each.source, **({"cut": True} if len(body) > MAX_BODY else {})},
        classification=classification,
    )


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _invalid(message: str) -> Permanent:
    return Permanent(TerminationCode.OUTPUT_INVALID, message)
