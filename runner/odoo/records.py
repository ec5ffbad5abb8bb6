"""Records of a model, page by page.

Odoo tells times in whole seconds and keeps microseconds, so a page cannot begin "after the time of the last
record": of a thousand records of one second it would begin with the same ones for ever. Instead the window
of times is chosen first, [since, until), and within it pages go by id. What changes while it is read leaves
the window towards a later time, and is read by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .client import Client, Refused, TooLarge

PAGE = 1000
_FORMAT = "%Y-%m-%d %H:%M:%S"
_SECOND = timedelta(seconds=1)
#: What is read when no fields are named: stored, and not large or many.
_LEFT_OUT = ("binary", "image", "one2many", "many2many")
_CONTEXT = {"active_test": False}

Record = dict[str, Any]
Domain = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a model, by its type in Odoo's words."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Window:
    """Times of `watermark` from `since` (None: from the beginning, and those without a time) to before
    `until`, in UTC and in whole seconds."""

    watermark: str
    since: datetime | None
    until: datetime

    @property
    def domain(self) -> list[Any]:
        """As Odoo says it."""
        before = [self.watermark, "<", said(self.until)]
        if self.since is None:
            return ["|", [self.watermark, "=", False], before]
        return [[self.watermark, ">=", said(self.since)], before]


def said(at: datetime) -> str:
    """A time as Odoo tells it."""
    return at.astimezone(UTC).strftime(_FORMAT)


def heard(text: object) -> datetime | None:
    """A time that Odoo told; None for `false`. Raises Refused."""
    if not text:
        return None
    try:
        return datetime.strptime(str(text), _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise Refused("the watermark is no field of times") from None


def fields_of(client: Client, model: str, names: Sequence[str]) -> tuple[Field, ...]:
    """The fields that are read, `id` first: those that are named, else all that are stored and small.
    Raises Refused for one that the model does not have, or that this user may not read."""
    asked: dict[str, Any] = {"attributes": ["type", "store"]}
    there = client.call(model, "fields_get", **asked)
    if not isinstance(there, dict):
        raise Refused("Odoo answered in another form than agreed")
    if missing := [name for name in names if name not in there]:
        raise Refused(f"{model} has no field {missing[0]}, or none for this user")
    wanted = names or sorted(
        name for name, each in there.items() if each.get("store") and each["type"] not in _LEFT_OUT
    )
    return tuple(
        Field(name, "integer" if name == "id" else str(there[name]["type"]))
        for name in dict.fromkeys(("id", *wanted))
    )


@dataclass(frozen=True, slots=True)
class Timeline:
    """The records of a domain by their times."""

    client: Client
    model: str
    domain: Domain
    watermark: str

    def window(self, after: datetime | None, overlap: timedelta, limit: int | None) -> Window | None:
        """What there is to read past `after`: up to the newest record there is now, or, with a `limit`, up to
        the time of that many records past `after`, so that a large beginning is read in parts. None: nothing.
        Raises Refused."""
        newest = self._time(self.domain, f"{self.watermark} desc, id desc")
        if newest is None:
            return None
        until = newest + _SECOND
        if limit is not None:
            # the second of `after` was read to its end: counted again, a full one would be read for ever
            past = [] if after is None else [[self.watermark, ">=", said(after + _SECOND)]]
            last = self._time([*self.domain, *past], f"{self.watermark}, id", limit - 1)
            until = min(until, last + _SECOND) if last is not None else until
        since = None if after is None else (after - overlap).replace(microsecond=0)
        return Window(self.watermark, since, until)

    def _time(self, domain: Domain, order: str, offset: int = 0) -> datetime | None:
        """The time of one record in an order; None where there is none."""
        found = self.client.call(
            self.model,
            "search_read",
            domain=[*domain, [self.watermark, "!=", False]],
            fields=[self.watermark],
            offset=offset,
            limit=1,
            order=order,
            context=_CONTEXT,
        )
        return heard(found[0].get(self.watermark)) if found else None


def pages(
    client: Client,
    model: str,
    fields: Sequence[Field],
    domain: Domain,
    *,
    going_on: Callable[[], bool] = lambda: True,
    limit: int | None = None,
    archived: bool = True,
) -> Iterator[list[Record]]:
    """The records of a domain in the order of their ids. Raises Refused."""
    names = [each.name for each in fields]
    last, size, left = 0, PAGE, limit
    while going_on() and (left is None or left > 0):
        wanted = size if left is None else min(size, left)
        try:
            page = client.call(
                model, "search_read", domain=[*domain, ["id", ">", last]], fields=names, limit=wanted,
                order="id", context=_CONTEXT if archived else {},
            )  # fmt: skip
        except TooLarge:
            if wanted == 1:
                raise
            size = max(1, wanted // 10)
            continue
        if not isinstance(page, list) or any(not isinstance(each, dict) for each in page):
            raise Refused("Odoo answered in another form than agreed")
        if page:
            yield page
            last = page[-1]["id"]
        if len(page) < wanted:
            return
        if left is not None:
            left -= len(page)
